//! The macros that end a plugin.

use crate::abi::{
    ABI_MAJOR, ABI_MINOR, ENERGIES, EnergyList, EnergyTable, FlowTable, MAGIC, PluginTable, Str,
    TargetTable,
};
use std::ffi::c_void;

/// Makes the table of a plugin; used by [`plugin!`](crate::plugin).
pub fn new_table(
    name: &'static str,
    version: &'static str,
    flows: Vec<&'static FlowTable>,
    targets: Vec<&'static TargetTable>,
    get_extension: unsafe extern "C" fn(name: Str) -> *const c_void,
) -> PluginTable {
    let (n_flows, n_targets) = (flows.len() as u64, targets.len() as u64);
    PluginTable {
        magic: MAGIC,
        struct_size: size_of::<PluginTable>() as u64,
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        name: Str::new(name),
        version: Str::new(version),
        // A reference and a const pointer have the same layout.
        flows: flows.leak().as_ptr().cast(),
        n_flows,
        targets: targets.leak().as_ptr().cast(),
        n_targets,
        get_extension,
    }
}

/// Makes the list of a plugin's energy sources; used by [`plugin!`](crate::plugin).
pub fn new_energy_list(energies: Vec<&'static EnergyTable>) -> EnergyList {
    EnergyList {
        struct_size: size_of::<EnergyList>() as u64,
        n_energies: energies.len() as u64,
        energies: energies.leak().as_ptr().cast(),
    }
}

/// The plugin's extension called `name`; used by [`plugin!`](crate::plugin).
///
/// # Safety
/// `name` is readable.
pub unsafe fn extension(name: Str, energies: fn() -> &'static EnergyList) -> *const c_void {
    // SAFETY: by contract.
    if unsafe { name.to_text() } != ENERGIES {
        return std::ptr::null();
    }
    let list = std::panic::catch_unwind(energies);
    list.map_or(std::ptr::null(), |list| std::ptr::from_ref(list).cast())
}

/// Defines `plugin_table()`, which lists what the crate offers: for the host that links it in, and for
/// [`export!`](crate::export).
///
/// ```
/// use regflow_plugin::{Error, Feature, Flow, Init, ParameterBuilder, Tensor};
///
/// /// Adds a trainable vector.
/// struct Shift {
///     shift: Tensor,
/// }
///
/// #[derive(Default, serde::Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields, default)]
/// struct Config {
///     /// First value of every shift.
///     start: f64,
/// }
///
/// impl Flow for Shift {
///     type Config = Config;
///     const NAME: &'static str = "shift";
///     const DESCRIPTION: &'static str = "Adds a trainable vector.";
///     const CIRCULAR: bool = false;
///
///     fn build(config: Config, features: &[Feature], parameters: &ParameterBuilder<'_>) -> Result<Self, Error> {
///         let shift = parameters.get("shift", &[1, features.len()], Init::Constant(config.start))?;
///         Ok(Shift { shift })
///     }
///
///     fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor), Error> {
///         let log_det = x.sum(&[1])?.affine(0.0, 0.0)?;
///         Ok(((x + &self.shift)?, log_det))
///     }
///
///     fn inverse(&self, x: &Tensor) -> Result<(Tensor, Tensor), Error> {
///         let log_det = x.sum(&[1])?.affine(0.0, 0.0)?;
///         Ok(((x - &self.shift)?, log_det))
///     }
/// }
///
/// regflow_plugin::plugin! { name: "shift", flows: [Shift] }
/// # fn main() {}
/// ```
///
/// A crate of type `cdylib` that ends with `regflow_plugin::export! {}` as well is a plugin library.
#[macro_export]
macro_rules! plugin {
    (
        name: $name:expr
        $(, flows: [$($flow:ty),* $(,)?])?
        $(, targets: [$($target:ty),* $(,)?])?
        $(, energies: [$($energy:ty),* $(,)?])?
        $(,)?
    ) => {
        /// The table of this plugin.
        pub fn plugin_table() -> &'static $crate::abi::PluginTable {
            use $crate::abi::{EnergyList, PluginTable, Str};
            use ::std::sync::OnceLock;
            static TABLE: OnceLock<PluginTable> = OnceLock::new();
            fn energies() -> &'static EnergyList {
                static ENERGIES: OnceLock<EnergyList> = OnceLock::new();
                ENERGIES.get_or_init(|| {
                    $crate::__private::new_energy_list(vec![$($($crate::__private::energy_table::<$energy>()),*)?])
                })
            }
            unsafe extern "C" fn extension(name: Str) -> *const ::std::ffi::c_void {
                // SAFETY: the host passes a readable name.
                unsafe { $crate::__private::extension(name, energies) }
            }
            TABLE.get_or_init(|| {
                $crate::__private::new_table(
                    $name,
                    env!("CARGO_PKG_VERSION"),
                    vec![$($($crate::__private::flow_table::<$flow>()),*)?],
                    vec![$($($crate::__private::target_table::<$target>()),*)?],
                    extension,
                )
            })
        }
    };
}

/// Exports `plugin_table()` from a shared library, as an abi_stable root module, so that the host can check the layout of
/// [`PluginTable`](crate::abi::PluginTable) and of every type that it names before it calls anything. What comes through
/// `get_extension`, the tables of energies among them, has an untyped pointer: there the sizes alone are compared. (Plugins in C export `regflow_plugin_entry` instead; a library needs just one.)
///
/// Once per library, in the module that has [`plugin!`](crate::plugin). A crate that is also linked into other programs puts it behind a
/// feature of its own. `panic = "abort"` is refused, because a panic must come back to the host as an error.
#[macro_export]
macro_rules! export {
    () => {
        #[cfg(not(panic = "unwind"))]
        compile_error!("a RegFlow plugin must be built with panic = \"unwind\"");

        extern "C" fn __regflow_table() -> *const $crate::abi::PluginTable {
            ::std::panic::catch_unwind(plugin_table).map_or(::std::ptr::null(), |table| table)
        }

        /// The header that the host looks for.
        #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
        pub static REGFLOW_PLUGIN_HEADER: $crate::__private::LibHeader = {
            extern "C" fn load() -> $crate::__private::RootModuleResult {
                $crate::__private::load_root(__regflow_table)
            }
            // SAFETY: `load_root` returns a RootModuleRef.
            unsafe {
                $crate::__private::LibHeader::from_constructor::<$crate::abi::RootModuleRef>(
                    load,
                    $crate::__private::CheckTypeLayout::Yes,
                )
            }
        };
    };
}

/// What the macros need; not for use by hand.
#[doc(hidden)]
pub mod private {
    pub use super::{extension, new_energy_list, new_table};
    pub use crate::energy::energy_table;
    pub use crate::flow::flow_table;
    pub use crate::target::target_table;
    pub use abi_stable::library::{CheckTypeLayout, LibHeader, RootModuleResult};

    use crate::abi::{PluginTable, RootModuleFields, RootModuleRef};
    use abi_stable::prefix_type::{PrefixRefTrait, PrefixTypeTrait};

    /// The root module around `table`.
    pub fn load_root(table: extern "C" fn() -> *const PluginTable) -> RootModuleResult {
        let root: RootModuleRef = RootModuleFields { table }.leak_into_prefix();
        // SAFETY: erased here, restored by the host after its check of the layout.
        abi_stable::std_types::ROk(unsafe { root.to_prefix_ref().cast() })
    }
}

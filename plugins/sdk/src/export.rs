//! The macros that end a plugin.

use crate::abi::{ABI_MAJOR, ABI_MINOR, KindList, MAGIC, PluginTable, Str, Table};

/// Makes the table of a plugin; used by [`plugin!`](crate::plugin).
pub fn new_table(name: &'static str, version: &'static str, kinds: Vec<KindList>) -> PluginTable {
    let kinds = kinds.leak();
    PluginTable {
        magic: MAGIC,
        struct_size: size_of::<PluginTable>() as u64,
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        name: Str::new(name),
        version: Str::new(version),
        kinds: kinds.as_ptr(),
        n_kinds: kinds.len() as u64,
    }
}

/// Makes the list of a plugin's tables of one kind; used by [`plugin!`](crate::plugin).
pub fn new_list<T: Table>(tables: Vec<&'static T>) -> KindList {
    let tables = tables.leak();
    KindList {
        kind: T::KIND,
        reserved: 0,
        // A reference and a const pointer have the same layout.
        tables: tables.as_ptr().cast(),
        n_tables: tables.len() as u64,
    }
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
/// Lists: `flows` ([`Flow`](crate::Flow)), `fields` ([`Field`](crate::Field)), `targets`
/// ([`TargetSource`](crate::TargetSource)), `energies` ([`EnergySource`](crate::EnergySource)).
///
/// A crate of type `cdylib` that ends with `regflow_plugin::export! {}` as well is a plugin library.
#[macro_export]
macro_rules! plugin {
    (name: $name:expr $(, $kind:ident: [$($item:ty),* $(,)?])* $(,)?) => {
        /// The table of this plugin.
        pub fn plugin_table() -> &'static $crate::abi::PluginTable {
            use $crate::__private;
            static TABLE: ::std::sync::OnceLock<$crate::abi::PluginTable> = ::std::sync::OnceLock::new();
            TABLE.get_or_init(|| {
                let kinds = vec![$(
                    __private::new_list::<__private::$kind::Table>(vec![$(__private::$kind::table::<$item>()),*])
                ),*];
                __private::new_table($name, env!("CARGO_PKG_VERSION"), kinds)
            })
        }
    };
}

/// Exports `plugin_table()` from a shared library, as an abi_stable root module, so that the host can check the layout of
/// [`PluginTable`](crate::abi::PluginTable) before it calls anything. (Plugins in C export `regflow_plugin_entry` instead; a
/// library needs just one.)
///
/// Once per library, in the module that has [`plugin!`](crate::plugin). A crate that is also linked into other programs puts it behind a
/// feature of its own. `panic = "abort"` is refused, because a panic must come back to the host as an error.
#[macro_export]
macro_rules! export {
    () => {
        #[cfg(not(panic = "unwind"))]
        compile_error!("a RegFlow plugin must be built with panic = \"unwind\"");

        extern "C" fn __regflow_table() -> *const $crate::abi::PluginTable {
            $crate::__private::exported(plugin_table)
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
    pub use super::{new_list, new_table};
    pub use abi_stable::library::{CheckTypeLayout, LibHeader, RootModuleResult};

    use crate::abi::{PluginTable, RootModuleFields, RootModuleRef};
    use crate::host;
    use abi_stable::prefix_type::{PrefixRefTrait, PrefixTypeTrait};

    /// The table of a library, null if it cannot be made. From now on panics of this library come back as errors in silence.
    pub fn exported(table: fn() -> &'static PluginTable) -> *const PluginTable {
        host::silence();
        match host::catch(table) {
            Ok(table) => table,
            Err(payload) => {
                // Dropping a payload can panic again.
                std::mem::forget(payload);
                std::ptr::null()
            }
        }
    }

    /// The root module around `table`.
    pub fn load_root(table: extern "C" fn() -> *const PluginTable) -> RootModuleResult {
        let root: RootModuleRef = RootModuleFields { table }.leak_into_prefix();
        // SAFETY: erased here, restored by the host after its check of the layout.
        abi_stable::std_types::ROk(unsafe { root.to_prefix_ref().cast() })
    }
}

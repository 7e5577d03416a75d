//! A library whose root module looks like that of a RegFlow plugin, but is of another interface version, or (feature
//! `layout`) of the same version with other types.

use abi_stable::StableAbi;
use abi_stable::library::{CheckTypeLayout, LibHeader, RootModule, RootModuleResult};
use abi_stable::prefix_type::{PrefixRefTrait, PrefixTypeTrait};
use abi_stable::sabi_types::VersionStrings;

/// A table that is not RegFlow's.
#[repr(C)]
#[derive(StableAbi)]
pub struct PluginTable {
    /// Not a magic number.
    pub magic: f64,
}

/// Has the same name as RegFlow's.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = RootModuleRef, prefix_fields = RootPrefix)))]
pub struct RootModuleFields {
    /// A function of the same name.
    #[sabi(last_prefix_field)]
    pub table: extern "C" fn() -> *const PluginTable,
}

impl RootModule for RootModuleRef {
    abi_stable::declare_root_module_statics! {RootModuleRef}
    const BASE_NAME: &'static str = "regflow_plugin";
    const NAME: &'static str = "regflow_plugin";
    const VERSION_STRINGS: VersionStrings = VersionStrings::new(if cfg!(feature = "layout") {
        "1.0.0"
    } else {
        "2.3.0"
    });
}

extern "C" fn table() -> *const PluginTable {
    std::ptr::null()
}

extern "C" fn load() -> RootModuleResult {
    let root: RootModuleRef = RootModuleFields { table }.leak_into_prefix();
    // SAFETY: erased here, restored by the host after its check of the layout.
    abi_stable::std_types::ROk(unsafe { root.to_prefix_ref().cast() })
}

/// The header that the host looks for.
#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
// SAFETY: `load` returns a RootModuleRef.
pub static HEADER: LibHeader =
    unsafe { LibHeader::from_constructor::<RootModuleRef>(load, CheckTypeLayout::Yes) };

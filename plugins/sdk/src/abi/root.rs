//! The abi_stable root module of plugins written in Rust.

use super::PluginTable;
use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::sabi_types::VersionStrings;

/// Name of the interface in abi_stable's messages.
pub const ROOT_NAME: &str = "regflow_plugin";

/// What a plugin written in Rust exports. The typed pointer makes abi_stable compare the layouts of the
/// table and of all types that it names.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = RootModuleRef, prefix_fields = RootPrefix)))]
pub struct RootModuleFields {
    /// The plugin's table; null if it cannot be made.
    #[sabi(last_prefix_field)]
    pub table: extern "C" fn() -> *const PluginTable,
}

impl RootModule for RootModuleRef {
    abi_stable::declare_root_module_statics! {RootModuleRef}
    const BASE_NAME: &'static str = ROOT_NAME;
    const NAME: &'static str = ROOT_NAME;
    const VERSION_STRINGS: VersionStrings = VersionStrings::new("1.0.0");
}

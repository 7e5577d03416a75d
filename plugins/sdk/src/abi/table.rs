//! What a library offers: tables by kind, each with the same head.

use super::{BuildInfo, InstanceHandle, Str};
use abi_stable::StableAbi;
use core::ffi::c_void;

/// The beginning of every table of a kind.
#[repr(C)]
pub struct TableHead {
    /// `sizeof` the whole table.
    pub struct_size: u64,
    /// Flags of the kind.
    pub flags: u64,
    /// Name: lower case, digits, `-` and `_`.
    pub name: Str,
    /// One sentence.
    pub description: Str,
    /// JSON schema of the configuration.
    pub config_schema: Str,
    /// Builds an instance from its configuration.
    pub create:
        unsafe extern "C" fn(info: *const BuildInfo, instance: *mut *mut InstanceHandle) -> i32,
    /// Frees an instance; null is ignored.
    pub destroy: unsafe extern "C" fn(instance: *mut InstanceHandle),
}

/// A table of one kind: what a host must know to read one that was made by an older or newer plugin.
///
/// # Safety
/// The type is `repr(C)`, starts with a [`TableHead`], and is the only one with its `KIND`; `FUNCTIONS` are places of function
/// pointers in it, and what lies beyond `FIRST_SIZE` may be zero bytes.
pub unsafe trait Table: Send + Sync + 'static {
    /// [`KindList::kind`]: tables of one kind.
    const KIND: u32;
    /// The kind in messages.
    const NAME: &'static str;
    /// Smallest size: that of version 1.0 without what is optional at its end.
    const FIRST_SIZE: usize;
    /// Functions that may not be null, with their places.
    const FUNCTIONS: &'static [(&'static str, usize)];
}

/// End of the last of these functions.
pub(crate) const fn end_of(functions: &[(&str, usize)]) -> usize {
    let (mut end, mut place) = (0, 0);
    while place < functions.len() {
        let this = functions[place].1 + size_of::<unsafe extern "C" fn()>();
        if this > end {
            end = this;
        }
        place += 1;
    }
    end
}

/// Implements [`Table`]: kind, name, and the functions of version 1.0 that are not optional.
macro_rules! table {
    ($table:ty, $kind:expr, $name:literal, [$($function:ident),* $(,)?]) => {
        // SAFETY: immutable, and its functions may be called from any thread.
        unsafe impl Send for $table {}
        // SAFETY: as above.
        unsafe impl Sync for $table {}
        // SAFETY: the places are those of functions, and optional functions are `Option`s, for which zero is `None`.
        unsafe impl $crate::abi::Table for $table {
            const KIND: u32 = $kind;
            const NAME: &'static str = $name;
            const FIRST_SIZE: usize = $crate::abi::end_of(Self::FUNCTIONS);
            const FUNCTIONS: &'static [(&'static str, usize)] = &[
                ("create", core::mem::offset_of!($table, head.create)),
                ("destroy", core::mem::offset_of!($table, head.destroy)),
                $((stringify!($function), core::mem::offset_of!($table, $function))),*
            ];
        }
    };
}
pub(crate) use table;

/// The tables of one kind. Comes in arrays, and never grows.
#[repr(C)]
#[derive(StableAbi)]
pub struct KindList {
    /// [`Table::KIND`] of the tables; a host passes over kinds that it does not know.
    pub kind: u32,
    /// 0.
    pub reserved: u32,
    /// Pointers to tables, which begin with a [`TableHead`].
    pub tables: *const *const c_void,
    /// Number of tables.
    pub n_tables: u64,
}

// SAFETY: immutable.
unsafe impl Send for KindList {}
// SAFETY: as above.
unsafe impl Sync for KindList {}

/// What a library offers; lives as long as the process. Never grows: what is new comes as a kind.
#[repr(C)]
#[derive(StableAbi)]
pub struct PluginTable {
    /// [`MAGIC`](super::MAGIC).
    pub magic: u64,
    /// `sizeof(PluginTable)`.
    pub struct_size: u64,
    /// [`ABI_MAJOR`](super::ABI_MAJOR) of the plugin's build.
    pub abi_major: u32,
    /// [`ABI_MINOR`](super::ABI_MINOR) of the plugin's build.
    pub abi_minor: u32,
    /// Name of the plugin.
    pub name: Str,
    /// Its own version.
    pub version: Str,
    /// One list for each kind that it offers.
    pub kinds: *const KindList,
    /// Number of lists.
    pub n_kinds: u64,
}

// SAFETY: immutable.
unsafe impl Send for PluginTable {}
// SAFETY: as above.
unsafe impl Sync for PluginTable {}

//! The plugin ABI, version 1: plain C types that host and plugin exchange. `include/regflow_plugin.h` says the same in C.
//!
//! A library hands out one [`PluginTable`], which lists tables by kind: flows ([`FlowTable`](crate::flow::FlowTable)), velocity
//! fields ([`FieldTable`](crate::field::FieldTable)), target sources ([`TargetTable`](crate::target::TargetTable)), energies
//! ([`EnergyTable`](crate::energy::EnergyTable)). Every table begins with a [`TableHead`].
//!
//! Version 1 is frozen: what stands in these types stays where it is. The interface grows in three ways, none of which keeps
//! older or newer plugins from loading:
//! - by operation codes ([`op`]), whose presence and revision [`HostOps::op_supported`] tells;
//! - by kinds: a host passes over lists of kinds that it does not know;
//! - at the end of types that begin with their `struct_size`. Nobody reads beyond the size that the maker of a value stated:
//!   what lies there is absent. Sizes below those of version 1.0 ([`Grown::FIRST_SIZE`], [`Table::FIRST_SIZE`]) are refused.
//!
//! [`PluginTable`], [`KindList`] and [`Str`] never grow: abi_stable compares their layouts when a plugin written in Rust is
//! loaded, and refuses any difference. The other types are behind untyped pointers, where only their sizes are compared, so that
//! growth is no difference.
//!
//! Rules for every function here:
//! - It returns [`STATUS_OK`] or another `STATUS_*`; then a message is in the host's thread-local slot
//!   ([`HostOps::set_error`], [`HostOps::last_error`]).
//! - Inputs are borrowed for the call. An output carries one reference, which the receiver releases, and is written only
//!   on success.
//! - No panic, exception or `longjmp` crosses: both sides guard their functions.
//! - Every function of a table is there, unless it is said to be optional: the host refuses a library with a null one.
//! - What a plugin built is called from any thread, and from several at once.

mod grown;
mod host;
pub mod op;
mod root;
mod table;

pub(crate) use grown::grown;
pub use grown::{Grown, read};
pub use host::{BuildInfo, FeatureDescription, HostOps};
pub use root::{ROOT_NAME, RootModuleFields, RootModuleRef, RootPrefix};
pub use table::{KindList, PluginTable, Table, TableHead};
pub(crate) use table::{end_of, table};

use abi_stable::StableAbi;

/// Major version of the interface; host and plugin must have the same.
pub const ABI_MAJOR: u32 = 1;
/// Minor version of the interface: grows with what is added to it. Any minor version loads.
pub const ABI_MINOR: u32 = 0;
/// First field of a [`PluginTable`]: "RGFLWPLG" read as a big-endian number.
pub const MAGIC: u64 = u64::from_be_bytes(*b"RGFLWPLG");
/// Symbol that a plugin written in C exports: `const regflow_plugin_table_t *regflow_plugin_entry(void)`.
pub const C_ENTRY: &str = "regflow_plugin_entry";

/// Success.
pub const STATUS_OK: i32 = 0;
/// Failure; the message slot says why.
pub const STATUS_ERROR: i32 = 1;
/// A panic was caught; the message slot holds its text.
pub const STATUS_PANIC: i32 = 2;

/// A tensor, opaque to plugins: reference-counted, owned by the host.
#[repr(C)]
pub struct TensorHandle {
    opaque: [u8; 0],
}

/// The host's side of one table of operations (its device); opaque to plugins.
#[repr(C)]
pub struct HostContext {
    opaque: [u8; 0],
}

/// The host's parameter store during [`TableHead::create`]; opaque to plugins.
#[repr(C)]
pub struct BuildHandle {
    opaque: [u8; 0],
}

/// What a plugin built, opaque to the host.
#[repr(C)]
pub struct InstanceHandle {
    opaque: [u8; 0],
}

/// UTF-8 text, borrowed; not terminated.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct Str {
    /// First byte; may be null where `len` is 0.
    pub ptr: *const u8,
    /// Number of bytes.
    pub len: u64,
}

impl Str {
    /// Borrows `text`; valid as long as `text` is.
    pub const fn new(text: &str) -> Self {
        Str {
            ptr: text.as_ptr(),
            len: text.len() as u64,
        }
    }

    /// The text, with invalid UTF-8 replaced.
    ///
    /// # Safety
    /// `ptr` must be readable for `len` bytes, or null.
    pub unsafe fn to_text(&self) -> String {
        if self.ptr.is_null() {
            return String::new();
        }
        // SAFETY: the caller vouches for pointer and length.
        let bytes = unsafe { core::slice::from_raw_parts(self.ptr, self.len as usize) };
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// A named argument of an operation. Comes in arrays, and never grows.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Attr {
    /// One of [`op::key`].
    pub key: u32,
    /// [`ATTR_FLOAT`] or [`ATTR_INTS`].
    pub kind: u32,
    /// The value where `kind` is [`ATTR_FLOAT`].
    pub float: f64,
    /// `len` values where `kind` is [`ATTR_INTS`]; borrowed for the call.
    pub ints: *const i64,
    /// Number of `ints`.
    pub len: u64,
}

/// [`Attr::float`] holds the value.
pub const ATTR_FLOAT: u32 = 0;
/// [`Attr::ints`] holds the value.
pub const ATTR_INTS: u32 = 1;

/// All values 0.
pub const INIT_ZEROS: u32 = 0;
/// All values 1.
pub const INIT_ONES: u32 = 1;
/// All values equal to `value`.
pub const INIT_CONSTANT: u32 = 2;
/// Normal with mean 0 and standard deviation `value`.
pub const INIT_NORMAL: u32 = 3;
/// Uniform in `[-value, value)`.
pub const INIT_UNIFORM: u32 = 4;

/// [`FeatureDescription::kind`]: any real number.
pub const FEATURE_REAL: u32 = 0;
/// [`FeatureDescription::kind`]: an angle in `(-pi, pi]`.
pub const FEATURE_CIRCULAR: u32 = 1;

/// The text of a caught panic.
pub fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "panic without a text"
    }
}

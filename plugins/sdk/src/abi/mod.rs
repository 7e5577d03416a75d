//! The plugin ABI, version 1. These types are frozen: growth is by operation codes (`op`), by new minor versions that add
//! names to `get_extension`, never by appending to a type.

pub mod op;

use abi_stable::StableAbi;

/// A named argument of an operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
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

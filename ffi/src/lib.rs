//! The C ABI of RegFlow: everything that `include/regflow.h` declares, and nothing else, is exported by `libregflow`.
//!
//! Each function is one call of `status::guard`, which turns errors and panics into a status and a message;
//! `arguments` has the checks of what a caller passed in.

#[cfg(panic = "abort")]
compile_error!("libregflow turns panics into error codes: build it with panic = \"unwind\"");

use std::ffi::{CStr, c_char};

mod arguments;
mod density;
mod energy;
mod failure;
#[cfg(test)]
mod faults;
mod handle;
mod library;
mod maps;
mod model;
mod moves;
mod status;
mod topology;
mod train;
mod units;
mod weights;

/// Revision of this interface. It grows by one with every release that adds a function; what is there stays.
/// A program that needs something "since 2" checks `regflow_api_version() >= 2`.
pub const REGFLOW_API_VERSION: u32 = 1;

/// Revision of the interface of the library that is loaded (`REGFLOW_API_VERSION` is that of the header).
///
/// Safe to call from any thread. Since 1.
#[unsafe(no_mangle)]
pub extern "C" fn regflow_api_version() -> u32 {
    REGFLOW_API_VERSION
}

/// Version of the library, such as "0.1.0": NUL-terminated, owned by the library, valid until the process ends.
///
/// Safe to call from any thread. Since 1.
#[unsafe(no_mangle)]
pub extern "C" fn regflow_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => panic!("a package version has no NUL inside"),
        };
    VERSION.as_ptr()
}

//! Calls of engines whose C++ exceptions come back as errors.

use std::ffi::{CStr, c_char, c_int, c_void};

/// The text of an exception that an engine threw.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Exception(pub String);

unsafe extern "C" {
    fn regflow_engine_guard(
        body: unsafe extern "C-unwind" fn(*mut c_void),
        data: *mut c_void,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
}

/// Runs `body`, which calls an engine and does nothing that could panic: a panic must not meet the C++ handler.
///
/// # Errors
/// What the engine threw.
pub fn guarded<T>(body: impl FnOnce() -> T) -> Result<T, Exception> {
    let mut result = None;
    let mut message = [0u8; 2048];
    let status = run(|| result = Some(body()), &mut message);
    let text = CStr::from_bytes_until_nul(&message).unwrap_or_default();
    match result {
        Some(result) if status == 0 => Ok(result),
        _ => Err(Exception(text.to_string_lossy().trim().into())),
    }
}

fn run<F: FnOnce()>(body: F, message: &mut [u8]) -> c_int {
    unsafe extern "C-unwind" fn call<F: FnOnce()>(data: *mut c_void) {
        // SAFETY: `data` is the option below, for the time of the call.
        if let Some(body) = unsafe { (*data.cast::<Option<F>>()).take() } {
            body();
        }
    }
    let mut body = Some(body);
    // SAFETY: `call` gets its own type's data, and the message has the capacity given.
    unsafe {
        regflow_engine_guard(
            call::<F>,
            (&raw mut body).cast(),
            message.as_mut_ptr().cast(),
            message.len(),
        )
    }
}

//! Status codes, the last error of a thread, and the guard around every function.

use std::any::Any;
use std::cell::RefCell;
use std::error::Error;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use regflow_core::flow::FlowError;
use regflow_core::tensor::TensorError;

/// What every function returns: `REGFLOW_SUCCESS` or one of the `REGFLOW_ERROR_` codes. Later versions may add codes.
pub type Status = i32;

/// The call did what it says.
pub const REGFLOW_SUCCESS: i32 = 0;
/// An argument is NULL, out of range or malformed.
pub const REGFLOW_ERROR_ARGUMENT: i32 = 1;
/// An array that was passed is not as long as the call needs.
pub const REGFLOW_ERROR_LENGTH: i32 = 2;
/// A file cannot be opened or read.
pub const REGFLOW_ERROR_IO: i32 = 3;
/// A file is damaged, is no model, or was written by a version that this one does not understand.
pub const REGFLOW_ERROR_MODEL: i32 = 4;
/// The device does not exist, or this library was built without support for it.
pub const REGFLOW_ERROR_DEVICE: i32 = 5;
/// A computation failed, for instance for want of memory on the device.
pub const REGFLOW_ERROR_COMPUTE: i32 = 6;
/// A fault of the library itself: please report it together with the message.
pub const REGFLOW_ERROR_INTERNAL: i32 = 255;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("argument `{argument}` is NULL")]
    Null { argument: &'static str },
    #[error("argument `{argument}` is not valid UTF-8")]
    NotUtf8 { argument: &'static str },
    #[error("argument `{argument}` is not aligned for its type")]
    Misaligned { argument: &'static str },
    #[error("argument `{argument}` is {given}, which is more than memory can hold")]
    TooLarge {
        argument: &'static str,
        given: usize,
    },
    #[error(
        "arguments `first_index` ({first_index}) and `n` ({n}) add up to more than 2^64 samples"
    )]
    IndexOverflow { first_index: u64, n: usize },
    #[error(
        "argument `{argument}` is {given}, but {n} configurations of {per_configuration} numbers each need {needed}"
    )]
    Length {
        argument: &'static str,
        given: usize,
        needed: usize,
        n: usize,
        per_configuration: usize,
    },
    #[error("argument `device`")]
    Device(#[source] Box<TensorError>),
    #[error("argument `path`: cannot open \"{}\"", path.display())]
    Open {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("argument `path`: cannot load a model from \"{}\"", path.display())]
    Model {
        path: PathBuf,
        source: Box<FlowError>,
    },
    #[error("the model cannot be evaluated")]
    Compute(#[source] Box<FlowError>),
}

impl Failure {
    fn status(&self) -> Status {
        match self {
            Self::Null { .. }
            | Self::NotUtf8 { .. }
            | Self::Misaligned { .. }
            | Self::TooLarge { .. }
            | Self::IndexOverflow { .. } => REGFLOW_ERROR_ARGUMENT,
            Self::Length { .. } => REGFLOW_ERROR_LENGTH,
            Self::Device(error) => match **error {
                TensorError::UnknownDevice { .. } => REGFLOW_ERROR_ARGUMENT,
                _ => REGFLOW_ERROR_DEVICE,
            },
            Self::Open { .. } => REGFLOW_ERROR_IO,
            Self::Model { .. } => REGFLOW_ERROR_MODEL,
            Self::Compute(_) => REGFLOW_ERROR_COMPUTE,
        }
    }

    /// The message with those of its causes, except causes that the message before quotes already.
    fn message(&self) -> String {
        let mut message = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            cause = error.source();
        }
        message
    }
}

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Runs the body of one function. Whatever happens in it, a status comes out and, on failure, the message is kept for
/// `regflow_last_error`. A panic never gets past this point: it would end the caller's process.
pub(crate) fn guard(function: &'static str, body: impl FnOnce() -> Result<(), Failure>) -> Status {
    // The outer guard covers the recording of the error and the dropping of a panic's payload.
    catch_unwind(AssertUnwindSafe(|| {
        let (status, message) = match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(())) => return REGFLOW_SUCCESS,
            Ok(Err(failure)) => (failure.status(), failure.message()),
            Err(payload) => (
                REGFLOW_ERROR_INTERNAL,
                format!("internal error: {}", panic_message(&*payload)),
            ),
        };
        record(format!("{function}: {message}"));
        status
    }))
    .unwrap_or(REGFLOW_ERROR_INTERNAL)
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic without a message")
}

fn record(message: String) {
    let message = CString::new(message.replace('\0', "\u{fffd}")).unwrap_or_default();
    // The slot is gone while a thread ends: then the status alone has to do.
    let _ = LAST_ERROR.try_with(|slot| slot.replace(message));
}

/// Message of the last call that failed on the calling thread: UTF-8, NUL-terminated, never NULL, empty if none failed.
/// A call that succeeds leaves it as it is.
///
/// The text is owned by the library and valid until the next call fails on this thread, or the thread ends. Each thread
/// has its own. Since 1.
#[unsafe(no_mangle)]
pub extern "C" fn regflow_last_error() -> *const c_char {
    catch_unwind(|| {
        LAST_ERROR
            .try_with(|slot| slot.borrow().as_ptr())
            .unwrap_or(c"".as_ptr())
    })
    .unwrap_or(c"".as_ptr())
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    fn last_error() -> String {
        // SAFETY: the pointer is to a NUL-terminated string, and no call fails before it is copied.
        unsafe { CStr::from_ptr(regflow_last_error()) }
            .to_string_lossy()
            .into_owned()
    }

    #[test]
    fn a_panic_becomes_a_status_and_a_message() {
        let status = guard("regflow_test", || panic!("index {} of {}", 7, 3));
        assert_eq!(status, REGFLOW_ERROR_INTERNAL);
        assert_eq!(last_error(), "regflow_test: internal error: index 7 of 3");
        assert_eq!(
            guard("regflow_test", || panic!("fixed text")),
            REGFLOW_ERROR_INTERNAL
        );
        assert_eq!(last_error(), "regflow_test: internal error: fixed text");
        assert_eq!(
            guard("regflow_test", || std::panic::panic_any(7)),
            REGFLOW_ERROR_INTERNAL
        );
        assert_eq!(
            last_error(),
            "regflow_test: internal error: panic without a message"
        );
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_caught() {
        struct Mine;
        impl Drop for Mine {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        assert_eq!(
            guard("regflow_test", || std::panic::panic_any(Mine)),
            REGFLOW_ERROR_INTERNAL
        );
    }

    #[test]
    fn success_keeps_the_message_and_threads_do_not_share_it() {
        assert_eq!(
            guard("regflow_test", || Err(Failure::Null { argument: "model" })),
            REGFLOW_ERROR_ARGUMENT
        );
        assert_eq!(guard("regflow_test", || Ok(())), REGFLOW_SUCCESS);
        assert_eq!(last_error(), "regflow_test: argument `model` is NULL");
        assert_eq!(
            std::thread::spawn(last_error).join().ok().as_deref(),
            Some("")
        );
    }

    #[test]
    fn messages_hold_their_causes_and_no_nul() {
        let source = std::io::Error::new(std::io::ErrorKind::NotFound, "no\0such file");
        guard("regflow_test", || {
            Err(Failure::Open {
                path: "a.safetensors".into(),
                source,
            })
        });
        assert_eq!(
            last_error(),
            "regflow_test: argument `path`: cannot open \"a.safetensors\": no\u{fffd}such file"
        );
    }
}

//! The guard around every function, and the last error of a thread.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use regflow_core::parallel;

use crate::arguments::text;
use crate::failure::{Failure, REGFLOW_ERROR_INTERNAL, REGFLOW_SUCCESS, Status};

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
    /// Whether a call is in progress on this thread.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Keeps panics that are caught here from writing to the standard error of the caller's program: their text is in the last
/// error. Those of other threads than the caller's and the library's are none of ours.
fn silence() {
    static SILENCED: Once = Once::new();
    SILENCED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let guarded = GUARDED.try_with(Cell::get).unwrap_or(false);
            if !guarded && !parallel::is_worker() {
                before(panic);
            }
        }));
    });
}

/// Marks this thread as guarded; a callback may be inside another call.
struct Guarded(bool);

impl Guarded {
    fn new() -> Self {
        silence();
        Guarded(
            GUARDED
                .try_with(|guarded| guarded.replace(true))
                .unwrap_or(false),
        )
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = GUARDED.try_with(|guarded| guarded.set(self.0));
    }
}

/// As [`guard`], for a function that computes: it needs the threads, which a forked process does not have.
pub(crate) fn compute(
    function: &'static str,
    body: impl FnOnce() -> Result<(), Failure>,
) -> Status {
    guard(function, || {
        parallel::start()?;
        body()
    })
}

/// Runs the body of one function. Whatever happens in it, a status comes out and, on failure, the message is kept for
/// `regflow_last_error`. A panic never gets past this point: it would end the caller's process.
pub(crate) fn guard(function: &'static str, body: impl FnOnce() -> Result<(), Failure>) -> Status {
    // The outer guard covers the recording of the error and the dropping of a panic's payload.
    #[cfg(test)]
    let body = || {
        fault::strike(function);
        body()
    };
    catch_unwind(AssertUnwindSafe(|| {
        let _guarded = Guarded::new();
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

/// Panics on demand inside every function, to show that none gets out.
#[cfg(test)]
pub(crate) mod fault {
    use std::cell::Cell;

    thread_local! {
        static STRIKES: Cell<bool> = const { Cell::new(false) };
    }

    /// Makes every function that this thread calls panic, or no longer.
    pub(crate) fn arm(strikes: bool) {
        STRIKES.set(strikes);
    }

    pub(super) fn strike(function: &str) {
        if STRIKES.get() {
            panic!("a fault inside {function}");
        }
    }
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

/// Sets the message that `regflow_last_error` gives on the calling thread: for a callback, before it returns a status other
/// than 0, to say why. The function of this library that called it then fails with `REGFLOW_ERROR_CALLBACK` and a message
/// that contains this one.
///
/// `message` is copied. Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from any thread. Since 1.
///
/// # Safety
/// `message` is a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_set_last_error(message: *const c_char) -> Status {
    guard("regflow_set_last_error", || {
        // SAFETY: the caller vouches for the string.
        record(unsafe { text("message", message) }?.to_owned());
        Ok(())
    })
}

/// Runs a callback of the caller's. On failure its status and the message that it set come back; in any case the message
/// before the call stays, and stays where it is in memory: the caller may have a pointer to it.
pub(crate) fn call_back(callback: impl FnOnce() -> i32) -> Result<(), (i32, String)> {
    let before = LAST_ERROR.try_with(RefCell::take).unwrap_or_default();
    let status = callback();
    let message = LAST_ERROR.try_with(|slot| slot.replace(before));
    match status {
        0 => Ok(()),
        _ => Err((status, message.unwrap_or_default().to_string_lossy().into())),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;
    use crate::failure::REGFLOW_ERROR_ARGUMENT;

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

    /// In a process of its own, whose standard error is looked at.
    #[test]
    fn caught_panics_write_nothing() {
        let itself = std::env::current_exe().unwrap();
        let output = std::process::Command::new(itself)
            .args(["--exact", "--nocapture"])
            .args(["status::tests::a_panic_becomes_a_status_and_a_message"])
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains("1 passed"), "{printed}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
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
    fn callbacks_have_messages_of_their_own() {
        guard("regflow_test", || Err(Failure::Null { argument: "model" }));
        let before = regflow_last_error();
        let fail = || {
            record("mine".into());
            7
        };
        assert_eq!(call_back(|| fail() - 7), Ok(()));
        assert_eq!(call_back(fail), Err((7, "mine".into())));
        assert_eq!(call_back(|| 1), Err((1, String::new())));
        assert_eq!(last_error(), "regflow_test: argument `model` is NULL");
        assert_eq!(regflow_last_error(), before);
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

//! Status codes, the last error of a thread, and the guard around every function.

use std::any::Any;
use std::cell::RefCell;
use std::error::Error;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use regflow_core::energy::EnergyError;
use regflow_core::flow::FlowError;
use regflow_core::plugin::PluginError;
use regflow_core::sample::{MoveError, SampleError};
use regflow_core::system::SystemError;
use regflow_core::tensor::TensorError;
use regflow_core::train::TrainError;

use crate::arguments::text;
use crate::energy::CallbackError;

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
/// A plugin, or the library of an engine, is missing or cannot be used.
pub const REGFLOW_ERROR_PLUGIN: i32 = 7;
/// A callback of the caller's failed; the message has its status, and what it passed to `regflow_set_last_error`.
pub const REGFLOW_ERROR_CALLBACK: i32 = 8;
/// A call at the wrong time: a handle that was freed or is in use by another thread, a decision without a proposal, a state
/// of another move.
pub const REGFLOW_ERROR_STATE: i32 = 9;
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
    #[error("argument `{argument}`: {what}; expected {expected}")]
    Range {
        argument: &'static str,
        what: String,
        expected: &'static str,
    },
    #[error(
        "argument `{argument}`: its struct_size is {found}, a {name} of this version has {expected} bytes: set struct_size to \
         sizeof({name})"
    )]
    StructSize {
        argument: &'static str,
        name: &'static str,
        expected: usize,
        found: usize,
    },
    #[error(
        "argument `{argument}`: fields of {name} that this version of the library does not know are set: use a newer library"
    )]
    StructNewer {
        argument: &'static str,
        name: &'static str,
    },
    #[error("argument `{argument}` was freed")]
    Freed { argument: &'static str },
    #[error("argument `{argument}` is in use by another call")]
    Busy { argument: &'static str },
    #[error("argument `{argument}` is no {expected}")]
    WrongHandle {
        argument: &'static str,
        expected: &'static str,
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
    #[error("argument `{argument}` is {given}, but {needed} are needed")]
    Capacity {
        argument: &'static str,
        given: usize,
        needed: usize,
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
    #[error("argument `bytes`: cannot load a model")]
    ModelBytes(#[source] Box<FlowError>),
    #[error("argument `path`")]
    Save(#[source] Box<FlowError>),
    #[error("the model cannot be evaluated")]
    Compute(#[source] Box<FlowError>),
    #[error("argument `source`")]
    LoadEnergy(#[source] Box<EnergyError>),
    #[error("the energy cannot be evaluated")]
    Energy(#[source] Box<EnergyError>),
    #[error("argument `path`")]
    Plugin(#[source] Box<PluginError>),
    #[error(transparent)]
    Move(Box<MoveError>),
    #[error(transparent)]
    Weights(#[from] SampleError),
    #[error("argument `topology`")]
    Topology(#[source] Box<SystemError>),
    #[error("argument `config`")]
    Config(#[source] serde_json::Error),
    #[error(transparent)]
    Train(Box<TrainError>),
}

impl From<MoveError> for Failure {
    fn from(error: MoveError) -> Self {
        Self::Move(Box::new(error))
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        Self::Train(Box::new(error))
    }
}

/// The code of an energy that fails when it is evaluated.
fn evaluation(error: &EnergyError) -> Status {
    match error {
        EnergyError::External(error) if error.is::<CallbackError>() => REGFLOW_ERROR_CALLBACK,
        _ => REGFLOW_ERROR_COMPUTE,
    }
}

impl Failure {
    fn status(&self) -> Status {
        match self {
            Self::Null { .. }
            | Self::NotUtf8 { .. }
            | Self::Misaligned { .. }
            | Self::TooLarge { .. }
            | Self::Range { .. }
            | Self::StructSize { .. }
            | Self::StructNewer { .. }
            | Self::WrongHandle { .. }
            | Self::IndexOverflow { .. }
            | Self::Config(_) => REGFLOW_ERROR_ARGUMENT,
            Self::Freed { .. } | Self::Busy { .. } => REGFLOW_ERROR_STATE,
            Self::Length { .. } | Self::Capacity { .. } => REGFLOW_ERROR_LENGTH,
            Self::Device(error) => match **error {
                TensorError::UnknownDevice { .. } => REGFLOW_ERROR_ARGUMENT,
                _ => REGFLOW_ERROR_DEVICE,
            },
            Self::Open { .. } | Self::Save(_) | Self::Topology(_) => REGFLOW_ERROR_IO,
            Self::Model { .. } | Self::ModelBytes(_) => REGFLOW_ERROR_MODEL,
            Self::LoadEnergy(error) => match **error {
                EnergyError::Read { .. } => REGFLOW_ERROR_IO,
                _ => REGFLOW_ERROR_ARGUMENT,
            },
            Self::Energy(error) => evaluation(error),
            Self::Plugin(_) => REGFLOW_ERROR_PLUGIN,
            Self::Move(error) => match &**error {
                MoveError::Length { .. } => REGFLOW_ERROR_LENGTH,
                MoveError::NothingProposed | MoveError::State { .. } => REGFLOW_ERROR_STATE,
                MoveError::Flow(_) => REGFLOW_ERROR_COMPUTE,
                MoveError::Potential(error) => evaluation(error),
                _ => REGFLOW_ERROR_ARGUMENT,
            },
            Self::Train(error) => match &**error {
                TrainError::Option { .. }
                | TrainError::NoStage
                | TrainError::Missing { .. }
                | TrainError::TooFewFrames { .. } => REGFLOW_ERROR_ARGUMENT,
                TrainError::Energy(error) => evaluation(error),
                _ => REGFLOW_ERROR_COMPUTE,
            },
            Self::Compute(_) | Self::Weights(_) => REGFLOW_ERROR_COMPUTE,
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
    #[cfg(test)]
    let body = || {
        fault::strike(function);
        body()
    };
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

/// Takes the message of the calling thread, which a callback may have set.
pub(crate) fn take_message() -> String {
    let taken = LAST_ERROR.try_with(|slot| slot.take().to_string_lossy().into_owned());
    taken.unwrap_or_default()
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

//! The plugin's view of the host, and the guard around everything that the host calls.

use crate::abi::{self, HostOps, STATUS_ERROR, STATUS_OK, STATUS_PANIC, Str};
use crate::error::{Error, Result};
use crate::tensor::{Element, Tensor};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// Whether this thread runs what the host called.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Keeps panics that [`catch`] catches from writing to the standard error of the host's program: the host gets their text.
/// For a library with a Rust runtime, and so a hook, of its own: in a program the hook is the program's.
pub(crate) fn silence() {
    static SILENCED: Once = Once::new();
    SILENCED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !GUARDED.try_with(Cell::get).unwrap_or(false) {
                before(panic);
            }
        }));
    });
}

/// Runs `body`; a panic comes back as its payload.
pub(crate) fn catch<T>(body: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    // An operation of the host may call another instance's function.
    let before = GUARDED.try_with(|guarded| guarded.replace(true));
    let result = catch_unwind(AssertUnwindSafe(body));
    let _ = GUARDED.try_with(|guarded| guarded.set(before.unwrap_or(false)));
    result
}

/// The host's operations. The host keeps the table for as long as the process lives.
#[derive(Clone, Copy)]
pub struct Host(&'static HostOps);

impl Host {
    pub(crate) fn new(table: &'static HostOps) -> Self {
        Host(table)
    }

    pub(crate) fn table(&self) -> &'static HostOps {
        self.0
    }

    /// A tensor of row-major values.
    ///
    /// # Errors
    /// The number of values is not the product of `shape`.
    pub fn tensor<T: Element>(&self, values: &[T], shape: &[usize]) -> Result<Tensor> {
        Tensor::from_host(*self, values, shape)
    }

    /// Revision of operation `code` in this host; 0 if it does not have it.
    pub fn supports(&self, code: u32) -> u32 {
        // SAFETY: the context belongs to the table.
        unsafe { (self.0.op_supported)(self.0.context, code) }
    }

    pub(crate) fn check(&self, operation: &'static str, status: i32) -> Result<()> {
        if status == STATUS_OK {
            return Ok(());
        }
        Err(Error::Host {
            operation,
            message: self.last_error(),
        })
    }

    pub(crate) fn last_error(&self) -> String {
        // SAFETY: the message stays valid until this thread's next call.
        unsafe { (self.0.last_error)(self.0.context).to_text() }
    }

    pub(crate) fn set_error(&self, message: &str) {
        // SAFETY: the text outlives the call.
        unsafe { (self.0.set_error)(self.0.context, Str::new(message)) }
    }

    /// Runs `body`; an error or a panic becomes a status with its message in the host's slot.
    pub(crate) fn guard(&self, body: impl FnOnce() -> Result<()>) -> i32 {
        // An author's error is turned into words, and dropped, inside as well: its `Display` and `Drop` may panic.
        let told = || body().map_err(|error| error.to_string());
        match catch(told) {
            Ok(Ok(())) => STATUS_OK,
            Ok(Err(message)) => {
                self.set_error(&message);
                STATUS_ERROR
            }
            Err(payload) => {
                self.set_error(abi::panic_text(&*payload));
                // Dropping a payload can panic again.
                std::mem::forget(payload);
                STATUS_PANIC
            }
        }
    }
}

//! The plugin's view of the host, and the guard around everything that the host calls.

use crate::abi::{self, HostOps, STATUS_ERROR, STATUS_OK, STATUS_PANIC, Str};
use crate::error::{Error, Result};
use crate::tensor::{Element, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};

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
        match catch_unwind(AssertUnwindSafe(told)) {
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

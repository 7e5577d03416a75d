//! Tensors and the operation table: the only part that knows devices and kernels.
//!
//! [`apply`] runs one operation of the table [`regflow_plugin::abi::op`], each with its gradient. An operation has a folder in
//! `ops`: the call with its checks (`mod`), the fused, vectorised and threaded CPU kernel with a backward derived by hand
//! (`cpu`), the composition of candle operations (`composed`), which is for other devices and the independent check of the
//! kernel, and its tests. What the table says is checked for all of them in `call`; what kernels share is in `cpu`.
//!
//! The tensor library candle is named in this module only; others use what it exports here.
//!
//! Candle adds up gradients on threads of its own that wait by spinning, and so get in the way of the fused operations
//! (measured on two cores: without them a step of a small perceptron takes a fifth of the processor time, a training step of 4096
//! rows two fifths). What keeps it from that is done when a model is made; who computes without one calls
//! [`parallel::start`](crate::parallel::start) or [`parallel::set_threads`](crate::parallel::set_threads) before the first
//! operation.

mod call;
mod cpu;
mod device;
mod error;
mod gradients;
mod ops;
mod size;
#[cfg(test)]
mod tests;

pub use candle_core::{DType, Device, Error, Result, Tensor, Var, WithDType};
pub use device::{device, device_name, devices};
pub use error::TensorError;
pub(crate) use gradients::Gradients;
pub use size::{MAX_ENTRIES, check_shape};

use call::Call;
use regflow_plugin::Attribute;
use regflow_plugin::abi::op::{self, Operation};

/// Revision of the operation `code` in this host; 0 for an unknown one.
pub fn supported(code: u32) -> u32 {
    Operation::find(code).map_or(0, |operation| operation.revision)
}

fn last_code() -> u32 {
    op::ALL.iter().copied().max().unwrap_or(0)
}

/// Runs the operation `code`. Inputs, attributes, outputs and formulas: [`regflow_plugin::abi::op`].
///
/// # Errors
/// Unknown operation; wrong number, shape, dtype or device of the inputs; missing, unknown or unusable attributes; a result of
/// more than [`MAX_ENTRIES`] entries, or for which there is no memory; failures of the device. No input makes it panic.
pub fn apply(
    code: u32,
    inputs: &[&Tensor],
    attributes: &[Attribute<'_>],
) -> std::result::Result<Vec<Tensor>, TensorError> {
    dispatch(code, inputs, attributes, true)
}

fn dispatch(
    code: u32,
    inputs: &[&Tensor],
    attributes: &[Attribute<'_>],
    fused: bool,
) -> std::result::Result<Vec<Tensor>, TensorError> {
    let operation = Operation::find(code).ok_or(TensorError::UnknownOperation { code })?;
    ops::run(&Call::new(operation, inputs, attributes, fused)?)
}

/// Keeps candle from starting threads of its own, which wait by spinning, beside the one pool that computes. Candle looks for
/// their number in the environment, once: this sets the variable, unless it is set, and makes candle look.
pub(crate) fn keep_to_one_pool() {
    const VARIABLE: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(VARIABLE).is_none() {
        // SAFETY: the standard library keeps Rust's threads apart. One in C that uses the environment at this very moment is the
        // caller's to avoid, as `parallel::start` and the C header say.
        unsafe { std::env::set_var(VARIABLE, "1") };
    }
    candle_core::utils::barrier_pool();
}

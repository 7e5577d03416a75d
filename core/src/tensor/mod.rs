//! Tensors and the operation table: the only part that knows devices and kernels.
//!
//! [`apply`] runs one operation of [`regflow_plugin::abi::op`], each with its gradient. On the CPU the hot operations are
//! fused, vectorised and threaded, with backwards derived by hand (`fused`); on other devices, and as the independent
//! check in the tests, they are compositions of candle operations (`composite`).
//!
//! Candle adds up gradients on threads of its own that wait by spinning, and so get in the way of the fused operations
//! (measured on two cores: without them a step of a small perceptron takes a fifth of the processor time). A program calls
//! [`parallel::start`](crate::parallel::start) or [`parallel::set_threads`](crate::parallel::set_threads) before the first
//! operation, which keeps it from that.

mod attributes;
mod composite;
mod elementwise;
mod error;
mod fused;
mod gradients;
mod linear;
mod normalise;
mod reduce;
mod shape;
#[cfg(test)]
mod tests;
mod transform;

pub use candle_core::{DType, Device, Tensor, Var};
pub use error::TensorError;
pub(crate) use gradients::Gradients;

use attributes::Call;
use regflow_plugin::abi::{Attr, op};

/// Revision of the operation `code` in this host; 0 for an unknown one.
pub fn supported(code: u32) -> u32 {
    u32::from(op::name(code).is_some())
}

fn last_code() -> u32 {
    op::ALL.iter().copied().max().unwrap_or(0)
}

/// Runs the operation `code`. Inputs, attributes, outputs and formulas: [`regflow_plugin::abi::op`]. The switches `KEEP`,
/// `INVERSE` and `CIRCULAR` are 0 where not given; every other attribute is required.
///
/// # Errors
/// Unknown operation; wrong number, shape, dtype or device of the inputs; missing, unknown or unusable attributes; failures
/// of the device. No input makes it panic.
pub fn apply(code: u32, inputs: &[&Tensor], attrs: &[Attr]) -> Result<Vec<Tensor>, TensorError> {
    dispatch(code, inputs, attrs, true)
}

fn dispatch(
    code: u32,
    inputs: &[&Tensor],
    attrs: &[Attr],
    fused: bool,
) -> Result<Vec<Tensor>, TensorError> {
    let name = op::name(code).ok_or(TensorError::UnknownOperation { code })?;
    let call = Call::new(code, name, inputs, attrs, fused)?;
    let one = |tensor: Result<Tensor, TensorError>| tensor.map(|tensor| vec![tensor]);
    match code {
        op::ADD | op::SUB | op::MUL | op::DIV | op::MAXIMUM | op::MINIMUM => {
            one(elementwise::binary(&call))
        }
        op::EQ | op::NE | op::LT | op::LE | op::GT | op::GE => one(elementwise::compare(&call)),
        op::WHERE => one(elementwise::select(&call)),
        op::SIGN | op::FLOOR => one(elementwise::step(&call)),
        op::AFFINE
        | op::NEG
        | op::ABS
        | op::EXP
        | op::LOG
        | op::SQRT
        | op::SQR
        | op::RECIP
        | op::SIN
        | op::COS
        | op::TANH
        | op::SIGMOID
        | op::SILU
        | op::RELU
        | op::GELU
        | op::SOFTPLUS
        | op::ERF
        | op::POWF
        | op::CLAMP
        | op::WRAP => one(elementwise::unary(&call)),
        op::SUM | op::MEAN => one(reduce::sum(&call)),
        op::MAX | op::MIN => one(reduce::extremum(&call)),
        op::CUMSUM => one(reduce::cumulative_sum(&call)),
        op::LOGSUMEXP | op::SOFTMAX | op::LOG_SOFTMAX => one(normalise::softmax(&call)),
        op::LAYER_NORM => one(normalise::layer_norm(&call)),
        op::MATMUL => one(linear::matmul(&call)),
        op::DENSE => one(linear::dense(&call)),
        op::RESHAPE => one(shape::reshape(&call)),
        op::TRANSPOSE => one(shape::transpose(&call)),
        op::PERMUTE => one(shape::permute(&call)),
        op::NARROW => one(shape::narrow(&call)),
        op::CAT => one(shape::cat(&call)),
        op::GATHER => one(shape::gather(&call)),
        op::INDEX_SELECT => one(shape::index_select(&call)),
        op::BROADCAST_TO => one(shape::broadcast_to(&call)),
        op::DETACH => one(shape::detach(&call)),
        op::CAST => one(shape::cast(&call)),
        op::AFFINE_COUPLING => transform::affine_coupling(&call),
        op::RQ_SPLINE => transform::spline(&call),
        code => Err(TensorError::UnknownOperation { code }),
    }
}

/// The devices that this build can use here, by the names that [`device`] takes: "cpu" first, then the GPUs.
pub fn devices() -> Vec<String> {
    let gpus = (0..)
        .take_while(|&index| {
            candle_core::utils::cuda_is_available() && Device::new_cuda(index).is_ok()
        })
        .map(|index: usize| format!("cuda:{index}"));
    std::iter::once("cpu".to_owned()).chain(gpus).collect()
}

/// The device called `name`: `cpu` or `cuda:N`.
///
/// # Errors
/// A name of another form; a GPU where this build has no CUDA support, or that does not exist.
pub fn device(name: &str) -> Result<Device, TensorError> {
    if name == "cpu" {
        return Ok(Device::Cpu);
    }
    let ordinal = name
        .strip_prefix("cuda:")
        .and_then(|ordinal| ordinal.parse::<usize>().ok())
        .ok_or_else(|| TensorError::UnknownDevice { name: name.into() })?;
    if !candle_core::utils::cuda_is_available() {
        return Err(TensorError::NoCuda { name: name.into() });
    }
    Device::new_cuda(ordinal).map_err(|source| TensorError::Device {
        name: name.into(),
        source,
    })
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

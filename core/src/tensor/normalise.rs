//! Softmax and its relatives, layer normalisation.

use candle_core::Tensor;
use regflow_plugin::abi::op::{self, key};

use super::attributes::Call;
use super::fused::rows::{self, Normalisation};
use super::{TensorError, composite};

/// Softmax, its logarithm, or the log-sum-exp, along one dimension.
pub(super) fn softmax(call: &Call) -> Result<Tensor, TensorError> {
    let reducing = call.code == op::LOGSUMEXP;
    let attributes = call.attributes(if reducing {
        &[key::DIM, key::KEEP]
    } else {
        &[key::DIM]
    })?;
    let [x] = call.floats()?;
    let dim = call.dimension(attributes.int(key::DIM)?, x.rank())?;
    if x.dims()[dim] == 0 {
        return Err(call.shape_error(0, x, format!("at least one entry along dimension {dim}")));
    }
    let keep = reducing && attributes.flag(key::KEEP)?;
    let kind = match call.code {
        op::SOFTMAX => Normalisation::Softmax,
        op::LOG_SOFTMAX => Normalisation::LogSoftmax,
        _ => Normalisation::LogSumExp,
    };
    let last = x.rank() - 1;
    call.candle((|| {
        let x = x.transpose(dim, last)?;
        let y = if call.fused {
            rows::softmax(&x.contiguous()?, kind)?
        } else {
            composite::softmax(&x, kind)?
        };
        let y = y.transpose(dim, last)?;
        if reducing && !keep {
            y.squeeze(dim)
        } else {
            Ok(y)
        }
    })())
}

/// Layer normalisation over the last dimension.
pub(super) fn layer_norm(call: &Call) -> Result<Tensor, TensorError> {
    let attributes = call.attributes(&[key::EPSILON])?;
    let [x, weight, bias] = call.floats()?;
    let epsilon = attributes.float(key::EPSILON)?;
    if epsilon < 0.0 {
        return Err(attributes.invalid(key::EPSILON, epsilon, "0 or more"));
    }
    let width = match x.dims().last() {
        Some(&width) if width > 0 => width,
        _ => return Err(call.shape_error(0, x, "[..., n] with n of at least 1")),
    };
    for (input, tensor) in [(1, weight), (2, bias)] {
        if tensor.dims() != [width] {
            return Err(call.shape_error(input, tensor, format!("[{width}]")));
        }
    }
    call.candle((|| {
        if call.fused {
            rows::layer_norm(
                &x.contiguous()?,
                &weight.contiguous()?,
                &bias.contiguous()?,
                epsilon,
            )
        } else {
            composite::layer_norm(x, weight, bias, epsilon)
        }
    })())
}

//! Matrix products and the dense layer.

use candle_core::Tensor;
use regflow_plugin::abi::op::{self, key};

use super::attributes::Call;
use super::fused::dense::{self, Activation};
use super::{TensorError, composite};

/// `[..., m, k]` times `[..., k, n]`, leading dimensions broadcast.
pub(super) fn matmul(call: &Call) -> Result<Tensor, TensorError> {
    call.attributes(&[])?;
    let [a, b] = call.floats()?;
    for (input, tensor) in [a, b].into_iter().enumerate() {
        if tensor.rank() < 2 {
            return Err(call.shape_error(input, tensor, "rank 2 or more"));
        }
    }
    let k = a.dims()[a.rank() - 1];
    if b.dims()[b.rank() - 2] != k {
        return Err(call.shape_error(1, b, format!("[..., {k}, n]")));
    }
    let batch = |tensor: &Tensor| tensor.dims()[..tensor.rank() - 2].to_vec();
    let (lhs, rhs) = (batch(a), batch(b));
    let agree = lhs
        .iter()
        .rev()
        .zip(rhs.iter().rev())
        .all(|(&a, &b)| a == b || a == 1 || b == 1);
    if !agree {
        return Err(TensorError::Broadcast {
            op: call.op,
            lhs: a.dims().to_vec(),
            rhs: b.dims().to_vec(),
        });
    }
    call.candle((|| readable(a)?.broadcast_matmul(&readable(b)?))())
}

/// The tensor in a layout that the matrix product reads: row-major, or the transpose of row-major matrices.
fn readable(x: &Tensor) -> candle_core::Result<Tensor> {
    let rank = x.rank();
    if x.is_contiguous() || x.transpose(rank - 2, rank - 1)?.is_contiguous() {
        Ok(x.clone())
    } else {
        x.contiguous()
    }
}

/// `activation(x W + b)`.
pub(super) fn dense(call: &Call) -> Result<Tensor, TensorError> {
    let attributes = call.attributes(&[key::ACTIVATION])?;
    let [x, weight, bias] = call.floats()?;
    let code = attributes.int(key::ACTIVATION)?;
    let activation = match u32::try_from(code) {
        Ok(op::ACTIVATION_NONE) => Activation::None,
        Ok(op::ACTIVATION_RELU) => Activation::Relu,
        Ok(op::ACTIVATION_SILU) => Activation::Silu,
        Ok(op::ACTIVATION_TANH) => Activation::Tanh,
        Ok(op::ACTIVATION_GELU) => Activation::Gelu,
        _ => return Err(attributes.invalid(key::ACTIVATION, code, "0 (none) to 4 (GELU)")),
    };
    let &[k, n] = weight.dims() else {
        return Err(call.shape_error(1, weight, "[k, n]"));
    };
    let Some((&found, rows)) = x.dims().split_last() else {
        return Err(call.shape_error(0, x, format!("[..., {k}]")));
    };
    if found != k {
        return Err(call.shape_error(0, x, format!("[..., {k}]")));
    }
    if bias.dims() != [n] {
        return Err(call.shape_error(2, bias, format!("[{n}]")));
    }
    let shape: Vec<usize> = rows.iter().copied().chain([n]).collect();
    call.candle((|| {
        let matrix = if rows.len() == 1 {
            x.clone()
        } else {
            x.reshape((rows.iter().product::<usize>(), k))?
        };
        let y = if call.fused {
            dense::apply(&matrix, weight, bias, activation)?
        } else {
            composite::dense(&matrix, weight, bias, activation)?
        };
        if rows.len() == 1 {
            Ok(y)
        } else {
            y.reshape(shape)
        }
    })())
}

//! Comparisons of two tensors that broadcast: 1 or 0 in the element type of the first, without gradient.

#[cfg(test)]
pub(super) mod tests;

use regflow_plugin::abi::op;

use super::Outputs;
use crate::tensor::call::Call;

pub(super) fn apply(call: &Call) -> Outputs {
    let [a, b] = call.inputs()?;
    call.broadcast_shape(&[a, b])?;
    let truth = call.candle(match call.code {
        op::EQ => a.broadcast_eq(b),
        op::NE => a.broadcast_ne(b),
        op::LT => a.broadcast_lt(b),
        op::LE => a.broadcast_le(b),
        op::GT => a.broadcast_gt(b),
        _ => a.broadcast_ge(b),
    })?;
    Ok(vec![call.candle(truth.to_dtype(a.dtype()))?.detach()])
}

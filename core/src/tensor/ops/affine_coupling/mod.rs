//! Affine coupling with a bounded log-scale.

mod composed;
mod cpu;
#[cfg(test)]
pub(super) mod tests;

use regflow_plugin::abi::op::key;

use super::Outputs;
use crate::tensor::call::Call;

pub(super) fn apply(call: &Call) -> Outputs {
    let [x, s, t] = call.inputs()?;
    let limit = call.float(key::LIMIT)?;
    if limit <= 0.0 {
        return Err(call.invalid(key::LIMIT, limit, "more than 0"));
    }
    let inverse = call.flag(key::INVERSE)?;
    if x.rank() != 2 {
        return Err(call.shape_error(0, x, "[B, D]"));
    }
    for (input, tensor) in [(1, s), (2, t)] {
        if tensor.dims() != x.dims() {
            return Err(call.shape_error(input, tensor, format!("{:?}", x.dims())));
        }
    }
    let (y, log_det) = call.candle(if call.fused {
        cpu::apply(x, s, t, limit, inverse)
    } else {
        composed::affine_coupling(x, s, t, limit, inverse)
    })?;
    Ok(vec![y, log_det])
}

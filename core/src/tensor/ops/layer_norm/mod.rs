//! Layer normalisation over the last dimension.

mod composed;
mod cpu;
#[cfg(test)]
pub(super) mod tests;

use regflow_plugin::abi::op::key;

use super::Outputs;
use crate::tensor::call::Call;

pub(super) fn apply(call: &Call) -> Outputs {
    let [x, weight, bias] = call.inputs()?;
    let epsilon = call.float(key::EPSILON)?;
    if epsilon < 0.0 {
        return Err(call.invalid(key::EPSILON, epsilon, "0 or more"));
    }
    let width = match x.dims().last() {
        Some(&width) if width > 0 => width,
        _ => return Err(call.shape_error(0, x, "[.., n] with n of at least 1")),
    };
    for (input, tensor) in [(1, weight), (2, bias)] {
        if tensor.dims() != [width] {
            return Err(call.shape_error(input, tensor, format!("[{width}]")));
        }
    }
    let y = call.candle((|| {
        if call.fused {
            cpu::apply(
                &x.contiguous()?,
                &weight.contiguous()?,
                &bias.contiguous()?,
                epsilon,
            )
        } else {
            composed::layer_norm(x, weight, bias, epsilon)
        }
    })())?;
    Ok(vec![y])
}

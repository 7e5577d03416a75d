//! Arithmetic of two tensors that broadcast: sums, differences, products, quotients, larger and smaller ones.

mod cpu;
#[cfg(test)]
pub(super) mod tests;

use regflow_plugin::abi::op;

use super::Outputs;
use crate::tensor::call::Call;
use cpu::Arithmetic;

pub(super) fn apply(call: &Call) -> Outputs {
    let [a, b] = call.inputs()?;
    call.broadcast_shape(&[a, b])?;
    if call.fused && a.dims() == b.dims() && a.is_contiguous() && b.is_contiguous() {
        let arithmetic = match call.code {
            op::ADD => Some(Arithmetic::Add),
            op::SUB => Some(Arithmetic::Subtract),
            op::MUL => Some(Arithmetic::Multiply),
            _ => None,
        };
        if let Some(arithmetic) = arithmetic {
            return Ok(vec![call.candle(cpu::apply(a, b, arithmetic))?]);
        }
    }
    let y = call.candle(match call.code {
        op::ADD => a.broadcast_add(b),
        op::SUB => a.broadcast_sub(b),
        op::MUL => a.broadcast_mul(b),
        op::DIV => a.broadcast_div(b),
        op::MAXIMUM => a.broadcast_maximum(b),
        _ => a.broadcast_minimum(b),
    })?;
    Ok(vec![y])
}

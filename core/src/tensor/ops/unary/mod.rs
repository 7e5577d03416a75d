//! Functions of one variable.

mod composed;
mod cpu;
mod functions;
#[cfg(test)]
pub(super) mod tests;

use regflow_plugin::abi::op::key;

use super::Outputs;
use crate::tensor::call::Call;
pub(super) use composed::{softplus, wrap};
pub(super) use functions::{Elementwise, Function, composed, kernel};

pub(super) fn apply(call: &Call) -> Outputs {
    let function = Function::of(call)?;
    if let Function::Clamp { lower, upper } = function
        && upper < lower
    {
        return Err(call.invalid(key::UPPER, upper, format!("at least LOWER = {lower}")));
    }
    let [x] = call.inputs()?;
    let y = call.candle(if call.fused {
        cpu::apply(x, function)
    } else {
        composed(x, function)
    })?;
    Ok(vec![y])
}

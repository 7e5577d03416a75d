//! Piecewise constant functions of one variable, without gradient.

#[cfg(test)]
pub(super) mod tests;

use regflow_plugin::abi::op;

use super::Outputs;
use crate::tensor::call::Call;

pub(super) fn apply(call: &Call) -> Outputs {
    let [x] = call.inputs()?;
    let x = x.detach();
    let y = call.candle(match call.code {
        op::SIGN => x.sign(),
        _ => x.floor(),
    })?;
    Ok(vec![y])
}

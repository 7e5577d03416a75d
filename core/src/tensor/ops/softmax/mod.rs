//! Softmax, its logarithm, and the log-sum-exp, along one dimension.

mod composed;
mod cpu;
#[cfg(test)]
pub(super) mod tests;

use regflow_plugin::abi::op::{self, key};

use super::Outputs;
use crate::tensor::call::Call;
pub(super) use composed::softmax;
pub(super) use cpu::Normalisation;

pub(super) fn apply(call: &Call) -> Outputs {
    let [x] = call.inputs()?;
    let dim = call.dim(x.rank())?;
    if x.dims()[dim] == 0 {
        return Err(call.shape_error(0, x, format!("at least one entry along dimension {dim}")));
    }
    let kind = match call.code {
        op::SOFTMAX => Normalisation::Softmax,
        op::LOG_SOFTMAX => Normalisation::LogSoftmax,
        _ => Normalisation::LogSumExp,
    };
    let drop = kind == Normalisation::LogSumExp && !call.flag(key::KEEP)?;
    let last = x.rank() - 1;
    let y = call.candle((|| {
        let x = x.transpose(dim, last)?;
        let y = if call.fused {
            cpu::apply(&x.contiguous()?, kind)?
        } else {
            composed::softmax(&x, kind)?
        };
        let y = y.transpose(dim, last)?;
        if drop { y.squeeze(dim) } else { Ok(y) }
    })())?;
    Ok(vec![y])
}

//! Softmax and relatives as compositions.

use candle_core::{D, Result, Tensor};

use super::Normalisation;

/// Softmax and relatives over the last dimension, which is kept.
pub(in crate::tensor) fn softmax(x: &Tensor, kind: Normalisation) -> Result<Tensor> {
    let max = x.detach().max_keepdim(D::Minus1)?;
    let shifted = x.broadcast_sub(&max)?;
    let exp = shifted.exp()?;
    let sum = exp.sum_keepdim(D::Minus1)?;
    match kind {
        Normalisation::Softmax => exp.broadcast_div(&sum),
        Normalisation::LogSoftmax => shifted.broadcast_sub(&sum.log()?),
        Normalisation::LogSumExp => sum.log()? + max,
    }
}

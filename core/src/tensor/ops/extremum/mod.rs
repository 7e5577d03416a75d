//! Maximum and minimum over one dimension. The gradient goes to the entries that attain it, equally shared.

#[cfg(test)]
pub(super) mod tests;

use regflow_plugin::abi::op::{self, key};

use super::Outputs;
use crate::tensor::call::Call;

pub(super) fn apply(call: &Call) -> Outputs {
    let [x] = call.inputs()?;
    let dim = call.dim(x.rank())?;
    if x.dims()[dim] == 0 {
        return Err(call.shape_error(0, x, format!("at least one entry along dimension {dim}")));
    }
    let keep = call.flag(key::KEEP)?;
    let y = call.candle((|| {
        let values = x.detach();
        let extremum = match call.code {
            op::MAX => values.max_keepdim(dim)?,
            _ => values.min_keepdim(dim)?,
        };
        let result = if x.track_op() {
            // The value is the mean of the entries that attain it: this shares the gradient among them.
            let attained = values.broadcast_eq(&extremum)?.to_dtype(x.dtype())?;
            let share = attained.broadcast_div(&attained.sum_keepdim(dim)?)?;
            let zero = (x - values)?.mul(&share)?.sum_keepdim(dim)?;
            (extremum + zero)?
        } else {
            extremum
        };
        if keep {
            Ok(result)
        } else {
            result.squeeze(dim)
        }
    })())?;
    Ok(vec![y])
}

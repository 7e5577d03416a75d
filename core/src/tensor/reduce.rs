//! Reductions and the cumulative sum.

use candle_core::Tensor;
use regflow_plugin::abi::op::{self, key};

use super::TensorError;
use super::attributes::Call;

/// Sum or mean over several dimensions.
pub(super) fn sum(call: &Call) -> Result<Tensor, TensorError> {
    let attributes = call.attributes(&[key::DIMS, key::KEEP])?;
    let [x] = call.floats()?;
    let mut dims = attributes
        .ints(key::DIMS)?
        .iter()
        .map(|&dim| call.dimension(dim, x.rank()))
        .collect::<Result<Vec<_>, _>>()?;
    dims.sort_unstable();
    if dims.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(attributes.invalid(key::DIMS, format!("{dims:?}"), "different dimensions"));
    }
    let keep = attributes.flag(key::KEEP)?;
    let count: usize = dims.iter().map(|&dim| x.dims()[dim]).product();
    call.candle((|| {
        if dims.is_empty() {
            return Ok(x.clone());
        }
        let sum = if keep {
            x.sum_keepdim(dims)?
        } else {
            x.sum(dims)?
        };
        match call.code {
            op::MEAN => sum.affine(1.0 / count as f64, 0.0),
            _ => Ok(sum),
        }
    })())
}

/// Maximum or minimum over one dimension. The gradient goes to the entries that attain it, equally shared.
pub(super) fn extremum(call: &Call) -> Result<Tensor, TensorError> {
    let attributes = call.attributes(&[key::DIM, key::KEEP])?;
    let [x] = call.floats()?;
    let dim = call.dimension(attributes.int(key::DIM)?, x.rank())?;
    if x.dims()[dim] == 0 {
        return Err(call.shape_error(0, x, format!("at least one entry along dimension {dim}")));
    }
    let keep = attributes.flag(key::KEEP)?;
    call.candle((|| {
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
    })())
}

/// Cumulative sum along one dimension.
pub(super) fn cumulative_sum(call: &Call) -> Result<Tensor, TensorError> {
    let attributes = call.attributes(&[key::DIM])?;
    let [x] = call.floats()?;
    let dim = call.dimension(attributes.int(key::DIM)?, x.rank())?;
    call.candle(x.contiguous().and_then(|x| x.cumsum(dim)))
}

//! Sum and mean over several dimensions.

#[cfg(test)]
pub(super) mod tests;

use regflow_plugin::abi::op::{self, key};

use super::Outputs;
use crate::tensor::call::Call;

pub(super) fn apply(call: &Call) -> Outputs {
    let [x] = call.inputs()?;
    let mut dims = call.dims(x.rank())?;
    dims.sort_unstable();
    if dims.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(call.invalid(key::DIMS, format!("{dims:?}"), "different dimensions"));
    }
    let keep = call.flag(key::KEEP)?;
    let count: usize = dims.iter().map(|&dim| x.dims()[dim]).product();
    let y = call.candle((|| {
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
    })())?;
    Ok(vec![y])
}

//! Entries at given places along one dimension.

#[cfg(test)]
pub(super) mod tests;

use super::Outputs;
use crate::tensor::call::Call;

pub(super) fn apply(call: &Call) -> Outputs {
    let [x, index] = call.inputs()?;
    let dim = call.dim(x.rank())?;
    let fits = index.rank() == x.rank()
        && (0..x.rank()).all(|i| i == dim || index.dims()[i] <= x.dims()[i]);
    if !fits {
        let expected = format!("at most {:?} except along dimension {dim}", x.dims());
        return Err(call.shape_error(1, index, expected));
    }
    call.check_size(index.dims(), x.dtype())?;
    let y = call.candle((|| x.contiguous()?.gather(&index.contiguous()?, dim))())?;
    Ok(vec![y])
}

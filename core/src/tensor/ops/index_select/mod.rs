//! Rows at given places of one dimension.

mod cpu;
#[cfg(test)]
pub(super) mod tests;

use super::Outputs;
use crate::tensor::call::Call;
use crate::tensor::cpu::is_float;

pub(super) fn apply(call: &Call) -> Outputs {
    let [x, index] = call.inputs()?;
    let dim = call.dim(x.rank())?;
    if index.rank() != 1 {
        return Err(call.shape_error(1, index, "rank 1"));
    }
    let mut shape = x.dims().to_vec();
    shape[dim] = index.elem_count();
    call.check_size(&shape, x.dtype())?;
    let last = dim + 1 == x.rank();
    let y = call.candle((|| {
        let (x, index) = (x.contiguous()?, index.contiguous()?);
        if call.fused && last && is_float(&x) {
            cpu::columns(&x, &index)
        } else {
            x.index_select(&index, dim)
        }
    })())?;
    Ok(vec![y])
}

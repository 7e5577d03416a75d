//! Matrix product; leading dimensions broadcast.

#[cfg(test)]
pub(super) mod tests;

use candle_core::Tensor;

use super::Outputs;
use crate::tensor::call::Call;

pub(super) fn apply(call: &Call) -> Outputs {
    let [a, b] = call.inputs()?;
    for (input, tensor) in [a, b].into_iter().enumerate() {
        if tensor.rank() < 2 {
            return Err(call.shape_error(input, tensor, "rank 2 or more"));
        }
    }
    let (a_batch, a_matrix) = a.dims().split_at(a.rank() - 2);
    let (b_batch, b_matrix) = b.dims().split_at(b.rank() - 2);
    let k = a_matrix[1];
    if b_matrix[0] != k {
        return Err(call.shape_error(1, b, format!("[.., {k}, n]")));
    }
    let batch = call.joined(a_batch, b_batch)?;
    // The factors are copied where they are broadcast.
    for matrix in [a_matrix, b_matrix, &[a_matrix[0], b_matrix[1]]] {
        call.check_size(&[&batch, matrix].concat(), a.dtype())?;
    }
    let y = call.candle((|| readable(a)?.broadcast_matmul(&readable(b)?))())?;
    Ok(vec![y])
}

/// The tensor in a layout that the matrix product reads: row-major, or the transpose of row-major matrices.
fn readable(x: &Tensor) -> candle_core::Result<Tensor> {
    let rank = x.rank();
    if x.is_contiguous() || x.transpose(rank - 2, rank - 1)?.is_contiguous() {
        Ok(x.clone())
    } else {
        x.contiguous()
    }
}

//! Concatenation along one dimension.

#[cfg(test)]
pub(super) mod tests;

use candle_core::Tensor;

use super::Outputs;
use crate::tensor::call::Call;

pub(super) fn apply(call: &Call) -> Outputs {
    let inputs = call.all_inputs();
    let first = inputs[0].dims();
    let dim = call.dim(first.len())?;
    let mut shape = first.to_vec();
    shape[dim] = 0;
    for (input, tensor) in inputs.iter().enumerate() {
        let dims = tensor.dims();
        if dims.len() != first.len() || (0..dims.len()).any(|i| i != dim && dims[i] != first[i]) {
            let expected = format!("{first:?} except along dimension {dim}");
            return Err(call.shape_error(input, tensor, expected));
        }
        shape[dim] = shape[dim].saturating_add(dims[dim]);
    }
    call.check_size(&shape, inputs[0].dtype())?;
    let y = call.candle((|| {
        let inputs = inputs
            .iter()
            .map(|x| x.contiguous())
            .collect::<candle_core::Result<Vec<_>>>()?;
        Tensor::cat(&inputs, dim)
    })())?;
    Ok(vec![y])
}

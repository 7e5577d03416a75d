//! The choice between two tensors by a third, all of which broadcast.

#[cfg(test)]
pub(super) mod tests;

use super::Outputs;
use crate::tensor::call::Call;

pub(super) fn apply(call: &Call) -> Outputs {
    let [condition, a, b] = call.inputs()?;
    let shape = call.broadcast_shape(&[condition, a, b])?;
    let y = call.candle((|| {
        let condition = condition.detach().ne(0f64)?.broadcast_as(&*shape)?;
        condition.where_cond(&a.broadcast_as(&*shape)?, &b.broadcast_as(&*shape)?)
    })())?;
    Ok(vec![y])
}

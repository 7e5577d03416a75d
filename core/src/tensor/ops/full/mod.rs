//! Tensors filled with one value.

#[cfg(test)]
pub(super) mod tests;

use candle_core::{DType, Tensor};
use regflow_plugin::abi::op::key;

use super::Outputs;
use crate::tensor::call::Call;

pub(super) fn apply(call: &Call) -> Outputs {
    let [like] = call.inputs()?;
    let shape = call.shape()?;
    let value = call.float(key::VALUE)?;
    call.check_size(&shape, like.dtype())?;
    let integer = value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value);
    if like.dtype() == DType::U32 && !integer {
        return Err(call.invalid(key::VALUE, value, "an integer from 0 to 2^32 - 1 for U32"));
    }
    let device = like.device();
    let y = call.candle(match like.dtype() {
        DType::F32 => Tensor::full(value as f32, shape, device),
        DType::F64 => Tensor::full(value, shape, device),
        _ => Tensor::full(value as u32, shape, device),
    })?;
    // A view of one entry would be copied by whatever reads it.
    Ok(vec![call.candle(y.contiguous())?])
}

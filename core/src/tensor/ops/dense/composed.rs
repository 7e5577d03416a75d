//! The dense layer as a composition.

use candle_core::{Result, Tensor};

use super::Activation;
use crate::tensor::ops::unary::{Function, composed as function};

/// `activation(x W + b)` for x of rank 2.
pub(super) fn dense(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    activation: Activation,
) -> Result<Tensor> {
    let z = x
        .contiguous()?
        .matmul(&weight.contiguous()?)?
        .broadcast_add(bias)?;
    match activation {
        Activation::None => Ok(z),
        Activation::Relu => function(&z, Function::Relu),
        Activation::Silu => function(&z, Function::Silu),
        Activation::Tanh => function(&z, Function::Tanh),
        Activation::Gelu => function(&z, Function::Gelu),
    }
}

//! Dense layer: matrix product, bias and activation.

mod composed;
mod cpu;
#[cfg(test)]
pub(super) mod tests;

use regflow_plugin::abi::op::{self, key};

use super::Outputs;
use crate::tensor::call::Call;

/// Applied to the result of a dense layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activation {
    None,
    Relu,
    Silu,
    Tanh,
    Gelu,
}

pub(super) fn apply(call: &Call) -> Outputs {
    let [x, weight, bias] = call.inputs()?;
    let code = call.int(key::ACTIVATION)?;
    let activation = match u32::try_from(code) {
        Ok(op::ACTIVATION_NONE) => Activation::None,
        Ok(op::ACTIVATION_RELU) => Activation::Relu,
        Ok(op::ACTIVATION_SILU) => Activation::Silu,
        Ok(op::ACTIVATION_TANH) => Activation::Tanh,
        Ok(op::ACTIVATION_GELU) => Activation::Gelu,
        _ => return Err(call.invalid(key::ACTIVATION, code, "0 (none) to 4 (GELU)")),
    };
    let &[k, n] = weight.dims() else {
        return Err(call.shape_error(1, weight, "[k, n]"));
    };
    let rows = match x.dims().split_last() {
        Some((&found, rows)) if found == k => rows,
        _ => return Err(call.shape_error(0, x, format!("[.., {k}]"))),
    };
    if bias.dims() != [n] {
        return Err(call.shape_error(2, bias, format!("[{n}]")));
    }
    let shape: Vec<usize> = rows.iter().copied().chain([n]).collect();
    call.check_size(&shape, x.dtype())?;
    let y = call.candle((|| {
        let matrix = if rows.len() == 1 {
            x.clone()
        } else {
            x.reshape((rows.iter().product::<usize>(), k))?
        };
        let y = if call.fused {
            cpu::apply(&matrix, weight, bias, activation)?
        } else {
            composed::dense(&matrix, weight, bias, activation)?
        };
        if rows.len() == 1 {
            Ok(y)
        } else {
            y.reshape(shape)
        }
    })())?;
    Ok(vec![y])
}

//! Elementwise operations: arithmetic, comparisons, selection and functions of one variable.

use candle_core::{DType, Tensor};
use regflow_plugin::abi::op::{self, key};

use super::attributes::Call;
use super::fused::binary::{self, Arithmetic};
use super::fused::unary::{self, Function};
use super::{TensorError, composite};

/// Broadcasting arithmetic of two tensors.
pub(super) fn binary(call: &Call) -> Result<Tensor, TensorError> {
    call.attributes(&[])?;
    let [a, b] = call.floats()?;
    call.broadcast_shape(&[a, b])?;
    if call.fused && a.dims() == b.dims() && a.is_contiguous() && b.is_contiguous() {
        let arithmetic = match call.code {
            op::ADD => Some(Arithmetic::Add),
            op::SUB => Some(Arithmetic::Subtract),
            op::MUL => Some(Arithmetic::Multiply),
            _ => None,
        };
        if let Some(arithmetic) = arithmetic {
            return call.candle(binary::apply(a, b, arithmetic));
        }
    }
    call.candle(match call.code {
        op::ADD => a.broadcast_add(b),
        op::SUB => a.broadcast_sub(b),
        op::MUL => a.broadcast_mul(b),
        op::DIV => a.broadcast_div(b),
        op::MAXIMUM => a.broadcast_maximum(b),
        _ => a.broadcast_minimum(b),
    })
}

/// Broadcasting comparisons: 1 or 0 in the dtype of `a`, without gradient.
pub(super) fn compare(call: &Call) -> Result<Tensor, TensorError> {
    call.attributes(&[])?;
    let [a, b] = call.inputs()?;
    call.same_dtype(a, 1, b)?;
    call.broadcast_shape(&[a, b])?;
    let truth = call.candle(match call.code {
        op::EQ => a.broadcast_eq(b),
        op::NE => a.broadcast_ne(b),
        op::LT => a.broadcast_lt(b),
        op::LE => a.broadcast_le(b),
        op::GT => a.broadcast_gt(b),
        _ => a.broadcast_ge(b),
    })?;
    Ok(call.candle(truth.to_dtype(a.dtype()))?.detach())
}

/// `where(condition, a, b)` with a numeric condition.
pub(super) fn select(call: &Call) -> Result<Tensor, TensorError> {
    call.attributes(&[])?;
    let [condition, a, b] = call.inputs()?;
    if b.dtype() != a.dtype() {
        return Err(TensorError::DType {
            op: call.op,
            input: 2,
            expected: format!("{:?}", a.dtype()),
            found: b.dtype(),
        });
    }
    let shape = call.broadcast_shape(&[condition, a, b])?;
    call.candle((|| {
        let condition = condition.detach().ne(0f64)?.broadcast_as(&*shape)?;
        condition.where_cond(&a.broadcast_as(&*shape)?, &b.broadcast_as(&*shape)?)
    })())
}

/// Piecewise constant functions, without gradient.
pub(super) fn step(call: &Call) -> Result<Tensor, TensorError> {
    call.attributes(&[])?;
    let [x] = call.floats()?;
    let x = x.detach();
    call.candle(match call.code {
        op::SIGN => x.sign(),
        _ => x.floor(),
    })
}

/// Functions of one variable.
pub(super) fn unary(call: &Call) -> Result<Tensor, TensorError> {
    let function = function(call)?;
    let [x] = call.floats()?;
    call.candle(if call.fused {
        unary::apply(x, function)
    } else {
        composite::unary(x, function)
    })
}

fn function(call: &Call) -> Result<Function, TensorError> {
    let attributes = call.attributes(match call.code {
        op::AFFINE => &[key::SCALE, key::SHIFT],
        op::POWF => &[key::EXPONENT],
        op::CLAMP => &[key::LOWER, key::UPPER],
        _ => &[],
    })?;
    Ok(match call.code {
        op::AFFINE => Function::Affine {
            scale: attributes.float(key::SCALE)?,
            shift: attributes.float(key::SHIFT)?,
        },
        op::POWF => Function::Power {
            exponent: attributes.float(key::EXPONENT)?,
        },
        op::CLAMP => {
            let (lower, upper) = (attributes.float(key::LOWER)?, attributes.float(key::UPPER)?);
            if upper < lower {
                return Err(attributes.invalid(
                    key::UPPER,
                    upper,
                    format!("at least LOWER = {lower}"),
                ));
            }
            Function::Clamp { lower, upper }
        }
        op::NEG => Function::Affine {
            scale: -1.0,
            shift: 0.0,
        },
        op::ABS => Function::Abs,
        op::EXP => Function::Exp,
        op::LOG => Function::Log,
        op::SQRT => Function::Sqrt,
        op::SQR => Function::Sqr,
        op::RECIP => Function::Recip,
        op::SIN => Function::Sin,
        op::COS => Function::Cos,
        op::TANH => Function::Tanh,
        op::SIGMOID => Function::Sigmoid,
        op::SILU => Function::Silu,
        op::RELU => Function::Relu,
        op::GELU => Function::Gelu,
        op::SOFTPLUS => Function::Softplus,
        op::ERF => Function::Erf,
        _ => Function::Wrap,
    })
}

/// The dtype that an attribute names.
pub(super) fn dtype(code: i64) -> Option<DType> {
    match u32::try_from(code).ok()? {
        op::DTYPE_F32 => Some(DType::F32),
        op::DTYPE_F64 => Some(DType::F64),
        op::DTYPE_U32 => Some(DType::U32),
        _ => None,
    }
}

//! Other shapes and types of the same entries: reshaping, exchange of dimensions, slices, repetition, conversion.

#[cfg(test)]
pub(super) mod tests;

use candle_core::{DType, Tensor};
use regflow_plugin::abi::op::{self, key};

use super::Outputs;
use crate::tensor::TensorError;
use crate::tensor::call::Call;

pub(super) fn apply(call: &Call) -> Outputs {
    let [x] = call.inputs()?;
    let y = match call.code {
        op::RESHAPE => reshape(call, x),
        op::TRANSPOSE => transpose(call, x),
        op::PERMUTE => permute(call, x),
        op::NARROW => narrow(call, x),
        op::BROADCAST_TO => broadcast_to(call, x),
        op::CAST => cast(call, x),
        _ => Ok(x.detach()),
    }?;
    Ok(vec![y])
}

fn reshape(call: &Call, x: &Tensor) -> Result<Tensor, TensorError> {
    let shape = call.shape()?;
    // Lengths are bounded first, so that their product does not overflow.
    call.check_size(&shape, x.dtype())?;
    if shape.iter().product::<usize>() != x.elem_count() {
        return Err(call.invalid(
            key::SHAPE,
            format!("{shape:?}"),
            format!(
                "a shape of {} entries, like the input's {:?}",
                x.elem_count(),
                x.dims()
            ),
        ));
    }
    call.candle(x.reshape(shape))
}

fn transpose(call: &Call, x: &Tensor) -> Result<Tensor, TensorError> {
    let dims = call.dims(x.rank())?;
    let &[a, b] = dims.as_slice() else {
        return Err(call.invalid(key::DIMS, format!("{dims:?}"), "two dimensions"));
    };
    call.candle(x.transpose(a, b))
}

fn permute(call: &Call, x: &Tensor) -> Result<Tensor, TensorError> {
    let dims = call.dims(x.rank())?;
    let mut sorted = dims.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..x.rank()) {
        let expected = format!("each of the {} dimensions once", x.rank());
        return Err(call.invalid(key::DIMS, format!("{dims:?}"), expected));
    }
    call.candle(x.permute(dims))
}

fn narrow(call: &Call, x: &Tensor) -> Result<Tensor, TensorError> {
    let dim = call.dim(x.rank())?;
    let (start, len) = (call.size(key::START)?, call.size(key::LEN)?);
    let available = x.dims()[dim];
    if start.checked_add(len).is_none_or(|end| end > available) {
        let expected = format!("START + LEN of at most {available}, the length of dimension {dim}");
        return Err(call.invalid(key::LEN, format!("{len} from START = {start}"), expected));
    }
    // A view of nothing must not begin beyond its end, which the tensor library does not bear.
    let start = if x.elem_count() == 0 { 0 } else { start };
    call.candle(x.narrow(dim, start, len))
}

fn broadcast_to(call: &Call, x: &Tensor) -> Result<Tensor, TensorError> {
    let shape = call.shape()?;
    let offset = shape.len().checked_sub(x.rank());
    let fits = offset.is_some_and(|offset| {
        x.dims()
            .iter()
            .zip(&shape[offset..])
            .all(|(&a, &b)| a == b || a == 1)
    });
    if !fits {
        return Err(TensorError::Broadcast {
            op: call.op,
            lhs: x.dims().to_vec(),
            rhs: shape,
        });
    }
    call.check_size(&shape, x.dtype())?;
    call.candle(x.broadcast_as(shape))
}

fn cast(call: &Call, x: &Tensor) -> Result<Tensor, TensorError> {
    let code = call.int(key::DTYPE)?;
    let dtype = match u32::try_from(code) {
        Ok(op::DTYPE_F32) => DType::F32,
        Ok(op::DTYPE_F64) => DType::F64,
        Ok(op::DTYPE_U32) => DType::U32,
        _ => return Err(call.invalid(key::DTYPE, code, "0 (F32), 1 (F64) or 2 (U32)")),
    };
    call.check_size(x.dims(), dtype)?;
    call.candle(x.to_dtype(dtype))
}

//! Operations that move entries: reshaping, slicing, joining, indexing, conversion.

use candle_core::Tensor;
use regflow_plugin::abi::op::key;

use super::attributes::Call;
use super::elementwise::dtype;
use super::fused::select;
use super::{TensorError, fused};

pub(super) fn reshape(call: &Call) -> Result<Tensor, TensorError> {
    let attributes = call.attributes(&[key::SHAPE])?;
    let [x] = call.inputs()?;
    let shape = attributes.shape(key::SHAPE)?;
    if shape.iter().product::<usize>() != x.elem_count() {
        return Err(attributes.invalid(
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

pub(super) fn transpose(call: &Call) -> Result<Tensor, TensorError> {
    let attributes = call.attributes(&[key::DIMS])?;
    let [x] = call.inputs()?;
    let &[a, b] = attributes.ints(key::DIMS)? else {
        return Err(attributes.invalid(
            key::DIMS,
            format!("{:?}", attributes.ints(key::DIMS)?),
            "two dimensions",
        ));
    };
    let (a, b) = (call.dimension(a, x.rank())?, call.dimension(b, x.rank())?);
    call.candle(x.transpose(a, b))
}

pub(super) fn permute(call: &Call) -> Result<Tensor, TensorError> {
    let attributes = call.attributes(&[key::DIMS])?;
    let [x] = call.inputs()?;
    let dims = attributes
        .ints(key::DIMS)?
        .iter()
        .map(|&dim| call.dimension(dim, x.rank()))
        .collect::<Result<Vec<_>, _>>()?;
    let mut sorted = dims.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..x.rank()) {
        let expected = format!("each of the {} dimensions once", x.rank());
        return Err(attributes.invalid(key::DIMS, format!("{dims:?}"), expected));
    }
    call.candle(x.permute(dims))
}

pub(super) fn narrow(call: &Call) -> Result<Tensor, TensorError> {
    let attributes = call.attributes(&[key::DIM, key::START, key::LEN])?;
    let [x] = call.inputs()?;
    let dim = call.dimension(attributes.int(key::DIM)?, x.rank())?;
    let (start, len) = (attributes.size(key::START)?, attributes.size(key::LEN)?);
    let available = x.dims()[dim];
    if start.checked_add(len).is_none_or(|end| end > available) {
        let expected = format!("START + LEN of at most {available}, the length of dimension {dim}");
        return Err(attributes.invalid(key::LEN, format!("{len} from START = {start}"), expected));
    }
    call.candle(x.narrow(dim, start, len))
}

pub(super) fn cat(call: &Call) -> Result<Tensor, TensorError> {
    let attributes = call.attributes(&[key::DIM])?;
    let inputs = call.at_least_one()?;
    let first = inputs[0].dims();
    let dim = call.dimension(attributes.int(key::DIM)?, first.len())?;
    for (input, tensor) in inputs.iter().enumerate() {
        let dims = tensor.dims();
        if dims.len() != first.len() || (0..dims.len()).any(|i| i != dim && dims[i] != first[i]) {
            let expected = format!("{first:?} except along dimension {dim}");
            return Err(call.shape_error(input, tensor, expected));
        }
    }
    call.candle((|| {
        let inputs = inputs
            .iter()
            .map(|x| x.contiguous())
            .collect::<candle_core::Result<Vec<_>>>()?;
        Tensor::cat(&inputs, dim)
    })())
}

pub(super) fn gather(call: &Call) -> Result<Tensor, TensorError> {
    let attributes = call.attributes(&[key::DIM])?;
    let [x, index] = call.inputs()?;
    call.index(1, index)?;
    let dim = call.dimension(attributes.int(key::DIM)?, x.rank())?;
    let fits = index.rank() == x.rank()
        && (0..x.rank()).all(|i| i == dim || index.dims()[i] <= x.dims()[i]);
    if !fits {
        let expected = format!("at most {:?} except along dimension {dim}", x.dims());
        return Err(call.shape_error(1, index, expected));
    }
    call.candle((|| x.contiguous()?.gather(&index.contiguous()?, dim))())
}

pub(super) fn index_select(call: &Call) -> Result<Tensor, TensorError> {
    let attributes = call.attributes(&[key::DIM])?;
    let [x, index] = call.inputs()?;
    call.index(1, index)?;
    let dim = call.dimension(attributes.int(key::DIM)?, x.rank())?;
    if index.rank() != 1 {
        return Err(call.shape_error(1, index, "rank 1"));
    }
    let last = dim + 1 == x.rank();
    call.candle((|| {
        let (x, index) = (x.contiguous()?, index.contiguous()?);
        if call.fused && last && fused::is_float(&x) {
            select::columns(&x, &index)
        } else {
            x.index_select(&index, dim)
        }
    })())
}

pub(super) fn broadcast_to(call: &Call) -> Result<Tensor, TensorError> {
    let attributes = call.attributes(&[key::SHAPE])?;
    let [x] = call.inputs()?;
    let shape = attributes.shape(key::SHAPE)?;
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
    call.candle(x.broadcast_as(shape))
}

pub(super) fn detach(call: &Call) -> Result<Tensor, TensorError> {
    call.attributes(&[])?;
    let [x] = call.inputs()?;
    Ok(x.detach())
}

pub(super) fn cast(call: &Call) -> Result<Tensor, TensorError> {
    let attributes = call.attributes(&[key::DTYPE])?;
    let [x] = call.inputs()?;
    let code = attributes.int(key::DTYPE)?;
    let dtype = dtype(code)
        .ok_or_else(|| attributes.invalid(key::DTYPE, code, "0 (F32), 1 (F64) or 2 (U32)"))?;
    call.candle(x.to_dtype(dtype))
}

//! Addition at given places along one dimension.

#[cfg(test)]
pub(super) mod tests;

use candle_core::{Error, Result, Tensor};

use super::Outputs;
use crate::tensor::call::Call;

pub(super) fn apply(call: &Call) -> Outputs {
    let [x, index, source] = call.inputs()?;
    let dim = call.dim(x.rank())?;
    let fits = source.rank() == x.rank()
        && (0..x.rank()).all(|i| i == dim || source.dims()[i] == x.dims()[i]);
    if !fits {
        let expected = format!("{:?} except along dimension {dim}", x.dims());
        return Err(call.shape_error(2, source, expected));
    }
    if index.dims() != source.dims() {
        return Err(call.shape_error(1, index, format!("{:?}, that of source", source.dims())));
    }
    Ok(vec![call.candle(scatter_add(x, index, source, dim))?])
}

/// As an addition of rows of length 1. Candle's own operation has another gradient: 0 for x at the places given, and none at all
/// where index and x differ in shape.
fn scatter_add(x: &Tensor, index: &Tensor, source: &Tensor, dim: usize) -> Result<Tensor> {
    if source.elem_count() == 0 {
        return Ok(x.clone());
    }
    let length = x.dims()[dim];
    let largest = index.flatten_all()?.max(0)?.to_scalar::<u32>()? as usize;
    if largest >= length {
        return Err(Error::InvalidIndex {
            op: "scatter_add",
            index: largest,
            size: length,
        }
        .bt());
    }
    let outer: usize = x.dims()[..dim].iter().product();
    let inner: usize = x.dims()[dim + 1..].iter().product();
    // Places in the flat tensor, which are below `MAX_ENTRIES`.
    let starts: Vec<u32> = (0..outer)
        .flat_map(|o| (0..inner).map(move |i| (o * length * inner + i) as u32))
        .collect();
    let starts = Tensor::from_vec(starts, (outer, 1, inner), x.device())?;
    let stride = Tensor::new(inner as u32, x.device())?;
    let places = index
        .reshape((outer, source.dims()[dim], inner))?
        .broadcast_mul(&stride)?
        .broadcast_add(&starts)?;
    x.flatten_all()?
        .index_add(&places.flatten_all()?, &source.flatten_all()?, 0)?
        .reshape(x.shape())
}

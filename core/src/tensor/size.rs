//! How large a tensor may be. Allocations of the tensor library end the process where they fail: what a result needs is checked
//! before.

use candle_core::DType;

use super::TensorError;

/// Most entries of a tensor, 16 GB of f64: sizes beyond are mistakes, and products of lengths cannot overflow below.
pub const MAX_ENTRIES: usize = 1 << 31;

/// Bytes above which it is tried whether there is as much memory.
const PROBED: usize = 64 << 20;

/// Number of entries of a tensor of this shape, if one can be made; `what` is named in the error.
///
/// # Errors
/// More than [`MAX_ENTRIES`] entries, dimensions of length 0 taken for 1, or more memory than there is.
pub fn check_shape(
    what: &'static str,
    shape: &[usize],
    dtype: DType,
) -> Result<usize, TensorError> {
    let bounded = shape
        .iter()
        .try_fold(1usize, |product, &length| {
            product.checked_mul(length.max(1))
        })
        .filter(|&entries| entries <= MAX_ENTRIES);
    let Some(bounded) = bounded else {
        return Err(TensorError::TooLarge {
            op: what,
            shape: shape.to_vec(),
        });
    };
    let entries = if shape.contains(&0) { 0 } else { bounded };
    check_memory(what, entries, dtype)?;
    Ok(entries)
}

/// Whether there is memory for so many entries.
pub(super) fn check_memory(
    what: &'static str,
    entries: usize,
    dtype: DType,
) -> Result<(), TensorError> {
    let bytes = entries.saturating_mul(dtype.size_in_bytes());
    if bytes > PROBED && Vec::<u8>::new().try_reserve_exact(bytes).is_err() {
        return Err(TensorError::Memory { op: what, bytes });
    }
    Ok(())
}

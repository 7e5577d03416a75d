//! How large a tensor may be. Allocations of the tensor library end the process where they fail: what a result needs is checked
//! before.

use candle_core::{DType, Device};

use super::TensorError;
use crate::math::memory;

/// Most entries of a tensor, 16 GB of f64: sizes beyond are mistakes, and products of lengths cannot overflow below.
pub const MAX_ENTRIES: usize = 1 << 31;

/// Bytes above which it is asked whether there is as much memory.
const PROBED: usize = 64 << 20;

/// Number of entries of a tensor of this shape, if one can be made on `device`; `what` is named in the error.
///
/// # Errors
/// More than [`MAX_ENTRIES`] entries, dimensions of length 0 taken for 1, or on the CPU more memory than there is.
pub fn check_shape(
    what: &'static str,
    shape: &[usize],
    dtype: DType,
    device: &Device,
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
    check_memory(what, entries, dtype, device)?;
    Ok(entries)
}

/// Whether there is memory for so many entries. That of a GPU is none of the process's: there the tensor library tells.
pub(super) fn check_memory(
    what: &'static str,
    entries: usize,
    dtype: DType,
    device: &Device,
) -> Result<(), TensorError> {
    let bytes = entries.saturating_mul(dtype.size_in_bytes());
    if bytes <= PROBED || !device.is_cpu() {
        return Ok(());
    }
    // A system that lends more than it has grants what it cannot give; one that does not may refuse what is available.
    let is_there = memory::available().is_none_or(|available| bytes as u64 <= available);
    if is_there && Vec::<u8>::new().try_reserve_exact(bytes).is_ok() {
        return Ok(());
    }
    Err(TensorError::Memory { op: what, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the system lends memory, it would be granted.
    #[test]
    fn more_than_is_available_is_refused() {
        let check = |bytes: usize| check_memory("x", bytes / 8, DType::F64, &Device::Cpu);
        let available = memory::available().unwrap_or(1 << 39) as usize;
        assert!(matches!(
            check(2 * available + PROBED),
            Err(TensorError::Memory { op: "x", .. })
        ));
        assert!(check(PROBED + 8).is_ok());
    }
}

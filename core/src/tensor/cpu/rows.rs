//! Loops over rows: reductions along a row, sums of rows.

use super::{Element, GRAIN};
use crate::math::simd::vectorised;

/// Independent partial results, so that a sum or maximum vectorises.
const LANES: usize = 16;

/// Folds `term(i)` for `i < n`.
#[inline(always)]
pub(in crate::tensor) fn fold<T: Element>(
    n: usize,
    start: T,
    term: impl Fn(usize) -> T,
    join: impl Fn(T, T) -> T,
) -> T {
    let mut lanes = [start; LANES];
    let whole = n - n % LANES;
    for base in (0..whole).step_by(LANES) {
        for (lane, value) in lanes.iter_mut().enumerate() {
            *value = join(*value, term(base + lane));
        }
    }
    let rest = (whole..n).fold(start, |value, i| join(value, term(i)));
    lanes.into_iter().fold(rest, join)
}

#[inline(always)]
pub(in crate::tensor) fn sum<T: Element>(n: usize, term: impl Fn(usize) -> T) -> T {
    fold(n, T::ZERO, term, |a, b| a + b)
}

/// Rows of this width that are worth a task.
pub(in crate::tensor) fn block(width: usize) -> usize {
    (GRAIN / 4).div_ceil(width)
}

vectorised! {
    /// Column sums.
    pub(in crate::tensor) fn add_rows<T: Element>(rows: &[T], sums: &mut [T]) {
        for row in rows.chunks_exact(sums.len()) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}

/// The sum of rows of length `n`.
pub(in crate::tensor) fn sum_blocks<T: Element>(rows: &[T], n: usize) -> Vec<T> {
    let mut sums = vec![T::ZERO; n];
    if n > 0 {
        add_rows(rows, &mut sums);
    }
    sums
}

//! Products of f32 matrices with AVX-512, for the shapes of conditioner networks.
//!
//! A general product first copies its operands into the order in which the kernel reads them. Where both operands fit the L2
//! cache, that costs more than it saves: here tiles of 8 x 48 entries of the result stay in registers while the rows of b stream
//! past, straight from where they are, and each entry of a is loaded into all lanes at once. The few columns that would fill a
//! vector badly are products of rows with columns instead.

use std::arch::x86_64::{
    __m512, __mmask16, _MM_HINT_T0, _mm_prefetch, _mm512_add_ps, _mm512_castpd_ps,
    _mm512_castps_pd, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps,
    _mm512_maskz_loadu_ps, _mm512_reduce_add_ps, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_shuffle_f32x4, _mm512_storeu_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps,
    _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

/// Entries of a vector.
const LANES: usize = 16;
/// Rows of a tile.
const ROWS: usize = 8;
/// Vectors in each row of a tile.
const VECTORS: usize = 3;

/// Most columns beyond whole vectors that are products of rows with columns.
const FEW: usize = 4;

/// A strided operand or result.
#[derive(Clone, Copy)]
pub(super) struct Operand<P> {
    pub(super) data: P,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

/// Whether this processor can run [`multiply`].
pub(super) fn available() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
}

/// `out = a b`, or `out += a b` if `add`, for a `[m, k]` of any strides, b `[k, n]` and out `[m, n]` with adjacent entries in
/// each row (whatever their column strides say). Every entry of `out` is written.
///
/// # Safety
/// [`available`]; all entries of a and b can be read, and those of `out`, which overlaps neither, be written, and be read if
/// `add`.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn multiply(
    [m, k, n]: [usize; 3],
    a: Operand<*const f32>,
    b: Operand<*const f32>,
    out: Operand<*mut f32>,
    add: bool,
) {
    let few = n % LANES;
    let few = if few <= FEW && a.column_stride == 1 && k >= LANES {
        few
    } else {
        0
    };
    let mut column = 0;
    while column < n {
        let b = Operand {
            data: b.data.wrapping_add(column),
            ..b
        };
        let out = Operand {
            data: out.data.wrapping_add(column),
            ..out
        };
        let rest = n - few - column;
        let vectors = rest.div_ceil(LANES).min(VECTORS);
        let width = match vectors {
            0 => few,
            _ => rest.min(vectors * LANES),
        };
        // SAFETY: the panel of `width` columns lies within b and `out`; where no vector is left, it has `few`.
        unsafe {
            match (vectors, width) {
                (0, 1) => columns::<1>([m, k], a, b, out, add),
                (0, 2) => columns::<2>([m, k], a, b, out, add),
                (0, 3) => columns::<3>([m, k], a, b, out, add),
                (0, _) => columns::<FEW>([m, k], a, b, out, add),
                (1, _) => panel::<1>([m, k, width], a, b, out, add),
                (2, _) => panel::<2>([m, k, width], a, b, out, add),
                _ => panel::<VECTORS>([m, k, width], a, b, out, add),
            }
        }
        column += width;
    }
}

/// [`multiply`] for N columns, where the entries of each row of a are adjacent.
#[target_feature(enable = "avx512f")]
unsafe fn columns<const N: usize>(
    [m, k]: [usize; 2],
    a: Operand<*const f32>,
    b: Operand<*const f32>,
    out: Operand<*mut f32>,
    add: bool,
) {
    // One column after the other, filled up with zeros.
    let length = k.next_multiple_of(LANES);
    let mut columns = vec![0.0; N * length];
    for (j, column) in columns.chunks_exact_mut(length).enumerate() {
        for (i, entry) in column[..k].iter_mut().enumerate() {
            // SAFETY: an entry of b.
            *entry = unsafe { *b.data.add(i * b.row_stride + j) };
        }
    }
    for row in 0..m {
        let mut sums = [_mm512_setzero_ps(); N];
        for start in (0..k).step_by(LANES) {
            let mask = __mmask16::MAX >> (LANES - (k - start).min(LANES));
            // SAFETY: the entries selected by the mask are those of this row of a, and `start` is one of `length`.
            unsafe {
                let entries = _mm512_maskz_loadu_ps(mask, a.data.add(row * a.row_stride + start));
                for (j, sum) in sums.iter_mut().enumerate() {
                    let column = _mm512_loadu_ps(columns.as_ptr().add(j * length + start));
                    *sum = _mm512_fmadd_ps(entries, column, *sum);
                }
            }
        }
        for (j, &sum) in sums.iter().enumerate() {
            let sum = _mm512_reduce_add_ps(sum);
            // SAFETY: entry j of this row of the result, initialised if `add`.
            unsafe {
                let entry = out.data.add(row * out.row_stride + j);
                *entry = if add { *entry + sum } else { sum };
            }
        }
    }
}

/// [`multiply`] for at most V vectors of columns, and more than V - 1.
#[target_feature(enable = "avx512f")]
unsafe fn panel<const V: usize>(
    [m, k, n]: [usize; 3],
    a: Operand<*const f32>,
    b: Operand<*const f32>,
    out: Operand<*mut f32>,
    add: bool,
) {
    let last = n - (V - 1) * LANES;
    let mask = __mmask16::MAX >> (LANES - last);
    let at = |row: usize| {
        let a = Operand {
            data: a.data.wrapping_add(row * a.row_stride),
            ..a
        };
        let out = Operand {
            data: out.data.wrapping_add(row * out.row_stride),
            ..out
        };
        (a, out)
    };
    let whole = m - m % ROWS;
    for row in (0..whole).step_by(ROWS) {
        let (a, out) = at(row);
        // SAFETY: the tile lies within the panel.
        unsafe { tile::<ROWS, V>(k, mask, a, b, out, add) };
    }
    for row in whole..m {
        let (a, out) = at(row);
        // SAFETY: as above.
        unsafe { tile::<1, V>(k, mask, a, b, out, add) };
    }
}

/// R rows and V vectors of the result; `mask` selects the entries of the last vector that exist.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn tile<const R: usize, const V: usize>(
    k: usize,
    mask: __mmask16,
    a: Operand<*const f32>,
    b: Operand<*const f32>,
    out: Operand<*mut f32>,
    add: bool,
) {
    let mask_of = |vector: usize| {
        if vector + 1 == V {
            mask
        } else {
            __mmask16::MAX
        }
    };
    if add {
        // Sums of gradients come from beyond the L2 cache; they are needed only after the products.
        for i in 0..R {
            for vector in 0..V {
                let entries = out.data.wrapping_add(i * out.row_stride + vector * LANES);
                _mm_prefetch::<_MM_HINT_T0>(entries.cast());
            }
        }
    }
    let mut sums = [[_mm512_setzero_ps(); V]; R];
    let (mut a_column, mut b_row) = (a.data, b.data);
    for _ in 0..k {
        // SAFETY: the entries selected by the masks are those of b's row.
        let row: [__m512; V] = std::array::from_fn(|vector| unsafe {
            _mm512_maskz_loadu_ps(mask_of(vector), b_row.add(vector * LANES))
        });
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: row i of the tile is one of a.
            let factor = _mm512_set1_ps(unsafe { *a_column.add(i * a.row_stride) });
            for (sum, &entries) in sums.iter_mut().zip(&row) {
                *sum = _mm512_fmadd_ps(factor, entries, *sum);
            }
        }
        a_column = a_column.wrapping_add(a.column_stride);
        b_row = b_row.wrapping_add(b.row_stride);
    }
    for (i, sums) in sums.iter().enumerate() {
        for (vector, &sum) in sums.iter().enumerate() {
            // SAFETY: the entries selected by the masks are those of row i of the result.
            unsafe {
                let entries = out.data.add(i * out.row_stride + vector * LANES);
                let mask = mask_of(vector);
                let sum = if add {
                    _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, entries))
                } else {
                    sum
                };
                _mm512_mask_storeu_ps(entries, mask, sum);
            }
        }
    }
}

/// Writes the transpose of the 16 x 16 entries at `x`, whose rows lie `x_stride` apart, to `out`, with rows `out_stride` apart.
///
/// # Safety
/// [`available`]; the entries at `x` can be read, those at `out` be written.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn transpose_block(
    x: *const f32,
    x_stride: usize,
    out: *mut f32,
    out_stride: usize,
) {
    let low = |a, b| _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
    let high =
        |a, b| _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
    // SAFETY: row i of x can be read.
    let x: [__m512; LANES] =
        std::array::from_fn(|i| unsafe { _mm512_loadu_ps(x.add(i * x_stride)) });
    // Row 4 i + j of `fours`: in each quarter, entry j of the quarters of rows 4 i .. 4 i + 4.
    let fours: [__m512; LANES] = std::array::from_fn(|row| {
        let x = &x[row - row % 4..];
        let pair = |i: usize| match row % 4 {
            0 | 1 => _mm512_unpacklo_ps(x[i], x[i + 1]),
            _ => _mm512_unpackhi_ps(x[i], x[i + 1]),
        };
        match row % 2 {
            0 => low(pair(0), pair(2)),
            _ => high(pair(0), pair(2)),
        }
    });
    for j in 0..4 {
        // The quarters 0 and 2, or 1 and 3, of two vectors.
        let even = |a, b| _mm512_shuffle_f32x4::<0x88>(a, b);
        let odd = |a, b| _mm512_shuffle_f32x4::<0xdd>(a, b);
        let [a, b, c, d] = [fours[j], fours[4 + j], fours[8 + j], fours[12 + j]];
        for (quarter, row) in [
            even(even(a, b), even(c, d)),
            even(odd(a, b), odd(c, d)),
            odd(even(a, b), even(c, d)),
            odd(odd(a, b), odd(c, d)),
        ]
        .into_iter()
        .enumerate()
        {
            // SAFETY: this row of `out` can be written.
            unsafe { _mm512_storeu_ps(out.add((4 * quarter + j) * out_stride), row) };
        }
    }
}

//! Matrix views and products.

use std::mem::MaybeUninit;

use candle_core::{CpuStorage, DType, Layout, Result};

use super::Element;
#[cfg(target_arch = "x86_64")]
use super::product::{self, Operand};

/// Rows and columns of the blocks in which a matrix is copied, those of `product::transpose_block`.
const BLOCK: usize = 16;

/// A strided matrix of which every entry lies within `data`.
#[derive(Clone, Copy)]
pub(in crate::tensor) struct Matrix<'a, T> {
    data: &'a [T],
    pub(in crate::tensor) rows: usize,
    pub(in crate::tensor) columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T: Element> Matrix<'a, T> {
    /// The matrix that a rank-2 tensor holds.
    pub(in crate::tensor) fn of(storage: &'a CpuStorage, layout: &Layout) -> Result<Self> {
        let (rows, columns) = layout.shape().dims2()?;
        let data = &storage.as_slice::<T>()?[layout.start_offset()..];
        Ok(Self::new(
            data,
            [rows, columns],
            [layout.stride()[0], layout.stride()[1]],
        ))
    }

    /// Rows one after the other.
    pub(in crate::tensor) fn row_major(data: &'a [T], rows: usize, columns: usize) -> Self {
        Self::new(data, [rows, columns], [columns, 1])
    }

    fn new(
        data: &'a [T],
        [rows, columns]: [usize; 2],
        [row_stride, column_stride]: [usize; 2],
    ) -> Self {
        let last = rows.saturating_sub(1) * row_stride + columns.saturating_sub(1) * column_stride;
        assert!(
            rows == 0 || columns == 0 || last < data.len(),
            "a matrix view stays within its data"
        );
        Matrix {
            data,
            rows,
            columns,
            row_stride,
            column_stride,
        }
    }

    pub(in crate::tensor) fn transposed(self) -> Self {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// `len` rows from `start`.
    pub(in crate::tensor) fn rows(self, start: usize, len: usize) -> Self {
        let data = if len == 0 || self.columns == 0 {
            &[]
        } else {
            &self.data[start * self.row_stride..]
        };
        Self::new(
            data,
            [len, self.columns],
            [self.row_stride, self.column_stride],
        )
    }

    /// The entries in row-major order.
    pub(in crate::tensor) fn to_row_major(self) -> Vec<T> {
        let mut copy = vec![T::ZERO; self.rows * self.columns];
        // Square blocks, so that both sides stay in cache lines already fetched.
        for top in (0..self.rows).step_by(BLOCK) {
            for left in (0..self.columns).step_by(BLOCK) {
                self.copy_block(top, left, &mut copy);
            }
        }
        copy
    }

    fn copy_block(self, top: usize, left: usize, copy: &mut [T]) {
        let (bottom, right) = (top + BLOCK, left + BLOCK);
        #[cfg(target_arch = "x86_64")]
        if T::DTYPE == DType::F32
            && self.row_stride == 1
            && bottom <= self.rows
            && right <= self.columns
            && product::available()
        {
            let x = &self.data[top + left * self.column_stride..];
            let out = &mut copy[top * self.columns + left..];
            // SAFETY: the processor has AVX-512, the block lies within both matrices, and `T` is f32.
            unsafe {
                product::transpose_block(
                    x.as_ptr().cast(),
                    self.column_stride,
                    out.as_mut_ptr().cast(),
                    self.columns,
                );
            }
            return;
        }
        for row in top..bottom.min(self.rows) {
            for column in left..right.min(self.columns) {
                copy[row * self.columns + column] =
                    self.data[row * self.row_stride + column * self.column_stride];
            }
        }
    }

    /// Row `i`, where its entries are adjacent.
    pub(in crate::tensor) fn row(&self, i: usize) -> &'a [T] {
        debug_assert!(self.column_stride == 1 || self.columns <= 1);
        &self.data[i * self.row_stride..][..self.columns]
    }
}

/// Most rows of the right factor for which its columns, 48 at a time, stay in the L2 cache.
#[cfg(target_arch = "x86_64")]
const DEEPEST: usize = 1024;

/// `out = a b`, row-major, on the calling thread; every entry of `out` is written.
pub(in crate::tensor) fn multiply<T: Element>(
    a: Matrix<T>,
    b: Matrix<T>,
    out: &mut [MaybeUninit<T>],
) {
    // SAFETY: nothing is read from `out`.
    unsafe { run(a, b, out, false) }
}

/// `out += a b`, row-major, on the calling thread.
pub(in crate::tensor) fn multiply_add<T: Element>(a: Matrix<T>, b: Matrix<T>, out: &mut [T]) {
    // SAFETY: every entry of `out` is initialised, and stays so; `MaybeUninit<T>` has the layout of `T`.
    unsafe {
        let out = &mut *(std::ptr::from_mut(out) as *mut [MaybeUninit<T>]);
        run(a, b, out, true);
    }
}

/// `out = a b`, or `out += a b` if `add`.
///
/// # Safety
/// `out` is initialised if `add`.
unsafe fn run<T: Element>(a: Matrix<T>, b: Matrix<T>, out: &mut [MaybeUninit<T>], add: bool) {
    assert!(
        a.columns == b.rows && out.len() == a.rows * b.columns,
        "matrix product of fitting shapes"
    );
    #[cfg(target_arch = "x86_64")]
    if T::DTYPE == DType::F32 && b.column_stride == 1 && b.rows <= DEEPEST && product::available() {
        let operand = |x: Matrix<T>| Operand {
            data: x.data.as_ptr().cast::<f32>(),
            row_stride: x.row_stride,
            column_stride: x.column_stride,
        };
        let result = Operand {
            data: out.as_mut_ptr().cast::<f32>(),
            row_stride: b.columns,
            column_stride: 1,
        };
        let sizes = [a.rows, a.columns, b.columns];
        // SAFETY: the processor has AVX-512; the views keep within their data (`Matrix::new`), `out` has `a.rows` times
        // `b.columns` entries, rows of b and `out` are adjacent, and `T` is f32.
        unsafe { product::multiply(sizes, operand(a), operand(b), result, add) };
        return;
    }
    // SAFETY: the views keep within their data (`Matrix::new`), `out` has `a.rows` times `b.columns` entries, and unless
    // `add` its old contents are never read. `T` is f32 or f64, which gemm supports.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr().cast::<T>(),
            1,
            b.columns as isize,
            add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

//! Matrix views and products.

use std::mem::MaybeUninit;

use candle_core::{CpuStorage, Layout, Result};

use super::math::Real;

/// A strided matrix of which every entry lies within `data`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, T> {
    data: &'a [T],
    pub(super) rows: usize,
    pub(super) columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T: Real> Matrix<'a, T> {
    /// The matrix that a rank-2 tensor holds.
    pub(super) fn of(storage: &'a CpuStorage, layout: &Layout) -> Result<Self> {
        let (rows, columns) = layout.shape().dims2()?;
        let data = &storage.as_slice::<T>()?[layout.start_offset()..];
        Ok(Self::new(
            data,
            [rows, columns],
            [layout.stride()[0], layout.stride()[1]],
        ))
    }

    /// Rows one after the other.
    pub(super) fn row_major(data: &'a [T], rows: usize, columns: usize) -> Self {
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

    pub(super) fn transposed(self) -> Self {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// `len` rows from `start`.
    pub(super) fn rows(self, start: usize, len: usize) -> Self {
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

    /// Row `i`, where its entries are adjacent.
    pub(super) fn row(&self, i: usize) -> &'a [T] {
        debug_assert!(self.column_stride == 1 || self.columns <= 1);
        &self.data[i * self.row_stride..][..self.columns]
    }
}

/// `out = a b`, row-major, on the calling thread; every entry of `out` is written.
pub(super) fn multiply<T: Real>(a: Matrix<T>, b: Matrix<T>, out: &mut [MaybeUninit<T>]) {
    assert!(
        a.columns == b.rows && out.len() == a.rows * b.columns,
        "matrix product of fitting shapes"
    );
    // SAFETY: the views keep within their data (`Matrix::new`), `out` has `a.rows` times `b.columns` entries, and with
    // `read_dst` false the old contents of `out` are never read. `T` is f32 or f64, which gemm supports.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr().cast::<T>(),
            1,
            b.columns as isize,
            false,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            T::ZERO,
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

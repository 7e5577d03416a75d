//! Selection of columns: candle's own copies entry by entry on one thread.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use crate::tensor::cpu::{
    Element, GRAIN, entries, filled, storage_of, tensor, with_entries, with_real,
};

/// `x[..., index]`, x and index contiguous, on the CPU.
pub(super) fn columns(x: &Tensor, index: &Tensor) -> Result<Tensor> {
    x.apply_op2(index, Columns)
}

struct Columns;

impl Columns {
    fn forward<T: Element>(x: &[T], width: usize, index: &[u32]) -> Vec<T> {
        let n = index.len();
        if n == 0 || width == 0 {
            return Vec::new();
        }
        let block = (GRAIN / n).max(1);
        // SAFETY: every row of `y` has as many entries as `index`, and each is written.
        unsafe {
            filled(x.len() / width * n, |y| {
                y.par_chunks_mut(block * n)
                    .zip(x.par_chunks(block * width))
                    .for_each(|(y, x)| {
                        for (y, x) in y.chunks_exact_mut(n).zip(x.chunks_exact(width)) {
                            for (y, &i) in y.iter_mut().zip(index) {
                                y.write(x[i as usize]);
                            }
                        }
                    });
            })
        }
    }

    fn backward<T: Element>(gradient: &[T], width: usize, rows: usize, index: &[u32]) -> Vec<T> {
        let n = index.len();
        let mut dx = vec![T::ZERO; rows * width];
        if n == 0 || width == 0 {
            return dx;
        }
        let block = (GRAIN / n).max(1);
        dx.par_chunks_mut(block * width)
            .zip(gradient.par_chunks(block * n))
            .for_each(|(dx, gradient)| {
                for (dx, gradient) in dx.chunks_exact_mut(width).zip(gradient.chunks_exact(n)) {
                    for (&g, &i) in gradient.iter().zip(index) {
                        dx[i as usize] += g;
                    }
                }
            });
        dx
    }

    fn gradient<T: Element>(x: &Tensor, index: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let index = index.to_vec1::<u32>()?;
        let width = x.dims().last().copied().unwrap_or(1);
        let rows = x.elem_count().checked_div(width).unwrap_or(0);
        let dx = with_entries::<T, _>(gradient, |g| Self::backward(g, width, rows, &index))?;
        tensor(dx, x.shape())
    }
}

impl CustomOp2 for Columns {
    fn name(&self) -> &'static str {
        "select columns"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        index: &CpuStorage,
        index_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = index_layout.contiguous_offsets() else {
            return Err(candle_core::Error::RequiresContiguous {
                op: "select columns",
            }
            .bt());
        };
        let index = &index.as_slice::<u32>()?[start..end];
        let mut shape = x_layout.dims().to_vec();
        let Some(last) = shape.last_mut() else {
            return Err(candle_core::Error::EmptyTensor {
                op: "select columns",
            }
            .bt());
        };
        let width = std::mem::replace(last, index.len());
        if let Some(&beyond) = index.iter().find(|&&i| i as usize >= width) {
            return Err(candle_core::Error::InvalidIndex {
                op: "select columns",
                index: beyond as usize,
                size: width,
            }
            .bt());
        }
        let y = with_real!(x, T => {
            Ok(storage_of(Self::forward::<T>(entries(x, x_layout)?, width, index)))
        })?;
        Ok((y, Shape::from(shape)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        index: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dx = with_real!(x, T => Self::gradient::<T>(x, index, gradient))?;
        Ok((Some(dx), None))
    }
}

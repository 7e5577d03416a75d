//! Softmax and relatives over contiguous rows.

use std::mem::MaybeUninit;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use crate::math::simd::vectorised;
use crate::tensor::cpu::rows::{block, fold, sum};
use crate::tensor::cpu::{
    Element, entries, filled, storage_of, tensor, with_entries, with_real, written,
};

/// What is computed from each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tensor) enum Normalisation {
    Softmax,
    LogSoftmax,
    /// One entry per row.
    LogSumExp,
}

/// Softmax or a relative over the last dimension, which is kept; x contiguous, on the CPU.
pub(super) fn apply(x: &Tensor, kind: Normalisation) -> Result<Tensor> {
    x.apply_op1(kind)
}

vectorised! {
    fn normalise<T: Element>(kind: Normalisation, width: usize, x: &[T], y: &mut [MaybeUninit<T>]) {
        let out = if kind == Normalisation::LogSumExp {
            1
        } else {
            width
        };
        for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(out)) {
            let max = fold(width, x[0], |i| x[i], |a, b| T::select(b > a, b, a));
            match kind {
                Normalisation::Softmax => {
                    for (y, &x) in y.iter_mut().zip(x) {
                        y.write((x - max).exp());
                    }
                    // SAFETY: just written.
                    let y = unsafe { written(y) };
                    let scale = T::ONE / sum(width, |i| y[i]);
                    y.iter_mut().for_each(|y| *y *= scale);
                }
                Normalisation::LogSoftmax => {
                    let log_sum = max + sum(width, |i| (x[i] - max).exp()).log();
                    for (y, &x) in y.iter_mut().zip(x) {
                        y.write(x - log_sum);
                    }
                }
                Normalisation::LogSumExp => {
                    y[0].write(max + sum(width, |i| (x[i] - max).exp()).log());
                }
            }
        }
    }
}

vectorised! {
    fn normalise_back<T: Element>(
        kind: Normalisation,
        width: usize,
        x: &[T],
        y: &[T],
        g: &[T],
        dx: &mut [MaybeUninit<T>],
    ) {
        let out = if kind == Normalisation::LogSumExp {
            1
        } else {
            width
        };
        let rows = x
            .chunks_exact(width)
            .zip(y.chunks_exact(out))
            .zip(g.chunks_exact(out));
        for (((x, y), g), dx) in rows.zip(dx.chunks_exact_mut(width)) {
            match kind {
                Normalisation::Softmax => {
                    let mean = sum(width, |i| g[i] * y[i]);
                    for ((dx, &y), &g) in dx.iter_mut().zip(y).zip(g) {
                        dx.write(y * (g - mean));
                    }
                }
                Normalisation::LogSoftmax => {
                    let total = sum(width, |i| g[i]);
                    for ((dx, &y), &g) in dx.iter_mut().zip(y).zip(g) {
                        dx.write(g - y.exp() * total);
                    }
                }
                Normalisation::LogSumExp => {
                    for (dx, &x) in dx.iter_mut().zip(x) {
                        dx.write(g[0] * (x - y[0]).exp());
                    }
                }
            }
        }
    }
}

impl Normalisation {
    fn out(self, width: usize) -> usize {
        if self == Normalisation::LogSumExp {
            1
        } else {
            width
        }
    }

    fn forward<T: Element>(self, x: &[T], width: usize) -> Vec<T> {
        let (out, block) = (self.out(width), block(width));
        // SAFETY: both sides are cut into the same numbers of whole rows, and `normalise` writes each row.
        unsafe {
            filled(x.len() / width * out, |y| {
                y.par_chunks_mut(block * out)
                    .zip(x.par_chunks(block * width))
                    .for_each(|(y, x)| normalise(self, width, x, y));
            })
        }
    }

    fn backward<T: Element>(self, width: usize, x: &[T], y: &[T], g: &[T]) -> Vec<T> {
        let (out, block) = (self.out(width), block(width));
        // SAFETY: all sides are cut into the same numbers of whole rows, and `normalise_back` writes each row.
        unsafe {
            filled(x.len(), |dx| {
                dx.par_chunks_mut(block * width)
                    .zip(x.par_chunks(block * width))
                    .zip(y.par_chunks(block * out).zip(g.par_chunks(block * out)))
                    .for_each(|((dx, x), (y, g))| normalise_back(self, width, x, y, g, dx));
            })
        }
    }

    fn gradient<T: Element>(self, x: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let width = x.dims().last().copied().unwrap_or(1);
        let dx = with_entries::<T, _>(x, |x| {
            with_entries::<T, _>(y, |y| {
                with_entries::<T, _>(gradient, |g| self.backward(width, x, y, g))
            })
        })???;
        tensor(dx, x.shape())
    }
}

impl CustomOp1 for Normalisation {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut shape = layout.dims().to_vec();
        let Some(last) = shape.last_mut().filter(|width| **width > 0) else {
            return Err(candle_core::Error::EmptyTensor { op: "softmax" }.bt());
        };
        let width = *last;
        *last = self.out(width);
        let y = with_real!(x, T => Ok(storage_of(self.forward::<T>(entries(x, layout)?, width))))?;
        Ok((y, Shape::from(shape)))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        with_real!(x, T => self.gradient::<T>(x, y, gradient)).map(Some)
    }
}

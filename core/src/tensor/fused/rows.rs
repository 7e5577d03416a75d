//! Softmax and relatives, and layer normalisation, over contiguous rows.

use std::mem::MaybeUninit;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Tensor};
use multiversion::multiversion;
use rayon::prelude::*;

use super::dense::sum_blocks;
use super::math::Real;
use super::{GRAIN, entries, filled, storage_of, tensor, with_entries, with_real, written};

/// What is computed from each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Normalisation {
    Softmax,
    LogSoftmax,
    /// One entry per row.
    LogSumExp,
}

/// Softmax or a relative over the last dimension, which is kept; x contiguous, on the CPU.
pub(crate) fn softmax(x: &Tensor, kind: Normalisation) -> Result<Tensor> {
    x.apply_op1(kind)
}

/// `(x - mean) / sqrt(var + epsilon) * weight + bias` over the last dimension; all contiguous, on the CPU.
pub(crate) fn layer_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    epsilon: f64,
) -> Result<Tensor> {
    x.apply_op3(weight, bias, LayerNorm { epsilon })
}

/// Independent partial results, so that a sum or maximum vectorises.
const LANES: usize = 16;

/// Folds `term(i)` for `i < n`.
#[inline(always)]
fn fold<T: Real>(n: usize, start: T, term: impl Fn(usize) -> T, join: impl Fn(T, T) -> T) -> T {
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
fn sum<T: Real>(n: usize, term: impl Fn(usize) -> T) -> T {
    fold(n, T::ZERO, term, |a, b| a + b)
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma"
))]
fn normalise<T: Real>(kind: Normalisation, width: usize, x: &[T], y: &mut [MaybeUninit<T>]) {
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

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma"
))]
fn normalise_back<T: Real>(
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

/// Rows of this width that are worth a task.
fn block(width: usize) -> usize {
    (GRAIN / 4).div_ceil(width)
}

impl Normalisation {
    fn out(self, width: usize) -> usize {
        if self == Normalisation::LogSumExp {
            1
        } else {
            width
        }
    }

    fn forward<T: Real>(self, x: &[T], width: usize) -> Vec<T> {
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

    fn backward<T: Real>(self, width: usize, x: &[T], y: &[T], g: &[T]) -> Vec<T> {
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

    fn gradient<T: Real>(self, x: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Tensor> {
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

struct LayerNorm {
    epsilon: f64,
}

/// Mean and reciprocal standard deviation of a row.
#[inline(always)]
fn moments<T: Real>(row: &[T], epsilon: T) -> (T, T) {
    let count = T::real(row.len() as f64);
    let mean = sum(row.len(), |i| row[i]) / count;
    let variance = sum(row.len(), |i| (row[i] - mean) * (row[i] - mean)) / count;
    (mean, T::ONE / (variance + epsilon).sqrt())
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma"
))]
fn standardise<T: Real>(epsilon: T, x: &[T], weight: &[T], bias: &[T], y: &mut [MaybeUninit<T>]) {
    let width = weight.len();
    for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
        let (mean, scale) = moments(x, epsilon);
        for (((y, &x), &weight), &bias) in y.iter_mut().zip(x).zip(weight).zip(bias) {
            y.write((x - mean) * scale * weight + bias);
        }
    }
}

/// `dx`, and the sums over rows of `dweight` and `dbias`, one after the other in `sums`.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma"
))]
fn standardise_back<T: Real>(
    epsilon: T,
    x: &[T],
    weight: &[T],
    g: &[T],
    dx: &mut [MaybeUninit<T>],
    sums: &mut [T],
) {
    let width = weight.len();
    let count = T::real(width as f64);
    let (weight_sums, bias_sums) = sums.split_at_mut(width);
    for ((x, g), dx) in x
        .chunks_exact(width)
        .zip(g.chunks_exact(width))
        .zip(dx.chunks_exact_mut(width))
    {
        let (mean, scale) = moments(x, epsilon);
        let centre = sum(width, |i| g[i] * weight[i]) / count;
        let slope = sum(width, |i| g[i] * weight[i] * (x[i] - mean) * scale) / count;
        for i in 0..width {
            let standard = (x[i] - mean) * scale;
            dx[i].write(scale * (g[i] * weight[i] - centre - standard * slope));
            weight_sums[i] += g[i] * standard;
            bias_sums[i] += g[i];
        }
    }
}

impl LayerNorm {
    fn forward<T: Real>(&self, x: &[T], weight: &[T], bias: &[T]) -> Vec<T> {
        let chunk = block(weight.len()) * weight.len();
        let epsilon = T::real(self.epsilon);
        // SAFETY: both sides are cut into the same whole rows, and `standardise` writes each row.
        unsafe {
            filled(x.len(), |y| {
                y.par_chunks_mut(chunk)
                    .zip(x.par_chunks(chunk))
                    .for_each(|(y, x)| standardise(epsilon, x, weight, bias, y));
            })
        }
    }

    /// Gradients of x, weight and bias.
    fn backward<T: Real>(&self, x: &[T], weight: &[T], g: &[T]) -> [Vec<T>; 3] {
        let width = weight.len();
        let chunk = block(width) * width;
        let epsilon = T::real(self.epsilon);
        let mut sums = vec![T::ZERO; x.len().div_ceil(chunk) * 2 * width];
        // SAFETY: all sides are cut into the same whole rows, and `standardise_back` writes each row of `dx`.
        let dx = unsafe {
            filled(x.len(), |dx| {
                dx.par_chunks_mut(chunk)
                    .zip(x.par_chunks(chunk).zip(g.par_chunks(chunk)))
                    .zip(sums.par_chunks_mut(2 * width))
                    .for_each(|((dx, (x, g)), sums)| {
                        standardise_back(epsilon, x, weight, g, dx, sums)
                    });
            })
        };
        let mut weight_sums = sum_blocks(&sums, 2 * width);
        let bias_sums = weight_sums.split_off(width);
        [dx, weight_sums, bias_sums]
    }

    fn gradients<T: Real>(
        &self,
        x: &Tensor,
        weight: &Tensor,
        gradient: &Tensor,
    ) -> Result<[Tensor; 3]> {
        let [dx, dw, db] = with_entries::<T, _>(x, |x| {
            with_entries::<T, _>(weight, |w| {
                with_entries::<T, _>(gradient, |g| self.backward(x, w, g))
            })
        })???;
        Ok([
            tensor(dx, x.shape())?,
            tensor(dw, weight.shape())?,
            tensor(db, weight.shape())?,
        ])
    }
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let y = with_real!(x, T => {
            let (weight, bias) = (entries::<T>(weight, weight_layout)?, entries::<T>(bias, bias_layout)?);
            Ok(storage_of(self.forward(entries(x, x_layout)?, weight, bias)))
        })?;
        Ok((y, x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, db] = with_real!(x, T => self.gradients::<T>(x, weight, gradient))?;
        Ok((Some(dx), Some(dw), Some(db)))
    }
}

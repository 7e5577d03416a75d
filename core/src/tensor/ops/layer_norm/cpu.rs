//! Layer normalisation over contiguous rows.

use std::mem::MaybeUninit;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use crate::math::simd::vectorised;
use crate::tensor::cpu::rows::{block, sum, sum_blocks};
use crate::tensor::cpu::{Element, entries, filled, storage_of, tensor, with_entries, with_real};

/// `(x - mean) / sqrt(var + epsilon) * weight + bias` over the last dimension; all contiguous, on the CPU.
pub(super) fn apply(x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f64) -> Result<Tensor> {
    x.apply_op3(weight, bias, LayerNorm { epsilon })
}

struct LayerNorm {
    epsilon: f64,
}

/// Mean and reciprocal standard deviation of a row.
#[inline(always)]
fn moments<T: Element>(row: &[T], epsilon: T) -> (T, T) {
    let count = T::of(row.len() as f64);
    let mean = sum(row.len(), |i| row[i]) / count;
    let variance = sum(row.len(), |i| (row[i] - mean) * (row[i] - mean)) / count;
    (mean, T::ONE / (variance + epsilon).sqrt())
}

vectorised! {
    fn standardise<T: Element>(epsilon: T, x: &[T], weight: &[T], bias: &[T], y: &mut [MaybeUninit<T>]) {
        let width = weight.len();
        for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
            let (mean, scale) = moments(x, epsilon);
            for (((y, &x), &weight), &bias) in y.iter_mut().zip(x).zip(weight).zip(bias) {
                y.write((x - mean) * scale * weight + bias);
            }
        }
    }
}

vectorised! {
    /// `dx`, and the sums over rows of `dweight` and `dbias`, one after the other in `sums`.
    fn standardise_back<T: Element>(
        epsilon: T,
        x: &[T],
        weight: &[T],
        g: &[T],
        dx: &mut [MaybeUninit<T>],
        sums: &mut [T],
    ) {
        let width = weight.len();
        let count = T::of(width as f64);
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
}

impl LayerNorm {
    fn forward<T: Element>(&self, x: &[T], weight: &[T], bias: &[T]) -> Vec<T> {
        let chunk = block(weight.len()) * weight.len();
        let epsilon = T::of(self.epsilon);
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
    fn backward<T: Element>(&self, x: &[T], weight: &[T], g: &[T]) -> [Vec<T>; 3] {
        let width = weight.len();
        let chunk = block(width) * width;
        let epsilon = T::of(self.epsilon);
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

    fn gradients<T: Element>(
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

//! The dense layer `activation(x W + b)`.
//!
//! Blocks of rows go through product, bias and activation while they are in the cache. The forward pass keeps the
//! derivative of the activation, so the backward pass is products only: with `g' = g * activation'(z)`,
//! `dx = g' W^T`, `dW = x^T g'`, `db` = column sums of `g'`.

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::Activation;
use crate::math::simd::vectorised;
use crate::tensor::cpu::rows::{add_rows, sum_blocks};
use crate::tensor::cpu::{
    Element, Matrix, entries, filled, multiply, multiply_add, storage_of, tensor, with_entries,
    with_real, with_storage, written,
};
use crate::tensor::gradients;
use crate::tensor::ops::unary::{Elementwise, kernel};

/// `activation(x W + b)` on the CPU; x `[rows, k]` and W `[k, n]` of any strides, b `[n]`.
pub(super) fn apply(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    activation: Activation,
) -> Result<Tensor> {
    let tracked = x.track_op() || weight.track_op() || bias.track_op();
    let bias = bias.contiguous()?;
    with_real!(x, T => x.apply_op3(weight, &bias, Dense::<T> {
        activation,
        tracked,
        derivative: OnceLock::new(),
    }))
}

struct Dense<T> {
    activation: Activation,
    /// Whether a backward pass can follow.
    tracked: bool,
    /// Derivative of the activation at each output, row-major.
    derivative: OnceLock<Vec<T>>,
}

/// Rows that one task handles: enough that packing W costs little beside the product, few enough for the L2 cache. It does
/// not depend on the number of threads, so that results do not either.
fn block(rows: usize) -> usize {
    rows.div_ceil(4).clamp(64, 128)
}

vectorised! {
    /// `z` becomes `activation(z + bias)`.
    fn activate<T: Element, F: Elementwise<T>>(f: F, z: &mut [T], bias: &[T]) {
        for row in z.chunks_exact_mut(bias.len()) {
            for (z, &bias) in row.iter_mut().zip(bias) {
                *z = f.value(*z + bias);
            }
        }
    }
}

vectorised! {
    /// [`activate`], keeping the derivative.
    fn activate_keeping<T: Element, F: Elementwise<T>>(
        f: F,
        z: &mut [T],
        bias: &[T],
        derivative: &mut [MaybeUninit<T>],
    ) {
        for (row, derivative) in z
            .chunks_exact_mut(bias.len())
            .zip(derivative.chunks_exact_mut(bias.len()))
        {
            for ((z, &bias), derivative) in row.iter_mut().zip(bias).zip(derivative) {
                let x = *z + bias;
                let y = f.value(x);
                derivative.write(f.derivative(x, y));
                *z = y;
            }
        }
    }
}

/// Bias and activation for a block of the product, and the derivative where there is memory for it.
type Finish<'a, T> = &'a (dyn Fn(&mut [T], Option<&mut [MaybeUninit<T>]>) + Sync);

fn finish<T: Element, F: Elementwise<T>>(
    f: F,
    bias: &[T],
) -> impl Fn(&mut [T], Option<&mut [MaybeUninit<T>]>) + Sync {
    move |z, derivative| match derivative {
        Some(derivative) => activate_keeping(f, z, bias, derivative),
        None => activate(f, z, bias),
    }
}

vectorised! {
    /// `out = gradient * derivative`, and its column sums.
    fn scale<T: Element>(gradient: &[T], derivative: &[T], out: &mut [MaybeUninit<T>], sums: &mut [T]) {
        let n = sums.len();
        let rows = gradient
            .chunks_exact(n)
            .zip(derivative.chunks_exact(n))
            .zip(out.chunks_exact_mut(n));
        for ((gradient, derivative), out) in rows {
            for (((&g, &d), out), sum) in gradient
                .iter()
                .zip(derivative)
                .zip(out)
                .zip(sums.iter_mut())
            {
                let g = g * d;
                out.write(g);
                *sum += g;
            }
        }
    }
}

impl<T: Element> Dense<T> {
    fn forward(&self, x: Matrix<T>, weight: Matrix<T>, bias: &[T]) -> Vec<T> {
        let identity = kernel::Affine {
            scale: 1.0,
            shift: 0.0,
        };
        match self.activation {
            Activation::None => self.run(&|z, _| activate(identity, z, bias), false, x, weight),
            Activation::Relu => self.run(&finish(kernel::Relu {}, bias), self.tracked, x, weight),
            Activation::Silu => self.run(&finish(kernel::Silu {}, bias), self.tracked, x, weight),
            Activation::Tanh => self.run(&finish(kernel::Tanh {}, bias), self.tracked, x, weight),
            Activation::Gelu => self.run(&finish(kernel::Gelu {}, bias), self.tracked, x, weight),
        }
    }

    /// Product and `finish`, block by block; where the derivative is kept, `finish` writes all of it.
    fn run(&self, finish: Finish<T>, keep: bool, x: Matrix<T>, weight: Matrix<T>) -> Vec<T> {
        let n = weight.columns;
        if n == 0 || x.rows == 0 {
            return Vec::new();
        }
        let (len, block) = (x.rows * n, block(x.rows));
        let task =
            |i: usize, y: &mut [MaybeUninit<T>], derivative: Option<&mut [MaybeUninit<T>]>| {
                multiply(x.rows(i * block, y.len() / n), weight, y);
                // SAFETY: `multiply` writes every entry.
                finish(unsafe { written(y) }, derivative);
            };
        let mut y = Vec::new();
        // SAFETY (of both): each block of `y` is written by `multiply`, each of `derivative` by `finish`; where it is not
        // kept, it has no entries.
        let derivative = unsafe {
            filled(if keep { len } else { 0 }, |derivative| {
                y = filled(len, |y| {
                    let mut derivative = derivative.chunks_mut(block * n);
                    let tasks: Vec<_> = y
                        .chunks_mut(block * n)
                        .map(|y| (y, derivative.next()))
                        .collect();
                    tasks
                        .into_par_iter()
                        .enumerate()
                        .for_each(|(i, (y, derivative))| task(i, y, derivative));
                });
            })
        };
        if keep {
            // Candle runs each operation's forward pass once.
            let _ = self.derivative.set(derivative);
        }
        y
    }

    /// Gradients of x (empty without `W^T`) and b, and `gradient * activation'(z)`, which is `gradient` itself where there is
    /// no activation.
    fn pull_back<'a>(
        &self,
        transposed: Option<Matrix<T>>,
        gradient: &'a [T],
        n: usize,
    ) -> (Vec<T>, Vec<T>, Cow<'a, [T]>) {
        let k = transposed.map_or(0, |transposed| transposed.columns);
        let rows = gradient.len().checked_div(n).unwrap_or(0);
        if rows == 0 {
            return (Vec::new(), vec![T::ZERO; n], Cow::Borrowed(gradient));
        }
        let block = block(rows);
        let mut sums = vec![T::ZERO; rows.div_ceil(block) * n];
        let mut scaled = Vec::new();
        // SAFETY (of both): each block of `scaled` is written by `scale`, whose arguments have whole and equally many rows;
        // without a derivative it has no entries. Each block of `dx` is written by `multiply`; unwanted, it has no entries.
        let dx = unsafe {
            filled(rows * k, |dx| {
                let derivative = self.derivative.get();
                scaled = filled(derivative.map_or(0, Vec::len), |scaled| {
                    let mut dx = dx.chunks_mut((block * k).max(1));
                    let mut scaled = scaled.chunks_mut(block * n);
                    let tasks: Vec<_> = gradient
                        .chunks(block * n)
                        .zip(sums.chunks_mut(n))
                        .enumerate()
                        .map(|(i, (gradient, sums))| (i, gradient, sums, scaled.next(), dx.next()))
                        .collect();
                    tasks
                        .into_par_iter()
                        .for_each(|(i, gradient, sums, scaled, dx)| {
                            let gradient = match (derivative, scaled) {
                                (Some(derivative), Some(scaled)) => {
                                    let derivative = &derivative[i * block * n..][..gradient.len()];
                                    scale(gradient, derivative, scaled, sums);
                                    &*written(scaled)
                                }
                                _ => {
                                    add_rows(gradient, sums);
                                    gradient
                                }
                            };
                            if let (Some(transposed), Some(dx)) = (transposed, dx) {
                                let rows = gradient.len() / n;
                                let gradient = Matrix::row_major(gradient, rows, n);
                                multiply(gradient, transposed, dx);
                            }
                        });
                });
            })
        };
        let scaled = match self.derivative.get() {
            Some(_) => Cow::Owned(scaled),
            None => Cow::Borrowed(gradient),
        };
        (dx, sum_blocks(&sums, n), scaled)
    }

    /// Gradient of W, from those of `z = x W + b`; `None` where it is collected.
    fn weight_gradient(x: Matrix<T>, weight: &Tensor, gradient: Matrix<T>) -> Option<Vec<T>> {
        let collected = T::DTYPE == DType::F32
            && gradients::collect(weight, |sums| {
                if let Some(sums) = T::of_f32(sums) {
                    in_tiles(x.transposed(), gradient, sums, multiply_add);
                }
            });
        if collected {
            return None;
        }
        // SAFETY: each tile is written by `multiply`.
        Some(unsafe {
            filled(x.columns * gradient.columns, |dw| {
                in_tiles(x.transposed(), gradient, dw, multiply);
            })
        })
    }

    /// Gradient of b; `None` where it is collected.
    fn bias_gradient(bias: &Tensor, db: Vec<T>) -> Option<Vec<T>> {
        let collected = T::DTYPE == DType::F32
            && gradients::collect(bias, |sums| {
                if let Some(sums) = T::of_f32(sums) {
                    add_rows(&db, sums);
                }
            });
        (!collected).then_some(db)
    }
}

/// `product` of a and b, cut into tiles of rows of a.
fn in_tiles<T: Element, O: Send>(
    a: Matrix<T>,
    b: Matrix<T>,
    out: &mut [O],
    product: impl Fn(Matrix<T>, Matrix<T>, &mut [O]) + Sync,
) {
    if out.is_empty() {
        return;
    }
    let (rows, n) = (a.rows, b.columns);
    let tile = rows.div_ceil(rows.div_ceil(64).max(2));
    out.par_chunks_mut(tile * n)
        .enumerate()
        .for_each(|(i, out)| product(a.rows(i * tile, out.len() / n), b, out));
}

impl<T: Element> CustomOp3 for Dense<T> {
    fn name(&self) -> &'static str {
        "dense"
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
        let x = Matrix::<T>::of(x, x_layout)?;
        let weight = Matrix::of(weight, weight_layout)?;
        let y = self.forward(x, weight, entries(bias, bias_layout)?);
        Ok((storage_of(y), Shape::from((x.rows, weight.columns))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dx, dw, db) = with_storage(x, |xs, x_layout| {
            with_storage(weight, |weights, weight_layout| {
                let x_values = Matrix::of(xs, x_layout)?;
                let weights = Matrix::of(weights, weight_layout)?;
                with_entries(gradient, |gradient| {
                    // In the order that the products of all blocks read.
                    let transposed = x.track_op().then(|| {
                        gradients::transposed(weight, || weights.transposed().to_row_major())
                    });
                    let transposed = transposed.as_deref().map(|transposed| {
                        Matrix::row_major(transposed, weights.columns, weights.rows)
                    });
                    let (dx, db, scaled) = self.pull_back(transposed, gradient, weights.columns);
                    let scaled = Matrix::row_major(&scaled, x_values.rows, weights.columns);
                    let dw = weight
                        .track_op()
                        .then(|| Self::weight_gradient(x_values, weight, scaled));
                    (dx, dw.flatten(), Self::bias_gradient(bias, db))
                })
            })
        })?;
        let dx = x.track_op().then(|| tensor(dx, x.shape())).transpose()?;
        let dw = dw.map(|dw| tensor(dw, weight.shape())).transpose()?;
        let db = db.map(|db| tensor(db, bias.shape())).transpose()?;
        Ok((dx, dw, db))
    }
}

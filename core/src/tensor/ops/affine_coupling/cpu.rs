//! Affine coupling with a bounded log-scale `l = c tanh(s / c)`.
//!
//! Two operations that share no state: the map of x, and the log-determinant, which depends on s alone.

use std::mem::MaybeUninit;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use crate::math::simd::vectorised;
use crate::tensor::cpu::{
    Element, GRAIN, Matrix, filled, storage_of, tensor, with_entries, with_real, with_storage,
};

/// `y` and the log-determinant of `y = x exp(l) + t`, or of its inverse, on the CPU; all inputs `[B, D]`.
pub(super) fn apply(
    x: &Tensor,
    s: &Tensor,
    t: &Tensor,
    limit: f64,
    inverse: bool,
) -> Result<(Tensor, Tensor)> {
    let (x, s, t) = (adjacent(x)?, adjacent(s)?, adjacent(t)?);
    let y = x.apply_op3(&s, &t, Map { limit, inverse })?;
    let log_det = s.apply_op1(LogDet { limit, inverse })?;
    Ok((y, log_det))
}

/// The tensor with adjacent entries in each row.
fn adjacent(x: &Tensor) -> Result<Tensor> {
    if x.stride()[1] == 1 || x.dims()[1] <= 1 {
        Ok(x.clone())
    } else {
        x.contiguous()
    }
}

struct Map {
    limit: f64,
    inverse: bool,
}

struct LogDet {
    limit: f64,
    inverse: bool,
}

vectorised! {
    fn transform<T: Element>(
        limit: T,
        inverse: bool,
        x: &[T],
        s: &[T],
        t: &[T],
        y: &mut [MaybeUninit<T>],
    ) {
        for (((&x, &s), &t), y) in x.iter().zip(s).zip(t).zip(y) {
            let log_scale = limit * (s / limit).tanh();
            y.write(if inverse {
                (x - t) * (-log_scale).exp()
            } else {
                x * log_scale.exp() + t
            });
        }
    }
}

vectorised! {
    /// Gradients of x, s and t from x, s, y and the gradient of y, in this order.
    fn pull_back<T: Element>(
        limit: T,
        inverse: bool,
        inputs: [&[T]; 4],
        gradients: [&mut [MaybeUninit<T>]; 3],
    ) {
        let ([x, s, y, g], [dx, ds, dt]) = (inputs, gradients);
        let inputs = x.iter().zip(s).zip(y).zip(g);
        for ((((&x, &s), &y), &g), ((dx, ds), dt)) in inputs.zip(dx.iter_mut().zip(ds).zip(dt)) {
            let u = (s / limit).tanh();
            let slope = T::ONE - u * u;
            let log_scale = limit * u;
            let scale = if inverse {
                (-log_scale).exp()
            } else {
                log_scale.exp()
            };
            let gx = g * scale;
            dx.write(gx);
            ds.write(if inverse {
                -(g * y * slope)
            } else {
                gx * x * slope
            });
            dt.write(if inverse { -gx } else { g });
        }
    }
}

vectorised! {
    fn log_scales<T: Element>(limit: T, s: &[T], out: &mut [T]) {
        for (&s, out) in s.iter().zip(out) {
            *out = limit * (s / limit).tanh();
        }
    }
}

vectorised! {
    fn scale_slopes<T: Element>(limit: T, g: T, s: &[T], out: &mut [MaybeUninit<T>]) {
        for (&s, out) in s.iter().zip(out) {
            let u = (s / limit).tanh();
            out.write(g * (T::ONE - u * u));
        }
    }
}

/// Copies rows into adjacent memory, so that the loops run over all of them at once.
fn pack<T: Element>(x: Matrix<T>, first: usize, rows: usize, out: &mut Vec<T>) {
    out.clear();
    (first..first + rows).for_each(|row| out.extend_from_slice(x.row(row)));
}

/// Rows of width `d` that are worth a task.
fn block(d: usize) -> usize {
    (GRAIN / 4).div_ceil(d.max(1))
}

impl Map {
    fn forward<T: Element>(&self, x: Matrix<T>, s: Matrix<T>, t: Matrix<T>) -> Vec<T> {
        let d = x.columns;
        let block = block(d);
        let limit = T::of(self.limit);
        // SAFETY: the packed rows are as many as those of each block of `y`, and `transform` writes every entry.
        unsafe {
            filled(x.rows * d, |y| {
                y.par_chunks_mut((block * d).max(1))
                    .enumerate()
                    .for_each_init(
                        || [Vec::new(), Vec::new(), Vec::new()],
                        |[xs, ss, ts], (i, y)| {
                            let (first, rows) = (i * block, y.len() / d);
                            pack(x, first, rows, xs);
                            pack(s, first, rows, ss);
                            pack(t, first, rows, ts);
                            transform(limit, self.inverse, xs, ss, ts, y);
                        },
                    );
            })
        }
    }

    fn backward<T: Element>(&self, x: Matrix<T>, s: Matrix<T>, y: &[T], g: &[T]) -> [Vec<T>; 3] {
        let d = x.columns;
        let block = block(d);
        let chunk = (block * d).max(1);
        let limit = T::of(self.limit);
        let len = x.rows * d;
        let (mut dx, mut ds) = (Vec::new(), Vec::new());
        // SAFETY: the packed rows and the blocks of y and g are as long as those of dx, ds and dt, and `pull_back` writes
        // every entry.
        let dt = unsafe {
            filled(len, |dt| {
                ds = filled(len, |ds| {
                    dx = filled(len, |dx| {
                        dx.par_chunks_mut(chunk)
                            .zip(ds.par_chunks_mut(chunk))
                            .zip(dt.par_chunks_mut(chunk))
                            .enumerate()
                            .for_each_init(
                                || [Vec::new(), Vec::new()],
                                |[xs, ss], (i, ((dx, ds), dt))| {
                                    let (first, rows) = (i * block, dx.len() / d);
                                    pack(x, first, rows, xs);
                                    pack(s, first, rows, ss);
                                    let range = first * d..first * d + dx.len();
                                    let inputs = [&xs[..], &ss[..], &y[range.clone()], &g[range]];
                                    pull_back(limit, self.inverse, inputs, [dx, ds, dt]);
                                },
                            );
                    });
                });
            })
        };
        [dx, ds, dt]
    }

    fn gradients<T: Element>(
        &self,
        x: &Tensor,
        s: &Tensor,
        y: &Tensor,
        gradient: &Tensor,
    ) -> Result<[Tensor; 3]> {
        let [dx, ds, dt] = with_storage(x, |xs, x_layout| {
            with_storage(s, |ss, s_layout| {
                let (x, s) = (Matrix::of(xs, x_layout)?, Matrix::of(ss, s_layout)?);
                with_entries::<T, _>(y, |y| {
                    with_entries::<T, _>(gradient, |g| self.backward(x, s, y, g))
                })?
            })
        })?;
        Ok([
            tensor(dx, x.shape())?,
            tensor(ds, x.shape())?,
            tensor(dt, x.shape())?,
        ])
    }
}

impl CustomOp3 for Map {
    fn name(&self) -> &'static str {
        "affine coupling"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        s: &CpuStorage,
        s_layout: &Layout,
        t: &CpuStorage,
        t_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let y = with_real!(x, T => {
            let y = self.forward::<T>(Matrix::of(x, x_layout)?, Matrix::of(s, s_layout)?, Matrix::of(t, t_layout)?);
            Ok(storage_of(y))
        })?;
        Ok((y, x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        s: &Tensor,
        t: &Tensor,
        y: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, ds, dt] = with_real!(x, T => self.gradients::<T>(x, s, y, gradient))?;
        // Dropping a gradient that is not wanted spares candle its accumulation.
        Ok((
            x.track_op().then_some(dx),
            s.track_op().then_some(ds),
            t.track_op().then_some(dt),
        ))
    }
}

impl LogDet {
    fn sign(&self) -> f64 {
        if self.inverse { -1.0 } else { 1.0 }
    }

    fn forward<T: Element>(&self, s: Matrix<T>) -> Vec<T> {
        let d = s.columns;
        let block = block(d);
        let (limit, sign) = (T::of(self.limit), T::of(self.sign()));
        let mut sums = vec![T::ZERO; s.rows];
        sums.par_chunks_mut(block).enumerate().for_each_init(
            || (Vec::new(), Vec::new()),
            |(ss, logs), (i, sums)| {
                pack(s, i * block, sums.len(), ss);
                logs.resize(ss.len(), T::ZERO);
                log_scales(limit, ss, logs);
                for (sum, row) in sums.iter_mut().zip(logs.chunks_exact(d.max(1))) {
                    *sum = sign * row.iter().fold(T::ZERO, |sum, &value| sum + value);
                }
            },
        );
        sums
    }

    fn backward<T: Element>(&self, s: Matrix<T>, g: &[T]) -> Vec<T> {
        let d = s.columns.max(1);
        let block = block(d);
        let (limit, sign) = (T::of(self.limit), T::of(self.sign()));
        // SAFETY: each row of `ds` is as long as that of s, and `scale_slopes` writes every entry.
        unsafe {
            filled(s.rows * s.columns, |ds| {
                ds.par_chunks_mut(block * d)
                    .enumerate()
                    .for_each(|(i, ds)| {
                        for (j, ds) in ds.chunks_exact_mut(d).enumerate() {
                            let row = i * block + j;
                            scale_slopes(limit, sign * g[row], s.row(row), ds);
                        }
                    });
            })
        }
    }

    fn gradient<T: Element>(&self, s: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let ds = with_storage(s, |storage, layout| {
            let s = Matrix::of(storage, layout)?;
            with_entries::<T, _>(gradient, |g| self.backward(s, g))
        })?;
        tensor(ds, s.shape())
    }
}

impl CustomOp1 for LogDet {
    fn name(&self) -> &'static str {
        "affine coupling log-determinant"
    }

    fn cpu_fwd(&self, s: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let sums = with_real!(s, T => {
            Ok(storage_of(self.forward::<T>(Matrix::of(s, layout)?)))
        })?;
        Ok((sums, Shape::from(layout.dims()[0])))
    }

    fn bwd(&self, s: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        with_real!(s, T => self.gradient::<T>(s, gradient)).map(Some)
    }
}

//! Loops over functions of one variable and their derivatives.

use std::mem::MaybeUninit;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::functions::{Elementwise, Function, backward, forward};
use crate::math::simd::vectorised;
use crate::tensor::cpu::{
    Element, GRAIN, entries, filled, storage_of, tensor, with_entries, with_real,
};

vectorised! {
    pub(super) fn map_slice<T: Element, F: Elementwise<T>>(f: F, x: &[T], y: &mut [MaybeUninit<T>]) {
        for (y, &x) in y.iter_mut().zip(x) {
            y.write(f.value(x));
        }
    }
}

vectorised! {
    pub(super) fn pull_back_slice<T: Element, F: Elementwise<T>>(
        f: F,
        x: &[T],
        y: &[T],
        g: &[T],
        out: &mut [MaybeUninit<T>],
    ) {
        for (((out, &x), &y), &g) in out.iter_mut().zip(x).zip(y).zip(g) {
            out.write(g * f.derivative(x, y));
        }
    }
}

/// A loop over a piece of the arguments. Behind a pointer, so that the threading is compiled once and not per function.
type Loop<'a, T> = &'a (dyn Fn(&[T], &mut [MaybeUninit<T>]) + Sync);

/// A loop over pieces of arguments, values and gradients of the values.
type BackwardLoop<'a, T> = &'a (dyn Fn(&[T], &[T], &[T], &mut [MaybeUninit<T>]) + Sync);

/// `run` writes as many entries as it is given arguments.
pub(super) fn map<T: Element>(run: Loop<T>, x: &[T]) -> Vec<T> {
    // SAFETY: the chunks of both sides are equally long and cover them, and `run` writes each entry.
    unsafe {
        filled(x.len(), |y| {
            y.par_chunks_mut(GRAIN)
                .zip(x.par_chunks(GRAIN))
                .for_each(|(y, x)| run(x, y));
        })
    }
}

/// `run` writes as many entries as it is given arguments.
pub(super) fn pull_back<T: Element>(
    run: BackwardLoop<T>,
    x: &[T],
    y: &[T],
    gradient: &[T],
) -> Vec<T> {
    let len = x.len().min(y.len()).min(gradient.len());
    // SAFETY: the chunks of all sides cover `len` entries, and `run` writes each entry.
    unsafe {
        filled(len, |out| {
            out.par_chunks_mut(GRAIN)
                .zip(
                    x.par_chunks(GRAIN)
                        .zip(y.par_chunks(GRAIN))
                        .zip(gradient.par_chunks(GRAIN)),
                )
                .for_each(|(out, ((x, y), g))| run(x, y, g, out));
        })
    }
}

struct Unary(Function);

impl Unary {
    fn run<T: Element>(&self, storage: &CpuStorage, layout: &Layout) -> Result<CpuStorage> {
        Ok(storage_of(forward::<T>(self.0, entries(storage, layout)?)))
    }

    fn gradient<T: Element>(&self, x: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let values = with_entries::<T, _>(x, |x| {
            with_entries::<T, _>(y, |y| {
                with_entries::<T, _>(gradient, |g| backward(self.0, x, y, g))
            })
        })???;
        tensor(values, x.shape())
    }
}

impl CustomOp1 for Unary {
    fn name(&self) -> &'static str {
        "unary"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = with_real!(storage, T => self.run::<T>(storage, layout))?;
        Ok((y, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        with_real!(x, T => self.gradient::<T>(x, y, gradient)).map(Some)
    }
}

/// `function(x)` on the CPU.
pub(super) fn apply(x: &Tensor, function: Function) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Unary(function))
}

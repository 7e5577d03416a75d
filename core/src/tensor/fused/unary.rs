//! Functions of one variable with their derivatives.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};
use std::mem::MaybeUninit;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use multiversion::multiversion;
use rayon::prelude::*;

use super::math::Real;
use super::{GRAIN, entries, filled, storage_of, tensor, with_entries, with_real};

/// A function and its derivative, given the argument and the value.
pub(super) trait Elementwise<T>: Copy + Send + Sync {
    fn value(self, x: T) -> T;
    fn derivative(self, x: T, y: T) -> T;
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident $({ $($field:ident),* })? |$x:ident, $y:ident| $value:expr, $derivative:expr;)*) => {
        /// A function of one variable.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub(crate) enum Function {
            $($(#[$doc])* $name $({ $($field: f64),* })?,)*
        }

        /// The functions as types, so that each loop is compiled for one of them.
        pub(super) mod kernel {
            use super::*;

            $(
                #[derive(Clone, Copy)]
                pub(in super::super) struct $name {
                    $($(pub(in super::super) $field: f64,)*)?
                }

                impl<T: Real> Elementwise<T> for $name {
                    #[inline(always)]
                    fn value(self, $x: T) -> T {
                        $($(let $field = T::real(self.$field);)*)?
                        $value
                    }

                    #[inline(always)]
                    fn derivative(self, $x: T, $y: T) -> T {
                        let _ = ($x, $y);
                        $($(let $field = T::real(self.$field);)*)?
                        $derivative
                    }
                }
            )*
        }

        fn forward<T: Real>(function: Function, x: &[T]) -> Vec<T> {
            match function {
                $(Function::$name $({ $($field),* })? => map(&|x, y| map_slice(kernel::$name { $($($field),*)? }, x, y), x),)*
            }
        }

        fn backward<T: Real>(function: Function, x: &[T], y: &[T], gradient: &[T]) -> Vec<T> {
            match function {
                $(Function::$name $({ $($field),* })? => pull_back(
                    &|x, y, g, out| pull_back_slice(kernel::$name { $($($field),*)? }, x, y, g, out),
                    x, y, gradient,
                ),)*
            }
        }
    };
}

functions! {
    /// `scale x + shift`.
    Affine { scale, shift } |x, y| scale * x + shift, { let _ = shift; scale };
    Abs |x, y| x.abs(), T::select(x > T::ZERO, T::ONE, T::select(x < T::ZERO, -T::ONE, T::ZERO));
    Exp |x, y| x.exp(), y;
    Log |x, y| x.log(), T::ONE / x;
    Sqrt |x, y| x.sqrt(), T::real(0.5) / y;
    Sqr |x, y| x * x, x + x;
    Recip |x, y| T::ONE / x, -(y * y);
    Sin |x, y| x.sin(), x.cos();
    Cos |x, y| x.cos(), -x.sin();
    Tanh |x, y| x.tanh(), T::ONE - y * y;
    Sigmoid |x, y| x.sigmoid(), y * (T::ONE - y);
    Silu |x, y| x * x.sigmoid(), { let s = x.sigmoid(); s + x * s * (T::ONE - s) };
    Relu |x, y| T::select(x > T::ZERO, x, T::ZERO), T::select(x > T::ZERO, T::ONE, T::ZERO);
    Gelu |x, y| x * normal_cdf(x), normal_cdf(x) + x * normal_density(x);
    Softplus |x, y| x.softplus(), x.sigmoid();
    Erf |x, y| x.erf(), T::real(FRAC_2_SQRT_PI) * (-(x * x)).exp();
    /// `x ^ exponent`.
    Power { exponent } |x, y| x.powf(exponent),
        T::select(exponent == T::ZERO, T::ZERO, exponent * x.powf(exponent - T::ONE));
    /// `x` within the bounds.
    Clamp { lower, upper } |x, y| x.clamp(lower, upper), T::select(x >= lower && x <= upper, T::ONE, T::ZERO);
    /// Angle in `[-pi, pi)`.
    Wrap |x, y| x.wrap(-PI, 2.0 * PI), T::ONE;
}

#[inline(always)]
fn normal_cdf<T: Real>(x: T) -> T {
    T::real(0.5) * (T::ONE + (x * T::real(FRAC_1_SQRT_2)).erf())
}

#[inline(always)]
fn normal_density<T: Real>(x: T) -> T {
    T::real(0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2) * (-(x * x) * T::real(0.5)).exp()
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma"
))]
fn map_slice<T: Real, F: Elementwise<T>>(f: F, x: &[T], y: &mut [MaybeUninit<T>]) {
    for (y, &x) in y.iter_mut().zip(x) {
        y.write(f.value(x));
    }
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl",
    "x86_64+avx2+fma"
))]
fn pull_back_slice<T: Real, F: Elementwise<T>>(
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

/// A loop over a piece of the arguments. Behind a pointer, so that the threading is compiled once and not per function.
type Loop<'a, T> = &'a (dyn Fn(&[T], &mut [MaybeUninit<T>]) + Sync);

/// A loop over pieces of arguments, values and gradients of the values.
type BackwardLoop<'a, T> = &'a (dyn Fn(&[T], &[T], &[T], &mut [MaybeUninit<T>]) + Sync);

/// `run` writes as many entries as it is given arguments.
fn map<T: Real>(run: Loop<T>, x: &[T]) -> Vec<T> {
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
fn pull_back<T: Real>(run: BackwardLoop<T>, x: &[T], y: &[T], gradient: &[T]) -> Vec<T> {
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
    fn run<T: Real>(&self, storage: &CpuStorage, layout: &Layout) -> Result<CpuStorage> {
        Ok(storage_of(forward::<T>(self.0, entries(storage, layout)?)))
    }

    fn gradient<T: Real>(&self, x: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Tensor> {
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
pub(crate) fn apply(x: &Tensor, function: Function) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Unary(function))
}

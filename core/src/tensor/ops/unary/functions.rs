//! The table of functions of one variable: a line has the operation's code, its value and derivative for the kernel, and the
//! composition of candle operations for other devices.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI, TAU};

use candle_core::{Result, Tensor};
use regflow_plugin::abi::op::{self, key};

use super::composed::{asinh, clamp, expm1, gelu, log1p, relu, sigmoid, softplus, wrap};
use super::cpu::{map, map_slice, pull_back, pull_back_slice};
use crate::math::Real;
use crate::tensor::TensorError;
use crate::tensor::call::Call;
use crate::tensor::cpu::Element;

/// A function and its derivative, given the argument and the value.
pub(in crate::tensor) trait Elementwise<T>: Copy + Send + Sync {
    fn value(self, x: T) -> T;
    fn derivative(self, x: T, y: T) -> T;
}

macro_rules! functions {
    ($(
        $name:ident $({ $($field:ident = $key:ident),* })? = $code:ident
        |$x:ident, $y:ident| $value:expr, $derivative:expr;
        $tensor:ident => $composed:expr;
    )*) => {
        /// A function of one variable.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub(in crate::tensor) enum Function {
            $($name $({ $($field: f64),* })?,)*
        }

        impl Function {
            /// The one that a call asks for.
            pub(super) fn of(call: &Call) -> std::result::Result<Self, TensorError> {
                match call.code {
                    $(op::$code => Ok(Function::$name $({ $($field: call.float(key::$key)?),* })?),)*
                    code => Err(TensorError::UnknownOperation { code }),
                }
            }
        }

        /// The codes of all functions.
        #[cfg(test)]
        pub(super) const CODES: &[u32] = &[$(op::$code),*];

        /// The functions as types, so that each loop is compiled for one of them.
        pub(in crate::tensor) mod kernel {
            use super::*;

            $(
                #[derive(Clone, Copy)]
                pub(in crate::tensor) struct $name {
                    $($(pub(in crate::tensor) $field: f64,)*)?
                }

                impl<T: Real> Elementwise<T> for $name {
                    #[inline(always)]
                    fn value(self, $x: T) -> T {
                        $($(let $field = T::of(self.$field);)*)?
                        $value
                    }

                    #[inline(always)]
                    fn derivative(self, $x: T, $y: T) -> T {
                        let _ = ($x, $y);
                        $($(let $field = T::of(self.$field);)*)?
                        $derivative
                    }
                }
            )*
        }

        pub(super) fn forward<T: Element>(function: Function, x: &[T]) -> Vec<T> {
            match function {
                $(Function::$name $({ $($field),* })? => {
                    map(&|x, y| map_slice(kernel::$name { $($($field),*)? }, x, y), x)
                })*
            }
        }

        pub(super) fn backward<T: Element>(function: Function, x: &[T], y: &[T], gradient: &[T]) -> Vec<T> {
            match function {
                $(Function::$name $({ $($field),* })? => pull_back(
                    &|x, y, g, out| pull_back_slice(kernel::$name { $($($field),*)? }, x, y, g, out),
                    x, y, gradient,
                ),)*
            }
        }

        /// The function as a composition of candle operations.
        pub(in crate::tensor) fn composed(x: &Tensor, function: Function) -> Result<Tensor> {
            match function {
                $(Function::$name $({ $($field),* })? => {
                    let $tensor = x;
                    $composed
                })*
            }
        }
    };
}

functions! {
    Affine { scale = SCALE, shift = SHIFT } = AFFINE
        |x, y| scale * x + shift, { let _ = shift; scale };
        x => x.affine(scale, shift);
    Neg = NEG |x, y| -x, -T::ONE; x => x.neg();
    Abs = ABS
        |x, y| x.abs(), T::select(x > T::ZERO, T::ONE, T::select(x < T::ZERO, -T::ONE, T::ZERO));
        // The gradient of candle's own is 1 at 0.
        x => x * x.detach().sign()?;
    Exp = EXP |x, y| x.exp(), y; x => x.exp();
    Log = LOG |x, y| x.log(), T::ONE / x; x => x.log();
    Sqrt = SQRT |x, y| x.sqrt(), T::of(0.5) / y; x => x.sqrt();
    Sqr = SQR |x, y| x * x, x + x; x => x.sqr();
    Recip = RECIP |x, y| T::ONE / x, -(y * y); x => x.recip();
    Sin = SIN |x, y| x.sin(), x.cos(); x => x.sin();
    Cos = COS |x, y| x.cos(), -x.sin(); x => x.cos();
    Tanh = TANH |x, y| x.tanh(), T::ONE - y * y; x => x.tanh();
    Sigmoid = SIGMOID |x, y| x.sigmoid(), y * (T::ONE - y); x => sigmoid(x);
    Silu = SILU
        |x, y| x * x.sigmoid(), { let s = x.sigmoid(); s + x * s * (T::ONE - s) };
        x => x * sigmoid(x)?;
    Relu = RELU
        |x, y| T::select(x > T::ZERO, x, T::ZERO), T::select(x > T::ZERO, T::ONE, T::ZERO);
        x => relu(x);
    Gelu = GELU |x, y| x * normal_cdf(x), normal_cdf(x) + x * normal_density(x); x => gelu(x);
    Softplus = SOFTPLUS |x, y| x.softplus(), x.sigmoid(); x => softplus(x);
    Erf = ERF |x, y| x.erf(), T::of(FRAC_2_SQRT_PI) * (-(x * x)).exp(); x => x.erf();
    Power { exponent = EXPONENT } = POWF
        |x, y| x.powf(exponent),
        T::select(exponent == T::ZERO, T::ZERO, exponent * x.powf(exponent - T::ONE));
        x => if exponent == 0.0 { x.affine(0.0, 1.0) } else { x.powf(exponent) };
    Clamp { lower = LOWER, upper = UPPER } = CLAMP
        |x, y| x.clamp(lower, upper), T::select(x >= lower && x <= upper, T::ONE, T::ZERO);
        x => clamp(x, lower, upper);
    Wrap = WRAP |x, y| x.wrap(-PI, TAU), T::ONE; x => wrap(x, -PI, PI);
    Expm1 = EXPM1 |x, y| x.exp_m1(), y + T::ONE; x => expm1(x);
    Log1p = LOG1P |x, y| x.log_1p(), T::ONE / (T::ONE + x); x => log1p(x);
    // sinh(x) = tanh(x/2) (1 + cosh(x)) has no difference of nearly equal numbers.
    Sinh = SINH
        |x, y| x.sinh(), x.cosh();
        x => (x * 0.5)?.tanh()? * ((x.exp()? + x.neg()?.exp()?)? * 0.5)?.affine(1.0, 1.0)?;
    Cosh = COSH |x, y| x.cosh(), x.sinh(); x => (x.exp()? + x.neg()?.exp()?)? * 0.5;
    Asinh = ASINH |x, y| x.asinh(), asinh_slope(x); x => asinh(x);
}

#[inline(always)]
fn normal_cdf<T: Real>(x: T) -> T {
    T::of(0.5) * (T::ONE + (x * T::of(FRAC_1_SQRT_2)).erf())
}

#[inline(always)]
fn normal_density<T: Real>(x: T) -> T {
    T::of(0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2) * (-(x * x) * T::of(0.5)).exp()
}

/// `1 / sqrt(1 + x^2)`, without overflow.
#[inline(always)]
fn asinh_slope<T: Real>(x: T) -> T {
    let size = x.abs();
    let far = size > T::of(1e10);
    T::ONE / T::select(far, size, (T::ONE + size * size).sqrt())
}

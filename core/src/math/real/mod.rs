//! Floating-point numbers with elementary functions that vectorise.
//!
//! The `f32` functions are branch-free polynomials in plain arithmetic, so that a loop over them becomes SIMD code; the
//! coefficients of `exp`, `log` and `tanh` are those of Cephes (S. L. Moshier), of `erf` the rational approximation of
//! Eigen. Largest errors found by the tests: exp, log, sigmoid, tanh 3 units in the last place, sinh, cosh, asinh, log1p and
//! expm1 4, erf 1e-6 relative. They use no fused multiply-add, so that results do not depend on the processor. The `f64`
//! functions are those of the standard library.
//!
//! Those with a parameter `F` say by it whether the target has fused multiply-add (without it `mul_add` would be a library
//! call); they vectorise for `f64` too, and are for the force field, where results may differ in the last digits.

mod double;
mod single;
#[cfg(test)]
mod tests;

use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

/// `f32` or `f64`.
pub(crate) trait Real:
    Copy
    + Default
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + 'static
{
    const ZERO: Self;
    const ONE: Self;

    fn of(value: f64) -> Self;
    fn widen(self) -> f64;
    /// The numbers themselves, where this type is `f32`.
    fn of_f32(values: &mut [f32]) -> Option<&mut [Self]>;
    fn sqrt(self) -> Self;
    fn exp(self) -> Self;
    /// `exp(x)` where that is a normal number, which is cheaper: of f32 at least `exp(-87)`, and infinite from 88.4 on.
    fn exp_normal(self) -> Self;
    /// `exp(x) - 1`.
    fn exp_m1(self) -> Self;
    /// Natural logarithm.
    fn log(self) -> Self;
    /// `log(1 + x)`.
    fn log_1p(self) -> Self;
    /// `log(1 + u)` for u in `[0, 1]`.
    fn log_one_plus(self) -> Self;
    fn sinh(self) -> Self;
    fn cosh(self) -> Self;
    fn tanh(self) -> Self;
    fn asinh(self) -> Self;
    fn erf(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn powf(self, exponent: Self) -> Self;
    /// The number in `(lower, lower + period]` that differs from this by a multiple of the period; the ends are rounded to this
    /// type. Numbers in the interval stay as they are.
    fn wrap(self, lower: f64, period: f64) -> Self;

    /// `self * b + c`
    fn fma<const F: bool>(self, b: Self, c: Self) -> Self;
    /// `exp(x)` for `x <= 0`; 0 below the smallest normal number.
    fn exp_negative<const F: bool>(self) -> Self;
    /// `ln(x)` for positive, normal, finite `x`; a meaningless value (never a trap) otherwise.
    fn log_normal<const F: bool>(self) -> Self;

    /// `tanh(x)`, with an absolute error near the rounding unit.
    #[inline(always)]
    fn tanh_absolute<const F: bool>(self) -> Self {
        let e = (Self::of(-2.0) * self.abs()).exp_negative::<F>();
        let t = (Self::ONE - e) / (Self::ONE + e);
        Self::select(self < Self::ZERO, -t, t)
    }

    #[inline(always)]
    fn select(condition: bool, yes: Self, no: Self) -> Self {
        if condition { yes } else { no }
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Self::select(self < Self::ZERO, -self, self)
    }

    /// `self` within the bounds; NaN stays.
    #[inline(always)]
    fn clamp(self, lower: Self, upper: Self) -> Self {
        let above = Self::select(self < lower, lower, self);
        Self::select(above > upper, upper, above)
    }

    #[inline(always)]
    fn sigmoid(self) -> Self {
        Self::ONE / (Self::ONE + (-self).exp_normal())
    }

    /// `log(1 + exp(x))`.
    #[inline(always)]
    fn softplus(self) -> Self {
        Self::select(self > Self::ZERO, self, Self::ZERO) + (-self.abs()).exp().log_one_plus()
    }
}

//! Functions of one variable as compositions.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2};

use candle_core::{Result, Tensor};

pub(super) fn sigmoid(x: &Tensor) -> Result<Tensor> {
    x.affine(0.5, 0.0)?.tanh()?.affine(0.5, 0.5)
}

pub(super) fn relu(x: &Tensor) -> Result<Tensor> {
    x * x.detach().gt(0f64)?.to_dtype(x.dtype())?
}

/// The coefficients in the gradient of candle's own have six digits.
pub(super) fn gelu(x: &Tensor) -> Result<Tensor> {
    x * (x * FRAC_1_SQRT_2)?.erf()?.affine(0.5, 0.5)?
}

/// 1 where x is not negative, else -1.
fn side(x: &Tensor) -> Result<Tensor> {
    let right = x.detach().ge(0f64)?.to_dtype(x.dtype())?;
    right.affine(2.0, -1.0)
}

/// `max(x, 0) + log(1 + exp(-|x|))`.
pub(in crate::tensor) fn softplus(x: &Tensor) -> Result<Tensor> {
    let side = side(x)?;
    let tail = ((x * &side)?.neg()?.exp()? + 1.0)?.log()?;
    (x * side.affine(0.5, 0.5)?)? + tail
}

pub(super) fn clamp(x: &Tensor, lower: f64, upper: f64) -> Result<Tensor> {
    let value = x.detach();
    let inside = (value.ge(lower)? * value.le(upper)?)?.to_dtype(x.dtype())?;
    // Exact where clamped: the difference is taken of the same values.
    value.clamp(lower, upper)? + ((x - &value)? * inside)?
}

/// Wraps into `(lower, upper]`, where what lies there already stays as it is; gradient 1.
pub(in crate::tensor) fn wrap(x: &Tensor, lower: f64, upper: f64) -> Result<Tensor> {
    let period = upper - lower;
    let value = x.detach();
    let outside = (value.le(lower)? + value.gt(upper)?)?.to_dtype(x.dtype())?;
    let turns = (value.affine(1.0 / period, -upper / period)?.ceil()? * outside)?;
    let wrapped = (&value - turns.affine(period, 0.0)?)?;
    let below = wrapped.le(lower)?.to_dtype(x.dtype())?;
    let wrapped = (wrapped + below.affine(period, 0.0)?)?.minimum(upper)?;
    // The difference is 0, and carries the gradient.
    (x - &value)? + wrapped
}

/// `exp(x) - 1 = tanh(x/2) (exp(x) + 1)`, which has no difference of nearly equal numbers.
pub(super) fn expm1(x: &Tensor) -> Result<Tensor> {
    (x * 0.5)?.tanh()? * (x.exp()? + 1.0)?
}

/// `log(1 + x)`: the logarithm of the rounded sum s and, to first order, of its rounding, `(x - (s - 1)) / s`.
pub(super) fn log1p(x: &Tensor) -> Result<Tensor> {
    let sum = (x + 1.0)?;
    let rounded = sum.detach();
    let lost = (x.detach() - (&rounded - 1.0)?)?;
    let correction = (lost / &rounded)?;
    // Where s is 0 or infinite, there is nothing to correct.
    let usual = (rounded.gt(0f64)? * rounded.lt(f64::MAX)?)?;
    let correction = usual.where_cond(&correction, &correction.zeros_like()?)?;
    sum.log()? + correction
}

/// `sign(x) log1p(|x| + x^2 / (1 + sqrt(1 + x^2)))`, for large |x| `sign(x) (log|x| + log 2)`.
pub(super) fn asinh(x: &Tensor) -> Result<Tensor> {
    let side = side(x)?;
    let size = (x * &side)?;
    let far = size.detach().gt(1e5)?;
    let bounded = far.where_cond(&size.ones_like()?, &size)?;
    let square = bounded.sqr()?;
    let root = (&square + 1.0)?.sqrt()?;
    let near = log1p(&(&bounded + (square / (root + 1.0)?)?)?)?;
    let distant = far.where_cond(&size, &size.ones_like()?)?;
    let distant = (distant.log()? + LN_2)?;
    far.where_cond(&distant, &near)? * side
}

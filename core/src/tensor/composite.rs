//! The fused operations as compositions of candle operations: for devices without a fused kernel, and as the independent
//! check of the fused kernels and of their gradients.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use candle_core::{D, Result, Tensor};

use super::fused::dense::Activation;
use super::fused::rows::Normalisation;
use super::fused::spline::Spline;
use super::fused::unary::Function;

/// A function of one variable.
pub(super) fn unary(x: &Tensor, function: Function) -> Result<Tensor> {
    match function {
        Function::Affine { scale, shift } => x.affine(scale, shift),
        // The gradient of candle's own is 1 at 0.
        Function::Abs => x * x.detach().sign()?,
        Function::Exp => x.exp(),
        Function::Log => x.log(),
        Function::Sqrt => x.sqrt(),
        Function::Sqr => x.sqr(),
        Function::Recip => x.recip(),
        Function::Sin => x.sin(),
        Function::Cos => x.cos(),
        Function::Tanh => x.tanh(),
        Function::Sigmoid => sigmoid(x),
        Function::Silu => x * sigmoid(x)?,
        Function::Relu => x * x.detach().gt(0f64)?.to_dtype(x.dtype())?,
        // The coefficients in the gradient of candle's own have six digits.
        Function::Gelu => x * (x * FRAC_1_SQRT_2)?.erf()?.affine(0.5, 0.5)?,
        Function::Softplus => softplus(x),
        Function::Erf => x.erf(),
        Function::Power { exponent: 0.0 } => x.affine(0.0, 1.0),
        Function::Power { exponent } => x.powf(exponent),
        Function::Clamp { lower, upper } => {
            let value = x.detach();
            let inside = (value.ge(lower)? * value.le(upper)?)?.to_dtype(x.dtype())?;
            // Exact where clamped: the difference is taken of the same values.
            value.clamp(lower, upper)? + ((x - &value)? * inside)?
        }
        Function::Wrap => wrap(x, -PI, PI),
    }
}

fn sigmoid(x: &Tensor) -> Result<Tensor> {
    x.affine(0.5, 0.0)?.tanh()?.affine(0.5, 0.5)
}

/// `max(x, 0) + log(1 + exp(-|x|))`.
fn softplus(x: &Tensor) -> Result<Tensor> {
    let sign = x
        .detach()
        .ge(0f64)?
        .to_dtype(x.dtype())?
        .affine(2.0, -1.0)?;
    let tail = ((x * &sign)?.neg()?.exp()? + 1.0)?.log()?;
    (x * sign.affine(0.5, 0.5)?)? + tail
}

/// Wraps into `[lower, upper)`; gradient 1.
fn wrap(x: &Tensor, lower: f64, upper: f64) -> Result<Tensor> {
    let period = upper - lower;
    let value = x.detach();
    let turns = value.affine(1.0 / period, -lower / period)?.floor()?;
    let wrapped = (x - turns.affine(period, 0.0)?)?;
    let above = wrapped.detach().ge(upper)?.to_dtype(x.dtype())?;
    wrapped - above.affine(period, 0.0)?
}

/// `activation(x W + b)` for x of rank 2.
pub(super) fn dense(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    activation: Activation,
) -> Result<Tensor> {
    let z = x
        .contiguous()?
        .matmul(&weight.contiguous()?)?
        .broadcast_add(bias)?;
    match activation {
        Activation::None => Ok(z),
        Activation::Relu => unary(&z, Function::Relu),
        Activation::Silu => unary(&z, Function::Silu),
        Activation::Tanh => unary(&z, Function::Tanh),
        Activation::Gelu => unary(&z, Function::Gelu),
    }
}

/// Softmax and relatives over the last dimension, which is kept.
pub(super) fn softmax(x: &Tensor, kind: Normalisation) -> Result<Tensor> {
    let max = x.detach().max_keepdim(D::Minus1)?;
    let shifted = x.broadcast_sub(&max)?;
    let exp = shifted.exp()?;
    let sum = exp.sum_keepdim(D::Minus1)?;
    match kind {
        Normalisation::Softmax => exp.broadcast_div(&sum),
        Normalisation::LogSoftmax => shifted.broadcast_sub(&sum.log()?),
        Normalisation::LogSumExp => sum.log()? + max,
    }
}

/// Layer normalisation over the last dimension.
pub(super) fn layer_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    epsilon: f64,
) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + epsilon)?.sqrt()?;
    centred
        .broadcast_div(&deviation)?
        .broadcast_mul(weight)?
        .broadcast_add(bias)
}

/// Affine coupling: `y` and the log-determinant.
pub(super) fn affine_coupling(
    x: &Tensor,
    s: &Tensor,
    t: &Tensor,
    limit: f64,
    inverse: bool,
) -> Result<(Tensor, Tensor)> {
    let log_scale = s.affine(1.0 / limit, 0.0)?.tanh()?.affine(limit, 0.0)?;
    if inverse {
        let log_scale = log_scale.neg()?;
        Ok((((x - t)? * log_scale.exp()?)?, log_scale.sum(1)?))
    } else {
        Ok((((x * log_scale.exp()?)? + t)?, log_scale.sum(1)?))
    }
}

/// Rational-quadratic spline: `y` and the log-derivative of the applied direction.
pub(super) fn spline(x: &Tensor, parameters: &Tensor, spec: Spline) -> Result<(Tensor, Tensor)> {
    let Spline {
        lower, upper, bins, ..
    } = spec;
    let length = upper - lower;
    let dtype = x.dtype();

    // Knots: [B or 1, D, K] of bin starts and sizes, [.., K + 1] of slopes.
    let sizes = |start: usize| -> Result<(Tensor, Tensor)> {
        let fractions = softmax(&parameters.narrow(2, start, bins)?, Normalisation::Softmax)?;
        let sizes = fractions.affine(
            (1.0 - spec.min_bin * bins as f64) * length,
            spec.min_bin * length,
        )?;
        let starts = (sizes.contiguous()?.cumsum(2)? - &sizes)?.affine(1.0, lower)?;
        Ok((sizes, starts))
    };
    let (widths, lefts) = sizes(0)?;
    let (heights, bottoms) = sizes(bins)?;
    let slope_offset = (1.0 - spec.min_slope).exp_m1().ln();
    let slopes = |start: usize, count: usize| -> Result<Tensor> {
        softplus(
            &parameters
                .narrow(2, 2 * bins + start, count)?
                .affine(1.0, slope_offset)?,
        )?
        .affine(1.0, spec.min_slope)
    };
    let (left_slopes, right_slopes) = if spec.circular {
        let left = slopes(0, bins)?;
        let right = Tensor::cat(&[left.narrow(2, 1, bins - 1)?, left.narrow(2, 0, 1)?], 2)?;
        (left, right)
    } else {
        let (rows, features, _) = parameters.dims3()?;
        let one = Tensor::ones((rows, features, 1), dtype, x.device())?;
        if bins == 1 {
            (one.clone(), one)
        } else {
            let interior = slopes(0, bins - 1)?;
            (
                Tensor::cat(&[&one, &interior], 2)?,
                Tensor::cat(&[&interior, &one], 2)?,
            )
        }
    };

    // The argument inside the interval, and its bin as a one-hot mask.
    let value = if spec.circular {
        wrap(x, lower, upper)?
    } else {
        x.clone()
    };
    let inside = (value.detach().ge(lower)? * value.detach().le(upper)?)?.to_dtype(dtype)?;
    let middle = 0.5 * (lower + upper);
    let bounded = ((&value * &inside)? + inside.affine(-middle, middle)?)?.unsqueeze(2)?;
    let knots = if spec.inverse { &bottoms } else { &lefts }.detach();
    let above = bounded.detach().broadcast_ge(&knots)?.to_dtype(dtype)?;
    let first = Tensor::ones(bounded.shape(), dtype, x.device())?;
    let last = first.zeros_like()?;
    let above = Tensor::cat(&[&first, &above.narrow(2, 1, bins - 1)?, &last], 2)?;
    let bin = (above.narrow(2, 0, bins)? - above.narrow(2, 1, bins)?)?;
    let pick = |values: &Tensor| -> Result<Tensor> { bin.broadcast_mul(values)?.sum(2) };
    let (width, left, height, bottom) = (
        pick(&widths)?,
        pick(&lefts)?,
        pick(&heights)?,
        pick(&bottoms)?,
    );
    let (d0, d1) = (pick(&left_slopes)?, pick(&right_slopes)?);
    let bounded = bounded.squeeze(2)?;
    let slope = (&height / &width)?;
    let curvature = ((&d0 + &d1)? - slope.affine(2.0, 0.0)?)?;

    let theta = if spec.inverse {
        let rise = (&bounded - &bottom)?;
        let a = ((&height * (&slope - &d0)?)? + (&rise * &curvature)?)?;
        let b = ((&height * &d0)? - (&rise * &curvature)?)?;
        let c = (&slope * &rise)?.neg()?;
        let discriminant = (b.sqr()? - (a * &c)?.affine(4.0, 0.0)?)?.relu()?;
        (c.affine(2.0, 0.0)? / (b.neg()? - discriminant.sqrt()?)?)?
    } else {
        ((&bounded - &left)? / &width)?
    };
    let theta = unary(
        &theta,
        Function::Clamp {
            lower: 0.0,
            upper: 1.0,
        },
    )?;
    let rest = theta.affine(-1.0, 1.0)?;
    let product = (&theta * &rest)?;
    let denominator = (&slope + (&curvature * &product)?)?;
    let derivative = (((&d1 * theta.sqr()?)? + (&slope * &product)?.affine(2.0, 0.0)?)?
        + (&d0 * rest.sqr()?)?)?;
    let log_derivative = ((slope.log()?.affine(2.0, 0.0)? + derivative.log()?)?
        - denominator.log()?.affine(2.0, 0.0)?)?;
    let (result, log_derivative) = if spec.inverse {
        (((&theta * &width)? + &left)?, log_derivative.neg()?)
    } else {
        let numerator = ((&slope * theta.sqr()?)? + (&d0 * &product)?)?;
        (
            ((&height * (numerator / denominator)?)? + &bottom)?,
            log_derivative,
        )
    };
    let outside = inside.affine(-1.0, 1.0)?;
    Ok((
        ((result * &inside)? + (value * outside)?)?,
        (log_derivative * inside)?,
    ))
}

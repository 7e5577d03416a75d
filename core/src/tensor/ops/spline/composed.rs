//! The spline as a composition.

use candle_core::{Result, Tensor};

use super::cpu::Spline;
use crate::tensor::ops::softmax::{Normalisation, softmax};
use crate::tensor::ops::unary::{Function, composed as function, softplus, wrap};

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
    let theta = function(
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

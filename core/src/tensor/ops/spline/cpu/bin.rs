//! The map within one bin (arXiv 1906.04032, equations 4 to 8), by lanes.
//!
//! With `t = (x - x_k) / w`, `s = h / w`, `p = t (1 - t)`, `c = d0 + d1 - 2 s`:
//! `y = y_k + h (s t^2 + d0 p) / (s + c p)`, `dy/dx = s^2 (d1 t^2 + 2 s p + d0 (1 - t)^2) / (s + c p)^2`.
//! The inverse solves a quadratic for t by the form without cancellation; its discriminant is kept from falling below 0 and
//! t within the bin, so it succeeds whatever the rounding.

use super::knots::{KnotGradients, Knots};
use super::{LANES, Lanes, Spline};
use crate::math::simd::vectorised;
use crate::tensor::cpu::Element;

/// The bin of each lane, and the position within it.
struct Place<T> {
    index: Lanes<T>,
    inside: [bool; LANES],
    /// The argument, wrapped where circular.
    value: Lanes<T>,
    x: Lanes<T>,
    width: Lanes<T>,
    y: Lanes<T>,
    height: Lanes<T>,
    d0: Lanes<T>,
    d1: Lanes<T>,
    /// Fraction of the width, in `[0, 1]`.
    t: Lanes<T>,
}

#[inline(always)]
fn locate<T: Element>(spline: &Spline, knots: &Knots<T>, argument: &Lanes<T>) -> Place<T> {
    let (lower, upper) = (T::of(spline.lower), T::of(spline.upper));
    let mut value = *argument;
    let mut inside = [true; LANES];
    if spline.circular {
        for value in &mut value {
            *value = value.wrap(spline.lower, spline.upper - spline.lower);
        }
    } else {
        for (inside, &value) in inside.iter_mut().zip(&value) {
            *inside = !(value < lower || value > upper);
        }
    }
    let mut place = Place {
        index: [T::ZERO; LANES],
        inside,
        value,
        x: knots.x[0],
        width: knots.width[0],
        y: knots.y[0],
        height: knots.height[0],
        d0: knots.slope[0],
        d1: knots.slope[1],
        t: [T::ZERO; LANES],
    };
    for k in 1..spline.bins {
        let start = if spline.inverse {
            &knots.y[k]
        } else {
            &knots.x[k]
        };
        let index = T::of(k as f64);
        for lane in 0..LANES {
            let reached = value[lane] >= start[lane];
            let take = |new: &Lanes<T>, old: &mut Lanes<T>| {
                old[lane] = T::select(reached, new[lane], old[lane])
            };
            place.index[lane] = T::select(reached, index, place.index[lane]);
            take(&knots.x[k], &mut place.x);
            take(&knots.width[k], &mut place.width);
            take(&knots.y[k], &mut place.y);
            take(&knots.height[k], &mut place.height);
            take(&knots.slope[k], &mut place.d0);
            take(&knots.slope[k + 1], &mut place.d1);
        }
    }
    let two = T::of(2.0);
    for (lane, &value) in value.iter().enumerate() {
        let (height, d0) = (place.height[lane], place.d0[lane]);
        let t = if spline.inverse {
            let slope = height / place.width[lane];
            let rise = T::clamp(value - place.y[lane], T::ZERO, height);
            let bend = rise * (d0 + place.d1[lane] - two * slope);
            let a = height * (slope - d0) + bend;
            let b = height * d0 - bend;
            let c = -(slope * rise);
            let discriminant = b * b - two * two * a * c;
            let root = T::select(discriminant > T::ZERO, discriminant, T::ZERO).sqrt();
            // The denominator is 0 only where the slope there is: then the lower end of the bin.
            let denominator = -b - root;
            T::select(denominator < T::ZERO, two * c / denominator, rise / height)
        } else {
            (value - place.x[lane]) / place.width[lane]
        };
        place.t[lane] = T::clamp(t, T::ZERO, T::ONE);
    }
    place
}

vectorised! {
    /// Result and log-derivative of the applied direction.
    pub(super) fn evaluate<T: Element>(
        spline: &Spline,
        knots: &Knots<T>,
        argument: &Lanes<T>,
        result: &mut Lanes<T>,
        log_derivative: &mut Lanes<T>,
    ) {
        let place = locate(spline, knots, argument);
        let two = T::of(2.0);
        for lane in 0..LANES {
            let (t, d0, d1) = (place.t[lane], place.d0[lane], place.d1[lane]);
            let (width, height) = (place.width[lane], place.height[lane]);
            let rest = T::ONE - t;
            let slope = height / width;
            let product = t * rest;
            let denominator = slope + (d0 + d1 - two * slope) * product;
            let ratio = slope / denominator;
            let derivative = ratio * ratio * (d1 * t * t + two * slope * product + d0 * rest * rest);
            let log = derivative.log();
            let (inside, log) = if spline.inverse {
                (place.x[lane] + width * t, -log)
            } else {
                let rise = height * (slope * t * t + d0 * product) / denominator;
                (place.y[lane] + rise, log)
            };
            result[lane] = T::select(place.inside[lane], inside, place.value[lane]);
            log_derivative[lane] = T::select(place.inside[lane], log, T::ZERO);
        }
    }
}

vectorised! {
    /// Gradient of the argument from those of the result and the log-derivative (`outer`); gradients of the knots are added to
    /// `gradients`.
    pub(super) fn pull_back<T: Element>(
        spline: &Spline,
        knots: &Knots<T>,
        argument: &Lanes<T>,
        outer: [&Lanes<T>; 2],
        gradient: &mut Lanes<T>,
        gradients: &mut KnotGradients<T>,
    ) {
        let [result, log_derivative] = outer;
        let place = locate(spline, knots, argument);
        let two = T::of(2.0);
        let zero = [T::ZERO; LANES];
        let (mut gx, mut gw, mut gy, mut gh, mut g0, mut g1) = (zero, zero, zero, zero, zero, zero);
        for lane in 0..LANES {
            let (t, d0, d1) = (place.t[lane], place.d0[lane], place.d1[lane]);
            let (width, height) = (place.width[lane], place.height[lane]);
            let inside = place.inside[lane];
            let rest = T::ONE - t;
            let slope = height / width;
            let product = t * rest;
            let turn = T::ONE - two * t;
            let bend = d0 + d1 - two * slope;
            let inverse_denominator = T::ONE / (slope + bend * product);
            let numerator = d1 * t * t + two * slope * product + d0 * rest * rest;
            let inverse_numerator = T::ONE / numerator;
            // ratio = (y - y_k) / h, and its derivatives.
            let ratio = (slope * t * t + d0 * product) * inverse_denominator;
            let ratio_t = slope * numerator * inverse_denominator * inverse_denominator;
            let ratio_slope = (t * t - ratio * (T::ONE - two * product)) * inverse_denominator;
            let ratio_d0 = product * (T::ONE - ratio) * inverse_denominator;
            let ratio_d1 = -(product * ratio * inverse_denominator);
            // The log-derivative's.
            let numerator_t = two * (d1 * t + slope * turn - d0 * rest);
            let log_t = numerator_t * inverse_numerator - two * bend * turn * inverse_denominator;
            let log_slope = two
                * (T::ONE / slope + product * inverse_numerator
                    - (T::ONE - two * product) * inverse_denominator);
            let log_d0 = rest * rest * inverse_numerator - two * product * inverse_denominator;
            let log_d1 = t * t * inverse_numerator - two * product * inverse_denominator;

            let outer = T::select(inside, result[lane], T::ZERO);
            let outer_log = T::select(inside, log_derivative[lane], T::ZERO);
            // The inverse x(y) has dx/dy = 1 / f'(x) and dx/dp = -(df/dp) / f'(x): its gradients are those of the forward map
            // with these weights of f and of log f'.
            let (weight, weight_log, argument_gradient) = if spline.inverse {
                let total = (outer - outer_log * log_t / width) / (slope * ratio_t);
                (-total, -outer_log, total)
            } else {
                let t_gradient = outer * height * ratio_t + outer_log * log_t;
                (outer, outer_log, t_gradient / width)
            };
            let t_gradient = weight * height * ratio_t + weight_log * log_t;
            let slope_gradient = weight * height * ratio_slope + weight_log * log_slope;
            gx[lane] = -(t_gradient / width);
            gw[lane] = -((t_gradient * t + slope_gradient * slope) / width);
            gy[lane] = weight;
            gh[lane] = weight * ratio + slope_gradient / width;
            g0[lane] = weight * height * ratio_d0 + weight_log * log_d0;
            g1[lane] = weight * height * ratio_d1 + weight_log * log_d1;
            gradient[lane] = T::select(inside, argument_gradient, result[lane]);
        }
        for k in 0..spline.bins {
            let index = T::of(k as f64);
            for lane in 0..LANES {
                let here = place.index[lane] == index;
                let put = |value: &Lanes<T>, sum: &mut Lanes<T>| {
                    sum[lane] += T::select(here, value[lane], T::ZERO)
                };
                put(&gx, &mut gradients.x[k]);
                put(&gw, &mut gradients.width[k]);
                put(&gy, &mut gradients.y[k]);
                put(&gh, &mut gradients.height[k]);
                put(&g0, &mut gradients.slope[k]);
                put(&g1, &mut gradients.slope[k + 1]);
            }
        }
    }
}

//! The invertible elementwise maps of coupling flows.

use candle_core::Tensor;
use regflow_plugin::abi::op::key;

use super::attributes::Call;
use super::fused::affine_coupling;
use super::fused::spline::{self, Spline};
use super::{TensorError, composite};

/// Affine coupling with a bounded log-scale: `y` and log-determinant.
pub(super) fn affine_coupling(call: &Call) -> Result<Vec<Tensor>, TensorError> {
    let attributes = call.attributes(&[key::LIMIT, key::INVERSE])?;
    let [x, s, t] = call.floats()?;
    let limit = attributes.float(key::LIMIT)?;
    if limit <= 0.0 {
        return Err(attributes.invalid(key::LIMIT, limit, "more than 0"));
    }
    let inverse = attributes.flag(key::INVERSE)?;
    if x.rank() != 2 {
        return Err(call.shape_error(0, x, "[B, D]"));
    }
    for (input, tensor) in [(1, s), (2, t)] {
        if tensor.dims() != x.dims() {
            return Err(call.shape_error(input, tensor, format!("{:?}", x.dims())));
        }
    }
    let (y, log_det) = call.candle(if call.fused {
        affine_coupling::apply(x, s, t, limit, inverse)
    } else {
        composite::affine_coupling(x, s, t, limit, inverse)
    })?;
    Ok(vec![y, log_det])
}

/// Monotonic rational-quadratic spline: `y` and log-derivative.
pub(super) fn spline(call: &Call) -> Result<Vec<Tensor>, TensorError> {
    let attributes = call.attributes(&[
        key::LOWER,
        key::UPPER,
        key::BINS,
        key::CIRCULAR,
        key::INVERSE,
        key::MIN_BIN,
        key::MIN_SLOPE,
    ])?;
    let [x, parameters] = call.floats()?;
    let spec = Spline {
        lower: attributes.float(key::LOWER)?,
        upper: attributes.float(key::UPPER)?,
        bins: attributes.size(key::BINS)?,
        circular: attributes.flag(key::CIRCULAR)?,
        inverse: attributes.flag(key::INVERSE)?,
        min_bin: attributes.float(key::MIN_BIN)?,
        min_slope: attributes.float(key::MIN_SLOPE)?,
    };
    if spec.upper <= spec.lower {
        return Err(attributes.invalid(
            key::UPPER,
            spec.upper,
            format!("more than LOWER = {}", spec.lower),
        ));
    }
    if !(1..=Spline::MAX_BINS).contains(&spec.bins) {
        return Err(attributes.invalid(key::BINS, spec.bins, format!("1 to {}", Spline::MAX_BINS)));
    }
    if spec.min_bin < 0.0 || spec.min_bin * spec.bins as f64 >= 1.0 {
        let expected = format!("0 or more, and less than 1 / BINS = 1 / {}", spec.bins);
        return Err(attributes.invalid(key::MIN_BIN, spec.min_bin, expected));
    }
    if !(0.0..1.0).contains(&spec.min_slope) {
        return Err(attributes.invalid(
            key::MIN_SLOPE,
            spec.min_slope,
            "0 or more, and less than 1",
        ));
    }
    let &[batch, features] = x.dims() else {
        return Err(call.shape_error(0, x, "[B, D]"));
    };
    let count = spec.parameters();
    let per_row = parameters.dims() == [batch, features, count];
    if !per_row && parameters.dims() != [1, features, count] {
        let expected = format!("[{batch}, {features}, {count}] or [1, {features}, {count}]");
        return Err(call.shape_error(1, parameters, expected));
    }
    let (y, log_derivative) = call.candle(if call.fused {
        spline::apply(x, parameters, spec)
    } else {
        composite::spline(x, parameters, spec)
    })?;
    Ok(vec![y, log_derivative])
}

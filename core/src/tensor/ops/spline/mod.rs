//! Monotonic rational-quadratic spline.

mod composed;
mod cpu;
#[cfg(test)]
pub(super) mod tests;

use regflow_plugin::abi::op::{self, key};

use super::Outputs;
use crate::tensor::call::Call;
use cpu::Spline;

const MAX_BINS: usize = op::MAX_SPLINE_BINS as usize;

pub(super) fn apply(call: &Call) -> Outputs {
    let [x, parameters] = call.inputs()?;
    let spec = Spline {
        lower: call.float(key::LOWER)?,
        upper: call.float(key::UPPER)?,
        bins: call.size(key::BINS)?,
        circular: call.flag(key::CIRCULAR)?,
        inverse: call.flag(key::INVERSE)?,
        min_bin: call.float(key::MIN_BIN)?,
        min_slope: call.float(key::MIN_SLOPE)?,
    };
    if spec.upper <= spec.lower {
        return Err(call.invalid(
            key::UPPER,
            spec.upper,
            format!("more than LOWER = {}", spec.lower),
        ));
    }
    if !(1..=MAX_BINS).contains(&spec.bins) {
        return Err(call.invalid(key::BINS, spec.bins, format!("1 to {}", MAX_BINS)));
    }
    if spec.min_bin < 0.0 || spec.min_bin * spec.bins as f64 >= 1.0 {
        let expected = format!("0 or more, and less than 1 / BINS = 1 / {}", spec.bins);
        return Err(call.invalid(key::MIN_BIN, spec.min_bin, expected));
    }
    if !(0.0..1.0).contains(&spec.min_slope) {
        return Err(call.invalid(key::MIN_SLOPE, spec.min_slope, "0 or more, and less than 1"));
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
        cpu::apply(x, parameters, spec)
    } else {
        composed::spline(x, parameters, spec)
    })?;
    Ok(vec![y, log_derivative])
}

//! Axes with round numbers, for plotters to draw.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::number;

/// An axis with its numbers.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) lower: f64,
    pub(super) upper: f64,
    ticks: Vec<(f64, String)>,
    title: String,
}

impl Axis {
    /// Numbers at multiples of 1, 2 or 5 times a power of ten. An interval that is none is widened to one.
    pub(super) fn linear(lower: f64, upper: f64, title: &str) -> Self {
        Self::divided(lower, upper, title, 5.0)
    }

    /// [`Axis::linear`] with fewer numbers, for small charts.
    pub(super) fn sparse(lower: f64, upper: f64, title: &str) -> Self {
        Self::divided(lower, upper, title, 2.5)
    }

    fn divided(lower: f64, upper: f64, title: &str, intervals: f64) -> Self {
        let (lower, upper) = interval(lower, upper);
        let rough = (upper - lower) / intervals;
        let power = 10f64.powf(rough.log10().floor());
        let step = power
            * match rough / power {
                r if r < 1.5 => 1.0,
                r if r < 3.5 => 2.0,
                r if r < 7.5 => 5.0,
                _ => 10.0,
            };
        let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
        let first = (lower / step - 1e-9).ceil();
        let ticks = (0..12)
            .map(|i| (first + f64::from(i)) * step)
            .take_while(|&tick| tick <= upper + 1e-9 * step)
            .map(|tick| {
                (
                    tick,
                    tick_label(tick, upper.abs().max(lower.abs()), decimals),
                )
            });
        Self {
            lower,
            upper,
            ticks: ticks.collect(),
            title: title.to_owned(),
        }
    }

    /// Of decimal logarithms, with numbers at whole powers of ten, and at their doubles and fives where the axis is short.
    pub(super) fn logarithmic(lower: f64, upper: f64, title: &str) -> Self {
        let (lower, upper) = interval(lower, upper);
        let step = ((upper - lower) / 5.0).ceil().max(1.0);
        let first = (lower / step).floor();
        let short = upper - lower < 1.9;
        let between: &[f64] = if short { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let ticks = (0..12)
            .map(|i| (first + f64::from(i)) * step)
            .flat_map(|power| between.iter().map(move |&factor| (power, factor)))
            .map(|(power, factor)| {
                let label = number::power(factor, power as i32, short);
                (power + factor.log10(), label)
            })
            .filter(|(tick, _)| (lower - 1e-9..=upper + 1e-9).contains(tick));
        Self {
            lower,
            upper,
            ticks: ticks.collect(),
            title: title.to_owned(),
        }
    }

    /// Of a torsion in degrees.
    pub(super) fn torsion(title: &str) -> Self {
        let ticks = [-180, -90, 0, 90, 180].map(|tick| {
            let label = number::fixed(f64::from(tick), 0);
            (f64::from(tick), label)
        });
        Self {
            lower: -180.0,
            upper: 180.0,
            ticks: ticks.to_vec(),
            title: title.to_owned(),
        }
    }

    /// Without numbers and name.
    pub(super) fn bare(lower: f64, upper: f64) -> Self {
        let (lower, upper) = interval(lower, upper);
        Self {
            lower,
            upper,
            ticks: Vec::new(),
            title: String::new(),
        }
    }

    /// Name and unit.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// Whether it has neither numbers nor a name.
    pub(super) fn is_bare(&self) -> bool {
        self.ticks.is_empty() && self.title.is_empty()
    }

    /// Whether a value lies on it.
    pub(super) fn holds(&self, value: f64) -> bool {
        (self.lower..=self.upper).contains(&value)
    }
}

impl Ranged for &Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = ((value - self.lower) / (self.upper - self.lower)).clamp(0.0, 1.0);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(tick, _)| *tick).collect()
    }

    fn range(&self) -> Range<f64> {
        self.lower..self.upper
    }
}

impl ValueFormatter<f64> for &Axis {
    fn format_ext(&self, value: &f64) -> String {
        let here = self.ticks.iter().find(|(tick, _)| tick == value);
        here.map_or_else(String::new, |(_, label)| label.clone())
    }
}

/// Two finite bounds in ascending order and at a distance, whatever is given.
fn interval(lower: f64, upper: f64) -> (f64, f64) {
    const LARGEST: f64 = 1e200;
    let bound = |value: f64| {
        if value.is_nan() {
            0.0
        } else {
            value.clamp(-LARGEST, LARGEST)
        }
    };
    let (lower, upper) = (bound(lower), bound(upper));
    let (lower, upper) = (lower.min(upper), lower.max(upper));
    let least = 1e-6 * lower.abs().max(upper.abs());
    if upper - lower > least {
        (lower, upper)
    } else {
        let pad = (1e-2 * lower.abs()).max(0.5);
        (lower - pad, upper + pad)
    }
}

fn tick_label(tick: f64, largest: f64, decimals: usize) -> String {
    if (1e-4..1e5).contains(&largest) || tick == 0.0 {
        number::fixed(tick, decimals)
    } else {
        number::plain(tick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn axes_have_round_numbers() {
        let axis = Axis::linear(-0.3, 1.04, "");
        assert_eq!(
            labels(&axis),
            ["−0.2", "0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(labels(&Axis::linear(0.0, 20_000.0, ""))[1], "5000");
        assert_eq!(labels(&Axis::linear(0.0, 2e6, ""))[1], "500000");
        assert_eq!(labels(&Axis::linear(-3e9, 2e9, ""))[0], "−3.00 × 10⁹");
        assert_eq!(
            labels(&Axis::logarithmic(-3.2, 1.0, "")),
            ["10⁻³", "10⁻²", "10⁻¹", "1", "10"]
        );
        assert_eq!(
            labels(&Axis::logarithmic(-1.1, 0.75, "")),
            ["0.1", "0.2", "0.5", "1", "2", "5"]
        );
        assert_eq!(
            labels(&Axis::sparse(0.095, 0.125, "")),
            ["0.10", "0.11", "0.12"]
        );
        assert_eq!(labels(&Axis::torsion(""))[0], "−180");
    }

    #[test]
    fn any_interval_becomes_one() {
        for (lower, upper) in [
            (f64::NAN, f64::NAN),
            (0.0, 0.0),
            (3.0, 1.0),
            (1e300, 1e300),
            (f64::NEG_INFINITY, f64::INFINITY),
            (5.0, 5.0 + 1e-15),
        ] {
            for axis in [
                Axis::linear(lower, upper, ""),
                Axis::logarithmic(lower, upper, ""),
            ] {
                assert!(axis.lower < axis.upper, "{axis:?}");
                assert!(axis.lower.is_finite() && axis.upper.is_finite());
                assert!(axis.ticks.len() < 37);
            }
        }
    }
}

//! From raw parameters to knots, and gradients back.

use super::{LANES, Lanes, Spline};
use crate::math::simd::vectorised;
use crate::tensor::cpu::Element;

/// The knots of [`LANES`] splines, and what is needed to pull gradients back to the raw parameters.
pub(super) struct Knots<T> {
    /// Left end and width of each bin.
    pub(super) x: Vec<Lanes<T>>,
    pub(super) width: Vec<Lanes<T>>,
    /// Lower end and height of each bin.
    pub(super) y: Vec<Lanes<T>>,
    pub(super) height: Vec<Lanes<T>>,
    /// Slope at each of the K + 1 knots.
    pub(super) slope: Vec<Lanes<T>>,
    /// Softmax of the widths, then of the heights.
    fraction: Vec<Lanes<T>>,
    /// d slope / d raw, in the order of the raw parameters.
    slope_derivative: Vec<Lanes<T>>,
}

/// Gradients of the knots. Those of the positions are of the *left ends*, those of the sizes of the bins themselves.
pub(super) struct KnotGradients<T> {
    pub(super) x: Vec<Lanes<T>>,
    pub(super) width: Vec<Lanes<T>>,
    pub(super) y: Vec<Lanes<T>>,
    pub(super) height: Vec<Lanes<T>>,
    pub(super) slope: Vec<Lanes<T>>,
}

impl<T: Element> KnotGradients<T> {
    pub(super) fn new(spline: &Spline) -> Self {
        let zeros = |n: usize| vec![[T::ZERO; LANES]; n];
        KnotGradients {
            x: zeros(spline.bins),
            width: zeros(spline.bins),
            y: zeros(spline.bins),
            height: zeros(spline.bins),
            slope: zeros(spline.bins + 1),
        }
    }

    pub(super) fn clear(&mut self) {
        for part in [
            &mut self.x,
            &mut self.width,
            &mut self.y,
            &mut self.height,
            &mut self.slope,
        ] {
            part.fill([T::ZERO; LANES]);
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        let parts = [
            &mut self.x,
            &mut self.width,
            &mut self.y,
            &mut self.height,
            &mut self.slope,
        ];
        let others = [
            &other.x,
            &other.width,
            &other.y,
            &other.height,
            &other.slope,
        ];
        for (part, other) in parts.into_iter().zip(others) {
            for (lanes, other) in part.iter_mut().zip(other) {
                for (value, &other) in lanes.iter_mut().zip(other) {
                    *value += other;
                }
            }
        }
    }
}

impl<T: Element> Knots<T> {
    pub(super) fn new(spline: &Spline) -> Self {
        let zeros = |n: usize| vec![[T::ZERO; LANES]; n];
        Knots {
            x: zeros(spline.bins),
            width: zeros(spline.bins),
            y: zeros(spline.bins),
            height: zeros(spline.bins),
            slope: zeros(spline.bins + 1),
            fraction: zeros(2 * spline.bins),
            slope_derivative: zeros(spline.slopes()),
        }
    }

    /// Computes the knots of raw parameters `[P]` by lanes.
    pub(super) fn set(&mut self, spline: &Spline, raw: &[Lanes<T>]) {
        set(self, spline, raw);
    }

    /// Gradients of the raw parameters.
    pub(super) fn pull_back(
        &self,
        spline: &Spline,
        gradients: &KnotGradients<T>,
        raw: &mut [Lanes<T>],
    ) {
        pull_back(self, spline, gradients, raw);
    }
}

/// `fraction` becomes the softmax of `raw`, by lanes.
#[inline(always)]
fn softmax<T: Element>(raw: &[Lanes<T>], fraction: &mut [Lanes<T>]) {
    let mut max = raw[0];
    for raw in &raw[1..] {
        for (max, &raw) in max.iter_mut().zip(raw) {
            *max = T::select(raw > *max, raw, *max);
        }
    }
    let mut total = [T::ZERO; LANES];
    for (fraction, raw) in fraction.iter_mut().zip(raw) {
        for lane in 0..LANES {
            fraction[lane] = (raw[lane] - max[lane]).exp();
            total[lane] += fraction[lane];
        }
    }
    let scale = total.map(|total| T::ONE / total);
    for fraction in fraction {
        for (fraction, &scale) in fraction.iter_mut().zip(&scale) {
            *fraction *= scale;
        }
    }
}

/// Bin sizes and starts from fractions.
#[inline(always)]
fn place<T: Element>(
    spline: &Spline,
    fraction: &[Lanes<T>],
    size: &mut [Lanes<T>],
    start: &mut [Lanes<T>],
) {
    let length = spline.upper - spline.lower;
    let scale = T::of((1.0 - spline.min_bin * spline.bins as f64) * length);
    let smallest = T::of(spline.min_bin * length);
    let mut position = [T::of(spline.lower); LANES];
    for ((fraction, size), start) in fraction.iter().zip(size).zip(start) {
        *start = position;
        for lane in 0..LANES {
            size[lane] = fraction[lane] * scale + smallest;
            position[lane] += size[lane];
        }
    }
}

vectorised! {
    fn set<T: Element>(knots: &mut Knots<T>, spline: &Spline, raw: &[Lanes<T>]) {
        let bins = spline.bins;
        let (widths, heights) = knots.fraction.split_at_mut(bins);
        softmax(&raw[..bins], widths);
        softmax(&raw[bins..2 * bins], heights);
        place(spline, widths, &mut knots.width, &mut knots.x);
        place(spline, heights, &mut knots.height, &mut knots.y);

        let offset = T::of((1.0 - spline.min_slope).exp_m1().ln());
        let smallest = T::of(spline.min_slope);
        let first = usize::from(!spline.circular);
        for ((raw, slope), derivative) in raw[2 * bins..]
            .iter()
            .zip(&mut knots.slope[first..])
            .zip(&mut knots.slope_derivative)
        {
            for lane in 0..LANES {
                let raw = raw[lane] + offset;
                // Softplus and its derivative from one exponential.
                let decay = (-raw.abs()).exp();
                slope[lane] = smallest + T::select(raw > T::ZERO, raw, T::ZERO) + decay.log_one_plus();
                derivative[lane] = T::select(raw > T::ZERO, T::ONE, decay) / (T::ONE + decay);
            }
        }
        if spline.circular {
            knots.slope[bins] = knots.slope[0];
        } else {
            knots.slope[0] = [T::ONE; LANES];
            knots.slope[bins] = [T::ONE; LANES];
        }
    }
}

/// Gradient of the softmax arguments from those of bin starts and sizes.
#[inline(always)]
fn softmax_back<T: Element>(
    scale: T,
    fraction: &[Lanes<T>],
    start: &[Lanes<T>],
    size: &[Lanes<T>],
    raw: &mut [Lanes<T>],
) {
    // Size j moves the starts of all later bins.
    let mut later = [T::ZERO; LANES];
    let mut mean = [T::ZERO; LANES];
    for j in (0..fraction.len()).rev() {
        for lane in 0..LANES {
            let gradient = scale * (size[j][lane] + later[lane]);
            later[lane] += start[j][lane];
            mean[lane] += gradient * fraction[j][lane];
            raw[j][lane] = gradient;
        }
    }
    for (raw, fraction) in raw.iter_mut().zip(fraction) {
        for lane in 0..LANES {
            raw[lane] = fraction[lane] * (raw[lane] - mean[lane]);
        }
    }
}

vectorised! {
    fn pull_back<T: Element>(
        knots: &Knots<T>,
        spline: &Spline,
        gradients: &KnotGradients<T>,
        raw: &mut [Lanes<T>],
    ) {
        let bins = spline.bins;
        let scale = T::of((1.0 - spline.min_bin * bins as f64) * (spline.upper - spline.lower));
        let (widths, rest) = raw.split_at_mut(bins);
        let (heights, slopes) = rest.split_at_mut(bins);
        softmax_back(
            scale,
            &knots.fraction[..bins],
            &gradients.x,
            &gradients.width,
            widths,
        );
        softmax_back(
            scale,
            &knots.fraction[bins..],
            &gradients.y,
            &gradients.height,
            heights,
        );
        let first = usize::from(!spline.circular);
        for (j, (raw, derivative)) in slopes.iter_mut().zip(&knots.slope_derivative).enumerate() {
            for lane in 0..LANES {
                let mut gradient = gradients.slope[first + j][lane];
                if spline.circular && j == 0 {
                    gradient += gradients.slope[bins][lane];
                }
                raw[lane] = gradient * derivative[lane];
            }
        }
    }
}

use std::f64::consts::{PI, TAU};

use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use crate::coordinates::FeatureKind;
use crate::math::Streams;

/// Samples that one task draws: enough to hide the cost of scheduling, few enough that all threads have work.
const ROWS_PER_TASK: usize = 64;

/// Distribution of the flow's input: independent features, a real one standard normal, a circular one uniform on the circle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prior {
    kinds: Vec<FeatureKind>,
}

impl Prior {
    /// A prior over features of these kinds.
    pub fn new(kinds: Vec<FeatureKind>) -> Self {
        Self { kinds }
    }

    /// Kind of each feature, `[D]`.
    pub fn kinds(&self) -> &[FeatureKind] {
        &self.kinds
    }

    /// Number of features D.
    pub fn dimension(&self) -> usize {
        self.kinds.len()
    }

    /// Draws `[n, D]` features: those with indices `first_index..first_index + n` of `streams`,
    /// one stream for each sample, so that the same values come out for any division into calls and any number of threads. Circular features lie in `(-pi, pi]` as
    /// rounded to f32. Indices wrap around at 2^64.
    pub fn sample(&self, streams: impl Into<Streams>, first_index: u64, n: usize) -> Vec<f32> {
        let dimension = self.dimension();
        let mut features = vec![0.0; n * dimension];
        if features.is_empty() {
            return features;
        }
        let streams = streams.into();
        features
            .par_chunks_mut(ROWS_PER_TASK * dimension)
            .enumerate()
            .for_each(|(task, rows)| {
                let first = first_index.wrapping_add((task * ROWS_PER_TASK) as u64);
                for (row, index) in rows.chunks_exact_mut(dimension).zip(0..) {
                    let mut rng = streams.at(first.wrapping_add(index));
                    for (value, kind) in row.iter_mut().zip(&self.kinds) {
                        *value = match kind {
                            FeatureKind::Real => rng.sample::<f64, _>(StandardNormal) as f32,
                            FeatureKind::Circular => circular(rng.random()),
                        };
                    }
                }
            });
        features
    }

    /// Log density `log p0` of each row of `features` (`[n, D]`), every constant included: `[n]`.
    ///
    /// Finite for finite features: the density of a circular feature is the same `1 / 2 pi` everywhere, also where
    /// rounding has carried an angle past the end of its interval.
    ///
    /// # Panics
    /// If the length of `features` is not a multiple of D.
    pub fn log_density(&self, features: &[f32]) -> Vec<f64> {
        let dimension = self.dimension().max(1);
        assert!(
            features.len().is_multiple_of(dimension),
            "{} numbers are no whole number of rows of {} features",
            features.len(),
            self.dimension()
        );
        let constant: f64 = self
            .kinds
            .iter()
            .map(|kind| match kind {
                FeatureKind::Real => -0.5 * TAU.ln(),
                FeatureKind::Circular => -TAU.ln(),
            })
            .sum();
        features
            .chunks_exact(dimension)
            .map(|row| {
                let squares: f64 = row
                    .iter()
                    .zip(&self.kinds)
                    .filter(|(_, kind)| **kind == FeatureKind::Real)
                    .map(|(&value, _)| f64::from(value).powi(2))
                    .sum();
                constant - 0.5 * squares
            })
            .collect()
    }
}

/// Maps a uniform number of `[0, 1)` to `(-pi, pi]`.
fn circular(uniform: f64) -> f32 {
    let angle = (PI - TAU * uniform) as f32;
    // Rounding to f32 can reach the end that the half-open interval leaves out.
    if angle <= -std::f32::consts::PI {
        std::f32::consts::PI
    } else {
        angle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FeatureKind::{Circular, Real};

    fn prior() -> Prior {
        Prior::new(vec![Real, Circular, Real])
    }

    #[test]
    fn samples_do_not_depend_on_batches_or_threads() {
        let prior = prior();
        let whole = prior.sample(7, 100, 1000);
        let mut parts = prior.sample(7, 100, 333);
        parts.extend(prior.sample(7, 433, 1));
        parts.extend(prior.sample(7, 434, 666));
        assert_eq!(whole, parts);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        assert_eq!(whole, pool.install(|| prior.sample(7, 100, 1000)));
        assert_ne!(whole, prior.sample(8, 100, 1000));
        assert!(prior.sample(7, 0, 0).is_empty());
        // Past the last index the stream starts again, as its documentation says.
        let wrapped = prior.sample(7, u64::MAX, 2);
        assert_eq!(wrapped[3..], prior.sample(7, 0, 1));
    }

    /// Guards stored models and results: the stream of a seed is part of the file format.
    #[test]
    fn the_stream_of_a_seed_is_fixed() {
        let drawn = Prior::new(vec![Real, Circular]).sample(1, 3, 1);
        assert_eq!(drawn, [-0.26614615, -1.594458]);
    }

    #[test]
    fn moments_are_those_of_the_distribution() {
        let n = 200_000;
        let drawn = prior().sample(11, 0, n);
        let moment = |column: usize, f: &dyn Fn(f64) -> f64| {
            drawn
                .iter()
                .skip(column)
                .step_by(3)
                .map(|&x| f(f64::from(x)))
                .sum::<f64>()
                / n as f64
        };
        // Each figure with its variance; four standard errors.
        let check = |found: f64, expected: f64, variance: f64| {
            let limit = 4.0 * (variance / n as f64).sqrt();
            assert!((found - expected).abs() < limit, "{found} {expected}");
        };
        for column in [0, 2] {
            check(moment(column, &|x| x), 0.0, 1.0);
            check(moment(column, &|x| x * x), 1.0, 2.0);
            check(moment(column, &|x| x.powi(4)), 3.0, 96.0);
        }
        check(moment(1, &|x| x), 0.0, PI * PI / 3.0);
        check(moment(1, &f64::cos), 0.0, 0.5);
        check(moment(1, &f64::sin), 0.0, 0.5);
        check(moment(1, &|x| (2.0 * x).cos()), 0.0, 0.5);
        // Features of one sample, and neighbouring samples, are independent.
        let product = |lag: usize| {
            let pairs = drawn[..3 * (n - 1)].iter().step_by(3);
            let others = drawn[lag..].iter().step_by(3);
            let sum: f64 = pairs.zip(others).map(|(a, b)| f64::from(a * b)).sum();
            sum / (n - 1) as f64
        };
        check(product(2), 0.0, 1.0);
        check(product(3), 0.0, 1.0);
    }

    #[test]
    fn circular_features_stay_in_their_half_open_interval() {
        let pi = std::f32::consts::PI;
        assert_eq!(circular(0.0), pi);
        assert_eq!(circular(0.5), 0.0);
        assert_eq!(circular(1.0 - f64::EPSILON / 2.0), pi);
        assert_eq!(circular(0.75), -pi / 2.0);
        for angle in prior().sample(3, 0, 10_000).iter().skip(1).step_by(3) {
            assert!(*angle > -pi && *angle <= pi);
        }
    }

    #[test]
    fn log_density_is_normalised() {
        let prior = prior();
        // Product of 1-D densities, written out.
        let normal = |x: f64| (-x * x / 2.0).exp() / (2.0 * PI).sqrt();
        let features = [0.3f32, -3.0, -1.7, 0.0, 3.2, 25.0];
        let found = prior.log_density(&features);
        for (row, found) in features.chunks(3).zip(found) {
            let expected = normal(f64::from(row[0])).ln()
                + normal(f64::from(row[2])).ln()
                + (1.0 / (2.0 * PI)).ln();
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        // The density integrates to 1 (midpoint rule, exponentially exact on the real line).
        let step = 0.05;
        let grid: Vec<f32> = (-200..200).map(|i| (f64::from(i) * step) as f32).collect();
        let line = Prior::new(vec![Real]).log_density(&grid);
        let integral: f64 = line.iter().map(|p| p.exp() * step).sum();
        assert!((integral - 1.0).abs() < 1e-6, "{integral}");
        let circle = Prior::new(vec![Circular]).log_density(&[0.0]);
        assert!((circle[0].exp() * TAU - 1.0).abs() < 1e-14);
        assert!(
            prior
                .log_density(&[f32::MAX; 3])
                .iter()
                .all(|p| p.is_finite())
        );
    }
}

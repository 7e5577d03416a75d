//! What the figures show, in numbers: histograms, free energies with their errors, the tail of the weights.
//!
//! Weights are relative: only their ratios matter. Values that are not finite lie in no bin but count in the total, so that
//! a density's integral falls short of 1 by all that is not shown.

use crate::metric::k_hat;

/// Equal bins over an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bins {
    pub(super) lower: f64,
    pub(super) upper: f64,
    pub(super) count: usize,
}

impl Bins {
    /// Width of a bin.
    pub(super) fn width(&self) -> f64 {
        (self.upper - self.lower) / self.count as f64
    }

    /// `[count + 1]`.
    pub(super) fn edges(&self) -> Vec<f64> {
        let edge = |i| self.lower + i as f64 * self.width();
        (0..=self.count).map(edge).collect()
    }

    /// The bin of a value; the last one includes its upper edge.
    fn index(&self, value: f64) -> Option<usize> {
        if !(self.lower <= value && value <= self.upper) {
            return None;
        }
        let index = (value - self.lower) / (self.upper - self.lower) * self.count as f64;
        Some((index as usize).min(self.count - 1))
    }
}

/// `[count]`, density of the values; all 0 if there is no weight. `weights` are 1 where they are not given.
pub(super) fn density(values: &[f64], weights: Option<&[f64]>, bins: Bins) -> Vec<f64> {
    let mut density = vec![0.0; bins.count];
    let mut total = 0.0;
    for (i, &value) in values.iter().enumerate() {
        let weight = weight(weights, i);
        total += weight;
        if let Some(bin) = bins.index(value) {
            density[bin] += weight;
        }
    }
    if total > 0.0 {
        let scale = 1.0 / (total * bins.width());
        density.iter_mut().for_each(|value| *value *= scale);
    }
    density
}

/// Share of the values, by weight, outside the bins: below, above and not finite.
pub(super) fn share_outside(values: &[f64], bins: Bins) -> f64 {
    let outside = values.iter().filter(|&&v| bins.index(v).is_none()).count();
    outside as f64 / values.len().max(1) as f64
}

fn weight(weights: Option<&[f64]>, index: usize) -> f64 {
    weights.map_or(1.0, |weights| weights.get(index).copied().unwrap_or(0.0))
}

/// Probabilities on a plane.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plane {
    pub(super) x: Bins,
    pub(super) y: Bins,
    /// `[y, x]`, share of the total weight.
    pub(super) probability: Vec<f64>,
    /// `[y, x]`, standard error of the free energy `-ln p`, infinite for an empty bin.
    pub(super) error: Vec<f64>,
}

impl Plane {
    /// Of points with weights (1 where they are not given).
    ///
    /// The error is that of the delta method for a ratio of weighted sums over independent samples,
    /// `sqrt(sum_i w_i^2 (1_i - p)^2) / (p sum_i w_i)`, which the bootstrap approaches with many replicates.
    pub(super) fn new(points: &[[f64; 2]], weights: Option<&[f64]>, x: Bins, y: Bins) -> Self {
        let mut sums = vec![0.0; x.count * y.count];
        let mut squares = sums.clone();
        let (mut total, mut total_squares) = (0.0, 0.0);
        for (i, &[horizontal, vertical]) in points.iter().enumerate() {
            let weight = weight(weights, i);
            total += weight;
            total_squares += weight * weight;
            if let (Some(column), Some(row)) = (x.index(horizontal), y.index(vertical)) {
                sums[row * x.count + column] += weight;
                squares[row * x.count + column] += weight * weight;
            }
        }
        let share = |sum: f64| if total > 0.0 { sum / total } else { 0.0 };
        let probability: Vec<f64> = sums.into_iter().map(share).collect();
        let error = probability.iter().zip(squares).map(|(&p, inside)| {
            if p == 0.0 {
                return f64::INFINITY;
            }
            let outside = total_squares - inside;
            (inside * (1.0 - p).powi(2) + outside * p * p).sqrt() / (p * total)
        });
        Self {
            x,
            y,
            error: error.collect(),
            probability,
        }
    }

    /// `[y, x]`, `-ln p` above that of the fullest bin: 0 there, infinite for an empty bin.
    pub(super) fn free_energy(&self) -> Vec<f64> {
        let largest = self.probability.iter().copied().fold(0.0, f64::max);
        let free_energy = |&p: &f64| {
            if p > 0.0 {
                (largest / p).ln()
            } else {
                f64::INFINITY
            }
        };
        self.probability.iter().map(free_energy).collect()
    }
}

/// The finite values in ascending order.
pub(super) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    finite.sort_unstable_by(f64::total_cmp);
    finite
}

/// The value below which a share of the sorted values lies; `None` of no values.
pub(super) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((share * last as f64).round() as usize).copied()
}

/// The upper tail of the weights and the generalised Pareto distribution of k-hat beside it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tail {
    /// `log10` of weight over mean weight where the tail begins.
    pub(super) threshold: f64,
    /// `log10` of weight over mean weight, `log10` of the share of samples with that weight or a larger one.
    pub(super) survival: Vec<(f64, f64)>,
    /// The same of the fitted distribution, from the threshold on.
    pub(super) fit: Vec<(f64, f64)>,
}

/// Points along each curve of a [`Tail`], about.
const TAIL_POINTS: usize = 240;

impl Tail {
    /// Of log weights, with the tail that [`k_hat`] looks at: the `ceil(min(N / 5, 3 sqrt N))` largest. The distribution has the
    /// shape k-hat, and the scale that gives the tail its median.
    ///
    /// `None` if there is no k-hat.
    pub(super) fn new(log_weights: &[f64]) -> Option<Self> {
        let k = k_hat(log_weights)?;
        let n = log_weights.len() as f64;
        let mut descending = sorted(log_weights);
        descending.reverse();
        let largest = *descending.first()?;
        let sum: f64 = descending.iter().map(|w| (w - largest).exp()).sum();
        let log_mean = largest + (sum / n).ln();
        let decades = |log_weight: f64| (log_weight - log_mean) / std::f64::consts::LN_10;

        let length = (n / 5.0).min(3.0 * n.sqrt()).ceil() as usize;
        let threshold = *descending.get(length)?;
        // Excess over the threshold in units of the threshold, as in the fit of k-hat.
        let median = (descending[length / 2] - threshold).exp_m1();
        let scale = if k.abs() < 1e-9 {
            median / std::f64::consts::LN_2
        } else {
            median * k / (k * std::f64::consts::LN_2).exp_m1()
        };
        let reach = 1.05 * (largest - threshold);
        let share = (length as f64 / n).log10();
        let fit = (0..=TAIL_POINTS).map_while(|i| {
            let above = reach * i as f64 / TAIL_POINTS as f64;
            let excess = above.exp_m1() / scale;
            let log_survival = if k.abs() < 1e-9 {
                -excess
            } else {
                -(k * excess).ln_1p() / k
            };
            let height = share + log_survival / std::f64::consts::LN_10;
            // A distribution of negative shape ends.
            height
                .is_finite()
                .then_some((decades(threshold + above), height))
        });
        Some(Self {
            threshold: decades(threshold),
            survival: thinned(descending.len())
                .map(|i| (decades(descending[i]), ((i + 1) as f64 / n).log10()))
                .collect(),
            fit: fit.collect(),
        })
    }
}

/// Indices below `n`: all of the first, then evenly in the logarithm.
fn thinned(n: usize) -> impl Iterator<Item = usize> {
    let growth = (n.max(2) as f64).powf(1.0 / TAIL_POINTS as f64);
    let next = move |&i: &usize| {
        let next = (((i + 1) as f64 * growth) as usize).max(i + 1);
        (next < n).then_some(next)
    };
    std::iter::successors((n > 0).then_some(0), next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    const UNIT: Bins = Bins {
        lower: 0.0,
        upper: 1.0,
        count: 4,
    };

    #[test]
    fn densities_are_normalised_by_all_that_there_is() {
        let values = [0.0, 0.1, 0.3, 1.0, 1.5, f64::NAN, f64::INFINITY, -1e300];
        // Eight values, a quarter wide: each is worth 4 / 8.
        assert_eq!(density(&values, None, UNIT), [1.0, 0.5, 0.0, 0.5]);
        assert_eq!(share_outside(&values, UNIT), 0.5);
        let weights = [1.0, 2.0, 1.0, 0.0, 4.0, 0.0, 0.0, 0.0];
        let found = density(&values, Some(&weights), UNIT);
        assert_eq!(found, [1.5, 0.5, 0.0, 0.0]);
        assert_eq!(density(&values, Some(&[0.0; 8]), UNIT), [0.0; 4]);
        assert_eq!(density(&[], None, UNIT), [0.0; 4]);
        assert_eq!(share_outside(&[], UNIT), 0.0);
        let inside: Vec<f64> = (0..1000).map(|i| f64::from(i) / 999.0).collect();
        let integral: f64 = density(&inside, None, UNIT).iter().sum::<f64>() * UNIT.width();
        assert!((integral - 1.0).abs() < 1e-12);
        assert_eq!(UNIT.edges(), [0.0, 0.25, 0.5, 0.75, 1.0]);
    }

    #[test]
    fn free_energy_is_minus_log_probability() {
        let half = Bins { count: 2, ..UNIT };
        let points = [[0.1, 0.1], [0.1, 0.2], [0.9, 0.1], [0.9, 0.9], [7.0, 0.0]];
        let weights = [1.0, 2.0, 1.0, 0.0, 4.0];
        let plane = Plane::new(&points, Some(&weights), half, half);
        assert_eq!(plane.probability, [3.0 / 8.0, 1.0 / 8.0, 0.0, 0.0]);
        let free_energy = plane.free_energy();
        assert_eq!(free_energy[0], 0.0);
        assert!((free_energy[1] - 3f64.ln()).abs() < 1e-15);
        assert_eq!(free_energy[2..], [f64::INFINITY; 2]);
        // By hand for the second bin: p = 1/8, squares 1 inside and 1 + 4 + 16 outside.
        let exact = (1.0f64 * (7.0 / 8.0f64).powi(2) + 21.0 / 64.0).sqrt() / (8.0 / 8.0);
        assert!((plane.error[1] - exact).abs() < 1e-15);
        assert_eq!(plane.error[2], f64::INFINITY);
        // Without weights: the binomial error sqrt((1 - p) / (p n)).
        let plane = Plane::new(&points, None, half, half);
        let (p, n) = (2.0f64 / 5.0, 5.0);
        assert!((plane.error[0] - ((1.0 - p) / (p * n)).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn error_of_the_free_energy_is_that_of_the_bootstrap() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let n = 4000;
        let points: Vec<[f64; 2]> = (0..n).map(|_| [rng.random(), rng.random()]).collect();
        let weights: Vec<f64> = (0..n).map(|_| rng.random::<f64>().powi(3)).collect();
        let half = Bins { count: 2, ..UNIT };
        let plane = Plane::new(&points, Some(&weights), half, half);
        let replicates: Vec<Vec<f64>> = (0..400)
            .map(|_| {
                let drawn: Vec<usize> = (0..n).map(|_| rng.random_range(0..n)).collect();
                let points: Vec<[f64; 2]> = drawn.iter().map(|&i| points[i]).collect();
                let weights: Vec<f64> = drawn.iter().map(|&i| weights[i]).collect();
                let plane = Plane::new(&points, Some(&weights), half, half);
                plane.probability.iter().map(|p| -p.ln()).collect()
            })
            .collect();
        for bin in 0..4 {
            let mean = replicates.iter().map(|r| r[bin]).sum::<f64>() / 400.0;
            let squares: f64 = replicates.iter().map(|r| (r[bin] - mean).powi(2)).sum();
            let ratio = plane.error[bin] / (squares / 399.0).sqrt();
            // Four standard errors of a standard deviation from 400 replicates.
            assert!((ratio - 1.0).abs() < 4.0 / 800f64.sqrt(), "{bin} {ratio}");
        }
    }

    #[test]
    fn quantiles_of_what_is_finite() {
        let values = sorted(&[3.0, f64::NAN, 1.0, f64::INFINITY, 2.0]);
        assert_eq!(values, [1.0, 2.0, 3.0]);
        assert_eq!(quantile(&values, 0.0), Some(1.0));
        assert_eq!(quantile(&values, 0.5), Some(2.0));
        assert_eq!(quantile(&values, 1.0), Some(3.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn tail_of_exact_pareto_weights() {
        // Quantiles of S(w) = w^(-1/k), w >= 1, of mean 1 / (1 - k): a straight line of slope -1/k.
        let (n, k) = (40_000, 0.4);
        let log_weights: Vec<f64> = (0..n)
            .map(|i| -k * ((f64::from(i) + 0.5) / f64::from(n)).ln())
            .collect();
        let tail = Tail::new(&log_weights).unwrap();
        let exact = |x: f64| -(x - (1.0 - k).log10()) / k;
        for &(x, height) in &tail.survival[..tail.survival.len() - 1] {
            // Half a rank, and the mean of the quantiles instead of the distribution's.
            let rank = 10f64.powf(height) * f64::from(n);
            let limit = -(1.0 - 0.5 / rank).log10() + 0.02;
            assert!(
                (height - exact(x)).abs() < limit,
                "{x} {height} {}",
                exact(x)
            );
        }
        assert!((exact(tail.threshold) - (0.015f64).log10()).abs() < 0.02);
        // The fit's shape is drawn a little towards 0.5, by ten observations in six hundred.
        for &(x, height) in &tail.fit {
            let decades = x - tail.threshold;
            assert!((height - exact(x)).abs() < 0.02 + 0.05 * decades / k, "{x}");
        }
        let last = tail.fit.last().unwrap();
        assert!(tail.fit.len() == TAIL_POINTS + 1 && last.0 > tail.survival[0].0);
        assert!(tail.survival.len() < 2 * TAIL_POINTS);
    }

    #[test]
    fn tails_that_are_none_or_end() {
        assert_eq!(Tail::new(&[]), None);
        assert_eq!(Tail::new(&[0.0; 1000]), None);
        // Uniform weights: shape -1, an end that the fit does not pass.
        let log_weights: Vec<f64> = (1..20_000).map(|i| f64::from(i).ln()).collect();
        let tail = Tail::new(&log_weights).unwrap();
        assert!(tail.fit.iter().all(|(x, y)| x.is_finite() && y.is_finite()));
        let mut huge = log_weights.clone();
        huge[5] = 600.0;
        let tail = Tail::new(&huge).unwrap();
        assert!(
            tail.survival
                .iter()
                .all(|(x, y)| x.is_finite() && y.is_finite())
        );
    }
}

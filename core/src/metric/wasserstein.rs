use super::bootstrap::bootstrap_errors;
use super::{Blocks, Estimate, MetricError, check_length, relative_weights, tells_errors};

/// Weighted values on the real line, sorted.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Ascending.
    values: Vec<f64>,
    /// Weight of each value, above zero; not normalised.
    weights: Vec<f64>,
    /// Which independent unit each value belongs to: itself, or its block of a time series.
    units: Vec<usize>,
    n_units: usize,
    /// Whether the weights tell an error.
    tells_errors: bool,
}

impl Distribution {
    /// Values that count alike.
    ///
    /// # Errors
    /// There is none, or one is not finite.
    pub fn uniform(values: &[f64]) -> Result<Self, MetricError> {
        let uniform = Self::weighted(values, &vec![0.0; values.len()])?;
        Ok(Self {
            tells_errors: true,
            ..uniform
        })
    }

    /// Values with log weights. Those of weight 0 are left out.
    ///
    /// # Errors
    /// The lengths differ, all weights are 0, or a value of non-zero weight is not finite.
    pub fn weighted(values: &[f64], log_weights: &[f64]) -> Result<Self, MetricError> {
        check_length("log weights", values.len(), log_weights.len())?;
        let (weights, _) =
            relative_weights(log_weights).ok_or(MetricError::NoWeight { n: values.len() })?;
        let mut counted = Vec::new();
        for (index, (&value, weight)) in values.iter().zip(weights).enumerate() {
            if weight <= 0.0 {
                continue;
            }
            if !value.is_finite() {
                return Err(MetricError::NotFinite { index, value });
            }
            counted.push((value, weight, counted.len()));
        }
        counted.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(Self {
            values: counted.iter().map(|c| c.0).collect(),
            weights: counted.iter().map(|c| c.1).collect(),
            units: counted.iter().map(|c| c.2).collect(),
            n_units: counted.len(),
            tells_errors: tells_errors(log_weights),
        })
    }

    /// Values of a time series, in its order, that count alike. The bootstrap draws whole blocks of time, so that correlations within
    /// a block are taken into account.
    ///
    /// # Errors
    /// There is no value, or one is not finite.
    pub fn series(values: &[f64], blocks: &Blocks) -> Result<Self, MetricError> {
        check_length("values", blocks.n(), values.len())?;
        let mut series = Self::uniform(values)?;
        for unit in &mut series.units {
            *unit = blocks.block_of(*unit);
        }
        series.n_units = blocks.len();
        Ok(series)
    }

    /// Number of values of non-zero weight.
    pub fn n(&self) -> usize {
        self.values.len()
    }

    /// The sorted values with their shares of the whole, each weight multiplied by the bootstrap count of its unit.
    fn shares<'a>(
        &'a self,
        count: impl Fn(usize) -> f64 + Copy + 'a,
    ) -> impl Iterator<Item = (f64, f64)> + 'a {
        let weights = self.weights.iter().zip(&self.units);
        let weights = weights.map(move |(weight, &unit)| weight * count(unit));
        let total: f64 = weights.clone().sum();
        let values = self.values.iter().zip(weights);
        values.map(move |(&value, weight)| (value, weight / total))
    }
}

/// Wasserstein distances of two distributions on the real line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wasserstein<T = f64> {
    /// `W1 = int_0^1 |F^-1(p) - G^-1(p)| dp`.
    pub w1: T,
    /// `W2 = sqrt(int_0^1 (F^-1(p) - G^-1(p))^2 dp)`.
    pub w2: T,
}

/// Exact Wasserstein distances through the quantile coupling, in the unit of the values.
pub fn wasserstein(a: &Distribution, b: &Distribution) -> Wasserstein {
    couple(a.shares(|_| 1.0), b.shares(|_| 1.0))
}

/// [`wasserstein`] with bootstrap standard errors. Both sides are resampled: independent samples one by one, a
/// [series](Distribution::series) in its blocks of time. The errors are infinite where weights do not [tell](tells_errors) one.
///
/// The distance of two finite samples of the same distribution is not zero; the error does not tell that bias.
pub fn wasserstein_with_errors(
    a: &Distribution,
    b: &Distribution,
    seed: u64,
) -> Wasserstein<Estimate> {
    let [w1_error, w2_error] = match a.tells_errors && b.tells_errors {
        false => [f64::INFINITY; 2],
        true => bootstrap_errors(&[a.n_units, b.n_units], seed, |counts| {
            let (of_a, of_b) = counts.split_at(a.n_units);
            let drawn = couple(
                a.shares(|i| f64::from(of_a[i])),
                b.shares(|i| f64::from(of_b[i])),
            );
            [drawn.w1, drawn.w2]
        }),
    };
    let value = wasserstein(a, b);
    Wasserstein {
        w1: Estimate {
            value: value.w1,
            error: w1_error,
        },
        w2: Estimate {
            value: value.w2,
            error: w2_error,
        },
    }
}

/// Moves the mass of one side to the other in ascending order, which is optimal on the line for both costs.
fn couple(
    mut a: impl Iterator<Item = (f64, f64)>,
    mut b: impl Iterator<Item = (f64, f64)>,
) -> Wasserstein {
    let (mut first, mut second) = (0.0, 0.0);
    let (mut from, mut to) = (a.next(), b.next());
    // What rounding leaves of the mass of one side when the other is used up, some 1e-16 of the whole, stays where it is.
    while let (Some((x, mass_x)), Some((y, mass_y))) = (from, to) {
        let moved = mass_x.min(mass_y);
        let distance = (x - y).abs();
        first += moved * distance;
        second += moved * distance * distance;
        from = if mass_x > moved {
            Some((x, mass_x - moved))
        } else {
            a.next()
        };
        to = if mass_y > moved {
            Some((y, mass_y - moved))
        } else {
            b.next()
        };
    }
    Wasserstein {
        w1: first,
        w2: second.sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::fixtures::{numbers, table};

    fn uniform(values: &[f64]) -> Distribution {
        Distribution::uniform(values).unwrap()
    }

    #[test]
    fn small_cases_by_hand() {
        let found = wasserstein(&uniform(&[3.0, 0.0]), &uniform(&[5.0, 1.0]));
        assert!((found.w1 - 1.5).abs() < 1e-15 && (found.w2 - 2.5f64.sqrt()).abs() < 1e-15);
        // Masses 1/4, 3/4 at 0, 1 against 1 at 2.
        let weighted = Distribution::weighted(&[0.0, 1.0], &[0.0, 3f64.ln()]).unwrap();
        let found = wasserstein(&weighted, &uniform(&[2.0]));
        assert!((found.w1 - 1.25).abs() < 1e-15 && (found.w2 - 1.75f64.sqrt()).abs() < 1e-15);
        let same = wasserstein(&weighted, &weighted);
        assert_eq!((same.w1, same.w2), (0.0, 0.0));
    }

    #[test]
    fn agrees_with_scipy_and_linear_programming() {
        let values = |column| numbers("wasserstein.csv", column);
        let a = Distribution::weighted(&values(0), &values(1)).unwrap();
        let b = Distribution::weighted(&values(2), &values(3)).unwrap();
        let c = uniform(&values(0)[..70]);
        let expected: Vec<f64> = table("wasserstein_expected.csv")[0]
            .iter()
            .map(|field| field.parse().unwrap())
            .collect();
        let (ab, cb) = (wasserstein(&a, &b), wasserstein(&c, &b));
        for (found, expected) in [ab.w1, ab.w2, cb.w1, cb.w2].iter().zip(expected) {
            // Sums of 200 terms in another order.
            assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn logistic_distributions_have_a_closed_form() {
        // Locations m, l and scales s, t: W2^2 = (m - l)^2 + (s - t)^2 pi^2 / 3; for equal scales W1 = W2 = |m - l|.
        let n = 100_000;
        let logistic = |location: f64, scale: f64| -> Vec<f64> {
            let p = (0..n).map(|i| (f64::from(i) + 0.5) / f64::from(n));
            p.map(|p| location + scale * (p / (1.0 - p)).ln()).collect()
        };
        let (a, b) = (uniform(&logistic(1.0, 1.0)), uniform(&logistic(-0.5, 2.5)));
        let exact = (1.5f64.powi(2) * (1.0 + std::f64::consts::PI.powi(2) / 3.0)).sqrt();
        // The midpoint rule loses about ln(n)^2 / n of the second moment.
        assert!((wasserstein(&a, &b).w2 / exact - 1.0).abs() < 2e-3);
        let shifted = wasserstein(&a, &uniform(&logistic(-2.0, 1.0)));
        assert!((shifted.w1 - 3.0).abs() < 1e-9 && (shifted.w2 - 3.0).abs() < 1e-9);
    }

    #[test]
    fn bootstrap_error_of_a_shift_is_that_of_the_means() {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(9);
        let mut normal = |n: usize, mean: f64| -> Vec<f64> {
            let noise = |_| mean + rng.sample::<f64, _>(rand_distr::StandardNormal);
            (0..n).map(noise).collect()
        };
        let (a, b) = (uniform(&normal(800, 0.0)), uniform(&normal(400, 10.0)));
        let found = wasserstein_with_errors(&a, &b, 3);
        // Far apart, W1 is the difference of the means: variance 1/800 + 1/400; 200 replicates, and sample variances
        // known to sqrt(2/400).
        let exact = (1.0f64 / 800.0 + 1.0 / 400.0).sqrt();
        assert!((found.w1.error / exact - 1.0).abs() < 4.0 * (1.0f64 / 400.0 + 0.5 / 400.0).sqrt());
        assert!((found.w1.value - 10.0).abs() < 4.0 * exact);
        assert!((found.w2.error / found.w1.error - 1.0).abs() < 0.05);
    }

    #[test]
    fn bootstrap_of_a_series_is_that_of_its_blocks() {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        // Blocks of ten equal values: the mean of 400 has the error of 40.
        let blocks: Vec<f64> = (0..40)
            .map(|_| rng.sample(rand_distr::StandardNormal))
            .collect();
        let values: Vec<f64> = blocks.iter().flat_map(|x| [*x; 10]).collect();
        let series = Distribution::series(&values, &Blocks::equal(400, 40)).unwrap();
        let far = uniform(&[1e6; 2]);
        let found = wasserstein_with_errors(&series, &far, 1);
        let mean = blocks.iter().sum::<f64>() / 40.0;
        let variance = blocks.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 40.0;
        let exact = (variance / 40.0).sqrt();
        assert!((found.w1.error / exact - 1.0).abs() < 4.0 / 400f64.sqrt());
        assert_eq!(wasserstein(&series, &uniform(&values)).w1, 0.0);
        // As block_average: 7 values in 3 blocks are 2, 2 and 3.
        let uneven =
            Distribution::series(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &Blocks::equal(7, 3))
                .unwrap();
        assert_eq!(uneven.units, [0, 0, 1, 1, 2, 2, 2]);
    }

    #[test]
    fn one_weight_that_has_all_tells_no_error() {
        let values: Vec<f64> = (0..200).map(f64::from).collect();
        let mut log_weights = vec![0.0; 200];
        log_weights[9] = 1e3;
        let one = Distribution::weighted(&values, &log_weights).unwrap();
        let found = wasserstein_with_errors(&one, &uniform(&values), 1);
        // From 9 to 0, ..., 199.
        assert!((found.w1.value - (45.0 + 190.0 * 191.0 / 2.0) / 200.0).abs() < 1e-9);
        assert_eq!(
            (found.w1.error, found.w2.error),
            (f64::INFINITY, f64::INFINITY)
        );
    }

    #[test]
    fn refusals() {
        let found = Distribution::uniform(&[1.0, f64::INFINITY]);
        assert!(matches!(
            found,
            Err(MetricError::NotFinite { index: 1, .. })
        ));
        assert_eq!(
            Distribution::uniform(&[]),
            Err(MetricError::NoWeight { n: 0 })
        );
        assert!(Distribution::weighted(&[1.0], &[]).is_err());
        let hidden = Distribution::weighted(&[1.0, f64::NAN], &[0.0, f64::NEG_INFINITY]);
        assert_eq!(hidden.unwrap().n(), 1);
    }
}

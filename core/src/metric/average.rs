use std::fmt;

use super::{Blocks, MetricError, check_length, relative_weights, tells_errors};

/// A figure and its standard error.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Its standard error; infinite or NaN where the data do not allow one.
    pub error: f64,
}

impl fmt::Display for Estimate {
    /// With four decimals, or as many as the first two digits of the error need; no error that cannot be told.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, error } = *self;
        if value.is_nan() {
            return f.write_str("n/a");
        }
        if value.is_infinite() {
            return write!(f, "{value}");
        }
        if !error.is_finite() {
            return write!(f, "{value:.4} (no error can be told)");
        }
        let decimals = match error > 0.0 {
            true => (1.0 - error.log10().floor()).clamp(4.0, 12.0) as usize,
            false => 4,
        };
        write!(f, "{value:.decimals$} +- {error:.decimals$}")
    }
}

/// Self-normalised average `sum w A / sum w` over independent samples, with the standard error of the delta method,
/// `sqrt(sum w^2 (A - <A>)^2) / sum w`.
///
/// The error is itself an estimate from the same weights: infinite where they do not [tell](tells_errors) one, and too small where
/// k-hat is above 0.7. Values of weight 0 are not looked at.
///
/// # Errors
/// The lengths differ, all weights are 0, or a value of non-zero weight is not finite.
pub fn weighted_average(log_weights: &[f64], values: &[f64]) -> Result<Estimate, MetricError> {
    check_length("values", log_weights.len(), values.len())?;
    let (weights, _) = relative_weights(log_weights).ok_or(MetricError::NoWeight {
        n: log_weights.len(),
    })?;
    for (index, (&weight, &value)) in weights.iter().zip(values).enumerate() {
        if weight > 0.0 && !value.is_finite() {
            return Err(MetricError::NotFinite { index, value });
        }
    }
    Ok(delta_method(&weights, values, tells_errors(log_weights)))
}

/// [`weighted_average`] with checked weights, and whether they tell an error.
pub(super) fn delta_method(weights: &[f64], values: &[f64], tells_error: bool) -> Estimate {
    let counted = || weights.iter().zip(values).filter(|(w, _)| **w > 0.0);
    let total: f64 = weights.iter().sum();
    let value = counted().map(|(w, a)| w * a).sum::<f64>() / total;
    let squares: f64 = counted().map(|(w, a)| (w * (a - value)).powi(2)).sum();
    let error = match tells_error {
        true => squares.sqrt() / total,
        false => f64::INFINITY,
    };
    Estimate { value, error }
}

/// Mean of a time series with the standard error from the means of `blocks` contiguous blocks, whose lengths differ by at most one.
///
/// The error is right once a block is several correlation times long; too many blocks make it too small. With B blocks it is known to
/// `1 / sqrt(2 (B - 1))`. NaN for fewer than two blocks or fewer values than blocks. Of several runs: [`Blocks::of_runs`].
pub fn block_average(values: &[f64], blocks: usize) -> Estimate {
    Blocks::equal(values.len(), blocks).average(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::fixtures::{numbers, table};

    #[test]
    fn errors_have_the_digits_that_they_need() {
        let text = |value, error| Estimate { value, error }.to_string();
        assert_eq!(text(0.431, 0.0123), "0.4310 +- 0.0123");
        assert_eq!(text(0.0, 0.000_051), "0.000000 +- 0.000051");
        assert_eq!(text(1.0, f64::INFINITY), "1.0000 (no error can be told)");
        assert_eq!(text(0.5, f64::NAN), "0.5000 (no error can be told)");
        assert_eq!(text(f64::NAN, f64::NAN), "n/a");
        assert_eq!(text(f64::NEG_INFINITY, f64::INFINITY), "-inf");
    }

    #[test]
    fn known_weights() {
        // Weights 1, 3; values 0, 1: mean 3/4, error sqrt(1 * 9/16 + 9 * 1/16) / 4.
        let found = delta_method(&[1.0, 3.0], &[0.0, 1.0], true);
        assert!((found.value - 0.75).abs() < 1e-15);
        assert!((found.error - 18f64.sqrt() / 16.0).abs() < 1e-15);
        // Of two samples there is no error to be told.
        let few = weighted_average(&[0.0, 3f64.ln()], &[0.0, 1.0]).unwrap();
        assert_eq!((few.value, few.error), (found.value, f64::INFINITY));
        // Weight 0 hides a value that is not finite.
        let hidden = weighted_average(
            &[0.0, 3f64.ln(), f64::NEG_INFINITY],
            &[0.0, 1.0, f64::INFINITY],
        );
        assert_eq!(hidden.unwrap(), few);
        // One of 200 has all the weight: its value is no average, and has no error of 0.
        let mut log_weights = vec![0.0; 200];
        log_weights[3] = 1e3;
        let values: Vec<f64> = (0..200).map(f64::from).collect();
        let found = weighted_average(&log_weights, &values).unwrap();
        assert_eq!((found.value, found.error), (3.0, f64::INFINITY));
    }

    #[test]
    fn refusals() {
        let expected = MetricError::Length {
            what: "values",
            expected: 2,
            found: 1,
        };
        assert_eq!(weighted_average(&[0.0; 2], &[1.0]), Err(expected));
        let expected = MetricError::NoWeight { n: 1 };
        assert_eq!(weighted_average(&[f64::NAN], &[1.0]), Err(expected));
        let found = weighted_average(&[0.0, 0.0], &[1.0, f64::INFINITY]);
        assert!(matches!(
            found,
            Err(MetricError::NotFinite { index: 1, .. })
        ));
    }

    /// Importance sampling of an exponential distribution from uniform proposals, 400 times: the scatter is the truth.
    #[test]
    fn delta_method_error_is_the_scatter_of_repeated_runs() {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(2);
        let runs: Vec<Estimate> = (0..400)
            .map(|_| {
                let values: Vec<f64> = (0..400).map(|_| 3.0 * rng.random::<f64>()).collect();
                let log_weights: Vec<f64> = values.iter().map(|x| -x).collect();
                weighted_average(&log_weights, &values).unwrap()
            })
            .collect();
        let n = runs.len() as f64;
        let mean = runs.iter().map(|run| run.value).sum::<f64>() / n;
        let scatter = (runs
            .iter()
            .map(|run| (run.value - mean).powi(2))
            .sum::<f64>()
            / n)
            .sqrt();
        let error = runs.iter().map(|run| run.error).sum::<f64>() / n;
        assert!(
            (error / scatter - 1.0).abs() < 4.0 / (2.0 * n).sqrt(),
            "{error} {scatter}"
        );
        // Mean of the exponential cut at 3.
        let exact = 1.0 - 3.0 / (3f64.exp() - 1.0);
        assert!(
            (mean - exact).abs() < 4.0 * scatter / n.sqrt() + 1e-3,
            "{mean} {exact}"
        );
    }

    #[test]
    fn block_error_of_a_correlated_series() {
        // AR(1) with coefficient c: the variance of the mean is (1 + c) / (1 - c) / n of the independent one.
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(4);
        let (c, n, blocks) = (0.9f64, 200_000, 100);
        let mut x = 0.0;
        let series: Vec<f64> = (0..n)
            .map(|_| {
                let noise: f64 = rng.sample(rand_distr::StandardNormal);
                x = c * x + (1.0 - c * c).sqrt() * noise;
                x
            })
            .collect();
        let exact = ((1.0 + c) / (1.0 - c) / f64::from(n)).sqrt();
        let found = block_average(&series, blocks);
        // A block of 2000 is 100 correlation times: 1 % bias at most.
        assert!((found.error / exact - 1.0).abs() < 4.0 / (2.0 * 99f64).sqrt() + 0.01);
        assert!(found.value.abs() < 4.0 * exact);
    }

    #[test]
    fn block_edges() {
        // Blocks [1, 2], [3, 4, 5]: the weighted deviations from 3 are 0.8 * -1.5 and 1.2 * 1.
        let found = block_average(&[1.0, 2.0, 3.0, 4.0, 5.0], 2);
        assert!((found.value - 3.0).abs() < 1e-15);
        assert!((found.error - (2.88f64 / 2.0).sqrt()).abs() < 1e-15);
        assert!(block_average(&[1.0], 2).error.is_nan());
        assert!(block_average(&[1.0, 2.0], 1).error.is_nan());
    }

    #[test]
    fn agrees_with_an_independent_jackknife_of_random_weights() {
        let tempered = numbers("log_weights.csv", 0).into_iter().map(|w| 0.3 * w);
        let log_weights: Vec<f64> = tempered.collect();
        let found = weighted_average(&log_weights, &numbers("log_weights.csv", 1)).unwrap();
        let row = &table("weighted_average.csv")[0];
        let [value, jackknife]: [f64; 2] = [0, 1].map(|i| row[i].parse().unwrap());
        assert!((found.value / value - 1.0).abs() < 1e-13);
        // The jackknife enlarges each deviation by 1 / (1 - share of the weight), and the whole by (n - 1) / n at least.
        let (weights, _) = relative_weights(&log_weights).unwrap();
        let largest_share = 1.0 / weights.iter().sum::<f64>();
        let ratio = jackknife / found.error;
        let (lower, upper) = (1.0 - 1.0 / 600.0, 1.0 / (1.0 - largest_share));
        assert!(
            lower < ratio && ratio < upper && upper < 1.1,
            "{ratio} {upper}"
        );
    }
}

use std::fmt;
use std::str::FromStr;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::SampleError;
use crate::math::{Purpose, Random, Streams};

/// How configurations are drawn by weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resampling {
    /// One random offset, then equal steps through the cumulative weights: a configuration of expected count c comes out
    /// floor(c) or ceil(c) times.
    Systematic,
    /// Independent draws.
    Multinomial,
}

impl fmt::Display for Resampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Resampling::Systematic => "systematic",
            Resampling::Multinomial => "multinomial",
        })
    }
}

impl FromStr for Resampling {
    type Err = SampleError;

    fn from_str(name: &str) -> Result<Self, SampleError> {
        match name {
            "systematic" => Ok(Resampling::Systematic),
            "multinomial" => Ok(Resampling::Multinomial),
            _ => Err(SampleError::UnknownResampling {
                found: name.to_owned(),
            }),
        }
    }
}

/// Draws `n` indices with probabilities proportional to `exp(log_weights)`, ascending; the same ones for the same seed.
///
/// Log weights that are not finite count as weight 0 and are never drawn.
///
/// # Errors
/// [`SampleError::NoWeight`] if all weights are 0.
pub fn resample(
    method: Resampling,
    log_weights: &[f64],
    n: usize,
    seed: u64,
) -> Result<Vec<usize>, SampleError> {
    let random = Streams::new(Purpose::Resampling, seed).at(0);
    draw(method, log_weights, n, random)
}

/// [`resample`] by the numbers of `random`.
pub(crate) fn draw(
    method: Resampling,
    log_weights: &[f64],
    n: usize,
    mut random: Random,
) -> Result<Vec<usize>, SampleError> {
    let finite = log_weights.iter().copied().filter(|w| w.is_finite());
    let largest = finite.reduce(f64::max).ok_or(SampleError::NoWeight {
        n: log_weights.len(),
    })?;
    let mut candidates = Vec::new();
    let mut cumulative = Vec::new();
    let mut total = 0.0;
    for (index, &log_weight) in log_weights.iter().enumerate() {
        let before = total;
        if log_weight.is_finite() {
            total += (log_weight - largest).exp();
        }
        if total > before {
            candidates.push(index);
            cumulative.push(total);
        }
    }
    let points: Vec<f64> = match method {
        Resampling::Systematic => {
            let offset: f64 = random.random();
            (0..n).map(|i| (i as f64 + offset) / n as f64).collect()
        }
        Resampling::Multinomial => {
            let mut points: Vec<f64> = (0..n).map(|_| random.random()).collect();
            points.sort_unstable_by(f64::total_cmp);
            points
        }
    };
    let mut current = 0;
    let drawn = points.into_iter().map(|point| {
        // The last candidate takes a point that rounding has carried up to the total.
        while current + 1 < cumulative.len() && cumulative[current] <= point * total {
            current += 1;
        }
        candidates[current]
    });
    Ok(drawn.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Resampling::{Multinomial, Systematic};

    fn counts(drawn: &[usize], n: usize) -> Vec<usize> {
        let mut counts = vec![0; n];
        drawn.iter().for_each(|&index| counts[index] += 1);
        counts
    }

    /// Log weights of 0, 1, 2, 3, 0, 4 parts in 10, far from the range of exp.
    fn weights() -> Vec<f64> {
        [0.0f64, 1.0, 2.0, 3.0, f64::NAN, 4.0]
            .map(|w| w.ln() - 1e5)
            .to_vec()
    }

    #[test]
    fn systematic_counts_are_the_expected_ones_up_to_rounding() {
        for seed in 0..50 {
            let drawn = resample(Systematic, &weights(), 25, seed).unwrap();
            assert!(drawn.is_sorted());
            let found = counts(&drawn, 6);
            for (count, expected) in found.into_iter().zip([0.0, 2.5, 5.0, 7.5, 0.0, 10.0f64]) {
                let count = count as f64;
                // Rounding of exp may move an integer expectation across.
                assert!((count - expected).abs() < 1.0 + 1e-9, "{count} {expected}");
            }
        }
        // The offset is uniform: the mean count over seeds is the expectation.
        let runs = 4000;
        let of_third: usize = (0..runs)
            .map(|seed| counts(&resample(Systematic, &weights(), 25, seed).unwrap(), 6)[1])
            .sum();
        let mean = of_third as f64 / runs as f64;
        assert!(
            (mean - 2.5).abs() < 4.0 * 0.5 / (runs as f64).sqrt(),
            "{mean}"
        );
    }

    #[test]
    fn multinomial_counts_pass_a_chi_squared_test() {
        let n = 100_000;
        let found = counts(&resample(Multinomial, &weights(), n, 3).unwrap(), 6);
        assert_eq!((found[0], found[4]), (0, 0));
        let chi_squared: f64 = [1, 2, 3, 5]
            .into_iter()
            .zip([0.1, 0.2, 0.3, 0.4])
            .map(|(index, p)| {
                let expected = p * n as f64;
                (found[index] as f64 - expected).powi(2) / expected
            })
            .sum();
        // 99.99 % quantile for three degrees of freedom.
        assert!(chi_squared < 21.1, "{chi_squared}");
    }

    #[test]
    fn edges() {
        for method in [Systematic, Multinomial] {
            let none = resample(method, &[f64::NEG_INFINITY, f64::NAN], 3, 0);
            assert_eq!(none, Err(SampleError::NoWeight { n: 2 }));
            assert_eq!(
                resample(method, &[], 3, 0),
                Err(SampleError::NoWeight { n: 0 })
            );
            assert_eq!(resample(method, &[1.0], 0, 0).unwrap(), Vec::<usize>::new());
            let one = [f64::NEG_INFINITY, -1e300, f64::NEG_INFINITY];
            assert_eq!(resample(method, &one, 4, 0).unwrap(), [1; 4]);
            let again = |seed| resample(method, &[0.0; 100], 50, seed).unwrap();
            assert_eq!(again(1), again(1));
            assert_eq!(method.to_string().parse(), Ok(method));
            let json = serde_json::to_string(&method).unwrap();
            assert_eq!(json, format!("\"{method}\""));
        }
        let error = "residual".parse::<Resampling>().unwrap_err().to_string();
        assert!(
            error.contains("\"residual\"") && error.contains("multinomial"),
            "{error}"
        );
    }
}

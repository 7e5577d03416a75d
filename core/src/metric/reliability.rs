//! Whether weights are worth enough samples for an error.

use super::ess::kish;
use super::{k_hat, relative_weights};

/// Effective samples below which no error can be told: at ten, the standard error is itself known to `1 / sqrt(2 * 10)` = 22 %. One
/// sample that has all the weight leaves neither the delta method nor a bootstrap anything to vary, and both give 0.
const FEWEST_EFFECTIVE: f64 = 10.0;

/// k-hat from which on the mean of the weights does not exist, nor the error of anything that is averaged with them (Vehtari et al.,
/// JMLR 25(72), 2024).
const LARGEST_K_HAT: f64 = 1.0;

/// Whether the standard error of what is averaged by these weights can be told from them: they are worth at least ten samples (Kish's
/// effective sample size), and the k-hat of their tail, where there is one, is at most 1. Errors are infinite otherwise.
pub fn tells_errors(log_weights: &[f64]) -> bool {
    let Some((weights, _)) = relative_weights(log_weights) else {
        return false;
    };
    effective(&weights) >= FEWEST_EFFECTIVE && k_hat(log_weights).is_none_or(|k| k <= LARGEST_K_HAT)
}

/// As [`tells_errors`], of numbers of draws that are given as weights.
pub(super) fn counts_tell_errors(counts: &[f64]) -> bool {
    effective(counts) >= FEWEST_EFFECTIVE
}

/// Kish's effective sample size.
pub(super) fn effective(weights: &[f64]) -> f64 {
    weights.len() as f64 * kish(weights)
}

/// Standard error of a share that `n` samples (effective ones, or blocks of time) show to be 0 or 1: the standard deviation of the
/// posterior under a uniform prior, `sqrt((n + 1) / ((n + 2)^2 (n + 3)))`, about `1 / n`. The sample's own variance is 0, which says
/// nothing but that there are not samples enough.
pub(super) fn error_of_certainty(n: f64) -> f64 {
    ((n + 1.0) / ((n + 2.0).powi(2) * (n + 3.0))).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_effective_samples_or_a_heavy_tail_tell_nothing() {
        assert!(!tells_errors(&[]));
        assert!(!tells_errors(&[f64::NEG_INFINITY; 50]));
        assert!(!tells_errors(&[0.0; 9]) && tells_errors(&[0.0; 10]));
        let mut one = vec![0.0; 200];
        one[17] = 1000.0;
        assert!(!tells_errors(&one));
        // Ten times the weight of all others together: (1 + 0.1)^2 samples.
        one[17] = 2000f64.ln();
        assert!(!tells_errors(&one));
        // Pareto tails of shape 0.5 and 1.5, a thousand quantiles.
        let pareto = |k: f64| -> Vec<f64> {
            let quantiles = (0..1000).map(|i| (f64::from(i) + 0.5) / 1000.0);
            quantiles.map(|p| -k * (1.0 - p).ln()).collect()
        };
        assert!(tells_errors(&pareto(0.5)));
        // Of the heavier one, a floor of equal weights makes the effective size large, but not the tail light.
        let heavy: Vec<f64> = pareto(1.5)
            .into_iter()
            .flat_map(|w| [w, 6.0, 6.0, 6.0, 6.0])
            .collect();
        let (weights, _) = relative_weights(&heavy).unwrap();
        assert!(effective(&weights) > FEWEST_EFFECTIVE);
        assert!(!tells_errors(&heavy), "{:?}", k_hat(&heavy));
    }

    /// Of `m` samples, none inside: a share `p` leaves that result with probability `(1 - p)^m`. The density over p, integrated.
    #[test]
    fn error_of_certainty_is_that_of_the_posterior() {
        for m in [3, 50] {
            let steps = 200_000;
            let (mut norm, mut first, mut second) = (0.0, 0.0, 0.0);
            for step in 0..steps {
                let p = (f64::from(step) + 0.5) / f64::from(steps);
                let likelihood = (1.0 - p).powi(m);
                norm += likelihood;
                first += p * likelihood;
                second += p * p * likelihood;
            }
            let variance = second / norm - (first / norm).powi(2);
            let found = error_of_certainty(f64::from(m));
            assert!((found / variance.sqrt() - 1.0).abs() < 1e-6, "{found}");
        }
    }
}

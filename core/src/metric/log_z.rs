use super::bootstrap::bootstrap_errors;
use super::{Estimate, relative_weights, tells_errors};

/// `log Z = logsumexp(log w) - log N`, the logarithm of the mean weight, with its bootstrap standard error.
///
/// Samples of weight 0 count in N. If all weights are 0 the value is `-inf`. The error is infinite where the weights do not
/// [tell](tells_errors) one.
pub fn log_z(log_weights: &[f64], seed: u64) -> Estimate {
    let Some((weights, largest)) = relative_weights(log_weights) else {
        return Estimate {
            value: f64::NEG_INFINITY,
            error: f64::INFINITY,
        };
    };
    let log_mean = |sum: f64| largest + (sum / weights.len() as f64).ln();
    let [error] = match tells_errors(log_weights) {
        false => [f64::INFINITY],
        true => bootstrap_errors(&[weights.len()], seed, |counts| {
            let drawn = counts.iter().zip(&weights);
            let sum = drawn.map(|(&count, w)| f64::from(count) * w).sum();
            [log_mean(sum)]
        }),
    };
    Estimate {
        value: log_mean(weights.iter().sum()),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_the_log_of_the_mean_weight() {
        let weights = [1.0f64, 2.0, 3.0, 10.0].map(|w| w.ln() - 3000.0);
        let found = log_z(&weights, 1);
        assert!((found.value - (4f64.ln() - 3000.0)).abs() < 1e-12);
        let with_zeros = [weights.as_slice(), &[f64::NEG_INFINITY, f64::NAN]].concat();
        assert!((log_z(&with_zeros, 1).value - ((16.0f64 / 6.0).ln() - 3000.0)).abs() < 1e-12);
    }

    #[test]
    fn no_weight_and_nearly_none() {
        let none = log_z(&[f64::NEG_INFINITY; 4], 1);
        assert_eq!((none.value, none.error), (f64::NEG_INFINITY, f64::INFINITY));
        assert_eq!(log_z(&[], 1).error, f64::INFINITY);
        let mut one = [f64::NEG_INFINITY; 100];
        one[7] = 0.0;
        assert_eq!(log_z(&one, 1).error, f64::INFINITY);
        // Nor where the others have a little: a bootstrap misses the largest in a third of its replicates.
        let mut most = [0.0; 100];
        most[7] = 300.0;
        assert_eq!(log_z(&most, 1).error, f64::INFINITY);
        // Equal weights have no error beyond the rounding of the sum.
        assert!(log_z(&[2.5; 100], 1).error < 1e-14);
    }

    #[test]
    fn bootstrap_agrees_with_the_delta_method() {
        // Moderate weights, many samples: the relative error of the mean.
        let log_weights: Vec<f64> = (0..4000).map(|i| (f64::from(i) * 1.3).sin()).collect();
        let ess = crate::metric::ess_per_n(&log_weights);
        let delta = ((1.0 / ess - 1.0) / 4000.0).sqrt();
        let found = log_z(&log_weights, 3).error;
        assert!(
            (found / delta - 1.0).abs() < 4.0 / 400f64.sqrt(),
            "{found} {delta}"
        );
    }
}

use super::relative_weights;

/// Fraction of the largest weights that [`ess_per_n_trimmed`] removes, as earlier papers on Boltzmann generators do.
pub const TRIMMED_FRACTION: f64 = 0.002;

/// Kish's effective sample size over the number of samples, `(sum w)^2 / (N sum w^2)`, in `[0, 1]`; 0 if all weights are 0.
pub fn ess_per_n(log_weights: &[f64]) -> f64 {
    relative_weights(log_weights).map_or(0.0, |(weights, _)| kish(&weights))
}

/// [`ess_per_n`] of the samples that remain (and over their number) once the `floor(0.002 N)` largest weights are removed.
///
/// Looks better than the untrimmed figure exactly where the weights are bad: print it with its label, beside the other.
pub fn ess_per_n_trimmed(log_weights: &[f64]) -> f64 {
    let mut finite: Vec<f64> = log_weights
        .iter()
        .map(|&w| if w.is_finite() { w } else { f64::NEG_INFINITY })
        .collect();
    let removed = (TRIMMED_FRACTION * finite.len() as f64).floor() as usize;
    if removed > 0 {
        finite.select_nth_unstable_by(removed - 1, |a, b| b.total_cmp(a));
    }
    // Relative to the largest weight that is left: what was removed may have been larger by any factor.
    ess_per_n(&finite[removed..])
}

pub(super) fn kish(weights: &[f64]) -> f64 {
    let sum: f64 = weights.iter().sum();
    let squares: f64 = weights.iter().map(|w| w * w).sum();
    sum * sum / (weights.len() as f64 * squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_weights() {
        assert_eq!(ess_per_n(&[]), 0.0);
        assert_eq!(ess_per_n(&[f64::NEG_INFINITY; 3]), 0.0);
        assert_eq!(ess_per_n(&[-1e9; 5]), 1.0);
        assert_eq!(
            ess_per_n(&[700.0, f64::NEG_INFINITY, f64::NAN, f64::INFINITY]),
            0.25
        );
        // Weights 1, 2, 3: 36 / (3 * 14).
        let weights = [1.0f64, 2.0, 3.0].map(|w| w.ln() + 5000.0);
        assert!((ess_per_n(&weights) - 6.0 / 7.0).abs() < 1e-12);
    }

    #[test]
    fn trimming_removes_two_of_a_thousand() {
        let mut weights = vec![0.0; 1000];
        weights[3] = 9000.0;
        weights[700] = 20.0;
        assert!((ess_per_n(&weights) - 1e-3).abs() < 1e-15);
        assert_eq!(ess_per_n_trimmed(&weights), 1.0);
        weights[50] = 20.0;
        assert!(ess_per_n_trimmed(&weights) < 0.002);
        // NaN is weight 0, not the largest.
        weights[50] = f64::NAN;
        assert!((ess_per_n_trimmed(&weights) - 997.0 / 998.0).abs() < 1e-12);
        // Too few to remove one.
        assert!((ess_per_n_trimmed(&[0.0, 50.0]) - 0.5).abs() < 1e-12);
        assert_eq!(ess_per_n_trimmed(&[]), 0.0);
    }
}

use super::Diagnostics;

/// k-hat above which importance sampling is unreliable (arXiv 1507.02646).
const HIGHEST_K: f64 = 0.7;
/// ESS/N below which the weights rest on few configurations.
const LOWEST_ESS: f64 = 0.01;

impl Diagnostics {
    /// Why the weights of a proposal cannot be trusted, in words; empty if they can.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.log_z_error.is_infinite() {
            warnings.push(format!(
                "no error of any weighted figure can be told: the weights are worth {:.1} configurations (at least 10 are needed, and a k-hat \
                 up to 1): train longer, or draw more",
                self.ess * self.n as f64
            ));
        }
        match self.k_hat {
            Some(k) if k > HIGHEST_K => warnings.push(format!(
                "k-hat {k:.2} is above {HIGHEST_K}: the weights have too heavy a tail, do not trust weighted averages"
            )),
            None => warnings.push(
                "too few weights differ for an estimate of their tail: weighted averages cannot be checked".to_owned(),
            ),
            _ => {}
        }
        if self.ess < LOWEST_ESS {
            warnings.push(format!(
                "ESS/N {:.1e} is below {LOWEST_ESS}: a handful of configurations carries all the weight, do not trust weighted averages",
                self.ess
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use crate::sample::WeightedSamples;

    #[test]
    fn only_bad_weights_are_warned_of() {
        let warnings = |log_q: &dyn Fn(f64) -> f64| {
            let quantiles = (0..1000).map(|i| (f64::from(i) + 0.5) / 1000.0);
            let log_q: Vec<f64> = quantiles.map(log_q).collect();
            let mut samples = WeightedSamples::new(300.0);
            samples.extend(&log_q, &vec![0.0; log_q.len()]);
            samples.diagnostics(0).warnings()
        };
        // Bounded weights; Pareto tails of shape 1 and 20.
        assert!(warnings(&|p| p).is_empty());
        let heavy = warnings(&|p| (1.0 - p).ln());
        assert!(
            heavy.len() == 1 && heavy[0].starts_with("k-hat"),
            "{heavy:?}"
        );
        let hopeless = warnings(&|p| 20.0 * (1.0 - p).ln());
        assert!(
            hopeless.len() == 3 && hopeless[0].starts_with("no error"),
            "{hopeless:?}"
        );
        let equal = warnings(&|_| 0.0);
        assert!(
            equal.len() == 1 && equal[0].contains("too few"),
            "{equal:?}"
        );
    }
}

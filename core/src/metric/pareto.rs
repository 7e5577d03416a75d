use super::relative_weights;

/// Weights in the tail that a fit needs at least.
const SMALLEST_TAIL: usize = 5;

/// Shape parameter k-hat of the generalised Pareto distribution that fits the upper tail of the weights.
///
/// The diagnostic of Pareto-smoothed importance sampling, Vehtari et al., JMLR 25(72), 2024 (arXiv 1507.02646): the tail is the
/// `ceil(min(N / 5, 3 sqrt N))` largest weights. Below 0.5 the weights have finite variance, up to 0.7 averages are
/// usable at these N, above it they are not. The fit is that of Zhang and Stephens, Technometrics 51, 316 (2009),
/// with k drawn towards 0.5 by as much as ten observations, as in the paper's appendix and in ArviZ.
///
/// `None` if fewer than five weights exceed the tail's threshold: too few samples, weights that are all equal, or
/// weights of which all but a handful are negligible (below 1e-308 of the largest).
pub fn k_hat(log_weights: &[f64]) -> Option<f64> {
    let (_, largest) = relative_weights(log_weights)?;
    let mut shifted: Vec<f64> = log_weights
        .iter()
        .map(|&w| {
            if w.is_finite() {
                w - largest
            } else {
                f64::NEG_INFINITY
            }
        })
        .collect();
    let n = shifted.len() as f64;
    let length = (n / 5.0).min(3.0 * n.sqrt()).ceil() as usize;
    if length < SMALLEST_TAIL || length >= shifted.len() {
        return None;
    }
    let (_, &mut threshold, _) = shifted.select_nth_unstable_by(length, |a, b| b.total_cmp(a));
    let threshold = threshold.max(f64::MIN_POSITIVE.ln());
    // Excesses over the threshold in units of the threshold, which the shape does not depend on: no difference of nearly
    // equal numbers, and none that underflows.
    let mut excesses: Vec<f64> = shifted[..length]
        .iter()
        .filter(|&&w| w > threshold)
        .map(|w| (w - threshold).exp_m1())
        .collect();
    if excesses.len() < SMALLEST_TAIL {
        return None;
    }
    excesses.sort_unstable_by(f64::total_cmp);
    Some(generalised_pareto_shape(&excesses)).filter(|k| k.is_finite())
}

/// Shape of the generalised Pareto distribution of sorted positive excesses: posterior mean of Zhang and Stephens (their
/// equations 6 to 8, with their k of opposite sign), then the weak prior.
fn generalised_pareto_shape(excesses: &[f64]) -> f64 {
    const PRIOR_SCALE: f64 = 3.0;
    const PRIOR_SHAPE: f64 = 0.5;
    const PRIOR_COUNT: f64 = 10.0;
    let n = excesses.len();
    let count = n as f64;
    let grid = 30 + count.sqrt() as usize;
    let quartile = excesses[(count / 4.0 + 0.5) as usize - 1];
    let shape = |b: f64| excesses.iter().map(|x| (-b * x).ln_1p()).sum::<f64>() / count;

    let candidates: Vec<f64> = (0..grid)
        .map(|j| {
            let spread = 1.0 - (grid as f64 / (j as f64 + 0.5)).sqrt();
            spread / (PRIOR_SCALE * quartile) + 1.0 / excesses[n - 1]
        })
        .collect();
    let profile: Vec<f64> = candidates
        .iter()
        .map(|&b| {
            let k = shape(b);
            count * ((-b / k).ln() - k - 1.0)
        })
        .collect();
    // Posterior of the candidates under a flat prior; the negligible ones are dropped, as in the reference codes.
    let highest = profile.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let likelihood: Vec<f64> = profile.iter().map(|l| (l - highest).exp()).collect();
    let evidence: f64 = likelihood.iter().sum();
    let (mut total, mut b) = (0.0, 0.0);
    for (candidate, likelihood) in candidates.iter().zip(likelihood) {
        let weight = likelihood / evidence;
        if weight >= 10.0 * f64::EPSILON {
            total += weight;
            b += weight * candidate;
        }
    }
    b /= total;
    (count * shape(b) + PRIOR_COUNT * PRIOR_SHAPE) / (count + PRIOR_COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::fixtures::{numbers, table};

    /// The fixture's script writes the weights' formula; here it is again, so that no megabytes are stored.
    fn log_weights(kind: &str, n: usize, scale: f64) -> Vec<f64> {
        let quantile = |i: usize| (i as f64 + 0.5) / n as f64;
        // An order that mixes large and small: 17 divides no n used here.
        let mixed = (0..n).map(|i| quantile((i * 17 + 3) % n));
        match kind {
            "pareto" => mixed.map(|p| -scale * (-p).ln_1p()).collect(),
            "logistic" => mixed.map(|p| scale * (p / (1.0 - p)).ln()).collect(),
            _ => mixed.map(|p| scale * (3.0 * p).sin()).collect(),
        }
    }

    #[test]
    fn agrees_with_arviz() {
        for row in table("k_hat.csv") {
            let [kind, n, scale, zeros, expected] = row.as_slice() else {
                panic!("{row:?}");
            };
            let (n, zeros): (usize, usize) = (n.parse().unwrap(), zeros.parse().unwrap());
            let mut weights = log_weights(kind, n, scale.parse().unwrap());
            weights[..zeros].fill(f64::NEG_INFINITY);
            let found = k_hat(&weights);
            if expected == "inf" {
                assert_eq!(found, None, "{row:?}");
                continue;
            }
            let expected: f64 = expected.parse().unwrap();
            // ArviZ subtracts nearly equal weights: up to 1e-16 over excesses of 1e-4, relative to 1.
            let found = found.unwrap();
            assert!((found - expected).abs() < 1e-9, "{row:?} {found}");
        }
    }

    #[test]
    fn agrees_with_arviz_on_random_weights() {
        let weights = numbers("log_weights.csv", 0);
        let expected = numbers("log_weights_k_hat.csv", 0)[0];
        assert!((k_hat(&weights).unwrap() - expected).abs() < 1e-9);
        // Shifts of all weights, even beyond the range of exp, change nothing.
        let shifted: Vec<f64> = weights.iter().map(|w| w - 1e6).collect();
        assert!((k_hat(&shifted).unwrap() - expected).abs() < 1e-7);
    }

    #[test]
    fn recovers_the_shape_of_exact_pareto_quantiles() {
        // The shape's standard error is (1 + k) / sqrt(tail), tail = 3 sqrt N = 3000.
        for k in [0.2, 0.7, 1.5] {
            let found = k_hat(&log_weights("pareto", 1_000_001, k)).unwrap();
            assert!(
                (found - k).abs() < 3.0 * (1.0 + k) / 3000f64.sqrt(),
                "{found} {k}"
            );
        }
    }

    #[test]
    fn too_few_or_too_equal_weights_have_no_tail() {
        assert_eq!(k_hat(&[]), None);
        assert_eq!(k_hat(&[f64::NEG_INFINITY; 100]), None);
        assert_eq!(k_hat(&[3.0; 1000]), None);
        assert_eq!(k_hat(&log_weights("pareto", 19, 0.5)), None);
        assert!(k_hat(&log_weights("pareto", 25, 0.5)).is_some());
        let unequal: Vec<f64> = (0..1000).map(|i| -1000.0 * f64::from(i)).collect();
        assert_eq!(k_hat(&unequal), None);
    }
}

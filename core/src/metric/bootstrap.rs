use rand::Rng;
use rayon::prelude::*;

use crate::math::{Purpose, Random, Streams};

/// Replicates of a bootstrap: its standard error is then itself known to 1 / sqrt(2 * 200) = 5 %.
const REPLICATES: u64 = 200;

/// Standard deviations of `statistics` over bootstrap replicates: their standard errors.
///
/// `sizes` are the numbers of independent samples in each group; a replicate draws each group anew. It is given as the number
/// of times that each sample was drawn, group after group. NaN if a group has fewer than two samples, infinite if
/// the statistic is not finite in some replicate. The result depends on the seed, not on threads.
pub(super) fn bootstrap_errors<const K: usize>(
    sizes: &[usize],
    seed: u64,
    statistics: impl Fn(&[u32]) -> [f64; K] + Sync,
) -> [f64; K] {
    if sizes.iter().any(|&n| n < 2) {
        return [f64::NAN; K];
    }
    let streams = Streams::new(Purpose::Bootstrap, seed);
    let replicates: Vec<[f64; K]> = (0..REPLICATES)
        .into_par_iter()
        .map_init(
            || vec![0; sizes.iter().sum()],
            |counts, replicate| {
                let mut rng = streams.at(replicate);
                let mut rest = counts.as_mut_slice();
                for &n in sizes {
                    let (group, others) = rest.split_at_mut(n);
                    draw_counts(&mut rng, group);
                    rest = others;
                }
                statistics(counts)
            },
        )
        .collect();
    std::array::from_fn(|k| {
        let values = || replicates.iter().map(|replicate| replicate[k]);
        if values().any(|value| !value.is_finite()) {
            return f64::INFINITY;
        }
        let count = replicates.len() as f64;
        let mean = values().sum::<f64>() / count;
        let squares: f64 = values().map(|value| (value - mean).powi(2)).sum();
        (squares / (count - 1.0)).sqrt()
    })
}

/// As many draws with replacement as there are samples.
fn draw_counts(rng: &mut Random, counts: &mut [u32]) {
    counts.fill(0);
    let n = counts.len();
    for _ in 0..n {
        // High word of the product: uniform below n, biased by less than n / 2^64.
        let index = (u128::from(rng.next_u64()) * n as u128) >> 64;
        counts[index as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_of_a_mean_is_the_textbook_one() {
        let n = 500;
        let values: Vec<f64> = (0..n).map(|i| (f64::from(i) * 0.7).sin()).collect();
        let mean = values.iter().sum::<f64>() / f64::from(n);
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n);
        // The bootstrap variance of a mean is exactly the plug-in variance over n.
        let exact = (variance / f64::from(n)).sqrt();
        let statistic = |counts: &[u32]| {
            assert_eq!(counts.iter().sum::<u32>(), 500);
            let sum: f64 = counts
                .iter()
                .zip(&values)
                .map(|(&c, x)| f64::from(c) * x)
                .sum();
            [sum / f64::from(n)]
        };
        let [found] = bootstrap_errors(&[values.len()], 5, statistic);
        // Four standard errors of a standard deviation from 200 normal replicates.
        assert!(
            (found / exact - 1.0).abs() < 4.0 / 400f64.sqrt(),
            "{found} {exact}"
        );
        assert_eq!([found], bootstrap_errors(&[values.len()], 5, statistic));
        assert_ne!([found], bootstrap_errors(&[values.len()], 6, statistic));
    }

    #[test]
    fn groups_are_drawn_apart() {
        bootstrap_errors(&[3, 5], 1, |counts| {
            assert_eq!(counts.len(), 8);
            assert_eq!(counts[..3].iter().sum::<u32>(), 3);
            [0.0]
        });
    }

    #[test]
    fn edges() {
        assert!(bootstrap_errors(&[9, 1], 0, |_| [1.0])[0].is_nan());
        let found = bootstrap_errors(&[9], 0, |_| [f64::NEG_INFINITY, 2.0]);
        assert_eq!(found, [f64::INFINITY, 0.0]);
    }
}

//! What a polish chooses by, against analytic results.

use super::judge::Weights;
use super::*;
use crate::train::TrainError;

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let refused = |options: PolishOptions, what: &str| {
        let found: Result<(), TrainError> = options.validate(&Stage::default());
        let error = found.unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    let default = PolishOptions::default;
    refused(
        PolishOptions {
            data: 0.7,
            reverse: 0.4,
            ..default()
        },
        "data + reverse",
    );
    refused(
        PolishOptions {
            reverse: 0.2,
            forces: false,
            ..default()
        },
        "0 without forces",
    );
    refused(
        PolishOptions {
            fresh: 10_000,
            ..default()
        },
        "polish fresh",
    );
}

/// Normal numbers in place of samples: quantiles of `N(mean, variance)`.
fn quantiles(n: usize, mean: f64, variance: f64) -> impl Iterator<Item = f64> {
    (0..n).map(move |i| {
        let p = (i as f64 + 0.5) / n as f64;
        // Bisection on the error function's complement, by its series being monotone.
        let (mut low, mut high) = (-9.0, 9.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if normal_cdf(middle) < p {
                low = middle;
            } else {
                high = middle;
            }
        }
        mean + variance.sqrt() * low
    })
}

/// By Simpson's rule from the centre.
fn normal_cdf(x: f64) -> f64 {
    let n = 200;
    let h = x / f64::from(n);
    let density = |t: f64| (-0.5 * t * t).exp() / std::f64::consts::TAU.sqrt();
    let sum: f64 = (0..=n)
        .map(|i| {
            let factor = match i {
                0 => 1.0,
                i if i == n => 1.0,
                i if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            factor * density(f64::from(i) * h)
        })
        .sum();
    0.5 + sum * h / 3.0
}

/// A target with two basins, of populations .977 and .023, in which the log weights of a flow have variances .5 and 1.5. The flow
/// puts `share` of its samples into the rare one: a lognormal weight with variance v has the mean log -v/2 over the flow's
/// samples in a basin, and v/2 over the target's.
fn two_basins(share: f64) -> Weights {
    let (n, n_frames) = (20_000, 4000);
    let basins = [(0.977, 1.0 - share, 0.5), (0.023, share, 1.5)];
    let (mut samples, mut frames) = (Vec::new(), Vec::new());
    for (population, of_flow, variance) in basins {
        let level = f64::ln(population / of_flow);
        let count = |part: f64, n: usize| (part * n as f64).round() as usize;
        samples.extend(quantiles(count(of_flow, n), level - 0.5 * variance, variance));
        frames.extend(quantiles(count(population, n_frames), level + 0.5 * variance, variance));
    }
    Weights::new(&samples, &frames)
}

#[test]
fn a_flow_that_drops_a_basin_is_never_the_better_one() {
    let both = two_basins(0.023);
    let (own, forward) = (both.ess(), both.forward_ess());
    // 1 / (.977 e^.5 + .023 e^1.5), by either kind of points, up to the quantiles' tails.
    let exact = 1.0 / (0.977 * 0.5f64.exp() + 0.023 * 1.5f64.exp());
    assert!((own - exact).abs() < 0.005, "{own} {exact}");
    assert!((forward - exact).abs() < 0.005, "{forward} {exact}");
    let kept = both.score();
    for share in [1e-2, 1e-3, 1e-4, 1e-6, 1e-12] {
        let lost = two_basins(share);
        assert!(lost.score() > kept, "{share}: {} {kept}", lost.score());
        assert!(lost.forward_ess() < exact);
        // By its own samples it is the better one once hardly any of them are there: e^-.5.
        if share < 1e-4 {
            let own = lost.ess();
            assert!(own > exact && (own - (-0.5f64).exp()).abs() < 0.005, "{own}");
        }
    }
    // Nothing at all where frames are.
    let none = Weights::new(&[0.0; 100], &[0.0, f64::INFINITY]);
    assert!(!none.score().is_finite());
    assert_eq!(none.forward_ess(), 0.0);
}

#[test]
fn a_flow_that_is_the_target_has_the_best_score_whatever_the_frames_are() {
    let weights = Weights::new(&[7.5; 1000], &[7.5; 50]);
    assert!((weights.score() - 1.0).abs() < 1e-12);
    assert!((weights.forward_ess() - 1.0).abs() < 1e-12);
    // Frames of which the potential knows nothing do not count.
    let weights = Weights::new(&[7.5; 1000], &[7.5, f64::NEG_INFINITY, f64::NAN]);
    assert!((weights.score() - 1.0).abs() < 1e-12);
    // Frames of another potential, and a flow that is still theirs: their mean weight is 1, its own samples tell.
    let samples: Vec<f64> = quantiles(20_000, -1.0, 2.0).collect();
    let flow_of_frames = Weights::new(&samples, &samples);
    assert!(flow_of_frames.score() > 1.0);
}

//! What a polish chooses by, against analytic results.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::judge::Weights;
use super::running::SHARE;
use super::*;
use crate::coordinates::FeatureKind;
use crate::model::Model;
use crate::tensor::{DType, Device, Tensor, Var};
use crate::train::gradient::{flatten, loss_and_gradient, unflatten};
use crate::train::objectives::{At, Batch, Objective, Running};
use crate::train::optimiser;
use crate::train::tests::{Case, case, disturb};

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let refused = |options: PolishOptions, what: &str| {
        let error = options.validate(&Stage::default()).unwrap_err().to_string();
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
        samples.extend(quantiles(
            count(of_flow, n),
            level - 0.5 * variance,
            variance,
        ));
        frames.extend(quantiles(
            count(population, n_frames),
            level + 0.5 * variance,
            variance,
        ));
    }
    Weights::new(&samples, &frames)
}

#[test]
fn a_flow_that_drops_a_basin_is_never_the_better_one() {
    let both = two_basins(0.023);
    let (own, forward) = (both.ess(), both.forward_ess());
    // 1 / (.977 e^.5 + .023 e^1.5), by either kind of points, up to the tails that quantiles leave out.
    let exact = 1.0 / (0.977 * 0.5f64.exp() + 0.023 * 1.5f64.exp());
    // Of a lognormal weight of variance .5 the largest .2 % have 7 % of the second moment, of which the cut leaves more than a half.
    let nearly = |own: f64, exact: f64| own > exact && own < 1.06 * exact;
    assert!(nearly(own, exact), "{own} {exact}");
    assert!((forward - exact).abs() < 0.01, "{forward} {exact}");
    // -1/2 log ESS + .977 * .25 + .023 * .75.
    let kept = both.score();
    let divergence = 0.977 * 0.25 + 0.023 * 0.75;
    assert!(
        (kept + 0.5 * exact.ln() - divergence).abs() < 0.05,
        "{kept}"
    );
    for share in [1e-2, 1e-3, 1e-4, 1e-6, 1e-12] {
        let lost = two_basins(share);
        assert!(lost.score() > kept, "{share}: {} {kept}", lost.score());
        assert!(lost.forward_ess() < exact);
        // By its own samples it is the better one once hardly any of them are there: e^-.5.
        if share < 1e-4 {
            let own = lost.ess();
            assert!(own > both.ess() && nearly(own, (-0.5f64).exp()), "{own}");
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
    assert!(weights.score().abs() < 1e-12);
    assert!((weights.forward_ess() - 1.0).abs() < 1e-12);
    // Frames of which the potential knows nothing do not count.
    let weights = Weights::new(&[7.5; 1000], &[7.5, f64::NEG_INFINITY, f64::NAN]);
    assert!(weights.score().abs() < 1e-12);
    // Frames of another potential, and a flow that is still theirs: its own samples tell, whose log weights have the
    // variance 2, the largest cut.
    let samples: Vec<f64> = quantiles(20_000, -1.0, 2.0).collect();
    let flow_of_frames = Weights::new(&samples, &samples);
    assert!((0.6..1.0).contains(&flow_of_frames.score()));
    // And as it goes over to the target, the frames do not hold it back.
    let half: Vec<f64> = quantiles(20_000, -0.25, 0.5).collect();
    assert!((Weights::new(&half, &half).score() - 0.25).abs() < 0.05);
}

/// Samples of the model, and the gradient of its own log density at each, by autodiff.
fn samples_and_scores(model: &Model, n: usize, seed: u64) -> (Vec<f32>, Vec<f32>) {
    let (features, _) = model.sample_features(n, seed.into(), 0).unwrap();
    let shape = (n, model.prior().dimension());
    let x1 =
        Var::from_tensor(&Tensor::from_slice(&features, shape, &Device::Cpu).unwrap()).unwrap();
    let (x0, log_det) = model.flow().inverse(x1.as_tensor()).unwrap();
    let kinds = model.prior().kinds().iter();
    let real: Vec<f32> = kinds.map(|&k| f32::from(k == FeatureKind::Real)).collect();
    let real = Tensor::from_vec(real, (1, shape.1), &Device::Cpu).unwrap();
    let log_prior = (x0
        .broadcast_mul(&real)
        .unwrap()
        .sqr()
        .unwrap()
        .sum_all()
        .unwrap()
        * -0.5)
        .unwrap()
        .to_dtype(DType::F64)
        .unwrap();
    let log_q = (log_prior + log_det.sum_all().unwrap()).unwrap();
    let scores = log_q.backward().unwrap();
    let scores = scores.get(x1.as_tensor()).unwrap().flatten_all().unwrap();
    (features, scores.to_vec1().unwrap())
}

/// A polish whose batches are made here.
fn polish<'a>(case: &'a Case, stage: &'a Stage) -> Box<dyn Running + 'a> {
    let context = Context {
        model: &case.model,
        dataset: &case.dataset,
        pairs: None,
        energy: Some(&case.energy),
        stage,
        seed: 0,
    };
    stage.objective.begin(context).unwrap()
}

fn polish_stage() -> Stage {
    Stage {
        objective: Objective::Polish(PolishOptions {
            validation_samples: 100,
            ..PolishOptions::default()
        }),
        ..Stage::default()
    }
}

#[test]
fn the_steeper_the_slopes_the_less_goes_along_the_path() {
    let (case, stage) = (case(3), polish_stage());
    let weights = optimiser::Weights::new(flatten(&case.model).unwrap());
    let share = |objective: &mut dyn Running| {
        let at = At::new(&case.model, &weights, [0, 64, 0]);
        objective.batch(&at).unwrap().rows(0..1).column(SHARE)[0]
    };
    let mut objective = polish(&case, &stage);
    // Nothing is known yet.
    assert_eq!(share(objective.as_mut()), 0.0);
    objective.stepped(10.0);
    assert_eq!(share(objective.as_mut()), 0.25);
    (0..100).for_each(|_| objective.stepped(1000.0));
    let steep = share(objective.as_mut());
    assert!((steep / (0.5 / 101.0) - 1.0).abs() < 1e-3, "{steep}");
    // A run that is resumed knows it.
    let mut resumed = polish(&case, &stage);
    resumed.restore(objective.state()).unwrap();
    assert_eq!(share(resumed.as_mut()), steep);
    (0..200).for_each(|_| objective.stepped(0.0));
    assert!((share(objective.as_mut()) - 0.5).abs() < 1e-3);
}

/// Rows of which this share goes along the path, and that count in the loss that is told, or do not.
fn rows(features: Vec<f32>, scores: Vec<f32>, n: usize, [share, told]: [f32; 2]) -> Batch {
    Batch::new(n, vec![features, scores, vec![share; n], vec![told; n]])
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum()
}

#[test]
fn path_gradient_vanishes_where_flow_and_target_are_equal() {
    let (case, stage) = (case(3), polish_stage());
    let model = &case.model;
    let objective = polish(&case, &stage);
    let n = 512;
    let (features, scores) = samples_and_scores(model, n, 5);
    let gradient = |share| {
        let batch = rows(features.clone(), scores.clone(), n, [share, 1.0]);
        loss_and_gradient(model, objective.as_ref(), &batch).unwrap()
    };
    let norm = |g: &[f32]| dot(g, g).sqrt();
    let (value, path) = gradient(1.0);
    let (likelihood_value, likelihood) = gradient(0.0);
    // The loss that is told is the likelihood's whatever is followed.
    assert_eq!(value, likelihood_value);
    // The likelihood's gradient has the expectation zero here but not its value; of the path's only the rounding of f32 is left.
    assert!(
        norm(&path) < 2e-3 * norm(&likelihood),
        "{} {}",
        norm(&path),
        norm(&likelihood)
    );
}

#[test]
fn path_gradient_has_the_expectation_of_the_likelihoods() {
    let (target, case, stage) = (case(3).model, case(3), polish_stage());
    disturb(&case.model, 0.02, 9);
    let objective = polish(&case, &stage);
    let (parts, n) = (64, 256);
    let (mut sums, mut squares, mut size) = (Vec::new(), Vec::new(), 0.0);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut directions: Vec<Vec<f32>> = Vec::new();
    for part in 0..parts {
        let (features, scores) = samples_and_scores(&target, n, 100 + part);
        let gradient = |share| {
            let batch = rows(features.clone(), scores.clone(), n, [share, 1.0]);
            loss_and_gradient(&case.model, objective.as_ref(), &batch)
                .unwrap()
                .1
        };
        let (path, likelihood) = (gradient(1.0), gradient(0.0));
        if directions.is_empty() {
            // Along the gradient itself, and along random directions.
            directions.push(likelihood.clone());
            for _ in 0..10 {
                let normal = path.iter().map(|_| random.sample::<f32, _>(StandardNormal));
                directions.push(normal.collect());
            }
            sums = vec![0.0; directions.len()];
            squares = vec![0.0; directions.len()];
            continue;
        }
        size += dot(&likelihood, &directions[0]) / (parts - 1) as f64;
        for (k, direction) in directions.iter().enumerate() {
            let difference = dot(&path, direction) - dot(&likelihood, direction);
            sums[k] += difference;
            squares[k] += difference * difference;
        }
    }
    let count = (parts - 1) as f64;
    for k in 0..sums.len() {
        let mean = sums[k] / count;
        let error = ((squares[k] / count - mean * mean) / (count - 1.0)).sqrt();
        assert!(mean.abs() < 4.0 * error, "{k}: {mean} +- {error}");
        if k == 0 {
            // The comparison resolves the gradient.
            assert!(size > 10.0 * error, "{size} +- {error}");
        }
    }
}

/// For a normal target `p` the reverse divergence is `mean [log p0(x0) - logdet(x0) - log p(f(x0))]`, whose derivative finite
/// differences give; that of plain samples is the same but for a part with the expectation zero.
#[test]
fn plain_samples_have_the_whole_gradient_of_the_reverse_divergence() {
    let (case, stage) = (case(3), polish_stage());
    disturb(&case.model, 0.02, 9);
    let initial = flatten(&case.model).unwrap();
    let dimension = case.model.prior().dimension();
    let n = 4096;
    // Real features are normal around 0.3 with a variance of 2, circular ones have density exp(0.5 cos z).
    let kinds = case.model.prior().kinds().to_vec();
    let is_real = |i: usize| kinds[i % dimension] == FeatureKind::Real;
    let score = |(i, &z): (usize, &f32)| match is_real(i) {
        true => (0.3 - z) / 2.0,
        false => -0.5 * z.sin(),
    };
    let log_target = |features: &[f32]| -> f64 {
        let term = |(i, &z): (usize, &f32)| match is_real(i) {
            true => -0.25 * f64::from(z - 0.3).powi(2),
            false => 0.5 * f64::from(z).cos(),
        };
        features.iter().enumerate().map(term).sum()
    };
    let objective = polish(&case, &stage);
    let gradient = |part: u64| {
        let (features, _) = case.model.sample_features(n, part.into(), 0).unwrap();
        let scores = features.iter().enumerate().map(score).collect();
        let batch = rows(features, scores, n, [1.0, 0.0]);
        loss_and_gradient(&case.model, objective.as_ref(), &batch).unwrap()
    };
    let (told, direction) = gradient(99);
    assert_eq!((told.loss, told.slope), (0.0, 0.0));
    let length = dot(&direction, &direction).sqrt() as f32;
    let direction: Vec<f32> = direction.iter().map(|g| g / length).collect();
    let divergence = |step: f32, part: u64| -> f64 {
        let moved = initial.iter().zip(&direction).map(|(p, d)| p + step * d);
        unflatten(&case.model, &moved.collect::<Vec<_>>()).unwrap();
        let (features, log_q) = case.model.sample_features(n, part.into(), 0).unwrap();
        let sum = log_q.iter().sum::<f64>() - log_target(&features);
        unflatten(&case.model, &initial).unwrap();
        sum / n as f64
    };
    let h = 2e-2;
    let pairs: Vec<[f64; 2]> = (0..16)
        .map(|part| {
            let slope = (divergence(h, part) - divergence(-h, part)) / f64::from(2.0 * h);
            [slope, dot(&gradient(part).1, &direction)]
        })
        .collect();
    let count = pairs.len() as f64;
    let mean = |of: &dyn Fn(&[f64; 2]) -> f64| pairs.iter().map(of).sum::<f64>() / count;
    let difference = mean(&|p| p[1] - p[0]);
    let variance = mean(&|p| (p[1] - p[0] - difference).powi(2));
    let error = (variance / (count - 1.0)).sqrt();
    let slope = mean(&|p| p[0]);
    assert!(
        difference.abs() < 4.0 * error,
        "{difference} +- {error} of {slope}"
    );
    // Half of it would not do.
    assert!(slope > 20.0 * error, "{slope} +- {error}");
}

//! The loop as a whole, and the path gradient.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde_json::json;

use super::gradient::{flatten, loss_and_gradient, unflatten};
use super::objective::{Batch, Loss, Rows};
use super::*;
use crate::coordinates::{CoordinateKind, CoordinateOptions};
use crate::energy::ForceField;
use crate::model::Model;
use crate::system::{ReadOptions, Topology, Trajectory};
use crate::tensor::{Device, Tensor, Var};

struct Case {
    dataset: Dataset,
    energy: ForceField,
    model: Model,
}

/// Every 25th of the shipped frames, and a small model whose parameters are off those of the identity.
fn case(seed: u64) -> Case {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/alanine-dipeptide");
    let topology = Topology::read(&data.join("topology.pdb")).unwrap();
    let energy = ForceField::from_system_xml(&data.join("system.xml")).unwrap();
    let options = ReadOptions {
        stride: 25,
        ..ReadOptions::default()
    };
    let frames = Trajectory::open(&[data.join("trajectory.dcd")], &topology, &options)
        .unwrap()
        .read_all()
        .unwrap();
    let dataset = Dataset::new(frames.positions, &topology, &TrainOptions::default()).unwrap();
    let options = CoordinateOptions {
        circular: true,
        ..CoordinateOptions::default()
    };
    let coordinates = dataset
        .fit_coordinates(CoordinateKind::Internal, &topology, &options)
        .unwrap();
    let config = json!({ "couplings": 2, "hidden": 16, "blocks": 1 });
    let model = Model::new("nsf", config, coordinates, topology, 300.0, 1, &Device::Cpu).unwrap();
    disturb(&model, 0.05, seed);
    Case {
        dataset,
        energy,
        model,
    }
}

fn disturb(model: &Model, size: f32, seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut parameters = flatten(model).unwrap();
    for value in &mut parameters {
        *value += size * random.sample::<f32, _>(StandardNormal);
    }
    unflatten(model, &parameters).unwrap();
}

/// Samples of the model, and the gradient of its own log density at each, by autodiff.
fn samples_and_scores(model: &Model, n: usize, seed: u64) -> (Vec<f32>, Vec<f32>) {
    let (features, _) = model.sample_features(n, seed.into(), 0).unwrap();
    let shape = (n, model.prior().dimension());
    let x1 =
        Var::from_tensor(&Tensor::from_slice(&features, shape, &Device::Cpu).unwrap()).unwrap();
    let (x0, log_det) = model.flow().inverse(x1.as_tensor()).unwrap();
    let kinds = model.prior().kinds().iter();
    let real: Vec<f32> = kinds
        .map(|&k| f32::from(k == crate::coordinates::FeatureKind::Real))
        .collect();
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
        .to_dtype(crate::tensor::DType::F64)
        .unwrap();
    let log_q = (log_prior + log_det.sum_all().unwrap()).unwrap();
    let scores = log_q.backward().unwrap();
    let scores = scores.get(x1.as_tensor()).unwrap().flatten_all().unwrap();
    (features, scores.to_vec1().unwrap())
}

#[test]
fn path_gradient_vanishes_where_flow_and_target_are_equal() {
    let model = case(3).model;
    let loss = Loss::new(Regression::default(), model.prior(), model.device()).unwrap();
    let (features, scores) = samples_and_scores(&model, 512, 5);
    let gradient = |batch| loss_and_gradient(&model, &loss, &batch).unwrap();
    let norm = |g: &[f32]| g.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
    let (value, path) = gradient(Batch::Scored(features.clone(), scores));
    let (likelihood_value, likelihood) = gradient(Batch::Points(features));
    assert_eq!(value, likelihood_value);
    // Half of a scored row's gradient is that of the likelihood, whose expectation is zero here but not its value. What is
    // left of the other half is the rounding of f32.
    let half: Vec<f32> = path
        .iter()
        .zip(&likelihood)
        .map(|(p, l)| p - 0.5 * l)
        .collect();
    assert!(
        norm(&half) < 2e-3 * norm(&likelihood),
        "{} {}",
        norm(&half),
        norm(&likelihood)
    );
}

#[test]
fn path_gradient_has_the_expectation_of_the_likelihoods() {
    let (target, model) = (case(3).model, case(3).model);
    disturb(&model, 0.02, 9);
    let loss = Loss::new(Regression::default(), model.prior(), model.device()).unwrap();
    let n = 64;
    let rows = 256;
    let (mut sums, mut squares, mut size) = (Vec::new(), Vec::new(), 0.0);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut directions: Vec<Vec<f32>> = Vec::new();
    for part in 0..n {
        let (features, scores) = samples_and_scores(&target, rows, 100 + part);
        let (_, path) =
            loss_and_gradient(&model, &loss, &Batch::Scored(features.clone(), scores)).unwrap();
        let (_, likelihood) = loss_and_gradient(&model, &loss, &Batch::Points(features)).unwrap();
        if directions.is_empty() {
            // Along the gradient itself, and along random directions.
            directions.push(likelihood.clone());
            for _ in 0..10 {
                directions.push(
                    path.iter()
                        .map(|_| random.sample::<f32, _>(StandardNormal))
                        .collect(),
                );
            }
            sums = vec![0.0; directions.len()];
            squares = vec![0.0; directions.len()];
            continue;
        }
        let dot =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        size += dot(&likelihood, &directions[0]) / (n - 1) as f64;
        for (k, direction) in directions.iter().enumerate() {
            let difference = dot(&path, direction) - dot(&likelihood, direction);
            sums[k] += difference;
            squares[k] += difference * difference;
        }
    }
    let count = (n - 1) as f64;
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

fn stages() -> TrainOptions {
    let common = Stage {
        batch: 300,
        learning_rate: 2e-3,
        ..Stage::default()
    };
    let polish = |forces| Stage {
        objective: Objective::Polish,
        steps: 5,
        polish: PolishOptions {
            forces,
            reverse: if forces { 0.25 } else { 0.0 },
            buffer: 512,
            fresh: 100,
            validation_samples: 200,
            ..PolishOptions::default()
        },
        ..common.clone()
    };
    TrainOptions {
        stages: vec![
            Stage {
                steps: 7,
                noise: 0.05,
                validation_every: 2,
                ..common.clone()
            },
            polish(true),
            polish(false),
        ],
        ..TrainOptions::default()
    }
}

#[test]
fn a_run_that_is_stopped_and_resumed_has_the_bits_of_one_that_is_not() {
    let mut whole = case(3);
    let resources = |energy| Resources {
        energy: Some(energy),
        ..Resources::default()
    };
    let mut go_on = |_: &Progress| ControlFlow::Continue(());
    let summary = train(
        &mut whole.model,
        &whole.dataset,
        resources(&whole.energy),
        &stages(),
        &mut go_on,
    )
    .unwrap();
    assert_eq!((summary.steps, summary.stopped), (17, false));

    let folder = tempfile::tempdir().unwrap();
    let parts = case(3);
    let initial = flatten(&parts.model).unwrap();
    let mut model = parts.model;
    let mut resume = false;
    // Stops in each stage, at their ends, and twice after a single step.
    for stop in [1, 2, 5, 7, 8, 10, 12, 16, 99] {
        let checkpoint = Checkpoint {
            path: folder.path().join("run.checkpoint"),
            every: f64::INFINITY,
            resume,
        };
        unflatten(&model, &initial).unwrap();
        let steps = RefCell::new(Vec::new());
        let mut observer = |progress: &Progress| {
            steps.borrow_mut().push(progress.step);
            if progress.step >= stop {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        let summary = train(
            &mut model,
            &parts.dataset,
            Resources {
                checkpoint: Some(&checkpoint),
                ..resources(&parts.energy)
            },
            &stages(),
            &mut observer,
        )
        .unwrap();
        assert_eq!(summary.steps, stop.min(17), "{steps:?}");
        assert_eq!(summary.stopped, stop < 17);
        resume = true;
    }
    assert!(flatten(&whole.model).unwrap() == flatten(&model).unwrap());
}

#[test]
fn divergence_is_stepped_back_from_and_then_told() {
    let mut case = case(3);
    let initial = flatten(&case.model).unwrap();
    let options = TrainOptions::single(Stage {
        steps: 200,
        learning_rate: 1e6,
        warm_up: 0.0,
        ..Stage::default()
    });
    struct Count(usize);
    impl Observer for Count {
        fn step(&mut self, _: &Progress) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }
        fn retreated(&mut self, retreat: &Retreat) {
            self.0 += 1;
            assert_eq!(retreat.rate_factor, 0.5f64.powi(self.0 as i32));
        }
    }
    let mut count = Count(0);
    let error = train(
        &mut case.model,
        &case.dataset,
        Resources::default(),
        &options,
        &mut count,
    )
    .unwrap_err();
    assert!(
        matches!(error, TrainError::Diverged { retreats: 5, .. }),
        "{error}"
    );
    assert_eq!(count.0, 5);
    assert!(flatten(&case.model).unwrap() == initial);
}

#[test]
fn a_stage_without_what_it_needs_is_refused() {
    let mut case = case(3);
    for objective in [Objective::Regression, Objective::Polish] {
        let options = TrainOptions::single(Stage {
            objective,
            ..Stage::default()
        });
        let mut observer = |_: &Progress| ControlFlow::Continue(());
        let error = train(
            &mut case.model,
            &case.dataset,
            Resources::default(),
            &options,
            &mut observer,
        )
        .unwrap_err();
        assert!(error.to_string().contains(objective.name()), "{error}");
    }
}

#[test]
fn rows_of_a_batch_stay_together() {
    let batch = Batch::Pairs(vec![1.0, 2.0, 3.0, 4.0], vec![5.0, 6.0, 7.0, 8.0]);
    let Rows::Pairs(x0, x1) = batch.rows(2..4) else {
        panic!("pairs stay pairs");
    };
    assert_eq!((x0, x1), (&[3.0, 4.0][..], &[7.0, 8.0][..]));
}

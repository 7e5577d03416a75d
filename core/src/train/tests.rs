//! The loop as a whole.

use std::ops::ControlFlow;
use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde_json::json;

use super::gradient::{flatten, unflatten};
use super::*;
use crate::coordinates::{CoordinateKind, CoordinateOptions};
use crate::dataset::{Dataset, DatasetOptions};
use crate::energy::{Energy, EnergyError, ForceField};
use crate::model::Model;
use crate::system::{ReadOptions, Topology, Trajectory};
use crate::tensor::Device;

pub(crate) struct Case {
    pub dataset: Dataset,
    pub energy: ForceField,
    pub model: Model,
}

/// Every 25th of the shipped frames, and a small model whose parameters are off those of the identity.
pub(crate) fn case(seed: u64) -> Case {
    case_at(seed, 25, 300.0)
}

/// Every `stride`-th of the frames, and a model for a temperature (K) that may be another than theirs.
fn case_at(seed: u64, stride: usize, temperature: f64) -> Case {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/alanine-dipeptide");
    let topology = Topology::read(&data.join("topology.pdb")).unwrap();
    let energy = ForceField::from_system_xml(&data.join("system.xml")).unwrap();
    let options = ReadOptions {
        stride,
        ..ReadOptions::default()
    };
    let frames = Trajectory::open(&[data.join("trajectory.dcd")], &topology, &options)
        .unwrap()
        .read_all()
        .unwrap();
    let dataset = Dataset::new(frames.positions, &topology, &DatasetOptions::default()).unwrap();
    let options = CoordinateOptions {
        circular: true,
        ..CoordinateOptions::default()
    };
    let coordinates = dataset
        .fit_coordinates(CoordinateKind::Internal, &topology, &options)
        .unwrap();
    let config = json!({ "couplings": 2, "hidden": 16, "blocks": 1 });
    let model = Model::new(
        "nsf",
        config,
        coordinates,
        topology,
        temperature,
        1,
        &Device::Cpu,
    )
    .unwrap();
    disturb(&model, 0.05, seed);
    Case {
        dataset,
        energy,
        model,
    }
}

pub(super) fn disturb(model: &Model, size: f32, seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut parameters = flatten(model).unwrap();
    for value in &mut parameters {
        *value += size * random.sample::<f32, _>(StandardNormal);
    }
    unflatten(model, &parameters).unwrap();
}

fn stages() -> TrainOptions {
    let common = Stage {
        batch: 300,
        learning_rate: 2e-3,
        ..Stage::default()
    };
    let polish = |forces| Stage {
        objective: Objective::Polish(PolishOptions {
            forces,
            reverse: if forces { 0.25 } else { 0.0 },
            buffer: 512,
            fresh: 100,
            validation_samples: 200,
            ..PolishOptions::default()
        }),
        steps: 5,
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

/// Stops after a step; notes the last step of each stage.
#[derive(Default)]
struct Noting {
    stop: usize,
    steps: Vec<usize>,
    before: usize,
}

impl Observer for Noting {
    fn step(&mut self, progress: &Progress) -> ControlFlow<()> {
        self.steps.push(progress.step);
        match progress.step >= self.stop {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn resumed(&mut self, _: usize, done: &[StageSummary]) {
        self.before = done.len();
        assert!(done.iter().all(|stage| stage.noted.is_some()));
    }

    fn stage_ended(&mut self, _: &Model, _: &StageSummary) -> Option<serde_json::Value> {
        self.steps.last().map(|&step| json!(step))
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
        let mut observer = Noting {
            stop,
            ..Noting::default()
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
        assert_eq!(summary.steps, stop.min(17), "{:?}", observer.steps);
        assert_eq!(summary.stopped, stop < 17);
        // What was noted of the stages that are done is not lost.
        let done = [7, 12, 17].iter().filter(|&&end| stop >= end).count();
        let noted: Vec<_> = summary
            .stages
            .iter()
            .filter_map(|s| s.noted.clone())
            .collect();
        assert_eq!(noted, [json!(7), json!(12), json!(17)][..done]);
        assert!(observer.before <= done);
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

fn polish_stage(steps: usize) -> Stage {
    Stage {
        objective: Objective::Polish(PolishOptions {
            buffer: 256,
            fresh: 64,
            validation_samples: 100,
            ..PolishOptions::default()
        }),
        steps,
        batch: 64,
        ..Stage::default()
    }
}

fn likelihood_stage(steps: usize) -> Stage {
    Stage {
        steps,
        batch: 128,
        learning_rate: 2e-3,
        ..Stage::default()
    }
}

fn run(
    case: &mut Case,
    energy: Option<&dyn Energy>,
    stages: Vec<Stage>,
) -> Result<Summary, TrainError> {
    let options = TrainOptions {
        stages,
        ..TrainOptions::default()
    };
    let resources = Resources {
        energy,
        ..Resources::default()
    };
    let mut observer = |_: &Progress| ControlFlow::Continue(());
    train(
        &mut case.model,
        &case.dataset,
        resources,
        &options,
        &mut observer,
    )
}

#[test]
fn a_stage_that_diverges_for_good_does_not_take_the_others_work_with_it() {
    let lost = Stage {
        learning_rate: 1e6,
        warm_up: 0.0,
        ..likelihood_stage(200)
    };
    let mut case = case(3);
    let summary = run(&mut case, None, vec![likelihood_stage(20)]).unwrap();
    assert!(summary.stages[0].best_step > 0 && summary.warnings().is_empty());
    let expected = flatten(&case.model).unwrap();

    let mut case = super::tests::case(3);
    let stages = vec![likelihood_stage(20), lost, likelihood_stage(20)];
    let summary = run(&mut case, None, stages).unwrap();
    assert!(flatten(&case.model).unwrap() == expected);
    assert_eq!((summary.stages.len(), summary.planned), (2, 3));
    assert!(!summary.stopped && summary.failure.is_none());
    let last = &summary.stages[1];
    assert!(last.diverged.is_some() && last.retreats == 5 && last.best_step == 0);
    let warnings = summary.warnings().join("\n");
    assert!(
        warnings.contains("stage 2 (likelihood) diverged for good"),
        "{warnings}"
    );
    assert!(
        warnings.contains("1 of 3 stages were left out"),
        "{warnings}"
    );
}

#[test]
fn overfitting_ends_a_stage_and_is_no_divergence() {
    // Fifty frames are soon known by heart.
    let mut case = case_at(3, 200, 300.0);
    let stage = Stage {
        batch: 64,
        learning_rate: 1e-2,
        validation_every: 10,
        ..likelihood_stage(2000)
    };
    let summary = run(&mut case, None, vec![stage]).unwrap();
    let stage = &summary.stages[0];
    assert!(stage.stopped_early && stage.overfitted, "{stage:?}");
    assert_eq!((stage.retreats, &stage.diverged), (0, &None));
    assert_eq!(stage.steps, stage.best_step + 60);
    assert!(stage.after.validation < stage.before.validation);
    assert!(summary.warnings()[0].contains("memorised"), "{summary:?}");
}

#[test]
fn a_short_stage_is_not_validated_at_every_step() {
    let stage = |steps, validation_every| Stage {
        validation_every,
        ..likelihood_stage(steps)
    };
    for (stage, expected) in [
        (stage(40, 0), vec![16, 32, 40]),
        (stage(40, 15), vec![15, 30, 40]),
        (stage(10, 0), vec![10]),
    ] {
        let Case {
            dataset, mut model, ..
        } = case_at(3, 200, 300.0);
        let mut validated = Vec::new();
        let mut observer = |progress: &Progress| {
            validated.extend(progress.validation.map(|_| progress.step));
            ControlFlow::Continue(())
        };
        let options = TrainOptions::single(stage);
        train(
            &mut model,
            &dataset,
            Resources::default(),
            &options,
            &mut observer,
        )
        .unwrap();
        assert_eq!(validated, expected);
    }
}

#[test]
fn a_checkpoint_that_can_no_longer_be_written_ends_no_run() {
    struct Vanishing(tempfile::TempDir, Vec<String>);
    impl Observer for Vanishing {
        fn step(&mut self, progress: &Progress) -> ControlFlow<()> {
            if progress.step == 3 {
                std::fs::remove_dir_all(self.0.path()).unwrap();
            }
            ControlFlow::Continue(())
        }

        fn warned(&mut self, text: &str) {
            self.1.push(text.to_owned());
        }
    }
    let Case {
        dataset, mut model, ..
    } = case_at(3, 200, 300.0);
    let mut observer = Vanishing(tempfile::tempdir().unwrap(), Vec::new());
    let checkpoint = Checkpoint {
        path: observer.0.path().join("run.checkpoint"),
        every: 0.0,
        resume: false,
    };
    let resources = Resources {
        checkpoint: Some(&checkpoint),
        ..Resources::default()
    };
    let initial = flatten(&model).unwrap();
    let options = TrainOptions::single(likelihood_stage(40));
    let summary = train(&mut model, &dataset, resources, &options, &mut observer).unwrap();
    assert_eq!((summary.steps, &summary.failure), (40, &None));
    assert!(flatten(&model).unwrap() != initial);
    // Once, not at every step.
    let [warning] = &observer.1[..] else {
        panic!("{:?}", observer.1)
    };
    assert!(
        warning.contains("run.checkpoint") && warning.contains("goes on"),
        "{warning}"
    );
    // At the beginning it is an error, before any work.
    let error = train(&mut model, &dataset, resources, &options, &mut observer).unwrap_err();
    assert!(error.to_string().contains("run.checkpoint"), "{error}");
}

/// An energy that fails from the `n`-th call on, or has no forces.
struct Failing {
    force_field: ForceField,
    left: std::sync::atomic::AtomicIsize,
    forces: bool,
}

impl Failing {
    fn count(&self) -> Result<(), EnergyError> {
        let left = self.left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        match left > 0 {
            true => Ok(()),
            false => Err(EnergyError::Shape {
                what: "calls",
                expected: 0,
                found: 1,
            }),
        }
    }
}

impl Energy for Failing {
    fn n_atoms(&self) -> usize {
        self.force_field.n_atoms()
    }
    fn has_forces(&self) -> bool {
        self.forces
    }
    fn energies(&self, positions: &[f64], energies: &mut [f64]) -> Result<(), EnergyError> {
        self.count()?;
        self.force_field.energies(positions, energies)
    }
    fn energies_and_forces(
        &self,
        positions: &[f64],
        energies: &mut [f64],
        forces: &mut [f64],
    ) -> Result<(), EnergyError> {
        self.count()?;
        self.force_field
            .energies_and_forces(positions, energies, forces)
    }
}

#[test]
fn an_energy_that_fails_loses_no_model() {
    let failing = |left| Failing {
        force_field: case(3).energy,
        left: isize::into(left),
        forces: true,
    };
    let mut first = case(3);
    run(&mut first, None, vec![likelihood_stage(20)]).unwrap();
    let expected = flatten(&first.model).unwrap();
    for left in [0, 7] {
        let mut case = case(3);
        let energy = failing(left);
        let stages = vec![likelihood_stage(20), polish_stage(50), polish_stage(50)];
        let summary = run(&mut case, Some(&energy), stages).unwrap();
        assert!(
            summary.failure.as_ref().unwrap().contains("calls"),
            "{summary:?}"
        );
        assert!(!summary.stopped);
        let gained = summary.stages.iter().skip(1).any(|s| s.best_step > 0);
        assert_eq!(flatten(&case.model).unwrap() == expected, !gained);
    }
    // Where there is no model yet the error is all that there is.
    let mut case = case(3);
    let initial = flatten(&case.model).unwrap();
    let error = run(&mut case, Some(&failing(0)), vec![polish_stage(50)]).unwrap_err();
    assert!(matches!(error, TrainError::Energy(_)), "{error}");
    assert!(flatten(&case.model).unwrap() == initial);
}

#[test]
fn a_polish_may_leave_the_frames_for_another_target() {
    // Frames of 300 K, a target at 600 K: for D harmonic directions the right model is worse for the frames by D/2 (ln 2 - 1/2),
    // 6 nats.
    let mut case = case_at(3, 25, 600.0);
    run(&mut case, None, vec![likelihood_stage(300)]).unwrap();
    let polish = Stage {
        objective: Objective::Polish(PolishOptions {
            data: 0.0,
            buffer: 1024,
            fresh: 256,
            validation_samples: 2000,
            ..PolishOptions::default()
        }),
        batch: 256,
        learning_rate: 5e-4,
        patience: 0,
        ..likelihood_stage(200)
    };
    let energy = super::tests::case(3).energy;
    let summary = run(&mut case, Some(&energy), vec![polish]).unwrap();
    let stage = &summary.stages[0];
    assert_eq!(
        (stage.retreats, stage.diverged.is_none()),
        (0, true),
        "{stage:?}"
    );
    let [before, after] = [&stage.before, &stage.after];
    assert_eq!(stage.steps, 200);
    assert!(after.validation > before.validation, "{stage:?}");
    assert!(after.score < before.score - 0.5, "{stage:?}");
    assert!(after.ess > before.ess, "{stage:?}");
    // Basins before and after, raw and reweighted.
    for judged in [before, after] {
        let names: Vec<&str> = judged
            .populations
            .iter()
            .map(|p| p.basin.as_str())
            .collect();
        assert_eq!(names, ["ALA2 alpha", "ALA2 beta", "ALA2 phi>0"]);
        let sum = |of: fn(&Population) -> f64| judged.populations.iter().map(of).sum::<f64>();
        for sum in [
            sum(|p| p.raw.value),
            sum(|p| p.reweighted.value),
            sum(|p| p.held_out),
        ] {
            assert!((sum - 1.0).abs() < 1e-9, "{judged:?}");
        }
    }
}

#[test]
fn a_stage_without_what_it_needs_is_refused_before_the_first_step() {
    let mut case = case(3);
    let later = |objective| {
        let stage = Stage {
            objective,
            ..Stage::default()
        };
        vec![likelihood_stage(5), stage]
    };
    let regression = Objective::Regression(Regression::default());
    let polish = Objective::Polish(PolishOptions::default());
    let initial = flatten(&case.model).unwrap();
    for (objective, what) in [(regression, "pairs"), (polish.clone(), "energy")] {
        let error = run(&mut case, None, later(objective)).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
    let energy = Failing {
        force_field: super::tests::case(3).energy,
        left: 0.into(),
        forces: false,
    };
    // It is not even called.
    let error = run(&mut case, Some(&energy), later(polish)).unwrap_err();
    assert!(matches!(error, TrainError::Missing { .. }), "{error}");
    assert!(
        error.to_string().contains("`forces` set to false"),
        "{error}"
    );
    assert!(flatten(&case.model).unwrap() == initial);
}

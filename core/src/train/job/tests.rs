use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::*;
use crate::coordinates::FrameStore;
use crate::energy::{Energy, EnergyError, ForceField};
use crate::model::Model;
use crate::system::{ReadOptions, Topology, Trajectory};
use crate::tensor::Device;
use crate::train::Progress;
use crate::train::gradient::flatten;

fn data(name: &str) -> PathBuf {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/alanine-dipeptide");
    data.join(name)
}

fn topology() -> Topology {
    Topology::read(&data("topology.pdb")).unwrap()
}

/// 100 of the shipped frames.
fn positions() -> Vec<f64> {
    let options = ReadOptions {
        stride: 100,
        ..ReadOptions::default()
    };
    let mut trajectory =
        Trajectory::open(&[data("trajectory.dcd")], &topology(), &options).unwrap();
    trajectory.read_all().unwrap().positions
}

fn store(positions: &[f64]) -> FrameStore {
    let mut frames = FrameStore::new(22);
    frames.extend(positions).unwrap();
    frames
}

fn input<'a>(positions: &[f64], energy: Option<&'a dyn Energy>) -> Input<'a> {
    Input {
        topology: topology(),
        frames: store(positions),
        runs: vec![positions.len() / 66],
        energy,
        device: Device::Cpu,
    }
}

/// Two short stages of a small model; the second needs forces.
fn job(more: Value) -> Job {
    let mut job = json!({
        "temperature": 300,
        "architecture": "realnvp",
        "architecture_config": { "couplings": 2, "hidden": 16 },
        "stages": [
            { "objective": "likelihood", "steps": 12, "batch": 64, "validation_every": 4, "learning_rate": 3e-3 },
            { "objective": "polish", "steps": 6, "batch": 64,
              "polish": { "buffer": 256, "fresh": 64, "validation_samples": 200 } },
        ],
    });
    let fields = job.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    serde_json::from_value(job).unwrap()
}

fn force_field() -> ForceField {
    ForceField::from_system_xml(&data("system.xml")).unwrap()
}

fn go_on(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn refusal(job: &Job, input: Input) -> String {
    match job.run(input, &mut go_on) {
        Ok(_) => panic!("it ran"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn fields_that_make_no_sense_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("no/such/file");
    let there = folder.path().join("m.checkpoint");
    std::fs::write(&there, "").unwrap();
    for (fields, parts) in [
        (json!({ "temperature": -1 }), &["`temperature`", "-1"][..]),
        (
            json!({ "temperature": null }),
            &["`temperature`", "missing"],
        ),
        (json!({ "recipe": "fast" }), &["`recipe`", "`stages`"]),
        (
            json!({ "start_from": "m.safetensors" }),
            &["`start_from`", "`architecture`"],
        ),
        (json!({ "time_limit": 0 }), &["`time_limit`"]),
        (
            json!({ "validation_fraction": 0.7 }),
            &["`validation_fraction`", "0.7"],
        ),
        (json!({ "checkpoint_every": -1 }), &["`checkpoint_every`"]),
        (json!({ "pairs": 0 }), &["`pairs`"]),
        (
            json!({ "architecture_config": 3 }),
            &["`architecture_config`", "object"],
        ),
        (json!({ "resume": true }), &["`resume`", "`checkpoint`"]),
        (
            json!({ "checkpoint": there }),
            &["m.checkpoint", "`resume`"],
        ),
        (json!({ "out": nowhere }), &["`out`", "no/such/file"]),
        (json!({ "curve": nowhere }), &["`curve`", "no/such/file"]),
        (
            json!({ "out": "m.csv" }),
            &["`out`", "`curve`", "the same file"],
        ),
        (
            json!({ "out": "m.safetensors", "checkpoint": "m.csv" }),
            &["`curve`", "`checkpoint`", "the same file"],
        ),
        (json!({ "stages": [] }), &["stage"]),
        (
            json!({ "stages": [{ "objective": "likelihood", "learning_rate": 0 }] }),
            &["`learning_rate`"],
        ),
    ] {
        let error = job(fields.clone()).validate(true).unwrap_err().to_string();
        assert!(!error.contains("--"), "{error}");
        for part in parts {
            assert!(error.contains(part), "{fields}: {error}");
        }
    }
    let unknown = serde_json::from_value::<Job>(json!({ "temprature": 300 })).unwrap_err();
    assert!(unknown.to_string().contains("temprature"), "{unknown}");
    let job = job(json!({}));
    job.validate(true).unwrap();
    let text = serde_json::to_string(&job).unwrap();
    assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), job);
}

#[test]
fn without_an_energy_there_is_no_polish() {
    let energyless = Job {
        temperature: Some(300.0),
        ..Job::default()
    };
    assert_eq!(
        energyless.options(false).unwrap().stages,
        Recipe::Fast.stages()
    );
    assert_eq!(
        energyless.options(true).unwrap().stages,
        Recipe::Default.stages()
    );
    let error = job(json!({})).validate(false).unwrap_err().to_string();
    assert!(
        error.contains("stage 2, a polish") && error.contains("`recipe` fast"),
        "{error}"
    );
}

#[test]
fn frames_that_cannot_be_are_refused() {
    let job = job(json!({}));
    let energy = force_field();
    let whole = positions();
    let with = |index: usize, value: f64| {
        let mut positions = whole.clone();
        positions[index] = value;
        refusal(&job, input(&positions, Some(&energy)))
    };
    for bad in [f64::NAN, f64::INFINITY] {
        let error = with(66 * 7 + 20, bad);
        assert!(
            error.contains("frame 7") && error.contains("finite"),
            "{error}"
        );
    }
    // An atom on the other side of a box.
    let error = with(66 * 3 + 1, whole[66 * 3 + 1] + 3.0);
    for part in ["frame 3", "bonded", "`accept_long_bonds`"] {
        assert!(error.contains(part), "{error}");
    }
    let other = Input {
        frames: {
            let mut frames = FrameStore::new(11);
            frames.extend(&whole).unwrap();
            frames
        },
        ..input(&[], Some(&energy))
    };
    let error = refusal(&job, other);
    assert!(
        error.contains("11 atoms") && error.contains("22"),
        "{error}"
    );
    let error = refusal(&job, input(&whole[..66 * 10], Some(&energy)));
    assert!(error.contains("10 frames are too few"), "{error}");
    let error = refusal(&job, input(&[], Some(&energy)));
    assert!(error.contains("0 frames are too few"), "{error}");
}

/// An energy with a fault: no forces, or none after some calls, or another molecule.
struct Faulty {
    inner: ForceField,
    n_atoms: usize,
    has_forces: bool,
    calls: AtomicUsize,
    most: usize,
}

impl Faulty {
    fn new() -> Self {
        Faulty {
            inner: force_field(),
            n_atoms: 22,
            has_forces: true,
            calls: AtomicUsize::new(0),
            most: usize::MAX,
        }
    }
}

impl Energy for Faulty {
    fn n_atoms(&self) -> usize {
        self.n_atoms
    }
    fn has_forces(&self) -> bool {
        self.has_forces
    }
    fn energies(&self, positions: &[f64], energies: &mut [f64]) -> Result<(), EnergyError> {
        self.inner.energies(positions, energies)
    }
    fn energies_and_forces(
        &self,
        positions: &[f64],
        energies: &mut [f64],
        forces: &mut [f64],
    ) -> Result<(), EnergyError> {
        if self.calls.fetch_add(1, Ordering::Relaxed) >= self.most {
            return Err(EnergyError::External("the power went out".into()));
        }
        self.inner.energies_and_forces(positions, energies, forces)
    }
}

#[test]
fn an_energy_that_does_not_fit_is_told_before_any_step() {
    let positions = positions();
    let job = job(json!({}));
    let mut steps = 0;
    let mut told = |energy: &Faulty| {
        let mut count = |_: &Progress| {
            steps += 1;
            ControlFlow::Continue(())
        };
        match job.run(input(&positions, Some(energy)), &mut count) {
            Ok(_) => panic!("it ran"),
            Err(error) => error.to_string(),
        }
    };
    let error = told(&Faulty {
        n_atoms: 21,
        ..Faulty::new()
    });
    assert!(error.contains("21") && error.contains("22"), "{error}");
    let error = told(&Faulty {
        has_forces: false,
        ..Faulty::new()
    });
    assert!(
        error.contains("stage 2") && error.contains("`forces`"),
        "{error}"
    );
    let error = told(&Faulty {
        most: 0,
        ..Faulty::new()
    });
    assert!(error.contains("the power went out"), "{error}");
    assert_eq!(steps, 0);
}

#[test]
fn every_run_of_the_frames_is_checked() {
    let job = job(json!({}));
    let energy = force_field();
    let whole = positions();
    let runs = |runs: Vec<usize>, positions: &[f64]| {
        let input = Input {
            runs,
            ..input(positions, Some(&energy))
        };
        refusal(&job, input)
    };
    let error = runs(vec![60, 30], &whole);
    assert!(error.contains("90") && error.contains("100"), "{error}");
    // The second run is in Bohr; over all frames its bonds are the smaller part.
    let mut mixed = whole.clone();
    mixed[66 * 70..].iter_mut().for_each(|x| *x *= 1.889_726);
    let error = runs(vec![70, 30], &mixed);
    for part in ["frames 70 to 99", "Bohr", "`accept_implausible`"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn an_energy_that_fails_in_a_polish_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let positions = positions();
    let whole = job(json!({ "out": at("whole.safetensors") }));
    let sound = whole
        .run(input(&positions, Some(&Faulty::new())), &mut go_on)
        .unwrap();
    assert!(sound.failure.is_none() && sound.checkpoint.is_none());
    assert_eq!(sound.summary.steps, 18);

    let fields = json!({ "out": at("parts.safetensors"), "checkpoint_every": 0 });
    let failing = Faulty {
        most: 4,
        ..Faulty::new()
    };
    let trained = job(fields.clone())
        .run(input(&positions, Some(&failing)), &mut go_on)
        .unwrap();
    let failure = trained.failure.unwrap().to_string();
    assert!(failure.contains("the power went out"), "{failure}");
    // The polish that did not come to its end has no samples, but a place.
    assert_eq!(trained.samples.len(), trained.summary.stages.len());
    assert_eq!(trained.samples[0], sound.samples[0]);
    assert!(trained.samples[1..].iter().all(Option::is_none));
    // The likelihood's model is in the file, and the run can go on.
    let kept = Model::load(&at("parts.safetensors"), &Device::Cpu).unwrap();
    let summary = &kept.header().training.as_ref().unwrap()["summary"];
    assert!(
        summary["failure"]
            .as_str()
            .unwrap()
            .contains("the power went out"),
        "{summary}"
    );
    assert_eq!(trained.checkpoint, Some(at("parts.checkpoint")));
    assert!(at("parts.checkpoint").exists());
    let mut resumed = fields;
    resumed["resume"] = true.into();
    let trained = job(resumed)
        .run(input(&positions, Some(&Faulty::new())), &mut go_on)
        .unwrap();
    assert!(trained.failure.is_none() && !at("parts.checkpoint").exists());
    assert!(flatten(&trained.model).unwrap() == flatten(&sound.model).unwrap());
    // What was known of the first stage is not forgotten.
    assert_eq!(trained.samples, sound.samples);
    assert_eq!(sound.samples.iter().flatten().count(), 2);
}

#[test]
fn a_run_that_is_stopped_keeps_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let energy = force_field();
    let job = job(json!({ "out": at("m.safetensors") }));
    let mut stop = |p: &Progress| match p.step {
        5.. => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let trained = job
        .run(input(&positions(), Some(&energy)), &mut stop)
        .unwrap();
    assert!(trained.summary.stopped && trained.out.is_none());
    assert!(at("m.checkpoint").exists() && !at("m.safetensors").exists());
    let curve = std::fs::read_to_string(at("m.csv")).unwrap();
    assert_eq!(curve.lines().count(), 6, "{curve}");
}

#[test]
fn a_run_that_is_stopped_and_cannot_be_saved_writes_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let saved = tempfile::tempdir().unwrap();
    let out = folder.path().join("m.safetensors");
    let checkpoint = saved.path().join("m.checkpoint");
    let energy = force_field();
    let job = job(json!({ "out": out, "checkpoint": checkpoint }));
    let mut stop = |p: &Progress| match p.step {
        5.. => {
            std::fs::remove_dir_all(saved.path()).unwrap();
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    };
    let trained = job
        .run(input(&positions(), Some(&energy)), &mut stop)
        .unwrap();
    assert!(trained.summary.stopped && trained.checkpoint.is_none());
    assert_eq!(trained.out.as_deref(), Some(out.as_path()));
    Model::load(&out, &Device::Cpu).unwrap();
}

//! What is told before any work: about files, frames and the energy.

use std::path::Path;

use super::{Job, JobError};
use crate::coordinates::{ConfigurationSource, FrameStore, Part};
use crate::dataset::DatasetError;
use crate::energy::{Energy, check_molecule};
use crate::model::Model;
use crate::sample::{PlausibilityError, check_plausible};
use crate::system::{ReadOptions, Topology, check_writable, distance};
use crate::train::TrainOptions;

/// Checks that what a run writes can be written, and that it does not lose the work of an earlier one.
pub(super) fn files(job: &Job) -> Result<(), JobError> {
    let writable = |field: &'static str, path: Option<&Path>| {
        let outcome = path.map_or(Ok(()), check_writable);
        outcome.map_err(|source| JobError::Output {
            field,
            source: Box::new(source),
        })
    };
    let (curve, checkpoint) = (job.curve_path(), job.checkpoint_path());
    writable("out", job.out.as_deref())?;
    writable("curve", curve.as_deref())?;
    writable("checkpoint", checkpoint.as_deref())?;
    match checkpoint {
        None if job.resume => Err(JobError::NoCheckpoint),
        Some(path) if !job.resume && path.exists() => Err(JobError::Unfinished { path }),
        _ => Ok(()),
    }
}

/// Checks frames against the molecule: as many atoms, as many frames as the runs have, finite coordinates, no bond that is too
/// long to be one.
pub(super) fn frames(
    job: &Job,
    topology: &Topology,
    frames: &FrameStore,
    runs: &[usize],
) -> Result<(), JobError> {
    let n_atoms = topology.n_atoms();
    if frames.n_atoms() != n_atoms {
        let found = frames.n_atoms();
        return Err(JobError::FrameLength { n_atoms, found });
    }
    let found = runs
        .iter()
        .fold(0, |sum: usize, &run| sum.saturating_add(run));
    if found != frames.n() {
        let frames = frames.n();
        return Err(DatasetError::Runs { frames, found }.into());
    }
    let limit = match job.accept_long_bonds {
        true => f64::INFINITY,
        false => ReadOptions::default().longest_bond,
    };
    let mut positions = vec![0.0; 3 * n_atoms];
    for frame in 0..frames.n() {
        frames.copy(frame, &mut positions);
        if positions.iter().any(|x| !x.is_finite()) {
            return Err(JobError::NotFinite { frame });
        }
        for &atoms in &topology.bonds {
            let length = distance(&positions, atoms);
            if length > limit {
                return Err(JobError::LongBond {
                    frame,
                    atoms: atoms.map(|atom| topology.describe(atom)),
                    length,
                    limit,
                });
            }
        }
    }
    Ok(())
}

/// Checks that the frames of each run can be a sample of the molecule under its potential.
pub(super) fn plausible(
    job: &Job,
    topology: &Topology,
    energy: Option<&dyn Energy>,
    frames: &FrameStore,
    runs: &[usize],
    temperature: f64,
) -> Result<(), JobError> {
    if job.accept_implausible {
        return Ok(());
    }
    let mut start = 0;
    for &length in runs.iter().filter(|&&length| length > 0) {
        let range = start..start + length;
        start = range.end;
        let run = Part {
            source: frames,
            range: range.clone(),
        };
        check_plausible(topology, energy, &run, Some(temperature)).map_err(
            |error| match error {
                PlausibilityError::Implausible(source) => JobError::Implausible {
                    frames: range,
                    source,
                },
                PlausibilityError::Energy(source) => source.into(),
            },
        )?;
    }
    Ok(())
}

/// Checks that the energy is that of the molecule, and has the forces that a stage needs, on the first frame;
/// what differs without harm is returned in words.
pub(super) fn energy(
    energy: &dyn Energy,
    topology: &Topology,
    options: &TrainOptions,
    first: &[f64],
) -> Result<Vec<String>, JobError> {
    let notes = check_molecule(energy, "the energy", topology)
        .map_err(|source| JobError::OtherMolecule(Box::new(source)))?;
    let mut stages = options.stages.iter().enumerate();
    if let Some((index, stage)) = stages.find(|(_, stage)| stage.objective.needs().forces) {
        if !energy.has_forces() {
            return Err(JobError::NeedsForces {
                stage: index + 1,
                objective: stage.objective.name(),
            });
        }
        // What fails here would fail after the stages before.
        let mut forces = vec![0.0; first.len()];
        energy.energies_and_forces(first, &mut [0.0], &mut forces)?;
    }
    Ok(notes)
}

/// Checks that a model which is gone on from is that of the molecule, at its temperature.
pub(super) fn start(
    model: &Model,
    path: &Path,
    topology: &Topology,
    temperature: Option<f64>,
) -> Result<(), JobError> {
    let differs = |reason| {
        Err(JobError::StartFrom {
            path: path.to_owned(),
            reason,
        })
    };
    let elements = |topology: &Topology| {
        let numbers = topology.atoms.iter().map(|atom| atom.atomic_number);
        numbers.collect::<Vec<_>>()
    };
    if elements(model.topology()) != elements(topology) || model.topology().bonds != topology.bonds
    {
        return differs(format!(
            "its molecule ({} atoms, {} bonds) is not that of the frames ({} atoms, {} bonds, in this order)",
            model.n_atoms(),
            model.topology().bonds.len(),
            topology.n_atoms(),
            topology.bonds.len()
        ));
    }
    match temperature {
        Some(temperature) if temperature != model.temperature() => differs(format!(
            "it was trained for {} K, `temperature` is {temperature} K",
            model.temperature()
        )),
        _ => Ok(()),
    }
}

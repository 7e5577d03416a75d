//! A whole training run: frames of a molecule in, a trained model with its record out.
//!
//! ```text
//! Job + Input -> checks -> coordinates -> dataset -> (pairs) -> stages -> model, record, curve
//! ```
//! This is what `bg-sample train` and `regflow_train` call, so that both have the same settings, checks, defaults and records.

mod checks;
mod curve;
mod error;
mod run;
mod samples;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::options::check;
use super::{Recipe, Stage, TrainOptions};
use crate::coordinates::{CoordinateKind, CoordinateOptions};

pub use error::JobError;
pub use run::{Input, Trained};
pub use samples::{FreshSamples, SampledPopulation};

/// Architecture of a new model.
const ARCHITECTURE: &str = "nsf";
/// Coordinates of a new model.
const COORDINATES: CoordinateKind = CoordinateKind::Internal;

/// What a training run is to do. As JSON it is an object with these fields, all of which but `temperature` may be left out;
/// a field that is not known is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Job {
    /// Temperature of the frames, K. Needed, unless `start_from` names a model: then it is that model's.
    pub temperature: Option<f64>,
    /// Coordinates: `internal` (default), `gauge` or `cartesian`.
    pub coordinates: Option<CoordinateKind>,
    /// How they are fitted; `circular` is set by what the architecture understands.
    pub coordinate_options: Option<CoordinateOptions>,
    /// Name of the architecture's plugin, or path of its library; default `nsf`.
    pub architecture: Option<String>,
    /// The architecture's own settings, an object; its defaults stand for what is left out.
    pub architecture_config: Option<Value>,
    /// Model file to go on from: its molecule, coordinates, architecture and parameters, of which then none may be given here.
    pub start_from: Option<PathBuf>,
    /// Ready-made stages: `fast`, `default` or `best`. Without it and `stages`, `default` where there is an energy, else `fast`.
    pub recipe: Option<Recipe>,
    /// What is done, in order, instead of a recipe.
    pub stages: Option<Vec<Stage>>,
    /// Seconds of training, divided among the stages by the rows that their steps would take; their numbers of steps count
    /// without it. A run that is bounded by time is not reproducible to the last bit.
    pub time_limit: Option<f64>,
    /// Part of the frames, in whole blocks of time, held out for validation; above 0, at most 0.5; default 0.1.
    pub validation_fraction: f64,
    /// Whether frames are augmented with permutations of equivalent hydrogens; default true.
    pub symmetry: bool,
    /// Seed of everything random; default 0.
    pub seed: u64,
    /// Source of the pairs for regression: name of a plugin, path of its library, or `file:PATH` for pairs of one's own; default
    /// `ot`.
    pub target: String,
    /// The source's own settings, an object.
    pub target_config: Value,
    /// Number of pairs to make; as many as training frames without it.
    pub pairs: Option<usize>,
    /// Folder that keeps the pairs, in shards; they stay in memory without one.
    pub pairs_dir: Option<PathBuf>,
    /// Accept bonds longer than 0.35 nm, which else tell of a molecule that is broken over a periodic boundary or of another unit
    /// of length; for coarse-grained beads, and for configurations that a flow made. Default false.
    pub accept_long_bonds: bool,
    /// Accept frames whose bond lengths, motion of bonds or energies cannot be those of the molecule under its potential. Default
    /// false.
    pub accept_implausible: bool,
    /// Model file to write when the run is done.
    pub out: Option<PathBuf>,
    /// File of the training curve (CSV), appended to; that beside `out` without it, none without both.
    pub curve: Option<PathBuf>,
    /// File that the run is saved in, to be resumed; that beside `out` without it, none without both. It is removed when `out`
    /// is written; without `out` it stays.
    pub checkpoint: Option<PathBuf>,
    /// Seconds between two checkpoints; 0: one after every step; default 60.
    pub checkpoint_every: f64,
    /// Continue from the checkpoint instead of starting anew; default false.
    pub resume: bool,
}

impl Default for Job {
    fn default() -> Self {
        let options = TrainOptions::default();
        Job {
            temperature: None,
            coordinates: None,
            coordinate_options: None,
            architecture: None,
            architecture_config: None,
            start_from: None,
            recipe: None,
            stages: None,
            time_limit: None,
            validation_fraction: options.validation_fraction,
            symmetry: options.symmetry,
            seed: options.seed,
            target: "ot".into(),
            target_config: json!({}),
            pairs: None,
            pairs_dir: None,
            accept_long_bonds: false,
            accept_implausible: false,
            out: None,
            curve: None,
            checkpoint: None,
            checkpoint_every: 60.0,
            resume: false,
        }
    }
}

impl Job {
    /// Checks what can be told before there are frames: every field is in its range and does not contradict another, the
    /// stages have the energy that they need, and every file that is to be written can be.
    ///
    /// # Errors
    /// [`JobError`] names the first field that is wrong.
    pub fn validate(&self, has_energy: bool) -> Result<(), JobError> {
        self.options(has_energy)?;
        match self.temperature {
            Some(temperature) => check(
                temperature > 0.0 && temperature.is_finite(),
                "temperature",
                temperature,
                "a positive number of Kelvin",
            )?,
            None => check(
                self.start_from.is_some(),
                "temperature",
                "missing",
                "that of the frames, in Kelvin",
            )?,
        }
        if self.start_from.is_some() {
            for (field, is_given) in [
                ("coordinates", self.coordinates.is_some()),
                ("coordinate_options", self.coordinate_options.is_some()),
                ("architecture", self.architecture.is_some()),
                ("architecture_config", self.architecture_config.is_some()),
            ] {
                if is_given {
                    return Err(JobError::Contradiction {
                        fields: ["start_from", field],
                        reason: "a model that is gone on from has its own",
                    });
                }
            }
        }
        check(
            self.checkpoint_every >= 0.0,
            "checkpoint_every",
            self.checkpoint_every,
            "seconds, 0 or more",
        )?;
        check(
            self.pairs != Some(0),
            "pairs",
            0,
            "at least 1, or none for as many as training frames",
        )?;
        for (name, value) in [
            ("architecture_config", self.architecture_config.as_ref()),
            ("target_config", Some(&self.target_config)),
        ] {
            let is_object = value.is_none_or(Value::is_object);
            let found = value.map_or_else(String::new, Value::to_string);
            check(is_object, name, found, "a JSON object")?;
        }
        let written = [
            ("out", self.out.clone()),
            ("curve", self.curve_path()),
            ("checkpoint", self.checkpoint_path()),
        ];
        for (i, (field, path)) in written.iter().enumerate() {
            let same = written[..i]
                .iter()
                .find(|(_, other)| path.is_some() && other == path);
            if let Some((other, _)) = same {
                return Err(JobError::Contradiction {
                    fields: [other, field],
                    reason: "they name the same file; without a name of its own each has that of `out` with another extension",
                });
            }
        }
        checks::files(self)
    }

    /// The stages and what they share, with the time divided.
    ///
    /// # Errors
    /// A field is out of its range, or a stage needs an energy and there is none.
    pub fn options(&self, has_energy: bool) -> Result<TrainOptions, JobError> {
        if self.recipe.is_some() && self.stages.is_some() {
            return Err(JobError::Contradiction {
                fields: ["recipe", "stages"],
                reason: "a recipe has stages of its own",
            });
        }
        let mut options = TrainOptions {
            stages: match &self.stages {
                Some(stages) => stages.clone(),
                None => self.recipe(has_energy).stages(),
            },
            validation_fraction: self.validation_fraction,
            symmetry: self.symmetry,
            seed: self.seed,
        };
        options.validate()?;
        if let Some(seconds) = self.time_limit {
            let ok = seconds > 0.0 && seconds.is_finite();
            check(ok, "time_limit", seconds, "a positive number of seconds")?;
            options.limit_time(seconds);
        }
        let needy = |stage: &Stage| {
            let needs = stage.objective.needs();
            needs.energy || needs.forces
        };
        match options.stages.iter().position(needy) {
            Some(stage) if !has_energy => Err(JobError::NeedsEnergy {
                recipe: self.recipe,
                stage: stage + 1,
                objective: options.stages[stage].objective.name(),
            }),
            _ => Ok(options),
        }
    }

    /// The recipe of a job without stages.
    fn recipe(&self, has_energy: bool) -> Recipe {
        self.recipe.unwrap_or(match has_energy {
            true => Recipe::Default,
            false => Recipe::Fast,
        })
    }

    /// Where the training curve goes.
    pub fn curve_path(&self) -> Option<PathBuf> {
        self.beside(&self.curve, "csv")
    }

    /// Where the run is saved.
    pub fn checkpoint_path(&self) -> Option<PathBuf> {
        self.beside(&self.checkpoint, "checkpoint")
    }

    fn beside(&self, given: &Option<PathBuf>, extension: &str) -> Option<PathBuf> {
        let beside = || Some(self.out.as_ref()?.with_extension(extension));
        given.clone().or_else(beside)
    }
}

//! Training: a sequence of stages, each with an objective (regression on pairs, maximum likelihood, polish with the energy), through
//! one loop that knows none of them.
//!
//! ```text
//! frames -> Dataset (time-blocked split, symmetry augmentation) -> objective: batch -> loss -> gradient -> AdamW + EMA -> best
//!                       pairs, energy (samples of the flow) ---------^           \---- judged on what is held out ----^
//!                                                                                          State <-> checkpoint
//! ```

mod checkpoint;
mod divergence;
mod fingerprint;
mod gradient;
mod job;
mod objectives;
mod observer;
mod optimiser;
mod options;
mod recipe;
mod schedule;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod trainer;

use std::path::PathBuf;

pub use checkpoint::Checkpoint;
pub use divergence::Divergence;
pub use job::{FreshSamples, Input, Job, JobError, SampledPopulation, Trained};
pub use objectives::*;
pub use observer::{Observer, Progress, Resources, Retreat, Summary};
pub use options::{Stage, TrainOptions};
pub use recipe::Recipe;
pub use state::{Judgement, Population, StageSummary, Uncertain};
pub use trainer::train;

/// What can go wrong in training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// An option is out of its range.
    #[error("`{name}` is {found}: expected {expected}")]
    Option {
        /// Name of the option.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// There is nothing to do.
    #[error("a training run needs at least one stage")]
    NoStage,
    /// A stage needs something that was not given.
    #[error("a stage of {objective} needs {what}")]
    Missing {
        /// Name of the stage's objective.
        objective: &'static str,
        /// What it needs.
        what: &'static str,
    },
    /// Training diverged for good, before it found anything better than what it began with.
    #[error(
        "training has diverged: the {} is {} at step {}, and there were {retreats} returns to an earlier state before; nothing \
         better than the parameters at the beginning was found; try a smaller `learning_rate` (now {:e}), a smaller `clip`, or a \
         larger `batch`",
        found.what, found.value, found.step, found.learning_rate
    )]
    Diverged {
        /// What showed it.
        found: Box<Divergence>,
        /// Times that the stage has gone back to its best state.
        retreats: usize,
    },
    /// There is no checkpoint, or it cannot be read.
    #[error("{}: cannot read the checkpoint: {source}", path.display())]
    ReadCheckpoint {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A checkpoint is damaged, or none at all.
    #[error("{} is not a usable checkpoint: {reason}; start anew, without `resume`", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A checkpoint belongs to a run with other settings or data.
    #[error(
        "{} is the checkpoint of another run: its {name} began with {expected}, now it is {found}; resume with the same \
         settings and files, or start anew, without `resume`",
        path.display()
    )]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// What differs.
        name: String,
        /// Its value in the checkpoint.
        expected: String,
        /// Its value in this run.
        found: String,
    },
    /// The frames do not do.
    #[error(transparent)]
    Dataset(#[from] crate::dataset::DatasetError),
    /// A file could not be written.
    #[error(transparent)]
    System(#[from] crate::system::SystemError),
    /// The energy failed.
    #[error(transparent)]
    Energy(#[from] crate::energy::EnergyError),
    /// Populations could not be told.
    #[error(transparent)]
    Metric(#[from] crate::metric::MetricError),
    /// Samples could not be drawn by weight.
    #[error(transparent)]
    Sample(#[from] crate::sample::SampleError),
    /// The model failed.
    #[error(transparent)]
    Flow(Box<crate::model::ModelError>),
    /// The pairs failed.
    #[error(transparent)]
    Target(Box<crate::pairs::PairsError>),
}

impl From<crate::model::ModelError> for TrainError {
    fn from(error: crate::model::ModelError) -> Self {
        TrainError::Flow(Box::new(error))
    }
}

impl From<crate::pairs::PairsError> for TrainError {
    fn from(error: crate::pairs::PairsError) -> Self {
        TrainError::Target(Box::new(error))
    }
}

impl From<crate::plugin::PluginError> for TrainError {
    fn from(error: crate::plugin::PluginError) -> Self {
        crate::model::ModelError::from(error).into()
    }
}

impl From<crate::coordinates::CoordinatesError> for TrainError {
    fn from(error: crate::coordinates::CoordinatesError) -> Self {
        crate::model::ModelError::from(error).into()
    }
}

impl From<crate::tensor::Error> for TrainError {
    fn from(error: crate::tensor::Error) -> Self {
        crate::model::ModelError::from(error).into()
    }
}

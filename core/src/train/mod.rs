//! Training: regression on pairs and maximum likelihood, through one loop.
//!
//! ```text
//! frames -> Dataset (time-blocked split, symmetry augmentation) -> features -> objective -> gradient -> AdamW + EMA
//! ```

mod dataset;
mod gradient;
mod objective;
mod optimiser;
mod options;
mod schedule;
mod trainer;

pub use dataset::Dataset;
pub use objective::{Objective, Regularisation};
pub use options::TrainOptions;
pub use trainer::{Observer, Progress, Summary, train};

/// What can go wrong in training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// An option is out of its range.
    #[error("training option {name} = {found}: expected {expected}")]
    Option {
        /// Name of the option.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The trajectory is too short.
    #[error(
        "{found} frames are too few to train on: at least {needed} are needed; give a longer trajectory or a smaller stride"
    )]
    TooFewFrames {
        /// Frames given.
        found: usize,
        /// Frames needed.
        needed: usize,
    },
    /// Training diverged.
    #[error(
        "the {what} is {value} at step {step}: training has diverged; try a smaller --learning-rate (now {learning_rate:e}), \
         a smaller --clip, or a larger --batch"
    )]
    Diverged {
        /// Loss or gradient.
        what: &'static str,
        /// Its value.
        value: f64,
        /// Step, from 1.
        step: usize,
        /// Learning rate of the step.
        learning_rate: f64,
    },
    /// The model failed.
    #[error(transparent)]
    Flow(Box<crate::flow::FlowError>),
    /// The pairs failed.
    #[error(transparent)]
    Target(Box<crate::target::TargetError>),
}

impl From<crate::flow::FlowError> for TrainError {
    fn from(error: crate::flow::FlowError) -> Self {
        TrainError::Flow(Box::new(error))
    }
}

impl From<crate::target::TargetError> for TrainError {
    fn from(error: crate::target::TargetError) -> Self {
        TrainError::Target(Box::new(error))
    }
}

impl From<crate::plugin::PluginError> for TrainError {
    fn from(error: crate::plugin::PluginError) -> Self {
        crate::flow::FlowError::from(error).into()
    }
}

impl From<crate::coordinates::CoordinatesError> for TrainError {
    fn from(error: crate::coordinates::CoordinatesError) -> Self {
        crate::flow::FlowError::from(error).into()
    }
}

impl From<candle_core::Error> for TrainError {
    fn from(error: candle_core::Error) -> Self {
        crate::flow::FlowError::from(error).into()
    }
}

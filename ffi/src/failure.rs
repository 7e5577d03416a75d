//! Status codes, and why a call failed.

use std::error::Error;
use std::path::PathBuf;

use regflow_core::energy::EnergyError;
use regflow_core::model::ModelError;
use regflow_core::pairs::PairsError;
use regflow_core::parallel::ThreadsError;
use regflow_core::plugin::PluginError;
use regflow_core::potential::PotentialError;
use regflow_core::sample::{MoveError, SampleError};
use regflow_core::system::SystemError;
use regflow_core::tensor::TensorError;
use regflow_core::train::{JobError, TrainError};

/// What every function returns: `REGFLOW_SUCCESS` or one of the `REGFLOW_ERROR_` codes. Later versions may add codes.
pub type Status = i32;

/// The call did what it says.
pub const REGFLOW_SUCCESS: i32 = 0;
/// An argument is NULL, out of range or malformed.
pub const REGFLOW_ERROR_ARGUMENT: i32 = 1;
/// An array that was passed is not as long as the call needs.
pub const REGFLOW_ERROR_LENGTH: i32 = 2;
/// A file cannot be opened or read.
pub const REGFLOW_ERROR_IO: i32 = 3;
/// A file is damaged, is no model, or was written by a version that this one does not understand.
pub const REGFLOW_ERROR_MODEL: i32 = 4;
/// The device does not exist, or this library was built without support for it.
pub const REGFLOW_ERROR_DEVICE: i32 = 5;
/// A computation failed, for instance for want of memory.
pub const REGFLOW_ERROR_COMPUTE: i32 = 6;
/// A plugin, or the library of an engine, is missing or cannot be used.
pub const REGFLOW_ERROR_PLUGIN: i32 = 7;
/// A callback of the caller's failed; the message has its status, and what it passed to `regflow_set_last_error`.
pub const REGFLOW_ERROR_CALLBACK: i32 = 8;
/// A call at the wrong time: a handle that was freed or is in use by another thread, a decision without a proposal, a state
/// of another move, a computation in a process that was forked after the first one, another number of threads after it.
pub const REGFLOW_ERROR_STATE: i32 = 9;
/// A fault of the library itself: please report it together with the message.
pub const REGFLOW_ERROR_INTERNAL: i32 = 255;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("argument `{argument}` is NULL")]
    Null { argument: &'static str },
    #[error("argument `{argument}` is not valid UTF-8")]
    NotUtf8 { argument: &'static str },
    #[error("argument `{argument}` is not aligned for its type")]
    Misaligned { argument: &'static str },
    #[error("argument `{argument}` is {given}, which is more than memory can hold")]
    TooLarge {
        argument: &'static str,
        given: usize,
    },
    #[error("argument `{argument}`: {what}; expected {expected}")]
    Range {
        argument: &'static str,
        what: String,
        expected: &'static str,
    },
    #[error(
        "argument `{argument}`: its struct_size is {found}, a {name} of this version has {expected} bytes: set struct_size to \
         sizeof({name})"
    )]
    StructSize {
        argument: &'static str,
        name: &'static str,
        expected: usize,
        found: usize,
    },
    #[error(
        "argument `{argument}`: fields of {name} that this version of the library does not know are set: use a newer library"
    )]
    StructNewer {
        argument: &'static str,
        name: &'static str,
    },
    #[error(
        "{bytes} bytes of memory are needed, more than there are: pass fewer configurations in one call"
    )]
    Memory { bytes: usize },
    #[error(transparent)]
    Threads(#[from] ThreadsError),
    #[error("argument `{argument}` was freed")]
    Freed { argument: &'static str },
    #[error("argument `{argument}` is in use by another call")]
    Busy { argument: &'static str },
    #[error("argument `{argument}` is no {expected}")]
    WrongHandle {
        argument: &'static str,
        expected: &'static str,
    },
    #[error(
        "arguments `first_index` ({first_index}) and `n` ({n}) add up to more than 2^64 samples"
    )]
    IndexOverflow { first_index: u64, n: usize },
    #[error(
        "argument `{argument}` is {given}, but {n} configurations of {per_configuration} numbers each need {needed}"
    )]
    Length {
        argument: &'static str,
        given: usize,
        needed: usize,
        n: usize,
        per_configuration: usize,
    },
    #[error("argument `{argument}` is {given}, but {needed} are needed")]
    Capacity {
        argument: &'static str,
        given: usize,
        needed: usize,
    },
    #[error("argument `{argument}`")]
    Device {
        argument: &'static str,
        source: Box<TensorError>,
    },
    #[error("argument `path`: cannot open \"{}\"", path.display())]
    Open {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("argument `path`: cannot load a model from \"{}\"", path.display())]
    Model {
        path: PathBuf,
        source: Box<ModelError>,
    },
    #[error("argument `bytes`: cannot load a model")]
    ModelBytes(#[source] Box<ModelError>),
    #[error("argument `path`")]
    Save(#[source] Box<ModelError>),
    #[error("the model cannot be evaluated")]
    Compute(#[source] Box<ModelError>),
    #[error("argument `source`")]
    LoadEnergy(#[source] Box<PotentialError>),
    #[error("the energy cannot be evaluated")]
    Energy(#[source] Box<EnergyError>),
    #[error("argument `path`")]
    Plugin(#[source] Box<PluginError>),
    #[error(transparent)]
    Move(Box<MoveError>),
    #[error(transparent)]
    Weights(#[from] SampleError),
    #[error("argument `topology->path`")]
    Topology(#[source] Box<SystemError>),
    #[error("argument `config`")]
    Config(#[source] serde_json::Error),
    #[error(transparent)]
    Train(Box<JobError>),
}

impl From<MoveError> for Failure {
    fn from(error: MoveError) -> Self {
        Self::Move(Box::new(error))
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        Self::Train(Box::new(error))
    }
}

/// What a callback's failure comes back as.
#[derive(Debug, thiserror::Error)]
#[error("the energy callback failed with status {status}{}", if message.is_empty() { String::new() } else { format!(": {message}") })]
pub(crate) struct CallbackError {
    pub(crate) status: i32,
    pub(crate) message: String,
}

/// The code of a plugin that cannot be used, or does not accept what it is asked for.
fn plugin(error: &PluginError) -> Status {
    match error {
        PluginError::Config { .. } | PluginError::NotCircular { .. } => REGFLOW_ERROR_ARGUMENT,
        PluginError::Tensor(_) => REGFLOW_ERROR_COMPUTE,
        _ => REGFLOW_ERROR_PLUGIN,
    }
}

/// The code of a model that cannot be loaded: a plugin that is missing leaves the file as good as ever.
fn loading(error: &ModelError) -> Status {
    match error {
        ModelError::Architecture { source, .. } => match **source {
            PluginError::NotFound { .. } | PluginError::Library { .. } => REGFLOW_ERROR_PLUGIN,
            _ => REGFLOW_ERROR_MODEL,
        },
        _ => REGFLOW_ERROR_MODEL,
    }
}

/// The code of an energy that cannot be loaded.
fn energy(error: &PotentialError) -> Status {
    match error {
        PotentialError::Energy(EnergyError::Read { .. }) => REGFLOW_ERROR_IO,
        PotentialError::Plugin(error) => plugin(error),
        _ => REGFLOW_ERROR_ARGUMENT,
    }
}

/// The code of a training run that cannot be begun, or fails.
fn job(error: &JobError) -> Status {
    match error {
        JobError::Train(error) => training(error),
        JobError::Output { .. } | JobError::Unfinished { .. } | JobError::Unsavable { .. } => {
            REGFLOW_ERROR_IO
        }
        _ => REGFLOW_ERROR_ARGUMENT,
    }
}

/// The code of the stages of a run.
fn training(error: &TrainError) -> Status {
    match error {
        TrainError::Option { .. }
        | TrainError::NoStage
        | TrainError::Missing { .. }
        | TrainError::Dataset(_) => REGFLOW_ERROR_ARGUMENT,
        TrainError::Energy(error) => evaluation(error),
        TrainError::Flow(error) => match &**error {
            ModelError::Coordinates(_) => REGFLOW_ERROR_ARGUMENT,
            ModelError::Plugin(error) => plugin(error),
            // A model to go on from.
            ModelError::Io { .. } | ModelError::System(_) => REGFLOW_ERROR_IO,
            ModelError::NotAModel { .. }
            | ModelError::FormatVersion { .. }
            | ModelError::Architecture { .. } => loading(error),
            _ => REGFLOW_ERROR_COMPUTE,
        },
        TrainError::ReadCheckpoint { .. } | TrainError::System(_) => REGFLOW_ERROR_IO,
        TrainError::Target(error) => match &**error {
            PairsError::Plugin(error) => plugin(error),
            PairsError::Data(_) => REGFLOW_ERROR_ARGUMENT,
            _ => REGFLOW_ERROR_COMPUTE,
        },
        _ => REGFLOW_ERROR_COMPUTE,
    }
}

/// The code of an energy that fails when it is evaluated.
fn evaluation(error: &EnergyError) -> Status {
    match error {
        EnergyError::External(error) if error.is::<CallbackError>() => REGFLOW_ERROR_CALLBACK,
        _ => REGFLOW_ERROR_COMPUTE,
    }
}

impl Failure {
    /// A model could not compute.
    pub fn compute(error: impl Into<ModelError>) -> Self {
        Failure::Compute(Box::new(error.into()))
    }

    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Null { .. }
            | Self::NotUtf8 { .. }
            | Self::Misaligned { .. }
            | Self::TooLarge { .. }
            | Self::Range { .. }
            | Self::StructSize { .. }
            | Self::StructNewer { .. }
            | Self::WrongHandle { .. }
            | Self::IndexOverflow { .. }
            | Self::Config(_) => REGFLOW_ERROR_ARGUMENT,
            Self::Freed { .. } | Self::Busy { .. } => REGFLOW_ERROR_STATE,
            Self::Length { .. } | Self::Capacity { .. } => REGFLOW_ERROR_LENGTH,
            Self::Device { source, .. } => match **source {
                TensorError::UnknownDevice { .. } => REGFLOW_ERROR_ARGUMENT,
                _ => REGFLOW_ERROR_DEVICE,
            },
            Self::Open { .. } | Self::Save(_) | Self::Topology(_) => REGFLOW_ERROR_IO,
            Self::Model { source, .. } => loading(source),
            Self::ModelBytes(error) => loading(error),
            Self::LoadEnergy(error) => energy(error),
            Self::Energy(error) => evaluation(error),
            Self::Plugin(_) => REGFLOW_ERROR_PLUGIN,
            Self::Move(error) => match &**error {
                MoveError::Length { .. } => REGFLOW_ERROR_LENGTH,
                MoveError::NothingProposed | MoveError::State { .. } => REGFLOW_ERROR_STATE,
                MoveError::Flow(_) => REGFLOW_ERROR_COMPUTE,
                MoveError::Potential(error) => evaluation(error),
                _ => REGFLOW_ERROR_ARGUMENT,
            },
            Self::Train(error) => job(error),
            Self::Threads(ThreadsError::Running { .. } | ThreadsError::Forked { .. }) => {
                REGFLOW_ERROR_STATE
            }
            Self::Threads(ThreadsError::TooMany { .. }) => REGFLOW_ERROR_ARGUMENT,
            Self::Threads(_) | Self::Memory { .. } | Self::Compute(_) | Self::Weights(_) => {
                REGFLOW_ERROR_COMPUTE
            }
        }
    }

    /// The message with those of its causes, except causes that the message before quotes already.
    pub(crate) fn message(&self) -> String {
        let mut message = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            cause = error.source();
        }
        message
    }
}

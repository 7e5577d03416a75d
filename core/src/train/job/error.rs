use std::ops::Range;
use std::path::PathBuf;

use crate::energy::EnergyError;
use crate::system::{Implausible, SystemError};
use crate::train::{Recipe, TrainError};

/// Why a training run cannot be begun, or has nothing to give. Fields of a [`Job`](super::Job) stand in backquotes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// Two fields cannot be given together.
    #[error("`{}` and `{}` cannot be given together: {reason}", fields[0], fields[1])]
    Contradiction {
        /// The fields.
        fields: [&'static str; 2],
        /// Why.
        reason: &'static str,
    },
    /// A stage needs the energy, and there is none.
    #[error(
        "{} needs the molecule's potential energy, and there is none: give one, or train without it (`recipe` fast)",
        match recipe {
            Some(recipe) => format!("the {objective} of the recipe {recipe}"),
            None => format!("stage {stage}, a {objective},"),
        }
    )]
    NeedsEnergy {
        /// The recipe that has the stage.
        recipe: Option<Recipe>,
        /// The stage, from 1.
        stage: usize,
        /// What it minimises.
        objective: &'static str,
    },
    /// A stage needs forces, and the energy has none.
    #[error(
        "stage {stage}, a {objective}, follows the forces of the energy, which has none: give one with forces, or set `forces` to \
         false in the stage's `{objective}`"
    )]
    NeedsForces {
        /// The stage, from 1.
        stage: usize,
        /// What it minimises.
        objective: &'static str,
    },
    /// The frames are of another number of atoms.
    #[error("the frames have {found} atoms, the molecule has {n_atoms}")]
    FrameLength {
        /// Atoms of the molecule.
        n_atoms: usize,
        /// Those of a frame.
        found: usize,
    },
    /// A coordinate is not finite.
    #[error("frame {frame} has coordinates that are not finite; expected finite coordinates")]
    NotFinite {
        /// The frame, from 0.
        frame: usize,
    },
    /// A bond is too long to be one.
    #[error(
        "frame {frame}: {} and {} are bonded, but {length:.3} nm apart (limit {limit} nm): make molecules that are broken over a \
         periodic boundary whole, and give positions in the right unit; for coarse-grained beads set `accept_long_bonds`",
        atoms[0], atoms[1]
    )]
    LongBond {
        /// The frame, from 0.
        frame: usize,
        /// The two atoms.
        atoms: [String; 2],
        /// Their distance, nm.
        length: f64,
        /// The longest distance that counts as a bond, nm.
        limit: f64,
    },
    /// Frames that cannot be a sample of the molecule under its potential.
    #[error(
        "frames {} to {}: {source}; set `accept_implausible` to train on them as they are",
        frames.start, frames.end.saturating_sub(1)
    )]
    Implausible {
        /// The frames of the run, from 0.
        frames: Range<usize>,
        /// What is wrong with them.
        source: Implausible,
    },
    /// The model to go on from is for something else.
    #[error("`start_from` {}: {reason}", path.display())]
    StartFrom {
        /// The model file.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// A checkpoint of an earlier run is in the place of the new one.
    #[error(
        "{} is there, of a run that did not finish: give `resume` to continue it, or remove the file to start anew",
        path.display()
    )]
    Unfinished {
        /// The checkpoint.
        path: PathBuf,
    },
    /// Nothing says where the run to be resumed is.
    #[error("`resume` needs a `checkpoint`, or an `out` beside which it is")]
    NoCheckpoint,
    /// A file cannot be written.
    #[error("`{field}`: {source}")]
    Output {
        /// The field that names it.
        field: &'static str,
        /// Why.
        source: Box<SystemError>,
    },
    /// The energy is that of another molecule, or of another order of atoms.
    #[error(transparent)]
    OtherMolecule(Box<SystemError>),
    /// Something failed when there were parameters worth keeping; the model has the best of them.
    #[error("training ended early, with the best parameters so far: {reason}")]
    EndedEarly {
        /// What failed.
        reason: String,
    },
    /// A model of this molecule and architecture cannot be kept in a file.
    #[error("`out` {}: this model could not be written and read again: {source}", path.display())]
    Unsavable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<crate::model::ModelError>,
    },
    /// Training failed, or an option is out of its range.
    #[error(transparent)]
    Train(Box<TrainError>),
}

impl From<TrainError> for JobError {
    fn from(error: TrainError) -> Self {
        JobError::Train(Box::new(error))
    }
}

macro_rules! through_training {
    ($($error:ty),*) => {$(
        impl From<$error> for JobError {
            fn from(error: $error) -> Self {
                TrainError::from(error).into()
            }
        }
    )*};
}

through_training!(
    crate::dataset::DatasetError,
    crate::model::ModelError,
    crate::pairs::PairsError,
    crate::plugin::PluginError,
    crate::system::SystemError,
    EnergyError
);

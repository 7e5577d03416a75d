use std::path::PathBuf;

use crate::energy::EnergyError;
use crate::system::SystemError;
use crate::train::{Objective, Recipe, TrainError};

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
        "{} needs the molecule's potential energy, and there is none: give one, or train without a polish (`recipe` fast)",
        match recipe { Some(recipe) => format!("the polish of the recipe {recipe}"), None => format!("stage {stage}, a polish,") }
    )]
    NeedsEnergy {
        /// The recipe that has the stage.
        recipe: Option<Recipe>,
        /// The stage, from 1.
        stage: usize,
    },
    /// A stage needs forces, and the energy has none.
    #[error(
        "stage {stage}, a {}, follows the forces of the energy, which cannot be had: {source}; give an energy with \
         forces, or set `forces` to false in the stage's `{}`", objective.name(), objective.name()
    )]
    NeedsForces {
        /// The stage, from 1.
        stage: usize,
        /// What it minimises.
        objective: Objective,
        /// What the energy says.
        source: Box<EnergyError>,
    },
    /// The positions are no whole number of configurations.
    #[error("{found} coordinates are no whole number of frames of {n_atoms} atoms")]
    FrameLength {
        /// Atoms of the molecule.
        n_atoms: usize,
        /// Numbers given.
        found: usize,
    },
    /// A coordinate is not finite.
    #[error("frame {frame}, atom {atom}: a coordinate is {value}; expected finite coordinates")]
    NotFinite {
        /// The frame, from 0.
        frame: usize,
        /// The atom.
        atom: String,
        /// The coordinate.
        value: f64,
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
    crate::model::ModelError,
    crate::pairs::PairsError,
    crate::plugin::PluginError,
    crate::system::SystemError,
    EnergyError
);

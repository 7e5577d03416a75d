use std::path::PathBuf;

use crate::energy::EnergyError;
use crate::metric::MetricError;
use crate::model::ModelError;
use crate::system::SystemError;

/// Why a model cannot be evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// A number is outside of what makes sense.
    #[error("{what}: {found} are asked for, expected {least} to {most}")]
    Count {
        /// What is counted.
        what: &'static str,
        /// Number asked for.
        found: usize,
        /// Least that makes sense.
        least: usize,
        /// Most that is possible.
        most: usize,
    },
    /// The configurations do not fit into memory.
    #[error("the configurations drawn do not fit into memory: {0}; draw fewer")]
    Memory(#[from] std::collections::TryReserveError),
    /// The potential has no finite energy for a frame of the reference.
    #[error(
        "frame {frame} of the reference (its runs one after the other) has energy {energy} kJ/mol: the reference is not of this potential, \
         or its atoms are in another order"
    )]
    ReferenceEnergy {
        /// The frame.
        frame: usize,
        /// Its energy.
        energy: f64,
    },
    /// The reference has too few frames for an error.
    #[error(
        "the reference has {found} frames, at least {needed} are needed for errors from blocks of time: give a longer trajectory or a smaller stride"
    )]
    ShortReference {
        /// Frames.
        found: usize,
        /// Frames needed.
        needed: usize,
    },
    /// The reference is another molecule than the model's.
    #[error("the reference has {found} atoms, the model's molecule has {expected}")]
    Atoms {
        /// Atoms of the model.
        expected: usize,
        /// Atoms of the reference.
        found: usize,
    },
    /// What is said of the reference's frames is not said of each.
    #[error(
        "{found} entries of {what} for {frames} frames of the reference: give one for each frame"
    )]
    Series {
        /// What is listed.
        what: &'static str,
        /// Frames.
        frames: usize,
        /// Entries.
        found: usize,
    },
    /// A torsion is named that the molecule does not have.
    #[error(
        "torsion \"{torsion}\": {reason}; expected phi-RESIDUE or psi-RESIDUE with one of {residues}, four atom indices counted from 0 \
         such as 4-6-8-10, or four atoms such as {example}"
    )]
    Torsion {
        /// As given.
        torsion: String,
        /// What is wrong with it.
        reason: String,
        /// Residues that have backbone torsions.
        residues: String,
        /// Four atoms of this molecule.
        example: String,
    },
    /// A basin cannot be understood.
    #[error(
        "basin \"{basin}\": {reason}; expected NAME=TORSION:LOWER:UPPER,... with bounds in degrees, e.g. left=phi-ALA2:0:180,psi-ALA2:-60:120"
    )]
    Basin {
        /// As given.
        basin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A training curve cannot be read.
    #[error("{}, line {line}: {reason}; expected the training curve that `bg-sample train` writes", path.display())]
    Curve {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A figure cannot be computed.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// The model fails.
    #[error(transparent)]
    Flow(Box<ModelError>),
    /// The potential fails.
    #[error(transparent)]
    Energy(Box<EnergyError>),
    /// The file system fails.
    #[error(transparent)]
    System(Box<SystemError>),
}

impl From<ModelError> for EvaluationError {
    fn from(error: ModelError) -> Self {
        EvaluationError::Flow(Box::new(error))
    }
}

impl From<EnergyError> for EvaluationError {
    fn from(error: EnergyError) -> Self {
        EvaluationError::Energy(Box::new(error))
    }
}

impl From<SystemError> for EvaluationError {
    fn from(error: SystemError) -> Self {
        EvaluationError::System(Box::new(error))
    }
}

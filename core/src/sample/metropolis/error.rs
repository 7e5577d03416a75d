use crate::coordinates::CoordinateKind;
use crate::energy::EnergyError;
use crate::model::ModelError;
use crate::system::SystemError;

/// What can go wrong with a move. Walkers and atoms count from 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MoveError {
    /// The model's density is not one of shapes.
    #[error(
        "moves need a model whose coordinates leave out the rigid motion (gauge or internal); this one has {kind} coordinates"
    )]
    Coordinates {
        /// The model's coordinates.
        kind: CoordinateKind,
    },
    /// A temperature that is none.
    #[error("the temperature must be positive and finite, not {found}")]
    Temperature {
        /// K.
        found: f64,
    },
    /// The two directions of the model's map tell different densities.
    #[error(
        "this model cannot make exact moves: log q of 90 % of its own samples differs by up to {error:.2} nats between the two directions \
         of its flow (largest {largest:.1}), at most {most} are accepted; single precision does not resolve the inverse of a flow that \
         contracts so strongly: train it by likelihood, or with a stronger regularisation"
    )]
    Inconsistent {
        /// 90 % of the samples differ by less, nats.
        error: f64,
        /// Largest difference, nats.
        largest: f64,
        /// Most that is accepted, nats.
        most: f64,
    },
    /// Nobody to move.
    #[error("the number of walkers must be at least 1")]
    NoWalkers,
    /// Positions that no memory holds.
    #[error("{n_walkers} walkers of {n_system_atoms} atoms are more than memory can hold")]
    TooLarge {
        /// Number of walkers.
        n_walkers: usize,
        /// Atoms of the system.
        n_system_atoms: usize,
    },
    /// Proposals that no memory holds.
    #[error("a batch of {found} proposals is more than memory can hold")]
    Batch {
        /// Proposals of a batch.
        found: usize,
    },
    /// The list of atoms is no place for the model's molecule.
    #[error(
        "atoms: expected {n_atoms} different indices below {n_system_atoms}, one for each of the model's atoms; found \
         {found} of which {different} are different, the largest {largest}"
    )]
    Atoms {
        /// Atoms of the model.
        n_atoms: usize,
        /// Atoms of the system.
        n_system_atoms: usize,
        /// Length of the list.
        found: usize,
        /// Different numbers in it.
        different: usize,
        /// Its largest number.
        largest: usize,
    },
    /// No three atoms.
    #[error("frame: expected three different atoms of the model, below {n_atoms}; found {frame:?}")]
    Frame {
        /// The atoms given.
        frame: [usize; 3],
        /// Atoms of the model.
        n_atoms: usize,
    },
    /// An array of the wrong length.
    #[error("{array}: expected {expected} numbers, found {found}")]
    Length {
        /// The array.
        array: &'static str,
        /// Numbers that are needed.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
    /// A current position that is NaN or infinite.
    #[error("walker {walker}: the position of atom {atom} of the system is not finite")]
    Position {
        /// The walker.
        walker: usize,
        /// The atom of the system.
        atom: usize,
    },
    /// A current energy that is NaN or minus infinity.
    #[error("walker {walker}: the energy of the current configuration is {found}")]
    Energy {
        /// The walker.
        walker: usize,
        /// kJ/mol.
        found: f64,
    },
    /// An energy of another system.
    #[error("the energy is of {found} atoms, the system has {expected}")]
    EnergyAtoms {
        /// Atoms of the system.
        expected: usize,
        /// Atoms of the energy.
        found: usize,
    },
    /// An energy of other atoms than the model's where those should be.
    #[error("the energy is not one of the model's molecule at the places that `atoms` gives: {0}")]
    EnergyParticles(#[source] Box<SystemError>),
    /// A decision without a proposal.
    #[error("there is no proposal to decide on: propose first, and decide once")]
    NothingProposed,
    /// A saved state that cannot be used.
    #[error("the saved state cannot be used: {reason}; nothing was changed")]
    State {
        /// Why.
        reason: String,
    },
    /// The model cannot be evaluated.
    #[error(transparent)]
    Flow(Box<ModelError>),
    /// The energy cannot be evaluated.
    #[error(transparent)]
    Potential(#[from] EnergyError),
}

impl From<ModelError> for MoveError {
    fn from(error: ModelError) -> Self {
        MoveError::Flow(Box::new(error))
    }
}

use super::CoordinateKind;

/// Why coordinates cannot be fitted, or a configuration cannot be mapped. Atoms and configurations count from 0.
#[derive(thiserror::Error, Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CoordinatesError {
    /// The name of no kind of coordinates.
    #[error("no coordinates are named \"{name}\"; known are cartesian, gauge, internal")]
    UnknownKind {
        /// The name given.
        name: String,
    },
    /// The molecule is too small for this kind.
    #[error("{kind} coordinates need at least {needed} atoms, the topology has {found}")]
    TooFewAtoms {
        /// The kind asked for.
        kind: CoordinateKind,
        /// Atoms needed.
        needed: usize,
        /// Atoms of the topology.
        found: usize,
    },
    /// Positions that are not a whole number of configurations.
    #[error("{found} numbers are no whole number of configurations of {n_atoms} atoms ({} numbers each)", 3 * n_atoms)]
    PositionCount {
        /// Atoms of the topology.
        n_atoms: usize,
        /// Length of the array.
        found: usize,
    },
    /// An array of the wrong length.
    #[error("{array} must hold {configurations} x {width} = {} numbers, it holds {found}", configurations * width)]
    Length {
        /// Name of the argument.
        array: &'static str,
        /// Configurations, from the length of `log_volume`, or of `features` where there is none.
        configurations: usize,
        /// Numbers per configuration.
        width: usize,
        /// Length of the array.
        found: usize,
    },
    /// Too few frames for the statistics that the map needs.
    #[error("standardising features needs at least {needed} frames, there are {found}")]
    TooFewFrames {
        /// Frames needed.
        needed: usize,
        /// Frames given.
        found: usize,
    },
    /// A position that is NaN or infinite.
    #[error("configuration {configuration} has a position that is not finite")]
    NotFinite {
        /// Index of the configuration.
        configuration: usize,
    },
    /// Two atoms in one place.
    #[error("configuration {configuration}: atoms {} and {} are in the same place", atoms[0], atoms[1])]
    Collapsed {
        /// Index of the configuration.
        configuration: usize,
        /// The two atoms.
        atoms: [usize; 2],
    },
    /// Three atoms on a line, where the map needs a plane.
    #[error("configuration {configuration}: atoms {}, {}, {} are on a line, so coordinates that refer to them are \
        undefined; give a Z-matrix or gauge atoms that avoid them", atoms[0], atoms[1], atoms[2])]
    Collinear {
        /// Index of the configuration.
        configuration: usize,
        /// The three atoms.
        atoms: [usize; 3],
    },
    /// A feature that does not vary.
    #[error(
        "the {coordinate} of atom {atom} does not vary over the data (standard deviation {deviation:.1e}); was the \
        trajectory made with constraints? Its density has no meaning then: use one without"
    )]
    Constant {
        /// bond, angle, torsion, x, y or z.
        coordinate: &'static str,
        /// The atom.
        atom: usize,
        /// Standard deviation, nm or rad.
        deviation: f64,
    },
    /// All atoms in one place in every frame, so that there is no scale.
    #[error("all atoms of all frames are in one place: there is no scale to standardise by")]
    NoScale,
    /// The bond graph has several pieces.
    #[error(
        "no bonds lead from atom {from} to atom {to}, so no Z-matrix can be built; give the missing bonds or a Z-matrix"
    )]
    Disconnected {
        /// An atom of the first piece.
        from: usize,
        /// An atom that is not reached.
        to: usize,
    },
    /// No three bonded atoms make a frame.
    #[error("no three bonded atoms stay clear of a line over the data; name three as gauge_atoms")]
    NoGaugeAtoms,
    /// Gauge atoms that are not three different atoms of the topology.
    #[error("gauge atoms {atoms:?} are not three different atoms below {n_atoms}")]
    GaugeAtoms {
        /// The atoms given.
        atoms: [usize; 3],
        /// Atoms of the topology.
        n_atoms: usize,
    },
    /// An invalid Z-matrix.
    #[error("Z-matrix: {0}")]
    ZMatrix(#[from] ZMatrixError),
    /// A Z-matrix of another molecule.
    #[error("the Z-matrix places {found} atoms, the topology has {expected}")]
    ZMatrixAtoms {
        /// Atoms of the topology.
        expected: usize,
        /// Atoms of the Z-matrix.
        found: usize,
    },
    /// Stored coordinates that contradict themselves.
    #[error("the stored coordinates are damaged: {problem}")]
    Corrupt {
        /// What is wrong.
        problem: String,
    },
}

/// Why rows are no Z-matrix. Rows and atoms count from 0.
#[derive(thiserror::Error, Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ZMatrixError {
    /// Fewer than three rows.
    #[error("{rows} rows; at least 3 are needed")]
    TooShort {
        /// Rows given.
        rows: usize,
    },
    /// A row of the wrong length.
    #[error(
        "row {row} has {found} numbers instead of {expected}: the atom, then its bond, angle and torsion reference"
    )]
    RowLength {
        /// The row.
        row: usize,
        /// Numbers needed.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
    /// An atom that has been placed before.
    #[error("row {row} places atom {atom} a second time")]
    Repeated {
        /// The row.
        row: usize,
        /// The atom.
        atom: usize,
    },
    /// An atom index beyond the number of rows, so that some other atom is missing.
    #[error("row {row} places atom {atom}, but {rows} rows must place the atoms 0 to {}", rows - 1)]
    Beyond {
        /// The row.
        row: usize,
        /// The atom.
        atom: usize,
        /// Number of rows.
        rows: usize,
    },
    /// A reference that is not placed by an earlier row.
    #[error("row {row} (atom {atom}) refers to atom {reference}, which no earlier row places")]
    NotPlaced {
        /// The row.
        row: usize,
        /// The atom of the row.
        atom: usize,
        /// The reference.
        reference: usize,
    },
    /// A reference that is used twice in one row.
    #[error("row {row} (atom {atom}) refers to atom {reference} twice")]
    SameReference {
        /// The row.
        row: usize,
        /// The atom of the row.
        atom: usize,
        /// The reference.
        reference: usize,
    },
}

//! What the columns of a flow are, and the molecule behind them.

use crate::abi::{FEATURE_CIRCULAR, FEATURE_REAL};
use serde::{Deserialize, Serialize};

/// The space a feature lives in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// Any real number.
    Real,
    /// An angle in `(-pi, pi]`.
    Circular,
}

impl FeatureKind {
    /// The number that stands for the kind in the ABI.
    pub fn code(self) -> u32 {
        match self {
            FeatureKind::Real => FEATURE_REAL,
            FeatureKind::Circular => FEATURE_CIRCULAR,
        }
    }

    /// The kind of an ABI number; unknown numbers are `None`.
    pub fn from_code(code: u32) -> Option<Self> {
        match code {
            FEATURE_REAL => Some(FeatureKind::Real),
            FEATURE_CIRCULAR => Some(FeatureKind::Circular),
            _ => None,
        }
    }
}

/// One column of a flow's or field's input and output.
///
/// In the data, real features have mean 0 and variance 1; a circular one is the angle itself. By default the real features are
/// whitened (ZCA-cor): each is then a mixture of all real coordinates, without correlation to the other features, and of all
/// such mixtures the closest to the coordinate that `atom` and `axis` name. Without whitening it is that coordinate, centred and
/// scaled. Masks and graphs over atoms are thus meaningful either way, but exact only without whitening.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Feature {
    /// Real or circular.
    pub kind: FeatureKind,
    /// The atom that the feature places, as a number in the molecule.
    pub atom: u32,
    /// 0, 1, 2: x, y, z, or bond, angle, torsion.
    pub axis: u32,
}

/// The molecule that the features describe, for architectures that use its elements or bond graph.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Molecule {
    /// Atomic number of each atom; empty if unknown.
    pub atomic_numbers: Vec<u32>,
    /// Bonded pairs of atoms.
    pub bonds: Vec<[u32; 2]>,
}

//! The molecular system: topology, trajectories in and out, arrays beside them.
//!
//! Everything inside RegFlow is in nm, kJ/mol, K, ps and rad; [chemfiles](https://chemfiles.org) speaks Angstrom, and the
//! conversion happens here and nowhere else.

mod atomic_file;
mod chem;
mod elements;
mod error;
mod geometry;
mod npz;
mod particles;
mod periodic;
mod plausibility;
mod printable;
mod reader;
mod reserve;
mod structure;
mod symmetry;
pub(crate) mod tensor_file;
mod topology;
mod trajectory;
mod units;
mod writer;

pub(crate) use atomic_file::temporary_beside;
pub use atomic_file::{check_writable, write_atomically};
pub use elements::element;
pub use error::SystemError;
pub use geometry::{angle, distance, torsion};
pub use npz::{Array, ArrayData, NamedArray, NpzReader, write_npz};
pub use particles::{BondTerm, Particles};
pub use plausibility::{Implausible, check_reduced_energies};
pub use printable::printable;
pub use structure::{Structure, StructureOptions};
pub use symmetry::{Rotor, rotate};
pub use topology::{Atom, AtomSelection, BackboneTorsions, Residue, Topology};
pub use trajectory::{Frames, ReadOptions, Trajectory};
pub use units::{R, kt};
pub use writer::TrajectoryWriter;

/// Length of one Angstrom, the unit of chemfiles, in nm.
const NM_PER_ANGSTROM: f64 = 0.1;

#[cfg(test)]
mod fixtures;

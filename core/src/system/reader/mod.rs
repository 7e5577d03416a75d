//! Readers of trajectory files, each for one format, all checked: whatever the bytes, the result is a frame or an error.
//!
//! The common formats are read here. What chemfiles also knows is left to it ([`foreign`]): its own XTC and NetCDF readers
//! crash on damaged files, its text readers stop without a word at a blank line, take any column for a position, and drop
//! what the format says about units and cells.

mod amber;
mod bytes;
mod cell;
mod comment;
mod dcd;
mod foreign;
mod gro;
mod kind;
mod lammps;
mod netcdf;
mod netcdf_header;
mod pdb;
mod text;
mod tinker;
mod trr;
mod xtc;
mod xtc_bits;
mod xyz;

use std::io;
use std::path::Path;

use super::{SystemError, chem, printable};
use crate::math::vector::Vector;
pub(super) use kind::unpacked_name;
use kind::{Format, Kind};

/// What a frame says of an atom.
#[derive(Default, Clone, PartialEq, Debug)]
pub(super) struct Label {
    /// The atom's name, or what stands in its place; may be empty.
    pub name: String,
    /// Its chemical symbol, or its nuclear charge in digits; may be empty.
    pub element: String,
}

/// One frame as a file has it, converted to nm.
#[derive(Default)]
pub(super) struct RawFrame {
    /// Positions of all atoms of the file, `[atoms, 3]`, nm.
    pub positions: Vec<f64>,
    /// Vectors of the periodic cell, nm.
    pub cell: Option<[Vector; 3]>,
    /// One per atom, or none where the format has no names.
    pub labels: Vec<Label>,
    /// The frame has no positions (velocities or forces only).
    pub empty: bool,
}

impl RawFrame {
    fn clear(&mut self) {
        self.positions.clear();
        self.cell = None;
        self.empty = false;
    }

    /// Sets the label of an atom; atoms come in order.
    fn label(&mut self, atom: usize, name: &str, element: &str) {
        if self.labels.len() <= atom {
            self.labels.resize(atom + 1, Label::default());
        }
        let label = &mut self.labels[atom];
        for (text, new) in [(&mut label.name, name), (&mut label.element, element)] {
            text.clear();
            text.push_str(new);
        }
    }
}

/// Why a frame cannot be had.
#[derive(Debug)]
pub(super) enum Fault {
    /// The operating system's reason, or an end of the file within a frame.
    Io(io::Error),
    /// What is wrong, and where in the file.
    Damaged(String),
    /// A frame of another number of atoms.
    Count(usize),
    /// A unit system without a fixed length unit.
    Units(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A file, read frame by frame.
pub(super) trait Reader {
    /// Reads the next frame into `frame`, or only passes over it; false at the end of the file.
    fn next(&mut self, frame: Option<&mut RawFrame>) -> Result<bool, Fault>;

    /// What was odd so far, and no error.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The format of a file by its name, for messages; an error for a name that no reader knows.
pub(super) fn format_of(path: &Path) -> Result<String, SystemError> {
    chem::check_name(path)?;
    Ok(kind::kind_of(path)?.name())
}

/// Opens a file whose frames must have `n_atoms` atoms.
pub(super) fn open(path: &Path, n_atoms: usize) -> Result<Box<dyn Reader>, SystemError> {
    chem::check_readable(path)?;
    let (kind, packing) = match kind::kind_of(path)? {
        Kind::Foreign(format, packing) => {
            let reader = foreign::Foreign::open(path, &format, packing, n_atoms)?;
            return Ok(Box::new(reader));
        }
        Kind::Own(kind, packing) => (kind, packing),
    };
    let text = || text::Lines::open(path, packing);
    let bytes = || bytes::Bytes::open(path);
    let reader = || -> Result<Box<dyn Reader>, Fault> {
        Ok(match kind {
            Format::Xyz => Box::new(xyz::Xyz::new(text()?, n_atoms)),
            Format::Tinker => Box::new(tinker::Tinker::new(text()?, n_atoms)),
            Format::Gro => Box::new(gro::Gro::new(text()?, n_atoms)),
            Format::Pdb => Box::new(pdb::Pdb::new(text()?, n_atoms)),
            Format::Lammps => Box::new(lammps::Lammps::new(text()?, n_atoms)),
            Format::Mdcrd => Box::new(amber::Mdcrd::new(text()?, n_atoms)),
            Format::Restart => Box::new(amber::Restart::new(text()?, n_atoms)),
            Format::Xtc => Box::new(xtc::Xtc::new(bytes()?, n_atoms)),
            Format::Trr => Box::new(trr::Trr::new(bytes()?, n_atoms)),
            Format::Dcd => Box::new(dcd::Dcd::open(bytes()?, n_atoms)?),
            Format::NetCdf => Box::new(netcdf::AmberNetCdf::open(bytes()?, n_atoms)?),
        })
    };
    reader().map_err(|fault| fault.at(path, &kind.name(), 0, n_atoms))
}

impl Fault {
    /// As an error about frame `frame` of a file.
    pub(super) fn at(self, path: &Path, format: &str, frame: usize, n_atoms: usize) -> SystemError {
        let path = path.to_owned();
        let reason = match self {
            Self::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                "the file ends in the middle of this frame".to_owned()
            }
            Self::Io(source) => return SystemError::Read { path, source },
            Self::Count(found) => {
                return SystemError::AtomCount {
                    path,
                    frame,
                    expected: n_atoms,
                    found,
                };
            }
            Self::Units(units) => {
                let units = printable(&units).into_owned();
                return SystemError::Units { path, units };
            }
            // Not all readers quote the file through `short`.
            Self::Damaged(reason) => printable(&reason).into_owned(),
        };
        match frame {
            0 => SystemError::Format {
                path,
                format: format.to_owned(),
                reason,
            },
            _ => SystemError::Truncated {
                path,
                frame,
                reason,
            },
        }
    }
}

#[cfg(test)]
mod tests;

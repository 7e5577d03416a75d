//! XYZ and LAMMPS dumps, written here: chemfiles puts the names of atoms where their elements belong, and gives a dump a periodic
//! box without a volume.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use crate::system::{NM_PER_ANGSTROM, Topology};

/// Which of them.
#[derive(Clone, Copy)]
pub(super) enum Format {
    Xyz,
    Lammps,
}

/// A text file that grows by frames.
pub(super) struct TextFile {
    format: Format,
    output: Box<dyn Finish + Send>,
    elements: Vec<String>,
    /// LAMMPS' types, from 1: one for each element, in the order in which they appear.
    types: Vec<usize>,
}

/// An output, packed or not, that is complete only when it is told to be.
trait Finish: Write {
    fn finish(self: Box<Self>) -> io::Result<()>;
}

impl Finish for BufWriter<File> {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.flush()
    }
}

impl Finish for flate2::write::GzEncoder<BufWriter<File>> {
    fn finish(self: Box<Self>) -> io::Result<()> {
        (*self).finish()?.flush()
    }
}

impl Finish for bzip2::write::BzEncoder<BufWriter<File>> {
    fn finish(self: Box<Self>) -> io::Result<()> {
        (*self).finish()?.flush()
    }
}

impl TextFile {
    /// An empty file; `packing` is the last extension of its name, if that is one of a packed file.
    pub(super) fn new(format: Format, packing: &str, file: File, topology: &Topology) -> Self {
        let file = BufWriter::new(file);
        let elements: Vec<String> = topology.atoms.iter().map(|a| a.element.clone()).collect();
        let mut known: Vec<&String> = Vec::new();
        let types = elements
            .iter()
            .map(|element| {
                let found = known.iter().position(|other| *other == element);
                found.map_or_else(
                    || {
                        known.push(element);
                        known.len()
                    },
                    |index| index + 1,
                )
            })
            .collect();
        Self {
            format,
            output: match packing {
                "gz" => Box::new(flate2::write::GzEncoder::new(file, Default::default())),
                "bz2" => Box::new(bzip2::write::BzEncoder::new(file, Default::default())),
                _ => Box::new(file),
            },
            elements,
            types,
        }
    }

    /// Appends a frame, `[atoms, 3]` in nm.
    pub(super) fn write(&mut self, step: usize, positions: &[f64]) -> io::Result<()> {
        let (points, _) = positions.as_chunks::<3>();
        let points = points
            .iter()
            .map(|point| point.map(|x| x / NM_PER_ANGSTROM));
        let n_atoms = self.elements.len();
        let output = &mut self.output;
        match self.format {
            Format::Xyz => {
                writeln!(
                    output,
                    "{n_atoms}\nProperties=species:S:1:pos:R:3 step={step}"
                )?;
                for (element, [x, y, z]) in self.elements.iter().zip(points) {
                    writeln!(output, "{element} {x:.7} {y:.7} {z:.7}")?;
                }
            }
            Format::Lammps => {
                writeln!(
                    output,
                    "ITEM: UNITS\nreal\nITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{n_atoms}\nITEM: BOX BOUNDS ff ff ff"
                )?;
                // No cell; the box is only to hold the molecule.
                for axis in 0..3 {
                    let along = points.clone().map(|point| point[axis]);
                    let low = along.clone().fold(f64::INFINITY, f64::min).floor() - 1.0;
                    let high = along.fold(f64::NEG_INFINITY, f64::max).ceil() + 1.0;
                    writeln!(output, "{low} {high}")?;
                }
                writeln!(output, "ITEM: ATOMS id type element xu yu zu")?;
                let atoms = self.elements.iter().zip(&self.types).zip(points);
                for (index, ((element, kind), [x, y, z])) in atoms.enumerate() {
                    writeln!(
                        output,
                        "{} {kind} {element} {x:.7} {y:.7} {z:.7}",
                        index + 1
                    )?;
                }
            }
        }
        Ok(())
    }

    /// Writes what is left.
    pub(super) fn finish(self) -> io::Result<()> {
        self.output.finish()
    }
}

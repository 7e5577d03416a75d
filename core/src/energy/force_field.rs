//! A molecular-mechanics potential, evaluated in blocks of configurations by all threads of the rayon pool.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::kernels::{self, LANES, PAIRS_PER_TILE, Tables, Workspace};
use super::parameters::Parameters;
use super::{Energy, EnergyError, check_shapes, system_xml};
use crate::math::Real;
use crate::math::simd::Isa;
use crate::system::BondTerm;

/// Blocks that one task evaluates.
const BLOCKS_PER_TASK: usize = 4;

/// Arithmetic of the pair terms (nonbonded and solvation). Bonded terms and all sums over terms are in f64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// f64 throughout.
    #[default]
    Double,
    /// Pair terms in f32, on coordinates relative to the first atom: about twice as fast. Measured on 100,000 equilibrium
    /// frames each: energies at most 2.6e-4 (alanine dipeptide), 4.1e-4 (tripeptide) and 4.8e-4 kJ/mol (tetrapeptide) off,
    /// root mean square 0.5e-4, 1.0e-4 and 1.5e-4; forces at most 2e-3 kJ/(mol nm) off.
    Mixed,
}

#[derive(Debug, Clone)]
enum Engine {
    Double(Tables<f64>),
    Mixed(Tables<f32>),
}

/// The potential of an OpenMM System: bonds, angles, torsions, Lennard-Jones and Coulomb terms, implicit solvent.
///
/// See [`ForceField::from_xml`] for what is supported.
#[derive(Debug, Clone)]
pub struct ForceField {
    parameters: Parameters,
    engine: Engine,
    isa: Isa,
}

impl ForceField {
    /// Reads a file with the System XML that OpenMM's `XmlSerializer` writes; see [`ForceField::from_xml`].
    ///
    /// # Errors
    /// As [`ForceField::from_xml`], with the path; or the file cannot be read.
    pub fn from_system_xml(path: &Path) -> Result<Self, EnergyError> {
        let text = std::fs::read_to_string(path).map_err(|source| EnergyError::Read {
            path: path.into(),
            source,
        })?;
        Self::from_xml(&text).map_err(|source| EnergyError::File {
            path: path.into(),
            source: Box::new(source),
        })
    }

    /// Reads the text of a System XML.
    ///
    /// Supported forces: HarmonicBondForce, HarmonicAngleForce, PeriodicTorsionForce, RBTorsionForce, NonbondedForce
    /// (NoCutoff and CutoffNonPeriodic, with reaction field, switching function and exceptions), GBSAOBCForce, and the
    /// CustomGBForce that OpenMM's `implicit/obc1.xml` and `implicit/obc2.xml` write. What has no energy is ignored:
    /// thermostats, barostats, CMMotionRemover, forces without terms.
    ///
    /// # Errors
    /// Anything else is refused: other forces, periodic boundaries, parameter offsets, virtual sites, and constraints
    /// (a constrained system lives in another configuration space, whose volume element this library does not have).
    pub fn from_xml(text: &str) -> Result<Self, EnergyError> {
        let parameters = system_xml::parse(text)?;
        let engine = Engine::Double(Tables::new(&parameters, PAIRS_PER_TILE));
        let isa = Isa::best();
        Ok(ForceField {
            parameters,
            engine,
            isa,
        })
    }

    /// The same potential in another precision. Energies and forces are f64 in either case.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.engine = match precision {
            Precision::Double => Engine::Double(Tables::new(&self.parameters, PAIRS_PER_TILE)),
            Precision::Mixed => Engine::Mixed(Tables::new(&self.parameters, PAIRS_PER_TILE)),
        };
        self
    }

    /// Precision of the pair terms.
    pub fn precision(&self) -> Precision {
        match self.engine {
            Engine::Double(_) => Precision::Double,
            Engine::Mixed(_) => Precision::Mixed,
        }
    }

    /// Instruction set in use, for logs and benchmarks.
    pub fn instruction_set(&self) -> &'static str {
        self.isa.name()
    }

    /// With at most so many pairs at a time.
    #[cfg(test)]
    pub(super) fn with_tiles(mut self, pairs: usize) -> Self {
        self.engine = match self.engine {
            Engine::Double(_) => Engine::Double(Tables::new(&self.parameters, pairs)),
            Engine::Mixed(_) => Engine::Mixed(Tables::new(&self.parameters, pairs)),
        };
        self
    }

    #[cfg(test)]
    pub(super) fn with_isa(mut self, isa: Isa) -> Self {
        self.isa = isa;
        self
    }

    fn evaluate(
        &self,
        positions: &[f64],
        energies: &mut [f64],
        forces: Option<&mut [f64]>,
    ) -> Result<(), EnergyError> {
        check_shapes(self.n_atoms(), positions, energies, forces.as_deref())?;
        match &self.engine {
            Engine::Double(tables) => run(self.isa, tables, positions, energies, forces),
            Engine::Mixed(tables) => run(self.isa, tables, positions, energies, forces),
        }
        Ok(())
    }
}

/// Cuts a batch into tasks for the thread pool. Each task borrows a workspace, so that there are never more than threads.
fn run<R: Real>(
    isa: Isa,
    tables: &Tables<R>,
    positions: &[f64],
    energies: &mut [f64],
    forces: Option<&mut [f64]>,
) {
    let width = 3 * tables.n_atoms;
    let task = LANES * BLOCKS_PER_TASK;
    let idle: Mutex<Vec<Workspace<R, LANES>>> = Mutex::new(Vec::new());
    let lock = || idle.lock().unwrap_or_else(PoisonError::into_inner);
    let borrow = |forces: bool| {
        let free = lock().pop();
        free.unwrap_or_else(|| Workspace::new(tables, forces))
    };
    let inputs = positions
        .par_chunks(task * width)
        .zip(energies.par_chunks_mut(task));
    if let Some(forces) = forces {
        inputs.zip(forces.par_chunks_mut(task * width)).for_each(
            |((positions, energies), forces)| {
                let mut work = borrow(true);
                let blocks = positions
                    .chunks(LANES * width)
                    .zip(energies.chunks_mut(LANES));
                for ((positions, energies), forces) in blocks.zip(forces.chunks_mut(LANES * width))
                {
                    work.load(positions);
                    kernels::energies_and_gradients(isa, tables, &mut work);
                    let results = energies.iter_mut().zip(forces.chunks_mut(width));
                    for (lane, (energy, forces)) in results.enumerate() {
                        *energy = work.energy(lane);
                        work.forces(lane, forces);
                    }
                }
                lock().push(work);
            },
        );
    } else {
        inputs.for_each(|(positions, energies)| {
            let mut work = borrow(false);
            for (positions, energies) in positions
                .chunks(LANES * width)
                .zip(energies.chunks_mut(LANES))
            {
                work.load(positions);
                kernels::energies(isa, tables, &mut work);
                for (lane, energy) in energies.iter_mut().enumerate() {
                    *energy = work.energy(lane);
                }
            }
            lock().push(work);
        });
    }
}

impl Energy for ForceField {
    fn n_atoms(&self) -> usize {
        self.parameters.masses.len()
    }

    fn masses(&self) -> Option<&[f64]> {
        Some(&self.parameters.masses)
    }

    fn bonds(&self) -> &[BondTerm] {
        &self.parameters.bonds
    }

    fn energies(&self, positions: &[f64], energies: &mut [f64]) -> Result<(), EnergyError> {
        self.evaluate(positions, energies, None)
    }

    fn energies_and_forces(
        &self,
        positions: &[f64],
        energies: &mut [f64],
        forces: &mut [f64],
    ) -> Result<(), EnergyError> {
        self.evaluate(positions, energies, Some(forces))
    }
}

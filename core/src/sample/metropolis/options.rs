//! What a move moves.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::error::MoveError;
use crate::energy::Energy;
use crate::model::Model;
use crate::system::{BondTerm, Particles};

/// How a proposal is turned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// The frame of the molecule stays as it is: exact in every system.
    #[default]
    Keep,
    /// A new uniform orientation about the frame's origin. Exact in every system too, but seldom accepted where the energy
    /// changes when the molecule turns.
    Random,
}

/// Settings of a [`super::Metropolis`].
#[derive(Clone, Debug, PartialEq)]
pub struct MoveOptions {
    /// Number of walkers W.
    pub n_walkers: usize,
    /// Temperature of the simulation, K; by default that of the model. At another one moves are as exact, and fewer are
    /// accepted.
    pub temperature: Option<f64>,
    /// Seed of proposals and decisions.
    pub seed: u64,
    /// Proposals per network call.
    pub batch: usize,
    /// Atoms of the system S, if it has more than the model's.
    pub n_system_atoms: Option<usize>,
    /// Index in the system of each of the model's atoms; by default the first ones.
    pub atoms: Option<Vec<usize>>,
    /// The model's atoms whose frame stays (see [`crate::coordinates::Frame`]); by default those of the model's coordinates.
    pub frame: Option<[usize; 3]>,
    /// How proposals are turned.
    pub placement: Placement,
}

impl Default for MoveOptions {
    fn default() -> Self {
        Self {
            n_walkers: 1,
            temperature: None,
            seed: 0,
            batch: 1024,
            n_system_atoms: None,
            atoms: None,
            frame: None,
            placement: Placement::Keep,
        }
    }
}

/// The options, checked and with their defaults.
#[derive(Serialize)]
pub(super) struct Layout {
    pub n_walkers: usize,
    pub n_system_atoms: usize,
    pub atoms: Vec<usize>,
    pub frame: [usize; 3],
    pub placement: Placement,
}

impl Layout {
    pub fn new(model: &Model, options: &MoveOptions) -> Result<Self, MoveError> {
        let n_atoms = model.n_atoms();
        let own = model.coordinates().frame_atoms();
        let own = own.ok_or(MoveError::Coordinates {
            kind: model.coordinates().kind(),
        })?;
        let n_system_atoms = options.n_system_atoms.unwrap_or(n_atoms);
        let atoms = options.atoms.clone().unwrap_or((0..n_atoms).collect());
        let distinct: HashSet<usize> = atoms.iter().copied().collect();
        if atoms.len() != n_atoms
            || distinct.len() != n_atoms
            || atoms.iter().any(|&atom| atom >= n_system_atoms)
        {
            return Err(MoveError::Atoms {
                n_atoms,
                n_system_atoms,
                found: atoms.len(),
                different: distinct.len(),
                largest: atoms.iter().copied().max().unwrap_or(0),
            });
        }
        let frame = options.frame.unwrap_or(own);
        let [a, b, c] = frame;
        if a == b || b == c || a == c || frame.iter().any(|&atom| atom >= n_atoms) {
            return Err(MoveError::Frame { frame, n_atoms });
        }
        if options.n_walkers == 0 {
            return Err(MoveError::NoWalkers);
        }
        let bytes = (3 * size_of::<f64>())
            .checked_mul(options.n_walkers)
            .and_then(|bytes| bytes.checked_mul(n_system_atoms));
        if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
            return Err(MoveError::TooLarge {
                n_walkers: options.n_walkers,
                n_system_atoms,
            });
        }
        Ok(Layout {
            n_walkers: options.n_walkers,
            n_system_atoms,
            atoms,
            frame,
            placement: options.placement,
        })
    }

    /// Fails unless `found` numbers are the positions of `n` systems.
    pub fn check(&self, array: &'static str, found: usize, n: usize) -> Result<(), MoveError> {
        let expected = n * 3 * self.n_system_atoms;
        if found == expected {
            return Ok(());
        }
        Err(MoveError::Length {
            array,
            expected,
            found,
        })
    }

    /// Fails where masses or bonds of the system's energy show that the places of the model's atoms are those of others; an
    /// energy that knows neither is believed.
    pub fn check_particles(&self, model: &Model, energy: &dyn Energy) -> Result<(), MoveError> {
        let system = energy.particles("the energy");
        let place: HashMap<usize, usize> = self
            .atoms
            .iter()
            .enumerate()
            .map(|(own, &atom)| (atom, own))
            .collect();
        let masses: Vec<f64> = match system.masses {
            [] => Vec::new(),
            masses => {
                let mass = |&atom: &usize| masses.get(atom).copied().unwrap_or(f64::NAN);
                self.atoms.iter().map(mass).collect()
            }
        };
        let within = |bond: &BondTerm| {
            let [a, b] = bond.atoms;
            let atoms = [*place.get(&a)?, *place.get(&b)?];
            Some(BondTerm { atoms, ..*bond })
        };
        let bonds: Vec<BondTerm> = system.bonds.iter().filter_map(within).collect();
        let molecule = Particles {
            masses: &masses,
            bonds: &bonds,
            ..system
        };
        model
            .topology()
            .check_particles(&molecule)
            .map(drop)
            .map_err(|error| MoveError::EnergyParticles(Box::new(error)))
    }

    /// The model's atoms of each system, in the model's order.
    pub fn gather(&self, systems: &[f64]) -> Vec<f64> {
        systems
            .chunks_exact(3 * self.n_system_atoms)
            .flat_map(|system| self.atoms.iter().map(|&atom| &system[3 * atom..][..3]))
            .flatten()
            .copied()
            .collect()
    }

    /// Puts a molecule into a system, each atom where `place` says.
    pub fn scatter(
        &self,
        molecule: &[f64],
        system: &mut [f64],
        place: impl Fn([f64; 3]) -> [f64; 3],
    ) {
        for (x, &atom) in molecule.chunks_exact(3).zip(&self.atoms) {
            system[3 * atom..][..3].copy_from_slice(&place([x[0], x[1], x[2]]));
        }
    }
}

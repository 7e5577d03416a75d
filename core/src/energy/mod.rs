//! Potential energies and forces, for many configurations at once.
//!
//! [`ForceField`] evaluates the molecular-mechanics potential that an OpenMM System XML file describes, without OpenMM.
//! Units: nm, kJ/mol, kJ/(mol nm).

mod error;
mod force_field;
mod kernels;
mod molecule;
mod parameters;
mod system_xml;
#[cfg(test)]
mod tests;

use std::fmt;

pub use error::{EnergyError, Remedy};
pub use force_field::{ForceField, Precision};
pub use molecule::check_molecule;

pub(crate) use system_xml::bond_terms;

use crate::system::{BondTerm, Particles};

/// Finite configurations that an engine could not evaluate; their energies are NaN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusals {
    /// How many.
    pub count: u64,
    /// The engine's words for the first of them.
    pub reason: String,
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "configurations without an energy, because the engine could not evaluate them: {}; the first: {}",
            self.count, self.reason
        )
    }
}

/// A potential energy `U(x)` of `N` particles, evaluated in batches.
///
/// A configuration with a coordinate that is not finite, or whose energy overflows, or that an engine cannot evaluate, gets an
/// energy that is not finite; it never disturbs its neighbours in the batch and is never an error.
pub trait Energy: Send + Sync {
    /// Number of particles, `N`.
    fn n_atoms(&self) -> usize;

    /// Masses in u (`[N]`), where the potential knows them, and NaN for atoms whose mass it does not know.
    fn masses(&self) -> Option<&[f64]> {
        None
    }

    /// Harmonic bonds, and constraints, in any order; empty where the potential does not tell.
    fn bonds(&self) -> &[BondTerm] {
        &[]
    }

    /// What the potential knows of its particles; `source` names it in messages.
    fn particles<'a>(&'a self, source: &'a str) -> Particles<'a> {
        Particles {
            source,
            masses: self.masses().unwrap_or_default(),
            bonds: self.bonds(),
        }
    }

    /// What the engine behind the potential could not evaluate so far, if there was anything.
    fn refusals(&self) -> Option<Refusals> {
        None
    }

    /// Whether [`Energy::energies_and_forces`] can be called at all.
    fn has_forces(&self) -> bool {
        true
    }

    /// Energies in kJ/mol (`[n]`) of `n` configurations (`[n, N, 3]`, nm).
    ///
    /// # Errors
    /// [`EnergyError::Shape`] when the arrays do not fit each other; a plugin fails.
    fn energies(&self, positions: &[f64], energies: &mut [f64]) -> Result<(), EnergyError>;

    /// Energies as [`Energy::energies`], and forces `-dU/dx` in kJ/(mol nm) (`[n, N, 3]`).
    ///
    /// # Errors
    /// [`EnergyError::Shape`] when the arrays do not fit each other; a plugin fails; there are no forces
    /// ([`Energy::has_forces`]).
    fn energies_and_forces(
        &self,
        positions: &[f64],
        energies: &mut [f64],
        forces: &mut [f64],
    ) -> Result<(), EnergyError>;
}

/// Lengths of the arrays of a batch of `energies.len()` configurations.
pub(crate) fn check_shapes(
    n_atoms: usize,
    positions: &[f64],
    energies: &[f64],
    forces: Option<&[f64]>,
) -> Result<(), EnergyError> {
    let check = |what, expected, found| match expected == found {
        true => Ok(()),
        false => Err(EnergyError::Shape {
            what,
            expected,
            found,
        }),
    };
    check("positions", energies.len() * 3 * n_atoms, positions.len())?;
    forces.map_or(Ok(()), |forces| {
        check("forces", positions.len(), forces.len())
    })
}

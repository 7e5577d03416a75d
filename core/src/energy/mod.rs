//! Potential energies and forces, for many configurations at once.
//!
//! [`ForceField`] evaluates the molecular-mechanics potential that an OpenMM System XML file describes, without OpenMM.
//! Units: nm, kJ/mol, kJ/(mol nm).

mod error;
mod force_field;
mod kernels;
mod load;
mod parameters;
mod system_xml;
#[cfg(test)]
mod tests;

pub use error::EnergyError;
pub use force_field::{ForceField, Precision};
pub use load::load;

/// A potential energy `U(x)` of `N` particles, evaluated in batches.
///
/// A configuration with a coordinate that is not finite, or whose energy overflows, gets an energy that is not finite;
/// it never disturbs its neighbours in the batch and is never an error.
pub trait Energy: Send + Sync {
    /// Number of particles, `N`.
    fn n_atoms(&self) -> usize;

    /// Energies in kJ/mol (`[n]`) of `n` configurations (`[n, N, 3]`, nm).
    ///
    /// # Errors
    /// [`EnergyError::Shape`] when the arrays do not fit each other.
    fn energies(&self, positions: &[f64], energies: &mut [f64]) -> Result<(), EnergyError>;

    /// Energies as [`Energy::energies`], and forces `-dU/dx` in kJ/(mol nm) (`[n, N, 3]`).
    ///
    /// # Errors
    /// [`EnergyError::Shape`] when the arrays do not fit each other.
    fn energies_and_forces(
        &self,
        positions: &[f64],
        energies: &mut [f64],
        forces: &mut [f64],
    ) -> Result<(), EnergyError>;
}

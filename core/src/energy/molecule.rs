//! Whether a potential is that of a molecule.

use super::Energy;
use crate::system::{SystemError, Topology};

/// Checks a potential, which messages call `source`, against the molecule that it is to be evaluated for: the number of atoms,
/// and what its masses and bonds tell of their order ([`Topology::check_particles`]). What differs without harm is
/// returned in words.
///
/// # Errors
/// It cannot be that of this molecule in this order of atoms.
pub fn check_molecule(
    energy: &dyn Energy,
    source: &str,
    topology: &Topology,
) -> Result<Vec<String>, SystemError> {
    if energy.n_atoms() != topology.n_atoms() {
        return Err(SystemError::ParticleCount {
            source_name: source.to_owned(),
            expected: topology.n_atoms(),
            found: energy.n_atoms(),
        });
    }
    topology.check_particles(&energy.particles(source))
}

//! Whether a potential is that of a molecule.

use super::{Energy, EnergyError};
use crate::system::Topology;

/// Between the heaviest that repartitioning makes a hydrogen (4 u is common) and the lightest heavy atom of a molecule.
const HEAVY: f64 = 6.0;
/// By how much (u) the mass of a heavy atom with its hydrogens may differ from the standard one: more than rounding and the
/// isotopes' abundance, less than a hydrogen.
const TOLERANCE: f64 = 0.5;

/// Checks a potential against the molecule that it is to be evaluated for: the number of atoms, and their order as far as
/// the masses of the potential tell it.
///
/// Masses do not enter the potential, so they may have been changed: hydrogens may be heavier at the cost of the atom that
/// they are bonded to (repartitioning), and beads may have any mass. What shows another order is a heavy particle in the place of
/// a hydrogen, a light one in the place of a heavy atom whose hydrogens have not got the rest, or the masses of this
/// very molecule in another order.
///
/// # Errors
/// [`EnergyError::AtomCount`], [`EnergyError::AtomOrder`].
pub fn check_molecule(energy: &dyn Energy, topology: &Topology) -> Result<(), EnergyError> {
    if energy.n_atoms() != topology.n_atoms() {
        return Err(EnergyError::AtomCount {
            particles: energy.n_atoms(),
            atoms: topology.n_atoms(),
        });
    }
    let Some(masses) = energy.masses() else {
        return Ok(());
    };
    match misplaced(masses, topology) {
        None => Ok(()),
        Some(particle) => Err(EnergyError::AtomOrder {
            particle,
            mass: masses[particle],
            atom: topology.describe(particle),
            element: topology.atoms[particle].element.clone(),
        }),
    }
}

/// The first particle that cannot be the atom in its place. A mass that is not known, or 0, tells nothing.
fn misplaced(masses: &[f64], topology: &Topology) -> Option<usize> {
    let atoms = &topology.atoms;
    let known = |&i: &usize| masses[i] != 0.0 && !masses[i].is_nan();
    let is_hydrogen = |i: usize| atoms[i].mass < HEAVY;
    let neighbours = topology.neighbours();
    let wrong = (0..masses.len()).filter(known).find(|&i| {
        if is_hydrogen(i) {
            return masses[i] > HEAVY;
        }
        let group = || {
            neighbours[i]
                .iter()
                .copied()
                .filter(|&j| is_hydrogen(j))
                .chain([i])
        };
        let found: f64 = group().map(|j| masses[j]).sum();
        let expected: f64 = group().map(|j| atoms[j].mass).sum();
        masses[i] < HEAVY && (found - expected).abs() > TOLERANCE
    });
    if wrong.is_some() {
        return wrong;
    }
    let standard: Vec<f64> = atoms.iter().map(|atom| atom.mass).collect();
    let sorted = |masses: &[f64]| {
        let mut masses = masses.to_vec();
        masses.sort_by(f64::total_cmp);
        masses
    };
    let alike = |a: f64, b: f64| (a - b).abs() < 0.1;
    let pairs = sorted(masses).into_iter().zip(sorted(&standard));
    let same_masses = pairs.into_iter().all(|(a, b)| alike(a, b));
    (0..masses.len()).find(|&i| same_masses && !alike(masses[i], standard[i]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::ForceField;
    use std::path::Path;

    struct Masses(Vec<f64>);

    impl Energy for Masses {
        fn n_atoms(&self) -> usize {
            self.0.len()
        }
        fn masses(&self) -> Option<&[f64]> {
            Some(&self.0)
        }
        fn energies(&self, _: &[f64], _: &mut [f64]) -> Result<(), EnergyError> {
            Ok(())
        }
        fn energies_and_forces(
            &self,
            _: &[f64],
            _: &mut [f64],
            _: &mut [f64],
        ) -> Result<(), EnergyError> {
            Ok(())
        }
    }

    fn dipeptide() -> (Topology, Vec<f64>) {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/alanine-dipeptide");
        let topology = Topology::read(&data.join("topology.pdb")).unwrap();
        let energy = ForceField::from_system_xml(&data.join("system.xml")).unwrap();
        let masses = energy.masses().unwrap().to_vec();
        (topology, masses)
    }

    fn told(masses: &[f64], topology: &Topology) -> Option<String> {
        let result = check_molecule(&Masses(masses.to_vec()), topology);
        result.err().map(|error| error.to_string())
    }

    #[test]
    fn masses_that_were_repartitioned_pass() {
        let (topology, masses) = dipeptide();
        assert_eq!(told(&masses, &topology), None);
        let neighbours = topology.neighbours();
        // OpenMM at 4 u leaves a methyl carbon 3.03 u; ParmEd's default is 3.024 u.
        for hydrogen in [1.5, 3.024, 4.0] {
            let mut moved = masses.clone();
            for i in 0..moved.len() {
                if topology.atoms[i].atomic_number == 1 {
                    moved[neighbours[i][0]] -= hydrogen - masses[i];
                    moved[i] = hydrogen;
                }
            }
            assert_eq!(told(&moved, &topology), None, "{hydrogen}");
        }
        // Beads, deuterium, and masses that an engine does not know.
        assert_eq!(told(&vec![f64::NAN; masses.len()], &topology), None);
        assert_eq!(told(&vec![0.0; masses.len()], &topology), None);
        let heavier = |&m: &f64| if m < 2.0 { 2.014 } else { 110.0 };
        let heavier: Vec<f64> = masses.iter().map(heavier).collect();
        assert_eq!(told(&heavier, &topology), None);
    }

    #[test]
    fn other_orders_are_told() {
        let (topology, masses) = dipeptide();
        let element = |i: usize| topology.atoms[i].element.as_str();
        for (a, b) in [(0, 1), (4, 5), (4, 6), (5, 6), (8, 9)] {
            let mut swapped = masses.clone();
            swapped.swap(a, b);
            let found = told(&swapped, &topology);
            if element(a) == element(b) {
                assert_eq!(found, None, "{a} {b}");
            } else {
                let found = found.unwrap_or_else(|| panic!("{a} {b} passed"));
                let places = [a, b].map(|i| topology.describe(i));
                assert!(places.iter().any(|place| found.contains(place)), "{found}");
            }
        }
        let shorter = told(&masses[1..], &topology).unwrap();
        assert!(
            shorter.contains("21") && shorter.contains("22"),
            "{shorter}"
        );
    }
}

//! What a potential knows of its particles, and whether that is the molecule at hand.
//!
//! A structure file names atoms; a potential has them only by their order. Masses and bonds are what both have, and a structure
//! in another order than the potential shows there, and nowhere else before every energy is wrong.

use super::{SystemError, Topology};

/// A pair of particles that a potential holds together: a harmonic bond, or a constraint.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BondTerm {
    /// The particles.
    pub atoms: [usize; 2],
    /// Length at rest, nm.
    pub length: f64,
    /// Force constant of `k/2 (r - length)^2`, kJ/(mol nm^2); infinite for a constraint.
    pub k: f64,
}

/// What a potential knows of its particles.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Particles<'a> {
    /// Where this comes from, for messages: a file name.
    pub source: &'a str,
    /// Masses in u; 0 or NaN where there is none. Empty if the potential has no masses.
    pub masses: &'a [f64],
    /// Pairs that are held together. Empty if the potential does not tell.
    pub bonds: &'a [BondTerm],
}

/// Mass of hydrogen, and of deuterium beyond it, u.
const HYDROGEN: f64 = 1.008;
const DEUTERON: f64 = 1.006;
/// Hydrogen masses up to this one are in use: repartitioning takes them to 3.024 or 4 u.
pub(super) const HEAVIEST_HYDROGEN: f64 = 4.6;
/// Masses of one element differ by less than this (u) between programs; those of neighbouring elements by more.
const SAME_MASS: f64 = 0.6;

/// Equal but for rounding and isotopes of heavy elements?
pub(super) fn same_mass(found: f64, expected: f64) -> bool {
    (found - expected).abs() < SAME_MASS.max(0.01 * expected)
}

/// Whether there is a mass at all: frozen atoms have 0, unknown ones NaN.
pub(super) fn is_known(mass: f64) -> bool {
    mass.is_finite() && mass != 0.0
}

/// A heavy atom with the hydrogens on it: repartitioning moves mass within, the sum stays.
struct Group {
    heavy: usize,
    hydrogens: Vec<usize>,
}

impl Topology {
    /// Compares masses and bonds with those of a potential; what differs without harm is returned in words.
    ///
    /// Masses do not enter the potential, but they tell the order of its particles. They are compared for each heavy atom
    /// together with its hydrogens, so that hydrogen mass repartitioning and deuterium do not matter.
    ///
    /// # Errors
    /// Another number of particles; masses or bonds that cannot be those of this molecule in this order.
    pub fn check_particles(&self, particles: &Particles) -> Result<Vec<String>, SystemError> {
        if !particles.masses.is_empty() && particles.masses.len() != self.n_atoms() {
            return Err(SystemError::ParticleCount {
                source_name: particles.source.to_owned(),
                expected: self.n_atoms(),
                found: particles.masses.len(),
            });
        }
        let same_bonds = self.compare_bonds(particles)?;
        self.compare_masses(particles, same_bonds)
    }

    /// Whether the potential's bonds confirm those of the molecule: each of these is one of the potential's.
    fn compare_bonds(&self, particles: &Particles) -> Result<bool, SystemError> {
        let held = self.plausible_bonds(particles);
        let is_real = |atom: usize| self.atoms[atom].atomic_number > 0;
        // A potential without terms for bonds (an external one), or with other terms than harmonic ones for some.
        if !connects(self.n_atoms(), &held) {
            return Ok(false);
        }
        for &atoms in &self.bonds {
            if held.binary_search(&atoms).is_err() && atoms.into_iter().all(is_real) {
                let [a, b] = atoms;
                return Err(SystemError::ParticleBond {
                    source_name: particles.source.to_owned(),
                    atoms,
                    names: [self.describe(a), self.describe(b)],
                    found: self.partners(&held, a),
                });
            }
        }
        Ok(true)
    }

    /// In words, the atoms that `bonds` hold to `atom`.
    pub(super) fn partners(&self, bonds: &[[usize; 2]], atom: usize) -> String {
        let partners: Vec<String> = bonds
            .iter()
            .filter(|bond| bond.contains(&atom))
            .map(|[a, b]| if *a == atom { *b } else { *a })
            .map(|other| format!("{other} ({})", self.describe(other)))
            .collect();
        match partners.is_empty() {
            true => "none".to_owned(),
            false => partners.join(", "),
        }
    }

    /// Pairs of the potential that are as short as a bond of their elements: Urey-Bradley terms and the H-H of rigid water are
    /// longer. Sorted, unique. Between beads any length will do.
    pub(super) fn plausible_bonds(&self, particles: &Particles) -> Vec<[usize; 2]> {
        let n = self.n_atoms();
        let mut bonds: Vec<[usize; 2]> = particles
            .bonds
            .iter()
            .filter(|bond| {
                let [a, b] = bond.atoms;
                let radii = (a < n && b < n && a != b)
                    .then(|| super::elements::bond_length(&self.atoms[a], &self.atoms[b]));
                // 1.25: C-C to 0.2 nm, where 1-3 pairs begin at 0.23; C-H to 0.14, 1-3 pairs from 0.2; H-H to 0.09, 0.15.
                // An all-carbon "molecule" of longer bonds is a chain of C-alpha beads.
                radii.is_some_and(|length| {
                    length.is_none_or(|length| {
                        bond.length < 1.25 * length + 0.01 || is_bead_mass(self, particles, [a, b])
                    })
                })
            })
            .map(|bond| {
                [
                    bond.atoms[0].min(bond.atoms[1]),
                    bond.atoms[0].max(bond.atoms[1]),
                ]
            })
            .collect();
        bonds.sort_unstable();
        bonds.dedup();
        bonds
    }

    fn compare_masses(
        &self,
        particles: &Particles,
        same_bonds: bool,
    ) -> Result<Vec<String>, SystemError> {
        let masses = particles.masses;
        // Nothing known, or the same mass for all (beads, or masses that were set for speed): no word on the order.
        let known: Vec<f64> = masses.iter().copied().filter(|&m| is_known(m)).collect();
        let uniform = known.iter().all(|m| (m - known[0]).abs() < 1e-6);
        if known.is_empty() || (uniform && known.len() > 1) {
            return Ok(Vec::new());
        }
        let differs = |group: &&Group| !self.is_same_group(group, masses);
        let groups = self.groups();
        let Some(first) = groups.iter().find(differs) else {
            return Ok(Vec::new());
        };
        let more = match groups.iter().filter(differs).count() - 1 {
            0 => String::new(),
            1 => " (and 1 more such difference)".to_owned(),
            count => format!(" (and {count} more such differences)"),
        };
        let members: Vec<usize> = [first.heavy]
            .into_iter()
            .chain(first.hydrogens.iter().copied())
            .collect();
        let found: f64 = members.iter().map(|&atom| masses[atom]).sum();
        let expected: f64 = members.iter().map(|&atom| self.atoms[atom].mass).sum();
        let what = match first.hydrogens.len() {
            0 => format!("particle {} has", first.heavy),
            n => format!("particle {} and the {n} hydrogens on it have", first.heavy),
        };
        let differ = format!(
            "{what} a mass of {found:.3} u, {} with {expected:.3} u in the molecule",
            self.describe(first.heavy)
        );
        if same_bonds {
            return Ok(vec![format!(
                "{}: {differ}{more}; the bonds agree, and masses do not enter the potential",
                particles.source
            )]);
        }
        Err(SystemError::ParticleMass {
            source_name: particles.source.to_owned(),
            differ,
            certain: self.is_other_order(masses),
        })
    }

    /// Heavy atoms with their hydrogens; a hydrogen without a heavy atom is its own group.
    fn groups(&self) -> Vec<Group> {
        let neighbours = self.neighbours();
        let is_hydrogen = |atom: usize| self.atoms[atom].atomic_number == 1;
        let carried =
            |atom: usize| is_hydrogen(atom) && neighbours[atom].iter().any(|&a| !is_hydrogen(a));
        (0..self.n_atoms())
            .filter(|&atom| !carried(atom) && self.atoms[atom].atomic_number > 0)
            .map(|heavy| Group {
                heavy,
                hydrogens: match is_hydrogen(heavy) {
                    true => Vec::new(),
                    false => neighbours[heavy]
                        .iter()
                        .copied()
                        .filter(|&a| is_hydrogen(a))
                        .collect(),
                },
            })
            .collect()
    }

    fn is_same_group(&self, group: &Group, masses: &[f64]) -> bool {
        let members = || {
            [group.heavy]
                .into_iter()
                .chain(group.hydrogens.iter().copied())
        };
        if members().any(|atom| !is_known(masses[atom])) {
            return true;
        }
        // Each mass by itself must be possible for its element: no hydrogen of 12 u, no heavy atom with nothing left.
        if group
            .hydrogens
            .iter()
            .any(|&atom| masses[atom] > HEAVIEST_HYDROGEN)
        {
            return false;
        }
        let found: f64 = members().map(|atom| masses[atom]).sum();
        let expected: f64 = members()
            .map(|atom| match self.atoms[atom].atomic_number {
                1 => HYDROGEN,
                _ => self.atoms[atom].mass,
            })
            .sum();
        let hydrogens =
            group.hydrogens.len() + usize::from(self.atoms[group.heavy].atomic_number == 1);
        (0..=hydrogens).any(|deuterons| {
            let isotopes = deuterons == 0
                || members().any(|atom| {
                    self.atoms[atom].mass > 1.9 && self.atoms[atom].atomic_number == 1
                        || (masses[atom] - HYDROGEN - DEUTERON).abs() < 0.02
                });
            isotopes && same_mass(found, expected + deuterons as f64 * DEUTERON)
        })
    }

    /// The same atoms in another order, beyond doubt: as many hydrogens, and the masses of all others as they are expected.
    fn is_other_order(&self, masses: &[f64]) -> bool {
        let is_hydrogen = |atom: usize| self.atoms[atom].atomic_number == 1;
        let mut heavy: Vec<f64> = masses
            .iter()
            .copied()
            .filter(|m| *m > HEAVIEST_HYDROGEN)
            .collect();
        let mut expected: Vec<f64> = (0..self.n_atoms())
            .filter(|&atom| !is_hydrogen(atom))
            .map(|atom| self.atoms[atom].mass)
            .collect();
        heavy.sort_by(f64::total_cmp);
        expected.sort_by(f64::total_cmp);
        heavy.len() == expected.len()
            && masses.iter().all(|&m| is_known(m))
            && heavy.iter().zip(&expected).all(|(a, b)| same_mass(*a, *b))
    }
}

/// Beads that were given the element of the atom that they stand for: far heavier than that.
fn is_bead_mass(topology: &Topology, particles: &Particles, atoms: [usize; 2]) -> bool {
    atoms.into_iter().all(|atom| {
        particles
            .masses
            .get(atom)
            .is_some_and(|&mass| is_known(mass) && mass > topology.atoms[atom].mass + 6.0)
    })
}

/// Whether the bonds make one molecule of `n` atoms.
pub(super) fn connects(n: usize, bonds: &[[usize; 2]]) -> bool {
    parts(n, bonds).iter().all(|&part| part == 0)
}

/// The connected part that each atom belongs to, counted in the order of their first atoms.
pub(super) fn parts(n: usize, bonds: &[[usize; 2]]) -> Vec<usize> {
    let mut neighbours = vec![Vec::new(); n];
    for &[a, b] in bonds {
        neighbours[a].push(b);
        neighbours[b].push(a);
    }
    let mut part = vec![usize::MAX; n];
    let mut count = 0;
    for start in 0..n {
        if part[start] != usize::MAX {
            continue;
        }
        let mut stack = vec![start];
        part[start] = count;
        while let Some(atom) = stack.pop() {
            for &next in &neighbours[atom] {
                if part[next] == usize::MAX {
                    part[next] = count;
                    stack.push(next);
                }
            }
        }
        count += 1;
    }
    part
}

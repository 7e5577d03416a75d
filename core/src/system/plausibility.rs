//! Whether frames can be those of a molecule under its potential: lengths of bonds, their thermal motion, energies.
//!
//! What fails here was read in another unit, belongs to another molecule or another potential, or comes from dynamics with
//! constraints. Each check has thresholds far from what a sound trajectory shows, and far from what these faults do.

use std::collections::HashMap;

use super::elements::bond_length;
use super::{Particles, Topology, distance, kt};

/// Frames looked at for lengths.
const FRAMES: usize = 500;
/// Medians of single bonds, and of all bonds together, relative to their expected length. With covalent radii, sound ones are
/// within 0.78 (a triple bond) and 1.15; with lengths of the potential within a few per cent. Units err by a factor of 1.9 or more.
const BOND_RATIO: [f64; 2] = [0.5, 1.7];
const ALL_RATIO: [f64; 2] = [0.7, 1.4];
/// Median of U, in kT per degree of freedom, from which on frames are no sample of the potential. Thermal motion is half a kT above
/// the minimum; repulsion of equal charges in vacuum, such as the phosphates of a nucleic acid, amounts to ten; a molecule whose
/// bonds are 1.9 times too long has some hundred.
const MOST_ENERGY: f64 = 50.0;
/// Frames from which on the variance of a bond is known well enough (a standard error of a third).
const LEAST_FRAMES: usize = 20;
/// Thermal motion of the stiffest bonds (O-H, C=O) at 300 K is 2.2e-3 nm; taken where the potential does not tell.
const STIFFEST: f64 = 1.5e-3;
/// A bond that has less than this part of its thermal variance was constrained.
const FLEXIBLE: f64 = 0.1;

/// Units that lengths may have been in: how many times too long they are then, the unit, and what it was taken for.
const UNITS: [(f64, &str, &str); 7] = [
    (0.1, "nm", "Angstrom"),
    (1.889_726, "Bohr", "Angstrom"),
    (10.0, "Angstrom", "nm"),
    (0.529_177, "Angstrom", "Bohr"),
    (18.897_26, "Bohr", "nm"),
    (100.0, "pm", "Angstrom"),
    (0.052_918, "nm", "Bohr"),
];

/// Frames that cannot be a sample of the molecule under its potential. Whoever knows better may accept them.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Implausible {
    /// Bonds that are none.
    #[error(
        "the frames' bond lengths are none: {bond} is {found:.3} nm long where {expected:.3} nm are expected, and all bonds are {ratio:.3} times \
         as long as expected (medians){}; or the topology is of another molecule, or of beads that are no atoms (element X)",
        unit.map_or_else(String::new, |(unit, taken)| format!(": the coordinates look like {unit} and were read as {taken}; convert them"))
    )]
    Lengths {
        /// The bond that is furthest off.
        bond: String,
        /// Its median, nm.
        found: f64,
        /// What it should be, nm.
        expected: f64,
        /// Of all bonds, the median.
        ratio: f64,
        /// The unit that this suggests, and what it was taken for.
        unit: Option<(&'static str, &'static str)>,
    },
    /// Energies far above what a sample has.
    #[error(
        "the frames are no sample of this potential: {}; check the units of the coordinates, the atom order, and that the potential is \
         that of the frames",
        match median.is_finite() {
            true => format!(
                "half of them have an energy above {median:.3e} kT, {per_degree:.3e} kT for each of {degrees} degrees of freedom, where \
                 thermal motion has half a kT above the minimum"
            ),
            false => "half of them or more have no finite energy".to_owned(),
        }
    )]
    Energies {
        /// Median of the reduced energies; infinite if more than half are not finite.
        median: f64,
        /// The same per degree of freedom.
        per_degree: f64,
        /// Degrees of freedom.
        degrees: usize,
    },
    /// Bonds that do not move.
    #[error(
        "{count} bonds do not move: {bond}, the first, varies by {found:.1e} nm, {}, where thermal motion gives {expected:.1e} nm: they were \
         constrained in the dynamics, and the density of a constrained molecule is not that of the potential; use frames \
         of dynamics without constraints (OpenMM: constraints=None, rigidWater=False; GROMACS: constraints = none; LAMMPS: no fix shake)",
        if *grid > 0.0 { format!("no more than the rounding of the file to {grid} nm explains") } else { "next to nothing".to_owned() }
    )]
    Constrained {
        /// How many bonds.
        count: usize,
        /// The first of them.
        bond: String,
        /// Its standard deviation, nm.
        found: f64,
        /// That of thermal motion, nm.
        expected: f64,
        /// The grid that coordinates are rounded to, nm; 0 without one.
        grid: f64,
    },
}

impl Topology {
    /// Compares the bond lengths of frames (`[n, N, 3]`, nm) with those at rest of the potential, where it tells, else with covalent
    /// radii. Bonds of beads count only with a potential.
    ///
    /// # Errors
    /// [`Implausible::Lengths`].
    pub fn check_lengths(
        &self,
        particles: Option<&Particles>,
        positions: &[f64],
    ) -> Result<(), Implausible> {
        let frames = some_frames(positions, self.n_atoms(), FRAMES);
        if frames.is_empty() {
            return Ok(());
        }
        let terms = particles.map(Terms::new);
        let mut bonds = Vec::new();
        for &atoms in &self.bonds {
            let Some(expected) = self.expected_length(terms.as_ref(), atoms) else {
                continue;
            };
            let mut lengths: Vec<f64> = frames.iter().map(|x| distance(x, atoms)).collect();
            bonds.push((atoms, median(&mut lengths), expected));
        }
        if bonds.is_empty() {
            return Ok(());
        }
        let mut ratios: Vec<f64> = bonds
            .iter()
            .map(|(_, found, expected)| found / expected)
            .collect();
        let ratio = median(&mut ratios);
        // How far beyond its limits; the limits are not symmetric.
        let off = |value: f64, [low, high]: [f64; 2]| (low / value).max(value / high);
        let worst = bonds.iter().max_by(|a, b| {
            let off =
                |(_, found, expected): &([usize; 2], f64, f64)| off(found / expected, BOND_RATIO);
            off(a).total_cmp(&off(b))
        });
        let Some(&(atoms, found, expected)) = worst else {
            return Ok(());
        };
        if off(ratio, ALL_RATIO) <= 1.0 && off(found / expected, BOND_RATIO) <= 1.0 {
            return Ok(());
        }
        let unit = UNITS
            .iter()
            .find(|(factor, ..)| (ratio / factor).ln().abs() < 0.12)
            .map(|&(_, unit, taken)| (unit, taken));
        Err(Implausible::Lengths {
            bond: self.describe_bond(atoms),
            found,
            expected,
            ratio,
            unit,
        })
    }

    /// Compares the motion of bonds in frames (`[n, N, 3]`, nm) with `kT/k` of the potential, where it tells, else with that of
    /// the stiffest bonds. The rounding of coordinates to a grid `g` adds `g^2/6` to the variance of a length and is taken off.
    ///
    /// # Errors
    /// [`Implausible::Constrained`].
    pub fn check_motion(
        &self,
        particles: Option<&Particles>,
        positions: &[f64],
        temperature: f64,
    ) -> Result<(), Implausible> {
        let frames = some_frames(positions, self.n_atoms(), 4 * FRAMES);
        if frames.len() < LEAST_FRAMES {
            return Ok(());
        }
        let grid = self.grid(&frames).unwrap_or(0.0);
        let rounding = grid * grid / 6.0;
        let terms = particles.map(Terms::new);
        let mut still = Vec::new();
        for &atoms in &self.bonds {
            let term = terms.as_ref().and_then(|terms| terms.of(atoms));
            // A constraint of the potential itself is not judged here.
            let known = term.and_then(|(_, k)| (k > 0.0).then(|| kt(temperature) / k));
            let is_atom = atoms.iter().all(|&atom| self.atoms[atom].atomic_number > 0);
            let Some(expected) = known.or(is_atom.then_some(STIFFEST * STIFFEST)) else {
                continue;
            };
            let lengths: Vec<f64> = frames.iter().map(|x| distance(x, atoms)).collect();
            let mean = lengths.iter().sum::<f64>() / lengths.len() as f64;
            let squares: f64 = lengths.iter().map(|x| (x - mean) * (x - mean)).sum();
            let variance = squares / (lengths.len() - 1) as f64;
            // Where rounding drowns the thermal motion, nothing can be told.
            if rounding < 0.5 * expected && variance - rounding < FLEXIBLE * expected {
                still.push((atoms, variance.sqrt(), expected.sqrt()));
            }
        }
        match still.first() {
            None => Ok(()),
            Some(&(atoms, found, expected)) => Err(Implausible::Constrained {
                count: still.len(),
                bond: self.describe_bond(atoms),
                found,
                expected,
                grid,
            }),
        }
    }

    fn describe_bond(&self, [a, b]: [usize; 2]) -> String {
        format!("{} - {}", self.describe(a), self.describe(b))
    }

    fn expected_length(&self, terms: Option<&Terms>, atoms: [usize; 2]) -> Option<f64> {
        let known = terms.and_then(|terms| terms.of(atoms));
        known
            .map(|(length, _)| length)
            .filter(|length| *length > 0.0)
            .or_else(|| bond_length(&self.atoms[atoms[0]], &self.atoms[atoms[1]]))
    }

    /// The grid (nm) that a file's coordinates are rounded to: XTC has 0.001 nm, PDB 0.0001 nm. Told by the differences between
    /// bonded atoms, which moving a molecule by a cell leaves alone.
    fn grid(&self, frames: &[&[f64]]) -> Option<f64> {
        // Coarsest first. Coordinates in single precision are exact to 1e-6 nm.
        [1e-2, 1e-3, 1e-4].into_iter().find(|grid| {
            let (mut on, mut all) = (0_usize, 0_usize);
            for x in frames.iter().take(5) {
                for &[a, b] in &self.bonds {
                    for axis in 0..3 {
                        let steps = (x[3 * b + axis] - x[3 * a + axis]) / grid;
                        on += usize::from((steps - steps.round()).abs() < 0.05);
                        all += 1;
                    }
                }
            }
            all > 0 && on as f64 > 0.9 * all as f64
        })
    }
}

/// The bonds of a potential, found by their atoms.
struct Terms(HashMap<[usize; 2], (f64, f64)>);

impl Terms {
    fn new(particles: &Particles) -> Self {
        let mut terms = HashMap::new();
        for bond in particles.bonds {
            // Several terms on one pair add up.
            let (_, k) = terms
                .entry(ordered(bond.atoms))
                .or_insert((bond.length, 0.0));
            *k += bond.k;
        }
        Self(terms)
    }

    /// Length at rest and force constant.
    fn of(&self, atoms: [usize; 2]) -> Option<(f64, f64)> {
        self.0.get(&ordered(atoms)).copied()
    }
}

fn ordered([a, b]: [usize; 2]) -> [usize; 2] {
    [a.min(b), a.max(b)]
}

/// Checks the reduced energies `U / kT` of frames of `n_atoms` atoms.
///
/// # Errors
/// [`Implausible::Energies`].
pub fn check_reduced_energies(energies: &[f64], n_atoms: usize) -> Result<(), Implausible> {
    if energies.is_empty() {
        return Ok(());
    }
    let degrees = (3 * n_atoms).saturating_sub(6).max(1);
    let infinite = |energy: &f64| {
        if energy.is_finite() {
            *energy
        } else {
            f64::INFINITY
        }
    };
    let mut energies: Vec<f64> = energies.iter().map(infinite).collect();
    let median = median(&mut energies);
    let per_degree = median / degrees as f64;
    match per_degree > MOST_ENERGY {
        true => Err(Implausible::Energies {
            median,
            per_degree,
            degrees,
        }),
        false => Ok(()),
    }
}

/// At most `most` frames, evenly spread.
fn some_frames(positions: &[f64], n_atoms: usize, most: usize) -> Vec<&[f64]> {
    let width = 3 * n_atoms.max(1);
    let n = positions.len() / width;
    let count = n.min(most);
    (0..count)
        .map(|k| &positions[k * n / count * width..][..width])
        .collect()
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{frames, topology};
    use super::super::{Atom, BondTerm};
    use super::*;

    fn scaled(factor: f64) -> Vec<f64> {
        frames().positions.iter().map(|x| x * factor).collect()
    }

    #[test]
    fn units_are_told_by_bond_lengths() {
        let topology = topology("aldp");
        topology.check_lengths(None, &scaled(1.0)).unwrap();
        for (factor, unit, taken) in UNITS {
            let error = topology.check_lengths(None, &scaled(factor)).unwrap_err();
            assert!(
                matches!(error, Implausible::Lengths { unit: Some(found), .. } if found == (unit, taken)),
                "{factor}: {error}"
            );
        }
        let error = topology.check_lengths(None, &scaled(3.0)).unwrap_err();
        assert!(
            matches!(error, Implausible::Lengths { unit: None, .. }),
            "{error}"
        );
        // One atom out of place: the order of a trajectory that is not that of the topology.
        let mut swapped = frames().positions;
        for frame in swapped.chunks_exact_mut(66) {
            (0..3).for_each(|axis| frame.swap(axis, 3 * 20 + axis));
        }
        assert!(topology.check_lengths(None, &swapped).is_err());
    }

    #[test]
    fn beads_are_measured_by_their_potential() {
        let mut beads = topology("aldp");
        for Atom {
            element,
            atomic_number,
            ..
        } in &mut beads.atoms
        {
            (*element, *atomic_number) = ("X".to_owned(), 0);
        }
        beads.check_lengths(None, &scaled(3.0)).unwrap();
        let terms: Vec<BondTerm> = beads
            .bonds
            .iter()
            .map(|&atoms| BondTerm {
                atoms,
                length: 3.0 * distance(frames().frame(0), atoms),
                k: 2e4,
            })
            .collect();
        let particles = Particles {
            source: "beads.xml",
            masses: &[],
            bonds: &terms,
        };
        beads.check_lengths(Some(&particles), &scaled(3.0)).unwrap();
        assert!(beads.check_lengths(Some(&particles), &scaled(1.0)).is_err());
    }

    /// Frames whose bond between atoms 4 and 5 varies by `sigma` (nm), rounded to `grid`, at scattered places and orientations.
    fn vibrating(sigma: f64, grid: f64, n: usize) -> Vec<f64> {
        let (topology, frames) = (topology("aldp"), frames());
        let mut state = 1_u64;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut positions = Vec::new();
        for frame in 0..n {
            let mut x = frames.frame(frame % frames.len()).to_vec();
            // Every bond is brought to a length of its own around 0.12 nm, along the tree of bonds.
            let angle = 6.3 * uniform();
            for atom in x.chunks_exact_mut(3) {
                (atom[0], atom[1]) = (
                    angle.cos() * atom[0] - angle.sin() * atom[1],
                    angle.sin() * atom[0] + angle.cos() * atom[1],
                );
                atom.iter_mut().for_each(|x| *x += 1.0);
            }
            let original = x.clone();
            let mut placed = [false; 22];
            placed[0] = true;
            for _ in 0..22 {
                for &[a, b] in &topology.bonds {
                    let (from, to) = if placed[a] { (a, b) } else { (b, a) };
                    if placed[from] == placed[to] {
                        continue;
                    }
                    placed[to] = true;
                    // Gaussian by the sum of twelve.
                    let gauss = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
                    let factor = (0.12 + sigma * gauss) / distance(&original, [from, to]);
                    for axis in 0..3 {
                        x[3 * to + axis] = x[3 * from + axis]
                            + factor * (original[3 * to + axis] - original[3 * from + axis]);
                    }
                }
            }
            positions.extend(x.iter().map(|x| {
                if grid > 0.0 {
                    (x / grid).round() * grid
                } else {
                    *x
                }
            }));
        }
        positions
    }

    #[test]
    fn constraints_show_through_the_rounding_of_a_file() {
        let topology = topology("aldp");
        let kt = kt(300.0);
        let terms = |sigma: f64| -> Vec<BondTerm> {
            topology
                .bonds
                .iter()
                .map(|&atoms| BondTerm {
                    atoms,
                    length: 0.12,
                    k: kt / (sigma * sigma),
                })
                .collect()
        };
        let bonds = terms(2.6e-3);
        let particles = Particles {
            source: "system.xml",
            masses: &[],
            bonds: &bonds,
        };
        for (grid, told) in [(0.0, 0.0), (1e-4, 1e-4), (1e-3, 1e-3)] {
            for known in [None, Some(&particles)] {
                topology
                    .check_motion(known, &vibrating(2.6e-3, grid, 300), 300.0)
                    .unwrap();
                let error = topology
                    .check_motion(known, &vibrating(1e-6, grid, 300), 300.0)
                    .unwrap_err();
                let Implausible::Constrained {
                    count, grid: found, ..
                } = error
                else {
                    panic!("{error}")
                };
                assert_eq!((count, found), (21, told), "{grid}");
            }
        }
        // 0.01 nm rounds the motion away: nothing to be told. Nor of a potential that is as stiff, nor of a few frames.
        topology
            .check_motion(Some(&particles), &vibrating(1e-6, 1e-2, 300), 300.0)
            .unwrap();
        let bonds = terms(1e-6);
        let stiff = Particles {
            bonds: &bonds,
            ..particles
        };
        topology
            .check_motion(Some(&stiff), &vibrating(1e-6, 0.0, 300), 300.0)
            .unwrap();
        topology
            .check_motion(None, &vibrating(1e-6, 0.0, 19), 300.0)
            .unwrap();
    }

    #[test]
    fn energies_far_above_thermal_ones_are_refused() {
        // Alanine dipeptide has 60 degrees of freedom.
        check_reduced_energies(&[-27.0, 30.0, 1e9], 22).unwrap();
        check_reduced_energies(&[10.0 * 60.0; 5], 22).unwrap();
        for (energies, expected) in [
            ([16_251.0, 16_000.0, -30.0], "60 degrees of freedom"),
            ([f64::NAN, f64::INFINITY, 1.0], "have no finite energy"),
        ] {
            let error = check_reduced_energies(&energies, 22).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
        check_reduced_energies(&[], 22).unwrap();
    }
}

//! Exact symmetries: cyclic permutations of equivalent hydrogens.

use super::Topology;

/// Equivalent hydrogens on one atom that turn into each other by a rotation about a single bond.
///
/// The energy is unchanged when the positions of the hydrogens are permuted cyclically, and molecular dynamics samples all
/// these permutations equally in the long run. The mere exchange of two hydrogens of a CH2, CH3 or NH3 group is improper
/// (it mirrors the surroundings of the parent), no rotation brings it about, and it is not listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rotor {
    /// The atom that carries the hydrogens.
    pub parent: usize,
    /// The hydrogens, in the order in which they turn: three (CH3, NH3+) or two (planar NH2).
    pub hydrogens: Vec<usize>,
}

impl Topology {
    /// All groups of equivalent hydrogens with a proper rotation, found from the bond graph:
    /// - an atom with three hydrogens and one other neighbour (methyl, NH3+): the cyclic group C3. Its two orientations are
    ///   each other's inverse, so the order of the hydrogens does not matter;
    /// - a nitrogen with two hydrogens and one other, trigonal neighbour (amide, guanidinium, aniline NH2; planar by
    ///   conjugation): C2. A =CH2 is left out, since a double bond does not turn, and so is a pyramidal amine.
    pub fn rotors(&self) -> Vec<Rotor> {
        let neighbours = self.neighbours();
        let mut rotors = Vec::new();
        for (parent, bonded) in neighbours.iter().enumerate() {
            let (hydrogens, others): (Vec<usize>, Vec<usize>) = bonded
                .iter()
                .partition(|&&atom| self.atoms[atom].atomic_number == 1);
            let turns = match (hydrogens.len(), others.as_slice()) {
                (3, [_]) => true,
                (2, [other]) => {
                    self.atoms[parent].atomic_number == 7 && neighbours[*other].len() == 3
                }
                _ => false,
            };
            if turns {
                rotors.push(Rotor { parent, hydrogens });
            }
        }
        rotors
    }
}

/// Permutes the positions (one configuration, flat, 3 numbers per atom) of the rotor's hydrogens cyclically: each takes the
/// place of the one `turns` further on. `turns = hydrogens.len()` is the identity.
///
/// # Panics
/// If an atom is beyond the positions.
pub fn rotate(positions: &mut [f64], rotor: &Rotor, turns: usize) {
    let n = rotor.hydrogens.len();
    let turns = turns % n.max(1);
    if turns == 0 {
        return;
    }
    let old: Vec<[f64; 3]> = rotor
        .hydrogens
        .iter()
        .map(|&atom| crate::math::vector::point(positions, atom))
        .collect();
    for (k, &atom) in rotor.hydrogens.iter().enumerate() {
        positions[3 * atom..3 * atom + 3].copy_from_slice(&old[(k + turns) % n]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{bare, frames, topology};
    use super::*;

    #[test]
    fn rotors_of_the_peptides() {
        // Methyls of ACE, each CB and NME; NH3+ at the end of the zwitterion.
        for (name, parents) in [
            ("aldp", vec!["CH3", "CB", "C"]),
            ("al3", vec!["N", "CB", "CB", "CB"]),
            ("al4", vec!["CH3", "CB", "CB", "CB", "C"]),
        ] {
            let topology = topology(name);
            let found: Vec<&str> = topology
                .rotors()
                .iter()
                .map(|rotor| topology.atoms[rotor.parent].name.as_str())
                .collect();
            assert_eq!(found, parents, "{name}");
            assert!(
                topology
                    .rotors()
                    .iter()
                    .all(|rotor| rotor.hydrogens.len() == 3)
            );
        }
    }

    #[test]
    fn planar_nh2_turns_but_ch2_and_amines_do_not() {
        // Acetamide CH3-C(=O)-NH2
        let acetamide = bare(
            &[6, 1, 1, 1, 6, 8, 7, 1, 1],
            &[
                [0, 1],
                [0, 2],
                [0, 3],
                [0, 4],
                [4, 5],
                [4, 6],
                [6, 7],
                [6, 8],
            ],
        );
        let sizes: Vec<(usize, usize)> = acetamide
            .rotors()
            .iter()
            .map(|r| (r.parent, r.hydrogens.len()))
            .collect();
        assert_eq!(sizes, [(0, 3), (6, 2)]);
        // Ethene CH2=CH2
        assert!(
            bare(
                &[6, 6, 1, 1, 1, 1],
                &[[0, 1], [0, 2], [0, 3], [1, 4], [1, 5]]
            )
            .rotors()
            .is_empty()
        );
        // Methylamine CH3-NH2: only the methyl
        let amine = bare(
            &[6, 1, 1, 1, 7, 1, 1],
            &[[0, 1], [0, 2], [0, 3], [0, 4], [4, 5], [4, 6]],
        );
        assert_eq!(amine.rotors().len(), 1);
        // Propane: two methyls, not the CH2; water: none
        let propane = bare(
            &[6, 6, 6, 1, 1, 1, 1, 1, 1, 1, 1],
            &[
                [0, 1],
                [1, 2],
                [0, 3],
                [0, 4],
                [0, 5],
                [1, 6],
                [1, 7],
                [2, 8],
                [2, 9],
                [2, 10],
            ],
        );
        assert_eq!(propane.rotors().len(), 2);
        assert!(bare(&[8, 1, 1], &[[0, 1], [0, 2]]).rotors().is_empty());
    }

    #[test]
    fn turns_form_a_cyclic_group_and_move_nothing_else() {
        let topology = topology("aldp");
        let original = frames().frame(0).to_vec();
        for rotor in topology.rotors() {
            let turned = |turns: &[usize]| {
                let mut positions = original.clone();
                turns
                    .iter()
                    .for_each(|&t| rotate(&mut positions, &rotor, t));
                positions
            };
            assert_eq!(turned(&[0]), original);
            assert_eq!(turned(&[3]), original);
            assert_eq!(turned(&[1, 1]), turned(&[2]));
            assert_eq!(turned(&[1, 2]), original);
            assert_ne!(turned(&[1]), original);
            assert_ne!(turned(&[1]), turned(&[2]));
            let moved = turned(&[1]);
            for atom in 0..topology.n_atoms() {
                let same = moved[3 * atom..3 * atom + 3] == original[3 * atom..3 * atom + 3];
                assert_eq!(same, !rotor.hydrogens.contains(&atom));
            }
            // Proper: the signed volume of (hydrogens, parent) keeps its value.
            let volume = |x: &[f64]| {
                use crate::math::vector::{cross, dot, point, sub};
                let p = point(x, rotor.parent);
                let [a, b, c] = [0, 1, 2].map(|k| sub(point(x, rotor.hydrogens[k]), p));
                dot(a, cross(b, c))
            };
            assert!((volume(&moved) - volume(&original)).abs() < 1e-12 * volume(&original).abs());
        }
    }
}

use crate::system::Topology;

use crate::math::vector::{cross, dot, point, sub};

/// The alpha carbons of amino acids, whose handedness the maps keep but a flow may not: its features can turn an L residue
/// into its mirror image, which counts with its (tiny) Boltzmann weight and is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChiralCentres {
    /// CA, N, C, CB.
    centres: Vec<[usize; 4]>,
}

impl ChiralCentres {
    /// One centre per residue that has atoms named CA, N, C and CB; glycine and caps have none.
    pub fn find(topology: &Topology) -> Self {
        let mut named = vec![[None; 4]; topology.residues.len()];
        for (index, atom) in topology.atoms.iter().enumerate() {
            if let Some(role) = ["CA", "N", "C", "CB"]
                .iter()
                .position(|name| *name == atom.name)
                && let Some(residue) = named.get_mut(atom.residue)
            {
                residue[role] = Some(index);
            }
        }
        let complete = |[ca, n, c, cb]: [Option<usize>; 4]| Some([ca?, n?, c?, cb?]);
        Self {
            centres: named.into_iter().filter_map(complete).collect(),
        }
    }

    /// Number of centres.
    pub fn len(&self) -> usize {
        self.centres.len()
    }

    /// Whether there is no centre.
    pub fn is_empty(&self) -> bool {
        self.centres.is_empty()
    }

    /// Number of D residues in one configuration (`[3N]`, nm): the volume `(N - CA) . (C - CA) x (CB - CA)`, positive
    /// for L, is negative. Whatever the volume's sign cannot tell (NaN, zero) is not counted.
    ///
    /// # Panics
    /// If `positions` is shorter than the topology that the centres were found in.
    pub fn inverted(&self, positions: &[f64]) -> usize {
        let is_inverted = |[ca, n, c, cb]: &&[usize; 4]| {
            let from_ca = |atom| sub(point(positions, atom), point(positions, *ca));
            dot(from_ca(*n), cross(from_ca(*c), from_ca(*cb))) < 0.0
        };
        self.centres.iter().filter(is_inverted).count()
    }
}

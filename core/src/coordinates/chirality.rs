use crate::system::Topology;

use super::ConfigurationSource;
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
        let centres = self.centres.iter();
        centres
            .filter(|centre| is_inverted(centre, positions))
            .count()
    }

    /// The alpha carbon that shows both hands in configurations of `n_atoms` atoms, and the share of them in which its residue
    /// is D; that nearest to one half, if there are several. Dynamics does not turn one hand into the other: such frames are of
    /// two molecules, or some are mirror images. Fewer than one configuration in a thousand do not count.
    ///
    /// # Panics
    /// If a configuration is shorter than the topology that the centres were found in.
    pub fn mixed(&self, source: &dyn ConfigurationSource, n_atoms: usize) -> Option<(usize, f64)> {
        /// Share of the rarer hand.
        const LEAST: f64 = 1e-3;
        let mut inverted = vec![0_usize; self.len()];
        let mut positions = vec![0.0; 3 * n_atoms];
        for index in 0..source.n() {
            source.copy(index, &mut positions);
            for (count, centre) in inverted.iter_mut().zip(&self.centres) {
                *count += usize::from(is_inverted(centre, &positions));
            }
        }
        let rarer = |share: f64| share.min(1.0 - share);
        let shares = inverted.iter().zip(&self.centres);
        shares
            .map(|(&count, centre)| (centre[0], count as f64 / source.n() as f64))
            .filter(|(_, share)| rarer(*share) >= LEAST)
            .max_by(|a, b| rarer(a.1).total_cmp(&rarer(b.1)))
    }
}

fn is_inverted([ca, n, c, cb]: &[usize; 4], positions: &[f64]) -> bool {
    let from_ca = |atom: usize| sub(point(positions, atom), point(positions, *ca));
    dot(from_ca(*n), cross(from_ca(*c), from_ca(*cb))) < 0.0
}

/// In words, that frames have both hands.
pub(crate) fn describe_mixed(topology: &Topology, centre: usize, share: f64) -> String {
    format!(
        "the frames have both hands: the residue of {} is D in {:.1} % of them and L in the others, which dynamics does not turn into \
         each other; are some of the frames mirror images, or of another molecule?",
        topology.describe(centre),
        100.0 * share
    )
}

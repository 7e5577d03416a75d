use crate::system::Topology;

use super::geometry::{cross, dot, point, sub};

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

    /// The alpha carbon that shows both hands in `positions` (`[n, 3N]`, nm), and the share of the configurations in which its
    /// residue is D; that nearest to one half, if there are several. Dynamics does not turn one hand into the other: such frames
    /// are of two molecules, or some are mirror images. Fewer than one configuration in a thousand do not count.
    ///
    /// # Panics
    /// If a configuration is shorter than the topology that the centres were found in.
    pub fn mixed(&self, positions: &[f64], n_atoms: usize) -> Option<(usize, f64)> {
        /// Share of the rarer hand.
        const LEAST: f64 = 1e-3;
        let frames = || positions.chunks_exact(3 * n_atoms.max(1));
        let n = frames().len() as f64;
        let rarer = |share: f64| share.min(1.0 - share);
        self.centres
            .iter()
            .map(|&centre| {
                let alone = Self {
                    centres: vec![centre],
                };
                let inverted: usize = frames().map(|x| alone.inverted(x)).sum();
                (centre[0], inverted as f64 / n)
            })
            .filter(|(_, share)| rarer(*share) >= LEAST)
            .max_by(|a, b| rarer(a.1).total_cmp(&rarer(b.1)))
    }
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

//! Populations of a molecule's own basins, gathered configuration by configuration.

use rayon::prelude::*;

use super::{
    Basin, Blocks, Estimate, MetricError, block_populations, default_basins, weighted_populations,
};
use crate::system::{Topology, torsion};

/// Backbone torsions of many configurations, and how often they are in which of [`default_basins`].
pub struct Populations {
    atoms: Vec<[usize; 4]>,
    basins: Vec<Basin>,
    width: usize,
    torsions: Vec<f64>,
}

impl Populations {
    /// No configurations yet. A molecule without a backbone has no basins, and so no populations.
    pub fn new(topology: &Topology) -> Self {
        let (atoms, basins) = default_basins(topology);
        Populations {
            atoms,
            basins,
            width: 3 * topology.n_atoms(),
            torsions: Vec::new(),
        }
    }

    /// Takes in configurations, `[n, N, 3]`.
    pub fn extend(&mut self, positions: &[f64]) {
        let rows: Vec<Vec<f64>> = positions
            .par_chunks(self.width.max(1))
            .map(|x| self.atoms.iter().map(|&atoms| torsion(x, atoms)).collect())
            .collect();
        self.torsions.extend(rows.into_iter().flatten());
    }

    /// Populations of independent samples by name, with the logarithms of their weights (`[n]`, one for each configuration);
    /// none without basins or without a weight above 0.
    ///
    /// # Errors
    /// Another number of weights than configurations.
    pub fn weighted(&self, log_weights: &[f64]) -> Result<Vec<(&str, Estimate)>, MetricError> {
        if self.basins.is_empty() || !log_weights.iter().any(|w| w.is_finite()) {
            return Ok(Vec::new());
        }
        let (torsions, n) = (&self.torsions, self.atoms.len());
        self.named(weighted_populations(
            &self.basins,
            torsions,
            n,
            log_weights,
        )?)
    }

    /// Populations of the frames of a trajectory by name, with errors from blocks of time; none without basins.
    ///
    /// # Errors
    /// The blocks are of another number of frames.
    pub fn counted(&self, blocks: &Blocks) -> Result<Vec<(&str, Estimate)>, MetricError> {
        if self.basins.is_empty() {
            return Ok(Vec::new());
        }
        let (torsions, n) = (&self.torsions, self.atoms.len());
        self.named(block_populations(&self.basins, torsions, n, blocks)?)
    }

    fn named(&self, found: Vec<Estimate>) -> Result<Vec<(&str, Estimate)>, MetricError> {
        let names = self.basins.iter().map(|basin| basin.name.as_str());
        Ok(names.zip(found).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn are_those_of_the_torsions_of_each_configuration() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/alanine-dipeptide");
        let topology = Topology::read(&data.join("topology.pdb")).unwrap();
        let options = crate::system::ReadOptions {
            stride: 100,
            ..Default::default()
        };
        let trajectory = data.join("trajectory.dcd");
        let mut trajectory =
            crate::system::Trajectory::open(&[trajectory], &topology, &options).unwrap();
        let frames = trajectory.read_all().unwrap();
        let mut populations = Populations::new(&topology);
        let (one, other) = frames.positions.split_at(30 * 66);
        populations.extend(one);
        populations.extend(other);
        let phi = topology.backbone_torsions()[0].phi.unwrap();
        let positive: Vec<bool> = (0..frames.len())
            .map(|i| torsion(frames.frame(i), phi) >= 0.0)
            .collect();
        let count = positive.iter().filter(|&&p| p).count() as f64;
        let of = |found: Vec<(&str, Estimate)>| {
            let (_, found) = found
                .iter()
                .find(|(name, _)| name.contains("phi>0"))
                .unwrap();
            found.value
        };
        let expected = count / frames.len() as f64;
        assert!(expected > 0.0 && expected < 0.2, "{expected}");
        let equal = vec![-3.0; frames.len()];
        assert!((of(populations.weighted(&equal).unwrap()) - expected).abs() < 1e-12);
        assert!(
            (of(populations
                .counted(&Blocks::of_runs(&[frames.len()], 10))
                .unwrap())
                - expected)
                .abs()
                < 1e-12
        );
        // All the weight on the frames of the rare basin.
        let rare: Vec<f64> = positive
            .iter()
            .map(|&p| if p { 1.0 } else { f64::NEG_INFINITY })
            .collect();
        assert!((of(populations.weighted(&rare).unwrap()) - 1.0).abs() < 1e-12);
        let none = vec![f64::NEG_INFINITY; frames.len()];
        assert!(populations.weighted(&none).unwrap().is_empty());
        assert!(populations.weighted(&equal[1..]).is_err());
    }
}

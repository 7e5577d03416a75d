//! What the target says of features.

use super::PolishOptions;
use crate::energy::Energy;
use crate::model::Model;
use crate::system::kt;
use crate::train::TrainError;

/// The target at some features.
pub(super) struct Scored {
    /// `[n]`, `-u + log_volume`.
    pub log_target: Vec<f64>,
    /// `[n, D]`, its gradient, with energies continued logarithmically above the limit; empty without forces.
    pub scores: Vec<f32>,
}

/// The target of a model.
pub(super) struct Target<'a> {
    pub model: &'a Model,
    pub energy: &'a dyn Energy,
    /// Whether gradients are asked for.
    pub forces: bool,
    /// Reduced energy from which on it is continued logarithmically.
    limit: f64,
}

impl<'a> Target<'a> {
    /// `mean` is the mean reduced energy of the data.
    pub fn new(
        model: &'a Model,
        energy: &'a dyn Energy,
        settings: &PolishOptions,
        mean: f64,
    ) -> Self {
        Target {
            model,
            energy,
            forces: settings.forces,
            limit: mean + settings.energy_limit,
        }
    }

    /// What the target says of features, `[n, D]`. Positions are those of the coordinate map, in whose frame the gradient
    /// through it expects the forces.
    pub fn score(&self, features: &[f32]) -> Result<Scored, TrainError> {
        let (model, width) = (self.model, 3 * self.model.n_atoms());
        let n = features.len() / model.prior().dimension();
        let features: Vec<f64> = features.iter().map(|&z| f64::from(z)).collect();
        let mut positions = vec![0.0; n * width];
        let mut log_target = vec![0.0; n];
        let coordinates = model.coordinates();
        coordinates.to_positions(&features, &mut positions, &mut log_target)?;
        let kt = kt(model.temperature());
        let mut energies = vec![0.0; n];
        if !self.forces {
            self.energy.energies(&positions, &mut energies)?;
            for (log_target, energy) in log_target.iter_mut().zip(energies) {
                *log_target -= energy / kt;
            }
            return Ok(Scored {
                log_target,
                scores: Vec::new(),
            });
        }
        let mut slopes = vec![0.0; n * width];
        self.energy
            .energies_and_forces(&positions, &mut energies, &mut slopes)?;
        for ((log_target, energy), slopes) in log_target
            .iter_mut()
            .zip(energies)
            .zip(slopes.chunks_exact_mut(width))
        {
            let u = energy / kt;
            *log_target -= u;
            // d/du of the logarithmic continuation.
            let damping = 1.0 / (1.0 + (u - self.limit).max(0.0));
            slopes.iter_mut().for_each(|slope| *slope *= damping / kt);
        }
        let mut scores = vec![0.0; features.len()];
        coordinates.pull_back(&features, &slopes, &mut scores)?;
        Ok(Scored {
            log_target,
            scores: scores.iter().map(|&s| s as f32).collect(),
        })
    }
}

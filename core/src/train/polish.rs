//! Training with the energy: the flow samples, the samples are weighted, and the parameters follow.
//!
//! Every batch is a mixture of data, of weighted samples (drawn from a buffer with probabilities proportional to their
//! clipped weights) and of plain samples. Data and weighted samples stand for the target `p`, so that their rows give the
//! forward divergence `KL(p || q)`; plain samples stand for the flow, and give the reverse one, `KL(q || p)`. With forces all
//! rows have the same path gradient ([`Loss::differentiable`](super::objective::Loss::differentiable)): the two divergences
//! differ in the points alone (Vaitl et al., arXiv 2403.15881).

use serde::{Deserialize, Serialize};

use super::TrainError;
use super::dataset::Dataset;
use super::objective::Batch;
use super::options::check;
use crate::coordinates::Configurations;
use crate::energy::Energy;
use crate::math::{Purpose, Streams};
use crate::metric::ess_per_n;
use crate::model::Model;
use crate::sample::{Resampling, WeightedSamples, draw};
use crate::system::kt;

/// Settings of a polish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolishOptions {
    /// Part of every batch that is data.
    pub data: f64,
    /// Part of every batch that is plain samples, for the reverse divergence; needs forces. What is left of the batch is
    /// weighted samples.
    pub reverse: f64,
    /// Follow path gradients, which need the energy's forces; without them the likelihood of the batch is maximised, which
    /// needs energies only.
    pub forces: bool,
    /// Samples that are kept with their energies.
    pub buffer: usize,
    /// Samples that are drawn for every step, in the place of the oldest ones.
    pub fresh: usize,
    /// Weights above this quantile of the buffer are cut down to it.
    pub clip_quantile: f64,
    /// Reduced energy above the mean of the data from which on `u` is replaced by `limit + log(1 + u - limit)`.
    pub energy_limit: f64,
    /// Fresh samples by whose ESS a validation judges.
    pub validation_samples: usize,
}

impl Default for PolishOptions {
    fn default() -> Self {
        PolishOptions {
            data: 0.3,
            reverse: 0.0,
            forces: true,
            buffer: 8192,
            fresh: 512,
            clip_quantile: 0.998,
            energy_limit: 50.0,
            validation_samples: 20_000,
        }
    }
}

impl PolishOptions {
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        for (name, value) in [
            ("polish data", self.data),
            ("polish reverse", self.reverse),
            ("polish data + reverse", self.data + self.reverse),
        ] {
            let ok = (0.0..=1.0).contains(&value);
            check(ok, name, value, "a part of the batch, 0 to 1")?;
        }
        check(
            self.reverse < 1.0,
            "polish reverse",
            self.reverse,
            "below 1: on its own it drops modes",
        )?;
        check(
            self.reverse == 0.0 || self.forces,
            "polish reverse",
            self.reverse,
            "0 without forces",
        )?;
        check(
            self.fresh > 0 && self.fresh <= self.buffer,
            "polish fresh",
            self.fresh,
            "at least 1, at most the size of the buffer",
        )?;
        let ok = self.clip_quantile > 0.0 && self.clip_quantile <= 1.0;
        check(
            ok,
            "polish clip-quantile",
            self.clip_quantile,
            "above 0, at most 1",
        )?;
        let ok = self.energy_limit >= 0.0;
        check(ok, "polish energy-limit", self.energy_limit, "0 or more")?;
        check(
            self.validation_samples >= 100,
            "polish validation-samples",
            self.validation_samples,
            "at least 100",
        )
    }
}

/// Samples of the flow with what the energy said of them, the newest in the place of the oldest.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Buffer {
    /// `[n, D]`.
    pub features: Vec<f32>,
    /// `[n, D]`, gradient of the target's log density by the features; empty without forces.
    pub scores: Vec<f32>,
    /// `[n]`, log of target over proposal; `-inf` where the target is zero.
    pub log_weight: Vec<f64>,
    /// Row that the next sample takes.
    pub next: usize,
    /// Samples drawn so far: index of the next one in the prior's stream.
    pub drawn: u64,
}

/// A polish of one model with one energy.
pub(super) struct Polish<'a> {
    model: &'a Model,
    dataset: &'a Dataset,
    energy: &'a dyn Energy,
    options: &'a PolishOptions,
    seed: u64,
    /// Reduced energy from which on it is continued logarithmically.
    limit: f64,
}

impl<'a> Polish<'a> {
    pub fn new(
        model: &'a Model,
        dataset: &'a Dataset,
        energy: &'a dyn Energy,
        options: &'a PolishOptions,
        seed: u64,
    ) -> Result<Self, TrainError> {
        let held_out = dataset.validation_points(model.coordinates())?;
        let frames = Configurations {
            positions: &held_out.positions,
            n_atoms: model.n_atoms(),
        };
        let mean = crate::sample::mean_reduced_energy(energy, &frames, model.temperature())?;
        Ok(Polish {
            model,
            dataset,
            energy,
            options,
            seed,
            limit: mean + options.energy_limit,
        })
    }

    /// Draws what a step needs from the model as it is: the whole buffer the first time.
    pub fn refill(&self, buffer: &mut Buffer) -> Result<(), TrainError> {
        let n = if buffer.log_weight.is_empty() {
            self.options.buffer
        } else {
            self.options.fresh
        };
        let streams = Streams::new(Purpose::PolishBuffer, self.seed);
        let (features, log_q) = self.model.sample_features(n, streams, buffer.drawn)?;
        buffer.drawn += n as u64;
        let Scored { log_target, scores } = self.score(&features)?;
        let log_weight = log_target.iter().zip(log_q);
        let log_weight: Vec<f64> = log_weight
            .map(|(log_target, log_q)| {
                let log_weight = log_target - log_q;
                if log_weight.is_finite() {
                    log_weight
                } else {
                    f64::NEG_INFINITY
                }
            })
            .collect();
        if buffer.log_weight.is_empty() {
            (buffer.features, buffer.scores, buffer.log_weight) = (features, scores, log_weight);
            return Ok(());
        }
        let dimension = self.model.prior().dimension();
        let capacity = self.options.buffer;
        for (i, &log_weight) in log_weight.iter().enumerate() {
            let row = (buffer.next + i) % capacity;
            let (to, from) = (row * dimension, i * dimension);
            buffer.features[to..to + dimension].copy_from_slice(&features[from..from + dimension]);
            if !scores.is_empty() {
                buffer.scores[to..to + dimension].copy_from_slice(&scores[from..from + dimension]);
            }
            buffer.log_weight[row] = log_weight;
        }
        buffer.next = (buffer.next + n) % capacity;
        Ok(())
    }

    /// A batch of `size` rows, of which those of data start at `first` of their endless sequence; and the part of the
    /// buffer's weight that clipping took away.
    pub fn batch(
        &self,
        buffer: &Buffer,
        size: usize,
        first: usize,
        step: usize,
    ) -> Result<(Batch, f64), TrainError> {
        let n_data = self.data_rows(size);
        let n_reverse = (self.options.reverse * size as f64).round() as usize;
        let n_reverse = n_reverse.min(size - n_data);
        let n_weighted = size - n_data - n_reverse;
        let features =
            self.dataset
                .training_features(self.model.coordinates(), first, n_data, 0.0)?;
        let (mut x1, mut scores) = (features, Vec::new());
        if self.options.forces {
            scores = self.score(&x1)?.scores;
        }

        let (clipped, share) = clip(&buffer.log_weight, self.options.clip_quantile);
        let random = Streams::new(Purpose::PolishChoice, self.seed).at(step as u64);
        let mut rows = draw(Resampling::Systematic, &clipped, n_weighted, random)?;
        // The newest samples are the flow's own; those that the target does not know have no slope.
        let capacity = buffer.log_weight.len();
        let newest = (1..=capacity).map(|age| (buffer.next + capacity - age) % capacity);
        rows.extend(
            newest
                .filter(|&row| buffer.log_weight[row].is_finite())
                .take(n_reverse),
        );
        let dimension = self.model.prior().dimension();
        for row in rows {
            let range = row * dimension..(row + 1) * dimension;
            x1.extend_from_slice(&buffer.features[range.clone()]);
            if self.options.forces {
                scores.extend_from_slice(&buffer.scores[range]);
            }
        }
        let batch = if self.options.forces {
            Batch::Scored(x1, scores)
        } else {
            Batch::Points(x1)
        };
        Ok((batch, share))
    }

    /// Rows of data in a batch of `size`.
    pub fn data_rows(&self, size: usize) -> usize {
        (self.options.data * size as f64).round() as usize
    }

    /// ESS/N of fresh samples of the model as it is; `round` counts the validations.
    pub fn ess(&self, round: usize) -> Result<f64, TrainError> {
        let n = self.options.validation_samples;
        let streams = Streams::new(Purpose::Validation, self.seed);
        let drawn = self.model.sample(n, streams, (round * n) as u64)?;
        let mut energies = vec![0.0; n];
        self.energy.energies(&drawn.positions, &mut energies)?;
        let mut samples = WeightedSamples::new(self.model.temperature());
        samples.extend(&drawn.log_q, &energies);
        Ok(ess_per_n(&samples.log_weight))
    }

    /// What the target says of features, `[n, D]`. Positions are those of the coordinate map, in whose frame the gradient
    /// through it expects the forces.
    fn score(&self, features: &[f32]) -> Result<Scored, TrainError> {
        let (model, width) = (self.model, 3 * self.model.n_atoms());
        let n = features.len() / model.prior().dimension();
        let features: Vec<f64> = features.iter().map(|&z| f64::from(z)).collect();
        let mut positions = vec![0.0; n * width];
        let mut log_target = vec![0.0; n];
        let coordinates = model.coordinates();
        coordinates.to_positions(&features, &mut positions, &mut log_target)?;
        let kt = kt(model.temperature());
        let mut energies = vec![0.0; n];
        if !self.options.forces {
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

/// The target at some features.
struct Scored {
    /// `[n]`, `-u + log_volume`.
    log_target: Vec<f64>,
    /// `[n, D]`, its gradient, with energies continued logarithmically above the limit; empty without forces.
    scores: Vec<f32>,
}

/// Log weights cut down to their `quantile`, and the part of the whole weight that this takes away.
fn clip(log_weights: &[f64], quantile: f64) -> (Vec<f64>, f64) {
    let mut sorted = log_weights.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (Some(&largest), last) = (sorted.last(), sorted.len().saturating_sub(1)) else {
        return (Vec::new(), 0.0);
    };
    let limit = sorted[(quantile * last as f64).round() as usize];
    let clipped: Vec<f64> = log_weights.iter().map(|w| w.min(limit)).collect();
    let sum = |weights: &[f64]| weights.iter().map(|w| (w - largest).exp()).sum::<f64>();
    (
        clipped.clone(),
        1.0 - sum(&clipped) / sum(log_weights).max(f64::MIN_POSITIVE),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_cut_at_the_quantile() {
        let log_weights: Vec<f64> = (1..=100).map(|i| f64::from(i).ln()).collect();
        let (clipped, share) = clip(&log_weights, 0.9);
        let limit = 90f64.ln();
        assert!(clipped.iter().all(|&w| w <= limit));
        assert_eq!(clipped[..90], log_weights[..90]);
        // 1 + ... + 10 of 1 + ... + 100.
        assert!((share - 55.0 / 5050.0).abs() < 1e-12, "{share}");
        assert_eq!(clip(&log_weights, 1.0), (log_weights.clone(), 0.0));
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let refused = |options: PolishOptions, what: &str| {
            let error = options.validate().unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        };
        let default = PolishOptions::default;
        refused(
            PolishOptions {
                data: 0.7,
                reverse: 0.4,
                ..default()
            },
            "data + reverse",
        );
        refused(
            PolishOptions {
                reverse: 0.2,
                forces: false,
                ..default()
            },
            "0 without forces",
        );
        refused(
            PolishOptions {
                fresh: 10_000,
                ..default()
            },
            "polish fresh",
        );
    }
}

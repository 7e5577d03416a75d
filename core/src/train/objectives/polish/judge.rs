//! What a polished flow is worth, by its own samples and by the frames that are held out.
//!
//! The ESS of the flow's samples, `1 / E_q[w^2]` with weights normalised by Z, does not see what the flow has lost: it rises when a
//! basin is dropped that was hard. Frames of the target do: of a lost basin they have as many as before, and there their weights are
//! huge. So the score is the sum of a part of each, `-1/2 log ESS` and the forward divergence `KL(p || q) = E_p[log w]`, which are
//! the same where log weights are normal. (The forward ESS, `1 / E_p[w]`, is told but does not decide: of a few hundred frames it is
//! often a matter of one.) Where the frames are not of the target (another potential, biased runs), `E[log w]` over them rises from below 0
//! to 0 on the way from their flow to the target's; it counts from 0 on only, so that it speaks where the flow has lost what the frames
//! have and is silent otherwise.

use super::PolishOptions;
use super::buffer::clip;
use super::score::Target;
use crate::dataset::Points;
use crate::math::{Purpose, Streams};
use crate::metric::{self, Basin};
use crate::sample::WeightedSamples;
use crate::system::torsion;
use crate::train::TrainError;
use crate::train::gradient::by_chunk;
use crate::train::objectives::terms::Terms;
use crate::train::objectives::{Batch, Network};
use crate::train::state::{Judgement, Population, Uncertain};

/// Quantile at which the weights of the flow's samples are cut before they decide what is best: the largest few of thousands say more
/// of the draw than of the flow.
const CLIP: f64 = 0.998;

/// Judges by the same frames every time.
pub(super) struct Judge {
    samples: usize,
    seed: u64,
    held_out: Batch,
    /// `[n]`, log of the target at the held-out frames.
    log_target: Vec<f64>,
    atoms: Vec<[usize; 4]>,
    basins: Vec<Basin>,
    /// Populations of the basins in the held-out frames.
    populations: Vec<f64>,
}

impl Judge {
    /// Evaluates the energies of the held-out frames, once.
    pub fn new(
        held_out: &Points,
        target: &Target,
        settings: &PolishOptions,
        seed: u64,
    ) -> Result<Self, TrainError> {
        let features: Vec<f32> = held_out.features.iter().map(|&z| z as f32).collect();
        let (atoms, basins) = metric::default_basins(target.model.topology());
        let torsions = torsions(&atoms, &held_out.positions, 3 * target.model.n_atoms());
        let n = features.len() / target.model.prior().dimension();
        let equal = vec![0.0; n];
        let populations = metric::weighted_populations(&basins, &torsions, atoms.len(), &equal)
            .map_or(Vec::new(), |found| found.iter().map(|p| p.value).collect());
        Ok(Judge {
            samples: settings.validation_samples,
            seed,
            log_target: target.score(&features)?.log_target,
            held_out: Batch::new(n, vec![features]),
            atoms,
            basins,
            populations,
        })
    }

    /// Judges the model as it is, by the same prior points every time: of two validations the difference counts.
    pub fn judge(&self, target: &Target, terms: &Terms) -> Result<Judgement, TrainError> {
        let model = target.model;
        let losses = by_chunk(model, &self.held_out, |rows| {
            let (x0, log_det) = Network::plain(model)
                .flow()
                .inverse(&terms.features(rows.column(0))?)?;
            Ok(terms
                .negative_log_density(&x0, &log_det)?
                .to_vec1::<f64>()?)
        })?
        .concat();
        // A density that is no number is none.
        let log_weight = |(target, loss): (&f64, &f64)| match loss.is_nan() {
            true => target + f64::INFINITY,
            false => target + loss,
        };
        let frames: Vec<f64> = self
            .log_target
            .iter()
            .zip(&losses)
            .map(log_weight)
            .collect();

        let n = self.samples;
        let streams = Streams::new(Purpose::Validation, self.seed);
        let drawn = model.sample(n, streams, 0)?;
        let mut energies = vec![0.0; n];
        target.energy.energies(&drawn.positions, &mut energies)?;
        let mut samples = WeightedSamples::new(model.temperature());
        samples.extend(&drawn.log_q, &energies);
        let weights = Weights::new(&samples.log_weight, &frames);
        Ok(Judgement {
            validation: losses.iter().sum::<f64>() / losses.len() as f64,
            score: weights.score(),
            ess: Some(weights.ess()),
            forward_ess: Some(weights.forward_ess()),
            populations: self.populations(
                &drawn.positions,
                &samples.log_weight,
                3 * model.n_atoms(),
            ),
        })
    }

    fn populations(&self, positions: &[f64], log_weight: &[f64], width: usize) -> Vec<Population> {
        let torsions = torsions(&self.atoms, positions, width);
        let populations = |log_weight: &[f64]| {
            metric::weighted_populations(&self.basins, &torsions, self.atoms.len(), log_weight)
        };
        let equal = vec![0.0; log_weight.len()];
        let Ok(raw) = populations(&equal) else {
            return Vec::new();
        };
        let unknown = Uncertain {
            value: f64::NAN,
            error: f64::NAN,
        };
        // Without any weight there is nothing to weigh by.
        let reweighted = match populations(log_weight) {
            Ok(found) => found.into_iter().map(Uncertain::from).collect(),
            Err(_) => vec![unknown; raw.len()],
        };
        let both = raw.into_iter().zip(reweighted);
        let named = self.basins.iter().zip(&self.populations);
        named
            .zip(both)
            .map(|((basin, &held_out), (raw, reweighted))| Population {
                basin: basin.name.clone(),
                raw: raw.into(),
                reweighted,
                held_out,
            })
            .collect()
    }
}

fn torsions(atoms: &[[usize; 4]], positions: &[f64], width: usize) -> Vec<f64> {
    let rows = positions.chunks_exact(width);
    rows.flat_map(|x| atoms.iter().map(|&atoms| torsion(x, atoms)))
        .collect()
}

/// Log weights of the flow's samples and of the held-out frames.
pub(super) struct Weights {
    samples: Vec<f64>,
    frames: Vec<f64>,
}

impl Weights {
    /// Frames whose energy is not finite are none of the target's and do not count.
    pub fn new(samples: &[f64], frames: &[f64]) -> Self {
        let known = |&&w: &&f64| w != f64::NEG_INFINITY && !w.is_nan();
        Weights {
            samples: samples.to_vec(),
            frames: frames.iter().filter(known).copied().collect(),
        }
    }

    /// `-1/2 log ESS + KL(p || q)`: 0 of a flow that is the target. Infinite or NaN where it is worth nothing.
    pub fn score(&self) -> f64 {
        let forward = match self.frames.len() {
            0 => 0.0,
            n => self.frames.iter().sum::<f64>() / n as f64 - log_mean(&self.samples),
        };
        // Not `max`, which would take NaN for 0.
        let forward = if forward < 0.0 { 0.0 } else { forward };
        forward - 0.5 * self.ess().ln()
    }

    /// Kish's ESS/N of the flow's samples, their weights cut at [`CLIP`].
    pub fn ess(&self) -> f64 {
        metric::ess_per_n(&clip(&self.samples, CLIP).0)
    }

    /// `1 / E_p[w]`, at most 1.
    pub fn forward_ess(&self) -> f64 {
        1.0 / mean_weight(&self.frames, log_mean(&self.samples))
    }
}

/// `mean exp(log w - log Z)`, at least 1, which it is if weights are all the same, and whose mean over the target it is above; 1 of
/// nothing.
fn mean_weight(log_weights: &[f64], log_z: f64) -> f64 {
    if log_weights.is_empty() {
        return 1.0;
    }
    (log_mean(log_weights) - log_z).exp().max(1.0)
}

/// Logarithm of the mean of the weights.
fn log_mean(log_weights: &[f64]) -> f64 {
    let largest = log_weights
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    let sum: f64 = log_weights.iter().map(|w| (w - largest).exp()).sum();
    largest + (sum / log_weights.len() as f64).ln()
}

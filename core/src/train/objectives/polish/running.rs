//! A polish at work.

use super::PolishOptions;
use super::buffer::{Buffer, clip};
use super::judge::Judge;
use super::score::{Scored, Target};
use crate::coordinates::Configurations;
use crate::dataset::Dataset;
use crate::math::{Purpose, Streams};
use crate::model::Model;
use crate::sample::{Resampling, draw, mean_reduced_energy};
use crate::tensor::{Tensor, Var};
use crate::train::TrainError;
use crate::train::objectives::terms::{Terms, sum_f64};
use crate::train::objectives::{Array, Arrays, At, Batch, Context, Network, Rows, Running, Sums};
use crate::train::state::Judgement;

/// Columns: features, `[B, D]`, and with forces also the gradient of the target's log density by them, `[B, D]`, the share of the
/// path gradient, `[B]`, and the weight of the row in the loss that is told, `[B]`: 0 for plain samples, whose likelihood means
/// nothing.
const X1: usize = 0;
const SCORES: usize = 1;
pub(super) const SHARE: usize = 2;
const TOLD: usize = 3;

/// Most of the gradient of a row that stands for the target that goes along the path. Both parts have the same expectation but
/// errors of their own, and where the flow is far off, in the tails, the slopes along the path are huge: there the likelihood
/// holds it. (Cutting large slopes off instead shifts the expectation, and training drifts away.)
const PATH_SHARE: f64 = 0.5;
/// Mean square of the slopes, per feature, at which the path has half of that share. Its error grows with the slopes and makes the flow
/// rougher, which makes the slopes larger: with a fixed share they grew from 15 to 1000 within 400 steps on the shipped frames. As
/// the share follows from the steps before, the expectation stays what it is.
const STEEP: f64 = 10.0;
/// What the running mean of the slopes keeps from step to step.
const MEMORY: f64 = 0.9;
/// Largest square of one row's slope that counts in the mean, per feature.
const MOST: f64 = 1e6;

/// A polish of one model with one energy.
pub(super) struct Polish<'a> {
    settings: &'a PolishOptions,
    model: &'a Model,
    dataset: &'a Dataset,
    seed: u64,
    target: Target<'a>,
    terms: Terms,
    judge: Judge,
    buffer: Buffer,
    /// Steps, and the sum over them of the part of the weight that was clipped.
    clipped: [f64; 2],
    /// Running mean of the square of the slopes, per feature; none before the first step, which goes by likelihood alone.
    slope: Option<f64>,
}

impl<'a> Polish<'a> {
    pub fn new(settings: &'a PolishOptions, context: Context<'a>) -> Result<Self, TrainError> {
        let Context {
            model,
            dataset,
            seed,
            ..
        } = context;
        let energy = context.energy()?;
        let held_out = dataset.validation_points(model.coordinates())?;
        let frames = Configurations {
            positions: &held_out.positions,
            n_atoms: model.n_atoms(),
        };
        let mean = mean_reduced_energy(energy, &frames, model.temperature())?;
        let target = Target::new(model, energy, settings, mean);
        Ok(Polish {
            judge: Judge::new(&held_out, &target, settings, seed)?,
            terms: Terms::new(model.prior(), model.device())?,
            buffer: Buffer::default(),
            clipped: [0.0; 2],
            slope: None,
            settings,
            model,
            dataset,
            seed,
            target,
        })
    }

    /// Draws what a step needs from the model as it is: the whole buffer the first time.
    fn refill(&mut self) -> Result<(), TrainError> {
        let n = match self.buffer.is_empty() {
            true => self.settings.buffer,
            false => self.settings.fresh,
        };
        let streams = Streams::new(Purpose::PolishBuffer, self.seed);
        let (features, log_q) = self.model.sample_features(n, streams, self.buffer.drawn)?;
        let Scored { log_target, scores } = self.target.score(&features)?;
        let log_weight = log_target.iter().zip(&log_q);
        let log_weight = log_weight.map(|(log_target, log_q)| {
            let log_weight = log_target - log_q;
            if log_weight.is_finite() {
                log_weight
            } else {
                f64::NEG_INFINITY
            }
        });
        self.buffer.push(Buffer {
            log_weight: log_weight.collect(),
            features,
            scores,
            log_q,
            ..Buffer::default()
        });
        Ok(())
    }
}

impl Running for Polish<'_> {
    /// Data, weighted samples, plain samples, in this order.
    fn batch(&mut self, at: &At) -> Result<Batch, TrainError> {
        // The averaged parameters are the better proposal.
        at.averaged(|| self.refill())?;
        let (settings, size) = (self.settings, at.size);
        let part = |part: f64| (part * size as f64).round() as usize;
        let n_data = part(settings.data);
        // At least one row stands for the target.
        let n_plain = part(settings.reverse).min(size - n_data.max(1));
        let n_weighted = size - n_data - n_plain;
        let coordinates = self.model.coordinates();
        let mut x1 = self
            .dataset
            .training_features(coordinates, at.first, n_data, 0.0)?;
        let mut scores = match settings.forces {
            true => self.target.score(&x1)?.scores,
            false => Vec::new(),
        };

        let (clipped, share) = clip(&self.buffer.log_weight, settings.clip_quantile);
        self.clipped = [self.clipped[0] + 1.0, self.clipped[1] + share];
        let random = Streams::new(Purpose::PolishChoice, self.seed).at(at.step as u64);
        let mut rows = draw(Resampling::Systematic, &clipped, n_weighted, random)?;
        // The entropy of the weighted samples is the target's and not the flow's: those that drew them had at most this loss, and a
        // flow that learns has less.
        let log_q: f64 = rows.iter().map(|&row| self.buffer.log_q[row]).sum();
        let floor = -log_q / (n_data + rows.len()).max(1) as f64;

        rows.extend(self.buffer.newest(n_plain));
        let size = n_data + rows.len();
        let n_plain = size - n_data - n_weighted;
        let dimension = self.model.prior().dimension();
        for row in rows {
            let range = row * dimension..(row + 1) * dimension;
            x1.extend_from_slice(&self.buffer.features[range.clone()]);
            if settings.forces {
                scores.extend_from_slice(&self.buffer.scores[range]);
            }
        }
        let columns = if settings.forces {
            let by_kind = |target: f64, plain: f64| {
                let mut column = vec![target as f32; size - n_plain];
                column.resize(size, plain as f32);
                column
            };
            let told = size as f64 / (size - n_plain) as f64;
            {
                let share = self
                    .slope
                    .map_or(0.0, |slope| PATH_SHARE / (1.0 + slope / STEEP));
                vec![x1, scores, by_kind(share, 1.0), by_kind(told, 0.0)]
            }
        } else {
            vec![x1]
        };
        Ok(Batch::new(size, columns).taking(n_data).with_floor(floor))
    }

    fn loss(&self, network: Network, rows: &Rows) -> Result<Tensor, TrainError> {
        let x1 = self.terms.features(rows.column(X1))?;
        let (x0, log_det) = network.flow().inverse(&x1)?;
        sum_f64(&self.terms.negative_log_density(&x0, &log_det)?)
    }

    /// With forces, a share of the gradient of a row that stands for the target, and all of that of a plain sample, is not that
    /// of the likelihood but that along the path of the point alone, i.e. of `x0(theta) . G` with `x0(theta) = f^-1(x1)` and
    /// `G = d/dx0 [log p(f(x0)) + log |det J_f(x0)| - log p0(x0)]` held fixed. Over points of the target `p` it has the
    /// expectation of the likelihood's gradient, but uses the target's slope at each point and vanishes, with its variance,
    /// where `q = p`; over points of `q` it is the whole gradient of `KL(q || p)`, to which the likelihood adds nothing (Vaitl,
    /// Winkler, Richter, Kessel, ICLR 2024, arXiv 2403.15881).
    fn differentiable(&self, model: &Model, rows: &Rows) -> Result<(Tensor, Sums), TrainError> {
        if !self.settings.forces {
            let sum = self.loss(Network::training(model), rows)?;
            let loss = sum.to_scalar::<f64>()?;
            return Ok((sum, Sums { loss, slope: 0.0 }));
        }
        let terms = &self.terms;
        let share = terms.numbers(rows.column(SHARE))?;
        let told = rows.column(TOLD);
        let x1 = terms.features(rows.column(X1))?;
        let (x0, log_det) = Network::training(model).flow().inverse(&x1)?;
        let likelihood = terms.negative_log_density(&x0, &log_det)?;
        let value = (likelihood.detach() * terms.numbers(told)?)?.sum_all()?;

        let start = Var::from_tensor(&x0.detach())?;
        let (y, log_det) = Network::plain(model).flow().forward(start.as_tensor())?;
        let scores = terms.features(rows.column(SCORES))?;
        let pulled_back = (sum_f64(&(y * scores)?)? + sum_f64(&log_det)?)?;
        let gradients = pulled_back.backward()?;
        let prior = terms.prior_slope(start.as_tensor())?;
        let slope = match gradients.get(start.as_tensor()) {
            Some(gradient) => (gradient + prior)?,
            None => prior,
        }
        .detach();
        let squares = slope.sqr()?.mean(1)?.to_vec1::<f32>()?;
        let squares = squares.iter().zip(rows.column(TOLD));
        let squares = squares.map(|(&square, &told)| f64::from(square).min(MOST) * f64::from(told));
        let told = Sums {
            loss: value.to_scalar::<f64>()?,
            slope: squares.sum(),
        };
        let path = (x0 * slope)?.to_dtype(likelihood.dtype())?.sum(1)?;
        let rest = share.affine(-1.0, 1.0)?;
        let sum = ((path * share)? + (likelihood * rest)?)?.sum_all()?;
        Ok((sum, told))
    }

    fn stepped(&mut self, slope: f64) {
        let before = self.slope.unwrap_or(slope);
        self.slope = Some(MEMORY * before + (1.0 - MEMORY) * slope);
    }

    fn judge(&mut self) -> Result<Judgement, TrainError> {
        self.judge.judge(&self.target, &self.terms)
    }

    fn state(&self) -> Arrays {
        let mut arrays = Arrays::new();
        self.buffer.save(&mut arrays);
        arrays.insert("clipped".into(), Array::F64(self.clipped.to_vec()));
        let slope = Array::F64(self.slope.into_iter().collect());
        arrays.insert("slope".into(), slope);
        arrays
    }

    fn restore(&mut self, mut state: Arrays) -> Result<(), String> {
        let dimension = self.model.prior().dimension();
        self.buffer = Buffer::load(&mut state, dimension, self.settings.forces)?;
        let mut numbers = |name: &str| match state.remove(name) {
            Some(Array::F64(numbers)) => Ok(numbers),
            _ => Err(format!("the {name} of the polish is missing")),
        };
        let (clipped, slope) = (numbers("clipped")?, numbers("slope")?);
        self.clipped = clipped
            .try_into()
            .map_err(|_| "the clipped weight of the polish is not two numbers")?;
        self.slope = slope.first().copied();
        Ok(())
    }

    fn clipped(&self) -> Option<f64> {
        Some(self.clipped[1] / self.clipped[0].max(1.0))
    }
}

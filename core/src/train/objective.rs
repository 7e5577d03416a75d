//! The losses of MATH "Training objectives".

use std::ops::Range;

use regflow_plugin::abi::op;
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::options::check;
use crate::coordinates::FeatureKind;
use crate::model::Prior;
use crate::plugin::Flow;
use crate::tensor::{self, DType, Device, Tensor, Var};

/// What keeps a regressed flow invertible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regularisation {
    /// `(log |det J_f(x0)|)^2`.
    #[default]
    LogDet,
    /// `|| f^-1(f(x0)) - x0 ||^2`.
    ForwardBackward,
}

/// What a stage of a training run minimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// `mean_b || f(x0) - (x1 + lambda_n eps) ||^2 + weight R` on pairs (arXiv 2506.01158).
    Regression,
    /// `- mean_b log q(x1)` of data.
    Likelihood,
    /// Kullback-Leibler divergence between target and flow, on the flow's own weighted samples and on data.
    Polish,
}

impl Objective {
    /// The name used on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Objective::Regression => "regression",
            Objective::Likelihood => "likelihood",
            Objective::Polish => "polish",
        }
    }
}

/// Settings of a regression.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Regression {
    /// The regulariser R.
    pub regularisation: Regularisation,
    /// Its weight `lambda_r`; the paper's useful range is 1e-6 to 1e-5.
    pub weight: f64,
}

impl Default for Regression {
    fn default() -> Self {
        Regression {
            regularisation: Regularisation::LogDet,
            weight: 1e-6,
        }
    }
}

impl Regression {
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        let ok = self.weight >= 0.0 && self.weight.is_finite();
        check(ok, "regularisation-weight", self.weight, "0 or more")
    }
}

/// Part of a scored row's gradient that goes along the path. Both parts have the same expectation but errors of their own, and
/// where the flow is far off, in the tails, the slopes along the path are huge: there the likelihood holds it. (Cutting large
/// slopes off instead shifts the expectation, and training drifts away.)
const PATH_SHARE: f64 = 0.5;

/// Points of one step.
pub(super) enum Batch {
    /// Features whose likelihood counts, `[B, D]`.
    Points(Vec<f32>),
    /// Prior and data points of a regression, both `[B, D]`.
    Pairs(Vec<f32>, Vec<f32>),
    /// Features, and the gradient of the target's log density by them, both `[B, D]`.
    Scored(Vec<f32>, Vec<f32>),
}

/// Some rows of a [`Batch`].
#[derive(Clone, Copy)]
pub(super) enum Rows<'a> {
    Points(&'a [f32]),
    Pairs(&'a [f32], &'a [f32]),
    Scored(&'a [f32], &'a [f32]),
}

impl Batch {
    /// Numbers in one array of the batch, `B D`.
    pub fn len(&self) -> usize {
        match self {
            Batch::Points(x1) | Batch::Pairs(_, x1) | Batch::Scored(x1, ..) => x1.len(),
        }
    }

    /// The rows to which the `range` of numbers belongs.
    pub fn rows(&self, range: Range<usize>) -> Rows<'_> {
        match self {
            Batch::Points(x1) => Rows::Points(&x1[range]),
            Batch::Pairs(x0, x1) => Rows::Pairs(&x0[range.clone()], &x1[range]),
            Batch::Scored(x1, scores) => Rows::Scored(&x1[range.clone()], &scores[range]),
        }
    }
}

/// The losses, bound to the feature kinds of a model.
pub(super) struct Loss {
    regression: Regression,
    /// `[1, D]`: 1 where the feature is real, 0 where it is circular.
    real: Tensor,
    any_circular: bool,
    /// `log p0` of the origin: every constant of the prior.
    log_prior_constant: f64,
    dimension: usize,
    device: Device,
}

impl Loss {
    pub fn new(regression: Regression, prior: &Prior, device: &Device) -> Result<Self, TrainError> {
        let kinds = prior.kinds();
        let real: Vec<f32> = kinds
            .iter()
            .map(|kind| f32::from(*kind == FeatureKind::Real))
            .collect();
        Ok(Loss {
            regression,
            any_circular: kinds.contains(&FeatureKind::Circular),
            real: Tensor::from_vec(real, (1, kinds.len()), device)?,
            log_prior_constant: prior.log_density(&vec![0.0; kinds.len()])[0],
            dimension: kinds.len(),
            device: device.clone(),
        })
    }

    /// Sum of the losses of all rows, `[]` in f64: sums of parts of a batch add up to that of the whole. Scored rows have
    /// the loss of points.
    pub fn sum(&self, flow: &Flow, rows: Rows) -> Result<Tensor, TrainError> {
        match rows {
            Rows::Points(x1) | Rows::Scored(x1, ..) => {
                let (x0, log_det) = flow.inverse(&self.tensor(x1)?)?;
                self.negative_log_density(&x0, &log_det)
            }
            Rows::Pairs(x0, x1) => {
                let (x0, x1) = (self.tensor(x0)?, self.tensor(x1)?);
                let (y, log_det) = flow.forward(&x0)?;
                let loss = self.squared_distance(&y, &x1)?;
                let regulariser = match self.regression.regularisation {
                    Regularisation::LogDet => sum_f64(&log_det.sqr()?)?,
                    Regularisation::ForwardBackward => {
                        let (back, _) = flow.inverse(&y)?;
                        self.squared_distance(&back, &x0)?
                    }
                };
                Ok((loss + (regulariser * self.regression.weight)?)?)
            }
        }
    }

    /// What a step differentiates by the parameters of `training`, and the loss (see [`Loss::sum`]). `flow` is the same flow
    /// without a gradient graph.
    ///
    /// For scored rows these differ. [`PATH_SHARE`] of the gradient is not that of the likelihood but that of `KL(p || q)` along
    /// the path of each point only, i.e. of `sum_b x0(theta) . G` with `x0(theta) = f^-1(x1)` and
    /// `G = d/dx0 [log p(f(x0)) + log |det J_f(x0)| - log p0(x0)]` held fixed. It has the expectation of the likelihood's
    /// gradient, but uses the target's slope at each point and vanishes, with its variance, where `q = p` (Vaitl, Winkler,
    /// Richter, Kessel, ICLR 2024, arXiv 2403.15881).
    pub fn differentiable(
        &self,
        training: &Flow,
        flow: &Flow,
        rows: Rows,
    ) -> Result<(Tensor, f64), TrainError> {
        let Rows::Scored(x1, scores) = rows else {
            let sum = self.sum(training, rows)?;
            let value = sum.to_scalar::<f64>()?;
            return Ok((sum, value));
        };
        let (x0, log_det) = training.inverse(&self.tensor(x1)?)?;
        let likelihood = self.negative_log_density(&x0, &log_det)?;
        let value = likelihood.to_scalar::<f64>()?;
        let start = Var::from_tensor(&x0.detach())?;
        let (y, log_det) = flow.forward(start.as_tensor())?;
        let pulled_back = (sum_f64(&(y * self.tensor(scores)?)?)? + sum_f64(&log_det)?)?;
        let gradients = pulled_back.backward()?;
        let prior = start.as_tensor().broadcast_mul(&self.real)?;
        let path = match gradients.get(start.as_tensor()) {
            Some(gradient) => (gradient + prior)?,
            None => prior,
        };
        let path = (sum_f64(&(x0 * path.detach())?)? * PATH_SHARE)?;
        let sum = (path + (likelihood * (1.0 - PATH_SHARE))?)?;
        Ok((sum, value))
    }

    fn negative_log_density(&self, x0: &Tensor, log_det: &Tensor) -> Result<Tensor, TrainError> {
        let squares = sum_f64(&x0.broadcast_mul(&self.real)?.sqr()?)?;
        let constant = x0.dim(0)? as f64 * self.log_prior_constant;
        let log_q = (squares.affine(-0.5, constant)? + sum_f64(log_det)?)?;
        Ok(log_q.neg()?)
    }

    /// Sum over rows and features of squared differences, wrapped to (-pi, pi] on circular features.
    fn squared_distance(&self, a: &Tensor, b: &Tensor) -> Result<Tensor, TrainError> {
        let difference = (a - b)?;
        if !self.any_circular {
            return sum_f64(&difference.sqr()?);
        }
        let wrapped = tensor::apply(op::WRAP, &[&difference], &[])
            .map_err(crate::tensor::Error::wrap)?
            .swap_remove(0);
        let mask = self.real.broadcast_as(difference.shape())?;
        sum_f64(&mask.gt(0.5)?.where_cond(&difference, &wrapped)?.sqr()?)
    }

    fn tensor(&self, rows: &[f32]) -> Result<Tensor, TrainError> {
        let shape = (rows.len() / self.dimension, self.dimension);
        Ok(Tensor::from_slice(rows, shape, &self.device)?)
    }
}

fn sum_f64(tensor: &Tensor) -> Result<Tensor, TrainError> {
    Ok(tensor.to_dtype(DType::F64)?.sum_all()?)
}

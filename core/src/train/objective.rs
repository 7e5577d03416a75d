//! The losses of MATH "Training objectives".

use regflow_plugin::abi::op;
use serde::{Deserialize, Serialize};

use super::TrainError;
use crate::coordinates::FeatureKind;
use crate::flow::Prior;
use crate::plugin::Flow;
use crate::tensor::{self, DType, Device, Tensor};

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

/// What a training run minimises.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Objective {
    /// `mean_b || f(x0) - (x1 + lambda_n eps) ||^2 + weight R` on pairs (arXiv 2506.01158).
    Regression {
        /// The regulariser R.
        regularisation: Regularisation,
        /// Its weight `lambda_r`; the paper's useful range is 1e-6 to 1e-5.
        weight: f64,
    },
    /// `- mean_b log q(x1)`.
    Likelihood,
}

impl Objective {
    /// The name used on the command line and in files.
    pub fn name(&self) -> &'static str {
        match self {
            Objective::Regression { .. } => "regression",
            Objective::Likelihood => "likelihood",
        }
    }

    pub(super) fn validate(&self) -> Result<(), TrainError> {
        match *self {
            Objective::Regression { weight, .. } if !(weight >= 0.0 && weight.is_finite()) => {
                Err(TrainError::Option {
                    name: "regularisation-weight",
                    found: weight.to_string(),
                    expected: "0 or more",
                })
            }
            _ => Ok(()),
        }
    }
}

/// Points of one step: features of data, and for regression their prior partners.
pub(super) struct Batch {
    /// `[B, D]`; `None` for objectives without pairs.
    pub x0: Option<Vec<f32>>,
    /// `[B, D]`.
    pub x1: Vec<f32>,
}

/// An objective bound to the feature kinds of a model.
pub(super) struct Loss {
    objective: Objective,
    /// `[1, D]`: 1 where the feature is real, 0 where it is circular.
    real: Tensor,
    any_circular: bool,
    /// `log p0` of the origin: every constant of the prior.
    log_prior_constant: f64,
    dimension: usize,
    device: Device,
}

impl Loss {
    pub fn new(objective: Objective, prior: &Prior, device: &Device) -> Result<Self, TrainError> {
        let kinds = prior.kinds();
        let real: Vec<f32> = kinds
            .iter()
            .map(|kind| f32::from(*kind == FeatureKind::Real))
            .collect();
        Ok(Loss {
            objective,
            any_circular: kinds.contains(&FeatureKind::Circular),
            real: Tensor::from_vec(real, (1, kinds.len()), device)?,
            log_prior_constant: prior.log_density(&vec![0.0; kinds.len()])[0],
            dimension: kinds.len(),
            device: device.clone(),
        })
    }

    /// Sum of the losses of all rows, `[]` in f64: sums of parts of a batch add up to that of the whole.
    pub fn sum(&self, flow: &Flow, x0: Option<&[f32]>, x1: &[f32]) -> Result<Tensor, TrainError> {
        let x1 = self.tensor(x1)?;
        match (self.objective, x0) {
            (Objective::Likelihood, _) => {
                let (x0, log_det) = flow.inverse(&x1)?;
                let squares = sum_f64(&x0.broadcast_mul(&self.real)?.sqr()?)?;
                let rows = x1.dim(0)? as f64;
                let log_q =
                    (squares.affine(-0.5, rows * self.log_prior_constant)? + sum_f64(&log_det)?)?;
                Ok(log_q.neg()?)
            }
            (Objective::Regression { .. }, None) => Err(TrainError::Option {
                name: "objective",
                found: self.objective.name().into(),
                expected: "pairs of a target source",
            }),
            (
                Objective::Regression {
                    regularisation,
                    weight,
                },
                Some(x0),
            ) => {
                let x0 = self.tensor(x0)?;
                let (y, log_det) = flow.forward(&x0)?;
                let loss = self.squared_distance(&y, &x1)?;
                let regulariser = match regularisation {
                    Regularisation::LogDet => sum_f64(&log_det.sqr()?)?,
                    Regularisation::ForwardBackward => {
                        let (back, _) = flow.inverse(&y)?;
                        self.squared_distance(&back, &x0)?
                    }
                };
                Ok((loss + (regulariser * weight)?)?)
            }
        }
    }

    /// Sum over rows and features of squared differences, wrapped to (-pi, pi] on circular features.
    fn squared_distance(&self, a: &Tensor, b: &Tensor) -> Result<Tensor, TrainError> {
        let difference = (a - b)?;
        if !self.any_circular {
            return sum_f64(&difference.sqr()?);
        }
        let wrapped = tensor::apply(op::WRAP, &[&difference], &[])
            .map_err(candle_core::Error::wrap)?
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

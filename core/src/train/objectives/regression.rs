//! Regression on pairs: `L = mean_b || f(x0) - (x1 + lambda_n eps) ||^2 + weight R` (arXiv 2506.01158).

use serde::{Deserialize, Serialize};

use super::terms::{Terms, sum_f64};
use super::{At, Batch, Context, Needs, Network, Rows, Running, Settings};
use crate::model::Model;
use crate::pairs::Pairs;
use crate::tensor::Tensor;
use crate::train::TrainError;
use crate::train::gradient::mean_loss;
use crate::train::options::{Stage, check};
use crate::train::state::Judgement;

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

impl Settings for Regression {
    const NAME: &'static str = "regression";
    const LOSS: &'static str = "squared distance";

    fn validate(&self, _: &Stage) -> Result<(), TrainError> {
        let ok = self.weight >= 0.0 && self.weight.is_finite();
        check(ok, "regression weight", self.weight, "0 or more")
    }

    fn needs(&self) -> Needs {
        Needs {
            pairs: true,
            ..Needs::default()
        }
    }

    fn begin<'a>(&'a self, context: Context<'a>) -> Result<Box<dyn Running + 'a>, TrainError> {
        let (model, pairs) = (context.model, context.pairs()?);
        let (x0, x1) = pairs.validation();
        let rows = x0.len() / model.prior().dimension();
        Ok(Box::new(Regressed {
            settings: self,
            model,
            pairs,
            noise: context.stage.noise,
            seed: context.seed,
            terms: Terms::new(model.prior(), model.device())?,
            held_out: Batch::new(rows, vec![x0, x1]),
        }))
    }
}

/// Columns: prior and data points, both `[B, D]`.
const X0: usize = 0;
const X1: usize = 1;

struct Regressed<'a> {
    settings: &'a Regression,
    model: &'a Model,
    pairs: &'a Pairs,
    noise: f64,
    seed: u64,
    terms: Terms,
    held_out: Batch,
}

impl Running for Regressed<'_> {
    fn batch(&mut self, at: &At) -> Result<Batch, TrainError> {
        let (x0, x1) = self.pairs.batch(at.first, at.size, self.noise, self.seed)?;
        Ok(Batch::new(at.size, vec![x0, x1]).taking(at.size))
    }

    fn loss(&self, network: Network, rows: &Rows) -> Result<Tensor, TrainError> {
        let x0 = self.terms.features(rows.column(X0))?;
        let x1 = self.terms.features(rows.column(X1))?;
        let (y, log_det) = network.flow().forward(&x0)?;
        let loss = self.terms.squared_distance(&y, &x1)?;
        let regulariser = match self.settings.regularisation {
            Regularisation::LogDet => sum_f64(&log_det.sqr()?)?,
            Regularisation::ForwardBackward => {
                let (back, _) = network.flow().inverse(&y)?;
                self.terms.squared_distance(&back, &x0)?
            }
        };
        Ok((loss + (regulariser * self.settings.weight)?)?)
    }

    fn judge(&mut self) -> Result<Judgement, TrainError> {
        Ok(Judgement::by_loss(mean_loss(
            self.model,
            self,
            &self.held_out,
        )?))
    }
}

//! Maximum likelihood: `L = - mean_b log q(x1)` of the frames.

use serde::{Deserialize, Serialize};

use super::terms::{Terms, sum_f64};
use super::{At, Batch, Context, Needs, Network, Rows, Running, Settings};
use crate::dataset::Dataset;
use crate::model::Model;
use crate::tensor::Tensor;
use crate::train::TrainError;
use crate::train::gradient::mean_loss;
use crate::train::options::Stage;
use crate::train::state::Judgement;

/// Settings of maximum likelihood: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Likelihood {}

impl Settings for Likelihood {
    const NAME: &'static str = "likelihood";
    const LOSS: &'static str = "-log q of features";

    fn validate(&self, _: &Stage) -> Result<(), TrainError> {
        Ok(())
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn begin<'a>(&'a self, context: Context<'a>) -> Result<Box<dyn Running + 'a>, TrainError> {
        let Context { model, dataset, .. } = context;
        let held_out = dataset.validation_features(model.coordinates())?;
        let rows = held_out.len() / model.prior().dimension();
        Ok(Box::new(Likely {
            model,
            dataset,
            noise: context.stage.noise,
            terms: Terms::new(model.prior(), model.device())?,
            held_out: Batch::new(rows, vec![held_out]),
        }))
    }
}

/// The only column: features, `[B, D]`.
const X1: usize = 0;

struct Likely<'a> {
    model: &'a Model,
    dataset: &'a Dataset,
    noise: f64,
    terms: Terms,
    held_out: Batch,
}

impl Running for Likely<'_> {
    fn batch(&mut self, at: &At) -> Result<Batch, TrainError> {
        let coordinates = self.model.coordinates();
        let features =
            self.dataset
                .training_features(coordinates, at.first, at.size, self.noise)?;
        Ok(Batch::new(at.size, vec![features]).taking(at.size))
    }

    fn loss(&self, network: Network, rows: &Rows) -> Result<Tensor, TrainError> {
        let x1 = self.terms.features(rows.column(X1))?;
        let (x0, log_det) = network.flow().inverse(&x1)?;
        sum_f64(&self.terms.negative_log_density(&x0, &log_det)?)
    }

    fn judge(&mut self) -> Result<Judgement, TrainError> {
        Ok(Judgement::by_loss(mean_loss(
            self.model,
            self,
            &self.held_out,
        )?))
    }
}

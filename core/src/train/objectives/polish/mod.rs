//! Training with the energy: the flow samples, the samples are weighted, and the parameters follow.
//!
//! Every batch is a mixture of data, of weighted samples (drawn from a buffer with probabilities proportional to their
//! clipped weights) and of plain samples. Data and weighted samples stand for the target `p`, so that their rows give the
//! forward divergence `KL(p || q)`; plain samples stand for the flow, and give the reverse one, `KL(q || p)`. With forces all
//! rows have the same path gradient: the two divergences differ in the points alone (Vaitl et al., arXiv 2403.15881).

mod buffer;
mod judge;
mod running;
mod score;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::{Context, Needs, Running, Settings};
use crate::train::TrainError;
use crate::train::options::{Stage, check};

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

impl Settings for PolishOptions {
    const NAME: &'static str = "polish";
    const LOSS: &'static str = "-log q of features";

    fn validate(&self, stage: &Stage) -> Result<(), TrainError> {
        check(
            stage.noise == 0.0,
            "noise",
            stage.noise,
            "0 in a polish, whose target is exact",
        )?;
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
            "polish clip_quantile",
            self.clip_quantile,
            "above 0, at most 1",
        )?;
        let ok = self.energy_limit >= 0.0;
        check(ok, "polish energy_limit", self.energy_limit, "0 or more")?;
        check(
            self.validation_samples >= 100,
            "polish validation_samples",
            self.validation_samples,
            "at least 100",
        )
    }

    fn needs(&self) -> Needs {
        Needs {
            pairs: false,
            energy: true,
            forces: self.forces,
        }
    }

    fn begin<'a>(&'a self, context: Context<'a>) -> Result<Box<dyn Running + 'a>, TrainError> {
        Ok(Box::new(running::Polish::new(self, context)?))
    }
}

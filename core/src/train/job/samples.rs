//! What fresh samples say of the model that a stage ends with.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::energy::Energy;
use crate::math::{Purpose, Streams};
use crate::metric::{Estimate, Populations};
use crate::model::Model;
use crate::sample::WeightedSamples;
use crate::train::TrainError;

/// Samples that are drawn.
const SAMPLES: usize = 10_000;

/// Figures of fresh samples of a model. Weights need an energy; what needs weights is absent without one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreshSamples {
    /// Number of samples.
    pub n: usize,
    /// Kish's effective sample size over N.
    pub ess_per_n: Option<f64>,
    /// The same without the largest 0.2 % of the weights.
    pub ess_per_n_trimmed: Option<f64>,
    /// Pareto k-hat of the weights' tail.
    pub k_hat: Option<f64>,
    /// Populations of the backbone's basins; none for a molecule without a backbone.
    pub populations: Vec<SampledPopulation>,
}

/// Part of the samples in a basin, with standard errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampledPopulation {
    /// Name of the basin.
    pub basin: String,
    /// Part of the samples as the model draws them.
    pub raw: f64,
    /// Its standard error.
    pub raw_error: Option<f64>,
    /// Part of the weight.
    pub weighted: Option<f64>,
    /// Its standard error.
    pub weighted_error: Option<f64>,
}

impl FreshSamples {
    /// Draws samples of `model`, the same ones every time, and weighs them where there is an energy.
    ///
    /// # Errors
    /// The model or the energy fails.
    pub fn of(model: &Model, energy: Option<&dyn Energy>) -> Result<FreshSamples, TrainError> {
        let drawn = model.sample(SAMPLES, Streams::new(Purpose::StageSamples, 0), 0)?;
        let mut populations = Populations::new(model.topology());
        populations.extend(&drawn.positions);
        let raw = populations.weighted(&vec![0.0; SAMPLES])?;
        let finite = |value: f64| value.is_finite().then_some(value);
        let mut judged = FreshSamples {
            n: SAMPLES,
            ess_per_n: None,
            ess_per_n_trimmed: None,
            k_hat: None,
            populations: raw
                .into_iter()
                .map(|(basin, found)| SampledPopulation {
                    basin: basin.to_owned(),
                    raw: found.value,
                    raw_error: finite(found.error),
                    weighted: None,
                    weighted_error: None,
                })
                .collect(),
        };
        let Some(energy) = energy else {
            return Ok(judged);
        };
        let mut energies = vec![0.0; SAMPLES];
        energy.energies(&drawn.positions, &mut energies)?;
        let mut samples = WeightedSamples::new(model.temperature());
        samples.extend(&drawn.log_q, &energies);
        let found = samples.diagnostics(0);
        judged.ess_per_n = finite(found.ess);
        judged.ess_per_n_trimmed = finite(found.ess_trimmed);
        judged.k_hat = found.k_hat;
        let weighted = populations.weighted(&samples.log_weight)?;
        for (population, (_, found)) in judged.populations.iter_mut().zip(weighted) {
            population.weighted = finite(found.value);
            population.weighted_error = finite(found.error);
        }
        Ok(judged)
    }
}

impl fmt::Display for FreshSamples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".into(), |value| format!("{value:.digits$}"))
        };
        write!(f, "{} fresh samples", self.n)?;
        if let Some(ess) = self.ess_per_n {
            let trimmed = number(self.ess_per_n_trimmed, 4);
            let k_hat = number(self.k_hat, 2);
            write!(f, ": ESS/N {ess:.4} (trimmed {trimmed}), k-hat {k_hat}")?;
        }
        for (place, p) in self.populations.iter().enumerate() {
            let separator = if place == 0 { "; " } else { ", " };
            let estimate = |value, error: Option<f64>| Estimate {
                value,
                error: error.unwrap_or(f64::INFINITY),
            };
            let (basin, raw) = (&p.basin, estimate(p.raw, p.raw_error));
            match p.weighted {
                None => write!(f, "{separator}{basin} {raw}")?,
                Some(value) => {
                    let weighted = estimate(value, p.weighted_error);
                    write!(f, "{separator}{basin} {weighted} (unweighted {raw})")?;
                }
            }
        }
        Ok(())
    }
}

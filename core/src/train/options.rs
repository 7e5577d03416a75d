use serde::{Deserialize, Serialize};

use super::{Objective, TrainError};

/// Settings of a training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainOptions {
    /// What is minimised.
    pub objective: Objective,
    /// Optimiser steps.
    pub steps: usize,
    /// Wall time after which training ends, in seconds; the learning rate then follows the time instead of the steps, so
    /// that the run is not reproducible to the last bit.
    pub time_limit: Option<f64>,
    /// Configurations (or pairs) per step.
    pub batch: usize,
    /// Standard deviation of normal noise on the data's features, drawn anew for every step: `lambda_n` of a regression's
    /// targets; for maximum likelihood it keeps small data sets from being memorised.
    pub noise: f64,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Part of the run in which the learning rate rises linearly to its peak, 0 to 1.
    pub warm_up: f64,
    /// Decoupled weight decay of AdamW.
    pub weight_decay: f64,
    /// Largest norm of the gradient; larger ones are scaled down to it.
    pub clip: f64,
    /// Decay of the exponential moving average of the parameters, which is what the model keeps.
    pub ema: f64,
    /// Part of the frames, in whole blocks of time, held out for validation; 0 to 0.5.
    pub validation_fraction: f64,
    /// Steps between two validations; 0: twenty in a run.
    pub validation_every: usize,
    /// Validations without improvement after which training stops; 0: never.
    pub patience: usize,
    /// Whether frames are augmented with permutations of equivalent hydrogens.
    pub symmetry: bool,
    /// Seed of the initial parameters, the batches and the augmentation.
    pub seed: u64,
}

impl Default for TrainOptions {
    fn default() -> Self {
        TrainOptions {
            objective: Objective::Likelihood,
            steps: 2000,
            time_limit: None,
            batch: 512,
            noise: 0.0,
            learning_rate: 1e-3,
            warm_up: 0.02,
            weight_decay: 0.01,
            clip: 10.0,
            ema: 0.995,
            validation_fraction: 0.1,
            validation_every: 0,
            patience: 0,
            symmetry: true,
            seed: 0,
        }
    }
}

impl TrainOptions {
    /// Checks that every option is in its range.
    ///
    /// # Errors
    /// [`TrainError::Option`] names the first that is not.
    pub fn validate(&self) -> Result<(), TrainError> {
        let check = |ok: bool, name, found: String, expected| {
            if ok {
                Ok(())
            } else {
                Err(TrainError::Option {
                    name,
                    found,
                    expected,
                })
            }
        };
        let positive = |name, value: f64| {
            check(
                value > 0.0 && value.is_finite(),
                name,
                value.to_string(),
                "a positive number",
            )
        };
        check(
            self.steps > 0,
            "steps",
            self.steps.to_string(),
            "at least 1",
        )?;
        check(
            self.batch > 0,
            "batch",
            self.batch.to_string(),
            "at least 1",
        )?;
        positive("learning-rate", self.learning_rate)?;
        positive("clip", self.clip)?;
        if let Some(limit) = self.time_limit {
            positive("time-limit", limit)?;
        }
        for (name, value) in [("warm-up", self.warm_up), ("ema", self.ema)] {
            let ok = (0.0..1.0).contains(&value);
            check(ok, name, value.to_string(), "0 or more, below 1")?;
        }
        for (name, value) in [
            ("weight-decay", self.weight_decay),
            ("target-noise", self.noise),
        ] {
            let ok = value >= 0.0 && value.is_finite();
            check(ok, name, value.to_string(), "0 or more")?;
        }
        check(
            self.validation_fraction > 0.0 && self.validation_fraction <= 0.5,
            "validation-fraction",
            self.validation_fraction.to_string(),
            "above 0, at most 0.5",
        )?;
        self.objective.validate()
    }
}

use serde::{Deserialize, Serialize};

use super::{Needs, Objective, Recipe, TrainError};
use crate::dataset::DatasetOptions;

/// Settings of a training run: its stages, one after the other, and what they share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainOptions {
    /// What is done, in order; each stage starts from the best parameters of the one before.
    pub stages: Vec<Stage>,
    /// Part of the frames, in whole blocks of time, held out for validation; 0 to 0.5.
    pub validation_fraction: f64,
    /// Whether frames are augmented with permutations of equivalent hydrogens.
    pub symmetry: bool,
    /// Seed of the initial parameters, the batches, the augmentation and the samples of a polish.
    pub seed: u64,
}

impl Default for TrainOptions {
    fn default() -> Self {
        let dataset = DatasetOptions::default();
        TrainOptions {
            stages: Recipe::Default.stages(),
            validation_fraction: dataset.validation_fraction,
            symmetry: dataset.symmetry,
            seed: dataset.seed,
        }
    }
}

/// One stage of a training run: an objective with its settings, and its budget.
///
/// In files it has its own entries beside the two of [`Objective`]; entries that are unknown, or settings of another objective, are
/// refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stage {
    /// What is minimised.
    #[serde(flatten)]
    pub objective: Objective,
    /// Optimiser steps.
    pub steps: usize,
    /// Wall time after which the stage ends, in seconds, beside what stages before it left of theirs; the learning rate then follows the time instead of the steps, so
    /// that the run is not reproducible to the last bit.
    pub time_limit: Option<f64>,
    /// Configurations (or pairs) per step.
    pub batch: usize,
    /// Standard deviation of normal noise on the data's features, drawn anew for every step: `lambda_n` of a regression's
    /// targets; for maximum likelihood it keeps small data sets from being memorised.
    pub noise: f64,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Part of the stage in which the learning rate rises linearly to its peak, 0 to 1.
    pub warm_up: f64,
    /// Decoupled weight decay of AdamW.
    pub weight_decay: f64,
    /// Largest norm of the gradient; larger ones are scaled down to it.
    pub clip: f64,
    /// Decay of the exponential moving average of the parameters, which is what the model keeps.
    pub ema: f64,
    /// Steps between two validations; 0: twenty in a stage, but no less than 16 steps.
    pub validation_every: usize,
    /// Validations without improvement after which the stage ends; 0: never. After half of them it goes back to its best state,
    /// with half the learning rate.
    pub patience: usize,
}

impl Default for Stage {
    fn default() -> Self {
        Stage {
            objective: Objective::default(),
            steps: 2000,
            time_limit: None,
            batch: 512,
            noise: 0.0,
            learning_rate: 1e-3,
            warm_up: 0.02,
            weight_decay: 0.01,
            clip: 10.0,
            ema: 0.995,
            validation_every: 0,
            patience: 6,
        }
    }
}

impl TrainOptions {
    /// How the frames are divided and augmented.
    pub fn dataset(&self) -> DatasetOptions {
        DatasetOptions {
            validation_fraction: self.validation_fraction,
            symmetry: self.symmetry,
            seed: self.seed,
        }
    }

    /// A run of a single stage.
    pub fn single(stage: Stage) -> Self {
        TrainOptions {
            stages: vec![stage],
            ..TrainOptions::default()
        }
    }

    /// Bounds the whole run by `seconds` of wall time, divided among the stages by the rows that their steps would take. What a stage
    /// that ends early leaves of its part goes to the next.
    pub fn limit_time(&mut self, seconds: f64) {
        let rows = |stage: &Stage| stage.steps as f64 * stage.batch as f64;
        let total: f64 = self.stages.iter().map(rows).sum();
        for stage in &mut self.stages {
            stage.time_limit = Some(seconds * rows(stage) / total);
        }
    }

    /// What the stages must be given.
    pub fn needs(&self) -> Needs {
        let needs = self.stages.iter().map(|stage| stage.objective.needs());
        needs.fold(Needs::default(), Needs::and)
    }

    /// Checks that every option is in its range.
    ///
    /// # Errors
    /// [`TrainError::Option`] names the first that is not, [`TrainError::NoStage`] if there is nothing to do.
    pub fn validate(&self) -> Result<(), TrainError> {
        if self.stages.is_empty() {
            return Err(TrainError::NoStage);
        }
        check(
            self.validation_fraction > 0.0 && self.validation_fraction <= 0.5,
            "validation_fraction",
            self.validation_fraction,
            "above 0, at most 0.5",
        )?;
        self.stages.iter().try_for_each(Stage::validate)
    }
}

impl Stage {
    fn validate(&self) -> Result<(), TrainError> {
        let positive = |name, value: f64| {
            let ok = value > 0.0 && value.is_finite();
            check(ok, name, value, "a positive number")
        };
        check(self.steps > 0, "steps", self.steps, "at least 1")?;
        check(self.batch > 0, "batch", self.batch, "at least 1")?;
        positive("learning_rate", self.learning_rate)?;
        positive("clip", self.clip)?;
        if let Some(limit) = self.time_limit {
            positive("time_limit", limit)?;
        }
        for (name, value) in [("warm_up", self.warm_up), ("ema", self.ema)] {
            let ok = (0.0..1.0).contains(&value);
            check(ok, name, value, "0 or more, below 1")?;
        }
        for (name, value) in [("weight_decay", self.weight_decay), ("noise", self.noise)] {
            let ok = value >= 0.0 && value.is_finite();
            check(ok, name, value, "0 or more")?;
        }
        self.objective.validate(self)
    }

    /// Names of a stage's own entries in files.
    pub(super) fn entries() -> Vec<String> {
        let stage = serde_json::to_value(Stage::default()).unwrap_or_default();
        let names = stage.as_object().map(|object| object.keys().cloned());
        let mut names: Vec<String> = names.into_iter().flatten().collect();
        names.retain(|name| name != "objective");
        names
    }
}

/// An error that names the option unless `ok`.
pub(super) fn check(
    ok: bool,
    name: &'static str,
    found: impl ToString,
    expected: &'static str,
) -> Result<(), TrainError> {
    if ok {
        return Ok(());
    }
    Err(TrainError::Option {
        name,
        found: found.to_string(),
        expected,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::PolishOptions;

    #[test]
    fn time_is_divided_by_rows() {
        let polish = Stage {
            objective: Objective::Polish(PolishOptions::default()),
            steps: 100,
            ..Stage::default()
        };
        let likelihood = Stage {
            steps: 50,
            batch: 1024,
            ..Stage::default()
        };
        let mut options = TrainOptions {
            stages: vec![likelihood, polish],
            ..TrainOptions::default()
        };
        options.limit_time(60.0);
        let limits: Vec<_> = options.stages.iter().map(|s| s.time_limit).collect();
        assert_eq!(limits, [Some(30.0), Some(30.0)]);
    }

    #[test]
    fn every_recipe_is_valid_and_survives_serialisation() {
        for recipe in Recipe::ALL {
            let options = TrainOptions {
                stages: recipe.stages(),
                ..TrainOptions::default()
            };
            assert!(options.validate().is_ok(), "{recipe:?}");
            let text = serde_json::to_string(&options).unwrap();
            assert_eq!(
                serde_json::from_str::<TrainOptions>(&text).unwrap(),
                options
            );
        }
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let stage = Stage {
            objective: Objective::Polish(PolishOptions::default()),
            noise: 0.1,
            ..Stage::default()
        };
        let error = TrainOptions::single(stage).validate().unwrap_err();
        assert!(error.to_string().contains("`noise` is 0.1"), "{error}");
    }
}

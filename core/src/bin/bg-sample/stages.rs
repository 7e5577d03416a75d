//! What a training run does: a recipe, the stages of a configuration file, or a single stage from the command line.

use clap::builder::PossibleValuesParser;
use regflow::train::{Job, Objective, Recipe, Stage};

use crate::Outcome;
use crate::inputs::{json_argument, optional_json};

/// Options of the run; those of a single stage need `--objective`.
#[derive(clap::Args)]
#[group(skip)]
pub struct StageArguments {
    /// Ready-made stages: fast, default or best; if there is neither --objective nor --stage, default with --energy, else fast
    #[arg(long, conflicts_with_all = ["stages", "objective"])]
    recipe: Option<Recipe>,
    /// One stage: JSON, or a file of it; give it once for each, or as `[[stages]]` in the --config file
    #[arg(
        id = "stages",
        long = "stage",
        alias = "stages",
        value_name = "JSON|FILE"
    )]
    stages: Vec<String>,
    /// What is minimised, in a run of a single stage
    #[arg(long, conflicts_with = "stages", value_parser = PossibleValuesParser::new(Objective::NAMES))]
    objective: Option<String>,
    #[command(flatten)]
    single: Single,
    /// Seconds of training, instead of numbers of steps; several stages share them by their rows
    #[arg(long, value_name = "SECONDS", conflicts_with = "steps")]
    time_limit: Option<f64>,
    /// Part of the frames held out, in blocks of time
    #[arg(long, default_value_t = Job::default().validation_fraction)]
    validation_fraction: f64,
    /// Do not augment with permutations of equivalent hydrogens
    #[arg(long)]
    no_symmetry: bool,
}

/// Options of a run of a single stage.
#[derive(clap::Args)]
#[group(id = "single", multiple = true, requires = "objective", conflicts_with_all = ["recipe", "stages"])]
struct Single {
    /// Settings of the objective: JSON, or a file of it
    #[arg(long, value_name = "JSON|FILE")]
    objective_config: Option<String>,
    /// Standard deviation of the noise on the data's features (the targets of a regression) [default: 0]
    #[arg(long)]
    target_noise: Option<f64>,
    /// Optimiser steps [default: 2000]
    #[arg(long)]
    steps: Option<usize>,
    /// Frames or pairs per step [default: 512]
    #[arg(long)]
    batch: Option<usize>,
    /// Peak learning rate [default: 1e-3]
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Part of the stage in which the learning rate rises [default: 0.02]
    #[arg(long)]
    warm_up: Option<f64>,
    /// Weight decay of AdamW [default: 0.01]
    #[arg(long)]
    weight_decay: Option<f64>,
    /// Largest gradient norm [default: 10]
    #[arg(long)]
    clip: Option<f64>,
    /// Decay of the moving average of the parameters [default: 0.995]
    #[arg(long)]
    ema: Option<f64>,
    /// Steps between validations; 0: twenty in a stage, 16 steps apart or more [default: 0]
    #[arg(long)]
    validation_every: Option<usize>,
    /// Stop after so many validations without improvement; 0: never [default: 6]
    #[arg(long)]
    patience: Option<usize>,
}

impl StageArguments {
    /// Puts what is asked for into the job.
    pub fn fill(&self, job: &mut Job) -> Outcome {
        job.recipe = self.recipe;
        job.stages = self.stages()?;
        job.time_limit = self.time_limit;
        job.validation_fraction = self.validation_fraction;
        job.symmetry = !self.no_symmetry;
        Ok(())
    }

    fn stages(&self) -> Outcome<Option<Vec<Stage>>> {
        if let Some(objective) = &self.objective {
            return Ok(Some(vec![self.single.stage(objective)?]));
        }
        if self.stages.is_empty() {
            return Ok(None);
        }
        let stage = |text: &String| {
            serde_json::from_value(json_argument("--stage", text)?)
                .map_err(|e| format!("--stage {text}: {e}").into())
        };
        let stages = self.stages.iter().map(stage);
        stages.collect::<Outcome<_>>().map(Some)
    }
}

impl Single {
    fn stage(&self, objective: &str) -> Outcome<Stage> {
        let settings = optional_json("--objective-config", self.objective_config.as_deref())?;
        let settings = settings.unwrap_or_else(|| serde_json::json!({}));
        let default = Stage::default();
        Ok(Stage {
            objective: Objective::new(objective, settings)
                .map_err(|e| format!("--objective-config: {e}"))?,
            steps: self.steps.unwrap_or(default.steps),
            time_limit: None,
            batch: self.batch.unwrap_or(default.batch),
            noise: self.target_noise.unwrap_or(default.noise),
            learning_rate: self.learning_rate.unwrap_or(default.learning_rate),
            warm_up: self.warm_up.unwrap_or(default.warm_up),
            weight_decay: self.weight_decay.unwrap_or(default.weight_decay),
            clip: self.clip.unwrap_or(default.clip),
            ema: self.ema.unwrap_or(default.ema),
            validation_every: self.validation_every.unwrap_or(default.validation_every),
            patience: self.patience.unwrap_or(default.patience),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    #[test]
    fn settings_of_a_single_stage_are_never_ignored() {
        let parsed = |more: &[&str]| {
            let line = [
                "bg-sample",
                "train",
                "--trajectory",
                "a",
                "--topology",
                "b",
                "--out",
                "c",
            ];
            crate::Arguments::try_parse_from(line.iter().chain(more)).map(|_| ())
        };
        assert!(parsed(&["--objective", "likelihood", "--steps", "5", "--batch", "9"]).is_ok());
        assert!(parsed(&["--recipe", "fast", "--time-limit", "5"]).is_ok());
        for more in [
            &["--steps", "5"][..],
            &["--recipe", "fast", "--steps", "5"],
            &["--recipe", "fast", "--objective-config", "{}"],
            &["--stage", "{}", "--learning-rate", "1"],
        ] {
            assert!(parsed(more).is_err(), "{more:?}");
        }
    }
}

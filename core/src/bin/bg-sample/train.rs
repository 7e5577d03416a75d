use std::path::{Path, PathBuf};

use clap::ValueEnum;
use regflow::coordinates::{CoordinateKind, CoordinateOptions, ZMatrix};
use regflow::flow::Model;
use regflow::target::{PairOptions, Pairs};
use regflow::train::{Dataset, Objective, Regularisation, TrainOptions};
use regflow::{plugin, train};
use serde_json::json;

use crate::figures::Figures;
use crate::inputs::{self, FrameArguments};
use crate::progress::Reporter;
use crate::{Common, Outcome};

#[derive(Clone, Copy, ValueEnum)]
enum ObjectiveName {
    /// l2 regression on pairs of a target source
    Regression,
    /// Maximum likelihood
    Likelihood,
}

#[derive(Clone, Copy, ValueEnum)]
enum RegularisationName {
    /// Squared log-determinant
    LogDet,
    /// Squared distance between a prior point and its image mapped back
    ForwardBackward,
}

/// Train a flow on the frames of a trajectory
#[derive(clap::Args)]
#[command(after_help = "Example:\n  \
    bg-sample train --trajectory trajectory.dcd --topology topology.pdb --energy system.xml --temperature 300 \\\n    \
    --coordinates internal --architecture nsf --objective likelihood --out model.safetensors")]
pub struct Arguments {
    #[command(flatten)]
    frames: FrameArguments,
    /// Structure file with atoms and bonds (PDB, ...)
    #[arg(long, value_name = "FILE")]
    topology: PathBuf,
    /// Potential of the frames, an OpenMM System XML: checked against the molecule, and used for the reference energy
    #[arg(long, value_name = "FILE")]
    energy: PathBuf,
    /// Temperature of the frames, K
    #[arg(long)]
    temperature: f64,
    /// Features: internal, gauge or cartesian
    #[arg(long, default_value = "internal")]
    coordinates: CoordinateKind,
    /// User's Z-matrix for internal coordinates, JSON
    #[arg(long, value_name = "FILE")]
    z_matrix: Option<PathBuf>,
    /// Leave correlated features as they are instead of whitening them
    #[arg(long)]
    no_whitening: bool,
    /// Flow architecture: name of a plugin, or path of its library
    #[arg(long, default_value = "nsf")]
    architecture: String,
    /// Configuration of the architecture: JSON, or a file of it; `bg-sample plugins NAME` shows what there is
    #[arg(long, value_name = "JSON|FILE")]
    architecture_config: Option<String>,
    /// What is minimised
    #[arg(long, default_value = "regression")]
    objective: ObjectiveName,
    /// Source of the pairs for regression: name or path of a plugin, or file:PATH for pairs of your own (x0, x1)
    #[arg(long, default_value = "ot")]
    target: String,
    /// Configuration of the target source: JSON, or a file of it
    #[arg(long, value_name = "JSON|FILE")]
    target_config: Option<String>,
    /// Number of pairs to make for regression; as many as training frames without it
    #[arg(long)]
    pairs: Option<usize>,
    /// Folder that keeps the pairs, in shards; they are made anew without it
    #[arg(long, value_name = "DIR")]
    pairs_dir: Option<PathBuf>,
    /// Regulariser of the regression
    #[arg(long, default_value = "log-det")]
    regularisation: RegularisationName,
    /// Weight of the regulariser
    #[arg(long, default_value_t = 1e-6)]
    regularisation_weight: f64,
    /// Standard deviation of the noise on the data's features (the targets of a regression)
    #[arg(long, default_value_t = TrainOptions::default().noise)]
    target_noise: f64,
    /// Optimiser steps
    #[arg(long, default_value_t = TrainOptions::default().steps)]
    steps: usize,
    /// Seconds of training instead of a number of steps
    #[arg(long, value_name = "SECONDS", conflicts_with = "steps")]
    time_limit: Option<f64>,
    /// Frames or pairs per step
    #[arg(long, default_value_t = TrainOptions::default().batch)]
    batch: usize,
    /// Peak learning rate
    #[arg(long, default_value_t = TrainOptions::default().learning_rate)]
    learning_rate: f64,
    /// Part of the run in which the learning rate rises
    #[arg(long, default_value_t = TrainOptions::default().warm_up)]
    warm_up: f64,
    /// Weight decay of AdamW
    #[arg(long, default_value_t = TrainOptions::default().weight_decay)]
    weight_decay: f64,
    /// Largest gradient norm
    #[arg(long, default_value_t = TrainOptions::default().clip)]
    clip: f64,
    /// Decay of the moving average of the parameters
    #[arg(long, default_value_t = TrainOptions::default().ema)]
    ema: f64,
    /// Part of the frames held out, in blocks of time
    #[arg(long, default_value_t = TrainOptions::default().validation_fraction)]
    validation_fraction: f64,
    /// Steps between validations; 0: twenty in a run
    #[arg(long, default_value_t = TrainOptions::default().validation_every)]
    validation_every: usize,
    /// Stop after so many validations without improvement; 0: never
    #[arg(long, default_value_t = TrainOptions::default().patience)]
    patience: usize,
    /// Do not augment with permutations of equivalent hydrogens
    #[arg(long)]
    no_symmetry: bool,
    /// Training curve; beside the model without it
    #[arg(long, value_name = "FILE.csv")]
    curve: Option<PathBuf>,
    /// Model file to write
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
}

pub fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let options = arguments.options(common);
    options.validate()?;
    if !(arguments.temperature > 0.0 && arguments.temperature.is_finite()) {
        return Err(format!(
            "--temperature {}: expected a positive number of Kelvin",
            arguments.temperature
        )
        .into());
    }
    let device = inputs::device(common)?;
    let (topology, selection) = arguments.frames.topology(&arguments.topology)?;
    let energy = inputs::energy(common, &arguments.energy, &topology)?;
    let architecture = plugin::flow(&arguments.architecture)?;
    let positions = arguments.frames.read(&topology, selection)?;
    let mean_energy =
        regflow::sample::mean_reduced_energy(energy.as_ref(), &positions, arguments.temperature)?;

    let dataset = Dataset::new(positions, &topology, &options)?;
    eprintln!(
        "{} training and {} validation frames; mean reduced energy {mean_energy:.3}",
        dataset.n_training(),
        dataset.n_validation()
    );
    let coordinates = dataset.fit_coordinates(
        arguments.coordinates,
        &topology,
        &arguments.coordinate_options(architecture.info().circular)?,
    )?;
    let mut model = Model::new(
        &arguments.architecture,
        json_argument(
            "--architecture-config",
            arguments.architecture_config.as_deref(),
        )?,
        coordinates,
        topology,
        arguments.temperature,
        options.seed,
        &device,
    )?;
    model.check()?;
    let pairs = match options.objective {
        Objective::Likelihood => None,
        Objective::Regression { .. } => Some(arguments.make_pairs(&model, &dataset, &options)?),
    };

    let curve = arguments
        .curve
        .clone()
        .unwrap_or_else(|| arguments.out.with_extension("csv"));
    let mut reporter = Reporter::new(&curve)?;
    let summary = train::train(
        &mut model,
        &dataset,
        pairs.as_ref(),
        &options,
        &mut reporter,
    );
    let reported = reporter.finish();
    let summary = summary?;
    model.set_training_record(json!({
        "options": options,
        "summary": summary,
        "frames": { "training": dataset.n_training(), "validation": dataset.n_validation() },
        "target": pairs.as_ref().map(|pairs| pairs.describe()),
        "mean_reduced_energy": mean_energy,
        "regflow_version": env!("CARGO_PKG_VERSION"),
    }));
    model.save(&arguments.out)?;
    reported?;

    let mut figures = Figures::default();
    let objective = options.objective.name();
    figures.add("objective", objective, objective);
    figures.add("steps", summary.steps, summary.steps.to_string());
    figures.add(
        "seconds",
        summary.seconds,
        format!("{:.1}", summary.seconds),
    );
    figures.add(
        "validation",
        summary.validation,
        format!(
            "{:.4} ({} on held-out blocks, best at step {})",
            summary.validation,
            if pairs.is_some() {
                "squared distance"
            } else {
                "-log q of features"
            },
            summary.best_step
        ),
    );
    figures.add(
        "stopped_early",
        summary.stopped_early,
        summary.stopped_early.to_string(),
    );
    figures.add(
        "parameters",
        model.parameters().n_values(),
        model.parameters().n_values().to_string(),
    );
    let path = |path: &Path| path.display().to_string();
    figures.add("model", path(&arguments.out), path(&arguments.out));
    figures.add("curve", path(&curve), path(&curve));
    figures.print(common)
}

impl Arguments {
    fn options(&self, common: &Common) -> TrainOptions {
        TrainOptions {
            objective: match self.objective {
                ObjectiveName::Likelihood => Objective::Likelihood,
                ObjectiveName::Regression => Objective::Regression {
                    regularisation: match self.regularisation {
                        RegularisationName::LogDet => Regularisation::LogDet,
                        RegularisationName::ForwardBackward => Regularisation::ForwardBackward,
                    },
                    weight: self.regularisation_weight,
                },
            },
            steps: self.steps,
            time_limit: self.time_limit,
            batch: self.batch,
            noise: self.target_noise,
            learning_rate: self.learning_rate,
            warm_up: self.warm_up,
            weight_decay: self.weight_decay,
            clip: self.clip,
            ema: self.ema,
            validation_fraction: self.validation_fraction,
            validation_every: self.validation_every,
            patience: self.patience,
            symmetry: !self.no_symmetry,
            seed: common.seed,
        }
    }

    fn coordinate_options(&self, circular: bool) -> Outcome<CoordinateOptions> {
        let z_matrix = match &self.z_matrix {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|e| format!("{}: cannot read the Z-matrix: {e}", path.display()))?;
                Some(
                    serde_json::from_str::<ZMatrix>(&text)
                        .map_err(|e| format!("{} is not a Z-matrix: {e}", path.display()))?,
                )
            }
        };
        Ok(CoordinateOptions {
            circular,
            whiten: !self.no_whitening,
            z_matrix,
            ..CoordinateOptions::default()
        })
    }

    fn make_pairs(
        &self,
        model: &Model,
        dataset: &Dataset,
        options: &TrainOptions,
    ) -> Outcome<Pairs> {
        let pairs = PairOptions {
            source: self.target.clone(),
            config: json_argument("--target-config", self.target_config.as_deref())?,
            count: self.pairs.unwrap_or(dataset.n_training()),
            directory: self.pairs_dir.clone(),
            seed: options.seed,
        };
        let start = std::time::Instant::now();
        eprintln!(
            "making {} pairs with target source {}",
            pairs.count, pairs.source
        );
        let pairs = Pairs::make(model, dataset, &pairs)?;
        eprintln!(
            "{} pairs in {:.1} s, mean squared distance {:.4}",
            pairs.len(),
            start.elapsed().as_secs_f64(),
            pairs.mean_cost()
        );
        Ok(pairs)
    }
}

/// A JSON object given directly or as the name of a file that holds it; nothing stands for `{}`.
fn json_argument(option: &str, text: Option<&str>) -> Outcome<serde_json::Value> {
    let Some(text) = text else {
        return Ok(json!({}));
    };
    let content = if text.trim_start().starts_with('{') {
        text.to_owned()
    } else {
        std::fs::read_to_string(text).map_err(|e| {
            format!("{option} {text}: neither a JSON object nor a readable file: {e}")
        })?
    };
    serde_json::from_str(&content).map_err(|e| format!("{option} {text}: not JSON: {e}").into())
}

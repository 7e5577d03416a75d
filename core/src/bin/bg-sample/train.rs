use std::path::{Path, PathBuf};

use regflow::coordinates::{CoordinateKind, CoordinateOptions, ZMatrix};
use regflow::train::{Input, Job, Summary, Trained};
use serde_json::json;

use crate::figures::Figures;
use crate::inputs::{self, FrameArguments, OptionalEnergy, json_argument, optional_json};
use crate::progress::{Interrupt, Reporter};
use crate::stages::StageArguments;
use crate::{Common, Outcome};

/// Train a flow on the frames of a trajectory
#[derive(clap::Args)]
#[command(after_help = "Example:\n  \
    bg-sample train --trajectory trajectory.dcd --topology topology.pdb --energy system.xml --temperature 300 \\\n    \
    --recipe default --out model.safetensors\n\n\
    Without --energy there is likelihood and regression only, and no weights that judge a stage.\n\
    Ctrl-C saves the run; the same command with --resume continues it.")]
pub struct Arguments {
    #[command(flatten)]
    frames: FrameArguments,
    /// Structure file with atoms and bonds (PDB, ...)
    #[arg(long, value_name = "FILE")]
    topology: PathBuf,
    #[command(flatten)]
    energy: OptionalEnergy,
    /// Temperature of the frames, K; that of the model with --start-from
    #[arg(long)]
    temperature: Option<f64>,
    /// Features: internal, gauge or cartesian [default: internal]
    #[arg(long)]
    coordinates: Option<CoordinateKind>,
    /// How they are fitted: JSON, or a file of it: `whiten`, `z_matrix`, `gauge_atoms`
    #[arg(long, value_name = "JSON|FILE")]
    coordinate_options: Option<String>,
    /// User's Z-matrix for internal coordinates, JSON
    #[arg(long, value_name = "FILE")]
    z_matrix: Option<PathBuf>,
    /// Leave correlated features as they are instead of whitening them
    #[arg(long)]
    no_whitening: bool,
    /// Flow architecture: name of a plugin, or path of its library [default: nsf]
    #[arg(long)]
    architecture: Option<String>,
    /// Configuration of the architecture: JSON, or a file of it; `bg-sample plugins NAME` shows what there is
    #[arg(long, value_name = "JSON|FILE")]
    architecture_config: Option<String>,
    /// Go on from a model instead of a new one: its molecule, coordinates, architecture and parameters
    #[arg(long, value_name = "FILE", conflicts_with_all = ["coordinates", "coordinate_options", "z_matrix", "no_whitening",
          "architecture", "architecture_config"])]
    start_from: Option<PathBuf>,
    #[command(flatten)]
    stages: StageArguments,
    /// Source of the pairs for regression: name or path of a plugin, or file:PATH for pairs of your own (x0, x1)
    #[arg(long, default_value_t = Job::default().target)]
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
    /// Where the run is saved for --resume; beside the model without it. Removed when the model is written
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Seconds between two checkpoints
    #[arg(long, value_name = "SECONDS", default_value_t = Job::default().checkpoint_every)]
    checkpoint_every: f64,
    /// Continue an interrupted run: the same command with this option added
    #[arg(long)]
    resume: bool,
    /// Training curve, appended to; beside the model without it
    #[arg(long, value_name = "FILE.csv")]
    curve: Option<PathBuf>,
    /// Model file to write
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
}

pub fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let interrupt = Interrupt::listen()?;
    let job = arguments.job(common)?;
    job.validate(arguments.energy.source.is_some())?;
    arguments.keep_inputs(&job)?;
    let device = inputs::device(common)?;
    let energy = arguments.energy.open(common)?;
    let potential = arguments.energy.source.as_deref().zip(energy.as_deref());
    let (topology, selection) = arguments
        .frames
        .range
        .molecule(&arguments.topology, potential)?;
    if energy.is_none() {
        eprintln!("no energy: no polish, and no weights that judge a stage");
    }
    let (frames, runs) = arguments.frames.store(&topology, selection)?;
    let input = Input {
        frames,
        runs,
        topology,
        energy: energy.as_deref(),
        device,
    };
    let mut reporter = Reporter::new(interrupt)?;
    let trained = job.run(input, &mut reporter);
    let told = reporter.finish();
    let trained = trained?;
    let mut figures = figures(&job, &trained);
    // People have read most of them while it ran; programs have not.
    let is_new = |warning: &&String| common.json || !told.contains(warning);
    figures.warn_all(trained.warnings.iter().filter(is_new).cloned());
    figures.print(common)?;
    match trained.failure {
        None => Ok(()),
        Some(failure) => {
            if let Some(checkpoint) = &trained.checkpoint {
                eprintln!(
                    "the run is saved in {}: once the cause is mended, the same command with --resume goes on",
                    checkpoint.display()
                );
            }
            Err(failure.into())
        }
    }
}

impl Arguments {
    /// A model may take the place of the one that it starts from.
    fn keep_inputs(&self, job: &Job) -> Outcome {
        let [curve, checkpoint] = [job.curve_path(), job.checkpoint_path()];
        let mut written: Vec<(&str, &Path)> = vec![("--out", &self.out)];
        written.extend(curve.iter().map(|path| ("--curve", path.as_path())));
        written.extend(
            checkpoint
                .iter()
                .map(|path| ("--checkpoint", path.as_path())),
        );
        let source = self.energy.source.as_ref().map(PathBuf::from);
        let read = self.frames.trajectory.iter().chain([&self.topology]);
        inputs::keep(read.chain(&source).chain(&self.z_matrix), &written)
    }

    fn job(&self, common: &Common) -> Outcome<Job> {
        let architecture_config = self.architecture_config.as_deref();
        let target_config = optional_json("--target-config", self.target_config.as_deref())?;
        let mut job = Job {
            temperature: self.temperature,
            coordinates: self.coordinates,
            coordinate_options: self.coordinate_options()?,
            architecture: self.architecture.clone(),
            architecture_config: optional_json("--architecture-config", architecture_config)?,
            start_from: self.start_from.clone(),
            seed: common.seed,
            target: self.target.clone(),
            pairs: self.pairs,
            pairs_dir: self.pairs_dir.clone(),
            accept_long_bonds: self.frames.range.accept_long_bonds,
            accept_implausible: self.frames.range.accept_implausible,
            out: Some(self.out.clone()),
            curve: self.curve.clone(),
            checkpoint: self.checkpoint.clone(),
            checkpoint_every: self.checkpoint_every,
            resume: self.resume,
            ..Job::default()
        };
        if let Some(config) = target_config {
            job.target_config = config;
        }
        self.stages.fill(&mut job)?;
        Ok(job)
    }

    fn coordinate_options(&self) -> Outcome<Option<CoordinateOptions>> {
        let mut options = match &self.coordinate_options {
            None => None,
            Some(text) => Some(
                serde_json::from_value::<CoordinateOptions>(json_argument(
                    "--coordinate-options",
                    text,
                )?)
                .map_err(|e| format!("--coordinate-options {text}: {e}"))?,
            ),
        };
        if self.no_whitening {
            options.get_or_insert_default().whiten = false;
        }
        if let Some(path) = &self.z_matrix {
            let text = std::fs::read_to_string(path)
                .map_err(|e| format!("{}: cannot read the Z-matrix: {e}", path.display()))?;
            let z_matrix = serde_json::from_str::<ZMatrix>(&text)
                .map_err(|e| format!("{} is not a Z-matrix: {e}", path.display()))?;
            options.get_or_insert_default().z_matrix = Some(z_matrix);
        }
        Ok(options)
    }
}

fn figures(job: &Job, trained: &Trained) -> Figures {
    let summary = &trained.summary;
    let mut figures = Figures::default();
    let mut path = |key, path: Option<PathBuf>| {
        if let Some(path) = path {
            let text = path.display().to_string();
            figures.add(key, text.clone(), text);
        }
    };
    path("model", trained.out.clone());
    path("curve", job.curve_path());
    path("checkpoint", trained.checkpoint.clone());
    if summary.stopped {
        let steps = summary.steps;
        let saved = match &trained.checkpoint {
            Some(checkpoint) => format!(
                "the run is saved in {}: give the same command with --resume to go on",
                checkpoint.display()
            ),
            None => {
                "the run could not be saved; the model has its best parameters so far".to_owned()
            }
        };
        eprintln!("stopped after {steps} steps; {saved}");
        figures.add("stopped", true, format!("after {steps} steps"));
        figures.add("steps", steps, steps.to_string());
    } else {
        add_summary(&mut figures, summary);
        let ess = trained.samples.iter().flatten().last();
        let ess = ess.and_then(|found| found.ess_per_n);
        if let Some(ess) = ess {
            figures.add("ess_per_n", ess, format!("{ess:.4} (of fresh samples)"));
        }
        figures.add(
            "stage_samples",
            json!(trained.samples),
            "see above; in the model's record",
        );
        let parameters = trained.model.parameters().n_values();
        figures.add("parameters", parameters, parameters.to_string());
    }
    figures
}

fn add_summary(figures: &mut Figures, summary: &Summary) {
    figures.add("stages", json!(summary.stages), {
        let names = summary.stages.iter().map(|s| s.objective.as_str());
        let names: Vec<_> = names.collect();
        names.join(", ")
    });
    figures.add("steps", summary.steps, summary.steps.to_string());
    let seconds = summary.seconds;
    figures.add("seconds", seconds, format!("{seconds:.1}"));
    if let Some(last) = summary.stages.last() {
        figures.add(
            "validation",
            last.after.validation,
            format!(
                "{:.4} (loss on held-out blocks, best at step {} of the last stage)",
                last.after.validation, last.best_step
            ),
        );
        figures.add(
            "stopped_early",
            last.stopped_early,
            last.stopped_early.to_string(),
        );
    }
    let retreats: usize = summary.stages.iter().map(|s| s.retreats).sum();
    if retreats > 0 {
        figures.add(
            "retreats",
            retreats,
            format!("{retreats} (after divergence)"),
        );
    }
}

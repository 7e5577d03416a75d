use std::path::{Path, PathBuf};

use regflow::coordinates::{CoordinateKind, CoordinateOptions, ZMatrix};
use regflow::model::Model;
use regflow::pairs::{PairOptions, Pairs};
use regflow::system::Topology;
use regflow::tensor::Device;
use regflow::train::{Checkpoint, Dataset, Resources, Summary, TrainOptions};
use regflow::{plugin, train};
use serde_json::{Value, json};

use crate::figures::Figures;
use crate::inputs::{self, EnergyArgument, FrameArguments, json_argument};
use crate::progress::{Interrupt, Reporter};
use crate::stages::StageArguments;
use crate::{Common, Outcome};

/// Train a flow on the frames of a trajectory
#[derive(clap::Args)]
#[command(after_help = "Example:\n  \
    bg-sample train --trajectory trajectory.dcd --topology topology.pdb --energy system.xml --temperature 300 \\\n    \
    --recipe default --out model.safetensors\n\n\
    Ctrl-C saves the run; the same command with --resume continues it.")]
pub struct Arguments {
    #[command(flatten)]
    frames: FrameArguments,
    /// Structure file with atoms and bonds (PDB, ...)
    #[arg(long, value_name = "FILE")]
    topology: PathBuf,
    #[command(flatten)]
    energy: EnergyArgument,
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
    /// Go on from a model instead of a new one: its molecule, coordinates, architecture and parameters
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["coordinates", "z_matrix", "no_whitening", "architecture", "architecture_config"])]
    start_from: Option<PathBuf>,
    #[command(flatten)]
    stages: StageArguments,
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
    /// Where the run is saved for --resume; beside the model without it. Removed when the model is written
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Seconds between two checkpoints
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
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
    let options = arguments.stages.options(common)?;
    if !(arguments.temperature > 0.0 && arguments.temperature.is_finite()) {
        return Err(format!(
            "--temperature {}: expected a positive number of Kelvin",
            arguments.temperature
        )
        .into());
    }
    let checkpoint = arguments.checkpoint()?;
    let device = inputs::device(common)?;
    let (topology, selection) = arguments.frames.topology(&arguments.topology)?;
    let energy = arguments.energy.load(common, &topology)?;
    let (frames, _) = arguments.frames.store(&topology, selection)?;
    let mean_energy =
        regflow::sample::mean_reduced_energy(energy.as_ref(), &frames, arguments.temperature)?;

    let dataset = Dataset::from_store(frames, &topology, &options)?;
    eprintln!(
        "{} training and {} validation frames; mean reduced energy {mean_energy:.3}",
        dataset.n_training(),
        dataset.n_validation()
    );
    let mut model = match &arguments.start_from {
        Some(path) => arguments.existing_model(path, &topology, &device)?,
        None => arguments.new_model(&dataset, topology, options.seed, &device)?,
    };
    model.check()?;
    let pairs = match options.needs().pairs {
        true => Some(arguments.make_pairs(&model, &dataset, &options)?),
        false => None,
    };

    let curve = arguments
        .curve
        .clone()
        .unwrap_or_else(|| arguments.out.with_extension("csv"));
    let resources = Resources {
        pairs: pairs.as_ref(),
        energy: Some(energy.as_ref()),
        checkpoint: Some(&checkpoint),
    };
    let mut reporter = Reporter::new(&curve, arguments.resume, energy.as_ref(), interrupt)?;
    let summary = train::train(&mut model, &dataset, resources, &options, &mut reporter);
    let reported = reporter.finish();
    let summary = summary?;
    let text = |path: &Path| path.display().to_string();
    if summary.stopped {
        reported?;
        eprintln!(
            "stopped after {} steps; the run is saved in {}: give the same command with --resume to go on",
            summary.steps,
            checkpoint.path.display()
        );
        let mut figures = Figures::default();
        figures.add("stopped", true, format!("after {} steps", summary.steps));
        figures.add("steps", summary.steps, summary.steps.to_string());
        figures.add("checkpoint", text(&checkpoint.path), text(&checkpoint.path));
        return figures.print(common);
    }
    let samples = reported.as_ref().cloned().unwrap_or_default();
    model.set_training_record(json!({
        "options": options,
        "summary": summary,
        "stage_samples": samples,
        "frames": { "training": dataset.n_training(), "validation": dataset.n_validation() },
        "target": pairs.as_ref().map(|pairs| pairs.describe()),
        "mean_reduced_energy": mean_energy,
        "regflow_version": env!("CARGO_PKG_VERSION"),
    }));
    model.save(&arguments.out)?;
    // What it was for is in the model.
    std::fs::remove_file(&checkpoint.path).map_err(|e| {
        format!(
            "{}: cannot remove the checkpoint of the finished run: {e}",
            checkpoint.path.display()
        )
    })?;
    reported?;

    let mut figures = Figures::default();
    add_summary(&mut figures, &summary, samples);
    figures.add(
        "parameters",
        model.parameters().n_values(),
        model.parameters().n_values().to_string(),
    );
    figures.add("model", text(&arguments.out), text(&arguments.out));
    figures.add("curve", text(&curve), text(&curve));
    figures.warn_all(summary.warnings());
    figures.warn_all(inputs::refusals(energy.as_ref()));
    figures.print(common)
}

fn add_summary(figures: &mut Figures, summary: &Summary, samples: Vec<Value>) {
    figures.add("stages", json!(summary.stages), {
        let names: Vec<_> = summary
            .stages
            .iter()
            .map(|s| s.objective.as_str())
            .collect();
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
    if let Some(ess) = samples.last().and_then(|s| s["ess_per_n"].as_f64()) {
        figures.add("ess_per_n", ess, format!("{ess:.4} (of fresh samples)"));
    }
    figures.add("stage_samples", samples, "see above; in the model's record");
}

impl Arguments {
    fn checkpoint(&self) -> Outcome<Checkpoint> {
        let path = self
            .checkpoint
            .clone()
            .unwrap_or_else(|| self.out.with_extension("checkpoint"));
        if self.checkpoint_every.is_nan() || self.checkpoint_every < 0.0 {
            return Err(format!(
                "--checkpoint-every {}: expected seconds, 0 or more",
                self.checkpoint_every
            )
            .into());
        }
        if !self.resume && path.exists() {
            return Err(format!(
                "{} is there, of a run that did not finish: give --resume to continue it, or remove the file to start anew",
                path.display()
            )
            .into());
        }
        Ok(Checkpoint {
            path,
            every: self.checkpoint_every,
            resume: self.resume,
        })
    }

    fn new_model(
        &self,
        dataset: &Dataset,
        topology: Topology,
        seed: u64,
        device: &Device,
    ) -> Outcome<Model> {
        let architecture = plugin::find::<plugin::Flow>(&self.architecture)?;
        let coordinates = dataset.fit_coordinates(
            self.coordinates,
            &topology,
            &self.coordinate_options(architecture.info().circular)?,
        )?;
        Ok(Model::new(
            &self.architecture,
            json_argument("--architecture-config", self.architecture_config.as_deref())?,
            coordinates,
            topology,
            self.temperature,
            seed,
            device,
        )?)
    }

    fn existing_model(&self, path: &Path, topology: &Topology, device: &Device) -> Outcome<Model> {
        let model = Model::load(path, device)?;
        let elements = |topology: &Topology| {
            let numbers = topology.atoms.iter().map(|atom| atom.atomic_number);
            numbers.collect::<Vec<_>>()
        };
        if elements(model.topology()) != elements(topology)
            || model.topology().bonds != topology.bonds
        {
            return Err(format!(
                "--start-from {}: its molecule ({} atoms) is not that of {} ({} atoms)",
                path.display(),
                model.n_atoms(),
                self.topology.display(),
                topology.n_atoms()
            )
            .into());
        }
        if model.temperature() != self.temperature {
            return Err(format!(
                "--start-from {}: it was trained for {} K, --temperature is {} K",
                path.display(),
                model.temperature(),
                self.temperature
            )
            .into());
        }
        Ok(model)
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

//! From frames to a model.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::curve::Curve;
use super::{ARCHITECTURE, COORDINATES, FreshSamples, Job, JobError, checks};
use crate::coordinates::{
    ChiralCentres, ConfigurationSource, CoordinateOptions, FrameStore, describe_mixed,
};
use crate::dataset::Dataset;
use crate::energy::Energy;
use crate::metric::{Blocks, Populations};
use crate::model::{Consistency, Model, ModelError};
use crate::pairs::{PairOptions, Pairs};
use crate::plugin;
use crate::sample::mean_reduced_energy;
use crate::system::Topology;
use crate::tensor::Device;
use crate::train::{
    Checkpoint, Observer, Progress, Resources, Retreat, StageSummary, Summary, TrainError,
    TrainOptions, train,
};

/// Blocks of time from which the errors of the frames' populations come.
const BLOCKS: usize = 20;

/// Fresh samples by which the two directions of a trained map are compared.
const COMPARED: usize = 1000;

/// What a job works on.
pub struct Input<'a> {
    /// The molecule.
    pub topology: Topology,
    /// Frames, molecules whole, run after run, in each in the order of time.
    pub frames: FrameStore,
    /// How many frames each independent run has: each file of a trajectory, say.
    pub runs: Vec<usize>,
    /// The molecule's potential energy; needed by a polish alone, and judges every stage where it is given.
    pub energy: Option<&'a dyn Energy>,
    /// Where the network runs.
    pub device: Device,
}

/// What a job has made.
pub struct Trained {
    /// The model, with its training record and the best parameters.
    pub model: Model,
    /// What its stages reached; `stopped` tells whether the observer ended the run.
    pub summary: Summary,
    /// What fresh samples showed after each of the summary's stages; none of a stage that did not come to its end, or whose
    /// samples failed.
    pub samples: Vec<Option<FreshSamples>>,
    /// What the user should mind.
    pub warnings: Vec<String>,
    /// What ended the run, or kept the model from being written, once there was something worth keeping.
    pub failure: Option<JobError>,
    /// The model file, if it was written: not by a run that was stopped and is in its checkpoint.
    pub out: Option<PathBuf>,
    /// The checkpoint, if it is still there.
    pub checkpoint: Option<PathBuf>,
}

impl Job {
    /// Trains a model on frames.
    ///
    /// # Errors
    /// What [`Job::validate`] tells; frames or an energy that do not fit the molecule; whatever fails before there are
    /// parameters worth keeping.
    pub fn run(&self, input: Input, observer: &mut dyn Observer) -> Result<Trained, JobError> {
        let Input {
            topology,
            frames,
            runs,
            energy,
            device,
        } = input;
        self.validate(energy.is_some())?;
        let options = self.options(energy.is_some())?;
        checks::frames(self, &topology, &frames, &runs)?;
        let start = match &self.start_from {
            None => None,
            Some(path) => {
                let model = Model::load(path, &device)?;
                checks::start(&model, path, &topology, self.temperature)?;
                Some(model)
            }
        };
        let trained_at = start.as_ref().map(Model::temperature);
        // Validated: one of them is there.
        let temperature = self.temperature.or(trained_at).unwrap_or(f64::NAN);
        let (mut mean_energy, mut notes) = (None, Vec::new());
        if let Some(energy) = energy
            && frames.n() > 0
        {
            let mut first = vec![0.0; 3 * topology.n_atoms()];
            frames.copy(0, &mut first);
            notes = checks::energy(energy, &topology, &options, &first)?;
            checks::plausible(self, &topology, Some(energy), &frames, &runs, temperature)?;
            mean_energy = Some(mean_reduced_energy(energy, &frames, temperature)?);
        } else {
            checks::plausible(self, &topology, None, &frames, &runs, temperature)?;
        }
        let centres = ChiralCentres::find(&topology);
        if let Some((centre, share)) = centres.mixed(&frames, topology.n_atoms()) {
            notes.push(describe_mixed(&topology, centre, share));
        }
        let populations = frame_populations(&topology, &frames, &runs)?;
        let dataset = Dataset::from_store(frames, &runs, &topology, &options.dataset())?;

        let mut recorder = Recorder {
            curve: None,
            energy,
            warnings: Vec::new(),
            observer,
        };
        notes.iter().for_each(|note| recorder.warned(note));
        recorder.noted(&format!(
            "{} training and {} validation frames{}",
            dataset.n_training(),
            dataset.n_validation(),
            mean_energy.map_or_else(String::new, |u| format!("; mean reduced energy {u:.3}"))
        ));
        let mut model = match start {
            Some(model) => model,
            None => self.new_model(&dataset, topology, temperature, &device)?,
        };
        for warning in model.check()?.warnings() {
            recorder.warned(&warning);
        }
        if let Some(path) = &self.out {
            check_savable(&model, path)?;
        }
        let pairs = match options.needs().pairs {
            true => Some(self.make_pairs(&model, &dataset, &options, &mut recorder)?),
            false => None,
        };
        recorder.open_curve(self)?;
        let checkpoint = self.checkpoint_path().map(|path| Checkpoint {
            path,
            every: self.checkpoint_every,
            resume: self.resume,
        });
        let resources = Resources {
            pairs: pairs.as_ref(),
            energy,
            checkpoint: checkpoint.as_ref(),
        };
        let summary = train(&mut model, &dataset, resources, &options, &mut recorder)?;
        summary
            .warnings()
            .iter()
            .for_each(|text| recorder.warned(text));
        if let Some(refusals) = energy.and_then(Energy::refusals) {
            recorder.warned(&refusals.to_string());
        }
        // What was checked before training was the architecture, in double precision; what matters is this map in its own.
        let consistency = recorder.compared(model.consistency(COMPARED, self.seed));
        let warnings = recorder.warnings;
        let samples: Vec<Option<FreshSamples>> = summary.stages.iter().map(noted).collect();
        model.set_training_record(json!({
            "options": options,
            "summary": summary,
            "stage_samples": samples,
            "frames": {
                "training": dataset.n_training(),
                "validation": dataset.n_validation(),
                "populations": populations,
            },
            "target": pairs.as_ref().map(Pairs::describe),
            "mean_reduced_energy": mean_energy,
            "log_q_difference": consistency,
            "warnings": warnings,
            "regflow_version": env!("CARGO_PKG_VERSION"),
        }));
        let failure = summary.failure.clone();
        let failure = failure.map(|reason| JobError::EndedEarly { reason });
        let mut trained = Trained {
            model,
            summary,
            samples,
            warnings,
            failure,
            out: None,
            checkpoint: checkpoint
                .map(|saved| saved.path)
                .filter(|path| path.exists()),
        };
        // A run that was stopped is in its checkpoint; if that could not be kept, what it has found so far is.
        if !trained.summary.stopped || trained.checkpoint.is_none() {
            trained.write(self.out.as_deref());
        }
        Ok(trained)
    }

    fn new_model(
        &self,
        dataset: &Dataset,
        topology: Topology,
        temperature: f64,
        device: &Device,
    ) -> Result<Model, TrainError> {
        let architecture = self.architecture.as_deref().unwrap_or(ARCHITECTURE);
        let options = CoordinateOptions {
            circular: plugin::find::<plugin::Flow>(architecture)?.info().circular,
            ..self.coordinate_options.clone().unwrap_or_default()
        };
        let kind = self.coordinates.unwrap_or(COORDINATES);
        let coordinates = dataset.fit_coordinates(kind, &topology, &options)?;
        let config = self.architecture_config.clone();
        Ok(Model::new(
            architecture,
            config.unwrap_or_else(|| json!({})),
            coordinates,
            topology,
            temperature,
            self.seed,
            device,
        )?)
    }

    fn make_pairs(
        &self,
        model: &Model,
        dataset: &Dataset,
        options: &TrainOptions,
        observer: &mut dyn Observer,
    ) -> Result<Pairs, TrainError> {
        let pairs = PairOptions {
            source: self.target.clone(),
            config: self.target_config.clone(),
            count: self.pairs.unwrap_or(dataset.n_training()),
            directory: self.pairs_dir.clone(),
            seed: options.seed,
        };
        let start = Instant::now();
        let (count, source) = (pairs.count, &pairs.source);
        observer.noted(&format!("making {count} pairs with target source {source}"));
        let pairs = Pairs::make(model, dataset, &pairs)?;
        observer.noted(&format!(
            "{} pairs in {:.1} s, mean squared distance {:.4}",
            pairs.len(),
            start.elapsed().as_secs_f64(),
            pairs.mean_cost()
        ));
        Ok(pairs)
    }
}

impl Trained {
    /// Writes the model, and removes the checkpoint, whose contents it has. What fails is kept beside the model: nothing of
    /// it is lost.
    fn write(&mut self, out: Option<&Path>) {
        let Some(out) = out else {
            return;
        };
        if let Err(error) = self.model.save(out) {
            self.failure = Some(error.into());
            return;
        }
        self.out = Some(out.to_owned());
        if self.failure.is_some() {
            // The run may go on once its cause is mended.
            return;
        }
        if let Some(path) = self.checkpoint.take()
            && let Err(error) = std::fs::remove_file(&path)
        {
            self.warnings.push(format!(
                "{}: cannot remove the checkpoint of the finished run: {error}",
                path.display()
            ));
        }
    }
}

/// Populations of the frames by basin, each with the error from blocks of time.
fn frame_populations(
    topology: &Topology,
    frames: &FrameStore,
    runs: &[usize],
) -> Result<Value, TrainError> {
    let mut populations = Populations::new(topology);
    let mut positions = vec![0.0; 3 * topology.n_atoms()];
    for frame in 0..frames.n() {
        frames.copy(frame, &mut positions);
        populations.extend(&positions);
    }
    let blocks = Blocks::of_runs(runs, BLOCKS);
    let found = populations.counted(&blocks)?.into_iter();
    let object: Map<String, Value> = found
        .map(|(basin, found)| (basin.to_owned(), json!(found)))
        .collect();
    Ok(object.into())
}

/// Writes the untrained model beside the place where it is to be, and reads it back: a model that its format cannot hold is
/// told before it is trained.
fn check_savable(model: &Model, out: &Path) -> Result<(), JobError> {
    let unsavable = |source| JobError::Unsavable {
        path: out.to_owned(),
        source: Box::new(source),
    };
    let probe = crate::system::temporary_beside(out)?;
    model.save(probe.path()).map_err(unsavable)?;
    Model::load(probe.path(), &Device::Cpu).map_err(unsavable)?;
    Ok(())
}

/// What [`Recorder`] noted at the end of a stage.
fn noted(stage: &StageSummary) -> Option<FreshSamples> {
    serde_json::from_value(stage.noted.clone()?).ok()
}

/// Writes the curve, draws samples after each stage, gathers warnings, and passes everything on.
struct Recorder<'a> {
    curve: Option<Curve>,
    energy: Option<&'a dyn Energy>,
    warnings: Vec<String>,
    observer: &'a mut dyn Observer,
}

impl Recorder<'_> {
    fn open_curve(&mut self, job: &Job) -> Result<(), JobError> {
        let Some(path) = job.curve_path() else {
            return Ok(());
        };
        let (curve, earlier) =
            Curve::open(&path, job.resume).map_err(|source| JobError::Output {
                field: "curve",
                source: Box::new(source),
            })?;
        if let Some(earlier) = earlier {
            let (path, earlier) = (path.display(), earlier.display());
            self.noted(&format!("the earlier curve {path} is now {earlier}"));
        }
        self.curve = Some(curve);
        Ok(())
    }

    /// How far the two directions of the trained map agree. The trained parameters are worth more than that.
    fn compared(&mut self, found: Result<Consistency, ModelError>) -> Option<Consistency> {
        let warning = match &found {
            Ok(consistency) => consistency.warning(),
            Err(error) => Some(format!(
                "the two directions of the trained map could not be compared: {error}"
            )),
        };
        if let Some(warning) = warning {
            self.warned(&warning);
        }
        found.ok()
    }
}

impl Observer for Recorder<'_> {
    fn step(&mut self, progress: &Progress) -> ControlFlow<()> {
        if let Some(Err(error)) = self.curve.as_mut().map(|curve| curve.write(progress)) {
            // The trained parameters are worth more than the curve.
            self.warned(&format!("the training curve is not whole: {error}"));
        }
        self.observer.step(progress)
    }

    fn resumed(&mut self, step: usize, done: &[StageSummary]) {
        self.observer.resumed(step, done);
    }

    fn retreated(&mut self, retreat: &Retreat) {
        self.observer.retreated(retreat);
    }

    fn returned(&mut self, best: usize, rate_factor: f64) {
        self.observer.returned(best, rate_factor);
    }

    fn stage_ended(&mut self, model: &Model, summary: &StageSummary) -> Option<Value> {
        self.observer.stage_ended(model, summary);
        let stage = &summary.objective;
        match FreshSamples::of(model, self.energy) {
            Ok(samples) => {
                self.noted(&format!("{stage}: {samples}"));
                serde_json::to_value(&samples).ok()
            }
            // The trained parameters are worth more than what is known of them.
            Err(error) => {
                self.warned(&format!("after the stage of {stage}: {error}"));
                None
            }
        }
    }

    fn noted(&mut self, text: &str) {
        self.observer.noted(text);
    }

    fn warned(&mut self, text: &str) {
        self.warnings.push(text.to_owned());
        self.observer.warned(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_that_fails_is_a_warning() {
        let mut told = Vec::new();
        struct Told<'a>(&'a mut Vec<String>);
        impl Observer for Told<'_> {
            fn step(&mut self, _: &Progress) -> ControlFlow<()> {
                ControlFlow::Continue(())
            }
            fn warned(&mut self, text: &str) {
                self.0.push(text.to_owned());
            }
        }
        let mut observer = Told(&mut told);
        let mut recorder = Recorder {
            curve: None,
            energy: None,
            warnings: Vec::new(),
            observer: &mut observer,
        };
        let failed = Err(ModelError::Width { width: 2, found: 3 });
        assert!(recorder.compared(failed).is_none());
        assert!(recorder.warnings[0].contains("could not be compared: 3 numbers"));
        assert_eq!(recorder.warnings, told);
    }
}

//! Training.

use std::ffi::{CString, c_char, c_void};
use std::mem::offset_of;
use std::ops::ControlFlow;
use std::sync::Arc;

use regflow_core::coordinates::{CoordinateKind, CoordinateOptions};
use regflow_core::energy::Energy;
use regflow_core::model::Model;
use regflow_core::pairs::{PairOptions, Pairs};
use regflow_core::plugin;
use regflow_core::system::Topology;
use regflow_core::tensor::Device;
use regflow_core::train::{
    self, Dataset, Observer, Progress as Step, Recipe, Resources, Retreat, Stage, StageSummary,
    TrainError, TrainOptions,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::arguments::{Struct, check_length, output, structure, text, values};
use crate::energy::EnergyHandle;
use crate::failure::{Failure, Status};
use crate::handle::{create, shared};
use crate::library::log;
use crate::model::{Content, ModelHandle, device_named};
use crate::status::guard;
use crate::topology::TopologyDescription;
use crate::units::Units;

/// Is told how a training run gets on, and may stop it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Progress {
    /// `sizeof(regflow_progress_t)`.
    pub struct_size: usize,
    /// First argument of `report`.
    pub user_data: *mut c_void,
    /// Called after every step, by the thread that trains. `json` is an object with `stage` (from 0), `stages`, `objective`,
    /// `step`, `fraction` (of the stage), `seconds`, `loss`, `gradient_norm`, `learning_rate`, and after validations `validation`
    /// and, in a polish, `ess`. Returns 0 to go on; anything else ends the run. Must not throw.
    pub report: Option<unsafe extern "C" fn(user_data: *mut c_void, json: *const c_char) -> i32>,
}

// SAFETY: a number and pointers, the first of them `struct_size`; a NULL function is `None`.
unsafe impl Struct for Progress {
    const NAME: &'static str = "regflow_progress_t";
    const FIRST_SIZE: usize = offset_of!(Progress, report) + size_of::<usize>();
}

/// What training takes besides the molecule and its frames. Zeros stand for the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TrainingOptions {
    /// `sizeof(regflow_train_options_t)`.
    pub struct_size: usize,
    /// Where the model computes: "cpu", or "cuda:0" for the first GPU. NULL: "cpu".
    pub device: *const c_char,
    /// Units of the frames. NULL: nm.
    pub units: *const Units,
    /// The molecule's energy, in any units. NULL: none. Needed by a polish alone.
    pub energy: *const EnergyHandle,
    /// Is told how the run gets on, and may stop it. NULL: nobody.
    pub progress: *const Progress,
}

// SAFETY: numbers and pointers, the first of them `struct_size`.
unsafe impl Struct for TrainingOptions {
    const NAME: &'static str = "regflow_train_options_t";
    const FIRST_SIZE: usize = offset_of!(TrainingOptions, progress) + size_of::<usize>();
}

/// The options as Rust has them.
struct Given {
    device: Device,
    units: Units,
    energy: Option<Arc<dyn Energy>>,
    progress: Option<Progress>,
}

impl Given {
    /// # Safety
    /// `options` is NULL or points to a struct whose `struct_size` is right; its pointers are NULL or as `regflow_train` asks.
    unsafe fn read(options: *const TrainingOptions) -> Result<Self, Failure> {
        let mut given = Given {
            device: Device::Cpu,
            units: Units::MD,
            energy: None,
            progress: None,
        };
        if options.is_null() {
            return Ok(given);
        }
        // SAFETY: the caller vouches for the struct and what it points to.
        unsafe {
            let options = structure("options", options)?;
            given.device = device_named("options->device", options.device)?;
            if !options.units.is_null() {
                given.units = Units::read("options->units", options.units)?;
            }
            if !options.energy.is_null() {
                given.energy = Some(shared("options->energy", options.energy)?.energy());
            }
            if !options.progress.is_null() {
                given.progress = Some(structure("options->progress", options.progress)?);
            }
        }
        Ok(given)
    }
}

/// What `config` holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    temperature: f64,
    #[serde(default = "internal")]
    coordinates: CoordinateKind,
    #[serde(default)]
    coordinate_options: CoordinateOptions,
    #[serde(default = "nsf")]
    architecture: String,
    #[serde(default = "object")]
    architecture_config: Value,
    recipe: Option<String>,
    stages: Option<Vec<Stage>>,
    time_limit: Option<f64>,
    validation_fraction: Option<f64>,
    symmetry: Option<bool>,
    #[serde(default)]
    seed: u64,
    #[serde(default = "ot")]
    target: String,
    #[serde(default = "object")]
    target_config: Value,
    pairs: Option<usize>,
}

fn internal() -> CoordinateKind {
    CoordinateKind::Internal
}

fn nsf() -> String {
    "nsf".into()
}

fn ot() -> String {
    "ot".into()
}

fn object() -> Value {
    json!({})
}

impl Config {
    fn options(&self) -> Result<TrainOptions, Failure> {
        let range = |what: String, expected| Failure::Range {
            argument: "config",
            what,
            expected,
        };
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            let what = format!("`temperature` is {}", self.temperature);
            return Err(range(what, "a positive number of Kelvin"));
        }
        let stages = match (&self.recipe, &self.stages) {
            (Some(_), Some(_)) => {
                let what = "it has both `recipe` and `stages`".into();
                return Err(range(what, "one of them"));
            }
            (_, Some(stages)) => stages.clone(),
            (recipe, None) => recipe
                .as_deref()
                .unwrap_or("default")
                .parse::<Recipe>()
                .map_err(|what| range(what, "one of these"))?
                .stages(),
        };
        let default = TrainOptions::default();
        let mut options = TrainOptions {
            stages,
            validation_fraction: self
                .validation_fraction
                .unwrap_or(default.validation_fraction),
            symmetry: self.symmetry.unwrap_or(default.symmetry),
            seed: self.seed,
        };
        options.validate()?;
        if let Some(seconds) = self.time_limit {
            options.limit_time(seconds);
            options.validate()?;
        }
        Ok(options)
    }

    fn model(
        &self,
        topology: Topology,
        dataset: &Dataset,
        device: &Device,
    ) -> Result<Model, TrainError> {
        let circular = plugin::find::<plugin::Flow>(&self.architecture)?
            .info()
            .circular;
        let options = CoordinateOptions {
            circular,
            ..self.coordinate_options.clone()
        };
        let coordinates = dataset.fit_coordinates(self.coordinates, &topology, &options)?;
        let model = Model::new(
            &self.architecture,
            self.architecture_config.clone(),
            coordinates,
            topology,
            self.temperature,
            self.seed,
            device,
        )?;
        model.check()?;
        Ok(model)
    }

    fn pairs(
        &self,
        model: &Model,
        dataset: &Dataset,
        options: &TrainOptions,
    ) -> Result<Option<Pairs>, TrainError> {
        if !options.needs().pairs {
            return Ok(None);
        }
        let pairs = PairOptions {
            source: self.target.clone(),
            config: self.target_config.clone(),
            count: self.pairs.unwrap_or(dataset.n_training()),
            directory: None,
            seed: options.seed,
        };
        Ok(Some(Pairs::make(model, dataset, &pairs)?))
    }
}

/// Passes what happens on to the caller.
struct Reporter(Option<Progress>);

impl Observer for Reporter {
    fn step(&mut self, step: &Step) -> ControlFlow<()> {
        let Some((progress, report)) = self.0.and_then(|p| Some((p, p.report?))) else {
            return ControlFlow::Continue(());
        };
        let json = json!({
            "stage": step.stage[0],
            "stages": step.stage[1],
            "objective": step.objective,
            "step": step.step,
            "fraction": step.fraction,
            "seconds": step.elapsed,
            "loss": step.loss,
            "gradient_norm": step.gradient_norm,
            "learning_rate": step.learning_rate,
            "validation": step.validation,
            "ess": step.ess,
        });
        let json = CString::new(json.to_string()).unwrap_or_default();
        // SAFETY: the caller's own function and data.
        match unsafe { report(progress.user_data, json.as_ptr()) } {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }

    fn retreated(&mut self, retreat: &Retreat) {
        log::warning(&format!(
            "training diverged at step {} ({} is {}): back to the last good state, learning rate times {}",
            retreat.step, retreat.what, retreat.value, retreat.rate_factor
        ));
    }

    fn stage_ended(&mut self, _: &Model, summary: &StageSummary) -> Option<Value> {
        log::info(&format!(
            "stage {} ended: validation {}, best at step {}",
            summary.objective, summary.after.validation, summary.best_step
        ));
        None
    }
}

/// Trains a model on frames.
///
/// `topology` is the molecule. `frames` is `[n_frames][n_atoms][3]`, molecules whole, atoms in the order of the topology, frames in
/// the order of time. `config` is a JSON object:
///
///     {"temperature": 300,             in K; all others may be left out
///      "coordinates": "internal",      or "gauge", "cartesian"
///      "coordinate_options": {},       such as {"whiten": false}
///      "architecture": "nsf", "architecture_config": {},
///      "recipe": "default",            or "fast", "best", or instead of it
///      "stages": [{"objective": "likelihood", "steps": 2000}],
///      "time_limit": 600,              seconds, divided among the stages
///      "validation_fraction": 0.1, "symmetry": true, "seed": 0,
///      "target": "ot", "target_config": {}, "pairs": 10000}       for regression
///
/// with the stages that a configuration file of `bg-sample train` has. `options` may be NULL: frames in nm, on the CPU, without an
/// energy. An energy is needed by a polish alone; one that has no forces, such as a callback without them, needs
/// `"polish": {"forces": false}` in its stage. If the progress function stops the run, the model has the best parameters so far.
/// On success `*model` is a new model that the caller ends with `regflow_model_free`; on failure it is NULL. What happens
/// meanwhile is written to the log.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_IO` if the topology's file cannot be read;
/// `REGFLOW_ERROR_PLUGIN` if the architecture or the target is missing or fails; `REGFLOW_ERROR_DEVICE`; `REGFLOW_ERROR_CALLBACK`
/// if the energy is a callback and fails; `REGFLOW_ERROR_STATE` if the energy was freed; `REGFLOW_ERROR_COMPUTE`, among others if
/// training diverges. Safe to call from any thread. Since 1.
///
/// # Safety
/// `topology` and what it points to may be read as documented there; `config` is NUL-terminated; `frames` may be read for its
/// length; `options` is NULL or may be read for its `struct_size`, and what it points to is as documented there, an energy one that
/// was not freed; `model` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_train(
    topology: *const TopologyDescription,
    config: *const c_char,
    n_frames: usize,
    frames: *const f64,
    frames_length: usize,
    options: *const TrainingOptions,
    model: *mut *mut ModelHandle,
) -> Status {
    guard("regflow_train", || {
        // SAFETY: the caller vouches for the pointer.
        let handle = unsafe { output("model", model) }?;
        *handle = std::ptr::null_mut();
        // SAFETY: the caller vouches for the other pointers.
        let (topology, config, frames, given) = unsafe {
            (
                TopologyDescription::read("topology", topology)?,
                text("config", config)?,
                values("frames", frames, frames_length)?,
                Given::read(options)?,
            )
        };
        let config: Config = serde_json::from_str(config).map_err(Failure::Config)?;
        check_length(
            "frames_length",
            frames_length,
            n_frames,
            3 * topology.n_atoms(),
        )?;
        if let Some(energy) = &given.energy
            && energy.n_atoms() != topology.n_atoms()
        {
            return Err(Failure::Range {
                argument: "options->energy",
                what: format!("it has {} atoms", energy.n_atoms()),
                expected: "as many as the topology",
            });
        }
        if let Some(at) = frames.iter().position(|x| !x.is_finite()) {
            return Err(Failure::Range {
                argument: "frames",
                what: format!(
                    "frame {} has a coordinate that is {}",
                    at / (3 * topology.n_atoms()),
                    frames[at]
                ),
                expected: "finite coordinates",
            });
        }
        let frames = frames.iter().map(|x| x * given.units.length).collect();
        *handle = create(Content::new(run(topology, frames, &config, &given)?));
        Ok(())
    })
}

/// Frames in nm to a trained model.
fn run(
    topology: Topology,
    frames: Vec<f64>,
    config: &Config,
    given: &Given,
) -> Result<Model, Failure> {
    let options = config.options()?;
    let dataset = Dataset::new(frames, &topology, &options)?;
    let mut trained = config.model(topology, &dataset, &given.device)?;
    let pairs = config.pairs(&trained, &dataset, &options)?;
    let resources = Resources {
        pairs: pairs.as_ref(),
        energy: given.energy.as_deref(),
        checkpoint: None,
    };
    let summary = train::train(
        &mut trained,
        &dataset,
        resources,
        &options,
        &mut Reporter(given.progress),
    )?;
    summary
        .warnings()
        .iter()
        .for_each(|text| log::warning(text));
    trained.set_training_record(json!({
        "options": options,
        "summary": summary,
        "frames": { "training": dataset.n_training(), "validation": dataset.n_validation() },
        "target": pairs.as_ref().map(|pairs| pairs.describe()),
        "regflow_version": env!("CARGO_PKG_VERSION"),
    }));
    Ok(trained)
}

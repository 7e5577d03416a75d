//! Training.

use std::ffi::{CString, c_char, c_void};
use std::mem::offset_of;
use std::ops::ControlFlow;
use std::sync::Arc;

use regflow_core::coordinates::FrameStore;
use regflow_core::energy::Energy;
use regflow_core::model::Model;
use regflow_core::tensor::Device;
use regflow_core::train::{Input, Job, Observer, Progress as Step, Retreat, StageSummary};
use serde_json::{Value, json};

use crate::arguments::{Struct, check_length, converted, output, structure, text, values};
use crate::energy::EnergyHandle;
use crate::failure::{Failure, Status};
use crate::handle::{create, shared};
use crate::library::log;
use crate::model::{Content, ModelHandle, device_named};
use crate::status::compute;
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
    /// and, in a polish, `ess` and `forward_ess` (ESS/N of its samples and on held-out frames). Returns 0 to go on; anything else ends the run. Must not throw.
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
            "forward_ess": step.forward_ess,
        });
        let json = CString::new(json.to_string()).unwrap_or_default();
        // SAFETY: the caller's own function and data.
        match unsafe { report(progress.user_data, json.as_ptr()) } {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }

    fn resumed(&mut self, step: usize, _: &[StageSummary]) {
        log::info(&format!("resumed after step {step}"));
    }

    fn retreated(&mut self, retreat: &Retreat) {
        log::warning(&format!(
            "training diverged at step {} ({} is {}): back to the last good state, learning rate times {}",
            retreat.step, retreat.what, retreat.value, retreat.rate_factor
        ));
    }

    fn returned(&mut self, best: usize, rate_factor: f64) {
        log::info(&format!(
            "no better than at step {best} for a while: on from there, learning rate times {rate_factor}"
        ));
    }

    fn stage_ended(&mut self, _: &Model, summary: &StageSummary) -> Option<Value> {
        log::info(&format!(
            "stage {} ended: validation {}, best at step {}",
            summary.objective, summary.after.validation, summary.best_step
        ));
        None
    }

    fn noted(&mut self, text: &str) {
        log::info(text);
    }

    fn warned(&mut self, text: &str) {
        log::warning(text);
    }
}

/// Trains a model on frames.
///
/// `topology` is the molecule. `frames` is `[n_frames][n_atoms][3]`, molecules whole, atoms in the order of the topology, frames in
/// the order of time. `config` is a JSON object, of which everything but the temperature may be left out:
///
///     {"temperature": 300,             K; that of the model with "start_from"
///      "coordinates": "internal",      or "gauge", "cartesian"
///      "coordinate_options": {},       "whiten" (true), "z_matrix", "gauge_atoms"
///      "architecture": "nsf",          name of a plugin, or path of its library
///      "architecture_config": {},      its own settings
///      "start_from": "m.safetensors",  instead of these four: go on from a model
///      "recipe": "default",            or "fast", "best", or instead of it
///      "stages": [{"objective": "likelihood", "steps": 2000}],
///      "time_limit": 600,              seconds, divided among the stages
///      "validation_fraction": 0.1,     part of the frames held out, in blocks of time
///      "symmetry": true,               permute equivalent hydrogens
///      "seed": 0,
///      "target": "ot", "target_config": {}, "pairs": 10000, "pairs_dir": "pairs",       for regression
///      "accept_long_bonds": false,     bonds above 0.35 nm: of coarse-grained beads
///      "accept_implausible": false,    frames that cannot be the molecule under its potential
///      "out": "m.safetensors",         model file, written when the run is done
///      "curve": "m.csv",               training curve; beside "out" without it
///      "checkpoint": "m.checkpoint",   where the run is saved; beside "out" without it
///      "checkpoint_every": 60,         seconds
///      "resume": false}                continue from the checkpoint
///
/// with the stages that a configuration file of `bg-sample train` has; without recipe and stages it is "default" with an energy,
/// and "fast", which has no polish, without. The checks, the defaults and the model's training record are those of
/// `bg-sample train`. `options` may be NULL: frames in nm, on the CPU, without an energy. An energy is needed by a polish alone; one
/// that has no forces, such as a callback without them, needs `"polish": {"forces": false}` in its stage.
///
/// On success `*model` is a new model that the caller ends with `regflow_model_free`; on failure it is NULL. If the progress
/// function stops the run, or something fails when there are parameters worth keeping already, the model has the best ones so
/// far: the training record (`regflow_model_describe`) says so under `summary` and `failure`, and a checkpoint stays for
/// `resume`. What happens meanwhile is written to the log.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`, among others for frames or an energy that do not fit the topology; `REGFLOW_ERROR_LENGTH`;
/// `REGFLOW_ERROR_IO` if a file cannot be read or written; `REGFLOW_ERROR_PLUGIN` if the architecture or the target is missing
/// or fails; `REGFLOW_ERROR_DEVICE`; `REGFLOW_ERROR_CALLBACK` if the energy is a callback and fails; `REGFLOW_ERROR_STATE` if the
/// energy was freed, and in a forked process; `REGFLOW_ERROR_COMPUTE`. Safe to call from any thread. Since 1.
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
    compute("regflow_train", || {
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
        let job: Job = serde_json::from_str(config).map_err(Failure::Config)?;
        check_length(
            "frames_length",
            frames_length,
            n_frames,
            3 * topology.n_atoms(),
        )?;
        let mut store = FrameStore::new(topology.n_atoms());
        for frame in frames.chunks_exact(3 * topology.n_atoms()) {
            let frame = converted(frame, |x| x * given.units.length)?;
            store.extend(&frame).map_err(|_| Failure::Memory {
                bytes: frames.len().saturating_mul(size_of::<f32>()),
            })?;
        }
        let input = Input {
            topology,
            frames: store,
            runs: vec![n_frames],
            energy: given.energy.as_deref(),
            device: given.device.clone(),
        };
        let trained = job.run(input, &mut Reporter(given.progress))?;
        *handle = create(Content::new(trained.model));
        Ok(())
    })
}

//! What goes into a run and what comes out of it.

use std::ops::ControlFlow;

use super::checkpoint::Checkpoint;
use super::state::StageSummary;
use crate::energy::Energy;
use crate::model::Model;
use crate::pairs::Pairs;

/// What a run needs beside the data, depending on its stages.
#[derive(Clone, Copy, Default)]
pub struct Resources<'a> {
    /// Training and validation pairs.
    pub pairs: Option<&'a Pairs>,
    /// The target's energy.
    pub energy: Option<&'a dyn Energy>,
    /// Where the run is saved; nowhere without it.
    pub checkpoint: Option<&'a Checkpoint>,
}

/// Where a run stands after a step.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Index of the stage, and how many there are.
    pub stage: [usize; 2],
    /// Name of the stage's objective.
    pub objective: &'static str,
    /// Steps done, over all stages.
    pub step: usize,
    /// Part of the stage that is done, 0 to 1.
    pub fraction: f64,
    /// Seconds since the start, over all stages.
    pub elapsed: f64,
    /// Loss of the step's batch.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Loss of the averaged parameters on held-out blocks, after the steps that validate.
    pub validation: Option<f64>,
    /// ESS/N of fresh samples with their largest weights cut, after the steps of a polish that validate.
    pub ess: Option<f64>,
    /// Forward ESS/N on held-out frames, after the steps of a polish that validate.
    pub forward_ess: Option<f64>,
}

/// A stage diverged and went back to its best state.
#[derive(Clone, Debug)]
pub struct Retreat {
    /// Loss, norm of the gradient, or the median of either over the last steps.
    pub what: String,
    /// Its value.
    pub value: String,
    /// Step that diverged, over all stages.
    pub step: usize,
    /// What the learning rate is multiplied by from now on.
    pub rate_factor: f64,
}

/// Is told what happens in a run, and may end it.
pub trait Observer {
    /// After every step. `Break` ends the run: its state is saved where there is a checkpoint, and the best parameters so
    /// far are kept.
    fn step(&mut self, progress: &Progress) -> ControlFlow<()>;

    /// A run goes on from a checkpoint, after so many steps and with these stages done.
    fn resumed(&mut self, _step: usize, _done: &[StageSummary]) {}

    /// Training diverged and goes on from an earlier state.
    fn retreated(&mut self, _retreat: &Retreat) {}

    /// The validations of a stage no longer improved: it goes on from its best state, that after the step `best` over all stages,
    /// with `rate_factor` of its learning rate.
    fn returned(&mut self, _best: usize, _rate_factor: f64) {}

    /// A stage ended, whether its budget was used up or not, as the summary says; the model has its best parameters. What this
    /// returns is kept with the summary, also in the checkpoint.
    fn stage_ended(
        &mut self,
        _model: &Model,
        _summary: &StageSummary,
    ) -> Option<serde_json::Value> {
        None
    }

    /// A fact about the run, in words: how many frames there are, say.
    fn noted(&mut self, _text: &str) {}

    /// Something that the run gets over, but that its user should mind.
    fn warned(&mut self, _text: &str) {}
}

impl<F: FnMut(&Progress) -> ControlFlow<()>> Observer for F {
    fn step(&mut self, progress: &Progress) -> ControlFlow<()> {
        self(progress)
    }
}

/// What a run reached.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Summary {
    /// What each stage reached; the last one may have been stopped.
    pub stages: Vec<StageSummary>,
    /// Stages that the run has.
    pub planned: usize,
    /// Steps done.
    pub steps: usize,
    /// Wall time, seconds.
    pub seconds: f64,
    /// Whether the observer ended the run.
    pub stopped: bool,
    /// Why the run ended before its last stage was done, if it failed; the model has the best parameters so far.
    pub failure: Option<String>,
}

impl Summary {
    /// What a user should know of the run, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (index, stage) in self.stages.iter().enumerate() {
            let name = format!("stage {} ({})", index + 1, stage.objective);
            if let Some(found) = &stage.diverged {
                warnings.push(format!(
                    "{name} diverged for good: the {} was {} at its step {}, after {} returns to an earlier state; what was best \
                     before, at step {}, is kept; a smaller learning rate (it was {:e}), a smaller clip or a larger batch may help",
                    found.what, found.value, found.step, stage.retreats, stage.best_step, found.learning_rate
                ));
            }
            if stage.overfitted {
                warnings.push(format!(
                    "{name} was stopped at step {} because it memorised its frames: the loss on held-out frames was best at step {}, \
                     whose parameters are kept, and grew while the training loss fell; more frames, more noise on them or a smaller \
                     network help",
                    stage.steps, stage.best_step
                ));
            }
        }
        if let Some(failure) = &self.failure {
            warnings.push(format!(
                "training ended early, with the best so far: {failure}"
            ));
        }
        let left = self.planned.saturating_sub(self.stages.len());
        if left > 0 && !self.stopped {
            warnings.push(format!("{left} of {} stages were left out", self.planned));
        }
        warnings
    }
}

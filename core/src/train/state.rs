//! Where a run stands: everything that the next step depends on, and nothing else.

use serde::{Deserialize, Serialize};

use super::Objective;
use super::optimiser::Weights;
use super::polish::Buffer;

/// What a stage reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageSummary {
    /// What it minimised.
    pub objective: Objective,
    /// Steps done.
    pub steps: usize,
    /// Wall time, seconds.
    pub seconds: f64,
    /// Loss of the last batch.
    pub loss: f64,
    /// Loss on the held-out blocks of the parameters that were kept.
    pub validation: f64,
    /// ESS/N of fresh samples of the parameters that were kept, by which a polish chose them.
    pub ess: Option<f64>,
    /// Step of the stage after which the kept parameters stood; 0: those that it started from.
    pub best_step: usize,
    /// Whether it ended because its validations no longer improved.
    pub stopped_early: bool,
    /// Times that it diverged and went back to the last good state.
    pub retreats: usize,
    /// Mean part of the weight of a polish's samples that clipping took away.
    pub clipped: Option<f64>,
}

/// The best parameters of a stage so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Best {
    pub validation: f64,
    pub ess: Option<f64>,
    pub step: usize,
    /// Validations since.
    pub age: usize,
}

impl Best {
    /// By the ESS where there is one, else by the loss.
    pub fn is_better_than(&self, other: &Best) -> bool {
        match (self.ess, other.ess) {
            (Some(ess), Some(other)) => ess > other,
            _ => self.validation < other.validation,
        }
    }
}

/// The numbers of a [`State`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Position {
    /// Index of the stage.
    pub stage: usize,
    /// Steps of the stage.
    pub step: usize,
    /// Seconds of the stage.
    pub seconds: f64,
    /// Steps and seconds of the stages before.
    pub steps_before: usize,
    pub seconds_before: f64,
    /// Rows taken from the endless sequence of data or pairs, over all stages.
    pub rows: usize,
    /// Validations of the stage, the first of which is that before its first step.
    pub validations: usize,
    pub best: Option<Best>,
    /// The first validation of the stage.
    pub start: Option<Best>,
    /// Loss of the last step.
    pub loss: f64,
    /// Sum over steps of the clipped part of a polish's weight.
    pub clipped: f64,
    /// What the learning rate is multiplied by after divergence.
    pub rate_factor: f64,
    pub retreats: usize,
    /// The stages that are done.
    pub done: Vec<StageSummary>,
}

/// State of a run between two steps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub position: Position,
    pub weights: Weights,
    /// Weights at the last validation that showed no divergence.
    pub good: Weights,
    /// Parameters of `position.best`.
    pub best: Vec<f32>,
    pub buffer: Buffer,
}

impl State {
    /// The beginning of a run.
    pub fn new(parameters: Vec<f32>) -> Self {
        let weights = Weights::new(parameters);
        State {
            position: Position {
                rate_factor: 1.0,
                ..Position::default()
            },
            good: weights.clone(),
            best: weights.parameters.clone(),
            weights,
            buffer: Buffer::default(),
        }
    }

    /// Ends the stage: the next one starts from its best parameters.
    pub fn advance(&mut self, summary: StageSummary) {
        let mut next = State::new(std::mem::take(&mut self.best));
        let position = &self.position;
        next.position.stage = position.stage + 1;
        next.position.steps_before = position.steps_before + position.step;
        next.position.seconds_before = position.seconds_before + position.seconds;
        next.position.rows = position.rows;
        next.position.done = position.done.clone();
        next.position.done.push(summary);
        *self = next;
    }
}

//! Where a run stands: everything that the next step depends on, and nothing else.

use serde::{Deserialize, Deserializer, Serialize};

use super::divergence::{Divergence, Watch};
use super::objectives::Arrays;
use super::optimiser::Weights;
use crate::metric::Estimate;

/// What a validation found of the averaged parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// Loss on the held-out blocks; `null` in JSON where it is not finite.
    #[serde(deserialize_with = "or_nan")]
    pub validation: f64,
    /// By what the best is chosen: the lower the better. The validation of most objectives; of a polish `-1/2 log ESS` of its samples
    /// plus the divergence `KL(p || q)` by the held-out frames, 0 at best.
    #[serde(deserialize_with = "or_nan")]
    pub score: f64,
    /// ESS/N of fresh samples, of a polish, with weights cut at their 0.998 quantile: of thousands one alone can halve it uncut, by
    /// the luck of its draw.
    pub ess: Option<f64>,
    /// Forward ESS/N, `1 / mean(w)` over held-out frames with weights `w` normalised by Z, of a polish: small where the flow has
    /// lost what the frames have.
    pub forward_ess: Option<f64>,
    /// Populations of the molecule's basins in the fresh samples of a polish; empty without a backbone.
    pub populations: Vec<Population>,
}

/// How much is in a basin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Population {
    /// Name of the basin.
    pub basin: String,
    /// Part of the flow's samples.
    pub raw: Uncertain,
    /// The same by weight.
    pub reweighted: Uncertain,
    /// Part of the held-out frames.
    pub held_out: f64,
}

/// A value and its standard error; `null` in JSON where it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uncertain {
    /// The value.
    #[serde(deserialize_with = "or_nan")]
    pub value: f64,
    /// Its standard error.
    #[serde(deserialize_with = "or_nan")]
    pub error: f64,
}

impl From<Estimate> for Uncertain {
    fn from(Estimate { value, error }: Estimate) -> Self {
        Uncertain { value, error }
    }
}

impl Judgement {
    /// By the loss on held-out data alone.
    pub(super) fn by_loss(validation: f64) -> Self {
        Judgement {
            validation,
            score: validation,
            ess: None,
            forward_ess: None,
            populations: Vec::new(),
        }
    }

    /// Whether its score is the better one. One that is not finite is never better, and is worse than any other.
    pub(super) fn is_better_than(&self, other: &Judgement) -> bool {
        self.score.is_finite() && !(other.score.is_finite() && other.score <= self.score)
    }
}

/// What a stage reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageSummary {
    /// Name of the objective.
    pub objective: String,
    /// Steps done.
    pub steps: usize,
    /// Wall time, seconds.
    pub seconds: f64,
    /// Loss of the last batch.
    pub loss: f64,
    /// What the parameters were worth from which it started.
    pub before: Judgement,
    /// What the parameters are worth that were kept.
    pub after: Judgement,
    /// Step of the stage after which the kept parameters stood; 0: those that it started from.
    pub best_step: usize,
    /// Whether it ended because its validations no longer improved.
    pub stopped_early: bool,
    /// Whether the training loss fell meanwhile: the frames were being memorised.
    pub overfitted: bool,
    /// Times that it went back to its best state, at half the learning rate, because its validations no longer improved.
    pub returns: usize,
    /// Times that it did so because it had diverged.
    pub retreats: usize,
    /// What showed that it diverged once more, after which it was given up.
    pub diverged: Option<Divergence>,
    /// Mean part of the weight of a polish's samples that clipping took away.
    pub clipped: Option<f64>,
    /// What the observer noted at its end.
    pub noted: Option<serde_json::Value>,
}

/// The best parameters of a stage so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Best {
    pub judgement: Judgement,
    pub step: usize,
    /// Validations since.
    pub age: usize,
    /// Level of the training loss.
    pub level: Option<f64>,
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
    /// Seconds that the stages before left of their limits: the next one has them.
    pub spare: f64,
    /// Steps and seconds of the stages before.
    pub steps_before: usize,
    pub seconds_before: f64,
    /// Rows taken from the endless sequence of data or pairs, over all stages.
    pub rows: usize,
    /// Validations that were due in the stage by how far it is; the first is that before its first step.
    pub validations: usize,
    /// Step of the last one.
    pub validated: usize,
    pub best: Option<Best>,
    /// The first validation of the stage.
    pub start: Option<Judgement>,
    /// Loss of the last step.
    pub loss: f64,
    pub watch: Watch,
    /// What the learning rate is multiplied by after a return.
    pub rate_factor: f64,
    pub returns: usize,
    pub retreats: usize,
    /// The stages that are done.
    pub done: Vec<StageSummary>,
}

/// State of a run between two steps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub position: Position,
    pub weights: Weights,
    /// Weights at `position.best`, whose average is what was judged.
    pub best: Weights,
    /// What the objective of the stage keeps.
    pub objective: Arrays,
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
            best: weights.clone(),
            weights,
            objective: Arrays::new(),
        }
    }

    /// Ends the stage, which had so many seconds at the most: the next one starts from its best parameters.
    pub fn advance(&mut self, summary: StageSummary, limit: Option<f64>) {
        let mut next = State::new(std::mem::take(&mut self.best.average));
        let position = &self.position;
        next.position.stage = position.stage + 1;
        next.position.steps_before = position.steps_before + position.step;
        next.position.seconds_before = position.seconds_before + position.seconds;
        next.position.spare = limit.map_or(position.spare, |limit| {
            (position.spare + limit - position.seconds).max(0.0)
        });
        next.position.rows = position.rows;
        next.position.done = position.done.clone();
        next.position.done.push(summary);
        *self = next;
    }

    /// Whether any validation found better parameters than those that the run began with.
    pub fn has_gained(&self) -> bool {
        let now = self.position.best.as_ref().map(|best| best.step);
        let done = self.position.done.iter().map(|stage| stage.best_step);
        done.chain(now).any(|step| step > 0)
    }

    /// Goes back to the best weights of the stage, at half the learning rate.
    pub fn go_back(&mut self) {
        self.weights.clone_from(&self.best);
        self.position.rate_factor *= 0.5;
        self.position.watch.retreat();
    }

    /// Keeps the weights if their average is the best so far.
    pub fn keep(&mut self, judgement: Judgement) {
        let found = Best {
            judgement,
            step: self.position.step,
            age: 0,
            level: self.position.watch.level(),
        };
        match &mut self.position.best {
            Some(best) if !found.judgement.is_better_than(&best.judgement) => best.age += 1,
            kept => {
                *kept = Some(found);
                self.best.clone_from(&self.weights);
            }
        }
    }
}

/// JSON has no numbers that are not finite.
fn or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_has_the_time_that_those_before_it_left() {
        let mut state = State::new(vec![0.0]);
        let mut spare = |seconds, limit| {
            state.position.seconds = seconds;
            let summary = StageSummary {
                objective: "likelihood".into(),
                steps: 1,
                seconds,
                loss: 0.0,
                before: Judgement::by_loss(1.0),
                after: Judgement::by_loss(0.0),
                best_step: 1,
                stopped_early: true,
                overfitted: false,
                returns: 0,
                retreats: 0,
                diverged: None,
                clipped: None,
                noted: None,
            };
            state.advance(summary, limit);
            state.position.spare
        };
        assert_eq!(spare(20.0, Some(30.0)), 10.0);
        // One that is bounded by steps takes none of it.
        assert_eq!(spare(5.0, None), 10.0);
        assert_eq!(spare(15.0, Some(7.0)), 2.0);
        // The last step may take longer than was left.
        assert_eq!(spare(9.5, Some(7.0)), 0.0);
    }

    #[test]
    fn a_score_that_is_no_number_never_wins() {
        let [low, high, nan] = [1.0, 2.0, f64::NAN].map(Judgement::by_loss);
        assert!(low.is_better_than(&high) && !high.is_better_than(&low));
        assert!(!low.is_better_than(&low));
        assert!(low.is_better_than(&nan) && !nan.is_better_than(&low) && !nan.is_better_than(&nan));
        let text = serde_json::to_string(&nan).unwrap();
        let back: Judgement = serde_json::from_str(&text).unwrap();
        assert!(back.validation.is_nan() && back.ess.is_none(), "{text}");
    }
}

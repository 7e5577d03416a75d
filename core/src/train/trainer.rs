//! The training loop.

use std::ops::ControlFlow;
use std::time::Instant;

use super::checkpoint;
use super::divergence::Divergence;
use super::fingerprint::{Fingerprint, fingerprint};
use super::gradient::{flatten, loss_and_gradient, unflatten};
use super::objectives::{Arrays, At, Context, Running, Sums};
use super::observer::{Observer, Progress, Resources, Retreat, Summary};
use super::optimiser::AdamW;
use super::schedule::Schedule;
use super::state::{Judgement, StageSummary, State};
use super::{Stage, TrainError, TrainOptions};
use crate::dataset::Dataset;
use crate::model::Model;

/// Validations in a stage whose interval is not given.
const VALIDATIONS: usize = 20;
/// Fewest steps between two of them. The first steps of an optimiser that knows no gradient yet follow signs alone and may do harm: the
/// patience of a short stage must outlast them, nor should its validations take more time than its steps.
const FEWEST_STEPS: usize = 16;
/// Times that a stage may diverge and go back to its best state.
const MOST_RETREATS: usize = 5;

/// Trains `model` in place; at the end it has the averaged parameters that were best in the last stage.
///
/// The run is deterministic on the CPU, for any number of threads and wherever it was interrupted and resumed, unless it is
/// bounded by time. Once any stage has found better parameters than the model began with they are not lost: a stage that diverges
/// for good, or fails, ends the run, and the summary says so.
///
/// # Errors
/// An option is out of its range, a stage lacks what it needs, the checkpoint cannot be written at the beginning or belongs to another
/// run; or training diverges for good, or a stage fails, before there are better parameters than those at the beginning. The model
/// then keeps the parameters it had.
pub fn train(
    model: &mut Model,
    dataset: &Dataset,
    resources: Resources,
    options: &TrainOptions,
    observer: &mut dyn Observer,
) -> Result<Summary, TrainError> {
    options.validate()?;
    let initial = flatten(model)?;
    let result = Run::new(model, dataset, resources, options, &initial, observer)
        .and_then(|mut run| run.run(observer));
    if result.is_err() {
        unflatten(model, &initial)?;
    }
    result
}

struct Run<'a> {
    model: &'a Model,
    dataset: &'a Dataset,
    resources: Resources<'a>,
    options: &'a TrainOptions,
    fingerprint: Fingerprint,
    saved: Instant,
    /// Whether that failed the last time.
    unsaved: bool,
    state: State,
}

/// A stage in the making.
struct Current<'a> {
    stage: &'a Stage,
    objective: Box<dyn Running + 'a>,
    optimiser: AdamW,
    schedule: Schedule,
}

/// How a stage ended.
enum End {
    /// Its budget is used up.
    Done,
    /// Its validations no longer improved.
    Early,
    /// It diverged once more than it may.
    Diverged(Divergence),
    /// The observer ended the run before.
    Interrupted,
}

/// What a step came to.
enum Outcome {
    Sound { loss: f64, gradient_norm: f64 },
    Diverged { what: &'static str, value: f64 },
}

impl<'a> Run<'a> {
    fn new(
        model: &'a Model,
        dataset: &'a Dataset,
        resources: Resources<'a>,
        options: &'a TrainOptions,
        initial: &[f32],
        observer: &mut dyn Observer,
    ) -> Result<Self, TrainError> {
        let mut run = Run {
            fingerprint: fingerprint(model, dataset, resources.pairs, options, initial),
            model,
            dataset,
            resources,
            options,
            saved: Instant::now(),
            unsaved: false,
            state: State::new(initial.to_vec()),
        };
        for stage in &options.stages {
            run.context(stage).check()?;
        }
        if let Some(checkpoint) = resources.checkpoint {
            if checkpoint.resume {
                run.state = checkpoint::load(&checkpoint.path, &run.fingerprint, initial.len())?;
                let position = &run.state.position;
                observer.resumed(position.steps_before + position.step, &position.done);
                unflatten(model, &run.state.weights.parameters)?;
            }
            // A place that cannot be written to is told before the work, not after it.
            run.save()?;
        }
        Ok(run)
    }

    fn context(&self, stage: &'a Stage) -> Context<'a> {
        Context {
            model: self.model,
            dataset: self.dataset,
            pairs: self.resources.pairs,
            energy: self.resources.energy,
            stage,
            seed: self.options.seed,
        }
    }

    fn run(&mut self, observer: &mut dyn Observer) -> Result<Summary, TrainError> {
        let (mut stopped, mut failure) = (false, None);
        while let Some(stage) = self.options.stages.get(self.state.position.stage) {
            match self.whole_stage(stage, observer) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(End::Interrupted)) => {
                    stopped = self.state.position.stage < self.options.stages.len();
                    break;
                }
                Ok(ControlFlow::Break(_)) => break,
                // A checkpoint that does not fit is no beginning.
                Err(error @ TrainError::Checkpoint { .. }) => return Err(error),
                Err(error) if !self.state.has_gained() => return Err(error),
                Err(error) => {
                    failure = Some(error.to_string());
                    break;
                }
            }
        }
        let position = &self.state.position;
        let (steps, seconds) = (
            position.steps_before + position.step,
            position.seconds_before + position.seconds,
        );
        let mut stages = position.done.clone();
        if let Some(stage) = self.options.stages.get(position.stage)
            && position.step > 0
        {
            stages.push(self.summarise(stage, &End::Interrupted, None));
        }
        unflatten(self.model, &self.state.best.average)?;
        Ok(Summary {
            stages,
            planned: self.options.stages.len(),
            steps,
            seconds,
            stopped,
            failure,
        })
    }

    /// Does a stage, or what is left of it; breaks if no other is to follow.
    fn whole_stage(
        &mut self,
        stage: &'a Stage,
        observer: &mut dyn Observer,
    ) -> Result<ControlFlow<End>, TrainError> {
        let mut current = self.begin(stage)?;
        let (end, flow) = self.steps(&mut current, observer)?;
        if let End::Interrupted = end {
            return Ok(ControlFlow::Break(end));
        }
        let mut summary = self.summarise(stage, &end, current.objective.clipped());
        drop(current);
        if let End::Diverged(found) = &end
            && !self.state.has_gained()
        {
            return Err(TrainError::Diverged {
                found: Box::new(found.clone()),
                retreats: summary.retreats,
            });
        }
        unflatten(self.model, &self.state.best.average)?;
        summary.noted = observer.stage_ended(self.model, &summary);
        self.state.advance(summary, stage.time_limit);
        self.keep(observer);
        Ok(match (end, flow) {
            (End::Diverged(found), _) => ControlFlow::Break(End::Diverged(found)),
            (_, ControlFlow::Break(())) => ControlFlow::Break(End::Interrupted),
            _ => ControlFlow::Continue(()),
        })
    }

    /// Prepares a stage; one that is new gets its first validation.
    fn begin(&mut self, stage: &'a Stage) -> Result<Current<'a>, TrainError> {
        let mut objective = stage.objective.begin(self.context(stage))?;
        let state = std::mem::take(&mut self.state.objective);
        if self.state.position.start.is_some() {
            objective
                .restore(state)
                .map_err(|reason| TrainError::Checkpoint {
                    path: self
                        .resources
                        .checkpoint
                        .map_or_else(Default::default, |c| c.path.clone()),
                    reason,
                })?;
        }
        let mut current = Current {
            stage,
            objective,
            optimiser: AdamW::new(stage),
            schedule: Schedule::new(
                stage,
                self.state.position.seconds,
                self.state.position.spare,
            ),
        };
        if self.state.position.start.is_none() {
            let start = self.judge(&mut current)?;
            self.state.position.start = Some(start.clone());
            self.state.position.validations = 1;
            self.state.keep(start);
        }
        Ok(current)
    }

    /// Steps until the stage ends; whether the observer breaks as well.
    fn steps(
        &mut self,
        current: &mut Current,
        observer: &mut dyn Observer,
    ) -> Result<(End, ControlFlow<()>), TrainError> {
        let stage = current.stage;
        loop {
            let fraction = current.schedule.fraction(self.state.position.step);
            let learning_rate =
                current.schedule.learning_rate(fraction) * self.state.position.rate_factor;
            let outcome = self.step(current, learning_rate)?;
            self.state.position.step += 1;
            let step = self.state.position.step;
            let fraction = current.schedule.fraction(step);
            // Rounding must not put off the last validation. The first one was that before the first step.
            let reached = 1 + (fraction * VALIDATIONS as f64 + 1e-9) as usize;
            let due = match stage.validation_every {
                0 => {
                    let position = &self.state.position;
                    reached > position.validations
                        && (step >= position.validated + FEWEST_STEPS || fraction >= 1.0)
                }
                every => step.is_multiple_of(every) || fraction >= 1.0,
            };
            let judged = match outcome {
                Outcome::Sound { .. } if due => Some(self.validate(current)?),
                _ => None,
            };
            if due {
                self.state.position.validations = reached;
                self.state.position.validated = step;
            }
            self.state.position.seconds = current.schedule.elapsed();
            let mut flow = ControlFlow::Continue(());
            match outcome {
                Outcome::Diverged { what, value } => {
                    let found = Divergence {
                        what: what.to_owned(),
                        value: value.to_string(),
                        step: self.state.position.steps_before + step,
                        learning_rate,
                    };
                    if self.state.position.retreats == MOST_RETREATS {
                        return Ok((End::Diverged(found), flow));
                    }
                    observer.retreated(&self.retreat(found)?);
                }
                Outcome::Sound {
                    loss,
                    gradient_norm,
                } => {
                    let position = &self.state.position;
                    flow = observer.step(&Progress {
                        stage: [position.stage, self.options.stages.len()],
                        objective: stage.objective.name(),
                        step: position.steps_before + step,
                        fraction,
                        elapsed: position.seconds_before + position.seconds,
                        loss,
                        gradient_norm,
                        learning_rate,
                        validation: judged.as_ref().map(|j| j.validation),
                        ess: judged.as_ref().and_then(|j| j.ess),
                        forward_ess: judged.as_ref().and_then(|j| j.forward_ess),
                    });
                }
            }
            if let Some(end) = self.patience(stage, judged.is_some(), observer)? {
                return Ok((end, flow));
            }
            if fraction >= 1.0 {
                return Ok((End::Done, flow));
            }
            if flow.is_break() {
                self.keep_within(current, observer);
                return Ok((End::Interrupted, flow));
            }
            let checkpoint = self.resources.checkpoint;
            if checkpoint.is_some_and(|c| self.saved.elapsed().as_secs_f64() >= c.every) {
                self.keep_within(current, observer);
            }
        }
    }

    /// One optimiser step.
    fn step(&mut self, current: &mut Current, learning_rate: f64) -> Result<Outcome, TrainError> {
        let State {
            position, weights, ..
        } = &mut self.state;
        let step = position.steps_before + position.step;
        let at = At::new(
            self.model,
            weights,
            [position.rows, current.stage.batch, step],
        );
        let batch = current.objective.batch(&at)?;
        position.rows += batch.taken;
        let objective = current.objective.as_ref();
        let (Sums { loss, slope }, gradient) = loss_and_gradient(self.model, objective, &batch)?;
        if !loss.is_finite() {
            return Ok(Outcome::Diverged {
                what: "loss",
                value: loss,
            });
        }
        let features = self.model.prior().dimension();
        if let Some(value) = position.watch.observe(loss - batch.floor, features) {
            return Ok(Outcome::Diverged {
                what: "median loss of the last steps",
                value: value + batch.floor,
            });
        }
        let gradient_norm = current.optimiser.step(weights, &gradient, learning_rate);
        if !gradient_norm.is_finite() {
            return Ok(Outcome::Diverged {
                what: "norm of the gradient",
                value: gradient_norm,
            });
        }
        // Whoever does not cut gradients is not without a watch.
        let clip = current.stage.clip.min(Stage::default().clip);
        if let Some(value) = position.watch.observe_gradient(gradient_norm, clip) {
            return Ok(Outcome::Diverged {
                what: "median norm of the gradient of the last steps",
                value,
            });
        }
        unflatten(self.model, &weights.parameters)?;
        current.objective.stepped(slope);
        position.loss = loss;
        Ok(Outcome::Sound {
            loss,
            gradient_norm,
        })
    }

    /// Judges the averaged parameters, and keeps the weights where they are the best so far.
    fn validate(&mut self, current: &mut Current) -> Result<Judgement, TrainError> {
        let judgement = self.judge(current)?;
        self.state.keep(judgement.clone());
        Ok(judgement)
    }

    fn judge(&mut self, current: &mut Current) -> Result<Judgement, TrainError> {
        let weights = &self.state.weights;
        unflatten(self.model, &weights.average)?;
        let judgement = current.objective.judge()?;
        unflatten(self.model, &weights.parameters)?;
        Ok(judgement)
    }

    /// Ends a stage whose patience is used up. When half of it is, the stage goes on from its best state at half the learning
    /// rate: what is left of it is better spent on smaller steps from there.
    fn patience(
        &mut self,
        stage: &Stage,
        judged: bool,
        observer: &mut dyn Observer,
    ) -> Result<Option<End>, TrainError> {
        let best = self.state.position.best.as_ref();
        let (age, step) = best.map_or((0, 0), |best| (best.age, best.step));
        if stage.patience == 0 || !judged {
            return Ok(None);
        }
        if age >= stage.patience {
            return Ok(Some(End::Early));
        }
        if age == stage.patience.div_ceil(2) {
            self.state.position.returns += 1;
            self.state.go_back();
            unflatten(self.model, &self.state.weights.parameters)?;
            let position = &self.state.position;
            observer.returned(position.steps_before + step, position.rate_factor);
        }
        Ok(None)
    }

    /// Goes back after divergence.
    fn retreat(&mut self, found: Divergence) -> Result<Retreat, TrainError> {
        self.state.position.retreats += 1;
        self.state.go_back();
        unflatten(self.model, &self.state.weights.parameters)?;
        let position = &self.state.position;
        Ok(Retreat {
            what: found.what,
            value: found.value,
            step: position.steps_before + position.step,
            rate_factor: position.rate_factor,
        })
    }

    fn summarise(&self, stage: &Stage, end: &End, clipped: Option<f64>) -> StageSummary {
        let position = &self.state.position;
        let best = position.best.as_ref();
        let unknown = || Judgement::by_loss(f64::NAN);
        let stopped_early = matches!(end, End::Early);
        let levels = best.and_then(|best| best.level).zip(position.watch.level());
        StageSummary {
            objective: stage.objective.name().to_owned(),
            steps: position.step,
            seconds: position.seconds,
            loss: position.loss,
            before: position.start.clone().unwrap_or_else(unknown),
            after: best.map_or_else(unknown, |best| best.judgement.clone()),
            best_step: best.map_or(0, |best| best.step),
            stopped_early,
            overfitted: stopped_early && levels.is_some_and(|(then, now)| now < then),
            returns: position.returns,
            retreats: position.retreats,
            diverged: match end {
                End::Diverged(found) => Some(found.clone()),
                _ => None,
            },
            clipped,
            noted: None,
        }
    }

    fn save(&mut self) -> Result<(), TrainError> {
        if let Some(checkpoint) = self.resources.checkpoint {
            checkpoint::save(&checkpoint.path, &self.fingerprint, &self.state)?;
        }
        Ok(())
    }

    /// Saves the run in the middle of a stage, with the state of its objective.
    fn keep_within(&mut self, current: &Current, observer: &mut dyn Observer) {
        if self.resources.checkpoint.is_some() {
            self.state.objective = current.objective.state();
            self.keep(observer);
            self.state.objective = Arrays::new();
        }
    }

    /// Saves the run if that can be done. A place that is no longer there, or full, must not take the work of this process with it.
    fn keep(&mut self, observer: &mut dyn Observer) {
        let saved = self.save();
        if let Err(error) = &saved
            && !self.unsaved
        {
            observer.warned(&format!("{error}; training goes on without"));
        }
        self.unsaved = saved.is_err();
        self.saved = Instant::now();
    }
}

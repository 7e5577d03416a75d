//! The training loop.

use std::ops::ControlFlow;
use std::time::Instant;

use super::checkpoint::{self, Checkpoint, Fingerprint};
use super::dataset::Dataset;
use super::gradient::{flatten, loss_and_gradient, mean_loss, unflatten};
use super::objective::{Batch, Loss};
use super::optimiser::AdamW;
use super::polish::Polish;
use super::schedule::Schedule;
use super::state::{Best, StageSummary, State};
use super::{Objective, Stage, TrainError, TrainOptions};
use crate::energy::Energy;
use crate::math::Fnv;
use crate::model::Model;
use crate::pairs::Pairs;

/// Validations in a stage whose interval is not given.
const VALIDATIONS: usize = 20;
/// Times that a stage may go back to its last good state.
const MOST_RETREATS: usize = 5;

/// Where a run stands after a step.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Index of the stage, and how many there are.
    pub stage: [usize; 2],
    /// What the stage minimises.
    pub objective: Objective,
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
    /// ESS/N of fresh samples, after the steps of a polish that validate.
    pub ess: Option<f64>,
}

/// A stage diverged and went back to its last good state.
#[derive(Clone, Copy, Debug)]
pub struct Retreat {
    /// Loss, norm of the gradient, or validation.
    pub what: &'static str,
    /// Its value.
    pub value: f64,
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

    /// A run goes on from a checkpoint, after so many steps.
    fn resumed(&mut self, _step: usize) {}

    /// Training diverged and goes on from an earlier state.
    fn retreated(&mut self, _retreat: &Retreat) {}

    /// A stage ended; the model has its best parameters.
    fn stage_ended(&mut self, _model: &Model, _summary: &StageSummary) {}
}

impl<F: FnMut(&Progress) -> ControlFlow<()>> Observer for F {
    fn step(&mut self, progress: &Progress) -> ControlFlow<()> {
        self(progress)
    }
}

/// What a run needs beside the data, depending on its stages.
#[derive(Clone, Copy, Default)]
pub struct Resources<'a> {
    /// Training and validation pairs, for regression.
    pub pairs: Option<&'a Pairs>,
    /// The target's energy, for a polish.
    pub energy: Option<&'a dyn Energy>,
    /// Where the run is saved; nowhere without it.
    pub checkpoint: Option<&'a Checkpoint>,
}

/// What a run reached.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Summary {
    /// What each stage reached; the last one may have been stopped.
    pub stages: Vec<StageSummary>,
    /// Steps done.
    pub steps: usize,
    /// Wall time, seconds.
    pub seconds: f64,
    /// Whether the observer ended the run.
    pub stopped: bool,
}

/// Trains `model` in place; at the end it has the averaged parameters that were best in the last stage.
///
/// The run is deterministic on the CPU, for any number of threads and wherever it was interrupted and resumed, unless it is
/// bounded by time.
///
/// # Errors
/// An option is out of its range, a stage lacks what it needs, training diverges for good, a checkpoint cannot be written or
/// belongs to another run, or the model fails; the model then keeps the parameters it had.
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
    state: State,
}

/// A stage in the making.
struct Current<'a> {
    stage: &'a Stage,
    loss: Loss,
    optimiser: AdamW,
    validation: Batch,
    polish: Option<Polish<'a>>,
    schedule: Schedule,
}

/// A value that shows divergence.
type Divergence = (&'static str, f64);

impl<'a> Run<'a> {
    fn new(
        model: &'a Model,
        dataset: &'a Dataset,
        resources: Resources<'a>,
        options: &'a TrainOptions,
        initial: &[f32],
        observer: &mut dyn Observer,
    ) -> Result<Self, TrainError> {
        let missing = |objective, what| TrainError::Missing { objective, what };
        if options.has(Objective::Regression) && resources.pairs.is_none() {
            return Err(missing(Objective::Regression, "pairs of a target source"));
        }
        if options.has(Objective::Polish) && resources.energy.is_none() {
            return Err(missing(Objective::Polish, "the target's energy"));
        }
        let mut run = Run {
            fingerprint: fingerprint(model, dataset, resources.pairs, options, initial),
            model,
            dataset,
            resources,
            options,
            saved: Instant::now(),
            state: State::new(initial.to_vec()),
        };
        if let Some(checkpoint) = resources.checkpoint {
            if checkpoint.resume {
                run.state = checkpoint::load(&checkpoint.path, &run.fingerprint, initial.len())?;
                let position = &run.state.position;
                observer.resumed(position.steps_before + position.step);
                unflatten(model, &run.state.weights.parameters)?;
            }
            // A place that cannot be written to is told before the work, not after it.
            run.save()?;
        }
        Ok(run)
    }

    fn run(&mut self, observer: &mut dyn Observer) -> Result<Summary, TrainError> {
        let mut stopped = false;
        while let Some(stage) = self.options.stages.get(self.state.position.stage) {
            let mut current = self.begin(stage)?;
            let (stopped_early, flow) = self.stage(&mut current, observer)?;
            stopped = flow.is_break() && !stopped_early && {
                let position = &self.state.position;
                current.schedule.fraction(position.step) < 1.0
            };
            if stopped {
                break;
            }
            let summary = self.summarise(stage, stopped_early);
            unflatten(self.model, &self.state.best)?;
            observer.stage_ended(self.model, &summary);
            self.state.advance(summary);
            self.save()?;
            if flow.is_break() {
                stopped = self.state.position.stage < self.options.stages.len();
                break;
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
            stages.push(self.summarise(stage, false));
        }
        unflatten(self.model, &self.state.best)?;
        Ok(Summary {
            stages,
            steps,
            seconds,
            stopped,
        })
    }

    /// Prepares a stage; one that is new gets its first validation.
    fn begin(&mut self, stage: &'a Stage) -> Result<Current<'a>, TrainError> {
        let model = self.model;
        let held_out = || self.dataset.validation_features(model.coordinates());
        let validation = match (stage.objective, self.resources.pairs) {
            (Objective::Regression, Some(pairs)) => {
                let (x0, x1) = pairs.validation();
                Batch::Pairs(x0, x1)
            }
            _ => Batch::Points(held_out()?),
        };
        let polish = match (stage.objective, self.resources.energy) {
            (Objective::Polish, Some(energy)) => Some(Polish::new(
                model,
                self.dataset,
                energy,
                &stage.polish,
                self.options.seed,
            )?),
            _ => None,
        };
        let current = Current {
            stage,
            loss: Loss::new(stage.regression, model.prior(), model.device())?,
            optimiser: AdamW::new(stage),
            validation,
            polish,
            schedule: Schedule::new(stage, self.state.position.seconds),
        };
        if self.state.position.start.is_none() {
            let start = self.judge(&current)?;
            let position = &mut self.state.position;
            position.start = Some(start);
            position.best = Some(start);
            position.validations = 1;
        }
        Ok(current)
    }

    /// Steps until the stage is done, its validations no longer improve (the first value says so), or the observer breaks.
    fn stage(
        &mut self,
        current: &mut Current,
        observer: &mut dyn Observer,
    ) -> Result<(bool, ControlFlow<()>), TrainError> {
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
                0 => reached > self.state.position.validations,
                every => step.is_multiple_of(every) || fraction >= 1.0,
            };
            let mut judged = None;
            let divergence = match outcome {
                Ok(_) if due => {
                    let found = self.judge(current)?;
                    judged = Some(found);
                    self.keep(found)
                }
                Ok(_) => None,
                Err(divergence) => Some(divergence),
            };
            if due {
                let validations = &mut self.state.position.validations;
                *validations = match stage.validation_every {
                    0 => reached,
                    _ => *validations + 1,
                };
            }
            self.state.position.seconds = current.schedule.elapsed();
            let mut flow = ControlFlow::Continue(());
            if let Some(divergence) = divergence {
                observer.retreated(&self.retreat(divergence, learning_rate)?);
            } else if let Ok((loss, gradient_norm)) = outcome {
                let position = &self.state.position;
                flow = observer.step(&Progress {
                    stage: [position.stage, self.options.stages.len()],
                    objective: stage.objective,
                    step: position.steps_before + step,
                    fraction,
                    elapsed: position.seconds_before + position.seconds,
                    loss,
                    gradient_norm,
                    learning_rate,
                    validation: judged.map(|j| j.validation),
                    ess: judged.and_then(|j| j.ess),
                });
            }
            let age = self.state.position.best.map_or(0, |best| best.age);
            let stopped_early = stage.patience > 0 && age >= stage.patience;
            if fraction >= 1.0 || stopped_early {
                return Ok((stopped_early, flow));
            }
            if flow.is_break() {
                self.save()?;
                return Ok((false, flow));
            }
            let checkpoint = self.resources.checkpoint;
            if checkpoint.is_some_and(|c| self.saved.elapsed().as_secs_f64() >= c.every) {
                self.save()?;
            }
        }
    }

    /// One optimiser step: the loss of the batch and the norm of its gradient, or what is not finite.
    fn step(
        &mut self,
        current: &Current,
        learning_rate: f64,
    ) -> Result<Result<(f64, f64), Divergence>, TrainError> {
        let batch = self.batch(current)?;
        let (loss, gradient) = loss_and_gradient(self.model, &current.loss, &batch)?;
        if !loss.is_finite() {
            return Ok(Err(("loss", loss)));
        }
        let weights = &mut self.state.weights;
        let norm = current.optimiser.step(weights, &gradient, learning_rate);
        if !norm.is_finite() {
            return Ok(Err(("norm of the gradient", norm)));
        }
        unflatten(self.model, &weights.parameters)?;
        self.state.position.loss = loss;
        Ok(Ok((loss, norm)))
    }

    fn batch(&mut self, current: &Current) -> Result<Batch, TrainError> {
        let (size, noise) = (current.stage.batch, current.stage.noise);
        let first = self.state.position.rows;
        if let Some(polish) = &current.polish {
            // The averaged parameters are the better proposal.
            unflatten(self.model, &self.state.weights.average)?;
            polish.refill(&mut self.state.buffer)?;
            unflatten(self.model, &self.state.weights.parameters)?;
            let step = self.state.position.steps_before + self.state.position.step;
            let (batch, clipped) = polish.batch(&self.state.buffer, size, first, step)?;
            self.state.position.rows += polish.data_rows(size);
            self.state.position.clipped += clipped;
            return Ok(batch);
        }
        self.state.position.rows += size;
        match (current.stage.objective, self.resources.pairs) {
            (Objective::Regression, Some(pairs)) => {
                let (x0, x1) = pairs.batch(first, size, noise, self.options.seed)?;
                Ok(Batch::Pairs(x0, x1))
            }
            _ => Ok(Batch::Points(self.dataset.training_features(
                self.model.coordinates(),
                first,
                size,
                noise,
            )?)),
        }
    }

    /// Evaluates the averaged parameters on the held-out points, and by fresh samples in a polish.
    fn judge(&mut self, current: &Current) -> Result<Best, TrainError> {
        let weights = &self.state.weights;
        unflatten(self.model, &weights.average)?;
        let validation = mean_loss(self.model, &current.loss, &current.validation)?;
        let ess = match &current.polish {
            Some(polish) => Some(polish.ess(self.state.position.validations)?),
            None => None,
        };
        unflatten(self.model, &weights.parameters)?;
        Ok(Best {
            validation,
            ess,
            step: self.state.position.step,
            age: 0,
        })
    }

    /// Keeps the averaged parameters where they are the best so far, and the state as one to go back to unless it diverged.
    fn keep(&mut self, found: Best) -> Option<Divergence> {
        let State {
            position,
            weights,
            good,
            best,
            ..
        } = &mut self.state;
        let sound = [position.start, position.best].into_iter().flatten();
        let sound = sound.map(|s| s.validation).fold(f64::INFINITY, f64::min);
        // Of a new flow, one nat (or squared unit) per feature is no noise of a sound run; a polish starts from a good one.
        let tolerance = match found.ess {
            Some(_) => 1.0,
            None => self.model.prior().dimension() as f64,
        };
        if found.validation.is_nan() || found.validation > sound + tolerance {
            return Some(("validation", found.validation));
        }
        if found.validation <= sound + 0.25 * tolerance {
            good.clone_from(weights);
        }
        match &mut position.best {
            Some(best) if !found.is_better_than(best) => best.age += 1,
            kept => {
                *kept = Some(found);
                best.clone_from(&weights.average);
            }
        }
        None
    }

    /// Goes back to the last good state, with half the learning rate.
    fn retreat(
        &mut self,
        (what, value): Divergence,
        learning_rate: f64,
    ) -> Result<Retreat, TrainError> {
        let position = &mut self.state.position;
        let step = position.steps_before + position.step;
        if position.retreats == MOST_RETREATS {
            return Err(TrainError::Diverged {
                what,
                value,
                step,
                learning_rate,
                retreats: position.retreats,
            });
        }
        position.retreats += 1;
        position.rate_factor *= 0.5;
        let retreat = Retreat {
            what,
            value,
            step,
            rate_factor: position.rate_factor,
        };
        self.state.weights.clone_from(&self.state.good);
        unflatten(self.model, &self.state.weights.parameters)?;
        Ok(retreat)
    }

    fn summarise(&self, stage: &Stage, stopped_early: bool) -> StageSummary {
        let position = &self.state.position;
        let best = position.best;
        StageSummary {
            objective: stage.objective,
            steps: position.step,
            seconds: position.seconds,
            loss: position.loss,
            validation: best.map_or(f64::NAN, |best| best.validation),
            ess: best.and_then(|best| best.ess),
            best_step: best.map_or(0, |best| best.step),
            stopped_early,
            retreats: position.retreats,
            clipped: (stage.objective == Objective::Polish)
                .then(|| position.clipped / position.step.max(1) as f64),
        }
    }

    fn save(&mut self) -> Result<(), TrainError> {
        if let Some(checkpoint) = self.resources.checkpoint {
            checkpoint::save(&checkpoint.path, &self.fingerprint, &self.state)?;
            self.saved = Instant::now();
        }
        Ok(())
    }
}

/// What the bits of a run depend on.
fn fingerprint(
    model: &Model,
    dataset: &Dataset,
    pairs: Option<&Pairs>,
    options: &TrainOptions,
    initial: &[f32],
) -> Fingerprint {
    let json = |value: serde_json::Result<serde_json::Value>| value.unwrap_or_default();
    let mut parameters = Fnv::default();
    for value in initial {
        parameters.add(&value.to_le_bytes());
    }
    let mut run = Fingerprint::from([
        (
            "architecture".into(),
            json(serde_json::to_value(&model.header().architecture)),
        ),
        (
            "coordinates".into(),
            model.coordinates().fingerprint().into(),
        ),
        ("temperature".into(), model.temperature().into()),
        ("frames".into(), dataset.fingerprint().into()),
        ("initial parameters".into(), parameters.finish().into()),
        ("seed".into(), options.seed.into()),
    ]);
    if let Some(pairs) = pairs {
        run.insert("pairs".into(), json(serde_json::to_value(pairs.describe())));
    }
    for (index, stage) in options.stages.iter().enumerate() {
        run.insert(
            format!("stage {}", index + 1),
            json(serde_json::to_value(stage)),
        );
    }
    run
}

//! The training loop.

use std::ops::ControlFlow;

use super::dataset::Dataset;
use super::gradient::{flatten, loss_and_gradient, mean_loss, unflatten};
use super::objective::{Batch, Loss};
use super::optimiser::AdamW;
use super::schedule::Schedule;
use super::{TrainError, TrainOptions};
use crate::flow::Model;
use crate::target::Pairs;

/// Validations in a run whose interval is not given.
const VALIDATIONS: usize = 20;

/// Where a run stands after a step.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// Part of the run that is done, 0 to 1.
    pub fraction: f64,
    /// Seconds since the start.
    pub elapsed: f64,
    /// Loss of the step's batch.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Loss of the averaged parameters on held-out blocks, after the steps that validate.
    pub validation: Option<f64>,
}

/// Is told of every step and may end the run.
pub trait Observer {
    /// `Break` ends the run; the best parameters so far are kept.
    fn step(&mut self, progress: &Progress) -> ControlFlow<()>;
}

impl<F: FnMut(&Progress) -> ControlFlow<()>> Observer for F {
    fn step(&mut self, progress: &Progress) -> ControlFlow<()> {
        self(progress)
    }
}

/// What a finished run reached.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Summary {
    /// Steps done.
    pub steps: usize,
    /// Wall time, seconds.
    pub seconds: f64,
    /// Loss of the last batch.
    pub loss: f64,
    /// Best loss on the held-out blocks; that of the parameters which the model now has.
    pub validation: f64,
    /// Step of the best validation.
    pub best_step: usize,
    /// Whether training ended because the validation no longer improved.
    pub stopped_early: bool,
}

/// Trains `model` in place; at the end it has the averaged parameters that were best on the held-out blocks.
///
/// `pairs` are the training and the validation pairs that a regression needs. The run is deterministic on the CPU, for any
/// number of threads, unless it is bounded by time.
///
/// # Errors
/// An option is out of its range, training diverges, or the model fails; the model then keeps the parameters it had.
pub fn train(
    model: &mut Model,
    dataset: &Dataset,
    pairs: Option<&Pairs>,
    options: &TrainOptions,
    observer: &mut dyn Observer,
) -> Result<Summary, TrainError> {
    options.validate()?;
    let mut run = Run::new(model, dataset, pairs, options)?;
    let initial = run.parameters.clone();
    let result = run.run(observer);
    if result.is_err() {
        unflatten(run.model, &initial)?;
    }
    result
}

struct Run<'a> {
    model: &'a Model,
    dataset: &'a Dataset,
    pairs: Option<&'a Pairs>,
    options: &'a TrainOptions,
    loss: Loss,
    validation: Batch,
    parameters: Vec<f32>,
    optimiser: AdamW,
    best: Best,
}

struct Best {
    parameters: Vec<f32>,
    loss: f64,
    step: usize,
    /// Validations since.
    age: usize,
}

impl<'a> Run<'a> {
    fn new(
        model: &'a Model,
        dataset: &'a Dataset,
        pairs: Option<&'a Pairs>,
        options: &'a TrainOptions,
    ) -> Result<Self, TrainError> {
        let validation = match pairs {
            Some(pairs) => {
                let (x0, x1) = pairs.validation();
                Batch { x0: Some(x0), x1 }
            }
            None => Batch {
                x0: None,
                x1: dataset.validation_features(model.coordinates())?,
            },
        };
        let parameters = flatten(model)?;
        Ok(Run {
            model,
            dataset,
            pairs,
            options,
            loss: Loss::new(options.objective, model.prior(), model.device())?,
            validation,
            optimiser: AdamW::new(&parameters, options),
            best: Best {
                parameters: parameters.clone(),
                loss: f64::INFINITY,
                step: 0,
                age: 0,
            },
            parameters,
        })
    }

    fn run(&mut self, observer: &mut dyn Observer) -> Result<Summary, TrainError> {
        let schedule = Schedule::new(self.options);
        let mut summary = Summary {
            steps: 0,
            seconds: 0.0,
            loss: f64::NAN,
            validation: f64::NAN,
            best_step: 0,
            stopped_early: false,
        };
        let mut validations = 0;
        for step in 1.. {
            let learning_rate = schedule.learning_rate(schedule.fraction(step - 1));
            let (loss, gradient_norm) = self.step(step, learning_rate)?;
            let fraction = schedule.fraction(step);
            // Rounding must not put off the last validation.
            let reached = (fraction * VALIDATIONS as f64 + 1e-9) as usize;
            let due = match self.options.validation_every {
                0 => reached > validations,
                every => step % every == 0 || fraction >= 1.0,
            };
            let validation = if due {
                validations = reached;
                Some(self.validate(step)?)
            } else {
                None
            };
            summary.steps = step;
            summary.loss = loss;
            let flow = observer.step(&Progress {
                step,
                fraction,
                elapsed: schedule.elapsed(),
                loss,
                gradient_norm,
                learning_rate,
                validation,
            });
            summary.stopped_early =
                self.options.patience > 0 && self.best.age >= self.options.patience;
            if fraction >= 1.0 || summary.stopped_early || flow.is_break() {
                break;
            }
        }
        if self.best.step == 0 {
            self.validate(summary.steps)?;
        }
        unflatten(self.model, &self.best.parameters)?;
        summary.seconds = schedule.elapsed();
        summary.validation = self.best.loss;
        summary.best_step = self.best.step;
        Ok(summary)
    }

    /// One optimiser step: the loss of the batch and the norm of its gradient.
    fn step(&mut self, step: usize, learning_rate: f64) -> Result<(f64, f64), TrainError> {
        let diverged = |what, value| TrainError::Diverged {
            what,
            value,
            step,
            learning_rate,
        };
        let batch = self.batch(step - 1)?;
        let (loss, gradient) = loss_and_gradient(self.model, &self.loss, &batch)?;
        if !loss.is_finite() {
            return Err(diverged("loss", loss));
        }
        let norm = self
            .optimiser
            .step(&mut self.parameters, &gradient, learning_rate);
        if !norm.is_finite() {
            return Err(diverged("norm of the gradient", norm));
        }
        unflatten(self.model, &self.parameters)?;
        Ok((loss, norm))
    }

    fn batch(&self, step: usize) -> Result<Batch, TrainError> {
        let size = self.options.batch;
        let noise = self.options.noise;
        match self.pairs {
            Some(pairs) => {
                let (x0, x1) = pairs.batch(step * size, size, noise, self.options.seed)?;
                Ok(Batch { x0: Some(x0), x1 })
            }
            None => Ok(Batch {
                x0: None,
                x1: self.dataset.training_features(
                    self.model.coordinates(),
                    step * size,
                    size,
                    noise,
                )?,
            }),
        }
    }

    /// Evaluates the averaged parameters on the held-out points and keeps them where they are the best so far.
    fn validate(&mut self, step: usize) -> Result<f64, TrainError> {
        unflatten(self.model, self.optimiser.average())?;
        let loss = mean_loss(self.model, &self.loss, &self.validation)?;
        if loss < self.best.loss {
            self.best.loss = loss;
            self.best.step = step;
            self.best.age = 0;
            self.best
                .parameters
                .copy_from_slice(self.optimiser.average());
        } else {
            self.best.age += 1;
        }
        unflatten(self.model, &self.parameters)?;
        Ok(loss)
    }
}

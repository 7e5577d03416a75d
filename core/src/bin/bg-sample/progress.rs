//! What a user sees of a training run: a progress bar, and what each stage reached.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use regflow::metric::Estimate;
use regflow::model::Model;
use regflow::system::printable;
use regflow::train::{Observer, Population, Progress, Retreat, StageSummary};
use serde_json::Value;

use crate::Outcome;

/// Positions of the bar; a stage's own measure of progress is a fraction.
const LENGTH: u64 = 1000;
/// Weight of a new loss in the running mean that is shown.
const SMOOTHING: f64 = 0.02;

/// Whether the user (Ctrl-C) or the system (SIGTERM) wants the run to end.
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on: the first signal is noted, a second one ends the program at once.
    pub fn listen() -> Outcome<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&flag))?;
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Interrupt(flag))
    }

    /// Whether there was a signal.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Shows a bar, and what there is to say.
pub struct Reporter {
    bar: ProgressBar,
    interrupt: Interrupt,
    loss: Option<f64>,
    validation: Option<f64>,
    ess: Option<[f64; 2]>,
    warnings: Vec<String>,
}

impl Reporter {
    pub fn new(interrupt: Interrupt) -> Outcome<Self> {
        let bar = ProgressBar::new(LENGTH);
        bar.set_style(ProgressStyle::with_template(
            "{bar:30} {percent}% [{elapsed} < {eta}] {msg}",
        )?);
        Ok(Reporter {
            bar,
            interrupt,
            loss: None,
            validation: None,
            ess: None,
            warnings: Vec::new(),
        })
    }

    /// Ends the bar; returns the warnings that were shown.
    pub fn finish(self) -> Vec<String> {
        self.bar.finish_and_clear();
        self.warnings
    }

    fn say(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{}", printable(text)));
    }
}

/// How the population of each basin changed in a stage that knows them.
fn population_changes(summary: &StageSummary) -> Vec<String> {
    let (before, after) = (&summary.before.populations, &summary.after.populations);
    let both = before.iter().zip(after);
    both.map(|(before, after)| {
        let text = |population: &Population| {
            let Population {
                raw, reweighted, ..
            } = population;
            let (value, error) = (reweighted.value, reweighted.error);
            let reweighted = Estimate { value, error };
            format!("{:.4}, reweighted {reweighted}", raw.value)
        };
        format!(
            "{}: {} -> {} (held-out frames {:.4})",
            after.basin,
            text(before),
            text(after),
            after.held_out
        )
    })
    .collect()
}

impl Observer for Reporter {
    fn step(&mut self, p: &Progress) -> ControlFlow<()> {
        let previous = self.loss.unwrap_or(p.loss);
        let loss = previous + SMOOTHING * (p.loss - previous);
        self.loss = Some(loss);
        self.validation = p.validation.or(self.validation);
        self.ess = p.ess.zip(p.forward_ess).map(<[f64; 2]>::from).or(self.ess);
        self.bar.set_position((p.fraction * LENGTH as f64) as u64);
        let text = |value: Option<f64>| value.map_or_else(|| "-".into(), |v| format!("{v:.3}"));
        let stage = format!("stage {}/{} {}", p.stage[0] + 1, p.stage[1], p.objective);
        let ess = self.ess.map_or_else(String::new, |[own, forward]| {
            format!("  ESS/N {own:.3} (clipped), on held-out frames {forward:.3}")
        });
        self.bar.set_message(format!(
            "{stage}  step {}  loss {loss:.3}  validation {}{ess}",
            p.step,
            text(self.validation)
        ));
        if p.validation.is_some() && self.bar.is_hidden() {
            eprintln!(
                "{stage} {:3.0} %  step {}  {:.0} s  loss {loss:.4}  validation {}{ess}",
                100.0 * p.fraction,
                p.step,
                p.elapsed,
                text(self.validation)
            );
        }
        if self.interrupt.is_raised() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn resumed(&mut self, step: usize, _: &[StageSummary]) {
        self.say(&format!("resumed after step {step}"));
    }

    fn retreated(&mut self, retreat: &Retreat) {
        self.say(&format!(
            "warning: the {} is {} at step {}: training diverged; back to the best state with {} of the learning rate",
            retreat.what, retreat.value, retreat.step, retreat.rate_factor
        ));
    }

    fn returned(&mut self, best: usize, rate_factor: f64) {
        self.say(&format!(
            "no better than at step {best} for a while: on from there with {rate_factor} of the learning rate"
        ));
    }

    fn stage_ended(&mut self, _: &Model, summary: &StageSummary) -> Option<Value> {
        (self.loss, self.ess) = (None, None);
        if summary.overfitted {
            self.say(&format!(
                "{}: stopped, as the held-out frames were best at step {} of {} and the training frames are being memorised",
                summary.objective, summary.best_step, summary.steps
            ));
        } else if summary.stopped_early {
            self.say(&format!(
                "{}: stopped, as nothing was better than at step {} of {}",
                summary.objective, summary.best_step, summary.steps
            ));
        }
        for change in population_changes(summary) {
            self.say(&format!("{}: {change}", summary.objective));
        }
        self.say(&format!(
            "{}: {} steps, {:.0} s, validation {:.4}",
            summary.objective, summary.steps, summary.seconds, summary.after.validation
        ));
        None
    }

    fn noted(&mut self, text: &str) {
        self.say(text);
    }

    fn warned(&mut self, text: &str) {
        self.say(&format!("warning: {text}"));
        self.warnings.push(text.to_owned());
    }
}

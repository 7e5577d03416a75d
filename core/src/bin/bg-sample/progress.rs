//! What a user sees of a training run: a progress bar, a CSV file of the curve, and what each stage reached.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use regflow::energy::Energy;
use regflow::math::{Purpose, Streams};
use regflow::model::Model;
use regflow::sample::WeightedSamples;
use regflow::train::{Observer, Population, Progress, Retreat, StageSummary};
use serde_json::{Value, json};

use crate::Outcome;
use crate::diagnostics::Populations;

/// Positions of the bar; a stage's own measure of progress is a fraction.
const LENGTH: u64 = 1000;
/// Weight of a new loss in the running mean that is shown.
const SMOOTHING: f64 = 0.02;
/// Fresh samples by which a finished stage is judged.
const SAMPLES: usize = 10_000;
const HEADER: &str =
    "stage,step,seconds,loss,gradient_norm,learning_rate,validation,ess,forward_ess";

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
}

/// Shows a bar, writes the curve, and draws samples after each stage.
pub struct Reporter<'a> {
    bar: ProgressBar,
    curve: File,
    path: PathBuf,
    energy: &'a dyn Energy,
    interrupt: Interrupt,
    loss: Option<f64>,
    validation: Option<f64>,
    ess: Option<[f64; 2]>,
    stages: Vec<Value>,
    failure: Option<String>,
}

impl<'a> Reporter<'a> {
    /// Continues the curve at `path` if the run is `resumed`; else starts one, and an earlier one is kept under another name.
    pub fn new(
        path: &Path,
        resumed: bool,
        energy: &'a dyn Energy,
        interrupt: Interrupt,
    ) -> Outcome<Self> {
        let bar = ProgressBar::new(LENGTH);
        bar.set_style(ProgressStyle::with_template(
            "{bar:30} {percent}% [{elapsed} < {eta}] {msg}",
        )?);
        let curve = open_curve(path, resumed)
            .map_err(|e| format!("{}: cannot write the training curve: {e}", path.display()))?;
        Ok(Reporter {
            bar,
            curve,
            path: path.to_owned(),
            energy,
            interrupt,
            loss: None,
            validation: None,
            ess: None,
            stages: Vec::new(),
            failure: None,
        })
    }

    /// Ends the bar; what samples of each finished stage showed.
    pub fn finish(self) -> Outcome<Vec<Value>> {
        self.bar.finish_and_clear();
        match self.failure {
            None => Ok(self.stages),
            Some(failure) => Err(failure.into()),
        }
    }

    fn write(&mut self, p: &Progress) -> std::io::Result<()> {
        let optional = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
        let line = format!(
            "{}-{},{},{:.3},{},{},{},{},{},{}\n",
            p.stage[0] + 1,
            p.objective,
            p.step,
            p.elapsed,
            p.loss,
            p.gradient_norm,
            p.learning_rate,
            optional(p.validation),
            optional(p.ess),
            optional(p.forward_ess)
        );
        // In one call, so that whatever ends the process leaves whole lines.
        self.curve.write_all(line.as_bytes())
    }

    fn judge(&self, model: &Model, summary: &StageSummary) -> Outcome<(Value, String)> {
        let drawn = model.sample(SAMPLES, Streams::new(Purpose::StageSamples, 0), 0)?;
        let mut energies = vec![0.0; SAMPLES];
        self.energy.energies(&drawn.positions, &mut energies)?;
        let mut samples = WeightedSamples::new(model.temperature());
        samples.extend(&drawn.log_q, &energies);
        let mut populations = Populations::new(model.topology());
        populations.extend(&drawn.positions);
        let found = samples.diagnostics(0);
        let k_hat = found.k_hat.map_or("-".into(), |k| format!("{k:.2}"));
        let (populations, words) = populations.weighted(&samples.log_weight)?.unzip();
        let text = format!(
            "{} steps, {:.0} s, validation {:.4}; {SAMPLES} fresh samples: ESS/N {:.4} (trimmed {:.4}), k-hat {k_hat}; {}",
            summary.steps,
            summary.seconds,
            summary.after.validation,
            found.ess,
            found.ess_trimmed,
            words.unwrap_or_default()
        );
        let value = json!({
            "objective": summary.objective,
            "ess_per_n": found.ess,
            "ess_per_n_trimmed": found.ess_trimmed,
            "k_hat": found.k_hat,
            "populations": populations,
        });
        Ok((value, text))
    }

    fn say(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
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
            format!(
                "{:.4}, reweighted {:.4} +- {:.4}",
                raw.value, reweighted.value, reweighted.error
            )
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

/// Opens the curve for appending, with its header.
fn open_curve(path: &Path, resumed: bool) -> std::io::Result<File> {
    if !resumed && path.exists() {
        let name = |number: u32| path.with_extension(format!("{number}.csv"));
        let free = (1..).map(name).find(|name| !name.exists());
        if let Some(free) = free {
            std::fs::rename(path, &free)?;
            eprintln!(
                "the earlier curve {} is now {}",
                path.display(),
                free.display()
            );
        }
    }
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    if length == 0 {
        writeln!(file, "{HEADER}")?;
        return Ok(file);
    }
    // A disk that was full may have left half a line.
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last != *b"\n" {
        writeln!(file)?;
    }
    Ok(file)
}

impl Observer for Reporter<'_> {
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
            format!("  ESS/N {own:.3}, on held-out frames {forward:.3}")
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
        if let Err(error) = self.write(p) {
            // Told at the end: the trained parameters are worth more than the curve.
            self.failure.get_or_insert(format!(
                "{}: cannot write the training curve: {error}",
                self.path.display()
            ));
        }
        if self.interrupt.0.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn resumed(&mut self, step: usize, done: &[StageSummary]) {
        self.stages = done.iter().filter_map(|s| s.noted.clone()).collect();
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

    fn stage_ended(&mut self, model: &Model, summary: &StageSummary) -> Option<Value> {
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
        match self.judge(model, summary) {
            Ok((value, text)) => {
                self.say(&format!("{}: {text}", summary.objective));
                self.stages.push(value.clone());
                Some(value)
            }
            Err(error) => {
                let stage = &summary.objective;
                self.failure
                    .get_or_insert(format!("after the stage of {stage}: {error}"));
                None
            }
        }
    }
}

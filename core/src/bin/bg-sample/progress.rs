//! What a user sees of a training run: a progress bar, and a CSV file of the curve.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use regflow::train::{Observer, Progress};

use crate::Outcome;

/// Positions of the bar; the run's own measure of progress is a fraction.
const LENGTH: u64 = 1000;
/// Weight of a new loss in the running mean that is shown.
const SMOOTHING: f64 = 0.02;

/// Shows a bar and writes the curve.
pub struct Reporter {
    bar: ProgressBar,
    curve: BufWriter<File>,
    path: PathBuf,
    loss: Option<f64>,
    validation: Option<f64>,
    failure: Option<std::io::Error>,
}

impl Reporter {
    /// Starts a curve at `path`, replacing that of an earlier run.
    pub fn new(path: &Path) -> Outcome<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .map_err(|e| format!("{}: cannot write the training curve: {e}", path.display()))?;
        let mut curve = BufWriter::new(file);
        writeln!(
            curve,
            "step,seconds,loss,gradient_norm,learning_rate,validation"
        )?;
        let bar = ProgressBar::new(LENGTH);
        bar.set_style(ProgressStyle::with_template(
            "{bar:30} {percent}% [{elapsed} < {eta}] {msg}",
        )?);
        Ok(Reporter {
            bar,
            curve,
            path: path.to_owned(),
            loss: None,
            validation: None,
            failure: None,
        })
    }

    /// Ends the bar and makes sure that the curve is on disk.
    pub fn finish(mut self) -> Outcome {
        self.bar.finish_and_clear();
        let flushed = self.curve.flush();
        match self.failure.map_or(flushed, Err) {
            Ok(()) => Ok(()),
            Err(e) => Err(format!(
                "{}: cannot write the training curve: {e}",
                self.path.display()
            )
            .into()),
        }
    }

    fn write(&mut self, p: &Progress) -> std::io::Result<()> {
        write!(
            self.curve,
            "{},{:.3},{},{},{},",
            p.step, p.elapsed, p.loss, p.gradient_norm, p.learning_rate
        )?;
        match p.validation {
            Some(validation) => {
                writeln!(self.curve, "{validation}")?;
                self.curve.flush()
            }
            None => writeln!(self.curve),
        }
    }
}

impl Observer for Reporter {
    fn step(&mut self, progress: &Progress) -> ControlFlow<()> {
        let previous = self.loss.unwrap_or(progress.loss);
        let loss = previous + SMOOTHING * (progress.loss - previous);
        self.loss = Some(loss);
        self.validation = progress.validation.or(self.validation);
        self.bar
            .set_position((progress.fraction * LENGTH as f64) as u64);
        let validation = self
            .validation
            .map_or_else(|| "-".into(), |v| format!("{v:.3}"));
        self.bar.set_message(format!(
            "step {}  loss {loss:.3}  validation {validation}",
            progress.step
        ));
        if let (Some(validation), true) = (progress.validation, self.bar.is_hidden()) {
            eprintln!(
                "{:3.0} %  step {}  {:.0} s  loss {loss:.4}  validation {validation:.4}",
                100.0 * progress.fraction,
                progress.step,
                progress.elapsed
            );
        }
        match self.write(progress) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                // Told at the end: the trained parameters are worth more than the curve.
                self.failure.get_or_insert(error);
                ControlFlow::Continue(())
            }
        }
    }
}

//! The training curve: one line of a CSV file for each step.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::system::SystemError;
use crate::train::Progress;

const HEADER: &str =
    "stage,step,seconds,loss,gradient_norm,learning_rate,validation,ess,forward_ess";

/// A curve that is being written.
pub(super) struct Curve {
    file: File,
    path: PathBuf,
    failed: bool,
}

impl Curve {
    /// Continues the curve at `path` if the run is `resumed`; else starts one, and an earlier one is kept under another name,
    /// which is given too.
    pub fn open(path: &Path, resumed: bool) -> Result<(Self, Option<PathBuf>), SystemError> {
        let (file, earlier) = open(path, resumed).map_err(|source| failed(path, source))?;
        let curve = Curve {
            file,
            path: path.to_owned(),
            failed: false,
        };
        Ok((curve, earlier))
    }

    /// Writes a step; the first failure is given back, and those after it are passed over: training goes on without.
    pub fn write(&mut self, p: &Progress) -> Result<(), SystemError> {
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
        match self.file.write_all(line.as_bytes()) {
            Err(source) if !std::mem::replace(&mut self.failed, true) => {
                Err(failed(&self.path, source))
            }
            _ => Ok(()),
        }
    }
}

fn failed(path: &Path, source: io::Error) -> SystemError {
    SystemError::Write {
        path: path.to_owned(),
        source,
    }
}

/// Opens the curve for appending, with its header.
fn open(path: &Path, resumed: bool) -> io::Result<(File, Option<PathBuf>)> {
    let mut earlier = None;
    if !resumed && path.exists() {
        let name = |number: u32| path.with_extension(format!("{number}.csv"));
        earlier = (1..).map(name).find(|name| !name.exists());
        if let Some(earlier) = &earlier {
            std::fs::rename(path, earlier)?;
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
        return Ok((file, earlier));
    }
    // A disk that was full may have left half a line.
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last != *b"\n" {
        writeln!(file)?;
    }
    Ok((file, earlier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curve.csv");
        let (mut curve, earlier) = Curve::open(&path, false).unwrap();
        assert_eq!(earlier, None);
        let progress = Progress {
            stage: [0, 1],
            objective: "likelihood",
            step: 1,
            fraction: 0.5,
            elapsed: 0.25,
            loss: 3.0,
            gradient_norm: 2.0,
            learning_rate: 1e-3,
            validation: None,
            ess: None,
            forward_ess: Some(0.5),
        };
        curve.write(&progress).unwrap();
        // As on a disk that is full.
        curve.file = File::open(&path).unwrap();
        let error = curve.write(&progress).unwrap_err().to_string();
        assert!(error.contains("curve.csv"), "{error}");
        curve.write(&progress).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text.lines().nth(1),
            Some("1-likelihood,1,0.250,3,2,0.001,,,0.5")
        );
        let columns = |line: &str| line.split(',').count();
        let found: Vec<usize> = text.lines().map(columns).collect();
        assert_eq!(found, [9, 9]);
        // A new run keeps the earlier curve.
        let (_, earlier) = Curve::open(&path, false).unwrap();
        assert_eq!(std::fs::read_to_string(earlier.unwrap()).unwrap(), text);
    }
}

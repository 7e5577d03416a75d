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
    /// Bytes of whole lines.
    length: u64,
    path: PathBuf,
    failed: bool,
}

impl Curve {
    /// Continues the curve at `path` if the run is `resumed`; else starts one, and an earlier one is kept under another name,
    /// which is given too.
    pub fn open(path: &Path, resumed: bool) -> Result<(Self, Option<PathBuf>), SystemError> {
        let (file, length, earlier) = open(path, resumed).map_err(|source| failed(path, source))?;
        let curve = Curve {
            file,
            length,
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
        let Err(source) = self.file.write_all(line.as_bytes()) else {
            self.length += line.len() as u64;
            return Ok(());
        };
        // Else the next line would be glued to what there was room for. Where that fails too, opening the curve mends it.
        let _ = self.file.set_len(self.length);
        match std::mem::replace(&mut self.failed, true) {
            true => Ok(()),
            false => Err(failed(&self.path, source)),
        }
    }
}

fn failed(path: &Path, source: io::Error) -> SystemError {
    SystemError::Write {
        path: path.to_owned(),
        source,
    }
}

/// Opens the curve for appending, with its header and whole lines only. Its length is given too, and where an earlier one is.
fn open(path: &Path, resumed: bool) -> io::Result<(File, u64, Option<PathBuf>)> {
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
    // A disk that was full, or a machine that went down, may have left half a line.
    let mut length = whole_lines(&mut file)?;
    file.set_len(length)?;
    if length == 0 {
        let header = format!("{HEADER}\n");
        file.write_all(header.as_bytes())?;
        length = header.len() as u64;
    }
    Ok((file, length, earlier))
}

/// Bytes up to the end of the last whole line.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let mut buffer = [0; 4096];
    let mut end = file.seek(SeekFrom::End(0))?;
    while end > 0 {
        let start = end.saturating_sub(buffer.len() as u64);
        let piece = &mut buffer[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(piece)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
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

    #[test]
    fn half_a_line_is_taken_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curve.csv");
        let whole = format!("{HEADER}\n1-likelihood,1,0.250,3,2,0.001,,,\n");
        // Shorter and longer than what is read at a time, and of a header alone.
        for (before, half) in [
            (whole.as_str(), "1-likelihood,2,0.2".to_owned()),
            (&whole, "9".repeat(10_000)),
            ("", "stage,st".to_owned()),
        ] {
            std::fs::write(&path, format!("{before}{half}")).unwrap();
            let (curve, _) = Curve::open(&path, true).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            let expected = match before {
                "" => format!("{HEADER}\n"),
                _ => whole.clone(),
            };
            assert_eq!(text, expected);
            assert_eq!(curve.length, text.len() as u64);
        }
    }
}

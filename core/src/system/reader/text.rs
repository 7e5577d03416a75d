//! Lines of text files, with their numbers for messages.

use std::io::{self, BufRead, Read};
use std::path::Path;

use super::Fault;
use super::kind::Packing;
use crate::system::printable;

/// No format has longer lines; a binary file under a wrong name does.
const LONGEST_LINE: u64 = 1 << 24;

/// The lines of a file.
pub(super) struct Lines {
    input: Box<dyn BufRead>,
    buffer: Vec<u8>,
    /// The last line that was read, from 1.
    number: usize,
    /// The last line has no end.
    unterminated: bool,
    /// `buffer` is to be given out once more.
    held: bool,
}

impl Lines {
    pub(super) fn open(path: &Path, packing: Packing) -> io::Result<Self> {
        Ok(Self::new(packing.open(path)?))
    }

    pub(super) fn new(input: Box<dyn BufRead>) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            number: 0,
            unterminated: false,
            held: false,
        }
    }

    /// The last line that was read, without its end and without blanks there.
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.buffer).unwrap_or_default()
    }

    /// Reads the next line, for [`Lines::text`]; false at the end of the file.
    pub(super) fn advance(&mut self) -> Result<bool, Fault> {
        if std::mem::take(&mut self.held) {
            return Ok(true);
        }
        self.buffer.clear();
        let length = (&mut self.input)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut self.buffer)?;
        if length == 0 {
            return Ok(false);
        }
        self.number += 1;
        self.unterminated = self.buffer.last() != Some(&b'\n');
        if self.unterminated && length as u64 == LONGEST_LINE {
            return Err(self.damaged("this line does not end; the file is no text file"));
        }
        let kept = self.buffer.trim_ascii_end().len();
        self.buffer.truncate(kept);
        // Comments in other encodings do no harm.
        if std::str::from_utf8(&self.buffer).is_err() {
            self.buffer = String::from_utf8_lossy(&self.buffer).into_owned().into();
        }
        if self.number == 1 && self.buffer.starts_with("\u{feff}".as_bytes()) {
            self.buffer.drain(..3);
        }
        Ok(true)
    }

    /// Reads a line that must be there, for [`Lines::text`].
    pub(super) fn need(&mut self) -> Result<(), Fault> {
        if self.advance()? {
            return Ok(());
        }
        Err(Fault::Io(io::ErrorKind::UnexpectedEof.into()))
    }

    /// Passes over blank lines and comments between frames; the next line is then the current one. False at the end.
    pub(super) fn seek_frame(&mut self) -> Result<bool, Fault> {
        while self.advance()? {
            let text = self.text().trim_start();
            if !text.is_empty() && !text.starts_with('#') {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Gives the current line out once more.
    pub(super) fn hold(&mut self) {
        self.held = true;
    }

    /// Does the last line lack its end, so that its number may lack digits?
    pub(super) fn warning(&self) -> Option<String> {
        self.unterminated.then(|| {
            "the last line has no end; if the file was cut there, the last number of the last frame is wrong".to_owned()
        })
    }

    /// Forgets that the last line has no end, where no number can be cut.
    pub(super) fn terminate(&mut self) {
        self.unterminated = false;
    }

    /// A fault of the current line.
    pub(super) fn damaged(&self, reason: impl std::fmt::Display) -> Fault {
        Fault::Damaged(format!("line {}: {reason}", self.number))
    }

    /// A number of the current line.
    pub(super) fn real(&self, text: &str) -> Result<f64, Fault> {
        text.parse()
            .map_err(|_| self.damaged(format!("'{}' is not a number", short(text))))
    }

    /// A count in the current line.
    pub(super) fn count(&self, text: &str) -> Result<usize, Fault> {
        text.parse().map_err(|_| {
            self.damaged(format!(
                "'{}' where the number of atoms should be",
                short(text)
            ))
        })
    }
}

/// The start of a text, for messages.
pub(super) fn short(text: &str) -> String {
    let start: String = text.trim().chars().take(60).collect();
    let mut shown = printable(&start).into_owned();
    if start.len() < text.trim().len() {
        shown.push_str("...");
    }
    shown
}

//! GROMACS GRO: title, count, atoms in fixed columns, box. The distance of the decimal points is the width of a coordinate.

use super::text::{Lines, short};
use super::{Fault, RawFrame, Reader, cell};

pub(super) struct Gro {
    lines: Lines,
    n_atoms: usize,
}

/// Columns before the first coordinate: residue number and name, atom name and number, five each.
const NAMES: usize = 20;

impl Gro {
    pub(super) fn new(lines: Lines, n_atoms: usize) -> Self {
        Self { lines, n_atoms }
    }

    /// Finds the count behind the title, which may be blank; false at the end of the file.
    fn head(&mut self) -> Result<Option<usize>, Fault> {
        let mut title: Option<String> = None;
        // Between frames a blank line or a comment is no title, unless the count follows.
        let is_title = |title: &str| !title.is_empty() && !title.starts_with([';', '#']);
        while self.lines.advance()? {
            let text = self.lines.text();
            if let (Some(_), Ok(count)) = (&title, text.trim().parse()) {
                return Ok(Some(count));
            }
            if let Some(title) = title.filter(|title| is_title(title)) {
                return Err(self.lines.damaged(format!(
                    "'{}' where the number of atoms should be, behind '{}'",
                    short(text),
                    short(&title)
                )));
            }
            title = Some(text.trim().to_owned());
        }
        match title.filter(|title| is_title(title)) {
            Some(_) => Err(Fault::Io(std::io::ErrorKind::UnexpectedEof.into())),
            None => Ok(None),
        }
    }
}

impl Reader for Gro {
    fn next(&mut self, frame: Option<&mut RawFrame>) -> Result<bool, Fault> {
        let Some(count) = self.head()? else {
            return Ok(false);
        };
        if count != self.n_atoms {
            return Err(Fault::Count(count));
        }
        let lines = &mut self.lines;
        let Some(frame) = frame else {
            for _ in 0..=count {
                lines.need()?;
            }
            return Ok(true);
        };
        frame.clear();
        for atom in 0..count {
            lines.need()?;
            let text = lines.text();
            let bad = || {
                lines.damaged(format!(
                    "'{}' where an atom in the columns of GRO should be",
                    short(text)
                ))
            };
            let numbers = text.get(NAMES..).ok_or_else(bad)?;
            let mut points = numbers.match_indices('.').map(|found| found.0);
            let (Some(first), Some(second)) = (points.next(), points.next()) else {
                // Numbers without points: asterisks or nan.
                let field = numbers.split_whitespace().next().unwrap_or_default();
                return Err(lines.real(field).err().unwrap_or_else(bad));
            };
            let width = second - first;
            for axis in 0..3 {
                let field = numbers.get(axis * width..).ok_or_else(bad)?;
                let field = field.get(..width).unwrap_or(field);
                frame.positions.push(lines.real(field.trim())?);
            }
            frame.label(atom, text.get(10..15).ok_or_else(bad)?.trim(), "");
        }
        frame.labels.truncate(count);
        lines.need()?;
        let numbers: Result<Vec<f64>, Fault> = lines
            .text()
            .split_whitespace()
            .map(|number| lines.real(number))
            .collect();
        frame.cell = match numbers.as_deref() {
            Ok(&[x, y, z]) => cell::checked([[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, z]]),
            Ok(&[ax, by, cz, ay, az, bx, bz, cx, cy]) => {
                cell::checked([[ax, ay, az], [bx, by, bz], [cx, cy, cz]])
            }
            _ => {
                return Err(lines.damaged(format!(
                    "'{}' where the three or nine numbers of the box should be",
                    short(lines.text())
                )));
            }
        };
        Ok(true)
    }

    fn warnings(&self) -> Vec<String> {
        self.lines.warning().into_iter().collect()
    }
}

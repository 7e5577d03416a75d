//! Tinker's XYZ and archives: a count with a title, perhaps a cell, and per atom number, name, position, type and bonds.

use super::text::{Lines, short};
use super::{Fault, RawFrame, Reader, cell};

pub(super) struct Tinker {
    lines: Lines,
    n_atoms: usize,
}

impl Tinker {
    pub(super) fn new(lines: Lines, n_atoms: usize) -> Self {
        Self { lines, n_atoms }
    }
}

impl Reader for Tinker {
    fn next(&mut self, frame: Option<&mut RawFrame>) -> Result<bool, Fault> {
        let lines = &mut self.lines;
        if !lines.seek_frame()? {
            return Ok(false);
        }
        let count = lines.count(lines.text().split_whitespace().next().unwrap_or_default())?;
        if count != self.n_atoms {
            return Err(Fault::Count(count));
        }
        read_frame(lines, count, frame).map(|()| true)
    }

    fn warnings(&self) -> Vec<String> {
        self.lines.warning().into_iter().collect()
    }
}

/// The first atom of a frame: "1  CH3  1.0 2.0 3.0  type  bonds".
pub(super) fn is_atom_line(text: &str) -> bool {
    let fields: Vec<&str> = text.split_whitespace().collect();
    fields.len() >= 6
        && fields[0] == "1"
        && fields[1].starts_with(|c: char| c.is_ascii_alphabetic())
        && fields[2..5]
            .iter()
            .all(|field| field.parse::<f64>().is_ok())
        && fields[5..].iter().all(|field| field.parse::<u32>().is_ok())
}

/// What follows the count.
pub(super) fn read_frame(
    lines: &mut Lines,
    count: usize,
    mut frame: Option<&mut RawFrame>,
) -> Result<(), Fault> {
    if let Some(frame) = &mut frame {
        frame.clear();
    }
    for atom in 0..count {
        lines.need()?;
        // The cell is a line of numbers, by which Tinker itself tells it.
        if atom == 0 && !lines.text().contains(|c: char| c.is_ascii_alphabetic()) {
            if let Some(frame) = &mut frame {
                let numbers: Vec<f64> = lines
                    .text()
                    .split_whitespace()
                    .map_while(|number| number.parse().ok())
                    .collect();
                let &[a, b, c, alpha, beta, gamma] = numbers.as_slice() else {
                    return Err(lines.damaged(format!("'{}' is no cell", short(lines.text()))));
                };
                frame.cell = cell::from_lengths([a, b, c].map(|x| 0.1 * x), [alpha, beta, gamma]);
            }
            lines.need()?;
        }
        let Some(frame) = &mut frame else { continue };
        let mut fields = lines.text().split_whitespace();
        let (number, name) = (fields.next().unwrap_or_default(), fields.next());
        let coordinates = [fields.next(), fields.next(), fields.next()];
        let (Some(name), [Some(x), Some(y), Some(z)], Ok(number)) =
            (name, coordinates, number.parse::<usize>())
        else {
            return Err(lines.damaged(format!(
                "'{}' where number, name and position of an atom should be",
                short(lines.text())
            )));
        };
        if number != atom + 1 {
            return Err(lines.damaged(format!("atom {number} where atom {} should be", atom + 1)));
        }
        let position = [lines.real(x)?, lines.real(y)?, lines.real(z)?];
        frame.positions.extend(position.map(|x| x * 0.1));
        frame.label(atom, name, "");
    }
    if let Some(frame) = frame {
        frame.labels.truncate(count);
    }
    Ok(())
}

//! AMBER's text formats: trajectories (mdcrd, ten numbers of eight columns a line) and restarts (rst7, inpcrd; six numbers of
//! twelve columns). Neither says how many numbers belong together: the topology does.

use super::text::{Lines, short};
use super::{Fault, RawFrame, Reader, cell};

/// Trajectory: a title, then for each frame all coordinates (Angstrom) and perhaps the lengths of the cell.
pub(super) struct Mdcrd {
    lines: Lines,
    n_atoms: usize,
    titled: bool,
}

/// Restart: a title, the number of atoms, coordinates, perhaps velocities and the cell.
pub(super) struct Restart {
    lines: Lines,
    n_atoms: usize,
    done: bool,
}

/// Numbers of fixed width in the current line; those that fill their columns touch one another.
fn numbers(lines: &Lines, width: usize, target: &mut Vec<f64>) -> Result<usize, Fault> {
    let text = lines.text();
    let mut count = 0;
    for start in (0..text.len()).step_by(width) {
        let field = text.get(start..(start + width).min(text.len()));
        let field =
            field.ok_or_else(|| lines.damaged(format!("'{}' are no numbers", short(text))))?;
        target.push(lines.real(field.trim())?);
        count += 1;
    }
    Ok(count)
}

/// Lines of `per_line` numbers until there are `wanted`.
fn block(
    lines: &mut Lines,
    width: usize,
    per_line: usize,
    wanted: usize,
    target: &mut Vec<f64>,
) -> Result<(), Fault> {
    let mut found = 0;
    while found < wanted {
        lines.need()?;
        let count = numbers(lines, width, target)?;
        found += count;
        if count != per_line.min(wanted + count - found) {
            return Err(lines.damaged(format!(
                "{count} numbers in a line, which does not fit {} atoms",
                wanted / 3
            )));
        }
    }
    Ok(())
}

impl Mdcrd {
    pub(super) fn new(lines: Lines, n_atoms: usize) -> Self {
        Self {
            lines,
            n_atoms,
            titled: false,
        }
    }
}

impl Reader for Mdcrd {
    fn next(&mut self, frame: Option<&mut RawFrame>) -> Result<bool, Fault> {
        let lines = &mut self.lines;
        if !std::mem::replace(&mut self.titled, true) {
            lines.need()?;
        }
        if !lines.seek_frame()? {
            return Ok(false);
        }
        lines.hold();
        let mut unused = RawFrame::default();
        let frame = frame.unwrap_or(&mut unused);
        frame.clear();
        let wanted = 3 * self.n_atoms;
        block(lines, 8, 10, wanted, &mut frame.positions)?;
        frame.positions.iter_mut().for_each(|x| *x *= 0.1);
        // Three numbers, where the next frame begins with more, are the lengths of the cell.
        if wanted > 3 && lines.seek_frame()? {
            let mut lengths = Vec::new();
            match (numbers(lines, 8, &mut lengths)?, lengths.as_slice()) {
                (3, &[a, b, c]) => {
                    frame.cell = cell::from_lengths([a, b, c].map(|x| 0.1 * x), [90.0; 3]);
                }
                _ => lines.hold(),
            }
        }
        Ok(true)
    }

    fn warnings(&self) -> Vec<String> {
        self.lines.warning().into_iter().collect()
    }
}

impl Restart {
    pub(super) fn new(lines: Lines, n_atoms: usize) -> Self {
        Self {
            lines,
            n_atoms,
            done: false,
        }
    }
}

impl Reader for Restart {
    fn next(&mut self, frame: Option<&mut RawFrame>) -> Result<bool, Fault> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(false);
        }
        let lines = &mut self.lines;
        lines.need()?;
        lines.need()?;
        let count = lines.count(lines.text().split_whitespace().next().unwrap_or_default())?;
        if count != self.n_atoms {
            return Err(Fault::Count(count));
        }
        let mut unused = RawFrame::default();
        let frame = frame.unwrap_or(&mut unused);
        frame.clear();
        let wanted = 3 * count;
        block(lines, 12, 6, wanted, &mut frame.positions)?;
        frame.positions.iter_mut().for_each(|x| *x *= 0.1);
        let mut rest = Vec::new();
        while lines.advance()? {
            numbers(lines, 12, &mut rest)?;
        }
        // Velocities, the cell (its lengths alone in old files), both, or nothing. Of two atoms, six numbers may be either, and
        // velocities are the more likely.
        let cell = match rest.len() {
            0 => &[][..],
            n if n == wanted => &[],
            3 | 6 => &rest,
            n if n == wanted + 3 || n == wanted + 6 => &rest[wanted..],
            n => {
                return Err(lines.damaged(format!(
                    "{n} numbers behind the positions, which are neither velocities nor a cell of {count} atoms"
                )));
            }
        };
        frame.cell = match *cell {
            [a, b, c] => cell::from_lengths([a, b, c].map(|x| 0.1 * x), [90.0; 3]),
            [a, b, c, alpha, beta, gamma] => {
                cell::from_lengths([a, b, c].map(|x| 0.1 * x), [alpha, beta, gamma])
            }
            _ => None,
        };
        Ok(true)
    }
}

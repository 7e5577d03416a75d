//! PDB: coordinates in fixed columns. A frame ends with ENDMDL or END, or where the next MODEL begins; a single structure
//! may lack all of them.

use super::text::{Lines, short};
use super::{Fault, RawFrame, Reader, cell};
use crate::math::vector::Vector;

pub(super) struct Pdb {
    lines: Lines,
    n_atoms: usize,
    /// CRYST1 stands before the first model only, or before each.
    cell: Option<[Vector; 3]>,
    /// A frame has ended with END or ENDMDL: all must.
    ended: bool,
    /// The residue of the last atom, as its columns have it, and the first of its alternate locations.
    residue: (Vec<u8>, Option<u8>),
}

impl Pdb {
    pub(super) fn new(lines: Lines, n_atoms: usize) -> Self {
        Self {
            lines,
            n_atoms,
            cell: None,
            ended: false,
            residue: (Vec::new(), None),
        }
    }

    /// Is the atom of this line at another than the first alternate location of its residue? Topologies have the first only.
    fn is_alternate(&mut self) -> bool {
        let bytes = self.lines.text().as_bytes();
        let columns = |from: usize, to: usize| bytes.get(from..to).unwrap_or_default();
        // Record, residue's name, chain, number and insertion; segment.
        let key = [columns(0, 6), columns(17, 27), columns(72, 76)].concat();
        if self.residue.0 != key {
            self.residue = (key, None);
        }
        match bytes.get(16) {
            None | Some(b' ') => false,
            Some(&location) => *self.residue.1.get_or_insert(location) != location,
        }
    }

    fn atom(&self, atom: usize, frame: &mut RawFrame) -> Result<(), Fault> {
        let text = self.lines.text();
        for axis in 0..3 {
            let field = text
                .get(30 + 8 * axis..)
                .map(|rest| rest.get(..8).unwrap_or(rest));
            let field = field.map(str::trim).filter(|field| !field.is_empty());
            let field = field.ok_or_else(|| {
                self.lines.damaged(format!(
                    "'{}' has no coordinates in columns 31 to 54",
                    short(text)
                ))
            })?;
            // Two coordinates that ran into one another are no number, with a reason worth telling.
            frame.positions.push(self.lines.real(field)? * 0.1);
        }
        let column = |from: usize, to: usize| {
            text.get(from..to.min(text.len()))
                .unwrap_or_default()
                .trim()
        };
        frame.label(atom, column(12, 16), column(76, 78));
        Ok(())
    }

    fn read_cell(&mut self) -> Result<(), Fault> {
        let text = self.lines.text();
        let column = |from: usize, to: usize| -> Option<f64> {
            text.get(from..to.min(text.len()))?.trim().parse().ok()
        };
        let fixed: Option<Vec<f64>> = [(6, 15), (15, 24), (24, 33), (33, 40), (40, 47), (47, 54)]
            .into_iter()
            .map(|(from, to)| column(from, to))
            .collect();
        // Some programs count no columns.
        let free = || -> Option<Vec<f64>> {
            text[6..]
                .split_whitespace()
                .take(6)
                .map(|word| word.parse().ok())
                .collect()
        };
        let numbers = fixed.or_else(free).filter(|numbers| numbers.len() == 6);
        let Some(n) = numbers else {
            return Err(self.lines.damaged(format!("'{}' is no cell", short(text))));
        };
        self.cell = cell::from_lengths([n[0], n[1], n[2]].map(|x| 0.1 * x), [n[3], n[4], n[5]]);
        Ok(())
    }
}

impl Reader for Pdb {
    fn next(&mut self, mut frame: Option<&mut RawFrame>) -> Result<bool, Fault> {
        let (mut atoms, mut model) = (0, false);
        if let Some(frame) = &mut frame {
            frame.clear();
        }
        let mut whole = false;
        self.residue = (Vec::new(), None);
        while self.lines.advance()? {
            let text = self.lines.text();
            if text.starts_with("ATOM  ") || text.starts_with("HETATM") {
                if self.is_alternate() {
                    continue;
                }
                if let Some(frame) = &mut frame
                    && atoms < self.n_atoms
                {
                    self.atom(atoms, frame)?;
                }
                atoms += 1;
            } else if text.starts_with("CRYST1") {
                self.read_cell()?;
            } else if text.starts_with("MODEL") {
                if atoms > 0 {
                    self.lines.hold();
                    whole = true;
                    break;
                }
                model = true;
            } else if text.starts_with("END") && (atoms > 0 || model) {
                (whole, self.ended) = (true, true);
                break;
            }
        }
        // Columns are fixed: a line that lacks digits was refused.
        self.lines.terminate();
        if atoms == 0 && !model {
            return Ok(false);
        }
        if !whole && self.ended {
            return Err(Fault::Io(std::io::ErrorKind::UnexpectedEof.into()));
        }
        if atoms != self.n_atoms {
            return Err(Fault::Count(atoms));
        }
        if let Some(frame) = frame {
            frame.cell = self.cell;
            frame.labels.truncate(atoms);
        }
        Ok(true)
    }
}

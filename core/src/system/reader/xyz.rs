//! XYZ and extended XYZ: a count, a comment, one line per atom.

use super::comment::{Columns, Comment};
use super::text::{Lines, short};
use super::tinker::is_atom_line;
use super::tinker::read_frame as read_tinker;
use super::{Fault, RawFrame, Reader, comment};

pub(super) struct Xyz {
    lines: Lines,
    n_atoms: usize,
    unordered: bool,
}

impl Xyz {
    pub(super) fn new(lines: Lines, n_atoms: usize) -> Self {
        Self {
            lines,
            n_atoms,
            unordered: false,
        }
    }
}

impl Reader for Xyz {
    fn next(&mut self, frame: Option<&mut RawFrame>) -> Result<bool, Fault> {
        let lines = &mut self.lines;
        if !lines.seek_frame()? {
            return Ok(false);
        }
        let mut head = lines.text().split_whitespace();
        let count = lines.count(head.next().unwrap_or_default())?;
        // Some programs name the unit behind the count (BigDFT: "22 bohr").
        let named = head.next().map(str::to_owned);
        if count != self.n_atoms {
            return Err(Fault::Count(count));
        }
        lines.need()?;
        // Tinker's XYZ has no comment line.
        if count > 0 && is_atom_line(lines.text()) {
            lines.hold();
            return read_tinker(lines, count, frame).map(|()| true);
        }
        let Some(frame) = frame else {
            for _ in 0..count {
                lines.need()?;
            }
            return Ok(true);
        };
        let text = lines.text();
        let mut comment = Comment::parse(text).map_err(|reason| lines.damaged(reason))?;
        if let Some(name) = named {
            match comment::length_unit(&name) {
                Some(unit) => comment.unit = unit,
                None if name == "reduced" => {
                    return Err(lines.damaged("reduced coordinates are not read"));
                }
                None => {}
            }
        }
        self.unordered |= comment.typed;
        frame.clear();
        frame.cell = comment.cell;
        let plain = Columns {
            species: Some(0),
            position: 1,
            count: 4,
        };
        for atom in 0..count {
            lines.need()?;
            let fields: Vec<&str> = fields(lines.text());
            let columns = match &comment.columns {
                Some(columns) if fields.len() != columns.count => {
                    return Err(lines.damaged(format!(
                        "'{}' has {} columns, Properties have {}",
                        short(lines.text()),
                        fields.len(),
                        columns.count
                    )));
                }
                Some(columns) => columns,
                None if fields.len() < 4 => {
                    return Err(lines.damaged(format!(
                        "'{}' where a symbol and three coordinates should be",
                        short(lines.text())
                    )));
                }
                None => &plain,
            };
            // A running number before the symbol.
            let shift = usize::from(
                comment.columns.is_none()
                    && fields.len() > 4
                    && fields[0].parse() == Ok(atom + 1)
                    && fields[1].starts_with(|c: char| c.is_ascii_alphabetic()),
            );
            for field in &fields[columns.position + shift..][..3] {
                frame.positions.push(lines.real(field)? * comment.unit);
            }
            let species = columns.species.map_or("", |column| fields[column + shift]);
            let species = if comment.typed && species.parse::<f64>().is_ok() {
                ""
            } else {
                species
            };
            // "Cl" is chlorine, but "CL" and "CA" may be names of atoms that begin with a carbon's symbol.
            let certain = !species.chars().skip(1).any(|c| c.is_ascii_uppercase());
            frame.label(atom, species, if certain { species } else { "" });
        }
        frame.labels.truncate(count);
        Ok(true)
    }

    fn warnings(&self) -> Vec<String> {
        let unordered = self.unordered.then(|| {
            "LAMMPS' dump xyz has no atom ids: the atoms must be in the order of the topology (dump_modify sort id)".to_owned()
        });
        self.lines.warning().into_iter().chain(unordered).collect()
    }
}

/// The fields of a line; quotes hold blanks together.
fn fields(text: &str) -> Vec<&str> {
    if !text.contains('"') {
        return text.split_whitespace().collect();
    }
    let mut quoted = false;
    text.split(|c: char| {
        quoted ^= c == '"';
        c.is_whitespace() && !quoted
    })
    .filter(|field| !field.is_empty())
    .collect()
}

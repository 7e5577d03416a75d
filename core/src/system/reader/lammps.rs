//! LAMMPS text dumps.

use super::comment::BOHR;
use super::text::{Lines, short};
use super::{Fault, RawFrame, Reader};
use crate::math::vector::Vector;

pub(super) struct Lammps {
    lines: Lines,
    n_atoms: usize,
    /// Length unit in nm; dumps name their units in the first frame only, if at all.
    unit: f64,
    /// Ids of the atoms of the first frame, ascending.
    ids: Option<Vec<u64>>,
    unordered: bool,
}

/// Origin and vectors, in the units of the file.
struct Box {
    origin: Vector,
    vectors: [Vector; 3],
    /// Atoms have images along at least one of the vectors.
    periodic: bool,
}

/// How positions are given.
struct Columns {
    count: usize,
    id: Option<usize>,
    element: Option<usize>,
    position: [usize; 3],
    /// In fractions of the box.
    scaled: bool,
    /// Counts of periodic images that were taken off.
    images: Option<[usize; 3]>,
}

impl Lammps {
    pub(super) fn new(lines: Lines, n_atoms: usize) -> Self {
        Self {
            lines,
            n_atoms,
            unit: 0.1,
            ids: None,
            unordered: false,
        }
    }

    fn read_units(&mut self) -> Result<(), Fault> {
        self.lines.need()?;
        self.unit = match self.lines.text().trim() {
            "real" | "metal" => 0.1,
            "electron" => BOHR,
            "nano" => 1.0,
            "micro" => 1e3,
            "si" => 1e9,
            "cgs" => 1e7,
            units => return Err(Fault::Units(units.to_owned())),
        };
        Ok(())
    }

    /// The lines behind `ITEM: BOX BOUNDS`. Tilted boxes are described by the bounds of the box around them.
    fn read_box(&mut self, general: bool, periodic: bool) -> Result<Box, Fault> {
        let mut rows = [[0.0; 4]; 3];
        let mut width = 0;
        for row in &mut rows {
            self.lines.need()?;
            let fields: Vec<&str> = self.lines.text().split_whitespace().collect();
            if !(2..=4).contains(&fields.len()) || (width != 0 && fields.len() != width) {
                let text = short(self.lines.text());
                return Err(self
                    .lines
                    .damaged(format!("'{text}' where bounds of the box should be")));
            }
            width = fields.len();
            for (number, field) in row.iter_mut().zip(fields) {
                *number = self.lines.real(field)?;
            }
        }
        if (width == 4) != general {
            return Err(self.lines.damaged("bounds of the box in an unknown form"));
        }
        if general {
            return Ok(Box {
                origin: rows.map(|row| row[3]),
                vectors: rows.map(|row| [row[0], row[1], row[2]]),
                periodic,
            });
        }
        let [[xlo, xhi, xy, _], [ylo, yhi, xz, _], [zlo, zhi, yz, _]] = rows;
        let least = |values: &[f64]| values.iter().copied().fold(0.0, f64::min);
        let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        let tilts = [xy, xz, xy + xz];
        let (xlo, xhi) = (xlo - least(&tilts), xhi - most(&tilts));
        let (ylo, yhi) = (ylo - least(&[yz]), yhi - most(&[yz]));
        Ok(Box {
            origin: [xlo, ylo, zlo],
            vectors: [
                [xhi - xlo, 0.0, 0.0],
                [xy, yhi - ylo, 0.0],
                [xz, yz, zhi - zlo],
            ],
            periodic,
        })
    }

    fn columns(&self, names: &str) -> Result<Columns, Fault> {
        let names: Vec<&str> = names.split_whitespace().collect();
        let column = |name: &str| names.iter().position(|&found| found == name);
        let three = |wanted: [&str; 3]| -> Option<[usize; 3]> {
            let [x, y, z] = wanted.map(column);
            Some([x?, y?, z?])
        };
        let kinds = [
            (["xu", "yu", "zu"], false),
            (["x", "y", "z"], false),
            (["xsu", "ysu", "zsu"], true),
            (["xs", "ys", "zs"], true),
        ];
        let found = kinds
            .iter()
            .find_map(|&(names, scaled)| Some((names[0], three(names)?, scaled)));
        let Some((first, position, scaled)) = found else {
            return Err(self.lines.damaged(format!(
                "no positions among the columns '{}': x y z, xu yu zu, xs ys zs or xsu ysu zsu are needed",
                short(&names.join(" "))
            )));
        };
        let wrapped = !first.ends_with('u');
        Ok(Columns {
            count: names.len(),
            id: column("id"),
            element: column("element"),
            position,
            scaled,
            images: three(["ix", "iy", "iz"]).filter(|_| wrapped),
        })
    }

    /// Atoms in the order of their ids.
    fn read_atoms(
        &mut self,
        columns: &Columns,
        cell: Option<&Box>,
        frame: &mut RawFrame,
    ) -> Result<(), Fault> {
        let mut rows: Vec<(u64, Vector)> = Vec::with_capacity(self.n_atoms);
        if (columns.scaled || columns.images.is_some()) && cell.is_none() {
            return Err(self
                .lines
                .damaged("positions in units of a box, and no box"));
        }
        for atom in 0..self.n_atoms {
            self.lines.need()?;
            let lines = &self.lines;
            let fields: Vec<&str> = lines.text().split_whitespace().collect();
            if fields.len() != columns.count {
                return Err(lines.damaged(format!(
                    "'{}' has {} fields for {} columns",
                    short(lines.text()),
                    fields.len(),
                    columns.count
                )));
            }
            let [x, y, z] = columns.position.map(|column| lines.real(fields[column]));
            let mut position = [x?, y?, z?];
            if let Some(cell) = cell {
                let mut shift = [0.0; 3];
                if columns.scaled {
                    (shift, position) = (position, cell.origin);
                }
                if let Some(images) = columns.images {
                    for (shift, column) in shift.iter_mut().zip(images) {
                        *shift += lines.real(fields[column])?;
                    }
                }
                if shift != [0.0; 3] {
                    for (axis, x) in position.iter_mut().enumerate() {
                        *x += (0..3)
                            .map(|k| shift[k] * cell.vectors[k][axis])
                            .sum::<f64>();
                    }
                }
            }
            let id = match columns.id {
                Some(column) => fields[column]
                    .parse()
                    .ok()
                    .filter(|&id| id > 0)
                    .ok_or_else(|| {
                        lines.damaged(format!(
                            "'{}' where an atom id should be",
                            short(fields[column])
                        ))
                    })?,
                None => atom as u64 + 1,
            };
            rows.push((id, position));
            frame.label(
                atom,
                "",
                columns.element.map_or("", |column| fields[column]),
            );
        }
        frame.labels.truncate(self.n_atoms);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&row| rows[row].0);
        if let Some(pair) = order
            .windows(2)
            .find(|pair| rows[pair[0]].0 == rows[pair[1]].0)
        {
            let id = rows[pair[0]].0;
            return Err(self
                .lines
                .damaged(format!("the frame above has atom id {id} twice")));
        }
        let ids = order.iter().map(|&row| rows[row].0);
        match &self.ids {
            None => self.ids = Some(ids.collect()),
            Some(known) => {
                if let Some((known, found)) = known
                    .iter()
                    .zip(ids)
                    .find(|(known, found)| **known != *found)
                {
                    return Err(self.lines.damaged(format!(
                        "the frame above has atom id {found} where the first frame has {known}; dump the same atoms in each frame"
                    )));
                }
            }
        }
        let unit = self.unit;
        frame
            .positions
            .extend(order.iter().flat_map(|&row| rows[row].1.map(|x| x * unit)));
        if columns.element.is_some() && order.iter().enumerate().any(|(rank, &row)| rank != row) {
            frame.labels = order.iter().map(|&row| frame.labels[row].clone()).collect();
        }
        self.unordered |= columns.id.is_none();
        frame.cell = cell
            .filter(|cell| cell.periodic)
            .and_then(|cell| super::cell::checked(cell.vectors.map(|v| v.map(|x| x * unit))));
        Ok(())
    }
}

impl Reader for Lammps {
    fn next(&mut self, mut frame: Option<&mut RawFrame>) -> Result<bool, Fault> {
        if !self.lines.seek_frame()? {
            return Ok(false);
        }
        if let Some(frame) = &mut frame {
            frame.clear();
        }
        let (mut counted, mut cell) = (false, None);
        loop {
            let text = self.lines.text();
            let Some(item) = text.strip_prefix("ITEM:").map(str::trim) else {
                return Err(self
                    .lines
                    .damaged(format!("'{}' where an ITEM line should be", short(text))));
            };
            if item == "UNITS" {
                self.read_units()?;
            } else if item == "NUMBER OF ATOMS" {
                self.lines.need()?;
                let count = self.lines.count(self.lines.text().trim())?;
                if count != self.n_atoms {
                    return Err(Fault::Count(count));
                }
                counted = true;
            } else if let Some(flags) = item.strip_prefix("BOX BOUNDS") {
                let general = flags.contains("abc origin");
                // Walls (f, s, m) on both sides of all directions; old dumps name none of them.
                let has_walls = flags
                    .split_whitespace()
                    .filter(|f| f.starts_with(['f', 's', 'm']));
                let periodic = has_walls.count() < 3;
                cell = Some(self.read_box(general, periodic)?);
            } else if let Some(names) = item.strip_prefix("ATOMS") {
                let columns = self.columns(names)?;
                if !counted {
                    return Err(self.lines.damaged("atoms without their number before"));
                }
                match frame {
                    Some(frame) => self.read_atoms(&columns, cell.as_ref(), frame)?,
                    None => {
                        for _ in 0..self.n_atoms {
                            self.lines.need()?;
                        }
                    }
                }
                return Ok(true);
            } else if item == "NUMBER OF ENTRIES" || item.starts_with("ENTRIES") {
                return Err(self
                    .lines
                    .damaged("a dump of local data, without positions of atoms"));
            } else {
                // TIMESTEP, TIME, and what the future brings: lines up to the next item.
                loop {
                    self.lines.need()?;
                    if self.lines.text().starts_with("ITEM:") {
                        self.lines.hold();
                        break;
                    }
                }
            }
            loop {
                self.lines.need()?;
                if !self.lines.text().is_empty() {
                    break;
                }
            }
        }
    }

    fn warnings(&self) -> Vec<String> {
        let unordered = self.unordered.then(|| {
            "the dump has no atom ids: the atoms must be in the order of the topology (dump_modify sort id)".to_owned()
        });
        self.lines.warning().into_iter().chain(unordered).collect()
    }
}

//! What a frame must stand before it is delivered.

use std::path::Path;

use super::{OpenFile, SystemError, Trajectory};
use crate::system::periodic::Cell;
use crate::system::reader::Label;
use crate::system::{Atom, elements, printable};

impl Trajectory {
    /// Checks the frame that was read and appends the positions of the chosen atoms (nm), made whole; false for a frame without
    /// positions.
    pub(super) fn take_frame(
        &mut self,
        file: &OpenFile,
        index: usize,
        all_positions: &mut Vec<f64>,
    ) -> Result<bool, SystemError> {
        let path = || file.path.clone();
        let start = all_positions.len();
        if !self.frame.empty {
            match &self.options.selection {
                Some(selection) => {
                    let (all, _) = self.frame.positions.as_chunks::<3>();
                    all_positions.extend(selection.atoms.iter().flat_map(|&atom| all[atom]));
                }
                None => all_positions.extend_from_slice(&self.frame.positions),
            }
        }
        let positions = &mut all_positions[start..];
        let (points, _) = positions.as_chunks::<3>();
        // All atoms at one point: what programs write that were not asked for positions.
        let one_point = || points.len() > 1 && points.iter().all(|point| *point == points[0]);
        let empty = match self.frame.empty {
            true => Some("velocities or forces only"),
            false => one_point().then_some("all atoms are at one point"),
        };
        if let Some(reason) = empty {
            self.pass_over(&file.path, index, reason);
            all_positions.truncate(start);
            return Ok(false);
        }
        self.check_elements(&file.path)?;
        if let Some(k) = positions.iter().position(|x| !x.is_finite()) {
            return Err(SystemError::NonFinite {
                path: path(),
                frame: index,
                atom: k / 3,
                axis: k % 3,
                value: positions[k],
            });
        }
        let (cell, facts) = self.cell(&file.path);
        self.walk
            .make_whole(positions, cell.as_ref(), self.options.longest_bond)
            .map_err(|bond| SystemError::BrokenMolecule {
                path: path(),
                frame: index,
                atoms: bond.atoms,
                length: bond.length,
                limit: self.options.longest_bond,
                cell: facts,
            })?;
        Ok(true)
    }
}

impl Trajectory {
    /// The periodic cell of the current frame, if it can have broken the molecule, and what to say of it.
    fn cell(&mut self, path: &Path) -> (Option<Cell>, &'static str) {
        let Some(vectors) = self.frame.cell else {
            return (None, "and the file has no periodic cell");
        };
        // Files of single molecules carry placeholder cells, such as CRYST1 1 1 1; images in them mean nothing.
        let wide = 2.0 * self.options.longest_bond.min(0.35);
        match Cell::new(vectors).filter(|cell| cell.width() > wide) {
            Some(cell) => (Some(cell), "in each periodic image"),
            None => {
                self.warn(
                    path,
                    "the periodic cell is too small to be one and is ignored",
                );
                (None, "and the periodic cell is too small to be one")
            }
        }
    }

    /// Compares the elements that the frame names with the topology's; once, as long as the names stay the same.
    fn check_elements(&mut self, path: &Path) -> Result<(), SystemError> {
        if self.frame.labels.is_empty() || self.frame.labels == self.checked {
            return Ok(());
        }
        let chosen = self.options.selection.as_ref();
        for (index, expected) in self.topology.atoms.iter().enumerate() {
            let atom = chosen.map_or(index, |chosen| chosen.atoms[index]);
            let Some(label) = self.frame.labels.get(atom) else {
                continue;
            };
            if !may_be(label, expected) {
                return Err(SystemError::Element {
                    path: path.to_owned(),
                    atom: index,
                    expected: format!("{} ({})", expected.name, expected.element),
                    found: printable(&match (label.name.as_str(), label.element.as_str()) {
                        (name, "") => name.to_owned(),
                        ("", element) => element.to_owned(),
                        (name, element) if name == element => name.to_owned(),
                        (name, element) => format!("{name} ({element})"),
                    })
                    .into_owned(),
                });
            }
        }
        self.checked.clone_from(&self.frame.labels);
        Ok(())
    }
}

/// Does what a file says of an atom fit the topology's atom? Only an element tells for certain; the name of an atom may begin
/// with the symbol in one or two letters ("CA" is a carbon in proteins), and means nothing where no symbol fits.
fn may_be(label: &Label, expected: &Atom) -> bool {
    let number = |symbol: &str| match symbol {
        "D" | "T" => Some(1),
        symbol => elements::lookup(symbol).map(|found| found.1),
    };
    let fits = |number: u32| number == expected.atomic_number;
    // A bead has no element to compare with.
    if label.name == expected.name || expected.atomic_number == 0 {
        return true;
    }
    if let Some(charge) = label
        .element
        .parse()
        .ok()
        .or_else(|| number(&label.element))
    {
        return fits(charge);
    }
    let name = label.name.trim_start_matches(|c: char| c.is_ascii_digit());
    let starts = [1, 2].map(|length| name.get(..length).and_then(number));
    let mut known = starts.into_iter().flatten().peekable();
    known.peek().is_none() || known.any(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_elements_against_the_topology() {
        let carbon = Atom {
            name: "CA".to_owned(),
            element: "C".to_owned(),
            atomic_number: 6,
            mass: 12.011,
            residue: 0,
        };
        let fits = |name: &str, element: &str| {
            let (name, element) = (name.to_owned(), element.to_owned());
            may_be(&Label { name, element }, &carbon)
        };
        for (name, element) in [
            ("CA", "Ca"),
            ("CT", ""),
            ("C", "C"),
            ("", "6"),
            ("", ""),
            ("CL", ""),
            ("XX", "QQ"),
            ("1", "C"),
            ("12CB", ""),
        ] {
            assert!(fits(name, element), "{name} {element}");
        }
        for (name, element) in [
            ("Cl", "Cl"),
            ("HA", ""),
            ("N", "N"),
            ("", "7"),
            ("", "D"),
            ("1HB", ""),
            ("CT", "O"),
        ] {
            assert!(!fits(name, element), "{name} {element}");
        }
    }
}

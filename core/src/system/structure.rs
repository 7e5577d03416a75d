//! Topologies from structure files: elements from columns or names, bonds from records, templates or distances.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::{Atom, AtomSelection, Residue, SystemError, Topology, chem};

impl Topology {
    /// Reads a molecule from a structure file with atom names (PDB, mmCIF, MOL2, GRO, ...) through chemfiles.
    ///
    /// Bonds are those of the file (CONECT records) and of the standard residues; where these do not make one connected
    /// molecule, bonds of the atoms that have none, or of all, are guessed from distances.
    ///
    /// # Errors
    /// An unreadable file, an unknown element, atoms that are not one molecule, an atom with too many bonds.
    pub fn read(path: &Path) -> Result<Self, SystemError> {
        let frame = read_structure(path)?;
        let atoms: Vec<usize> = (0..frame.size()).collect();
        from_frame(path, &frame, &atoms)
    }

    /// Reads part of a system (one molecule out of a solution, say), chosen in the selection language of chemfiles, e.g.
    /// `resname ALA ACE NME` or `index < 22`. A selection that refers to positions sees those of this file.
    ///
    /// # Errors
    /// As for [`Topology::read`], and for a selection that is not understood or empty.
    pub fn read_selection(
        path: &Path,
        selection: &str,
    ) -> Result<(Self, AtomSelection), SystemError> {
        let refused = |reason| SystemError::Selection {
            selection: selection.to_owned(),
            reason,
        };
        if selection.contains('\0') {
            return Err(refused("it holds a NUL character".to_owned()));
        }
        let frame = read_structure(path)?;
        let atoms = chem::call(&mut Vec::new(), || {
            let mut parsed = chemfiles::Selection::new(selection)?;
            Ok((parsed.size() == 1).then(|| parsed.list(&frame)))
        });
        let mut atoms = atoms.map_err(refused)?.ok_or_else(|| {
            refused("it selects pairs or larger groups; select single atoms".to_owned())
        })?;
        atoms.sort_unstable();
        if atoms.is_empty() {
            return Err(SystemError::EmptySelection {
                selection: selection.to_owned(),
                path: path.to_owned(),
                n_atoms: frame.size(),
            });
        }
        let topology = from_frame(path, &frame, &atoms)?;
        Ok((
            topology,
            AtomSelection {
                n_atoms: frame.size(),
                atoms,
            },
        ))
    }

    /// One connected molecule without overloaded atoms?
    fn check(&self, path: &Path) -> Result<(), SystemError> {
        let neighbours = self.neighbours();
        let mut part = vec![usize::MAX; self.n_atoms()];
        let mut parts = 0;
        for start in 0..self.n_atoms() {
            if part[start] != usize::MAX {
                continue;
            }
            let mut stack = vec![start];
            part[start] = parts;
            while let Some(atom) = stack.pop() {
                for &next in &neighbours[atom] {
                    if part[next] == usize::MAX {
                        part[next] = parts;
                        stack.push(next);
                    }
                }
            }
            parts += 1;
        }
        if let Some(atom) = part.iter().position(|&p| p == 1) {
            let name = self.describe(atom);
            return Err(SystemError::Disconnected {
                path: path.to_owned(),
                fragments: parts,
                atom,
                name,
            });
        }
        for (atom, bonded) in neighbours.iter().enumerate() {
            let allowed = most_bonds(self.atoms[atom].atomic_number);
            if bonded.len() > allowed {
                return Err(SystemError::Valence {
                    path: path.to_owned(),
                    atom,
                    name: self.describe(atom),
                    element: self.atoms[atom].element.clone(),
                    found: bonded.len(),
                    allowed,
                });
            }
        }
        Ok(())
    }
}

/// The largest plausible number of neighbours, charged groups included. A lower bound is not needed: in a connected molecule
/// each atom has a neighbour.
fn most_bonds(atomic_number: u32) -> usize {
    match atomic_number {
        1 | 9 | 17 | 35 | 53 => 1,
        6 | 7 => 4,
        8 => 3,
        _ => 8,
    }
}

/// The first frame of a structure file.
fn read_structure(path: &Path) -> Result<chemfiles::Frame, SystemError> {
    chem::check_readable(path)?;
    let format = chem::format_of(path)?;
    let refused = |reason| SystemError::Format {
        path: path.to_owned(),
        format: format.clone(),
        reason,
    };
    let frame = chem::call(&mut Vec::new(), || {
        let mut frame = chemfiles::Frame::new();
        chemfiles::Trajectory::open(path, 'r')?.read(&mut frame)?;
        Ok(frame)
    })
    .map_err(refused)?;
    if frame.size() == 0 {
        return Err(refused("it has no atoms".to_owned()));
    }
    Ok(frame)
}

fn from_frame(
    path: &Path,
    frame: &chemfiles::Frame,
    chosen: &[usize],
) -> Result<Topology, SystemError> {
    let refused = |reason| SystemError::Format {
        path: path.to_owned(),
        format: "structure".to_owned(),
        reason,
    };
    let (atoms, residues) =
        chem::call(&mut Vec::new(), || Ok(atoms_and_residues(frame, chosen))).map_err(refused)?;
    let atoms = atoms.map_err(|(atom, name)| SystemError::UnknownElement {
        path: path.to_owned(),
        atom,
        name,
    })?;
    let place: HashMap<usize, usize> = chosen
        .iter()
        .enumerate()
        .map(|(new, &old)| (old, new))
        .collect();
    let mut bonds: Vec<[usize; 2]> = frame
        .topology()
        .bonds()
        .iter()
        .filter_map(|[a, b]| Some([*place.get(a)?, *place.get(b)?]))
        .collect();
    bonds.extend(disulfides(frame, chosen, &atoms));
    let mut topology = Topology {
        atoms,
        residues,
        bonds: sorted(bonds),
    };
    if topology.check(path).is_ok() {
        return Ok(topology);
    }
    // Atoms that the templates of chemfiles do not know (caps, termini) get the bonds that distances suggest; if that does
    // not do, all atoms.
    let guessed = guess_bonds(path, frame, chosen, &topology.atoms)?;
    let known = topology.neighbours();
    let missing = guessed
        .iter()
        .filter(|atoms| atoms.iter().any(|&atom| known[atom].is_empty()));
    let completed = topology.bonds.iter().chain(missing).copied().collect();
    topology.bonds = sorted(completed);
    if topology.check(path).is_err() {
        topology.bonds = guessed;
        topology.check(path)?;
    }
    Ok(topology)
}

fn sorted(bonds: Vec<[usize; 2]>) -> Vec<[usize; 2]> {
    let mut bonds: Vec<[usize; 2]> = bonds
        .into_iter()
        .map(|[a, b]| [a.min(b), a.max(b)])
        .collect();
    bonds.sort_unstable();
    bonds.dedup();
    bonds
}

type AtomsAndResidues = (Result<Vec<Atom>, (usize, String)>, Vec<Residue>);

/// Atoms and residues of the chosen atoms; an atom without a known element is the error.
fn atoms_and_residues(frame: &chemfiles::Frame, chosen: &[usize]) -> AtomsAndResidues {
    let source = frame.topology();
    let mut residue_of = vec![None; frame.size()];
    for index in 0..source.residues_count() as usize {
        for atom in source
            .residue(index)
            .iter()
            .flat_map(|residue| residue.atoms())
        {
            residue_of[atom] = Some(index);
        }
    }
    let mut renumbered: BTreeMap<Option<usize>, usize> = BTreeMap::new();
    let mut residues = Vec::new();
    let mut atoms = Vec::with_capacity(chosen.len());
    for &index in chosen {
        let residue = *renumbered.entry(residue_of[index]).or_insert_with(|| {
            let known = residue_of[index].and_then(|index| source.residue(index));
            residues.push(known.map_or_else(
                || Residue {
                    name: "UNK".to_owned(),
                    id: 1,
                    chain: String::new(),
                },
                |known| Residue {
                    name: known.name(),
                    id: known.id().unwrap_or(1),
                    chain: match known.get("chainid").or_else(|| known.get("chainname")) {
                        Some(chemfiles::Property::String(chain)) => chain.trim().to_owned(),
                        _ => String::new(),
                    },
                },
            ));
            residues.len() - 1
        });
        let atom = frame.atom(index);
        let (name, kind) = (atom.name(), atom.atomic_type());
        match element(&name, &kind, &residues[residue].name) {
            Some(found) => {
                let (element, atomic_number, mass) = found;
                atoms.push(Atom {
                    name,
                    element,
                    atomic_number,
                    mass,
                    residue,
                });
            }
            None => return (Err((index, name)), residues),
        }
    }
    (Ok(atoms), residues)
}

/// Residues whose atom names begin with a one-letter element, so that "CA" is no calcium.
const PROTEIN: [&str; 38] = [
    "ACE", "ALA", "ARG", "ASH", "ASN", "ASP", "CYM", "CYS", "CYX", "GLH", "GLN", "GLU", "GLY",
    "HID", "HIE", "HIP", "HIS", "HSD", "HSE", "HSP", "HYP", "ILE", "LEU", "LYN", "LYS", "MET",
    "NHE", "NH2", "NLE", "NME", "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL", "NMA",
];

/// Symbol, nuclear charge and mass of an atom: from the element that the file gives, else from the atom's name.
fn element(name: &str, kind: &str, residue: &str) -> Option<(String, u32, f64)> {
    let letters: String = name.chars().filter(char::is_ascii_alphabetic).collect();
    let one: String = letters.chars().take(1).collect();
    let two: String = letters.chars().take(2).collect();
    let in_name = name.trim_start_matches(|c: char| c.is_ascii_digit());
    let leading: String = in_name
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .collect();
    let candidates = if kind != name {
        vec![kind, one.as_str()]
    } else if PROTEIN.contains(&residue) {
        vec![one.as_str()]
    } else if leading.len() <= 2 {
        vec![&leading, &two, one.as_str()]
    } else {
        vec![one.as_str()]
    };
    candidates.iter().find_map(|symbol| lookup(symbol))
}

/// An element by its symbol in any case, from chemfiles' periodic table.
pub(super) fn lookup(symbol: &str) -> Option<(String, u32, f64)> {
    if symbol.is_empty() || symbol.len() > 2 || !symbol.bytes().all(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    let symbol = symbol[..1].to_ascii_uppercase() + &symbol[1..].to_ascii_lowercase();
    let atom = chemfiles::Atom::new(symbol.as_str());
    let number = u32::try_from(atom.atomic_number())
        .ok()
        .filter(|&number| number > 0)?;
    Some((symbol, number, atom.mass()))
}

/// Sulfur atoms closer than 0.25 nm (S-S is 0.205 nm): PDB files name these bonds in SSBOND records, which chemfiles ignores.
fn disulfides(frame: &chemfiles::Frame, chosen: &[usize], atoms: &[Atom]) -> Vec<[usize; 2]> {
    let sulfurs: Vec<usize> = (0..atoms.len())
        .filter(|&atom| atoms[atom].atomic_number == 16)
        .collect();
    let mut bonds = Vec::new();
    for (k, &a) in sulfurs.iter().enumerate() {
        for &b in &sulfurs[k + 1..] {
            if frame.distance(chosen[a], chosen[b]) * super::NM_PER_ANGSTROM < 0.25 {
                bonds.push([a, b]);
            }
        }
    }
    bonds
}

fn guess_bonds(
    path: &Path,
    frame: &chemfiles::Frame,
    chosen: &[usize],
    atoms: &[Atom],
) -> Result<Vec<[usize; 2]>, SystemError> {
    let bonds = chem::call(&mut Vec::new(), || {
        let mut part = chemfiles::Frame::new();
        part.set_cell(&frame.cell());
        for (atom, &index) in atoms.iter().zip(chosen) {
            part.add_atom(
                &chemfiles::Atom::new(atom.element.as_str()),
                frame.positions()[index],
                None,
            );
        }
        part.guess_bonds()?;
        Ok(part.topology().bonds())
    });
    let bonds = bonds.map_err(|reason| SystemError::Bonds {
        path: path.to_owned(),
        reason,
    })?;
    Ok(sorted(bonds))
}

#[cfg(test)]
#[path = "structure_tests.rs"]
mod tests;

//! Molecules from structure files: elements from columns, names and masses; bonds from the potential, records, names, distances.

mod bonds;
mod element;
mod gro;
mod mmcif;
mod mol2;
mod pdb;
mod raw;

use std::io::Read;
use std::path::Path;

use self::bonds::{by_distances, by_names, sorted};
use self::raw::Raw;
use super::elements::most_bonds;
use super::particles::{connects, parts};
use super::{
    Atom, AtomSelection, Particles, Residue, SystemError, Topology, chem, printable, reader,
};

/// How a structure file is read.
#[derive(Clone, Copy, Default, Debug)]
pub struct StructureOptions<'a> {
    /// The molecule's atoms, where the file holds more, in the selection language of chemfiles: `resname ALA ACE NME` or
    /// `index < 22`. A selection that refers to positions sees those of this file.
    pub selection: Option<&'a str>,
    /// What the potential of the molecule knows of it. Its masses settle elements that the file leaves open, its bonds are those
    /// of the molecule; and what contradicts the file is an error.
    pub particles: Option<Particles<'a>>,
}

/// A molecule from a structure file.
#[derive(Clone, PartialEq, Debug)]
pub struct Structure {
    /// The molecule.
    pub topology: Topology,
    /// Which atoms of the file it is, if there was a selection. Atoms at other than the first alternate location do not count.
    pub selection: Option<AtomSelection>,
    /// What was guessed, left out or odd, in words that name the file.
    pub warnings: Vec<String>,
}

impl Structure {
    /// Reads a molecule from a structure file with atom names (PDB, mmCIF, MOL2, GRO, ...): the first model, the first of
    /// alternate locations.
    ///
    /// Bonds are those of the potential, if it is given and has any. Without it they are those of the file (CONECT records and
    /// their like) and of the standard residues, by the names of atoms; where these do not make one molecule, bonds of the atoms
    /// that have none, or of all, are guessed from distances, which is told.
    ///
    /// # Errors
    /// An unreadable file, an unknown element, a site that is no atom, atoms that are not one molecule, an atom with too many
    /// bonds, a selection that is not understood or empty, a potential of another molecule or another order of atoms.
    pub fn read(path: &Path, options: &StructureOptions) -> Result<Self, SystemError> {
        let mut warnings = Vec::new();
        let mut raw = read_raw(path, &mut warnings)?;
        raw.take_first_locations();
        let mut selection = None;
        if let Some(text) = options.selection {
            let atoms = select(path, &raw, text)?;
            let n_atoms = raw.atoms.len();
            raw.keep(&atoms);
            selection = Some(AtomSelection { n_atoms, atoms });
        }
        let mut notes = std::mem::take(&mut raw.notes);
        // Of a potential with another number of particles nothing can be said atom by atom; its user refuses it.
        let n = raw.atoms.len();
        let particles = options
            .particles
            .filter(|particles| [0, n].contains(&particles.masses.len()));
        let topology = settle(path, &raw, particles.as_ref(), &mut notes)?;
        let name = path.display();
        warnings.extend(notes.into_iter().map(|note| format!("{name}: {note}")));
        if let Some(particles) = options.particles {
            warnings.extend(topology.check_particles(&particles)?);
        }
        Ok(Self {
            topology,
            selection,
            warnings,
        })
    }
}

impl Topology {
    /// Reads a molecule as [`Structure::read`] does without options, for those who do not need its warnings.
    ///
    /// # Errors
    /// As [`Structure::read`].
    pub fn read(path: &Path) -> Result<Self, SystemError> {
        Structure::read(path, &StructureOptions::default()).map(|structure| structure.topology)
    }

    /// Reads part of a system (one molecule out of a solution, say), as [`Structure::read`] does with a selection.
    ///
    /// # Errors
    /// As [`Structure::read`].
    pub fn read_selection(
        path: &Path,
        selection: &str,
    ) -> Result<(Self, AtomSelection), SystemError> {
        let options = StructureOptions {
            selection: Some(selection),
            ..StructureOptions::default()
        };
        let structure = Structure::read(path, &options)?;
        let n_atoms = structure.topology.n_atoms();
        let all = || AtomSelection {
            n_atoms,
            atoms: (0..n_atoms).collect(),
        };
        Ok((structure.topology, structure.selection.unwrap_or_else(all)))
    }

    /// One connected molecule without overloaded atoms?
    fn check(&self, path: &Path) -> Result<(), SystemError> {
        let part = parts(self.n_atoms(), &self.bonds);
        if let Some(atom) = part.iter().position(|&p| p == 1) {
            return Err(SystemError::Disconnected {
                path: path.to_owned(),
                fragments: part.iter().max().map_or(0, |last| last + 1),
                atom,
                name: self.describe(atom),
            });
        }
        for (atom, bonded) in self.neighbours().iter().enumerate() {
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

/// Formats whose atoms have chemical symbols as types in chemfiles.
const FORMATS_OF_SYMBOLS: [&str; 7] = ["XYZ", "SDF", "CML", "MMTF", "CIF", "Molden", "CSSR"];

/// The atoms of a file, of its first frame or model.
fn read_raw(path: &Path, warnings: &mut Vec<String>) -> Result<Raw, SystemError> {
    chem::check_readable(path)?;
    let (bare, packing) = reader::unpacked_name(path)?;
    let is_cif = bare
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("cif"));
    let format = reader::format_of(path)?;
    let refused = |reason: String| SystemError::Format {
        path: path.to_owned(),
        format: format.clone(),
        reason: printable(&reason).into_owned(),
    };
    let failed = |source| SystemError::Read {
        path: path.to_owned(),
        source,
    };
    let text = || -> Result<String, SystemError> {
        let mut bytes = Vec::new();
        let mut file = packing.open(path).map_err(failed)?;
        file.read_to_end(&mut bytes).map_err(failed)?;
        // Remarks in other encodings do no harm.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let raw = match format.as_str() {
        "PDB" => pdb::read(&text()?).map_err(refused)?,
        "GRO" => gro::read(&text()?).map_err(refused)?,
        "MOL2" => mol2::read(&text()?).map_err(refused)?,
        "mmCIF" => mmcif::read(&text()?).map_err(refused)?,
        _ if is_cif && mmcif::is_mmcif(&text()?) => mmcif::read(&text()?).map_err(refused)?,
        "SDF"
            if text()?
                .lines()
                .nth(3)
                .is_some_and(|line| line.contains("V3000")) =>
        {
            return Err(refused(
                "V3000 is not read; convert it to V2000 or MOL2 (obabel in.sdf -O out.mol2)"
                    .to_owned(),
            ));
        }
        // Nor are their readers in chemfiles fit for damaged files.
        "XTC" | "TRR" | "DCD" | "Amber NetCDF" | "Amber restart" | "Amber mdcrd" => {
            return Err(refused(
                "it holds positions and no atoms; give a structure with the atoms' names (PDB, GRO, mmCIF, MOL2)"
                    .to_owned(),
            ));
        }
        _ => {
            let symbols =
                FORMATS_OF_SYMBOLS.contains(&format.split(' ').next().unwrap_or_default());
            let unpacked = packing.unpack(path).map_err(failed)?;
            let file = unpacked.as_deref().unwrap_or(path);
            let mut told = Vec::new();
            let raw = chem::call(&mut told, || {
                let mut frame = chemfiles::Frame::new();
                chemfiles::Trajectory::open_with_format(file, 'r', format.as_str())?
                    .read(&mut frame)?;
                Ok(Raw::from_frame(&frame, symbols))
            })
            .map_err(refused)?;
            // chemfiles warns of every property that an atom or residue does not have.
            told.retain(|warning| !warning.contains("property"));
            warnings.extend(
                told.into_iter()
                    .map(|told| format!("{}: {told}", path.display())),
            );
            raw
        }
    };
    if raw.atoms.is_empty() {
        return Err(refused("it has no atoms".to_owned()));
    }
    raw.check_text().map_err(refused)?;
    Ok(raw)
}

/// The atoms that a selection chooses, ascending.
fn select(path: &Path, raw: &Raw, selection: &str) -> Result<Vec<usize>, SystemError> {
    let refused = |reason| SystemError::Selection {
        selection: selection.to_owned(),
        reason,
    };
    if selection.contains('\0') {
        return Err(refused("it holds a NUL character".to_owned()));
    }
    let atoms = chem::call(&mut Vec::new(), || {
        let frame = raw.to_frame()?;
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
            n_atoms: raw.atoms.len(),
        });
    }
    Ok(atoms)
}

/// Elements, residues and bonds; `notes` is told what was guessed.
fn settle(
    path: &Path,
    raw: &Raw,
    particles: Option<&Particles>,
    notes: &mut Vec<String>,
) -> Result<Topology, SystemError> {
    let elements = element::elements(path, raw, particles, notes)?;
    let mut place = vec![None; raw.residues.len()];
    let mut residues: Vec<Residue> = Vec::new();
    let mut atoms = Vec::with_capacity(raw.atoms.len());
    for (index, (atom, element)) in raw.atoms.iter().zip(elements).enumerate() {
        let residue = *place[atom.residue].get_or_insert_with(|| {
            residues.push(raw.residues[atom.residue].residue.clone());
            residues.len() - 1
        });
        // A bead has the mass that the potential gives it, else none.
        let known = particles
            .and_then(|p| p.masses.get(index))
            .copied()
            .unwrap_or(atom.mass);
        let is_bead = element.number == 0 && known.is_finite();
        atoms.push(Atom {
            name: atom.name.clone(),
            element: element.symbol,
            atomic_number: element.number,
            mass: if is_bead { known } else { element.mass },
            residue,
        });
    }
    let mut topology = Topology {
        atoms,
        residues,
        bonds: sorted(raw.bonds.iter().copied()),
    };
    let of_file = topology.bonds.clone();
    let of_names = sorted(by_names(raw, &topology.atoms));
    if let Some(particles) = particles {
        let held = topology.plausible_bonds(particles);
        if connects(topology.n_atoms(), &held) {
            topology.bonds = held;
            topology.check(path)?;
            contradiction(&topology, particles, &of_file, &of_names, notes)?;
            return Ok(topology);
        }
    }
    topology.bonds = sorted(of_file.iter().chain(&of_names).copied());
    if topology.check(path).is_ok() {
        return Ok(topology);
    }
    let guessed = by_distances(raw, &topology.atoms);
    let known = topology.neighbours();
    // First for atoms that no record and no template knows (caps, termini, ligands), then between parts that are whole in
    // themselves, at last for all.
    let part = parts(topology.n_atoms(), &topology.bonds);
    let lonely = |atom: usize| known[atom].is_empty();
    let between = |[a, b]: [usize; 2]| part[a] != part[b];
    let attempts: [&dyn Fn([usize; 2]) -> bool; 2] =
        [&|bond| bond.into_iter().any(lonely), &|bond| {
            bond.into_iter().any(lonely) || between(bond)
        }];
    for wanted in attempts {
        let missing: Vec<[usize; 2]> = guessed
            .iter()
            .copied()
            .filter(|&bond| wanted(bond))
            .collect();
        let mut completed = topology.clone();
        completed.bonds = sorted(topology.bonds.iter().chain(&missing).copied());
        if completed.check(path).is_ok() {
            let added = completed.bonds.len() - topology.bonds.len();
            notes.push(format!(
                "{added} of {} bonds are guessed from distances",
                completed.bonds.len()
            ));
            return Ok(completed);
        }
    }
    topology.bonds = guessed;
    topology.check(path)?;
    if !of_file.is_empty() {
        notes.push(
            "the bonds that the file names do not make one molecule of possible atoms; all are guessed from distances".to_owned(),
        );
    } else {
        notes.push(format!(
            "all {} bonds are guessed from distances",
            topology.bonds.len()
        ));
    }
    Ok(topology)
}

/// Compares the bonds of a potential with what the structure says of them. Its records are taken at their word; names only of
/// heavy atoms, since programs differ in those of hydrogens.
fn contradiction(
    topology: &Topology,
    particles: &Particles,
    of_file: &[[usize; 2]],
    of_names: &[[usize; 2]],
    notes: &mut Vec<String>,
) -> Result<(), SystemError> {
    let is_heavy = |atom: &usize| topology.atoms[*atom].atomic_number > 1;
    // Contacts of metals are recorded as bonds, but potentials without them are common.
    let is_metal = |atom: &usize| {
        let number = topology.atoms[*atom].atomic_number;
        matches!(number, 3 | 4 | 11..=13 | 19..=31 | 37..=50 | 55..=83)
    };
    let missing = |bond: &&[usize; 2]| topology.bonds.binary_search(bond).is_err();
    let by_record = of_file
        .iter()
        .filter(missing)
        .find(|bond| !bond.iter().any(is_metal));
    let by_name = of_names
        .iter()
        .filter(missing)
        .find(|bond| bond.iter().all(is_heavy));
    if let Some(&[a, b]) = by_record.or(by_name) {
        return Err(SystemError::ParticleBond {
            source_name: particles.source.to_owned(),
            atoms: [a, b],
            names: [topology.describe(a), topology.describe(b)],
            found: topology.partners(&topology.bonds, a),
        });
    }
    // A file that connects everything by records has all bonds.
    if connects(topology.n_atoms(), of_file)
        && let Some(&[a, b]) = topology
            .bonds
            .iter()
            .find(|bond| of_file.binary_search(bond).is_err())
    {
        notes.push(format!(
            "{} has a bond between {} and {} that the file does not name; it is taken",
            particles.source,
            topology.describe(a),
            topology.describe(b)
        ));
    }
    Ok(())
}

/// Cell vectors in nm from lengths in Angstrom and angles in degrees; `None` for the placeholders of files without a cell.
fn cell_vectors(lengths: [f64; 3], angles: [f64; 3]) -> Option<[[f64; 3]; 3]> {
    let [a, b, c] = lengths.map(|length| length * super::NM_PER_ANGSTROM);
    let [alpha, beta, gamma] = angles.map(f64::to_radians);
    let bx = b * gamma.cos();
    let by = b * gamma.sin();
    let cx = c * beta.cos();
    let cy = c * (alpha.cos() - beta.cos() * gamma.cos()) / gamma.sin();
    let cz = (c * c - cx * cx - cy * cy).sqrt();
    let vectors = [[a, 0.0, 0.0], [bx, by, 0.0], [cx, cy, cz]];
    let real =
        vectors.iter().flatten().all(|x| x.is_finite()) && [a, by, cz].iter().all(|&x| x > 0.3);
    real.then_some(vectors)
}

#[cfg(test)]
mod spelling_tests;
#[cfg(test)]
mod tests;

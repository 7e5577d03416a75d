//! Atoms, residues and bonds of one molecule.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{SystemError, chem};

/// An atom.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Atom {
    /// Name within its residue, e.g. "CA".
    pub name: String,
    /// Chemical symbol, e.g. "C".
    pub element: String,
    /// Nuclear charge.
    pub atomic_number: u32,
    /// Standard atomic mass (g/mol).
    pub mass: f64,
    /// Index into [`Topology::residues`].
    pub residue: usize,
}

/// A residue.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Residue {
    /// Name, e.g. "ALA".
    pub name: String,
    /// Number in the file.
    pub id: i64,
    /// Chain name, may be empty.
    pub chain: String,
}

/// Backbone torsions of one residue, as MDTraj and OpenMM define them: phi = C(-1)-N-CA-C, psi = N-CA-C-N(+1), where the
/// neighbouring residues are those that are bonded (caps included).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackboneTorsions {
    /// Index of the residue.
    pub residue: usize,
    /// Residue name and number, e.g. "ALA2".
    pub name: String,
    /// Atoms of phi; none at an N-terminus.
    pub phi: Option<[usize; 4]>,
    /// Atoms of psi; none at a C-terminus.
    pub psi: Option<[usize; 4]>,
}

/// One molecule: atoms, residues, bonds. Goes into the header of a model file.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Atoms, in the order of all positions.
    pub atoms: Vec<Atom>,
    /// Residues, in the order of their first atoms.
    pub residues: Vec<Residue>,
    /// Bonds: lower index first, sorted, unique.
    pub bonds: Vec<[usize; 2]>,
}

/// Atoms of a larger system, as chosen with [`Topology::read_selection`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AtomSelection {
    /// Atoms of the whole system.
    pub n_atoms: usize,
    /// The chosen atoms, ascending.
    pub atoms: Vec<usize>,
}

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

    /// Number of atoms.
    pub fn n_atoms(&self) -> usize {
        self.atoms.len()
    }

    /// The atoms bonded to each atom, ascending.
    pub fn neighbours(&self) -> Vec<Vec<usize>> {
        let mut neighbours = vec![Vec::new(); self.n_atoms()];
        for &[a, b] in &self.bonds {
            neighbours[a].push(b);
            neighbours[b].push(a);
        }
        neighbours
            .iter_mut()
            .for_each(|bonded| bonded.sort_unstable());
        neighbours
    }

    /// Phi and psi of each residue that has one of them.
    pub fn backbone_torsions(&self) -> Vec<BackboneTorsions> {
        let neighbours = self.neighbours();
        let mut named: HashMap<(usize, &str), usize> = HashMap::new();
        for (index, atom) in self.atoms.iter().enumerate() {
            named
                .entry((atom.residue, atom.name.as_str()))
                .or_insert(index);
        }
        let mut torsions = Vec::new();
        for (residue, facts) in self.residues.iter().enumerate() {
            let atom = |name| named.get(&(residue, name)).copied();
            let (Some(n), Some(ca), Some(c)) = (atom("N"), atom("CA"), atom("C")) else {
                continue;
            };
            if !neighbours[ca].contains(&n) || !neighbours[ca].contains(&c) {
                continue;
            }
            let outside = |from: usize, name: &str| {
                let other = |&&other: &&usize| {
                    self.atoms[other].residue != residue && self.atoms[other].name == name
                };
                neighbours[from].iter().find(other).copied()
            };
            let phi = outside(n, "C").map(|previous| [previous, n, ca, c]);
            let psi = outside(c, "N").map(|next| [n, ca, c, next]);
            if phi.is_some() || psi.is_some() {
                torsions.push(BackboneTorsions {
                    residue,
                    name: format!("{}{}", facts.name, facts.id),
                    phi,
                    psi,
                });
            }
        }
        torsions
    }

    /// Name, residue and residue number of an atom, for messages: "CA of ALA2".
    pub fn describe(&self, atom: usize) -> String {
        let facts = &self.atoms[atom];
        let residue = &self.residues[facts.residue];
        format!("{} of {}{}", facts.name, residue.name, residue.id)
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
mod tests {
    use super::super::fixtures::{DATA, bond_list, frames, reference, topology};
    use super::*;
    use crate::system::torsion;

    fn pdb(name: &str) -> String {
        std::fs::read_to_string(format!("{DATA}/{name}.pdb")).unwrap()
    }

    fn read_text(text: &str) -> Result<Topology, SystemError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("molecule.pdb");
        std::fs::write(&path, text).unwrap();
        Topology::read(&path)
    }

    #[test]
    fn bonds_are_those_of_the_force_field() {
        for name in ["aldp", "al3", "al4"] {
            assert_eq!(topology(name).bonds, bond_list(name), "{name}");
        }
    }

    #[test]
    fn bonds_are_guessed_where_the_file_has_none() {
        for name in ["aldp", "al3", "al4"] {
            // Without CONECT records, then also with residue names that chemfiles has no template for.
            let text: String = pdb(name)
                .lines()
                .filter(|line| !line.starts_with("CONECT"))
                .map(|line| line.to_owned() + "\n")
                .collect();
            assert_eq!(read_text(&text).unwrap().bonds, bond_list(name), "{name}");
            let text = text
                .replace("ALA", "XXX")
                .replace("ACE", "XXY")
                .replace("NME", "XXZ");
            assert_eq!(read_text(&text).unwrap().bonds, bond_list(name), "{name}");
        }
    }

    #[test]
    fn atoms_and_residues_of_the_dipeptide() {
        let topology = topology("aldp");
        let residues: Vec<(&str, i64, &str)> = topology
            .residues
            .iter()
            .map(|r| (r.name.as_str(), r.id, r.chain.as_str()))
            .collect();
        assert_eq!(
            residues,
            [("ACE", 1, "A"), ("ALA", 2, "A"), ("NME", 3, "A")]
        );
        let ca = &topology.atoms[8];
        assert_eq!(
            (
                ca.name.as_str(),
                ca.element.as_str(),
                ca.atomic_number,
                ca.residue
            ),
            ("CA", "C", 6, 1)
        );
        assert!((ca.mass - 12.011).abs() < 1e-3);
        let formula = |number| {
            topology
                .atoms
                .iter()
                .filter(|atom| atom.atomic_number == number)
                .count()
        };
        assert_eq!([1, 6, 7, 8].map(formula), [12, 6, 2, 2]);
    }

    #[test]
    fn elements_without_an_element_column() {
        let text: String = pdb("aldp")
            .lines()
            .map(|line| format!("{:.66}\n", line))
            .collect();
        assert_eq!(read_text(&text).unwrap(), topology("aldp"));
        assert_eq!(element("CA", "CA", "ALA").unwrap().1, 6);
        assert_eq!(element("CA", "CA", "CA").unwrap().1, 20);
        assert_eq!(element("CL1", "CL1", "LIG").unwrap().1, 17);
        assert_eq!(element("1HB2", "1HB2", "ALA").unwrap().1, 1);
        assert_eq!(element("C12", "C12", "LIG").unwrap().1, 6);
        assert_eq!(element("?", "?", "LIG"), None);
    }

    #[test]
    fn backbone_torsions_of_the_peptides() {
        let names = |name: &str| -> Vec<(String, bool, bool)> {
            topology(name)
                .backbone_torsions()
                .into_iter()
                .map(|t| (t.name, t.phi.is_some(), t.psi.is_some()))
                .collect()
        };
        assert_eq!(names("aldp"), [("ALA2".to_owned(), true, true)]);
        let zwitterion = [
            ("ALA1", false, true),
            ("ALA2", true, true),
            ("ALA3", true, false),
        ];
        assert_eq!(
            names("al3"),
            zwitterion.map(|(n, a, b)| (n.to_owned(), a, b))
        );
        assert_eq!(
            names("al4"),
            ["ALA2", "ALA3", "ALA4"].map(|n| (n.to_owned(), true, true))
        );
        let torsions = &topology("aldp").backbone_torsions()[0];
        assert_eq!(
            (torsions.phi, torsions.psi),
            (Some([4, 6, 8, 10]), Some([6, 8, 10, 16]))
        );
    }

    #[test]
    fn torsions_equal_independent_values() {
        let table = std::fs::read_to_string(format!("{DATA}/aldp-torsions.csv")).unwrap();
        let (frames, torsions) = (frames(), &topology("aldp").backbone_torsions()[0]);
        for (frame, line) in table
            .lines()
            .filter(|line| !line.starts_with(['#', 'p']))
            .enumerate()
        {
            let expected: Vec<f64> = line
                .split(',')
                .map(|value| value.parse().unwrap())
                .collect();
            for (atoms, expected) in [torsions.phi, torsions.psi].iter().zip(expected) {
                let found = torsion(frames.frame(frame), atoms.unwrap());
                assert!((found - expected).abs() < 1e-9, "{found} {expected}");
            }
        }
    }

    #[test]
    fn selections() {
        let path = Path::new(DATA).join("aldp.pdb");
        let (part, selection) = Topology::read_selection(&path, "resname ALA").unwrap();
        assert_eq!(
            selection,
            AtomSelection {
                n_atoms: 22,
                atoms: (6..16).collect()
            }
        );
        assert_eq!(
            (part.n_atoms(), part.residues.len(), part.bonds.len()),
            (10, 1, 9)
        );
        let error = |text| {
            Topology::read_selection(&path, text)
                .unwrap_err()
                .to_string()
        };
        assert!(error("resname GLY").contains("matches none of the 22 atoms"));
        assert!(error("nonsense ((").contains("nonsense"));
        assert!(error("pairs: all").contains("single atoms"));
        assert!(error("name \0").contains("NUL"));
        assert!(error("resname ACE NME").contains("separate molecules"));
    }

    #[test]
    fn bad_structures_are_refused_with_the_fact() {
        let missing = Topology::read(Path::new("no/such.pdb"))
            .unwrap_err()
            .to_string();
        assert!(
            missing.contains("no/such.pdb") && missing.contains("No such file"),
            "{missing}"
        );
        assert!(matches!(read_text(""), Err(SystemError::EmptyFile { .. })));
        assert!(matches!(
            read_text("END\n"),
            Err(SystemError::Format { .. })
        ));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.unknown");
        std::fs::write(&path, "x").unwrap();
        let unknown = Topology::read(&path).unwrap_err().to_string();
        assert!(unknown.contains(".pdb"), "{unknown}");
        assert!(matches!(
            Topology::read(folder.path()),
            Err(SystemError::Read { .. })
        ));
        // An atom moved away: neither the file's bonds nor guessed ones connect it.
        let far: String = pdb("al3")
            .lines()
            .map(|line| if line.contains(" CA  ALA A   2") { line.replace("2.526", "9.526") } else { line.to_owned() } + "\n")
            .collect();
        assert!(
            read_text(&far).is_ok(),
            "templates give the bonds of standard residues"
        );
        let error = read_text(&far.replace("ALA", "XXX"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("separate molecules"), "{error}");
        // A hydrogen with two bonds.
        let extra = pdb("aldp").replace("CONECT    2    1\n", "CONECT    2    1    9\n");
        assert_eq!(
            read_text(&extra).unwrap().bonds,
            bond_list("aldp"),
            "an impossible CONECT gives way to distances"
        );
    }

    #[test]
    fn survives_json() {
        let topology = topology("al3");
        let text = serde_json::to_string(&topology).unwrap();
        assert_eq!(serde_json::from_str::<Topology>(&text).unwrap(), topology);
    }

    #[test]
    fn reference_topologies_agree_with_their_force_fields() {
        let Some(data) = reference("topologies against system.xml") else {
            return;
        };
        for name in ["aldp", "al3", "al4"] {
            let text = std::fs::read_to_string(data.join(name).join("system.xml")).unwrap();
            let system = roxmltree::Document::parse(&text).unwrap();
            let bonds = system
                .descendants()
                .filter(|node| node.has_tag_name("Bond") && node.has_attribute("k"));
            let index =
                |node: roxmltree::Node, key| node.attribute(key).unwrap().parse::<usize>().unwrap();
            let expected = sorted(
                bonds
                    .map(|node| [index(node, "p1"), index(node, "p2")])
                    .collect(),
            );
            let found = Topology::read(&data.join(name).join("topology.pdb")).unwrap();
            assert_eq!(found.bonds, expected);
        }
    }
}

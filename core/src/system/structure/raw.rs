//! Atoms as a structure file has them, before elements are told and bonds are settled.

use super::super::{NM_PER_ANGSTROM, Residue};

/// What a file says of an atom's element.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) enum Label {
    /// Nothing.
    #[default]
    None,
    /// A chemical symbol.
    Symbol(String),
    /// A type of a force field, which may look like a symbol.
    Type(String),
}

/// An atom of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct RawAtom {
    pub name: String,
    pub label: Label,
    /// How long the symbol at the start of the name is, where the file's columns tell (PDB).
    pub letters: Option<usize>,
    /// Index into [`Raw::residues`].
    pub residue: usize,
    /// Angstrom.
    pub position: [f64; 3],
    /// u; 0 where the file has none.
    pub mass: f64,
    /// Alternate location; empty for atoms with one only.
    pub location: String,
}

/// A residue of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RawResidue {
    pub residue: Residue,
    pub insertion: String,
    pub segment: String,
    /// ATOM records, not HETATM.
    pub standard: bool,
}

/// A structure file: its first model.
#[derive(Clone, Debug, Default)]
pub(super) struct Raw {
    pub atoms: Vec<RawAtom>,
    pub residues: Vec<RawResidue>,
    /// Bonds that the file names.
    pub bonds: Vec<[usize; 2]>,
    /// Cell vectors in nm, if there is a cell.
    pub cell: Option<[[f64; 3]; 3]>,
    /// What is worth telling.
    pub notes: Vec<String>,
}

impl Raw {
    /// The residue of the next atom: the last one, if it is the same, else a new one.
    pub(super) fn enter(&mut self, residue: RawResidue) -> usize {
        if self.residues.last() != Some(&residue) {
            self.residues.push(residue);
        }
        self.residues.len() - 1
    }

    /// Refuses control characters in names: no program writes them, and chemfiles' names end at a NUL.
    pub(super) fn check_text(&self) -> Result<(), String> {
        let has = |text: &str| text.contains(char::is_control);
        for (index, atom) in self.atoms.iter().enumerate() {
            let RawResidue {
                residue,
                insertion,
                segment,
                ..
            } = &self.residues[atom.residue];
            let label = match &atom.label {
                Label::None => "",
                Label::Symbol(text) | Label::Type(text) => text,
            };
            let texts = [
                ("name", atom.name.as_str()),
                ("element or type", label),
                ("alternate location", &atom.location),
                ("residue", &residue.name),
                ("chain", &residue.chain),
                ("insertion code", insertion),
                ("segment", segment),
            ];
            if let Some((what, text)) = texts.into_iter().find(|(_, text)| has(text)) {
                return Err(format!(
                    "the {what} of atom {index}, '{text}', holds a control character"
                ));
            }
        }
        Ok(())
    }

    /// Position in nm.
    pub(super) fn position(&self, atom: usize) -> [f64; 3] {
        self.atoms[atom].position.map(|x| x * NM_PER_ANGSTROM)
    }

    /// Keeps, of residues with alternate locations, the one that comes first in the residue.
    pub(super) fn take_first_locations(&mut self) {
        let mut first: Vec<Option<String>> = vec![None; self.residues.len()];
        let keep: Vec<bool> = self
            .atoms
            .iter()
            .map(|atom| {
                let first = &mut first[atom.residue];
                atom.location.is_empty()
                    || *first.get_or_insert_with(|| atom.location.clone()) == atom.location
            })
            .collect();
        let dropped = keep.iter().filter(|keep| !**keep).count();
        if dropped == 0 {
            return;
        }
        self.notes.push(format!(
            "alternate locations: the first location of each residue is taken, {dropped} atoms of the others are left out"
        ));
        self.retain(&keep);
    }

    /// Keeps the atoms of an ascending list.
    pub(super) fn keep(&mut self, atoms: &[usize]) {
        let mut keep = vec![false; self.atoms.len()];
        atoms.iter().for_each(|&atom| keep[atom] = true);
        self.retain(&keep);
    }

    fn retain(&mut self, keep: &[bool]) {
        let mut place = vec![None; keep.len()];
        let kept = keep.iter().enumerate().filter(|(_, keep)| **keep);
        for (count, (atom, _)) in kept.enumerate() {
            place[atom] = Some(count);
        }
        let mut kept = keep.iter();
        self.atoms.retain(|_| kept.next() == Some(&true));
        self.bonds = self
            .bonds
            .iter()
            .filter_map(|[a, b]| Some([place[*a]?, place[*b]?]))
            .collect();
    }

    /// From what chemfiles has read. `labels_are_symbols`: the format's types are chemical symbols.
    pub(super) fn from_frame(frame: &chemfiles::Frame, labels_are_symbols: bool) -> Self {
        let source = frame.topology();
        let mut raw = Raw::default();
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
        for (index, known) in residue_of.into_iter().enumerate() {
            let residue = match known.and_then(|index| source.residue(index)) {
                None => RawResidue::unknown(),
                Some(known) => {
                    let text = |key| match known.get(key) {
                        Some(chemfiles::Property::String(text)) => text.trim().to_owned(),
                        _ => String::new(),
                    };
                    let chain = text("chainid");
                    RawResidue {
                        residue: Residue {
                            name: known.name(),
                            id: known.id().unwrap_or(1),
                            chain: if chain.is_empty() {
                                text("chainname")
                            } else {
                                chain
                            },
                        },
                        insertion: text("insertion_code"),
                        segment: text("segname"),
                        standard: known.get("is_standard_pdb")
                            == Some(chemfiles::Property::Bool(true)),
                    }
                }
            };
            let atom = frame.atom(index);
            let (name, kind) = (atom.name(), atom.atomic_type());
            // The mass of a file, unless chemfiles took it from its table by the type.
            let mass = match super::super::elements::lookup(&kind) {
                Some((_, _, standard)) if atom.mass() == standard => 0.0,
                _ => atom.mass(),
            };
            let label = match () {
                () if labels_are_symbols => Label::Symbol(kind),
                // chemfiles puts the name there where a format has no types.
                () if kind == name || kind.is_empty() => Label::None,
                () => Label::Type(kind),
            };
            let residue = raw.enter(residue);
            raw.atoms.push(RawAtom {
                name,
                label,
                letters: None,
                residue,
                position: frame.positions()[index],
                mass,
                location: String::new(),
            });
        }
        raw.bonds = source.bonds();
        let cell = frame.cell();
        if cell.shape() != chemfiles::CellShape::Infinite {
            let matrix = cell.matrix();
            // chemfiles stores the cell vectors as columns.
            raw.cell =
                Some([0, 1, 2].map(|i| [0, 1, 2].map(|axis| matrix[axis][i] * NM_PER_ANGSTROM)));
        }
        raw
    }

    /// For chemfiles' selections.
    pub(super) fn to_frame(&self) -> Result<chemfiles::Frame, chemfiles::Error> {
        let mut frame = chemfiles::Frame::new();
        let mut residues: Vec<chemfiles::Residue> = self.residues.iter().map(to_residue).collect();
        for (index, atom) in self.atoms.iter().enumerate() {
            let mut converted = chemfiles::Atom::new(atom.name.as_str());
            if let Label::Symbol(kind) | Label::Type(kind) = &atom.label {
                converted.set_atomic_type(kind.as_str());
            }
            if atom.mass != 0.0 {
                converted.set_mass(atom.mass);
            }
            frame.add_atom(&converted, atom.position, None);
            residues[atom.residue].add_atom(index);
        }
        for residue in &residues {
            frame.add_residue(residue)?;
        }
        for &[a, b] in &self.bonds {
            frame.add_bond(a, b);
        }
        Ok(frame)
    }
}

impl RawResidue {
    /// Of files without residues.
    pub(super) fn unknown() -> Self {
        Self {
            residue: Residue {
                name: "UNK".to_owned(),
                id: 1,
                chain: String::new(),
            },
            insertion: String::new(),
            segment: String::new(),
            standard: false,
        }
    }
}

fn to_residue(raw: &RawResidue) -> chemfiles::Residue {
    let known = &raw.residue;
    let mut residue = chemfiles::Residue::with_id(known.name.as_str(), known.id);
    residue.set("is_standard_pdb", raw.standard);
    for (key, value) in [
        ("chainid", &known.chain),
        ("chainname", &known.chain),
        ("insertion_code", &raw.insertion),
        ("segname", &raw.segment),
    ] {
        if !value.is_empty() {
            residue.set(key, value.as_str());
        }
    }
    residue
}

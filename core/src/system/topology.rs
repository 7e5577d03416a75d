//! Atoms, residues and bonds of one molecule, and what follows from them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

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

    /// The first name of an atom, element, residue or chain that holds a control character; chemfiles takes no NUL, and terminals
    /// take the others for orders.
    pub fn control_character(&self) -> Option<&str> {
        let of_atoms = self.atoms.iter().flat_map(|a| [&a.name, &a.element]);
        let of_residues = self.residues.iter().flat_map(|r| [&r.name, &r.chain]);
        let mut texts = of_atoms.chain(of_residues).map(String::as_str);
        texts.find(|text| text.contains(char::is_control))
    }

    /// Name, residue and residue number of an atom, for messages: "CA of ALA2".
    pub fn describe(&self, atom: usize) -> String {
        let facts = &self.atoms[atom];
        let residue = &self.residues[facts.residue];
        format!("{} of {}{}", facts.name, residue.name, residue.id)
    }
}

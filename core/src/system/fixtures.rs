//! Data of the unit tests: structures and bond lists of three peptides, five frames of alanine dipeptide.

use std::path::{Path, PathBuf};

use super::{Atom, Frames, ReadOptions, Residue, Topology, Trajectory};

/// The folder of the fixtures; its README says where they come from.
pub(super) const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/system");

pub(super) fn topology(name: &str) -> Topology {
    Topology::read(&Path::new(DATA).join(format!("{name}.pdb"))).unwrap()
}

/// The HarmonicBondForce of the peptide's OpenMM system.
pub(super) fn bond_list(name: &str) -> Vec<[usize; 2]> {
    std::fs::read_to_string(format!("{DATA}/{name}.bonds"))
        .unwrap()
        .lines()
        .map(|line| {
            let mut atoms = line.split(' ').map(|atom| atom.parse().unwrap());
            [atoms.next().unwrap(), atoms.next().unwrap()]
        })
        .collect()
}

pub(super) fn dipeptide_path() -> PathBuf {
    Path::new(DATA).join("aldp.dcd")
}

pub(super) fn frames() -> Frames {
    Trajectory::open(
        &[dipeptide_path()],
        &topology("aldp"),
        &ReadOptions::default(),
    )
    .unwrap()
    .read_all()
    .unwrap()
}

/// A molecule of bare atoms, for graph tests.
pub(super) fn bare(atomic_numbers: &[u32], bonds: &[[usize; 2]]) -> Topology {
    let atom = |&atomic_number: &u32| Atom {
        name: String::new(),
        element: String::new(),
        atomic_number,
        mass: 1.0,
        residue: 0,
    };
    Topology {
        atoms: atomic_numbers.iter().map(atom).collect(),
        residues: vec![Residue {
            name: "UNK".to_owned(),
            id: 1,
            chain: String::new(),
        }],
        bonds: bonds.to_vec(),
    }
}

/// The folder of reference data, where the environment names one.
pub(super) fn reference(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("REGFLOW_REFERENCE_DATA").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: {test} (REGFLOW_REFERENCE_DATA is not set)");
    }
    folder
}

//! Molecules: from a file, or as the caller has them in memory.

use std::collections::HashSet;
use std::ffi::c_char;
use std::mem::offset_of;
use std::path::Path;

use regflow_core::system::{Atom, Residue, Topology, element, printable};

use crate::arguments::{Struct, Text, structure, text, values};
use crate::failure::Failure;

/// A molecule: what atoms it has and how they are bonded, in the order of all positions. Either a file, or arrays; what is not
/// used is NULL or 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TopologyDescription {
    /// `sizeof(regflow_topology_t)`.
    pub struct_size: usize,
    /// A structure file with atoms and bonds, such as a PDB with CONECT records. NULL: the molecule is in the fields below, none of
    /// which may be set otherwise.
    pub path: *const c_char,
    /// Number of atoms.
    pub n_atoms: usize,
    /// `[n_atoms]`: nuclear charge of each atom, 1 to 118; 0 for a bead of a coarse-grained model.
    pub atomic_numbers: *const u32,
    /// Number of bonds.
    pub n_bonds: usize,
    /// `[n_bonds][2]`: indices (from 0) of the two atoms of each bond, in any order. A bond may be named more than once.
    pub bonds: *const usize,
    /// `[n_atoms]`: masses in g/mol. NULL: those of the elements; those of beads are not known then.
    pub masses: *const f64,
    /// `[n_atoms]`: names of the atoms within their residues, such as "CA"; phi and psi are found by them. NULL: the symbol of the
    /// element with the atom's number.
    pub names: *const *const c_char,
    /// Number of residues; 0: all atoms are in one, "MOL".
    pub n_residues: usize,
    /// `[n_residues]`: names of the residues, such as "ALA"; they are numbered from 1.
    pub residue_names: *const *const c_char,
    /// `[n_atoms]`: index (from 0) of each atom's residue. NULL without residues.
    pub residues: *const usize,
}

// SAFETY: numbers and pointers, the first of them `struct_size`.
unsafe impl Struct for TopologyDescription {
    const NAME: &'static str = "regflow_topology_t";
    const FIRST_SIZE: usize = offset_of!(TopologyDescription, residues) + size_of::<usize>();
}

impl TopologyDescription {
    /// # Safety
    /// `pointer` is NULL or points to a struct whose `struct_size` and arrays are as long as it says.
    pub(crate) unsafe fn read(
        argument: &'static str,
        pointer: *const Self,
    ) -> Result<Topology, Failure> {
        // SAFETY: the caller vouches for the struct.
        let given = unsafe { structure(argument, pointer) }?;
        if given.path.is_null() {
            // SAFETY: the caller vouches for the arrays.
            return unsafe { given.assemble() };
        }
        if given.n_atoms != 0 || given.n_bonds != 0 || given.n_residues != 0 {
            return Err(Failure::Range {
                argument,
                what: "it has both a path and arrays".into(),
                expected: "one of them",
            });
        }
        // SAFETY: the caller vouches for the string.
        let path = unsafe { text("topology->path", given.path) }?;
        Topology::read(Path::new(path)).map_err(|error| Failure::Topology(Box::new(error)))
    }

    /// # Safety
    /// The arrays are as long as the numbers beside them say.
    unsafe fn assemble(&self) -> Result<Topology, Failure> {
        let Self {
            n_atoms,
            n_residues,
            ..
        } = *self;
        if n_atoms == 0 {
            return Err(Failure::Range {
                argument: "topology",
                what: "it has neither a path nor atoms".into(),
                expected: "one of them",
            });
        }
        let n_ends = self.n_bonds.checked_mul(2).ok_or(Failure::TooLarge {
            argument: "topology->n_bonds",
            given: self.n_bonds,
        })?;
        let optional = |is_null: bool, length| if is_null { 0 } else { length };
        // SAFETY: the caller vouches for the arrays.
        let (numbers, ends, masses, names, residue_names, residue_of) = unsafe {
            (
                values("topology->atomic_numbers", self.atomic_numbers, n_atoms)?,
                values("topology->bonds", self.bonds, n_ends)?,
                values(
                    "topology->masses",
                    self.masses,
                    optional(self.masses.is_null(), n_atoms),
                )?,
                texts(
                    "topology->names",
                    self.names,
                    optional(self.names.is_null(), n_atoms),
                )?,
                texts("topology->residue_names", self.residue_names, n_residues)?,
                values(
                    "topology->residues",
                    self.residues,
                    optional(n_residues == 0, n_atoms),
                )?,
            )
        };
        let (residues, residue_of) = residues(&residue_names, residue_of, n_atoms)?;
        let atoms = (0..n_atoms).map(|atom| {
            let number = numbers[atom];
            let known = match number {
                0 => Some(("X", 0.0)),
                number => element(number),
            };
            let (symbol, standard) = known.ok_or_else(|| Failure::Range {
                argument: "topology->atomic_numbers",
                what: format!("atom {atom} has {number}"),
                expected: "the nuclear charge of an element, 1 to 118, or 0 for a bead",
            })?;
            let mass = masses.get(atom).copied();
            if let Some(mass) = mass
                && !(mass > 0.0 && mass.is_finite())
            {
                return Err(Failure::Range {
                    argument: "topology->masses",
                    what: format!("atom {atom} has {mass}"),
                    expected: "positive numbers of g/mol",
                });
            }
            let mass = mass.unwrap_or(standard);
            let name = names.get(atom).map(|name| (*name).to_owned());
            Ok(Atom {
                name: name.unwrap_or_else(|| format!("{symbol}{}", atom + 1)),
                element: symbol.to_owned(),
                atomic_number: number,
                mass,
                residue: residue_of[atom],
            })
        });
        let topology = Topology {
            atoms: atoms.collect::<Result<_, _>>()?,
            residues,
            bonds: bonds(ends, n_atoms)?,
        };
        if let Some(name) = topology.control_character() {
            return Err(Failure::Range {
                argument: "topology",
                what: format!("the name '{}' holds a control character", printable(name)),
                expected: "names of printable characters",
            });
        }
        Ok(topology)
    }
}

/// Residues in the order of their first atoms, and the index of each atom's.
fn residues(
    names: &[&str],
    given: &[usize],
    n_atoms: usize,
) -> Result<(Vec<Residue>, Vec<usize>), Failure> {
    let residue = |name: &str, id| Residue {
        name: name.to_owned(),
        id,
        chain: String::new(),
    };
    if names.is_empty() {
        return Ok((vec![residue("MOL", 1)], vec![0; n_atoms]));
    }
    let mut place = vec![None; names.len()];
    let mut ordered = Vec::new();
    let mut residue_of = Vec::with_capacity(n_atoms);
    for (atom, &index) in given.iter().enumerate() {
        let Some(place) = place.get_mut(index) else {
            return Err(Failure::Range {
                argument: "topology->residues",
                what: format!("atom {atom} is in residue {index}"),
                expected: "indices below n_residues",
            });
        };
        residue_of.push(*place.get_or_insert_with(|| {
            ordered.push(residue(names[index], index as i64 + 1));
            ordered.len() - 1
        }));
    }
    Ok((ordered, residue_of))
}

/// Bonds as the topology keeps them: lower index first, sorted, unique.
fn bonds(ends: &[usize], n_atoms: usize) -> Result<Vec<[usize; 2]>, Failure> {
    let mut unique = HashSet::new();
    for (bond, ends) in ends.chunks_exact(2).enumerate() {
        let [a, b] = [ends[0].min(ends[1]), ends[0].max(ends[1])];
        if b >= n_atoms || a == b {
            return Err(Failure::Range {
                argument: "topology->bonds",
                what: format!("bond {bond} is between atoms {} and {}", ends[0], ends[1]),
                expected: "two different indices below n_atoms",
            });
        }
        unique.insert([a, b]);
    }
    let mut bonds: Vec<[usize; 2]> = unique.into_iter().collect();
    bonds.sort_unstable();
    Ok(bonds)
}

/// # Safety
/// `pointer` is NULL or points to `length` strings, each NULL or NUL-terminated.
unsafe fn texts<'a>(
    argument: &'static str,
    pointer: *const *const c_char,
    length: usize,
) -> Result<Vec<&'a str>, Failure> {
    // SAFETY: the caller vouches for the array and its strings.
    unsafe {
        values(argument, pointer.cast::<Text>(), length)?
            .iter()
            .map(|&name| text(argument, name.0))
            .collect()
    }
}

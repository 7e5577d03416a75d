//! Bonds of a molecule: from the file, from the names in standard residues, from distances.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;

use super::super::elements::{covalent_radius, most_bonds};
use super::super::periodic::Cell;
use super::super::{Atom, chem};
use super::element::is_biopolymer;
use super::raw::Raw;
use crate::math::vector::{norm, sub};

/// Lower index first, sorted, unique.
pub(super) fn sorted(bonds: impl IntoIterator<Item = [usize; 2]>) -> Vec<[usize; 2]> {
    let mut bonds: Vec<[usize; 2]> = bonds
        .into_iter()
        .filter(|[a, b]| a != b)
        .map(|[a, b]| [a.min(b), a.max(b)])
        .collect();
    bonds.sort_unstable();
    bonds.dedup();
    bonds
}

/// Bonds within residues that chemfiles has templates for, by the names of atoms, and those between consecutive residues.
pub(super) fn by_names(raw: &Raw, atoms: &[Atom]) -> Vec<[usize; 2]> {
    let mut of_residue: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, atom) in raw.atoms.iter().enumerate() {
        of_residue.entry(atom.residue).or_default().push(index);
    }
    let mut bonds = within_residues(raw, &of_residue);
    bonds.extend(between_residues(raw, &of_residue));
    bonds.extend(disulfides(raw, atoms));
    bonds
}

/// The residue's name in chemfiles' templates, which are those of the Protein Data Bank.
fn template(residue: &str) -> String {
    let name = residue.to_ascii_uppercase();
    let name = match name.len() {
        4 => name
            .strip_prefix(['N', 'C'])
            .filter(|rest| is_biopolymer(rest))
            .unwrap_or(&name)
            .to_owned(),
        _ => name,
    };
    match name.as_str() {
        "HID" | "HIE" | "HIP" | "HSD" | "HSE" | "HSP" => "HIS".to_owned(),
        "CYX" | "CYM" => "CYS".to_owned(),
        "ASH" => "ASP".to_owned(),
        "GLH" => "GLU".to_owned(),
        "LYN" => "LYS".to_owned(),
        _ if is_biopolymer(&name) && name.len() <= 3 => {
            let base = name.strip_suffix(['5', '3', 'N']).unwrap_or(&name);
            match base.strip_prefix('R') {
                Some(base) if base.len() == 1 => base.to_owned(),
                _ => base.to_owned(),
            }
        }
        _ => name,
    }
}

/// chemfiles knows the templates, but applies them only when it reads a PDB file, and then links nucleotides wrongly: so it gets
/// one residue after the other, each the end of its chain.
fn within_residues(raw: &Raw, of_residue: &BTreeMap<usize, Vec<usize>>) -> Vec<[usize; 2]> {
    let mut text = String::new();
    let mut order = Vec::new();
    for (residue, members) in of_residue {
        let name = template(&raw.residues[*residue].residue.name);
        if name.len() > 3 || !name.is_ascii() || members.len() < 2 {
            continue;
        }
        for &member in members {
            let atom = &raw.atoms[member].name;
            if atom.len() > 4 || !atom.is_ascii() {
                continue;
            }
            // The name is trimmed when it is read; writing to a string does not fail.
            let _ = writeln!(
                text,
                "ATOM  {:5} {atom:<4} {name:<3} A{:4}       0.000   0.000   0.000",
                1, 1
            );
            order.push(member);
        }
        text.push_str("TER\n");
    }
    text.push_str("END\n");
    if order.is_empty() {
        return Vec::new();
    }
    // It warns of atoms that a residue lacks; whether that matters is seen when the bonds are there.
    let bonds = chem::call(&mut Vec::new(), || {
        let mut frame = chemfiles::Frame::new();
        chemfiles::MemoryTrajectoryReader::new(text.as_bytes(), "PDB")?.read(&mut frame)?;
        Ok(frame.topology().bonds())
    });
    bonds
        .unwrap_or_default()
        .into_iter()
        .filter_map(|[a, b]| Some([*order.get(a)?, *order.get(b)?]))
        .collect()
}

/// C-N of a peptide and O3'-P of a nucleic acid: between residues that follow each other in the file, either near enough or
/// numbered one after the other.
fn between_residues(raw: &Raw, of_residue: &BTreeMap<usize, Vec<usize>>) -> Vec<[usize; 2]> {
    /// Longest of these bonds that is plausible, nm.
    const LONGEST: f64 = 0.2;
    let mut bonds = Vec::new();
    let find = |members: &[usize], names: &[&str]| {
        members
            .iter()
            .copied()
            .find(|&atom| names.contains(&raw.atoms[atom].name.as_str()))
    };
    let pairs = of_residue.iter().zip(of_residue.iter().skip(1));
    for ((first, before), (second, after)) in pairs {
        let (a, b) = (&raw.residues[*first], &raw.residues[*second]);
        let standard = is_biopolymer(&a.residue.name) && is_biopolymer(&b.residue.name);
        let step = b.residue.id - a.residue.id;
        let follows = a.residue.chain == b.residue.chain
            && (step == 1 || step == 0 && a.insertion != b.insertion);
        for (from, to) in [(&["C"][..], "N"), (&["O3'", "O3*"], "P")] {
            if let (Some(from), Some(to)) = (find(before, from), find(after, &[to])) {
                let length = norm(sub(raw.position(from), raw.position(to)));
                if length < LONGEST || standard && follows {
                    bonds.push([from, to]);
                }
            }
        }
    }
    bonds
}

/// Sulfur atoms closer than 0.25 nm (S-S is 0.205 nm).
fn disulfides(raw: &Raw, atoms: &[Atom]) -> Vec<[usize; 2]> {
    let sulfurs: Vec<usize> = (0..atoms.len())
        .filter(|&atom| atoms[atom].atomic_number == 16)
        .collect();
    let mut bonds = Vec::new();
    for (k, &a) in sulfurs.iter().enumerate() {
        for &b in &sulfurs[k + 1..] {
            if norm(sub(raw.position(a), raw.position(b))) < 0.25 {
                bonds.push([a, b]);
            }
        }
    }
    bonds
}

/// Bonds that distances suggest: closer than the covalent radii and 0.04 nm. A hydrogen keeps its shortest bond only, and so does
/// an atom with more than its element takes.
pub(super) fn by_distances(raw: &Raw, atoms: &[Atom]) -> Vec<[usize; 2]> {
    /// nm. C-C to 0.192, where 1-3 distances begin at 0.23; the same for C-H, O-H, S-S.
    const TOLERANCE: f64 = 0.04;
    let radii: Vec<Option<f64>> = atoms.iter().map(covalent_radius).collect();
    let largest = radii.iter().flatten().copied().fold(0.0, f64::max);
    let positions: Vec<[f64; 3]> = (0..atoms.len()).map(|atom| raw.position(atom)).collect();
    let cell = raw.cell.and_then(Cell::new);
    let mut candidates: Vec<(f64, [usize; 2])> = Vec::new();
    for [a, b] in close_pairs(&positions, cell.as_ref(), 2.0 * largest + TOLERANCE) {
        let (Some(ra), Some(rb)) = (radii[a], radii[b]) else {
            continue;
        };
        let mut difference = sub(positions[b], positions[a]);
        if let Some(cell) = &cell {
            let shift = cell.nearest_image(difference);
            (0..3).for_each(|axis| difference[axis] += shift[axis]);
        }
        let length = norm(difference);
        // Atoms on top of each other are no bond but a file without positions.
        if (0.04..ra + rb + TOLERANCE).contains(&length) {
            candidates.push((length / (ra + rb), [a, b]));
        }
    }
    candidates.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut count = vec![0; atoms.len()];
    let mut bonds = Vec::new();
    for (_, [a, b]) in candidates {
        let full = [a, b]
            .into_iter()
            .any(|atom| count[atom] >= most_bonds(atoms[atom].atomic_number));
        // Two hydrogens are near each other in every methyl group.
        let hydrogens =
            atoms[a].atomic_number == 1 && atoms[b].atomic_number == 1 && atoms.len() > 2;
        if !full && !hydrogens {
            count[a] += 1;
            count[b] += 1;
            bonds.push([a, b]);
        }
    }
    sorted(bonds)
}

/// Pairs of points that may be closer than `reach` (nm): all of a small system or a periodic one, else those in neighbouring
/// boxes of a grid.
fn close_pairs(positions: &[[f64; 3]], cell: Option<&Cell>, reach: f64) -> Vec<[usize; 2]> {
    let n = positions.len();
    if n < 64 || cell.is_some() && n < 4000 {
        return (0..n)
            .flat_map(|a| (a + 1..n).map(move |b| [a, b]))
            .collect();
    }
    let reach = reach.max(0.1);
    let place = |x: &[f64; 3]| x.map(|x| (x / reach).floor() as i64);
    let mut boxes: HashMap<[i64; 3], Vec<usize>> = HashMap::new();
    for (atom, x) in positions.iter().enumerate() {
        boxes.entry(place(x)).or_default().push(atom);
    }
    let mut pairs = HashSet::new();
    for (a, x) in positions.iter().enumerate() {
        let centre = place(x);
        for k in 0..27_i64 {
            let offset = [k % 3 - 1, k / 3 % 3 - 1, k / 9 - 1];
            let neighbour = [0, 1, 2].map(|axis| centre[axis].saturating_add(offset[axis]));
            let others = boxes.get(&neighbour).into_iter().flatten();
            pairs.extend(others.filter(|&&b| b > a).map(|&b| [a, b]));
        }
    }
    pairs.into_iter().collect()
}

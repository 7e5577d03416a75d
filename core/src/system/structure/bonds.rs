//! Bonds of a molecule: from the file, from the names in standard residues, from distances.

use std::collections::{BTreeMap, HashMap};
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
        let step = b.residue.id.checked_sub(a.residue.id);
        let follows = a.residue.chain == b.residue.chain
            && (step == Some(1) || step == Some(0) && a.insertion != b.insertion);
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

/// Pairs of points that may be closer than `reach` (nm), each once: all of a few, else those in neighbouring boxes of a grid, which goes
/// round where there is a cell.
fn close_pairs(positions: &[[f64; 3]], cell: Option<&Cell>, reach: f64) -> Vec<[usize; 2]> {
    /// Boxes along an axis, at most; more save nothing.
    const MOST_BOXES: f64 = 1e6;
    let n = positions.len();
    if n < 64 {
        return (0..n)
            .flat_map(|a| (a + 1..n).map(move |b| [a, b]))
            .collect();
    }
    let reach = reach.max(0.1);
    // Boxes of a cell are no narrower than the reach either.
    let count = |width: f64| (width / reach).floor().clamp(1.0, MOST_BOXES);
    let periodic = cell.map(|cell| (cell, cell.widths().map(count)));
    let place = |&x: &[f64; 3]| match periodic {
        None => x.map(|x| (x / reach).floor() as i64),
        Some((cell, counts)) => {
            let fractions = cell.fractions(x);
            // A fraction may be rounded to 1.
            [0, 1, 2].map(|axis| (fractions[axis] * counts[axis]).min(counts[axis] - 1.0) as i64)
        }
    };
    let around = |axis: usize, at: i64| {
        let mut around = [-1, 0, 1].map(|offset| {
            let neighbour = at.saturating_add(offset);
            periodic.map_or(neighbour, |(_, counts)| {
                neighbour.rem_euclid(counts[axis] as i64)
            })
        });
        around.sort_unstable();
        let mut around = around.to_vec();
        // Of two boxes along an axis, one is on either side of the other.
        around.dedup();
        around
    };
    let mut boxes: HashMap<[i64; 3], Vec<usize>> = HashMap::new();
    for (atom, x) in positions.iter().enumerate() {
        boxes.entry(place(x)).or_default().push(atom);
    }
    let mut pairs = Vec::new();
    for (&[i, j, k], members) in &boxes {
        let [is, js, ks] = [around(0, i), around(1, j), around(2, k)];
        for &i in &is {
            for &j in &js {
                for others in ks.iter().filter_map(|&k| boxes.get(&[i, j, k])) {
                    for &a in members {
                        pairs.extend(others.iter().filter(|&&b| b > a).map(|&b| [a, b]));
                    }
                }
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_across_a_boundary_are_close() {
        let mut state = 1_u64;
        let mut uniform = || {
            state = state * 16807 % 2_147_483_647;
            state as f64 / 2_147_483_647.0
        };
        let points: Vec<[f64; 3]> = (0..4096)
            .map(|_| [0; 3].map(|_| 10.0 * uniform() - 5.0))
            .collect();
        let skewed = |a: f64| {
            [
                [a, 0.0, 0.0],
                [0.4 * a, 1.1 * a, 0.0],
                [-0.3 * a, 0.5 * a, a],
            ]
        };
        // Many boxes, three, two and one along an axis.
        for (size, n) in [(8.0, 4096), (1.6, 200), (1.2, 200), (0.6, 100)] {
            let (cell, points) = (Cell::new(skewed(size)).unwrap(), &points[..n]);
            let mut pairs = close_pairs(points, Some(&cell), 0.4);
            pairs.sort_unstable();
            let all = pairs.len();
            pairs.dedup();
            assert_eq!(pairs.len(), all, "{size}: pairs come once");
            let mut across = 0;
            for a in 0..60 {
                for b in a + 1..n {
                    let mut difference = sub(points[b], points[a]);
                    let shift = cell.nearest_image(difference);
                    (0..3).for_each(|axis| difference[axis] += shift[axis]);
                    if norm(difference) < 0.4 {
                        across += usize::from(shift != [0.0; 3]);
                        assert!(pairs.binary_search(&[a, b]).is_ok(), "{size}: {a} {b}");
                    }
                }
            }
            assert!(across > 0, "{size}");
        }
    }

    /// Numbers of residues are the file's: the ends of the range have no difference.
    #[test]
    fn residues_with_the_largest_numbers_do_not_overflow() {
        use super::super::super::Residue;
        use super::super::raw::{RawAtom, RawResidue};
        let mut raw = Raw::default();
        for (id, name) in [(i64::MIN, "C"), (i64::MAX, "N")] {
            let residue = raw.enter(RawResidue {
                residue: Residue {
                    name: "ALA".to_owned(),
                    id,
                    chain: "A".to_owned(),
                },
                insertion: String::new(),
                segment: String::new(),
                standard: true,
            });
            raw.atoms.push(RawAtom {
                name: name.to_owned(),
                residue,
                position: [id.signum() as f64 * 10.0, 0.0, 0.0],
                ..RawAtom::default()
            });
        }
        assert!(by_names(&raw, &[]).is_empty());
    }
}

//! A Z-matrix from the bond graph.

use std::collections::VecDeque;

use super::ZMatrix;
use crate::coordinates::CoordinatesError;
use crate::system::Topology;

/// Starts with three atoms in the middle of the backbone (the longest of the shortest paths between heavy atoms) and walks
/// outward over bonds, all heavy atoms before the hydrogens; the largest branch of heavy atoms comes first of its siblings, so
/// that it is the one whose proper torsion the siblings are measured against.
pub(super) fn z_matrix(topology: &Topology) -> Result<ZMatrix, CoordinatesError> {
    let neighbours = topology.neighbours();
    let heavy: Vec<bool> = topology
        .atoms
        .iter()
        .map(|atom| atom.atomic_number > 1)
        .collect();
    let everything = vec![true; heavy.len()];
    let mut backbone = longest_path(&neighbours, &heavy);
    if backbone.len() < 3 {
        backbone = longest_path(&neighbours, &everything);
    }
    let seeds = match backbone.get((backbone.len().saturating_sub(3)) / 2..) {
        Some(&[a, b, c, ..]) => [a, b, c],
        // Fewer than three atoms hang together.
        _ => {
            let from = backbone.first().copied().unwrap_or(0);
            let to = (0..heavy.len())
                .find(|atom| !backbone.contains(atom))
                .unwrap_or(0);
            return Err(CoordinatesError::Disconnected { from, to });
        }
    };
    let tree = Tree::grow(&neighbours, &heavy, seeds);
    if let Some(to) = (0..heavy.len()).find(|&atom| tree.parent[atom].is_none()) {
        return Err(CoordinatesError::Disconnected { from: seeds[0], to });
    }
    Ok(ZMatrix::try_from(tree.rows(&heavy, seeds))?)
}

/// The longest of the shortest paths between two `allowed` atoms over allowed atoms; of several, the first by its ends.
fn longest_path(neighbours: &[Vec<usize>], allowed: &[bool]) -> Vec<usize> {
    let mut longest = Vec::new();
    for start in (0..neighbours.len()).filter(|&atom| allowed[atom]) {
        let mut reached = vec![None; neighbours.len()];
        reached[start] = Some((start, 1));
        let mut queue = VecDeque::from([start]);
        let mut far = (start, 1);
        while let Some(atom) = queue.pop_front() {
            let length = reached[atom].map_or(0, |(_, length)| length);
            if length > far.1 {
                far = (atom, length);
            }
            for &next in &neighbours[atom] {
                if allowed[next] && reached[next].is_none() {
                    reached[next] = Some((atom, length + 1));
                    queue.push_back(next);
                }
            }
        }
        if far.1 > longest.len() {
            longest = vec![far.0];
            let mut atom = far.0;
            while let Some((previous, _)) = reached[atom].filter(|(previous, _)| *previous != atom)
            {
                longest.push(previous);
                atom = previous;
            }
            longest.reverse();
        }
    }
    longest
}

/// A spanning tree, grown breadth first over heavy atoms, then over all.
struct Tree {
    /// Of the seeds a-b-c: b, a, b.
    parent: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    /// Heavy atoms of the branch that begins with each atom.
    size: Vec<usize>,
}

impl Tree {
    fn grow(neighbours: &[Vec<usize>], heavy: &[bool], [a, b, c]: [usize; 3]) -> Self {
        let n = neighbours.len();
        let mut parent = vec![None; n];
        (parent[a], parent[b], parent[c]) = (Some(b), Some(a), Some(b));
        let mut order = vec![b, a, c];
        for heavy_only in [true, false] {
            let mut at = 0;
            while let Some(&atom) = order.get(at) {
                at += 1;
                for &next in &neighbours[atom] {
                    if parent[next].is_none() && (heavy[next] || !heavy_only) {
                        parent[next] = Some(atom);
                        order.push(next);
                    }
                }
            }
        }
        let mut size: Vec<usize> = heavy.iter().map(|heavy| usize::from(*heavy)).collect();
        let mut children = vec![Vec::new(); n];
        for &atom in order[3..].iter().rev() {
            if let Some(parent) = parent[atom] {
                size[parent] += size[atom];
                children[parent].push(atom);
            }
        }
        for children in &mut children {
            children.sort_by_key(|&child| (std::cmp::Reverse(size[child]), child));
        }
        Self {
            parent,
            children,
            size,
        }
    }

    /// Rows of the Z-matrix: breadth first, heavy branches before those that are hydrogen only.
    fn rows(&self, heavy: &[bool], [a, b, c]: [usize; 3]) -> Vec<Vec<usize>> {
        let mut rows = vec![vec![a], vec![b, a], vec![c, b, a]];
        let mut references = vec![None; heavy.len()];
        let mut order = vec![b, a, c];
        for has_heavy in [true, false] {
            let mut at = 0;
            while let Some(&atom) = order.get(at) {
                at += 1;
                let [angle, torsion] = if atom == a {
                    [b, c]
                } else if atom == b {
                    [a, c]
                } else if atom == c {
                    [b, a]
                } else if let Some(references) = references[atom] {
                    references
                } else {
                    continue;
                };
                for &child in &self.children[atom] {
                    if (self.size[child] > 0) == has_heavy {
                        rows.push(vec![child, atom, angle, torsion]);
                        references[child] = Some([atom, angle]);
                        order.push(child);
                    }
                }
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::{Atom, Residue};

    fn topology(numbers: &[u32], bonds: &[[usize; 2]]) -> Topology {
        let atom = |&atomic_number: &u32| Atom {
            name: String::new(),
            element: String::new(),
            atomic_number,
            mass: 1.0,
            residue: 0,
        };
        let residues = vec![Residue {
            name: String::new(),
            id: 1,
            chain: String::new(),
        }];
        Topology {
            atoms: numbers.iter().map(atom).collect(),
            residues,
            bonds: bonds.to_vec(),
        }
    }

    fn rows(numbers: &[u32], bonds: &[[usize; 2]]) -> Vec<Vec<usize>> {
        z_matrix(&topology(numbers, bonds)).unwrap().into()
    }

    #[test]
    fn butane_walks_its_carbons_first() {
        let mut numbers = vec![6; 4];
        numbers.extend([1; 10]);
        let mut bonds = vec![
            [0, 1],
            [1, 2],
            [2, 3],
            [0, 4],
            [0, 5],
            [0, 6],
            [1, 7],
            [1, 8],
            [2, 9],
            [2, 10],
            [3, 11],
        ];
        bonds.extend([[3, 12], [3, 13]]);
        let rows = rows(&numbers, &bonds);
        assert_eq!(
            rows[..4],
            [vec![0], vec![1, 0], vec![2, 1, 0], vec![3, 2, 1, 0]]
        );
        assert!(
            rows.contains(&vec![4, 0, 1, 2])
                && rows.contains(&vec![12, 3, 2, 1])
                && rows.contains(&vec![9, 2, 1, 0])
        );
        assert!(
            rows.contains(&vec![7, 1, 0, 2]),
            "no proper torsion about a bond whose other end has no more heavy atoms"
        );
    }

    #[test]
    fn small_and_cyclic_molecules_work_and_pieces_are_refused() {
        assert_eq!(
            rows(&[8, 1, 1], &[[0, 1], [0, 2]]),
            [vec![1], vec![0, 1], vec![2, 0, 1]]
        );
        let ring = rows(&[6; 6], &[[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [0, 5]]);
        assert_eq!(ring.len(), 6);
        let error = z_matrix(&topology(
            &[8, 1, 1, 8, 1, 1],
            &[[0, 1], [0, 2], [3, 4], [3, 5]],
        ))
        .unwrap_err();
        assert!(
            matches!(error, CoordinatesError::Disconnected { to: 3, .. }),
            "{error}"
        );
        assert!(z_matrix(&topology(&[8, 8, 8], &[])).is_err());
    }
}

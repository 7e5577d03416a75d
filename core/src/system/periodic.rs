//! Molecules made whole across a periodic cell.

use super::geometry::distance;
use crate::math::vector::{Vector, cross, dot, norm, point, sub};

/// A periodic cell, vectors in nm.
pub(super) struct Cell {
    vectors: [Vector; 3],
    /// Reciprocal vectors: `reciprocal[i] . vectors[j] = delta_ij`.
    reciprocal: [Vector; 3],
}

impl Cell {
    /// From three cell vectors; `None` if they span no volume.
    pub(super) fn new(vectors: [Vector; 3]) -> Option<Self> {
        let [a, b, c] = vectors;
        let normals = [cross(b, c), cross(c, a), cross(a, b)];
        let volume = dot(a, normals[0]);
        let reciprocal = normals.map(|normal| normal.map(|x| x / volume));
        let finite = reciprocal.iter().flatten().all(|x| x.is_finite());
        finite.then_some(Self {
            vectors,
            reciprocal,
        })
    }

    /// Smallest distance of two opposite faces.
    pub(super) fn width(&self) -> f64 {
        self.widths().into_iter().fold(f64::INFINITY, f64::min)
    }

    /// Distances of the opposite faces.
    pub(super) fn widths(&self) -> [f64; 3] {
        self.reciprocal.map(|normal| 1.0 / norm(normal))
    }

    /// Where a point is in terms of the cell vectors, each in `[0, 1]` after whole ones are taken off.
    pub(super) fn fractions(&self, x: Vector) -> [f64; 3] {
        self.reciprocal.map(|normal| {
            let fraction = dot(normal, x);
            fraction - fraction.floor()
        })
    }

    /// The lattice vector that added to `difference` makes it shortest. Rounded fractions alone miss it in skewed cells, so
    /// their neighbours are tried too.
    pub(super) fn nearest_image(&self, difference: Vector) -> Vector {
        let rounded = self
            .reciprocal
            .map(|normal| -dot(normal, difference).round());
        let mut best = ([0.0; 3], norm(difference));
        for k in 0..27 {
            let n = [k % 3, k / 3 % 3, k / 9].map(|offset| f64::from(offset) - 1.0);
            let shift: Vector = std::array::from_fn(|axis| {
                (0..3)
                    .map(|i| (rounded[i] + n[i]) * self.vectors[i][axis])
                    .sum()
            });
            let length = norm([
                difference[0] + shift[0],
                difference[1] + shift[1],
                difference[2] + shift[2],
            ]);
            // A tie or a gain within rounding does not move an atom.
            if length < best.1 * (1.0 - 1e-9) {
                best = (shift, length);
            }
        }
        best.0
    }
}

/// The bonds of a molecule, ordered so that a walk from atom 0 sets each atom next to one that is already placed.
pub(super) struct BondWalk {
    /// (placed atom, new atom)
    tree: Vec<[usize; 2]>,
    bonds: Vec<[usize; 2]>,
}

/// A bond longer than allowed.
#[derive(Debug, PartialEq)]
pub(super) struct LongBond {
    pub atoms: [usize; 2],
    pub length: f64,
}

impl BondWalk {
    /// Breadth first over a bond graph; parts without bonds to atom 0 are left alone.
    pub(super) fn new(neighbours: &[Vec<usize>], bonds: &[[usize; 2]]) -> Self {
        let mut seen = vec![false; neighbours.len()];
        let mut tree = Vec::new();
        let mut queue = std::collections::VecDeque::new();
        if let Some(first) = seen.first_mut() {
            *first = true;
            queue.push_back(0);
        }
        while let Some(atom) = queue.pop_front() {
            for &next in &neighbours[atom] {
                if !std::mem::replace(&mut seen[next], true) {
                    tree.push([atom, next]);
                    queue.push_back(next);
                }
            }
        }
        Self {
            tree,
            bonds: bonds.to_vec(),
        }
    }

    /// Moves atoms (flat positions, nm) by lattice vectors until each is next to its bonded neighbour, then checks all bonds.
    /// Positions of a molecule that is whole keep every bit.
    pub(super) fn make_whole(
        &self,
        positions: &mut [f64],
        cell: Option<&Cell>,
        limit: f64,
    ) -> Result<(), LongBond> {
        if let Some(cell) = cell {
            for &[placed, atom] in &self.tree {
                let difference = sub(point(positions, atom), point(positions, placed));
                let shift = cell.nearest_image(difference);
                for (x, s) in positions[3 * atom..3 * atom + 3].iter_mut().zip(shift) {
                    *x += s;
                }
            }
        }
        for &atoms in &self.bonds {
            let length = distance(positions, atoms);
            if length > limit {
                return Err(LongBond { atoms, length });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{frames, topology};
    use super::*;

    fn walk() -> BondWalk {
        let topology = topology("aldp");
        BondWalk::new(&topology.neighbours(), &topology.bonds)
    }

    /// Orthorhombic, triclinic, and so skewed that rounded fractions are not the nearest image.
    fn cells() -> [Cell; 3] {
        [
            [[1.6, 0.0, 0.0], [0.0, 1.8, 0.0], [0.0, 0.0, 2.0]],
            [[1.7, 0.0, 0.0], [0.5, 1.6, 0.0], [-0.6, 0.7, 1.8]],
            [[1.7, 0.0, 0.0], [0.84, 1.6, 0.0], [0.84, 0.79, 1.5]],
        ]
        .map(|vectors| Cell::new(vectors).unwrap())
    }

    #[test]
    fn a_wrapped_molecule_becomes_whole() {
        let whole = frames();
        for cell in cells() {
            for frame in 0..whole.len() {
                // Wrap each atom into the cell, from an origin that cuts the molecule.
                let mut broken = whole.frame(frame).to_vec();
                for position in broken.chunks_exact_mut(3) {
                    for i in 0..3 {
                        let x = [position[0], position[1], position[2]];
                        let shift = dot(cell.reciprocal[i], x).floor();
                        (0..3).for_each(|axis| position[axis] -= shift * cell.vectors[i][axis]);
                    }
                }
                assert!(
                    walk().make_whole(&mut broken.clone(), None, 0.35).is_err(),
                    "the test must break bonds"
                );
                walk().make_whole(&mut broken, Some(&cell), 0.35).unwrap();
                // Equal up to one translation.
                let moved: Vec<f64> = (0..3)
                    .map(|axis| broken[axis] - whole.frame(frame)[axis])
                    .collect();
                for (k, (x, y)) in broken.iter().zip(whole.frame(frame)).enumerate() {
                    assert!((x - y - moved[k % 3]).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn a_whole_molecule_keeps_every_bit() {
        for cell in cells() {
            let mut positions = frames().frame(0).to_vec();
            walk()
                .make_whole(&mut positions, Some(&cell), 0.35)
                .unwrap();
            assert_eq!(positions, frames().frame(0));
        }
    }

    #[test]
    fn a_bond_that_no_image_mends_is_reported() {
        let mut positions = frames().frame(0).to_vec();
        positions[3 * 2] += 0.8;
        let error = walk()
            .make_whole(&mut positions.clone(), None, 0.35)
            .unwrap_err();
        assert_eq!(error.atoms, [0, 2]);
        assert!(error.length > 0.6);
        assert!(
            walk()
                .make_whole(&mut positions, Some(&cells()[0]), 0.35)
                .is_err()
        );
    }

    #[test]
    fn a_flat_cell_is_none_and_widths_are_heights() {
        assert!(Cell::new([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 1.0]]).is_none());
        assert!((cells()[0].width() - 1.6).abs() < 1e-15);
        let sheared = Cell::new([[3.0, 0.0, 0.0], [4.0, 3.0, 0.0], [0.0, 0.0, 9.0]]).unwrap();
        assert!((sheared.width() - 9.0 / 5.0).abs() < 1e-15);
    }
}

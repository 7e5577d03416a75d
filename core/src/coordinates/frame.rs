//! The rigid frame of three atoms.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::math::vector::{Vector, cross, dot, norm, point, scale, sub};

/// Shortest length (nm) and smallest sine of an angle at which a frame of reference is defined; see the module `coordinates`.
pub(super) const SMALLEST: f64 = 1e-6;

/// Where a molecule is and how it is turned: atom a at `origin`, atom b on the first axis, atom c in the half-plane of the
/// first two whose second coordinate is positive.
///
/// Whatever the three atoms, all positions are the frame (with the measure of rigid motions) and the shape of the molecule,
/// independently: `dx = dmu(frame) dshape`, where `dshape` is the volume element of `gauge` and `internal` coordinates.
/// So a move that draws a shape of known density and keeps the frame of any three atoms knows its density.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    origin: Vector,
    axes: [Vector; 3],
}

impl Frame {
    /// The frame of `atoms` in `positions` (`[N, 3]`, nm); `None` if they are on a line or not finite.
    pub fn of(positions: &[f64], [a, b, c]: [usize; 3]) -> Option<Frame> {
        let origin = point(positions, a);
        let (ab, ac) = (
            sub(point(positions, b), origin),
            sub(point(positions, c), origin),
        );
        let x = unit(ab)?;
        let z = unit(cross(x, ac))?;
        Some(Frame {
            origin,
            axes: [x, cross(z, x), z],
        })
    }

    /// The same origin with an orientation that is uniform on SO(3).
    pub fn turned<R: Rng + ?Sized>(&self, rng: &mut R) -> Frame {
        Frame {
            origin: self.origin,
            axes: random_rotation(rng),
        }
    }

    /// Moves a point rigidly with this frame to where `target` is.
    pub fn carry(&self, target: &Frame, point: [f64; 3]) -> [f64; 3] {
        let relative = sub(point, self.origin);
        let local = self.axes.map(|axis| dot(axis, relative));
        std::array::from_fn(|k| {
            target.origin[k]
                + target.axes[0][k] * local[0]
                + target.axes[1][k] * local[1]
                + target.axes[2][k] * local[2]
        })
    }

    /// Moves all of `positions` (`[N, 3]`) as [`Frame::carry`] moves a point.
    #[cfg(test)]
    pub(crate) fn carry_all(&self, target: &Frame, positions: &mut [f64]) {
        for atom in 0..positions.len() / 3 {
            crate::math::vector::set_point(
                positions,
                atom,
                self.carry(target, point(positions, atom)),
            );
        }
    }
}

fn unit(a: Vector) -> Option<Vector> {
    let length = norm(a);
    (length > SMALLEST && length.is_finite()).then(|| scale(a, length.recip()))
}

/// Rows of a rotation matrix, uniform on SO(3): from a unit quaternion that is uniform on the 3-sphere.
pub(super) fn random_rotation<R: Rng + ?Sized>(rng: &mut R) -> [Vector; 3] {
    let [w, x, y, z] = loop {
        let q: [f64; 4] = std::array::from_fn(|_| rng.sample(StandardNormal));
        let norm = q.iter().map(|q| q * q).sum::<f64>().sqrt();
        if norm > 1e-3 {
            break q.map(|q| q / norm);
        }
    };
    [
        [
            1.0 - 2.0 * (y * y + z * z),
            2.0 * (x * y - w * z),
            2.0 * (x * z + w * y),
        ],
        [
            2.0 * (x * y + w * z),
            1.0 - 2.0 * (x * x + z * z),
            2.0 * (y * z - w * x),
        ],
        [
            2.0 * (x * z - w * y),
            2.0 * (y * z + w * x),
            1.0 - 2.0 * (x * x + y * y),
        ],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// Uniform on SO(3) means E R = 0 and E R_ij R_kl = delta_ik delta_jl / 3; both within 5 standard errors.
    #[test]
    fn rotations_are_uniform() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let n = 20_000;
        let (mut first, mut second) = ([0.0; 9], [[0.0; 9]; 9]);
        for _ in 0..n {
            let rotation = random_rotation(&mut rng);
            let flat: [f64; 9] = std::array::from_fn(|k| rotation[k / 3][k % 3]);
            for i in 0..9 {
                first[i] += flat[i] / f64::from(n);
                (0..9).for_each(|j| second[i][j] += flat[i] * flat[j] / f64::from(n));
            }
            let determinant = dot(rotation[0], cross(rotation[1], rotation[2]));
            assert!((determinant - 1.0).abs() < 1e-12);
        }
        // Var R_ij = 1/3; Var(R_ij R_kl) <= E R_ij^4 = 1/5.
        let error = 1.0 / f64::from(n).sqrt();
        for i in 0..9 {
            assert!(
                first[i].abs() < 5.0 * error / 3f64.sqrt(),
                "mean {}",
                first[i]
            );
            for (j, value) in second[i].iter().enumerate() {
                let expected = if i == j { 1.0 / 3.0 } else { 0.0 };
                assert!(
                    (value - expected).abs() < 5.0 * error * 0.2f64.sqrt(),
                    "moment {i} {j}: {value}"
                );
            }
        }
    }

    #[test]
    fn carrying_moves_the_frame_onto_the_target_and_keeps_distances() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut molecule = || -> Vec<f64> { (0..15).map(|_| rng.random::<f64>()).collect() };
        let (from, to) = (molecule(), molecule());
        let atoms = [4, 0, 2];
        let (here, there) = (
            Frame::of(&from, atoms).unwrap(),
            Frame::of(&to, atoms).unwrap(),
        );
        let mut moved = from.clone();
        here.carry_all(&there, &mut moved);
        let found = Frame::of(&moved, atoms).unwrap();
        for k in 0..3 {
            assert!((found.origin[k] - there.origin[k]).abs() < 1e-12);
            (0..3).for_each(|i| assert!((found.axes[i][k] - there.axes[i][k]).abs() < 1e-10));
        }
        let distance = |x: &[f64], i, j| norm(sub(point(x, i), point(x, j)));
        for (i, j) in (0..5).flat_map(|i| (0..i).map(move |j| (i, j))) {
            assert!((distance(&moved, i, j) - distance(&from, i, j)).abs() < 1e-12);
        }
        // Chirality is kept too.
        let volume = |x: &[f64]| {
            let [a, b, c] = [1, 2, 3].map(|atom| sub(point(x, atom), point(x, 0)));
            dot(cross(a, b), c)
        };
        assert!((volume(&moved) - volume(&from)).abs() < 1e-12);
        let turned = there.turned(&mut rng);
        assert_eq!(turned.origin, there.origin);
        assert_ne!(turned.axes, there.axes);
    }

    #[test]
    fn atoms_on_a_line_have_no_frame() {
        let line = [0.0, 0.0, 0.0, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2];
        assert_eq!(Frame::of(&line, [0, 1, 2]), None);
        let mut broken = [0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 0.2, 0.0];
        assert!(Frame::of(&broken, [0, 1, 2]).is_some());
        broken[7] = f64::NAN;
        assert_eq!(Frame::of(&broken, [0, 1, 2]), None);
    }
}

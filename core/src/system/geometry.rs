//! Distances, angles and torsions of one configuration.

use crate::math::angle;
use crate::math::vector::{norm, point, sub};

/// Distance of two atoms, in the unit of the positions (flat, 3 numbers per atom).
///
/// # Panics
/// If an index is beyond the positions.
pub fn distance(positions: &[f64], atoms: [usize; 2]) -> f64 {
    norm(sub(point(positions, atoms[1]), point(positions, atoms[0])))
}

/// Angle at the middle atom, rad, in [0, pi]. Exact also near 0 and pi (atan2 of sine and cosine); 0 if two atoms coincide.
///
/// # Panics
/// If an index is beyond the positions.
pub fn angle(positions: &[f64], atoms: [usize; 3]) -> f64 {
    let [a, b, c] = atoms.map(|atom| point(positions, atom));
    angle::between(sub(a, b), sub(c, b))
}

/// Torsion of four atoms a-b-c-d, rad, in (-pi, pi], with the IUPAC sign: looking from b to c, positive if d is clockwise of
/// a; cis is 0, trans is pi. 0 where it is undefined (three atoms on a line).
///
/// # Panics
/// If an index is beyond the positions.
pub fn torsion(positions: &[f64], atoms: [usize; 4]) -> f64 {
    angle::torsion(atoms.map(|atom| point(positions, atom)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// a-b-c-d with bonds of different lengths, angles `alpha`, `beta`, and torsion `phi`, moved by a fixed rotation.
    fn chain(alpha: f64, beta: f64, phi: f64) -> Vec<f64> {
        let (b, c) = ([0.0, 0.0, 0.0], [0.0, 0.0, 0.15]);
        // Looking from b to c, along +z with x to the right, y points down: clockwise is from +x to +y.
        let a = [0.11 * alpha.sin(), 0.0, 0.11 * alpha.cos()];
        let s = 0.13 * beta.sin();
        let d = [s * phi.cos(), s * phi.sin(), 0.15 - 0.13 * beta.cos()];
        let turn = |v: [f64; 3]| {
            let (sa, ca) = 0.7f64.sin_cos();
            let (sb, cb) = (-1.3f64).sin_cos();
            let w = [ca * v[0] - sa * v[1], sa * v[0] + ca * v[1], v[2]];
            [
                w[0] + 0.4,
                cb * w[1] - sb * w[2] - 0.2,
                sb * w[1] + cb * w[2] + 0.9,
            ]
        };
        [a, b, c, d].into_iter().flat_map(turn).collect()
    }

    #[test]
    fn known_internal_coordinates_come_back() {
        for step in -17..=18 {
            let phi = f64::from(step) * PI / 18.0;
            let positions = chain(1.1, 2.0, phi);
            assert!(
                (torsion(&positions, [0, 1, 2, 3]) - phi).abs() < 1e-12,
                "{phi}"
            );
            assert!(
                (torsion(&positions, [3, 2, 1, 0]) - phi).abs() < 1e-12,
                "reversal keeps the sign"
            );
            assert!((angle(&positions, [0, 1, 2]) - 1.1).abs() < 1e-12);
            assert!((angle(&positions, [1, 2, 3]) - 2.0).abs() < 1e-12);
            assert!((distance(&positions, [2, 3]) - 0.13).abs() < 1e-14);
        }
    }

    #[test]
    fn sign_follows_iupac() {
        // Looking from b = origin to c = +z (away from the eye), with a up (+x): right-hand side of the eye is +y.
        let positions = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0];
        assert!((torsion(&positions, [0, 1, 2, 3]) - PI / 2.0).abs() < 1e-15);
    }

    #[test]
    fn a_trans_torsion_is_plus_pi_and_a_line_is_zero() {
        let trans = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, -1.0, -0.0, 1.0];
        assert_eq!(torsion(&trans, [0, 1, 2, 3]), PI);
        let line = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 3.0, 1.0, 0.0];
        assert_eq!(torsion(&line, [0, 1, 2, 3]), 0.0);
        assert_eq!(angle(&line, [0, 1, 2]), PI);
    }
}

//! Periodic cells as files describe them.

use crate::math::vector::Vector;

/// Cell vectors from three lengths and the angles alpha, beta, gamma (degrees), the first along x and the second in the xy
/// plane; none if the numbers are no cell.
pub(super) fn from_lengths(lengths: [f64; 3], angles: [f64; 3]) -> Option<[Vector; 3]> {
    let [alpha, beta, gamma] = angles.map(|angle| {
        // Exactly rectangular cells stay so.
        if angle == 90.0 {
            0.0
        } else {
            angle.to_radians().cos()
        }
    });
    from_cosines(lengths, [alpha, beta, gamma])
}

/// As [`from_lengths`], of the cosines of the angles.
pub(super) fn from_cosines(
    lengths: [f64; 3],
    [alpha, beta, gamma]: [f64; 3],
) -> Option<[Vector; 3]> {
    let [a, b, c] = lengths;
    let sine = (1.0 - gamma * gamma).sqrt();
    let y = (alpha - beta * gamma) / sine;
    let z = (1.0 - beta * beta - y * y).sqrt();
    checked([
        [a, 0.0, 0.0],
        [b * gamma, b * sine, 0.0],
        [c * beta, c * y, c * z],
    ])
}

/// The vectors, unless they are all zero or not finite, as files say that there is no cell.
pub(super) fn checked(vectors: [Vector; 3]) -> Option<[Vector; 3]> {
    let finite = vectors.iter().flatten().all(|x| x.is_finite());
    let some = vectors.iter().flatten().any(|&x| x != 0.0);
    (finite && some).then_some(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::vector::{dot, norm};

    #[test]
    fn lengths_and_angles_come_back() {
        let (lengths, angles) = ([3.0, 2.5, 4.0], [78.0, 95.0, 70.5]);
        let cell = from_lengths(lengths, angles).unwrap();
        let angle = |i: usize, j: usize| {
            (dot(cell[i], cell[j]) / norm(cell[i]) / norm(cell[j]))
                .acos()
                .to_degrees()
        };
        for (k, (i, j)) in [(1, 2), (0, 2), (0, 1)].into_iter().enumerate() {
            assert!((norm(cell[k]) - lengths[k]).abs() < 1e-12);
            assert!((angle(i, j) - angles[k]).abs() < 1e-12);
        }
    }

    #[test]
    fn what_is_no_cell_is_none() {
        assert!(from_lengths([0.0; 3], [90.0; 3]).is_none());
        assert!(from_lengths([1.0; 3], [10.0, 10.0, 90.0]).is_none());
        assert!(from_lengths([f64::NAN, 1.0, 1.0], [90.0; 3]).is_none());
    }
}

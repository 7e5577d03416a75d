//! Exact optimal transport between two sets of as many points: the assignment with the least sum of squared distances, with its
//! certificate. What makes pairs for training and what compares samples with a reference share it.

pub mod cost;
mod solver;

pub use solver::{Assignment, AssignmentError, Progress, TOLERANCE, assign};

/// Why points cannot be transported.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// There must be as many points on both sides, of the same dimension.
    #[error(
        "expected two sets of as many points with {dimension} features each, found {n0} and {n1} numbers"
    )]
    Shape {
        /// Features of a point.
        dimension: usize,
        /// Numbers of the first set.
        n0: usize,
        /// Numbers of the second set.
        n1: usize,
    },
    /// A coordinate is infinite or not a number.
    #[error("{side} point {point}, feature {feature}: the value is not finite")]
    NonFinite {
        /// "prior" or "data".
        side: &'static str,
        /// Row.
        point: usize,
        /// Column.
        feature: usize,
    },
    /// The assignment failed.
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
}

/// Exact optimal transport between two sets of `n` points with uniform weights, in the current rayon pool: the assignment
/// whose cost is the sum of squared distances, along the shorter way round where `circular`. `x0, x1: [n, D]`,
/// `D = circular.len()`. Its matrix takes `4 n^2` bytes.
///
/// # Errors
/// Different numbers of points, values that are not finite.
pub fn transport(x0: &[f32], x1: &[f32], circular: &[bool]) -> Result<Assignment, TransportError> {
    check(x0, x1, circular.len())?;
    let n = x0.len().checked_div(circular.len()).unwrap_or(0);
    let mut matrix = vec![0f32; n * n];
    cost::squared_distances(x0, x1, circular, &mut matrix);
    Ok(assign(&matrix, n, &mut |_| true)?)
}

/// Refuses points (`[n, dimension]`) that do not fit each other or are not finite.
///
/// # Errors
/// What is wrong, and where.
pub fn check(x0: &[f32], x1: &[f32], dimension: usize) -> Result<(), TransportError> {
    if x0.len() != x1.len() || (dimension > 0 && !x0.len().is_multiple_of(dimension)) {
        return Err(TransportError::Shape {
            dimension,
            n0: x0.len(),
            n1: x1.len(),
        });
    }
    for (side, x) in [("prior", x0), ("data", x1)] {
        if let Some(k) = x.iter().position(|v| !v.is_finite()) {
            return Err(TransportError::NonFinite {
                side,
                point: k / dimension.max(1),
                feature: k % dimension.max(1),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::seq::SliceRandom;
    use rand::{RngExt, SeedableRng};

    /// Then the least cost is 0, below which a relative gap means nothing but rounding.
    #[test]
    fn points_that_are_the_same_in_another_order_cost_nothing() {
        for seed in 0..20 {
            let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let points: Vec<[f32; 3]> = (0..150).map(|_| random.random()).collect();
            let mut shuffled = points.clone();
            shuffled.shuffle(&mut random);
            let [x0, x1] = [points.concat(), shuffled.concat()];
            let found = transport(&x0, &x1, &[false; 3]).unwrap();
            assert_eq!(found.cost, 0.0);
            for (point, &column) in points.iter().zip(&found.column_of) {
                assert_eq!(*point, shuffled[column as usize]);
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let x = [0.5f32; 12];
        let mut bad = x;
        bad[7] = f32::NAN;
        let found = transport(&x, &bad, &[false; 3]).unwrap_err();
        let (side, point, feature) = ("data", 2, 1);
        assert_eq!(
            found,
            TransportError::NonFinite {
                side,
                point,
                feature
            }
        );
        let found = transport(&x, &x[..9], &[false; 3]).unwrap_err();
        assert!(
            found.to_string().contains("found 12 and 9 numbers"),
            "{found}"
        );
        assert!(transport(&x, &x, &[false; 5]).is_err());
        assert!(
            transport(&[], &[], &[false; 5])
                .unwrap()
                .column_of
                .is_empty()
        );
    }
}

//! Large sets of points, block by block.

use crate::{Config, PairError};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use regflow_assignment::{AssignmentError, Progress, TransportError, assign, cost};
use regflow_plugin::Points;

/// The data point of each prior point.
///
/// Prior points are independent, so that blocks of them are consecutive; data points may be frames of a trajectory in the
/// order of time, so that each block gets a random share of them, drawn with `seed`.
pub fn pair(
    config: &Config,
    seed: u64,
    x0: Points<'_>,
    x1: Points<'_>,
    circular: &[bool],
    progress: Progress<'_>,
) -> Result<Vec<u32>, PairError> {
    check(x0, x1, circular)?;
    let (n, dim) = (x0.n, x0.dim);
    if n == 0 {
        return Ok(Vec::new());
    }
    let count = n.div_ceil(config.block);
    let largest = n.div_ceil(count);
    let needed_gb = 4e-9 * (largest as f64).powi(2);
    if needed_gb > config.memory_gb {
        let fitting = (config.memory_gb / 4e-9).sqrt().floor().max(1.0) as usize;
        return Err(PairError::Memory {
            points: largest,
            needed_gb,
            limit_gb: config.memory_gb,
            fitting,
        });
    }
    let mut data: Vec<u32> = (0..n as u32).collect();
    if count > 1 {
        data.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    }
    let mut columns = Vec::with_capacity(n);
    let mut matrix = matrix(largest)?;
    for block in 0..count {
        // Sizes differ by one at most.
        let rows = block * n / count..(block + 1) * n / count;
        let size = rows.len();
        let members = &data[rows.clone()];
        let points: Vec<f32> = members
            .iter()
            .flat_map(|&j| x1.row(j as usize))
            .copied()
            .collect();
        let matrix = &mut matrix[..size * size];
        let mut report = |fraction: f64| progress((block as f64 + fraction) / count as f64);
        cost::squared_distances(
            &x0.values[rows.start * dim..rows.end * dim],
            &points,
            circular,
            matrix,
        );
        if !report(0.1) {
            return Err(stopped());
        }
        let solved = assign(matrix, size, &mut |fraction| report(0.1 + 0.9 * fraction))
            .map_err(TransportError::from)?;
        columns.extend(solved.column_of.iter().map(|&j| members[j as usize]));
    }
    Ok(columns)
}

/// Room for the costs of `points` points with as many: `memory_gb` may allow more than there is.
fn matrix(points: usize) -> Result<Vec<f32>, PairError> {
    let mut matrix = Vec::new();
    points
        .checked_mul(points)
        .filter(|&entries| matrix.try_reserve_exact(entries).is_ok())
        .map(|entries| {
            matrix.resize(entries, 0.0);
            matrix
        })
        .ok_or(PairError::NoMemory { points })
}

fn stopped() -> PairError {
    TransportError::from(AssignmentError::Stopped).into()
}

/// Refuses points that do not fit each other or are not finite.
fn check(x0: Points<'_>, x1: Points<'_>, circular: &[bool]) -> Result<(), PairError> {
    if circular.len() != x0.dim {
        return Err(PairError::Kinds {
            expected: x0.dim,
            found: circular.len(),
        });
    }
    let fits = |x: Points<'_>| x.values.len() == x.n * x.dim;
    if x0.dim != x1.dim || !fits(x0) || !fits(x1) {
        let shape = TransportError::Shape {
            dimension: x0.dim,
            n0: x0.values.len(),
            n1: x1.values.len(),
        };
        return Err(shape.into());
    }
    Ok(regflow_assignment::check(x0.values, x1.values, x0.dim)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(n: usize, dim: usize, seed: u32) -> Vec<f32> {
        (0..(n * dim) as u32)
            .map(|i| (((i + 7 * seed) as f32) * 12.9898).sin() * 3.0)
            .collect()
    }

    fn view(values: &[f32], dim: usize) -> Points<'_> {
        Points {
            values,
            n: values.len() / dim,
            dim,
        }
    }

    fn total(x0: &[f32], x1: &[f32], dim: usize, columns: &[u32]) -> f64 {
        let squares = |(i, &j): (usize, &u32)| -> f64 {
            let (a, b) = (&x0[i * dim..][..dim], &x1[j as usize * dim..][..dim]);
            a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
        };
        columns.iter().enumerate().map(squares).sum()
    }

    #[test]
    fn blocks_give_a_permutation_that_costs_little_more() {
        let (n, dim) = (501, 2);
        let (x0, x1) = (points(n, dim, 1), points(n, dim, 2));
        let run = |config: &Config, seed: u64| {
            pair(
                config,
                seed,
                view(&x0, dim),
                view(&x1, dim),
                &[false; 2],
                &mut |_| true,
            )
            .expect("valid points")
        };
        let blocks = Config {
            block: 100,
            ..Config::default()
        };
        let whole = run(&Config::default(), 0);
        let (parts, other) = (run(&blocks, 0), run(&blocks, 1));
        for columns in [&whole, &parts, &other] {
            let mut sorted = (*columns).clone();
            sorted.sort_unstable();
            assert!(sorted.iter().enumerate().all(|(i, &j)| i as u32 == j));
        }
        assert_ne!(parts, other);
        assert_eq!(parts, run(&blocks, 0));
        let exact = regflow_assignment::transport(&x0, &x1, &[false; 2])
            .expect("valid points")
            .cost;
        assert!((total(&x0, &x1, dim, &whole) / exact - 1.0).abs() < 1e-6);
        assert!(total(&x0, &x1, dim, &parts) > exact);
    }

    #[test]
    fn bad_input_is_refused_with_its_place() {
        let x = points(4, 3, 1);
        let mut bad = x.clone();
        bad[7] = f32::NAN;
        let config = Config::default();
        let mut go_on = |_: f64| true;
        let error = pair(
            &config,
            0,
            view(&x, 3),
            view(&bad, 3),
            &[false; 3],
            &mut go_on,
        )
        .expect_err("NaN");
        assert_eq!(
            error,
            PairError::Transport(TransportError::NonFinite {
                side: "data",
                point: 2,
                feature: 1
            })
        );
        let error = pair(
            &config,
            0,
            view(&x, 3),
            view(&x[..9], 3),
            &[false; 3],
            &mut go_on,
        )
        .expect_err("shape");
        assert!(
            error
                .to_string()
                .contains("as many points with 3 features each, found 12 and 9 numbers"),
            "{error}"
        );
        let small = Config {
            memory_gb: 4e-9,
            ..Config::default()
        };
        let error =
            pair(&small, 0, view(&x, 3), view(&x, 3), &[false; 3], &mut go_on).expect_err("memory");
        assert!(error.to_string().contains("set `block` to 1"), "{error}");
        let error = pair(
            &config,
            0,
            view(&x, 3),
            view(&x, 3),
            &[false; 3],
            &mut |_| false,
        )
        .expect_err("stop");
        assert_eq!(error, stopped());
        // 2^64 bytes, and more entries than can be counted.
        for points in [1 << 31, 1 << 32] {
            assert_eq!(matrix(points), Err(PairError::NoMemory { points }));
        }
    }

    #[test]
    fn blocks_of_one_point_and_no_points_work() {
        let x = points(3, 2, 1);
        let config = Config {
            block: 1,
            ..Config::default()
        };
        assert_eq!(
            pair(
                &config,
                0,
                view(&x, 2),
                view(&x, 2),
                &[true; 2],
                &mut |_| true
            )
            .map(|c| c.len()),
            Ok(3)
        );
        assert_eq!(
            pair(
                &config,
                0,
                view(&[], 2),
                view(&[], 2),
                &[true; 2],
                &mut |_| { true }
            ),
            Ok(vec![])
        );
    }
}

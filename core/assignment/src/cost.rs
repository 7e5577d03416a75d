//! Squared distances between two sets of points, wrapped on circular features.

use multiversion::multiversion;
use rayon::prelude::*;
use std::f64::consts::PI;

/// Columns of the matrix handled together; a panel of 60 features stays in the first-level cache.
const LANES: usize = 128;
/// Features added in one pass over a row of sums.
const FEATURES: usize = 4;
/// Rows of the matrix per task.
const ROWS: usize = 16;

/// Squared Euclidean cost `c[i][j] = sum_k |x0[i][k] - x1[j][k]|^2`, with the difference wrapped to (-pi, pi] where
/// `circular[k]`.
///
/// `x0: [n0, D]`, `x1: [n1, D]`, `cost: [n0, n1]`, all row-major, `D = circular.len()`. Differences are formed directly
/// (the expansion |a|^2 + |b|^2 - 2ab cancels where points are near each other); the relative error of an entry is about
/// `sqrt(D) 2^-24`. Entries are the same for any number of threads and any instruction set. Threads: those of the current
/// rayon pool.
pub fn squared_distances(x0: &[f32], x1: &[f32], circular: &[bool], cost: &mut [f32]) {
    let dims = circular.len();
    if dims == 0 || x0.is_empty() || x1.is_empty() {
        cost.fill(0.0);
        return;
    }
    let (n0, n1) = (x0.len() / dims, x1.len() / dims);
    assert_eq!(cost.len(), n0 * n1, "cost matrix of {n0} x {n1} entries");
    // Linear features first, so that the inner loops have no branch.
    let order: Vec<usize> = (0..dims)
        .filter(|&k| !circular[k])
        .chain((0..dims).filter(|&k| circular[k]))
        .collect();
    let linear = circular.iter().filter(|&&c| !c).count();
    let value = |points: &[f32], i: usize, k: usize| {
        let x = points[i * dims + order[k]];
        if k < linear { x } else { wrap(x) }
    };
    // x1 in panels [panel][D][LANES]; the last one is padded with zeros.
    let mut panels = vec![0f32; n1.div_ceil(LANES) * dims * LANES];
    panels
        .par_chunks_mut(dims * LANES)
        .enumerate()
        .for_each(|(panel, out)| {
            for lane in 0..LANES.min(n1 - panel * LANES) {
                for k in 0..dims {
                    out[k * LANES + lane] = value(x1, panel * LANES + lane, k);
                }
            }
        });
    cost.par_chunks_mut(ROWS * n1)
        .enumerate()
        .for_each(|(group, out)| {
            let rows = out.len() / n1;
            let packed: Vec<f32> = (0..rows)
                .flat_map(|r| (0..dims).map(move |k| (r, k)))
                .map(|(r, k)| value(x0, group * ROWS + r, k))
                .collect();
            for (panel, columns) in panels.chunks_exact(dims * LANES).enumerate() {
                let first = panel * LANES;
                let width = LANES.min(n1 - first);
                for (row, point) in out.chunks_exact_mut(n1).zip(packed.chunks_exact(dims)) {
                    let mut sums = [0f32; LANES];
                    add_squares(&point[..linear], &columns[..linear * LANES], &mut sums);
                    add_wrapped_squares(&point[linear..], &columns[linear * LANES..], &mut sums);
                    row[first..first + width].copy_from_slice(&sums[..width]);
                }
            }
        });
}

/// `x` in (-pi, pi], with ends rounded to f32; unchanged where it already is.
fn wrap(x: f32) -> f32 {
    let wide = f64::from(x);
    if x > -std::f32::consts::PI && x <= std::f32::consts::PI {
        x
    } else {
        let wrapped = (wide - 2.0 * PI * ((wide - PI) / (2.0 * PI)).ceil()) as f32;
        if wrapped > -std::f32::consts::PI {
            wrapped
        } else {
            std::f32::consts::PI
        }
    }
}

/// `sums[l] += sum_k (point[k] - columns[k][l])^2`
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "aarch64+neon"))]
fn add_squares(point: &[f32], columns: &[f32], sums: &mut [f32; LANES]) {
    let (columns, _) = columns.as_chunks::<LANES>();
    let (features, rest) = point.as_chunks::<FEATURES>();
    let (groups, last) = columns.as_chunks::<FEATURES>();
    for ([a0, a1, a2, a3], [b0, b1, b2, b3]) in features.iter().zip(groups) {
        for l in 0..LANES {
            let (d0, d1, d2, d3) = (a0 - b0[l], a1 - b1[l], a2 - b2[l], a3 - b3[l]);
            sums[l] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
        }
    }
    for (a, b) in rest.iter().zip(last) {
        for l in 0..LANES {
            let d = a - b[l];
            sums[l] += d * d;
        }
    }
}

/// The same with angles: the shorter way round the circle.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "aarch64+neon"))]
fn add_wrapped_squares(point: &[f32], columns: &[f32], sums: &mut [f32; LANES]) {
    let turn = (2.0 * PI) as f32;
    let (columns, _) = columns.as_chunks::<LANES>();
    for (a, b) in point.iter().zip(columns) {
        for l in 0..LANES {
            let d = (a - b[l]).abs();
            let other = (turn - d).abs();
            let d = if other < d { other } else { d };
            sums[l] += d * d;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_end_at_plus_pi() {
        let pi = std::f32::consts::PI;
        assert_eq!(wrap(pi), pi);
        for half_turns in -9i8..=9 {
            let wrapped = wrap(f32::from(half_turns) * pi);
            assert!(wrapped > -pi && wrapped <= pi, "{half_turns}: {wrapped}");
        }
    }

    /// A cheap deterministic sequence in (-1, 1).
    fn numbers(n: usize, seed: u64) -> Vec<f32> {
        (0..n as u64)
            .map(|i| {
                let x = (i + 1)
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    .wrapping_add(seed)
                    .wrapping_mul(0xbf58_476d_1ce4_e5b9);
                ((x >> 40) as f32) / (1u64 << 23) as f32 - 1.0
            })
            .collect()
    }

    #[test]
    fn equals_the_plain_sum() {
        for (n0, n1, dims) in [(1, 1, 1), (5, 33, 7), (9, 64, 60), (4, 31, 2)] {
            let circular: Vec<bool> = (0..dims).map(|k| k % 3 == 1).collect();
            let x0: Vec<f32> = numbers(n0 * dims, 1).iter().map(|x| x * 3.1).collect();
            let x1: Vec<f32> = numbers(n1 * dims, 2).iter().map(|x| x * 3.1).collect();
            let mut cost = vec![f32::NAN; n0 * n1];
            squared_distances(&x0, &x1, &circular, &mut cost);
            for i in 0..n0 {
                for j in 0..n1 {
                    let truth: f64 = (0..dims)
                        .map(|k| {
                            let d = f64::from(x0[i * dims + k]) - f64::from(x1[j * dims + k]);
                            let d = if circular[k] {
                                d - 2.0 * PI * (d / (2.0 * PI)).round()
                            } else {
                                d
                            };
                            d * d
                        })
                        .sum();
                    // Each term is off by a few units in the last place of numbers up to 2 pi, squared.
                    let bound = 1e-6 * (1.0 + truth);
                    assert!(
                        (f64::from(cost[i * n1 + j]) - truth).abs() < bound,
                        "{i} {j} {truth}"
                    );
                }
            }
        }
    }

    #[test]
    fn circular_features_wrap() {
        let mut cost = [0f32; 1];
        squared_distances(&[3.1], &[-3.1], &[true], &mut cost);
        let gap = 2.0 * PI - 6.2;
        assert!((f64::from(cost[0]) - gap * gap).abs() < 1e-6);
        // Angles outside (-pi, pi] mean the same.
        squared_distances(&[3.1 + 4.0 * PI as f32], &[-3.1], &[true], &mut cost);
        assert!((f64::from(cost[0]) - gap * gap).abs() < 1e-6);
        squared_distances(&[3.1], &[-3.1], &[false], &mut cost);
        assert!((cost[0] - 38.44).abs() < 1e-4);
    }
}

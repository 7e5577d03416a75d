use super::*;
use crate::cost::squared_distances;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn solve_checked(cost: &[f32], n: usize) -> Assignment {
    let solved = assign(cost, n, &mut |_| true).expect("finite costs");
    let mut seen = vec![false; n];
    for &j in &solved.column_of {
        assert!(
            !std::mem::replace(&mut seen[j as usize], true),
            "column {j} twice"
        );
    }
    assert!(
        solved.relative_gap() <= 1e-12,
        "gap {:e}",
        solved.relative_gap()
    );
    for (i, (row, &u)) in cost.chunks_exact(n).zip(&solved.u).enumerate() {
        for (j, (&c, &v)) in row.iter().zip(&solved.v).enumerate() {
            let slack = f64::from(c) - u - v;
            let rounding = 1e-12 * (1.0 + u.abs() + v.abs());
            assert!(slack >= -rounding, "pair {i} {j}: {slack}");
            assert!(solved.column_of[i] as usize != j || slack <= rounding);
        }
    }
    solved
}

fn random(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-1.0f32..1.0)).collect()
}

/// The least cost over all permutations (Heap's algorithm).
fn brute_force(cost: &[f32], n: usize) -> f64 {
    fn visit(k: usize, order: &mut [usize], cost: &[f32], n: usize, best: &mut f64) {
        if k <= 1 {
            *best = best.min(
                order
                    .iter()
                    .enumerate()
                    .map(|(i, &j)| f64::from(cost[i * n + j]))
                    .sum(),
            );
            return;
        }
        for i in 0..k {
            visit(k - 1, order, cost, n, best);
            order.swap(if k.is_multiple_of(2) { i } else { 0 }, k - 1);
        }
    }
    let mut best = f64::INFINITY;
    visit(n, &mut (0..n).collect::<Vec<_>>(), cost, n, &mut best);
    best
}

#[test]
fn equals_brute_force_on_all_small_sizes() {
    for n in 1..=7 {
        for seed in 0..40 {
            let mut cost = random(n * n, seed);
            if seed % 2 == 1 {
                // Many ties.
                cost.iter_mut().for_each(|c| *c = (*c * 2.0).round());
            }
            let truth = brute_force(&cost, n);
            let found = solve_checked(&cost, n).cost;
            assert!(
                (found - truth).abs() < 1e-12,
                "n {n} seed {seed}: {found} {truth}"
            );
        }
    }
}

/// Values of `ot.emd2`, made by `tests/data/ot/make.py`; sizes below and above the length of the candidate lists.
#[test]
fn equals_stored_values_of_pot() {
    let cases: serde_json::Value =
        serde_json::from_str(include_str!("../../../../tests/data/ot/pot.json")).expect("fixture");
    for case in cases.as_array().expect("array") {
        let numbers =
            |key: &str| -> Vec<f64> { serde_json::from_value(case[key].clone()).expect("numbers") };
        let size = |key: &str| case[key].as_u64().expect("size") as usize;
        let (n, dim) = (size("n"), size("dim"));
        let circular: Vec<bool> = numbers("circular").iter().map(|&c| c != 0.0).collect();
        // The same congruential sequence as in make.py.
        let mut state = size("seed") as u64;
        let mut next = || {
            state = (state * 16807) % 2_147_483_647;
            state as f64 / 2_147_483_647.0
        };
        let scale = case["scale"].as_f64().expect("scale");
        let x0: Vec<f32> = (0..n * dim).map(|_| (6.2 * next() - 3.1) as f32).collect();
        let x1: Vec<f32> = (0..n * dim)
            .map(|_| ((6.2 * next() - 3.1) * scale) as f32)
            .collect();
        let mut cost = vec![0f32; n * n];
        squared_distances(&x0, &x1, &circular, &mut cost);
        let found = solve_checked(&cost, n).cost / n as f64;
        let truth = case["emd2"].as_f64().expect("emd2");
        assert!(
            (found / truth - 1.0).abs() < 1e-6,
            "n {n} dim {dim}: {found} {truth}"
        );
    }
}

#[test]
fn degenerate_problems_end() {
    // One row; all costs equal, zero or not; below and above the length of the candidate lists.
    assert_eq!(solve_checked(&[3.0], 1).cost, 3.0);
    for n in [2, 63, 64, 65, 66, 300] {
        assert_eq!(solve_checked(&vec![0.0; n * n], n).cost, 0.0);
        assert_eq!(solve_checked(&vec![2.0; n * n], n).cost, 2.0 * n as f64);
    }
    assert_eq!(
        assign(&[], 0, &mut |_| true).map(|a| a.column_of.len()),
        Ok(0)
    );
}

#[test]
fn duplicates_and_ties_are_exact() {
    let n = 400;
    for kind in 0..4 {
        let (mut x0, mut x1) = (random(n * 2, 1), random(n * 2, 2));
        match kind {
            0 => {
                (0..n).for_each(|i| x1[2 * i..][..2].copy_from_slice(&[0.5, 0.5 * (i % 3) as f32]))
            }
            1 => {
                (0..n).for_each(|i| x0[2 * i..][..2].copy_from_slice(&[0.5, 0.5 * (i % 3) as f32]))
            }
            2 => x0
                .iter_mut()
                .chain(&mut x1)
                .for_each(|x| *x = (*x * 3.0).round()),
            _ => x1.clone_from(&x0),
        }
        let mut cost = vec![0f32; n * n];
        squared_distances(&x0, &x1, &[false; 2], &mut cost);
        let found = solve_checked(&cost, n).cost;
        if kind == 3 {
            assert_eq!(found, 0.0);
        }
    }
}

#[test]
fn does_not_depend_on_the_number_of_threads() {
    let n = 700;
    let mut cost = vec![0f32; n * n];
    squared_distances(&random(n * 5, 3), &random(n * 5, 4), &[false; 5], &mut cost);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("pool");
        pool.install(|| solve_checked(&cost, n))
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn one_dimension_pairs_by_rank() {
    let n = 500;
    let (mut x0, mut x1) = (random(n, 5), random(n, 6));
    let mut cost = vec![0f32; n * n];
    squared_distances(&x0, &x1, &[false], &mut cost);
    let found = solve_checked(&cost, n).cost;
    x0.sort_by(f32::total_cmp);
    x1.sort_by(f32::total_cmp);
    let truth: f64 = x0
        .iter()
        .zip(&x1)
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
        .sum();
    assert!((found / truth - 1.0).abs() < 1e-5, "{found} {truth}");
}

#[test]
fn bad_matrices_are_refused() {
    assert_eq!(
        assign(&[0.0; 3], 2, &mut |_| true),
        Err(AssignmentError::Shape { n: 2, found: 3 })
    );
    let cost = [0.0, 1.0, f32::NAN, 0.0];
    assert_eq!(
        assign(&cost, 2, &mut |_| true),
        Err(AssignmentError::NonFinite { row: 1, column: 0 })
    );
    assert_eq!(
        assign(&[0.0; 4], 2, &mut |_| false),
        Err(AssignmentError::Stopped)
    );
}

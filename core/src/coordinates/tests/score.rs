//! The reverse pass of the map to features, against finite differences.

use super::gradient::{maps, normal};
use super::*;

/// `sum_k a_k z_k(x) - log_volume(x)` of each configuration, circular features counted from `origin`.
fn scalar(map: &Coordinates, x: &[f64], a: &[f64], origin: &[f64]) -> Vec<f64> {
    let (z, log_volume) = features_of(map, x);
    let rows = z.chunks_exact(map.n_features()).zip(log_volume);
    rows.map(|(z, volume)| {
        let terms = z.iter().zip(a).zip(origin).zip(map.features());
        let sum: f64 = terms
            .map(|(((z, a), origin), feature)| match feature.kind {
                FeatureKind::Circular => a * wrap(z - origin),
                FeatureKind::Real => a * z,
            })
            .sum();
        sum - volume
    })
    .collect()
}

/// In all kinds of coordinates with all their options, for molecules anywhere and turned at random. The tolerance is derived as in
/// `gradient`: truncation is 1/15 of the change from steps `2h` to `h`, and rounding that of the scalar over `h`.
#[test]
fn gradients_by_positions_agree_with_finite_differences() {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    let h = 1e-5;
    for fixture in fixtures() {
        for (name, map) in maps(&fixture) {
            let width = 3 * map.n_atoms();
            for x in fixture.positions.chunks_exact(width).take(3) {
                let mut x = x.to_vec();
                let turn = super::super::frame::random_rotation(&mut rng);
                for atom in x.chunks_exact_mut(3) {
                    let moved = turn.map(|row| dot(row, [atom[0], atom[1], atom[2]]) + 0.1);
                    atom.copy_from_slice(&moved);
                }
                let a = normal(map.n_features(), &mut rng);
                let (z, _) = features_of(&map, &x);
                let mut found = vec![f64::NAN; width];
                map.pull_to_positions(&x, &a, &mut found).unwrap();
                let shifted: Vec<f64> = (0..width)
                    .flat_map(|k| {
                        [4.0, 2.0, 1.0, -1.0, -2.0, -4.0].map(|step| {
                            let mut x = x.clone();
                            x[k] += step * h;
                            x
                        })
                    })
                    .flatten()
                    .collect();
                let values = scalar(&map, &shifted, &a, &z);
                let largest = found.iter().fold(1.0, |m: f64, g| m.max(g.abs()));
                let magnitude: f64 =
                    z.iter().zip(&a).map(|(z, a)| (z * a).abs()).sum::<f64>() + 300.0;
                for (k, (f, found)) in values.chunks_exact(6).zip(&found).enumerate() {
                    let difference = |far: usize, near: usize, h: f64| {
                        (8.0 * (f[near] - f[5 - near]) - (f[far] - f[5 - far])) / (12.0 * h)
                    };
                    let (coarse, fine) = (difference(0, 1, 2.0 * h), difference(1, 2, h));
                    // Whitened features sum hundreds of terms over standard deviations of 1e-3 nm.
                    let tolerance = (coarse - fine).abs() + 1000.0 * f64::EPSILON * magnitude / h;
                    assert!(
                        (found - fine).abs() < tolerance && tolerance < 1e-4 * largest,
                        "{name}, coordinate {k}: {found} {fine}, tolerance {tolerance:e} of {largest}"
                    );
                }
            }
        }
    }
}

/// Where rigid motion is removed there is neither a force nor a torque in all; and with the reverse pass of the other direction,
/// `(dx/dz)^T (dz/dx)^T d_z = d_z`.
#[test]
fn rigid_motion_does_no_work_and_both_reverse_passes_agree() {
    let mut rng = ChaCha8Rng::seed_from_u64(22);
    for fixture in fixtures() {
        for (name, map) in maps(&fixture) {
            let width = 3 * map.n_atoms();
            let (z, _) = features_of(&map, &fixture.positions[..4 * width]);
            let (x, _) = positions_of(&map, &z);
            let d_z = normal(z.len(), &mut rng);
            let (mut d_x, mut back) = (vec![f64::NAN; x.len()], vec![f64::NAN; z.len()]);
            map.pull_to_positions(&x, &d_z, &mut d_x).unwrap();
            map.pull_back(&z, &d_x, &mut back).unwrap();
            let largest = d_x.iter().fold(1.0, |m: f64, g| m.max(g.abs()));
            for (found, expected) in back.iter().zip(&d_z) {
                assert!(
                    (found - expected).abs() < 1e-11 * largest,
                    "{name}: {found} {expected}"
                );
            }
            if map.needs_rotations() {
                continue;
            }
            for (x, d_x) in x.chunks_exact(width).zip(d_x.chunks_exact(width)) {
                let (mut force, mut torque) = ([0.0; 3], [0.0; 3]);
                for atom in 0..map.n_atoms() {
                    let g = point(d_x, atom);
                    let about = cross(point(x, atom), g);
                    (0..3).for_each(|k| force[k] += g[k]);
                    (0..3).for_each(|k| torque[k] += about[k]);
                }
                for value in force.iter().chain(&torque) {
                    assert!(
                        value.abs() < 1e-11 * largest,
                        "{name}: {value} of {largest}"
                    );
                }
            }
        }
    }
}

#[test]
fn batches_faults_and_lengths() {
    let fixture = aldp();
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    for (name, map) in maps(&fixture) {
        let (width, n) = (3 * map.n_atoms(), fixture.n());
        let d_z = normal(n * map.n_features(), &mut rng);
        let mut batch = vec![f64::NAN; n * width];
        map.pull_to_positions(&fixture.positions, &d_z, &mut batch)
            .unwrap();
        let rows = fixture
            .positions
            .chunks_exact(width)
            .zip(d_z.chunks_exact(map.n_features()));
        for ((x, d_z), expected) in rows.zip(batch.chunks_exact(width)) {
            let mut found = vec![f64::NAN; width];
            map.pull_to_positions(x, d_z, &mut found).unwrap();
            assert_eq!(found, expected, "{name}");
        }
        // A gradient that is not finite spoils its own configuration only.
        let mut damaged = d_z.clone();
        damaged[map.n_features()..2 * map.n_features()].fill(f64::NAN);
        let mut found = vec![f64::NAN; n * width];
        map.pull_to_positions(&fixture.positions, &damaged, &mut found)
            .unwrap();
        assert_eq!(found[..width], batch[..width]);
        assert!(found[width..2 * width].iter().all(|g| *g == 0.0));
        assert_eq!(found[2 * width..], batch[2 * width..]);
        let mut broken = fixture.positions.clone();
        broken[width] = f64::INFINITY;
        let error = map
            .pull_to_positions(&broken, &d_z, &mut found)
            .unwrap_err();
        assert_eq!(error, CoordinatesError::NotFinite { configuration: 1 });
        assert!(
            map.pull_to_positions(&fixture.positions, &d_z[1..], &mut found)
                .is_err()
        );
        assert!(
            map.pull_to_positions(&fixture.positions, &d_z, &mut found[1..])
                .is_err()
        );
    }
}

//! The reverse pass, against finite differences of the maps.

use std::path::PathBuf;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::energy::{Energy, ForceField};
use crate::system::kt;

fn pull_back(map: &Coordinates, z: &[f64], d_positions: &[f64]) -> Vec<f64> {
    let mut d_features = vec![f64::NAN; z.len()];
    map.pull_back(z, d_positions, &mut d_features).unwrap();
    d_features
}

/// Holds `found` against central differences of `scalar(x(z), log_volume(z))` (of a batch) at one configuration `z`.
///
/// Their error is truncation, which for fourth order is 1/15 of the change from steps `2h` to `h`, and the rounding of the
/// scalar over `h`; the scalar sums terms that add up to `magnitude` without their signs.
fn check(
    name: &str,
    map: &Coordinates,
    [z, found]: [&[f64]; 2],
    h: f64,
    magnitude: f64,
    scalar: impl Fn(&[f64], &[f64]) -> Vec<f64>,
) {
    let shifted = (0..z.len()).flat_map(|feature| {
        [4.0, 2.0, 1.0, -1.0, -2.0, -4.0].map(|step| {
            let mut z = z.to_vec();
            z[feature] += step * h;
            z
        })
    });
    let (x, log_volume) = positions_of(map, &shifted.flatten().collect::<Vec<_>>());
    let largest = found.iter().fold(1.0, |m: f64, g| m.max(g.abs()));
    let values = scalar(&x, &log_volume);
    for (feature, (f, found)) in values.chunks_exact(6).zip(found).enumerate() {
        let difference = |far: usize, near: usize, h: f64| {
            (8.0 * (f[near] - f[5 - near]) - (f[far] - f[5 - far])) / (12.0 * h)
        };
        let (coarse, fine) = (difference(0, 1, 2.0 * h), difference(1, 2, h));
        let tolerance = (coarse - fine).abs() + 10.0 * f64::EPSILON * magnitude / h;
        assert!(
            (found - fine).abs() < tolerance && tolerance < 1e-5 * largest,
            "{name}, feature {feature}: {found} {fine}, tolerance {tolerance:e} of {largest}"
        );
    }
}

/// [`variants`], and a Z-matrix whose third atom hangs on the first, with a reference to a far atom.
pub(super) fn maps(fixture: &Fixture) -> Vec<(String, Coordinates)> {
    let mut all: Vec<_> = variants()
        .into_iter()
        .map(|(kind, options)| {
            let map = fixture.fit(kind, &options);
            (format!("{kind} {options:?}"), map)
        })
        .collect();
    let built = fixture.fit(CoordinateKind::Internal, &CoordinateOptions::default());
    let mut lists: Vec<Vec<usize>> = built.z_matrix().unwrap().clone().into();
    let [a, b] = [lists[0][0], lists[1][0]];
    (lists[0], lists[1]) = (vec![b], vec![a, b]);
    if let Some(last) = lists.last_mut() {
        last[3] = a;
    }
    let options = CoordinateOptions {
        z_matrix: Some(ZMatrix::try_from(lists).unwrap()),
        ..Default::default()
    };
    let map = fixture.fit(CoordinateKind::Internal, &options);
    all.push(("user's Z-matrix".to_owned(), map));
    all
}

pub(super) fn normal(n: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    (0..n).map(|_| StandardNormal.sample(rng)).collect()
}

#[test]
fn gradients_agree_with_finite_differences() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for fixture in fixtures() {
        for (name, map) in maps(&fixture) {
            let (width, n_features) = (3 * map.n_atoms(), map.n_features());
            // Data, and what an untrained flow makes.
            let mut z = features_of(&map, &fixture.positions[..2 * width]).0;
            z.extend(draw(&map, 4, &mut rng));
            for z in z.chunks_exact(n_features) {
                let a = normal(width, &mut rng);
                let terms =
                    |x: &[f64]| -> Vec<f64> { x.iter().zip(&a).map(|(x, a)| a * x).collect() };
                let (x, log_volume) = positions_of(&map, z);
                let magnitude =
                    terms(&x).iter().map(|term| term.abs()).sum::<f64>() + log_volume[0].abs();
                let found = pull_back(&map, z, &a);
                check(
                    &name,
                    &map,
                    [z, &found],
                    1e-3,
                    magnitude,
                    |x, log_volume| {
                        let rows = x.chunks_exact(width).zip(log_volume);
                        rows.map(|(x, volume)| terms(x).iter().sum::<f64>() + volume)
                            .collect()
                    },
                );
            }
        }
    }
}

/// `d/dz [-u(x(z)) + log_volume(z)]` of alanine dipeptide at 300 K.
#[test]
fn gradient_of_the_log_target_density() {
    let beta = kt(300.0).recip();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data/energy/aldp.xml");
    let field = ForceField::from_system_xml(&path).unwrap();
    let fixture = aldp();
    for (name, map) in maps(&fixture) {
        let z = features_of(&map, &fixture.positions).0;
        for z in z.chunks_exact(map.n_features()).step_by(40) {
            let (x, _) = positions_of(&map, z);
            let (mut energy, mut forces) = ([0.0], vec![0.0; x.len()]);
            field
                .energies_and_forces(&x, &mut energy, &mut forces)
                .unwrap();
            // An equilibrium frame: atoms of the force field and of the fixture have the same order.
            assert!(energy[0] < 100.0, "{}", energy[0]);
            forces.iter_mut().for_each(|force| *force *= beta);
            let found = pull_back(&map, z, &forces);
            // Charges of either sign, of about 1e4 kJ/mol in all.
            check(
                &name,
                &map,
                [z, &found],
                1e-4,
                1e4 * beta,
                |x, log_volume| {
                    let mut energies = vec![0.0; log_volume.len()];
                    field.energies(x, &mut energies).unwrap();
                    let rows = energies.iter().zip(log_volume);
                    rows.map(|(energy, volume)| volume - beta * energy)
                        .collect()
                },
            );
        }
    }
}

#[test]
fn batches_give_the_gradients_of_their_members() {
    let fixture = aldp();
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    for (name, map) in maps(&fixture) {
        let (width, n_features) = (3 * map.n_atoms(), map.n_features());
        let z = draw(&map, 3001, &mut rng);
        let d_x = normal(3001 * width, &mut rng);
        let batch = pull_back(&map, &z, &d_x);
        let rows = z.chunks_exact(n_features).zip(d_x.chunks_exact(width));
        for ((z, d_x), expected) in rows.zip(batch.chunks_exact(n_features)) {
            assert_eq!(pull_back(&map, z, d_x), expected, "{name}");
        }
        assert!(pull_back(&map, &[], &[]).is_empty());
    }
}

#[test]
fn gradients_are_zero_outside_the_domain_and_always_finite() {
    let fixture = aldp();
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    for (name, map) in maps(&fixture) {
        let (width, n_features) = (3 * map.n_atoms(), map.n_features());
        for factor in [1.0, 10.0, 1e4, 1e200, f64::INFINITY, f64::NAN] {
            let z: Vec<f64> = draw(&map, 50, &mut rng)
                .iter()
                .map(|z| z * factor)
                .collect();
            let d_z = pull_back(&map, &z, &normal(50 * width, &mut rng));
            let (_, log_volume) = positions_of(&map, &z);
            for (d_z, volume) in d_z.chunks_exact(n_features).zip(log_volume) {
                assert!(d_z.iter().all(|d_z| d_z.is_finite()), "{name} {factor}");
                let zero = d_z.iter().all(|d_z| *d_z == 0.0);
                assert!(!volume.is_finite() <= zero, "{name} {factor}");
                assert!(factor != 1.0 || !zero, "{name}");
            }
        }
        // A force that is not finite, even one that no feature feels, and an overflow spoil their own configuration only.
        let z = draw(&map, 3, &mut rng);
        let d_x = normal(3 * width, &mut rng);
        let sound = pull_back(&map, &z, &d_x);
        for damage in [f64::NAN, f64::INFINITY, f64::MAX] {
            for at in width..2 * width {
                let mut d_x = d_x.clone();
                d_x[at] = damage;
                let d_z = pull_back(&map, &z, &d_x);
                let rows: Vec<&[f64]> = d_z.chunks_exact(n_features).collect();
                assert_eq!(rows[0], &sound[..n_features]);
                assert_eq!(rows[2], &sound[2 * n_features..]);
                let spoilt = |d_z: &f64| *d_z == 0.0 || damage == f64::MAX && d_z.is_finite();
                assert!(rows[1].iter().all(spoilt), "{name} {damage} {at}");
            }
        }
    }
}

#[test]
fn wrong_lengths_are_named() {
    let map = aldp().fit(CoordinateKind::Internal, &CoordinateOptions::default());
    let (z, d_x, mut d_z) = (vec![0.0; 120], vec![0.0; 132], vec![0.0; 120]);
    let mut message = |z: &[f64], d_x: &[f64]| {
        let error = map.pull_back(z, d_x, &mut d_z).unwrap_err();
        error.to_string()
    };
    assert!(
        message(&z[1..], &d_x).contains("features must hold 1 x 60 = 60 numbers, it holds 119")
    );
    assert!(message(&z, &d_x[1..]).contains("d_positions must hold 2 x 66 = 132"));
    assert!(message(&z[..60], &d_x[..66]).contains("d_features must hold 1 x 60"));
}

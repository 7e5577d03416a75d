//! Tests of the whole maps, on frames of three alanine peptides (see tests/data/coordinates/make.py).

mod gradient;
mod limits;
mod score;

use std::f64::consts::{PI, TAU};

use nalgebra::DMatrix;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::*;
use crate::math::angle::wrap;
use crate::math::vector::{cross, dot, point, sub};

#[derive(Deserialize)]
struct Fixture {
    topology: Topology,
    positions: Vec<f64>,
}

fn fixtures() -> [Fixture; 3] {
    [
        include_str!("../../../../tests/data/coordinates/aldp.json"),
        include_str!("../../../../tests/data/coordinates/al3.json"),
        include_str!("../../../../tests/data/coordinates/al4.json"),
    ]
    .map(|text| serde_json::from_str(text).unwrap())
}

fn aldp() -> Fixture {
    let [aldp, ..] = fixtures();
    aldp
}

impl Fixture {
    fn fit(&self, kind: CoordinateKind, options: &CoordinateOptions) -> Coordinates {
        Coordinates::fit(kind, &self.topology, &self.positions, options).unwrap()
    }

    fn n(&self) -> usize {
        self.positions.len() / (3 * self.topology.atoms.len())
    }
}

/// Every kind with every option that changes the map.
fn variants() -> Vec<(CoordinateKind, CoordinateOptions)> {
    let mut variants = vec![(CoordinateKind::Cartesian, CoordinateOptions::default())];
    for whiten in [true, false] {
        variants.push((
            CoordinateKind::Gauge,
            CoordinateOptions {
                whiten,
                ..Default::default()
            },
        ));
        for circular in [true, false] {
            variants.push((
                CoordinateKind::Internal,
                CoordinateOptions {
                    whiten,
                    circular,
                    ..Default::default()
                },
            ));
        }
    }
    variants
}

fn features_of(map: &Coordinates, positions: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let n = positions.len() / (3 * map.n_atoms());
    let (mut z, mut log_volume) = (vec![f64::NAN; n * map.n_features()], vec![f64::NAN; n]);
    map.to_features(positions, &mut z, &mut log_volume).unwrap();
    (z, log_volume)
}

fn positions_of(map: &Coordinates, z: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let n = z.len() / map.n_features();
    let (mut x, mut log_volume) = (vec![f64::NAN; 3 * n * map.n_atoms()], vec![f64::NAN; n]);
    map.to_positions(z, &mut x, &mut log_volume).unwrap();
    (x, log_volume)
}

/// What a prior draws: normal numbers, uniform angles.
fn draw<R: Rng>(map: &Coordinates, n: usize, rng: &mut R) -> Vec<f64> {
    let kinds = map
        .features()
        .iter()
        .map(|feature| feature.kind)
        .cycle()
        .take(n * map.n_features());
    kinds
        .map(|kind| match kind {
            FeatureKind::Real => StandardNormal.sample(rng),
            FeatureKind::Circular => rng.random_range(-PI..PI),
        })
        .collect()
}

/// Largest difference of two configurations in the frames of the same three atoms: rigid motion removed, handedness kept.
fn difference(x: &[f64], y: &[f64], frame: [usize; 3]) -> f64 {
    let reduce = |x: &[f64]| -> Vec<f64> {
        let [a, b, c] = frame.map(|atom| point(x, atom));
        let (u, v) = (sub(b, a), sub(c, a));
        let w = cross(u, v);
        let axes = [u, cross(w, u), w].map(|axis| axis.map(|k| k / dot(axis, axis).sqrt()));
        (0..x.len() / 3)
            .flat_map(|atom| axes.map(|axis| dot(axis, sub(point(x, atom), a))))
            .collect()
    };
    reduce(x)
        .iter()
        .zip(reduce(y))
        .map(|(x, y)| (x - y).abs())
        .fold(0.0, f64::max)
}

#[test]
fn positions_round_trip_up_to_rigid_motion() {
    for fixture in fixtures() {
        for (kind, options) in variants() {
            let map = fixture.fit(kind, &options);
            let (z, to) = features_of(&map, &fixture.positions);
            let (x, from) = positions_of(&map, &z);
            let width = 3 * map.n_atoms();
            for (k, (x, y)) in x
                .chunks_exact(width)
                .zip(fixture.positions.chunks_exact(width))
                .enumerate()
            {
                let [a, b, c] = fixture
                    .fit(CoordinateKind::Gauge, &options)
                    .gauge_atoms()
                    .unwrap();
                let found = if map.needs_rotations() {
                    x.iter()
                        .zip(y)
                        .map(|(x, y)| (x - y).abs())
                        .fold(0.0, f64::max)
                } else {
                    difference(x, y, [a, b, c])
                };
                assert!(found < 1e-10, "{kind} {options:?} frame {k}: {found:e}");
                assert!(
                    (to[k] - from[k]).abs() < 1e-9,
                    "{kind} {options:?} frame {k}: {} {}",
                    to[k],
                    from[k]
                );
                if k > 20 {
                    break;
                }
            }
        }
    }
}

#[test]
fn features_round_trip() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for fixture in fixtures() {
        for (kind, options) in variants() {
            let map = fixture.fit(kind, &options);
            let z = draw(&map, 200, &mut rng);
            let (x, from) = positions_of(&map, &z);
            let (back, to) = features_of(&map, &x);
            assert!(from.iter().all(|volume| volume.is_finite()));
            let differences = z.iter().zip(&back).zip(map.features().iter().cycle()).map(
                |((z, back), feature)| {
                    let difference = back - z;
                    if feature.kind == FeatureKind::Circular {
                        wrap(difference).abs()
                    } else {
                        difference.abs()
                    }
                },
            );
            let largest = differences.fold(0.0, f64::max);
            assert!(largest < 1e-9, "{kind} {options:?}: {largest:e}");
            assert!(
                from.iter()
                    .zip(&to)
                    .all(|(from, to)| (from - to).abs() < 1e-9),
                "{kind} {options:?}"
            );
        }
    }
}

/// `x(t, alpha, beta, gamma, z) = R_z(alpha) R_y(beta) R_z(gamma) x(z) + t` covers all of configuration space, and the rigid
/// motion's own measure is `dt sin(beta) dalpha dbeta dgamma`. So the determinant of its `3N x 3N` Jacobian is
/// `sin(beta) exp(log_volume)`: a test of the whole map against central differences, whatever its parts are.
#[test]
fn log_volume_is_that_of_the_whole_map() {
    for fixture in fixtures() {
        for (kind, options) in variants()
            .into_iter()
            .filter(|(kind, _)| *kind != CoordinateKind::Cartesian)
        {
            let map = fixture.fit(kind, &options);
            let (z, log_volume) = features_of(&map, &fixture.positions);
            let whole = |parameters: &[f64]| -> Vec<f64> {
                let (x, _) = positions_of(&map, &parameters[6..]);
                let turn = |[p, q]: [f64; 2], angle: f64| {
                    let (s, c) = angle.sin_cos();
                    [c * p - s * q, s * p + c * q]
                };
                let rotate = |r: &[f64]| {
                    let [x, y] = turn([r[0], r[1]], parameters[5]);
                    let [z, x] = turn([r[2], x], parameters[4]);
                    let [x, y] = turn([x, y], parameters[3]);
                    [x + parameters[0], y + parameters[1], z + parameters[2]]
                };
                x.chunks_exact(3).flat_map(rotate).collect()
            };
            for frame in [0, fixture.n() / 2, fixture.n() - 1] {
                let mut at = vec![0.3, -0.1, 0.2, 0.7, 1.1, -2.0];
                at.extend_from_slice(&z[frame * map.n_features()..][..map.n_features()]);
                let size = at.len();
                let mut jacobian = DMatrix::zeros(size, size);
                for column in 0..size {
                    let h = 2e-4;
                    let shifted = |by: f64| {
                        let mut at = at.clone();
                        at[column] += by;
                        whole(&at)
                    };
                    // Fourth order, so that the error (h^4) is below that of rounding (1e-16 / h).
                    let [a, b, c, d] = [2.0 * h, h, -h, -2.0 * h].map(shifted);
                    for row in 0..size {
                        jacobian[(row, column)] =
                            (8.0 * (b[row] - c[row]) - (a[row] - d[row])) / (12.0 * h);
                    }
                }
                let lu = jacobian.lu();
                let numerical: f64 = lu.u().diagonal().iter().map(|pivot| pivot.abs().ln()).sum();
                let expected = 1.1f64.sin().ln() + log_volume[frame];
                assert!(
                    (numerical - expected).abs() < 1e-6,
                    "{kind} {options:?} {frame}: {numerical} {expected}"
                );
            }
        }
    }
}

#[test]
fn cartesian_volume_is_the_scale_and_the_density_of_the_centre() {
    let fixture = aldp();
    let map = fixture.fit(CoordinateKind::Cartesian, &CoordinateOptions::default());
    let mut positions = fixture.positions.clone();
    map.augment(&mut positions, &mut ChaCha8Rng::seed_from_u64(4))
        .unwrap();
    let (z, log_volume) = features_of(&map, &positions);
    let sigma = positions[0] / z[0];
    let s = sigma / 22f64.sqrt();
    let c: [f64; 3] = std::array::from_fn(|axis| {
        (0..22).map(|atom| positions[3 * atom + axis]).sum::<f64>() / 22.0
    });
    let density: f64 = c
        .iter()
        .map(|c| (-c * c / (2.0 * s * s)).exp() / (s * TAU.sqrt()))
        .product();
    assert!((log_volume[0] - (66.0 * sigma.ln() + density.ln())).abs() < 1e-10);
    // Centred features have unit variance by construction, and the centre adds 1/22; 5 standard errors of the latter.
    let variance = z.iter().map(|z| z * z).sum::<f64>() / z.len() as f64;
    assert!(
        (variance - 1.0 - 1.0 / 22.0).abs() < 5.0 * (2.0f64 / 360.0).sqrt() / 22.0,
        "{variance}"
    );
    let gauge = fixture.fit(CoordinateKind::Gauge, &CoordinateOptions::default());
    let mut same = positions.clone();
    gauge
        .augment(&mut same, &mut ChaCha8Rng::seed_from_u64(4))
        .unwrap();
    assert_eq!(same, positions);
}

#[test]
fn linear_features_are_standard_and_torsions_that_turn_are_found() {
    for (fixture, turning) in fixtures().iter().zip([
        // phi and psi, the rotors of methyls and, for the zwitterion, of its ammonium (its first phi, last psi: carboxylate).
        2 + 3,
        5 + 3 + 1,
        6 + 5,
    ]) {
        let map = fixture.fit(
            CoordinateKind::Internal,
            &CoordinateOptions {
                circular: true,
                ..Default::default()
            },
        );
        let circular: Vec<&Feature> = map
            .features()
            .iter()
            .filter(|f| f.kind == FeatureKind::Circular)
            .collect();
        let names: Vec<&str> = circular
            .iter()
            .map(|f| fixture.topology.atoms[f.atom as usize].name.as_str())
            .collect();
        assert!(circular.iter().all(|feature| feature.axis == 2));
        assert_eq!(circular.len(), turning, "{names:?}");
        let bonds = &fixture.topology.bonds;
        let bonded = |a: usize, b: usize| bonds.contains(&[a.min(b), a.max(b)]);
        for row in map.z_matrix().unwrap().rows() {
            assert!(bonded(row[0], row[1]) && bonded(row[1], row[2]), "{row:?}");
        }
        for (kind, options) in variants() {
            let map = fixture.fit(kind, &options);
            let (z, _) = features_of(&map, &fixture.positions);
            for (k, feature) in map.features().iter().enumerate() {
                if feature.kind == FeatureKind::Real && kind != CoordinateKind::Cartesian {
                    let column = || z.iter().skip(k).step_by(map.n_features());
                    let mean = column().sum::<f64>() / fixture.n() as f64;
                    let variance = column().map(|z| z * z).sum::<f64>() / fixture.n() as f64;
                    // A cut torsion is divided by n, a linear feature by n - 1.
                    let exact = (variance - 1.0).abs() < 1.01 / fixture.n() as f64;
                    assert!(
                        mean.abs() < 1e-8 && (exact || options.whiten),
                        "{kind} {feature:?}"
                    );
                }
            }
        }
    }
}

/// 90 frames of 60 features, and 30 more: whitened by the plain correlation matrix, these have variances of 1 / (1 - 60 / 90).
#[test]
fn features_of_frames_that_were_not_fitted_have_unit_variance() {
    let fixture = aldp();
    let (fitted, others) = fixture.positions.split_at(66 * 90);
    for (kind, options) in variants() {
        if kind == CoordinateKind::Cartesian || options.circular {
            continue;
        }
        let map = Coordinates::fit(kind, &fixture.topology, fitted, &options).unwrap();
        let (z, _) = features_of(&map, others);
        let variance = z.iter().map(|z| z * z).sum::<f64>() / z.len() as f64;
        assert!(
            (0.6..1.6).contains(&variance),
            "{kind} {options:?} {variance}"
        );
    }
}

#[test]
fn backbone_torsions_of_alanine_dipeptide_are_features() {
    let fixture = aldp();
    let map = fixture.fit(
        CoordinateKind::Internal,
        &CoordinateOptions {
            circular: true,
            ..Default::default()
        },
    );
    let rows = map.z_matrix().unwrap().rows();
    let (z, _) = features_of(&map, &fixture.positions);
    for atoms in [[4, 6, 8, 10], [16, 10, 8, 6]] {
        let row = rows.iter().position(|row| *row == atoms).unwrap();
        let [i, j, k, l] = atoms.map(|atom| point(&fixture.positions, atom));
        let (first, second) = (cross(sub(j, i), sub(k, j)), cross(sub(k, j), sub(l, k)));
        let cosine = dot(first, second) / (dot(first, first) * dot(second, second)).sqrt();
        let sign = dot(first, sub(l, k)).signum();
        assert!((z[5 + 3 * row] - sign * cosine.acos()).abs() < 1e-9);
    }
}

//! What is outside the domain, stored, damaged or wrong.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::coordinates::{Arrays, CoordinateSettings};

/// Whatever a flow does, nothing panics, and what is no molecule has no volume.
#[test]
fn features_outside_the_domain_have_no_volume() {
    let fixture = aldp();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (kind, options) in variants() {
        let map = fixture.fit(kind, &options);
        let width = map.n_features();
        for factor in [1e2, 1e4, 1e200, f64::INFINITY, f64::NAN] {
            let z: Vec<f64> = draw(&map, 50, &mut rng)
                .iter()
                .map(|z| z * factor)
                .collect();
            let (x, log_volume) = positions_of(&map, &z);
            for (k, x) in x.chunks_exact(66).enumerate() {
                assert!(!log_volume[k].is_nan() && log_volume[k] < f64::INFINITY);
                let sound = x
                    .iter()
                    .chain(&z[k * width..(k + 1) * width])
                    .all(|value| value.is_finite());
                assert!(sound || log_volume[k] == f64::NEG_INFINITY);
                assert!(
                    !z.iter().all(|z| z.abs() < 1e100) || x.iter().all(|x| x.is_finite()),
                    "{kind} {options:?} {factor}"
                );
            }
        }
    }
    // The first bond (feature 0) at 0.14 nm, and its standard deviation 0.003 nm: 60 of them are too many below.
    let map = fixture.fit(
        CoordinateKind::Internal,
        &CoordinateOptions {
            whiten: false,
            ..Default::default()
        },
    );
    let (z, _) = features_of(&map, &fixture.positions[..66]);
    let volume = |feature: usize, value: f64| {
        let mut z = z.clone();
        z[feature] = value;
        positions_of(&map, &z).1[0]
    };
    assert!(volume(0, -10.0).is_finite() && volume(0, -80.0) == f64::NEG_INFINITY);
    // A torsion that does not turn (the first siblings hang on the second seed) may not leave (-pi, pi) about its mean.
    assert!(volume(5, 3.0).is_finite());
    assert!(volume(5, 200.0) == f64::NEG_INFINITY && volume(5, -200.0) == f64::NEG_INFINITY);
}

fn arrays(map: &Coordinates) -> Arrays {
    let own = |(name, values): (&str, Vec<f64>)| (name.to_owned(), values);
    Arrays(map.arrays().into_iter().map(own).collect())
}

#[test]
fn storage_keeps_every_bit_and_damage_is_refused() {
    let fixture = aldp();
    for (kind, options) in variants() {
        let map = fixture.fit(kind, &options);
        let text = serde_json::to_string(&map.settings()).unwrap();
        let settings = |text: &str| serde_json::from_str::<CoordinateSettings>(text).unwrap();
        let copy = Coordinates::restore(settings(&text), arrays(&map)).unwrap();
        assert_eq!(map, copy);
        assert_eq!(map.fingerprint(), copy.fingerprint());
        let bits = |map: &Coordinates| {
            let (z, v) = features_of(map, &fixture.positions);
            let (x, w) = positions_of(map, &z);
            z.iter()
                .chain(&v)
                .chain(&x)
                .chain(&w)
                .map(|value| value.to_bits())
                .collect::<Vec<_>>()
        };
        assert_eq!(bits(&map), bits(&copy), "{kind} {options:?}");
        for n_atoms in ["0", "2", "21", "23"]
            .iter()
            .filter(|n| kind != CoordinateKind::Cartesian || **n == "0")
        {
            let damaged = text.replacen("\"n_atoms\":22", &format!("\"n_atoms\":{n_atoms}"), 1);
            let error = Coordinates::restore(settings(&damaged), arrays(&map))
                .unwrap_err()
                .to_string();
            assert!(error.contains("damaged"), "{error}");
        }
        let mut more = arrays(&map);
        more.0.insert("other".into(), vec![1.0]);
        let error = Coordinates::restore(settings(&text), more).unwrap_err();
        assert!(error.to_string().contains("no array other"), "{error}");
    }
}

/// In single precision, piece by piece, or all at once: the same map up to rounding.
#[test]
fn a_store_of_frames_fits_the_same_map() {
    let fixture = aldp();
    let mut store = FrameStore::new(22);
    store.extend(&fixture.positions).unwrap();
    for (kind, options) in variants() {
        let whole = fixture.fit(kind, &options);
        let stored = Coordinates::fit_to(kind, &fixture.topology, &store, &options).unwrap();
        let mut centred = vec![0.0; 66 * store.n()];
        for (frame, x) in centred.chunks_exact_mut(66).enumerate() {
            store.copy(frame, x);
        }
        let ((a, _), (b, _)) = (
            features_of(&whole, &centred),
            features_of(&stored, &centred),
        );
        // Rounding to 6e-8 nm, over the smallest standard deviations of 1e-4 nm of whitened features.
        let largest = a
            .iter()
            .zip(&b)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        assert!(largest < 1e-2, "{kind} {options:?}: {largest:e}");
    }
}

#[test]
fn batches_of_any_size_give_the_same_numbers() {
    let fixture = aldp();
    let map = fixture.fit(CoordinateKind::Internal, &CoordinateOptions::default());
    let (z, log_volume) = features_of(&map, &fixture.positions);
    for k in [0, 31, 32, 119] {
        let (single, volume) = features_of(&map, &fixture.positions[66 * k..66 * (k + 1)]);
        assert_eq!(single, z[60 * k..60 * (k + 1)]);
        assert_eq!(volume[0], log_volume[k]);
    }
    assert!(features_of(&map, &[]).0.is_empty());
}

#[test]
fn bad_input_is_named() {
    let fixture = aldp();
    let options = CoordinateOptions::default();
    let fit = |kind, positions: &[f64], options: &CoordinateOptions| {
        Coordinates::fit(kind, &fixture.topology, positions, options)
            .unwrap_err()
            .to_string()
    };
    let internal = CoordinateKind::Internal;
    assert!(
        fit(internal, &fixture.positions[..65], &options)
            .contains("65 numbers are no whole number of configurations")
    );
    let few = fit(internal, &fixture.positions[..66 * 3], &options);
    assert!(few.contains("at least 4 frames, there are 3"), "{few}");
    let mut damaged = fixture.positions.clone();
    damaged[66 * 7 + 5] = f64::NAN;
    assert!(
        fit(CoordinateKind::Cartesian, &damaged, &options)
            .contains("configuration 7 has a position")
    );
    let mut collapsed = fixture.positions.clone();
    collapsed.copy_within(66 * 9 + 18..66 * 9 + 21, 66 * 9 + 24);
    assert!(fit(internal, &collapsed, &options).contains("configuration 9: atoms"));
    let same = CoordinateOptions {
        gauge_atoms: Some([3, 3, 90]),
        ..options.clone()
    };
    assert!(
        fit(CoordinateKind::Gauge, &fixture.positions, &same)
            .contains("[3, 3, 90] are not three different atoms")
    );
    let other = serde_json::from_str("[[0],[1,0],[2,1,0]]").unwrap();
    let other = CoordinateOptions {
        z_matrix: Some(other),
        ..options.clone()
    };
    assert!(
        fit(internal, &fixture.positions, &other).contains("places 3 atoms, the topology has 22")
    );
    assert!(serde_json::from_str::<CoordinateOptions>("{\"whitening\": true}").is_err());
    assert!(
        "zmatrix"
            .parse::<CoordinateKind>()
            .unwrap_err()
            .to_string()
            .contains("cartesian, gauge, internal")
    );
    assert_eq!("gauge".parse(), Ok(CoordinateKind::Gauge));

    let map = fixture.fit(internal, &options);
    let (mut z, mut volume) = (vec![0.0; 120 * 60], vec![0.0; 120]);
    let error = map.to_features(&damaged, &mut z, &mut volume).unwrap_err();
    assert_eq!(error, CoordinatesError::NotFinite { configuration: 7 });
    let error = map
        .to_features(&collapsed, &mut z, &mut volume)
        .unwrap_err();
    assert!(
        matches!(
            error,
            CoordinatesError::Collapsed {
                configuration: 9,
                ..
            }
        ),
        "{error}"
    );
    let error = map
        .to_features(&fixture.positions, &mut z[1..], &mut volume)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("features must hold 120 x 60 = 7200 numbers, it holds 7199"),
        "{error}"
    );
}

#[test]
fn a_users_z_matrix_is_used() {
    let fixture = aldp();
    let built = fixture.fit(CoordinateKind::Internal, &CoordinateOptions::default());
    // Another order (the automatic rows but with absolute references of the last hydrogens to a far atom) is as exact.
    let mut lists: Vec<Vec<usize>> = built.z_matrix().unwrap().clone().into();
    let first = lists[0][0];
    if let Some(last) = lists.last_mut() {
        last[3] = first;
    }
    let z_matrix = ZMatrix::try_from(lists).unwrap();
    let options = CoordinateOptions {
        z_matrix: Some(z_matrix.clone()),
        ..Default::default()
    };
    let map = fixture.fit(CoordinateKind::Internal, &options);
    assert_eq!(map.z_matrix(), Some(&z_matrix));
    let (z, to) = features_of(&map, &fixture.positions);
    let (x, from) = positions_of(&map, &z);
    assert!(difference(&x[..66], &fixture.positions[..66], [6, 8, 10]) < 1e-10);
    assert!(
        to.iter()
            .zip(&from)
            .all(|(to, from)| (to - from).abs() < 1e-9)
    );
}

#[test]
fn handedness_is_kept_and_reported() {
    for (fixture, centres) in fixtures().iter().zip([1, 3, 3]) {
        let chiral = ChiralCentres::find(&fixture.topology);
        assert_eq!(chiral.len(), centres);
        let mirrored: Vec<f64> = fixture.positions.iter().map(|x| -x).collect();
        let n_atoms = fixture.topology.n_atoms();
        let mixed =
            |positions: &[f64]| chiral.mixed(&Configurations { positions, n_atoms }, n_atoms);
        assert_eq!(mixed(&fixture.positions), None);
        assert_eq!(mixed(&mirrored), None);
        let (centre, share) = mixed(&[&fixture.positions[..], &mirrored].concat()).unwrap();
        assert_eq!(
            (fixture.topology.atoms[centre].name.as_str(), share),
            ("CA", 0.5)
        );
        for (kind, options) in variants() {
            let map = fixture.fit(kind, &options);
            for (positions, inverted) in [(&fixture.positions, 0), (&mirrored, centres)] {
                let x = positions_of(&map, &features_of(&map, positions).0).0;
                for x in x.chunks_exact(3 * map.n_atoms()) {
                    assert_eq!(chiral.inverted(x), inverted);
                }
            }
        }
    }
}

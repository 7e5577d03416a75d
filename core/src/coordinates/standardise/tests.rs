use super::*;

use crate::coordinates::Configurations;

/// Fits to an array `[n, width]`, `width` a multiple of 3.
fn fit(
    data: &[f64],
    width: usize,
    columns: &[usize],
    whiten: bool,
) -> Result<Standardise, CoordinatesError> {
    let rows = Rows {
        source: &Configurations {
            positions: data,
            n_atoms: width / 3,
        },
        n_atoms: width / 3,
        width,
        map: |x: &[f64], out: &mut [f64]| {
            out.copy_from_slice(x);
            Ok(())
        },
    };
    Standardise::fit(&rows, columns, whiten, |k| ("bond", k + 5))
}

/// Two correlated columns, one more that is not used.
fn data() -> Vec<f64> {
    let noise = |k: usize| ((k * 7919) % 1009) as f64 / 1009.0 - 0.5;
    (0..4000)
        .flat_map(|k| [100.0 * noise(k), 5.0, noise(k) + 0.3 * noise(k + 17) + 2.0])
        .collect()
}

#[test]
fn whitened_features_are_uncorrelated_and_stay_closest_to_their_own() {
    let data = data();
    let map = fit(&data, 3, &[0, 2], true).unwrap();
    let (mut first, mut second, mut own) = ([0.0; 2], [[0.0; 2]; 2], [0.0; 2]);
    for row in data.chunks_exact(3) {
        let (mut y, mut z, mut back) = ([row[0], row[2]], [0.0; 2], [0.0; 2]);
        map.forward(&mut y, &mut z);
        map.inverse(&z, &mut back);
        assert!((back[0] - row[0]).abs() < 1e-11 && (back[1] - row[2]).abs() < 1e-13);
        for i in 0..2 {
            first[i] += z[i] / 4000.0;
            own[i] += z[i] * y[i] / 3999.0;
            (0..2).for_each(|j| second[i][j] += z[i] * z[j] / 3999.0);
        }
    }
    for i in 0..2 {
        assert!(first[i].abs() < 1e-12);
        // Up to what the variance of one fold about the mean of the others adds: 1 / 4000 in the mean.
        (0..2).for_each(|j| {
            let unit = f64::from(u8::from(i == j));
            assert!((second[i][j] - unit).abs() < 2e-3, "{second:?}");
        });
    }
    // ZCA-cor: the correlation of z with the standardised y is symmetric in the two features.
    assert!((own[0] - own[1]).abs() < 1e-10 && own[0] > 0.7);
    // The determinant of a 2 x 2 matrix by hand.
    let root = &map.whitening.as_ref().unwrap()[0].root.rows;
    let determinant = root[0] * root[3] - root[1] * root[2];
    let expected = (map.scale[0] * map.scale[1] * determinant).ln();
    assert!(
        (map.log_det - expected).abs() < 1e-10,
        "{} {expected}",
        map.log_det
    );
    let rho = 2.0 * own[0] * (1.0 - own[0] * own[0]).sqrt();
    assert!((determinant - (1.0 - rho * rho).sqrt()).abs() < 2e-3);
}

/// Two blocks: each feature is whitened with those of its own block alone.
#[test]
fn many_features_are_whitened_in_blocks() {
    let size = MOST_FEATURES + 2;
    assert_eq!(blocks(size), [0..size / 2, size / 2..size]);
    assert_eq!(blocks(MOST_FEATURES).len(), 1);
    assert!(blocks(0).is_empty());
    let mut state = 1u64;
    let mut uniform = || {
        state = state * 16807 % 2_147_483_647;
        state as f64 / 2_147_483_647.0
    };
    let data: Vec<f64> = (0..6 * size).map(|_| uniform()).collect();
    let all: Vec<usize> = (0..size).collect();
    let whole = fit(&data, size, &all, true).unwrap();
    let halves =
        [&all[..size / 2], &all[size / 2..]].map(|half| fit(&data, size, half, true).unwrap());
    let sum = halves[0].log_det + halves[1].log_det;
    assert!((whole.log_det - sum).abs() < 1e-9 * sum.abs());
    let (mut z, mut back) = (vec![0.0; size], vec![0.0; size]);
    whole.forward(&mut data[..size].to_vec(), &mut z);
    for (half, at) in halves.iter().zip([0, size / 2]) {
        let mut part = vec![0.0; half.len()];
        half.forward(&mut data[at..at + half.len()].to_vec(), &mut part);
        assert_eq!(part, z[at..at + half.len()]);
    }
    whole.inverse(&z, &mut back);
    assert!(back.iter().zip(&data).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[derive(Deserialize)]
struct Shrinkage {
    features: usize,
    mean: Vec<f64>,
    covariance: Vec<f64>,
    exact_score: f64,
    cases: Vec<Case>,
    sample: Vec<f64>,
}

#[derive(Deserialize)]
struct Case {
    n: usize,
    score: f64,
}

/// See tests/data/coordinates/shrinkage.py: half as many frames as features, as many, four times as many.
#[test]
fn few_frames_predict_new_ones_better_than_ledoit_and_wolf() {
    let text = include_str!("../../../../tests/data/coordinates/shrinkage.json");
    let fixture: Shrinkage = serde_json::from_str(text).unwrap();
    let size = fixture.features;
    // Columns 16 and 17 make the width a multiple of 3.
    let padded: Vec<f64> = fixture
        .sample
        .chunks(size)
        .flat_map(|row| row.iter().copied().chain([0.0; 2]))
        .collect();
    let columns: Vec<usize> = (0..size).collect();
    for case in &fixture.cases {
        let map = fit(&padded[..case.n * (size + 2)], size + 2, &columns, true).unwrap();
        // Mean of z^2 over new points: row i of dz/dy on both sides of the true covariance.
        let mut squares = 0.0;
        let at = |y: &[f64]| {
            let (mut y, mut z) = (y.to_vec(), vec![0.0; size]);
            map.forward(&mut y, &mut z);
            z
        };
        let offset = at(&fixture.mean);
        squares += offset.iter().map(|z| z * z).sum::<f64>();
        let zero = at(&vec![0.0; size]);
        let columns: Vec<Vec<f64>> = (0..size)
            .map(|k| {
                let mut y = vec![0.0; size];
                y[k] = 1.0;
                at(&y).iter().zip(&zero).map(|(z, zero)| z - zero).collect()
            })
            .collect();
        for i in 0..size {
            for j in 0..size {
                let product: f64 = columns[i].iter().zip(&columns[j]).map(|(a, b)| a * b).sum();
                squares += product * fixture.covariance[i * size + j];
            }
        }
        let normal = 0.5 * std::f64::consts::TAU.ln();
        let score = normal + (map.log_det + 0.5 * squares) / size as f64;
        assert!(
            fixture.exact_score < score && score < case.score,
            "{}: {score}, exact {}, Ledoit-Wolf {}",
            case.n,
            fixture.exact_score,
            case.score
        );
    }
}

#[test]
fn refuses_constant_columns_and_too_few_frames() {
    let data = data();
    let error = fit(&data, 3, &[0, 1], false).unwrap_err();
    assert_eq!(
        error,
        CoordinatesError::Constant {
            coordinate: "bond",
            atom: 6,
            deviation: 0.0
        }
    );
    let error = fit(&data[..6], 3, &[0, 2], true).unwrap_err();
    let (needed, found) = (4, 2);
    assert_eq!(error, CoordinatesError::TooFewFrames { needed, found });
}

#[test]
fn unresolved_directions_stay_invertible() {
    let data: Vec<f64> = data()
        .chunks_exact(3)
        .flat_map(|row| [row[0], 2.0 * row[0], 0.0])
        .collect();
    let map = fit(&data, 3, &[0, 1], true).unwrap();
    let (mut y, mut z) = ([0.0; 2], [0.0; 2]);
    map.inverse(&[0.3, -1.2], &mut y);
    map.forward(&mut y, &mut z);
    // The condition number of the root is sqrt(2 / 1e-10).
    assert!(
        (z[0] - 0.3).abs() < 1e-9 && (z[1] + 1.2).abs() < 1e-9,
        "{z:?}"
    );
}

#[test]
fn triangles_round_trip_and_damage_is_told() {
    let matrix = Symmetric::from_triangle(3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(matrix.rows, [1.0, 2.0, 3.0, 2.0, 4.0, 5.0, 3.0, 5.0, 6.0]);
    assert_eq!(matrix.triangle(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(Symmetric::from_triangle(0, &[]).size, 0);

    let map = fit(&data(), 3, &[0, 2], true).unwrap();
    type Named = Vec<(&'static str, Vec<f64>)>;
    let restore = |change: &dyn Fn(&mut Named)| {
        let mut arrays = map.arrays();
        change(&mut arrays);
        let arrays = arrays
            .into_iter()
            .map(|(name, values)| (name.to_owned(), values));
        Standardise::restore(&map.settings(), 2, &mut Arrays(arrays.collect()))
    };
    assert_eq!(restore(&|_| {}).unwrap(), map);
    let told = |change: &dyn Fn(&mut Named)| restore(change).unwrap_err();
    assert!(told(&|a| a.truncate(3)).contains("no array inverse_root"));
    assert!(told(&|a| a[0].1.push(0.0)).contains("mean has 3 numbers, expected 2"));
    assert!(told(&|a| a[2].1[0] = f64::NAN).contains("root holds NaN"));
    assert!(told(&|a| a[1].1[0] = 0.0).contains("a scale is 0"));
    assert!(told(&|a| a[2].1[0] *= 1.001).contains("not inverse"));
    // Both matrices of the other sign are inverse to each other, but no roots.
    let negated = |a: &mut Named| {
        a[2..]
            .iter_mut()
            .for_each(|(_, m)| m.iter_mut().for_each(|x| *x = -*x))
    };
    assert!(told(&negated).contains("not that of a correlation matrix"));
    // Densities that are wrong by a constant.
    assert!(told(&|a| a[1].1[0] *= 1.001).contains("log_det is"));
    let mut settings = map.settings();
    settings.log_det = f64::NAN;
    let arrays = map.arrays().into_iter();
    let arrays = arrays
        .map(|(name, values)| (name.to_owned(), values))
        .collect();
    let error = Standardise::restore(&settings, 2, &mut Arrays(arrays)).unwrap_err();
    assert!(error.contains("log_det is NaN"), "{error}");
}

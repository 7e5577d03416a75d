//! Zero mean, unit variance, and no correlation, for linear features.

use std::ops::Range;

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::CoordinatesError;
use super::batch::Fault;
use super::shrinkage::{FEWEST_FRAMES, Moments};
use super::source::Rows;
use super::storage::Arrays;

/// A linear feature that varies less than this (nm or rad) is taken for constrained: thermal motion is 100 times larger,
/// the rounding of trajectories and the tolerance of constraint algorithms 10 times smaller.
const SMALLEST_DEVIATION: f64 = 1e-5;

/// Eigenvalues of the correlation matrix (their mean is 1) below this are raised to it, so that directions which the data do
/// not resolve are not blown up. The map stays exactly invertible and its log-determinant exact: such a direction merely has
/// less than unit variance.
const SMALLEST_EIGENVALUE: f64 = 1e-10;

/// How far `root inverse_root v` of a stored whitening may be from `v`, relatively. The condition number is 1e5 at most.
const INVERSE_TOLERANCE: f64 = 1e-6;

/// How far a stored log-determinant may be from that of scale and root, per feature. Rounding is a thousand times less, an error in
/// every density of the model is what it keeps away.
const LOG_DET_TOLERANCE: f64 = 1e-6;

/// Most features that are whitened with each other. More are divided into blocks of neighbours along the molecule, which are what is
/// correlated most: 1,500 atoms make five blocks, 32 MB of matrices instead of 162 MB, and half a minute of eigendecompositions instead
/// of half an hour.
const MOST_FEATURES: usize = 1024;

/// `y = mean + scale * (root z)`, `z = inverse_root ((y - mean) / scale)`, over `L` features.
///
/// Whitening is ZCA-cor (Kessy, Lewin, Strimmer, Am. Stat. 72, 309, 2018): `root = P^(1/2)` of the correlation matrix `P`,
/// with the eigenvalues of [`Moments::axes`]. Of all whitenings it keeps each `z_i` closest to its own `y_i` whatever their units,
/// so that features keep their meaning. The matrices are block diagonal: see [`blocks`].
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Standardise {
    mean: Vec<f64>,
    scale: Vec<f64>,
    /// Of each of the [`blocks`].
    whitening: Option<Vec<Whitening>>,
    /// `log |det dy/dz|`.
    log_det: f64,
}

#[derive(Clone, PartialEq, Debug)]
struct Whitening {
    root: Symmetric,
    inverse_root: Symmetric,
}

/// What is stored beside the arrays.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    whiten: bool,
    log_det: f64,
}

impl Standardise {
    /// Fits the given `columns` of `rows`. `name` says what a column is, for errors: its coordinate and atom.
    pub(super) fn fit<F>(
        rows: &Rows<'_, F>,
        columns: &[usize],
        whiten: bool,
        name: impl Fn(usize) -> (&'static str, usize),
    ) -> Result<Self, CoordinatesError>
    where
        F: Fn(&[f64], &mut [f64]) -> Result<(), Fault> + Sync,
    {
        let (n, width, features) = (rows.n(), rows.width, columns.len());
        let needed = if whiten { FEWEST_FRAMES } else { 2 };
        if n < needed {
            return Err(CoordinatesError::TooFewFrames { needed, found: n });
        }
        let mut mean = vec![0.0; features];
        rows.pass(|_, rows| {
            for row in rows.chunks_exact(width) {
                let terms = columns.iter().map(|&column| row[column]);
                mean.iter_mut().zip(terms).for_each(|(sum, y)| *sum += y);
            }
        })?;
        mean.iter_mut().for_each(|mean| *mean /= n as f64);
        let mut scale = vec![0.0; features];
        rows.pass(|_, rows| {
            for row in rows.chunks_exact(width) {
                let terms = columns.iter().zip(&mean);
                let terms = terms.map(|(&column, mean)| (row[column] - mean).powi(2));
                scale.iter_mut().zip(terms).for_each(|(sum, y)| *sum += y);
            }
        })?;
        scale
            .iter_mut()
            .for_each(|sum| *sum = (*sum / (n - 1) as f64).sqrt());
        if let Some((&column, &deviation)) = columns
            .iter()
            .zip(&scale)
            .find(|(_, scale)| **scale < SMALLEST_DEVIATION)
        {
            let (coordinate, atom) = name(column);
            return Err(CoordinatesError::Constant {
                coordinate,
                atom,
                deviation,
            });
        }
        let mut log_det = scale.iter().map(|scale| scale.ln()).sum();
        let mut whitening = None;
        if whiten {
            let blocks = blocks(features);
            let mut moments: Vec<Moments> = blocks
                .iter()
                .map(|block| Moments::new(n, block.len()))
                .collect();
            let mut standard = Vec::new();
            rows.pass(|first, rows| {
                for (block, moments) in blocks.iter().zip(&mut moments) {
                    standard.clear();
                    for row in rows.chunks_exact(width) {
                        let terms = block
                            .clone()
                            .map(|k| (row[columns[k]] - mean[k]) / scale[k]);
                        standard.extend(terms);
                    }
                    moments.add(first, &standard);
                }
            })?;
            let mut matrices = Vec::new();
            for moments in moments {
                let axes = moments.axes();
                let variances = axes.variances.iter();
                let variances: Vec<f64> = variances.map(|v| v.max(SMALLEST_EIGENVALUE)).collect();
                log_det += 0.5 * variances.iter().map(|variance| variance.ln()).sum::<f64>();
                let root = variances.iter().map(|variance| variance.sqrt());
                matrices.push(Whitening {
                    root: Symmetric::from_eigen(&axes.vectors, root.clone()),
                    inverse_root: Symmetric::from_eigen(&axes.vectors, root.map(f64::recip)),
                });
            }
            whitening = Some(matrices);
        }
        Ok(Self {
            mean,
            scale,
            whitening,
            log_det,
        })
    }

    /// What is stored beside the arrays.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            whiten: self.whitening.is_some(),
            log_det: self.log_det,
        }
    }

    /// The arrays that are stored: of the symmetric matrices, the upper triangle row by row, block after block.
    pub(super) fn arrays(&self) -> Vec<(&'static str, Vec<f64>)> {
        let mut arrays = vec![("mean", self.mean.clone()), ("scale", self.scale.clone())];
        if let Some(blocks) = &self.whitening {
            let triangles = |of: fn(&Whitening) -> &Symmetric| -> Vec<f64> {
                blocks.iter().flat_map(|w| of(w).triangle()).collect()
            };
            arrays.push(("root", triangles(|w| &w.root)));
            arrays.push(("inverse_root", triangles(|w| &w.inverse_root)));
        }
        arrays
    }

    /// The inverse of [`Standardise::settings`] and [`Standardise::arrays`], of `features` features.
    pub(super) fn restore(
        settings: &Settings,
        features: usize,
        arrays: &mut Arrays,
    ) -> Result<Self, String> {
        let [mean, scale] = [
            arrays.take("mean", features)?,
            arrays.take("scale", features)?,
        ];
        if let Some(scale) = scale.iter().find(|scale| **scale <= 0.0) {
            return Err(format!("a scale is {scale}, expected above 0"));
        }
        let blocks = blocks(features);
        let length = |block: &Range<usize>| block.len() * (block.len() + 1) / 2;
        let mut matrices = |name| -> Result<Vec<Symmetric>, String> {
            let packed = arrays.take(name, blocks.iter().map(length).sum())?;
            let mut rest = packed.as_slice();
            let matrices = blocks.iter().map(|block| {
                let (triangle, others) = rest.split_at(length(block));
                rest = others;
                Symmetric::from_triangle(block.len(), triangle)
            });
            Ok(matrices.collect())
        };
        let whitening = match settings.whiten {
            false => None,
            true => {
                let pairs = matrices("root")?.into_iter().zip(matrices("inverse_root")?);
                let whitening = |(root, inverse_root)| Whitening { root, inverse_root };
                Some(pairs.map(whitening).collect::<Vec<_>>())
            }
        };
        if !whitening.iter().flatten().all(Whitening::is_consistent) {
            return Err("root and inverse_root are not inverse to each other".to_owned());
        }
        let mut log_det: f64 = scale.iter().map(|scale| scale.ln()).sum();
        for block in whitening.iter().flatten() {
            let of_root = block.root.log_det();
            log_det += of_root.ok_or("the root is not that of a correlation matrix")?;
        }
        if !((log_det - settings.log_det).abs() <= LOG_DET_TOLERANCE * (1.0 + features as f64)) {
            let stored = settings.log_det;
            return Err(format!(
                "log_det is {stored}, but scale and root make {log_det}"
            ));
        }
        Ok(Self {
            mean,
            scale,
            whitening,
            log_det: settings.log_det,
        })
    }

    /// Number of features `L`.
    pub(super) fn len(&self) -> usize {
        self.mean.len()
    }

    /// `log |det dy/dz|`.
    pub(super) fn log_det(&self) -> f64 {
        self.log_det
    }

    /// `z` from `y`, which is used as scratch.
    pub(super) fn forward(&self, y: &mut [f64], z: &mut [f64]) {
        for ((y, mean), scale) in y.iter_mut().zip(&self.mean).zip(&self.scale) {
            *y = (*y - mean) / scale;
        }
        match &self.whitening {
            Some(blocks) => times(blocks.iter().map(|w| &w.inverse_root), y, z),
            None => z.copy_from_slice(y),
        }
    }

    /// `y` from `z`.
    pub(super) fn inverse(&self, z: &[f64], y: &mut [f64]) {
        match &self.whitening {
            Some(blocks) => times(blocks.iter().map(|w| &w.root), z, y),
            None => y.copy_from_slice(z),
        }
        for ((y, mean), scale) in y.iter_mut().zip(&self.mean).zip(&self.scale) {
            *y = mean + scale * *y;
        }
    }

    /// The reverse pass of [`Standardise::forward`]: `d_y = (dz/dy)^T d_z`.
    pub(super) fn pull_forward(&self, d_z: &[f64], d_y: &mut [f64]) {
        match &self.whitening {
            // Its own transpose.
            Some(blocks) => times(blocks.iter().map(|w| &w.inverse_root), d_z, d_y),
            None => d_y.copy_from_slice(d_z),
        }
        d_y.iter_mut()
            .zip(&self.scale)
            .for_each(|(d_y, scale)| *d_y /= scale);
    }

    /// The reverse pass of [`Standardise::inverse`]: `d_z = (dy/dz)^T d_y`; `d_y` is used as scratch.
    pub(super) fn pull_back(&self, d_y: &mut [f64], d_z: &mut [f64]) {
        d_y.iter_mut()
            .zip(&self.scale)
            .for_each(|(d_y, scale)| *d_y *= scale);
        match &self.whitening {
            // Its own transpose.
            Some(blocks) => times(blocks.iter().map(|w| &w.root), d_y, d_z),
            None => d_z.copy_from_slice(d_y),
        }
    }
}

/// Contiguous ranges of `features` features, of about equal lengths up to [`MOST_FEATURES`].
fn blocks(features: usize) -> Vec<Range<usize>> {
    let count = features.div_ceil(MOST_FEATURES);
    let start = |block: usize| block * features / count;
    (0..count)
        .map(|block| start(block)..start(block + 1))
        .collect()
}

/// `out = diag(matrices) v`.
fn times<'a>(matrices: impl Iterator<Item = &'a Symmetric>, mut v: &[f64], mut out: &mut [f64]) {
    for matrix in matrices {
        let (head, rest) = v.split_at(matrix.size);
        let (head_out, rest_out) = out.split_at_mut(matrix.size);
        matrix.times(head, head_out);
        (v, out) = (rest, rest_out);
    }
}

impl Whitening {
    /// Whether the two matrices undo each other, by one vector that none of their columns is orthogonal to.
    fn is_consistent(&self) -> bool {
        let v: Vec<f64> = (0..self.root.size).map(|k| 1.0 + (k % 7) as f64).collect();
        let (mut between, mut back) = (vec![0.0; v.len()], vec![0.0; v.len()]);
        self.inverse_root.times(&v, &mut between);
        self.root.times(&between, &mut back);
        let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
        let difference = norm(&mut v.iter().zip(&back).map(|(v, back)| v - back));
        difference <= INVERSE_TOLERANCE * norm(&mut v.iter().copied())
    }
}

/// A symmetric matrix.
#[derive(Clone, PartialEq, Debug)]
struct Symmetric {
    size: usize,
    rows: Vec<f64>,
}

impl Symmetric {
    /// `V diag(values) V^T`.
    fn from_eigen(vectors: &DMatrix<f64>, values: impl Iterator<Item = f64>) -> Self {
        let mut scaled = vectors.clone();
        scaled
            .column_iter_mut()
            .zip(values)
            .for_each(|(mut column, value)| column *= value);
        let product = scaled * vectors.transpose();
        let size = product.nrows();
        // The upper triangle for both, as the product is symmetric only up to rounding.
        let rows =
            (0..size * size).map(|k| product[((k / size).min(k % size), (k / size).max(k % size))]);
        Self {
            size,
            rows: rows.collect(),
        }
    }

    /// Logarithm of the determinant; `None` if the matrix is not positive definite.
    fn log_det(&self) -> Option<f64> {
        let matrix = DMatrix::from_row_slice(self.size, self.size, &self.rows);
        let factor = matrix.cholesky()?.unpack_dirty();
        Some(2.0 * factor.diagonal().iter().map(|x| x.ln()).sum::<f64>())
    }

    /// `out = self v`. Runs along rows (which are columns), so that it vectorises without reordering sums.
    fn times(&self, v: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (row, v) in self.rows.chunks_exact(self.size.max(1)).zip(v) {
            out.iter_mut()
                .zip(row)
                .for_each(|(out, element)| *out += element * v);
        }
    }

    /// The upper triangle, row by row.
    fn triangle(&self) -> Vec<f64> {
        let rows = self.rows.chunks_exact(self.size.max(1)).enumerate();
        rows.flat_map(|(i, row)| row[i..].iter().copied()).collect()
    }

    /// The inverse of [`Symmetric::triangle`]; there are `size (size + 1) / 2` numbers.
    fn from_triangle(size: usize, packed: &[f64]) -> Self {
        let start = |i: usize| i * size - i * i.saturating_sub(1) / 2;
        let element = |k: usize| {
            let (i, j) = ((k / size).min(k % size), (k / size).max(k % size));
            packed[start(i) + j - i]
        };
        Self {
            size,
            rows: (0..size * size).map(element).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
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
        let text = include_str!("../../../tests/data/coordinates/shrinkage.json");
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
}

//! Zero mean, unit variance, and no correlation, for linear features.

use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::CoordinatesError;

/// A linear feature that varies less than this (nm or rad) is taken for constrained: thermal motion is 100 times larger,
/// the rounding of trajectories and the tolerance of constraint algorithms 10 times smaller.
const SMALLEST_DEVIATION: f64 = 1e-5;

/// Eigenvalues of the correlation matrix (their mean is 1) below this are raised to it, so that directions which the data do
/// not resolve are not blown up. The map stays exactly invertible and its log-determinant exact: such a direction merely has
/// less than unit variance.
const SMALLEST_EIGENVALUE: f64 = 1e-10;

/// Frames summed by one task. Fixed, so that sums do not depend on the number of threads.
const BLOCK: usize = 2048;

/// `y = mean + scale * (root z)`, `z = inverse_root ((y - mean) / scale)`, over `L` features.
///
/// Whitening is ZCA-cor (Kessy, Lewin, Strimmer, Am. Stat. 72, 309, 2018): `root = P^(1/2)` of the correlation matrix `P`.
/// Of all whitenings it keeps each `z_i` closest to its own `y_i` whatever their units, so that features keep their meaning.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Standardise {
    mean: Vec<f64>,
    scale: Vec<f64>,
    whitening: Option<Whitening>,
    /// `log |det dy/dz|`.
    log_det: f64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whitening {
    root: Symmetric,
    inverse_root: Symmetric,
}

impl Standardise {
    /// Fits the given `columns` of `data` (`[n, width]`). `name` says what a column is, for errors: its coordinate and atom.
    pub(super) fn fit(
        data: &[f64],
        width: usize,
        columns: &[usize],
        whiten: bool,
        name: impl Fn(usize) -> (&'static str, usize),
    ) -> Result<Self, CoordinatesError> {
        let (n, features) = (data.len() / width, columns.len());
        let needed = if whiten { features + 1 } else { 2 };
        if n < needed {
            return Err(CoordinatesError::TooFewFrames {
                features,
                needed,
                found: n,
                whiten,
            });
        }
        let mut mean = block_sums(data, width, features, |row, sum| {
            sum.iter_mut()
                .zip(columns)
                .for_each(|(sum, &column)| *sum += row[column]);
        });
        mean.iter_mut().for_each(|mean| *mean /= n as f64);
        let variance = block_sums(data, width, features, |row, sum| {
            let terms = columns
                .iter()
                .zip(&mean)
                .map(|(&column, mean)| (row[column] - mean).powi(2));
            sum.iter_mut()
                .zip(terms)
                .for_each(|(sum, term)| *sum += term);
        });
        let scale: Vec<f64> = variance
            .iter()
            .map(|sum| (sum / (n - 1) as f64).sqrt())
            .collect();
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
            let correlation = correlation(data, width, columns, &mean, &scale);
            let eigen = SymmetricEigen::new(correlation);
            let values: Vec<f64> = eigen
                .eigenvalues
                .iter()
                .map(|value| value.max(SMALLEST_EIGENVALUE))
                .collect();
            log_det += 0.5 * values.iter().map(|value| value.ln()).sum::<f64>();
            whitening = Some(Whitening {
                root: Symmetric::from_eigen(
                    &eigen.eigenvectors,
                    values.iter().map(|value| value.sqrt()),
                ),
                inverse_root: Symmetric::from_eigen(
                    &eigen.eigenvectors,
                    values.iter().map(|value| value.sqrt().recip()),
                ),
            });
        }
        Ok(Self {
            mean,
            scale,
            whitening,
            log_det,
        })
    }

    pub(super) fn validate(&self, features: usize) -> Result<(), &'static str> {
        let sizes = self
            .whitening
            .as_ref()
            .map_or([features; 2], |w| [w.root.size, w.inverse_root.size]);
        if self.mean.len() != features || self.scale.len() != features || sizes != [features; 2] {
            return Err("the standardisation has another number of features");
        }
        if self.scale.iter().any(|scale| *scale <= 0.0) {
            return Err("a scale is not positive");
        }
        Ok(())
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
            Some(whitening) => whitening.inverse_root.times(y, z),
            None => z.copy_from_slice(y),
        }
    }

    /// `y` from `z`.
    pub(super) fn inverse(&self, z: &[f64], y: &mut [f64]) {
        match &self.whitening {
            Some(whitening) => whitening.root.times(z, y),
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
            Some(whitening) => whitening.inverse_root.times(d_z, d_y),
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
            Some(whitening) => whitening.root.times(d_y, d_z),
            None => d_z.copy_from_slice(d_y),
        }
    }
}

/// Sums over frames, threaded in blocks, added up in order.
fn block_sums(
    data: &[f64],
    width: usize,
    len: usize,
    add: impl Fn(&[f64], &mut [f64]) + Sync,
) -> Vec<f64> {
    let blocks: Vec<Vec<f64>> = data
        .par_chunks(BLOCK * width)
        .map(|block| {
            let mut sum = vec![0.0; len];
            block.chunks_exact(width).for_each(|row| add(row, &mut sum));
            sum
        })
        .collect();
    blocks.iter().fold(vec![0.0; len], |mut total, block| {
        total
            .iter_mut()
            .zip(block)
            .for_each(|(total, sum)| *total += sum);
        total
    })
}

fn correlation(
    data: &[f64],
    width: usize,
    columns: &[usize],
    mean: &[f64],
    scale: &[f64],
) -> DMatrix<f64> {
    let features = columns.len();
    let blocks: Vec<DMatrix<f64>> = data
        .par_chunks(BLOCK * width)
        .map(|block| {
            let standard = DMatrix::from_fn(features, block.len() / width, |feature, frame| {
                (block[frame * width + columns[feature]] - mean[feature]) / scale[feature]
            });
            &standard * standard.transpose()
        })
        .collect();
    let zero = DMatrix::zeros(features, features);
    let sum = blocks.into_iter().fold(zero, |sum, block| sum + block);
    sum / (data.len() / width - 1) as f64
}

/// A symmetric matrix; stored as its upper triangle, row by row.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
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

    /// `out = self v`. Runs along rows (which are columns), so that it vectorises without reordering sums.
    fn times(&self, v: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (row, v) in self.rows.chunks_exact(self.size.max(1)).zip(v) {
            out.iter_mut()
                .zip(row)
                .for_each(|(out, element)| *out += element * v);
        }
    }
}

impl From<Symmetric> for Vec<f64> {
    fn from(matrix: Symmetric) -> Self {
        let rows = matrix.rows.chunks_exact(matrix.size.max(1)).enumerate();
        rows.flat_map(|(i, row)| row[i..].iter().copied()).collect()
    }
}

impl TryFrom<Vec<f64>> for Symmetric {
    type Error = &'static str;

    fn try_from(packed: Vec<f64>) -> Result<Self, &'static str> {
        let size = ((0.25 + 2.0 * packed.len() as f64).sqrt() - 0.5).round() as usize;
        if size * (size + 1) / 2 != packed.len() {
            return Err("no upper triangle of a symmetric matrix has this length");
        }
        let start = |i: usize| i * size - i * i.saturating_sub(1) / 2;
        let element = |k: usize| {
            let (i, j) = ((k / size).min(k % size), (k / size).max(k % size));
            packed[start(i) + j - i]
        };
        Ok(Self {
            size,
            rows: (0..size * size).map(element).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let map = Standardise::fit(&data, 3, &[0, 2], true, |k| ("x", k)).unwrap();
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
            (0..2)
                .for_each(|j| assert!((second[i][j] - f64::from(u8::from(i == j))).abs() < 1e-10));
        }
        // ZCA-cor: the correlation of z with the standardised y is symmetric in the two features.
        assert!((own[0] - own[1]).abs() < 1e-10 && own[0] > 0.7);
        // log det of a 2 x 2 matrix by hand: scale_0 scale_1 sqrt(1 - rho^2).
        let rho = 2.0 * own[0] * (1.0 - own[0] * own[0]).sqrt();
        let expected = (map.scale[0] * map.scale[1] * (1.0 - rho * rho).sqrt()).ln();
        assert!(
            (map.log_det - expected).abs() < 1e-10,
            "{} {expected}",
            map.log_det
        );
    }

    #[test]
    fn refuses_constant_columns_and_too_few_frames() {
        let data = data();
        let error = Standardise::fit(&data, 3, &[0, 1], false, |k| ("bond", k + 5)).unwrap_err();
        assert_eq!(
            error,
            CoordinatesError::Constant {
                coordinate: "bond",
                atom: 6,
                deviation: 0.0
            }
        );
        let error = Standardise::fit(&data[..6], 3, &[0, 2], true, |k| ("x", k)).unwrap_err();
        assert_eq!(
            error,
            CoordinatesError::TooFewFrames {
                features: 2,
                needed: 3,
                found: 2,
                whiten: true
            }
        );
    }

    #[test]
    fn unresolved_directions_stay_invertible() {
        let data: Vec<f64> = data()
            .chunks_exact(3)
            .flat_map(|row| [row[0], 2.0 * row[0]])
            .collect();
        let map = Standardise::fit(&data, 2, &[0, 1], true, |k| ("x", k)).unwrap();
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
    fn packed_triangles_round_trip_and_wrong_lengths_are_refused() {
        let matrix = Symmetric::try_from(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(matrix.rows, [1.0, 2.0, 3.0, 2.0, 4.0, 5.0, 3.0, 5.0, 6.0]);
        assert_eq!(Vec::from(matrix), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert!(Symmetric::try_from(vec![1.0, 2.0]).is_err());
        assert_eq!(Symmetric::try_from(Vec::new()).unwrap().size, 0);
    }
}

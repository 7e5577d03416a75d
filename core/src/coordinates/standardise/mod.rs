//! Zero mean, unit variance, and no correlation, for linear features.

mod matrix;
#[cfg(test)]
mod tests;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::CoordinatesError;
use super::batch::Fault;
use super::shrinkage::{FEWEST_FRAMES, Moments};
use super::source::Rows;
use super::storage::Arrays;
use matrix::{Symmetric, Whitening, times};

/// A linear feature that varies less than this (nm or rad) is taken for constrained: thermal motion is 100 times larger,
/// the rounding of trajectories and the tolerance of constraint algorithms 10 times smaller.
const SMALLEST_DEVIATION: f64 = 1e-5;

/// Eigenvalues of the correlation matrix (their mean is 1) below this are raised to it, so that directions which the data do
/// not resolve are not blown up. The map stays exactly invertible and its log-determinant exact: such a direction merely has
/// less than unit variance.
const SMALLEST_EIGENVALUE: f64 = 1e-10;

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
        let stored = settings.log_det;
        let off = (log_det - stored).abs();
        if off.is_nan() || off > LOG_DET_TOLERANCE * (1.0 + features as f64) {
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

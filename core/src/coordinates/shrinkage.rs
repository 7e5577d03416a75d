//! Variances along the principal axes of few frames, estimated from frames that did not choose the axes.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rayon::prelude::*;

/// Most folds; each takes a matrix and an eigendecomposition of its own.
const FOLDS: usize = 5;
/// Fewest frames in a fold.
const SMALLEST_FOLD: usize = 2;
/// Columns of a matrix of products that one task adds up. Fixed, so that sums do not depend on the number of threads.
const PANEL: usize = 64;

/// Frames from which shrunk variances can be told.
pub(super) const FEWEST_FRAMES: usize = 2 * SMALLEST_FOLD;

/// Sums over a contiguous part of the frames.
struct Fold {
    n: usize,
    /// `[L]`
    sum: DVector<f64>,
    /// Of `z z^T`, `[L, L]`.
    products: DMatrix<f64>,
}

/// Second moments of standardised features, in folds that are contiguous in time.
pub(super) struct Moments {
    n: usize,
    folds: Vec<Fold>,
}

/// Principal axes, and the variance along each.
pub(super) struct Axes {
    /// Columns.
    pub vectors: DMatrix<f64>,
    /// Ascending.
    pub variances: Vec<f64>,
}

impl Moments {
    /// No frames yet, of `n` that will come, with `features` features.
    pub fn new(n: usize, features: usize) -> Self {
        let folds = FOLDS.min(n / SMALLEST_FOLD).max(1);
        let empty = |_| Fold {
            n: 0,
            sum: DVector::zeros(features),
            products: DMatrix::zeros(features, features),
        };
        Self {
            n,
            folds: (0..folds).map(empty).collect(),
        }
    }

    /// Adds the frames from `first` on: `z` is `[k, L]`.
    pub fn add(&mut self, first: usize, z: &[f64]) {
        let features = self.folds[0].sum.len();
        let (n, count) = (self.n as u128, self.folds.len() as u128);
        let end = |fold: usize| ((fold as u128 + 1) * n / count) as usize;
        let (mut at, last) = (first, first + z.len() / features);
        for (index, fold) in self.folds.iter_mut().enumerate() {
            let until = end(index).min(last);
            if until > at {
                fold.add(&z[(at - first) * features..(until - first) * features]);
                at = until;
            }
        }
    }

    /// Eigenvectors of the covariance of all frames. The variance along each is that of frames which were held out when an axis of
    /// the same rank was chosen, made monotonous: the sample's own eigenvalues are too far apart (held-out variances come out as
    /// `1 / (1 - L / n)` of them, and without bound where `n <= L`).
    ///
    /// Cross-validated eigenvalues: Bartz, arXiv 1611.00798; Lam, Ann. Stat. 44, 928 (2016). Folds are contiguous, so that
    /// frames correlated in time do not vouch for each other. Of the alternatives, the linear shrinkage of Ledoit and Wolf
    /// (J. Multivar. Anal. 88, 365, 2004) moves all eigenvalues towards their mean by one amount, which is far above the small
    /// ones of a molecule: whitened, its stiff directions keep a hundredth of unit variance.
    pub fn axes(&self) -> Axes {
        let (vectors, own) = eigen(self.covariance(None));
        if self.folds.len() < 2 {
            return Axes {
                vectors,
                variances: own,
            };
        }
        let held_out: Vec<Vec<f64>> = (0..self.folds.len())
            .into_par_iter()
            .map(|fold| self.held_out(fold))
            .collect();
        let mut variances = vec![0.0; own.len()];
        for part in held_out {
            for (variance, part) in variances.iter_mut().zip(part) {
                *variance += part / self.n as f64;
            }
        }
        Axes {
            vectors,
            variances: monotonous(&variances),
        }
    }

    /// Sums of squares of a fold along the axes of the others, about their mean.
    fn held_out(&self, fold: usize) -> Vec<f64> {
        let (vectors, _) = eigen(self.covariance(Some(fold)));
        let mean = self.mean(Some(fold));
        let Fold { n, sum, products } = &self.folds[fold];
        let along = products * &vectors;
        let axis = |(i, vector): (usize, nalgebra::DVectorView<f64>)| {
            let (of_mean, of_sum) = (vector.dot(&mean), vector.dot(sum));
            vector.dot(&along.column(i)) - 2.0 * of_mean * of_sum + *n as f64 * of_mean * of_mean
        };
        vectors.column_iter().enumerate().map(axis).collect()
    }

    fn others(&self, without: Option<usize>) -> impl Iterator<Item = &Fold> {
        let folds = self.folds.iter().enumerate();
        folds
            .filter(move |(index, _)| Some(*index) != without)
            .map(|(_, fold)| fold)
    }

    fn mean(&self, without: Option<usize>) -> DVector<f64> {
        let n: usize = self.others(without).map(|fold| fold.n).sum();
        self.others(without)
            .map(|fold| &fold.sum)
            .sum::<DVector<f64>>()
            / n as f64
    }

    fn covariance(&self, without: Option<usize>) -> DMatrix<f64> {
        let n: usize = self.others(without).map(|fold| fold.n).sum();
        let mean = self.mean(without);
        let mut matrix = DMatrix::zeros(mean.len(), mean.len());
        for fold in self.others(without) {
            matrix += &fold.products;
        }
        matrix.ger(-(n as f64), &mean, &mean, 1.0);
        matrix / (n.max(2) - 1) as f64
    }
}

impl Fold {
    fn add(&mut self, z: &[f64]) {
        let features = self.sum.len();
        self.n += z.len() / features;
        // One frame in each column.
        let frames = DMatrix::from_column_slice(features, z.len() / features, z);
        self.sum += frames.column_sum();
        let rows = frames.transpose();
        self.products
            .as_mut_slice()
            .par_chunks_mut(features * PANEL)
            .enumerate()
            .for_each(|(panel, sums)| {
                let columns = sums.len() / features;
                let mut sums = nalgebra::DMatrixViewMut::from_slice(sums, features, columns);
                sums.gemm(1.0, &frames, &rows.columns(panel * PANEL, columns), 1.0);
            });
    }
}

/// Eigenvectors in columns and eigenvalues, ascending.
fn eigen(matrix: DMatrix<f64>) -> (DMatrix<f64>, Vec<f64>) {
    let eigen = SymmetricEigen::new(matrix);
    let values = &eigen.eigenvalues;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let columns: Vec<_> = order
        .iter()
        .map(|&i| eigen.eigenvectors.column(i))
        .collect();
    let sorted = order.iter().map(|&i| values[i]).collect();
    let vectors = match columns.is_empty() {
        true => DMatrix::zeros(0, 0),
        false => DMatrix::from_columns(&columns),
    };
    (vectors, sorted)
}

/// The closest ascending sequence by least squares: pools of neighbours that violate the order (Ayer et al., Ann. Math. Stat. 26,
/// 641, 1955).
fn monotonous(values: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for &value in values {
        pools.push((value, 1));
        while let [.., (below, m), (above, n)] = pools[..]
            && below > above
        {
            pools.truncate(pools.len() - 2);
            let mean = (below * m as f64 + above * n as f64) / (m + n) as f64;
            pools.push((mean, m + n));
        }
    }
    let repeat = |(value, n)| std::iter::repeat_n(value, n);
    pools.into_iter().flat_map(repeat).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    fn axes(z: &[f64], features: usize) -> Axes {
        let n = z.len() / features;
        let mut moments = Moments::new(n, features);
        // In pieces that do not end where folds end.
        for (piece, z) in z.chunks(7 * features).enumerate() {
            moments.add(7 * piece, z);
        }
        moments.axes()
    }

    fn normal(n: usize, deviations: &[f64], seed: u64) -> Vec<f64> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut draw = |s: &f64| s * rng.sample::<f64, _>(rand_distr::StandardNormal);
        (0..n)
            .flat_map(|_| deviations.iter().map(&mut draw).collect::<Vec<_>>())
            .collect()
    }

    #[test]
    fn isotropic_frames_have_equal_variances() {
        // Marchenko and Pastur: the sample's own eigenvalues range from (1 - sqrt(1/2))^2 = 0.09 to 2.9.
        let (features, n) = (40, 80);
        let found = axes(&normal(n, &vec![1.0; features], 1), features);
        // 3200 squares: their mean is known to sqrt(2 / 3200), each pool's less well.
        let mean = found.variances.iter().sum::<f64>() / features as f64;
        assert!(
            (mean - 1.0).abs() < 4.0 * (2.0f64 / 3200.0).sqrt() + 1.0 / 64.0,
            "{mean}"
        );
        assert!(
            found.variances.iter().all(|v| (0.75..1.35).contains(v)),
            "{:?}",
            found.variances
        );
        let identity = found.vectors.transpose() * &found.vectors;
        assert!((identity - DMatrix::identity(features, features)).amax() < 1e-12);
    }

    #[test]
    fn variances_hold_for_frames_that_were_not_seen() {
        // A spectrum over four decades; fewer frames than features, as many, and more.
        let deviations: Vec<f64> = (0..50)
            .map(|k| 10f64.powf(-2.0 + 0.04 * f64::from(k)))
            .collect();
        for (n, lowest, highest) in [
            (25, 0.3, 3.0),
            (50, 0.5, 2.0),
            (100, 0.7, 1.5),
            (1000, 0.85, 1.15),
        ] {
            let found = axes(&normal(n, &deviations, 3), 50);
            // Of the true covariance along each axis, over the variance told: the mean of what new frames show.
            let ratio = |(i, variance): (usize, &f64)| {
                let vector = found.vectors.column(i);
                let true_one: f64 = vector
                    .iter()
                    .zip(&deviations)
                    .map(|(v, s)| (v * s).powi(2))
                    .sum();
                true_one / variance
            };
            let mean = found.variances.iter().enumerate().map(ratio).sum::<f64>() / 50.0;
            assert!((lowest..highest).contains(&mean), "{n}: {mean}");
        }
    }

    #[test]
    fn pools_are_means_and_ascend() {
        assert_eq!(monotonous(&[1.0, 3.0, 2.0, 4.0]), [1.0, 2.5, 2.5, 4.0]);
        assert_eq!(monotonous(&[4.0, 3.0, 2.0]), [3.0; 3]);
        assert!(monotonous(&[]).is_empty());
    }

    #[test]
    fn sums_are_those_of_the_definition() {
        let z = normal(23, &[1.0, 2.0, 0.5], 5);
        let mut moments = Moments::new(23, 3);
        moments.add(0, &z[..30]);
        moments.add(10, &z[30..]);
        let covariance = moments.covariance(None);
        let mean: Vec<f64> = (0..3)
            .map(|k| z.iter().skip(k).step_by(3).sum::<f64>() / 23.0)
            .collect();
        for i in 0..3 {
            for j in 0..3 {
                let sum: f64 = z
                    .chunks(3)
                    .map(|z| (z[i] - mean[i]) * (z[j] - mean[j]))
                    .sum();
                assert!((covariance[(i, j)] - sum / 22.0).abs() < 1e-12);
            }
        }
        let sizes: Vec<usize> = moments.folds.iter().map(|fold| fold.n).collect();
        assert_eq!(sizes, [4, 5, 4, 5, 5]);
        // Held out by hand.
        let (vectors, _) = eigen(moments.covariance(Some(0)));
        let mean = moments.mean(Some(0));
        let expected: f64 = z[..12]
            .chunks(3)
            .map(|z| {
                (0..3)
                    .map(|k| (z[k] - mean[k]) * vectors[(k, 1)])
                    .sum::<f64>()
                    .powi(2)
            })
            .sum();
        assert!((moments.held_out(0)[1] - expected).abs() < 1e-12);
    }
}

use std::ops::Range;

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rayon::prelude::*;

use super::MetricError;

/// Directions of the features whose variance is below this part of the largest one are left out (as `epsilon` in deeptime and PyEMMA).
const SMALLEST_VARIANCE: f64 = 1e-6;
/// Frames per task.
const CHUNK: usize = 4096;

/// Time-lagged independent components of a trajectory: the linear combinations of features that decorrelate most slowly
/// (Perez-Hernandez et al., J. Chem. Phys. 139 (2013) 015102).
///
/// With features `x(t)`, pairs `(x(t), x(t + lag))` and mean and covariances symmetrised over both ends of the pairs (detailed balance),
/// the components solve `C(lag) v = lambda C(0) v`. Each has variance 1 over the pairs, and its largest coefficient is positive.
#[derive(Clone, Debug, PartialEq)]
pub struct Tica {
    /// `[F]`
    mean: Vec<f64>,
    /// `[k, F]`
    components: Vec<f64>,
    /// `[k]`, descending.
    correlations: Vec<f64>,
    n_pairs: usize,
}

impl Tica {
    /// The first `k` components of `features` (`[n, width]`). A pair of frames `lag` apart counts where both lie in one of
    /// `segments`, the ranges of frames that are continuous in time.
    ///
    /// # Errors
    /// No segment is longer than `lag`, fewer than `k` directions vary, or a feature is not finite.
    pub fn fit(
        features: &[f64],
        width: usize,
        segments: &[Range<usize>],
        lag: usize,
        k: usize,
    ) -> Result<Self, MetricError> {
        if let Some(at) = features.iter().position(|x| !x.is_finite()) {
            return Err(MetricError::NotFinite {
                index: at / width,
                value: features[at],
            });
        }
        let starts: Vec<usize> = segments
            .iter()
            .flat_map(|segment| segment.start..segment.end.saturating_sub(lag).max(segment.start))
            .collect();
        if starts.is_empty() || lag == 0 {
            return Err(MetricError::NoLaggedPairs {
                lag,
                longest: segments.iter().map(Range::len).max().unwrap_or(0),
            });
        }
        let row = |t: usize| DVector::from_column_slice(&features[t * width..][..width]);
        let ends = 2.0 * starts.len() as f64;
        let sum = |of: &(dyn Fn(&[usize]) -> DMatrix<f64> + Sync)| -> DMatrix<f64> {
            // Chunks are added in their order: the same result for any number of threads.
            let parts: Vec<DMatrix<f64>> = starts.par_chunks(CHUNK).map(of).collect();
            parts.into_iter().sum()
        };
        let mean = sum(&|starts| {
            let ends = starts.iter().map(|&t| row(t) + row(t + lag));
            DMatrix::from_column_slice(width, 1, ends.sum::<DVector<f64>>().as_slice())
        }) / ends;
        let mean = mean.column(0).into_owned();
        // Columns of centred features, for matrix products.
        let centred = |starts: &[usize], shift: usize| {
            let columns: Vec<_> = starts.iter().map(|&t| row(t + shift) - &mean).collect();
            DMatrix::from_columns(&columns)
        };
        let instantaneous = sum(&|starts| {
            let (x, y) = (centred(starts, 0), centred(starts, lag));
            &x * x.transpose() + &y * y.transpose()
        }) / ends;
        let lagged = sum(&|starts| {
            let product = centred(starts, 0) * centred(starts, lag).transpose();
            &product + product.transpose()
        }) / ends;
        let (components, correlations) = solve(instantaneous, &lagged, k)?;
        Ok(Self {
            mean: mean.as_slice().to_vec(),
            components,
            correlations,
            n_pairs: starts.len(),
        })
    }

    /// Number of pairs of frames; correlations below a few times `1 / sqrt(n_pairs)` are noise.
    pub fn n_pairs(&self) -> usize {
        self.n_pairs
    }

    /// Correlations of the components over the lag, descending: 1 for one that does not move, near 0 for one that is forgotten.
    pub fn correlations(&self) -> &[f64] {
        &self.correlations
    }

    /// Components of other features of the same kind: `[n, width]` to `[n, k]`.
    ///
    /// # Panics
    /// If `features` is no whole number of rows.
    pub fn project(&self, features: &[f64]) -> Vec<f64> {
        let width = self.mean.len();
        assert!(features.len().is_multiple_of(width), "whole rows");
        let k = self.correlations.len().max(1);
        let mut projections = vec![0.0; features.len() / width * self.correlations.len()];
        projections
            .par_chunks_exact_mut(k)
            .zip(features.par_chunks_exact(width))
            .for_each(|(projected, row)| {
                let components = self.components.chunks_exact(width);
                for (projected, component) in projected.iter_mut().zip(components) {
                    let terms = row.iter().zip(&self.mean).zip(component);
                    *projected = terms.map(|((x, mean), c)| (x - mean) * c).sum();
                }
            });
        projections
    }
}

/// Solves the generalised eigenproblem by whitening; `[k, F]` components of unit variance and their eigenvalues.
fn solve(
    instantaneous: DMatrix<f64>,
    lagged: &DMatrix<f64>,
    k: usize,
) -> Result<(Vec<f64>, Vec<f64>), MetricError> {
    let variances = SymmetricEigen::new(instantaneous);
    let largest = variances.eigenvalues.max();
    let kept: Vec<DVector<f64>> = variances
        .eigenvalues
        .iter()
        .zip(variances.eigenvectors.column_iter())
        .filter(|(value, _)| **value > SMALLEST_VARIANCE * largest && **value > 0.0)
        .map(|(value, vector)| vector / value.sqrt())
        .collect();
    if kept.len() < k {
        return Err(MetricError::NoVariance {
            needed: k,
            found: kept.len(),
        });
    }
    let whitening = DMatrix::from_columns(&kept);
    let slow = SymmetricEigen::new(whitening.transpose() * lagged * &whitening);
    let mut order: Vec<usize> = (0..kept.len()).collect();
    order.sort_by(|&a, &b| slow.eigenvalues[b].total_cmp(&slow.eigenvalues[a]));
    let mut components = Vec::new();
    for &index in &order[..k] {
        let vector = &whitening * slow.eigenvectors.column(index);
        let sign = vector[vector.icamax()].signum();
        components.extend(vector.iter().map(|c| sign * c));
    }
    let correlations = order[..k].iter().map(|&i| slow.eigenvalues[i]).collect();
    Ok((components, correlations))
}

/// Features of angles for [`Tica`]: cosine and sine of each of the first `used` of each row of `torsions` (`[n, n_torsions]`, rad);
/// `[n, 2 used]`.
pub fn cosines_and_sines(torsions: &[f64], n_torsions: usize, used: usize) -> Vec<f64> {
    let rows = torsions.chunks_exact(n_torsions.max(1));
    rows.flat_map(|row| &row[..used])
        .flat_map(|angle| [angle.cos(), angle.sin()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::fixtures::{json, sequence};
    use crate::metric::{PointSet, wasserstein_2};

    /// As in the script of the fixture: angles that drift, and one that hops between two wells.
    fn hopping(seed: u64, frames: usize, torsions: usize) -> Vec<f64> {
        let mut numbers = sequence(seed);
        let mut next = || numbers.next().unwrap();
        let mut angles: Vec<f64> = (0..torsions).map(|k| 0.3 * k as f64).collect();
        let mut well = 0.0;
        let mut rows = Vec::new();
        for _ in 0..frames {
            if next() < 0.02 {
                well = 1.0 - well;
            }
            for (k, angle) in angles.iter_mut().enumerate() {
                *angle = 0.9 * *angle + (0.5 + 0.2 * k as f64) * (2.0 * next() - 1.0);
                rows.push(*angle + if k == 1 { 2.5 * well } else { 0.0 });
            }
        }
        rows
    }

    #[test]
    fn agrees_with_scipy_and_pot() {
        let case = json("tica.json");
        let number = |key: &str| case[key].as_u64().unwrap() as usize;
        let (frames, torsions, lag) = (number("frames"), number("torsions"), number("lag"));
        let bounds: Vec<usize> = serde_json::from_value(case["bounds"].clone()).unwrap();
        let segments: Vec<Range<usize>> = bounds.windows(2).map(|b| b[0]..b[1]).collect();
        let features = |seed| {
            let angles = hopping(seed, frames, torsions);
            cosines_and_sines(&angles, torsions, torsions)
        };
        let reference = features(11);
        let tica = Tica::fit(&reference, 2 * torsions, &segments, lag, 2).unwrap();
        let correlations: Vec<f64> = serde_json::from_value(case["correlations"].clone()).unwrap();
        for (found, expected) in tica.correlations().iter().zip(correlations) {
            assert!((found - expected).abs() < 1e-10, "{found} {expected}");
        }
        let projected = tica.project(&reference);
        let rows: Vec<[f64; 2]> = serde_json::from_value(case["first_rows"].clone()).unwrap();
        for (found, expected) in projected.iter().zip(rows.as_flattened()) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
        let other = tica.project(&features(12));
        let set = |points: &[f64]| PointSet::independent(points, 2, frames).unwrap();
        let found = wasserstein_2(&set(&projected), &set(&other), &[false; 2]).unwrap();
        let expected = case["w2"].as_f64().unwrap();
        assert!((found.value / expected - 1.0).abs() < 1e-6);
    }

    #[test]
    fn known_relaxation_is_found_in_mixed_features() {
        // Two AR(1) processes with correlations 0.95 and 0.5 per frame, mixed.
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let (mut slow, mut fast, n, lag) = (0.0f64, 0.0f64, 100_000, 5);
        let mut series = Vec::new();
        for _ in 0..n {
            let [a, b]: [f64; 2] = [(); 2].map(|()| rng.sample(rand_distr::StandardNormal));
            slow = 0.95 * slow + (1.0 - 0.95f64.powi(2)).sqrt() * a;
            fast = 0.5 * fast + 0.75f64.sqrt() * b;
            series.extend([1.0 + slow + 3.0 * fast, 5.0 * fast - slow, 7.0]);
        }
        let tica = Tica::fit(&series, 3, std::slice::from_ref(&(0..n)), lag, 2).unwrap();
        // Errors of the correlations are some sqrt(correlation time / n).
        let expected = [0.95f64.powi(5), 0.5f64.powi(5)];
        for (found, expected) in tica.correlations().iter().zip(expected) {
            assert!((found - expected).abs() < 0.02, "{found} {expected}");
        }
        let projected = tica.project(&series);
        let variance = projected.iter().step_by(2).map(|x| x * x).sum::<f64>() / n as f64;
        assert!((variance - 1.0).abs() < 1e-3, "{variance}");
        // The constant feature has no direction.
        let three = Tica::fit(&series, 3, std::slice::from_ref(&(0..n)), lag, 3);
        let expected = MetricError::NoVariance {
            needed: 3,
            found: 2,
        };
        assert_eq!(three, Err(expected));
    }

    #[test]
    fn refusals() {
        let segments = [0..4, 4..10];
        let fit = |lag| Tica::fit(&[0.0; 10], 1, &segments, lag, 1);
        let expected = MetricError::NoLaggedPairs { lag: 6, longest: 6 };
        assert_eq!(fit(6), Err(expected));
        assert!(matches!(fit(0), Err(MetricError::NoLaggedPairs { .. })));
        assert!(matches!(fit(2), Err(MetricError::NoVariance { .. })));
        let bad = Tica::fit(&[0.0, f64::NAN], 1, std::slice::from_ref(&(0..2)), 1, 1);
        assert!(matches!(bad, Err(MetricError::NotFinite { index: 1, .. })));
    }
}

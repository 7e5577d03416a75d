use super::average::delta_method;
use super::{Estimate, MetricError, block_average};

/// Points in space or on a torus, each of which counts alike, and how they came about, which decides on their statistical error.
#[derive(Clone, Debug, PartialEq)]
pub struct PointSet {
    dimension: usize,
    /// `[n, D]`
    points: Vec<f64>,
    origin: Origin,
}

/// How the points of a set came about.
#[derive(Clone, Debug, PartialEq)]
enum Origin {
    /// Independent draws, each drawn one counted as often as given; the points of one draw follow each other.
    Drawn { counts: Vec<f64> },
    /// A time series, whose error comes from so many blocks of time.
    Series { blocks: usize },
}

impl PointSet {
    /// The first `n` of independent draws (`points: [at least n, D]`).
    ///
    /// # Errors
    /// There are fewer than `n` points, or one is not finite.
    pub fn independent(points: &[f64], dimension: usize, n: usize) -> Result<Self, MetricError> {
        let origin = Origin::Drawn {
            counts: vec![1.0; n],
        };
        Self::new(points, dimension, 0..n, origin)
    }

    /// Those of `points` (`[n, D]`) that [`resample`](crate::sample::resample) chose by weight, in ascending order.
    ///
    /// # Errors
    /// An index is beyond the points, or a point chosen is not finite.
    pub fn resampled(
        points: &[f64],
        dimension: usize,
        chosen: &[usize],
    ) -> Result<Self, MetricError> {
        let counts = chosen.chunk_by(|a, b| a == b).map(|run| run.len() as f64);
        let origin = Origin::Drawn {
            counts: counts.collect(),
        };
        Self::new(points, dimension, chosen.iter().copied(), origin)
    }

    /// `n` points at equal distances in a time series (`points: [at least n, D]`), whose error comes from `blocks` blocks of time, as
    /// in [`block_average`].
    ///
    /// # Errors
    /// There are fewer than `n` points, or one is not finite.
    pub fn series(
        points: &[f64],
        dimension: usize,
        n: usize,
        blocks: usize,
    ) -> Result<Self, MetricError> {
        let length = points.len() / dimension.max(1);
        // With fewer points than asked for, the indices run over the end, and that is reported.
        let length = length.max(n) as u128;
        let index = |i: usize| (i as u128 * length / n as u128) as usize;
        let origin = Origin::Series { blocks };
        Self::new(points, dimension, (0..n).map(index), origin)
    }

    fn new(
        points: &[f64],
        dimension: usize,
        indices: impl Iterator<Item = usize>,
        origin: Origin,
    ) -> Result<Self, MetricError> {
        let mut chosen = Vec::new();
        for index in indices {
            let point = points
                .get(index * dimension..(index + 1) * dimension)
                .ok_or(MetricError::Length {
                    what: "points",
                    expected: index + 1,
                    found: points.len() / dimension.max(1),
                })?;
            if let Some(&value) = point.iter().find(|x| !x.is_finite()) {
                return Err(MetricError::NotFinite { index, value });
            }
            chosen.extend_from_slice(point);
        }
        Ok(Self {
            dimension,
            points: chosen,
            origin,
        })
    }

    /// Number of points.
    pub fn n(&self) -> usize {
        self.points.len() / self.dimension.max(1)
    }

    fn point(&self, index: usize) -> &[f64] {
        &self.points[index * self.dimension..][..self.dimension]
    }

    /// Standard error of the mean of a function of the points, of which `values` has one per point.
    fn error_of_mean(&self, values: &[f64]) -> f64 {
        match &self.origin {
            Origin::Series { blocks } => block_average(values, *blocks).error,
            Origin::Drawn { counts } => {
                let mut rest = values;
                let per_draw = counts.iter().map(|&count| {
                    let (run, others) = rest.split_at(count as usize);
                    rest = others;
                    run.iter().sum::<f64>() / count
                });
                let per_draw: Vec<f64> = per_draw.collect();
                delta_method(counts, &per_draw).error
            }
        }
    }
}

/// Exact 2-Wasserstein distance of two sets of as many points, uniform weights:
/// `W2^2 = min over permutations of (1/n) sum_i |a_i - b_sigma(i)|^2`, with the differences of angles (`circular`, one entry per
/// dimension) wrapped to (-pi, pi]. The assignment is solved exactly (costs in single precision), the distance then summed in double
/// precision. Memory `4 n^2` bytes; in the current rayon pool.
///
/// The standard error is that of the central limit theorem for transport costs (del Barrio and Loubes, Annals of Probability 47
/// (2019) 926; del Barrio, Gonzalez-Sanz and Loubes, arXiv 2102.06379): `Var W2^2 = Var u(A) / n + Var v(B) / n` with the Kantorovich
/// potentials `u`, `v`, which are the dual variables of the assignment. Each side's mean gets the error that fits its origin: independent
/// draws, resampled draws (each draw once, with its count as weight), or blocks of time. It is the scatter that a repetition
/// with as many points would show, around a mean that is above the distance of the distributions: of two samples of one distribution
/// the distance is not zero.
///
/// # Errors
/// The sets differ in size or dimension.
pub fn wasserstein_2(
    a: &PointSet,
    b: &PointSet,
    circular: &[bool],
) -> Result<Estimate, MetricError> {
    let single = |set: &PointSet| -> Vec<f32> { set.points.iter().map(|&x| x as f32).collect() };
    let solved = regflow_ot::transport(&single(a), &single(b), circular)?;
    let n = a.n() as f64;
    let pairs = solved.column_of.iter().enumerate();
    let square = pairs
        .map(|(i, &j)| squared_distance(a.point(i), b.point(j as usize), circular))
        .sum::<f64>()
        / n;
    let value = square.sqrt();
    let error = a.error_of_mean(&solved.u).hypot(b.error_of_mean(&solved.v));
    Ok(Estimate {
        value,
        error: error / (2.0 * value),
    })
}

fn squared_distance(a: &[f64], b: &[f64], circular: &[bool]) -> f64 {
    use std::f64::consts::TAU;
    let terms = a.iter().zip(b).zip(circular).map(|((a, b), &circular)| {
        let d = a - b;
        let d = if circular {
            d - TAU * (d / TAU).round()
        } else {
            d
        };
        d * d
    });
    terms.sum()
}

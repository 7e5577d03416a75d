use super::average::delta_method;
use super::reliability::counts_tell_errors;
use super::{Blocks, Estimate, MetricError, check_length};
use crate::math::angle::shortest;

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
    /// A time series, whose error comes from blocks of time.
    Series { blocks: Blocks },
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

    /// `n` points at equal distances in a time series (`points: [at least n, D]`), whose error comes from blocks of time.
    ///
    /// # Errors
    /// There are fewer than `n` points, or one is not finite.
    pub fn series(
        points: &[f64],
        dimension: usize,
        n: usize,
        blocks: &Blocks,
    ) -> Result<Self, MetricError> {
        check_length("points", blocks.n() * dimension, points.len())?;
        // With fewer points than asked for, the indices run over the end, and that is reported.
        let length = blocks.n().max(n) as u128;
        let index = |i: usize| (i as u128 * length / n as u128) as usize;
        let origin = Origin::Series {
            blocks: blocks.chosen((0..n).map(index)),
        };
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
            Origin::Series { blocks } => blocks.average(values).error,
            Origin::Drawn { counts } => {
                let mut rest = values;
                let per_draw = counts.iter().map(|&count| {
                    let (run, others) = rest.split_at(count as usize);
                    rest = others;
                    run.iter().sum::<f64>() / count
                });
                let per_draw: Vec<f64> = per_draw.collect();
                delta_method(counts, &per_draw, counts_tell_errors(counts)).error
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
/// draws, resampled draws (each draw once, with its count as weight; infinite where few draws are all of them), or blocks of time. It is the scatter that a repetition
/// with as many points would show, around a mean that is above the distance of the distributions: of two samples of one distribution
/// the distance is not zero. The error of `W2` is half the width of the interval that the error of `W2^2` makes: `error(W2^2) / (2 W2)`
/// where it is small, finite where it is not. It is too large (by up to a factor of 2) where the distributions are so close
/// that the distance is one of noise.
///
/// # Errors
/// The sets differ in size or dimension.
pub fn wasserstein_2(
    a: &PointSet,
    b: &PointSet,
    circular: &[bool],
) -> Result<Estimate, MetricError> {
    let single = |set: &PointSet| -> Vec<f32> { set.points.iter().map(|&x| x as f32).collect() };
    let solved = regflow_assignment::transport(&single(a), &single(b), circular)?;
    let n = a.n() as f64;
    let pairs = solved.column_of.iter().enumerate();
    let square = pairs
        .map(|(i, &j)| squared_distance(a.point(i), b.point(j as usize), circular))
        .sum::<f64>()
        / n;
    let spread = a.error_of_mean(&solved.u).hypot(b.error_of_mean(&solved.v));
    Ok(Estimate {
        value: square.sqrt(),
        error: 0.5 * ((square + spread).sqrt() - (square - spread).max(0.0).sqrt()),
    })
}

fn squared_distance(a: &[f64], b: &[f64], circular: &[bool]) -> f64 {
    let terms = a.iter().zip(b).zip(circular).map(|((a, b), &circular)| {
        let d = a - b;
        let d = if circular { shortest(d) } else { d };
        d * d
    });
    terms.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::fixtures::{json, sequence};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::f64::consts::PI;

    #[test]
    fn agrees_with_pot() {
        for case in json("transport.json").as_array().unwrap() {
            let number = |key: &str| case[key].as_f64().unwrap();
            let (n, dimension) = (number("n") as usize, number("dimension") as usize);
            let is_circular = case["circular"].as_bool().unwrap();
            let circular = vec![is_circular; dimension];
            let draw = |seed: f64, scale: f64, shift: f64| -> Vec<f64> {
                let numbers = sequence(seed as u64).take(n * dimension);
                numbers.map(|x| scale * (2.0 * x - 1.0) + shift).collect()
            };
            let a = draw(number("seed"), if is_circular { 3.1 } else { 2.0 }, 0.0);
            let b = draw(number("seed") + 100.0, number("scale"), number("shift"));
            let set = |points: &[f64], n| PointSet::independent(points, dimension, n).unwrap();
            let found = wasserstein_2(&set(&a, n), &set(&b, n), &circular).unwrap();
            let ratio = found.value / number("w2");
            assert!((ratio - 1.0).abs() < 1e-6, "{case} {found:?}");
            let Some(chosen) = case["chosen"].as_array() else {
                continue;
            };
            let chosen: Vec<usize> = chosen
                .iter()
                .map(|i| i.as_u64().unwrap() as usize)
                .collect();
            let resampled = PointSet::resampled(&a, dimension, &chosen).unwrap();
            let found = wasserstein_2(&resampled, &set(&b, n / 2), &circular).unwrap();
            let ratio = found.value / number("resampled_w2");
            assert!((ratio - 1.0).abs() < 1e-6, "{case} {found:?}");
        }
    }

    #[test]
    fn a_turn_of_the_torus_is_a_distance() {
        // A ring moved sideways by 0.5: no pairing is shorter.
        let n = 60;
        let turn = 2.0 * PI / f64::from(n);
        let a: Vec<f64> = (0..n).flat_map(|i| [turn * f64::from(i), 1.0]).collect();
        let b: Vec<f64> = a.chunks(2).flat_map(|x| [x[0], x[1] + 0.5]).collect();
        let set = |points: &[f64]| PointSet::independent(points, 2, 60).unwrap();
        let found = wasserstein_2(&set(&a), &set(&b), &[true; 2]).unwrap();
        assert!((found.value - 0.5).abs() < 1e-12, "{found:?}");
        // All potentials are the same, up to what a step of 0.1 along the ring leaves open: 0.1^2 / sqrt(60).
        assert!(found.error < 0.005, "{found:?}");
        let same = wasserstein_2(&set(&a), &set(&a), &[true; 2]).unwrap();
        assert_eq!(same.value, 0.0);
    }

    /// Mean standard error and scatter of the distance over repeated runs.
    fn error_and_scatter(runs: u64, run: impl Fn(&mut ChaCha8Rng) -> Estimate) -> (f64, f64) {
        let found: Vec<Estimate> = (0..runs)
            .map(|seed| run(&mut ChaCha8Rng::seed_from_u64(seed)))
            .collect();
        let n = runs as f64;
        let mean = found.iter().map(|e| e.value).sum::<f64>() / n;
        let square = found.iter().map(|e| (e.value - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let error = found.iter().map(|e| e.error).sum::<f64>() / n;
        (error, square.sqrt())
    }

    /// Two wells on the torus, the second with the given probability.
    fn wells(rng: &mut ChaCha8Rng, n: usize, second: f64) -> Vec<f64> {
        let mut points = Vec::new();
        for _ in 0..n {
            let centre = if rng.random::<f64>() < second {
                1.0
            } else {
                -1.5
            };
            for _ in 0..2 {
                points.push(centre + 0.3 * rng.sample::<f64, _>(rand_distr::StandardNormal));
            }
        }
        points
    }

    const N: usize = 150;
    const RUNS: u64 = 200;

    #[test]
    fn error_is_the_scatter_of_repeated_runs() {
        let (error, scatter) = error_and_scatter(RUNS, |rng| {
            let (a, b) = (wells(rng, N, 0.2), wells(rng, N, 0.6));
            let set = |points: &[f64]| PointSet::independent(points, 2, N).unwrap();
            wasserstein_2(&set(&a), &set(&b), &[true; 2]).unwrap()
        });
        // The scatter is known to 1 / sqrt(2 RUNS) = 5 %.
        assert!((error / scatter - 1.0).abs() < 0.2, "{error} {scatter}");
        // Of the same wells, the distance is noise, and the error an upper bound.
        let (error, scatter) = error_and_scatter(RUNS, |rng| {
            let (a, b) = (wells(rng, N, 0.2), wells(rng, N, 0.2));
            let set = |points: &[f64]| PointSet::independent(points, 2, N).unwrap();
            wasserstein_2(&set(&a), &set(&b), &[true; 2]).unwrap()
        });
        let ratio = error / scatter;
        assert!((0.8..2.2).contains(&ratio), "{error} {scatter}");
    }

    #[test]
    fn error_of_resampled_points_is_the_scatter_too() {
        // Wells of 0.2 and 0.8 drawn half and half, and weighted.
        let (error, scatter) = error_and_scatter(RUNS, |rng| {
            let (a, b) = (wells(rng, 2 * N, 0.5), wells(rng, N, 0.6));
            let weigh = |x: &[f64]| {
                if x[0] > -0.25 {
                    0.2f64.ln()
                } else {
                    0.8f64.ln()
                }
            };
            let log_weights: Vec<f64> = a.chunks(2).map(weigh).collect();
            let method = crate::sample::Resampling::Systematic;
            let chosen = crate::sample::resample(method, &log_weights, N, 7).unwrap();
            let a = PointSet::resampled(&a, 2, &chosen).unwrap();
            let b = PointSet::independent(&b, 2, N).unwrap();
            wasserstein_2(&a, &b, &[true; 2]).unwrap()
        });
        assert!((error / scatter - 1.0).abs() < 0.25, "{error} {scatter}");
    }

    #[test]
    fn one_draw_that_is_all_tells_no_error() {
        let a: Vec<f64> = (0..2 * N).map(|k| (k as f64).sin()).collect();
        let independent = PointSet::independent(&a, 2, N).unwrap();
        let resampled = PointSet::resampled(&a, 2, &[3; N]).unwrap();
        let found = wasserstein_2(&resampled, &independent, &[true; 2]).unwrap();
        assert!(
            found.value > 0.1 && found.error == f64::INFINITY,
            "{found:?}"
        );
    }

    #[test]
    fn correlated_frames_have_a_larger_error() {
        // A series that stays in a well for ten frames at a time.
        let (error, scatter) = error_and_scatter(RUNS, |rng| {
            let slow: Vec<f64> = wells(rng, 2 * N / 10, 0.2)
                .chunks(2)
                .flat_map(|x| x.repeat(10))
                .collect();
            let a = PointSet::series(&slow, 2, N, &Blocks::equal(2 * N, 30)).unwrap();
            let b = PointSet::independent(&wells(rng, N, 0.6), 2, N).unwrap();
            wasserstein_2(&a, &b, &[true; 2]).unwrap()
        });
        assert!((error / scatter - 1.0).abs() < 0.3, "{error} {scatter}");
    }

    #[test]
    fn refusals() {
        let points = [0.0, 1.0, f64::NAN, 3.0];
        assert!(matches!(
            PointSet::independent(&points, 2, 2),
            Err(MetricError::NotFinite { index: 1, .. })
        ));
        assert!(matches!(
            PointSet::independent(&points, 2, 3),
            Err(MetricError::NotFinite { .. })
        ));
        let expected = MetricError::Length {
            what: "points",
            expected: 3,
            found: 2,
        };
        assert_eq!(PointSet::independent(&[0.0; 4], 2, 3), Err(expected));
        assert!(PointSet::series(&[0.0; 4], 2, 3, &Blocks::equal(2, 2)).is_err());
        assert!(PointSet::resampled(&[0.0; 4], 2, &[0, 2]).is_err());
        let [one, two] = [1, 2].map(|n| PointSet::independent(&[0.0; 4], 2, n).unwrap());
        assert!(matches!(
            wasserstein_2(&one, &two, &[true; 2]),
            Err(MetricError::Transport(_))
        ));
    }
}

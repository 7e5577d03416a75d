//! Whether both directions of a trained map tell the same density.

use rayon::prelude::*;
use serde::Serialize;

use super::{Model, ModelError, to_f64};
use crate::coordinates::FeatureKind;
use crate::math::angle::shortest;
use crate::math::{Purpose, Streams};
use crate::tensor::Tensor;

/// Share of the samples that may differ by more than [`Consistency::error`].
const OUTLIERS: f64 = 0.1;

/// How far `log q` of fresh samples differs between the two directions of the map, in its own single precision.
///
/// Sampling takes `log q` from `f`, scoring and Metropolis moves take it from `f^-1`. A map that contracts strongly, as one
/// trained by regression may, has an inverse that blows up rounding: each direction is then the density of another map.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Consistency {
    /// Samples drawn.
    pub n: usize,
    /// 90 % of the samples differ by less in `log q`, nats. Infinite where more than 10 % have no density in one of the directions.
    pub error: f64,
    /// Median difference of `log q`, nats.
    pub median: f64,
    /// Largest difference of `log q`, nats, of those that have a density in both directions.
    pub largest: f64,
    /// 90 % of the samples come back to a prior point nearer than this to where they started (`x0 -> x1 -> x0`, the largest feature).
    pub round_trip: f64,
}

impl Consistency {
    /// Most nats that moves may be wrong by, and scores without a warning: acceptance probabilities are then right to 10 %.
    pub const TOLERANCE: f64 = 0.1;

    /// Whether what is computed by the inverse map can be used.
    pub fn is_sound(&self) -> bool {
        self.error <= Self::TOLERANCE
    }

    /// What is wrong, with its figures; none if nothing is.
    pub fn warning(&self) -> Option<String> {
        (!self.is_sound()).then(|| {
            format!(
                "the two directions of the flow differ by up to {:.2} nats in log q of 90 % of its own samples (median {:.2}, largest {:.1}; \
                 {} is the most for exact moves): single precision does not resolve this flow's inverse, so do not trust scores, forward \
                 figures and Metropolis moves; weights of drawn samples do not need the inverse",
                self.error, self.median, self.largest, Self::TOLERANCE
            )
        })
    }
}

impl Model {
    /// Draws `n` fresh samples and compares `log q`, and where they come from, in both directions.
    ///
    /// # Errors
    /// The architecture plugin or the device fails.
    pub fn consistency(&self, n: usize, seed: u64) -> Result<Consistency, ModelError> {
        let streams = Streams::new(Purpose::Consistency, seed);
        let rows = self.rows_per_call(n);
        let parts: Vec<Vec<[f64; 2]>> = (0..n.div_ceil(rows))
            .into_par_iter()
            .map(|chunk| {
                let first = chunk * rows;
                self.compare_directions(streams, first as u64, rows.min(n - first))
            })
            .collect::<Result<_, _>>()?;
        let mut log_q: Vec<f64> = parts.iter().flatten().map(|pair| pair[0]).collect();
        let mut round_trip: Vec<f64> = parts.iter().flatten().map(|pair| pair[1]).collect();
        let finite = log_q.iter().copied().filter(|d| d.is_finite());
        Ok(Consistency {
            n,
            largest: finite.fold(0.0, f64::max),
            error: quantile(&mut log_q, 1.0 - OUTLIERS),
            median: quantile(&mut log_q, 0.5),
            round_trip: quantile(&mut round_trip, 1.0 - OUTLIERS),
        })
    }

    /// For each sample, the difference of `log q` and that of the prior point; infinite where one is not finite.
    fn compare_directions(
        &self,
        streams: Streams,
        first: u64,
        n: usize,
    ) -> Result<Vec<[f64; 2]>, ModelError> {
        let dimension = self.prior.dimension();
        let x0 = self.prior.sample(streams, first, n);
        let start = Tensor::from_slice(&x0, (n, dimension), &self.device)?;
        let (x1, log_det) = self.flow.forward(&start)?;
        let (back, inverse_log_det) = self.flow.inverse(&x1)?;
        let back = back.flatten_all()?.to_vec1::<f32>()?;
        let forward = self
            .prior
            .log_density(&x0)
            .into_iter()
            .zip(to_f64(&log_det)?);
        let inverse = self
            .prior
            .log_density(&back)
            .into_iter()
            .zip(to_f64(&inverse_log_det)?);
        let or_infinite = |x: f64| if x.is_finite() { x } else { f64::INFINITY };
        let log_q = forward
            .zip(inverse)
            .map(|((p, d), (q, e))| or_infinite(((p - d) - (q + e)).abs()));
        let trips = x0.chunks_exact(dimension).zip(back.chunks_exact(dimension));
        let trips = trips.map(|(from, to)| or_infinite(self.farthest(from, to)));
        Ok(log_q
            .zip(trips)
            .map(|(log_q, trip)| [log_q, trip])
            .collect())
    }

    /// Largest difference of two prior points; NaN if one has a NaN.
    fn farthest(&self, from: &[f32], to: &[f32]) -> f64 {
        let differences = from.iter().zip(to).zip(self.prior.kinds());
        let differences = differences.map(|((from, to), kind)| {
            let difference = f64::from(*to) - f64::from(*from);
            match kind {
                FeatureKind::Real => difference.abs(),
                FeatureKind::Circular => shortest(difference).abs(),
            }
        });
        differences.fold(0.0, |most: f64, d| if d.is_nan() { d } else { most.max(d) })
    }
}

/// The value that a part `p` of the values is at or below; NaN of none.
fn quantile(values: &mut [f64], p: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let index = (p * (values.len() - 1) as f64).ceil() as usize;
    *values.select_nth_unstable_by(index, f64::total_cmp).1
}

//! Pairs with what is known of their density, row by row.

use crate::coordinates::FeatureKind;
use crate::math::angle::shortest;

/// Pairs of points in feature space.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairRows {
    /// Prior side, `[n, D]`.
    pub x0: Vec<f32>,
    /// Data side, `[n, D]`.
    pub x1: Vec<f32>,
    /// Log density of each data side under the source of the pairs, in feature space with all constants, `[n]`; where the
    /// source knows it.
    pub log_q: Option<Vec<f64>>,
    /// log |det d x1 / d x0| of the source's map, `[n]`; where the source has one. Then `log_q = log p0(x0) - log_det`.
    pub log_det: Option<Vec<f64>>,
}

impl PairRows {
    /// The pairs of the given numbers, in their order.
    #[must_use]
    pub fn select(&self, rows: &[u32], dimension: usize) -> PairRows {
        let numbers = |values: &Vec<f64>| rows.iter().map(|&row| values[row as usize]).collect();
        PairRows {
            x0: gather(&self.x0, rows, dimension),
            x1: gather(&self.x1, rows, dimension),
            log_q: self.log_q.as_ref().map(numbers),
            log_det: self.log_det.as_ref().map(numbers),
        }
    }

    /// Appends pairs, of which as much must be known.
    pub(super) fn append(&mut self, other: PairRows) {
        if self.x0.is_empty() {
            *self = other;
            return;
        }
        self.x0.extend(other.x0);
        self.x1.extend(other.x1);
        for (all, new) in [
            (&mut self.log_q, other.log_q),
            (&mut self.log_det, other.log_det),
        ] {
            // Where one of the two is unknown, so is the whole.
            *all = all.take().zip(new).map(|(mut all, new)| {
                all.extend(new);
                all
            });
        }
    }

    /// Sum over all pairs of the squared distance, differences of circular features wrapped.
    pub(super) fn squared_distance(&self, kinds: &[FeatureKind]) -> f64 {
        squared_distance(&self.x0, &self.x1, kinds)
    }
}

fn gather(points: &[f32], rows: &[u32], dimension: usize) -> Vec<f32> {
    let mut gathered = Vec::with_capacity(rows.len() * dimension);
    for &row in rows {
        gathered.extend_from_slice(&points[row as usize * dimension..][..dimension]);
    }
    gathered
}

pub(super) fn squared_distance(x0: &[f32], x1: &[f32], kinds: &[FeatureKind]) -> f64 {
    let differences = x0.iter().zip(x1).zip(kinds.iter().cycle());
    differences
        .map(|((&a, &b), kind)| {
            let d = f64::from(a) - f64::from(b);
            match kind {
                FeatureKind::Real => d * d,
                FeatureKind::Circular => shortest(d).powi(2),
            }
        })
        .sum()
}

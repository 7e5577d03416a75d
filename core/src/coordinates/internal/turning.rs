//! Which torsions turn.

use std::f64::consts::{PI, TAU};

use crate::coordinates::cut::{self, BINS};
use crate::math::angle::wrap;

/// A torsion that does not turn has a smaller circular standard deviation than this (20 degrees; amides have 9, the
/// differences of siblings 5 to 8, a backbone torsion confined to one basin 20 or more) and leaves half of the circle empty.
const LARGEST_DEVIATION: f64 = 0.35;
const SMALLEST_GAP: f64 = PI;

/// What the angles of one torsion do, taken in one by one.
#[derive(Clone)]
pub(in crate::coordinates) struct Survey {
    n: f64,
    sine: f64,
    cosine: f64,
    counts: [f64; BINS],
    /// Lowest and highest angle of each bin.
    ranges: [[f64; 2]; BINS],
}

impl Default for Survey {
    fn default() -> Self {
        Self {
            n: 0.0,
            sine: 0.0,
            cosine: 0.0,
            counts: [0.0; BINS],
            ranges: [[f64::INFINITY, f64::NEG_INFINITY]; BINS],
        }
    }
}

impl Survey {
    pub(in crate::coordinates) fn add(&mut self, angle: f64) {
        let angle = wrap(angle);
        let (sine, cosine) = angle.sin_cos();
        self.n += 1.0;
        self.sine += sine;
        self.cosine += cosine;
        let bin = ((angle + PI) / TAU * BINS as f64) as usize;
        let bin = bin.min(BINS - 1);
        self.counts[bin] += 1.0;
        let [lowest, highest] = &mut self.ranges[bin];
        *lowest = lowest.min(angle);
        *highest = highest.max(angle);
    }

    /// The circular mean of a torsion that does not turn over the data; none if it does. Both classes are exact: this decides
    /// only what the flow has to learn.
    pub(in crate::coordinates) fn rest(&self) -> Option<f64> {
        let resultant = self.sine.hypot(self.cosine) / self.n;
        // Circular standard deviation: sqrt(-2 ln R).
        if (-2.0 * resultant.ln()).max(0.0).sqrt() >= LARGEST_DEVIATION {
            return None;
        }
        // A gap as wide as this lies between angles of different bins, or across the seam.
        let occupied: Vec<[f64; 2]> = (0..BINS)
            .filter(|&bin| self.counts[bin] > 0.0)
            .map(|bin| self.ranges[bin])
            .collect();
        let seam = TAU + occupied.first()?[0] - occupied.last()?[1];
        let gap = occupied
            .windows(2)
            .map(|pair| pair[1][0] - pair[0][1])
            .fold(seam, f64::max);
        (gap > SMALLEST_GAP).then(|| wrap(self.sine.atan2(self.cosine)))
    }

    /// The angle at which the torsion is least often.
    pub(in crate::coordinates) fn least_populated(&self) -> f64 {
        cut::least_populated(&self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(angles: impl Iterator<Item = f64>) -> Option<f64> {
        let mut survey = Survey::default();
        angles.for_each(|angle| survey.add(angle));
        survey.rest()
    }

    fn spread(centre: f64, half_width: f64) -> impl Iterator<Item = f64> {
        (0..=1000).map(move |k| wrap(centre + half_width * (f64::from(k) / 500.0 - 1.0)))
    }

    #[test]
    fn a_narrow_torsion_rests_about_its_mean_even_across_the_seam() {
        let mean = rest(spread(PI, 0.4)).unwrap();
        assert!((mean.abs() - PI).abs() < 1e-12);
        assert!((rest(spread(-1.0, 0.4)).unwrap() + 1.0).abs() < 1e-12);
    }

    #[test]
    fn wide_or_two_faced_torsions_turn() {
        assert_eq!(rest(spread(1.0, 0.8)), None);
        assert_eq!(rest(spread(1.0, PI)), None);
        // One cis amide in a thousand.
        assert_eq!(rest(spread(PI, 0.3).chain([0.1])), None);
    }
}

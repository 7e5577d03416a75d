//! Which torsions turn.

use std::f64::consts::{PI, TAU};

use crate::math::angle::wrap;

/// A torsion that does not turn has a smaller circular standard deviation than this (20 degrees; amides have 9, the
/// differences of siblings 5 to 8, a backbone torsion confined to one basin 20 or more) and leaves half of the circle empty.
const LARGEST_DEVIATION: f64 = 0.35;
const SMALLEST_GAP: f64 = PI;

/// The circular mean of a torsion that does not turn over the data; none if it does. Both classes are exact: this decides
/// only what the flow has to learn.
pub(super) fn rest(angles: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = angles.collect();
    let (sine, cosine) = sorted.iter().fold((0.0, 0.0), |(s, c), angle| {
        (s + angle.sin(), c + angle.cos())
    });
    let resultant = sine.hypot(cosine) / sorted.len() as f64;
    // Circular standard deviation: sqrt(-2 ln R).
    if (-2.0 * resultant.ln()).max(0.0).sqrt() >= LARGEST_DEVIATION {
        return None;
    }
    sorted.sort_unstable_by(f64::total_cmp);
    let seam = TAU + sorted.first()? - sorted.last()?;
    let gap = sorted
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .fold(seam, f64::max);
    (gap > SMALLEST_GAP).then(|| wrap(sine.atan2(cosine)))
}

#[cfg(test)]
mod tests {
    use super::*;

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

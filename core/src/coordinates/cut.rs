//! A torsion that turns, cut at its least populated angle and mapped onto the real line.

use std::f64::consts::{FRAC_1_SQRT_2, PI, TAU};

use serde::{Deserialize, Serialize};

use crate::math::angle::wrap;

/// Bins of the histogram that the cut is looked for in, and the width of the Gaussian that smooths it, in bins (degrees).
pub(super) const BINS: usize = 360;
const SMOOTHING: f64 = 10.0;

/// `z = (x - mean) / scale`, `x = Phi^-1((phi - cut) / 2 pi)` with the cumulative normal distribution `Phi`: a bijection
/// of the open interval `(cut, cut + 2 pi)` and the real line, under which a uniform torsion is a standard normal variable.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cut {
    /// Opposite of the cut, rad: angles are taken relative to it, so that both ends keep their relative accuracy.
    antipode: f64,
    mean: f64,
    scale: f64,
}

impl Cut {
    pub(super) fn validate(&self) -> Result<(), &'static str> {
        if self.antipode.abs() <= PI && self.scale > 0.0 {
            Ok(())
        } else {
            Err("a torsion's cut is not valid")
        }
    }

    /// `z` and `log |dphi/dz|`. An angle within 1e-16 of the cut is taken for that far from it: `|x| <= 8.3`.
    pub(super) fn forward(&self, angle: f64) -> (f64, f64) {
        let from_antipode = wrap(angle - self.antipode);
        let tail = ((PI - from_antipode.abs()) / TAU).max(0.5 * f64::EPSILON);
        let x = normal_quantile(tail).copysign(from_antipode);
        ((x - self.mean) / self.scale, self.log_slope(x))
    }

    /// `phi` in `(-pi, pi]` and `log |dphi/dz|`.
    pub(super) fn inverse(&self, z: f64) -> (f64, f64) {
        let x = self.mean + self.scale * z;
        let tail = 0.5 * libm::erfc(x.abs() * FRAC_1_SQRT_2);
        let from_antipode = (PI - TAU * tail).copysign(x);
        (wrap(self.antipode + from_antipode), self.log_slope(x))
    }

    /// The reverse pass of [`Cut::inverse`]: `d_phi dphi/dz + d log |dphi/dz| / dz`.
    pub(super) fn pull_back(&self, z: f64, d_phi: f64) -> f64 {
        let x = self.mean + self.scale * z;
        d_phi * self.log_slope(x).exp() - self.scale * x
    }

    /// The reverse pass of [`Cut::forward`], at the feature that it gave: `d_z dz/dphi - d log |dphi/dz| / dphi`.
    pub(super) fn pull_forward(&self, z: f64, d_z: f64) -> f64 {
        let x = self.mean + self.scale * z;
        (d_z + self.scale * x) * (-self.log_slope(x)).exp()
    }

    fn log_slope(&self, x: f64) -> f64 {
        0.5 * TAU.ln() - 0.5 * x * x + self.scale.ln()
    }
}

/// A [`Cut`] in the making: mean and variance of what it makes of the angles.
#[derive(Clone)]
pub(super) struct CutFit {
    raw: Cut,
    n: f64,
    sum: f64,
    squares: f64,
}

impl CutFit {
    /// A cut at this angle.
    pub(super) fn new(cut: f64) -> Self {
        let raw = Cut {
            antipode: wrap(cut + PI),
            mean: 0.0,
            scale: 1.0,
        };
        Self {
            raw,
            n: 0.0,
            sum: 0.0,
            squares: 0.0,
        }
    }

    pub(super) fn add(&mut self, angle: f64) {
        let x = self.raw.forward(angle).0;
        self.n += 1.0;
        self.sum += x;
        self.squares += x * x;
    }

    pub(super) fn finish(self) -> Cut {
        let mean = self.sum / self.n;
        let scale = (self.squares / self.n - mean * mean).max(0.0).sqrt();
        // A torsion that hardly moves is treated as linear, not cut; the floor keeps a single repeated frame invertible.
        Cut {
            mean,
            scale: scale.max(1e-3),
            ..self.raw
        }
    }
}

/// The angle at which the smoothed histogram (counts in equal bins from -pi on) is lowest. Where bins are empty, the tails of the
/// Gaussians make that about the middle of the widest gap.
pub(super) fn least_populated(counts: &[f64; BINS]) -> f64 {
    let width = TAU / BINS as f64;
    let kernel: [f64; BINS] = std::array::from_fn(|distance| {
        let distance = distance.min(BINS - distance) as f64 / SMOOTHING;
        (-0.5 * distance * distance).exp()
    });
    let smoothed = |bin: usize| -> f64 {
        (0..BINS)
            .map(|k| counts[k] * kernel[(k + BINS - bin) % BINS])
            .sum()
    };
    let smoothed: Vec<f64> = (0..BINS).map(smoothed).collect();
    let lowest = (0..BINS)
        .min_by(|&a, &b| smoothed[a].total_cmp(&smoothed[b]))
        .unwrap_or(0);
    (lowest as f64 + 0.5) * width - PI
}

/// `|Phi^-1(p)|` for `0 < p <= 1/2`, to about 1e-16 relative: M. J. Wichura, Algorithm AS 241, Appl. Stat. 37, 477 (1988).
fn normal_quantile(p: f64) -> f64 {
    let q = 0.5 - p;
    if q <= 0.425 {
        return q * ratio(&CENTRE, 0.180625 - q * q);
    }
    let r = (-p.ln()).sqrt();
    if r <= 5.0 {
        ratio(&MIDDLE, r - 1.6)
    } else {
        ratio(&TAIL, r - 5.0)
    }
}

/// Quotient of two polynomials, coefficients from the constant term up.
fn ratio([above, below]: &[[f64; 8]; 2], r: f64) -> f64 {
    let evaluate = |polynomial: &[f64; 8]| {
        polynomial
            .iter()
            .rev()
            .fold(0.0, |sum, coefficient| sum * r + coefficient)
    };
    evaluate(above) / evaluate(below)
}

const CENTRE: [[f64; 8]; 2] = [
    [
        3.387_132_872_796_366_5,
        1.331_416_678_917_843_8e2,
        1.971_590_950_306_551_3e3,
        1.373_169_376_550_946e4,
        4.592_195_393_154_987e4,
        6.726_577_092_700_87e4,
        3.343_057_558_358_813e4,
        2.509_080_928_730_122_7e3,
    ],
    [
        1.0,
        4.231_333_070_160_091e1,
        6.871_870_074_920_579e2,
        5.394_196_021_424_751e3,
        2.121_379_430_158_659_7e4,
        3.930_789_580_009_271e4,
        2.872_908_573_572_194_3e4,
        5.226_495_278_852_854e3,
    ],
];
const MIDDLE: [[f64; 8]; 2] = [
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        2.417_807_251_774_506e-1,
        2.272_384_498_926_918_4e-2,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        6.897_673_349_851e-1,
        1.481_039_764_274_800_8e-1,
        1.519_866_656_361_645_7e-2,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
];
const TAIL: [[f64; 8]; 2] = [
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        2.965_605_718_285_048_7e-1,
        2.653_218_952_657_612_4e-2,
        1.242_660_947_388_078_4e-3,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        5.998_322_065_558_88e-1,
        1.369_298_809_227_358e-1,
        1.487_536_129_085_061_5e-2,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    /// libm's erfc is an independent truth for the quantile.
    #[test]
    fn quantile_inverts_the_normal_distribution() {
        for k in 0..=830 {
            let x = 0.01 * f64::from(k);
            let p = 0.5 * libm::erfc(x * FRAC_1_SQRT_2);
            // dx/dp = -1/pdf: the rounding of p itself, p * 1e-16, is amplified by p/pdf, about 1/x in the tail.
            assert!(
                (normal_quantile(p) - x).abs() < 2e-15 * x.max(1.0),
                "{x} {}",
                normal_quantile(p)
            );
        }
    }

    #[test]
    fn cuts_at_the_least_populated_angle() {
        // Two populations, at 2.8 (across the seam) and -1.2; the rarer gap is between 0 and 1.5.
        let angles: Vec<f64> = (0..2000)
            .map(|k| {
                wrap(if k % 3 == 0 { 2.8 } else { -1.2 } + ((k * 7919) % 1009) as f64 / 1009.0)
            })
            .collect();
        let mut survey = super::super::internal::turning::Survey::default();
        angles.iter().for_each(|&angle| survey.add(angle));
        let mut cut = CutFit::new(survey.least_populated());
        angles.iter().for_each(|&angle| cut.add(angle));
        let cut = cut.finish();
        let at = wrap(cut.antipode + PI);
        assert!((0.0..2.8).contains(&at), "{at}");
        let mean = angles.iter().map(|&a| cut.forward(a).0).sum::<f64>() / 2000.0;
        let variance = angles
            .iter()
            .map(|&a| cut.forward(a).0.powi(2))
            .sum::<f64>()
            / 2000.0;
        assert!(mean.abs() < 1e-12 && (variance - 1.0).abs() < 1e-12);
    }

    #[test]
    fn inverse_and_slope() {
        let cut = Cut {
            antipode: 2.0,
            mean: 0.3,
            scale: 0.8,
        };
        for k in -50..=50 {
            let z = 0.1 * f64::from(k);
            let (angle, log_slope) = cut.inverse(z);
            let (back, forward_slope) = cut.forward(angle);
            // A rounding of the angle, 4e-16, moves z by 4e-16 / slope.
            let tolerance = 2e-15 * (-log_slope).exp().max(1.0);
            assert!(
                (back - z).abs() < tolerance
                    && (forward_slope - log_slope).abs() < 10.0 * tolerance,
                "{z} {back}"
            );
            let h = 1e-5;
            let numerical = wrap(cut.inverse(z + h).0 - cut.inverse(z - h).0) / (2.0 * h);
            assert!(
                (numerical.ln() - log_slope).abs() < 1e-5,
                "{z}: {} {log_slope}",
                numerical.ln()
            );
        }
        // The whole line is covered once, from one side of the cut to the other, and the ends do no harm.
        for z in [-1e3, -12.0, 12.0, 1e3] {
            let angle = cut.inverse(z).0;
            assert!((wrap(angle - 2.0).abs() - PI).abs() < 1e-12);
            assert!(cut.forward(angle).0.abs() < 11.0);
        }
    }
}

//! Angles. One convention in the whole crate: radians in `(-pi, pi]`.
//!
//! In f32 the ends are rounded, so that the interval is `(-PI, PI]` of `f32::consts::PI`, which lies above pi by 9e-8. Kernels
//! over lanes wrap by `Real::wrap`, which follows the same convention for an interval of any ends.

use std::f64::consts::{PI, TAU};

use super::Real;
use super::vector::{Vector, cross, dot, norm, sub};

/// The angle in `(-pi, pi]` that differs from `angle` by a multiple of 2 pi; NaN where that is not finite.
pub fn wrap(angle: f64) -> f64 {
    Real::wrap(angle, -PI, TAU)
}

/// [`wrap`] in f32, with ends rounded to it.
pub fn wrap_single(angle: f32) -> f32 {
    Real::wrap(angle, -PI, TAU)
}

/// The shortest turn to which a difference of two angles amounts, rad, in `[-pi, pi]`.
pub(crate) fn shortest(difference: f64) -> f64 {
    difference - TAU * (difference / TAU).round()
}

/// Angle between two vectors, rad, in `[0, pi]`. Exact also near 0 and pi (atan2 of sine and cosine); 0 if one is 0.
pub(crate) fn between(u: Vector, v: Vector) -> f64 {
    norm(cross(u, v)).atan2(dot(u, v))
}

/// Torsion of four points a-b-c-d, rad, in `(-pi, pi]`, with the IUPAC sign: looking from b to c, positive if d is clockwise
/// of a; cis is 0, trans is pi. 0 where it is undefined (three points on a line).
pub(crate) fn torsion([a, b, c, d]: [Vector; 4]) -> f64 {
    let (u, v, w) = (sub(b, a), sub(c, b), sub(d, c));
    let (m, n) = (cross(u, v), cross(v, w));
    torsion_of(norm(v) * dot(u, n), dot(m, n))
}

/// The angle in `(-pi, pi]` whose sine and cosine are proportional to those given; 0 where both are 0.
pub(crate) fn torsion_of(sine: f64, cosine: f64) -> f64 {
    let value = sine.atan2(cosine);
    // atan2(-0, -1) is -pi, which the half-open interval leaves out.
    if value == -PI { PI } else { value }
}

/// The angle in `[0, pi]` whose sine and cosine are proportional to `sine >= 0` and `cosine`, for loops over lanes.
#[inline(always)]
pub(crate) fn of_sine_and_cosine<const F: bool>(sine: f64, cosine: f64) -> f64 {
    use std::f64::consts::{FRAC_PI_2, FRAC_PI_4};
    const TAN_PI_8: f64 = std::f64::consts::SQRT_2 - 1.0;
    let c = cosine.abs();
    let (small, large) = if sine < c { (sine, c) } else { (c, sine) };
    // atan(small/large), by atan(t) = pi/4 + atan((t-1)/(t+1)) where t > tan(pi/8).
    let far = small > TAN_PI_8 * large;
    let num = if far { small - large } else { small };
    let den = if far { small + large } else { large };
    let t = num / den;
    let z = t * t;
    // Chebyshev interpolant of atan(sqrt z)/sqrt z on [0, tan(pi/8)^2], error 8e-16.
    let mut p = 0.022037351743474803;
    p = p.fma::<F>(z, -0.04419313336111365);
    p = p.fma::<F>(z, 0.05712044172907787);
    p = p.fma::<F>(z, -0.06644545971880242);
    p = p.fma::<F>(z, 0.0769042134258827);
    p = p.fma::<F>(z, -0.09090804022756546);
    p = p.fma::<F>(z, 0.11111107409050866);
    p = p.fma::<F>(z, -0.14285714208798625);
    p = p.fma::<F>(z, 0.1999999999917801);
    p = p.fma::<F>(z, -0.33333333333329757);
    p = p.fma::<F>(z, 1.0);
    let atan = t.fma::<F>(p, if far { FRAC_PI_4 } else { 0.0 });
    let acute = if sine < c { atan } else { FRAC_PI_2 - atan };
    if cosine < 0.0 { PI - acute } else { acute }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_turned_the_shorter_way() {
        for (difference, turn) in [
            (0.0, 0.0),
            (4.0, 4.0 - TAU),
            (-4.0, TAU - 4.0),
            (13.0, 13.0 - 2.0 * TAU),
        ] {
            assert!((shortest(difference) - turn).abs() < 1e-14, "{difference}");
        }
        assert_eq!(shortest(PI).abs(), PI);
        assert!(shortest(f64::NAN).is_nan());
    }

    #[test]
    fn angles_end_at_plus_pi() {
        for (angle, expected) in [
            (PI, PI),
            (-PI, PI),
            (3.0 * PI, PI),
            (-3.0 * PI, PI),
            (0.0, 0.0),
            (PI.next_up(), -PI.next_down()),
            ((-PI).next_up(), (-PI).next_up()),
            (TAU, 0.0),
            (4.0, 4.0 - TAU),
            (-4.0, TAU - 4.0),
        ] {
            let found = wrap(angle);
            assert!(
                (found - expected).abs() < 2e-15,
                "{angle}: {found}, expected {expected}"
            );
            assert!(found > -PI && found <= PI, "{angle}: {found}");
            assert_eq!(wrap(found), found);
        }
        assert_eq!(torsion_of(-0.0, -1.0), PI);
        assert_eq!(torsion_of(0.0, -1.0), PI);
        assert!(wrap(f64::INFINITY).is_nan() && wrap(f64::NAN).is_nan());
        let pi = std::f32::consts::PI;
        assert_eq!(wrap_single(pi), pi);
        for turns in -50..=50 {
            for angle in [-pi, (-pi).next_up(), pi.next_down(), pi, 0.0, 1.5] {
                let found = wrap_single(angle + turns as f32 * std::f32::consts::TAU);
                assert!(found > -pi && found <= pi, "{angle} {turns}: {found}");
                assert_eq!(wrap_single(found), found);
            }
        }
    }

    #[test]
    fn of_sine_and_cosine_is_atan2() {
        let worst = |found: fn(f64, f64) -> f64, factor: f64| {
            (0..=100_000)
                .map(|i| PI * f64::from(i) * 1e-5)
                .map(|x| (found(factor * x.sin().abs(), factor * x.cos()) - x).abs())
                .fold(0.0, f64::max)
        };
        assert!(worst(of_sine_and_cosine::<true>, 2.0) < 2e-15);
        assert!(worst(of_sine_and_cosine::<false>, 1.0) < 2e-15);
    }
}

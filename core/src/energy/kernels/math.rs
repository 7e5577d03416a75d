//! Elementary functions without branches, calls or tables, so that loops over lanes of configurations vectorise.
//!
//! `F` says whether the target has fused multiply-add; without it `mul_add` would be a library call.

use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

/// A floating-point type of the kernels: `f32` or `f64`.
pub(crate) trait Real:
    Copy
    + Default
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + 'static
{
    fn of(value: f64) -> Self;
    fn widen(self) -> f64;
    fn sqrt(self) -> Self;
    fn abs(self) -> Self;
    /// `self * b + c`
    fn fma<const F: bool>(self, b: Self, c: Self) -> Self;
    /// `exp(x)` for `x <= 0`; 0 below the smallest normal number.
    fn exp_neg<const F: bool>(self) -> Self;
    /// `ln(x)` for positive, normal, finite `x`; a meaningless value (never a trap) otherwise.
    fn ln_lane<const F: bool>(self) -> Self;

    /// `tanh(x)`, with an absolute error near the rounding unit.
    #[inline(always)]
    fn tanh_lane<const F: bool>(self) -> Self {
        let one = Self::of(1.0);
        let e = (Self::of(-2.0) * self.abs()).exp_neg::<F>();
        let t = (one - e) / (one + e);
        if self < Self::of(0.0) { -t } else { t }
    }
}

impl Real for f64 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }
    #[inline(always)]
    fn fma<const F: bool>(self, b: Self, c: Self) -> Self {
        if F { self.mul_add(b, c) } else { self * b + c }
    }

    #[inline(always)]
    fn exp_neg<const F: bool>(self) -> Self {
        // exp(x) = 2^n exp(r), |r| <= ln(2)/2; adding 1.5 2^52 leaves n in the low bits.
        const MAGIC: f64 = 6_755_399_441_055_744.0;
        const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
        const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
        let x = if self < -708.0 { -708.0 } else { self };
        let shifted = x.fma::<F>(std::f64::consts::LOG2_E, MAGIC);
        let n = shifted - MAGIC;
        let r = (-n).fma::<F>(LN2_LOW, (-n).fma::<F>(LN2_HIGH, x));
        // Taylor series; the first term left out is below 7e-15 relative.
        let mut p = 1.0 / 39_916_800.0;
        p = p.fma::<F>(r, 1.0 / 3_628_800.0);
        p = p.fma::<F>(r, 1.0 / 362_880.0);
        p = p.fma::<F>(r, 1.0 / 40_320.0);
        p = p.fma::<F>(r, 1.0 / 5_040.0);
        p = p.fma::<F>(r, 1.0 / 720.0);
        p = p.fma::<F>(r, 1.0 / 120.0);
        p = p.fma::<F>(r, 1.0 / 24.0);
        p = p.fma::<F>(r, 1.0 / 6.0);
        p = p.fma::<F>(r, 0.5);
        p = p.fma::<F>(r, 1.0);
        p = p.fma::<F>(r, 1.0);
        let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
        if self < -708.0 { 0.0 } else { p * power }
    }

    #[inline(always)]
    fn ln_lane<const F: bool>(self) -> Self {
        // x = 2^k m, sqrt(1/2) <= m < sqrt(2); ln m = 2 atanh(s), s = (m-1)/(m+1). Coefficients of FreeBSD's e_log.c.
        const BIAS: u64 = 1024;
        const TWO52: u64 = 0x4330_0000_0000_0000;
        let bits = self.to_bits();
        let k = bits
            .wrapping_sub(0x3fe6_a09e_667f_3bcd)
            .wrapping_add(BIAS << 52)
            >> 52;
        let m = f64::from_bits(bits.wrapping_sub(k.wrapping_sub(BIAS) << 52));
        let k = f64::from_bits(TWO52 | k) - (4_503_599_627_370_496.0 + 1024.0);
        let s = (m - 1.0) / (m + 1.0);
        let z = s * s;
        let mut p = 1.479_819_860_511_658_6e-1;
        p = p.fma::<F>(z, 1.531_383_769_920_937_3e-1);
        p = p.fma::<F>(z, 1.818_357_216_161_805e-1);
        p = p.fma::<F>(z, 2.222_219_843_214_978_4e-1);
        p = p.fma::<F>(z, 2.857_142_874_366_239e-1);
        p = p.fma::<F>(z, 3.999_999_999_940_942e-1);
        p = p.fma::<F>(z, 6.666_666_666_666_735e-1);
        k.fma::<F>(std::f64::consts::LN_2, s.fma::<F>(z * p, 2.0 * s))
    }
}

impl Real for f32 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn widen(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }
    #[inline(always)]
    fn fma<const F: bool>(self, b: Self, c: Self) -> Self {
        if F { self.mul_add(b, c) } else { self * b + c }
    }

    #[inline(always)]
    fn exp_neg<const F: bool>(self) -> Self {
        const MAGIC: f32 = 12_582_912.0;
        const LN2_HIGH: f32 = 6.931_457_5e-1;
        const LN2_LOW: f32 = 1.428_606_8e-6;
        let x = if self < -87.0 { -87.0 } else { self };
        let shifted = x.fma::<F>(std::f32::consts::LOG2_E, MAGIC);
        let n = shifted - MAGIC;
        let r = (-n).fma::<F>(LN2_LOW, (-n).fma::<F>(LN2_HIGH, x));
        let mut p = 1.0 / 5_040.0;
        p = p.fma::<F>(r, 1.0 / 720.0);
        p = p.fma::<F>(r, 1.0 / 120.0);
        p = p.fma::<F>(r, 1.0 / 24.0);
        p = p.fma::<F>(r, 1.0 / 6.0);
        p = p.fma::<F>(r, 0.5);
        p = p.fma::<F>(r, 1.0);
        p = p.fma::<F>(r, 1.0);
        let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
        if self < -87.0 { 0.0 } else { p * power }
    }

    #[inline(always)]
    fn ln_lane<const F: bool>(self) -> Self {
        // As for f64; coefficients of FreeBSD's e_logf.c.
        const BIAS: u32 = 128;
        const TWO23: u32 = 0x4b00_0000;
        let bits = self.to_bits();
        let k = bits.wrapping_sub(0x3f35_04f3).wrapping_add(BIAS << 23) >> 23;
        let m = f32::from_bits(bits.wrapping_sub(k.wrapping_sub(BIAS) << 23));
        let k = f32::from_bits(TWO23 | k) - (8_388_608.0 + 128.0);
        let s = (m - 1.0) / (m + 1.0);
        let z = s * s;
        let mut p = 2.427_907_9e-1;
        p = p.fma::<F>(z, 2.849_878_7e-1);
        p = p.fma::<F>(z, 4.000_097_2e-1);
        p = p.fma::<F>(z, 6.666_666e-1);
        k.fma::<F>(std::f32::consts::LN_2, s.fma::<F>(z * p, 2.0 * s))
    }
}

/// The angle in `[0, pi]` whose sine and cosine are proportional to `sine >= 0` and `cosine`.
#[inline(always)]
pub(crate) fn angle<const F: bool>(sine: f64, cosine: f64) -> f64 {
    use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};
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

    /// Largest error of `f` against `truth`, relative to `scale(truth)`.
    fn worst(
        xs: impl Iterator<Item = f64>,
        f: impl Fn(f64) -> f64,
        truth: impl Fn(f64) -> f64,
        relative: bool,
    ) -> f64 {
        xs.map(|x| {
            let t = truth(x);
            (f(x) - t).abs() / if relative { t.abs() } else { 1.0 }
        })
        .fold(0.0, f64::max)
    }

    #[test]
    fn exponential() {
        let xs = || (0..200_000).map(|i| -f64::from(i) * 3.5e-3);
        assert!(worst(xs(), |x| x.exp_neg::<true>(), f64::exp, true) < 1e-14);
        assert!(worst(xs(), |x| x.exp_neg::<false>(), f64::exp, true) < 1e-14);
        let xs = || (0..86_000).map(|i| f64::from(-(i as f32) * 1e-3));
        assert!(
            worst(
                xs(),
                |x| f64::from((x as f32).exp_neg::<true>()),
                f64::exp,
                true
            ) < 3e-7
        );
        assert_eq!((-1e300_f64).exp_neg::<true>(), 0.0);
        assert_eq!((-1e30_f32).exp_neg::<false>(), 0.0);
        assert!(f64::NAN.exp_neg::<true>().is_nan());
    }

    #[test]
    fn logarithm() {
        let xs = || {
            (1..200_000)
                .map(|i| f64::from(i) * 1e-3)
                .chain((-300..300).map(|i| 10f64.powi(i)))
        };
        assert!(
            worst(
                xs().filter(|&x| x != 1.0),
                |x| x.ln_lane::<true>(),
                f64::ln,
                true
            ) < 1e-15
        );
        assert!(
            worst(
                xs().filter(|&x| x != 1.0),
                |x| x.ln_lane::<false>(),
                f64::ln,
                true
            ) < 1e-15
        );
        let xs = || {
            (1..200_000)
                .map(|i| f64::from(i as f32 * 1e-3))
                .filter(|&x| x != 1.0)
        };
        assert!(
            worst(
                xs(),
                |x| f64::from((x as f32).ln_lane::<true>()),
                f64::ln,
                true
            ) < 3e-7
        );
        assert_eq!(1f64.ln_lane::<true>(), 0.0);
    }

    #[test]
    fn hyperbolic_tangent() {
        let xs = || (-100_000..100_000).map(|i| f64::from(i) * 2e-4);
        assert!(worst(xs(), |x| x.tanh_lane::<true>(), f64::tanh, false) < 1e-14);
        assert!(
            worst(
                xs(),
                |x| f64::from((x as f32).tanh_lane::<true>()),
                |x| f64::from(x as f32).tanh(),
                false
            ) < 3e-7
        );
        assert_eq!(1e3_f64.tanh_lane::<true>(), 1.0);
    }

    #[test]
    fn angles() {
        let xs = || (0..=100_000).map(|i| std::f64::consts::PI * f64::from(i) * 1e-5);
        assert!(
            worst(
                xs(),
                |x| angle::<true>(2.0 * x.sin().abs(), 2.0 * x.cos()),
                |x| x,
                false
            ) < 2e-15
        );
        assert!(
            worst(
                xs(),
                |x| angle::<false>(x.sin().abs(), x.cos()),
                |x| x,
                false
            ) < 2e-15
        );
    }
}

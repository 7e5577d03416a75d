//! The functions of f32.

use super::Real;

/// `c[0] x^(n-1) + ... + c[n-1]`.
#[inline(always)]
fn polynomial<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut value = coefficients[0];
    for &coefficient in &coefficients[1..] {
        value = value * x + coefficient;
    }
    value
}

/// ln 2 in two parts, the first of which has few bits: products with small integers are exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// p in `[0.7, 1.42]` and n with `exp(x) = p 2^n`; x between -104 and 89, or NaN.
#[inline(always)]
fn exp_parts(x: f32) -> (f32, i32) {
    let (q, n) = exp_m1_parts(x);
    (q + 1.0, n)
}

/// q in `[-0.3, 0.42]` and n with `exp(x) = (1 + q) 2^n`; x between -104 and 89, or NaN.
#[inline(always)]
fn exp_m1_parts(x: f32) -> (f32, i32) {
    // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN2_HIGH - n * LN2_LOW;
    let p = polynomial(
        r,
        [
            1.987_569_1e-4,
            1.398_199_9e-3,
            8.333_452e-3,
            4.166_579_6e-2,
            1.666_666_5e-1,
            5.0e-1,
        ],
    );
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    (p * (r * r) + r, n)
}

/// `2^n` for n from -126 to 127; infinite for 128.
#[inline(always)]
fn power_of_2(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

impl Real for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;

    #[inline(always)]
    fn of(value: f64) -> f32 {
        value as f32
    }

    #[inline(always)]
    fn widen(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn of_f32(values: &mut [f32]) -> Option<&mut [f32]> {
        Some(values)
    }

    #[inline(always)]
    fn exp(self) -> f32 {
        let (p, n) = exp_parts(Real::clamp(self, -104.0, 89.0));
        // 2^n as two factors: n reaches 128 and -150.
        let half = n >> 1;
        p * power_of_2(half) * power_of_2(n.wrapping_sub(half))
    }

    #[inline(always)]
    fn exp_normal(self) -> f32 {
        let (p, n) = exp_parts(Real::clamp(self, -87.0, 89.0));
        p * power_of_2(n)
    }

    #[inline(always)]
    fn log(self) -> f32 {
        const SQRT_HALF_BITS: u32 = 0x3f35_04f3;
        let tiny = self < f32::MIN_POSITIVE;
        let x = f32::select(tiny, self * 8_388_608.0, self);
        // x = m 2^e with m in [sqrt(1/2), sqrt(2)).
        let offset = x.to_bits().wrapping_sub(SQRT_HALF_BITS) as i32;
        let e = (offset >> 23) as f32 - f32::select(tiny, 23.0, 0.0);
        let m = f32::from_bits(x.to_bits().wrapping_sub((offset as u32) & 0xff80_0000));
        let f = m - 1.0;
        let z = f * f;
        let p = polynomial(
            f,
            [
                7.037_683_6e-2,
                -1.151_461e-1,
                1.167_699_9e-1,
                -1.242_014_1e-1,
                1.424_932_3e-1,
                -1.666_805_8e-1,
                2.000_071_5e-1,
                -2.499_999_4e-1,
                3.333_333e-1,
            ],
        );
        let result = f + (f * z * p + e * LN2_LOW - 0.5 * z) + e * LN2_HIGH;
        let result = f32::select(self == f32::INFINITY, f32::INFINITY, result);
        let result = f32::select(self == 0.0, f32::NEG_INFINITY, result);
        f32::select(self < 0.0 || self.is_nan(), f32::NAN, result)
    }

    #[inline(always)]
    fn tanh(self) -> f32 {
        let z = self * self;
        let p = polynomial(
            z,
            [
                -5.704_988_7e-3,
                2.063_909e-2,
                -5.373_971_5e-2,
                1.333_144_2e-1,
                -3.333_328e-1,
            ],
        );
        let small = p * z * self + self;
        let size = Real::abs(self);
        let large = 1.0 - 2.0 / (Real::exp_normal(size + size) + 1.0);
        let large = f32::select(self < 0.0, -large, large);
        f32::select(size < 0.625, small, large)
    }

    #[inline(always)]
    fn erf(self) -> f32 {
        let x = Real::clamp(self, -4.0, 4.0);
        let z = x * x;
        let numerator = polynomial(
            z,
            [
                -2.726_142_3e-10,
                2.770_681_4e-8,
                -2.101_024e-6,
                -5.692_506_6e-5,
                -7.349_906_4e-4,
                -2.954_6e-3,
                -1.609_603_3e-2,
            ],
        );
        let denominator = polynomial(
            z,
            [
                -1.456_607_2e-5,
                -2.133_740_6e-4,
                -1.682_827e-3,
                -7.373_329_3e-3,
                -1.426_473_9e-2,
            ],
        );
        x * numerator / denominator
    }

    #[inline(always)]
    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }

    #[inline(always)]
    fn sin(self) -> f32 {
        f32::sin(self)
    }

    #[inline(always)]
    fn cos(self) -> f32 {
        f32::cos(self)
    }

    #[inline(always)]
    fn powf(self, exponent: f32) -> f32 {
        f32::powf(self, exponent)
    }

    #[inline(always)]
    fn log_one_plus(self) -> f32 {
        // The second term is the rounding of 1 + u.
        let sum = 1.0 + self;
        Real::log(sum) + (self - (sum - 1.0)) / sum
    }

    #[inline(always)]
    fn wrap(self, lower: f64, period: f64) -> f32 {
        let (low, high) = (lower as f32, (lower + period) as f32);
        // In f64, since the period has no exact f32; the nearest f32 may be an end again.
        let wrapped = Real::wrap(f64::from(self), lower, period) as f32;
        let wrapped = f32::select(wrapped <= low, high, wrapped);
        let wrapped = f32::select(wrapped > high, high, wrapped);
        f32::select(self > low && self <= high, self, wrapped)
    }

    #[inline(always)]
    fn exp_m1(self) -> f32 {
        let x = Real::clamp(self, -87.0, 88.0);
        let (q, n) = exp_m1_parts(x);
        let power = power_of_2(n);
        // exp(x) - 1 = q 2^n + (2^n - 1), where the bracket is exact or the second 1 lost.
        let result = q * power + (power - 1.0);
        f32::select(self > 88.0, Real::exp(self), result)
    }

    #[inline(always)]
    fn log_1p(self) -> f32 {
        // The second term is the rounding of 1 + x.
        let sum = 1.0 + self;
        let log = Real::log(sum);
        let corrected = log + (self - (sum - 1.0)) / sum;
        f32::select(sum > 0.0 && sum < f32::INFINITY, corrected, log)
    }

    #[inline(always)]
    fn sinh(self) -> f32 {
        let size = Real::abs(self);
        let e = Real::exp_m1(size);
        let near = 0.5 * (e + e / (e + 1.0));
        // Where exp would overflow too early; the other term is lost.
        let root = Real::exp(0.5 * size);
        let result = f32::select(size > 20.0, 0.5 * root * root, near);
        f32::select(self < 0.0, -result, result)
    }

    #[inline(always)]
    fn cosh(self) -> f32 {
        let root = Real::exp(0.5 * Real::abs(self));
        0.5 * root * root + 0.5 / (root * root)
    }

    #[inline(always)]
    fn asinh(self) -> f32 {
        let size = Real::abs(self);
        let square = size * size;
        let near = Real::log_1p(size + square / (1.0 + (1.0 + square).sqrt()));
        let far = Real::log(size) + std::f32::consts::LN_2;
        let result = f32::select(size > 1e5, far, near);
        f32::select(self < 0.0, -result, result)
    }

    #[inline(always)]
    fn fma<const F: bool>(self, b: Self, c: Self) -> Self {
        if F { self.mul_add(b, c) } else { self * b + c }
    }

    #[inline(always)]
    fn exp_negative<const F: bool>(self) -> Self {
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
    fn log_normal<const F: bool>(self) -> Self {
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

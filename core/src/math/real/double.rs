//! The functions of f64.

use super::Real;

impl Real for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;

    #[inline(always)]
    fn of(value: f64) -> f64 {
        value
    }

    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }

    #[inline(always)]
    fn of_f32(_values: &mut [f32]) -> Option<&mut [f64]> {
        None
    }

    #[inline(always)]
    fn exp(self) -> f64 {
        f64::exp(self)
    }

    #[inline(always)]
    fn exp_normal(self) -> f64 {
        f64::exp(self)
    }

    #[inline(always)]
    fn log(self) -> f64 {
        f64::ln(self)
    }

    #[inline(always)]
    fn tanh(self) -> f64 {
        f64::tanh(self)
    }

    #[inline(always)]
    fn erf(self) -> f64 {
        libm::erf(self)
    }

    #[inline(always)]
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }

    #[inline(always)]
    fn sin(self) -> f64 {
        f64::sin(self)
    }

    #[inline(always)]
    fn cos(self) -> f64 {
        f64::cos(self)
    }

    #[inline(always)]
    fn powf(self, exponent: f64) -> f64 {
        f64::powf(self, exponent)
    }

    #[inline(always)]
    fn log_one_plus(self) -> f64 {
        self.ln_1p()
    }

    #[inline(always)]
    fn wrap(self, lower: f64, period: f64) -> f64 {
        let upper = lower + period;
        let wrapped = self - period * ((self - upper) / period).ceil();
        let wrapped = f64::select(wrapped <= lower, wrapped + period, wrapped);
        let wrapped = f64::select(wrapped > upper, upper, wrapped);
        f64::select(self > lower && self <= upper, self, wrapped)
    }

    #[inline(always)]
    fn exp_m1(self) -> f64 {
        f64::exp_m1(self)
    }

    #[inline(always)]
    fn log_1p(self) -> f64 {
        self.ln_1p()
    }

    #[inline(always)]
    fn sinh(self) -> f64 {
        f64::sinh(self)
    }

    #[inline(always)]
    fn cosh(self) -> f64 {
        f64::cosh(self)
    }

    #[inline(always)]
    fn asinh(self) -> f64 {
        f64::asinh(self)
    }

    #[inline(always)]
    fn fma<const F: bool>(self, b: Self, c: Self) -> Self {
        if F { self.mul_add(b, c) } else { self * b + c }
    }

    #[inline(always)]
    fn exp_negative<const F: bool>(self) -> Self {
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
    fn log_normal<const F: bool>(self) -> Self {
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

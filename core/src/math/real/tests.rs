use super::Real;

/// Largest error of `found` in units in the last place of the f32 nearest to the truth.
fn worst(from: f32, to: f32, found: impl Fn(f32) -> f32, truth: impl Fn(f64) -> f64) -> f64 {
    let steps = 400_000;
    (0..=steps)
        .map(|i| {
            let x = from + (to - from) * (i as f32 / steps as f32);
            let truth = truth(f64::from(x));
            let near = (truth as f32).abs().max(f32::MIN_POSITIVE);
            let unit = f64::from(f32::from_bits(near.to_bits() + 1) - near);
            (f64::from(found(x)) - truth).abs() / unit
        })
        .fold(0.0, f64::max)
}

#[test]
fn f32_functions_are_within_their_error_bounds() {
    let cases: [(&str, f64, f64); 16] = [
        ("exp", 2.0, worst(-87.0, 88.7, Real::exp, f64::exp)),
        ("log", 2.0, worst(1e-6, 10.0, Real::log, f64::ln)),
        ("log, large", 2.0, worst(1.0, 1e30, Real::log, f64::ln)),
        ("tanh", 3.0, worst(-10.0, 10.0, Real::tanh, f64::tanh)),
        (
            "sigmoid",
            3.0,
            worst(-80.0, 80.0, Real::sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
        ),
        (
            "softplus",
            3.0,
            worst(-60.0, 60.0, Real::softplus, |x| {
                x.max(0.0) + (-x.abs()).exp().ln_1p()
            }),
        ),
        (
            "log_one_plus",
            3.0,
            worst(0.0, 1.0, Real::log_one_plus, f64::ln_1p),
        ),
        ("exp_m1", 4.0, worst(-20.0, 88.7, Real::exp_m1, f64::exp_m1)),
        (
            "exp_m1, near 0",
            4.0,
            worst(-1.0, 1.0, Real::exp_m1, f64::exp_m1),
        ),
        ("log_1p", 4.0, worst(-0.999, 20.0, Real::log_1p, f64::ln_1p)),
        (
            "log_1p, near 0",
            4.0,
            worst(-1e-3, 1e-3, Real::log_1p, f64::ln_1p),
        ),
        ("sinh", 4.0, worst(-89.0, 89.0, Real::sinh, f64::sinh)),
        ("sinh, near 0", 4.0, worst(-0.1, 0.1, Real::sinh, f64::sinh)),
        ("cosh", 4.0, worst(-89.0, 89.0, Real::cosh, f64::cosh)),
        ("asinh", 4.0, worst(-30.0, 30.0, Real::asinh, f64::asinh)),
        ("erf", 8.0, worst(-5.0, 5.0, Real::erf, libm::erf)),
    ];
    for (name, bound, found) in cases {
        println!("{name}: {found:.2} ulp");
        assert!(
            found <= bound,
            "{name}: {found} units in the last place, expected at most {bound}"
        );
    }
}

#[test]
fn edges() {
    assert_eq!(Real::exp(f32::INFINITY), f32::INFINITY);
    assert_eq!(Real::exp(f32::NEG_INFINITY), 0.0);
    assert!(Real::exp(f32::NAN).is_nan());
    assert_eq!(Real::exp(0f32), 1.0);
    assert_eq!(Real::log(0f32), f32::NEG_INFINITY);
    assert_eq!(Real::log(1f32), 0.0);
    assert_eq!(Real::log(f32::INFINITY), f32::INFINITY);
    assert!(Real::log(-1f32).is_nan() && Real::log(f32::NAN).is_nan());
    assert!((Real::log(1e-42f32) - 1e-42f32.ln()).abs() < 1e-4);
    assert_eq!(Real::tanh(1e30f32), 1.0);
    assert_eq!(Real::tanh(-1e30f32), -1.0);
    assert!(Real::tanh(f32::NAN).is_nan());
    assert_eq!(Real::softplus(200f32), 200.0);
    assert_eq!(Real::sigmoid(-200f32), 0.0);
    assert_eq!(Real::exp_m1(f32::INFINITY), f32::INFINITY);
    assert_eq!(Real::exp_m1(f32::NEG_INFINITY), -1.0);
    assert_eq!(Real::exp_m1(1e-30f32), 1e-30);
    assert_eq!(Real::log_1p(1e-30f32), 1e-30);
    assert_eq!(Real::log_1p(-1f32), f32::NEG_INFINITY);
    assert_eq!(Real::log_1p(f32::INFINITY), f32::INFINITY);
    assert!(Real::log_1p(-1.5f32).is_nan() && Real::exp_m1(f32::NAN).is_nan());
    assert_eq!(Real::sinh(f32::NEG_INFINITY), f32::NEG_INFINITY);
    assert_eq!(Real::sinh(1e-30f32), 1e-30);
    assert_eq!(Real::cosh(f32::NEG_INFINITY), f32::INFINITY);
    assert_eq!(Real::cosh(0f32), 1.0);
    assert_eq!(Real::asinh(f32::NEG_INFINITY), f32::NEG_INFINITY);
    assert!((Real::asinh(1e30f32) - 1e30f64.asinh() as f32).abs() < 1e-5);
    assert_eq!(Real::asinh(-1e-30f32), -1e-30);
    for nan in [Real::sinh, Real::cosh, Real::asinh] {
        assert!(nan(f32::NAN).is_nan());
    }
}

/// Largest error of `f` against `truth`, relative to `scale(truth)`.
fn worst_lane(
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
    assert!(worst_lane(xs(), |x| x.exp_negative::<true>(), f64::exp, true) < 1e-14);
    assert!(worst_lane(xs(), |x| x.exp_negative::<false>(), f64::exp, true) < 1e-14);
    let xs = || (0..86_000).map(|i| f64::from(-(i as f32) * 1e-3));
    assert!(
        worst_lane(
            xs(),
            |x| f64::from((x as f32).exp_negative::<true>()),
            f64::exp,
            true
        ) < 3e-7
    );
    assert_eq!((-1e300_f64).exp_negative::<true>(), 0.0);
    assert_eq!((-1e30_f32).exp_negative::<false>(), 0.0);
    assert!(f64::NAN.exp_negative::<true>().is_nan());
}

#[test]
fn logarithm() {
    let xs = || {
        (1..200_000)
            .map(|i| f64::from(i) * 1e-3)
            .chain((-300..300).map(|i| 10f64.powi(i)))
    };
    assert!(
        worst_lane(
            xs().filter(|&x| x != 1.0),
            |x| x.log_normal::<true>(),
            f64::ln,
            true
        ) < 1e-15
    );
    assert!(
        worst_lane(
            xs().filter(|&x| x != 1.0),
            |x| x.log_normal::<false>(),
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
        worst_lane(
            xs(),
            |x| f64::from((x as f32).log_normal::<true>()),
            f64::ln,
            true
        ) < 3e-7
    );
    assert_eq!(1f64.log_normal::<true>(), 0.0);
}

#[test]
fn hyperbolic_tangent() {
    let xs = || (-100_000..100_000).map(|i| f64::from(i) * 2e-4);
    assert!(worst_lane(xs(), |x| x.tanh_absolute::<true>(), f64::tanh, false) < 1e-14);
    assert!(
        worst_lane(
            xs(),
            |x| f64::from((x as f32).tanh_absolute::<true>()),
            |x| f64::from(x as f32).tanh(),
            false
        ) < 3e-7
    );
    assert_eq!(1e3_f64.tanh_absolute::<true>(), 1.0);
}

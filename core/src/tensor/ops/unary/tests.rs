use candle_core::{DType, Var};
use regflow_plugin::abi::op::{self, key};

use super::functions::CODES;
use crate::tensor::dispatch;
use crate::tensor::tests::{Attributes, Case, Random, close, f64s, flat, none, one, values};

/// Arguments for which a function is defined and, away from a few points, smooth.
pub(in crate::tensor) fn cases() -> Vec<Case> {
    let mut random = Random::new(119);
    let mut cases = Vec::new();
    for &code in CODES {
        let x = match code {
            op::LOG | op::SQRT | op::RECIP | op::POWF => (random.tensor(1.0, &[11]) + 1.5).unwrap(),
            op::LOG1P => random.tensor(0.9, &[5, 7]),
            op::WRAP => random.tensor(20.0, &[40]),
            _ => random.tensor(3.0, &[5, 7]),
        };
        let attributes = match code {
            op::AFFINE => vec![none().float(key::SCALE, -1.7).float(key::SHIFT, 0.3)],
            op::POWF => [2.5, -1.0, 1.0, 0.0]
                .map(|exponent| none().float(key::EXPONENT, exponent))
                .into(),
            op::CLAMP => vec![none().float(key::LOWER, -0.5).float(key::UPPER, 1.0)],
            _ => vec![none()],
        };
        cases.extend(
            attributes
                .into_iter()
                .map(|attributes| Case::new(code, vec![x.clone()]).with(attributes)),
        );
    }
    cases
}

#[test]
fn functions_of_one_variable() {
    let x = [-2.0, -0.5, 0.0, 0.25, 3.0];
    let map = |f: fn(f64) -> f64| x.map(f);
    close(&values(op::NEG, &x, &none()), &map(|x| -x));
    close(&values(op::ABS, &x, &none()), &map(f64::abs));
    close(&values(op::EXP, &x, &none()), &map(f64::exp));
    close(
        &values(op::LOG, &[0.5, 2.0], &none()),
        &[0.5f64.ln(), 2f64.ln()],
    );
    close(
        &values(op::SQRT, &[0.25, 2.0], &none()),
        &[0.5, 2f64.sqrt()],
    );
    close(&values(op::SQR, &x, &none()), &map(|x| x * x));
    close(&values(op::RECIP, &[4.0, -0.5], &none()), &[0.25, -2.0]);
    close(&values(op::SIN, &x, &none()), &map(f64::sin));
    close(&values(op::COS, &x, &none()), &map(f64::cos));
    close(&values(op::TANH, &x, &none()), &map(f64::tanh));
    close(
        &values(op::SIGMOID, &x, &none()),
        &map(|x| 0.5 * (1.0 + (0.5 * x).tanh())),
    );
    close(
        &values(op::SILU, &x, &none()),
        &map(|x| 0.5 * x * (1.0 + (0.5 * x).tanh())),
    );
    close(&values(op::RELU, &x, &none()), &[0.0, 0.0, 0.0, 0.25, 3.0]);
    // Phi(1) = 0.841344746068542949, erf(1) = 0.842700792949714869 (Abramowitz and Stegun, tables 26.1 and 7.1).
    close(
        &values(op::GELU, &[1.0, -1.0], &none()),
        &[0.841_344_746_068_543, -0.158_655_253_931_457],
    );
    close(
        &values(op::ERF, &[1.0, 0.0, 30.0], &none()),
        &[0.842_700_792_949_714_9, 0.0, 1.0],
    );
    close(
        &values(op::SOFTPLUS, &[0.0, 800.0, -800.0], &none()),
        &[2f64.ln(), 800.0, 0.0],
    );
    close(
        &values(
            op::POWF,
            &[2.0, 9.0, 0.0],
            &none().float(key::EXPONENT, 0.5),
        ),
        &[2f64.sqrt(), 3.0, 0.0],
    );
    close(
        &values(op::POWF, &[0.0, -3.0], &none().float(key::EXPONENT, 0.0)),
        &[1.0, 1.0],
    );
    let affine = none().float(key::SCALE, 2.0).float(key::SHIFT, -1.0);
    close(&values(op::AFFINE, &x, &affine), &map(|x| 2.0 * x - 1.0));
    let clamp = none().float(key::LOWER, -1.0).float(key::UPPER, 0.5);
    close(
        &values(op::CLAMP, &x, &clamp),
        &[-1.0, -0.5, 0.0, 0.25, 0.5],
    );
    let pi = std::f64::consts::PI;
    close(
        &values(op::WRAP, &[pi, -pi, 3.0 * pi + 0.5, 1.0], &none()),
        &[pi, pi, -pi + 0.5, 1.0],
    );
    close(&values(op::SINH, &x, &none()), &map(f64::sinh));
    close(&values(op::COSH, &x, &none()), &map(f64::cosh));
    close(&values(op::ASINH, &x, &none()), &map(f64::asinh));
    close(&values(op::EXPM1, &x, &none()), &map(f64::exp_m1));
    close(&values(op::LOG1P, &x[1..], &none()), &map(f64::ln_1p)[1..]);
}

#[test]
fn gradients_at_the_corners() {
    let gradient = |code, x: f64, attributes: Attributes| {
        let x = Var::from_tensor(&f64s(&[x], &[1])).unwrap();
        let y = one(code, &[&x], &attributes);
        y.sum_all()
            .unwrap()
            .backward()
            .unwrap()
            .get(&x)
            .map_or(0.0, |gradient| flat(gradient)[0])
    };
    assert_eq!(gradient(op::ABS, 0.0, none()), 0.0);
    assert_eq!(gradient(op::RELU, 0.0, none()), 0.0);
    assert_eq!(
        gradient(op::POWF, 0.0, none().float(key::EXPONENT, 0.0)),
        0.0
    );
    assert_eq!(
        gradient(op::POWF, 0.0, none().float(key::EXPONENT, 2.0)),
        0.0
    );
    assert_eq!(gradient(op::SOFTPLUS, 800.0, none()), 1.0);
    assert_eq!(gradient(op::SOFTPLUS, -800.0, none()), 0.0);
    assert_eq!(gradient(op::WRAP, std::f64::consts::PI, none()), 1.0);
    for code in [op::EXPM1, op::LOG1P, op::SINH, op::ASINH] {
        assert_eq!(gradient(code, 0.0, none()), 1.0);
    }
    assert_eq!(gradient(op::COSH, 0.0, none()), 0.0);
    assert!((gradient(op::ASINH, 1e200, none()) * 1e200 - 1.0).abs() < 1e-14);
}

/// Small arguments keep their relative accuracy, in both types, in kernels and compositions.
#[test]
fn accurate_near_0() {
    type Function = fn(f64) -> f64;
    let truths: [(u32, Function); 4] = [
        (op::EXPM1, f64::exp_m1),
        (op::LOG1P, f64::ln_1p),
        (op::SINH, f64::sinh),
        (op::ASINH, f64::asinh),
    ];
    let x: Vec<f64> = (-30..=0)
        .flat_map(|power| [0.7, -0.3].map(|sign| sign * 10f64.powi(power)))
        .collect();
    let x = f64s(&x, &[x.len()]);
    for (code, truth) in truths {
        for (dtype, tolerance) in [(DType::F64, 1e-15), (DType::F32, 5e-7)] {
            for fused in [true, false] {
                let x = x.to_dtype(dtype).unwrap();
                let y = dispatch(code, &[&x], &[], fused).unwrap().remove(0);
                for (x, y) in flat(&x).into_iter().zip(flat(&y)) {
                    let error = (y / truth(x) - 1.0).abs();
                    let name = op::name(code);
                    assert!(
                        error < tolerance,
                        "{name:?} {dtype:?} {fused}: {x:e}: {error:e}"
                    );
                }
            }
        }
    }
}

#[test]
fn angles_keep_to_one_convention() {
    let pi = f64::from(std::f32::consts::PI);
    for fused in [true, false] {
        for (dtype, end) in [(DType::F64, std::f64::consts::PI), (DType::F32, pi)] {
            let x: Vec<f64> = (-8..=8)
                .map(|half_turns| f64::from(half_turns) * end)
                .collect();
            let x = f64s(&x, &[x.len()]).to_dtype(dtype).unwrap();
            let y = dispatch(op::WRAP, &[&x], &[], fused).unwrap().remove(0);
            for (x, y) in flat(&x).into_iter().zip(flat(&y)) {
                assert!(y > -end && y <= end, "{dtype:?} {fused}: {x} becomes {y}");
                let turns = (x - y) / std::f64::consts::TAU;
                assert!(
                    (turns - turns.round()).abs() < 1e-6,
                    "{dtype:?} {fused}: {x} becomes {y}"
                );
            }
            let ends = f64s(&[end], &[1]).to_dtype(dtype).unwrap();
            let same = dispatch(op::WRAP, &[&ends], &[], fused).unwrap().remove(0);
            assert_eq!(flat(&same), [end], "the upper end stays");
        }
    }
}

//! Every gradient against central finite differences, in f64, for fused and composed operations.

use regflow_plugin::abi::op::{self, key};

use super::super::supported;
use super::{Attributes, Case, Random, difference, u32s};

/// Operations without a gradient by definition.
const WITHOUT_GRADIENT: &[u32] = &[
    op::EQ,
    op::NE,
    op::LT,
    op::LE,
    op::GT,
    op::GE,
    op::SIGN,
    op::FLOOR,
    op::DETACH,
];

fn spline_attributes(bins: i64, circular: bool, inverse: bool) -> Attributes {
    Attributes::default()
        .float(
            key::LOWER,
            if circular {
                -std::f64::consts::PI
            } else {
                -2.5
            },
        )
        .float(
            key::UPPER,
            if circular { std::f64::consts::PI } else { 3.0 },
        )
        .int(key::BINS, bins)
        .int(key::CIRCULAR, i64::from(circular))
        .int(key::INVERSE, i64::from(inverse))
        .float(key::MIN_BIN, 1e-3)
        .float(key::MIN_SLOPE, 1e-3)
}

/// Splines over the whole interval and both tails, with own and shared parameters, and a batch that fills no whole lanes.
pub(super) fn spline_cases() -> Vec<Case> {
    let mut random = Random::new(3);
    let mut cases = Vec::new();
    for (bins, rows, features) in [(1, 3, 2), (8, 7, 5), (5, 19, 3)] {
        for circular in [false, true] {
            for inverse in [false, true] {
                for shared in [false, true] {
                    let count = if circular { 3 * bins } else { 3 * bins - 1 };
                    let x = random.tensor(4.0, &[rows, features]);
                    let parameters =
                        random.tensor(2.0, &[if shared { 1 } else { rows }, features, count]);
                    let attributes = spline_attributes(bins as i64, circular, inverse);
                    cases.push(Case::new(op::RQ_SPLINE, vec![x, parameters]).with(attributes));
                }
            }
        }
    }
    cases
}

pub(super) fn cases() -> Vec<Case> {
    let mut random = Random::new(1);
    let attributes = Attributes::default;
    let mut cases = spline_cases();
    let dims = |values: &[i64]| attributes().ints(key::DIMS, values);
    let dim = |value: i64| attributes().int(key::DIM, value);

    for code in [op::ADD, op::SUB, op::MUL, op::DIV, op::MAXIMUM, op::MINIMUM] {
        for (a, b) in [
            (&[3, 4][..], &[3, 4][..]),
            (&[3, 4], &[4]),
            (&[3, 1], &[2, 1, 4]),
        ] {
            let b = random.tensor(1.0, b);
            // Divisors away from 0.
            let b = if code == op::DIV {
                (b.sqr().unwrap() + 0.5).unwrap()
            } else {
                b
            };
            cases.push(Case::new(code, vec![random.tensor(1.0, a), b]));
        }
    }
    for (condition, a, b) in [
        (&[3, 4][..], &[3, 4][..], &[3, 4][..]),
        (&[3, 1], &[4], &[2, 3, 4]),
    ] {
        let condition = random
            .tensor(1.0, condition)
            .ge(0.0)
            .unwrap()
            .to_dtype(candle_core::DType::U32)
            .unwrap();
        cases.push(Case::new(
            op::WHERE,
            vec![condition, random.tensor(1.0, a), random.tensor(1.0, b)],
        ));
    }
    for code in [
        op::NEG,
        op::ABS,
        op::EXP,
        op::SQR,
        op::SIN,
        op::COS,
        op::TANH,
        op::SIGMOID,
        op::SILU,
        op::RELU,
        op::GELU,
        op::SOFTPLUS,
        op::ERF,
    ] {
        cases.push(Case::new(code, vec![random.tensor(3.0, &[5, 7])]));
    }
    for code in [op::LOG, op::SQRT, op::RECIP] {
        cases.push(Case::new(
            code,
            vec![(random.tensor(1.0, &[11]) + 1.5).unwrap()],
        ));
    }
    let affine = attributes().float(key::SCALE, -1.7).float(key::SHIFT, 0.3);
    cases.push(Case::new(op::AFFINE, vec![random.tensor(1.0, &[3, 5])]).with(affine));
    for exponent in [2.5, -1.0, 1.0, 0.0] {
        let x = (random.tensor(1.0, &[9]) + 1.5).unwrap();
        cases.push(Case::new(op::POWF, vec![x]).with(attributes().float(key::EXPONENT, exponent)));
    }
    let clamp = attributes().float(key::LOWER, -0.5).float(key::UPPER, 1.0);
    cases.push(Case::new(op::CLAMP, vec![random.tensor(2.0, &[17])]).with(clamp));
    cases.push(Case::new(op::WRAP, vec![random.tensor(20.0, &[40])]));

    for code in [op::SUM, op::MEAN] {
        for (list, keep) in [
            (&[0, 2][..], 0),
            (&[-1], 1),
            (&[1], 0),
            (&[0, 1, 2], 0),
            (&[], 0),
        ] {
            cases.push(
                Case::new(code, vec![random.tensor(1.0, &[2, 3, 4])])
                    .with(dims(list).int(key::KEEP, keep)),
            );
        }
    }
    for code in [op::MAX, op::MIN, op::LOGSUMEXP] {
        for (at, keep) in [(0, 1), (1, 0), (-1, 0)] {
            cases.push(
                Case::new(code, vec![random.tensor(2.0, &[2, 3, 37])])
                    .with(dim(at).int(key::KEEP, keep)),
            );
        }
    }
    for code in [op::CUMSUM, op::SOFTMAX, op::LOG_SOFTMAX] {
        for at in [0, 1, -1] {
            cases.push(Case::new(code, vec![random.tensor(2.0, &[2, 3, 19])]).with(dim(at)));
        }
    }
    for shape in [&[3, 21][..], &[2, 3, 5]] {
        let width = shape[shape.len() - 1];
        let inputs = vec![
            random.tensor(2.0, shape),
            random.tensor(1.0, &[width]),
            random.tensor(1.0, &[width]),
        ];
        cases.push(Case::new(op::LAYER_NORM, inputs).with(attributes().float(key::EPSILON, 1e-5)));
    }
    for (a, b) in [
        (&[3, 4][..], &[4, 5][..]),
        (&[2, 3, 4], &[4, 5]),
        (&[3, 4], &[2, 4, 5]),
        (&[2, 1, 3, 4], &[5, 4, 2]),
    ] {
        cases.push(Case::new(
            op::MATMUL,
            vec![random.tensor(1.0, a), random.tensor(1.0, b)],
        ));
    }
    for activation in 0..=4 {
        for (x, n) in [(&[7, 5][..], 3), (&[2, 3, 4], 6), (&[130, 3], 2), (&[4], 3)] {
            let k = x[x.len() - 1];
            let inputs = vec![
                random.tensor(1.0, x),
                random.tensor(1.0, &[k, n]),
                random.tensor(1.0, &[n]),
            ];
            cases.push(
                Case::new(op::DENSE, inputs).with(attributes().int(key::ACTIVATION, activation)),
            );
        }
    }
    let reshaped = attributes().ints(key::SHAPE, &[4, 6]);
    cases.push(Case::new(op::RESHAPE, vec![random.tensor(1.0, &[2, 3, 4])]).with(reshaped));
    cases.push(Case::new(op::TRANSPOSE, vec![random.tensor(1.0, &[2, 3, 4])]).with(dims(&[0, -1])));
    cases.push(Case::new(op::PERMUTE, vec![random.tensor(1.0, &[2, 3, 4])]).with(dims(&[2, 0, 1])));
    for (at, start, len) in [(0, 1, 1), (-1, 0, 2), (1, 1, 2)] {
        let narrow = dim(at).int(key::START, start).int(key::LEN, len);
        cases.push(Case::new(op::NARROW, vec![random.tensor(1.0, &[2, 3, 4])]).with(narrow));
    }
    for at in [0, 1, -1] {
        let inputs = vec![
            random.tensor(1.0, &[2, 3]),
            random.tensor(1.0, &[2, 3]),
            random.tensor(1.0, &[2, 3]),
        ];
        cases.push(Case::new(op::CAT, inputs).with(dim(at)));
    }
    let index = u32s(&[2, 0, 0, 1, 3, 2], &[2, 3]);
    cases.push(Case::new(op::GATHER, vec![random.tensor(1.0, &[2, 4]), index]).with(dim(1)));
    for at in [0, 1, -1] {
        let index = u32s(&[1, 0, 1, 2, 2], &[5]);
        cases.push(
            Case::new(
                op::INDEX_SELECT,
                vec![random.tensor(1.0, &[3, 4, 3]), index],
            )
            .with(dim(at)),
        );
    }
    let broadcast = attributes().ints(key::SHAPE, &[2, 3, 4]);
    cases.push(Case::new(op::BROADCAST_TO, vec![random.tensor(1.0, &[3, 1])]).with(broadcast));
    cases.push(
        Case::new(op::CAST, vec![random.tensor(1.0, &[3])]).with(attributes().int(key::DTYPE, 1)),
    );
    for inverse in [0, 1] {
        for shape in [&[3, 5][..], &[17, 33]] {
            let inputs = vec![
                random.tensor(2.0, shape),
                random.tensor(3.0, shape),
                random.tensor(1.0, shape),
            ];
            let attributes = attributes()
                .float(key::LIMIT, 1.5)
                .int(key::INVERSE, inverse);
            cases.push(Case::new(op::AFFINE_COUPLING, inputs).with(attributes));
        }
    }
    cases
}

#[test]
fn gradients_equal_finite_differences() {
    for case in cases() {
        for fused in [true, false] {
            if case.inputs.iter().any(|input| input.elem_count() > 400) && !fused {
                continue;
            }
            let (_, gradients) = case.gradients(candle_core::DType::F64, fused);
            for (i, (found, expected)) in gradients
                .iter()
                .zip(case.finite_differences(fused))
                .enumerate()
            {
                let (Some(found), Some(expected)) = (found, expected) else {
                    continue;
                };
                let error = difference(found, &expected);
                let name = op::name(case.code).unwrap();
                let shapes: Vec<_> = case.inputs.iter().map(|input| input.dims()).collect();
                // Rounding of the loss (about 1e-15 times 100) over the step of 1e-5.
                assert!(
                    error < 1e-8,
                    "{name} (fused: {fused}), input {i} of {shapes:?}, {:?}: {error:e}\n{found}\n{expected}",
                    case.attributes
                );
            }
        }
    }
}

#[test]
fn every_operation_is_supported_and_its_gradient_checked() {
    let cases = cases();
    for &code in op::ALL {
        assert_eq!(supported(code), 1, "{:?}", op::name(code));
        let checked = cases.iter().any(|case| case.code == code);
        let exempt = WITHOUT_GRADIENT.contains(&code);
        assert!(
            checked != exempt,
            "{:?} needs a case in the gradient table",
            op::name(code)
        );
    }
    assert_eq!(supported(9999), 0);
}

#[test]
fn operations_without_gradient_give_none() {
    use candle_core::Var;
    let x = Var::from_tensor(&Random::new(5).tensor(1.0, &[4])).unwrap();
    for &code in WITHOUT_GRADIENT {
        let one = matches!(code, op::SIGN | op::FLOOR | op::DETACH);
        let inputs: &[&candle_core::Tensor] = if one { &[&x] } else { &[&x, &x] };
        let y = super::super::apply(code, inputs, &[]).unwrap().remove(0);
        let gradients = y.sum_all().unwrap().backward().unwrap();
        assert!(gradients.get(&x).is_none(), "{:?}", op::name(code));
    }
}

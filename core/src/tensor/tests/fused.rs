//! Fused operations against their compositions, in f64 and f32, values and gradients; splines and couplings as bijections.

use candle_core::{DType, Tensor, Var};
use regflow_plugin::abi::op::{self, key};

use super::gradients::{cases, spline_cases};
use super::{Attributes, Case, Random, difference, f64s, flat};
use crate::tensor::Gradients;

#[test]
fn fused_and_composed_operations_agree() {
    for case in cases() {
        let name = op::name(case.code).unwrap();
        // f32: condition numbers of a few hundred times 6e-8, in the splines' inverses.
        for (dtype, tolerance) in [(DType::F64, 1e-11), (DType::F32, 3e-5)] {
            let convert = |x: &Tensor| {
                if x.dtype() == DType::F64 {
                    x.to_dtype(dtype).unwrap()
                } else {
                    x.clone()
                }
            };
            let inputs: Vec<_> = case.inputs.iter().map(convert).collect();
            for (fused, composed) in case.run(&inputs, true).iter().zip(case.run(&inputs, false)) {
                let error = difference(fused, &composed);
                assert!(
                    error < tolerance,
                    "{name} {dtype:?} {:?}: values differ by {error:e}",
                    case.attributes
                );
            }
            let (_, exact) = case.gradients(DType::F64, false);
            let (_, fused) = case.gradients(dtype, true);
            for (fused, exact) in fused.iter().zip(&exact) {
                if let (Some(fused), Some(exact)) = (fused, exact) {
                    let error = difference(&fused.to_dtype(DType::F64).unwrap(), exact);
                    let tolerance = 10.0 * tolerance;
                    assert!(
                        error < tolerance,
                        "{name} {dtype:?} {:?}: gradients differ by {error:e}",
                        case.attributes
                    );
                }
            }
        }
    }
}

/// The case in the other direction.
fn turned(case: &Case) -> Attributes {
    let mut attributes = case.attributes.clone();
    for (key, _, ints) in &mut attributes.0 {
        if let (&mut key::INVERSE, Some(ints)) = (key, ints) {
            ints[0] = 1 - ints[0];
        }
    }
    attributes
}

#[test]
fn splines_are_inverted_and_their_log_derivatives_opposite() {
    for case in spline_cases() {
        let there = case.run(&case.inputs, true);
        let back = Case::new(case.code, Vec::new())
            .with(turned(&case))
            .run(&[there[0].clone(), case.inputs[1].clone()], true);
        let circular = case.inputs[1].dims()[2] % 3 == 0;
        let x = if circular {
            super::super::apply(op::WRAP, &[&case.inputs[0]], &[])
                .unwrap()
                .remove(0)
        } else {
            case.inputs[0].clone()
        };
        assert!(difference(&back[0], &x) < 1e-11, "{:?}", case.attributes);
        assert!(
            difference(&back[1], &there[1].neg().unwrap()) < 1e-10,
            "{:?}",
            case.attributes
        );
    }
}

#[test]
fn the_log_derivative_is_that_of_the_map() {
    for case in spline_cases() {
        let step = 1e-6;
        let at = |shift: f64| {
            case.run(
                &[(&case.inputs[0] + shift).unwrap(), case.inputs[1].clone()],
                true,
            )
            .remove(0)
        };
        let slope = ((at(step) - at(-step)).unwrap() / (2.0 * step)).unwrap();
        let expected = case.run(&case.inputs, true)[1].exp().unwrap();
        assert!(
            difference(&slope, &expected) < 1e-7,
            "{:?}",
            case.attributes
        );
    }
}

fn spline(bins: i64, circular: bool, inverse: bool) -> Attributes {
    Attributes::default()
        .float(key::LOWER, -5.0)
        .float(key::UPPER, 5.0)
        .int(key::BINS, bins)
        .int(key::CIRCULAR, i64::from(circular))
        .int(key::INVERSE, i64::from(inverse))
        .float(key::MIN_BIN, 1e-4)
        .float(key::MIN_SLOPE, 1e-4)
}

#[test]
fn zero_parameters_give_the_identity() {
    for circular in [false, true] {
        for inverse in [false, true] {
            let x = f64s(
                &[-7.0, -5.0, -4.99, -1.25, 0.0, 0.3, 2.5, 4.999, 5.5],
                &[9, 1],
            );
            let count = if circular { 24 } else { 23 };
            let parameters = f64s(&vec![0.0; count], &[1, 1, count]);
            let out = Case::new(op::RQ_SPLINE, vec![])
                .with(spline(8, circular, inverse))
                .run(&[x.clone(), parameters], true);
            let wrap = |x: f64| x - 10.0 * ((x + 5.0) / 10.0).floor();
            let expected: Vec<f64> = flat(&x)
                .into_iter()
                .map(|x| if circular { wrap(x) } else { x })
                .collect();
            assert!(difference(&out[0], &f64s(&expected, &[9, 1])) < 1e-14);
            assert!(flat(&out[1]).iter().all(|log| log.abs() < 1e-13));
        }
    }
}

#[test]
fn the_inverse_survives_rounding_and_extreme_parameters() {
    // Parameters of up to 60 give bins and slopes at their lower bounds beside steep ones; arguments on the knots, at both
    // ends and one rounding beside them.
    let mut random = Random::new(11);
    let (rows, features) = (2000, 3);
    for dtype in [DType::F32, DType::F64] {
        for scale in [1.0, 10.0, 60.0] {
            for circular in [false, true] {
                let count = if circular { 24 } else { 23 };
                let mut values = flat(&random.tensor(5.0, &[rows, features]));
                values[..6].copy_from_slice(&[-5.0, 5.0, -5.000001, 5.000001, -4.999999, 4.999999]);
                let x = f64s(&values, &[rows, features]).to_dtype(dtype).unwrap();
                let parameters = random
                    .tensor(scale, &[rows, features, count])
                    .to_dtype(dtype)
                    .unwrap();
                for inverse in [false, true] {
                    let case = Case::new(op::RQ_SPLINE, vec![]).with(spline(8, circular, inverse));
                    let out = case.run(&[x.clone(), parameters.clone()], true);
                    let (y, log) = (flat(&out[0]), flat(&out[1]));
                    assert!(y.iter().all(|y| y.abs() < 5.00001), "{dtype:?} {scale}");
                    assert!(log.iter().all(|log| log.is_finite()), "{dtype:?} {scale}");
                }
            }
        }
    }
}

#[test]
fn f32_round_trips_of_the_spline_are_accurate() {
    let mut random = Random::new(13);
    let x = random.tensor(6.0, &[1000, 4]).to_dtype(DType::F32).unwrap();
    let parameters = random
        .tensor(2.0, &[1000, 4, 23])
        .to_dtype(DType::F32)
        .unwrap();
    let forward = Case::new(op::RQ_SPLINE, vec![]).with(spline(8, false, false));
    let inverse = Case::new(op::RQ_SPLINE, vec![]).with(spline(8, false, true));
    let y = forward.run(&[x.clone(), parameters.clone()], true);
    let back = inverse.run(&[y[0].clone(), parameters], true);
    // Both maps round at about the size of the interval's ends; the inverse divides by the slope.
    let (x, back, log) = (flat(&x), flat(&back[0]), flat(&y[1]));
    for ((x, back), log) in x.iter().zip(&back).zip(&log) {
        let bound = 4.0 * f64::from(f32::EPSILON) * 6.0 * (1.0 + (-log).exp());
        assert!(
            (back - x).abs() < bound,
            "{back} is not {x}: slope {}",
            log.exp()
        );
    }
}

#[test]
fn affine_coupling_is_inverted_and_takes_views() {
    let mut random = Random::new(17);
    let x = random.tensor(2.0, &[37, 6]);
    let both = random.tensor(3.0, &[37, 12]);
    let (s, t) = (both.narrow(1, 0, 6).unwrap(), both.narrow(1, 6, 6).unwrap());
    let case = |inverse| {
        let attributes = Attributes::default()
            .float(key::LIMIT, 2.0)
            .int(key::INVERSE, inverse);
        Case::new(op::AFFINE_COUPLING, vec![]).with(attributes)
    };
    let y = case(0).run(&[x.clone(), s.clone(), t.clone()], true);
    let back = case(1).run(&[y[0].clone(), s.clone(), t.clone()], true);
    assert!(difference(&back[0], &x) < 1e-14);
    assert!(difference(&back[1], &y[1].neg().unwrap()) < 1e-14);
    let log_scale: Vec<f64> = flat(&s.contiguous().unwrap())
        .iter()
        .map(|s| 2.0 * (s / 2.0).tanh())
        .collect();
    let expected = f64s(&log_scale, &[37, 6]).sum(1).unwrap();
    assert!(difference(&y[1], &expected) < 1e-14);
}

#[test]
fn dense_takes_views_and_transposed_weights() {
    let mut random = Random::new(19);
    let x = random.tensor(1.0, &[300, 10]).narrow(1, 3, 5).unwrap();
    let weight = random.tensor(1.0, &[7, 5]).t().unwrap();
    let bias = random.tensor(1.0, &[7]);
    for activation in 0..=4 {
        let case = Case::new(op::DENSE, vec![])
            .with(Attributes::default().int(key::ACTIVATION, activation));
        let inputs = [x.clone(), weight.clone(), bias.clone()];
        assert!(difference(&case.run(&inputs, true)[0], &case.run(&inputs, false)[0]) < 1e-13);
    }
}

/// Widths around those of the product's vectors and tiles, in f32, where the processor's own kernel runs.
#[test]
fn wide_dense_layers_agree_with_double_precision() {
    let mut random = Random::new(23);
    for (rows, k, n) in [
        (37, 70, 113),
        (8, 16, 48),
        (3, 33, 66),
        (65, 1, 49),
        (130, 48, 16),
        (9, 1100, 20),
    ] {
        let scale = 1.0 / (k as f64).sqrt();
        let inputs = vec![
            random.tensor(1.0, &[rows, k]),
            random.tensor(scale, &[k, n]),
            random.tensor(1.0, &[n]),
        ];
        let case = Case::new(op::DENSE, inputs).with(Attributes::default().int(key::ACTIVATION, 2));
        let (value, exact) = case.gradients(DType::F64, false);
        let (rounded, fused) = case.gradients(DType::F32, true);
        // Sums of as many terms as the layer has rows or columns, of size 1, each rounded to 6e-8.
        assert!(
            (value - rounded).abs() < 6e-8 * (rows * n) as f64,
            "{rows} {k} {n}"
        );
        for (fused, exact) in fused.into_iter().zip(exact) {
            let (fused, exact) = (fused.unwrap().to_dtype(DType::F64).unwrap(), exact.unwrap());
            let error = difference(&fused, &exact);
            assert!(
                error < 6e-8 * (rows.max(n)) as f64,
                "{rows} {k} {n}: {error:e}"
            );
        }
    }
}

#[test]
fn collected_gradients_are_sums_over_passes() {
    let mut random = Random::new(29);
    let parameters: Vec<Var> = [&[33, 50][..], &[50], &[20, 50]]
        .map(|shape| Var::from_tensor(&random.tensor(1.0, shape).to_dtype(DType::F32).unwrap()))
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    let attributes = Attributes::default().int(key::ACTIVATION, 3);
    let loss = |seed| {
        let x = Random::new(seed)
            .tensor(1.0, &[20, 33])
            .to_dtype(DType::F32)
            .unwrap();
        let inputs = [
            x,
            parameters[0].as_tensor().clone(),
            parameters[1].as_tensor().clone(),
        ];
        let dense = Case::new(op::DENSE, vec![])
            .with(attributes.clone())
            .run(&inputs, true);
        // The last parameter's gradient goes through candle's store.
        (&dense[0] * parameters[2].as_tensor())
            .unwrap()
            .sum_all()
            .unwrap()
    };
    let zeros = Gradients::new(parameters.iter().map(|parameter| parameter.as_tensor()));
    let sums = zeros
        .zeros()
        .add(&loss(1))
        .unwrap()
        .add(&loss(2))
        .unwrap()
        .into_sums();
    let stores = [loss(1).backward().unwrap(), loss(2).backward().unwrap()];
    let expected: Vec<f64> = parameters
        .iter()
        .flat_map(|parameter| {
            let [first, second] = stores
                .each_ref()
                .map(|store| flat(store.get(parameter).unwrap()));
            first.into_iter().zip(second).map(|(a, b)| a + b)
        })
        .collect();
    assert_eq!(sums.len(), expected.len());
    for (sum, expected) in sums.iter().zip(&expected) {
        // Sums of 20 terms of size 1, in another order.
        assert!(
            (f64::from(*sum) - expected).abs() < 2e-5,
            "{sum} {expected}"
        );
    }
}

#[test]
fn empty_batches_pass() {
    let empty = |shape: &[usize]| f64s(&[], shape);
    let parameters = f64s(&[0.0; 46], &[1, 2, 23]);
    let out = Case::new(op::RQ_SPLINE, vec![])
        .with(spline(8, false, false))
        .run(&[empty(&[0, 2]), parameters], true);
    assert_eq!(out[0].dims(), [0, 2]);
    let dense = Case::new(op::DENSE, vec![]).with(Attributes::default().int(key::ACTIVATION, 2));
    let out = dense.run(
        &[
            empty(&[0, 3]),
            f64s(&[1.0; 6], &[3, 2]),
            f64s(&[0.0; 2], &[2]),
        ],
        true,
    );
    assert_eq!(out[0].dims(), [0, 2]);
    let coupling =
        Case::new(op::AFFINE_COUPLING, vec![]).with(Attributes::default().float(key::LIMIT, 1.0));
    let out = coupling.run(&[empty(&[0, 3]), empty(&[0, 3]), empty(&[0, 3])], true);
    assert_eq!((out[0].dims(), out[1].dims()), (&[0, 3][..], &[0][..]));
}

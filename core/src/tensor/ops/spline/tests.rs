use candle_core::DType;
use regflow_plugin::abi::op::{self, key};

use crate::tensor::tests::{Attributes, Case, Random, difference, f64s, flat, none, one};

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
pub(in crate::tensor) fn cases() -> Vec<Case> {
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

/// The case's attributes for the other direction.
fn turned(case: &Case) -> Attributes {
    let inverse = case.attributes.get(key::INVERSE);
    case.attributes
        .clone()
        .without(key::INVERSE)
        .int(key::INVERSE, 1 - inverse)
}

#[test]
fn splines_are_inverted_and_their_log_derivatives_opposite() {
    for case in cases() {
        let there = case.run(&case.inputs, true);
        let back = Case::new(case.code, Vec::new())
            .with(turned(&case))
            .run(&[there[0].clone(), case.inputs[1].clone()], true);
        let circular = case.inputs[1].dims()[2] % 3 == 0;
        let x = if circular {
            one(op::WRAP, &[&case.inputs[0]], &none())
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
    for case in cases() {
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
            let wrap = |x: f64| x - 10.0 * ((x - 5.0) / 10.0).ceil();
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
fn a_circle_ends_at_its_upper_end() {
    let pi = std::f64::consts::PI;
    let parameters = Random::new(37).tensor(1.0, &[1, 1, 24]);
    for (inverse, end) in [(0, pi), (1, pi), (0, -pi), (1, -pi)] {
        let attributes = spline_attributes(8, true, inverse == 1);
        let out = Case::new(op::RQ_SPLINE, vec![])
            .with(attributes)
            .run(&[f64s(&[end], &[1, 1]), parameters.clone()], true);
        assert!((flat(&out[0])[0] - pi).abs() < 1e-14, "{end}: {}", out[0]);
    }
}

#[test]
fn the_most_bins_are_those_of_the_table() {
    let bins = i64::from(op::MAX_SPLINE_BINS);
    let run = |bins: i64| {
        let parameters = f64s(
            &vec![0.0; 3 * bins as usize - 1],
            &[1, 1, 3 * bins as usize - 1],
        );
        let attributes = spline(bins, false, false)
            .without(key::MIN_BIN)
            .float(key::MIN_BIN, 1e-6);
        crate::tensor::apply(
            op::RQ_SPLINE,
            &[&f64s(&[0.3], &[1, 1]), &parameters],
            &attributes.list(),
        )
    };
    assert!((flat(&run(bins).unwrap()[0])[0] - 0.3).abs() < 1e-12);
    assert!(
        run(bins + 1)
            .unwrap_err()
            .to_string()
            .contains("BINS = 1025, expected 1 to 1024")
    );
}

//! Values against results known by other means, and the edges that the table's documentation names.

use candle_core::{DType, Device, Var};
use regflow_plugin::abi::op::{self, key};

use super::super::{TensorError, apply, device};
use super::{Attributes, difference, f64s, flat, u32s};

fn unary(code: u32, x: &[f64], attributes: Attributes) -> Vec<f64> {
    let x = f64s(x, &[x.len()]);
    flat(&apply(code, &[&x], &attributes.raw()).unwrap()[0])
}

fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= 2e-15 * (1.0 + expected.abs()),
            "{found} is not {expected}"
        );
    }
}

#[test]
fn functions_of_one_variable() {
    let none = Attributes::default;
    let x = [-2.0, -0.5, 0.0, 0.25, 3.0];
    let map = |f: fn(f64) -> f64| x.map(f);
    close(&unary(op::NEG, &x, none()), &map(|x| -x));
    close(&unary(op::ABS, &x, none()), &map(f64::abs));
    close(&unary(op::SIGN, &x, none()), &[-1.0, -1.0, 0.0, 1.0, 1.0]);
    close(&unary(op::EXP, &x, none()), &map(f64::exp));
    close(
        &unary(op::LOG, &[0.5, 2.0], none()),
        &[0.5f64.ln(), 2f64.ln()],
    );
    close(&unary(op::SQRT, &[0.25, 2.0], none()), &[0.5, 2f64.sqrt()]);
    close(&unary(op::SQR, &x, none()), &map(|x| x * x));
    close(&unary(op::RECIP, &[4.0, -0.5], none()), &[0.25, -2.0]);
    close(&unary(op::SIN, &x, none()), &map(f64::sin));
    close(&unary(op::COS, &x, none()), &map(f64::cos));
    close(&unary(op::TANH, &x, none()), &map(f64::tanh));
    close(
        &unary(op::SIGMOID, &x, none()),
        &map(|x| 0.5 * (1.0 + (0.5 * x).tanh())),
    );
    close(
        &unary(op::SILU, &x, none()),
        &map(|x| 0.5 * x * (1.0 + (0.5 * x).tanh())),
    );
    close(&unary(op::RELU, &x, none()), &[0.0, 0.0, 0.0, 0.25, 3.0]);
    // Phi(1) = 0.841344746068542949, erf(1) = 0.842700792949714869 (Abramowitz and Stegun, tables 26.1 and 7.1).
    close(
        &unary(op::GELU, &[1.0, -1.0], none()),
        &[0.841_344_746_068_543, -0.158_655_253_931_457],
    );
    close(
        &unary(op::ERF, &[1.0, 0.0, 30.0], none()),
        &[0.842_700_792_949_714_9, 0.0, 1.0],
    );
    close(
        &unary(op::SOFTPLUS, &[0.0, 800.0, -800.0], none()),
        &[2f64.ln(), 800.0, 0.0],
    );
    close(&unary(op::FLOOR, &x, none()), &[-2.0, -1.0, 0.0, 0.0, 3.0]);
    close(
        &unary(op::POWF, &[2.0, 9.0, 0.0], none().float(key::EXPONENT, 0.5)),
        &[2f64.sqrt(), 3.0, 0.0],
    );
    close(
        &unary(op::POWF, &[0.0, -3.0], none().float(key::EXPONENT, 0.0)),
        &[1.0, 1.0],
    );
    let affine = none().float(key::SCALE, 2.0).float(key::SHIFT, -1.0);
    close(&unary(op::AFFINE, &x, affine), &map(|x| 2.0 * x - 1.0));
    let clamp = none().float(key::LOWER, -1.0).float(key::UPPER, 0.5);
    close(&unary(op::CLAMP, &x, clamp), &[-1.0, -0.5, 0.0, 0.25, 0.5]);
    let pi = std::f64::consts::PI;
    close(
        &unary(op::WRAP, &[pi, -pi, 3.0 * pi + 0.5, 1.0], none()),
        &[-pi, -pi, -pi + 0.5, 1.0],
    );
}

#[test]
fn gradients_at_the_corners() {
    let gradient = |code, x: f64, attributes: Attributes| {
        let x = Var::from_tensor(&f64s(&[x], &[1])).unwrap();
        let y = apply(code, &[&x], &attributes.raw()).unwrap().remove(0);
        y.sum_all()
            .unwrap()
            .backward()
            .unwrap()
            .get(&x)
            .map_or(0.0, |gradient| flat(gradient)[0])
    };
    let none = Attributes::default;
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
}

#[test]
fn comparison_and_selection() {
    let (a, b) = (f64s(&[1.0, 2.0, 3.0], &[3]), f64s(&[2.0], &[1]));
    for (code, expected) in [
        (op::EQ, [0.0, 1.0, 0.0]),
        (op::NE, [1.0, 0.0, 1.0]),
        (op::LT, [1.0, 0.0, 0.0]),
        (op::LE, [1.0, 1.0, 0.0]),
        (op::GT, [0.0, 0.0, 1.0]),
        (op::GE, [0.0, 1.0, 1.0]),
    ] {
        let truth = apply(code, &[&a, &b], &[]).unwrap().remove(0);
        assert_eq!(truth.dtype(), DType::F64);
        assert_eq!(flat(&truth), expected);
    }
    let condition = f64s(&[0.0, -0.5, 1.0], &[3]);
    let chosen = apply(op::WHERE, &[&condition, &a, &b], &[])
        .unwrap()
        .remove(0);
    assert_eq!(flat(&chosen), [2.0, 2.0, 3.0]);
    let indices = u32s(&[1, 2, 3], &[3]);
    let truth = apply(op::EQ, &[&indices, &u32s(&[2], &[1])], &[])
        .unwrap()
        .remove(0);
    assert_eq!(
        (truth.dtype(), flat(&truth)),
        (DType::U32, vec![0.0, 1.0, 0.0])
    );
}

#[test]
fn reductions_and_normalisation() {
    let x = f64s(&[1.0, 2.0, 3.0, 4.0, 5.0, 9.0], &[2, 3]);
    let run =
        |code, attributes: Attributes| apply(code, &[&x], &attributes.raw()).unwrap().remove(0);
    let dim = |dim| Attributes::default().int(key::DIM, dim);
    assert_eq!(
        flat(&run(op::SUM, Attributes::default().ints(key::DIMS, &[1]))),
        [6.0, 18.0]
    );
    assert_eq!(
        flat(&run(
            op::MEAN,
            Attributes::default().ints(key::DIMS, &[-1, 0])
        )),
        [4.0]
    );
    assert_eq!(run(op::MAX, dim(0).int(key::KEEP, 1)).dims(), [1, 3]);
    assert_eq!(flat(&run(op::MAX, dim(0))), [4.0, 5.0, 9.0]);
    assert_eq!(flat(&run(op::MIN, dim(1))), [1.0, 4.0]);
    assert_eq!(
        flat(&run(op::CUMSUM, dim(1))),
        [1.0, 3.0, 6.0, 4.0, 9.0, 18.0]
    );
    let sum = |row: [f64; 3]| row.iter().map(|x| x.exp()).sum::<f64>();
    let log_sums = [sum([1.0, 2.0, 3.0]).ln(), sum([4.0, 5.0, 9.0]).ln()];
    close(&flat(&run(op::LOGSUMEXP, dim(1))), &log_sums);
    let expected: Vec<f64> = flat(&x)
        .iter()
        .enumerate()
        .map(|(i, x)| x - log_sums[i / 3])
        .collect();
    close(&flat(&run(op::LOG_SOFTMAX, dim(1))), &expected);
    close(
        &flat(&run(op::SOFTMAX, dim(1))),
        &expected.iter().map(|x| x.exp()).collect::<Vec<_>>(),
    );
    let large = (&x * 1e4).unwrap();
    let y = apply(op::SOFTMAX, &[&large], &dim(1).raw())
        .unwrap()
        .remove(0);
    assert_eq!(flat(&y), [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);

    let (weight, bias) = (f64s(&[1.0, 2.0, 1.0], &[3]), f64s(&[0.0, 0.0, 1.0], &[3]));
    let epsilon = Attributes::default().float(key::EPSILON, 0.0);
    let y = apply(op::LAYER_NORM, &[&x, &weight, &bias], &epsilon.raw())
        .unwrap()
        .remove(0);
    let deviation = (2.0f64 / 3.0).sqrt();
    close(
        &flat(&y)[..3],
        &[-1.0 / deviation, 0.0, 1.0 / deviation + 1.0],
    );
}

#[test]
fn movement_of_entries() {
    let x = f64s(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], &[2, 3]);
    let index = u32s(&[2, 0], &[2]);
    let run = |code, inputs: &[&candle_core::Tensor], attributes: Attributes| {
        flat(
            &apply(code, inputs, &attributes.raw()).unwrap()[0]
                .contiguous()
                .unwrap(),
        )
    };
    let dim = |dim| Attributes::default().int(key::DIM, dim);
    assert_eq!(
        run(op::INDEX_SELECT, &[&x, &index], dim(1)),
        [2.0, 0.0, 5.0, 3.0]
    );
    assert_eq!(
        run(op::INDEX_SELECT, &[&x, &u32s(&[1, 1], &[2])], dim(0)),
        [3.0, 4.0, 5.0, 3.0, 4.0, 5.0]
    );
    assert_eq!(
        run(op::GATHER, &[&x, &u32s(&[2, 0], &[2, 1])], dim(1)),
        [2.0, 3.0]
    );
    assert_eq!(
        run(op::CAT, &[&x, &x], dim(1)),
        [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 3.0, 4.0, 5.0]
    );
    assert_eq!(
        run(
            op::TRANSPOSE,
            &[&x],
            Attributes::default().ints(key::DIMS, &[0, 1])
        ),
        [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    );
    let narrow = dim(-1).int(key::START, 1).int(key::LEN, 2);
    assert_eq!(run(op::NARROW, &[&x], narrow), [1.0, 2.0, 4.0, 5.0]);
    let cast = apply(
        op::CAST,
        &[&x],
        &Attributes::default().int(key::DTYPE, 2).raw(),
    )
    .unwrap()
    .remove(0);
    assert_eq!(cast.dtype(), DType::U32);
}

#[test]
fn selection_of_columns_equals_candles() {
    let mut random = super::Random::new(23);
    let x = random.tensor(1.0, &[700, 66]);
    let index: Vec<u32> = (0..90).map(|i| (i * 31 + 7) % 66).collect();
    let index = u32s(&index, &[90]);
    let attributes = Attributes::default().int(key::DIM, 1);
    let found = apply(op::INDEX_SELECT, &[&x, &index], &attributes.raw())
        .unwrap()
        .remove(0);
    assert_eq!(difference(&found, &x.index_select(&index, 1).unwrap()), 0.0);
}

#[test]
fn devices_by_name() {
    assert!(matches!(device("cpu"), Ok(Device::Cpu)));
    for name in ["gpu", "cuda", "cuda:", "cuda:x", "CPU", ""] {
        assert!(
            matches!(device(name), Err(TensorError::UnknownDevice { .. })),
            "{name}"
        );
    }
    if !candle_core::utils::cuda_is_available() {
        let message = device("cuda:0").unwrap_err().to_string();
        assert!(message.contains("--features cuda"), "{message}");
    }
}

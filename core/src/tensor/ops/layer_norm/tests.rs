use regflow_plugin::abi::op::{self, key};

use crate::tensor::tests::{Case, Random, close, f64s, flat, none, one};

pub(in crate::tensor) fn cases() -> Vec<Case> {
    let mut random = Random::new(109);
    [&[3, 21][..], &[2, 3, 5]]
        .into_iter()
        .map(|shape| {
            let width = shape[shape.len() - 1];
            let inputs = vec![
                random.tensor(2.0, shape),
                random.tensor(1.0, &[width]),
                random.tensor(1.0, &[width]),
            ];
            Case::new(op::LAYER_NORM, inputs).with(none().float(key::EPSILON, 1e-5))
        })
        .collect()
}

#[test]
fn rows_are_standardised() {
    let x = f64s(&[1.0, 2.0, 3.0, 4.0, 5.0, 9.0], &[2, 3]);
    let (weight, bias) = (f64s(&[1.0, 2.0, 1.0], &[3]), f64s(&[0.0, 0.0, 1.0], &[3]));
    let epsilon = none().float(key::EPSILON, 0.0);
    let y = one(op::LAYER_NORM, &[&x, &weight, &bias], &epsilon);
    let deviation = (2.0f64 / 3.0).sqrt();
    close(
        &flat(&y)[..3],
        &[-1.0 / deviation, 0.0, 1.0 / deviation + 1.0],
    );
}

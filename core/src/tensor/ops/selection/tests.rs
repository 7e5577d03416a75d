use candle_core::DType;
use regflow_plugin::abi::op;

use crate::tensor::tests::{Case, Random, f64s, flat, none, one};

pub(in crate::tensor) fn cases() -> Vec<Case> {
    let mut random = Random::new(103);
    [
        (&[3, 4][..], &[3, 4][..], &[3, 4][..]),
        (&[3, 1], &[4], &[2, 3, 4]),
    ]
    .into_iter()
    .map(|(condition, a, b)| {
        let condition = random.tensor(1.0, condition).ge(0.0).unwrap();
        let condition = condition.to_dtype(DType::U32).unwrap();
        let inputs = vec![condition, random.tensor(1.0, a), random.tensor(1.0, b)];
        Case::new(op::WHERE, inputs)
    })
    .collect()
}

#[test]
fn anything_but_0_chooses_the_first() {
    let condition = f64s(&[0.0, -0.5, 1.0], &[3]);
    let (a, b) = (f64s(&[1.0, 2.0, 3.0], &[3]), f64s(&[7.0], &[1]));
    let chosen = one(op::WHERE, &[&condition, &a, &b], &none());
    assert_eq!(flat(&chosen), [7.0, 2.0, 3.0]);
}

use candle_core::DType;
use regflow_plugin::abi::op;

use crate::tensor::tests::{Case, Random, f64s, flat, none, one, u32s};

const CODES: [u32; 6] = [op::EQ, op::NE, op::LT, op::LE, op::GT, op::GE];

pub(in crate::tensor) fn cases() -> Vec<Case> {
    let mut random = Random::new(102);
    CODES
        .iter()
        .map(|&code| {
            let inputs = vec![random.tensor(1.0, &[3, 4]), random.tensor(1.0, &[4])];
            Case::new(code, inputs)
        })
        .collect()
}

#[test]
fn truth_is_1_in_the_type_of_the_first() {
    let (a, b) = (f64s(&[1.0, 2.0, 3.0], &[3]), f64s(&[2.0], &[1]));
    let expected = [
        [0.0, 1.0, 0.0],
        [1.0, 0.0, 1.0],
        [1.0, 0.0, 0.0],
        [1.0, 1.0, 0.0],
        [0.0, 0.0, 1.0],
        [0.0, 1.0, 1.0],
    ];
    for (code, expected) in CODES.into_iter().zip(expected) {
        let truth = one(code, &[&a, &b], &none());
        assert_eq!(
            (truth.dtype(), flat(&truth)),
            (DType::F64, expected.to_vec())
        );
    }
    let truth = one(
        op::EQ,
        &[&u32s(&[1, 2, 3], &[3]), &u32s(&[2], &[1])],
        &none(),
    );
    assert_eq!(
        (truth.dtype(), flat(&truth)),
        (DType::U32, vec![0.0, 1.0, 0.0])
    );
}

use regflow_plugin::abi::op;

use crate::tensor::tests::{Case, Random, dim, f64s, flat, one, u32s};

pub(in crate::tensor) fn cases() -> Vec<Case> {
    let index = u32s(&[2, 0, 0, 1, 3, 2], &[2, 3]);
    let inputs = vec![Random::new(114).tensor(1.0, &[2, 4]), index];
    vec![Case::new(op::GATHER, inputs).with(dim(1))]
}

#[test]
fn entries_are_those_of_the_index() {
    let x = f64s(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], &[2, 3]);
    let y = one(op::GATHER, &[&x, &u32s(&[2, 0], &[2, 1])], &dim(1));
    assert_eq!(flat(&y), [2.0, 3.0]);
}

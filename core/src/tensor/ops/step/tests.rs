use regflow_plugin::abi::op;

use crate::tensor::tests::{Case, Random, none, values};

pub(in crate::tensor) fn cases() -> Vec<Case> {
    let mut random = Random::new(104);
    [op::SIGN, op::FLOOR]
        .map(|code| Case::new(code, vec![random.tensor(3.0, &[4, 3])]))
        .into()
}

#[test]
fn values_are_exact() {
    let x = [-2.0, -0.5, 0.0, 0.25, 3.0];
    assert_eq!(values(op::SIGN, &x, &none()), [-1.0, -1.0, 0.0, 1.0, 1.0]);
    assert_eq!(values(op::FLOOR, &x, &none()), [-2.0, -1.0, 0.0, 0.0, 3.0]);
}

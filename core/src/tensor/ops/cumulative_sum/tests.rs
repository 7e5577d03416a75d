use regflow_plugin::abi::op;

use crate::tensor::tests::{Case, Random, dim, f64s, flat, one};

pub(in crate::tensor) fn cases() -> Vec<Case> {
    let mut random = Random::new(107);
    [0, 1, -1]
        .map(|at| Case::new(op::CUMSUM, vec![random.tensor(2.0, &[2, 3, 19])]).with(dim(at)))
        .into()
}

#[test]
fn values_are_partial_sums() {
    let x = f64s(&[1.0, 2.0, 3.0, 4.0, 5.0, 9.0], &[2, 3]);
    let y = one(op::CUMSUM, &[&x], &dim(1));
    assert_eq!(flat(&y), [1.0, 3.0, 6.0, 4.0, 9.0, 18.0]);
}

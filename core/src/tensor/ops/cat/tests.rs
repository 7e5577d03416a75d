use regflow_plugin::abi::op;

use crate::tensor::tests::{Case, Random, dim, f64s, flat, one};

pub(in crate::tensor) fn cases() -> Vec<Case> {
    let mut random = Random::new(113);
    [0, 1, -1]
        .map(|at| {
            let inputs = (0..3).map(|_| random.tensor(1.0, &[2, 3])).collect();
            Case::new(op::CAT, inputs).with(dim(at))
        })
        .into()
}

#[test]
fn parts_follow_each_other() {
    let (a, b) = (
        f64s(&[0.0, 1.0], &[2, 1]),
        f64s(&[2.0, 3.0, 4.0, 5.0], &[2, 2]),
    );
    let y = one(op::CAT, &[&a, &b], &dim(1));
    assert_eq!(flat(&y), [0.0, 2.0, 3.0, 1.0, 4.0, 5.0]);
}

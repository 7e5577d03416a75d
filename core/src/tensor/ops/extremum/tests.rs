use regflow_plugin::abi::op::{self, key};

use crate::tensor::tests::{Case, Random, dim, f64s, flat, one};

pub(in crate::tensor) fn cases() -> Vec<Case> {
    let mut random = Random::new(106);
    let mut cases = Vec::new();
    for code in [op::MAX, op::MIN] {
        for (at, keep) in [(0, 1), (1, 0), (-1, 0)] {
            let attributes = dim(at).int(key::KEEP, keep);
            cases.push(Case::new(code, vec![random.tensor(2.0, &[2, 3, 37])]).with(attributes));
        }
    }
    cases
}

#[test]
fn values_are_the_largest_and_smallest() {
    let x = f64s(&[1.0, 2.0, 3.0, 4.0, 5.0, 9.0], &[2, 3]);
    assert_eq!(
        one(op::MAX, &[&x], &dim(0).int(key::KEEP, 1)).dims(),
        [1, 3]
    );
    assert_eq!(flat(&one(op::MAX, &[&x], &dim(0))), [4.0, 5.0, 9.0]);
    assert_eq!(flat(&one(op::MIN, &[&x], &dim(1))), [1.0, 4.0]);
}

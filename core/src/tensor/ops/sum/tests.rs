use regflow_plugin::abi::op::{self, key};

use crate::tensor::tests::{Case, Random, dims, f64s, flat, one};

pub(in crate::tensor) fn cases() -> Vec<Case> {
    let mut random = Random::new(105);
    let mut cases = Vec::new();
    for code in [op::SUM, op::MEAN] {
        for (list, keep) in [
            (&[0, 2][..], 0),
            (&[-1], 1),
            (&[1], 0),
            (&[0, 1, 2], 0),
            (&[], 0),
        ] {
            let attributes = dims(list).int(key::KEEP, keep);
            cases.push(Case::new(code, vec![random.tensor(1.0, &[2, 3, 4])]).with(attributes));
        }
    }
    cases
}

#[test]
fn values_are_sums_and_means() {
    let x = f64s(&[1.0, 2.0, 3.0, 4.0, 5.0, 9.0], &[2, 3]);
    assert_eq!(flat(&one(op::SUM, &[&x], &dims(&[1]))), [6.0, 18.0]);
    assert_eq!(flat(&one(op::MEAN, &[&x], &dims(&[-1, 0]))), [4.0]);
    let kept = one(op::SUM, &[&x], &dims(&[0]).int(key::KEEP, 1));
    assert_eq!(
        (kept.dims(), flat(&kept)),
        (&[1, 3][..], vec![5.0, 7.0, 12.0])
    );
}

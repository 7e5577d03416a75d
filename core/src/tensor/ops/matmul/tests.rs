use regflow_plugin::abi::op;

use crate::tensor::tests::{Case, Random, f64s, flat, none, one};

pub(in crate::tensor) fn cases() -> Vec<Case> {
    let mut random = Random::new(110);
    [
        (&[3, 4][..], &[4, 5][..]),
        (&[2, 3, 4], &[4, 5]),
        (&[3, 4], &[2, 4, 5]),
        (&[2, 1, 3, 4], &[5, 4, 2]),
    ]
    .into_iter()
    .map(|(a, b)| {
        Case::new(
            op::MATMUL,
            vec![random.tensor(1.0, a), random.tensor(1.0, b)],
        )
    })
    .collect()
}

#[test]
fn values_of_a_small_product() {
    let a = f64s(&[1.0, 2.0, 3.0, 4.0], &[2, 2]);
    let b = f64s(&[5.0, 6.0, 7.0, 8.0], &[2, 2]);
    assert_eq!(
        flat(&one(op::MATMUL, &[&a, &b], &none())),
        [19.0, 22.0, 43.0, 50.0]
    );
    let y = one(op::MATMUL, &[&a.t().unwrap(), &b], &none());
    assert_eq!(flat(&y), [26.0, 30.0, 38.0, 44.0]);
}

use regflow_plugin::abi::op;

use crate::tensor::tests::{Case, Random, f64s, flat, none, one};

pub(in crate::tensor) fn cases() -> Vec<Case> {
    let mut random = Random::new(101);
    let mut cases = Vec::new();
    for code in [op::ADD, op::SUB, op::MUL, op::DIV, op::MAXIMUM, op::MINIMUM] {
        for (a, b) in [
            (&[3, 4][..], &[3, 4][..]),
            (&[3, 4], &[4]),
            (&[3, 1], &[2, 1, 4]),
        ] {
            let b = random.tensor(1.0, b);
            // Divisors away from 0.
            let b = if code == op::DIV {
                (b.sqr().unwrap() + 0.5).unwrap()
            } else {
                b
            };
            cases.push(Case::new(code, vec![random.tensor(1.0, a), b]));
        }
    }
    cases
}

#[test]
fn values_broadcast() {
    let (a, b) = (
        f64s(&[1.0, 2.0, 3.0, 4.0], &[2, 2]),
        f64s(&[2.0, 4.0], &[2]),
    );
    for (code, expected) in [
        (op::ADD, [3.0, 6.0, 5.0, 8.0]),
        (op::SUB, [-1.0, -2.0, 1.0, 0.0]),
        (op::MUL, [2.0, 8.0, 6.0, 16.0]),
        (op::DIV, [0.5, 0.5, 1.5, 1.0]),
        (op::MAXIMUM, [2.0, 4.0, 3.0, 4.0]),
        (op::MINIMUM, [1.0, 2.0, 2.0, 4.0]),
    ] {
        assert_eq!(
            flat(&one(code, &[&a, &b], &none())),
            expected,
            "{:?}",
            op::name(code)
        );
    }
}

#[test]
fn equal_entries_share_the_gradient_of_their_maximum() {
    for code in [op::MAXIMUM, op::MINIMUM] {
        let case = Case::new(code, vec![f64s(&[1.0, 2.0], &[2]), f64s(&[1.0, 2.0], &[2])]);
        let (_, gradients) = case.gradients(candle_core::DType::F64, true);
        let [Some(a), Some(b)] = &gradients[..] else {
            panic!("two gradients");
        };
        assert_eq!(flat(a), flat(b));
    }
}

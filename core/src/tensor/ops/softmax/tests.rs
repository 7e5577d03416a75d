use regflow_plugin::abi::op::{self, key};

use crate::tensor::tests::{Case, Random, close, dim, f64s, flat, one};

pub(in crate::tensor) fn cases() -> Vec<Case> {
    let mut random = Random::new(108);
    let mut cases = Vec::new();
    for (at, keep) in [(0, 1), (1, 0), (-1, 0)] {
        let x = vec![random.tensor(2.0, &[2, 3, 37])];
        cases.push(Case::new(op::LOGSUMEXP, x).with(dim(at).int(key::KEEP, keep)));
    }
    for code in [op::SOFTMAX, op::LOG_SOFTMAX] {
        for at in [0, 1, -1] {
            cases.push(Case::new(code, vec![random.tensor(2.0, &[2, 3, 19])]).with(dim(at)));
        }
    }
    cases
}

#[test]
fn values_follow_their_formulas() {
    let x = f64s(&[1.0, 2.0, 3.0, 4.0, 5.0, 9.0], &[2, 3]);
    let sum = |row: [f64; 3]| row.iter().map(|x| x.exp()).sum::<f64>();
    let log_sums = [sum([1.0, 2.0, 3.0]).ln(), sum([4.0, 5.0, 9.0]).ln()];
    close(&flat(&one(op::LOGSUMEXP, &[&x], &dim(1))), &log_sums);
    let expected: Vec<f64> = flat(&x)
        .iter()
        .enumerate()
        .map(|(i, x)| x - log_sums[i / 3])
        .collect();
    close(&flat(&one(op::LOG_SOFTMAX, &[&x], &dim(1))), &expected);
    let expected: Vec<f64> = expected.iter().map(|x| x.exp()).collect();
    close(&flat(&one(op::SOFTMAX, &[&x], &dim(1))), &expected);
    let large = (&x * 1e4).unwrap();
    let y = one(op::SOFTMAX, &[&large], &dim(1));
    assert_eq!(flat(&y), [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
}

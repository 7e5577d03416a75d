use regflow_plugin::abi::op;

use crate::tensor::tests::{Case, Random, difference, dim, f64s, flat, one, u32s};

pub(in crate::tensor) fn cases() -> Vec<Case> {
    let mut random = Random::new(115);
    [0, 1, -1]
        .map(|at| {
            let index = u32s(&[1, 0, 1, 2, 2], &[5]);
            let inputs = vec![random.tensor(1.0, &[3, 4, 3]), index];
            Case::new(op::INDEX_SELECT, inputs).with(dim(at))
        })
        .into()
}

#[test]
fn rows_are_those_of_the_index() {
    let x = f64s(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], &[2, 3]);
    let run = |index: &[u32], at| flat(&one(op::INDEX_SELECT, &[&x, &u32s(index, &[2])], &dim(at)));
    assert_eq!(run(&[2, 0], 1), [2.0, 0.0, 5.0, 3.0]);
    assert_eq!(run(&[1, 1], 0), [3.0, 4.0, 5.0, 3.0, 4.0, 5.0]);
}

#[test]
fn selection_of_columns_equals_candles() {
    let x = Random::new(23).tensor(1.0, &[700, 66]);
    let index: Vec<u32> = (0..90).map(|i| (i * 31 + 7) % 66).collect();
    let index = u32s(&index, &[90]);
    let found = one(op::INDEX_SELECT, &[&x, &index], &dim(1));
    assert_eq!(difference(&found, &x.index_select(&index, 1).unwrap()), 0.0);
}

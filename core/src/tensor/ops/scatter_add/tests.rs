use regflow_plugin::abi::op;

use crate::tensor::tests::{Case, Random, dim, f64s, flat, one, u32s};

pub(in crate::tensor) fn cases() -> Vec<Case> {
    let mut random = Random::new(116);
    // Places used once, several times and never; more and fewer entries than the tensor has.
    [
        (&[2, 4][..], &[2, 3][..], 1),
        (&[3, 2], &[5, 2], 0),
        (&[2, 3, 2], &[2, 4, 2], -2),
    ]
    .into_iter()
    .map(|(shape, places, at)| {
        let count: usize = places.iter().product();
        let index: Vec<u32> = (0..count as u32).map(|i| (i * i + 1) % 3).collect();
        let inputs = vec![
            random.tensor(1.0, shape),
            u32s(&index, places),
            random.tensor(1.0, places),
        ];
        Case::new(op::SCATTER_ADD, inputs).with(dim(at))
    })
    .collect()
}

#[test]
fn entries_are_added_where_the_index_says() {
    let x = f64s(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]);
    let index = u32s(&[2, 2, 0, 1], &[2, 2]);
    let source = f64s(&[10.0, 20.0, 30.0, 40.0], &[2, 2]);
    let y = one(op::SCATTER_ADD, &[&x, &index, &source], &dim(1));
    assert_eq!(flat(&y), [1.0, 2.0, 33.0, 34.0, 45.0, 6.0]);
}

#[test]
fn places_beyond_the_tensor_are_refused() {
    let x = f64s(&[1.0, 2.0], &[2]);
    let inputs = [&x, &u32s(&[0, 2], &[2]), &x];
    let error = crate::tensor::apply(op::SCATTER_ADD, &inputs, &dim(0).list()).unwrap_err();
    assert!(error.to_string().starts_with("SCATTER_ADD: "), "{error}");
}

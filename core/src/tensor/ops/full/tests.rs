use candle_core::DType;
use regflow_plugin::abi::op::{self, key};

use crate::tensor::tests::{Attributes, Case, Random, f64s, flat, none, one, u32s};

fn full(shape: &[i64], value: f64) -> Attributes {
    none().ints(key::SHAPE, shape).float(key::VALUE, value)
}

pub(in crate::tensor) fn cases() -> Vec<Case> {
    let like = Random::new(117).tensor(1.0, &[2, 3]);
    vec![Case::new(op::FULL, vec![like]).with(full(&[4, 2], -1.5))]
}

#[test]
fn type_and_device_are_those_of_the_other_tensor() {
    let y = one(op::FULL, &[&f64s(&[7.0], &[1])], &full(&[2, 2], 0.25));
    assert_eq!((y.dims(), flat(&y)), (&[2, 2][..], vec![0.25; 4]));
    assert!(y.is_contiguous());
    let index = u32s(&[1], &[1]);
    let y = one(op::FULL, &[&index], &full(&[3], 5.0));
    assert_eq!((y.dtype(), flat(&y)), (DType::U32, vec![5.0; 3]));
    assert_eq!(one(op::FULL, &[&index], &full(&[0, 3], 0.0)).dims(), [0, 3]);
    for value in [-1.0, 0.5, 4_294_967_296.0] {
        let attributes = full(&[3], value);
        let error = crate::tensor::apply(op::FULL, &[&index], &attributes.list()).unwrap_err();
        assert!(error.to_string().contains("an integer from 0"), "{error}");
    }
}

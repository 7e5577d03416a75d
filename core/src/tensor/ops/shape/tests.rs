use candle_core::{DType, Tensor};
use regflow_plugin::abi::op::{self, key};

use crate::tensor::tests::{Attributes, Case, Random, dim, dims, f64s, flat, none, one};

pub(in crate::tensor) fn cases() -> Vec<Case> {
    let mut random = Random::new(112);
    let mut case = |code, shape: &[usize], attributes| {
        Case::new(code, vec![random.tensor(1.0, shape)]).with(attributes)
    };
    let narrow = |at, start, len| dim(at).int(key::START, start).int(key::LEN, len);
    vec![
        case(op::RESHAPE, &[2, 3, 4], none().ints(key::SHAPE, &[4, 6])),
        case(op::TRANSPOSE, &[2, 3, 4], dims(&[0, -1])),
        case(op::PERMUTE, &[2, 3, 4], dims(&[2, 0, 1])),
        case(op::NARROW, &[2, 3, 4], narrow(0, 1, 1)),
        case(op::NARROW, &[2, 3, 4], narrow(-1, 0, 2)),
        case(op::NARROW, &[2, 3, 4], narrow(1, 1, 2)),
        case(
            op::BROADCAST_TO,
            &[3, 1],
            none().ints(key::SHAPE, &[2, 3, 4]),
        ),
        case(op::CAST, &[3], none().int(key::DTYPE, 1)),
        case(op::DETACH, &[3], none()),
    ]
}

#[test]
fn entries_are_where_they_should_be() {
    let x = f64s(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], &[2, 3]);
    let run = |code, attributes: Attributes| -> Vec<f64> {
        let y: Tensor = one(code, &[&x], &attributes);
        flat(&y.contiguous().unwrap())
    };
    assert_eq!(
        run(op::TRANSPOSE, dims(&[0, 1])),
        [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    );
    assert_eq!(
        run(op::PERMUTE, dims(&[-1, 0])),
        [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    );
    let narrow = dim(-1).int(key::START, 1).int(key::LEN, 2);
    assert_eq!(run(op::NARROW, narrow), [1.0, 2.0, 4.0, 5.0]);
    let shape = none().ints(key::SHAPE, &[2, 2, 3]);
    assert_eq!(run(op::BROADCAST_TO, shape), [flat(&x), flat(&x)].concat());
}

#[test]
fn casts_cut_off_fractions() {
    let y = one(
        op::CAST,
        &[&f64s(&[0.9, 2.5], &[2])],
        &none().int(key::DTYPE, 2),
    );
    assert_eq!((y.dtype(), flat(&y)), (DType::U32, vec![0.0, 2.0]));
}

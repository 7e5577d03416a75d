//! Bad calls are refused with a message that names the operation and the fact, never a panic.

use candle_core::{DType, Tensor};
use regflow_plugin::abi::op::{self, key};

use super::super::apply;
use super::{Attributes, f64s, u32s};

fn message(code: u32, inputs: &[&Tensor], attributes: Attributes) -> String {
    apply(code, inputs, &attributes.list())
        .unwrap_err()
        .to_string()
}

#[test]
fn messages_name_operation_and_fact() {
    let none = Attributes::default;
    let dim = |dim| none().int(key::DIM, dim);
    let x = f64s(&[1.0; 6], &[2, 3]);
    let single = x.to_dtype(DType::F32).unwrap();
    let index = u32s(&[0, 5], &[2]);
    let (pair, square) = (f64s(&[1.0; 2], &[2]), f64s(&[1.0; 4], &[2, 2]));
    let shape = |values: &[i64]| none().ints(key::SHAPE, values);
    let table: Vec<(u32, Vec<&Tensor>, Attributes, &str)> = vec![
        (9999, vec![&x], none(), "unknown operation code 9999"),
        (
            op::ADD,
            vec![&x],
            none(),
            "ADD: expected 2 input tensors, found 1",
        ),
        (
            op::ADD,
            vec![&x, &single],
            none(),
            "ADD: input 1 has dtype F32, expected F64",
        ),
        (
            op::EXP,
            vec![&index],
            none(),
            "EXP: input 0 has dtype U32, expected F32 or F64",
        ),
        (
            op::ADD,
            vec![&x, &index],
            none(),
            "ADD: input 1 has dtype U32",
        ),
        (
            op::MUL,
            vec![&x, &pair],
            none(),
            "MUL: shapes [2, 3] and [2] do not broadcast",
        ),
        (op::SUM, vec![&x], none(), "SUM: attribute DIMS is missing"),
        (
            op::SUM,
            vec![&x],
            none().ints(key::DIMS, &[2]),
            "SUM: dimension 2 of a tensor of rank 2",
        ),
        (
            op::SUM,
            vec![&x],
            none().ints(key::DIMS, &[0, -2]),
            "SUM: attribute DIMS = [0, 0], expected different",
        ),
        (
            op::EXP,
            vec![&x],
            dim(0),
            "EXP: has no attribute DIM (key 1)",
        ),
        (
            op::EXP,
            vec![&x],
            none().int(77, 0),
            "EXP: has no attribute ? (key 77)",
        ),
        (
            op::SOFTMAX,
            vec![&x],
            none().float(key::DIM, 1.0),
            "SOFTMAX: attribute DIM must be one integer, found the float 1",
        ),
        (
            op::SOFTMAX,
            vec![&x],
            none().ints(key::DIM, &[0, 1]),
            "must be one integer, found 2 integers",
        ),
        (
            op::AFFINE,
            vec![&x],
            none().int(key::SCALE, 1),
            "AFFINE: attribute SCALE must be a float, found 1 integers",
        ),
        (
            op::POWF,
            vec![&x],
            none().float(key::EXPONENT, f64::NAN),
            "POWF: attribute EXPONENT = NaN, expected a finite",
        ),
        (
            op::MAX,
            vec![&x],
            dim(0).int(key::KEEP, 2),
            "MAX: attribute KEEP = 2, expected 0 or 1",
        ),
        (
            op::RESHAPE,
            vec![&x],
            shape(&[4, 2]),
            "RESHAPE: attribute SHAPE = [4, 2], expected a shape of 6 entries",
        ),
        (
            op::RESHAPE,
            vec![&x],
            shape(&[-1, 2]),
            "RESHAPE: attribute SHAPE = [-1, 2], expected lengths",
        ),
        (
            op::PERMUTE,
            vec![&x],
            none().ints(key::DIMS, &[0, 0]),
            "PERMUTE: attribute DIMS = [0, 0], expected each",
        ),
        (
            op::TRANSPOSE,
            vec![&x],
            none().ints(key::DIMS, &[0]),
            "TRANSPOSE: attribute DIMS = [0], expected two",
        ),
        (
            op::NARROW,
            vec![&x],
            dim(1).int(key::START, 2).int(key::LEN, 2),
            "NARROW: attribute LEN = 2 from START = 2",
        ),
        (
            op::NARROW,
            vec![&x],
            dim(1).int(key::START, -1).int(key::LEN, 2),
            "NARROW: attribute START = -1",
        ),
        (
            op::CAT,
            vec![],
            dim(0),
            "CAT: expected 1 or more input tensors, found 0",
        ),
        (
            op::CAT,
            vec![&x, &index],
            dim(0),
            "CAT: input 1 has dtype U32, expected F64",
        ),
        (
            op::CAT,
            vec![&x, &square],
            dim(0),
            "CAT: input 1 has shape [2, 2], expected [2, 3] except",
        ),
        (
            op::GATHER,
            vec![&x, &x],
            dim(0),
            "GATHER: input 1 has dtype F64, expected U32",
        ),
        (op::INDEX_SELECT, vec![&x, &index], dim(1), "INDEX_SELECT: "),
        (op::INDEX_SELECT, vec![&x, &index], dim(0), "INDEX_SELECT: "),
        (
            op::BROADCAST_TO,
            vec![&x],
            shape(&[2, 4]),
            "BROADCAST_TO: shapes [2, 3] and [2, 4]",
        ),
        (
            op::CAST,
            vec![&x],
            none().int(key::DTYPE, 9),
            "CAST: attribute DTYPE = 9, expected 0 (F32)",
        ),
        (
            op::MATMUL,
            vec![&x, &x],
            none(),
            "MATMUL: input 1 has shape [2, 3], expected [.., 3, n]",
        ),
        (
            op::DENSE,
            vec![&x, &x, &x],
            none().int(key::ACTIVATION, 0),
            "DENSE: input 0 has shape [2, 3], expected [.., 2]",
        ),
        (
            op::DENSE,
            vec![&x, &x, &x],
            none().int(key::ACTIVATION, 5),
            "DENSE: attribute ACTIVATION = 5",
        ),
        (
            op::LAYER_NORM,
            vec![&x, &x, &x],
            none().float(key::EPSILON, 1e-5),
            "LAYER_NORM: input 1 has shape [2, 3], expected [3]",
        ),
        (
            op::AFFINE_COUPLING,
            vec![&x, &x, &x],
            none().float(key::LIMIT, 0.0),
            "AFFINE_COUPLING: attribute LIMIT = 0",
        ),
        (
            op::CLAMP,
            vec![&x],
            none().float(key::LOWER, 1.0).float(key::UPPER, 0.0),
            "CLAMP: attribute UPPER = 0, expected at least",
        ),
    ];
    for (code, inputs, attributes, expected) in table {
        let found = message(code, &inputs, attributes);
        assert!(
            found.contains(expected),
            "`{found}` does not contain `{expected}`"
        );
    }
}

#[test]
fn splines_refuse_impossible_settings() {
    let x = f64s(&[0.0; 6], &[2, 3]);
    let parameters = f64s(&[0.0; 138], &[2, 3, 23]);
    let attributes = |bins, upper, min_bin, min_slope| {
        Attributes::default()
            .float(key::LOWER, -1.0)
            .float(key::UPPER, upper)
            .int(key::BINS, bins)
            .float(key::MIN_BIN, min_bin)
            .float(key::MIN_SLOPE, min_slope)
    };
    for (attributes, expected) in [
        (
            attributes(8, -1.0, 1e-3, 1e-3),
            "attribute UPPER = -1, expected more than LOWER",
        ),
        (attributes(0, 1.0, 1e-3, 1e-3), "attribute BINS = 0"),
        (attributes(8, 1.0, 0.125, 1e-3), "attribute MIN_BIN = 0.125"),
        (attributes(8, 1.0, 1e-3, 1.0), "attribute MIN_SLOPE = 1"),
        (
            attributes(7, 1.0, 1e-3, 1e-3),
            "input 1 has shape [2, 3, 23], expected [2, 3, 20] or [1, 3, 20]",
        ),
    ] {
        let found = message(op::RQ_SPLINE, &[&x, &parameters], attributes);
        assert!(
            found.contains(expected),
            "`{found}` does not contain `{expected}`"
        );
    }
}

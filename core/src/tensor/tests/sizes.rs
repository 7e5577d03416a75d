//! Sizes: empty tensors with their gradients, one row, sizes that no memory holds, wrong element types.

use candle_core::{DType, Device, Tensor, Var};
use regflow_plugin::abi::op::{self, AttributeKind, Operation, key};

use super::{Attributes, Case, Random, f64s, none, u32s};
use crate::tensor::ops::cases;
use crate::tensor::{MAX_ENTRIES, TensorError, apply, check_shape, dispatch};

/// The call, and the gradients of what it returns: results or errors.
fn run(code: u32, inputs: &[&Tensor], attributes: &Attributes) {
    for fused in [true, false] {
        let vars: Vec<Tensor> = inputs
            .iter()
            .map(|&x| match x.dtype() {
                DType::U32 => x.clone(),
                _ => Var::from_tensor(x).unwrap().into_inner(),
            })
            .collect();
        let inputs: Vec<&Tensor> = vars.iter().collect();
        let Ok(outputs) = dispatch(code, &inputs, &attributes.list(), fused) else {
            continue;
        };
        let sums: candle_core::Result<Vec<Tensor>> = outputs
            .iter()
            .filter(|y| y.dtype() != DType::U32)
            .map(|y| y.to_dtype(DType::F64)?.sum_all())
            .collect();
        for sum in sums.unwrap() {
            let Ok(gradients) = sum.backward() else {
                continue;
            };
            for x in &vars {
                if let Some(gradient) = gradients.get(x) {
                    assert_eq!(gradient.dims(), x.dims(), "{:?}", op::name(code));
                }
            }
        }
    }
}

/// Each operation with every kind of wrong input: an error or a result, never a panic.
#[test]
fn no_input_panics() {
    let shapes: [&[usize]; 8] = [
        &[],
        &[0],
        &[3],
        &[2, 3],
        &[0, 3],
        &[3, 0],
        &[1, 3],
        &[2, 2, 2],
    ];
    let mut tensors = Vec::new();
    for shape in shapes {
        let count = shape.iter().product::<usize>();
        tensors.push(f64s(&vec![f64::NAN; count], shape));
        tensors.push(
            f64s(&vec![f64::INFINITY; count], shape)
                .to_dtype(DType::F32)
                .unwrap(),
        );
        tensors.push(u32s(&vec![u32::MAX; count], shape));
    }
    let mut seen: Vec<u32> = Vec::new();
    for case in cases() {
        // Two sets of attributes of each operation.
        if seen.iter().filter(|&&code| code == case.code).count() == 2 {
            continue;
        }
        seen.push(case.code);
        let operation = Operation::find(case.code).unwrap();
        for a in &tensors {
            let _ = apply(case.code, &[a], &case.attributes.list());
            match operation.inputs.len() {
                1 if !operation.variadic => run(case.code, &[a], &case.attributes),
                3 => {
                    for b in &tensors {
                        run(case.code, &[a, b, b], &case.attributes);
                        run(case.code, &[a, b, a], &case.attributes);
                    }
                }
                _ => tensors
                    .iter()
                    .for_each(|b| run(case.code, &[a, b], &case.attributes)),
            }
        }
    }
    assert!(matches!(
        apply(op::ADD, &[], &[]),
        Err(TensorError::InputCount { found: 0, .. })
    ));
}

/// The case with every dimension of length `from` made `to` long, so that shapes still fit each other.
fn resized(case: &Case, from: usize, to: usize) -> Vec<Tensor> {
    let mut random = Random::new(31);
    case.inputs
        .iter()
        .map(|x| {
            let shape: Vec<usize> = x
                .dims()
                .iter()
                .map(|&length| if length == from { to } else { length })
                .collect();
            match x.dtype() {
                DType::U32 => Tensor::zeros(shape, DType::U32, &Device::Cpu).unwrap(),
                _ => random.tensor(1.0, &shape),
            }
        })
        .collect()
}

/// Every operation on empty tensors and on single rows, with gradients of the inputs' shapes.
#[test]
fn empty_tensors_and_single_rows_pass() {
    for case in cases() {
        let lengths: std::collections::BTreeSet<usize> =
            case.inputs.iter().flat_map(|x| x.dims().to_vec()).collect();
        for length in lengths {
            for to in [0, 1] {
                let inputs = resized(&case, length, to);
                run(
                    case.code,
                    &inputs.iter().collect::<Vec<_>>(),
                    &case.attributes,
                );
            }
        }
    }
}

/// A batch of no rows is a result, not only no panic, where rows are independent of each other.
#[test]
fn batches_of_no_rows_have_results() {
    let rows = [
        op::DENSE,
        op::RQ_SPLINE,
        op::AFFINE_COUPLING,
        op::LAYER_NORM,
        op::EXP,
    ];
    for case in cases().iter().filter(|case| rows.contains(&case.code)) {
        let Some(&batch) = case.inputs[0].dims().first() else {
            continue;
        };
        if case.inputs[0].rank() < 2 || case.inputs.iter().any(|x| x.dims()[1..].contains(&batch)) {
            continue;
        }
        let inputs = resized(case, batch, 0);
        if case
            .inputs
            .iter()
            .any(|x| x.rank() == 1 && x.dims()[0] == batch)
        {
            continue;
        }
        for output in case.run(&inputs, true) {
            assert_eq!(output.dims()[0], 0, "{}", case.name());
        }
    }
    // Parameters shared by no rows at all have a gradient of zeros.
    let attributes = none()
        .float(key::LOWER, -5.0)
        .float(key::UPPER, 5.0)
        .int(key::BINS, 8)
        .float(key::MIN_BIN, 1e-4)
        .float(key::MIN_SLOPE, 1e-4);
    let parameters = Var::from_tensor(&Random::new(3).tensor(1.0, &[1, 2, 23])).unwrap();
    let y = apply(
        op::RQ_SPLINE,
        &[&f64s(&[], &[0, 2]), &parameters],
        &attributes.list(),
    )
    .unwrap()
    .remove(0);
    let gradients = y.sum_all().unwrap().backward().unwrap();
    let gradient = gradients.get(&parameters).unwrap();
    assert_eq!(gradient.dims(), [1, 2, 23]);
    assert!(super::flat(gradient).iter().all(|&g| g == 0.0));
}

/// Attributes of any size, and views of sizes that no memory holds, are errors.
#[test]
fn huge_sizes_are_errors() {
    let x = f64s(&[1.0; 4], &[4]);
    let shape = |lengths: &[i64]| none().ints(key::SHAPE, lengths);
    for lengths in [
        &[4, (1 << 62) + 1][..],
        &[1 << 32, 1 << 32, 4],
        &[1 << 45],
        &[i64::MAX, 4],
        &[1 << 62, 4, 0],
        &[0, i64::MAX],
        &[MAX_ENTRIES as i64, 4],
    ] {
        for (code, attributes) in [
            (op::RESHAPE, shape(lengths)),
            (op::BROADCAST_TO, shape(lengths)),
            (op::FULL, shape(lengths).float(key::VALUE, 0.0)),
        ] {
            let inputs: &[&Tensor] = &[&x];
            let found = apply(code, inputs, &attributes.list()).map(|y| y[0].dims().to_vec());
            assert!(
                found.is_err(),
                "{:?} {lengths:?}: {found:?}",
                op::name(code)
            );
        }
    }
    // A large view takes no memory, but results of its size and of its square do.
    let row = f64s(&[1.0], &[1, 1]);
    let wide = shape(&[1, 1 << 30]);
    let wide = apply(op::BROADCAST_TO, &[&row], &wide.list())
        .unwrap()
        .remove(0);
    let tall = wide.t().unwrap();
    for (code, inputs) in [
        (op::ADD, vec![&wide, &tall]),
        (op::LT, vec![&wide, &tall]),
        (op::WHERE, vec![&wide, &tall, &wide]),
        (op::MATMUL, vec![&tall, &wide]),
    ] {
        let error = apply(code, &inputs, &[]).unwrap_err();
        assert!(matches!(error, TensorError::TooLarge { .. }), "{error}");
    }
    let many = vec![&wide; 4];
    let error = apply(op::CAT, &many, &super::dim(1).list()).unwrap_err();
    assert!(matches!(error, TensorError::TooLarge { .. }), "{error}");
    assert!(
        check_shape("x", &[3, 0, 5], DType::F32, &Device::Cpu).is_ok_and(|entries| entries == 0)
    );
}

/// Any integer and any number as each attribute of each operation: an error or a result.
#[test]
fn no_attribute_panics() {
    let integers = [i64::MIN, -3, -1, 0, 1, 2, 5, 1 << 32, 1 << 45, i64::MAX];
    let floats = [
        f64::NAN,
        f64::NEG_INFINITY,
        -1e300,
        -1.0,
        0.0,
        1e-300,
        1.0,
        1e300,
    ];
    let mut seen = Vec::new();
    for case in cases() {
        if seen.contains(&case.code) {
            continue;
        }
        seen.push(case.code);
        let inputs: Vec<&Tensor> = case.inputs.iter().collect();
        for used in Operation::find(case.code).unwrap().attributes {
            let changed: Vec<Attributes> = match used.key.kind {
                AttributeKind::Float => floats
                    .iter()
                    .map(|&value| {
                        case.attributes
                            .clone()
                            .without(used.key.code)
                            .float(used.key.code, value)
                    })
                    .collect(),
                _ => integers
                    .iter()
                    .flat_map(|&value| [vec![value], vec![value, value], vec![2, value], vec![]])
                    .map(|list| {
                        case.attributes
                            .clone()
                            .without(used.key.code)
                            .ints(used.key.code, &list)
                    })
                    .collect(),
            };
            for attributes in changed {
                let _ = apply(case.code, &inputs, &attributes.list());
            }
            let _ = apply(
                case.code,
                &inputs,
                &case.attributes.clone().without(used.key.code).list(),
            );
        }
    }
}

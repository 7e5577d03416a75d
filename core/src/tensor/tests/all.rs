//! Every operation: gradients against central finite differences, in f64, for kernels and compositions, and these against each
//! other in f64 and f32.

use candle_core::{DType, Tensor, Var};
use regflow_plugin::abi::op::{self, Operation};

use super::{Case, difference};
use crate::tensor::ops::cases;
use crate::tensor::supported;

fn has_gradient(case: &Case) -> bool {
    Operation::find(case.code).unwrap().gradient != "none."
}

#[test]
fn every_operation_is_supported_and_has_cases() {
    let cases = cases();
    for &code in op::ALL {
        let operation = Operation::find(code).unwrap();
        assert_eq!(supported(code), operation.revision, "{}", operation.name);
        let own: Vec<_> = cases.iter().filter(|case| case.code == code).collect();
        assert!(!own.is_empty(), "{} needs a case", operation.name);
        for case in own {
            let outputs = case.run(&case.inputs, true);
            assert_eq!(outputs.len(), operation.outputs.len(), "{}", operation.name);
        }
    }
    assert_eq!(supported(9999), 0);
}

#[test]
fn gradients_equal_finite_differences() {
    for case in cases().iter().filter(|case| has_gradient(case)) {
        for fused in [true, false] {
            if case.inputs.iter().any(|input| input.elem_count() > 400) && !fused {
                continue;
            }
            let (_, gradients) = case.gradients(DType::F64, fused);
            for (i, (found, expected)) in gradients
                .iter()
                .zip(case.finite_differences(fused))
                .enumerate()
            {
                let (Some(found), Some(expected)) = (found, expected) else {
                    continue;
                };
                let error = difference(found, &expected);
                let name = case.name();
                let shapes: Vec<_> = case.inputs.iter().map(|input| input.dims()).collect();
                // Rounding of the loss (about 1e-15 times 100) over the step of 1e-5.
                assert!(
                    error < 1e-8,
                    "{name} (fused: {fused}), input {i} of {shapes:?}, {:?}: {error:e}\n{found}\n{expected}",
                    case.attributes
                );
            }
        }
    }
}

#[test]
fn operations_without_gradient_give_none() {
    for case in cases().iter().filter(|case| !has_gradient(case)) {
        let vars: Vec<Option<Var>> = case
            .inputs
            .iter()
            .map(|x| (x.dtype() == DType::F64).then(|| Var::from_tensor(x).unwrap()))
            .collect();
        let inputs: Vec<Tensor> = vars
            .iter()
            .zip(&case.inputs)
            .map(|(var, x)| {
                var.as_ref()
                    .map_or_else(|| x.clone(), |var| var.as_tensor().clone())
            })
            .collect();
        let y = case.run(&inputs, true).remove(0);
        if y.dtype() == DType::U32 {
            continue;
        }
        let gradients = y.sum_all().unwrap().backward().unwrap();
        for var in vars.iter().flatten() {
            assert!(gradients.get(var).is_none(), "{}", case.name());
        }
    }
}

#[test]
fn kernels_and_compositions_agree() {
    for case in cases() {
        let name = case.name();
        // f32: condition numbers of a few hundred times 6e-8, in the splines' inverses.
        for (dtype, tolerance) in [(DType::F64, 1e-11), (DType::F32, 3e-5)] {
            let convert = |x: &Tensor| {
                if x.dtype() == DType::F64 {
                    x.to_dtype(dtype).unwrap()
                } else {
                    x.clone()
                }
            };
            let inputs: Vec<_> = case.inputs.iter().map(convert).collect();
            for (fused, composed) in case.run(&inputs, true).iter().zip(case.run(&inputs, false)) {
                let error = difference(fused, &composed);
                assert!(
                    error < tolerance,
                    "{name} {dtype:?} {:?}: values differ by {error:e}",
                    case.attributes
                );
            }
            if !has_gradient(&case) {
                continue;
            }
            let (_, exact) = case.gradients(DType::F64, false);
            let (_, fused) = case.gradients(dtype, true);
            for (fused, exact) in fused.iter().zip(&exact) {
                if let (Some(fused), Some(exact)) = (fused, exact) {
                    let error = difference(&fused.to_dtype(DType::F64).unwrap(), exact);
                    let tolerance = 10.0 * tolerance;
                    assert!(
                        error < tolerance,
                        "{name} {dtype:?} {:?}: gradients differ by {error:e}",
                        case.attributes
                    );
                }
            }
        }
    }
}

use candle_core::DType;
use regflow_plugin::abi::op::{self, key};

use crate::tensor::tests::{Attributes, Case, Random, difference, none};

pub(in crate::tensor) fn cases() -> Vec<Case> {
    let mut random = Random::new(111);
    let mut cases = Vec::new();
    for activation in 0..=4 {
        for (x, n) in [(&[7, 5][..], 3), (&[2, 3, 4], 6), (&[130, 3], 2), (&[4], 3)] {
            let k = x[x.len() - 1];
            let inputs = vec![
                random.tensor(1.0, x),
                random.tensor(1.0, &[k, n]),
                random.tensor(1.0, &[n]),
            ];
            let attributes = none().int(key::ACTIVATION, activation);
            cases.push(Case::new(op::DENSE, inputs).with(attributes));
        }
    }
    cases
}

#[test]
fn dense_takes_views_and_transposed_weights() {
    let mut random = Random::new(19);
    let x = random.tensor(1.0, &[300, 10]).narrow(1, 3, 5).unwrap();
    let weight = random.tensor(1.0, &[7, 5]).t().unwrap();
    let bias = random.tensor(1.0, &[7]);
    for activation in 0..=4 {
        let case = Case::new(op::DENSE, vec![])
            .with(Attributes::default().int(key::ACTIVATION, activation));
        let inputs = [x.clone(), weight.clone(), bias.clone()];
        assert!(difference(&case.run(&inputs, true)[0], &case.run(&inputs, false)[0]) < 1e-13);
    }
}

/// Widths around those of the product's vectors and tiles, in f32, where the processor's own kernel runs.
#[test]
fn wide_dense_layers_agree_with_double_precision() {
    let mut random = Random::new(23);
    for (rows, k, n) in [
        (37, 70, 113),
        (8, 16, 48),
        (3, 33, 66),
        (65, 1, 49),
        (130, 48, 16),
        (9, 1100, 20),
    ] {
        let scale = 1.0 / (k as f64).sqrt();
        let inputs = vec![
            random.tensor(1.0, &[rows, k]),
            random.tensor(scale, &[k, n]),
            random.tensor(1.0, &[n]),
        ];
        let case = Case::new(op::DENSE, inputs).with(Attributes::default().int(key::ACTIVATION, 2));
        let (value, exact) = case.gradients(DType::F64, false);
        let (rounded, fused) = case.gradients(DType::F32, true);
        // Sums of as many terms as the layer has rows or columns, of size 1, each rounded to 6e-8.
        assert!(
            (value - rounded).abs() < 6e-8 * (rows * n) as f64,
            "{rows} {k} {n}"
        );
        for (fused, exact) in fused.into_iter().zip(exact) {
            let (fused, exact) = (fused.unwrap().to_dtype(DType::F64).unwrap(), exact.unwrap());
            let error = difference(&fused, &exact);
            assert!(
                error < 6e-8 * (rows.max(n)) as f64,
                "{rows} {k} {n}: {error:e}"
            );
        }
    }
}

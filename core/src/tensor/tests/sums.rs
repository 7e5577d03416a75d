//! Gradients collected over several backward passes.

use candle_core::{DType, Var};
use regflow_plugin::abi::op::{self, key};

use super::{Attributes, Case, Random, flat};
use crate::tensor::Gradients;

#[test]
fn collected_gradients_are_sums_over_passes() {
    let mut random = Random::new(29);
    let parameters: Vec<Var> = [&[33, 50][..], &[50], &[20, 50]]
        .map(|shape| Var::from_tensor(&random.tensor(1.0, shape).to_dtype(DType::F32).unwrap()))
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    let attributes = Attributes::default().int(key::ACTIVATION, 3);
    let loss = |seed| {
        let x = Random::new(seed)
            .tensor(1.0, &[20, 33])
            .to_dtype(DType::F32)
            .unwrap();
        let inputs = [
            x,
            parameters[0].as_tensor().clone(),
            parameters[1].as_tensor().clone(),
        ];
        let dense = Case::new(op::DENSE, vec![])
            .with(attributes.clone())
            .run(&inputs, true);
        // The last parameter's gradient goes through candle's store.
        (&dense[0] * parameters[2].as_tensor())
            .unwrap()
            .sum_all()
            .unwrap()
    };
    let zeros = Gradients::new(parameters.iter().map(|parameter| parameter.as_tensor()));
    let sums = zeros
        .zeros()
        .add(&loss(1))
        .unwrap()
        .add(&loss(2))
        .unwrap()
        .into_sums();
    let stores = [loss(1).backward().unwrap(), loss(2).backward().unwrap()];
    let expected: Vec<f64> = parameters
        .iter()
        .flat_map(|parameter| {
            let [first, second] = stores
                .each_ref()
                .map(|store| flat(store.get(parameter).unwrap()));
            first.into_iter().zip(second).map(|(a, b)| a + b)
        })
        .collect();
    assert_eq!(sums.len(), expected.len());
    for (sum, expected) in sums.iter().zip(&expected) {
        // Sums of 20 terms of size 1, in another order.
        assert!(
            (f64::from(*sum) - expected).abs() < 2e-5,
            "{sum} {expected}"
        );
    }
}

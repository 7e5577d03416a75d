//! Tests of all operations: gradients, agreement of kernels and compositions, errors, sizes; and what the tests of each one use.

mod all;
mod errors;
mod sizes;
mod sums;

use candle_core::{DType, Device, Tensor, Var};
use regflow_plugin::Attribute;
use regflow_plugin::abi::op;

/// Attributes that own their integers.
#[derive(Clone, Debug, Default)]
pub(in crate::tensor) struct Attributes(Vec<(u32, f64, Option<Vec<i64>>)>);

impl Attributes {
    pub(in crate::tensor) fn float(mut self, key: u32, value: f64) -> Self {
        self.0.push((key, value, None));
        self
    }

    pub(in crate::tensor) fn ints(mut self, key: u32, values: &[i64]) -> Self {
        self.0.push((key, 0.0, Some(values.to_vec())));
        self
    }

    pub(in crate::tensor) fn int(self, key: u32, value: i64) -> Self {
        self.ints(key, &[value])
    }

    pub(in crate::tensor) fn list(&self) -> Vec<Attribute<'_>> {
        self.0
            .iter()
            .map(|(key, float, ints)| match ints {
                Some(ints) => Attribute::ints(*key, ints),
                None => Attribute::float(*key, *float),
            })
            .collect()
    }

    /// The integer of `key`.
    pub(in crate::tensor) fn get(&self, key: u32) -> i64 {
        let found = self.0.iter().find(|(other, ..)| *other == key);
        found.unwrap().2.as_ref().unwrap()[0]
    }

    pub(in crate::tensor) fn without(mut self, key: u32) -> Self {
        self.0.retain(|(other, ..)| *other != key);
        self
    }
}

/// Reproducible numbers in `(-1, 1)` (SplitMix64).
pub(in crate::tensor) struct Random(u64);

impl Random {
    pub(in crate::tensor) fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub(in crate::tensor) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// Numbers in `(-scale, scale)`.
    pub(in crate::tensor) fn tensor(&mut self, scale: f64, shape: &[usize]) -> Tensor {
        let values: Vec<f64> = (0..shape.iter().product())
            .map(|_| scale * self.next())
            .collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }
}

pub(in crate::tensor) fn f64s(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

pub(in crate::tensor) fn u32s(values: &[u32], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

pub(in crate::tensor) fn flat(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// Largest difference relative to the largest entry, or absolute where that is below 1.
pub(in crate::tensor) fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let (a, b) = (flat(a), flat(b));
    let size = a.iter().fold(1.0f64, |size, value| size.max(value.abs()));
    a.iter()
        .zip(&b)
        .map(|(a, b)| (a - b).abs())
        .fold(
            0.0,
            |worst, d| if d.is_nan() { f64::NAN } else { d.max(worst) },
        )
        / size
}

/// One operation with inputs at which it is differentiable.
pub(in crate::tensor) struct Case {
    pub(in crate::tensor) code: u32,
    pub(in crate::tensor) inputs: Vec<Tensor>,
    pub(in crate::tensor) attributes: Attributes,
}

impl Case {
    pub(in crate::tensor) fn new(code: u32, inputs: Vec<Tensor>) -> Self {
        Case {
            code,
            inputs,
            attributes: Attributes::default(),
        }
    }

    pub(in crate::tensor) fn with(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    pub(in crate::tensor) fn run(&self, inputs: &[Tensor], fused: bool) -> Vec<Tensor> {
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        super::dispatch(self.code, &inputs, &self.attributes.list(), fused).unwrap()
    }

    pub(in crate::tensor) fn name(&self) -> &'static str {
        op::name(self.code).unwrap()
    }

    /// Sum of all outputs with fixed random weights.
    fn loss(&self, inputs: &[Tensor], fused: bool) -> Tensor {
        let mut random = Random::new(7);
        let mut total: Option<Tensor> = None;
        for output in self.run(inputs, fused) {
            let weights = random
                .tensor(1.0, output.dims())
                .to_dtype(output.dtype())
                .unwrap();
            let part = (output * weights).unwrap().sum_all().unwrap();
            total = Some(match total {
                Some(total) => (total + part).unwrap(),
                None => part,
            });
        }
        total.unwrap()
    }

    /// Value of the loss and its gradients by backpropagation; `None` for inputs of integers.
    pub(in crate::tensor) fn gradients(
        &self,
        dtype: DType,
        fused: bool,
    ) -> (f64, Vec<Option<Tensor>>) {
        let vars: Vec<Option<Var>> = self
            .inputs
            .iter()
            .map(|input| {
                (input.dtype() == DType::F64)
                    .then(|| Var::from_tensor(&input.to_dtype(dtype).unwrap()).unwrap())
            })
            .collect();
        let inputs: Vec<Tensor> = vars
            .iter()
            .zip(&self.inputs)
            .map(|(var, input)| {
                var.as_ref()
                    .map_or_else(|| input.clone(), |var| var.as_tensor().clone())
            })
            .collect();
        let loss = self.loss(&inputs, fused);
        let store = loss.backward().unwrap();
        let gradients = vars
            .iter()
            .map(|var| {
                let var = var.as_ref()?;
                let zeros = || var.zeros_like().unwrap();
                Some(store.get(var).cloned().unwrap_or_else(zeros))
            })
            .collect();
        (flat(&loss)[0], gradients)
    }

    /// Central finite differences of the loss with respect to each input.
    pub(in crate::tensor) fn finite_differences(&self, fused: bool) -> Vec<Option<Tensor>> {
        let step = 1e-5;
        (0..self.inputs.len())
            .map(|i| {
                let input = &self.inputs[i];
                if input.dtype() != DType::F64 {
                    return None;
                }
                let values = flat(input);
                let at = |j: usize, shift: f64| {
                    let mut moved = values.clone();
                    moved[j] += shift;
                    let mut inputs = self.inputs.clone();
                    inputs[i] = f64s(&moved, input.dims());
                    flat(&self.loss(&inputs, fused))[0]
                };
                // Fourth order: the truncation error is far below the rounding error of 1e-11.
                let slope = |j: usize| {
                    (8.0 * (at(j, step) - at(j, -step)) - (at(j, 2.0 * step) - at(j, -2.0 * step)))
                        / (12.0 * step)
                };
                Some(f64s(
                    &(0..values.len()).map(slope).collect::<Vec<_>>(),
                    input.dims(),
                ))
            })
            .collect()
    }
}

/// The one output of an operation.
pub(in crate::tensor) fn one(code: u32, inputs: &[&Tensor], attributes: &Attributes) -> Tensor {
    super::apply(code, inputs, &attributes.list())
        .unwrap()
        .remove(0)
}

/// Values of a function of one variable.
pub(in crate::tensor) fn values(code: u32, x: &[f64], attributes: &Attributes) -> Vec<f64> {
    flat(&one(code, &[&f64s(x, &[x.len()])], attributes))
}

pub(in crate::tensor) fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            found == expected || (found - expected).abs() <= 2e-15 * (1.0 + expected.abs()),
            "{found} is not {expected}"
        );
    }
}

pub(in crate::tensor) fn none() -> Attributes {
    Attributes::default()
}

/// `DIM`.
pub(in crate::tensor) fn dim(value: i64) -> Attributes {
    none().int(op::key::DIM, value)
}

/// `DIMS`.
pub(in crate::tensor) fn dims(values: &[i64]) -> Attributes {
    none().ints(op::key::DIMS, values)
}

//! Tests of the operation table: values, gradients, agreement of fused and composed operations, errors.

mod errors;
mod fused;
mod gradients;
mod values;

use candle_core::{DType, Device, Tensor, Var};
use regflow_plugin::abi::{ATTR_FLOAT, ATTR_INTS, Attr};

/// Attributes that own their integers.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes(Vec<(u32, f64, Option<Vec<i64>>)>);

impl Attributes {
    pub(super) fn float(mut self, key: u32, value: f64) -> Self {
        self.0.push((key, value, None));
        self
    }

    pub(super) fn ints(mut self, key: u32, values: &[i64]) -> Self {
        self.0.push((key, 0.0, Some(values.to_vec())));
        self
    }

    pub(super) fn int(self, key: u32, value: i64) -> Self {
        self.ints(key, &[value])
    }

    pub(super) fn raw(&self) -> Vec<Attr> {
        self.0
            .iter()
            .map(|(key, float, ints)| Attr {
                key: *key,
                kind: if ints.is_some() {
                    ATTR_INTS
                } else {
                    ATTR_FLOAT
                },
                float: *float,
                ints: ints.as_ref().map_or(std::ptr::null(), |ints| ints.as_ptr()),
                len: ints.as_ref().map_or(0, |ints| ints.len() as u64),
            })
            .collect()
    }
}

/// Reproducible numbers in `(-1, 1)` (SplitMix64).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// Numbers in `(-scale, scale)`.
    pub(super) fn tensor(&mut self, scale: f64, shape: &[usize]) -> Tensor {
        let values: Vec<f64> = (0..shape.iter().product())
            .map(|_| scale * self.next())
            .collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }
}

pub(super) fn f64s(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

pub(super) fn u32s(values: &[u32], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

pub(super) fn flat(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// Largest difference relative to the largest entry, or absolute where that is below 1.
pub(super) fn difference(a: &Tensor, b: &Tensor) -> f64 {
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
pub(super) struct Case {
    pub(super) code: u32,
    pub(super) inputs: Vec<Tensor>,
    pub(super) attributes: Attributes,
}

impl Case {
    pub(super) fn new(code: u32, inputs: Vec<Tensor>) -> Self {
        Case {
            code,
            inputs,
            attributes: Attributes::default(),
        }
    }

    pub(super) fn with(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    pub(super) fn run(&self, inputs: &[Tensor], fused: bool) -> Vec<Tensor> {
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        super::dispatch(self.code, &inputs, &self.attributes.raw(), fused).unwrap()
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
    pub(super) fn gradients(&self, dtype: DType, fused: bool) -> (f64, Vec<Option<Tensor>>) {
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
    pub(super) fn finite_differences(&self, fused: bool) -> Vec<Option<Tensor>> {
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

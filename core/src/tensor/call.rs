//! A call of the operation table: inputs and attributes, checked against what the table says of the operation.

use candle_core::{DType, Device, Tensor};
use regflow_plugin::abi::op::{AttributeKind, Dtype, Operation, Use, key};
use regflow_plugin::{Attribute, Value};

use super::TensorError;
use super::size::check_memory;

/// One call: the operation, what it was given, and whether the fused CPU kernels may be used.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) code: u32,
    pub(super) op: &'static str,
    operation: &'static Operation,
    inputs: &'a [&'a Tensor],
    attributes: &'a [Attribute<'a>],
    /// The fused CPU kernel where there is one; else the composition of candle operations.
    pub(super) fused: bool,
}

impl<'a> Call<'a> {
    /// Checks number, device and element types of the inputs, and keys and kinds of the attributes.
    pub(super) fn new(
        operation: &'static Operation,
        inputs: &'a [&'a Tensor],
        attributes: &'a [Attribute<'a>],
        fused: bool,
    ) -> Result<Self, TensorError> {
        let call = Call {
            code: operation.code,
            op: operation.name,
            operation,
            inputs,
            attributes,
            fused: fused && inputs.iter().all(|tensor| tensor.device().is_cpu()),
        };
        call.check_inputs()?;
        call.check_attributes()?;
        Ok(call)
    }

    fn check_inputs(&self) -> Result<(), TensorError> {
        let expected = self.operation.inputs;
        let fits = if self.operation.variadic {
            !self.inputs.is_empty()
        } else {
            self.inputs.len() == expected.len()
        };
        let (Some(first), true) = (self.inputs.first(), fits) else {
            return Err(self.input_count());
        };
        let device = first.device().location();
        let mut common: [Option<DType>; 2] = [None; 2];
        for (input, tensor) in self.inputs.iter().enumerate() {
            let found = tensor.device().location();
            if found != device {
                return Err(TensorError::DeviceMismatch {
                    op: self.op,
                    input,
                    expected: format!("{device:?}"),
                    found: format!("{found:?}"),
                });
            }
            let (common, allowed): (_, &[DType]) =
                match expected[input.min(expected.len() - 1)].dtype {
                    Dtype::Float => (Some(&mut common[0]), &[DType::F32, DType::F64]),
                    Dtype::Same => (Some(&mut common[1]), &[DType::F32, DType::F64, DType::U32]),
                    Dtype::Any => (None, &[DType::F32, DType::F64, DType::U32]),
                    Dtype::Index => (None, &[DType::U32]),
                };
            let found = tensor.dtype();
            let wanted = common.as_ref().and_then(|common| **common);
            if wanted.is_some_and(|wanted| wanted != found) || !allowed.contains(&found) {
                let names: Vec<String> = wanted.map_or_else(
                    || allowed.iter().map(|dtype| format!("{dtype:?}")).collect(),
                    |wanted| vec![format!("{wanted:?}")],
                );
                return Err(TensorError::DType {
                    op: self.op,
                    input,
                    expected: names.join(" or "),
                    found,
                });
            }
            if let Some(common) = common {
                *common = Some(found);
            }
            // Most results are as large as an input, which may be a view that takes no memory itself.
            check_memory(self.op, tensor.elem_count(), found, tensor.device())?;
        }
        Ok(())
    }

    fn input_count(&self) -> TensorError {
        TensorError::InputCount {
            op: self.op,
            expected: match self.operation.inputs.len() {
                _ if self.operation.variadic => "1 or more".into(),
                count => count.to_string(),
            },
            found: self.inputs.len(),
        }
    }

    fn check_attributes(&self) -> Result<(), TensorError> {
        for attribute in self.attributes {
            let Some(known) = self.used(attribute.key()) else {
                return Err(TensorError::UnknownAttribute {
                    op: self.op,
                    attribute: key::find(attribute.key()).map_or("?", |key| key.name),
                    key: attribute.key(),
                });
            };
            let fits = match (known.key.kind, attribute.value()) {
                (AttributeKind::Float, Value::Float(value)) if !value.is_finite() => {
                    return Err(self.invalid(known.key.code, value, "a finite number"));
                }
                (AttributeKind::Float, Value::Float(_))
                | (AttributeKind::Ints, Value::Ints(_))
                | (AttributeKind::Int, Value::Ints([_])) => true,
                _ => false,
            };
            if !fits {
                return Err(TensorError::AttributeKind {
                    op: self.op,
                    attribute: known.key.name,
                    expected: match known.key.kind {
                        AttributeKind::Float => "a float",
                        AttributeKind::Int => "one integer",
                        AttributeKind::Ints => "a list of integers",
                    },
                    found: match attribute.value() {
                        Value::Float(value) => format!("the float {value}"),
                        Value::Ints(values) => format!("{} integers", values.len()),
                        _ => "an attribute of unknown kind".into(),
                    },
                });
            }
        }
        for used in self.operation.attributes {
            if used.default.is_none() && self.find(used.key.code).is_none() {
                return Err(self.missing(used.key.code));
            }
        }
        Ok(())
    }

    /// The inputs, which are `N` by the table.
    pub(super) fn inputs<const N: usize>(&self) -> Result<[&'a Tensor; N], TensorError> {
        <[&Tensor; N]>::try_from(self.inputs).map_err(|_| self.input_count())
    }

    /// All inputs, at least one.
    pub(super) fn all_inputs(&self) -> &'a [&'a Tensor] {
        self.inputs
    }

    pub(super) fn shape_error(
        &self,
        input: usize,
        tensor: &Tensor,
        expected: impl Into<String>,
    ) -> TensorError {
        TensorError::Shape {
            op: self.op,
            input,
            expected: expected.into(),
            found: tensor.dims().to_vec(),
        }
    }

    /// The shape to which those of `tensors` broadcast, of a size that a result can have.
    pub(super) fn broadcast_shape(&self, tensors: &[&Tensor]) -> Result<Vec<usize>, TensorError> {
        let mut shape: Vec<usize> = Vec::new();
        for tensor in tensors {
            shape = self.joined(&shape, tensor.dims())?;
        }
        if let Some(last) = tensors.last() {
            self.check_size(&shape, last.dtype())?;
        }
        Ok(shape)
    }

    /// The shape to which two shapes broadcast.
    pub(super) fn joined(&self, lhs: &[usize], rhs: &[usize]) -> Result<Vec<usize>, TensorError> {
        let rank = lhs.len().max(rhs.len());
        (0..rank)
            .map(|i| {
                let length =
                    |dims: &[usize]| (i + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
                match (length(lhs), length(rhs)) {
                    (a, b) if a == b => Ok(a),
                    (1, b) => Ok(b),
                    (a, 1) => Ok(a),
                    _ => Err(TensorError::Broadcast {
                        op: self.op,
                        lhs: lhs.to_vec(),
                        rhs: rhs.to_vec(),
                    }),
                }
            })
            .collect()
    }

    /// Whether a result of this shape and type can be made.
    pub(super) fn check_size(&self, shape: &[usize], dtype: DType) -> Result<(), TensorError> {
        // The first input's device is that of all, and operations without inputs were refused before.
        let device = self
            .inputs
            .first()
            .map_or(&Device::Cpu, |input| input.device());
        super::check_shape(self.op, shape, dtype, device).map(drop)
    }

    /// Names the operation in an error of the tensor library.
    pub(super) fn candle<T>(&self, result: candle_core::Result<T>) -> Result<T, TensorError> {
        result.map_err(|source| TensorError::Backend {
            op: self.op,
            source,
        })
    }

    /// Index of the dimension that `DIM` names.
    pub(super) fn dim(&self, rank: usize) -> Result<usize, TensorError> {
        self.dimension(self.int(key::DIM)?, rank)
    }

    /// Indices of the dimensions that `DIMS` names.
    pub(super) fn dims(&self, rank: usize) -> Result<Vec<usize>, TensorError> {
        self.ints(key::DIMS)?
            .iter()
            .map(|&dim| self.dimension(dim, rank))
            .collect()
    }

    /// Index of a dimension, negative values counting from the end.
    fn dimension(&self, dim: i64, rank: usize) -> Result<usize, TensorError> {
        let index = if dim < 0 { dim + rank as i64 } else { dim };
        usize::try_from(index)
            .ok()
            .filter(|&index| index < rank)
            .ok_or(TensorError::Dimension {
                op: self.op,
                dim,
                rank,
            })
    }

    fn find(&self, key: u32) -> Option<Value<'a>> {
        self.attributes
            .iter()
            .find(|attribute| attribute.key() == key)
            .map(Attribute::value)
    }

    fn used(&self, key: u32) -> Option<&'static Use> {
        self.operation
            .attributes
            .iter()
            .find(|used| used.key.code == key)
    }

    fn missing(&self, key: u32) -> TensorError {
        TensorError::MissingAttribute {
            op: self.op,
            attribute: key::find(key).map_or("?", |key| key.name),
        }
    }

    /// An error about the value of `key`.
    pub(super) fn invalid(
        &self,
        key: u32,
        found: impl ToString,
        expected: impl Into<String>,
    ) -> TensorError {
        TensorError::AttributeValue {
            op: self.op,
            attribute: key::find(key).map_or("?", |key| key.name),
            found: found.to_string(),
            expected: expected.into(),
        }
    }

    /// A finite float.
    pub(super) fn float(&self, key: u32) -> Result<f64, TensorError> {
        match self.find(key) {
            Some(Value::Float(value)) => Ok(value),
            _ => Err(self.missing(key)),
        }
    }

    /// A list of integers.
    pub(super) fn ints(&self, key: u32) -> Result<&'a [i64], TensorError> {
        match self.find(key) {
            Some(Value::Ints(values)) => Ok(values),
            _ => Err(self.missing(key)),
        }
    }

    /// One integer.
    pub(super) fn int(&self, key: u32) -> Result<i64, TensorError> {
        match (self.find(key), self.used(key).and_then(|used| used.default)) {
            (Some(Value::Ints(&[value])), _) | (None, Some(value)) => Ok(value),
            _ => Err(self.missing(key)),
        }
    }

    /// A length or index: one integer, not negative.
    pub(super) fn size(&self, key: u32) -> Result<usize, TensorError> {
        let value = self.int(key)?;
        usize::try_from(value).map_err(|_| self.invalid(key, value, "0 or more"))
    }

    /// A shape.
    pub(super) fn shape(&self) -> Result<Vec<usize>, TensorError> {
        let shape = self.ints(key::SHAPE)?;
        shape
            .iter()
            .map(|&length| usize::try_from(length))
            .collect::<Result<_, _>>()
            .map_err(|_| self.invalid(key::SHAPE, format!("{shape:?}"), "lengths of 0 or more"))
    }

    /// A switch, 0 or 1.
    pub(super) fn flag(&self, key: u32) -> Result<bool, TensorError> {
        match self.int(key)? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(self.invalid(key, value, "0 or 1")),
        }
    }
}

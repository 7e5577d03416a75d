//! A call of the operation table: its inputs and attributes, read and checked.

use candle_core::{DType, Tensor};
use regflow_plugin::abi::op::key;
use regflow_plugin::abi::{ATTR_FLOAT, ATTR_INTS, Attr};

use super::TensorError;

/// One call: the operation, what it was given, and whether the fused CPU kernels may be used.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) code: u32,
    pub(super) op: &'static str,
    inputs: &'a [&'a Tensor],
    attrs: &'a [Attr],
    /// The fused CPU kernel where there is one; else the composition of candle operations.
    pub(super) fused: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        code: u32,
        op: &'static str,
        inputs: &'a [&'a Tensor],
        attrs: &'a [Attr],
        fused: bool,
    ) -> Result<Self, TensorError> {
        if let Some(first) = inputs.first() {
            let expected = first.device().location();
            for (input, tensor) in inputs.iter().enumerate() {
                let found = tensor.device().location();
                if found != expected {
                    return Err(TensorError::DeviceMismatch {
                        op,
                        input,
                        expected: format!("{expected:?}"),
                        found: format!("{found:?}"),
                    });
                }
            }
        }
        let fused = fused && inputs.iter().all(|tensor| tensor.device().is_cpu());
        Ok(Call {
            code,
            op,
            inputs,
            attrs,
            fused,
        })
    }

    /// The inputs, which must be `N` tensors of any dtype.
    pub(super) fn inputs<const N: usize>(&self) -> Result<[&'a Tensor; N], TensorError> {
        <[&Tensor; N]>::try_from(self.inputs).map_err(|_| TensorError::InputCount {
            op: self.op,
            expected: ["0", "1", "2", "3"][N],
            found: self.inputs.len(),
        })
    }

    /// The inputs, which must be `N` tensors of one floating-point dtype.
    pub(super) fn floats<const N: usize>(&self) -> Result<[&'a Tensor; N], TensorError> {
        let inputs = self.inputs::<N>()?;
        for (input, tensor) in inputs.iter().enumerate() {
            self.float(input, tensor)?;
            self.same_dtype(inputs[0], input, tensor)?;
        }
        Ok(inputs)
    }

    /// At least one input, all of one dtype.
    pub(super) fn at_least_one(&self) -> Result<&'a [&'a Tensor], TensorError> {
        let Some(first) = self.inputs.first() else {
            return Err(TensorError::InputCount {
                op: self.op,
                expected: "1 or more",
                found: 0,
            });
        };
        for (input, tensor) in self.inputs.iter().enumerate() {
            self.same_dtype(first, input, tensor)?;
        }
        Ok(self.inputs)
    }

    pub(super) fn float(&self, input: usize, tensor: &Tensor) -> Result<(), TensorError> {
        match tensor.dtype() {
            DType::F32 | DType::F64 => Ok(()),
            found => Err(self.dtype_error(input, "F32 or F64".into(), found)),
        }
    }

    pub(super) fn index(&self, input: usize, tensor: &Tensor) -> Result<(), TensorError> {
        match tensor.dtype() {
            DType::U32 => Ok(()),
            found => Err(self.dtype_error(input, "U32".into(), found)),
        }
    }

    pub(super) fn same_dtype(
        &self,
        first: &Tensor,
        input: usize,
        tensor: &Tensor,
    ) -> Result<(), TensorError> {
        if tensor.dtype() == first.dtype() {
            return Ok(());
        }
        Err(self.dtype_error(input, format!("{:?}", first.dtype()), tensor.dtype()))
    }

    fn dtype_error(&self, input: usize, expected: String, found: DType) -> TensorError {
        TensorError::DType {
            op: self.op,
            input,
            expected,
            found,
        }
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

    /// The shape to which `shapes` broadcast.
    pub(super) fn broadcast_shape(&self, tensors: &[&Tensor]) -> Result<Vec<usize>, TensorError> {
        let mut shape: Vec<usize> = Vec::new();
        for tensor in tensors {
            let other = tensor.dims();
            let rank = shape.len().max(other.len());
            let mut merged = vec![1; rank];
            for (i, merged) in merged.iter_mut().enumerate() {
                let length =
                    |dims: &[usize]| (i + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
                *merged = match (length(&shape), length(other)) {
                    (a, b) if a == b => a,
                    (1, b) => b,
                    (a, 1) => a,
                    _ => {
                        return Err(TensorError::Broadcast {
                            op: self.op,
                            lhs: shape,
                            rhs: other.to_vec(),
                        });
                    }
                };
            }
            shape = merged;
        }
        Ok(shape)
    }

    /// Names the operation in an error of the tensor library.
    pub(super) fn candle<T>(&self, result: candle_core::Result<T>) -> Result<T, TensorError> {
        result.map_err(|source| TensorError::Backend {
            op: self.op,
            source,
        })
    }

    /// The attributes, all of which must be among `allowed`.
    pub(super) fn attributes(&self, allowed: &[u32]) -> Result<Attributes<'a>, TensorError> {
        for attr in self.attrs {
            if !allowed.contains(&attr.key) {
                return Err(TensorError::UnknownAttribute {
                    op: self.op,
                    attribute: key_name(attr.key),
                    key: attr.key,
                });
            }
        }
        Ok(Attributes {
            op: self.op,
            attrs: self.attrs,
        })
    }

    /// Index of a dimension, negative values counting from the end.
    pub(super) fn dimension(&self, dim: i64, rank: usize) -> Result<usize, TensorError> {
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
}

/// Attributes of a call.
pub(super) struct Attributes<'a> {
    op: &'static str,
    attrs: &'a [Attr],
}

impl<'a> Attributes<'a> {
    fn find(&self, key: u32) -> Option<&'a Attr> {
        self.attrs.iter().find(|attr| attr.key == key)
    }

    fn require(&self, key: u32) -> Result<&'a Attr, TensorError> {
        self.find(key).ok_or(TensorError::MissingAttribute {
            op: self.op,
            attribute: key_name(key),
        })
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
            attribute: key_name(key),
            found: found.to_string(),
            expected: expected.into(),
        }
    }

    fn wrong_kind(&self, attr: &Attr, expected: &'static str) -> TensorError {
        TensorError::AttributeKind {
            op: self.op,
            attribute: key_name(attr.key),
            expected,
            found: match attr.kind {
                ATTR_FLOAT => format!("the float {}", attr.float),
                ATTR_INTS => format!("{} integers", attr.len),
                kind => format!("an attribute of unknown kind {kind}"),
            },
        }
    }

    /// A finite float.
    pub(super) fn float(&self, key: u32) -> Result<f64, TensorError> {
        let attr = self.require(key)?;
        if attr.kind != ATTR_FLOAT {
            return Err(self.wrong_kind(attr, "a float"));
        }
        if !attr.float.is_finite() {
            return Err(self.invalid(key, attr.float, "a finite number"));
        }
        Ok(attr.float)
    }

    /// A list of integers.
    pub(super) fn ints(&self, key: u32) -> Result<&'a [i64], TensorError> {
        let attr = self.require(key)?;
        if attr.kind != ATTR_INTS || (attr.ints.is_null() && attr.len > 0) {
            return Err(self.wrong_kind(attr, "a list of integers"));
        }
        if attr.len == 0 {
            return Ok(&[]);
        }
        // SAFETY: not null, and the ABI has the caller keep `len` values alive and unchanged for the call.
        Ok(unsafe { std::slice::from_raw_parts(attr.ints, attr.len as usize) })
    }

    /// One integer.
    pub(super) fn int(&self, key: u32) -> Result<i64, TensorError> {
        match self.ints(key) {
            Ok(&[value]) => Ok(value),
            Err(error @ TensorError::MissingAttribute { .. }) => Err(error),
            _ => Err(self.wrong_kind(self.require(key)?, "one integer")),
        }
    }

    /// A length or index: one integer, not negative.
    pub(super) fn size(&self, key: u32) -> Result<usize, TensorError> {
        let value = self.int(key)?;
        usize::try_from(value).map_err(|_| self.invalid(key, value, "0 or more"))
    }

    /// A shape.
    pub(super) fn shape(&self, key: u32) -> Result<Vec<usize>, TensorError> {
        let shape = self.ints(key)?;
        shape
            .iter()
            .map(|&length| usize::try_from(length))
            .collect::<Result<_, _>>()
            .map_err(|_| self.invalid(key, format!("{shape:?}"), "lengths of 0 or more"))
    }

    /// A switch, 0 or 1; 0 where it is not given.
    pub(super) fn flag(&self, key: u32) -> Result<bool, TensorError> {
        if self.find(key).is_none() {
            return Ok(false);
        }
        match self.int(key)? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(self.invalid(key, value, "0 or 1")),
        }
    }
}

fn key_name(key: u32) -> &'static str {
    match key {
        key::DIM => "DIM",
        key::DIMS => "DIMS",
        key::KEEP => "KEEP",
        key::SHAPE => "SHAPE",
        key::START => "START",
        key::LEN => "LEN",
        key::DTYPE => "DTYPE",
        key::ACTIVATION => "ACTIVATION",
        key::INVERSE => "INVERSE",
        key::CIRCULAR => "CIRCULAR",
        key::BINS => "BINS",
        key::SCALE => "SCALE",
        key::SHIFT => "SHIFT",
        key::EXPONENT => "EXPONENT",
        key::LOWER => "LOWER",
        key::UPPER => "UPPER",
        key::EPSILON => "EPSILON",
        key::LIMIT => "LIMIT",
        key::MIN_BIN => "MIN_BIN",
        key::MIN_SLOPE => "MIN_SLOPE",
        _ => "?",
    }
}

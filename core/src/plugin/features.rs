//! What flows and velocity fields have in common: tensors of features, of the right shape and type.

use super::error::PluginError;
use super::host;
use super::parameters::Parameters;
use super::{Feature, FeatureKind, PluginInfo};
use crate::tensor::{DType, Tensor};
use regflow_plugin::abi::TensorHandle;

/// The space of features in which a flow or field was built.
pub(super) struct Space {
    pub kinds: Vec<FeatureKind>,
    /// Element type of the features, that of the parameters.
    pub dtype: DType,
}

impl Space {
    pub fn new(features: &[Feature], parameters: &Parameters) -> Space {
        Space {
            kinds: features.iter().map(|feature| feature.kind).collect(),
            dtype: parameters.dtype(),
        }
    }

    pub fn dimension(&self) -> usize {
        self.kinds.len()
    }
}

/// One call of a plugin: who is to blame for what.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub info: &'a PluginInfo,
    pub action: &'static str,
}

impl Call<'_> {
    /// Checks shape and element type.
    pub fn expect(
        &self,
        what: &'static str,
        tensor: &Tensor,
        shape: &[usize],
        dtype: DType,
    ) -> Result<(), PluginError> {
        if tensor.dims() != shape {
            return Err(PluginError::Shape {
                plugin: self.info.name.clone(),
                action: self.action,
                what,
                expected: shape.to_vec(),
                found: tensor.dims().to_vec(),
            });
        }
        if tensor.dtype() != dtype {
            return Err(PluginError::DType {
                plugin: self.info.name.clone(),
                action: self.action,
                what,
                expected: dtype,
                found: tensor.dtype(),
            });
        }
        Ok(())
    }

    /// One number for each of `batch` rows, of `dtype` or f64, as f64.
    pub fn numbers(
        &self,
        what: &'static str,
        tensor: &Tensor,
        batch: usize,
        dtype: DType,
    ) -> Result<Tensor, PluginError> {
        let found = tensor.dtype();
        let allowed = if found == DType::F64 { found } else { dtype };
        self.expect(what, tensor, &[batch], allowed)?;
        Ok(tensor.to_dtype(DType::F64)?)
    }

    /// The tensors that a plugin wrote with success.
    ///
    /// # Safety
    /// Each is null, or a tensor whose reference is ours.
    pub unsafe fn take<const N: usize>(
        &self,
        handles: [*mut TensorHandle; N],
    ) -> Result<[Tensor; N], PluginError> {
        // SAFETY: by contract.
        let tensors =
            handles.map(|handle| (!handle.is_null()).then(|| unsafe { host::from_handle(handle) }));
        if tensors.iter().any(Option::is_none) {
            let message = "reported success but did not write all outputs";
            return Err(self.info.failed(self.action, message));
        }
        let mut tensors = tensors.into_iter().flatten();
        Ok(std::array::from_fn(|_| {
            tensors
                .next()
                .unwrap_or_else(|| unreachable!("all are there"))
        }))
    }

    /// Checks that all values (`rows` of them in equal parts) are finite.
    pub fn finite(
        &self,
        what: &'static str,
        values: &[f64],
        rows: usize,
    ) -> Result<(), PluginError> {
        let per_row = (values.len() / rows.max(1)).max(1);
        let is_bad = |value: &f64| !value.is_finite();
        match values.iter().position(is_bad) {
            None => Ok(()),
            Some(first) => Err(PluginError::NonFinite {
                plugin: self.info.name.clone(),
                action: self.action,
                what,
                count: values.iter().filter(|value| is_bad(value)).count(),
                row: first / per_row,
            }),
        }
    }
}

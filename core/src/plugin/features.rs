//! What flows and velocity fields have in common: tensors of features, of the right shape and type.

use super::error::PluginError;
use super::host;
use super::kind::{Instance, Kind, Plugin, Setup};
use super::parameters::Parameters;
use super::{Feature, FeatureKind, Molecule, PluginInfo};
use crate::tensor::{DType, Device, Tensor, device_name};
use regflow_plugin::abi::{InstanceHandle, TensorHandle};

/// The space of features in which a flow or field was built.
pub(super) struct Space {
    pub kinds: Vec<FeatureKind>,
    /// Element type of the features, that of the parameters.
    pub dtype: DType,
    /// Where they are, as the parameters.
    device: Device,
}

impl Space {
    fn new(features: &[Feature], parameters: &Parameters) -> Space {
        Space {
            kinds: features.iter().map(|feature| feature.kind).collect(),
            dtype: parameters.dtype(),
            device: parameters.device().clone(),
        }
    }

    pub fn dimension(&self) -> usize {
        self.kinds.len()
    }
}

/// What a plugin built in a space of features.
pub(super) struct Built<K: Kind> {
    pub instance: Instance<K>,
    pub space: Space,
}

impl<K: Kind> Built<K> {
    pub fn new(
        plugin: &Plugin<K>,
        config: &str,
        features: &[Feature],
        molecule: &Molecule,
        parameters: &mut Parameters,
    ) -> Result<Self, PluginError> {
        let space = Space::new(features, parameters);
        let setup = Setup {
            features,
            molecule: Some(molecule),
            parameters: Some(parameters),
        };
        let instance = plugin.create(config, setup)?;
        Ok(Built { instance, space })
    }

    pub fn called(&self, action: &'static str) -> Call<'_> {
        Call {
            info: self.instance.info(),
            action,
            space: &self.space,
        }
    }

    /// Calls a function of the table, which writes `N` tensors.
    ///
    /// # Safety
    /// What `function` leaves in each place is null, or a tensor with a reference for us.
    pub unsafe fn outputs<const N: usize>(
        &self,
        call: Call<'_>,
        function: impl FnOnce(*const InstanceHandle, &mut [*mut TensorHandle; N]) -> i32,
    ) -> Result<[Tensor; N], PluginError> {
        let mut handles = [std::ptr::null_mut(); N];
        self.instance
            .call(call.action, |instance| function(instance, &mut handles))?;
        // SAFETY: by contract. Before anything is refused all are taken, so that none is kept for ever.
        let tensors =
            handles.map(|handle| (!handle.is_null()).then(|| unsafe { host::from_handle(handle) }));
        let tensors: Option<Vec<Tensor>> = tensors.into_iter().collect();
        tensors
            .and_then(|tensors| tensors.try_into().ok())
            .ok_or_else(|| {
                let message = "reported success but did not write all outputs";
                call.info.failed(call.action, message)
            })
    }
}

/// One call of a plugin: who is to blame for what.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    info: &'a PluginInfo,
    pub action: &'static str,
    space: &'a Space,
}

impl Call<'_> {
    /// Checks shape, element type and device.
    pub fn expect(
        &self,
        what: &'static str,
        tensor: &Tensor,
        shape: &[usize],
    ) -> Result<(), PluginError> {
        self.expect_of_type(what, tensor, shape, self.space.dtype)
    }

    fn expect_of_type(
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
        if !tensor.device().same_device(&self.space.device) {
            return Err(PluginError::Device {
                plugin: self.info.name.clone(),
                action: self.action,
                what,
                expected: device_name(&self.space.device),
                found: device_name(tensor.device()),
            });
        }
        Ok(())
    }

    /// One number for each of `batch` rows, of the features' type or f64, as f64.
    pub fn numbers(
        &self,
        what: &'static str,
        tensor: &Tensor,
        batch: usize,
    ) -> Result<Tensor, PluginError> {
        let allowed = match tensor.dtype() {
            DType::F64 => DType::F64,
            _ => self.space.dtype,
        };
        self.expect_of_type(what, tensor, &[batch], allowed)?;
        Ok(tensor.to_dtype(DType::F64)?)
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

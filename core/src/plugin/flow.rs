//! Flows of plugins: building and calling them.

use super::error::PluginError;
use super::host::{self, Build};
use super::library::text;
use super::parameters::Parameters;
use super::{Origin, PluginInfo};
use crate::tensor::{DType, Tensor};
use regflow_plugin::abi::{
    self, BuildInfo, FeatureDescription, FlowTable, InstanceHandle, STATUS_OK, STATUS_PANIC, Str,
    TensorHandle, op,
};
use regflow_plugin::{Feature, FeatureKind, Molecule};
use std::collections::HashSet;
use std::f64::consts::PI;
use std::fmt;
use std::sync::Arc;

/// A flow architecture, found and loaded.
#[derive(Clone)]
pub struct FlowPlugin {
    table: &'static FlowTable,
    info: Arc<PluginInfo>,
}

impl fmt::Debug for FlowPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlowPlugin")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl FlowPlugin {
    pub(super) fn new(table: &'static FlowTable, version: &str, origin: Origin) -> Self {
        let info = PluginInfo {
            name: text(&table.name),
            version: version.into(),
            description: text(&table.description),
            schema: text(&table.config_schema),
            origin,
            circular: table.flags & abi::FLOW_CIRCULAR != 0,
        };
        FlowPlugin {
            table,
            info: Arc::new(info),
        }
    }

    /// The architecture `F` of this very program, which needs no library and no registration.
    pub fn of<F: regflow_plugin::Flow>() -> Self {
        let table = regflow_plugin::__private::flow_table::<F>();
        FlowPlugin::new(table, env!("CARGO_PKG_VERSION"), Origin::LinkedIn)
    }

    /// Name, version, description, schema, origin.
    pub fn info(&self) -> &PluginInfo {
        &self.info
    }

    /// Builds a flow of `features`. `config` is a JSON object (empty: the defaults). Parameters that `parameters` does not
    /// have yet are added with random first values.
    ///
    /// # Errors
    /// A configuration or features that the plugin refuses; a parameter that `parameters` has in another shape; a panic.
    pub fn build(
        &self,
        config: &str,
        features: &[Feature],
        molecule: &Molecule,
        parameters: &mut Parameters,
    ) -> Result<Flow, PluginError> {
        let circular = features
            .iter()
            .position(|feature| feature.kind == FeatureKind::Circular);
        if let (Some(feature), false) = (circular, self.info.circular) {
            return Err(PluginError::NotCircular {
                plugin: self.info.name.clone(),
                feature,
            });
        }
        let config = self.info.complete_config(config)?;
        let descriptions: Vec<FeatureDescription> = features.iter().map(describe).collect();
        let table = host::table(parameters.device());
        let dtype = parameters.dtype();
        let mut build = Build {
            parameters,
            asked: HashSet::new(),
        };
        let info = BuildInfo {
            struct_size: size_of::<BuildInfo>() as u64,
            host: table,
            build: std::ptr::from_mut(&mut build).cast(),
            config: Str::new(&config),
            features: descriptions.as_ptr(),
            n_features: descriptions.len() as u64,
            atomic_numbers: molecule.atomic_numbers.as_ptr(),
            n_atoms: molecule.atomic_numbers.len() as u64,
            bonds: molecule.bonds.as_ptr().cast(),
            n_bonds: molecule.bonds.len() as u64,
            dtype: if dtype == DType::F64 {
                op::DTYPE_F64
            } else {
                op::DTYPE_F32
            },
            reserved: 0,
        };
        let mut instance = std::ptr::null_mut();
        host::take_message();
        // SAFETY: everything that `info` points to outlives the call.
        let status = unsafe { (self.table.create)(&info, &mut instance) };
        check_status(&self.info.name, "create", status)?;
        if instance.is_null() {
            return Err(PluginError::Failed {
                plugin: self.info.name.clone(),
                action: "create",
                message: "reported success but made no flow".into(),
            });
        }
        Ok(Flow {
            table: self.table,
            instance,
            info: Arc::clone(&self.info),
            n_features: features.len(),
            kinds: features.iter().map(|feature| feature.kind).collect(),
            dtype,
        })
    }
}

fn describe(feature: &Feature) -> FeatureDescription {
    let (lower, upper) = match feature.kind {
        FeatureKind::Real => (f64::NEG_INFINITY, f64::INFINITY),
        FeatureKind::Circular => (-PI, PI),
    };
    FeatureDescription {
        kind: feature.kind.code(),
        atom: feature.atom,
        axis: feature.axis,
        reserved: 0,
        lower,
        upper,
    }
}

/// Turns a status other than success into an error with this thread's message.
pub(super) fn check_status(
    plugin: &str,
    action: &'static str,
    status: i32,
) -> Result<(), PluginError> {
    if status == STATUS_OK {
        return Ok(());
    }
    let plugin = plugin.to_owned();
    let mut message = host::take_message();
    if message.is_empty() {
        message = format!("status {status} without a message");
    }
    Err(if status == STATUS_PANIC {
        PluginError::Panicked {
            plugin,
            action,
            message,
        }
    } else {
        PluginError::Failed {
            plugin,
            action,
            message,
        }
    })
}

/// A flow built from a plugin: an invertible map of features. Usable from several threads at once.
pub struct Flow {
    table: &'static FlowTable,
    instance: *mut InstanceHandle,
    info: Arc<PluginInfo>,
    n_features: usize,
    kinds: Vec<FeatureKind>,
    dtype: DType,
}

// SAFETY: the interface demands instances that any thread may call, several at once (abi).
unsafe impl Send for Flow {}
// SAFETY: as above.
unsafe impl Sync for Flow {}

impl Drop for Flow {
    fn drop(&mut self) {
        // SAFETY: made by `create` of the same table, given back once.
        unsafe { (self.table.destroy)(self.instance) };
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl Flow {
    /// The plugin.
    pub fn info(&self) -> &PluginInfo {
        &self.info
    }

    /// Number of features D.
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// Kind of each feature.
    pub fn kinds(&self) -> &[FeatureKind] {
        &self.kinds
    }

    /// Element type of x, that of the parameters.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Prior to data: x0 `[B, D]` to x1 `[B, D]` and `log |det d x1 / d x0|` `[B]`, which is always f64.
    ///
    /// # Errors
    /// x of another shape or dtype; an error or panic of the plugin; a result of a wrong shape or dtype. Values are not
    /// looked at: they may be infinite or NaN.
    pub fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor), PluginError> {
        self.call("forward", self.table.forward, x)
    }

    /// Data to prior: x1 `[B, D]` to x0 `[B, D]` and `log |det d x0 / d x1|` `[B]`, which is always f64.
    ///
    /// # Errors
    /// As for [`Flow::forward`].
    pub fn inverse(&self, x: &Tensor) -> Result<(Tensor, Tensor), PluginError> {
        self.call("inverse", self.table.inverse, x)
    }

    fn call(
        &self,
        action: &'static str,
        function: unsafe extern "C" fn(
            *const InstanceHandle,
            *const TensorHandle,
            *mut *mut TensorHandle,
            *mut *mut TensorHandle,
        ) -> i32,
        x: &Tensor,
    ) -> Result<(Tensor, Tensor), PluginError> {
        let batch = x.dims().first().copied().unwrap_or(0);
        self.expect_shape(action, "x", x, &[batch, self.n_features])?;
        self.expect_dtype(action, "x", x, self.dtype)?;
        let input = host::to_handle(x.clone());
        let (mut y, mut log_det) = (std::ptr::null_mut(), std::ptr::null_mut());
        host::take_message();
        // SAFETY: the instance is alive, the input is borrowed for the call, both outputs are writable.
        let status = unsafe { function(self.instance, input, &mut y, &mut log_det) };
        // SAFETY: our own reference to the input.
        drop(unsafe { host::from_handle(input) });
        check_status(&self.info.name, action, status)?;
        if y.is_null() || log_det.is_null() {
            return Err(PluginError::Failed {
                plugin: self.info.name.clone(),
                action,
                message: "reported success but did not write both outputs".into(),
            });
        }
        // SAFETY: on success both carry a reference for us.
        let (y, log_det) = unsafe { (host::from_handle(y), host::from_handle(log_det)) };
        self.expect_shape(action, "its output", &y, &[batch, self.n_features])?;
        self.expect_dtype(action, "its output", &y, self.dtype)?;
        self.expect_shape(action, "its log-determinant", &log_det, &[batch])?;
        if log_det.dtype() != DType::F64 {
            self.expect_dtype(action, "its log-determinant", &log_det, self.dtype)?;
        }
        let log_det = log_det.to_dtype(DType::F64)?;
        Ok((y, log_det))
    }

    fn expect_shape(
        &self,
        action: &'static str,
        what: &'static str,
        tensor: &Tensor,
        expected: &[usize],
    ) -> Result<(), PluginError> {
        if tensor.dims() == expected {
            return Ok(());
        }
        Err(PluginError::Shape {
            plugin: self.info.name.clone(),
            action,
            what,
            expected: expected.to_vec(),
            found: tensor.dims().to_vec(),
        })
    }

    fn expect_dtype(
        &self,
        action: &'static str,
        what: &'static str,
        tensor: &Tensor,
        expected: DType,
    ) -> Result<(), PluginError> {
        if tensor.dtype() == expected {
            return Ok(());
        }
        Err(PluginError::DType {
            plugin: self.info.name.clone(),
            action,
            what,
            expected,
            found: tensor.dtype(),
        })
    }
}

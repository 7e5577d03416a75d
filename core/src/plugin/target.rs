//! Target sources of plugins: pairing prior and data points.

use super::error::PluginError;
use super::flow::check_status;
use super::host;
use super::library::text;
use super::{Origin, PluginInfo};
use crate::tensor::Device;
use regflow_plugin::FeatureKind;
use regflow_plugin::abi::{InstanceHandle, PairRequest, Str, TargetTable};
use std::ffi::c_void;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A way to pair points, found and loaded.
#[derive(Clone)]
pub struct TargetPlugin {
    table: &'static TargetTable,
    info: Arc<PluginInfo>,
}

impl fmt::Debug for TargetPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetPlugin")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl TargetPlugin {
    pub(super) fn new(table: &'static TargetTable, version: &str, origin: Origin) -> Self {
        let info = PluginInfo {
            name: text(&table.name),
            version: version.into(),
            description: text(&table.description),
            schema: text(&table.config_schema),
            origin,
            circular: false,
        };
        TargetPlugin {
            table,
            info: Arc::new(info),
        }
    }

    /// Name, version, description, schema, origin.
    pub fn info(&self) -> &PluginInfo {
        &self.info
    }

    /// Builds the target source. `config` is a JSON object (empty: the defaults).
    ///
    /// # Errors
    /// A configuration that the plugin refuses; a panic.
    pub fn build(&self, config: &str) -> Result<Target, PluginError> {
        let config = self.info.complete_config(config)?;
        let mut instance = std::ptr::null_mut();
        host::take_message();
        // SAFETY: the configuration outlives the call, the table the process.
        let status = unsafe {
            (self.table.create)(host::table(&Device::Cpu), Str::new(&config), &mut instance)
        };
        check_status(&self.info.name, "create", status)?;
        if instance.is_null() {
            return Err(PluginError::Failed {
                plugin: self.info.name.clone(),
                action: "create",
                message: "reported success but made no target source".into(),
            });
        }
        Ok(Target {
            table: self.table,
            instance,
            info: Arc::clone(&self.info),
        })
    }
}

/// A target source built from a plugin. Usable from several threads at once.
pub struct Target {
    table: &'static TargetTable,
    instance: *mut InstanceHandle,
    info: Arc<PluginInfo>,
}

// SAFETY: the interface demands instances that any thread may call, several at once (abi).
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

impl Drop for Target {
    fn drop(&mut self) {
        // SAFETY: made by `create` of the same table, given back once.
        unsafe { (self.table.destroy)(self.instance) };
    }
}

/// Called with the finished fraction; `false` asks to stop.
type Report<'a> = &'a (dyn Fn(f64) -> bool + Sync);

unsafe extern "C" fn report_progress(data: *mut c_void, fraction: f64) -> i32 {
    // SAFETY: `data` points to the `Report` of the running call.
    let report = unsafe { *data.cast::<Report<'_>>() };
    i32::from(!catch_unwind(AssertUnwindSafe(|| report(fraction))).unwrap_or(false))
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl Target {
    /// The plugin.
    pub fn info(&self) -> &PluginInfo {
        &self.info
    }

    /// The row of `x1` that belongs to each row of `x0`; both row-major `[n, D]` with `D = kinds.len()`. All threads of
    /// the pool are used.
    ///
    /// # Errors
    /// Whatever the plugin says; a row outside `x1`.
    pub fn pair(
        &self,
        x0: &[f32],
        x1: &[f32],
        kinds: &[FeatureKind],
    ) -> Result<Vec<u32>, PluginError> {
        self.pair_with_progress(x0, x1, kinds, rayon::current_num_threads(), &|_| true)
    }

    /// As [`Target::pair`] with a number of threads; `progress` is told the finished fraction from any thread, and ends
    /// the work by returning `false`.
    ///
    /// # Errors
    /// As [`Target::pair`]; [`PluginError::Stopped`].
    pub fn pair_with_progress(
        &self,
        x0: &[f32],
        x1: &[f32],
        kinds: &[FeatureKind],
        threads: usize,
        progress: &(dyn Fn(f64) -> bool + Sync),
    ) -> Result<Vec<u32>, PluginError> {
        let dim = kinds.len();
        let rows = |what, values: &[f32]| {
            if dim > 0 && values.len().is_multiple_of(dim) {
                return Ok(values.len() / dim);
            }
            Err(PluginError::Points {
                what,
                found: values.len(),
                n_features: dim,
            })
        };
        let (n0, n1) = (rows("prior points", x0)?, rows("data points", x1)?);
        let stopped = std::sync::atomic::AtomicBool::new(false);
        let watched = |fraction: f64| {
            let goes_on = progress(fraction);
            stopped.fetch_or(!goes_on, std::sync::atomic::Ordering::Relaxed);
            goes_on
        };
        let mut report: Report<'_> = &watched;
        let codes: Vec<u32> = kinds.iter().map(|kind| kind.code()).collect();
        let request = PairRequest {
            struct_size: size_of::<PairRequest>() as u64,
            x0: x0.as_ptr(),
            n0: n0 as u64,
            x1: x1.as_ptr(),
            n1: n1 as u64,
            dim: dim as u64,
            kinds: codes.as_ptr(),
            threads: u32::try_from(threads.max(1)).unwrap_or(u32::MAX),
            reserved: 0,
            progress: report_progress,
            progress_data: std::ptr::from_mut(&mut report).cast(),
        };
        let mut pairs = vec![u32::MAX; n0];
        host::take_message();
        // SAFETY: everything that the request points to outlives the call; `pairs` has room for n0 numbers.
        let status = unsafe { (self.table.pair)(self.instance, &request, pairs.as_mut_ptr()) };
        let plugin = self.info.name.clone();
        if status != 0 && stopped.into_inner() {
            return Err(PluginError::Stopped { plugin });
        }
        check_status(&plugin, "pair", status)?;
        match pairs.iter().position(|&row| row as usize >= n1) {
            Some(point) => Err(PluginError::Row {
                plugin,
                point,
                row: pairs[point],
                n: n1,
            }),
            None => Ok(pairs),
        }
    }
}

//! The trait of target sources, which pair prior and data points, and the functions through which the host calls it.

use crate::abi::{HostOps, InstanceHandle, PairRequest, STATUS_ERROR, STATUS_OK, Str, TargetTable};
use crate::config::{self, ConfigSchema};
use crate::error::{Error, Result};
use crate::feature::FeatureKind;
use crate::flow::{no_extension, slice};
use crate::host::Host;
use std::ffi::c_void;

/// Points in feature space, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Points<'a> {
    /// All values, `[n, dim]`.
    pub values: &'a [f32],
    /// Number of points.
    pub n: usize,
    /// Number of features.
    pub dim: usize,
}

impl<'a> Points<'a> {
    /// Point number `index`.
    ///
    /// # Panics
    /// `index` is not below `n`.
    pub fn row(&self, index: usize) -> &'a [f32] {
        &self.values[index * self.dim..(index + 1) * self.dim]
    }
}

/// Tells the caller how far a long computation is.
#[derive(Clone, Copy)]
pub struct Progress {
    report: unsafe extern "C" fn(*mut c_void, f64) -> i32,
    data: *mut c_void,
}

// SAFETY: the host's progress function may be called from any thread (abi::PairRequest).
unsafe impl Send for Progress {}
// SAFETY: as above.
unsafe impl Sync for Progress {}

impl Progress {
    /// A progress that nobody listens to.
    pub fn none() -> Self {
        unsafe extern "C" fn ignore(_data: *mut c_void, _fraction: f64) -> i32 {
            STATUS_OK
        }
        Progress {
            report: ignore,
            data: std::ptr::null_mut(),
        }
    }

    /// Reports that `fraction` (0 to 1) is done.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the caller wants to stop; to be passed on.
    pub fn report(&self, fraction: f64) -> Result<()> {
        // SAFETY: function and data belong together and live for the call that the progress was made for.
        match unsafe { (self.report)(self.data, fraction) } {
            STATUS_OK => Ok(()),
            _ => Err(Error::Stopped),
        }
    }
}

/// A way to pair prior points with data points.
pub trait TargetSource: Send + Sync + Sized + 'static {
    /// Configuration, read from JSON; as for [`crate::Flow::Config`].
    type Config: serde::de::DeserializeOwned + schemars::JsonSchema + Default;
    /// Name, as in `--target NAME`.
    const NAME: &'static str;
    /// One sentence.
    const DESCRIPTION: &'static str;

    /// Takes the configuration.
    ///
    /// # Errors
    /// A value outside its range.
    fn build(config: Self::Config) -> Result<Self>;

    /// The row of `x1` for each row of `x0`. `kinds` has one entry per feature: differences of circular features are
    /// wrapped. `threads` is the number of threads to use.
    ///
    /// # Errors
    /// Whatever hinders the pairing; [`Error::Stopped`] from `progress`.
    fn pair(
        &self,
        x0: Points<'_>,
        x1: Points<'_>,
        kinds: &[FeatureKind],
        threads: usize,
        progress: &Progress,
    ) -> Result<Vec<u32>>;
}

struct Instance<T> {
    target: T,
    host: Host,
}

/// The table of `T`; made once per plugin and kept for the life of the process.
pub fn target_table<T: TargetSource>() -> &'static TargetTable {
    let ConfigSchema(schema) = config::schema::<T::Config>();
    Box::leak(Box::new(TargetTable {
        struct_size: size_of::<TargetTable>() as u64,
        flags: 0,
        name: Str::new(T::NAME),
        description: Str::new(T::DESCRIPTION),
        config_schema: Str::new(schema),
        create: create::<T>,
        destroy: destroy::<T>,
        pair: pair::<T>,
        get_extension: no_extension,
    }))
}

unsafe extern "C" fn create<T: TargetSource>(
    host: *const HostOps,
    config: Str,
    out: *mut *mut InstanceHandle,
) -> i32 {
    // SAFETY: the host passes its table.
    let host = unsafe { Host::new(host) };
    host.guard(|| {
        // SAFETY: the text is valid for the call.
        let text = unsafe { config.to_text() };
        let target = T::build(config::read(&text)?)?;
        // SAFETY: `out` is writable.
        unsafe { *out = Box::into_raw(Box::new(Instance { target, host })).cast() };
        Ok(())
    })
}

unsafe extern "C" fn destroy<T: TargetSource>(target: *mut InstanceHandle) {
    if target.is_null() {
        return;
    }
    // SAFETY: made by `create::<T>` and given back once.
    let instance = unsafe { Box::from_raw(target.cast::<Instance<T>>()) };
    let host = instance.host;
    host.guard(|| {
        drop(instance);
        Ok(())
    });
}

unsafe extern "C" fn pair<T: TargetSource>(
    target: *const InstanceHandle,
    request: *const PairRequest,
    rows: *mut u32,
) -> i32 {
    if target.is_null() || request.is_null() {
        return STATUS_ERROR;
    }
    // SAFETY: made by `create::<T>`, and a valid request.
    let (instance, request) = unsafe { (&*target.cast::<Instance<T>>(), &*request) };
    instance.host.guard(|| {
        let dim = request.dim;
        // SAFETY: pointers and lengths of the request are valid for the call.
        let (x0, x1, kinds) = unsafe {
            (
                slice(request.x0, request.n0 * dim),
                slice(request.x1, request.n1 * dim),
                slice(request.kinds, dim),
            )
        };
        let kinds = kinds
            .iter()
            .map(|&code| {
                FeatureKind::from_code(code)
                    .ok_or_else(|| Error::Features(format!("unknown kind {code}")))
            })
            .collect::<Result<Vec<_>>>()?;
        let points = |values, n: u64| Points {
            values,
            n: n as usize,
            dim: dim as usize,
        };
        let progress = Progress {
            report: request.progress,
            data: request.progress_data,
        };
        let result = instance.target.pair(
            points(x0, request.n0),
            points(x1, request.n1),
            &kinds,
            request.threads.max(1) as usize,
            &progress,
        )?;
        if result.len() as u64 != request.n0 {
            return Err(Error::Shape {
                what: "rows of the pairing",
                expected: vec![request.n0 as usize],
                found: vec![result.len()],
            });
        }
        // SAFETY: `rows` has room for n0 numbers.
        unsafe { std::ptr::copy_nonoverlapping(result.as_ptr(), rows, result.len()) };
        Ok(())
    })
}

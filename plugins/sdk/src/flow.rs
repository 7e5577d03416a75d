//! The trait of flow architectures, and the functions through which the host calls it.

use crate::abi::{self, BuildInfo, FlowTable, InstanceHandle, STATUS_ERROR, Str, TensorHandle};
use crate::config::{self, ConfigSchema};
use crate::error::{Error, Result};
use crate::feature::{Feature, FeatureKind, Molecule};
use crate::host::Host;
use crate::parameters::ParameterBuilder;
use crate::tensor::{DType, Tensor};
use std::ffi::c_void;

/// A flow architecture: an invertible map of features `[B, D]` whose log-determinant is known.
///
/// The host checks, with randomly perturbed parameters, that `inverse(forward(x)) = x` and that the log-determinants
/// agree with numerical ones, when a plugin is loaded for the first time and before training.
pub trait Flow: Send + Sync + Sized + 'static {
    /// Configuration, read from JSON. Give every field a default and a doc comment (`#[serde(default)]`): the host shows
    /// them, and stores the complete configuration with a model. `#[serde(deny_unknown_fields)]` catches misspellings.
    type Config: serde::de::DeserializeOwned + schemars::JsonSchema + Default;
    /// Name, as in `--architecture NAME`: lower case, digits, `-` and `_`.
    const NAME: &'static str;
    /// One sentence.
    const DESCRIPTION: &'static str;
    /// Whether the flow treats circular features as such. Otherwise it is only given real ones.
    const CIRCULAR: bool;

    /// Builds the flow for `features`, asking `parameters` for everything trainable.
    ///
    /// # Errors
    /// Whatever is wrong with configuration or features.
    fn build(
        config: Self::Config,
        features: &[Feature],
        parameters: &ParameterBuilder<'_>,
    ) -> Result<Self>;

    /// Prior to data: x0 `[B, D]` to x1 `[B, D]` and `log |det d x1 / d x0|` `[B]`, in the dtype of x or f64.
    ///
    /// # Errors
    /// Those of the operations used.
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)>;

    /// Data to prior: x1 `[B, D]` to x0 `[B, D]` and `log |det d x0 / d x1|` `[B]`.
    ///
    /// # Errors
    /// Those of the operations used.
    fn inverse(&self, x: &Tensor) -> Result<(Tensor, Tensor)>;
}

struct Instance<F> {
    flow: F,
    host: Host,
}

/// The table of `F`; made once per plugin and kept for the life of the process.
pub fn flow_table<F: Flow>() -> &'static FlowTable {
    let ConfigSchema(schema) = config::schema::<F::Config>();
    Box::leak(Box::new(FlowTable {
        struct_size: size_of::<FlowTable>() as u64,
        flags: if F::CIRCULAR { abi::FLOW_CIRCULAR } else { 0 },
        name: Str::new(F::NAME),
        description: Str::new(F::DESCRIPTION),
        config_schema: Str::new(schema),
        create: create::<F>,
        destroy: destroy::<F>,
        forward: forward::<F>,
        inverse: inverse::<F>,
        get_extension: no_extension,
    }))
}

pub(crate) unsafe extern "C" fn no_extension(_name: Str) -> *const c_void {
    std::ptr::null()
}

/// # Safety
/// `ptr` is null or readable for `len` values.
pub(crate) unsafe fn slice<'a, T>(ptr: *const T, len: u64) -> &'a [T] {
    if ptr.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: the caller vouches for pointer and length.
    unsafe { std::slice::from_raw_parts(ptr, len as usize) }
}

unsafe extern "C" fn create<F: Flow>(
    build: *const BuildInfo,
    out: *mut *mut InstanceHandle,
) -> i32 {
    // SAFETY: the host passes a valid BuildInfo with its table.
    let (info, host) = unsafe { (&*build, Host::new((*build).host)) };
    host.guard(|| {
        // SAFETY: pointers and lengths of BuildInfo are valid for the call.
        let (text, descriptions, atomic_numbers, bonds) = unsafe {
            (
                info.config.to_text(),
                slice(info.features, info.n_features),
                slice(info.atomic_numbers, info.n_atoms),
                slice(info.bonds, 2 * info.n_bonds),
            )
        };
        let features = descriptions
            .iter()
            .map(|description| {
                Ok(Feature {
                    kind: FeatureKind::from_code(description.kind).ok_or_else(|| {
                        Error::Features(format!("unknown kind {}", description.kind))
                    })?,
                    atom: description.atom,
                    axis: description.axis,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let molecule = Molecule {
            atomic_numbers: atomic_numbers.to_vec(),
            bonds: bonds
                .chunks_exact(2)
                .map(|pair| [pair[0], pair[1]])
                .collect(),
        };
        let dtype = DType::from_code(info.dtype).ok_or_else(|| Error::Host {
            operation: "create",
            message: format!("unknown element type {}", info.dtype),
        })?;
        let parameters = ParameterBuilder::new(host, info.build, dtype, &molecule);
        let flow = F::build(config::read(&text)?, &features, &parameters)?;
        let instance = Box::new(Instance { flow, host });
        // SAFETY: `out` is writable.
        unsafe { *out = Box::into_raw(instance).cast() };
        Ok(())
    })
}

unsafe extern "C" fn destroy<F: Flow>(flow: *mut InstanceHandle) {
    if flow.is_null() {
        return;
    }
    // SAFETY: made by `create::<F>` and given back once.
    let instance = unsafe { Box::from_raw(flow.cast::<Instance<F>>()) };
    let host = instance.host;
    host.guard(|| {
        drop(instance);
        Ok(())
    });
}

unsafe extern "C" fn forward<F: Flow>(
    flow: *const InstanceHandle,
    x: *const TensorHandle,
    y: *mut *mut TensorHandle,
    log_det: *mut *mut TensorHandle,
) -> i32 {
    // SAFETY: the host passes what `create::<F>` made, a live tensor and writable outputs.
    unsafe { call::<F>(flow, x, y, log_det, F::forward) }
}

unsafe extern "C" fn inverse<F: Flow>(
    flow: *const InstanceHandle,
    x: *const TensorHandle,
    y: *mut *mut TensorHandle,
    log_det: *mut *mut TensorHandle,
) -> i32 {
    // SAFETY: as for `forward`.
    unsafe { call::<F>(flow, x, y, log_det, F::inverse) }
}

unsafe fn call<F: Flow>(
    flow: *const InstanceHandle,
    x: *const TensorHandle,
    y: *mut *mut TensorHandle,
    log_det: *mut *mut TensorHandle,
    direction: fn(&F, &Tensor) -> Result<(Tensor, Tensor)>,
) -> i32 {
    if flow.is_null() {
        return STATUS_ERROR;
    }
    // SAFETY: made by `create::<F>` and alive for the call.
    let instance = unsafe { &*flow.cast::<Instance<F>>() };
    instance.host.guard(|| {
        // SAFETY: `x` is alive for the call.
        let x = unsafe { Tensor::borrow_raw(instance.host, x)? };
        let (output, log_determinant) = direction(&instance.flow, &x)?;
        // SAFETY: both outputs are writable.
        unsafe {
            *y = output.into_raw();
            *log_det = log_determinant.into_raw();
        }
        Ok(())
    })
}

//! Flow architectures: the trait that authors implement, and the table through which the host calls it.

use crate::abi::{BuildInfo, InstanceHandle, TableHead, TensorHandle, table};
use crate::error::Result;
use crate::feature::Feature;
use crate::instance::{self, call, head};
use crate::parameters::ParameterBuilder;
use crate::tensor::Tensor;

/// One flow architecture.
#[repr(C)]
pub struct FlowTable {
    /// What all tables have; flags `FLOW_*`.
    pub head: TableHead,
    /// Prior to data: x0 `[B, D]` to x1 `[B, D]` and log |det d x1 / d x0| `[B]` (dtype of x, or f64).
    pub forward: unsafe extern "C" fn(
        flow: *const InstanceHandle,
        x: *const TensorHandle,
        y: *mut *mut TensorHandle,
        log_det: *mut *mut TensorHandle,
    ) -> i32,
    /// Data to prior: x1 `[B, D]` to x0 `[B, D]` and log |det d x0 / d x1| `[B]`.
    pub inverse: unsafe extern "C" fn(
        flow: *const InstanceHandle,
        x: *const TensorHandle,
        y: *mut *mut TensorHandle,
        log_det: *mut *mut TensorHandle,
    ) -> i32,
}
table!(FlowTable, 1, "flow", [forward, inverse]);

/// [`TableHead::flags`]: the flow understands circular features (else it is only given real ones).
pub const FLOW_CIRCULAR: u64 = 1;

/// A flow architecture: an invertible map of features `[B, D]` whose log-determinant is known.
///
/// x0 is on the prior's side: independent features, a real one standard normal, a circular one uniform in `(-pi, pi]`. x1 is on
/// the side of the data, whose real features have mean 0 and variance 1 (see [`Feature`]): both sides are of order 1, and the
/// identity is a good start. Circular features of x1 are angles, and any representative will do: the host wraps differences.
///
/// The host checks, with randomly perturbed parameters, that `inverse(forward(x)) = x` and that the log-determinants
/// agree with numerical ones, and that every parameter has a gradient: before it trains one, and when `bg-sample plugins` is given
/// a library.
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

/// The table of `F`; made once per plugin and kept for the life of the process.
pub fn table<F: Flow>() -> &'static FlowTable {
    let flags = if F::CIRCULAR { FLOW_CIRCULAR } else { 0 };
    Box::leak(Box::new(FlowTable {
        head: head::<FlowTable, F::Config>(
            flags,
            F::NAME,
            F::DESCRIPTION,
            create::<F>,
            instance::destroy::<F>,
        ),
        forward: forward::<F>,
        inverse: inverse::<F>,
    }))
}

/// The table that [`table`] makes.
#[doc(hidden)]
pub type Table = FlowTable;

unsafe extern "C" fn create<F: Flow>(info: *const BuildInfo, out: *mut *mut InstanceHandle) -> i32 {
    // SAFETY: the host passes a valid BuildInfo and a writable output.
    unsafe {
        instance::create(info, out, |config, setup| {
            F::build(config, &setup.features, &setup.parameters)
        })
    }
}

unsafe extern "C" fn forward<F: Flow>(
    flow: *const InstanceHandle,
    x: *const TensorHandle,
    y: *mut *mut TensorHandle,
    log_det: *mut *mut TensorHandle,
) -> i32 {
    // SAFETY: the host passes what `create::<F>` made, a live tensor and writable outputs.
    unsafe { map::<F>(flow, x, [y, log_det], F::forward) }
}

unsafe extern "C" fn inverse<F: Flow>(
    flow: *const InstanceHandle,
    x: *const TensorHandle,
    y: *mut *mut TensorHandle,
    log_det: *mut *mut TensorHandle,
) -> i32 {
    // SAFETY: as for `forward`.
    unsafe { map::<F>(flow, x, [y, log_det], F::inverse) }
}

unsafe fn map<F: Flow>(
    flow: *const InstanceHandle,
    x: *const TensorHandle,
    [y, log_det]: [*mut *mut TensorHandle; 2],
    direction: fn(&F, &Tensor) -> Result<(Tensor, Tensor)>,
) -> i32 {
    // SAFETY: made by `create::<F>` and alive for the call, as is `x`; both outputs are writable.
    unsafe {
        call::<F>(flow, |instance| {
            let x = Tensor::borrow_raw(instance.host, x)?;
            let (output, log_determinant) = direction(&instance.value, &x)?;
            *y = output.into_raw();
            *log_det = log_determinant.into_raw();
            Ok(())
        })
    }
}

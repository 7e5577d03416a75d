//! The plugin ABI, version 1: plain C types that host and plugin exchange. `include/regflow_plugin.h` says the same in C.
//!
//! These types are frozen. abi_stable refuses a plugin that is older than its host as soon as a type has grown, so nothing
//! is ever appended to them: the interface grows by operation codes ([`op`]), whose presence [`HostOps::op_supported`]
//! tells, and by `get_extension(name)` of each table, which returns null for names it does not know.
//!
//! Rules for every function here:
//! - It returns [`STATUS_OK`] or another `STATUS_*`; then a message is in the host's thread-local slot
//!   ([`HostOps::set_error`], [`HostOps::last_error`]).
//! - Inputs are borrowed for the call. An output carries one reference, which the receiver releases, and is written only
//!   on success.
//! - No panic, exception or `longjmp` crosses: both sides guard their functions.
//! - Every function of a table is there: the host refuses a library with a null one.
//! - A built flow, target or energy is called from any thread, and from several at once.

mod energy;
pub mod op;
mod root;

pub use energy::{ENERGIES, EnergyList, EnergyRequest, EnergyTable};
pub use root::{ROOT_NAME, RootModuleFields, RootModuleRef, RootPrefix};

use abi_stable::StableAbi;
use core::ffi::c_void;

/// Major version of the interface; host and plugin must have the same.
pub const ABI_MAJOR: u32 = 1;
/// Minor version of the interface: grows with new operation codes and extension names. Any minor version loads.
pub const ABI_MINOR: u32 = 1;
/// First field of a [`PluginTable`]: "RGFLWPLG" read as a big-endian number.
pub const MAGIC: u64 = u64::from_be_bytes(*b"RGFLWPLG");
/// Symbol that a plugin written in C exports: `const regflow_plugin_table_t *regflow_plugin_entry(void)`.
pub const C_ENTRY: &str = "regflow_plugin_entry";

/// Success.
pub const STATUS_OK: i32 = 0;
/// Failure; the message slot says why.
pub const STATUS_ERROR: i32 = 1;
/// A panic was caught; the message slot holds its text.
pub const STATUS_PANIC: i32 = 2;

/// A tensor, opaque to plugins: reference-counted, owned by the host.
#[repr(C)]
#[derive(StableAbi)]
pub struct TensorHandle {
    opaque: [u8; 0],
}

/// The host's side of one table of operations (its device); opaque to plugins.
#[repr(C)]
#[derive(StableAbi)]
pub struct HostContext {
    opaque: [u8; 0],
}

/// The host's parameter store during [`FlowTable::create`]; opaque to plugins.
#[repr(C)]
#[derive(StableAbi)]
pub struct BuildHandle {
    opaque: [u8; 0],
}

/// A built flow, target or energy, opaque to the host.
#[repr(C)]
#[derive(StableAbi)]
pub struct InstanceHandle {
    opaque: [u8; 0],
}

/// UTF-8 text, borrowed; not terminated.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct Str {
    /// First byte; may be null where `len` is 0.
    pub ptr: *const u8,
    /// Number of bytes.
    pub len: u64,
}

impl Str {
    /// Borrows `text`; valid as long as `text` is.
    pub const fn new(text: &str) -> Self {
        Str {
            ptr: text.as_ptr(),
            len: text.len() as u64,
        }
    }

    /// The text, with invalid UTF-8 replaced.
    ///
    /// # Safety
    /// `ptr` must be readable for `len` bytes, or null.
    pub unsafe fn to_text(&self) -> String {
        if self.ptr.is_null() {
            return String::new();
        }
        // SAFETY: the caller vouches for pointer and length.
        let bytes = unsafe { core::slice::from_raw_parts(self.ptr, self.len as usize) };
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// A named argument of an operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct Attr {
    /// One of [`op::key`].
    pub key: u32,
    /// [`ATTR_FLOAT`] or [`ATTR_INTS`].
    pub kind: u32,
    /// The value where `kind` is [`ATTR_FLOAT`].
    pub float: f64,
    /// `len` values where `kind` is [`ATTR_INTS`]; borrowed for the call.
    pub ints: *const i64,
    /// Number of `ints`.
    pub len: u64,
}

/// [`Attr::float`] holds the value.
pub const ATTR_FLOAT: u32 = 0;
/// [`Attr::ints`] holds the value.
pub const ATTR_INTS: u32 = 1;

/// All values 0.
pub const INIT_ZEROS: u32 = 0;
/// All values 1.
pub const INIT_ONES: u32 = 1;
/// All values equal to `value`.
pub const INIT_CONSTANT: u32 = 2;
/// Normal with mean 0 and standard deviation `value`.
pub const INIT_NORMAL: u32 = 3;
/// Uniform in `[-value, value)`.
pub const INIT_UNIFORM: u32 = 4;

/// The operations of the host. The table lives as long as the process, one per device.
#[repr(C)]
#[derive(StableAbi)]
pub struct HostOps {
    /// `sizeof(HostOps)`.
    pub struct_size: u64,
    /// First argument of the functions below.
    pub context: *mut HostContext,
    /// Applies operation `code`; writes exactly `n_outputs` tensors, which must be the number that the operation has.
    pub op: unsafe extern "C" fn(
        context: *mut HostContext,
        code: u32,
        inputs: *const *const TensorHandle,
        n_inputs: u64,
        attrs: *const Attr,
        n_attrs: u64,
        outputs: *mut *mut TensorHandle,
        n_outputs: u64,
    ) -> i32,
    /// Revision of an operation, 0 if the host does not have it.
    pub op_supported: unsafe extern "C" fn(context: *mut HostContext, code: u32) -> u32,
    /// Adds a reference.
    pub retain: unsafe extern "C" fn(context: *mut HostContext, tensor: *const TensorHandle),
    /// Gives back a reference; null is ignored.
    pub release: unsafe extern "C" fn(context: *mut HostContext, tensor: *mut TensorHandle),
    /// Writes the rank, and the lengths of the dimensions if `rank <= capacity`.
    pub shape: unsafe extern "C" fn(
        context: *mut HostContext,
        tensor: *const TensorHandle,
        dims: *mut u64,
        capacity: u64,
        rank: *mut u64,
    ) -> i32,
    /// Writes one of `op::DTYPE_*`.
    pub dtype: unsafe extern "C" fn(
        context: *mut HostContext,
        tensor: *const TensorHandle,
        dtype: *mut u32,
    ) -> i32,
    /// Copies row-major values of `dtype` to a new tensor on the host's device.
    pub from_host: unsafe extern "C" fn(
        context: *mut HostContext,
        dtype: u32,
        data: *const c_void,
        dims: *const u64,
        rank: u64,
        output: *mut *mut TensorHandle,
    ) -> i32,
    /// Copies all `count` elements, row-major, to `data`; `dtype` must be the tensor's.
    pub to_host: unsafe extern "C" fn(
        context: *mut HostContext,
        tensor: *const TensorHandle,
        dtype: u32,
        data: *mut c_void,
        count: u64,
    ) -> i32,
    /// The trainable parameter `name`, during [`FlowTable::create`] only: kept by the host, of `BuildInfo::dtype`, set to
    /// `init` (`INIT_*`, `value`) when the model is new. A name may be asked for once per build.
    pub parameter: unsafe extern "C" fn(
        context: *mut HostContext,
        build: *mut BuildHandle,
        name: Str,
        dims: *const u64,
        rank: u64,
        init: u32,
        value: f64,
        output: *mut *mut TensorHandle,
    ) -> i32,
    /// The message of this thread's last failed call; borrowed until the thread's next call.
    pub last_error: unsafe extern "C" fn(context: *mut HostContext) -> Str,
    /// Sets this thread's message; a plugin does so before it returns anything but [`STATUS_OK`].
    pub set_error: unsafe extern "C" fn(context: *mut HostContext, message: Str),
    /// Later additions by name; null if unknown.
    pub get_extension: unsafe extern "C" fn(context: *mut HostContext, name: Str) -> *const c_void,
}

// SAFETY: the table is immutable, its functions may be called from any thread.
unsafe impl Send for HostOps {}
// SAFETY: as above.
unsafe impl Sync for HostOps {}

/// [`FeatureDescription::kind`]: any real number.
pub const FEATURE_REAL: u32 = 0;
/// [`FeatureDescription::kind`]: an angle in `(-pi, pi]`.
pub const FEATURE_CIRCULAR: u32 = 1;

/// What one column of the flow's input and output is.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct FeatureDescription {
    /// [`FEATURE_REAL`] or [`FEATURE_CIRCULAR`].
    pub kind: u32,
    /// The atom that the feature places.
    pub atom: u32,
    /// 0, 1, 2: x, y, z, or bond, angle, torsion.
    pub axis: u32,
    /// 0.
    pub reserved: u32,
    /// Smallest value; minus infinity if unbounded.
    pub lower: f64,
    /// Largest value; infinity if unbounded.
    pub upper: f64,
}

/// What a flow is built from; borrowed for [`FlowTable::create`].
#[repr(C)]
#[derive(StableAbi)]
pub struct BuildInfo {
    /// `sizeof(BuildInfo)`.
    pub struct_size: u64,
    /// The operations; valid as long as the process.
    pub host: *const HostOps,
    /// To be handed to [`HostOps::parameter`].
    pub build: *mut BuildHandle,
    /// The configuration, a JSON object; empty for the defaults.
    pub config: Str,
    /// One entry per column.
    pub features: *const FeatureDescription,
    /// Number of columns D.
    pub n_features: u64,
    /// Atomic number of each atom.
    pub atomic_numbers: *const u32,
    /// Number of atoms; 0 if the host does not know the molecule.
    pub n_atoms: u64,
    /// Pairs of atoms, two numbers per bond.
    pub bonds: *const u32,
    /// Number of bonds.
    pub n_bonds: u64,
    /// dtype of parameters, inputs and outputs: `op::DTYPE_F32`, or `op::DTYPE_F64` in checks.
    pub dtype: u32,
    /// 0.
    pub reserved: u32,
}

/// [`FlowTable::flags`]: the flow understands circular features (else it is only given real ones).
pub const FLOW_CIRCULAR: u64 = 1;

/// One flow architecture.
#[repr(C)]
#[derive(StableAbi)]
pub struct FlowTable {
    /// `sizeof(FlowTable)`.
    pub struct_size: u64,
    /// `FLOW_*` flags.
    pub flags: u64,
    /// Name: lower case, digits, `-` and `_`.
    pub name: Str,
    /// One sentence.
    pub description: Str,
    /// JSON schema of the configuration.
    pub config_schema: Str,
    /// Builds a flow.
    pub create:
        unsafe extern "C" fn(build: *const BuildInfo, flow: *mut *mut InstanceHandle) -> i32,
    /// Frees a flow; null is ignored.
    pub destroy: unsafe extern "C" fn(flow: *mut InstanceHandle),
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
    /// Later additions by name; null if unknown.
    pub get_extension: unsafe extern "C" fn(name: Str) -> *const c_void,
}

// SAFETY: immutable, and its functions may be called from any thread.
unsafe impl Send for FlowTable {}
// SAFETY: as above.
unsafe impl Sync for FlowTable {}

/// Points to be paired; borrowed for [`TargetTable::pair`].
#[repr(C)]
#[derive(StableAbi)]
pub struct PairRequest {
    /// `sizeof(PairRequest)`.
    pub struct_size: u64,
    /// Prior points, row-major `[n0, dim]`.
    pub x0: *const f32,
    /// Number of prior points.
    pub n0: u64,
    /// Data points, row-major `[n1, dim]`.
    pub x1: *const f32,
    /// Number of data points.
    pub n1: u64,
    /// Number of columns.
    pub dim: u64,
    /// [`FEATURE_REAL`] or [`FEATURE_CIRCULAR`] of each column.
    pub kinds: *const u32,
    /// Number of threads to use, at least 1.
    pub threads: u32,
    /// 0.
    pub reserved: u32,
    /// Told the finished fraction now and then; anything but 0 asks to stop.
    pub progress: unsafe extern "C" fn(data: *mut c_void, fraction: f64) -> i32,
    /// First argument of `progress`.
    pub progress_data: *mut c_void,
}

/// One way to pair prior and data points.
#[repr(C)]
#[derive(StableAbi)]
pub struct TargetTable {
    /// `sizeof(TargetTable)`.
    pub struct_size: u64,
    /// 0.
    pub flags: u64,
    /// Name: lower case, digits, `-` and `_`.
    pub name: Str,
    /// One sentence.
    pub description: Str,
    /// JSON schema of the configuration.
    pub config_schema: Str,
    /// Builds a target source from its configuration (JSON; empty for the defaults).
    pub create: unsafe extern "C" fn(
        host: *const HostOps,
        config: Str,
        target: *mut *mut InstanceHandle,
    ) -> i32,
    /// Frees a target source; null is ignored.
    pub destroy: unsafe extern "C" fn(target: *mut InstanceHandle),
    /// Writes for each of the `n0` prior points the row of its data point.
    pub pair: unsafe extern "C" fn(
        target: *const InstanceHandle,
        request: *const PairRequest,
        rows: *mut u32,
    ) -> i32,
    /// Later additions by name; null if unknown.
    pub get_extension: unsafe extern "C" fn(name: Str) -> *const c_void,
}

// SAFETY: immutable, and its functions may be called from any thread.
unsafe impl Send for TargetTable {}
// SAFETY: as above.
unsafe impl Sync for TargetTable {}

/// What a library offers; lives as long as the process.
#[repr(C)]
#[derive(StableAbi)]
pub struct PluginTable {
    /// [`MAGIC`].
    pub magic: u64,
    /// `sizeof(PluginTable)`.
    pub struct_size: u64,
    /// [`ABI_MAJOR`] of the plugin's build.
    pub abi_major: u32,
    /// [`ABI_MINOR`] of the plugin's build.
    pub abi_minor: u32,
    /// Name of the plugin.
    pub name: Str,
    /// Its own version.
    pub version: Str,
    /// Its flows.
    pub flows: *const *const FlowTable,
    /// Number of flows.
    pub n_flows: u64,
    /// Its target sources.
    pub targets: *const *const TargetTable,
    /// Number of target sources.
    pub n_targets: u64,
    /// Tables of later kinds by name; null if unknown.
    pub get_extension: unsafe extern "C" fn(name: Str) -> *const c_void,
}

// SAFETY: immutable, and its functions may be called from any thread.
unsafe impl Send for PluginTable {}
// SAFETY: as above.
unsafe impl Sync for PluginTable {}

/// The text of a caught panic.
pub fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "panic without a text"
    }
}

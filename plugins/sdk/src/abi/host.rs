//! What the host lends to plugins: its operations, and what a plugin is built from.

use super::{Attr, BuildHandle, HostContext, Str, TensorHandle, grown};
use core::ffi::c_void;

/// The operations of the host. The table lives as long as the process, one per device.
#[repr(C)]
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
    /// Revision of an operation, 0 if the host does not have it. A revision is raised when an operation learns more (another
    /// attribute, another number of dimensions); what an earlier revision does stays as it is.
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
    /// The trainable parameter `name`, during [`create`](super::TableHead::create) of a flow or field only: kept by the host, of `BuildInfo::dtype`, set to
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
    /// Sets this thread's message; a plugin does so before it returns anything but [`STATUS_OK`](super::STATUS_OK).
    pub set_error: unsafe extern "C" fn(context: *mut HostContext, message: Str),
}

grown!(HostOps, set_error: *const c_void);

// SAFETY: the table is immutable, its functions may be called from any thread.
unsafe impl Send for HostOps {}
// SAFETY: as above.
unsafe impl Sync for HostOps {}

/// What one column of a flow's or field's input and output is. Comes in arrays, and never grows.
///
/// Real features are centred and scaled to unit variance on the training data, circular ones are angles in radians as they are.
/// By default the real ones are whitened as well: each is a mixture of all real coordinates without correlation to the others,
/// of all such mixtures the closest to the coordinate that `atom` and `axis` name (ZCA-cor).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FeatureDescription {
    /// [`FEATURE_REAL`](super::FEATURE_REAL) or [`FEATURE_CIRCULAR`](super::FEATURE_CIRCULAR).
    pub kind: u32,
    /// The atom that the feature places, as a number in the molecule.
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

/// What is built from; borrowed for [`TableHead::create`](super::TableHead::create). Target sources and energies get no features,
/// no molecule and no parameters.
#[repr(C)]
pub struct BuildInfo {
    /// `sizeof(BuildInfo)`.
    pub struct_size: u64,
    /// The operations; valid as long as the process.
    pub host: *const HostOps,
    /// To be handed to [`HostOps::parameter`]; null where there are no parameters.
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
grown!(BuildInfo, reserved: u32);

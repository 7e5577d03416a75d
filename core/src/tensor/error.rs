//! Errors of the operation table.

use candle_core::DType;

/// Why an operation of the table was refused or failed. Every variant names the operation as `abi::op` does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The code is not in this version's table.
    #[error(
        "unknown operation code {code}: this host knows codes up to {}",
        super::last_code()
    )]
    UnknownOperation {
        /// The code asked for.
        code: u32,
    },
    /// Wrong number of input tensors.
    #[error("{op}: expected {expected} input tensors, found {found}")]
    InputCount {
        /// Operation.
        op: &'static str,
        /// How many it takes.
        expected: String,
        /// How many were given.
        found: usize,
    },
    /// A required attribute is absent.
    #[error("{op}: attribute {attribute} is missing")]
    MissingAttribute {
        /// Operation.
        op: &'static str,
        /// Name of the key.
        attribute: &'static str,
    },
    /// An attribute that this operation does not have.
    #[error("{op}: has no attribute {attribute} (key {key})")]
    UnknownAttribute {
        /// Operation.
        op: &'static str,
        /// Name of the key, `?` where the key itself is unknown.
        attribute: &'static str,
        /// The key.
        key: u32,
    },
    /// An attribute given as a float where integers are needed, or the reverse, or a wrong number of integers.
    #[error("{op}: attribute {attribute} must be {expected}, found {found}")]
    AttributeKind {
        /// Operation.
        op: &'static str,
        /// Name of the key.
        attribute: &'static str,
        /// What is needed.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// An attribute out of its range.
    #[error("{op}: attribute {attribute} = {found}, expected {expected}")]
    AttributeValue {
        /// Operation.
        op: &'static str,
        /// Name of the key.
        attribute: &'static str,
        /// The value given.
        found: String,
        /// The values allowed.
        expected: String,
    },
    /// A dimension that the tensor does not have.
    #[error("{op}: dimension {dim} of a tensor of rank {rank}")]
    Dimension {
        /// Operation.
        op: &'static str,
        /// The dimension given.
        dim: i64,
        /// Rank of the tensor.
        rank: usize,
    },
    /// A shape that does not fit.
    #[error("{op}: input {input} has shape {found:?}, expected {expected}")]
    Shape {
        /// Operation.
        op: &'static str,
        /// Index of the input.
        input: usize,
        /// The shape needed.
        expected: String,
        /// The shape given.
        found: Vec<usize>,
    },
    /// Shapes that do not broadcast to each other.
    #[error("{op}: shapes {lhs:?} and {rhs:?} do not broadcast")]
    Broadcast {
        /// Operation.
        op: &'static str,
        /// Shape of the first tensor.
        lhs: Vec<usize>,
        /// Shape of the second tensor.
        rhs: Vec<usize>,
    },
    /// A dtype that the operation does not take, or that differs from the first input's.
    #[error("{op}: input {input} has dtype {found:?}, expected {expected}")]
    DType {
        /// Operation.
        op: &'static str,
        /// Index of the input.
        input: usize,
        /// The dtype needed.
        expected: String,
        /// The dtype given.
        found: DType,
    },
    /// Inputs on different devices.
    #[error("{op}: input {input} is on {found}, input 0 on {expected}")]
    DeviceMismatch {
        /// Operation.
        op: &'static str,
        /// Index of the input.
        input: usize,
        /// Device of the first input.
        expected: String,
        /// Device of this input.
        found: String,
    },
    /// A result, or another tensor, of too many entries.
    #[error(
        "{op}: a tensor of shape {shape:?} is too large: at most {} entries are possible",
        super::MAX_ENTRIES
    )]
    TooLarge {
        /// Operation, or what needs the tensor.
        op: &'static str,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// No memory for a result, or another tensor.
    #[error("{op}: needs {bytes} bytes of memory, which are not to be had; use smaller batches")]
    Memory {
        /// Operation, or what needs the tensor.
        op: &'static str,
        /// What it needs.
        bytes: usize,
    },
    /// The tensor library failed: out of memory, a device error, an index out of range.
    #[error("{op}: {source}")]
    Backend {
        /// Operation.
        op: &'static str,
        /// What it said.
        source: candle_core::Error,
    },
    /// A device name that cannot be read.
    #[error("unknown device `{name}`: expected `cpu` or `cuda:N`, for example `cuda:0`")]
    UnknownDevice {
        /// The name given.
        name: String,
    },
    /// A GPU was asked for, but this build has no CUDA.
    #[error(
        "device `{name}`: this build has no CUDA support; build with the feature `cuda`, or use `cpu`"
    )]
    NoCuda {
        /// The name given.
        name: String,
    },
    /// The GPU cannot be opened.
    #[error("device `{name}`: {source}")]
    Device {
        /// The name given.
        name: String,
        /// What the driver said.
        source: candle_core::Error,
    },
}

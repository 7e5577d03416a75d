//! Operation codes, attribute keys and constants of the tensor operation table.
//!
//! An operation is `op(code, inputs, attributes) -> outputs`. Codes are never reused or renumbered; new operations get new
//! codes, and a changed meaning gets a new revision, which `op_supported(code)` returns (0: unknown operation).
//! Every differentiable operation has a gradient in the host. Elementwise binary operations broadcast as NumPy does.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        $($(#[$doc])* pub const $name: u32 = $code;)*

        /// Name of an operation for messages; `None` for an unknown code.
        pub fn name(code: u32) -> Option<&'static str> {
            match code {
                $($code => Some(stringify!($name)),)*
                _ => None,
            }
        }

        /// All codes of this interface version.
        pub const ALL: &[u32] = &[$($code),*];
    };
}

codes! {
    /// `a + b`, broadcasting.
    ADD = 1;
    /// `a - b`, broadcasting.
    SUB = 2;
    /// `a * b`, broadcasting.
    MUL = 3;
    /// `a / b`, broadcasting.
    DIV = 4;
    /// Elementwise maximum, broadcasting.
    MAXIMUM = 5;
    /// Elementwise minimum, broadcasting.
    MINIMUM = 6;
    /// `a == b` as 1 or 0 in the dtype of `a`; no gradient (likewise the other comparisons).
    EQ = 10;
    /// `a != b`.
    NE = 11;
    /// `a < b`.
    LT = 12;
    /// `a <= b`.
    LE = 13;
    /// `a > b`.
    GT = 14;
    /// `a >= b`.
    GE = 15;
    /// `where(condition, a, b)`: `a` where the condition is not 0, else `b`; all three broadcast.
    WHERE = 16;
    /// `SCALE * x + SHIFT`.
    AFFINE = 20;
    /// `-x`.
    NEG = 21;
    /// `|x|`; gradient 0 at 0.
    ABS = 22;
    /// Sign of `x` (-1, 0, 1); no gradient.
    SIGN = 23;
    /// `exp(x)`.
    EXP = 24;
    /// Natural logarithm.
    LOG = 25;
    /// Square root.
    SQRT = 26;
    /// `x * x`.
    SQR = 27;
    /// `1 / x`.
    RECIP = 28;
    /// Sine.
    SIN = 29;
    /// Cosine.
    COS = 30;
    /// Hyperbolic tangent.
    TANH = 31;
    /// `1 / (1 + exp(-x))`.
    SIGMOID = 32;
    /// `x * sigmoid(x)`.
    SILU = 33;
    /// `max(x, 0)`.
    RELU = 34;
    /// `x * Phi(x)` with the exact error function.
    GELU = 35;
    /// `log(1 + exp(x))`, stable for large `|x|`.
    SOFTPLUS = 36;
    /// Error function.
    ERF = 37;
    /// Largest integer not above `x`; no gradient.
    FLOOR = 38;
    /// `x ^ EXPONENT`.
    POWF = 39;
    /// `min(max(x, LOWER), UPPER)`; gradient 0 outside.
    CLAMP = 40;
    /// Angle wrapped to `[-pi, pi)`; gradient 1.
    WRAP = 41;
    /// Sum over `DIMS`; `KEEP` = 1 keeps them with length 1.
    SUM = 50;
    /// Mean over `DIMS`.
    MEAN = 51;
    /// Maximum over one `DIM`; `KEEP`.
    MAX = 52;
    /// Minimum over one `DIM`; `KEEP`.
    MIN = 53;
    /// `log(sum(exp(x)))` over one `DIM`; `KEEP`.
    LOGSUMEXP = 54;
    /// Cumulative sum along `DIM`.
    CUMSUM = 55;
    /// Softmax along `DIM`.
    SOFTMAX = 56;
    /// Logarithm of the softmax along `DIM`.
    LOG_SOFTMAX = 57;
    /// `(x - mean) / sqrt(var + EPSILON) * weight + bias` over the last dimension; inputs x, weight, bias.
    LAYER_NORM = 58;
    /// Matrix product of `[..., m, k]` and `[..., k, n]`; leading dimensions broadcast.
    MATMUL = 60;
    /// `activation(x W + b)`; x `[..., k]`, W `[k, n]`, b `[n]`; `ACTIVATION` is one of the `ACTIVATION_*` values.
    DENSE = 61;
    /// New `SHAPE`, same elements in row-major order.
    RESHAPE = 70;
    /// Exchange of the two `DIMS`.
    TRANSPOSE = 71;
    /// Dimensions in the order `DIMS`.
    PERMUTE = 72;
    /// `LEN` entries of `DIM` from `START`.
    NARROW = 73;
    /// Concatenation of all inputs along `DIM`.
    CAT = 74;
    /// `x.gather(index)` along `DIM`; inputs x, index (U32, same rank).
    GATHER = 75;
    /// Rows `index` (U32, rank 1) of `DIM`.
    INDEX_SELECT = 76;
    /// Broadcast to `SHAPE`.
    BROADCAST_TO = 77;
    /// The same values, outside the gradient graph.
    DETACH = 78;
    /// Conversion to `DTYPE`.
    CAST = 79;
    /// Affine coupling. Inputs x `[B, D]`, raw scale s `[B, D]`, shift t `[B, D]`; `LIMIT` c, `INVERSE` 0 or 1.
    /// With `l = c tanh(s / c)`: forward `y = x exp(l) + t`, log-det `sum_d l`; inverse `y = (x - t) exp(-l)`, log-det
    /// `-sum_d l`. Outputs y `[B, D]`, log-det `[B]`.
    AFFINE_COUPLING = 90;
    /// Monotonic rational-quadratic spline (arXiv 1906.04032), elementwise. Inputs x `[B, D]`, parameters `[B, D, P]` or
    /// `[1, D, P]` (shared by the batch). `LOWER`, `UPPER`: the interval, mapped onto itself; `BINS` K; `CIRCULAR`;
    /// `INVERSE`; `MIN_BIN` (smallest bin width and height as a fraction of the interval), `MIN_SLOPE`.
    /// `CIRCULAR` = 0: P = 3K - 1 (K widths, K heights, K - 1 interior slopes), identity with slope 1 outside the interval.
    /// `CIRCULAR` = 1: P = 3K (K widths, K heights, K slopes, the first shared by both ends); x is wrapped into the
    /// interval first. Widths and heights go through a softmax; slopes through
    /// `MIN_SLOPE + softplus(p + log(exp(1 - MIN_SLOPE) - 1))`, so that all parameters 0 give the identity.
    /// Outputs y `[B, D]`, log-derivative of the applied direction `[B, D]`.
    RQ_SPLINE = 91;
}

/// Attribute keys.
pub mod key {
    /// One dimension (int; negative counts from the end).
    pub const DIM: u32 = 1;
    /// Several dimensions (ints).
    pub const DIMS: u32 = 2;
    /// 1 keeps reduced dimensions (int).
    pub const KEEP: u32 = 3;
    /// A shape (ints).
    pub const SHAPE: u32 = 4;
    /// First index (int).
    pub const START: u32 = 5;
    /// Length (int).
    pub const LEN: u32 = 6;
    /// One of the `DTYPE_*` values (int).
    pub const DTYPE: u32 = 7;
    /// One of the `ACTIVATION_*` values (int).
    pub const ACTIVATION: u32 = 8;
    /// 1 for the inverse direction (int).
    pub const INVERSE: u32 = 9;
    /// 1 for a circular spline (int).
    pub const CIRCULAR: u32 = 10;
    /// Number of spline bins (int).
    pub const BINS: u32 = 11;
    /// Factor (float).
    pub const SCALE: u32 = 32;
    /// Summand (float).
    pub const SHIFT: u32 = 33;
    /// Exponent (float).
    pub const EXPONENT: u32 = 34;
    /// Lower bound (float).
    pub const LOWER: u32 = 35;
    /// Upper bound (float).
    pub const UPPER: u32 = 36;
    /// Added to a variance (float).
    pub const EPSILON: u32 = 37;
    /// Bound of a log-scale (float).
    pub const LIMIT: u32 = 38;
    /// Smallest bin, as a fraction of the interval (float).
    pub const MIN_BIN: u32 = 39;
    /// Smallest slope at a knot (float).
    pub const MIN_SLOPE: u32 = 40;
}

/// 32-bit floating point.
pub const DTYPE_F32: u32 = 0;
/// 64-bit floating point.
pub const DTYPE_F64: u32 = 1;
/// 32-bit unsigned integers (indices).
pub const DTYPE_U32: u32 = 2;

/// No activation.
pub const ACTIVATION_NONE: u32 = 0;
/// `max(x, 0)`.
pub const ACTIVATION_RELU: u32 = 1;
/// `x * sigmoid(x)`.
pub const ACTIVATION_SILU: u32 = 2;
/// Hyperbolic tangent.
pub const ACTIVATION_TANH: u32 = 3;
/// Exact GELU.
pub const ACTIVATION_GELU: u32 = 4;

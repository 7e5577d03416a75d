//! The table of operations.

use super::describe::{Dtype, Input, Key, Operation, Output, Use};

const fn known(key: u32) -> Key {
    match super::key::find(key) {
        Some(key) => key,
        None => panic!("a key of the table"),
    }
}

const fn default(values: &[i64]) -> Option<i64> {
    match values {
        [value] => Some(*value),
        _ => None,
    }
}

/// Whether an input may be given more than once, as the table says it.
const fn is_more(word: &str) -> bool {
    matches!(word.as_bytes(), b"more")
}

operations! {
    ADD = 1, 1, (a Float; b Float) -> (y), [],
        "`y = a + b`, broadcasting as NumPy does.", "`g`, `g`.";
    SUB = 2, 1, (a Float; b Float) -> (y), [],
        "`y = a - b`, broadcasting.", "`g`, `-g`.";
    MUL = 3, 1, (a Float; b Float) -> (y), [],
        "`y = a b`, entry by entry, broadcasting.", "`g b`, `g a`.";
    DIV = 4, 1, (a Float; b Float) -> (y), [],
        "`y = a / b`, broadcasting.", "`g / b`, `-g a / b^2`.";
    MAXIMUM = 5, 1, (a Float; b Float) -> (y), [],
        "`y = max(a, b)`, broadcasting.", "`g` to the larger one, half to each where they are equal.";
    MINIMUM = 6, 1, (a Float; b Float) -> (y), [],
        "`y = min(a, b)`, broadcasting.", "`g` to the smaller one, half to each where they are equal.";
    EQ = 10, 1, (a Same; b Same) -> (y), [],
        "`y` is 1 where `a == b`, else 0, in the element type of a; broadcasting.", "none.";
    NE = 11, 1, (a Same; b Same) -> (y), [],
        "`y` is 1 where `a != b`, else 0, in the element type of a; broadcasting.", "none.";
    LT = 12, 1, (a Same; b Same) -> (y), [],
        "`y` is 1 where `a < b`, else 0, in the element type of a; broadcasting.", "none.";
    LE = 13, 1, (a Same; b Same) -> (y), [],
        "`y` is 1 where `a <= b`, else 0, in the element type of a; broadcasting.", "none.";
    GT = 14, 1, (a Same; b Same) -> (y), [],
        "`y` is 1 where `a > b`, else 0, in the element type of a; broadcasting.", "none.";
    GE = 15, 1, (a Same; b Same) -> (y), [],
        "`y` is 1 where `a >= b`, else 0, in the element type of a; broadcasting.", "none.";
    WHERE = 16, 1, (condition Any; a Same; b Same) -> (y), [],
        "`y = a` where the condition is not 0, else `b`; all three broadcast.",
        "`g` to the one chosen, none to the condition.";

    AFFINE = 20, 1, (x Float) -> (y), [SCALE, SHIFT], "`y = SCALE x + SHIFT`.", "`SCALE g`.";
    NEG = 21, 1, (x Float) -> (y), [], "`y = -x`.", "`-g`.";
    ABS = 22, 1, (x Float) -> (y), [], "`y = |x|`.", "`g sign(x)`, 0 at 0.";
    SIGN = 23, 1, (x Float) -> (y), [], "`y` is -1, 0 or 1 as x is below, at or above 0.", "none.";
    EXP = 24, 1, (x Float) -> (y), [], "`y = exp(x)`.", "`g y`.";
    LOG = 25, 1, (x Float) -> (y), [], "`y = ln(x)`; minus infinity at 0, NaN below.", "`g / x`.";
    SQRT = 26, 1, (x Float) -> (y), [], "`y = sqrt(x)`; NaN below 0.", "`g / (2 y)`.";
    SQR = 27, 1, (x Float) -> (y), [], "`y = x^2`.", "`2 g x`.";
    RECIP = 28, 1, (x Float) -> (y), [], "`y = 1 / x`.", "`-g y^2`.";
    SIN = 29, 1, (x Float) -> (y), [], "`y = sin(x)`.", "`g cos(x)`.";
    COS = 30, 1, (x Float) -> (y), [], "`y = cos(x)`.", "`-g sin(x)`.";
    TANH = 31, 1, (x Float) -> (y), [], "`y = tanh(x)`.", "`g (1 - y^2)`.";
    SIGMOID = 32, 1, (x Float) -> (y), [], "`y = 1 / (1 + exp(-x))`.", "`g y (1 - y)`.";
    SILU = 33, 1, (x Float) -> (y), [],
        "`y = x s`, `s = 1 / (1 + exp(-x))`.", "`g (s + x s (1 - s))`.";
    RELU = 34, 1, (x Float) -> (y), [], "`y = max(x, 0)`.", "`g` where `x > 0`, else 0.";
    GELU = 35, 1, (x Float) -> (y), [],
        "`y = x Phi(x)`, `Phi(x) = (1 + erf(x / sqrt(2))) / 2`.",
        "`g (Phi(x) + x exp(-x^2 / 2) / sqrt(2 pi))`.";
    SOFTPLUS = 36, 1, (x Float) -> (y), [],
        "`y = ln(1 + exp(x))`, without overflow.", "`g / (1 + exp(-x))`.";
    ERF = 37, 1, (x Float) -> (y), [],
        "`y = erf(x)`, the error function.", "`2 g exp(-x^2) / sqrt(pi)`.";
    FLOOR = 38, 1, (x Float) -> (y), [], "`y` is the largest integer not above x.", "none.";
    POWF = 39, 1, (x Float) -> (y), [EXPONENT],
        "`y = x ^ EXPONENT`; NaN below 0 unless EXPONENT is an integer.",
        "`g EXPONENT x ^ (EXPONENT - 1)`, 0 where EXPONENT is 0.";
    CLAMP = 40, 1, (x Float) -> (y), [LOWER, UPPER],
        "`y = min(max(x, LOWER), UPPER)`, LOWER not above UPPER.",
        "`g` where x lies within the bounds or on one, else 0.";
    WRAP = 41, 1, (x Float) -> (y), [],
        "`y` is the angle in `(-pi, pi]` that differs from x by a multiple of 2 pi; ends rounded to the element type.",
        "`g`.";
    EXPM1 = 42, 1, (x Float) -> (y), [], "`y = exp(x) - 1`, accurate near 0.", "`g (y + 1)`.";
    LOG1P = 43, 1, (x Float) -> (y), [],
        "`y = ln(1 + x)`, accurate near 0; minus infinity at -1, NaN below.", "`g / (1 + x)`.";
    SINH = 44, 1, (x Float) -> (y), [], "`y = sinh(x)`, accurate near 0.", "`g cosh(x)`.";
    COSH = 45, 1, (x Float) -> (y), [], "`y = cosh(x)`.", "`g sinh(x)`.";
    ASINH = 46, 1, (x Float) -> (y), [],
        "`y = ln(x + sqrt(1 + x^2))`, accurate near 0 and for large |x|.", "`g / sqrt(1 + x^2)`.";

    SUM = 50, 1, (x Float) -> (y), [DIMS, KEEP or 0],
        "`y` is the sum over DIMS; over none of them, x itself.", "`g`, at each entry of the sum.";
    MEAN = 51, 1, (x Float) -> (y), [DIMS, KEEP or 0],
        "`y` is the mean over the n entries of DIMS; NaN for n = 0.", "`g / n`, at each entry of the mean.";
    MAX = 52, 1, (x Float) -> (y), [DIM, KEEP or 0],
        "`y` is the maximum over DIM, which has at least one entry.",
        "`g` to the entries that attain it, equally shared.";
    MIN = 53, 1, (x Float) -> (y), [DIM, KEEP or 0],
        "`y` is the minimum over DIM, which has at least one entry.",
        "`g` to the entries that attain it, equally shared.";
    LOGSUMEXP = 54, 1, (x Float) -> (y), [DIM, KEEP or 0],
        "`y = ln(sum(exp(x)))` over DIM, which has at least one entry; without overflow.", "`g exp(x - y)`.";
    CUMSUM = 55, 1, (x Float) -> (y), [DIM],
        "`y` is the sum of the entries of x up to and with each, along DIM.",
        "the sum of `g` from each entry on, along DIM.";
    SOFTMAX = 56, 1, (x Float) -> (y), [DIM],
        "`y = exp(x) / sum(exp(x))` along DIM, which has at least one entry; without overflow.",
        "`y (g - sum(g y))`.";
    LOG_SOFTMAX = 57, 1, (x Float) -> (y), [DIM],
        "`y = x - ln(sum(exp(x)))` along DIM, which has at least one entry; without overflow.",
        "`g - exp(y) sum(g)`.";
    LAYER_NORM = 58, 1,
        (x Float "[.., n]"; weight Float "[n]"; bias Float "[n]") -> (y "[.., n]"), [EPSILON],
        "`y = s weight + bias`, `s = (x - mean) r`, `r = 1 / sqrt(var + EPSILON)`; mean and var (the mean of `(x - mean)^2`) over the last dimension.",
        "with `h = g weight`: `r (h - mean(h) - s mean(h s))` to x, `g s` to weight and `g` to bias, both summed over rows.";

    MATMUL = 60, 1, (a Float "[.., m, k]"; b Float "[.., k, n]") -> (y "[.., m, n]"), [],
        "`y[i, j] = sum_l a[i, l] b[l, j]`; the leading dimensions broadcast.", "`g b^T`, `a^T g`.";
    DENSE = 61, 1,
        (x Float "[.., k]"; weight Float "[k, n]"; bias Float "[n]") -> (y "[.., n]"), [ACTIVATION],
        "`y = f(z)`, `z = x weight + bias`, with the function f that ACTIVATION names.",
        "with `h = g f'(z)`: `h weight^T` to x, `x^T h` to weight, `h` summed over rows to bias.";

    RESHAPE = 70, 1, (x Any) -> (y), [SHAPE],
        "`y` has the entries of x in row-major order, with SHAPE.", "`g` with the shape of x.";
    TRANSPOSE = 71, 1, (x Any) -> (y), [DIMS],
        "`y` is x with the two DIMS exchanged.", "`g` with them exchanged.";
    PERMUTE = 72, 1, (x Any) -> (y), [DIMS],
        "Dimension i of `y` is dimension DIMS(i) of x; each occurs once.", "`g` in the order of x.";
    NARROW = 73, 1, (x Any) -> (y), [DIM, START, LEN],
        "`y` has the LEN entries from START on of DIM.", "`g` at these entries, else 0.";
    CAT = 74, 1, (x Same, more) -> (y), [DIM],
        "`y` is all inputs one after the other along DIM; other dimensions are equal.", "to each its part of `g`.";
    GATHER = 75, 1, (x Any; index Index) -> (y), [DIM],
        "`y[.., i, ..] = x[.., index[.., i, ..], ..]` at DIM; y has the shape of index, which in other dimensions is at most as long as x.",
        "`g` added at these entries, else 0.";
    INDEX_SELECT = 76, 1, (x Any; index Index "[n]") -> (y), [DIM],
        "`y[.., i, ..] = x[.., index[i], ..]` at DIM, whose length becomes n.", "`g` added at these entries, else 0.";
    BROADCAST_TO = 77, 1, (x Any) -> (y), [SHAPE],
        "`y` is x repeated along new leading dimensions and those of length 1 up to SHAPE.",
        "`g` summed over the repetitions.";
    DETACH = 78, 1, (x Any) -> (y), [], "`y = x`, outside the gradient graph.", "none.";
    CAST = 79, 1, (x Any) -> (y), [DTYPE],
        "`y` is x converted to the element type DTYPE; to U32, fractions are cut off.",
        "`g` converted back; none from or to U32.";
    FULL = 80, 1, (like Any) -> (y), [SHAPE, VALUE],
        "Each entry of `y` is VALUE; y has SHAPE, and the element type and device of `like`, of U32 an integer from 0 to 2^32 - 1.",
        "none.";
    SCATTER_ADD = 81, 1, (x Float; index Index; source Float) -> (y), [DIM],
        "`y = x`, then `y[.., index[.., i, ..], ..] += source[.., i, ..]` at DIM; index and source have one shape, in other dimensions that of x.",
        "`g` to x, `g[.., index[.., i, ..], ..]` to source.";

    AFFINE_COUPLING = 90, 1,
        (x Float "[B, D]"; s Float "[B, D]"; t Float "[B, D]") -> (y "[B, D]", log_det "[B]"),
        [LIMIT, INVERSE or 0],
        "With `l = LIMIT tanh(s / LIMIT)`: `y = x exp(l) + t`, `log_det = sum_d l`; INVERSE: `y = (x - t) exp(-l)`, `log_det = -sum_d l`.",
        "with `l' = 1 - tanh(s / LIMIT)^2`: `g1 exp(l)` to x, `(g1 x exp(l) + g2) l'` to s, `g1` to t; INVERSE: `g1 exp(-l)` to x, `-(g1 y + g2) l'` to s, `-g1 exp(-l)` to t.";
    RQ_SPLINE = 91, 1,
        (x Float "[B, D]"; parameters Float "[B or 1, D, P]") -> (y "[B, D]", log_derivative "[B, D]"),
        [LOWER, UPPER, BINS, CIRCULAR or 0, INVERSE or 0, MIN_BIN, MIN_SLOPE],
        "Monotonic rational-quadratic spline of each entry (arXiv 1906.04032, equations 4 to 8), which maps LOWER to UPPER onto itself; with 1 in place of B, the batch shares parameters.
K = BINS, at most MAX_SPLINE_BINS; P = 3 K - 1: K widths, K heights, K - 1 slopes at the inner knots; outside the interval `y = x`. CIRCULAR: P = 3 K: K widths, K heights, K slopes, the first at both ends; x is wrapped to (LOWER, UPPER].
Bins are `(UPPER - LOWER) (MIN_BIN + (1 - K MIN_BIN) softmax(p))` wide (high); slopes are `MIN_SLOPE + ln(1 + exp(p + ln(exp(1 - MIN_SLOPE) - 1)))`: parameters 0 give the identity. MIN_BIN is from 0 to below 1 / K, MIN_SLOPE from 0 to below 1.
With `t = (x - x_k) / w`, `s = h / w`, `c = d0 + d1 - 2 s`: `y = y_k + h (s t^2 + d0 t (1 - t)) / (s + c t (1 - t))`; INVERSE: y from x solved for t. `log_derivative = ln |dy/dx|` of the direction applied.",
        "to x and parameters, of both outputs: `g1 dy + g2 dlog_derivative`.";
}

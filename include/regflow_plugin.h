/* The RegFlow plugin interface, version 1.0, for plugins written in C.
 *
 * A plugin is a shared library that exports one function,
 *     const regflow_plugin_table_t *regflow_plugin_entry(void);
 * and hands out tables of functions by kind: flows, velocity fields, target sources, energies. It never links the host's tensor
 * library: the host lends a table of operations (regflow_host_ops_t) on opaque, reference-counted tensors, which take care of
 * device, element type and gradients.
 *
 * Version 1 is frozen: what stands in these types stays where it is. The interface grows by operation codes, whose presence and
 * revision op_supported tells; by kinds, since a host passes over those that it does not know; and at the end of types that
 * begin with their struct_size. Never read beyond the size that the maker of a value stated: what lies there is absent. Every
 * host has what version 1.0 has; before a plugin uses a field that came later, it checks that the host's size reaches as far
 * (offsetof and sizeof of that field, not sizeof of the type: with a newer header that refuses hosts that have all it needs).
 * It states the sizes of its own as sizeof says.
 *
 * Rules for every function:
 * - It returns REGFLOW_STATUS_OK or another status; before that a plugin calls set_error, and after a failed call of the
 *   host last_error has the message.
 * - Inputs are borrowed for the call. An output carries one reference, which the receiver releases, and is written only
 *   on success.
 * - No exception or longjmp may leave a plugin's function.
 * - Every function of a table is there, unless it is said to be optional: the host refuses a library with a NULL among them.
 * - What a plugin built is called from any thread, and from several at once.
 * - Tables, and all that they point to, live as long as the process; so does regflow_host_ops_t.
 *
 * The numbers. Prior points are independent features: real ones standard normal, circular ones uniform in (-pi, pi]. Real
 * features of the data are centred and scaled to variance 1, circular ones are angles in radians as they are. By default the
 * real ones are whitened as well (ZCA-cor): each is a mixture of all real coordinates, without correlation to the other
 * features, and of all such mixtures the closest to the coordinate that `atom` and `axis` name.
 *
 * examples/plugin/c is a plugin to start from.
 */
#ifndef REGFLOW_PLUGIN_H
#define REGFLOW_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REGFLOW_PLUGIN_ABI_MAJOR 1u
#define REGFLOW_PLUGIN_ABI_MINOR 0u
#define REGFLOW_PLUGIN_MAGIC 0x5247464c57504c47ull /* "RGFLWPLG" */

#define REGFLOW_STATUS_OK 0
#define REGFLOW_STATUS_ERROR 1
#define REGFLOW_STATUS_PANIC 2

#define REGFLOW_ATTR_FLOAT 0u
#define REGFLOW_ATTR_INTS 1u

/* First values of a parameter. */
#define REGFLOW_INIT_ZEROS 0u
#define REGFLOW_INIT_ONES 1u
#define REGFLOW_INIT_CONSTANT 2u /* value */
#define REGFLOW_INIT_NORMAL 3u   /* standard deviation value */
#define REGFLOW_INIT_UNIFORM 4u  /* in [-value, value) */

#define REGFLOW_FEATURE_REAL 0u
#define REGFLOW_FEATURE_CIRCULAR 1u /* an angle in (-pi, pi] */

/* Kinds of tables. */
#define REGFLOW_KIND_FLOW 1u
#define REGFLOW_KIND_FIELD 2u
#define REGFLOW_KIND_TARGET 3u
#define REGFLOW_KIND_ENERGY 4u

#define REGFLOW_FLOW_CIRCULAR 1ull  /* flag: understands circular features (else it is only given real ones) */
#define REGFLOW_FIELD_CIRCULAR 1ull /* likewise */

/* begin of what `make header` makes of the table of operations */
#define REGFLOW_DTYPE_F32 0u /* 32-bit floating point. */
#define REGFLOW_DTYPE_F64 1u /* 64-bit floating point. */
#define REGFLOW_DTYPE_U32 2u /* 32-bit unsigned integers: indices. */
#define REGFLOW_ACTIVATION_NONE 0u /* No activation. */
#define REGFLOW_ACTIVATION_RELU 1u /* max(x, 0). */
#define REGFLOW_ACTIVATION_SILU 2u /* x / (1 + exp(-x)). */
#define REGFLOW_ACTIVATION_TANH 3u /* Hyperbolic tangent. */
#define REGFLOW_ACTIVATION_GELU 4u /* x Phi(x), with the error function. */
#define REGFLOW_MAX_SPLINE_BINS 1024u /* Most bins of a spline: beyond, the smallest bins would approach the resolution of F32. */

/* Attribute keys: a number, one integer, or several. */
#define REGFLOW_KEY_DIM 1u /* integer: One dimension; negative counts from the end. */
#define REGFLOW_KEY_DIMS 2u /* integers: Several dimensions, each negative or not. */
#define REGFLOW_KEY_KEEP 3u /* integer: 1 keeps the reduced dimensions, with length 1; 0 drops them. */
#define REGFLOW_KEY_SHAPE 4u /* integers: A shape: the length of each dimension. */
#define REGFLOW_KEY_START 5u /* integer: First index. */
#define REGFLOW_KEY_LEN 6u /* integer: Number of entries. */
#define REGFLOW_KEY_DTYPE 7u /* integer: One of the DTYPE_* values. */
#define REGFLOW_KEY_ACTIVATION 8u /* integer: One of the ACTIVATION_* values. */
#define REGFLOW_KEY_INVERSE 9u /* integer: 1 for the inverse direction, 0 for the forward one. */
#define REGFLOW_KEY_CIRCULAR 10u /* integer: 1 for a spline on a circle, 0 for one on a line. */
#define REGFLOW_KEY_BINS 11u /* integer: Number of spline bins. */
#define REGFLOW_KEY_SCALE 32u /* number: Factor. */
#define REGFLOW_KEY_SHIFT 33u /* number: Summand. */
#define REGFLOW_KEY_EXPONENT 34u /* number: Exponent. */
#define REGFLOW_KEY_LOWER 35u /* number: Lower bound. */
#define REGFLOW_KEY_UPPER 36u /* number: Upper bound. */
#define REGFLOW_KEY_EPSILON 37u /* number: Added to a variance; 0 or more. */
#define REGFLOW_KEY_LIMIT 38u /* number: Bound of a log-scale; above 0. */
#define REGFLOW_KEY_MIN_BIN 39u /* number: Smallest bin, as a fraction of the interval. */
#define REGFLOW_KEY_MIN_SLOPE 40u /* number: Smallest slope at a knot. */
#define REGFLOW_KEY_VALUE 41u /* number: Value of each entry. */

/* Operation codes. An attribute with (or V) is V where it is not given, every other one is required. Dimensions count
 * from the end where they are negative. [..] is any number of leading dimensions. In gradients, g is that of the
 * output (g1, g2 of the first and second) and the terms are those of the inputs in order; only floating-point tensors
 * have one; an input that was broadcast gets the sum over the places where it was used. */

/* y = a + b, broadcasting as NumPy does.
 * Inputs: a, b (F32 or F64, one type). Outputs: y.
 * Gradient: g, g. */
#define REGFLOW_OP_ADD 1u

/* y = a - b, broadcasting.
 * Inputs: a, b (F32 or F64, one type). Outputs: y.
 * Gradient: g, -g. */
#define REGFLOW_OP_SUB 2u

/* y = a b, entry by entry, broadcasting.
 * Inputs: a, b (F32 or F64, one type). Outputs: y.
 * Gradient: g b, g a. */
#define REGFLOW_OP_MUL 3u

/* y = a / b, broadcasting.
 * Inputs: a, b (F32 or F64, one type). Outputs: y.
 * Gradient: g / b, -g a / b^2. */
#define REGFLOW_OP_DIV 4u

/* y = max(a, b), broadcasting.
 * Inputs: a, b (F32 or F64, one type). Outputs: y.
 * Gradient: g to the larger one, half to each where they are equal. */
#define REGFLOW_OP_MAXIMUM 5u

/* y = min(a, b), broadcasting.
 * Inputs: a, b (F32 or F64, one type). Outputs: y.
 * Gradient: g to the smaller one, half to each where they are equal. */
#define REGFLOW_OP_MINIMUM 6u

/* y is 1 where a == b, else 0, in the element type of a; broadcasting.
 * Inputs: a, b (F32, F64 or U32, one type). Outputs: y.
 * Gradient: none. */
#define REGFLOW_OP_EQ 10u

/* y is 1 where a != b, else 0, in the element type of a; broadcasting.
 * Inputs: a, b (F32, F64 or U32, one type). Outputs: y.
 * Gradient: none. */
#define REGFLOW_OP_NE 11u

/* y is 1 where a < b, else 0, in the element type of a; broadcasting.
 * Inputs: a, b (F32, F64 or U32, one type). Outputs: y.
 * Gradient: none. */
#define REGFLOW_OP_LT 12u

/* y is 1 where a <= b, else 0, in the element type of a; broadcasting.
 * Inputs: a, b (F32, F64 or U32, one type). Outputs: y.
 * Gradient: none. */
#define REGFLOW_OP_LE 13u

/* y is 1 where a > b, else 0, in the element type of a; broadcasting.
 * Inputs: a, b (F32, F64 or U32, one type). Outputs: y.
 * Gradient: none. */
#define REGFLOW_OP_GT 14u

/* y is 1 where a >= b, else 0, in the element type of a; broadcasting.
 * Inputs: a, b (F32, F64 or U32, one type). Outputs: y.
 * Gradient: none. */
#define REGFLOW_OP_GE 15u

/* y = a where the condition is not 0, else b; all three broadcast.
 * Inputs: condition (F32, F64 or U32), a, b (F32, F64 or U32, one type). Outputs: y.
 * Gradient: g to the one chosen, none to the condition. */
#define REGFLOW_OP_WHERE 16u

/* y = SCALE x + SHIFT.
 * Inputs: x (F32 or F64). Outputs: y. Attributes: SCALE, SHIFT.
 * Gradient: SCALE g. */
#define REGFLOW_OP_AFFINE 20u

/* y = -x.
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: -g. */
#define REGFLOW_OP_NEG 21u

/* y = |x|.
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: g sign(x), 0 at 0. */
#define REGFLOW_OP_ABS 22u

/* y is -1, 0 or 1 as x is below, at or above 0.
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: none. */
#define REGFLOW_OP_SIGN 23u

/* y = exp(x).
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: g y. */
#define REGFLOW_OP_EXP 24u

/* y = ln(x); minus infinity at 0, NaN below.
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: g / x. */
#define REGFLOW_OP_LOG 25u

/* y = sqrt(x); NaN below 0.
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: g / (2 y). */
#define REGFLOW_OP_SQRT 26u

/* y = x^2.
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: 2 g x. */
#define REGFLOW_OP_SQR 27u

/* y = 1 / x.
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: -g y^2. */
#define REGFLOW_OP_RECIP 28u

/* y = sin(x).
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: g cos(x). */
#define REGFLOW_OP_SIN 29u

/* y = cos(x).
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: -g sin(x). */
#define REGFLOW_OP_COS 30u

/* y = tanh(x).
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: g (1 - y^2). */
#define REGFLOW_OP_TANH 31u

/* y = 1 / (1 + exp(-x)).
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: g y (1 - y). */
#define REGFLOW_OP_SIGMOID 32u

/* y = x s, s = 1 / (1 + exp(-x)).
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: g (s + x s (1 - s)). */
#define REGFLOW_OP_SILU 33u

/* y = max(x, 0).
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: g where x > 0, else 0. */
#define REGFLOW_OP_RELU 34u

/* y = x Phi(x), Phi(x) = (1 + erf(x / sqrt(2))) / 2.
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: g (Phi(x) + x exp(-x^2 / 2) / sqrt(2 pi)). */
#define REGFLOW_OP_GELU 35u

/* y = ln(1 + exp(x)), without overflow.
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: g / (1 + exp(-x)). */
#define REGFLOW_OP_SOFTPLUS 36u

/* y = erf(x), the error function.
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: 2 g exp(-x^2) / sqrt(pi). */
#define REGFLOW_OP_ERF 37u

/* y is the largest integer not above x.
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: none. */
#define REGFLOW_OP_FLOOR 38u

/* y = x ^ EXPONENT; NaN below 0 unless EXPONENT is an integer.
 * Inputs: x (F32 or F64). Outputs: y. Attributes: EXPONENT.
 * Gradient: g EXPONENT x ^ (EXPONENT - 1), 0 where EXPONENT is 0. */
#define REGFLOW_OP_POWF 39u

/* y = min(max(x, LOWER), UPPER), LOWER not above UPPER.
 * Inputs: x (F32 or F64). Outputs: y. Attributes: LOWER, UPPER.
 * Gradient: g where x lies within the bounds or on one, else 0. */
#define REGFLOW_OP_CLAMP 40u

/* y is the angle in (-pi, pi] that differs from x by a multiple of 2 pi; ends rounded to the element type.
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: g. */
#define REGFLOW_OP_WRAP 41u

/* y = exp(x) - 1, accurate near 0.
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: g (y + 1). */
#define REGFLOW_OP_EXPM1 42u

/* y = ln(1 + x), accurate near 0; minus infinity at -1, NaN below.
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: g / (1 + x). */
#define REGFLOW_OP_LOG1P 43u

/* y = sinh(x), accurate near 0.
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: g cosh(x). */
#define REGFLOW_OP_SINH 44u

/* y = cosh(x).
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: g sinh(x). */
#define REGFLOW_OP_COSH 45u

/* y = ln(x + sqrt(1 + x^2)), accurate near 0 and for large |x|.
 * Inputs: x (F32 or F64). Outputs: y.
 * Gradient: g / sqrt(1 + x^2). */
#define REGFLOW_OP_ASINH 46u

/* y is the sum over DIMS; over none of them, x itself.
 * Inputs: x (F32 or F64). Outputs: y. Attributes: DIMS, KEEP (or 0).
 * Gradient: g, at each entry of the sum. */
#define REGFLOW_OP_SUM 50u

/* y is the mean over the n entries of DIMS; NaN for n = 0.
 * Inputs: x (F32 or F64). Outputs: y. Attributes: DIMS, KEEP (or 0).
 * Gradient: g / n, at each entry of the mean. */
#define REGFLOW_OP_MEAN 51u

/* y is the maximum over DIM, which has at least one entry.
 * Inputs: x (F32 or F64). Outputs: y. Attributes: DIM, KEEP (or 0).
 * Gradient: g to the entries that attain it, equally shared. */
#define REGFLOW_OP_MAX 52u

/* y is the minimum over DIM, which has at least one entry.
 * Inputs: x (F32 or F64). Outputs: y. Attributes: DIM, KEEP (or 0).
 * Gradient: g to the entries that attain it, equally shared. */
#define REGFLOW_OP_MIN 53u

/* y = ln(sum(exp(x))) over DIM, which has at least one entry; without overflow.
 * Inputs: x (F32 or F64). Outputs: y. Attributes: DIM, KEEP (or 0).
 * Gradient: g exp(x - y). */
#define REGFLOW_OP_LOGSUMEXP 54u

/* y is the sum of the entries of x up to and with each, along DIM.
 * Inputs: x (F32 or F64). Outputs: y. Attributes: DIM.
 * Gradient: the sum of g from each entry on, along DIM. */
#define REGFLOW_OP_CUMSUM 55u

/* y = exp(x) / sum(exp(x)) along DIM, which has at least one entry; without overflow.
 * Inputs: x (F32 or F64). Outputs: y. Attributes: DIM.
 * Gradient: y (g - sum(g y)). */
#define REGFLOW_OP_SOFTMAX 56u

/* y = x - ln(sum(exp(x))) along DIM, which has at least one entry; without overflow.
 * Inputs: x (F32 or F64). Outputs: y. Attributes: DIM.
 * Gradient: g - exp(y) sum(g). */
#define REGFLOW_OP_LOG_SOFTMAX 57u

/* y = s weight + bias, s = (x - mean) r, r = 1 / sqrt(var + EPSILON); mean and var (the mean of (x - mean)^2) over
 * the last dimension.
 * Inputs: x [.., n], weight [n], bias [n] (F32 or F64, one type). Outputs: y [.., n]. Attributes: EPSILON.
 * Gradient: with h = g weight: r (h - mean(h) - s mean(h s)) to x, g s to weight and g to bias, both summed over
 * rows. */
#define REGFLOW_OP_LAYER_NORM 58u

/* y[i, j] = sum_l a[i, l] b[l, j]; the leading dimensions broadcast.
 * Inputs: a [.., m, k], b [.., k, n] (F32 or F64, one type). Outputs: y [.., m, n].
 * Gradient: g b^T, a^T g. */
#define REGFLOW_OP_MATMUL 60u

/* y = f(z), z = x weight + bias, with the function f that ACTIVATION names.
 * Inputs: x [.., k], weight [k, n], bias [n] (F32 or F64, one type). Outputs: y [.., n]. Attributes: ACTIVATION.
 * Gradient: with h = g f'(z): h weight^T to x, x^T h to weight, h summed over rows to bias. */
#define REGFLOW_OP_DENSE 61u

/* y has the entries of x in row-major order, with SHAPE.
 * Inputs: x (F32, F64 or U32). Outputs: y. Attributes: SHAPE.
 * Gradient: g with the shape of x. */
#define REGFLOW_OP_RESHAPE 70u

/* y is x with the two DIMS exchanged.
 * Inputs: x (F32, F64 or U32). Outputs: y. Attributes: DIMS.
 * Gradient: g with them exchanged. */
#define REGFLOW_OP_TRANSPOSE 71u

/* Dimension i of y is dimension DIMS(i) of x; each occurs once.
 * Inputs: x (F32, F64 or U32). Outputs: y. Attributes: DIMS.
 * Gradient: g in the order of x. */
#define REGFLOW_OP_PERMUTE 72u

/* y has the LEN entries from START on of DIM.
 * Inputs: x (F32, F64 or U32). Outputs: y. Attributes: DIM, START, LEN.
 * Gradient: g at these entries, else 0. */
#define REGFLOW_OP_NARROW 73u

/* y is all inputs one after the other along DIM; other dimensions are equal.
 * Inputs: x, one or more (F32, F64 or U32, one type). Outputs: y. Attributes: DIM.
 * Gradient: to each its part of g. */
#define REGFLOW_OP_CAT 74u

/* y[.., i, ..] = x[.., index[.., i, ..], ..] at DIM; y has the shape of index, which in other dimensions is at most
 * as long as x.
 * Inputs: x (F32, F64 or U32), index (U32). Outputs: y. Attributes: DIM.
 * Gradient: g added at these entries, else 0. */
#define REGFLOW_OP_GATHER 75u

/* y[.., i, ..] = x[.., index[i], ..] at DIM, whose length becomes n.
 * Inputs: x (F32, F64 or U32), index [n] (U32). Outputs: y. Attributes: DIM.
 * Gradient: g added at these entries, else 0. */
#define REGFLOW_OP_INDEX_SELECT 76u

/* y is x repeated along new leading dimensions and those of length 1 up to SHAPE.
 * Inputs: x (F32, F64 or U32). Outputs: y. Attributes: SHAPE.
 * Gradient: g summed over the repetitions. */
#define REGFLOW_OP_BROADCAST_TO 77u

/* y = x, outside the gradient graph.
 * Inputs: x (F32, F64 or U32). Outputs: y.
 * Gradient: none. */
#define REGFLOW_OP_DETACH 78u

/* y is x converted to the element type DTYPE; to U32, fractions are cut off.
 * Inputs: x (F32, F64 or U32). Outputs: y. Attributes: DTYPE.
 * Gradient: g converted back; none from or to U32. */
#define REGFLOW_OP_CAST 79u

/* Each entry of y is VALUE; y has SHAPE, and the element type and device of like, of U32 an integer from 0 to 2^32 -
 * 1.
 * Inputs: like (F32, F64 or U32). Outputs: y. Attributes: SHAPE, VALUE.
 * Gradient: none. */
#define REGFLOW_OP_FULL 80u

/* y = x, then y[.., index[.., i, ..], ..] += source[.., i, ..] at DIM; index and source have one shape, in other
 * dimensions that of x.
 * Inputs: x (F32 or F64), index (U32), source (that of x). Outputs: y. Attributes: DIM.
 * Gradient: g to x, g[.., index[.., i, ..], ..] to source. */
#define REGFLOW_OP_SCATTER_ADD 81u

/* With l = LIMIT tanh(s / LIMIT): y = x exp(l) + t, log_det = sum_d l; INVERSE: y = (x - t) exp(-l), log_det = -sum_d
 * l.
 * Inputs: x [B, D], s [B, D], t [B, D] (F32 or F64, one type). Outputs: y [B, D], log_det [B]. Attributes: LIMIT,
 * INVERSE (or 0).
 * Gradient: with l' = 1 - tanh(s / LIMIT)^2: g1 exp(l) to x, (g1 x exp(l) + g2) l' to s, g1 to t; INVERSE: g1 exp(-l)
 * to x, -(g1 y + g2) l' to s, -g1 exp(-l) to t. */
#define REGFLOW_OP_AFFINE_COUPLING 90u

/* Monotonic rational-quadratic spline of each entry (arXiv 1906.04032, equations 4 to 8), which maps LOWER to UPPER
 * onto itself; with 1 in place of B, the batch shares parameters.
 * K = BINS, at most MAX_SPLINE_BINS; P = 3 K - 1: K widths, K heights, K - 1 slopes at the inner knots; outside the
 * interval y = x. CIRCULAR: P = 3 K: K widths, K heights, K slopes, the first at both ends; x is wrapped to (LOWER,
 * UPPER].
 * Bins are (UPPER - LOWER) (MIN_BIN + (1 - K MIN_BIN) softmax(p)) wide (high); slopes are MIN_SLOPE + ln(1 + exp(p +
 * ln(exp(1 - MIN_SLOPE) - 1))): parameters 0 give the identity. MIN_BIN is from 0 to below 1 / K, MIN_SLOPE from 0 to
 * below 1.
 * With t = (x - x_k) / w, s = h / w, c = d0 + d1 - 2 s: y = y_k + h (s t^2 + d0 t (1 - t)) / (s + c t (1 - t));
 * INVERSE: y from x solved for t. log_derivative = ln |dy/dx| of the direction applied.
 * Inputs: x [B, D], parameters [B or 1, D, P] (F32 or F64, one type). Outputs: y [B, D], log_derivative [B, D].
 * Attributes: LOWER, UPPER, BINS, CIRCULAR (or 0), INVERSE (or 0), MIN_BIN, MIN_SLOPE.
 * Gradient: to x and parameters, of both outputs: g1 dy + g2 dlog_derivative. */
#define REGFLOW_OP_RQ_SPLINE 91u
/* end of what `make header` makes of the table of operations */

typedef struct regflow_tensor_t regflow_tensor_t;
typedef struct regflow_host_context_t regflow_host_context_t;
typedef struct regflow_build_t regflow_build_t;
typedef struct regflow_instance_t regflow_instance_t;

/* UTF-8 text, borrowed, not terminated. */
typedef struct {
    const char *ptr;
    uint64_t len;
} regflow_str_t;

/* A named argument of an operation. Comes in arrays, and never grows. */
typedef struct {
    uint32_t key;        /* REGFLOW_KEY_* */
    uint32_t kind;       /* REGFLOW_ATTR_* */
    double float_value;  /* where kind is REGFLOW_ATTR_FLOAT */
    const int64_t *ints; /* where kind is REGFLOW_ATTR_INTS */
    uint64_t len;        /* number of ints */
} regflow_attr_t;

/* The host's operations. */
typedef struct {
    uint64_t struct_size;            /* sizeof(regflow_host_ops_t) */
    regflow_host_context_t *context; /* first argument of the functions below */
    /* Applies operation `code`; writes exactly n_outputs tensors, which must be the number that the operation has. */
    int32_t (*op)(regflow_host_context_t *context, uint32_t code, const regflow_tensor_t *const *inputs,
                  uint64_t n_inputs, const regflow_attr_t *attrs, uint64_t n_attrs, regflow_tensor_t **outputs,
                  uint64_t n_outputs);
    /* Revision of an operation, 0 if the host does not have it; what an earlier revision does stays as it is. */
    uint32_t (*op_supported)(regflow_host_context_t *context, uint32_t code);
    void (*retain)(regflow_host_context_t *context, const regflow_tensor_t *tensor);
    void (*release)(regflow_host_context_t *context, regflow_tensor_t *tensor); /* NULL is ignored */
    /* Writes the rank, and the lengths if rank <= capacity. */
    int32_t (*shape)(regflow_host_context_t *context, const regflow_tensor_t *tensor, uint64_t *dims,
                     uint64_t capacity, uint64_t *rank);
    int32_t (*dtype)(regflow_host_context_t *context, const regflow_tensor_t *tensor, uint32_t *dtype);
    /* Copies row-major values to a new tensor on the host's device. */
    int32_t (*from_host)(regflow_host_context_t *context, uint32_t dtype, const void *data, const uint64_t *dims,
                         uint64_t rank, regflow_tensor_t **output);
    /* Copies all `count` elements to `data`; `dtype` must be the tensor's. */
    int32_t (*to_host)(regflow_host_context_t *context, const regflow_tensor_t *tensor, uint32_t dtype, void *data,
                       uint64_t count);
    /* The trainable parameter `name`, during create of a flow or field only. A name may be asked for once per build. */
    int32_t (*parameter)(regflow_host_context_t *context, regflow_build_t *build, regflow_str_t name,
                         const uint64_t *dims, uint64_t rank, uint32_t init, double value,
                         regflow_tensor_t **output);
    regflow_str_t (*last_error)(regflow_host_context_t *context);
    void (*set_error)(regflow_host_context_t *context, regflow_str_t message);
} regflow_host_ops_t;

/* What one column of a flow's or field's input and output is. Comes in arrays, and never grows. */
typedef struct {
    uint32_t kind; /* REGFLOW_FEATURE_* */
    uint32_t atom; /* the atom that the feature places, as a number in the molecule */
    uint32_t axis; /* 0, 1, 2: x, y, z or bond, angle, torsion */
    uint32_t reserved;
    double lower; /* -infinity if unbounded */
    double upper; /* infinity if unbounded */
} regflow_feature_t;

/* What is built from; borrowed for create. Target sources and energies get no features, no molecule and no parameters. */
typedef struct {
    uint64_t struct_size; /* sizeof(regflow_build_info_t) */
    const regflow_host_ops_t *host;
    regflow_build_t *build; /* for host->parameter; NULL where there are no parameters */
    regflow_str_t config;   /* JSON object; empty for the defaults */
    const regflow_feature_t *features;
    uint64_t n_features;
    const uint32_t *atomic_numbers;
    uint64_t n_atoms;      /* 0 if unknown */
    const uint32_t *bonds; /* two atoms per bond */
    uint64_t n_bonds;
    uint32_t dtype; /* of parameters, inputs and outputs: REGFLOW_DTYPE_F32, or REGFLOW_DTYPE_F64 in checks */
    uint32_t reserved;
} regflow_build_info_t;

/* The beginning of every table of a kind. */
typedef struct {
    uint64_t struct_size;        /* sizeof the whole table */
    uint64_t flags;              /* those of the kind */
    regflow_str_t name;          /* lower case, digits, - and _ */
    regflow_str_t description;   /* one sentence */
    regflow_str_t config_schema; /* JSON schema of the configuration */
    int32_t (*create)(const regflow_build_info_t *info, regflow_instance_t **instance);
    void (*destroy)(regflow_instance_t *instance); /* NULL is ignored */
} regflow_table_head_t;

/* One flow architecture: an invertible map of features. x0 is on the prior's side, x1 on that of the data. */
typedef struct {
    regflow_table_head_t head; /* flags: REGFLOW_FLOW_* */
    /* Prior to data: x0 [B, D] to x1 [B, D] and log |det d x1 / d x0| [B] (dtype of x, or f64). */
    int32_t (*forward)(const regflow_instance_t *flow, const regflow_tensor_t *x, regflow_tensor_t **y,
                       regflow_tensor_t **log_det);
    /* Data to prior: x1 [B, D] to x0 [B, D] and log |det d x0 / d x1| [B]. */
    int32_t (*inverse)(const regflow_instance_t *flow, const regflow_tensor_t *x, regflow_tensor_t **y,
                       regflow_tensor_t **log_det);
} regflow_flow_table_t;

/* One architecture of velocity fields: dx/dt = v(x, t) carries prior points (t = 0) to data points (t = 1). Integrators are the
 * host's. v must have the period 2 pi in every circular feature of x, which may lie outside of (-pi, pi]. */
typedef struct {
    regflow_table_head_t head; /* flags: REGFLOW_FIELD_* */
    /* v [B, D] at x [B, D] and t, [B] or one number [] for all rows; all of one dtype. */
    int32_t (*velocity)(const regflow_instance_t *field, const regflow_tensor_t *x, const regflow_tensor_t *t,
                        regflow_tensor_t **v);
    /* The same with the exact divergence, sum over i of dv_i/dx_i, [B] (dtype of x, or f64). Optional: NULL where there is none. */
    int32_t (*velocity_and_divergence)(const regflow_instance_t *field, const regflow_tensor_t *x,
                                       const regflow_tensor_t *t, regflow_tensor_t **v, regflow_tensor_t **divergence);
} regflow_field_table_t;

/* Some pairs; borrowed for give. All batches of a request have the same arrays. */
typedef struct {
    uint64_t struct_size; /* sizeof(regflow_pair_batch_t) */
    uint64_t n;           /* pairs */
    const float *x0;      /* prior sides, row-major [n, dim]; NULL for the next n of the given prior points */
    const float *x1;      /* data sides, row-major [n, dim]; NULL where they are rows */
    const uint32_t *rows; /* rows of the given data points, [n]; NULL where there is x1 */
    /* Log density of each data side under the source, [n], in feature space with all constants; or NULL. */
    const double *log_q;
    /* log |det d x1 / d x0| of the source's map, [n]; or NULL. Of a map, both go together: log_q = log p0(x0) - log_det. */
    const double *log_det;
} regflow_pair_batch_t;

/* What pairs are to be made of; borrowed for pair. */
typedef struct {
    uint64_t struct_size; /* sizeof(regflow_pair_request_t) */
    const float *x0;      /* prior points, row-major [n0, dim] */
    uint64_t n0;
    const float *x1; /* data points, row-major [n1, dim] */
    uint64_t n1;
    uint64_t dim;
    const uint32_t *kinds; /* REGFLOW_FEATURE_* of each column */
    uint64_t count;        /* pairs to give; at most n0 */
    uint64_t seed;         /* of random numbers; another one for every request of a run */
    uint32_t threads;      /* to use, at least 1 */
    uint32_t reserved;
    int32_t (*progress)(void *data, double fraction); /* from any thread; anything but 0 asks to stop */
    /* Takes the next pairs, from one thread at a time; a status other than REGFLOW_STATUS_OK is to be returned. */
    int32_t (*give)(void *data, const regflow_pair_batch_t *pairs);
    void *data; /* first argument of progress and give */
} regflow_pair_request_t;

/* One source of pairs of prior and data points. */
typedef struct {
    regflow_table_head_t head; /* no flags yet */
    /* Makes `count` pairs and gives them. */
    int32_t (*pair)(const regflow_instance_t *target, const regflow_pair_request_t *request);
} regflow_target_table_t;

/* Configurations to be evaluated; borrowed for compute. */
typedef struct {
    uint64_t struct_size;    /* sizeof(regflow_energy_request_t) */
    const double *positions; /* nm, [n, n_atoms, 3], all finite */
    uint64_t n;              /* configurations */
    /* To be filled with energies in kJ/mol, [n]. A configuration that the source cannot evaluate gets NaN, and set_error the
     * reason; the call succeeds nevertheless. */
    double *energies;
    double *forces; /* to be filled with -dU/dx in kJ/(mol nm), [n, n_atoms, 3]; NULL where they are not wanted */
} regflow_energy_request_t;

/* One source of potential energies. A property `file` of the configuration is set by --energy NAME:FILE. */
typedef struct {
    regflow_table_head_t head; /* no flags yet */
    uint64_t (*n_atoms)(const regflow_instance_t *energy); /* at least 1 */
    /* Writes the mass of each atom in u, NaN where it is not known. */
    int32_t (*masses)(const regflow_instance_t *energy, double *masses);
    int32_t (*compute)(const regflow_instance_t *energy, const regflow_energy_request_t *request);
} regflow_energy_table_t;

/* The tables of one kind. Comes in arrays, and never grows. */
typedef struct {
    uint32_t kind; /* REGFLOW_KIND_* */
    uint32_t reserved;
    const void *const *tables; /* each begins with a regflow_table_head_t */
    uint64_t n_tables;
} regflow_kind_list_t;

/* What a library offers. Never grows: what is new comes as a kind. */
typedef struct {
    uint64_t magic;       /* REGFLOW_PLUGIN_MAGIC */
    uint64_t struct_size; /* sizeof(regflow_plugin_table_t) */
    uint32_t abi_major;   /* REGFLOW_PLUGIN_ABI_MAJOR */
    uint32_t abi_minor;   /* REGFLOW_PLUGIN_ABI_MINOR */
    regflow_str_t name;
    regflow_str_t version;
    const regflow_kind_list_t *kinds; /* one list for each kind that it offers */
    uint64_t n_kinds;
} regflow_plugin_table_t;

/* The plugin's entry point has this in front of its definition, so that it is exported even where a build hides symbols. */
#if defined _WIN32
#define REGFLOW_PLUGIN_EXPORT __declspec(dllexport)
#elif defined __GNUC__
#define REGFLOW_PLUGIN_EXPORT __attribute__((visibility("default")))
#else
#define REGFLOW_PLUGIN_EXPORT
#endif

/* Exported by the plugin. */
REGFLOW_PLUGIN_EXPORT const regflow_plugin_table_t *regflow_plugin_entry(void);

#ifdef __cplusplus
}
#endif

#endif

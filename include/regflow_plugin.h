/* The RegFlow plugin interface, version 1.0, for plugins written in C.
 *
 * A plugin is a shared library that exports one function,
 *     const regflow_plugin_table_t *regflow_plugin_entry(void);
 * and hands out tables of functions by kind: flows, velocity fields, target sources, energies. It never links the host's tensor
 * library: the host lends a table of operations (regflow_host_ops_t) on opaque, reference-counted tensors, which take care of
 * device, element type and gradients. Exact definitions of the operations: regflow_plugin::abi::op in the Rust crate
 * regflow-plugin.
 *
 * Version 1 is frozen: what stands in these types stays where it is. The interface grows by operation codes, whose presence and
 * revision op_supported tells; by kinds, since a host passes over those that it does not know; and at the end of types that
 * begin with their struct_size. Never read beyond the size that the maker of a value stated: what lies there is absent. A plugin
 * therefore checks that the host's sizes are at least (not exactly) those that it knows, and states the sizes of its own.
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

#define REGFLOW_DTYPE_F32 0u
#define REGFLOW_DTYPE_F64 1u
#define REGFLOW_DTYPE_U32 2u
#define REGFLOW_ACTIVATION_NONE 0u
#define REGFLOW_ACTIVATION_RELU 1u
#define REGFLOW_ACTIVATION_SILU 2u
#define REGFLOW_ACTIVATION_TANH 3u
#define REGFLOW_ACTIVATION_GELU 4u

/* Operation codes. */
#define REGFLOW_OP_ADD 1u              /* a + b, broadcasting */
#define REGFLOW_OP_SUB 2u              /* a - b, broadcasting */
#define REGFLOW_OP_MUL 3u              /* a * b, broadcasting */
#define REGFLOW_OP_DIV 4u              /* a / b, broadcasting */
#define REGFLOW_OP_MAXIMUM 5u          /* Elementwise maximum, broadcasting */
#define REGFLOW_OP_MINIMUM 6u          /* Elementwise minimum, broadcasting */
#define REGFLOW_OP_EQ 10u              /* a == b as 1 or 0 in the dtype of a; no gradient (likewise the other ... */
#define REGFLOW_OP_NE 11u              /* a != b */
#define REGFLOW_OP_LT 12u              /* a < b */
#define REGFLOW_OP_LE 13u              /* a <= b */
#define REGFLOW_OP_GT 14u              /* a > b */
#define REGFLOW_OP_GE 15u              /* a >= b */
#define REGFLOW_OP_WHERE 16u           /* where(condition, a, b): a where the condition is not 0, else b; all ... */
#define REGFLOW_OP_AFFINE 20u          /* SCALE * x + SHIFT */
#define REGFLOW_OP_NEG 21u             /* -x */
#define REGFLOW_OP_ABS 22u             /* |x|; gradient 0 at 0 */
#define REGFLOW_OP_SIGN 23u            /* Sign of x (-1, 0, 1); no gradient */
#define REGFLOW_OP_EXP 24u             /* exp(x) */
#define REGFLOW_OP_LOG 25u             /* Natural logarithm */
#define REGFLOW_OP_SQRT 26u            /* Square root */
#define REGFLOW_OP_SQR 27u             /* x * x */
#define REGFLOW_OP_RECIP 28u           /* 1 / x */
#define REGFLOW_OP_SIN 29u             /* Sine */
#define REGFLOW_OP_COS 30u             /* Cosine */
#define REGFLOW_OP_TANH 31u            /* Hyperbolic tangent */
#define REGFLOW_OP_SIGMOID 32u         /* 1 / (1 + exp(-x)) */
#define REGFLOW_OP_SILU 33u            /* x * sigmoid(x) */
#define REGFLOW_OP_RELU 34u            /* max(x, 0) */
#define REGFLOW_OP_GELU 35u            /* x * Phi(x) with the exact error function */
#define REGFLOW_OP_SOFTPLUS 36u        /* log(1 + exp(x)), stable for large |x| */
#define REGFLOW_OP_ERF 37u             /* Error function */
#define REGFLOW_OP_FLOOR 38u           /* Largest integer not above x; no gradient */
#define REGFLOW_OP_POWF 39u            /* x ^ EXPONENT */
#define REGFLOW_OP_CLAMP 40u           /* min(max(x, LOWER), UPPER); gradient 0 outside */
#define REGFLOW_OP_WRAP 41u            /* Angle wrapped to [-pi, pi); gradient 1 */
#define REGFLOW_OP_SUM 50u             /* Sum over DIMS; KEEP = 1 keeps them with length 1 */
#define REGFLOW_OP_MEAN 51u            /* Mean over DIMS */
#define REGFLOW_OP_MAX 52u             /* Maximum over one DIM; KEEP */
#define REGFLOW_OP_MIN 53u             /* Minimum over one DIM; KEEP */
#define REGFLOW_OP_LOGSUMEXP 54u       /* log(sum(exp(x))) over one DIM; KEEP */
#define REGFLOW_OP_CUMSUM 55u          /* Cumulative sum along DIM */
#define REGFLOW_OP_SOFTMAX 56u         /* Softmax along DIM */
#define REGFLOW_OP_LOG_SOFTMAX 57u     /* Logarithm of the softmax along DIM */
#define REGFLOW_OP_LAYER_NORM 58u      /* (x - mean) / sqrt(var + EPSILON) * weight + bias over the last ... */
#define REGFLOW_OP_MATMUL 60u          /* Matrix product of [..., m, k] and [..., k, n]; leading dimensions ... */
#define REGFLOW_OP_DENSE 61u           /* activation(x W + b); x [..., k], W [k, n], b [n]; ACTIVATION is one ... */
#define REGFLOW_OP_RESHAPE 70u         /* New SHAPE, same elements in row-major order */
#define REGFLOW_OP_TRANSPOSE 71u       /* Exchange of the two DIMS */
#define REGFLOW_OP_PERMUTE 72u         /* Dimensions in the order DIMS */
#define REGFLOW_OP_NARROW 73u          /* LEN entries of DIM from START */
#define REGFLOW_OP_CAT 74u             /* Concatenation of all inputs along DIM */
#define REGFLOW_OP_GATHER 75u          /* x.gather(index) along DIM; inputs x, index (U32, same rank) */
#define REGFLOW_OP_INDEX_SELECT 76u    /* Rows index (U32, rank 1) of DIM */
#define REGFLOW_OP_BROADCAST_TO 77u    /* Broadcast to SHAPE */
#define REGFLOW_OP_DETACH 78u          /* The same values, outside the gradient graph */
#define REGFLOW_OP_CAST 79u            /* Conversion to DTYPE */
#define REGFLOW_OP_AFFINE_COUPLING 90u /* Affine coupling */
#define REGFLOW_OP_RQ_SPLINE 91u       /* Monotonic rational-quadratic spline (arXiv 1906.04032), elementwise */

/* Attribute keys. */
#define REGFLOW_KEY_DIM 1u        /* One dimension (int; negative counts from the end) */
#define REGFLOW_KEY_DIMS 2u       /* Several dimensions (ints) */
#define REGFLOW_KEY_KEEP 3u       /* 1 keeps reduced dimensions (int) */
#define REGFLOW_KEY_SHAPE 4u      /* A shape (ints) */
#define REGFLOW_KEY_START 5u      /* First index (int) */
#define REGFLOW_KEY_LEN 6u        /* Length (int) */
#define REGFLOW_KEY_DTYPE 7u      /* One of the DTYPE_* values (int) */
#define REGFLOW_KEY_ACTIVATION 8u /* One of the ACTIVATION_* values (int) */
#define REGFLOW_KEY_INVERSE 9u    /* 1 for the inverse direction (int) */
#define REGFLOW_KEY_CIRCULAR 10u  /* 1 for a circular spline (int) */
#define REGFLOW_KEY_BINS 11u      /* Number of spline bins (int) */
#define REGFLOW_KEY_SCALE 32u     /* Factor (float) */
#define REGFLOW_KEY_SHIFT 33u     /* Summand (float) */
#define REGFLOW_KEY_EXPONENT 34u  /* Exponent (float) */
#define REGFLOW_KEY_LOWER 35u     /* Lower bound (float) */
#define REGFLOW_KEY_UPPER 36u     /* Upper bound (float) */
#define REGFLOW_KEY_EPSILON 37u   /* Added to a variance (float) */
#define REGFLOW_KEY_LIMIT 38u     /* Bound of a log-scale (float) */
#define REGFLOW_KEY_MIN_BIN 39u   /* Smallest bin, as a fraction of the interval (float) */
#define REGFLOW_KEY_MIN_SLOPE 40u /* Smallest slope at a knot (float) */

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

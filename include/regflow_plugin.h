/* The RegFlow plugin interface, version 1.1, for plugins written in C.
 *
 * A plugin is a shared library that exports one function,
 *     const regflow_plugin_table_t *regflow_plugin_entry(void);
 * and hands out tables of functions. It never links the host's tensor library: the host lends a table of operations
 * (regflow_host_ops_t) on opaque, reference-counted tensors, which take care of device, element type and gradients.
 * These types are frozen: the interface grows by operation codes and by get_extension(name).
 *
 * Rules for every function:
 * - It returns REGFLOW_STATUS_OK or another status; before that a plugin calls set_error, and after a failed call of the
 *   host last_error has the message.
 * - Inputs are borrowed for the call. An output carries one reference, which the receiver releases, and is written only
 *   on success.
 * - No exception or longjmp may leave a plugin's function.
 * - Every function of a table is there: the host refuses a library with a NULL among them.
 * - A built flow, target or energy is called from any thread, and from several at once.
 * - Tables, and all that they point to, live as long as the process; so does regflow_host_ops_t.
 */
#ifndef REGFLOW_PLUGIN_H
#define REGFLOW_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REGFLOW_PLUGIN_ABI_MAJOR 1u
#define REGFLOW_PLUGIN_ABI_MINOR 1u
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

#define REGFLOW_FLOW_CIRCULAR 1ull /* flag: understands circular features */

/* begin of what `make header` makes of the table of operations */
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

/* A named argument of an operation. */
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
    /* Revision of an operation, 0 if the host does not have it. */
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
    /* The trainable parameter `name`, during create only. A name may be asked for once per build. */
    int32_t (*parameter)(regflow_host_context_t *context, regflow_build_t *build, regflow_str_t name,
                         const uint64_t *dims, uint64_t rank, uint32_t init, double value,
                         regflow_tensor_t **output);
    regflow_str_t (*last_error)(regflow_host_context_t *context);
    void (*set_error)(regflow_host_context_t *context, regflow_str_t message);
    const void *(*get_extension)(regflow_host_context_t *context, regflow_str_t name); /* NULL if unknown */
} regflow_host_ops_t;

/* What one column of a flow's input and output is. */
typedef struct {
    uint32_t kind; /* REGFLOW_FEATURE_* */
    uint32_t atom; /* the atom that the feature places */
    uint32_t axis; /* 0, 1, 2: x, y, z or bond, angle, torsion */
    uint32_t reserved;
    double lower; /* -infinity if unbounded */
    double upper; /* infinity if unbounded */
} regflow_feature_t;

/* What a flow is built from; borrowed for create. */
typedef struct {
    uint64_t struct_size; /* sizeof(regflow_build_info_t) */
    const regflow_host_ops_t *host;
    regflow_build_t *build; /* for host->parameter */
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

/* One flow architecture. */
typedef struct {
    uint64_t struct_size;        /* sizeof(regflow_flow_table_t) */
    uint64_t flags;              /* REGFLOW_FLOW_* */
    regflow_str_t name;          /* lower case, digits, - and _ */
    regflow_str_t description;   /* one sentence */
    regflow_str_t config_schema; /* JSON schema of the configuration */
    int32_t (*create)(const regflow_build_info_t *info, regflow_instance_t **flow);
    void (*destroy)(regflow_instance_t *flow); /* NULL is ignored */
    /* Prior to data: x0 [B, D] to x1 [B, D] and log |det d x1 / d x0| [B] (dtype of x, or f64). */
    int32_t (*forward)(const regflow_instance_t *flow, const regflow_tensor_t *x, regflow_tensor_t **y,
                       regflow_tensor_t **log_det);
    /* Data to prior: x1 [B, D] to x0 [B, D] and log |det d x0 / d x1| [B]. */
    int32_t (*inverse)(const regflow_instance_t *flow, const regflow_tensor_t *x, regflow_tensor_t **y,
                       regflow_tensor_t **log_det);
    const void *(*get_extension)(regflow_str_t name); /* NULL if unknown */
} regflow_flow_table_t;

/* Points to be paired; borrowed for pair. */
typedef struct {
    uint64_t struct_size; /* sizeof(regflow_pair_request_t) */
    const float *x0;      /* prior points, row-major [n0, dim] */
    uint64_t n0;
    const float *x1; /* data points, row-major [n1, dim] */
    uint64_t n1;
    uint64_t dim;
    const uint32_t *kinds; /* REGFLOW_FEATURE_* of each column */
    uint32_t threads;      /* at least 1 */
    uint32_t reserved;
    int32_t (*progress)(void *data, double fraction); /* anything but 0 asks to stop */
    void *progress_data;
} regflow_pair_request_t;

/* One way to pair prior and data points. */
typedef struct {
    uint64_t struct_size; /* sizeof(regflow_target_table_t) */
    uint64_t flags;       /* 0 */
    regflow_str_t name;
    regflow_str_t description;
    regflow_str_t config_schema;
    int32_t (*create)(const regflow_host_ops_t *host, regflow_str_t config, regflow_instance_t **target);
    void (*destroy)(regflow_instance_t *target);
    /* Writes for each of the n0 prior points the row of its data point. */
    int32_t (*pair)(const regflow_instance_t *target, const regflow_pair_request_t *request, uint32_t *rows);
    const void *(*get_extension)(regflow_str_t name);
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

/* One source of potential energies. */
typedef struct {
    uint64_t struct_size; /* sizeof(regflow_energy_table_t) */
    uint64_t flags;       /* 0 */
    regflow_str_t name;
    regflow_str_t description;
    regflow_str_t config_schema; /* a property `file` is set by --energy NAME:FILE */
    int32_t (*create)(const regflow_host_ops_t *host, regflow_str_t config, regflow_instance_t **energy);
    void (*destroy)(regflow_instance_t *energy); /* NULL is ignored */
    uint64_t (*n_atoms)(const regflow_instance_t *energy); /* at least 1 */
    /* Writes the mass of each atom in u, NaN where it is not known. */
    int32_t (*masses)(const regflow_instance_t *energy, double *masses);
    int32_t (*compute)(const regflow_instance_t *energy, const regflow_energy_request_t *request);
    const void *(*get_extension)(regflow_str_t name); /* NULL if unknown */
} regflow_energy_table_t;

/* The energy sources of a library: what get_extension of its regflow_plugin_table_t returns for REGFLOW_ENERGIES. */
#define REGFLOW_ENERGIES "regflow.energies.v1"

typedef struct {
    uint64_t struct_size; /* sizeof(regflow_energy_list_t) */
    const regflow_energy_table_t *const *energies;
    uint64_t n_energies;
} regflow_energy_list_t;

/* What a library offers. */
typedef struct {
    uint64_t magic;       /* REGFLOW_PLUGIN_MAGIC */
    uint64_t struct_size; /* sizeof(regflow_plugin_table_t) */
    uint32_t abi_major;   /* REGFLOW_PLUGIN_ABI_MAJOR */
    uint32_t abi_minor;   /* REGFLOW_PLUGIN_ABI_MINOR */
    regflow_str_t name;
    regflow_str_t version;
    const regflow_flow_table_t *const *flows;
    uint64_t n_flows;
    const regflow_target_table_t *const *targets;
    uint64_t n_targets;
    const void *(*get_extension)(regflow_str_t name);
} regflow_plugin_table_t;

/* Exported by the plugin. */
const regflow_plugin_table_t *regflow_plugin_entry(void);

#ifdef __cplusplus
}
#endif

#endif

/* A plugin of version 1.0 with one table of each kind that there was. The library that build.sh made of it is kept beside it,
 * and must load and give the same numbers for ever.
 */
#include "regflow_plugin.h"

#define TEXT(literal) {literal, sizeof literal - 1}
#define SCHEMA TEXT("{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}")

/* There is one instance of everything, but for tensors and n. */
typedef struct {
    const regflow_host_ops_t *host;
    regflow_tensor_t *shift; /* [1, D] */
} flow_t;

static flow_t flows[16];
static int n_flows;
static const regflow_host_ops_t *host;

static void keep(regflow_instance_t *instance) { (void)instance; }

static void destroy_flow(regflow_instance_t *instance) {
    flow_t *flow = (flow_t *)instance;
    if (flow != 0) {
        flow->host->release(flow->host->context, flow->shift);
        flow->shift = 0;
    }
}

static int32_t create_flow(const regflow_build_info_t *info, regflow_instance_t **out) {
    const regflow_str_t name = TEXT("shift"), full = TEXT("too many flows");
    host = info->host;
    if (info->struct_size < sizeof *info || host->struct_size < sizeof *host || n_flows == 16) {
        host->set_error(host->context, full);
        return REGFLOW_STATUS_ERROR;
    }
    flow_t *flow = &flows[n_flows++];
    flow->host = host;
    const uint64_t dims[2] = {1, info->n_features};
    int32_t status = host->parameter(host->context, info->build, name, dims, 2, REGFLOW_INIT_CONSTANT, 0.5, &flow->shift);
    if (status == REGFLOW_STATUS_OK) {
        *out = (regflow_instance_t *)flow;
    }
    return status;
}

static int32_t op(uint32_t code, const regflow_tensor_t *a, const regflow_tensor_t *b, const regflow_attr_t *attrs,
                  uint64_t n_attrs, regflow_tensor_t **out) {
    const regflow_tensor_t *inputs[2] = {a, b};
    return host->op(host->context, code, inputs, b == 0 ? 1 : 2, attrs, n_attrs, out, 1);
}

/* x + shift or x - shift, and zeros. */
static int32_t move(const regflow_instance_t *flow, const regflow_tensor_t *x, uint32_t code, regflow_tensor_t **y,
                    regflow_tensor_t **log_det) {
    const int64_t one = 1;
    const regflow_attr_t columns = {REGFLOW_KEY_DIMS, REGFLOW_ATTR_INTS, 0.0, &one, 1};
    const regflow_attr_t nothing[2] = {{REGFLOW_KEY_SCALE, REGFLOW_ATTR_FLOAT, 0.0, 0, 0},
                                       {REGFLOW_KEY_SHIFT, REGFLOW_ATTR_FLOAT, 0.0, 0, 0}};
    regflow_tensor_t *moved = 0, *sum = 0, *zeros = 0;
    int32_t status = op(code, x, ((const flow_t *)flow)->shift, 0, 0, &moved);
    if (status == REGFLOW_STATUS_OK) {
        status = op(REGFLOW_OP_SUM, x, 0, &columns, 1, &sum);
    }
    if (status == REGFLOW_STATUS_OK) {
        status = op(REGFLOW_OP_AFFINE, sum, 0, nothing, 2, &zeros);
    }
    host->release(host->context, sum);
    if (status != REGFLOW_STATUS_OK) {
        host->release(host->context, moved);
        return status;
    }
    *y = moved;
    *log_det = zeros;
    return REGFLOW_STATUS_OK;
}

static int32_t forward(const regflow_instance_t *flow, const regflow_tensor_t *x, regflow_tensor_t **y,
                       regflow_tensor_t **log_det) {
    return move(flow, x, REGFLOW_OP_ADD, y, log_det);
}

static int32_t inverse(const regflow_instance_t *flow, const regflow_tensor_t *x, regflow_tensor_t **y,
                       regflow_tensor_t **log_det) {
    return move(flow, x, REGFLOW_OP_SUB, y, log_det);
}

static int32_t create(const regflow_build_info_t *info, regflow_instance_t **out) {
    static int instance;
    host = info->host;
    *out = (regflow_instance_t *)&instance;
    return REGFLOW_STATUS_OK;
}

/* v = sin(x), without a divergence. */
static int32_t velocity(const regflow_instance_t *field, const regflow_tensor_t *x, const regflow_tensor_t *t,
                        regflow_tensor_t **v) {
    (void)field, (void)t;
    return op(REGFLOW_OP_SIN, x, 0, 0, 0, v);
}

/* The last prior point gets the first row, and so on. */
static int32_t pair(const regflow_instance_t *target, const regflow_pair_request_t *request) {
    (void)target;
    for (uint64_t i = 0; i < request->count; ++i) {
        const uint32_t row = (uint32_t)(request->n1 - 1 - i % request->n1);
        const regflow_pair_batch_t one = {sizeof one, 1, 0, 0, &row, 0, 0};
        int32_t status = request->give(request->data, &one);
        if (status != REGFLOW_STATUS_OK) {
            return status;
        }
    }
    return request->progress(request->data, 1.0) == 0 ? REGFLOW_STATUS_OK : REGFLOW_STATUS_ERROR;
}

static uint64_t n_atoms(const regflow_instance_t *energy) {
    (void)energy;
    return 1;
}

static int32_t masses(const regflow_instance_t *energy, double *masses) {
    (void)energy;
    masses[0] = 12.0;
    return REGFLOW_STATUS_OK;
}

/* U = r^2. */
static int32_t compute(const regflow_instance_t *energy, const regflow_energy_request_t *request) {
    (void)energy;
    for (uint64_t i = 0; i < request->n; ++i) {
        request->energies[i] = 0;
        for (int j = 0; j < 3; ++j) {
            const double x = request->positions[3 * i + (uint64_t)j];
            request->energies[i] += x * x;
            if (request->forces != 0) {
                request->forces[3 * i + (uint64_t)j] = -2 * x;
            }
        }
    }
    return REGFLOW_STATUS_OK;
}

static const regflow_flow_table_t FLOW = {
    {sizeof(regflow_flow_table_t), REGFLOW_FLOW_CIRCULAR, TEXT("v1"), TEXT("A shift"), SCHEMA, create_flow, destroy_flow},
    forward,
    inverse,
};
static const regflow_field_table_t FIELD = {
    {sizeof(regflow_field_table_t), REGFLOW_FIELD_CIRCULAR, TEXT("v1"), TEXT("A sine"), SCHEMA, create, keep},
    velocity,
    0,
};
static const regflow_target_table_t TARGET = {
    {sizeof(regflow_target_table_t), 0, TEXT("v1"), TEXT("Backwards"), SCHEMA, create, keep},
    pair,
};
static const regflow_energy_table_t ENERGY = {
    {sizeof(regflow_energy_table_t), 0, TEXT("v1"), TEXT("A spring"), SCHEMA, create, keep},
    n_atoms,
    masses,
    compute,
};

static const void *const FLOWS[] = {&FLOW}, *const FIELDS[] = {&FIELD}, *const TARGETS[] = {&TARGET},
                         *const ENERGIES[] = {&ENERGY};
static const regflow_kind_list_t KINDS[] = {
    {REGFLOW_KIND_FLOW, 0, FLOWS, 1},
    {REGFLOW_KIND_FIELD, 0, FIELDS, 1},
    {REGFLOW_KIND_TARGET, 0, TARGETS, 1},
    {REGFLOW_KIND_ENERGY, 0, ENERGIES, 1},
};

static const regflow_plugin_table_t PLUGIN = {
    REGFLOW_PLUGIN_MAGIC,
    sizeof(regflow_plugin_table_t),
    REGFLOW_PLUGIN_ABI_MAJOR,
    REGFLOW_PLUGIN_ABI_MINOR,
    TEXT("v1"),
    TEXT("1.0.0"),
    KINDS,
    4,
};

const regflow_plugin_table_t *regflow_plugin_entry(void) { return &PLUGIN; }

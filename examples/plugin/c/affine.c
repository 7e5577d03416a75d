/* The smallest useful flow, in C: y = x exp(a) + b with trainable a and b, one of each per feature.
 *
 * Prior points x0 are standard normal in every feature (circular ones uniform in (-pi, pi], but this flow is given none: it does
 * not set REGFLOW_FLOW_CIRCULAR), real features of the data have mean 0 and variance 1: the identity, which a = 0 and b = 0 are,
 * is a good start. `make` builds and checks it.
 */
#include "regflow_plugin.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const regflow_host_ops_t *host;
    uint64_t n_features;
    regflow_tensor_t *log_scale; /* a [1, D] */
    regflow_tensor_t *shift;     /* b [1, D] */
} affine_t;

static regflow_str_t text(const char *text) {
    regflow_str_t str = {text, strlen(text)};
    return str;
}

static void destroy(regflow_instance_t *instance) {
    affine_t *flow = (affine_t *)instance;
    if (flow == NULL) {
        return;
    }
    flow->host->release(flow->host->context, flow->log_scale);
    flow->host->release(flow->host->context, flow->shift);
    free(flow);
}

static int32_t create(const regflow_build_info_t *info, regflow_instance_t **out) {
    const regflow_host_ops_t *host = info->host;
    /* Every host has what version 1.0 has. What came later would be asked for here, and so would an operation:
     *     if (host->struct_size < offsetof(regflow_host_ops_t, later) + sizeof host->later) { set_error; return; }
     *     if (host->op_supported(host->context, REGFLOW_OP_EXP) < 1) { set_error; return; } */
    affine_t *flow = calloc(1, sizeof *flow);
    if (flow == NULL) {
        host->set_error(host->context, text("out of memory"));
        return REGFLOW_STATUS_ERROR;
    }
    flow->host = host;
    flow->n_features = info->n_features;
    const uint64_t dims[2] = {1, info->n_features};
    int32_t status = host->parameter(host->context, info->build, text("log_scale"), dims, 2, REGFLOW_INIT_ZEROS, 0.0,
                                     &flow->log_scale);
    if (status == REGFLOW_STATUS_OK) {
        status = host->parameter(host->context, info->build, text("shift"), dims, 2, REGFLOW_INIT_NORMAL, 0.1,
                                 &flow->shift);
    }
    if (status != REGFLOW_STATUS_OK) { /* the host's message is already in its slot */
        destroy((regflow_instance_t *)flow);
        return status;
    }
    *out = (regflow_instance_t *)flow;
    return REGFLOW_STATUS_OK;
}

/* An operation of one or two inputs and one output. Does nothing once *status is a failure. */
static regflow_tensor_t *op(const affine_t *flow, int32_t *status, uint32_t code, const regflow_tensor_t *a,
                            const regflow_tensor_t *b, const regflow_attr_t *attr) {
    const regflow_tensor_t *inputs[2] = {a, b};
    regflow_tensor_t *output = NULL;
    if (*status == REGFLOW_STATUS_OK) {
        *status = flow->host->op(flow->host->context, code, inputs, b == NULL ? 1 : 2, attr, attr == NULL ? 0 : 1,
                                 &output, 1);
    }
    return output;
}

static int32_t apply(const regflow_instance_t *instance, const regflow_tensor_t *x, regflow_tensor_t **y,
                     regflow_tensor_t **log_det, int inverse) {
    const affine_t *flow = (const affine_t *)instance;
    const regflow_host_ops_t *host = flow->host;
    uint64_t dims[2] = {0, 0}, rank = 0;
    int32_t status = host->shape(host->context, x, dims, 2, &rank);
    if (status == REGFLOW_STATUS_OK && rank != 2) {
        host->set_error(host->context, text("affine: x must have two dimensions"));
        return REGFLOW_STATUS_ERROR;
    }
    const int64_t shape[2] = {(int64_t)dims[0], (int64_t)flow->n_features}, columns[1] = {1};
    const regflow_attr_t to_shape = {REGFLOW_KEY_SHAPE, REGFLOW_ATTR_INTS, 0.0, shape, 2};
    const regflow_attr_t over_columns = {REGFLOW_KEY_DIMS, REGFLOW_ATTR_INTS, 0.0, columns, 1};

    regflow_tensor_t *signed_log = inverse ? op(flow, &status, REGFLOW_OP_NEG, flow->log_scale, NULL, NULL) : NULL;
    const regflow_tensor_t *log_scale = inverse ? signed_log : flow->log_scale;
    regflow_tensor_t *scale = op(flow, &status, REGFLOW_OP_EXP, log_scale, NULL, NULL);
    regflow_tensor_t *middle = inverse ? op(flow, &status, REGFLOW_OP_SUB, x, flow->shift, NULL)
                                       : op(flow, &status, REGFLOW_OP_MUL, x, scale, NULL);
    regflow_tensor_t *result = inverse ? op(flow, &status, REGFLOW_OP_MUL, middle, scale, NULL)
                                       : op(flow, &status, REGFLOW_OP_ADD, middle, flow->shift, NULL);
    regflow_tensor_t *rows = op(flow, &status, REGFLOW_OP_BROADCAST_TO, log_scale, NULL, &to_shape);
    regflow_tensor_t *sum = op(flow, &status, REGFLOW_OP_SUM, rows, NULL, &over_columns);

    host->release(host->context, signed_log);
    host->release(host->context, scale);
    host->release(host->context, middle);
    host->release(host->context, rows);
    if (status != REGFLOW_STATUS_OK) {
        host->release(host->context, result);
        host->release(host->context, sum);
        return status;
    }
    *y = result;
    *log_det = sum;
    return REGFLOW_STATUS_OK;
}

static int32_t forward(const regflow_instance_t *flow, const regflow_tensor_t *x, regflow_tensor_t **y,
                       regflow_tensor_t **log_det) {
    return apply(flow, x, y, log_det, 0);
}

static int32_t inverse(const regflow_instance_t *flow, const regflow_tensor_t *x, regflow_tensor_t **y,
                       regflow_tensor_t **log_det) {
    return apply(flow, x, y, log_det, 1);
}

#define TEXT(literal) {literal, sizeof literal - 1}

static const regflow_flow_table_t FLOW = {
    .head = {.struct_size = sizeof(regflow_flow_table_t),
             .name = TEXT("affine"),
             .description = TEXT("A scale and a shift for each feature"),
             .config_schema = TEXT("{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}"),
             .create = create,
             .destroy = destroy},
    .forward = forward,
    .inverse = inverse,
};

static const void *const FLOWS[] = {&FLOW};
static const regflow_kind_list_t KINDS[] = {{REGFLOW_KIND_FLOW, 0, FLOWS, 1}};

static const regflow_plugin_table_t PLUGIN = {
    .magic = REGFLOW_PLUGIN_MAGIC,
    .struct_size = sizeof(regflow_plugin_table_t),
    .abi_major = REGFLOW_PLUGIN_ABI_MAJOR,
    .abi_minor = REGFLOW_PLUGIN_ABI_MINOR,
    .name = TEXT("affine"),
    .version = TEXT("1.2.3"),
    .kinds = KINDS,
    .n_kinds = 1,
};

const regflow_plugin_table_t *regflow_plugin_entry(void) {
    return &PLUGIN;
}

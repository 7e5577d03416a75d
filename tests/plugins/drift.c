/* A target source in C whose data sides are points of its own: real features x1 = 2 x0 + 1, angles turned by 3 radians, with
 * density and log-determinant of that map, given in two batches.
 *
 *     cc -std=c11 -shared -fPIC -I include drift.c -lm -o drift.so
 *     bg-sample plugins ./drift.so
 *
 * With FAULT_* it breaks a rule.
 */
#include "regflow_plugin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const regflow_host_ops_t *host;
} drift_t;

static void destroy(regflow_instance_t *drift) { free(drift); }

static int32_t create(const regflow_build_info_t *info, regflow_instance_t **out) {
    drift_t *drift = malloc(sizeof *drift);
    if (drift == NULL) {
        return REGFLOW_STATUS_ERROR;
    }
    drift->host = info->host;
    *out = (regflow_instance_t *)drift;
    return REGFLOW_STATUS_OK;
}

/* Gives the pairs of the prior points first..first + n. */
static int32_t part(const regflow_pair_request_t *request, uint64_t first, uint64_t n) {
    const double two_pi = 6.283185307179586;
    uint64_t dim = request->dim;
    float *x1 = malloc((n * dim + 1) * sizeof *x1);
    double *log_q = malloc((n + 1) * sizeof *log_q), *log_det = malloc((n + 1) * sizeof *log_det);
    uint32_t *rows = calloc(n + 1, sizeof *rows);
    int32_t status = REGFLOW_STATUS_ERROR;
    if (x1 != NULL && log_q != NULL && log_det != NULL && rows != NULL) {
        for (uint64_t i = 0; i < n; ++i) {
            log_q[i] = log_det[i] = 0;
            for (uint64_t j = 0; j < dim; ++j) {
                float x0 = request->x0[(first + i) * dim + j];
                if (request->kinds[j] == REGFLOW_FEATURE_CIRCULAR) {
                    x1[i * dim + j] = x0 + 3; /* the host takes any representative */
                    log_q[i] -= log(two_pi);
                } else {
                    x1[i * dim + j] = 2 * x0 + 1;
                    log_q[i] -= 0.5 * x0 * x0 + 0.5 * log(two_pi) + log(2);
                    log_det[i] += log(2);
                }
            }
        }
        regflow_pair_batch_t batch = {sizeof batch, n, NULL, x1, NULL, log_q, log_det};
#if defined FAULT_DENSITY
        log_q[0] += 1;
#elif defined FAULT_NAN
        x1[1] = NAN;
#elif defined FAULT_INFINITE
        log_det[1] = -INFINITY;
#elif defined FAULT_BOTH
        batch.rows = rows;
#elif defined FAULT_ARRAYS
        batch.log_q = first == 0 ? log_q : NULL;
#elif defined FAULT_ROW
        batch.x1 = NULL;
        rows[1] = (uint32_t)request->n1;
        batch.rows = rows;
#elif defined FAULT_BATCH_SIZE
        batch.struct_size -= 8;
#elif defined FAULT_MANY
        batch.n = request->count + 1;
#endif
        status = request->give(request->data, &batch);
    }
    free(x1);
    free(log_q);
    free(log_det);
    free(rows);
    return status;
}

static int32_t pair(const regflow_instance_t *drift, const regflow_pair_request_t *request) {
    (void)drift;
    uint64_t half = request->count / 2;
    int32_t status = part(request, 0, half);
#ifdef FAULT_DEAF
    status = REGFLOW_STATUS_OK;
#endif
    if (status != REGFLOW_STATUS_OK) {
        return status;
    }
    if (request->progress(request->data, 0.5) != 0) {
        return REGFLOW_STATUS_ERROR;
    }
#ifdef FAULT_FEW
    return REGFLOW_STATUS_OK;
#endif
    return part(request, half, request->count - half);
}

#define TEXT(literal) {literal, sizeof literal - 1}

static const regflow_target_table_t DRIFT = {
    .head = {.struct_size = sizeof(regflow_target_table_t),
             .name = TEXT("drift"),
             .description = TEXT("A known map of the prior"),
             .config_schema = TEXT("{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}"),
             .create = create,
             .destroy = destroy},
    .pair = pair,
};

static const void *const TARGETS[] = {&DRIFT};
static const regflow_kind_list_t KINDS[] = {{REGFLOW_KIND_TARGET, 0, TARGETS, 1}};

static const regflow_plugin_table_t PLUGIN = {
    .magic = REGFLOW_PLUGIN_MAGIC,
    .struct_size = sizeof(regflow_plugin_table_t),
    .abi_major = REGFLOW_PLUGIN_ABI_MAJOR,
    .abi_minor = REGFLOW_PLUGIN_ABI_MINOR,
    .name = TEXT("drift"),
    .version = TEXT("0.2.0"),
    .kinds = KINDS,
    .n_kinds = 1,
};

const regflow_plugin_table_t *regflow_plugin_entry(void) {
    return &PLUGIN;
}

/* The smallest velocity field, in C: v = -k x with one trainable k, and its divergence -k D.
 *
 *     cc -std=c11 -shared -fPIC -I include decay.c -o decay.so
 *     bg-sample plugins ./decay.so
 *
 * With OLDER it is built as if the divergence had come into the interface after it, with a table that ends before it; with NEWER
 * as if the interface had grown since. Both tables end where readable memory ends.
 */
#define _DEFAULT_SOURCE
#include "regflow_plugin.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#if defined OLDER || defined NEWER
#include <sys/mman.h>
#include <unistd.h>
#endif

typedef struct {
    const regflow_host_ops_t *host;
    int64_t n_features;
    regflow_tensor_t *k; /* [1, 1] */
} decay_t;

static regflow_str_t text(const char *text) {
    regflow_str_t str = {text, strlen(text)};
    return str;
}

static void destroy(regflow_instance_t *instance) {
    decay_t *field = (decay_t *)instance;
    if (field != NULL) {
        field->host->release(field->host->context, field->k);
        free(field);
    }
}

static int32_t create(const regflow_build_info_t *info, regflow_instance_t **out) {
    const regflow_host_ops_t *host = info->host;
    /* An operation of a later host would be asked for in this way, and done without where it is missing. */
    if (host->op_supported(host->context, REGFLOW_OP_MUL) < 1 || host->op_supported(host->context, 4000000) != 0) {
        host->set_error(host->context, text("the host has other operations than it says"));
        return REGFLOW_STATUS_ERROR;
    }
    decay_t *field = calloc(1, sizeof *field);
    if (field == NULL) {
        host->set_error(host->context, text("out of memory"));
        return REGFLOW_STATUS_ERROR;
    }
    field->host = host;
    field->n_features = (int64_t)info->n_features;
    const uint64_t dims[2] = {1, 1};
    int32_t status = host->parameter(host->context, info->build, text("k"), dims, 2, REGFLOW_INIT_ONES, 0.0, &field->k);
    if (status != REGFLOW_STATUS_OK) {
        destroy((regflow_instance_t *)field);
        return status;
    }
    *out = (regflow_instance_t *)field;
    return REGFLOW_STATUS_OK;
}

/* An operation of one or two inputs and one output. Does nothing once *status is a failure. */
static regflow_tensor_t *op(const decay_t *field, int32_t *status, uint32_t code, const regflow_tensor_t *a,
                            const regflow_tensor_t *b, const regflow_attr_t *attrs, uint64_t n_attrs) {
    const regflow_tensor_t *inputs[2] = {a, b};
    regflow_tensor_t *output = NULL;
    if (*status == REGFLOW_STATUS_OK) {
        *status = field->host->op(field->host->context, code, inputs, b == NULL ? 1 : 2, attrs, n_attrs, &output, 1);
    }
    return output;
}

static int32_t velocity(const regflow_instance_t *instance, const regflow_tensor_t *x, const regflow_tensor_t *t,
                        regflow_tensor_t **v) {
    const decay_t *field = (const decay_t *)instance;
    int32_t status = REGFLOW_STATUS_OK;
    (void)t;
    regflow_tensor_t *product = op(field, &status, REGFLOW_OP_MUL, x, field->k, NULL, 0);
    regflow_tensor_t *result = op(field, &status, REGFLOW_OP_NEG, product, NULL, NULL, 0);
    field->host->release(field->host->context, product);
    if (status == REGFLOW_STATUS_OK) {
        *v = result;
    }
    return status;
}

static int32_t velocity_and_divergence(const regflow_instance_t *instance, const regflow_tensor_t *x,
                                       const regflow_tensor_t *t, regflow_tensor_t **v, regflow_tensor_t **divergence) {
    const decay_t *field = (const decay_t *)instance;
    const regflow_host_ops_t *host = field->host;
    uint64_t dims[2] = {0, 0}, rank = 0;
    regflow_tensor_t *result = NULL;
    int32_t status = host->shape(host->context, x, dims, 2, &rank);
    if (status == REGFLOW_STATUS_OK) {
        status = velocity(instance, x, t, &result);
    }
    const int64_t one[1] = {1}, rows[1] = {(int64_t)dims[0]};
    const regflow_attr_t flat = {REGFLOW_KEY_SHAPE, REGFLOW_ATTR_INTS, 0.0, one, 1};
    const regflow_attr_t batch = {REGFLOW_KEY_SHAPE, REGFLOW_ATTR_INTS, 0.0, rows, 1};
    const regflow_attr_t times[2] = {{REGFLOW_KEY_SCALE, REGFLOW_ATTR_FLOAT, -(double)field->n_features, NULL, 0},
                                     {REGFLOW_KEY_SHIFT, REGFLOW_ATTR_FLOAT, 0.0, NULL, 0}};
    regflow_tensor_t *k = op(field, &status, REGFLOW_OP_RESHAPE, field->k, NULL, &flat, 1);
    regflow_tensor_t *sum = op(field, &status, REGFLOW_OP_AFFINE, k, NULL, times, 2);
    regflow_tensor_t *all = op(field, &status, REGFLOW_OP_BROADCAST_TO, sum, NULL, &batch, 1);
    host->release(host->context, k);
    host->release(host->context, sum);
    if (status != REGFLOW_STATUS_OK) {
        host->release(host->context, result);
        return status;
    }
    *v = result;
    *divergence = all;
    return REGFLOW_STATUS_OK;
}

#define TEXT(literal) {literal, sizeof literal - 1}

/* As long as a table of a later version may be. */
typedef struct {
    regflow_field_table_t known;
    int32_t (*later)(void);
} grown_table_t;

#if defined OLDER
enum { SIZE = offsetof(regflow_field_table_t, velocity_and_divergence) };
#elif defined NEWER
enum { SIZE = sizeof(grown_table_t) };
#else
enum { SIZE = sizeof(regflow_field_table_t) };
#endif

static const grown_table_t DECAY = {
    .known = {.head = {.struct_size = SIZE,
                       .name = TEXT("decay"),
                       .description = TEXT("Draws everything to the origin"),
                       .config_schema = TEXT("{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}"),
                       .create = create,
                       .destroy = destroy},
              .velocity = velocity,
              .velocity_and_divergence = velocity_and_divergence},
};

static const void *FIELDS[] = {&DECAY};
static const int LATER_KIND[] = {0};
static const void *const LATER[] = {LATER_KIND};
static const regflow_kind_list_t KINDS[] = {{99, 0, LATER, 1}, {REGFLOW_KIND_FIELD, 0, FIELDS, 1}};

static const regflow_plugin_table_t PLUGIN = {
    .magic = REGFLOW_PLUGIN_MAGIC,
    .struct_size = sizeof(regflow_plugin_table_t),
    .abi_major = REGFLOW_PLUGIN_ABI_MAJOR,
#ifdef NEWER
    .abi_minor = REGFLOW_PLUGIN_ABI_MINOR + 7,
#else
    .abi_minor = REGFLOW_PLUGIN_ABI_MINOR,
#endif
    .name = TEXT("decay"),
    .version = TEXT("0.1.0"),
    .kinds = KINDS,
    .n_kinds = 2,
};

const regflow_plugin_table_t *regflow_plugin_entry(void) {
#if defined OLDER || defined NEWER
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory + page, page, PROT_NONE) != 0) {
        return NULL;
    }
    FIELDS[0] = memcpy(memory + page - SIZE, &DECAY, SIZE);
#endif
    return &PLUGIN;
}

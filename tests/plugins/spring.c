/* The smallest useful energy, in C: atoms on springs at the origin, U = k/2 sum of r^2, for the number of atoms given.
 *
 *     cc -std=c11 -shared -fPIC -I include spring.c -lm -o spring.so
 *     bg-sample energy --energy ./spring.so:atoms=22,k=2 ...
 *
 * With FAULT_* it breaks a rule; FAULT_FUNCTION names a function that it lacks.
 */
#include "regflow_plugin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const regflow_host_ops_t *host;
    uint64_t n_atoms;
    double k; /* kJ/(mol nm^2) */
} spring_t;

static regflow_str_t text(const char *text) {
    regflow_str_t str = {text, strlen(text)};
    return str;
}

/* The number after "key": in the configuration, which the host has completed with the schema's defaults. */
static double number(const char *config, const char *key) {
    const char *place = strstr(config, key);
    return place == NULL ? NAN : strtod(strchr(place, ':') + 1, NULL);
}

static int32_t create(const regflow_build_info_t *info, regflow_instance_t **out) {
    const regflow_host_ops_t *host = info->host;
    char copy[256];
    snprintf(copy, sizeof copy, "%.*s", (int)info->config.len, info->config.ptr);
    double n_atoms = number(copy, "\"atoms\""), k = number(copy, "\"k\"");
    if (!(n_atoms >= 1) || !(k > 0)) {
        host->set_error(host->context, text("`atoms` must be at least 1, and `k` positive"));
        return REGFLOW_STATUS_ERROR;
    }
    spring_t *spring = malloc(sizeof *spring);
    if (spring == NULL) {
        host->set_error(host->context, text("no memory"));
        return REGFLOW_STATUS_ERROR;
    }
    *spring = (spring_t){host, (uint64_t)n_atoms, k};
    *out = (regflow_instance_t *)spring;
    return REGFLOW_STATUS_OK;
}

static void destroy(regflow_instance_t *spring) { free(spring); }

static uint64_t n_atoms(const regflow_instance_t *instance) {
#ifdef FAULT_NO_ATOMS
    (void)instance;
    return 0;
#else
    return ((const spring_t *)instance)->n_atoms;
#endif
}

static int32_t masses(const regflow_instance_t *instance, double *masses) {
    for (uint64_t i = 0; i < ((const spring_t *)instance)->n_atoms; ++i) {
        masses[i] = NAN;
    }
    return REGFLOW_STATUS_OK;
}

static int32_t compute(const regflow_instance_t *instance, const regflow_energy_request_t *request) {
    const spring_t *spring = (const spring_t *)instance;
    uint64_t width = 3 * spring->n_atoms;
#ifdef FAULT_SILENT
    (void)width;
    return 7;
#endif
    for (uint64_t i = 0; i < request->n; ++i) {
        const double *x = request->positions + i * width;
        double sum = 0;
        for (uint64_t j = 0; j < width; ++j) {
            sum += x[j] * x[j];
            if (request->forces != NULL) {
                request->forces[i * width + j] = -spring->k * x[j];
            }
        }
        request->energies[i] = 0.5 * spring->k * sum;
    }
    return REGFLOW_STATUS_OK;
}

#define TEXT(literal) {literal, sizeof literal - 1}

static const regflow_energy_table_t SPRING = {
    .head = {
#ifdef FAULT_SIZE
        .struct_size = 8,
#else
        .struct_size = sizeof(regflow_energy_table_t),
#endif
        .name = TEXT("spring"),
        .description = TEXT("Springs at the origin"),
        .config_schema = TEXT("{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
                              "\"atoms\": {\"type\": \"integer\", \"default\": 1, \"description\": \"Number of atoms.\"},"
                              "\"k\": {\"type\": \"number\", \"default\": 1.0, \"description\": \"kJ/(mol nm^2)\"}}}"),
        .create = create,
        .destroy = destroy,
    },
    .n_atoms = n_atoms,
    .masses = masses,
    .compute = compute,
};

#ifdef FAULT_NULL
static const void *const ENERGIES[] = {&SPRING, NULL};
#elif defined FAULT_FUNCTION
static regflow_energy_table_t CHANGED;
static const void *const ENERGIES[] = {&CHANGED};
#else
static const void *const ENERGIES[] = {&SPRING};
#endif

static const regflow_kind_list_t KINDS[] = {{REGFLOW_KIND_ENERGY, 0, ENERGIES, sizeof ENERGIES / sizeof ENERGIES[0]}};

static const regflow_plugin_table_t PLUGIN = {
    .magic = REGFLOW_PLUGIN_MAGIC,
    .struct_size = sizeof(regflow_plugin_table_t),
    .abi_major = REGFLOW_PLUGIN_ABI_MAJOR,
    .abi_minor = REGFLOW_PLUGIN_ABI_MINOR,
    .name = TEXT("spring"),
    .version = TEXT("0.3.0"),
    .kinds = KINDS,
    .n_kinds = 1,
};

const regflow_plugin_table_t *regflow_plugin_entry(void) {
#ifdef FAULT_FUNCTION
    CHANGED = SPRING;
    CHANGED.FAULT_FUNCTION = NULL;
#endif
    return &PLUGIN;
}

/* Tells what the library and a model are.
 *
 *     cc -std=c99 inspect.c -lregflow -o inspect
 *     ./inspect model.safetensors [plugin.so]
 *
 * Loads the model from memory, as a program would that has it in a restart file of its own, and asks for everything in the
 * units of LAMMPS and with the atoms in the reverse order.
 */
#include <stdio.h>
#include <stdlib.h>

#include <regflow.h>

static int failed(regflow_status_t status) {
    if (status != REGFLOW_SUCCESS) {
        fprintf(stderr, "error %d: %s\n", (int)status, regflow_last_error());
    }
    return status != REGFLOW_SUCCESS;
}

static void write_log(void *user_data, int32_t level, const char *message) {
    const char *name = level == REGFLOW_LOG_WARNING ? "warning" : "info";
    fprintf(user_data, "regflow: %s: %s\n", name, message);
}

/* The contents of a file, to be freed, or NULL. */
static uint8_t *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0) {
        const long size = ftell(file);
        bytes = size > 0 ? malloc((size_t)size) : NULL;
        *length = (size_t)size;
        if (bytes != NULL && (fseek(file, 0, SEEK_SET) != 0 || fread(bytes, 1, *length, file) != *length)) {
            free(bytes);
            bytes = NULL;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

/* A text of unknown length takes two calls: the first asks for the length. */
static int print_description(const regflow_model_t *model) {
    size_t length = 0;
    if (failed(regflow_model_describe(model, NULL, 0, &length))) {
        return 1;
    }
    char *text = malloc(length);
    if (text == NULL) {
        return 1;
    }
    const int failure = failed(regflow_model_describe(model, text, length, &length));
    if (!failure) {
        printf("description %s\n", text);
    }
    free(text);
    return failure;
}

static int print_library(void) {
    char devices[256];
    size_t length = 0;
    if (failed(regflow_devices(devices, sizeof devices, &length)) || failed(regflow_plugins(NULL, 0, &length))) {
        return 1;
    }
    char *plugins = malloc(length);
    const int failure = plugins == NULL || failed(regflow_plugins(plugins, length, &length));
    if (!failure) {
        printf("version %s\ndevices %s\nplugins %s\n", regflow_version(), devices, plugins);
    }
    free(plugins);
    return failure;
}

/* The same model in the caller's units and order; the one passed in stays as it is. */
static int print_atoms(const regflow_model_t *model) {
    regflow_model_t *reversed = NULL;
    regflow_units_t units = {0};
    size_t n_atoms = 0;
    double temperature = 0.0;
    units.struct_size = sizeof units;
    if (failed(regflow_model_n_atoms(model, &n_atoms)) || failed(regflow_units_named("lammps-real", &units)) ||
        failed(regflow_model_clone(model, &reversed))) {
        return 1;
    }
    size_t *order = malloc(n_atoms * sizeof *order);
    uint32_t *numbers = malloc(n_atoms * sizeof *numbers);
    int failure = order == NULL || numbers == NULL;
    for (size_t i = 0; !failure && i < n_atoms; i++) {
        order[i] = n_atoms - 1 - i;
    }
    failure = failure || failed(regflow_model_set_units(reversed, &units)) ||
              failed(regflow_model_set_atom_order(reversed, order, n_atoms)) ||
              failed(regflow_model_temperature(reversed, &temperature)) ||
              failed(regflow_model_atomic_numbers(reversed, numbers, n_atoms));
    if (!failure) {
        printf("temperature %g\nnumbers", temperature);
        for (size_t i = 0; i < n_atoms; i++) {
            printf(" %u", (unsigned)numbers[i]);
        }
        printf("\n");
    }
    free(numbers);
    free(order);
    return failed(regflow_model_free(reversed)) || failure;
}

int main(int argc, char **argv) {
    regflow_log_t log = {0};
    regflow_model_t *model = NULL;
    size_t length = 0;

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: %s MODEL [PLUGIN_LIBRARY]\n", argv[0]);
        return EXIT_FAILURE;
    }
    log.struct_size = sizeof log;
    log.user_data = stderr;
    log.write = write_log;
    if (failed(regflow_set_log(&log)) || (argc == 3 && failed(regflow_plugin_load(argv[2])))) {
        return EXIT_FAILURE;
    }
    uint8_t *bytes = read_file(argv[1], &length);
    if (bytes == NULL) {
        fprintf(stderr, "cannot read %s\n", argv[1]);
        return EXIT_FAILURE;
    }
    int failure = failed(regflow_model_load_memory(bytes, length, NULL, &model));
    free(bytes);
    failure = failure || print_library() || print_description(model) || print_atoms(model);
    failure = failed(regflow_model_free(model)) || failure;
    failure = failed(regflow_set_log(NULL)) || failure;
    return failure ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* One training run through the C interface.
 *
 * usage: job TOPOLOGY CONFIG ENERGY FRAMES N_FRAMES, where FRAMES holds doubles in nm and ENERGY may be empty
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <regflow.h>

static int failed(regflow_status_t status) {
    if (status != REGFLOW_SUCCESS) {
        fprintf(stderr, "error %d: %s\n", (int)status, regflow_last_error());
    }
    return status != REGFLOW_SUCCESS;
}

static double *read_all(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file) / sizeof(double);
    rewind(file);
    double *values = malloc(*length * sizeof(double));
    if (values != NULL && fread(values, sizeof(double), *length, file) != *length) {
        free(values);
        values = NULL;
    }
    fclose(file);
    return values;
}

int main(int argc, char **argv) {
    regflow_topology_t topology = {0};
    regflow_train_options_t options = {0};
    regflow_energy_t *energy = NULL;
    regflow_model_t *model = NULL;
    size_t length = 0;
    if (argc != 6) {
        return EXIT_FAILURE;
    }
    double *frames = read_all(argv[4], &length);
    if (frames == NULL) {
        return EXIT_FAILURE;
    }
    if (argv[3][0] != '\0' && failed(regflow_energy_load(argv[3], &energy))) {
        return EXIT_FAILURE;
    }
    topology.struct_size = sizeof topology;
    topology.path = argv[1];
    options.struct_size = sizeof options;
    options.energy = energy;
    const int failure =
        failed(regflow_train(&topology, argv[2], (size_t)atoi(argv[5]), frames, length, &options, &model));
    failed(regflow_model_free(model));
    failed(regflow_energy_free(energy));
    free(frames);
    return failure ? EXIT_FAILURE : EXIT_SUCCESS;
}

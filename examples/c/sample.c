/* Draws samples from a trained model and scores them again.
 *
 *     cc -std=c99 sample.c -lregflow -o sample
 *     ./sample model.safetensors 4
 *
 * Prints one line per sample: its index, the log density it was drawn from, and the log density that the model gives to
 * its coordinates. The two differ by rounding only: the model's networks compute in single precision.
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

int main(int argc, char **argv) {
    regflow_model_t *model = NULL;
    size_t n_atoms = 0;
    double temperature = 0.0;
    const uint64_t seed = 2024;
    size_t n = 0;

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: %s MODEL [NUMBER_OF_SAMPLES]\n", argv[0]);
        return EXIT_FAILURE;
    }
    n = argc == 3 ? (size_t)strtoul(argv[2], NULL, 10) : 4;

    if (regflow_api_version() < REGFLOW_API_VERSION) {
        fprintf(stderr, "libregflow %s is older than the header this was compiled with\n", regflow_version());
        return EXIT_FAILURE;
    }
    if (failed(regflow_model_load(argv[1], NULL, &model))) {
        return EXIT_FAILURE;
    }
    if (failed(regflow_model_n_atoms(model, &n_atoms)) || failed(regflow_model_temperature(model, &temperature))) {
        regflow_model_free(model);
        return EXIT_FAILURE;
    }
    printf("# libregflow %s: %lu atoms, %g K\n", regflow_version(), (unsigned long)n_atoms, temperature);

    const size_t length = n * n_atoms * 3;
    double *positions = malloc(length * sizeof *positions);
    double *log_q = malloc(n * sizeof *log_q);
    double *again = malloc(n * sizeof *again);
    int failure = n > 0 && (positions == NULL || log_q == NULL || again == NULL);
    if (failure) {
        fprintf(stderr, "not enough memory for %lu samples\n", (unsigned long)n);
    }
    failure = failure || failed(regflow_model_sample(model, n, seed, 0, positions, length, log_q, n));
    failure = failure || failed(regflow_model_log_density(model, n, positions, length, again, n));
    for (size_t i = 0; !failure && i < n; i++) {
        printf("%lu %.10g %.10g\n", (unsigned long)i, log_q[i], again[i]);
    }

    free(again);
    free(log_q);
    free(positions);
    failure = failed(regflow_model_free(model)) || failure;
    return failure ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Weighs the samples of a model with an energy: averages over them are then averages over the Boltzmann distribution.
 *
 *     cc -std=c99 weights.c -lregflow -lm -o weights
 *     ./weights model.safetensors system.xml 10000
 *
 * Prints what the weights are worth, the mean energy, and the largest force on the samples that resampling chose.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <regflow.h>

static int failed(regflow_status_t status) {
    if (status != REGFLOW_SUCCESS) {
        fprintf(stderr, "error %d: %s\n", (int)status, regflow_last_error());
    }
    return status != REGFLOW_SUCCESS;
}

/* Numbers of one run. */
struct run {
    regflow_model_t *model;
    regflow_energy_t *energy;
    size_t n, width; /* samples, coordinates of each */
    double *positions, *log_q, *energies, *log_weights, *forces;
    size_t *indices;
};

static int open_run(struct run *run, const char *model, const char *energy) {
    size_t n_atoms = 0, n_energy = 0;
    if (failed(regflow_model_load(model, NULL, &run->model)) || failed(regflow_energy_load(energy, &run->energy)) ||
        failed(regflow_model_n_atoms(run->model, &n_atoms)) || failed(regflow_energy_n_atoms(run->energy, &n_energy))) {
        return 1;
    }
    if (n_atoms != n_energy) {
        fprintf(stderr, "the model has %lu atoms, the energy %lu\n", (unsigned long)n_atoms, (unsigned long)n_energy);
        return 1;
    }
    run->width = 3 * n_atoms;
    run->positions = malloc(run->n * run->width * sizeof *run->positions);
    run->forces = malloc(run->n * run->width * sizeof *run->forces);
    run->log_q = malloc(run->n * sizeof *run->log_q);
    run->energies = malloc(run->n * sizeof *run->energies);
    run->log_weights = malloc(run->n * sizeof *run->log_weights);
    run->indices = malloc(run->n * sizeof *run->indices);
    if (run->positions == NULL || run->forces == NULL || run->log_q == NULL || run->energies == NULL ||
        run->log_weights == NULL || run->indices == NULL) {
        fprintf(stderr, "not enough memory for %lu samples\n", (unsigned long)run->n);
        return 1;
    }
    return 0;
}

static int close_run(struct run *run) {
    free(run->indices);
    free(run->log_weights);
    free(run->energies);
    free(run->log_q);
    free(run->forces);
    free(run->positions);
    const int failure = failed(regflow_energy_free(run->energy));
    return failed(regflow_model_free(run->model)) || failure;
}

static int weigh(struct run *run) {
    const size_t n = run->n, length = run->n * run->width;
    const uint64_t seed = 2024;
    regflow_diagnostics_t found = {0};
    found.struct_size = sizeof found;
    if (failed(regflow_model_sample(run->model, n, seed, 0, run->positions, length, run->log_q, n)) ||
        failed(regflow_energy_compute(run->energy, n, run->positions, length, run->energies, n, run->forces, length)) ||
        failed(regflow_weights_log(run->model, n, run->energies, n, run->log_q, n, run->log_weights, n)) ||
        failed(regflow_weights_diagnose(n, run->log_weights, n, seed, &found)) ||
        failed(regflow_weights_resample(REGFLOW_RESAMPLE_SYSTEMATIC, n, run->log_weights, n, seed, run->indices, n))) {
        return 1;
    }
    printf("samples %lu\nwithout weight %lu\nESS/N %g\nESS/N without the top 0.2 %% %g\n", (unsigned long)n,
           (unsigned long)found.n_zero, found.ess, found.ess_trimmed);
    printf("k-hat %g\nlog Z %g +- %g\n", found.k_hat, found.log_z, found.log_z_error);

    double weights = 0.0, mean = 0.0, largest = 0.0;
    for (size_t i = 0; i < n; i++) {
        /* Less the logarithm of the mean weight, which keeps the exponential in range. */
        const double weight = exp(run->log_weights[i] - found.log_z);
        weights += weight;
        mean += weight > 0.0 ? weight * run->energies[i] : 0.0;
    }
    for (size_t i = 0; i < n; i++) {
        const double *forces = run->forces + run->indices[i] * run->width;
        for (size_t k = 0; k < run->width; k++) {
            largest = fmax(largest, fabs(forces[k]));
        }
    }
    printf("mean energy %g kJ/mol\nlargest force %g kJ/mol/nm\n", mean / weights, largest);
    return 0;
}

int main(int argc, char **argv) {
    struct run run = {0};
    if (argc != 4) {
        fprintf(stderr, "usage: %s MODEL ENERGY NUMBER_OF_SAMPLES\n", argv[0]);
        return EXIT_FAILURE;
    }
    run.n = (size_t)strtoul(argv[3], NULL, 10);
    int failure = open_run(&run, argv[1], argv[2]) || weigh(&run);
    failure = close_run(&run) || failure;
    return failure ? EXIT_FAILURE : EXIT_SUCCESS;
}

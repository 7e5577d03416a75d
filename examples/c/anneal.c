/* Annealed importance sampling (Neal, Stat. Comput. 11, 125, 2001) with Langevin moves: a sampler of one's own, from the density of
 * a model, its gradient, and forces.
 *
 *     cc -std=c99 anneal.c -lregflow -lm -o anneal
 *     ./anneal water.safetensors 2000
 *
 * Samples of the model (see train.c) go along the path log p_t = (1 - t) log q - t U / kT from t = 0 to 1, one Metropolis-adjusted
 * Langevin step at every t. Prints log Z with and without annealing, and the exact one. All in nm and kJ/mol.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <regflow.h>

#include "water.h"

#define WIDTH (3 * WATER_ATOMS)
#define STEPS 20
/* Variance of a step's noise, nm^2: bonds vary by (kT / k)^(1/2) = 3.5e-3 nm. */
#define NOISE 4e-6

static int failed(regflow_status_t status) {
    if (status != REGFLOW_SUCCESS) {
        fprintf(stderr, "error %d: %s\n", (int)status, regflow_last_error());
    }
    return status != REGFLOW_SUCCESS;
}

/* Walkers with all that their log densities need. */
struct walkers {
    double *positions, *log_q, *gradient, *energies, *forces;
};

static void release(struct walkers *walkers) {
    free(walkers->positions);
    free(walkers->log_q);
    free(walkers->gradient);
    free(walkers->energies);
    free(walkers->forces);
}

static int allocate(struct walkers *walkers, size_t n) {
    walkers->positions = calloc(n, WIDTH * sizeof(double));
    walkers->log_q = calloc(n, sizeof(double));
    walkers->gradient = calloc(n, WIDTH * sizeof(double));
    walkers->energies = calloc(n, sizeof(double));
    walkers->forces = calloc(n, WIDTH * sizeof(double));
    return walkers->positions == NULL || walkers->log_q == NULL || walkers->gradient == NULL || walkers->energies == NULL ||
           walkers->forces == NULL;
}

static double uniform(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(uint64_t *state) {
    return sqrt(-2.0 * log(uniform(state))) * cos(2.0 * acos(-1.0) * uniform(state));
}

static int32_t energies(void *user_data, size_t n, size_t n_atoms, const double *positions, double *result) {
    (void)user_data;
    (void)n_atoms;
    for (size_t i = 0; i < n; i++) {
        result[i] = water_energy(positions + WIDTH * i);
    }
    return 0;
}

static int32_t energies_and_forces(void *user_data, size_t n, size_t n_atoms, const double *positions, double *result,
                                   double *forces) {
    (void)user_data;
    (void)n_atoms;
    for (size_t i = 0; i < n; i++) {
        result[i] = water_forces(positions + WIDTH * i, forces + WIDTH * i);
    }
    return 0;
}

static int evaluate(const regflow_model_t *model, const regflow_energy_t *energy, struct walkers *walkers, size_t n) {
    return failed(regflow_model_log_density_gradient(model, n, walkers->positions, n * WIDTH, walkers->log_q, n,
                                                     walkers->gradient, n * WIDTH)) ||
           failed(regflow_energy_compute(energy, n, walkers->positions, n * WIDTH, walkers->energies, n, walkers->forces,
                                         n * WIDTH));
}

static double log_p(const struct walkers *walkers, size_t i, double t) {
    return (1.0 - t) * walkers->log_q[i] - t * walkers->energies[i] / WATER_KT;
}

/* Where a Langevin step without noise goes. */
static double drift(const struct walkers *walkers, size_t k, double t) {
    const double slope = (1.0 - t) * walkers->gradient[k] + t * walkers->forces[k] / WATER_KT;
    return walkers->positions[k] + 0.5 * NOISE * slope;
}

/* One step of every walker; returns the number that were accepted, or -1. */
static long step(const regflow_model_t *model, const regflow_energy_t *energy, struct walkers *now, struct walkers *next, size_t n,
                 double t, uint64_t *random) {
    long accepted = 0;
    for (size_t k = 0; k < n * WIDTH; k++) {
        next->positions[k] = drift(now, k, t) + sqrt(NOISE) * normal(random);
    }
    if (evaluate(model, energy, next, n)) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        double forth = 0.0, back = 0.0;
        for (size_t k = i * WIDTH; k < (i + 1) * WIDTH; k++) {
            forth += pow(next->positions[k] - drift(now, k, t), 2.0);
            back += pow(now->positions[k] - drift(next, k, t), 2.0);
        }
        if (log(uniform(random)) < log_p(next, i, t) - log_p(now, i, t) + (forth - back) / (2.0 * NOISE)) {
            memcpy(now->positions + i * WIDTH, next->positions + i * WIDTH, WIDTH * sizeof(double));
            memcpy(now->gradient + i * WIDTH, next->gradient + i * WIDTH, WIDTH * sizeof(double));
            memcpy(now->forces + i * WIDTH, next->forces + i * WIDTH, WIDTH * sizeof(double));
            now->log_q[i] = next->log_q[i];
            now->energies[i] = next->energies[i];
            accepted++;
        }
    }
    return accepted;
}

static int print_weights(const char *label, const double *log_weights, size_t n) {
    regflow_diagnostics_t found = {0};
    found.struct_size = sizeof found;
    if (failed(regflow_weights_diagnose(n, log_weights, n, 1, &found))) {
        return 1;
    }
    printf("%s log Z %.6g +- %.2g\n%s ESS/N %g\n", label, found.log_z, found.log_z_error, label, found.ess);
    return 0;
}

static int anneal(const regflow_model_t *model, const regflow_energy_t *energy, struct walkers *now, struct walkers *next,
                  double *log_weights, size_t n) {
    uint64_t random = 3;
    long accepted = 0;
    double log_z = 0.0, mean_energy = 0.0;
    if (failed(regflow_model_sample(model, n, 5, 0, now->positions, n * WIDTH, now->log_q, n)) ||
        evaluate(model, energy, now, n) ||
        failed(regflow_weights_log(model, n, now->energies, n, now->log_q, n, log_weights, n)) ||
        print_weights("direct", log_weights, n)) {
        return 1;
    }
    memset(log_weights, 0, n * sizeof *log_weights);
    for (int i = 1; i <= STEPS; i++) {
        const double t = (double)i / STEPS;
        for (size_t w = 0; w < n; w++) {
            log_weights[w] += (-now->energies[w] / WATER_KT - now->log_q[w]) / STEPS;
        }
        const long found = step(model, energy, now, next, n, t, &random);
        if (found < 0) {
            return 1;
        }
        accepted += found;
    }
    water_exact(&log_z, &mean_energy);
    printf("acceptance %g\n", (double)accepted / ((double)n * STEPS));
    if (print_weights("annealed", log_weights, n)) {
        return 1;
    }
    printf("exact log Z %.6g\n", log_z);
    return 0;
}

int main(int argc, char **argv) {
    struct walkers now = {0}, next = {0};
    regflow_energy_callback_t callback = {0};
    regflow_model_t *model = NULL;
    regflow_energy_t *energy = NULL;
    size_t threads = 0;
    const size_t n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    if (n == 0) {
        fprintf(stderr, "usage: %s MODEL NUMBER_OF_WALKERS\n", argv[0]);
        return EXIT_FAILURE;
    }
    callback.struct_size = sizeof callback;
    callback.energies = energies;
    callback.energies_and_forces = energies_and_forces;
    callback.threads = 1;
    double *log_weights = calloc(n, sizeof *log_weights);
    int failure = log_weights == NULL || allocate(&now, n) || allocate(&next, n);
    /* As a rank that has one processor does, before anything is computed. */
    failure = failure || failed(regflow_set_threads(1)) || failed(regflow_threads(&threads)) ||
              failed(regflow_model_load(argv[1], NULL, &model)) ||
              failed(regflow_energy_from_callback(&callback, WATER_ATOMS, &energy));
    if (!failure) {
        printf("threads %lu\n", (unsigned long)threads);
        failure = anneal(model, energy, &now, &next, log_weights, n);
    }
    failure = failed(regflow_energy_free(energy)) || failure;
    failure = failed(regflow_model_free(model)) || failure;
    release(&now);
    release(&next);
    free(log_weights);
    return failure ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Trains a model on frames that the program has in memory, and weighs its samples with an energy that the program computes.
 *
 *     cc -std=c99 train.c -lregflow -lm -o train
 *     ./train water.safetensors
 *
 * The molecule is described in memory, too; a structure file with bonds would do as well (`topology.path`). The frames are those of a Monte Carlo run of a water molecule (water.h), whose log Z is known and printed with the estimate.
 */
#include <stdio.h>
#include <stdlib.h>

#include <regflow.h>

#include "water.h"

#define FRAMES 4000
#define SAMPLES 4000

static int failed(regflow_status_t status) {
    if (status != REGFLOW_SUCCESS) {
        fprintf(stderr, "error %d: %s\n", (int)status, regflow_last_error());
    }
    return status != REGFLOW_SUCCESS;
}

static double uniform(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 9007199254740992.0;
}

/* Log of the Boltzmann density of bonds and angle. */
static double log_density(const double q[3]) {
    if (q[0] <= 0.0 || q[1] <= 0.0 || q[2] <= 0.0 || sin(q[2]) <= 0.0) {
        return -INFINITY;
    }
    const double energy = water_bond_energy(q[0]) + water_bond_energy(q[1]) + water_angle_energy(q[2]);
    return 2.0 * log(q[0] * q[1]) + log(sin(q[2])) - energy / WATER_KT;
}

/* A Monte Carlo run, one frame every 50 steps. */
static void simulate(double *frames) {
    const double step[3] = {0.015, 0.015, 0.4};
    double q[3] = {WATER_R0, WATER_R0, WATER_A0};
    uint64_t state = 7;
    for (size_t frame = 0; frame < FRAMES; frame++) {
        for (int i = 0; i < 50; i++) {
            double next[3];
            for (int k = 0; k < 3; k++) {
                next[k] = q[k] + step[k] * (uniform(&state) - 0.5);
            }
            if (log(uniform(&state)) < log_density(next) - log_density(q)) {
                for (int k = 0; k < 3; k++) {
                    q[k] = next[k];
                }
            }
        }
        water_place(q[0], q[1], q[2], frames + 9 * frame);
    }
}

/* Called after every step of the training; anything but 0 ends it. */
static int32_t report(void *user_data, const char *json) {
    unsigned *steps = user_data;
    if (++*steps % 100 == 0) {
        printf("progress %s\n", json);
    }
    return 0;
}

static int32_t energies(void *user_data, size_t n, size_t n_atoms, const double *positions, double *result) {
    (void)user_data;
    if (n_atoms != WATER_ATOMS) {
        regflow_set_last_error("a water molecule has three atoms");
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        result[i] = water_energy(positions + 9 * i);
    }
    return 0;
}

static int weigh(const regflow_model_t *model) {
    static double positions[SAMPLES * 9], log_q[SAMPLES], computed[SAMPLES], log_weights[SAMPLES];
    regflow_energy_callback_t callback = {0};
    regflow_diagnostics_t found = {0};
    regflow_energy_t *energy = NULL;
    double log_z = 0.0, mean_energy = 0.0;
    callback.struct_size = sizeof callback;
    callback.energies = energies;
    callback.threads = 1; /* it may run in several threads at once */
    found.struct_size = sizeof found;
    const int failure =
        failed(regflow_energy_from_callback(&callback, WATER_ATOMS, &energy)) ||
        failed(regflow_model_sample(model, SAMPLES, 1, 0, positions, SAMPLES * 9, log_q, SAMPLES)) ||
        failed(regflow_energy_compute(energy, SAMPLES, positions, SAMPLES * 9, computed, SAMPLES, NULL, 0)) ||
        failed(regflow_weights_log(model, SAMPLES, computed, SAMPLES, log_q, SAMPLES, log_weights, SAMPLES)) ||
        failed(regflow_weights_diagnose(SAMPLES, log_weights, SAMPLES, 1, &found));
    if (!failure) {
        water_exact(&log_z, &mean_energy);
        printf("ESS/N %g\nlog Z %.6g +- %.2g\nexact %.6g\n", found.ess, found.log_z, found.log_z_error, log_z);
    }
    return failed(regflow_energy_free(energy)) || failure;
}

int main(int argc, char **argv) {
    static double frames[FRAMES * 9];
    const char *config = "{\"temperature\": 300, \"architecture\": \"nsf\","
                         " \"architecture_config\": {\"couplings\": 4, \"hidden\": 32, \"blocks\": 1},"
                         " \"stages\": [{\"objective\": \"likelihood\", \"steps\": 400, \"batch\": 256}], \"seed\": 1}";
    const uint32_t elements[WATER_ATOMS] = {8, 1, 1};
    const size_t bonds[2][2] = {{0, 1}, {0, 2}};
    regflow_topology_t topology = {0};
    regflow_train_options_t options = {0};
    regflow_progress_t progress = {0};
    regflow_model_t *model = NULL;
    unsigned steps = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: %s MODEL_TO_WRITE\n", argv[0]);
        return EXIT_FAILURE;
    }
    topology.struct_size = sizeof topology;
    topology.n_atoms = WATER_ATOMS;
    topology.atomic_numbers = elements;
    topology.n_bonds = 2;
    topology.bonds = bonds[0];
    options.struct_size = sizeof options;
    options.progress = &progress;
    progress.struct_size = sizeof progress;
    progress.user_data = &steps;
    progress.report = report;
    simulate(frames);
    int failure = failed(regflow_train(&topology, config, FRAMES, frames, FRAMES * 9, &options, &model)) ||
                  failed(regflow_model_save(model, argv[1])) || weigh(model);
    failure = failed(regflow_model_free(model)) || failure;
    return failure ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* A process that is forked after its parent has computed: no function waits for threads that it does not have. One that is forked
 * before computes as ever. And the number of threads, which is set once.
 *
 * usage: fork MODEL
 */
#define _POSIX_C_SOURCE 200809L

#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define SAMPLES 4096

static int32_t no_energy(void *user_data, size_t n, size_t n_atoms, const double *positions, double *energies) {
    (void)user_data;
    (void)n_atoms;
    (void)positions;
    for (size_t i = 0; i < n; i++) {
        energies[i] = 0.0;
    }
    return 0;
}

/* Runs `body` in a child, which is killed if it has not ended after a minute; 0: all its checks hold. */
static int in_child(void (*body)(regflow_model_t *, const char *), regflow_model_t *model, const char *path) {
    int status = -1;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        failures = 0;
        body(model, path);
        _exit(failures == 0 ? 0 : 1);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        return -1;
    }
    return status;
}

static void computes(regflow_model_t *model, const char *path) {
    static double positions[SAMPLES * 9], log_q[SAMPLES];
    (void)model;
    SUCCEEDS(regflow_model_load(path, NULL, &model));
    SUCCEEDS(regflow_model_sample(model, SAMPLES, 1, 0, positions, SAMPLES * 9, log_q, SAMPLES));
    SUCCEEDS(regflow_model_free(model));
}

static void refuses(regflow_model_t *model, const char *path) {
    static double positions[SAMPLES * 9], log_q[SAMPLES], gradient[SAMPLES * 9], features[SAMPLES * 3];
    const uint8_t bytes[8] = {0};
    const char *part = "forked";
    regflow_energy_callback_t callback = {0};
    regflow_energy_t *energy = NULL;
    regflow_model_t *other = NULL;
    regflow_move_t *move = NULL;
    regflow_topology_t topology = {0};
    regflow_diagnostics_t diagnostics = {0};
    size_t n = 0, index = 0;
    FAILS(regflow_model_sample(model, SAMPLES, 1, 0, positions, SAMPLES * 9, log_q, SAMPLES), REGFLOW_ERROR_STATE, part);
    FAILS(regflow_model_log_density(model, SAMPLES, positions, SAMPLES * 9, log_q, SAMPLES), REGFLOW_ERROR_STATE, part);
    FAILS(regflow_model_log_density_gradient(model, SAMPLES, positions, SAMPLES * 9, log_q, SAMPLES, gradient, SAMPLES * 9),
          REGFLOW_ERROR_STATE, part);
    FAILS(regflow_model_to_features(model, SAMPLES, positions, SAMPLES * 9, features, SAMPLES * 3, log_q, SAMPLES),
          REGFLOW_ERROR_STATE, part);
    FAILS(regflow_model_to_positions(model, SAMPLES, features, SAMPLES * 3, positions, SAMPLES * 9, log_q, SAMPLES),
          REGFLOW_ERROR_STATE, part);
    FAILS(regflow_model_pull_back(model, SAMPLES, features, SAMPLES * 3, positions, SAMPLES * 9, gradient, SAMPLES * 3),
          REGFLOW_ERROR_STATE, part);
    FAILS(regflow_model_forward(model, SAMPLES, features, SAMPLES * 3, gradient, SAMPLES * 3, log_q, SAMPLES), REGFLOW_ERROR_STATE,
          part);
    FAILS(regflow_model_inverse(model, SAMPLES, features, SAMPLES * 3, gradient, SAMPLES * 3, log_q, SAMPLES), REGFLOW_ERROR_STATE,
          part);
    FAILS(regflow_model_load(path, NULL, &other), REGFLOW_ERROR_STATE, part);
    FAILS(regflow_model_load_memory(bytes, 8, NULL, &other), REGFLOW_ERROR_STATE, part);
    FAILS(regflow_energy_load("system.xml", &energy), REGFLOW_ERROR_STATE, part);
    FAILS(regflow_move_new(model, NULL, &move), REGFLOW_ERROR_STATE, part);
    FAILS(regflow_train(&topology, "{}", 0, NULL, 0, NULL, &other), REGFLOW_ERROR_STATE, part);
    FAILS(regflow_weights_diagnose(SAMPLES, log_q, SAMPLES, 1, &diagnostics), REGFLOW_ERROR_STATE, part);
    FAILS(regflow_weights_resample(REGFLOW_RESAMPLE_SYSTEMATIC, SAMPLES, log_q, SAMPLES, 1, &index, 1), REGFLOW_ERROR_STATE, part);
    FAILS(regflow_set_threads(1), REGFLOW_ERROR_STATE, part);
    FAILS(regflow_threads(&n), REGFLOW_ERROR_STATE, part);
    callback.struct_size = sizeof callback;
    callback.energies = no_energy;
    SUCCEEDS(regflow_energy_from_callback(&callback, 3, &energy));
    FAILS(regflow_energy_compute(energy, SAMPLES, positions, SAMPLES * 9, log_q, SAMPLES, NULL, 0), REGFLOW_ERROR_STATE, part);
    FAILS(regflow_weights_log(model, 1, log_q, 1, log_q, 1, gradient, 1), REGFLOW_ERROR_STATE, part);
    /* What does not compute works: the child can tidy up. */
    SUCCEEDS(regflow_model_n_atoms(model, &n));
    SUCCEEDS(regflow_energy_free(energy));
    SUCCEEDS(regflow_model_free(model));
}

int main(int argc, char **argv) {
    static double positions[SAMPLES * 9], log_q[SAMPLES];
    regflow_model_t *model = NULL;
    size_t threads = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: %s MODEL\n", argv[0]);
        return EXIT_FAILURE;
    }
    FAILS(regflow_threads(NULL), REGFLOW_ERROR_ARGUMENT, "`n` is NULL");
    CHECK(in_child(computes, NULL, argv[1]) == 0);
    FAILS(regflow_set_threads(SIZE_MAX), REGFLOW_ERROR_ARGUMENT, "at most 4096");
    SUCCEEDS(regflow_set_threads(2));
    SUCCEEDS(regflow_threads(&threads));
    CHECK(threads == 2);
    SUCCEEDS(regflow_set_threads(2));
    SUCCEEDS(regflow_set_threads(0));
    FAILS(regflow_set_threads(3), REGFLOW_ERROR_STATE, "2 threads are already running");
    SUCCEEDS(regflow_model_load(argv[1], NULL, &model));
    SUCCEEDS(regflow_model_sample(model, SAMPLES, 1, 0, positions, SAMPLES * 9, log_q, SAMPLES));
    CHECK(in_child(refuses, model, argv[1]) == 0);
    SUCCEEDS(regflow_model_sample(model, SAMPLES, 1, 0, positions, SAMPLES * 9, log_q, SAMPLES));
    SUCCEEDS(regflow_model_free(model));
    return summary();
}

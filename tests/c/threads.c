/* Use from many threads at once: one model and one energy for all, a move for each, and one move for two, which is refused.
 *
 * usage: threads MODEL
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>

#include "check.h"

#define THREADS 6
#define N 4 /* configurations of each thread */

static const regflow_model_t *model;
static regflow_energy_t *one_at_a_time, *at_once;
static size_t n_atoms;
static pthread_barrier_t barrier;

/* How many threads are in the callback, and how many there were at most. */
struct crowd {
    int inside, most;
    double slack[64]; /* apart from the others' cache lines */
};
static struct crowd single, many;

static int32_t energies(void *user_data, size_t n, size_t atoms, const double *positions, double *result) {
    struct crowd *crowd = user_data;
    const int inside = __atomic_add_fetch(&crowd->inside, 1, __ATOMIC_SEQ_CST);
    int most = __atomic_load_n(&crowd->most, __ATOMIC_SEQ_CST);
    while (inside > most && !__atomic_compare_exchange_n(&crowd->most, &most, inside, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
    for (size_t i = 0; i < n; i++) {
        result[i] = 0.0;
        for (size_t k = 0; k < 3 * atoms; k++) {
            result[i] += positions[3 * atoms * i + k];
        }
    }
    __atomic_sub_fetch(&crowd->inside, 1, __ATOMIC_SEQ_CST);
    if (isnan(result[0])) {
        char message[64];
        snprintf(message, sizeof message, "configuration of thread %g", positions[1]);
        regflow_set_last_error(message);
        return 1;
    }
    return 0;
}

static void write_nothing(void *user_data, int32_t level, const char *message) {
    (void)user_data;
    (void)level;
    (void)message;
}

/* What one thread found out; the checks are made when all are back. */
struct outcome {
    pthread_t thread;
    size_t index;
    int same_samples, own_errors, own_messages, exact_moves;
};

static void *work(void *argument) {
    struct outcome *outcome = argument;
    const size_t length = N * n_atoms * 3;
    double *positions = calloc(length, sizeof *positions), *others = calloc(length, sizeof *others);
    double log_q[N], again[N], result[N];
    char message[64];
    regflow_move_t *move = NULL;
    regflow_move_options_t options = {0};
    regflow_log_t log = {0};
    options.struct_size = sizeof options;
    options.n_walkers = N;
    options.seed = outcome->index;
    log.struct_size = sizeof log;
    log.write = write_nothing;
    pthread_barrier_wait(&barrier);
    outcome->same_samples = outcome->own_errors = outcome->own_messages = outcome->exact_moves = 1;
    for (size_t i = 0; i < 5; i++) {
        /* The same samples as all other threads get. */
        outcome->same_samples &= regflow_model_sample(model, N, 1, 0, positions, length, log_q, N) == REGFLOW_SUCCESS &&
                                 regflow_model_log_density(model, N, positions, length, again, N) == REGFLOW_SUCCESS;
        for (size_t k = 0; k < N; k++) {
            outcome->same_samples &= close_to(log_q[k], again[k]);
        }
        /* Errors of its own. */
        snprintf(message, sizeof message, "`log_q_length` is %lu", (unsigned long)(N + outcome->index + 1));
        regflow_model_log_density(model, N, positions, length, log_q, N + outcome->index + 1);
        outcome->own_errors &= strstr(regflow_last_error(), message) != NULL;
        /* A callback for all, and its message for one. */
        outcome->own_messages &=
            regflow_energy_compute(i % 2 ? at_once : one_at_a_time, N, positions, length, result, N, NULL, 0) == REGFLOW_SUCCESS;
        memcpy(others, positions, length * sizeof *others);
        others[0] = NAN;
        others[1] = (double)outcome->index;
        snprintf(message, sizeof message, "configuration of thread %lu", (unsigned long)outcome->index);
        outcome->own_messages &= regflow_energy_compute(at_once, N, others, length, result, N, NULL, 0) == REGFLOW_ERROR_CALLBACK &&
                                 strstr(regflow_last_error(), message) != NULL;
        /* A move for each, with the energy of all. */
        outcome->exact_moves &= regflow_move_new(model, &options, &move) == REGFLOW_SUCCESS &&
                                regflow_move_run(move, at_once, 3, positions, length, NULL, 0, NULL, 0) == REGFLOW_SUCCESS &&
                                regflow_move_run(move, one_at_a_time, 3, positions, length, NULL, 0, NULL, 0) == REGFLOW_SUCCESS &&
                                regflow_move_free(move) == REGFLOW_SUCCESS;
        /* The log may change under way. */
        regflow_set_log(i % 2 ? &log : NULL);
    }
    free(others);
    free(positions);
    return NULL;
}

/* One move for all threads: each call succeeds alone or is refused. */
static void *share(void *argument) {
    regflow_move_t *move = argument;
    regflow_move_statistics_t statistics = {0};
    uintptr_t wrong = 0;
    statistics.struct_size = sizeof statistics;
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < 2000; i++) {
        const regflow_status_t status = regflow_move_statistics(move, &statistics);
        wrong += status != REGFLOW_SUCCESS && status != REGFLOW_ERROR_STATE;
    }
    return (void *)wrong;
}

static regflow_energy_t *new_energy(struct crowd *crowd, int32_t threads) {
    regflow_energy_callback_t callback = {0};
    regflow_energy_t *energy = NULL;
    callback.struct_size = sizeof callback;
    callback.user_data = crowd;
    callback.energies = energies;
    callback.threads = threads;
    SUCCEEDS(regflow_energy_from_callback(&callback, n_atoms, &energy));
    return energy;
}

int main(int argc, char **argv) {
    static struct outcome outcomes[THREADS];
    regflow_model_t *loaded = NULL;
    regflow_move_t *shared = NULL;
    pthread_t threads[THREADS];
    if (argc != 2) {
        fprintf(stderr, "usage: %s MODEL\n", argv[0]);
        return EXIT_FAILURE;
    }
    SUCCEEDS(regflow_model_load(argv[1], NULL, &loaded));
    SUCCEEDS(regflow_model_n_atoms(loaded, &n_atoms));
    model = loaded;
    one_at_a_time = new_energy(&single, 0);
    at_once = new_energy(&many, 1);
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (size_t i = 0; i < THREADS; i++) {
        outcomes[i].index = i;
        CHECK(pthread_create(&outcomes[i].thread, NULL, work, &outcomes[i]) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(outcomes[i].thread, NULL) == 0);
        CHECK(outcomes[i].same_samples);
        CHECK(outcomes[i].own_errors);
        CHECK(outcomes[i].own_messages);
        CHECK(outcomes[i].exact_moves);
    }
    CHECK(single.most == 1 && single.inside == 0);
    CHECK(many.inside == 0);
    CHECK(regflow_last_error()[0] == '\0');

    SUCCEEDS(regflow_move_new(model, NULL, &shared));
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, share, shared) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        void *wrong = NULL;
        CHECK(pthread_join(threads[i], &wrong) == 0 && wrong == NULL);
    }
    SUCCEEDS(regflow_move_free(shared));
    SUCCEEDS(regflow_set_log(NULL));
    SUCCEEDS(regflow_energy_free(at_once));
    SUCCEEDS(regflow_energy_free(one_at_a_time));
    SUCCEEDS(regflow_model_free(loaded));
    pthread_barrier_destroy(&barrier);
    return summary();
}

/* Metropolis moves with what a careless caller may pass; the split form against the whole form, and states.
 *
 * usage: moves MODEL
 */
#include "check.h"

#define WALKERS 3
#define EXTRA 2 /* atoms of the system that are not the model's: the first and the last */

static size_t n_atoms, n_system, width, length; /* of a walker's system; of all walkers */

/* A smooth energy of all atoms, so that some proposals are accepted and some are not. */
static double energy_of(const double *positions) {
    double sum = 0.0;
    for (size_t k = 0; k < width; k++) {
        sum += 10.0 * sin(3.0 * positions[k]);
    }
    return sum;
}

struct script {
    int32_t status;
    size_t calls;
};

static int32_t energies(void *user_data, size_t n, size_t atoms, const double *positions, double *result) {
    struct script *script = user_data;
    script->calls++;
    if (script->status != 0 && script->calls > 1) {
        regflow_set_last_error("out of forces");
        return script->status;
    }
    for (size_t i = 0; i < n; i++) {
        result[i] = energy_of(positions + 3 * atoms * i);
    }
    return 0;
}

static regflow_energy_t *new_energy(struct script *script, size_t atoms) {
    regflow_energy_callback_t callback = {0};
    regflow_energy_t *energy = NULL;
    callback.struct_size = sizeof callback;
    callback.user_data = script;
    callback.energies = energies;
    SUCCEEDS(regflow_energy_from_callback(&callback, atoms, &energy));
    return energy;
}

static regflow_move_t *new_move(const regflow_model_t *model, const size_t *atoms, size_t batch, uint64_t seed) {
    regflow_move_options_t options = {0};
    regflow_move_t *move = NULL;
    options.struct_size = sizeof options;
    options.n_walkers = WALKERS;
    options.seed = seed;
    options.batch = batch;
    options.n_system_atoms = n_system;
    options.atoms = atoms;
    options.atoms_length = n_atoms;
    SUCCEEDS(regflow_move_new(model, &options, &move));
    return move;
}

/* Samples of the model in a system with other atoms around them. */
static void start(const regflow_model_t *model, double *positions) {
    double *samples = allocate(WALKERS * n_atoms * 3, sizeof *samples), log_q[WALKERS];
    SUCCEEDS(regflow_model_sample(model, WALKERS, 99, 0, samples, WALKERS * n_atoms * 3, log_q, WALKERS));
    for (size_t w = 0; w < WALKERS; w++) {
        for (size_t k = 0; k < width; k++) {
            const int other = k < 3 || k >= 3 * (n_atoms + 1);
            positions[w * width + k] = other ? 0.1 * (double)k : samples[w * 3 * n_atoms + k - 3];
        }
    }
    free(samples);
}

static void refused(const regflow_model_t *model, regflow_move_options_t options, const char *part) {
    regflow_move_t *move = (regflow_move_t *)&checks;
    FAILS(regflow_move_new(model, &options, &move), REGFLOW_ERROR_ARGUMENT, part);
    CHECK(move == NULL);
}

static void making(const regflow_model_t *model) {
    regflow_move_options_t options = {0}, wrong;
    regflow_move_t *move = NULL;
    size_t *atoms = allocate(n_atoms, sizeof *atoms);
    const size_t frame[3] = {0, 1, 2}, same[3] = {0, 1, 1}, outside[3] = {0, 1, SIZE_MAX};
    for (size_t i = 0; i < n_atoms; i++) {
        atoms[i] = i;
    }
    FAILS(regflow_move_new(NULL, NULL, &move), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_move_new(model, NULL, NULL), REGFLOW_ERROR_ARGUMENT, "`move` is NULL");
    refused(model, options, "struct_size is 0");
    options.struct_size = sizeof options;

    const double temperatures[] = {-1.0, NAN, INFINITY};
    for (size_t i = 0; i < 3; i++) {
        wrong = options, wrong.temperature = temperatures[i];
        refused(model, wrong, "temperature");
    }
    wrong = options, wrong.batch = SIZE_MAX;
    refused(model, wrong, "batch");
    wrong = options, wrong.n_system_atoms = n_atoms - 1;
    refused(model, wrong, "atoms");
    wrong = options, wrong.placement = 2;
    refused(model, wrong, "placement");
    wrong = options, wrong.atoms_length = n_atoms;
    refused(model, wrong, "atoms");
    wrong = options, wrong.atoms = atoms, wrong.atoms_length = n_atoms - 1;
    refused(model, wrong, "atoms");
    atoms[0] = n_atoms - 1;
    wrong.atoms_length = n_atoms;
    refused(model, wrong, "atoms");
    atoms[0] = SIZE_MAX;
    refused(model, wrong, "atoms");
    wrong = options, wrong.frame = frame, wrong.frame_length = 2;
    refused(model, wrong, "frame");
    wrong = options, wrong.frame_length = 3;
    refused(model, wrong, "frame");
    wrong.frame = same;
    refused(model, wrong, "frame");
    wrong.frame = outside;
    refused(model, wrong, "frame");
    wrong = options, wrong.reserved = 1;
    refused(model, wrong, "reserved");
    /* Sizes that no memory holds, whose product may look small. */
    wrong = options, wrong.n_walkers = SIZE_MAX;
    refused(model, wrong, "memory");
    wrong = options, wrong.n_system_atoms = SIZE_MAX;
    refused(model, wrong, "memory");
    wrong = options, wrong.n_walkers = 2, wrong.n_system_atoms = SIZE_MAX / 2 + 1;
    refused(model, wrong, "memory");
    /* One that could be, and is more than the arrays have. */
    struct script script = {0, 0};
    regflow_energy_t *energy = new_energy(&script, n_atoms);
    double few[3] = {0.0, 0.0, 0.0};
    wrong = options, wrong.n_walkers = (size_t)1 << 50;
    SUCCEEDS(regflow_move_new(model, &wrong, &move));
    FAILS(regflow_move_run(move, energy, 1, few, 3, NULL, 0, NULL, 0), REGFLOW_ERROR_LENGTH, "`positions_length`");
    SUCCEEDS(regflow_move_free(move));
    SUCCEEDS(regflow_energy_free(energy));

    SUCCEEDS(regflow_move_new(model, NULL, &move));
    SUCCEEDS(regflow_move_free(move));
    SUCCEEDS(regflow_move_free(NULL));
    free(atoms);
}

static void splitting(regflow_move_t *move, const double *positions) {
    double *proposals = allocate(length, sizeof *proposals), *spoilt = allocate(length, sizeof *spoilt);
    double ratios[WALKERS], now[WALKERS] = {0.0}, then[WALKERS] = {NAN, INFINITY, NAN};
    int32_t accepted[WALKERS] = {7, 7, 7};
    FAILS(regflow_move_propose(NULL, positions, length, proposals, length, ratios, WALKERS), REGFLOW_ERROR_ARGUMENT,
          "`move` is NULL");
    FAILS(regflow_move_propose(move, NULL, length, proposals, length, ratios, WALKERS), REGFLOW_ERROR_ARGUMENT,
          "`positions` is NULL");
    FAILS(regflow_move_propose(move, positions, length, NULL, length, ratios, WALKERS), REGFLOW_ERROR_ARGUMENT,
          "`proposals` is NULL");
    FAILS(regflow_move_propose(move, positions, length, proposals, length, NULL, WALKERS), REGFLOW_ERROR_ARGUMENT,
          "`log_ratios` is NULL");
    FAILS(regflow_move_propose(move, positions, length - 3, proposals, length, ratios, WALKERS), REGFLOW_ERROR_LENGTH,
          "positions");
    FAILS(regflow_move_propose(move, positions, length, proposals, length - 3, ratios, WALKERS), REGFLOW_ERROR_LENGTH,
          "proposals");
    FAILS(regflow_move_propose(move, positions, length, proposals, length, ratios, 1), REGFLOW_ERROR_LENGTH, "log_ratios");
    FAILS(regflow_move_propose(move, NULL, 0, NULL, 0, NULL, 0), REGFLOW_ERROR_LENGTH, "");
    const double bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        memcpy(spoilt, positions, length * sizeof *spoilt);
        spoilt[width + 4] = bad[i];
        FAILS(regflow_move_propose(move, spoilt, length, proposals, length, ratios, WALKERS), REGFLOW_ERROR_ARGUMENT,
              "walker 1");
    }
    /* Atoms that coincide have no density, and no move would lead back: it is not left. */
    memset(spoilt, 0, length * sizeof *spoilt);
    SUCCEEDS(regflow_move_propose(move, spoilt, length, proposals, length, ratios, WALKERS));
    CHECK(ratios[0] == -INFINITY && ratios[1] == -INFINITY && ratios[2] == -INFINITY);

    SUCCEEDS(regflow_move_propose(move, positions, length, proposals, length, ratios, WALKERS));
    FAILS(regflow_move_decide(NULL, now, WALKERS, then, WALKERS, accepted, WALKERS), REGFLOW_ERROR_ARGUMENT, "`move` is NULL");
    FAILS(regflow_move_decide(move, now, 2, then, WALKERS, accepted, WALKERS), REGFLOW_ERROR_LENGTH, "energies");
    FAILS(regflow_move_decide(move, now, WALKERS, then, 4, accepted, WALKERS), REGFLOW_ERROR_LENGTH, "energies");
    FAILS(regflow_move_decide(move, now, WALKERS, then, WALKERS, accepted, 0), REGFLOW_ERROR_LENGTH, "accepted");
    FAILS(regflow_move_decide(move, NULL, WALKERS, then, WALKERS, accepted, WALKERS), REGFLOW_ERROR_ARGUMENT, "`energies` is NULL");
    now[2] = NAN;
    FAILS(regflow_move_decide(move, now, WALKERS, then, WALKERS, accepted, WALKERS), REGFLOW_ERROR_ARGUMENT, "walker 2");
    now[2] = 0.0;
    CHECK(accepted[0] == 7);
    /* Energies that are none: rejected. Then there is nothing more to decide on. */
    SUCCEEDS(regflow_move_decide(move, now, WALKERS, then, WALKERS, accepted, WALKERS));
    CHECK(accepted[0] == 0 && accepted[1] == 0 && accepted[2] == 0);
    FAILS(regflow_move_decide(move, now, WALKERS, then, WALKERS, accepted, WALKERS), REGFLOW_ERROR_STATE, "propos");

    /* The other atoms of the system, and the first atom of the frame, keep every bit. */
    SUCCEEDS(regflow_move_propose(move, positions, length, proposals, length, ratios, WALKERS));
    for (size_t w = 0; w < WALKERS; w++) {
        CHECK(memcmp(positions + w * width, proposals + w * width, 3 * sizeof *positions) == 0);
        CHECK(memcmp(positions + (w + 1) * width - 3, proposals + (w + 1) * width - 3, 3 * sizeof *positions) == 0);
        CHECK(memcmp(positions + w * width, proposals + w * width, width * sizeof *positions) != 0);
    }
    free(spoilt);
    free(proposals);
}

/* `rounds` attempts in the split form. */
static void run_split(regflow_move_t *move, size_t rounds, double *positions, size_t *n_accepted) {
    double *proposals = allocate(length, sizeof *proposals);
    double ratios[WALKERS], now[WALKERS], then[WALKERS];
    int32_t accepted[WALKERS];
    for (size_t i = 0; i < rounds; i++) {
        SUCCEEDS(regflow_move_propose(move, positions, length, proposals, length, ratios, WALKERS));
        for (size_t w = 0; w < WALKERS; w++) {
            now[w] = energy_of(positions + w * width);
            then[w] = energy_of(proposals + w * width);
        }
        SUCCEEDS(regflow_move_decide(move, now, WALKERS, then, WALKERS, accepted, WALKERS));
        for (size_t w = 0; w < WALKERS; w++) {
            n_accepted[w] += accepted[w] != 0;
            if (accepted[w]) {
                memcpy(positions + w * width, proposals + w * width, width * sizeof *positions);
            }
        }
    }
    free(proposals);
}

static int same(const double *a, const double *b) {
    for (size_t k = 0; k < length; k++) {
        if (!close_to(a[k], b[k])) {
            return 0;
        }
    }
    return 1;
}

/* The whole form, and the split form in smaller batches and interrupted, are the same run. */
static void equivalence(const regflow_model_t *model, const size_t *atoms, const double *begin) {
    struct script script = {0, 0};
    regflow_energy_t *energy = new_energy(&script, n_system);
    regflow_move_t *whole = new_move(model, atoms, 0, 5), *split = new_move(model, atoms, 7, 5);
    regflow_move_t *other = new_move(model, atoms, 0, 6);
    regflow_move_statistics_t a = {0}, b = {0};
    double *x = allocate(length, sizeof *x), *y = allocate(length, sizeof *y), last[WALKERS];
    size_t n_whole[WALKERS] = {0}, n_split[WALKERS] = {0};
    uint8_t state[2048];
    size_t size = 0;
    memcpy(x, begin, length * sizeof *x);
    memcpy(y, begin, length * sizeof *y);
    SUCCEEDS(regflow_move_run(whole, energy, 30, x, length, last, WALKERS, n_whole, WALKERS));
    run_split(split, 20, y, n_split);

    /* Half-way, through a saved state. */
    FAILS(regflow_move_save(NULL, state, sizeof state, &size), REGFLOW_ERROR_ARGUMENT, "`move` is NULL");
    FAILS(regflow_move_save(split, state, sizeof state, NULL), REGFLOW_ERROR_ARGUMENT, "`length` is NULL");
    FAILS(regflow_move_save(split, state, 1, &size), REGFLOW_ERROR_LENGTH, "`capacity` is 1");
    CHECK(size > 1 && size <= sizeof state);
    SUCCEEDS(regflow_move_save(split, state, sizeof state, &size));
    SUCCEEDS(regflow_move_free(split));
    split = new_move(model, atoms, 7, 5);
    FAILS(regflow_move_restore(NULL, state, size), REGFLOW_ERROR_ARGUMENT, "`move` is NULL");
    FAILS(regflow_move_restore(split, NULL, size), REGFLOW_ERROR_ARGUMENT, "`bytes` is NULL");
    for (size_t cut = 0; cut < size; cut++) {
        FAILS(regflow_move_restore(split, state, cut), REGFLOW_ERROR_STATE, "");
    }
    for (size_t at = 0; at < size; at++) {
        state[at] ^= 0x10;
        FAILS(regflow_move_restore(split, state, size), REGFLOW_ERROR_STATE, "");
        state[at] ^= 0x10;
    }
    FAILS(regflow_move_restore(other, state, size), REGFLOW_ERROR_STATE, "");
    SUCCEEDS(regflow_move_restore(split, state, size));
    run_split(split, 10, y, n_split);
    CHECK(same(x, y));
    size_t total = 0;
    for (size_t w = 0; w < WALKERS; w++) {
        total += n_whole[w];
        CHECK(n_whole[w] == n_split[w]);
        CHECK(close_to(last[w], energy_of(x + w * width)));
    }
    CHECK(total > 0 && total < 30 * WALKERS);

    FAILS(regflow_move_statistics(NULL, &a), REGFLOW_ERROR_ARGUMENT, "`move` is NULL");
    FAILS(regflow_move_statistics(whole, NULL), REGFLOW_ERROR_ARGUMENT, "`statistics` is NULL");
    FAILS(regflow_move_statistics(whole, &a), REGFLOW_ERROR_ARGUMENT, "struct_size is 0");
    a.struct_size = b.struct_size = sizeof a;
    SUCCEEDS(regflow_move_statistics(whole, &a));
    SUCCEEDS(regflow_move_statistics(split, &b));
    CHECK(a.attempts == 30 * WALKERS && a.accepted == total && a.network_calls > 0);
    CHECK(b.attempts == a.attempts && b.accepted == total && close_to(a.mean_acceptance, b.mean_acceptance));

    SUCCEEDS(regflow_move_run(other, energy, 30, y, length, NULL, 0, NULL, 0));
    CHECK(!same(x, y));
    SUCCEEDS(regflow_energy_free(energy));
    SUCCEEDS(regflow_move_free(other));
    SUCCEEDS(regflow_move_free(split));
    SUCCEEDS(regflow_move_free(whole));
    free(y);
    free(x);
}

static void running(const regflow_model_t *model, const size_t *atoms, const double *begin) {
    struct script script = {0, 0};
    regflow_energy_t *energy = new_energy(&script, n_system), *small = new_energy(&script, n_system - 1);
    regflow_move_t *move = new_move(model, atoms, 16, 5);
    double *x = allocate(length + 3, sizeof *x), last[WALKERS] = {7.0, 7.0, 7.0};
    size_t n_accepted[WALKERS] = {7, 7, 7};
    memcpy(x, begin, length * sizeof *x);
    FAILS(regflow_move_run(NULL, energy, 1, x, length, NULL, 0, NULL, 0), REGFLOW_ERROR_ARGUMENT, "`move` is NULL");
    FAILS(regflow_move_run(move, NULL, 1, x, length, NULL, 0, NULL, 0), REGFLOW_ERROR_ARGUMENT, "`energy` is NULL");
    FAILS(regflow_move_run(move, energy, 1, NULL, length, NULL, 0, NULL, 0), REGFLOW_ERROR_ARGUMENT, "`positions` is NULL");
    FAILS(regflow_move_run(move, energy, 1, x, length + 3, NULL, 0, NULL, 0), REGFLOW_ERROR_LENGTH, "positions");
    FAILS(regflow_move_run(move, energy, 1, x, length, last, 1, NULL, 0), REGFLOW_ERROR_LENGTH, "`energies_length`");
    FAILS(regflow_move_run(move, energy, 1, x, length, NULL, 0, n_accepted, 1), REGFLOW_ERROR_LENGTH, "`n_accepted_length`");
    FAILS(regflow_move_run(move, small, 1, x, length, NULL, 0, NULL, 0), REGFLOW_ERROR_ARGUMENT, "atoms");
    x[width + 3] = NAN;
    FAILS(regflow_move_run(move, energy, 1, x, length, NULL, 0, NULL, 0), REGFLOW_ERROR_ARGUMENT, "walker 1");
    memcpy(x, begin, length * sizeof *x);
    script.status = 12;
    script.calls = 0;
    FAILS(regflow_move_run(move, energy, 5, x, length, last, WALKERS, n_accepted, WALKERS), REGFLOW_ERROR_CALLBACK,
          "out of forces");
    CHECK(memcmp(x, begin, length * sizeof *x) == 0 && last[0] == 7.0 && n_accepted[0] == 7);
    regflow_move_statistics_t statistics = {0};
    statistics.struct_size = sizeof statistics;
    SUCCEEDS(regflow_move_statistics(move, &statistics));
    CHECK(statistics.attempts == 0 && statistics.accepted == 0);
    script.status = 0;
    SUCCEEDS(regflow_move_run(move, energy, 0, x, length, last, WALKERS, n_accepted, WALKERS));
    CHECK(memcmp(x, begin, length * sizeof *x) == 0 && n_accepted[0] == 0 && close_to(last[0], energy_of(x)));

    splitting(move, begin);
    SUCCEEDS(regflow_move_free(move));
    FAILS(regflow_move_run(move, energy, 1, x, length, NULL, 0, NULL, 0), REGFLOW_ERROR_STATE, "freed");
    FAILS(regflow_move_free(move), REGFLOW_ERROR_STATE, "freed");
    move = new_move(model, atoms, 16, 5);
    SUCCEEDS(regflow_energy_free(energy));
    FAILS(regflow_move_run(move, energy, 1, x, length, NULL, 0, NULL, 0), REGFLOW_ERROR_STATE, "`energy` was freed");
    FAILS(regflow_move_run(move, (const regflow_energy_t *)model, 1, x, length, NULL, 0, NULL, 0), REGFLOW_ERROR_ARGUMENT,
          "no regflow_energy_t");
    FAILS(regflow_move_statistics((regflow_move_t *)model, &statistics), REGFLOW_ERROR_ARGUMENT, "no regflow_move_t");
    FAILS(regflow_move_statistics((regflow_move_t *)energy, &statistics), REGFLOW_ERROR_STATE, "freed");
    FAILS(regflow_model_n_atoms((const regflow_model_t *)move, &n_accepted[0]), REGFLOW_ERROR_ARGUMENT, "no regflow_model_t");
    SUCCEEDS(regflow_energy_free(small));
    SUCCEEDS(regflow_move_free(move));
    free(x);
}

int main(int argc, char **argv) {
    regflow_model_t *model = NULL, *moved = NULL;
    if (argc != 2) {
        fprintf(stderr, "usage: %s MODEL\n", argv[0]);
        return EXIT_FAILURE;
    }
    SUCCEEDS(regflow_model_load(argv[1], NULL, &model));
    SUCCEEDS(regflow_model_n_atoms(model, &n_atoms));
    n_system = n_atoms + EXTRA;
    width = 3 * n_system;
    length = WALKERS * width;
    size_t *atoms = allocate(n_atoms, sizeof *atoms);
    double *positions = allocate(length, sizeof *positions);
    for (size_t i = 0; i < n_atoms; i++) {
        atoms[i] = i + 1;
    }
    start(model, positions);
    making(model);
    running(model, atoms, positions);
    equivalence(model, atoms, positions);
    /* A move outlives its model. */
    SUCCEEDS(regflow_model_clone(model, &moved));
    regflow_move_t *move = new_move(moved, atoms, 0, 1);
    SUCCEEDS(regflow_model_free(moved));
    SUCCEEDS(regflow_model_free(model));
    splitting(move, positions);
    SUCCEEDS(regflow_move_free(move));
    free(positions);
    free(atoms);
    return summary();
}

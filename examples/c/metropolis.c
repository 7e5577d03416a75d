/* Metropolis moves in an engine of one's own, which computes its energies itself and works in Angstrom and kcal/mol.
 *
 *     cc -std=c99 metropolis.c -lregflow -lm -o metropolis
 *     ./metropolis water.safetensors 2000
 *
 * Two walkers of the water molecule that train.c makes a model of. Half-way the state of the move goes through a restart file
 * (here a piece of memory). Prints the mean energy with its error, and the exact one.
 */
#include <stdio.h>
#include <stdlib.h>

#include <regflow.h>

#include "water.h"

#define WALKERS 2
#define NUMBERS (WALKERS * WATER_ATOMS * 3)
#define BLOCKS 20

static int failed(regflow_status_t status) {
    if (status != REGFLOW_SUCCESS) {
        fprintf(stderr, "error %d: %s\n", (int)status, regflow_last_error());
    }
    return status != REGFLOW_SUCCESS;
}

/* The engine's energy, in its units. */
static double engine_energy(const double *positions) {
    double nm[9];
    for (int k = 0; k < 9; k++) {
        nm[k] = 0.1 * positions[k];
    }
    return water_energy(nm) / 4.184;
}

/* One attempt of every walker. */
static int attempt(regflow_move_t *move, double *positions, double *energies) {
    double proposals[NUMBERS], log_ratios[WALKERS], proposed[WALKERS];
    int32_t accepted[WALKERS];
    if (failed(regflow_move_propose(move, positions, NUMBERS, proposals, NUMBERS, log_ratios, WALKERS))) {
        return 1;
    }
    for (size_t w = 0; w < WALKERS; w++) {
        /* Minus infinity: rejected in any case. */
        proposed[w] = log_ratios[w] == -INFINITY ? INFINITY : engine_energy(proposals + 9 * w);
    }
    if (failed(regflow_move_decide(move, energies, WALKERS, proposed, WALKERS, accepted, WALKERS))) {
        return 1;
    }
    for (size_t w = 0; w < WALKERS; w++) {
        if (accepted[w]) {
            /* An engine with molecular dynamics would also draw new velocities for the atoms that moved. */
            energies[w] = proposed[w];
            for (size_t k = 9 * w; k < 9 * w + 9; k++) {
                positions[k] = proposals[k];
            }
        }
    }
    return 0;
}

static int new_move(const regflow_model_t *model, regflow_move_t **move) {
    regflow_move_options_t options = {0};
    options.struct_size = sizeof options;
    options.n_walkers = WALKERS;
    options.seed = 11;
    return failed(regflow_move_new(model, &options, move));
}

/* Ends a move and makes another one that goes on where it was. */
static int restart(const regflow_model_t *model, regflow_move_t **move) {
    uint8_t state[1024];
    size_t length = 0;
    const int failure = failed(regflow_move_save(*move, state, sizeof state, &length)) || failed(regflow_move_free(*move));
    *move = NULL;
    return failure || new_move(model, move) || failed(regflow_move_restore(*move, state, length));
}

static int simulate(const regflow_model_t *model, regflow_move_t **move, size_t attempts) {
    double positions[NUMBERS], energies[WALKERS];
    double sum = 0.0, squares = 0.0, log_z = 0.0, exact = 0.0;
    regflow_move_statistics_t statistics = {0};
    for (size_t w = 0; w < WALKERS; w++) {
        water_place(10.0 * WATER_R0, 10.0 * WATER_R0, WATER_A0, positions + 9 * w);
        energies[w] = engine_energy(positions + 9 * w);
    }
    for (size_t block = 0; block < BLOCKS; block++) {
        double mean = 0.0;
        if (block == BLOCKS / 2 && restart(model, move)) {
            return 1;
        }
        for (size_t i = 0; i < attempts / BLOCKS; i++) {
            if (attempt(*move, positions, energies)) {
                return 1;
            }
            for (size_t w = 0; w < WALKERS; w++) {
                mean += energies[w] / (double)(WALKERS * (attempts / BLOCKS));
            }
        }
        sum += mean;
        squares += mean * mean;
    }
    statistics.struct_size = sizeof statistics;
    if (failed(regflow_move_statistics(*move, &statistics))) {
        return 1;
    }
    const double mean = sum / BLOCKS;
    water_exact(&log_z, &exact);
    printf("attempts %lu\naccepted %lu\nmean acceptance %g\n", (unsigned long)statistics.attempts,
           (unsigned long)statistics.accepted, statistics.mean_acceptance);
    printf("mean energy %g +- %g kcal/mol\nexact %g\n", mean, sqrt((squares / BLOCKS - mean * mean) / (BLOCKS - 1)),
           exact / 4.184);
    return 0;
}

int main(int argc, char **argv) {
    regflow_model_t *model = NULL;
    regflow_move_t *move = NULL;
    regflow_units_t units = {0};
    units.struct_size = sizeof units;
    if (argc != 3 || strtoul(argv[2], NULL, 10) < BLOCKS) {
        fprintf(stderr, "usage: %s MODEL ATTEMPTS, at least %d attempts\n", argv[0], BLOCKS);
        return EXIT_FAILURE;
    }
    int failure = failed(regflow_model_load(argv[1], NULL, &model)) || failed(regflow_units_named("lammps-real", &units)) ||
                  failed(regflow_model_set_units(model, &units)) || new_move(model, &move) ||
                  simulate(model, &move, strtoul(argv[2], NULL, 10));
    failure = failed(regflow_move_free(move)) || failure;
    failure = failed(regflow_model_free(model)) || failure;
    return failure ? EXIT_FAILURE : EXIT_SUCCESS;
}

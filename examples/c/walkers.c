/* Many walkers at once, with an energy that the library asks for in batches: the whole form of a move.
 *
 *     cc -std=c99 walkers.c -lregflow -lm -o walkers
 *     ./walkers water.safetensors 200
 *
 * Each walker is a system of a water molecule, which train.c makes a model of, and an ion that stays where it is. The moves
 * leave the oxygen in its place, and with it the direction of the first bond. Everything is in Angstrom and kcal/mol.
 */
#include <stdio.h>
#include <stdlib.h>

#include <regflow.h>

#include "water.h"

#define WALKERS 100
#define SYSTEM (WATER_ATOMS + 1)
#define NUMBERS (WALKERS * SYSTEM * 3)

static int failed(regflow_status_t status) {
    if (status != REGFLOW_SUCCESS) {
        fprintf(stderr, "error %d: %s\n", (int)status, regflow_last_error());
    }
    return status != REGFLOW_SUCCESS;
}

/* The ion, the first atom, attracts the oxygen, the second one: -0.2 kcal/mol Angstrom / distance. */
static int32_t energies(void *user_data, size_t n, size_t n_atoms, const double *positions, double *result) {
    size_t *calls = user_data;
    ++*calls;
    for (size_t i = 0; i < n; i++) {
        const double *ion = positions + 3 * n_atoms * i, *oxygen = ion + 3;
        double nm[9], square = 0.0;
        for (int k = 0; k < 9; k++) {
            nm[k] = 0.1 * oxygen[k];
        }
        for (int k = 0; k < 3; k++) {
            square += (oxygen[k] - ion[k]) * (oxygen[k] - ion[k]);
        }
        if (square == 0.0) {
            regflow_set_last_error("the ion sits on the oxygen");
            return 1;
        }
        result[i] = water_energy(nm) / 4.184 - 0.2 / sqrt(square);
    }
    return 0;
}

static int simulate(regflow_move_t *move, const regflow_energy_t *energy, size_t attempts) {
    static double positions[NUMBERS], last[WALKERS];
    static size_t accepted[WALKERS];
    double mean = 0.0;
    size_t fewest = attempts;
    for (size_t w = 0; w < WALKERS; w++) {
        double *ion = positions + w * SYSTEM * 3;
        ion[0] = -3.0;
        water_place(10.0 * WATER_R0, 10.0 * WATER_R0, WATER_A0, ion + 3);
    }
    if (failed(regflow_move_run(move, energy, attempts, positions, NUMBERS, last, WALKERS, accepted, WALKERS))) {
        return 1;
    }
    for (size_t w = 0; w < WALKERS; w++) {
        mean += last[w] / WALKERS;
        fewest = accepted[w] < fewest ? accepted[w] : fewest;
    }
    printf("mean energy %g kcal/mol\nfewest accepted %lu of %lu\n", mean, (unsigned long)fewest, (unsigned long)attempts);
    return 0;
}

int main(int argc, char **argv) {
    const size_t atoms[WATER_ATOMS] = {1, 2, 3}, frame[3] = {0, 1, 2};
    regflow_model_t *model = NULL;
    regflow_energy_t *energy = NULL;
    regflow_move_t *move = NULL;
    regflow_units_t units = {0};
    regflow_energy_callback_t callback = {0};
    regflow_move_options_t options = {0};
    size_t calls = 0;
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL ATTEMPTS\n", argv[0]);
        return EXIT_FAILURE;
    }
    units.struct_size = sizeof units;
    callback.struct_size = sizeof callback;
    callback.user_data = &calls;
    callback.energies = energies;
    options.struct_size = sizeof options;
    options.n_walkers = WALKERS;
    options.seed = 1;
    options.n_system_atoms = SYSTEM;
    options.atoms = atoms;
    options.atoms_length = WATER_ATOMS;
    options.frame = frame;
    options.frame_length = 3;
    int failure = failed(regflow_units_named("lammps-real", &units)) || failed(regflow_model_load(argv[1], NULL, &model)) ||
                  failed(regflow_model_set_units(model, &units)) ||
                  failed(regflow_energy_from_callback(&callback, SYSTEM, &energy)) ||
                  failed(regflow_energy_set_units(energy, &units)) || failed(regflow_move_new(model, &options, &move)) ||
                  simulate(move, energy, strtoul(argv[2], NULL, 10));
    if (!failure) {
        printf("calls of the energy %lu\n", (unsigned long)calls);
    }
    failure = failed(regflow_move_free(move)) || failure;
    failure = failed(regflow_energy_free(energy)) || failure;
    failure = failed(regflow_model_free(model)) || failure;
    return failure ? EXIT_FAILURE : EXIT_SUCCESS;
}

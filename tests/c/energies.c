/* Energies and weights with what a careless caller may pass, and callbacks that fail.
 *
 * usage: energies MODEL SYSTEM_XML, of the same molecule
 */
#include "check.h"

/* What a callback does: its user_data. */
struct script {
    int32_t status;
    const char *message;
    double value;
    size_t calls;
    size_t released;
};

static int32_t energies(void *user_data, size_t n, size_t n_atoms, const double *positions, double *result) {
    struct script *script = user_data;
    script->calls++;
    if (script->message != NULL) {
        regflow_set_last_error(script->message);
    }
    for (size_t i = 0; i < n && script->status == 0; i++) {
        result[i] = script->value * positions[3 * n_atoms * i];
    }
    return script->status;
}

static int32_t energies_and_forces(void *user_data, size_t n, size_t n_atoms, const double *positions, double *result,
                                   double *forces) {
    struct script *script = user_data;
    for (size_t k = 0; k < 3 * n * n_atoms && script->status == 0; k++) {
        forces[k] = k % (3 * n_atoms) == 0 ? -script->value : 0.0;
    }
    return energies(user_data, n, n_atoms, positions, result);
}

static void release(void *user_data) {
    struct script *script = user_data;
    script->released++;
}

static regflow_energy_callback_t callback_of(struct script *script) {
    regflow_energy_callback_t callback = {0};
    callback.struct_size = sizeof callback;
    callback.user_data = script;
    callback.energies = energies;
    callback.release = release;
    return callback;
}

static void loading(void) {
    regflow_energy_t *energy = (regflow_energy_t *)&checks;
    const char not_utf8[] = {(char)0xff, 0};
    size_t n_atoms = 7;
    FAILS(regflow_energy_load("system.xml", NULL), REGFLOW_ERROR_ARGUMENT, "`energy` is NULL");
    FAILS(regflow_energy_load(NULL, &energy), REGFLOW_ERROR_ARGUMENT, "`source` is NULL");
    CHECK(energy == NULL);
    FAILS(regflow_energy_load(not_utf8, &energy), REGFLOW_ERROR_ARGUMENT, "UTF-8");
    FAILS(regflow_energy_load("/nowhere/system.xml", &energy), REGFLOW_ERROR_IO, "/nowhere/system.xml");
    FAILS(regflow_energy_load("nothing:x", &energy), REGFLOW_ERROR_PLUGIN, "no energy `nothing`");
    FAILS(regflow_energy_load("./libnothing.so:x", &energy), REGFLOW_ERROR_PLUGIN, "libnothing.so");
    FAILS(regflow_energy_load("openmm:/nowhere/system.xml", &energy), REGFLOW_ERROR_PLUGIN, "`openmm`");
    FAILS(regflow_energy_load("openmm:{\"flie\": \"system.xml\"}", &energy), REGFLOW_ERROR_ARGUMENT, "flie");
    CHECK(regflow_energy_load("", &energy) != REGFLOW_SUCCESS && energy == NULL);
    CHECK(regflow_energy_load("/", &energy) != REGFLOW_SUCCESS && energy == NULL);
    FAILS(regflow_energy_n_atoms(NULL, &n_atoms), REGFLOW_ERROR_ARGUMENT, "`energy` is NULL");
    FAILS(regflow_energy_compute(NULL, 0, NULL, 0, NULL, 0, NULL, 0), REGFLOW_ERROR_ARGUMENT, "`energy` is NULL");
    FAILS(regflow_energy_set_units(NULL, NULL), REGFLOW_ERROR_ARGUMENT, "`energy` is NULL");
    SUCCEEDS(regflow_energy_free(NULL));
    CHECK(n_atoms == 7);
}

static void malformed_callbacks(void) {
    struct script script = {0};
    regflow_energy_callback_t callback = callback_of(&script);
    regflow_energy_t *energy = NULL;
    FAILS(regflow_energy_from_callback(NULL, 1, &energy), REGFLOW_ERROR_ARGUMENT, "`callback` is NULL");
    FAILS(regflow_energy_from_callback(&callback, 1, NULL), REGFLOW_ERROR_ARGUMENT, "`energy` is NULL");
    FAILS(regflow_energy_from_callback(&callback, 0, &energy), REGFLOW_ERROR_ARGUMENT, "`n_atoms`");
    callback.struct_size = 8;
    FAILS(regflow_energy_from_callback(&callback, 1, &energy), REGFLOW_ERROR_ARGUMENT, "struct_size is 8");
    callback = callback_of(&script);
    callback.energies = NULL;
    FAILS(regflow_energy_from_callback(&callback, 1, &energy), REGFLOW_ERROR_ARGUMENT, "energies");
    callback = callback_of(&script);
    callback.threads = 2;
    FAILS(regflow_energy_from_callback(&callback, 1, &energy), REGFLOW_ERROR_ARGUMENT, "threads");
    callback.threads = 0;
    callback.reserved = 1;
    FAILS(regflow_energy_from_callback(&callback, 1, &energy), REGFLOW_ERROR_ARGUMENT, "reserved");
    /* What was never taken over is still the caller's. */
    CHECK(energy == NULL && script.released == 0);
}

static void callbacks(void) {
    struct script script = {0, NULL, 2.0, 0, 0};
    regflow_energy_callback_t callback = callback_of(&script);
    regflow_energy_t *energy = NULL;
    regflow_units_t units = {0};
    double positions[6] = {1.0, 0.0, 0.0, 3.0, 0.0, 0.0};
    double result[2] = {7.0, 7.0}, forces[6] = {7.0, 7.0, 7.0, 7.0, 7.0, 7.0};
    const char *before = regflow_last_error();
    units.struct_size = sizeof units;
    SUCCEEDS(regflow_energy_from_callback(&callback, 1, &energy));
    SUCCEEDS(regflow_energy_compute(energy, 2, positions, 6, result, 2, NULL, 0));
    CHECK(result[0] == 2.0 && result[1] == 6.0 && script.calls == 1);
    /* The message of an earlier failure is as it was, and where it was: the callback's own is not kept. */
    script.message = "forgotten";
    SUCCEEDS(regflow_energy_compute(energy, 2, positions, 6, result, 2, NULL, 0));
    script.message = NULL;
    CHECK(regflow_last_error() == before && strstr(before, "reserved") != NULL);
    SUCCEEDS(regflow_energy_compute(energy, 0, NULL, 0, NULL, 0, NULL, 0));

    /* A callback without forces. */
    FAILS(regflow_energy_compute(energy, 2, positions, 6, result, 2, forces, 6), REGFLOW_ERROR_COMPUTE, "no forces");
    CHECK(result[0] == 2.0 && forces[0] == 7.0 && forces[5] == 7.0);

    /* The callback and the caller use the units of the energy, both of them. */
    SUCCEEDS(regflow_units_named("lammps-metal", &units));
    SUCCEEDS(regflow_energy_set_units(energy, &units));
    SUCCEEDS(regflow_energy_compute(energy, 2, positions, 6, result, 2, NULL, 0));
    CHECK(fabs(result[0] - 2.0) < 1e-12 && fabs(result[1] - 6.0) < 1e-12);

    /* Failures: the status and the message of the callback come back, and nothing is written. */
    result[0] = result[1] = 7.0;
    script.status = 42;
    FAILS(regflow_energy_compute(energy, 2, positions, 6, result, 2, NULL, 0), REGFLOW_ERROR_CALLBACK, "42");
    script.status = -3;
    script.message = "the lattice melted";
    FAILS(regflow_energy_compute(energy, 2, positions, 6, result, 2, NULL, 0), REGFLOW_ERROR_CALLBACK, "the lattice melted");
    CHECK(strstr(regflow_last_error(), "-3") != NULL && result[0] == 7.0 && result[1] == 7.0);

    /* Energies that are no numbers are the caller's own. */
    script.status = 0;
    script.message = NULL;
    script.value = NAN;
    SUCCEEDS(regflow_energy_compute(energy, 2, positions, 6, result, 2, NULL, 0));
    CHECK(isnan(result[0]));

    CHECK(script.released == 0);
    SUCCEEDS(regflow_energy_free(energy));
    CHECK(script.released == 1);
    FAILS(regflow_energy_compute(energy, 2, positions, 6, result, 2, NULL, 0), REGFLOW_ERROR_STATE, "freed");
    FAILS(regflow_energy_free(energy), REGFLOW_ERROR_STATE, "freed");
    CHECK(script.released == 1);

    /* Nothing to release. */
    callback.release = NULL;
    SUCCEEDS(regflow_energy_from_callback(&callback, 1, &energy));
    SUCCEEDS(regflow_energy_free(energy));
}

static void computing(const regflow_model_t *model, const char *system) {
    regflow_energy_t *energy = NULL;
    size_t n_atoms = 0;
    SUCCEEDS(regflow_energy_load(system, &energy));
    FAILS(regflow_energy_n_atoms(energy, NULL), REGFLOW_ERROR_ARGUMENT, "`n_atoms` is NULL");
    SUCCEEDS(regflow_energy_n_atoms(energy, &n_atoms));
    const size_t width = 3 * n_atoms, length = 3 * width;
    double *positions = allocate(length, sizeof *positions), *forces = allocate(length, sizeof *forces);
    double log_q[3], before[3], after[3];
    SUCCEEDS(regflow_model_sample(model, 3, 1, 0, positions, length, log_q, 3));

    FAILS(regflow_energy_compute(energy, 3, positions, length - 1, before, 3, NULL, 0), REGFLOW_ERROR_LENGTH, "`positions_length`");
    FAILS(regflow_energy_compute(energy, 3, positions, length, before, 2, NULL, 0), REGFLOW_ERROR_LENGTH, "`energies_length`");
    FAILS(regflow_energy_compute(energy, 3, positions, length, before, 3, forces, 3), REGFLOW_ERROR_LENGTH, "`forces_length`");
    FAILS(regflow_energy_compute(energy, 3, NULL, length, before, 3, NULL, 0), REGFLOW_ERROR_ARGUMENT, "`positions` is NULL");
    FAILS(regflow_energy_compute(energy, 3, positions, length, NULL, 3, NULL, 0), REGFLOW_ERROR_ARGUMENT, "`energies` is NULL");
    FAILS(regflow_energy_compute(energy, 3, positions, length, before, 3, NULL, length), REGFLOW_ERROR_ARGUMENT, "`forces` is NULL");
    FAILS(regflow_energy_compute(energy, SIZE_MAX, positions, length, before, 3, NULL, 0), REGFLOW_ERROR_ARGUMENT, "`n`");

    /* The force is the slope of the energy: central difference of a step that leaves 1e-10 of its square. */
    SUCCEEDS(regflow_energy_compute(energy, 3, positions, length, before, 3, forces, length));
    const double h = 1e-5, x = positions[width + 4];
    positions[width + 4] = x + h;
    SUCCEEDS(regflow_energy_compute(energy, 3, positions, length, after, 3, NULL, 0));
    positions[width + 4] = x - h;
    SUCCEEDS(regflow_energy_compute(energy, 3, positions, length, log_q, 3, NULL, 0));
    const double slope = -(after[1] - log_q[1]) / (2.0 * h);
    CHECK(fabs(slope - forces[width + 4]) <= 1e-4 * fabs(slope) + 1e-2);
    CHECK(after[0] == before[0] && after[2] == before[2]);

    /* Coordinates that are none spoil their own energy only. */
    positions[0] = NAN;
    positions[2 * width + 1] = INFINITY;
    positions[width + 4] = x;
    SUCCEEDS(regflow_energy_compute(energy, 3, positions, length, after, 3, forces, length));
    CHECK(!isfinite(after[0]) && !isfinite(after[2]) && fabs(after[1] - before[1]) <= 1e-9 * fabs(before[1]));
    SUCCEEDS(regflow_energy_free(energy));
    free(forces);
    free(positions);
}

static void weights(const regflow_model_t *model) {
    double energies[6] = {0.0, 1.0, NAN, INFINITY, -INFINITY, 2.0};
    double log_q[6] = {0.0, INFINITY, 0.0, 0.0, 0.0, -1.0};
    double log_weights[6];
    size_t indices[6] = {7, 7, 7, 7, 7, 7};
    regflow_diagnostics_t found = {0};
    FAILS(regflow_weights_log(NULL, 0, NULL, 0, NULL, 0, NULL, 0), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_weights_log(model, 6, energies, 5, log_q, 6, log_weights, 6), REGFLOW_ERROR_LENGTH, "`energies_length`");
    FAILS(regflow_weights_log(model, 6, energies, 6, log_q, 7, log_weights, 6), REGFLOW_ERROR_LENGTH, "`log_q_length`");
    FAILS(regflow_weights_log(model, 6, energies, 6, log_q, 6, log_weights, 0), REGFLOW_ERROR_LENGTH, "`log_weights_length`");
    FAILS(regflow_weights_log(model, 6, NULL, 6, log_q, 6, log_weights, 6), REGFLOW_ERROR_ARGUMENT, "`energies` is NULL");
    FAILS(regflow_weights_log(model, 6, energies, 6, NULL, 6, log_weights, 6), REGFLOW_ERROR_ARGUMENT, "`log_q` is NULL");
    FAILS(regflow_weights_log(model, 6, energies, 6, log_q, 6, NULL, 6), REGFLOW_ERROR_ARGUMENT, "`log_weights` is NULL");
    SUCCEEDS(regflow_weights_log(model, 0, NULL, 0, NULL, 0, NULL, 0));
    SUCCEEDS(regflow_weights_log(model, 6, energies, 6, log_q, 6, log_weights, 6));
    double temperature = 0.0;
    SUCCEEDS(regflow_model_temperature(model, &temperature));
    CHECK(log_weights[0] == 0.0);
    CHECK(fabs(log_weights[5] - (1.0 - 2.0 / (8.31446261815324e-3 * temperature))) < 1e-12);
    for (size_t i = 1; i < 5; i++) {
        CHECK(log_weights[i] == -INFINITY);
    }

    FAILS(regflow_weights_diagnose(6, log_weights, 6, 1, NULL), REGFLOW_ERROR_ARGUMENT, "`diagnostics` is NULL");
    FAILS(regflow_weights_diagnose(6, log_weights, 6, 1, &found), REGFLOW_ERROR_ARGUMENT, "struct_size is 0");
    found.struct_size = sizeof found;
    FAILS(regflow_weights_diagnose(6, NULL, 6, 1, &found), REGFLOW_ERROR_ARGUMENT, "`log_weights` is NULL");
    FAILS(regflow_weights_diagnose(6, log_weights, 5, 1, &found), REGFLOW_ERROR_LENGTH, "`log_weights_length`");
    SUCCEEDS(regflow_weights_diagnose(6, log_weights, 6, 1, &found));
    const double a = exp(log_weights[0]), b = exp(log_weights[5]);
    CHECK(found.n == 6 && found.n_zero == 4 && found.struct_size == sizeof found);
    CHECK(fabs(found.ess - (a + b) * (a + b) / (a * a + b * b) / 6.0) < 1e-12);
    CHECK(fabs(found.log_z - log((a + b) / 6.0)) < 1e-12);
    CHECK(isnan(found.k_hat));

    FAILS(regflow_weights_resample(2, 6, log_weights, 6, 1, indices, 6), REGFLOW_ERROR_ARGUMENT, "`method`");
    FAILS(regflow_weights_resample(-1, 6, log_weights, 6, 1, indices, 6), REGFLOW_ERROR_ARGUMENT, "`method`");
    FAILS(regflow_weights_resample(REGFLOW_RESAMPLE_MULTINOMIAL, 6, log_weights, 7, 1, indices, 6), REGFLOW_ERROR_LENGTH,
          "`log_weights_length`");
    FAILS(regflow_weights_resample(REGFLOW_RESAMPLE_MULTINOMIAL, 6, NULL, 6, 1, indices, 6), REGFLOW_ERROR_ARGUMENT,
          "`log_weights` is NULL");
    FAILS(regflow_weights_resample(REGFLOW_RESAMPLE_MULTINOMIAL, 6, log_weights, 6, 1, NULL, 6), REGFLOW_ERROR_ARGUMENT,
          "`indices` is NULL");
    FAILS(regflow_weights_resample(REGFLOW_RESAMPLE_SYSTEMATIC, 4, log_weights + 1, 4, 1, indices, 6), REGFLOW_ERROR_COMPUTE, "");
    CHECK(indices[0] == 7);
    SUCCEEDS(regflow_weights_resample(REGFLOW_RESAMPLE_SYSTEMATIC, 6, log_weights, 6, 1, NULL, 0));
    SUCCEEDS(regflow_weights_resample(REGFLOW_RESAMPLE_SYSTEMATIC, 6, log_weights, 6, 1, indices, 6));
    for (size_t i = 0; i < 6; i++) {
        CHECK(indices[i] == 0 || indices[i] == 5);
    }
    /* No weights at all: nothing to say about them, and nothing to draw from. */
    SUCCEEDS(regflow_weights_diagnose(4, log_weights + 1, 4, 1, &found));
    CHECK(found.n_zero == 4 && found.log_z == -INFINITY);
    CHECK(regflow_weights_diagnose(0, NULL, 0, 1, &found) != REGFLOW_ERROR_INTERNAL);
    CHECK(regflow_weights_resample(REGFLOW_RESAMPLE_SYSTEMATIC, 0, NULL, 0, 1, indices, 6) != REGFLOW_ERROR_INTERNAL);
}

/* U = a x of the first atom, in the units of the energy: the force is -a everywhere. */
static void forces_of_a_callback(void) {
    struct script script = {0, NULL, 2.0, 0, 0};
    regflow_energy_callback_t callback = callback_of(&script);
    regflow_energy_t *energy = NULL;
    regflow_units_t units = {0};
    const double positions[6] = {1.0, 0.0, 0.0, 3.0, 0.0, 0.0};
    double result[2] = {7.0, 7.0}, forces[6];
    callback.energies_and_forces = energies_and_forces;
    units.struct_size = sizeof units;
    SUCCEEDS(regflow_energy_from_callback(&callback, 1, &energy));
    for (int i = 0; i < 2; i++) {
        SUCCEEDS(regflow_energy_compute(energy, 2, positions, 6, result, 2, forces, 6));
        CHECK(fabs(result[0] - 2.0) < 1e-12 && fabs(result[1] - 6.0) < 1e-12);
        for (int k = 0; k < 6; k++) {
            CHECK(fabs(forces[k] - (k % 3 == 0 ? -2.0 : 0.0)) < 1e-12);
        }
        SUCCEEDS(regflow_units_named("lammps-real", &units));
        SUCCEEDS(regflow_energy_set_units(energy, &units));
    }
    script.status = 9;
    script.message = "no force is strong enough";
    FAILS(regflow_energy_compute(energy, 2, positions, 6, result, 2, forces, 6), REGFLOW_ERROR_CALLBACK, "no force is strong enough");
    SUCCEEDS(regflow_energy_free(energy));
    CHECK(script.released == 1);
}

int main(int argc, char **argv) {
    regflow_model_t *model = NULL;
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL SYSTEM_XML\n", argv[0]);
        return EXIT_FAILURE;
    }
    loading();
    malformed_callbacks();
    callbacks();
    forces_of_a_callback();
    SUCCEEDS(regflow_model_load(argv[1], NULL, &model));
    computing(model, argv[2]);
    weights(model);
    SUCCEEDS(regflow_model_free(model));
    return summary();
}

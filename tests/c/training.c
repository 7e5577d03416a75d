/* Training with what a careless caller may pass, and runs that the caller ends.
 *
 * usage: training MODEL TOPOLOGY, of the same molecule, water
 */
#include "../../examples/c/water.h"
#include "check.h"

#define FRAMES 80

static const char *const config =
    "{\"temperature\": 300, \"architecture\": \"realnvp\", \"architecture_config\": {\"couplings\": 2, \"hidden\": 8, \"blocks\": 1},"
    " \"stages\": [{\"objective\": \"likelihood\", \"steps\": 8, \"batch\": 16}], \"seed\": 1}";

/* Ends the run after so many reports. */
struct patience {
    size_t reports, most;
};

static int32_t report(void *user_data, const char *json) {
    struct patience *patience = user_data;
    CHECK(json[0] == '{' && strstr(json, "\"loss\":") != NULL && strstr(json, "\"step\":") != NULL);
    return ++patience->reports >= patience->most;
}

static int32_t no_energy(void *user_data, size_t n, size_t n_atoms, const double *positions, double *energies) {
    (void)user_data;
    (void)n;
    (void)n_atoms;
    (void)positions;
    (void)energies;
    regflow_set_last_error("the power went out");
    return 5;
}

static void refused(const regflow_topology_t *topology, const char *wrong, const double *frames, size_t length, const char *part) {
    regflow_model_t *model = (regflow_model_t *)&checks;
    FAILS(regflow_train(topology, wrong, FRAMES, frames, length, NULL, &model), REGFLOW_ERROR_ARGUMENT, part);
    CHECK(model == NULL);
}

static void arguments(const regflow_topology_t *topology, double *frames, size_t length) {
    regflow_model_t *model = NULL;
    regflow_progress_t progress = {0};
    regflow_units_t units = {0};
    regflow_train_options_t options = {0};
    FAILS(regflow_train(topology, config, FRAMES, frames, length, NULL, NULL), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_train(NULL, config, FRAMES, frames, length, NULL, &model), REGFLOW_ERROR_ARGUMENT, "`topology` is NULL");
    FAILS(regflow_train(topology, NULL, FRAMES, frames, length, NULL, &model), REGFLOW_ERROR_ARGUMENT, "`config` is NULL");
    FAILS(regflow_train(topology, config, FRAMES, NULL, length, NULL, &model), REGFLOW_ERROR_ARGUMENT, "`frames` is NULL");
    FAILS(regflow_train(topology, config, FRAMES, frames, length - 1, NULL, &model), REGFLOW_ERROR_LENGTH, "`frames_length`");
    FAILS(regflow_train(topology, config, SIZE_MAX, frames, length, NULL, &model), REGFLOW_ERROR_ARGUMENT, "`n`");
    FAILS(regflow_train(topology, config, 0, NULL, 0, NULL, &model), REGFLOW_ERROR_ARGUMENT, "");
    FAILS(regflow_train(topology, config, FRAMES, frames, length, &options, &model), REGFLOW_ERROR_ARGUMENT,
          "`options`: its struct_size is 0");
    options.struct_size = sizeof options;
    options.device = "abacus";
    FAILS(regflow_train(topology, config, FRAMES, frames, length, &options, &model), REGFLOW_ERROR_ARGUMENT, "abacus");
    options.device = "cpu";
    options.units = &units;
    FAILS(regflow_train(topology, config, FRAMES, frames, length, &options, &model), REGFLOW_ERROR_ARGUMENT, "`options->units`");
    options.units = NULL;
    options.progress = &progress;
    FAILS(regflow_train(topology, config, FRAMES, frames, length, &options, &model), REGFLOW_ERROR_ARGUMENT,
          "`options->progress`");

    const double bad[] = {NAN, INFINITY};
    for (size_t i = 0; i < 2; i++) {
        const double kept = frames[length / 2];
        frames[length / 2] = bad[i];
        refused(topology, config, frames, length, "frame 40");
        frames[length / 2] = kept;
    }
    refused(topology, "", frames, length, "`config`");
    refused(topology, "[]", frames, length, "");
    refused(topology, "{\"temperature\": 300", frames, length, "`config`");
    refused(topology, "{}", frames, length, "temperature");
    refused(topology, "{\"temperature\": 0}", frames, length, "temperature");
    refused(topology, "{\"temperature\": 1e999}", frames, length, "");
    refused(topology, "{\"temperature\": 300, \"temprature\": 1}", frames, length, "temprature");
    refused(topology, "{\"temperature\": 300, \"recipe\": \"slow\"}", frames, length, "slow");
    refused(topology, "{\"temperature\": 300, \"recipe\": \"fast\", \"stages\": []}", frames, length, "stages");
    refused(topology, "{\"temperature\": 300, \"stages\": []}", frames, length, "stage");
    refused(topology, "{\"temperature\": 300, \"coordinates\": \"polar\"}", frames, length, "polar");
    refused(topology, "{\"temperature\": 300, \"validation_fraction\": 2}", frames, length, "validation");
    CHECK(regflow_train(topology, "{\"temperature\": 300, \"architecture\": \"nobody\"}", FRAMES, frames, length, NULL, &model) !=
          REGFLOW_SUCCESS);
    CHECK(strstr(regflow_last_error(), "nobody") != NULL && model == NULL);
    CHECK(regflow_train(topology,
                        "{\"temperature\": 300, \"architecture\": \"realnvp\", \"architecture_config\": {\"couplings\": -1}}",
                        FRAMES, frames, length, NULL, &model) != REGFLOW_SUCCESS);
    CHECK(strstr(regflow_last_error(), "-1") != NULL && model == NULL);
}

static void energies(const regflow_topology_t *topology, const double *frames, size_t length) {
    const char *polish = "{\"temperature\": 300, \"architecture\": \"realnvp\","
                         " \"architecture_config\": {\"couplings\": 2, \"hidden\": 8, \"blocks\": 1},"
                         " \"stages\": [{\"objective\": \"polish\", \"steps\": 4, \"batch\": 16, \"polish\": {\"forces\": false}}]}";
    regflow_energy_callback_t callback = {0};
    regflow_energy_t *energy = NULL;
    regflow_model_t *model = NULL;
    regflow_train_options_t options = {0};
    options.struct_size = sizeof options;
    refused(topology, polish, frames, length, "energy");
    callback.struct_size = sizeof callback;
    callback.energies = no_energy;
    SUCCEEDS(regflow_energy_from_callback(&callback, length / FRAMES / 3 + 1, &energy));
    options.energy = energy;
    FAILS(regflow_train(topology, polish, FRAMES, frames, length, &options, &model), REGFLOW_ERROR_ARGUMENT,
          "particles");
    SUCCEEDS(regflow_energy_free(energy));
    SUCCEEDS(regflow_energy_from_callback(&callback, length / FRAMES / 3, &energy));
    options.energy = energy;
    FAILS(regflow_train(topology, polish, FRAMES, frames, length, &options, &model), REGFLOW_ERROR_CALLBACK,
          "the power went out");
    CHECK(model == NULL);
    SUCCEEDS(regflow_energy_free(energy));
    FAILS(regflow_train(topology, polish, FRAMES, frames, length, &options, &model), REGFLOW_ERROR_STATE, "freed");
}

static int32_t some_energies(void *user_data, size_t n, size_t n_atoms, const double *positions, double *energies) {
    (void)user_data;
    for (size_t i = 0; i < n; i++) {
        energies[i] = water_energy(positions + 3 * n_atoms * i);
    }
    return 0;
}

static int32_t some_forces(void *user_data, size_t n, size_t n_atoms, const double *positions, double *energies, double *forces) {
    size_t *calls = user_data;
    ++*calls;
    for (size_t i = 0; i < n; i++) {
        energies[i] = water_forces(positions + 3 * n_atoms * i, forces + 3 * n_atoms * i);
    }
    return 0;
}

/* A polish takes the forces of a callback, and asks for them before it begins. */
static void forces(const regflow_topology_t *topology, const double *frames, size_t length) {
    const char *polish = "{\"temperature\": 300, \"architecture\": \"realnvp\","
                         " \"architecture_config\": {\"couplings\": 2, \"hidden\": 8, \"blocks\": 1},"
                         " \"stages\": [{\"objective\": \"likelihood\", \"steps\": 40, \"batch\": 16},"
                         " {\"objective\": \"polish\", \"steps\": 4, \"batch\": 16, \"polish\": {\"forces\": true}}]}";
    regflow_energy_callback_t callback = {0};
    regflow_train_options_t options = {0};
    regflow_energy_t *energy = NULL;
    regflow_model_t *model = NULL;
    size_t calls = 0;
    options.struct_size = sizeof options;
    callback.struct_size = sizeof callback;
    callback.user_data = &calls;
    callback.energies = some_energies;
    SUCCEEDS(regflow_energy_from_callback(&callback, 3, &energy));
    options.energy = energy;
    CHECK(regflow_train(topology, polish, FRAMES, frames, length, &options, &model) != REGFLOW_SUCCESS && model == NULL);
    CHECK(strstr(regflow_last_error(), "forces") != NULL);
    SUCCEEDS(regflow_energy_free(energy));
    callback.energies_and_forces = some_forces;
    SUCCEEDS(regflow_energy_from_callback(&callback, 3, &energy));
    options.energy = energy;
    SUCCEEDS(regflow_train(topology, polish, FRAMES, frames, length, &options, &model));
    CHECK(calls > 0);
    SUCCEEDS(regflow_model_free(model));
    SUCCEEDS(regflow_energy_free(energy));
}

/* What a configuration asks for is refused where there is not the memory for it. */
static void sizes(const regflow_topology_t *topology, const double *frames, size_t length) {
    const char *const wrong[] = {
        "{\"temperature\": 300, \"architecture\": \"realnvp\", \"architecture_config\": {\"hidden\": 1000000}}",
        "{\"temperature\": 300, \"architecture\": \"nsf\", \"architecture_config\": {\"hidden\": 1000000}}",
        "{\"temperature\": 300, \"architecture\": \"nsf\", \"architecture_config\": {\"hidden\": 4000000000000000000}}",
    };
    regflow_model_t *model = NULL;
    for (size_t i = 0; i < 3; i++) {
        CHECK(regflow_train(topology, wrong[i], FRAMES, frames, length, NULL, &model) != REGFLOW_SUCCESS && model == NULL);
        CHECK(strstr(regflow_last_error(), "memory") != NULL || strstr(regflow_last_error(), "too large") != NULL);
        CHECK(strstr(regflow_last_error(), "internal error") == NULL);
    }
}

/* The water molecule in memory, and everything that may be wrong with it. */
static void topologies(const regflow_topology_t *file, double *frames, size_t length) {
    const uint32_t elements[3] = {8, 1, 1}, no_elements[3] = {8, 119, 1};
    const size_t bonds[3][2] = {{1, 0}, {0, 2}, {0, 1}}, outside[2] = {0, 3}, itself[2] = {1, 1};
    const size_t residues[3] = {0, 0, 0}, no_residues[3] = {0, 1, 0};
    const double masses[3] = {15.999, 3.0, 3.0}, no_masses[3] = {15.999, NAN, -1.0};
    const char *const names[3] = {"OW", "HW1", "HW2"}, *const no_names[3] = {"OW", NULL, "HW2"};
    const char *const residue_names[1] = {"SOL"};
    regflow_topology_t topology = {0};
    regflow_model_t *model = NULL, *again = NULL;
    double log_q[2], other[2];
    char text[1 << 14];
    size_t needed = 0;

    refused(&topology, config, frames, length, "`topology`: its struct_size is 0");
    topology.struct_size = sizeof topology;
    refused(&topology, config, frames, length, "neither a path nor atoms");
    topology = *file;
    topology.n_atoms = 3;
    refused(&topology, config, frames, length, "both a path and arrays");
    topology = *file;
    topology.path = "/nowhere/t.pdb";
    FAILS(regflow_train(&topology, config, FRAMES, frames, length, NULL, &model), REGFLOW_ERROR_IO, "/nowhere/t.pdb");

    topology = *file;
    topology.path = NULL;
    topology.n_atoms = 3;
    refused(&topology, config, frames, length, "`topology->atomic_numbers` is NULL");
    topology.atomic_numbers = no_elements;
    refused(&topology, config, frames, length, "atom 1 has 119");
    topology.atomic_numbers = elements;
    topology.n_bonds = 3;
    refused(&topology, config, frames, length, "`topology->bonds` is NULL");
    topology.n_bonds = SIZE_MAX;
    topology.bonds = bonds[0];
    refused(&topology, config, frames, length, "`topology->n_bonds`");
    topology.n_bonds = 1;
    topology.bonds = outside;
    refused(&topology, config, frames, length, "between atoms 0 and 3");
    topology.bonds = itself;
    refused(&topology, config, frames, length, "between atoms 1 and 1");
    topology.bonds = bonds[0];
    refused(&topology, config, frames, length, "");
    topology.n_bonds = 3;
    topology.masses = no_masses;
    refused(&topology, config, frames, length, "`topology->masses`");
    topology.masses = masses;
    topology.names = no_names;
    refused(&topology, config, frames, length, "`topology->names` is NULL");
    topology.names = names;
    topology.n_residues = 1;
    refused(&topology, config, frames, length, "`topology->residue_names` is NULL");
    topology.residue_names = residue_names;
    refused(&topology, config, frames, length, "`topology->residues` is NULL");
    topology.residues = no_residues;
    refused(&topology, config, frames, length, "residue 1");
    topology.residues = residues;

    /* The same molecule gives the same model. */
    SUCCEEDS(regflow_train(&topology, config, FRAMES, frames, length, NULL, &model));
    SUCCEEDS(regflow_train(file, config, FRAMES, frames, length, NULL, &again));
    SUCCEEDS(regflow_model_log_density(model, 2, frames, 18, log_q, 2));
    SUCCEEDS(regflow_model_log_density(again, 2, frames, 18, other, 2));
    CHECK(log_q[0] == other[0] && log_q[1] == other[1]);
    SUCCEEDS(regflow_model_describe(model, text, sizeof text, &needed));
    CHECK(strstr(text, "\"HW2\"") != NULL && strstr(text, "\"SOL\"") != NULL && strstr(text, "\"bonds\":[[0,1],[0,2]]") != NULL);
    SUCCEEDS(regflow_model_free(again));
    SUCCEEDS(regflow_model_free(model));
}

static void stopping(const regflow_topology_t *topology, double *frames, size_t length) {
    struct patience patience = {0, SIZE_MAX};
    regflow_progress_t progress = {0};
    regflow_model_t *model = NULL;
    regflow_units_t units = {0};
    regflow_train_options_t options = {0};
    size_t n_atoms = 0;
    double log_q[2], again[2];
    progress.struct_size = sizeof progress;
    progress.user_data = &patience;
    progress.report = report;
    units.struct_size = sizeof units;
    options.struct_size = sizeof options;
    options.progress = &progress;
    SUCCEEDS(regflow_train(topology, config, FRAMES, frames, length, &options, &model));
    CHECK(patience.reports == 8);
    SUCCEEDS(regflow_model_n_atoms(model, &n_atoms));
    CHECK(n_atoms * 3 * FRAMES == length);
    SUCCEEDS(regflow_model_log_density(model, 2, frames, 6 * n_atoms, log_q, 2));
    SUCCEEDS(regflow_model_free(model));

    /* The same frames in another unit are the same training. */
    for (size_t k = 0; k < length; k++) {
        frames[k] *= 10.0;
    }
    SUCCEEDS(regflow_units_named("lammps-real", &units));
    options.units = &units;
    options.progress = NULL;
    SUCCEEDS(regflow_train(topology, config, FRAMES, frames, length, &options, &model));
    SUCCEEDS(regflow_model_set_units(model, &units));
    SUCCEEDS(regflow_model_log_density(model, 2, frames, 6 * n_atoms, again, 2));
    CHECK(fabs(again[0] + (double)(3 * n_atoms - 3) * log(10.0) - log_q[0]) < 0.1);
    SUCCEEDS(regflow_model_free(model));

    /* A run that is ended has a model all the same. */
    patience.reports = 0;
    patience.most = 3;
    options.progress = &progress;
    SUCCEEDS(regflow_train(topology, config, FRAMES, frames, length, &options, &model));
    CHECK(patience.reports == 3 && model != NULL);
    SUCCEEDS(regflow_model_free(model));
}

int main(int argc, char **argv) {
    regflow_model_t *model = NULL;
    regflow_topology_t topology = {0};
    size_t n_atoms = 0;
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL TOPOLOGY\n", argv[0]);
        return EXIT_FAILURE;
    }
    SUCCEEDS(regflow_model_load(argv[1], NULL, &model));
    SUCCEEDS(regflow_model_n_atoms(model, &n_atoms));
    const size_t length = FRAMES * n_atoms * 3;
    double *frames = allocate(length, sizeof *frames), log_q[FRAMES];
    SUCCEEDS(regflow_model_sample(model, FRAMES, 1, 0, frames, length, log_q, FRAMES));
    SUCCEEDS(regflow_model_free(model));
    topology.struct_size = sizeof topology;
    topology.path = argv[2];
    arguments(&topology, frames, length);
    energies(&topology, frames, length);
    forces(&topology, frames, length);
    sizes(&topology, frames, length);
    topologies(&topology, frames, length);
    stopping(&topology, frames, length);
    free(frames);
    return summary();
}

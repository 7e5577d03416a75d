/* Training with what a careless caller may pass, and runs that the caller ends.
 *
 * usage: training MODEL TOPOLOGY, of the same molecule
 */
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

static void refused(const char *topology, const char *wrong, const double *frames, size_t length, const char *part) {
    regflow_model_t *model = (regflow_model_t *)&checks;
    FAILS(regflow_train(topology, wrong, NULL, FRAMES, frames, length, NULL, "cpu", NULL, &model), REGFLOW_ERROR_ARGUMENT, part);
    CHECK(model == NULL);
}

static void arguments(const char *topology, double *frames, size_t length) {
    regflow_model_t *model = NULL;
    regflow_progress_t progress = {0};
    regflow_units_t units = {0};
    FAILS(regflow_train(topology, config, NULL, FRAMES, frames, length, NULL, "cpu", NULL, NULL), REGFLOW_ERROR_ARGUMENT,
          "`model` is NULL");
    FAILS(regflow_train(NULL, config, NULL, FRAMES, frames, length, NULL, "cpu", NULL, &model), REGFLOW_ERROR_ARGUMENT,
          "`topology` is NULL");
    FAILS(regflow_train(topology, NULL, NULL, FRAMES, frames, length, NULL, "cpu", NULL, &model), REGFLOW_ERROR_ARGUMENT,
          "`config` is NULL");
    FAILS(regflow_train(topology, config, NULL, FRAMES, NULL, length, NULL, "cpu", NULL, &model), REGFLOW_ERROR_ARGUMENT,
          "`frames` is NULL");
    FAILS(regflow_train(topology, config, NULL, FRAMES, frames, length, NULL, NULL, NULL, &model), REGFLOW_ERROR_ARGUMENT,
          "`device` is NULL");
    FAILS(regflow_train(topology, config, NULL, FRAMES, frames, length, NULL, "abacus", NULL, &model), REGFLOW_ERROR_ARGUMENT,
          "abacus");
    FAILS(regflow_train("/nowhere/t.pdb", config, NULL, FRAMES, frames, length, NULL, "cpu", NULL, &model), REGFLOW_ERROR_IO,
          "/nowhere/t.pdb");
    FAILS(regflow_train(topology, config, NULL, FRAMES, frames, length - 1, NULL, "cpu", NULL, &model), REGFLOW_ERROR_LENGTH,
          "`frames_length`");
    FAILS(regflow_train(topology, config, NULL, SIZE_MAX, frames, length, NULL, "cpu", NULL, &model), REGFLOW_ERROR_ARGUMENT,
          "`n`");
    FAILS(regflow_train(topology, config, NULL, 0, NULL, 0, NULL, "cpu", NULL, &model), REGFLOW_ERROR_ARGUMENT, "");
    FAILS(regflow_train(topology, config, NULL, FRAMES, frames, length, &units, "cpu", NULL, &model), REGFLOW_ERROR_ARGUMENT,
          "`units`");
    FAILS(regflow_train(topology, config, NULL, FRAMES, frames, length, NULL, "cpu", &progress, &model), REGFLOW_ERROR_ARGUMENT,
          "`progress`");

    const double bad[] = {NAN, INFINITY};
    for (size_t i = 0; i < 2; i++) {
        const double kept = frames[length / 2];
        frames[length / 2] = bad[i];
        refused(topology, config, frames, length, "frame 40");
        frames[length / 2] = kept;
    }
    refused(topology, "", frames, length, "`config`");
    refused(topology, "[]", frames, length, "`config`");
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
    CHECK(regflow_train(topology, "{\"temperature\": 300, \"architecture\": \"nobody\"}", NULL, FRAMES, frames, length, NULL, "cpu",
                        NULL, &model) != REGFLOW_SUCCESS);
    CHECK(strstr(regflow_last_error(), "nobody") != NULL && model == NULL);
    CHECK(regflow_train(topology,
                        "{\"temperature\": 300, \"architecture\": \"realnvp\", \"architecture_config\": {\"couplings\": -1}}", NULL,
                        FRAMES, frames, length, NULL, "cpu", NULL, &model) != REGFLOW_SUCCESS);
    CHECK(strstr(regflow_last_error(), "-1") != NULL && model == NULL);
}

static void energies(const char *topology, const double *frames, size_t length) {
    const char *polish = "{\"temperature\": 300, \"architecture\": \"realnvp\","
                         " \"architecture_config\": {\"couplings\": 2, \"hidden\": 8, \"blocks\": 1},"
                         " \"stages\": [{\"objective\": \"polish\", \"steps\": 4, \"batch\": 16, \"polish\": {\"forces\": false}}]}";
    regflow_energy_callback_t callback = {0};
    regflow_energy_t *energy = NULL;
    regflow_model_t *model = NULL;
    refused(topology, polish, frames, length, "energy");
    callback.struct_size = sizeof callback;
    callback.energies = no_energy;
    SUCCEEDS(regflow_energy_from_callback(&callback, length / FRAMES / 3 + 1, &energy));
    FAILS(regflow_train(topology, polish, energy, FRAMES, frames, length, NULL, "cpu", NULL, &model), REGFLOW_ERROR_ARGUMENT,
          "`energy`");
    SUCCEEDS(regflow_energy_free(energy));
    SUCCEEDS(regflow_energy_from_callback(&callback, length / FRAMES / 3, &energy));
    FAILS(regflow_train(topology, polish, energy, FRAMES, frames, length, NULL, "cpu", NULL, &model), REGFLOW_ERROR_CALLBACK,
          "the power went out");
    CHECK(model == NULL);
    SUCCEEDS(regflow_energy_free(energy));
    FAILS(regflow_train(topology, polish, energy, FRAMES, frames, length, NULL, "cpu", NULL, &model), REGFLOW_ERROR_STATE, "freed");
}

static void stopping(const char *topology, double *frames, size_t length) {
    struct patience patience = {0, SIZE_MAX};
    regflow_progress_t progress = {0};
    regflow_model_t *model = NULL;
    regflow_units_t units = {0};
    size_t n_atoms = 0;
    double log_q[2], again[2];
    progress.struct_size = sizeof progress;
    progress.user_data = &patience;
    progress.report = report;
    units.struct_size = sizeof units;
    SUCCEEDS(regflow_train(topology, config, NULL, FRAMES, frames, length, NULL, "cpu", &progress, &model));
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
    SUCCEEDS(regflow_train(topology, config, NULL, FRAMES, frames, length, &units, "cpu", NULL, &model));
    SUCCEEDS(regflow_model_set_units(model, &units));
    SUCCEEDS(regflow_model_log_density(model, 2, frames, 6 * n_atoms, again, 2));
    CHECK(fabs(again[0] + (double)(3 * n_atoms - 3) * log(10.0) - log_q[0]) < 0.1);
    SUCCEEDS(regflow_model_free(model));

    /* A run that is ended has a model all the same. */
    patience.reports = 0;
    patience.most = 3;
    SUCCEEDS(regflow_train(topology, config, NULL, FRAMES, frames, length, &units, "cpu", &progress, &model));
    CHECK(patience.reports == 3 && model != NULL);
    SUCCEEDS(regflow_model_free(model));
}

int main(int argc, char **argv) {
    regflow_model_t *model = NULL;
    size_t n_atoms = 0;
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL TOPOLOGY\n", argv[0]);
        return EXIT_FAILURE;
    }
    SUCCEEDS(regflow_model_load(argv[1], "cpu", &model));
    SUCCEEDS(regflow_model_n_atoms(model, &n_atoms));
    const size_t length = FRAMES * n_atoms * 3;
    double *frames = allocate(length, sizeof *frames), log_q[FRAMES];
    SUCCEEDS(regflow_model_sample(model, FRAMES, 1, 0, frames, length, log_q, FRAMES));
    SUCCEEDS(regflow_model_free(model));
    arguments(argv[2], frames, length);
    energies(argv[2], frames, length);
    stopping(argv[2], frames, length);
    free(frames);
    return summary();
}

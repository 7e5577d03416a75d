/* The functions of the library and of models with what a careless caller may pass. Each call must come back with the expected
 * status and a message that names the function and the argument.
 *
 * usage: models MODEL MISSING_FILE CORRUPT_FILE OUTPUT_FILE
 */
#include "check.h"

static void loading(const char *path, const char *missing, const char *corrupt) {
    const char not_utf8[] = {'m', (char)0xff, 0};
    regflow_model_t *model = (regflow_model_t *)&checks;
    regflow_load_options_t options = {0};

    FAILS(regflow_model_load(path, NULL, NULL), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_model_load(NULL, NULL, &model), REGFLOW_ERROR_ARGUMENT, "`path` is NULL");
    CHECK(model == NULL);
    FAILS(regflow_model_load(path, &options, &model), REGFLOW_ERROR_ARGUMENT, "`options`: its struct_size is 0");
    options.struct_size = sizeof options;
    FAILS(regflow_model_load(not_utf8, NULL, &model), REGFLOW_ERROR_ARGUMENT, "`path` is not valid UTF-8");
    options.device = not_utf8;
    FAILS(regflow_model_load(path, &options, &model), REGFLOW_ERROR_ARGUMENT, "`options->device` is not valid UTF-8");
    options.device = "toaster";
    FAILS(regflow_model_load(path, &options, &model), REGFLOW_ERROR_ARGUMENT, "toaster");
    options.device = "cuda:99";
    FAILS(regflow_model_load(path, &options, &model), REGFLOW_ERROR_DEVICE, "cuda:99");
    FAILS(regflow_model_load(missing, NULL, &model), REGFLOW_ERROR_IO, missing);
    FAILS(regflow_model_load("", NULL, &model), REGFLOW_ERROR_IO, "`path`");
    FAILS(regflow_model_load("/", NULL, &model), REGFLOW_ERROR_IO, "directory");
    FAILS(regflow_model_load(corrupt, NULL, &model), REGFLOW_ERROR_MODEL, corrupt);
    CHECK(model == NULL);
}

static void loading_from_memory(void) {
    const uint8_t bytes[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}'};
    regflow_model_t *model = (regflow_model_t *)&checks;
    regflow_load_options_t options = {0};
    FAILS(regflow_model_load_memory(bytes, 16, NULL, NULL), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_model_load_memory(NULL, 16, NULL, &model), REGFLOW_ERROR_ARGUMENT, "`bytes` is NULL");
    CHECK(model == NULL);
    FAILS(regflow_model_load_memory(bytes, SIZE_MAX, NULL, &model), REGFLOW_ERROR_ARGUMENT, "`bytes`");
    FAILS(regflow_model_load_memory(bytes, 16, &options, &model), REGFLOW_ERROR_ARGUMENT, "`options`: its struct_size is 0");
    options.struct_size = sizeof options;
    options.device = "toaster";
    FAILS(regflow_model_load_memory(bytes, 16, &options, &model), REGFLOW_ERROR_ARGUMENT, "toaster");
    FAILS(regflow_model_load_memory(bytes, 0, NULL, &model), REGFLOW_ERROR_MODEL, "`bytes`");
    FAILS(regflow_model_load_memory(bytes, 4, NULL, &model), REGFLOW_ERROR_MODEL, "`bytes`");
    FAILS(regflow_model_load_memory(bytes, 16, NULL, &model), REGFLOW_ERROR_MODEL, "`bytes`");
    CHECK(model == NULL);
}

/* Texts: the length is told in any case, and nothing is written beyond the room. */
static void texts(const regflow_model_t *model) {
    size_t length = 0;
    char text[8];
    memset(text, '#', sizeof text);
    SUCCEEDS(regflow_devices(NULL, 0, &length));
    CHECK(length >= sizeof "[\"cpu\"]");
    FAILS(regflow_devices(text, 3, &length), REGFLOW_ERROR_LENGTH, "`capacity` is 3");
    CHECK(length >= sizeof "[\"cpu\"]" && text[0] == '#');
    FAILS(regflow_devices(NULL, 64, &length), REGFLOW_ERROR_ARGUMENT, "`text` is NULL");
    FAILS(regflow_devices(text, 8, NULL), REGFLOW_ERROR_ARGUMENT, "`length` is NULL");

    SUCCEEDS(regflow_plugins(NULL, 0, &length));
    char *plugins = allocate(length, 1);
    FAILS(regflow_plugins(plugins, length - 1, &length), REGFLOW_ERROR_LENGTH, "`capacity`");
    FAILS(regflow_plugins(plugins, length, NULL), REGFLOW_ERROR_ARGUMENT, "`length` is NULL");
    SUCCEEDS(regflow_plugins(plugins, length, &length));
    CHECK(strlen(plugins) == length - 1 && strstr(plugins, "\"realnvp\"") != NULL);
    free(plugins);

    FAILS(regflow_model_describe(NULL, NULL, 0, &length), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_model_describe(model, NULL, 0, NULL), REGFLOW_ERROR_ARGUMENT, "`length` is NULL");
    FAILS(regflow_model_describe(model, text, 8, &length), REGFLOW_ERROR_LENGTH, "`capacity` is 8");
    char *description = allocate(length, 1);
    SUCCEEDS(regflow_model_describe(model, description, length, &length));
    CHECK(strlen(description) == length - 1 && strstr(description, "\"temperature\"") != NULL);
    free(description);
}

static void write_nothing(void *user_data, int32_t level, const char *message) {
    (void)user_data;
    (void)level;
    (void)message;
}

static void library(void) {
    const char not_utf8[] = {(char)0xc0, 0};
    regflow_log_t log = {0};
    FAILS(regflow_set_log(&log), REGFLOW_ERROR_ARGUMENT, "struct_size");
    log.struct_size = SIZE_MAX;
    FAILS(regflow_set_log(&log), REGFLOW_ERROR_ARGUMENT, "struct_size");
    log.struct_size = sizeof log;
    FAILS(regflow_set_log(&log), REGFLOW_ERROR_ARGUMENT, "write");
    log.write = write_nothing;
    SUCCEEDS(regflow_set_log(&log));
    SUCCEEDS(regflow_set_log(NULL));
    SUCCEEDS(regflow_set_log(NULL));

    FAILS(regflow_set_last_error(NULL), REGFLOW_ERROR_ARGUMENT, "`message` is NULL");
    FAILS(regflow_set_last_error(not_utf8), REGFLOW_ERROR_ARGUMENT, "UTF-8");
    SUCCEEDS(regflow_set_last_error("mine"));
    CHECK(strcmp(regflow_last_error(), "mine") == 0);

    FAILS(regflow_plugin_load(NULL), REGFLOW_ERROR_ARGUMENT, "`path` is NULL");
    FAILS(regflow_plugin_load(not_utf8), REGFLOW_ERROR_ARGUMENT, "UTF-8");
    FAILS(regflow_plugin_load(""), REGFLOW_ERROR_PLUGIN, "");
    FAILS(regflow_plugin_load("/"), REGFLOW_ERROR_PLUGIN, "");
    FAILS(regflow_plugin_load("/nowhere/libmine.so"), REGFLOW_ERROR_PLUGIN, "/nowhere/libmine.so");
}

/* Structs of another size: smaller ones are refused; larger ones only if what this version does not know is set. */
static void units(regflow_model_t *model) {
    struct {
        regflow_units_t known;
        double unknown;
    } larger = {{sizeof larger, 0.1, 4.184, 1.0}, 0.0};
    regflow_units_t units = {0};
    FAILS(regflow_units_named("md", NULL), REGFLOW_ERROR_ARGUMENT, "`units` is NULL");
    FAILS(regflow_units_named(NULL, &units), REGFLOW_ERROR_ARGUMENT, "`name` is NULL");
    FAILS(regflow_units_named("md", &units), REGFLOW_ERROR_ARGUMENT, "struct_size is 0");
    units.struct_size = sizeof units;
    FAILS(regflow_units_named("furlong", &units), REGFLOW_ERROR_ARGUMENT, "furlong");
    CHECK(units.length == 0.0);
    SUCCEEDS(regflow_units_named("lammps-metal", &units));
    /* One electron volt: 1.602176634e-19 J x 6.02214076e23 / mol, both exact by definition. */
    CHECK(units.length == 0.1 && units.temperature == 1.0 && fabs(units.energy - 96.48533212331) < 1e-9);

    FAILS(regflow_model_set_units(NULL, &units), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_model_set_units(model, NULL), REGFLOW_ERROR_ARGUMENT, "`units` is NULL");
    const double wrong[] = {0.0, -1.0, NAN, INFINITY};
    for (size_t i = 0; i < 4; i++) {
        units.length = wrong[i];
        FAILS(regflow_model_set_units(model, &units), REGFLOW_ERROR_ARGUMENT, "`length`");
    }
    units.struct_size = sizeof units - 1;
    FAILS(regflow_model_set_units(model, &units), REGFLOW_ERROR_ARGUMENT, "sizeof(regflow_units_t)");
    units.struct_size = SIZE_MAX;
    FAILS(regflow_model_set_units(model, &units), REGFLOW_ERROR_ARGUMENT, "sizeof(regflow_units_t)");
    larger.unknown = 1.0;
    FAILS(regflow_model_set_units(model, &larger.known), REGFLOW_ERROR_ARGUMENT, "newer");
    larger.unknown = 0.0;
    SUCCEEDS(regflow_model_set_units(model, &larger.known));
    SUCCEEDS(regflow_units_named("md", &larger.known));
    CHECK(larger.known.struct_size == sizeof larger && larger.known.length == 1.0);
    SUCCEEDS(regflow_model_set_units(model, &larger.known));
}

/* Samples and densities in other units and in another order are the same ones. */
static void views(const regflow_model_t *model, size_t n_atoms) {
    regflow_model_t *view = NULL;
    regflow_units_t units = {0};
    const size_t width = 3 * n_atoms;
    size_t *order = allocate(n_atoms, sizeof *order);
    uint32_t *numbers = allocate(2 * n_atoms, sizeof *numbers);
    double *positions = allocate(2 * width, sizeof *positions);
    double log_q[3], kelvin = 0.0, other = 0.0;
    units.struct_size = sizeof units;

    FAILS(regflow_model_clone(NULL, &view), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_model_clone(model, NULL), REGFLOW_ERROR_ARGUMENT, "`clone` is NULL");
    SUCCEEDS(regflow_model_clone(model, &view));
    FAILS(regflow_model_set_atom_order(NULL, order, n_atoms), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_model_set_atom_order(view, NULL, n_atoms), REGFLOW_ERROR_ARGUMENT, "`order` is NULL");
    FAILS(regflow_model_set_atom_order(view, order, n_atoms - 1), REGFLOW_ERROR_LENGTH, "`order_length`");
    FAILS(regflow_model_set_atom_order(view, order, n_atoms), REGFLOW_ERROR_ARGUMENT, "`order`");
    for (size_t i = 0; i < n_atoms; i++) {
        order[i] = n_atoms - 1 - i;
    }
    order[0] = SIZE_MAX;
    FAILS(regflow_model_set_atom_order(view, order, n_atoms), REGFLOW_ERROR_ARGUMENT, "`order`");
    order[0] = n_atoms - 1;
    SUCCEEDS(regflow_model_set_atom_order(view, order, n_atoms));
    SUCCEEDS(regflow_units_named("lammps-real", &units));
    units.temperature = 2.0;
    SUCCEEDS(regflow_model_set_units(view, &units));

    FAILS(regflow_model_atomic_numbers(NULL, numbers, n_atoms), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_model_atomic_numbers(view, NULL, n_atoms), REGFLOW_ERROR_ARGUMENT, "`numbers` is NULL");
    FAILS(regflow_model_atomic_numbers(view, numbers, n_atoms + 1), REGFLOW_ERROR_LENGTH, "`numbers_length`");
    SUCCEEDS(regflow_model_atomic_numbers(model, numbers, n_atoms));
    SUCCEEDS(regflow_model_atomic_numbers(view, numbers + n_atoms, n_atoms));
    SUCCEEDS(regflow_model_temperature(model, &kelvin));
    SUCCEEDS(regflow_model_temperature(view, &other));
    CHECK(other == kelvin / 2.0);

    SUCCEEDS(regflow_model_sample(model, 1, 1, 0, positions, width, log_q, 1));
    SUCCEEDS(regflow_model_sample(view, 1, 1, 0, positions + width, width, log_q + 1, 1));
    for (size_t i = 0; i < n_atoms; i++) {
        CHECK(numbers[i] == numbers[n_atoms + n_atoms - 1 - i]);
        for (size_t k = 0; k < 3; k++) {
            CHECK(fabs(10.0 * positions[3 * i + k] - positions[width + 3 * (n_atoms - 1 - i) + k]) < 1e-12);
        }
    }
    /* A volume of 3 N - 3 lengths is larger by a power of ten for each in Angstrom. */
    CHECK(fabs(log_q[1] - (log_q[0] - (double)(3 * n_atoms - 3) * log(10.0))) < 1e-9);
    SUCCEEDS(regflow_model_log_density(view, 1, positions + width, width, log_q + 2, 1));
    CHECK(close_to(log_q[2], log_q[1]));

    SUCCEEDS(regflow_model_free(view));
    free(positions);
    free(numbers);
    free(order);
}

static void without_model(void) {
    size_t n_atoms = 7;
    double value = 7.0;
    FAILS(regflow_model_n_atoms(NULL, &n_atoms), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_model_temperature(NULL, &value), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_model_sample(NULL, 0, 0, 0, NULL, 0, NULL, 0), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_model_log_density(NULL, 0, NULL, 0, NULL, 0), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_model_save(NULL, "m"), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    CHECK(n_atoms == 7 && value == 7.0);
    SUCCEEDS(regflow_model_free(NULL));
}

static void sampling(const regflow_model_t *model, size_t width) {
    const size_t length = 3 * width;
    double *positions = allocate(length, sizeof *positions);
    double *others = allocate(length, sizeof *others);
    double log_q[3] = {7.0, 7.0, 7.0};
    double again[3];

    /* Lengths and pointers: nothing is written. */
    FAILS(regflow_model_sample(model, 3, 1, 0, positions, length - 1, log_q, 3), REGFLOW_ERROR_LENGTH, "`positions_length`");
    FAILS(regflow_model_sample(model, 3, 1, 0, positions, length * 8, log_q, 3), REGFLOW_ERROR_LENGTH, "`positions_length`");
    FAILS(regflow_model_sample(model, 3, 1, 0, positions, length, log_q, 2), REGFLOW_ERROR_LENGTH, "`log_q_length`");
    FAILS(regflow_model_sample(model, 3, 1, 0, NULL, length, log_q, 3), REGFLOW_ERROR_ARGUMENT, "`positions` is NULL");
    FAILS(regflow_model_sample(model, 3, 1, 0, positions, length, NULL, 3), REGFLOW_ERROR_ARGUMENT, "`log_q` is NULL");
    FAILS(regflow_model_sample(model, SIZE_MAX, 1, 0, positions, length, log_q, 3), REGFLOW_ERROR_ARGUMENT, "`n`");
    FAILS(regflow_model_sample(model, 3, 1, UINT64_MAX - 1, positions, length, log_q, 3), REGFLOW_ERROR_ARGUMENT,
          "`first_index`");
    CHECK(log_q[0] == 7.0 && log_q[1] == 7.0 && log_q[2] == 7.0);
    SUCCEEDS(regflow_model_sample(model, 0, 1, 0, NULL, 0, NULL, 0));

    /* A sample depends on its seed and index, but for the rounding of single-precision arithmetic. */
    SUCCEEDS(regflow_model_sample(model, 3, 1, 40, positions, length, log_q, 3));
    for (uint64_t i = 0; i < 3; i++) {
        SUCCEEDS(regflow_model_sample(model, 1, 1, 40 + i, others, width, again, 1));
        for (size_t k = 0; k < width; k++) {
            CHECK(close_to(others[k], positions[i * width + k]));
        }
        CHECK(close_to(again[0], log_q[i]));
    }
    SUCCEEDS(regflow_model_sample(model, 3, 2, 40, others, length, again, 3));
    CHECK(memcmp(others, positions, length * sizeof *others) != 0);

    /* Densities. */
    FAILS(regflow_model_log_density(model, 2, positions, length, again, 2), REGFLOW_ERROR_LENGTH, "`positions_length`");
    FAILS(regflow_model_log_density(model, 3, positions, length, again, 4), REGFLOW_ERROR_LENGTH, "`log_q_length`");
    FAILS(regflow_model_log_density(model, 3, NULL, length, again, 3), REGFLOW_ERROR_ARGUMENT, "`positions` is NULL");
    FAILS(regflow_model_log_density(model, 3, positions, length, NULL, 3), REGFLOW_ERROR_ARGUMENT, "`log_q` is NULL");
    SUCCEEDS(regflow_model_log_density(model, 0, NULL, 0, NULL, 0));

    /* Numbers that are none have no density, and leave their neighbours alone. */
    SUCCEEDS(regflow_model_log_density(model, 3, positions, length, log_q, 3));
    positions[0] = NAN;
    positions[2 * width] = INFINITY;
    SUCCEEDS(regflow_model_log_density(model, 3, positions, length, again, 3));
    CHECK(again[0] == -INFINITY && again[2] == -INFINITY);
    CHECK(close_to(again[1], log_q[1]));

    /* Coordinates at the ends of the range, and atoms that coincide: an error, or no density, but nothing that looks like one. */
    const double values[] = {0.0, 1e300, -1e300, 1e-300};
    for (size_t v = 0; v < 4; v++) {
        for (size_t k = 0; k < length; k++) {
            positions[k] = values[v];
        }
        const regflow_status_t status = regflow_model_log_density(model, 3, positions, length, again, 3);
        if (status == REGFLOW_SUCCESS) {
            CHECK(again[0] == -INFINITY && again[1] == -INFINITY && again[2] == -INFINITY);
        } else {
            CHECK(status == REGFLOW_ERROR_COMPUTE);
        }
    }
    free(others);
    free(positions);
}

static void with_model(const char *path, const char *saved) {
    regflow_model_t *model = NULL;
    size_t n_atoms = 0;
    double temperature = 0.0;
    SUCCEEDS(regflow_model_load(path, NULL, &model));
    if (model == NULL) {
        return;
    }
    FAILS(regflow_model_n_atoms(model, NULL), REGFLOW_ERROR_ARGUMENT, "`n_atoms` is NULL");
    FAILS(regflow_model_temperature(model, NULL), REGFLOW_ERROR_ARGUMENT, "`temperature` is NULL");
    SUCCEEDS(regflow_model_n_atoms(model, &n_atoms));
    SUCCEEDS(regflow_model_temperature(model, &temperature));
    CHECK(n_atoms > 0 && temperature > 0.0);

    sampling(model, 3 * n_atoms);
    texts(model);
    units(model);
    views(model, n_atoms);
    FAILS(regflow_model_save(model, NULL), REGFLOW_ERROR_ARGUMENT, "`path` is NULL");
    FAILS(regflow_model_save(model, ""), REGFLOW_ERROR_IO, "`path`");
    FAILS(regflow_model_save(model, "/nowhere/m.safetensors"), REGFLOW_ERROR_IO, "/nowhere");
    SUCCEEDS(regflow_model_save(model, saved));

    /* A handle that was freed, and one of another kind. */
    SUCCEEDS(regflow_model_free(model));
    FAILS(regflow_model_n_atoms(model, &n_atoms), REGFLOW_ERROR_STATE, "freed");
    FAILS(regflow_model_set_units(model, NULL), REGFLOW_ERROR_STATE, "freed");
    FAILS(regflow_model_free(model), REGFLOW_ERROR_STATE, "freed");
    double zeros[16] = {0.0};
    FAILS(regflow_model_n_atoms((const regflow_model_t *)zeros, &n_atoms), REGFLOW_ERROR_ARGUMENT, "no regflow_model_t");

    SUCCEEDS(regflow_model_load(saved, NULL, &model));
    SUCCEEDS(regflow_model_free(model));
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: %s MODEL MISSING_FILE CORRUPT_FILE OUTPUT_FILE\n", argv[0]);
        return EXIT_FAILURE;
    }
    CHECK(regflow_last_error()[0] == '\0');
    CHECK(regflow_api_version() == REGFLOW_API_VERSION);
    CHECK(strchr(regflow_version(), '.') != NULL);
    loading(argv[1], argv[2], argv[3]);
    loading_from_memory();
    library();
    without_model();
    with_model(argv[1], argv[4]);
    return summary();
}

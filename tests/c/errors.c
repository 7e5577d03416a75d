/* Calls every function of the C interface with what a careless caller may pass. Each call must come back with the expected
 * status and a message that names the function and the argument.
 *
 * usage: errors MODEL MISSING_FILE CORRUPT_FILE
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <regflow.h>

static int checks = 0;
static int failures = 0;

static void expect(int line, regflow_status_t status, regflow_status_t expected, const char *function, const char *part) {
    const char *message = regflow_last_error();
    checks++;
    if (status != expected || strstr(message, function) != message || strstr(message, part) == NULL) {
        failures++;
        fprintf(stderr, "line %d: status %d, expected %d; message \"%s\" should begin with \"%s\" and contain \"%s\"\n", line,
                (int)status, (int)expected, message, function, part);
    }
}

#define EXPECT_ERROR(call, expected, function, part) expect(__LINE__, (call), (expected), (function), (part))

static void check(int line, int condition, const char *text) {
    checks++;
    if (!condition) {
        failures++;
        fprintf(stderr, "line %d: not so: %s (last error: \"%s\")\n", line, text, regflow_last_error());
    }
}

#define CHECK(condition) check(__LINE__, (condition), #condition)

static int close_to(double a, double b) {
    return a == b || fabs(a - b) <= 1e-3 + 1e-4 * fabs(b);
}

static void loading(const char *path, const char *missing, const char *corrupt) {
    const char *function = "regflow_model_load: ";
    const char not_utf8[] = {'m', (char)0xff, 0};
    regflow_model_t *model = (regflow_model_t *)&checks;

    EXPECT_ERROR(regflow_model_load(path, "cpu", NULL), REGFLOW_ERROR_ARGUMENT, function, "`model` is NULL");
    EXPECT_ERROR(regflow_model_load(NULL, "cpu", &model), REGFLOW_ERROR_ARGUMENT, function, "`path` is NULL");
    CHECK(model == NULL);
    EXPECT_ERROR(regflow_model_load(path, NULL, &model), REGFLOW_ERROR_ARGUMENT, function, "`device` is NULL");
    EXPECT_ERROR(regflow_model_load(not_utf8, "cpu", &model), REGFLOW_ERROR_ARGUMENT, function, "`path` is not valid UTF-8");
    EXPECT_ERROR(regflow_model_load(path, "toaster", &model), REGFLOW_ERROR_ARGUMENT, function, "toaster");
    EXPECT_ERROR(regflow_model_load(path, "cuda:99", &model), REGFLOW_ERROR_DEVICE, function, "cuda:99");
    EXPECT_ERROR(regflow_model_load(missing, "cpu", &model), REGFLOW_ERROR_IO, function, missing);
    EXPECT_ERROR(regflow_model_load("", "cpu", &model), REGFLOW_ERROR_IO, function, "`path`");
    EXPECT_ERROR(regflow_model_load("/", "cpu", &model), REGFLOW_ERROR_IO, function, "directory");
    EXPECT_ERROR(regflow_model_load(corrupt, "cpu", &model), REGFLOW_ERROR_MODEL, function, corrupt);
    CHECK(model == NULL);
}

static void without_model(void) {
    size_t n_atoms = 7;
    double value = 7.0;
    EXPECT_ERROR(regflow_model_n_atoms(NULL, &n_atoms), REGFLOW_ERROR_ARGUMENT, "regflow_model_n_atoms: ", "`model` is NULL");
    EXPECT_ERROR(regflow_model_temperature(NULL, &value), REGFLOW_ERROR_ARGUMENT, "regflow_model_temperature: ",
                 "`model` is NULL");
    EXPECT_ERROR(regflow_model_sample(NULL, 0, 0, 0, NULL, 0, NULL, 0), REGFLOW_ERROR_ARGUMENT, "regflow_model_sample: ",
                 "`model` is NULL");
    EXPECT_ERROR(regflow_model_log_density(NULL, 0, NULL, 0, NULL, 0), REGFLOW_ERROR_ARGUMENT,
                 "regflow_model_log_density: ", "`model` is NULL");
    CHECK(n_atoms == 7 && value == 7.0);
    CHECK(regflow_model_free(NULL) == REGFLOW_SUCCESS);
}

static void with_model(const char *path) {
    const char *sample = "regflow_model_sample: ";
    const char *density = "regflow_model_log_density: ";
    regflow_model_t *model = NULL;
    size_t n_atoms = 0;
    double temperature = 0.0;
    double log_q[3] = {7.0, 7.0, 7.0};
    double again[3];

    CHECK(regflow_model_load(path, "cpu", &model) == REGFLOW_SUCCESS);
    if (model == NULL) {
        return;
    }
    EXPECT_ERROR(regflow_model_n_atoms(model, NULL), REGFLOW_ERROR_ARGUMENT, "regflow_model_n_atoms: ", "`n_atoms` is NULL");
    EXPECT_ERROR(regflow_model_temperature(model, NULL), REGFLOW_ERROR_ARGUMENT, "regflow_model_temperature: ",
                 "`temperature` is NULL");
    CHECK(regflow_model_n_atoms(model, &n_atoms) == REGFLOW_SUCCESS && n_atoms > 0);
    CHECK(regflow_model_temperature(model, &temperature) == REGFLOW_SUCCESS && temperature > 0.0);

    const size_t width = 3 * n_atoms;
    const size_t length = 3 * width;
    double *positions = malloc(length * sizeof *positions);
    double *others = malloc(length * sizeof *others);
    if (positions == NULL || others == NULL) {
        exit(EXIT_FAILURE);
    }

    /* Lengths and pointers of sampling: nothing is written. */
    EXPECT_ERROR(regflow_model_sample(model, 3, 1, 0, positions, length - 1, log_q, 3), REGFLOW_ERROR_LENGTH, sample,
                 "`positions_length`");
    EXPECT_ERROR(regflow_model_sample(model, 3, 1, 0, positions, length * 8, log_q, 3), REGFLOW_ERROR_LENGTH, sample,
                 "`positions_length`");
    EXPECT_ERROR(regflow_model_sample(model, 3, 1, 0, positions, length, log_q, 2), REGFLOW_ERROR_LENGTH, sample,
                 "`log_q_length`");
    EXPECT_ERROR(regflow_model_sample(model, 3, 1, 0, NULL, length, log_q, 3), REGFLOW_ERROR_ARGUMENT, sample,
                 "`positions` is NULL");
    EXPECT_ERROR(regflow_model_sample(model, 3, 1, 0, positions, length, NULL, 3), REGFLOW_ERROR_ARGUMENT, sample,
                 "`log_q` is NULL");
    EXPECT_ERROR(regflow_model_sample(model, SIZE_MAX, 1, 0, positions, length, log_q, 3), REGFLOW_ERROR_ARGUMENT, sample,
                 "`n`");
    EXPECT_ERROR(regflow_model_sample(model, 3, 1, UINT64_MAX - 1, positions, length, log_q, 3), REGFLOW_ERROR_ARGUMENT,
                 sample, "`first_index`");
    CHECK(log_q[0] == 7.0 && log_q[1] == 7.0 && log_q[2] == 7.0);
    CHECK(regflow_model_sample(model, 0, 1, 0, NULL, 0, NULL, 0) == REGFLOW_SUCCESS);

    /* A sample depends on its seed and index, but for the rounding of single-precision arithmetic. */
    CHECK(regflow_model_sample(model, 3, 1, 40, positions, length, log_q, 3) == REGFLOW_SUCCESS);
    for (uint64_t i = 0; i < 3; i++) {
        CHECK(regflow_model_sample(model, 1, 1, 40 + i, others, width, again, 1) == REGFLOW_SUCCESS);
        for (size_t k = 0; k < width; k++) {
            CHECK(close_to(others[k], positions[i * width + k]));
        }
        CHECK(close_to(again[0], log_q[i]));
    }
    CHECK(regflow_model_sample(model, 3, 2, 40, others, length, again, 3) == REGFLOW_SUCCESS);
    CHECK(memcmp(others, positions, length * sizeof *others) != 0);

    /* Lengths and pointers of densities. */
    EXPECT_ERROR(regflow_model_log_density(model, 2, positions, length, again, 2), REGFLOW_ERROR_LENGTH, density,
                 "`positions_length`");
    EXPECT_ERROR(regflow_model_log_density(model, 3, positions, length, again, 4), REGFLOW_ERROR_LENGTH, density,
                 "`log_q_length`");
    EXPECT_ERROR(regflow_model_log_density(model, 3, NULL, length, again, 3), REGFLOW_ERROR_ARGUMENT, density,
                 "`positions` is NULL");
    EXPECT_ERROR(regflow_model_log_density(model, 3, positions, length, NULL, 3), REGFLOW_ERROR_ARGUMENT, density,
                 "`log_q` is NULL");
    CHECK(regflow_model_log_density(model, 0, NULL, 0, NULL, 0) == REGFLOW_SUCCESS);

    /* Numbers that are none have no density, and leave their neighbours alone. */
    CHECK(regflow_model_log_density(model, 3, positions, length, log_q, 3) == REGFLOW_SUCCESS);
    positions[0] = NAN;
    positions[2 * width] = INFINITY;
    CHECK(regflow_model_log_density(model, 3, positions, length, again, 3) == REGFLOW_SUCCESS);
    CHECK(again[0] == -INFINITY && again[2] == -INFINITY);
    CHECK(close_to(again[1], log_q[1]));

    /* Atoms that coincide: an error, or no density, but no number that looks like one. */
    memset(positions, 0, length * sizeof *positions);
    regflow_status_t status = regflow_model_log_density(model, 3, positions, length, again, 3);
    if (status == REGFLOW_SUCCESS) {
        CHECK(again[0] == -INFINITY && again[1] == -INFINITY && again[2] == -INFINITY);
    } else {
        EXPECT_ERROR(status, REGFLOW_ERROR_COMPUTE, density, "");
    }

    free(others);
    free(positions);
    CHECK(regflow_model_free(model) == REGFLOW_SUCCESS);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: %s MODEL MISSING_FILE CORRUPT_FILE\n", argv[0]);
        return EXIT_FAILURE;
    }
    CHECK(regflow_last_error()[0] == '\0');
    CHECK(regflow_api_version() == REGFLOW_API_VERSION);
    CHECK(strchr(regflow_version(), '.') != NULL);
    loading(argv[1], argv[2], argv[3]);
    without_model();
    with_model(argv[1]);
    printf("%d checks, %d failures\n", checks, failures);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

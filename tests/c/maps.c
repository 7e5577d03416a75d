/* The gradient of the log density and the maps of a model: what a careless caller may pass, and finite differences in units and an
 * order of the caller's.
 *
 * usage: maps MODEL...
 */
#include "check.h"

static double *normals(size_t n, double scale) {
    double *x = allocate(n, sizeof *x);
    uint64_t state = 99;
    for (size_t k = 0; k < n; k++) {
        double sum = -6.0;
        for (int i = 0; i < 12; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            sum += (double)(state >> 11) / 9007199254740992.0;
        }
        x[k] = scale * sum;
    }
    return x;
}

static void arguments(const regflow_model_t *model, size_t width, size_t d) {
    double *x = allocate(2 * width, sizeof *x), *g = allocate(2 * width, sizeof *g), *z = allocate(2 * d, sizeof *z);
    double *y = allocate(2 * d, sizeof *y), v[2] = {7.0, 7.0};
    int32_t *kinds = allocate(d, sizeof *kinds);
    size_t n_features = 0;
    FAILS(regflow_model_log_density_gradient(NULL, 2, x, 2 * width, v, 2, g, 2 * width), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_model_log_density_gradient(model, 2, NULL, 2 * width, v, 2, g, 2 * width), REGFLOW_ERROR_ARGUMENT,
          "`positions` is NULL");
    FAILS(regflow_model_log_density_gradient(model, 2, x, 2 * width, NULL, 2, g, 2 * width), REGFLOW_ERROR_ARGUMENT,
          "`log_q` is NULL");
    FAILS(regflow_model_log_density_gradient(model, 2, x, 2 * width, v, 2, NULL, 2 * width), REGFLOW_ERROR_ARGUMENT,
          "`gradient` is NULL");
    FAILS(regflow_model_log_density_gradient(model, 2, x, width, v, 2, g, 2 * width), REGFLOW_ERROR_LENGTH, "`positions_length`");
    FAILS(regflow_model_log_density_gradient(model, 2, x, 2 * width, v, 1, g, 2 * width), REGFLOW_ERROR_LENGTH, "`log_q_length`");
    FAILS(regflow_model_log_density_gradient(model, 2, x, 2 * width, v, 2, g, 0), REGFLOW_ERROR_LENGTH, "`gradient_length`");
    FAILS(regflow_model_log_density_gradient(model, SIZE_MAX, x, 2 * width, v, 2, g, 0), REGFLOW_ERROR_ARGUMENT, "`n`");
    SUCCEEDS(regflow_model_log_density_gradient(model, 0, NULL, 0, NULL, 0, NULL, 0));

    FAILS(regflow_model_n_features(NULL, &n_features), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_model_n_features(model, NULL), REGFLOW_ERROR_ARGUMENT, "`n_features` is NULL");
    FAILS(regflow_model_feature_kinds(NULL, kinds, d), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_model_feature_kinds(model, NULL, d), REGFLOW_ERROR_ARGUMENT, "`kinds` is NULL");
    FAILS(regflow_model_feature_kinds(model, kinds, d - 1), REGFLOW_ERROR_LENGTH, "`kinds_length`");

    FAILS(regflow_model_to_features(NULL, 2, x, 2 * width, z, 2 * d, v, 2), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_model_to_features(model, 2, NULL, 2 * width, z, 2 * d, v, 2), REGFLOW_ERROR_ARGUMENT, "`positions` is NULL");
    FAILS(regflow_model_to_features(model, 2, x, 2 * width, NULL, 2 * d, v, 2), REGFLOW_ERROR_ARGUMENT, "`features` is NULL");
    FAILS(regflow_model_to_features(model, 2, x, 2 * width, z, 2 * d, NULL, 2), REGFLOW_ERROR_ARGUMENT, "`log_volume` is NULL");
    FAILS(regflow_model_to_features(model, 2, x, width, z, 2 * d, v, 2), REGFLOW_ERROR_LENGTH, "`positions_length`");
    FAILS(regflow_model_to_features(model, 2, x, 2 * width, z, d, v, 2), REGFLOW_ERROR_LENGTH, "`features_length`");
    FAILS(regflow_model_to_features(model, 2, x, 2 * width, z, 2 * d, v, 1), REGFLOW_ERROR_LENGTH, "`log_volume_length`");
    SUCCEEDS(regflow_model_to_features(model, 0, NULL, 0, NULL, 0, NULL, 0));

    FAILS(regflow_model_to_positions(NULL, 2, z, 2 * d, x, 2 * width, v, 2), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_model_to_positions(model, 2, NULL, 2 * d, x, 2 * width, v, 2), REGFLOW_ERROR_ARGUMENT, "`features` is NULL");
    FAILS(regflow_model_to_positions(model, 2, z, 2 * d, NULL, 2 * width, v, 2), REGFLOW_ERROR_ARGUMENT, "`positions` is NULL");
    FAILS(regflow_model_to_positions(model, 2, z, d, x, 2 * width, v, 2), REGFLOW_ERROR_LENGTH, "`features_length`");
    FAILS(regflow_model_to_positions(model, 2, z, 2 * d, x, width, v, 2), REGFLOW_ERROR_LENGTH, "`positions_length`");
    FAILS(regflow_model_to_positions(model, 2, z, 2 * d, x, 2 * width, v, 3), REGFLOW_ERROR_LENGTH, "`log_volume_length`");

    FAILS(regflow_model_pull_back(NULL, 2, z, 2 * d, g, 2 * width, y, 2 * d), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_model_pull_back(model, 2, NULL, 2 * d, g, 2 * width, y, 2 * d), REGFLOW_ERROR_ARGUMENT, "`features` is NULL");
    FAILS(regflow_model_pull_back(model, 2, z, 2 * d, NULL, 2 * width, y, 2 * d), REGFLOW_ERROR_ARGUMENT,
          "`position_gradients` is NULL");
    FAILS(regflow_model_pull_back(model, 2, z, 2 * d, g, 2 * width, NULL, 2 * d), REGFLOW_ERROR_ARGUMENT,
          "`feature_gradients` is NULL");
    FAILS(regflow_model_pull_back(model, 2, z, d, g, 2 * width, y, 2 * d), REGFLOW_ERROR_LENGTH, "`features_length`");
    FAILS(regflow_model_pull_back(model, 2, z, 2 * d, g, width, y, 2 * d), REGFLOW_ERROR_LENGTH, "`position_gradients_length`");
    FAILS(regflow_model_pull_back(model, 2, z, 2 * d, g, 2 * width, y, d), REGFLOW_ERROR_LENGTH, "`feature_gradients_length`");

    FAILS(regflow_model_forward(NULL, 2, z, 2 * d, y, 2 * d, v, 2), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    FAILS(regflow_model_forward(model, 2, NULL, 2 * d, y, 2 * d, v, 2), REGFLOW_ERROR_ARGUMENT, "`prior` is NULL");
    FAILS(regflow_model_forward(model, 2, z, 2 * d, NULL, 2 * d, v, 2), REGFLOW_ERROR_ARGUMENT, "`features` is NULL");
    FAILS(regflow_model_forward(model, 2, z, 2 * d, y, 2 * d, NULL, 2), REGFLOW_ERROR_ARGUMENT, "`log_det` is NULL");
    FAILS(regflow_model_forward(model, 2, z, d, y, 2 * d, v, 2), REGFLOW_ERROR_LENGTH, "`prior_length`");
    FAILS(regflow_model_inverse(model, 2, z, d, y, 2 * d, v, 2), REGFLOW_ERROR_LENGTH, "`features_length`");
    FAILS(regflow_model_inverse(model, 2, z, 2 * d, y, d, v, 2), REGFLOW_ERROR_LENGTH, "`prior_length`");
    FAILS(regflow_model_inverse(model, 2, z, 2 * d, y, 2 * d, v, 1), REGFLOW_ERROR_LENGTH, "`log_det_length`");
    FAILS(regflow_model_inverse(NULL, 0, NULL, 0, NULL, 0, NULL, 0), REGFLOW_ERROR_ARGUMENT, "`model` is NULL");
    CHECK(v[0] == 7.0 && v[1] == 7.0 && n_features == 0);
    free(kinds);
    free(y);
    free(z);
    free(g);
    free(x);
}

/* Rows that are not finite, and rows that are no molecule, leave their neighbours alone. */
static void bad_rows(const regflow_model_t *model, size_t width, size_t d) {
    double *x = allocate(3 * width, sizeof *x), *g = allocate(3 * width, sizeof *g), *h = allocate(width, sizeof *h);
    double *z = allocate(3 * d, sizeof *z), *y = normals(3 * width, 1.0), *s = allocate(3 * d, sizeof *s);
    double log_q[3], v[3], alone[1];
    SUCCEEDS(regflow_model_sample(model, 3, 4, 0, x, 3 * width, log_q, 3));
    x[0] = NAN;
    x[2 * width + 1] = INFINITY;
    SUCCEEDS(regflow_model_log_density_gradient(model, 3, x, 3 * width, log_q, 3, g, 3 * width));
    SUCCEEDS(regflow_model_log_density_gradient(model, 1, x + width, width, alone, 1, h, width));
    CHECK(log_q[0] == -INFINITY && log_q[2] == -INFINITY && close_to(log_q[1], alone[0]));
    for (size_t k = 0; k < width; k++) {
        CHECK(g[k] == 0.0 && g[2 * width + k] == 0.0);
        CHECK(fabs(g[width + k] - h[k]) <= 1e-2 + 1e-3 * fabs(h[k]));
    }
    FAILS(regflow_model_to_features(model, 3, x, 3 * width, z, 3 * d, v, 3), REGFLOW_ERROR_COMPUTE, "");

    SUCCEEDS(regflow_model_sample(model, 3, 4, 0, x, 3 * width, log_q, 3));
    SUCCEEDS(regflow_model_to_features(model, 3, x, 3 * width, z, 3 * d, v, 3));
    z[0] = NAN;
    for (size_t k = 0; k < d; k++) {
        z[2 * d + k] = -1e6;
    }
    SUCCEEDS(regflow_model_to_positions(model, 3, z, 3 * d, x, 3 * width, v, 3));
    CHECK(v[0] == -INFINITY && isfinite(v[1]));
    y[width] = NAN;
    SUCCEEDS(regflow_model_pull_back(model, 3, z, 3 * d, y, 3 * width, s, 3 * d));
    for (size_t k = 0; k < 2 * d; k++) {
        CHECK(s[k] == 0.0);
    }
    SUCCEEDS(regflow_model_forward(model, 3, z, 3 * d, s, 3 * d, v, 3));
    CHECK(isfinite(v[1]));
    free(s);
    free(y);
    free(z);
    free(h);
    free(g);
    free(x);
}

/* Along random directions, against central differences of log_q (in single precision: a step of 1e-3 nm, small beside the 3e-3 nm
 * by which a bond varies, for a fourth-order formula) and of the volume, which is in double precision. */
static void differences(const regflow_model_t *model, double length, size_t width, size_t d) {
    enum { N = 4 };
    const double offsets[4] = {2.0, 1.0, -1.0, -2.0};
    double *x = allocate(N * width, sizeof *x), *g = allocate(N * width, sizeof *g), *moved = allocate(N * width, sizeof *moved);
    double *z = allocate(N * d, sizeof *z), *slope = allocate(N * d, sizeof *slope), *there = allocate(N * d, sizeof *there);
    double log_q[N], v[N], found[4][N];
    SUCCEEDS(regflow_model_sample(model, N, 11, 0, x, N * width, log_q, N));
    SUCCEEDS(regflow_model_log_density_gradient(model, N, x, N * width, log_q, N, g, N * width));
    double *direction = normals(N * width, 3e-4 * length);
    for (int o = 0; o < 4; o++) {
        for (size_t k = 0; k < N * width; k++) {
            moved[k] = x[k] + offsets[o] * direction[k];
        }
        SUCCEEDS(regflow_model_log_density(model, N, moved, N * width, found[o], N));
    }
    for (size_t i = 0; i < N; i++) {
        double sum = 0.0, size = 0.0;
        for (size_t k = i * width; k < (i + 1) * width; k++) {
            sum += g[k] * direction[k];
            size += fabs(g[k] * direction[k]);
        }
        const double expected = (8.0 * (found[1][i] - found[2][i]) - (found[0][i] - found[3][i])) / 12.0;
        CHECK(fabs(sum - expected) < 0.02 * size + 2e-3);
    }
    free(direction);

    /* The gradient of a . x + log_volume by features. */
    SUCCEEDS(regflow_model_to_features(model, N, x, N * width, z, N * d, v, N));
    double *a = normals(N * width, 1.0 / length);
    SUCCEEDS(regflow_model_pull_back(model, N, z, N * d, a, N * width, slope, N * d));
    direction = normals(N * d, 1e-4);
    for (int o = 0; o < 4; o++) {
        for (size_t k = 0; k < N * d; k++) {
            there[k] = z[k] + offsets[o] * direction[k];
        }
        SUCCEEDS(regflow_model_to_positions(model, N, there, N * d, moved, N * width, found[o], N));
        for (size_t k = 0; k < N * width; k++) {
            found[o][k / width] += a[k] * moved[k];
        }
    }
    for (size_t i = 0; i < N; i++) {
        double sum = 0.0, size = 0.0;
        for (size_t k = i * d; k < (i + 1) * d; k++) {
            sum += slope[k] * direction[k];
            size += fabs(slope[k] * direction[k]);
        }
        const double expected = (8.0 * (found[1][i] - found[2][i]) - (found[0][i] - found[3][i])) / 12.0;
        CHECK(fabs(sum - expected) < 1e-6 * size + 1e-10);
    }
    free(a);
    free(direction);
    free(there);
    free(slope);
    free(z);
    free(moved);
    free(g);
    free(x);
}

/* log q is the prior's density, the flow's determinant and the volume. */
static void parts(const regflow_model_t *model, size_t width, size_t d) {
    enum { N = 5 };
    double *x = allocate(N * width, sizeof *x), *z = allocate(N * d, sizeof *z), *prior = allocate(N * d, sizeof *prior);
    int32_t *kinds = allocate(d, sizeof *kinds);
    double log_q[N], v[N], inverse[N];
    SUCCEEDS(regflow_model_feature_kinds(model, kinds, d));
    SUCCEEDS(regflow_model_sample(model, N, 12, 0, x, N * width, log_q, N));
    SUCCEEDS(regflow_model_log_density(model, N, x, N * width, log_q, N));
    SUCCEEDS(regflow_model_to_features(model, N, x, N * width, z, N * d, v, N));
    SUCCEEDS(regflow_model_inverse(model, N, z, N * d, prior, N * d, inverse, N));
    for (size_t i = 0; i < N; i++) {
        const double log_two_pi = log(2.0 * acos(-1.0));
        double sum = inverse[i] - v[i];
        for (size_t k = 0; k < d; k++) {
            const double at = prior[i * d + k];
            CHECK(kinds[k] == REGFLOW_FEATURE_REAL || kinds[k] == REGFLOW_FEATURE_CIRCULAR);
            sum -= kinds[k] == REGFLOW_FEATURE_CIRCULAR ? log_two_pi : 0.5 * (log_two_pi + at * at);
        }
        CHECK(close_to(log_q[i], sum));
    }
    free(kinds);
    free(prior);
    free(z);
    free(x);
}

static void with_model(const char *path) {
    regflow_model_t *model = NULL;
    regflow_units_t units = {0};
    size_t n_atoms = 0, d = 0;
    SUCCEEDS(regflow_model_load(path, NULL, &model));
    if (model == NULL) {
        return;
    }
    SUCCEEDS(regflow_model_n_atoms(model, &n_atoms));
    SUCCEEDS(regflow_model_n_features(model, &d));
    CHECK(d == 3 * n_atoms || d == 3 * n_atoms - 6);
    arguments(model, 3 * n_atoms, d);
    bad_rows(model, 3 * n_atoms, d);
    differences(model, 1.0, 3 * n_atoms, d);
    parts(model, 3 * n_atoms, d);
    /* In Angstrom, with the atoms turned round by one place. */
    size_t *order = allocate(n_atoms, sizeof *order);
    for (size_t i = 0; i < n_atoms; i++) {
        order[i] = (i + 1) % n_atoms;
    }
    units.struct_size = sizeof units;
    SUCCEEDS(regflow_units_named("lammps-real", &units));
    SUCCEEDS(regflow_model_set_units(model, &units));
    SUCCEEDS(regflow_model_set_atom_order(model, order, n_atoms));
    differences(model, 10.0, 3 * n_atoms, d);
    parts(model, 3 * n_atoms, d);
    free(order);
    SUCCEEDS(regflow_model_free(model));
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        with_model(argv[i]);
    }
    return summary();
}

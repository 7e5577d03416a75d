/* The parts of a model: prior, flow, features, coordinates, and how their densities fit together.
 *
 *     cc -std=c99 features.c -lregflow -lm -o features
 *     ./features model.safetensors
 *
 * Draws a configuration, takes it to features and on to the prior and all the way back, and puts log q together from the parts. Then
 * it takes the gradient of log q from positions to features, where a sampler of features needs it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <regflow.h>

static int failed(regflow_status_t status) {
    if (status != REGFLOW_SUCCESS) {
        fprintf(stderr, "error %d: %s\n", (int)status, regflow_last_error());
    }
    return status != REGFLOW_SUCCESS;
}

/* Log density of a point of the prior: independent normal numbers and uniform angles. */
static double log_prior(const double *point, const int32_t *kinds, size_t d) {
    const double log_two_pi = log(2.0 * acos(-1.0));
    double sum = 0.0;
    for (size_t k = 0; k < d; k++) {
        sum -= kinds[k] == REGFLOW_FEATURE_CIRCULAR ? log_two_pi : 0.5 * (log_two_pi + point[k] * point[k]);
    }
    return sum;
}

static double largest_difference(const double *a, const double *b, size_t n, const int32_t *kinds) {
    double largest = 0.0;
    for (size_t k = 0; k < n; k++) {
        const double difference = a[k] - b[k];
        const int turns = kinds != NULL && kinds[k] == REGFLOW_FEATURE_CIRCULAR;
        largest = fmax(largest, fabs(turns ? remainder(difference, 2.0 * acos(-1.0)) : difference));
    }
    return largest;
}

static int show(const regflow_model_t *model, size_t width, size_t d, double *memory, int32_t *kinds) {
    double *x = memory, *again = x + width, *gradient = again + width;
    double *z = gradient + width, *prior = z + d, *back = prior + d, *slope = back + d;
    double log_q, scored, volume, volume_again, inverse, forward;
    if (failed(regflow_model_feature_kinds(model, kinds, d)) || failed(regflow_model_sample(model, 1, 7, 0, x, width, &log_q, 1)) ||
        failed(regflow_model_to_features(model, 1, x, width, z, d, &volume, 1)) ||
        failed(regflow_model_inverse(model, 1, z, d, prior, d, &inverse, 1)) ||
        failed(regflow_model_forward(model, 1, prior, d, back, d, &forward, 1)) ||
        failed(regflow_model_to_positions(model, 1, z, d, again, width, &volume_again, 1)) ||
        failed(regflow_model_log_density_gradient(model, 1, x, width, &scored, 1, gradient, width)) ||
        failed(regflow_model_pull_back(model, 1, z, d, gradient, width, slope, d))) {
        return 1;
    }
    printf("features %lu\n", (unsigned long)d);
    printf("drawn log q %.10g\nscored log q %.10g\n", log_q, scored);
    printf("prior %.10g + flow %.10g - volume %.10g = %.10g\n", log_prior(prior, kinds, d), inverse, volume,
           log_prior(prior, kinds, d) + inverse - volume);
    printf("forward and inverse log det %.3g\n", fabs(forward + inverse));
    printf("volume both ways %.3g\n", fabs(volume - volume_again));
    printf("features there and back %.3g\n", largest_difference(z, back, d, kinds));
    /* Of a sample, which is in the frame of the model. */
    printf("positions there and back %.3g\n", largest_difference(x, again, width, NULL));
    /* log q = log density of the features - volume, and pulling back adds the gradient of the volume: this is that of the former. */
    double norm = 0.0;
    for (size_t k = 0; k < d; k++) {
        norm += slope[k] * slope[k];
    }
    printf("slope of the features' log density %.6g\n", sqrt(norm));
    return 0;
}

int main(int argc, char **argv) {
    regflow_model_t *model = NULL;
    size_t n_atoms = 0, d = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: %s MODEL\n", argv[0]);
        return EXIT_FAILURE;
    }
    if (failed(regflow_model_load(argv[1], NULL, &model))) {
        return EXIT_FAILURE;
    }
    int failure = failed(regflow_model_n_atoms(model, &n_atoms)) || failed(regflow_model_n_features(model, &d));
    double *memory = calloc(3 * (3 * n_atoms) + 4 * d + 1, sizeof *memory);
    int32_t *kinds = calloc(d + 1, sizeof *kinds);
    failure = failure || memory == NULL || kinds == NULL || show(model, 3 * n_atoms, d, memory, kinds);
    free(kinds);
    free(memory);
    failure = failed(regflow_model_free(model)) || failure;
    return failure ? EXIT_FAILURE : EXIT_SUCCESS;
}

#include <regflow.h>
#include <stdio.h>

int main(int argc, char **argv) {
    regflow_model_t *model = NULL;
    size_t n_atoms = 0;
    if (argc != 2 || regflow_model_load(argv[1], NULL, &model) != REGFLOW_SUCCESS ||
        regflow_model_n_atoms(model, &n_atoms) != REGFLOW_SUCCESS) {
        fprintf(stderr, "%s\n", regflow_last_error());
        return 1;
    }
    printf("%s %lu\n", regflow_version(), (unsigned long)n_atoms);
    return regflow_model_free(model);
}

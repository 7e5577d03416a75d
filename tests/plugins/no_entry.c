/* A shared library that is no plugin. */
int regflow_unrelated(void) {
    return 1;
}

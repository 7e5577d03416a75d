/* A library that is no plugin, and leaves a trace when it is loaded. */
#include <stdio.h>

__attribute__((constructor)) static void leave_a_trace(void) {
    FILE *file = fopen(TRACE, "w");
    if (file != NULL) {
        fclose(file);
    }
}

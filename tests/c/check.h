/* Checks of the C test programs: each failure is printed with its line, and main ends with `return summary();`. */
#ifndef CHECK_H
#define CHECK_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <regflow.h>

static int checks = 0;
static int failures = 0;

static inline void check(int line, int condition, const char *text) {
    checks++;
    if (!condition) {
        failures++;
        fprintf(stderr, "line %d: not so: %s (last error: \"%s\")\n", line, text, regflow_last_error());
    }
}

/* The call must come back with this status and a message that begins with the name of the function and contains `part`. */
static inline void expect(int line, regflow_status_t status, regflow_status_t expected, const char *call, const char *part) {
    const char *message = regflow_last_error();
    const size_t name = strcspn(call, "(");
    checks++;
    if (status != expected || strncmp(message, call, name) != 0 || message[name] != ':' || strstr(message, part) == NULL) {
        failures++;
        fprintf(stderr, "line %d: status %d, expected %d; message \"%s\" should begin with \"%.*s:\" and contain \"%s\"\n", line,
                (int)status, (int)expected, message, (int)name, call, part);
    }
}

#define CHECK(condition) check(__LINE__, (condition), #condition)
#define SUCCEEDS(call) CHECK((call) == REGFLOW_SUCCESS)
#define FAILS(call, expected, part) expect(__LINE__, (call), (expected), #call, (part))

static inline int close_to(double a, double b) {
    return a == b || fabs(a - b) <= 1e-3 + 1e-4 * fabs(b);
}

/* Memory, or the end of the program. */
static inline void *allocate(size_t n, size_t size) {
    void *memory = calloc(n, size);
    if (memory == NULL) {
        fprintf(stderr, "not enough memory\n");
        exit(EXIT_FAILURE);
    }
    return memory;
}

static inline int summary(void) {
    printf("%d checks, %d failures\n", checks, failures);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif

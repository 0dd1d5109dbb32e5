/* For the tests of jobs/he: plain programs without a test library, so that one binary can be copied to
 * a machine that has the instructions to be tested. A failed check prints where, and the program goes
 * on; main() returns he_report(). */
#ifndef SKY_TESTS_HE_HE_CHECK_H
#define SKY_TESTS_HE_HE_CHECK_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/he/he_internal.h"
#include "tests/base/property.h"

static int he_failures, he_checks;

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        he_checks++;                                                                               \
        if (!(condition)) {                                                                        \
            he_failures++;                                                                         \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
        }                                                                                          \
    } while (0)

/* A step that must succeed. */
#define MUST(call)                                                                                 \
    do {                                                                                           \
        sky_error must_error = {0}, *e = &must_error;                                              \
        (void)e;                                                                                   \
        sky_err must_code = (call);                                                                \
        if (must_code) {                                                                           \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call,                          \
                    must_error.text[0] ? must_error.text : sky_strerror(must_code));               \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* A call that must fail with a named fault. */
#define FAULT(name, call)                                                                          \
    do {                                                                                           \
        sky_error fault_error = {0}, *e = &fault_error;                                            \
        (void)e;                                                                                   \
        sky_err fault_code = (call);                                                               \
        CHECK(fault_code &&sky_he_fault_of(&fault_error) == SKY_HE_##name,                         \
              "expected '%s', got '%s'", sky_he_fault_text(SKY_HE_##name),                         \
              fault_code ? fault_error.text : "success");                                          \
    } while (0)

static inline int he_report(const char *program)
{
    printf("%s: %d checks, %d failed\n", program, he_checks, he_failures);
    return he_failures || !he_checks ? 1 : 0;
}

/* The kernels that this processor can run, and the emulated AVX-512 ones. */
static inline size_t he_all_kernels(const he_kernels *out[4])
{
    size_t n = 0;
    out[n++] = &he_kernels_portable;
    if (sky_he_path_available(SKY_HE_AVX2))
        out[n++] = he_kernels_for(SKY_HE_AVX2);
    if (sky_he_path_available(SKY_HE_IFMA))
        out[n++] = he_kernels_for(SKY_HE_IFMA);
    out[n++] = &he_kernels_ifma_emulated;
    return n;
}

#endif

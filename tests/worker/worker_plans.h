/* Plans from short sweep files, for the tests of worker/. */
#ifndef SKY_TESTS_WORKER_PLANS_H
#define SKY_TESTS_WORKER_PLANS_H

#include "sweeps/plan.h"

/* Parses a sweep file; ends the test program with the message if it has an error. */
sky_plan *test_plan(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif

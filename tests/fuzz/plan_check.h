/* What the fuzz targets of sweeps/ ask of every plan that was accepted. */
#ifndef SKY_TESTS_FUZZ_PLAN_CHECK_H
#define SKY_TESTS_FUZZ_PLAN_CHECK_H

#include "sweeps/plan.h"

void require(int holds); /* aborts if not: fuzzers run with and without assertions */
/* Decodes points from both ends and between, compiles the filter, and loads the plan's text
 * again; all must agree. */
void check_plan(const sky_plan *p);

#endif

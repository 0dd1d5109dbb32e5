/* What the tests of sweeps/ share: two jobs, and short ways to read a plan from text. */
#ifndef SKY_TESTS_SWEEPS_FIXTURE_H
#define SKY_TESTS_SWEEPS_FIXTURE_H

#include "base/rng.h"
#include "sweeps/plan.h"

/* Criterion compares texts as char *. */
#define STR(x) ((char *)(uintptr_t)(const char *)(x))

/* The jobs `model` (parameters of each type, with ranges, choices, and one without default) and
 * `command` (open). */
extern const sky_job_lookup fixture_jobs;

/* The plan of a sweep file; fails the test with the message if there is none. Freed by the
 * caller. */
sky_plan *plan_of(const char *yaml);
sky_plan *plan_with(const char *yaml, const char *const *set);
/* A plan of the open job: space is the YAML of the space, rest are further lines (may be ""). */
sky_plan *plan_of_space(const char *space, const char *rest);
/* Asserts that the file is refused with a message that contains each of the texts up to NULL.
 * The file is named t.yaml in it. */
void refuses(const char *yaml, const char *const *texts);
void refuses_with(const char *yaml, const char *const *set, const char *const *texts);
#define REFUSES(yaml, ...) refuses((yaml), (const char *const[]){__VA_ARGS__, NULL})

/* Point's values with a blank between: "3 0.5 x -", - being absent. Static storage, two at a
 * time. */
const char *values_of(const sky_plan *p, uint64_t trial);
/* All positions' values in order, with ", " between. For small plans. */
const char *all_values(const sky_plan *p);
/* load(text(p)), asserted to have the same text; freed by the caller. */
sky_plan *reloaded(const sky_plan *p);

/* Columns for n rows of a plan's parameters, each with an absent array. */
typedef struct batch {
    sky_column columns[SKY_PARAMS_MAX];
    size_t n_columns;
} batch;
void batch_init(batch *b, const sky_plan *p, size_t n);
void batch_free(batch *b);

/* The seed of a random test, printed; SKY_TEST_SEED sets it. */
uint64_t test_seed(const char *what);

#endif

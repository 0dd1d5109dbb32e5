/* A plan: a sweep file, read, checked and resolved. Immutable, and independent of the file, the
 * job's code and this machine: the coordinator stores its canonical text, sends it to the
 * workers, and all of them decode the same positions to the same values.
 *
 * Words: a *point* has an index in [0, points). A *trial* = repeat * points + index. A
 * *position* is the place of a trial in the order of asking: position = repeat * points + k, and
 * trial = repeat * points + order(k), order being the identity or a seeded permutation. The
 * scheduler counts positions; the store's key is the trial. A position that `where` rejects is a
 * hole: nobody runs it, no trial is recorded. */
#ifndef SKY_SWEEPS_PLAN_H
#define SKY_SWEEPS_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/describe.h"
#include "base/err.h"
#include "base/value.h"

typedef struct sky_plan sky_plan;

/* Finds a job's descriptor by name for sky_plan_read(); NULL if there is none. The list function
 * serves "did you mean": returns the number of names, filling at most max. */
typedef struct sky_job_lookup {
    const sky_descriptor *(*find)(void *arg, const char *name);
    size_t (*names)(void *arg, const char **list, size_t max);
    /* Loads the file's plug-in (an absolute path) before its job is looked up; NULL: the caller
     * does not. */
    sky_err (*load)(void *arg, const char *plugin, sky_error *e);
    void *arg;
} sky_job_lookup;

typedef struct sky_plan_options {
    /* "key=value" overrides (--set), NULL-terminated, or NULL. key is a space axis (value: scalar
     * or YAML flow list/map) or a dotted path such as limits.timeout */
    const char *const *set;
    const char *name; /* replaces the file's name (--name), or NULL */
    sky_job_lookup jobs;
} sky_plan_options;

/* Limits of what a file may ask, each far above real use. */
enum {
    SKY_SWEEP_FILE_BYTES_MAX = 64 << 20, /* lists of points live in the file */
    SKY_AXES_MAX = 256,
    SKY_EXPRESSIONS_MAX = 256,
};
#define SKY_POINTS_MAX (UINT64_C(1) << 62) /* points x repeats stays a signed 64-bit number */

/* Reads a sweep file. Errors name file:line:column, what was found and what is allowed. Relative
 * CSV files are looked up beside the sweep file, and their content becomes part of the plan. */
sky_err sky_plan_read(sky_plan **out, const char *path, const sky_plan_options *options,
                      sky_error *e);
/* The same from memory; path is used in messages and for relative files. */
sky_err sky_plan_parse(sky_plan **out, const char *text, size_t len, const char *path,
                       const sky_plan_options *options, sky_error *e);
/* Reads the canonical text that sky_plan_text() gave. It needs no job lookup. */
sky_err sky_plan_load(sky_plan **out, const char *text, size_t len, sky_error *e);
void sky_plan_free(sky_plan *p); /* NULL is fine */

/* The canonical text (JSON, one line per top-level key, stable order): equal texts, equal plans. */
const char *sky_plan_text(const sky_plan *p);
/* The part of it that a sweep's name is bound to: job and version, values of parameters that are
 * not swept, space, where, search and seed; of an open job also command and columns. Limits,
 * objectives, constraints, derived metrics, repeats, priority and resources are left out. */
const char *sky_plan_identity(const sky_plan *p);
/* A readable difference of two plans' identities, a line each ("space.array: 3 values, was 4"),
 * into b; false if they are the same. */
bool sky_plan_diff(const sky_plan *stored, const sky_plan *now, sky_buf *b);

const char *sky_plan_name(const sky_plan *p);
const char *const *sky_plan_tags(const sky_plan *p); /* NULL-terminated; NULL if none */
const char *sky_plan_workdir(const sky_plan *p);     /* absolute folder of the file, "" if none */
/* The job's descriptor. For an open job, its parameters and metrics are those of this file.
 * Parameters that are not swept have their default or the file's constant, and are decoded like
 * the others. */
const sky_descriptor *sky_plan_job(const sky_plan *p);
const char *const *sky_plan_command(const sky_plan *p); /* argv, NULL-terminated; NULL if none */
const char *sky_plan_plugin(const sky_plan *p);         /* absolute path; NULL if none */
uint64_t sky_plan_points(const sky_plan *p); /* of the grid, or asked for; before `where` */
uint32_t sky_plan_repeats(const sky_plan *p);
uint64_t sky_plan_positions(const sky_plan *p); /* points * repeats */
uint64_t sky_plan_seed(const sky_plan *p);

size_t sky_plan_where(const sky_plan *p, const sky_expression **out);
size_t sky_plan_derived(const sky_plan *p, const sky_expression **out);
size_t sky_plan_constraints(const sky_plan *p, const sky_expression **out);

size_t sky_plan_objectives(const sky_plan *p, const sky_objective **out);

typedef struct sky_limits {
    int64_t timeout_ns;    /* wall time of one trial; 0 = none. Default none */
    uint32_t attempts;     /* tries before quarantine. Default 3 */
    uint64_t memory_bytes; /* resident size of one executor; 0 = none. Default none */
    uint64_t
        failures; /* quarantined trials after which the sweep pauses; 0 = never. Default 1000 */
} sky_limits;

typedef struct sky_resources {
    uint32_t cpus;         /* default 1 */
    uint32_t gpus;         /* default 0 */
    uint64_t memory_bytes; /* reserved on the worker; default 0 */
} sky_resources;

const sky_limits *sky_plan_limits(const sky_plan *p);
const sky_resources *sky_plan_resources(const sky_plan *p);
int32_t sky_plan_priority(const sky_plan *p); /* higher first; default 0 */

/* The trial at a position and back. */
uint64_t sky_plan_trial(const sky_plan *p, uint64_t position);
uint64_t sky_plan_position(const sky_plan *p, uint64_t trial);
/* The seed of a trial: a hash of the plan's seed and the trial. With equal parameters, repeats
 * differ. */
uint64_t sky_plan_trial_seed(const sky_plan *p, uint64_t trial);

/* Decodes a trial: values[0..n_params) in the order of the descriptor. Texts live as long as the
 * plan. */
void sky_plan_decode(const sky_plan *p, uint64_t trial, sky_value *values);
/* Decodes n trials into n_params columns with room for n rows each (absent arrays set where the
 * plan has conditional axes; see sky_plan_has_absent()). Fast: under 100 ns a value. */
void sky_plan_decode_columns(const sky_plan *p, const uint64_t *trials, size_t n,
                             sky_column *columns);
/* Where in the file ("file:line:column") the text stands that sky_plan_decode() gave for this
 * parameter; NULL if it stands in none, as in a loaded plan, or is no text. */
const char *sky_plan_place(const sky_plan *p, size_t param, const sky_value *value);
bool sky_plan_has_absent(const sky_plan *p, size_t param); /* may this parameter be absent? */

/* `where`, compiled: which points are holes. Not thread-safe; one per thread. */
typedef struct sky_filter sky_filter;
sky_err sky_filter_new(sky_filter **out, const sky_plan *p, sky_error *e);
void sky_filter_free(sky_filter *f);
bool sky_filter_is_trivial(const sky_filter *f); /* no `where`: keeps everything */
/* keep[row] = 1 or 0 for n decoded rows. An expression that is NULL or 0 rejects. */
sky_err sky_filter_rows(sky_filter *f, const sky_column *columns, size_t n, uint8_t *keep,
                        sky_error *e);

#endif

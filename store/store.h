/* The store: one SQLite file that holds everything that outlives a process.
 *
 * One writer (the coordinator, which holds a lock for its life) and any number of readers. What is
 * recorded becomes durable, and may be acknowledged, when sky_store_commit() returns SKY_OK and not
 * before. docs/store.md is the specification of the file. Not thread-safe: one store object per thread. */
#ifndef SKY_STORE_STORE_H
#define SKY_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/describe.h"
#include "base/err.h"
#include "base/ranges.h"
#include "base/value.h"

typedef struct sky_store sky_store;
struct sqlite3;

enum {
    SKY_LOG_BYTES_MAX = 64 << 10,       /* of one failed trial's standard error, its end */
    SKY_SWEEP_LOG_BYTES_MAX = 64 << 20, /* of all distinct logs of one sweep */
    SKY_ARTIFACT_BYTES_MAX = 16 << 20,  /* of all artifacts of one trial */
};

/* Options for sky_store_open(). Zero-initialise; a zero field means its default. */
typedef struct sky_store_options {
    const char *path;         /* UTF-8 file name; borrowed until the call returns. Required */
    bool writer;              /* take the writer's lock; create the file if there is none */
    bool exclusive;           /* writer: allow a network file system (one process only then) */
    bool normal_sync;         /* synchronous=NORMAL: a power cut may roll back the last commits */
    uint32_t busy_timeout_ms; /* how long a reader waits; 0 = 5000 */
    const char *vfs;          /* SQLite VFS name, for fault tests; NULL = the default */
} sky_store_options;

/* Opens or creates a store. On error *out is untouched.
 * SKY_EVERSION: written by a newer Skyline. SKY_EBUSY: another coordinator has it (the message says which
 * process on which host). SKY_EFORMAT: no database, or not ours. SKY_EPERM, SKY_ENOTFOUND, SKY_EFULL;
 * SKY_EINVAL: a network file system without `exclusive`. */
sky_err sky_store_open(sky_store **out, const sky_store_options *options, sky_error *e);
/* Does a process write to the store at sky_store_path() now? Of a writer on another machine that ended badly, it says yes. */
bool sky_store_has_writer(const char *path);
/* Rolls back what is not committed. NULL is fine. */
void sky_store_close(sky_store *s);
const char *sky_store_path(const sky_store *s);
const char *sky_store_uuid(const sky_store *s); /* made when the file was made; 32 hex digits */
/* The connection, for modules that only read (export, columns). */
struct sqlite3 *sky_store_sqlite(sky_store *s);

/* ---- Sweeps ---- */

typedef enum sky_sweep_state {
    SKY_SWEEP_RUNNING,
    SKY_SWEEP_PAUSED, /* by a person, or by itself: reason says why */
    SKY_SWEEP_DONE,   /* every position is recorded, a hole, or quarantined */
    SKY_SWEEP_CANCELLED,
} sky_sweep_state;
const char *sky_sweep_state_name(sky_sweep_state s); /* "running", ... */

/* What makes a sweep's table and row. Borrowed until the call returns. */
typedef struct sky_sweep_spec {
    const char *name;
    const char *plan;     /* canonical text */
    const char *identity; /* the part that the name is bound to */
    const sky_descriptor *job;
    const sky_expression *derived; /* become virtual generated columns */
    size_t n_derived;
    const sky_expression *constraints; /* `sky_feasible`, a virtual generated column: 1 or 0 */
    size_t n_constraints;
    const sky_objective *objectives;
    size_t n_objectives;
    uint64_t points, positions; /* positions = points * repeats */
} sky_sweep_spec;

typedef struct sky_sweep_info {
    int64_t id;
    char *name, *plan, *identity, *reason, *job, *job_version;
    sky_sweep_state state;
    int32_t priority;
    uint64_t points, positions;
    uint64_t recorded;              /* rows */
    uint64_t holes;                 /* positions that `where` rejected */
    uint64_t failed;                /* quarantined */
    int64_t created_ms, updated_ms; /* wall clock */
    double busy_s;                  /* executor time spent on recorded trials */
} sky_sweep_info;
void sky_sweep_info_free(sky_sweep_info *i); /* frees the strings, not i */

/* Makes the sweep's table and row (state running) in the open transaction, and gives its id.
 * SKY_EEXISTS: the name is taken. */
sky_err sky_store_sweep_create(sky_store *s, const sky_sweep_spec *spec, int64_t *id, sky_error *e);
/* Changes what may change under the same identity: plan text, derived, constraints, objectives,
 * positions. */
sky_err sky_store_sweep_update(sky_store *s, int64_t id, const sky_sweep_spec *spec, sky_error *e);
sky_err sky_store_sweep_state(sky_store *s, int64_t id, sky_sweep_state state, const char *reason,
                              sky_error *e);
sky_err sky_store_sweep_priority(sky_store *s, int64_t id, int32_t priority, sky_error *e);
/* SKY_ENOTFOUND if there is none (the message lists near names). */
sky_err sky_store_sweep_find(sky_store *s, const char *name, sky_sweep_info *out, sky_error *e);
/* All sweeps, oldest first; the caller frees each with sky_sweep_info_free() and the array with free(). */
sky_err sky_store_sweep_list(sky_store *s, sky_sweep_info **out, size_t *n, sky_error *e);

/* ---- Recording (writer). Everything up to sky_store_commit() is one transaction. ---- */

/* n rows of one sweep: trial numbers, parameter and metric columns in the descriptor's order. */
typedef struct sky_record {
    int64_t sweep;
    size_t n;
    const uint64_t *trials;
    const sky_column *params;
    const sky_column *metrics;
    const float *wall_s; /* per row; NULL: unknown */
    int64_t env;         /* from sky_store_env() */
    const sky_ranges
        *positions; /* what this settles: the rows' positions and the holes among them */
    uint64_t n_holes;
} sky_record;

/* A copy of a recorded trial is not stored again; *duplicates counts them, and *differing those of them
 * whose exact metrics differ from what is stored (the job is not deterministic). Both may be NULL. */
sky_err sky_store_record(sky_store *s, const sky_record *r, uint64_t *duplicates,
                         uint64_t *differing, sky_error *e);

typedef enum sky_failure_kind {
    SKY_FAILURE_ERROR, /* the job returned an error, or a NaN */
    SKY_FAILURE_CRASH, /* a signal, or an exit of the executor */
    SKY_FAILURE_TIMEOUT,
    SKY_FAILURE_MEMORY,
    SKY_FAILURE_LOST, /* its workers were lost again and again */
} sky_failure_kind;
const char *sky_failure_kind_name(sky_failure_kind k); /* "error", "crash", ... */

typedef struct sky_failure {
    int64_t sweep;
    uint64_t position, trial;
    uint32_t attempts; /* charged so far, this one included */
    bool quarantined;  /* final; otherwise it is only counted and will be tried again */
    sky_failure_kind kind;
    const char *reason; /* one line */
    const char *log;    /* the end of standard error; cut to SKY_LOG_BYTES_MAX. May be NULL */
    size_t log_len;
    int64_t env;
} sky_failure;
sky_err sky_store_fail(sky_store *s, const sky_failure *f, sky_error *e);
/* Puts quarantined trials back (all, or those of one kind if kind >= 0); their positions into *out. */
sky_err sky_store_retry(sky_store *s, int64_t sweep, int kind, sky_ranges *positions_out,
                        sky_error *e);

sky_err sky_store_curve(sky_store *s, int64_t sweep, uint64_t trial, int64_t step, size_t n,
                        const char *const *names, const double *values, sky_error *e);
sky_err sky_store_artifact(sky_store *s, int64_t sweep, uint64_t trial, const char *name,
                           const void *bytes, size_t len, sky_error *e);
/* The id of an environment (a JSON text: host, CPU, libraries, commit), stored once. */
sky_err sky_store_env(sky_store *s, const char *json, int64_t *id, sky_error *e);

/* Makes everything since the last commit durable. *seq (may be NULL) is the number of the newest commit
 * record. On error everything since the last commit is rolled back: nothing of it may be acknowledged.
 * With nothing to commit it is cheap and succeeds. */
sky_err sky_store_commit(sky_store *s, uint64_t *seq, sky_error *e);
void sky_store_rollback(sky_store *s);
bool sky_store_dirty(const sky_store *s); /* is there anything to commit? */

/* ---- Recovery ---- */

/* What is settled: recorded positions and holes into *done, quarantined positions into *failed. */
sky_err sky_store_settled(sky_store *s, int64_t sweep, sky_ranges *done, sky_ranges *failed,
                          sky_error *e);
/* Calls fn for each position that was charged attempts but is not quarantined. */
sky_err sky_store_attempts(sky_store *s, int64_t sweep,
                           void (*fn)(void *arg, uint64_t position, uint32_t attempts), void *arg,
                           sky_error *e);
/* A number that grows each time a coordinator starts on this file: the high half of lease numbers. */
sky_err sky_store_next_epoch(sky_store *s, uint32_t *epoch, sky_error *e);

#endif

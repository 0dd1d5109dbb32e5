/* The executor's state: only for the executor and its tests.
 *
 * executor.c: the process and its channel. executor_eval.c: a lease, chunk by chunk.
 * executor_part.c: the result being gathered. executor_ctx.c: what a job may ask for. */
#ifndef SKY_WORKER_EXECUTOR_INTERNAL_H
#define SKY_WORKER_EXECUTOR_INTERNAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/ranges.h"
#include "jobs/job.h"
#include "sweeps/plan.h"
#include "wire/msg.h"
#include "worker/executor.h"

enum {
    SKY__FLUSH_MS = 50,                  /* a result leaves at least this often while trials end */
    SKY__BATCH_MS = 10,                  /* how long one call of run_batch() should take */
    SKY__BATCH_ROWS_MAX = 4096,          /* of one call: its columns stay in the cache */
    SKY__POINT_ROWS_MAX = 256,           /* decoded ahead for run() */
    SKY__PART_ROWS_MAX = 8192,           /* of one result */
    SKY__PART_ROWS_MIN = 64,             /* the same for a sweep of very many columns */
    SKY__PART_BYTES_MAX = 8 << 20,       /* of columns, and of texts and artifacts, in one result */
    SKY__ARTIFACTS_BYTES_MAX = 16 << 20, /* of one trial: jobs/job.h says so */
    SKY__CURVE_STEPS_MAX = 1 << 15,      /* values of one trial that are kept */
    SKY__SETUP_FAILURES_MAX = 64,        /* positions charged per lease when no trial can run */
    SKY__LOG_FILE_MAX = 4 << 20,         /* standard error is cut between trials above this */
};

/* The result being gathered: what became of positions since the last one was sent. Its rows are the first
 * n_ok of the executor's columns. */
typedef struct sky__part {
    sky_ranges ok, holes, returned;
    size_t n_ok;
    sky_failed_attempt *failed;
    size_t n_failed, cap_failed;
    sky_curve_step *curve;
    size_t n_curve, cap_curve;
    sky_artifact *artifacts;
    size_t n_artifacts, cap_artifacts;
    sky_arena texts; /* of all of these, and of text metrics */
    int64_t begin_ns;
} sky__part;

typedef struct sky__executor {
    int fd;
    sky_executor_page *page;

    /* of the plan */
    sky_plan *plan;
    int64_t sweep;
    const sky_job *job;
    const sky_descriptor *d; /* the plan's: an open job's own has no parameters */
    sky_filter *filter;
    sky_error setup; /* why nothing can run */
    sky_arena perm;  /* the arrays below */
    size_t rows_max;
    sky_column *params, *metrics;       /* of the part's rows, then of the chunk at hand */
    sky_column *params_at, *metrics_at; /* scratch: the same from a row on */
    float *wall_s;
    uint64_t *positions, *trials, *seeds; /* of the chunk */
    uint8_t *keep;                        /* of the chunk: passes `where` */
    const char **reasons;                 /* of the chunk: why a row failed, or NULL */
    sky_value *row_params, *row_metrics;

    /* of the lease */
    const sky_msg_lease *lease;
    size_t next_range;
    uint64_t next_offset;
    int64_t row_ns; /* how long a row of run_batch() took last; 0 = unknown */
    size_t batch_rows;

    /* of the trial */
    sky_job_ctx ctx;
    sky_arena scratch;
    uint64_t position;
    uint64_t log_begin;
    size_t trial_curve, trial_artifacts; /* of the part, when the trial began */
    size_t trial_artifact_bytes;

    sky__part part;
    sky_buf frame;
} sky__executor;

/* executor.c */
bool sky__executor_send(sky__executor *x); /* x->frame, whole; false when the agent is gone */
bool sky__executor_stopping(const sky__executor *x);
void sky__executor_running(sky__executor *x, uint64_t begin, uint64_t end, int64_t now_ns);
void sky__executor_idle(sky__executor *x);
/* What standard error got since the trial began, at most its last 64 KiB; NULL if nothing. In scratch. */
const char *sky__executor_log(sky__executor *x);
_Noreturn void
sky__executor_die(const char *why); /* out of memory and the like: the agent sees a crash */

/* executor_eval.c */
sky_err sky__executor_columns(sky__executor *x); /* allocates the arrays for x->d */
bool sky__executor_lease(sky__executor *x,
                         const sky_msg_lease *l); /* false when the agent is gone */

/* executor_part.c: all end the process when out of memory */
void sky__part_add(sky_ranges *s, uint64_t begin, uint64_t end);
void sky__part_fail(sky__executor *x, uint64_t position, const char *reason, const char *log);
void sky__part_curve(sky__executor *x, int64_t step, const char *name, double value);
void sky__part_artifact(sky__executor *x, const char *name, const void *bytes, size_t len);
void sky__part_forget_trial(sky__executor *x); /* its curve and artifacts: the attempt failed */
bool sky__part_is_due(const sky__executor *x, int64_t now_ns);
bool sky__part_send(sky__executor *x, bool last, int64_t now_ns); /* false when the agent is gone */
void sky__part_free(sky__part *p);

/* executor_ctx.c */
void sky__executor_ctx_init(sky__executor *x);

#endif

/* The job interface: what an evaluator is to Skyline.
 *
 * A job is a function of its parameters, its seed and its inputs. Built-in jobs, and plug-ins (.so files
 * built against this header alone: see docs/own-job.md and examples/plugin/), fill in a sky_job. */
#ifndef SKY_JOBS_JOB_H
#define SKY_JOBS_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/describe.h"
#include "base/err.h"
#include "base/value.h"

/* Grows when a field changes meaning; the loader refuses a plug-in of another version. */
enum { SKY_JOB_ABI = 2 };

typedef struct sky_job_ctx sky_job_ctx;

/* What a running evaluation may ask of its surroundings. The functions are called through the struct so
 * that a plug-in links against nothing. Any of them may be called at any time during run(). */
struct sky_job_ctx {
    uint64_t seed;      /* of this trial; equal for equal (sweep seed, trial) */
    uint64_t trial;     /* its number */
    uint32_t threads;   /* how many the lease allows; BLAS pools are already limited to it */
    const char *gpus;   /* "" or a list like "0,1"; CUDA_VISIBLE_DEVICES is already set */
    sky_arena *scratch; /* memory freed when run() returns */
    const char *const *command; /* argv of the job `command`, NULL-terminated; else NULL */
    const char *workdir; /* the folder of the sweep file, for relative paths; "" if unknown */

    /* Reports one step of a curve: n named values. Returns true when the job should stop early: it then
     * returns SKY_ECANCELLED, or its metrics so far. */
    bool (*report)(sky_job_ctx *ctx, int64_t step, size_t n, const char *const *names,
                   const double *values);
    /* Stores bytes under a name beside the trial (at most 16 MiB a trial). The bytes are copied. */
    sky_err (*write_artifact)(sky_job_ctx *ctx, const char *name, const void *bytes, size_t len);
    /* Keeps, or brings back, one blob across attempts of this trial on this machine; load gives
     * SKY_ENOTFOUND on the first attempt. *bytes lives in scratch. */
    sky_err (*save_checkpoint)(sky_job_ctx *ctx, const void *bytes, size_t len);
    sky_err (*load_checkpoint)(sky_job_ctx *ctx, const void **bytes, size_t *len);
    /* True when the evaluation should end soon (cancelled, or the worker is stopping). Cheap. */
    bool (*stopping)(sky_job_ctx *ctx);
    /* In run_batch(): marks a row as failed with a reason; its metrics are then ignored. */
    void (*fail_row)(sky_job_ctx *ctx, size_t row, const char *reason);
    void *impl; /* the executor's own */

    /* For plug-ins, which link against nothing: zeroed memory from scratch (NULL when out of memory), and
     * appending to the CSV text of details(). */
    void *(*alloc)(sky_job_ctx *ctx, size_t bytes);
    void (*append)(sky_buf *text, const char *bytes, size_t len);
};

/* Fills a context with functions that do what is right without an executor: report() never stops, an
 * artifact is dropped, there is no checkpoint, nothing stops, fail_row() does nothing. scratch is
 * borrowed. An executor, `skyline eval` or a test then puts its own in place. Not for plug-ins. */
void sky_job_ctx_init(sky_job_ctx *ctx, sky_arena *scratch);

typedef struct sky_job {
    uint32_t abi; /* SKY_JOB_ABI */
    sky_descriptor d;

    /* Checks a combination of parameters beyond their single ranges. Optional. Called before run(), and
     * on some points before a sweep begins. */
    sky_err (*validate)(const sky_value *params, sky_error *e);

    /* Checks what params name outside themselves: files that are there and hold what they should, say.
     * Optional. Called where a sweep is checked or begun, on some points that validate() accepts, so that
     * a wrong path is an error before anything runs. ctx has workdir, command and scratch; d is the job's
     * own descriptor, or that of an open job's plan. The text begins with the parameter's name. */
    sky_err (*check_inputs)(sky_job_ctx *ctx, const sky_descriptor *d, const sky_value *params,
                            sky_error *e);

    /* An upper bound of the memory that run() takes, in bytes. Optional. Called on points that validate()
     * accepts: `skyline check` shows the largest beside what the sweep reserves, and a sweep whose limit is
     * below it gets a warning before it begins. */
    uint64_t (*bytes_needed)(const sky_value *params);

    /* Evaluates one point. params has d.n_params values in the order of d.params, each within its range;
     * metrics has d.n_metrics values, absent at first, to be filled. A text metric lives in scratch.
     * A NaN metric fails the trial. An error fails the attempt with e's text as the reason. */
    sky_err (*run)(sky_job_ctx *ctx, const sky_value *params, sky_value *metrics, sky_error *e);

    /* Evaluates n points of a job that takes microseconds, columnar: params[p] and metrics[m] are columns
     * of n rows; metric columns have their absent array set to all zero. ctx->trial and ctx->seed are
     * those of row 0; seeds[row] is each row's. Optional; used instead of run() when present. */
    sky_err (*run_batch)(sky_job_ctx *ctx, size_t n, const uint64_t *seeds,
                         const sky_column *params, sky_column *metrics, sky_error *e);

    /* Prints a breakdown (per layer, say) of one point for `skyline eval --details`, as CSV with a header
     * line. Optional. */
    sky_err (*details)(sky_job_ctx *ctx, const sky_value *params, sky_buf *csv, sky_error *e);

    /* For an open job (d.open): parameters and metrics come with the plan; run() gets them here. */
    sky_err (*run_open)(sky_job_ctx *ctx, const sky_descriptor *d, const sky_value *params,
                        sky_value *metrics, sky_error *e);
} sky_job;

/* What a plug-in exports under the name "skyline_plugin": a NULL-terminated list of jobs. */
typedef const sky_job *const *(*sky_plugin_fn)(void);
#define SKY_PLUGIN_SYMBOL "skyline_plugin"
#define SKY_PLUGIN_EXPORT __attribute__((visibility("default")))

#endif

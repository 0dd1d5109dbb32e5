/* The context of an evaluation that nobody supervises. */
#include <assert.h>

#include "base/buf.h"
#include "jobs/job.h"

static bool ignore_report(sky_job_ctx *ctx, int64_t step, size_t n, const char *const *names,
                          const double *values)
{
    (void)ctx, (void)step, (void)n, (void)names, (void)values;
    return false;
}

static sky_err drop_artifact(sky_job_ctx *ctx, const char *name, const void *bytes, size_t len)
{
    (void)ctx, (void)name, (void)bytes, (void)len;
    return SKY_OK;
}

static sky_err drop_checkpoint(sky_job_ctx *ctx, const void *bytes, size_t len)
{
    (void)ctx, (void)bytes, (void)len;
    return SKY_OK;
}

static sky_err no_checkpoint(sky_job_ctx *ctx, const void **bytes, size_t *len)
{
    (void)ctx, (void)bytes, (void)len;
    return SKY_ENOTFOUND;
}

static bool never_stopping(sky_job_ctx *ctx)
{
    (void)ctx;
    return false;
}

static void ignore_row(sky_job_ctx *ctx, size_t row, const char *reason)
{
    (void)ctx, (void)row, (void)reason;
}

static void *alloc_scratch(sky_job_ctx *ctx, size_t bytes)
{
    return sky_arena_alloc(ctx->scratch, bytes, 1, _Alignof(max_align_t));
}

static void append(sky_buf *text, const char *bytes, size_t len)
{
    sky_buf_add(text, bytes, len);
}

void sky_job_ctx_init(sky_job_ctx *ctx, sky_arena *scratch)
{
    assert(ctx && scratch);
    *ctx = (sky_job_ctx){
        .threads = 1,
        .gpus = "",
        .scratch = scratch,
        .workdir = "",
        .report = ignore_report,
        .write_artifact = drop_artifact,
        .save_checkpoint = drop_checkpoint,
        .load_checkpoint = no_checkpoint,
        .stopping = never_stopping,
        .fail_row = ignore_row,
        .alloc = alloc_scratch,
        .append = append,
    };
}

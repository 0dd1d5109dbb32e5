/* Job `noop`: y = x. It measures what Skyline itself costs per point. */
#include <string.h>

#include "jobs/jobs_internal.h"

static const sky_param params[] = {
    {.name = "x",
     .type = SKY_REAL,
     .unit = "",
     .doc = "any number",
     .def = {.type = SKY_REAL, .f = 0}},
};

static const sky_metric metrics[] = {
    {.name = "y", .type = SKY_REAL, .unit = "", .doc = "x", .goal = SKY_NO_GOAL, .cls = SKY_EXACT},
};

static sky_err run_batch(sky_job_ctx *ctx, size_t n, const uint64_t *seeds, const sky_column *in,
                         sky_column *out, sky_error *e)
{
    (void)ctx;
    (void)seeds;
    (void)e;
    if (n > 0)
        memcpy(out[0].f, in[0].f, n * sizeof *out[0].f);
    return SKY_OK;
}

const sky_job sky__job_noop = {
    .abi = SKY_JOB_ABI,
    .d = {.name = "noop",
          .version = "1",
          .summary = "Returns its parameter: for measuring what Skyline costs per point",
          .source = "",
          .params = params,
          .n_params = sizeof params / sizeof *params,
          .metrics = metrics,
          .n_metrics = sizeof metrics / sizeof *metrics},
    .run_batch = run_batch,
};

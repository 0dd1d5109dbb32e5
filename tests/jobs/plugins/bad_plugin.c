/* Plug-ins that must be refused. KIND picks the fault; each kind is a library of its own. */
#include "jobs/job.h"

static sky_err run(sky_job_ctx *ctx, const sky_value *params, sky_value *metrics, sky_error *e)
{
    (void)ctx, (void)params, (void)e;
    metrics[0] = sky_real(0);
    return SKY_OK;
}

static const sky_metric metrics[] = {{.name = "y", .type = SKY_REAL, .unit = "", .doc = ""}};
static const sky_param params[] = {
    {.name = "x", .type = SKY_REAL, .unit = "", .doc = "", .def = {.type = SKY_REAL}},
    {.name = "Y", .type = SKY_INT, .unit = "", .doc = "", .def = {.type = SKY_INT}},
};

static const sky_job good = {
    .abi = SKY_JOB_ABI,
    .d = {.name = "good_beside_bad",
          .version = "1",
          .summary = "",
          .source = "",
          .metrics = metrics,
          .n_metrics = 1},
    .run = run,
};

static const sky_job bad = {
#if KIND == 1                                               /* another version of the interface */
    .abi = SKY_JOB_ABI + 1, .d = {.name = (const char *)1}, /* must not be looked at */
#elif KIND == 2                                             /* the name of a built-in job */
    .abi = SKY_JOB_ABI,
    .d = {.name = "noop",
          .version = "1",
          .summary = "",
          .source = "",
          .metrics = metrics,
          .n_metrics = 1},
    .run = run,
#elif KIND == 3 /* a parameter and a metric whose names differ only by case */
    .abi = SKY_JOB_ABI,
    .d = {.name = "colliding",
          .version = "1",
          .summary = "",
          .source = "",
          .params = params,
          .n_params = 2,
          .metrics = metrics,
          .n_metrics = 1},
    .run = run,
#elif KIND == 4 /* nothing to run */
    .abi = SKY_JOB_ABI,
    .d = {.name = "idle",
          .version = "1",
          .summary = "",
          .source = "",
          .params = params,
          .n_params = 1,
          .metrics = metrics,
          .n_metrics = 1},
#endif
};

#if KIND != 5 /* 5: a library that is no plug-in */
SKY_PLUGIN_EXPORT const sky_job *const *skyline_plugin(void);
const sky_job *const *skyline_plugin(void)
{
    static const sky_job *const jobs[] = {&good, &bad, NULL};
    (void)params;
    return jobs;
}
#else
SKY_PLUGIN_EXPORT const void *something_else(void);
const void *something_else(void)
{
    return &good == &bad ? params : NULL;
}
#endif

/* The parts of the job `command` that its tests call one by one. The rules: docs/jobs/command.md. */
#ifndef SKY_JOBS_COMMAND_H
#define SKY_JOBS_COMMAND_H

#include "jobs/job.h"

/* The arguments of a point: placeholders of ctx->command filled in, or `--name=value` appended for each
 * parameter where no word has one. *argv_out is NULL-terminated and lives in ctx->scratch. */
sky_err sky__command_argv(sky_job_ctx *ctx, const sky_descriptor *d, const sky_value *params,
                          char ***argv_out, sky_error *e);

/* Reads the metrics out of one line of JSON. */
sky_err sky__command_metrics(sky_job_ctx *ctx, const sky_descriptor *d, const char *line,
                             size_t len, sky_value *metrics, sky_error *e);

#endif

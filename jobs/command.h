/* The job `command`: its line for a shell, and the parts that its tests call one by one. The rules: docs/jobs/command.md. */
#ifndef SKY_JOBS_COMMAND_H
#define SKY_JOBS_COMMAND_H

#include "jobs/job.h"

/* The arguments of a point: placeholders of ctx->command filled in, or `--name=value` appended for each
 * parameter where no word has one. *argv_out is NULL-terminated and lives in ctx->scratch. */
sky_err sky__command_argv(sky_job_ctx *ctx, const sky_descriptor *d, const sky_value *params,
                          char ***argv_out, sky_error *e);

/* Appends a line for a POSIX shell that runs the program of a point as an executor does: in its folder, with
 * its variables and arguments. Uses command, workdir, seed, trial and threads of ctx. */
sky_err sky_command_shell_line(sky_job_ctx *ctx, const sky_descriptor *d, const sky_value *params,
                               sky_buf *out, sky_error *e);

/* Reads the metrics out of one line of JSON. */
sky_err sky__command_metrics(sky_job_ctx *ctx, const sky_descriptor *d, const char *line,
                             size_t len, sky_value *metrics, sky_error *e);

#endif

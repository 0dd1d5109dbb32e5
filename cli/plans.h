/* Sweep files and jobs for commands: plug-ins loaded, names looked up, errors told. */
#ifndef SKY_CLI_PLANS_H
#define SKY_CLI_PLANS_H

#include "cli/cli.h"
#include "jobs/registry.h"
#include "sweeps/plan.h"

enum { CLI_JOBS_MAX = 1024 };

/* Loads $SKYLINE_PLUGINS and, where the command has it, --plugin. */
sky_err cli_load_plugins(const cli_args *a, bool has_option, sky_error *e);
sky_job_lookup cli_job_lookup(void);
/* Reads the sweep file with the command's --set, --name and --plugin. A mistake in the file is
 * told and gives false with *code = CLI_USAGE; a file that cannot be read gives CLI_FAILURE. */
bool cli_read_plan(const cli_args *a, const char *path, sky_plan **out, int *code);
/* Names of all jobs, sorted; returns how many. */
size_t cli_job_names(const char **names, size_t max);

#endif

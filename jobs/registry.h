/* The jobs that this program knows: the built-in ones and those of loaded plug-ins. */
#ifndef SKY_JOBS_REGISTRY_H
#define SKY_JOBS_REGISTRY_H

#include "jobs/job.h"

/* The named job, or NULL. Lives until the program ends. */
const sky_job *sky_job_find(const char *name);

/* All jobs in order of name: fills list with at most max and returns how many there are. */
size_t sky_job_list(const sky_job **list, size_t max);

/* Loads a plug-in and adds its jobs. Loading the same file twice is no error.
 * SKY_ENOTFOUND (no such file), SKY_EFORMAT (no plug-in, or a malformed descriptor), SKY_EVERSION
 * (another SKY_JOB_ABI), SKY_EEXISTS (a job's name is taken). */
sky_err sky_plugin_load(const char *path, sky_error *e);

/* Loads every plug-in named in $SKYLINE_PLUGINS (colon-separated files). */
sky_err sky_plugin_load_env(sky_error *e);

/* Checks params against the descriptor and validate(); the message names the parameter. */
sky_err sky_job_check(const sky_job *job, const sky_value *params, sky_error *e);

#endif

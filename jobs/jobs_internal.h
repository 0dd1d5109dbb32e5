/* What only this folder and its tests may use: the built-in jobs and the checks of the plug-in loader. */
#ifndef SKY_JOBS_JOBS_INTERNAL_H
#define SKY_JOBS_JOBS_INTERNAL_H

#include "jobs/job.h"
#include "jobs/registry.h"

extern const sky_job sky__job_command;
extern const sky_job sky__job_delta;
extern const sky_job sky__job_fault;
extern const sky_job sky__job_flexsa;
extern const sky_job sky__job_gemm;
extern const sky_job sky__job_he_conv;
extern const sky_job sky__job_he_network;
extern const sky_job sky__job_noop;
extern const sky_job sky__job_wavecore;

/* Limits of the registry: every job is a name that people choose from, so hundreds are plenty. */
enum {
    SKY__JOBS_MAX = 1024,
    SKY__JOB_TEXT_MAX = 4096, /* a name, unit or doc of a descriptor */
};

/* SKY_OK when the descriptor is one that the rest of Skyline can rely on: names that are identifiers
 * and distinct without regard to case (they become SQL columns), defaults inside their range, a
 * function to call. Otherwise SKY_EFORMAT, or SKY_EVERSION for another SKY_JOB_ABI. */
sky_err sky__job_wellformed(const sky_job *job, sky_error *e);

/* Adds n jobs, all or none. SKY_EEXISTS when a name is taken, SKY_ELIMIT when there are too many. */
sky_err sky__registry_add(const sky_job *const *jobs, size_t n, const char *from, sky_error *e);

#endif

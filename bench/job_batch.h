/* A job's points as an executor evaluates them, timed: columns of rows through run_batch(). For the
 * benches of the hardware models. A mistake ends the program with a message. */
#ifndef SKY_BENCH_JOB_BATCH_H
#define SKY_BENCH_JOB_BATCH_H

#include "jobs/registry.h"

typedef struct job_batch {
    const sky_job *job;
    size_t rows;
    sky_column in[SKY_PARAMS_MAX], out[SKY_METRICS_MAX];
} job_batch;

/* Every parameter of every row has its default. */
void job_batch_open(job_batch *b, const char *job, size_t rows);
void job_batch_close(job_batch *b);
/* A parameter's column, to be filled. */
sky_column *job_batch_param(job_batch *b, const char *name);

/* Microseconds of this process's processor time per row, the least of seven runs: on a shared
 * machine the others measure the neighbours. A row that fails is a mistake. */
double job_batch_us(job_batch *b);

#endif

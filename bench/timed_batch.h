/* A job's points as an executor evaluates them, timed: columns of rows through run_batch(). For the
 * benches of the hardware models. A mistake ends the program with a message. */
#ifndef SKY_BENCH_TIMED_BATCH_H
#define SKY_BENCH_TIMED_BATCH_H

#include "jobs/registry.h"

typedef struct timed_batch {
    const sky_job *job;
    size_t rows;
    sky_column in[SKY_PARAMS_MAX], out[SKY_METRICS_MAX];
} timed_batch;

/* Every parameter of every row has its default. */
void timed_batch_open(timed_batch *b, const char *job, size_t rows);
void timed_batch_close(timed_batch *b);
/* A parameter's column, to be filled. */
sky_column *timed_batch_param(timed_batch *b, const char *name);

/* Microseconds of this process's processor time per row, the least of seven runs: on a shared
 * machine the others measure the neighbours. A row that fails is a mistake. */
double timed_batch_us(timed_batch *b);

#endif

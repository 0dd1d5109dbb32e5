/* How long one matrix product on a systolic array takes to evaluate, one JSON object per line: the job
 * `gemm` through run_batch(), as an executor calls it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/rng.h"
#include "jobs/registry.h"

enum { ROWS = 100000, RUNS = 7, COLUMNS_MAX = 8 };

static sky_column column(sky_type type)
{
    sky_column c = {.type = type, .absent = calloc(ROWS, 1)};
    c.i = calloc(ROWS, sizeof *c.i);
    if (!c.i || !c.absent) {
        fputs("gemm_bench: out of memory\n", stderr);
        exit(1);
    }
    return c;
}

static void bench(const sky_job *job, const char *dataflow, const char *timing)
{
    sky_column in[COLUMNS_MAX], out[COLUMNS_MAX];
    sky_rng rng;
    sky_rng_init(&rng, 1, 0);
    for (size_t p = 0; p < job->d.n_params; p++) {
        in[p] = column(job->d.params[p].type);
        for (size_t i = 0; i < ROWS && in[p].type == SKY_INT; i++)
            in[p].i[i] =
                1 + (int64_t)sky_rng_below(&rng, p < 3 ? 4096 : 256); /* m, n, k; rows, cols */
        for (size_t i = 0; i < ROWS && in[p].type == SKY_TEXT; i++)
            in[p].s[i] = p + 1 == job->d.n_params ? timing : dataflow;
    }
    for (size_t m = 0; m < job->d.n_metrics; m++)
        out[m] = column(job->d.metrics[m].type);
    double best = 0;
    for (int run = 0; run < RUNS; run++) {
        int64_t begin = sky_clock_ns();
        job->run_batch(NULL, ROWS, NULL, in, out, NULL);
        double us = (double)(sky_clock_ns() - begin) / 1e3 / ROWS;
        if (run == 0 || us < best)
            best = us;
    }
    printf(
        "{\"bench\": \"gemm\", \"dataflow\": \"%s\", \"timing\": \"%s\", \"us_per_point\": %.4f, "
        "\"scale_sim\": \"1.2 to 55.6 s a layer (its exposed timing, measured on a like "
        "machine)\"}\n",
        dataflow, timing, best);
    for (size_t p = 0; p < job->d.n_params; p++)
        free(in[p].i), free(in[p].absent);
    for (size_t m = 0; m < job->d.n_metrics; m++)
        free(out[m].i), free(out[m].absent);
}

int main(void)
{
    const sky_job *job = sky_job_find("gemm");
    static const char *const dataflows[] = {"ws", "os", "is"}, *const timings[] = {"overlapped",
                                                                                   "exposed"};
    for (int t = 0; t < 2; t++) {
        for (int d = 0; d < 3; d++)
            bench(job, dataflows[d], timings[t]);
    }
    return 0;
}

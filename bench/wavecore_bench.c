/* How long job `wavecore` takes a point, one JSON object per line: through run_batch(), as an executor calls
 * it. Rows differ in the buffer's size, which changes every schedule, or in the width, for which
 * the network is prepared anew. Processor time of this thread, the least of several runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "jobs/registry.h"

enum { ROWS = 1000, RUNS = 7, COLUMNS_MAX = 64 };

typedef struct batch {
    const sky_job *job;
    sky_column in[COLUMNS_MAX], out[COLUMNS_MAX];
} batch;

static sky_column column(sky_type type)
{
    sky_column c = {.type = type, .absent = calloc(ROWS, 1)};
    c.i = calloc(ROWS, sizeof *c.i);
    if (!c.i || !c.absent) {
        fputs("wavecore_bench: out of memory\n", stderr);
        exit(1);
    }
    return c;
}

static void open_batch(batch *b)
{
    b->job = sky_job_find("wavecore");
    for (size_t p = 0; p < b->job->d.n_params; p++) {
        b->in[p] = column(b->job->d.params[p].type);
        for (size_t i = 0; i < ROWS; i++)
            sky_column_set(&b->in[p], i, &b->job->d.params[p].def);
    }
    for (size_t m = 0; m < b->job->d.n_metrics; m++)
        b->out[m] = column(b->job->d.metrics[m].type);
}

static void close_batch(batch *b)
{
    for (size_t p = 0; p < b->job->d.n_params; p++)
        free(b->in[p].i), free(b->in[p].absent);
    for (size_t m = 0; m < b->job->d.n_metrics; m++)
        free(b->out[m].i), free(b->out[m].absent);
}

static sky_column *param(batch *b, const char *name)
{
    size_t p = 0;
    while (strcmp(b->job->d.params[p].name, name) != 0)
        p++;
    return &b->in[p];
}

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static double us_per_point(batch *b)
{
    sky_arena scratch = {0};
    sky_job_ctx ctx;
    sky_job_ctx_init(&ctx, &scratch);
    double best = 0;
    for (int run = 0; run < RUNS; run++) {
        sky_error e = {0};
        const double begin = cpu_us();
        if (b->job->run_batch(&ctx, ROWS, NULL, b->in, b->out, &e) != SKY_OK) {
            fprintf(stderr, "wavecore_bench: %s\n", e.text);
            exit(1);
        }
        const double us = (cpu_us() - begin) / ROWS;
        if (run == 0 || us < best)
            best = us;
        sky_arena_reset(&scratch);
    }
    sky_arena_free(&scratch);
    return best;
}

static void bench(const char *network, const char *variant, const char *vary)
{
    batch b;
    open_batch(&b);
    for (size_t i = 0; i < ROWS; i++) {
        param(&b, "network")->s[i] = network;
        param(&b, "variant")->s[i] = variant;
        if (strcmp(vary, "buffer") == 0)
            param(&b, "buffer_mib")->f[i] = 5 + 35 * (double)i / ROWS;
        else
            param(&b, "width_kept")->f[i] = 0.3 + 0.7 * (double)i / ROWS;
    }
    const double us = us_per_point(&b);
    printf("{\"bench\": \"wavecore\", \"network\": \"%s\", \"variant\": \"%s\", \"vary\": \"%s\", "
           "\"cpu_us_per_point\": %.2f, \"target_us\": 50, \"ok\": %s}\n",
           network, variant, vary, us, us < 50 ? "true" : "false");
    close_batch(&b);
}

int main(void)
{
    static const char *const networks[] = {"alexnet", "resnet50", "inception_v4", "resnet152"};
    static const char *const variants[] = {"Baseline", "MBS1", "MBS2"};
    for (size_t n = 0; n < 4; n++)
        for (size_t v = 0; v < 3; v++) {
            bench(networks[n], variants[v], "buffer");
            bench(networks[n], variants[v], "width");
        }
    return 0;
}

#include "bench/timed_batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RUNS = 7 };

static void die(const timed_batch *b, const char *why)
{
    fprintf(stderr, "%s: %s\n", b->job ? b->job->d.name : "bench", why);
    exit(1);
}

static sky_column column(const timed_batch *b, sky_type type)
{
    sky_column c = {.type = type, .absent = calloc(b->rows, 1)};
    c.i = calloc(b->rows, sizeof *c.i); /* one 8-byte cell serves each type */
    if (!c.i || !c.absent)
        die(b, "out of memory");
    return c;
}

void timed_batch_open(timed_batch *b, const char *job, size_t rows)
{
    *b = (timed_batch){.job = sky_job_find(job), .rows = rows};
    if (!b->job || !b->job->run_batch)
        die(b, "there is no such job, or it takes no batches");
    const sky_descriptor *d = &b->job->d;
    for (size_t p = 0; p < d->n_params; p++) {
        b->in[p] = column(b, d->params[p].type);
        for (size_t i = 0; i < rows; i++)
            sky_column_set(&b->in[p], i, &d->params[p].def);
    }
    for (size_t m = 0; m < d->n_metrics; m++)
        b->out[m] = column(b, d->metrics[m].type);
}

void timed_batch_close(timed_batch *b)
{
    for (size_t p = 0; p < b->job->d.n_params; p++)
        free(b->in[p].i), free(b->in[p].absent);
    for (size_t m = 0; m < b->job->d.n_metrics; m++)
        free(b->out[m].i), free(b->out[m].absent);
}

sky_column *timed_batch_param(timed_batch *b, const char *name)
{
    for (size_t p = 0; p < b->job->d.n_params; p++) {
        if (strcmp(b->job->d.params[p].name, name) == 0)
            return &b->in[p];
    }
    die(b, name);
    return NULL;
}

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static void fail_row(sky_job_ctx *ctx, size_t row, const char *reason)
{
    (void)row;
    die(ctx->impl, reason);
}

double timed_batch_us(timed_batch *b)
{
    sky_arena scratch = {0};
    sky_job_ctx ctx;
    sky_job_ctx_init(&ctx, &scratch);
    ctx.fail_row = fail_row;
    ctx.impl = b;
    double best = 0;
    for (int run = 0; run < RUNS; run++) {
        sky_error e = {0};
        const double begin = cpu_us();
        if (b->job->run_batch(&ctx, b->rows, NULL, b->in, b->out, &e) != SKY_OK)
            die(b, e.text);
        const double us = (cpu_us() - begin) / (double)b->rows;
        if (run == 0 || us < best)
            best = us;
        sky_arena_reset(&scratch);
    }
    sky_arena_free(&scratch);
    return best;
}

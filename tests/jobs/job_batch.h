/* A batch of rows of a built-in job: columns in, columns out, as an executor calls it. For tests. */
#ifndef SKY_TESTS_JOBS_JOB_BATCH_H
#define SKY_TESTS_JOBS_JOB_BATCH_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/registry.h"

enum { JOB_BATCH_COLUMNS_MAX = 64, JOB_BATCH_ROWS_MAX = 1024 };

typedef struct job_batch {
    const sky_job *job;
    sky_arena arena; /* of rows and their texts; run_batch() has another */
    sky_column params[JOB_BATCH_COLUMNS_MAX], metrics[JOB_BATCH_COLUMNS_MAX];
    size_t n;
    const char *workdir;
    char reasons[JOB_BATCH_ROWS_MAX][256]; /* why rows failed */
} job_batch;

static inline sky_column job_batch_column(sky_arena *a, sky_type type, size_t n)
{
    sky_column c = {.type = type, .absent = sky_new(a, uint8_t, n)};
    c.i = sky_new(a, int64_t, n); /* of one size with double and pointer */
    cr_assert(c.absent && c.i);
    return c;
}

/* n rows of defaults. */
static inline job_batch *job_batch_open(const char *job, size_t n)
{
    job_batch *b = calloc(1, sizeof *b);
    cr_assert(b && n <= JOB_BATCH_ROWS_MAX);
    b->job = sky_job_find(job);
    cr_assert_not_null(b->job);
    b->n = n;
    b->workdir = "";
    for (size_t p = 0; p < b->job->d.n_params; p++) {
        b->params[p] = job_batch_column(&b->arena, b->job->d.params[p].type, n);
        for (size_t i = 0; i < n; i++)
            sky_column_set(&b->params[p], i, &b->job->d.params[p].def);
    }
    for (size_t m = 0; m < b->job->d.n_metrics; m++)
        b->metrics[m] = job_batch_column(&b->arena, b->job->d.metrics[m].type, n);
    return b;
}

static inline void job_batch_close(job_batch *b)
{
    sky_arena_free(&b->arena);
    free(b);
}

static inline size_t job_batch_param(const job_batch *b, const char *name)
{
    size_t p = 0;
    while (p < b->job->d.n_params && strcmp(b->job->d.params[p].name, name) != 0)
        p++;
    cr_assert_lt(p, b->job->d.n_params, "no parameter %s", name);
    return p;
}

/* Sets parameters of a row from "name=value name=value"; "_" in a text stands for a blank. */
static inline void job_batch_set(job_batch *b, size_t row, const char *text)
{
    char *copy = sky_arena_strdup(&b->arena, text);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        char *value = strchr(word, '=');
        *value++ = '\0';
        const size_t p = job_batch_param(b, word);
        sky_value v;
        cr_assert_eq(sky_value_parse(b->job->d.params[p].type, value, &v), SKY_OK, "%s", value);
        sky_column_set(&b->params[p], row, &v);
    }
}

static inline void job_batch_row(const job_batch *b, size_t row, sky_value *params)
{
    for (size_t p = 0; p < b->job->d.n_params; p++)
        params[p] = sky_column_get(&b->params[p], row);
}

static inline void job_batch_fail_row(sky_job_ctx *ctx, size_t row, const char *reason)
{
    job_batch *b = ctx->impl;
    cr_assert_lt(row, b->n);
    snprintf(b->reasons[row], sizeof b->reasons[row], "%s", reason);
}

static inline void job_batch_run(job_batch *b)
{
    sky_arena scratch = {0};
    sky_job_ctx ctx;
    sky_error e = {0};
    sky_job_ctx_init(&ctx, &scratch);
    ctx.fail_row = job_batch_fail_row;
    ctx.impl = b;
    ctx.workdir = b->workdir;
    cr_assert_eq(b->job->run_batch(&ctx, b->n, NULL, b->params, b->metrics, &e), SKY_OK, "%s",
                 e.text);
    sky_arena_free(&scratch);
}

static inline sky_value job_batch_metric(const job_batch *b, size_t row, const char *name)
{
    size_t m = 0;
    while (m < b->job->d.n_metrics && strcmp(b->job->d.metrics[m].name, name) != 0)
        m++;
    cr_assert_lt(m, b->job->d.n_metrics, "no metric %s", name);
    return sky_column_get(&b->metrics[m], row);
}

static inline double job_batch_number(const job_batch *b, size_t row, const char *name)
{
    const sky_value v = job_batch_metric(b, row, name);
    return sky_value_f64(&v);
}

#endif

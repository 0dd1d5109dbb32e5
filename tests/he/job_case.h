/* A job evaluated from "name=value name=value", as Skyline would. */
#ifndef SKY_TESTS_HE_JOB_CASE_H
#define SKY_TESTS_HE_JOB_CASE_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/registry.h"

enum { VALUES_MAX = 64 };

typedef struct evaluation {
    const sky_job *job;
    sky_arena arena;
    sky_job_ctx ctx;
    sky_value params[VALUES_MAX], metrics[VALUES_MAX];
    sky_error e;
} evaluation;

/* Sets parameters from "name=value name=value" and evaluates. */
static inline sky_err evaluate(evaluation *x, const char *job, const char *text)
{
    *x = (evaluation){.job = sky_job_find(job)};
    cr_assert_not_null(x->job);
    sky_job_ctx_init(&x->ctx, &x->arena);
    for (size_t p = 0; p < x->job->d.n_params; p++)
        x->params[p] = x->job->d.params[p].def;
    for (size_t m = 0; m < x->job->d.n_metrics; m++)
        x->metrics[m] = sky_absent(x->job->d.metrics[m].type);
    char *copy = sky_arena_strdup(&x->arena, text);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        char *value = strchr(word, '=');
        *value++ = '\0';
        size_t p = 0;
        while (p < x->job->d.n_params && strcmp(x->job->d.params[p].name, word) != 0)
            p++;
        cr_assert_lt(p, x->job->d.n_params, "%s", word);
        cr_assert_eq(sky_value_parse(x->job->d.params[p].type, value, &x->params[p]), SKY_OK);
    }
    sky_err err = sky_job_check(x->job, x->params, &x->e);
    return err == SKY_OK ? x->job->run(&x->ctx, x->params, x->metrics, &x->e) : err;
}

static inline sky_value metric(const evaluation *x, const char *name)
{
    for (size_t m = 0; m < x->job->d.n_metrics; m++) {
        if (strcmp(x->job->d.metrics[m].name, name) == 0)
            return x->metrics[m];
    }
    cr_assert_fail("no metric %s", name);
    abort();
}

static inline double number(const evaluation *x, const char *name)
{
    const sky_value v = metric(x, name);
    return sky_value_f64(&v);
}

static inline void close_evaluation(evaluation *x)
{
    sky_arena_free(&x->arena);
}

#endif

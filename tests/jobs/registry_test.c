#include "jobs/registry.h"

#include <criterion/criterion.h>
#include <string.h>

#include "jobs/jobs_internal.h"

Test(registry, builtin_jobs_are_wellformed_and_sorted)
{
    const sky_job *list[64];
    size_t n = sky_job_list(list, 64);
    cr_assert_geq(n, 3);
    for (size_t i = 0; i < n; i++) {
        sky_error e = {0};
        cr_assert_eq(sky__job_wellformed(list[i], &e), SKY_OK, "%s", e.text);
        cr_assert_eq(sky_job_find(list[i]->d.name), list[i]);
        if (i > 0)
            cr_assert_lt(strcmp(list[i - 1]->d.name, list[i]->d.name), 0);
        cr_assert(list[i]->d.summary[0], "%s: no summary", list[i]->d.name);
        for (size_t p = 0; p < list[i]->d.n_params; p++)
            cr_assert(list[i]->d.params[p].doc[0], "%s: parameter without doc", list[i]->d.name);
        for (size_t m = 0; m < list[i]->d.n_metrics; m++)
            cr_assert(list[i]->d.metrics[m].doc[0], "%s: metric without doc", list[i]->d.name);
    }
}

Test(registry, list_says_how_many_there_are)
{
    const sky_job *one[1] = {NULL};
    size_t n = sky_job_list(NULL, 0);
    cr_assert_eq(sky_job_list(one, 1), n);
    cr_assert_not_null(one[0]);
}

Test(registry, unknown_names_are_not_found)
{
    cr_assert_null(sky_job_find("no_such_job"));
    cr_assert_null(sky_job_find(""));
    cr_assert_null(sky_job_find("NOOP"));
}

Test(registry, check_names_the_parameter)
{
    const sky_job *fault = sky_job_find("fault");
    sky_value params[16];
    for (size_t p = 0; p < fault->d.n_params; p++)
        params[p] = fault->d.params[p].def;
    sky_error e = {0};
    cr_assert_eq(sky_job_check(fault, params, &e), SKY_OK, "%s", e.text);
    params[2] = sky_real(1.5);
    cr_assert_neq(sky_job_check(fault, params, &e), SKY_OK);
    cr_assert(strstr(e.text, "crash"), "%s", e.text);
}

static sky_err run_nothing(sky_job_ctx *ctx, const sky_value *params, sky_value *metrics,
                           sky_error *e)
{
    (void)ctx, (void)params, (void)metrics, (void)e;
    return SKY_OK;
}

static const sky_metric one_metric[] = {{.name = "y", .type = SKY_REAL, .unit = "", .doc = ""}};

static sky_job base_job(const char *name)
{
    return (sky_job){.abi = SKY_JOB_ABI,
                     .d = {.name = name,
                           .version = "1",
                           .summary = "",
                           .source = "",
                           .metrics = one_metric,
                           .n_metrics = 1},
                     .run = run_nothing};
}

static void expect_malformed(const sky_job *job, const char *word)
{
    sky_error e = {0};
    cr_assert_eq(sky__job_wellformed(job, &e), SKY_EFORMAT, "accepted: %s", word);
    cr_assert(strstr(e.text, word), "'%s' is not in '%s'", word, e.text);
}

Test(registry, malformed_descriptors_are_refused)
{
    sky_error e = {0};
    sky_job job = base_job("fine");
    cr_assert_eq(sky__job_wellformed(&job, &e), SKY_OK, "%s", e.text);

    job = base_job("two words");
    expect_malformed(&job, "name");
    job = base_job(NULL);
    expect_malformed(&job, "name");
    job = base_job("a");
    job.d.version = "";
    expect_malformed(&job, "version");
    job = base_job("a");
    job.run = NULL;
    expect_malformed(&job, "function");
    job = base_job("a");
    job.d.open = true;
    expect_malformed(&job, "function");
    job = base_job("a");
    job.d.n_metrics = SKY_METRICS_MAX + 1;
    expect_malformed(&job, "more than");

    sky_param p = {.name = "p", .type = SKY_REAL, .unit = "", .doc = "", .def = sky_real(2)};
    job = base_job("a");
    job.d.params = &p;
    job.d.n_params = 1;
    cr_assert_eq(sky__job_wellformed(&job, &e), SKY_OK, "%s", e.text);
    p.max = 1; /* the default 2 lies outside */
    expect_malformed(&job, "default");
    p.min = 3;
    expect_malformed(&job, "empty");
    p = (sky_param){.name = "p", .type = SKY_INT, .unit = "", .doc = "", .def = sky_real(2)};
    expect_malformed(&job, "type");
    p = (sky_param){.name = "p", .type = SKY_INT, .unit = NULL, .doc = "", .def = sky_int(2)};
    expect_malformed(&job, "unit");
    p = (sky_param){.name = "Y", .type = SKY_INT, .unit = "", .doc = "", .def = sky_int(2)};
    expect_malformed(&job, "same name");
}

Test(registry, adding_is_all_or_none)
{
    sky_job a = base_job("aa"), b = base_job("noop");
    const sky_job *jobs[] = {&a, &b};
    sky_error e = {0};
    size_t before = sky_job_list(NULL, 0);
    cr_assert_eq(sky__registry_add(jobs, 2, "test", &e), SKY_EEXISTS);
    cr_assert(strstr(e.text, "noop"), "%s", e.text);
    cr_assert_eq(sky_job_list(NULL, 0), before);
    b = base_job("aa");
    cr_assert_eq(sky__registry_add(jobs, 2, "test", &e), SKY_EEXISTS);
    b = base_job("zz");
    cr_assert_eq(sky__registry_add(jobs, 2, "test", &e), SKY_OK);
    cr_assert_eq(sky_job_find("zz"), &b);
    cr_assert_eq(sky_job_list(NULL, 0), before + 2);
}

Test(registry, noop_returns_x)
{
    const sky_job *noop = sky_job_find("noop");
    double x[3] = {1.5, -0.0, 3e300}, y[3] = {0};
    sky_column in = {.type = SKY_REAL, .f = x}, out = {.type = SKY_REAL, .f = y};
    cr_assert_eq(noop->run_batch(NULL, 3, NULL, &in, &out, NULL), SKY_OK);
    cr_assert_eq(memcmp(x, y, sizeof x), 0);
    cr_assert_eq(noop->run_batch(NULL, 0, NULL, &in, &out, NULL), SKY_OK);
}

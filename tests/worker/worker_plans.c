#include "worker_plans.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/registry.h"
#include "worker_jobs.h"

static const sky_descriptor *find(void *arg, const char *name)
{
    (void)arg;
    const sky_job *job = sky_job_find(name);
    return job ? &job->d : NULL;
}

static size_t names(void *arg, const char **list, size_t max)
{
    (void)arg, (void)list, (void)max;
    return 0;
}

sky_plan *test_plan(const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    test_jobs_add();
    sky_plan_options options = {.jobs = {.find = find, .names = names}};
    sky_plan *plan = NULL;
    sky_error e = {0};
    if (sky_plan_parse(&plan, text, strlen(text), "test.yaml", &options, &e) != SKY_OK) {
        fprintf(stderr, "%s\n", e.text);
        exit(1);
    }
    return plan;
}

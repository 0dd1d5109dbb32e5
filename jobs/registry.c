/* The registry: a sorted table of pointers. Built-in jobs are added on first use, plug-ins after
 * them.
 *
 * Not thread-safe: a program loads its plug-ins at its start, before anything runs. */
#include "jobs/registry.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "jobs/jobs_internal.h"

/* One a line. */
/* clang-format off */
static const sky_job *const builtin[] = {
    &sky__job_command,
    &sky__job_delta,
    &sky__job_fault,
    &sky__job_flexsa,
    &sky__job_gemm,
    &sky__job_he_conv,
    &sky__job_he_network,
    &sky__job_noop,
    &sky__job_wavecore,
    NULL,
};
/* clang-format on */

static struct {
    const sky_job *job[SKY__JOBS_MAX]; /* sorted by name */
    size_t n;
} registry;

static const sky_job *find(const char *name)
{
    size_t lo = 0, hi = registry.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = strcmp(name, registry.job[mid]->d.name);
        if (order == 0)
            return registry.job[mid];
        if (order < 0) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return NULL;
}

static void insert(const sky_job *job)
{
    size_t at = registry.n;
    while (at > 0 && strcmp(registry.job[at - 1]->d.name, job->d.name) > 0) {
        registry.job[at] = registry.job[at - 1];
        at--;
    }
    registry.job[at] = job;
    registry.n++;
}

static void add_builtin(void)
{
    if (registry.n > 0)
        return;
    for (size_t i = 0; builtin[i]; i++) {
        assert(sky__job_wellformed(builtin[i], NULL) == SKY_OK);
        insert(builtin[i]);
    }
}

sky_err sky__registry_add(const sky_job *const *jobs, size_t n, const char *from, sky_error *e)
{
    add_builtin();
    if (n > SKY__JOBS_MAX - registry.n) {
        return sky_fail(e, SKY_ELIMIT, "%s: more than %d jobs", from, SKY__JOBS_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        const char *name = jobs[i]->d.name;
        if (find(name)) {
            return sky_fail(e, SKY_EEXISTS, "%s: there is already a job named '%s'", from, name);
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(jobs[k]->d.name, name) == 0) {
                return sky_fail(e, SKY_EEXISTS, "%s: two jobs are named '%s'", from, name);
            }
        }
    }
    for (size_t i = 0; i < n; i++)
        insert(jobs[i]);
    return SKY_OK;
}

const sky_job *sky_job_find(const char *name)
{
    assert(name);
    add_builtin();
    return find(name);
}

size_t sky_job_list(const sky_job **list, size_t max)
{
    assert(list || max == 0);
    add_builtin();
    for (size_t i = 0; i < registry.n && i < max; i++)
        list[i] = registry.job[i];
    return registry.n;
}

sky_err sky_job_check(const sky_job *job, const sky_value *params, sky_error *e)
{
    assert(job);
    assert(params || job->d.n_params == 0);
    for (size_t p = 0; p < job->d.n_params; p++) {
        const sky_param *declared = &job->d.params[p];
        if (params[p].absent && !declared->def.absent)
            continue; /* a conditional axis left it out */
        sky_err err = sky_param_check(declared, &params[p], e);
        if (err != SKY_OK)
            return err;
    }
    return job->validate ? job->validate(params, e) : SKY_OK;
}

/* --- what a descriptor must hold --- */

static bool is_short_text(const char *text)
{
    return text && strnlen(text, SKY__JOB_TEXT_MAX + 1) <= SKY__JOB_TEXT_MAX;
}

static sky_err check_param(const sky_job *job, size_t p, sky_error *e)
{
    const sky_param *param = &job->d.params[p];
    const char *name = job->d.name;
    if (!is_short_text(param->name) || !sky_is_identifier(param->name)) {
        return sky_fail(e, SKY_EFORMAT,
                        "job '%s': parameter %zu has no valid name "
                        "(letters, digits and _, at most 63)",
                        name, p + 1);
    }
    if (!is_short_text(param->unit) || !is_short_text(param->doc)) {
        return sky_fail(e, SKY_EFORMAT,
                        "job '%s', parameter '%s': unit and doc must be texts "
                        "(\"\" if none)",
                        name, param->name);
    }
    if ((int)param->type < SKY_INT || param->type > SKY_BOOL || param->def.type != param->type) {
        return sky_fail(e, SKY_EFORMAT,
                        "job '%s', parameter '%s': the default's type is not the "
                        "parameter's",
                        name, param->name);
    }
    if (!(param->min <= param->max)) {
        return sky_fail(e, SKY_EFORMAT, "job '%s', parameter '%s': the range [%g, %g] is empty",
                        name, param->name, param->min, param->max);
    }
    if (!param->def.absent && sky_param_check(param, &param->def, e) != SKY_OK) {
        if (e)
            e->code = SKY_EFORMAT;
        sky_fail_prefix(e, "job '%s': the default is not allowed", name);
        return SKY_EFORMAT;
    }
    return SKY_OK;
}

static sky_err check_metric(const sky_job *job, size_t m, sky_error *e)
{
    const sky_metric *metric = &job->d.metrics[m];
    const char *name = job->d.name;
    if (!is_short_text(metric->name) || !sky_is_identifier(metric->name)) {
        return sky_fail(e, SKY_EFORMAT,
                        "job '%s': metric %zu has no valid name "
                        "(letters, digits and _, at most 63)",
                        name, m + 1);
    }
    if (!is_short_text(metric->unit) || !is_short_text(metric->doc)) {
        return sky_fail(e, SKY_EFORMAT,
                        "job '%s', metric '%s': unit and doc must be texts "
                        "(\"\" if none)",
                        name, metric->name);
    }
    if (metric->type != SKY_INT && metric->type != SKY_REAL && metric->type != SKY_TEXT) {
        return sky_fail(e, SKY_EFORMAT, "job '%s', metric '%s': the type must be int, real or text",
                        name, metric->name);
    }
    if ((int)metric->goal < SKY_NO_GOAL || metric->goal > SKY_MAX || (int)metric->cls < SKY_EXACT ||
        metric->cls > SKY_MEASURED) {
        return sky_fail(e, SKY_EFORMAT, "job '%s', metric '%s': unknown goal or class", name,
                        metric->name);
    }
    return SKY_OK;
}

/* Column names of one SQL table: distinct without regard to case. */
static sky_err check_names(const sky_job *job, sky_error *e)
{
    const sky_descriptor *d = &job->d;
    for (size_t i = 0; i < d->n_params + d->n_metrics; i++) {
        const char *a = i < d->n_params ? d->params[i].name : d->metrics[i - d->n_params].name;
        for (size_t k = 0; k < i; k++) {
            const char *b = k < d->n_params ? d->params[k].name : d->metrics[k - d->n_params].name;
            if (strcasecmp(a, b) == 0) {
                return sky_fail(e, SKY_EFORMAT,
                                "job '%s': '%s' and '%s' have the same name "
                                "(upper and lower case count as equal)",
                                d->name, b, a);
            }
        }
    }
    return SKY_OK;
}

sky_err sky__job_wellformed(const sky_job *job, sky_error *e)
{
    assert(job);
    const sky_descriptor *d = &job->d;
    if (job->abi != SKY_JOB_ABI) { /* nothing behind this field may be read before this test */
        return sky_fail(e, SKY_EVERSION,
                        "a job was built for version %u of jobs/job.h; this program "
                        "has version %d: compile the plug-in again",
                        job->abi, SKY_JOB_ABI);
    }
    if (!is_short_text(d->name) || !sky_is_identifier(d->name)) {
        return sky_fail(e, SKY_EFORMAT,
                        "a job has no valid name (letters, digits and _, at most 63)");
    }
    if (!is_short_text(d->version) || !d->version[0] || !is_short_text(d->summary) ||
        !is_short_text(d->source)) {
        return sky_fail(e, SKY_EFORMAT,
                        "job '%s': version, summary and source must be texts, and the "
                        "version not empty",
                        d->name);
    }
    if (d->n_params > SKY_PARAMS_MAX || d->n_metrics > SKY_METRICS_MAX) {
        return sky_fail(e, SKY_EFORMAT, "job '%s': more than %d parameters or %d metrics", d->name,
                        SKY_PARAMS_MAX, SKY_METRICS_MAX);
    }
    if ((d->n_params && !d->params) || (d->n_metrics && !d->metrics)) {
        return sky_fail(e, SKY_EFORMAT, "job '%s': parameters or metrics are NULL", d->name);
    }
    if (d->open ? !job->run_open : !job->run && !job->run_batch) {
        return sky_fail(e, SKY_EFORMAT, "job '%s': no function to run", d->name);
    }
    sky_err err = SKY_OK;
    for (size_t p = 0; p < d->n_params && err == SKY_OK; p++)
        err = check_param(job, p, e);
    for (size_t m = 0; m < d->n_metrics && err == SKY_OK; m++)
        err = check_metric(job, m, e);
    return err == SKY_OK ? check_names(job, e) : err;
}

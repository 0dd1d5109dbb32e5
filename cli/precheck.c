#include "cli/precheck.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/text.h"
#include "cli/columns_of.h"
#include "jobs/registry.h"

enum { DRAWS_MAX = 16 }; /* batches drawn where `where` keeps next to nothing */

typedef struct checker {
    const sky_plan *plan;
    const sky_job *job;
    sky_filter *filter;
    cli_batch *batch;
    sky_arena scratch;
    sky_job_ctx ctx;
    cli_precheck *out;
} checker;

/* The text of an error about one parameter begins with its name. */
static void find_place(checker *c, const sky_value *values, const char *text)
{
    const sky_descriptor *d = sky_plan_job(c->plan);
    for (size_t p = 0; p < d->n_params; p++) {
        const size_t len = strlen(d->params[p].name);
        if (strncmp(text, d->params[p].name, len) != 0 || text[len] != ':')
            continue;
        const char *place = sky_plan_place(c->plan, p, &values[p]);
        if (place)
            snprintf(c->out->place, sizeof c->out->place, "%s", place);
    }
}

static void check_trial(checker *c, uint64_t trial)
{
    sky_value values[SKY_PARAMS_MAX];
    sky_error e = {0};
    const sky_descriptor *d = sky_plan_job(c->plan);
    sky_plan_decode(c->plan, trial, values);
    sky_err err = d->open ? SKY_OK : sky_job_check(c->job, values, &e);
    if (err == SKY_OK && c->job->check_inputs)
        err = c->job->check_inputs(&c->ctx, d, values, &e);
    sky_arena_reset(&c->scratch);
    if (err == SKY_OK && c->job->bytes_needed && !d->open) {
        const uint64_t bytes = c->job->bytes_needed(values);
        if (bytes > c->out->bytes_needed) {
            c->out->bytes_needed = bytes;
            c->out->bytes_trial = trial;
        }
    }
    c->out->checked++;
    if (err == SKY_OK || c->out->refused++ > 0)
        return;
    c->out->first = trial;
    snprintf(c->out->why, sizeof c->out->why, "%s", e.text[0] ? e.text : sky_strerror(err));
    find_place(c, values, c->out->why);
}

/* Checks those of the n trials in the batch that `where` keeps, until max are checked. */
static sky_err check_batch(checker *c, size_t n, uint64_t max, sky_error *e)
{
    const sky_err err = cli_batch_decode(c->batch, c->filter, n, e);
    for (size_t i = 0; err == SKY_OK && i < n && c->out->checked < max; i++) {
        if (c->batch->keep[i])
            check_trial(c, c->batch->trials[i]);
    }
    return err;
}

static sky_err check_points(checker *c, sky_error *e)
{
    const uint64_t points = sky_plan_points(c->plan);
    const bool all = points <= CLI_PRECHECK_MAX;
    const uint64_t from_start = all ? CLI_PRECHECK_MAX : CLI_PRECHECK_MAX / 2;
    sky_err err = SKY_OK;
    uint64_t at = 0;
    for (int k = 0; err == SKY_OK && k < DRAWS_MAX && at < points; k++) {
        if (c->out->checked >= from_start)
            break;
        size_t n = 0;
        while (n < CLI_BATCH && at < points)
            c->batch->trials[n++] = sky_plan_trial(c->plan, at++);
        err = check_batch(c, n, from_start, e);
    }
    sky_rng random; /* a fixed seed: the same file gives the same answer */
    sky_rng_init(&random, 0, 1);
    for (int k = 0; err == SKY_OK && !all && k < DRAWS_MAX; k++) {
        if (c->out->checked >= CLI_PRECHECK_MAX)
            break;
        for (size_t i = 0; i < CLI_BATCH; i++)
            c->batch->trials[i] = sky_rng_below(&random, points);
        err = check_batch(c, CLI_BATCH, CLI_PRECHECK_MAX, e);
    }
    return err;
}

sky_err cli_precheck_plan(const sky_plan *plan, cli_precheck *out, sky_error *e)
{
    *out = (cli_precheck){0};
    checker c = {.plan = plan, .job = sky_job_find(sky_plan_job(plan)->name), .out = out};
    if (!c.job || (c.job->d.open && !c.job->check_inputs))
        return SKY_OK;
    sky_job_ctx_init(&c.ctx, &c.scratch);
    c.ctx.workdir = sky_plan_workdir(plan);
    c.ctx.command = sky_plan_command(plan);
    sky_err err = sky_filter_new(&c.filter, plan, e);
    if (err == SKY_OK && !(c.batch = cli_batch_new(plan)))
        err = sky_fail(e, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
    if (err == SKY_OK)
        err = check_points(&c, e);
    cli_batch_free(c.batch);
    sky_filter_free(c.filter);
    sky_arena_free(&c.scratch);
    return err;
}

int cli_precheck_tell(const cli_args *a, const cli_precheck *c)
{
    if (c->place[0])
        fprintf(stderr, "%s: %s\n", c->place, c->why);
    char detail[SKY_ERROR_TEXT_MAX + 64] = "";
    snprintf(detail, sizeof detail, ", first point %" PRIu64 "%s%s", c->first,
             c->place[0] ? "" : ": ", c->place[0] ? "" : c->why);
    cli_failf(a, "the job refuses %" PRIu64 " of %" PRIu64 " points%s", c->refused, c->checked,
              detail);
    return CLI_USAGE;
}

void cli_precheck_warn(const sky_plan *plan, const cli_precheck *c)
{
    char needed[32], limit[32];
    const uint64_t most = sky_plan_limits(plan)->memory_bytes;
    if (most == 0 || c->bytes_needed <= most)
        return;
    fprintf(stderr,
            "skyline: warning: trial %" PRIu64 " may take %s of memory, and limits.memory ends an "
            "executor at %s\n",
            c->bytes_trial, sky_format_bytes(c->bytes_needed, needed, sizeof needed),
            sky_format_bytes(most, limit, sizeof limit));
}

int cli_precheck_run(const cli_args *a, const sky_plan *plan)
{
    cli_precheck c;
    sky_error e = {0};
    if (cli_flag(a, "unchecked"))
        return CLI_OK;
    if (cli_precheck_plan(plan, &c, &e) != SKY_OK)
        return cli_fail(a, &e);
    cli_precheck_warn(plan, &c);
    if (c.refused == 0)
        return CLI_OK;
    const int code = cli_precheck_tell(a, &c);
    fputs("`where` can leave such points out; --unchecked lets their trials fail.\n", stderr);
    return code;
}

/* `skyline eval`: one point, in this process, as JSON. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/breakdown.h"
#include "cli/commands.h"
#include "cli/plans.h"
#include "cli/readstore.h"
#include "cli/term.h"

static const sky_job *find_job(const cli_args *a)
{
    const sky_job *job = sky_job_find(a->operands[0]);
    if (job)
        return job;
    const char *names[CLI_JOBS_MAX];
    const size_t n = cli_job_names(names, CLI_JOBS_MAX);
    cli_usage(a, "there is no job '%s'%s; 'skyline jobs' lists them", a->operands[0],
              cli_did_you_mean(a->operands[0], names, n));
    return NULL;
}

static const sky_param *find_param(const cli_args *a, const sky_descriptor *d, const char *word,
                                   size_t len)
{
    const char *names[SKY_PARAMS_MAX];
    for (size_t i = 0; i < d->n_params; i++) {
        names[i] = d->params[i].name;
        if (strlen(names[i]) == len && memcmp(names[i], word, len) == 0)
            return &d->params[i];
    }
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)len, word);
    cli_usage(a, "job %s has no parameter '%s'%s; 'skyline jobs %s' lists them", d->name, name,
              cli_did_you_mean(name, names, d->n_params), d->name);
    return NULL;
}

/* Defaults, then the operands key=value. */
static bool read_params(const cli_args *a, const sky_job *job, sky_value *values)
{
    const sky_descriptor *d = &job->d;
    bool given[SKY_PARAMS_MAX] = {false};
    sky_error e = {0};
    for (size_t i = 0; i < d->n_params; i++)
        values[i] = d->params[i].def;
    for (int i = 1; i < a->n_operands; i++) {
        const char *word = a->operands[i], *equals = strchr(word, '=');
        if (!equals)
            return cli_usage(a, "'%s' is not key=value", word), false;
        const sky_param *p = find_param(a, d, word, (size_t)(equals - word));
        if (!p)
            return false;
        const size_t at = (size_t)(p - d->params);
        if (given[at])
            return cli_usage(a, "parameter %s is given twice", p->name), false;
        given[at] = true;
        if (sky_value_parse(p->type, equals + 1, &values[at]) != SKY_OK)
            return cli_usage(a, "%s: '%s' is not %s", p->name, equals + 1,
                             p->type == SKY_INT    ? "a whole number"
                             : p->type == SKY_REAL ? "a number"
                                                   : "true or false"),
                   false;
    }
    for (size_t i = 0; i < d->n_params; i++) {
        if (!given[i] && d->params[i].def.absent)
            return cli_usage(a, "parameter %s of job %s has no default: give %s=VALUE",
                             d->params[i].name, d->name, d->params[i].name),
                   false;
    }
    if (sky_job_check(job, values, &e) != SKY_OK)
        return cli_usage(a, "%s", e.text), false;
    return true;
}

static sky_err run_batch_of_one(const sky_job *job, sky_job_ctx *ctx, const sky_value *params,
                                sky_value *metrics, sky_error *e)
{
    const sky_descriptor *d = &job->d;
    sky_column *in = sky_new(ctx->scratch, sky_column, d->n_params + 1);
    sky_column *out = sky_new(ctx->scratch, sky_column, d->n_metrics + 1);
    uint64_t *cells = sky_new(ctx->scratch, uint64_t, d->n_params + d->n_metrics + 1);
    uint8_t *absent = sky_new(ctx->scratch, uint8_t, d->n_params + d->n_metrics + 1);
    if (!in || !out || !cells || !absent)
        return sky_fail(e, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
    for (size_t i = 0; i < d->n_params + d->n_metrics; i++) {
        sky_column *c = i < d->n_params ? &in[i] : &out[i - d->n_params];
        c->type = i < d->n_params ? d->params[i].type : d->metrics[i - d->n_params].type;
        c->i = (int64_t *)&cells[i]; /* one 8-byte cell serves each type */
        c->absent = &absent[i];
        if (i < d->n_params)
            sky_column_set(c, 0, &params[i]);
    }
    const sky_err err = job->run_batch(ctx, 1, &ctx->seed, in, out, e);
    for (size_t i = 0; err == SKY_OK && i < d->n_metrics; i++)
        metrics[i] = sky_column_get(&out[i], 0);
    return err;
}

static char row_reason[256]; /* of run_batch(): what the one row failed for */

static void fail_row(sky_job_ctx *ctx, size_t row, const char *reason)
{
    (void)ctx;
    (void)row;
    snprintf(row_reason, sizeof row_reason, "%s", reason && reason[0] ? reason : "failed");
}

static sky_err evaluate(const sky_job *job, sky_job_ctx *ctx, const sky_value *params,
                        sky_value *metrics, sky_error *e)
{
    const sky_descriptor *d = &job->d;
    sky_err err;
    if (job->run_batch) {
        ctx->fail_row = fail_row;
        err = run_batch_of_one(job, ctx, params, metrics, e);
        if (err == SKY_OK && row_reason[0])
            return sky_fail(e, SKY_EFAILED, "%s", row_reason);
    } else {
        err = job->run(ctx, params, metrics, e);
    }
    for (size_t i = 0; err == SKY_OK && i < d->n_metrics; i++) {
        if (!metrics[i].absent && metrics[i].type == SKY_REAL && isnan(metrics[i].f))
            return sky_fail(e, SKY_EFAILED, "metric %s is NaN", d->metrics[i].name);
    }
    return err;
}

static void print_result(const sky_descriptor *d, uint64_t seed, const sky_value *params,
                         const sky_value *metrics, double wall_s, sky_buf *out)
{
    sky_buf_puts(out, "{\"job\":");
    sky_buf_json_string(out, d->name);
    sky_buf_puts(out, ",\"version\":");
    sky_buf_json_string(out, d->version);
    sky_buf_puts(out, ",\"params\":{");
    for (size_t i = 0; i < d->n_params; i++) {
        sky_buf_puts(out, i ? "," : "");
        sky_buf_json_string(out, d->params[i].name);
        sky_buf_putc(out, ':');
        sky_value_json(out, &params[i]);
    }
    sky_buf_printf(out, "},\"seed\":%llu,\"metrics\":{", (unsigned long long)seed);
    for (size_t i = 0; i < d->n_metrics; i++) {
        sky_buf_puts(out, i ? "," : "");
        sky_buf_json_string(out, d->metrics[i].name);
        sky_buf_putc(out, ':');
        sky_value_json(out, &metrics[i]);
    }
    sky_buf_puts(out, "},\"wall_s\":");
    sky_buf_json_f64(out, wall_s);
    sky_buf_puts(out, "}\n");
}

/* --details and --per-layer: the same numbers, as CSV and as a table unless --format says otherwise. */
static sky_err print_details(const cli_args *a, const sky_job *job, sky_job_ctx *ctx,
                             const sky_value *params, sky_buf *out, sky_error *e)
{
    if (!job->details)
        return sky_fail(e, SKY_ENOTFOUND, "job %s has no details", job->d.name);
    sky_format format = cli_flag(a, "per-layer") ? SKY_FORMAT_TABLE : SKY_FORMAT_CSV;
    if (cli_flag(a, "json"))
        format = SKY_FORMAT_JSON;
    if (cli_given(a, "format"))
        sky_format_parse(cli_text(a, "format"), &format);
    sky_buf csv = {0};
    sky_err err = job->details(ctx, params, &csv, e);
    if (err == SKY_OK && !sky_buf_ok(&csv))
        err = sky_fail(e, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
    if (err == SKY_OK)
        err = cli_breakdown(csv.data, csv.len, format, cli_colour(STDOUT_FILENO), 0, out, e);
    sky_buf_free(&csv);
    return err;
}

static int run_eval(const cli_args *a)
{
    sky_error e = {0};
    if (cli_load_plugins(a, true, &e) != SKY_OK)
        return cli_fail(a, &e);
    const sky_job *job = find_job(a);
    if (!job)
        return CLI_USAGE;
    if (job->d.open)
        return cli_usage(a, "job %s takes its parameters from a sweep file; use 'skyline run'",
                         job->d.name);
    const bool details = cli_flag(a, "details") || cli_flag(a, "per-layer");
    if (cli_given(a, "format") && !details)
        return cli_usage(a, "--format goes with --per-layer or --details; a point is JSON");
    uint64_t seed = 0;
    if (sky_parse_u64(cli_text(a, "seed"), &seed) != SKY_OK)
        return cli_usage(a, "--seed: '%s' is not a whole number from 0", cli_text(a, "seed"));
    sky_value params[SKY_PARAMS_MAX], metrics[SKY_METRICS_MAX];
    if (!read_params(a, job, params))
        return CLI_USAGE;
    for (size_t i = 0; i < job->d.n_metrics; i++)
        metrics[i] = sky_absent(job->d.metrics[i].type);
    sky_arena scratch = {0};
    sky_buf out = {0};
    sky_job_ctx ctx;
    char workdir[4096];
    sky_job_ctx_init(&ctx, &scratch);
    ctx.seed = seed;
    ctx.threads = 1;
    ctx.workdir = getcwd(workdir, sizeof workdir) ? workdir : "";
    sky_err err;
    if (details) {
        err = print_details(a, job, &ctx, params, &out, &e);
    } else {
        const int64_t start = sky_clock_ns();
        err = evaluate(job, &ctx, params, metrics, &e);
        const double wall_s = (double)(sky_clock_ns() - start) / 1e9;
        if (err == SKY_OK)
            print_result(&job->d, seed, params, metrics, wall_s, &out);
    }
    int code = CLI_FAILURE;
    if (err == SKY_OK)
        code = cli_print(&out);
    else
        cli_failf(a, "%s: %s", job->d.name, e.text[0] ? e.text : sky_strerror(err));
    sky_buf_free(&out);
    sky_arena_free(&scratch);
    return code;
}

static const cli_opt opts[] = {
    {.name = "seed",
     .type = CLI_TEXT,
     .arg = "N",
     .def = "0",
     .doc = "The seed that the job's random numbers come from."},
    {.name = "details", .doc = "Print the job's breakdown (per layer, say) as CSV instead."},
    {.name = "per-layer", .doc = "Print the same breakdown as a table."},
    {.name = "format",
     .type = CLI_CHOICE,
     .arg = "FORMAT",
     .choices = cli_format_names,
     .doc = "Of the breakdown: table, csv, json (one list) or jsonl (one object a line)."},
    {.name = "json", .doc = "The breakdown as JSON; a point is JSON anyway."},
    CLI_OPT_PLUGIN,
    {0},
};

const cli_command cli_eval_command = {
    .name = "eval",
    .summary = "evaluate one point of a job and print JSON",
    .operands = "JOB key=value...",
    .n_min = 1,
    .n_max = -1,
    .operand = CLI_JOB,
    .about = "Runs the job in this process, with its defaults for what is not given, and prints "
             "{\"job\", \"version\", \"params\", \"seed\", \"metrics\", \"wall_s\"}. Nothing is "
             "recorded.",
    .opts = opts,
    .examples =
        "skyline eval gemm m=1024 n=1024 k=512 rows=128 cols=128 # one matrix product\n"
        "skyline eval flexsa network=resnet50 width_kept=0.6 --per-layer # where the time goes\n"
        "skyline eval noop x=2.5 --seed 7 # the smallest job\n",
    .run = run_eval,
    .group = CLI_GROUP_RUN,
};

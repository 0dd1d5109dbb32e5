/* `skyline check`: what a sweep file says, before anything runs. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/text.h"
#include "cli/columns_of.h"
#include "cli/commands.h"
#include "cli/plans.h"
#include "cli/precheck.h"
#include "cli/table.h"
#include "cli/term.h"

enum {
    EXACT_POINTS_MAX = 2000000, /* `where` is counted point by point up to here: a second or two */
    SAMPLE_POINTS = 100000,     /* beyond, so many random points are asked */
    SHOWN_MAX = 1000,
};

typedef struct check {
    const cli_args *args;
    sky_plan *plan;
    sky_filter *filter;
    cli_batch *batch;
    uint64_t kept; /* points that `where` keeps */
    bool estimated;
    uint64_t shown[SHOWN_MAX]; /* the first trials that `where` keeps */
    size_t n_shown, shown_max;
    cli_precheck job;
} check;

/* Keeps what `where` keeps of the n trials in the batch. */
static sky_err look_at(check *c, size_t n, sky_error *e)
{
    const sky_err err = cli_batch_decode(c->batch, c->filter, n, e);
    for (size_t i = 0; err == SKY_OK && i < n; i++) {
        if (!c->batch->keep[i])
            continue;
        c->kept++;
        if (c->n_shown < c->shown_max)
            c->shown[c->n_shown++] = c->batch->trials[i];
    }
    return err;
}

static sky_err count_in_order(check *c, uint64_t max, sky_error *e)
{
    sky_err err = SKY_OK;
    for (uint64_t at = 0; err == SKY_OK && at < max;) {
        size_t n = 0;
        while (n < CLI_BATCH && at < max)
            c->batch->trials[n++] = sky_plan_trial(c->plan, at++);
        err = look_at(c, n, e);
    }
    return err;
}

/* A fixed seed: the same file gives the same estimate. */
static sky_err estimate(check *c, uint64_t points, sky_error *e)
{
    sky_err err = SKY_OK;
    uint64_t kept = 0, asked = 0;
    sky_rng random;
    sky_rng_init(&random, 0, 0);
    while (err == SKY_OK && asked < SAMPLE_POINTS) {
        size_t n = 0;
        while (n < CLI_BATCH)
            c->batch->trials[n++] = sky_rng_below(&random, points);
        err = cli_batch_decode(c->batch, c->filter, n, e);
        for (size_t i = 0; i < n; i++)
            kept += c->batch->keep[i];
        asked += n;
    }
    c->kept = (uint64_t)((double)points * (double)kept / (double)asked);
    c->estimated = true;
    return err;
}

static sky_err count(check *c, sky_error *e)
{
    const uint64_t points = sky_plan_points(c->plan);
    if (points <= EXACT_POINTS_MAX && !sky_filter_is_trivial(c->filter))
        return count_in_order(c, points, e);
    /* Enough of the beginning to show. */
    const uint64_t some = points < 16 * SHOWN_MAX ? points : 16 * SHOWN_MAX;
    const sky_err err = count_in_order(c, some, e);
    if (err != SKY_OK || sky_filter_is_trivial(c->filter)) {
        c->kept = points;
        return err;
    }
    return estimate(c, points, e);
}

static void print_points(const check *c, sky_buf *out)
{
    const sky_descriptor *d = sky_plan_job(c->plan);
    if (c->n_shown == 0 || d->n_params == 0)
        return;
    cli_table t;
    cli_table_init(&t, d->n_params + 1);
    cli_table_add(&t, "trial");
    cli_table_right(&t, 0);
    for (size_t p = 0; p < d->n_params; p++) {
        cli_table_add(&t, d->params[p].name);
        if (d->params[p].type == SKY_INT || d->params[p].type == SKY_REAL)
            cli_table_right(&t, p + 1);
    }
    for (size_t i = 0; i < c->n_shown; i++) {
        sky_value values[SKY_PARAMS_MAX];
        sky_plan_decode(c->plan, c->shown[i], values);
        cli_table_addf(&t, "%" PRIu64, c->shown[i]);
        for (size_t p = 0; p < d->n_params; p++) {
            sky_buf text = {0};
            sky_value_print(&text, &values[p]);
            cli_table_add(&t, sky_buf_str(&text));
            sky_buf_free(&text);
        }
    }
    sky_buf_printf(out, "\nThe first %zu:\n", c->n_shown);
    cli_table_print(&t, out, cli_colour(STDOUT_FILENO), 0);
    cli_table_free(&t);
}

/* What the job says that a point takes at most, beside what the file reserves for it. */
static void print_memory(const check *c, sky_buf *out)
{
    char needed[32], reserved[32];
    const uint64_t bytes = sky_plan_resources(c->plan)->memory_bytes;
    if (c->job.bytes_needed == 0)
        return;
    sky_buf_printf(out,
                   "memory      up to %s a trial (%" PRIu64 "); resources.memory reserves %s\n",
                   sky_format_bytes(c->job.bytes_needed, needed, sizeof needed), c->job.bytes_trial,
                   bytes ? sky_format_bytes(bytes, reserved, sizeof reserved) : "none");
}

static void print_text(const check *c, sky_buf *out)
{
    const sky_descriptor *d = sky_plan_job(c->plan);
    char points[32], kept[32], trials[32];
    sky_format_count(sky_plan_points(c->plan), points, sizeof points);
    sky_format_count(c->kept, kept, sizeof kept);
    sky_format_count(sky_plan_positions(c->plan), trials, sizeof trials);
    sky_buf_printf(out, "sweep       %s\njob         %s %s\npoints      %s", sky_plan_name(c->plan),
                   d->name, d->version, points);
    if (!sky_filter_is_trivial(c->filter))
        sky_buf_printf(out, ", of which `where` keeps %s%s", c->estimated ? "about " : "", kept);
    sky_buf_putc(out, '\n');
    if (sky_plan_repeats(c->plan) > 1)
        sky_buf_printf(out, "repeats     %u, so %s trials\n", sky_plan_repeats(c->plan), trials);
    const sky_objective *objectives;
    const size_t n = sky_plan_objectives(c->plan, &objectives);
    for (size_t i = 0; i < n; i++)
        sky_buf_printf(out, "%s%s %s", i ? ", " : "objectives  ", sky_goal_name(objectives[i].goal),
                       objectives[i].name);
    sky_buf_puts(out, n ? "\n" : "");
    if (c->job.checked)
        sky_buf_printf(out, "validated   %" PRIu64 " points by the job, %" PRIu64 " refused\n",
                       c->job.checked, c->job.refused);
    print_memory(c, out);
    print_points(c, out);
}

static void print_json(const check *c, sky_buf *out)
{
    const sky_descriptor *d = sky_plan_job(c->plan);
    sky_buf_puts(out, "{\"name\":");
    sky_buf_json_string(out, sky_plan_name(c->plan));
    sky_buf_puts(out, ",\"job\":");
    sky_buf_json_string(out, d->name);
    sky_buf_puts(out, ",\"version\":");
    sky_buf_json_string(out, d->version);
    sky_buf_printf(out,
                   ",\"points\":%" PRIu64 ",\"kept\":%" PRIu64
                   ",\"kept_is_estimate\":%s,\"repeats\":%u,"
                   "\"validated\":%" PRIu64 ",\"invalid\":%" PRIu64 ",\"bytes_needed\":%" PRIu64
                   ",\"first\":[",
                   sky_plan_points(c->plan), c->kept, c->estimated ? "true" : "false",
                   sky_plan_repeats(c->plan), c->job.checked, c->job.refused, c->job.bytes_needed);
    for (size_t i = 0; i < c->n_shown; i++) {
        sky_value values[SKY_PARAMS_MAX];
        sky_plan_decode(c->plan, c->shown[i], values);
        sky_buf_printf(out, "%s{\"trial\":%" PRIu64, i ? "," : "", c->shown[i]);
        for (size_t p = 0; p < d->n_params; p++) {
            sky_buf_putc(out, ',');
            sky_buf_json_string(out, d->params[p].name);
            sky_buf_putc(out, ':');
            sky_value_json(out, &values[p]);
        }
        sky_buf_putc(out, '}');
    }
    sky_buf_puts(out, "]}\n");
}

static int run_check(const cli_args *a)
{
    static check c;
    int code = CLI_FAILURE;
    sky_error e = {0};
    sky_buf out = {0};
    c = (check){.args = a, .shown_max = (size_t)cli_int(a, "points")};
    if (!cli_read_plan(a, a->operands[0], &c.plan, &code))
        return code;
    sky_err err = sky_filter_new(&c.filter, c.plan, &e);
    if (err == SKY_OK && !(c.batch = cli_batch_new(c.plan)))
        err = sky_fail(&e, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
    if (err == SKY_OK)
        err = count(&c, &e);
    if (err == SKY_OK)
        err = cli_precheck_plan(c.plan, &c.job, &e);
    if (err != SKY_OK) {
        code = cli_fail(a, &e);
        goto done;
    }
    if (cli_flag(a, "json"))
        print_json(&c, &out);
    else
        print_text(&c, &out);
    code = cli_print(&out);
    cli_precheck_warn(c.plan, &c.job);
    if (c.job.refused)
        code = cli_precheck_tell(a, &c.job);
    else if (c.kept == 0 && !c.estimated)
        code = cli_failf(a, "`where` rejects every point");
done:
    cli_batch_free(c.batch);
    sky_filter_free(c.filter);
    sky_plan_free(c.plan);
    return code;
}

static const cli_opt opts[] = {
    {.name = "points",
     .type = CLI_INT,
     .arg = "N",
     .def = "5",
     .min = 0,
     .max = 1000,
     .doc = "How many of the first points to show."},
    CLI_OPT_JSON,
    CLI_OPT_SET,
    CLI_OPT_NAME,
    CLI_OPT_PLUGIN,
    {0},
};

const cli_command cli_check_command = {
    .name = "check",
    .summary = "check a sweep file, count its points and show the first ones",
    .operands = "SWEEP.yaml",
    .n_min = 1,
    .n_max = 1,
    .operand = CLI_SWEEP_FILE,
    .about =
        "Mistakes are told with file, line and column (exit code 2). With a `where`, the points "
        "that it keeps are counted exactly up to 2 million points, and estimated from 100,000 "
        "random ones beyond. The job validates up to 1,000 points and looks at the files that "
        "they name: all points, or half of these from the beginning and half at random.",
    .opts = opts,
    .examples =
        "skyline check sweeps/examples/flexsa-resnet50.yaml\n"
        "skyline check sweep.yaml --set array=[64,128] --points 20 # with an axis changed\n",
    .run = run_check,
    .group = CLI_GROUP_RUN,
};

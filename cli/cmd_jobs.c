/* `skyline jobs`: what can be swept. */
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/plans.h"
#include "cli/table.h"
#include "cli/term.h"

static void range_text(const sky_param *p, sky_buf *b)
{
    if (p->choices) {
        for (size_t i = 0; p->choices[i]; i++)
            sky_buf_printf(b, "%s%s", i ? "|" : "", p->choices[i]);
    } else if (p->min != 0 || p->max != 0) {
        sky_buf_f64(b, p->min);
        sky_buf_puts(b, " to ");
        sky_buf_f64(b, p->max);
    }
}

static void default_text(const sky_param *p, sky_buf *b)
{
    if (p->def.absent)
        sky_buf_puts(b, "required");
    else
        sky_value_print(b, &p->def);
}

static void print_params(const sky_descriptor *d, sky_buf *out, bool colour, int width)
{
    cli_table t;
    cli_table_init(&t, 6);
    static const char *const heads[] = {"parameter", "type", "unit", "default", "range", ""};
    for (size_t i = 0; i < 6; i++)
        cli_table_add(&t, heads[i]);
    for (size_t i = 0; i < d->n_params; i++) {
        const sky_param *p = &d->params[i];
        sky_buf range = {0}, def = {0};
        range_text(p, &range);
        default_text(p, &def);
        cli_table_add(&t, p->name);
        cli_table_add(&t, sky_type_name(p->type));
        cli_table_add(&t, p->unit);
        cli_table_add(&t, sky_buf_str(&def));
        cli_table_add(&t, sky_buf_str(&range));
        cli_table_add(&t, p->doc);
        sky_buf_free(&range);
        sky_buf_free(&def);
    }
    cli_table_print(&t, out, colour, width);
    cli_table_free(&t);
}

static void print_metrics(const sky_descriptor *d, sky_buf *out, bool colour, int width)
{
    cli_table t;
    cli_table_init(&t, 5);
    static const char *const heads[] = {"metric", "unit", "better", "class", ""};
    for (size_t i = 0; i < 5; i++)
        cli_table_add(&t, heads[i]);
    for (size_t i = 0; i < d->n_metrics; i++) {
        const sky_metric *m = &d->metrics[i];
        cli_table_add(&t, m->name);
        cli_table_add(&t, m->unit);
        cli_table_add(&t, sky_goal_name(m->goal));
        cli_table_add(&t, sky_metric_class_name(m->cls));
        cli_table_add(&t, m->doc);
    }
    cli_table_print(&t, out, colour, width);
    cli_table_free(&t);
}

static void print_job(const sky_job *job, sky_buf *out)
{
    const sky_descriptor *d = &job->d;
    const bool colour = cli_colour(STDOUT_FILENO);
    const int width = cli_is_terminal(STDOUT_FILENO) ? cli_width(STDOUT_FILENO) : 0;
    sky_buf_printf(out, "%s%s%s %s: %s\n", cli_style(colour, CLI_BOLD), d->name,
                   cli_style(colour, CLI_RESET), d->version, d->summary);
    if (d->source && d->source[0])
        sky_buf_printf(out, "Source: %s\n", d->source);
    if (d->open) {
        sky_buf_puts(out, "Parameters and metrics come from the sweep file.\n");
        return;
    }
    sky_buf_putc(out, '\n');
    print_params(d, out, colour, width);
    sky_buf_putc(out, '\n');
    print_metrics(d, out, colour, width);
}

static void json_field(sky_buf *b, const char *name, const char *text)
{
    sky_buf_printf(b, ",\"%s\":", name);
    sky_buf_json_string(b, text ? text : "");
}

static void json_param(sky_buf *b, const sky_param *p)
{
    sky_buf_puts(b, "{\"name\":");
    sky_buf_json_string(b, p->name);
    json_field(b, "type", sky_type_name(p->type));
    json_field(b, "unit", p->unit);
    json_field(b, "doc", p->doc);
    sky_buf_puts(b, ",\"default\":");
    sky_value_json(b, &p->def);
    if (p->min != 0 || p->max != 0) {
        sky_buf_puts(b, ",\"min\":");
        sky_buf_json_f64(b, p->min);
        sky_buf_puts(b, ",\"max\":");
        sky_buf_json_f64(b, p->max);
    }
    if (p->choices) {
        sky_buf_puts(b, ",\"choices\":[");
        for (size_t i = 0; p->choices[i]; i++) {
            sky_buf_puts(b, i ? "," : "");
            sky_buf_json_string(b, p->choices[i]);
        }
        sky_buf_putc(b, ']');
    }
    sky_buf_putc(b, '}');
}

static void json_job(sky_buf *b, const sky_descriptor *d)
{
    sky_buf_puts(b, "{\"name\":");
    sky_buf_json_string(b, d->name);
    json_field(b, "version", d->version);
    json_field(b, "summary", d->summary);
    json_field(b, "source", d->source);
    sky_buf_printf(b, ",\"open\":%s,\"parameters\":[", d->open ? "true" : "false");
    for (size_t i = 0; i < d->n_params; i++) {
        sky_buf_puts(b, i ? "," : "");
        json_param(b, &d->params[i]);
    }
    sky_buf_puts(b, "],\"metrics\":[");
    for (size_t i = 0; i < d->n_metrics; i++) {
        const sky_metric *m = &d->metrics[i];
        sky_buf_puts(b, i ? ",{\"name\":" : "{\"name\":");
        sky_buf_json_string(b, m->name);
        json_field(b, "type", sky_type_name(m->type));
        json_field(b, "unit", m->unit);
        json_field(b, "better", sky_goal_name(m->goal));
        json_field(b, "class", sky_metric_class_name(m->cls));
        json_field(b, "doc", m->doc);
        sky_buf_putc(b, '}');
    }
    sky_buf_puts(b, "]}");
}

static void print_list(const cli_args *a, const sky_job *const *jobs, size_t n, sky_buf *out)
{
    if (cli_flag(a, "json")) {
        sky_buf_putc(out, '[');
        for (size_t i = 0; i < n; i++) {
            sky_buf_puts(out, i ? ",\n " : "");
            json_job(out, &jobs[i]->d);
        }
        sky_buf_puts(out, "]\n");
        return;
    }
    cli_table t;
    cli_table_init(&t, 5);
    static const char *const heads[] = {"job", "version", "parameters", "metrics", "summary"};
    for (size_t i = 0; i < 5; i++)
        cli_table_add(&t, heads[i]);
    cli_table_right(&t, 2);
    cli_table_right(&t, 3);
    for (size_t i = 0; i < n; i++) {
        const sky_descriptor *d = &jobs[i]->d;
        cli_table_add(&t, d->name);
        cli_table_add(&t, d->version);
        cli_table_addf(&t, d->open ? "any" : "%zu", d->n_params);
        cli_table_addf(&t, d->open ? "any" : "%zu", d->n_metrics);
        cli_table_add(&t, d->summary);
    }
    const bool terminal = cli_is_terminal(STDOUT_FILENO);
    cli_table_print(&t, out, cli_colour(STDOUT_FILENO), terminal ? cli_width(STDOUT_FILENO) : 0);
    cli_table_free(&t);
}

static int run_jobs(const cli_args *a)
{
    sky_error e = {0};
    if (cli_load_plugins(a, true, &e) != SKY_OK)
        return cli_fail(a, &e);
    const sky_job *jobs[CLI_JOBS_MAX];
    size_t n = sky_job_list(jobs, CLI_JOBS_MAX);
    n = n < CLI_JOBS_MAX ? n : CLI_JOBS_MAX;
    sky_buf out = {0};
    if (a->n_operands) {
        const sky_job *job = sky_job_find(a->operands[0]);
        if (!job) {
            const char *names[CLI_JOBS_MAX];
            const size_t n_names = cli_job_names(names, CLI_JOBS_MAX);
            return cli_usage(a, "there is no job '%s'%s; 'skyline jobs' lists them", a->operands[0],
                             cli_did_you_mean(a->operands[0], names, n_names));
        }
        if (cli_flag(a, "json")) {
            json_job(&out, &job->d);
            sky_buf_putc(&out, '\n');
        } else {
            print_job(job, &out);
        }
    } else if (cli_flag(a, "names")) {
        for (size_t i = 0; i < n; i++)
            sky_buf_printf(&out, "%s\n", jobs[i]->d.name);
    } else {
        print_list(a, jobs, n, &out);
    }
    return cli_print(&out);
}

static const cli_opt opts[] = {
    CLI_OPT_JSON,
    {.name = "names", .doc = "Print only the names, one a line."},
    CLI_OPT_PLUGIN,
    {0},
};

const cli_command cli_jobs_command = {
    .name = "jobs",
    .summary = "list what can be swept, or describe one job",
    .operands = "[JOB]",
    .n_max = 1,
    .operand = CLI_JOB,
    .about =
        "A job is a named evaluator: typed parameters in, typed metrics out. Of each parameter its "
        "type, unit, default and range are shown; of each metric its unit, which way is better, "
        "and "
        "its class: exact (the same bits on every machine), tolerance (close) or measured.",
    .opts = opts,
    .examples = "skyline jobs # all of them\n"
                "skyline jobs flexsa # parameters and metrics of one\n",
    .run = run_jobs,
    .group = CLI_GROUP_RUN,
};

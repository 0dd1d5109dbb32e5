/* A plan's canonical text: JSON, a line for each top-level key, in one order and one spelling,
 * so that equal plans have equal texts. The values of a range are not listed, those of lists
 * are. Where a key has the shape of the sweep file's, planload.c reads it with the same code. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/plan_internal.h"
#include "sweeps/planload.h"

const char *const sky__search_names[] = {"grid", "random", "sobol", "latin_hypercube", NULL};

static void key(sky_buf *b, const char *name)
{
    sky_buf_puts(b, b->len > 2 ? ",\n" : "");
    sky_buf_printf(b, "\"%s\":", name);
}

static void text_field(sky_buf *b, const char *comma, const char *name, const char *text)
{
    sky_buf_printf(b, "%s\"%s\":", comma, name);
    sky_buf_json_string(b, text);
}

static void texts(sky_buf *b, const char *const *list)
{
    sky_buf_putc(b, '[');
    for (size_t i = 0; list[i]; i++) {
        sky_buf_puts(b, i ? "," : "");
        sky_buf_json_string(b, list[i]);
    }
    sky_buf_putc(b, ']');
}

/* ---- the job ---- */

static void write_job(sky_buf *b, const sky_descriptor *job)
{
    key(b, "job");
    text_field(b, "{", "name", job->name);
    text_field(b, ",", "version", job->version);
    text_field(b, ",", "summary", job->summary);
    text_field(b, ",", "source", job->source);
    sky_buf_printf(b, ",\"open\":%s}", job->open ? "true" : "false");
}

static void write_param(sky_buf *b, const sky_param *p)
{
    text_field(b, "{", "name", p->name);
    text_field(b, ",", "type", sky_type_name(p->type));
    text_field(b, ",", "unit", p->unit);
    text_field(b, ",", "doc", p->doc);
    if (!p->def.absent) {
        sky_buf_puts(b, ",\"default\":");
        sky_value_json(b, &p->def);
    }
    if (p->min != 0 || p->max != 0) {
        sky_buf_puts(b, ",\"min\":");
        sky_buf_json_f64(b, p->min);
        sky_buf_puts(b, ",\"max\":");
        sky_buf_json_f64(b, p->max);
    }
    if (p->choices) {
        sky_buf_puts(b, ",\"choices\":");
        texts(b, p->choices);
    }
    sky_buf_putc(b, '}');
}

static void write_metric(sky_buf *b, const sky_metric *m)
{
    sky_buf_json_string(b, m->name);
    text_field(b, ":{", "type", sky_type_name(m->type));
    text_field(b, ",", "unit", m->unit);
    text_field(b, ",", "doc", m->doc);
    if (m->goal != SKY_NO_GOAL)
        text_field(b, ",", "goal", sky_goal_name(m->goal));
    text_field(b, ",", "class", sky_metric_class_name(m->cls));
    sky_buf_putc(b, '}');
}

static void write_descriptor(sky_buf *b, const sky_descriptor *job)
{
    write_job(b, job);
    key(b, "params");
    sky_buf_putc(b, '[');
    for (size_t i = 0; i < job->n_params; i++) {
        sky_buf_puts(b, i ? "," : "");
        write_param(b, &job->params[i]);
    }
    sky_buf_putc(b, ']');
    key(b, "metrics");
    sky_buf_putc(b, '{');
    for (size_t i = 0; i < job->n_metrics; i++) {
        sky_buf_puts(b, i ? "," : "");
        write_metric(b, &job->metrics[i]);
    }
    sky_buf_putc(b, '}');
}

/* ---- the space ---- */

static void write_values(sky_buf *b, const sky__axis *axis)
{
    sky_buf_puts(b, "\"values\":[");
    for (uint64_t k = 0; k < axis->count; k++) {
        sky_buf_puts(b, k ? "," : "");
        if (axis->type == SKY_TEXT)
            sky_buf_json_string(b, axis->s[k]);
        else if (axis->type == SKY_REAL)
            sky_buf_json_f64(b, axis->f[k]);
        else if (axis->type == SKY_BOOL)
            sky_buf_puts(b, axis->i[k] ? "true" : "false");
        else
            sky_buf_printf(b, "%" PRId64, axis->i[k]);
    }
    sky_buf_putc(b, ']');
}

void sky__axis_write(sky_buf *b, const sky_plan *p, const sky__axis *axis)
{
    text_field(b, "{", "param", p->job.params[axis->param].name);
    sky_buf_putc(b, ',');
    if (axis->kind == SKY__AXIS_LIST) {
        write_values(b, axis);
    } else if (axis->kind == SKY__AXIS_RANGE) {
        sky_buf_printf(b, "\"range\":[%" PRId64 ",%" PRId64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu32 "]",
                       axis->range.start, axis->range.step, axis->count, axis->range.divisor,
                       axis->range.exponent);
    } else {
        sky_buf_puts(b, "\"interval\":[");
        sky_buf_json_f64(b, axis->interval.from);
        sky_buf_putc(b, ',');
        sky_buf_json_f64(b, axis->interval.to);
        sky_buf_putc(b, ',');
        sky_buf_json_f64(b, axis->interval.log2_ratio);
        sky_buf_putc(b, ']');
    }
    sky_buf_putc(b, '}');
}

static void write_space(sky_buf *b, const sky_plan *p)
{
    key(b, "space");
    sky_buf_putc(b, '[');
    for (size_t i = 0; i < p->n_factors; i++) {
        const sky__factor *f = &p->factors[i];
        sky_buf_puts(b, i ? ",{\"axes\":[" : "{\"axes\":[");
        for (size_t k = 0; k < f->n_axes; k++) {
            sky_buf_puts(b, k ? "," : "");
            sky__axis_write(b, p, &f->axes[k]);
        }
        sky_buf_putc(b, ']');
        if (f->when)
            text_field(b, ",", "when", f->when);
        sky_buf_putc(b, '}');
    }
    sky_buf_putc(b, ']');
}

void sky__search_write(sky_buf *b, const sky__search *s)
{
    sky_buf_printf(b, "{\"%s\":{", sky__search_names[s->kind]);
    if (s->kind == SKY__GRID)
        sky_buf_printf(b, "\"order\":\"%s\"", s->shuffle ? "random" : "sequential");
    else
        sky_buf_printf(b, "\"points\":%" PRIu64, s->points);
    if (s->kind == SKY__SOBOL)
        sky_buf_printf(b, ",\"scramble\":%s", s->scramble ? "true" : "false");
    sky_buf_puts(b, "}}");
}

static void write_expressions(sky_buf *b, const char *name, const sky_expression *list, size_t n,
                              bool map)
{
    key(b, name);
    sky_buf_putc(b, map ? '{' : '[');
    for (size_t i = 0; i < n; i++) {
        sky_buf_puts(b, i ? "," : "");
        if (map) {
            sky_buf_json_string(b, list[i].name);
            sky_buf_putc(b, ':');
        }
        sky_buf_json_string(b, list[i].sql);
    }
    sky_buf_putc(b, map ? '}' : ']');
}

/* What the numbers of the points hang on, besides the job. */
static void write_points(sky_buf *b, const sky_plan *p)
{
    if (p->command) {
        key(b, "command");
        texts(b, p->command);
    }
    write_space(b, p);
    write_expressions(b, "where", p->where, p->n_where, false);
    key(b, "search");
    sky__search_write(b, &p->search);
    key(b, "seed");
    sky_buf_printf(b, "%" PRIu64, p->seed);
}

/* ---- the rest ---- */

static void write_objectives(sky_buf *b, const sky_plan *p)
{
    key(b, "objectives");
    sky_buf_putc(b, '[');
    for (size_t i = 0; i < p->n_objectives; i++) {
        sky_buf_puts(b, i ? ",{" : "{");
        sky_buf_json_string(b, p->objectives[i].name);
        sky_buf_printf(b, ":\"%s\"}", sky_goal_name(p->objectives[i].goal));
    }
    sky_buf_putc(b, ']');
}

static void write_settings(sky_buf *b, const sky_plan *p)
{
    write_expressions(b, "derived", p->derived, p->n_derived, true);
    write_expressions(b, "constraints", p->constraints, p->n_constraints, false);
    write_objectives(b, p);
    key(b, "repeats");
    sky_buf_printf(b, "%" PRIu32, p->repeats);
    key(b, "limits");
    sky_buf_printf(b,
                   "{\"timeout\":\"%" PRId64 "ns\",\"attempts\":%" PRIu32 ",\"memory\":%" PRIu64
                   ",\"failures\":%" PRIu64 "}",
                   p->limits.timeout_ns, p->limits.attempts, p->limits.memory_bytes,
                   p->limits.failures);
    key(b, "resources");
    sky_buf_printf(b, "{\"cpus\":%" PRIu32 ",\"gpus\":%" PRIu32 ",\"memory\":%" PRIu64 "}",
                   p->resources.cpus, p->resources.gpus, p->resources.memory_bytes);
    key(b, "priority");
    sky_buf_printf(b, "%" PRId32, p->priority);
}

static void write_heading(sky_buf *b, const sky_plan *p)
{
    key(b, "skyline_plan");
    sky_buf_printf(b, "%d", SKY__PLAN_FORMAT);
    key(b, "name");
    sky_buf_json_string(b, p->name);
    if (p->description[0]) {
        key(b, "description");
        sky_buf_json_string(b, p->description);
    }
    if (p->tags) {
        key(b, "tags");
        texts(b, p->tags);
    }
    key(b, "workdir");
    sky_buf_json_string(b, p->workdir);
    if (p->plugin) {
        key(b, "plugin");
        sky_buf_json_string(b, p->plugin);
    }
}

static char *whole_text(const sky_plan *p)
{
    sky_buf b = {0};
    sky_buf_puts(&b, "{\n");
    write_heading(&b, p);
    write_descriptor(&b, &p->job);
    write_points(&b, p);
    if (p->cells.words > 0) {
        key(&b, "conditions");
        sky_buf_printf(&b, "{\"cells\":%" PRIu64 ",\"hash\":%" PRIu64 "}", p->cells.n,
                       p->cells.hash);
    }
    write_settings(&b, p);
    sky_buf_puts(&b, "\n}\n");
    char *text = sky_buf_detach(&b);
    sky_buf_free(&b);
    return text;
}

/* ---- the identity ---- */

/* The job by name and version; of an open job also the columns, which it does not fix. */
static void write_job_identity(sky_buf *b, const sky_descriptor *job)
{
    key(b, "job");
    text_field(b, "{", "name", job->name);
    text_field(b, ",", "version", job->version);
    sky_buf_putc(b, '}');
    if (!job->open)
        return;
    key(b, "params");
    sky_buf_putc(b, '{');
    for (size_t i = 0; i < job->n_params; i++)
        text_field(b, i ? "," : "", job->params[i].name, sky_type_name(job->params[i].type));
    sky_buf_putc(b, '}');
    key(b, "metrics");
    sky_buf_putc(b, '{');
    for (size_t i = 0; i < job->n_metrics; i++)
        text_field(b, i ? "," : "", job->metrics[i].name, sky_type_name(job->metrics[i].type));
    sky_buf_putc(b, '}');
}

/* The values of parameters that no axis gives, always or where its condition is false. */
static void write_fixed(sky_buf *b, const sky_plan *p)
{
    const char *comma = "";
    key(b, "fixed");
    sky_buf_putc(b, '{');
    for (size_t i = 0; i < p->job.n_params; i++) {
        int32_t factor = p->sources[i].factor;
        if (factor >= 0 && !p->factors[factor].when)
            continue;
        sky_buf_puts(b, comma);
        sky_buf_json_string(b, p->job.params[i].name);
        sky_buf_putc(b, ':');
        sky_value_json(b, &p->fixed[i]);
        comma = ",";
    }
    sky_buf_putc(b, '}');
}

static char *identity_text(const sky_plan *p)
{
    sky_buf b = {0};
    sky_buf_puts(&b, "{\n");
    write_job_identity(&b, &p->job);
    write_fixed(&b, p);
    write_points(&b, p);
    sky_buf_puts(&b, "\n}\n");
    char *text = sky_buf_detach(&b);
    sky_buf_free(&b);
    return text;
}

sky_err sky__plan_write(sky_plan *p)
{
    p->text = whole_text(p);
    p->identity = identity_text(p);
    return p->text && p->identity ? SKY_OK : SKY_ENOMEM;
}

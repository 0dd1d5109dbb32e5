/* Reads a plan's canonical text. It came from another machine or from a store, perhaps a damaged
 * one: everything is checked as if it were a stranger's. */
#include "sweeps/planload.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "sweeps/reader.h"

static const char *const top_keys[] = {
    "skyline_plan", "name",   "description", "tags",     "workdir",     "plugin",
    "job",          "params", "metrics",     "command",  "space",       "where",
    "search",       "seed",   "conditions",  "derived",  "constraints", "objectives",
    "repeats",      "limits", "resources",   "priority", NULL,
};

static sky_err want_text(sky__reader *r, const sky__node *map, const char *key, const char **out)
{
    const sky__node *n = sky__node_get(map, key);
    if (!n || n->kind != SKY__SCALAR || !n->quoted)
        return sky__node_fail(map, r->e, "%s: found no text", key);
    *out = sky_arena_strdup(&r->p->arena, n->text);
    return *out ? SKY_OK : sky__no_memory(r->e);
}

/* ---- the job ---- */

static sky_err load_type(sky__reader *r, const sky__node *map, sky_type *out)
{
    const sky__node *n = sky__node_get(map, "type");
    if (n && n->text && sky_type_parse(n->text, out) == SKY_OK)
        return SKY_OK;
    return sky__node_fail(map, r->e, "type: found none; allowed are int, real, text and bool");
}

static sky_err load_choices(sky__reader *r, const sky__node *list, sky_param *p)
{
    sky_err err = sky__want_list(list, "choices", r->e);
    const char **choices = sky_new(&r->p->arena, const char *, list->count + 1);
    if (err == SKY_OK && !choices)
        err = sky__no_memory(r->e);
    size_t i = 0;
    for (const sky__node *n = list->first; err == SKY_OK && n; n = n->next) {
        if (n->kind != SKY__SCALAR)
            return sky__node_fail(n, r->e, "choices: found no text");
        if (!(choices[i++] = sky_arena_strdup(&r->p->arena, n->text)))
            err = sky__no_memory(r->e);
    }
    p->choices = choices;
    return err;
}

static sky_err load_bound(const sky__node *map, const char *key, double *out, sky_error *e)
{
    const sky_param plain = {.name = key, .type = SKY_REAL};
    const sky__node *n = sky__node_get(map, key);
    sky_value v;
    sky_err err = n ? sky__value_read(n, &plain, &v, e) : SKY_OK;
    if (n && err == SKY_OK)
        *out = v.f;
    return err;
}

static sky_err load_param(sky__reader *r, const sky__node *map, sky_param *p)
{
    sky_err err = sky__want_map(map, "params", r->e);
    if (err == SKY_OK)
        err = want_text(r, map, "name", &p->name);
    if (err == SKY_OK)
        err = want_text(r, map, "unit", &p->unit);
    if (err == SKY_OK)
        err = want_text(r, map, "doc", &p->doc);
    if (err == SKY_OK)
        err = load_type(r, map, &p->type);
    if (err == SKY_OK)
        err = load_bound(map, "min", &p->min, r->e);
    if (err == SKY_OK)
        err = load_bound(map, "max", &p->max, r->e);
    const sky__node *choices = sky__node_get(map, "choices"), *def = sky__node_get(map, "default");
    if (err == SKY_OK && choices)
        err = load_choices(r, choices, p);
    p->def = sky_absent(p->type);
    if (err == SKY_OK && def) {
        const sky_param free_of_range = {.name = p->name, .type = p->type};
        err = sky__value_read(def, &free_of_range, &p->def, r->e);
        if (err == SKY_OK && p->type == SKY_TEXT &&
            !(p->def.s = sky_arena_strdup(&r->p->arena, p->def.s)))
            err = sky__no_memory(r->e);
    }
    return err;
}

static sky_err load_params(sky__reader *r)
{
    const sky__node *list = sky__node_get(r->root, "params");
    if (!list || list->kind != SKY__LIST || list->count > SKY_PARAMS_MAX)
        return sky__node_fail(r->root, r->e, "params: found no list, or too long a one");
    for (const sky__node *n = list->first; n; n = n->next) {
        size_t i = r->p->job.n_params;
        sky_err err = load_param(r, n, &r->params[i]);
        if (err != SKY_OK)
            return err;
        r->p->fixed[i] = r->params[i].def;
        r->p->job.n_params++;
    }
    return SKY_OK;
}

static sky_err load_job(sky__reader *r)
{
    const sky__node *job = sky__node_get(r->root, "job");
    sky_descriptor d = {0};
    if (!job)
        return sky__node_fail(r->root, r->e, "job: found none");
    sky_err err = want_text(r, job, "name", &d.name);
    if (err == SKY_OK)
        err = want_text(r, job, "version", &d.version);
    if (err == SKY_OK)
        err = want_text(r, job, "summary", &d.summary);
    if (err == SKY_OK)
        err = want_text(r, job, "source", &d.source);
    const sky__node *open = sky__node_get(job, "open");
    if (err == SKY_OK)
        err = open ? sky__want_bool(open, "open", &d.open, r->e)
                   : sky__node_fail(job, r->e, "open: found none");
    if (err == SKY_OK && sky__descriptor_copy(r->p, &d) != SKY_OK)
        err = sky__no_memory(r->e);
    if (err != SKY_OK)
        return err;
    r->params = (sky_param *)(uintptr_t)r->p->job.params;
    err = load_params(r);
    const sky__node *metrics = sky__node_get(r->root, "metrics");
    if (err == SKY_OK && metrics && metrics->count > 0)
        err = sky__metrics_read(r, metrics);
    return err;
}

static sky_err load_command(sky__reader *r)
{
    const sky__node *list = sky__node_get(r->root, "command");
    if (!list)
        return SKY_OK;
    sky_param words = {0};
    sky_err err = load_choices(r, list, &words); /* a list of texts as well */
    if (err == SKY_OK && list->count == 0)
        err = sky__node_fail(list, r->e, "command: found an empty list");
    r->p->command = words.choices;
    return err;
}

/* ---- the space ---- */

static sky_err load_range(sky__reader *r, const sky__node *list, sky__axis *axis)
{
    int64_t start, step;
    uint64_t count, divisor, exponent;
    const sky__node *n[5] = {0};
    size_t i = 0;
    for (const sky__node *child = list->first; child && i < 5; child = child->next)
        n[i++] = child->kind == SKY__SCALAR ? child : NULL;
    bool ok = list->kind == SKY__LIST && list->count == 5 && n[0] && n[1] && n[2] && n[3] && n[4] &&
              sky_parse_i64(n[0]->text, &start) == SKY_OK &&
              sky_parse_i64(n[1]->text, &step) == SKY_OK &&
              sky_parse_u64(n[2]->text, &count) == SKY_OK &&
              sky_parse_u64(n[3]->text, &divisor) == SKY_OK &&
              sky_parse_u64(n[4]->text, &exponent) == SKY_OK && exponent <= 22 &&
              (axis->type == SKY_INT || axis->type == SKY_REAL);
    if (ok) {
        axis->kind = SKY__AXIS_RANGE;
        axis->count = count;
        axis->range.start = start;
        axis->range.step = step;
        axis->range.divisor = divisor;
        axis->range.exponent = (uint32_t)exponent;
        ok = sky__range_check(axis) == SKY_OK;
    }
    return ok ? SKY_OK : sky__node_fail(list, r->e, "range: not one that can be counted");
}

static sky_err load_interval(sky__reader *r, const sky__node *list, sky__axis *axis)
{
    const sky_param plain = {.name = "interval", .type = SKY_REAL};
    double x[3];
    sky_err err = sky__want_list(list, "interval", r->e);
    if (err == SKY_OK && list->count != 3)
        err = sky__node_fail(list, r->e, "interval: found no three numbers");
    size_t i = 0;
    for (const sky__node *n = list->first; err == SKY_OK && n; n = n->next) {
        sky_value v;
        err = sky__value_read(n, &plain, &v, r->e);
        x[i++] = v.f;
    }
    if (err != SKY_OK)
        return err;
    bool logarithmic = x[2] != 0;
    bool ok = isfinite(x[1] - x[0]) && x[0] < x[1] && x[2] >= 0 && x[2] <= SKY__OCTAVES_MAX &&
              (!logarithmic || x[0] > 0);
    if (axis->type == SKY_INT)
        ok = ok && logarithmic && x[1] <= SKY__EXACT_MAX;
    if (!ok || (axis->type != SKY_INT && axis->type != SKY_REAL))
        return sky__node_fail(list, r->e, "interval: not one that has points");
    axis->kind = SKY__AXIS_INTERVAL;
    axis->interval.from = x[0];
    axis->interval.to = x[1];
    axis->interval.log2_ratio = x[2];
    return SKY_OK;
}

/* Listed values are checked one by one; of the others, both ends. */
static sky_err check_ends(sky__reader *r, const sky__node *at, const sky__axis *axis)
{
    sky_value ends[2];
    for (int i = 0; i < 2; i++) {
        double x = i == 0 ? axis->interval.from : axis->interval.to;
        if (axis->kind == SKY__AXIS_RANGE)
            ends[i] = sky__axis_value(axis, i == 0 ? 0 : axis->count - 1);
        else
            ends[i] = axis->type == SKY_INT ? sky_int((int64_t)x) : sky_real(x);
        sky_error why = {0};
        if (sky_param_check(&r->params[axis->param], &ends[i], &why) != SKY_OK)
            return sky__node_fail(at, r->e, "%s", why.text);
    }
    return SKY_OK;
}

static sky_err load_axis(sky__reader *r, const sky__node *map, sky__axis *axis)
{
    const char *name;
    uint32_t param;
    sky_err err = sky__want_map(map, "axes", r->e);
    if (err == SKY_OK)
        err = want_text(r, map, "param", &name);
    if (err == SKY_OK)
        err = sky__space_param(r, map, name, NULL, &param);
    if (err != SKY_OK)
        return err;
    *axis = (sky__axis){.param = param, .type = r->params[param].type};
    const sky__node *values = sky__node_get(map, "values"), *range = sky__node_get(map, "range");
    const sky__node *interval = sky__node_get(map, "interval");
    if (range || interval) {
        err = range ? load_range(r, range, axis) : load_interval(r, interval, axis);
        return err == SKY_OK ? check_ends(r, map, axis) : err;
    }
    if (!values || values->kind != SKY__LIST || values->count == 0)
        return sky__node_fail(map, r->e, "axes: found no values");
    const sky__node **nodes = sky_new(r->tree, const sky__node *, values->count);
    if (!nodes)
        return sky__no_memory(r->e);
    size_t n = 0;
    for (const sky__node *child = values->first; child; child = child->next)
        nodes[n++] = child;
    return sky__axis_list(r, nodes, n, param, axis);
}

static sky_err load_factor(sky__reader *r, const sky__node *map, size_t index)
{
    sky__factor *f = &r->p->factors[index];
    const sky__node *axes = sky__node_get(map, "axes"), *when = sky__node_get(map, "when");
    if (!axes || axes->kind != SKY__LIST || axes->count == 0 || axes->count > SKY_PARAMS_MAX)
        return sky__node_fail(map, r->e, "space: found no axes");
    f->axes = sky_new(&r->p->arena, sky__axis, axes->count);
    if (!f->axes)
        return sky__no_memory(r->e);
    for (const sky__node *n = axes->first; n; n = n->next) {
        sky__axis *axis = &f->axes[f->n_axes];
        sky_err err = load_axis(r, n, axis);
        if (err != SKY_OK)
            return err;
        if (f->n_axes > 0 && (axis->count != f->count || axis->count == 0))
            return sky__node_fail(map, r->e, "space: paired axes of unequal length");
        f->count = axis->count;
        f->n_axes++;
    }
    r->at.axis[index] = map;
    r->at.when[index] = when;
    return when ? want_text(r, map, "when", &f->when) : SKY_OK;
}

static sky_err load_space(sky__reader *r)
{
    const sky__node *list = sky__node_get(r->root, "space");
    if (!list || list->kind != SKY__LIST || list->count > SKY_AXES_MAX)
        return sky__node_fail(r->root, r->e, "space: found no list, or too long a one");
    r->at.space = list;
    sky_err err = sky__space_read(r, NULL); /* makes room */
    for (const sky__node *n = list->first; err == SKY_OK && n; n = n->next) {
        err = load_factor(r, n, r->p->n_factors);
        r->p->n_factors += err == SKY_OK;
    }
    return err;
}

/* ---- the whole ---- */

static sky_err load_format(sky__reader *r)
{
    const sky__node *n = sky__node_get(r->root, "skyline_plan");
    uint64_t format;
    if (!n || !n->text || sky_parse_u64(n->text, &format) != SKY_OK)
        return sky__node_fail(r->root, r->e, "found no plan");
    if (format != SKY__PLAN_FORMAT)
        return sky_fail(r->e, SKY_EVERSION, "plan: found format %" PRIu64 "; this program reads %d",
                        format, SKY__PLAN_FORMAT);
    return sky__want_keys(r->root, "plan", top_keys, r->e);
}

/* The machine that wrote the plan decided its conditions with its own SQLite. */
static sky_err check_conditions(sky__reader *r)
{
    const sky__node *map = sky__node_get(r->root, "conditions");
    const sky__node *n = sky__node_get(map, "hash");
    uint64_t hash;
    if (r->p->cells.words == 0)
        return SKY_OK;
    if (!n || !n->text || sky_parse_u64(n->text, &hash) != SKY_OK || hash != r->p->cells.hash)
        return sky_fail(r->e, SKY_ECONFLICT,
                        "plan: its `when` conditions come out differently here "
                        "than where it was made; allowed is the same SQLite");
    return SKY_OK;
}

static sky_err load_parts(sky__reader *r)
{
    sky_err err = load_format(r);
    if (err == SKY_OK)
        err = want_text(r, r->root, "workdir", &r->p->workdir);
    if (err == SKY_OK && sky__node_get(r->root, "plugin"))
        err = want_text(r, r->root, "plugin", &r->p->plugin);
    if (err == SKY_OK)
        err = load_job(r);
    if (err == SKY_OK)
        err = load_command(r);
    if (err == SKY_OK)
        err = load_space(r);
    if (err == SKY_OK)
        err = sky__settings_read(r);
    if (err == SKY_OK)
        err = sky__names_check(r);
    if (err == SKY_OK)
        err = sky__plan_finish(r->p, &r->at, r->e);
    return err == SKY_OK ? check_conditions(r) : err;
}

sky_err sky_plan_load(sky_plan **out, const char *text, size_t len, sky_error *e)
{
    assert(out && text);
    static const sky_plan_options options = {0};
    sky_arena tree = {0};
    sky__reader r = {
        .p = sky__plan_new(),
        .options = &options,
        .file = "plan",
        .tree = &tree,
        .e = e,
        .loading = true,
    };
    sky_err err = r.p ? SKY_OK : sky__no_memory(e);
    if (err == SKY_OK && len > SKY__PLAN_TEXT_BYTES_MAX)
        err = sky_fail(e, SKY_ELIMIT, "plan: longer than allowed (256 MiB)");
    if (err == SKY_OK)
        err = sky__json_read(&r.root, text, len, r.file, &tree, e);
    if (err == SKY_OK && r.root->kind != SKY__MAP)
        err = sky_fail(e, SKY_EFORMAT, "plan: found no map");
    if (err == SKY_OK)
        err = load_parts(&r);
    if (err == SKY_OK) {
        *out = r.p;
        r.p = NULL;
    }
    sky_plan_free(r.p);
    sky_arena_free(&tree);
    return err;
}

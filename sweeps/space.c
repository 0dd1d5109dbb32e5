/* The space of a sweep file: axes, pairs (zip), tables (csv) and lists of points become factors. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "sweeps/decimal.h"
#include "sweeps/reader.h"

/* ---- one value ---- */

/* Infinities as YAML and as JSON text write them; parameters may be infinite, never NaN. */
static bool parse_infinity(const char *text, double *out)
{
    double sign = text[0] == '-' ? -1 : 1;
    text += text[0] == '-' || text[0] == '+';
    text += text[0] == '.';
    if (strcmp(text, "inf") != 0 && strcmp(text, "Inf") != 0 && strcmp(text, "INF") != 0)
        return false;
    *out = sign * (double)INFINITY;
    return true;
}

/* 1e6 and 64.0 are whole numbers too. */
static bool parse_whole(const char *text, int64_t *out)
{
    sky__decimal d;
    return sky_parse_i64(text, out) == SKY_OK ||
           (sky__decimal_parse(text, &d) == SKY_OK && sky__decimal_scale(d, 0, out));
}

static bool parse_value(const sky__node *n, sky_type type, sky_value *out)
{
    *out = sky_absent(type);
    out->absent = false;
    if (n->kind != SKY__SCALAR)
        return false;
    bool b;
    switch (type) {
    case SKY_TEXT:
        out->s = n->text;
        return !sky__node_is_null(n);
    case SKY_INT:
        return !n->quoted && parse_whole(n->text, &out->i);
    case SKY_REAL:
        if (parse_infinity(n->text, &out->f)) /* quoted in JSON */
            return true;
        return !n->quoted && sky_parse_f64(n->text, &out->f) == SKY_OK && isfinite(out->f);
    case SKY_BOOL:
        if (n->quoted || sky_parse_bool(n->text, &b) != SKY_OK)
            return false;
        out->i = b;
        return true;
    }
    return false;
}

sky_err sky__value_read(const sky__node *n, const sky_param *param, sky_value *out, sky_error *e)
{
    static const char *const allowed[] = {[SKY_INT] = "whole numbers",
                                          [SKY_REAL] = "numbers",
                                          [SKY_TEXT] = "texts",
                                          [SKY_BOOL] = "true and false"};
    if (!parse_value(n, param->type, out))
        return sky__node_fail(n, e, "'%s': found %s%s; allowed are %s", param->name,
                              n->kind == SKY__SCALAR && n->quoted ? "the text " : "",
                              sky__node_found(n).text, allowed[param->type]);
    sky_error why = {0};
    if (sky_param_check(param, out, &why) == SKY_OK)
        return SKY_OK;
    sky__found hint = {""};
    if (param->type == SKY_TEXT && param->choices) {
        size_t n_choices = 0;
        while (param->choices[n_choices])
            n_choices++;
        hint = sky__suggest(out->s, param->choices, n_choices);
    }
    return sky__node_fail(n, e, "%s%s", why.text, hint.text);
}

/* ---- types of open jobs ---- */

static sky_type scalar_type(const sky__node *n)
{
    int64_t i;
    double f;
    if (n->kind != SKY__SCALAR || n->quoted)
        return SKY_TEXT;
    if (strcmp(n->text, "true") == 0 || strcmp(n->text, "false") == 0)
        return SKY_BOOL;
    if (sky_parse_i64(n->text, &i) == SKY_OK)
        return SKY_INT;
    return sky_parse_f64(n->text, &f) == SKY_OK || parse_infinity(n->text, &f) ? SKY_REAL
                                                                               : SKY_TEXT;
}

/* The narrowest type that holds both. */
static sky_type join_types(sky_type a, sky_type b)
{
    if (a == b)
        return a;
    bool numbers = (a == SKY_INT || a == SKY_REAL) && (b == SKY_INT || b == SKY_REAL);
    return numbers ? SKY_REAL : SKY_TEXT;
}

static sky_type infer_type(const sky__node *values)
{
    if (values->kind == SKY__SCALAR)
        return scalar_type(values);
    if (values->kind == SKY__MAP) {
        const sky__node *list = sky__node_get(values, "values");
        return list && list->kind != SKY__MAP ? infer_type(list) : sky__range_type(values);
    }
    sky_type type = values->first ? scalar_type(values->first) : SKY_TEXT;
    for (const sky__node *n = values->first; n; n = n->next)
        type = join_types(type, scalar_type(n));
    return type;
}

/* ---- parameters ---- */

static sky_err unknown_param(sky__reader *r, const sky__node *at, const char *name)
{
    const sky_descriptor *job = &r->p->job;
    const char *names[SKY_PARAMS_MAX];
    sky_buf list = {0};
    for (size_t i = 0; i < job->n_params; i++) {
        names[i] = job->params[i].name;
        sky_buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    }
    sky_err err =
        sky__key_fail(at, r->e, "unknown parameter '%.60s' of job '%s'%s; allowed are %.600s", name,
                      job->name, sky__suggest(name, names, job->n_params).text, sky_buf_str(&list));
    sky_buf_free(&list);
    return err;
}

static sky_err new_param(sky__reader *r, const sky__node *at, const char *name,
                         const sky__node *values, uint32_t *out)
{
    sky_descriptor *job = &r->p->job;
    if (!sky_is_identifier(name))
        return sky__key_fail(at, r->e,
                             "found the parameter name '%.60s'; allowed are letters, digits "
                             "and _, 63 at most, not beginning with a digit",
                             name);
    if (job->n_params == SKY_PARAMS_MAX)
        return sky__key_fail(at, r->e, "more parameters than allowed (%d)", SKY_PARAMS_MAX);
    sky_type type = infer_type(values);
    const sky__node *given = sky__node_get(r->types, name);
    const char *word;
    if (given && sky__want_text(given, "types", &word, r->e) != SKY_OK)
        return SKY_EFORMAT;
    if (given && sky_type_parse(word, &type) != SKY_OK)
        return sky__node_fail(given, r->e,
                              "types: found '%.40s'; allowed are int, real, text and bool", word);
    name = sky_arena_strdup(&r->p->arena, name);
    if (!name)
        return sky__no_memory(r->e);
    *out = (uint32_t)job->n_params++;
    r->params[*out] =
        (sky_param){.name = name, .type = type, .unit = "", .doc = "", .def = sky_absent(type)};
    r->p->fixed[*out] = sky_absent(type);
    return SKY_OK;
}

sky_err sky__space_param(sky__reader *r, const sky__node *at, const char *name,
                         const sky__node *values, uint32_t *param)
{
    sky_descriptor *job = &r->p->job;
    for (uint32_t i = 0; i < job->n_params; i++) {
        if (strcmp(job->params[i].name, name) != 0)
            continue;
        if (r->p->sources[i].factor >= 0)
            return sky__key_fail(at, r->e, "the parameter '%s' is given twice; allowed is once",
                                 name);
        *param = i;
        r->p->sources[i].factor = 0; /* taken; sky__plan_finish() puts the right number */
        return SKY_OK;
    }
    if (!job->open || r->loading)
        return unknown_param(r, at, name);
    sky_err err = new_param(r, at, name, values, param);
    if (err == SKY_OK)
        r->p->sources[*param].factor = 0;
    return err;
}

/* ---- axes ---- */

/* Notes where value k of n stands. */
static bool add_place(sky__reader *r, const sky__node *at, size_t n, size_t k, sky__axis *axis)
{
    char place[512];
    if (!at || at->line == 0 || n > SKY__PLACES_MAX)
        return true;
    if (!axis->places && !(axis->places = sky_new(&r->p->arena, const char *, n)))
        return false;
    snprintf(place, sizeof place, "%s:%" PRIu32 ":%" PRIu32, at->file, at->line, at->column);
    axis->places[k] = sky_arena_strdup(&r->p->arena, place);
    return axis->places[k] != NULL;
}

sky_err sky__axis_list(sky__reader *r, const sky__node *const *nodes, size_t n, uint32_t param,
                       sky__axis *out)
{
    const sky_param *declared = &r->params[param];
    sky__axis axis = {.param = param, .type = declared->type, .kind = SKY__AXIS_LIST, .count = n};
    if (declared->type == SKY_TEXT)
        axis.s = sky_new(&r->p->arena, const char *, n);
    else if (declared->type == SKY_REAL)
        axis.f = sky_new(&r->p->arena, double, n);
    else
        axis.i = sky_new(&r->p->arena, int64_t, n);
    if (!axis.i)
        return sky__no_memory(r->e);
    for (size_t k = 0; k < n; k++) {
        sky_value v = r->p->fixed[param];
        sky_err err = SKY_OK;
        if (nodes[k]) /* NULL: a point that does not give this parameter has its default */
            err = sky__value_read(nodes[k], declared, &v, r->e);
        if (err != SKY_OK)
            return err;
        if (declared->type == SKY_TEXT)
            axis.s[k] = sky_arena_strdup(&r->p->arena, v.s);
        else if (declared->type == SKY_REAL)
            axis.f[k] = v.f;
        else
            axis.i[k] = v.i;
        if (declared->type == SKY_TEXT && (!axis.s[k] || !add_place(r, nodes[k], n, k, &axis)))
            return sky__no_memory(r->e);
    }
    *out = axis;
    return SKY_OK;
}

static sky_err read_values(sky__reader *r, const sky__node *values, uint32_t param, sky__axis *out)
{
    const char *name = r->params[param].name;
    if (values->kind == SKY__SCALAR)
        return sky__axis_list(r, &values, 1, param, out);
    if (values->kind == SKY__MAP)
        return sky__node_fail(values, r->e, "'%s': found a map; allowed is a list of values", name);
    if (values->count == 0)
        return sky__node_fail(values, r->e,
                              "'%s': found an empty list; allowed is one value or more", name);
    const sky__node **nodes = sky_new(r->tree, const sky__node *, values->count);
    if (!nodes)
        return sky__no_memory(r->e);
    size_t n = 0;
    for (const sky__node *child = values->first; child; child = child->next)
        nodes[n++] = child;
    return sky__axis_list(r, nodes, n, param, out);
}

static sky_err read_when(sky__reader *r, const sky__node *map, sky__factor *f, size_t index)
{
    const sky__node *when = sky__node_get(map, "when");
    if (!when)
        return SKY_OK;
    sky_err err = sky__want_text(when, "when", &f->when, r->e);
    if (err != SKY_OK)
        return err;
    f->when = sky_arena_strdup(&r->p->arena, f->when);
    r->at.when[index] = when;
    return f->when ? SKY_OK : sky__no_memory(r->e);
}

/* One axis: a scalar, a list, {values: ...} or a range. */
static sky_err read_axis(sky__reader *r, const sky__node *node, uint32_t param, sky__axis *out)
{
    static const char *const keys[] = {"values", "when", NULL};
    if (sky__is_range(node))
        return sky__range_read(r, node, param, out);
    if (node->kind == SKY__MAP) {
        sky_err err = sky__want_keys(node, node->key, keys, r->e);
        if (err != SKY_OK)
            return err;
        node = sky__node_get(node, "values");
    }
    return read_values(r, node, param, out);
}

/* ---- duplicates ---- */

static uint64_t value_bits(const sky__axis *axis, uint64_t row)
{
    if (axis->type == SKY_TEXT)
        return sky_hash_bytes(0, axis->s[row], strlen(axis->s[row]));
    if (axis->type != SKY_REAL)
        return (uint64_t)axis->i[row];
    double x = axis->f[row] == 0 ? 0 : axis->f[row]; /* -0 equals 0 */
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static bool rows_equal(const sky__factor *f, uint64_t a, uint64_t b)
{
    for (size_t k = 0; k < f->n_axes; k++) {
        const sky__axis *axis = &f->axes[k];
        bool equal = axis->type == SKY_TEXT ? strcmp(axis->s[a], axis->s[b]) == 0
                                            : value_bits(axis, a) == value_bits(axis, b);
        if (!equal)
            return false;
    }
    return true;
}

sky_err sky__find_duplicate(const sky__factor *f, bool *found, sky__pair *rows)
{
    *found = false;
    for (size_t k = 0; k < f->n_axes; k++)
        if (f->axes[k].kind != SKY__AXIS_LIST)
            return SKY_OK; /* the values of a range are distinct by themselves */
    if (f->count < 2)
        return SKY_OK;
    size_t cap = 16;
    while (cap < f->count * 2)
        cap *= 2;
    uint64_t *slots = calloc(cap, sizeof *slots); /* row + 1; 0: empty */
    if (!slots)
        return SKY_ENOMEM;
    for (uint64_t row = 0; row < f->count && !*found; row++) {
        uint64_t h = 0;
        for (size_t k = 0; k < f->n_axes; k++)
            h = sky_hash_u64(h, value_bits(&f->axes[k], row));
        size_t i = h & (cap - 1);
        while (slots[i] && !rows_equal(f, slots[i] - 1, row))
            i = (i + 1) & (cap - 1);
        *found = slots[i] != 0;
        *rows = (sky__pair){*found ? slots[i] - 1 : 0, row};
        slots[i] = row + 1;
    }
    free(slots);
    return SKY_OK;
}

void sky__row_print(sky_buf *b, const sky_plan *p, const sky__factor *f, uint64_t digit)
{
    sky_buf_puts(b, f->n_axes > 1 ? "(" : "");
    for (size_t k = 0; k < f->n_axes; k++) {
        sky_value v = sky__axis_value(&f->axes[k], digit);
        if (f->n_axes > 1)
            sky_buf_printf(b, "%s%s: ", k ? ", " : "", p->job.params[f->axes[k].param].name);
        sky_value_print(b, &v);
    }
    sky_buf_puts(b, f->n_axes > 1 ? ")" : "");
}

static const sky__node *nth_child(const sky__node *list, uint64_t k)
{
    const sky__node *n = list->first;
    while (n && k--)
        n = n->next;
    return n;
}

/* values: the node that row k of the factor is the k-th child of, if it is a list. */
static sky_err check_duplicates(sky__reader *r, const sky__factor *f, const sky__node *values)
{
    bool found;
    sky__pair rows;
    if (sky__find_duplicate(f, &found, &rows) != SKY_OK)
        return sky__no_memory(r->e);
    if (!found)
        return SKY_OK;
    if (values->kind == SKY__MAP && sky__node_get(values, "values"))
        values = sky__node_get(values, "values");
    const sky__node *at = values->kind == SKY__LIST ? nth_child(values, rows.second) : values;
    sky_buf row = {0};
    sky__row_print(&row, r->p, f, rows.second);
    sky_err err = sky__node_fail(
        at, r->e,
        "value %" PRIu64 " of '%s', %.80s, is value %" PRIu64 " again; allowed is each once",
        rows.second + 1, r->params[f->axes[0].param].name, sky_buf_str(&row), rows.first + 1);
    sky_buf_free(&row);
    return err;
}

/* ---- factors ---- */

static sky_err new_factor(sky__reader *r, const sky__node *at, size_t n_axes, sky__factor **out)
{
    if (r->p->n_factors == SKY_AXES_MAX)
        return sky__key_fail(at, r->e, "more axes than allowed (%d)", SKY_AXES_MAX);
    *out = &r->p->factors[r->p->n_factors];
    (*out)->axes = sky_new(&r->p->arena, sky__axis, n_axes ? n_axes : 1);
    r->at.axis[r->p->n_factors] = at;
    return (*out)->axes ? SKY_OK : sky__no_memory(r->e);
}

static sky_err read_plain(sky__reader *r, const sky__node *node)
{
    sky__factor *f;
    uint32_t param;
    sky_err err = new_factor(r, node, 1, &f);
    if (err == SKY_OK)
        err = sky__space_param(r, node, node->key, node, &param);
    if (err == SKY_OK)
        err = read_axis(r, node, param, &f->axes[0]);
    if (err == SKY_OK)
        err = read_when(r, node, f, r->p->n_factors);
    if (err != SKY_OK)
        return err;
    f->n_axes = 1;
    f->count = f->axes[0].count;
    r->p->n_factors++;
    return check_duplicates(r, f, node);
}

static sky_err read_zip_group(sky__reader *r, const sky__node *group)
{
    sky__factor *f;
    sky_err err = sky__want_map(group, "zip", r->e);
    if (err == SKY_OK)
        err = new_factor(r, group, group->count, &f);
    const sky__node *first = NULL;
    for (const sky__node *n = err == SKY_OK ? group->first : NULL; n; n = n->next) {
        if (strcmp(n->key, "when") == 0)
            continue;
        uint32_t param;
        sky__axis *axis = &f->axes[f->n_axes++];
        err = sky__space_param(r, n, n->key, n, &param);
        if (err == SKY_OK && n->kind == SKY__MAP && sky__node_get(n, "when"))
            err = sky__key_fail(sky__node_get(n, "when"), r->e,
                                "found 'when' on one axis of a zip; "
                                "allowed is one for the whole pair, beside its axes");
        if (err == SKY_OK)
            err = read_axis(r, n, param, axis);
        if (err == SKY_OK && axis->count == 0)
            err = sky__node_fail(n, r->e,
                                 "'%s' is a continuous interval; a zip allows listed values "
                                 "and steps",
                                 n->key);
        if (err == SKY_OK && first && axis->count != f->count)
            err = sky__node_fail(n, r->e,
                                 "'%s' has %" PRIu64 " values, but '%s', paired with it, has "
                                 "%" PRIu64 "; allowed are equal numbers",
                                 n->key, axis->count, first->key, f->count);
        if (err != SKY_OK)
            return err;
        first = first ? first : n;
        f->count = axis->count;
    }
    if (err == SKY_OK && !first)
        err = sky__node_fail(group, r->e, "zip: found no axes; allowed are two or more");
    if (err == SKY_OK)
        err = read_when(r, group, f, r->p->n_factors);
    if (err != SKY_OK)
        return err;
    r->p->n_factors++;
    return check_duplicates(r, f, first);
}

static sky_err read_zip(sky__reader *r, const sky__node *zip)
{
    if (zip->kind == SKY__MAP)
        return read_zip_group(r, zip);
    if (zip->kind != SKY__LIST || zip->count == 0)
        return sky__node_fail(zip, r->e,
                              "zip: found %s; allowed is a list of maps, each of axes of "
                              "equal length",
                              sky__node_found(zip).text);
    sky_err err = SKY_OK;
    for (const sky__node *n = zip->first; n && err == SKY_OK; n = n->next)
        err = read_zip_group(r, n);
    return err;
}

static sky_err read_csv(sky__reader *r, const sky__node *csv)
{
    sky__factor *f;
    sky_err err = new_factor(r, csv, SKY_PARAMS_MAX, &f);
    if (err == SKY_OK)
        err = sky__points_csv(r, csv, f);
    if (err == SKY_OK)
        r->p->n_factors++;
    return err;
}

sky_err sky__space_read(sky__reader *r, const sky__node *space)
{
    sky_err err = SKY_OK;
    r->p->factors = sky_new(&r->p->arena, sky__factor, SKY_AXES_MAX);
    r->at.when = sky_new(r->tree, const sky__node *, SKY_AXES_MAX);
    r->at.axis = sky_new(r->tree, const sky__node *, SKY_AXES_MAX);
    if (!r->p->factors || !r->at.when || !r->at.axis)
        return sky__no_memory(r->e);
    if (!space)
        return SKY_OK;
    if (space->kind == SKY__LIST) {
        sky__factor *f;
        err = new_factor(r, space, SKY_PARAMS_MAX, &f);
        if (err == SKY_OK)
            err = sky__points_read(r, space, f);
        r->p->n_factors += err == SKY_OK;
        return err;
    }
    if (space->kind != SKY__MAP || space->count == 0)
        return sky__node_fail(space, r->e,
                              "space: found %s; allowed are a map of axes and a list of "
                              "points",
                              sky__node_found(space).text);
    for (const sky__node *n = space->first; n && err == SKY_OK; n = n->next) {
        if (strcmp(n->key, "zip") == 0)
            err = read_zip(r, n);
        else if (strcmp(n->key, "csv") == 0)
            err = read_csv(r, n);
        else
            err = read_plain(r, n);
    }
    return err;
}

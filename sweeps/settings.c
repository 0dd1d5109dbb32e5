/* The part of a sweep file that is neither job nor space: name, search, expressions, objectives,
 * limits, resources. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "sweeps/reader.h"

enum { REPEATS_MAX = 1000000000, CPUS_MAX = 65536, PRIORITY_MAX = 1000000000 };

static sky_err copy_text(sky__reader *r, const sky__node *n, const char **out)
{
    const char *text;
    sky_err err = sky__want_text(n, n->key, &text, r->e);
    if (err == SKY_OK && !(*out = sky_arena_strdup(&r->p->arena, text)))
        err = sky__no_memory(r->e);
    return err;
}

static sky_err read_name(sky__reader *r)
{
    static const char allowed[] =
        "letters, digits and . _ -, 100 at most, beginning with a letter or "
        "digit, not with sky_ or sqlite_";
    const char *name = r->options->name;
    if (name) {
        if (!sky_is_sweep_name(name))
            return sky_fail(r->e, SKY_EFORMAT, "--name: found '%.100s'; allowed are %s", name,
                            allowed);
        r->p->name = sky_arena_strdup(&r->p->arena, name);
        return r->p->name ? SKY_OK : sky__no_memory(r->e);
    }
    const sky__node *n = sky__node_get(r->root, "name");
    if (!n)
        return sky__node_fail(r->root, r->e,
                              "found no 'name'; every sweep has one (name: NAME, or "
                              "--name)");
    sky_err err = copy_text(r, n, &r->p->name);
    if (err == SKY_OK && !sky_is_sweep_name(r->p->name))
        err = sky__node_fail(n, r->e, "name: found %s; allowed are %s", sky__node_found(n).text,
                             allowed);
    return err;
}

/* ---- expressions ---- */

typedef struct list {
    sky_expression *items;
    const sky__node **at;
    size_t n;
} list;

static sky_err add_expression(sky__reader *r, const sky__node *n, const char *what, list *out)
{
    const char *sql;
    sky_err err = sky__want_text(n, what, &sql, r->e);
    if (err != SKY_OK)
        return err;
    sky_expression *x = &out->items[out->n];
    x->name = sky_arena_strdup(&r->p->arena, n->key && strcmp(what, "derived") == 0 ? n->key : "");
    x->sql = sky_arena_strdup(&r->p->arena, sql);
    out->at[out->n++] = n;
    return x->name && x->sql ? SKY_OK : sky__no_memory(r->e);
}

/* A list of expressions, or one alone; with map, {name: expression}. */
static sky_err read_expressions(sky__reader *r, const char *key, bool map, list *out)
{
    const sky__node *n = sky__node_get(r->root, key);
    size_t count = !n ? 0 : n->kind == SKY__SCALAR ? 1 : n->count;
    if (count > SKY_EXPRESSIONS_MAX)
        return sky__node_fail(n, r->e, "%s: found %zu; allowed are %d", key, count,
                              SKY_EXPRESSIONS_MAX);
    out->items = sky_new(&r->p->arena, sky_expression, count + 1);
    out->at = sky_new(r->tree, const sky__node *, count + 1);
    if (!out->items || !out->at)
        return sky__no_memory(r->e);
    if (!n)
        return SKY_OK;
    if (map ? n->kind != SKY__MAP : n->kind == SKY__MAP)
        return sky__node_fail(n, r->e, "%s: found %s; allowed is a %s of SQL expressions", key,
                              sky__node_found(n).text, map ? "map" : "list");
    if (n->kind == SKY__SCALAR)
        return add_expression(r, n, key, out);
    sky_err err = SKY_OK;
    for (const sky__node *child = n->first; err == SKY_OK && child; child = child->next)
        err = add_expression(r, child, key, out);
    return err;
}

static sky_err read_all_expressions(sky__reader *r)
{
    list where = {0}, derived = {0}, constraints = {0};
    sky_plan *p = r->p;
    sky_err err = read_expressions(r, "where", false, &where);
    if (err == SKY_OK)
        err = read_expressions(r, "derived", true, &derived);
    if (err == SKY_OK)
        err = read_expressions(r, "constraints", false, &constraints);
    p->where = where.items;
    p->n_where = where.n;
    p->derived = derived.items;
    p->n_derived = derived.n;
    p->constraints = constraints.items;
    p->n_constraints = constraints.n;
    r->at.where = where.at;
    r->at.derived = derived.at;
    r->at.constraints = constraints.at;
    return err;
}

/* ---- objectives ---- */

/* Whether name can be an objective; *goal becomes the job's own for it. */
static bool objective_exists(const sky_plan *p, const char *name, sky_goal *goal, bool *text)
{
    *goal = SKY_NO_GOAL;
    *text = false;
    for (size_t i = 0; i < p->job.n_metrics; i++) {
        if (strcmp(p->job.metrics[i].name, name) == 0) {
            *goal = p->job.metrics[i].goal;
            *text = p->job.metrics[i].type == SKY_TEXT;
            return true;
        }
    }
    for (size_t i = 0; i < p->n_derived; i++)
        if (strcmp(p->derived[i].name, name) == 0)
            return true;
    for (size_t i = 0; i < p->job.n_params; i++) {
        if (strcmp(p->job.params[i].name, name) == 0) {
            *text = p->job.params[i].type == SKY_TEXT;
            return true;
        }
    }
    return false;
}

static sky_err unknown_objective(sky__reader *r, const sky__node *at, const char *name)
{
    const sky_plan *p = r->p;
    const char *names[SKY_METRICS_MAX + SKY_EXPRESSIONS_MAX];
    size_t n = 0;
    sky_buf all = {0};
    for (size_t i = 0; i < p->job.n_metrics; i++)
        names[n++] = p->job.metrics[i].name;
    for (size_t i = 0; i < p->n_derived; i++)
        names[n++] = p->derived[i].name;
    for (size_t i = 0; i < n; i++)
        sky_buf_printf(&all, "%s%s", i ? ", " : "", names[i]);
    sky_err err =
        sky__key_fail(at, r->e, "objectives: unknown metric '%.60s'%s; allowed are %.600s", name,
                      sky__suggest(name, names, n).text,
                      n ? sky_buf_str(&all) : "numeric parameters: there are no metrics");
    sky_buf_free(&all);
    return err;
}

/* goal: NULL where the file leaves it to the job. */
static sky_err add_objective(sky__reader *r, const sky__node *at, const char *name,
                             const sky__node *goal)
{
    sky_plan *p = r->p;
    sky_objective o;
    bool text;
    if (!objective_exists(p, name, &o.goal, &text))
        return unknown_objective(r, at, name);
    if (text)
        return sky__key_fail(at, r->e, "objectives: '%s' is a text; allowed are numbers", name);
    if (goal && goal->kind == SKY__SCALAR && strcmp(goal->text, "max") == 0)
        o.goal = SKY_MAX;
    else if (goal && goal->kind == SKY__SCALAR && strcmp(goal->text, "min") == 0)
        o.goal = SKY_MIN;
    else if (goal)
        return sky__node_fail(goal, r->e, "objectives: found %s; allowed are min and max",
                              sky__node_found(goal).text);
    if (o.goal == SKY_NO_GOAL)
        return sky__key_fail(at, r->e,
                             "objectives: the job names no goal for '%s'; allowed are "
                             "{%s: min} and {%s: max}",
                             name, name, name);
    for (size_t i = 0; i < p->n_objectives; i++)
        if (strcmp(p->objectives[i].name, name) == 0)
            return sky__key_fail(at, r->e, "objectives: '%s' is given twice; allowed is once",
                                 name);
    if (p->n_objectives == SKY_OBJECTIVES_MAX)
        return sky__key_fail(at, r->e, "objectives: more than allowed (%d)", SKY_OBJECTIVES_MAX);
    o.name = sky_arena_strdup(&p->arena, name);
    p->objectives[p->n_objectives++] = o;
    return o.name ? SKY_OK : sky__no_memory(r->e);
}

static sky_err read_objectives(sky__reader *r)
{
    const sky__node *n = sky__node_get(r->root, "objectives");
    r->p->objectives = sky_new(&r->p->arena, sky_objective, SKY_OBJECTIVES_MAX);
    if (!r->p->objectives)
        return sky__no_memory(r->e);
    if (!n)
        return SKY_OK;
    static const char shape[] = "objectives: found %s; allowed is a list such as [{energy: min}, "
                                "{speed: max}]";
    if (n->kind == SKY__SCALAR)
        return sky__node_fail(n, r->e, shape, sky__node_found(n).text);
    sky_err err = SKY_OK;
    for (const sky__node *o = n->first; err == SKY_OK && o; o = o->next) {
        if (o->key)
            err = add_objective(r, o, o->key, o);
        else if (o->kind == SKY__SCALAR)
            err = add_objective(r, o, o->text, NULL);
        else if (o->kind == SKY__MAP && o->count == 1)
            err = add_objective(r, o->first, o->first->key, o->first);
        else
            err = sky__node_fail(o, r->e, shape, sky__node_found(o).text);
    }
    return err;
}

/* ---- search ---- */

static sky_err read_search_options(sky__reader *r, const sky__node *options, sky__search *s)
{
    static const char *const keys[][3] = {
        [SKY__GRID] = {"order"},
        [SKY__RANDOM] = {"points"},
        [SKY__SOBOL] = {"points", "scramble"},
        [SKY__LATIN_HYPERCUBE] = {"points"},
    };
    const char *what = sky__search_names[s->kind];
    const sky__bounds bounds = {1, SKY_POINTS_MAX};
    if (s->kind == SKY__GRID && sky__node_is_null(options))
        return SKY_OK;
    const char *const allowed[] = {keys[s->kind][0], keys[s->kind][1], NULL};
    sky_err err = sky__want_keys(options, what, allowed, r->e);
    if (err != SKY_OK)
        return err;
    const sky__node *points = sky__node_get(options, "points");
    const sky__node *scramble = sky__node_get(options, "scramble");
    const sky__node *order = sky__node_get(options, "order");
    if (s->kind != SKY__GRID && !points)
        return sky__node_fail(options, r->e,
                              "%s: found no 'points'; say how many: {%s: {points: N}}", what, what);
    if (points)
        err = sky__want_count(points, "points", bounds, &s->points, r->e);
    if (err == SKY_OK && scramble)
        err = sky__want_bool(scramble, "scramble", &s->scramble, r->e);
    if (err != SKY_OK || !order)
        return err;
    s->shuffle = order->kind == SKY__SCALAR && strcmp(order->text, "random") == 0;
    if (!s->shuffle && (order->kind != SKY__SCALAR || strcmp(order->text, "sequential") != 0))
        return sky__node_fail(order, r->e, "order: found %s; allowed are sequential and random",
                              sky__node_found(order).text);
    return SKY_OK;
}

sky_err sky__search_read(sky__reader *r, const sky__node *search)
{
    sky__search *s = &r->p->search;
    if (!search)
        return SKY_OK;
    const char *word = search->text;
    const sky__node *options = NULL;
    if (search->kind == SKY__MAP && search->count == 1) {
        options = search->first;
        word = options->key;
    }
    if (!word)
        return sky__node_fail(search, r->e,
                              "search: found %s; allowed are grid, {random: {points: N}}, "
                              "{sobol: ...} and {latin_hypercube: ...}",
                              sky__node_found(search).text);
    size_t kind = 0, n = SKY__LATIN_HYPERCUBE + 1;
    while (kind < n && strcmp(word, sky__search_names[kind]) != 0)
        kind++;
    if (kind == n)
        return sky__node_fail(search, r->e,
                              "search: unknown search '%.60s'%s; allowed are grid, random, "
                              "sobol and latin_hypercube",
                              word, sky__suggest(word, sky__search_names, n).text);
    s->kind = (sky__search_kind)kind;
    s->scramble = s->kind == SKY__SOBOL;
    if (options)
        return read_search_options(r, options, s);
    if (s->kind != SKY__GRID)
        return sky__node_fail(search, r->e,
                              "search: found '%s' alone; say how many points: "
                              "{%s: {points: N}}",
                              word, word);
    return SKY_OK;
}

/* ---- limits and resources ---- */

static sky_err read_bytes(sky__reader *r, const sky__node *map, const char *key, uint64_t *out)
{
    const sky__node *n = sky__node_get(map, key);
    if (!n || (n->kind == SKY__SCALAR && sky_parse_bytes(n->text, out) == SKY_OK))
        return SKY_OK;
    return sky__node_fail(n, r->e, "%s: found %s; allowed are sizes such as 512MiB, 2GiB and 1.5GB",
                          key, sky__node_found(n).text);
}

static sky_err read_count(sky__reader *r, const sky__node *map, const char *key, sky__bounds bounds,
                          uint64_t *out)
{
    const sky__node *n = sky__node_get(map, key);
    return n ? sky__want_count(n, key, bounds, out, r->e) : SKY_OK;
}

static sky_err read_limits(sky__reader *r)
{
    static const char *const keys[] = {"timeout", "attempts", "memory", "failures", NULL};
    const sky__node *map = sky__node_get(r->root, "limits");
    sky_limits *l = &r->p->limits;
    if (!map)
        return SKY_OK;
    sky_err err = sky__want_keys(map, "limits", keys, r->e);
    const sky__node *timeout = sky__node_get(map, "timeout");
    if (err == SKY_OK && timeout &&
        (timeout->kind != SKY__SCALAR ||
         sky_parse_duration(timeout->text, &l->timeout_ns) != SKY_OK || l->timeout_ns < 0))
        err = sky__node_fail(timeout, r->e,
                             "timeout: found %s; allowed are times such as 90, 60s, "
                             "1.5h and 250ms",
                             sky__node_found(timeout).text);
    uint64_t attempts = l->attempts;
    if (err == SKY_OK)
        err = read_count(r, map, "attempts", (sky__bounds){1, UINT32_MAX}, &attempts);
    l->attempts = (uint32_t)attempts;
    if (err == SKY_OK)
        err = read_bytes(r, map, "memory", &l->memory_bytes);
    if (err == SKY_OK)
        err = read_count(r, map, "failures", (sky__bounds){0, INT64_MAX}, &l->failures);
    return err;
}

static sky_err read_resources(sky__reader *r)
{
    static const char *const keys[] = {"cpus", "gpus", "memory", NULL};
    const sky__node *map = sky__node_get(r->root, "resources");
    sky_resources *s = &r->p->resources;
    if (!map)
        return SKY_OK;
    uint64_t cpus = s->cpus, gpus = s->gpus;
    sky_err err = sky__want_keys(map, "resources", keys, r->e);
    if (err == SKY_OK)
        err = read_count(r, map, "cpus", (sky__bounds){1, CPUS_MAX}, &cpus);
    if (err == SKY_OK)
        err = read_count(r, map, "gpus", (sky__bounds){0, CPUS_MAX}, &gpus);
    if (err == SKY_OK)
        err = read_bytes(r, map, "memory", &s->memory_bytes);
    s->cpus = (uint32_t)cpus;
    s->gpus = (uint32_t)gpus;
    return err;
}

static sky_err read_priority(sky__reader *r)
{
    const sky__node *n = sky__node_get(r->root, "priority");
    int64_t x;
    if (!n)
        return SKY_OK;
    if (n->kind != SKY__SCALAR || n->quoted || sky_parse_i64(n->text, &x) != SKY_OK ||
        x < -PRIORITY_MAX || x > PRIORITY_MAX)
        return sky__node_fail(n, r->e,
                              "priority: found %s; allowed is a whole number from -%d to %d",
                              sky__node_found(n).text, PRIORITY_MAX, PRIORITY_MAX);
    r->p->priority = (int32_t)x;
    return SKY_OK;
}

static bool is_tag(const char *text)
{
    const size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    }
    return len > 0 && len <= SKY__TAG_BYTES_MAX;
}

static sky_err read_tags(sky__reader *r)
{
    const sky__node *n = sky__node_get(r->root, "tags");
    if (!n)
        return SKY_OK;
    sky_err err = sky__want_list(n, "tags", r->e);
    if (err == SKY_OK && n->count > SKY__TAGS_MAX)
        err = sky__node_fail(n, r->e, "tags: found %u; allowed are %d", n->count, SKY__TAGS_MAX);
    if (err != SKY_OK)
        return err;
    const char **tags = sky_new(&r->p->arena, const char *, n->count + 1);
    size_t i = 0;
    for (const sky__node *tag = n->first; tags && err == SKY_OK && tag; tag = tag->next) {
        const char *text;
        err = sky__want_text(tag, "tags", &text, r->e);
        if (err == SKY_OK && !is_tag(text))
            err = sky__node_fail(tag, r->e,
                                 "tags: found %s; allowed are texts of 1 to %d bytes without "
                                 "control characters",
                                 sky__node_found(tag).text, SKY__TAG_BYTES_MAX);
        if (err == SKY_OK && !(tags[i++] = sky_arena_strdup(&r->p->arena, text)))
            err = sky__no_memory(r->e);
    }
    r->p->tags = tags;
    return tags ? err : sky__no_memory(r->e);
}

sky_err sky__settings_read(sky__reader *r)
{
    uint64_t repeats = 1;
    sky_err err = read_name(r);
    if (err == SKY_OK)
        err = sky__search_read(r, sky__node_get(r->root, "search"));
    if (err == SKY_OK)
        err = read_count(r, r->root, "repeats", (sky__bounds){1, REPEATS_MAX}, &repeats);
    r->p->repeats = (uint32_t)repeats;
    if (err == SKY_OK)
        err = read_count(r, r->root, "seed", (sky__bounds){0, UINT64_MAX}, &r->p->seed);
    if (err == SKY_OK)
        err = read_all_expressions(r);
    if (err == SKY_OK)
        err = read_objectives(r);
    if (err == SKY_OK)
        err = read_limits(r);
    if (err == SKY_OK)
        err = read_resources(r);
    if (err == SKY_OK)
        err = read_priority(r);
    if (err == SKY_OK)
        err = read_tags(r);
    const sky__node *description = sky__node_get(r->root, "description");
    if (err == SKY_OK && description)
        err = copy_text(r, description, &r->p->description);
    return err;
}

/* The part of a sweep file that says what runs: job, job_version, plugin, command, types,
 * metrics. */
#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "sweeps/reader.h"

enum { JOB_NAMES_MAX = 1024, COMMAND_WORDS_MAX = 1024 };

/* ---- a descriptor's copy ---- */

static bool copy_value(sky_arena *a, sky_value *v)
{
    if (v->type == SKY_TEXT && !v->absent)
        v->s = sky_arena_strdup(a, v->s);
    return v->type != SKY_TEXT || v->absent || v->s;
}

static const char *copy_text(sky_arena *a, const char *text)
{
    return sky_arena_strdup(a, text ? text : "");
}

static bool copy_param(sky_arena *a, sky_param *out, const sky_param *from)
{
    *out = *from;
    out->name = copy_text(a, from->name);
    out->unit = copy_text(a, from->unit);
    out->doc = copy_text(a, from->doc);
    if (from->choices) {
        size_t n = 0;
        while (from->choices[n])
            n++;
        const char **choices = sky_new(a, const char *, n + 1);
        if (!choices)
            return false;
        for (size_t i = 0; i < n; i++)
            if (!(choices[i] = copy_text(a, from->choices[i])))
                return false;
        out->choices = choices;
    }
    return copy_value(a, &out->def) && out->name && out->unit && out->doc;
}

sky_err sky__descriptor_copy(sky_plan *p, const sky_descriptor *d)
{
    sky_arena *a = &p->arena;
    sky_param *params = sky_new(a, sky_param, SKY_PARAMS_MAX);
    sky_metric *metrics = sky_new(a, sky_metric, SKY_METRICS_MAX);
    if (!params || !metrics)
        return SKY_ENOMEM;
    p->job = *d;
    p->job.params = params;
    p->job.metrics = metrics;
    p->job.name = copy_text(a, d->name);
    p->job.version = copy_text(a, d->version);
    p->job.summary = copy_text(a, d->summary);
    p->job.source = copy_text(a, d->source);
    if (!p->job.name || !p->job.version || !p->job.summary || !p->job.source)
        return SKY_ENOMEM;
    for (size_t i = 0; i < d->n_params; i++) {
        if (!copy_param(a, &params[i], &d->params[i]))
            return SKY_ENOMEM;
        p->fixed[i] = params[i].def;
    }
    for (size_t i = 0; i < d->n_metrics; i++) {
        metrics[i] = d->metrics[i];
        metrics[i].name = copy_text(a, d->metrics[i].name);
        metrics[i].unit = copy_text(a, d->metrics[i].unit);
        metrics[i].doc = copy_text(a, d->metrics[i].doc);
        if (!metrics[i].name || !metrics[i].unit || !metrics[i].doc)
            return SKY_ENOMEM;
    }
    return SKY_OK;
}

/* ---- job and plug-in ---- */

static sky_err unknown_job(sky__reader *r, const sky__node *at, const char *name)
{
    const sky_job_lookup *jobs = &r->options->jobs;
    const char **names = sky_new(r->tree, const char *, JOB_NAMES_MAX);
    size_t n = jobs->names && names ? jobs->names(jobs->arg, names, JOB_NAMES_MAX) : 0;
    n = n < JOB_NAMES_MAX ? n : JOB_NAMES_MAX;
    sky_buf list = {0};
    for (size_t i = 0; i < n; i++)
        sky_buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    sky_err err = sky__node_fail(at, r->e, "job: unknown job '%.60s'%s; allowed are %.700s", name,
                                 sky__suggest(name, names, n).text,
                                 n ? sky_buf_str(&list) : "none: there are no jobs");
    sky_buf_free(&list);
    return err;
}

static sky_err read_plugin(sky__reader *r)
{
    const sky__node *at = sky__node_get(r->root, "plugin");
    const char *name;
    if (!at)
        return SKY_OK;
    sky_err err = sky__want_text(at, "plugin", &name, r->e);
    if (err != SKY_OK)
        return err;
    r->p->plugin = sky__path_beside(r->p, name);
    if (!r->p->plugin)
        return sky__no_memory(r->e);
    const sky_job_lookup *jobs = &r->options->jobs;
    sky_error why = {0};
    if (jobs->load && jobs->load(jobs->arg, r->p->plugin, &why) != SKY_OK)
        return sky__node_fail_why(at, r->e, "plugin", &why);
    return SKY_OK;
}

static sky_err find_job(sky__reader *r)
{
    const sky__node *at = sky__node_get(r->root, "job");
    const char *name;
    if (!at)
        return sky__node_fail(r->root, r->e,
                              "found no 'job'; every sweep file names one (job: NAME)");
    sky_err err = sky__want_text(at, "job", &name, r->e);
    if (err != SKY_OK)
        return err;
    const sky_job_lookup *jobs = &r->options->jobs;
    const sky_descriptor *d = jobs->find ? jobs->find(jobs->arg, name) : NULL;
    if (!d)
        return unknown_job(r, at, name);
    if (d->n_params > SKY_PARAMS_MAX || d->n_metrics > SKY_METRICS_MAX)
        return sky__node_fail(at, r->e,
                              "job '%s' has %zu parameters and %zu metrics; allowed are %d "
                              "and %d",
                              name, d->n_params, d->n_metrics, SKY_PARAMS_MAX, SKY_METRICS_MAX);
    sky_descriptor own = *d;
    if (d->open)
        own.n_params = own.n_metrics = 0; /* they come from this file */
    if (sky__descriptor_copy(r->p, &own) != SKY_OK)
        return sky__no_memory(r->e);
    r->params = (sky_param *)(uintptr_t)r->p->job.params;
    const sky__node *version = sky__node_get(r->root, "job_version");
    const char *wanted;
    if (!version)
        return SKY_OK;
    err = sky__want_text(version, "job_version", &wanted, r->e);
    if (err == SKY_OK && strcmp(wanted, d->version) != 0) {
        sky__node_fail(version, r->e,
                       "job_version: found '%.40s', but job '%s' here has version "
                       "'%.40s'",
                       wanted, name, d->version);
        err = SKY_EVERSION;
        if (r->e)
            r->e->code = err;
    }
    return err;
}

/* ---- command ---- */

static sky_err split_command(sky__reader *r, const sky__node *at, const char **words, size_t *n)
{
    if (at->text[strcspn(at->text, "'\"\\")])
        return sky__node_fail(at, r->e,
                              "command: found a quote or backslash; a text is split on blanks "
                              "and nothing else: allowed for other words is a list, "
                              "[program, argument, ...]");
    const char *s = at->text;
    for (;;) {
        s += strspn(s, " \t\r\n");
        size_t len = strcspn(s, " \t\r\n");
        if (len == 0)
            return SKY_OK;
        if (*n == COMMAND_WORDS_MAX)
            return sky__node_fail(at, r->e, "command: more words than allowed (%d)",
                                  COMMAND_WORDS_MAX);
        words[*n] = sky_arena_strndup(&r->p->arena, s, len);
        if (!words[(*n)++])
            return sky__no_memory(r->e);
        s += len;
    }
}

static sky_err read_command(sky__reader *r)
{
    const sky__node *at = sky__node_get(r->root, "command");
    if (!at)
        return SKY_OK;
    if (!r->p->job.open)
        return sky__key_fail(at, r->e,
                             "found a command; job '%s' runs none (allowed with the job "
                             "'command')",
                             r->p->job.name);
    const char **words = sky_new(&r->p->arena, const char *, COMMAND_WORDS_MAX + 1);
    if (!words)
        return sky__no_memory(r->e);
    size_t n = 0;
    sky_err err = SKY_OK;
    if (at->kind == SKY__SCALAR)
        err = split_command(r, at, words, &n);
    else
        err = sky__want_list(at, "command", r->e);
    for (const sky__node *word = at->first; err == SKY_OK && word; word = word->next) {
        const char *text;
        if (n == COMMAND_WORDS_MAX)
            return sky__node_fail(word, r->e, "command: more words than allowed (%d)",
                                  COMMAND_WORDS_MAX);
        err = sky__want_text(word, "command", &text, r->e);
        if (err == SKY_OK && !(words[n++] = sky_arena_strdup(&r->p->arena, text)))
            err = sky__no_memory(r->e);
    }
    if (err == SKY_OK && (n == 0 || words[0][0] == '\0'))
        err = sky__node_fail(at, r->e,
                             "command: found nothing to run; allowed is a program and its "
                             "arguments");
    r->p->command = words;
    return err;
}

/* ---- metrics of open jobs ---- */

static sky_err choose(const sky__node *at, const char *what, const char *const *words, int *out,
                      sky_error *e)
{
    const char *text;
    sky_err err = sky__want_text(at, what, &text, e);
    if (err != SKY_OK)
        return err;
    size_t n = 0;
    sky_buf list = {0};
    for (; words[n]; n++) {
        sky_buf_printf(&list, "%s%s", n ? ", " : "", words[n]);
        if (strcmp(words[n], text) == 0) {
            sky_buf_free(&list);
            *out = (int)n;
            return SKY_OK;
        }
    }
    err = sky__node_fail(at, e, "%s: found '%.40s'%s; allowed are %s", what, text,
                         sky__suggest(text, words, n).text, sky_buf_str(&list));
    sky_buf_free(&list);
    return err;
}

static sky_err read_metric_map(sky__reader *r, const sky__node *map, sky_metric *m)
{
    static const char *const keys[] = {"unit", "goal", "type", "class", "doc", NULL};
    static const char *const goals[] = {"min", "max", NULL};
    static const char *const types[] = {"int", "real", "text", NULL};
    static const char *const classes[] = {"exact", "tolerance", "measured", NULL};
    sky_err err = sky__want_keys(map, "metrics", keys, r->e);
    int i;
    for (const sky__node *n = map->first; err == SKY_OK && n; n = n->next) {
        if (strcmp(n->key, "goal") == 0) {
            err = choose(n, "goal", goals, &i, r->e);
            m->goal = err != SKY_OK ? SKY_NO_GOAL : i == 0 ? SKY_MIN : SKY_MAX;
        } else if (strcmp(n->key, "type") == 0) {
            err = choose(n, "type", types, &i, r->e);
            m->type = err != SKY_OK ? SKY_REAL : (sky_type)i; /* in the order of sky_type */
        } else if (strcmp(n->key, "class") == 0) {
            err = choose(n, "class", classes, &i, r->e);
            m->cls = err != SKY_OK ? SKY_EXACT : (sky_metric_class)i;
        } else {
            const char *text = "";
            err = sky__want_text(n, n->key, &text, r->e);
            if (err == SKY_OK && !(text = sky_arena_strdup(&r->p->arena, text)))
                err = sky__no_memory(r->e);
            *(strcmp(n->key, "unit") == 0 ? &m->unit : &m->doc) = text;
        }
    }
    return err;
}

/* value: NULL (a bare name), min, max, or a map. */
static sky_err add_metric(sky__reader *r, const sky__node *at, const char *name,
                          const sky__node *value)
{
    sky_descriptor *job = &r->p->job;
    sky_metric *metrics = (sky_metric *)(uintptr_t)job->metrics;
    if (!sky_is_identifier(name))
        return sky__key_fail(at, r->e,
                             "metrics: found the name '%.60s'; allowed are letters, digits "
                             "and _, 63 at most, not beginning with a digit",
                             name);
    if (job->n_metrics == SKY_METRICS_MAX)
        return sky__key_fail(at, r->e, "metrics: more than allowed (%d)", SKY_METRICS_MAX);
    /* Nobody but its author knows whether a program repeats itself to the bit. */
    sky_metric m = {.type = SKY_REAL, .unit = "", .doc = "", .cls = SKY_TOLERANCE};
    static const char *const goals[] = {"min", "max", NULL};
    sky_err err = SKY_OK;
    int goal;
    if (value && value->kind == SKY__MAP) {
        err = read_metric_map(r, value, &m);
    } else if (value && !sky__node_is_null(value)) {
        err = choose(value, "metrics", goals, &goal, r->e);
        m.goal = err != SKY_OK ? SKY_NO_GOAL : goal == 0 ? SKY_MIN : SKY_MAX;
    }
    m.name = sky_arena_strdup(&r->p->arena, name);
    if (err == SKY_OK && !m.name)
        err = sky__no_memory(r->e);
    metrics[job->n_metrics++] = m;
    return err;
}

sky_err sky__metrics_read(sky__reader *r, const sky__node *metrics)
{
    sky_err err = SKY_OK;
    if (metrics->kind == SKY__SCALAR || metrics->count == 0)
        return sky__node_fail(metrics, r->e,
                              "metrics: found %s; allowed are a list of names and a map "
                              "{name: {unit, goal, type, class, doc}}",
                              sky__node_found(metrics).text);
    for (const sky__node *n = metrics->first; err == SKY_OK && n; n = n->next) {
        if (n->key)
            err = add_metric(r, n, n->key, n);
        else if (n->kind == SKY__SCALAR)
            err = add_metric(r, n, n->text, NULL);
        else if (n->kind == SKY__MAP && n->count == 1)
            err = add_metric(r, n->first, n->first->key, n->first);
        else
            err = sky__node_fail(n, r->e, "metrics: found %s; allowed are a name and {name: {...}}",
                                 sky__node_found(n).text);
    }
    return err;
}

sky_err sky__job_read(sky__reader *r)
{
    sky_err err = read_plugin(r);
    if (err == SKY_OK)
        err = find_job(r);
    if (err == SKY_OK)
        err = read_command(r);
    if (err != SKY_OK)
        return err;
    static const char *const open_keys[] = {"types", "metrics"};
    for (size_t i = 0; i < 2; i++) {
        const sky__node *n = sky__node_get(r->root, open_keys[i]);
        if (n && !r->p->job.open)
            return sky__key_fail(n, r->e,
                                 "found '%s'; job '%s' declares its own (allowed with the job "
                                 "'command')",
                                 open_keys[i], r->p->job.name);
    }
    r->types = sky__node_get(r->root, "types");
    if (r->types)
        err = sky__want_map(r->types, "types", r->e);
    const sky__node *metrics = sky__node_get(r->root, "metrics");
    return err == SKY_OK && metrics ? sky__metrics_read(r, metrics) : err;
}

/* ---- names as SQL columns ---- */

typedef struct named {
    const char *name, *what;
    const sky__node *at;
} named;

/* Compares names without regard to case, as SQLite does with columns. */
static sky_err check_name(sky__reader *r, const named *all, size_t i)
{
    static const char *const reserved[] = {"rowid", "oid",   "_rowid_", "trial",
                                           "true",  "false", "null"};
    const named *n = &all[i];
    if (!sky_is_identifier(n->name))
        return sky__node_fail(n->at, r->e,
                              "the %s '%.60s' is no name; allowed are letters, digits and "
                              "_, 63 at most, not beginning with a digit",
                              n->what, n->name);
    if (strncasecmp(n->name, "sky_", 4) == 0)
        return sky__node_fail(n->at, r->e,
                              "the %s '%s' begins with sky_, which is reserved; allowed "
                              "are other names",
                              n->what, n->name);
    for (size_t k = 0; k < sizeof reserved / sizeof *reserved; k++)
        if (strcasecmp(n->name, reserved[k]) == 0)
            return sky__node_fail(n->at, r->e,
                                  "the %s '%s' has a reserved name; allowed are others", n->what,
                                  n->name);
    for (size_t k = 0; k < i; k++)
        if (strcasecmp(n->name, all[k].name) == 0)
            return sky__node_fail(n->at, r->e,
                                  "the %s '%s' and the %s '%s' have the same name but for "
                                  "case; allowed are distinct names",
                                  n->what, n->name, all[k].what, all[k].name);
    return SKY_OK;
}

sky_err sky__names_check(sky__reader *r)
{
    const sky_plan *p = r->p;
    size_t n = 0;
    named *all = sky_new(r->tree, named, p->job.n_params + p->job.n_metrics + p->n_derived + 1);
    if (!all)
        return sky__no_memory(r->e);
    const sky__node *job = sky__node_get(r->root, "job"),
                    *metrics = sky__node_get(r->root, "metrics");
    const sky__node *space = sky__node_get(r->root, "space");
    for (size_t i = 0; i < p->job.n_params; i++)
        all[n++] = (named){p->job.params[i].name, "parameter", p->job.open && space ? space : job};
    for (size_t i = 0; i < p->job.n_metrics; i++)
        all[n++] = (named){p->job.metrics[i].name, "metric", metrics ? metrics : job};
    for (size_t i = 0; i < p->n_derived; i++)
        all[n++] = (named){p->derived[i].name, "derived metric", r->at.derived[i]};
    for (size_t i = 0; i < n; i++) {
        sky_err err = check_name(r, all, i);
        if (err != SKY_OK)
            return err;
    }
    return SKY_OK;
}

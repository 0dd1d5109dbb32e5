/* One store into another. Everything goes through the writer's own calls, so that a row from a file is
 * stored as carefully as a row from a worker. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "store/manage.h"
#include "store/store_internal.h"

enum { ROWS = 4096, DIFFERENCES_MAX = 100 };

typedef struct merge {
    sky_store *to, *from;
    void (*on_difference)(void *arg, const char *sweep, uint64_t trial);
    void *arg;
    sky_merge_report report;
    sky_arena arena;     /* of the sweep at hand: its descriptor */
    sky_sweep_spec spec; /* of it there */
    sky_descriptor job;
    int64_t id; /* of it here */
    bool united;
    size_t differences;
    /* A batch of its rows. */
    sky_arena texts;
    uint64_t trials[ROWS];
    float wall_s[ROWS];
    sky_column *columns; /* parameters, then metrics */
    size_t n;
    int64_t env; /* there */
} merge;

static sky_err no_memory(merge *m, sky_error *e)
{
    return sky_fail(e, SKY_ENOMEM, "%s: out of memory", m->to->path);
}

/* ---- The sweep as it is described there ---- */

static char *text(merge *m, sqlite3_stmt *q, int column)
{
    const char *t = (const char *)sqlite3_column_text(q, column);
    return sky_arena_strdup(&m->arena, t ? t : "");
}

static sky_goal goal_of(const char *t)
{
    return strcmp(t, "min") == 0 ? SKY_MIN : strcmp(t, "max") == 0 ? SKY_MAX : SKY_NO_GOAL;
}

static sky_metric_class class_of(const char *t)
{
    return strcmp(t, "exact") == 0       ? SKY_EXACT
           : strcmp(t, "tolerance") == 0 ? SKY_TOLERANCE
                                         : SKY_MEASURED;
}

/* One row of sky_columns_meta into the list that its role names; false: out of memory or damaged. */
static bool take_column(merge *m, sqlite3_stmt *q)
{
    char *role = text(m, q, 0), *name = text(m, q, 1), *type = text(m, q, 2), *unit = text(m, q, 3);
    char *doc = text(m, q, 4), *goal = text(m, q, 5), *cls = text(m, q, 6), *sql = text(m, q, 7);
    sky_type t = SKY_REAL;
    if (!role || !name || !type || !unit || !doc || !goal || !cls || !sql)
        return false;
    if (strcmp(role, "derived") == 0 || strcmp(role, "constraint") == 0) {
        const bool derived = role[0] == 'd';
        size_t *n = derived ? &m->spec.n_derived : &m->spec.n_constraints;
        sky_expression *list =
            sky_new(&m->arena, sky_expression, *n + 1); /* few: copied each time */
        const sky_expression *old = derived ? m->spec.derived : m->spec.constraints;
        if (!list)
            return false;
        if (*n > 0)
            memcpy(list, old, *n * sizeof *list);
        list[(*n)++] = (sky_expression){name, sql};
        *(derived ? &m->spec.derived : &m->spec.constraints) = list;
        return true;
    }
    if (sky_type_parse(type, &t) != SKY_OK)
        return false;
    if (strcmp(role, "param") == 0) {
        sky_param *params = sky_new(&m->arena, sky_param, m->job.n_params + 1);
        if (!params || m->job.n_params >= SKY_PARAMS_MAX)
            return false;
        if (m->job.n_params > 0)
            memcpy(params, m->job.params, m->job.n_params * sizeof *params);
        params[m->job.n_params++] = (sky_param){.name = name, .type = t, .unit = unit, .doc = doc};
        m->job.params = params;
        return true;
    }
    sky_metric *metrics = sky_new(&m->arena, sky_metric, m->job.n_metrics + 1);
    if (!metrics || m->job.n_metrics >= SKY_METRICS_MAX)
        return false;
    if (m->job.n_metrics > 0)
        memcpy(metrics, m->job.metrics, m->job.n_metrics * sizeof *metrics);
    metrics[m->job.n_metrics++] = (sky_metric){.name = name,
                                               .type = t,
                                               .unit = unit,
                                               .doc = doc,
                                               .goal = goal_of(goal),
                                               .cls = class_of(cls)};
    m->job.metrics = metrics;
    return true;
}

static bool take_objective(merge *m, sqlite3_stmt *q)
{
    char *name = text(m, q, 0), *goal = text(m, q, 1);
    sky_objective *list = sky_new(&m->arena, sky_objective, m->spec.n_objectives + 1);
    if (!name || !goal || !list)
        return false;
    if (m->spec.n_objectives > 0)
        memcpy(list, m->spec.objectives, m->spec.n_objectives * sizeof *list);
    list[m->spec.n_objectives++] = (sky_objective){name, goal_of(goal)};
    m->spec.objectives = list;
    return true;
}

/* Calls take for each row of sql, whose one parameter is the sweep there. */
static sky_err each(merge *m, const char *sql, int64_t sweep, bool (*take)(merge *, sqlite3_stmt *),
                    sky_error *e)
{
    sky_err err;
    bool row = true;
    sqlite3_stmt *q = sky__stmt(m->from, sql, &err, e);
    if (err == SKY_OK)
        sqlite3_bind_int64(q, 1, sweep);
    while (err == SKY_OK) {
        err = sky__step(m->from, q, &row, e, "reading a sweep to merge");
        if (err != SKY_OK || !row)
            break;
        if (!take(m, q))
            err = sky_fail(e, SKY_EFORMAT, "%s: a sweep's description is damaged, or out of memory",
                           m->from->path);
    }
    if (q)
        sqlite3_reset(q);
    return err;
}

static bool take_job(merge *m, sqlite3_stmt *q)
{
    m->job.name = text(m, q, 0);
    m->job.version = text(m, q, 1);
    m->job.summary = text(m, q, 2);
    m->job.source = text(m, q, 3);
    return m->job.name && m->job.version && m->job.summary && m->job.source;
}

static sky_err describe(merge *m, const sky_sweep_info *there, sky_error *e)
{
    sky_arena_reset(&m->arena);
    m->job = (sky_descriptor){0};
    m->spec = (sky_sweep_spec){.name = there->name,
                               .plan = there->plan,
                               .identity = there->identity,
                               .job = &m->job,
                               .points = there->points,
                               .positions = there->positions};
    sky_err err =
        each(m, "SELECT job, job_version, job_summary, job_source FROM sky_sweeps WHERE id = ?",
             there->id, take_job, e);
    if (err == SKY_OK)
        err = each(m,
                   "SELECT role, name, type, unit, doc, goal, class, sql FROM sky_columns_meta"
                   " WHERE sweep = ? ORDER BY role, ord",
                   there->id, take_column, e);
    if (err == SKY_OK)
        err = each(m, "SELECT name, goal FROM sky_objectives WHERE sweep = ? ORDER BY ord",
                   there->id, take_objective, e);
    return err;
}

/* ---- Rows ---- */

static bool columns_alloc(merge *m)
{
    const size_t n = m->job.n_params + m->job.n_metrics;
    m->columns = sky_new(&m->arena, sky_column, n + 1);
    for (size_t c = 0; m->columns && c < n; c++) {
        sky_column *x = &m->columns[c];
        x->type =
            c < m->job.n_params ? m->job.params[c].type : m->job.metrics[c - m->job.n_params].type;
        x->i = sky_new(&m->arena, int64_t, ROWS); /* as large as a double or a pointer */
        x->absent = sky_new(&m->arena, uint8_t, ROWS);
        if (!x->i || !x->absent)
            return false;
    }
    return m->columns != NULL;
}
_Static_assert(sizeof(int64_t) == sizeof(double) && sizeof(int64_t) == sizeof(char *),
               "one array serves every type");

static sky_err map_env(merge *m, int64_t there, int64_t *here, sky_error *e)
{
    sky_err err;
    bool row = false;
    *here = 0;
    if (there == 0)
        return SKY_OK;
    sqlite3_stmt *q = sky__stmt(m->from, "SELECT json FROM sky_environments WHERE id = ?", &err, e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_int64(q, 1, there);
    err = sky__step(m->from, q, &row, e, "reading an environment");
    if (err == SKY_OK && row && sqlite3_column_text(q, 0))
        err = sky_store_env(m->to, (const char *)sqlite3_column_text(q, 0), here, e);
    sqlite3_reset(q);
    return err;
}

static sky_err flush(merge *m, sky_error *e)
{
    static const sky_ranges nothing; /* positions come at the end, all together */
    uint64_t copies = 0, differing = 0;
    int64_t env = 0;
    if (m->n == 0)
        return SKY_OK;
    sky_err err = map_env(m, m->env, &env, e);
    const sky_record r = {.sweep = m->id,
                          .n = m->n,
                          .trials = m->trials,
                          .params = m->columns,
                          .metrics = m->columns + m->job.n_params,
                          .wall_s = m->wall_s,
                          .env = env,
                          .positions = &nothing};
    if (err == SKY_OK)
        err = sky_store_record(m->to, &r, &copies, &differing, e);
    if (err != SKY_OK)
        return err;
    m->report.rows += m->n - copies;
    m->report.duplicates += copies;
    m->report.differing += differing;
    for (size_t i = 0; differing > 0 && i < m->n; i++) {
        if (m->to->batch->inserted[i] != SKY__BATCH_DIFFERS || m->differences++ >= DIFFERENCES_MAX)
            continue;
        if (m->on_difference)
            m->on_difference(m->arg, m->spec.name, m->trials[i]);
    }
    m->n = 0;
    sky_arena_reset(&m->texts);
    return SKY_OK;
}

static sky_err take_row(merge *m, sqlite3_stmt *q, sky_error *e)
{
    const int n = (int)(m->job.n_params + m->job.n_metrics);
    const int64_t env = sqlite3_column_int64(q, n + 2);
    sky_err err = SKY_OK;
    if (m->n == ROWS || (m->n > 0 && env != m->env))
        err = flush(m, e);
    m->env = env;
    m->trials[m->n] = (uint64_t)sqlite3_column_int64(q, 0);
    m->wall_s[m->n] = (float)sqlite3_column_double(q, n + 1);
    for (int c = 0; c < n && err == SKY_OK; c++) {
        sky_column *x = &m->columns[c];
        x->absent[m->n] = sqlite3_column_type(q, c + 1) == SQLITE_NULL;
        if (x->type == SKY_REAL) {
            x->f[m->n] = sqlite3_column_double(q, c + 1);
        } else if (x->type == SKY_TEXT) {
            const char *t = (const char *)sqlite3_column_text(q, c + 1);
            x->s[m->n] = sky_arena_strdup(&m->texts, t ? t : "");
            if (!x->s[m->n])
                err = no_memory(m, e);
        } else {
            x->i[m->n] = sqlite3_column_int64(q, c + 1);
        }
    }
    m->n += err == SKY_OK;
    return err;
}

static sky_err copy_rows(merge *m, sky_error *e)
{
    sky_buf sql = {0};
    sqlite3_stmt *q = NULL;
    bool row = true;
    if (!columns_alloc(m))
        return no_memory(m, e);
    sky_buf_puts(&sql, "SELECT trial");
    for (size_t c = 0; c < m->job.n_params + m->job.n_metrics; c++) {
        sky_buf_puts(&sql, ", ");
        sky_buf_sql_name(&sql, c < m->job.n_params ? m->job.params[c].name
                                                   : m->job.metrics[c - m->job.n_params].name);
    }
    sky_buf_puts(&sql, ", sky_wall_s, sky_env FROM ");
    sky_buf_sql_name(&sql, m->spec.name);
    sky_buf_puts(&sql, " ORDER BY trial");
    sky_err err =
        sky_buf_ok(&sql) ? sky__prepare(m->from, sky_buf_str(&sql), &q, e) : no_memory(m, e);
    sky_buf_free(&sql);
    while (err == SKY_OK) {
        err = sky__step(m->from, q, &row, e, "reading rows to merge");
        if (err != SKY_OK || !row)
            break;
        err = take_row(m, q, e);
    }
    sqlite3_finalize(q);
    return err == SKY_OK ? flush(m, e) : err;
}

/* What is settled in either is settled here. A hole is a settled position without a row. */
static sky_err copy_positions(merge *m, int64_t there, sky_error *e)
{
    sky_ranges done = {0}, failed = {0}, ours = {0};
    sky_sweep_info here = {0};
    sky_err err = sky_store_settled(m->to, m->id, &ours, &failed, e);
    if (err == SKY_OK)
        err = sky_store_settled(m->from, there, &done, &failed, e);
    if (err == SKY_OK && !sky_ranges_add_all(&ours, &done))
        err = no_memory(m, e);
    if (err == SKY_OK)
        err = sky_store_sweep_find(m->to, m->spec.name, &here, e);
    if (err == SKY_OK && ours.count < here.recorded + here.holes)
        err = sky_fail(e, SKY_EFORMAT,
                       "sweep '%s': fewer positions are settled than there are rows", m->spec.name);
    if (err == SKY_OK) {
        const sky_record r = {.sweep = m->id,
                              .params = m->columns,
                              .metrics = m->columns + m->job.n_params,
                              .positions = &done,
                              .n_holes = ours.count - here.recorded - here.holes};
        err = sky_store_record(m->to, &r, NULL, NULL, e);
    }
    sky_sweep_info_free(&here);
    sky_ranges_free(&done);
    sky_ranges_free(&failed);
    sky_ranges_free(&ours);
    return err;
}

/* ---- What belongs to rows ---- */

static sky_err copy_failures(merge *m, int64_t there, sky_error *e)
{
    sky_err err;
    bool row = true;
    sqlite3_stmt *q = sky__stmt(m->from,
                                "SELECT f.position, f.trial, f.attempts, f.kind, f.reason, l.text,"
                                " f.env FROM sky_failures f LEFT JOIN sky_logs l ON l.id = f.log"
                                " WHERE f.sweep = ? ORDER BY f.position",
                                &err, e);
    sky_ranges done = {0}, failed = {0};
    if (err == SKY_OK)
        err = sky_store_settled(m->to, m->id, &done, &failed, e);
    if (err == SKY_OK)
        sqlite3_bind_int64(q, 1, there);
    while (err == SKY_OK) {
        err = sky__step(m->from, q, &row, e, "reading failures to merge");
        if (err != SKY_OK || !row)
            break;
        sky_failure f = {.sweep = m->id,
                         .position = (uint64_t)sqlite3_column_int64(q, 0),
                         .trial = (uint64_t)sqlite3_column_int64(q, 1),
                         .attempts = (uint32_t)sqlite3_column_int64(q, 2),
                         .quarantined = true,
                         .reason = (const char *)sqlite3_column_text(q, 4),
                         .log = sqlite3_column_blob(q, 5),
                         .log_len = (size_t)sqlite3_column_bytes(q, 5)};
        const char *kind = (const char *)sqlite3_column_text(q, 3);
        for (int k = SKY_FAILURE_ERROR; kind && k <= SKY_FAILURE_LOST; k++) {
            if (strcmp(kind, sky_failure_kind_name((sky_failure_kind)k)) == 0)
                f.kind = (sky_failure_kind)k;
        }
        if (sky_ranges_has(&done, f.position) || sky_ranges_has(&failed, f.position))
            continue;
        err = map_env(m, sqlite3_column_int64(q, 6), &f.env, e);
        if (err == SKY_OK)
            err = sky_store_fail(m->to, &f, e);
        m->report.failures += err == SKY_OK;
    }
    if (q)
        sqlite3_reset(q);
    sky_ranges_free(&done);
    sky_ranges_free(&failed);
    return err;
}

/* Has the trial something in that table here already? Then it stays as it is. sql is a literal. */
static sky_err has_any(merge *m, const char *sql, int64_t trial, bool *out, sky_error *e)
{
    sky_err err;
    sqlite3_stmt *q = sky__stmt(m->to, sql, &err, e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_int64(q, 1, m->id);
    sqlite3_bind_int64(q, 2, trial);
    err = sky__step(m->to, q, out, e, "merging");
    sqlite3_reset(q);
    return err;
}

static sky_err copy_curves(merge *m, int64_t there, sky_error *e)
{
    sky_err err;
    bool row = true, skip = false;
    int64_t trial = -1;
    sqlite3_stmt *q = sky__stmt(m->from,
                                "SELECT trial, name, step, value FROM sky_curves WHERE sweep = ?"
                                " ORDER BY trial, name, step",
                                &err, e);
    if (err == SKY_OK)
        sqlite3_bind_int64(q, 1, there);
    while (err == SKY_OK) {
        err = sky__step(m->from, q, &row, e, "reading curves to merge");
        if (err != SKY_OK || !row)
            break;
        if (sqlite3_column_int64(q, 0) != trial) {
            trial = sqlite3_column_int64(q, 0);
            err = has_any(m, "SELECT 1 FROM sky_curves WHERE sweep = ? AND trial = ? LIMIT 1",
                          trial, &skip, e);
        }
        if (err != SKY_OK || skip)
            continue;
        const char *name = (const char *)sqlite3_column_text(q, 1);
        const double value = sqlite3_column_double(q, 3);
        err = name ? sky_store_curve(m->to, m->id, (uint64_t)trial, sqlite3_column_int64(q, 2), 1,
                                     &name, &value, e)
                   : no_memory(m, e);
    }
    if (q)
        sqlite3_reset(q);
    return err;
}

static sky_err copy_artifacts(merge *m, int64_t there, sky_error *e)
{
    sky_err err;
    bool row = true, skip = false;
    int64_t trial = -1;
    sqlite3_stmt *q = sky__stmt(m->from,
                                "SELECT trial, name, bytes FROM sky_artifacts WHERE sweep = ?"
                                " ORDER BY trial, name",
                                &err, e);
    if (err == SKY_OK)
        sqlite3_bind_int64(q, 1, there);
    while (err == SKY_OK) {
        err = sky__step(m->from, q, &row, e, "reading artifacts to merge");
        if (err != SKY_OK || !row)
            break;
        if (sqlite3_column_int64(q, 0) != trial) {
            trial = sqlite3_column_int64(q, 0);
            err = has_any(m, "SELECT 1 FROM sky_artifacts WHERE sweep = ? AND trial = ? LIMIT 1",
                          trial, &skip, e);
        }
        if (err != SKY_OK || skip)
            continue;
        const char *name = (const char *)sqlite3_column_text(q, 1);
        const void *bytes = sqlite3_column_blob(q, 2);
        err = name ? sky_store_artifact(m->to, m->id, (uint64_t)trial, name, bytes,
                                        (size_t)sqlite3_column_bytes(q, 2), e)
                   : no_memory(m, e);
    }
    if (q)
        sqlite3_reset(q);
    return err;
}

static sky_err copy_tags(merge *m, int64_t there, sky_error *e)
{
    char **tags = NULL;
    size_t n = 0;
    sky_err err = sky_store_tag_list(m->from, there, &tags, &n, e);
    for (size_t i = 0; i < n && err == SKY_OK; i++)
        err = sky_store_tag_add(m->to, m->id, tags[i], e);
    for (size_t i = 0; i < n; i++)
        free(tags[i]);
    free(tags);
    return err;
}

/* ---- A sweep ---- */

static sky_err settle_state(merge *m, const sky_sweep_info *there, sky_error *e)
{
    sky_sweep_info here;
    sky_err err = sky_store_sweep_find(m->to, there->name, &here, e);
    if (err != SKY_OK)
        return err;
    const uint64_t settled = here.recorded + here.holes + here.failed;
    sky_sweep_state state = m->united ? here.state : there->state;
    if (settled == here.positions)
        state = SKY_SWEEP_DONE;
    else if (state == SKY_SWEEP_DONE || (!m->united && state == SKY_SWEEP_RUNNING))
        state = SKY_SWEEP_PAUSED;
    if (state != here.state)
        err = sky_store_sweep_state(m->to, m->id, state,
                                    state == SKY_SWEEP_PAUSED ? "merged from another file" : "", e);
    sky_sweep_info_free(&here);
    return err;
}

/* Finds or makes the sweep here. */
static sky_err place(merge *m, const sky_sweep_info *there, sky_error *e)
{
    sky_sweep_info here;
    sky_error ignored;
    sky_err err = sky_store_sweep_find(m->to, there->name, &here, &ignored);
    if (err == SKY_ENOTFOUND) {
        m->united = false;
        m->report.copied++;
        err = sky_store_sweep_create(m->to, &m->spec, &m->id, e);
        return err == SKY_OK ? sky_store_sweep_priority(m->to, m->id, there->priority, e) : err;
    }
    if (err != SKY_OK)
        return sky_fail(e, err, "%s", ignored.text);
    m->united = true;
    m->report.united++;
    m->id = here.id;
    if (strcmp(here.identity, there->identity) != 0 || strcmp(here.name, there->name) != 0 ||
        strcmp(here.job_version, there->job_version) != 0)
        err = sky_fail(e, SKY_ECONFLICT,
                       "sweep '%s' of %s is another one than sweep '%s' of %s (its space, job or "
                       "search differs): nothing was merged",
                       there->name, m->from->path, here.name, m->to->path);
    else if (there->positions >
             here.positions) /* more repeats: what it recorded has a place then */
        err = sky_store_sweep_update(m->to, m->id, &m->spec, e);
    sky_sweep_info_free(&here);
    return err;
}

static sky_err merge_sweep(merge *m, const sky_sweep_info *there, sky_error *e)
{
    m->differences = 0;
    m->n = 0;
    sky_err err = describe(m, there, e);
    if (err == SKY_OK)
        err = place(m, there, e);
    if (err == SKY_OK)
        err = copy_rows(m, e);
    if (err == SKY_OK)
        err = copy_positions(m, there->id, e);
    if (err == SKY_OK)
        err = copy_failures(m, there->id, e);
    if (err == SKY_OK)
        err = copy_curves(m, there->id, e);
    if (err == SKY_OK)
        err = copy_artifacts(m, there->id, e);
    if (err == SKY_OK)
        err = copy_tags(m, there->id, e);
    return err == SKY_OK ? settle_state(m, there, e) : err;
}

static sky_err merge_all(merge *m, sky_error *e)
{
    sky_sweep_info *list = NULL;
    size_t n = 0;
    /* One state of it, though it is written. */
    sky_err err = sky__read_begin(m->from, e, "reading");
    if (err == SKY_OK)
        err = sky_store_sweep_list(m->from, &list, &n, e);
    for (size_t i = 0; i < n && err == SKY_OK; i++)
        err = merge_sweep(m, &list[i], e);
    for (size_t i = 0; i < n; i++)
        sky_sweep_info_free(&list[i]);
    free(list);
    return err;
}

sky_err sky_store_merge(sky_store *s, const char *path,
                        void (*on_difference)(void *arg, const char *sweep, uint64_t trial),
                        void *arg, sky_merge_report *report, sky_error *e)
{
    sky_error own = {0};
    e = e ? e : &own;
    const sky_store_options o = {.path = path};
    if (sky_store_dirty(s))
        return sky_fail(e, SKY_EBUSY, "%s: a transaction is open", s->path);
    merge *m = calloc(1, sizeof *m);
    if (!m)
        return sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
    m->to = s;
    m->on_difference = on_difference;
    m->arg = arg;
    sky_err err = sky__txn_begin(s, e);
    if (err == SKY_OK)
        err = sky_store_open(&m->from, &o, e);
    if (err == SKY_OK && strcmp(m->from->path, s->path) == 0)
        err = sky_fail(e, SKY_EINVAL, "%s cannot be merged with itself", s->path);
    if (err == SKY_OK)
        err = merge_all(m, e);
    if (err == SKY_OK)
        err = sky_store_commit(s, NULL, e);
    else
        sky_store_rollback(s);
    if (err == SKY_OK && report)
        *report = m->report;
    sky_store_close(m->from);
    sky_arena_free(&m->arena);
    sky_arena_free(&m->texts);
    free(m);
    return err;
}

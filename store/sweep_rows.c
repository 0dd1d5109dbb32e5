/* Table sky_sweeps, and what the writer keeps in memory of each sweep. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "store/store_internal.h"

static const char *const state_names[] = {[SKY_SWEEP_RUNNING] = "running",
                                          [SKY_SWEEP_PAUSED] = "paused",
                                          [SKY_SWEEP_DONE] = "done",
                                          [SKY_SWEEP_CANCELLED] = "cancelled"};

const char *sky_sweep_state_name(sky_sweep_state state)
{
    assert(state >= SKY_SWEEP_RUNNING && state <= SKY_SWEEP_CANCELLED);
    return state_names[state];
}

void sky_sweep_info_free(sky_sweep_info *i)
{
    free(i->name);
    free(i->plan);
    free(i->identity);
    free(i->reason);
    free(i->job);
    free(i->job_version);
    *i = (sky_sweep_info){0};
}

/* ---- The writer's memory ---- */

static void sweep_free(sky__sweep *w)
{
    if (!w)
        return;
    sqlite3_finalize(w->insert);
    sqlite3_finalize(w->select);
    sky__spans_free(&w->positions);
    sky__spans_free(&w->trials);
    free(w->name);
    free(w->types);
    free(w->exact);
    free(w);
}

void sky__sweeps_free(sky_store *s)
{
    while (s->sweeps) {
        sky__sweep *w = s->sweeps;
        s->sweeps = w->next;
        sweep_free(w);
    }
}

static sky_err load_row(sky_store *s, sky__sweep *w, sky_error *e)
{
    sky_err err;
    sqlite3_stmt *q =
        sky__stmt(s,
                  "SELECT name, failed, log_bytes,"
                  " (SELECT count(*) FROM sky_attempts WHERE sweep = s.id),"
                  " (SELECT count(*) FROM sky_commits WHERE sweep = s.id AND merged = 1)"
                  " FROM sky_sweeps s WHERE id = ?",
                  &err, e);
    bool row = false;
    if (err == SKY_OK) {
        sqlite3_bind_int64(q, 1, w->id);
        err = sky__step(s, q, &row, e, "reading a sweep");
    }
    if (err != SKY_OK)
        return err;
    if (row) {
        w->name = sky__column_dup(q, 0, &err);
        w->failed = (uint64_t)sqlite3_column_int64(q, 1);
        w->log_bytes = (uint64_t)sqlite3_column_int64(q, 2);
        w->attempted = (uint64_t)sqlite3_column_int64(q, 3);
        w->small_commits = (uint32_t)sqlite3_column_int64(q, 4);
    }
    sqlite3_reset(q);
    if (!row)
        return sky_fail(e, SKY_ENOTFOUND, "%s: there is no sweep with id %lld", s->path,
                        (long long)w->id);
    return err == SKY_OK ? err : sky_fail(e, err, "%s: out of memory", s->path);
}

static sky_err load_columns(sky_store *s, sky__sweep *w, sky_error *e)
{
    sky_err err;
    sqlite3_stmt *q = sky__stmt(s,
                                "SELECT role = 'param', type, class = 'exact' FROM sky_columns_meta"
                                " WHERE sweep = ? AND role IN ('param', 'metric')"
                                " ORDER BY role = 'param' DESC, ord",
                                &err, e);
    if (err == SKY_OK)
        sqlite3_bind_int64(q, 1, w->id);
    w->types = calloc(SKY_PARAMS_MAX + SKY_METRICS_MAX, sizeof *w->types);
    w->exact = calloc(SKY_METRICS_MAX, 1);
    if (err == SKY_OK && (!w->types || !w->exact))
        err = sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
    bool row = true;
    while (err == SKY_OK) {
        err = sky__step(s, q, &row, e, "reading a sweep's columns");
        if (err != SKY_OK || !row)
            break;
        const bool param = sqlite3_column_int(q, 0);
        const char *type = (const char *)sqlite3_column_text(q, 1);
        if ((param ? w->n_params : w->n_metrics) >= (param ? SKY_PARAMS_MAX : SKY_METRICS_MAX) ||
            !type || sky_type_parse(type, &w->types[w->n_params + w->n_metrics]) != SKY_OK) {
            err = sky_fail(e, SKY_EFORMAT, "%s: sky_columns_meta of sweep '%s' is damaged", s->path,
                           w->name);
            break;
        }
        if (param)
            w->n_params++;
        else
            w->exact[w->n_metrics++] = (uint8_t)sqlite3_column_int(q, 2);
    }
    if (q)
        sqlite3_reset(q);
    return err;
}

sky_err sky__sweep_get(sky_store *s, int64_t id, sky__sweep **out, sky_error *e)
{
    for (sky__sweep *w = s->sweeps; w; w = w->next) {
        if (w->id == id) {
            *out = w;
            return SKY_OK;
        }
    }
    sky__sweep *w = calloc(1, sizeof *w);
    if (!w)
        return sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
    w->id = id;
    sky_err err = load_row(s, w, e);
    if (err == SKY_OK)
        err = load_columns(s, w, e);
    if (err != SKY_OK) {
        sweep_free(w);
        return err;
    }
    w->next = s->sweeps;
    s->sweeps = w;
    *out = w;
    return SKY_OK;
}

/* ---- Reading ---- */

#define INFO_COLUMNS                                                                               \
    "id, name, plan, identity, reason, job, job_version, state, priority, points, positions,"      \
    " recorded, holes, failed, created_ms, updated_ms, busy_s"

/* What the open transaction counted and has not written yet. */
static void add_pending(const sky_store *s, sky_sweep_info *i)
{
    for (const sky__sweep *w = s->sweeps; w; w = w->next) {
        if (w->id != i->id || !w->touched)
            continue;
        i->recorded += w->rows;
        i->holes += w->holes;
        i->failed = w->failed;
        i->busy_s += w->busy_s;
    }
}

static sky_err read_info(sky_store *s, sqlite3_stmt *q, sky_sweep_info *out, sky_error *e)
{
    sky_err err = SKY_OK;
    sky_sweep_info i = {.id = sqlite3_column_int64(q, 0)};
    char **const texts[] = {&i.name, &i.plan, &i.identity, &i.reason, &i.job, &i.job_version};
    for (int c = 0; c < 6 && err == SKY_OK; c++)
        *texts[c] = sky__column_dup(q, c + 1, &err);
    const char *state = (const char *)sqlite3_column_text(q, 7);
    int k = SKY_SWEEP_RUNNING;
    while (state && k <= SKY_SWEEP_CANCELLED && strcmp(state, state_names[k]) != 0)
        k++;
    if (err == SKY_OK && (!state || k > SKY_SWEEP_CANCELLED))
        err = SKY_EFORMAT;
    i.state = (sky_sweep_state)k;
    i.priority = sqlite3_column_int(q, 8);
    uint64_t *const numbers[] = {&i.points, &i.positions, &i.recorded, &i.holes, &i.failed};
    for (int c = 0; c < 5; c++)
        *numbers[c] = (uint64_t)sqlite3_column_int64(q, 9 + c);
    i.created_ms = sqlite3_column_int64(q, 14);
    i.updated_ms = sqlite3_column_int64(q, 15);
    i.busy_s = sqlite3_column_double(q, 16);
    if (err != SKY_OK) {
        sky_sweep_info_free(&i);
        return sky_fail(e, err, "%s: reading sky_sweeps: %s", s->path, sky_strerror(err));
    }
    add_pending(s, &i);
    *out = i;
    return SKY_OK;
}

/* "there is none", with the nearest name that there is, or a few of them. */
static sky_err not_found(sky_store *s, const char *name, sky_error *e)
{
    sky_sweep_info *all = NULL;
    size_t n = 0;
    sky_err err = sky_store_sweep_list(s, &all, &n, e);
    if (err != SKY_OK)
        return err;
    const char **names = calloc(n + 1, sizeof *names);
    for (size_t i = 0; names && i < n; i++)
        names[i] = all[i].name;
    const char *near = names ? sky_nearest(name, names, n) : NULL;
    sky_buf b = {0};
    for (size_t i = 0; i < n && i < 10; i++)
        sky_buf_printf(&b, "%s%s", i ? ", " : "", all[i].name);
    if (near)
        err = sky_fail(e, SKY_ENOTFOUND, "%s has no sweep '%s': did you mean '%s'?", s->path, name,
                       near);
    else if (n == 0)
        err = sky_fail(e, SKY_ENOTFOUND, "%s has no sweep '%s': it has none at all", s->path, name);
    else
        err = sky_fail(e, SKY_ENOTFOUND, "%s has no sweep '%s': it has %s%s", s->path, name,
                       sky_buf_str(&b), n > 10 ? ", …" : "");
    sky_buf_free(&b);
    free(names);
    for (size_t i = 0; i < n; i++)
        sky_sweep_info_free(&all[i]);
    free(all);
    return err;
}

sky_err sky_store_sweep_find(sky_store *s, const char *name, sky_sweep_info *out, sky_error *e)
{
    sky_err err;
    bool row = false;
    sqlite3_stmt *q =
        sky__stmt(s, "SELECT " INFO_COLUMNS " FROM sky_sweeps WHERE name = ?", &err, e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
    err = sky__step(s, q, &row, e, "looking for a sweep");
    if (err == SKY_OK && row)
        err = read_info(s, q, out, e);
    sqlite3_reset(q);
    return err == SKY_OK && !row ? not_found(s, name, e) : err;
}

sky_err sky_store_sweep_list(sky_store *s, sky_sweep_info **out, size_t *n, sky_error *e)
{
    sky_err err;
    bool row = false;
    sky_sweep_info *list = NULL;
    size_t count = 0, cap = 0;
    sqlite3_stmt *q = sky__stmt(s, "SELECT " INFO_COLUMNS " FROM sky_sweeps ORDER BY id", &err, e);
    while (err == SKY_OK) {
        err = sky__step(s, q, &row, e, "listing sweeps");
        if (err != SKY_OK || !row)
            break;
        if (count == cap) {
            cap = cap ? cap * 2 : 8;
            sky_sweep_info *grown = realloc(list, cap * sizeof *list);
            if (!grown) {
                err = sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
                break;
            }
            list = grown;
        }
        err = read_info(s, q, &list[count], e);
        count += err == SKY_OK;
    }
    if (q)
        sqlite3_reset(q);
    if (err == SKY_OK) {
        *out = list;
        *n = count;
        return SKY_OK;
    }
    for (size_t i = 0; i < count; i++)
        sky_sweep_info_free(&list[i]);
    free(list);
    return err;
}

/* ---- Writing ---- */

static sky_err insert_row(sky_store *s, const sky_sweep_spec *spec, int64_t *id, sky_error *e)
{
    sky_err err;
    sqlite3_stmt *q = sky__stmt(
        s,
        "INSERT INTO sky_sweeps (name, plan, identity, job, job_version, job_summary, job_source,"
        " state, points, positions, created_ms, updated_ms)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'running', ?8, ?9, ?10, ?10)",
        &err, e);
    if (err != SKY_OK)
        return err;
    const char *const texts[] = {spec->name,       spec->plan,         spec->identity,
                                 spec->job->name,  spec->job->version, spec->job->summary,
                                 spec->job->source};
    for (int i = 0; i < 7; i++)
        sqlite3_bind_text(q, i + 1, texts[i] ? texts[i] : "", -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 8, (int64_t)spec->points);
    sqlite3_bind_int64(q, 9, (int64_t)spec->positions);
    sqlite3_bind_int64(q, 10, sky_wall_ms());
    err = sky__run(s, q, e, "adding a sweep");
    *id = sqlite3_last_insert_rowid(s->db);
    return err;
}

static sky_err check_free(sky_store *s, const char *name, sky_error *e)
{
    sky_err err;
    bool row = false;
    sqlite3_stmt *q = sky__stmt(s, "SELECT name FROM sky_sweeps WHERE name = ?", &err, e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
    err = sky__step(s, q, &row, e, "looking for a sweep");
    if (err == SKY_OK && row)
        err = sky_fail(e, SKY_EEXISTS, "%s already has a sweep '%s'", s->path,
                       (const char *)sqlite3_column_text(q, 0));
    sqlite3_reset(q);
    return err;
}

sky_err sky_store_sweep_create(sky_store *s, const sky_sweep_spec *spec, int64_t *id, sky_error *e)
{
    sky_error own = {0};
    e = e ? e : &own;
    int64_t made = 0;
    sky_err err = sky__spec_check(spec, e);
    if (err == SKY_OK)
        err = sky__txn_begin(s, e);
    if (err == SKY_OK)
        err = check_free(s, spec->name, e);
    if (err != SKY_OK)
        return err;
    s->pending_bytes += strlen(spec->plan) + strlen(spec->identity) + 4096;
    err = insert_row(s, spec, &made, e);
    if (err == SKY_OK)
        err = sky__table_create(s, spec, e);
    if (err == SKY_OK)
        err = sky__meta_write(s, made, spec, true, e);
    if (err == SKY_OK)
        *id = made;
    return sky__txn_end(s, err, e);
}

sky_err sky_store_sweep_update(sky_store *s, int64_t id, const sky_sweep_spec *spec, sky_error *e)
{
    sky_error own = {0};
    e = e ? e : &own;
    sky__sweep *w = NULL;
    sky_err err = sky__spec_check(spec, e);
    if (err == SKY_OK)
        err = sky__txn_begin(s, e);
    if (err == SKY_OK)
        err = sky__sweep_get(s, id, &w, e);
    if (err == SKY_OK && strcmp(w->name, spec->name) != 0)
        err = sky_fail(e, SKY_EINVAL, "sweep '%s' cannot become '%s'", w->name, spec->name);
    if (err != SKY_OK)
        return err;
    /* Its statements know the columns by number, and one that is being used would block ALTER TABLE. */
    sqlite3_finalize(w->insert);
    sqlite3_finalize(w->select);
    w->insert = w->select = NULL;
    err = sky__table_derive(s, id, spec, e);
    if (err == SKY_OK)
        err = sky__meta_write(s, id, spec, false, e);
    sqlite3_stmt *q = NULL;
    if (err == SKY_OK)
        q = sky__stmt(
            s,
            "UPDATE sky_sweeps SET plan = ?2, points = ?3, positions = ?4, updated_ms = ?5,"
            " generation = generation + 1 WHERE id = ?1",
            &err, e);
    if (err == SKY_OK) {
        sqlite3_bind_int64(q, 1, id);
        sqlite3_bind_text(q, 2, spec->plan, -1, SQLITE_STATIC);
        sqlite3_bind_int64(q, 3, (int64_t)spec->points);
        sqlite3_bind_int64(q, 4, (int64_t)spec->positions);
        sqlite3_bind_int64(q, 5, sky_wall_ms());
        err = sky__run(s, q, e, "changing a sweep");
    }
    return sky__txn_end(s, err, e);
}

/* Runs an UPDATE of one sweep's row, whose first parameter is the id. */
static sky_err update_row(sky_store *s, sqlite3_stmt *q, int64_t id, sky_error *e)
{
    sqlite3_bind_int64(q, 1, id);
    sky_err err = sky__run(s, q, e, "changing a sweep");
    if (err == SKY_OK && sqlite3_changes(s->db) != 1)
        err = sky_fail(e, SKY_ENOTFOUND, "%s: there is no sweep with id %lld", s->path,
                       (long long)id);
    return err;
}

sky_err sky_store_sweep_state(sky_store *s, int64_t id, sky_sweep_state state, const char *reason,
                              sky_error *e)
{
    sky_error own = {0};
    e = e ? e : &own;
    sky_err err = sky__txn_begin(s, e);
    if (err != SKY_OK)
        return err;
    sqlite3_stmt *q = sky__stmt(
        s, "UPDATE sky_sweeps SET state = ?2, reason = ?3, updated_ms = ?4 WHERE id = ?1", &err, e);
    if (err == SKY_OK) {
        sqlite3_bind_text(q, 2, sky_sweep_state_name(state), -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 3, reason ? reason : "", -1, SQLITE_STATIC);
        sqlite3_bind_int64(q, 4, sky_wall_ms());
        err = update_row(s, q, id, e);
    }
    return err == SKY_ENOTFOUND ? err : sky__txn_end(s, err, e);
}

sky_err sky_store_sweep_priority(sky_store *s, int64_t id, int32_t priority, sky_error *e)
{
    sky_error own = {0};
    e = e ? e : &own;
    sky_err err = sky__txn_begin(s, e);
    if (err != SKY_OK)
        return err;
    sqlite3_stmt *q =
        sky__stmt(s, "UPDATE sky_sweeps SET priority = ?2, updated_ms = ?3 WHERE id = ?1", &err, e);
    if (err == SKY_OK) {
        sqlite3_bind_int(q, 2, priority);
        sqlite3_bind_int64(q, 3, sky_wall_ms());
        err = update_row(s, q, id, e);
    }
    return err == SKY_ENOTFOUND ? err : sky__txn_end(s, err, e);
}

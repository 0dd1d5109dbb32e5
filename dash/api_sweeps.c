/* What the store says of sweeps, trials, failures and machines. */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dash/api.h"
#include "dash/resident.h"
#include "store/export.h"

enum { SWEEPS_MAX = 1000, CURVE_POINTS_MAX = 20000, FAILURES_MAX = 500 };

static void member(sky_buf *b, const char *name, const char *text)
{
    sky_buf_printf(b, ",\"%s\":", name);
    sky_buf_json_string(b, text ? text : "");
}

static void sweep_json(sky_buf *b, const sky_sweep_info *s)
{
    sky_buf_printf(b, "{\"id\":%" PRId64, s->id);
    member(b, "name", s->name);
    member(b, "job", s->job);
    member(b, "job_version", s->job_version);
    member(b, "state", sky_sweep_state_name(s->state));
    member(b, "reason", s->reason);
    sky_buf_printf(b,
                   ",\"priority\":%d,\"points\":%" PRIu64 ",\"positions\":%" PRIu64
                   ",\"recorded\":%" PRIu64 ",\"holes\":%" PRIu64 ",\"failed\":%" PRIu64
                   ",\"created_ms\":%" PRId64 ",\"updated_ms\":%" PRId64 ",\"busy_s\":",
                   s->priority, s->points, s->positions, s->recorded, s->holes, s->failed,
                   s->created_ms, s->updated_ms);
    sky_buf_json_f64(b, s->busy_s);
}

sky_err sky__api_sweep_list(sky_store *store, sky_buf *b, sky_error *e)
{
    sky_sweep_info *list = NULL;
    size_t n = 0;
    const sky_err err = sky_store_sweep_list(store, &list, &n, e);
    if (err != SKY_OK)
        return err;
    sky_buf_putc(b, '[');
    for (size_t i = n, shown = 0; i-- > 0 && shown < SWEEPS_MAX; shown++) { /* newest first */
        if (shown)
            sky_buf_putc(b, ',');
        sweep_json(b, &list[i]);
        sky_buf_putc(b, '}');
    }
    sky_buf_putc(b, ']');
    for (size_t i = 0; i < n; i++)
        sky_sweep_info_free(&list[i]);
    free(list);
    return SKY_OK;
}

static sky_err one_number(sky_store *s, const char *sql, int64_t *out, sky_error *e)
{
    sqlite3_stmt *q = NULL;
    sqlite3 *db = sky_store_sqlite(s);
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK)
        return sky_fail(e, SKY_EIO, "%s", sqlite3_errmsg(db));
    *out = sqlite3_step(q) == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
    sqlite3_finalize(q);
    return SKY_OK;
}

void sky__api_poll(sky__reader *t, const sky_http_request *r, sky_http_response *out)
{
    (void)r;
    sky_error e = {0};
    sky_buf b = {0};
    int64_t seq = 0;
    sky_err err = one_number(sky__reader_store(t), "SELECT max(seq) FROM sky_commits", &seq, &e);
    sky_buf_printf(&b, "{\"seq\":%" PRId64 ",\"sweeps\":", seq);
    if (err == SKY_OK)
        err = sky__api_sweep_list(sky__reader_store(t), &b, &e);
    sky_buf_putc(&b, '}');
    if (err == SKY_OK)
        sky__api_json(out, &b);
    else
        sky__api_error(out, &e);
    sky_buf_free(&b);
}

void sky__api_sweeps(sky__reader *t, const sky_http_request *r, sky_http_response *out)
{
    sky__api_poll(t, r, out);
}

/* ---- One sweep ---- */

static void column_json(sky_buf *b, const sky__column_info *c)
{
    sky_buf_puts(b, "{\"name\":");
    sky_buf_json_string(b, c->name);
    member(b, "role", c->role);
    member(b, "type", sky_type_name(c->type));
    member(b, "unit", c->unit);
    member(b, "doc", c->doc);
    member(b, "class", c->cls);
    member(b, "goal", sky_goal_name(c->goal));
    member(b, "sql", c->sql);
    sky_buf_printf(b, ",\"resident\":%s}", c->resident >= 0 ? "true" : "false");
}

static sky_err add_constraints(sky_store *s, int64_t id, sky_buf *b, sky_error *e)
{
    sqlite3_stmt *q = NULL;
    sqlite3 *db = sky_store_sqlite(s);
    bool any = false;
    if (sqlite3_prepare_v2(db,
                           "SELECT sql FROM sky_columns_meta WHERE sweep = ? AND role = "
                           "'constraint' ORDER BY ord",
                           -1, &q, NULL) != SQLITE_OK)
        return sky_fail(e, SKY_EIO, "%s", sqlite3_errmsg(db));
    sqlite3_bind_int64(q, 1, id);
    while (sqlite3_step(q) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(q, 0);
        if (any)
            sky_buf_putc(b, ',');
        sky_buf_json_string(b, text ? text : "");
        any = true;
    }
    sqlite3_finalize(q);
    return SKY_OK;
}

void sky__api_sweep(sky__reader *t, const sky_http_request *r, sky_http_response *out)
{
    sky__path p;
    sky_error e = {0};
    sky__resident *s = NULL;
    sky_sweep_info info = {0};
    sky_buf b = {0};
    if (!sky__api_name(r, &p, out))
        return;
    sky_err err = sky_store_sweep_find(sky__reader_store(t), p.parts[3], &info, &e);
    if (err == SKY_OK)
        err = sky__resident_schema(t, p.parts[3], &s, &e);
    if (err == SKY_OK) {
        sweep_json(&b, &info);
        member(&b, "plan", info.plan);
        sky_buf_puts(&b, ",\"columns\":[");
        for (size_t i = 0; i < s->n_infos; i++) {
            if (i)
                sky_buf_putc(&b, ',');
            column_json(&b, &s->infos[i]);
        }
        sky_buf_puts(&b, "],\"objectives\":[");
        for (size_t i = 0; i < s->n_objectives; i++) {
            sky_buf_puts(&b, i ? ",{\"name\":" : "{\"name\":");
            sky_buf_json_string(&b, s->objectives[i].name);
            sky_buf_printf(&b, ",\"goal\":\"%s\"}", sky_goal_name(s->objectives[i].goal));
        }
        sky_buf_puts(&b, "],\"constraints\":[");
        err = add_constraints(sky__reader_store(t), info.id, &b, &e);
        sky_buf_puts(&b, "]}\n");
    }
    sky_sweep_info_free(&info);
    if (err == SKY_OK)
        sky__api_json(out, &b);
    else
        sky__api_error(out, &e);
    sky_buf_free(&b);
}

/* ---- Rows of a SELECT, as a JSON array ---- */

static sky_err to_buffer(void *arg, const char *bytes, size_t len)
{
    sky_buf_add(arg, bytes, len);
    return sky_buf_ok(arg) ? SKY_OK : SKY_ENOMEM;
}

static sky_err select_json(sky_store *s, sky_buf *b, sky_error *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static sky_err select_json(sky_store *s, sky_buf *b, sky_error *e, const char *fmt, ...)
{
    sky_buf sql = {0};
    va_list ap;
    va_start(ap, fmt);
    sky_buf_vprintf(&sql, fmt, ap);
    va_end(ap);
    const sky_export_options o = {
        .format = SKY_FORMAT_JSON, .write = to_buffer, .arg = b, .time_limit_ms = SKY__QUERY_MS};
    const sky_err err = sky_export_sql(s, sky_buf_str(&sql), &o, NULL, e);
    sky_buf_free(&sql);
    return err;
}

/* ---- One trial ---- */

static sky_err parse_trial(const sky__path *p, uint64_t *trial, sky_error *e)
{
    const sky_http_arg arg = {"trial", p->parts[5]};
    const sky_http_request r = {.args = &arg, .n_args = 1};
    return sky__arg_u64(&r, "trial", 0, INT64_MAX, trial, e);
}

static sky_err trial_row(sky_store *s, const char *sweep, uint64_t trial, sky_buf *b, sky_error *e)
{
    char where[64];
    snprintf(where, sizeof where, "trial = %" PRIu64, trial);
    const sky_export_options o = {.format = SKY_FORMAT_JSON,
                                  .write = to_buffer,
                                  .arg = b,
                                  .where = where,
                                  .system_columns = true};
    return sky_export_sweep(s, sweep, &o, NULL, e);
}

static sky_err trial_json(sky_store *s, const sky_sweep_info *info, uint64_t trial, sky_buf *b,
                          sky_error *e)
{
    const int64_t id = info->id;
    sky_buf_printf(b, "{\"trial\":%" PRIu64 ",\"point\":%" PRIu64 ",\"row\":", trial,
                   info->points ? trial % info->points : trial);
    sky_err err = trial_row(s, info->name, trial, b, e);
    sky_buf_puts(b, ",\"curve\":");
    if (err == SKY_OK)
        err = select_json(s, b, e,
                          "SELECT name, step, value FROM sky_curves WHERE sweep = %" PRId64
                          " AND trial = %" PRIu64 " ORDER BY name, step LIMIT %d",
                          id, trial, CURVE_POINTS_MAX);
    sky_buf_puts(b, ",\"artifacts\":");
    if (err == SKY_OK)
        err = select_json(s, b, e,
                          "SELECT name, length(bytes) AS bytes FROM sky_artifacts WHERE sweep = "
                          "%" PRId64 " AND trial = %" PRIu64 " ORDER BY name",
                          id, trial);
    for (int quarantined = 1; quarantined >= 0 && err == SKY_OK; quarantined--) {
        sky_buf_puts(b, quarantined ? ",\"failures\":" : ",\"attempts\":");
        err =
            select_json(s, b, e,
                        "SELECT kind, reason, attempts, at_ms, CAST(l.text AS TEXT) AS log FROM %s "
                        "f LEFT JOIN sky_logs l ON l.id = f.log WHERE f.sweep = %" PRId64
                        " AND f.trial = %" PRIu64,
                        quarantined ? "sky_failures" : "sky_attempts", id, trial);
    }
    sky_buf_puts(b, ",\"environment\":");
    sky_buf name = {0};
    sky_buf_sql_name(&name, info->name);
    if (err == SKY_OK)
        err = select_json(s, b, e,
                          "SELECT json FROM sky_environments WHERE id = (SELECT sky_env FROM %s "
                          "WHERE trial = %" PRIu64 ")",
                          sky_buf_str(&name), trial);
    sky_buf_free(&name);
    sky_buf_puts(b, "}\n");
    return err;
}

void sky__api_trial(sky__reader *t, const sky_http_request *r, sky_http_response *out)
{
    sky__path p;
    sky_error e = {0};
    sky_sweep_info info = {0};
    uint64_t trial = 0;
    sky_buf b = {0};
    if (!sky__api_name(r, &p, out))
        return;
    sky_err err = parse_trial(&p, &trial, &e);
    if (err == SKY_OK)
        err = sky_store_sweep_find(sky__reader_store(t), p.parts[3], &info, &e);
    if (err == SKY_OK)
        err = trial_json(sky__reader_store(t), &info, trial, &b, &e);
    sky_sweep_info_free(&info);
    if (err == SKY_OK)
        sky__api_json(out, &b);
    else
        sky__api_error(out, &e);
    sky_buf_free(&b);
}

void sky__api_artifact(sky__reader *t, const sky_http_request *r, sky_http_response *out)
{
    sky__path p;
    sky_error e = {0};
    sky_sweep_info info = {0};
    sqlite3_stmt *q = NULL;
    uint64_t trial = 0;
    sqlite3 *db = sky_store_sqlite(sky__reader_store(t));
    if (!sky__api_name(r, &p, out))
        return;
    sky_err err = parse_trial(&p, &trial, &e);
    if (err == SKY_OK)
        err = sky_store_sweep_find(sky__reader_store(t), p.parts[3], &info, &e);
    if (err == SKY_OK &&
        sqlite3_prepare_v2(
            db, "SELECT bytes FROM sky_artifacts WHERE sweep = ? AND trial = ? AND name = ?", -1,
            &q, NULL) != SQLITE_OK)
        err = sky_fail(&e, SKY_EIO, "%s", sqlite3_errmsg(db));
    if (err == SKY_OK) {
        sqlite3_bind_int64(q, 1, info.id);
        sqlite3_bind_int64(q, 2, (sqlite3_int64)trial);
        sqlite3_bind_text(q, 3, sky__arg(r, "artifact"), -1, SQLITE_STATIC);
        if (sqlite3_step(q) != SQLITE_ROW)
            err = sky_fail(&e, SKY_ENOTFOUND, "trial %" PRIu64 " has no such artifact", trial);
    }
    if (err == SKY_OK) {
        sky_buf b = {0};
        sky_buf_add(&b, sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0));
        sky__api_frame(out, &b);
        out->disposition = "attachment"; /* never shown as a page of ours */
    } else {
        sky__api_error(out, &e);
    }
    sqlite3_finalize(q);
    sky_sweep_info_free(&info);
}

/* ---- Failures, machines ---- */

void sky__api_failures(sky__reader *t, const sky_http_request *r, sky_http_response *out)
{
    sky__path p;
    sky_error e = {0};
    sky_sweep_info info = {0};
    sky_buf b = {0};
    if (!sky__api_name(r, &p, out))
        return;
    sky_store *s = sky__reader_store(t);
    sky_err err = sky_store_sweep_find(s, p.parts[3], &info, &e);
    sky_buf_puts(&b, "{\"groups\":");
    if (err == SKY_OK)
        err = select_json(s, &b, &e,
                          "SELECT kind, reason, count(*) AS n, min(trial) AS first, max(at_ms) AS "
                          "last_ms FROM sky_failures WHERE sweep = %" PRId64
                          " GROUP BY kind, reason ORDER BY n DESC LIMIT %d",
                          info.id, FAILURES_MAX);
    sky_buf_puts(&b, ",\"failures\":");
    if (err == SKY_OK)
        err = select_json(s, &b, &e,
                          "SELECT trial, kind, reason, attempts, at_ms FROM sky_failures WHERE "
                          "sweep = %" PRId64 " ORDER BY at_ms DESC LIMIT %d",
                          info.id, FAILURES_MAX);
    sky_buf_puts(&b, "}\n");
    sky_sweep_info_free(&info);
    if (err == SKY_OK)
        sky__api_json(out, &b);
    else
        sky__api_error(out, &e);
    sky_buf_free(&b);
}

void sky__api_environments(sky__reader *t, const sky_http_request *r, sky_http_response *out)
{
    sky__path p;
    sky_error e = {0};
    sky_sweep_info info = {0};
    sky_buf b = {0}, name = {0};
    if (!sky__api_name(r, &p, out))
        return;
    sky_store *s = sky__reader_store(t);
    sky_err err = sky_store_sweep_find(s, p.parts[3], &info, &e);
    if (err == SKY_OK) {
        sky_buf_sql_name(&name, info.name);
        err = select_json(s, &b, &e,
                          "SELECT sky_env AS id, count(*) AS trials, sum(sky_wall_s) AS busy_s, "
                          "(SELECT json FROM sky_environments WHERE id = sky_env) AS json FROM %s "
                          "GROUP BY sky_env ORDER BY trials DESC LIMIT %d",
                          sky_buf_str(&name), FAILURES_MAX);
    }
    sky_buf_free(&name);
    sky_sweep_info_free(&info);
    if (err == SKY_OK)
        sky__api_json(out, &b);
    else
        sky__api_error(out, &e);
    sky_buf_free(&b);
}

/* ---- Prometheus ---- */

static void label(sky_buf *b, const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            sky_buf_putc(b, '\\');
        sky_buf_putc(b, *text == '\n' ? ' ' : *text);
    }
}

static void family(sky_buf *b, const char *name, const char *type, const char *help,
                   const sky_sweep_info *list, size_t n, double (*value)(const sky_sweep_info *))
{
    sky_buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
    for (size_t i = 0; i < n; i++) {
        sky_buf_printf(b, "%s{sweep=\"", name);
        label(b, list[i].name);
        sky_buf_puts(b, "\"} ");
        sky_buf_f64(b, value(&list[i]));
        sky_buf_putc(b, '\n');
    }
}

static double recorded(const sky_sweep_info *s)
{
    return (double)s->recorded;
}

static double failed(const sky_sweep_info *s)
{
    return (double)s->failed;
}

static double positions(const sky_sweep_info *s)
{
    return (double)s->positions;
}

static double holes(const sky_sweep_info *s)
{
    return (double)s->holes;
}

static double busy(const sky_sweep_info *s)
{
    return s->busy_s;
}

static double running(const sky_sweep_info *s)
{
    return s->state == SKY_SWEEP_RUNNING;
}

void sky__api_metrics(sky__reader *t, const sky_http_request *r, sky_http_response *out)
{
    (void)r;
    sky_error e = {0};
    sky_sweep_info *list = NULL;
    size_t n = 0;
    sky_buf b = {0};
    if (sky_store_sweep_list(sky__reader_store(t), &list, &n, &e) != SKY_OK) {
        sky__api_error(out, &e);
        return;
    }
    family(&b, "skyline_sweep_recorded", "gauge", "Trials recorded.", list, n, recorded);
    family(&b, "skyline_sweep_failed", "gauge", "Trials set aside.", list, n, failed);
    family(&b, "skyline_sweep_positions", "gauge", "Trials in all.", list, n, positions);
    family(&b, "skyline_sweep_holes", "gauge", "Trials that the sweep's where rejected.", list, n,
           holes);
    family(&b, "skyline_sweep_busy_seconds", "gauge", "Executor time of recorded trials.", list, n,
           busy);
    family(&b, "skyline_sweep_running", "gauge", "1 while the sweep runs.", list, n, running);
    for (size_t i = 0; i < n; i++)
        sky_sweep_info_free(&list[i]);
    free(list);
    sky__api_json(out, &b);
    if (out->status == 200)
        out->type = "text/plain; version=0.0.4; charset=utf-8";
}

/* What the store says of sweeps, their failures and machines. */
#include <inttypes.h>
#include <sqlite3.h>
#include <string.h>

#include "dash/api.h"
#include "dash/selectjson.h"
#include "dash/watch.h"

enum { FAILURES_MAX = 500 };

SKY__HANDLER(poll)
{
    sky_buf b = {0};
    bool any = false;
    (void)r, (void)p;
    const sky_err err = sky__watch_changes(t, &b, &any, e);
    if (err == SKY_OK && any)
        return sky__api_json(out, &b);
    sky_buf_free(&b);
    out->status = 204;
    return err;
}

static sky_err newest_commit(sky_store *s, int64_t *out, sky_error *e)
{
    sqlite3_stmt *q = NULL;
    sqlite3 *db = sky_store_sqlite(s);
    if (sqlite3_prepare_v2(db, "SELECT max(seq) FROM sky_commits", -1, &q, NULL) != SQLITE_OK)
        return sky_fail(e, SKY_EIO, "%s", sqlite3_errmsg(db));
    *out = sqlite3_step(q) == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
    sqlite3_finalize(q);
    return SKY_OK;
}

SKY__HANDLER(sweeps)
{
    sky_buf b = {0};
    int64_t seq = 0;
    (void)r, (void)p;
    sky_err err = newest_commit(sky__reader_store(t), &seq, e);
    sky_buf_printf(&b, "{\"seq\":%" PRId64 ",\"sweeps\":", seq);
    if (err == SKY_OK)
        err = sky__watch_list(t, &b, e);
    sky_buf_puts(&b, "}\n");
    if (err == SKY_OK)
        return sky__api_json(out, &b);
    sky_buf_free(&b);
    return err;
}

/* ---- One sweep ---- */

static void column_json(sky_buf *b, const sky__column_info *c)
{
    sky_buf_puts(b, "{\"name\":");
    sky_buf_json_string(b, c->name);
    sky__json_member(b, "role", c->role);
    sky__json_member(b, "type", sky_type_name(c->type));
    sky__json_member(b, "unit", c->unit);
    sky__json_member(b, "doc", c->doc);
    sky__json_member(b, "class", c->cls);
    sky__json_member(b, "goal", sky_goal_name(c->goal));
    sky__json_member(b, "sql", c->sql);
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

SKY__HANDLER(sweep)
{
    sky__resident *s = NULL;
    sky_sweep_info info = {0};
    sky_buf b = {0};
    (void)r;
    sky_err err = sky_store_sweep_find(sky__reader_store(t), p->parts[3], &info, e);
    if (err == SKY_OK)
        err = sky__resident_schema(t, p->parts[3], &s, e);
    sky_buf_putc(&b, '{');
    if (err == SKY_OK)
        err = sky__watch_members(t, info.id, &b, e);
    if (err == SKY_OK) {
        sky__json_member(&b, "plan", info.plan);
        sky_buf_puts(&b, ",\"columns\":[");
        for (size_t i = 0; i < s->n_infos; i++) {
            if (i)
                sky_buf_putc(&b, ',');
            column_json(&b, &s->infos[i]);
        }
        sky_buf_puts(&b, "],\"objectives\":");
        sky__json_objectives(&b, s->objectives, s->n_objectives);
        sky_buf_puts(&b, ",\"constraints\":[");
        err = add_constraints(sky__reader_store(t), info.id, &b, e);
        sky_buf_puts(&b, "]}\n");
    }
    sky_sweep_info_free(&info);
    if (err == SKY_OK)
        return sky__api_json(out, &b);
    sky_buf_free(&b);
    return err;
}

/* ---- Failures, machines ---- */

SKY__HANDLER(failures)
{
    sky_sweep_info info = {0};
    sky_buf b = {0};
    (void)r;
    sky_store *s = sky__reader_store(t);
    sky_err err = sky_store_sweep_find(s, p->parts[3], &info, e);
    sky_buf_puts(&b, "{\"groups\":");
    if (err == SKY_OK)
        err = sky__select_json(s, &b, e,
                               "SELECT kind, reason, count(*) AS n, min(trial) AS first, max(at_ms)"
                               " AS last_ms FROM sky_failures WHERE sweep = %" PRId64
                               " GROUP BY kind, reason ORDER BY n DESC, reason LIMIT %d",
                               info.id, FAILURES_MAX);
    sky_buf_puts(&b, ",\"failures\":");
    if (err == SKY_OK)
        err = sky__select_json(s, &b, e,
                               "SELECT trial, kind, reason, attempts, at_ms FROM sky_failures WHERE"
                               " sweep = %" PRId64 " ORDER BY at_ms DESC, trial LIMIT %d",
                               info.id, FAILURES_MAX);
    sky_buf_puts(&b, "}\n");
    sky_sweep_info_free(&info);
    if (err == SKY_OK)
        return sky__api_json(out, &b);
    sky_buf_free(&b);
    return err;
}

SKY__HANDLER(environments)
{
    sky_sweep_info info = {0};
    sky_buf b = {0}, name = {0};
    (void)r;
    sky_store *s = sky__reader_store(t);
    sky_err err = sky_store_sweep_find(s, p->parts[3], &info, e);
    if (err == SKY_OK) {
        sky_buf_sql_name(&name, info.name);
        err =
            sky__select_json(s, &b, e,
                             "SELECT sky_env AS id, count(*) AS trials, sum(sky_wall_s) AS busy_s,"
                             " (SELECT json FROM sky_environments WHERE id = sky_env) AS json"
                             " FROM %s GROUP BY sky_env ORDER BY trials DESC LIMIT %d",
                             sky_buf_str(&name), FAILURES_MAX);
    }
    sky_buf_free(&name);
    sky_sweep_info_free(&info);
    if (err == SKY_OK)
        return sky__api_json(out, &b);
    sky_buf_free(&b);
    return err;
}

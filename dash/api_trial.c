/* One trial: all that the store has of it. */
#include <inttypes.h>
#include <sqlite3.h>
#include <string.h>

#include "base/text.h"
#include "dash/api.h"
#include "dash/selectjson.h"
#include "store/export.h"

enum { CURVE_POINTS_MAX = 20000 };

static sky_err find(sky__reader *t, const sky__path *p, sky_sweep_info *info, uint64_t *trial,
                    sky_error *e)
{
    if (sky_parse_u64(p->parts[5], trial) != SKY_OK || *trial > INT64_MAX)
        return sky_fail(e, SKY_EINVAL, "found '%.40s', expected a trial's number", p->parts[5]);
    return sky_store_sweep_find(sky__reader_store(t), p->parts[3], info, e);
}

/* The row as an object, or null: of [{...}] what stands between the brackets. */
static sky_err put_row(sky_store *s, const char *sweep, uint64_t trial, sky_buf *b, bool *recorded,
                       sky_error *e)
{
    sky_buf list = {0};
    uint64_t rows = 0;
    const sky_export_options o = {
        .format = SKY_FORMAT_JSON, .write = sky__to_buffer, .arg = &list, .system_columns = true};
    const sky_err err = sky_export_trials(s, sweep, &trial, 1, &o, &rows, e);
    const char *begin = strchr(sky_buf_str(&list), '{'), *end = strrchr(sky_buf_str(&list), '}');
    *recorded = err == SKY_OK && rows == 1 && begin && end;
    if (*recorded)
        sky_buf_add(b, begin, (size_t)(end - begin) + 1);
    else
        sky_buf_puts(b, "null");
    sky_buf_free(&list);
    return err;
}

static sky_err put_failures(sky_store *s, int64_t sweep, uint64_t trial, sky_buf *b, size_t *n,
                            sky_error *e)
{
    static const char *const tables[] = {"sky_failures", "sky_attempts"};
    static const char *const members[] = {",\"failures\":", ",\"attempts\":"};
    const size_t empty = strlen("[]\n");
    sky_err err = SKY_OK;
    *n = 0;
    for (int i = 0; i < 2 && err == SKY_OK; i++) {
        sky_buf_puts(b, members[i]);
        const size_t before = b->len;
        err = sky__select_json(s, b, e,
                               "SELECT kind, reason, attempts, at_ms, CAST(l.text AS TEXT) AS log"
                               " FROM %s f LEFT JOIN sky_logs l ON l.id = f.log WHERE f.sweep = "
                               "%" PRId64 " AND f.trial = %" PRIu64,
                               tables[i], sweep, trial);
        *n += b->len - before > empty;
    }
    return err;
}

static sky_err put_environment(sky_store *s, const char *sweep, uint64_t trial, sky_buf *b,
                               sky_error *e)
{
    sqlite3_stmt *q = NULL;
    sqlite3 *db = sky_store_sqlite(s);
    sky_buf sql = {0};
    sky_buf_puts(&sql, "SELECT json FROM sky_environments WHERE id = (SELECT sky_env FROM ");
    sky_buf_sql_name(&sql, sweep);
    sky_buf_puts(&sql, " WHERE trial = ?)");
    const int rc = sqlite3_prepare_v2(db, sky_buf_str(&sql), -1, &q, NULL);
    sky_buf_free(&sql);
    if (rc != SQLITE_OK)
        return sky_fail(e, SKY_EIO, "%s", sqlite3_errmsg(db));
    sqlite3_bind_int64(q, 1, (sqlite3_int64)trial);
    sky_buf_puts(b, ",\"environment\":");
    const char *json =
        sqlite3_step(q) == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
    if (json)
        sky_buf_json_string(b, json);
    else
        sky_buf_puts(b, "null");
    sqlite3_finalize(q);
    return SKY_OK;
}

static void put_again(const sky_dash_source *source, const sky_sweep_info *info, uint64_t trial,
                      sky_buf *b)
{
    sky_buf line = {0};
    sky_buf_puts(b, ",\"again\":");
    if (source->again && source->again(info->plan, trial, &line) && sky_buf_ok(&line))
        sky_buf_json_string(b, sky_buf_str(&line));
    else
        sky_buf_puts(b, "null");
    sky_buf_free(&line);
}

static sky_err put_attachments(sky_store *s, int64_t sweep, uint64_t trial, sky_buf *b,
                               sky_error *e)
{
    sky_buf_puts(b, ",\"curve\":");
    sky_err err =
        sky__select_json(s, b, e,
                         "SELECT name, step, value FROM sky_curves WHERE sweep = "
                         "%" PRId64 " AND trial = %" PRIu64 " ORDER BY name, step LIMIT %d",
                         sweep, trial, CURVE_POINTS_MAX);
    sky_buf_puts(b, ",\"artifacts\":");
    if (err == SKY_OK)
        err = sky__select_json(s, b, e,
                               "SELECT name, length(bytes) AS bytes FROM sky_artifacts WHERE sweep "
                               "= %" PRId64 " AND trial = %" PRIu64 " ORDER BY name",
                               sweep, trial);
    return err;
}

SKY__HANDLER(trial)
{
    sky_sweep_info info = {0};
    uint64_t trial = 0;
    size_t n_failures = 0;
    bool recorded = false;
    sky_buf b = {0};
    sky_store *s = sky__reader_store(t);
    (void)r;
    sky_err err = find(t, p, &info, &trial, e);
    sky_buf_printf(&b, "{\"trial\":%" PRIu64 ",\"point\":%" PRIu64 ",\"row\":", trial,
                   info.points ? trial % info.points : trial);
    if (err == SKY_OK)
        err = put_row(s, info.name, trial, &b, &recorded, e);
    if (err == SKY_OK)
        err = put_attachments(s, info.id, trial, &b, e);
    if (err == SKY_OK)
        err = put_failures(s, info.id, trial, &b, &n_failures, e);
    if (err == SKY_OK)
        err = put_environment(s, info.name, trial, &b, e);
    if (err == SKY_OK && !recorded && n_failures == 0)
        err = sky_fail(e, SKY_ENOTFOUND, "sweep '%s' has no result of trial %" PRIu64 " yet",
                       info.name, trial);
    if (err == SKY_OK)
        put_again(sky__reader_kept(t)->source, &info, trial, &b);
    sky_buf_puts(&b, "}\n");
    sky_sweep_info_free(&info);
    if (err == SKY_OK)
        return sky__api_json(out, &b);
    sky_buf_free(&b);
    return err;
}

SKY__HANDLER(artifact)
{
    sky_sweep_info info = {0};
    sqlite3_stmt *q = NULL;
    uint64_t trial = 0;
    sky_buf b = {0};
    sqlite3 *db = sky_store_sqlite(sky__reader_store(t));
    const char *name = sky__arg(r, "name");
    sky_err err = name ? find(t, p, &info, &trial, e)
                       : sky_fail(e, SKY_EINVAL, "name: expected an artifact's name");
    if (err == SKY_OK &&
        sqlite3_prepare_v2(
            db, "SELECT bytes FROM sky_artifacts WHERE sweep = ? AND trial = ? AND name = ?", -1,
            &q, NULL) != SQLITE_OK)
        err = sky_fail(e, SKY_EIO, "%s", sqlite3_errmsg(db));
    if (err == SKY_OK) {
        sqlite3_bind_int64(q, 1, info.id);
        sqlite3_bind_int64(q, 2, (sqlite3_int64)trial);
        sqlite3_bind_text(q, 3, name, -1, SQLITE_STATIC);
        if (sqlite3_step(q) != SQLITE_ROW)
            err = sky_fail(e, SKY_ENOTFOUND, "trial %" PRIu64 " has no artifact '%.80s'", trial,
                           name);
    }
    if (err == SKY_OK)
        sky_buf_add(&b, sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0));
    sqlite3_finalize(q);
    sky_sweep_info_free(&info);
    if (err != SKY_OK)
        return err;
    out->disposition = "attachment"; /* never shown as a page of ours */
    return sky__api_frame(out, &b);
}

/* Failures: quarantined trials in sky_failures, those that will be tried again in sky_attempts, the ends of
 * their standard errors in sky_logs. A success costs no row here. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "store/store_internal.h"

static const char *const kind_names[] = {[SKY_FAILURE_ERROR] = "error",
                                         [SKY_FAILURE_CRASH] = "crash",
                                         [SKY_FAILURE_TIMEOUT] = "timeout",
                                         [SKY_FAILURE_MEMORY] = "memory",
                                         [SKY_FAILURE_LOST] = "lost"};

const char *sky_failure_kind_name(sky_failure_kind k)
{
    assert(k >= SKY_FAILURE_ERROR && k <= SKY_FAILURE_LOST);
    return kind_names[k];
}

/* UTF-8 without zeros: what SQL's text functions show whole. */
static bool is_text(const uint8_t *s, size_t len)
{
    for (size_t i = 0; i < len;) {
        const uint8_t c = s[i];
        size_t more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : 3;
        if (c == 0 || (c >= 0x80 && c < 0xc2) || c > 0xf4 || more >= len - i)
            return false;
        for (size_t k = 1; k <= more; k++) {
            if ((s[i + k] & 0xc0) != 0x80)
                return false;
        }
        i += more + 1;
    }
    return true;
}

static void bind_log(sqlite3_stmt *q, int at, const char *log, size_t len)
{
    if (is_text((const uint8_t *)log, len))
        sqlite3_bind_text64(q, at, log, len, SQLITE_STATIC, SQLITE_UTF8);
    else
        sqlite3_bind_blob64(q, at, log, len, SQLITE_STATIC);
}

/* The id of the log's text, stored if it is new and the sweep may keep more; 0 if it may not. */
static sky_err put_log(sky_store *s, sky__sweep *w, const char *log, size_t len, int64_t *id,
                       sky_error *e)
{
    sky_err err;
    bool row = false;
    const int64_t hash = (int64_t)sky_hash_bytes(0, log, len);
    sqlite3_stmt *q =
        sky__stmt(s, "SELECT id FROM sky_logs WHERE sweep = ? AND hash = ? AND text = ?", &err, e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_int64(q, 1, w->id);
    sqlite3_bind_int64(q, 2, hash);
    bind_log(q, 3, log, len);
    err = sky__step(s, q, &row, e, "looking for a log");
    *id = err == SKY_OK && row ? sqlite3_column_int64(q, 0) : 0;
    sqlite3_reset(q);
    sqlite3_clear_bindings(q);
    if (err != SKY_OK || row || w->log_bytes + len > SKY_SWEEP_LOG_BYTES_MAX)
        return err;
    q = sky__stmt(s, "INSERT INTO sky_logs (sweep, hash, text) VALUES (?, ?, ?)", &err, e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_int64(q, 1, w->id);
    sqlite3_bind_int64(q, 2, hash);
    bind_log(q, 3, log, len);
    err = sky__run(s, q, e, "storing a log");
    sqlite3_clear_bindings(q);
    *id = sqlite3_last_insert_rowid(s->db);
    w->log_bytes += len;
    s->pending_bytes += len;
    return err;
}

static sky_err is_recorded(sky_store *s, const sky__sweep *w, uint64_t trial, bool *out,
                           sky_error *e)
{
    sqlite3_stmt *q = NULL;
    sky_buf b = {0};
    sky_buf_puts(&b, "SELECT 1 FROM ");
    sky_buf_sql_name(&b, w->name);
    sky_buf_puts(&b, " WHERE trial = ?");
    sky_err err = sky_buf_ok(&b) ? sky__prepare(s, sky_buf_str(&b), &q, e)
                                 : sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
    if (err == SKY_OK) {
        sqlite3_bind_int64(q, 1, (sqlite3_int64)trial);
        err = sky__step(s, q, out, e, "looking for a trial");
    }
    sqlite3_finalize(q);
    sky_buf_free(&b);
    return err;
}

static sky_err put_failure(sky_store *s, sqlite3_stmt *q, const sky_failure *f, int64_t log,
                           sky_error *e)
{
    size_t len = f->reason ? strlen(f->reason) : 0;
    if (len > SKY__REASON_BYTES_MAX)
        len = SKY__REASON_BYTES_MAX;
    sqlite3_bind_int64(q, 1, f->sweep);
    sqlite3_bind_int64(q, 2, (sqlite3_int64)f->position);
    sqlite3_bind_int64(q, 3, (sqlite3_int64)f->trial);
    sqlite3_bind_int64(q, 4, f->attempts);
    sqlite3_bind_text(q, 5, sky_failure_kind_name(f->kind), -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 6, f->reason ? f->reason : "", (int)len, SQLITE_STATIC);
    if (log)
        sqlite3_bind_int64(q, 7, log);
    if (f->env)
        sqlite3_bind_int64(q, 8, f->env);
    sqlite3_bind_int64(q, 9, sky_wall_ms());
    s->pending_bytes += 64 + len;
    sky_err err = sky__run(s, q, e, "recording a failure");
    sqlite3_clear_bindings(q);
    return err;
}

/* Deletes one row of a table of failures; *gone is increased if it was there. sql is a literal. */
static sky_err forget(sky_store *s, const char *sql, int64_t sweep, uint64_t position,
                      uint64_t *gone, sky_error *e)
{
    sky_err err;
    sqlite3_stmt *q = sky__stmt(s, sql, &err, e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_int64(q, 1, sweep);
    sqlite3_bind_int64(q, 2, (sqlite3_int64)position);
    err = sky__run(s, q, e, "forgetting a failure");
    if (err == SKY_OK)
        *gone += (uint64_t)sqlite3_changes(s->db);
    return err;
}

static const char drop_attempt[] = "DELETE FROM sky_attempts WHERE sweep = ? AND position = ?";
static const char drop_failure[] = "DELETE FROM sky_failures WHERE sweep = ? AND position = ?";
static const char put_quarantined[] =
    "INSERT OR REPLACE INTO sky_failures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char put_charged[] =
    "INSERT OR REPLACE INTO sky_attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";

static sky_err store_failure(sky_store *s, sky__sweep *w, const sky_failure *f, sky_error *e)
{
    int64_t log = 0;
    uint64_t gone_failures = 0, gone_attempts = 0;
    sky_err err = SKY_OK;
    if (f->log && f->log_len > 0) {
        const size_t len = f->log_len < SKY_LOG_BYTES_MAX ? f->log_len : SKY_LOG_BYTES_MAX;
        err = put_log(s, w, f->log + (f->log_len - len), len, &log, e);
    }
    if (err == SKY_OK)
        err = forget(s, drop_failure, f->sweep, f->position, &gone_failures, e);
    if (err == SKY_OK)
        err = forget(s, drop_attempt, f->sweep, f->position, &gone_attempts, e);
    sqlite3_stmt *q = NULL;
    if (err == SKY_OK)
        q = sky__stmt(s, f->quarantined ? put_quarantined : put_charged, &err, e);
    if (err == SKY_OK)
        err = put_failure(s, q, f, log, e);
    if (err != SKY_OK)
        return err;
    w->touched = true;
    w->failed = w->failed - gone_failures + f->quarantined;
    w->attempted = w->attempted - gone_attempts + !f->quarantined;
    return SKY_OK;
}

sky_err sky_store_fail(sky_store *s, const sky_failure *f, sky_error *e)
{
    sky_error own = {0};
    e = e ? e : &own;
    sky__sweep *w = NULL;
    bool recorded = false;
    if (f->position > INT64_MAX || f->trial > INT64_MAX)
        return sky_fail(e, SKY_ELIMIT, "trial %llu is past 2^63", (unsigned long long)f->trial);
    sky_err err = sky__txn_begin(s, e);
    if (err == SKY_OK)
        err = sky__sweep_get(s, f->sweep, &w, e);
    if (err != SKY_OK)
        return err;
    err = is_recorded(s, w, f->trial, &recorded, e);
    if (err == SKY_OK && !recorded) /* a result counts more than a failure that came late */
        err = store_failure(s, w, f, e);
    return sky__txn_end(s, err, e);
}

/* Positions of sql's rows (sweep, then from and up to a position) that are in the set. */
static sky_err find_in(sky_store *s, const char *sql, int64_t sweep, const sky_ranges *set,
                       sky__spans *out, sky_error *e)
{
    sky_err err;
    bool row = true;
    sqlite3_stmt *q = sky__stmt(s, sql, &err, e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_int64(q, 1, sweep);
    sqlite3_bind_int64(q, 2, (sqlite3_int64)set->r[0].begin);
    sqlite3_bind_int64(q, 3, (sqlite3_int64)set->r[set->n - 1].end);
    while (err == SKY_OK) {
        err = sky__step(s, q, &row, e, "looking for failures");
        if (err != SKY_OK || !row)
            break;
        const uint64_t position = (uint64_t)sqlite3_column_int64(q, 0);
        if (sky_ranges_has(set, position) && !sky__spans_add(out, position, position + 1))
            err = sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
    }
    sqlite3_reset(q);
    return err;
}

static sky_err forget_all(sky_store *s, const char *sql, int64_t sweep, const sky__spans *list,
                          uint64_t *gone, sky_error *e)
{
    sky_err err = SKY_OK;
    for (size_t i = 0; i < list->n && err == SKY_OK; i++) {
        for (uint64_t p = list->r[i].begin; p < list->r[i].end && err == SKY_OK; p++)
            err = forget(s, sql, sweep, p, gone, e);
    }
    return err;
}

sky_err sky__failures_settle(sky_store *s, sky__sweep *w, const sky_ranges *positions, sky_error *e)
{
    sky_err err = SKY_OK;
    sky__spans found = {0};
    uint64_t gone = 0;
    if (positions->n > 0 && w->attempted > 0) {
        err = find_in(s,
                      "SELECT position FROM sky_attempts WHERE sweep = ? AND position >= ? AND "
                      "position < ?",
                      w->id, positions, &found, e);
        if (err == SKY_OK)
            err = forget_all(s, drop_attempt, w->id, &found, &gone, e);
        w->attempted -= err == SKY_OK ? gone : 0;
    }
    sky__spans_clear(&found);
    gone = 0;
    if (err == SKY_OK && positions->n > 0 && w->failed > 0) {
        err = find_in(s,
                      "SELECT position FROM sky_failures WHERE sweep = ? AND position >= ? AND "
                      "position < ?",
                      w->id, positions, &found, e);
        if (err == SKY_OK)
            err = forget_all(s, drop_failure, w->id, &found, &gone, e);
        w->failed -= err == SKY_OK ? gone : 0;
    }
    sky__spans_free(&found);
    return err;
}

sky_err sky_store_retry(sky_store *s, int64_t sweep, int kind, sky_ranges *positions_out,
                        sky_error *e)
{
    assert(kind <= SKY_FAILURE_LOST);
    sky_error own = {0};
    e = e ? e : &own;
    sky__sweep *w = NULL;
    sky__spans found = {0};
    uint64_t gone = 0;
    bool row = true;
    sky_err err = sky__txn_begin(s, e);
    if (err == SKY_OK)
        err = sky__sweep_get(s, sweep, &w, e);
    if (err != SKY_OK)
        return err;
    sqlite3_stmt *q =
        sky__stmt(s,
                  "SELECT position FROM sky_failures WHERE sweep = ?1 AND (?2 IS NULL OR kind = ?2)"
                  " ORDER BY position",
                  &err, e);
    if (err == SKY_OK) {
        sqlite3_bind_int64(q, 1, sweep);
        if (kind >= 0)
            sqlite3_bind_text(q, 2, kind_names[kind], -1, SQLITE_STATIC);
    }
    while (err == SKY_OK) {
        err = sky__step(s, q, &row, e, "reading failures");
        if (err != SKY_OK || !row)
            break;
        const uint64_t position = (uint64_t)sqlite3_column_int64(q, 0);
        if (!sky__spans_add(&found, position, position + 1))
            err = sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
    }
    if (q)
        sqlite3_reset(q);
    if (err == SKY_OK)
        err = forget_all(s, drop_failure, sweep, &found, &gone, e);
    sky_ranges out = {0};
    if (err == SKY_OK && !sky__spans_detach(&found, &out))
        err = sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
    sky__spans_free(&found);
    if (err == SKY_OK) {
        w->touched = true;
        w->failed -= gone;
        sky_ranges_free(positions_out);
        *positions_out = out;
    }
    return sky__txn_end(s, err, e);
}

sky_err sky_store_attempts(sky_store *s, int64_t sweep,
                           void (*fn)(void *arg, uint64_t position, uint32_t attempts), void *arg,
                           sky_error *e)
{
    sky_err err;
    bool row = true;
    sqlite3_stmt *q = sky__stmt(
        s, "SELECT position, attempts FROM sky_attempts WHERE sweep = ? ORDER BY position", &err,
        e);
    if (err == SKY_OK)
        sqlite3_bind_int64(q, 1, sweep);
    while (err == SKY_OK) {
        err = sky__step(s, q, &row, e, "reading attempts");
        if (err != SKY_OK || !row)
            break;
        fn(arg, (uint64_t)sqlite3_column_int64(q, 0), (uint32_t)sqlite3_column_int64(q, 1));
    }
    if (q)
        sqlite3_reset(q);
    return err;
}

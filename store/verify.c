/* Does a store keep what Skyline promises of it? Each check adds what it finds to a report. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/manage.h"
#include "store/store_internal.h"

typedef struct report {
    sky_store *store;
    void (*problem)(void *arg, const char *text);
    void *arg;
    uint64_t n;
} report;

static void found(report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void found(report *r, const char *fmt, ...)
{
    sky_buf b = {0};
    va_list ap;
    va_start(ap, fmt);
    sky_buf_vprintf(&b, fmt, ap);
    va_end(ap);
    r->n++;
    if (r->problem)
        r->problem(r->arg, sky_buf_str(&b));
    sky_buf_free(&b);
}

static sky_err integrity(report *r, sky_error *e)
{
    sqlite3_stmt *q = NULL;
    bool row = true;
    sky_err err = sky__prepare(r->store, "PRAGMA integrity_check(100)", &q, e);
    while (err == SKY_OK) {
        err = sky__step(r->store, q, &row, e, "checking the file");
        if (err != SKY_OK || !row)
            break;
        const char *text = (const char *)sqlite3_column_text(q, 0);
        if (text && strstr(text, "error code=7")) /* SQLITE_NOMEM, told as a finding */
            err = sky_fail(e, SKY_ENOMEM, "%s: out of memory", r->store->path);
        else if (text && strcmp(text, "ok") != 0)
            found(r, "SQLite: %s", text);
    }
    sqlite3_finalize(q);
    return err;
}

static sky_err orphans(report *r, sky_error *e)
{
    static const char *const tables[] = {"sky_columns_meta", "sky_objectives", "sky_failures",
                                         "sky_attempts",     "sky_logs",       "sky_curves",
                                         "sky_artifacts",    "sky_tags"};
    sky_err err = SKY_OK;
    for (size_t i = 0; i < sizeof tables / sizeof *tables && err == SKY_OK; i++) {
        char sql[256];
        int64_t n = 0;
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM %s WHERE sweep NOT IN (SELECT id FROM sky_sweeps)",
                 tables[i]);
        err = sky__int(r->store, sql, &n, e);
        if (err == SKY_OK && n > 0)
            found(r, "%s has %lld rows of sweeps that are gone", tables[i], (long long)n);
    }
    return err;
}

/* Rows of the table against the trials of its commit records, both in order. */
static sky_err rows(report *r, const sky_sweep_info *i, const sky__spans *trials, sky_error *e)
{
    sky_buf sql = {0};
    sqlite3_stmt *q = NULL;
    uint64_t n = 0, unlisted = 0, listed = 0;
    size_t at = 0;
    bool row = true;
    sky_buf_puts(&sql, "SELECT trial FROM ");
    sky_buf_sql_name(&sql, i->name);
    sky_buf_puts(&sql, " ORDER BY trial");
    sky_err err = sky_buf_ok(&sql) ? sky__prepare(r->store, sky_buf_str(&sql), &q, e)
                                   : sky_fail(e, SKY_ENOMEM, "%s: out of memory", r->store->path);
    while (err == SKY_OK) {
        err = sky__step(r->store, q, &row, e, "checking rows");
        if (err != SKY_OK || !row)
            break;
        const uint64_t trial = (uint64_t)sqlite3_column_int64(q, 0);
        while (at < trials->n && trials->r[at].end <= trial)
            at++;
        if (at < trials->n && trials->r[at].begin <= trial)
            listed++;
        else
            unlisted++;
        n++;
    }
    sqlite3_finalize(q);
    sky_buf_free(&sql);
    if (err != SKY_OK)
        return err;
    const uint64_t committed = sky__spans_count(trials);
    if (unlisted > 0)
        found(r, "sweep '%s': %llu rows are in no commit record", i->name,
              (unsigned long long)unlisted);
    if (listed != committed)
        found(r, "sweep '%s': %llu committed rows are missing", i->name,
              (unsigned long long)(committed - listed));
    if (n != i->recorded)
        found(r, "sweep '%s': %llu rows, but its counter says %llu", i->name, (unsigned long long)n,
              (unsigned long long)i->recorded);
    return SKY_OK;
}

static sky_err settled(report *r, const sky_sweep_info *i, const sky__spans *positions,
                       sky_error *e)
{
    sky_ranges done = {0}, failed = {0}, both = {0};
    sky_err err = sky_store_settled(r->store, i->id, &done, &failed, e);
    if (err == SKY_OK && !sky_ranges_intersect(&both, &done, &failed))
        err = sky_fail(e, SKY_ENOMEM, "%s: out of memory", r->store->path);
    if (err == SKY_OK) {
        if (sky__spans_count(positions) != i->recorded + i->holes)
            found(r, "sweep '%s': %llu positions are settled, but %llu rows and %llu holes",
                  i->name, (unsigned long long)sky__spans_count(positions),
                  (unsigned long long)i->recorded, (unsigned long long)i->holes);
        if (positions->n > 0 && positions->r[positions->n - 1].end > i->positions)
            found(r, "sweep '%s': position %llu is past its end, %llu", i->name,
                  (unsigned long long)positions->r[positions->n - 1].end - 1,
                  (unsigned long long)i->positions);
        if (failed.count != i->failed)
            found(r, "sweep '%s': %llu trials are quarantined, but its counter says %llu", i->name,
                  (unsigned long long)failed.count, (unsigned long long)i->failed);
        if (both.count > 0)
            found(r, "sweep '%s': %llu positions are both settled and quarantined", i->name,
                  (unsigned long long)both.count);
    }
    sky_ranges_free(&done);
    sky_ranges_free(&failed);
    sky_ranges_free(&both);
    return err;
}

static sky_err log_bytes(report *r, const sky_sweep_info *i, sky_error *e)
{
    char sql[256];
    int64_t wrong = 0;
    snprintf(sql, sizeof sql,
             "SELECT log_bytes <> (SELECT total(length(CAST(text AS BLOB))) FROM sky_logs"
             " WHERE sweep = %lld) FROM sky_sweeps WHERE id = %lld",
             (long long)i->id, (long long)i->id);
    sky_err err = sky__int(r->store, sql, &wrong, e);
    if (err == SKY_OK && wrong)
        found(r, "sweep '%s': its logs are not as long as its counter says", i->name);
    return err;
}

static sky_err sweep(report *r, const sky_sweep_info *i, sky_error *e)
{
    sky__spans positions = {0}, trials = {0};
    int rc = sqlite3_table_column_metadata(r->store->db, "main", i->name, "trial", NULL, NULL, NULL,
                                           NULL, NULL);
    if (rc == SQLITE_ERROR) {
        found(r, "sweep '%s' has no table", i->name);
        return SKY_OK;
    }
    if (rc != SQLITE_OK)
        return sky__sql_fail(r->store, rc, e, "checking a table");
    sky_err err = sky__commits_read(r->store, i->id, 0, &positions, &trials, e);
    if (err == SKY_EFORMAT && e) {
        found(r, "sweep '%s': %s", i->name, e->text);
        goto done; /* nothing can be compared with it */
    }
    if (err == SKY_OK && (!sky__spans_normalize(&positions) || !sky__spans_normalize(&trials)))
        err = sky_fail(e, SKY_ENOMEM, "%s: out of memory", r->store->path);
    if (err == SKY_OK)
        err = rows(r, i, &trials, e);
    if (err == SKY_OK)
        err = settled(r, i, &positions, e);
    if (err == SKY_OK)
        err = log_bytes(r, i, e);
done:
    sky__spans_free(&positions);
    sky__spans_free(&trials);
    return err == SKY_EFORMAT ? SKY_OK : err;
}

sky_err sky_store_verify(sky_store *s, void (*problem)(void *arg, const char *text), void *arg,
                         uint64_t *problems, sky_error *e)
{
    sky_error own = {0};
    e = e ? e : &own;
    report r = {.store = s, .problem = problem, .arg = arg};
    sky_sweep_info *list = NULL;
    size_t n = 0;
    /* One state for all checks, though somebody writes: this may take long, and the log grows meanwhile. */
    if (sky_store_dirty(s))
        return sky_fail(e, SKY_EBUSY, "%s: a transaction is open", s->path);
    sky_err err = sky__read_begin(s, e, "checking");
    if (err != SKY_OK)
        return err;
    err = integrity(&r, e);
    if (err == SKY_OK)
        err = orphans(&r, e);
    if (err == SKY_OK)
        err = sky_store_sweep_list(s, &list, &n, e);
    for (size_t i = 0; i < n && err == SKY_OK; i++)
        err = sweep(&r, &list[i], e);
    for (size_t i = 0; i < n; i++)
        sky_sweep_info_free(&list[i]);
    free(list);
    sky__roll_back(s);
    if (err == SKY_OK && problems)
        *problems = r.n;
    return err;
}

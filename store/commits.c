/* Table sky_commits: what each commit settled. Readers learn from it what is new, and recovery what need
 * not run again. Kept small by uniting records of one sweep. */
#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "store/store_internal.h"

static sky_err no_memory(sky_store *s, sky_error *e)
{
    return sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
}

static sky_err damaged(sky_store *s, int64_t seq, sky_error *e)
{
    return sky_fail(e, SKY_EFORMAT, "%s: commit record %lld is damaged", s->path, (long long)seq);
}

static sky_err decode(sky_store *s, sqlite3_stmt *q, int column, sky__spans *out, sky_error *e)
{
    const void *blob = sqlite3_column_blob(q, column);
    const int len = sqlite3_column_bytes(q, column);
    if (!blob && len > 0)
        return no_memory(s, e);
    sky_err err = sky__spans_decode(out, blob, (size_t)len);
    if (err == SKY_ENOMEM)
        return no_memory(s, e);
    return err == SKY_OK ? SKY_OK : damaged(s, sqlite3_column_int64(q, 0), e);
}

static sky_err read_rows(sky_store *s, sqlite3_stmt *q, sky__spans *positions, sky__spans *trials,
                         sky_error *e)
{
    bool row = true;
    sky_err err = SKY_OK;
    while (err == SKY_OK) {
        err = sky__step(s, q, &row, e, "reading what is recorded");
        if (err != SKY_OK || !row)
            break;
        if (positions)
            err = decode(s, q, 1, positions, e);
        if (err == SKY_OK && trials)
            err = decode(s, q, sqlite3_column_type(q, 2) == SQLITE_NULL ? 1 : 2, trials, e);
    }
    sqlite3_reset(q);
    return err;
}

sky_err sky__commits_read(sky_store *s, int64_t sweep, uint64_t since, sky__spans *positions,
                          sky__spans *trials, sky_error *e)
{
    sky_err err;
    sqlite3_stmt *q = sky__stmt(
        s, "SELECT seq, positions, trials FROM sky_commits WHERE seq > ?2 AND sweep = ?1", &err, e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_int64(q, 1, sweep);
    sqlite3_bind_int64(q, 2, (sqlite3_int64)since);
    return read_rows(s, q, positions, trials, e);
}

/* ---- Writing ---- */

typedef struct commit_row {
    int64_t seq; /* 0: the next one */
    int64_t sweep;
    sky__spans *positions, *trials;
    uint64_t rows, holes, merged;
    int64_t at_ms;
} commit_row;

static sky_err write_row(sky_store *s, const commit_row *c, sky_error *e)
{
    sky_buf positions = {0}, trials = {0};
    sky_err err = SKY_OK;
    sqlite3_stmt *q = NULL;
    bool ok = sky__spans_normalize(c->positions) && sky__spans_normalize(c->trials);
    const bool differ = ok && !sky__spans_equal(c->positions, c->trials);
    ok = ok && sky__spans_encode(c->positions, &positions);
    if (differ)
        ok = ok && sky__spans_encode(c->trials, &trials);
    if (!ok)
        err = no_memory(s, e);
    if (err == SKY_OK)
        q = sky__stmt(s,
                      "INSERT INTO sky_commits (seq, sweep, positions, trials, rows, holes, merged,"
                      " at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                      &err, e);
    if (err == SKY_OK) {
        sqlite3_bind_int64(q, 1, c->seq);
        sqlite3_bind_int64(q, 2, c->sweep);
        sqlite3_bind_blob64(q, 3, sky_buf_str(&positions), positions.len, SQLITE_STATIC);
        if (differ)
            sqlite3_bind_blob64(q, 4, sky_buf_str(&trials), trials.len, SQLITE_STATIC);
        sqlite3_bind_int64(q, 5, (sqlite3_int64)c->rows);
        sqlite3_bind_int64(q, 6, (sqlite3_int64)c->holes);
        sqlite3_bind_int64(q, 7, (sqlite3_int64)c->merged);
        sqlite3_bind_int64(q, 8, c->at_ms);
        err = sky__run(s, q, e, "recording a commit");
        sqlite3_clear_bindings(q);
    }
    s->pending_bytes += positions.len + trials.len;
    sky_buf_free(&positions);
    sky_buf_free(&trials);
    return err;
}

static sky_err bind_sweep_range(sky_store *s, sqlite3_stmt **q, const char *sql, int64_t sweep,
                                uint64_t merged_max, sky_error *e)
{
    sky_err err;
    *q = sky__stmt(s, sql, &err, e);
    if (err == SKY_OK) {
        sqlite3_bind_int64(*q, 1, sweep);
        sqlite3_bind_int64(*q, 2, (sqlite3_int64)merged_max);
    }
    return err;
}

/* One record instead of all of the sweep that stand for at most merged_max commits. It keeps the newest
 * number, so that a reader who saw some of them sees all of them again, and none is missed. */
static sky_err unite(sky_store *s, int64_t sweep, uint64_t merged_max, sky_error *e)
{
    sky__spans positions = {0}, trials = {0};
    commit_row c = {.sweep = sweep, .positions = &positions, .trials = &trials};
    sqlite3_stmt *q = NULL;
    bool row = false;
    sky_err err = bind_sweep_range(s, &q,
                                   "SELECT max(seq), sum(rows), sum(holes), sum(merged), max(at_ms)"
                                   " FROM sky_commits WHERE sweep = ? AND merged <= ?",
                                   sweep, merged_max, e);
    if (err == SKY_OK)
        err = sky__step(s, q, &row, e, "uniting commit records");
    if (err == SKY_OK && row) {
        c.seq = sqlite3_column_int64(q, 0);
        c.rows = (uint64_t)sqlite3_column_int64(q, 1);
        c.holes = (uint64_t)sqlite3_column_int64(q, 2);
        c.merged = (uint64_t)sqlite3_column_int64(q, 3);
        c.at_ms = sqlite3_column_int64(q, 4);
        sqlite3_reset(q);
    }
    if (err == SKY_OK)
        err = bind_sweep_range(s, &q,
                               "SELECT seq, positions, trials FROM sky_commits"
                               " WHERE sweep = ? AND merged <= ?",
                               sweep, merged_max, e);
    if (err == SKY_OK)
        err = read_rows(s, q, &positions, &trials, e);
    if (err == SKY_OK)
        err = bind_sweep_range(s, &q, "DELETE FROM sky_commits WHERE sweep = ? AND merged <= ?",
                               sweep, merged_max, e);
    if (err == SKY_OK)
        err = sky__run(s, q, e, "uniting commit records");
    if (err == SKY_OK)
        err = write_row(s, &c, e);
    sky__spans_free(&positions);
    sky__spans_free(&trials);
    return err;
}

static sky_err update_counts(sky_store *s, const sky__sweep *w, int64_t now_ms, sky_error *e)
{
    sky_err err;
    sqlite3_stmt *q =
        sky__stmt(s,
                  "UPDATE sky_sweeps SET recorded = recorded + ?2, holes = holes + ?3,"
                  " failed = ?4, busy_s = busy_s + ?5, log_bytes = ?6,"
                  " updated_ms = ?7 WHERE id = ?1",
                  &err, e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_int64(q, 1, w->id);
    sqlite3_bind_int64(q, 2, (sqlite3_int64)w->rows);
    sqlite3_bind_int64(q, 3, (sqlite3_int64)w->holes);
    sqlite3_bind_int64(q, 4, (sqlite3_int64)w->failed);
    sqlite3_bind_double(q, 5, w->busy_s);
    sqlite3_bind_int64(q, 6, (sqlite3_int64)w->log_bytes);
    sqlite3_bind_int64(q, 7, now_ms);
    return sky__run(s, q, e, "counting");
}

sky_err sky__commits_flush(sky_store *s, sky_error *e)
{
    const int64_t now_ms = sky_wall_ms();
    sky_err err = SKY_OK;
    for (sky__sweep *w = s->sweeps; w && err == SKY_OK; w = w->next) {
        if (!w->touched)
            continue;
        if (w->positions.n > 0 || w->trials.n > 0) {
            const commit_row c = {.seq = (int64_t)++s->seq,
                                  .sweep = w->id,
                                  .positions = &w->positions,
                                  .trials = &w->trials,
                                  .rows = w->rows,
                                  .holes = w->holes,
                                  .merged = 1,
                                  .at_ms = now_ms};
            err = write_row(s, &c, e);
            if (err == SKY_OK && ++w->small_commits >= SKY__COMPACT_AFTER) {
                err = unite(s, w->id, 1, e);
                w->small_commits = 0;
            }
        }
        if (err == SKY_OK)
            err = update_counts(s, w, now_ms, e);
    }
    return err;
}

sky_err sky__commits_compact(sky_store *s, sky_error *e)
{
    enum { RECORDS_MIN = 64 }; /* fewer cost less to read than to write anew at each start */
    int64_t ids[64];
    size_t n = 0;
    bool row = true;
    sky_err err;
    sqlite3_stmt *q = sky__stmt(
        s, "SELECT sweep FROM sky_commits GROUP BY sweep HAVING count(*) >= ? LIMIT 64", &err, e);
    if (err == SKY_OK)
        sqlite3_bind_int(q, 1, RECORDS_MIN);
    while (err == SKY_OK) { /* more than 64 such sweeps: the next start does the others */
        err = sky__step(s, q, &row, e, "uniting commit records");
        if (err != SKY_OK || !row)
            break;
        ids[n++] = sqlite3_column_int64(q, 0);
    }
    if (q)
        sqlite3_reset(q);
    for (size_t i = 0; i < n && err == SKY_OK; i++)
        err = unite(s, ids[i], INT64_MAX, e);
    return err;
}

/* ---- Recovery ---- */

static sky_err read_failed(sky_store *s, int64_t sweep, sky__spans *out, sky_error *e)
{
    sky_err err;
    bool row = true;
    sqlite3_stmt *q = sky__stmt(
        s, "SELECT position FROM sky_failures WHERE sweep = ? ORDER BY position", &err, e);
    if (err == SKY_OK)
        sqlite3_bind_int64(q, 1, sweep);
    while (err == SKY_OK) {
        err = sky__step(s, q, &row, e, "reading failures");
        if (err != SKY_OK || !row)
            break;
        const uint64_t position = (uint64_t)sqlite3_column_int64(q, 0);
        if (position > INT64_MAX)
            err = sky_fail(e, SKY_EFORMAT, "%s: sky_failures has a negative position", s->path);
        else if (!sky__spans_add(out, position, position + 1))
            err = no_memory(s, e);
    }
    if (q)
        sqlite3_reset(q);
    return err;
}

sky_err sky_store_settled(sky_store *s, int64_t sweep, sky_ranges *done, sky_ranges *failed,
                          sky_error *e)
{
    sky__spans positions = {0}, quarantined = {0};
    sky_err err = sky__commits_read(s, sweep, 0, &positions, NULL, e);
    for (const sky__sweep *w = s->sweeps; w && err == SKY_OK; w = w->next) {
        for (size_t i = 0; w->id == sweep && i < w->positions.n && err == SKY_OK; i++) {
            if (!sky__spans_add(&positions, w->positions.r[i].begin, w->positions.r[i].end))
                err = no_memory(s, e);
        }
    }
    if (err == SKY_OK)
        err = read_failed(s, sweep, &quarantined, e);
    sky_ranges a = {0}, b = {0};
    if (err == SKY_OK &&
        (!sky__spans_detach(&positions, &a) || !sky__spans_detach(&quarantined, &b)))
        err = no_memory(s, e);
    if (err == SKY_OK) {
        sky_ranges_free(done);
        sky_ranges_free(failed);
        *done = a;
        *failed = b;
    } else {
        sky_ranges_free(&a);
        sky_ranges_free(&b);
    }
    sky__spans_free(&positions);
    sky__spans_free(&quarantined);
    return err;
}

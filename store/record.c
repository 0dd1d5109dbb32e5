/* Rows into a sweep's table, each trial once. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"

static sky_err check(const sky__sweep *w, const sky_record *r, sky_error *e)
{
    if (r->n == 0) /* holes alone: no columns */
        return SKY_OK;
    for (size_t c = 0; c < w->n_params + w->n_metrics; c++) {
        const sky_column *column = c < w->n_params ? &r->params[c] : &r->metrics[c - w->n_params];
        if (column->type != w->types[c])
            return sky_fail(e, SKY_EINVAL, "sweep '%s': column %zu is of type %s, expected %s",
                            w->name, c, sky_type_name(column->type), sky_type_name(w->types[c]));
    }
    for (size_t i = 0; i < r->n; i++) {
        if (r->trials[i] > INT64_MAX)
            return sky_fail(e, SKY_ELIMIT, "sweep '%s': trial %llu is past 2^63", w->name,
                            (unsigned long long)r->trials[i]);
    }
    return SKY_OK;
}

/* INSERT INTO "sweep" (trial, ...) SELECT * FROM sky_batch_N WHERE true ON CONFLICT DO NOTHING; the WHERE
 * is what SQLite's grammar needs between a SELECT and ON. */
static sky_err prepare_insert(sky_store *s, sky__sweep *w, sky_error *e)
{
    const size_t n = w->n_params + w->n_metrics + 3;
    sky_err err = sky__batch_register(s, n, e);
    if (err != SKY_OK)
        return err;
    sqlite3_stmt *q = NULL;
    err = sky__prepare(s,
                       "SELECT name FROM sky_columns_meta WHERE sweep = ? AND role IN ('param', "
                       "'metric') ORDER BY role = 'param' DESC, ord",
                       &q, e);
    sky_buf b = {0};
    sky_buf_puts(&b, "INSERT INTO ");
    sky_buf_sql_name(&b, w->name);
    sky_buf_puts(&b, " (trial");
    bool row = true;
    if (err == SKY_OK)
        sqlite3_bind_int64(q, 1, w->id);
    while (err == SKY_OK) {
        err = sky__step(s, q, &row, e, "reading a sweep's columns");
        if (err != SKY_OK || !row)
            break;
        sky_buf_puts(&b, ", ");
        sky_buf_sql_name(&b, (const char *)sqlite3_column_text(q, 0));
    }
    sqlite3_finalize(q);
    sky_buf_printf(&b,
                   ", sky_wall_s, sky_env) SELECT * FROM sky_batch_%zu WHERE true"
                   " ON CONFLICT DO NOTHING",
                   n);
    if (err == SKY_OK && !sky_buf_ok(&b))
        err = sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
    if (err == SKY_OK)
        err = sky__prepare(s, sky_buf_str(&b), &w->insert, e);
    sky_buf_free(&b);
    return err;
}

static void on_insert(void *arg, int op, const char *db, const char *table, sqlite3_int64 rowid)
{
    (void)op;
    (void)db;
    (void)table;
    (void)rowid;
    sky__batch *b = arg;
    b->inserted[b->row] =
        SKY__BATCH_NEW; /* SQLite reads a row, inserts it, and only then reads the next */
}

static sky_err insert(sky_store *s, sky__sweep *w, const sky_record *r, sky_error *e)
{
    sky__batch *b = s->batch;
    if (r->n > b->inserted_cap) {
        uint8_t *grown = realloc(b->inserted, r->n);
        if (!grown)
            return sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
        b->inserted = grown;
        b->inserted_cap = r->n;
    }
    memset(b->inserted, 0, r->n);
    b->r = r;
    b->n_params = w->n_params;
    b->n_metrics = w->n_metrics;
    sqlite3_update_hook(s->db, on_insert, b);
    sky_err err = sky__run(s, w->insert, e, "recording results");
    sqlite3_update_hook(s->db, NULL, NULL);
    b->r = NULL;
    if (err == SKY_EINVAL && e) /* what SQLite calls an error in a statement that was compiled */
        err = sky_fail_prefix(e, "sweep '%s': a derived metric or a constraint cannot be computed",
                              w->name);
    return err;
}

/* ---- Copies ---- */

static sky_err prepare_select(sky_store *s, sky__sweep *w, sky_error *e)
{
    sky_buf b = {0};
    sky_buf_puts(&b, "SELECT * FROM ");
    sky_buf_sql_name(&b, w->name);
    sky_buf_puts(&b, " WHERE trial = ?");
    sky_err err = sky_buf_ok(&b) ? sky__prepare(s, sky_buf_str(&b), &w->select, e)
                                 : sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
    sky_buf_free(&b);
    return err;
}

static bool same(sqlite3_stmt *q, int column, const sky_column *c, size_t row)
{
    const bool null = sqlite3_column_type(q, column) == SQLITE_NULL;
    const sky_value v = sky_column_get(c, row);
    if (v.absent || null)
        return null && (v.absent || (v.type == SKY_REAL && v.f != v.f));
    switch (v.type) {
    case SKY_INT:
    case SKY_BOOL:
        return sqlite3_column_int64(q, column) == v.i;
    case SKY_REAL:
        return sqlite3_column_double(q, column) == v.f;
    case SKY_TEXT:
        break;
    }
    const char *text = (const char *)sqlite3_column_text(q, column);
    return text && strcmp(text, v.s) == 0;
}

/* Compares what came again with what is stored. Only exact metrics must agree. */
static sky_err compare(sky_store *s, sky__sweep *w, const sky_record *r, uint64_t *differing,
                       sky_error *e)
{
    sky_err err = w->select ? SKY_OK : prepare_select(s, w, e);
    for (size_t i = 0; i < r->n && err == SKY_OK; i++) {
        bool row = false;
        if (s->batch->inserted[i] == SKY__BATCH_NEW)
            continue;
        sqlite3_bind_int64(w->select, 1, (sqlite3_int64)r->trials[i]);
        err = sky__step(s, w->select, &row, e, "comparing a copy");
        if (err != SKY_OK)
            break;
        bool equal = row;
        for (size_t m = 0; m < w->n_metrics && equal; m++)
            equal = !w->exact[m] || same(w->select, (int)(1 + w->n_params + m), &r->metrics[m], i);
        *differing += !equal;
        s->batch->inserted[i] = equal ? SKY__BATCH_COPY : SKY__BATCH_DIFFERS;
        sqlite3_reset(w->select);
    }
    return err;
}

/* ---- One record ---- */

/* Rows and holes that the next commit record will list. */
static sky_err note(sky_store *s, sky__sweep *w, const sky_record *r, sky_error *e)
{
    bool ok = true;
    uint64_t rows = 0;
    for (size_t i = 0; i < r->n && ok; i++) {
        if (!r->positions)
            ok = sky__spans_add(&w->positions, r->trials[i], r->trials[i] + 1);
        if (!ok || s->batch->inserted[i] != SKY__BATCH_NEW)
            continue; /* a copy settles its position, but it is no row of this commit */
        ok = sky__spans_add(&w->trials, r->trials[i], r->trials[i] + 1);
        w->busy_s += r->wall_s ? (double)r->wall_s[i] : 0;
        rows++;
    }
    if (ok && r->positions)
        ok = sky__spans_add_set(&w->positions, r->positions);
    if (!ok)
        return sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
    w->touched = true;
    w->rows += rows;
    w->holes += r->n_holes;
    s->pending_bytes += rows * (16 + 8 * (w->n_params + w->n_metrics));
    return SKY_OK;
}

static sky_err settle(sky_store *s, sky__sweep *w, const sky_record *r, sky_error *e)
{
    if (w->failed + w->attempted == 0)
        return SKY_OK;
    if (r->positions)
        return sky__failures_settle(s, w, r->positions, e);
    sky_ranges set = {0};
    bool ok = sky__spans_normalize(&w->positions);
    for (size_t i = 0; i < w->positions.n && ok; i++)
        ok = sky_ranges_add(&set, w->positions.r[i].begin, w->positions.r[i].end) != UINT64_MAX;
    sky_err err = ok ? sky__failures_settle(s, w, &set, e)
                     : sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
    sky_ranges_free(&set);
    return err;
}

sky_err sky_store_record(sky_store *s, const sky_record *r, uint64_t *duplicates,
                         uint64_t *differing, sky_error *e)
{
    sky_error own = {0};
    e = e ? e : &own;
    uint64_t copies = 0, different = 0;
    sky__sweep *w = NULL;
    sky_err err = sky__txn_begin(s, e);
    if (err == SKY_OK)
        err = sky__sweep_get(s, r->sweep, &w, e);
    if (err == SKY_OK)
        err = check(w, r, e);
    if (err != SKY_OK)
        return err;
    if (r->n > 0) {
        if (!w->insert)
            err = prepare_insert(s, w, e);
        if (err == SKY_OK)
            err = insert(s, w, r, e);
        if (err == SKY_OK)
            copies = r->n - (uint64_t)sqlite3_changes64(s->db);
        if (err == SKY_OK && copies > 0)
            err = compare(s, w, r, &different, e);
    }
    if (err == SKY_OK)
        err = note(s, w, r, e);
    if (err == SKY_OK)
        err = settle(s, w, r, e);
    if (err == SKY_OK && duplicates)
        *duplicates = copies;
    if (err == SKY_OK && differing)
        *differing = different;
    return sky__txn_end(s, err, e);
}

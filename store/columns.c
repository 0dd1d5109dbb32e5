#include "store/columns.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "store/columns_internal.h"

/* Some 20 ms: a longer read would hold the writer's log back, and whoever wants an answer soon. */
enum { ROWS_PER_READ = 1 << 14 };

enum { DICTIONARY_SLOTS = 2 * SKY_COLUMN_TEXTS_MAX };
_Static_assert((DICTIONARY_SLOTS & (DICTIONARY_SLOTS - 1)) == 0, "a mask finds the slot");

static sky_err no_memory(const sky_columns *c, sky_error *e)
{
    return sky_fail(e, SKY_ENOMEM, "%s: out of memory", c->store->path);
}

/* ---- Open ---- */

static sky_err take_names(sky_columns *c, const sky__meta *meta, const sky_columns_options *o,
                          sky_error *e)
{
    c->names = calloc(o->n + 1, sizeof *c->names);
    c->values = calloc(o->n + 1, sizeof *c->values);
    c->texts = calloc(o->n + 1, sizeof *c->texts);
    c->sweep = sky_strdup(meta->name);
    if (!c->names || !c->values || !c->texts || !c->sweep)
        return no_memory(c, e);
    c->n_columns = o->n;
    for (size_t i = 0; i < o->n; i++) {
        const sky__meta_column *column = sky__meta_find(meta, o->names[i]);
        if (!column)
            return sky__meta_unknown(meta, o->names[i], e);
        c->texts[i].used = column->type == SKY_TEXT;
        if (column->type == SKY_TEXT && !o->texts)
            return sky_fail(e, SKY_EINVAL, "sweep '%s': column '%s' is of texts, expected numbers",
                            meta->name, column->name);
        c->names[i] = sky_strdup(column->name);
        if (!c->names[i])
            return no_memory(c, e);
    }
    return SKY_OK;
}

sky_err sky_columns_open(sky_columns **out, sky_store *s, const char *sweep,
                         const sky_columns_options *o, sky_error *e)
{
    sky__meta meta;
    if (o->n > SKY__META_COLUMNS_MAX)
        return sky_fail(e, SKY_ELIMIT, "found %zu columns, at most %d can be loaded", o->n,
                        SKY__META_COLUMNS_MAX);
    sky_err err = sky__meta_load(s, sweep, &meta, e);
    if (err != SKY_OK)
        return err;
    sky_columns *c = calloc(1, sizeof *c);
    if (!c) {
        sky__meta_free(&meta);
        return sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
    }
    c->store = s;
    c->rows_max = o->rows_max ? o->rows_max : (size_t)1 << 31;
    c->stop_at_max = o->stop_at_max;
    c->id = meta.id;
    c->points = meta.points;
    c->positions = meta.positions;
    err = take_names(c, &meta, o, e);
    sky__meta_free(&meta);
    if (err != SKY_OK) {
        sky_columns_close(c);
        return err;
    }
    *out = c;
    return SKY_OK;
}

static void finalize(sky_columns *c)
{
    sqlite3_finalize(c->scan);
    sqlite3_finalize(c->range);
    c->scan = c->range = NULL;
}

static void forget_texts(sky_columns *c)
{
    for (size_t i = 0; c->texts && i < c->n_columns; i++) {
        sky__dictionary *d = &c->texts[i];
        for (size_t k = 0; k < d->n; k++)
            free(d->texts[k]);
        free(d->texts);
        free(d->slots);
        *d = (sky__dictionary){.used = d->used};
    }
}

void sky_columns_close(sky_columns *c)
{
    if (!c)
        return;
    finalize(c);
    forget_texts(c);
    sky__spans_free(&c->pending);
    free(c->texts);
    for (size_t i = 0; i < c->n_columns; i++) {
        free(c->names[i]);
        free(c->values[i]);
    }
    free(c->names);
    free(c->values);
    free(c->trials);
    free(c->sweep);
    free(c);
}

/* ---- Rows ---- */

static sky_err grow(sky_columns *c, sky_error *e)
{
    if (c->rows >= c->rows_max)
        return sky_fail(e, SKY_ELIMIT, "sweep '%s' has more than %zu rows", c->sweep, c->rows_max);
    if (c->rows < c->cap)
        return SKY_OK;
    const size_t cap = c->cap ? c->cap * 2 : 1024;
    uint64_t *trials = realloc(c->trials, cap * sizeof *trials);
    if (!trials)
        return no_memory(c, e);
    c->trials = trials;
    for (size_t i = 0; i < c->n_columns; i++) {
        double *values = realloc(c->values[i], cap * sizeof *values);
        if (!values)
            return no_memory(c, e); /* cap is unchanged: some arrays are merely longer */
        c->values[i] = values;
    }
    c->cap = cap;
    return SKY_OK;
}

/* The number of a text; a text beyond the limit has none. */
static sky_err encode_text(sky_columns *c, sky__dictionary *d, const char *text, double *out,
                           sky_error *e)
{
    if (!d->slots) {
        d->slots = calloc(DICTIONARY_SLOTS, sizeof *d->slots);
        d->texts = calloc(SKY_COLUMN_TEXTS_MAX, sizeof *d->texts);
        if (!d->slots || !d->texts)
            return no_memory(c, e);
    }
    size_t at = sky_hash_bytes(0, text, strlen(text)) & (DICTIONARY_SLOTS - 1);
    while (d->slots[at] && strcmp(d->texts[d->slots[at] - 1], text) != 0)
        at = (at + 1) & (DICTIONARY_SLOTS - 1);
    if (!d->slots[at]) {
        if (d->n == SKY_COLUMN_TEXTS_MAX) {
            *out = NAN;
            return SKY_OK;
        }
        d->texts[d->n] = sky_strdup(text);
        if (!d->texts[d->n])
            return no_memory(c, e);
        d->slots[at] = (uint32_t)++d->n;
    }
    *out = d->slots[at] - 1;
    return SKY_OK;
}

static sky_err read_value(sky_columns *c, sqlite3_stmt *q, size_t i, sky_error *e)
{
    const int type = sqlite3_column_type(q, (int)i + 1);
    double *out = &c->values[i][c->rows];
    if (type == SQLITE_TEXT && c->texts[i].used) {
        const char *text = (const char *)sqlite3_column_text(q, (int)i + 1);
        return text ? encode_text(c, &c->texts[i], text, out, e) : no_memory(c, e);
    }
    *out =
        type == SQLITE_INTEGER || type == SQLITE_FLOAT ? sqlite3_column_double(q, (int)i + 1) : NAN;
    return SKY_OK;
}

static sky_err read_rows(sky_columns *c, sqlite3_stmt *q, size_t *n, sky_error *e)
{
    bool row = true;
    sky_err err = SKY_OK;
    *n = 0;
    while (err == SKY_OK) {
        err = sky__step(c->store, q, &row, e, "loading columns");
        if (err != SKY_OK || !row)
            break;
        err = grow(c, e);
        if (err != SKY_OK)
            break;
        c->trials[c->rows] = (uint64_t)sqlite3_column_int64(q, 0);
        for (size_t i = 0; i < c->n_columns && err == SKY_OK; i++)
            err = read_value(c, q, i, e);
        if (err != SKY_OK)
            break;
        c->rows++;
        (*n)++;
    }
    sqlite3_reset(q);
    return err;
}

static sky_err prepare(sky_columns *c, const char *tail, sqlite3_stmt **out, sky_error *e)
{
    sky_buf sql = {0};
    sky_buf_puts(&sql, "SELECT trial");
    for (size_t i = 0; i < c->n_columns; i++) {
        sky_buf_puts(&sql, ", ");
        sky_buf_sql_name(&sql, c->names[i]);
    }
    sky_buf_puts(&sql, " FROM ");
    sky_buf_sql_name(&sql, c->sweep);
    sky_buf_puts(&sql, tail);
    sky_err err =
        sky_buf_ok(&sql) ? sky__prepare(c->store, sky_buf_str(&sql), out, e) : no_memory(c, e);
    sky_buf_free(&sql);
    return err;
}

/* ---- Refresh ---- */

static sky_err newest_trial(sky_columns *c, int64_t *out, sky_error *e)
{
    sky_buf sql = {0};
    sky_buf_puts(&sql, "SELECT max(trial) FROM ");
    sky_buf_sql_name(&sql, c->sweep);
    const sky_err err =
        sky_buf_ok(&sql) ? sky__int(c->store, sky_buf_str(&sql), out, e) : no_memory(c, e);
    sky_buf_free(&sql);
    return err;
}

static bool out_of_time(const sky_columns *c)
{
    return c->deadline_ns && sky_clock_ns() >= c->deadline_ns;
}

/* How many rows the next read may bring. */
static size_t rows_to_read(const sky_columns *c)
{
    const size_t room = c->rows_max - c->rows;
    return c->stop_at_max && room < ROWS_PER_READ ? room : ROWS_PER_READ;
}

static void drop_pending(sky_columns *c)
{
    sky__spans_free(&c->pending);
    c->pending = (sky__spans){0};
    c->pending_at = 0;
    c->pending_begin = 0;
}

/* Everything, by trial, some rows a read transaction. A row that is committed behind the scan meanwhile is in
 * a commit record after `load_since`. */
static sky_err begin_load(sky_columns *c, sky_error *e)
{
    c->rows = 0;
    c->loaded = c->loading = false;
    c->load_last = -1;
    finalize(c);
    forget_texts(c);
    drop_pending(c);
    sky_err err = sky__int(c->store, "SELECT max(seq) FROM sky_commits", &c->load_since, e);
    /* Not beyond what is there now: a sweep may grow faster than it is read. */
    if (err == SKY_OK)
        err = newest_trial(c, &c->load_end, e);
    c->loading = err == SKY_OK;
    return err;
}

static sky_err go_on_loading(sky_columns *c, sky_error *e)
{
    size_t n = 0, limit = 0;
    sky_err err = SKY_OK;
    if (!c->scan)
        err = prepare(c, " WHERE trial > ?1 AND trial <= ?3 ORDER BY trial LIMIT ?2", &c->scan, e);
    for (bool first = true; err == SKY_OK && n == limit; first = false) {
        limit = rows_to_read(c);
        if (limit == 0 || (!first && out_of_time(c)))
            return SKY_OK;
        sqlite3_bind_int64(c->scan, 1, c->load_last);
        sqlite3_bind_int64(c->scan, 2, (sqlite3_int64)limit);
        sqlite3_bind_int64(c->scan, 3, c->load_end);
        err = read_rows(c, c->scan, &n, e);
        if (n > 0)
            c->load_last = (int64_t)c->trials[c->rows - 1];
    }
    sqlite3_finalize(c->scan);
    c->scan = NULL;
    c->loading = false;
    if (err != SKY_OK) {
        c->rows = 0;
        return err;
    }
    c->since = (uint64_t)c->load_since;
    c->loaded = c->overlap = true;
    return SKY_OK;
}

/* Removes from the normalized list what is loaded already. */
static sky_err subtract_loaded(sky_columns *c, sky__spans *list, sky_error *e)
{
    sky__spans have = {0}, out = {0};
    bool ok = true;
    for (size_t i = 0; i < c->rows && ok; i++)
        ok = sky__spans_add(&have, c->trials[i], c->trials[i] + 1);
    ok = ok && sky__spans_normalize(&have);
    for (size_t i = 0, h = 0; i < list->n && ok; i++) {
        uint64_t begin = list->r[i].begin;
        const uint64_t end = list->r[i].end;
        while (h < have.n && have.r[h].end <= begin)
            h++;
        for (size_t k = h; k < have.n && have.r[k].begin < end && ok; k++) {
            ok = sky__spans_add(&out, begin, have.r[k].begin > begin ? have.r[k].begin : begin);
            begin = have.r[k].end;
        }
        ok = ok && sky__spans_add(&out, begin, end);
    }
    sky__spans_free(&have);
    if (!ok) {
        sky__spans_free(&out);
        return no_memory(c, e);
    }
    sky__spans_free(list);
    *list = out;
    return SKY_OK;
}

/* The trials of commit records after `since`. merged: was one of them united from several? */
static sky_err new_trials(sky_columns *c, sky__spans *out, uint64_t *newest, bool *merged,
                          sky_error *e)
{
    sky_err err;
    bool row = false;
    sqlite3_stmt *q = sky__stmt(
        c->store, "SELECT max(seq), max(merged) FROM sky_commits WHERE seq > ?2 AND sweep = ?1",
        &err, e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_int64(q, 1, c->id);
    sqlite3_bind_int64(q, 2, (sqlite3_int64)c->since);
    err = sky__step(c->store, q, &row, e, "looking for new results");
    *newest = row ? (uint64_t)sqlite3_column_int64(q, 0) : 0;
    *merged = row && sqlite3_column_int64(q, 1) > 1;
    sqlite3_reset(q);
    if (err == SKY_OK && *newest > c->since)
        err = sky__commits_read(c->store, c->id, c->since, NULL, out, e);
    if (err == SKY_OK && !sky__spans_normalize(out))
        err = no_memory(c, e);
    return err;
}

/* What commits added since the last look goes to the pending list. */
static sky_err look_for_new(sky_columns *c, sky_error *e)
{
    sky__spans list = {0};
    uint64_t newest = 0;
    bool merged = false;
    /* Both statements see one state, or records united between them would be missed. */
    sky_err err = sky__read_begin(c->store, e, "reading");
    if (err != SKY_OK)
        return err;
    err = new_trials(c, &list, &newest, &merged, e);
    sky__roll_back(c->store);
    if (err == SKY_OK && list.n > 0 && (c->overlap || merged))
        err = subtract_loaded(c, &list, e);
    if (err != SKY_OK) {
        sky__spans_free(&list);
        return err;
    }
    if (newest > c->since) {
        c->since = newest;
        c->overlap = false;
    }
    drop_pending(c);
    c->pending = list;
    c->pending_begin = list.n > 0 ? list.r[0].begin : 0;
    return SKY_OK;
}

/* Some rows of the pending list. */
static sky_err read_pending(sky_columns *c, sky_error *e)
{
    size_t n = 0;
    const size_t limit = rows_to_read(c);
    const uint64_t end = c->pending.r[c->pending_at].end;
    sqlite3_bind_int64(c->range, 1, (sqlite3_int64)c->pending_begin);
    sqlite3_bind_int64(c->range, 2, (sqlite3_int64)end);
    sqlite3_bind_int64(c->range, 3, (sqlite3_int64)limit);
    const sky_err err = read_rows(c, c->range, &n, e);
    if (n > 0)
        c->pending_begin = c->trials[c->rows - 1] + 1;
    if (n < limit || c->pending_begin >= end) {
        c->pending_at++;
        if (c->pending_at < c->pending.n)
            c->pending_begin = c->pending.r[c->pending_at].begin;
    }
    return err;
}

static sky_err load_new(sky_columns *c, sky_error *e)
{
    sky_err err = SKY_OK;
    if (c->pending_at == c->pending.n)
        err = look_for_new(c, e);
    if (err == SKY_OK && c->pending_at < c->pending.n && !c->range)
        err = prepare(c, " WHERE trial >= ?1 AND trial < ?2 ORDER BY trial LIMIT ?3", &c->range, e);
    if (err != SKY_OK)
        return err;
    const size_t rows = c->rows, at = c->pending_at;
    const uint64_t begin = c->pending_begin;
    while (err == SKY_OK && c->pending_at < c->pending.n && rows_to_read(c) > 0) {
        err = read_pending(c, e);
        if (out_of_time(c))
            break;
    }
    if (err != SKY_OK) {
        c->rows = rows;
        c->pending_at = at;
        c->pending_begin = begin;
    }
    return err;
}

/* Is it still the same sweep, with the same derived metrics? */
static sky_err look(sky_columns *c, bool *stale, sky_error *e)
{
    sky_err err;
    bool row = false;
    sqlite3_stmt *q = sky__stmt(
        c->store, "SELECT generation, points, positions, recorded FROM sky_sweeps WHERE id = ?",
        &err, e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_int64(q, 1, c->id);
    err = sky__step(c->store, q, &row, e, "looking at a sweep");
    if (err == SKY_OK && row) {
        *stale = (!c->loaded && !c->loading) || c->generation != sqlite3_column_int64(q, 0);
        c->generation = sqlite3_column_int64(q, 0);
        c->points = (uint64_t)sqlite3_column_int64(q, 1);
        c->positions = (uint64_t)sqlite3_column_int64(q, 2);
        c->recorded = (uint64_t)sqlite3_column_int64(q, 3);
    }
    sqlite3_reset(q);
    if (err == SKY_OK && !row)
        err = sky_fail(e, SKY_ENOTFOUND, "sweep '%s' was deleted", c->sweep);
    return err;
}

/* Is something known to be committed that is not here? */
static bool unread(const sky_columns *c)
{
    return c->loading || c->pending_at < c->pending.n;
}

sky_err sky_columns_refresh(sky_columns *c, sky_columns_change *change, sky_error *e)
{
    return sky_columns_refresh_within(c, 0, change, e);
}

sky_err sky_columns_refresh_within(sky_columns *c, uint32_t within_ms, sky_columns_change *change,
                                   sky_error *e)
{
    bool stale = false, reset = false;
    size_t first = c->rows;
    sky_err err = SKY_OK;
    c->deadline_ns = within_ms ? sky_clock_ns() + within_ms * SKY_NS_PER_MS : 0;
    /* The writer itself may ask. What it has not committed could still be taken back. */
    if (!c->store->in_transaction) {
        err = look(c, &stale, e);
        if (err == SKY_OK && stale) {
            reset = c->shown;
            first = 0;
            err = begin_load(c, e);
        }
        if (err == SKY_OK && c->loading)
            err = go_on_loading(c, e);
        if (err == SKY_OK && c->loaded)
            err = load_new(c, e);
    }
    if (err != SKY_OK) {
        if (stale)
            c->loaded = c->loading = false;
        return err;
    }
    c->shown = c->shown || c->loaded || c->rows > 0;
    if (change)
        *change = (sky_columns_change){
            .first = first, .reset = reset, .more = unread(c) && rows_to_read(c) > 0};
    return SKY_OK;
}

bool sky_columns_full(const sky_columns *c)
{
    return unread(c) && rows_to_read(c) == 0;
}

uint64_t sky_columns_recorded(const sky_columns *c)
{
    return c->recorded;
}

size_t sky_columns_rows(const sky_columns *c)
{
    return c->rows;
}

const uint64_t *sky_columns_trials(const sky_columns *c)
{
    return c->trials;
}

const double *sky_columns_values(const sky_columns *c, size_t column)
{
    assert(column < c->n_columns);
    return c->values[column];
}

uint64_t sky_columns_points(const sky_columns *c)
{
    return c->points;
}

uint64_t sky_columns_positions(const sky_columns *c)
{
    return c->positions;
}

const char *const *sky_columns_texts(const sky_columns *c, size_t column, size_t *n)
{
    assert(column < c->n_columns);
    *n = c->texts[column].n;
    return (const char *const *)c->texts[column].texts;
}

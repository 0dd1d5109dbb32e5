/* When the rows of a sweep were committed, from the commit records. */
#include <stdlib.h>

#include "store/columns_internal.h"

typedef struct stretch {
    uint64_t begin, end;
    int64_t at_ms;
} stretch;

typedef struct stretches {
    stretch *list;
    size_t n, cap;
} stretches;

static bool add(stretches *s, const sky__spans *spans, int64_t at_ms)
{
    if (s->n + spans->n > s->cap) {
        const size_t cap = 2 * (s->n + spans->n);
        stretch *grown = realloc(s->list, cap * sizeof *grown);
        if (!grown)
            return false;
        s->list = grown;
        s->cap = cap;
    }
    for (size_t i = 0; i < spans->n; i++)
        s->list[s->n++] = (stretch){spans->r[i].begin, spans->r[i].end, at_ms};
    return true;
}

static int by_begin(const void *a, const void *b)
{
    const uint64_t x = ((const stretch *)a)->begin, y = ((const stretch *)b)->begin;
    return (x > y) - (x < y);
}

static sky_err read_stretches(sky_store *store, int64_t sweep, stretches *out, sky_error *e)
{
    sky_err err;
    bool row = true;
    sqlite3_stmt *q = sky__stmt(
        store, "SELECT coalesce(trials, positions), at_ms FROM sky_commits WHERE sweep = ?", &err,
        e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_int64(q, 1, sweep);
    while (err == SKY_OK) {
        sky__spans spans = {0};
        err = sky__step(store, q, &row, e, "reading when rows were committed");
        if (err != SKY_OK || !row)
            break;
        err = sky__spans_decode(&spans, sqlite3_column_blob(q, 0),
                                (size_t)sqlite3_column_bytes(q, 0));
        if (err == SKY_OK && !add(out, &spans, sqlite3_column_int64(q, 1)))
            err = SKY_ENOMEM;
        if (err != SKY_OK)
            sky_fail(e, err, "%s: commit records cannot be read: %s", store->path,
                     sky_strerror(err));
        sky__spans_free(&spans);
    }
    sqlite3_reset(q);
    if (out->n > 0)
        qsort(out->list, out->n, sizeof *out->list, by_begin);
    return err;
}

/* 0: in no record (one that is not committed yet). */
static int64_t time_of(const stretches *s, uint64_t trial)
{
    size_t low = 0, high = s->n; /* the last that begins at or before the trial is below high */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (s->list[middle].begin <= trial)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && trial < s->list[low - 1].end ? s->list[low - 1].at_ms : 0;
}

sky_err sky_columns_times(sky_columns *c, size_t first, int64_t *at_ms, sky_error *e)
{
    stretches s = {0};
    const sky_err err = read_stretches(c->store, c->id, &s, e);
    for (size_t i = first; i < c->rows && err == SKY_OK; i++)
        at_ms[i - first] = time_of(&s, c->trials[i]);
    free(s.list);
    return err;
}

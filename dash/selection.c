#include "dash/selection.h"

#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "dash/resident.h"
#include "store/guard.h"

enum {
    CHUNK = 1 << 15, /* trials of a step: some ten milliseconds */
    KEPT_MAX = 8,
    TRIALS_MAX = 20000000,
    KEPT_TRIALS_MAX = 8000000, /* of all that are kept together */
    TEXT_BYTES_MAX = 256 << 20,
};

static void free_one(sky__selection *s)
{
    if (!s)
        return;
    free(s->where);
    free(s->order);
    free(s->trials);
    free(s);
}

void sky__selections_free(sky__selection *list)
{
    while (list) {
        sky__selection *next = list->next;
        free_one(list);
        list = next;
    }
}

/* ---- Finding ---- */

typedef struct pick {
    uint64_t trial;
    double number; /* NaN: absent, or a text */
    char *text;
} pick;

typedef struct finding {
    sky__reader *reader;
    const char *sweep, *where;
    const char *column; /* of the order; NULL: by trial */
    pick *list;
    size_t n, cap, text_bytes;
} finding;

static void forget_picks(finding *f)
{
    for (size_t i = 0; f->column && i < f->n; i++)
        free(f->list[i].text);
    free(f->list);
}

static sky_err add_pick(finding *f, sky_query *q, sky_error *e)
{
    if (f->n == TRIALS_MAX)
        return sky_fail(e, SKY_ELIMIT, "more than %d trials: narrow the filter", TRIALS_MAX);
    if (f->n == f->cap) {
        const size_t cap = f->cap ? 2 * f->cap : 4096;
        pick *grown = realloc(f->list, cap * sizeof *grown);
        if (!grown)
            return sky_fail(e, SKY_ENOMEM, "out of memory");
        f->list = grown;
        f->cap = cap;
    }
    pick *p = &f->list[f->n];
    *p = (pick){.trial = (uint64_t)sky_query_value(q, 0).i, .number = NAN};
    if (f->column) {
        const sky_value v = sky_query_value(q, 1);
        p->number = v.absent ? NAN : sky_value_f64(&v);
        if (!v.absent && v.type == SKY_TEXT) {
            f->text_bytes += strlen(v.s) + 1;
            p->text = f->text_bytes <= TEXT_BYTES_MAX ? sky_strdup(v.s) : NULL;
            if (!p->text)
                return sky_fail(e, SKY_ELIMIT, "the texts of '%s' are too long to be sorted",
                                f->column);
        }
    }
    f->n++;
    return SKY_OK;
}

/* One short read. A person's expression stands in parentheses that it cannot leave, and the guard lets
 * nothing but reading through. */
static sky_err find_between(finding *f, int64_t after, int64_t end, sky_error *e)
{
    sky_buf sql = {0};
    sky_query *q = NULL;
    bool row = true;
    const sky_query_options o = {.time_limit_ms = SKY__STEP_MS};
    sky_buf_puts(&sql, "SELECT trial");
    if (f->column) {
        sky_buf_puts(&sql, ", ");
        sky_buf_sql_name(&sql, f->column);
    }
    sky_buf_puts(&sql, " FROM ");
    sky_buf_sql_name(&sql, f->sweep);
    sky_buf_printf(&sql, " WHERE trial > %lld AND trial <= %lld", (long long)after, (long long)end);
    if (f->where)
        sky_buf_printf(&sql, " AND (%s)", f->where);
    sky_buf_puts(&sql, " ORDER BY trial");
    sky_err err = sky_query_open(&q, sky__reader_store(f->reader), sky_buf_str(&sql), &o, e);
    while (err == SKY_OK) {
        err = sky_query_step(q, &row, e);
        if (err != SKY_OK || !row)
            break;
        err = add_pick(f, q, e);
    }
    sky_query_close(q);
    sky_buf_free(&sql);
    return err;
}

/* The last trial of the next step; false: there is none. */
static bool step_end(sqlite3_stmt *q, int64_t after, int64_t *end)
{
    sqlite3_bind_int64(q, 1, after);
    const bool any = sqlite3_step(q) == SQLITE_ROW && sqlite3_column_type(q, 0) != SQLITE_NULL;
    if (any)
        *end = sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    return any;
}

/* In steps of some ten thousand rows, so that a question over a million rows holds back neither the
 * writer nor, past its time, the next question. */
static sky_err find(finding *f, sky_error *e)
{
    sky_buf sql = {0};
    sqlite3_stmt *ends = NULL;
    sqlite3 *db = sky_store_sqlite(sky__reader_store(f->reader));
    sky_err err = SKY_OK;
    sky_buf_puts(&sql, "SELECT max(trial) FROM (SELECT trial FROM ");
    sky_buf_sql_name(&sql, f->sweep);
    sky_buf_printf(&sql, " WHERE trial > ? ORDER BY trial LIMIT %d)", CHUNK);
    if (sqlite3_prepare_v2(db, sky_buf_str(&sql), -1, &ends, NULL) != SQLITE_OK)
        err = sky_fail(e, SKY_EIO, "%s", sqlite3_errmsg(db));
    else
        err = find_between(f, -2, -1, e); /* of an empty sweep, too, a wrong filter is told */
    const int64_t began = sky_clock_ns();
    for (int64_t after = -1, end; err == SKY_OK && step_end(ends, after, &end); after = end) {
        err = find_between(f, after, end, e);
        if (err == SKY_OK && sky__reader_stopping(f->reader))
            err = sky_fail(e, SKY_ECANCELLED, "the server is stopping");
        if (err == SKY_OK && sky_clock_ns() - began > SKY__QUERY_MS * SKY_NS_PER_MS)
            err = sky_fail(e, SKY_ETIMEOUT, "the filter took longer than its limit of %d ms",
                           SKY__QUERY_MS);
    }
    sqlite3_finalize(ends);
    sky_buf_free(&sql);
    return err;
}

/* ---- Order ---- */

/* Numbers before texts, absent ones last whatever the direction; trials break ties. */
static int compare(const pick *a, const pick *b, int sign)
{
    const int rank_a = a->text ? 1 : isnan(a->number) ? 2 : 0;
    const int rank_b = b->text ? 1 : isnan(b->number) ? 2 : 0;
    int c = 0;
    if (rank_a != rank_b)
        return rank_a - rank_b;
    if (rank_a == 1)
        c = strcmp(a->text, b->text);
    else if (rank_a == 0)
        c = (a->number > b->number) - (a->number < b->number);
    return c != 0 ? sign * c : (a->trial > b->trial) - (a->trial < b->trial);
}

static int ascending(const void *a, const void *b)
{
    return compare(a, b, 1);
}

static int descending(const void *a, const void *b)
{
    return compare(a, b, -1);
}

static int trials_descending(const void *a, const void *b)
{
    return -compare(a, b, 1);
}

typedef struct order {
    char *copy;
    const char *column; /* NULL: trial */
    bool down;
} order;

static sky_err parse_order(const sky__resident *s, const char *text, order *out, sky_error *e)
{
    const char *names[SKY__INFOS_MAX];
    out->copy = sky_strdup(text && *text ? text : "trial");
    if (!out->copy)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    char *colon = strrchr(out->copy, ':');
    if (colon && (strcasecmp(colon, ":desc") == 0 || strcasecmp(colon, ":asc") == 0)) {
        out->down = strcasecmp(colon, ":desc") == 0;
        *colon = 0;
    }
    if (strcasecmp(out->copy, "trial") == 0)
        return SKY_OK;
    for (size_t i = 0; i < s->n_infos; i++) {
        names[i] = s->infos[i].name;
        if (strcasecmp(names[i], out->copy) == 0)
            out->column = names[i];
    }
    if (out->column)
        return SKY_OK;
    const char *near = sky_nearest(out->copy, names, s->n_infos);
    return sky_fail(e, SKY_EINVAL, "order: sweep '%s' has no column '%.60s'%s%s%s", s->name,
                    out->copy, near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static sky_err find_sorted(sky__reader *t, const sky__resident *s, const char *where,
                           const char *order_text, sky__selection *out, sky_error *e)
{
    order o = {0};
    sky_err err = parse_order(s, order_text, &o, e);
    finding f = {.reader = t, .sweep = s->name, .where = where, .column = o.column};
    if (err == SKY_OK && where)
        err = sky_expression_check(where, "where", e);
    if (err == SKY_OK)
        err = find(&f, e);
    if (err == SKY_OK && f.n > 0 && (f.column || o.down))
        qsort(f.list, f.n, sizeof *f.list,
              !f.column ? trials_descending
              : o.down  ? descending
                        : ascending);
    if (err == SKY_OK) {
        out->trials = malloc((f.n + 1) * sizeof *out->trials);
        err = out->trials ? SKY_OK : sky_fail(e, SKY_ENOMEM, "out of memory");
    }
    for (size_t i = 0; err == SKY_OK && i < f.n; i++)
        out->trials[i] = f.list[i].trial;
    out->n = f.n;
    forget_picks(&f);
    free(o.copy);
    return err;
}

/* ---- Keeping ---- */

static void make_room(sky__selection **list)
{
    for (;;) {
        size_t n = 0, trials = 0;
        sky__selection **oldest = NULL;
        for (sky__selection **at = list; *at; at = &(*at)->next, n++) {
            trials += (*at)->n;
            if (!oldest || (*at)->used < (*oldest)->used)
                oldest = at;
        }
        if (!oldest || (n < KEPT_MAX && trials < KEPT_TRIALS_MAX))
            return;
        sky__selection *gone = *oldest;
        *oldest = gone->next;
        free_one(gone);
    }
}

static sky_err state_of(sky__reader *t, const sky__resident *s, sky__selection *out, sky_error *e)
{
    sqlite3_stmt *q = NULL;
    sqlite3 *db = sky_store_sqlite(sky__reader_store(t));
    if (sqlite3_prepare_v2(db,
                           "SELECT (SELECT max(seq) FROM sky_commits), generation FROM sky_sweeps"
                           " WHERE id = ?",
                           -1, &q, NULL) != SQLITE_OK)
        return sky_fail(e, SKY_EIO, "%s", sqlite3_errmsg(db));
    sqlite3_bind_int64(q, 1, s->id);
    const bool row = sqlite3_step(q) == SQLITE_ROW;
    out->sweep = s->id;
    out->seq = sqlite3_column_int64(q, 0);
    out->generation = sqlite3_column_int64(q, 1);
    sqlite3_finalize(q);
    return row ? SKY_OK : sky_fail(e, SKY_ENOTFOUND, "sweep '%s' was deleted", s->name);
}

static const sky__selection *kept(sky__selection *list, const sky__selection *now,
                                  const sky__selection_ask *ask)
{
    for (sky__selection *k = list; k; k = k->next) {
        if (k->sweep == now->sweep && k->generation == now->generation &&
            strcmp(k->where, ask->where ? ask->where : "") == 0 &&
            strcmp(k->order, ask->order ? ask->order : "") == 0 &&
            (ask->id ? k->id == ask->id : k->seq == now->seq)) {
            k->used = (uint64_t)sky_clock_ns();
            return k;
        }
    }
    return NULL;
}

sky_err sky__selection_get(sky__reader *t, const sky__selection_ask *ask,
                           const sky__selection **out, sky_error *e)
{
    sky__selection **list = &sky__reader_kept(t)->selections, now = {0};
    sky__resident *s = NULL;
    const char *where = ask->where && *ask->where ? ask->where : NULL;
    sky_err err = sky__resident_schema(t, ask->sweep, &s, e);
    if (err == SKY_OK)
        err = state_of(t, s, &now, e);
    if (err != SKY_OK)
        return err;
    *out = kept(*list, &now, ask);
    if (*out)
        return SKY_OK;
    make_room(list);
    sky__selection *made = calloc(1, sizeof *made);
    if (!made)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    *made = now;
    made->where = sky_strdup(where ? where : "");
    made->order = sky_strdup(ask->order ? ask->order : "");
    err = made->where && made->order ? find_sorted(t, s, where, ask->order, made, e)
                                     : sky_fail(e, SKY_ENOMEM, "out of memory");
    if (err != SKY_OK) {
        free_one(made);
        return err;
    }
    /* Below 2^53, so that JavaScript can hold it; the clock never gives one twice. */
    made->used = (uint64_t)sky_clock_ns();
    made->id = (made->used >> 4 << 1 | 1) & ((UINT64_C(1) << 53) - 1);
    made->next = *list;
    *list = made;
    *out = made;
    return SKY_OK;
}

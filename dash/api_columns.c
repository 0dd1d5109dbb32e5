/* Columns as frames, and what they hold in short. All from memory. */
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "dash/api.h"
#include "dash/frame.h"

static sky_err fill_columns(const sky__resident *s, const char *const *names, size_t n, bool exact,
                            size_t first, sky__frame_column *columns, sky_error *e)
{
    columns[0] = (sky__frame_column){
        .name = "trial", .dtype = SKY__F64, .ids = sky_columns_trials(s->columns) + first};
    for (size_t i = 0; i < n; i++) {
        const sky__column_info *info;
        const double *values;
        const sky_err err = sky__resident_column(s, names[i], &info, &values, e);
        if (err != SKY_OK)
            return err;
        columns[i + 1] = (sky__frame_column){
            .name = info->name, .dtype = exact ? SKY__F64 : SKY__F32, .doubles = values + first};
        if (info->type == SKY_TEXT) {
            columns[i + 1].is_text = true;
            columns[i + 1].texts =
                sky_columns_texts(s->columns, (size_t)info->resident, &columns[i + 1].n_texts);
        }
    }
    return SKY_OK;
}

typedef struct range_asked {
    uint64_t since, epoch, limit;
    bool exact; /* doubles */
} range_asked;

static sky_err read_range(const sky_http_request *r, range_asked *q, size_t columns, sky_error *e)
{
    sky_err err = sky__arg_bool(r, "exact", false, &q->exact, e);
    const uint64_t max = SKY__FRAME_BYTES_MAX / (8 + (q->exact ? 8 : 4) * columns);
    if (err == SKY_OK)
        err = sky__arg_u64(r, "since", 0, UINT64_MAX, &q->since, e);
    if (err == SKY_OK)
        err = sky__arg_u64(r, "epoch", 0, UINT64_MAX, &q->epoch, e);
    if (err == SKY_OK)
        err = sky__arg_u64(r, "limit", max, UINT64_MAX, &q->limit, e);
    if (q->limit > max)
        q->limit = max;
    return err;
}

SKY__HANDLER(columns)
{
    const char *names[SKY__RESIDENT_COLUMNS_MAX];
    sky__frame_column columns[SKY__RESIDENT_COLUMNS_MAX + 1];
    sky_arena arena = {0};
    sky__resident *s = NULL;
    range_asked q = {0};
    size_t n = 0;
    sky_buf b = {0};
    sky_err err = sky__arg_list(r, "columns", &arena, names, SKY__RESIDENT_COLUMNS_MAX, &n, e);
    if (err == SKY_OK)
        err = read_range(r, &q, n, e);
    if (err == SKY_OK)
        err = sky__resident_for(t, r, p->parts[3], &s, e);
    if (err == SKY_OK) {
        const size_t rows = sky_columns_rows(s->columns);
        const bool reset = q.epoch != s->epoch || q.since > rows;
        const size_t first = reset ? 0 : (size_t)q.since;
        const size_t end = rows - first > q.limit ? first + (size_t)q.limit : rows;
        char meta[256];
        err = fill_columns(s, names, n, q.exact, first, columns, e);
        snprintf(meta, sizeof meta,
                 "\"epoch\":%llu,\"reset\":%s,\"first\":%zu,\"next\":%zu,\"rows\":%zu,"
                 "\"recorded\":%llu,\"more\":%s",
                 (unsigned long long)s->epoch, reset ? "true" : "false", first, end, rows,
                 (unsigned long long)sky_columns_recorded(s->columns), s->more ? "true" : "false");
        if (err == SKY_OK)
            sky__frame_write(&b, meta, columns, n + 1, end - first);
    }
    sky_arena_free(&arena);
    return err == SKY_OK ? sky__api_frame(out, &b) : err;
}

/* ---- Summary ---- */

static void number_or_null(sky_buf *b, const char *name, double x, bool known)
{
    sky_buf_printf(b, ",\"%s\":", name);
    if (known)
        sky_buf_json_f64(b, x);
    else
        sky_buf_puts(b, "null");
}

static void put_choices(const sky__resident *s, const sky__column_info *c,
                        const sky__column_summary *m, sky_buf *b)
{
    size_t n_texts = 0;
    const char *const *texts =
        c->type == SKY_TEXT ? sky_columns_texts(s->columns, (size_t)c->resident, &n_texts) : NULL;
    if (m->n_choices > SKY__CHOICES_MAX) {
        sky_buf_puts(b, ",\"choices\":null}");
        return;
    }
    sky_buf_puts(b, ",\"choices\":[");
    for (size_t i = 0; i < m->n_choices; i++) {
        if (i)
            sky_buf_putc(b, ',');
        if (texts)
            sky_buf_json_string(b, texts[(size_t)m->choices[i]]);
        else
            sky_buf_json_f64(b, m->choices[i]);
    }
    sky_buf_puts(b, "]}");
}

SKY__HANDLER(summary)
{
    sky__resident *s = NULL;
    sky_buf b = {0};
    sky_err err = sky__resident_for(t, r, p->parts[3], &s, e);
    if (err != SKY_OK)
        return err;
    sky_buf_printf(&b, "{\"epoch\":%llu,\"rows\":%zu,\"recorded\":%llu,\"more\":%s,\"columns\":[",
                   (unsigned long long)s->epoch, sky_columns_rows(s->columns),
                   (unsigned long long)sky_columns_recorded(s->columns),
                   s->more ? "true" : "false");
    bool any = false;
    for (size_t i = 0; i < s->n_infos; i++) {
        const sky__column_info *c = &s->infos[i];
        if (c->resident < 0)
            continue;
        const sky__column_summary *m = sky__resident_summary(s, (size_t)c->resident);
        if (!m) {
            sky_buf_free(&b);
            return sky__api_no_memory(e);
        }
        const bool number = c->type != SKY_TEXT && m->n > 0;
        sky_buf_puts(&b, any ? ",{\"name\":" : "{\"name\":");
        sky_buf_json_string(&b, c->name);
        sky_buf_printf(&b, ",\"n\":%zu", m->n);
        number_or_null(&b, "min", m->min, number);
        number_or_null(&b, "max", m->max, number);
        number_or_null(&b, "above_zero", m->above_zero, number && isfinite(m->above_zero));
        number_or_null(&b, "mean", m->sum / (double)m->n, number);
        put_choices(s, c, m, &b);
        any = true;
    }
    sky_buf_puts(&b, "]}\n");
    return sky__api_json(out, &b);
}

/* ---- Preload ---- */

SKY__HANDLER(preload)
{
    static const sky_http_arg within = {"within_ms", "100"};
    const sky_http_request slice = {.path = r->path, .args = &within, .n_args = 1};
    sky_error ignored;
    sky__resident *s = NULL;
    sqlite3_stmt *q = NULL;
    uint64_t rows = 0;
    (void)p;
    const sky_err err = sky__arg_u64(r, "rows", 0, UINT64_MAX, &rows, e);
    if (err != SKY_OK)
        return err;
    out->status = 204;
    if (sqlite3_prepare_v2(sky_store_sqlite(sky__reader_store(t)),
                           "SELECT name, positions FROM sky_sweeps ORDER BY id DESC LIMIT 1", -1,
                           &q, NULL) == SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW && (uint64_t)sqlite3_column_int64(q, 1) <= rows &&
        sky__resident_for(t, &slice, (const char *)sqlite3_column_text(q, 0), &s, &ignored) ==
            SKY_OK &&
        s->more)
        out->status = 202;
    sqlite3_finalize(q);
    return SKY_OK;
}

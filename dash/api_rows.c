/* Rows in full, and what a person asks in SQL. Only the thread for slow questions comes here. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "dash/api.h"
#include "dash/frame.h"
#include "store/export.h"
#include "store/guard.h"

enum { FILTER_CHUNK = 1 << 15, NAMES_MAX = 256, IDS_BYTES_MAX = 12000 };

/* ---- Where the bytes go ---- */

typedef struct sink {
    sky__reader *reader;
    sky_buf b;
    FILE *file;
    uint64_t bytes;
} sink;

static sky_err to_buffer(void *arg, const char *bytes, size_t len)
{
    sink *k = arg;
    if (k->bytes + len > (64u << 20))
        return SKY_ELIMIT;
    k->bytes += len;
    sky_buf_add(&k->b, bytes, len);
    return sky_buf_ok(&k->b) ? SKY_OK : SKY_ENOMEM;
}

static sky_err to_file(void *arg, const char *bytes, size_t len)
{
    sink *k = arg;
    k->bytes += len;
    if (k->bytes > SKY__EXPORT_BYTES_MAX)
        return SKY_ELIMIT;
    return fwrite(bytes, 1, len, k->file) == len ? SKY_OK : SKY_EFULL;
}

static bool cancelled(void *arg)
{
    return sky__reader_stopping(((sink *)arg)->reader);
}

/* "1,2,3" -> "trial IN (1,2,3)". */
static sky_err ids_where(const char *ids, sky_buf *where, sky_error *e)
{
    if (strlen(ids) > IDS_BYTES_MAX || strspn(ids, "0123456789,") != strlen(ids) || ids[0] == ',' ||
        strstr(ids, ",,") || ids[strlen(ids) - 1] == ',')
        return sky_fail(e, SKY_EINVAL, "ids: expected numbers with commas between, up to %d bytes",
                        IDS_BYTES_MAX);
    sky_buf_printf(where, "trial IN (%s)", ids);
    return SKY_OK;
}

typedef struct ask {
    sky_buf where;
    char *columns;
    const char *names[NAMES_MAX];
    sky_export_options o;
} ask;

static void ask_free(ask *a)
{
    sky_buf_free(&a->where);
    free(a->columns);
}

/* where, ids, order, columns. */
static sky_err read_ask(ask *a, const sky_http_request *r, sky_error *e)
{
    const char *where = sky__arg(r, "where"), *ids = sky__arg(r, "ids");
    const char *order = sky__arg(r, "order"), *columns = sky__arg(r, "columns");
    sky_err err = SKY_OK;
    if (where && *where) {
        err = sky_expression_check(where, "where", e);
        sky_buf_printf(&a->where, "(%s)", where);
    }
    if (err == SKY_OK && ids && *ids) {
        if (a->where.len)
            sky_buf_puts(&a->where, " AND ");
        err = ids_where(ids, &a->where, e);
    }
    if (err != SKY_OK)
        return err;
    if (a->where.len)
        a->o.where = sky_buf_str(&a->where);
    if (order && *order)
        a->o.order_by = order;
    if (columns && *columns) {
        a->columns = strdup(columns);
        if (!a->columns)
            return sky_fail(e, SKY_ENOMEM, "out of memory");
        if (!sky__list_split(a->columns, a->names, NAMES_MAX, &a->o.n_columns))
            return sky_fail(e, SKY_ELIMIT, "columns: at most %d names", NAMES_MAX);
        a->o.columns = a->names;
    }
    return sky_buf_ok(&a->where) ? SKY_OK : sky_fail(e, SKY_ENOMEM, "out of memory");
}

void sky__api_rows(sky__reader *t, const sky_http_request *r, sky_http_response *out)
{
    sky__path p;
    sky_error e = {0};
    ask a = {0};
    uint64_t limit = 0, rows = 0;
    sink k = {.reader = t};
    if (!sky__api_name(r, &p, out))
        return;
    a.o = (sky_export_options){.format = SKY_FORMAT_JSON,
                               .write = to_buffer,
                               .arg = &k,
                               .system_columns = true,
                               .time_limit_ms = SKY__QUERY_MS,
                               .cancelled = cancelled};
    sky_err err = sky__arg_u64(r, "limit", 100, SKY__ROWS_MAX, &limit, &e);
    if (err == SKY_OK)
        err = read_ask(&a, r, &e);
    a.o.limit = limit ? limit : 1;
    if (err == SKY_OK)
        err = sky_export_sweep(sky__reader_store(t), p.parts[3], &a.o, &rows, &e);
    if (err == SKY_OK) {
        sky__api_json(out, &k.b);
    } else {
        e.code = err;
        sky__api_error(out, &e);
    }
    sky_buf_free(&k.b);
    ask_free(&a);
}

void sky__api_export(sky__reader *t, const sky_http_request *r, sky_http_response *out)
{
    static const char *const types[] = {"text/plain; charset=utf-8", "text/csv; charset=utf-8",
                                        "application/json", "application/x-ndjson"};
    static __thread char disposition[256];
    sky__path p;
    sky_error e = {0};
    ask a = {0};
    uint64_t rows = 0, limit = 0;
    sky_format format = SKY_FORMAT_CSV;
    const char *name = sky__arg(r, "format");
    sink k = {.reader = t, .file = tmpfile()};
    if (!sky__api_name(r, &p, out))
        return;
    a.o = (sky_export_options){.write = to_file,
                               .arg = &k,
                               .time_limit_ms = SKY__EXPORT_MS,
                               .spreadsheet = true,
                               .cancelled = cancelled};
    sky_err err = k.file ? SKY_OK : sky_fail(&e, SKY_EIO, "no temporary file can be made");
    if (err == SKY_OK && name && sky_format_parse(name, &format) != SKY_OK)
        err = sky_fail(&e, SKY_EINVAL, "format: expected csv, json or jsonl");
    if (err == SKY_OK)
        err = sky__arg_u64(r, "limit", 0, UINT64_MAX >> 1, &limit, &e);
    if (err == SKY_OK)
        err = read_ask(&a, r, &e);
    a.o.format = format;
    a.o.limit = limit;
    if (err == SKY_OK)
        err = sky_export_sweep(sky__reader_store(t), p.parts[3], &a.o, &rows, &e);
    if (err == SKY_OK && fflush(k.file) != 0)
        err = sky_fail(&e, SKY_EFULL, "the temporary file does not fit");
    if (err == SKY_OK) {
        snprintf(disposition, sizeof disposition, "attachment; filename=\"%.100s.%s\"", p.parts[3],
                 sky_format_name(format));
        *out = (sky_http_response){.status = 200,
                                   .type = types[format],
                                   .disposition = disposition,
                                   .fd = dup(fileno(k.file)),
                                   .has_fd = true,
                                   .len = (size_t)k.bytes};
    } else {
        e.code = err;
        sky__api_error(out, &e);
    }
    if (k.file)
        fclose(k.file);
    ask_free(&a);
}

/* ---- Filter ---- */

typedef struct trials {
    uint64_t *list;
    size_t n, cap;
} trials;

static bool add_trial(trials *list, uint64_t trial)
{
    if (list->n == list->cap) {
        const size_t cap = list->cap ? 2 * list->cap : 4096;
        uint64_t *grown = realloc(list->list, cap * sizeof *grown);
        if (!grown)
            return false;
        list->list = grown;
        list->cap = cap;
    }
    list->list[list->n++] = trial;
    return true;
}

/* The last trial of the next chunk; false: there is none. */
static bool chunk_end(sqlite3_stmt *q, int64_t after, int64_t *end)
{
    sqlite3_bind_int64(q, 1, after);
    const bool any = sqlite3_step(q) == SQLITE_ROW && sqlite3_column_type(q, 0) != SQLITE_NULL;
    if (any)
        *end = sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    return any;
}

static sky_err filter_chunk(sky__reader *t, const char *sweep, const char *where, int64_t after,
                            int64_t end, trials *list, sky_error *e)
{
    sky_buf sql = {0};
    sky_query *q = NULL;
    bool row = false;
    const sky_query_options o = {.time_limit_ms = SKY__STEP_MS};
    sky_buf_puts(&sql, "SELECT trial FROM ");
    sky_buf_sql_name(&sql, sweep);
    sky_buf_printf(&sql, " WHERE trial > %lld AND trial <= %lld AND (%s)", (long long)after,
                   (long long)end, where);
    sky_err err = sky_query_open(&q, sky__reader_store(t), sky_buf_str(&sql), &o, e);
    while (err == SKY_OK) {
        err = sky_query_step(q, &row, e);
        if (err != SKY_OK || !row)
            break;
        if (!add_trial(list, (uint64_t)sky_query_value(q, 0).i))
            err = sky_fail(e, SKY_ENOMEM, "out of memory");
    }
    sky_query_close(q);
    sky_buf_free(&sql);
    return err;
}

/* In steps of some ten thousand rows, each a short read of its own, so that a question over a million rows
 * holds back neither the writer nor, past its time, the next question. */
static sky_err filter(sky__reader *t, const char *sweep, const char *where, trials *list,
                      sky_error *e)
{
    sky_buf sql = {0};
    sqlite3_stmt *ends = NULL;
    sky_sweep_info info;
    sky_err err = sky_store_sweep_find(sky__reader_store(t), sweep, &info, e);
    if (err != SKY_OK)
        return err;
    sky_buf_puts(&sql, "SELECT max(trial) FROM (SELECT trial FROM ");
    sky_buf_sql_name(&sql, info.name);
    sky_buf_printf(&sql, " WHERE trial > ? ORDER BY trial LIMIT %d)", FILTER_CHUNK);
    sqlite3 *db = sky_store_sqlite(sky__reader_store(t));
    if (sqlite3_prepare_v2(db, sky_buf_str(&sql), -1, &ends, NULL) != SQLITE_OK)
        err = sky_fail(e, SKY_EIO, "%s", sqlite3_errmsg(db));
    const int64_t began = sky_clock_ns();
    for (int64_t after = -1, end; err == SKY_OK && chunk_end(ends, after, &end); after = end) {
        err = filter_chunk(t, info.name, where, after, end, list, e);
        if (err == SKY_OK && sky_clock_ns() - began > SKY__QUERY_MS * SKY_NS_PER_MS)
            err = sky_fail(e, SKY_ETIMEOUT, "the filter took longer than its limit of %d ms",
                           SKY__QUERY_MS);
    }
    sqlite3_finalize(ends);
    sky_buf_free(&sql);
    sky_sweep_info_free(&info);
    return err;
}

void sky__api_filter(sky__reader *t, const sky_http_request *r, sky_http_response *out)
{
    sky__path p;
    sky_error e = {0};
    trials list = {0};
    sky_buf b = {0};
    const char *where = sky__arg(r, "where");
    if (!sky__api_name(r, &p, out))
        return;
    sky_err err = sky_expression_check(where ? where : "", "where", &e);
    if (err == SKY_OK)
        err = filter(t, p.parts[3], where, &list, &e);
    if (err == SKY_OK) {
        const sky__frame_column column = {.name = "trial", .dtype = SKY__F64, .ids = list.list};
        sky__frame_write(&b, "", &column, 1, list.n);
        sky__api_frame(out, &b);
    } else {
        sky__api_error(out, &e);
    }
    free(list.list);
}

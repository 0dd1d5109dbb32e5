/* Rows in full, and what a person asks in SQL. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "dash/api.h"
#include "dash/frame.h"
#include "dash/selection.h"
#include "store/export.h"

enum { NAMES_MAX = 512, ROWS_BYTES_MAX = 64 << 20 };

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
    if (k->bytes + len > ROWS_BYTES_MAX)
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

/* The argument `columns` into export options; names live in the arena. */
static sky_err columns_arg(const sky_http_request *r, sky_arena *arena, sky_export_options *o,
                           sky_error *e)
{
    const char **names = sky_new(arena, const char *, NAMES_MAX);
    if (!names)
        return sky__api_no_memory(e);
    const sky_err err = sky__arg_list(r, "columns", arena, names, NAMES_MAX, &o->n_columns, e);
    if (err == SKY_OK && o->n_columns > 0)
        o->columns = names;
    return err;
}

/* ---- Windows of rows ---- */

static sky_err ids_arg(const sky_http_request *r, uint64_t *ids, size_t *n, sky_error *e)
{
    const char *parts[SKY__ROWS_MAX];
    sky_arena arena = {0};
    sky_err err = sky__arg_list(r, "ids", &arena, parts, SKY__ROWS_MAX, n, e);
    for (size_t i = 0; err == SKY_OK && i < *n; i++) {
        if (sky_parse_u64(parts[i], &ids[i]) != SKY_OK || ids[i] > INT64_MAX)
            err =
                sky_fail(e, SKY_EINVAL, "ids: found '%.40s', expected a trial's number", parts[i]);
    }
    sky_arena_free(&arena);
    return err;
}

typedef struct window {
    uint64_t ids[SKY__ROWS_MAX];
    const uint64_t *trials;
    size_t n, total;
    uint64_t offset, snapshot;
} window;

static sky_err find_window(sky__reader *t, const sky_http_request *r, const sky__path *p, window *w,
                           sky_error *e)
{
    const sky__selection *s = NULL;
    uint64_t limit = 0;
    if (sky__arg(r, "ids")) {
        w->trials = w->ids;
        const sky_err err = ids_arg(r, w->ids, &w->n, e);
        w->total = w->n;
        return err;
    }
    sky__selection_ask ask = {
        .sweep = p->parts[3], .where = sky__arg(r, "where"), .order = sky__arg(r, "order")};
    sky_err err = sky__arg_u64(r, "limit", 100, SKY__ROWS_MAX, &limit, e);
    if (err == SKY_OK)
        err = sky__arg_u64(r, "offset", 0, UINT64_MAX, &w->offset, e);
    if (err == SKY_OK)
        err = sky__arg_u64(r, "snapshot", 0, UINT64_MAX, &ask.id, e);
    if (err == SKY_OK)
        err = sky__selection_get(t, &ask, &s, e);
    if (err != SKY_OK)
        return err;
    const size_t first = w->offset < s->n ? (size_t)w->offset : s->n;
    w->trials = s->trials + first;
    w->n = s->n - first < limit ? s->n - first : (size_t)limit;
    w->total = s->n;
    w->snapshot = s->id;
    return SKY_OK;
}

SKY__HANDLER(rows)
{
    window w = {0};
    sky_arena arena = {0};
    sink k = {.reader = t};
    sky_export_options o = {.format = SKY_FORMAT_JSON,
                            .write = to_buffer,
                            .arg = &k,
                            .system_columns = true,
                            .cancelled = cancelled};
    sky_err err = find_window(t, r, p, &w, e);
    if (err == SKY_OK)
        err = columns_arg(r, &arena, &o, e);
    if (err == SKY_OK) {
        sky_buf_printf(&k.b, "{\"total\":%zu,\"offset\":%llu,\"snapshot\":%llu,\"rows\":", w.total,
                       (unsigned long long)w.offset, (unsigned long long)w.snapshot);
        err = sky_export_trials(sky__reader_store(t), p->parts[3], w.trials, w.n, &o, NULL, e);
        sky_buf_puts(&k.b, "}\n");
    }
    sky_arena_free(&arena);
    if (err == SKY_OK)
        return sky__api_json(out, &k.b);
    sky_buf_free(&k.b);
    return err;
}

SKY__HANDLER(filter)
{
    const sky__selection *s = NULL;
    char meta[48];
    sky_buf b = {0};
    const sky__selection_ask ask = {
        .sweep = p->parts[3], .where = sky__arg(r, "where"), .order = sky__arg(r, "order")};
    const sky_err err = sky__selection_get(t, &ask, &s, e);
    if (err != SKY_OK)
        return err;
    const sky__frame_column column = {.name = "trial", .dtype = SKY__F64, .ids = s->trials};
    snprintf(meta, sizeof meta, "\"snapshot\":%llu", (unsigned long long)s->id);
    sky__frame_write(&b, meta, &column, 1, s->n);
    return sky__api_frame(out, &b);
}

/* ---- Export ---- */

static void attach(sky_http_response *out, const char *sweep, sky_format format)
{
    static __thread char disposition[160];
    char name[100];
    size_t n = 0;
    for (const char *c = sweep; *c && n + 1 < sizeof name; c++)
        name[n++] = strchr("\"\\/;\r\n", *c) || (unsigned char)*c < 32 ? '_' : *c;
    name[n] = 0;
    snprintf(disposition, sizeof disposition, "attachment; filename=\"%s.%s\"", name,
             sky_format_name(format));
    out->disposition = disposition;
}

static sky_err read_export(const sky_http_request *r, sky_arena *arena, sky_export_options *o,
                           uint64_t *limit, sky_error *e)
{
    const char *name = sky__arg(r, "format");
    o->format = SKY_FORMAT_CSV;
    if (name && (sky_format_parse(name, &o->format) != SKY_OK || o->format == SKY_FORMAT_TABLE))
        return sky_fail(e, SKY_EINVAL, "format: found '%.40s', expected csv, json or jsonl", name);
    const sky_err err = sky__arg_u64(r, "limit", 0, UINT64_MAX, limit, e);
    return err == SKY_OK ? columns_arg(r, arena, o, e) : err;
}

SKY__HANDLER(export)
{
    static const char *const types[] = {"text/plain", "text/csv; charset=utf-8", "application/json",
                                        "application/x-ndjson"};
    const sky__selection *s = NULL;
    sky_arena arena = {0};
    uint64_t limit = 0;
    sink k = {.reader = t, .file = tmpfile()};
    sky_export_options o = {
        .write = to_file, .arg = &k, .spreadsheet = true, .cancelled = cancelled};
    const sky__selection_ask ask = {
        .sweep = p->parts[3], .where = sky__arg(r, "where"), .order = sky__arg(r, "order")};
    sky_err err = k.file ? SKY_OK : sky_fail(e, SKY_EIO, "no temporary file can be made");
    if (err == SKY_OK)
        err = read_export(r, &arena, &o, &limit, e);
    if (err == SKY_OK)
        err = sky__selection_get(t, &ask, &s, e);
    if (err == SKY_OK)
        err = sky_export_trials(sky__reader_store(t), p->parts[3], s->trials,
                                limit && limit < s->n ? (size_t)limit : s->n, &o, NULL, e);
    if (err == SKY_OK && fflush(k.file) != 0)
        err = sky_fail(e, SKY_EFULL, "the temporary file does not fit");
    const int fd = err == SKY_OK ? dup(fileno(k.file)) : -1;
    if (err == SKY_OK && fd < 0)
        err = sky_fail(e, SKY_EIO, "too many files are open");
    if (err == SKY_OK) {
        *out = (sky_http_response){
            .status = 200, .type = types[o.format], .fd = fd, .has_fd = true, .len = k.bytes};
        attach(out, p->parts[3], o.format);
    }
    if (k.file)
        fclose(k.file);
    sky_arena_free(&arena);
    return err;
}

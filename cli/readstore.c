#include "cli/readstore.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli/table.h"
#include "cli/term.h"

const char *const cli_format_names[] = {"table", "csv", "json", "jsonl", NULL};
enum { FLUSH_BYTES = 1 << 16 };

cli_format cli_format_of(const cli_args *a)
{
    const char *name = cli_text(a, "format");
    for (int i = 0; cli_format_names[i]; i++) {
        if (strcmp(cli_format_names[i], name) == 0)
            return (cli_format)i;
    }
    return CLI_TABLE;
}

bool cli_store_read(const cli_args *a, sky_store **out)
{
    sky_error e = {0};
    const sky_store_options options = {.path = cli_text(a, "db")};
    if (sky_store_open(out, &options, &e) == SKY_OK)
        return true;
    cli_fail(a, &e);
    if (e.code == SKY_ENOTFOUND && !cli_given(a, "db"))
        fputs("Name the store with --db FILE or $SKYLINE_DB.\n", stderr);
    return false;
}

bool cli_store_sweep(const cli_args *a, sky_store *s, const char *name, sky_sweep_info *out)
{
    sky_error e = {0};
    if (sky_store_sweep_find(s, name, out, &e) == SKY_OK)
        return true;
    cli_fail(a, &e);
    return false;
}

/* A table is for a person: its numbers have 6 digits; the other formats give every bit. */
static void add_text(sky_buf *b, sqlite3_stmt *q, int column, bool rounded)
{
    switch (sqlite3_column_type(q, column)) {
    case SQLITE_INTEGER:
        sky_buf_printf(b, "%" PRId64, (int64_t)sqlite3_column_int64(q, column));
        break;
    case SQLITE_FLOAT:
        if (rounded)
            sky_buf_printf(b, "%.6g", sqlite3_column_double(q, column));
        else
            sky_buf_f64(b, sqlite3_column_double(q, column));
        break;
    case SQLITE_TEXT:
        sky_buf_puts(b, (const char *)sqlite3_column_text(q, column));
        break;
    case SQLITE_BLOB:
        sky_buf_printf(b, "<%d bytes>", sqlite3_column_bytes(q, column));
        break;
    default:
        break;
    }
}

static void add_json(sky_buf *b, sqlite3_stmt *q, int column)
{
    switch (sqlite3_column_type(q, column)) {
    case SQLITE_INTEGER:
        sky_buf_printf(b, "%" PRId64, (int64_t)sqlite3_column_int64(q, column));
        break;
    case SQLITE_FLOAT:
        sky_buf_json_f64(b, sqlite3_column_double(q, column));
        break;
    case SQLITE_TEXT:
        sky_buf_json_string(b, (const char *)sqlite3_column_text(q, column));
        break;
    case SQLITE_BLOB: { /* hexadecimal digits: JSON has no bytes */
        const unsigned char *bytes = sqlite3_column_blob(q, column);
        sky_buf_putc(b, '"');
        for (int i = 0; i < sqlite3_column_bytes(q, column); i++)
            sky_buf_printf(b, "%02x", bytes[i]);
        sky_buf_putc(b, '"');
        break;
    }
    default:
        sky_buf_puts(b, "null");
    }
}

static void csv_row(sky_buf *b, sqlite3_stmt *q, int n)
{
    sky_buf cell = {0};
    for (int i = 0; i < n; i++) {
        sky_buf_reset(&cell);
        add_text(&cell, q, i, false);
        sky_buf_puts(b, i ? "," : "");
        if (sqlite3_column_type(q, i) == SQLITE_TEXT)
            sky_buf_csv(b, sky_buf_str(&cell));
        else
            sky_buf_puts(b, sky_buf_str(&cell));
    }
    sky_buf_puts(b, "\r\n");
    sky_buf_free(&cell);
}

static void json_row(sky_buf *b, sqlite3_stmt *q, int n)
{
    sky_buf_putc(b, '{');
    for (int i = 0; i < n; i++) {
        sky_buf_puts(b, i ? "," : "");
        sky_buf_json_string(b, sqlite3_column_name(q, i));
        sky_buf_putc(b, ':');
        add_json(b, q, i);
    }
    sky_buf_putc(b, '}');
}

static void table_row(cli_table *t, sqlite3_stmt *q, int n, uint64_t row)
{
    sky_buf cell = {0};
    for (int i = 0; i < n; i++) {
        const int type = sqlite3_column_type(q, i);
        sky_buf_reset(&cell);
        add_text(&cell, q, i, true);
        cli_table_add(t, sky_buf_str(&cell));
        if (row == 0 && (type == SQLITE_INTEGER || type == SQLITE_FLOAT))
            cli_table_right(t, (size_t)i);
    }
    sky_buf_free(&cell);
}

/* What comes before, between and after rows. */
static void frame(sky_buf *b, sqlite3_stmt *q, int n, cli_format format, int part, uint64_t row)
{
    if (format == CLI_CSV && part == 0) {
        for (int i = 0; i < n; i++) {
            sky_buf_puts(b, i ? "," : "");
            sky_buf_csv(b, sqlite3_column_name(q, i));
        }
        sky_buf_puts(b, "\r\n");
    } else if (format == CLI_JSON) {
        sky_buf_puts(b, part == 0 ? "[" : part == 1 ? (row ? ",\n " : "") : "]\n");
    } else if (format == CLI_JSONL && part == 1 && row) {
        sky_buf_putc(b, '\n');
    } else if (format == CLI_JSONL && part == 2 && row) {
        sky_buf_putc(b, '\n');
    }
}

static sky_err flush(sky_buf *b)
{
    const bool ok = sky_buf_ok(b);
    const size_t n = b->len ? fwrite(b->data, 1, b->len, stdout) : 0;
    const bool written = n == b->len;
    sky_buf_reset(b);
    return !ok ? SKY_ENOMEM : written ? SKY_OK : SKY_EIO;
}

static sky_err step_error(sqlite3_stmt *q, int rc, sky_error *e)
{
    if (rc == SQLITE_INTERRUPT)
        return sky_fail(e, SKY_ETIMEOUT, "the query took longer than --timeout allows");
    return sky_fail(e, rc == SQLITE_NOMEM ? SKY_ENOMEM : SKY_EIO, "%s",
                    sqlite3_errmsg(sqlite3_db_handle(q)));
}

static sky_err print_table(sqlite3_stmt *q, uint64_t rows_max, uint64_t *rows, sky_error *e)
{
    const int n = sqlite3_column_count(q);
    cli_table t;
    sky_buf out = {0};
    int rc;
    cli_table_init(&t, (size_t)n);
    for (int i = 0; i < n; i++)
        cli_table_add(&t, sqlite3_column_name(q, i));
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        if (rows_max == 0 || *rows < rows_max)
            table_row(&t, q, n, *rows);
        ++*rows;
    }
    sky_err err = rc == SQLITE_DONE ? SKY_OK : step_error(q, rc, e);
    if (err == SKY_OK) {
        cli_table_print(&t, &out, cli_colour(STDOUT_FILENO), 0);
        err = flush(&out);
    }
    sky_buf_free(&out);
    cli_table_free(&t);
    return err;
}

sky_err cli_rows_print(sqlite3_stmt *q, cli_format format, uint64_t rows_max, uint64_t *rows_out,
                       sky_error *e)
{
    const int n = sqlite3_column_count(q);
    uint64_t rows = 0;
    sky_buf out = {0};
    sky_err err = SKY_OK;
    int rc = SQLITE_DONE;
    if (format == CLI_TABLE) {
        err = print_table(q, rows_max, &rows, e);
    } else {
        frame(&out, q, n, format, 0, 0);
        while (err == SKY_OK && (rc = sqlite3_step(q)) == SQLITE_ROW) {
            frame(&out, q, n, format, 1, rows++);
            if (format == CLI_CSV)
                csv_row(&out, q, n);
            else
                json_row(&out, q, n);
            if (out.len >= FLUSH_BYTES)
                err = flush(&out);
        }
        if (err == SKY_OK && rc != SQLITE_DONE)
            err = step_error(q, rc, e);
        frame(&out, q, n, format, 2, rows);
        if (err == SKY_OK)
            err = flush(&out);
        sky_buf_free(&out);
    }
    if (err == SKY_EIO && !e->text[0]) /* the reader has gone: not our failure */
        err = SKY_OK;
    if (rows_out)
        *rows_out = rows;
    return err;
}

#include "cli/breakdown.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "cli/table.h"

/* The cells, row by row; the heading first. */
typedef struct grid {
    sky_arena arena;
    const char **cell;
    size_t n_columns, n_rows, n, cap;
} grid;

static sky_err add_cell(grid *g, const char *text)
{
    if (g->n == g->cap) {
        const size_t cap = g->cap ? 2 * g->cap : 256;
        const char **more = realloc(g->cell, cap * sizeof *more);
        if (!more)
            return SKY_ENOMEM;
        g->cell = more;
        g->cap = cap;
    }
    g->cell[g->n++] = text;
    return SKY_OK;
}

/* One field, in quotes or not; *at moves behind it. The text lives in the arena; NULL: out of memory, or a
 * quote that never closes (*at is then at the end). */
static const char *read_field(grid *g, const char **at, const char *end)
{
    const char *p = *at;
    if (p == end || *p != '"') {
        while (p < end && *p != ',' && *p != '\n' && *p != '\r')
            p++;
        const char *text = sky_arena_strndup(&g->arena, *at, (size_t)(p - *at));
        *at = p;
        return text;
    }
    char *text = sky_new(&g->arena, char, (size_t)(end - p));
    size_t n = 0;
    for (p++; text && p < end; p++) {
        if (*p == '"' && (p + 1 == end || p[1] != '"'))
            break;
        if (*p == '"')
            p++;
        text[n++] = *p;
    }
    *at = p < end ? p + 1 : end;
    return p < end ? text : NULL;
}

static sky_err read_grid(grid *g, const char *csv, size_t len, sky_error *e)
{
    const char *at = csv, *end = csv + len;
    while (at < end) {
        const size_t before = g->n;
        for (;;) {
            const char *text = read_field(g, &at, end);
            if (!text || add_cell(g, text) != SKY_OK)
                return sky_fail(e, SKY_EFORMAT, "row %zu: a quote that does not end, or no memory",
                                g->n_rows + 1);
            if (at == end || *at != ',')
                break;
            at++;
        }
        at += at < end && *at == '\r';
        if (at < end && *at++ != '\n')
            return sky_fail(e, SKY_EFORMAT, "row %zu: text behind a quote", g->n_rows + 1);
        g->n_rows++;
        if (g->n_columns == 0)
            g->n_columns = g->n;
        if (g->n - before != g->n_columns)
            return sky_fail(e, SKY_EFORMAT, "row %zu has %zu cells, its heading %zu", g->n_rows,
                            g->n - before, g->n_columns);
    }
    if (g->n_columns == 0 || g->n_columns > CLI_TABLE_COLUMNS_MAX)
        return sky_fail(e, SKY_EFORMAT, "%zu columns; from 1 to %d were expected", g->n_columns,
                        CLI_TABLE_COLUMNS_MAX);
    return SKY_OK;
}

static bool is_whole(const char *text)
{
    int64_t n;
    return sky_parse_i64(text, &n) == SKY_OK;
}

static bool is_number(const char *text)
{
    double x;
    return sky_parse_f64(text, &x) == SKY_OK;
}

static void print_table(const grid *g, bool colour, int width, sky_buf *out)
{
    cli_table t;
    cli_table_init(&t, g->n_columns);
    for (size_t c = 0; c < g->n_columns; c++) {
        bool numbers = g->n_rows > 1;
        for (size_t r = 1; r < g->n_rows; r++)
            numbers = numbers && (is_number(g->cell[r * g->n_columns + c]) ||
                                  !g->cell[r * g->n_columns + c][0]);
        if (numbers)
            cli_table_right(&t, c);
    }
    for (size_t i = 0; i < g->n; i++) {
        double x;
        if (i >= g->n_columns && !is_whole(g->cell[i]) && sky_parse_f64(g->cell[i], &x) == SKY_OK)
            cli_table_addf(&t, "%.4g", x);
        else
            cli_table_add(&t, g->cell[i]);
    }
    cli_table_print(&t, out, colour, width);
    cli_table_free(&t);
}

static void print_object(const grid *g, size_t row, sky_buf *out)
{
    sky_buf_putc(out, '{');
    for (size_t c = 0; c < g->n_columns; c++) {
        const char *text = g->cell[row * g->n_columns + c];
        int64_t whole;
        double x;
        sky_buf_puts(out, c ? "," : "");
        sky_buf_json_string(out, g->cell[c]);
        sky_buf_putc(out, ':');
        if (!text[0])
            sky_buf_puts(out, "null");
        else if (sky_parse_i64(text, &whole) == SKY_OK)
            sky_buf_printf(out, "%" PRId64, whole);
        else if (sky_parse_f64(text, &x) == SKY_OK && isfinite(x))
            sky_buf_json_f64(out, x);
        else
            sky_buf_json_string(out, text);
    }
    sky_buf_putc(out, '}');
}

static void print_objects(const grid *g, bool list, sky_buf *out)
{
    sky_buf_puts(out, list ? "[" : "");
    for (size_t r = 1; r < g->n_rows; r++) {
        sky_buf_puts(out, list && r > 1 ? ",\n" : "");
        print_object(g, r, out);
        sky_buf_puts(out, list ? "" : "\n");
    }
    sky_buf_puts(out, list ? "]\n" : "");
}

sky_err cli_breakdown(const char *csv, size_t len, sky_format format, bool colour, int width,
                      sky_buf *out, sky_error *e)
{
    if (format == SKY_FORMAT_CSV) {
        sky_buf_add(out, csv, len);
        return SKY_OK;
    }
    grid g = {0};
    const sky_err err = read_grid(&g, csv, len, e);
    if (err == SKY_OK && format == SKY_FORMAT_TABLE)
        print_table(&g, colour, width, out);
    else if (err == SKY_OK)
        print_objects(&g, format == SKY_FORMAT_JSON, out);
    free(g.cell);
    sky_arena_free(&g.arena);
    return err;
}

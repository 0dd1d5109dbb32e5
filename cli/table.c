#include "cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/text.h"
#include "cli/term.h"

void cli_table_init(cli_table *t, size_t n_columns)
{
    assert(n_columns > 0);
    *t = (cli_table){.n_columns = n_columns};
    t->right = calloc(n_columns, sizeof *t->right);
    t->failed = !t->right;
}

void cli_table_right(cli_table *t, size_t column)
{
    assert(column < t->n_columns);
    if (t->right)
        t->right[column] = true;
}

void cli_table_add(cli_table *t, const char *text)
{
    if (t->n_cells == t->cap) {
        const size_t cap = t->cap ? t->cap * 2 : 256;
        char **cells = realloc(t->cells, cap * sizeof *cells);
        if (!cells) {
            t->failed = true;
            return;
        }
        t->cells = cells;
        t->cap = cap;
    }
    char *copy = sky_strdup(text ? text : "");
    if (!copy) {
        t->failed = true;
        return;
    }
    for (char *c = copy; *c; c++) { /* a cell is one line, whatever it came from */
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    }
    t->cells[t->n_cells++] = copy;
}

void cli_table_addf(cli_table *t, const char *fmt, ...)
{
    sky_buf b = {0};
    va_list ap;
    va_start(ap, fmt);
    sky_buf_vprintf(&b, fmt, ap);
    va_end(ap);
    t->failed |= !sky_buf_ok(&b);
    cli_table_add(t, sky_buf_str(&b));
    sky_buf_free(&b);
}

static void print_row(const cli_table *t, const size_t *widths, size_t row, sky_buf *out, int width)
{
    size_t at = 0;
    for (size_t c = 0; c < t->n_columns; c++) {
        const char *text = t->cells[row * t->n_columns + c];
        const size_t len = cli_text_columns(text), pad = widths[c] > len ? widths[c] - len : 0;
        const bool last = c + 1 == t->n_columns;
        if (c)
            sky_buf_puts(out, "  ");
        at += c ? 2 : 0;
        if (t->right[c]) {
            sky_buf_printf(out, "%*s%s", (int)pad, "", text);
        } else if (last && width > 0 && at + len > (size_t)width && at + 8 < (size_t)width) {
            sky_buf_add(out, text, cli_text_fit(text, (size_t)width - at - 3));
            sky_buf_puts(out, "...");
        } else {
            sky_buf_printf(out, "%s%*s", text, last ? 0 : (int)pad, "");
        }
        at += widths[c];
    }
}

void cli_table_print(const cli_table *t, sky_buf *out, bool colour, int width)
{
    size_t *widths = calloc(t->n_columns, sizeof *widths);
    if (!widths || t->failed) {
        free(widths);
        out->failed = true;
        return;
    }
    assert(t->n_cells % t->n_columns == 0);
    for (size_t i = 0; i < t->n_cells; i++) {
        const size_t len = cli_text_columns(t->cells[i]);
        if (len > widths[i % t->n_columns])
            widths[i % t->n_columns] = len;
    }
    for (size_t row = 0; row < t->n_cells / t->n_columns; row++) {
        if (row == 0)
            sky_buf_puts(out, cli_style(colour, CLI_BOLD));
        print_row(t, widths, row, out, width);
        if (row == 0)
            sky_buf_puts(out, cli_style(colour, CLI_RESET));
        sky_buf_putc(out, '\n');
    }
    free(widths);
}

void cli_table_free(cli_table *t)
{
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t->right);
    *t = (cli_table){0};
}

#include "store/emit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum {
    OUT_BYTES = 64 << 10, /* given to write() at once */
    SAMPLE_ROWS = 200,    /* whose cells decide a table's widths */
    CELL_CHARS_MAX = 48,
};

static sky_err flush(sky__emit *m, size_t at_least, sky_error *e)
{
    if (!sky_buf_ok(&m->out))
        return sky_fail(e, SKY_ENOMEM, "export: out of memory");
    if (m->out.len < at_least || m->out.len == 0)
        return SKY_OK;
    sky_err err = m->o->write(m->o->arg, m->out.data, m->out.len);
    sky_buf_reset(&m->out);
    return err == SKY_OK ? SKY_OK : sky_fail(e, err, "export: %s", sky_strerror(err));
}

/* ---- Table ---- */

static size_t chars(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

/* What a cell shows: 6 digits of a number, and nothing that could move a terminal's cursor. */
static char *cell_text(const sky_value *v)
{
    sky_buf b = {0};
    if (v->type == SKY_REAL && v->f == v->f)
        sky_buf_printf(&b, "%.6g", v->f);
    else
        sky_value_print(&b, v);
    char *text = sky_buf_detach(&b);
    if (!text)
        return NULL;
    size_t shown = 0;
    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
        shown += ((unsigned char)*c & 0xc0) != 0x80;
        if (shown > CELL_CHARS_MAX) {
            memcpy(c, "", 1);
            break;
        }
    }
    return text;
}

/* One line, cut to the terminal's width, without blanks at its end. */
static void table_line(sky__emit *m, char *const *cells)
{
    sky_buf line = {0};
    for (size_t i = 0; i < m->n; i++) {
        if (m->folded[i])
            continue;
        const char *text = cells[i] ? cells[i] : "";
        const size_t have = chars(text);
        const size_t pad = have < m->widths[i] ? m->widths[i] - have : 0;
        if (line.len > 0)
            sky_buf_puts(&line, "  ");
        if (m->numeric[i])
            sky_buf_printf(&line, "%*s%s", (int)pad, "", text);
        else
            sky_buf_printf(&line, "%s%*s", text, (int)pad, "");
    }
    size_t len = line.len, shown = 0;
    for (size_t i = 0; m->o->width && i < line.len; i++) {
        shown += ((unsigned char)line.data[i] & 0xc0) != 0x80;
        if (shown > m->o->width) {
            len = i;
            break;
        }
    }
    while (len > 0 && line.data[len - 1] == ' ')
        len--;
    if (!sky_buf_ok(&line))
        m->out.failed = true;
    else
        sky_buf_add(&m->out, sky_buf_str(&line), len);
    sky_buf_putc(&m->out, '\n');
    sky_buf_free(&line);
}

static void table_head(sky__emit *m)
{
    m->measured = true;
    if (!m->o->no_header) {
        char **names = calloc(m->n + 1, sizeof *names);
        if (!names) {
            m->out.failed = true;
            return;
        }
        for (size_t i = 0; i < m->n; i++) {
            const size_t width = chars(m->names[i]);
            m->widths[i] = width > m->widths[i] ? width : m->widths[i];
            names[i] = sky_strdup(m->names[i]);
        }
        table_line(m, names);
        for (size_t i = 0; i < m->n; i++)
            free(names[i]);
        free(names);
    }
    for (size_t r = 0; r < m->waiting; r++)
        table_line(m, m->cells + r * m->n);
}

static void forget_cells(sky__emit *m)
{
    for (size_t i = 0; i < m->waiting * m->n; i++)
        free(m->cells[i]);
    m->waiting = 0;
}

static bool same_cell(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* All rows are waiting: which columns say nothing? */
static void fold(sky__emit *m)
{
    for (size_t i = m->fold_begin; i < m->fold_end && m->waiting > 1; i++) {
        size_t r = 1;
        while (r < m->waiting && same_cell(m->cells[r * m->n + i], m->cells[i]))
            r++;
        m->folded[i] = r == m->waiting;
    }
}

/* The line below a table: NAME=VALUE of the folded columns, in lines of the terminal's width. */
static void table_foot(sky__emit *m)
{
    enum { WIDTH = 100 };
    const size_t width = m->o->width ? m->o->width : WIDTH;
    size_t at = 0;
    for (size_t i = m->fold_begin; i < m->fold_end; i++) {
        const char *value = m->waiting && m->cells[i] ? m->cells[i] : "";
        const size_t len = chars(m->names[i]) + 1 + chars(value);
        if (!m->folded[i] || !value[0])
            continue;
        if (at == 0) {
            sky_buf_puts(&m->out, "In all rows:");
            at = strlen("In all rows:");
        } else if (at + 1 + len > width) {
            sky_buf_puts(&m->out, "\n ");
            at = 1;
        }
        sky_buf_printf(&m->out, " %s=%s", m->names[i], value);
        at += 1 + len;
    }
    if (at > 0)
        sky_buf_putc(&m->out, '\n');
}

static sky_err table_row(sky__emit *m, const sky_value *values, sky_error *e)
{
    char **row = m->cells + m->waiting * m->n;
    bool ok = true;
    for (size_t i = 0; i < m->n; i++) {
        row[i] = values[i].absent ? NULL : cell_text(&values[i]);
        ok = ok && (row[i] || values[i].absent);
        if (m->measured || !row[i])
            continue;
        const size_t width = chars(row[i]);
        m->widths[i] = width > m->widths[i] ? width : m->widths[i];
        m->numeric[i] = m->numeric[i] && (values[i].type == SKY_INT || values[i].type == SKY_REAL);
    }
    m->waiting++;
    if (!ok)
        return sky_fail(e, SKY_ENOMEM, "export: out of memory");
    if (m->measured) {
        table_line(m, row);
        forget_cells(m);
    } else if (m->waiting == SAMPLE_ROWS) {
        table_head(m);
        forget_cells(m);
    }
    return SKY_OK;
}

/* ---- CSV, JSON ---- */

static void csv_field(sky__emit *m, const char *text, bool is_text)
{
    if (!is_text || !m->o->spreadsheet || !text[0] || !strchr("=+-@\t\r", text[0])) {
        sky_buf_csv(&m->out, text);
        return;
    }
    sky_buf safe = {0};
    sky_buf_printf(&safe, "'%s", text);
    if (!sky_buf_ok(&safe))
        m->out.failed = true;
    sky_buf_csv(&m->out, sky_buf_str(&safe));
    sky_buf_free(&safe);
}

static void csv_row(sky__emit *m, const sky_value *values)
{
    for (size_t i = 0; i < m->n; i++) {
        if (i > 0)
            sky_buf_putc(&m->out, ',');
        if (values[i].absent)
            continue; /* empty */
        if (values[i].type == SKY_TEXT)
            csv_field(m, values[i].s, true);
        else
            sky_value_print(&m->out, &values[i]);
    }
    sky_buf_putc(&m->out, '\n');
}

static void json_row(sky__emit *m, const sky_value *values)
{
    const bool lines = m->o->format == SKY_FORMAT_JSONL;
    sky_buf_puts(&m->out, lines ? "{" : m->rows ? ",\n{" : "\n{");
    for (size_t i = 0; i < m->n; i++) {
        if (i > 0)
            sky_buf_puts(&m->out, ", ");
        sky_buf_json_string(&m->out, m->names[i]);
        sky_buf_puts(&m->out, ": ");
        sky_value_json(&m->out, &values[i]);
    }
    sky_buf_puts(&m->out, lines ? "}\n" : "}");
}

/* ---- The whole ---- */

sky_err sky__emit_init(sky__emit *m, const sky_export_options *o, const char *const *names,
                       size_t n, sky_error *e)
{
    assert(o->write);
    *m = (sky__emit){.o = o, .n = n, .names = names};
    switch (o->format) {
    case SKY_FORMAT_TABLE:
        m->cells = calloc(SAMPLE_ROWS * (n + 1), sizeof *m->cells);
        m->widths = calloc(n + 1, sizeof *m->widths);
        m->numeric = malloc(n + 1);
        m->folded = calloc(n + 1, 1);
        if (!m->cells || !m->widths || !m->numeric || !m->folded) {
            sky__emit_fini(m);
            return sky_fail(e, SKY_ENOMEM, "export: out of memory");
        }
        memset(m->numeric, 1, n + 1);
        break;
    case SKY_FORMAT_CSV:
        for (size_t i = 0; i < n && !o->no_header; i++) {
            if (i > 0)
                sky_buf_putc(&m->out, ',');
            csv_field(m, names[i], true);
        }
        if (!o->no_header)
            sky_buf_putc(&m->out, '\n');
        break;
    case SKY_FORMAT_JSON:
        sky_buf_putc(&m->out, '[');
        break;
    case SKY_FORMAT_JSONL:
        break;
    }
    return SKY_OK;
}

sky_err sky__emit_row(sky__emit *m, const sky_value *values, sky_error *e)
{
    sky_err err = SKY_OK;
    switch (m->o->format) {
    case SKY_FORMAT_TABLE:
        err = table_row(m, values, e);
        break;
    case SKY_FORMAT_CSV:
        csv_row(m, values);
        break;
    case SKY_FORMAT_JSON:
    case SKY_FORMAT_JSONL:
        json_row(m, values);
        break;
    }
    m->rows++;
    return err == SKY_OK ? flush(m, OUT_BYTES, e) : err;
}

sky_err sky__emit_end(sky__emit *m, sky_error *e)
{
    if (m->o->format == SKY_FORMAT_TABLE && !m->measured) {
        if (m->o->brief)
            fold(m);
        table_head(m);
        table_foot(m);
    }
    if (m->o->format == SKY_FORMAT_JSON)
        sky_buf_puts(&m->out, m->rows ? "\n]\n" : "]\n");
    return flush(m, 0, e);
}

void sky__emit_fini(sky__emit *m)
{
    if (m->cells)
        forget_cells(m);
    free(m->cells);
    free(m->widths);
    free(m->numeric);
    free(m->folded);
    sky_buf_free(&m->out);
    *m = (sky__emit){0};
}

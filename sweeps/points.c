/* Points that are listed one by one: in the sweep file, or in a CSV file beside it. All are one
 * factor, whose digit is the row. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sweeps/reader.h"

/* ---- CSV to a tree: a list of rows, each a list of scalars ---- */

typedef struct csv {
    const char *at, *end;
    const char *file;
    uint32_t line, column;
    sky_arena *arena;
    sky_error *e;
    uint32_t nodes;
} csv;

static void step(csv *c)
{
    if (*c->at == '\n') {
        c->line++;
        c->column = 0;
    }
    c->column += ((unsigned char)*c->at & 0xc0) != 0x80 || *c->at == '\n';
    c->at++;
}

static bool at_end_of_field(const csv *c)
{
    return c->at == c->end || *c->at == ',' || *c->at == '\n' ||
           (*c->at == '\r' && c->at + 1 < c->end && c->at[1] == '\n');
}

static sky_err read_quoted(csv *c, sky__node *n)
{
    n->quoted = true;
    char *to = sky_new(c->arena, char, 1);
    sky_buf text = {0};
    step(c);
    for (;;) {
        if (c->at == c->end) {
            sky_buf_free(&text);
            return sky__node_fail(n, c->e, "the quote does not end");
        }
        if (*c->at == '"') {
            step(c);
            if (c->at == c->end || *c->at != '"')
                break;
        }
        sky_buf_putc(&text, *c->at);
        step(c);
    }
    if (text.len > 0)
        to = sky_arena_strndup(c->arena, text.data, text.len);
    bool ok = to && sky_buf_ok(&text);
    sky_buf_free(&text);
    n->text = to;
    if (ok && !at_end_of_field(c))
        return sky__node_fail(n, c->e, "found text after the closing quote; allowed is a comma");
    return ok ? SKY_OK : sky__no_memory(c->e);
}

static sky_err read_field(csv *c, sky__node **out)
{
    while (c->at < c->end && *c->at == ' ')
        step(c);
    if (++c->nodes > SKY__NODES_MAX)
        return sky_fail(c->e, SKY_ELIMIT, "%s:%u: more values than allowed (%d)", c->file, c->line,
                        SKY__NODES_MAX);
    sky__node *n = *out = sky__node_new(c->arena, SKY__SCALAR, c->file, c->line, c->column);
    if (!n)
        return sky__no_memory(c->e);
    if (c->at < c->end && *c->at == '"')
        return read_quoted(c, n);
    const char *begin = c->at;
    while (!at_end_of_field(c))
        step(c);
    const char *end = c->at;
    while (end > begin && end[-1] == ' ')
        end--;
    n->text = sky_arena_strndup(c->arena, begin, (size_t)(end - begin));
    return n->text ? SKY_OK : sky__no_memory(c->e);
}

static sky_err read_row(csv *c, sky__node *row)
{
    for (;;) {
        sky__node *field = NULL;
        sky_err err = read_field(c, &field);
        if (err != SKY_OK)
            return err;
        sky__node_append(row, field);
        if (c->at < c->end && *c->at == ',') {
            step(c);
            continue;
        }
        if (c->at < c->end && *c->at == '\r')
            step(c);
        if (c->at < c->end)
            step(c); /* the newline */
        return SKY_OK;
    }
}

sky_err sky__csv_read(sky__node **out, const char *text, size_t len, const char *file,
                      sky_arena *arena, sky_error *e)
{
    sky_err err = sky__text_check(text, len, file, e);
    if (err != SKY_OK)
        return err;
    bool mark = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0; /* spreadsheets write one */
    csv c = {.at = text + (mark ? 3 : 0),
             .end = text + len,
             .file = file,
             .line = 1,
             .column = 1,
             .arena = arena,
             .e = e};
    sky__node *rows = sky__node_new(arena, SKY__LIST, file, 1, 1);
    if (!rows)
        return sky__no_memory(e);
    while (c.at < c.end && err == SKY_OK) {
        sky__node *row = sky__node_new(arena, SKY__LIST, file, c.line, c.column);
        if (!row)
            return sky__no_memory(e);
        err = read_row(&c, row);
        bool blank =
            err == SKY_OK && row->count == 1 && !row->first->quoted && !row->first->text[0];
        if (!blank && err == SKY_OK)
            sky__node_append(rows, row);
    }
    *out = rows;
    return err;
}

/* ---- columns of points ---- */

/* Points as a table of nodes: cell (row, column) is NULL where the point does not give the
 * parameter. */
typedef struct table {
    size_t n_rows, n_columns;
    size_t n_filled;                        /* rows of a CSV file read so far */
    const sky__node *names[SKY_PARAMS_MAX]; /* whose text, or key, is the parameter's name */
    const char *words[SKY_PARAMS_MAX];
    const sky__node **cells; /* column after column */
    const sky__node **rows;
} table;

/* A list node of one column's cells, for the inference of its type. */
static sky__node *column_list(sky__reader *r, const table *t, size_t column)
{
    sky__node *list = sky__node_new(r->tree, SKY__LIST, r->file, 0, 0);
    for (size_t row = 0; list && row < t->n_rows; row++) {
        const sky__node *cell = t->cells[column * t->n_rows + row];
        if (!cell)
            continue;
        sky__node *copy = sky_new(r->tree, sky__node, 1);
        if (!copy)
            return NULL;
        *copy = *cell;
        copy->next = NULL;
        sky__node_append(list, copy);
    }
    return list;
}

static sky_err check_missing(sky__reader *r, const table *t, size_t column, uint32_t param)
{
    if (!r->p->fixed[param].absent)
        return SKY_OK;
    for (size_t row = 0; row < t->n_rows; row++)
        if (!t->cells[column * t->n_rows + row])
            return sky__node_fail(t->rows[row], r->e,
                                  "this point does not give '%s', which has no "
                                  "default; allowed are points that do",
                                  t->words[column]);
    return SKY_OK;
}

static sky_err check_rows(sky__reader *r, const table *t, const sky__factor *f)
{
    bool found;
    sky__pair rows;
    if (sky__find_duplicate(f, &found, &rows) != SKY_OK)
        return sky__no_memory(r->e);
    if (!found)
        return SKY_OK;
    sky_buf row = {0};
    sky__row_print(&row, r->p, f, rows.second);
    sky_err err = sky__node_fail(t->rows[rows.second], r->e,
                                 "the point %.200s is the same as that of line %" PRIu32
                                 "; allowed is each once (see `repeats`)",
                                 sky_buf_str(&row), t->rows[rows.first]->line);
    sky_buf_free(&row);
    return err;
}

static sky_err columns_to_factor(sky__reader *r, const table *t, sky__factor *out)
{
    for (size_t k = 0; k < t->n_columns; k++) {
        uint32_t param;
        sky__node *list = r->p->job.open ? column_list(r, t, k) : NULL;
        if (r->p->job.open && !list)
            return sky__no_memory(r->e);
        sky_err err = sky__space_param(r, t->names[k], t->words[k], list, &param);
        if (err == SKY_OK)
            err = check_missing(r, t, k, param);
        if (err == SKY_OK)
            err = sky__axis_list(r, t->cells + k * t->n_rows, t->n_rows, param, &out->axes[k]);
        if (err != SKY_OK)
            return err;
    }
    out->n_axes = t->n_columns;
    out->count = t->n_rows;
    return check_rows(r, t, out);
}

static sky_err alloc_table(sky__reader *r, table *t)
{
    t->cells = sky_new(r->tree, const sky__node *, t->n_rows * t->n_columns + 1);
    return t->cells ? SKY_OK : sky__no_memory(r->e);
}

static size_t find_word(const table *t, const char *word)
{
    size_t k = 0;
    while (k < t->n_columns && strcmp(t->words[k], word) != 0)
        k++;
    return k;
}

/* The columns are the keys of all points, in the order in which they first appear. */
static sky_err gather_keys(sky__reader *r, const sky__node *list, table *t)
{
    for (const sky__node *point = list->first; point; point = point->next) {
        if (point->kind != SKY__MAP || point->count == 0)
            return sky__node_fail(point, r->e,
                                  "space: found %s in a list of points; allowed are maps "
                                  "{parameter: value, ...}",
                                  sky__node_found(point).text);
        t->rows[t->n_rows++] = point;
        for (const sky__node *n = point->first; n; n = n->next) {
            size_t k = find_word(t, n->key);
            if (k < t->n_columns)
                continue;
            if (k == SKY_PARAMS_MAX)
                return sky__key_fail(n, r->e, "more parameters than allowed (%d)", SKY_PARAMS_MAX);
            t->names[k] = n;
            t->words[k] = n->key;
            t->n_columns++;
        }
    }
    return SKY_OK;
}

sky_err sky__points_read(sky__reader *r, const sky__node *list, sky__factor *out)
{
    if (list->count == 0)
        return sky__node_fail(list, r->e,
                              "space: found an empty list; allowed is one point or more");
    table *t = sky_new(r->tree, table, 1);
    if (!t)
        return sky__no_memory(r->e);
    t->rows = sky_new(r->tree, const sky__node *, list->count);
    sky_err err = t->rows ? gather_keys(r, list, t) : sky__no_memory(r->e);
    if (err == SKY_OK)
        err = alloc_table(r, t);
    for (size_t row = 0; err == SKY_OK && row < t->n_rows; row++)
        for (const sky__node *n = t->rows[row]->first; n; n = n->next)
            t->cells[find_word(t, n->key) * t->n_rows + row] = n;
    return err == SKY_OK ? columns_to_factor(r, t, out) : err;
}

static sky_err read_header(sky__reader *r, const sky__node *rows, table *t)
{
    if (rows->count < 2)
        return sky__node_fail(rows, r->e,
                              "found %s; allowed are a header with the parameters' names "
                              "and a row for each point",
                              rows->count ? "a header alone" : "an empty file");
    for (const sky__node *n = rows->first->first; n; n = n->next) {
        if (find_word(t, n->text) < t->n_columns)
            return sky__node_fail(n, r->e, "the column '%.60s' stands twice; allowed is once",
                                  n->text);
        if (t->n_columns == SKY_PARAMS_MAX)
            return sky__node_fail(n, r->e, "more columns than allowed (%d)", SKY_PARAMS_MAX);
        t->names[t->n_columns] = n;
        t->words[t->n_columns++] = n->text;
    }
    return SKY_OK;
}

/* An empty cell gives nothing, so that the parameter has its default; "" gives the empty text. */
static sky_err fill_rows(sky__reader *r, const sky__node *rows, table *t)
{
    for (sky__node *row = rows->first->next; row; row = row->next) {
        if (row->count != t->n_columns)
            return sky__node_fail(row, r->e,
                                  "found %" PRIu32 " fields; allowed are %zu, as in the "
                                  "header",
                                  row->count, t->n_columns);
        size_t k = 0;
        for (sky__node *n = row->first; n; n = n->next, k++) {
            bool given = n->text[0] || n->quoted;
            t->cells[k * t->n_rows + t->n_filled] = given ? n : NULL;
            n->quoted = n->quoted && n->text[0] == '\0'; /* quotes are no type in CSV */
        }
        t->rows[t->n_filled++] = row;
    }
    return SKY_OK;
}

const char *sky__path_beside(sky_plan *p, const char *name)
{
    sky_arena *arena = &p->arena;
    if (name[0] == '/' || p->workdir[0] == '\0')
        return sky_arena_strdup(arena, name);
    bool slash = strcmp(p->workdir, "/") == 0;
    return sky_arena_printf(arena, "%s%s%s", p->workdir, slash ? "" : "/", name);
}

sky_err sky__points_csv(sky__reader *r, const sky__node *at, sky__factor *out)
{
    const char *name;
    sky_err err = sky__want_text(at, "csv", &name, r->e);
    if (err != SKY_OK)
        return err;
    const char *path = sky__path_beside(r->p, name);
    char *text = NULL;
    size_t len;
    sky_error why = {0};
    if (!path)
        return sky__no_memory(r->e);
    if (sky_read_file(path, SKY_SWEEP_FILE_BYTES_MAX, &text, &len, &why) != SKY_OK)
        return sky__node_fail_why(at, r->e, "csv", &why);
    const char *file = sky_arena_strdup(r->tree, name);
    sky__node *rows = NULL;
    err = file ? sky__csv_read(&rows, text, len, file, r->tree, r->e) : sky__no_memory(r->e);
    free(text);
    table *t = sky_new(r->tree, table, 1);
    if (err == SKY_OK && !t)
        err = sky__no_memory(r->e);
    if (err == SKY_OK)
        err = read_header(r, rows, t);
    if (err != SKY_OK)
        return err;
    t->n_rows = rows->count - 1;
    t->rows = sky_new(r->tree, const sky__node *, t->n_rows);
    err = t->rows ? alloc_table(r, t) : sky__no_memory(r->e);
    if (err == SKY_OK)
        err = fill_rows(r, rows, t);
    return err == SKY_OK ? columns_to_factor(r, t, out) : err;
}

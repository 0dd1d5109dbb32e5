/* sky_batch_N: a virtual table whose rows are the record that is being stored. See store_internal.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"

typedef struct table {
    sqlite3_vtab base;
    sky_store *store;
} table;

typedef struct cursor {
    sqlite3_vtab_cursor base;
    sky__batch *batch;
} cursor;

static sky__batch *batch_of(sqlite3_vtab_cursor *base)
{
    return ((cursor *)base)->batch;
}

static int table_connect(sqlite3 *db, void *arg, int argc, const char *const *argv,
                         sqlite3_vtab **out, char **message)
{
    (void)argc;
    (void)message;
    sky_buf b = {0};
    const long n = strtol(strrchr(argv[0], '_') + 1, NULL, 10); /* argv[0]: the module's name */
    for (long i = 0; i < n; i++)
        sky_buf_printf(&b, "%sc%ld", i ? ", " : "CREATE TABLE x (", i);
    sky_buf_puts(&b, ")");
    int rc = sky_buf_ok(&b) ? sqlite3_declare_vtab(db, sky_buf_str(&b)) : SQLITE_NOMEM;
    sky_buf_free(&b);
    table *t = rc == SQLITE_OK ? sqlite3_malloc(sizeof *t) : NULL;
    if (!t)
        return rc == SQLITE_OK ? SQLITE_NOMEM : rc;
    *t = (table){.store = arg};
    *out = &t->base;
    return SQLITE_OK;
}

static int table_disconnect(sqlite3_vtab *base)
{
    sqlite3_free(base);
    return SQLITE_OK;
}

static int table_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    (void)base;
    info->estimatedCost = 1e6;
    return SQLITE_OK;
}

static int table_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out)
{
    cursor *c = sqlite3_malloc(sizeof *c);
    if (!c)
        return SQLITE_NOMEM;
    *c = (cursor){.batch = ((table *)base)->store->batch};
    *out = &c->base;
    return SQLITE_OK;
}

static int cursor_close(sqlite3_vtab_cursor *base)
{
    sqlite3_free(base);
    return SQLITE_OK;
}

static int cursor_filter(sqlite3_vtab_cursor *base, int index, const char *index_text, int argc,
                         sqlite3_value **argv)
{
    (void)index;
    (void)index_text;
    (void)argc;
    (void)argv;
    batch_of(base)->row = 0;
    return SQLITE_OK;
}

static int cursor_next(sqlite3_vtab_cursor *base)
{
    batch_of(base)->row++;
    return SQLITE_OK;
}

static int cursor_eof(sqlite3_vtab_cursor *base)
{
    const sky__batch *b = batch_of(base);
    return !b->r || b->row >= b->r->n; /* without a record: somebody's SELECT */
}

static int cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out)
{
    *out = (sqlite3_int64)batch_of(base)->row;
    return SQLITE_OK;
}

static void give(sqlite3_context *x, const sky_column *c, size_t row)
{
    if (c->absent && c->absent[row])
        return; /* NULL */
    switch (c->type) {
    case SKY_INT:
    case SKY_BOOL:
        sqlite3_result_int64(x, c->i[row]);
        break;
    case SKY_REAL:
        sqlite3_result_double(x, c->f[row]); /* NULL for NaN */
        break;
    case SKY_TEXT:
        sqlite3_result_text(x, c->s[row], -1,
                            SQLITE_STATIC); /* the record outlives the statement */
        break;
    }
}

static int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *x, int column)
{
    const sky__batch *b = batch_of(base);
    const sky_record *r = b->r;
    size_t i = (size_t)column;
    if (i == 0) {
        sqlite3_result_int64(x, (sqlite3_int64)r->trials[b->row]);
    } else if (i <= b->n_params) {
        give(x, &r->params[i - 1], b->row);
    } else if (i <= b->n_params + b->n_metrics) {
        give(x, &r->metrics[i - 1 - b->n_params], b->row);
    } else if (i == b->n_params + b->n_metrics + 1) {
        if (r->wall_s)
            sqlite3_result_double(x, (double)r->wall_s[b->row]);
    } else if (r->env != 0) {
        sqlite3_result_int64(x, r->env);
    }
    return SQLITE_OK;
}

static const sqlite3_module module = {
    .xConnect = table_connect, /* without xCreate it is there by itself, in no schema */
    .xBestIndex = table_best_index,
    .xDisconnect = table_disconnect,
    .xOpen = table_open,
    .xClose = cursor_close,
    .xFilter = cursor_filter,
    .xNext = cursor_next,
    .xEof = cursor_eof,
    .xColumn = cursor_column,
    .xRowid = cursor_rowid,
};

sky_err sky__batch_register(sky_store *s, size_t n_columns, sky_error *e)
{
    char name[32];
    snprintf(name, sizeof name, "sky_batch_%zu", n_columns);
    int rc = sqlite3_create_module(s->db, name, &module, s);
    return rc == SQLITE_OK ? SKY_OK : sky__sql_fail(s, rc, e, "preparing to record");
}

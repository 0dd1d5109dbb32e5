#include "store/export.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/emit.h"
#include "store/guard.h"
#include "store/read_internal.h"

static const char *const format_names[] = {[SKY_FORMAT_TABLE] = "table",
                                           [SKY_FORMAT_CSV] = "csv",
                                           [SKY_FORMAT_JSON] = "json",
                                           [SKY_FORMAT_JSONL] = "jsonl"};

const char *sky_format_name(sky_format f)
{
    return format_names[f];
}

sky_err sky_format_parse(const char *text, sky_format *out)
{
    for (int f = SKY_FORMAT_TABLE; f <= SKY_FORMAT_JSONL; f++) {
        if (strcmp(text, format_names[f]) == 0) {
            *out = (sky_format)f;
            return SKY_OK;
        }
    }
    return SKY_EFORMAT;
}

static sky_err no_memory(sky_store *s, sky_error *e)
{
    return sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
}

/* ---- A query's rows ---- */

/* booleans: NULL, or a byte for each column whose integers are true and false. */
static sky_err pump(sky_query *q, sky__emit *m, const uint8_t *booleans, uint64_t limit,
                    sky_value *values, sky_error *e)
{
    bool row = true;
    sky_err err = SKY_OK;
    while (err == SKY_OK && (!limit || m->rows < limit)) {
        err = sky_query_step(q, &row, e);
        if (err != SKY_OK || !row)
            break;
        for (size_t i = 0; i < m->n; i++) {
            values[i] = sky_query_value(q, i);
            if (booleans && booleans[i] && values[i].type == SKY_INT)
                values[i].type = SKY_BOOL;
        }
        err = sky__emit_row(m, values, e);
    }
    return err == SKY_OK ? sky__emit_end(m, e) : err;
}

/* n_params: the columns after the first are that many parameters. */
static sky_err run(sky_store *s, const char *sql, const sky_export_options *o,
                   const uint8_t *booleans, size_t n_params, uint64_t *rows, sky_error *e)
{
    sky_query *q = NULL;
    sky__emit m = {0};
    const sky_query_options qo = {
        .time_limit_ms = o->time_limit_ms, .cancelled = o->cancelled, .arg = o->arg};
    sky_err err = sky_query_open(&q, s, sql, &qo, e);
    if (err != SKY_OK)
        return err;
    const size_t n = sky_query_columns(q);
    const char **names = calloc(n, sizeof *names);
    sky_value *values = calloc(n, sizeof *values);
    if (!names || !values)
        err = no_memory(s, e);
    for (size_t i = 0; i < n && err == SKY_OK; i++)
        names[i] = sky_query_name(q, i);
    if (err == SKY_OK)
        err = sky__emit_init(&m, o, names, n, e);
    m.fold_begin = 1;
    m.fold_end = 1 + n_params;
    if (err == SKY_OK)
        err = pump(q, &m, booleans, o->limit, values, e);
    if (rows)
        *rows = m.rows;
    sky__emit_fini(&m);
    free(values);
    free(names);
    sky_query_close(q);
    return err;
}

sky_err sky_export_sql(sky_store *s, const char *sql, const sky_export_options *o, uint64_t *rows,
                       sky_error *e)
{
    if (rows)
        *rows = 0;
    return run(s, sql, o, NULL, 0, rows, e);
}

/* ---- A sweep ---- */

static void add_column(sky_buf *sql, uint8_t *booleans, size_t *n, const sky__meta_column *c)
{
    sky_buf_puts(sql, *n ? ", " : "SELECT ");
    sky_buf_sql_name(sql, c ? c->name : "trial");
    booleans[(*n)++] = c && c->type == SKY_BOOL;
}

static bool wanted(const sky_export_options *o, const sky__meta_column *c)
{
    if (c->role == SKY__SYSTEM)
        return o->system_columns;
    return c->role == SKY__PARAM || !o->exact_only || (c->role == SKY__METRIC && c->exact);
}

static sky_err choose_columns(const sky__meta *meta, const sky_export_options *o, sky_buf *sql,
                              uint8_t *booleans, sky_error *e)
{
    size_t n = 0;
    if (!o->columns) {
        add_column(sql, booleans, &n, NULL);
        for (size_t i = 0; i < meta->n_columns; i++) {
            if (wanted(o, &meta->columns[i]))
                add_column(sql, booleans, &n, &meta->columns[i]);
        }
        return SKY_OK;
    }
    if (o->n_columns == 0 || o->n_columns > SKY__META_COLUMNS_MAX)
        return sky_fail(e, SKY_EINVAL, "found %zu columns to export, expected 1 to %d",
                        o->n_columns, SKY__META_COLUMNS_MAX);
    for (size_t i = 0; i < o->n_columns; i++) {
        const sky__meta_column *c = sky__meta_find(meta, o->columns[i]);
        if (!c && strcmp(o->columns[i], "trial") != 0)
            return sky__meta_unknown(meta, o->columns[i], e);
        add_column(sql, booleans, &n, c);
    }
    return SKY_OK;
}

static sky_err compose(const sky__meta *meta, const sky_export_options *o, sky_buf *sql,
                       uint8_t *booleans, sky_error *e)
{
    sky_err err = choose_columns(meta, o, sql, booleans, e);
    if (err == SKY_OK && o->where)
        err = sky_expression_check(o->where, "where", e);
    if (err == SKY_OK && o->order_by)
        err = sky_expression_check(o->order_by, "order by", e);
    if (err != SKY_OK)
        return err;
    sky_buf_puts(sql, " FROM ");
    sky_buf_sql_name(sql, meta->name);
    if (o->where)
        sky_buf_printf(sql, " WHERE (%s)", o->where);
    sky_buf_puts(sql, " ORDER BY ");
    if (o->order_by)
        sky_buf_printf(sql, "%s, ", o->order_by);
    sky_buf_puts(sql, "trial");
    if (o->limit)
        sky_buf_printf(sql, " LIMIT %llu",
                       (unsigned long long)(o->limit > INT64_MAX ? INT64_MAX : o->limit));
    return SKY_OK;
}

/* "no such column: enrgy_j": with the name that was meant. */
static void suggest(const sky__meta *meta, sky_error *e)
{
    static const char begin[] = "SQL: no such column: ";
    if (!e || strncmp(e->text, begin, sizeof begin - 1) != 0)
        return;
    char name[128];
    size_t len = strcspn(e->text + sizeof begin - 1, " \n");
    if (len >= sizeof name)
        return;
    memcpy(name, e->text + sizeof begin - 1, len);
    name[len] = 0;
    sky__meta_unknown(meta, name, e);
}

/* Of the default columns, which begin with trial and the parameters. */
static size_t n_params_of(const sky__meta *meta, const sky_export_options *o)
{
    size_t n = 0;
    for (size_t i = 0; i < meta->n_columns && !o->columns; i++)
        n += meta->columns[i].role == SKY__PARAM;
    return n;
}

sky_err sky_export_sweep(sky_store *s, const char *sweep, const sky_export_options *o,
                         uint64_t *rows, sky_error *e)
{
    sky__meta meta;
    sky_buf sql = {0};
    uint8_t booleans[SKY__META_COLUMNS_MAX + 1] = {0};
    if (rows)
        *rows = 0;
    sky_err err = sky__meta_load(s, sweep, &meta, e);
    if (err != SKY_OK)
        return err;
    err = compose(&meta, o, &sql, booleans, e);
    if (err == SKY_OK && !sky_buf_ok(&sql))
        err = no_memory(s, e);
    if (err == SKY_OK) {
        err = run(s, sky_buf_str(&sql), o, booleans, n_params_of(&meta, o), rows, e);
        if (err == SKY_EINVAL)
            suggest(&meta, e);
    }
    sky_buf_free(&sql);
    sky__meta_free(&meta);
    return err;
}

/* ---- A front ---- */

typedef struct front_export {
    sky_store *store;
    sky__meta meta;
    sky_fronts_view view;
    sky_arena arena;
    const char **names;
    sky_value *values;
    size_t n, n_params;
    sqlite3_stmt *params;
} front_export;

static sky_err front_columns(front_export *x, sky_error *e)
{
    const size_t cap = 2 + SKY_PARAMS_MAX + 2 * x->view.k;
    x->names = sky_new(&x->arena, const char *, cap);
    x->values = sky_new(&x->arena, sky_value, cap);
    if (!x->names || !x->values)
        return no_memory(x->store, e);
    x->names[x->n++] = x->view.by_point ? "point" : "trial";
    if (x->view.by_point)
        x->names[x->n++] = "repeats";
    for (size_t i = 0; i < x->meta.n_columns; i++) {
        if (x->meta.columns[i].role != SKY__PARAM)
            continue;
        x->names[x->n++] = x->meta.columns[i].name;
        x->n_params++;
    }
    for (size_t j = 0; j < x->view.k; j++) {
        const sky__meta_column *c = sky__meta_find(&x->meta, x->view.objectives[j].name);
        if (c && c->role == SKY__PARAM)
            continue;
        x->names[x->n++] = x->view.objectives[j].name;
        if (!x->view.by_point)
            continue;
        char *sd = sky_arena_printf(&x->arena, "%s_sd", x->view.objectives[j].name);
        if (!sd)
            return no_memory(x->store, e);
        x->names[x->n++] = sd;
    }
    return SKY_OK;
}

static sky_err front_prepare(front_export *x, sky_error *e)
{
    sky_buf sql = {0};
    sky_buf_puts(&sql, "SELECT trial");
    for (size_t i = 0; i < x->n_params; i++) {
        sky_buf_puts(&sql, ", ");
        sky_buf_sql_name(&sql, x->meta.columns[i].name);
    }
    sky_buf_puts(&sql, " FROM ");
    sky_buf_sql_name(&sql, x->meta.name);
    sky_buf_puts(&sql, " WHERE trial = ?");
    sky_err err = sky_buf_ok(&sql) ? sky__prepare(x->store, sky_buf_str(&sql), &x->params, e)
                                   : no_memory(x->store, e);
    sky_buf_free(&sql);
    return err;
}

static sky_value param_value(sqlite3_stmt *q, int c, sky_type type)
{
    if (sqlite3_column_type(q, c) == SQLITE_NULL)
        return sky_absent(type);
    switch (type) {
    case SKY_INT:
        return sky_int(sqlite3_column_int64(q, c));
    case SKY_BOOL:
        return sky_bool(sqlite3_column_int64(q, c) != 0);
    case SKY_REAL:
        return sky_real(sqlite3_column_double(q, c));
    case SKY_TEXT:
        break;
    }
    const char *text = (const char *)sqlite3_column_text(q, c);
    return text ? sky_text(text) : sky_absent(SKY_TEXT);
}

static sky_value number_or_absent(const front_export *x, size_t row, size_t j, bool spread)
{
    const double v = (spread ? x->view.spread : x->view.values)[row * x->view.k + j];
    const sky__meta_column *c = sky__meta_find(&x->meta, x->view.objectives[j].name);
    const bool whole = c && c->type == SKY_INT && !x->view.by_point && fabs(v) < 9e15;
    return isnan(v) ? sky_absent(SKY_REAL) : whole ? sky_int((int64_t)v) : sky_real(v);
}

static sky_err front_row(front_export *x, size_t row, sky__emit *m, sky_error *e)
{
    bool found = false;
    size_t n = 0;
    sqlite3_bind_int64(x->params, 1, (sqlite3_int64)x->view.trials[row]);
    sky_err err = sky__step(x->store, x->params, &found, e, "reading a trial");
    if (err != SKY_OK)
        return err;
    x->values[n++] = sky_int((int64_t)x->view.ids[row]);
    if (x->view.by_point)
        x->values[n++] = sky_int(x->view.repeats[row]);
    for (size_t i = 0; i < x->n_params; i++) /* the parameters are the first of the columns */
        x->values[n++] = found ? param_value(x->params, (int)i + 1, x->meta.columns[i].type)
                               : sky_absent(SKY_TEXT);
    for (size_t j = 0; j < x->view.k; j++) {
        const sky__meta_column *c = sky__meta_find(&x->meta, x->view.objectives[j].name);
        if (c && c->role == SKY__PARAM)
            continue;
        x->values[n++] = number_or_absent(x, row, j, false);
        if (x->view.by_point)
            x->values[n++] = number_or_absent(x, row, j, true);
    }
    err = sky__emit_row(m, x->values, e);
    sqlite3_reset(x->params);
    return err;
}

sky_err sky_export_front(sky_fronts *f, const sky_export_options *o, uint64_t *rows, sky_error *e)
{
    front_export x = {.store = sky_fronts_store(f)};
    sky__emit m = {0};
    if (rows)
        *rows = 0;
    sky_err err = sky_fronts_view_get(f, &x.view, e);
    if (err == SKY_OK)
        err = sky__meta_load(x.store, sky_fronts_sweep(f), &x.meta, e);
    if (err == SKY_OK)
        err = front_columns(&x, e);
    if (err == SKY_OK)
        err = front_prepare(&x, e);
    if (err == SKY_OK)
        err = sky__emit_init(&m, o, x.names, x.n, e);
    m.fold_begin = x.view.by_point ? 2 : 1; /* after trial, or point and repeats */
    m.fold_end = m.fold_begin + x.n_params;
    for (size_t i = 0; err == SKY_OK && i < x.view.n && (!o->limit || i < o->limit); i++)
        err = front_row(&x, i, &m, e);
    if (err == SKY_OK)
        err = sky__emit_end(&m, e);
    if (rows)
        *rows = m.rows;
    sky__emit_fini(&m);
    sqlite3_finalize(x.params);
    sky_arena_free(&x.arena);
    sky__meta_free(&x.meta);
    return err;
}

/* ---- Some trials ---- */

static sky_value any_value(sqlite3_stmt *q, int c, bool boolean)
{
    switch (sqlite3_column_type(q, c)) {
    case SQLITE_INTEGER:
        return boolean ? sky_bool(sqlite3_column_int64(q, c) != 0)
                       : sky_int(sqlite3_column_int64(q, c));
    case SQLITE_FLOAT:
        return sky_real(sqlite3_column_double(q, c));
    case SQLITE_NULL:
        return sky_absent(SKY_TEXT);
    default:
        break;
    }
    const char *text = (const char *)sqlite3_column_text(q, c);
    return text ? sky_text(text) : sky_absent(SKY_TEXT);
}

static sky_err trial_rows(sky_store *s, sqlite3_stmt *q, const uint64_t *trials, size_t n,
                          const uint8_t *booleans, sky__emit *m, sky_error *e)
{
    sky_value values[SKY__META_COLUMNS_MAX + 1];
    sky_err err = SKY_OK;
    for (size_t i = 0; i < n && err == SKY_OK; i++) {
        bool row = false;
        if (m->o->cancelled && i % 1024 == 0 && m->o->cancelled(m->o->arg))
            return sky_fail(e, SKY_ECANCELLED, "cancelled");
        sqlite3_bind_int64(q, 1, (sqlite3_int64)trials[i]);
        err = sky__step(s, q, &row, e, "reading a trial");
        for (size_t c = 0; c < m->n && err == SKY_OK && row; c++)
            values[c] = any_value(q, (int)c, booleans[c]);
        if (err == SKY_OK && row)
            err = sky__emit_row(m, values, e);
        sqlite3_reset(q);
    }
    return err == SKY_OK ? sky__emit_end(m, e) : err;
}

sky_err sky_export_trials(sky_store *s, const char *sweep, const uint64_t *trials, size_t n,
                          const sky_export_options *o, uint64_t *rows, sky_error *e)
{
    sky__meta meta;
    sky__emit m = {0};
    sky_buf sql = {0};
    sqlite3_stmt *q = NULL;
    uint8_t booleans[SKY__META_COLUMNS_MAX + 1] = {0};
    const char *names[SKY__META_COLUMNS_MAX + 1];
    if (rows)
        *rows = 0;
    sky_err err = sky__meta_load(s, sweep, &meta, e);
    if (err != SKY_OK)
        return err;
    err = choose_columns(&meta, o, &sql, booleans, e);
    sky_buf_puts(&sql, " FROM ");
    sky_buf_sql_name(&sql, meta.name);
    sky_buf_puts(&sql, " WHERE trial = ?");
    if (err == SKY_OK)
        err = sky_buf_ok(&sql) ? sky__prepare(s, sky_buf_str(&sql), &q, e) : no_memory(s, e);
    const size_t n_columns = q ? (size_t)sqlite3_column_count(q) : 0;
    for (size_t c = 0; c < n_columns; c++)
        names[c] = sqlite3_column_name(q, (int)c);
    if (err == SKY_OK)
        err = sky__emit_init(&m, o, names, n_columns, e);
    if (err == SKY_OK)
        err = trial_rows(s, q, trials, n, booleans, &m, e);
    if (rows)
        *rows = m.rows;
    sky__emit_fini(&m);
    sqlite3_finalize(q);
    sky_buf_free(&sql);
    sky__meta_free(&meta);
    return err;
}

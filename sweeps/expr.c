/* The sandbox: one virtual table named `point` whose rows are the caller's columns. A virtual
 * table gives expressions the column types that the store's tables have, shows which columns
 * they use, and costs nothing for those they do not. */
#include "sweeps/expr.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sweeps/plan_internal.h"

enum { COLUMNS_MAX = SKY_PARAMS_MAX + SKY_METRICS_MAX + SKY_EXPRESSIONS_MAX };

struct sky__sql {
    sqlite3 *db;
    sky__sql_names names;
    size_t n_names;
    const char **list;         /* every column's name */
    const sky_column *columns; /* rows of the running query */
    size_t n_rows;
    uint8_t uses[COLUMNS_MAX]; /* filled by the authorizer while a statement compiles */
    int selects;
    const char *denied; /* why the authorizer said no; NULL: it did not */
    char denied_name[64];
};

struct sky__query {
    sky__sql *sql;
    sqlite3_stmt *statement; /* NULL: no expressions */
};

/* Scalar functions whose result is a function of their arguments, everywhere. */
static const char *const functions[] = {
    "abs",       "acos",   "asin",  "atan",    "atan2",  "ceil",   "ceiling",    "char",
    "coalesce",  "cos",    "cosh",  "degrees", "exp",    "floor",  "format",     "glob",
    "hex",       "ifnull", "iif",   "instr",   "length", "like",   "likelihood", "likely",
    "ln",        "log",    "log10", "log2",    "lower",  "ltrim",  "max",        "min",
    "mod",       "nullif", "pi",    "pow",     "power",  "printf", "quote",      "radians",
    "replace",   "round",  "rtrim", "sign",    "sin",    "sinh",   "sqrt",       "substr",
    "substring", "tan",    "tanh",  "trim",    "trunc",  "typeof", "unicode",    "unlikely",
    "upper",
};

/* ---- the virtual table ---- */

typedef struct table {
    sqlite3_vtab base;
    sky__sql *sql;
} table;

typedef struct cursor {
    sqlite3_vtab_cursor base;
    sky__sql *sql;
    size_t row;
} cursor;

static const char *affinity(sky_type type)
{
    return type == SKY_REAL ? "REAL" : type == SKY_TEXT ? "TEXT" : "INTEGER";
}

static char *declaration(const sky__sql *s)
{
    sky_buf b = {0};
    const sky_descriptor *job = s->names.job;
    sky_buf_puts(&b, "CREATE TABLE point(");
    for (size_t i = 0; i < s->n_names; i++) {
        sky_buf_puts(&b, i ? ", " : "");
        sky_buf_sql_name(&b, s->list[i]);
        if (i < job->n_params)
            sky_buf_printf(&b, " %s", affinity(job->params[i].type));
        else if (i < job->n_params + job->n_metrics)
            sky_buf_printf(&b, " %s", affinity(job->metrics[i - job->n_params].type));
    }
    sky_buf_puts(&b, s->n_names ? ")" : "\"\")"); /* a table has a column */
    char *text = sky_buf_detach(&b);
    sky_buf_free(&b);
    return text;
}

static int table_connect(sqlite3 *db, void *arg, int argc, const char *const *argv,
                         sqlite3_vtab **out, char **message)
{
    (void)argc, (void)argv, (void)message;
    char *sql = declaration(arg);
    int rc = sql ? sqlite3_declare_vtab(db, sql) : SQLITE_NOMEM;
    free(sql);
    if (rc != SQLITE_OK)
        return rc;
    table *t = sqlite3_malloc(sizeof *t);
    if (!t)
        return SQLITE_NOMEM;
    *t = (table){.sql = arg};
    *out = &t->base;
    return SQLITE_OK;
}

static int table_disconnect(sqlite3_vtab *t)
{
    sqlite3_free(t);
    return SQLITE_OK;
}

static int table_best_index(sqlite3_vtab *t, sqlite3_index_info *info)
{
    (void)t;
    info->estimatedCost = 1e6;
    return SQLITE_OK;
}

static int cursor_open(sqlite3_vtab *t, sqlite3_vtab_cursor **out)
{
    cursor *c = sqlite3_malloc(sizeof *c);
    if (!c)
        return SQLITE_NOMEM;
    *c = (cursor){.sql = ((table *)t)->sql};
    *out = &c->base;
    return SQLITE_OK;
}

static int cursor_close(sqlite3_vtab_cursor *c)
{
    sqlite3_free(c);
    return SQLITE_OK;
}

static int cursor_filter(sqlite3_vtab_cursor *c, int idx, const char *text, int argc,
                         sqlite3_value **argv)
{
    (void)idx, (void)text, (void)argc, (void)argv;
    ((cursor *)c)->row = 0;
    return SQLITE_OK;
}

static int cursor_next(sqlite3_vtab_cursor *c)
{
    ((cursor *)c)->row++;
    return SQLITE_OK;
}

static int cursor_eof(sqlite3_vtab_cursor *c)
{
    return ((cursor *)c)->row >= ((cursor *)c)->sql->n_rows;
}

static int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *out, int i)
{
    const cursor *c = (const cursor *)base;
    if ((size_t)i >= c->sql->names.job->n_params)
        return SQLITE_OK; /* NULL: metrics have no value yet */
    const sky_column *column = &c->sql->columns[i];
    if (column->absent && column->absent[c->row])
        return SQLITE_OK;
    if (column->type == SKY_TEXT)
        sqlite3_result_text(out, column->s[c->row], -1, SQLITE_STATIC);
    else if (column->type == SKY_REAL)
        sqlite3_result_double(out, column->f[c->row]);
    else
        sqlite3_result_int64(out, column->i[c->row]);
    return SQLITE_OK;
}

static int cursor_rowid(sqlite3_vtab_cursor *c, sqlite3_int64 *out)
{
    *out = (sqlite3_int64)((cursor *)c)->row;
    return SQLITE_OK;
}

/* xCreate is NULL: the table is there by its name alone, and cannot be created otherwise. */
static const sqlite3_module module = {
    .xConnect = table_connect,
    .xBestIndex = table_best_index,
    .xDisconnect = table_disconnect,
    .xOpen = cursor_open,
    .xClose = cursor_close,
    .xFilter = cursor_filter,
    .xNext = cursor_next,
    .xEof = cursor_eof,
    .xColumn = cursor_column,
    .xRowid = cursor_rowid,
};

/* ---- the authorizer ---- */

static int deny(sky__sql *s, const char *why, const char *name)
{
    if (!s->denied) {
        s->denied = why;
        snprintf(s->denied_name, sizeof s->denied_name, "%s", name ? name : "");
    }
    return SQLITE_DENY;
}

static int authorize(void *arg, int action, const char *a, const char *b, const char *database,
                     const char *trigger)
{
    (void)database, (void)trigger;
    sky__sql *s = arg;
    if (action == SQLITE_SELECT)
        return ++s->selects == 1 ? SQLITE_OK : deny(s, "subqueries are not allowed", NULL);
    if (action == SQLITE_READ) {
        if (strcmp(a, "point") != 0)
            return deny(s, "no such table", a);
        for (size_t i = 0; i < s->n_names; i++) {
            if (strcmp(b, s->list[i]) == 0) {
                s->uses[i] = 1;
                return SQLITE_OK;
            }
        }
        return b[0] ? deny(s, "no such column", b) : SQLITE_OK;
    }
    if (action == SQLITE_FUNCTION) {
        for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
            if (sqlite3_stricmp(b, functions[i]) == 0)
                return SQLITE_OK;
        return deny(s, "this function is not allowed", b);
    }
    return deny(s, "allowed is an expression", NULL);
}

/* ---- compiling ---- */

/* An expression goes between parentheses, so that it must not close them: `1) LIMIT (1` would
 * compile. Comments could hide what follows. */
static const char *shape_problem(const char *sql)
{
    int depth = 0;
    for (const char *s = sql; *s; s++) {
        if (*s == '\'' || *s == '"' || *s == '`' || *s == '[') {
            s = strchr(s + 1,
                       *s == '[' ? ']' : *s); /* a doubled quote reads as two strings: fine */
            if (!s)
                return "a quote does not end";
        } else if (*s == ';') {
            return "found ';'; allowed is one expression";
        } else if ((s[0] == '-' && s[1] == '-') || (s[0] == '/' && s[1] == '*')) {
            return "found a comment; allowed is an expression";
        } else if (*s == '(') {
            depth++;
        } else if (*s == ')' && --depth < 0) {
            return "a ')' without '('";
        }
    }
    return depth > 0 ? "a '(' is not closed" : NULL;
}

/* SQLite's message with a suggestion, where it is about a name. */
static sky_err fail_compile(sky__sql *s, const char *sql, sky_error *e)
{
    if (sqlite3_errcode(s->db) == SQLITE_NOMEM)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    static const char no_column[] = "no such column: ", no_function[] = "no such function: ";
    sky__found hint = {""};
    if (s->denied) {
        if (strcmp(s->denied, "this function is not allowed") == 0)
            hint = sky__suggest(s->denied_name, functions, sizeof functions / sizeof *functions);
        return sky_fail(e, SKY_EFORMAT, "\"%.120s\": %s%s%s%s", sql, s->denied,
                        s->denied_name[0] ? ": " : "", s->denied_name, hint.text);
    }
    const char *text = sqlite3_errmsg(s->db);
    if (strncmp(text, no_column, strlen(no_column)) == 0) {
        const char *word = text + strlen(no_column);
        hint = sky__suggest(word, s->list, s->n_names);
        if (!hint.text[0])
            snprintf(hint.text, sizeof hint.text, "; texts stand in single quotes: '...'");
    } else if (strncmp(text, no_function, strlen(no_function)) == 0) {
        hint = sky__suggest(text + strlen(no_function), functions,
                            sizeof functions / sizeof *functions);
    } else {
        for (size_t i = 0; i < s->n_names; i++) {
            size_t len = strlen(s->list[i]);
            const char *near = strstr(text, "near \"");
            if (near && sqlite3_keyword_check(s->list[i], (int)len) && strstr(near, s->list[i]))
                snprintf(hint.text, sizeof hint.text, "; write \"%.40s\", it is a word of SQL",
                         s->list[i]);
        }
    }
    return sky_fail(e, SKY_EFORMAT, "\"%.120s\": %.200s%s", sql, text, hint.text);
}

static sky_err compile(sky__sql *s, const char *sql, const char *shown, sqlite3_stmt **out,
                       sky_error *e)
{
    s->selects = 0;
    s->denied = NULL;
    if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) != SQLITE_OK)
        return fail_compile(s, shown, e);
    if (sqlite3_bind_parameter_count(*out) == 0)
        return SKY_OK;
    sqlite3_finalize(*out);
    *out = NULL;
    return sky_fail(e, SKY_EFORMAT, "\"%.120s\": found ?, :name, @name or $name; allowed are names",
                    shown);
}

/* One expression by itself. WHERE is where SQLite takes neither aggregates nor window functions. */
static sky_err check_one(sky__sql *s, const char *sql, size_t n_visible, sky_error *e)
{
    if (strlen(sql) > SKY__EXPRESSION_BYTES_MAX)
        return sky_fail(e, SKY_ELIMIT, "the expression is longer than allowed (16 KiB)");
    if (sql[strspn(sql, " \t\r\n")] == '\0')
        return sky_fail(e, SKY_EFORMAT, "found nothing; allowed is an expression");
    const char *problem = shape_problem(sql);
    if (problem)
        return sky_fail(e, SKY_EFORMAT, "\"%.120s\": %s", sql, problem);
    memset(s->uses, 0, sizeof s->uses);
    sky_buf b = {0};
    sky_buf_printf(&b, "SELECT 1 FROM point WHERE (%s)", sql);
    sqlite3_stmt *statement = NULL;
    sky_err err = sky_buf_ok(&b) ? compile(s, b.data, sql, &statement, e)
                                 : sky_fail(e, SKY_ENOMEM, "out of memory");
    sqlite3_finalize(statement);
    sky_buf_free(&b);
    for (size_t i = n_visible; err == SKY_OK && i < s->n_names; i++) {
        size_t n_params = s->names.job->n_params;
        if (s->uses[i])
            err = sky_fail(e, SKY_EFORMAT, "\"%.120s\": '%s' is a %smetric; allowed are %s", sql,
                           s->list[i], i >= n_params + s->names.job->n_metrics ? "derived " : "",
                           n_visible > n_params ? "parameters, metrics and derived metrics above it"
                                                : "parameters");
    }
    return err;
}

sky_err sky__query_new(sky__query **out, sky__sql *s, const char *const *expressions, size_t n,
                       size_t n_visible, uint8_t *uses, sky_error *e)
{
    sky_buf b = {0};
    sky_err err = SKY_OK;
    sky__query *q = calloc(1, sizeof *q);
    if (!q)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    q->sql = s;
    sky_buf_puts(&b, "SELECT (");
    for (size_t i = 0; i < n && err == SKY_OK; i++) {
        err = check_one(s, expressions[i], n_visible, e);
        for (size_t k = 0; uses && k < n_visible; k++)
            uses[k] |= s->uses[k];
        sky_buf_printf(&b, "%s(%s)", i ? " AND " : "", expressions[i]);
    }
    sky_buf_puts(&b, ") IS TRUE FROM point");
    if (err == SKY_OK && !sky_buf_ok(&b))
        err = sky_fail(e, SKY_ENOMEM, "out of memory");
    if (err == SKY_OK && n > 0)
        err = compile(s, b.data, expressions[0], &q->statement, e);
    sky_buf_free(&b);
    if (err == SKY_OK)
        *out = q;
    else
        sky__query_free(q);
    return err;
}

void sky__query_free(sky__query *q)
{
    if (q)
        sqlite3_finalize(q->statement);
    free(q);
}

sky_err sky__query_rows(sky__query *q, const sky_column *columns, size_t n, uint8_t *keep,
                        sky_error *e)
{
    if (!q->statement) {
        memset(keep, 1, n);
        return SKY_OK;
    }
    q->sql->columns = columns;
    q->sql->n_rows = n;
    size_t row = 0;
    int rc;
    while ((rc = sqlite3_step(q->statement)) == SQLITE_ROW) {
        assert(row < n);
        keep[row++] = sqlite3_column_int(q->statement, 0) != 0;
    }
    sky_err err = SKY_OK;
    if (rc != SQLITE_DONE)
        err = sky_fail(e, rc == SQLITE_NOMEM ? SKY_ENOMEM : SKY_EFAILED, "an expression failed: %s",
                       sqlite3_errmsg(q->sql->db));
    assert(err != SKY_OK || row == n);
    sqlite3_reset(q->statement);
    q->sql->columns = NULL;
    q->sql->n_rows = 0;
    return err;
}

/* ---- the connection ---- */

static sky_err gather_names(sky__sql *s, const sky__sql_names *names)
{
    const sky_descriptor *job = names->job;
    s->names = *names;
    size_t n = 0;
    s->list = calloc(COLUMNS_MAX, sizeof *s->list);
    if (!s->list)
        return SKY_ENOMEM;
    assert(job->n_params <= SKY_PARAMS_MAX && job->n_metrics <= SKY_METRICS_MAX);
    assert(names->n_derived <= SKY_EXPRESSIONS_MAX);
    for (size_t i = 0; i < job->n_params; i++)
        s->list[n++] = job->params[i].name;
    for (size_t i = 0; i < job->n_metrics; i++)
        s->list[n++] = job->metrics[i].name;
    for (size_t i = 0; i < names->n_derived; i++)
        s->list[n++] = names->derived[i].name;
    s->n_names = n;
    return SKY_OK;
}

static int set_up(sky__sql *s)
{
    sqlite3 *db = s->db;
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 1 << 20); /* format('%999999999d') must not eat memory */
    sqlite3_limit(db, SQLITE_LIMIT_EXPR_DEPTH, 200);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200); /* matching is quadratic in it */
    sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
    /* "abc" is a name, never a text: a misspelt name must not compare as one. */
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    int rc = sqlite3_create_module(db, "point", &module, s);
    sqlite3_stmt *first = NULL; /* declares the table, which the authorizer would forbid */
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, "SELECT 1 FROM point", -1, &first, NULL);
    sqlite3_finalize(first);
    return rc == SQLITE_OK ? sqlite3_set_authorizer(db, authorize, s) : rc;
}

sky_err sky__sql_open(sky__sql **out, const sky__sql_names *names, sky_error *e)
{
    sky__sql *s = calloc(1, sizeof *s);
    if (!s || gather_names(s, names) != SKY_OK) {
        sky__sql_close(s);
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    }
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(":memory:", &s->db, flags, NULL);
    if (rc == SQLITE_OK)
        rc = set_up(s);
    if (rc != SQLITE_OK) {
        sky_err code = rc == SQLITE_NOMEM ? SKY_ENOMEM : SKY_EFAILED;
        sky_err err = sky_fail(e, code, "cannot set up SQLite for expressions: %s",
                               s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc));
        sky__sql_close(s);
        return err;
    }
    *out = s;
    return SKY_OK;
}

void sky__sql_close(sky__sql *s)
{
    if (!s)
        return;
    sqlite3_close(s->db);
    free(s->list);
    free(s);
}

static sky_err check_list(sky__sql *s, const sky_expression *list, size_t n,
                          const sky__node *const *nodes, const char *what, size_t n_visible,
                          sky_error *e)
{
    for (size_t i = 0; i < n; i++) {
        sky_error why = {0};
        size_t seen =
            list[i].name[0] ? n_visible + i : n_visible; /* derived: those before it too */
        if (check_one(s, list[i].sql, seen, &why) != SKY_OK)
            return sky__node_fail_why(nodes[i], e, what, &why);
    }
    return SKY_OK;
}

sky_err sky__expressions_check(const sky_plan *p, const sky__expression_nodes *nodes, sky_error *e)
{
    if (p->n_where + p->n_derived + p->n_constraints == 0)
        return SKY_OK;
    const sky_descriptor *job = &p->job;
    const sky__sql_names names = {job, p->derived, p->n_derived};
    sky__sql *s = NULL;
    sky_err err = sky__sql_open(&s, &names, e);
    size_t n_own = job->n_params + job->n_metrics;
    if (err == SKY_OK)
        err = check_list(s, p->where, p->n_where, nodes->where, "where", job->n_params, e);
    if (err == SKY_OK)
        err = check_list(s, p->derived, p->n_derived, nodes->derived, "derived", n_own, e);
    if (err == SKY_OK)
        err = check_list(s, p->constraints, p->n_constraints, nodes->constraints, "constraints",
                         n_own + p->n_derived, e);
    sky__sql_close(s);
    return err;
}

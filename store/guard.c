#include "store/guard.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "store/store_internal.h"

enum {
    STEPS_BETWEEN_LOOKS = 1000, /* of SQLite's machine: some 10 microseconds */
    VALUE_BYTES_MAX = 64 << 20, /* of one text that an expression makes: printf('%*c', 1e9, 'x') */
    SQL_BYTES_MAX = 1 << 20,
};

struct sky_query {
    sky_store *store;
    sqlite3_stmt *stmt;
    size_t n;
    sky_query_options o;
    int64_t spent_ns, began_ns;
    bool stopped; /* by cancelled() */
    sky_buf hex;  /* the last BLOB */
};

/* ---- What may be said ---- */

static const char *const good_pragmas[] = {"table_info",    "table_xinfo", "table_list",
                                           "index_list",    "index_info",  "index_xinfo",
                                           "function_list", NULL};

static bool listed(const char *word, const char *const *list)
{
    for (; word && *list; list++) {
        if (strcasecmp(word, *list) == 0)
            return true;
    }
    return false;
}

static int decide(const sky_store *s, int action, const char *a, const char *b)
{
    static const char *const bad_functions[] = {"load_extension", "fts3_tokenizer", "readfile",
                                                "writefile",      "edit",           NULL};
    if (!s->guarded)
        return SQLITE_OK;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        return listed(b, bad_functions) ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_PRAGMA:
        return listed(a, good_pragmas) ? SQLITE_OK : SQLITE_DENY;
    default:
        return SQLITE_DENY;
    }
}

/* Stays installed: setting it anew would make SQLite compile every statement again. */
static int authorize(void *arg, int action, const char *a, const char *b, const char *db,
                     const char *trigger)
{
    sky_store *s = arg;
    (void)db;
    (void)trigger;
    const int verdict = decide(s, action, a, b);
    s->denied = s->denied || verdict != SQLITE_OK;
    return verdict;
}

/* A table that is a function (pragma_table_info, json_each) declares its columns when it is first used, by
 * a CREATE TABLE that the authorizer sees like any other. So the good ones are used once before. */
static void connect_functions(sky_store *s)
{
    for (size_t i = 0; good_pragmas[i]; i++) {
        char sql[80];
        snprintf(sql, sizeof sql, "SELECT 1 FROM pragma_%s", good_pragmas[i]);
        sqlite3_stmt *q = NULL;
        sqlite3_prepare_v2(s->db, sql, -1, &q, NULL);
        sqlite3_finalize(q);
    }
    sqlite3_stmt *q = NULL;
    sqlite3_prepare_v2(s->db, "SELECT 1 FROM json_each('[]'), json_tree('[]')", -1, &q, NULL);
    sqlite3_finalize(q);
}

static int look(void *arg)
{
    sky_query *q = arg;
    if (q->o.cancelled && q->o.cancelled(q->o.arg)) {
        q->stopped = true;
        return 1;
    }
    if (q->o.time_limit_ms == 0)
        return 0;
    return q->spent_ns + sky_clock_ns() - q->began_ns > q->o.time_limit_ms * SKY_NS_PER_MS;
}

static void enter(sky_query *q, int *length_before)
{
    q->store->guarded = true;
    q->store->denied = false;
    q->began_ns = sky_clock_ns();
    *length_before = sqlite3_limit(q->store->db, SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX);
    sqlite3_progress_handler(q->store->db, STEPS_BETWEEN_LOOKS, look, q);
}

static void leave(sky_query *q, int length_before)
{
    sqlite3_progress_handler(q->store->db, 0, NULL, NULL);
    sqlite3_limit(q->store->db, SQLITE_LIMIT_LENGTH, length_before);
    q->spent_ns += sky_clock_ns() - q->began_ns;
    q->store->guarded = false;
}

/* SQLite's own words: they name the column that is not there, or the word it stumbled over. */
static sky_err complain(sky_query *q, int rc, sky_error *e)
{
    if (rc == SQLITE_INTERRUPT && q->stopped)
        return sky_fail(e, SKY_ECANCELLED, "the query was cancelled");
    if (rc == SQLITE_INTERRUPT)
        return sky_fail(e, SKY_ETIMEOUT, "the query took longer than its limit of %u ms",
                        q->o.time_limit_ms);
    if ((rc & 0xff) == SQLITE_AUTH || q->store->denied)
        return sky_fail(e, SKY_EPERM, "only SELECT is allowed here, and it may only read: %s",
                        sqlite3_errmsg(q->store->db));
    if ((rc & 0xff) == SQLITE_ERROR)
        return sky_fail(e, SKY_EINVAL, "SQL: %s", sqlite3_errmsg(q->store->db));
    return sky__sql_fail(q->store, rc, e, "querying");
}

static sky_err compile(sky_query *q, const char *sql, sky_error *e)
{
    const char *tail = NULL;
    sqlite3_stmt *second = NULL;
    int rc = sqlite3_prepare_v2(q->store->db, sql, -1, &q->stmt, &tail);
    if (rc != SQLITE_OK)
        return complain(q, rc, e);
    if (!q->stmt)
        return sky_fail(e, SKY_EINVAL, "SQL: found nothing; expected a SELECT");
    if (sqlite3_column_count(q->stmt) == 0 || !sqlite3_stmt_readonly(q->stmt))
        return sky_fail(e, SKY_EPERM, "only SELECT is allowed here, and it may only read");
    if (sqlite3_bind_parameter_count(q->stmt) > 0)
        return sky_fail(e, SKY_EINVAL, "SQL: found the parameter %s; there are none here",
                        sqlite3_bind_parameter_name(q->stmt, 1)
                            ? sqlite3_bind_parameter_name(q->stmt, 1)
                            : "?");
    rc = sqlite3_prepare_v2(q->store->db, tail, -1, &second, NULL);
    if (rc == SQLITE_NOMEM)
        return complain(q, rc, e);
    const bool more = rc != SQLITE_OK || second;
    sqlite3_finalize(second);
    if (more)
        return sky_fail(e, SKY_EINVAL, "SQL: found '%.40s' after the statement; expected only one",
                        tail);
    q->n = (size_t)sqlite3_column_count(q->stmt);
    return SKY_OK;
}

/* The first use of a table-valued function on a connection declares its columns, which the
 * authorizer would see as a CREATE TABLE and refuse: use those that people need once before
 * anything is guarded. */
static void declare_functions(sqlite3 *db)
{
    sqlite3_exec(db, "SELECT 1 FROM json_each('[]'), json_tree('[]')", NULL, NULL, NULL);
}

sky_err sky_query_open(sky_query **out, sky_store *s, const char *sql, const sky_query_options *o,
                       sky_error *e)
{
    assert(out && s && sql);
    if (strlen(sql) > SQL_BYTES_MAX)
        return sky_fail(e, SKY_ELIMIT, "SQL: the statement is longer than 1 MiB");
    sky_query *q = calloc(1, sizeof *q);
    if (!q)
        return sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
    q->store = s;
    if (o)
        q->o = *o;
    if (!s->has_authorizer) {
        connect_functions(s);
        declare_functions(s->db);
        sqlite3_set_authorizer(s->db, authorize, s);
        s->has_authorizer = true;
    }
    int length;
    enter(q, &length);
    sky_err err = compile(q, sql, e);
    leave(q, length);
    if (err != SKY_OK) {
        sky_query_close(q);
        return err;
    }
    *out = q;
    return SKY_OK;
}

void sky_query_close(sky_query *q)
{
    if (!q)
        return;
    sqlite3_finalize(q->stmt);
    sky_buf_free(&q->hex);
    free(q);
}

size_t sky_query_columns(const sky_query *q)
{
    return q->n;
}

const char *sky_query_name(const sky_query *q, size_t column)
{
    const char *name = sqlite3_column_name(q->stmt, (int)column);
    return name ? name : "";
}

sky_err sky_query_step(sky_query *q, bool *row, sky_error *e)
{
    int length;
    enter(q, &length);
    int rc = sqlite3_step(q->stmt);
    sky_err err = rc == SQLITE_ROW || rc == SQLITE_DONE ? SKY_OK : complain(q, rc, e);
    leave(q, length);
    *row = rc == SQLITE_ROW;
    if (rc != SQLITE_ROW)
        sqlite3_reset(q->stmt); /* a finished reader must not hold the log back */
    return err;
}

sky_value sky_query_value(sky_query *q, size_t column)
{
    const int c = (int)column;
    const char *text;
    switch (sqlite3_column_type(q->stmt, c)) {
    case SQLITE_INTEGER:
        return sky_int(sqlite3_column_int64(q->stmt, c));
    case SQLITE_FLOAT:
        return sky_real(sqlite3_column_double(q->stmt, c));
    case SQLITE_TEXT:
        text = (const char *)sqlite3_column_text(q->stmt, c);
        return text ? sky_text(text) : sky_absent(SKY_TEXT);
    case SQLITE_BLOB:
        break;
    default:
        return sky_absent(SKY_TEXT);
    }
    const uint8_t *bytes = sqlite3_column_blob(q->stmt, c);
    const int len = sqlite3_column_bytes(q->stmt, c);
    sky_buf_reset(&q->hex);
    sky_buf_puts(&q->hex, "x'");
    for (int i = 0; i < len; i++)
        sky_buf_printf(&q->hex, "%02x", bytes[i]);
    sky_buf_putc(&q->hex, '\'');
    return sky_text(sky_buf_str(&q->hex));
}

/* ---- One expression ---- */

/* The end of what begins at s with an opening quote; NULL if it is not closed. SQL doubles a
 * quote to put it inside. */
static const char *skip_quoted(const char *s)
{
    const char quote = *s == '[' ? ']' : *s;
    for (s++; *s; s++) {
        if (*s != quote)
            continue;
        if (quote == ']' || s[1] != quote)
            return s + 1;
        s++;
    }
    return NULL;
}

sky_err sky_expression_check(const char *sql, const char *what, sky_error *e)
{
    size_t depth = 0;
    bool any = false;
    for (const char *s = sql; *s;) {
        if (strchr("'\"`[", *s)) {
            s = skip_quoted(s);
            if (!s)
                return sky_fail(e, SKY_EINVAL, "%s: \"%.200s\": a quote is not closed", what, sql);
            any = true;
            continue;
        }
        if ((s[0] == '-' && s[1] == '-') || (s[0] == '/' && s[1] == '*'))
            return sky_fail(e, SKY_EINVAL, "%s: \"%.200s\": found a comment", what, sql);
        if (*s == ';')
            return sky_fail(e, SKY_EINVAL, "%s: \"%.200s\": found ';', expected one expression",
                            what, sql);
        if (*s == ')' && depth == 0)
            return sky_fail(e, SKY_EINVAL, "%s: \"%.200s\": a ')' too many", what, sql);
        depth = *s == '(' ? depth + 1 : *s == ')' ? depth - 1 : depth;
        any = any || !strchr(" \t\r\n", *s);
        s++;
    }
    if (depth > 0)
        return sky_fail(e, SKY_EINVAL, "%s: \"%.200s\": a '(' is not closed", what, sql);
    if (!any)
        return sky_fail(e, SKY_EINVAL, "%s: found nothing, expected an expression", what);
    return SKY_OK;
}

/* `skyline results`, `sql` and `sweeps`: rows of the store. */
#include <inttypes.h>
#include <string.h>

#include "cli/columns_meta.h"
#include "cli/commands.h"
#include "cli/readguard.h"
#include "cli/readstore.h"

enum { TABLE_ROWS = 100 }; /* of a table unless --limit says otherwise */

/* ---- results ---- */

/* The SELECT list: --columns, or the trial and all that was declared. */
static sky_err add_columns(const cli_args *a, const cli_columns *columns, sky_buf *sql,
                           sky_error *e)
{
    const char *list = cli_text(a, "columns");
    if (!list) {
        sky_buf_puts(sql, "trial");
        for (size_t i = 0; i < columns->n; i++) {
            sky_buf_puts(sql, ", ");
            sky_buf_sql_name(sql, columns->c[i].name);
        }
        sky_buf_puts(sql, columns->constraints ? ", sky_feasible" : "");
    }
    for (const char *at = list; at && *at;) {
        char name[128];
        const size_t len = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", (int)len, at);
        const bool own = strcmp(name, "trial") == 0 || strncmp(name, "sky_", 4) == 0;
        if (!own && !cli_column_find(columns, name))
            return cli_column_unknown(columns, name, e);
        sky_buf_puts(sql, at == list ? "" : ", ");
        sky_buf_sql_name(sql, name);
        at += len + (at[len] == ',');
    }
    if (cli_flag(a, "times"))
        sky_buf_puts(sql, ", sky_wall_s");
    return SKY_OK;
}

static sky_err results_sql(const cli_args *a, const cli_columns *columns, const char *table,
                           sky_buf *sql, sky_error *e)
{
    sky_buf_puts(sql, "SELECT ");
    const sky_err err = add_columns(a, columns, sql, e);
    sky_buf_puts(sql, " FROM ");
    sky_buf_sql_name(sql, table);
    if (cli_text(a, "where")) /* the line end closes a comment in the expression */
        sky_buf_printf(sql, " WHERE (%s\n)", cli_text(a, "where"));
    sky_buf_printf(sql, " ORDER BY %s%strial",
                   cli_text(a, "order-by") ? cli_text(a, "order-by") : "",
                   cli_text(a, "order-by") ? "\n, " : "");
    if (cli_given(a, "limit") && cli_int(a, "limit") > 0)
        sky_buf_printf(sql, " LIMIT %lld", (long long)cli_int(a, "limit"));
    return err;
}

/* Says on standard error that a table was cut. */
static void say_cut(uint64_t rows, uint64_t shown)
{
    if (rows > shown)
        fprintf(stderr, "%" PRIu64 " of %" PRIu64 " rows; --limit 0 shows all\n", shown, rows);
}

static int run_query(const cli_args *a, sky_store *s, const char *sql, int64_t timeout_ns)
{
    sky_error e = {0};
    cli_guard guard;
    sqlite3_stmt *q = NULL;
    const char *rest = NULL;
    uint64_t rows = 0;
    const uint64_t rows_max = cli_given(a, "limit") ? 0 : TABLE_ROWS;
    cli_guard_set(&guard, s, timeout_ns);
    if (sqlite3_prepare_v2(guard.db, sql, -1, &q, &rest) != SQLITE_OK || !q) {
        const char *why = sqlite3_errmsg(guard.db);
        if (sqlite3_errcode(guard.db) == SQLITE_AUTH)
            return cli_usage(a, "only reading is allowed: %s", why);
        return cli_usage(a, "%s", q ? why : sql[0] ? why : "the query is empty");
    }
    int code = CLI_FAILURE;
    if (rest && rest[strspn(rest, " \t\r\n;")])
        code = cli_usage(a, "one statement at a time: unexpected '%.40s'", rest);
    else if (!sqlite3_stmt_readonly(q))
        code = cli_usage(a, "only reading is allowed");
    else if (cli_rows_print(q, cli_format_of(a), rows_max, &rows, &e) != SKY_OK)
        code = cli_fail(a, &e);
    else
        code = CLI_OK;
    sqlite3_finalize(q);
    if (code == CLI_OK && cli_format_of(a) == CLI_TABLE && rows_max)
        say_cut(rows, rows_max);
    return code;
}

static int run_results(const cli_args *a)
{
    sky_store *s = NULL;
    sky_sweep_info info = {0};
    sky_arena arena = {0};
    sky_error e = {0};
    sky_buf sql = {0};
    cli_columns columns;
    int code = CLI_FAILURE;
    if (!cli_store_read(a, &s))
        return code;
    if (!cli_store_sweep(a, s, a->operands[0], &info))
        goto done;
    if (cli_columns_read(s, info.id, &arena, &columns, &e) != SKY_OK) {
        code = cli_fail(a, &e);
    } else if (results_sql(a, &columns, info.name, &sql, &e) != SKY_OK) {
        code = cli_usage(a, "%s", e.text);
    } else {
        code = run_query(a, s, sky_buf_str(&sql), 0);
    }
done:
    sky_buf_free(&sql);
    sky_arena_free(&arena);
    sky_sweep_info_free(&info);
    sky_store_close(s);
    return code;
}

static const cli_opt results_opts[] = {
    CLI_OPT_DB,
    {.name = "where",
     .type = CLI_TEXT,
     .arg = "EXPR",
     .doc = "Only rows for which this SQL expression is true."},
    {.name = "order-by",
     .type = CLI_TEXT,
     .arg = "EXPR",
     .doc = "SQL: columns or expressions, each with ASC or DESC. Default: by trial."},
    {.name = "limit",
     .letter = 'n',
     .type = CLI_INT,
     .arg = "N",
     .min = 0,
     .max = INT64_MAX,
     .doc = "At most so many rows; 0: all. Default: 100 in a table, all in other formats."},
    {.name = "columns",
     .type = CLI_TEXT,
     .arg = "A,B,...",
     .doc = "Only these columns, in this order."},
    CLI_OPT_FORMAT,
    {.name = "times", .doc = "Add sky_wall_s, the seconds that each trial took."},
    {0},
};

const cli_command cli_results_command = {
    .name = "results",
    .summary = "print the recorded trials of a sweep",
    .operands = "SWEEP",
    .n_min = 1,
    .n_max = 1,
    .operand = CLI_SWEEP_NAME,
    .about =
        "Rows are printed as they are recorded, also while the sweep runs. Expressions are "
        "SQLite's, "
        "as in a sweep file. Without --times and with exact metrics, the output is the same bytes "
        "whatever machines ran the sweep.",
    .opts = results_opts,
    .examples =
        "skyline results flexsa-resnet50 --where \"energy_j < 0.1\" --order-by energy_j -n 10\n"
        "skyline results flexsa-resnet50 --format csv > flexsa.csv # everything\n",
    .run = run_results,
    .group = CLI_GROUP_LOOK,
};

/* ---- sql ---- */

static int run_sql(const cli_args *a)
{
    sky_store *s = NULL;
    if (!cli_store_read(a, &s))
        return CLI_FAILURE;
    const int code = run_query(a, s, a->operands[0], cli_duration_ns(a, "timeout"));
    sky_store_close(s);
    return code;
}

static const cli_opt sql_opts[] = {
    CLI_OPT_DB,
    CLI_OPT_FORMAT,
    {.name = "limit",
     .letter = 'n',
     .type = CLI_INT,
     .arg = "N",
     .min = 0,
     .max = 0x7fffffff,
     .doc = "0: all rows of a table, of which otherwise the first 100 are shown. Limit the query "
            "itself "
            "with LIMIT."},
    {.name = "timeout",
     .type = CLI_DURATION,
     .arg = "TIME",
     .def = "60s",
     .doc = "How long the query may take."},
    {0},
};

const cli_command cli_sql_command = {
    .name = "sql",
    .summary = "query the store with SQL, reading only",
    .operands = "QUERY",
    .n_min = 1,
    .n_max = 1,
    .about =
        "Each sweep is a table with its name: quote it (\"flexsa-resnet50\"). Its columns are "
        "trial, the "
        "parameters, the metrics, the derived metrics, sky_feasible, sky_wall_s and sky_env. The "
        "store's own tables (sky_sweeps, sky_failures, ...) are described in docs/store.md. "
        "Anything "
        "but reading is refused.",
    .opts = sql_opts,
    .examples =
        "skyline sql 'SELECT array, min(energy_j) FROM \"flexsa-resnet50\" GROUP BY array'\n"
        "skyline sql --format json 'SELECT name, state FROM sky_sweeps'\n",
    .run = run_sql,
    .group = CLI_GROUP_LOOK,
};

/* ---- sweeps ---- */

static int run_sweeps(const cli_args *a)
{
    sky_store *s = NULL;
    sky_error e = {0};
    sqlite3_stmt *q = NULL;
    static const char names[] = "SELECT name FROM sky_sweeps ORDER BY id";
    static const char all[] =
        "SELECT name, job, state, recorded, holes, failed, positions, "
        "datetime(created_ms / 1000, 'unixepoch') AS created, (SELECT group_concat(tag, ' ') FROM "
        "sky_tags WHERE sweep = id) AS tags, reason FROM sky_sweeps ORDER BY id";
    if (!cli_store_read(a, &s))
        return CLI_FAILURE;
    int code = CLI_OK;
    if (cli_prepare(s, cli_flag(a, "names") ? names : all, &q, &e) != SKY_OK) {
        code = cli_fail(a, &e);
    } else if (cli_flag(a, "names")) {
        while (sqlite3_step(q) == SQLITE_ROW)
            puts((const char *)sqlite3_column_text(q, 0));
    } else if (cli_rows_print(q, cli_flag(a, "json") ? CLI_JSON : CLI_TABLE, 0, NULL, &e) !=
               SKY_OK) {
        code = cli_fail(a, &e);
    }
    sqlite3_finalize(q);
    sky_store_close(s);
    return code;
}

static const cli_opt sweeps_opts[] = {
    CLI_OPT_DB,
    {.name = "names", .doc = "Print only the names, one a line."},
    CLI_OPT_JSON,
    {0},
};

const cli_command cli_sweeps_command = {
    .name = "sweeps",
    .summary = "list the sweeps of a store",
    .operands = "",
    .opts = sweeps_opts,
    .run = run_sweeps,
    .group = CLI_GROUP_LOOK,
};

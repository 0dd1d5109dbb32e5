/* `skyline results`, `sql` and `sweeps`: rows of the store. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/readstore.h"

enum { TABLE_ROWS = 100, COLUMNS_MAX = 1024 }; /* rows of a table unless --limit says otherwise */

/* ---- results ---- */

/* Splits "a,b,c" in place. */
static size_t split(char *list, const char **names, size_t max)
{
    size_t n = 0;
    for (char *at = list; at && n < max;) {
        names[n++] = at;
        at = strchr(at, ',');
        if (at)
            *at++ = 0;
    }
    return n;
}

static int run_results(const cli_args *a)
{
    sky_store *s = NULL;
    sky_error e = {0};
    uint64_t rows = 0;
    const char *names[COLUMNS_MAX];
    if (!cli_store_read(a, &s))
        return CLI_FAILURE;
    char *list = sky_strdup(cli_text(a, "columns"));
    sky_export_options o = cli_export_options(a, TABLE_ROWS);
    o.brief = true;
    o.where = cli_text(a, "where");
    o.order_by = cli_text(a, "order-by");
    o.system_columns = cli_flag(a, "times");
    o.exact_only = cli_flag(a, "exact");
    if (list) {
        o.columns = names;
        o.n_columns = split(list, names, COLUMNS_MAX);
    }
    const sky_err err = sky_export_sweep(s, a->operands[0], &o, &rows, &e);
    const int code = cli_export_end(a, &o, err, rows, &e);
    free(list);
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
    CLI_OPT_LIMIT("100"),
    {.name = "columns",
     .type = CLI_TEXT,
     .arg = "A,B,...",
     .doc = "Only these columns, in this order."},
    CLI_OPT_FORMAT,
    CLI_OPT_JSON_FORMAT,
    {.name = "times",
     .doc = "Add sky_wall_s (the seconds that each trial took), sky_env and "
            "sky_feasible."},
    {.name = "exact",
     .doc = "Of the metrics only exact ones: the same bytes, whatever machines ran the "
            "sweep."},
    {0},
};

const cli_command cli_results_command = {
    .name = "results",
    .summary = "print the recorded trials of a sweep",
    .operands = "SWEEP",
    .n_min = 1,
    .n_max = 1,
    .operand = CLI_SWEEP_NAME,
    .about = "Rows are those recorded so far, also while the sweep runs. Expressions are SQLite's, "
             "as in a "
             "sweep file.",
    .opts = results_opts,
    .examples =
        "skyline results flexsa-resnet50 --where \"batch = 64\" --order-by mj_per_sample -n 10\n"
        "skyline results flexsa-resnet50 --format csv > flexsa.csv # everything\n",
    .run = run_results,
    .group = CLI_GROUP_LOOK,
};

/* ---- sql ---- */

static int run_sql(const cli_args *a)
{
    sky_store *s = NULL;
    sky_error e = {0};
    uint64_t rows = 0;
    if (!cli_store_read(a, &s))
        return CLI_FAILURE;
    const int64_t ms = cli_duration_ns(a, "timeout") / 1000000;
    sky_export_options o = cli_export_options(a, 0);
    o.time_limit_ms = ms < 1 ? 1 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
    const sky_err err = sky_export_sql(s, a->operands[0], &o, &rows, &e);
    const int code = cli_export_end(a, &o, err, rows, &e);
    sky_store_close(s);
    return code;
}

static const cli_opt sql_opts[] = {
    CLI_OPT_DB,
    CLI_OPT_FORMAT,
    CLI_OPT_JSON_FORMAT,
    CLI_OPT_LIMIT_ALL,
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
        "skyline sql 'SELECT batch, max(pe_utilization) FROM \"flexsa-resnet50\" GROUP BY batch'\n"
        "skyline sql --format json 'SELECT name, state FROM sky_sweeps'\n",
    .run = run_sql,
    .group = CLI_GROUP_LOOK,
};

/* ---- sweeps ---- */

/* A sweep that is not done stays "running" in the store, for whoever goes on with it. */
#define SWEEPS(STATE)                                                                              \
    "SELECT name, job, " STATE " AS state, recorded, holes, failed, positions, "                   \
    "datetime(created_ms / 1000, 'unixepoch') AS created, (SELECT group_concat(tag, ' ') FROM "    \
    "sky_tags WHERE sweep = id) AS tags, reason FROM sky_sweeps ORDER BY id"

static int run_sweeps(const cli_args *a)
{
    sky_store *s = NULL;
    sky_error e = {0};
    if (!cli_store_read(a, &s))
        return CLI_FAILURE;
    sky_export_options o = cli_export_options(a, 0);
    const char *query = sky_store_has_writer(sky_store_path(s))
                            ? SWEEPS("state")
                            : SWEEPS("replace(state, 'running', 'interrupted')");
    if (cli_flag(a, "names")) { /* a table of one column without its heading is a name a line */
        query = "SELECT name FROM sky_sweeps ORDER BY id";
        o.format = SKY_FORMAT_TABLE;
        o.no_header = true;
    }
    const sky_err err = sky_export_sql(s, query, &o, NULL, &e);
    const int code = cli_export_end(a, &o, err, 0, &e);
    sky_store_close(s);
    return code;
}

static const cli_opt sweeps_opts[] = {
    CLI_OPT_DB,        {.name = "names", .doc = "Print only the names, one a line."},
    CLI_OPT_FORMAT,    CLI_OPT_JSON_FORMAT,
    CLI_OPT_LIMIT_ALL, {0},
};

const cli_command cli_sweeps_command = {
    .name = "sweeps",
    .summary = "list the sweeps of a store",
    .operands = "",
    .about =
        "A sweep is running, paused, done, cancelled, or interrupted: not done, and no process "
        "writes to the store; 'skyline run' of its file goes on with it.",
    .opts = sweeps_opts,
    .run = run_sweeps,
    .group = CLI_GROUP_LOOK,
};

/* `skyline failures`: which trials were set aside, and why. */
#include <inttypes.h>
#include <sqlite3.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/readstore.h"

enum { TABLE_ROWS = 100 };

static int print_log(const cli_args *a, sky_store *s, int64_t sweep)
{
    sqlite3_stmt *q = NULL;
    int code = CLI_FAILURE;
    static const char sql[] =
        "SELECT l.text FROM sky_failures f LEFT JOIN sky_logs l ON l.id = f.log "
        "WHERE f.sweep = ?1 AND f.trial = ?2";
    if (sqlite3_prepare_v2(sky_store_sqlite(s), sql, -1, &q, NULL) != SQLITE_OK)
        return cli_failf(a, "%s", sqlite3_errmsg(sky_store_sqlite(s)));
    sqlite3_bind_int64(q, 1, sweep);
    sqlite3_bind_int64(q, 2, cli_int(a, "log-of"));
    if (sqlite3_step(q) != SQLITE_ROW) {
        code = cli_failf(a, "trial %lld of %s did not fail", (long long)cli_int(a, "log-of"),
                         a->operands[0]);
    } else {
        const void *text = sqlite3_column_blob(q, 0);
        const size_t len = (size_t)sqlite3_column_bytes(q, 0);
        if (len)
            fwrite(text, 1, len, stdout);
        else
            fputs("It printed nothing.\n", stderr);
        code = CLI_OK;
    }
    sqlite3_finalize(q);
    return code;
}

static int print_list(const cli_args *a, sky_store *s, int64_t sweep)
{
    sky_error e = {0};
    char sql[256];
    uint64_t rows = 0;
    snprintf(sql, sizeof sql,
             "SELECT trial, kind, attempts, reason, datetime(at_ms / 1000, 'unixepoch') AS at "
             "FROM sky_failures WHERE sweep = %" PRId64 " ORDER BY trial",
             sweep);
    const sky_export_options o = cli_export_options(a, TABLE_ROWS);
    const sky_err err = sky_export_sql(s, sql, &o, &rows, &e);
    return cli_export_end(a, &o, err, rows, &e);
}

static int run_failures(const cli_args *a)
{
    sky_store *s = NULL;
    sky_sweep_info info = {0};
    int code = CLI_FAILURE;
    if (!cli_store_read(a, &s))
        return code;
    if (cli_store_sweep(a, s, a->operands[0], &info))
        code = cli_given(a, "log-of") ? print_log(a, s, info.id) : print_list(a, s, info.id);
    sky_sweep_info_free(&info);
    sky_store_close(s);
    return code;
}

static const cli_opt opts[] = {
    CLI_OPT_DB,
    {.name = "log-of",
     .type = CLI_INT,
     .arg = "TRIAL",
     .min = 0,
     .max = INT64_MAX,
     .doc = "Print what this trial wrote to standard error, its last 64 KiB."},
    CLI_OPT_LIMIT("100"),
    CLI_OPT_FORMAT,
    CLI_OPT_JSON_FORMAT,
    {0},
};

const cli_command cli_failures_command = {
    .name = "failures",
    .summary = "show which trials of a sweep failed, and why",
    .operands = "SWEEP",
    .n_min = 1,
    .n_max = 1,
    .operand = CLI_SWEEP_NAME,
    .about =
        "A trial is set aside once it used up its attempts. Its kind is error (the job said so), "
        "crash "
        "(a signal or an exit), timeout, memory or lost (its workers were lost again and again). "
        "'skyline retry' and 'skyline run --retry' try them again.",
    .opts = opts,
    .examples = "skyline failures mysweep # trial, kind, attempts, reason\n"
                "skyline failures mysweep --log-of 17 # what trial 17 printed\n",
    .run = run_failures,
    .group = CLI_GROUP_LOOK,
};

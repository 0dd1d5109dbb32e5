/* `skyline failures`: which trials were set aside, and why. */
#include <inttypes.h>
#include <string.h>

#include "cli/columns_meta.h"
#include "cli/commands.h"
#include "cli/readstore.h"

enum { TABLE_ROWS = 100 };

static int print_log(const cli_args *a, sky_store *s, int64_t sweep)
{
    sky_error e = {0};
    sqlite3_stmt *q = NULL;
    int code = CLI_FAILURE;
    if (cli_prepare(s,
                    "SELECT l.text FROM sky_failures f LEFT JOIN sky_logs l ON l.id = f.log "
                    "WHERE f.sweep = ?1 AND f.trial = ?2",
                    &q, &e) != SKY_OK)
        return cli_fail(a, &e);
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
    sqlite3_stmt *q = NULL;
    uint64_t rows = 0;
    const cli_format format = cli_flag(a, "json") ? CLI_JSON : cli_format_of(a);
    sky_err err = cli_prepare(s,
                              "SELECT trial, kind, attempts, reason, "
                              "datetime(at_ms / 1000, 'unixepoch') AS at "
                              "FROM sky_failures WHERE sweep = ?1 ORDER BY trial",
                              &q, &e);
    if (err == SKY_OK) {
        sqlite3_bind_int64(q, 1, sweep);
        err = cli_rows_print(q, format, cli_flag(a, "all") ? 0 : TABLE_ROWS, &rows, &e);
    }
    sqlite3_finalize(q);
    if (err != SKY_OK)
        return cli_fail(a, &e);
    if (format == CLI_TABLE && rows > TABLE_ROWS && !cli_flag(a, "all"))
        fprintf(stderr, "%d of %" PRIu64 " rows; --all shows all\n", TABLE_ROWS, rows);
    return CLI_OK;
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
    {.name = "all", .doc = "Show all rows of a table, not only the first 100."},
    CLI_OPT_FORMAT,
    CLI_OPT_JSON,
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

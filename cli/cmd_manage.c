/* Commands that care for a store: tag, delete, merge, backup, verify. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/readstore.h"
#include "cli/term.h"
#include "store/manage.h"

/* Opens --db for writing; unless `make`, the file must be there. */
static bool open_writer(const cli_args *a, bool make, sky_store **out)
{
    sky_error e = {0};
    const sky_store_options options = {.path = cli_text(a, "db"), .writer = true};
    if (!make && access(options.path, F_OK) != 0) {
        cli_failf(a, "%s: there is no such store", options.path);
        return false;
    }
    if (sky_store_open(out, &options, &e) == SKY_OK)
        return true;
    cli_fail(a, &e);
    return false;
}

/* ---- tag ---- */

static sky_err change_tags(const cli_args *a, sky_store *s, int64_t sweep, sky_error *e)
{
    sky_err err = SKY_OK;
    for (int i = 1; err == SKY_OK && i < a->n_operands; i++) {
        err = cli_flag(a, "remove") ? sky_store_tag_remove(s, sweep, a->operands[i], e)
                                    : sky_store_tag_add(s, sweep, a->operands[i], e);
    }
    return err == SKY_OK ? sky_store_commit(s, NULL, e) : err;
}

static sky_err list_tags(sky_store *s, int64_t sweep, sky_buf *out, sky_error *e)
{
    char **tags = NULL;
    size_t n = 0;
    const sky_err err = sky_store_tag_list(s, sweep, &tags, &n, e);
    for (size_t i = 0; err == SKY_OK && i < n; i++) {
        sky_buf_printf(out, "%s\n", tags[i]);
        free(tags[i]);
    }
    free(tags);
    return err;
}

static int run_tag(const cli_args *a)
{
    sky_store *s = NULL;
    sky_sweep_info info = {0};
    sky_error e = {0};
    sky_buf out = {0};
    const bool changes = a->n_operands > 1;
    int code = CLI_FAILURE;
    if (!(changes ? open_writer(a, false, &s) : cli_store_read(a, &s)))
        return code;
    if (cli_store_sweep(a, s, a->operands[0], &info)) {
        const sky_err err =
            changes ? change_tags(a, s, info.id, &e) : list_tags(s, info.id, &out, &e);
        code = err == SKY_OK ? cli_print(&out) : cli_fail(a, &e);
    }
    sky_buf_free(&out);
    sky_sweep_info_free(&info);
    sky_store_close(s);
    return code;
}

static const cli_opt tag_opts[] = {
    CLI_OPT_DB,
    {.name = "remove", .doc = "Remove the tags instead of adding them."},
    {0},
};

const cli_command cli_tag_command = {
    .name = "tag",
    .summary = "list, add or remove tags of a sweep",
    .operands = "SWEEP [TAG...]",
    .n_min = 1,
    .n_max = -1,
    .operand = CLI_SWEEP_NAME,
    .about = "Tags are words of yours, shown by 'skyline sweeps'. Changing them needs the store to "
             "itself: no coordinator and no run may have it. Tags that a sweep file lists are "
             "added when it is run.",
    .opts = tag_opts,
    .examples = "skyline tag mysweep # list them\n"
                "skyline tag mysweep paper figure-3 # add two\n",
    .run = run_tag,
    .group = CLI_GROUP_STORE,
};

/* ---- delete ---- */

/* On a terminal a person confirms with the sweep's name; a script says --yes. */
static bool confirmed(const cli_args *a, const sky_sweep_info *info)
{
    char answer[128] = "", n[32];
    if (cli_flag(a, "yes"))
        return true;
    if (!cli_is_terminal(STDIN_FILENO)) {
        cli_usage(a, "give --yes to delete without being asked");
        return false;
    }
    fprintf(stderr, "Delete %s with its %s trials? Type its name: ", info->name,
            sky_format_count(info->recorded, n, sizeof n));
    if (!fgets(answer, sizeof answer, stdin))
        return false;
    answer[strcspn(answer, "\n")] = 0;
    if (strcmp(answer, info->name) == 0)
        return true;
    fputs("Nothing was deleted.\n", stderr);
    return false;
}

static int run_delete(const cli_args *a)
{
    sky_store *s = NULL;
    sky_sweep_info info = {0};
    sky_error e = {0};
    int code = CLI_FAILURE;
    if (!open_writer(a, false, &s))
        return code;
    if (cli_store_sweep(a, s, a->operands[0], &info)) {
        if (!confirmed(a, &info))
            code = CLI_USAGE;
        else if (sky_store_sweep_delete(s, info.name, &e) != SKY_OK)
            code = cli_fail(a, &e);
        else
            code = CLI_OK;
    }
    sky_sweep_info_free(&info);
    sky_store_close(s);
    return code;
}

static const cli_opt delete_opts[] = {
    CLI_OPT_DB,
    {.name = "yes", .letter = 'y', .doc = "Do not ask."},
    {0},
};

const cli_command cli_delete_command = {
    .name = "delete",
    .summary = "delete a sweep and its results from a store",
    .operands = "SWEEP",
    .n_min = 1,
    .n_max = 1,
    .operand = CLI_SWEEP_NAME,
    .about = "The file keeps its size; the room is used again. Needs the store to itself: no "
             "coordinator "
             "and no run may have it.",
    .opts = delete_opts,
    .run = run_delete,
    .group = CLI_GROUP_STORE,
};

/* ---- merge ---- */

static void say_difference(void *arg, const char *sweep, uint64_t trial)
{
    (void)arg;
    fprintf(stderr, "%s: trial %" PRIu64 " differs in an exact metric; what was here stays\n",
            sweep, trial);
}

static int run_merge(const cli_args *a)
{
    sky_store *s = NULL;
    sky_error e = {0};
    sky_merge_report total = {0};
    int code = CLI_OK;
    for (int i = 0; i < a->n_operands; i++) { /* before an empty store is made for nothing */
        if (access(a->operands[i], R_OK) != 0)
            return cli_failf(a, "cannot open %s: %s", a->operands[i], strerror(errno));
    }
    if (!open_writer(a, true, &s))
        return CLI_FAILURE;
    for (int i = 0; code == CLI_OK && i < a->n_operands; i++) {
        sky_merge_report r = {0};
        if (sky_store_merge(s, a->operands[i], say_difference, NULL, &r, &e) != SKY_OK)
            code = cli_fail(a, &e);
        total.copied += r.copied;
        total.united += r.united;
        total.rows += r.rows;
        total.duplicates += r.duplicates;
        total.differing += r.differing;
        total.failures += r.failures;
    }
    sky_store_close(s);
    if (cli_flag(a, "json"))
        printf("{\"copied\":%zu,\"united\":%zu,\"rows\":%" PRIu64 ",\"duplicates\":%" PRIu64
               ",\"differing\":%" PRIu64 ",\"failures\":%" PRIu64 "}\n",
               total.copied, total.united, total.rows, total.duplicates, total.differing,
               total.failures);
    else
        printf("%zu sweeps copied, %zu united; %" PRIu64 " trials added, %" PRIu64
               " were here already, %" PRIu64 " of them different; %" PRIu64 " failures added\n",
               total.copied, total.united, total.rows, total.duplicates, total.differing,
               total.failures);
    return code == CLI_OK && total.differing ? CLI_FAILURE : code;
}

static const cli_opt merge_opts[] = {CLI_OPT_DB, CLI_OPT_JSON, {0}};

const cli_command cli_merge_command = {
    .name = "merge",
    .summary = "add the sweeps of other stores to this one",
    .operands = "FILE...",
    .n_min = 1,
    .n_max = -1,
    .operand = CLI_ANY_FILE,
    .about =
        "Sweeps of the same name and plan are united trial by trial; a sweep of the same name and "
        "another plan is refused and nothing of that file is added. The store is made if there is "
        "none. Exit code 1 where a trial is in both with different exact metrics.",
    .opts = merge_opts,
    .examples = "skyline merge node7.db node8.db --db all.db\n",
    .run = run_merge,
    .group = CLI_GROUP_STORE,
};

/* ---- backup ---- */

static bool say_progress(void *arg, uint64_t done, uint64_t total)
{
    char a[32], b[32];
    (void)arg;
    if (cli_is_terminal(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%s of %s", sky_format_bytes(done, a, sizeof a),
                sky_format_bytes(total, b, sizeof b));
    return true;
}

static int run_backup(const cli_args *a)
{
    sky_store *s = NULL;
    sky_error e = {0};
    const sky_backup_options options = {
        .path = a->operands[0],
        .replace = cli_flag(a, "replace"),
        .progress = say_progress,
    };
    if (!cli_store_read(a, &s))
        return CLI_FAILURE;
    const sky_err err = sky_store_backup(s, &options, &e);
    if (cli_is_terminal(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    sky_store_close(s);
    return err == SKY_OK ? CLI_OK : cli_fail(a, &e);
}

static const cli_opt backup_opts[] = {
    CLI_OPT_DB,
    {.name = "replace",
     .doc = "Replace the copy where there is one already, in one step at the end."},
    {0},
};

const cli_command cli_backup_command = {
    .name = "backup",
    .summary = "copy a store, also while it is written",
    .operands = "FILE",
    .n_min = 1,
    .n_max = 1,
    .operand = CLI_ANY_FILE,
    .opts = backup_opts,
    .examples = "skyline backup /backup/results.db --db results.db --replace\n",
    .run = run_backup,
    .group = CLI_GROUP_STORE,
};

/* ---- verify ---- */

static void say_problem(void *arg, const char *text)
{
    (void)arg;
    printf("%s\n", text);
}

static int run_verify(const cli_args *a)
{
    sky_store *s = NULL;
    sky_error e = {0};
    uint64_t problems = 0;
    if (!cli_store_read(a, &s))
        return CLI_FAILURE;
    const sky_err err = sky_store_verify(s, say_problem, NULL, &problems, &e);
    sky_store_close(s);
    if (err != SKY_OK)
        return cli_fail(a, &e);
    if (problems == 0) {
        puts("ok");
        return CLI_OK;
    }
    return cli_failf(a, "%" PRIu64 " problems", problems);
}

static const cli_opt verify_opts[] = {CLI_OPT_DB, {0}};

const cli_command cli_verify_command = {
    .name = "verify",
    .summary = "check that a store is whole",
    .operands = "",
    .about = "SQLite's integrity check, then what Skyline promises: every recorded trial is there "
             "once and "
             "in a commit record, counters agree, nothing belongs to a sweep that is gone.",
    .opts = verify_opts,
    .run = run_verify,
    .group = CLI_GROUP_STORE,
};

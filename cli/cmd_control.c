/* Commands that ask a coordinator: submit, status, pause, resume, cancel, retry, priority,
 * shutdown. */
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/plans.h"
#include "cli/precheck.h"
#include "cli/progress.h"
#include "cli/statusview.h"
#include "cli/term.h"

enum { POLL_MS = 500, WATCH_MS = 1000 };

static void sleep_ms(int ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * SKY_NS_PER_MS};
    nanosleep(&t, NULL);
}

/* Asks, and prints the reply: its text, or with --json its JSON. */
static int ask_and_print(const cli_args *a, const sky_msg_request *request)
{
    sky_arena arena = {0};
    sky_error e = {0};
    sky_msg_reply reply;
    int code = CLI_FAILURE;
    if (cli_ask(a, request, &arena, &reply, &e) != SKY_OK)
        code = cli_fail(a, &e);
    else if (puts(cli_flag(a, "json") && reply.json[0] ? reply.json : reply.text) >= 0)
        code = CLI_OK;
    sky_arena_free(&arena);
    return code;
}

/* ---- submit ---- */

/* Polls until the sweep is at rest. Standard error shows the progress. */
static int wait_for(const cli_args *a, const char *name)
{
    cli_progress progress;
    cli_progress_start(&progress, NULL, name);
    for (;;) {
        sky_arena arena = {0};
        sky_error e = {0};
        sky_msg_reply reply;
        cli_status status = {0};
        const sky_msg_request request = {.kind = SKY_REQUEST_STATUS, .sweep = name};
        const sky_err err = cli_ask(a, &request, &arena, &reply, &e);
        if (err == SKY_OK && cli_status_parse(&status, reply.json, name)) {
            cli_progress_update(&progress, &status.progress, sky_clock_ns());
        } else if (err != SKY_ETIMEOUT) { /* a coordinator that restarts comes back */
            cli_progress_end(&progress);
            sky_arena_free(&arena);
            return err == SKY_OK ? cli_failf(a, "the coordinator's status is not understood")
                                 : cli_fail(a, &e);
        }
        sky_arena_free(&arena);
        if (status.state[0] && strcmp(status.state, "running") != 0) {
            cli_progress_end(&progress);
            printf("%s is %s%s%s: %" PRIu64 " of %" PRIu64 " settled, %" PRIu64 " failed\n", name,
                   status.state, status.reason[0] ? " because " : "", status.reason,
                   status.progress.done, status.progress.total, status.progress.failed);
            return strcmp(status.state, "done") == 0 && status.progress.failed == 0 ? CLI_OK
                                                                                    : CLI_FAILURE;
        }
        sleep_ms(POLL_MS);
    }
}

static int run_submit(const cli_args *a)
{
    sky_plan *plan = NULL;
    int code = CLI_FAILURE;
    if (!cli_read_plan(a, a->operands[0], &plan, &code))
        return code;
    code = cli_precheck_run(a, plan);
    if (code != CLI_OK) {
        sky_plan_free(plan);
        return code;
    }
    const sky_msg_request request = {
        .kind = SKY_REQUEST_SUBMIT,
        .sweep = sky_plan_name(plan),
        .text = sky_plan_text(plan),
    };
    code = ask_and_print(a, &request);
    if (code == CLI_OK && cli_flag(a, "wait"))
        code = wait_for(a, sky_plan_name(plan));
    sky_plan_free(plan);
    return code;
}

static const cli_opt submit_opts[] = {
    CLI_OPT_CONNECT,
    CLI_OPT_KEYS,
    CLI_OPT_TIMEOUT,
    CLI_OPT_SET,
    CLI_OPT_NAME,
    CLI_OPT_UNCHECKED,
    {.name = "wait", .doc = "Wait until the sweep is done; exit code 1 if a trial failed."},
    CLI_OPT_PLUGIN,
    CLI_OPT_JSON,
    {0},
};

const cli_command cli_submit_command = {
    .name = "submit",
    .summary = "give a sweep to a coordinator",
    .operands = "SWEEP.yaml",
    .n_min = 1,
    .n_max = 1,
    .operand = CLI_SWEEP_FILE,
    .about =
        "The file is read and checked here, with CSV files and overrides resolved; the coordinator "
        "and the workers need no copy of it. Files that a job reads itself, such as a network, "
        "are looked at here too, and must be at the same place on the workers. Submitting a sweep "
        "again goes on where it stopped.",
    .opts = submit_opts,
    .examples = "skyline submit sweep.yaml --connect tcp://login1:7733 # and return\n"
                "skyline submit sweep.yaml --wait # and follow it\n",
    .run = run_submit,
    .group = CLI_GROUP_CLUSTER,
};

/* ---- status ---- */

static int status_once(const cli_args *a, bool watch)
{
    sky_arena arena = {0};
    sky_error e = {0};
    sky_msg_reply reply;
    sky_buf out = {0};
    int code;
    const sky_msg_request request = {
        .kind = SKY_REQUEST_STATUS,
        .sweep = a->n_operands ? a->operands[0] : "",
    };
    const sky_err err = cli_ask(a, &request, &arena, &reply, &e);
    if (err != SKY_OK) {
        code = cli_fail(a, &e);
    } else {
        if (watch)
            sky_buf_puts(&out, "\033[H\033[J");
        if (cli_flag(a, "json"))
            sky_buf_printf(&out, "%s\n", reply.json);
        else
            cli_status_print(reply.json, &out, cli_colour(STDOUT_FILENO));
        code = cli_print(&out);
    }
    sky_arena_free(&arena);
    return code;
}

static int run_status(const cli_args *a)
{
    if (!cli_flag(a, "watch"))
        return status_once(a, false);
    const bool clear = cli_is_terminal(STDOUT_FILENO) && !cli_flag(a, "json");
    for (;;) {
        const int code = status_once(a, clear);
        if (code != CLI_OK)
            return code;
        sleep_ms(WATCH_MS);
    }
}

static const cli_opt status_opts[] = {
    CLI_OPT_CONNECT, CLI_OPT_KEYS,
    CLI_OPT_TIMEOUT, {.name = "watch", .doc = "Show it again every second until Ctrl-C."},
    CLI_OPT_JSON,    {0},
};

const cli_command cli_status_command = {
    .name = "status",
    .summary = "show the sweeps and workers of a coordinator",
    .operands = "[SWEEP]",
    .n_max = 1,
    .operand = CLI_SWEEP_NAME,
    .opts = status_opts,
    .examples = "skyline status --connect tcp://login1:7733\n"
                "skyline status --watch # every second\n",
    .run = run_status,
    .group = CLI_GROUP_CLUSTER,
};

/* ---- The small ones ---- */

static int run_pause(const cli_args *a)
{
    return ask_and_print(a, &(sky_msg_request){.kind = SKY_REQUEST_PAUSE, .sweep = a->operands[0]});
}

static int run_resume(const cli_args *a)
{
    return ask_and_print(a,
                         &(sky_msg_request){.kind = SKY_REQUEST_RESUME, .sweep = a->operands[0]});
}

static int run_cancel(const cli_args *a)
{
    return ask_and_print(a,
                         &(sky_msg_request){.kind = SKY_REQUEST_CANCEL, .sweep = a->operands[0]});
}

static const char *const kinds[] = {"all", "error", "crash", "timeout", "memory", "lost", NULL};

static int run_retry(const cli_args *a)
{
    sky_msg_request request = {.kind = SKY_REQUEST_RETRY, .sweep = a->operands[0], .number = -1};
    for (int i = 1; kinds[i]; i++) { /* in the order of sky_failure_kind */
        if (strcmp(kinds[i], cli_text(a, "kind")) == 0)
            request.number = i - 1;
    }
    return ask_and_print(a, &request);
}

static int run_priority(const cli_args *a)
{
    sky_msg_request request = {.kind = SKY_REQUEST_PRIORITY, .sweep = a->operands[0]};
    if (sky_parse_i64(a->operands[1], &request.number) != SKY_OK || request.number < -1000000 ||
        request.number > 1000000)
        return cli_usage(a, "'%s' is not a whole number within a million", a->operands[1]);
    return ask_and_print(a, &request);
}

static int run_shutdown(const cli_args *a)
{
    return ask_and_print(a, &(sky_msg_request){.kind = SKY_REQUEST_SHUTDOWN});
}

static const cli_opt control_opts[] = {
    CLI_OPT_CONNECT, CLI_OPT_KEYS, CLI_OPT_TIMEOUT, CLI_OPT_JSON, {0}};

static const cli_opt retry_opts[] = {
    {.name = "kind",
     .type = CLI_CHOICE,
     .arg = "KIND",
     .choices = kinds,
     .def = "all",
     .doc = "Only trials that failed in this way: error, crash, timeout, memory or lost."},
    CLI_OPT_CONNECT,
    CLI_OPT_KEYS,
    CLI_OPT_TIMEOUT,
    CLI_OPT_JSON,
    {0},
};

#define SWEEP_COMMAND(NAME, SUMMARY, ABOUT, RUN)                                                   \
    {                                                                                              \
        .name = NAME, .summary = SUMMARY, .operands = "SWEEP", .n_min = 1, .n_max = 1,             \
        .operand = CLI_SWEEP_NAME, .about = ABOUT, .opts = control_opts, .run = RUN,               \
        .group = CLI_GROUP_CLUSTER,                                                                \
    }

const cli_command cli_pause_command =
    SWEEP_COMMAND("pause", "hand out no more trials of a sweep",
                  "Trials that run are finished and recorded.", run_pause);
const cli_command cli_resume_command =
    SWEEP_COMMAND("resume", "go on with a paused or cancelled sweep", NULL, run_resume);
const cli_command cli_cancel_command =
    SWEEP_COMMAND("cancel", "stop a sweep and its running trials",
                  "What was recorded stays; 'skyline resume' goes on with the rest.", run_cancel);

const cli_command cli_retry_command = {
    .name = "retry",
    .summary = "try the failed trials of a sweep again",
    .operands = "SWEEP",
    .n_min = 1,
    .n_max = 1,
    .operand = CLI_SWEEP_NAME,
    .about = "Trials that used up their attempts get fresh ones. Without a coordinator, use "
             "'skyline run "
             "SWEEP.yaml --retry'.",
    .opts = retry_opts,
    .run = run_retry,
    .group = CLI_GROUP_CLUSTER,
};

const cli_command cli_priority_command = {
    .name = "priority",
    .summary = "change a sweep's priority: higher goes first",
    .operands = "SWEEP NUMBER",
    .n_min = 2,
    .n_max = 2,
    .operand = CLI_SWEEP_NAME,
    .opts = control_opts,
    .run = run_priority,
    .group = CLI_GROUP_CLUSTER,
};

const cli_command cli_shutdown_command = {
    .name = "shutdown",
    .summary = "stop a coordinator in order",
    .operands = "",
    .about =
        "Everything that arrived is recorded first. Workers wait for it to come back unless it was "
        "started with --stop-workers.",
    .opts = control_opts,
    .run = run_shutdown,
    .group = CLI_GROUP_CLUSTER,
};

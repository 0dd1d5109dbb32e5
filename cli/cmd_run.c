/* `skyline run`: coordinator and store in this process, one worker process, one socket in a
 * private folder. The life of a run is a few states; callbacks note what happened and run_step()
 * moves on:
 *
 *   RUNNING --(done, paused, error)--> ENDING --(worker gone)--> CLOSED
 *   RUNNING --(Ctrl-C)--> DRAINING: no more leases; running trials get a grace --> ENDING
 *
 * Whatever happens, the store only ever holds what was committed: the same command goes on from
 * there. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/dashlive.h"
#include "cli/livefront.h"
#include "cli/plans.h"
#include "cli/precheck.h"
#include "cli/progress.h"
#include "cli/summary.h"
#include "cli/workproc.h"
#include "coordinator/coordinator.h"

enum {
    TICK_MS = 100,
    END_WAIT_MS = 3000, /* for the worker to end after its last trial */
};

typedef enum run_phase { RUNNING, DRAINING, ENDING, CLOSED } run_phase;

typedef struct run {
    const cli_args *args;
    uv_loop_t loop;
    uv_signal_t interrupt, terminate, hangup;
    uv_timer_t tick, deadline;
    sky_store *store;
    sky_coordinator *coordinator;
    sky_dash *dash; /* NULL: not asked for */
    cli_workproc worker;
    bool worker_gone, worker_started;
    cli_progress progress;
    cli_livefront *front; /* NULL: no objectives */
    run_phase phase;
    int64_t sweep;
    uint64_t recorded_before; /* in the store: of more repeats too, if there were more */
    int64_t started_ns, front_size;
    bool interrupted, failed;
    char error[SKY_ERROR_TEXT_MAX];
    char folder[64];
    char endpoint[96];
} run;

/* ---- The private folder ---- */

static bool make_folder(run *r)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    struct stat st;
    /* A socket's name may have 107 bytes; a longer folder would not do. */
    if (!base || strlen(base) > 40 || stat(base, &st) != 0 || !S_ISDIR(st.st_mode) ||
        access(base, W_OK) != 0)
        base = "/tmp";
    snprintf(r->folder, sizeof r->folder, "%s/skyline-XXXXXX", base);
    if (!mkdtemp(r->folder)) { /* mode 0700 */
        cli_failf(r->args, "cannot make a folder in %s: %s", base, strerror(errno));
        r->folder[0] = 0;
        return false;
    }
    snprintf(r->endpoint, sizeof r->endpoint, "ipc://%s/hub", r->folder);
    return true;
}

static void remove_folder(run *r)
{
    char path[96];
    if (!r->folder[0])
        return;
    snprintf(path, sizeof path, "%s/hub", r->folder);
    unlink(path);
    rmdir(r->folder);
}

/* ---- Phases ---- */

static void stop_loop_handles(run *r)
{
    uv_handle_t *const handles[] = {(uv_handle_t *)&r->interrupt, (uv_handle_t *)&r->terminate,
                                    (uv_handle_t *)&r->hangup, (uv_handle_t *)&r->tick,
                                    (uv_handle_t *)&r->deadline};
    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++) {
        if (!uv_is_closing(handles[i]))
            uv_close(handles[i], NULL);
    }
}

/* Commits what arrived and closes everything; the loop then runs out of handles. */
static void close_all(run *r)
{
    sky_error e = {0};
    if (r->phase == CLOSED)
        return;
    r->phase = CLOSED;
    sky_dash_close(r->dash); /* it asks the coordinator */
    r->dash = NULL;
    if (sky_coordinator_close(r->coordinator, false, &e) != SKY_OK && !r->failed) {
        r->failed = true;
        snprintf(r->error, sizeof r->error, "%s", e.text);
    }
    r->coordinator = NULL;
    cli_workproc_close(&r->worker);
    stop_loop_handles(r);
}

static void on_deadline(uv_timer_t *timer)
{
    run *r = timer->data;
    if (r->phase == DRAINING) { /* the grace is over: what still runs is killed and returned */
        r->phase = ENDING;
        sky_coordinator_stop_workers(r->coordinator, true);
        uv_timer_start(timer, on_deadline, END_WAIT_MS, 0);
    } else {
        close_all(r);
    }
}

/* Nothing more to do: the worker ends, then everything. */
static void begin_end(run *r)
{
    if (r->phase >= ENDING)
        return;
    r->phase = ENDING;
    if (!r->worker_started || r->worker_gone) {
        close_all(r);
        return;
    }
    sky_coordinator_stop_workers(r->coordinator, true);
    uv_timer_start(&r->deadline, on_deadline, END_WAIT_MS, 0);
    cli_workproc_expect_end(&r->worker);
}

static void fail_run(run *r, const char *text)
{
    if (!r->failed)
        snprintf(r->error, sizeof r->error, "%s", text);
    r->failed = true;
    begin_end(r);
}

/* ---- Callbacks ---- */

static void on_worker_line(void *arg, const char *line)
{
    run *r = arg;
    cli_progress_say(&r->progress, line);
}

static void on_worker_gone(void *arg, bool expected, const char *reason)
{
    run *r = arg;
    r->worker_gone = true;
    if (!expected) {
        snprintf(r->error, sizeof r->error, "%s again and again", reason);
        r->failed = true;
    }
    close_all(r);
}

static void on_sweep(void *arg, int64_t sweep, sky_sweep_state state, const char *reason)
{
    run *r = arg;
    if (sweep != r->sweep || state == SKY_SWEEP_RUNNING || r->phase != RUNNING)
        return;
    if (state == SKY_SWEEP_DONE)
        begin_end(r);
    else
        fail_run(r, reason && reason[0] ? reason : "the sweep was stopped");
}

static void on_store_error(void *arg, const sky_error *e)
{
    fail_run(arg, e->text);
}

static void on_signal(uv_signal_t *handle, int number)
{
    run *r = handle->data;
    if (r->interrupted || r->phase != RUNNING) { /* the second time: at once, but still in order */
        r->interrupted = true;
        close_all(r);
        return;
    }
    r->interrupted = true;
    r->phase = DRAINING;
    const int64_t grace_ms = cli_duration_ns(r->args, "grace") / SKY_NS_PER_MS;
    char text[160];
    snprintf(text, sizeof text,
             "stopping (%s): running trials have %.3g s to finish; once more ends at once",
             number == SIGINT ? "Ctrl-C" : strsignal(number), (double)grace_ms / 1e3);
    cli_progress_say(&r->progress, text);
    sky_coordinator_stop_workers(r->coordinator, false);
    uv_timer_start(&r->deadline, on_deadline, (uint64_t)grace_ms, 0);
    cli_workproc_expect_end(&r->worker);
}

static void on_tick(uv_timer_t *timer)
{
    run *r = timer->data;
    sky_sweep_status s;
    if (r->phase == CLOSED || r->progress.mode == CLI_PROGRESS_NONE ||
        sky_coordinator_sweep(r->coordinator, r->sweep, &s) != SKY_OK)
        return;
    const int64_t now = sky_clock_ns();
    if (now < r->progress.next_ns)
        return;
    const cli_progress_state state = {
        .done = s.recorded + s.holes + s.failed,
        .total = s.positions,
        .failed = s.failed,
        .rate = s.rate,
        .eta_s = s.eta_s,
        .front = cli_livefront_size(r->front),
        .note = r->phase == RUNNING ? s.reason : "stopping",
    };
    cli_progress_update(&r->progress, &state, now);
}

/* ---- Start ---- */

static void init_loop(run *r)
{
    uv_loop_init(&r->loop);
    uv_signal_init(&r->loop, &r->interrupt);
    uv_signal_init(&r->loop, &r->terminate);
    uv_signal_init(&r->loop, &r->hangup);
    uv_timer_init(&r->loop, &r->tick);
    uv_timer_init(&r->loop, &r->deadline);
    r->interrupt.data = r->terminate.data = r->hangup.data = r->tick.data = r->deadline.data = r;
    uv_signal_start(&r->interrupt, on_signal, SIGINT);
    uv_signal_start(&r->terminate, on_signal, SIGTERM);
    uv_signal_start(&r->hangup, on_signal, SIGHUP);
}

static sky_err open_coordinator(run *r, sky_error *e)
{
    const sky_coordinator_options o = {
        .loop = &r->loop,
        .store = r->store,
        .endpoint = r->endpoint,
        .idle_sweeps = true,
        .on_sweep = on_sweep,
        .on_error = on_store_error,
        .arg = r,
    };
    return sky_coordinator_open(&r->coordinator, &o, e);
}

static sky_err start_worker(run *r, sky_error *e)
{
    r->worker = (cli_workproc){
        .loop = &r->loop,
        .endpoint = sky_coordinator_endpoint(r->coordinator),
        .plugins = cli_list(r->args, "plugin"),
        .log_level = cli_text(r->args, "log"),
        .slots = cli_given(r->args, "jobs") ? cli_int(r->args, "jobs") : 0,
        .on_line = on_worker_line,
        .on_gone = on_worker_gone,
        .arg = r,
    };
    r->worker_started = true;
    return cli_workproc_start(&r->worker, e);
}

/* Submits, and starts what is needed to go on; *plan is taken. */
static sky_err start(run *r, sky_plan **plan, sky_error *e)
{
    sky_submitted how;
    sky_sweep_status s;
    sky_plan *taken = *plan;
    *plan = NULL;
    sky_err err = sky_coordinator_submit(r->coordinator, taken, &r->sweep, &how, e);
    if (err != SKY_OK)
        return err;
    if (cli_flag(r->args, "retry")) {
        err = sky_coordinator_sweep(r->coordinator, r->sweep, &s);
        if (err == SKY_OK && s.failed)
            err = sky_coordinator_retry(r->coordinator, s.name, -1, NULL, e);
        if (err != SKY_OK)
            return err;
    }
    err = sky_coordinator_sweep(r->coordinator, r->sweep, &s);
    if (err != SKY_OK)
        return sky_fail(e, err, "the sweep is not there: %s", sky_strerror(err));
    sky_sweep_info info = {0};
    err = sky_store_sweep_find(r->store, s.name, &info, e);
    if (err != SKY_OK)
        return err;
    r->recorded_before = info.recorded;
    sky_sweep_info_free(&info);
    cli_progress_start(&r->progress, cli_text(r->args, "progress"), s.name);
    if (how == SKY_SUBMITTED_RESUMED && s.state == SKY_SWEEP_RUNNING && s.recorded)
        sky_log(SKY_LOG_INFO, "run", "%s goes on: %" PRIu64 " of %" PRIu64 " recorded", s.name,
                s.recorded, s.positions);
    if (s.state == SKY_SWEEP_DONE) {
        begin_end(r);
        return SKY_OK;
    }
    if (r->progress.mode != CLI_PROGRESS_NONE)
        cli_livefront_start(&r->front, r->store, s.name);
    uv_timer_start(&r->tick, on_tick, TICK_MS, TICK_MS);
    return start_worker(r, e);
}

/* ---- End ---- */

static int report(run *r, const char *name)
{
    sky_sweep_info info = {0};
    sky_error e = {0};
    sky_buf out = {0};
    if (sky_store_sweep_find(r->store, name, &info, &e) != SKY_OK)
        return cli_fail(r->args, &e);
    const cli_summary summary = {
        .store = r->store,
        .db = cli_text(r->args, "db"),
        .sweep = &info,
        .front_size = r->front_size,
        .recorded_before = r->recorded_before,
        .wall_s = (double)(sky_clock_ns() - r->started_ns) * 1e-9,
        .interrupted = r->interrupted,
        .json = cli_flag(r->args, "json"),
    };
    cli_summary_print(&summary, &out);
    int code = cli_print(&out);
    if (r->failed)
        code = cli_failf(r->args, "%s", r->error);
    else if (r->interrupted && info.state != SKY_SWEEP_DONE)
        code = CLI_INTERRUPTED;
    else if (info.failed)
        code = CLI_FAILURE;
    else if (info.positions > 0 && info.holes == info.positions)
        code = cli_failf(r->args, "`where` rejects every point");
    if (code == CLI_INTERRUPTED)
        fprintf(stderr, "Interrupted. The same command goes on where it stopped.\n");
    sky_sweep_info_free(&info);
    return code;
}

static int run_plan(run *r, sky_plan *plan)
{
    sky_error e = {0};
    int code = CLI_FAILURE;
    char *name = sky_strdup(sky_plan_name(plan));
    init_loop(r);
    sky_err err = name ? open_coordinator(r, &e) : sky_fail(&e, SKY_ENOMEM, "out of memory");
    if (err == SKY_OK)
        err =
            cli_dash_open(&r->dash, r->args, &r->loop, cli_text(r->args, "db"), r->coordinator, &e);
    if (err == SKY_OK)
        err = start(r, &plan, &e);
    if (err != SKY_OK) {
        if (r->phase != CLOSED)
            close_all(r);
        uv_run(&r->loop, UV_RUN_DEFAULT);
        cli_livefront_stop(r->front);
        cli_progress_end(&r->progress);
        cli_fail(r->args, &e);
        code = err == SKY_ECONFLICT ? CLI_USAGE : CLI_FAILURE;
    } else {
        uv_run(&r->loop, UV_RUN_DEFAULT);
        r->front_size = cli_livefront_stop(r->front);
        cli_progress_end(&r->progress);
        code = report(r, name);
    }
    uv_loop_close(&r->loop);
    sky_plan_free(plan);
    free(name);
    return code;
}

/* A sweep that is complete needs its files no more. */
static bool is_done(sky_store *s, const char *name)
{
    sky_sweep_info info = {0};
    if (sky_store_sweep_find(s, name, &info, NULL) != SKY_OK)
        return false;
    const bool done = info.state == SKY_SWEEP_DONE;
    sky_sweep_info_free(&info);
    return done;
}

static int run_run(const cli_args *a)
{
    static run r;
    r = (run){.args = a, .started_ns = sky_clock_ns()};
    sky_plan *plan = NULL;
    sky_error e = {0};
    int code = CLI_FAILURE;
    if (!cli_read_plan(a, a->operands[0], &plan, &code))
        return code;
    const sky_store_options options = {
        .path = cli_text(a, "db"),
        .writer = true,
        .exclusive = cli_flag(a, "exclusive"),
    };
    const bool fresh = access(options.path, F_OK) != 0;
    code = fresh ? cli_precheck_run(a, plan) : CLI_OK; /* before a file is made for nothing */
    if (code != CLI_OK)
        goto done;
    if (sky_store_open(&r.store, &options, &e) != SKY_OK) {
        code = cli_fail(a, &e);
        goto done;
    }
    if (!fresh && !is_done(r.store, sky_plan_name(plan)))
        code = cli_precheck_run(a, plan);
    if (code != CLI_OK)
        goto done;
    if (make_folder(&r)) {
        code = run_plan(&r, plan);
        plan = NULL; /* taken */
    } else {
        code = CLI_FAILURE;
    }
done:
    sky_plan_free(plan);
    remove_folder(&r);
    sky_store_close(r.store);
    return code;
}

static const char *const progress_modes[] = {"bar", "plain", "none", NULL};

static const cli_opt opts[] = {
    CLI_OPT_DB,
    {.name = "jobs",
     .letter = 'j',
     .type = CLI_INT,
     .arg = "N",
     .min = 1,
     .max = 4096,
     .doc = "How many CPUs trials may use in all. Default: all that this process may use."},
    {.name = "progress",
     .type = CLI_CHOICE,
     .arg = "MODE",
     .choices = progress_modes,
     .doc = "bar, plain or none. Default: bar on a terminal, plain lines elsewhere."},
    CLI_OPT_SET,
    CLI_OPT_NAME,
    CLI_OPT_UNCHECKED,
    {.name = "retry", .doc = "Try the trials again that failed in an earlier run."},
    {.name = "grace",
     .type = CLI_DURATION,
     .arg = "TIME",
     .def = "5s",
     .doc = "How long running trials may go on after a Ctrl-C."},
    CLI_OPT_PLUGIN,
    CLI_OPT_DASH,
    CLI_OPT_TOKEN_FILE,
    {.name = "exclusive",
     .doc = "Allow a store on a network file system, where this is the only process "
            "that opens it."},
    {.name = "json", .doc = "Print the summary as JSON."},
    {0},
};

const cli_command cli_run_command = {
    .name = "run",
    .summary = "run a sweep on this machine",
    .operands = "SWEEP.yaml",
    .n_min = 1,
    .n_max = 1,
    .operand = CLI_SWEEP_FILE,
    .about = "Runs every point of the sweep in executor processes and records each result exactly "
             "once in the "
             "store. The same command again goes on where it stopped and runs nothing twice. "
             "Ctrl-C stops: "
             "running trials get a short time to finish, and all that arrived is recorded; a "
             "second Ctrl-C "
             "ends at once.\n\n"
             "Limits, objectives, constraints, derived metrics and repeats of a sweep may change "
             "between runs. "
             "A changed space, job or search is refused with the difference, since old and new "
             "results would "
             "mix; give it another name with --name.\n\n"
             "Before it begins, the job validates points and looks at files that they name, as "
             "'skyline check' does.\n\n"
             "Exit code 1 if a trial failed; 'skyline failures' says why.",
    .opts = opts,
    .examples =
        "skyline run sweeps/examples/flexsa-resnet50.yaml # all CPUs, results in skyline.db\n"
        "skyline run sweep.yaml --db results.db -j 4 # four CPUs\n"
        "skyline run sweep.yaml --set array=[64,128] --name small # a part of the space\n",
    .run = run_run,
    .group = CLI_GROUP_RUN,
};

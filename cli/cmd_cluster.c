/* `skyline coordinator`, `worker` and `executor`: the parts of `run` as processes of their own. */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/dashlive.h"
#include "cli/plans.h"
#include "coordinator/coordinator.h"
#include "git_commit.h"
#include "worker/executor.h"
#include "worker/worker.h"

enum { KEYS_FOLDER_MAX = 4096, ADOPT_WAIT_MS = 3000 };

static bool is_tcp(const char *endpoint)
{
    return strncmp(endpoint, "tcp://", 6) == 0;
}

/* Long-running commands tell what they do unless they were asked for less. */
static void log_info_by_default(const cli_args *a)
{
    if (!cli_given(a, "log"))
        sky_log_set_level(SKY_LOG_INFO);
}

static sky_err load_keys(const cli_args *a, bool as_server, sky_keyring *keys, sky_error *e)
{
    char folder[KEYS_FOLDER_MAX];
    const sky_err err = sky_keys_folder(cli_text(a, "keys"), folder, sizeof folder, e);
    return err == SKY_OK ? sky_keys_load(keys, folder, as_server, true, e) : err;
}

/* ---- Coordinator ---- */

typedef struct server {
    const cli_args *args;
    uv_loop_t loop;
    uv_signal_t interrupt, terminate;
    sky_coordinator *coordinator;
    sky_dash *dash;
    bool failed;
} server;

static void stop_server(server *s)
{
    sky_error e = {0};
    if (!s->coordinator)
        return;
    sky_dash_close(s->dash); /* it asks the coordinator */
    s->dash = NULL;
    if (sky_coordinator_close(s->coordinator, cli_flag(s->args, "stop-workers"), &e) != SKY_OK) {
        s->failed = true;
        cli_fail(s->args, &e);
    }
    s->coordinator = NULL;
    uv_close((uv_handle_t *)&s->interrupt, NULL);
    uv_close((uv_handle_t *)&s->terminate, NULL);
}

static void on_server_signal(uv_signal_t *handle, int number)
{
    sky_log(SKY_LOG_INFO, "coordinator", "%s: stopping", strsignal(number));
    stop_server(handle->data);
}

static void on_server_shutdown(void *arg)
{
    sky_log(SKY_LOG_INFO, "coordinator", "asked to stop");
    stop_server(arg);
}

static void on_server_sweep(void *arg, int64_t sweep, sky_sweep_state state, const char *reason)
{
    server *s = arg;
    sky_sweep_status status;
    if (!s->coordinator || sky_coordinator_sweep(s->coordinator, sweep, &status) != SKY_OK)
        return;
    sky_log(SKY_LOG_INFO, "coordinator",
            "sweep %s is %s%s%s recorded=%" PRIu64 " holes=%" PRIu64 " failed=%" PRIu64,
            status.name, sky_sweep_state_name(state), reason && reason[0] ? ": " : "",
            reason ? reason : "", status.recorded, status.holes, status.failed);
}

static void on_server_error(void *arg, const sky_error *e)
{
    server *s = arg;
    s->failed = true;
    cli_fail(s->args, e);
    stop_server(s);
}

static void serve(server *s, sky_store *store, const sky_keyring *keys)
{
    sky_error e = {0};
    const sky_coordinator_options o = {
        .loop = &s->loop,
        .store = store,
        .endpoint = cli_text(s->args, "listen"),
        .keys = keys,
        .adopt_wait_ms = ADOPT_WAIT_MS,
        .on_sweep = on_server_sweep,
        .on_error = on_server_error,
        .on_shutdown = on_server_shutdown,
        .arg = s,
    };
    if (sky_coordinator_open(&s->coordinator, &o, &e) != SKY_OK) {
        s->failed = true;
        cli_fail(s->args, &e);
        return;
    }
    /* One line on standard output, for scripts that asked for any free port. */
    printf("serving %s on %s\n", sky_store_path(store), sky_coordinator_endpoint(s->coordinator));
    fflush(stdout);
    uv_signal_init(&s->loop, &s->interrupt);
    uv_signal_init(&s->loop, &s->terminate);
    s->interrupt.data = s->terminate.data = s;
    uv_signal_start(&s->interrupt, on_server_signal, SIGINT);
    uv_signal_start(&s->terminate, on_server_signal, SIGTERM);
    if (cli_dash_open(&s->dash, s->args, &s->loop, cli_text(s->args, "db"), s->coordinator, &e) !=
        SKY_OK)
        on_server_error(s, &e);
    uv_run(&s->loop, UV_RUN_DEFAULT);
}

static int run_coordinator(const cli_args *a)
{
    static server s;
    sky_error e = {0};
    sky_keyring keys = {0};
    sky_store *store = NULL;
    s = (server){.args = a};
    log_info_by_default(a);
    const sky_store_options options = {
        .path = cli_text(a, "db"),
        .writer = true,
        .exclusive = cli_flag(a, "exclusive"),
    };
    if (is_tcp(cli_text(a, "listen")) && load_keys(a, true, &keys, &e) != SKY_OK)
        return cli_fail(a, &e);
    if (sky_store_open(&store, &options, &e) != SKY_OK) {
        sky_keys_free(&keys);
        return cli_fail(a, &e);
    }
    uv_loop_init(&s.loop);
    serve(&s, store, is_tcp(cli_text(a, "listen")) ? &keys : NULL);
    uv_run(&s.loop, UV_RUN_DEFAULT);
    uv_loop_close(&s.loop);
    sky_store_close(store);
    sky_keys_free(&keys);
    return s.failed ? CLI_FAILURE : CLI_OK;
}

static const cli_opt coordinator_opts[] = {
    CLI_OPT_DB,
    {.name = "listen",
     .type = CLI_TEXT,
     .arg = "ENDPOINT",
     .def = CLI_DEFAULT_ENDPOINT,
     .doc = "tcp://ADDRESS:PORT (port 0: any free one; the line on standard output says which) or "
            "ipc://PATH in a folder that only you may enter."},
    CLI_OPT_KEYS,
    CLI_OPT_DASH,
    CLI_OPT_TOKEN_FILE,
    {.name = "exclusive",
     .doc = "Allow a store on a network file system, where this is the only process "
            "that opens it."},
    {.name = "stop-workers",
     .doc = "Tell the workers to end when this coordinator ends. Without it they "
            "keep their results and wait for it to come back."},
    {0},
};

const cli_command cli_coordinator_command = {
    .name = "coordinator",
    .summary = "serve a store to workers and clients over the network",
    .operands = "",
    .about =
        "Hands out trials to workers and records their results. It holds the store's lock; one "
        "coordinator a store. Every TCP address, loopback too, is encrypted and lets in only keys "
        "that it "
        "knows; missing keys are made, so that everything works at once where coordinator, workers "
        "and "
        "commands share a home. It may be stopped or killed at any moment: started again, it goes "
        "on from "
        "the store, and workers come back with what they hold.",
    .opts = coordinator_opts,
    .examples = "skyline coordinator --db results.db # this machine only\n"
                "skyline coordinator --db results.db --listen tcp://0.0.0.0:7733 # for a cluster\n",
    .run = run_coordinator,
    .group = CLI_GROUP_CLUSTER,
};

/* ---- Worker ---- */

typedef struct agent {
    const cli_args *args;
    uv_loop_t loop;
    uv_signal_t interrupt, terminate;
    sky_worker *worker;
    int signals, code;
} agent;

static void on_worker_exit(void *arg, int code, const char *reason)
{
    agent *g = arg;
    g->code = code;
    if (code != 0)
        cli_failf(g->args, "%s", reason && reason[0] ? reason : "the worker cannot go on");
    sky_worker_close(g->worker);
    g->worker = NULL;
    uv_close((uv_handle_t *)&g->interrupt, NULL);
    uv_close((uv_handle_t *)&g->terminate, NULL);
}

static void on_worker_state(void *arg, bool connected, const char *reason)
{
    agent *g = arg;
    sky_log(connected ? SKY_LOG_INFO : SKY_LOG_WARN, "worker", "%s %s%s%s",
            connected ? "connected to" : "lost", cli_text(g->args, "connect"),
            reason && reason[0] ? ": " : "", reason ? reason : "");
}

static void on_worker_signal(uv_signal_t *handle, int number)
{
    agent *g = handle->data;
    g->signals++;
    sky_log(SKY_LOG_INFO, "worker", "%s: %s", strsignal(number),
            g->signals == 1 ? "finishing what runs; once more ends at once" : "ending at once");
    if (g->worker)
        sky_worker_stop(g->worker, g->signals > 1);
}

/* The arguments of executors: they load the same plug-ins as the worker. */
static const char *const *executor_args(const cli_args *a)
{
    static const char *args[64] = {"executor", "--fd", "3"};
    size_t n = 3;
    const char *const *plugins = cli_list(a, "plugin");
    for (size_t i = 0; plugins[i] && n + 3 < sizeof args / sizeof *args; i++) {
        args[n++] = "--plugin";
        args[n++] = plugins[i];
    }
    return args;
}

static int run_worker(const cli_args *a)
{
    static agent g;
    sky_error e = {0};
    sky_keyring keys = {0};
    const char *endpoint = cli_text(a, "connect");
    g = (agent){.args = a, .code = CLI_OK};
    if (cli_given(a, "parent")) { /* of `run`: never outlive it, not even a kill -9 */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != cli_int(a, "parent"))
            return CLI_FAILURE;
    } else {
        log_info_by_default(a);
    }
    if (cli_load_plugins(a, true, &e) != SKY_OK ||
        (is_tcp(endpoint) && load_keys(a, false, &keys, &e) != SKY_OK))
        return cli_fail(a, &e);
    uv_loop_init(&g.loop);
    const sky_worker_options o = {
        .loop = &g.loop,
        .endpoint = endpoint,
        .keys = is_tcp(endpoint) ? &keys : NULL,
        .slots = cli_given(a, "jobs") ? (uint32_t)cli_int(a, "jobs") : 0,
        .gpus = cli_text(a, "gpus"),
        .memory_bytes = cli_given(a, "memory") ? cli_size(a, "memory") : 0,
        .open_plugins = cli_flag(a, "allow-plugins"),
        .program_args = executor_args(a),
        .git_commit = SKY_GIT_COMMIT,
        .on_exit = on_worker_exit,
        .on_state = on_worker_state,
        .arg = &g,
    };
    if (sky_worker_open(&g.worker, &o, &e) != SKY_OK) {
        sky_keys_free(&keys);
        return cli_fail(a, &e);
    }
    uv_signal_init(&g.loop, &g.interrupt);
    uv_signal_init(&g.loop, &g.terminate);
    g.interrupt.data = g.terminate.data = &g;
    uv_signal_start(&g.interrupt, on_worker_signal, SIGINT);
    uv_signal_start(&g.terminate, on_worker_signal, SIGTERM);
    uv_run(&g.loop, UV_RUN_DEFAULT);
    uv_loop_close(&g.loop);
    sky_keys_free(&keys);
    return g.code;
}

static const cli_opt worker_opts[] = {
    CLI_OPT_CONNECT,
    {.name = "jobs",
     .letter = 'j',
     .type = CLI_INT,
     .arg = "N",
     .min = 1,
     .max = 4096,
     .doc = "How many CPUs trials may use in all. Default: all that this process may use (a Slurm "
            "allocation or taskset is respected)."},
    {.name = "gpus",
     .type = CLI_TEXT,
     .arg = "LIST",
     .doc = "GPUs that trials may use, as \"0,1\"; empty for none. Default: all that are visible."},
    {.name = "memory",
     .type = CLI_SIZE,
     .arg = "SIZE",
     .doc = "Memory that trials may reserve. Default: the machine's, or its cgroup's."},
    CLI_OPT_PLUGIN,
    {.name = "allow-plugins",
     .doc = "Load plug-ins that a sweep file names, from this machine's disk. "
            "Whoever may submit may then run code here."},
    CLI_OPT_KEYS,
    {.name = "parent",
     .type = CLI_INT,
     .arg = "PID",
     .min = 1,
     .max = INT32_MAX,
     .hidden = true,
     .doc = "End when that process ends."},
    {0},
};

const cli_command cli_worker_command = {
    .name = "worker",
    .summary = "run trials for a coordinator on this machine",
    .operands = "",
    .about = "Connects to the coordinator, keeps one executor process for each running trial, and "
             "runs until it "
             "is told to end. Where the coordinator is away, it keeps its results and connects "
             "again. SIGINT or "
             "SIGTERM: finishes what runs, gives back the rest, ends; a second one ends at once.",
    .opts = worker_opts,
    .examples =
        "skyline worker --connect tcp://login1:7733 # all CPUs of this machine\n"
        "srun skyline worker --connect tcp://login1:7733 --gpus \"$CUDA_VISIBLE_DEVICES\" # in a "
        "Slurm job\n",
    .run = run_worker,
    .group = CLI_GROUP_CLUSTER,
};

/* ---- Executor ---- */

static int run_executor(const cli_args *a)
{
    sky_error e = {0};
    if (cli_load_plugins(a, true, &e) != SKY_OK)
        return cli_fail(a, &e);
    return sky_executor_main((int)cli_int(a, "fd"));
}

static const cli_opt executor_opts[] = {
    {.name = "fd",
     .type = CLI_INT,
     .arg = "N",
     .def = "3",
     .min = 0,
     .max = 1023,
     .doc = "The socket to the worker."},
    CLI_OPT_PLUGIN,
    {0},
};

const cli_command cli_executor_command = {
    .name = "executor",
    .summary = "the process that jobs run in; started by the worker",
    .operands = "",
    .opts = executor_opts,
    .run = run_executor,
    .hidden = true,
    .group = CLI_GROUP_CLUSTER,
};

#include "cli/dashlive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "jobs/command.h"
#include "sweeps/plan.h"

/* ---- The token ---- */

enum { TOKEN_BYTES = 24, TOKEN_MAX = 256 };

static sky_err make_token(const char *path, sky_error *e)
{
    unsigned char random[TOKEN_BYTES];
    char text[2 * TOKEN_BYTES + 2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return sky_fail(e, SKY_EIO, "no random numbers for a token: %s", strerror(errno));
    for (size_t i = 0; i < TOKEN_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", random[i]);
    strcat(text, "\n");
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return sky_fail(e, SKY_EIO, "%s: cannot be made: %s", path, strerror(errno));
    const bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fsync(fd) == 0;
    if (close(fd) == 0 && ok)
        return SKY_OK;
    unlink(path);
    return sky_fail(e, SKY_EFULL, "%s: cannot be written", path);
}

sky_err cli_dash_token(const cli_args *a, char *out, size_t len, sky_error *e)
{
    const char *path = cli_text(a, "token-file");
    out[0] = 0;
    if (!path)
        return SKY_OK;
    if (access(path, F_OK) != 0) {
        const sky_err err = make_token(path, e);
        if (err != SKY_OK)
            return err;
    }
    return sky_dash_token_read(path, out, len, e);
}

/* As many as a page holds: more would take a coordinator's memory for somebody who may never look. */
enum { PRELOAD_ROWS_MAX = 2000000 };

/* ---- The command that runs a point again ---- */

static void append_again(const sky_plan *p, uint64_t trial, sky_buf *out)
{
    sky_value values[SKY_PARAMS_MAX];
    const sky_descriptor *d = sky_plan_job(p);
    sky_plan_decode(p, trial, values);
    sky_buf_puts(out, "skyline eval ");
    sky_buf_shell_word(out, d->name);
    if (sky_plan_plugin(p)) {
        sky_buf_puts(out, " --plugin ");
        sky_buf_shell_word(out, sky_plan_plugin(p));
    }
    sky_buf_printf(out, " --seed %llu", (unsigned long long)sky_plan_trial_seed(p, trial));
    for (size_t i = 0; i < d->n_params; i++) {
        sky_buf word = {0};
        if (values[i].absent)
            continue;
        sky_buf_printf(&word, "%s=", d->params[i].name);
        sky_value_print(&word, &values[i]);
        sky_buf_putc(out, ' ');
        sky_buf_shell_word(out, sky_buf_str(&word));
        sky_buf_free(&word);
    }
}

/* A user's program has parameters that only its sweep file knows, so `eval` cannot take them: the program
 * itself is said, as an executor starts it. */
static bool append_program(const sky_plan *p, uint64_t trial, sky_buf *out)
{
    sky_value values[SKY_PARAMS_MAX];
    sky_arena scratch = {0};
    sky_job_ctx ctx;
    sky_job_ctx_init(&ctx, &scratch);
    ctx.command = sky_plan_command(p);
    ctx.workdir = sky_plan_workdir(p);
    ctx.seed = sky_plan_trial_seed(p, trial);
    ctx.trial = trial;
    ctx.threads = sky_plan_resources(p)->cpus;
    sky_plan_decode(p, trial, values);
    const bool ok = sky_command_shell_line(&ctx, sky_plan_job(p), values, out, NULL) == SKY_OK;
    sky_arena_free(&scratch);
    return ok;
}

bool cli_dash_again(const char *plan, uint64_t trial, sky_buf *out)
{
    sky_plan *p = NULL;
    if (sky_plan_load(&p, plan, strlen(plan), NULL) != SKY_OK)
        return false;
    bool can = trial < sky_plan_positions(p);
    if (can && sky_plan_command(p))
        can = append_program(p, trial, out);
    else if (can)
        append_again(p, trial, out);
    sky_plan_free(p);
    return can;
}

/* ---- The coordinator ---- */

static void live_counts(void *arg, sky_dash_counts *out)
{
    sky_arena arena = {0};
    sky_coordinator_info info;
    *out = (sky_dash_counts){0};
    if (sky_coordinator_status(arg, NULL, &arena, &info, NULL) == SKY_OK) {
        out->workers = info.n_workers - info.n_lost;
        out->lost = info.n_lost;
        out->uncommitted = info.uncommitted;
        for (size_t i = 0; i < info.n_workers; i++) {
            if (info.workers[i].lost)
                continue;
            out->cpus += info.workers[i].cpus;
            out->running += info.workers[i].running;
        }
        for (size_t i = 0; i < info.n_sweeps; i++)
            out->leased += info.sweeps[i].leased;
    }
    sky_arena_free(&arena);
}

static void live_status(void *arg, sky_buf *json)
{
    sky_arena arena = {0};
    sky_coordinator_info info;
    if (sky_coordinator_status(arg, NULL, &arena, &info, NULL) == SKY_OK)
        sky_coordinator_info_json(&info, json);
    sky_arena_free(&arena);
}

static void metric(sky_buf *b, const char *name, const char *type, const char *help, double value)
{
    sky_buf_printf(b, "# HELP skyline_%s %s\n# TYPE skyline_%s %s\nskyline_%s ", name, help, name,
                   type, name);
    sky_buf_f64(b, value);
    sky_buf_putc(b, '\n');
}

static void live_metrics(void *arg, sky_buf *b)
{
    sky_arena arena = {0};
    sky_coordinator_info i;
    sky_dash_counts n;
    live_counts(arg, &n);
    if (sky_coordinator_status(arg, NULL, &arena, &i, NULL) == SKY_OK) {
        metric(b, "workers", "gauge", "Connected workers.", (double)n.workers);
        metric(b, "workers_lost", "gauge", "Workers that fell silent.", (double)n.lost);
        metric(b, "worker_cpus", "gauge", "CPUs of connected workers.", (double)n.cpus);
        metric(b, "trials_running", "gauge", "Trials that run now.", (double)n.running);
        metric(b, "trials_leased", "gauge", "Trials given out.", (double)n.leased);
        metric(b, "rows_uncommitted", "gauge", "Results that wait for their commit.",
               (double)i.uncommitted);
        metric(b, "rows_committed_total", "counter", "Results made durable since the start.",
               (double)i.committed);
        metric(b, "commits_total", "counter", "Commits since the start.", (double)i.commits);
        metric(b, "duplicates_total", "counter", "Late copies of results.", (double)i.duplicates);
        metric(b, "nondeterministic_total", "counter", "Copies whose exact metrics differed.",
               (double)i.differing);
        metric(b, "messages_total", "counter", "Messages received.", (double)i.messages);
        metric(b, "messages_rejected_total", "counter", "Messages malformed or refused.",
               (double)i.rejected);
        metric(b, "coordinator_cpu_seconds_total", "counter", "CPU time of the coordinator.",
               i.cpu_s);
        metric(b, "coordinator_uptime_seconds", "gauge", "Time since the start.", i.uptime_s);
    }
    sky_arena_free(&arena);
}

static sky_err live_command(void *arg, sky_dash_command command, const char *sweep, int64_t value,
                            sky_error *e)
{
    switch (command) {
    case SKY_DASH_PAUSE:
        return sky_coordinator_pause(arg, sweep, "paused on the dashboard", e);
    case SKY_DASH_RESUME:
        return sky_coordinator_resume(arg, sweep, e);
    case SKY_DASH_CANCEL:
        return sky_coordinator_cancel(arg, sweep, e);
    case SKY_DASH_RETRY:
        return sky_coordinator_retry(arg, sweep, -1, NULL, e);
    case SKY_DASH_PRIORITY:
        return sky_coordinator_priority(arg, sweep, (int32_t)value, e);
    }
    return sky_fail(e, SKY_EINVAL, "unknown command");
}

sky_err cli_dash_open(sky_dash **out, const cli_args *a, uv_loop_t *loop, const char *db,
                      sky_coordinator *coordinator, sky_error *e)
{
    char token[TOKEN_MAX];
    if (!cli_text(a, "dash"))
        return SKY_OK;
    const sky_dash_source source = {.arg = coordinator,
                                    .counts = live_counts,
                                    .status = live_status,
                                    .metrics = live_metrics,
                                    .command = live_command,
                                    .again = cli_dash_again};
    sky_err err = cli_dash_token(a, token, sizeof token, e);
    const sky_dash_options o = {.loop = loop,
                                .db = db,
                                .listen = cli_text(a, "dash"),
                                .token = token[0] ? token : NULL,
                                .source = &source,
                                .preload_rows_max = PRELOAD_ROWS_MAX};
    if (err == SKY_OK)
        err = sky_dash_open(out, &o, e);
    if (err == SKY_OK)
        fprintf(stderr, "Dashboard: %s\n", sky_dash_url(*out));
    return err;
}

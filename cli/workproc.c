#include "cli/workproc.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { ARGS_MAX = 64, QUICK_DEATHS_MAX = 8, DELAY_MS_MAX = 5000 };
static const int64_t QUICK_NS = 5 * SKY_NS_PER_S;

static void read_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    cli_workproc *w = handle->data;
    (void)suggested;
    *buf = uv_buf_init(w->line + w->line_len, (unsigned)(sizeof w->line - 1 - w->line_len));
}

static void say_lines(cli_workproc *w, bool rest)
{
    char *from = w->line;
    w->line[w->line_len] = 0;
    for (char *end; (end = strchr(from, '\n')); from = end + 1) {
        *end = 0;
        w->on_line(w->arg, from);
    }
    size_t left = w->line_len - (size_t)(from - w->line);
    if (left && (rest || left == sizeof w->line - 1)) { /* a line that does not fit is cut in two */
        w->on_line(w->arg, from);
        left = 0;
    }
    memmove(w->line, from, left);
    w->line_len = left;
}

static void on_closed(uv_handle_t *handle)
{
    cli_workproc *w = handle->data;
    w->open_handles--;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    cli_workproc *w = stream->data;
    (void)buf;
    if (n > 0) {
        w->line_len += (size_t)n;
        say_lines(w, false);
    } else if (n < 0) {
        say_lines(w, true);
        if (!uv_is_closing((uv_handle_t *)stream))
            uv_close((uv_handle_t *)stream, on_closed);
    }
}

static sky_err spawn(cli_workproc *w, sky_error *e);

static void on_restart(uv_timer_t *timer)
{
    cli_workproc *w = timer->data;
    sky_error e = {0};
    if (w->open_handles > 0) { /* the last lines of its predecessor are still being read */
        uv_timer_start(timer, on_restart, 20, 0);
        return;
    }
    if (spawn(w, &e) != SKY_OK)
        w->on_gone(w->arg, false, e.text);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal_number)
{
    cli_workproc *w = process->data;
    w->alive = false;
    uv_close((uv_handle_t *)process, on_closed);
    if (w->closed)
        return;
    if (w->ending) {
        w->on_gone(w->arg, true, "");
        return;
    }
    char text[128];
    if (signal_number)
        snprintf(text, sizeof text, "the worker was killed by signal %d (%s)", signal_number,
                 strsignal(signal_number));
    else
        snprintf(text, sizeof text, "the worker ended with code %d", (int)status);
    const bool quick = sky_clock_ns() - w->started_ns < QUICK_NS;
    w->quick_deaths = quick ? w->quick_deaths + 1 : 1;
    if (w->quick_deaths > QUICK_DEATHS_MAX) {
        w->on_gone(w->arg, false, text);
        return;
    }
    strcat(text, "; starting it again");
    w->on_line(w->arg, text);
    int delay_ms = 50 << w->quick_deaths;
    delay_ms = delay_ms > DELAY_MS_MAX ? DELAY_MS_MAX : delay_ms;
    uv_timer_start(&w->restart, on_restart, (uint64_t)delay_ms, 0);
}

static sky_err spawn(cli_workproc *w, sky_error *e)
{
    char slots[24], parent[24];
    snprintf(slots, sizeof slots, "%lld", (long long)w->slots);
    snprintf(parent, sizeof parent, "%d", (int)getpid());
    const char *args[ARGS_MAX];
    size_t n = 0;
    args[n++] = "skyline";
    args[n++] = "worker";
    args[n++] = "--allow-plugins"; /* the user's own sweep file, on the user's own machine */
    args[n++] = "--parent";
    args[n++] = parent;
    args[n++] = "--connect";
    args[n++] = w->endpoint;
    args[n++] = "--log";
    args[n++] = w->log_level ? w->log_level : "warn";
    if (w->slots > 0) {
        args[n++] = "--jobs";
        args[n++] = slots;
    }
    for (size_t i = 0; w->plugins && w->plugins[i] && n + 3 < ARGS_MAX; i++) {
        args[n++] = "--plugin";
        args[n++] = w->plugins[i];
    }
    args[n] = NULL;
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&w->err},
    };
    const uv_process_options_t options = {
        .exit_cb = on_process_exit,
        .file = "/proc/self/exe", /* this very program, also when its file was replaced meanwhile */
        .args = (char **)(uintptr_t)args,
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = 3,
        .stdio = stdio,
    };
    uv_pipe_init(w->loop, &w->err, 0);
    w->err.data = w->process.data = w;
    w->open_handles = 2;
    const int r = uv_spawn(w->loop, &w->process, &options);
    if (r != 0) {
        uv_close((uv_handle_t *)&w->err, on_closed);
        uv_close((uv_handle_t *)&w->process, on_closed);
        return sky_fail(e, SKY_EIO, "cannot start the worker: %s", uv_strerror(r));
    }
    uv_read_start((uv_stream_t *)&w->err, read_room, on_read);
    w->alive = true;
    w->line_len = 0;
    w->started_ns = sky_clock_ns();
    return SKY_OK;
}

sky_err cli_workproc_start(cli_workproc *w, sky_error *e)
{
    uv_timer_init(w->loop, &w->restart);
    w->restart.data = w;
    const sky_err err = spawn(w, e);
    if (err != SKY_OK)
        cli_workproc_close(w);
    return err;
}

void cli_workproc_expect_end(cli_workproc *w)
{
    if (w->ending || w->closed)
        return;
    w->ending = true;
    uv_timer_stop(&w->restart);
    if (!w->alive)
        w->on_gone(w->arg, true, "");
}

/* The executors die with the worker, by the death signal that each asked the kernel for. */
void cli_workproc_kill(cli_workproc *w)
{
    if (w->alive)
        uv_process_kill(&w->process, SIGKILL);
}

void cli_workproc_close(cli_workproc *w)
{
    if (w->closed || !w->loop)
        return;
    w->closed = true;
    cli_workproc_kill(w);
    uv_close((uv_handle_t *)&w->restart, NULL);
    if (w->open_handles > 0 && !uv_is_closing((uv_handle_t *)&w->err))
        uv_close((uv_handle_t *)&w->err, on_closed);
}

/* One executor process: its start, its channel, its end. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "worker/worker_internal.h"

extern char **environ;

enum {
    READ_BYTES = 256 << 10, /* room for one read */
    READS_PER_TURN = 16,    /* so that other executors and timers are served */
    SOCKET_BYTES = 1 << 20, /* an executor should not wait while the agent is busy */
    CHANNEL_FD = 3,
    CLOSED_GRACE_MS = 1000, /* from the end of the channel to SIGKILL */
};

/* --- The end --- */

static void release(sky__child *c)
{
    if (c->process_open || c->poll_open)
        return;
    if (c->page)
        munmap(c->page, sizeof *c->page);
    if (c->fd >= 0)
        close(c->fd);
    if (c->log >= 0)
        close(c->log);
    sky_buf_free(&c->in);
    sky_buf_free(&c->out);
    if (c->worker)
        sky__worker_unref(c->worker);
    free(c);
}

static void on_process_closed(uv_handle_t *h)
{
    sky__child *c = h->data;
    c->process_open = false;
    release(c);
}

static void on_poll_closed(uv_handle_t *h)
{
    sky__child *c = h->data;
    c->poll_open = false;
    release(c);
}

static void close_handles(sky__child *c)
{
    if (c->poll_open && !uv_is_closing((uv_handle_t *)&c->poll))
        uv_close((uv_handle_t *)&c->poll, on_poll_closed);
    if (c->process_open && !uv_is_closing((uv_handle_t *)&c->process))
        uv_close((uv_handle_t *)&c->process, on_process_closed);
}

/* The executor leads a group; before it has made it, the second call finds it. */
static void kill_group(const sky__child *c)
{
    pid_t pid = c->watch.pid;
    if (pid <= 1)
        return;
    kill(-pid, SIGKILL);
    if (!c->exited)
        kill(pid, SIGKILL);
}

void sky__child_kill_now(sky__child *c, sky__doom why, const char *text)
{
    if (c->exited)
        return;
    if (c->doom == SKY__DOOM_NONE) {
        c->doom = why;
        snprintf(c->doom_text, sizeof c->doom_text, "%s", text ? text : "");
    }
    c->kill_ns = -1;
    kill_group(c);
}

void sky__child_kill(sky__child *c, sky__doom why, int64_t kill_ns)
{
    if (c->exited)
        return;
    if (c->doom == SKY__DOOM_NONE)
        c->doom = why;
    c->kill_ns = kill_ns;
    atomic_store(&c->page->stop, 1);
    kill(c->watch.pid, SIGTERM);
}

void sky__child_abandon(sky__child *c)
{
    c->ended = true;
    kill_group(c);
    /* The loop may not turn again: without this the dead process would stay a zombie. */
    for (int i = 0; i < 100 && !c->exited; i++) {
        if (waitpid(c->watch.pid, NULL, WNOHANG) != 0)
            break;
        usleep(1000);
    }
    close_handles(c);
}

/* How it ended, as the agent understands it; text holds the reason. */
static sky_death classify(const sky__child *c, int64_t status, int sig, char *text, size_t len)
{
    text[0] = 0;
    switch (c->doom) {
    case SKY__DOOM_ASKED:
        return SKY_DEATH_ASKED;
    case SKY__DOOM_TIMEOUT:
        snprintf(text, len, "%s", c->doom_text);
        return SKY_DEATH_TIMEOUT;
    case SKY__DOOM_MEMORY:
        snprintf(text, len, "%s", c->doom_text);
        return SKY_DEATH_MEMORY;
    case SKY__DOOM_CHANNEL:
        snprintf(text, len, "%s", c->doom_text);
        return SKY_DEATH_CRASH;
    case SKY__DOOM_NONE:
        break;
    }
    if (sig == SIGKILL && sky_oom_kills() > c->oom_kills) {
        snprintf(text, len, "the machine ran out of memory");
        return SKY_DEATH_MEMORY;
    }
    if (sig == SIGKILL || sig == SIGTERM || sig == SIGINT || sig == SIGHUP || sig == SIGQUIT)
        return SKY_DEATH_OUTSIDE;
    if (sig) {
        snprintf(text, len, "killed by signal %d (%s)", sig, strsignal(sig));
        return SKY_DEATH_CRASH;
    }
    if (status == 0 && atomic_load(&c->page->stop))
        return SKY_DEATH_OUTSIDE; /* somebody's SIGTERM, answered in order */
    snprintf(text, len, "the process exited with code %" PRId64, status);
    return SKY_DEATH_CRASH;
}

/* The end of standard error since the trial began, in arena; NULL if there is none. */
static const char *read_log(const sky__child *c, uint64_t begin, sky_arena *arena)
{
    struct stat st;
    if (fstat(c->log, &st) != 0 || (uint64_t)st.st_size <= begin)
        return NULL;
    uint64_t len = (uint64_t)st.st_size - begin;
    len = len < SKY_EXECUTOR_LOG_MAX ? len : SKY_EXECUTOR_LOG_MAX;
    char *text = sky_new(arena, char, len + 1);
    if (!text)
        return NULL;
    ssize_t n = pread(c->log, text, len, st.st_size - (off_t)len);
    for (ssize_t i = 0; i < n; i++) {
        if (!text[i])
            text[i] = ' ';
    }
    return n > 0 ? text : NULL;
}

void sky__child_trim_log(sky__child *c)
{
    enum { BLOCK_BYTES = 512, HELD_BYTES_MAX = 16 << 20 };
    struct stat st;
    if (fstat(c->log, &st) != 0 || st.st_blocks * BLOCK_BYTES <= HELD_BYTES_MAX)
        return;
    /* A hole: the size stays, so that nobody's idea of where a trial began is wrong. */
    fallocate(c->log, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
              st.st_size - 2 * SKY_EXECUTOR_LOG_MAX);
}

static bool read_channel(sky__child *c);

static void report_death(sky__child *c, int64_t status, int sig)
{
    kill_group(c); /* what a job had started */
    while (c->poll_open && read_channel(c)) {
        /* What it had sent before counts. */
    }
    c->ended = true;
    sky_watch_trial t = {0};
    bool running = sky_watch_running(c->page, &t);
    char text[256];
    sky_arena arena = {0};
    sky_agent_died d = {.kind = classify(c, status, sig, text, sizeof text)};
    d.begin = running ? t.begin : 0;
    d.end = running ? t.end : 0;
    d.reason = text[0] ? text : NULL;
    d.log = read_log(c, running ? t.log_begin : 0, &arena);
    sky__worker_died(c->worker, c, &d);
    sky_arena_free(&arena);
}

static void on_child_exit(uv_process_t *p, int64_t status, int sig)
{
    sky__child *c = p->data;
    c->exited = true;
    if (!c->ended)
        report_death(c, status, sig);
    close_handles(c);
    sky__worker_turn(c->worker);
}

/* --- The channel --- */

static void on_poll(uv_poll_t *p, int status, int events);

static void nonsense(sky__child *c, const char *text)
{
    sky__child_kill_now(c, SKY__DOOM_CHANNEL, text);
}

static void take_frame(sky__child *c, const char *bytes, size_t len)
{
    sky_arena arena = {0};
    sky_msg m;
    sky_error e = {0};
    if (sky_msg_decode(&m, bytes, len, &arena, &e) != SKY_OK || m.type != SKY_MSG_RESULT) {
        sky_arena_free(&arena);
        nonsense(c, "sent what is no result: its memory is corrupt");
        return;
    }
    sky__worker_outcome(c->worker, c, &m.result, &arena);
}

/* Takes the whole frames out of c->in. */
static void take_frames(sky__child *c)
{
    size_t at = 0;
    while (c->in.len - at >= 4 && c->doom != SKY__DOOM_CHANNEL) {
        const uint8_t *h = (const uint8_t *)c->in.data + at;
        uint32_t len = h[0] | (uint32_t)h[1] << 8 | (uint32_t)h[2] << 16 | (uint32_t)h[3] << 24;
        if (len > SKY_MSG_BYTES_MAX) {
            nonsense(c, "sent a frame that is too long: its memory is corrupt");
            return;
        }
        if (c->in.len - at - 4 < len)
            break;
        take_frame(c, c->in.data + at + 4, len);
        at += 4 + (size_t)len;
    }
    if (at == 0)
        return;
    memmove(c->in.data, c->in.data + at, c->in.len - at);
    c->in.len -= at;
}

/* One read. False when nothing more is there for now, or at the end. */
static bool read_channel(sky__child *c)
{
    if (!sky_buf_reserve(&c->in, READ_BYTES)) {
        nonsense(c, "out of memory");
        return false;
    }
    ssize_t n = recv(c->fd, c->in.data + c->in.len, READ_BYTES, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR)
        return true;
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0) {
        uv_poll_stop(&c->poll);
        if (!c->exited && c->kill_ns < 0)
            c->kill_ns = sky_clock_ns() + CLOSED_GRACE_MS * SKY_NS_PER_MS; /* it should be dying */
        return false;
    }
    c->in.len += (size_t)n;
    take_frames(c);
    return true;
}

static void write_channel(sky__child *c)
{
    while (c->out_at < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->out_at, c->out.len - c->out_at,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            uv_poll_start(&c->poll, UV_READABLE | UV_WRITABLE, on_poll);
            return;
        }
        if (n <= 0)
            break; /* it is dying: its death will tell */
        c->out_at += (size_t)n;
    }
    enum { OUT_KEPT_BYTES = 1 << 20 };
    if (c->out.cap > OUT_KEPT_BYTES)
        sky_buf_free(&c->out);
    sky_buf_reset(&c->out);
    c->out_at = 0;
}

static void on_poll(uv_poll_t *p, int status, int events)
{
    sky__child *c = p->data;
    if (c->exited || c->ended)
        return;
    if (status == 0 && (events & UV_WRITABLE)) {
        uv_poll_start(&c->poll, UV_READABLE, on_poll);
        write_channel(c);
    }
    for (int i = 0; i < READS_PER_TURN && read_channel(c); i++) {
    }
    sky__worker_turn(c->worker);
}

void sky__child_send(sky__child *c, const sky_msg *m)
{
    if (c->exited)
        return;
    static const char header[4];
    size_t at = c->out.len;
    sky_buf_add(&c->out, header, sizeof header);
    if (sky_msg_encode(m, &c->out) != SKY_OK || !sky_buf_ok(&c->out)) {
        sky__child_kill_now(c, SKY__DOOM_ASKED, NULL);
        return;
    }
    size_t len = c->out.len - at - sizeof header;
    for (int i = 0; i < 4; i++)
        c->out.data[at + (size_t)i] = (char)(len >> 8 * i);
    if (at == 0)
        write_channel(c); /* else on_poll() is at it */
}

/* --- The start --- */

static void list_gpus(const sky__machine *m, uint64_t mask, char *buf, size_t len)
{
    buf[0] = 0;
    size_t at = 0;
    for (uint32_t g = 0; g < m->n_gpus; g++) {
        if (!(mask >> g & 1))
            continue;
        int n = snprintf(buf + at, len - at, "%s%s", at ? "," : "", m->gpus[g]);
        if (n < 0 || (size_t)n >= len - at)
            break;
        at += (size_t)n;
    }
}

static bool fill_page(sky__child *c, const sky__child_options *o)
{
    sky_executor_page *p = c->page;
    if (!p)
        return false;
    p->parent_pid = (uint32_t)getpid();
    p->threads = o->action->cpus;
    p->open_plugins = o->open_plugins;
    list_gpus(o->machine, o->action->gpus, p->gpus, sizeof p->gpus);
    if (!o->checkpoints || !o->action->store_uuid || strchr(o->action->store_uuid, '/'))
        return true;
    int n = snprintf(p->checkpoints, sizeof p->checkpoints, "%s/%s/%" PRId64, o->checkpoints,
                     o->action->store_uuid, c->sweep);
    return n > 0 && (size_t)n < sizeof p->checkpoints;
}

/* What the executor's libraries look at when they are loaded. */
static const char *const own_names[] = {"OMP_NUM_THREADS",      "OPENBLAS_NUM_THREADS",
                                        "GOTO_NUM_THREADS",     "MKL_NUM_THREADS",
                                        "CUDA_VISIBLE_DEVICES", NULL};

static bool is_own(const char *entry)
{
    for (size_t i = 0; own_names[i]; i++) {
        size_t len = strlen(own_names[i]);
        if (strncmp(entry, own_names[i], len) == 0 && entry[len] == '=')
            return true;
    }
    return false;
}

/* A NULL-terminated environment in arena; NULL when out of memory. */
static char **make_environment(const sky__child *c, sky_arena *arena)
{
    size_t n = 0;
    while (environ[n])
        n++;
    char **env = sky_new(arena, char *, n + sizeof own_names / sizeof *own_names);
    if (!env)
        return NULL;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_own(environ[i]))
            env[k++] = environ[i];
    }
    for (size_t i = 0; own_names[i]; i++, k++) {
        bool gpus = strncmp(own_names[i], "CUDA", 4) == 0;
        env[k] = gpus ? sky_arena_printf(arena, "%s=%s", own_names[i], c->page->gpus)
                      : sky_arena_printf(arena, "%s=%u", own_names[i], c->page->threads);
        if (!env[k])
            return NULL;
    }
    return env;
}

static char **make_args(const sky__child_options *o, sky_arena *arena)
{
    static const char *const usual[] = {"executor", "--fd", "3", NULL};
    const char *const *from = o->program_args ? o->program_args : usual;
    size_t n = 0;
    while (from[n])
        n++;
    char **args = sky_new(arena, char *, n + 2);
    if (!args)
        return NULL;
    args[0] = sky_arena_strdup(arena, "skyline");
    for (size_t i = 0; i < n; i++)
        args[i + 1] = sky_arena_strdup(arena, from[i]);
    for (size_t i = 0; i <= n; i++) {
        if (!args[i])
            return NULL;
    }
    return args;
}

/* Memory files and the socket. theirs[0] is the executor's end of the channel, theirs[1] its page. */
static sky_err open_files(sky__child *c, int theirs[2], sky_error *e)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return sky_fail_errno(e, errno, "socketpair");
    c->fd = pair[0];
    theirs[0] = pair[1];
    int bytes = SOCKET_BYTES; /* the kernel may give less */
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    theirs[1] = memfd_create("skyline-page", MFD_CLOEXEC);
    c->log = memfd_create("skyline-log", MFD_CLOEXEC);
    if (theirs[1] < 0 || c->log < 0 || ftruncate(theirs[1], sizeof *c->page) != 0 ||
        fcntl(c->log, F_SETFL, O_APPEND) != 0)
        return sky_fail_errno(e, errno, "memory file");
    void *page = mmap(NULL, sizeof *c->page, PROT_READ | PROT_WRITE, MAP_SHARED, theirs[1], 0);
    if (page == MAP_FAILED)
        return sky_fail_errno(e, errno, "memory file");
    c->page = page;
    return SKY_OK;
}

static sky_err spawn(sky__child *c, const sky__child_options *o, const int theirs[2], sky_error *e)
{
    sky_arena arena = {0};
    uv_stdio_container_t stdio[5] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = c->log},
        {.flags = UV_INHERIT_FD, .data.fd = c->log},
        {.flags = UV_INHERIT_FD, .data.fd = theirs[0]},
        {.flags = UV_INHERIT_FD, .data.fd = theirs[1]},
    };
    uv_process_options_t options = {
        .exit_cb = on_child_exit,
        .file = o->program ? o->program : "/proc/self/exe",
        .args = make_args(o, &arena),
        .env = make_environment(c, &arena),
        .stdio_count = 5,
        .stdio = stdio,
    };
    int code = UV_ENOMEM;
    if (options.args && options.env) {
        c->oom_kills = sky_oom_kills();
        code = uv_spawn(o->loop, &c->process, &options);
        c->process_open = true; /* to be closed even where it failed */
    }
    sky_arena_free(&arena);
    if (code != 0)
        return sky_fail(e, SKY_EIO, "cannot start an executor: %s", uv_strerror(code));
    c->watch = (sky_watch){.pid = c->process.pid,
                           .page = c->page,
                           .timeout_ns = o->action->timeout_ns,
                           .memory_bytes = o->action->memory_bytes};
    return SKY_OK;
}

_Static_assert(CHANNEL_FD == 3, "the place in stdio[] and in the usual arguments");

sky_err sky__child_start(sky__child **out, const sky__child_options *o, sky_error *e)
{
    int theirs[2] = {-1, -1};
    sky__child *c = calloc(1, sizeof *c);
    if (!c)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    *c = (sky__child){.slot = o->slot,
                      .sweep = o->action->msg->plan.sweep,
                      .fd = -1,
                      .log = -1,
                      .kill_ns = -1,
                      .process = {.data = c},
                      .poll = {.data = c}};
    sky_err err = open_files(c, theirs, e);
    if (err == SKY_OK && !fill_page(c, o))
        err = sky_fail(e, SKY_ELIMIT, "the name of the checkpoint folder is too long");
    if (err == SKY_OK)
        err = spawn(c, o, theirs, e);
    if (theirs[0] >= 0)
        close(theirs[0]);
    if (theirs[1] >= 0)
        close(theirs[1]);
    if (err == SKY_OK) {
        c->poll_open = uv_poll_init(o->loop, &c->poll, c->fd) == 0;
        if (!c->poll_open || uv_poll_start(&c->poll, UV_READABLE, on_poll) != 0)
            err = sky_fail(e, SKY_EIO, "cannot watch an executor's channel");
    }
    if (err != SKY_OK) {
        c->exited = c->watch.pid == 0;
        c->ended = true;
        kill_group(c);
        close_handles(c);
        release(c);
        return err;
    }
    c->worker = o->worker;
    *out = c;
    sky__child_send(c, o->action->msg);
    return SKY_OK;
}

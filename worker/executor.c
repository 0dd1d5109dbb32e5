/* The executor process: its channel to the agent, and how both die together. See worker/executor.h.
 *
 * The process leads a group of its own, in the session of the worker: should the worker die while the
 * executor is stopped, the kernel continues the orphaned group, and the death is noticed. */
#include "worker/executor.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "jobs/registry.h"
#include "worker/executor_internal.h"

static sky_executor_page *shared; /* for the signal handler, which has no argument */

/* --- What the agent sees while a trial runs --- */

bool sky__executor_stopping(const sky__executor *x)
{
    return atomic_load_explicit(&x->page->stop, memory_order_relaxed) != 0;
}

static uint64_t log_size(void)
{
    struct stat st;
    if (fstat(STDERR_FILENO, &st) != 0 || !S_ISREG(st.st_mode))
        return 0;
    return (uint64_t)st.st_size;
}

void sky__executor_running(sky__executor *x, uint64_t begin, uint64_t end, int64_t now_ns)
{
    sky_executor_page *p = x->page;
    struct stat st;
    uint64_t size = log_size();
    /* Only a memory file of ours has no name; somebody else's file is not ours to cut. */
    if (size > SKY__LOG_FILE_MAX && fstat(STDERR_FILENO, &st) == 0 && st.st_nlink == 0 &&
        ftruncate(STDERR_FILENO, 0) == 0)
        size = 0;
    x->log_begin = size;
    atomic_fetch_add(&p->turn, 1);
    atomic_store_explicit(&p->begin, begin, memory_order_relaxed);
    atomic_store_explicit(&p->end, end, memory_order_relaxed);
    atomic_store_explicit(&p->started_ns, now_ns, memory_order_relaxed);
    atomic_store_explicit(&p->log_begin, size, memory_order_relaxed);
    atomic_fetch_add(&p->turn, 1);
}

void sky__executor_idle(sky__executor *x)
{
    sky_executor_page *p = x->page;
    if (atomic_load_explicit(&p->begin, memory_order_relaxed) ==
        atomic_load_explicit(&p->end, memory_order_relaxed))
        return;
    atomic_fetch_add(&p->turn, 1);
    atomic_store_explicit(&p->end, atomic_load(&p->begin), memory_order_relaxed);
    atomic_fetch_add(&p->turn, 1);
}

const char *sky__executor_log(sky__executor *x)
{
    uint64_t size = log_size();
    if (size <= x->log_begin)
        return NULL;
    uint64_t len = size - x->log_begin;
    len = len < SKY_EXECUTOR_LOG_MAX ? len : SKY_EXECUTOR_LOG_MAX;
    char *text = sky_new(&x->scratch, char, len + 1);
    if (!text)
        return NULL;
    ssize_t n = pread(STDERR_FILENO, text, len, (off_t)(size - len));
    if (n <= 0)
        return NULL;
    for (ssize_t i = 0; i < n; i++) {
        if (!text[i])
            text[i] = ' ';
    }
    return text;
}

_Noreturn void sky__executor_die(const char *why)
{
    fprintf(stderr, "skyline executor: %s\n", why);
    _exit(70); /* EX_SOFTWARE */
}

/* --- The channel --- */

bool sky__executor_send(sky__executor *x)
{
    sky_buf *b = &x->frame;
    if (!sky_buf_ok(b))
        sky__executor_die("out of memory");
    assert(b->len > 4 && b->len - 4 <= SKY_MSG_BYTES_MAX);
    uint32_t len = (uint32_t)(b->len - 4);
    for (int i = 0; i < 4; i++)
        b->data[i] = (char)(len >> 8 * i);
    for (size_t at = 0; at < b->len;) {
        ssize_t n = send(x->fd, b->data + at, b->len - at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    enum { FRAME_KEPT_BYTES = 1 << 20 };
    if (b->cap > FRAME_KEPT_BYTES)
        sky_buf_free(b); /* it carried artifacts */
    return true;
}

/* Waits until the channel has something; false when the executor was told to end. */
static bool wait_readable(const sky__executor *x)
{
    /* The signal that says so may come between the check and the wait: it is held back until the wait,
     * which it then ends. */
    sigset_t held, before;
    sigemptyset(&held);
    sigaddset(&held, SIGTERM);
    sigaddset(&held, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &held, &before);
    struct pollfd p = {.fd = x->fd, .events = POLLIN};
    bool stopping = sky__executor_stopping(x);
    if (!stopping)
        ppoll(&p, 1, NULL, &before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !stopping && !sky__executor_stopping(x);
}

/* Reads len bytes; false at the channel's end, or when the executor was told to end. */
static bool read_all(const sky__executor *x, void *bytes, size_t len)
{
    char *at = bytes;
    while (len > 0) {
        if (!wait_readable(x))
            return false;
        ssize_t n = recv(x->fd, at, len, MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* The next message into *m, living in *arena; false at the end. */
static bool receive(sky__executor *x, sky_buf *body, sky_msg *m, sky_arena *arena)
{
    uint8_t header[4];
    if (!read_all(x, header, sizeof header))
        return false;
    uint32_t len = 0;
    for (int i = 0; i < 4; i++)
        len |= (uint32_t)header[i] << 8 * i;
    sky_buf_reset(body);
    if (len > SKY_MSG_BYTES_MAX || !sky_buf_reserve(body, len))
        sky__executor_die("a frame is too long");
    if (!read_all(x, body->data, len))
        return false;
    sky_arena_reset(arena);
    sky_error e = {0};
    if (sky_msg_decode(m, body->data, len, arena, &e) != SKY_OK)
        sky__executor_die(e.text);
    return true;
}

/* --- The plan --- */

static void free_plan(sky__executor *x)
{
    sky_filter_free(x->filter);
    sky_plan_free(x->plan);
    sky_arena_free(&x->perm);
    x->filter = NULL;
    x->plan = NULL;
    x->d = NULL;
    x->job = NULL;
}

static sky_err set_up(sky__executor *x, const sky_msg_plan *m, sky_error *e)
{
    sky_err err = sky_plan_load(&x->plan, m->text, strlen(m->text), e);
    if (err != SKY_OK)
        return err;
    x->d = sky_plan_job(x->plan);
    err = sky_plugin_load_env(e);
    const char *plugin = sky_plan_plugin(x->plan);
    if (err == SKY_OK && plugin && !sky_job_find(x->d->name)) {
        if (!x->page->open_plugins)
            return sky_fail(e, SKY_EPERM,
                            "this worker loads no plug-ins that a plan names (%s): "
                            "start it with --allow-plugins",
                            plugin);
        err = sky_plugin_load(plugin, e);
    }
    if (err != SKY_OK)
        return err;
    x->job = sky_job_find(x->d->name);
    if (!x->job)
        return sky_fail(e, SKY_ENOTFOUND, "this worker has no job '%s'", x->d->name);
    if (strcmp(x->job->d.version, x->d->version) != 0)
        return sky_fail(e, SKY_EVERSION, "job '%s' is version %s here, the sweep is of version %s",
                        x->d->name, x->job->d.version, x->d->version);
    if (x->job->d.open != x->d->open || (!x->d->open && (x->job->d.n_params != x->d->n_params ||
                                                         x->job->d.n_metrics != x->d->n_metrics)))
        return sky_fail(e, SKY_EVERSION, "job '%s' differs here, though its version is the same",
                        x->d->name);
    err = sky_filter_new(&x->filter, x->plan, e);
    if (err == SKY_OK)
        err = sky__executor_columns(x);
    if (err == SKY_OK)
        sky__executor_ctx_init(x);
    return err;
}

static void on_plan(sky__executor *x, const sky_msg_plan *m)
{
    free_plan(x);
    x->sweep = m->sweep;
    x->row_ns = 0;
    x->batch_rows = 1;
    x->setup = (sky_error){0};
    sky_err err = set_up(x, m, &x->setup);
    if (err != SKY_OK && !x->setup.text[0])
        sky_fail(&x->setup, err, "%s", sky_strerror(err));
    x->setup.code = err;
}

/* --- Dying together --- */

static void on_signal(int sig)
{
    (void)sig;
    if ((uint32_t)getppid() != shared->parent_pid)
        kill(0, SIGKILL); /* the whole group: a job may have started programs */
    atomic_store(&shared->stop, 1);
}

/* Waits for the channel to hang up while a job may be busy. A thread of its own: nothing that a job does
 * can keep it from running. */
static void *watch_channel(void *arg)
{
    struct pollfd p = {.fd = *(const int *)arg, .events = POLLRDHUP};
    while (poll(&p, 1, -1) <= 0) {
    }
    if (atomic_load(&shared->begin) == atomic_load(&shared->end))
        poll(NULL, 0, 1000); /* idle: the main thread sees it too and ends in order */
    kill(0, SIGKILL);
    return NULL;
}

static bool join_fate(int *fd)
{
    setpgid(0, 0);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGTERM, &action, NULL) != 0 || sigaction(SIGHUP, &action, NULL) != 0)
        return false;
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0)
        return false;
    if ((uint32_t)getppid() != shared->parent_pid)
        return false; /* it died before prctl() */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the main thread */
    pthread_t thread;
    int failed = pthread_create(&thread, NULL, watch_channel, fd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return false;
    pthread_detach(thread);
    return true;
}

/* When memory is short the kernel should take an executor, never the worker or the coordinator. */
static void offer_to_oom_killer(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, "500", 3) != 3) {
        /* It stays as it is: no harm. */
    }
    close(fd);
}

static void serve(sky__executor *x)
{
    sky_arena arena = {0};
    sky_buf body = {0};
    sky_msg m;
    bool going = true;
    while (going && receive(x, &body, &m, &arena)) {
        if (m.type == SKY_MSG_PLAN)
            on_plan(x, &m.plan);
        else if (m.type == SKY_MSG_LEASE && (x->plan || x->setup.code != SKY_OK))
            going = sky__executor_lease(x, &m.lease);
    }
    sky_arena_free(&arena);
    sky_buf_free(&body);
}

int sky_executor_main(int fd)
{
    static int channel; /* outlives this call, for the watcher */
    channel = fd;
    struct stat st;
    if (fstat(fd + 1, &st) != 0 || st.st_size < (off_t)sizeof(sky_executor_page)) {
        fprintf(stderr, "skyline executor: started by hand? It is started by `skyline worker`.\n");
        return 2;
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd + 1, 0);
    if (shared == MAP_FAILED || !join_fate(&channel))
        return 70;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    close(fd + 1);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    offer_to_oom_killer();

    sky__executor x = {.fd = fd, .page = shared};
    serve(&x);
    free_plan(&x);
    sky__part_free(&x.part);
    sky_arena_free(&x.scratch);
    sky_buf_free(&x.frame);
    return 0;
}

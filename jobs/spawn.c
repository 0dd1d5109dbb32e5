#include "jobs/spawn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- the last line --- */

static void end_line(sky__last_line *l)
{
    if (l->started && l->is_candidate) {
        sky_buf swap = l->last;
        l->last = l->current;
        l->current = swap;
        l->last_too_long = l->too_long;
    }
    sky_buf_reset(&l->current);
    l->started = false;
    l->too_long = false;
}

static void feed_within_line(sky__last_line *l, const char *bytes, size_t len)
{
    if (!l->started) { /* blanks before the first character that counts */
        while (len > 0 && (*bytes == ' ' || *bytes == '\t' || *bytes == '\r'))
            bytes++, len--;
        if (len == 0)
            return;
        l->started = true;
        l->is_candidate = *bytes == '{';
    }
    if (!l->is_candidate || l->too_long)
        return;
    if (len > SKY__LINE_BYTES_MAX - l->current.len) {
        l->too_long = true;
        return;
    }
    sky_buf_add(&l->current, bytes, len);
}

void sky__last_line_feed(sky__last_line *l, const char *bytes, size_t len)
{
    while (len > 0) {
        const char *newline = memchr(bytes, '\n', len);
        size_t part = newline ? (size_t)(newline - bytes) : len;
        feed_within_line(l, bytes, part);
        if (!newline)
            return;
        end_line(l);
        bytes += part + 1;
        len -= part + 1;
    }
}

void sky__last_line_end(sky__last_line *l)
{
    end_line(l);
}

void sky__last_line_free(sky__last_line *l)
{
    sky_buf_free(&l->current);
    sky_buf_free(&l->last);
    *l = (sky__last_line){0};
}

/* --- finding the program --- */

static bool is_program(const char *path)
{
    struct stat st;
    return access(path, X_OK) == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

const char *sky__find_program(const char *name, sky_error *e)
{
    static char cached_name[PATH_MAX], cached_path[PATH_MAX];
    if (cached_path[0] && strcmp(cached_name, name) == 0)
        return cached_path;

    size_t name_len = strlen(name);
    if (name_len == 0 || name_len >= sizeof cached_name) {
        sky_fail(e, SKY_EINVAL, "the command's first word is empty or too long");
        return NULL;
    }
    if (strchr(name, '/'))
        return name; /* execve() finds it, from the working folder */

    const char *list = getenv("PATH");
    if (!list)
        list = "/usr/local/bin:/usr/bin:/bin";
    cached_path[0] = '\0';
    for (;;) {
        size_t len = strcspn(list, ":");
        char path[PATH_MAX];
        if (len + 1 + name_len < sizeof path) {
            memcpy(path, len ? list : ".", len ? len : 1); /* an empty entry means "here" */
            size_t at = len ? len : 1;
            path[at] = '/';
            memcpy(path + at + 1, name, name_len + 1);
            if (is_program(path)) {
                memcpy(cached_name, name, name_len + 1);
                memcpy(cached_path, path, at + name_len + 2);
                return cached_path;
            }
        }
        if (!list[len])
            break;
        list += len + 1;
    }
    sky_fail(e, SKY_ENOTFOUND, "no program '%s' in the PATH of this worker", name);
    return NULL;
}

/* --- the child --- */

typedef struct child {
    const sky__spawn_options *o;
    pid_t parent;
    int stdin_fd, stdout_fd;
    /* Written by the child, which shares our memory until execve() succeeds. */
    volatile int failed_errno;
    const char *volatile failed_call;
} child;

_Noreturn static void give_up(child *c, const char *call)
{
    c->failed_errno = errno;
    c->failed_call = call;
    _exit(127);
}

/* Runs between vfork() and execve(): only system calls, and no change of memory but *c. */
_Noreturn static void become(child *c)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != c->parent)
        _exit(127); /* it died before prctl() took effect */

    /* No handler of ours may run in the child while it shares our memory. Ignored signals stay
     * ignored (the terminal's Ctrl-C, if the executor ignores it), but for those that programs rely
     * on. */
    for (int sig = 1; sig < NSIG; sig++) {
        struct sigaction now;
        if (sigaction(sig, NULL, &now) != 0 || now.sa_handler == SIG_DFL)
            continue;
        if (now.sa_handler == SIG_IGN && sig != SIGPIPE && sig != SIGCHLD)
            continue;
        now = (struct sigaction){.sa_handler = SIG_DFL};
        sigaction(sig, &now, NULL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);

    const char *workdir = c->o->workdir;
    if (workdir && *workdir && chdir(workdir) != 0)
        give_up(c, workdir);
    if (dup2(c->stdin_fd, STDIN_FILENO) < 0 || dup2(c->stdout_fd, STDOUT_FILENO) < 0) {
        give_up(c, "dup2");
    }
    execve(c->o->path, c->o->argv, c->o->envp);
    give_up(c, c->o->path);
}

/* Returns the child's id, or -1 with errno set. A function of its own: nothing may live in a
 * register across vfork(). */
__attribute__((noinline)) static pid_t start(child *c)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    c->parent = getpid();
    pid_t pid = vfork();
    if (pid == 0)
        become(c); /* NOLINT(clang-analyzer-unix.Vfork): it makes system calls only, see there */
    int saved_errno = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved_errno;
    return pid;
}

/* --- waiting for it --- */

/* Takes what is in the pipe. False at its end. */
static bool drain(int fd, sky__last_line *output)
{
    assert(output); /* who has a pipe has a place for what comes out of it */
    char bytes[1 << 14];
    for (;;) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n > 0) {
            sky__last_line_feed(output, bytes, (size_t)n);
            if ((size_t)n < sizeof bytes)
                return true;
        } else if (n == 0) {
            return false;
        } else if (errno != EINTR) {
            return errno == EAGAIN;
        }
    }
}

/* Waits for the end of pid while reading its output. True if it was killed because of stopping().
 */
static bool await(pid_t pid, int fd, const sky__spawn_options *o, int *wait_status)
{
    enum { ASK_MS = 20 };
    bool killed = false;
    int pidfd = pidfd_open(pid, 0); /* -1 before Linux 5.3: then we look every ASK_MS */
    struct pollfd wait_for[2] = {{.fd = pidfd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    for (;;) {
        poll(wait_for, 2, ASK_MS);
        if (wait_for[1].fd >= 0 && wait_for[1].revents && !drain(fd, o->output))
            wait_for[1].fd = -1;
        if ((pidfd < 0 || wait_for[0].revents) && waitpid(pid, wait_status, WNOHANG) == pid)
            break;
        if (!killed && o->stopping && o->stopping(o->arg)) {
            kill(pid, SIGKILL);
            killed = true;
        }
    }
    /* What the program wrote is in the pipe; a grandchild that keeps the pipe open is not waited
     * for. */
    if (wait_for[1].fd >= 0)
        drain(fd, o->output);
    if (pidfd >= 0)
        close(pidfd);
    return killed;
}

static int null_fd(void)
{
    static int fd = -1;
    if (fd < 0)
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    return fd;
}

sky_err sky__spawn(const sky__spawn_options *o, int *wait_status, sky_error *e)
{
    assert(o->path && o->argv && o->argv[0] && o->envp);
    sky_err err = SKY_OK;
    int ends[2] = {-1, -1};
    int null = null_fd();
    if (null < 0)
        return sky_fail_errno(e, errno, "/dev/null");
    if (o->output && pipe2(ends, O_CLOEXEC) != 0)
        return sky_fail_errno(e, errno, "pipe");
    if (o->output)
        fcntl(ends[0], F_SETFL, O_NONBLOCK);

    child c = {.o = o, .stdin_fd = null, .stdout_fd = o->output ? ends[1] : null};
    pid_t pid = start(&c);
    int saved_errno = errno;
    if (ends[1] >= 0)
        close(ends[1]);
    if (pid < 0) {
        err = sky_fail_errno(e, saved_errno, "cannot start a process");
        goto done;
    }
    bool killed = await(pid, ends[0], o, wait_status);
    if (c.failed_call) {
        err = sky_fail_errno(e, c.failed_errno, "cannot run '%s': %s", o->argv[0], c.failed_call);
    } else if (killed) {
        err = sky_fail(e, SKY_ECANCELLED, "stopped");
    }
    if (o->output)
        sky__last_line_end(o->output);
done:
    if (ends[0] >= 0)
        close(ends[0]);
    return err;
}

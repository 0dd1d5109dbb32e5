/* Watching executors through /proc. See worker/limits.h. */
#include "worker/limits.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DESCENDANTS_MAX = 4096, /* a fork bomb must not cost the watcher its time */
    GAP_PERIODS = 4,        /* later than this, the watcher itself did not run */
};

/* Reads a small file of /proc whole; NULL if it is gone. */
static const char *read_small(const char *path, char *buf, size_t len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    size_t n = 0;
    while (n < len - 1) {
        ssize_t got = read(fd, buf + n, len - 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    close(fd);
    buf[n] = 0;
    return buf;
}

static uint64_t resident_of(pid_t pid)
{
    char path[64], text[128];
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    unsigned long long size = 0, resident = 0;
    if (!read_small(path, text, sizeof text) || sscanf(text, "%llu %llu", &size, &resident) != 2)
        return 0;
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Appends the children of a process, which each of its threads has some of. */
static size_t add_children(pid_t pid, pid_t *list, size_t n)
{
    char path[320], text[16384];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (!tasks)
        return n;
    for (struct dirent *t; (t = readdir(tasks));) {
        if (!isdigit((unsigned char)t->d_name[0]))
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)pid, t->d_name);
        if (!read_small(path, text, sizeof text))
            continue;
        char *save = NULL;
        for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
            if (n < DESCENDANTS_MAX)
                list[n++] = (pid_t)strtol(word, NULL, 10);
        }
    }
    closedir(tasks);
    return n;
}

uint64_t sky_resident_bytes(pid_t pid)
{
    pid_t list[DESCENDANTS_MAX];
    size_t n = 1;
    list[0] = pid;
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += resident_of(list[i]);
        n = add_children(list[i], list, n);
    }
    return bytes;
}

char sky_process_state(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!read_small(path, text, sizeof text))
        return 0;
    const char *after = strrchr(text, ')'); /* the name before it may hold anything */
    return after && after[1] == ' ' ? after[2] : 0;
}

static bool read_counter(const char *path, const char *key, uint64_t *out)
{
    char text[16384];
    if (!read_small(path, text, sizeof text))
        return false;
    size_t len = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, len) == 0 && line[len] == ' ') {
            *out = strtoull(line + len, NULL, 10);
            return true;
        }
        if (!*line)
            break;
    }
    return false;
}

uint64_t sky_oom_kills(void)
{
    char text[4096], path[4400];
    uint64_t n = 0;
    const char *line = read_small("/proc/self/cgroup", text, sizeof text);
    line = line ? strstr(line, "0::/") : NULL; /* the unified hierarchy's */
    if (line) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%.*s/memory.events",
                 (int)strcspn(line + 3, "\n"), line + 3);
        if (read_counter(path, "oom_kill", &n))
            return n;
    }
    return read_counter("/proc/vmstat", "oom_kill", &n) ? n : 0;
}

bool sky_watch_running(const sky_executor_page *page, sky_watch_trial *out)
{
    enum {
        TRIES = 8
    }; /* a microsecond job changes it all the time: then nothing takes long either */
    for (int i = 0; i < TRIES; i++) {
        uint64_t turn = atomic_load_explicit(&page->turn, memory_order_acquire);
        out->turn = turn;
        out->begin = atomic_load_explicit(&page->begin, memory_order_relaxed);
        out->end = atomic_load_explicit(&page->end, memory_order_relaxed);
        out->started_ns = atomic_load_explicit(&page->started_ns, memory_order_relaxed);
        out->log_begin = atomic_load_explicit(&page->log_begin, memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        if (turn % 2 == 0 && atomic_load_explicit(&page->turn, memory_order_relaxed) == turn)
            return out->begin < out->end;
    }
    return false;
}

static sky_watch_verdict check_time(sky_watch *w, int64_t now_ns)
{
    const int64_t period_ns = SKY_WATCH_PERIOD_MS * INT64_C(1000000);
    int64_t passed_ns = w->checked_ns ? now_ns - w->checked_ns : period_ns;
    if (passed_ns > GAP_PERIODS * period_ns)
        passed_ns = period_ns; /* this process, or the machine, stood still */
    w->checked_ns = now_ns;
    sky_watch_trial t;
    if (!sky_watch_running(w->page, &t)) {
        w->counted_ns = 0;
        return SKY_WATCH_OK;
    }
    bool same = t.turn == w->turn;
    w->turn = t.turn;
    if (!same) { /* begun since the last look */
        int64_t so_far_ns = now_ns - t.started_ns;
        w->counted_ns = so_far_ns < passed_ns ? so_far_ns : passed_ns;
    } else {
        char state = sky_process_state(w->pid);
        if (state != 'T' && state != 't')
            w->counted_ns += passed_ns;
    }
    return w->counted_ns > w->timeout_ns ? SKY_WATCH_TIMEOUT : SKY_WATCH_OK;
}

sky_watch_verdict sky_watch_check(sky_watch *w, int64_t now_ns)
{
    if (w->memory_bytes > 0) {
        w->resident_bytes = sky_resident_bytes(w->pid);
        if (w->resident_bytes > w->memory_bytes)
            return SKY_WATCH_MEMORY;
    }
    return w->timeout_ns > 0 ? check_time(w, now_ns) : SKY_WATCH_OK;
}

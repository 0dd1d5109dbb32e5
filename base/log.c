#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096 };

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static atomic_int current_level = -1; /* -1: not yet read from the environment */
static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;
static void (*sink)(void *arg, sky_log_level level, const char *line);
static void *sink_arg;

void sky_log_set_level(sky_log_level level)
{
    assert(level >= SKY_LOG_ERROR && level <= SKY_LOG_DEBUG);
    atomic_store(&current_level, (int)level);
}

sky_log_level sky_log_get_level(void)
{
    int level = atomic_load(&current_level);
    if (level >= 0)
        return (sky_log_level)level;
    level = SKY_LOG_WARN;
    const char *word = getenv("SKYLINE_LOG");
    for (int i = SKY_LOG_ERROR; word && i <= SKY_LOG_DEBUG; i++)
        if (strcasecmp(word, level_names[i]) == 0)
            level = i;
    int unset = -1; /* a level set meanwhile by another thread wins */
    atomic_compare_exchange_strong(&current_level, &unset, level);
    return unset >= 0 ? (sky_log_level)unset : (sky_log_level)level;
}

void sky_log_set_sink(void (*new_sink)(void *arg, sky_log_level level, const char *line), void *arg)
{
    pthread_mutex_lock(&sink_lock);
    sink = new_sink;
    sink_arg = arg;
    pthread_mutex_unlock(&sink_lock);
}

/* One write per line, so that lines of several processes on one terminal do not mix. */
static void write_stderr(char *line, size_t len)
{
    line[len++] = '\n';
    for (size_t done = 0; done < len;) {
        ssize_t n = write(STDERR_FILENO, line + done, len - done);
        if (n < 0 && errno != EINTR)
            return; /* there is nowhere left to tell */
        done += n > 0 ? (size_t)n : 0;
    }
}

/* A text of several lines becomes one: a log is read by line. */
static void flatten(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20)
            *text = ' ';
}

void sky_log(sky_log_level level, const char *module, const char *fmt, ...)
{
    assert(level >= SKY_LOG_ERROR && level <= SKY_LOG_DEBUG);
    if (level > sky_log_get_level())
        return;
    int saved_errno = errno;
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    char line[LINE_MAX_BYTES + 1]; /* + newline */
    int head = snprintf(line, LINE_MAX_BYTES, "%02d:%02d:%02d.%03ld %-5s %s: ", tm.tm_hour,
                        tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000, level_names[level], module);
    if (head > 0 && head < LINE_MAX_BYTES) {
        va_list ap;
        va_start(ap, fmt);
        errno = saved_errno; /* for %m */
        vsnprintf(line + head, LINE_MAX_BYTES - (size_t)head, fmt, ap);
        va_end(ap);
    }
    flatten(line);
    pthread_mutex_lock(&sink_lock);
    if (sink)
        sink(sink_arg, level, line);
    else
        write_stderr(line, strlen(line));
    pthread_mutex_unlock(&sink_lock);
    errno = saved_errno;
}

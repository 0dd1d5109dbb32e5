#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

typedef struct capture {
    int n;
    sky_log_level level;
    char line[8192];
} capture;

static void take(void *arg, sky_log_level level, const char *line)
{
    capture *c = arg;
    c->n++;
    c->level = level;
    snprintf(c->line, sizeof c->line, "%s", line);
}

Test(log, lines_have_time_level_and_module)
{
    capture c = {0};
    sky_log_set_sink(take, &c);
    sky_log_set_level(SKY_LOG_INFO);
    sky_log(SKY_LOG_INFO, "coordinator", "lease id=%d", 7);
    cr_assert(eq(int, c.n, 1));
    cr_assert(eq(int, c.level, SKY_LOG_INFO));
    int hour, minute, second, ms, at = 0;
    cr_assert(eq(int, sscanf(c.line, "%2d:%2d:%2d.%3d %n", &hour, &minute, &second, &ms, &at), 4));
    cr_assert(eq(str, c.line + at, "info  coordinator: lease id=7"));
    sky_log(SKY_LOG_DEBUG, "coordinator", "not shown");
    cr_assert(eq(int, c.n, 1));
    sky_log(SKY_LOG_ERROR, "m", "two\nlines");
    cr_assert(strstr(c.line, "m: two lines") != NULL);
    sky_log_set_sink(NULL, NULL);
}

Test(log, a_long_line_is_cut_and_errno_stays)
{
    capture c = {0};
    sky_log_set_sink(take, &c);
    static char text[20000];
    memset(text, 'x', sizeof text - 1);
    errno = EBUSY;
    sky_log(SKY_LOG_ERROR, "m", "%s", text);
    cr_assert(eq(int, errno, EBUSY));
    cr_assert(lt(sz, strlen(c.line), 4096));
    sky_log_set_sink(NULL, NULL);
}

Test(log, level_from_the_environment)
{
    setenv("SKYLINE_LOG", "Debug", 1);
    cr_assert(eq(int, sky_log_get_level(), SKY_LOG_DEBUG));
}

Test(log, an_unknown_level_is_the_default)
{
    setenv("SKYLINE_LOG", "loud", 1);
    cr_assert(eq(int, sky_log_get_level(), SKY_LOG_WARN));
}

static void *log_much(void *arg)
{
    for (int i = 0; i < 500; i++)
        sky_log(SKY_LOG_ERROR, "thread", "%s", (const char *)arg);
    return NULL;
}

Test(log, threads_write_whole_lines_to_stderr)
{
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, log_much, "a line of some length");
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    char line[200];
    int n = 0;
    for (; fgets(line, sizeof line, file); n++)
        cr_assert(strstr(line, " error thread: a line of some length\n") != NULL, "%s", line);
    cr_assert(eq(int, n, 2000));
    fclose(file);
}

/* The worker process of `skyline run`: this program again, as `skyline worker` in a session of
 * its own, so that isolation is the same as on a cluster and a Ctrl-C at the terminal reaches
 * only the parent. It is started again when it dies, at a bounded rate. */
#ifndef SKY_CLI_WORKPROC_H
#define SKY_CLI_WORKPROC_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"

typedef struct cli_workproc {
    uv_loop_t *loop;
    const char *endpoint;
    const char *const *plugins;                   /* NULL-terminated */
    const char *log_level;                        /* NULL: the worker's default */
    int64_t slots;                                /* 0: all */
    void (*on_line)(void *arg, const char *line); /* a line of its standard error */
    void (*on_gone)(void *arg, bool expected, const char *reason); /* ended for good; see below */
    void *arg;

    /* Its own. */
    uv_process_t process;
    uv_pipe_t err;
    uv_timer_t restart;
    bool alive, ending, closed;
    int quick_deaths; /* in a row, each within QUICK_NS of its start */
    int open_handles;
    int64_t started_ns;
    char line[4096];
    size_t line_len;
} cli_workproc;

/* Starts it; the fields above are filled in. on_gone: it ended after cli_workproc_expect_end(),
 * or died again and again (expected false, with a reason). */
sky_err cli_workproc_start(cli_workproc *w, sky_error *e);
/* It was told to end: do not start it again. */
void cli_workproc_expect_end(cli_workproc *w);
void cli_workproc_kill(cli_workproc *w);
/* Closes the handles; the loop must run once more. */
void cli_workproc_close(cli_workproc *w);

#endif

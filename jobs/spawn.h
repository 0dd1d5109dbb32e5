/* Starts a program, collects what it prints, waits for its end. For the job `command`.
 *
 * Made for programs that take a millisecond: vfork (no copy of the executor's page tables), no shell,
 * the PATH searched once, a pipe only where output is wanted. Standard error is inherited: the executor
 * keeps it. The child stays in the executor's process group, so that killing the group ends all that it
 * started, and dies with the executor (PR_SET_PDEATHSIG). */
#ifndef SKY_JOBS_SPAWN_H
#define SKY_JOBS_SPAWN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum {
    SKY__LINE_BYTES_MAX = 1 << 20
}; /* one line of metrics; SKY_METRICS_MAX of them fit in 64 KiB */

/* Remembers the last line that begins with '{' (blanks before it allowed), whatever the amount of
 * output. Zero-initialise; free with sky__last_line_free(). */
typedef struct sky__last_line {
    sky_buf current;   /* the line being read */
    sky_buf last;      /* the last complete line that begins with '{' */
    bool is_candidate; /* current begins with "{" */
    bool too_long;     /* current is longer than SKY__LINE_BYTES_MAX */
    bool last_too_long;
    bool started; /* current holds more than blanks */
} sky__last_line;

void sky__last_line_feed(sky__last_line *l, const char *bytes, size_t len);
void sky__last_line_end(sky__last_line *l); /* the output ended: an unfinished line counts */
void sky__last_line_free(sky__last_line *l);

typedef struct sky__spawn_options {
    const char *path;            /* of the program, as execve() takes it */
    char *const *argv;           /* NULL-terminated */
    char *const *envp;           /* NULL-terminated */
    const char *workdir;         /* where it runs; "" or NULL: where we are */
    sky__last_line *output;      /* where its standard output goes; NULL: /dev/null */
    bool (*stopping)(void *arg); /* asked every 20 ms; true kills the program */
    void *arg;
} sky__spawn_options;

/* Runs the program to its end. On SKY_OK, *wait_status is what waitpid() gave. SKY_ECANCELLED: it was
 * killed because stopping() said so. Other errors: it could not be started. Not thread-safe. */
sky_err sky__spawn(const sky__spawn_options *o, int *wait_status, sky_error *e);

/* The file that name means, as execvp() would find it. The result is good until the next call, and
 * repeated calls for one name are free. NULL with *e set if there is none. */
const char *sky__find_program(const char *name, sky_error *e);

#endif

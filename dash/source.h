/* What the dashboard shows of a running coordinator, and asks of it. cli/ fills this, so that dash/
 * knows no coordinator and no job. Everything but `again` is called on the loop's thread. */
#ifndef SKY_DASH_SOURCE_H
#define SKY_DASH_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

typedef enum sky_dash_command {
    SKY_DASH_PAUSE,
    SKY_DASH_RESUME,
    SKY_DASH_CANCEL,
    SKY_DASH_RETRY,
    SKY_DASH_PRIORITY, /* with a value */
} sky_dash_command;

/* The coordinator in a few numbers: cheap, since it is asked five times a second. */
typedef struct sky_dash_counts {
    uint64_t workers, lost; /* connected; silent for too long */
    uint64_t cpus, running; /* of the connected workers; trials that run now */
    uint64_t leased;        /* positions given out */
    uint64_t uncommitted;   /* rows that wait for their commit */
} sky_dash_counts;

/* Any function may be NULL: that is then not offered. */
typedef struct sky_dash_source {
    void *arg;
    void (*counts)(void *arg, sky_dash_counts *out);
    /* Appends the coordinator's state as one JSON object: the keys of docs/wire.md, "status". */
    void (*status)(void *arg, sky_buf *json);
    /* Appends families in Prometheus' text format. */
    void (*metrics)(void *arg, sky_buf *text);
    sky_err (*command)(void *arg, sky_dash_command command, const char *sweep, int64_t value,
                       sky_error *e);
    /* Appends a command line that evaluates that trial of a plan again; false: there is none. On any
     * thread, without arg. */
    bool (*again)(const char *plan, uint64_t trial, sky_buf *out);
} sky_dash_source;

#endif

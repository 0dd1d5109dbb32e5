/* What the dashboard shows of a running coordinator, and asks of it. cli/ fills this, so that dash/
 * knows no coordinator. Everything is called on the loop's thread. */
#ifndef SKY_DASH_SOURCE_H
#define SKY_DASH_SOURCE_H

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

/* Any function may be NULL: that is then not offered. */
typedef struct sky_dash_source {
    void *arg;
    /* Appends the coordinator's state as one JSON object: the keys of docs/wire.md, "status". */
    void (*status)(void *arg, sky_buf *json);
    /* Appends lines in Prometheus' text format. */
    void (*metrics)(void *arg, sky_buf *text);
    sky_err (*command)(void *arg, sky_dash_command command, const char *sweep, int64_t value,
                       sky_error *e);
} sky_dash_source;

#endif

/* The dashboard's server: the page, its data and its events, on the caller's loop.
 *
 * SQLite is never touched on the loop's thread. Two threads have a read-only connection each: one
 * answers what the page needs to draw, the other what a person asked in SQL, so that a slow question
 * holds up nothing but other questions. docs/dash.md describes the interface. */
#ifndef SKY_DASH_DASH_H
#define SKY_DASH_DASH_H

#include <stdbool.h>
#include <uv.h>

#include "base/err.h"
#include "dash/source.h"

typedef struct sky_dash sky_dash;

#define SKY_DASH_LISTEN "127.0.0.1:7744"

/* Zero-initialise; a zero field means its default. Texts are borrowed until the call returns. */
typedef struct sky_dash_options {
    uv_loop_t *loop;    /* required; borrowed for the dashboard's life */
    const char *db;     /* required: the store's file, opened for reading */
    const char *listen; /* ADDRESS:PORT; NULL = SKY_DASH_LISTEN. Port 0: any free one */
    const char *token;  /* who has it may read (required beyond loopback) and command; NULL: none */
    const sky_dash_source *source; /* copied; NULL: the file alone */
    /* The newest sweep's columns are read at once, before somebody looks, if it has at most so many
     * positions. */
    uint64_t preload_rows_max;
} sky_dash_options;

/* SKY_EPERM: an address beyond loopback without a token. SKY_EBUSY: the address is taken. Errors of
 * sky_store_open(). On error *out is untouched, but the loop may have handles to close. */
sky_err sky_dash_open(sky_dash **out, const sky_dash_options *o, sky_error *e);
const char *sky_dash_url(const sky_dash *d); /* http://127.0.0.1:7744/ */
/* Waits for what its threads are doing; the loop must run until it has no handles left. */
void sky_dash_close(sky_dash *d); /* NULL is fine */

/* Reads a token from a file: its first line, 16 to 200 printable characters. */
sky_err sky_dash_token_read(const char *path, char *out, size_t len, sky_error *e);

#endif

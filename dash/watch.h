/* The sweeps of the store as they go: their list, how fast they are, which of them changed. Kept by a
 * reader's thread. */
#ifndef SKY_DASH_WATCH_H
#define SKY_DASH_WATCH_H

#include "dash/readthread.h"

typedef struct sky__watch sky__watch;

/* Appends a JSON array of all sweeps, newest first. */
sky_err sky__watch_list(sky__reader *t, sky_buf *b, sky_error *e);
/* Appends what changed since the last call, as a JSON object (SweepsEvent of openapi.json). *any: did
 * anything? */
sky_err sky__watch_changes(sky__reader *t, sky_buf *b, bool *any, sky_error *e);
/* Appends the members of the sweep of that id, without braces. SKY_ENOTFOUND. */
sky_err sky__watch_members(sky__reader *t, int64_t id, sky_buf *b, sky_error *e);
void sky__watch_free(sky__watch *w); /* NULL is fine */

#endif

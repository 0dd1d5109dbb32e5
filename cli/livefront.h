/* The size of a sweep's front while it grows, for a progress bar.
 *
 * A thread with a connection of its own looks at the store now and then, at most a thirtieth of the
 * time: the loop that records never waits for it. */
#ifndef SKY_CLI_LIVEFRONT_H
#define SKY_CLI_LIVEFRONT_H

#include <stdint.h>

#include "store/store.h"

typedef struct cli_livefront cli_livefront;

/* *out stays NULL where nothing can be shown (no objectives, no memory). Copies what it needs. */
void cli_livefront_start(cli_livefront **out, sky_store *store, const char *sweep);
/* What was last found; negative: not known. NULL is fine. */
int64_t cli_livefront_size(const cli_livefront *f);
void cli_livefront_stop(cli_livefront *f); /* NULL is fine */

/* The same at once, of the sweep's own objectives, with repeats averaged; negative: no objectives, or more
 * than rows_max rows, which would make a person wait. */
int64_t cli_front_size(sky_store *store, const sky_sweep_info *sweep, uint64_t rows_max);

#endif

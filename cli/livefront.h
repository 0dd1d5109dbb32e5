/* The size of a sweep's front while it grows, for a progress bar and the summary.
 *
 * A thread with a connection of its own takes in what was committed, at most a thirtieth of the
 * time: the loop that records never waits for it. */
#ifndef SKY_CLI_LIVEFRONT_H
#define SKY_CLI_LIVEFRONT_H

#include <stdint.h>

#include "store/store.h"

typedef struct cli_livefront cli_livefront;

/* *out stays NULL where nothing can be shown. Copies what it needs. */
void cli_livefront_start(cli_livefront **out, sky_store *store, const char *sweep);
/* What was last found; negative: not known (yet), or no objectives. NULL is fine. */
int64_t cli_livefront_size(const cli_livefront *f);
/* Takes in the rest if it ever looked, ends the thread, and gives the size. NULL is fine. */
int64_t cli_livefront_stop(cli_livefront *f);

/* The same at once; negative: no objectives, or more than rows_max rows, for which a person
 * would wait. */
int64_t cli_front_size(sky_store *store, const sky_sweep_info *sweep, uint64_t rows_max);

#endif

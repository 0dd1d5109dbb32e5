/* The size of a sweep's front while it grows, for a progress bar. */
#ifndef SKY_CLI_LIVEFRONT_H
#define SKY_CLI_LIVEFRONT_H

#include <stdint.h>

#include "store/store.h"

typedef struct cli_livefront cli_livefront;

/* *out stays NULL where the sweep has no objectives. The store is borrowed. */
void cli_livefront_open(cli_livefront **out, sky_store *store, const char *sweep);
/* Negative: not known. Looks at what was committed since the last call. */
int64_t cli_livefront_size(cli_livefront *f);
void cli_livefront_close(cli_livefront *f); /* NULL is fine */

#endif

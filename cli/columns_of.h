/* Decoded trials in batches, for commands that look at a plan without running it. */
#ifndef SKY_CLI_COLUMNS_OF_H
#define SKY_CLI_COLUMNS_OF_H

#include <stddef.h>
#include <stdint.h>

#include "base/value.h"
#include "sweeps/plan.h"

enum { CLI_BATCH = 4096 };

typedef struct cli_batch {
    const sky_plan *plan;
    size_t n_columns;
    sky_column *columns; /* of CLI_BATCH rows */
    uint64_t *cells;     /* behind the columns */
    uint8_t *absent;
    uint64_t trials[CLI_BATCH];
    uint8_t keep[CLI_BATCH];
} cli_batch;

cli_batch *cli_batch_new(const sky_plan *plan); /* NULL when out of memory */
void cli_batch_free(cli_batch *b);
/* Decodes trials[0..n) and fills keep[]. */
sky_err cli_batch_decode(cli_batch *b, sky_filter *filter, size_t n, sky_error *e);

#endif

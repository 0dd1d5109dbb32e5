#include "cli/columns_of.h"

#include <stdlib.h>
#include <string.h>

cli_batch *cli_batch_new(const sky_plan *plan)
{
    cli_batch *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->plan = plan;
    b->n_columns = sky_plan_job(plan)->n_params;
    b->columns = calloc(b->n_columns + 1, sizeof *b->columns);
    b->cells = calloc((b->n_columns + 1) * CLI_BATCH, sizeof *b->cells);
    b->absent = calloc((b->n_columns + 1) * CLI_BATCH, 1);
    if (!b->columns || !b->cells || !b->absent) {
        cli_batch_free(b);
        return NULL;
    }
    for (size_t i = 0; i < b->n_columns; i++) {
        b->columns[i].type = sky_plan_job(plan)->params[i].type;
        b->columns[i].i = (int64_t *)b->cells + i * CLI_BATCH; /* 8-byte cells serve each type */
        b->columns[i].absent = b->absent + i * CLI_BATCH;
    }
    return b;
}

void cli_batch_free(cli_batch *b)
{
    if (!b)
        return;
    free(b->columns);
    free(b->cells);
    free(b->absent);
    free(b);
}

sky_err cli_batch_decode(cli_batch *b, sky_filter *filter, size_t n, sky_error *e)
{
    sky_plan_decode_columns(b->plan, b->trials, n, b->columns);
    if (!sky_filter_is_trivial(filter))
        return sky_filter_rows(filter, b->columns, n, b->keep, e);
    memset(b->keep, 1, n);
    return SKY_OK;
}

/* What `skyline run` and `submit --wait` say at the end. */
#ifndef SKY_CLI_SUMMARY_H
#define SKY_CLI_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/store.h"
#include "sweeps/plan.h"

typedef struct cli_summary {
    sky_store *store; /* a reader or the writer itself */
    const char *db;   /* the store's name as the user gave it */
    const sky_sweep_info *sweep;
    int64_t front_size;       /* negative: not known, it is looked up */
    uint64_t recorded_before; /* when this run began */
    double wall_s;
    bool interrupted, json;
} cli_summary;

void cli_summary_print(const cli_summary *s, sky_buf *out);

#endif

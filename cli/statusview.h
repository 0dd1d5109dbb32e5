/* A coordinator's status, from its JSON (docs/wire.md). */
#ifndef SKY_CLI_STATUSVIEW_H
#define SKY_CLI_STATUSVIEW_H

#include <stdbool.h>

#include "base/buf.h"
#include "cli/progress.h"

typedef struct cli_status {
    char state[32], reason[256];
    cli_progress_state progress;
} cli_status;

/* The named sweep's; false if the JSON does not hold it. */
bool cli_status_parse(cli_status *out, const char *json, const char *sweep);
/* Tables of sweeps and workers. */
void cli_status_print(const char *json, sky_buf *out, bool colour);

#endif

/* A query that a person wrote, on a connection that only reads: SELECT alone, and not for ever. */
#ifndef SKY_CLI_READGUARD_H
#define SKY_CLI_READGUARD_H

#include <sqlite3.h>

#include "base/err.h"
#include "store/store.h"

typedef struct cli_guard {
    sqlite3 *db;
    int64_t deadline_ns; /* 0: none */
} cli_guard;

/* From now on the connection refuses all but reading, and interrupts what takes longer. *g is borrowed
 * while the connection is open. */
void cli_guard_set(cli_guard *g, sky_store *s, int64_t timeout_ns);

#endif

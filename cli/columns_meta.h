/* The columns of a sweep's table, as the store declares them. */
#ifndef SKY_CLI_COLUMNS_META_H
#define SKY_CLI_COLUMNS_META_H

#include <sqlite3.h>

#include "base/arena.h"
#include "base/describe.h"
#include "store/store.h"

typedef enum cli_role { CLI_PARAM, CLI_METRIC, CLI_DERIVED } cli_role;

typedef struct cli_column {
    const char *name, *unit;
    cli_role role;
    sky_type type;
    sky_goal goal;
} cli_column;

typedef struct cli_columns {
    const cli_column *c; /* parameters, metrics, derived metrics; each in the order declared */
    size_t n;
    bool constraints; /* the sweep has some: sky_feasible says something */
} cli_columns;

/* Everything lives in the arena. */
sky_err cli_columns_read(sky_store *s, int64_t sweep, sky_arena *arena, cli_columns *out,
                         sky_error *e);
const cli_column *cli_column_find(const cli_columns *c, const char *name); /* NULL: none */
/* Fails with "did you mean". */
sky_err cli_column_unknown(const cli_columns *c, const char *name, sky_error *e);
/* The sweep's objectives; *n is 0 where it has none. */
sky_err cli_objectives_read(sky_store *s, int64_t sweep, sky_arena *arena, sky_objective *out,
                            size_t max, size_t *n, sky_error *e);
/* Prepares a query, with an error for a person. */
sky_err cli_prepare(sky_store *s, const char *sql, sqlite3_stmt **out, sky_error *e);

#endif

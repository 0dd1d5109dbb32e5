/* The columns of the sweeps that somebody looks at, kept in memory by a reader's thread. */
#ifndef SKY_DASH_RESIDENT_H
#define SKY_DASH_RESIDENT_H

#include "base/arena.h"
#include "base/describe.h"
#include "dash/readthread.h"
#include "store/columns.h"

enum {
    SKY__INFOS_MAX = SKY_PARAMS_MAX + 2 * SKY_METRICS_MAX + 2,
    SKY__RESIDENT_COLUMNS_MAX = 96, /* of a sweep; the others are in rows and exports only */
    SKY__RESIDENTS_MAX = 4,         /* sweeps; the one longest unused goes */
    SKY__RESIDENT_ROWS_MAX = 20000000,
};

typedef struct sky__column_info {
    const char *name, *role, *unit, *doc, *cls, *sql;
    sky_type type;
    sky_goal goal;
    int resident; /* its column in `columns`, or -1 */
} sky__column_info;

/* What digest.c knows of a column's first `rows` rows. */
enum { SKY__CHOICES_MAX = 64 };
typedef struct sky__column_summary {
    size_t n; /* with a finite value, or a text */
    double min, max, above_zero, sum;
    double choices[SKY__CHOICES_MAX]; /* distinct values, ascending */
    size_t n_choices;                 /* beyond the limit: more than can be told */
} sky__column_summary;

typedef struct sky__resident sky__resident;
struct sky__resident {
    sky__resident *next;
    sky_arena arena;
    char *name;
    int64_t id, generation;
    uint64_t epoch; /* another number each time rows are not merely appended */
    uint64_t used;  /* for choosing the one to forget */
    uint64_t points, positions;
    sky__column_info *infos; /* params, metrics, derived, then sky_wall_s and sky_feasible */
    size_t n_infos;
    sky_objective *objectives;
    size_t n_objectives;
    sky_columns *columns;
    bool more;    /* rows are still to be read: the last look had a limited time */
    int feasible; /* its column */
    sky__column_summary *summaries; /* of each resident column; NULL: nobody asked yet */
    size_t summarised;              /* rows */
    struct sky__history *histories; /* api_history.c */
};

/* The sweep with fresh columns, opened if need be. Valid until the next call. */
sky_err sky__resident_get(sky__reader *t, const char *sweep, sky__resident **out, sky_error *e);
/* As a request with an argument within_ms wants it: what can be read in that time is there, and of a sweep
 * with more rows than are kept, the first ones. Without the argument the same as above. */
sky_err sky__resident_for(sky__reader *t, const sky_http_request *r, const char *sweep,
                          sky__resident **out, sky_error *e);
/* What a thread does that nobody asks anything: goes on with what the last look left unread, for a slice.
 * False: there is nothing to read. */
bool sky__resident_read_on(sky__reader *t);
/* Only what the store says of the sweep: no columns are loaded. */
sky_err sky__resident_schema(sky__reader *t, const char *sweep, sky__resident **out, sky_error *e);
void sky__residents_free(sky__resident *list);

/* SKY_EINVAL: no such column, or not resident. */
const sky__column_info *sky__resident_info(const sky__resident *s, const char *name); /* or NULL */
sky_err sky__resident_column(const sky__resident *s, const char *name,
                             const sky__column_info **info, const double **values, sky_error *e);
/* With fresh summaries; NULL: out of memory. */
const sky__column_summary *sky__resident_summary(sky__resident *s, size_t column);
void sky__histories_free(struct sky__history *list);

#endif

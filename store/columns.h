/* Columns of a sweep in memory, as doubles, loaded when somebody looks and kept up to date.
 *
 * A refresh reads only what commits added since the last one, in short read transactions, so that the
 * writer's log does not grow. Rows come in no particular order: the first load by trial, later ones as
 * they were committed. Every value is a double; a NULL is NaN; true and false are 1 and 0; a text, where
 * texts are asked for, is its number in the column's list of distinct texts. */
#ifndef SKY_STORE_COLUMNS_H
#define SKY_STORE_COLUMNS_H

#include "store/store.h"

typedef struct sky_columns sky_columns;

/* Zero-initialise; a zero field means its default. */
typedef struct sky_columns_options {
    const char *const *names; /* parameters, metrics, derived metrics, sky_wall_s, sky_feasible */
    size_t n;
    size_t rows_max; /* SKY_ELIMIT when the sweep has more; 0 = 2^31 */
    bool texts;      /* columns of texts too, as numbers: see sky_columns_texts() */
    bool
        stop_at_max; /* keep the first rows_max rows instead of SKY_ELIMIT: see sky_columns_full() */
} sky_columns_options;

/* Nothing is loaded yet: the first refresh does. SKY_ENOTFOUND: no such sweep; SKY_EINVAL: an unknown
 * column (the message has the nearest) or one of texts. The store is borrowed. */
sky_err sky_columns_open(sky_columns **out, sky_store *s, const char *sweep,
                         const sky_columns_options *o, sky_error *e);
void sky_columns_close(sky_columns *c); /* NULL is fine */

typedef struct sky_columns_change {
    size_t first; /* rows [first, sky_columns_rows()) are new */
    bool reset; /* all were read again, since derived metrics or constraints changed: first is 0 */
    bool more;  /* time was out before all that had been committed was read: refresh again */
} sky_columns_change;
/* SKY_ENOTFOUND: the sweep was deleted meanwhile. On error the rows are those of before, or, where they
 * had to be read again, none. change may be NULL. */
sky_err sky_columns_refresh(sky_columns *c, sky_columns_change *change, sky_error *e);
/* The same, but reads for some within_ms at most (0: for as long as it takes): what is not read yet comes
 * with the next refresh. At least a few thousand rows are read. */
sky_err sky_columns_refresh_within(sky_columns *c, uint32_t within_ms, sky_columns_change *change,
                                   sky_error *e);

size_t sky_columns_rows(const sky_columns *c);
uint64_t sky_columns_recorded(const sky_columns *c); /* rows of the sweep at the last refresh */
bool sky_columns_full(const sky_columns *c);         /* rows_max are here, and the sweep has more */
/* Valid until the next refresh. */
const uint64_t *sky_columns_trials(const sky_columns *c);
const double *sky_columns_values(const sky_columns *c, size_t column);
/* The distinct texts of a column in order of appearance, *n of them; those beyond SKY_COLUMN_TEXTS_MAX
 * are NaN. Valid until the next refresh. */
enum { SKY_COLUMN_TEXTS_MAX = 4096 };
const char *const *sky_columns_texts(const sky_columns *c, size_t column, size_t *n);
uint64_t sky_columns_points(const sky_columns *c);    /* of the sweep: point = trial % points */
uint64_t sky_columns_positions(const sky_columns *c); /* more than points: there are repeats */
/* When each of the rows from `first` on was committed (ms since 1970), into at_ms; 0: not known. Commit
 * records are united as a sweep grows: the older a row, the coarser its time. */
sky_err sky_columns_times(sky_columns *c, size_t first, int64_t *at_ms, sky_error *e);

#endif

/* Rows out of a store: as a table for a person, CSV, JSON or JSON lines.
 *
 * Rows stream through the caller's function; nothing grows with their number (a table measures its
 * column widths on the first rows). By default all columns but sky_* come in declared order and rows in trial
 * order, so that two runs of one sweep with exact metrics export the same bytes. */
#ifndef SKY_STORE_EXPORT_H
#define SKY_STORE_EXPORT_H

#include "store/fronts.h"
#include "store/store.h"

typedef enum sky_format {
    SKY_FORMAT_TABLE,
    SKY_FORMAT_CSV,   /* RFC 4180, but lines end with \n; a header line */
    SKY_FORMAT_JSON,  /* one array of objects, a line each */
    SKY_FORMAT_JSONL, /* an object a line */
} sky_format;
/* "table", "csv", "json", "jsonl"; SKY_EFORMAT. */
sky_err sky_format_parse(const char *text, sky_format *out);
const char *sky_format_name(sky_format f);

/* Zero-initialise; a zero field means its default. Everything is borrowed until the call returns. */
typedef struct sky_export_options {
    sky_format format;
    /* Bytes to their destination; not SKY_OK ends the export with that error. Required. */
    sky_err (*write)(void *arg, const char *bytes, size_t len);
    void *arg;
    const char *where;    /* SQL expression over the sweep's columns */
    const char *order_by; /* SQL, as after ORDER BY; trial breaks ties */
    uint64_t limit;       /* rows; 0 = all */
    const char *const
        *columns; /* these, in this order (any column of the table); NULL = the default */
    size_t n_columns;
    bool system_columns; /* sky_wall_s, sky_env and sky_feasible too */
    bool exact_only;     /* of the metrics only exact ones, none derived */
    bool spreadsheet; /* CSV: a text that a spreadsheet would take for a formula gets a leading ' */
    bool no_header;   /* CSV and table */
    bool
        brief; /* table: parameters that are the same in all rows in a line below it, if it is short */
    uint32_t width;               /* table: cut lines to so many characters; 0 = never */
    uint32_t time_limit_ms;       /* in SQLite, all rows together; 0 = no limit */
    bool (*cancelled)(void *arg); /* with arg; may be NULL */
} sky_export_options;

/* *rows (may be NULL): how many were written, also on error. SKY_ENOTFOUND: no such sweep; SKY_EINVAL:
 * an unknown column or an expression that SQLite refuses; SKY_ETIMEOUT, SKY_ECANCELLED. */
sky_err sky_export_sweep(sky_store *s, const char *sweep, const sky_export_options *o,
                         uint64_t *rows, sky_error *e);
/* Rows of these trials in the order of the list; one that is not recorded is passed over. where,
 * order_by, limit and time_limit_ms are not used. Each row is a read of its own. */
sky_err sky_export_trials(sky_store *s, const char *sweep, const uint64_t *trials, size_t n,
                          const sky_export_options *o, uint64_t *rows, sky_error *e);
/* A SELECT of the user's, guarded (store/guard.h). where, order_by and columns are not used. */
sky_err sky_export_sql(sky_store *s, const char *sql, const sky_export_options *o, uint64_t *rows,
                       sky_error *e);
/* A front, best first: trial (or point, repeats), the parameters, then each objective that is not a
 * parameter (with repeats: its mean, and its standard deviation as NAME_sd). limit applies; where,
 * order_by and columns are not used. */
sky_err sky_export_front(sky_fronts *f, const sky_export_options *o, uint64_t *rows, sky_error *e);

#endif

/* SQL that a person wrote: one SELECT, read-only, within a time.
 *
 * The statement is compiled under an authorizer that allows SELECT, reading columns, functions (but no
 * load_extension and the like) and the PRAGMA functions that describe tables; nothing else, no ATTACH and
 * no other PRAGMA. A progress handler ends it after its time, or when the caller says so. */
#ifndef SKY_STORE_GUARD_H
#define SKY_STORE_GUARD_H

#include "store/store.h"

typedef struct sky_query sky_query;

/* Zero-initialise; a zero field means its default. */
typedef struct sky_query_options {
    uint32_t time_limit_ms; /* in SQLite, all steps together; 0 = no limit */
    bool (*cancelled)(
        void *arg); /* asked every few milliseconds; true ends the query. May be NULL */
    void *arg;
} sky_query_options;

/* Compiles sql: one SELECT (or WITH, or VALUES), a ';' at its end at most. SKY_EPERM: it does what is not
 * allowed. SKY_EINVAL: SQLite's complaint. The store is borrowed for the query's life. */
sky_err sky_query_open(sky_query **out, sky_store *s, const char *sql, const sky_query_options *o,
                       sky_error *e);
void sky_query_close(sky_query *q); /* NULL is fine */
size_t sky_query_columns(const sky_query *q);
const char *sky_query_name(const sky_query *q, size_t column);
/* *row: is there one? SKY_ETIMEOUT, SKY_ECANCELLED. */
sky_err sky_query_step(sky_query *q, bool *row, sky_error *e);
/* Of the current row; its text is valid until the next step or the next value of that column. NULL is an
 * absent text; a BLOB is the text x'hex'. */
sky_value sky_query_value(sky_query *q, size_t column);

/* Is the text one expression, fit to stand between parentheses? Quotes, comments and parentheses must be
 * closed, and no ';' outside of them. Nothing is compiled. `what` names it in the message. */
sky_err sky_expression_check(const char *sql, const char *what, sky_error *e);

#endif

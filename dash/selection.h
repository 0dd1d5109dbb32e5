/* The trials of a sweep that a person's filter leaves, in an order: found in short steps, kept so that
 * a window of them can be asked for again. */
#ifndef SKY_DASH_SELECTION_H
#define SKY_DASH_SELECTION_H

#include "dash/readthread.h"

enum {
    SKY__QUERY_MS = 5000, /* of a person's SQL, all its steps together */
    SKY__STEP_MS = 250,   /* of one of its steps: the writer's log cannot be cut meanwhile */
};

typedef struct sky__selection {
    struct sky__selection *next;
    uint64_t id;
    int64_t sweep, seq, generation; /* of what, and in which state of the store */
    char *where, *order;
    uint64_t *trials;
    size_t n;
    uint64_t used;
} sky__selection;

typedef struct sky__selection_ask {
    const char *sweep;
    const char *where; /* an SQL expression; NULL or "": all */
    const char *order; /* "column", "column:desc"; NULL or "": trial */
    uint64_t id;       /* this one, if it is still kept and of the same question; 0: a fresh one */
} sky__selection_ask;

/* Valid until the next call. SKY_EINVAL: SQLite's complaint, an unknown column. SKY_ETIMEOUT. */
sky_err sky__selection_get(sky__reader *t, const sky__selection_ask *ask,
                           const sky__selection **out, sky_error *e);
void sky__selections_free(sky__selection *list);

#endif

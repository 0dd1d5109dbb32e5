/* Columns in memory, for the files that read or fill them: columns.c, times.c. */
#ifndef SKY_STORE_COLUMNS_INTERNAL_H
#define SKY_STORE_COLUMNS_INTERNAL_H

#include "store/columns.h"
#include "store/read_internal.h"

/* The distinct texts of a column, found by hash. */
typedef struct sky__dictionary {
    bool used; /* the column is of texts */
    char **texts;
    size_t n;
    uint32_t *slots; /* 1 + index of a text, or 0 */
} sky__dictionary;

struct sky_columns {
    sky_store *store;
    char *sweep;
    char **names;
    size_t n_columns;
    size_t rows_max;
    bool stop_at_max;
    int64_t id, generation;
    uint64_t points, positions;
    uint64_t recorded;  /* rows that the sweep had when it was last looked at */
    bool loaded, shown; /* shown: the caller has seen rows, and must hear of a reload */
    bool overlap;       /* the next commit records may list rows that are here already */
    uint64_t since;
    int64_t deadline_ns; /* of the refresh that runs; 0: none */
    /* A first load that is not at its end: the newest commit when it began, the last trial that was read, the
     * newest that there was. */
    bool loading;
    int64_t load_since, load_last, load_end;
    /* What commits up to `since` added, and how much of it is not read yet: from trial pending_begin in range
     * pending_at. */
    sky__spans pending;
    size_t pending_at;
    uint64_t pending_begin;
    size_t rows, cap;
    uint64_t *trials;
    double **values;
    sky__dictionary *texts;
    sqlite3_stmt *scan, *range;
};

#endif

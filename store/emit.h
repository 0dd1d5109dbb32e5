/* Rows of values as table, CSV, JSON or JSON lines. Used by export.c. */
#ifndef SKY_STORE_EMIT_H
#define SKY_STORE_EMIT_H

#include "store/export.h"

typedef struct sky__emit {
    const sky_export_options *o;
    size_t n;
    const char *const *names; /* borrowed */
    uint64_t rows;
    sky_buf out; /* what write() has not got yet */
    /* A table's first rows wait until the widths are known. */
    bool measured;
    size_t waiting, cap;
    char **cells;     /* waiting * n; NULL: absent */
    size_t *widths;   /* in characters */
    uint8_t *numeric; /* no text so far: to the right */
    /* Of a brief table, the columns that may go to the line below it: [fold_begin, fold_end). */
    size_t fold_begin, fold_end;
    uint8_t *folded;
} sky__emit;

/* On error nothing needs freeing. */
sky_err sky__emit_init(sky__emit *m, const sky_export_options *o, const char *const *names,
                       size_t n, sky_error *e);
sky_err sky__emit_row(sky__emit *m, const sky_value *values, sky_error *e);
sky_err sky__emit_end(sky__emit *m, sky_error *e); /* closes arrays, writes what waits */
void sky__emit_fini(sky__emit *m);

#endif

/* What the files of the read side share: meta.c. */
#ifndef SKY_STORE_READ_INTERNAL_H
#define SKY_STORE_READ_INTERNAL_H

#include "base/arena.h"
#include "store/store_internal.h"

enum {
    SKY__META_COLUMNS_MAX = SKY_PARAMS_MAX + 2 * SKY_METRICS_MAX + 3,
    SKY__META_OBJECTIVES_MAX = 64, /* more than a front takes: its message says so */
};

typedef enum sky__role { SKY__PARAM, SKY__METRIC, SKY__DERIVED, SKY__SYSTEM } sky__role;

typedef struct sky__meta_column {
    const char *name;
    sky_type type;
    sky__role role;
    sky_goal goal;
    bool exact;
} sky__meta_column;

typedef struct sky__meta {
    sky_arena arena; /* behind everything below */
    int64_t id;
    uint64_t points, positions;
    const char *name;
    sky__meta_column *columns; /* parameters, metrics, derived, then the three sky_ ones */
    size_t n_columns;
    sky_objective *objectives;
    size_t n_objectives;
} sky__meta;

sky_err sky__meta_load(sky_store *s, const char *sweep, sky__meta *out, sky_error *e);
void sky__meta_free(sky__meta *m);
const sky__meta_column *sky__meta_find(const sky__meta *m, const char *name);  /* NULL: none */
sky_err sky__meta_unknown(const sky__meta *m, const char *name, sky_error *e); /* SKY_EINVAL */

#endif

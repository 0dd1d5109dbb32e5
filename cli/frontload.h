/* The objectives of a sweep's trials or points, loaded, and their front. */
#ifndef SKY_CLI_FRONTLOAD_H
#define SKY_CLI_FRONTLOAD_H

#include "cli/columns_meta.h"
#include "front/front.h"

typedef struct cli_front_query {
    const char *table;
    const char *where; /* SQL, or NULL */
    const sky_objective *objectives;
    size_t k;
    bool constraints; /* only feasible rows */
    uint64_t points;  /* > 0: over means of the repeats of each point; 0: each trial by itself */
} cli_front_query;

typedef struct cli_front_data {
    size_t n, k;
    uint64_t *ids;                      /* trial, or the lowest trial of the point */
    uint32_t *repeats;                  /* per point; NULL by trial */
    double *values[SKY_OBJECTIVES_MAX]; /* k columns of n */
    double *spread[SKY_OBJECTIVES_MAX]; /* standard deviation over the repeats; NULL by trial */
    uint8_t *on_front;
    size_t n_front, n_left_out; /* left out for an objective without a value */
} cli_front_data;

/* SKY_EINVAL: the expression `where` is wrong. Free with cli_front_free(), also after an error. */
sky_err cli_front_load(sky_store *s, const cli_front_query *query, cli_front_data *out,
                       sky_error *e);
void cli_front_free(cli_front_data *d);
/* Indices of the front's rows, best value of the first objective first; d->n_front of them. */
sky_err cli_front_order(const cli_front_data *d, const cli_front_query *query, size_t *order);

#endif

/* What the files of front/ share. Here every objective is minimised: front.c, batch.c and
 * hypervolume.c turn the sign of those that are maximised. No value here is a NaN. */
#ifndef SKY_FRONT_FRONT_INTERNAL_H
#define SKY_FRONT_FRONT_INTERNAL_H

#include "front/front.h"

/* --- order.c: sorting rows by columns ------------------------------------------------------- */

/* A column that is read with a sign: sign * data[row]. */
typedef struct sky__column {
    const double *data;
    double sign; /* 1 or -1 */
} sky__column;

static inline double sky__at(const sky__column *c, uint32_t row)
{
    return c->sign * c->data[row];
}

/* Sorts the n row numbers in rows by column 0, then 1, ..., k-1. False when out of memory (rows is
 * then some permutation). */
bool sky__order_rows(const sky__column *columns, size_t k, uint32_t *rows, size_t n);

/* --- staircase.c: the front of two objectives ----------------------------------------------- */

/* Points in order of rising x and falling y, equal points side by side; in blocks, so that an
 * insert moves one block's worth at most. */
typedef struct sky__stair_block sky__stair_block;

typedef struct sky__stair {
    sky__stair_block **blocks; /* none is empty */
    double *first_x;           /* x of each block's first point: the index that a search reads */
    size_t n_blocks, cap;
    size_t size;
    sky__stair_block *spare; /* a chain of blocks to use before allocating */
} sky__stair;                /* zero-initialise */

typedef struct sky__stair_at {
    size_t block;
    size_t i;
} sky__stair_at; /* block == n_blocks: the end */

typedef enum sky__relation {
    SKY__FREE,      /* no point is at least as good in everything */
    SKY__EQUAL,     /* an equal point is there */
    SKY__DOMINATED, /* a better one is there */
} sky__relation;

/* A list of ids that grows; failing to grow leaves it as it was. */
typedef struct sky__ids {
    uint64_t *ids;
    size_t n, cap;
} sky__ids;

bool sky__ids_reserve(sky__ids *list, size_t more);

void sky__stair_free(sky__stair *s);
void sky__stair_clear(sky__stair *s);
sky__relation sky__stair_relation(const sky__stair *s, double x, double y);
/* Inserts a point whose relation is not SKY__DOMINATED, and removes those that it dominates. Their
 * ids are appended to removed unless that is NULL. False when out of memory: nothing changed. */
bool sky__stair_insert(sky__stair *s, double x, double y, uint64_t id, sky__ids *removed);
sky__stair_at sky__stair_lower(const sky__stair *s, double x);    /* the first point with x' >= x */
bool sky__stair_before(const sky__stair *s, double x, double *y); /* y of the last with x' <= x */
bool sky__stair_get(const sky__stair *s, sky__stair_at at, double *x, double *y, uint64_t *id);
void sky__stair_next(const sky__stair *s, sky__stair_at *at);

/* --- kfront.c: the front of any number of objectives ----------------------------------------- */

typedef struct sky__kfront sky__kfront;

sky__kfront *sky__kfront_new(size_t k);
void sky__kfront_free(sky__kfront *f);
void sky__kfront_clear(sky__kfront *f);
sky__relation sky__kfront_relation(sky__kfront *f, const double *v);
/* As sky__stair_insert; relation is what sky__kfront_relation() just said. */
bool sky__kfront_insert(sky__kfront *f, const double *v, uint64_t id, sky__relation relation,
                        sky__ids *removed);
size_t sky__kfront_size(const sky__kfront *f);
/* Writes every point, in no order: size ids and size rows of k. */
void sky__kfront_dump(const sky__kfront *f, uint64_t *ids, double *values);

/* --- dominance.c ---------------------------------------------------------------------------- */

static inline double sky__sign(sky_goal goal)
{
    return goal == SKY_MAX ? -1.0 : 1.0;
}

static inline bool sky__weakly_dominates(const double *a, const double *b, size_t k)
{
    bool all = true; /* no early exit: k is small, and a mispredicted branch costs more */
    for (size_t j = 0; j < k; j++)
        all &= a[j] <= b[j];
    return all;
}

void sky__assert_goals(size_t k, const sky_goal *goals);

#endif

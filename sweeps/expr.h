/* SQL expressions of a sweep file, evaluated by SQLite in a sandbox: a connection in memory
 * whose only table is a view of the caller's columns, whose only statement is a SELECT of that
 * table, and whose only functions are deterministic ones from a list. */
#ifndef SKY_SWEEPS_EXPR_H
#define SKY_SWEEPS_EXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/describe.h"
#include "base/err.h"
#include "sweeps/plan.h"
#include "sweeps/tree.h"

enum { SKY__EXPRESSION_BYTES_MAX = 16 << 10 };

typedef struct sky__sql sky__sql;
typedef struct sky__query sky__query;

/* A column may be a parameter, a metric or a derived metric; they are numbered in that order. */
typedef struct sky__sql_names {
    const sky_descriptor *job;
    const sky_expression *derived;
    size_t n_derived;
} sky__sql_names;

/* Names are borrowed for the life of *out. Only the parameters have values. */
sky_err sky__sql_open(sky__sql **out, const sky__sql_names *names, sky_error *e);
void sky__sql_close(sky__sql *s);

/* Compiles the conjunction of n expressions, each checked on its own to be one expression that
 * uses no column from number n_visible on. uses, if not NULL, has a byte for each of those
 * columns, set to 1 where the expressions use it. SKY_EFORMAT's message names no place: the
 * caller knows it. */
sky_err sky__query_new(sky__query **out, sky__sql *s, const char *const *expressions, size_t n,
                       size_t n_visible, uint8_t *uses, sky_error *e);
void sky__query_free(sky__query *q);
/* keep[row] = is the conjunction true in that row of the parameters' columns? NULL is not. */
sky_err sky__query_rows(sky__query *q, const sky_column *columns, size_t n, uint8_t *keep,
                        sky_error *e);

/* Where each expression of a plan stands, for messages: arrays as long as the plan's. */
typedef struct sky__expression_nodes {
    const sky__node **where, **derived, **constraints;
    const sky__node **when; /* one a factor, NULL where it has no condition */
    const sky__node **axis; /* one a factor: where it stands */
    const sky__node *space;
} sky__expression_nodes;
/* Compiles every where, derived and constraint of p. */
sky_err sky__expressions_check(const sky_plan *p, const sky__expression_nodes *nodes, sky_error *e);

#endif

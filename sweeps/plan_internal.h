/* What sweeps/ keeps of a plan. Only sweeps/ and its tests include this.
 *
 * A space is a product of *factors*. A factor is one axis, or several that move together (zip, a
 * list of points, a CSV file): digit k of the factor gives the k-th value of each of its axes. A
 * factor without a digit is a continuous interval. See docs/sweep-file.md, "Numbers". */
#ifndef SKY_SWEEPS_PLAN_INTERNAL_H
#define SKY_SWEEPS_PLAN_INTERNAL_H

#include "base/buf.h"
#include "sweeps/plan.h"

typedef enum sky__axis_kind { SKY__AXIS_LIST, SKY__AXIS_RANGE, SKY__AXIS_INTERVAL } sky__axis_kind;

enum { SKY__PLACES_MAX = 4096 }; /* values of an axis; people do not type longer lists */

typedef struct sky__axis {
    const char **places; /* LIST of SKY_TEXT, from a file: "file:line:column" of each; else NULL */
    uint32_t param;      /* index in the descriptor */
    sky_type type;
    sky__axis_kind kind;
    uint64_t count; /* values; 0 for an interval */
    union {
        int64_t *i; /* LIST of SKY_INT and SKY_BOOL */
        double *f;  /* LIST of SKY_REAL */
        const char **s;
        struct { /* RANGE: (start + step * digit) / (divisor * 10^exponent); ints have neither */
            int64_t start, step;
            uint64_t divisor;
            uint32_t exponent;
            double denominator; /* divisor * 10^exponent, exactly */
        } range;
        struct
        { /* INTERVAL: from + u * (to - from), or from * 2^(u * log2_ratio) if that is not 0 */
            double from, to;
            double
                log2_ratio; /* computed once, when the file is read: logarithms differ by machine */
        } interval;
    };
} sky__axis;

typedef struct sky__factor {
    sky__axis *axes;
    size_t n_axes;
    uint64_t count;   /* digits; 0: continuous */
    const char *when; /* SQL; NULL: always */
    /* Set by sky__plan_finish(): */
    int32_t condition; /* number among the conditional factors, -1: none */
    int32_t dimension; /* of the unit cube, in a sampled search; -1: one digit only */
    bool decides;      /* a condition looks at it: its digits are part of the cell */
    uint64_t stride;   /* cell = sum of digit * stride over the deciding factors */
} sky__factor;

typedef enum sky__search_kind {
    SKY__GRID,
    SKY__RANDOM,
    SKY__SOBOL,
    SKY__LATIN_HYPERCUBE,
} sky__search_kind;

typedef struct sky__search {
    sky__search_kind kind;
    bool shuffle;    /* grid: order: random */
    bool scramble;   /* sobol */
    uint64_t points; /* of a sampled search */
} sky__search;

/* Conditions, decided once for every cell: a combination of the digits of the deciding factors. */
typedef struct sky__cells {
    uint64_t n;
    size_t words;     /* of 64 conditions, per cell */
    uint64_t *active; /* n * words: which conditional factors are active there */
    uint64_t
        *prefix;   /* n + 1: points of the grid in the cells before; a cell that is no combination
                          of its own (an inactive factor at another digit than 0) has none */
    uint64_t hash; /* of active */
} sky__cells;

/* Where a parameter's value comes from. */
typedef struct sky__source {
    int32_t factor, axis; /* -1: fixed */
} sky__source;

struct sky_plan {
    sky_arena arena;
    const char *name, *workdir, *plugin, *description;
    const char *const *tags; /* NULL-terminated, or NULL */
    const char *const *command;
    sky_descriptor job;
    sky_value *fixed; /* one a parameter: its value where no axis gives one: the default */
    sky__source *sources;
    sky__factor *factors;
    size_t n_factors;
    sky__search search;
    uint64_t seed;
    uint32_t repeats;
    int32_t priority;
    sky_expression *where, *derived, *constraints;
    size_t n_where, n_derived, n_constraints;
    sky_objective *objectives;
    size_t n_objectives;
    sky_limits limits;
    sky_resources resources;
    /* Set by sky__plan_finish(): */
    bool enumerable;                         /* every factor has digits */
    uint64_t grid_points;                    /* of the whole grid, if enumerable */
    uint64_t points;                         /* of this sweep */
    uint64_t key_order, key_draw, key_trial; /* keys made of the seed */
    sky__cells cells;
    uint32_t dimensions;
    uint64_t *sobol;       /* dimensions x 64 direction numbers, scrambled */
    uint64_t *sobol_shift; /* one a dimension */
    char *text, *identity; /* malloc'd */
};

enum {
    SKY__CELLS_MAX = 1 << 20,       /* a second of SQLite, 8 MB of prefix sums */
    SKY__RANGE_TABLE_MAX = 1 << 20, /* values of a logarithmic range: they are written out */
    SKY__PLAN_TEXT_BYTES_MAX = 256 << 20,
    SKY__SOBOL_DIMENSIONS_MAX = 256,
    SKY__OCTAVES_MAX = 1000, /* of a logarithmic interval: 2^x stays finite */
    SKY__TAGS_MAX = 64,
    SKY__TAG_BYTES_MAX = 100, /* as in the store */
};
_Static_assert((int)SKY__SOBOL_DIMENSIONS_MAX >= (int)SKY_AXES_MAX,
               "every axis has a Sobol dimension");

/* Numbers that the text carries are exact in a double up to here. */
#define SKY__EXACT_MAX (INT64_C(1) << 53)

struct sky__expression_nodes; /* expr.h */

sky_plan *sky__plan_new(void);
/* Computes what is derived from the rest: sources, cells, counts, keys, direction numbers, text.
 * Checks that every parameter has a value, that expressions compile, and that the points can be
 * counted. */
sky_err sky__plan_finish(sky_plan *p, const struct sky__expression_nodes *nodes, sky_error *e);

/* numbering.c */
sky_err sky__cells_build(sky_plan *p, const struct sky__expression_nodes *nodes, sky_error *e);
sky_value sky__axis_value(const sky__axis *axis, uint64_t digit); /* of a list or a range */
static inline bool sky__cell_active(const sky__cells *c, uint64_t cell, int32_t condition)
{
    return c->active[cell * c->words + (size_t)condition / 64] >> (condition % 64) & 1;
}

/* range.c */
/* Sets the denominator of a RANGE with count, start, step, divisor and exponent; SKY_ELIMIT if
 * one of its values would not be exact. Safe for any numbers. */
sky_err sky__range_check(sky__axis *axis);
double sky__interval_at(const sky__axis *axis, uint64_t unit); /* unit / 2^64 of the way */

/* search.c */
/* A point's coordinate in [0, 2^64) of a dimension, in a sampled search. */
uint64_t sky__unit(const sky_plan *p, uint64_t k, uint32_t dimension);
sky_err sky__sobol_build(sky_plan *p);

/* sobol.c */
/* 64 direction numbers of a dimension (from 0), most significant bit first. */
void sky__sobol_directions(uint32_t dimension, uint64_t out[64]);
/* Multiplies them by a random unit lower triangular matrix over GF(2) made of the key. */
void sky__sobol_scramble(uint64_t key, uint32_t dimension, uint64_t directions[64]);

/* plantext.c */
sky_err sky__plan_write(sky_plan *p); /* text and identity; SKY_ENOMEM */
void sky__axis_write(sky_buf *b, const sky_plan *p, const sky__axis *axis);
void sky__search_write(sky_buf *b, const sky__search *s);
extern const char *const sky__search_names[]; /* by kind, NULL-terminated */

#endif

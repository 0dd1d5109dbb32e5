/* How the points of a space with conditions are counted without being listed.
 *
 * The factors that some condition looks at are the deciding ones. A combination of their digits,
 * a cell, settles every condition, so that within a cell the space is a plain product: its size
 * is a product of counts, with 1 for an inactive factor. Prefix sums over the cells (at most
 * 2^20) then turn a point's index into a cell by bisection, and the rest of the index into
 * digits by division. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "sweeps/expr.h"
#include "sweeps/plan_internal.h"

enum { BLOCK = 256 };

sky_value sky__axis_value(const sky__axis *axis, uint64_t digit)
{
    assert(axis->kind != SKY__AXIS_INTERVAL && digit < axis->count);
    if (axis->kind == SKY__AXIS_RANGE) {
        int64_t x = (int64_t)((uint64_t)axis->range.start + (uint64_t)axis->range.step * digit);
        return axis->type == SKY_INT ? sky_int(x) : sky_real((double)x / axis->range.denominator);
    }
    if (axis->type == SKY_TEXT)
        return sky_text(axis->s[digit]);
    if (axis->type == SKY_REAL)
        return sky_real(axis->f[digit]);
    return axis->type == SKY_BOOL ? sky_bool(axis->i[digit]) : sky_int(axis->i[digit]);
}

/* ---- which factors decide ---- */

typedef struct builder {
    sky_plan *p;
    const sky__expression_nodes *nodes;
    sky_error *e;
    sky__sql *sql;
    sky__query *queries[SKY_AXES_MAX]; /* by condition */
    size_t owner[SKY_AXES_MAX];        /* the condition's factor */
    size_t n_conditions;
    sky_column columns[SKY_PARAMS_MAX];
} builder;

static sky_err mark_deciding(builder *b, size_t factor, const uint8_t *uses)
{
    sky_plan *p = b->p;
    const sky__node *at = b->nodes->when[factor];
    for (size_t i = 0; i < p->job.n_params; i++) {
        if (!uses[i] || p->sources[i].factor < 0)
            continue;
        sky__factor *f = &p->factors[p->sources[i].factor];
        const char *name = p->job.params[i].name;
        if ((size_t)p->sources[i].factor >= factor)
            return sky__node_fail(at, b->e,
                                  "when: uses '%s', which does not stand before this axis; "
                                  "allowed are axes above it in the file",
                                  name);
        if (f->count == 0)
            return sky__node_fail(at, b->e,
                                  "when: uses '%s', which is a continuous interval; allowed "
                                  "are axes with listed values or steps",
                                  name);
        f->decides = f->count > 1 || f->condition >= 0;
    }
    return SKY_OK;
}

static sky_err compile_conditions(builder *b)
{
    sky_plan *p = b->p;
    for (size_t i = 0; i < p->n_factors; i++) {
        sky__factor *f = &p->factors[i];
        f->condition = -1;
        f->decides = false;
        if (!f->when)
            continue;
        if (!b->sql) {
            const sky__sql_names names = {&p->job, NULL, 0};
            sky_err err = sky__sql_open(&b->sql, &names, b->e);
            if (err != SKY_OK)
                return err;
        }
        uint8_t uses[SKY_PARAMS_MAX] = {0};
        sky_error why = {0};
        sky_err err = sky__query_new(&b->queries[b->n_conditions], b->sql, &f->when, 1,
                                     p->job.n_params, uses, &why);
        if (err != SKY_OK)
            return sky__node_fail_why(b->nodes->when[i], b->e, "when", &why);
        f->condition = (int32_t)b->n_conditions;
        b->owner[b->n_conditions++] = i;
        err = mark_deciding(b, i, uses);
        if (err != SKY_OK)
            return err;
    }
    return SKY_OK;
}

/* Strides: the last deciding factor varies fastest. */
static sky_err lay_out_cells(builder *b)
{
    sky_plan *p = b->p;
    uint64_t n = 1;
    for (size_t i = p->n_factors; i-- > 0;) {
        sky__factor *f = &p->factors[i];
        if (!f->decides)
            continue;
        f->stride = n;
        if (f->count > SKY__CELLS_MAX || n * f->count > SKY__CELLS_MAX)
            n = SKY__CELLS_MAX + 1;
        else
            n *= f->count;
        if (n > SKY__CELLS_MAX)
            break;
    }
    if (n * (b->n_conditions ? b->n_conditions : 1) > SKY__CELLS_MAX)
        return sky__node_fail(b->nodes->when[b->owner[0]], b->e,
                              "when: the axes that conditions look at have too many combinations; "
                              "allowed are %d, counted once for each condition",
                              SKY__CELLS_MAX);
    sky__cells *c = &p->cells;
    c->n = n;
    c->words = (b->n_conditions + 63) / 64;
    c->active = sky_new(&p->arena, uint64_t, n * c->words + 1);
    c->prefix = sky_new(&p->arena, uint64_t, n + 1);
    return c->active && c->prefix ? SKY_OK : SKY_ENOMEM;
}

/* ---- deciding the conditions ---- */

/* Columns of one block for every parameter; texts and reals share the room. */
static sky_err make_columns(builder *b, sky_arena *scratch)
{
    const sky_descriptor *job = &b->p->job;
    for (size_t i = 0; i < job->n_params; i++) {
        sky_column *c = &b->columns[i];
        c->type = job->params[i].type;
        c->absent = sky_new(scratch, uint8_t, BLOCK);
        if (c->type == SKY_TEXT)
            c->s = sky_new(scratch, const char *, BLOCK);
        else if (c->type == SKY_REAL)
            c->f = sky_new(scratch, double, BLOCK);
        else
            c->i = sky_new(scratch, int64_t, BLOCK);
        if (!c->absent || !c->i)
            return SKY_ENOMEM;
        for (size_t r = 0; r < BLOCK; r++)
            sky_column_set(c, r, &b->p->fixed[i]);
    }
    return SKY_OK;
}

/* Writes a factor's values for cells [first, first + n): conditions that come later look at
 * them. */
static void show_factor(builder *b, const sky__factor *f, uint64_t first, size_t n)
{
    const sky_plan *p = b->p;
    for (size_t r = 0; r < n; r++) {
        uint64_t cell = first + r;
        uint64_t digit = f->decides ? cell / f->stride % f->count : 0;
        bool active = f->condition < 0 || sky__cell_active(&p->cells, cell, f->condition);
        for (size_t k = 0; k < f->n_axes; k++) {
            const sky__axis *axis = &f->axes[k];
            sky_value v = active ? sky__axis_value(axis, digit) : p->fixed[axis->param];
            sky_column_set(&b->columns[axis->param], r, &v);
        }
    }
}

static sky_err decide_block(builder *b, uint64_t first, size_t n)
{
    sky_plan *p = b->p;
    uint8_t keep[BLOCK];
    for (size_t i = 0; i < p->n_factors; i++) {
        const sky__factor *f = &p->factors[i];
        if (f->condition >= 0) {
            sky_error why = {0};
            if (sky__query_rows(b->queries[f->condition], b->columns, n, keep, &why) != SKY_OK)
                return sky__node_fail_why(b->nodes->when[i], b->e, "when", &why);
            for (size_t r = 0; r < n; r++)
                p->cells.active[(first + r) * p->cells.words + (size_t)f->condition / 64] |=
                    (uint64_t)keep[r] << (f->condition % 64);
        }
        if (f->decides || (f->count == 1 && b->n_conditions > 0))
            show_factor(b, f, first, n);
    }
    return SKY_OK;
}

/* ---- counting ---- */

/* Points of the grid in a cell; UINT64_MAX if there are too many to count. */
static uint64_t cell_points(const sky_plan *p, uint64_t cell)
{
    uint64_t n = 1;
    for (size_t i = 0; i < p->n_factors; i++) {
        const sky__factor *f = &p->factors[i];
        bool active = f->condition < 0 || sky__cell_active(&p->cells, cell, f->condition);
        if (f->decides && !active && cell / f->stride % f->count != 0)
            return 0;
        if (f->decides || !active)
            continue;
        if (n > SKY_POINTS_MAX / f->count)
            return UINT64_MAX;
        n *= f->count;
    }
    return n;
}

static sky_err count_points(builder *b)
{
    sky_plan *p = b->p;
    p->enumerable = true;
    for (size_t i = 0; i < p->n_factors; i++)
        p->enumerable = p->enumerable && p->factors[i].count > 0;
    uint64_t sum = 0;
    for (uint64_t cell = 0; p->enumerable && cell < p->cells.n; cell++) {
        p->cells.prefix[cell] = sum;
        uint64_t n = cell_points(p, cell);
        if (n > SKY_POINTS_MAX || sum + n > SKY_POINTS_MAX)
            return sky__node_fail(b->nodes->space, b->e,
                                  "space: more points than can be counted; allowed are 2^62");
        sum += n;
    }
    p->cells.prefix[p->cells.n] = sum;
    p->grid_points = sum;
    p->cells.hash = sky_hash_bytes(p->cells.n, p->cells.active,
                                   p->cells.n * p->cells.words * sizeof *p->cells.active);
    return SKY_OK;
}

sky_err sky__cells_build(sky_plan *p, const sky__expression_nodes *nodes, sky_error *e)
{
    builder *b = calloc(1, sizeof *b);
    if (!b)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    *b = (builder){.p = p, .nodes = nodes, .e = e};
    sky_arena scratch = {0};
    sky_err err = compile_conditions(b);
    if (err == SKY_OK)
        err = lay_out_cells(b);
    if (err == SKY_OK && b->n_conditions > 0)
        err = make_columns(b, &scratch);
    for (uint64_t cell = 0; err == SKY_OK && b->n_conditions > 0 && cell < p->cells.n;
         cell += BLOCK)
        err =
            decide_block(b, cell, p->cells.n - cell < BLOCK ? (size_t)(p->cells.n - cell) : BLOCK);
    if (err == SKY_OK)
        err = count_points(b);
    for (size_t i = 0; i < b->n_conditions; i++)
        sky__query_free(b->queries[i]);
    sky__sql_close(b->sql);
    sky_arena_free(&scratch);
    free(b);
    return err == SKY_ENOMEM ? sky_fail(e, SKY_ENOMEM, "out of memory") : err;
}

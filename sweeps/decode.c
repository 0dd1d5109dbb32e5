/* Trial numbers to values. Column by column in blocks of rows: the work for each value is a
 * division and a store, whatever the number of axes. Nothing is allocated and nothing is
 * remembered: a plan is decoded by any number of threads at once. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "sweeps/plan_internal.h"

enum { BLOCK = 256 }; /* rows whose digits fit the first-level cache */

typedef struct block {
    const sky_plan *plan;
    size_t n;
    uint64_t point[BLOCK]; /* number of the point in the order of the search */
    uint64_t cell[BLOCK];
    uint64_t rest[BLOCK];  /* what is left of a grid index, the factors so far taken off */
    uint64_t digit[BLOCK]; /* of the factor at hand */
    uint64_t unit[BLOCK];  /* its coordinate, in a sampled search */
} block;

/* 2^x for x in [-1100, 1100] by the four basic operations alone, which round the same on every
 * machine; the C library's exp2 need not. Taylor in double precision: within two units of the
 * last place. */
static double exp2_exact_steps(double x)
{
    double whole = floor(x + 0.5);
    double y = (x - whole) * 0.693147180559945309417; /* |y| <= 0.35 */
    static const double inverse[] = {0,        1,        1.0 / 2,  1.0 / 3,  1.0 / 4,  1.0 / 5,
                                     1.0 / 6,  1.0 / 7,  1.0 / 8,  1.0 / 9,  1.0 / 10, 1.0 / 11,
                                     1.0 / 12, 1.0 / 13, 1.0 / 14, 1.0 / 15, 1.0 / 16, 1.0 / 17};
    double sum = 1.0;
    for (int k = 17; k >= 1; k--)
        sum = 1.0 + y * inverse[k] * sum;
    return ldexp(sum, (int)whole); /* exact */
}

double sky__interval_at(const sky__axis *axis, uint64_t unit)
{
    double u = (double)(unit >> 11) * 0x1p-53;
    double from = axis->interval.from, to = axis->interval.to;
    double x = axis->interval.log2_ratio != 0
                   ? from * exp2_exact_steps(u * axis->interval.log2_ratio)
                   : from + u * (to - from);
    if (axis->type == SKY_INT)
        x = floor(x);
    return x < from ? from : x > to ? to : x; /* rounding may step over the ends */
}

static void fill_interval(const sky__axis *axis, const block *b, sky_column *column, size_t row0)
{
    for (size_t r = 0; r < b->n; r++) {
        double x = sky__interval_at(axis, b->unit[r]);
        if (axis->type == SKY_INT)
            column->i[row0 + r] = (int64_t)x;
        else
            column->f[row0 + r] = x;
    }
}

static void fill_range(const sky__axis *axis, const block *b, sky_column *column, size_t row0)
{
    const uint64_t start = (uint64_t)axis->range.start, step = (uint64_t)axis->range.step;
    const double denominator = axis->range.denominator;
    /* Unsigned, since a step back is a huge number forward; sky__range_check() saw that all fit. */
    if (axis->type == SKY_INT)
        for (size_t r = 0; r < b->n; r++)
            column->i[row0 + r] = (int64_t)(start + step * b->digit[r]);
    else
        for (size_t r = 0; r < b->n; r++)
            column->f[row0 + r] = (double)(int64_t)(start + step * b->digit[r]) / denominator;
}

static void fill_list(const sky__axis *axis, const block *b, sky_column *column, size_t row0)
{
    if (axis->type == SKY_TEXT)
        for (size_t r = 0; r < b->n; r++)
            column->s[row0 + r] = axis->s[b->digit[r]];
    else if (axis->type == SKY_REAL)
        for (size_t r = 0; r < b->n; r++)
            column->f[row0 + r] = axis->f[b->digit[r]];
    else
        for (size_t r = 0; r < b->n; r++)
            column->i[row0 + r] = axis->i[b->digit[r]];
}

static void fill_fixed(const sky_value *v, size_t n, sky_column *column, size_t row0)
{
    for (size_t r = row0; r < row0 + n; r++)
        sky_column_set(column, r, v);
}

/* The digit that the factor's coordinate stands for: floor(u * count). */
static uint64_t digit_of_unit(uint64_t unit, uint64_t count)
{
    return (uint64_t)((unsigned __int128)unit * count >> 64);
}

static bool is_active(const sky_plan *p, const sky__factor *f, uint64_t cell)
{
    return f->condition < 0 || sky__cell_active(&p->cells, cell, f->condition);
}

/* The cell that holds grid point `index`: the last whose prefix is not above it. */
static uint64_t cell_of(const sky__cells *c, uint64_t index)
{
    uint64_t low = 0, high = c->n;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (c->prefix[middle] <= index)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* In a sampled search, the deciding factors' coordinates choose the cell, one factor after the
 * other: a factor that turns out inactive counts as digit 0. */
static uint64_t cell_of_sample(const sky_plan *p, uint64_t k)
{
    uint64_t cell = 0;
    for (size_t i = 0; i < p->n_factors; i++) {
        const sky__factor *f = &p->factors[i];
        if (f->decides && f->dimension >= 0 && is_active(p, f, cell))
            cell += digit_of_unit(sky__unit(p, k, (uint32_t)f->dimension), f->count) * f->stride;
    }
    return cell;
}

static void begin_block(block *b, const uint64_t *trials)
{
    const sky_plan *p = b->plan;
    for (size_t r = 0; r < b->n; r++) {
        b->point[r] = p->points > 1 ? trials[r] % p->points : 0;
        if (p->enumerable && p->search.kind == SKY__RANDOM)
            b->point[r] = sky_permute(p->key_order, p->grid_points, b->point[r]);
    }
    bool by_index = p->enumerable && p->search.kind <= SKY__RANDOM;
    for (size_t r = 0; r < b->n; r++) {
        b->cell[r] = p->cells.n == 1 ? 0
                     : by_index      ? cell_of(&p->cells, b->point[r])
                                     : cell_of_sample(p, b->point[r]);
        b->rest[r] = by_index ? b->point[r] - p->cells.prefix[b->cell[r]] : 0;
    }
}

static void take_digits(block *b, const sky__factor *f, bool by_index)
{
    const sky_plan *p = b->plan;
    const uint64_t count = f->count;
    if (f->decides) {
        for (size_t r = 0; r < b->n; r++)
            b->digit[r] = b->cell[r] / f->stride % count;
    } else if (count == 1) {
        memset(b->digit, 0, b->n * sizeof *b->digit);
    } else if (!by_index) {
        for (size_t r = 0; r < b->n; r++) {
            b->unit[r] = sky__unit(p, b->point[r], (uint32_t)f->dimension);
            b->digit[r] = digit_of_unit(b->unit[r], count);
        }
    } else if (f->condition < 0) {
        for (size_t r = 0; r < b->n; r++) {
            uint64_t quotient = b->rest[r] / count;
            b->digit[r] = b->rest[r] - quotient * count;
            b->rest[r] = quotient;
        }
    } else {
        for (size_t r = 0; r < b->n; r++) {
            uint64_t n = is_active(p, f, b->cell[r]) ? count : 1;
            b->digit[r] = b->rest[r] % n;
            b->rest[r] /= n;
        }
    }
}

static void fill_axis(const block *b, const sky__factor *f, const sky__axis *axis,
                      sky_column *column, size_t row0)
{
    const sky_plan *p = b->plan;
    if (axis->kind == SKY__AXIS_LIST)
        fill_list(axis, b, column, row0);
    else if (axis->kind == SKY__AXIS_RANGE)
        fill_range(axis, b, column, row0);
    else
        fill_interval(axis, b, column, row0);
    if (column->absent)
        memset(column->absent + row0, 0, b->n);
    if (f->condition < 0)
        return;
    for (size_t r = 0; r < b->n; r++)
        if (!is_active(p, f, b->cell[r]))
            sky_column_set(column, row0 + r, &p->fixed[axis->param]);
}

static void decode_block(block *b, const uint64_t *trials, sky_column *columns, size_t row0)
{
    const sky_plan *p = b->plan;
    bool by_index = p->enumerable && p->search.kind <= SKY__RANDOM;
    begin_block(b, trials);
    for (size_t i = p->n_factors; i-- > 0;) { /* the last factor varies fastest */
        const sky__factor *f = &p->factors[i];
        take_digits(b, f, by_index);
        for (size_t k = 0; k < f->n_axes; k++)
            fill_axis(b, f, &f->axes[k], &columns[f->axes[k].param], row0);
    }
    for (size_t i = 0; i < p->job.n_params; i++)
        if (p->sources[i].factor < 0)
            fill_fixed(&p->fixed[i], b->n, &columns[i], row0);
}

void sky_plan_decode_columns(const sky_plan *p, const uint64_t *trials, size_t n,
                             sky_column *columns)
{
    block b; /* not cleared: that would cost more than decoding one point */
    b.plan = p;
    for (size_t row = 0; row < n; row += b.n) {
        b.n = n - row < BLOCK ? n - row : BLOCK;
        decode_block(&b, trials + row, columns, row);
    }
}

void sky_plan_decode(const sky_plan *p, uint64_t trial, sky_value *values)
{
    sky_column columns[SKY_PARAMS_MAX];
    union {
        int64_t i;
        double f;
        const char *s;
    } slots[SKY_PARAMS_MAX];
    uint8_t absent[SKY_PARAMS_MAX];
    for (size_t i = 0; i < p->job.n_params; i++) {
        columns[i] = (sky_column){.type = p->job.params[i].type, .absent = &absent[i]};
        absent[i] = 0;
        if (columns[i].type == SKY_TEXT)
            columns[i].s = &slots[i].s;
        else if (columns[i].type == SKY_REAL)
            columns[i].f = &slots[i].f;
        else
            columns[i].i = &slots[i].i;
    }
    sky_plan_decode_columns(p, &trial, 1, columns);
    for (size_t i = 0; i < p->job.n_params; i++)
        values[i] = sky_column_get(&columns[i], 0);
}

/* The program of a plan, played on a back end. See he_conv.h.
 *
 * Registers: inputs, outputs, rows of sums (multiplexed), two for work, then a pool. Which of the two loop
 * orders is taken depends on what has to be kept meanwhile: all rotated inputs (giants outside), or all
 * sums (babies outside: input rotation of 512 channels has 4,608 rotated inputs and one sum). */
#include <assert.h>
#include <stdlib.h>

#include "jobs/he/he_conv_internal.h"

typedef struct runner {
    const sky_he_conv_plan *plan;
    const sky_he_ops *ops;
    sky_error *e;
    sky__he_usage use;
    int32_t row0, work, tree, pool; /* registers */
} runner;

enum { TREE_MAX = 17 }; /* levels of a binary tree of up to SKY_HE_SLOTS_MAX steps */

static sky_err rotate(const runner *r, int32_t dst, int32_t src, int32_t step)
{
    return r->ops->rotate(r->ops->self, dst, src, step, SKY_HE_ROTATE_FULL, r->e);
}

static sky_err add(const runner *r, int32_t acc, int32_t src)
{
    return r->ops->add(r->ops->self, acc, src, r->e);
}

static sky_err drop(const runner *r, int32_t reg)
{
    return r->ops->drop(r->ops->self, reg, r->e);
}

static bool baby_is_used(const runner *r, int32_t q, int32_t j, int32_t tap)
{
    return r->use.baby[((int64_t)q * r->plan->split + j) * r->plan->n_taps + tap];
}

static sky_err multiply_add(const runner *r, int32_t acc, int32_t src, sky_he_term t)
{
    const sky_he_factor f = {.plan = r->plan, .id = sky_he_term_index(r->plan, t), .term = t};
    return r->ops->multiply_add(r->ops->self, acc, src, &f, r->e);
}

/* --- giants outside: every rotated input is kept --- */

static int32_t baby_register(const runner *r, int32_t q, int32_t j, int32_t tap)
{
    const sky_he_conv_plan *p = r->plan;
    if (sky_he_baby_step(p, j, tap) == 0)
        return q;
    return r->pool + (q * p->split + j) * p->n_taps + tap;
}

static sky_err rotate_input(const runner *r, int32_t q)
{
    const sky_he_conv_plan *p = r->plan;
    bool hoisted = false;
    for (int32_t j = 0; j < p->split; j++) {
        for (int32_t tap = 0; tap < p->n_taps; tap++) {
            const int32_t reg = baby_register(r, q, j, tap);
            if (reg == q || !baby_is_used(r, q, j, tap))
                continue;
            if (!hoisted)
                TRY(r->ops->hoist(r->ops->self, q, r->e));
            hoisted = true;
            TRY(r->ops->rotate(r->ops->self, reg, q, sky_he_baby_step(p, j, tap),
                               SKY_HE_ROTATE_HOISTED, r->e));
        }
    }
    return hoisted ? r->ops->unhoist(r->ops->self, q, r->e) : SKY_OK;
}

/* The inner sum of one giant: inputs q0 to q1 - 1. */
static sky_err sum_of_giant(const runner *r, int32_t acc, sky_he_term t, int32_t g, int32_t q1)
{
    const sky_he_conv_plan *p = r->plan;
    for (; t.in < q1; t.in++) {
        for (int32_t j = 0; j < p->split && g * p->split + j < p->n_diagonals; j++) {
            t.diagonal = g * p->split + j;
            for (t.tap = 0; t.tap < p->n_taps; t.tap++) {
                if (p->present[sky_he_term_index(p, t)])
                    TRY(multiply_add(r, acc, baby_register(r, t.in, j, t.tap), t));
            }
        }
    }
    return SKY_OK;
}

static sky_err finish_giant(const runner *r, int32_t row, int32_t acc, int32_t g)
{
    const int32_t step = sky_he_giant_step(r->plan, g);
    if (step == 0)
        return acc == row ? SKY_OK : add(r, row, acc);
    TRY(rotate(r, r->work + 1, acc, step));
    TRY(drop(r, acc));
    return add(r, row, r->work + 1);
}

static bool any_used(const uint8_t *used, int32_t from, int32_t to)
{
    for (int32_t k = from; k < to; k++) {
        if (used[k])
            return true;
    }
    return false;
}

/* acc += Rot(src, giant step w); src is empty afterwards. */
static sky_err fold_giant(const runner *r, int32_t acc, int32_t src, int32_t w)
{
    TRY(rotate(r, r->work + 1, src, sky_he_giant_step(r->plan, w)));
    TRY(drop(r, src));
    return add(r, acc, r->work + 1);
}

/* acc = sum over giants g0 <= g < g0 + width of Rot(sum_of_giant(g), g - g0): halves, the upper one rotated by
 * their distance. width: a power of two; used: a byte for each giant. */
static sky_err tree_of_giants(const runner *r, int32_t acc, sky_he_term t, int32_t g0,
                              int32_t width, int32_t q1, const uint8_t *used)
{
    const int32_t end = r->use.n_giants, half = width / 2;
    if (width == 1)
        return used[g0] ? sum_of_giant(r, acc, t, g0, q1) : SKY_OK;
    TRY(tree_of_giants(r, acc, t, g0, half, q1, used));
    const int32_t upper = g0 + half, top = upper + half < end ? upper + half : end;
    if (!any_used(used, upper, top))
        return SKY_OK;
    int32_t level = 0;
    while (1 << level < half)
        level++;
    TRY(tree_of_giants(r, r->tree + level, t, upper, half, q1, used));
    return fold_giant(r, acc, r->tree + level, half);
}

static sky_err giants_outside(const runner *r)
{
    const sky_he_conv_plan *p = r->plan;
    for (int32_t q = 0; q < p->n_in; q++)
        TRY(rotate_input(r, q));
    const int32_t blocks = p->rotates_blocks ? p->n_in : 1;
    const uint8_t *giant = r->use.giant;
    for (int32_t row = 0; row < p->n_rows; row++) {
        for (int32_t block = 0; block < blocks; block++) {
            if (p->composes) {
                TRY(tree_of_giants(r, r->row0 + row, (sky_he_term){.row = row, .in = block}, 0,
                                   sky__he_pow2_ceil(r->use.n_giants),
                                   p->rotates_blocks ? block + 1 : p->n_in, giant));
                giant += r->use.n_giants;
                continue;
            }
            for (int32_t g = 0; g < r->use.n_giants; g++) {
                if (!*giant++)
                    continue;
                const int32_t q1 = p->rotates_blocks ? block + 1 : p->n_in;
                const int32_t acc = sky_he_giant_step(p, g) == 0 ? r->row0 + row : r->work;
                TRY(sum_of_giant(r, acc, (sky_he_term){.row = row, .in = block}, g, q1));
                TRY(finish_giant(r, r->row0 + row, acc, g));
            }
        }
    }
    for (int32_t q = 0; q < p->n_in; q++) {
        for (int32_t j = 0; j < p->split; j++) {
            for (int32_t tap = 0; tap < p->n_taps; tap++) {
                if (baby_is_used(r, q, j, tap) && baby_register(r, q, j, tap) != q)
                    TRY(drop(r, baby_register(r, q, j, tap)));
            }
        }
    }
    return SKY_OK;
}

/* --- babies outside: every sum is kept --- */

static int32_t sum_register(const runner *r, int32_t row, int32_t g)
{
    if (sky_he_giant_step(r->plan, g) == 0)
        return r->row0 + row;
    return r->pool + row * r->use.n_giants + g;
}

static sky_err spread_baby(const runner *r, int32_t src, sky_he_term t)
{
    const sky_he_conv_plan *p = r->plan;
    const int32_t j = t.diagonal;
    for (t.row = 0; t.row < p->n_rows; t.row++) {
        for (t.diagonal = j; t.diagonal < p->n_diagonals; t.diagonal += p->split) {
            if (p->present[sky_he_term_index(p, t)])
                TRY(multiply_add(r, sum_register(r, t.row, t.diagonal / p->split), src, t));
        }
    }
    return SKY_OK;
}

static sky_err use_input(const runner *r, int32_t q)
{
    const sky_he_conv_plan *p = r->plan;
    bool hoisted = false;
    for (int32_t j = 0; j < p->split; j++) {
        for (int32_t tap = 0; tap < p->n_taps; tap++) {
            if (!baby_is_used(r, q, j, tap))
                continue;
            const int32_t step = sky_he_baby_step(p, j, tap);
            const sky_he_term t = {.in = q, .diagonal = j, .tap = tap};
            if (step == 0) {
                TRY(spread_baby(r, q, t));
                continue;
            }
            if (!hoisted)
                TRY(r->ops->hoist(r->ops->self, q, r->e));
            hoisted = true;
            TRY(r->ops->rotate(r->ops->self, r->work, q, step, SKY_HE_ROTATE_HOISTED, r->e));
            TRY(spread_baby(r, r->work, t));
            TRY(drop(r, r->work));
        }
    }
    return hoisted ? r->ops->unhoist(r->ops->self, q, r->e) : SKY_OK;
}

/* Every tap of src, which is input q moved by j diagonals. */
static sky_err use_taps(const runner *r, int32_t src, int32_t q, int32_t j)
{
    const sky_he_conv_plan *p = r->plan;
    bool hoisted = false;
    for (int32_t tap = 0; tap < p->n_taps; tap++) {
        if (!baby_is_used(r, q, j, tap))
            continue;
        const int32_t step = sky_he_baby_step(p, 0, tap);
        const sky_he_term t = {.in = q, .diagonal = j, .tap = tap};
        if (step == 0) {
            TRY(spread_baby(r, src, t));
            continue;
        }
        if (!hoisted)
            TRY(r->ops->hoist(r->ops->self, src, r->e));
        hoisted = true;
        TRY(r->ops->rotate(r->ops->self, r->work, src, step, SKY_HE_ROTATE_HOISTED, r->e));
        TRY(spread_baby(r, r->work, t));
        TRY(drop(r, r->work));
    }
    return hoisted ? r->ops->unhoist(r->ops->self, src, r->e) : SKY_OK;
}

/* src is input q moved by j < w diagonals: its taps, then what is w, 2 w, 4 w ... further. */
static sky_err tree_of_babies(const runner *r, int32_t src, int32_t q, int32_t j, int32_t w,
                              int32_t level)
{
    const sky_he_conv_plan *p = r->plan;
    TRY(use_taps(r, src, q, j));
    for (; j + w < p->split; w *= 2) {
        bool any = false;
        for (int32_t k = j + w; k < p->split && !any; k += 2 * w)
            any = any_used(r->use.baby + ((int64_t)q * p->split + k) * p->n_taps, 0, p->n_taps);
        if (!any)
            continue;
        TRY(rotate(r, r->tree + level, src, (int32_t)((int64_t)w * p->unit) & (p->slots - 1)));
        TRY(tree_of_babies(r, r->tree + level, q, j + w, 2 * w, level + 1));
        TRY(drop(r, r->tree + level));
    }
    return SKY_OK;
}

/* Pairs of sums, then pairs of pairs. */
static sky_err fold_sums(const runner *r, int32_t row)
{
    const int32_t n = r->use.n_giants;
    uint8_t *used = r->use.giant + (int64_t)row * n;
    for (int32_t w = 1; w < n; w *= 2) {
        for (int32_t g = 0; g + w < n; g += 2 * w) {
            if (used[g + w])
                TRY(fold_giant(r, sum_register(r, row, g), sum_register(r, row, g + w), w));
            used[g] |= used[g + w];
            used[g + w] = 0;
        }
    }
    return SKY_OK;
}

static sky_err babies_outside(const runner *r)
{
    const sky_he_conv_plan *p = r->plan;
    for (int32_t q = 0; q < p->n_in; q++)
        TRY(p->composes ? tree_of_babies(r, q, q, 0, 1, 0) : use_input(r, q));
    for (int32_t row = 0; row < p->n_rows; row++) {
        if (p->composes)
            TRY(fold_sums(r, row));
        for (int32_t g = 0; g < r->use.n_giants && !p->composes; g++) {
            if (r->use.giant[(int64_t)row * r->use.n_giants + g])
                TRY(finish_giant(r, r->row0 + row, sum_register(r, row, g), g));
        }
    }
    return SKY_OK;
}

/* --- after the sums --- */

static bool row_is_used(const runner *r, int32_t row)
{
    const int64_t each = (int64_t)r->use.n_giants * (r->plan->rotates_blocks ? r->plan->n_in : 1);
    for (int64_t k = 0; k < each; k++) {
        if (r->use.giant[row * each + k])
            return true;
    }
    return false;
}

/* reg = sum over k < count of Rot(reg, k step): doubling, and the odd bits of count on the way. */
static sky_err fold(const runner *r, int32_t reg, sky_he_fold f)
{
    const int32_t sum = r->work, moved = r->work + 1, mask = r->plan->slots - 1;
    int32_t offset = 0, width = 1;
    bool has_sum = false;
    for (int32_t left = f.count; left > 1; left /= 2, width *= 2) {
        if (left % 2 == 1) { /* the sum so far, then the next `width` values */
            if (offset == 0) {
                TRY(r->ops->copy(r->ops->self, sum, reg, r->e));
            } else {
                TRY(rotate(r, moved, reg, (offset * f.step) & mask));
                TRY(add(r, sum, moved));
            }
            has_sum = true;
            offset += width;
        }
        TRY(rotate(r, moved, reg, (width * f.step) & mask));
        TRY(add(r, reg, moved));
    }
    if (!has_sum)
        return SKY_OK;
    TRY(rotate(r, moved, reg, (offset * f.step) & mask));
    TRY(drop(r, reg));
    TRY(add(r, reg, moved));
    return add(r, reg, sum);
}

/* multiplexed: each output channel out of its row, into its place, and copies of the whole. */
static sky_err select_outputs(const runner *r)
{
    const sky_he_conv_plan *p = r->plan;
    const int32_t out = p->n_in;
    bool any = false;
    for (int32_t o = 0; o < p->shape.c_out; o++) {
        if (!p->kept_out[o])
            continue;
        const sky_he_factor f = {
            .plan = p, .id = sky_he_conv_factors(p) - p->shape.c_out + o, .select = true, .out = o};
        const int32_t from = o % p->copies * p->copy_pitch;
        const int32_t to = sky_he_layout_slot(&p->out, (sky_he_place){.channel = o});
        const int32_t step = (from - to) & (p->slots - 1);
        TRY(r->ops->multiply_add(r->ops->self, step == 0 ? out : r->work, r->row0 + o / p->copies,
                                 &f, r->e));
        if (step != 0) {
            TRY(rotate(r, r->work + 1, r->work, step));
            TRY(drop(r, r->work));
            TRY(add(r, out, r->work + 1));
        }
        any = true;
    }
    for (int32_t row = 0; row < p->n_rows; row++) {
        if (row_is_used(r, row))
            TRY(drop(r, r->row0 + row));
    }
    if (!any)
        return SKY_OK;
    TRY(r->ops->rescale(r->ops->self, out, r->e));
    return fold(r, out, (sky_he_fold){p->out.period, p->slots / p->out.period});
}

static sky_err play(const runner *r)
{
    const sky_he_conv_plan *p = r->plan;
    /* Sums of blocks are rotated each on its own: nothing but giants outside fits them. */
    bool keep_babies = p->rotates_blocks || r->use.n_baby_used <= r->use.n_giant_used;
    if (p->composes) /* babies one after another, or giants one after another: one of them is a tree */
        keep_babies = p->split == 1;
    TRY(keep_babies ? giants_outside(r) : babies_outside(r));
    for (int32_t row = 0; row < p->n_rows; row++) {
        if (!row_is_used(r, row))
            continue;
        TRY(r->ops->rescale(r->ops->self, r->row0 + row, r->e));
        for (int32_t k = 0; k < p->n_folds; k++)
            TRY(fold(r, r->row0 + row, p->fold[k]));
    }
    return p->selects ? select_outputs(r) : SKY_OK;
}

int32_t sky_he_conv_registers(const sky_he_conv_plan *p)
{
    const int64_t babies = (int64_t)p->n_in * p->split * p->n_taps;
    const int64_t sums = (int64_t)p->n_rows * sky__he_ceil_div(p->n_diagonals, p->split);
    return (int32_t)(p->n_in + p->out.ciphertexts + p->n_rows + 2 + TREE_MAX +
                     (babies > sums ? babies : sums));
}

sky_err sky_he_conv_run(const sky_he_conv_plan *plan, const sky_he_ops *ops, sky_error *e)
{
    assert(plan && ops);
    runner r = {.plan = plan, .ops = ops, .e = e};
    r.row0 = plan->n_in + (plan->selects ? plan->out.ciphertexts : 0);
    r.work = plan->n_in + plan->out.ciphertexts + plan->n_rows;
    r.tree = r.work + 2;
    r.pool = r.tree + TREE_MAX;
    if (sky__he_usage_of(plan, plan->split, &r.use) != SKY_OK)
        return sky_fail(e, SKY_ENOMEM, "he: out of memory");
    sky_err err = play(&r);
    sky__he_usage_free(&r.use);
    return err;
}

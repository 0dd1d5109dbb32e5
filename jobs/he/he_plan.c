/* Plans: checks, the table of terms, the choice of the split. See he_conv.h. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/he/he_conv_internal.h"

/* --- steps and terms --- */

static int32_t wrap(const sky_he_conv_plan *plan, int64_t step)
{
    return (int32_t)(((step % plan->slots) + plan->slots) % plan->slots);
}

int32_t sky_he_baby_step(const sky_he_conv_plan *plan, int32_t j, int32_t tap)
{
    return wrap(plan, (int64_t)j * plan->unit + plan->tap_step[tap]);
}

int32_t sky_he_giant_step(const sky_he_conv_plan *plan, int32_t g)
{
    return wrap(plan, (int64_t)g * plan->split * plan->unit);
}

static int32_t toeplitz_diagonal(const sky_he_conv_plan *plan, sky_he_place o, sky_he_place i,
                                 int32_t tap)
{
    int32_t dy, dx;
    sky__he_tap_offset(&plan->shape, tap, &dy, &dx);
    const int64_t step = (int64_t)(dy * plan->in.pitch_w + dx) * plan->in.gap_h +
                         sky_he_layout_slot(&plan->in, i) - sky_he_layout_slot(&plan->out, o);
    const int32_t n = plan->n_diagonals;
    return (int32_t)((step % n + n) % n);
}

sky_he_term sky_he_conv_term(const sky_he_conv_plan *plan, int32_t o, int32_t i, int32_t tap)
{
    if (plan->selects)
        return (sky_he_term){.row = o / plan->copies, .tap = tap};
    const int32_t o_at = o % plan->out.channels, i_at = i % plan->in.channels;
    sky_he_term t = {.row = o / plan->out.channels, .in = i / plan->in.channels, .tap = tap};
    if (plan->packing == SKY_HE_TOEPLITZ) {
        t.tap = 0;
        t.diagonal = toeplitz_diagonal(plan, (sky_he_place){.channel = o_at},
                                       (sky_he_place){.channel = i_at}, tap);
    } else {
        t.diagonal = ((i_at - o_at) % plan->n_diagonals + plan->n_diagonals) % plan->n_diagonals;
    }
    return t;
}

int64_t sky_he_term_index(const sky_he_conv_plan *plan, sky_he_term t)
{
    return (((int64_t)t.row * plan->n_in + t.in) * plan->n_diagonals + t.diagonal) * plan->n_taps +
           t.tap;
}

int64_t sky_he_conv_factors(const sky_he_conv_plan *plan)
{
    return (int64_t)plan->n_rows * plan->n_in * plan->n_diagonals * plan->n_taps +
           (plan->selects ? plan->shape.c_out : 0);
}

/* --- which rotations --- */

void sky__he_usage_free(sky__he_usage *u)
{
    free(u->baby);
    free(u->giant);
    *u = (sky__he_usage){0};
}

static void mark(const sky_he_conv_plan *plan, int32_t split, sky__he_usage *u)
{
    const uint8_t *present = plan->present;
    const int32_t taps = plan->n_taps;
    for (int32_t p = 0; p < plan->n_rows; p++) {
        for (int32_t q = 0; q < plan->n_in; q++) {
            const int32_t block = plan->rotates_blocks ? p * plan->n_in + q : p;
            uint8_t *giant = u->giant + (int64_t)block * u->n_giants;
            uint8_t *baby = u->baby + (int64_t)q * split * taps;
            for (int32_t d = 0; d < plan->n_diagonals; d++) {
                for (int32_t tap = 0; tap < taps; tap++, present++) {
                    baby[d % split * taps + tap] |= *present;
                    giant[d / split] |= *present;
                }
            }
        }
    }
}

sky_err sky__he_usage_of(const sky_he_conv_plan *plan, int32_t split, sky__he_usage *out)
{
    sky__he_usage u = {.n_giants = sky__he_ceil_div(plan->n_diagonals, split)};
    const int64_t babies = (int64_t)plan->n_in * split * plan->n_taps;
    const int64_t blocks = (int64_t)plan->n_rows * (plan->rotates_blocks ? plan->n_in : 1);
    u.baby = calloc((size_t)babies, 1);
    u.giant = calloc((size_t)(blocks * u.n_giants), 1);
    if (!u.baby || !u.giant) {
        sky__he_usage_free(&u);
        return SKY_ENOMEM;
    }
    mark(plan, split, &u);
    for (int64_t k = 0; k < babies; k++) {
        if (!u.baby[k])
            continue;
        u.n_baby_used++;
        const int32_t j = (int32_t)(k / plan->n_taps % split), tap = (int32_t)(k % plan->n_taps);
        u.hoisted += sky_he_baby_step(plan, j, tap) != 0;
    }
    for (int64_t k = 0; k < blocks * u.n_giants; k++) {
        u.n_giant_used += u.giant[k];
        u.full += u.giant[k] && k % u.n_giants != 0;
    }
    *out = u;
    return SKY_OK;
}

/* --- creating --- */

static sky_err check_shape(const sky_he_conv_shape *s, sky_error *e)
{
    const sky_window *w = &s->window;
    if (s->c_in < 1 || s->c_out < 1 || s->c_in > SKY_HE_CHANNELS_MAX ||
        s->c_out > SKY_HE_CHANNELS_MAX)
        return sky_fail(e, SKY_EINVAL, "channels must be 1 to %d, got %d in and %d out",
                        SKY_HE_CHANNELS_MAX, s->c_in, s->c_out);
    if (s->h < 1 || s->w < 1 || s->h > INT16_MAX || s->w > INT16_MAX)
        return sky_fail(e, SKY_EINVAL, "an image must have 1 to %d rows and columns, got %d x %d",
                        INT16_MAX, s->h, s->w);
    if (w->kernel_h < 1 || w->kernel_w < 1 || w->kernel_h > SKY_WINDOW_EDGE_MAX ||
        w->kernel_w > SKY_WINDOW_EDGE_MAX || w->stride_h < 1 || w->stride_w < 1 ||
        w->stride_h > SKY_WINDOW_EDGE_MAX || w->stride_w > SKY_WINDOW_EDGE_MAX ||
        w->dilation_h < 1 || w->dilation_w < 1 || w->dilation_h > SKY_WINDOW_EDGE_MAX ||
        w->dilation_w > SKY_WINDOW_EDGE_MAX)
        return sky_fail(e, SKY_EINVAL, "kernel, stride and dilation must be 1 to %d",
                        SKY_WINDOW_EDGE_MAX);
    if (w->pad_top < 0 || w->pad_bottom < 0 || w->pad_left < 0 || w->pad_right < 0 ||
        w->pad_top > SKY_WINDOW_EDGE_MAX || w->pad_bottom > SKY_WINDOW_EDGE_MAX ||
        w->pad_left > SKY_WINDOW_EDGE_MAX || w->pad_right > SKY_WINDOW_EDGE_MAX)
        return sky_fail(e, SKY_EINVAL, "padding must be 0 to %d", SKY_WINDOW_EDGE_MAX);
    if (sky_he_conv_out_h(s) < 1 || sky_he_conv_out_w(s) < 1)
        return sky_fail(e, SKY_EINVAL, "a %d x %d kernel does not fit in the padded %d x %d image",
                        w->kernel_h, w->kernel_w, s->h, s->w);
    return SKY_OK;
}

static sky_err check_options(const sky_he_conv_options *o, sky_error *e)
{
    if ((int)o->packing < 0 || o->packing >= SKY_HE_PACKINGS)
        return sky_fail(e, SKY_EINVAL, "there is no packing number %d", (int)o->packing);
    if (o->slots < 1 || o->slots > SKY_HE_SLOTS_MAX || (o->slots & (o->slots - 1)) != 0)
        return sky_fail(e, SKY_EINVAL, "slots must be a power of two up to %d, got %d",
                        SKY_HE_SLOTS_MAX, o->slots);
    const bool interleaves = o->packing == SKY_HE_MULTIPLEXED || o->packing == SKY_HE_TOEPLITZ;
    if (o->gap < 0 || o->gap > SKY_WINDOW_EDGE_MAX || (o->gap > 1 && !interleaves))
        return sky_fail(e, SKY_EINVAL, "gap is %d: packing %s wants %s", o->gap,
                        sky_he_packing_name(o->packing),
                        interleaves ? "1 to 1024" : "1 (only multiplexed and toeplitz interleave)");
    return SKY_OK;
}

static sky_err place(sky_he_conv_plan *plan, int32_t gap, sky_error *e)
{
    switch (plan->packing) {
    case SKY_HE_MULTIPLEXED:
        return sky__he_pack_multiplexed(plan, gap, e);
    case SKY_HE_TOEPLITZ:
        return sky__he_pack_toeplitz(plan, gap, e);
    case SKY_HE_HALEVI_SHOUP:
        return sky__he_pack_dense(plan, e);
    default:
        return sky__he_pack_channels(plan, e);
    }
}

static sky_err fill_tables(sky_he_conv_plan *plan, int32_t gap, sky_error *e)
{
    const int64_t terms = (int64_t)plan->n_rows * plan->n_in * plan->n_diagonals;
    if (terms > SKY_HE_TERMS_MAX / plan->n_taps)
        return sky_fail(
            e, SKY_ELIMIT,
            "the packing has %lld diagonals of %d taps, more than the limit of %lld terms: "
            "take a larger log_n",
            (long long)terms, plan->n_taps, (long long)SKY_HE_TERMS_MAX);
    plan->present = calloc((size_t)(terms * plan->n_taps), 1);
    plan->tap_step = calloc((size_t)plan->n_taps, sizeof *plan->tap_step);
    plan->kept_out = calloc((size_t)plan->shape.c_out, 1);
    plan->in_at = calloc((size_t)plan->slots, sizeof *plan->in_at);
    plan->out_at = calloc((size_t)plan->slots, sizeof *plan->out_at);
    if (!plan->present || !plan->tap_step || !plan->kept_out || !plan->in_at || !plan->out_at)
        return sky_fail(e, SKY_ENOMEM, "he: out of memory");
    if (plan->packing != SKY_HE_TOEPLITZ && plan->packing != SKY_HE_HALEVI_SHOUP)
        sky__he_tap_steps(plan, plan->packing == SKY_HE_MULTIPLEXED ? gap : 1);
    for (int32_t r = 0; r < plan->slots; r++) {
        plan->in_at[r] = sky_he_layout_at(&plan->in, r);
        plan->out_at[r] = sky_he_layout_at(&plan->out, r);
    }
    return SKY_OK;
}

static sky_err mark_terms(sky_he_conv_plan *plan, const uint8_t *keep, sky_error *e)
{
    const sky_he_conv_shape *s = &plan->shape;
    const int32_t taps = s->window.kernel_h * s->window.kernel_w;
    uint8_t *visible = malloc((size_t)taps);
    if (!visible)
        return sky_fail(e, SKY_ENOMEM, "he: out of memory");
    for (int32_t tap = 0; tap < taps; tap++)
        visible[tap] = sky_he_tap_visible(s, tap);
    for (int32_t o = 0; o < s->c_out; o++) {
        for (int32_t i = 0; i < s->c_in; i++) {
            sky_he_term t = {0};
            for (int32_t tap = 0; tap < taps; tap++) {
                sky__he_term_of_tap(plan, o, i, tap, &t);
                if (!visible[tap] || (keep && !keep[sky_he_conv_weight_at(s, o, i, tap)]))
                    continue;
                plan->present[sky_he_term_index(plan, t)] = 1;
                plan->kept_out[o] = 1;
            }
        }
    }
    free(visible);
    return SKY_OK;
}

static sky_err choose_split(sky_he_conv_plan *plan, double hoisted_cost, sky_error *e)
{
    double best = INFINITY;
    for (int32_t b = 1;; b *= 2) {
        if (b > plan->n_diagonals)
            b = plan->n_diagonals;
        sky__he_usage u;
        if (sky__he_usage_of(plan, b, &u) != SKY_OK)
            return sky_fail(e, SKY_ENOMEM, "he: out of memory");
        const double cost = (double)u.full + hoisted_cost * (double)u.hoisted;
        sky__he_usage_free(&u);
        if (cost < best) {
            best = cost;
            plan->split = b;
        }
        if (b == plan->n_diagonals)
            return SKY_OK;
    }
}

static sky_err set_split(sky_he_conv_plan *plan, const sky_he_conv_options *o, sky_error *e)
{
    const bool free_split = plan->packing == SKY_HE_HYBRID || plan->packing == SKY_HE_TOEPLITZ ||
                            plan->packing == SKY_HE_HALEVI_SHOUP;
    if (!free_split) {
        if (o->split != 0)
            return sky_fail(e, SKY_EINVAL,
                            "split is %d: packing %s has a fixed one; leave it 0, or take hybrid, "
                            "toeplitz or halevi_shoup",
                            o->split, sky_he_packing_name(plan->packing));
        plan->split = plan->packing == SKY_HE_INPUT_ROTATION ? plan->n_diagonals : 1;
        return SKY_OK;
    }
    if (o->split < 0 || o->split > plan->n_diagonals)
        return sky_fail(e, SKY_EINVAL, "split is %d, and must be 0 to the %d diagonals", o->split,
                        plan->n_diagonals);
    if (o->split > 0) {
        plan->split = o->split;
        return SKY_OK;
    }
    return choose_split(plan, o->hoisted_cost > 0 ? o->hoisted_cost : 1, e);
}

void sky_he_conv_plan_free(sky_he_conv_plan *plan)
{
    if (!plan)
        return;
    free(plan->present);
    free(plan->tap_step);
    free(plan->kept_out);
    free(plan->in_at);
    free(plan->out_at);
    free(plan);
}

sky_err sky_he_conv_plan_create(sky_he_conv_plan **out, const sky_he_conv_shape *shape,
                                const sky_he_conv_options *o, sky_error *e)
{
    assert(out && shape && o);
    sky_err err = check_shape(shape, e);
    if (err == SKY_OK)
        err = check_options(o, e);
    if (err != SKY_OK)
        return err;
    const int32_t gap = o->gap > 0 ? o->gap : 1;
    sky_he_conv_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return sky_fail(e, SKY_ENOMEM, "he: out of memory");
    plan->shape = *shape;
    plan->packing = o->packing;
    plan->slots = o->slots;
    plan->composes = o->composes;
    plan->depth = 1;
    err = place(plan, gap, e);
    if (err == SKY_OK)
        err = fill_tables(plan, gap, e);
    if (err == SKY_OK)
        err = mark_terms(plan, o->keep, e);
    if (err == SKY_OK)
        err = set_split(plan, o, e);
    if (err == SKY_OK) {
        *out = plan;
        plan = NULL;
    }
    sky_he_conv_plan_free(plan);
    return err;
}

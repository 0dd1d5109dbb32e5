/* Which groups there are, what they weigh, and what they save. See he_prune.h; he_prune_solve.c chooses. */
#include "jobs/he/he_prune.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "jobs/he/he_conv_internal.h"

const char *const sky_he_group_names[SKY_HE_GROUPS + 1] = {
    [SKY_HE_GROUP_NONE] = "none",         [SKY_HE_GROUP_POSITIONAL] = "positional",
    [SKY_HE_GROUP_DIAGONAL] = "diagonal", [SKY_HE_GROUP_GIANT] = "giant",
    [SKY_HE_GROUP_BABY] = "baby",         [SKY_HE_GROUP_BOTH] = "both",
};

/* Groups of one plain kind (not both). */
static int64_t groups_of(const sky_he_conv_plan *p, sky_he_group kind)
{
    switch (kind) {
    case SKY_HE_GROUP_POSITIONAL:
        return (int64_t)p->n_in * p->n_taps;
    case SKY_HE_GROUP_DIAGONAL:
        return (int64_t)p->n_rows * p->n_diagonals;
    case SKY_HE_GROUP_GIANT:
        return (int64_t)p->n_rows * sky__he_ceil_div(p->n_diagonals, p->split);
    case SKY_HE_GROUP_BABY:
        return (int64_t)p->n_in * p->split * p->n_taps;
    default:
        return 0;
    }
}

static int64_t group_of(const sky_he_conv_plan *p, sky_he_group kind, sky_he_term t)
{
    switch (kind) {
    case SKY_HE_GROUP_POSITIONAL:
        return (int64_t)t.in * p->n_taps + t.tap;
    case SKY_HE_GROUP_DIAGONAL:
        return (int64_t)t.row * p->n_diagonals + t.diagonal;
    case SKY_HE_GROUP_GIANT:
        return (int64_t)t.row * sky__he_ceil_div(p->n_diagonals, p->split) + t.diagonal / p->split;
    default:
        assert(kind == SKY_HE_GROUP_BABY);
        return ((int64_t)t.in * p->split + t.diagonal % p->split) * p->n_taps + t.tap;
    }
}

sky_err sky_he_prune_check(const sky_he_conv_plan *p, sky_he_group kind, sky_error *e)
{
    const bool taps = kind == SKY_HE_GROUP_POSITIONAL || kind == SKY_HE_GROUP_BOTH;
    if (taps && (p->packing == SKY_HE_TOEPLITZ || p->packing == SKY_HE_HALEVI_SHOUP))
        return sky_fail(e, SKY_EINVAL,
                        "group %s: packing %s has no taps of its own; take diagonal, giant or baby",
                        sky_he_group_names[kind], sky_he_packing_name(p->packing));
    if (p->selects && kind != SKY_HE_GROUP_POSITIONAL)
        return sky_fail(e, SKY_EINVAL,
                        "group %s: packing multiplexed has no diagonals; take positional",
                        sky_he_group_names[kind]);
    if (kind <= SKY_HE_GROUP_NONE || kind >= SKY_HE_GROUPS)
        return sky_fail(e, SKY_EINVAL, "there is nothing to prune without a kind of group");
    return SKY_OK;
}

/* --- what a group saves --- */

enum { NOBODY = -2, SEVERAL = -1 };

static void claim(int64_t *owner, int64_t group)
{
    if (*owner == NOBODY)
        *owner = group;
    else if (*owner != group)
        *owner = SEVERAL;
}

/* A rotation goes with a group if all terms that need it are the group's. */
typedef struct owners {
    int64_t *baby, *giant;
    int64_t n_baby, n_giant;
} owners;

static void claim_all(const sky_he_conv_plan *p, sky_he_group kind, owners *w, double *products)
{
    const int32_t giants = sky__he_ceil_div(p->n_diagonals, p->split);
    sky_he_term t;
    for (t.row = 0; t.row < p->n_rows; t.row++) {
        for (t.in = 0; t.in < p->n_in; t.in++) {
            const int64_t block = p->rotates_blocks ? (int64_t)t.row * p->n_in + t.in : t.row;
            for (t.diagonal = 0; t.diagonal < p->n_diagonals; t.diagonal++) {
                for (t.tap = 0; t.tap < p->n_taps; t.tap++) {
                    if (!p->present[sky_he_term_index(p, t)])
                        continue;
                    const int64_t group = group_of(p, kind, t);
                    products[group]++;
                    claim(&w->baby[group_of(p, SKY_HE_GROUP_BABY, t)], group);
                    claim(&w->giant[block * giants + t.diagonal / p->split], group);
                }
            }
        }
    }
}

static void credit(const sky_he_conv_plan *p, const owners *w, double hoisted_cost, double *saved)
{
    const int32_t giants = sky__he_ceil_div(p->n_diagonals, p->split);
    for (int64_t k = 0; k < w->n_baby; k++) {
        const int32_t tap = (int32_t)(k % p->n_taps);
        const int32_t j = (int32_t)(k / p->n_taps % p->split);
        if (w->baby[k] >= 0 && sky_he_baby_step(p, j, tap) != 0)
            saved[w->baby[k]] += hoisted_cost;
    }
    for (int64_t k = 0; k < w->n_giant; k++) {
        if (w->giant[k] >= 0 && k % giants != 0)
            saved[w->giant[k]] += 1;
    }
}

/* saved[groups] of one plain kind. */
static sky_err find_savings(const sky_he_conv_plan *p, sky_he_group kind, double hoisted_cost,
                            double *saved)
{
    const int64_t n = groups_of(p, kind);
    const int32_t giants = sky__he_ceil_div(p->n_diagonals, p->split);
    owners w = {.n_baby = groups_of(p, SKY_HE_GROUP_BABY),
                .n_giant = (int64_t)p->n_rows * (p->rotates_blocks ? p->n_in : 1) * giants};
    w.baby = malloc((size_t)w.n_baby * sizeof *w.baby);
    w.giant = malloc((size_t)w.n_giant * sizeof *w.giant);
    double *products = calloc((size_t)n, sizeof *products);
    if (w.baby && w.giant && products) {
        for (int64_t k = 0; k < w.n_baby; k++)
            w.baby[k] = NOBODY;
        for (int64_t k = 0; k < w.n_giant; k++)
            w.giant[k] = NOBODY;
        claim_all(p, kind, &w, products);
        credit(p, &w, hoisted_cost, saved);
        double any = 0;
        for (int64_t k = 0; k < n; k++)
            any += saved[k];
        for (int64_t k = 0; any == 0 && k < n; k++)
            saved[k] = products[k];
    }
    const bool ok = w.baby && w.giant && products;
    free(w.baby);
    free(w.giant);
    free(products);
    return ok ? SKY_OK : SKY_ENOMEM;
}

/* --- the problem --- */

static void weigh(sky_he_prune_problem *out, const sky_he_conv_plan *p, sky_he_group kind,
                  const double *weights)
{
    const sky_he_conv_shape *s = &p->shape;
    const int32_t taps = s->window.kernel_h * s->window.kernel_w;
    const bool both = kind == SKY_HE_GROUP_BOTH;
    for (int32_t o = 0; o < s->c_out; o++) {
        for (int32_t i = 0; i < s->c_in; i++) {
            sky_he_term t = {0};
            for (int32_t tap = 0; tap < taps; tap++) {
                const double w = weights[sky_he_conv_weight_at(s, o, i, tap)];
                sky__he_term_of_tap(p, o, i, tap, &t);
                const int64_t g = group_of(p, both ? SKY_HE_GROUP_POSITIONAL : kind, t);
                out->energy[g] += w * w;
                if (!both)
                    continue;
                const int64_t d = group_of(p, SKY_HE_GROUP_DIAGONAL, t);
                out->energy[out->n_first + d] += w * w;
                out->overlap[g * (out->n - out->n_first) + d] += w * w;
            }
        }
    }
}

void sky_he_prune_free(sky_he_prune_problem *p)
{
    free(p->energy);
    free(p->saved);
    free(p->overlap);
    *p = (sky_he_prune_problem){0};
}

sky_err sky_he_prune_groups(sky_he_prune_problem *out, const sky_he_conv_plan *plan,
                            sky_he_group kind, const double *weights, double hoisted_cost,
                            sky_error *e)
{
    assert(out && plan && weights);
    sky_err err = sky_he_prune_check(plan, kind, e);
    if (err != SKY_OK)
        return err;
    if (hoisted_cost <= 0)
        hoisted_cost = 1;
    const bool both = kind == SKY_HE_GROUP_BOTH;
    const sky_he_group first = both ? SKY_HE_GROUP_POSITIONAL : kind;
    sky_he_prune_problem p = {.n_first = groups_of(plan, first)};
    const int64_t second = both ? groups_of(plan, SKY_HE_GROUP_DIAGONAL) : 0;
    p.n = p.n_first + second;
    assert(p.n > 0);
    p.energy = calloc((size_t)p.n, sizeof *p.energy);
    p.saved = calloc((size_t)p.n, sizeof *p.saved);
    if (both)
        p.overlap = calloc((size_t)(p.n_first * second), sizeof *p.overlap);
    err = p.energy && p.saved && (p.overlap || !both) ? SKY_OK : SKY_ENOMEM;
    if (err == SKY_OK)
        err = find_savings(plan, first, hoisted_cost, p.saved);
    if (err == SKY_OK && both)
        err = find_savings(plan, SKY_HE_GROUP_DIAGONAL, hoisted_cost, p.saved + p.n_first);
    if (err != SKY_OK) {
        sky_he_prune_free(&p);
        return sky_fail(e, err, "he: out of memory");
    }
    weigh(&p, plan, kind, weights);
    for (int64_t k = 0; k < p.n; k++)
        p.saved_all += p.saved[k];
    *out = p;
    return SKY_OK;
}

void sky_he_prune_mask(const sky_he_conv_plan *plan, sky_he_group kind, const uint8_t *pruned,
                       uint8_t *keep)
{
    const sky_he_conv_shape *s = &plan->shape;
    const int32_t taps = s->window.kernel_h * s->window.kernel_w;
    const bool both = kind == SKY_HE_GROUP_BOTH;
    const sky_he_group first = both ? SKY_HE_GROUP_POSITIONAL : kind;
    const uint8_t *diagonals = pruned + groups_of(plan, first);
    for (int32_t o = 0; o < s->c_out; o++) {
        for (int32_t i = 0; i < s->c_in; i++) {
            sky_he_term t = {0};
            for (int32_t tap = 0; tap < taps; tap++) {
                sky__he_term_of_tap(plan, o, i, tap, &t);
                bool gone = pruned[group_of(plan, first, t)];
                if (both)
                    gone |= diagonals[group_of(plan, SKY_HE_GROUP_DIAGONAL, t)];
                keep[sky_he_conv_weight_at(s, o, i, tap)] = !gone;
            }
        }
    }
}

void sky_he_weights_he_normal(const sky_he_conv_shape *s, uint64_t seed, double *weights)
{
    sky_rng r;
    sky_rng_init(&r, seed, 0);
    const double inputs = (double)s->c_in * s->window.kernel_h * s->window.kernel_w;
    const double deviation = sqrt(2 / inputs);
    const int64_t n = sky_he_conv_weights(s);
    for (int64_t k = 0; k < n; k++)
        weights[k] = deviation * sky_rng_normal(&r);
}

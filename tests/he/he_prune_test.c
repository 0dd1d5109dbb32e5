/* Pruning: groups empty exactly the operations that they say, the solvers agree with trying everything. */
#include <criterion/criterion.h>
#include <string.h>

#include "jobs/he/he_conv_internal.h"
#include "jobs/he/he_prune.h"
#include "tests/he/conv_case.h"

static sky_he_conv_plan *plan_of(const sky_he_conv_shape *s, sky_he_conv_options o)
{
    sky_he_conv_plan *plan = NULL;
    sky_error e = {0};
    cr_assert_eq(sky_he_conv_plan_create(&plan, s, &o, &e), SKY_OK, "%s", e.text);
    return plan;
}

static double cost_of(const sky_he_conv_plan *plan, double hoisted_cost)
{
    sky_he_conv_counts c;
    cr_assert_eq(sky_he_conv_count(plan, &c, NULL), SKY_OK);
    double cost = 0;
    for (int k = 0; k <= SKY_HE_DEPTH_MAX; k++)
        cost += (double)c.rotations_full[k] + hoisted_cost * (double)c.rotations_hoisted[k];
    return cost;
}

/* What really goes when some groups do: the plan of the mask against the plan of all weights. */
static double really_saved(const sky_he_conv_plan *plan, sky_he_conv_options o, sky_he_group kind,
                           const uint8_t *pruned, double hoisted_cost)
{
    uint8_t *keep = calloc((size_t)sky_he_conv_weights(&plan->shape) + 1, 1);
    cr_assert_not_null(keep);
    sky_he_prune_mask(plan, kind, pruned, keep);
    o.keep = keep;
    const bool free_split = o.packing == SKY_HE_HYBRID || o.packing >= SKY_HE_TOEPLITZ;
    o.split = free_split ? plan->split : 0;
    sky_he_conv_plan *after = plan_of(&plan->shape, o);
    const double saved = cost_of(plan, hoisted_cost) - cost_of(after, hoisted_cost);
    sky_he_conv_plan_free(after);
    free(keep);
    return saved;
}

static double energy_of_mask(const sky_he_conv_plan *plan, sky_he_group kind, const uint8_t *pruned,
                             const double *w)
{
    const int64_t n = sky_he_conv_weights(&plan->shape);
    uint8_t *keep = calloc((size_t)n + 1, 1);
    cr_assert_not_null(keep);
    sky_he_prune_mask(plan, kind, pruned, keep);
    double energy = 0;
    for (int64_t k = 0; k < n; k++)
        energy += keep[k] ? 0 : w[k] * w[k];
    free(keep);
    return energy;
}

static sky_he_conv_options random_case(sky_rng *r, sky_he_group kind, sky_he_conv_shape *s)
{
    static const sky_he_packing with_taps[] = {SKY_HE_INPUT_ROTATION, SKY_HE_OUTPUT_ROTATION,
                                               SKY_HE_ADD_FIRST, SKY_HE_HYBRID, SKY_HE_SISO};
    static const sky_he_packing with_steps[] = {SKY_HE_HYBRID, SKY_HE_TOEPLITZ, SKY_HE_HALEVI_SHOUP,
                                                SKY_HE_ADD_FIRST};
    const bool taps = kind == SKY_HE_GROUP_POSITIONAL || kind == SKY_HE_GROUP_BOTH;
    sky_he_conv_options o = {.slots = 256 << between(r, 0, 2)};
    o.packing = taps ? with_taps[between(r, 0, 4)] : with_steps[between(r, 0, 3)];
    if (taps && between(r, 0, 9) == 0 && kind == SKY_HE_GROUP_POSITIONAL)
        o.packing = SKY_HE_MULTIPLEXED;
    *s = random_layer(r, o.packing);
    sky_he_conv_plan *plan;
    while (sky_he_conv_plan_create(&plan, s, &o, NULL) != SKY_OK)
        o.slots *= 2;
    if (o.packing == SKY_HE_HYBRID || o.packing >= SKY_HE_TOEPLITZ)
        o.split = between(r, 0, plan->n_diagonals);
    sky_he_conv_plan_free(plan);
    return o;
}

/* Each group alone saves what it claims; all of them together at least the sum. */
Test(he_prune, groups_save_what_they_say)
{
    sky_rng r = test_rng("groups_save");
    for (int round = 0; round < 60; round++) {
        const sky_he_group kind = (sky_he_group)(1 + round % (SKY_HE_GROUPS - 1));
        sky_he_conv_shape s;
        const sky_he_conv_options o = random_case(&r, kind, &s);
        sky_he_conv_plan *plan = plan_of(&s, o);
        double *w = random_values(&r, sky_he_conv_weights(&s));
        const double rho = 0.5;
        sky_he_prune_problem p;
        cr_assert_eq(sky_he_prune_groups(&p, plan, kind, w, rho, NULL), SKY_OK);
        uint8_t *pruned = calloc((size_t)p.n + 1, 1);
        for (int shot = 0; shot < 5; shot++) {
            const int64_t g = (int64_t)sky_rng_below(&r, (uint64_t)p.n);
            pruned[g] = 1;
            cr_assert_float_eq(energy_of_mask(plan, kind, pruned, w), p.energy[g], 1e-9);
            const double saved = really_saved(plan, o, kind, pruned, rho);
            const bool products_only = saved == 0 && p.saved[g] == (double)(int64_t)p.saved[g];
            const bool whole_row = plan->n_folds > 0 && saved > p.saved[g]; /* its folds go too */
            cr_assert(saved == p.saved[g] || products_only || whole_row,
                      "%s of %s: saved %g, claimed %g", sky_he_group_names[kind],
                      sky_he_packing_name(o.packing), saved, p.saved[g]);
            pruned[g] = 0;
        }
        for (int64_t g = 0; g < p.n; g++)
            pruned[g] = sky_rng_f64(&r) < 0.5;
        cr_assert_float_eq(energy_of_mask(plan, kind, pruned, w), sky_he_prune_energy(&p, pruned),
                           1e-9);
        free(pruned);
        sky_he_prune_free(&p);
        free(w);
        sky_he_conv_plan_free(plan);
    }
}

/* --- the solvers --- */

static sky_he_prune_problem random_problem(sky_rng *r, bool overlap)
{
    sky_he_prune_problem p = {.n = between(r, 1, 12)};
    p.n_first = overlap ? between(r, 0, (int32_t)p.n) : p.n;
    const int64_t second = p.n - p.n_first;
    p.energy = calloc((size_t)p.n, sizeof *p.energy);
    p.saved = calloc((size_t)p.n, sizeof *p.saved);
    for (int64_t k = 0; k < p.n; k++) {
        p.energy[k] = overlap ? 0 : sky_rng_f64(r);
        p.saved[k] = between(r, 0, 3) * 0.5;
        p.saved_all += p.saved[k];
    }
    if (!overlap)
        return p;
    p.overlap = calloc((size_t)(p.n_first * second) + 1, sizeof *p.overlap);
    for (int64_t k = 0; k < p.n_first * second; k++) {
        p.overlap[k] = sky_rng_f64(r);
        p.energy[k / second] += p.overlap[k];
        p.energy[p.n_first + k % second] += p.overlap[k];
    }
    return p;
}

static double brute_force(const sky_he_prune_problem *p, double target)
{
    double best = INFINITY;
    for (uint32_t set = 0; set < 1u << p->n; set++) {
        uint8_t pruned[16] = {0};
        for (int64_t k = 0; k < p->n; k++)
            pruned[k] = set >> k & 1;
        if (sky_he_prune_saved(p, pruned) >= target - 1e-12)
            best = fmin(best, sky_he_prune_energy(p, pruned));
    }
    return best;
}

Test(he_prune, exact_solver_against_all_subsets)
{
    sky_rng r = test_rng("exact_solver");
    for (int round = 0; round < 300; round++) {
        sky_he_prune_problem p = random_problem(&r, round % 2);
        const double target = p.saved_all * sky_rng_f64(&r);
        uint8_t exact[16] = {0}, greedy[16] = {0};
        cr_assert_eq(sky_he_prune_exact(&p, target, exact, NULL), SKY_OK);
        cr_assert_eq(sky_he_prune_greedy(&p, target, greedy), SKY_OK);
        const double best = brute_force(&p, target);
        cr_assert_float_eq(sky_he_prune_energy(&p, exact), best, 1e-9);
        cr_assert_geq(sky_he_prune_saved(&p, exact), target - 1e-9);
        cr_assert_geq(sky_he_prune_saved(&p, greedy), target - 1e-9);
        cr_assert_geq(sky_he_prune_energy(&p, greedy), best - 1e-9);
        for (int64_t k = 0; k < p.n; k++)
            cr_assert(p.saved[k] > 0 || !greedy[k], "a free group was pruned");
        sky_he_prune_free(&p);
    }
}

/* Where every group saves the same, the greedy choice is the best one. */
Test(he_prune, greedy_is_exact_for_equal_savings)
{
    sky_rng r = test_rng("greedy_equal");
    for (int round = 0; round < 100; round++) {
        sky_he_prune_problem p = random_problem(&r, false);
        p.saved_all = (double)p.n;
        for (int64_t k = 0; k < p.n; k++)
            p.saved[k] = 1;
        uint8_t greedy[16];
        const double target = between(&r, 0, (int32_t)p.n);
        cr_assert_eq(sky_he_prune_greedy(&p, target, greedy), SKY_OK);
        cr_assert_float_eq(sky_he_prune_energy(&p, greedy), brute_force(&p, target), 1e-12);
        cr_assert_eq(sky_he_prune_saved(&p, greedy), target);
        sky_he_prune_free(&p);
    }
}

/* A budget of rotations: what is left is what was asked, for each packing's own groups. */
Test(he_prune, budgets_are_met)
{
    static const struct {
        sky_he_packing packing;
        sky_he_group kind;
        int32_t split;
    } cases[] = {{SKY_HE_ADD_FIRST, SKY_HE_GROUP_DIAGONAL, 0},
                 {SKY_HE_ADD_FIRST, SKY_HE_GROUP_POSITIONAL, 0},
                 {SKY_HE_ADD_FIRST, SKY_HE_GROUP_BOTH, 0},
                 {SKY_HE_HYBRID, SKY_HE_GROUP_GIANT, 4},
                 {SKY_HE_HYBRID, SKY_HE_GROUP_BABY, 4},
                 {SKY_HE_TOEPLITZ, SKY_HE_GROUP_GIANT, 64}};
    const sky_he_conv_shape s = sky_he_conv_square(32, 32, 16, 3, 1, -1);
    double *w = calloc((size_t)sky_he_conv_weights(&s), sizeof *w);
    sky_he_weights_he_normal(&s, 7, w);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const sky_he_conv_options o = {
            .packing = cases[k].packing, .slots = 4096, .split = cases[k].split};
        sky_he_conv_plan *plan = plan_of(&s, o);
        sky_he_prune_problem p;
        cr_assert_eq(sky_he_prune_groups(&p, plan, cases[k].kind, w, 1, NULL), SKY_OK);
        uint8_t *pruned = calloc((size_t)p.n, 1);
        for (int tenth = 0; tenth <= 10; tenth++) {
            const double target = (double)(int64_t)(p.saved_all * tenth / 10);
            cr_assert_eq(sky_he_prune_greedy(&p, target, pruned), SKY_OK);
            cr_assert_eq(sky_he_prune_saved(&p, pruned), target);
            cr_assert_geq(really_saved(plan, o, cases[k].kind, pruned, 1), target);
        }
        free(pruned);
        sky_he_prune_free(&p);
        sky_he_conv_plan_free(plan);
    }
    free(w);
}

Test(he_prune, groups_that_a_packing_lacks)
{
    const sky_he_conv_shape s = sky_he_conv_square(4, 4, 8, 3, 1, -1);
    const double w[144] = {0};
    sky_he_prune_problem p = {0};
    sky_error e = {0};
    sky_he_conv_plan *plan =
        plan_of(&s, (sky_he_conv_options){.packing = SKY_HE_TOEPLITZ, .slots = 256});
    cr_assert_eq(sky_he_prune_groups(&p, plan, SKY_HE_GROUP_POSITIONAL, w, 1, &e), SKY_EINVAL);
    cr_assert(strstr(e.text, "no taps"));
    sky_he_conv_plan_free(plan);
    plan = plan_of(&s, (sky_he_conv_options){.packing = SKY_HE_MULTIPLEXED, .slots = 256});
    cr_assert_eq(sky_he_prune_groups(&p, plan, SKY_HE_GROUP_GIANT, w, 1, &e), SKY_EINVAL);
    cr_assert(strstr(e.text, "no diagonals"));
    sky_he_conv_plan_free(plan);
}

Test(he_prune, weights_are_he_normal)
{
    const sky_he_conv_shape s = sky_he_conv_square(64, 64, 8, 3, 1, -1);
    const int64_t n = sky_he_conv_weights(&s);
    double *w = calloc((size_t)n, sizeof *w), sum = 0, squares = 0;
    sky_he_weights_he_normal(&s, 1, w);
    for (int64_t k = 0; k < n; k++) {
        sum += w[k];
        squares += w[k] * w[k];
    }
    const double variance = 2.0 / (64 * 9);
    cr_assert_float_eq(squares / (double)n, variance, 0.05 * variance);
    cr_assert_float_eq(sum / (double)n, 0, 5 * sqrt(variance / (double)n));
    free(w);
}

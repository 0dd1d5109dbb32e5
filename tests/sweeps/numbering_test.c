/* Numbers of points, against a naive expansion of the space. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sweeps/sweeps_fixture.h"

Test(numbering, last_axis_varies_fastest)
{
    sky_plan *p = plan_of_space("{a: [1, 2], b: [x, y, z]}", "");
    cr_assert(eq(u64, sky_plan_points(p), 6));
    cr_assert(eq(str, STR(all_values(p)), "1 x, 1 y, 1 z, 2 x, 2 y, 2 z"));
    sky_plan_free(p);
}

Test(numbering, zip_moves_together)
{
    sky_plan *p =
        plan_of_space("{a: [1, 2], zip: [{b: [x, y, z], c: {from: 0.0, to: 1, count: 3}}]}", "");
    cr_assert(eq(str, STR(all_values(p)), "1 x 0, 1 y 0.5, 1 z 1, 2 x 0, 2 y 0.5, 2 z 1"));
    sky_plan_free(p);
    p = plan_of_space("{zip: {b: [x, y], c: [2, 2]}}", "");
    cr_assert(eq(str, STR(all_values(p)), "x 2, y 2"));
    sky_plan_free(p);
}

Test(numbering, conditions_leave_no_copies)
{
    sky_plan *p =
        plan_of_space("{m: [p, q], w: {values: [1, 2, 3], when: \"m = 'q'\"}, z: [8, 9]}", "");
    cr_assert(
        eq(str, STR(all_values(p)), "p - 8, p - 9, q 1 8, q 1 9, q 2 8, q 2 9, q 3 8, q 3 9"));
    cr_assert(not(sky_plan_has_absent(p, 0)));
    cr_assert(sky_plan_has_absent(p, 1));
    sky_plan_free(p);
    /* What conditions look at varies slowest, wherever it stands. */
    p = plan_of_space("{z: [8, 9], m: [p, q], w: {values: [1, 2], when: \"m = 'q'\"}}", "");
    cr_assert(eq(str, STR(all_values(p)), "8 p -, 9 p -, 8 q 1, 8 q 2, 9 q 1, 9 q 2"));
    sky_plan_free(p);
}

Test(numbering, an_inactive_axis_has_the_jobs_default)
{
    sky_plan *p =
        plan_of("name: t\njob: model\nspace:\n  network: a\n  depth: 1\n  mode: [split, flexsa]\n"
                "  width: {values: [0.5, 1], when: \"mode = 'flexsa'\"}\n");
    cr_assert(eq(str, STR(all_values(p)),
                 "a 128 split 1 false 1, a 128 flexsa 0.5 false 1, "
                 "a 128 flexsa 1 false 1"));
    cr_assert(not(sky_plan_has_absent(p, 3)));
    sky_plan_free(p);
}

Test(numbering, conditions_may_look_at_conditional_axes)
{
    sky_plan *p = plan_of_space(
        "{a: [0, 1], b: {values: [5, 6], when: \"a = 1\"}, "
        "c: {values: [7, 8], when: \"b = 6\"}, d: {values: [3], when: \"b IS NULL\"}}",
        "");
    cr_assert(eq(str, STR(all_values(p)), "0 - - 3, 1 5 - -, 1 6 7 -, 1 6 8 -"));
    sky_plan_free(p);
}

Test(numbering, repeats_renumber_nothing)
{
    sky_plan *one = plan_of_space("{a: [1, 2, 3]}", "search: {grid: {order: random}}");
    sky_plan *two = plan_of_space("{a: [1, 2, 3]}", "search: {grid: {order: random}}\nrepeats: 2");
    cr_assert(eq(u64, sky_plan_positions(two), 6));
    for (uint64_t k = 0; k < 3; k++) {
        cr_assert(eq(u64, sky_plan_trial(one, k), sky_plan_trial(two, k)));
        cr_assert(eq(u64, sky_plan_trial(two, k + 3), sky_plan_trial(two, k) + 3));
        cr_assert(eq(u64, sky_plan_trial_seed(one, k), sky_plan_trial_seed(two, k)));
        cr_assert(ne(u64, sky_plan_trial_seed(two, k), sky_plan_trial_seed(two, k + 3)));
        cr_assert(eq(str, STR(values_of(two, k)), STR(values_of(two, k + 3))));
    }
    sky_plan_free(one);
    sky_plan_free(two);
}

Test(numbering, huge_grids_are_counters)
{
    sky_buf space = {0};
    sky_buf_puts(&space, "{m: [p, q]");
    for (int i = 0; i < 17; i++)
        sky_buf_printf(&space, ", x%d: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]", i);
    sky_buf_puts(&space, ", w: {values: [1, 2, 3], when: \"m = 'q'\"}}");
    sky_plan *p = plan_of_space(sky_buf_str(&space), "search: {grid: {order: random}}");
    cr_assert(eq(u64, sky_plan_points(p), 400000000000000000u));
    cr_assert(
        eq(str, STR(values_of(p, 99999999999999998u)), "p 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 8 -"));
    cr_assert(
        eq(str, STR(values_of(p, 399999999999999999u)), "q 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 3"));
    for (uint64_t k = 0; k < 1000; k++)
        cr_assert(eq(u64, sky_plan_position(p, sky_plan_trial(p, k * 399999999)), k * 399999999));
    sky_plan_free(p);
    sky_buf_free(&space);
}

Test(numbering, refuses_conditions_it_cannot_count)
{
    const char *const head = "name: t\njob: command\nsearch: {random: {points: 5}}\nspace:\n";
    static const struct {
        const char *space, *place, *text;
    } cases[] = {
        {"  a: {values: [1, 2], when: \"b = 1\"}\n  b: [1, 2]\n", "t.yaml:5:29:", "stand before"},
        {"  a: {values: [1, 2], when: \"a = 1\"}\n", "t.yaml:5:29:", "stand before"},
        {"  a: {from: 0.0, to: 1}\n  b: {values: [1, 2], when: \"a > 0.5\"}\n",
         "t.yaml:6:29:", "continuous interval"},
        {"  a: {from: 1, to: 2000000}\n  b: {values: [1, 2], when: \"a > 5\"}\n",
         "t.yaml:6:29:", "too many combinations"},
        {"  a: [1, 2]\n  b: {values: [1, 2], when: \"c > 5\"}\n",
         "t.yaml:6:29:", "no such column: c"},
        {"  a: [1, 2]\n  b: {values: [1, 2], when: \"a >\"}\n", "t.yaml:6:29:", "syntax"},
        {"  a: [1, 2]\n  b: {values: [1, 2], when: [1]}\n", "t.yaml:6:29:", "found a list"},
        {"  a: [1, 2]\n  b: {values: [1, 2], when: \"random() > a\"}\n",
         "t.yaml:6:29:", "not allowed"},
        {"  a: [1, 2]\n  zip: [{b: {values: [1], when: \"a\"}, c: [1]}]\n",
         "t.yaml:6:27:", "for the whole pair"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char yaml[600];
        snprintf(yaml, sizeof yaml, "%s%s", head, cases[i].space);
        REFUSES(yaml, cases[i].place, cases[i].text);
    }
}

/* ---- the oracle ---- */

enum { FACTORS_MAX = 7, ORACLE_POINTS_MAX = 5000 };

typedef enum condition { NONE, EQUALS, ABOVE, IS_NULL } condition;

typedef struct factor {
    int n_values, n_axes;
    condition condition;
    int of, than; /* the factor whose first axis it looks at, and the value */
    bool decides;
} factor;

typedef struct oracle {
    factor f[FACTORS_MAX];
    int n;
    int order[FACTORS_MAX]; /* the deciding factors first */
    int digit[FACTORS_MAX]; /* -1: absent */
    char *points[ORACLE_POINTS_MAX];
    size_t n_points;
} oracle;

/* Values of axis k of a factor are multiples of 10 from 10 on, plus k. */
static bool holds(const oracle *o, const factor *f)
{
    int v = f->condition == NONE ? 0 : o->digit[f->of] < 0 ? -1 : (o->digit[f->of] + 1) * 10;
    switch (f->condition) {
    case NONE:
        return true;
    case EQUALS:
        return v == f->than;
    case ABOVE:
        return v > f->than;
    case IS_NULL:
        return v < 0;
    }
    return false;
}

static void expand(oracle *o, int at)
{
    if (at == o->n) {
        sky_buf b = {0};
        for (int i = 0; i < o->n; i++)
            for (int k = 0; k < o->f[i].n_axes; k++) {
                sky_buf_puts(&b, b.len ? " " : "");
                if (o->digit[i] < 0)
                    sky_buf_putc(&b, '-');
                else
                    sky_buf_printf(&b, "%d", (o->digit[i] + 1) * 10 + k);
            }
        cr_assert(lt(sz, o->n_points, ORACLE_POINTS_MAX));
        o->points[o->n_points++] = sky_buf_detach(&b);
        return;
    }
    int i = o->order[at];
    if (!holds(o, &o->f[i])) {
        o->digit[i] = -1;
        expand(o, at + 1);
        return;
    }
    for (int v = 0; v < o->f[i].n_values; v++) {
        o->digit[i] = v;
        expand(o, at + 1);
    }
}

static void random_space(oracle *o, sky_rng *r)
{
    o->n = 1 + (int)sky_rng_below(r, FACTORS_MAX);
    for (int i = 0; i < o->n; i++) {
        factor *f = &o->f[i];
        *f = (factor){.n_values = 1 + (int)sky_rng_below(r, 3),
                      .n_axes = 1 + (sky_rng_below(r, 4) == 0)};
        if (i == 0 || sky_rng_below(r, 2) == 0)
            continue;
        f->condition = (condition)(1 + sky_rng_below(r, 3));
        f->of = (int)sky_rng_below(r, (uint64_t)i);
        f->than = 10 * (int)sky_rng_below(r, 4);
        o->f[f->of].decides = true;
    }
    int n = 0;
    for (int i = 0; i < o->n; i++)
        if (o->f[i].decides)
            o->order[n++] = i;
    for (int i = 0; i < o->n; i++)
        if (!o->f[i].decides)
            o->order[n++] = i;
}

static void write_condition(sky_buf *b, const factor *f)
{
    if (f->condition == EQUALS)
        sky_buf_printf(b, "when: \"x%d_0 = %d\"", f->of, f->than);
    else if (f->condition == ABOVE)
        sky_buf_printf(b, "when: \"x%d_0 > %d\"", f->of, f->than);
    else
        sky_buf_printf(b, "when: \"x%d_0 IS NULL\"", f->of);
}

static void write_axis(sky_buf *b, int i, int k, const factor *f, bool as_range)
{
    sky_buf_printf(b, "x%d_%d: ", i, k);
    if (as_range) {
        sky_buf_printf(b, "{from: %d, to: %d, step: 10", 10 + k, f->n_values * 10 + k);
    } else {
        sky_buf_puts(b, "{values: [");
        for (int v = 0; v < f->n_values; v++)
            sky_buf_printf(b, "%s%d", v ? ", " : "", (v + 1) * 10 + k);
        sky_buf_putc(b, ']');
    }
    if (f->condition != NONE && f->n_axes == 1) {
        sky_buf_puts(b, ", ");
        write_condition(b, f);
    }
    sky_buf_puts(b, "}");
}

/* Several zips cannot stand under one key, so that pairs go to one list at the end: the factors
 * that are pairs are moved there first. */
static void write_space(sky_buf *b, const oracle *o, sky_rng *r)
{
    const char *comma = "{";
    for (int i = 0; i < o->n; i++) {
        const factor *f = &o->f[i];
        bool first_zip = f->n_axes > 1 && (i == 0 || o->f[i - 1].n_axes == 1);
        sky_buf_puts(b, comma);
        sky_buf_puts(b, first_zip ? "zip: [" : "");
        sky_buf_puts(b, f->n_axes > 1 ? "{" : "");
        for (int k = 0; k < f->n_axes; k++) {
            sky_buf_puts(b, k ? ", " : "");
            write_axis(b, i, k, f, sky_rng_below(r, 2));
        }
        if (f->n_axes > 1 && f->condition != NONE) {
            sky_buf_puts(b, ", ");
            write_condition(b, f);
        }
        sky_buf_puts(b, f->n_axes > 1 ? "}" : "");
        comma = ", ";
    }
    sky_buf_puts(b, o->f[o->n - 1].n_axes > 1 ? "]}" : "}");
}

/* Only the last factors are pairs, in one run. */
static void gather_pairs(oracle *o)
{
    bool pairs = true;
    for (int i = o->n - 1; i >= 0; i--) {
        pairs = pairs && o->f[i].n_axes > 1;
        o->f[i].n_axes = pairs ? 2 : 1;
    }
}

static void check_columns(const sky_plan *p)
{
    uint64_t trials[ORACLE_POINTS_MAX];
    size_t n = (size_t)sky_plan_points(p);
    for (size_t k = 0; k < n; k++)
        trials[k] = n - 1 - k;
    batch b;
    batch_init(&b, p, n);
    sky_plan_decode_columns(p, trials, n, b.columns);
    for (size_t k = 0; k < n; k++) {
        sky_value v[SKY_PARAMS_MAX];
        sky_plan_decode(p, trials[k], v);
        for (size_t i = 0; i < b.n_columns; i++) {
            sky_value c = sky_column_get(&b.columns[i], k);
            cr_assert(sky_value_equal(&c, &v[i]));
        }
    }
    batch_free(&b);
}

Test(numbering, equals_a_naive_expansion, .timeout = 120)
{
    sky_rng r;
    sky_rng_init(&r, test_seed("numbering"), 0);
    static oracle o;
    for (int round = 0; round < 400; round++) {
        random_space(&o, &r);
        gather_pairs(&o);
        o.n_points = 0;
        expand(&o, 0);
        sky_buf space = {0};
        write_space(&space, &o, &r);
        sky_plan *p = plan_of_space(sky_buf_str(&space), "");
        sky_plan *q = reloaded(p);
        cr_assert(eq(u64, sky_plan_points(p), o.n_points), "%s", sky_buf_str(&space));
        for (size_t k = 0; k < o.n_points; k++) {
            cr_assert(eq(str, STR(values_of(p, k)), STR(o.points[k])), "%zu of %s", k,
                      sky_buf_str(&space));
            cr_assert(eq(str, STR(values_of(q, k)), STR(o.points[k])), "%zu of %s", k,
                      sky_buf_str(&space));
        }
        check_columns(p);
        sky_plan_free(p);
        sky_plan_free(q);
        sky_buf_free(&space);
        for (size_t k = 0; k < o.n_points; k++)
            free(o.points[k]);
    }
}

/* In a sampled search too, each point is one that the expansion knows. */
Test(numbering, sampled_points_keep_the_conditions, .timeout = 120)
{
    static const char *const searches[] = {"sobol", "latin_hypercube", "random"};
    sky_rng r;
    sky_rng_init(&r, test_seed("sampled"), 0);
    static oracle o;
    for (int round = 0; round < 120; round++) {
        random_space(&o, &r);
        gather_pairs(&o);
        o.n_points = 0;
        expand(&o, 0);
        sky_buf space = {0};
        char search[80];
        write_space(&space, &o, &r);
        snprintf(search, sizeof search, "search: {%s: {points: %zu}}", searches[round % 3],
                 (o.n_points + 1) / 2);
        sky_plan *p = plan_of_space(sky_buf_str(&space), search);
        for (uint64_t k = 0; k < sky_plan_points(p); k++) {
            size_t i = 0;
            const char *values = values_of(p, k);
            while (i < o.n_points && strcmp(o.points[i], values) != 0)
                i++;
            cr_assert(lt(sz, i, o.n_points), "%s: %s", values, sky_buf_str(&space));
            if (round % 3 == 2) /* random repeats nothing: strike it out */
                o.points[i][0] = '\0';
        }
        check_columns(p);
        sky_plan_free(p);
        sky_buf_free(&space);
        for (size_t k = 0; k < o.n_points; k++)
            free(o.points[k]);
    }
}

Test(numbering, random_order_is_a_permutation)
{
    sky_plan *p = plan_of_space("{a: {from: 1, to: 997}, b: [1, 2, 3]}",
                                "search: {grid: {order: random}}\nrepeats: 2\nseed: 7");
    uint64_t n = sky_plan_points(p);
    uint8_t *seen = calloc(2 * n, 1);
    uint64_t moved = 0;
    for (uint64_t k = 0; k < 2 * n; k++) {
        uint64_t trial = sky_plan_trial(p, k);
        cr_assert(eq(u64, trial / n, k / n));
        cr_assert(zero(u8, seen[trial]));
        seen[trial] = 1;
        cr_assert(eq(u64, sky_plan_position(p, trial), k));
        moved += trial != k;
    }
    cr_assert(gt(u64, moved, n));
    free(seen);
    sky_plan_free(p);
}

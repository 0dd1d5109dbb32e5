#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/plan_internal.h"
#include "tests/sweeps/sweeps_fixture.h"

/* A plan of d real axes from 0 to 1. */
static sky_plan *cube(int d, const char *rest)
{
    sky_buf space = {0};
    for (int i = 0; i < d; i++)
        sky_buf_printf(&space, "%sx%d: {from: 0.0, to: 1.0}", i ? ", " : "{", i);
    sky_buf_puts(&space, "}");
    sky_plan *p = plan_of_space(sky_buf_str(&space), rest);
    sky_buf_free(&space);
    return p;
}

Test(search, first_sobol_points_are_the_known_ones)
{
    /* The first ten points in three dimensions that Joe and Kuo print with their generator. */
    static const double known[10][3] = {
        {0, 0, 0},
        {0.5, 0.5, 0.5},
        {0.75, 0.25, 0.25},
        {0.25, 0.75, 0.75},
        {0.375, 0.375, 0.625},
        {0.875, 0.875, 0.125},
        {0.625, 0.125, 0.875},
        {0.125, 0.625, 0.375},
        {0.1875, 0.3125, 0.9375},
        {0.6875, 0.8125, 0.4375},
    };
    sky_plan *p = cube(3, "search: {sobol: {points: 10, scramble: false}}");
    for (uint64_t k = 0; k < 10; k++) {
        sky_value v[3];
        sky_plan_decode(p, k, v);
        for (int i = 0; i < 3; i++)
            cr_assert(eq(dbl, v[i].f, known[k][i]), "point %" PRIu64 " axis %d", k, i);
    }
    sky_plan_free(p);
}

/* Counts points in each elementary interval of 2^a x 2^b boxes in two dimensions. */
static void check_net(const sky_plan *p, uint32_t x, uint32_t y, int m, int t)
{
    uint64_t n = UINT64_C(1) << m;
    for (int a = 0; a + t <= m; a++) {
        int b = m - t - a;
        int *boxes = calloc(UINT64_C(1) << (a + b), sizeof *boxes);
        for (uint64_t k = 0; k < n; k++) {
            uint64_t i = a ? sky__unit(p, k, x) >> (64 - a) : 0;
            uint64_t j = b ? sky__unit(p, k, y) >> (64 - b) : 0;
            boxes[i << b | j]++;
        }
        for (uint64_t i = 0; i < UINT64_C(1) << (a + b); i++)
            cr_assert(eq(int, boxes[i], 1 << t), "dimensions %u %u, m %d, a %d", x, y, m, a);
        free(boxes);
    }
}

Test(search, sobol_points_are_nets, .timeout = 60)
{
    const char *const searches[] = {"search: {sobol: {points: 1024, scramble: false}}",
                                    "search: {sobol: {points: 1024}}\nseed: 5",
                                    "search: {sobol: {points: 1024}}\nseed: 6"};
    for (size_t i = 0; i < 3; i++) {
        sky_plan *p = cube(12, searches[i]);
        for (int m = 1; m <= 10; m++)
            check_net(p, 0, 1, m, 0);
        /* Every dimension alone is a (0,m,1)-net. */
        for (uint32_t d = 0; d < 12; d++) {
            uint8_t seen[1024] = {0};
            for (uint64_t k = 0; k < 1024; k++)
                seen[sky__unit(p, k, d) >> 54]++;
            for (int k = 0; k < 1024; k++)
                cr_assert(eq(u8, seen[k], 1), "dimension %u", d);
        }
        sky_plan_free(p);
    }
}

Test(search, every_sobol_dimension_is_sound)
{
    uint64_t before[64] = {0};
    for (uint32_t d = 0; d < SKY__SOBOL_DIMENSIONS_MAX; d++) {
        uint64_t v[64];
        sky__sobol_directions(d, v);
        for (int i = 0; i < 64; i++) { /* unit upper triangular: each bit is new */
            cr_assert(v[i] >> (63 - i) & 1, "dimension %u bit %d", d, i);
            cr_assert(zero(u64, i < 63 ? v[i] << (i + 1) : 0), "dimension %u bit %d", d, i);
        }
        cr_assert(ne(int, memcmp(v, before, sizeof v), 0), "dimension %u repeats", d);
        memcpy(before, v, sizeof v);
        sky__sobol_scramble(99, d, v);
        for (int i = 0; i < 64; i++) /* the leading bit stays where it was */
            cr_assert(eq(int, __builtin_clzll(v[i]), __builtin_clzll(before[i])));
    }
}

Test(search, seeds_scramble_and_repeat)
{
    sky_plan *a = cube(4, "search: {sobol: {points: 64}}\nseed: 1");
    sky_plan *b = cube(4, "search: {sobol: {points: 64}}\nseed: 1");
    sky_plan *c = cube(4, "search: {sobol: {points: 64}}\nseed: 2");
    cr_assert(eq(str, STR(all_values(a)), STR(all_values(b))));
    char first[400];
    snprintf(first, sizeof first, "%s", values_of(a, 17));
    cr_assert(ne(str, STR(first), STR(values_of(c, 17))));
    sky_plan_free(a);
    sky_plan_free(b);
    sky_plan_free(c);
}

Test(search, latin_hypercubes_take_each_stratum_once)
{
    static const int sizes[] = {1, 2, 7, 64, 1000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int n = sizes[s];
        char search[80];
        snprintf(search, sizeof search, "search: {latin_hypercube: {points: %d}}\nseed: 3", n);
        sky_plan *p = cube(5, search);
        uint8_t *seen = calloc(5 * (size_t)n, 1);
        for (int k = 0; k < n; k++) {
            sky_value v[5];
            sky_plan_decode(p, (uint64_t)k, v);
            for (int i = 0; i < 5; i++) {
                int stratum = (int)floor(v[i].f * n);
                cr_assert(ge(int, stratum, 0));
                cr_assert(lt(int, stratum, n));
                cr_assert(zero(u8, seen[i * n + stratum]++), "%d points, axis %d", n, i);
            }
        }
        free(seen);
        sky_plan_free(p);
    }
}

Test(search, random_of_listed_values_repeats_nothing)
{
    sky_plan *p = plan_of_space("{a: {from: 1, to: 30}, b: [1, 2, 3]}",
                                "search: {random: {points: 90}}\nseed: 4");
    uint8_t seen[31][4] = {{0}};
    for (uint64_t k = 0; k < 90; k++) {
        sky_value v[2];
        sky_plan_decode(p, k, v);
        cr_assert(zero(u8, seen[v[0].i][v[1].i]++));
    }
    sky_plan_free(p);
    REFUSES("name: t\njob: command\nspace: {a: [1, 2]}\nsearch: {random: {points: 3}}",
            "t.yaml:3:8:", "asks for 3 points, but the space has 2");
    REFUSES("name: t\njob: command\nspace: {a: [1, 2]}\nsearch: {sobol: {points: 3}}",
            "asks for 3 points");
}

Test(search, random_draws_fill_their_intervals)
{
    sky_plan *p =
        plan_of_space("{lin: {from: -2.0, to: 6}, log: {from: 1e-3, to: 10.0, scale: log}, "
                      "n: {from: 1, to: 100, scale: log}, pick: [a, b, c], "
                      "step: {from: 0.0, to: 1, step: 0.25}}",
                      "search: {random: {points: 20000}}\nseed: 11");
    double lin = 0, log_mean = 0;
    int picks[3] = {0}, ones = 0, steps[5] = {0};
    for (uint64_t k = 0; k < 20000; k++) {
        sky_value v[5];
        sky_plan_decode(p, k, v);
        cr_assert(all(ge(dbl, v[0].f, -2), le(dbl, v[0].f, 6)));
        cr_assert(all(ge(dbl, v[1].f, 1e-3), le(dbl, v[1].f, 10)));
        cr_assert(all(ge(i64, v[2].i, 1), le(i64, v[2].i, 100)));
        lin += v[0].f / 20000;
        log_mean += log10(v[1].f) / 20000;
        ones += v[2].i == 1;
        picks[v[3].s[0] - 'a']++;
        steps[(int)(v[4].f * 4)]++;
    }
    cr_assert(lt(dbl, fabs(lin - 2), 0.1));
    cr_assert(lt(dbl, fabs(log_mean + 1), 0.05));
    cr_assert(lt(int, abs(ones - 20000 * 301 / 2004), 400)); /* log 2 / log 101 */
    for (int i = 0; i < 3; i++)
        cr_assert(lt(int, abs(picks[i] - 6667), 350));
    for (int i = 0; i < 5; i++)
        cr_assert(lt(int, abs(steps[i] - 4000), 300));
    sky_plan_free(p);
}

/* Computed once: a difference here would give other values to the trials of every stored sweep. */
Test(search, points_are_the_same_on_every_machine)
{
    sky_plan *p = plan_of_space("{a: {from: 0.0, to: 1}, b: {from: 1e-4, to: 1.0, scale: log}, "
                                "c: {from: 1, to: 1000, scale: log}, d: [p, q, r]}",
                                "search: {random: {points: 100}}\nseed: 42");
    cr_assert(eq(str, STR(values_of(p, 0)), "0.536405551539655 0.19166348076937847 1 p"));
    cr_assert(eq(str, STR(values_of(p, 99)), "0.0320393313717523 0.00011561992764619827 209 p"));
    sky_plan_free(p);
    p = plan_of_space("{a: {from: 1, to: 1000000}, b: {from: 1, to: 1000000}}",
                      "search: {grid: {order: random}}\nseed: 42");
    cr_assert(eq(u64, sky_plan_trial(p, 0), 19111324600u));
    sky_plan_free(p);
}

Test(search, logarithmic_intervals_are_accurate)
{
    sky_plan *p = plan_of_space("{x: {from: 1e-5, to: 1000.0, scale: log}}",
                                "search: {random: {points: 10}}");
    const sky__axis *axis = &p->factors[0].axes[0];
    double worst = 0;
    for (int i = 0; i <= 1000; i++) {
        uint64_t unit = (uint64_t)i * (UINT64_MAX / 1000);
        long double u = (long double)(unit >> 11) * 0x1p-53L;
        long double exact = 1e-5L * powl(1e8L, u);
        double error = (double)fabsl((sky__interval_at(axis, unit) - exact) / exact);
        worst = error > worst ? error : worst;
    }
    cr_assert(lt(dbl, worst, 4e-15));
    cr_assert(eq(dbl, sky__interval_at(axis, 0), 1e-5));
    sky_plan_free(p);
}

Test(search, refuses_malformed_searches)
{
    static const struct {
        const char *search, *text;
    } cases[] = {
        {"gird", "did you mean 'grid'?"},
        {"sobol", "say how many points: {sobol: {points: N}}"},
        {"[grid]", "found a list"},
        {"{random: {points: 0}}", "from 1 to"},
        {"{random: {points: many}}", "from 1 to"},
        {"{random: {}}", "found no 'points'"},
        {"{random: {point: 5}}", "did you mean 'points'?"},
        {"{grid: {order: rnadom}}", "allowed are sequential and random"},
        {"{grid: {points: 5}}", "unknown key 'points'"},
        {"{sobol: {points: 4, scramble: maybe}}", "true or false"},
        {"{grid: {}, sobol: {points: 3}}", "found a map"},
        {"{latin_hypercub: {points: 3}}", "did you mean 'latin_hypercube'?"},
        {"{random: 5}", "found '5'; allowed is a map"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char yaml[300];
        snprintf(yaml, sizeof yaml,
                 "name: t\njob: command\nspace: {a: [1, 2, 3, 4, 5]}\nsearch: %s\n",
                 cases[i].search);
        REFUSES(yaml, "t.yaml:4:", cases[i].text);
    }
}

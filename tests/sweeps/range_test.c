#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sweeps/sweeps_fixture.h"

static void gives(const char *axis, const char *values)
{
    sky_buf space = {0};
    sky_buf_printf(&space, "{x: %s}", axis);
    sky_plan *p = plan_of_space(sky_buf_str(&space), "");
    cr_assert(eq(str, STR(all_values(p)), STR(values)), "%s", axis);
    sky_plan *q = reloaded(p);
    cr_assert(eq(str, STR(all_values(q)), STR(values)), "%s, loaded", axis);
    sky_plan_free(p);
    sky_plan_free(q);
    sky_buf_free(&space);
}

Test(range, steps_are_decimal)
{
    gives("{from: 0.3, to: 1.0, step: 0.05}",
          "0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1");
    gives("{from: 0, to: 1, step: 0.1}", "0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1");
    gives("{from: 1, to: -1, step: -0.5}", "1, 0.5, 0, -0.5, -1");
    gives("{from: 1e-3, to: 3e-3, step: 1e-3}", "0.001, 0.002, 0.003");
    gives("{from: 64, to: 256, step: 64}", "64, 128, 192, 256");
    gives("{from: 3, to: 6}", "3, 4, 5, 6");
    gives("{from: 5, to: 5}", "5");
    gives("{from: 900000000000000000, to: 900000000000000002}",
          "900000000000000000, 900000000000000001, 900000000000000002");
}

Test(range, counts_divide_evenly)
{
    gives("{from: 0, to: 1.0, count: 5}", "0, 0.25, 0.5, 0.75, 1");
    gives("{from: 0.0, to: 1, count: 4}", "0, 0.3333333333333333, 0.6666666666666666, 1");
    gives("{from: 1, to: 100, count: 4}", "1, 34, 67, 100");
    gives("{from: 100, to: 1, count: 4}", "100, 67, 34, 1");
    gives("{from: 2.5, to: 2.5, count: 1}", "2.5");
}

Test(range, logarithmic_and_powers_of_two)
{
    gives("{from: 1e-4, to: 0.1, count: 4, scale: log}", "0.0001, 0.001, 0.01, 0.1");
    gives("{from: 1e-6, to: 1.0, count: 7, scale: log}",
          "1e-06, 1e-05, 0.0001, 0.001, 0.01, 0.1, 1");
    gives("{from: 1000, to: 1, count: 4, scale: log}", "1000, 100, 10, 1");
    gives("{from: 1, to: 1000, count: 7, scale: log}", "1, 3, 10, 32, 100, 316, 1000");
    gives("{from: 16, to: 256, scale: pow2}", "16, 32, 64, 128, 256");
    gives("{from: 0.25, to: 2.0, scale: pow2}", "0.25, 0.5, 1, 2");
    gives("{from: 8, to: 8, scale: pow2}", "8");
}

/* The value of each step is the double nearest to the decimal that a person would write. */
Test(range, values_round_as_their_decimals_do)
{
    sky_rng r;
    sky_rng_init(&r, test_seed("range"), 1);
    for (int round = 0; round < 300; round++) {
        int digits = (int)sky_rng_below(&r, 9);
        int64_t start = (int64_t)sky_rng_below(&r, 20000) - 10000;
        int64_t step = (int64_t)sky_rng_below(&r, 500) + 1;
        int64_t count = (int64_t)sky_rng_below(&r, 40) + 2;
        char space[200];
        snprintf(space, sizeof space,
                 "{x: {from: %" PRId64 "e-%d, to: %" PRId64 "e-%d, step: %" PRId64 "e-%d}}", start,
                 digits, start + step * (count - 1), digits, step, digits);
        sky_plan *p = plan_of_space(space, "");
        cr_assert(eq(u64, sky_plan_points(p), (uint64_t)count), "%s", space);
        for (int64_t k = 0; k < count; k++) {
            char decimal[60];
            sky_value v;
            snprintf(decimal, sizeof decimal, "%" PRId64 "e-%d", start + step * k, digits);
            sky_plan_decode(p, (uint64_t)k, &v);
            cr_assert(eq(dbl, v.f, strtod(decimal, NULL)), "%s", space);
        }
        sky_plan_free(p);
    }
}

Test(range, huge_ranges_are_counters)
{
    sky_plan *p = plan_of_space("{x: {from: 1, to: 999999999999999999}}", "");
    cr_assert(eq(u64, sky_plan_points(p), 999999999999999999u));
    cr_assert(eq(str, STR(values_of(p, 999999999999999998u)), "999999999999999999"));
    sky_plan_free(p);
    p = plan_of_space("{x: {from: 0.0, to: 1000000000, step: 0.000001}}", "");
    cr_assert(eq(u64, sky_plan_points(p), 1000000000000001u));
    cr_assert(eq(str, STR(values_of(p, 123456789u)), "123.456789"));
    sky_plan_free(p);
}

/* ^ marks the place that the message names. */
static void bad(const char *axis, const char *text)
{
    char yaml[500], place[40];
    const char *mark = strchr(axis, '^');
    cr_assert(mark != NULL, "%s", axis);
    snprintf(yaml, sizeof yaml, "name: t\njob: command\ncommand: [true]\nspace:\n  x: %.*s%s\n",
             (int)(mark - axis), axis, mark + 1);
    snprintf(place, sizeof place, "t.yaml:5:%d: ", (int)(mark - axis) + 6);
    REFUSES(yaml, place, text);
}

Test(range, refuses_ranges_without_end)
{
    bad("{from: 0, to: 1, step: ^0}", "step: found 0");
    bad("{from: 0, to: 1, step: ^-0.5}", "never ends");
    bad("^{from: 5, to: 1}", "never ends");
    bad("{from: 0, to: ^1, step: 0.3}", "the nearest ends are 0.9 and 1.2");
    bad("{from: 1, to: ^10, step: 4}", "the nearest ends are 9 and 13");
    bad("{from: 0, to: 1, count: ^0}", "from 1 to");
    bad("{from: 0, to: 1, count: ^1}", "both ends are the same");
    bad("{from: 1, to: 1, count: ^3}", "both ends are the same");
    bad("{from: 0, to: 10, count: ^4}", "not whole numbers");
    bad("{from: 0, to: 1, step: 0.1, ^count: 11}", "both step and count");
    bad("^{from: 0.0, to: 999999999999, step: 0.000001}", "more digits");
}

Test(range, refuses_malformed_ranges)
{
    bad("^{from: 0}", "without 'to'");
    bad("^{to: 0}", "without 'from'");
    bad("{from: ^a, to: 3}", "found 'a'; allowed is a number");
    bad("{from: ^'1', to: 3}", "allowed is a number");
    bad("{from: ^[1], to: 3}", "found a list");
    bad("{from: 1, to: 3, ^stp: 1}", "did you mean 'step'?");
    bad("{from: 1, to: 8, scale: ^lin}", "allowed are linear, log and pow2");
    bad("{from: 1, to: 8, scale: ^logg}", "did you mean 'log'?");
    bad("{from: ^1234567890123456789, to: 8}", "18 digits");
    bad("{from: ^0, to: 8, count: 3, scale: log}", "above 0");
    bad("{from: 1, to: ^-8, count: 3, scale: log}", "above 0");
    bad("{from: 1, to: 8, ^step: 3, scale: log}", "allowed is count");
    bad("{from: 1, to: 8, count: ^1, scale: log}", "allows 2 to");
    bad("{from: 1, to: 8, count: ^99999999, scale: log}", "allows 2 to");
    bad("^{from: 1, to: 5, count: 10, scale: log}", "again");
    bad("{from: ^3, to: 8, scale: pow2}", "powers of two");
    bad("{from: 8, to: ^4, scale: pow2}", "below from");
    bad("{from: 2, to: ^7, scale: pow2}", "powers of two");
    bad("{from: 2, to: 8, ^step: 2, scale: pow2}", "doubles");
}

Test(range, a_grid_wants_steps)
{
    bad("^{from: 0.0, to: 1.0}", "continuous interval");
    bad("^{from: 1.0, to: 2, scale: log}", "continuous interval");
}

Test(range, looks_at_the_declared_type_and_range)
{
    REFUSES("name: t\njob: model\nspace: {network: a, depth: 1, array: {from: 0, to: 8}}\n",
            "t.yaml:3:45:", "from 1 to 1024");
    REFUSES(
        "name: t\njob: model\nspace: {network: a, depth: 1, array: {from: 1, to: 2000, step: 1}}\n",
        "t.yaml:3:52:", "from 1 to 1024");
    REFUSES(
        "name: t\njob: model\nspace: {network: a, depth: 1, array: {from: 1, to: 2, step: 0.5}}\n",
        "t.yaml:3:61:", "whole numbers");
    REFUSES("name: t\njob: model\nspace: {network: {from: 1, to: 2}, depth: 1}\n",
            "t.yaml:3:18:", "found a range");
    sky_plan *p =
        plan_of("name: t\njob: model\nspace: {network: a, depth: 1, width: {from: 0, to: 1, "
                "count: 3}}\n");
    cr_assert(eq(str, STR(values_of(p, 1)), "a 128 split 0.5 false 1"));
    sky_plan_free(p);
}

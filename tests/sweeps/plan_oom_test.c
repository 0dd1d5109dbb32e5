/* Every allocation of reading, loading and filtering fails once: each gives SKY_ENOMEM and leaks
 * nothing, or the plan is right all the same. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/failing_alloc.h"
#include "tests/sweeps/sweeps_fixture.h"

static const char yaml[] =
    "name: t\njob: command\ncommand: [run, '{a}']\ndescription: x\ntags: [p]\n"
    "space:\n  a: [1, 2]\n  b: {from: 0.0, to: 1, step: 0.1}\n  c: {from: 1, to: 100, count: 3, "
    "scale: log}\n"
    "  d: {values: [x, y], when: a = 2}\n  zip: [{e: [1, 2], f: [u, v]}]\n"
    "  g: {from: 0.0, to: 1.0}\n"
    "where: [a > 0]\nmetrics: {m: {goal: min, unit: s}}\nderived: {q: m * 2}\n"
    "constraints: [q < 5]\nobjectives: [m, {q: max}]\nsearch: {sobol: {points: 16}}\n";

static sky_err whole_way(char **text)
{
    const char *const set[] = {"a=[1, 2]", "limits.timeout=5s", NULL};
    const sky_plan_options options = {.set = set, .jobs = fixture_jobs};
    sky_plan *p = NULL, *q = NULL;
    sky_filter *f = NULL;
    sky_error e = {0};
    sky_err err = sky_plan_parse(&p, yaml, strlen(yaml), "t.yaml", &options, &e);
    if (err == SKY_OK)
        err = sky_plan_load(&q, sky_plan_text(p), strlen(sky_plan_text(p)), &e);
    if (err == SKY_OK)
        err = sky_filter_new(&f, q, &e);
    if (err == SKY_OK && !(*text = strdup(sky_plan_text(q))))
        err = SKY_ENOMEM;
    sky_filter_free(f);
    sky_plan_free(p);
    sky_plan_free(q);
    return err;
}

Test(plan_oom, every_allocation_may_fail, .timeout = 120)
{
    char *expected = NULL;
    cr_assert(eq(int, whole_way(&expected), SKY_OK));
    long n = 0, refused = 0;
    for (;; n++) {
        char *text = NULL;
        allocation_failed = false;
        until_failure = n;
        sky_err err = whole_way(&text);
        until_failure = -1;
        bool done = !allocation_failed;
        if (err == SKY_OK)
            cr_assert(eq(str, text, expected), "allocation %ld", n);
        else
            cr_assert(eq(int, err, SKY_ENOMEM), "allocation %ld", n);
        refused += err != SKY_OK;
        free(text);
        if (done)
            break;
    }
    cr_assert(gt(long, refused, 20));
    free(expected);
}

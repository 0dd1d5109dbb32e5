#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "tests/sweeps/sweeps_fixture.h"

static const char yaml[] = "name: t\njob: command\ncommand: run {a}\n"
                           "space: {a: [1, 2], zip: [{b: [x, y], c: [5, 6]}]}\n"
                           "limits: {attempts: 5}\n";

static void gives(const char *const *set, const char *values)
{
    sky_plan *p = plan_with(yaml, set);
    cr_assert(eq(str, STR(all_values(p)), STR(values)), "%s", set[0]);
    sky_plan_free(p);
}
#define GIVES(values, ...) gives((const char *const[]){__VA_ARGS__, NULL}, values)
#define FAILS(text, ...)                                                                           \
    refuses_with(yaml, (const char *const[]){__VA_ARGS__, NULL}, (const char *const[]){text, NULL})

Test(override, replaces_axes)
{
    GIVES("7 x 5, 7 y 6", "a=7");
    GIVES("7 x 5, 7 y 6, 8 x 5, 8 y 6", "a=[7, 8]");
    GIVES("1 x 5, 1 y 6, 3 x 5, 3 y 6", "a={from: 1, to: 3, step: 2}");
    GIVES("1 p 5, 1 q 6, 2 p 5, 2 q 6", "b=[p, q]"); /* within its pair */
    GIVES("1 x 5 9, 1 y 6 9", "a=1", "d=9");
    GIVES("4 x 5, 4 y 6", "a=3", "space.a=4"); /* the last one wins */
}

Test(override, replaces_settings)
{
    const char *const set[] = {"limits.timeout=5s", "limits.memory=1GiB",
                               "repeats=3",         "name=other",
                               "resources.cpus=4",  "search={grid: {order: random}}",
                               "where=[a > 1]",     NULL};
    sky_plan *p = plan_with(yaml, set);
    cr_assert(eq(i64, sky_plan_limits(p)->timeout_ns, 5000000000));
    cr_assert(eq(u64, sky_plan_limits(p)->memory_bytes, UINT64_C(1) << 30));
    cr_assert(eq(u32, sky_plan_limits(p)->attempts, 5));
    cr_assert(eq(u32, sky_plan_repeats(p), 3));
    cr_assert(eq(u32, sky_plan_resources(p)->cpus, 4));
    cr_assert(eq(str, STR(sky_plan_name(p)), "other"));
    const sky_expression *where;
    cr_assert(eq(sz, sky_plan_where(p, &where), 1));
    sky_plan_free(p);
}

Test(override, reaches_axes_named_like_settings)
{
    const char *const set[] = {"space.seed=[1, 2]", NULL};
    sky_plan *p = plan_with("name: t\njob: command\nspace: {seed: 5}\n", set);
    cr_assert(eq(str, STR(all_values(p)), "1, 2"));
    cr_assert(eq(u64, sky_plan_seed(p), 0));
    sky_plan_free(p);
    const char *const top[] = {"seed=9", NULL};
    p = plan_with("name: t\njob: command\nspace: {seed: 5}\n", top);
    cr_assert(eq(u64, sky_plan_seed(p), 9));
    sky_plan_free(p);
}

Test(override, the_name_option_wins)
{
    const sky_plan_options options = {.name = "mine", .jobs = fixture_jobs};
    sky_plan *p = NULL;
    cr_assert(eq(int, sky_plan_parse(&p, yaml, strlen(yaml), "t.yaml", &options, NULL), SKY_OK));
    cr_assert(eq(str, STR(sky_plan_name(p)), "mine"));
    sky_plan_free(p);
    const sky_plan_options bad = {.name = "sky_x", .jobs = fixture_jobs};
    sky_error e = {0};
    cr_assert(eq(int, sky_plan_parse(&p, yaml, strlen(yaml), "t.yaml", &bad, &e), SKY_EFORMAT));
    cr_assert(strstr(e.text, "--name: found 'sky_x'") != NULL, "%s", e.text);
}

Test(override, refuses)
{
    FAILS("--set a: found no key and value", "a");
    FAILS("found no key and value", "=5");
    FAILS("found no value", "a=");
    FAILS("--set a=[1, b:2:1: not valid YAML", "a=[1, b");
    FAILS("--set limit.timeout=5s: unknown key 'limit', did you mean 'limits'?",
          "limit.timeout=5s");
    FAILS("did you mean 'timeout'?", "limits.timout=5s");
    FAILS("found an empty key", "limits.=5s");
    FAILS("--set c=[1, 2]:1:1: 'c' has 2 values, but 'b', paired with it, has 3", "c=[1, 2]",
          "b=[1, 2, 3]");
    FAILS("'where' is a list in the file", "where=[a]", "where.x=5");
    FAILS("is no axis; allowed is space.zip", "zip=5");
    FAILS("--set a=[1, 1]:1:5: value 2 of 'a', 1, is value 1 again", "a=[1, 1]");
    const char *const set[] = {"a=5", NULL};
    refuses_with("name: t\njob: command\nspace: [{a: 1}, {a: 2}]\n", set,
                 (const char *const[]){"the space is a list of points", NULL});
    refuses_with("name: t\njob: model\nspace: {network: a, depth: 1}\n",
                 (const char *const[]){"arrya=5", NULL},
                 (const char *const[]){"--set arrya=5:1:1:", "did you mean 'array'?", NULL});
}

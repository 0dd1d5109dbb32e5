#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "tests/sweeps/sweeps_fixture.h"

static const char base[] = "name: t\njob: model\nspace: {network: [a, b], depth: [1, 2, 3], "
                           "width: {from: 0, to: 1, step: 0.25}}\n";

static void differs(const char *was, const char *now, const char *expected)
{
    sky_plan *p = plan_of(was), *q = plan_of(now);
    sky_plan *stored = reloaded(p); /* as the store has it */
    sky_buf b = {0};
    bool any = sky_plan_diff(stored, q, &b);
    cr_assert(eq(str, STR(sky_buf_str(&b)), STR(expected)), "%s", now);
    cr_assert(eq(int, any, expected[0] != '\0'));
    cr_assert(eq(int, any, strcmp(sky_plan_identity(stored), sky_plan_identity(q)) != 0));
    sky_buf_free(&b);
    sky_plan_free(p);
    sky_plan_free(q);
    sky_plan_free(stored);
}

static void changes(const char *space, const char *rest, const char *expected)
{
    char now[600];
    snprintf(now, sizeof now, "name: t\njob: model\nspace: %s\n%s\n", space, rest);
    differs(base, now, expected);
}

#define SAME "{network: [a, b], depth: [1, 2, 3], width: {from: 0, to: 1, step: 0.25}}"

Test(plandiff, what_may_change_is_no_difference)
{
    changes(SAME, "", "");
    changes(SAME,
            "limits: {timeout: 5s}\nobjectives: [time_s]\nconstraints: [time_s < 1]\n"
            "derived: {x: time_s}\nrepeats: 7\npriority: 2\nresources: {cpus: 4}\n"
            "description: x\ntags: [y]",
            "");
    changes("{network: [a, b], depth: {from: 1, to: 3}, width: {from: 0, to: 1, step: 0.25}}", "",
            "space.depth: 1 to 3 in 3 values, was 3 values\n");
}

Test(plandiff, says_what_changed)
{
    changes("{network: [a, b], depth: [1, 2, 3, 4], width: {from: 0, to: 1, step: 0.25}}", "",
            "space.depth: 4 values, was 3 values\n");
    changes("{network: [a, c], depth: [1, 2, 3], width: {from: 0, to: 1, step: 0.25}}", "",
            "space.network: value 2 is c, was b\n");
    changes("{network: [a, b], depth: [1, 2, 3], width: {from: 0, to: 1, step: 0.5}}", "",
            "space.width: 0 to 1 in 3 values, was 0 to 1 in 5 values\n");
    changes("{network: [a, b], depth: [1, 2, 3]}", "",
            "space.width: 1 (the default), was 0 to 1 in 5 values\n"
            "space, order of axes: network depth, was network depth width\n");
    changes("{network: [a, b], width: {from: 0, to: 1, step: 0.25}, depth: [1, 2, 3]}", "",
            "space, order of axes: network width depth, was network depth width\n");
    changes("{network: [a, b], depth: {values: [1, 2, 3], when: \"network = 'a'\"}, "
            "width: {from: 0, to: 1, step: 0.25}}",
            "", "space.depth.when: network = 'a', was nothing\n");
    changes(SAME, "seed: 5", "seed: 5, was 0\n");
    changes(SAME, "where: [depth > 1]", "where: depth > 1, was nothing\n");
    changes(SAME, "search: {random: {points: 5}}",
            "search: {\"random\":{\"points\":5}}, was {\"grid\":{\"order\":\"sequential\"}}\n");
}

Test(plandiff, open_jobs_are_bound_to_command_and_columns)
{
    differs("name: t\njob: command\ncommand: run {a}\nspace: {a: [1]}\nmetrics: [x]\n",
            "name: t\njob: command\ncommand: run {a} -v\nspace: {a: [1.5]}\nmetrics: [x, y]\n",
            "command: run {a} -v, was run {a}\nmetrics: x real, y real, was x real\n"
            "space.a: 1.5, was 1\n");
    differs("name: t\njob: command\nspace: {a: [1]}\n", base,
            "job: model, was command\njob version: 3, was 1\n"
            "space.network: 2 values, was nothing\nspace.array: 128 (the default), was nothing\n"
            "space.mode: split (the default), was nothing\n"
            "space.width: 0 to 1 in 5 values, was nothing\n"
            "space.fast: false (the default), was nothing\nspace.depth: 3 values, was nothing\n"
            "space.a: nothing, was 1\nspace, order of axes: network depth width, was a\n");
}

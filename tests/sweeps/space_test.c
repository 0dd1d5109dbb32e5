#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/sweeps/sweeps_fixture.h"

static sky_type type_of(const char *axis)
{
    char space[200];
    snprintf(space, sizeof space, "{x: %s}", axis);
    sky_plan *p = plan_of_space(space, "");
    sky_type type = sky_plan_job(p)->params[0].type;
    sky_plan_free(p);
    return type;
}

Test(space, types_of_open_jobs_follow_the_values)
{
    cr_assert(eq(int, type_of("[1, 2]"), SKY_INT));
    cr_assert(eq(int, type_of("[1, 2.5]"), SKY_REAL));
    cr_assert(eq(int, type_of("[1e3]"), SKY_REAL));
    cr_assert(eq(int, type_of("[.inf, 1]"), SKY_REAL));
    cr_assert(eq(int, type_of("[true, false]"), SKY_BOOL));
    cr_assert(eq(int, type_of("[yes, no]"), SKY_TEXT)); /* words, not the booleans of YAML 1.1 */
    cr_assert(eq(int, type_of("[1, auto]"), SKY_TEXT));
    cr_assert(eq(int, type_of("['1', '2']"), SKY_TEXT));
    cr_assert(eq(int, type_of("7"), SKY_INT));
    cr_assert(eq(int, type_of("{values: [1.5]}"), SKY_REAL));
    cr_assert(eq(int, type_of("{from: 1, to: 3}"), SKY_INT));
    cr_assert(eq(int, type_of("{from: 1, to: 3, step: 0.5}"), SKY_REAL));
}

Test(space, types_can_be_given)
{
    sky_plan *p = plan_of_space("{x: [1, 2], s: [1, 2]}", "types: {x: real, s: text}");
    cr_assert(eq(int, sky_plan_job(p)->params[0].type, SKY_REAL));
    cr_assert(eq(int, sky_plan_job(p)->params[1].type, SKY_TEXT));
    sky_plan_free(p);
    REFUSES("name: t\njob: command\nspace: {x: [1]}\ntypes: {y: real}\n",
            "t.yaml:4:9:", "'y' is no parameter");
    REFUSES("name: t\njob: command\nspace: {x: [1]}\ntypes: {x: float}\n",
            "t.yaml:4:12:", "allowed are int, real, text and bool");
    REFUSES("name: t\njob: command\nspace: {x: [a]}\ntypes: {x: int}\n",
            "t.yaml:3:13:", "found 'a'; allowed are whole numbers");
    REFUSES("name: t\njob: model\nspace: {network: a, depth: 1}\ntypes: {depth: int}\n",
            "t.yaml:4:1:", "declares its own");
}

Test(space, values_are_read_as_the_job_declares_them)
{
    sky_plan *p = plan_of("name: t\njob: model\nspace:\n  network: [no, 3]\n  depth: [1e3, 2.0]\n"
                          "  fast: yes\n  width: 0.5\n");
    cr_assert(eq(str, STR(values_of(p, 0)), "no 128 split 0.5 true 1000"));
    cr_assert(eq(str, STR(values_of(p, 3)), "3 128 split 0.5 true 2"));
    sky_plan_free(p);
}

Test(space, infinities_are_numbers)
{
    sky_plan *p = plan_of_space("{x: [-.inf, 0.5, inf]}", "");
    sky_plan *q = reloaded(p);
    sky_value v;
    sky_plan_decode(q, 2, &v);
    cr_assert(isinf(v.f) && v.f > 0);
    sky_plan_decode(q, 0, &v);
    cr_assert(isinf(v.f) && v.f < 0);
    sky_plan_free(p);
    sky_plan_free(q);
}

Test(space, may_be_left_out)
{
    sky_plan *p = plan_of("name: t\njob: command\ncommand: date\nrepeats: 5\n");
    cr_assert(eq(u64, sky_plan_points(p), 1));
    cr_assert(eq(u64, sky_plan_positions(p), 5));
    cr_assert(eq(sz, sky_plan_job(p)->n_params, 0));
    sky_value none[1];
    sky_plan_decode(p, 3, none);
    sky_plan_free(reloaded(p));
    sky_plan_free(p);
}

static const struct {
    const char *space; /* from line 3 on; job model */
    const char *place, *text;
} refused[] = {
    {"space: {network: [], depth: 1}", "t.yaml:3:18:", "found an empty list"},
    {"space: {network: [a, b, a], depth: 1}",
     "t.yaml:3:25:", "value 3 of 'network', a, is value 1 again"},
    {"space: {network: a, depth: [1, 1.0]}", "t.yaml:3:32:", "is value 1 again"},
    {"space: {network: a, depth: 1, width: [0, -0.0]}", "t.yaml:3:42:", "again"},
    {"space: {network: a}", "t.yaml:3:8:", "found no 'depth'"},
    {"space: {netwrok: a, depth: 1}", "t.yaml:3:9:", "did you mean 'network'?"},
    {"space: {network: a, depth: 1, color: red}",
     "t.yaml:3:31:", "allowed are network, array, mode, width, fast, depth"},
    {"space: {network: a, depth: 1, mode: [split, flexa]}",
     "t.yaml:3:45:", "did you mean 'flexsa'?"},
    {"space: {network: a, depth: 1, mode: zzz}", "t.yaml:3:37:", "one of one_large, split, flexsa"},
    {"space: {network: a, depth: 1, array: 0}", "t.yaml:3:38:", "from 1 to 1024, found 0"},
    {"space: {network: a, depth: 1, array: [1, 1025]}", "t.yaml:3:42:", "found 1025"},
    {"space: {network: a, depth: 1.5}", "t.yaml:3:28:", "allowed are whole numbers"},
    {"space: {network: a, depth: '5'}", "t.yaml:3:28:", "found the text '5'"},
    {"space: {network: a, depth: 1, fast: 2}", "t.yaml:3:37:", "true and false"},
    {"space: {network: a, depth: 1, width: nan}", "t.yaml:3:38:", "allowed are numbers"},
    {"space: {network: a, depth: }", "t.yaml:3:28:", "found nothing"},
    {"space: {network: ~, depth: 1}", "t.yaml:3:18:", "found '~'"},
    {"space: {network: a, depth: [[1]]}", "t.yaml:3:29:", "found a list"},
    {"space: {network: a, depth: {values: {from: 1, to: 2}}}", "t.yaml:3:37:", "found a map"},
    {"space: {network: a, depth: {values: [1], step: 2}}", "t.yaml:3:42:", "unknown key 'step'"},
    {"space: 5", "t.yaml:3:8:", "allowed are a map of axes and a list of points"},
    {"space: {}", "t.yaml:3:8:", "found an empty map"},
    {"space: {zip: 5}", "t.yaml:3:14:", "found '5'"},
    {"space: {zip: []}", "t.yaml:3:14:", "found an empty list"},
    {"space: {zip: [{}]}", "t.yaml:3:15:", "found no axes"},
    {"space: {zip: [{network: [a, b], depth: [1, 2, 3]}]}",
     "t.yaml:3:40:", "'depth' has 3 values, but 'network', paired with it, has 2"},
    {"space: {zip: [{network: [a, b, a], depth: [1, 2, 1]}]}",
     "t.yaml:3:32:", "(network: a, depth: 1), is value 1 again"},
    {"space: {network: a, zip: [{network: [a, b], depth: [1, 2]}]}",
     "t.yaml:3:28:", "'network' is given twice"},
    {"space: {zip: [{network: [a, b], width: {from: 0.0, to: 1.0}}], depth: 1}",
     "t.yaml:3:40:", "a zip allows listed values"},
    {"space: {network: a, network: b, depth: 1}", "t.yaml:3:21:", "given twice, first in line 3"},
};

Test(space, refuses_with_the_place)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char yaml[600];
        snprintf(yaml, sizeof yaml, "name: t\njob: model\n%s\n", refused[i].space);
        REFUSES(yaml, refused[i].place, refused[i].text);
    }
}

Test(space, refuses_names_that_are_no_columns)
{
    static const struct {
        const char *rest, *text;
    } cases[] = {
        {"space: {a b: 1}", "found the parameter name 'a b'"},
        {"space: {1a: 1}", "not beginning with a digit"},
        {"space: {sky_x: 1}", "begins with sky_"},
        {"space: {SKY_x: 1}", "begins with sky_"},
        {"space: {rowid: 1}", "reserved name"},
        {"space: {Trial: 1}", "reserved name"},
        {"space: {a: 1, A: 1}", "the same name but for case"},
        {"space: {a: 1}\nmetrics: [A]", "the metric 'A' and the parameter 'a'"},
        {"space: {a: 1}\nmetrics: [b]\nderived: {B: a}",
         "the derived metric 'B' and the metric 'b'"},
        {"space: {a: 1}\nderived: {\"x y\": a}", "is no name"},
        {"space: {a: 1}\nmetrics: [x, x]", "the same name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char yaml[300];
        snprintf(yaml, sizeof yaml, "name: t\njob: command\n%s\n", cases[i].rest);
        REFUSES(yaml, "t.yaml:", cases[i].text);
    }
}

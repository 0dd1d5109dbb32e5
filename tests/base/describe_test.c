#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <string.h>

#include "base/describe.h"
#include "tests/base/str.h"

static void refuses(const sky_param *p, sky_value v, const char *text)
{
    sky_error e = {0};
    cr_assert(eq(int, sky_param_check(p, &v, &e), SKY_EINVAL));
    cr_assert(eq(str, e.text, STR(text)));
    cr_assert(eq(int, sky_param_check(p, &v, NULL), SKY_EINVAL), "e may be NULL");
}

static void accepts(const sky_param *p, sky_value v)
{
    sky_error e = {0};
    cr_assert(eq(int, sky_param_check(p, &v, &e), SKY_OK), "%s", e.text);
}

Test(describe, numbers)
{
    sky_param array = {.name = "array", .type = SKY_INT, .min = 1, .max = 256};
    accepts(&array, sky_int(1));
    accepts(&array, sky_int(256));
    accepts(&array, sky_absent(SKY_INT));
    refuses(&array, sky_int(0),
            "parameter 'array': expected a whole number from 1 to 256, found 0");
    refuses(&array, sky_int(257),
            "parameter 'array': expected a whole number from 1 to 256, found 257");
    refuses(&array, sky_real(3), "parameter 'array': expected a whole number, found 3");
    sky_param rate = {.name = "rate", .type = SKY_REAL};
    accepts(&rate, sky_real(-1e300));
    accepts(&rate, sky_real(INFINITY));
    refuses(&rate, sky_real(NAN), "parameter 'rate': expected a number, found \"nan\"");
    refuses(&rate, sky_text("x"), "parameter 'rate': expected a number, found \"x\"");
}

Test(describe, texts_and_truth)
{
    static const char *const choices[] = {"one_large", "split", NULL};
    sky_param mode = {.name = "mode", .type = SKY_TEXT, .choices = choices};
    accepts(&mode, sky_text("split"));
    refuses(&mode, sky_text("Split"),
            "parameter 'mode': expected one of one_large, split, found \"Split\"");
    mode.choices = NULL;
    accepts(&mode, sky_text("anything"));
    refuses(&mode, sky_int(1), "parameter 'mode': expected a text, found 1");
    sky_param fast = {.name = "fast", .type = SKY_BOOL};
    accepts(&fast, sky_bool(true));
    refuses(&fast, (sky_value){.type = SKY_BOOL, .i = 2},
            "parameter 'fast': expected true or false, found true");
}

Test(describe, a_long_value_is_cut)
{
    char text[5001];
    memset(text, 'x', 5000);
    text[5000] = 0;
    sky_param p = {.name = "p", .type = SKY_INT};
    sky_value v = sky_text(text);
    sky_error e = {0};
    cr_assert(eq(int, sky_param_check(&p, &v, &e), SKY_EINVAL));
    cr_assert(lt(sz, strlen(e.text), 200));
}

Test(describe, names)
{
    cr_assert(eq(str, STR(sky_goal_name(SKY_NO_GOAL)), ""));
    cr_assert(eq(str, STR(sky_goal_name(SKY_MIN)), "min"));
    cr_assert(eq(str, STR(sky_goal_name(SKY_MAX)), "max"));
    cr_assert(eq(str, STR(sky_metric_class_name(SKY_EXACT)), "exact"));
    cr_assert(eq(str, STR(sky_metric_class_name(SKY_TOLERANCE)), "tolerance"));
    cr_assert(eq(str, STR(sky_metric_class_name(SKY_MEASURED)), "measured"));
}

#include "base/describe.h"

#include <assert.h>
#include <math.h>
#include <string.h>

const char *sky_goal_name(sky_goal goal)
{
    static const char *const names[] = {[SKY_NO_GOAL] = "", [SKY_MIN] = "min", [SKY_MAX] = "max"};
    assert(goal >= SKY_NO_GOAL && goal <= SKY_MAX);
    return names[goal];
}

const char *sky_metric_class_name(sky_metric_class c)
{
    static const char *const names[] = {
        [SKY_EXACT] = "exact", [SKY_TOLERANCE] = "tolerance", [SKY_MEASURED] = "measured"};
    assert(c >= SKY_EXACT && c <= SKY_MEASURED);
    return names[c];
}

static sky_err fail_value(sky_error *e, const sky_param *p, const sky_value *v, const char *allowed)
{
    sky_buf found = {0};
    sky_value_json(&found, v);
    sky_err err = sky_fail(e, SKY_EINVAL, "parameter '%s': expected %s, found %.100s%s", p->name,
                           allowed, sky_buf_str(&found), found.len > 100 ? "…" : "");
    sky_buf_free(&found);
    return err;
}

static sky_err check_choice(const sky_param *p, const sky_value *v, sky_error *e)
{
    sky_buf allowed = {0};
    for (const char *const *choice = p->choices; *choice; choice++) {
        if (strcmp(*choice, v->s) == 0) {
            sky_buf_free(&allowed);
            return SKY_OK;
        }
        sky_buf_printf(&allowed, "%s%s", choice == p->choices ? "one of " : ", ", *choice);
    }
    sky_err err = fail_value(e, p, v, sky_buf_str(&allowed));
    sky_buf_free(&allowed);
    return err;
}

static sky_err check_range(const sky_param *p, const sky_value *v, sky_error *e)
{
    double x = sky_value_f64(v);
    if (isnan(x))
        return fail_value(e, p, v, "a number");
    if ((p->min == 0 && p->max == 0) || (x >= p->min && x <= p->max))
        return SKY_OK;
    sky_buf allowed = {0};
    sky_buf_printf(&allowed, "%s from ", v->type == SKY_INT ? "a whole number" : "a number");
    sky_buf_f64(&allowed, p->min);
    sky_buf_puts(&allowed, " to ");
    sky_buf_f64(&allowed, p->max);
    sky_err err = fail_value(e, p, v, sky_buf_str(&allowed));
    sky_buf_free(&allowed);
    return err;
}

sky_err sky_param_check(const sky_param *p, const sky_value *v, sky_error *e)
{
    static const char *const kinds[] = {[SKY_INT] = "a whole number",
                                        [SKY_REAL] = "a number",
                                        [SKY_TEXT] = "a text",
                                        [SKY_BOOL] = "true or false"};
    if (v->type != p->type)
        return fail_value(e, p, v, kinds[p->type]);
    if (v->absent) /* its condition is false; whether it may be is the plan's to say */
        return SKY_OK;
    if (p->type == SKY_TEXT)
        return p->choices ? check_choice(p, v, e) : SKY_OK;
    if (p->type == SKY_BOOL)
        return v->i == 0 || v->i == 1 ? SKY_OK : fail_value(e, p, v, kinds[SKY_BOOL]);
    return check_range(p, v, e);
}

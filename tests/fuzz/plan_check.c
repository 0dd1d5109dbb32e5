#include "tests/fuzz/plan_check.h"

#include <stdlib.h>
#include <string.h>

void require(int holds)
{
    if (!holds)
        abort();
}

static bool is_allowed(const sky_plan *p, size_t i, const sky_value *v)
{
    sky_error e = {0};
    if (v->absent)
        return sky_plan_has_absent(p, i);
    if (sky_value_equal(v, &sky_plan_job(p)->params[i].def))
        return true; /* a default is the job's own affair */
    return sky_param_check(&sky_plan_job(p)->params[i], v, &e) == SKY_OK;
}

static void check_trial(const sky_plan *p, const sky_plan *again, uint64_t position)
{
    sky_value a[SKY_PARAMS_MAX], b[SKY_PARAMS_MAX];
    uint64_t trial = sky_plan_trial(p, position);
    require(trial < sky_plan_positions(p));
    require(sky_plan_position(p, trial) == position);
    require(sky_plan_trial(again, position) == trial);
    sky_plan_decode(p, trial, a);
    sky_plan_decode(again, trial, b);
    for (size_t i = 0; i < sky_plan_job(p)->n_params; i++) {
        require(sky_value_equal(&a[i], &b[i]));
        require(is_allowed(p, i, &a[i]));
    }
}

static void check_filter(const sky_plan *p)
{
    sky_filter *f = NULL;
    sky_error e = {0};
    require(sky_filter_new(&f, p, &e) == SKY_OK);
    sky_filter_free(f);
}

void check_plan(const sky_plan *p)
{
    const char *text = sky_plan_text(p);
    sky_plan *again = NULL;
    sky_error e = {0};
    require(sky_plan_load(&again, text, strlen(text), &e) == SKY_OK);
    require(strcmp(sky_plan_text(again), text) == 0);
    require(strcmp(sky_plan_identity(again), sky_plan_identity(p)) == 0);
    uint64_t n = sky_plan_positions(p);
    require(n > 0 && sky_plan_points(p) > 0);
    for (uint64_t k = 0; k < 20; k++) {
        check_trial(p, again, k < n ? k : n - 1);
        check_trial(p, again, n > k ? n - 1 - k : 0);
        check_trial(p, again, (k * 0x9e3779b97f4a7c15u) % n);
    }
    check_filter(p);
    sky_buf lines = {0};
    require(!sky_plan_diff(p, again, &lines));
    sky_buf_free(&lines);
    sky_plan_free(again);
}

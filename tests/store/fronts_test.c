/* Columns and fronts, at once and while a sweep is written. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"
#include "store/columns.h"
#include "store/export.h"

static sky_error e;
#define OK(call) cr_assert_eq((call), SKY_OK, "%s", e.text)

static sky_store *w, *r;
static int64_t id;

static void open_both(const sky_sweep_spec *spec)
{
    const sky_store_options wo = kit_writer(kit_path("c.db"));
    const sky_store_options ro = {.path = kit_path("c.db")};
    OK(sky_store_open(&w, &wo, &e));
    OK(sky_store_sweep_create(w, spec, &id, &e));
    OK(sky_store_commit(w, NULL, &e));
    OK(sky_store_open(&r, &ro, &e));
}

static void close_both(void)
{
    sky_store_close(r);
    sky_store_close(w);
}

TestSuite(fronts, .fini = close_both);

static void record(const uint64_t *trials, const double *x, const double *y, size_t n)
{
    uint8_t absent[64] = {0};
    double ys[64];
    for (size_t i = 0; i < n; i++) {
        absent[i] = isnan(y[i]);
        ys[i] = y[i];
    }
    double xs[64];
    memcpy(xs, x, n * sizeof *x);
    const sky_column px = {.type = SKY_REAL, .f = xs};
    const sky_column my = {.type = SKY_REAL, .f = ys, .absent = absent};
    const sky_record rec = {.sweep = id, .n = n, .trials = trials, .params = &px, .metrics = &my};
    OK(sky_store_record(w, &rec, NULL, NULL, &e));
    OK(sky_store_commit(w, NULL, &e));
}

Test(fronts, columns_follow_commits)
{
    const sky_expression derived[] = {{"twice", "y * 2"}};
    sky_sweep_spec spec = kit_spec("noop", &kit_noop, 100000);
    spec.derived = derived;
    spec.n_derived = 1;
    open_both(&spec);
    const char *names[] = {"y", "TWICE", "sky_feasible"}, *bad[] = {"why"};
    const sky_columns_options o = {.names = names, .n = 3}, wrong = {.names = bad, .n = 1};
    sky_columns *c;
    sky_columns_change change;
    cr_assert_eq(sky_columns_open(&c, r, "noop", &wrong, &e), SKY_EINVAL);
    OK(sky_columns_open(&c, r, "noop", &o, &e));
    OK(sky_columns_refresh(c, &change, &e));
    cr_assert(sky_columns_rows(c) == 0 && !change.reset);
    uint64_t seen[1000] = {0};
    for (uint64_t i = 0; i < 200; i++) { /* scattered batches of 5 */
        uint64_t trials[5];
        for (uint64_t k = 0; k < 5; k++)
            trials[k] = (i * 5 + k) * 617 % 1000;
        OK(kit_record_list(w, id, trials, 5, 0, NULL, NULL, &e));
        OK(sky_store_commit(w, NULL, &e));
        if (i % 7 == 0) {
            const size_t before = sky_columns_rows(c);
            OK(sky_columns_refresh(c, &change, &e));
            cr_assert_eq(change.first, before);
            cr_assert_eq(sky_columns_rows(c), (i + 1) * 5);
        }
    }
    OK(sky_columns_refresh(c, &change, &e));
    cr_assert_eq(sky_columns_rows(c), 1000);
    for (size_t i = 0; i < 1000; i++) {
        const uint64_t trial = sky_columns_trials(c)[i];
        seen[trial]++;
        cr_assert_eq(sky_columns_values(c, 0)[i], kit_value(trial));
        cr_assert_eq(sky_columns_values(c, 1)[i], kit_value(trial) * 2);
        cr_assert_eq(sky_columns_values(c, 2)[i], 1);
    }
    for (size_t i = 0; i < 1000; i++)
        cr_assert_eq(seen[i], 1);
    /* United records (a writer's start) are read again, but no row comes twice. */
    OK(kit_record(w, id, 1000, 1010, &e));
    OK(sky_store_commit(w, NULL, &e));
    sky_store_close(w);
    const sky_store_options wo = kit_writer(kit_path("c.db"));
    OK(sky_store_open(&w, &wo, &e));
    cr_assert_eq(kit_int(w, "SELECT count(*) FROM sky_commits"), 1);
    OK(sky_columns_refresh(c, &change, &e));
    cr_assert(change.first == 1000 && sky_columns_rows(c) == 1010 && !change.reset);
    /* New derived metrics: everything again. */
    const sky_expression other[] = {{"twice", "y * 3"}};
    spec.derived = other;
    OK(sky_store_sweep_update(w, id, &spec, &e));
    OK(sky_store_commit(w, NULL, &e));
    OK(sky_columns_refresh(c, &change, &e));
    cr_assert(change.first == 0 && change.reset && sky_columns_rows(c) == 1010);
    cr_assert_float_eq(sky_columns_values(c, 1)[1009], kit_value(1009) * 3, 1e-9);
    sky_columns_close(c);
}

/* A load in slices, with commits before and behind where it is: each row comes once. */
Test(fronts, columns_come_in_slices)
{
    enum { ROWS = 100000, STEP = 2000 };
    const sky_sweep_spec spec = kit_spec("noop", &kit_noop, ROWS);
    open_both(&spec);
    const char *names[] = {"y"};
    const sky_columns_options o = {.names = names, .n = 1};
    sky_columns *c;
    sky_columns_change change;
    size_t slices = 0, last = 0;
    uint8_t *seen = calloc(ROWS, 1);
    for (uint64_t i = 0; i < ROWS; i += 2 * STEP)
        OK(kit_record(w, id, i, i + STEP, &e));
    OK(sky_store_commit(w, NULL, &e));
    OK(sky_columns_open(&c, r, "noop", &o, &e));
    for (uint64_t i = STEP; i < ROWS; i += 2 * STEP) {
        OK(sky_columns_refresh_within(c, 1, &change, &e));
        cr_assert(change.first == last && !change.reset && sky_columns_rows(c) >= last);
        slices += change.more;
        last = sky_columns_rows(c);
        /* From both ends: some of it is behind the scan, some is not. */
        const uint64_t at = i / STEP % 4 == 1 ? i : ROWS - i;
        OK(kit_record(w, id, at, at + STEP, &e));
        OK(sky_store_commit(w, NULL, &e));
        cr_assert_eq(sky_columns_recorded(c), ROWS / 2 + (i - STEP) / 2);
    }
    cr_assert(slices >= 1, "%zu slices", slices);
    do
        OK(sky_columns_refresh_within(c, 1, &change, &e));
    while (change.more);
    OK(sky_columns_refresh(c, &change, &e));
    cr_assert(!change.more && sky_columns_rows(c) == ROWS && sky_columns_recorded(c) == ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        const uint64_t trial = sky_columns_trials(c)[i];
        cr_assert(trial < ROWS && !seen[trial]);
        seen[trial] = 1;
        cr_assert_eq(sky_columns_values(c, 0)[i], kit_value(trial));
    }
    free(seen);
    sky_columns_close(c);
}

Test(fronts, columns_stop_at_their_limit)
{
    const sky_sweep_spec spec = kit_spec("noop", &kit_noop, 1000);
    open_both(&spec);
    const char *names[] = {"y"};
    const sky_columns_options o = {.names = names, .n = 1, .rows_max = 25, .stop_at_max = true};
    sky_columns *c;
    sky_columns_change change;
    OK(kit_record(w, id, 0, 10, &e));
    OK(sky_store_commit(w, NULL, &e));
    OK(sky_columns_open(&c, r, "noop", &o, &e));
    for (uint64_t i = 10; i < 60; i += 10) {
        OK(kit_record(w, id, i, i + 10, &e));
        OK(sky_store_commit(w, NULL, &e));
        OK(sky_columns_refresh(c, &change, &e));
        cr_assert_eq(sky_columns_rows(c), i + 10 < 25 ? i + 10 : 25);
        cr_assert(sky_columns_full(c) == (i + 10 > 25) && !change.more);
    }
    sky_columns_close(c);
}

Test(fronts, the_writer_itself_sees_only_what_is_committed)
{
    const sky_sweep_spec spec = kit_spec("noop", &kit_noop, 1000);
    open_both(&spec);
    const char *names[] = {"y"};
    const sky_columns_options o = {.names = names, .n = 1, .rows_max = 12};
    sky_columns *c;
    OK(sky_columns_open(&c, w, "noop", &o, &e));
    OK(kit_record(w, id, 0, 10, &e));
    OK(sky_columns_refresh(c, NULL, &e));
    cr_assert_eq(sky_columns_rows(c), 0);
    OK(sky_store_commit(w, NULL, &e));
    OK(sky_columns_refresh(c, NULL, &e));
    cr_assert_eq(sky_columns_rows(c), 10);
    OK(kit_record(w, id, 10, 20, &e));
    OK(sky_store_commit(w, NULL, &e));
    cr_assert_eq(sky_columns_refresh(c, NULL, &e), SKY_ELIMIT);
    cr_assert_eq(sky_columns_rows(c), 10);
    sky_columns_close(c);
}

Test(fronts, by_trial_grows)
{
    const sky_objective objectives[] = {{"x", SKY_MAX}, {"y", SKY_MIN}};
    const sky_expression limit[] = {{"", "y < 100"}};
    sky_sweep_spec spec = kit_spec("noop", &kit_noop, 1000);
    spec.objectives = objectives;
    spec.n_objectives = 2;
    spec.constraints = limit;
    spec.n_constraints = 1;
    open_both(&spec);
    const double reference[] = {0, 10};
    const sky_fronts_options o = {.reference = reference};
    sky_fronts *f;
    sky_fronts_view v;
    bool changed;
    OK(sky_fronts_open(&f, r, "noop", &o, &e));
    OK(sky_fronts_refresh(f, &changed, &e));
    cr_assert(!changed && sky_fronts_size(f) == 0);
    record((uint64_t[]){0, 1, 2, 3, 4}, (double[]){1, 2, 3, 9, 1}, (double[]){1, 2, 5, 200, NAN},
           5);
    OK(sky_fronts_refresh(f, &changed, &e));
    OK(sky_fronts_view_get(f, &v, &e));
    cr_assert(changed && v.n == 3 && v.k == 2 && !v.by_point);
    cr_assert(v.considered == 3 && v.infeasible == 1 && v.without_value == 1);
    cr_assert(v.ids[0] == 2 && v.ids[1] == 1 && v.ids[2] == 0, "best x first");
    cr_assert(v.has_hypervolume && v.hypervolume == 1 * 9 + 1 * 8 + 1 * 5);
    record((uint64_t[]){5, 6}, (double[]){0.5, 3}, (double[]){2, 1.5}, 2);
    OK(sky_fronts_refresh(f, &changed, &e));
    OK(sky_fronts_view_get(f, &v, &e));
    cr_assert(changed && v.n == 2 && v.ids[0] == 6 && v.ids[1] == 0);
    OK(sky_fronts_refresh(f, &changed, &e));
    cr_assert(!changed);
    sky_fronts_close(f);
    const sky_fronts_options all = {.infeasible = true};
    OK(sky_fronts_open(&f, r, "noop", &all, &e));
    OK(sky_fronts_refresh(f, &changed, &e));
    OK(sky_fronts_view_get(f, &v, &e));
    cr_assert(v.infeasible == 0 && v.ids[0] == 3);
    sky_fronts_close(f);
}

static char text[4096];
static size_t text_len;

static sky_err append(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    memcpy(text + text_len, bytes, len);
    text_len += len;
    text[text_len] = 0;
    return SKY_OK;
}

Test(fronts, over_point_means_with_repeats)
{
    const sky_objective objectives[] = {{"x", SKY_MAX}, {"y", SKY_NO_GOAL}};
    sky_sweep_spec spec = kit_spec("noop", &kit_noop, 4);
    spec.positions = 12;
    open_both(&spec);
    const sky_fronts_options o = {.objectives = objectives, .n_objectives = 2};
    sky_fronts *f;
    sky_fronts_view v;
    bool changed;
    OK(sky_fronts_open(&f, r, "noop", &o, &e));
    /* point 0: y 1, 3, 2; point 1: y 5, -, -; point 2: none; point 3: one repeat without a value */
    record((uint64_t[]){8, 0, 4, 1, 3, 7}, (double[]){1, 1, 1, 2, 0.5, 0.5},
           (double[]){2, 1, 3, 5, NAN, 9}, 6);
    OK(sky_fronts_refresh(f, &changed, &e));
    OK(sky_fronts_view_get(f, &v, &e));
    cr_assert(changed && v.by_point && v.n == 2 && v.considered == 3);
    cr_assert(v.ids[0] == 1 && v.ids[1] == 0 && v.trials[0] == 1 && v.trials[1] == 0);
    cr_assert(v.values[1] == 5 && v.values[3] == 2 && v.repeats[0] == 1 && v.repeats[1] == 3);
    cr_assert(isnan(v.spread[1]) && v.spread[3] == 1 && v.spread[2] == 0);
    record((uint64_t[]){2, 6}, (double[]){3, 3}, (double[]){0, 1}, 2);
    OK(sky_fronts_refresh(f, &changed, &e));
    OK(sky_fronts_view_get(f, &v, &e));
    cr_assert(changed && v.n == 1 && v.ids[0] == 2 && v.values[1] == 0.5);
    const sky_export_options eo = {.format = SKY_FORMAT_CSV, .write = append};
    OK(sky_export_front(f, &eo, NULL, &e));
    cr_assert_str_eq(text, "point,repeats,x,y,y_sd\n2,2,3,0.5,0.7071067811865476\n");
    sky_fronts_close(f);
    const sky_fronts_options by_trial = {
        .objectives = objectives, .n_objectives = 2, .by_trial = true};
    OK(sky_fronts_open(&f, r, "noop", &by_trial, &e));
    OK(sky_fronts_refresh(f, &changed, &e));
    OK(sky_fronts_view_get(f, &v, &e));
    cr_assert(!v.by_point && v.n == 1 && v.ids[0] == 2 && v.considered == 7 &&
              v.without_value == 1);
    text_len = 0;
    OK(sky_export_front(f, &eo, NULL, &e));
    cr_assert_str_eq(text, "trial,x,y\n2,3,0\n");
    sky_fronts_close(f);
}

Test(fronts, mistakes)
{
    const sky_sweep_spec spec = kit_spec("noop", &kit_noop, 4);
    open_both(&spec);
    const sky_objective no_goal[] = {{"x", SKY_NO_GOAL}}, unknown[] = {{"z", SKY_MIN}};
    const sky_objective twice[] = {{"y", SKY_MIN}, {"Y", SKY_MAX}};
    const double infinite[] = {INFINITY};
    sky_fronts *f = NULL;
    cr_assert_eq(sky_fronts_open(&f, r, "noop", &(sky_fronts_options){0}, &e), SKY_EINVAL);
    cr_assert(strstr(e.text, "no objectives"), "%s", e.text);
    cr_assert_eq(sky_fronts_open(&f, r, "nop", &(sky_fronts_options){0}, &e), SKY_ENOTFOUND);
    cr_assert_eq(sky_fronts_open(&f, r, "noop",
                                 &(sky_fronts_options){.objectives = no_goal, .n_objectives = 1},
                                 &e),
                 SKY_EINVAL);
    cr_assert(strstr(e.text, "x:min"), "%s", e.text);
    cr_assert_eq(sky_fronts_open(&f, r, "noop",
                                 &(sky_fronts_options){.objectives = unknown, .n_objectives = 1},
                                 &e),
                 SKY_EINVAL);
    cr_assert_eq(sky_fronts_open(&f, r, "noop",
                                 &(sky_fronts_options){.objectives = twice, .n_objectives = 2}, &e),
                 SKY_EINVAL);
    cr_assert_eq(sky_fronts_open(&f, r, "noop",
                                 &(sky_fronts_options){
                                     .objectives = twice, .n_objectives = 1, .reference = infinite},
                                 &e),
                 SKY_EINVAL);
    cr_assert_null(f);
}

#include <criterion/criterion.h>
#include <math.h>
#include <sqlite3.h>
#include <string.h>

#include "kit.h"

static sky_error e;
#define OK(call) cr_assert_eq((call), SKY_OK, "%s", e.text)

static sky_store *open_new(int64_t *sweep, uint64_t points)
{
    sky_store *s = NULL;
    const sky_store_options o = kit_writer(kit_path("r.db"));
    OK(sky_store_open(&s, &o, &e));
    const sky_sweep_spec spec = kit_spec("noop", &kit_noop, points);
    OK(sky_store_sweep_create(s, &spec, sweep, &e));
    OK(sky_store_commit(s, NULL, &e));
    return s;
}

Test(record, rows_come_back)
{
    int64_t id;
    sky_store *s = open_new(&id, 1000);
    uint64_t seq = 0;
    OK(kit_record(s, id, 0, 100, &e));
    cr_assert(sky_store_dirty(s));
    OK(sky_store_commit(s, &seq, &e));
    cr_assert(!sky_store_dirty(s));
    cr_assert_eq(seq, 1);
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM noop WHERE x = y AND y = trial * 0.001"), 100);
    sky_sweep_info i;
    OK(sky_store_sweep_find(s, "noop", &i, &e));
    cr_assert_eq(i.recorded, 100);
    cr_assert_eq(i.busy_s, 50);
    cr_assert_eq(i.points, 1000);
    cr_assert_eq(i.state, SKY_SWEEP_RUNNING);
    sky_sweep_info_free(&i);
    sky_store_close(s);
}

Test(record, a_copy_is_counted_not_stored)
{
    int64_t id;
    sky_store *s = open_new(&id, 1000);
    uint64_t copies = 9, different = 9;
    OK(kit_record(s, id, 0, 10, &e));
    OK(sky_store_commit(s, NULL, &e));
    const uint64_t again[] = {8, 9, 10, 11, 11, 3};
    OK(kit_record_list(s, id, again, 6, 0, &copies, &different, &e));
    cr_assert_eq(copies, 4); /* 8, 9, the second 11, 3 */
    cr_assert_eq(different, 0);
    const uint64_t wrong[] = {2, 12};
    OK(kit_record_list(s, id, wrong, 2, 1.0, &copies, &different, &e));
    cr_assert_eq(copies, 1);
    cr_assert_eq(different, 1);
    OK(sky_store_commit(s, NULL, &e));
    sky_sweep_info i;
    OK(sky_store_sweep_find(s, "noop", &i, &e));
    cr_assert_eq(i.recorded, 13);
    cr_assert_eq(i.busy_s, 6.5);
    sky_sweep_info_free(&i);
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM noop"), 13);
    cr_assert_eq(kit_int(s, "SELECT y = 0.002 FROM noop WHERE trial = 2"), 1);
    sky_store_close(s);
}

Test(record, every_type_and_absent_values)
{
    sky_store *s = NULL;
    const sky_store_options o = kit_writer(kit_path("m.db"));
    OK(sky_store_open(&s, &o, &e));
    const sky_sweep_spec spec = kit_spec("mixed", &kit_mixed, 3);
    int64_t id;
    OK(sky_store_sweep_create(s, &spec, &id, &e));
    uint64_t trials[] = {0, 1, 2}, copies, different;
    int64_t n[] = {1, INT64_MIN, INT64_MAX}, fused[] = {0, 1, 1}, cycles[] = {5, 6, 7};
    double rate[] = {0.1, -0.0, 5e-324}, energy[] = {INFINITY, -INFINITY, 1e308},
           loss[] = {1, 2, 3};
    double took[] = {1, 2, NAN};
    const char *mode[] = {"a", "é'\"", ""}, *note[] = {"x", NULL, "line\nbreak"};
    uint8_t none[] = {0, 1, 0};
    const sky_column params[] = {{.type = SKY_INT, .i = n},
                                 {.type = SKY_REAL, .f = rate},
                                 {.type = SKY_TEXT, .s = mode},
                                 {.type = SKY_BOOL, .i = fused}};
    sky_column metrics[] = {{.type = SKY_INT, .i = cycles, .absent = none},
                            {.type = SKY_REAL, .f = energy},
                            {.type = SKY_REAL, .f = loss},
                            {.type = SKY_REAL, .f = took},
                            {.type = SKY_TEXT, .s = note, .absent = none}};
    sky_record r = {.sweep = id, .n = 3, .trials = trials, .params = params, .metrics = metrics};
    OK(sky_store_record(s, &r, &copies, &different, &e));
    cr_assert_eq(copies, 0);
    OK(sky_store_record(s, &r, &copies, &different, &e));
    cr_assert_eq(copies, 3);
    cr_assert_eq(different, 0, "what was stored equals what was given, -0.0 and NULL too");
    loss[0] = took[0] = 99; /* not exact: may differ */
    OK(sky_store_record(s, &r, &copies, &different, &e));
    cr_assert_eq(different, 0);
    cycles[0] = 4;
    note[2] = "other";
    OK(sky_store_record(s, &r, &copies, &different, &e));
    cr_assert_eq(different, 2);
    OK(sky_store_commit(s, NULL, &e));
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM mixed WHERE n IN (1, -9223372036854775808, "
                            "9223372036854775807) AND rate IN (0.1, 0.0, 5e-324)"),
                 3);
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM mixed WHERE note IS NULL AND cycles IS NULL"), 1);
    cr_assert_eq(kit_int(s, "SELECT took_s IS NULL FROM mixed WHERE trial = 2"), 1);
    metrics[0].type = SKY_REAL;
    cr_assert_eq(sky_store_record(s, &r, NULL, NULL, &e), SKY_EINVAL);
    cr_assert(strstr(e.text, "real") && strstr(e.text, "int"), "%s", e.text);
    sky_store_close(s);
}

Test(record, rollback_forgets_everything)
{
    int64_t id, other;
    sky_store *s = open_new(&id, 1000);
    OK(kit_record(s, id, 0, 10, &e));
    const sky_sweep_spec spec = kit_spec("second", &kit_noop, 5);
    OK(sky_store_sweep_create(s, &spec, &other, &e));
    OK(kit_record(s, other, 0, 5, &e));
    sky_store_rollback(s);
    cr_assert(!sky_store_dirty(s));
    OK(sky_store_commit(s, NULL, &e));
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM noop"), 0);
    sky_sweep_info i;
    cr_assert_eq(sky_store_sweep_find(s, "second", &i, &e), SKY_ENOTFOUND);
    cr_assert_eq(kit_record(s, other, 0, 5, &e), SKY_ENOTFOUND);
    OK(kit_record(s, id, 0, 10, &e));
    OK(sky_store_commit(s, NULL, &e));
    OK(sky_store_sweep_find(s, "noop", &i, &e));
    cr_assert_eq(i.recorded, 10);
    sky_sweep_info_free(&i);
    sky_store_close(s);
}

Test(record, settled_is_rows_and_holes)
{
    int64_t id;
    sky_store *s = open_new(&id, 100);
    /* positions 0..9 settle with the rows of other trials, and three holes */
    double x[7] = {0}, y[7] = {0};
    const uint64_t trials[7] = {90, 4, 17, 33, 8, 50, 71};
    sky_ranges positions = {0}, done = {0}, failed = {0};
    sky_ranges_add(&positions, 0, 10);
    const sky_column px = {.type = SKY_REAL, .f = x}, my = {.type = SKY_REAL, .f = y};
    const sky_record r = {.sweep = id,
                          .n = 7,
                          .trials = trials,
                          .params = &px,
                          .metrics = &my,
                          .positions = &positions,
                          .n_holes = 3};
    OK(sky_store_record(s, &r, NULL, NULL, &e));
    OK(sky_store_settled(s, id, &done, &failed, &e));
    cr_assert_eq(done.count, 10, "what is not committed yet counts for the writer");
    OK(sky_store_commit(s, NULL, &e));
    sky_ranges_clear(&positions);
    sky_ranges_add(&positions, 20, 25);
    const sky_record holes = {
        .sweep = id, .positions = &positions, .n_holes = 5}; /* no rows: no columns */
    OK(sky_store_record(s, &holes, NULL, NULL, &e));
    OK(sky_store_commit(s, NULL, &e));
    OK(sky_store_settled(s, id, &done, &failed, &e));
    cr_assert_eq(done.n, 2);
    cr_assert(done.r[0].begin == 0 && done.r[0].end == 10 && done.r[1].begin == 20 &&
              done.r[1].end == 25);
    cr_assert_eq(failed.count, 0);
    sky_sweep_info i;
    OK(sky_store_sweep_find(s, "NOOP", &i, &e));
    cr_assert_eq(i.recorded, 7);
    cr_assert_eq(i.holes, 8);
    sky_sweep_info_free(&i);
    sky_ranges_free(&positions);
    sky_ranges_free(&done);
    sky_ranges_free(&failed);
    sky_store_close(s);
}

Test(record, many_commits_become_few_records)
{
    int64_t id;
    sky_store *s = NULL;
    sky_store_options o = kit_writer(kit_path("many.db"));
    o.normal_sync = true; /* 3,000 commits would take a slow disk minutes */
    OK(sky_store_open(&s, &o, &e));
    const sky_sweep_spec spec = kit_spec("noop", &kit_noop, 100000);
    OK(sky_store_sweep_create(s, &spec, &id, &e));
    OK(sky_store_commit(s, NULL, &e));
    uint64_t seq = 0;
    sky_ranges done = {0}, failed = {0};
    for (uint64_t i = 0; i < 3000; i++) { /* every other trial, then those between */
        const uint64_t trial = i < 1500 ? i * 2 : (i - 1500) * 2 + 1;
        OK(kit_record(s, id, trial, trial + 1, &e));
        OK(sky_store_commit(s, &seq, &e));
        cr_assert_eq(seq, i + 1);
    }
    cr_assert_lt(kit_int(s, "SELECT count(*) FROM sky_commits"), 1100);
    cr_assert_eq(kit_int(s, "SELECT sum(merged) FROM sky_commits"), 3000);
    cr_assert_eq(kit_int(s, "SELECT max(seq) FROM sky_commits"), 3000);
    OK(sky_store_settled(s, id, &done, &failed, &e));
    cr_assert(done.n == 1 && done.r[0].begin == 0 && done.r[0].end == 3000);
    sky_store_close(s);
    OK(sky_store_open(&s, &o, &e));
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM sky_commits"), 1);
    cr_assert_eq(kit_int(s, "SELECT rows FROM sky_commits WHERE seq = 3000"), 3000);
    OK(kit_record(s, id, 3000, 3001, &e));
    OK(sky_store_commit(s, &seq, &e));
    cr_assert_eq(seq, 3001);
    sky_ranges_free(&done);
    sky_ranges_free(&failed);
    sky_store_close(s);
}

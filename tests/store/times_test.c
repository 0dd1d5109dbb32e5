#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>

#include "kit.h"
#include "store/columns.h"

static sky_error e;
#define OK(call) cr_assert_eq((call), SKY_OK, "%s", e.text)

static void commit_at(sky_store *s, int64_t sweep, const uint64_t *trials, size_t n, int64_t at_ms)
{
    char sql[128];
    uint64_t seq;
    OK(kit_record_list(s, sweep, trials, n, 0, NULL, NULL, &e));
    OK(sky_store_commit(s, &seq, &e));
    snprintf(sql, sizeof sql, "UPDATE sky_commits SET at_ms = %lld WHERE seq = %lld",
             (long long)at_ms, (long long)seq);
    cr_assert_eq(sqlite3_exec(sky_store_sqlite(s), sql, NULL, NULL, NULL), SQLITE_OK);
}

/* Each row has the time of the commit that brought it, in whatever order rows were loaded. */
Test(times, of_commits)
{
    static const char *const names[] = {"y"};
    const sky_columns_options co = {.names = names, .n = 1};
    const sky_store_options o = kit_writer(kit_path("t.db"));
    sky_sweep_spec spec = kit_spec("noop", &kit_noop, 100);
    sky_store *s = NULL;
    sky_columns *c = NULL;
    sky_columns_change change;
    int64_t id, at_ms[8];
    OK(sky_store_open(&s, &o, &e));
    OK(sky_store_sweep_create(s, &spec, &id, &e));
    OK(sky_store_commit(s, NULL, &e));
    commit_at(s, id, (const uint64_t[]){5, 6, 90}, 3, 1000);
    commit_at(s, id, (const uint64_t[]){0, 7}, 2, 2000);
    OK(sky_columns_open(&c, s, "noop", &co, &e));
    OK(sky_columns_refresh(c, &change, &e));
    cr_assert_eq(sky_columns_rows(c), 5);
    OK(sky_columns_times(c, 0, at_ms, &e));
    for (size_t i = 0; i < 5; i++) {
        const uint64_t trial = sky_columns_trials(c)[i];
        cr_assert_eq(at_ms[i], trial == 0 || trial == 7 ? 2000 : 1000, "trial %llu",
                     (unsigned long long)trial);
    }
    commit_at(s, id, (const uint64_t[]){3, 50}, 2, 3000);
    OK(sky_columns_refresh(c, &change, &e));
    cr_assert_eq(change.first, 5);
    OK(sky_columns_times(c, change.first, at_ms, &e));
    cr_assert(at_ms[0] == 3000 && at_ms[1] == 3000);
    sky_columns_close(c);
    sky_store_close(s);
}

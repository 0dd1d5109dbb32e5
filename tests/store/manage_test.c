#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kit.h"
#include "store/columns.h"
#include "store/manage.h"

static sky_error e;
static char problems[4096];
#define OK(call) cr_assert_eq((call), SKY_OK, "%s", e.text)

static void note_problem(void *arg, const char *text)
{
    (void)arg;
    strncat(problems, text, sizeof problems - strlen(problems) - 2);
    strcat(problems, "\n");
}

static uint64_t verify(sky_store *s)
{
    uint64_t n = 99;
    problems[0] = 0;
    OK(sky_store_verify(s, note_problem, NULL, &n, &e));
    return n;
}

static sky_store *open_new(const char *name, const char *sweep, uint64_t positions, int64_t *id)
{
    sky_store *s = NULL;
    const sky_store_options o = kit_writer(kit_path(name));
    OK(sky_store_open(&s, &o, &e));
    sky_sweep_spec spec = kit_spec(sweep, &kit_noop, 100);
    spec.positions = positions;
    OK(sky_store_sweep_create(s, &spec, id, &e));
    OK(sky_store_commit(s, NULL, &e));
    return s;
}

static void fill(sky_store *s, int64_t id, uint64_t begin, uint64_t end)
{
    const char *names[] = {"loss"};
    const double value = 1;
    int64_t env;
    const sky_failure f = {.sweep = id,
                           .position = end,
                           .trial = end,
                           .attempts = 3,
                           .quarantined = true,
                           .kind = SKY_FAILURE_CRASH,
                           .reason = "broke",
                           .log = "log",
                           .log_len = 3};
    OK(kit_record(s, id, begin, end, &e));
    OK(sky_store_fail(s, &f, &e));
    OK(sky_store_curve(s, id, begin, 1, 1, names, &value, &e));
    OK(sky_store_artifact(s, id, begin, "a", "bytes", 5, &e));
    OK(sky_store_env(s, "{\"host\": \"h\"}", &env, &e));
    OK(sky_store_tag_add(s, id, "nice", &e));
    OK(sky_store_commit(s, NULL, &e));
}

Test(manage, deletes_all_of_a_sweep)
{
    int64_t id, other, again;
    sky_store *s = open_new("d.db", "gone", 100, &id);
    const sky_sweep_spec spec = kit_spec("stays", &kit_noop, 100);
    OK(sky_store_sweep_create(s, &spec, &other, &e));
    fill(s, id, 0, 10);
    fill(s, other, 0, 20);
    const char *names[] = {"y"};
    const sky_columns_options o = {.names = names, .n = 1};
    sky_columns *c;
    OK(sky_columns_open(&c, s, "gone", &o, &e));
    OK(sky_columns_refresh(c, NULL, &e));
    const int64_t seq = kit_int(s, "SELECT max(seq) FROM sky_commits");
    cr_assert_eq(sky_store_sweep_delete(s, "none", &e), SKY_ENOTFOUND);
    OK(sky_store_sweep_delete(s, "gone", &e));
    cr_assert_gt(kit_int(s, "SELECT max(seq) FROM sky_commits"), seq, "numbers never come twice");
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM sqlite_schema WHERE name = 'gone'"), 0);
    cr_assert_eq(verify(s), 0, "%s", problems);
    cr_assert_eq(sky_columns_refresh(c, NULL, &e), SKY_ENOTFOUND);
    sky_columns_close(c);
    sky_sweep_info i;
    OK(sky_store_sweep_find(s, "stays", &i, &e));
    cr_assert_eq(i.recorded, 20);
    sky_sweep_info_free(&i);
    const sky_sweep_spec reborn = kit_spec("gone", &kit_noop, 100);
    OK(sky_store_sweep_create(s, &reborn, &again, &e));
    cr_assert_gt(again, other);
    cr_assert_eq(sky_store_sweep_delete(s, "gone", &e), SKY_EBUSY);
    OK(sky_store_commit(s, NULL, &e));
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM gone"), 0);
    sky_store_close(s);
}

Test(manage, verify_finds_damage)
{
    int64_t id;
    sky_store *s = open_new("v.db", "noop", 100, &id);
    fill(s, id, 0, 10);
    cr_assert_eq(verify(s), 0, "%s", problems);
    sky_store_close(s);
    static const struct {
        const char *sql, *finds;
    } damages[] = {
        {"DELETE FROM noop WHERE trial = 3", "1 committed rows are missing"},
        {"INSERT INTO noop (trial) VALUES (55)", "1 rows are in no commit record"},
        {"UPDATE sky_sweeps SET recorded = 12", "its counter says 12"},
        {"UPDATE sky_sweeps SET failed = 0", "quarantined, but its counter says 0"},
        {"UPDATE sky_failures SET position = 4", "both settled and quarantined"},
        {"UPDATE sky_commits SET positions = x'ff'", "damaged"},
        {"UPDATE sky_sweeps SET positions = 5", "past its end"},
        {"DELETE FROM sky_logs", "its logs"},
        {"INSERT INTO sky_tags VALUES (77, 'x')", "sweeps that are gone"},
        {"DROP TABLE noop", "has no table"},
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        char command[1200];
        const char *copy = kit_path("v2.db");
        snprintf(command, sizeof command, "cp %s %s && sqlite3 %s \"%s\"", kit_path("v.db"), copy,
                 copy, damages[i].sql);
        cr_assert_eq(system(command), 0);
        const sky_store_options o = {.path = copy};
        OK(sky_store_open(&s, &o, &e));
        cr_assert_gt(verify(s), 0);
        cr_assert(strstr(problems, damages[i].finds), "%s: %s", damages[i].sql, problems);
        sky_store_close(s);
        kit_remove(copy);
    }
}

static uint64_t differing_trials[200];
static size_t n_differing;

static void note_difference(void *arg, const char *sweep, uint64_t trial)
{
    (void)arg;
    (void)sweep;
    differing_trials[n_differing++] = trial;
}

Test(manage, merge_unites_and_copies)
{
    int64_t a, b, only;
    sky_store *to = open_new("to.db", "noop", 100, &a),
              *from = open_new("from.db", "noop", 200, &b);
    sky_merge_report r;
    fill(to, a, 0, 30);
    fill(from, b, 20, 50); /* 20..29 in both; 50 quarantined there, 30 here */
    const uint64_t wrong[] = {7, 8, 60};
    OK(kit_record_list(from, b, wrong, 3, 1.0, NULL, NULL, &e)); /* 7 and 8 differ */
    sky_sweep_spec spec = kit_spec("mixed-name", &kit_noop, 100);
    OK(sky_store_sweep_create(from, &spec, &only, &e));
    OK(kit_record(from, only, 0, 5, &e));
    OK(sky_store_tag_add(from, b, "theirs", &e));
    OK(sky_store_commit(from, NULL, &e)); /* it stays open: its coordinator lives */
    OK(sky_store_merge(to, kit_path("from.db"), note_difference, NULL, &r, &e));
    cr_assert(r.copied == 1 && r.united == 1 && r.rows == 21 + 5 && r.duplicates == 12 &&
                  r.differing == 2 && r.failures == 1,
              "%zu %zu %lu %lu %lu %lu", r.copied, r.united, r.rows, r.duplicates, r.differing,
              r.failures);
    cr_assert(n_differing == 2 && differing_trials[0] == 7 && differing_trials[1] == 8);
    cr_assert_eq(verify(to), 0, "%s", problems);
    cr_assert_eq(kit_int(to, "SELECT count(*) FROM noop"), 51);
    cr_assert_eq(kit_int(to, "SELECT y = x FROM noop WHERE trial = 7"), 1, "what was here stays");
    cr_assert_eq(kit_int(to, "SELECT y = x + 1 FROM noop WHERE trial = 60"), 1);
    cr_assert_eq(kit_int(to, "SELECT count(*) FROM sky_tags"), 2);
    cr_assert_eq(kit_int(to, "SELECT count(*) FROM sky_curves"), 2);
    cr_assert_eq(kit_int(to, "SELECT count(*) FROM sky_artifacts"), 2);
    sky_sweep_info i;
    OK(sky_store_sweep_find(to, "noop", &i, &e));
    cr_assert(i.recorded == 51 && i.failed == 1 && i.positions == 200 && i.holes == 0,
              "30 was recorded there: no failure any more");
    sky_sweep_info_free(&i);
    OK(sky_store_sweep_find(to, "mixed-name", &i, &e));
    cr_assert(i.state == SKY_SWEEP_PAUSED && i.recorded == 5);
    sky_sweep_info_free(&i);
    OK(sky_store_merge(to, kit_path("from.db"), NULL, NULL, &r, &e));
    cr_assert(r.rows == 0 && r.copied == 0 && r.united == 2 && r.failures == 0, "twice is once");
    cr_assert_eq(verify(to), 0, "%s", problems);
    cr_assert_eq(sky_store_merge(to, kit_path("to.db"), NULL, NULL, &r, &e), SKY_EINVAL);
    cr_assert_eq(sky_store_merge(to, kit_path("absent.db"), NULL, NULL, &r, &e), SKY_ENOTFOUND);
    sky_store_close(from);
    sky_store_close(to);
}

Test(manage, merge_refuses_another_sweep_of_the_name)
{
    int64_t a, b;
    sky_store *to = open_new("to2.db", "noop", 100, &a), *from = NULL;
    const sky_store_options o = kit_writer(kit_path("from2.db"));
    sky_sweep_spec first = kit_spec("first", &kit_noop, 100),
                   spec = kit_spec("noop", &kit_noop, 100);
    spec.identity = "another identity";
    OK(sky_store_open(&from, &o, &e));
    OK(sky_store_sweep_create(from, &first, &b, &e));
    OK(kit_record(from, b, 0, 5, &e));
    OK(sky_store_sweep_create(from, &spec, &b, &e));
    OK(sky_store_commit(from, NULL, &e));
    cr_assert_eq(sky_store_merge(to, o.path, NULL, NULL, NULL, &e), SKY_ECONFLICT);
    cr_assert(strstr(e.text, "nothing was merged"), "%s", e.text);
    cr_assert_eq(kit_int(to, "SELECT count(*) FROM sky_sweeps"), 1);
    cr_assert(!sky_store_dirty(to));
    sky_store_close(from);
    sky_store_close(to);
}

static sky_store *live;
static int64_t live_id;
static uint64_t live_next;

static bool record_meanwhile(void *arg, uint64_t done, uint64_t total)
{
    (void)arg;
    cr_assert_leq(done, total);
    OK(kit_record(live, live_id, live_next, live_next + 1000, &e));
    OK(sky_store_commit(live, NULL, &e));
    live_next += 1000;
    return true;
}

static bool never(void *arg, uint64_t done, uint64_t total)
{
    (void)arg;
    (void)done;
    (void)total;
    return false;
}

static int files_in_folder(void)
{
    int n = 0;
    DIR *d = opendir(kit_folder());
    for (struct dirent *f = readdir(d); f; f = readdir(d))
        n += strstr(f->d_name, "partial") != NULL;
    closedir(d);
    return n;
}

Test(manage, backup_while_somebody_writes)
{
    sky_store *reader, *copy;
    live = open_new("live.db", "noop", 10000000, &live_id);
    for (live_next = 0; live_next < 900000; live_next += 20000)
        OK(kit_record(live, live_id, live_next, live_next + 20000, &e));
    OK(sky_store_commit(live, NULL, &e));
    const uint64_t then = live_next;
    const sky_store_options ro = {.path = kit_path("live.db")}, co = {.path = kit_path("copy.db")};
    OK(sky_store_open(&reader, &ro, &e));
    sky_backup_options o = {.path = kit_path("copy.db"), .progress = record_meanwhile};
    OK(sky_store_backup(reader, &o, &e));
    cr_assert_gt(live_next, then + 1000, "it took several steps");
    OK(sky_store_open(&copy, &co, &e));
    cr_assert_eq(kit_int(copy, "SELECT count(*) FROM noop"), (int64_t)then);
    cr_assert_eq(verify(copy), 0, "%s", problems);
    cr_assert_str_eq(sky_store_uuid(copy), sky_store_uuid(live));
    sky_store_close(copy);
    cr_assert_eq(sky_store_backup(reader, &o, &e), SKY_EEXISTS);
    o.replace = true;
    o.progress = never;
    cr_assert_eq(sky_store_backup(reader, &o, &e), SKY_ECANCELLED);
    o.progress = NULL;
    OK(sky_store_backup(live, &o, &e));
    OK(sky_store_open(&copy, &co, &e));
    cr_assert_eq(kit_int(copy, "SELECT count(*) FROM noop"), (int64_t)live_next);
    sky_store_close(copy);
    o.path = kit_path("no/such/copy.db");
    cr_assert_neq(sky_store_backup(reader, &o, &e), SKY_OK);
    cr_assert_eq(files_in_folder(), 0, "no half copy is left");
    sky_store_close(reader);
    sky_store_close(live);
}

Test(manage, tags)
{
    int64_t id;
    sky_store *s = open_new("t.db", "noop", 10, &id);
    char **tags, longest[102];
    size_t n;
    memset(longest, 'a', 101);
    longest[101] = 0;
    OK(sky_store_tag_add(s, id, "paper", &e));
    OK(sky_store_tag_add(s, id, "best of 2026", &e));
    OK(sky_store_tag_add(s, id, "paper", &e));
    cr_assert_eq(sky_store_tag_add(s, id, "", &e), SKY_EINVAL);
    cr_assert_eq(sky_store_tag_add(s, id, longest, &e), SKY_EINVAL);
    cr_assert_eq(sky_store_tag_add(s, id, "a\nb", &e), SKY_EINVAL);
    cr_assert_eq(sky_store_tag_add(s, 9, "a", &e), SKY_ENOTFOUND);
    cr_assert_eq(sky_store_tag_remove(s, id, "none", &e), SKY_ENOTFOUND);
    OK(sky_store_tag_list(s, id, &tags, &n, &e));
    cr_assert(n == 2 && strcmp(tags[0], "best of 2026") == 0 && strcmp(tags[1], "paper") == 0);
    for (size_t i = 0; i < n; i++)
        free(tags[i]);
    free(tags);
    OK(sky_store_tag_remove(s, id, "paper", &e));
    OK(sky_store_commit(s, NULL, &e));
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM sky_tags"), 1);
    sky_store_close(s);
}

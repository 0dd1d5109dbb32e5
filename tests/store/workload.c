#include "workload.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"
#include "store/columns.h"
#include "store/manage.h"

static void note(workload *w, sky_err err, const sky_error *e)
{
    if (err == SKY_OK || w->first_error != SKY_OK)
        return;
    w->first_error = err;
    snprintf(w->text, sizeof w->text, "%s", e->text);
}

/* Rows with their positions, a failure, a curve, an artifact, an environment: all in one commit. */
static sky_err write_step(sky_store *s, int64_t id, uint64_t step, sky_error *e)
{
    static const char *const names[] = {"loss"};
    const double value = (double)step;
    const uint64_t begin = step * WORKLOAD_ROWS;
    char log[600];
    memset(log, 'a' + (int)step, sizeof log);
    const sky_failure f = {.sweep = id,
                           .position = 1000 + step,
                           .trial = 1000 + step,
                           .attempts = 1 + (uint32_t)(step % 2),
                           .quarantined = step % 2,
                           .kind = SKY_FAILURE_CRASH,
                           .reason = "it broke",
                           .log = log,
                           .log_len = sizeof log};
    int64_t env;
    sky_err err = kit_record(s, id, begin, begin + WORKLOAD_ROWS, e);
    if (err == SKY_OK)
        err = sky_store_fail(s, &f, e);
    if (err == SKY_OK)
        err = sky_store_curve(s, id, begin, 1, 1, names, &value, e);
    if (err == SKY_OK)
        err = sky_store_artifact(s, id, begin, "model", log, sizeof log, e);
    if (err == SKY_OK)
        err = sky_store_env(s, "{\"host\": \"x\"}", &env, e);
    return err;
}

/* Finds the sweep, or makes it. */
static sky_err prepare(workload *w, sky_store *s, int64_t *id, sky_error *e)
{
    sky_sweep_info info;
    sky_err err = sky_store_sweep_find(s, "noop", &info, e);
    if (err == SKY_OK) {
        *id = info.id;
        sky_sweep_info_free(&info);
        return SKY_OK;
    }
    if (err != SKY_ENOTFOUND)
        return err;
    const sky_expression derived[] = {{"twice", "y * 2"}}, limits[] = {{"", "y < 0.1"}};
    sky_sweep_spec spec = kit_spec("noop", &kit_noop, 2000);
    spec.derived = derived;
    spec.n_derived = 1;
    spec.constraints = limits;
    spec.n_constraints = 1;
    err = sky_store_sweep_create(s, &spec, id, e);
    if (err == SKY_OK) {
        err = sky_store_commit(s, NULL, e);
        w->tried_create = w->tried_create || err != SKY_OK;
        w->created = err == SKY_OK;
    }
    if (err != SKY_OK)
        sky_store_rollback(s);
    return err;
}

/* All steps that are not acknowledged yet; false if one failed. */
static bool write_all(workload *w, sky_store *s, bool stop)
{
    int64_t id;
    bool all = true;
    sky_error e = {0};
    sky_err err = prepare(w, s, &id, &e);
    note(w, err, &e);
    if (err != SKY_OK)
        return false;
    for (uint64_t step = 0; step < WORKLOAD_STEPS && (all || !stop); step++) {
        if (w->acked[step])
            continue;
        err = write_step(s, id, step, &e);
        if (err != SKY_OK) {
            sky_store_rollback(s);
        } else {
            err = sky_store_commit(s, NULL, &e);
            w->tried[step] = w->tried[step] || err != SKY_OK;
        }
        w->acked[step] = err == SKY_OK;
        all = all && err == SKY_OK;
        note(w, err, &e);
        if (step % 3 == 2) /* the log into the file, now and then; it may fail */
            sqlite3_wal_checkpoint(sky_store_sqlite(s), NULL);
    }
    return all;
}

void workload_run(workload *w, const char *path, const char *vfs, bool stop)
{
    *w = (workload){0};
    for (int tries = 0; tries < 2; tries++) {
        const sky_store_options o = {.path = path, .writer = true, .vfs = vfs};
        sky_store *s = NULL;
        sky_error e = {0};
        sky_err err = sky_store_open(&s, &o, &e);
        note(w, err, &e);
        const bool all = err == SKY_OK && write_all(w, s, stop);
        sky_store_close(s);
        if (all || stop)
            return;
    }
}

/* ---- Check ---- */

static bool wrong(const char *what, int64_t found, int64_t expected)
{
    fprintf(stderr, "%s: found %lld, expected %lld\n", what, (long long)found, (long long)expected);
    return false;
}

static void on_problem(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "verify: %s\n", text);
}

static int64_t count_of(sky_store *s, const char *sql, int step)
{
    sqlite3_stmt *q = NULL;
    int64_t n = -1;
    if (sqlite3_prepare_v2(sky_store_sqlite(s), sql, -1, &q, NULL) == SQLITE_OK) {
        sqlite3_bind_int(q, 1, step);
        n = sqlite3_step(q) == SQLITE_ROW ? sqlite3_column_int64(q, 0) : -1;
    }
    sqlite3_finalize(q);
    return n;
}

/* All of a step or nothing of it; all of it if it was acknowledged. */
static bool check_step(const workload *w, sky_store *s, int step)
{
    static const char *const counts[] = {
        "SELECT count(*) FROM noop WHERE trial / 40 = ?1 AND y = x AND x = trial * 0.001"
        " AND twice = y * 2",
        "SELECT 40 * count(*) FROM (SELECT position FROM sky_failures UNION ALL"
        " SELECT position FROM sky_attempts) WHERE position = 1000 + ?1",
        "SELECT 40 * count(*) FROM sky_curves WHERE trial = 40 * ?1",
        "SELECT 40 * count(*) FROM sky_artifacts WHERE trial = 40 * ?1 AND length(bytes) = 600",
    };
    int64_t first = -1;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const int64_t n = count_of(s, counts[i], step);
        if (first < 0)
            first = n;
        if (n != first || (n != 0 && n != WORKLOAD_ROWS))
            return wrong(counts[i], n, first);
    }
    if (w->acked[step] && first != WORKLOAD_ROWS)
        return wrong("acknowledged rows", first, WORKLOAD_ROWS);
    if (!w->acked[step] && !w->tried[step] && first != 0)
        return wrong("rows that no commit was asked for", first, 0);
    return true;
}

static bool check_open(const workload *w, sky_store *s)
{
    uint64_t problems = 1;
    sky_error e = {0};
    if (sky_store_verify(s, on_problem, NULL, &problems, &e) != SKY_OK || problems > 0)
        return wrong(e.text[0] ? e.text : "problems", (int64_t)problems, 0);
    const int64_t sweeps = kit_int(s, "SELECT count(*) FROM sky_sweeps");
    bool any_acked = false;
    for (int i = 0; i < WORKLOAD_STEPS; i++)
        any_acked = any_acked || w->acked[i];
    if ((w->created || any_acked) && sweeps != 1)
        return wrong("acknowledged sweep", sweeps, 1);
    if (sweeps == 0)
        return true;
    bool ok = true;
    for (int i = 0; i < WORKLOAD_STEPS && ok; i++)
        ok = check_step(w, s, i);
    return ok;
}

bool workload_check(const workload *w, const char *path, const char *vfs)
{
    const sky_store_options o = {.path = path, .writer = true, .vfs = vfs};
    sky_store *s = NULL;
    sky_error e = {0};
    if (sky_store_open(&s, &o, &e) != SKY_OK) {
        fprintf(stderr, "cannot open it again: %s\n", e.text);
        return false;
    }
    const bool ok = check_open(w, s);
    sky_store_close(s);
    return ok;
}

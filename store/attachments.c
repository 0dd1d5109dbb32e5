/* What a trial leaves beside its metrics: a curve, artifacts, the environment it ran in. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/store_internal.h"

static sky_err check_trial(sky_store *s, int64_t sweep, uint64_t trial, sky_error *e)
{
    sky__sweep *w = NULL;
    if (trial > INT64_MAX)
        return sky_fail(e, SKY_ELIMIT, "trial %llu is past 2^63", (unsigned long long)trial);
    sky_err err = sky__txn_begin(s, e);
    return err == SKY_OK ? sky__sweep_get(s, sweep, &w, e) : err;
}

sky_err sky_store_curve(sky_store *s, int64_t sweep, uint64_t trial, int64_t step, size_t n,
                        const char *const *names, const double *values, sky_error *e)
{
    sky_error own = {0};
    e = e ? e : &own;
    sky_err err = check_trial(s, sweep, trial, e);
    if (err != SKY_OK)
        return err;
    for (size_t i = 0; i < n && err == SKY_OK; i++) {
        /* A trial that is tried again reports its steps again. */
        sqlite3_stmt *q =
            sky__stmt(s, "INSERT OR REPLACE INTO sky_curves VALUES (?, ?, ?, ?, ?)", &err, e);
        if (err != SKY_OK)
            break;
        sqlite3_bind_int64(q, 1, sweep);
        sqlite3_bind_int64(q, 2, (sqlite3_int64)trial);
        sqlite3_bind_text(q, 3, names[i], -1, SQLITE_STATIC);
        sqlite3_bind_int64(q, 4, step);
        sqlite3_bind_double(q, 5, values[i]);
        err = sky__run(s, q, e, "storing a curve");
        s->pending_bytes += 40;
    }
    return sky__txn_end(s, err, e);
}

/* The sizes of the trial's other artifacts. */
static sky_err other_bytes(sky_store *s, int64_t sweep, uint64_t trial, const char *name,
                           size_t *out, sky_error *e)
{
    sky_err err;
    bool row = false;
    sqlite3_stmt *q = sky__stmt(s,
                                "SELECT total(length(bytes)) FROM sky_artifacts"
                                " WHERE sweep = ? AND trial = ? AND name <> ?",
                                &err, e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_int64(q, 1, sweep);
    sqlite3_bind_int64(q, 2, (sqlite3_int64)trial);
    sqlite3_bind_text(q, 3, name, -1, SQLITE_STATIC);
    err = sky__step(s, q, &row, e, "counting artifacts");
    *out = err == SKY_OK && row ? (size_t)sqlite3_column_int64(q, 0) : 0;
    sqlite3_reset(q);
    return err;
}

sky_err sky_store_artifact(sky_store *s, int64_t sweep, uint64_t trial, const char *name,
                           const void *bytes, size_t len, sky_error *e)
{
    sky_error own = {0};
    e = e ? e : &own;
    size_t others = 0;
    sky_err err = check_trial(s, sweep, trial, e);
    if (err == SKY_OK)
        err = other_bytes(s, sweep, trial, name, &others, e);
    if (err == SKY_OK && len > SKY_ARTIFACT_BYTES_MAX - others)
        err = sky_fail(e, SKY_ELIMIT,
                       "artifact '%s' of trial %llu: with it the trial's artifacts would have %zu "
                       "bytes, %d are allowed",
                       name, (unsigned long long)trial, others + len, SKY_ARTIFACT_BYTES_MAX);
    if (err != SKY_OK)
        return err;
    sqlite3_stmt *q = sky__stmt(
        s, "INSERT OR REPLACE INTO sky_artifacts (sweep, trial, name, bytes) VALUES (?, ?, ?, ?)",
        &err, e);
    if (err == SKY_OK) {
        sqlite3_bind_int64(q, 1, sweep);
        sqlite3_bind_int64(q, 2, (sqlite3_int64)trial);
        sqlite3_bind_text(q, 3, name, -1, SQLITE_STATIC);
        sqlite3_bind_blob64(q, 4, len ? bytes : "", len, SQLITE_STATIC);
        s->pending_bytes += len;
        err = sky__run(s, q, e, "storing an artifact");
        sqlite3_clear_bindings(q);
    }
    return sky__txn_end(s, err, e);
}

/* Finds or adds it. */
static sky_err env_id(sky_store *s, const char *json, int64_t *id, sky_error *e)
{
    sky_err err;
    bool row = false;
    sqlite3_stmt *q = sky__stmt(s, "SELECT id FROM sky_environments WHERE json = ?", &err, e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_text(q, 1, json, -1, SQLITE_STATIC);
    err = sky__step(s, q, &row, e, "looking for an environment");
    if (err == SKY_OK && row)
        *id = sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    sqlite3_clear_bindings(q);
    if (err != SKY_OK || row)
        return err;
    q = sky__stmt(s, "INSERT INTO sky_environments (json) VALUES (?)", &err, e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_text(q, 1, json, -1, SQLITE_STATIC);
    s->pending_bytes += strlen(json) * 2;
    err = sky__run(s, q, e, "storing an environment");
    sqlite3_clear_bindings(q);
    *id = sqlite3_last_insert_rowid(s->db);
    return err;
}

sky_err sky_store_env(sky_store *s, const char *json, int64_t *id, sky_error *e)
{
    sky_error own = {0};
    e = e ? e : &own;
    if (s->env_json && strcmp(s->env_json, json) == 0) {
        *id = s->env_id;
        return SKY_OK;
    }
    if (strlen(json) > SKY__ENV_BYTES_MAX)
        return sky_fail(e, SKY_ELIMIT, "an environment of %zu bytes: at most %d are allowed",
                        strlen(json), SKY__ENV_BYTES_MAX);
    int64_t found = 0;
    sky_err err = sky__txn_begin(s, e);
    if (err != SKY_OK)
        return err;
    err = env_id(s, json, &found, e);
    char *copy = err == SKY_OK ? sky_strdup(json) : NULL;
    if (copy) { /* without a copy the next call asks again */
        free(s->env_json);
        s->env_json = copy;
        s->env_id = found;
    }
    if (err == SKY_OK)
        *id = found;
    return sky__txn_end(s, err, e);
}

/* One transaction from the first writing call to the commit. See store_internal.h. */
#include <assert.h>
#include <stdlib.h>

#include "store/store_internal.h"

void sky__roll_back(sky_store *s)
{
    if (!sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

sky_err sky__read_begin(sky_store *s, sky_error *e, const char *what)
{
    if (s->in_transaction)
        return sky_fail(e, SKY_EBUSY, "%s: a transaction is open", s->path);
    sky__roll_back(s);
    return sky__exec(s, "BEGIN", e, what);
}

/* Whatever the open transaction would have changed is forgotten, in memory too. */
static void abandon(sky_store *s)
{
    sky__sweeps_free(s); /* their statements before the rollback, or it could be busy */
    for (size_t i = 0; i < s->n_cached; i++)
        sqlite3_reset(s->cached[i].stmt);
    sky__roll_back(s);
    free(s->env_json);
    s->env_json = NULL;
    s->in_transaction = false;
    s->pending_bytes = 0;
}

/* After some errors, of a mere SELECT too, SQLite rolls the transaction back by itself. */
static void notice_lost(sky_store *s)
{
    if (!s->in_transaction || !sqlite3_get_autocommit(s->db))
        return;
    sky_fail(&s->why_broken, SKY_EIO,
             "%s: an error undid everything since the last commit; nothing of it is kept", s->path);
    s->broken = true;
    abandon(s);
}

sky_err sky__txn_begin(sky_store *s, sky_error *e)
{
    if (!s->writer)
        return sky_fail(e, SKY_EPERM, "%s is open for reading only", s->path);
    notice_lost(s);
    if (s->broken)
        return sky_fail(e, s->why_broken.code, "%s", s->why_broken.text);
    if (s->in_transaction)
        return SKY_OK;
    sky__roll_back(s);
    /* Not deferred: what fails because somebody else writes should fail here, with nothing done. */
    sky_err err = SKY_OK;
    sqlite3_stmt *q = sky__stmt(s, "BEGIN IMMEDIATE", &err, e);
    if (err == SKY_OK)
        err = sky__run(s, q, e, "beginning a transaction");
    s->in_transaction = err == SKY_OK;
    return err;
}

sky_err sky__txn_end(sky_store *s, sky_err err, sky_error *e)
{
    if (err == SKY_OK)
        return SKY_OK;
    if (e && e->code == err)
        s->why_broken = *e;
    else
        sky_fail(&s->why_broken, err, "%s: %s", s->path, sky_strerror(err));
    s->broken = true;
    abandon(s);
    return err;
}

sky_err sky_store_commit(sky_store *s, uint64_t *seq, sky_error *e)
{
    sky_err err = SKY_OK;
    notice_lost(s);
    if (s->broken) {
        err = sky_fail(e, s->why_broken.code, "%s", s->why_broken.text);
        s->broken = false;
        return err;
    }
    if (s->in_transaction) {
        const uint64_t seq_before = s->seq;
        sqlite3_stmt *q = NULL;
        err = sky__commits_flush(s, e);
        if (err == SKY_OK)
            q = sky__stmt(s, "COMMIT", &err, e);
        if (err == SKY_OK)
            err = sky__run(s, q, e, "committing");
        if (err != SKY_OK) {
            abandon(s);
            s->seq = seq_before;
            return err;
        }
        s->in_transaction = false;
        s->pending_bytes = 0;
        for (sky__sweep *w = s->sweeps; w; w = w->next) {
            w->touched = false;
            w->rows = w->holes = 0;
            w->busy_s = 0;
            sky__spans_clear(&w->positions);
            sky__spans_clear(&w->trials);
        }
    }
    if (seq)
        *seq = s->seq;
    return SKY_OK;
}

void sky_store_rollback(sky_store *s)
{
    if (s->in_transaction)
        abandon(s);
    s->broken = false;
}

bool sky_store_dirty(const sky_store *s)
{
    return s->in_transaction || s->broken;
}

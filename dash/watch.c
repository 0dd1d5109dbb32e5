#include "dash/watch.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"

enum {
    SWEEPS_MAX = 1000, /* of a list; the newest */
    SAMPLES = 25,
};
static const int64_t SAMPLE_NS = 200 * SKY_NS_PER_MS; /* between samples: five seconds in all */
static const int64_t STALE_NS = 10 * SKY_NS_PER_S;    /* nobody looked for so long: begin anew */
static const int64_t RATE_NS = 400 * SKY_NS_PER_MS;   /* a shorter time tells no rate */

typedef struct sample {
    int64_t at_ns;
    uint64_t settled;
} sample;

typedef struct entry {
    int64_t id;
    uint64_t hash; /* of its JSON when changes were last told */
    sample samples[SAMPLES];
    size_t n, next;
    uint64_t round; /* of the walk that saw it last */
} entry;

struct sky__watch {
    entry *entries;
    size_t n, cap;
    uint64_t round;
};

/* A sweep that is not done stays "running" in the store, for whoever goes on with it. */
static const char list_sql[] =
    "SELECT id, name, job, job_version, iif(?2, state, replace(state, 'running', 'interrupted')), "
    "reason, priority, points, positions, recorded, "
    "holes,"
    " failed, created_ms, updated_ms, busy_s FROM sky_sweeps ORDER BY id DESC LIMIT ?1";

void sky__watch_free(sky__watch *w)
{
    if (!w)
        return;
    free(w->entries);
    free(w);
}

static sky__watch *get(sky__reader *t)
{
    sky__reader_state *kept = sky__reader_kept(t);
    if (!kept->watch)
        kept->watch = calloc(1, sizeof *kept->watch);
    return kept->watch;
}

static entry *entry_of(sky__watch *w, int64_t id)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->entries[i].id == id)
            return &w->entries[i];
    }
    if (w->n == w->cap) {
        const size_t cap = w->cap ? 2 * w->cap : 16;
        entry *grown = realloc(w->entries, cap * sizeof *grown);
        if (!grown)
            return NULL;
        w->entries = grown;
        w->cap = cap;
    }
    w->entries[w->n] = (entry){.id = id};
    return &w->entries[w->n++];
}

/* Positions a second over the last seconds; negative: not known. */
static double rate_of(entry *s, uint64_t settled, int64_t now_ns)
{
    const sample *newest = s->n ? &s->samples[(s->next + SAMPLES - 1) % SAMPLES] : NULL;
    if (newest && (now_ns - newest->at_ns > STALE_NS || settled < newest->settled))
        s->n = s->next = 0, newest = NULL;
    if (!newest || now_ns - newest->at_ns >= SAMPLE_NS) {
        s->samples[s->next] = (sample){now_ns, settled};
        s->next = (s->next + 1) % SAMPLES;
        s->n += s->n < SAMPLES;
    }
    const sample *oldest = &s->samples[(s->next + SAMPLES - s->n) % SAMPLES];
    if (now_ns - oldest->at_ns < RATE_NS)
        return -1;
    return (double)(settled - oldest->settled) / ((double)(now_ns - oldest->at_ns) / 1e9);
}

static void text_member(sky_buf *b, const char *name, sqlite3_stmt *q, int column)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    sky_buf_printf(b, ",\"%s\":", name);
    sky_buf_json_string(b, text ? text : "");
}

static void members(sqlite3_stmt *q, entry *s, int64_t now_ns, sky_buf *b)
{
    static const char *const texts[] = {"name", "job", "job_version", "state", "reason"};
    static const char *const numbers[] = {"priority", "points", "positions",  "recorded",
                                          "holes",    "failed", "created_ms", "updated_ms"};
    sky_buf_printf(b, "\"id\":%" PRId64, (int64_t)sqlite3_column_int64(q, 0));
    for (int i = 0; i < 5; i++)
        text_member(b, texts[i], q, i + 1);
    for (int i = 0; i < 8; i++)
        sky_buf_printf(b, ",\"%s\":%" PRId64, numbers[i], (int64_t)sqlite3_column_int64(q, i + 6));
    sky_buf_puts(b, ",\"busy_s\":");
    sky_buf_json_f64(b, sqlite3_column_double(q, 14));
    const char *state = (const char *)sqlite3_column_text(q, 4);
    const uint64_t positions = (uint64_t)sqlite3_column_int64(q, 8);
    const uint64_t settled = (uint64_t)(sqlite3_column_int64(q, 9) + sqlite3_column_int64(q, 10) +
                                        sqlite3_column_int64(q, 11));
    const bool running = state && strcmp(state, "running") == 0;
    const double rate = running ? rate_of(s, settled, now_ns) : -1;
    if (!running)
        s->n = s->next = 0;
    if (rate < 0)
        sky_buf_puts(b, ",\"rate\":null");
    else
        sky_buf_printf(b, ",\"rate\":%.4g", rate);
    if (rate > 0 && settled <= positions)
        sky_buf_printf(b, ",\"eta_s\":%.0f", (double)(positions - settled) / rate);
    else
        sky_buf_puts(b, ",\"eta_s\":null");
}

typedef struct walk {
    sky_buf *b;
    bool changes; /* only those whose JSON is another one than last time */
    size_t n;
} walk;

static sky_err visit(sky__watch *w, sqlite3_stmt *q, walk *k)
{
    sky_buf one = {0};
    entry *s = entry_of(w, sqlite3_column_int64(q, 0));
    if (!s)
        return SKY_ENOMEM;
    s->round = w->round;
    members(q, s, sky_clock_ns(), &one);
    const uint64_t hash = sky_hash_bytes(0, sky_buf_str(&one), one.len);
    if (!k->changes || hash != s->hash) {
        sky_buf_puts(k->b, k->n++ ? ",{" : "{");
        sky_buf_puts(k->b, sky_buf_str(&one));
        sky_buf_putc(k->b, '}');
        if (k->changes)
            s->hash = hash;
    }
    const bool ok = sky_buf_ok(&one);
    sky_buf_free(&one);
    return ok ? SKY_OK : SKY_ENOMEM;
}

static void bind_list(sqlite3_stmt *q, sky__reader *t, int64_t limit)
{
    sqlite3_bind_int64(q, 1, limit);
    sqlite3_bind_int(q, 2, sky_store_has_writer(sky_store_path(sky__reader_store(t))));
}

static sky_err sweeps(sky__reader *t, walk *k, sky_error *e)
{
    sky__watch *w = get(t);
    sqlite3 *db = sky_store_sqlite(sky__reader_store(t));
    sqlite3_stmt *q = NULL;
    if (!w)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    if (sqlite3_prepare_v2(db, list_sql, -1, &q, NULL) != SQLITE_OK)
        return sky_fail(e, SKY_EIO, "%s", sqlite3_errmsg(db));
    w->round++;
    bind_list(q, t, SWEEPS_MAX);
    sky_err err = SKY_OK;
    int rc = SQLITE_DONE;
    sky_buf_putc(k->b, '[');
    while (err == SKY_OK && (rc = sqlite3_step(q)) == SQLITE_ROW)
        err = visit(w, q, k);
    sky_buf_putc(k->b, ']');
    if (err != SKY_OK)
        sky_fail(e, err, "out of memory");
    else if (rc != SQLITE_DONE)
        err = sky_fail(e, rc == SQLITE_BUSY ? SKY_EBUSY : SKY_EIO, "%s", sqlite3_errmsg(db));
    sqlite3_finalize(q);
    return err;
}

sky_err sky__watch_list(sky__reader *t, sky_buf *b, sky_error *e)
{
    walk k = {.b = b};
    return sweeps(t, &k, e);
}

/* Those that the last walk did not see. */
static void tell_gone(sky__watch *w, walk *k)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n;) {
        if (w->entries[i].round == w->round) {
            i++;
            continue;
        }
        sky_buf_printf(k->b, n++ ? ",%" PRId64 : "%" PRId64, w->entries[i].id);
        w->entries[i] = w->entries[--w->n];
    }
    k->n += n;
}

static sky_err newest_commit(sky__reader *t, int64_t *out, sky_error *e)
{
    sqlite3_stmt *q = NULL;
    sqlite3 *db = sky_store_sqlite(sky__reader_store(t));
    if (sqlite3_prepare_v2(db, "SELECT max(seq) FROM sky_commits", -1, &q, NULL) != SQLITE_OK)
        return sky_fail(e, SKY_EIO, "%s", sqlite3_errmsg(db));
    *out = sqlite3_step(q) == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
    sqlite3_finalize(q);
    return SKY_OK;
}

sky_err sky__watch_changes(sky__reader *t, sky_buf *b, bool *any, sky_error *e)
{
    walk k = {.b = b, .changes = true};
    int64_t seq = 0;
    sky_err err = newest_commit(t, &seq, e);
    sky_buf_printf(b, "{\"seq\":%" PRId64 ",\"sweeps\":", seq);
    if (err == SKY_OK)
        err = sweeps(t, &k, e);
    sky_buf_puts(b, ",\"gone\":[");
    if (err == SKY_OK)
        tell_gone(get(t), &k);
    sky_buf_puts(b, "]}");
    *any = k.n > 0;
    return err;
}

sky_err sky__watch_members(sky__reader *t, int64_t id, sky_buf *b, sky_error *e)
{
    static const char one[] = "SELECT * FROM (%s) WHERE id = %lld";
    sky_buf sql = {0};
    sqlite3_stmt *q = NULL;
    sky__watch *w = get(t);
    sqlite3 *db = sky_store_sqlite(sky__reader_store(t));
    entry *s = w ? entry_of(w, id) : NULL;
    if (!s)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    sky_buf_printf(&sql, one, list_sql, (long long)id);
    sky_err err = SKY_OK;
    if (sqlite3_prepare_v2(db, sky_buf_str(&sql), -1, &q, NULL) != SQLITE_OK)
        err = sky_fail(e, SKY_EIO, "%s", sqlite3_errmsg(db));
    sky_buf_free(&sql);
    if (err == SKY_OK)
        bind_list(q, t, INT64_MAX);
    if (err == SKY_OK && sqlite3_step(q) != SQLITE_ROW)
        err = sky_fail(e, SKY_ENOTFOUND, "the sweep was deleted");
    if (err == SKY_OK)
        members(q, s, sky_clock_ns(), b);
    sqlite3_finalize(q);
    return err;
}

#include "dash/resident.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "dash/url.h"

/* Nobody looked for so long: nothing more is read ahead. */
static const uint64_t LEFT_ALONE_NS = 10 * SKY_NS_PER_S;

static void free_one(sky__resident *s)
{
    sky_columns_close(s->columns);
    sky__histories_free(s->histories);
    free(s->summaries);
    sky_arena_free(&s->arena);
    free(s);
}

void sky__residents_free(sky__resident *list)
{
    while (list) {
        sky__resident *next = list->next;
        free_one(list);
        list = next;
    }
}

static sky_err sql_fail(sqlite3 *db, sky_error *e)
{
    return sky_fail(e, SKY_EIO, "reading a sweep's columns: %s", sqlite3_errmsg(db));
}

static const char *text_of(sky__resident *s, sqlite3_stmt *q, int column)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    const char *dup = sky_arena_strdup(&s->arena, text ? text : "");
    return dup ? dup : "";
}

static sky_goal goal_of(const char *text)
{
    return strcmp(text, "min") == 0 ? SKY_MIN : strcmp(text, "max") == 0 ? SKY_MAX : SKY_NO_GOAL;
}

static sky_err load_infos(sky__resident *s, sqlite3 *db, sky_error *e)
{
    sqlite3_stmt *q = NULL;
    static const char sql[] =
        "SELECT name, role, unit, doc, class, sql, type, goal FROM sky_columns_meta"
        " WHERE sweep = ? AND role <> 'constraint'"
        " ORDER BY CASE role WHEN 'param' THEN 0 WHEN 'metric' THEN 1 ELSE 2 END, ord";
    s->infos = sky_new(&s->arena, sky__column_info, SKY__INFOS_MAX);
    if (!s->infos)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK)
        return sql_fail(db, e);
    sqlite3_bind_int64(q, 1, s->id);
    int rc;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW && s->n_infos + 2 < SKY__INFOS_MAX) {
        sky__column_info *c = &s->infos[s->n_infos++];
        c->name = text_of(s, q, 0);
        c->role = text_of(s, q, 1);
        c->unit = text_of(s, q, 2);
        c->doc = text_of(s, q, 3);
        c->cls = text_of(s, q, 4);
        c->sql = text_of(s, q, 5);
        if (sky_type_parse(text_of(s, q, 6), &c->type) != SKY_OK)
            c->type = SKY_REAL;
        c->goal = goal_of(text_of(s, q, 7));
        c->resident = -1;
    }
    sqlite3_finalize(q);
    if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        return sql_fail(db, e);
    s->infos[s->n_infos++] =
        (sky__column_info){"sky_wall_s", "system",    "s", "time that it took", "measured", "",
                           SKY_REAL,     SKY_NO_GOAL, -1};
    s->infos[s->n_infos++] =
        (sky__column_info){"sky_feasible", "system",    "", "meets every constraint", "exact", "",
                           SKY_BOOL,       SKY_NO_GOAL, -1};
    return SKY_OK;
}

static sky_err load_objectives(sky__resident *s, sqlite3 *db, sky_error *e)
{
    sqlite3_stmt *q = NULL;
    s->objectives = sky_new(&s->arena, sky_objective, SKY_OBJECTIVES_MAX);
    if (!s->objectives)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    if (sqlite3_prepare_v2(db, "SELECT name, goal FROM sky_objectives WHERE sweep = ? ORDER BY ord",
                           -1, &q, NULL) != SQLITE_OK)
        return sql_fail(db, e);
    sqlite3_bind_int64(q, 1, s->id);
    while (sqlite3_step(q) == SQLITE_ROW && s->n_objectives < SKY_OBJECTIVES_MAX) {
        sky_objective *o = &s->objectives[s->n_objectives++];
        o->name = text_of(s, q, 0);
        o->goal = goal_of(text_of(s, q, 1));
    }
    sqlite3_finalize(q);
    return SKY_OK;
}

static sky_err open_columns(sky__reader *t, sky__resident *s, sky_error *e)
{
    const char *names[SKY__RESIDENT_COLUMNS_MAX];
    size_t n = 0;
    /* The last two first: feasibility is always needed. */
    for (size_t i = s->n_infos; i-- > s->n_infos - 2;) {
        s->infos[i].resident = (int)n;
        names[n++] = s->infos[i].name;
    }
    s->feasible = s->infos[s->n_infos - 1].resident;
    for (size_t i = 0; i < s->n_infos - 2 && n < SKY__RESIDENT_COLUMNS_MAX; i++) {
        s->infos[i].resident = (int)n;
        names[n++] = s->infos[i].name;
    }
    const sky_columns_options o = {.names = names,
                                   .n = n,
                                   .rows_max = SKY__RESIDENT_ROWS_MAX,
                                   .texts = true,
                                   .stop_at_max = true};
    return sky_columns_open(&s->columns, sky__reader_store(t), s->name, &o, e);
}

static uint64_t new_epoch(const sky__resident *s)
{
    /* A random number would do; below 2^53, so that JavaScript can hold it. */
    return sky_hash_u64((uint64_t)sky_clock_ns(), (uint64_t)s->id) >> 12;
}

static sky_err open_one(sky__reader *t, const char *sweep, sky__resident **out, sky_error *e)
{
    sky_sweep_info info;
    sky_store *store = sky__reader_store(t);
    sky_err err = sky_store_sweep_find(store, sweep, &info, e);
    if (err != SKY_OK)
        return err;
    sky__resident *s = calloc(1, sizeof *s);
    if (s) {
        s->name = sky_arena_strdup(&s->arena, info.name);
        s->id = info.id;
        s->points = info.points;
        s->positions = info.positions;
    }
    sky_sweep_info_free(&info);
    if (!s || !s->name) {
        free(s);
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    }
    err = load_infos(s, sky_store_sqlite(store), e);
    if (err == SKY_OK)
        err = load_objectives(s, sky_store_sqlite(store), e);
    if (err == SKY_OK)
        err = open_columns(t, s, e);
    if (err != SKY_OK) {
        free_one(s);
        return err;
    }
    s->epoch = new_epoch(s);
    *out = s;
    return SKY_OK;
}

static void forget(sky__resident **list, sky__resident *s)
{
    for (sky__resident **at = list; *at; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            free_one(s);
            return;
        }
    }
}

static void make_room(sky__resident **list)
{
    size_t n = 0;
    sky__resident *oldest = NULL;
    for (sky__resident *s = *list; s; s = s->next, n++) {
        if (!oldest || s->used < oldest->used)
            oldest = s;
    }
    if (n >= SKY__RESIDENTS_MAX)
        forget(list, oldest);
}

/* Which sweep has that name now, and with which derived metrics? */
static sky_err identify(sky__reader *t, const char *sweep, int64_t *id, int64_t *generation,
                        sky_error *e)
{
    sqlite3_stmt *q = NULL;
    sqlite3 *db = sky_store_sqlite(sky__reader_store(t));
    *id = *generation = 0;
    if (sqlite3_prepare_v2(db, "SELECT id, generation FROM sky_sweeps WHERE name = ?", -1, &q,
                           NULL) != SQLITE_OK)
        return sql_fail(db, e);
    sqlite3_bind_text(q, 1, sweep, -1, SQLITE_STATIC);
    if (sqlite3_step(q) == SQLITE_ROW) {
        *id = sqlite3_column_int64(q, 0);
        *generation = sqlite3_column_int64(q, 1);
    }
    sqlite3_finalize(q);
    return SKY_OK;
}

sky_err sky__resident_schema(sky__reader *t, const char *sweep, sky__resident **out, sky_error *e)
{
    sky__resident **list = &sky__reader_kept(t)->residents, *s = *list;
    int64_t id, generation;
    sky_err err = identify(t, sweep, &id, &generation, e);
    while (err == SKY_OK && s && strcasecmp(s->name, sweep) != 0)
        s = s->next;
    if (s && (s->id != id || s->generation != generation)) {
        /* Other derived metrics, or deleted and made anew under its name: what is known of its columns
         * no longer holds. */
        forget(list, s);
        s = NULL;
    }
    if (err == SKY_OK && !s) {
        make_room(list);
        err = open_one(t, sweep, &s, e);
        if (err == SKY_OK) {
            s->generation = generation;
            s->next = *list;
            *list = s;
        }
    }
    if (err != SKY_OK)
        return err;
    s->used = (uint64_t)sky_clock_ns();
    *out = s;
    return SKY_OK;
}

static sky_err fresh(sky__reader *t, const char *sweep, uint32_t within_ms, sky__resident **out,
                     sky_error *e)
{
    sky_columns_change change = {0};
    sky__resident *s = NULL;
    for (int again = 0; again < 2; again++) {
        sky_err err = sky__resident_schema(t, sweep, &s, e);
        if (err != SKY_OK)
            return err;
        err = sky_columns_refresh_within(s->columns, within_ms, &change, e);
        if (err == SKY_OK && !change.reset) {
            s->more = change.more;
            *out = s;
            return SKY_OK;
        }
        forget(&sky__reader_kept(t)->residents, s); /* it changed between two reads */
        if (err != SKY_OK && (err != SKY_ENOTFOUND || again == 1))
            return err;
    }
    return sky_fail(e, SKY_EAGAIN, "sweep '%s' is changing: ask again", sweep);
}

bool sky__resident_read_on(sky__reader *t)
{
    enum { SLICE_MS = 50 }; /* whoever asks meanwhile waits for it */
    sky__resident *s = sky__reader_kept(t)->residents;
    sky__resident *latest = NULL;
    for (; s; s = s->next) {
        if (s->more && (!latest || s->used > latest->used))
            latest = s;
    }
    if (!latest || (uint64_t)sky_clock_ns() - latest->used > LEFT_ALONE_NS)
        return false;
    sky_columns_change change = {0};
    const sky_err err = sky_columns_refresh_within(latest->columns, SLICE_MS, &change, NULL);
    latest->more = change.more;
    if (err != SKY_OK ||
        change.reset) /* whoever asks next begins anew, and is told what is wrong */
        forget(&sky__reader_kept(t)->residents, latest);
    return true;
}

sky_err sky__resident_get(sky__reader *t, const char *sweep, sky__resident **out, sky_error *e)
{
    const sky_err err = fresh(t, sweep, 0, out, e);
    if (err == SKY_OK && sky_columns_full((*out)->columns))
        return sky_fail(e, SKY_ELIMIT,
                        "sweep '%s' has more than the %d rows that are kept for drawing", sweep,
                        SKY__RESIDENT_ROWS_MAX);
    return err;
}

sky_err sky__resident_for(sky__reader *t, const sky_http_request *r, const char *sweep,
                          sky__resident **out, sky_error *e)
{
    enum { WITHIN_MS_MAX = 10000 };
    uint64_t within_ms = 0;
    const sky_err err = sky__arg_u64(r, "within_ms", 0, WITHIN_MS_MAX, &within_ms, e);
    if (err != SKY_OK)
        return err;
    return within_ms ? fresh(t, sweep, (uint32_t)within_ms, out, e)
                     : sky__resident_get(t, sweep, out, e);
}

const sky__column_info *sky__resident_info(const sky__resident *s, const char *name)
{
    for (size_t i = 0; i < s->n_infos; i++) {
        if (strcasecmp(s->infos[i].name, name) == 0)
            return &s->infos[i];
    }
    return NULL;
}

sky_err sky__resident_column(const sky__resident *s, const char *name,
                             const sky__column_info **info, const double **values, sky_error *e)
{
    const sky__column_info *c = sky__resident_info(s, name);
    const char *names[SKY__INFOS_MAX];
    if (c && c->resident < 0)
        return sky_fail(e, SKY_ELIMIT, "column '%s' is beyond the %d that are kept for drawing",
                        name, SKY__RESIDENT_COLUMNS_MAX);
    if (c) {
        if (info)
            *info = c;
        *values = sky_columns_values(s->columns, (size_t)c->resident);
        return SKY_OK;
    }
    for (size_t i = 0; i < s->n_infos; i++)
        names[i] = s->infos[i].name;
    const char *near = sky_nearest(name, names, s->n_infos);
    return sky_fail(e, SKY_EINVAL, "sweep '%s' has no column '%.60s'%s%s%s", s->name, name,
                    near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

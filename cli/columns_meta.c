#include "cli/columns_meta.h"

#include <string.h>

#include "base/text.h"

enum { COLUMNS_MAX = SKY_PARAMS_MAX + 2 * SKY_METRICS_MAX };

sky_err cli_prepare(sky_store *s, const char *sql, sqlite3_stmt **out, sky_error *e)
{
    if (sqlite3_prepare_v2(sky_store_sqlite(s), sql, -1, out, NULL) == SQLITE_OK)
        return SKY_OK;
    return sky_fail(e, SKY_EINVAL, "%s", sqlite3_errmsg(sky_store_sqlite(s)));
}

static sky_goal goal_of(const char *text)
{
    return strcmp(text, "min") == 0 ? SKY_MIN : strcmp(text, "max") == 0 ? SKY_MAX : SKY_NO_GOAL;
}

static sky_err read_row(sqlite3_stmt *q, sky_arena *arena, cli_column *c)
{
    const char *role = (const char *)sqlite3_column_text(q, 0);
    const char *goal = (const char *)sqlite3_column_text(q, 4);
    c->role = strcmp(role, "param") == 0    ? CLI_PARAM
              : strcmp(role, "metric") == 0 ? CLI_METRIC
                                            : CLI_DERIVED;
    c->name = sky_arena_strdup(arena, (const char *)sqlite3_column_text(q, 1));
    c->unit = sky_arena_strdup(arena, (const char *)sqlite3_column_text(q, 3));
    c->goal = goal_of(goal);
    if (sky_type_parse((const char *)sqlite3_column_text(q, 2), &c->type) != SKY_OK)
        c->type = SKY_REAL; /* a derived metric's type is what its expression gives */
    return c->name && c->unit ? SKY_OK : SKY_ENOMEM;
}

sky_err cli_columns_read(sky_store *s, int64_t sweep, sky_arena *arena, cli_columns *out,
                         sky_error *e)
{
    sqlite3_stmt *q = NULL;
    cli_column *c = sky_new(arena, cli_column, COLUMNS_MAX);
    *out = (cli_columns){.c = c};
    if (!c)
        return sky_fail(e, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
    sky_err err = cli_prepare(
        s,
        "SELECT role, name, type, unit, goal FROM sky_columns_meta WHERE sweep = ?1 ORDER BY CASE "
        "role "
        "WHEN 'param' THEN 0 WHEN 'metric' THEN 1 WHEN 'derived' THEN 2 ELSE 3 END, ord",
        &q, e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_int64(q, 1, sweep);
    while (err == SKY_OK && sqlite3_step(q) == SQLITE_ROW && out->n < COLUMNS_MAX) {
        if (strcmp((const char *)sqlite3_column_text(q, 0), "constraint") == 0)
            out->constraints = true;
        else
            err = read_row(q, arena, &c[out->n++]);
    }
    sqlite3_finalize(q);
    return err == SKY_OK ? err : sky_fail(e, err, "%s", sky_strerror(err));
}

const cli_column *cli_column_find(const cli_columns *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->c[i].name, name) == 0)
            return &c->c[i];
    }
    return NULL;
}

sky_err cli_column_unknown(const cli_columns *c, const char *name, sky_error *e)
{
    const char *names[COLUMNS_MAX];
    for (size_t i = 0; i < c->n; i++)
        names[i] = c->c[i].name;
    const char *near = sky_nearest(name, names, c->n);
    return sky_fail(e, SKY_EINVAL,
                    near ? "there is no column '%s' (did you mean %s?)"
                         : "there is no column '%s'%s",
                    name, near ? near : "");
}

sky_err cli_objectives_read(sky_store *s, int64_t sweep, sky_arena *arena, sky_objective *out,
                            size_t max, size_t *n, sky_error *e)
{
    sqlite3_stmt *q = NULL;
    *n = 0;
    sky_err err = cli_prepare(
        s, "SELECT name, goal FROM sky_objectives WHERE sweep = ?1 ORDER BY ord", &q, e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_int64(q, 1, sweep);
    while (sqlite3_step(q) == SQLITE_ROW && *n < max) {
        out[*n].name = sky_arena_strdup(arena, (const char *)sqlite3_column_text(q, 0));
        out[*n].goal = goal_of((const char *)sqlite3_column_text(q, 1));
        if (!out[*n].name)
            err = sky_fail(e, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
        ++*n;
    }
    sqlite3_finalize(q);
    return err;
}

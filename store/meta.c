/* What the store says of a sweep and its columns, for the read side. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "store/read_internal.h"

void sky__meta_free(sky__meta *m)
{
    sky_arena_free(&m->arena);
    *m = (sky__meta){0};
}

static sky_err no_memory(sky_store *s, sky_error *e)
{
    return sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
}

static char *dup_column(sky__meta *m, sqlite3_stmt *q, int column)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    return sky_arena_strdup(&m->arena, text ? text : "");
}

static sky__role role_of(const char *text)
{
    return strcmp(text, "param") == 0     ? SKY__PARAM
           : strcmp(text, "metric") == 0  ? SKY__METRIC
           : strcmp(text, "derived") == 0 ? SKY__DERIVED
                                          : SKY__SYSTEM;
}

static sky_goal goal_of(const char *text)
{
    return strcmp(text, "min") == 0 ? SKY_MIN : strcmp(text, "max") == 0 ? SKY_MAX : SKY_NO_GOAL;
}

static sky_err load_columns(sky_store *s, sky__meta *m, sky_error *e)
{
    sky_err err;
    bool row = true;
    sqlite3_stmt *q =
        sky__stmt(s,
                  "SELECT role, name, type, goal, class FROM sky_columns_meta"
                  " WHERE sweep = ? AND role <> 'constraint'"
                  " ORDER BY CASE role WHEN 'param' THEN 0 WHEN 'metric' THEN 1 ELSE 2 END, ord",
                  &err, e);
    m->columns = sky_new(&m->arena, sky__meta_column, SKY__META_COLUMNS_MAX);
    if (err == SKY_OK && !m->columns)
        err = no_memory(s, e);
    if (err == SKY_OK)
        sqlite3_bind_int64(q, 1, m->id);
    while (err == SKY_OK) {
        err = sky__step(s, q, &row, e, "reading a sweep's columns");
        if (err != SKY_OK || !row)
            break;
        sky__meta_column *c = &m->columns[m->n_columns];
        char *role = dup_column(m, q, 0), *goal = dup_column(m, q, 3);
        const char *cls = (const char *)sqlite3_column_text(q, 4);
        const char *type = (const char *)sqlite3_column_text(q, 2);
        c->name = dup_column(m, q, 1);
        if (!c->name || !role || !goal || !cls || !type) {
            err = no_memory(s, e);
        } else if (m->n_columns + 3 > SKY__META_COLUMNS_MAX ||
                   sky_type_parse(type, &c->type) != SKY_OK) {
            err = sky_fail(e, SKY_EFORMAT, "%s: sky_columns_meta is damaged", s->path);
        } else {
            c->role = role_of(role);
            c->goal = goal_of(goal);
            c->exact = strcmp(cls, "exact") == 0;
            m->n_columns++;
        }
    }
    if (q)
        sqlite3_reset(q);
    if (err == SKY_OK) {
        m->columns[m->n_columns++] =
            (sky__meta_column){"sky_wall_s", SKY_REAL, SKY__SYSTEM, SKY_NO_GOAL, false};
        m->columns[m->n_columns++] =
            (sky__meta_column){"sky_env", SKY_INT, SKY__SYSTEM, SKY_NO_GOAL, false};
        m->columns[m->n_columns++] =
            (sky__meta_column){"sky_feasible", SKY_BOOL, SKY__SYSTEM, SKY_NO_GOAL, false};
    }
    return err;
}

static sky_err load_objectives(sky_store *s, sky__meta *m, sky_error *e)
{
    sky_err err;
    bool row = true;
    sqlite3_stmt *q =
        sky__stmt(s, "SELECT name, goal FROM sky_objectives WHERE sweep = ? ORDER BY ord", &err, e);
    m->objectives = sky_new(&m->arena, sky_objective, SKY__META_OBJECTIVES_MAX);
    if (err == SKY_OK && !m->objectives)
        err = no_memory(s, e);
    if (err == SKY_OK)
        sqlite3_bind_int64(q, 1, m->id);
    while (err == SKY_OK && m->n_objectives < SKY__META_OBJECTIVES_MAX) {
        err = sky__step(s, q, &row, e, "reading objectives");
        if (err != SKY_OK || !row)
            break;
        const char *goal = (const char *)sqlite3_column_text(q, 1);
        sky_objective *o = &m->objectives[m->n_objectives++];
        o->name = dup_column(m, q, 0);
        o->goal = goal_of(goal ? goal : "");
        if (!o->name)
            err = no_memory(s, e);
    }
    if (q)
        sqlite3_reset(q);
    return err;
}

sky_err sky__meta_load(sky_store *s, const char *sweep, sky__meta *out, sky_error *e)
{
    sky_sweep_info info;
    sky__meta m = {0};
    sky_err err = sky_store_sweep_find(s, sweep, &info, e);
    if (err != SKY_OK)
        return err;
    m.id = info.id;
    m.points = info.points;
    m.positions = info.positions;
    m.name = sky_arena_strdup(&m.arena, info.name);
    sky_sweep_info_free(&info);
    if (!m.name)
        err = no_memory(s, e);
    if (err == SKY_OK)
        err = load_columns(s, &m, e);
    if (err == SKY_OK)
        err = load_objectives(s, &m, e);
    if (err == SKY_OK)
        *out = m;
    else
        sky__meta_free(&m);
    return err;
}

const sky__meta_column *sky__meta_find(const sky__meta *m, const char *name)
{
    for (size_t i = 0; i < m->n_columns; i++) {
        if (strcasecmp(m->columns[i].name, name) == 0) /* as SQL would */
            return &m->columns[i];
    }
    return NULL;
}

sky_err sky__meta_unknown(const sky__meta *m, const char *name, sky_error *e)
{
    const char *names[SKY__META_COLUMNS_MAX];
    for (size_t i = 0; i < m->n_columns; i++)
        names[i] = m->columns[i].name;
    const char *near = sky_nearest(name, names, m->n_columns);
    if (near)
        return sky_fail(e, SKY_EINVAL, "sweep '%s' has no column '%s': did you mean '%s'?", m->name,
                        name, near);
    sky_buf b = {0};
    for (size_t i = 0; i < m->n_columns; i++)
        sky_buf_printf(&b, "%s%s", i ? ", " : "", names[i]);
    sky_err err = sky_fail(e, SKY_EINVAL, "sweep '%s' has no column '%s': it has %.600s", m->name,
                           name, sky_buf_str(&b));
    sky_buf_free(&b);
    return err;
}

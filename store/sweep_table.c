/* A sweep's own table: trial, the parameters, the metrics, sky_wall_s, sky_env, and virtual columns for
 * the derived metrics and sky_feasible. Virtual columns cost no byte and may be replaced at any time, since
 * dropping one rewrites no row.
 *
 * No NOT NULL and no CHECK: with one, SQLite would keep a journal for each statement, to undo half a
 * batch; here an error undoes the whole transaction. */
#include <assert.h>
#include <stdlib.h>
#include <strings.h>

#include "base/text.h"
#include "store/store_internal.h"

static const char *sql_type(sky_type t)
{
    switch (t) {
    case SKY_REAL:
        return "REAL";
    case SKY_TEXT:
        return "TEXT";
    case SKY_INT:
    case SKY_BOOL:
        break;
    }
    return "INTEGER";
}

static int by_name(const void *a, const void *b)
{
    return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

static sky_err check_names(const char **names, size_t n, sky_error *e)
{
    for (size_t i = 0; i < n; i++) {
        if (!sky_is_identifier(names[i]))
            return sky_fail(e, SKY_EINVAL,
                            "'%.80s' cannot be a column: expected letters, digits and _, not "
                            "beginning with a digit, at most 63",
                            names[i]);
        if (strncasecmp(names[i], "sky_", 4) == 0 || strcasecmp(names[i], "trial") == 0)
            return sky_fail(e, SKY_EINVAL, "'%s' is a name that the store uses itself", names[i]);
    }
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 1; i < n; i++) {
        if (strcasecmp(names[i - 1], names[i]) == 0)
            return sky_fail(e, SKY_EINVAL,
                            "'%s' and '%s' would be one column: SQL does not tell upper from lower "
                            "case",
                            names[i - 1], names[i]);
    }
    return SKY_OK;
}

sky_err sky__spec_check(const sky_sweep_spec *spec, sky_error *e)
{
    const sky_descriptor *job = spec->job;
    if (!sky_is_sweep_name(spec->name))
        return sky_fail(e, SKY_EINVAL,
                        "'%.120s' cannot name a sweep: expected a letter or digit, then letters, "
                        "digits, '.', '_' or '-', at most 100, not beginning with sky_ or sqlite_",
                        spec->name);
    if (job->n_params > SKY_PARAMS_MAX || job->n_metrics > SKY_METRICS_MAX ||
        spec->n_derived > SKY_METRICS_MAX)
        return sky_fail(e, SKY_ELIMIT, "sweep '%s' has more than %d parameters or %d metrics",
                        spec->name, SKY_PARAMS_MAX, SKY_METRICS_MAX);
    if (spec->points > INT64_MAX || spec->positions > INT64_MAX)
        return sky_fail(e, SKY_ELIMIT, "sweep '%s' has more than 2^63 trials", spec->name);
    size_t n = 0;
    const char **names =
        malloc((job->n_params + job->n_metrics + spec->n_derived + 1) * sizeof *names);
    if (!names)
        return sky_fail(e, SKY_ENOMEM, "sweep '%s': out of memory", spec->name);
    for (size_t i = 0; i < job->n_params; i++)
        names[n++] = job->params[i].name;
    for (size_t i = 0; i < job->n_metrics; i++)
        names[n++] = job->metrics[i].name;
    for (size_t i = 0; i < spec->n_derived; i++)
        names[n++] = spec->derived[i].name;
    sky_err err = check_names(names, n, e);
    free(names);
    return err;
}

static void derived_column(sky_buf *b, const sky_expression *x)
{
    sky_buf_sql_name(b, x->name);
    sky_buf_printf(b, " AS (%s) VIRTUAL", x->sql);
}

/* 1 where every constraint is true; NULL is not true. */
static void feasible_column(sky_buf *b, const sky_expression *constraints, size_t n)
{
    sky_buf_puts(b, "sky_feasible INTEGER AS (");
    for (size_t i = 0; i < n; i++)
        sky_buf_printf(b, "%s((%s) IS TRUE)", i ? " AND " : "", constraints[i].sql);
    sky_buf_puts(b, n ? ") VIRTUAL" : "1) VIRTUAL");
}

sky_err sky__table_create(sky_store *s, const sky_sweep_spec *spec, sky_error *e)
{
    const sky_descriptor *job = spec->job;
    sky_buf b = {0};
    sky_buf_puts(&b, "CREATE TABLE ");
    sky_buf_sql_name(&b, spec->name);
    sky_buf_puts(&b, " (\n  trial INTEGER PRIMARY KEY");
    for (size_t i = 0; i < job->n_params + job->n_metrics; i++) {
        const bool param = i < job->n_params;
        sky_buf_puts(&b, ",\n  ");
        sky_buf_sql_name(&b, param ? job->params[i].name : job->metrics[i - job->n_params].name);
        sky_buf_printf(
            &b, " %s",
            sql_type(param ? job->params[i].type : job->metrics[i - job->n_params].type));
    }
    sky_buf_puts(&b, ",\n  sky_wall_s REAL,\n  sky_env INTEGER");
    for (size_t i = 0; i < spec->n_derived; i++) {
        sky_buf_puts(&b, ",\n  ");
        derived_column(&b, &spec->derived[i]);
    }
    sky_buf_puts(&b, ",\n  ");
    feasible_column(&b, spec->constraints, spec->n_constraints);
    sky_buf_puts(&b, ")");
    return sky__exec_buf(s, &b, e, "making the sweep's table");
}

static void alter(sky_buf *b, const char *table, const char *verb)
{
    sky_buf_puts(b, "ALTER TABLE ");
    sky_buf_sql_name(b, table);
    sky_buf_puts(b, verb);
}

/* The last one first: a derived metric may use those before it, and sky_feasible all of them. */
static sky_err drop_derived(sky_store *s, int64_t id, const char *table, sky_error *e)
{
    sky_buf b = {0};
    alter(&b, table, " DROP COLUMN sky_feasible;\n");
    sqlite3_stmt *q = NULL;
    bool row = true;
    sky_err err = sky__prepare(s,
                               "SELECT name FROM sky_columns_meta WHERE sweep = ? AND role = "
                               "'derived' ORDER BY ord DESC",
                               &q, e);
    if (err == SKY_OK)
        sqlite3_bind_int64(q, 1, id);
    while (err == SKY_OK && row) {
        err = sky__step(s, q, &row, e, "reading derived metrics");
        if (err != SKY_OK || !row)
            break;
        alter(&b, table, " DROP COLUMN ");
        sky_buf_sql_name(&b, (const char *)sqlite3_column_text(q, 0));
        sky_buf_puts(&b, ";\n");
    }
    sqlite3_finalize(q);
    if (err == SKY_OK)
        return sky__exec_buf(s, &b, e, "replacing derived metrics");
    sky_buf_free(&b);
    return err;
}

sky_err sky__table_derive(sky_store *s, int64_t id, const sky_sweep_spec *spec, sky_error *e)
{
    sky_err err = drop_derived(s, id, spec->name, e);
    sky_buf b = {0};
    for (size_t i = 0; err == SKY_OK && i < spec->n_derived; i++) {
        alter(&b, spec->name, " ADD COLUMN ");
        derived_column(&b, &spec->derived[i]);
        sky_buf_puts(&b, ";\n");
    }
    if (err != SKY_OK)
        return err;
    alter(&b, spec->name, " ADD COLUMN ");
    feasible_column(&b, spec->constraints, spec->n_constraints);
    return sky__exec_buf(s, &b, e, "replacing derived metrics");
}

typedef struct meta_row {
    const char *role, *name, *type, *unit, *doc, *goal, *cls, *sql;
    size_t ord;
} meta_row;

static sky_err put(sky_store *s, int64_t id, const meta_row *r, sky_error *e)
{
    sky_err err;
    sqlite3_stmt *q =
        sky__stmt(s, "INSERT INTO sky_columns_meta VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", &err, e);
    if (err != SKY_OK)
        return err;
    const char *const texts[] = {r->name, r->type, r->unit, r->doc, r->goal, r->cls, r->sql};
    sqlite3_bind_int64(q, 1, id);
    sqlite3_bind_text(q, 2, r->role, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 3, (int64_t)r->ord);
    for (int i = 0; i < 7; i++)
        sqlite3_bind_text(q, 4 + i, texts[i] ? texts[i] : "", -1, SQLITE_STATIC);
    return sky__run(s, q, e, "describing columns");
}

static sky_err put_job(sky_store *s, int64_t id, const sky_descriptor *job, sky_error *e)
{
    sky_err err = SKY_OK;
    for (size_t i = 0; i < job->n_params && err == SKY_OK; i++) {
        const sky_param *p = &job->params[i];
        err = put(s, id,
                  &(meta_row){.role = "param",
                              .ord = i,
                              .name = p->name,
                              .type = sky_type_name(p->type),
                              .unit = p->unit,
                              .doc = p->doc},
                  e);
    }
    for (size_t i = 0; i < job->n_metrics && err == SKY_OK; i++) {
        const sky_metric *m = &job->metrics[i];
        err = put(s, id,
                  &(meta_row){.role = "metric",
                              .ord = i,
                              .name = m->name,
                              .type = sky_type_name(m->type),
                              .unit = m->unit,
                              .doc = m->doc,
                              .goal = sky_goal_name(m->goal),
                              .cls = sky_metric_class_name(m->cls)},
                  e);
    }
    return err;
}

static sky_err clear_meta(sky_store *s, int64_t id, sky_error *e)
{
    sky_err err;
    sqlite3_stmt *q = sky__stmt(
        s, "DELETE FROM sky_columns_meta WHERE sweep = ? AND role IN ('derived', 'constraint')",
        &err, e);
    if (err == SKY_OK) {
        sqlite3_bind_int64(q, 1, id);
        err = sky__run(s, q, e, "describing columns");
    }
    if (err == SKY_OK)
        q = sky__stmt(s, "DELETE FROM sky_objectives WHERE sweep = ?", &err, e);
    if (err == SKY_OK) {
        sqlite3_bind_int64(q, 1, id);
        err = sky__run(s, q, e, "describing objectives");
    }
    return err;
}

sky_err sky__meta_write(sky_store *s, int64_t id, const sky_sweep_spec *spec, bool with_job,
                        sky_error *e)
{
    sky_err err = with_job ? put_job(s, id, spec->job, e) : SKY_OK;
    if (err == SKY_OK)
        err = clear_meta(s, id, e);
    for (size_t i = 0; i < spec->n_derived && err == SKY_OK; i++) {
        const sky_expression *x = &spec->derived[i];
        err = put(s, id,
                  &(meta_row){
                      .role = "derived", .ord = i, .name = x->name, .type = "real", .sql = x->sql},
                  e);
    }
    for (size_t i = 0; i < spec->n_constraints && err == SKY_OK; i++)
        err = put(s, id,
                  &(meta_row){.role = "constraint", .ord = i, .sql = spec->constraints[i].sql}, e);
    for (size_t i = 0; i < spec->n_objectives && err == SKY_OK; i++) {
        sqlite3_stmt *q = sky__stmt(s, "INSERT INTO sky_objectives VALUES (?, ?, ?, ?)", &err, e);
        if (err != SKY_OK)
            break;
        sqlite3_bind_int64(q, 1, id);
        sqlite3_bind_int64(q, 2, (int64_t)i);
        sqlite3_bind_text(q, 3, spec->objectives[i].name, -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 4, sky_goal_name(spec->objectives[i].goal), -1, SQLITE_STATIC);
        err = sky__run(s, q, e, "describing objectives");
    }
    return err;
}

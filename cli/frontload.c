#include "cli/frontload.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static sky_err grow(cli_front_data *d, size_t *cap, bool by_point, sky_error *e)
{
    const size_t next = *cap ? *cap * 2 : 1024;
    bool ok = true;
#define GROW(p)                                                                                    \
    do {                                                                                           \
        void *grown = realloc((p), next * sizeof *(p));                                            \
        if (grown)                                                                                 \
            (p) = grown;                                                                           \
        else                                                                                       \
            ok = false;                                                                            \
    } while (0)
    GROW(d->ids);
    for (size_t j = 0; j < d->k; j++) {
        GROW(d->values[j]);
        if (by_point)
            GROW(d->spread[j]);
    }
    if (by_point)
        GROW(d->repeats);
#undef GROW
    *cap = next;
    return ok ? SKY_OK : sky_fail(e, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
}

static double value_of(sqlite3_stmt *q, int column)
{
    const int type = sqlite3_column_type(q, column);
    return type == SQLITE_INTEGER || type == SQLITE_FLOAT ? sqlite3_column_double(q, column) : NAN;
}

/* Adds one more repeat to row i by Welford's update; spread holds the sum of squares meanwhile. */
static void add_repeat(cli_front_data *d, size_t i, sqlite3_stmt *q)
{
    const double n = ++d->repeats[i];
    for (size_t j = 0; j < d->k; j++) {
        const double x = value_of(q, (int)j + 2), delta = x - d->values[j][i];
        if (x == d->values[j][i])
            continue; /* also infinities, whose difference is no number */
        d->values[j][i] += delta / n;
        d->spread[j][i] += delta * (x - d->values[j][i]);
    }
}

static sky_err read_rows(sqlite3_stmt *q, cli_front_data *d, bool by_point, sky_error *e)
{
    size_t cap = 0;
    int rc;
    int64_t point = -1;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        const int64_t trial = sqlite3_column_int64(q, 0), its_point = sqlite3_column_int64(q, 1);
        if (by_point && d->n && its_point == point) {
            add_repeat(d, d->n - 1, q);
            continue;
        }
        if (d->n == cap && grow(d, &cap, by_point, e) != SKY_OK)
            return SKY_ENOMEM;
        point = its_point;
        d->ids[d->n] = (uint64_t)trial;
        for (size_t j = 0; j < d->k; j++) {
            d->values[j][d->n] = value_of(q, (int)j + 2);
            if (by_point)
                d->spread[j][d->n] = 0;
        }
        if (by_point)
            d->repeats[d->n] = 1;
        d->n++;
    }
    if (rc != SQLITE_DONE)
        return sky_fail(e, SKY_EIO, "%s", sqlite3_errmsg(sqlite3_db_handle(q)));
    for (size_t i = 0; by_point && i < d->n; i++) {
        for (size_t j = 0; j < d->k; j++)
            d->spread[j][i] = d->repeats[i] > 1 ? sqrt(d->spread[j][i] / (d->repeats[i] - 1)) : 0;
    }
    return SKY_OK;
}

static void build_sql(const cli_front_query *query, sky_buf *sql)
{
    sky_buf_puts(sql, "SELECT trial, ");
    if (query->points)
        sky_buf_printf(sql, "trial %% %lld", (long long)query->points);
    else
        sky_buf_puts(sql, "trial");
    for (size_t j = 0; j < query->k; j++) {
        sky_buf_puts(sql, ", ");
        sky_buf_sql_name(sql, query->objectives[j].name);
    }
    sky_buf_puts(sql, " FROM ");
    sky_buf_sql_name(sql, query->table);
    sky_buf_puts(sql, query->constraints ? " WHERE sky_feasible" : " WHERE 1");
    if (query->where) /* the line end closes a comment in the expression */
        sky_buf_printf(sql, " AND (%s\n)", query->where);
    if (query->points)
        sky_buf_puts(sql, " ORDER BY 2, 1");
}

sky_err cli_front_load(sky_store *s, const cli_front_query *query, cli_front_data *out,
                       sky_error *e)
{
    sqlite3_stmt *q = NULL;
    sky_buf sql = {0};
    sky_goal goals[SKY_OBJECTIVES_MAX];
    *out = (cli_front_data){.k = query->k};
    build_sql(query, &sql);
    sky_err err = cli_prepare(s, sky_buf_str(&sql), &q, e);
    if (err == SKY_OK)
        err = read_rows(q, out, query->points > 0, e);
    sqlite3_finalize(q);
    sky_buf_free(&sql);
    if (err != SKY_OK)
        return err;
    for (size_t j = 0; j < query->k; j++)
        goals[j] = query->objectives[j].goal;
    out->on_front = calloc(out->n + 1, 1);
    if (!out->on_front)
        return sky_fail(e, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
    err = sky_front_batch((const double *const *)out->values, out->n, out->k, goals, out->on_front,
                          &out->n_front, &out->n_left_out);
    return err == SKY_OK ? err : sky_fail(e, err, "the front: %s", sky_strerror(err));
}

void cli_front_free(cli_front_data *d)
{
    free(d->ids);
    free(d->repeats);
    free(d->on_front);
    for (size_t j = 0; j < SKY_OBJECTIVES_MAX; j++) {
        free(d->values[j]);
        free(d->spread[j]);
    }
    *d = (cli_front_data){0};
}

static const cli_front_data *sorted; /* of compare(): qsort has no argument of ours */
static const cli_front_query *sorted_by;

static int compare(const void *a, const void *b)
{
    const size_t p = *(const size_t *)a, q = *(const size_t *)b;
    for (size_t j = 0; j < sorted->k; j++) {
        const double x = sorted->values[j][p], y = sorted->values[j][q];
        if (x != y)
            return (x < y) == (sorted_by->objectives[j].goal == SKY_MIN) ? -1 : 1;
    }
    return sorted->ids[p] < sorted->ids[q] ? -1 : sorted->ids[p] > sorted->ids[q];
}

sky_err cli_front_order(const cli_front_data *d, const cli_front_query *query, size_t *order)
{
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++) {
        if (d->on_front[i])
            order[n++] = i;
    }
    sorted = d;
    sorted_by = query;
    qsort(order, n, sizeof *order, compare);
    return SKY_OK;
}

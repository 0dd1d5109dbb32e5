#include "cli/frontplot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/columns.h"

/* The unit of a parameter or metric; derived metrics have none. */
static const char *unit_of(const sky_plan *plan, const char *name)
{
    const sky_descriptor *d = sky_plan_job(plan);
    for (size_t i = 0; i < d->n_params; i++) {
        if (strcmp(d->params[i].name, name) == 0)
            return d->params[i].unit;
    }
    for (size_t i = 0; i < d->n_metrics; i++) {
        if (strcmp(d->metrics[i].name, name) == 0)
            return d->metrics[i].unit;
    }
    return "";
}

typedef struct keyed { /* a row by the point (or trial) that it belongs to */
    uint64_t key;
    size_t row;
} keyed;

static int by_key(const void *a, const void *b)
{
    const keyed *p = a, *q = b;
    if (p->key != q->key)
        return p->key < q->key ? -1 : 1;
    return p->row < q->row ? -1 : p->row > q->row;
}

static int by_id(const void *a, const void *b)
{
    const uint64_t p = *(const uint64_t *)a, q = *(const uint64_t *)b;
    return p < q ? -1 : p > q;
}

/* One drawn point for each run of equal keys: the mean of its rows. A point is feasible if all
 * are. */
static void gather(cli_frontplot *f, const sky_columns *c, const keyed *rows, size_t n,
                   const uint64_t *front, size_t n_front, bool infeasible)
{
    const size_t k = f->plot.k;
    const double *feasible = infeasible ? NULL : sky_columns_values(c, k);
    size_t out = 0;
    for (size_t i = 0; i < n;) {
        size_t end = i;
        bool keep = true;
        while (end < n && rows[end].key == rows[i].key) {
            keep = keep && (!feasible || feasible[rows[end].row] != 0);
            end++;
        }
        for (size_t j = 0; keep && j < k; j++) {
            double sum = 0;
            for (size_t r = i; r < end; r++)
                sum += sky_columns_values(c, j)[rows[r].row];
            f->columns[j][out] = sum / (double)(end - i);
        }
        if (keep)
            f->on_front[out++] =
                bsearch(&rows[i].key, front, n_front, sizeof *front, by_id) != NULL;
        i = end;
    }
    f->plot.n = out;
}

static sky_err collect(cli_frontplot *f, sky_columns *c, const sky_fronts_view *v, bool infeasible,
                       sky_error *e)
{
    const size_t n = sky_columns_rows(c);
    keyed *rows = malloc((n + 1) * sizeof *rows);
    uint64_t *front = malloc((v->n + 1) * sizeof *front);
    bool ok = rows && front;
    f->on_front = calloc(n + 1, 1);
    for (size_t j = 0; j < f->plot.k; j++) {
        f->columns[j] = malloc((n + 1) * sizeof(double));
        ok = ok && f->columns[j];
    }
    if (ok && f->on_front) {
        const uint64_t points = sky_columns_points(c);
        for (size_t i = 0; i < n; i++) {
            const uint64_t trial = sky_columns_trials(c)[i];
            rows[i] = (keyed){.key = v->by_point ? trial % points : trial, .row = i};
        }
        qsort(rows, n, sizeof *rows, by_key);
        if (v->n)
            memcpy(front, v->ids, v->n * sizeof *front);
        qsort(front, v->n, sizeof *front, by_id);
        gather(f, c, rows, n, front, v->n, infeasible);
    }
    free(rows);
    free(front);
    return ok && f->on_front ? SKY_OK : sky_fail(e, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
}

sky_err cli_frontplot_load(cli_frontplot *f, sky_fronts *fronts, const sky_plan *plan,
                           bool infeasible, sky_error *e)
{
    sky_fronts_view v;
    sky_columns *c = NULL;
    const char *names[SKY_OBJECTIVES_MAX + 1];
    *f = (cli_frontplot){0};
    sky_err err = sky_fronts_view_get(fronts, &v, e);
    if (err != SKY_OK)
        return err;
    for (size_t j = 0; j < v.k; j++) {
        names[j] = v.objectives[j].name;
        f->axes[j] = (cli_axis){.name = v.objectives[j].name,
                                .unit = unit_of(plan, v.objectives[j].name),
                                .goal = v.objectives[j].goal};
    }
    names[v.k] = "sky_feasible";
    f->plot = (cli_plot){.title = sky_fronts_sweep(fronts),
                         .what = v.by_point ? "point" : "trial",
                         .k = v.k,
                         .axes = f->axes};
    const sky_columns_options options = {.names = names, .n = v.k + 1};
    err = sky_columns_open(&c, sky_fronts_store(fronts), sky_fronts_sweep(fronts), &options, e);
    if (err == SKY_OK)
        err = sky_columns_refresh(c, NULL, e);
    if (err == SKY_OK)
        err = collect(f, c, &v, infeasible, e);
    sky_columns_close(c);
    f->plot.columns = (const double *const *)f->columns;
    f->plot.on_front = f->on_front;
    return err;
}

void cli_frontplot_free(cli_frontplot *f)
{
    for (size_t j = 0; j < SKY_OBJECTIVES_MAX; j++)
        free(f->columns[j]);
    free(f->on_front);
    *f = (cli_frontplot){0};
}

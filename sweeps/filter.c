/* `where` over batches of points. */
#include <stdlib.h>

#include "sweeps/expr.h"
#include "sweeps/plan.h"
#include "sweeps/plan_internal.h"

struct sky_filter {
    sky__sql *sql;
    sky__query *query;
    bool trivial;
};

sky_err sky_filter_new(sky_filter **out, const sky_plan *p, sky_error *e)
{
    sky_filter *f = calloc(1, sizeof *f);
    const char **all = calloc(p->n_where + 1, sizeof *all);
    sky_err err = f && all ? SKY_OK : sky_fail(e, SKY_ENOMEM, "out of memory");
    for (size_t i = 0; err == SKY_OK && i < p->n_where; i++)
        all[i] = p->where[i].sql;
    if (err == SKY_OK)
        f->trivial = p->n_where == 0;
    if (err == SKY_OK && !f->trivial) {
        const sky__sql_names names = {&p->job, NULL, 0};
        err = sky__sql_open(&f->sql, &names, e);
        if (err == SKY_OK)
            err = sky__query_new(&f->query, f->sql, all, p->n_where, p->job.n_params, NULL, e);
    }
    free(all);
    if (err == SKY_OK)
        *out = f;
    else
        sky_filter_free(f);
    return err;
}

void sky_filter_free(sky_filter *f)
{
    if (!f)
        return;
    sky__query_free(f->query);
    sky__sql_close(f->sql);
    free(f);
}

bool sky_filter_is_trivial(const sky_filter *f)
{
    return f->trivial;
}

sky_err sky_filter_rows(sky_filter *f, const sky_column *columns, size_t n, uint8_t *keep,
                        sky_error *e)
{
    if (!f->trivial)
        return sky__query_rows(f->query, columns, n, keep, e);
    for (size_t i = 0; i < n; i++)
        keep[i] = 1;
    return SKY_OK;
}

/* A lease, worked through in chunks: decode, filter, evaluate, gather.
 *
 * A chunk's parameters are decoded right behind the rows that already wait to be sent; rows that fail or
 * are rejected are closed up, so that a part is sent from the columns as they stand. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "worker/executor_internal.h"

/* --- Columns --- */

static size_t size_of(sky_type type)
{
    return type == SKY_TEXT ? sizeof(const char *) : sizeof(int64_t);
}

static bool new_column(sky_arena *arena, sky_column *c, sky_type type, size_t rows, bool absent)
{
    c->type = type;
    c->i = sky_arena_alloc(arena, rows, size_of(type), _Alignof(max_align_t));
    c->absent = absent ? sky_new(arena, uint8_t, rows) : NULL;
    return c->i && (c->absent || !absent);
}

/* The column from a row on. */
static sky_column column_at(const sky_column *c, size_t row)
{
    sky_column at = *c;
    if (c->type == SKY_TEXT)
        at.s += row;
    else
        at.i += row; /* a double is as wide */
    if (c->absent)
        at.absent += row;
    return at;
}

_Static_assert(sizeof(double) == sizeof(int64_t), "columns of numbers are moved as int64_t");

static void move_row(sky_column *columns, size_t n, size_t to, size_t from)
{
    if (to == from)
        return;
    for (size_t c = 0; c < n; c++) {
        if (columns[c].type == SKY_TEXT)
            columns[c].s[to] = columns[c].s[from];
        else
            memcpy(&columns[c].i[to], &columns[c].i[from], sizeof *columns[c].i);
        if (columns[c].absent)
            columns[c].absent[to] = columns[c].absent[from];
    }
}

sky_err sky__executor_columns(sky__executor *x)
{
    const sky_descriptor *d = x->d;
    size_t bytes = (d->n_params + d->n_metrics + 1) * sizeof(int64_t);
    size_t rows = SKY__PART_BYTES_MAX / bytes;
    rows = rows > SKY__PART_ROWS_MAX ? SKY__PART_ROWS_MAX : rows;
    rows = rows < SKY__PART_ROWS_MIN ? SKY__PART_ROWS_MIN : rows;
    sky_arena *a = &x->perm;
    x->rows_max = rows;
    x->params = sky_new(a, sky_column, d->n_params + 1);
    x->params_at = sky_new(a, sky_column, d->n_params + 1);
    x->metrics = sky_new(a, sky_column, d->n_metrics + 1);
    x->metrics_at = sky_new(a, sky_column, d->n_metrics + 1);
    x->row_params = sky_new(a, sky_value, d->n_params + 1);
    x->row_metrics = sky_new(a, sky_value, d->n_metrics + 1);
    x->wall_s = sky_new(a, float, rows);
    x->positions = sky_new(a, uint64_t, SKY__BATCH_ROWS_MAX);
    x->trials = sky_new(a, uint64_t, SKY__BATCH_ROWS_MAX);
    x->seeds = sky_new(a, uint64_t, SKY__BATCH_ROWS_MAX);
    x->keep = sky_new(a, uint8_t, SKY__BATCH_ROWS_MAX);
    x->reasons = sky_new(a, const char *, SKY__BATCH_ROWS_MAX);
    if (!x->params || !x->params_at || !x->metrics || !x->metrics_at || !x->row_params ||
        !x->row_metrics || !x->wall_s || !x->positions || !x->trials || !x->seeds || !x->keep ||
        !x->reasons)
        return SKY_ENOMEM;
    bool ok = true;
    for (size_t p = 0; p < d->n_params; p++)
        ok = ok &&
             new_column(a, &x->params[p], d->params[p].type, rows, sky_plan_has_absent(x->plan, p));
    for (size_t m = 0; m < d->n_metrics; m++)
        ok = ok && new_column(a, &x->metrics[m], d->metrics[m].type, rows, true);
    return ok ? SKY_OK : SKY_ENOMEM;
}

/* --- Positions --- */

static bool lease_has_more(const sky__executor *x)
{
    return x->next_range < x->lease->positions.n;
}

/* The next positions of the lease, at most max. */
static size_t take_positions(sky__executor *x, uint64_t *positions, size_t max)
{
    size_t n = 0;
    while (n < max && lease_has_more(x)) {
        const sky_range *r = &x->lease->positions.r[x->next_range];
        uint64_t at = r->begin + x->next_offset;
        uint64_t here = r->end - at < max - n ? r->end - at : max - n;
        for (uint64_t i = 0; i < here; i++)
            positions[n++] = at + i;
        x->next_offset += here;
        if (at + here == r->end) {
            x->next_range++;
            x->next_offset = 0;
        }
    }
    return n;
}

static void return_rest(sky__executor *x)
{
    for (; lease_has_more(x); x->next_range++, x->next_offset = 0) {
        const sky_range *r = &x->lease->positions.r[x->next_range];
        sky__part_add(&x->part.returned, r->begin + x->next_offset, r->end);
    }
}

static const sky_column *columns_from(const sky_column *columns, sky_column *at, size_t n,
                                      size_t row)
{
    for (size_t c = 0; c < n; c++)
        at[c] = column_at(&columns[c], row);
    return at;
}

/* Decodes the chunk's n positions behind the part's rows, notes the holes and closes them up. Returns how
 * many positions are to be evaluated. */
static size_t decode_chunk(sky__executor *x, size_t n)
{
    size_t base = x->part.n_ok, n_params = x->d->n_params;
    for (size_t k = 0; k < n; k++)
        x->trials[k] = sky_plan_trial(x->plan, x->positions[k]);
    columns_from(x->params, x->params_at, n_params, base);
    sky_plan_decode_columns(x->plan, x->trials, n, x->params_at);
    if (sky_filter_is_trivial(x->filter))
        return n;
    sky_error e = {0};
    if (sky_filter_rows(x->filter, x->params_at, n, x->keep, &e) != SKY_OK)
        sky__executor_die(e.text); /* only out of memory: the expressions were compiled before */
    size_t kept = 0;
    for (size_t k = 0; k < n; k++) {
        if (!x->keep[k]) {
            sky__part_add(&x->part.holes, x->positions[k], x->positions[k] + 1);
            continue;
        }
        move_row(x->params, n_params, base + kept, base + k);
        x->positions[kept] = x->positions[k];
        x->trials[kept] = x->trials[k];
        kept++;
    }
    return kept;
}

/* --- Checks of what a job gave --- */

/* Why a metric cannot be recorded, or NULL. An integer for a real metric becomes one. */
static const char *check_metric(sky__executor *x, const sky_metric *m, sky_value *v)
{
    if (v->absent)
        return NULL;
    if (m->type == SKY_REAL && v->type == SKY_INT)
        *v = sky_real((double)v->i);
    if (v->type != m->type && !(m->type == SKY_INT && v->type == SKY_BOOL))
        return sky_arena_printf(&x->scratch, "metric '%s' is %s, declared as %s", m->name,
                                sky_type_name(v->type), sky_type_name(m->type));
    if (m->type == SKY_REAL && isnan(v->f))
        return sky_arena_printf(&x->scratch, "metric '%s' is NaN", m->name);
    if (m->type == SKY_TEXT && (!v->s || strlen(v->s) > SKY_MSG_TEXT_MAX))
        return sky_arena_printf(&x->scratch, "metric '%s' is no text, or one above 1 MiB", m->name);
    return NULL;
}

static const char *keep_text(sky__executor *x, const char *text)
{
    const char *copy = sky_arena_strdup(&x->part.texts, text);
    if (!copy)
        sky__executor_die("out of memory");
    return copy;
}

/* --- One point at a time --- */

static void begin_trial(sky__executor *x, size_t k, int64_t now_ns, size_t n)
{
    x->position = x->positions[k];
    x->ctx.trial = x->trials[k];
    x->ctx.seed = sky_plan_trial_seed(x->plan, x->trials[k]);
    x->trial_curve = x->part.n_curve;
    x->trial_artifacts = x->part.n_artifacts;
    x->trial_artifact_bytes = 0;
    sky__executor_running(x, x->positions[k], x->positions[k + n - 1] + 1, now_ns);
}

static sky_err call_run(sky__executor *x, sky_error *e)
{
    const sky_job *job = x->job;
    if (job->validate) {
        sky_err err = job->validate(x->row_params, e);
        if (err != SKY_OK)
            return err;
    }
    if (job->run_open)
        return job->run_open(&x->ctx, x->d, x->row_params, x->row_metrics, e);
    return job->run(&x->ctx, x->row_params, x->row_metrics, e);
}

/* Evaluates row k of the chunk, which lies at row `from` of the columns. */
static sky_err run_point(sky__executor *x, size_t from, const char **reason)
{
    for (size_t p = 0; p < x->d->n_params; p++)
        x->row_params[p] = sky_column_get(&x->params[p], from);
    for (size_t m = 0; m < x->d->n_metrics; m++)
        x->row_metrics[m] = sky_absent(x->d->metrics[m].type);
    sky_error e = {0};
    sky_err err = call_run(x, &e);
    if (err != SKY_OK) {
        *reason = sky_arena_strdup(&x->scratch, e.text[0] ? e.text : sky_strerror(err));
        return err;
    }
    for (size_t m = 0; m < x->d->n_metrics; m++) {
        *reason = check_metric(x, &x->d->metrics[m], &x->row_metrics[m]);
        if (*reason)
            return SKY_EFAILED;
    }
    return SKY_OK;
}

/* Puts the row just evaluated at the end of the part. */
static void gather_row(sky__executor *x, size_t from, int64_t wall_ns)
{
    size_t to = x->part.n_ok++;
    move_row(x->params, x->d->n_params, to, from);
    for (size_t m = 0; m < x->d->n_metrics; m++) {
        sky_value v = x->row_metrics[m];
        x->metrics[m].absent[to] = v.absent;
        if (v.absent && v.type == SKY_TEXT)
            x->metrics[m].s[to] = "";
        else if (v.absent)
            x->metrics[m].i[to] = 0;
        else if (v.type == SKY_TEXT)
            x->metrics[m].s[to] = keep_text(x, v.s);
        else
            memcpy(&x->metrics[m].i[to], &v.i, sizeof v.i);
    }
    x->wall_s[to] = (float)((double)wall_ns * 1e-9);
    sky__part_add(&x->part.ok, x->position, x->position + 1);
}

/* Evaluates the chunk's n rows one by one. False when the agent is gone. */
static bool run_points(sky__executor *x, size_t n)
{
    size_t base = x->part.n_ok;
    int64_t now_ns = sky_clock_ns();
    for (size_t k = 0; k < n; k++) {
        if (sky__executor_stopping(x) || atomic_load(&x->page->drain)) {
            for (; k < n; k++)
                sky__part_add(&x->part.returned, x->positions[k], x->positions[k] + 1);
            break;
        }
        begin_trial(x, k, now_ns, 1);
        int64_t begin_ns = now_ns;
        const char *reason = NULL;
        sky_err err = run_point(x, base + k, &reason);
        now_ns = sky_clock_ns();
        if (err == SKY_OK) {
            gather_row(x, base + k, now_ns - begin_ns);
        } else {
            sky__part_forget_trial(x);
            if (err == SKY_ECANCELLED && sky__executor_stopping(x))
                sky__part_add(&x->part.returned, x->position, x->position + 1);
            else
                sky__part_fail(x, x->position, reason ? reason : "failed", sky__executor_log(x));
        }
        sky_arena_reset(&x->scratch);
        /* Later rows stay where they are: rows only ever move towards the front. */
        if (k + 1 < n && sky__part_is_due(x, now_ns) && !sky__part_send(x, false, now_ns))
            return false;
    }
    sky__executor_idle(x);
    return true;
}

/* --- Many points in one call --- */

/* Marks the rows of a batch whose metrics cannot be recorded. */
static void check_batch(sky__executor *x, size_t n)
{
    for (size_t m = 0; m < x->d->n_metrics; m++) {
        const sky_metric *metric = &x->d->metrics[m];
        const sky_column *c = &x->metrics_at[m];
        for (size_t k = 0; k < n; k++) {
            if (x->reasons[k] || c->absent[k])
                continue;
            if (metric->type == SKY_REAL && !isnan(c->f[k]))
                continue; /* the loop's usual case */
            if (metric->type == SKY_INT || metric->type == SKY_BOOL)
                continue;
            sky_value v = sky_column_get(c, k);
            x->reasons[k] = check_metric(x, metric, &v);
        }
    }
}

/* Takes the batch's good rows into the part, closes up the failed ones. */
static void gather_batch(sky__executor *x, size_t n, int64_t wall_ns)
{
    size_t base = x->part.n_ok;
    float wall_s = (float)((double)wall_ns * 1e-9 / (double)n);
    const char *log = NULL;
    bool log_read = false;
    for (size_t k = 0; k < n; k++) {
        uint64_t position = x->positions[k];
        if (x->reasons[k]) {
            if (!log_read) /* nobody knows which row wrote it: the first failed one gets it */
                log = sky__executor_log(x);
            sky__part_fail(x, position, x->reasons[k], log_read ? NULL : log);
            log_read = true;
            continue;
        }
        size_t to = x->part.n_ok++;
        move_row(x->params, x->d->n_params, to, base + k);
        move_row(x->metrics, x->d->n_metrics, to, base + k);
        for (size_t m = 0; m < x->d->n_metrics; m++) {
            if (x->d->metrics[m].type == SKY_TEXT)
                x->metrics[m].s[to] =
                    keep_text(x, x->metrics[m].absent[to] ? "" : x->metrics[m].s[to]);
        }
        x->wall_s[to] = wall_s;
        sky__part_add(&x->part.ok, position, position + 1);
    }
}

/* Fails the rows that validate() rejects and closes them up; returns how many are left. */
static size_t drop_invalid(sky__executor *x, size_t n)
{
    if (!x->job->validate)
        return n;
    size_t base = x->part.n_ok, kept = 0;
    for (size_t k = 0; k < n; k++) {
        for (size_t p = 0; p < x->d->n_params; p++)
            x->row_params[p] = sky_column_get(&x->params[p], base + k);
        sky_error e = {0};
        sky_err err = x->job->validate(x->row_params, &e);
        if (err != SKY_OK) {
            sky__part_fail(x, x->positions[k], e.text[0] ? e.text : sky_strerror(err), NULL);
            continue;
        }
        move_row(x->params, x->d->n_params, base + kept, base + k);
        x->positions[kept] = x->positions[k];
        x->trials[kept] = x->trials[k];
        kept++;
    }
    return kept;
}

/* Calls run_batch() for rows [first, first + n) of the chunk. */
static sky_err call_batch(sky__executor *x, size_t first, size_t n, sky_error *e)
{
    size_t base = x->part.n_ok + first;
    columns_from(x->params, x->params_at, x->d->n_params, base);
    columns_from(x->metrics, x->metrics_at, x->d->n_metrics, base);
    for (size_t m = 0; m < x->d->n_metrics; m++)
        memset(x->metrics_at[m].absent, 0, n);
    begin_trial(x, first, sky_clock_ns(), n);
    return x->job->run_batch(&x->ctx, n, x->seeds + first, x->params_at, x->metrics_at, e);
}

/* A batch that failed as a whole does not say whose fault it is: each row is tried alone. */
static void run_rows_alone(sky__executor *x, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        if (x->reasons[k])
            continue;
        const char *kept = x->reasons[0];
        x->reasons[0] = NULL; /* fail_row(0) means row k in this call */
        sky_error e = {0};
        sky_err err = call_batch(x, k, 1, &e);
        const char *reason = x->reasons[0];
        x->reasons[0] = kept;
        if (err != SKY_OK && !reason)
            reason = sky_arena_strdup(&x->scratch, e.text[0] ? e.text : sky_strerror(err));
        if (reason)
            x->reasons[k] = reason;
    }
    columns_from(x->metrics, x->metrics_at, x->d->n_metrics, x->part.n_ok);
}

static void run_batch(sky__executor *x, size_t n)
{
    n = drop_invalid(x, n);
    if (n == 0)
        return;
    memset(x->reasons, 0, n * sizeof *x->reasons);
    for (size_t k = 0; k < n; k++)
        x->seeds[k] = sky_plan_trial_seed(x->plan, x->trials[k]);
    int64_t begin_ns = sky_clock_ns();
    sky_error e = {0};
    if (call_batch(x, 0, n, &e) != SKY_OK)
        run_rows_alone(x, n);
    int64_t wall_ns = sky_clock_ns() - begin_ns;
    sky__executor_idle(x);
    check_batch(x, n);
    gather_batch(x, n, wall_ns);
    sky_arena_reset(&x->scratch);
    x->row_ns = wall_ns / (int64_t)n + 1;
}

/* How many positions the next chunk takes. A batch grows eightfold from one row, so that the first ones
 * of a slow job, and a time limit, are met. */
static size_t chunk_rows(sky__executor *x)
{
    size_t room = x->rows_max - x->part.n_ok;
    if (!x->job->run_batch)
        return room < SKY__POINT_ROWS_MAX ? room : SKY__POINT_ROWS_MAX;
    if (x->lease->isolate)
        return 1;
    size_t rows = 1;
    if (x->row_ns > 0) {
        int64_t budget_ns = SKY__BATCH_MS * INT64_C(1000000);
        int64_t timeout_ns = sky_plan_limits(x->plan)->timeout_ns;
        if (timeout_ns > 0 && timeout_ns / 4 < budget_ns)
            budget_ns = timeout_ns / 4;
        rows = (size_t)(budget_ns / x->row_ns) + 1;
        rows = rows < x->batch_rows * 8 ? rows : x->batch_rows * 8;
    }
    rows = rows < SKY__BATCH_ROWS_MAX ? rows : SKY__BATCH_ROWS_MAX;
    x->batch_rows = rows;
    return rows < room ? rows : room;
}

/* No trial can run here: a few are charged, so that the sweep shows why, the rest goes back. */
static void fail_setup(sky__executor *x)
{
    uint64_t positions[SKY__SETUP_FAILURES_MAX];
    size_t n = take_positions(x, positions, SKY__SETUP_FAILURES_MAX);
    for (size_t k = 0; k < n; k++)
        sky__part_fail(x, positions[k], x->setup.text, NULL);
}

bool sky__executor_lease(sky__executor *x, const sky_msg_lease *l)
{
    x->lease = l;
    x->next_range = 0;
    x->next_offset = 0;
    x->part.begin_ns = sky_clock_ns();
    if (x->setup.code != SKY_OK)
        fail_setup(x);
    while (x->setup.code == SKY_OK && lease_has_more(x)) {
        if (sky__executor_stopping(x) || atomic_load(&x->page->drain))
            break;
        size_t n = take_positions(x, x->positions, chunk_rows(x));
        n = decode_chunk(x, n);
        if (n > 0 && x->job->run_batch)
            run_batch(x, n);
        else if (n > 0 && !run_points(x, n))
            return false;
        int64_t now_ns = sky_clock_ns();
        if (lease_has_more(x) && sky__part_is_due(x, now_ns) && !sky__part_send(x, false, now_ns))
            return false;
    }
    return_rest(x);
    return sky__part_send(x, true, sky_clock_ns());
}

/* Results on their way into the store.
 *
 * The coordinator decodes the parameters of every row itself and compares them, by hash, with those
 * that the worker evaluated: a worker of another build, or with a damaged plan, cannot put its
 * numbers under the wrong point. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "coordinator/coordinator_internal.h"

static const char *MODULE = "coordinator";

/* --- Decoding --- */

static bool make_column(sky_arena *arena, sky_column *c, sky_type type, bool may_be_absent,
                        size_t n)
{
    c->type = type;
    c->absent = may_be_absent ? sky_new(arena, uint8_t, n) : NULL;
    if (type == SKY_REAL)
        c->f = sky_new(arena, double, n);
    else if (type == SKY_TEXT)
        c->s = sky_new(arena, const char *, n);
    else
        c->i = sky_new(arena, int64_t, n);
    return c->i && (c->absent || !may_be_absent);
}

/* The parameters of the positions of a result, which all lie in the sweep. */
static bool decode_rows(sky_coordinator *c, const sky__known *k, const sky_msg_result *r, size_t n)
{
    const sky_descriptor *d = sky_plan_job(k->plan);
    uint64_t *trials = sky_new(&c->arena, uint64_t, n);
    sky_column *params = sky_new(&c->arena, sky_column, d->n_params + 1);
    if (!trials || !params)
        return false;
    size_t row = 0;
    for (size_t i = 0; i < r->ok.n; i++) {
        for (uint64_t p = r->ok.r[i].begin; p < r->ok.r[i].end; p++)
            trials[row++] = sky_plan_trial(k->plan, p);
    }
    assert(row == n);
    for (size_t i = 0; i < d->n_params; i++) {
        if (!make_column(&c->arena, &params[i], d->params[i].type, sky_plan_has_absent(k->plan, i),
                         n))
            return false;
    }
    sky_plan_decode_columns(k->plan, trials, n, params);
    c->rows = (sky__rows){.result = r, .n = n, .trials = trials, .params = params};
    return true;
}

/* --- Checking --- */

/* What is wrong with the rows of a result, into why; false if nothing is. */
static bool find_fault(const sky_coordinator *c, const sky__known *k, const sky_msg_result *r,
                       char *why, size_t len)
{
    const sky_descriptor *d = sky_plan_job(k->plan);
    if (r->n_metrics != d->n_metrics) {
        snprintf(why, len, "%zu metrics instead of %zu", r->n_metrics, d->n_metrics);
        return true;
    }
    for (size_t i = 0; i < d->n_metrics; i++) {
        if (r->metrics[i].type == d->metrics[i].type)
            continue;
        snprintf(why, len, "metric %s is %s instead of %s", d->metrics[i].name,
                 sky_type_name(r->metrics[i].type), sky_type_name(d->metrics[i].type));
        return true;
    }
    if (sky_columns_hash(c->rows.params, d->n_params, c->rows.n) == r->values_hash)
        return false;
    snprintf(why, len,
             "they are of other parameter values: the worker decodes the plan differently");
    return true;
}

/* Makes the rows of a result positions that nobody has tried. */
static bool return_rows(sky_coordinator *c, sky_msg_result *r)
{
    sky_ranges all = {0};
    bool ok = true;
    for (size_t i = 0; i < r->ok.n; i++)
        ok = ok && sky_ranges_add(&all, r->ok.r[i].begin, r->ok.r[i].end) != UINT64_MAX;
    for (size_t i = 0; i < r->returned.n; i++)
        ok = ok && sky_ranges_add(&all, r->returned.r[i].begin, r->returned.r[i].end) != UINT64_MAX;
    sky_range *copy = ok ? sky_new(&c->arena, sky_range, all.n ? all.n : 1) : NULL;
    if (copy && all.n)
        memcpy(copy, all.r, all.n * sizeof *copy);
    r->returned = (sky_range_list){.r = copy, .n = all.n};
    r->ok = (sky_range_list){0};
    r->n_metrics = r->n_curve = r->n_artifacts = 0;
    r->wall_s = NULL;
    c->rows = (sky__rows){0};
    sky_ranges_free(&all);
    return copy != NULL;
}

static bool has_nan(const sky_msg_result *r, size_t row, size_t *metric)
{
    for (size_t i = 0; i < r->n_metrics; i++) {
        const sky_column *m = &r->metrics[i];
        if (m->type != SKY_REAL || (m->absent && m->absent[row]) || !isnan(m->f[row]))
            continue;
        *metric = i;
        return true;
    }
    return false;
}

/* Copies those rows of a column whose keep is set. */
static bool keep_rows(sky_arena *arena, sky_column *out, const sky_column *in, const uint8_t *keep,
                      size_t n)
{
    sky_column source = *in, copy;
    if (!make_column(arena, &copy, in->type, in->absent != NULL, n))
        return false;
    size_t to = 0;
    for (size_t row = 0; row < n; row++) {
        if (!keep[row])
            continue;
        sky_value v = sky_column_get(&source, row);
        sky_column_set(&copy, to++, &v);
    }
    *out = copy;
    return true;
}

/* The rows of c->rows and of a result without those whose keep is not set. */
static bool drop_rows(sky_coordinator *c, const sky__known *k, sky_msg_result *r,
                      const uint8_t *keep)
{
    size_t n = c->rows.n, to = 0, n_params = sky_plan_job(k->plan)->n_params;
    uint64_t *trials = sky_new(&c->arena, uint64_t, n);
    float *wall_s = r->wall_s ? sky_new(&c->arena, float, n) : NULL;
    sky_column *metrics = sky_new(&c->arena, sky_column, r->n_metrics + 1);
    sky_column *params = sky_new(&c->arena, sky_column, n_params + 1);
    if (!trials || !metrics || !params || (r->wall_s && !wall_s))
        return false;
    bool ok = true;
    for (size_t i = 0; i < r->n_metrics; i++)
        ok = ok && keep_rows(&c->arena, &metrics[i], &r->metrics[i], keep, n);
    for (size_t i = 0; i < n_params; i++)
        ok = ok && keep_rows(&c->arena, &params[i], &c->rows.params[i], keep, n);
    for (size_t row = 0; row < n; row++) {
        if (!keep[row])
            continue;
        if (wall_s)
            wall_s[to] = r->wall_s[row];
        trials[to++] = c->rows.trials[row];
    }
    r->metrics = metrics;
    r->wall_s = wall_s;
    c->rows = (sky__rows){.result = r, .n = to, .trials = trials, .params = params};
    return ok;
}

/* A NaN says that the job failed without knowing it. */
static bool fail_nan_rows(sky_coordinator *c, const sky__known *k, sky_msg_result *r)
{
    size_t n = c->rows.n, n_bad = 0, metric = 0;
    for (size_t row = 0; row < n; row++)
        n_bad += has_nan(r, row, &metric);
    if (n_bad == 0)
        return true;
    uint8_t *keep = sky_new(&c->arena, uint8_t, n);
    sky_failed_attempt *failed = sky_new(&c->arena, sky_failed_attempt, r->n_failed + n_bad);
    sky_range *ranges = sky_new(&c->arena, sky_range, r->ok.n + n_bad);
    if (!keep || !failed || !ranges)
        return false;
    if (r->n_failed)
        memcpy(failed, r->failed, r->n_failed * sizeof *failed);
    size_t row = 0, n_failed = r->n_failed, n_ranges = 0;
    for (size_t i = 0; i < r->ok.n; i++) {
        for (uint64_t p = r->ok.r[i].begin; p < r->ok.r[i].end; p++, row++) {
            keep[row] = !has_nan(r, row, &metric);
            if (!keep[row]) {
                const char *name = sky_plan_job(k->plan)->metrics[metric].name;
                failed[n_failed++] = (sky_failed_attempt){
                    .position = p,
                    .kind = SKY_FAILURE_ERROR,
                    .reason = sky_arena_printf(&c->arena, "metric %s is NaN", name),
                    .log = ""};
            } else if (n_ranges && ranges[n_ranges - 1].end == p) {
                ranges[n_ranges - 1].end++;
            } else {
                ranges[n_ranges++] = (sky_range){p, p + 1};
            }
        }
    }
    r->ok = (sky_range_list){.r = ranges, .n = n_ranges};
    r->failed = failed;
    r->n_failed = n_failed;
    return drop_rows(c, k, r, keep);
}

static void reject(sky_coordinator *c, const sky_session *session, const sky__known *k,
                   const char *why)
{
    c->rejected++;
    sky_log(SKY_LOG_ERROR, MODULE, "sweep %s: results of worker %02x%02x%02x%02x are rejected: %s",
            k->name, session->b[0], session->b[1], session->b[2], session->b[3], why);
    sky_sched_exclude(c->sched, session, k->id);
}

bool sky__coord_check_result(sky_coordinator *c, const sky_session *session, sky_msg_result *r)
{
    const sky__known *k = sky__known_by_id(c, r->sweep);
    uint64_t n = sky_range_list_count(&r->ok);
    if (n == 0)
        return true;
    if (!k || !k->plan) /* not running: the scheduler acknowledges it, and that is all */
        return true;
    /* Of a time when the sweep had more repeats: the rows cannot be told apart by one hash. */
    if (r->ok.r[r->ok.n - 1].end > sky_plan_positions(k->plan))
        return return_rows(c, r);
    if (!decode_rows(c, k, r, (size_t)n))
        return false;
    char why[256];
    if (find_fault(c, k, r, why, sizeof why)) {
        reject(c, session, k, why);
        return return_rows(c, r);
    }
    return fail_nan_rows(c, k, r);
}

/* --- Recording --- */

static sky_err record_curve(sky_coordinator *c, const sky__known *k, const sky_action_record *a,
                            sky_error *e)
{
    enum { VALUES_MAX = 256 };
    const sky_msg_result *r = a->result;
    for (size_t i = 0, n; i < r->n_curve; i += n) {
        const char *names[VALUES_MAX];
        double values[VALUES_MAX];
        const sky_curve_step *first = &r->curve[i];
        for (n = 0; i + n < r->n_curve && n < VALUES_MAX; n++) {
            const sky_curve_step *s = &r->curve[i + n];
            if (s->position != first->position || s->step != first->step)
                break;
            names[n] = s->name;
            values[n] = s->value;
        }
        if (!sky_ranges_has(a->positions, first->position))
            continue;
        uint64_t trial = sky_plan_trial(k->plan, first->position);
        sky_err err =
            sky_store_curve(c->o.store, a->sweep, trial, first->step, n, names, values, e);
        if (err)
            return err;
    }
    return SKY_OK;
}

static sky_err record_artifacts(sky_coordinator *c, const sky__known *k, const sky_action_record *a,
                                sky_error *e)
{
    for (size_t i = 0; i < a->result->n_artifacts; i++) {
        const sky_artifact *f = &a->result->artifacts[i];
        if (!sky_ranges_has(a->positions, f->position))
            continue;
        uint64_t trial = sky_plan_trial(k->plan, f->position);
        sky_error why = {0};
        sky_err err =
            sky_store_artifact(c->o.store, a->sweep, trial, f->name, f->bytes, f->len, &why);
        if (err == SKY_ELIMIT || err == SKY_EEXISTS || err == SKY_EINVAL) {
            sky_log(SKY_LOG_WARN, MODULE, "sweep %s: artifact %s of trial %llu is dropped: %s",
                    k->name, f->name, (unsigned long long)trial, why.text);
        } else if (err) {
            if (e)
                *e = why;
            return err;
        }
    }
    return SKY_OK;
}

static bool leave_out(sky_coordinator *c, const sky__known *k, const sky_ranges *skip,
                      sky_msg_result *r)
{
    uint8_t *keep = sky_new(&c->arena, uint8_t, c->rows.n + 1);
    if (!keep)
        return false;
    size_t row = 0;
    for (size_t i = 0; i < r->ok.n; i++) {
        for (uint64_t p = r->ok.r[i].begin; p < r->ok.r[i].end; p++)
            keep[row++] = !sky_ranges_has(skip, p);
    }
    return drop_rows(c, k, r, keep);
}

sky_err sky__coord_record(sky_coordinator *c, const sky_action_record *a, sky_error *e)
{
    sky__known *k = sky__known_by_id(c, a->sweep);
    assert(k && k->plan && (c->rows.result == a->result || a->result->ok.n == 0));
    sky_msg_result r = *a->result;
    if (a->skip && c->rows.n && !leave_out(c, k, a->skip, &r))
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    const sky_record record = {.sweep = a->sweep,
                               .n = c->rows.n,
                               .trials = c->rows.trials,
                               .params = c->rows.params,
                               .metrics = r.metrics,
                               .wall_s = r.wall_s,
                               .env = a->env,
                               .positions = a->positions,
                               .n_holes = a->n_holes};
    if (record.n == 0 && a->positions->count == 0)
        return SKY_OK;
    uint64_t duplicates = 0, differing = 0;
    sky_err err = sky_store_record(c->o.store, &record, &duplicates, &differing, e);
    if (err)
        return err;
    c->uncommitted_rows += record.n - duplicates;
    c->duplicates += duplicates;
    c->differing += differing;
    if (differing && !k->warned) {
        k->warned = true;
        sky_log(SKY_LOG_WARN, MODULE,
                "sweep %s: a second evaluation of a trial gave other exact metrics: job %s is not "
                "deterministic",
                k->name, k->job);
    }
    err = record_curve(c, k, a, e);
    return err ? err : record_artifacts(c, k, a, e);
}

sky_err sky__coord_fail(sky_coordinator *c, const sky_action_fail *a, sky_error *e)
{
    const sky__known *k = sky__known_by_id(c, a->sweep);
    assert(k && k->plan);
    size_t len = a->log ? strlen(a->log) : 0;
    size_t cut = len > SKY_LOG_BYTES_MAX ? len - SKY_LOG_BYTES_MAX : 0;
    const sky_failure f = {.sweep = a->sweep,
                           .position = a->position,
                           .trial = sky_plan_trial(k->plan, a->position),
                           .attempts = a->attempts,
                           .quarantined = a->quarantined,
                           .kind = a->kind,
                           .reason = a->reason,
                           .log = len ? a->log + cut : NULL,
                           .log_len = len - cut,
                           .env = a->env};
    return sky_store_fail(c->o.store, &f, e);
}

#include "store/fronts.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "store/columns.h"
#include "store/read_internal.h"

/* The front over points, computed anew when rows came. All arrays are freed together. */
typedef struct points {
    size_t n; /* points with a value, in order of their number */
    uint64_t *ids, *trials;
    double *means, *spreads; /* n rows of k */
    uint32_t *repeats;
    size_t n_front;
    uint64_t *front_ids, *front_trials;
    double *front_means, *front_spreads;
    uint32_t *front_repeats;
} points;

struct sky_fronts {
    sky_store *store;
    char *sweep;
    sky_arena arena;
    sky_objective *objectives;
    size_t k;
    double *reference;
    bool by_trial, by_point, infeasible_too;
    bool incomplete;      /* the last refresh failed after its rows were read */
    sky_columns *columns; /* the objectives, then sky_feasible */
    sky_front *front;     /* of trials */
    points points;
    uint64_t considered, infeasible, without_value;
};

static sky_err no_memory(const sky_fronts *f, sky_error *e)
{
    return sky_fail(e, SKY_ENOMEM, "%s: out of memory", f->store->path);
}

/* ---- Open ---- */

static sky_err take_objective(sky_fronts *f, const sky__meta *meta, const sky_objective *o,
                              sky_error *e)
{
    const sky__meta_column *c = sky__meta_find(meta, o->name);
    if (!c)
        return sky__meta_unknown(meta, o->name, e);
    for (size_t i = 0; i < f->k; i++) {
        if (strcasecmp(f->objectives[i].name, c->name) == 0)
            return sky_fail(e, SKY_EINVAL, "objective '%s' comes twice", c->name);
    }
    const sky_goal goal = o->goal != SKY_NO_GOAL ? o->goal : c->goal;
    if (goal == SKY_NO_GOAL)
        return sky_fail(e, SKY_EINVAL, "objective '%s' needs a goal: %s:min or %s:max", c->name,
                        c->name, c->name);
    f->objectives[f->k].name = sky_arena_strdup(&f->arena, c->name);
    f->objectives[f->k].goal = goal;
    if (!f->objectives[f->k].name)
        return no_memory(f, e);
    f->k++;
    return SKY_OK;
}

static sky_err take_objectives(sky_fronts *f, const sky__meta *meta, const sky_fronts_options *o,
                               sky_error *e)
{
    const sky_objective *list = o->n_objectives ? o->objectives : meta->objectives;
    const size_t n = o->n_objectives ? o->n_objectives : meta->n_objectives;
    if (n == 0)
        return sky_fail(e, SKY_EINVAL, "sweep '%s' has no objectives: name some, such as %s:min",
                        meta->name,
                        meta->n_columns > 3 ? meta->columns[meta->n_columns - 4].name : "metric");
    if (n > SKY_OBJECTIVES_MAX)
        return sky_fail(e, SKY_ELIMIT, "found %zu objectives, a front has at most %d", n,
                        SKY_OBJECTIVES_MAX);
    f->objectives = sky_new(&f->arena, sky_objective, n);
    f->reference = o->reference ? sky_new(&f->arena, double, n) : NULL;
    if (!f->objectives || (o->reference && !f->reference))
        return no_memory(f, e);
    sky_err err = SKY_OK;
    for (size_t i = 0; i < n && err == SKY_OK; i++) {
        err = take_objective(f, meta, &list[i], e);
        if (err == SKY_OK && f->reference && !isfinite(o->reference[i]))
            err =
                sky_fail(e, SKY_EINVAL, "the reference value of '%s' is not finite", list[i].name);
        if (err == SKY_OK && f->reference)
            f->reference[i] = o->reference[i];
    }
    return err;
}

static sky_err open_parts(sky_fronts *f, const sky__meta *meta, sky_error *e)
{
    const char *names[SKY_OBJECTIVES_MAX + 1];
    sky_goal goals[SKY_OBJECTIVES_MAX];
    for (size_t i = 0; i < f->k; i++) {
        names[i] = f->objectives[i].name;
        goals[i] = f->objectives[i].goal;
    }
    names[f->k] = "sky_feasible";
    const sky_columns_options co = {.names = names, .n = f->k + 1};
    sky_err err = sky_columns_open(&f->columns, f->store, meta->name, &co, e);
    if (err != SKY_OK)
        return err;
    f->front = sky_front_new(f->k, goals);
    f->sweep = sky_arena_strdup(&f->arena, meta->name);
    return f->front && f->sweep ? SKY_OK : no_memory(f, e);
}

sky_err sky_fronts_open(sky_fronts **out, sky_store *s, const char *sweep,
                        const sky_fronts_options *o, sky_error *e)
{
    sky__meta meta;
    sky_err err = sky__meta_load(s, sweep, &meta, e);
    if (err != SKY_OK)
        return err;
    sky_fronts *f = calloc(1, sizeof *f);
    if (!f) {
        sky__meta_free(&meta);
        return sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
    }
    f->store = s;
    f->by_trial = o->by_trial;
    f->infeasible_too = o->infeasible;
    err = take_objectives(f, &meta, o, e);
    if (err == SKY_OK)
        err = open_parts(f, &meta, e);
    sky__meta_free(&meta);
    if (err != SKY_OK) {
        sky_fronts_close(f);
        return err;
    }
    *out = f;
    return SKY_OK;
}

static void points_free(points *p)
{
    free(p->ids);
    free(p->trials);
    free(p->means);
    free(p->spreads);
    free(p->repeats);
    free(p->front_ids);
    free(p->front_trials);
    free(p->front_means);
    free(p->front_spreads);
    free(p->front_repeats);
    *p = (points){0};
}

void sky_fronts_close(sky_fronts *f)
{
    if (!f)
        return;
    points_free(&f->points);
    sky_front_free(f->front);
    sky_columns_close(f->columns);
    sky_arena_free(&f->arena);
    free(f);
}

/* ---- By trial ---- */

static void clear(sky_fronts *f)
{
    sky_front_clear(f->front);
    f->considered = f->infeasible = f->without_value = 0;
}

/* *usable: has row a value for each objective? Copied to values. */
static bool row_values(const sky_fronts *f, size_t row, double *values)
{
    bool usable = true;
    for (size_t j = 0; j < f->k; j++) {
        values[j] = sky_columns_values(f->columns, j)[row];
        usable = usable && !isnan(values[j]);
    }
    return usable;
}

static bool row_feasible(const sky_fronts *f, size_t row)
{
    return f->infeasible_too || sky_columns_values(f->columns, f->k)[row] == 1;
}

static sky_err add_trials(sky_fronts *f, size_t first, bool *changed, sky_error *e)
{
    const uint64_t *trials = sky_columns_trials(f->columns);
    for (size_t row = first; row < sky_columns_rows(f->columns); row++) {
        double values[SKY_OBJECTIVES_MAX];
        sky_front_change change;
        if (!row_values(f, row, values)) {
            f->without_value++;
        } else if (!row_feasible(f, row)) {
            f->infeasible++;
        } else {
            if (sky_front_insert(f->front, trials[row], values, &change) != SKY_OK)
                return no_memory(f, e);
            f->considered++;
            *changed = *changed || change.outcome == SKY_FRONT_ADDED;
        }
    }
    return SKY_OK;
}

/* ---- By point ---- */

typedef struct key {
    uint64_t point, trial;
    size_t row;
} key;

static int by_point(const void *a, const void *b)
{
    const key *x = a, *y = b;
    if (x->point != y->point)
        return x->point < y->point ? -1 : 1;
    return (x->trial > y->trial) - (x->trial < y->trial);
}

static key *sorted_rows(const sky_fronts *f, size_t n)
{
    const uint64_t n_points = sky_columns_points(f->columns);
    const uint64_t *trials = sky_columns_trials(f->columns);
    key *keys = malloc((n + 1) * sizeof *keys);
    for (size_t i = 0; keys && i < n; i++)
        keys[i] = (key){trials[i] % n_points, trials[i], i};
    if (keys)
        qsort(keys, n, sizeof *keys, by_point);
    return keys;
}

/* Mean and sample standard deviation of n values in their order (so that the result depends on nothing
 * else), by Welford's updates: equal values have exactly their own mean. An infinity makes the mean
 * infinite; both infinities, NaN. */
static void moments(const sky_fronts *f, const key *keys, size_t n, size_t j, double *mean,
                    double *spread)
{
    const double *column = sky_columns_values(f->columns, j);
    double m = 0, squares = 0, infinite = 0;
    for (size_t i = 0; i < n; i++) {
        const double x = column[keys[i].row];
        if (isinf(x)) {
            infinite += x;
            continue;
        }
        const double delta = x - m;
        m += delta / (double)(i + 1);
        squares += delta * (x - m);
    }
    *mean = infinite != 0 ? infinite : m; /* inf - inf is NaN, which is not 0 */
    *spread = n > 1 && infinite == 0 ? sqrt(squares / (double)(n - 1)) : NAN;
}

/* One point's rows are keys[0..n). Those with all values are moved to the front. */
static void add_point(sky_fronts *f, key *keys, size_t n)
{
    points *p = &f->points;
    double values[SKY_OBJECTIVES_MAX];
    const uint64_t lowest = keys[0].trial;
    bool feasible = true;
    size_t usable = 0;
    for (size_t i = 0; i < n; i++) {
        feasible = feasible && row_feasible(f, keys[i].row);
        if (row_values(f, keys[i].row, values))
            keys[usable++] = keys[i];
    }
    bool has_means = usable > 0;
    for (size_t j = 0; j < f->k && has_means; j++) {
        moments(f, keys, usable, j, &p->means[p->n * f->k + j], &p->spreads[p->n * f->k + j]);
        has_means = !isnan(p->means[p->n * f->k + j]);
    }
    if (!has_means) {
        f->without_value++;
    } else if (!feasible) {
        f->infeasible++;
    } else {
        p->ids[p->n] = keys[0].point;
        p->trials[p->n] = lowest;
        p->repeats[p->n] = (uint32_t)usable;
        p->n++;
        f->considered++;
    }
}

static bool points_alloc(points *p, size_t n, size_t k)
{
    p->ids = malloc((n + 1) * sizeof *p->ids);
    p->trials = malloc((n + 1) * sizeof *p->trials);
    p->means = malloc((n + 1) * k * sizeof *p->means);
    p->spreads = malloc((n + 1) * k * sizeof *p->spreads);
    p->repeats = malloc((n + 1) * sizeof *p->repeats);
    return p->ids && p->trials && p->means && p->spreads && p->repeats;
}

/* Copies the points that the front `view` names to the arrays that a view of this one shows. */
static bool copy_front(points *p, const sky_front_view *view, size_t k)
{
    p->front_ids = malloc((view->n + 1) * sizeof *p->front_ids);
    p->front_trials = malloc((view->n + 1) * sizeof *p->front_trials);
    p->front_means = malloc((view->n + 1) * k * sizeof *p->front_means);
    p->front_spreads = malloc((view->n + 1) * k * sizeof *p->front_spreads);
    p->front_repeats = malloc((view->n + 1) * sizeof *p->front_repeats);
    if (!p->front_ids || !p->front_trials || !p->front_means || !p->front_spreads ||
        !p->front_repeats)
        return false;
    for (size_t i = 0; i < view->n; i++) {
        const size_t from = view->ids[i]; /* index of the point */
        p->front_ids[i] = p->ids[from];
        p->front_trials[i] = p->trials[from];
        p->front_repeats[i] = p->repeats[from];
        memcpy(p->front_means + i * k, p->means + from * k, k * sizeof *p->means);
        memcpy(p->front_spreads + i * k, p->spreads + from * k, k * sizeof *p->spreads);
    }
    p->n_front = view->n;
    return true;
}

static bool same_front(const points *a, const points *b, size_t k)
{
    return a->n_front == b->n_front &&
           (a->n_front == 0 ||
            (memcmp(a->front_ids, b->front_ids, a->n_front * sizeof *a->front_ids) == 0 &&
             memcmp(a->front_means, b->front_means, a->n_front * k * sizeof *a->front_means) == 0));
}

static sky_err make_points(sky_fronts *f, bool *changed, sky_error *e)
{
    const size_t n = sky_columns_rows(f->columns);
    points before = f->points;
    f->points = (points){0};
    clear(f);
    sky_err err = SKY_OK;
    sky_front_view view = {0};
    key *keys = sorted_rows(f, n);
    bool ok = keys && points_alloc(&f->points, n, f->k);
    for (size_t i = 0; i < n && ok;) {
        size_t end = i + 1;
        while (end < n && keys[end].point == keys[i].point)
            end++;
        add_point(f, keys + i, end - i);
        i = end;
    }
    for (size_t i = 0; i < f->points.n && ok; i++)
        ok = sky_front_insert(f->front, i, f->points.means + i * f->k, NULL) == SKY_OK;
    ok = ok && sky_front_look(f->front, &view) == SKY_OK && copy_front(&f->points, &view, f->k);
    if (!ok)
        err = no_memory(f, e);
    else
        *changed = !same_front(&before, &f->points, f->k);
    points_free(&before);
    free(keys);
    return err;
}

/* ---- Refresh and view ---- */

sky_err sky_fronts_refresh(sky_fronts *f, bool *changed, sky_error *e)
{
    sky_columns_change change;
    bool differs = false;
    const bool had_points = f->by_point;
    sky_err err = sky_columns_refresh(f->columns, &change, e);
    if (err != SKY_OK)
        return err;
    f->by_point = !f->by_trial && sky_columns_points(f->columns) > 0 &&
                  sky_columns_positions(f->columns) > sky_columns_points(f->columns);
    const bool anew = change.reset || had_points != f->by_point || f->incomplete;
    if (f->by_point) {
        if (anew || change.first < sky_columns_rows(f->columns))
            err = make_points(f, &differs, e);
    } else {
        if (anew) {
            differs = sky_front_size(f->front) > 0;
            clear(f);
            points_free(&f->points);
        }
        err = add_trials(f, anew ? 0 : change.first, &differs, e);
    }
    f->incomplete = err != SKY_OK;
    if (changed)
        *changed = differs;
    return err;
}

size_t sky_fronts_size(const sky_fronts *f)
{
    return f->by_point ? f->points.n_front : sky_front_size(f->front);
}

sky_err sky_fronts_view_get(sky_fronts *f, sky_fronts_view *out, sky_error *e)
{
    sky_fronts_view v = {.k = f->k,
                         .by_point = f->by_point,
                         .considered = f->considered,
                         .infeasible = f->infeasible,
                         .without_value = f->without_value,
                         .objectives = f->objectives};
    sky_goal goals[SKY_OBJECTIVES_MAX];
    for (size_t j = 0; j < f->k; j++)
        goals[j] = f->objectives[j].goal;
    if (f->by_point) {
        v.n = f->points.n_front;
        v.ids = f->points.front_ids;
        v.trials = f->points.front_trials;
        v.values = f->points.front_means;
        v.spread = f->points.front_spreads;
        v.repeats = f->points.front_repeats;
    } else {
        sky_front_view view;
        if (sky_front_look(f->front, &view) != SKY_OK)
            return no_memory(f, e);
        v.n = view.n;
        v.ids = v.trials = view.ids;
        v.values = view.values;
    }
    if (v.n > 0)
        v.has_knee = sky_knee(v.values, v.n, v.k, goals, &v.knee);
    if (f->reference) {
        if (sky_hypervolume(v.values, v.n, v.k, goals, f->reference, &v.hypervolume) != SKY_OK)
            return no_memory(f, e);
        v.has_hypervolume = true;
    }
    *out = v;
    return SKY_OK;
}

const char *sky_fronts_sweep(const sky_fronts *f)
{
    return f->sweep;
}

sky_store *sky_fronts_store(sky_fronts *f)
{
    return f->store;
}

#include "dash/frontof.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "store/fronts.h"

/* ---- What is asked ---- */

/* "energy_j:min" */
static sky_err parse_objective(char *text, sky_objective *o, sky_error *e)
{
    char *colon = strrchr(text, ':');
    o->name = text;
    o->goal = SKY_NO_GOAL;
    if (!colon)
        return SKY_OK;
    *colon++ = 0;
    o->goal = strcmp(colon, "min") == 0   ? SKY_MIN
              : strcmp(colon, "max") == 0 ? SKY_MAX
                                          : SKY_NO_GOAL;
    if (o->goal == SKY_NO_GOAL)
        return sky_fail(e, SKY_EINVAL, "objectives: found '%.40s', expected min or max", colon);
    return SKY_OK;
}

static sky_err resolve(const sky__resident *s, sky_objective *list, size_t i, sky_error *e)
{
    const sky__column_info *info;
    const double *values;
    const sky_err err = sky__resident_column(s, list[i].name, &info, &values, e);
    if (err != SKY_OK)
        return err;
    list[i].name = info->name;
    if (info->type == SKY_TEXT)
        return sky_fail(e, SKY_EINVAL, "objectives: '%s' is of texts", info->name);
    if (list[i].goal == SKY_NO_GOAL)
        list[i].goal = info->goal != SKY_NO_GOAL ? info->goal : SKY_MIN;
    for (size_t j = 0; j < i; j++) {
        if (strcasecmp(list[j].name, info->name) == 0)
            return sky_fail(e, SKY_EINVAL, "objectives: '%s' comes twice", info->name);
    }
    return SKY_OK;
}

sky_err sky__objectives_of(const sky__resident *s, const sky_http_request *r, sky_objective *list,
                           size_t *n, sky_error *e)
{
    const char *parts[SKY_OBJECTIVES_MAX];
    sky_arena arena = {0};
    sky_err err = sky__arg_list(r, "objectives", &arena, parts, SKY_OBJECTIVES_MAX, n, e);
    for (size_t i = 0; err == SKY_OK && i < *n; i++)
        err = parse_objective((char *)(uintptr_t)parts[i], &list[i], e);
    if (err == SKY_OK && *n == 0) {
        *n = s->n_objectives;
        memcpy(list, s->objectives, *n * sizeof *list);
    }
    for (size_t i = 0; err == SKY_OK && i < *n; i++)
        err = resolve(s, list, i, e);
    if (err == SKY_OK && *n == 0)
        err = sky_fail(e, SKY_EINVAL, "sweep '%s' has no objectives: name some", s->name);
    sky_arena_free(&arena);
    return err;
}

sky_err sky__reference_arg(const sky_http_request *r, size_t k, double *reference, bool *given,
                           sky_error *e)
{
    const char *parts[SKY_OBJECTIVES_MAX];
    sky_arena arena = {0};
    size_t n = 0;
    sky_err err = sky__arg_list(r, "reference", &arena, parts, SKY_OBJECTIVES_MAX, &n, e);
    *given = n > 0;
    if (err == SKY_OK && n > 0 && n != k)
        err = sky_fail(e, SKY_EINVAL, "reference: found %zu numbers, expected %zu", n, k);
    for (size_t j = 0; err == SKY_OK && j < n; j++) {
        if (sky_parse_f64(parts[j], &reference[j]) != SKY_OK || !isfinite(reference[j]))
            err = sky_fail(e, SKY_EINVAL, "reference: found '%.40s', expected a number", parts[j]);
    }
    sky_arena_free(&arena);
    return err;
}

/* ---- Over trials ---- */

void sky__front_free(sky__front_answer *f)
{
    free(f->trials);
    free(f->values);
    free(f->sd);
    free(f->repeats);
    *f = (sky__front_answer){0};
}

static const double *feasible_of(const sky__resident *s)
{
    return sky_columns_values(s->columns, (size_t)s->feasible);
}

static size_t count_infeasible(const sky__resident *s)
{
    const double *feasible = feasible_of(s);
    size_t n = 0;
    for (size_t i = 0, rows = sky_columns_rows(s->columns); i < rows; i++)
        n += feasible[i] == 0;
    return n;
}

/* A column with NaN where a trial is infeasible: the front then passes it over. */
static double *without_infeasible(const sky__resident *s, const double *values)
{
    const double *feasible = feasible_of(s);
    const size_t rows = sky_columns_rows(s->columns);
    double *masked = malloc((rows + 1) * sizeof *masked);
    for (size_t i = 0; masked && i < rows; i++)
        masked[i] = feasible[i] == 0 ? NAN : values[i];
    return masked;
}

bool sky__worst(const sky__resident *s, const sky_objective *list, size_t k, bool infeasible_too,
                double *worst)
{
    const double *feasible = feasible_of(s);
    const size_t rows = sky_columns_rows(s->columns);
    for (size_t j = 0; j < k; j++) {
        const double *values;
        const double sign = list[j].goal == SKY_MAX ? -1 : 1;
        double most = -INFINITY;
        if (sky__resident_column(s, list[j].name, NULL, &values, NULL) != SKY_OK)
            return false;
        for (size_t i = 0; i < rows; i++) {
            const double x = sign * values[i];
            if (x > most && x < INFINITY && (infeasible_too || feasible[i] != 0))
                most = x;
        }
        if (!isfinite(most))
            return false;
        worst[j] = sign * most;
    }
    return true;
}

typedef struct row {
    size_t at;
    double key;
} row;

static int by_key(const void *a, const void *b)
{
    const row *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* The rows that are on the front, best first in the first objective. */
static sky_err gather(const sky__resident *s, const double *const *columns, const uint8_t *on,
                      sky_goal goal, sky__front_answer *f, sky_error *e)
{
    const size_t rows = sky_columns_rows(s->columns);
    const double sign = goal == SKY_MAX ? -1 : 1;
    row *list = malloc((f->n + 1) * sizeof *list);
    f->trials = malloc((f->n + 1) * sizeof *f->trials);
    f->values = malloc((f->n * f->k + 1) * sizeof *f->values);
    if (!list || !f->trials || !f->values) {
        free(list);
        return sky__api_no_memory(e);
    }
    size_t n = 0;
    for (size_t i = 0; i < rows; i++) {
        if (on[i])
            list[n++] = (row){i, sign * columns[0][i]};
    }
    if (n > 0)
        qsort(list, n, sizeof *list, by_key);
    for (size_t m = 0; m < n; m++) {
        f->trials[m] = sky_columns_trials(s->columns)[list[m].at];
        for (size_t j = 0; j < f->k; j++)
            f->values[m * f->k + j] = columns[j][list[m].at];
    }
    free(list);
    return SKY_OK;
}

sky_err sky__front_of_trials(const sky__resident *s, const sky__front_ask *ask,
                             sky__front_answer *f, sky_error *e)
{
    const double *columns[SKY_OBJECTIVES_MAX];
    sky_goal goals[SKY_OBJECTIVES_MAX];
    const size_t rows = sky_columns_rows(s->columns);
    double *masked = NULL;
    uint8_t *on = malloc(rows + 1);
    sky_err err = on ? SKY_OK : sky__api_no_memory(e);
    f->k = ask->k;
    f->infeasible = ask->infeasible_too ? 0 : count_infeasible(s);
    for (size_t j = 0; j < f->k && err == SKY_OK; j++) {
        err = sky__resident_column(s, ask->objectives[j].name, NULL, &columns[j], e);
        goals[j] = ask->objectives[j].goal;
    }
    if (err == SKY_OK && f->infeasible > 0) {
        columns[0] = masked = without_infeasible(s, columns[0]);
        err = masked ? SKY_OK : sky__api_no_memory(e);
    }
    if (err == SKY_OK)
        err = sky_front_batch(columns, rows, f->k, goals, on, &f->n, &f->without_value);
    if (err == SKY_OK) {
        f->without_value -= f->without_value < f->infeasible ? f->without_value : f->infeasible;
        f->considered = rows - f->without_value - f->infeasible;
        err = gather(s, columns, on, goals[0], f, e);
    }
    free(masked);
    free(on);
    return err;
}

/* ---- Over points ---- */

static sky_err copy_view(const sky_fronts_view *v, sky__front_answer *f, sky_error *e)
{
    f->n = v->n;
    f->considered = (size_t)v->considered;
    f->infeasible = (size_t)v->infeasible;
    f->without_value = (size_t)v->without_value;
    f->by_point = v->by_point;
    f->trials = malloc((v->n + 1) * sizeof *f->trials);
    f->values = malloc((v->n * v->k + 1) * sizeof *f->values);
    f->sd = malloc((v->n * v->k + 1) * sizeof *f->sd);
    f->repeats = malloc((v->n + 1) * sizeof *f->repeats);
    if (!f->trials || !f->values || !f->sd || !f->repeats)
        return sky__api_no_memory(e);
    if (v->n == 0)
        return SKY_OK;
    memcpy(f->trials, v->trials, v->n * sizeof *f->trials);
    memcpy(f->values, v->values, v->n * v->k * sizeof *f->values);
    for (size_t i = 0; i < v->n * v->k; i++)
        f->sd[i] = v->spread ? v->spread[i] : NAN;
    for (size_t i = 0; i < v->n; i++)
        f->repeats[i] = v->repeats ? v->repeats[i] : 1;
    return SKY_OK;
}

sky_err sky__front_of_points(sky__reader *t, const sky__resident *s, const sky__front_ask *ask,
                             sky__front_answer *f, sky_error *e)
{
    sky_fronts *fronts = NULL;
    sky_fronts_view v;
    const sky_fronts_options o = {
        .objectives = ask->objectives, .n_objectives = ask->k, .infeasible = ask->infeasible_too};
    f->k = ask->k;
    sky_err err = sky_fronts_open(&fronts, sky__reader_store(t), s->name, &o, e);
    if (err == SKY_OK)
        err = sky_fronts_refresh(fronts, NULL, e);
    if (err == SKY_OK)
        err = sky_fronts_view_get(fronts, &v, e);
    if (err == SKY_OK)
        err = copy_view(&v, f, e);
    sky_fronts_close(fronts);
    return err;
}

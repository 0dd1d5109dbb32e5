/* Fronts: of one sweep, and of several beside each other. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dash/api.h"
#include "dash/frontof.h"
#include "front/front.h"

/* Exact hypervolume is cheap up to three objectives; beyond, only of small fronts. */
enum { VOLUME_POINTS_MAX = 200000, VOLUME_POINTS_MAX_MANY = 300 };

static bool volume(const double *values, size_t n, size_t k, const sky_goal *goals,
                   const double *reference, double *out)
{
    return n <= (k <= 3 ? VOLUME_POINTS_MAX : VOLUME_POINTS_MAX_MANY) &&
           sky_hypervolume(values, n, k, goals, reference, out) == SKY_OK && isfinite(*out);
}

static void goals_of(const sky_objective *list, size_t k, sky_goal *goals)
{
    for (size_t j = 0; j < k; j++)
        goals[j] = list[j].goal;
}

/* ---- One sweep ---- */

static void put_spread(const sky__front_answer *f, size_t n, sky_buf *b)
{
    sky_buf_puts(b, ",\"sd\":[");
    for (size_t i = 0; f->by_point && i < n * f->k; i++) {
        if (i)
            sky_buf_putc(b, ',');
        if (isnan(f->sd[i]))
            sky_buf_puts(b, "null");
        else
            sky_buf_json_f64(b, f->sd[i]);
    }
    sky_buf_puts(b, "],\"repeats\":[");
    for (size_t i = 0; f->by_point && i < n; i++)
        sky_buf_printf(b, i ? ",%u" : "%u", f->repeats[i]);
    sky_buf_putc(b, ']');
}

static void put_volume(const sky__front_answer *f, const sky_goal *goals, const double *reference,
                       sky_buf *b)
{
    double v = 0;
    sky_buf_puts(b, ",\"reference\":");
    sky__json_numbers(b, reference, reference ? f->k : 0);
    sky_buf_puts(b, ",\"hypervolume\":");
    if (reference && volume(f->values, f->n, f->k, goals, reference, &v))
        sky_buf_json_f64(b, v);
    else
        sky_buf_puts(b, "null");
}

static void front_json(const sky__resident *s, const sky_objective *list,
                       const sky__front_answer *f, const double *reference, sky_buf *b)
{
    sky_goal goals[SKY_OBJECTIVES_MAX];
    size_t knee = 0;
    const size_t n = f->n < SKY__FRONT_ROWS_MAX ? f->n : SKY__FRONT_ROWS_MAX;
    goals_of(list, f->k, goals);
    sky_buf_printf(b,
                   "{\"epoch\":%llu,\"rows\":%zu,\"recorded\":%llu,\"more\":%s,\"size\":%zu,"
                   "\"considered\":%zu,\"infeasible\":"
                   "%zu,\"without_value\":%zu,\"by_point\":%s,\"objectives\":",
                   (unsigned long long)s->epoch, sky_columns_rows(s->columns),
                   (unsigned long long)sky_columns_recorded(s->columns), s->more ? "true" : "false",
                   f->n, f->considered, f->infeasible, f->without_value,
                   f->by_point ? "true" : "false");
    sky__json_objectives(b, list, f->k);
    sky_buf_puts(b, ",\"trials\":");
    sky__json_trials(b, f->trials, n);
    sky_buf_puts(b, ",\"values\":");
    sky__json_numbers(b, f->values, n * f->k);
    put_spread(f, n, b);
    sky_buf_puts(b, ",\"knee\":");
    if (sky_knee(f->values, n, f->k, goals, &knee))
        sky_buf_printf(b, "%zu", knee);
    else
        sky_buf_puts(b, "null");
    put_volume(f, goals, reference, b);
    sky_buf_puts(b, "}\n");
}

SKY__HANDLER(front)
{
    sky__resident *s = NULL;
    sky_objective list[SKY_OBJECTIVES_MAX];
    double reference[SKY_OBJECTIVES_MAX];
    sky__front_ask ask = {.objectives = list};
    sky__front_answer f = {0};
    bool by_trial = false, given = false;
    sky_buf b = {0};
    sky_err err = sky__arg_bool(r, "infeasible", false, &ask.infeasible_too, e);
    if (err == SKY_OK)
        err = sky__arg_bool(r, "by_trial", false, &by_trial, e);
    if (err == SKY_OK)
        err = sky__resident_for(t, r, p->parts[3], &s, e);
    if (err == SKY_OK)
        err = sky__objectives_of(s, r, list, &ask.k, e);
    if (err == SKY_OK)
        err = sky__reference_arg(r, ask.k, reference, &given, e);
    if (err != SKY_OK)
        return err;
    /* Repeats may have grown since the columns were opened. */
    const bool repeated = sky_columns_positions(s->columns) > sky_columns_points(s->columns);
    err = repeated && !by_trial ? sky__front_of_points(t, s, &ask, &f, e)
                                : sky__front_of_trials(s, &ask, &f, e);
    if (err == SKY_OK) {
        const bool known = given || sky__worst(s, list, ask.k, ask.infeasible_too, reference);
        front_json(s, list, &f, known ? reference : NULL, &b);
    }
    sky__front_free(&f);
    return err == SKY_OK ? sky__api_json(out, &b) : err;
}

/* ---- Several ---- */

typedef struct side {
    char *name;
    size_t rows;
    sky__front_answer f;
    size_t first; /* of its points among all */
} side;

typedef struct comparison {
    side sides[SKY__COMPARE_MAX];
    size_t n, k, points;
    sky_objective list[SKY_OBJECTIVES_MAX];
    sky_goal goals[SKY_OBJECTIVES_MAX];
    sky_arena arena;
    double worst[SKY_OBJECTIVES_MAX];
    bool worst_known;
    uint8_t *on; /* of all points: on the front of all together */
} comparison;

static void comparison_free(comparison *c)
{
    for (size_t i = 0; i < c->n; i++)
        sky__front_free(&c->sides[i].f);
    free(c->on);
    sky_arena_free(&c->arena);
}

static void widen(comparison *c, const double *worst)
{
    for (size_t j = 0; j < c->k; j++) {
        const double sign = c->goals[j] == SKY_MAX ? -1 : 1;
        if (!c->worst_known || sign * worst[j] > sign * c->worst[j])
            c->worst[j] = worst[j];
    }
    c->worst_known = true;
}

/* One sweep's front, copied: its columns may go when the next sweep's are opened. */
static sky_err add_side(sky__reader *t, comparison *c, const char *name, const sky_http_request *r,
                        bool infeasible_too, sky_error *e)
{
    side *a = &c->sides[c->n];
    sky__resident *s = NULL;
    double worst[SKY_OBJECTIVES_MAX];
    sky_err err = sky__resident_get(t, name, &s, e);
    if (err == SKY_OK && c->n == 0) {
        err = sky__objectives_of(s, r, c->list, &c->k, e);
        for (size_t j = 0; err == SKY_OK && j < c->k; j++) {
            c->list[j].name = sky_arena_strdup(&c->arena, c->list[j].name);
            err = c->list[j].name ? SKY_OK : sky__api_no_memory(e);
        }
        goals_of(c->list, c->k, c->goals);
    }
    const sky__front_ask ask = {c->list, c->k, infeasible_too};
    *a = (side){.first = c->points};
    if (err == SKY_OK)
        err = sky__front_of_trials(s, &ask, &a->f, e);
    if (err != SKY_OK) {
        sky__front_free(&a->f);
        return err;
    }
    c->n++;
    a->rows = sky_columns_rows(s->columns);
    a->name = sky_arena_strdup(&c->arena, s->name);
    c->points += a->f.n;
    if (sky__worst(s, c->list, c->k, infeasible_too, worst))
        widen(c, worst);
    return a->name ? SKY_OK : sky__api_no_memory(e);
}

static sky_err join(comparison *c, sky_error *e)
{
    double *all = malloc((c->points * c->k + 1) * sizeof *all);
    const double *columns[SKY_OBJECTIVES_MAX];
    c->on = calloc(c->points + 1, 1);
    if (!all || !c->on) {
        free(all);
        return sky__api_no_memory(e);
    }
    for (size_t j = 0; j < c->k; j++) {
        columns[j] = all + j * c->points;
        for (size_t i = 0; i < c->n; i++) {
            for (size_t m = 0; m < c->sides[i].f.n; m++)
                all[j * c->points + c->sides[i].first + m] = c->sides[i].f.values[m * c->k + j];
        }
    }
    const sky_err err = sky_front_batch(columns, c->points, c->k, c->goals, c->on, NULL, NULL);
    free(all);
    return err;
}

/* The share of b's front that a point of a's dominates. */
static double coverage(const comparison *c, const side *a, const side *b, sky_front *front)
{
    size_t covered = 0;
    sky_front_clear(front);
    for (size_t i = 0; i < a->f.n; i++) {
        if (sky_front_insert(front, i, a->f.values + i * c->k, NULL) != SKY_OK)
            return NAN;
    }
    for (size_t i = 0; i < b->f.n; i++)
        covered += sky_front_is_dominated(front, b->f.values + i * c->k);
    return b->f.n ? (double)covered / (double)b->f.n : 0;
}

static void side_json(const comparison *c, size_t i, const double *reference, sky_front *front,
                      sky_buf *b)
{
    const side *a = &c->sides[i];
    const uint8_t *on = c->on + a->first;
    const size_t n = a->f.n < SKY__FRONT_ROWS_MAX ? a->f.n : SKY__FRONT_ROWS_MAX;
    double shares[SKY__COMPARE_MAX], v = 0;
    size_t joint = 0;
    for (size_t j = 0; j < c->n; j++)
        shares[j] = j == i ? 0 : coverage(c, a, &c->sides[j], front);
    for (size_t m = 0; m < a->f.n; m++)
        joint += on[m];
    sky_buf_puts(b, i ? ",{\"name\":" : "{\"name\":");
    sky_buf_json_string(b, a->name);
    sky_buf_printf(b, ",\"rows\":%zu,\"size\":%zu,\"joint\":%zu,\"hypervolume\":", a->rows, a->f.n,
                   joint);
    if (reference && volume(a->f.values, a->f.n, c->k, c->goals, reference, &v))
        sky_buf_json_f64(b, v);
    else
        sky_buf_puts(b, "null");
    sky_buf_puts(b, ",\"coverage\":");
    sky__json_numbers(b, shares, c->n);
    sky_buf_puts(b, ",\"trials\":");
    sky__json_trials(b, a->f.trials, n);
    sky_buf_puts(b, ",\"values\":");
    sky__json_numbers(b, a->f.values, n * c->k);
    sky_buf_puts(b, ",\"on_joint\":[");
    for (size_t m = 0; m < n; m++)
        sky_buf_puts(b, m ? on[m] ? ",true" : ",false" : on[m] ? "true" : "false");
    sky_buf_puts(b, "]}");
}

static sky_err comparison_json(const comparison *c, const double *reference, sky_buf *b,
                               sky_error *e)
{
    double *joint = malloc((c->points * c->k + 1) * sizeof *joint), v = 0;
    sky_front *front = sky_front_new(c->k, c->goals);
    size_t n = 0;
    if (!joint || !front) {
        free(joint);
        sky_front_free(front);
        return sky__api_no_memory(e);
    }
    for (size_t i = 0; i < c->n; i++) {
        for (size_t m = 0; m < c->sides[i].f.n; m++) {
            if (c->on[c->sides[i].first + m])
                memcpy(joint + c->k * n++, c->sides[i].f.values + m * c->k, c->k * sizeof *joint);
        }
    }
    sky_buf_puts(b, "{\"objectives\":");
    sky__json_objectives(b, c->list, c->k);
    sky_buf_puts(b, ",\"reference\":");
    sky__json_numbers(b, reference, reference ? c->k : 0);
    sky_buf_puts(b, ",\"hypervolume\":");
    if (reference && volume(joint, n, c->k, c->goals, reference, &v))
        sky_buf_json_f64(b, v);
    else
        sky_buf_puts(b, "null");
    sky_buf_puts(b, ",\"sweeps\":[");
    for (size_t i = 0; i < c->n; i++)
        side_json(c, i, reference, front, b);
    sky_buf_puts(b, "]}\n");
    sky_front_free(front);
    free(joint);
    return SKY_OK;
}

SKY__HANDLER(compare)
{
    comparison c = {0};
    const char *names[SKY__COMPARE_MAX];
    double reference[SKY_OBJECTIVES_MAX];
    size_t n = 0;
    bool infeasible = false, given = false;
    sky_buf b = {0};
    (void)p;
    sky_err err = sky__arg_list(r, "sweeps", &c.arena, names, SKY__COMPARE_MAX, &n, e);
    if (err == SKY_OK && n < 2)
        err = sky_fail(e, SKY_EINVAL, "sweeps: expected 2 to %d names", SKY__COMPARE_MAX);
    if (err == SKY_OK)
        err = sky__arg_bool(r, "infeasible", false, &infeasible, e);
    for (size_t i = 0; err == SKY_OK && i < n; i++)
        err = add_side(t, &c, names[i], r, infeasible, e);
    if (err == SKY_OK)
        err = sky__reference_arg(r, c.k, reference, &given, e);
    if (err == SKY_OK)
        err = join(&c, e);
    if (err == SKY_OK)
        err = comparison_json(&c, given ? reference : c.worst_known ? c.worst : NULL, &b, e);
    comparison_free(&c);
    return err == SKY_OK ? sky__api_json(out, &b) : err;
}

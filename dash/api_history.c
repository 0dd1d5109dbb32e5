/* The front as it grew: its size and hypervolume after so many rows, in the order of their commits.
 *
 * The first question goes over all rows; later ones take in what is new. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dash/api.h"
#include "front/front.h"

enum {
    HISTORIES_MAX = 4,   /* of a sweep: a person changes axes */
    SAMPLES_MAX = 2000,  /* then every other one goes */
    FRONT_MAX = 20000,   /* a larger front's volume is not worked out sample by sample */
    FRONT_MAX_3 = 2000,  /* of three objectives */
    OBJECTIVES_MAX = 3,  /* volumes of more take too long for that */
    FIRST_SAMPLES = 400, /* of the rows that were there at the first question */
};

typedef struct sample {
    size_t rows;
    int64_t at_ms;
    size_t size;
    double volume;
} sample;

typedef struct sky__history {
    struct sky__history *next;
    sky_objective list[SKY_OBJECTIVES_MAX]; /* names live as long as the resident */
    double reference[SKY_OBJECTIVES_MAX];
    size_t k;
    bool infeasible_too;
    sky_front *front;
    size_t rows; /* taken in */
    sample *samples;
    size_t n;
    uint64_t used;
} sky__history;

static void free_one(sky__history *h)
{
    if (!h)
        return;
    sky_front_free(h->front);
    free(h->samples);
    free(h);
}

void sky__histories_free(sky__history *list)
{
    while (list) {
        sky__history *next = list->next;
        free_one(list);
        list = next;
    }
}

/* ---- Order of commits ---- */

typedef struct arrival {
    int64_t at_ms;
    size_t row;
} arrival;

static int by_arrival(const void *a, const void *b)
{
    const arrival *x = a, *y = b;
    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* The rows from `first` on as they arrived. The caller frees. */
static sky_err arrivals(const sky__resident *s, size_t first, arrival **out, sky_error *e)
{
    const size_t n = sky_columns_rows(s->columns) - first;
    int64_t *at_ms = malloc((n + 1) * sizeof *at_ms);
    arrival *list = malloc((n + 1) * sizeof *list);
    sky_err err =
        at_ms && list ? sky_columns_times(s->columns, first, at_ms, e) : sky__api_no_memory(e);
    for (size_t i = 0; err == SKY_OK && i < n; i++)
        list[i] = (arrival){at_ms[i], first + i};
    free(at_ms);
    if (err != SKY_OK) {
        free(list);
        return err;
    }
    if (n > 0)
        qsort(list, n, sizeof *list, by_arrival);
    *out = list;
    return SKY_OK;
}

/* ---- Growing ---- */

static void thin(sky__history *h)
{
    size_t kept = 0;
    for (size_t i = 1; i < h->n; i += 2) /* the last one stays: n is even */
        h->samples[kept++] = h->samples[i];
    h->n = kept;
}
_Static_assert(SAMPLES_MAX % 2 == 0, "thin() keeps the last sample");

static sky_err take_sample(sky__history *h, int64_t at_ms, sky_error *e)
{
    sky_front_view v;
    double volume = 0;
    sky_goal goals[SKY_OBJECTIVES_MAX];
    for (size_t j = 0; j < h->k; j++)
        goals[j] = h->list[j].goal;
    if (sky_front_look(h->front, &v) != SKY_OK)
        return sky__api_no_memory(e);
    const size_t max = h->k <= 2 ? FRONT_MAX : FRONT_MAX_3;
    if (v.n > max)
        volume = NAN;
    else if (sky_hypervolume(v.values, v.n, h->k, goals, h->reference, &volume) != SKY_OK)
        return sky__api_no_memory(e);
    if (h->n == SAMPLES_MAX)
        thin(h);
    h->samples[h->n++] = (sample){h->rows, at_ms, v.n, volume};
    return SKY_OK;
}

static sky_err take_row(const sky__resident *s, sky__history *h, const double *const *columns,
                        size_t row, sky_error *e)
{
    double values[SKY_OBJECTIVES_MAX];
    const double *feasible = sky_columns_values(s->columns, (size_t)s->feasible);
    if (!h->infeasible_too && feasible[row] == 0)
        return SKY_OK;
    for (size_t j = 0; j < h->k; j++)
        values[j] = columns[j][row];
    if (sky_front_insert(h->front, row, values, NULL) != SKY_OK)
        return sky__api_no_memory(e);
    return SKY_OK;
}

/* Evenly; and at the beginning, where a front grows fastest, each time that a thirtieth more is there. */
static bool due(const sky__history *h, size_t step)
{
    const size_t last = h->n ? h->samples[h->n - 1].rows : 0;
    const size_t early = last / 30 + 1;
    return h->rows - last >= (early < step ? early : step);
}

static sky_err grow(const sky__resident *s, sky__history *h, sky_error *e)
{
    const double *columns[SKY_OBJECTIVES_MAX];
    const size_t first = h->rows, n = sky_columns_rows(s->columns) - first;
    const size_t step = n / FIRST_SAMPLES + 1;
    arrival *list = NULL;
    sky_err err = SKY_OK;
    if (n == 0)
        return SKY_OK;
    for (size_t j = 0; j < h->k && err == SKY_OK; j++)
        err = sky__resident_column(s, h->list[j].name, NULL, &columns[j], e);
    if (err == SKY_OK)
        err = arrivals(s, first, &list, e);
    for (size_t i = 0; i < n && err == SKY_OK; i++) {
        err = take_row(s, h, columns, list[i].row, e);
        h->rows++;
        if (err == SKY_OK && (i + 1 == n || due(h, step)))
            err = take_sample(h, list[i].at_ms, e);
    }
    free(list);
    return err;
}

/* ---- Finding ---- */

static bool same(const sky__history *h, const sky__history *asked, const double *reference)
{
    if (h->k != asked->k || h->infeasible_too != asked->infeasible_too)
        return false;
    for (size_t j = 0; j < h->k; j++) {
        if (strcmp(h->list[j].name, asked->list[j].name) != 0 ||
            h->list[j].goal != asked->list[j].goal ||
            (reference && h->reference[j] != reference[j]))
            return false;
    }
    return true;
}

static void forget(sky__history **list, const sky__history *gone)
{
    for (sky__history **at = list; *at; at = &(*at)->next) {
        if (*at == gone) {
            sky__history *h = *at;
            *at = h->next;
            free_one(h);
            return;
        }
    }
}

static void make_room(sky__history **list)
{
    size_t n = 0;
    const sky__history *oldest = NULL;
    for (const sky__history *h = *list; h; h = h->next, n++) {
        if (!oldest || h->used < oldest->used)
            oldest = h;
    }
    if (n >= HISTORIES_MAX)
        forget(list, oldest);
}

static sky_err begin(sky__resident *s, const sky__history *asked, const double *reference,
                     sky__history **out, sky_error *e)
{
    sky_goal goals[SKY_OBJECTIVES_MAX];
    sky__history *h = malloc(sizeof *h);
    if (!h)
        return sky__api_no_memory(e);
    *h = *asked;
    for (size_t j = 0; j < h->k; j++)
        goals[j] = h->list[j].goal;
    if (reference)
        memcpy(h->reference, reference, h->k * sizeof *reference);
    else if (!sky__worst(s, h->list, h->k, h->infeasible_too, h->reference))
        memset(h->reference, 0, sizeof h->reference); /* no rows yet that count */
    h->front = sky_front_new(h->k, goals);
    h->samples = malloc(SAMPLES_MAX * sizeof *h->samples);
    if (!h->front || !h->samples) {
        free_one(h);
        return sky__api_no_memory(e);
    }
    make_room(&s->histories);
    h->next = s->histories;
    s->histories = h;
    *out = h;
    return SKY_OK;
}

static void history_json(const sky__history *h, size_t points, sky_buf *b)
{
    const size_t n = h->n < points ? h->n : points;
    static const char *const names[] = {"rows", "at_ms", "size", "hypervolume"};
    sky_buf_puts(b, "{\"objectives\":");
    sky__json_objectives(b, h->list, h->k);
    sky_buf_puts(b, ",\"reference\":");
    sky__json_numbers(b, h->reference, h->k);
    for (int column = 0; column < 4; column++) {
        sky_buf_printf(b, ",\"%s\":[", names[column]);
        for (size_t i = 0; i < n; i++) {
            /* Evenly over the samples, the last one included. */
            const sample *x = &h->samples[(i + 1) * h->n / n - 1];
            if (i)
                sky_buf_putc(b, ',');
            if (column == 3 && isnan(x->volume))
                sky_buf_puts(b, "null");
            else if (column == 3)
                sky_buf_json_f64(b, x->volume);
            else
                sky_buf_printf(b, "%lld",
                               (long long)(column == 0   ? (int64_t)x->rows
                                           : column == 1 ? x->at_ms
                                                         : (int64_t)x->size));
        }
        sky_buf_putc(b, ']');
    }
    sky_buf_puts(b, "}\n");
}

static sky_err read_question(const sky_http_request *r, const sky__resident *s, sky__history *asked,
                             uint64_t *points, sky_error *e)
{
    sky_err err = sky__arg_bool(r, "infeasible", false, &asked->infeasible_too, e);
    if (err == SKY_OK)
        err = sky__arg_u64(r, "points", 200, 1000, points, e);
    if (err == SKY_OK && *points < 2)
        err = sky_fail(e, SKY_EINVAL, "points: expected 2 to 1000");
    if (err == SKY_OK)
        err = sky__objectives_of(s, r, asked->list, &asked->k, e);
    if (err == SKY_OK && asked->k > OBJECTIVES_MAX)
        err = sky_fail(e, SKY_EINVAL, "objectives: a history takes at most %d", OBJECTIVES_MAX);
    return err;
}

SKY__HANDLER(history)
{
    sky__resident *s = NULL;
    sky__history asked = {0}, *h;
    double reference[SKY_OBJECTIVES_MAX];
    uint64_t points = 0;
    bool given = false;
    sky_buf b = {0};
    sky_err err = sky__resident_get(t, p->parts[3], &s, e);
    if (err == SKY_OK)
        err = read_question(r, s, &asked, &points, e);
    if (err == SKY_OK)
        err = sky__reference_arg(r, asked.k, reference, &given, e);
    if (err != SKY_OK)
        return err;
    for (h = s->histories; h && !same(h, &asked, given ? reference : NULL);)
        h = h->next;
    /* A reference point that was chosen before there were rows tells nothing. */
    if (h && h->rows == 0 && !given) {
        forget(&s->histories, h);
        h = NULL;
    }
    if (!h)
        err = begin(s, &asked, given ? reference : NULL, &h, e);
    if (err == SKY_OK) {
        h->used = s->used;
        err = grow(s, h, e);
        if (err != SKY_OK)
            forget(&s->histories, h);
    }
    if (err == SKY_OK)
        history_json(h, (size_t)points, &b);
    return err == SKY_OK ? sky__api_json(out, &b) : err;
}

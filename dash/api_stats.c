/* Densities, importance, slices. All from the columns in memory. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "dash/api.h"
#include "dash/frame.h"

/* ---- Density ---- */

typedef struct axis {
    const double *values;
    double low, high;
    bool log;
} axis;

static sky_err axis_of(sky__resident *s, const sky_http_request *r, const char *letter, axis *a,
                       sky_error *e)
{
    char low[8], high[8], log_name[8];
    const char *name = sky__arg(r, letter);
    const sky__column_info *info;
    snprintf(low, sizeof low, "%s0", letter);
    snprintf(high, sizeof high, "%s1", letter);
    snprintf(log_name, sizeof log_name, "%slog", letter);
    if (!name)
        return sky_fail(e, SKY_EINVAL, "%s: expected a column", letter);
    sky_err err = sky__resident_column(s, name, &info, &a->values, e);
    const sky__column_summary *m =
        err == SKY_OK ? sky__resident_summary(s, (size_t)info->resident) : NULL;
    if (err == SKY_OK && !m)
        err = sky__api_no_memory(e);
    if (err == SKY_OK)
        err = sky__arg_bool(r, log_name, false, &a->log, e);
    if (err != SKY_OK)
        return err;
    const bool any = m->n > 0 && (!a->log || isfinite(m->above_zero));
    err = sky__arg_f64(r, low, !any ? a->log : a->log ? m->above_zero : m->min, &a->low, e);
    if (err == SKY_OK)
        err = sky__arg_f64(r, high, any ? m->max : 1, &a->high, e);
    if (err != SKY_OK)
        return err;
    if (!isfinite(a->low) || !isfinite(a->high) || a->low > a->high)
        return sky_fail(e, SKY_EINVAL, "%s, %s: expected two numbers, the lesser one first", low,
                        high);
    if (a->log && !(a->low > 0))
        return sky_fail(e, SKY_EINVAL, "%s: a logarithmic axis needs values above 0", low);
    return SKY_OK;
}

typedef struct grid {
    size_t w, h, inside;
    uint32_t *counts;
    double *sums;   /* of z; NULL: not asked */
    uint32_t *with; /* how many of a cell's trials have a z */
} grid;

static void grid_free(grid *g)
{
    free(g->counts);
    free(g->sums);
    free(g->with);
}

static sky_err grid_new(grid *g, bool means, sky_error *e)
{
    g->counts = calloc(g->w * g->h, sizeof *g->counts);
    g->sums = means ? calloc(g->w * g->h, sizeof *g->sums) : NULL;
    g->with = means ? calloc(g->w * g->h, sizeof *g->with) : NULL;
    return g->counts && (!means || (g->sums && g->with)) ? SKY_OK : sky__api_no_memory(e);
}

static inline double scaled(const axis *a, double x)
{
    return a->log ? log(x) : x;
}

/* The cell that a value falls into; n and beyond: none. Both ends of the window belong to it. */
typedef struct scale {
    double origin, factor;
    size_t n;
} scale;

static scale scale_of(const axis *a, size_t n)
{
    const double low = scaled(a, a->low), extent = scaled(a, a->high) - low;
    return (scale){low, extent > 0 ? (double)n / extent : 0, n};
}

static inline size_t cell_of(const axis *a, const scale *c, double x)
{
    if (!(x >= a->low && x <= a->high)) /* NaN too */
        return c->n;
    const double at = (scaled(a, x) - c->origin) * c->factor;
    return at < (double)c->n ? (size_t)(at > 0 ? at : 0) : c->n - 1;
}

/* Ranges of columns that a row must lie in to count. */
enum { RANGES_MAX = 16 };
typedef struct ranges {
    size_t n;
    struct {
        const double *values;
        double low, high;
    } r[RANGES_MAX];
} ranges;

static bool in_ranges(const ranges *list, size_t row)
{
    for (size_t k = 0; k < list->n; k++) {
        const double x = list->r[k].values[row];
        if (!(x >= list->r[k].low && x <= list->r[k].high)) /* NaN too */
            return false;
    }
    return true;
}

/* "energy_j:0:1.5"; what comes before the last two colons is the column's name. */
static sky_err parse_range(const sky__resident *s, char *text, ranges *out, sky_error *e)
{
    double ends[2];
    for (int i = 1; i >= 0; i--) {
        char *colon = strrchr(text, ':');
        if (!colon || sky_parse_f64(colon + 1, &ends[i]) != SKY_OK)
            return sky_fail(e, SKY_EINVAL, "ranges: found '%.60s', expected column:low:high", text);
        *colon = 0;
    }
    out->r[out->n].low = ends[0];
    out->r[out->n].high = ends[1];
    return sky__resident_column(s, text, NULL, &out->r[out->n++].values, e);
}

static sky_err read_ranges(const sky__resident *s, const sky_http_request *r, ranges *out,
                           sky_error *e)
{
    const char *parts[RANGES_MAX];
    sky_arena arena = {0};
    size_t n = 0;
    sky_err err = sky__arg_list(r, "ranges", &arena, parts, RANGES_MAX, &n, e);
    for (size_t i = 0; err == SKY_OK && i < n; i++)
        err = parse_range(s, (char *)(uintptr_t)parts[i], out, e);
    sky_arena_free(&arena);
    return err;
}

static void fill_grid(grid *g, const axis *x, const axis *y, size_t rows, const double *feasible,
                      const double *z, const ranges *only)
{
    const scale sx = scale_of(x, g->w), sy = scale_of(y, g->h);
    for (size_t i = 0; i < rows; i++) {
        if ((feasible && feasible[i] == 0) || (only->n > 0 && !in_ranges(only, i)))
            continue;
        const size_t cx = cell_of(x, &sx, x->values[i]);
        if (cx >= g->w)
            continue;
        const size_t cy = cell_of(y, &sy, y->values[i]);
        if (cy >= g->h)
            continue;
        const size_t cell = cy * g->w + cx;
        g->counts[cell]++;
        g->inside++;
        if (z && isfinite(z[i])) {
            g->sums[cell] += z[i];
            g->with[cell]++;
        }
    }
}

static void density_frame(const sky__resident *s, const axis *x, const axis *y, grid *g, sky_buf *b)
{
    sky_buf meta = {0};
    const double xs[] = {x->low, x->high}, ys[] = {y->low, y->high};
    sky_buf_printf(&meta,
                   "\"epoch\":%llu,\"rows\":%zu,\"recorded\":%llu,\"more\":%s,\"inside\":%zu,"
                   "\"w\":%zu,\"h\":%zu,\"x\":",
                   (unsigned long long)s->epoch, sky_columns_rows(s->columns),
                   (unsigned long long)sky_columns_recorded(s->columns), s->more ? "true" : "false",
                   g->inside, g->w, g->h);
    sky__json_numbers(&meta, xs, 2);
    sky_buf_puts(&meta, ",\"y\":");
    sky__json_numbers(&meta, ys, 2);
    for (size_t i = 0; g->sums && i < g->w * g->h; i++)
        g->sums[i] = g->with[i] ? g->sums[i] / g->with[i] : NAN;
    const sky__frame_column columns[] = {
        {.name = "count", .dtype = SKY__U32, .counts = g->counts},
        {.name = "mean", .dtype = SKY__F32, .doubles = g->sums},
    };
    sky__frame_write(b, sky_buf_str(&meta), columns, g->sums ? 2 : 1, g->w * g->h);
    sky_buf_free(&meta);
}

static sky_err read_size(const sky_http_request *r, grid *g, sky_error *e)
{
    uint64_t w = 0, h = 0;
    sky_err err = sky__arg_u64(r, "w", 256, SKY__GRID_MAX, &w, e);
    if (err == SKY_OK)
        err = sky__arg_u64(r, "h", 256, SKY__GRID_MAX, &h, e);
    if (err == SKY_OK && (w == 0 || h == 0))
        err = sky_fail(e, SKY_EINVAL, "w and h: expected 1 to %d", SKY__GRID_MAX);
    g->w = (size_t)w;
    g->h = (size_t)h;
    return err;
}

SKY__HANDLER(density)
{
    sky__resident *s = NULL;
    axis x = {0}, y = {0};
    grid g = {0};
    bool feasible = false;
    const double *z = NULL;
    ranges only = {0};
    sky_buf b = {0};
    const char *third = sky__arg(r, "z");
    sky_err err = read_size(r, &g, e);
    if (err == SKY_OK)
        err = sky__arg_bool(r, "feasible", false, &feasible, e);
    if (err == SKY_OK)
        err = sky__resident_for(t, r, p->parts[3], &s, e);
    if (err == SKY_OK)
        err = axis_of(s, r, "x", &x, e);
    if (err == SKY_OK)
        err = axis_of(s, r, "y", &y, e);
    if (err == SKY_OK && third && *third)
        err = sky__resident_column(s, third, NULL, &z, e);
    if (err == SKY_OK)
        err = read_ranges(s, r, &only, e);
    if (err == SKY_OK)
        err = grid_new(&g, z != NULL, e);
    if (err == SKY_OK) {
        fill_grid(&g, &x, &y, sky_columns_rows(s->columns),
                  feasible ? sky_columns_values(s->columns, (size_t)s->feasible) : NULL, z, &only);
        density_frame(s, &x, &y, &g, &b);
    }
    grid_free(&g);
    return err == SKY_OK ? sky__api_frame(out, &b) : err;
}

/* ---- Groups of a column's values ---- */

enum { GROUPS_MAX = 256 };

/* A value each where there are few, else parts of equal width. */
typedef struct groups {
    bool distinct;
    const double *choices; /* ascending, n of them */
    double low, width;
    size_t n;
} groups;

static groups groups_of(const sky__column_summary *m, size_t max)
{
    groups g = {0};
    g.distinct = m->n_choices <= SKY__CHOICES_MAX && m->n_choices <= max;
    g.choices = m->choices;
    g.low = m->min;
    g.n = m->n == 0 ? 0 : g.distinct ? m->n_choices : max;
    g.width = g.n ? (m->max - m->min) / (double)g.n : 0;
    return g;
}

/* g->n: none. */
static size_t group_of(const groups *g, double x)
{
    if (!isfinite(x) || g->n == 0)
        return g->n;
    if (!g->distinct) {
        const double at = g->width > 0 ? (x - g->low) / g->width : 0;
        return at < (double)g->n ? (size_t)(at > 0 ? at : 0) : g->n - 1;
    }
    size_t low = 0, high = g->n;
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (g->choices[middle] <= x)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* ---- Importance ---- */

/* The share of y's variance that x alone explains: omega squared of a one-way analysis of variance over
 * groups of x (Hays, Statistics, 1963), which takes off what groups would explain by chance. */
static double share(const double *x, const groups *g, const double *y, size_t rows)
{
    double sum[GROUPS_MAX] = {0}, squares = 0, total = 0, between = 0;
    size_t count[GROUPS_MAX] = {0}, n = 0, used = 0;
    for (size_t i = 0; i < rows; i++) {
        if (isfinite(x[i]) && isfinite(y[i])) {
            total += y[i];
            n++;
        }
    }
    const double mean = n ? total / (double)n : 0;
    for (size_t i = 0; i < rows; i++) {
        const size_t at = isfinite(y[i]) ? group_of(g, x[i]) : g->n;
        if (at == g->n)
            continue;
        sum[at] += y[i] - mean;
        squares += (y[i] - mean) * (y[i] - mean);
        count[at]++;
    }
    for (size_t j = 0; j < g->n; j++) {
        if (count[j]) {
            between += sum[j] * sum[j] / (double)count[j];
            used++;
        }
    }
    if (!(squares > 0) || n <= used || used < 2)
        return 0;
    const double within = (squares - between) / (double)(n - used);
    const double omega = (between - (double)(used - 1) * within) / (squares + within);
    return omega > 0 ? omega < 1 ? omega : 1 : 0;
}

typedef struct rank {
    const char *name;
    double share;
} rank;

static int by_share(const void *a, const void *b)
{
    const rank *x = a, *y = b;
    return x->share != y->share ? (x->share < y->share ? 1 : -1) : strcmp(x->name, y->name);
}

/* The column of an argument, or the first objective. It must be of numbers. */
static sky_err metric_arg(const sky__resident *s, const sky_http_request *r, const char *arg,
                          const sky__column_info **info, const double **values, sky_error *e)
{
    const char *name = sky__arg(r, arg);
    if (!name || !*name)
        name = s->n_objectives ? s->objectives[0].name : NULL;
    if (!name)
        return sky_fail(e, SKY_EINVAL, "%s: expected a column", arg);
    const sky_err err = sky__resident_column(s, name, info, values, e);
    if (err == SKY_OK && (*info)->type == SKY_TEXT)
        return sky_fail(e, SKY_EINVAL, "%s: '%s' is of texts", arg, (*info)->name);
    return err;
}

SKY__HANDLER(importance)
{
    sky__resident *s = NULL;
    const double *y = NULL;
    const sky__column_info *metric = NULL;
    rank ranks[SKY_PARAMS_MAX];
    size_t n = 0;
    sky_buf b = {0};
    sky_err err = sky__resident_get(t, p->parts[3], &s, e);
    if (err == SKY_OK)
        err = metric_arg(s, r, "metric", &metric, &y, e);
    if (err != SKY_OK)
        return err;
    const size_t rows = sky_columns_rows(s->columns);
    for (size_t i = 0; i < s->n_infos && n < SKY_PARAMS_MAX; i++) {
        const sky__column_info *c = &s->infos[i];
        if (strcmp(c->role, "param") != 0 || c->resident < 0)
            continue;
        const sky__column_summary *m = sky__resident_summary(s, (size_t)c->resident);
        if (!m)
            return sky__api_no_memory(e);
        const groups g = groups_of(m, SKY__CHOICES_MAX);
        ranks[n++] = (rank){
            c->name, share(sky_columns_values(s->columns, (size_t)c->resident), &g, y, rows)};
    }
    if (n > 0)
        qsort(ranks, n, sizeof *ranks, by_share);
    const sky__column_summary *m = sky__resident_summary(s, (size_t)metric->resident);
    sky_buf_puts(&b, "{\"metric\":");
    sky_buf_json_string(&b, metric->name);
    sky_buf_printf(&b, ",\"n\":%zu,\"parameters\":[", m ? m->n : 0);
    for (size_t i = 0; i < n; i++) {
        sky_buf_puts(&b, i ? ",{\"name\":" : "{\"name\":");
        sky_buf_json_string(&b, ranks[i].name);
        sky_buf_puts(&b, ",\"share\":");
        sky_buf_json_f64(&b, ranks[i].share);
        sky_buf_putc(&b, '}');
    }
    sky_buf_puts(&b, "]}\n");
    return sky__api_json(out, &b);
}

/* ---- Slices ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Between the two values nearest to the place (type 7 of Hyndman and Fan, 1996). */
static double quantile(const double *sorted, size_t n, double q)
{
    const double at = q * (double)(n - 1);
    const size_t low = (size_t)at;
    const double part = at - (double)low;
    return low + 1 < n ? sorted[low] + part * (sorted[low + 1] - sorted[low]) : sorted[low];
}

static void number(sky_buf *b, const char *name, double x)
{
    sky_buf_printf(b, ",\"%s\":", name);
    if (isnan(x))
        sky_buf_puts(b, "null");
    else
        sky_buf_json_f64(b, x);
}

static void bin_json(sky_buf *b, const groups *g, size_t j, const char *const *texts,
                     double *values, size_t n)
{
    double sum = 0, squares = 0;
    qsort(values, n, sizeof *values, by_value);
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    const double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    const double low = g->distinct ? g->choices[j] : g->low + (double)j * g->width;
    sky_buf_printf(b, "{\"n\":%zu", n);
    number(b, "low", texts ? NAN : low);
    number(b, "high", texts ? NAN : g->distinct ? low : low + g->width);
    sky_buf_puts(b, ",\"text\":");
    if (texts)
        sky_buf_json_string(b, texts[(size_t)low]);
    else
        sky_buf_puts(b, "null");
    number(b, "mean", mean);
    number(b, "sd", n > 1 ? sqrt(squares / (double)(n - 1)) : NAN);
    number(b, "min", values[0]);
    number(b, "q25", quantile(values, n, 0.25));
    number(b, "median", quantile(values, n, 0.5));
    number(b, "q75", quantile(values, n, 0.75));
    number(b, "max", values[n - 1]);
    sky_buf_putc(b, '}');
}

/* y's finite values by x's groups, one group after the other; first[j] to first[j + 1] are group j's. */
static double *sort_by_group(const sky__resident *s, const groups *g, const double *x,
                             const double *y, bool feasible, size_t *first)
{
    const size_t rows = sky_columns_rows(s->columns);
    const double *ok = sky_columns_values(s->columns, (size_t)s->feasible);
    double *sorted = malloc((rows + 1) * sizeof *sorted);
    memset(first, 0, (GROUPS_MAX + 2) * sizeof *first);
    for (int pass = 0; sorted && pass < 2; pass++) {
        for (size_t i = 0; i < rows; i++) {
            if (!isfinite(y[i]) || (feasible && ok[i] == 0))
                continue;
            const size_t j = group_of(g, x[i]);
            if (j == g->n)
                continue;
            if (pass == 0)
                first[j + 2]++;
            else
                sorted[first[j + 1]++] = y[i];
        }
        for (size_t j = 0; pass == 0 && j < g->n; j++)
            first[j + 2] += first[j + 1];
    }
    return sorted;
}

SKY__HANDLER(slice)
{
    sky__resident *s = NULL;
    const sky__column_info *along, *metric;
    const double *x, *y;
    size_t first[GROUPS_MAX + 2], n_texts = 0;
    uint64_t bins = 0;
    bool feasible = false;
    sky_buf b = {0};
    const char *name = sky__arg(r, "x");
    sky_err err = name ? SKY_OK : sky_fail(e, SKY_EINVAL, "x: expected a column");
    if (err == SKY_OK)
        err = sky__arg_u64(r, "bins", 32, GROUPS_MAX, &bins, e);
    if (err == SKY_OK && bins == 0)
        err = sky_fail(e, SKY_EINVAL, "bins: expected 1 to %d", GROUPS_MAX);
    if (err == SKY_OK)
        err = sky__arg_bool(r, "feasible", false, &feasible, e);
    if (err == SKY_OK)
        err = sky__resident_get(t, p->parts[3], &s, e);
    if (err == SKY_OK)
        err = sky__resident_column(s, name, &along, &x, e);
    if (err == SKY_OK)
        err = metric_arg(s, r, "y", &metric, &y, e);
    if (err != SKY_OK)
        return err;
    const bool text = along->type == SKY_TEXT;
    const char *const *texts =
        text ? sky_columns_texts(s->columns, (size_t)along->resident, &n_texts) : NULL;
    const sky__column_summary *m = sky__resident_summary(s, (size_t)along->resident);
    const groups g = m ? groups_of(m, (size_t)(text ? SKY__CHOICES_MAX : bins)) : (groups){0};
    if (m && text && g.n && !g.distinct)
        return sky_fail(e, SKY_ELIMIT, "x: '%s' has more than %d texts", along->name,
                        SKY__CHOICES_MAX);
    double *sorted = m ? sort_by_group(s, &g, x, y, feasible, first) : NULL;
    if (!sorted)
        return sky__api_no_memory(e);
    sky_buf_puts(&b, "{\"x\":");
    sky_buf_json_string(&b, along->name);
    sky__json_member(&b, "y", metric->name);
    sky_buf_printf(&b, ",\"distinct\":%s,\"bins\":[", g.distinct ? "true" : "false");
    for (size_t j = 0, told = 0; j < g.n; j++) {
        if (first[j + 1] == first[j])
            continue;
        if (told++)
            sky_buf_putc(&b, ',');
        bin_json(&b, &g, j, texts, sorted + first[j], first[j + 1] - first[j]);
    }
    sky_buf_puts(&b, "]}\n");
    free(sorted);
    return sky__api_json(out, &b);
}

/* What a figure is drawn from: columns, fronts, densities, importance. All from memory. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "dash/api.h"
#include "dash/frame.h"
#include "dash/resident.h"
#include "store/fronts.h"

/* ---- Columns ---- */

static sky_err list_arg(const sky_http_request *r, const char *name, sky_arena *arena,
                        const char **parts, size_t max, size_t *n, sky_error *e)
{
    const char *text = sky__arg(r, name);
    char *copy = sky_arena_strdup(arena, text ? text : "");
    if (!copy)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    if (!sky__list_split(copy, parts, max, n))
        return sky_fail(e, SKY_ELIMIT, "%s: at most %zu names", name, max);
    return SKY_OK;
}

static sky_err fill_columns(const sky__resident *s, const char *const *names, size_t n,
                            size_t first, sky__frame_column *columns, sky_error *e)
{
    columns[0] = (sky__frame_column){
        .name = "trial", .dtype = SKY__F64, .ids = sky_columns_trials(s->columns) + first};
    for (size_t i = 0; i < n; i++) {
        const sky__column_info *info;
        const double *values;
        const sky_err err = sky__resident_column(s, names[i], &info, &values, e);
        if (err != SKY_OK)
            return err;
        columns[i + 1] =
            (sky__frame_column){.name = info->name, .dtype = SKY__F32, .doubles = values + first};
        if (info->type == SKY_TEXT)
            columns[i + 1].texts =
                sky_columns_texts(s->columns, (size_t)info->resident, &columns[i + 1].n_texts);
    }
    return SKY_OK;
}

void sky__api_columns(sky__reader *t, const sky_http_request *r, sky_http_response *out)
{
    sky__path p;
    sky_error e = {0};
    sky_arena arena = {0};
    sky__resident *s = NULL;
    const char *names[SKY__RESIDENT_COLUMNS_MAX];
    sky__frame_column columns[SKY__RESIDENT_COLUMNS_MAX + 1];
    size_t n = 0;
    uint64_t since = 0, epoch = 0, limit = 0;
    sky_buf b = {0};
    if (!sky__api_name(r, &p, out))
        return;
    sky_err err = list_arg(r, "columns", &arena, names, SKY__RESIDENT_COLUMNS_MAX, &n, &e);
    if (err == SKY_OK)
        err = sky__arg_u64(r, "since", 0, UINT64_MAX, &since, &e);
    if (err == SKY_OK)
        err = sky__arg_u64(r, "epoch", 0, UINT64_MAX, &epoch, &e);
    if (err == SKY_OK)
        err = sky__arg_u64(r, "limit", SKY__COLUMN_ROWS_MAX, SKY__COLUMN_ROWS_MAX, &limit, &e);
    if (err == SKY_OK)
        err = sky__resident_get(t, p.parts[3], &s, &e);
    if (err == SKY_OK) {
        const size_t rows = sky_columns_rows(s->columns);
        const bool reset = epoch != s->epoch || since > rows;
        const size_t first = reset ? 0 : (size_t)since;
        const size_t end = rows - first > limit ? first + (size_t)limit : rows;
        char meta[200];
        err = fill_columns(s, names, n, first, columns, &e);
        snprintf(meta, sizeof meta,
                 "\"epoch\":%llu,\"reset\":%s,\"first\":%zu,\"next\":%zu,\"rows\":%zu",
                 (unsigned long long)s->epoch, reset ? "true" : "false", first, end, rows);
        if (err == SKY_OK)
            sky__frame_write(&b, meta, columns, n + 1, end - first);
    }
    sky_arena_free(&arena);
    if (err == SKY_OK)
        sky__api_frame(out, &b);
    else
        sky__api_error(out, &e);
}

/* ---- Front ---- */

/* "energy_j:min" */
static sky_err parse_objective(char *text, sky_objective *o, sky_error *e)
{
    char *colon = strchr(text, ':');
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

static sky_err objectives_of(const sky__resident *s, const sky_http_request *r, sky_arena *arena,
                             sky_objective *list, size_t *n, sky_error *e)
{
    const char *parts[SKY_OBJECTIVES_MAX];
    sky_err err = list_arg(r, "objectives", arena, parts, SKY_OBJECTIVES_MAX, n, e);
    for (size_t i = 0; i < *n && err == SKY_OK; i++)
        err = parse_objective((char *)(uintptr_t)parts[i], &list[i], e);
    if (err == SKY_OK && *n == 0) {
        *n = s->n_objectives;
        memcpy(list, s->objectives, *n * sizeof *list);
    }
    for (size_t i = 0; i < *n && err == SKY_OK; i++) {
        const sky__column_info *info;
        const double *values;
        err = sky__resident_column(s, list[i].name, &info, &values, e);
        if (err != SKY_OK)
            break;
        list[i].name = info->name;
        if (info->type == SKY_TEXT)
            return sky_fail(e, SKY_EINVAL, "objectives: '%s' is of texts", info->name);
        if (list[i].goal == SKY_NO_GOAL)
            list[i].goal = info->goal != SKY_NO_GOAL ? info->goal : SKY_MIN;
        for (size_t j = 0; j < i; j++) {
            if (strcasecmp(list[j].name, info->name) == 0)
                return sky_fail(e, SKY_EINVAL, "objectives: '%s' comes twice", info->name);
        }
    }
    if (err == SKY_OK && *n == 0)
        err = sky_fail(e, SKY_EINVAL, "sweep '%s' has no objectives: name some", s->name);
    return err;
}

typedef struct front_answer {
    size_t n, k, total, considered, without_value, infeasible;
    uint64_t *trials;
    double *values;
} front_answer;

static sky_err no_memory(sky_error *e)
{
    return sky_fail(e, SKY_ENOMEM, "out of memory");
}

static void front_free(front_answer *f)
{
    free(f->trials);
    free(f->values);
}

typedef struct order {
    const double *values;
    size_t k;
    double sign;
} order;

/* Best first in the first objective. */
static int by_first(const void *a, const void *b, void *arg)
{
    const order *o = arg;
    const double x = o->sign * o->values[*(const size_t *)a * o->k];
    const double y = o->sign * o->values[*(const size_t *)b * o->k];
    return (x > y) - (x < y);
}

static sky_err sort_front(front_answer *f, sky_goal goal, sky_error *e)
{
    size_t *at = malloc((f->n + 1) * sizeof *at);
    uint64_t *trials = malloc((f->n + 1) * sizeof *trials);
    double *values = malloc((f->n * f->k + 1) * sizeof *values);
    order o = {f->values, f->k, goal == SKY_MAX ? -1 : 1};
    if (!at || !trials || !values) {
        free(at);
        free(trials);
        free(values);
        return no_memory(e);
    }
    for (size_t i = 0; i < f->n; i++)
        at[i] = i;
    qsort_r(at, f->n, sizeof *at, by_first, &o);
    for (size_t i = 0; i < f->n; i++) {
        trials[i] = f->trials[at[i]];
        memcpy(values + i * f->k, f->values + at[i] * f->k, f->k * sizeof *values);
    }
    free(at);
    front_free(f);
    f->trials = trials;
    f->values = values;
    return SKY_OK;
}

/* A column with NaN where a trial is infeasible: the front then passes it over. */
static double *without_infeasible(const sky__resident *s, const double *values, size_t rows)
{
    const double *feasible = sky_columns_values(s->columns, (size_t)s->feasible);
    double *masked = malloc((rows + 1) * sizeof *masked);
    for (size_t i = 0; masked && i < rows; i++)
        masked[i] = feasible[i] == 0 ? NAN : values[i];
    return masked;
}

static size_t count_infeasible(const sky__resident *s, size_t rows)
{
    const double *feasible = sky_columns_values(s->columns, (size_t)s->feasible);
    size_t n = 0;
    for (size_t i = 0; i < rows; i++)
        n += feasible[i] == 0;
    return n;
}

/* From the columns in memory: each trial for itself. */
static sky_err front_of_trials(const sky__resident *s, const sky_objective *list, size_t k,
                               bool infeasible_too, front_answer *f, sky_error *e)
{
    const double *columns[SKY_OBJECTIVES_MAX];
    sky_goal goals[SKY_OBJECTIVES_MAX];
    const size_t rows = sky_columns_rows(s->columns);
    double *masked = NULL;
    uint8_t *on = malloc(rows + 1);
    sky_err err = on ? SKY_OK : no_memory(e);
    f->k = k;
    f->infeasible = infeasible_too ? 0 : count_infeasible(s, rows);
    for (size_t j = 0; j < k && err == SKY_OK; j++) {
        err = sky__resident_column(s, list[j].name, NULL, &columns[j], e);
        goals[j] = list[j].goal;
    }
    if (err == SKY_OK && f->infeasible > 0) {
        columns[0] = masked = without_infeasible(s, columns[0], rows);
        err = masked ? SKY_OK : no_memory(e);
    }
    if (err == SKY_OK && sky_front_batch(columns, rows, k, goals, on, &f->n, &f->without_value))
        err = no_memory(e);
    if (err == SKY_OK) {
        f->without_value -= f->without_value < f->infeasible ? f->without_value : f->infeasible;
        f->considered = rows - f->without_value - f->infeasible;
        f->trials = malloc((f->n + 1) * sizeof *f->trials);
        f->values = malloc((f->n * k + 1) * sizeof *f->values);
        err = f->trials && f->values ? SKY_OK : no_memory(e);
    }
    for (size_t i = 0, m = 0; err == SKY_OK && i < rows; i++) {
        if (!on[i])
            continue;
        f->trials[m] = sky_columns_trials(s->columns)[i];
        for (size_t j = 0; j < k; j++)
            f->values[m * k + j] = columns[j][i];
        m++;
    }
    free(masked);
    free(on);
    return err == SKY_OK ? sort_front(f, goals[0], e) : err;
}

/* Over the means of points: the store's own way. */
static sky_err front_of_points(sky__reader *t, const sky__resident *s, const sky_objective *list,
                               size_t k, bool infeasible_too, front_answer *f, sky_error *e)
{
    sky_fronts *fronts = NULL;
    sky_fronts_view v;
    const sky_fronts_options o = {
        .objectives = list, .n_objectives = k, .infeasible = infeasible_too};
    sky_err err = sky_fronts_open(&fronts, sky__reader_store(t), s->name, &o, e);
    if (err == SKY_OK)
        err = sky_fronts_refresh(fronts, NULL, e);
    if (err == SKY_OK)
        err = sky_fronts_view_get(fronts, &v, e);
    if (err == SKY_OK) {
        f->n = v.n;
        f->k = k;
        f->considered = (size_t)v.considered;
        f->infeasible = (size_t)v.infeasible;
        f->without_value = (size_t)v.without_value;
        f->trials = malloc((v.n + 1) * sizeof *f->trials);
        f->values = malloc((v.n * k + 1) * sizeof *f->values);
        err = f->trials && f->values ? SKY_OK : no_memory(e);
    }
    if (err == SKY_OK && f->n > 0) {
        memcpy(f->trials, v.trials, f->n * sizeof *f->trials);
        memcpy(f->values, v.values, f->n * k * sizeof *f->values);
    }
    sky_fronts_close(fronts);
    return err;
}

static void front_json(const sky__resident *s, const sky_objective *list, const front_answer *f,
                       bool by_point, sky_buf *b)
{
    sky_goal goals[SKY_OBJECTIVES_MAX];
    size_t knee = 0;
    const size_t n = f->n < SKY__FRONT_ROWS_MAX ? f->n : SKY__FRONT_ROWS_MAX;
    sky_buf_printf(b,
                   "{\"epoch\":%llu,\"rows\":%zu,\"size\":%zu,\"considered\":%zu,\"infeasible\":"
                   "%zu,\"without_value\":%zu,\"by_point\":%s,\"objectives\":[",
                   (unsigned long long)s->epoch, sky_columns_rows(s->columns), f->n, f->considered,
                   f->infeasible, f->without_value, by_point ? "true" : "false");
    for (size_t j = 0; j < f->k; j++) {
        goals[j] = list[j].goal;
        sky_buf_puts(b, j ? ",{\"name\":" : "{\"name\":");
        sky_buf_json_string(b, list[j].name);
        sky_buf_printf(b, ",\"goal\":\"%s\"}", sky_goal_name(list[j].goal));
    }
    sky_buf_puts(b, "],\"trials\":[");
    for (size_t i = 0; i < n; i++)
        sky_buf_printf(b, i ? ",%llu" : "%llu", (unsigned long long)f->trials[i]);
    sky_buf_puts(b, "],\"values\":[");
    for (size_t i = 0; i < n * f->k; i++) {
        if (i)
            sky_buf_putc(b, ',');
        sky_buf_json_f64(b, f->values[i]);
    }
    sky_buf_puts(b, "],\"knee\":");
    if (sky_knee(f->values, n, f->k, goals, &knee))
        sky_buf_printf(b, "%zu}\n", knee);
    else
        sky_buf_puts(b, "null}\n");
}

void sky__api_front(sky__reader *t, const sky_http_request *r, sky_http_response *out)
{
    sky__path p;
    sky_error e = {0};
    sky_arena arena = {0};
    sky__resident *s = NULL;
    sky_objective list[SKY_OBJECTIVES_MAX];
    front_answer f = {0};
    size_t k = 0;
    bool infeasible = false, by_trial = false;
    sky_buf b = {0};
    if (!sky__api_name(r, &p, out))
        return;
    sky_err err = sky__arg_bool(r, "infeasible", false, &infeasible, &e);
    if (err == SKY_OK)
        err = sky__arg_bool(r, "by_trial", false, &by_trial, &e);
    if (err == SKY_OK)
        err = sky__resident_get(t, p.parts[3], &s, &e);
    if (err == SKY_OK)
        err = objectives_of(s, r, &arena, list, &k, &e);
    if (err == SKY_OK) {
        const bool by_point = s->positions > s->points && !by_trial;
        err = by_point ? front_of_points(t, s, list, k, infeasible, &f, &e)
                       : front_of_trials(s, list, k, infeasible, &f, &e);
        if (err == SKY_OK)
            front_json(s, list, &f, by_point, &b);
    }
    front_free(&f);
    sky_arena_free(&arena);
    if (err == SKY_OK)
        sky__api_json(out, &b);
    else
        sky__api_error(out, &e);
}

/* ---- Density ---- */

typedef struct axis {
    const double *values;
    const char *name;
    double low, high;
    bool log;
} axis;

static void extent(axis *a, size_t rows)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < rows; i++) {
        const double x = a->values[i];
        if (isfinite(x) && (!a->log || x > 0)) {
            low = x < low ? x : low;
            high = x > high ? x : high;
        }
    }
    if (isnan(a->low))
        a->low = low <= high ? low : 0;
    if (isnan(a->high))
        a->high = low <= high ? high : 1;
}

static sky_err axis_of(const sky__resident *s, const sky_http_request *r, const char *letter,
                       axis *a, sky_error *e)
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
    if (err == SKY_OK)
        err = sky__arg_f64(r, low, NAN, &a->low, e);
    if (err == SKY_OK)
        err = sky__arg_f64(r, high, NAN, &a->high, e);
    if (err == SKY_OK)
        err = sky__arg_bool(r, log_name, false, &a->log, e);
    if (err != SKY_OK)
        return err;
    a->name = info->name;
    extent(a, sky_columns_rows(s->columns));
    if (a->log && !(a->low > 0 && a->high > 0))
        return sky_fail(e, SKY_EINVAL, "%s: a logarithmic axis needs values above 0", letter);
    return SKY_OK;
}

static inline double scaled(const axis *a, double x)
{
    return a->log ? log(x) : x;
}

static size_t count_cells(const sky__resident *s, const axis *x, const axis *y, size_t w, size_t h,
                          bool feasible, uint32_t *grid)
{
    const size_t rows = sky_columns_rows(s->columns);
    const double *ok = sky_columns_values(s->columns, (size_t)s->feasible);
    const double x0 = scaled(x, x->low), y0 = scaled(y, y->low);
    const double dx = scaled(x, x->high) - x0, dy = scaled(y, y->high) - y0;
    const double sx = dx > 0 ? (double)w / dx : 0, sy = dy > 0 ? (double)h / dy : 0;
    size_t inside = 0;
    for (size_t i = 0; i < rows; i++) {
        if (feasible && ok[i] == 0)
            continue;
        const double u = (scaled(x, x->values[i]) - x0) * sx;
        const double v = (scaled(y, y->values[i]) - y0) * sy;
        if (!(u >= 0 && v >= 0 && u <= (double)w && v <= (double)h)) /* NaN too */
            continue;
        const size_t cx = u < (double)w ? (size_t)u : w - 1;
        const size_t cy = v < (double)h ? (size_t)v : h - 1;
        grid[cy * w + cx]++;
        inside++;
    }
    return inside;
}

static void density_frame(const sky__resident *s, const axis *x, const axis *y, size_t w, size_t h,
                          size_t inside, const uint32_t *grid, sky_buf *b)
{
    sky_buf meta = {0};
    sky_buf_printf(&meta, "\"epoch\":%llu,\"rows\":%zu,\"inside\":%zu,\"w\":%zu,\"h\":%zu,\"x\":[",
                   (unsigned long long)s->epoch, sky_columns_rows(s->columns), inside, w, h);
    sky_buf_json_f64(&meta, x->low);
    sky_buf_putc(&meta, ',');
    sky_buf_json_f64(&meta, x->high);
    sky_buf_puts(&meta, "],\"y\":[");
    sky_buf_json_f64(&meta, y->low);
    sky_buf_putc(&meta, ',');
    sky_buf_json_f64(&meta, y->high);
    sky_buf_puts(&meta, "]");
    const sky__frame_column column = {.name = "count", .dtype = SKY__U32, .counts = grid};
    sky__frame_write(b, sky_buf_str(&meta), &column, 1, w * h);
    sky_buf_free(&meta);
}

void sky__api_density(sky__reader *t, const sky_http_request *r, sky_http_response *out)
{
    sky__path p;
    sky_error e = {0};
    sky__resident *s = NULL;
    axis x = {0}, y = {0};
    uint64_t w = 0, h = 0;
    bool feasible = false;
    sky_buf b = {0};
    if (!sky__api_name(r, &p, out))
        return;
    sky_err err = sky__arg_u64(r, "w", 256, SKY__GRID_MAX, &w, &e);
    if (err == SKY_OK)
        err = sky__arg_u64(r, "h", 256, SKY__GRID_MAX, &h, &e);
    if (err == SKY_OK && (w == 0 || h == 0))
        err = sky_fail(&e, SKY_EINVAL, "w and h: expected 1 to %d", SKY__GRID_MAX);
    if (err == SKY_OK)
        err = sky__arg_bool(r, "feasible", false, &feasible, &e);
    if (err == SKY_OK)
        err = sky__resident_get(t, p.parts[3], &s, &e);
    if (err == SKY_OK)
        err = axis_of(s, r, "x", &x, &e);
    if (err == SKY_OK)
        err = axis_of(s, r, "y", &y, &e);
    uint32_t *grid = err == SKY_OK ? calloc((size_t)(w * h), sizeof *grid) : NULL;
    if (err == SKY_OK && !grid)
        err = no_memory(&e);
    if (err == SKY_OK) {
        const size_t inside = count_cells(s, &x, &y, (size_t)w, (size_t)h, feasible, grid);
        density_frame(s, &x, &y, (size_t)w, (size_t)h, inside, grid, &b);
    }
    free(grid);
    if (err == SKY_OK)
        sky__api_frame(out, &b);
    else
        sky__api_error(out, &e);
}

/* ---- Importance ---- */

enum { BINS = 64 };

/* The share of the metric's variance that the parameter alone explains: the variance of the metric's
 * means over bins of the parameter, less what bins would explain by chance (omega squared). */
static double share(const double *x, const double *y, size_t rows)
{
    double low = INFINITY, high = -INFINITY, sum[BINS] = {0}, total = 0, squares = 0;
    size_t count[BINS] = {0}, n = 0, used = 0;
    for (size_t i = 0; i < rows; i++) {
        if (isfinite(x[i]) && isfinite(y[i])) {
            low = x[i] < low ? x[i] : low;
            high = x[i] > high ? x[i] : high;
            total += y[i];
            n++;
        }
    }
    if (n < 3 || !(low < high))
        return 0;
    const double mean = total / (double)n;
    for (size_t i = 0; i < rows; i++) {
        if (!isfinite(x[i]) || !isfinite(y[i]))
            continue;
        size_t bin = (size_t)((x[i] - low) / (high - low) * BINS);
        bin = bin < BINS ? bin : BINS - 1;
        sum[bin] += y[i] - mean;
        squares += (y[i] - mean) * (y[i] - mean);
        count[bin]++;
    }
    double between = 0;
    for (size_t j = 0; j < BINS; j++) {
        if (count[j]) {
            between += sum[j] * sum[j] / (double)count[j];
            used++;
        }
    }
    if (!(squares > 0) || n <= used)
        return 0;
    const double within = (squares - between) / (double)(n - used);
    const double omega = (between - (double)(used - 1) * within) / (squares + within);
    return omega > 0 ? omega < 1 ? omega : 1 : 0;
}

void sky__api_importance(sky__reader *t, const sky_http_request *r, sky_http_response *out)
{
    sky__path p;
    sky_error e = {0};
    sky__resident *s = NULL;
    const double *y = NULL;
    const sky__column_info *metric = NULL;
    sky_buf b = {0};
    const char *name = sky__arg(r, "metric");
    if (!sky__api_name(r, &p, out))
        return;
    sky_err err = sky__resident_get(t, p.parts[3], &s, &e);
    if (err == SKY_OK && !name)
        name = s->n_objectives ? s->objectives[0].name : "";
    if (err == SKY_OK)
        err = sky__resident_column(s, name, &metric, &y, &e);
    if (err != SKY_OK) {
        sky__api_error(out, &e);
        return;
    }
    bool any = false;
    sky_buf_puts(&b, "{\"metric\":");
    sky_buf_json_string(&b, metric->name);
    sky_buf_puts(&b, ",\"parameters\":[");
    for (size_t i = 0; i < s->n_infos; i++) {
        const sky__column_info *c = &s->infos[i];
        if (strcmp(c->role, "param") != 0 || c->resident < 0)
            continue;
        sky_buf_puts(&b, any ? ",{\"name\":" : "{\"name\":");
        sky_buf_json_string(&b, c->name);
        sky_buf_puts(&b, ",\"share\":");
        sky_buf_json_f64(&b, share(sky_columns_values(s->columns, (size_t)c->resident), y,
                                   sky_columns_rows(s->columns)));
        sky_buf_putc(&b, '}');
        any = true;
    }
    sky_buf_puts(&b, "]}\n");
    sky__api_json(out, &b);
}

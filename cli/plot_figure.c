/* The layout of a figure: one panel for two objectives, a lower triangle of panels for more.
 *
 * Colours are of Okabe and Ito's palette, which colour-blind readers can tell apart; the front
 * is also larger and joined by its staircase, so that the figure works in grey. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/plot.h"

static const cli_colour_rgb INK = {38, 43, 51, 1}, QUIET = {98, 106, 118, 1};
static const cli_colour_rgb GRID = {229, 231, 235, 1}, AXIS = {140, 146, 156, 1};
static const cli_colour_rgb CLOUD = {86, 120, 160, 0.45F}, FRONT = {213, 94, 0, 1};
static const cli_colour_rgb PAPER = {255, 255, 255, 1};

enum {
    DRAWN_MAX = 20000, /* dominated points drawn one by one; more are thinned to one a cell */
    THIN_CELL = 4,     /* size of such a cell: no picture shows more */
};

static const double LEFT = 78, RIGHT = 26, TOP = 66, BOTTOM = 62, GAP = 26;

typedef struct panel {
    double x, y, w, h; /* the plotting area */
    size_t ax, ay;     /* objectives across and up */
    const cli_scale *sx, *sy;
} panel;

static double at_x(const panel *p, double value)
{
    return p->x + p->w * cli_scale_at(p->sx, value);
}

static double at_y(const panel *p, double value)
{
    return p->y + p->h * (1 - cli_scale_at(p->sy, value));
}

static double panel_width(size_t k)
{
    return k == 2 ? 640 : k == 3 ? 340 : 240;
}

void cli_figure_size(const cli_plot *p, double *width, double *height)
{
    const double w = panel_width(p->k), n = (double)(p->k - 1);
    *width = LEFT + n * w + (n - 1) * GAP + RIGHT;
    *height = TOP + n * w * 0.62 + (n - 1) * GAP + BOTTOM;
}

static void put_line(cli_canvas *c, double x1, double y1, double x2, double y2, double width,
                     cli_colour_rgb colour)
{
    c->line(c, (double[]){x1, y1, x2, y2}, 2, width, colour);
}

static void draw_axes(const cli_plot *plot, const panel *p, cli_canvas *c, bool bottom, bool left)
{
    const cli_text_style across = {.size = 11, .anchor = CLI_MIDDLE, .colour = QUIET};
    const cli_text_style up = {.size = 11, .anchor = CLI_RIGHT, .colour = QUIET};
    for (size_t i = 0; i < p->sx->n_ticks; i++) {
        const double x = p->x + p->w * p->sx->ticks[i];
        put_line(c, x, p->y, x, p->y + p->h, 0.8, GRID);
        if (bottom)
            c->text(c, x, p->y + p->h + 17, p->sx->texts[i], &across);
    }
    for (size_t i = 0; i < p->sy->n_ticks; i++) {
        const double y = p->y + p->h * (1 - p->sy->ticks[i]);
        put_line(c, p->x, y, p->x + p->w, y, 0.8, GRID);
        if (left)
            c->text(c, p->x - 8, y + 4, p->sy->texts[i], &up);
    }
    put_line(c, p->x, p->y, p->x, p->y + p->h, 1, AXIS);
    put_line(c, p->x, p->y + p->h, p->x + p->w, p->y + p->h, 1, AXIS);
    /* Small panels have room for the arrow only; the legend then says what it means. */
    const char *less = plot->k == 2 ? "\u2190 better    " : "\u2190  ";
    const char *more = plot->k == 2 ? "    better \u2192" : "  \u2192";
    sky_buf title = {0};
    if (bottom) {
        const bool lower = plot->axes[p->ax].goal == SKY_MIN;
        sky_buf_puts(&title, lower ? less : "");
        cli_scale_title(p->sx, &plot->axes[p->ax], true, &title);
        sky_buf_puts(&title, lower ? "" : more);
        c->text(c, p->x + p->w / 2, p->y + p->h + 42, sky_buf_str(&title),
                &(cli_text_style){.size = 12.5, .anchor = CLI_MIDDLE, .colour = INK});
    }
    sky_buf_reset(&title);
    if (left) { /* read upwards, so that "left" is down */
        const bool lower = plot->axes[p->ay].goal == SKY_MIN;
        sky_buf_puts(&title, lower ? less : "");
        cli_scale_title(p->sy, &plot->axes[p->ay], true, &title);
        sky_buf_puts(&title, lower ? "" : more);
        c->text(
            c, p->x - 56, p->y + p->h / 2, sky_buf_str(&title),
            &(cli_text_style){.size = 12.5, .anchor = CLI_MIDDLE, .upwards = true, .colour = INK});
    }
    sky_buf_free(&title);
}

/* The dominated points as dots; where they are too many, the first of each cell. */
static sky_err draw_cloud(const cli_plot *plot, const panel *p, cli_canvas *c, size_t n_cloud)
{
    const size_t across = (size_t)(p->w / THIN_CELL) + 2, up = (size_t)(p->h / THIN_CELL) + 2;
    const bool thin = n_cloud > DRAWN_MAX;
    uint8_t *taken = calloc(across * up, 1);
    double *xy = malloc((thin ? across * up : n_cloud + 1) * 2 * sizeof *xy);
    if (!taken || !xy) {
        free(taken);
        free(xy);
        return SKY_ENOMEM;
    }
    size_t n = 0;
    for (size_t i = 0; i < plot->n; i++) {
        if (plot->on_front[i] || !cli_plot_finite(plot, p->ax, p->ay, i))
            continue;
        const double x = at_x(p, plot->columns[p->ax][i]), y = at_y(p, plot->columns[p->ay][i]);
        const size_t cell =
            (size_t)((y - p->y) / THIN_CELL) * across + (size_t)((x - p->x) / THIN_CELL);
        if (thin && taken[cell])
            continue;
        taken[cell] = 1;
        xy[2 * n] = x;
        xy[2 * n + 1] = y;
        n++;
    }
    c->dots(c, xy, n, n_cloud > 2000 ? 1.4 : 2.0, CLOUD);
    free(taken);
    free(xy);
    return SKY_OK;
}

static int by_x(const void *a, const void *b)
{
    const double *p = a, *q = b;
    return p[0] != q[0] ? (p[0] < q[0] ? -1 : 1) : p[1] < q[1] ? -1 : p[1] > q[1];
}

/* The border of what the front dominates. From left to right a front only rises or only falls (both
 * objectives up: falls). The corner between two neighbours is the worse of each coordinate. */
static void draw_staircase(const cli_plot *plot, const panel *p, cli_canvas *c, const double *xy,
                           size_t n, double *steps)
{
    const bool x_max = plot->axes[p->ax].goal == SKY_MAX;
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        if (i) { /* the corner is dominated by both: it takes x of the one that is worse in x */
            steps[2 * m] = x_max ? xy[2 * i - 2] : xy[2 * i];
            steps[2 * m + 1] = x_max ? xy[2 * i + 1] : xy[2 * i - 1];
            m++;
        }
        steps[2 * m] = xy[2 * i];
        steps[2 * m + 1] = xy[2 * i + 1];
        m++;
    }
    if (m > 1)
        c->line(c, steps, m, 1.4, FRONT);
}

static sky_err draw_front(const cli_plot *plot, const panel *p, cli_canvas *c, size_t n_front)
{
    double *xy = malloc((n_front + 1) * 6 * sizeof *xy);
    if (!xy)
        return SKY_ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < plot->n; i++) {
        if (!plot->on_front[i] || !cli_plot_finite(plot, p->ax, p->ay, i))
            continue;
        xy[2 * n] = at_x(p, plot->columns[p->ax][i]);
        xy[2 * n + 1] = at_y(p, plot->columns[p->ay][i]);
        n++;
    }
    qsort(xy, n, 2 * sizeof *xy, by_x);
    if (plot->k == 2)
        draw_staircase(plot, p, c, xy, n, xy + 2 * (n_front + 1));
    const double radius = n > 400 ? 2.2 : plot->k == 2 ? 3.6 : 2.8;
    c->dots(c, xy, n, radius + 1.1, PAPER); /* a light rim keeps neighbours apart */
    c->dots(c, xy, n, radius, FRONT);
    free(xy);
    return SKY_OK;
}

static void count_text(char *buf, size_t len, size_t n)
{
    sky_format_count(n, buf, len);
}

/* The title, and below it a legend that says in numbers what is drawn. */
static void draw_heading(const cli_plot *p, cli_canvas *c, double y)
{
    char a[32], b[32];
    size_t front, dominated, left_out;
    cli_plot_counts(p, &front, &dominated, &left_out);
    const bool thinned = dominated > DRAWN_MAX;
    const cli_text_style title = {.size = 16, .bold = true, .colour = INK};
    const cli_text_style small = {.size = 12, .colour = QUIET};
    c->text(c, LEFT, 28, p->title, &title);
    c->dots(c, (double[]){LEFT + 4, y - 4}, 1, 3.6, FRONT);
    sky_buf text = {0};
    count_text(a, sizeof a, front);
    sky_buf_printf(&text, "front: %s %s%s", a, p->what, front == 1 ? "" : "s");
    c->text(c, LEFT + 14, y, sky_buf_str(&text), &small);
    const double next = LEFT + 14 + 6.4 * (double)text.len + 24;
    sky_buf_reset(&text);
    c->dots(c, (double[]){next, y - 4}, 1, 2, CLOUD);
    count_text(b, sizeof b, dominated);
    sky_buf_printf(&text, "dominated: %s", b);
    if (thinned)
        sky_buf_printf(&text, ", drawn at most one for each %d x %d cell", THIN_CELL, THIN_CELL);
    if (left_out)
        sky_buf_printf(&text, "; %zu without a finite value left out", left_out);
    if (p->k > 2)
        sky_buf_puts(&text, ".  Arrows point to better");
    c->text(c, next + 9, y, sky_buf_str(&text), &small);
    sky_buf_free(&text);
}

sky_err cli_figure_draw(const cli_plot *p, cli_canvas *c)
{
    cli_scale scales[CLI_PLOT_OBJECTIVES_MAX];
    size_t front, dominated, left_out;
    sky_err err = SKY_OK;
    cli_plot_counts(p, &front, &dominated, &left_out);
    const double w = panel_width(p->k), h = w * 0.62;
    for (size_t j = 0; j < p->k; j++)
        cli_scale_fit(&scales[j], p->columns[j], p->n, p->k == 2 ? 6 : 4);
    for (size_t row = 0; err == SKY_OK && row + 1 < p->k; row++) {
        for (size_t col = 0; err == SKY_OK && col <= row; col++) {
            const panel area = {
                .x = LEFT + (double)col * (w + GAP),
                .y = TOP + (double)row * (h + GAP),
                .w = w,
                .h = h,
                .ax = col,
                .ay = row + 1,
                .sx = &scales[col],
                .sy = &scales[row + 1],
            };
            draw_axes(p, &area, c, row + 2 == p->k, col == 0);
            err = draw_cloud(p, &area, c, dominated + left_out);
            if (err == SKY_OK)
                err = draw_front(p, &area, c, front + left_out);
        }
    }
    draw_heading(p, c, 48);
    return err;
}

sky_err cli_plot_file(const cli_plot *p, const char *path, sky_error *e)
{
    const char *dot = strrchr(path, '.');
    const bool svg = dot && strcmp(dot, ".svg") == 0, png = dot && strcmp(dot, ".png") == 0;
    if (!svg && !png)
        return sky_fail(e, SKY_EINVAL,
                        "a plot's file ends in .svg or .png (or is - for the terminal), "
                        "not '%s'",
                        path);
    double width, height;
    cli_canvas *c = NULL;
    cli_figure_size(p, &width, &height);
    sky_err err =
        svg ? cli_canvas_svg(&c, width, height, p->title, e) : cli_canvas_png(&c, width, height, e);
    if (err != SKY_OK)
        return err;
    err = cli_figure_draw(p, c);
    if (err != SKY_OK) {
        c->finish(c, NULL, NULL);
        return sky_fail(e, err, "%s", sky_strerror(err));
    }
    return c->finish(c, path, e);
}

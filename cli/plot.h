/* Pictures of a front: in the terminal, as SVG, as PNG.
 *
 * Two objectives are one panel with the front as a staircase; more are a matrix of pairs. All
 * three outputs share scales and ticks (plot_scale.c); SVG and PNG share the whole layout
 * (plot_figure.c), which draws through a canvas. cairo is loaded (dlopen) only when a PNG is
 * written. */
#ifndef SKY_CLI_PLOT_H
#define SKY_CLI_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/describe.h"
#include "base/err.h"

typedef struct cli_axis {
    const char *name, *unit; /* unit "": none */
    sky_goal goal;
} cli_axis;

/* What is drawn. Points with an infinity or a NaN are left out and counted. */
typedef struct cli_plot {
    const char *title;
    const char *what; /* what a point is: "trial" or "point" */
    size_t k, n;
    const cli_axis *axes;         /* k */
    const double *const *columns; /* k columns of n values */
    const uint8_t *on_front;      /* n */
} cli_plot;

enum { CLI_PLOT_OBJECTIVES_MAX = 6 }; /* a matrix of more panels is unreadable */

/* ---- Scales ---- */

enum { CLI_TICKS_MAX = 12, CLI_TICK_TEXT = 24 };

typedef struct cli_scale {
    double lo, hi; /* ends of the axis, in transformed units (log10 where log) */
    bool log;
    int exponent; /* tick texts are values divided by 10^exponent, a multiple of 3 */
    size_t n_ticks;
    double ticks[CLI_TICKS_MAX]; /* as fractions of the axis, 0 to 1 */
    char texts[CLI_TICKS_MAX][CLI_TICK_TEXT];
} cli_scale;

/* A scale that holds n values (non-finite ones are skipped) with about `wanted` ticks. */
void cli_scale_fit(cli_scale *s, const double *values, size_t n, size_t wanted);
/* Where a value is, 0 to 1. */
double cli_scale_at(const cli_scale *s, double value);
/* "energy_j (10^-3 J)", with superscripts where unicode. */
void cli_scale_title(const cli_scale *s, const cli_axis *a, bool unicode, sky_buf *b);

/* Is point i drawn in panel (x, y)? */
static inline bool cli_plot_finite(const cli_plot *p, size_t x, size_t y, size_t i)
{
    return __builtin_isfinite(p->columns[x][i]) && __builtin_isfinite(p->columns[y][i]);
}
/* Numbers of points on the front, off it, and not drawable in any panel. */
void cli_plot_counts(const cli_plot *p, size_t *front, size_t *dominated, size_t *left_out);

/* ---- Outputs ---- */

void cli_plot_terminal(const cli_plot *p, sky_buf *out, int width, int height, bool colour,
                       bool unicode);
/* By the end of the name: .svg or .png. SKY_EINVAL for another. */
sky_err cli_plot_file(const cli_plot *p, const char *path, sky_error *e);

/* ---- The canvas that a figure is drawn on ---- */

typedef struct cli_colour_rgb {
    uint8_t r, g, b;
    float alpha;
} cli_colour_rgb;

typedef enum cli_anchor { CLI_LEFT, CLI_MIDDLE, CLI_RIGHT } cli_anchor;

typedef struct cli_text_style {
    double size;
    cli_anchor anchor;
    bool bold, upwards; /* upwards: turned by 90 degrees to the left */
    cli_colour_rgb colour;
} cli_text_style;

typedef struct cli_canvas cli_canvas;
struct cli_canvas {
    /* n points x, y, x, y, ... */
    void (*line)(cli_canvas *c, const double *xy, size_t n, double width, cli_colour_rgb colour);
    void (*dots)(cli_canvas *c, const double *xy, size_t n, double radius, cli_colour_rgb colour);
    void (*text)(cli_canvas *c, double x, double y, const char *text, const cli_text_style *style);
    /* Writes the picture and frees the canvas. path NULL: only frees. */
    sky_err (*finish)(cli_canvas *c, const char *path, sky_error *e);
};

sky_err cli_canvas_svg(cli_canvas **out, double width, double height, const char *title,
                       sky_error *e);
sky_err cli_canvas_png(cli_canvas **out, double width, double height, sky_error *e);

/* The size that a figure wants, then the figure itself. */
void cli_figure_size(const cli_plot *p, double *width, double *height);
sky_err cli_figure_draw(const cli_plot *p, cli_canvas *c);

#endif

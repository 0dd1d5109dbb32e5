/* A front in the terminal: braille dots for the dominated cloud (8 to a character), a mark for the
 * characters where the front passes. Plain ASCII where the locale is not UTF-8. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/plot.h"
#include "cli/term.h"

enum { WIDTH_MIN = 24, HEIGHT_MIN = 6, LABEL_MAX = 12 };

typedef struct grid {
    int w, h;       /* in characters */
    uint8_t *dots;  /* braille bits of each character, or any non-zero value in ASCII */
    uint8_t *front; /* does the front pass here? */
} grid;

/* Bit of the dot in column 0-1 and row 0-3 of a braille character, U+2800 + bits. */
static const uint8_t braille_bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};

static void fill(grid *g, const cli_plot *p, size_t ax, size_t ay, const cli_scale *sx,
                 const cli_scale *sy)
{
    for (size_t i = 0; i < p->n; i++) {
        if (!cli_plot_finite(p, ax, ay, i))
            continue;
        const double fx = cli_scale_at(sx, p->columns[ax][i]);
        const double fy = 1 - cli_scale_at(sy, p->columns[ay][i]);
        int x = (int)(fx * g->w * 2), y = (int)(fy * g->h * 4);
        x = x < 0 ? 0 : x >= g->w * 2 ? g->w * 2 - 1 : x;
        y = y < 0 ? 0 : y >= g->h * 4 ? g->h * 4 - 1 : y;
        const int cell = y / 4 * g->w + x / 2;
        if (p->on_front[i])
            g->front[cell] = 1;
        else
            g->dots[cell] |= braille_bits[y % 4][x % 2];
    }
}

static void put_code_point(sky_buf *b, unsigned c) /* of three bytes */
{
    const char bytes[3] = {(char)(0xe0 | c >> 12), (char)(0x80 | ((c >> 6) & 0x3f)),
                           (char)(0x80 | (c & 0x3f))};
    sky_buf_add(b, bytes, 3);
}

typedef enum ink { NONE, CLOUD, FRONT } ink;

/* Changes colour only where it has to: a row stays short. */
static void change(sky_buf *out, ink *now, ink next, bool colour)
{
    if (*now == next || !colour)
        return;
    sky_buf_puts(out, CLI_RESET);
    sky_buf_puts(out, next == FRONT ? CLI_BOLD CLI_ORANGE : next == CLOUD ? CLI_DIM : "");
    *now = next;
}

static void print_row(const grid *g, int row, sky_buf *out, bool colour, bool unicode)
{
    ink now = NONE;
    int last = -1; /* blanks at the end of a line are not printed */
    for (int x = 0; x < g->w; x++) {
        if (g->front[row * g->w + x] || g->dots[row * g->w + x])
            last = x;
    }
    for (int x = 0; x <= last; x++) {
        const int cell = row * g->w + x;
        if (g->front[cell]) {
            change(out, &now, FRONT, colour);
            sky_buf_puts(out, unicode ? "\u25cf" : "o");
        } else if (g->dots[cell]) {
            change(out, &now, CLOUD, colour);
            if (unicode)
                put_code_point(out, 0x2800U + g->dots[cell]);
            else
                sky_buf_putc(out, '.');
        } else {
            sky_buf_putc(out, ' ');
        }
    }
    change(out, &now, NONE, colour);
}

/* The tick of the vertical axis in this row, or -1. */
static int tick_in_row(const cli_scale *s, int row, int h)
{
    for (size_t i = 0; i < s->n_ticks; i++) {
        int at = (int)((1 - s->ticks[i]) * h);
        at = at >= h ? h - 1 : at;
        if (at == row)
            return (int)i;
    }
    return -1;
}

static void print_x_axis(const cli_scale *s, int w, int label, sky_buf *out, bool unicode)
{
    char texts[1024];
    const int len = w + LABEL_MAX < (int)sizeof texts - 1 ? w + LABEL_MAX : (int)sizeof texts - 1;
    memset(texts, ' ', (size_t)len);
    texts[len] = 0;
    sky_buf_printf(out, "%*s %s", label, "", unicode ? "\u2514" : "+");
    int free_from = 0;
    for (int x = 0; x < w; x++) {
        int tick = -1;
        for (size_t i = 0; i < s->n_ticks; i++) {
            int at = (int)(s->ticks[i] * w);
            if ((at >= w ? w - 1 : at) == x)
                tick = (int)i;
        }
        if (tick < 0) {
            sky_buf_puts(out, unicode ? "\u2500" : "-");
            continue;
        }
        sky_buf_puts(out, unicode ? "\u252c" : "+");
        const int n = (int)strlen(s->texts[tick]);
        const int from = x - n / 2 < 0 ? 0 : x - n / 2;
        if (from >= free_from && from + n <= len) {
            memcpy(texts + from, s->texts[tick], (size_t)n);
            free_from = from + n + 1;
        }
    }
    int end = len;
    while (end > 0 && texts[end - 1] == ' ')
        end--;
    sky_buf_printf(out, "\n%*s  %.*s\n", label, "", end, texts);
}

static void print_better(const cli_axis *a, bool vertical, bool unicode, sky_buf *out)
{
    static const char *const arrows[2][2] = {{"\u2190", "\u2192"}, {"\u2193", "\u2191"}};
    const bool up = a->goal == SKY_MAX;
    if (unicode)
        sky_buf_printf(out, "  %s better", arrows[vertical][up]);
    else
        sky_buf_printf(out, "  (%s is better)", up ? "higher" : "lower");
}

static void print_panel(const cli_plot *p, size_t ax, size_t ay, sky_buf *out, int width,
                        int height, bool colour, bool unicode)
{
    cli_scale sx, sy;
    cli_scale_fit(&sy, p->columns[ay], p->n, height > 12 ? 5 : 3);
    int label = 1;
    for (size_t i = 0; i < sy.n_ticks; i++) {
        const int n = (int)strlen(sy.texts[i]);
        label = n > label ? n : label;
    }
    label = label > LABEL_MAX ? LABEL_MAX : label;
    grid g = {.w = width - label - 3, .h = height};
    cli_scale_fit(&sx, p->columns[ax], p->n, (size_t)(g.w > 60 ? 6 : 4));
    g.dots = calloc((size_t)g.w * (size_t)g.h, 1);
    g.front = calloc((size_t)g.w * (size_t)g.h, 1);
    if (g.dots && g.front) {
        fill(&g, p, ax, ay, &sx, &sy);
        cli_scale_title(&sy, &p->axes[ay], unicode, out);
        print_better(&p->axes[ay], true, unicode, out);
        sky_buf_putc(out, '\n');
        for (int row = 0; row < g.h; row++) {
            const int tick = tick_in_row(&sy, row, g.h);
            sky_buf_printf(out, "%*.*s %s", label, LABEL_MAX, tick < 0 ? "" : sy.texts[tick],
                           unicode ? (tick < 0 ? "\u2502" : "\u2524") : (tick < 0 ? "|" : "+"));
            print_row(&g, row, out, colour, unicode);
            sky_buf_putc(out, '\n');
        }
        print_x_axis(&sx, g.w, label, out, unicode);
        sky_buf title = {0};
        cli_scale_title(&sx, &p->axes[ax], unicode, &title);
        print_better(&p->axes[ax], false, unicode, &title);
        const int pad = width - (int)cli_text_columns(sky_buf_str(&title));
        sky_buf_printf(out, "%*s%s\n", pad > 0 ? pad : 0, "", sky_buf_str(&title));
        sky_buf_free(&title);
    } else {
        out->failed = true;
    }
    free(g.dots);
    free(g.front);
}

static void print_legend(const cli_plot *p, sky_buf *out, bool colour, bool unicode)
{
    char a[32], b[32];
    size_t front, dominated, left_out;
    cli_plot_counts(p, &front, &dominated, &left_out);
    sky_buf_printf(out, "%s%s%s front: %s    %s%s%s dominated: %s",
                   cli_style(colour, CLI_BOLD CLI_ORANGE), unicode ? "\u25cf" : "o",
                   cli_style(colour, CLI_RESET), sky_format_count(front, a, sizeof a),
                   cli_style(colour, CLI_DIM), unicode ? "\u28ff" : ".",
                   cli_style(colour, CLI_RESET), sky_format_count(dominated, b, sizeof b));
    if (left_out)
        sky_buf_printf(out, "    not drawn (no finite value): %zu", left_out);
    sky_buf_putc(out, '\n');
}

void cli_plot_terminal(const cli_plot *p, sky_buf *out, int width, int height, bool colour,
                       bool unicode)
{
    width = width < WIDTH_MIN ? WIDTH_MIN : width > 110 ? 110 : width;
    height = height < HEIGHT_MIN ? HEIGHT_MIN : height > 24 ? 24 : height;
    if (p->k > 2)
        height = height > 12 ? 12 : height;
    for (size_t ay = 1; ay < p->k; ay++) {
        for (size_t ax = 0; ax < ay; ax++) {
            print_panel(p, ax, ay, out, width, height, colour, unicode);
            if (p->k > 2)
                sky_buf_putc(out, '\n');
        }
    }
    print_legend(p, out, colour, unicode);
}

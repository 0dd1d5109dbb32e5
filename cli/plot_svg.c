/* A canvas that writes SVG. Text stays text (it can be searched, and follows the reader's
 * fonts), and a cloud of dots is one path of zero-length strokes with round caps: a dot costs a
 * dozen bytes. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/plot.h"

typedef struct svg {
    cli_canvas base;
    sky_buf b;
} svg;

static void number(sky_buf *b, double x)
{
    char text[32];
    snprintf(text, sizeof text, "%.1f", x);
    sky_buf_puts(b, text);
}

static void escape(sky_buf *b, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<':
            sky_buf_puts(b, "&lt;");
            break;
        case '>':
            sky_buf_puts(b, "&gt;");
            break;
        case '&':
            sky_buf_puts(b, "&amp;");
            break;
        case '"':
            sky_buf_puts(b, "&quot;");
            break;
        default: /* control characters are not XML at all */
            sky_buf_putc(b, (unsigned char)*text < 0x20 ? ' ' : *text);
        }
    }
}

static void colour(sky_buf *b, const char *attribute, cli_colour_rgb c)
{
    sky_buf_printf(b, " %s=\"#%02x%02x%02x\"", attribute, c.r, c.g, c.b);
    if (c.alpha < 1)
        sky_buf_printf(b, " %s-opacity=\"%.2f\"", attribute, (double)c.alpha);
}

static void svg_line(cli_canvas *c, const double *xy, size_t n, double width, cli_colour_rgb rgb)
{
    sky_buf *b = &((svg *)c)->b;
    sky_buf_puts(b, "<path fill=\"none\"");
    colour(b, "stroke", rgb);
    sky_buf_printf(b, " stroke-width=\"%.2f\" d=\"", width);
    for (size_t i = 0; i < n; i++) {
        sky_buf_putc(b, i ? 'L' : 'M');
        number(b, xy[2 * i]);
        sky_buf_putc(b, ' ');
        number(b, xy[2 * i + 1]);
    }
    sky_buf_puts(b, "\"/>\n");
}

static void svg_dots(cli_canvas *c, const double *xy, size_t n, double radius, cli_colour_rgb rgb)
{
    sky_buf *b = &((svg *)c)->b;
    if (n == 0)
        return;
    sky_buf_puts(b, "<path fill=\"none\" stroke-linecap=\"round\"");
    colour(b, "stroke", rgb);
    sky_buf_printf(b, " stroke-width=\"%.2f\" d=\"", 2 * radius);
    for (size_t i = 0; i < n; i++) {
        sky_buf_putc(b, 'M');
        number(b, xy[2 * i]);
        sky_buf_putc(b, ' ');
        number(b, xy[2 * i + 1]);
        sky_buf_puts(b, "h0");
    }
    sky_buf_puts(b, "\"/>\n");
}

static void svg_text(cli_canvas *c, double x, double y, const char *text,
                     const cli_text_style *style)
{
    static const char *const anchors[] = {"start", "middle", "end"};
    sky_buf *b = &((svg *)c)->b;
    sky_buf_puts(b, "<text");
    if (style->upwards) {
        sky_buf_puts(b, " transform=\"translate(");
        number(b, x);
        sky_buf_putc(b, ' ');
        number(b, y);
        sky_buf_puts(b, ") rotate(-90)\"");
    } else {
        sky_buf_puts(b, " x=\"");
        number(b, x);
        sky_buf_puts(b, "\" y=\"");
        number(b, y);
        sky_buf_putc(b, '"');
    }
    sky_buf_printf(b, " font-size=\"%g\" text-anchor=\"%s\"", style->size, anchors[style->anchor]);
    if (style->bold)
        sky_buf_puts(b, " font-weight=\"600\"");
    colour(b, "fill", style->colour);
    sky_buf_putc(b, '>');
    escape(b, text);
    sky_buf_puts(b, "</text>\n");
}

static sky_err svg_finish(cli_canvas *c, const char *path, sky_error *e)
{
    svg *s = (svg *)c;
    sky_err err = SKY_OK;
    sky_buf_puts(&s->b, "</svg>\n");
    if (path && !sky_buf_ok(&s->b)) {
        err = sky_fail(e, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
    } else if (path) {
        FILE *f = fopen(path, "wb");
        const bool written = f && fwrite(s->b.data, 1, s->b.len, f) == s->b.len;
        if ((f && fclose(f) != 0) || !written)
            err = sky_fail(e, SKY_EIO, "%s: %m", path);
    }
    sky_buf_free(&s->b);
    free(s);
    return err;
}

sky_err cli_canvas_svg(cli_canvas **out, double width, double height, const char *title,
                       sky_error *e)
{
    svg *s = calloc(1, sizeof *s);
    if (!s)
        return sky_fail(e, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
    s->base = (cli_canvas){svg_line, svg_dots, svg_text, svg_finish};
    sky_buf_printf(
        &s->b,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%g\" height=\"%g\" "
        "viewBox=\"0 0 %g %g\" font-family=\"Helvetica Neue, Helvetica, Arial, DejaVu Sans, "
        "sans-serif\">\n<title>",
        width, height, width, height);
    escape(&s->b, title);
    sky_buf_printf(&s->b, "</title>\n<rect width=\"%g\" height=\"%g\" fill=\"#ffffff\"/>\n", width,
                   height);
    *out = &s->base;
    return SKY_OK;
}

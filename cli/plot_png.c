/* A canvas that draws with cairo, for PNG. cairo brings some twenty libraries with it: it is
 * loaded when a PNG is asked for, so that every other command starts at once, and works without
 * it. */
#include <cairo/cairo.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "cli/plot.h"

static const double SCALE = 2; /* pixels per unit: sharp on today's screens and in print */

#define CAIRO_FUNCTIONS(X)                                                                         \
    X(cairo_image_surface_create)                                                                  \
    X(cairo_surface_status)                                                                        \
    X(cairo_surface_write_to_png)                                                                  \
    X(cairo_surface_destroy)                                                                       \
    X(cairo_create)                                                                                \
    X(cairo_destroy)                                                                               \
    X(cairo_scale)                                                                                 \
    X(cairo_paint)                                                                                 \
    X(cairo_set_source_rgba)                                                                       \
    X(cairo_set_line_width)                                                                        \
    X(cairo_set_line_cap)                                                                          \
    X(cairo_set_line_join)                                                                         \
    X(cairo_move_to)                                                                               \
    X(cairo_line_to)                                                                               \
    X(cairo_stroke)                                                                                \
    X(cairo_save)                                                                                  \
    X(cairo_restore)                                                                               \
    X(cairo_translate)                                                                             \
    X(cairo_rotate)                                                                                \
    X(cairo_select_font_face)                                                                      \
    X(cairo_set_font_size)                                                                         \
    X(cairo_text_extents)                                                                          \
    X(cairo_show_text)                                                                             \
    X(cairo_status_to_string)

static struct cairo_library {
#define X(name) __typeof__(&name) name;
    CAIRO_FUNCTIONS(X)
#undef X
} lib;

typedef struct png {
    cli_canvas base;
    cairo_surface_t *surface;
    cairo_t *cr;
} png;

static sky_err load_cairo(sky_error *e)
{
    void *handle = dlopen("libcairo.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return sky_fail(e, SKY_ENOTFOUND,
                        "a PNG needs cairo (package libcairo2); write an .svg instead: %s",
                        dlerror());
#define X(name)                                                                                    \
    do {                                                                                           \
        void *symbol = dlsym(handle, #name);                                                       \
        if (!symbol)                                                                               \
            return sky_fail(e, SKY_EVERSION, "libcairo.so.2 lacks " #name);                        \
        memcpy(&lib.name, &symbol, sizeof symbol);                                                 \
    } while (0);
    CAIRO_FUNCTIONS(X)
#undef X
    return SKY_OK;
}

static void set_colour(cairo_t *cr, cli_colour_rgb c)
{
    lib.cairo_set_source_rgba(cr, c.r / 255.0, c.g / 255.0, c.b / 255.0, (double)c.alpha);
}

static void png_line(cli_canvas *c, const double *xy, size_t n, double width, cli_colour_rgb rgb)
{
    cairo_t *cr = ((png *)c)->cr;
    set_colour(cr, rgb);
    lib.cairo_set_line_width(cr, width);
    lib.cairo_set_line_cap(cr, CAIRO_LINE_CAP_BUTT);
    for (size_t i = 0; i < n; i++)
        (i ? lib.cairo_line_to : lib.cairo_move_to)(cr, xy[2 * i], xy[2 * i + 1]);
    lib.cairo_stroke(cr);
}

static void png_dots(cli_canvas *c, const double *xy, size_t n, double radius, cli_colour_rgb rgb)
{
    cairo_t *cr = ((png *)c)->cr;
    set_colour(cr, rgb);
    lib.cairo_set_line_width(cr, 2 * radius);
    lib.cairo_set_line_cap(cr, CAIRO_LINE_CAP_ROUND);
    for (size_t i = 0; i < n; i++) {
        lib.cairo_move_to(cr, xy[2 * i], xy[2 * i + 1]);
        lib.cairo_line_to(cr, xy[2 * i], xy[2 * i + 1]);
        if (i % 1024 == 1023) /* a path of a million pieces is slow to fill */
            lib.cairo_stroke(cr);
    }
    lib.cairo_stroke(cr);
}

static void png_text(cli_canvas *c, double x, double y, const char *text,
                     const cli_text_style *style)
{
    cairo_t *cr = ((png *)c)->cr;
    set_colour(cr, style->colour);
    lib.cairo_save(cr);
    lib.cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                               style->bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    lib.cairo_set_font_size(cr, style->size);
    cairo_text_extents_t extents;
    lib.cairo_text_extents(cr, text, &extents);
    lib.cairo_translate(cr, x, y);
    if (style->upwards)
        lib.cairo_rotate(cr, -1.5707963267948966);
    const double shift = style->anchor == CLI_LEFT ? 0 : style->anchor == CLI_MIDDLE ? 0.5 : 1;
    lib.cairo_move_to(cr, -shift * extents.x_advance, 0);
    lib.cairo_show_text(cr, text);
    lib.cairo_restore(cr);
}

static sky_err png_finish(cli_canvas *c, const char *path, sky_error *e)
{
    png *p = (png *)c;
    sky_err err = SKY_OK;
    if (path) {
        const cairo_status_t status = lib.cairo_surface_write_to_png(p->surface, path);
        if (status != CAIRO_STATUS_SUCCESS)
            err = sky_fail(e, SKY_EIO, "%s: %s", path, lib.cairo_status_to_string(status));
    }
    lib.cairo_destroy(p->cr);
    lib.cairo_surface_destroy(p->surface);
    free(p);
    return err;
}

sky_err cli_canvas_png(cli_canvas **out, double width, double height, sky_error *e)
{
    const sky_err err = load_cairo(e);
    if (err != SKY_OK)
        return err;
    png *p = calloc(1, sizeof *p);
    if (!p)
        return sky_fail(e, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
    p->base = (cli_canvas){png_line, png_dots, png_text, png_finish};
    p->surface = lib.cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)(width * SCALE),
                                                (int)(height * SCALE));
    p->cr = lib.cairo_create(p->surface);
    if (lib.cairo_surface_status(p->surface) != CAIRO_STATUS_SUCCESS) {
        png_finish(&p->base, NULL, NULL);
        return sky_fail(e, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
    }
    lib.cairo_scale(p->cr, SCALE, SCALE);
    set_colour(p->cr, (cli_colour_rgb){255, 255, 255, 1});
    lib.cairo_paint(p->cr);
    lib.cairo_set_line_join(p->cr, CAIRO_LINE_JOIN_ROUND);
    *out = &p->base;
    return SKY_OK;
}

#ifdef __SANITIZE_ADDRESS__
/* fontconfig keeps its configuration until the process ends; LeakSanitizer would call that a
 * leak. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig\n";
}
#endif

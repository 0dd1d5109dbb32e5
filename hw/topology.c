#include "hw/topology.h"

#include <assert.h>
#include <string.h>

#include "hw/rows.h"

enum { GEMM_FIELDS = 4, CONV_FIELDS = 8, CONV_FIELDS_MAX = 9 };

typedef struct reader {
    sky__rows rows;
    sky_network_builder b;
    size_t form; /* GEMM_FIELDS or CONV_FIELDS; 0 before the first row */
    int32_t last;
} reader;

/* Passes on what the builder said about the row's layer. */
static sky_err check(reader *r)
{
    if (r->b.err == SKY_OK)
        return SKY_OK;
    return sky__rows_fail(&r->rows, 0, r->b.err, "%s", r->b.error.text);
}

/* The name of a layer, and of its input, which traces can then speak of. */
typedef struct row_names {
    const char *layer, *input;
} row_names;

static int32_t add_input(reader *r, const row_names *names, sky_shape shape)
{
    if (r->b.n == 0)
        return sky_net_input(&r->b, shape);
    return sky_net_stand_in(&r->b, names->input, shape);
}

/* Blanks inside become '_': a trace could not name such a layer. */
static sky_err read_names(reader *r, row_names *out)
{
    const sky__field *f = &r->rows.field[0];
    if (f->len == 0)
        return sky__rows_fail(&r->rows, 0, SKY_EFORMAT, "the layer has no name");
    char *name = sky_arena_strndup(r->b.arena, f->s, f->len);
    for (char *s = name; s && *s; s++) {
        if (*s == ' ' || *s == '\t')
            *s = '_';
    }
    out->layer = name;
    out->input = name ? sky_arena_printf(r->b.arena, "%s.in", name) : NULL;
    if (!out->input)
        return sky__rows_fail(&r->rows, 0, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
    return SKY_OK;
}

static sky_err read_gemm(reader *r, const row_names *names)
{
    int64_t m = 0, n = 0, k = 0;
    sky_err err = sky__rows_int(&r->rows, 1, "M", 1, SKY_IMAGE_EDGE_MAX, &m);
    if (err == SKY_OK)
        err = sky__rows_int(&r->rows, 2, "N", 1, SKY_CHANNELS_MAX, &n);
    if (err == SKY_OK)
        err = sky__rows_int(&r->rows, 3, "K", 1, SKY_CHANNELS_MAX, &k);
    if (err != SKY_OK)
        return err;
    int32_t in = add_input(r, names, (sky_shape){.c = (int32_t)k, .h = (int32_t)m, .w = 1});
    r->last =
        sky_net_conv(&r->b, names->layer, in, (sky_conv_options){.out = (int32_t)n, .kernel = 1});
    return check(r);
}

/* Rows or columns below the image that let the last window fit: SCALE-Sim rounds outputs up. */
static int32_t overhang(int64_t edge, int64_t kernel, int64_t stride)
{
    int64_t rest = (edge - kernel) % stride;
    return rest ? (int32_t)(stride - rest) : 0;
}

static sky_err read_conv(reader *r, const row_names *names)
{
    enum { H, W, R, S, C, K, STRIDE_H, STRIDE_W, N };
    static const struct {
        const char *what;
        int64_t most;
    } fields[N] = {
        {"the input's height", SKY_IMAGE_EDGE_MAX},
        {"the input's width", SKY_IMAGE_EDGE_MAX},
        {"the filter's height", SKY_WINDOW_EDGE_MAX},
        {"the filter's width", SKY_WINDOW_EDGE_MAX},
        {"the number of channels", SKY_CHANNELS_MAX},
        {"the number of filters", SKY_CHANNELS_MAX},
        {"the stride of the rows", SKY_WINDOW_EDGE_MAX},
        {"the stride of the columns", SKY_WINDOW_EDGE_MAX},
    };
    int64_t x[N];
    for (size_t i = 0; i < N; i++) {
        if (i == STRIDE_W && r->rows.n_fields < CONV_FIELDS_MAX) {
            x[STRIDE_W] = x[STRIDE_H];
            break;
        }
        sky_err err = sky__rows_int(&r->rows, i + 1, fields[i].what, 1, fields[i].most, &x[i]);
        if (err != SKY_OK)
            return err;
    }
    if (x[R] > x[H])
        return sky__rows_fail(&r->rows, R + 1, SKY_EFORMAT, "the filter is higher than its input");
    if (x[S] > x[W])
        return sky__rows_fail(&r->rows, S + 1, SKY_EFORMAT, "the filter is wider than its input");
    const bool depthwise = strstr(names->layer, "DP") != NULL;
    const int64_t out = depthwise ? x[C] * x[K] : x[K];
    if (out > SKY_CHANNELS_MAX)
        return sky__rows_fail(&r->rows, K + 1, SKY_ELIMIT,
                              "%lld filters on each of %lld channels: more than %d",
                              (long long)x[K], (long long)x[C], SKY_CHANNELS_MAX);
    const sky_window window = {.kernel_h = (int32_t)x[R],
                               .kernel_w = (int32_t)x[S],
                               .stride_h = (int32_t)x[STRIDE_H],
                               .stride_w = (int32_t)x[STRIDE_W],
                               .dilation_h = 1,
                               .dilation_w = 1,
                               .pad_bottom = overhang(x[H], x[R], x[STRIDE_H]),
                               .pad_right = overhang(x[W], x[S], x[STRIDE_W])};
    int32_t in = add_input(r, names, (sky_shape){(int32_t)x[C], (int32_t)x[H], (int32_t)x[W]});
    r->last = sky_net_conv(&r->b, names->layer, in,
                           (sky_conv_options){.out = (int32_t)out,
                                              .window = window,
                                              .groups = depthwise ? (int32_t)x[C] : 1});
    return check(r);
}

static sky_err read_row(reader *r)
{
    sky__rows *rows = &r->rows;
    size_t n = rows->n_fields;
    if (r->form == 0) {
        if (n != GEMM_FIELDS && n != CONV_FIELDS && n != CONV_FIELDS_MAX)
            return sky__rows_fail(rows, n, SKY_EFORMAT,
                                  "%zu fields; a convolution has %d or %d (name, height, width, "
                                  "filter's height and width, channels, filters, stride, stride of "
                                  "columns), a product has %d (name, M, N, K)",
                                  n, CONV_FIELDS, CONV_FIELDS_MAX, GEMM_FIELDS);
        r->form = n == GEMM_FIELDS ? GEMM_FIELDS : CONV_FIELDS;
    }
    if (r->form == GEMM_FIELDS ? n != GEMM_FIELDS : n != CONV_FIELDS && n != CONV_FIELDS_MAX)
        return sky__rows_fail(rows, r->form < n ? r->form : n, SKY_EFORMAT,
                              "%zu fields, where the rows before it have %zu", n, r->form);
    row_names names = {0};
    sky_err err = read_names(r, &names);
    if (err != SKY_OK)
        return err;
    return r->form == GEMM_FIELDS ? read_gemm(r, &names) : read_conv(r, &names);
}

/* The first line is skipped as SCALE-Sim does, but not if that would lose a layer. */
static sky_err skip_header(reader *r)
{
    if (!sky__rows_next(&r->rows)) {
        if (r->rows.err != SKY_OK)
            return r->rows.err;
        return sky__rows_fail(&r->rows, 0, SKY_EFORMAT, "an empty file");
    }
    const sky__field *f = &r->rows.field[1];
    if (r->rows.n_fields >= GEMM_FIELDS && f->len > 0 && f->s[0] >= '0' && f->s[0] <= '9')
        return sky__rows_fail(&r->rows, 0, SKY_EFORMAT,
                              "a header was expected before the layers (SCALE-Sim, too, skips the "
                              "first line)");
    return SKY_OK;
}

static const char *name_of(const char *path, sky_arena *arena)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t len = strlen(name);
    if (len > 4 && strcmp(name + len - 4, ".csv") == 0)
        len -= 4;
    return sky_arena_strndup(arena, name, len);
}

sky_err sky_topology_parse(const char *path, const char *text, size_t len, sky_arena *arena,
                           sky_network *out, sky_error *e)
{
    assert(path && (text || len == 0) && arena && out);
    if (len > SKY_TOPOLOGY_BYTES_MAX)
        return sky_fail(e, SKY_ELIMIT, "%s: more than %d bytes", path, SKY_TOPOLOGY_BYTES_MAX);
    reader r = {.b = {.arena = arena}};
    sky__rows_init(&r.rows, path, text, len, ',', e);
    sky_err err = skip_header(&r);
    while (err == SKY_OK && sky__rows_next(&r.rows))
        err = read_row(&r);
    if (err == SKY_OK)
        err = r.rows.err;
    if (err == SKY_OK && r.b.n == 0)
        err = sky__rows_fail(&r.rows, 0, SKY_EFORMAT, "no layers after the header");
    if (err != SKY_OK)
        return err;
    sky_net_fix(&r.b, r.last);
    const char *name = name_of(path, arena);
    if (!name)
        return sky_fail(e, SKY_ENOMEM, "%s: %s", path, sky_strerror(SKY_ENOMEM));
    err = sky_net_finish(&r.b, name, "a SCALE-Sim topology", out, e);
    if (err != SKY_OK)
        sky_fail_prefix(e, "%s", path);
    return err;
}

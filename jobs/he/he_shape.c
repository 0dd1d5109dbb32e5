/* Convolution layers as numbers, and the convolution in plain loops. See he_conv.h. */
#include <assert.h>

#include "jobs/he/he_conv.h"

const char *const sky_he_packing_names[SKY_HE_PACKINGS + 1] = {
    [SKY_HE_SISO] = "siso",
    [SKY_HE_INPUT_ROTATION] = "input_rotation",
    [SKY_HE_OUTPUT_ROTATION] = "output_rotation",
    [SKY_HE_ADD_FIRST] = "add_first",
    [SKY_HE_HYBRID] = "hybrid",
    [SKY_HE_MULTIPLEXED] = "multiplexed",
    [SKY_HE_TOEPLITZ] = "toeplitz",
    [SKY_HE_HALEVI_SHOUP] = "halevi_shoup",
};

const char *sky_he_packing_name(sky_he_packing p)
{
    assert(p < SKY_HE_PACKINGS);
    return sky_he_packing_names[p];
}

sky_he_conv_shape sky_he_conv_square(int32_t c_in, int32_t c_out, int32_t edge, int32_t kernel,
                                     int32_t stride, int32_t pad)
{
    if (pad < 0)
        pad = (kernel - 1) / 2;
    return (sky_he_conv_shape){.c_in = c_in,
                               .c_out = c_out,
                               .h = edge,
                               .w = edge,
                               .window = {.kernel_h = kernel,
                                          .kernel_w = kernel,
                                          .stride_h = stride,
                                          .stride_w = stride,
                                          .dilation_h = 1,
                                          .dilation_w = 1,
                                          .pad_top = pad,
                                          .pad_bottom = pad,
                                          .pad_left = pad,
                                          .pad_right = pad}};
}

static int32_t out_edge(int32_t padded, int32_t kernel, int32_t dilation, int32_t stride)
{
    const int32_t room = padded - (kernel - 1) * dilation - 1;
    return room < 0 ? 0 : room / stride + 1;
}

int32_t sky_he_conv_out_h(const sky_he_conv_shape *s)
{
    const sky_window *w = &s->window;
    return out_edge(s->h + w->pad_top + w->pad_bottom, w->kernel_h, w->dilation_h, w->stride_h);
}

int32_t sky_he_conv_out_w(const sky_he_conv_shape *s)
{
    const sky_window *w = &s->window;
    return out_edge(s->w + w->pad_left + w->pad_right, w->kernel_w, w->dilation_w, w->stride_w);
}

int64_t sky_he_conv_weights(const sky_he_conv_shape *s)
{
    return (int64_t)s->c_out * s->c_in * s->window.kernel_h * s->window.kernel_w;
}

int64_t sky_he_conv_weight_at(const sky_he_conv_shape *s, int32_t o, int32_t i, int32_t tap)
{
    return ((int64_t)o * s->c_in + i) * (s->window.kernel_h * s->window.kernel_w) + tap;
}

bool sky_he_tap_visible(const sky_he_conv_shape *s, int32_t tap)
{
    const sky_window *w = &s->window;
    const int32_t dy = tap / w->kernel_w * w->dilation_h - w->pad_top;
    const int32_t dx = tap % w->kernel_w * w->dilation_w - w->pad_left;
    bool row = false, col = false;
    for (int32_t y = 0; y < sky_he_conv_out_h(s) && !row; y++)
        row = y * w->stride_h + dy >= 0 && y * w->stride_h + dy < s->h;
    for (int32_t x = 0; x < sky_he_conv_out_w(s) && !col; x++)
        col = x * w->stride_w + dx >= 0 && x * w->stride_w + dx < s->w;
    return row && col;
}

/* One output value: sum over input channels and the taps inside the image. */
static double pixel(const sky_he_conv_shape *s, const double *x, const double *weights, int32_t y0,
                    int32_t x0)
{
    const sky_window *w = &s->window;
    double sum = 0;
    for (int32_t i = 0; i < s->c_in; i++) {
        for (int32_t ky = 0; ky < w->kernel_h; ky++) {
            const int32_t row = y0 + ky * w->dilation_h;
            for (int32_t kx = 0; kx < w->kernel_w; kx++) {
                const int32_t col = x0 + kx * w->dilation_w;
                if (row >= 0 && row < s->h && col >= 0 && col < s->w)
                    sum += x[((int64_t)i * s->h + row) * s->w + col] *
                           weights[sky_he_conv_weight_at(s, 0, i, ky * w->kernel_w + kx)];
            }
        }
    }
    return sum;
}

void sky_he_conv_reference(const sky_he_conv_shape *s, const double *x, const double *weights,
                           double *y)
{
    const int32_t out_h = sky_he_conv_out_h(s), out_w = sky_he_conv_out_w(s);
    for (int32_t o = 0; o < s->c_out; o++) {
        const double *of_o = weights + sky_he_conv_weight_at(s, o, 0, 0);
        for (int32_t r = 0; r < out_h; r++) {
            for (int32_t c = 0; c < out_w; c++) {
                *y++ = pixel(s, x, of_o, r * s->window.stride_h - s->window.pad_top,
                             c * s->window.stride_w - s->window.pad_left);
            }
        }
    }
}

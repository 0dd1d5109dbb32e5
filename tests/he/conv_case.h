/* Random convolution layers and weights, for the tests of packings. */
#ifndef SKY_TESTS_HE_CONV_CASE_H
#define SKY_TESTS_HE_CONV_CASE_H

#include <math.h>
#include <stdlib.h>

#include "jobs/he/he_conv.h"
#include "tests/base/property.h"

static inline int32_t between(sky_rng *r, int32_t lo, int32_t hi)
{
    return lo + (int32_t)sky_rng_below(r, (uint64_t)(hi - lo + 1));
}

/* Any layer that the packing can do in `slots` slots: sizes, kernels, strides, dilation and padding that
 * need not be equal along both edges. */
static inline sky_he_conv_shape random_layer(sky_rng *r, sky_he_packing packing)
{
    sky_he_conv_shape s = {.c_in = between(r, 1, 9),
                           .c_out = between(r, 1, 9),
                           .h = 1,
                           .w = 1,
                           .window = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}};
    if (packing == SKY_HE_HALEVI_SHOUP) {
        s.c_in = between(r, 1, 300);
        s.c_out = between(r, 1, 300);
        return s;
    }
    do {
        s.h = between(r, 1, 9);
        s.w = between(r, 1, 9);
        sky_window *w = &s.window;
        w->kernel_h = between(r, 1, 5);
        w->kernel_w = between(r, 1, 5);
        w->stride_h = between(r, 1, 2);
        w->stride_w = packing >= SKY_HE_MULTIPLEXED ? w->stride_h : between(r, 1, 3);
        w->dilation_h = between(r, 1, 2);
        w->dilation_w = between(r, 1, 2);
        w->pad_top = between(r, 0, 3);
        w->pad_bottom = between(r, 0, 3);
        w->pad_left = between(r, 0, 3);
        w->pad_right = between(r, 0, 3);
    } while (sky_he_conv_out_h(&s) < 1 || sky_he_conv_out_w(&s) < 1);
    return s;
}

static inline double *random_values(sky_rng *r, int64_t n)
{
    double *x = malloc((size_t)(n > 0 ? n : 1) * sizeof *x);
    for (int64_t k = 0; x && k < n; k++)
        x[k] = 2 * sky_rng_f64(r) - 1;
    return x;
}

/* The largest difference. */
static inline double distance(const double *a, const double *b, int64_t n)
{
    double most = 0;
    for (int64_t k = 0; k < n; k++)
        most = fmax(most, fabs(a[k] - b[k]));
    return most;
}

#endif

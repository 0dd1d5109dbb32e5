/* What the blocks of Inception v3 and v4 are made of. Every convolution is followed by batch norm and
 * ReLU. Only for hw/zoo_inception.c and hw/zoo_inception3.c. */
#ifndef SKY_HW_ZOO_INCEPTION_H
#define SKY_HW_ZOO_INCEPTION_H

#include "hw/zoo.h"

typedef struct site { /* where a convolution is: its block's name */
    sky_network_builder *b;
    const char *block;
} site;

/* h x w window with "same" padding. */
static inline int32_t same(const site *s, const char *name, int32_t in, int32_t out, int32_t h,
                           int32_t w)
{
    sky_window window = {.kernel_h = h,
                         .kernel_w = w,
                         .stride_h = 1,
                         .stride_w = 1,
                         .dilation_h = 1,
                         .dilation_w = 1,
                         .pad_top = h / 2,
                         .pad_bottom = h / 2,
                         .pad_left = w / 2,
                         .pad_right = w / 2};
    int32_t x = sky_net_conv(s->b, sky__zoo_name(s->b, "%s.%s", s->block, name), in,
                             (sky_conv_options){.out = out, .window = window});
    return sky_net_relu(s->b, sky_net_norm(s->b, x));
}

/* 3 x 3 window without padding. */
static inline int32_t valid(const site *s, const char *name, int32_t in, int32_t out,
                            int32_t stride)
{
    int32_t x = sky_net_conv(s->b, sky__zoo_name(s->b, "%s.%s", s->block, name), in,
                             (sky_conv_options){.out = out, .kernel = 3, .stride = stride});
    return sky_net_relu(s->b, sky_net_norm(s->b, x));
}

static inline int32_t pool(const site *s, int32_t in, int32_t stride, int32_t pad)
{
    return sky_net_pool(s->b, sky__zoo_name(s->b, "%s.pool", s->block), in,
                        (sky_conv_options){.kernel = 3, .stride = stride, .pad = pad});
}

static inline int32_t join(const site *s, const int32_t *in, int32_t n)
{
    return sky_net_concat(s->b, sky__zoo_name(s->b, "%s.concat", s->block), in, n);
}

#endif

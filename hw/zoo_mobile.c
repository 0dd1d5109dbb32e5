/* MobileNets for 224 x 224 images: a depthwise convolution filters each channel, 1 x 1 convolutions
 * mix them. Every convolution is followed by batch norm. */
#include "hw/zoo.h"

static int32_t conv_norm(sky_network_builder *b, const char *name, int32_t in, sky_conv_options o)
{
    return sky_net_norm(b, sky_net_conv(b, name, in, o));
}

/* 3 x 3, each channel by itself. */
static int32_t depthwise(sky_network_builder *b, const char *name, int32_t in, int32_t stride)
{
    int32_t channels = b->err == SKY_OK ? b->layers[in].out.c : 1;
    sky_conv_options o = {
        .out = channels, .kernel = 3, .stride = stride, .pad = 1, .groups = channels};
    return sky_net_relu(b, conv_norm(b, name, in, o));
}

static int32_t first_conv(sky_network_builder *b)
{
    int32_t x = sky_net_input(b, (sky_shape){3, 224, 224});
    sky_conv_options o = {.out = 32, .kernel = 3, .stride = 2, .pad = 1};
    return sky_net_relu(b, conv_norm(b, "conv1", x, o));
}

/* Howard et al., "MobileNets", arXiv 1704.04861, 2017: width 1. */
void sky__zoo_mobilenet_v1(sky_network_builder *b)
{
    static const struct {
        int32_t out, stride;
    } blocks[] = {{64, 1},  {128, 2}, {128, 1}, {256, 2}, {256, 1},  {512, 2}, {512, 1},
                  {512, 1}, {512, 1}, {512, 1}, {512, 1}, {1024, 2}, {1024, 1}};
    int32_t x = first_conv(b);
    for (int32_t i = 0; i < (int32_t)(sizeof blocks / sizeof *blocks); i++) {
        x = depthwise(b, sky__zoo_name(b, "block%d.depthwise", i + 1), x, blocks[i].stride);
        x = sky_net_relu(b, conv_norm(b, sky__zoo_name(b, "block%d.pointwise", i + 1), x,
                                      (sky_conv_options){.out = blocks[i].out, .kernel = 1}));
    }
    sky_net_fix(b, sky_net_linear(b, "fc", sky_net_global_pool(b, x), 1000));
}

typedef struct inverted {
    int32_t in, expansion, out, stride;
    const char *name;
} inverted;

/* Widens, filters, narrows; with a shortcut where the shape allows it. */
static int32_t add_inverted(sky_network_builder *b, inverted k)
{
    int32_t in_c = b->err == SKY_OK ? b->layers[k.in].out.c : 1, x = k.in;
    if (k.expansion > 1)
        x = sky_net_relu(b, conv_norm(b, sky__zoo_name(b, "%s.expand", k.name), x,
                                      (sky_conv_options){.out = in_c * k.expansion, .kernel = 1}));
    x = depthwise(b, sky__zoo_name(b, "%s.depthwise", k.name), x, k.stride);
    x = conv_norm(b, sky__zoo_name(b, "%s.project", k.name), x,
                  (sky_conv_options){.out = k.out, .kernel = 1});
    if (k.stride != 1 || in_c != k.out)
        return x;
    return sky_net_add(b, sky__zoo_name(b, "%s.add", k.name), k.in, x);
}

/* Sandler et al., "MobileNetV2", CVPR 2018: width 1. */
void sky__zoo_mobilenet_v2(sky_network_builder *b)
{
    static const struct {
        int32_t expansion, out, times, stride;
    } stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                  {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    int32_t x = first_conv(b);
    for (int32_t s = 0; s < (int32_t)(sizeof stages / sizeof *stages); s++) {
        for (int32_t i = 0; i < stages[s].times; i++)
            x = add_inverted(b, (inverted){.in = x,
                                           .expansion = stages[s].expansion,
                                           .out = stages[s].out,
                                           .stride = i == 0 ? stages[s].stride : 1,
                                           .name = sky__zoo_name(b, "stage%d.%d", s + 1, i)});
    }
    x = sky_net_relu(b, conv_norm(b, "last", x, (sky_conv_options){.out = 1280, .kernel = 1}));
    sky_net_fix(b, sky_net_linear(b, "fc", sky_net_global_pool(b, x), 1000));
}

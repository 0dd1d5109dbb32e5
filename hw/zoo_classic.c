/* The networks of before batch norm, for 224 x 224 images: every convolution has a bias and is
 * followed by ReLU. Local response norms and dropout have no parameters and are left out. */
#include "hw/zoo.h"

static int32_t conv(sky_network_builder *b, const char *name, int32_t in, int32_t out,
                    int32_t kernel, int32_t stride)
{
    const int32_t pad = kernel == 11 ? 2 : kernel / 2; /* "same", but for AlexNet's first */
    return sky_net_relu(
        b, sky_net_conv(
               b, name, in,
               (sky_conv_options){
                   .out = out, .kernel = kernel, .stride = stride, .pad = pad, .bias = true}));
}

static int32_t linear(sky_network_builder *b, const char *name, int32_t in, int32_t out)
{
    return sky_net_relu(b, sky_net_linear(b, name, in, out));
}

/* AlexNet on one GPU (Krizhevsky, "One weird trick for parallelizing convolutional neural
 * networks", arXiv 1404.5997), as torchvision has it. */
void sky__zoo_alexnet(sky_network_builder *b)
{
    const sky_conv_options pool = {.kernel = 3, .stride = 2};
    int32_t x = sky_net_input(b, (sky_shape){3, 224, 224});
    x = sky_net_pool(b, "pool1", conv(b, "conv1", x, 64, 11, 4), pool);
    x = sky_net_pool(b, "pool2", conv(b, "conv2", x, 192, 5, 1), pool);
    x = conv(b, "conv3", x, 384, 3, 1);
    x = conv(b, "conv4", x, 256, 3, 1);
    x = sky_net_pool(b, "pool5", conv(b, "conv5", x, 256, 3, 1), pool);
    x = linear(b, "fc7", linear(b, "fc6", x, 4096), 4096);
    sky_net_fix(b, sky_net_linear(b, "fc8", x, 1000));
}

/* VGG (Simonyan, Zisserman, "Very deep convolutional networks", ICLR 2015): five groups of 3 x 3
 * convolutions, a pooling after each. */
static void build_vgg(sky_network_builder *b, const int32_t *convs)
{
    static const int32_t widths[] = {64, 128, 256, 512, 512};
    int32_t x = sky_net_input(b, (sky_shape){3, 224, 224});
    for (int32_t group = 0; group < 5; group++) {
        for (int32_t i = 0; i < convs[group]; i++)
            x = conv(b, sky__zoo_name(b, "conv%d_%d", group + 1, i + 1), x, widths[group], 3, 1);
        x = sky_net_pool(b, sky__zoo_name(b, "pool%d", group + 1), x,
                         (sky_conv_options){.kernel = 2, .stride = 2});
    }
    x = linear(b, "fc7", linear(b, "fc6", x, 4096), 4096);
    sky_net_fix(b, sky_net_linear(b, "fc8", x, 1000));
}

void sky__zoo_vgg11(sky_network_builder *b)
{
    build_vgg(b, (const int32_t[]){1, 1, 2, 2, 2});
}

void sky__zoo_vgg13(sky_network_builder *b)
{
    build_vgg(b, (const int32_t[]){2, 2, 2, 2, 2});
}

void sky__zoo_vgg16(sky_network_builder *b)
{
    build_vgg(b, (const int32_t[]){2, 2, 3, 3, 3});
}

/* --- GoogLeNet (Szegedy et al., "Going deeper with convolutions", CVPR 2015), table 1 --- */

/* The channels of one module: of its four branches, reductions first. */
typedef struct module {
    const char *name;
    int32_t ones, reduce3, threes, reduce5, fives, pooled;
} module;

static int32_t add_module(sky_network_builder *b, int32_t in, const module *m)
{
    const int32_t three = conv(b, sky__zoo_name(b, "%s.3x3_reduce", m->name), in, m->reduce3, 1, 1);
    const int32_t five = conv(b, sky__zoo_name(b, "%s.5x5_reduce", m->name), in, m->reduce5, 1, 1);
    const int32_t pool = sky_net_pool(b, sky__zoo_name(b, "%s.pool", m->name), in,
                                      (sky_conv_options){.kernel = 3, .stride = 1, .pad = 1});
    const int32_t branches[] = {
        conv(b, sky__zoo_name(b, "%s.1x1", m->name), in, m->ones, 1, 1),
        conv(b, sky__zoo_name(b, "%s.3x3", m->name), three, m->threes, 3, 1),
        conv(b, sky__zoo_name(b, "%s.5x5", m->name), five, m->fives, 5, 1),
        conv(b, sky__zoo_name(b, "%s.pool_proj", m->name), pool, m->pooled, 1, 1),
    };
    return sky_net_concat(b, sky__zoo_name(b, "%s.concat", m->name), branches, 4);
}

/* 3 x 3 with stride 2; the last window of a row may hang over its end. */
static int32_t halve(sky_network_builder *b, const char *name, int32_t in)
{
    const sky_window window = {.kernel_h = 3,
                               .kernel_w = 3,
                               .stride_h = 2,
                               .stride_w = 2,
                               .dilation_h = 1,
                               .dilation_w = 1,
                               .pad_bottom = 1,
                               .pad_right = 1};
    return sky_net_pool(b, name, in, (sky_conv_options){.window = window});
}

void sky__zoo_googlenet(sky_network_builder *b)
{
    static const module modules[] = {
        {"3a", 64, 96, 128, 16, 32, 32},     {"3b", 128, 128, 192, 32, 96, 64},
        {"4a", 192, 96, 208, 16, 48, 64},    {"4b", 160, 112, 224, 24, 64, 64},
        {"4c", 128, 128, 256, 24, 64, 64},   {"4d", 112, 144, 288, 32, 64, 64},
        {"4e", 256, 160, 320, 32, 128, 128}, {"5a", 256, 160, 320, 32, 128, 128},
        {"5b", 384, 192, 384, 48, 128, 128},
    };
    int32_t x = sky_net_input(b, (sky_shape){3, 224, 224});
    x = halve(b, "pool1", conv(b, "conv1", x, 64, 7, 2));
    x = conv(b, "conv2_reduce", x, 64, 1, 1);
    x = halve(b, "pool2", conv(b, "conv2", x, 192, 3, 1));
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        if (i == 2 || i == 7)
            x = halve(b, i == 2 ? "pool3" : "pool4", x);
        x = add_module(b, x, &modules[i]);
    }
    sky_net_fix(b, sky_net_linear(b, "fc", sky_net_global_pool(b, x), 1000));
}

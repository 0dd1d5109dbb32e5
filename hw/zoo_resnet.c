/* ResNet-18/34/50/101/152 for 224 x 224 images (He et al., "Deep residual learning for image
 * recognition", CVPR 2016), as torchvision has them: in a bottleneck the 3 x 3 convolution carries the
 * stride ("v1.5"), which is the network that PruneTrain and most others train. */
#include <stdio.h>

#include "hw/zoo.h"

typedef struct resnet {
    int32_t blocks[4];
    bool bottleneck;
} resnet;

typedef struct block {
    int32_t in, width, stride;
    bool bottleneck;
    const char *name; /* "layer2.0" */
} block;

static int32_t conv_norm(sky_network_builder *b, const char *name, int32_t in, sky_conv_options o)
{
    return sky_net_norm(b, sky_net_conv(b, name, in, o));
}

static int32_t add_block(sky_network_builder *b, block k)
{
    int32_t expansion = k.bottleneck ? 4 : 1;
    int32_t main = k.in;
    if (k.bottleneck) {
        main = conv_norm(b, sky__zoo_name(b, "%s.conv1", k.name), main,
                         (sky_conv_options){.out = k.width, .kernel = 1});
        main = sky_net_relu(b, main);
    }
    main = conv_norm(b, sky__zoo_name(b, "%s.conv%d", k.name, k.bottleneck ? 2 : 1), main,
                     (sky_conv_options){.out = k.width, .kernel = 3, .stride = k.stride, .pad = 1});
    main = sky_net_relu(b, main);
    sky_conv_options last = {
        .out = k.width * expansion, .kernel = k.bottleneck ? 1 : 3, .pad = k.bottleneck ? 0 : 1};
    main = conv_norm(b, sky__zoo_name(b, "%s.conv%d", k.name, k.bottleneck ? 3 : 2), main, last);

    int32_t shortcut = k.in;
    bool same = b->err == SKY_OK && k.stride == 1 && b->layers[k.in].out.c == k.width * expansion;
    if (!same) {
        shortcut = conv_norm(
            b, sky__zoo_name(b, "%s.downsample", k.name), k.in,
            (sky_conv_options){.out = k.width * expansion, .kernel = 1, .stride = k.stride});
    }
    return sky_net_relu(b, sky_net_add(b, sky__zoo_name(b, "%s.add", k.name), main, shortcut));
}

/* Four stages after the stem x, and the classifier. */
static void build_stages(sky_network_builder *b, resnet net, int32_t x, int32_t classes)
{
    for (int32_t stage = 0; stage < 4; stage++) {
        for (int32_t i = 0; i < net.blocks[stage]; i++) {
            x = add_block(b, (block){.in = x,
                                     .width = 64 << stage,
                                     .stride = stage > 0 && i == 0 ? 2 : 1,
                                     .bottleneck = net.bottleneck,
                                     .name = sky__zoo_name(b, "layer%d.%d", stage + 1, i)});
        }
    }
    sky_net_fix(b, sky_net_linear(b, "fc", sky_net_global_pool(b, x), classes));
}

static void build(sky_network_builder *b, resnet net)
{
    int32_t x = sky_net_input(b, (sky_shape){3, 224, 224});
    x = conv_norm(b, "conv1", x, (sky_conv_options){.out = 64, .kernel = 7, .stride = 2, .pad = 3});
    x = sky_net_relu(b, x);
    x = sky_net_pool(b, "maxpool", x, (sky_conv_options){.kernel = 3, .stride = 2, .pad = 1});
    build_stages(b, net, x, 1000);
}

void sky__zoo_resnet18(sky_network_builder *b)
{
    build(b, (resnet){{2, 2, 2, 2}, false});
}

void sky__zoo_resnet34(sky_network_builder *b)
{
    build(b, (resnet){{3, 4, 6, 3}, false});
}

void sky__zoo_resnet50(sky_network_builder *b)
{
    build(b, (resnet){{3, 4, 6, 3}, true});
}

void sky__zoo_resnet101(sky_network_builder *b)
{
    build(b, (resnet){{3, 4, 23, 3}, true});
}

void sky__zoo_resnet152(sky_network_builder *b)
{
    build(b, (resnet){{3, 8, 36, 3}, true});
}

/* --- CIFAR --- */

/* ResNet-18 as most work on CIFAR takes it: a 3 x 3 stem, no pooling, then the same four stages. */
void sky__zoo_resnet18_cifar(sky_network_builder *b)
{
    int32_t x = sky_net_input(b, (sky_shape){3, 32, 32});
    x = conv_norm(b, "conv1", x, (sky_conv_options){.out = 64, .kernel = 3, .pad = 1});
    build_stages(b, (resnet){{2, 2, 2, 2}, false}, sky_net_relu(b, x), 10);
}

/* ResNets for 32 x 32 images and ten classes: 6 n + 2 layers in three stages of 16, 32 and 64 channels. The
 * paper's shortcuts between stages drop pixels and pad with zero channels; ours are 1 x 1 convolutions (its
 * option B), as in most implementations. */
static void build_cifar(sky_network_builder *b, int32_t n)
{
    int32_t x = sky_net_input(b, (sky_shape){3, 32, 32});
    x = conv_norm(b, "conv1", x, (sky_conv_options){.out = 16, .kernel = 3, .pad = 1});
    x = sky_net_relu(b, x);
    for (int32_t stage = 0; stage < 3; stage++) {
        for (int32_t i = 0; i < n; i++) {
            x = add_block(b, (block){.in = x,
                                     .width = 16 << stage,
                                     .stride = stage > 0 && i == 0 ? 2 : 1,
                                     .name = sky__zoo_name(b, "layer%d.%d", stage + 1, i)});
        }
    }
    sky_net_fix(b, sky_net_linear(b, "fc", sky_net_global_pool(b, x), 10));
}

void sky__zoo_resnet20(sky_network_builder *b)
{
    build_cifar(b, 3);
}

void sky__zoo_resnet32(sky_network_builder *b)
{
    build_cifar(b, 5);
}

/* Inception v3 for 299 x 299 images (Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, CVPR 2016), as torchvision
 * has it, without the auxiliary classifier. Every convolution is followed by batch norm and ReLU. */
#include "hw/zoo_inception.h"

static int32_t stem(const site *s, int32_t x)
{
    x = valid(s, "conv1", x, 32, 2);
    x = valid(s, "conv2", x, 32, 1);
    x = same(s, "conv3", x, 64, 3, 3);
    x = sky_net_pool(s->b, "stem.pool1", x, (sky_conv_options){.kernel = 3, .stride = 2});
    x = same(s, "conv4", x, 80, 1, 1);
    x = valid(s, "conv5", x, 192, 1);
    return sky_net_pool(s->b, "stem.pool2", x, (sky_conv_options){.kernel = 3, .stride = 2});
}

static int32_t block_a(const site *s, int32_t x, int32_t pooled)
{
    int32_t b0 = same(s, "b0", x, 64, 1, 1);
    int32_t b1 = same(s, "b1.2", same(s, "b1.1", x, 48, 1, 1), 64, 5, 5);
    int32_t b2 = same(s, "b2.2", same(s, "b2.1", x, 64, 1, 1), 96, 3, 3);
    b2 = same(s, "b2.3", b2, 96, 3, 3);
    int32_t b3 = same(s, "b3", pool(s, x, 1, 1), pooled, 1, 1);
    return join(s, (int32_t[]){b0, b1, b2, b3}, 4);
}

static int32_t reduction_a(const site *s, int32_t x)
{
    int32_t b0 = valid(s, "b0", x, 384, 2);
    int32_t b1 = same(s, "b1.2", same(s, "b1.1", x, 64, 1, 1), 96, 3, 3);
    b1 = valid(s, "b1.3", b1, 96, 2);
    return join(s, (int32_t[]){b0, b1, pool(s, x, 2, 0)}, 3);
}

static int32_t block_b(const site *s, int32_t x, int32_t inner)
{
    int32_t b0 = same(s, "b0", x, 192, 1, 1);
    int32_t b1 = same(s, "b1.2", same(s, "b1.1", x, inner, 1, 1), inner, 1, 7);
    b1 = same(s, "b1.3", b1, 192, 7, 1);
    int32_t b2 = same(s, "b2.2", same(s, "b2.1", x, inner, 1, 1), inner, 7, 1);
    b2 = same(s, "b2.3", b2, inner, 1, 7);
    b2 = same(s, "b2.4", b2, inner, 7, 1);
    b2 = same(s, "b2.5", b2, 192, 1, 7);
    int32_t b3 = same(s, "b3", pool(s, x, 1, 1), 192, 1, 1);
    return join(s, (int32_t[]){b0, b1, b2, b3}, 4);
}

static int32_t reduction_b(const site *s, int32_t x)
{
    int32_t b0 = valid(s, "b0.2", same(s, "b0.1", x, 192, 1, 1), 320, 2);
    int32_t b1 = same(s, "b1.2", same(s, "b1.1", x, 192, 1, 1), 192, 1, 7);
    b1 = valid(s, "b1.4", same(s, "b1.3", b1, 192, 7, 1), 192, 2);
    return join(s, (int32_t[]){b0, b1, pool(s, x, 2, 0)}, 3);
}

static int32_t block_c(const site *s, int32_t x)
{
    int32_t b0 = same(s, "b0", x, 320, 1, 1);
    int32_t b1 = same(s, "b1.1", x, 384, 1, 1);
    int32_t b1_wide = same(s, "b1.2", b1, 384, 1, 3), b1_tall = same(s, "b1.3", b1, 384, 3, 1);
    int32_t b2 = same(s, "b2.2", same(s, "b2.1", x, 448, 1, 1), 384, 3, 3);
    int32_t b2_wide = same(s, "b2.3", b2, 384, 1, 3), b2_tall = same(s, "b2.4", b2, 384, 3, 1);
    int32_t b3 = same(s, "b3", pool(s, x, 1, 1), 192, 1, 1);
    return join(s, (int32_t[]){b0, b1_wide, b1_tall, b2_wide, b2_tall, b3}, 6);
}

void sky__zoo_inception_v3(sky_network_builder *b)
{
    static const int32_t pooled[] = {32, 64, 64}, inner[] = {128, 160, 160, 192};
    int32_t x = stem(&(site){b, "stem"}, sky_net_input(b, (sky_shape){3, 299, 299}));
    for (int32_t i = 0; i < 3; i++)
        x = block_a(&(site){b, sky__zoo_name(b, "a%d", i)}, x, pooled[i]);
    x = reduction_a(&(site){b, "reduction_a"}, x);
    for (int32_t i = 0; i < 4; i++)
        x = block_b(&(site){b, sky__zoo_name(b, "b%d", i)}, x, inner[i]);
    x = reduction_b(&(site){b, "reduction_b"}, x);
    for (int32_t i = 0; i < 2; i++)
        x = block_c(&(site){b, sky__zoo_name(b, "c%d", i)}, x);
    sky_net_fix(b, sky_net_linear(b, "fc", sky_net_global_pool(b, x), 1000));
}

/* Inception v4 for 299 x 299 images (Szegedy, Ioffe, Vanhoucke, Alemi, AAAI 2017). Every convolution is
 * followed by batch norm and ReLU. "7x1" means 7 rows, 1 column. */
#include "hw/zoo_inception.h"

static int32_t stem(sky_network_builder *b, int32_t x)
{
    site s = {b, "stem"};
    x = valid(&s, "conv1", x, 32, 2);
    x = valid(&s, "conv2", x, 32, 1);
    x = same(&s, "conv3", x, 64, 3, 3);
    int32_t first[] = {pool(&s, x, 2, 0), valid(&s, "conv4", x, 96, 2)};
    x = join(&s, first, 2);

    int32_t left = same(&s, "left1", x, 64, 1, 1);
    left = valid(&s, "left2", left, 96, 1);
    int32_t right = same(&s, "right1", x, 64, 1, 1);
    right = same(&s, "right2", right, 64, 1, 7);
    right = same(&s, "right3", right, 64, 7, 1);
    right = valid(&s, "right4", right, 96, 1);
    x = join(&s, (int32_t[]){left, right}, 2);
    int32_t last[] = {valid(&s, "conv5", x, 192, 2), pool(&s, x, 2, 0)};
    return join(&s, last, 2);
}

static int32_t block_a(const site *s, int32_t x)
{
    int32_t b0 = same(s, "b0", x, 96, 1, 1);
    int32_t b1 = same(s, "b1.2", same(s, "b1.1", x, 64, 1, 1), 96, 3, 3);
    int32_t b2 = same(s, "b2.2", same(s, "b2.1", x, 64, 1, 1), 96, 3, 3);
    b2 = same(s, "b2.3", b2, 96, 3, 3);
    int32_t b3 = same(s, "b3", pool(s, x, 1, 1), 96, 1, 1);
    return join(s, (int32_t[]){b0, b1, b2, b3}, 4);
}

static int32_t reduction_a(const site *s, int32_t x)
{
    int32_t b0 = valid(s, "b0", x, 384, 2);
    int32_t b1 = same(s, "b1.2", same(s, "b1.1", x, 192, 1, 1), 224, 3, 3);
    b1 = valid(s, "b1.3", b1, 256, 2);
    return join(s, (int32_t[]){b0, b1, pool(s, x, 2, 0)}, 3);
}

static int32_t block_b(const site *s, int32_t x)
{
    int32_t b0 = same(s, "b0", x, 384, 1, 1);
    int32_t b1 = same(s, "b1.2", same(s, "b1.1", x, 192, 1, 1), 224, 1, 7);
    b1 = same(s, "b1.3", b1, 256, 7, 1);
    int32_t b2 = same(s, "b2.2", same(s, "b2.1", x, 192, 1, 1), 192, 7, 1);
    b2 = same(s, "b2.3", b2, 224, 1, 7);
    b2 = same(s, "b2.4", b2, 224, 7, 1);
    b2 = same(s, "b2.5", b2, 256, 1, 7);
    int32_t b3 = same(s, "b3", pool(s, x, 1, 1), 128, 1, 1);
    return join(s, (int32_t[]){b0, b1, b2, b3}, 4);
}

static int32_t reduction_b(const site *s, int32_t x)
{
    int32_t b0 = valid(s, "b0.2", same(s, "b0.1", x, 192, 1, 1), 192, 2);
    int32_t b1 = same(s, "b1.2", same(s, "b1.1", x, 256, 1, 1), 256, 1, 7);
    b1 = same(s, "b1.3", b1, 320, 7, 1);
    b1 = valid(s, "b1.4", b1, 320, 2);
    return join(s, (int32_t[]){b0, b1, pool(s, x, 2, 0)}, 3);
}

static int32_t block_c(const site *s, int32_t x)
{
    int32_t b0 = same(s, "b0", x, 256, 1, 1);
    int32_t b1 = same(s, "b1.1", x, 384, 1, 1);
    int32_t b1_wide = same(s, "b1.2", b1, 256, 1, 3), b1_tall = same(s, "b1.3", b1, 256, 3, 1);
    int32_t b2 = same(s, "b2.2", same(s, "b2.1", x, 384, 1, 1), 448, 3, 1);
    b2 = same(s, "b2.3", b2, 512, 1, 3);
    int32_t b2_wide = same(s, "b2.4", b2, 256, 1, 3), b2_tall = same(s, "b2.5", b2, 256, 3, 1);
    int32_t b3 = same(s, "b3", pool(s, x, 1, 1), 256, 1, 1);
    return join(s, (int32_t[]){b0, b1_wide, b1_tall, b2_wide, b2_tall, b3}, 6);
}

void sky__zoo_inception_v4(sky_network_builder *b)
{
    int32_t x = stem(b, sky_net_input(b, (sky_shape){3, 299, 299}));
    for (int32_t i = 0; i < 4; i++)
        x = block_a(&(site){b, sky__zoo_name(b, "a%d", i)}, x);
    x = reduction_a(&(site){b, "reduction_a"}, x);
    for (int32_t i = 0; i < 7; i++)
        x = block_b(&(site){b, sky__zoo_name(b, "b%d", i)}, x);
    x = reduction_b(&(site){b, "reduction_b"}, x);
    for (int32_t i = 0; i < 3; i++)
        x = block_c(&(site){b, sky__zoo_name(b, "c%d", i)}, x);
    sky_net_fix(b, sky_net_linear(b, "fc", sky_net_global_pool(b, x), 1000));
}

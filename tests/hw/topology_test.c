#include "hw/topology.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sky_err parse(const char *text, sky_arena *arena, sky_network *out, sky_error *e)
{
    return sky_topology_parse("nets/small.csv", text, strlen(text), arena, out, e);
}

static int32_t convs(const char *text, sky_conv_shape *out, sky_arena *arena)
{
    sky_network net;
    sky_error e = {0};
    cr_assert_eq(parse(text, arena, &net, &e), SKY_OK, "%s", e.text);
    return sky_network_convs(&net, NULL, false, out);
}

#define HEADER "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels,\n"

/* The rows of AlexNet as SCALE-Sim has them: heights with padding. Multiplications by hand. */
Test(topology, convolutions)
{
    static const char text[] = "\xef\xbb\xbfLayer name,IFMAP Height,IFMAP Width,...,\r\n"
                               "# a comment\r\n"
                               "Conv1, 227, 227, 11, 11, 3, 96, 4,\r\n"
                               "\r\n"
                               "  Conv2,\t31,31,5,5,96,256,1\r\n"
                               "FC6, 6, 6, 6, 6, 256, 4096, 1,";
    sky_arena arena = {0};
    sky_network net;
    sky_error e = {0};
    cr_assert_eq(parse(text, &arena, &net, &e), SKY_OK, "%s", e.text);
    cr_assert_str_eq(net.name, "small");
    cr_assert_eq(net.n_layers, 6);
    cr_assert_str_eq(net.layers[3].name, "Conv2");
    sky_network_counts counts = sky_network_count(&net, NULL);
    int64_t conv1 = 55 * 55 * 96 * 363, conv2 = 27 * 27 * 256 * 2400, fc6 = 9216 * 4096;
    cr_assert_eq(counts.macs, conv1 + conv2 + fc6);
    cr_assert_eq(counts.parameters, 96 * 363 + 256 * 2400 + fc6);

    sky_conv_shape s[6];
    cr_assert_eq(sky_network_convs(&net, NULL, false, s), 3);
    cr_assert_eq(s[0].no_dgrad, 1); /* the image */
    cr_assert_eq(s[1].no_dgrad, 0);
    cr_assert_eq(s[1].p, 27);

    int32_t channels[6]; /* the image and the classes stay, what lies between is halved */
    sky_network_scale(&net, 0.5, channels);
    const int32_t expected[] = {3, 48, 48, 128, 128, 4096};
    for (size_t i = 0; i < 6; i++)
        cr_assert_eq(channels[i], expected[i]);
    sky_arena_free(&arena);
}

/* SCALE-Sim: outputs = ceil((in - filter + stride) / stride). */
Test(topology, outputs_are_rounded_up)
{
    sky_arena arena = {0};
    sky_conv_shape s[2];
    for (int in = 1; in <= 12; in++) {
        for (int filter = 1; filter <= in; filter++) {
            for (int stride = 1; stride <= 5; stride++) {
                char text[200];
                snprintf(text, sizeof text, HEADER "x, %d, 20, %d, 3, 8, 16, %d, 2,\n", in, filter,
                         stride);
                cr_assert_eq(convs(text, s, &arena), 1);
                cr_assert_eq(s[0].p, (in - filter + stride + stride - 1) / stride);
                cr_assert_eq(s[0].q, 10); /* ceil(19 / 2) */
            }
        }
    }
    sky_arena_free(&arena);
}

Test(topology, depthwise)
{
    sky_arena arena = {0};
    sky_conv_shape s[2];
    cr_assert_eq(convs(HEADER "Conv_DP_2, 114, 114, 3, 3, 32, 2, 1,\n", s, &arena), 1);
    cr_assert_eq(s[0].groups, 32);
    cr_assert_eq(s[0].c, 1);
    cr_assert_eq(s[0].k, 2);
    cr_assert_eq(s[0].p, 112);
    sky_arena_free(&arena);
}

Test(topology, products)
{
    sky_arena arena = {0};
    sky_conv_shape s[4];
    cr_assert_eq(
        convs("Layer, M, N, K,\nTF0, 31999, 84, 1024,\nNCF0, 1, 128, 500000,\n", s, &arena), 2);
    cr_assert_eq((int64_t)s[0].p * s[0].q, 31999);
    cr_assert_eq(s[0].k, 84);
    cr_assert_eq(s[0].c * s[0].r * s[0].s, 1024);
    cr_assert_eq(s[1].c, 500000);
    sky_arena_free(&arena);
}

static const struct {
    const char *text, *message;
    sky_err err;
} refused[] = {
    {"", "nets/small.csv:1:1: an empty file", SKY_EFORMAT},
    {"# only\n\n", ":2:1: an empty file", SKY_EFORMAT},
    {"header,\n", ":1:1: no layers", SKY_EFORMAT},
    {"a, 8, 8, 3, 3, 3, 8, 1,\n", ":1:1: a header was expected", SKY_EFORMAT},
    {HEADER "a, 8, 8, 3, 3, 3, 8, x,\n", ":2:22: the stride of the rows: an integer", SKY_EFORMAT},
    {HEADER "a, 8, 8, 3, 3, 3, 8, 1.5,\n", ":2:22: the stride", SKY_EFORMAT},
    {HEADER "a, 8, 8, 9, 3, 3, 8, 1,\n", ":2:10: the filter is higher", SKY_EFORMAT},
    {HEADER "a, 8, 8, 3, 9, 3, 8, 1,\n", ":2:13: the filter is wider", SKY_EFORMAT},
    {HEADER "a, 0, 8, 3, 3, 3, 8, 1,\n", ":2:4: the input's height is 0", SKY_ELIMIT},
    {HEADER "a, -1, 8, 3, 3, 3, 8, 1,\n", ":2:4: the input's height is -1", SKY_ELIMIT},
    {HEADER "a, 8, 8, 3, 3, 3, 99999999999999999999, 1,\n", "filters is 9999999", SKY_ELIMIT},
    {HEADER "a, 8, 8, 3, 3, , 8, 1,\n", ":2:16: the number of channels: an", SKY_EFORMAT},
    {HEADER ", 8, 8, 3, 3, 3, 8, 1,\n", ":2:1: the layer has no name", SKY_EFORMAT},
    {HEADER "a, 8, 8, 3, 3, 3, 8,\n", ":2:20: 7 fields; a convolution has 8 or 9", SKY_EFORMAT},
    {HEADER "a, 8, 8, 3, 3, 3, 8, 1, 1, 1:2,\n", "10 fields", SKY_EFORMAT},
    {HEADER "a, 8, 8, 3, 3, 3, 8, 1,\nb, 1, 2, 3,\n", ":3:11: 4 fields, where", SKY_EFORMAT},
    {"Layer, M, N, K\nb, 1, 2, 3,\nc, 1, 2, 3, 4,\n", ":3:13: 5 fields, where", SKY_EFORMAT},
    {HEADER "aDP, 8, 8, 3, 3, 1048576, 2, 1,\n", ":2:27: 2 filters on each", SKY_ELIMIT},
    {HEADER "a, 99999, 99999, 3, 3, 3, 8, 1,\n", ":2:1: layer 0", SKY_EINVAL},
    {"h\na\x01, 8\n", ":2:2: a control character", SKY_EFORMAT},
    {"Layer, M, N, K\nb, 1048576, 1024, 1048576,\n", ":2:1: layer 0", SKY_EINVAL},
    {"Layer, M, N, K\na, 1024, 1048576, 1048576,\nb, 1, 1, 1", "layer 1 ('a'): up to here",
     SKY_ELIMIT},
};

Test(topology, errors_name_line_and_column)
{
    sky_arena arena = {0};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        sky_error e = {0};
        sky_network net = {.n_layers = -1};
        sky_err err = parse(refused[i].text, &arena, &net, &e);
        cr_assert_eq(err, refused[i].err, "%zu: %d %s", i, err, e.text);
        cr_assert(strstr(e.text, refused[i].message), "%zu: %s", i, e.text);
        cr_assert_eq(net.n_layers, -1);
        cr_assert_eq(parse(refused[i].text, &arena, &net, NULL), refused[i].err);
    }
    sky_arena_free(&arena);
}

Test(topology, limits)
{
    enum { LONG = 1100 };
    char *text = malloc(SKY_TOPOLOGY_BYTES_MAX + 2);
    memset(text, 'a', LONG);
    text[LONG] = 0;
    sky_arena arena = {0};
    sky_network net;
    sky_error e = {0};
    cr_assert_eq(parse(text, &arena, &net, &e), SKY_ELIMIT);
    memset(text, '\n', SKY_TOPOLOGY_BYTES_MAX + 1);
    text[SKY_TOPOLOGY_BYTES_MAX + 1] = 0;
    cr_assert_eq(parse(text, &arena, &net, &e), SKY_ELIMIT);
    cr_assert(strstr(e.text, "more than"), "%s", e.text);
    char *at = text + sprintf(text, "Layer, M, N, K\n");
    for (int i = 0; i <= SKY_LAYERS_MAX / 2; i++)
        at += sprintf(at, "l%d, 1, 2, 3\n", i);
    cr_assert_eq(parse(text, &arena, &net, &e), SKY_ELIMIT);
    cr_assert(strstr(e.text, ":2050:1: layer 4096"), "%s", e.text);
    free(text);
    sky_arena_free(&arena);
}

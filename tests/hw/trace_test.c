#include "hw/trace.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "random_case.h"

static sky_err parse(const char *text, sky_arena *arena, sky_trace *out, sky_error *e)
{
    const size_t len = strlen(text);
    char *copy = malloc(len + 1); /* of exactly that length: sanitizers see a read beyond it */
    memcpy(copy, text, len);
    const sky_err err = sky_trace_parse("run.trace", copy, len, arena, out, e);
    free(copy);
    return err;
}

static sky_trace parsed(const char *text, sky_arena *arena)
{
    sky_trace t;
    sky_error e = {0};
    cr_assert_eq(parse(text, arena, &t, &e), SKY_OK, "%s", e.text);
    return t;
}

/* --- the format --- */

Test(trace, example_of_the_document)
{
    sky_arena arena = {0};
    const sky_trace t = parsed("skyline-trace 1\n"
                               "network resnet50\n"
                               "# epoch and step from which what follows holds\n"
                               "at 0 0\n"
                               "layer conv1 64 3\n"
                               "layer layer1.0.conv1 64 64\n"
                               "at 10 50050\r\n"
                               "\n"
                               "layer\tconv1  57 3\n"
                               "layer layer1.0.conv1 40 57\n"
                               "at 20 100100\n"
                               "layer layer1.0.conv1 33\n"
                               "end 90 450450\n",
                               &arena);
    cr_assert_str_eq(t.network, "resnet50");
    cr_assert_eq(t.n_layers, 2);
    cr_assert_str_eq(t.layers[0], "conv1");
    cr_assert_eq(t.n_stages, 3);
    cr_assert_eq(t.end_epoch, 90);
    cr_assert_eq(t.end_step, 450450);
    const sky_trace_kept expected[3][2] = {
        {{64, 3}, {64, 64}}, {{57, 3}, {40, 57}}, {{57, 3}, {33, 0}}};
    const int64_t steps[] = {0, 50050, 100100};
    for (int s = 0; s < 3; s++) {
        cr_assert_eq(t.stages[s].step, steps[s]);
        cr_assert_eq(memcmp(t.stages[s].kept, expected[s], sizeof expected[s]), 0, "stage %d", s);
    }
    cr_assert_float_eq(sky_trace_weight(&t, 0), 1.0 / 9, 1e-15);
    cr_assert_float_eq(sky_trace_weight(&t, 1), 1.0 / 9, 1e-15);
    cr_assert_float_eq(sky_trace_weight(&t, 2), 7.0 / 9, 1e-15);
    sky_arena_free(&arena);
}

/* Any trace is the same once written and read. */
Test(trace, round_trip)
{
    sky_rng rng = test_rng(20);
    enum { LAYERS = 5 };
    const char *const layers[LAYERS] = {"a", "b.0", "c", "d", "\xc3\xa9"};
    for (int round = 0; round < 200; round++) {
        sky_arena arena = {0};
        sky_trace_stage stages[8];
        sky_trace_kept kept[8][LAYERS];
        sky_trace t = {.network = round % 2 ? "net" : "",
                       .layers = layers,
                       .n_layers = LAYERS,
                       .n_stages = (int32_t)test_between(&rng, 1, 8),
                       .stages = stages};
        int64_t epoch = 0, step = 0;
        for (int32_t s = 0; s < t.n_stages; s++) {
            stages[s] = (sky_trace_stage){.epoch = epoch, .step = step, .kept = kept[s]};
            for (int i = 0; i < LAYERS; i++) {
                kept[s][i] = s > 0 && test_between(&rng, 0, 1)
                                 ? kept[s - 1][i]
                                 : (sky_trace_kept){.out = (int32_t)test_between(&rng, 1, 99),
                                                    .in = (int32_t)test_between(&rng, 0, 2)};
            }
            epoch += test_between(&rng, 0, 3);
            step += test_between(&rng, 1, 1 << 30);
        }
        t.end_epoch = epoch;
        t.end_step = step;
        sky_buf text = {0}, again = {0};
        sky_trace_write(&t, &text);
        const sky_trace back = parsed(sky_buf_str(&text), &arena);
        cr_assert_str_eq(back.network, t.network);
        cr_assert_eq(back.n_layers, LAYERS);
        cr_assert_eq(back.n_stages, t.n_stages);
        cr_assert_eq(back.end_epoch, epoch);
        cr_assert_eq(back.end_step, step);
        double sum = 0;
        for (int32_t s = 0; s < t.n_stages; s++) {
            cr_assert_eq(back.stages[s].epoch, stages[s].epoch);
            cr_assert_eq(back.stages[s].step, stages[s].step);
            cr_assert_eq(memcmp(back.stages[s].kept, kept[s], sizeof kept[s]), 0);
            sum += sky_trace_weight(&back, s);
        }
        cr_assert_float_eq(sum, 1, 1e-12);
        sky_trace_write(&back, &again);
        cr_assert_str_eq(sky_buf_str(&again), sky_buf_str(&text));
        sky_buf_free(&text);
        sky_buf_free(&again);
        sky_arena_free(&arena);
    }
}

typedef struct bad {
    const char *text;
    sky_err err;
    const char *says;
} bad;

#define HEAD "skyline-trace 1\nat 0 0\n"

static const bad refused[] = {
    {"", SKY_EFORMAT, "run.trace:1:1: an empty file"},
    {"epoch,channels\n", SKY_EFORMAT, "run.trace:1:1: not a trace"},
    {"skyline-trace\n", SKY_EFORMAT, "run.trace:1:14: expected"},
    {"skyline-trace 2\n", SKY_EVERSION, "run.trace:1:15: a trace of version 2"},
    {HEAD, SKY_EFORMAT, "run.trace:2:1: no 'end' line"},
    {HEAD "end 1 0\n", SKY_EFORMAT, "run.trace:3:7: step 0 does not come after"},
    {"skyline-trace 1\nend 1 1\n", SKY_EFORMAT, "run.trace:2:1: no stage"},
    {"skyline-trace 1\nat 0 5\n", SKY_EFORMAT, "run.trace:2:6: the first stage begins at step 0"},
    {"skyline-trace 1\nlayer a 1\n", SKY_EFORMAT, "run.trace:2:1: a layer before"},
    {HEAD "layer a 0\n", SKY_ELIMIT, "run.trace:3:9: the output channels"},
    {HEAD "layer a 1048577\n", SKY_ELIMIT, "run.trace:3:9: the output channels"},
    {HEAD "layer a 4 x\n", SKY_EFORMAT, "run.trace:3:11: the input channels: an integer"},
    {HEAD "layer a\n", SKY_EFORMAT, "run.trace:3:8: expected: layer NAME OUT [IN]"},
    {HEAD "layer a 4 4 4\n", SKY_EFORMAT, "run.trace:3:13: expected"},
    {HEAD "layer a 4\nlayer a 5\nend 1 1\n", SKY_EFORMAT, "run.trace:4:7: layer 'a' twice"},
    {HEAD "layr a 4\n", SKY_EFORMAT, "run.trace:3:1: 'layr': expected network, at, layer or end"},
    {HEAD "network n\n", SKY_EFORMAT, "run.trace:3:1: the network is named once"},
    {HEAD "at 0 9\nat 1 9\n", SKY_EFORMAT, "run.trace:4:6: step 9"},
    {HEAD "at 3 9\nat 2 10\n", SKY_EFORMAT, "run.trace:4:4: epoch 2 comes before epoch 3"},
    {HEAD "at 1 9007199254740993\n", SKY_ELIMIT, "run.trace:3:6: the step"},
    {HEAD "end 1 1\nlayer a 4\n", SKY_EFORMAT, "run.trace:4:1: a line after the end"},
    {HEAD "layer a\001 4\n", SKY_EFORMAT, "run.trace:3:8: a control character"},
};

Test(trace, errors_name_line_and_column)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        sky_arena arena = {0};
        sky_trace t = {.n_stages = -7};
        sky_error e = {0};
        cr_assert_eq(parse(refused[i].text, &arena, &t, &e), refused[i].err, "%zu: %s", i, e.text);
        cr_assert_eq(strncmp(e.text, refused[i].says, strlen(refused[i].says)), 0, "%zu: %s", i,
                     e.text);
        cr_assert_eq(t.n_stages, -7);
        sky_arena_free(&arena);
    }
}

/* Stages times layers: a small file could otherwise ask for much memory. */
Test(trace, cells_are_limited)
{
    sky_buf b = {0};
    sky_arena arena = {0};
    sky_trace t;
    sky_error e = {0};
    sky_buf_puts(&b, HEAD);
    for (int i = 0; i < 4096; i++)
        sky_buf_printf(&b, "layer l%d 4\n", i);
    for (int i = 1; i <= 1024; i++)
        sky_buf_printf(&b, "at %d %d\n", i, i);
    sky_buf_puts(&b, "end 2000 2000\n");
    cr_assert_eq(parse(sky_buf_str(&b), &arena, &t, &e), SKY_ELIMIT);
    cr_assert_not_null(strstr(e.text, "1025 stages of 4096 layers"), "%s", e.text);
    cr_assert_leq(arena.used_bytes, 4 << 20);
    sky_buf_free(&b);
    sky_arena_free(&arena);
}

/* --- on networks --- */

/* A block with a residual: the addition keeps the union, and what a layer reads may be said. */
static sky_network residual(sky_arena *arena)
{
    sky_network_builder b = {.arena = arena};
    sky_network net;
    int32_t x = sky_net_input(&b, (sky_shape){3, 8, 8});
    x = sky_net_norm(
        &b, sky_net_conv(&b, "stem", x, (sky_conv_options){.out = 16, .kernel = 3, .pad = 1}));
    int32_t y =
        sky_net_relu(&b, sky_net_conv(&b, "a", x, (sky_conv_options){.out = 8, .kernel = 1}));
    y = sky_net_conv(&b, "dw", y, (sky_conv_options){.out = 8, .kernel = 3, .pad = 1, .groups = 8});
    y = sky_net_conv(&b, "b", y, (sky_conv_options){.out = 16, .kernel = 1});
    x = sky_net_add(&b, "sum", x, y);
    sky_net_fix(&b, sky_net_linear(&b, "fc", sky_net_global_pool(&b, x), 10));
    cr_assert_eq(sky_net_finish(&b, "residual", "", &net, NULL), SKY_OK);
    return net;
}

static const sky_conv_shape *find(const sky_network *net, const sky_conv_shape *s, int32_t n,
                                  const char *name)
{
    for (int32_t i = 0; i < n; i++) {
        if (strcmp(net->layers[s[i].layer].name, name) == 0)
            return &s[i];
    }
    cr_assert_fail("no layer '%s'", name);
    return NULL;
}

Test(trace, residual_networks)
{
    sky_arena arena = {0};
    const sky_network net = residual(&arena);
    const sky_trace t = parsed("skyline-trace 1\nat 0 0\n"
                               "at 1 10\nlayer stem 12\nlayer a 5\nlayer b 9\n"
                               "at 2 20\nlayer a 5 4\nlayer fc 10 11\n"
                               "end 3 30\n",
                               &arena);
    sky_trace_map map;
    sky_error e = {0};
    cr_assert_eq(sky_trace_bind(&t, &net, &arena, &map, &e), SKY_OK, "%s", e.text);
    int32_t channels[16];
    sky_conv_shape s[16];

    sky_trace_channels(&t, &map, 0, &net, channels); /* nothing listed yet: as designed */
    for (int32_t i = 0; i < net.n_layers; i++)
        cr_assert_eq(channels[i], net.layers[i].out.c);

    sky_trace_channels(&t, &map, 1, &net, channels);
    int32_t n = sky_trace_convs(&t, &map, 1, &net, channels, false, s);
    cr_assert_eq(n, 5);
    cr_assert_eq(find(&net, s, n, "stem")->k, 12);
    cr_assert_eq(find(&net, s, n, "a")->c, 12);
    cr_assert_eq(find(&net, s, n, "dw")->groups, 5); /* follows */
    cr_assert_eq(find(&net, s, n, "b")->c, 5);
    cr_assert_eq(find(&net, s, n, "fc")->c, 12); /* the larger of 12 and 9 */

    sky_trace_channels(&t, &map, 2, &net, channels);
    n = sky_trace_convs(&t, &map, 2, &net, channels, false, s);
    cr_assert_eq(find(&net, s, n, "a")->c, 4);   /* as said, whatever the graph has */
    cr_assert_eq(find(&net, s, n, "fc")->c, 11); /* the union of two sets may be what was said */
    cr_assert_eq(find(&net, s, n, "b")->c, 5);
    sky_arena_free(&arena);
}

static const bad unbound[] = {
    {"layer b1 4\n", SKY_EINVAL, "network 'residual' has no layer 'b1' (did you mean 'b'?)"},
    {"layer sum 4\n", SKY_EINVAL, "network 'residual' has no layer 'sum'"},
    {"layer a 9\n", SKY_EINVAL,
     "step 0: layer 'a' keeps 9 output channels; network 'residual' was"},
    {"layer a 8 17\n", SKY_EINVAL, "step 0: layer 'a' keeps 17 input channels"},
    {"layer a 6\nlayer dw 5\n", SKY_EINVAL, "step 0: layer 'dw' is depthwise: 6 channels"},
};

Test(trace, what_does_not_fit_the_network)
{
    for (size_t i = 0; i < sizeof unbound / sizeof *unbound; i++) {
        sky_arena arena = {0};
        const sky_network net = residual(&arena);
        sky_buf b = {0};
        sky_error e = {0};
        sky_trace_map map;
        sky_buf_printf(&b, HEAD "%send 1 1\n", unbound[i].text);
        const sky_trace t = parsed(sky_buf_str(&b), &arena);
        cr_assert_eq(sky_trace_bind(&t, &net, &arena, &map, &e), unbound[i].err);
        cr_assert_eq(strncmp(e.text, unbound[i].says, strlen(unbound[i].says)), 0, "%s", e.text);
        sky_buf_free(&b);
        sky_arena_free(&arena);
    }
}

/* --- synthetic ones --- */

static void write_generated(const char *network, const sky_trace_options *o, sky_buf *out)
{
    sky_arena arena = {0};
    sky_trace t;
    sky_error e = {0};
    cr_assert_eq(sky_trace_generate(sky_network_find(network), o, &arena, &t, &e), SKY_OK, "%s",
                 e.text);
    sky_trace_write(&t, out);
    sky_arena_free(&arena);
}

/* The same on every machine: a hash that is compared with what one machine wrote. */
Test(trace, generated_ones_are_the_same_everywhere)
{
    const sky_trace_options o = {.pruned = 0.5, .seed = 1}, other = {.pruned = 0.5, .seed = 2};
    sky_buf a = {0}, b = {0}, c = {0};
    write_generated("resnet50", &o, &a);
    write_generated("resnet50", &o, &b);
    write_generated("resnet50", &other, &c);
    cr_assert_str_eq(sky_buf_str(&a), sky_buf_str(&b));
    cr_assert_str_neq(sky_buf_str(&a), sky_buf_str(&c));
    cr_assert_eq(sky_hash_bytes(0, a.data, a.len), UINT64_C(0x1e5d388502cb2fd7), "%016" PRIx64,
                 sky_hash_bytes(0, a.data, a.len));
    sky_buf_free(&a);
    sky_buf_free(&b);
    sky_buf_free(&c);
}

/* On every network of the zoo: it binds, shrinks from stage to stage, begins as designed, and ends with
 * about as much pruned as was asked for. */
Test(trace, generated_ones_fit_their_networks)
{
    sky_rng rng = test_rng(21);
    for (const char *const *name = sky_network_names(); *name; name++) {
        sky_arena arena = {0};
        const sky_network *net = sky_network_find(*name);
        const sky_trace_options o = {.pruned = (double)test_between(&rng, 10, 80) / 100,
                                     .seed = (uint64_t)test_between(&rng, 0, 1 << 20),
                                     .epochs = 30,
                                     .epochs_a_stage = 5};
        sky_buf text = {0};
        sky_error e = {0};
        sky_trace_map map;
        write_generated(*name, &o, &text);
        const sky_trace t = parsed(sky_buf_str(&text), &arena);
        cr_assert_str_eq(t.network, *name);
        cr_assert_eq(t.n_stages, 6);
        cr_assert_eq(sky_trace_bind(&t, net, &arena, &map, &e), SKY_OK, "%s", e.text);
        int32_t *channels = calloc((size_t)net->n_layers, sizeof *channels);
        int64_t before = INT64_MAX;
        for (int32_t s = 0; s < t.n_stages; s++) {
            sky_trace_channels(&t, &map, s, net, channels);
            const int64_t macs = sky_network_count(net, channels).macs;
            cr_assert_leq(macs, before);
            if (s == 0)
                cr_assert_eq(macs, sky_network_count(net, NULL).macs);
            before = macs;
        }
        double gone = 0;
        for (int32_t i = 0; i < t.n_layers; i++)
            gone +=
                1 - (double)t.stages[t.n_stages - 1].kept[i].out / net->layers[map.layer[i]].out.c;
        cr_assert_float_eq(gone / t.n_layers, o.pruned, 0.25 * o.pruned + 0.02, "%s: %g of %g",
                           *name, gone / t.n_layers, o.pruned);
        free(channels);
        sky_buf_free(&text);
        sky_arena_free(&arena);
    }
}

Test(trace, options_are_checked)
{
    const sky_trace_options wrong[] = {
        {.pruned = 1},          {.pruned = -0.1},       {.spread = 1.5},    {.epochs = -1},
        {.steps_an_epoch = -1}, {.epochs_a_stage = -2}, {.epochs = 2000000}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sky_arena arena = {0};
        sky_trace t;
        sky_error e = {0};
        cr_assert_eq(sky_trace_generate(sky_network_find("vgg11"), &wrong[i], &arena, &t, &e),
                     SKY_EINVAL, "%zu", i);
        cr_assert_eq(strncmp(e.text, "trace: ", 7), 0, "%s", e.text);
        sky_arena_free(&arena);
    }
}

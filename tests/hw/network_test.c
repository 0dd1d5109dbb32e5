#include "hw/network.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "hw/flexsa.h"
#include "random_case.h"

/* Parameters are exact, multiplications to the digits that were published. docs/networks.md says where each
 * is from: torchvision's model pages (num_params, and GFLOPS with a multiply-add counting once) but for
 * GoogLeNet: Netscope on Caffe's bvlc_googlenet without its auxiliary classifiers (torchvision's has 3 x 3
 * for 5 x 5).
 * Inception v3: torchvision's less the 3,326,696 parameters of its auxiliary classifier.
 * Inception v4: parameters of osmr/imgclsmob's model list (Cadene's weights, and timm's); operations of
 * OpenVINO's Open Model Zoo, "googlenet-v4": 24.584 GFLOPs, two a multiply-add, with pooling and the like.
 * MobileNet v1: Keras's trainable parameters; the paper's table 4, 569 million multiply-adds.
 * BERT: transformers' bert-base-uncased; TinyBERT (arXiv 1909.10351), table 1: 22.5 billion operations.
 * GPT-2: transformers' gpt2; nanoGPT's transformer_sizing.ipynb: forward 291,648,307,200 operations.
 * The encoder's block: transformers' MarianEncoderLayer of the same sizes; nanoGPT's formula of a block. */
#define TRANSFORMER_BLOCK_OPS(T, D) (24.0 * (T) * (D) * (D) + 4.0 * (T) * (T) * (D))
static const struct {
    const char *name;
    int64_t parameters;
    double gmacs, tolerance;
} published[] = {
    {"resnet18", 11689512, 1.81, 0.0051},
    {"resnet34", 21797672, 3.66, 0.0051},
    {"resnet50", 25557032, 4.09, 0.0051},
    {"resnet101", 44549160, 7.80, 0.0051},
    {"resnet152", 60192808, 11.51, 0.0051},
    {"inception_v4", 42679816, 24.584 / 2, 0.04},
    {"alexnet", 61100840, 0.71, 0.0051},
    {"vgg11", 132863336, 7.61, 0.0051},
    {"vgg13", 133047848, 11.31, 0.0051},
    {"vgg16", 138357544, 15.47, 0.0051},
    {"googlenet", 6998552, 1.58, 0.0051},
    {"inception_v3", 27161264 - 3326696, 5.713, 0.0006},
    {"mobilenet_v1", 4231976, 0.569, 0.0006},
    {"mobilenet_v2", 3504872, 0.30, 0.0051},
    {"bert_base", 109482240, 22.5 / 2, 0.08},
    {"gpt2_small", 124439808, 291.648307200 / 2, 1e-9},
    {"transformer_encoder", 3152384, TRANSFORMER_BLOCK_OPS(512, 512) * 1e-9 / 2, 1e-9},
    {"resnet18_cifar", 11173962, 0.56, 0.0051},
};

Test(network, counts_are_the_published_ones)
{
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        const sky_network *net = sky_network_find(published[i].name);
        cr_assert_not_null(net, "%s", published[i].name);
        sky_network_counts counts = sky_network_count(net, NULL);
        if (published[i].parameters > 0) {
            cr_assert_eq(counts.parameters, published[i].parameters, "%s: %" PRId64 " parameters",
                         net->name, counts.parameters);
        }
        cr_assert_float_eq((double)counts.macs * 1e-9, published[i].gmacs, published[i].tolerance,
                           "%s: %.4f GMAC", net->name, (double)counts.macs * 1e-9);
    }
}

/* ResNet-20 and -32 for CIFAR have 0.27 and 0.46 million parameters (He et al., table 6) with shortcuts that
 * have none; ours have two 1 x 1 convolutions with norms, as chenyaofo/pytorch-cifar-models has them, whose
 * README gives 40.81 and 69.12 million multiply-adds. */
Test(network, cifar_networks)
{
    const int64_t shortcuts = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64;
    const struct {
        const char *name;
        double millions, mmacs;
    } stated[] = {{"resnet20", 0.27, 40.81}, {"resnet32", 0.46, 69.12}};
    for (size_t i = 0; i < sizeof stated / sizeof *stated; i++) {
        sky_network_counts counts = sky_network_count(sky_network_find(stated[i].name), NULL);
        cr_assert_float_eq((double)(counts.parameters - shortcuts) * 1e-6, stated[i].millions,
                           0.005, "%s: %" PRId64, stated[i].name, counts.parameters);
        cr_assert_float_eq((double)counts.macs * 1e-6, stated[i].mmacs, 0.0051, "%s: %" PRId64,
                           stated[i].name, counts.macs);
    }
}

/* A network of the zoo without a published count would go unnoticed. */
Test(network, each_has_a_published_count)
{
    size_t n = 0;
    for (const char *const *name = sky_network_names(); *name; name++)
        n++;
    cr_assert_eq(n, sizeof published / sizeof *published + 2 /* CIFAR's */);
}

/* In numbers that do not come from our own formulas: GPT-2's first block as nanoGPT lists it. */
Test(network, attention_is_two_products_a_block)
{
    const sky_network *net = sky_network_find("gpt2_small");
    sky_conv_shape *out = calloc((size_t)net->n_layers, sizeof *out);
    const int32_t n = sky_network_convs(net, NULL, false, out);
    const int64_t ops[] = {3623878656, 1610612736, 1610612736, 1207959552, 4831838208, 4831838208};
    cr_assert_eq(n, 12 * 6 + 1);
    for (int32_t i = 0; i < 6; i++) {
        const sky_conv_shape *s = &out[i];
        cr_assert_eq(2 * (int64_t)s->groups * s->c * s->k * s->p * s->q, ops[i], "%d", i);
        cr_assert_eq(s->per_sample, i == 1 || i == 2);
    }
    cr_assert_eq(out[1].groups, 12);
    cr_assert_eq(out[1].c, 64);
    cr_assert_eq(out[1].k, 1024);
    cr_assert_eq(out[2].c, 1024);
    cr_assert_eq(out[2].k, 64);
    cr_assert_eq(sky_network_convs(net, NULL, true, out), 7);
    free(out);
}

/* Pruned to half, heads have half the features and the scores stay; learned tensors go along. */
Test(network, transformers_scale)
{
    const sky_network *net = sky_network_find("gpt2_small");
    int32_t *channels = calloc((size_t)net->n_layers, sizeof *channels);
    sky_network_scale(net, 0.5, channels);
    const int64_t d = 384, t = 1024, words = 50257;
    sky_network_counts half = sky_network_count(net, channels);
    cr_assert_eq(half.macs, 12 * (12 * t * d * d + 2 * t * t * d) + t * d * words);
    cr_assert_eq(half.parameters, 12 * (12 * d * d + 9 * d + 4 * d) + 2 * d + (t + words) * d);
    free(channels);
}

Test(network, inception_v4_parameters)
{
    const sky_network *net = sky_network_find("inception_v4");
    int64_t norm_channels = 0;
    for (int32_t i = 0; i < net->n_layers; i++) {
        if (net->layers[i].kind == SKY_LAYER_NORM)
            norm_channels += net->layers[i].out.c;
    }
    int64_t folded = sky_network_count(net, NULL).parameters - norm_channels;
    cr_assert_float_eq((double)folded * 1e-6, 42.648, 0.0006, "%.4f million",
                       (double)folded * 1e-6);
}

Test(network, names_are_sorted_and_found)
{
    const char *const *names = sky_network_names();
    for (size_t i = 0; names[i]; i++) {
        const sky_network *net = sky_network_find(names[i]);
        cr_assert_not_null(net);
        cr_assert_str_eq(net->name, names[i]);
        cr_assert_eq(net, sky_network_find(names[i]));
        if (i > 0)
            cr_assert_lt(strcmp(names[i - 1], names[i]), 0);
    }
    cr_assert_null(sky_network_find("resnet51"));
    cr_assert_null(sky_network_find(""));
}

Test(network, kept_channels_round_to_nearest)
{
    cr_assert_eq(sky_kept_channels(64, 1), 64);
    cr_assert_eq(sky_kept_channels(64, 0.5), 32);
    cr_assert_eq(sky_kept_channels(64, 0.3), 19);
    cr_assert_eq(sky_kept_channels(3, 0.5), 2);
    cr_assert_eq(sky_kept_channels(64, 0.001), 1);
    cr_assert_eq(sky_kept_channels(1, 0.9), 1);
}

/* At half width, every convolution but the first and the classifier shrinks to a quarter. */
Test(network, scaling_keeps_ends_fixed)
{
    const sky_network *net = sky_network_find("resnet50");
    int32_t *channels = calloc((size_t)net->n_layers, sizeof *channels);
    sky_network_scale(net, 0.5, channels);
    cr_assert_eq(channels[0], 3);
    cr_assert_eq(channels[net->n_layers - 1], 1000);
    sky_network_counts whole = sky_network_count(net, NULL),
                       half = sky_network_count(net, channels);
    int64_t first = 112 * 112 * 64 * 147, last = 2048 * 1000;
    cr_assert_eq(half.macs, (whole.macs - first - last) / 4 + first / 2 + last / 2);
    sky_network_scale(net, 1, channels);
    sky_network_counts same = sky_network_count(net, channels);
    cr_assert_eq(same.macs, whole.macs);
    cr_assert_eq(same.parameters, whole.parameters);
    free(channels);
}

/* Whatever the widths, merging equal shapes changes no sum. */
Test(network, merging_loses_nothing)
{
    sky_rng rng = test_rng(10);
    for (const char *const *name = sky_network_names(); *name; name++) {
        const sky_network *net = sky_network_find(*name);
        size_t n = (size_t)net->n_layers;
        int32_t *channels = calloc(n, sizeof *channels);
        sky_conv_shape *each = calloc(n, sizeof *each), *merged = calloc(n, sizeof *merged);
        for (int i = 0; i < 20; i++) {
            sky_network_scale(net, (double)test_between(&rng, 5, 100) / 100, channels);
            int32_t n_each = sky_network_convs(net, channels, false, each);
            int32_t n_merged = sky_network_convs(net, channels, true, merged);
            int64_t macs_each = 0, macs_merged = 0, layers = 0;
            for (int32_t j = 0; j < n_each; j++) {
                const sky_conv_shape *s = &each[j];
                macs_each += (int64_t)s->c * s->k * s->r * s->s * s->p * s->q * s->groups;
                /* images have no gradient; embeddings and what a stand-in is for do */
                cr_assert_eq(s->no_dgrad, j == 0 && net->layers[0].out.c == 3);
            }
            for (int32_t j = 0; j < n_merged; j++) {
                const sky_conv_shape *s = &merged[j];
                macs_merged +=
                    (int64_t)s->c * s->k * s->r * s->s * s->p * s->q * s->groups * s->count;
                layers += s->count;
            }
            cr_assert_eq(macs_each, macs_merged);
            cr_assert_eq(macs_each, sky_network_count(net, channels).macs);
            cr_assert_eq(layers, n_each);
            cr_assert_leq(n_merged, n_each);
        }
        free(channels);
        free(each);
        free(merged);
    }
}

Test(network, resnet50_has_few_distinct_layers)
{
    const sky_network *net = sky_network_find("resnet50");
    sky_conv_shape *out = calloc((size_t)net->n_layers, sizeof *out);
    cr_assert_eq(sky_network_convs(net, NULL, false, out), 54);
    cr_assert_leq(sky_network_convs(net, NULL, true, out), 25);
    free(out);
}

static sky_err finish(sky_network_builder *b, sky_error *e)
{
    sky_network net;
    return sky_net_finish(b, "test", "", &net, e);
}

Test(network, groups_and_depthwise)
{
    sky_arena arena = {0};
    sky_network_builder b = {.arena = &arena};
    int32_t x = sky_net_input(&b, (sky_shape){3, 8, 8});
    x = sky_net_conv(&b, "a", x,
                     (sky_conv_options){.out = 16, .kernel = 3, .pad = 1, .bias = true});
    x = sky_net_conv(&b, "dw", x,
                     (sky_conv_options){.out = 16, .kernel = 3, .stride = 2, .groups = 16});
    x = sky_net_conv(&b, "g", x, (sky_conv_options){.out = 32, .kernel = 1, .groups = 4});
    sky_network net;
    cr_assert_eq(sky_net_finish(&b, "test", "", &net, NULL), SKY_OK, "%s", b.error.text);
    cr_assert_eq(net.layers[x].out.h, 3);
    sky_network_counts counts = sky_network_count(&net, NULL);
    cr_assert_eq(counts.parameters, 3 * 16 * 9 + 16 + 16 * 9 + 32 * 4);
    cr_assert_eq(counts.macs, 3 * 16 * 9 * 64 + 16 * 9 * 9 + 32 * 4 * 9);

    int32_t channels[4];
    sky_network_scale(&net, 0.5, channels);
    cr_assert_eq(channels[1], 8);
    cr_assert_eq(channels[2], 8);
    cr_assert_eq(channels[3], 16);
    counts = sky_network_count(&net, channels);
    cr_assert_eq(counts.macs, 3 * 8 * 9 * 64 + 8 * 9 * 9 + 16 * 2 * 9);
    sky_arena_free(&arena);
}

Test(network, errors_name_the_layer)
{
    sky_arena arena = {0};
    sky_error e = {0};
    sky_network_builder b = {.arena = &arena};
    int32_t x = sky_net_input(&b, (sky_shape){3, 8, 8});
    sky_net_conv(&b, "huge", x, (sky_conv_options){.out = 16, .kernel = 9});
    cr_assert_eq(sky_net_relu(&b, x), 0); /* nothing happens after an error */
    cr_assert_eq(finish(&b, &e), SKY_EINVAL);
    cr_assert(strstr(e.text, "huge"), "%s", e.text);

    b = (sky_network_builder){.arena = &arena};
    x = sky_net_input(&b, (sky_shape){3, 8, 8});
    sky_net_conv(&b, "odd", x, (sky_conv_options){.out = 16, .kernel = 1, .groups = 2});
    cr_assert_eq(finish(&b, &e), SKY_EINVAL);
    cr_assert(strstr(e.text, "groups"), "%s", e.text);

    b = (sky_network_builder){.arena = &arena};
    x = sky_net_input(&b, (sky_shape){3, 8, 8});
    int32_t y = sky_net_pool(&b, "p", x, (sky_conv_options){.kernel = 2, .stride = 2});
    sky_net_add(&b, "sum", x, y);
    cr_assert_eq(finish(&b, &e), SKY_EINVAL);
    cr_assert(strstr(e.text, "sum"), "%s", e.text);

    b = (sky_network_builder){.arena = &arena};
    sky_net_relu(&b, 0);
    cr_assert_eq(finish(&b, &e), SKY_EINVAL);
    b = (sky_network_builder){.arena = &arena};
    cr_assert_eq(finish(&b, &e), SKY_EINVAL);
    b = (sky_network_builder){.arena = &arena};
    sky_net_input(&b, (sky_shape){3, 0, 8});
    cr_assert_eq(finish(&b, &e), SKY_EINVAL);
    sky_arena_free(&arena);
}

/* What each kind refuses, and shapes that only its own rule gives. */
Test(network, sequences)
{
    sky_arena arena = {0};
    sky_network_builder b = {.arena = &arena};
    sky_error e = {0};
    int32_t x = sky_net_input(&b, (sky_shape){1, 10, 1});
    x = sky_net_embed(&b, "table", x, 100, 24);
    int32_t q = sky_net_slice(&b, "q", x, 8), k = sky_net_slice(&b, "k", x, 8);
    int32_t s = sky_net_matmul(&b, "scores", q, k, 2, true);
    cr_assert(b.layers[s].out.c == 20 && b.layers[s].out.h == 10);
    int32_t o = sky_net_matmul(&b, "sums", s, q, 2, false);
    cr_assert(b.layers[o].out.c == 8 && b.layers[o].out.h == 10);
    cr_assert_eq(finish(&b, &e), SKY_OK, "%s", e.text);

    const struct {
        int32_t in1, in2, groups;
        bool transposed;
    } wrong[] = {{q, k, 3, true}, {q, x, 2, true}, {q, k, 2, false}, {q, k, 0, true}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sky_network_builder again = b;
        sky_net_matmul(&again, "wrong", wrong[i].in1, wrong[i].in2, wrong[i].groups,
                       wrong[i].transposed);
        cr_assert_eq(finish(&again, &e), SKY_EINVAL, "%zu", i);
        cr_assert_not_null(strstr(e.text, "'wrong'"), "%s", e.text);
    }
    const sky_layer bad[] = {
        {.kind = SKY_LAYER_SLICE, .n_inputs = 1, .input = {q}, .out = {.c = 9}},
        {.kind = SKY_LAYER_SLICE, .n_inputs = 1, .input = {q}, .axis = SKY_AXIS_H},
        {.kind = SKY_LAYER_EMBED, .n_inputs = 1, .input = {q}, .table_rows = 9, .out = {.c = 3}},
        {.kind = SKY_LAYER_EMBED, .n_inputs = 1, .input = {0}, .out = {.c = 3}},
        {.kind = SKY_LAYER_TENSOR, .table_rows = SKY_TABLE_ROWS_MAX + 1, .out = {8, 1, 1}},
        {.kind = SKY_LAYER_RESHAPE, .n_inputs = 1, .input = {q}, .out = {8, 5, 3}},
        {.kind = SKY_LAYER_TENSOR, .out = {8, 0, 1}},
        {.kind = SKY_LAYER_TENSOR, .n_inputs = 1, .input = {q}, .out = {8, 1, 1}},
        {.kind = SKY_LAYER_CONCAT, .n_inputs = 2, .input = {q, x}, .axis = SKY_AXIS_H},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sky_network_builder again = b;
        sky_net_layer(&again, &bad[i]);
        cr_assert_eq(finish(&again, &e), SKY_EINVAL, "%zu", i);
    }
    sky_arena_free(&arena);
}

/* Nothing of a product of activations is shared by the batch: on any machine it costs what so many times the
 * groups cost. */
Test(network, products_of_activations_are_per_sample)
{
    const sky_flexsa_org org = {.groups = 1, .units = 1, .flexible = true};
    const sky_flexsa_machine m = sky_flexsa_machine_of(org, (sky_array){128, 128}, 2);
    const sky_conv_shape one = {.c = 64,
                                .h = 100,
                                .w = 1,
                                .k = 100,
                                .p = 100,
                                .q = 1,
                                .r = 1,
                                .s = 1,
                                .groups = 12,
                                .count = 1,
                                .per_sample = 1};
    sky_conv_shape all = one;
    all.per_sample = 0;
    all.groups *= 8;
    for (int phase = 0; phase < SKY_PHASES; phase++) {
        const sky_flexsa_cost a = sky_flexsa_layer(&m, &one, 8, (sky_phase)phase);
        const sky_flexsa_cost b = sky_flexsa_layer(&m, &all, 1, (sky_phase)phase);
        cr_assert_eq(a.macs, INT64_C(8) * 12 * 100 * 100 * 64);
        cr_assert_eq(memcmp(&a, &b, sizeof a), 0);
    }
}

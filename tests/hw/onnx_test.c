#include "hw/onnx.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "onnx_text.h"
#include "random_case.h"

/* --- whole networks --- */

static void load(const char *name, sky_arena *arena, sky_network *net)
{
    char path[512];
    sky_error e = {0};
    snprintf(path, sizeof path, "%s/%s.onnx", ONNX_DIR, name);
    cr_assert_eq(sky_onnx_load(path, NULL, arena, net, &e), SKY_OK, "%s", e.text);
}

static int by_shape(const void *a, const void *b)
{
    sky_conv_shape x = *(const sky_conv_shape *)a, y = *(const sky_conv_shape *)b;
    x.layer = y.layer = 0; /* the order of branches is not part of it */
    return memcmp(&x, &y, sizeof x);
}

static sky_conv_shape *sorted_convs(const sky_network *net, const int32_t *channels, int32_t *n)
{
    sky_conv_shape *out = calloc((size_t)net->n_layers, sizeof *out);
    *n = sky_network_convs(net, channels, false, out);
    qsort(out, (size_t)*n, sizeof *out, by_shape);
    return out;
}

/* The zoo's networks were written down separately: layer by layer they are the same, pruned or not. */
Test(onnx, files_are_the_zoos_networks)
{
    static const char *const names[] = {"resnet50", "mobilenet_v2", "googlenet"};
    static const double widths[] = {1, 0.5, 0.37};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        sky_arena arena = {0};
        sky_network net;
        load(names[i], &arena, &net);
        const sky_network *ours = sky_network_find(names[i]);
        cr_assert_str_eq(net.name, names[i]);
        int32_t *channels = calloc((size_t)net.n_layers, sizeof *channels);
        int32_t *our_channels = calloc((size_t)ours->n_layers, sizeof *our_channels);
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
            sky_network_scale(&net, widths[w], channels);
            sky_network_scale(ours, widths[w], our_channels);
            sky_network_counts counts = sky_network_count(&net, channels),
                               our_counts = sky_network_count(ours, our_channels);
            cr_assert_eq(counts.parameters, our_counts.parameters, "%s", names[i]);
            cr_assert_eq(counts.macs, our_counts.macs, "%s", names[i]);
            int32_t n, our_n;
            sky_conv_shape *convs = sorted_convs(&net, channels, &n);
            sky_conv_shape *our_convs = sorted_convs(ours, our_channels, &our_n);
            cr_assert_eq(n, our_n);
            for (int32_t k = 0; k < n; k++)
                cr_assert_eq(by_shape(&convs[k], &our_convs[k]), 0, "%s, %d", names[i], k);
            free(convs);
            free(our_convs);
        }
        free(channels);
        free(our_channels);
        sky_arena_free(&arena);
    }
}

/* The projections of q, k and v are one layer in one and three in the other. */
Test(onnx, transformers_have_the_zoos_counts)
{
    static const char *const names[] = {"transformer_encoder", "gpt2_small"};
    for (size_t i = 0; i < 2; i++) {
        sky_arena arena = {0};
        sky_network net;
        load(names[i], &arena, &net);
        sky_network_counts counts = sky_network_count(&net, NULL);
        sky_network_counts ours = sky_network_count(sky_network_find(names[i]), NULL);
        cr_assert_eq(counts.parameters, ours.parameters, "%s: %" PRId64, names[i],
                     counts.parameters);
        cr_assert_eq(counts.macs, ours.macs, "%s: %" PRId64, names[i], counts.macs);
        sky_arena_free(&arena);
    }
}

Test(onnx, gpt2_shrinks_as_the_zoos)
{
    sky_arena arena = {0};
    sky_network net;
    load("gpt2_small", &arena, &net);
    const sky_network *ours = sky_network_find("gpt2_small");
    int32_t *channels = calloc((size_t)net.n_layers, sizeof *channels);
    int32_t *our_channels = calloc((size_t)ours->n_layers, sizeof *our_channels);
    sky_network_scale(&net, 0.25, channels);
    sky_network_scale(ours, 0.25, our_channels);
    sky_network_counts counts = sky_network_count(&net, channels),
                       our_counts = sky_network_count(ours, our_channels);
    cr_assert_eq(counts.parameters, our_counts.parameters);
    cr_assert_eq(counts.macs, our_counts.macs);
    free(channels);
    free(our_channels);
    sky_arena_free(&arena);
}

/* Networks that the zoo lacks: torchvision's num_params and GFLOPS. */
Test(onnx, other_networks_have_the_published_counts)
{
    static const struct {
        const char *name;
        int64_t parameters;
        double gmacs;
    } published[] = {{"efficientnet_b0", 5288548, 0.386}, {"vit_b_16", 86567656, 17.564}};
    for (size_t i = 0; i < 2; i++) {
        sky_arena arena = {0};
        sky_network net;
        load(published[i].name, &arena, &net);
        sky_network_counts counts = sky_network_count(&net, NULL);
        cr_assert_eq(counts.parameters, published[i].parameters, "%s", published[i].name);
        cr_assert_float_eq((double)counts.macs * 1e-9, published[i].gmacs, 0.00051, "%s",
                           published[i].name);
        sky_arena_free(&arena);
    }
}

/* Traces speak of layers by name, so a trace of the zoo's network fits the exported one. */
Test(onnx, layers_are_named_after_their_weights)
{
    sky_arena arena = {0};
    sky_network net;
    load("resnet50", &arena, &net);
    int found = 0;
    for (int32_t i = 0; i < net.n_layers; i++) {
        const sky_layer *l = &net.layers[i];
        found += strcmp(l->name, "layer1.0.conv1") == 0 && l->kind == SKY_LAYER_CONV;
        cr_assert_eq(l->fixed, strcmp(l->name, "fc") == 0 || l->kind == SKY_LAYER_INPUT, "%s",
                     l->name);
        for (int32_t k = 0; k < i; k++)
            cr_assert_neq(strcmp(net.layers[k].name, l->name), 0, "%s", l->name);
    }
    cr_assert_eq(found, 1);
    sky_arena_free(&arena);
}

/* --- single operators --- */

static sky_err parse_sized(const char *source, const char *sizes, sky_arena *arena,
                           sky_network *net, sky_error *e)
{
    sky_buf model = {0};
    onnx_from_text(source, &model);
    /* A copy of exactly that length: sanitizers see a read beyond it. */
    void *bytes = malloc(model.len);
    memcpy(bytes, model.data, model.len);
    const sky_err err = sky_onnx_parse("m.onnx", bytes, model.len, sizes, arena, net, e);
    free(bytes);
    sky_buf_free(&model);
    return err;
}

static sky_err parse(const char *source, sky_arena *arena, sky_network *net, sky_error *e)
{
    return parse_sized(source, NULL, arena, net, e);
}

/* The shape of the layer that the model's last node became. */
static sky_shape last_shape(const char *source, sky_network_counts *counts)
{
    sky_arena arena = {0};
    sky_network net;
    sky_error e = {0};
    cr_assert_eq(parse(source, &arena, &net, &e), SKY_OK, "%s", e.text);
    const sky_shape s = net.layers[net.n_layers - 1].out;
    if (counts)
        *counts = sky_network_count(&net, NULL);
    sky_arena_free(&arena);
    return s;
}

#define ASSERT_SHAPE(S, C, H, W)                                                                   \
    do {                                                                                           \
        const sky_shape is = (S);                                                                  \
        cr_assert(is.c == (C) && is.h == (H) && is.w == (W), "%d x %d x %d", is.c, is.h, is.w);    \
    } while (0)

Test(onnx, windows)
{
    sky_network_counts counts;
    ASSERT_SHAPE(
        last_shape("input x N 4 9 12\n weight w 6 2 3 5\n weight b 6\n"
                   "Conv x w b -> y, group 2, strides 2 1;, pads 0 1 2 3;, dilations 2 1;\n"
                   "output y\n",
                   &counts),
        6, 4, 12);
    cr_assert_eq(counts.parameters, 6 * 2 * 15 + 6);
    cr_assert_eq(counts.macs, 6 * 2 * 15 * 4 * 12);
    ASSERT_SHAPE(last_shape("input x 2 4 10 10\n weight w 8 4 3 3\n"
                            "Conv x w -> y, auto_pad \"SAME_UPPER\", strides 3 3;\n output y\n",
                            NULL),
                 8, 4, 4);
    ASSERT_SHAPE(last_shape("input x 2 4 10 10\n weight w 8 4 3 3\n"
                            "Conv x w -> y, auto_pad \"VALID\"\n output y\n",
                            NULL),
                 8, 8, 8);
    /* 6 rows by windows of 3 at 0, 2 and (rounded up) 4; the last must not begin in the padding. */
    ASSERT_SHAPE(last_shape("input x 1 4 6 5\n"
                            "MaxPool x -> y, kernel_shape 3 3;, strides 2 2;, ceil_mode 1\n"
                            "output y\n",
                            NULL),
                 4, 3, 2);
    ASSERT_SHAPE(last_shape("input x 1 4 4 4\n"
                            "MaxPool x -> y, kernel_shape 1 1;, strides 5 5;, ceil_mode 1\n"
                            "output y\n",
                            NULL),
                 4, 1, 1);
    /* One axis. */
    ASSERT_SHAPE(last_shape("input x 1 16 100\n weight w 32 16 7\n"
                            "Conv x w -> y, pads 3 3;, strides 2;\n output y\n",
                            NULL),
                 32, 50, 1);
    /* A Pad before, as TensorFlow's exporter writes it. */
    ASSERT_SHAPE(last_shape("input x 1 3 8 8\n weight w 4 3 3 3\n ints p 0 0 1 0 0 0 1 2\n"
                            "Pad x p -> z\n Conv z w -> y\n output y\n",
                            NULL),
                 4, 8, 8);
}

Test(onnx, channels_last_input)
{
    sky_arena arena = {0};
    sky_network net;
    sky_error e = {0};
    cr_assert_eq(parse("input x N 16 16 3\n weight w 8 3 3 3\n Transpose x -> z, perm 0 3 1 2;\n"
                       "Conv z w -> y\n output y\n",
                       &arena, &net, &e),
                 SKY_OK, "%s", e.text);
    sky_conv_shape shape[8];
    cr_assert_eq(sky_network_convs(&net, NULL, false, shape), 1);
    cr_assert(shape[0].c == 3 && shape[0].h == 16 && shape[0].p == 14 && shape[0].no_dgrad);
    sky_arena_free(&arena);
}

/* ShuffleNet: groups of channels are dealt out anew, which is no layer. */
Test(onnx, shuffles_of_channels_are_followed)
{
    ASSERT_SHAPE(last_shape("input x N 12 8 8\n weight w 24 4 1 1\n ints a 0 3 4 8 8\n"
                            "ints b 0 12 8 8\n Reshape x a -> r\n"
                            "Transpose r -> t, perm 0 2 1 3 4;\n Reshape t b -> s\n"
                            "Conv s w -> y, group 3\n output y\n",
                            NULL),
                 24, 8, 8);
}

Test(onnx, parts_and_joins)
{
    sky_network_counts counts;
    ASSERT_SHAPE(last_shape("input x N 12 8 8\n ints s 4 8\n"
                            "Split x s -> a b, axis 1\n Concat b a b -> y, axis 1\n output y\n",
                            NULL),
                 20, 8, 8);
    ASSERT_SHAPE(last_shape("input x N 12 8 8\n ints b 2\n ints e -1\n ints a 2\n ints s 2\n"
                            "Slice x b e a s -> y\n output y\n",
                            NULL),
                 12, 3, 8);
    /* A class token before the patches, and the token again. */
    ASSERT_SHAPE(last_shape("input x N 8 6 6\n weight t 1 1 8\n ints a 0 8 36\n int i 0\n"
                            "Reshape x a -> r\n Transpose r -> s, perm 0 2 1;\n"
                            "Concat t s -> c, axis 1\n Gather c i -> y, axis 1\n Relu y -> z\n"
                            "output z\n",
                            &counts),
                 8, 1, 1);
    cr_assert_eq(counts.parameters, 8);
    /* More than a layer may join. */
    ASSERT_SHAPE(
        last_shape("input x N 2 4 4\n"
                   "Concat x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x "
                   "x x x -> y, axis 1\n output y\n",
                   NULL),
        70, 4, 4);
}

Test(onnx, products)
{
    sky_network_counts counts;
    /* Attention on 10 tokens with two heads of 4, keys from 7 other tokens. */
    const char *attention = "input q N 10 8\n input k N 7 8\n"
                            "ints a 0 10 2 4\n ints b 0 7 2 4\n ints c 0 10 8\n"
                            "Reshape q a -> q1\n Transpose q1 -> q2, perm 0 2 1 3;\n"
                            "Reshape k b -> k1\n Transpose k1 -> k2, perm 0 2 3 1;\n"
                            "Transpose k1 -> v2, perm 0 2 1 3;\n"
                            "MatMul q2 k2 -> s\n Softmax s -> p\n MatMul p v2 -> o\n"
                            "Transpose o -> o1, perm 0 2 1 3;\n Reshape o1 c -> o2\n"
                            "Relu o2 -> y\n output y\n";
    ASSERT_SHAPE(last_shape(attention, &counts), 8, 10, 1);
    cr_assert_eq(counts.macs, 2 * 10 * 8 * 7);
    cr_assert_eq(counts.parameters, 0);
    /* Rows by columns of the same activations: a Gram matrix. */
    ASSERT_SHAPE(last_shape("input x N 6 5\n Transpose x -> t, perm 0 2 1;\n MatMul t x -> y\n"
                            "output y\n",
                            &counts),
                 5, 5, 1);
    cr_assert_eq(counts.macs, 5 * 6 * 5);
    /* A matrix of tokens times weights, whose bias is found. */
    ASSERT_SHAPE(last_shape("input x N 6 5\n weight w 5 9\n weight b 9\n MatMul x w -> m\n"
                            "Add b m -> y\n output y\n",
                            &counts),
                 9, 6, 1);
    cr_assert_eq(counts.parameters, 5 * 9 + 9);
    cr_assert_eq(counts.macs, 6 * 5 * 9);
    /* The same weights twice are there once. */
    last_shape("input x N 5\n weight w 5 5\n MatMul x w -> a\n MatMul a w -> y\n output y\n",
               &counts);
    cr_assert_eq(counts.parameters, 25);
    cr_assert_eq(counts.macs, 50);
}

/* A mixer's product over tokens, which are channels to it. */
Test(onnx, layouts_change)
{
    sky_network_counts counts;
    ASSERT_SHAPE(last_shape("input x N 6 5\n weight w 6 4\n Transpose x -> t, perm 0 2 1;\n"
                            "MatMul t w -> y\n output y\n",
                            &counts),
                 4, 5, 1);
    cr_assert_eq(counts.macs, 5 * 6 * 4);
}

Test(onnx, norms_in_single_operators)
{
    sky_network_counts counts;
    sky_arena arena = {0};
    sky_network net;
    sky_error e = {0};
    const char *norm = "input x N 6 5\n weight g 5\n weight b 5\n weight c 1\n"
                       "ReduceMean x -> m, axes -1;\n Sub x m -> d\n Pow d c -> q\n"
                       "ReduceMean q -> v, axes -1;\n Add v c -> w\n Sqrt w -> s\n Div d s -> n\n"
                       "Mul n g -> o\n Add o b -> y\n output y\n";
    cr_assert_eq(parse(norm, &arena, &net, &e), SKY_OK, "%s", e.text);
    cr_assert_eq(net.n_layers, 2);
    cr_assert_eq(net.layers[1].kind, SKY_LAYER_NORM);
    counts = sky_network_count(&net, NULL);
    cr_assert_eq(counts.parameters, 10);
    sky_arena_free(&arena);
}

Test(onnx, elementwise)
{
    sky_network_counts counts;
    /* Three at once, and one that is spread over rows and columns. */
    ASSERT_SHAPE(last_shape("input x N 4 6 6\n GlobalAveragePool x -> p\n Sum x p x -> y\n"
                            "output y\n",
                            NULL),
                 4, 6, 6);
    /* A scale per channel is learned, a number and a mask of attention are not. */
    last_shape("input x N 4 6 6\n weight w 4 1 1\n weight s 1\n weight m 1 1 6 6\n"
               "Mul x w -> a\n Mul a s -> b\n Add b m -> y\n output y\n",
               &counts);
    cr_assert_eq(counts.parameters, 4);
    /* Position embeddings are; a table twice is there once. */
    last_shape("tokens x N 7\n weight w 9 5\n weight p 1 7 5\n Gather w x -> a\n Add a p -> b\n"
               "Transpose w -> t\n MatMul b t -> y\n output y\n",
               &counts);
    cr_assert_eq(counts.parameters, 9 * 5 + 7 * 5);
    cr_assert_eq(counts.macs, 7 * 5 * 9);
}

/* --- what is refused --- */

typedef struct bad {
    const char *source;
    sky_err err;
    const char *says[2];
} bad;

static const bad refused[] = {
    {"input x 1 3 8 8\n Resize x -> y\n output y\n",
     SKY_EINVAL,
     {"node 'y' (Resize)", "not supported"}},
    {"input x 1 3 8 8\n com.microsoft.Attention x -> y\n output y\n",
     SKY_EINVAL,
     {"node 'y' (Attention)", "com.microsoft"}},
    {"input x 1 3 H 8\n Relu x -> y\n output y\n", SKY_EINVAL, {"input 'x': dimension 2", "'H'"}},
    {"input x\n Relu x -> y\n output y\n", SKY_EINVAL, {"input 'x'", "0 axes"}},
    {"input x 1 3 8 8\n Relu z -> y\n output y\n", SKY_EFORMAT, {"node 'y' (Relu)", "'z'"}},
    {"input x 1 3 8 8\n Relu y -> z\n Relu x -> y\n output z\n", SKY_EFORMAT, {"node 'z'", "'y'"}},
    {"input x 1 3 8 8\n Relu x -> y\n Relu x -> y\n output y\n",
     SKY_EFORMAT,
     {"node 'y'", "already"}},
    {"input x 1 3 8 8\n weight w 4 2 3 3\n Conv x w -> y\n output y\n",
     SKY_EFORMAT,
     {"node 'y' (Conv)", "3 channels"}},
    {"input x 1 3 8 8\n weight w 4 3 9 9\n Conv x w -> y\n output y\n",
     SKY_EINVAL,
     {"node 'y' (Conv)", "does not fit"}},
    {"input x 1 3 8 8\n Conv x x -> y\n output y\n", SKY_EINVAL, {"node 'y'", "constant"}},
    {"input x 1 3 8 8 8\n weight w 4 3 3 3 3\n Conv x w -> y\n output y\n",
     SKY_EINVAL,
     {"node 'y' (Conv)", "5 axes"}},
    {"input x 1 3 8 8\n weight w 4 3 3 3\n Conv x w -> y, strides 0 1;\n output y\n",
     SKY_EINVAL,
     {"node 'y'", "supported are 1"}},
    {"input x 1 3 8 8\n weight w 4 3 3 3\n Conv x w -> y, strides 1;\n output y\n",
     SKY_EFORMAT,
     {"node 'y'", "strides"}},
    {"input x 1 3 8 8\n weight w 4 3 3 3\n Conv x w -> y, group 0\n output y\n",
     SKY_EINVAL,
     {"node 'y'", "groups"}},
    {"input x N 5\n weight w 4 6\n Gemm x w -> y\n output y\n",
     SKY_EFORMAT,
     {"node 'y' (Gemm)", "5 col"}},
    {"input x N 5 4\n weight w 5 6\n MatMul x w -> y\n output y\n",
     SKY_EFORMAT,
     {"node 'y' (MatMul)", "4 col"}},
    {"input x N 4 5\n ints s 0 3 7\n Reshape x s -> y\n output y\n",
     SKY_EFORMAT,
     {"node 'y' (Reshape)", "20 values"}},
    {"input x N 4 5\n tokens s 3\n Reshape x s -> y\n output y\n",
     SKY_EINVAL,
     {"node 'y' (Reshape)", "known"}},
    {"input x N 4 5\n input z N 3 5\n Add x z -> y\n output y\n",
     SKY_EFORMAT,
     {"node 'y'", "differ"}},
    {"input x N 4 5\n Transpose x -> y, perm 0 1 1;\n output y\n",
     SKY_EFORMAT,
     {"node 'y'", "permutation"}},
    {"input x N 4 5\n Softmax x -> a\n ReduceMean a -> m, axes -1;\n Relu m -> y\n output y\n",
     SKY_EINVAL,
     {"node 'y' (Relu)", "normalization"}},
    {"input x 1 3 8 8\n ints p 0 0 1 1 0 0 1 1\n Pad x p -> z\n Relu z -> y\n output y\n",
     SKY_EINVAL,
     {"node 'y'", "Pad"}},
    {"input x 8 3\n Split x -> a b, axis 0\n output a\n",
     SKY_EINVAL,
     {"node 'a' (Split)", "batch"}},
    {"input x 1 3\n output x\n", SKY_EFORMAT, {"no nodes", NULL}},
    {"input x 1 3\n ints i 1 2\n Identity i -> y\n output y\n", SKY_EFORMAT, {"no output", NULL}},
    {"input x 1 3\n weight w 3 2000000000 2000000000 2000000000 2000000000\n Relu x -> y\n output "
     "y\n",
     SKY_ELIMIT,
     {"initializer 'w'", "range"}},
    {"input x 1 3\n weight w 3 3000000\n MatMul x w -> y\n output y\n",
     SKY_ELIMIT,
     {"node 'y'", "3000000"}},
    {"input x 1 3 2000000 1\n Relu x -> y\n output y\n", SKY_ELIMIT, {"input 'x'", "2000000"}},
};

Test(onnx, errors_name_the_node)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        sky_arena arena = {0};
        sky_network net = {.n_layers = -7};
        sky_error e = {0};
        cr_assert_eq(parse(refused[i].source, &arena, &net, &e), refused[i].err, "%s: %s",
                     refused[i].source, e.text);
        cr_assert_eq(net.n_layers, -7);
        cr_assert_eq(strncmp(e.text, "m.onnx: ", 8), 0, "%s", e.text);
        for (int k = 0; k < 2 && refused[i].says[k]; k++)
            cr_assert_not_null(strstr(e.text, refused[i].says[k]), "'%s' is not in: %s",
                               refused[i].says[k], e.text);
        sky_arena_free(&arena);
    }
}

/* A sequence of any length, as most exporters write it. */
Test(onnx, open_dimensions_get_sizes)
{
    static const char source[] = "tokens ids batch sequence\n input x batch sequence 8 width\n"
                                 "weight w 9 5\n Gather w ids -> y\n Relu x -> z\n output y\n";
    static const struct {
        const char *sizes, *says;
    } wrong[] = {
        {NULL, "input 'ids': dimension 1 is open ('sequence')"},
        {"sequence=7", "input 'x': dimension 3 is open ('width')"},
        {"sequence=7,width=3,depth=2", "no input has an open dimension 'depth'"},
        {"sequence", "expected"},
        {"sequence=", "expected"},
        {"=7", "expected"},
        {"sequence=0", "expected"},
        {"sequence=-7", "expected"},
        {"sequence=7x", "expected"},
        {"sequence=99999999999999999999999999", "expected"},
        {"sequence=9999999,width=3", "9999999"},
        {",sequence=7", "dimension 1 is open"},
    };
    sky_arena arena = {0};
    sky_network net;
    sky_error e = {0};
    cr_assert_eq(parse_sized(source, "sequence=7,width=3", &arena, &net, &e), SKY_OK, "%s", e.text);
    ASSERT_SHAPE(net.layers[0].out, 1, 7, 1);
    ASSERT_SHAPE(net.layers[1].out, 7, 8, 3);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_assert_neq(parse_sized(source, wrong[i].sizes, &arena, &net, &e), SKY_OK, "%zu", i);
        cr_assert_not_null(strstr(e.text, wrong[i].says), "%zu: %s", i, e.text);
    }
    sky_arena_free(&arena);
}

static char *read_file(const char *name, size_t *len)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.onnx", ONNX_DIR, name);
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    char *bytes = malloc(1 << 20);
    *len = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}

/* Each prefix of a file is refused, or is a model that lost its last nodes: never a crash. */
Test(onnx, cut_off_files)
{
    size_t len;
    char *whole = read_file("transformer_encoder", &len);
    size_t refusals = 0;
    for (size_t cut = 0; cut < len; cut++) {
        sky_arena arena = {0};
        sky_network net;
        sky_error e = {0};
        char *part = malloc(cut + 1);
        memcpy(part, whole, cut);
        refusals += sky_onnx_parse("cut", part, cut, NULL, &arena, &net, &e) != SKY_OK;
        free(part);
        sky_arena_free(&arena);
    }
    cr_assert_geq(refusals, len - 16); /* the version numbers at the end may be missing */
    free(whole);
}

Test(onnx, flipped_bits)
{
    sky_rng rng = test_rng(11);
    size_t len;
    char *bytes = read_file("transformer_encoder", &len);
    for (int i = 0; i < 3000; i++) {
        sky_arena arena = {0};
        sky_network net;
        sky_error e = {0};
        const size_t at = (size_t)test_between(&rng, 0, (int64_t)len - 1);
        const char before = bytes[at];
        bytes[at] = (char)test_between(&rng, 0, 255);
        const sky_err err = sky_onnx_parse("flip", bytes, len, NULL, &arena, &net, &e);
        cr_assert_eq(err, e.code);
        cr_assert(err == SKY_OK || e.text[0]);
        bytes[at] = before;
        sky_arena_free(&arena);
    }
    free(bytes);
}

/* Weights cost nothing: a gigabyte of them is skipped. */
Test(onnx, weights_are_skipped)
{
    enum { BIG = 1 << 26 };
    sky_buf b = {0}, model = {0};
    onnx_from_text("input x N 5\n weight w 5 5\n MatMul x w -> y\n output y\n", &model);
    sky_buf_add(&b, model.data, model.len);
    /* One more graph part: merged with the first by protobuf's rules. A tensor with raw data. */
    sky_buf_add(&b, "\x3a\x86\x80\x80\x20\x2a\x81\x80\x80\x20\x4a", 11);
    const char length[] = "\xfc\xff\xff\x1f"; /* BIG - 4 */
    sky_buf_add(&b, length, 4);
    cr_assert(sky_buf_reserve(&b, BIG));
    for (int i = 0; i < BIG - 4; i += 4)
        sky_buf_add(&b, "\1\2\3\4", 4);
    sky_arena arena = {0};
    sky_network net;
    sky_error e = {0};
    const sky_err err = sky_onnx_parse("big", b.data, b.len, "", &arena, &net, &e);
    cr_assert_eq(err, SKY_OK, "%s", e.text);
    cr_assert_leq(arena.used_bytes, 1 << 20);
    sky_arena_free(&arena);
    sky_buf_free(&b);
    sky_buf_free(&model);
}

Test(onnx, files_that_are_none)
{
    sky_arena arena = {0};
    sky_network net;
    sky_error e = {0};
    cr_assert_eq(sky_onnx_load("/no/such/file.onnx", NULL, &arena, &net, &e), SKY_ENOTFOUND);
    cr_assert_not_null(strstr(e.text, "/no/such/file.onnx"));
    cr_assert_eq(sky_onnx_load(ONNX_DIR, NULL, &arena, &net, &e), SKY_EFORMAT);
    cr_assert_eq(sky_onnx_load(ONNX_DIR "/make_models.py", NULL, &arena, &net, &e), SKY_EFORMAT);
    cr_assert_not_null(strstr(e.text, "not ONNX"), "%s", e.text);
    sky_arena_free(&arena);
}

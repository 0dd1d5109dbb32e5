/* Units, sub-batches, groups, cycles, and what is refused. Traffic: wavecore_test.c. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "hw/wavecore.h"
#include "random_case.h"

enum { ROOM = 10 << 20 };

static sky_wavecore_machine machine_of(sky_wavecore_variant variant, int32_t batch,
                                       int64_t buffer_bytes)
{
    return (sky_wavecore_machine){.variant = variant,
                                  .batch = batch,
                                  .cores = 2,
                                  .array = 128,
                                  .stream_max = 256,
                                  .vector_lanes = 128,
                                  .norm_passes = 2,
                                  .mask_bits = 1,
                                  .dw_bytes = 4,
                                  .buffer_bytes = buffer_bytes,
                                  .clock_hz = 0.7e9,
                                  .dram_bytes_per_s = 300.0 * (1 << 30),
                                  .dram_j_per_byte = 3.92 * 8e-12,
                                  .static_w = 3};
}

static sky_err try_prepare(sky_wavecore_net *w, const sky_network *net, sky_arena *a, sky_error *e)
{
    sky_conv_shape *convs = sky_new(a, sky_conv_shape, (size_t)net->n_layers);
    sky_network_convs(net, NULL, false, convs);
    return sky_wavecore_prepare(w, net, NULL, convs, false, a, e);
}

static void prepare(sky_wavecore_net *w, const char *name, sky_arena *a)
{
    sky_error e = {0};
    cr_assert_eq(try_prepare(w, sky_network_find(name), a, &e), SKY_OK, "%s", e.text);
}

/* --- units --- */

static const char *first_name(const sky_wavecore_net *w, int32_t unit)
{
    const char *name = w->network->layers[w->ops[w->units[unit].first_op].layer].name;
    return name ? name : "";
}

Test(wavecore_plan, units)
{
    static const struct {
        const char *network;
        int32_t units;
    } expected[] = {
        {"resnet50", 4 + 16},         /* convolution, pooling, 16 blocks, pooling, classifier */
        {"resnet152", 4 + 50},        /* likewise */
        {"alexnet", 8 + 3},           /* 8 layers with weights, 3 poolings */
        {"vgg16", 16 + 5},            /* likewise */
        {"inception_v3", 7 + 11 + 2}, /* stem, blocks, pooling and classifier */
        {"inception_v4", 3 + 3 + 16 + 2},
        {"googlenet", 3 + 4 + 9 + 2}, /* convolutions, poolings, modules, pooling and classifier */
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        sky_arena a = {0};
        sky_wavecore_net w = {0};
        prepare(&w, expected[i].network, &a);
        cr_expect_eq(w.n_units, expected[i].units, "%s: %d", expected[i].network, w.n_units);
        int32_t op = 0;
        for (int32_t u = 0; u < w.n_units; u++) {
            cr_assert_eq(w.units[u].first_op, op);
            for (int32_t o = op; o < op + w.units[u].n_ops; o++)
                cr_assert_eq(w.ops[o].unit, u);
            op += w.units[u].n_ops;
        }
        cr_assert_eq(op, w.n_ops);
        const sky_network_counts c = sky_network_count(w.network, NULL);
        cr_assert_eq(w.params, c.parameters);
        cr_assert_eq(w.macs, c.macs);
        sky_arena_free(&a);
    }
}

/* Branches are done one after the other, though the file interleaves them. */
Test(wavecore_plan, branches_in_turn)
{
    static const char *const expected[] = {"3a.1x1",        "3a.3x3_reduce", "3a.3x3",
                                           "3a.5x5_reduce", "3a.5x5",        "3a.pool_proj"};
    sky_arena a = {0};
    sky_wavecore_net w = {0};
    prepare(&w, "googlenet", &a);
    size_t found = 0;
    for (int32_t o = 0; o < w.n_ops; o++) {
        const char *name = w.network->layers[w.ops[o].layer].name;
        if (w.ops[o].conv < 0 || !name || strncmp(name, "3a.", 3) != 0)
            continue;
        cr_assert(found < 6 && strcmp(name, expected[found]) == 0, "%s is number %zu", name, found);
        found++;
    }
    cr_assert_eq(found, 6);
    sky_arena_free(&a);
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The paper's equation: input + output of each layer, and in the main branch but for its first layer the
 * block's input, in the shortcut the main branch's output. Additions and activations work in place. */
static int64_t residual_footprint(int64_t in, int64_t inner, int64_t inner_out, int64_t out,
                                  bool shortcut)
{
    int64_t most = in + inner;                  /* conv1 */
    most = max64(most, 2 * inner + in);         /* its norm */
    most = max64(most, inner + inner_out + in); /* conv2 */
    most = max64(most, 2 * inner_out + in);     /* its norm */
    most = max64(most, inner_out + out + in);   /* conv3 */
    most = max64(most, 2 * out + in);           /* its norm */
    if (shortcut)
        most = max64(most, max64(in + out, 2 * out) + out);
    return most;
}

Test(wavecore_plan, residual_footprints)
{
    sky_arena a = {0};
    sky_wavecore_net w = {0};
    prepare(&w, "resnet50", &a);
    const int64_t sizes[] = {56 * 56, 56 * 56, 28 * 28, 14 * 14, 7 * 7};
    static const int32_t blocks[] = {3, 4, 6, 3};
    int32_t unit = 2;
    for (int stage = 0; stage < 4; stage++) {
        const int64_t width = 64 << stage, before = sizes[stage], after = sizes[stage + 1];
        for (int32_t i = 0; i < blocks[stage]; i++, unit++) {
            const int64_t pixels_in = i == 0 ? before : after;
            const int64_t in = pixels_in * (i > 0 ? 4 * width : stage == 0 ? 64 : 2 * width);
            cr_assert_eq(
                w.units[unit].live_footprint,
                residual_footprint(in, pixels_in * width, after * width, after * 4 * width, i == 0),
                "%s", first_name(&w, unit));
            cr_assert_eq(
                w.units[unit].footprint,
                max64(2 * after * 4 * width,
                      max64(in + pixels_in * width,
                            max64(2 * pixels_in * width, i == 0 ? in + after * 4 * width : 0))),
                "%s", first_name(&w, unit));
        }
    }
    sky_arena_free(&a);
}

/* The paper's: [not first] input + [not last] output of a layer, and the block's input and output. A norm's
 * output, which its activation works on in place, is the last layer of a branch. */
Test(wavecore_plan, inception_footprint)
{
    sky_arena a = {0};
    sky_wavecore_net w = {0};
    prepare(&w, "googlenet", &a);
    int32_t unit = 0;
    while (strncmp(first_name(&w, unit), "3a.", 3) != 0)
        unit++;
    const int64_t pixels = 28 * 28, in = 192 * pixels, out = 256 * pixels;
    const int64_t inside[] = {0,  96,  96, 16,
                              16, 192, 192}; /* reductions, and the pooling's output */
    int64_t most = 0;
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        most = max64(most, inside[i] * pixels);
    cr_assert_eq(w.units[unit].live_footprint, in + out + most);
    sky_arena_free(&a);
}

/* --- groups --- */

static int64_t bytes_of(const sky_wavecore_net *w, const sky_wavecore_machine *m,
                        const sky_wavecore_schedule *s)
{
    sky_wavecore_cost c;
    sky_wavecore_step(w, m, s, &c);
    return sky_wavecore_total(&c.bytes);
}

static sky_network random_chain(sky_rng *r, sky_arena *a)
{
    sky_network_builder b = {.arena = a};
    int32_t x = sky_net_input(&b, (sky_shape){3, 32, 32});
    const int64_t n = test_between(r, 1, 9);
    for (int64_t i = 0; i < n; i++) {
        const int32_t c = 8 << test_between(r, 0, 5);
        const sky_conv_options o = {.out = c, .kernel = 3, .pad = 1};
        if (test_between(r, 0, 2) == 0) { /* a residual block */
            const int32_t y = sky_net_norm(&b, sky_net_conv(&b, "conv", x, o));
            x = sky_net_add(
                &b, "add", y,
                sky_net_conv(&b, "short", x, (sky_conv_options){.out = c, .kernel = 1}));
        } else {
            x = sky_net_relu(&b, sky_net_conv(&b, "conv", x, o));
        }
        if (test_between(r, 0, 2) == 0 && b.layers[x].out.h > 1)
            x = sky_net_pool(&b, "pool", x, (sky_conv_options){.kernel = 2, .stride = 2});
    }
    sky_network net;
    cr_assert_eq(sky_net_finish(&b, "chain", "", &net, NULL), SKY_OK);
    return net;
}

static int32_t iterations_of(const sky_wavecore_net *w, const sky_wavecore_machine *m, bool live,
                             int32_t unit)
{
    const int64_t footprint = live ? w->units[unit].live_footprint : w->units[unit].footprint;
    int32_t samples = m->batch;
    while (samples > 1 && samples * footprint * SKY_WAVECORE_WORD_BYTES > m->buffer_bytes)
        samples--;
    return (m->batch + samples - 1) / samples;
}

/* Every way to cut the chain, each played as a schedule of its own. */
static int64_t least_bytes(const sky_wavecore_net *w, const sky_wavecore_machine *m,
                           const sky_wavecore_schedule *like)
{
    enum { UNITS_MAX = 20 };
    sky_wavecore_group groups[UNITS_MAX];
    int32_t group_of[UNITS_MAX];
    int64_t least = INT64_MAX;
    cr_assert_leq(w->n_units, UNITS_MAX);
    for (uint32_t cuts = 0; cuts < UINT32_C(1) << (w->n_units - 1); cuts++) {
        sky_wavecore_schedule s = {.groups = groups, .group_of = group_of, .live = like->live};
        for (int32_t u = 0; u < w->n_units; u++) {
            if (u == 0 || (cuts >> (u - 1) & 1))
                groups[s.n_groups++] = (sky_wavecore_group){.first_unit = u};
            sky_wavecore_group *g = &groups[s.n_groups - 1];
            const int32_t needs = iterations_of(w, m, like->live[u], u);
            g->n_units++;
            g->iterations = needs > g->iterations ? needs : g->iterations;
            g->sub_batch = (m->batch + g->iterations - 1) / g->iterations;
            group_of[u] = s.n_groups - 1;
        }
        const int64_t bytes = bytes_of(w, m, &s);
        least = bytes < least ? bytes : least;
    }
    return least;
}

Test(wavecore_plan, optimal_equals_every_grouping)
{
    sky_rng rng = test_rng(11);
    int worse = 0;
    for (int i = 0; i < 200; i++) {
        sky_arena a = {0};
        const sky_network net = random_chain(&rng, &a);
        sky_wavecore_net w = {0};
        sky_error e = {0};
        cr_assert_eq(try_prepare(&w, &net, &a, &e), SKY_OK, "%s", e.text);
        if (w.n_units <= 10) {
            sky_wavecore_machine m = machine_of(
                test_between(&rng, 0, 1) ? SKY_WAVECORE_MBS1 : SKY_WAVECORE_MBS2,
                (int32_t)test_between(&rng, 1, 40), INT64_C(1) << test_between(&rng, 14, 22));
            m.optimal = true;
            const sky_wavecore_schedule s = sky_wavecore_plan(&w, &m);
            const int64_t least = least_bytes(&w, &m, &s);
            cr_assert_eq(s.optimal_bytes, least);
            const sky_wavecore_schedule again = sky_wavecore_plan(&w, &m);
            cr_assert_eq(bytes_of(&w, &m, &again), least);
            cr_assert_geq(s.greedy_bytes, least);
            worse += s.greedy_bytes > least;
        }
        sky_arena_free(&a);
    }
    cr_assert_gt(worse, 0); /* else the search would be for nothing */
}

/* The paper's grouping stops where joining no two neighbours saves anything. */
Test(wavecore_plan, greedy_joins_what_saves)
{
    sky_rng rng = test_rng(13);
    int64_t neighbours = 0;
    for (int i = 0; i < 200; i++) {
        sky_arena a = {0};
        const sky_network net = random_chain(&rng, &a);
        sky_wavecore_net w = {0};
        sky_error e = {0};
        cr_assert_eq(try_prepare(&w, &net, &a, &e), SKY_OK, "%s", e.text);
        const sky_wavecore_machine m = machine_of(
            test_between(&rng, 0, 1) ? SKY_WAVECORE_MBS1 : SKY_WAVECORE_MBS2,
            (int32_t)test_between(&rng, 1, 40), INT64_C(1) << test_between(&rng, 14, 22));
        const sky_wavecore_schedule s = sky_wavecore_plan(&w, &m);
        cr_assert_eq(bytes_of(&w, &m, &s), s.greedy_bytes);
        for (int32_t join = 0; join + 1 < s.n_groups; join++, neighbours++) {
            sky_wavecore_group groups[64];
            int32_t group_of[64];
            cr_assert(s.n_groups <= 64 && w.n_units <= 64);
            sky_wavecore_schedule other = {.groups = groups, .group_of = group_of, .live = s.live};
            for (int32_t g = 0; g < s.n_groups; g++) {
                if (g == join + 1) {
                    sky_wavecore_group *both = &groups[other.n_groups - 1];
                    both->n_units += s.groups[g].n_units;
                    both->iterations = (int32_t)max64(both->iterations, s.groups[g].iterations);
                    both->sub_batch = (m.batch + both->iterations - 1) / both->iterations;
                } else {
                    groups[other.n_groups++] = s.groups[g];
                }
            }
            for (int32_t u = 0; u < w.n_units; u++)
                group_of[u] = s.group_of[u] - (s.group_of[u] > join);
            cr_assert_geq(bytes_of(&w, &m, &other), s.greedy_bytes);
        }
        sky_arena_free(&a);
    }
    cr_assert_gt(neighbours, 50);
}

Test(wavecore_plan, better_variants_move_less)
{
    static const char *const names[] = {"resnet50", "resnet152", "inception_v4", "googlenet"};
    for (size_t i = 0; i < 4; i++) {
        sky_arena a = {0};
        sky_wavecore_net w = {0};
        prepare(&w, names[i], &a);
        int64_t bytes[SKY_WAVECORE_VARIANTS];
        for (int v = 0; v < SKY_WAVECORE_VARIANTS; v++) {
            const sky_wavecore_machine m = machine_of((sky_wavecore_variant)v, 32, ROOM);
            const sky_wavecore_schedule s = sky_wavecore_plan(&w, &m);
            bytes[v] = bytes_of(&w, &m, &s);
            cr_assert_leq(s.optimal_bytes, s.greedy_bytes);
        }
        cr_assert_eq(bytes[SKY_WAVECORE_BASELINE], bytes[SKY_WAVECORE_ARCHOPT]);
        cr_assert_lt(bytes[SKY_WAVECORE_IL], bytes[SKY_WAVECORE_ARCHOPT]);
        cr_assert_lt(bytes[SKY_WAVECORE_MBS1], bytes[SKY_WAVECORE_IL]);
        cr_assert_leq(bytes[SKY_WAVECORE_MBS1], bytes[SKY_WAVECORE_MBS_FS]);
        cr_assert_lt(bytes[SKY_WAVECORE_MBS2], bytes[SKY_WAVECORE_MBS1]);
        sky_arena_free(&a);
    }
}

/* A buffer that holds the whole mini-batch of everything: one iteration, and no more bytes than that. */
Test(wavecore_plan, a_buffer_that_holds_all)
{
    sky_arena a = {0};
    sky_wavecore_net w = {0};
    prepare(&w, "resnet50", &a);
    for (int v = SKY_WAVECORE_MBS_FS; v < SKY_WAVECORE_VARIANTS; v++) {
        const sky_wavecore_machine m = machine_of((sky_wavecore_variant)v, 32, INT64_C(1) << 40);
        const sky_wavecore_schedule s = sky_wavecore_plan(&w, &m);
        cr_assert_eq(s.n_groups, 1);
        cr_assert_eq(s.groups[0].iterations, 1);
        cr_assert_eq(s.groups[0].sub_batch, 32);
        sky_wavecore_cost c;
        sky_wavecore_step(&w, &m, &s, &c);
        cr_assert_eq(c.bytes.of[SKY_WAVECORE_WEIGHT_FWD], 2 * w.params);
        cr_assert_eq(c.bytes.of[SKY_WAVECORE_DW_READ], 0);
        if (v ==
            SKY_WAVECORE_MBS2) { /* the image; and what the backward pass needs, and the logits */
            cr_assert_eq(c.bytes.of[SKY_WAVECORE_ACT_READ], 32 * 2 * 3 * 224 * 224);
            cr_assert_eq(c.bytes.of[SKY_WAVECORE_ACT_WRITE],
                         32 * 2 * (w.stored - 3 * 224 * 224 + 1000));
        }
    }
    sky_arena_free(&a);
}

/* --- cycles --- */

/* Tile by tile, as the header says. */
static int64_t walk_gemm(sky_gemm g, int64_t array, int64_t stream_max, bool double_buffered)
{
    sky_systolic_chain chain = {0};
    int64_t at = 0, end = 0;
    for (int64_t n = 0; n < g.n; n += array)
        for (int64_t m = 0; m < g.m; m += stream_max)
            for (int64_t k = 0; k < g.k; k += array) {
                const int64_t cols = g.n - n < array ? g.n - n : array;
                const int64_t rows = g.m - m < stream_max ? g.m - m : stream_max;
                const int64_t depth = g.k - k < array ? g.k - k : array;
                sky_systolic_chain_add(
                    &chain,
                    (sky_systolic_tile){.load = depth, .stream = rows, .tail = array + cols - 2});
                at += depth + rows;
                end = max64(end, at + array + cols - 2);
            }
    return double_buffered ? chain.end : end;
}

Test(wavecore_plan, cycles_of_products)
{
    sky_rng rng = test_rng(12);
    for (int i = 0; i < 4000; i++) {
        const sky_gemm g = {.m = test_between(&rng, 1, 90),
                            .n = test_between(&rng, 1, 50),
                            .k = test_between(&rng, 1, 50)};
        const int64_t array = test_between(&rng, 1, 16), stream = test_between(&rng, 1, 32);
        for (int buffered = 0; buffered < 2; buffered++) {
            const sky_wavecore_run r = sky_wavecore_gemm(g, array, stream, buffered);
            cr_assert_eq(r.cycles, walk_gemm(g, array, stream, buffered));
        }
        /* A stream of any length is what hw/systolic.h has. */
        cr_assert_eq(sky_wavecore_gemm(g, array, g.m, true).cycles,
                     sky_systolic_cycles(g, (sky_array){array, array}, SKY_WS, SKY_OVERLAPPED));
    }
}

/* The remembered utilizations of the paper follow from 256 rows past 128 loads. */
Test(wavecore_plan, double_buffering)
{
    const sky_gemm g = {.m = 256 * 1000, .n = 128, .k = 128 * 20};
    const double macs = (double)g.m * (double)g.n * (double)g.k, pes = 128 * 128;
    cr_assert_float_eq(macs / pes / (double)sky_wavecore_gemm(g, 128, 256, true).cycles, 1, 1e-3);
    cr_assert_float_eq(macs / pes / (double)sky_wavecore_gemm(g, 128, 256, false).cycles, 2.0 / 3,
                       1e-3);
}

/* --- a step --- */

Test(wavecore_plan, operations_add_up)
{
    sky_arena a = {0};
    sky_wavecore_net w = {0};
    prepare(&w, "inception_v3", &a);
    sky_wavecore_machine m =
        machine_of(SKY_WAVECORE_MBS2, 31, ROOM); /* the last has fewer samples */
    const sky_wavecore_schedule s = sky_wavecore_plan(&w, &m);
    sky_wavecore_cost sum, c;
    sky_wavecore_step(&w, &m, &s, &sum);
    double time_s = 0, longest = 0;
    int64_t bytes = 0, macs = 0;
    for (int32_t u = 0; u < w.n_units; u++) {
        double unit_s = 0;
        for (int32_t o = w.units[u].first_op; o < w.units[u].first_op + w.units[u].n_ops; o++) {
            sky_wavecore_op_cost(&w, &m, &s, o, &c);
            unit_s += c.time_s;
            bytes += sky_wavecore_total(&c.bytes);
            macs += c.macs;
        }
        time_s += unit_s;
    }
    cr_assert_eq(time_s, sum.time_s);
    cr_assert_eq(bytes, sky_wavecore_total(&sum.bytes));
    cr_assert_eq(macs, sum.macs);
    cr_assert_geq(sum.macs, 31 * 2 * w.macs); /* the first layer's data gradient is not needed */
    longest = sum.conv_s > sum.dram_s ? sum.conv_s : sum.dram_s;
    cr_assert(sum.time_s >= longest && sum.time_s <= sum.conv_s + sum.vector_s + sum.dram_s);
    m.overlap_step = true;
    sky_wavecore_step(&w, &m, &s, &c);
    cr_assert_eq(c.time_s, longest);
    const sky_wavecore_energy e = sky_wavecore_energy_of(&m, &c);
    cr_assert_float_eq(e.dram_j, 2 * (double)bytes * 8 * 3.92e-12, 1e-9);
    cr_assert_float_eq(e.mac_j, 2 * (double)macs * 2e-12, 1e-9); /* two cores, 2 pJ */
    cr_assert_float_eq(e.static_j, 3 * c.time_s, 1e-12);
    sky_arena_free(&a);
}

Test(wavecore_plan, memories)
{
    const sky_wavecore_memory *m = sky_wavecore_memories();
    size_t n = 0;
    for (; m[n].name; n++) {
        cr_assert(m[n].gib_per_s > 0 && m[n].gib > 0 && m[n].pj_per_bit > 0);
        cr_assert(strlen(m[n].source) > 20 && strlen(m[n].energy_source) > 20);
    }
    cr_assert_eq(n, 4);
}

/* --- what is refused --- */

static void refuse(const sky_network *net, sky_err err, const char *text)
{
    sky_arena a = {0};
    sky_wavecore_net w = {0};
    sky_error e = {0};
    cr_assert_eq(try_prepare(&w, net, &a, &e), err);
    cr_assert(strstr(e.text, text), "%s", e.text);
    sky_arena_free(&a);
}

Test(wavecore_plan, refusals)
{
    refuse(sky_network_find("gpt2_small"), SKY_EINVAL, "layer 1 ('wte')");
    sky_arena a = {0};
    sky_network_builder b = {.arena = &a};
    sky_net_relu(&b, sky_net_input(&b, (sky_shape){3, 8, 8}));
    sky_network net;
    cr_assert_eq(sky_net_finish(&b, "idle", "", &net, NULL), SKY_OK);
    refuse(&net, SKY_EINVAL, "no convolution");

    /* A concatenation of concatenations, which many layers read: 256 parts each. */
    sky_network_builder c = {.arena = &a};
    int32_t parts[SKY_LAYER_INPUTS_MAX], x = sky_net_input(&c, (sky_shape){1, 4, 4});
    for (int32_t i = 0; i < SKY_LAYER_INPUTS_MAX; i++) {
        int32_t inner[SKY_LAYER_INPUTS_MAX];
        for (int32_t k = 0; k < SKY_LAYER_INPUTS_MAX; k++)
            inner[k] = sky_net_conv(&c, "conv", x, (sky_conv_options){.out = 1, .kernel = 1});
        parts[i] = sky_net_concat(&c, "inner", inner, SKY_LAYER_INPUTS_MAX);
    }
    x = sky_net_concat(&c, "outer", parts, SKY_LAYER_INPUTS_MAX);
    for (int32_t i = 0; i < SKY_WAVECORE_EDGES_MAX / 256; i++)
        sky_net_conv(&c, "reader", x, (sky_conv_options){.out = 1, .kernel = 1});
    cr_assert_eq(sky_net_finish(&c, "wide", "", &net, NULL), SKY_OK);
    refuse(&net, SKY_ELIMIT, "('reader'): up to here, more than");
    sky_arena_free(&a);
}

/* The same memory serves networks of all sizes, one after the other. */
Test(wavecore_plan, memory_is_used_again)
{
    static const char *const names[] = {"alexnet", "resnet152", "resnet20", "inception_v4",
                                        "alexnet"};
    sky_arena a = {0};
    sky_wavecore_net w = {0};
    int64_t first = 0;
    for (size_t i = 0; i < 5; i++) {
        prepare(&w, names[i], &a);
        const sky_wavecore_machine m = machine_of(SKY_WAVECORE_MBS2, 64, ROOM);
        const sky_wavecore_schedule s = sky_wavecore_plan(&w, &m);
        if (i == 0)
            first = s.optimal_bytes;
        if (i == 4)
            cr_assert_eq(s.optimal_bytes, first);
    }
    sky_arena_free(&a);
}

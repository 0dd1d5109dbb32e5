/* Packings: their programs on vectors of slots give the plain convolution, for every packing and random
 * layers; their counters equal the closed formulas; wrong layers are refused. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "jobs/he/he_conv_internal.h"
#include "tests/he/conv_case.h"

static sky_he_conv_plan *plan_of(sky_he_conv_shape s, sky_he_conv_options o)
{
    sky_he_conv_plan *plan = NULL;
    sky_error e = {0};
    cr_assert_eq(sky_he_conv_plan_create(&plan, &s, &o, &e), SKY_OK, "%s", e.text);
    return plan;
}

static sky_he_conv_counts count(const sky_he_conv_plan *plan)
{
    sky_he_conv_counts c;
    cr_assert_eq(sky_he_conv_count(plan, &c, NULL), SKY_OK);
    return c;
}

static sky_he_conv_counts count_of(sky_he_conv_shape s, sky_he_conv_options o)
{
    sky_he_conv_plan *plan = plan_of(s, o);
    const sky_he_conv_counts c = count(plan);
    sky_he_conv_plan_free(plan);
    return c;
}

/* --- the oracle: plain convolution --- */

static void check_layer(sky_rng *r, sky_he_conv_shape s, sky_he_conv_options o, const double *w)
{
    const int64_t n_y = (int64_t)s.c_out * sky_he_conv_out_h(&s) * sky_he_conv_out_w(&s);
    double *x = random_values(r, (int64_t)s.c_in * s.h * s.w);
    double *want = malloc((size_t)n_y * sizeof *want), *got = malloc((size_t)n_y * sizeof *got);
    sky_he_conv_plan *plan = plan_of(s, o);
    sky_he_conv_reference(&s, x, w, want);
    cr_assert_eq(sky_he_conv_simulate(plan, x, w, got, NULL), SKY_OK);
    const sky_window *k = &s.window;
    cr_assert_lt(
        distance(got, want, n_y), 1e-9,
        "%s, %d slots, split %d, gap %d: %d->%d, %dx%d, kernel %dx%d, stride %dx%d, dilation "
        "%dx%d, pad %d %d %d %d",
        sky_he_packing_name(o.packing), o.slots, plan->split, o.gap, s.c_in, s.c_out, s.h, s.w,
        k->kernel_h, k->kernel_w, k->stride_h, k->stride_w, k->dilation_h, k->dilation_w,
        k->pad_top, k->pad_bottom, k->pad_left, k->pad_right);
    sky_he_conv_plan_free(plan);
    free(x);
    free(want);
    free(got);
}

static sky_he_conv_options random_options(sky_rng *r, sky_he_conv_shape s, sky_he_packing packing)
{
    sky_he_conv_options o = {.packing = packing, .slots = 1 << between(r, 4, 12)};
    if (packing == SKY_HE_MULTIPLEXED || packing == SKY_HE_TOEPLITZ)
        o.gap = between(r, 1, 3);
    sky_he_conv_plan *plan;
    while (sky_he_conv_plan_create(&plan, &s, &o, NULL) != SKY_OK)
        o.slots *= 2;
    if (packing == SKY_HE_HYBRID || packing == SKY_HE_TOEPLITZ || packing == SKY_HE_HALEVI_SHOUP)
        o.split = between(r, 0, plan->n_diagonals); /* need not be a power of two, nor divide */
    o.composes = between(r, 0, 1);
    sky_he_conv_plan_free(plan);
    return o;
}

Test(he_conv, random_layers_of_every_packing)
{
    sky_rng r = test_rng("random_layers");
    for (int round = 0; round < 400; round++) {
        const sky_he_packing packing = (sky_he_packing)(round % SKY_HE_PACKINGS);
        const sky_he_conv_shape s = random_layer(&r, packing);
        sky_he_conv_options o = random_options(&r, s, packing);
        const int64_t n = sky_he_conv_weights(&s);
        double *w = random_values(&r, n);
        cr_assert_gt(n, 0);
        uint8_t *keep = calloc((size_t)n, 1);
        const double kept = round / SKY_HE_PACKINGS % 2 ? 1 : sky_rng_f64(&r);
        for (int64_t k = 0; k < n; k++) {
            keep[k] = sky_rng_f64(&r) < kept;
            w[k] *= keep[k];
        }
        o.keep = keep;
        check_layer(&r, s, o, w);
        free(keep);
        free(w);
    }
}

Test(he_conv, reference_by_hand)
{
    /* 1 channel, 2 x 2, kernel 2 x 2, padding 1 above and left: the window's corners by hand. */
    sky_he_conv_shape s = sky_he_conv_square(1, 1, 2, 2, 1, 0);
    s.window.pad_top = s.window.pad_left = 1;
    const double x[] = {1, 2, 3, 4}, w[] = {10, 100, 1000, 10000};
    double y[4];
    sky_he_conv_reference(&s, x, w, y);
    cr_assert_eq(y[0], 10000);
    cr_assert_eq(y[1], 1000 * 1 + 10000 * 2);
    cr_assert_eq(y[2], 100 * 1 + 10000 * 3);
    cr_assert_eq(y[3], 10 * 1 + 100 * 2 + 1000 * 3 + 10000 * 4);
}

/* --- closed formulas --- */

static int32_t log2_floor(int32_t x)
{
    return 31 - __builtin_clz((unsigned)x);
}

typedef struct channels { /* I, O, c_n, K^2 of the formulas */
    int64_t in, out, c_n, k2;
} channels;

static channels channels_of(sky_he_conv_shape s, int32_t n)
{
    const int32_t footprint = sky__he_pow2_ceil(s.h) * sky__he_pow2_ceil(s.w);
    int32_t c_n = sky__he_pow2_ceil(s.c_in > s.c_out ? s.c_in : s.c_out);
    if (c_n > n / footprint)
        c_n = n / footprint;
    return (channels){(s.c_in + c_n - 1) / c_n, (s.c_out + c_n - 1) / c_n, c_n,
                      (int64_t)s.window.kernel_h * s.window.kernel_w};
}

typedef struct layer {
    sky_he_conv_shape shape;
    int32_t gap;
} layer;

/* The 20 convolutions of ResNet-18 on 32 x 32 images. */
static int32_t resnet18(layer *l)
{
    int32_t n = 0;
    l[n++].shape = sky_he_conv_square(3, 64, 32, 3, 1, -1);
    for (int32_t stage = 0; stage < 4; stage++) {
        const int32_t c = 64 << stage, edge = 32 >> stage;
        if (stage > 0) {
            l[n++].shape = sky_he_conv_square(c / 2, c, edge * 2, 3, 2, -1);
            l[n++].shape = sky_he_conv_square(c / 2, c, edge * 2, 1, 2, -1);
        }
        for (int32_t k = stage > 0; k < 4; k++)
            l[n++].shape = sky_he_conv_square(c, c, edge, 3, 1, -1);
    }
    return n;
}

/* ResNet-20's: the shapes that occur, with the gap of a network that stays encrypted. */
static int32_t resnet20(layer *l)
{
    int32_t n = 0;
    l[n++] = (layer){sky_he_conv_square(3, 16, 32, 3, 1, -1), 1};
    for (int32_t stage = 0; stage < 3; stage++) {
        const int32_t c = 16 << stage, edge = 32 >> stage;
        if (stage > 0)
            l[n++] = (layer){sky_he_conv_square(c / 2, c, edge * 2, 3, 2, -1), 1 << (stage - 1)};
        for (int32_t k = stage > 0; k < 6; k++)
            l[n++] = (layer){sky_he_conv_square(c, c, edge, 3, 1, -1), 1 << stage};
    }
    return n;
}

static void check_channel_packings(sky_he_conv_shape s, int32_t n)
{
    const channels f = channels_of(s, n);
    /* Diagonals that touch a channel that exists: fewer than c_n where channels do not fill one block. */
    const int64_t all = f.in * f.out * f.c_n * f.k2;
    sky_he_conv_counts c =
        count_of(s, (sky_he_conv_options){.packing = SKY_HE_INPUT_ROTATION, .slots = n});
    cr_assert_eq(c.products[0], all);
    cr_assert_eq(c.rotations_hoisted[0], f.in * (f.c_n * f.k2 - 1));
    cr_assert_eq(c.rotations_full[0], 0);
    c = count_of(s, (sky_he_conv_options){.packing = SKY_HE_OUTPUT_ROTATION, .slots = n});
    cr_assert_eq(c.products[0], all);
    cr_assert_eq(c.rotations_hoisted[0], f.in * (f.k2 - 1));
    cr_assert_eq(c.rotations_full[0], f.in * f.out * (f.c_n - 1));
    c = count_of(s, (sky_he_conv_options){.packing = SKY_HE_ADD_FIRST, .slots = n});
    cr_assert_eq(c.products[0], all);
    cr_assert_eq(c.rotations_hoisted[0], f.in * (f.k2 - 1));
    cr_assert_eq(c.rotations_full[0], f.out * (f.c_n - 1));
    cr_assert_eq(c.depth, 1);
    cr_assert_eq(c.ciphertexts_in, f.in);
    cr_assert_eq(c.ciphertexts_out, f.out);
    int64_t best = INT64_MAX;
    for (int32_t b = 1; b <= f.c_n; b *= 2) {
        c = count_of(s, (sky_he_conv_options){.packing = SKY_HE_HYBRID, .slots = n, .split = b});
        cr_assert_eq(c.products[0], all);
        cr_assert_eq(c.rotations_hoisted[0], f.in * (b * f.k2 - 1));
        cr_assert_eq(c.rotations_full[0], f.out * (f.c_n / b - 1));
        if (sky_he_rotations(&c) < best)
            best = sky_he_rotations(&c);
    }
    c = count_of(s, (sky_he_conv_options){.packing = SKY_HE_HYBRID, .slots = n});
    cr_assert_eq(sky_he_rotations(&c), best);
    c = count_of(s, (sky_he_conv_options){.packing = SKY_HE_SISO, .slots = n});
    cr_assert_eq(c.rotations_hoisted[0], (f.k2 - 1) * s.c_in);
    cr_assert_eq(c.products[0], f.k2 * s.c_in * s.c_out);
    cr_assert_eq(c.rotations_full[0], 0);
}

Test(he_conv, formulas_for_every_layer_of_resnet18)
{
    layer l[32];
    const int32_t n = resnet18(l);
    cr_assert_eq(n, 20);
    for (int32_t i = 0; i < n; i++)
        check_channel_packings(l[i].shape, 8192);
}

/* Composed steps: as many rotations and products with all weights, and keys for powers of two and taps. */
static void check_composed(sky_he_conv_shape s, sky_he_conv_options o)
{
    sky_he_conv_plan *plan = plan_of(s, o);
    o.composes = true;
    o.split = o.packing == SKY_HE_HYBRID ? plan->split : 0; /* as the uncomposed one chose */
    sky_he_conv_plan *composed = plan_of(s, o);
    const sky_he_conv_counts a = count(plan), b = count(composed);
    cr_assert_eq(sky_he_rotations(&a), sky_he_rotations(&b), "%s, %d channels of %d",
                 sky_he_packing_name(o.packing), s.c_in, s.h);
    cr_assert_eq(a.products[0], b.products[0]);
    const int32_t taps = s.window.kernel_h * s.window.kernel_w;
    cr_assert_leq(b.steps, taps - 1 + log2_floor(plan->n_diagonals) + 1);
    sky_he_conv_plan_free(plan);
    sky_he_conv_plan_free(composed);
}

Test(he_conv, composed_steps_for_every_layer_of_resnet18)
{
    const sky_he_packing packings[] = {SKY_HE_INPUT_ROTATION, SKY_HE_OUTPUT_ROTATION,
                                       SKY_HE_ADD_FIRST, SKY_HE_HYBRID};
    layer l[32];
    const int32_t n = resnet18(l);
    for (int32_t i = 0; i < n; i++) {
        for (size_t k = 0; k < sizeof packings / sizeof *packings; k++)
            check_composed(l[i].shape,
                           (sky_he_conv_options){.packing = packings[k], .slots = 8192});
    }
}

Test(he_conv, formulas_for_every_layer_of_resnet20)
{
    layer l[32];
    const int32_t n = resnet20(l);
    cr_assert_eq(n, 19);
    for (int32_t i = 0; i < n; i++) {
        check_channel_packings(l[i].shape, 4096);
        check_channel_packings(l[i].shape, 16384);
    }
}

typedef struct totals {
    int64_t input, output, add_first, hybrid, products;
} totals;

static totals resnet18_totals(int32_t slots)
{
    layer l[32];
    totals t = {0};
    for (int32_t i = 0, n = resnet18(l); i < n; i++) {
        const sky_he_packing packings[] = {SKY_HE_INPUT_ROTATION, SKY_HE_OUTPUT_ROTATION,
                                           SKY_HE_ADD_FIRST, SKY_HE_HYBRID};
        int64_t *sums[] = {&t.input, &t.output, &t.add_first, &t.hybrid};
        for (int k = 0; k < 4; k++) {
            const sky_he_conv_counts c =
                count_of(l[i].shape, (sky_he_conv_options){.packing = packings[k], .slots = slots});
            *sums[k] += sky_he_rotations(&c);
            t.products += k == 3 ? c.products[0] : 0;
        }
    }
    return t;
}

Test(he_conv, totals_of_resnet18)
{
    /* Evaluated from the formulas by an independent program. */
    const totals want[] = {{30849, 24108, 5646, 3389, 181824},
                           {30966, 12745, 5227, 2411, 91200},
                           {31077, 7350, 5028, 1907, 52800}};
    for (int k = 0; k < 3; k++) {
        const totals t = resnet18_totals(4096 << k);
        cr_expect_eq(t.input, want[k].input, "%ld", (long)t.input);
        cr_expect_eq(t.output, want[k].output, "%ld", (long)t.output);
        cr_expect_eq(t.add_first, want[k].add_first, "%ld", (long)t.add_first);
        cr_expect_eq(t.hybrid, want[k].hybrid, "%ld", (long)t.hybrid);
        cr_expect_eq(t.products, want[k].products, "%ld", (long)t.products);
    }
}

Test(he_conv, toeplitz_table)
{
    static const struct {
        int32_t c_in, c_out, edge, kernel, stride, gap;
        int64_t want[2][2]; /* diagonals, rotations for 8192 and 16384 slots */
    } rows[] = {
        {3, 64, 32, 3, 1, 1, {{576, 41}, {576, 45}}},
        {64, 64, 32, 3, 1, 1, {{4608, 120}, {2304, 92}}},
        {64, 128, 32, 3, 2, 1, {{4096, 148}, {2048, 90}}},
        {64, 128, 32, 1, 2, 1, {{1024, 52}, {512, 42}}},
        {128, 128, 16, 3, 1, 2, {{6272, 168}, {3136, 116}}},
        {128, 256, 16, 3, 2, 2, {{5184, 146}, {2592, 113}}},
        {256, 256, 8, 3, 1, 4, {{7200, 180}, {3600, 122}}},
        {256, 512, 8, 3, 2, 4, {{5776, 153}, {2888, 115}}},
        {512, 512, 4, 3, 1, 8, {{7688, 186}, {7688, 187}}},
        {16, 16, 32, 3, 1, 1, {{288, 30}, {144, 23}}},
        {32, 32, 16, 3, 1, 2, {{392, 42}, {392, 43}}},
        {64, 64, 8, 3, 1, 4, {{900, 61}, {900, 62}}},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        for (int n = 0; n < 2; n++) {
            sky_he_conv_plan *plan =
                plan_of(sky_he_conv_square(rows[k].c_in, rows[k].c_out, rows[k].edge,
                                           rows[k].kernel, rows[k].stride, -1),
                        (sky_he_conv_options){
                            .packing = SKY_HE_TOEPLITZ, .slots = 8192 << n, .gap = rows[k].gap});
            const sky_he_conv_counts c = count(plan);
            /* Orion sums over the unused part of a ciphertext, too; our inputs fill it with copies. */
            const int64_t unused = log2_floor((8192 << n) / plan->in.period);
            sky_he_conv_plan_free(plan);
            cr_expect_eq(c.products[0], rows[k].want[n][0], "row %zu, n %d: %ld diagonals", k,
                         8192 << n, (long)c.products[0]);
            cr_expect_eq(sky_he_rotations(&c) + unused, rows[k].want[n][1],
                         "row %zu, n %d: %ld rotations", k, 8192 << n, (long)sky_he_rotations(&c));
        }
    }
}

/* Lee et al.'s count; theirs includes rotations by zero, which `moves` counts. */
static int64_t multiplexed_formula(sky_he_conv_shape s, int32_t gap, int32_t n,
                                   const sky_he_conv_plan *plan)
{
    const int32_t gap_out = gap * s.window.stride_h;
    const int32_t t = (s.c_in + gap * gap - 1) / (gap * gap);
    const int32_t t_out = (s.c_out + gap_out * gap_out - 1) / (gap_out * gap_out);
    const int32_t area = gap * gap * s.h * s.w;
    const int32_t copies = 1 << log2_floor(n / (area * t));
    const int32_t copies_out = 1 << log2_floor(n / (area * t_out));
    const int32_t groups = (s.c_out + copies - 1) / copies;
    int64_t still = 0; /* output channels that are where they should be */
    for (int32_t o = 0; o < s.c_out; o++)
        still += sky_he_layout_slot(&plan->out, (sky_he_place){.channel = o}) ==
                 o % copies * (n / copies);
    return s.window.kernel_h * s.window.kernel_w - 1 +
           (int64_t)groups *
               (2 * log2_floor(gap) + log2_floor(t) + __builtin_popcount((unsigned)t) - 1) +
           s.c_out + log2_floor(copies_out) - still;
}

Test(he_conv, multiplexed_counts_of_resnet20)
{
    layer l[32];
    const int64_t want[2][19] = {
        {32, 88, 88, 88, 88, 88, 88, 169, 121, 121, 121, 121, 121, 234, 170, 170, 170, 170, 170},
        {29, 57, 57, 57, 57, 57, 57, 106, 82, 82, 82, 82, 82, 155, 123, 123, 123, 123, 123}};
    for (int k = 0; k < 2; k++) {
        for (int32_t i = 0, n = resnet20(l); i < n; i++) {
            sky_he_conv_plan *plan =
                plan_of(l[i].shape, (sky_he_conv_options){.packing = SKY_HE_MULTIPLEXED,
                                                          .slots = 16384 << k,
                                                          .gap = l[i].gap});
            const sky_he_conv_counts c = count(plan);
            cr_assert_eq(sky_he_rotations(&c),
                         multiplexed_formula(l[i].shape, l[i].gap, 16384 << k, plan));
            int64_t still = 0;
            for (int32_t o = 0; o < l[i].shape.c_out; o++)
                still += sky_he_layout_slot(&plan->out, (sky_he_place){.channel = o}) ==
                         o % plan->copies * plan->copy_pitch;
            cr_assert_eq(sky_he_rotations(&c) + still, want[k][i], "layer %d", i);
            const int64_t rows = plan->n_rows;
            cr_assert_eq(c.products[0], rows * 9);
            cr_assert_eq(c.products[1], l[i].shape.c_out);
            cr_assert_eq(c.depth, 2);
            sky_he_conv_plan_free(plan);
        }
    }
}

Test(he_conv, fully_connected_counts)
{
    /* 512 inputs, 10 classes: 16 diagonals and 5 sums; 16 x 16 split in 4 and 4. */
    const sky_he_conv_shape s = sky_he_conv_square(512, 10, 1, 1, 1, 0);
    sky_he_conv_options o = {.packing = SKY_HE_HALEVI_SHOUP, .slots = 8192, .split = 16};
    sky_he_conv_counts c = count_of(s, o);
    cr_assert_eq(c.products[0], 16);
    cr_assert_eq(c.rotations_hoisted[0], 15);
    cr_assert_eq(c.rotations_full[0], 0);
    cr_assert_eq(c.rotations_full[1], 5);
    o.split = 4;
    c = count_of(s, o);
    cr_assert_eq(c.rotations_hoisted[0], 3);
    cr_assert_eq(c.rotations_full[0], 3);
    cr_assert_eq(c.rotations_full[1], 5);
    cr_assert_eq(c.steps, 3 + 3 + 5);
    cr_assert_eq(c.steps_at[0], 6);
}

/* --- wrong layers --- */

static void check_refused(sky_he_conv_shape s, sky_he_conv_options o, const char *text)
{
    sky_he_conv_plan *plan = NULL;
    sky_error e = {0};
    cr_assert_neq(sky_he_conv_plan_create(&plan, &s, &o, &e), SKY_OK);
    cr_assert_null(plan);
    cr_assert(strstr(e.text, text), "'%s' lacks '%s'", e.text, text);
}

Test(he_conv, wrong_layers_are_refused)
{
    const sky_he_conv_shape s = sky_he_conv_square(4, 4, 32, 3, 1, -1);
    check_refused(s, (sky_he_conv_options){.slots = 1000}, "power of two");
    check_refused(s, (sky_he_conv_options){.slots = 512}, "larger log_n");
    check_refused(s, (sky_he_conv_options){.slots = 4096, .gap = 2}, "only multiplexed");
    check_refused(s, (sky_he_conv_options){.slots = 4096, .split = 2}, "fixed one");
    check_refused(s, (sky_he_conv_options){.packing = SKY_HE_HYBRID, .slots = 4096, .split = 5},
                  "0 to the 4");
    check_refused(s, (sky_he_conv_options){.packing = SKY_HE_MULTIPLEXED, .slots = 2048},
                  "whole input");
    check_refused(s, (sky_he_conv_options){.packing = SKY_HE_HALEVI_SHOUP, .slots = 4096},
                  "fully connected");
    check_refused((sky_he_conv_shape){.h = 1, .w = 1}, (sky_he_conv_options){.slots = 16},
                  "channels");
    check_refused(sky_he_conv_square(1, 1, 2, 5, 1, 0), (sky_he_conv_options){.slots = 64},
                  "does not fit");
    sky_he_conv_shape uneven = s;
    uneven.window.stride_w = 2;
    check_refused(uneven, (sky_he_conv_options){.packing = SKY_HE_TOEPLITZ, .slots = 4096},
                  "equal strides");
    check_refused(sky_he_conv_square(16384, 16384, 64, 3, 1, 1),
                  (sky_he_conv_options){.slots = 4096}, "limit");
}

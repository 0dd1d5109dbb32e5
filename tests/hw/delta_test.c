/* DeLTA's closed forms against the enumeration of all addresses (delta_walk.h). */
#include "hw/delta.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>

#include "delta_walk.h"
#include "random_case.h"

static sky_delta_conv conv(int64_t batch, int64_t in, int64_t edge, int64_t out, int64_t kernel,
                           int64_t stride, int64_t pad)
{
    const int64_t out_edge = (edge + 2 * pad - kernel) / stride + 1;
    return (sky_delta_conv){.batch = batch,
                            .groups = 1,
                            .channels_in = in,
                            .height = edge,
                            .width = edge,
                            .channels_out = out,
                            .out_h = out_edge,
                            .out_w = out_edge,
                            .kernel_h = kernel,
                            .kernel_w = kernel,
                            .stride_h = stride,
                            .stride_w = stride,
                            .dilation_h = 1,
                            .dilation_w = 1,
                            .pad_top = pad,
                            .pad_left = pad,
                            .count = 1};
}

static sky_delta_geometry geometry(const sky_delta_conv *c, const sky_delta_tile *t,
                                   sky_delta_reuse reuse)
{
    sky_delta_geometry g;
    sky_delta_geometry_of(c, t, reuse, NULL, &g);
    return g;
}

/* Shapes as networks have them, small enough to walk. */
static sky_delta_conv random_conv(sky_rng *rng)
{
    static const int64_t edges[] = {7, 8, 13, 14, 16, 27, 28, 32, 55, 56};
    static const int64_t kernels[][3] = {{1, 1, 0}, {1, 2, 0}, {3, 1, 1}, {3, 2, 1},
                                         {5, 1, 2}, {7, 2, 3}, {11, 4, 2}};
    const int64_t edge = edges[test_between(rng, 0, 9)];
    const int64_t *kernel = kernels[test_between(rng, 0, edge > 20 ? 6 : 4)];
    const int64_t pixels = edge * edge / (kernel[1] * kernel[1]);
    return conv(2 + 4000 / pixels, 8 * test_between(rng, 1, kernel[0] > 3 ? 1 : 3), edge,
                8 * test_between(rng, 2, 20), kernel[0], kernel[1], kernel[2]);
}

/* Any shape at all: rectangles, dilation, strides of their own, padding beyond the image's edge. */
static sky_delta_conv any_conv(sky_rng *rng)
{
    for (;;) {
        sky_delta_conv c = {.groups = 1,
                            .channels_in = test_between(rng, 1, 6),
                            .height = test_between(rng, 6, 40),
                            .width = test_between(rng, 6, 40),
                            .channels_out = test_between(rng, 1, 150),
                            .kernel_h = test_between(rng, 1, 5),
                            .kernel_w = test_between(rng, 1, 5),
                            .stride_h = test_between(rng, 1, 3),
                            .stride_w = test_between(rng, 1, 3),
                            .dilation_h = test_between(rng, 1, 2),
                            .dilation_w = test_between(rng, 1, 2),
                            .count = 1};
        const int64_t reach_h = (c.kernel_h - 1) * c.dilation_h + 1;
        const int64_t reach_w = (c.kernel_w - 1) * c.dilation_w + 1;
        c.pad_top = test_between(rng, 0, reach_h - 1);
        c.pad_left = test_between(rng, 0, reach_w - 1);
        c.out_h = (c.height + 2 * c.pad_top - reach_h) / c.stride_h + 1;
        c.out_w = (c.width + 2 * c.pad_left - reach_w) / c.stride_w + 1;
        if (c.height + 2 * c.pad_top < reach_h || c.width + 2 * c.pad_left < reach_w)
            continue;
        c.batch = test_between(rng, 1, 4) + 3000 / (c.out_h * c.out_w); /* at least 24 CTAs */
        return c;
    }
}

static double relative(double model, double exact)
{
    return fabs(model / exact - 1);
}

static void print_case(const sky_delta_conv *c, const sky_delta_tile *t, const char *what,
                       double model, double exact)
{
    fprintf(stderr,
            "%s: batch %" PRId64 ", %" PRId64 "x%" PRId64 "x%" PRId64 " -> %" PRId64
            ", kernel %" PRId64 "x%" PRId64 ", stride %" PRId64 "x%" PRId64 ", dilation %" PRId64
            "x%" PRId64 ", pad %" PRId64 "x%" PRId64 ", tile %dx%dx%d: %.1f, walked %.1f\n",
            what, c->batch, c->channels_in, c->height, c->width, c->channels_out, c->kernel_h,
            c->kernel_w, c->stride_h, c->stride_w, c->dilation_h, c->dilation_w, c->pad_top,
            c->pad_left, t->blk_m, t->blk_n, t->blk_k, model, exact);
}

typedef struct tally {
    const char *what;
    double worst, sum, n;
} tally;

static void add(tally *s, const sky_delta_conv *c, const sky_delta_tile *t, double model,
                double exact, double tolerance)
{
    const double error = relative(model, exact);
    s->worst = fmax(s->worst, error);
    s->sum += error;
    s->n++;
    if (error > tolerance)
        print_case(c, t, s->what, model, exact);
    cr_expect_leq(error, tolerance, "%s: %.4f off", s->what, error);
}

static void report(const tally *s)
{
    fprintf(stderr, "%s: mean %.4f, worst %.4f\n", s->what, s->sum / s->n, s->worst);
}

/* --- requests --- */

/* Filters: exact if tiles are whole, filters begin at all alignments equally often (blk_n is a
 * multiple of 8), and two of them never share a sector. */
Test(delta, filter_sectors_are_exact)
{
    sky_rng rng = test_rng(1);
    for (int i = 0; i < 40; i++) {
        const sky_delta_tile t = {128,
                                  32 * (int32_t)test_between(&rng, 1, 4),
                                  4 << test_between(&rng, 0, 1),
                                  128,
                                  128,
                                  128,
                                  8};
        const int64_t kernel = 1 + 2 * test_between(&rng, 0, 1);
        const sky_delta_conv c = conv(1, t.blk_k * test_between(&rng, 3, 6), 12,
                                      t.blk_n * test_between(&rng, 1, 2), kernel, 1, kernel / 2);
        const delta_walk_counts w = delta_walk(&c, &t);
        const double k = (double)(c.channels_in * kernel * kernel), rows = ceil(144 / 128.0);
        const double model =
            geometry(&c, &t, SKY_DELTA_LOOP).filter_sectors * (double)c.channels_out * k * rows;
        cr_assert_float_eq(model, (double)w.filter_sectors, 1e-6 * model);
    }
}

/* The same for any K: loops of blk_k words begin at all multiples of gcd(K, blk_k, 8). The last
 * loop may be cut, which the closed form charges at the mean rate: at most 7 words of K. */
Test(delta, filter_sectors_of_any_depth)
{
    sky_rng rng = test_rng(2);
    tally s = {.what = "filter sectors"};
    for (int i = 0; i < 20; i++) {
        const sky_delta_conv c = random_conv(&rng);
        const sky_delta_tile t = sky_delta_tile_for(c.channels_out);
        const delta_walk_counts w = delta_walk(&c, &t);
        const double k = (double)(c.channels_in * c.kernel_h * c.kernel_w);
        const double rows = ceil((double)(c.batch * c.out_h * c.out_w) / t.blk_m);
        if (k < 2 * t.blk_k)
            continue; /* neighbours share sectors */
        add(&s, &c, &t,
            geometry(&c, &t, SKY_DELTA_LOOP).filter_sectors * (double)c.channels_out * k * rows,
            (double)w.filter_sectors, 7 / k + 1e-9);
    }
    report(&s);
}

/* 1 x 1 on whole sectors: every warp reads 128 consecutive bytes. */
Test(delta, requests_of_1x1_are_exact)
{
    const sky_delta_conv c = conv(4, 24, 56, 64, 1, 1, 0);
    const sky_delta_tile t = sky_delta_tile_for(64);
    const delta_walk_counts w = delta_walk(&c, &t);
    const double m = 4 * 56 * 56, k = 24;
    cr_assert_eq(w.image_sectors, (int64_t)(m * k / 8));
    cr_assert_eq(w.image_lines, w.image_requests);
    for (int reuse = 0; reuse < 2; reuse++) {
        const double model = geometry(&c, &t, (sky_delta_reuse)reuse).gathered_sectors * m * 24;
        cr_assert_float_eq(model, (double)w.image_sectors, 1e-6);
    }
}

/* Gathers: the mean over columns is exact, over rows sampled. */
Test(delta, gathered_sectors)
{
    sky_rng rng = test_rng(3);
    tally ours = {.what = "gathered, cache"}, papers = {.what = "gathered, loop"};
    for (int i = 0; i < 20; i++) {
        const sky_delta_conv c = random_conv(&rng);
        const sky_delta_tile t = sky_delta_tile_for(c.channels_out);
        const double walked = (double)delta_walk(&c, &t).image_sectors;
        const double gathers = (double)(c.batch * c.out_h * c.out_w * c.channels_in) *
                               ceil((double)c.channels_out / t.blk_n);
        add(&ours, &c, &t, gathers * geometry(&c, &t, SKY_DELTA_CACHE).gathered_sectors, walked,
            0.04);
        add(&papers, &c, &t, gathers * geometry(&c, &t, SKY_DELTA_LOOP).gathered_sectors, walked,
            0.8);
    }
    report(&ours);
    report(&papers);
    cr_expect_leq(ours.sum / ours.n, 0.005);
    cr_expect_leq(papers.sum / papers.n, 0.25);
}

/* --- what differs --- */

Test(delta, patch)
{
    sky_rng rng = test_rng(4);
    tally words = {.what = "patch, words"}, sectors = {.what = "patch, sectors"};
    for (int i = 0; i < 20; i++) {
        const sky_delta_conv c = random_conv(&rng);
        const sky_delta_tile t = sky_delta_tile_for(c.channels_out);
        const delta_walk_counts w = delta_walk(&c, &t);
        const sky_delta_patch p = geometry(&c, &t, SKY_DELTA_CACHE).patch;
        const double patches = (double)(c.batch * c.out_h * c.out_w) / t.blk_m *
                               ceil((double)c.channels_out / t.blk_n) * (double)c.channels_in;
        add(&words, &c, &t, p.words * patches, (double)w.cta_words, 0.03);
        add(&sectors, &c, &t, p.sectors * patches, (double)w.cta_sectors, 0.03);
    }
    report(&words);
    report(&sectors);
    cr_expect_leq(words.sum / words.n, 0.006);
    cr_expect_leq(sectors.sum / sectors.n, 0.006);
}

/* Any shape. The worst are images of a few pixels, of which the next one lies in the same sector. */
Test(delta, any_shape)
{
    sky_rng rng = test_rng(10);
    tally gathered = {.what = "any shape, gathered"}, words = {.what = "any shape, words"},
          sectors = {.what = "any shape, sectors"};
    for (int i = 0; i < 100; i++) {
        const sky_delta_conv c = any_conv(&rng);
        const sky_delta_tile t = sky_delta_tile_for(c.channels_out);
        const delta_walk_counts w = delta_walk(&c, &t);
        const sky_delta_geometry g = geometry(&c, &t, SKY_DELTA_CACHE);
        const double m = (double)(c.batch * c.out_h * c.out_w);
        const double columns = ceil((double)c.channels_out / t.blk_n) * (double)c.channels_in;
        add(&gathered, &c, &t, m * columns * g.gathered_sectors, (double)w.image_sectors, 0.3);
        add(&words, &c, &t, m / t.blk_m * columns * g.patch.words, (double)w.cta_words, 0.12);
        add(&sectors, &c, &t, m / t.blk_m * columns * g.patch.sectors, (double)w.cta_sectors, 0.3);
    }
    report(&gathered);
    report(&words);
    report(&sectors);
    cr_expect_leq(gathered.sum / gathered.n, 0.01);
    cr_expect_leq(words.sum / words.n, 0.01);
    cr_expect_leq(sectors.sum / sectors.n, 0.01);
}

/* The paper's footprint of a main loop takes tiles to be rectangles of whole rows. */
Test(delta, loop_words)
{
    sky_rng rng = test_rng(5);
    tally s = {.what = "main loop"};
    for (int i = 0; i < 20; i++) {
        const sky_delta_conv c = random_conv(&rng);
        const sky_delta_tile t = sky_delta_tile_for(c.channels_out);
        const double walked = (double)delta_walk(&c, &t).loop_words;
        const double loops = ceil((double)(c.channels_in * c.kernel_h * c.kernel_w) / t.blk_k);
        const double tiles = (double)(c.batch * c.out_h * c.out_w) / t.blk_m *
                             ceil((double)c.channels_out / t.blk_n);
        add(&s, &c, &t, geometry(&c, &t, SKY_DELTA_LOOP).loop_words * loops * tiles, walked, 0.55);
    }
    report(&s);
}

/* --- caches --- */

/* A GPU of which only the caches matter: L1 apart from shared memory, L2 of one part. */
static sky_gpu gpu_with(double sms, double l1_bytes, double l2_bytes)
{
    sky_gpu g = *sky_gpu_find("V100");
    g.sms = sms;
    g.l1_holds_smem = 0;
    g.l1_kib_per_sm = l1_bytes / 1024;
    g.l2_mib = l2_bytes / 1048576;
    g.l2_partitions = g.l2_coalesced_sms = 1;
    g.dram_access_bytes = 32;
    return g;
}

static sky_delta_result layer(const sky_delta_conv *c, const sky_delta_tile *t, const sky_gpu *g,
                              sky_delta_reuse reuse)
{
    const sky_delta_geometry geo = geometry(c, t, reuse);
    const sky_delta_options o = {.reuse = reuse, .ctas_per_sm = 1};
    sky_delta_result r;
    sky_delta_layer(c, t, &geo, g, &o, &r);
    return r;
}

/* One CTA: an L1 that holds everything loads each sector once. */
Test(delta, l1_that_holds_all)
{
    sky_rng rng = test_rng(6);
    tally s = {.what = "L2 loads, large L1"};
    for (int i = 0; i < 20; i++) {
        const int64_t edge = test_between(&rng, 6, 11), kernel = 1 + 2 * test_between(&rng, 0, 2);
        const sky_delta_conv c = conv(1, 8 * test_between(&rng, 1, 6), edge,
                                      8 * test_between(&rng, 1, 16), kernel, 1, kernel / 2);
        const sky_delta_tile t = sky_delta_tile_for(c.channels_out);
        const sky_gpu g = gpu_with(1, 1 << 30, 1 << 30);
        add(&s, &c, &t, layer(&c, &t, &g, SKY_DELTA_CACHE).l2_bytes,
            (double)delta_walk_l1(&c, &t, (delta_walk_cache){1 << 30, 32}), 0.001);
    }
    report(&s);
}

/* L1s of all sizes, against LRU, which ours is not: between what LRU loads from an L1 of a third
 * of the size and of three times. */
Test(delta, l1_of_any_size)
{
    sky_rng rng = test_rng(7);
    tally s = {.what = "L2 loads, any L1"};
    for (int i = 0; i < 30; i++) {
        const int64_t edge = test_between(&rng, 6, 11), kernel = 1 + 2 * test_between(&rng, 0, 2);
        const sky_delta_conv c = conv(1, 8 * test_between(&rng, 1, 6), edge,
                                      8 * test_between(&rng, 4, 16), kernel, 1, kernel / 2);
        const sky_delta_tile t = sky_delta_tile_for(c.channels_out);
        const int64_t bytes = INT64_C(2048) << test_between(&rng, 0, 6);
        const sky_gpu g = gpu_with(1, (double)bytes, 1 << 30);
        const double model = layer(&c, &t, &g, SKY_DELTA_CACHE).l2_bytes;
        const double most = (double)delta_walk_l1(&c, &t, (delta_walk_cache){bytes / 3, 32});
        const double least = (double)delta_walk_l1(&c, &t, (delta_walk_cache){bytes * 3, 32});
        add(&s, &c, &t, model, (double)delta_walk_l1(&c, &t, (delta_walk_cache){bytes, 32}), 9);
        if (model > 1.03 * most || model < 0.97 * least)
            print_case(&c, &t, "L1", (double)bytes, model / least);
        cr_expect_leq(model, 1.03 * most);
        cr_expect_geq(model, 0.97 * least);
    }
    report(&s);
}

static void compare_dram(tally *s, const sky_delta_conv *c, int64_t sms, int64_t l2_bytes,
                         double tolerance)
{
    const sky_delta_tile t = {32, 32, 8, 32, 96, 32, 32};
    const sky_gpu g = gpu_with((double)sms, 1 << 17, (double)l2_bytes);
    add(s, c, &t, layer(c, &t, &g, SKY_DELTA_CACHE).dram_read_bytes,
        (double)delta_walk_l2(c, &t, sms, (delta_walk_cache){l2_bytes, 32}), tolerance);
}

/* DRAM against an LRU L2. One that holds everything: all is read once, exactly. One that holds
 * no more than filters and outputs of one wave: a pass over the image for every column of CTAs.
 * Tiles are small, so that waves are small beside L2, as they are on a GPU. */
Test(delta, dram)
{
    sky_rng rng = test_rng(8);
    tally large = {.what = "DRAM, large L2"}, small = {.what = "DRAM, small L2"};
    for (int i = 0; i < 6; i++) {
        const int64_t kernel = 1 + 2 * test_between(&rng, 0, 1), edge = test_between(&rng, 16, 24);
        const sky_delta_conv c = conv(4 * test_between(&rng, 6, 10), 8, edge,
                                      32 * test_between(&rng, 1, 4), kernel, 1, kernel / 2);
        const int64_t sms = test_between(&rng, 2, 10);
        compare_dram(&large, &c, sms, 1 << 28, 1e-6);
        compare_dram(&small, &c, sms, 96 << 10, 0.02);
    }
    report(&large);
    report(&small);
}

/* More CTAs at once than one column has: a pass for every wave, the last one in part. */
Test(delta, dram_of_waves)
{
    sky_rng rng = test_rng(9);
    tally s = {.what = "DRAM, waves"};
    for (int i = 0; i < 6; i++) {
        const sky_delta_conv c =
            conv(4, 8 * test_between(&rng, 9, 12), 16, 32 * test_between(&rng, 2, 6), 1, 1, 0);
        const int64_t rows = 32; /* 4 x 256 pixels by 32 */
        compare_dram(&s, &c, test_between(&rng, rows, 3 * rows), 160 << 10, 0.05);
    }
    report(&s);
}

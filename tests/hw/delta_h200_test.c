/* The model beside counters of a real GPU (hw/data/conv_traffic_h200.csv; bench/cuda/README.md
 * says how they were read). Prints the errors that docs/papers/delta.md quotes, and fails if one
 * becomes worse.
 *
 * Error: geometric mean of max(model / measured, measured / model), less 1. What is calibrated
 * was calibrated on GoogLeNet's layers; the quoted error is that of the others, less two of
 * ResNet-152's that are the same convolutions as GoogLeNet's. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "hw/delta.h"

enum { L1, L2, DRAM, TIME, LEVELS };
enum { ALEXNET, VGG, GOOGLENET, RESNET, NETWORKS, OTHERS = NETWORKS, ALL, GROUPS };
static const char *const groups[GROUPS] = {"alexnet",           "vgg16", "googlenet", "resnet152",
                                           "all but googlenet", "all"};

typedef struct measured {
    char network[32], layer[48];
    sky_delta_conv conv;
    long long blk_m, blk_n, blk_k, ctas_per_sm;
    double l1_bytes, l2_bytes, dram_bytes, time_s;
} measured;

static bool parse(const char *line, measured *m)
{
    long long batch, in, h, w, out, r, s, stride, pad;
    double requests, l2_written, dram_written, ns;
    const int n =
        sscanf(line,
               "%31[^,],%47[^,],%lld,%lld,%lld,%lld,%lld,%lld,%lld,%lld,%lld,%lld,%lld,%lld,%lld,"
               "%lf,%lf,%lf,%lf,%lf,%lf,%lf",
               m->network, m->layer, &batch, &in, &h, &w, &out, &r, &s, &stride, &pad, &m->blk_m,
               &m->blk_n, &m->blk_k, &m->ctas_per_sm, &requests, &m->l1_bytes, &m->l2_bytes,
               &l2_written, &m->dram_bytes, &dram_written, &ns);
    if (n != 22)
        return false;
    m->time_s = ns * 1e-9;
    m->conv = (sky_delta_conv){.batch = batch,
                               .groups = 1,
                               .channels_in = in,
                               .height = h,
                               .width = w,
                               .channels_out = out,
                               .out_h = (h + 2 * pad - r) / stride + 1,
                               .out_w = (w + 2 * pad - s) / stride + 1,
                               .kernel_h = r,
                               .kernel_w = s,
                               .stride_h = stride,
                               .stride_w = stride,
                               .dilation_h = 1,
                               .dilation_w = 1,
                               .pad_top = pad,
                               .pad_left = pad,
                               .count = 1};
    return true;
}

static int group_of(const measured *m)
{
    int g = 0;
    while (g < NETWORKS && strcmp(groups[g], m->network) != 0)
        g++;
    cr_assert_lt(g, NETWORKS, "network %s", m->network);
    return g;
}

/* ResNet's first two convolutions are GoogLeNet's. */
static bool is_held_out(const measured *m)
{
    const bool twin = strcmp(m->network, "resnet152") == 0 &&
                      (strcmp(m->layer, "conv1") == 0 || strcmp(m->layer, "conv2_1_1x1a") == 0);
    return strcmp(m->network, "googlenet") != 0 && !twin;
}

/* How busy our kernel keeps the FP32 units while its data is at hand, by blk_n: calibrated on
 * GoogLeNet. */
static double efficiency_of(const sky_delta_tile *t)
{
    return t->blk_n == 32 ? 0.13 : t->blk_n == 64 ? 0.21 : 0.295;
}

typedef struct errors {
    double log[GROUPS][LEVELS], signed_log[GROUPS][LEVELS];
    int n[GROUPS];
} errors;

static void add(errors *e, int group, const double ratio[LEVELS])
{
    e->n[group]++;
    for (int i = 0; i < LEVELS; i++) {
        e->log[group][i] += fabs(log(ratio[i]));
        e->signed_log[group][i] += log(ratio[i]);
    }
}

static void compare(errors *e, const measured *m, sky_delta_reuse reuse)
{
    const sky_delta_tile t = sky_delta_tile_for(m->conv.channels_out);
    cr_assert(t.blk_m == m->blk_m && t.blk_n == m->blk_n && t.blk_k == m->blk_k, "%s %s",
              m->network, m->layer);
    const sky_gpu *g = sky_gpu_find("H200");
    const sky_delta_options o = {.reuse = reuse, .efficiency = efficiency_of(&t)};
    sky_delta_geometry geometry;
    sky_delta_result r;
    sky_delta_geometry_of(&m->conv, &t, reuse, NULL, &geometry);
    sky_delta_layer(&m->conv, &t, &geometry, g, &o, &r);
    /* What Nsight Compute says that an SM could hold, and what there was to hold. */
    cr_assert_eq((double)m->ctas_per_sm < ceil(r.ctas / g->sms) ? (double)m->ctas_per_sm
                                                                : ceil(r.ctas / g->sms),
                 r.ctas_per_sm, "%s %s", m->network, m->layer);
    const double ratio[LEVELS] = {r.l1_bytes / m->l1_bytes, r.l2_bytes / m->l2_bytes,
                                  r.dram_read_bytes / m->dram_bytes, r.time_s / m->time_s};
    add(e, group_of(m), ratio);
    add(e, ALL, ratio);
    if (is_held_out(m))
        add(e, OTHERS, ratio);
    fprintf(stderr, "%-9s %-18s L1 %.2f  L2 %.2f  DRAM %.2f  time %.2f  %s\n", m->network, m->layer,
            ratio[L1], ratio[L2], ratio[DRAM], ratio[TIME], sky_delta_bound_name(r.bound));
}

static double percent(const errors *e, int group, int level)
{
    return 100 * (exp(e->log[group][level] / e->n[group]) - 1);
}

static errors compare_all(sky_delta_reuse reuse)
{
    char *text = NULL;
    size_t len = 0;
    sky_error why = {0};
    cr_assert_eq(sky_read_file(HW_DATA_DIR "/conv_traffic_h200.csv", 1 << 20, &text, &len, &why),
                 SKY_OK, "%s", why.text);
    errors e = {0};
    strtok(text, "\n");
    for (const char *line = strtok(NULL, "\n"); line; line = strtok(NULL, "\n")) {
        measured m;
        cr_assert(parse(line, &m), "%s", line);
        compare(&e, &m, reuse);
    }
    free(text);
    cr_assert_eq(e.n[ALL], 86);
    cr_assert_eq(e.n[OTHERS], 35);
    for (int g = 0; g < GROUPS; g++)
        fprintf(stderr, "%-17s %2d layers: L1 %.1f %%  L2 %.1f %%  DRAM %.1f %%  time %.1f %%\n",
                groups[g], e.n[g], percent(&e, g, L1), percent(&e, g, L2), percent(&e, g, DRAM),
                percent(&e, g, TIME));
    return e;
}

static void expect(const errors *e, int group, const double quoted[LEVELS])
{
    for (int i = 0; i < LEVELS; i++)
        cr_expect_leq(percent(e, group, i), quoted[i] + 0.05,
                      "%s, level %d: %.2f %%, quoted %.1f %%", groups[group], i,
                      percent(e, group, i), quoted[i]);
}

/* The errors as quoted. */
Test(delta_h200, cache)
{
    const errors e = compare_all(SKY_DELTA_CACHE);
    expect(&e, OTHERS, (const double[]){0.3, 4.7, 1.7, 5.1});
    expect(&e, GOOGLENET, (const double[]){0.5, 4.7, 1.7, 8.0});
}

Test(delta_h200, loop)
{
    const errors e = compare_all(SKY_DELTA_LOOP);
    expect(&e, ALL, (const double[]){6.6, 46.5, 18.1, 99});
    expect(&e, OTHERS, (const double[]){6.6, 46.5, 27, 99});
}

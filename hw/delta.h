/* DeLTA: the memory traffic and time of a convolution on a GPU, in closed form. Lym, Lee,
 * O'Connor, Chatterjee, Erez: "DeLTA: GPU Performance Model for Deep Learning Applications with
 * In-depth Memory System Traffic Analysis", ISPASS 2019 (arXiv 1904.01691).
 *
 * The kernel modelled is implicit GEMM in FP32: M = batch*out_h*out_w output pixels, N =
 * channels out, K = channels in * kernel. A CTA computes blk_m x blk_n outputs in ceil(K/blk_k)
 * main loops; CTAs are scheduled along M first. Two forms of the model:
 *     SKY_DELTA_LOOP   the paper's: L1 gives reuse inside one main loop of one CTA and none
 *                      beyond, DRAM reads the image once for each column of CTAs unless it fits
 *                      L2;
 *     SKY_DELTA_CACHE  ours: what L1 and L2 keep from their capacity, in whole sectors (delta.c
 *                      says how). Newer GPUs, whose L1 is ten times larger, need it.
 * Counters of a real GPU (hw/data/conv_traffic_h200.csv) and an exact enumeration of addresses
 * (tests/hw/delta_walk.h) are what both are compared with; docs/papers/delta.md has the errors.
 * Pure functions: no allocation, no state. */
#ifndef SKY_HW_DELTA_H
#define SKY_HW_DELTA_H

#include <stddef.h>
#include <stdint.h>

#include "hw/gpu.h"
#include "hw/network.h"

typedef struct sky_delta_conv {
    int64_t batch, groups;
    int64_t channels_in, height, width; /* of one group */
    int64_t channels_out, out_h, out_w; /* of one group */
    int64_t kernel_h, kernel_w;
    int64_t stride_h, stride_w;
    int64_t dilation_h, dilation_w;
    int64_t pad_top, pad_left;
    int64_t layer; /* index of the first layer of this shape */
    int64_t count; /* how many layers have it */
} sky_delta_conv;

typedef struct sky_delta_tile {
    int32_t blk_m, blk_n, blk_k;
    int32_t threads;        /* of one CTA */
    int32_t registers;      /* of one thread: they limit how many CTAs an SM holds */
    int32_t warp_m, warp_n; /* the part of the tile that one warp computes */
} sky_delta_tile;

/* The tile for a number of output channels: 128x32x4 up to 32, 128x64x4 up to 64, else 128x128x8.
 * Registers are those of bench/cuda/conv_traffic.cu, compiled for an H200. */
sky_delta_tile sky_delta_tile_for(int64_t channels_out);

typedef enum sky_delta_reuse { SKY_DELTA_LOOP, SKY_DELTA_CACHE } sky_delta_reuse;

/* Zero-initialise; a zero field means its default. */
typedef struct sky_delta_options {
    sky_delta_reuse reuse;
    double ctas_per_sm; /* resident at once; 0: what registers, shared memory and threads allow */
    double
        efficiency; /* of the FP32 units while data is at hand, in (0, 1]; 0: 1, a perfect kernel */
} sky_delta_options;

typedef enum sky_delta_bound {
    SKY_DELTA_COMPUTE,
    SKY_DELTA_SMEM,
    SKY_DELTA_L1,
    SKY_DELTA_L2,
    SKY_DELTA_DRAM,
    SKY_DELTA_LATENCY,
    SKY_DELTA_BOUNDS,
} sky_delta_bound;
const char *sky_delta_bound_name(sky_delta_bound b); /* "compute", "shared_memory", "l1", ... */

/* Of one layer of one shape; all sums over its groups. */
typedef struct sky_delta_result {
    double macs;
    double l1_bytes; /* loads, in 32-byte sectors that the warps' requests touch */
    double l2_bytes; /* loads of the L1s from L2 */
    double dram_read_bytes, dram_write_bytes;
    double ctas, ctas_per_sm;
    double time_s;
    sky_delta_bound bound;            /* what the time is made of */
    double bound_s[SKY_DELTA_BOUNDS]; /* the time if only that resource mattered */
} sky_delta_result;

void sky_delta_layer(const sky_delta_conv *c, const sky_delta_tile *t, const sky_gpu *g,
                     const sky_delta_options *o, sky_delta_result *out);

/* --- networks --- */

/* Lists the convolutions of a network (linear layers too, as 1 x 1, if asked), equal ones once
 * with a count. out has room for net->n_layers. Returns how many. */
size_t sky_delta_convs(const sky_network *net, bool linear, int64_t batch, sky_delta_conv *out);

typedef struct sky_delta_total {
    double macs, l1_bytes, l2_bytes, dram_read_bytes, dram_write_bytes, time_s;
    double bound_time_s[SKY_DELTA_BOUNDS]; /* time of the layers that each resource bounds */
    sky_delta_bound bound;                 /* the largest of them */
} sky_delta_total;
void sky_delta_add(sky_delta_total *sum, const sky_delta_result *r, int64_t count);

/* --- parts, for tests against the enumeration --- */

/* The image words that one CTA loads in one main loop, each counted once; mean over the
 * alignments of a k-block to the filter (the paper's term of L2 traffic). */
double sky_delta_loop_words(const sky_delta_conv *c, const sky_delta_tile *t);

/* The part of the image that one CTA touches in one channel over all taps: words, and 32-byte
 * sectors; mean over the CTAs' alignments to the image. */
typedef struct sky_delta_patch {
    double words, sectors;
} sky_delta_patch;
sky_delta_patch sky_delta_channel_patch(const sky_delta_conv *c, const sky_delta_tile *t);

/* Sectors that the warps' requests touch: all of the image's in SKY_DELTA_LOOP's or
 * SKY_DELTA_CACHE's form, and all of the filters' (exact for whole tiles). One group. */
double sky_delta_l1_image_sectors(const sky_delta_conv *c, const sky_delta_tile *t,
                                  sky_delta_reuse reuse);
double sky_delta_l1_filter_sectors(const sky_delta_conv *c, const sky_delta_tile *t);

#endif

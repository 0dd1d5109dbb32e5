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
 * Counters of real GPUs (hw/data/conv_traffic_*.csv) and an exact enumeration of addresses
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
    /* 0: a convolution. Else the heads of a product of two activations, whose second operand stands
     * for the filters: each head of each sample is a product of its own, so batch is 1 and groups are
     * heads x samples. sky_delta_conv_batch() sets either. */
    int64_t heads;
} sky_delta_conv;

/* Sets the number of samples. */
void sky_delta_conv_batch(sky_delta_conv *c, int64_t batch);

typedef struct sky_delta_tile {
    int32_t blk_m, blk_n, blk_k;
    int32_t threads;        /* of one CTA */
    int32_t registers;      /* of one thread: they limit how many CTAs an SM holds */
    int32_t warp_m, warp_n; /* the part of the tile that one warp computes */
} sky_delta_tile;

/* The tile for a number of output channels: 128x32x4 up to 32, 128x64x4 up to 64, else 128x128x8.
 * Registers are those of bench/cuda/conv_traffic.cu, compiled for an H200. */
sky_delta_tile sky_delta_tile_for(int64_t channels_out);

/* What one CTA takes of an SM. */
double sky_delta_cta_registers(const sky_delta_tile *t);
double sky_delta_cta_smem_bytes(const sky_delta_tile *t); /* two buffers of both tiles */

/* How many CTAs an SM has room for; 0: not even one, and the functions below take it for one. */
double sky_delta_occupancy(const sky_delta_tile *t, const sky_gpu *g);

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

/* What of the traffic depends on the shapes alone: not on the GPU, and on the batch only where a
 * CTA has fewer pixels than blk_m. Computed once, it serves any number of points. */
typedef struct sky_delta_patch {
    double words, sectors; /* sectors are of 32 bytes */
} sky_delta_patch;

enum { SKY_DELTA_ACCESSES = 3 }; /* of DRAM: 32, 64 and 128 bytes */

typedef struct sky_delta_geometry {
    double loop_words;       /* of the image that one CTA loads in one main loop, each counted once;
                                mean over the alignments of a k-block to the filter */
    double gathered_sectors; /* that warps request per output pixel, of all taps of one channel;
                                mean over where warps begin in an image */
    double filter_sectors;   /* that warps request per word of a filter */
    /* SKY_DELTA_CACHE only: */
    sky_delta_patch patch; /* of one channel that one CTA touches over all taps; mean over where
                              CTAs begin in an image */
    int32_t patch_blk_m;   /* the tile's, if the patch is that of any batch; else 0 */
    double image_words[SKY_DELTA_ACCESSES]; /* of one channel of one image that a pass over it
                                               fetches, by the size of DRAM's accesses */
} sky_delta_geometry;

/* like: NULL, or the geometry of the same conv (but for the batch) and reuse under another tile,
 * which saves most of the work, and nearly all of it if the tiles have the same blk_m. */
void sky_delta_geometry_of(const sky_delta_conv *c, const sky_delta_tile *t, sky_delta_reuse reuse,
                           const sky_delta_geometry *like, sky_delta_geometry *out);

/* The geometry must be of this conv, tile and reuse. */
void sky_delta_layer(const sky_delta_conv *c, const sky_delta_tile *t,
                     const sky_delta_geometry *geometry, const sky_gpu *g,
                     const sky_delta_options *o, sky_delta_result *out);

/* --- networks --- */

/* Lists the convolutions of a network, equal ones once with a count; if `all`, linear layers and
 * products of activations too, as 1 x 1 convolutions. out has room for net->n_layers. Returns how
 * many. */
size_t sky_delta_convs(const sky_network *net, bool all, int64_t batch, sky_delta_conv *out);

/* Which of these convs has the shape of the layer of that name: an index, or n if there is none. */
size_t sky_delta_find(const sky_network *net, const char *layer, const sky_delta_conv *convs,
                      size_t n);

typedef struct sky_delta_total {
    double macs, l1_bytes, l2_bytes, dram_read_bytes, dram_write_bytes, time_s;
    double bound_time_s[SKY_DELTA_BOUNDS]; /* time of the layers that each resource bounds */
    sky_delta_bound bound;                 /* the largest of them */
} sky_delta_total;
void sky_delta_add(sky_delta_total *sum, const sky_delta_result *r, int64_t count);

#endif

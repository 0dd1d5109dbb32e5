/* The oracle of hw/delta.h: walks every address that the implicit-GEMM kernel reads, warp by
 * warp as bench/cuda/conv_traffic.cu issues them, and counts. Slow and plain, for small shapes.
 * Data is FP32, images are NCHW, filters (Co, Ci, kernel_h, kernel_w); each tensor begins at a
 * multiple of 256 bytes. */
#ifndef SKY_TESTS_HW_DELTA_WALK_H
#define SKY_TESTS_HW_DELTA_WALK_H

#include "hw/delta.h"

typedef struct delta_walk_counts {
    /* Of the warps' requests, summed over all warps; nothing is reused between two requests. */
    int64_t image_requests, image_lines, image_sectors; /* lines of 128 bytes, sectors of 32 */
    int64_t filter_requests, filter_lines, filter_sectors;
    /* Image words that differ within one main loop of one CTA, summed over loops and CTAs. */
    int64_t loop_words;
    /* Image words and sectors that differ within one CTA over all loops, summed over CTAs. */
    int64_t cta_words, cta_sectors;
    int64_t ctas;
} delta_walk_counts;

delta_walk_counts delta_walk(const sky_delta_conv *c, const sky_delta_tile *t);

/* Bytes that a cache of that many bytes, LRU and fully associative in units of unit_bytes,
 * misses. */
typedef struct delta_walk_cache {
    int64_t bytes, unit_bytes;
} delta_walk_cache;

/* One CTA after the other through one L1: what it loads from L2. */
int64_t delta_walk_l1(const sky_delta_conv *c, const sky_delta_tile *t, delta_walk_cache l1);

/* All CTAs, at_once of them side by side, main loop by main loop, and their outputs written when
 * they end: what L2 reads from DRAM. */
int64_t delta_walk_l2(const sky_delta_conv *c, const sky_delta_tile *t, int64_t at_once,
                      delta_walk_cache l2);

#endif

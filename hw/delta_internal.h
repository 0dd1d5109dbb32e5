/* What delta.c, delta_patch.c and delta_time.c share. */
#ifndef SKY_HW_DELTA_INTERNAL_H
#define SKY_HW_DELTA_INTERNAL_H

#include "hw/delta.h"

enum {
    SKY__WORD_BYTES = 4,
    SKY__SECTOR_WORDS = 8, /* what L1 and L2 exchange: 32 bytes */
    SKY__WARP = 32,
};

/* The GEMM that a convolution is. */
typedef struct sky__gemm_view {
    double pixels; /* of one output image */
    double m, n, k;
    double columns, rows; /* of CTAs: along n, along m */
    double loops;
} sky__gemm_view;

static inline double sky__min(double a, double b)
{
    return a < b ? a : b;
}
static inline double sky__max(double a, double b)
{
    return a > b ? a : b;
}

sky__gemm_view sky__delta_view(const sky_delta_conv *c, const sky_delta_tile *t);

/* Sets the times and the bound; the traffic, ctas and ctas_per_sm are there. */
void sky__delta_times(const sky__gemm_view *v, const sky_delta_tile *t, const sky_gpu *g,
                      const sky_delta_options *o, sky_delta_result *r);

#endif

/* A GPU with more or less of its resources, and what that costs.
 *
 * What a part of a GPU costs is not published. The cost here is relative, 1 for the GPU as it is, and
 * rests on one assumption: each resource takes a fixed share of the cost, in proportion to how much
 * there is of it. The shares are assumed, not sourced (SMs half of a die, of which arithmetic, registers
 * and on-chip memory are the most; L2 and its network a sixth; DRAM with its interface a fifth; the rest
 * stays). A study should show how far its answer moves with them: sweeps/examples/delta-scaling.yaml
 * does. */
#ifndef SKY_HW_GPU_SCALE_H
#define SKY_HW_GPU_SCALE_H

#include "hw/gpu.h"

/* resource, share of the cost of a GPU as it is, 1 if every SM has its own */
#define SKY_GPU_SCALE_MAP(X)                                                                       \
    X(fp32, 0.20, 1) /* multiply-adds per cycle */                                                 \
    X(registers, 0.08, 1)                                                                          \
    X(smem_bandwidth, 0.02, 1) /* of shared memory */                                              \
    X(l1_bandwidth, 0.03, 1)                                                                       \
    X(l1_size, 0.07, 1) /* L1 and shared memory */                                                 \
    X(l2_bandwidth, 0.07, 0)                                                                       \
    X(l2_size, 0.10, 0)                                                                            \
    X(dram_bandwidth, 0.20, 0)

/* Of an SM, whatever it holds: schedulers, address units, its part of the network. And of the GPU. */
#define SKY_GPU_SM_SHARE    0.10
#define SKY_GPU_FIXED_SHARE 0.13

/* Factors, all above 0. sms multiplies the number of SMs, rounded to a whole number, at least 1. */
typedef struct sky_gpu_scale {
    double sms;
#define SKY_GPU_SCALE_FIELD(name, share, per_sm) double name;
    SKY_GPU_SCALE_MAP(SKY_GPU_SCALE_FIELD)
#undef SKY_GPU_SCALE_FIELD
} sky_gpu_scale;

/* Latencies, clock and granularities stay as they are. Limits of gpu.h may be passed. */
sky_gpu sky_gpu_scaled(const sky_gpu *g, const sky_gpu_scale *s);

/* Relative to the GPU as it is. */
double sky_gpu_cost(const sky_gpu_scale *s);

#endif

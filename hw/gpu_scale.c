#include "hw/gpu_scale.h"

#include <math.h>

sky_gpu sky_gpu_scaled(const sky_gpu *g, const sky_gpu_scale *s)
{
    sky_gpu out = *g;
    out.sms = floor(g->sms * s->sms + 0.5);
    if (out.sms < 1)
        out.sms = 1;
    out.fp32_macs_per_cycle *= s->fp32;
    out.registers_per_sm *= s->registers;
    out.smem_bytes_per_cycle *= s->smem_bandwidth;
    out.l1_bytes_per_cycle *= s->l1_bandwidth;
    out.l1_kib_per_sm *= s->l1_size;
    out.smem_kib_per_sm *= s->l1_size;
    out.l2_gb_per_s *= s->l2_bandwidth;
    out.l2_mib *= s->l2_size;
    out.dram_gb_per_s *= s->dram_bandwidth;
    return out;
}

double sky_gpu_cost(const sky_gpu_scale *s)
{
    double sm = SKY_GPU_SM_SHARE, shared = SKY_GPU_FIXED_SHARE;
#define ADD(name, share, per_sm) *((per_sm) ? &sm : &shared) += (share)*s->name;
    SKY_GPU_SCALE_MAP(ADD)
#undef ADD
    return s->sms * sm + shared;
}

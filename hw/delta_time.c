/* Time: section V of the paper. Each resource alone, and the latency of loads where too few CTAs
 * are there to hide it; the largest is the time, and its name the bottleneck. */
#include <math.h>

#include "hw/delta_internal.h"

double sky_delta_cta_registers(const sky_delta_tile *t)
{
    return (double)t->threads * t->registers;
}

double sky_delta_cta_smem_bytes(const sky_delta_tile *t)
{
    return 2.0 * (t->blk_m + t->blk_n) * t->blk_k * SKY__WORD_BYTES;
}

double sky_delta_occupancy(const sky_delta_tile *t, const sky_gpu *g)
{
    const double smem = sky_delta_cta_smem_bytes(t) + g->smem_reserved_kib_per_cta * 1024;
    const double by_registers = floor(g->registers_per_sm / sky_delta_cta_registers(t));
    const double by_smem = floor(g->smem_kib_per_sm * 1024 / smem);
    const double by_threads = floor(g->threads_per_sm / t->threads);
    return sky__min(by_registers, sky__min(by_smem, by_threads));
}

void sky__delta_times(const sky__gemm_view *v, const sky_delta_tile *t, const sky_gpu *g,
                      const sky_delta_options *o, sky_delta_result *r)
{
    const double hz = g->clock_ghz * 1e9;
    const double smem = g->smem_bytes_per_cycle * hz; /* of one SM, as the next */
    const double l1 = g->l1_bytes_per_cycle * hz;
    const double l2 = g->l2_gb_per_s * 1e9 / g->sms, dram = g->dram_gb_per_s * 1e9 / g->sms;
    const double efficiency = o->efficiency > 0 ? o->efficiency : 1;
    const double resident = r->ctas_per_sm, all_loops = r->ctas * v->loops;
    const double per_sm = ceil(r->ctas / g->sms); /* CTAs of the busiest SM, so that a tail shows */
    const double loops = v->loops * per_sm;

    /* One main loop of one CTA. */
    const double compute =
        (double)t->blk_m * t->blk_n * t->blk_k / (g->fp32_macs_per_cycle * hz) / efficiency;
    const double warps = t->threads / (double)SKY__WARP;
    const double stored = (double)(t->blk_m + t->blk_n) * t->blk_k * SKY__WORD_BYTES;
    const double loaded = (double)(t->warp_m + t->warp_n) * t->blk_k * warps * SKY__WORD_BYTES;
    const double load =
        sky__max(g->l1_latency_cycles / hz + r->l1_bytes / all_loops / l1,
                 sky__max(g->l2_latency_cycles / hz + r->l2_bytes / all_loops / l2,
                          g->dram_latency_cycles / hz + r->dram_read_bytes / all_loops / dram));
    /* Its ends: the first load, and the outputs' way out; other CTAs of the SM work meanwhile. */
    const double out_bytes = (double)t->blk_m * t->blk_n * SKY__WORD_BYTES;
    const double ends = (g->dram_latency_cycles / hz + out_bytes / dram) * per_sm / resident;

    r->bound_s[SKY_DELTA_COMPUTE] = loops * compute + ends;
    r->bound_s[SKY_DELTA_SMEM] = loops * (stored + loaded) / smem + ends;
    r->bound_s[SKY_DELTA_L1] = r->l1_bytes / (l1 * g->sms);
    r->bound_s[SKY_DELTA_L2] = r->l2_bytes / (g->l2_gb_per_s * 1e9);
    r->bound_s[SKY_DELTA_DRAM] =
        (r->dram_read_bytes + r->dram_write_bytes) / (g->dram_gb_per_s * 1e9);
    /* A load is hidden while the SM's other CTAs compute; what they do not cover is exposed. */
    r->bound_s[SKY_DELTA_LATENCY] =
        load > (resident - 1) * compute ? loops / resident * (load + compute) + ends : 0;
    r->bound = SKY_DELTA_COMPUTE;
    for (int b = 0; b < SKY_DELTA_BOUNDS; b++)
        if (r->bound_s[b] > r->bound_s[r->bound])
            r->bound = (sky_delta_bound)b;
    r->time_s = r->bound_s[r->bound];
}

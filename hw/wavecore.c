/* A training step on WaveCore: time and energy. */
#include "hw/wavecore.h"

#include <assert.h>

#include "hw/constants.h"
#include "hw/wavecore_internal.h"

#define PAPER   "S. Lym et al., arXiv 1810.00307, memory configurations (recalled, not re-read)"
#define FGDRAM  "M. O'Connor et al., Fine-Grained DRAM, MICRO 2017"
#define ASSUMED "assumed: the middle of 4 to 6 pJ/bit, which is what we remember of vendors' talks"

const sky_wavecore_memory *sky_wavecore_memories(void)
{
    static const sky_wavecore_memory memories[] = {
        {"HBM2", 300, 8, 3.92, PAPER, FGDRAM}, {"HBM2x2", 600, 16, 3.92, PAPER, FGDRAM},
        {"GDDR5", 384, 12, 14, PAPER, FGDRAM}, {"LPDDR4", 239.2, 16, 5, PAPER, ASSUMED},
        {NULL, 0, 0, 0, NULL, NULL},
    };
    return memories;
}

static double max(double a, double b)
{
    return a > b ? a : b;
}

static int64_t forward_part(const sky_wavecore_bytes *b)
{
    return b->of[SKY_WAVECORE_ACT_READ] + b->of[SKY_WAVECORE_ACT_WRITE] +
           b->of[SKY_WAVECORE_MASK_WRITE] + b->of[SKY_WAVECORE_WEIGHT_FWD];
}

/* Global buffer: products read operands and write results there, the vector unit reads and writes, and all that
 * DRAM gets or gives passes through. */
static void add_products(const sky__wavecore_products *p, sky_wavecore_cost *out)
{
    out->macs += p->macs;
    out->conv_cycles += p->cycles;
    out->stationary_bytes += p->stationary_bytes;
    out->moving_bytes += p->moving_bytes;
    out->sum_bytes += p->sum_bytes;
    out->buffer_bytes += p->stationary_bytes + p->moving_bytes + p->out_bytes;
}

/* From whole numbers, so that they do not depend on the order of summing up. */
static void set_bounds(const sky_wavecore_machine *m, sky_wavecore_cost *c)
{
    c->conv_s = (double)c->conv_cycles / m->clock_hz;
    c->vector_s = (double)c->vector_cycles / m->clock_hz;
    c->dram_s = (double)sky_wavecore_total(&c->bytes) * m->cores / m->dram_bytes_per_s;
}

/* An operation of a group, in its place. */
static void op_cost(const sky_wavecore_net *w, const sky_wavecore_machine *m,
                    const sky_wavecore_group *g, const sky__wavecore_place *p, int32_t op,
                    sky_wavecore_cost *out)
{
    const sky_wavecore_op *o = &w->ops[op];
    *out = (sky_wavecore_cost){0};
    sky__wavecore_op_bytes(w, m, p, g->iterations, op, &out->bytes);
    const int64_t all = sky_wavecore_total(&out->bytes);
    out->forward_bytes = forward_part(&out->bytes);
    if (o->kind == SKY_WAVECORE_NORM)
        for (int i = 0; i <= SKY_WAVECORE_GRAD_WRITE; i++)
            out->norm_bytes += out->bytes.of[i];
    int64_t forward_busy = 0;
    if (o->conv >= 0) {
        const sky__wavecore_memo *memo = sky__wavecore_products_of(w, m, o->conv, g->sub_batch);
        add_products(&memo->forward, out);
        add_products(&memo->backward, out);
        forward_busy = memo->forward.cycles;
    }
    if (o->vector_fwd > 0) {
        const int64_t times = o->kind == SKY_WAVECORE_NORM ? m->norm_passes : 1;
        const int64_t forward_ops = m->batch * times * o->vector_fwd;
        const int64_t backward_ops = m->batch * times * o->vector_bwd;
        const int64_t forward_cycles = sky__ceil_div(forward_ops, m->vector_lanes);
        const int64_t results = o->out + (backward_ops > 0 ? o->in : 0);
        out->vector_ops = forward_ops + backward_ops;
        out->vector_cycles = forward_cycles + sky__ceil_div(backward_ops, m->vector_lanes);
        out->buffer_bytes += (out->vector_ops + m->batch * results) * SKY_WAVECORE_WORD_BYTES;
        forward_busy += forward_cycles;
    }
    out->buffer_bytes += all;

    const double s_per_cycle = 1 / m->clock_hz, s_per_byte = m->cores / m->dram_bytes_per_s;
    const int64_t busy = out->conv_cycles + out->vector_cycles;
    out->forward_s =
        max((double)forward_busy * s_per_cycle, (double)out->forward_bytes * s_per_byte);
    out->time_s = out->forward_s + max((double)(busy - forward_busy) * s_per_cycle,
                                       (double)(all - out->forward_bytes) * s_per_byte);
}

void sky_wavecore_op_cost(const sky_wavecore_net *w, const sky_wavecore_machine *m,
                          const sky_wavecore_schedule *s, int32_t op, sky_wavecore_cost *out)
{
    const int32_t unit = w->ops[op].unit;
    const sky__wavecore_place p = sky__wavecore_place_in(w, m, s, unit);
    op_cost(w, m, &s->groups[s->group_of[unit]], &p, op, out);
    set_bounds(m, out);
}

static void add_cost(sky_wavecore_cost *sum, const sky_wavecore_cost *c)
{
    for (int i = 0; i < SKY_WAVECORE_CAUSES; i++)
        sum->bytes.of[i] += c->bytes.of[i];
    sum->norm_bytes += c->norm_bytes;
    sum->forward_bytes += c->forward_bytes;
    sum->macs += c->macs;
    sum->conv_cycles += c->conv_cycles;
    sum->vector_cycles += c->vector_cycles;
    sum->stationary_bytes += c->stationary_bytes;
    sum->moving_bytes += c->moving_bytes;
    sum->sum_bytes += c->sum_bytes;
    sum->buffer_bytes += c->buffer_bytes;
    sum->vector_ops += c->vector_ops;
    sum->forward_s += c->forward_s;
    sum->time_s += c->time_s;
}

void sky_wavecore_step(const sky_wavecore_net *w, const sky_wavecore_machine *m,
                       const sky_wavecore_schedule *s, sky_wavecore_cost *out)
{
    sky_wavecore_cost unit = {0}; /* of the unit before, then of this one */
    sky__wavecore_place place = {0};
    int32_t group = -1;
    *out = unit;
    for (int32_t u = 0; u < w->n_units; u++) {
        const sky_wavecore_unit *x = &w->units[u];
        const sky__wavecore_place p = sky__wavecore_place_in(w, m, s, u);
        if (!x->repeats || group != s->group_of[u] || !sky__wavecore_same_place(&p, &place)) {
            group = s->group_of[u];
            place = p;
            unit = (sky_wavecore_cost){0};
            for (int32_t o = x->first_op; o < x->first_op + x->n_ops; o++) {
                sky_wavecore_cost c;
                op_cost(w, m, &s->groups[group], &p, o, &c);
                add_cost(&unit, &c);
            }
        }
        add_cost(out, &unit);
    }
    set_bounds(m, out);
    if (m->overlap_step)
        out->time_s = max(max(out->conv_s, out->vector_s), out->dram_s);
}

sky_wavecore_energy sky_wavecore_energy_of(const sky_wavecore_machine *m,
                                           const sky_wavecore_cost *c)
{
    const double pj = 1e-12, cores = m->cores;
    const double mac_j =
        (sky_constant_value(SKY_MULTIPLY_F16_PJ) + sky_constant_value(SKY_ADD_F32_PJ)) * pj;
    const size_t edge = (size_t)m->array, rows = (size_t)m->stream_max;
    const double stationary = sky_sram_j_per_byte(edge * edge * SKY_WAVECORE_WORD_BYTES);
    const double moving = sky_sram_j_per_byte(rows * edge * SKY_WAVECORE_WORD_BYTES);
    const double sums = sky_sram_j_per_byte(rows * edge * 4);
    /* What comes from the global buffer is written into a local one and read from it. */
    return (sky_wavecore_energy){
        .mac_j = cores * (double)c->macs * mac_j,
        .vector_j = cores * (double)c->vector_ops * mac_j,
        .local_j = cores * (2.0 * (double)c->stationary_bytes * stationary +
                            2.0 * (double)c->moving_bytes * moving + (double)c->sum_bytes * sums),
        .buffer_j = cores * (double)c->buffer_bytes * sky_sram_j_per_byte((size_t)m->buffer_bytes),
        .dram_j = cores * (double)sky_wavecore_total(&c->bytes) * m->dram_j_per_byte,
        .static_j = m->static_w * c->time_s,
    };
}

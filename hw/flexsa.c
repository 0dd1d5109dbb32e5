#include "hw/flexsa.h"

#include <assert.h>
#include <math.h>

#include "hw/constants.h"
#include "hw/flexsa_internal.h"

/* --- several units --- */

static int64_t *edge_of(sky_gemm *g, axis a)
{
    return a == AXIS_M ? &g->m : a == AXIS_N ? &g->n : &g->k;
}

/* A product of a layer, as the parts of a machine see it. */
typedef struct work {
    const sky_flexsa_machine *machine;
    bool may_swap; /* the search may transpose it */
} work;

static inline void add_unit(const work *w, sky_gemm g, int64_t times, sky_flexsa_run *sum)
{
    const sky_flexsa_unit *u = &w->machine->unit;
    if (!w->machine->search) {
        sky__flexsa_add_unit(u, g, times, sum);
        return;
    }
    const sky_flexsa_tiling best = sky_flexsa_best(u, g, w->may_swap);
    sky__flexsa_add_tiled(u, g, &best, times, sum);
}

/* Adds what so many of a kind do at once with one product each. */
typedef void (*add_runs)(const work *w, sky_gemm g, int64_t times, sky_flexsa_run *sum);

/* Adds a product, so many times, that is cut along one axis into parts that differ by at most 1, run at
 * the same time. Parts of the depth leave partial sums, which are read once more and written as one result. */
static inline void add_split(const work *w, sky_gemm g, axis a, int32_t parts, int64_t times,
                             add_runs add, sky_flexsa_run *sum)
{
    const uint32_t all = (uint32_t)*edge_of(&g, a); /* below 2^31, as each edge is */
    const int64_t small = all / (uint32_t)parts, larger = all % (uint32_t)parts;
    const int64_t used = small > 0 ? parts : larger;
    if (a == AXIS_K && used > 1)
        sum->output_bytes += times * (used + 1) * SUM_BYTES * g.m * g.n;
    if (larger > 0) {
        *edge_of(&g, a) = small + 1;
        add(w, g, times * larger, sum);
    }
    if (small > 0) {
        *edge_of(&g, a) = small;
        add(w, g, times * (parts - larger), sum);
    }
}

/* The axis along which a group's units are fastest with a product; of equals: m, n, k. */
static axis fastest_axis(const work *w, sky_gemm g)
{
    const sky_flexsa_machine *m = w->machine;
    int64_t cycles[AXES];
    if (m->unit.cuts == 0 && !m->search) {
        sky__flexsa_rigid_splits(&m->unit, g, m->units, cycles);
    } else {
        for (axis a = AXIS_M; a < AXES; a++) {
            sky_flexsa_run r = {0};
            add_split(w, g, a, m->units, 1, add_unit, &r);
            cycles[a] = r.cycles;
        }
    }
    const axis found = cycles[AXIS_N] < cycles[AXIS_M] ? AXIS_N : AXIS_M;
    return cycles[AXIS_K] < cycles[found] ? AXIS_K : found;
}

/* A group's units share a product along the axis that is fastest: the rigid baseline gets the benefit. */
static void add_group(const work *w, sky_gemm g, int64_t times, sky_flexsa_run *sum)
{
    if (w->machine->units == 1)
        add_unit(w, g, times, sum);
    else
        add_split(w, g, fastest_axis(w, g), w->machine->units, times, add_unit, sum);
}

static sky_flexsa_run run_of(const sky_flexsa_machine *m, sky_gemm g, sky_phase phase)
{
    const work w = {.machine = m, .may_swap = (m->swap_phases >> phase & 1) != 0};
    sky_flexsa_run r = {0};
    if (m->groups == 1)
        add_group(&w, g, 1, &r);
    else
        add_split(&w, g, phase == SKY_WGRAD ? AXIS_K : AXIS_M, m->groups, 1, add_group, &r);
    return r;
}

/* --- the machine --- */

sky_err sky_flexsa_org_parse(const char *text, sky_flexsa_org *out)
{
    int32_t count[2];
    for (int i = 0; i < 2; i++) {
        if (*text < '1' || *text > '9')
            return SKY_EFORMAT;
        for (count[i] = 0; *text >= '0' && *text <= '9'; text++) {
            count[i] = 10 * count[i] + (*text - '0');
            if (count[i] > (i == 0 ? SKY_FLEXSA_GROUPS_MAX : SKY_FLEXSA_UNITS_MAX))
                return SKY_ELIMIT;
        }
        if (i == 0 && *text++ != 'G')
            return SKY_EFORMAT;
    }
    if ((*text != 'C' && *text != 'F') || text[1] != '\0')
        return SKY_EFORMAT;
    *out = (sky_flexsa_org){.groups = count[0], .units = count[1], .flexible = *text == 'F'};
    return SKY_OK;
}

int32_t sky_flexsa_core_edge(sky_flexsa_org org, int32_t edge)
{
    const int32_t arrays = org.groups * org.units;
    int32_t root = 1;
    while (root * root < arrays)
        root++;
    if (root * root != arrays || edge % root != 0 || (org.flexible && edge / root % 2 != 0))
        return 0;
    return edge / root;
}

sky_flexsa_machine sky_flexsa_machine_of(sky_flexsa_org org, sky_array core, int32_t ratio)
{
    assert(org.groups > 0 && org.units > 0 && ratio > 0);
    assert(!org.flexible || (core.rows % 2 == 0 && core.cols % 2 == 0));
    return (sky_flexsa_machine){
        .unit = {.rows = (int32_t)core.rows,
                 .cols = (int32_t)core.cols,
                 .stream_max = ratio * (int32_t)core.rows,
                 .cuts = org.flexible ? SKY_CUT_BOTH : 0},
        .groups = org.groups,
        .units = org.units,
        .gbuf_bytes = (int64_t)(sky_constant_value(SKY_FLEXSA_GBUF_MIB) * (1 << 20)),
        .clock_hz = sky_constant_value(SKY_FLEXSA_CLOCK_GHZ) * 1e9,
        .dram_bytes_per_s = INFINITY,
    };
}

sky_gemm sky_flexsa_gemm(const sky_conv_shape *l, int32_t batch, sky_phase phase)
{
    int64_t window = (int64_t)l->r * l->s, in_pixels = (int64_t)batch * l->h * l->w;
    int64_t out_pixels = (int64_t)batch * l->p * l->q;
    switch (phase) {
    case SKY_FORWARD:
        return (sky_gemm){.m = out_pixels, .n = l->k, .k = l->c * window};
    case SKY_DGRAD:
        return (sky_gemm){.m = in_pixels, .n = l->c, .k = l->k * window};
    case SKY_WGRAD:
        return (sky_gemm){.m = l->c * window, .n = l->k, .k = out_pixels};
    case SKY_PHASES:
        break;
    }
    assert(!"a phase");
    return (sky_gemm){1, 1, 1};
}

static sky_flexsa_tensors tensors_of(const sky_conv_shape *l, int32_t batch, sky_phase phase)
{
    int64_t in = (int64_t)batch * l->c * l->h * l->w, out = (int64_t)batch * l->k * l->p * l->q;
    int64_t weights = (int64_t)l->k * l->c * l->r * l->s;
    switch (phase) {
    case SKY_FORWARD:
        return (sky_flexsa_tensors){OPERAND_BYTES * in, OPERAND_BYTES * weights,
                                    OPERAND_BYTES * out, SUM_BYTES * out, false};
    case SKY_DGRAD:
        return (sky_flexsa_tensors){OPERAND_BYTES * out, OPERAND_BYTES * weights,
                                    OPERAND_BYTES * in, SUM_BYTES * in, false};
    default: /* gradients of weights are kept in full precision */
        return (sky_flexsa_tensors){OPERAND_BYTES * in, OPERAND_BYTES * out, SUM_BYTES * weights,
                                    SUM_BYTES * weights, true};
    }
}

int64_t sky_flexsa_dram_bytes(const sky_flexsa_machine *m, const sky_flexsa_tensors *t)
{
    const int64_t groups = m->groups, room = m->gbuf_bytes / groups / 2;
    assert(room > 0);
    /* What one group works on, and how often all groups together read a whole operand at least. */
    int64_t a = ceil_div(t->a_bytes, groups),
            b = t->split_depth ? ceil_div(t->b_bytes, groups) : t->b_bytes;
    int64_t c = t->split_depth ? t->c_wide_bytes : ceil_div(t->c_wide_bytes, groups);
    int64_t all_b = t->split_depth ? t->b_bytes : groups * t->b_bytes;
    int64_t keep_a = t->a_bytes + ceil_div(a, room) * all_b;
    int64_t keep_b = all_b + ceil_div(b, room) * t->a_bytes;
    int64_t pieces = ceil_div(c, room);
    int64_t keep_c = min64(pieces * t->a_bytes + all_b, t->a_bytes + pieces * all_b);
    return min64(min64(keep_a, keep_b), keep_c) + t->c_bytes;
}

sky_flexsa_product sky_flexsa_compute(const sky_flexsa_machine *m, const sky_conv_shape *l,
                                      int32_t batch, sky_phase phase, sky_flexsa_cost *sum)
{
    if (phase == SKY_DGRAD && l->no_dgrad)
        return (sky_flexsa_product){0};
    int64_t times = (int64_t)l->groups * l->count;
    if (l->per_sample) { /* nothing is shared by the batch */
        times *= batch;
        batch = 1;
    }
    const sky_gemm g = sky_flexsa_gemm(l, batch, phase);
    const sky_flexsa_run r = run_of(m, g, phase);
    int64_t greedy_cycles = r.cycles;
    if (m->search) {
        sky_flexsa_machine greedy = *m;
        greedy.search = false;
        greedy_cycles = run_of(&greedy, g, phase).cycles;
    }
    sum->macs += times * g.m * g.n * g.k;
    sum->cycles += times * r.cycles;
    sum->greedy_cycles += times * greedy_cycles;
    for (int i = 0; i < SKY_FLEXSA_MODES; i++)
        sum->waves[i] += times * r.waves[i];
    sum->stationary_bytes += times * r.stationary_bytes;
    sum->copied_bytes += times * r.copied_bytes;
    sum->moving_bytes += times * r.moving_bytes;
    sum->output_bytes += times * r.output_bytes;
    sum->sum_bytes += times * r.sum_bytes;
    return (sky_flexsa_product){
        .times = times, .cycles = r.cycles, .tensors = tensors_of(l, batch, phase)};
}

void sky_flexsa_add_memory(const sky_flexsa_machine *m, const sky_flexsa_product *p,
                           sky_flexsa_cost *sum)
{
    if (p->times == 0)
        return;
    const int64_t dram = sky_flexsa_dram_bytes(m, &p->tensors);
    double computing = (double)p->cycles / m->clock_hz, memory = (double)dram / m->dram_bytes_per_s;
    sum->dram_bytes += p->times * dram;
    sum->time_s += (double)p->times * (computing > memory ? computing : memory);
}

sky_flexsa_cost sky_flexsa_layer(const sky_flexsa_machine *m, const sky_conv_shape *l,
                                 int32_t batch, sky_phase phase)
{
    sky_flexsa_cost cost = {0};
    const sky_flexsa_product p = sky_flexsa_compute(m, l, batch, phase, &cost);
    sky_flexsa_add_memory(m, &p, &cost);
    return cost;
}

void sky_flexsa_mean_add(sky_flexsa_mean *mean, const sky_flexsa_cost *c, double weight)
{
    mean->macs += weight * (double)c->macs;
    mean->cycles += weight * (double)c->cycles;
    mean->greedy_cycles += weight * (double)c->greedy_cycles;
    for (int i = 0; i < SKY_FLEXSA_MODES; i++)
        mean->waves[i] += weight * (double)c->waves[i];
    mean->stationary_bytes += weight * (double)c->stationary_bytes;
    mean->copied_bytes += weight * (double)c->copied_bytes;
    mean->moving_bytes += weight * (double)c->moving_bytes;
    mean->output_bytes += weight * (double)c->output_bytes;
    mean->sum_bytes += weight * (double)c->sum_bytes;
    mean->dram_bytes += weight * (double)c->dram_bytes;
    mean->time_s += weight * c->time_s;
}

static int64_t whole(double x)
{
    return (int64_t)floor(x + 0.5);
}

sky_flexsa_cost sky_flexsa_mean_cost(const sky_flexsa_mean *mean)
{
    sky_flexsa_cost c = {.macs = whole(mean->macs),
                         .cycles = whole(mean->cycles),
                         .greedy_cycles = whole(mean->greedy_cycles),
                         .stationary_bytes = whole(mean->stationary_bytes),
                         .copied_bytes = whole(mean->copied_bytes),
                         .moving_bytes = whole(mean->moving_bytes),
                         .output_bytes = whole(mean->output_bytes),
                         .sum_bytes = whole(mean->sum_bytes),
                         .dram_bytes = whole(mean->dram_bytes),
                         .time_s = mean->time_s};
    for (int i = 0; i < SKY_FLEXSA_MODES; i++)
        c.waves[i] = whole(mean->waves[i]);
    return c;
}

static double given(double pj, double otherwise_j)
{
    return pj > 0 ? pj * 1e-12 : otherwise_j;
}

sky_flexsa_energy sky_flexsa_energy_of(const sky_flexsa_machine *m, const sky_flexsa_cost *c)
{
    const double pj = 1e-12;
    const size_t rows = (size_t)m->unit.rows, cols = (size_t)m->unit.cols;
    const size_t stream = (size_t)m->unit.stream_max;
    const bool in_cores = m->unit.cuts == SKY_CUT_BOTH && !m->unit_lbufs;
    const size_t cores = in_cores ? 4 : 1;
    const sky_flexsa_energies *e = &m->energies;
    const double stationary =
        given(e->lbuf_pj_per_byte, sky_sram_j_per_byte(rows * cols * OPERAND_BYTES / cores));
    const double moving =
        given(e->lbuf_pj_per_byte, sky_sram_j_per_byte(stream * rows * OPERAND_BYTES / cores));
    const double sums =
        given(e->lbuf_pj_per_byte, sky_sram_j_per_byte(stream * cols * SUM_BYTES / cores));
    const int64_t stationary_bytes = in_cores ? c->copied_bytes : c->stationary_bytes;
    const double gbuf =
        given(e->gbuf_pj_per_byte, sky_sram_j_per_byte((size_t)(m->gbuf_bytes / m->groups)));
    const double mac =
        given(e->mac_pj,
              (sky_constant_value(SKY_MULTIPLY_F16_PJ) + sky_constant_value(SKY_ADD_F32_PJ)) * pj);
    const double dram =
        given(e->dram_pj_per_bit, sky_constant_value(SKY_HBM2_PJ_PER_BIT) * pj) * 8.0;
    return (sky_flexsa_energy){
        .mac_j = (double)c->macs * mac,
        .lbuf_j = 2.0 * (double)stationary_bytes * stationary +
                  2.0 * (double)c->moving_bytes * moving + (double)c->sum_bytes * sums,
        .gbuf_j = (double)(c->stationary_bytes + c->moving_bytes + c->output_bytes) * gbuf,
        .dram_j = (double)c->dram_bytes * dram,
    };
}

double sky_flexsa_utilization(const sky_flexsa_machine *m, const sky_flexsa_cost *c)
{
    double pes = (double)m->unit.rows * (double)m->unit.cols * (double)m->units * (double)m->groups;
    if (isinf(m->dram_bytes_per_s))
        return (double)c->macs / (pes * (double)c->cycles);
    return (double)c->macs / (pes * m->clock_hz * c->time_s);
}

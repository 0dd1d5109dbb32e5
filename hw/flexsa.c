#include "hw/flexsa.h"

#include <assert.h>
#include <math.h>

#include "hw/constants.h"

enum { OPERAND_BYTES = 2, SUM_BYTES = 4 }; /* FP16 operands, FP32 sums */

static inline int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* a / b rounded up, a and b > 0. Divisions are the dearest thing here: most quotients are 1, and most
 * operands fit in 32 bits, where a division takes a third of the time. */
static inline int64_t ceil_div(int64_t a, int64_t b)
{
    if (a <= b)
        return 1;
    if (a <= INT32_MAX)
        return (int64_t)(((uint32_t)a + (uint32_t)b - 1) / (uint32_t)b);
    return (a + b - 1) / b;
}

/* --- one unit --- */

sky_flexsa_mode sky_flexsa_mode_of(const sky_flexsa_unit *u, int64_t n, int64_t k)
{
    if (!u->flexible)
        return SKY_FW;
    bool wide = 2 * n > u->edge, tall = 2 * k > u->edge;
    return wide ? (tall ? SKY_FW : SKY_HSW) : (tall ? SKY_VSW : SKY_ISW);
}

sky_systolic_tile sky_flexsa_wave(const sky_flexsa_unit *u, int64_t m, int64_t n, int64_t k)
{
    const int64_t e = u->edge, half = e / 2;
    sky_systolic_tile t = {.load = k};
    int64_t end = 0; /* from S_j to the latest part's last sum, less n - 2 */
    switch (sky_flexsa_mode_of(u, n, k)) {
    case SKY_FW:
        t.stream = m;
        end = m + e;
        break;
    case SKY_VSW: /* the right half lags by half an edge */
        t.stream = (m + 1) / 2;
        end = max64(t.stream + e, m > 1 ? m / 2 + half + e : 0);
        break;
    case SKY_HSW: /* so does the lower half, and each has half the rows */
        t.stream = (m + 1) / 2;
        end = max64(t.stream + half, m > 1 ? m / 2 + half + half : 0);
        break;
    case SKY_ISW: /* the second and third quarter lag by half an edge, the fourth by a whole one */
        t.stream = (m + 3) / 4;
        end = max64(t.stream + half, m > 1 ? (m + 2) / 4 + half + half : 0);
        end = max64(end, m > 3 ? m / 4 + e + half : 0);
        break;
    case SKY_FLEXSA_MODES:
        break;
    }
    t.tail = end - t.stream + n - 2;
    return t;
}

/* An edge of length `all` in pieces: `whole` of the full length, and a rest (0: none). */
typedef struct cut {
    int64_t whole, rest, pieces;
} cut;

static inline cut cut_edge(int64_t all, int32_t full)
{
    assert(all > 0 && all <= INT32_MAX);
    uint32_t whole =
        (uint32_t)all / (uint32_t)full; /* 32 bits: much cheaper than 64 on many CPUs */
    uint32_t rest = (uint32_t)all - whole * (uint32_t)full;
    return (cut){.whole = whole, .rest = rest, .pieces = (int64_t)whole + (rest > 0)};
}

/* All waves of one (n, m) block, in order of depth. */
typedef struct block {
    int64_t step; /* from its first wave's start to the next block's */
    int64_t end;  /* from its first wave's start to its latest end */
} block;

static inline block block_of(const sky_flexsa_unit *u, int64_t m, int64_t n, const cut *k,
                             int64_t first_load, int64_t count, int64_t *waves)
{
    block b = {0};
    if (k->whole > 0) {
        sky_systolic_tile w = sky_flexsa_wave(u, m, n, u->edge);
        int64_t last = (k->whole - 1) * max64(w.stream, u->edge); /* the last whole wave's start */
        b.end = last + w.stream + w.tail;
        b.step = last + max64(w.stream, k->rest > 0 ? k->rest : first_load);
        waves[sky_flexsa_mode_of(u, n, u->edge)] += count * k->whole;
    }
    if (k->rest > 0) {
        sky_systolic_tile w = sky_flexsa_wave(u, m, n, k->rest);
        b.end = max64(b.end, b.step + w.stream + w.tail);
        b.step += max64(w.stream, first_load);
        waves[sky_flexsa_mode_of(u, n, k->rest)] += count;
    }
    return b;
}

/* Adds `times` units' runs of one product to a sum: cycles do not add up, since they work at once. */
static void add_unit(const sky_flexsa_machine *machine, sky_gemm g, int64_t times,
                     sky_flexsa_run *sum)
{
    const sky_flexsa_unit *u = &machine->unit;
    const cut n = cut_edge(g.n, u->edge), m = cut_edge(g.m, u->stream_max),
              k = cut_edge(g.k, u->edge);
    const int64_t first_load = k.whole > 0 ? u->edge : k.rest;
    int64_t cycles = sum->cycles;
    int64_t start = first_load; /* S of the first wave of a column of blocks */
    for (int narrow = 0; narrow < 2; narrow++) {
        const int64_t columns = narrow ? n.rest > 0 : n.whole, width = narrow ? n.rest : u->edge;
        if (columns == 0)
            continue;
        /* Of each kind of block, the last one ends last. */
        block whole = {0}, rest = {0};
        if (m.whole > 0)
            whole = block_of(u, u->stream_max, width, &k, first_load, times * columns * m.whole,
                             sum->waves);
        if (m.rest > 0)
            rest = block_of(u, m.rest, width, &k, first_load, times * columns, sum->waves);
        const int64_t column = m.whole * whole.step + rest.step;
        const int64_t last = start + (columns - 1) * column;
        if (m.whole > 0)
            cycles = max64(cycles, last + (m.whole - 1) * whole.step + whole.end);
        if (m.rest > 0)
            cycles = max64(cycles, last + m.whole * whole.step + rest.end);
        start += columns * column;
    }
    const int64_t results = times * g.m * g.n, depth = times * g.k;
    sum->cycles = cycles;
    sum->stationary_bytes += OPERAND_BYTES * m.pieces * g.n * depth;
    sum->moving_bytes += OPERAND_BYTES * n.pieces * g.m * depth;
    sum->output_bytes += SUM_BYTES * results;
    /* Each wave writes its sums and all but a block's first read them; leaving reads them once more. */
    sum->sum_bytes += 2 * SUM_BYTES * k.pieces * results;
}

sky_flexsa_run sky_flexsa_unit_run(const sky_flexsa_unit *u, sky_gemm g)
{
    sky_flexsa_run run = {0};
    add_unit(&(sky_flexsa_machine){.unit = *u}, g, 1, &run);
    return run;
}

/* --- several units --- */

typedef enum axis { AXIS_M, AXIS_N, AXIS_K } axis;

static int64_t *edge_of(sky_gemm *g, axis a)
{
    return a == AXIS_M ? &g->m : a == AXIS_N ? &g->n : &g->k;
}

/* Adds what so many of a kind do at once with one product each. */
typedef void (*add_runs)(const sky_flexsa_machine *m, sky_gemm g, int64_t times,
                         sky_flexsa_run *sum);

/* Adds a product that is cut along one axis into parts that differ by at most 1, run at the same time.
 * Parts of the depth leave partial sums, which are read once more and written as one result. */
static inline void add_split(const sky_flexsa_machine *m, sky_gemm g, axis a, int32_t parts,
                             add_runs add, sky_flexsa_run *sum)
{
    const uint32_t all = (uint32_t)*edge_of(&g, a); /* below 2^31, as each edge is */
    const int64_t small = all / (uint32_t)parts, larger = all % (uint32_t)parts;
    const int64_t used = small > 0 ? parts : larger;
    if (a == AXIS_K && used > 1)
        sum->output_bytes += (used + 1) * SUM_BYTES * g.m * g.n;
    if (larger > 0) {
        *edge_of(&g, a) = small + 1;
        add(m, g, larger, sum);
    }
    if (small > 0) {
        *edge_of(&g, a) = small;
        add(m, g, parts - larger, sum);
    }
}

/* A lower bound of the cycles of the largest part of a split, for rigid units: the first load, all waves'
 * rows, and the last wave's way out. It is the exact number where no wave waits for a load. */
static int64_t at_least(const sky_flexsa_machine *m, sky_gemm g, axis a)
{
    *edge_of(&g, a) = ceil_div(*edge_of(&g, a), m->units);
    const int32_t e = m->unit.edge;
    const cut n = cut_edge(g.n, e), k = cut_edge(g.k, e);
    int64_t first_load = k.whole > 0 ? e : k.rest, last_width = n.rest > 0 ? n.rest : e;
    return first_load + n.pieces * k.pieces * g.m + e + last_width - 2;
}

/* A group's units share a product along the axis that is fastest (of equals: m, n, k): the rigid baseline
 * gets the benefit. An axis whose lower bound is no better than what is found is not tried. */
static void add_group(const sky_flexsa_machine *m, sky_gemm g, int64_t times, sky_flexsa_run *sum)
{
    if (m->units == 1) {
        add_unit(m, g, times, sum);
        return;
    }
    assert(!m->unit.flexible);
    sky_flexsa_run best = {0};
    add_split(m, g, AXIS_M, m->units, add_unit, &best);
    for (axis a = AXIS_N; a <= AXIS_K; a++) {
        if (at_least(m, g, a) >= best.cycles)
            continue;
        sky_flexsa_run r = {0};
        add_split(m, g, a, m->units, add_unit, &r);
        if (r.cycles < best.cycles)
            best = r;
    }
    sum->cycles = max64(sum->cycles, best.cycles);
    sum->waves[SKY_FW] += times * best.waves[SKY_FW]; /* rigid units know no other mode */
    sum->stationary_bytes += times * best.stationary_bytes;
    sum->moving_bytes += times * best.moving_bytes;
    sum->output_bytes += times * best.output_bytes;
    sum->sum_bytes += times * best.sum_bytes;
}

/* --- the machine --- */

const char *sky_flexsa_org_name(sky_flexsa_org org)
{
    static const char *const names[SKY_FLEXSA_ORGS] = {"1G1C", "1G4C", "4G4C", "1G1F", "4G1F"};
    assert((int)org >= 0 && org < SKY_FLEXSA_ORGS);
    return names[org];
}

sky_flexsa_machine sky_flexsa_machine_of(sky_flexsa_org org, int32_t edge, int32_t ratio)
{
    assert(edge > 0 && edge % 4 == 0 && ratio > 0);
    static const struct {
        int32_t groups, units, divisor;
        bool flexible;
    } shape[SKY_FLEXSA_ORGS] = {
        [SKY_1G1C] = {1, 1, 1, false}, [SKY_1G4C] = {1, 4, 2, false}, [SKY_4G4C] = {4, 4, 4, false},
        [SKY_1G1F] = {1, 1, 1, true},  [SKY_4G1F] = {4, 1, 2, true},
    };
    int32_t unit_edge = edge / shape[org].divisor;
    return (sky_flexsa_machine){
        .unit = {.edge = unit_edge,
                 .stream_max = ratio * unit_edge,
                 .flexible = shape[org].flexible},
        .groups = shape[org].groups,
        .units = shape[org].units,
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

sky_flexsa_cost sky_flexsa_layer(const sky_flexsa_machine *m, const sky_conv_shape *l,
                                 int32_t batch, sky_phase phase)
{
    sky_flexsa_cost cost = {0};
    if (phase == SKY_DGRAD && l->no_dgrad)
        return cost;
    int64_t times = (int64_t)l->groups * l->count;
    if (l->per_sample) { /* nothing is shared by the batch */
        times *= batch;
        batch = 1;
    }
    const sky_gemm g = sky_flexsa_gemm(l, batch, phase);
    sky_flexsa_run r = {0};
    if (m->groups == 1)
        add_group(m, g, 1, &r);
    else
        add_split(m, g, phase == SKY_WGRAD ? AXIS_K : AXIS_M, m->groups, add_group, &r);
    const sky_flexsa_tensors tensors = tensors_of(l, batch, phase);
    const int64_t dram = sky_flexsa_dram_bytes(m, &tensors);
    cost.macs = times * g.m * g.n * g.k;
    cost.cycles = times * r.cycles;
    for (int i = 0; i < SKY_FLEXSA_MODES; i++)
        cost.waves[i] = times * r.waves[i];
    cost.stationary_bytes = times * r.stationary_bytes;
    cost.moving_bytes = times * r.moving_bytes;
    cost.output_bytes = times * r.output_bytes;
    cost.sum_bytes = times * r.sum_bytes;
    cost.dram_bytes = times * dram;
    double computing = (double)r.cycles / m->clock_hz, memory = (double)dram / m->dram_bytes_per_s;
    cost.time_s = (double)times * (computing > memory ? computing : memory);
    return cost;
}

void sky_flexsa_cost_add(sky_flexsa_cost *sum, const sky_flexsa_cost *c)
{
    sum->macs += c->macs;
    sum->cycles += c->cycles;
    for (int i = 0; i < SKY_FLEXSA_MODES; i++)
        sum->waves[i] += c->waves[i];
    sum->stationary_bytes += c->stationary_bytes;
    sum->moving_bytes += c->moving_bytes;
    sum->output_bytes += c->output_bytes;
    sum->sum_bytes += c->sum_bytes;
    sum->dram_bytes += c->dram_bytes;
    sum->time_s += c->time_s;
}

sky_flexsa_energy sky_flexsa_energy_of(const sky_flexsa_machine *m, const sky_flexsa_cost *c)
{
    const double pj = 1e-12;
    const size_t e = (size_t)m->unit.edge, stream = (size_t)m->unit.stream_max;
    double stationary = sky_sram_j_per_byte(e * e * OPERAND_BYTES);
    double moving = sky_sram_j_per_byte(stream * e * OPERAND_BYTES);
    double sums = sky_sram_j_per_byte(stream * e * SUM_BYTES);
    double gbuf = sky_sram_j_per_byte((size_t)(m->gbuf_bytes / m->groups));
    /* A byte that comes from the global buffer is written into a local one and read from it. */
    return (sky_flexsa_energy){
        .mac_j = (double)c->macs *
                 (sky_constant_value(SKY_MULTIPLY_F16_PJ) + sky_constant_value(SKY_ADD_F32_PJ)) *
                 pj,
        .lbuf_j = 2.0 * (double)c->stationary_bytes * stationary +
                  2.0 * (double)c->moving_bytes * moving + (double)c->sum_bytes * sums,
        .gbuf_j = (double)(c->stationary_bytes + c->moving_bytes + c->output_bytes) * gbuf,
        .dram_j = (double)c->dram_bytes * 8.0 * sky_constant_value(SKY_HBM2_PJ_PER_BIT) * pj,
    };
}

double sky_flexsa_utilization(const sky_flexsa_machine *m, const sky_flexsa_cost *c)
{
    double pes = (double)m->unit.edge * (double)m->unit.edge * (double)m->units * (double)m->groups;
    if (isinf(m->dram_bytes_per_s))
        return (double)c->macs / (pes * (double)c->cycles);
    return (double)c->macs / (pes * m->clock_hz * c->time_s);
}

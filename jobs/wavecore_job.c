/* Job `wavecore`: training with mini-batch serialization (hw/wavecore.h). What each number means:
 * docs/jobs/wavecore.md. */
#include <inttypes.h>
#include <string.h>

#include "hw/wavecore.h"
#include "jobs/job_params.h"
#include "jobs/jobs_internal.h"
#include "jobs/netfile.h"

enum {
    P_NETWORK,
    P_VARIANT,
    P_BATCH,
    P_BUFFER_MIB,
    P_MEMORY,
    P_CORES,
    P_ARRAY,
    P_CLOCK_GHZ,
    P_WIDTH_KEPT,
    P_TRACE,
    P_GROUPING,
    P_DRAM_GIB_S,
    P_DRAM_PJ_PER_BIT,
    P_STREAM_RATIO,
    P_VECTOR_LANES,
    P_NORM_PASSES,
    P_RELU,
    P_MASK_BITS,
    P_DW_BYTES,
    P_UPDATE_BYTES,
    P_OVERLAP,
    P_STATIC_W,
    N_PARAMS,
};
enum {
    M_TIME_S,
    M_SAMPLES_PER_S,
    M_ENERGY_J,
    M_DRAM_BYTES,
    M_CONV_UTILIZATION,
    M_PE_UTILIZATION,
    M_CAUSES, /* one metric per cause */
    M_FORWARD_BYTES = M_CAUSES + SKY_WAVECORE_CAUSES,
    M_NORM_BYTES,
    M_GREEDY_BYTES,
    M_OPTIMAL_BYTES,
    M_GBUF_BYTES,
    M_DRAM_USED_BYTES,
    M_DRAM_USED_SHARE,
    M_GROUPS,
    M_SUB_BATCH_MIN,
    M_ITERATIONS_MAX,
    M_MACS,
    M_FORWARD_S,
    M_CONV_S,
    M_VECTOR_S,
    M_DRAM_S,
    M_ENERGY_MAC,
    M_ENERGY_VECTOR,
    M_ENERGY_LOCAL,
    M_ENERGY_GBUF,
    M_ENERGY_DRAM,
    M_ENERGY_STATIC,
    N_METRICS,
};

static const char *const variants[] = {[SKY_WAVECORE_BASELINE] = "Baseline",
                                       [SKY_WAVECORE_ARCHOPT] = "ArchOpt",
                                       [SKY_WAVECORE_IL] = "IL",
                                       [SKY_WAVECORE_MBS_FS] = "MBS-FS",
                                       [SKY_WAVECORE_MBS1] = "MBS1",
                                       [SKY_WAVECORE_MBS2] = "MBS2",
                                       NULL};
static const char *const memories[] = {"HBM2", "HBM2x2", "GDDR5", "LPDDR4", NULL};
static const char *const groupings[] = {"greedy", "optimal", NULL};
static const char *const relus[] = {"separate", "fused", NULL};
static const char *const overlaps[] = {"layer", "step", NULL};

static const sky_param params[N_PARAMS] = {
    [P_NETWORK] = SKY__TEXT("network", "resnet50", NULL,
                            "a built-in network, or a file: model.onnx, topology.csv"),
    [P_VARIANT] =
        SKY__TEXT("variant", "MBS2", variants, "what layers hand on to each other on chip"),
    [P_BATCH] =
        SKY__INTEGER("batch", "samples", 32, 1, SKY_WAVECORE_BATCH_MAX, "mini-batch of a core"),
    [P_BUFFER_MIB] = SKY__REAL("buffer_mib", "MiB", 10, 0.001, 4096, "global buffer of a core"),
    [P_MEMORY] = SKY__TEXT("memory", "HBM2", memories, "bandwidth, capacity, energy (docs)"),
    [P_CORES] =
        SKY__INTEGER("cores", "", 2, 1, 1024, "of the chip; each has a mini-batch of its own"),
    [P_ARRAY] = SKY__INTEGER("array", "PEs", 128, 8, 4096, "rows and columns of a core's array"),
    [P_CLOCK_GHZ] = SKY__REAL("clock_ghz", "GHz", 0.7, 0.001, 100, "of arrays and vector units"),
    [P_WIDTH_KEPT] =
        SKY__REAL("width_kept", "", 1, 0.01, 1,
                  "part of each layer's channels that pruning keeps, rounded to nearest"),
    [P_TRACE] =
        SKY__TEXT("trace", "", NULL,
                  "file of channels per layer over a training run; metrics are means over it"),
    [P_GROUPING] = SKY__TEXT("grouping", "greedy", groupings,
                             "of MBS1 and MBS2: the paper's, or the one with the least traffic"),
    [P_DRAM_GIB_S] =
        SKY__REAL("dram_gib_s", "GiB/s", 0, 0, 1e6, "bandwidth of the chip; 0: the memory's"),
    [P_DRAM_PJ_PER_BIT] =
        SKY__REAL("dram_pj_per_bit", "pJ/bit", 0, 0, 1000, "energy of an access; 0: the memory's"),
    [P_STREAM_RATIO] =
        SKY__INTEGER("stream_ratio", "", 2, 1, 64,
                     "rows that stream past one resting tile, over the array's edge"),
    [P_VECTOR_LANES] = SKY__INTEGER("vector_lanes", "", 0, 0, 65536,
                                    "values a core's vector unit takes a cycle; 0: one per column"),
    [P_NORM_PASSES] = SKY__INTEGER("norm_passes", "", 2, 1, 8, "over a norm's operands"),
    [P_RELU] = SKY__TEXT("relu", "separate", relus,
                         "fused: activations are part of the layer before, where that can be"),
    [P_MASK_BITS] =
        SKY__INTEGER("mask_bits", "bit", 1, 0, 16, "of an activation, kept for the backward pass"),
    [P_DW_BYTES] =
        SKY__INTEGER("dw_bytes", "B", 4, 1, 8, "of a weight's gradient while it sums up"),
    [P_UPDATE_BYTES] = SKY__INTEGER("update_bytes", "B", 0, 0, 64,
                                    "that a weight's update moves; 22: SGD with momentum, in FP32"),
    [P_OVERLAP] =
        SKY__TEXT("overlap", "layer", overlaps,
                  "DRAM works while this layer computes, or while any layer of the step does"),
    [P_STATIC_W] = SKY__REAL("static_w", "W", 0, 0, 1e6, "power that chip and memory draw anyway"),
};

#define METRIC(NAME, UNIT, GOAL, DOC)                                                              \
    {                                                                                              \
        .name = (NAME), .type = SKY_REAL, .unit = (UNIT), .doc = (DOC), .goal = (GOAL),            \
        .cls = SKY_EXACT                                                                           \
    }
#define CAUSE(WHICH, NAME, DOC) [M_CAUSES + (WHICH)] = METRIC(NAME, "B", SKY_MIN, DOC)

static const sky_metric metrics[N_METRICS] = {
    [M_TIME_S] = METRIC("time_s", "s", SKY_MIN, "of one step of all cores"),
    [M_SAMPLES_PER_S] = METRIC("samples_per_s", "1/s", SKY_MAX, "of the chip"),
    [M_ENERGY_J] = METRIC("energy_j", "J", SKY_MIN, "of one step: the six parts below"),
    [M_DRAM_BYTES] = METRIC("dram_bytes", "B", SKY_MIN, "all cores: the twelve causes below"),
    [M_CONV_UTILIZATION] = METRIC("conv_utilization", "", SKY_MAX,
                                  "multiplications over what the PEs could do in conv_s"),
    [M_PE_UTILIZATION] =
        METRIC("pe_utilization", "", SKY_MAX, "the same over time_s, waits for DRAM and norms in"),
    CAUSE(SKY_WAVECORE_ACT_READ, "activation_read_bytes", "activations, forward pass"),
    CAUSE(SKY_WAVECORE_ACT_WRITE, "activation_write_bytes",
          "activations, for the backward pass or the next layer"),
    CAUSE(SKY_WAVECORE_STORED_READ, "stored_read_bytes", "activations, read by the backward pass"),
    CAUSE(SKY_WAVECORE_GRAD_READ, "gradient_read_bytes", "gradients of activations"),
    CAUSE(SKY_WAVECORE_GRAD_WRITE, "gradient_write_bytes", "gradients of activations"),
    CAUSE(SKY_WAVECORE_MASK_WRITE, "mask_write_bytes", "signs of activations, poolings' choices"),
    CAUSE(SKY_WAVECORE_MASK_READ, "mask_read_bytes", "signs of activations, poolings' choices"),
    CAUSE(SKY_WAVECORE_WEIGHT_FWD, "weight_forward_bytes", "weights, forward pass"),
    CAUSE(SKY_WAVECORE_WEIGHT_BWD, "weight_backward_bytes", "weights, backward pass"),
    CAUSE(SKY_WAVECORE_DW_READ, "dw_read_bytes", "gradients of weights, sums of before"),
    CAUSE(SKY_WAVECORE_DW_WRITE, "dw_write_bytes", "gradients of weights"),
    CAUSE(SKY_WAVECORE_UPDATE_BYTES, "weight_update_bytes", "the weights' update (update_bytes)"),
    [M_FORWARD_BYTES] = METRIC("forward_bytes", "B", SKY_MIN, "of dram_bytes: the forward pass"),
    [M_NORM_BYTES] = METRIC("norm_bytes", "B", SKY_MIN,
                            "of dram_bytes: activations and gradients that norms move"),
    [M_GREEDY_BYTES] = METRIC("greedy_bytes", "B", SKY_MIN, "dram_bytes with grouping greedy"),
    [M_OPTIMAL_BYTES] = METRIC("optimal_bytes", "B", SKY_MIN, "dram_bytes with grouping optimal"),
    [M_GBUF_BYTES] = METRIC("gbuf_bytes", "B", SKY_MIN, "in and out of the global buffers"),
    [M_DRAM_USED_BYTES] = METRIC("dram_used_bytes", "B", SKY_MIN,
                                 "kept in DRAM at once: for the backward pass, weights, gradients"),
    [M_DRAM_USED_SHARE] =
        METRIC("dram_used_share", "", SKY_MIN, "of the memory's capacity; above 1: does not fit"),
    [M_GROUPS] = METRIC("groups", "", SKY_NO_GOAL, "of layers"),
    [M_SUB_BATCH_MIN] = METRIC("sub_batch_min", "samples", SKY_NO_GOAL, "of all groups"),
    [M_ITERATIONS_MAX] = METRIC("iterations_max", "", SKY_NO_GOAL, "of all groups"),
    [M_MACS] = METRIC("macs", "", SKY_NO_GOAL, "multiplications, both passes"),
    [M_FORWARD_S] = METRIC("forward_s", "s", SKY_MIN, "of time_s (overlap layer)"),
    [M_CONV_S] = METRIC("conv_s", "s", SKY_MIN, "the arrays alone"),
    [M_VECTOR_S] = METRIC("vector_s", "s", SKY_MIN, "the vector units alone"),
    [M_DRAM_S] = METRIC("dram_s", "s", SKY_MIN, "DRAM alone"),
    [M_ENERGY_MAC] = METRIC("energy_mac_j", "J", SKY_MIN, "multiplying and adding in the arrays"),
    [M_ENERGY_VECTOR] = METRIC("energy_vector_j", "J", SKY_MIN, "vector units"),
    [M_ENERGY_LOCAL] = METRIC("energy_local_j", "J", SKY_MIN, "buffers beside the arrays"),
    [M_ENERGY_GBUF] = METRIC("energy_gbuf_j", "J", SKY_MIN, "global buffers"),
    [M_ENERGY_DRAM] = METRIC("energy_dram_j", "J", SKY_MIN, "DRAM"),
    [M_ENERGY_STATIC] = METRIC("energy_static_j", "J", SKY_MIN, "static_w over time_s"),
};

static int choice(const char *const *list, const char *text)
{
    int i = 0;
    while (list[i + 1] && strcmp(list[i], text) != 0)
        i++;
    return i;
}

static bool has_trace(const sky_value *p)
{
    return p[P_TRACE].s[0] != '\0';
}

static sky_err validate(const sky_value *p, sky_error *e)
{
    if (has_trace(p) && p[P_WIDTH_KEPT].f < 1)
        return sky_fail(e, SKY_EINVAL,
                        "width_kept is %g and there is a trace, which says how wide layers are: "
                        "give one of both",
                        p[P_WIDTH_KEPT].f);
    return sky_job_network_check(p[P_NETWORK].s, NULL, e);
}

static sky_err check_inputs(sky_job_ctx *ctx, const sky_descriptor *d, const sky_value *p,
                            sky_error *e)
{
    (void)d;
    const sky_network *net = NULL;
    return sky_job_inputs(p[P_NETWORK].s, p[P_TRACE].s, ctx->workdir, &net, e);
}

static const sky_wavecore_memory *memory_of(const sky_value *p)
{
    return &sky_wavecore_memories()[choice(memories, p[P_MEMORY].s)];
}

static sky_wavecore_machine machine_of(const sky_value *p)
{
    const sky_wavecore_memory *memory = memory_of(p);
    const double gib_s = p[P_DRAM_GIB_S].f > 0 ? p[P_DRAM_GIB_S].f : memory->gib_per_s;
    const double pj = p[P_DRAM_PJ_PER_BIT].f > 0 ? p[P_DRAM_PJ_PER_BIT].f : memory->pj_per_bit;
    const int32_t array = (int32_t)p[P_ARRAY].i, lanes = (int32_t)p[P_VECTOR_LANES].i;
    return (sky_wavecore_machine){.variant = (sky_wavecore_variant)choice(variants, p[P_VARIANT].s),
                                  .optimal = choice(groupings, p[P_GROUPING].s) == 1,
                                  .overlap_step = choice(overlaps, p[P_OVERLAP].s) == 1,
                                  .batch = (int32_t)p[P_BATCH].i,
                                  .cores = (int32_t)p[P_CORES].i,
                                  .array = array,
                                  .stream_max = array * (int32_t)p[P_STREAM_RATIO].i,
                                  .vector_lanes = lanes > 0 ? lanes : array,
                                  .norm_passes = (int32_t)p[P_NORM_PASSES].i,
                                  .mask_bits = (int32_t)p[P_MASK_BITS].i,
                                  .dw_bytes = (int32_t)p[P_DW_BYTES].i,
                                  .update_bytes = (int32_t)p[P_UPDATE_BYTES].i,
                                  .buffer_bytes = (int64_t)(p[P_BUFFER_MIB].f * 1048576.0),
                                  .clock_hz = p[P_CLOCK_GHZ].f * 1e9,
                                  .dram_bytes_per_s = gib_s * 1073741824.0,
                                  .dram_j_per_byte = pj * 8e-12,
                                  .static_w = p[P_STATIC_W].f};
}

/* --- networks, ready to be scheduled --- */

typedef struct ready {
    const sky_network *network; /* NULL: none */
    double width;               /* negative: a stage of a trace, for one row only */
    bool fused;
    sky_wavecore_net net;
} ready;

enum { SLOTS = 16 };

/* What rows share: the last networks. */
typedef struct memory {
    ready slots[SLOTS];
    size_t next; /* the slot that the next network replaces */
    int32_t *channels;
    sky_conv_shape *convs;
    int32_t cap; /* of the last two: layers */
} memory;

static sky_err no_memory(sky_error *e)
{
    return sky_fail(e, SKY_ENOMEM, "wavecore: out of memory");
}

static sky_err make_room(memory *m, sky_job_ctx *ctx, const sky_network *net, sky_error *e)
{
    if (net->n_layers <= m->cap)
        return SKY_OK;
    m->cap = 0;
    m->channels = sky_new(ctx->scratch, int32_t, (size_t)net->n_layers);
    m->convs = sky_new(ctx->scratch, sky_conv_shape, (size_t)net->n_layers);
    if (!m->channels || !m->convs)
        return no_memory(e);
    m->cap = net->n_layers;
    return SKY_OK;
}

/* The network at the row's width. */
static sky_err find_ready(memory *m, sky_job_ctx *ctx, const sky_network *net, double width,
                          bool fused, const sky_wavecore_net **out, sky_error *e)
{
    for (size_t i = 0; i < SLOTS; i++) {
        const ready *r = &m->slots[i];
        if (r->network == net && r->width == width && r->fused == fused) {
            *out = &r->net;
            return SKY_OK;
        }
    }
    ready *r = &m->slots[m->next];
    m->next = (m->next + 1) % SLOTS;
    r->network = NULL; /* until it is whole */
    sky_err err = make_room(m, ctx, net, e);
    if (err != SKY_OK)
        return err;
    sky_network_scale(net, width, m->channels);
    sky_network_convs(net, m->channels, false, m->convs);
    err = sky_wavecore_prepare(&r->net, net, m->channels, m->convs, fused, ctx->scratch, e);
    if (err != SKY_OK)
        return err;
    r->network = net;
    r->width = width;
    r->fused = fused;
    *out = &r->net;
    return SKY_OK;
}

/* The network at a stage of a trace, in a slot that nobody finds again. */
static sky_err ready_stage(memory *m, sky_job_ctx *ctx, const sky_job_bound_trace *t, int32_t stage,
                           bool fused, const sky_wavecore_net **out, sky_error *e)
{
    ready *r = &m->slots[m->next];
    r->network = NULL;
    sky_err err = make_room(m, ctx, t->network, e);
    if (err != SKY_OK)
        return err;
    sky_trace_channels(&t->trace, &t->map, stage, t->network, m->channels);
    sky_trace_convs(&t->trace, &t->map, stage, t->network, m->channels, false, m->convs);
    err = sky_wavecore_prepare(&r->net, t->network, m->channels, m->convs, fused, ctx->scratch, e);
    *out = &r->net;
    return err;
}

/* --- one point --- */

/* Adds a step's metrics, times a weight. Rates are set at the end. */
static void add_step(double *v, const sky_wavecore_machine *m, const sky_wavecore_net *w,
                     double weight)
{
    const sky_wavecore_schedule s = sky_wavecore_plan(w, m);
    sky_wavecore_cost c;
    sky_wavecore_step(w, m, &s, &c);
    const sky_wavecore_energy j = sky_wavecore_energy_of(m, &c);
    const double all = weight * m->cores; /* cores */
    int32_t sub_batch = m->batch, iterations = 1;
    for (int32_t g = 0; g < s.n_groups; g++) {
        sub_batch = s.groups[g].sub_batch < sub_batch ? s.groups[g].sub_batch : sub_batch;
        iterations = s.groups[g].iterations > iterations ? s.groups[g].iterations : iterations;
    }
    const int64_t kept = w->stored * SKY_WAVECORE_WORD_BYTES * m->batch +
                         c.bytes.of[SKY_WAVECORE_MASK_WRITE] +
                         w->params * (SKY_WAVECORE_WORD_BYTES + m->dw_bytes);
    const double energies[] = {j.mac_j, j.vector_j, j.local_j, j.buffer_j, j.dram_j, j.static_j};
    for (int i = 0; i < 6; i++) {
        v[M_ENERGY_MAC + i] += weight * energies[i];
        v[M_ENERGY_J] += weight * energies[i];
    }
    for (int i = 0; i < SKY_WAVECORE_CAUSES; i++)
        v[M_CAUSES + i] += all * (double)c.bytes.of[i];
    v[M_TIME_S] += weight * c.time_s;
    v[M_DRAM_BYTES] += all * (double)sky_wavecore_total(&c.bytes);
    v[M_FORWARD_BYTES] += all * (double)c.forward_bytes;
    v[M_NORM_BYTES] += all * (double)c.norm_bytes;
    v[M_GREEDY_BYTES] += all * (double)s.greedy_bytes;
    v[M_OPTIMAL_BYTES] += all * (double)s.optimal_bytes;
    v[M_GBUF_BYTES] += all * (double)c.buffer_bytes;
    v[M_DRAM_USED_BYTES] += all * (double)kept;
    v[M_GROUPS] += weight * s.n_groups;
    v[M_SUB_BATCH_MIN] += weight * sub_batch;
    v[M_ITERATIONS_MAX] += weight * iterations;
    v[M_MACS] += all * (double)c.macs;
    v[M_FORWARD_S] += weight * c.forward_s;
    v[M_CONV_S] += weight * c.conv_s;
    v[M_VECTOR_S] += weight * c.vector_s;
    v[M_DRAM_S] += weight * c.dram_s;
}

static sky_err evaluate(memory *mem, sky_job_ctx *ctx, const sky_value *p, double *v, sky_error *e)
{
    const sky_wavecore_machine m = machine_of(p);
    const bool fused = choice(relus, p[P_RELU].s) == 1;
    const sky_network *net;
    const sky_wavecore_net *w;
    memset(v, 0, N_METRICS * sizeof *v);
    sky_err err = sky_job_network(p[P_NETWORK].s, ctx->workdir, &net, e);
    if (err != SKY_OK)
        return err;
    if (!has_trace(p)) {
        err = find_ready(mem, ctx, net, p[P_WIDTH_KEPT].f, fused, &w, e);
        if (err != SKY_OK)
            return err;
        add_step(v, &m, w, 1);
    } else {
        const sky_job_bound_trace *t;
        err = sky_job_trace(p[P_TRACE].s, ctx->workdir, net, &t, e);
        for (int32_t i = 0; err == SKY_OK && i < t->trace.n_stages; i++) {
            err = ready_stage(mem, ctx, t, i, fused, &w, e);
            if (err == SKY_OK)
                add_step(v, &m, w, sky_trace_weight(&t->trace, i));
        }
        if (err != SKY_OK)
            return err;
    }
    const double pes = (double)m.array * m.array * m.cores * m.clock_hz;
    v[M_DRAM_USED_SHARE] = v[M_DRAM_USED_BYTES] / (memory_of(p)->gib * 1073741824.0);
    v[M_SAMPLES_PER_S] = (double)m.batch * m.cores / v[M_TIME_S];
    v[M_CONV_UTILIZATION] = v[M_MACS] / (pes * v[M_CONV_S]);
    v[M_PE_UTILIZATION] = v[M_MACS] / (pes * v[M_TIME_S]);
    return SKY_OK;
}

static sky_err run_batch(sky_job_ctx *ctx, size_t n, const uint64_t *seeds, const sky_column *in,
                         sky_column *out, sky_error *e)
{
    (void)seeds;
    memory *mem = sky_new(ctx->scratch, memory, 1);
    if (!mem)
        return no_memory(e);
    for (size_t i = 0; i < n; i++) {
        sky_value p[N_PARAMS];
        for (size_t k = 0; k < N_PARAMS; k++)
            p[k] = sky_column_get(&in[k], i);
        double v[N_METRICS];
        sky_error why = {0};
        sky_err err = evaluate(mem, ctx, p, v, &why);
        if (err == SKY_ENOMEM)
            return sky_fail(e, err, "%s", why.text);
        if (err != SKY_OK)
            ctx->fail_row(ctx, i, why.text); /* a file that cannot be read fails its row alone */
        for (size_t k = 0; k < N_METRICS; k++)
            out[k].f[i] = v[k];
    }
    return SKY_OK;
}

/* --- details --- */

static const char *kind_name(sky_wavecore_kind k)
{
    static const char *const names[] = {"conv", "matmul", "norm", "activation",
                                        "pool", "add",    "copy"};
    return names[k];
}

static void put_line(sky_buf *csv, const sky_wavecore_net *w, const sky_wavecore_machine *m,
                     const sky_wavecore_schedule *s, int32_t op)
{
    const sky_wavecore_op *o = &w->ops[op];
    const sky_wavecore_unit *u = &w->units[o->unit];
    const sky_wavecore_group *g = &s->groups[s->group_of[o->unit]];
    const bool live = s->live[o->unit];
    sky_wavecore_cost c;
    sky_wavecore_op_cost(w, m, s, op, &c);
    const char *name = w->network->layers[o->layer].name;
    sky_buf_printf(csv, "%" PRId32 ",", o->layer);
    sky_buf_csv(csv, name ? name : "");
    sky_buf_printf(csv, ",%s,%" PRId32 ",%" PRId32 ",%" PRId32 ",%" PRId32 ",%s",
                   kind_name(o->kind), o->unit, s->group_of[o->unit], g->sub_batch, g->iterations,
                   live ? "yes" : "no");
    sky_buf_printf(csv, ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64,
                   (live ? u->live_footprint : u->footprint) * SKY_WAVECORE_WORD_BYTES,
                   o->footprint * SKY_WAVECORE_WORD_BYTES, o->in, o->out, o->params);
    for (int i = 0; i < SKY_WAVECORE_CAUSES; i++)
        sky_buf_printf(csv, ",%" PRId64, c.bytes.of[i]);
    sky_buf_printf(csv, ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",",
                   sky_wavecore_total(&c.bytes), c.macs, c.conv_cycles, c.vector_cycles);
    sky_buf_f64(csv, c.dram_s);
    sky_buf_putc(csv, ',');
    sky_buf_f64(csv, c.time_s);
    sky_buf_putc(csv, '\n');
}

static sky_err put_table(sky_buf *csv, const sky_wavecore_net *w, const sky_wavecore_machine *m)
{
    const sky_wavecore_schedule s = sky_wavecore_plan(w, m);
    sky_buf_puts(csv, "index,layer,kind,unit,group,sub_batch,iterations,branches_share,"
                      "unit_footprint_bytes,layer_footprint_bytes,values_in,values_out,params");
    for (int i = 0; i < SKY_WAVECORE_CAUSES; i++)
        sky_buf_printf(csv, ",%s", metrics[M_CAUSES + i].name);
    sky_buf_puts(csv, ",dram_bytes,macs,conv_cycles,vector_cycles,dram_s,time_s\n");
    for (int32_t o = 0; o < w->n_ops; o++)
        put_line(csv, w, m, &s, o);
    return sky_buf_ok(csv) ? SKY_OK : SKY_ENOMEM;
}

static sky_err details(sky_job_ctx *ctx, const sky_value *p, sky_buf *csv, sky_error *e)
{
    const sky_wavecore_machine m = machine_of(p);
    const bool fused = choice(relus, p[P_RELU].s) == 1;
    memory *mem = sky_new(ctx->scratch, memory, 1);
    const sky_network *net;
    const sky_wavecore_net *w;
    if (!mem)
        return no_memory(e);
    if (has_trace(p))
        return sky_fail(e, SKY_EINVAL, "details are of one network: give width_kept, no trace");
    sky_err err = sky_job_network(p[P_NETWORK].s, ctx->workdir, &net, e);
    if (err == SKY_OK)
        err = find_ready(mem, ctx, net, p[P_WIDTH_KEPT].f, fused, &w, e);
    if (err != SKY_OK)
        return err;
    err = put_table(csv, w, &m);
    return err == SKY_OK ? SKY_OK : no_memory(e);
}

const sky_job sky__job_wavecore = {
    .abi = SKY_JOB_ABI,
    .d = {.name = "wavecore",
          .version = "1",
          .summary = "Training with mini-batch serialization: DRAM traffic, time and energy",
          .source = "Lym et al.: Mini-batch Serialization, SysML 2019 (arXiv 1810.00307)",
          .params = params,
          .n_params = N_PARAMS,
          .metrics = metrics,
          .n_metrics = N_METRICS},
    .validate = validate,
    .check_inputs = check_inputs,
    .run_batch = run_batch,
    .details = details,
};

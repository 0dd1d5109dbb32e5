/* Job `flexsa`: one training step of a network on a FlexSA organisation (hw/flexsa.h). What each number
 * means and what is left out: docs/jobs/flexsa.md. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "hw/flexsa.h"
#include "jobs/job_params.h"
#include "jobs/jobs_internal.h"
#include "jobs/netfile.h"
#include "jobs/pruned.h"

enum {
    P_NETWORK,
    P_ORGANISATION,
    P_ARRAY,
    P_CORE_ROWS,
    P_CORE_COLS,
    P_STREAM_RATIO,
    P_LOADS,
    P_TILING,
    P_SWAP,
    P_WIDTH_KEPT,
    P_TRACE,
    P_PRUNED,
    P_PRUNED_SPREAD,
    P_TRACE_SEED,
    P_TRACE_AT,
    P_DEPTHWISE,
    P_BATCH,
    P_PHASE,
    P_MEMORY,
    P_DRAM_GB_S,
    P_GBUF_MIB,
    P_CLOCK_GHZ,
    P_LBUFS,
    P_MAC_PJ,
    P_LBUF_PJ_BYTE,
    P_GBUF_PJ_BYTE,
    P_DRAM_PJ_BIT,
    N_PARAMS,
};
enum {
    M_PE_UTILIZATION,
    M_TIME_S,
    M_ENERGY_J,
    M_GBUF_BYTES,
    M_DRAM_BYTES,
    M_MACS,
    M_CYCLES,
    M_HEURISTIC_CYCLES,
    M_GBUF_STATIONARY,
    M_GBUF_MOVING,
    M_GBUF_OUTPUT,
    M_ENERGY_MAC,
    M_ENERGY_LBUF,
    M_ENERGY_GBUF,
    M_ENERGY_DRAM,
    M_FW_SHARE,
    M_VSW_SHARE,
    M_HSW_SHARE,
    M_ISW_SHARE,
    N_METRICS,
};

enum { ALL_PHASES = SKY_PHASES };
static const char *const phases[] = {[SKY_FORWARD] = "forward",
                                     [SKY_DGRAD] = "dgrad",
                                     [SKY_WGRAD] = "wgrad",
                                     [ALL_PHASES] = "training",
                                     NULL};
static const char *const memories[] = {"ideal", "hbm2", NULL};
static const char *const loads[] = {"rowwise", "wide", NULL};
static const char *const tilings[] = {"heuristic", "best", NULL};
static const char *const swaps[] = {"none", "wgrad", "all", NULL};
static const uint8_t swap_phases[] = {0, 1 << SKY_WGRAD,
                                      1 << SKY_FORWARD | 1 << SKY_DGRAD | 1 << SKY_WGRAD};
static const char *const lbufs[] = {"core", "array", NULL};
static const char *const depthwise[] = {"arrays", "elsewhere", NULL};
static const char *const whens[] = {
    [SKY_PRUNED_MEAN] = "mean", [SKY_PRUNED_FIRST] = "first", [SKY_PRUNED_LAST] = "last", NULL};

/* The search for the best tiling looks at every size of pieces: up to this edge, a second or so a network. */
enum { SEARCH_EDGE_MAX = 512 };

static int choice(const char *const *list, const char *text)
{
    int i = 0;
    while (list[i + 1] && strcmp(list[i], text) != 0)
        i++;
    return i;
}

#define ENERGY(NAME, UNIT, OF)                                                                     \
    SKY__REAL(NAME, UNIT, 0, 0, 1e6, "energy of " OF "; 0: hw/constants.h")

static const sky_param params[N_PARAMS] = {
    [P_NETWORK] =
        SKY__TEXT("network", "resnet50", NULL,
                  "resnet50, inception_v4, ... (skyline networks), or a file: .onnx, .csv"),
    [P_ORGANISATION] =
        SKY__TEXT("organisation", "1G1F", NULL,
                  "groups (G) of rigid (C) or flexible (F) arrays: 1G1C, 1G4C, 4G1F, "
                  "16G2C, ..."),
    [P_ARRAY] =
        SKY__INTEGER("array", "PEs", 128, 2, 4096, "edge of all PEs together, as one square"),
    [P_CORE_ROWS] =
        SKY__INTEGER("core_rows", "PEs", 0, 0, 4096, "rows of each array; 0: from array"),
    [P_CORE_COLS] =
        SKY__INTEGER("core_cols", "PEs", 0, 0, 4096, "columns of each array; 0: from array"),
    [P_STREAM_RATIO] =
        SKY__INTEGER("stream_ratio", "", 2, 1, 64,
                     "rows that stream past one resting tile, over the array's rows"),
    [P_LOADS] =
        SKY__TEXT("loads", "rowwise", loads,
                  "a resting tile shifts in row by row (short streams wait), or all at once"),
    [P_TILING] = SKY__TEXT("tiling", "heuristic", tilings, "the paper's, or the best there is"),
    [P_SWAP] =
        SKY__TEXT("swap", "wgrad", swaps, "products that tiling best may compute transposed"),
    [P_WIDTH_KEPT] =
        SKY__REAL("width_kept", "", 1, 0.01, 1,
                  "part of each layer's channels that pruning keeps, rounded to nearest"),
    [P_TRACE] = SKY__TEXT("trace", "", NULL, "file of channels per layer over a training run"),
    [P_PRUNED] = SKY__REAL("pruned", "", 0, 0, 0.99,
                           "above 0: a made-up trace, its mean part of channels gone at the end"),
    [P_PRUNED_SPREAD] =
        SKY__REAL("pruned_spread", "", 0.5, 0.001, 1, "of a made-up trace: how much layers differ"),
    [P_TRACE_SEED] = SKY__INTEGER("trace_seed", "", 0, 0, 9007199254740992.0, "of a made-up trace"),
    [P_TRACE_AT] =
        SKY__TEXT("trace_at", "mean", whens, "mean over the training, or one of its ends"),
    [P_DEPTHWISE] =
        SKY__TEXT("depthwise", "arrays", depthwise,
                  "depthwise convolutions: on the arrays, or elsewhere and not counted"),
    [P_BATCH] = SKY__INTEGER("batch", "samples", 32, 1, 4096, "samples of one step"),
    [P_PHASE] = SKY__TEXT("phase", "training", phases, "which products count"),
    [P_MEMORY] = SKY__TEXT("memory", "ideal", memories, "ideal: never waits for DRAM"),
    [P_DRAM_GB_S] =
        SKY__REAL("dram_gb_s", "GB/s", 270, 0.001, 1e6, "bandwidth, unless memory is ideal"),
    [P_GBUF_MIB] = SKY__REAL("gbuf_mib", "MiB", 10, 0.125, 4096, "global buffer"),
    [P_CLOCK_GHZ] = SKY__REAL("clock_ghz", "GHz", 0.7, 0.001, 100, "clock of the arrays"),
    [P_LBUFS] =
        SKY__TEXT("lbufs", "core", lbufs,
                  "a flexible array's local buffers: a set in each quarter, or one for all"),
    [P_MAC_PJ] = ENERGY("mac_pj", "pJ", "multiplying and adding"),
    [P_LBUF_PJ_BYTE] = ENERGY("lbuf_pj_byte", "pJ/B", "a byte of a buffer beside an array"),
    [P_GBUF_PJ_BYTE] = ENERGY("gbuf_pj_byte", "pJ/B", "a byte of the global buffer"),
    [P_DRAM_PJ_BIT] = ENERGY("dram_pj_bit", "pJ/bit", "a bit of DRAM"),
};

#define METRIC(NAME, TYPE, UNIT, GOAL, DOC)                                                        \
    {                                                                                              \
        .name = (NAME), .type = (TYPE), .unit = (UNIT), .doc = (DOC), .goal = (GOAL),              \
        .cls = SKY_EXACT                                                                           \
    }

static const sky_metric metrics[N_METRICS] = {
    [M_PE_UTILIZATION] = METRIC("pe_utilization", SKY_REAL, "", SKY_MAX,
                                "useful multiplications over what the PEs could do in that time"),
    [M_TIME_S] = METRIC("time_s", SKY_REAL, "s", SKY_MIN, "of one step"),
    [M_ENERGY_J] = METRIC("energy_j", SKY_REAL, "J", SKY_MIN, "of one step: the four parts below"),
    [M_GBUF_BYTES] =
        METRIC("gbuf_bytes", SKY_INT, "B", SKY_MIN, "between global buffer and arrays"),
    [M_DRAM_BYTES] = METRIC("dram_bytes", SKY_INT, "B", SKY_MIN, "between DRAM and chip"),
    [M_MACS] = METRIC("macs", SKY_INT, "", SKY_NO_GOAL, "useful multiplications"),
    [M_CYCLES] = METRIC("cycles", SKY_INT, "cycles", SKY_MIN, "with ideal memory"),
    [M_HEURISTIC_CYCLES] = METRIC("heuristic_cycles", SKY_INT, "cycles", SKY_NO_GOAL,
                                  "what the paper's tiling takes; differs with tiling best"),
    [M_GBUF_STATIONARY] = METRIC("gbuf_stationary_bytes", SKY_INT, "B", SKY_MIN,
                                 "of gbuf_bytes: operands that rest in the arrays"),
    [M_GBUF_MOVING] = METRIC("gbuf_moving_bytes", SKY_INT, "B", SKY_MIN,
                             "of gbuf_bytes: operands that stream through"),
    [M_GBUF_OUTPUT] = METRIC("gbuf_output_bytes", SKY_INT, "B", SKY_MIN,
                             "of gbuf_bytes: results, and partial sums of split depths"),
    [M_ENERGY_MAC] = METRIC("energy_mac_j", SKY_REAL, "J", SKY_MIN, "multiplying and adding"),
    [M_ENERGY_LBUF] = METRIC("energy_lbuf_j", SKY_REAL, "J", SKY_MIN, "buffers beside the arrays"),
    [M_ENERGY_GBUF] = METRIC("energy_gbuf_j", SKY_REAL, "J", SKY_MIN, "global buffer"),
    [M_ENERGY_DRAM] = METRIC("energy_dram_j", SKY_REAL, "J", SKY_MIN, "DRAM"),
    [M_FW_SHARE] =
        METRIC("fw_share", SKY_REAL, "", SKY_NO_GOAL, "part of the waves on the whole array"),
    [M_VSW_SHARE] = METRIC("vsw_share", SKY_REAL, "", SKY_NO_GOAL, "part on two upright halves"),
    [M_HSW_SHARE] = METRIC("hsw_share", SKY_REAL, "", SKY_NO_GOAL, "part on two flat halves"),
    [M_ISW_SHARE] = METRIC("isw_share", SKY_REAL, "", SKY_NO_GOAL, "part on four quarters"),
};

/* Edges of products are below 2^31 (hw/flexsa.h). */
static bool fits(const sky_network *net, int64_t batch)
{
    for (int32_t i = 0; i < net->n_layers; i++) {
        const sky_layer *l = &net->layers[i];
        int64_t window =
            l->kind == SKY_LAYER_CONV ? (int64_t)l->window.kernel_h * l->window.kernel_w : 1;
        if (batch * l->out.h * l->out.w > INT32_MAX || window * l->out.c > INT32_MAX)
            return false;
        for (int32_t k = 0; k < l->n_inputs; k++) {
            sky_shape in = net->layers[l->input[k]].out;
            int64_t values = l->kind == SKY_LAYER_LINEAR ? (int64_t)in.h * in.w : window;
            if (values > INT32_MAX / in.c)
                return false;
        }
    }
    return true;
}

static sky_err check_fits(const sky_network *net, int64_t batch, sky_error *e)
{
    if (fits(net, batch))
        return SKY_OK;
    return sky_fail(e, SKY_ELIMIT,
                    "batch %" PRId64 " of network '%s': a product has an edge of 2^31 or more",
                    batch, net->name);
}

static sky_err read_organisation(const sky_value *p, sky_flexsa_org *org, sky_array *core,
                                 sky_error *e)
{
    const sky_err err = sky_flexsa_org_parse(p[P_ORGANISATION].s, org);
    if (err == SKY_ELIMIT)
        return sky_fail(e, err, "organisation '%.40s': at most %d groups of %d arrays",
                        p[P_ORGANISATION].s, SKY_FLEXSA_GROUPS_MAX, SKY_FLEXSA_UNITS_MAX);
    if (err != SKY_OK)
        return sky_fail(
            e, SKY_EINVAL,
            "organisation '%.40s': expected groups, G, arrays in each, and C (rigid) or "
            "F (flexible): 1G1C, 4G4C, 1G1F, ...",
            p[P_ORGANISATION].s);
    const int32_t edge = sky_flexsa_core_edge(*org, (int32_t)p[P_ARRAY].i);
    core->rows = p[P_CORE_ROWS].i ? p[P_CORE_ROWS].i : edge;
    core->cols = p[P_CORE_COLS].i ? p[P_CORE_COLS].i : edge;
    if (core->rows == 0 || core->cols == 0)
        return sky_fail(e, SKY_EINVAL,
                        "array %" PRId64 " cannot be cut into the %s%s squares of %s: give "
                        "core_rows and core_cols, or another array",
                        p[P_ARRAY].i, p[P_ORGANISATION].s, org->flexible ? " even" : "",
                        p[P_ORGANISATION].s);
    if (org->flexible && (core->rows % 2 || core->cols % 2))
        return sky_fail(e, SKY_EINVAL,
                        "a flexible array of %" PRId64 " x %" PRId64
                        " cannot be cut in halves: even numbers are expected",
                        core->rows, core->cols);
    return SKY_OK;
}

static sky_pruned_spec spec_of(const sky_value *p)
{
    return (sky_pruned_spec){.network = p[P_NETWORK].s,
                             .width = p[P_WIDTH_KEPT].f,
                             .trace = p[P_TRACE].s,
                             .ratio = p[P_PRUNED].f,
                             .spread = p[P_PRUNED_SPREAD].f,
                             .seed = (uint64_t)p[P_TRACE_SEED].i,
                             .when = (sky_pruned_when)choice(whens, p[P_TRACE_AT].s)};
}

static sky_err validate(const sky_value *p, sky_error *e)
{
    const sky_network *net = NULL;
    sky_err err = sky_job_network_check(p[P_NETWORK].s, &net, e);
    if (err != SKY_OK)
        return err;
    sky_flexsa_org org;
    sky_array core;
    err = read_organisation(p, &org, &core, e);
    if (err != SKY_OK)
        return err;
    if (choice(tilings, p[P_TILING].s) == 1 &&
        (core.rows > SEARCH_EDGE_MAX || core.cols > SEARCH_EDGE_MAX))
        return sky_fail(e, SKY_ELIMIT,
                        "tiling best: arrays of at most %d x %d, not %" PRId64 " x %" PRId64,
                        SEARCH_EDGE_MAX, SEARCH_EDGE_MAX, core.rows, core.cols);
    const sky_pruned_spec spec = spec_of(p);
    err = sky_pruned_check(&spec, e);
    return err == SKY_OK && net ? check_fits(net, p[P_BATCH].i, e) : err;
}

static sky_err check_inputs(sky_job_ctx *ctx, const sky_descriptor *d, const sky_value *p,
                            sky_error *e)
{
    (void)d;
    const sky_network *net = NULL;
    const sky_err err = sky_job_inputs(p[P_NETWORK].s, p[P_TRACE].s, ctx->workdir, &net, e);
    return err == SKY_OK ? check_fits(net, p[P_BATCH].i, e) : err;
}

/* --- one point --- */

typedef struct point {
    sky_flexsa_machine machine;
    int32_t batch;
    int first_phase, last_phase;
    bool no_depthwise;
} point;

static point point_of(const sky_value *p)
{
    sky_flexsa_org org = {1, 1, false};
    sky_array core = {1, 1};
    const sky_err err = read_organisation(p, &org, &core, NULL);
    assert(err == SKY_OK); /* validate() has seen it */
    (void)err;
    point x = {.machine = sky_flexsa_machine_of(org, core, (int32_t)p[P_STREAM_RATIO].i),
               .batch = (int32_t)p[P_BATCH].i,
               .no_depthwise = choice(depthwise, p[P_DEPTHWISE].s) == 1,
               .last_phase = SKY_PHASES - 1};
    x.machine.unit.wide_load = choice(loads, p[P_LOADS].s) == 1;
    x.machine.search = choice(tilings, p[P_TILING].s) == 1;
    x.machine.swap_phases = swap_phases[choice(swaps, p[P_SWAP].s)];
    x.machine.gbuf_bytes = (int64_t)(p[P_GBUF_MIB].f * 1048576.0);
    x.machine.clock_hz = p[P_CLOCK_GHZ].f * 1e9;
    x.machine.dram_bytes_per_s =
        choice(memories, p[P_MEMORY].s) == 0 ? INFINITY : p[P_DRAM_GB_S].f * 1e9;
    x.machine.unit_lbufs = choice(lbufs, p[P_LBUFS].s) == 1;
    x.machine.energies = (sky_flexsa_energies){.mac_pj = p[P_MAC_PJ].f,
                                               .lbuf_pj_per_byte = p[P_LBUF_PJ_BYTE].f,
                                               .gbuf_pj_per_byte = p[P_GBUF_PJ_BYTE].f,
                                               .dram_pj_per_bit = p[P_DRAM_PJ_BIT].f};
    int phase = choice(phases, p[P_PHASE].s);
    if (phase != ALL_PHASES)
        x.first_phase = x.last_phase = phase;
    return x;
}

/* What neighbouring rows may share. */
typedef struct loaded {
    sky_pruned net;
    const sky_network *checked;
    int64_t batch_max; /* of checked: the largest batch that is known to fit */
    /* Products of net's present layers on some arrays, and the sum of what they cost without memory. */
    sky_flexsa_product *products;
    int32_t n_products, cap;
    sky_flexsa_cost sum;
    point of;             /* whose arrays they are */
    uint64_t version;     /* of net; 0: there are none */
    sky_flexsa_cost last; /* of the point before, and what it was of; 0: there is none */
    point last_of;
    uint64_t last_loads;
} loaded;

static sky_err load(loaded *l, sky_job_ctx *ctx, const sky_value *p, sky_error *e)
{
    const sky_pruned_spec spec = spec_of(p);
    sky_err err = sky_pruned_load(&l->net, ctx, &spec, e);
    if (err == SKY_OK && l->cap < SKY_PHASES * l->net.network->n_layers) {
        const int32_t cap = SKY_PHASES * l->net.network->n_layers;
        l->version = 0;
        l->products = sky_new(ctx->scratch, sky_flexsa_product, (size_t)cap);
        l->cap = l->products ? cap : 0;
        if (!l->products)
            err = sky_fail(e, SKY_ENOMEM, "flexsa: %s", sky_strerror(SKY_ENOMEM));
    }
    if (err != SKY_OK || (l->checked == l->net.network && l->batch_max >= p[P_BATCH].i))
        return err;
    err = check_fits(l->net.network, p[P_BATCH].i, e);
    if (err == SKY_OK) {
        l->checked = l->net.network;
        l->batch_max = p[P_BATCH].i;
    }
    return err;
}

/* Do two points differ in memory, clock and energies at most? */
static bool same_arrays(const point *a, const point *b)
{
    const sky_flexsa_machine *x = &a->machine, *y = &b->machine;
    return x->unit.rows == y->unit.rows && x->unit.cols == y->unit.cols &&
           x->unit.stream_max == y->unit.stream_max && x->unit.cuts == y->unit.cuts &&
           x->unit.wide_load == y->unit.wide_load && x->groups == y->groups &&
           x->units == y->units && x->search == y->search && x->swap_phases == y->swap_phases &&
           a->batch == b->batch && a->first_phase == b->first_phase &&
           a->last_phase == b->last_phase && a->no_depthwise == b->no_depthwise;
}

static bool is_skipped(const point *x, const sky_conv_shape *s)
{
    return x->no_depthwise && s->groups > 1 && s->c == 1 && !s->per_sample;
}

static sky_flexsa_cost evaluate_stage(const point *x, loaded *l, int32_t stage)
{
    const sky_pruned *net = &l->net;
    sky_pruned_stage(&l->net, stage, true);
    if (l->version != net->version || !same_arrays(&l->of, x)) {
        l->n_products = 0;
        l->sum = (sky_flexsa_cost){0};
        for (int phase = x->first_phase; phase <= x->last_phase; phase++) {
            for (int32_t i = 0; i < net->n_convs; i++) {
                if (is_skipped(x, &net->convs[i]))
                    continue;
                l->products[l->n_products++] = sky_flexsa_compute(
                    &x->machine, &net->convs[i], x->batch, (sky_phase)phase, &l->sum);
            }
        }
        l->version = net->version;
        l->of = *x;
    }
    sky_flexsa_cost sum = l->sum;
    for (int32_t i = 0; i < l->n_products; i++)
        sky_flexsa_add_memory(&x->machine, &l->products[i], &sum);
    return sum;
}

static bool same_memory(const point *a, const point *b)
{
    const sky_flexsa_machine *x = &a->machine, *y = &b->machine;
    return x->gbuf_bytes == y->gbuf_bytes && x->clock_hz == y->clock_hz &&
           x->dram_bytes_per_s == y->dram_bytes_per_s;
}

/* The mean step of the stages that count; whole numbers are rounded to nearest. */
static sky_flexsa_cost evaluate_mean(const point *x, loaded *l)
{
    const sky_pruned *net = &l->net;
    if (net->n_stages == 1)
        return evaluate_stage(x, l, net->first_stage);
    sky_flexsa_mean mean = {0};
    for (int32_t i = net->first_stage; i < net->first_stage + net->n_stages; i++) {
        const sky_flexsa_cost c = evaluate_stage(x, l, i);
        sky_flexsa_mean_add(&mean, &c, sky_pruned_weight(net, i));
    }
    return sky_flexsa_mean_cost(&mean);
}

static sky_flexsa_cost evaluate(const point *x, loaded *l)
{
    if (l->last_loads == l->net.loads && same_arrays(&l->last_of, x) && same_memory(&l->last_of, x))
        return l->last; /* energies at most differ */
    l->last = evaluate_mean(x, l);
    l->last_of = *x;
    l->last_loads = l->net.loads;
    return l->last;
}

static void put(sky_column *out, size_t i, const point *x, const sky_flexsa_cost *c)
{
    sky_flexsa_energy e = sky_flexsa_energy_of(&x->machine, c);
    double waves =
        (double)(c->waves[SKY_FW] + c->waves[SKY_VSW] + c->waves[SKY_HSW] + c->waves[SKY_ISW]);
    out[M_PE_UTILIZATION].f[i] = sky_flexsa_utilization(&x->machine, c);
    out[M_TIME_S].f[i] = c->time_s;
    out[M_ENERGY_J].f[i] = e.mac_j + e.lbuf_j + e.gbuf_j + e.dram_j;
    out[M_GBUF_BYTES].i[i] = c->stationary_bytes + c->moving_bytes + c->output_bytes;
    out[M_DRAM_BYTES].i[i] = c->dram_bytes;
    out[M_MACS].i[i] = c->macs;
    out[M_CYCLES].i[i] = c->cycles;
    out[M_HEURISTIC_CYCLES].i[i] = c->greedy_cycles;
    out[M_GBUF_STATIONARY].i[i] = c->stationary_bytes;
    out[M_GBUF_MOVING].i[i] = c->moving_bytes;
    out[M_GBUF_OUTPUT].i[i] = c->output_bytes;
    out[M_ENERGY_MAC].f[i] = e.mac_j;
    out[M_ENERGY_LBUF].f[i] = e.lbuf_j;
    out[M_ENERGY_GBUF].f[i] = e.gbuf_j;
    out[M_ENERGY_DRAM].f[i] = e.dram_j;
    for (int mode = 0; mode < SKY_FLEXSA_MODES; mode++) {
        out[M_FW_SHARE + mode].f[i] = (double)c->waves[mode] / waves;
    }
}

static sky_err run_batch(sky_job_ctx *ctx, size_t n, const uint64_t *seeds, const sky_column *in,
                         sky_column *out, sky_error *e)
{
    (void)seeds;
    loaded l = {0};
    sky_err err = SKY_OK;
    for (size_t i = 0; i < n && err == SKY_OK; i++) {
        sky_value p[N_PARAMS];
        for (size_t k = 0; k < N_PARAMS; k++)
            p[k] = sky_column_get(&in[k], i);
        sky_error why = {0};
        const sky_err found = load(&l, ctx, p, &why);
        if (found == SKY_ENOMEM) {
            err = sky_fail(e, found, "%s", why.text);
        } else if (found != SKY_OK) {
            ctx->fail_row(ctx, i, why.text); /* a file that is not there fails its row alone */
        } else {
            point x = point_of(p);
            sky_flexsa_cost cost = evaluate(&x, &l);
            put(out, i, &x, &cost);
        }
    }
    sky_pruned_close(&l.net);
    return err;
}

/* --- details --- */

static void put_line(sky_buf *csv, const point *x, const sky_pruned *net, int32_t i, int phase,
                     int64_t epoch)
{
    assert(net->convs && i < net->n_convs);
    const sky_conv_shape *s = &net->convs[i];
    sky_flexsa_cost c = sky_flexsa_layer(&x->machine, s, x->batch, (sky_phase)phase);
    if (c.macs == 0 || is_skipped(x, s))
        return; /* nobody needs the gradient of the input */
    sky_flexsa_energy e = sky_flexsa_energy_of(&x->machine, &c);
    sky_gemm g = sky_flexsa_gemm(s, s->per_sample ? 1 : x->batch, (sky_phase)phase);
    sky_buf_csv(csv, net->network->layers[s->layer].name);
    sky_buf_printf(csv,
                   ",%s,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
                   ",%" PRId64 ",%" PRId64 ",",
                   phases[phase], epoch, (int64_t)s->groups * (s->per_sample ? x->batch : 1), g.m,
                   g.n, g.k, c.macs, c.cycles, c.greedy_cycles);
    sky_buf_f64(csv, sky_flexsa_utilization(&x->machine, &c));
    for (int mode = 0; mode < SKY_FLEXSA_MODES; mode++)
        sky_buf_printf(csv, ",%" PRId64, c.waves[mode]);
    sky_buf_printf(csv, ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",", c.stationary_bytes,
                   c.moving_bytes, c.output_bytes, c.dram_bytes);
    sky_buf_f64(csv, c.time_s);
    sky_buf_putc(csv, ',');
    sky_buf_f64(csv, e.mac_j + e.lbuf_j + e.gbuf_j + e.dram_j);
    sky_buf_putc(csv, '\n');
}

static sky_err details(sky_job_ctx *ctx, const sky_value *p, sky_buf *csv, sky_error *e)
{
    loaded l = {0};
    sky_pruned *net = &l.net;
    const sky_err err = load(&l, ctx, p, e);
    if (err == SKY_OK) {
        const point x = point_of(p);
        sky_buf_puts(csv, "layer,phase,epoch,groups,m,n,k,macs,cycles,heuristic_cycles,"
                          "pe_utilization,fw_waves,vsw_waves,hsw_waves,isw_waves,"
                          "gbuf_stationary_bytes,gbuf_moving_bytes,gbuf_output_bytes,dram_bytes,"
                          "time_s,energy_j\n");
        for (int32_t stage = net->first_stage; stage < net->first_stage + net->n_stages; stage++) {
            sky_pruned_stage(net, stage, false);
            for (int32_t i = 0; i < net->n_convs; i++) {
                for (int phase = x.first_phase; phase <= x.last_phase; phase++)
                    put_line(csv, &x, net, i, phase, sky_pruned_epoch(net, stage));
            }
        }
    }
    sky_pruned_close(net);
    if (err != SKY_OK)
        return err;
    return sky_buf_ok(csv) ? SKY_OK : sky_fail(e, SKY_ENOMEM, "flexsa: out of memory");
}

const sky_job sky__job_flexsa = {
    .abi = SKY_JOB_ABI,
    .d = {.name = "flexsa",
          .version = "2",
          .summary = "Training a pruned network on one large, split or flexible systolic array",
          .source = "Lym, Erez: FlexSA, arXiv 2004.13027 (2020)",
          .params = params,
          .n_params = N_PARAMS,
          .metrics = metrics,
          .n_metrics = N_METRICS},
    .validate = validate,
    .check_inputs = check_inputs,
    .run_batch = run_batch,
    .details = details,
};

/* Job `flexsa`: one training step of a network on a FlexSA organisation (hw/flexsa.h). What each number
 * means and what is left out: docs/jobs/flexsa.md. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "hw/flexsa.h"
#include "jobs/jobs_internal.h"
#include "jobs/netfile.h"

enum {
    P_NETWORK,
    P_ORGANISATION,
    P_ARRAY,
    P_WIDTH_KEPT,
    P_BATCH,
    P_PHASE,
    P_MEMORY,
    P_DRAM_GB_S,
    P_GBUF_MIB,
    P_STREAM_RATIO,
    P_CLOCK_GHZ,
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

static const char *const organisations[] = {
    [SKY_1G1C] = "1G1C", [SKY_1G4C] = "1G4C", [SKY_4G4C] = "4G4C",
    [SKY_1G1F] = "1G1F", [SKY_4G1F] = "4G1F", NULL};
enum { ALL_PHASES = SKY_PHASES };
static const char *const phases[] = {[SKY_FORWARD] = "forward",
                                     [SKY_DGRAD] = "dgrad",
                                     [SKY_WGRAD] = "wgrad",
                                     [ALL_PHASES] = "training",
                                     NULL};
static const char *const memories[] = {"ideal", "hbm2", NULL};

#define TEXT(NAME, DEFAULT, CHOICES, DOC)                                                          \
    {                                                                                              \
        .name = (NAME), .type = SKY_TEXT, .unit = "", .doc = (DOC), .choices = (CHOICES), .def = { \
            .type = SKY_TEXT,                                                                      \
            .s = (DEFAULT)                                                                         \
        }                                                                                          \
    }
#define INTEGER(NAME, UNIT, DEFAULT, MIN, MAX, DOC)                                                \
    {                                                                                              \
        .name = (NAME), .type = SKY_INT, .unit = (UNIT), .doc = (DOC), .min = (MIN), .max = (MAX), \
        .def = {                                                                                   \
            .type = SKY_INT,                                                                       \
            .i = (DEFAULT)                                                                         \
        }                                                                                          \
    }
#define REAL(NAME, UNIT, DEFAULT, MIN, MAX, DOC)                                                   \
    {                                                                                              \
        .name = (NAME), .type = SKY_REAL, .unit = (UNIT), .doc = (DOC), .min = (MIN),              \
        .max = (MAX), .def = {                                                                     \
            .type = SKY_REAL,                                                                      \
            .f = (DEFAULT)                                                                         \
        }                                                                                          \
    }

static const sky_param params[N_PARAMS] = {
    [P_NETWORK] = TEXT("network", "resnet50", NULL,
                       "resnet50, inception_v4, ... (skyline networks), or a file: .onnx, .csv"),
    [P_ORGANISATION] = TEXT("organisation", "1G1F", organisations,
                            "groups (G) of rigid (C) or flexible (F) arrays"),
    [P_ARRAY] =
        INTEGER("array", "PEs", 128, 8, 4096, "edge of all PEs as one square; a multiple of 4"),
    [P_WIDTH_KEPT] = REAL("width_kept", "", 1, 0.01, 1,
                          "part of each layer's channels that pruning keeps, rounded to nearest"),
    [P_BATCH] = INTEGER("batch", "samples", 32, 1, 4096, "samples of one step"),
    [P_PHASE] = TEXT("phase", "training", phases, "which products count"),
    [P_MEMORY] = TEXT("memory", "ideal", memories, "ideal: never waits for DRAM"),
    [P_DRAM_GB_S] = REAL("dram_gb_s", "GB/s", 270, 0.001, 1e6, "bandwidth, unless memory is ideal"),
    [P_GBUF_MIB] = REAL("gbuf_mib", "MiB", 10, 0.125, 4096, "global buffer"),
    [P_STREAM_RATIO] = INTEGER("stream_ratio", "", 2, 1, 64,
                               "rows that stream past one resting tile, over the array's edge"),
    [P_CLOCK_GHZ] = REAL("clock_ghz", "GHz", 0.7, 0.001, 100, "clock of the arrays"),
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

static int choice(const char *const *list, const char *text)
{
    int i = 0;
    while (list[i + 1] && strcmp(list[i], text) != 0)
        i++;
    return i;
}

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

static sky_err validate(const sky_value *p, sky_error *e)
{
    const sky_network *net = NULL;
    sky_err err = sky_job_network_check(p[P_NETWORK].s, &net, e);
    if (err != SKY_OK)
        return err;
    if (p[P_ARRAY].i % 4 != 0)
        return sky_fail(e, SKY_EINVAL,
                        "array is %" PRId64 ", and must be a multiple of 4 (four groups of halves)",
                        p[P_ARRAY].i);
    return net ? check_fits(net, p[P_BATCH].i, e) : SKY_OK;
}

/* --- one point --- */

typedef struct point {
    sky_flexsa_machine machine;
    int32_t batch;
    int first_phase, last_phase;
} point;

static point point_of(const sky_value *p)
{
    point x = {.machine =
                   sky_flexsa_machine_of((sky_flexsa_org)choice(organisations, p[P_ORGANISATION].s),
                                         (int32_t)p[P_ARRAY].i, (int32_t)p[P_STREAM_RATIO].i),
               .batch = (int32_t)p[P_BATCH].i,
               .last_phase = SKY_PHASES - 1};
    x.machine.gbuf_bytes = (int64_t)(p[P_GBUF_MIB].f * 1048576.0);
    x.machine.clock_hz = p[P_CLOCK_GHZ].f * 1e9;
    x.machine.dram_bytes_per_s =
        choice(memories, p[P_MEMORY].s) == 0 ? INFINITY : p[P_DRAM_GB_S].f * 1e9;
    int phase = choice(phases, p[P_PHASE].s);
    if (phase != ALL_PHASES)
        x.first_phase = x.last_phase = phase;
    return x;
}

/* The layers of the last row's network and width: neighbouring rows often share them. */
typedef struct layers {
    const char *spec; /* what network is called */
    const sky_network *network;
    int64_t batch_max; /* the largest that is known to fit */
    double width;      /* 0: convs are not yet there */
    int32_t *channels;
    sky_conv_shape *convs;
    int32_t n_convs, cap;
} layers;

static sky_err load_network(layers *l, sky_job_ctx *ctx, const char *spec, sky_error *e)
{
    l->spec = NULL;
    sky_err err = sky_job_network(spec, ctx->workdir, &l->network, e);
    if (err != SKY_OK)
        return err;
    if (l->network->n_layers > l->cap) {
        l->cap = 0;
        l->channels = sky_new(ctx->scratch, int32_t, (size_t)l->network->n_layers);
        l->convs = sky_new(ctx->scratch, sky_conv_shape, (size_t)l->network->n_layers);
        if (!l->channels || !l->convs)
            return sky_fail(e, SKY_ENOMEM, "flexsa: out of memory");
        l->cap = l->network->n_layers;
    }
    l->spec = spec;
    l->batch_max = 0;
    l->width = 0;
    return SKY_OK;
}

static sky_err load_layers(layers *l, sky_job_ctx *ctx, const sky_value *p, bool merge,
                           sky_error *e)
{
    sky_err err = SKY_OK;
    if (!l->spec || strcmp(l->spec, p[P_NETWORK].s) != 0)
        err = load_network(l, ctx, p[P_NETWORK].s, e);
    if (err == SKY_OK && p[P_BATCH].i > l->batch_max) {
        err = check_fits(l->network, p[P_BATCH].i, e);
        if (err == SKY_OK)
            l->batch_max = p[P_BATCH].i;
    }
    if (err != SKY_OK || l->width == p[P_WIDTH_KEPT].f)
        return err;
    l->width = p[P_WIDTH_KEPT].f;
    sky_network_scale(l->network, l->width, l->channels);
    l->n_convs = sky_network_convs(l->network, l->channels, merge, l->convs);
    return SKY_OK;
}

static sky_flexsa_cost evaluate(const point *x, const layers *l)
{
    sky_flexsa_cost sum = {0};
    for (int phase = x->first_phase; phase <= x->last_phase; phase++) {
        for (int32_t i = 0; i < l->n_convs; i++) {
            sky_flexsa_cost c =
                sky_flexsa_layer(&x->machine, &l->convs[i], x->batch, (sky_phase)phase);
            sky_flexsa_cost_add(&sum, &c);
        }
    }
    return sum;
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
    layers l = {0};
    for (size_t i = 0; i < n; i++) {
        sky_value p[N_PARAMS];
        for (size_t k = 0; k < N_PARAMS; k++)
            p[k] = sky_column_get(&in[k], i);
        sky_error why = {0};
        const sky_err err = load_layers(&l, ctx, p, true, &why);
        if (err == SKY_ENOMEM)
            return sky_fail(e, err, "%s", why.text);
        if (err != SKY_OK) {
            ctx->fail_row(ctx, i, why.text); /* a file that is not there fails its row alone */
            continue;
        }
        point x = point_of(p);
        sky_flexsa_cost cost = evaluate(&x, &l);
        put(out, i, &x, &cost);
    }
    return SKY_OK;
}

/* --- details --- */

static void put_line(sky_buf *csv, const point *x, const layers *l, int32_t i, int phase)
{
    assert(l->convs && i < l->n_convs);
    const sky_conv_shape *s = &l->convs[i];
    sky_flexsa_cost c = sky_flexsa_layer(&x->machine, s, x->batch, (sky_phase)phase);
    if (c.macs == 0)
        return; /* nobody needs the gradient of the input */
    sky_flexsa_energy e = sky_flexsa_energy_of(&x->machine, &c);
    sky_gemm g = sky_flexsa_gemm(s, x->batch, (sky_phase)phase);
    sky_buf_csv(csv, l->network->layers[s->layer].name);
    sky_buf_printf(csv,
                   ",%s,%" PRId32 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",",
                   phases[phase], s->groups, g.m, g.n, g.k, c.macs, c.cycles);
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
    layers l = {0};
    const sky_err err = load_layers(&l, ctx, p, false, e);
    if (err != SKY_OK)
        return err;
    point x = point_of(p);
    sky_buf_puts(csv,
                 "layer,phase,groups,m,n,k,macs,cycles,pe_utilization,fw_waves,vsw_waves,hsw_waves,"
                 "isw_waves,gbuf_stationary_bytes,gbuf_moving_bytes,gbuf_output_bytes,dram_bytes,"
                 "time_s,energy_j\n");
    for (int32_t i = 0; i < l.n_convs; i++) {
        for (int phase = x.first_phase; phase <= x.last_phase; phase++)
            put_line(csv, &x, &l, i, phase);
    }
    return sky_buf_ok(csv) ? SKY_OK : sky_fail(e, SKY_ENOMEM, "flexsa: out of memory");
}

const sky_job sky__job_flexsa = {
    .abi = SKY_JOB_ABI,
    .d = {.name = "flexsa",
          .version = "1",
          .summary = "Training a pruned network on one large, split or flexible systolic array",
          .source = "Lym, Erez: FlexSA, arXiv 2004.13027 (2020)",
          .params = params,
          .n_params = N_PARAMS,
          .metrics = metrics,
          .n_metrics = N_METRICS},
    .validate = validate,
    .run_batch = run_batch,
    .details = details,
};

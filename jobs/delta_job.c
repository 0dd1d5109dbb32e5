/* Job `delta`: memory traffic, time and bottleneck of a network's convolutions on a GPU
 * (hw/delta.h). What each number means: docs/jobs/delta.md. */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "hw/delta.h"
#include "hw/gpu_scale.h"
#include "jobs/job_params.h"
#include "jobs/jobs_internal.h"
#include "jobs/netfile.h"

enum {
    P_NETWORK,
    P_GPU,
    P_BATCH,
    P_REUSE,
    P_LAYERS,
    P_LAYER,
    P_PRECISION,
    P_EFFICIENCY,
    P_BLK_M,
    P_BLK_N,
    P_BLK_K,
    P_THREADS,
    P_REGISTERS,
    P_CTAS_PER_SM,
    P_SMS_SCALE,
    P_FP32_SCALE,
    P_REGISTERS_SCALE,
    P_SMEM_BW_SCALE,
    P_L1_BW_SCALE,
    P_L1_SIZE_SCALE,
    P_L2_BW_SCALE,
    P_L2_SIZE_SCALE,
    P_DRAM_BW_SCALE,
    N_PARAMS,
};
enum {
    M_TIME_S,
    M_BOTTLENECK,
    M_L1_BYTES,
    M_L2_BYTES,
    M_DRAM_BYTES,
    M_DRAM_READ_BYTES,
    M_DRAM_WRITE_BYTES,
    M_MACS,
    M_TFLOPS,
    M_COST,
    M_COMPUTE_TIME,
    M_SMEM_TIME,
    M_L1_TIME,
    M_L2_TIME,
    M_DRAM_TIME,
    M_LATENCY_TIME,
    N_METRICS,
};
_Static_assert(M_LATENCY_TIME - M_COMPUTE_TIME + 1 == SKY_DELTA_BOUNDS, "one time per bound");

static const char *const reuses[] = {[SKY_DELTA_LOOP] = "loop", [SKY_DELTA_CACHE] = "cache", NULL};
static const char *const layer_kinds[] = {"conv", "all", NULL};
static const char *const precisions[] = {"fp32", NULL};

#define SCALE(NAME, DOC) SKY__REAL(NAME, "", 1, 0.001, 1000, DOC)

static const sky_param params[N_PARAMS] = {
    [P_NETWORK] = SKY__TEXT("network", "vgg16", NULL,
                            "a built-in network (skyline networks), or a file: .onnx, .csv"),
    [P_GPU] =
        SKY__TEXT("gpu", "V100", NULL,
                  "TITAN Xp, P100, V100, A100, H100, H200, or a file: gpus.csv or gpus.csv:NAME"),
    [P_BATCH] = SKY__INTEGER("batch", "samples", 256, 1, 65536, "mini-batch"),
    [P_REUSE] =
        SKY__TEXT("reuse", "cache", reuses,
                  "loop: the paper's, none across main loops; cache: what L1 and L2 can hold"),
    [P_LAYERS] =
        SKY__TEXT("layers", "conv", layer_kinds,
                  "all: fully connected layers and products of activations (attention) too"),
    [P_LAYER] = SKY__TEXT("layer", "", NULL, "one layer alone, by its name; empty: all of them"),
    [P_PRECISION] = SKY__TEXT("precision", "fp32", precisions, "of data and sums"),
    [P_EFFICIENCY] = SKY__REAL("efficiency", "", 1, 0.001, 1,
                               "of the FP32 units while data is at hand; 1: a perfect kernel"),
    [P_BLK_M] = SKY__INTEGER("blk_m", "pixels", 0, 0, 1024,
                             "output pixels of a CTA, a multiple of 32; 0: by the layer"),
    [P_BLK_N] = SKY__INTEGER("blk_n", "channels", 0, 0, 1024,
                             "output channels of a CTA, a multiple of 8; 0: by the layer"),
    [P_BLK_K] = SKY__INTEGER("blk_k", "", 0, 0, 128, "depth of a main loop; 0: by the layer"),
    [P_THREADS] = SKY__INTEGER("threads", "", 0, 0, 1024,
                               "of a CTA, a multiple of 32; 0: by the layer, or 64 outputs each"),
    [P_REGISTERS] = SKY__INTEGER("registers", "", 0, 0, 255,
                                 "of a thread; 0: by the layer, or 64 more than its outputs"),
    [P_CTAS_PER_SM] =
        SKY__INTEGER("ctas_per_sm", "", 0, 0, 64, "resident at once; 0: what the SM has room for"),
    [P_SMS_SCALE] = SCALE("sms_scale", "times the GPU's SMs, rounded to a whole number"),
    [P_FP32_SCALE] = SCALE("fp32_scale", "times the FP32 units of an SM"),
    [P_REGISTERS_SCALE] = SCALE("registers_scale", "times the registers of an SM"),
    [P_SMEM_BW_SCALE] = SCALE("smem_bw_scale", "times the bandwidth of shared memory"),
    [P_L1_BW_SCALE] = SCALE("l1_bw_scale", "times the bandwidth of L1"),
    [P_L1_SIZE_SCALE] = SCALE("l1_size_scale", "times L1 and shared memory"),
    [P_L2_BW_SCALE] = SCALE("l2_bw_scale", "times the bandwidth of L2"),
    [P_L2_SIZE_SCALE] = SCALE("l2_size_scale", "times L2"),
    [P_DRAM_BW_SCALE] = SCALE("dram_bw_scale", "times the bandwidth of DRAM"),
};

/* Through exp(), whose last bit differs between C libraries. */
#define METRIC(NAME, UNIT, GOAL, CLASS, DOC)                                                       \
    {                                                                                              \
        .name = (NAME), .type = SKY_REAL, .unit = (UNIT), .doc = (DOC), .goal = (GOAL),            \
        .cls = (CLASS)                                                                             \
    }
#define TIME_OF(NAME, DOC) METRIC(NAME, "s", SKY_NO_GOAL, SKY_TOLERANCE, DOC)

static const sky_metric metrics[N_METRICS] = {
    [M_TIME_S] = METRIC("time_s", "s", SKY_MIN, SKY_TOLERANCE, "of one forward pass"),
    [M_BOTTLENECK] = {.name = "bottleneck",
                      .type = SKY_TEXT,
                      .unit = "",
                      .doc = "what bounds the layers that take the most time together",
                      .goal = SKY_NO_GOAL,
                      .cls = SKY_TOLERANCE},
    [M_L1_BYTES] =
        METRIC("l1_bytes", "B", SKY_MIN, SKY_EXACT, "32-byte sectors that loads request of L1"),
    [M_L2_BYTES] = METRIC("l2_bytes", "B", SKY_MIN, SKY_TOLERANCE, "loads that reach L2"),
    [M_DRAM_BYTES] = METRIC("dram_bytes", "B", SKY_MIN, SKY_TOLERANCE, "DRAM, read and written"),
    [M_DRAM_READ_BYTES] = METRIC("dram_read_bytes", "B", SKY_MIN, SKY_TOLERANCE, "of dram_bytes"),
    [M_DRAM_WRITE_BYTES] = METRIC("dram_write_bytes", "B", SKY_MIN, SKY_EXACT, "of dram_bytes"),
    [M_MACS] = METRIC("macs", "", SKY_NO_GOAL, SKY_EXACT, "multiply-adds"),
    [M_TFLOPS] = METRIC("tflops_per_s", "Tflop/s", SKY_MAX, SKY_TOLERANCE, "2 macs / time_s"),
    [M_COST] = METRIC("cost", "", SKY_MIN, SKY_EXACT,
                      "of the scaled GPU, the GPU as it is being 1; an assumption: hw/gpu_scale.h"),
    [M_COMPUTE_TIME] = TIME_OF("compute_time_s", "of the layers that the FP32 units bound"),
    [M_SMEM_TIME] = TIME_OF("shared_memory_time_s", "of the layers that shared memory bounds"),
    [M_L1_TIME] = TIME_OF("l1_time_s", "of the layers that L1's bandwidth bounds"),
    [M_L2_TIME] = TIME_OF("l2_time_s", "of the layers that L2's bandwidth bounds"),
    [M_DRAM_TIME] = TIME_OF("dram_time_s", "of the layers that DRAM's bandwidth bounds"),
    [M_LATENCY_TIME] = TIME_OF("latency_time_s", "of the layers that wait for single loads"),
};

static int choice(const char *const *list, const char *text)
{
    int i = 0;
    while (list[i + 1] && strcmp(list[i], text) != 0)
        i++;
    return i;
}

/* --- the tile --- */

static bool tile_is_given(const sky_value *p)
{
    return p[P_BLK_M].i || p[P_BLK_N].i || p[P_BLK_K].i || p[P_THREADS].i || p[P_REGISTERS].i;
}

static sky_delta_tile tile_of(const sky_value *p, int64_t channels_out)
{
    sky_delta_tile t = sky_delta_tile_for(channels_out);
    if (!tile_is_given(p))
        return t;
    if (p[P_BLK_M].i)
        t.blk_m = (int32_t)p[P_BLK_M].i;
    if (p[P_BLK_N].i)
        t.blk_n = (int32_t)p[P_BLK_N].i;
    if (p[P_BLK_K].i)
        t.blk_k = (int32_t)p[P_BLK_K].i;
    const int32_t outputs = t.blk_m * t.blk_n;
    if (p[P_THREADS].i)
        t.threads = (int32_t)p[P_THREADS].i;
    else if (p[P_BLK_M].i || p[P_BLK_N].i)
        t.threads = outputs < 64 * 32     ? 32
                    : outputs > 64 * 1024 ? 1024
                                          : (outputs / 64 + 31) / 32 * 32;
    const int32_t each = (outputs + t.threads - 1) / t.threads;
    t.registers = p[P_REGISTERS].i ? (int32_t)p[P_REGISTERS].i : (each + 64 + 7) / 8 * 8;
    t.warp_m = t.blk_m < 128 ? t.blk_m : 128;
    t.warp_n = (32 * each + t.warp_m - 1) / t.warp_m;
    return t;
}

static sky_err validate(const sky_value *p, sky_error *e)
{
    const sky_err err = sky_job_network_check(p[P_NETWORK].s, NULL, e);
    sky_gpu g;
    if (err != SKY_OK)
        return err;
    if (!sky_gpu_is_file(p[P_GPU].s) && sky_gpu_resolve(p[P_GPU].s, NULL, &g, e) != SKY_OK)
        return SKY_EINVAL;
    if (p[P_BLK_M].i % 32 != 0 || p[P_THREADS].i % 32 != 0)
        return sky_fail(e, SKY_EINVAL, "blk_m and threads must be multiples of 32 (a warp)");
    if (p[P_BLK_N].i % 8 != 0)
        return sky_fail(e, SKY_EINVAL, "blk_n must be a multiple of 8");
    static const int64_t widths[] = {32, 64, 128}; /* one layer of each tile */
    for (size_t i = 0; i < 3; i++) {
        const sky_delta_tile t = tile_of(p, widths[i]);
        if (t.registers > 255)
            return sky_fail(e, SKY_EINVAL,
                            "a tile of %dx%d on %d threads needs %d registers a thread, and 255 "
                            "is the most: use more threads",
                            t.blk_m, t.blk_n, t.threads, t.registers);
    }
    return SKY_OK;
}

static sky_err check_inputs(sky_job_ctx *ctx, const sky_descriptor *d, const sky_value *p,
                            sky_error *e)
{
    (void)d;
    const sky_network *net = NULL;
    sky_gpu g;
    sky_err err = sky_job_inputs(p[P_NETWORK].s, NULL, ctx->workdir, &net, e);
    if (err == SKY_OK && sky_gpu_is_file(p[P_GPU].s)) {
        err = sky_gpu_resolve(p[P_GPU].s, ctx->workdir, &g, e);
        if (err != SKY_OK && e && strncmp(e->text, "gpu:", 4) != 0)
            sky_fail_prefix(e, "gpu");
    }
    return err;
}

/* --- one point --- */

/* The layers of one network under one choice of tiles, ready for any GPU and batch. */
typedef struct layer {
    sky_delta_conv conv;
    sky_delta_tile tile;
    sky_delta_geometry geometry;
} layer;

enum { K_BATCH, K_LAYERS, K_REUSE, K_TILE, K_ALL = K_TILE + 5, SLOTS = 32 };

typedef struct network {
    const char *name;
    int64_t key[K_ALL];            /* of the parameters that the geometry depends on */
    int64_t pixels_min, blk_m_max; /* of its layers */
    const sky_network *net;
    layer *layers;
    sky_delta_conv *convs;
    size_t n, cap;
} network;

/* What rows share: the last few GPUs and networks (a sweep over tiles comes back to them). */
typedef struct memory {
    const char *gpu_names[SLOTS];
    sky_gpu gpus[SLOTS];
    network networks[SLOTS];
    size_t next_gpu, next; /* the slots that the next ones replace */
} memory;

static void make_key(const sky_value *p, int64_t *key)
{
    key[K_BATCH] = p[P_BATCH].i;
    key[K_LAYERS] = choice(layer_kinds, p[P_LAYERS].s);
    key[K_REUSE] = choice(reuses, p[P_REUSE].s);
    for (int i = 0; i < 5; i++)
        key[K_TILE + i] = p[P_BLK_M + i].i;
}

/* Each layer has more pixels than one tile: its geometry is that of any larger batch. */
static bool is_large(const network *w, int64_t batch)
{
    return batch * w->pixels_min > w->blk_m_max;
}

static bool serves(const network *w, const char *name, const int64_t *key)
{
    if (memcmp(w->key + K_LAYERS, key + K_LAYERS, (K_ALL - K_LAYERS) * sizeof *key) != 0)
        return false;
    if (!w->name || strcmp(w->name, name) != 0)
        return false;
    return w->key[K_BATCH] == key[K_BATCH] ||
           (is_large(w, w->key[K_BATCH]) && is_large(w, key[K_BATCH]));
}

/* like: the same layers under another tile, or NULL. */
static sky_err fill(network *w, const network *like, sky_job_ctx *ctx, const sky_value *p,
                    sky_error *e)
{
    w->name = NULL; /* until it is whole */
    const sky_err err = sky_job_network(p[P_NETWORK].s, ctx->workdir, &w->net, e);
    if (err != SKY_OK)
        return err;
    if ((size_t)w->net->n_layers > w->cap) {
        w->cap = 0;
        w->layers = sky_new(ctx->scratch, layer, (size_t)w->net->n_layers);
        w->convs = sky_new(ctx->scratch, sky_delta_conv, (size_t)w->net->n_layers);
        if (!w->layers || !w->convs)
            return sky_fail(e, SKY_ENOMEM, "delta: out of memory");
        w->cap = (size_t)w->net->n_layers;
    }
    make_key(p, w->key);
    w->pixels_min = INT32_MAX;
    w->blk_m_max = 0;
    w->n = sky_delta_convs(w->net, w->key[K_LAYERS] == 1, p[P_BATCH].i, w->convs);
    for (size_t i = 0; i < w->n; i++) {
        layer *l = &w->layers[i];
        l->conv = w->convs[i];
        l->tile = tile_of(p, l->conv.channels_out);
        const int64_t pixels = l->conv.out_h * l->conv.out_w;
        if (l->conv.heads == 0) { /* the others' geometry is that of one sample, always */
            w->pixels_min = pixels < w->pixels_min ? pixels : w->pixels_min;
            w->blk_m_max = l->tile.blk_m > w->blk_m_max ? l->tile.blk_m : w->blk_m_max;
        }
        sky_delta_geometry_of(&l->conv, &l->tile, (sky_delta_reuse)w->key[K_REUSE],
                              like ? &like->layers[i].geometry : NULL, &l->geometry);
    }
    w->name = p[P_NETWORK].s;
    return SKY_OK;
}

static sky_err load_network(memory *m, sky_job_ctx *ctx, const sky_value *p, network **out,
                            sky_error *e)
{
    int64_t key[K_ALL];
    make_key(p, key);
    const network *like =
        NULL; /* the same under another tile; of the same blk_m, if there is one */
    for (size_t i = 0; i < SLOTS; i++) {
        network *w = &m->networks[i];
        if (serves(w, p[P_NETWORK].s, key)) {
            *out = w;
            return SKY_OK;
        }
        if (i != m->next && w->name && strcmp(w->name, p[P_NETWORK].s) == 0 &&
            w->key[K_LAYERS] == key[K_LAYERS] && w->key[K_REUSE] == key[K_REUSE] &&
            (!like || w->key[K_TILE] == key[K_TILE]))
            like = w;
    }
    *out = &m->networks[m->next];
    m->next = (m->next + 1) % SLOTS;
    return fill(*out, like, ctx, p, e);
}

static sky_err load_gpu(memory *m, sky_job_ctx *ctx, const sky_value *p, const sky_gpu **out,
                        sky_error *e)
{
    for (size_t i = 0; i < SLOTS; i++) {
        if (m->gpu_names[i] && strcmp(m->gpu_names[i], p[P_GPU].s) == 0) {
            *out = &m->gpus[i];
            return SKY_OK;
        }
    }
    const size_t slot = m->next_gpu;
    m->gpu_names[slot] = NULL; /* until it is whole */
    const sky_err err = sky_gpu_resolve(p[P_GPU].s, ctx->workdir, &m->gpus[slot], e);
    if (err != SKY_OK)
        return err;
    m->gpu_names[slot] = p[P_GPU].s;
    m->next_gpu = (slot + 1) % SLOTS;
    *out = &m->gpus[slot];
    return SKY_OK;
}

static sky_gpu_scale scale_of(const sky_value *p)
{
    return (sky_gpu_scale){.sms = p[P_SMS_SCALE].f,
                           .fp32 = p[P_FP32_SCALE].f,
                           .registers = p[P_REGISTERS_SCALE].f,
                           .smem_bandwidth = p[P_SMEM_BW_SCALE].f,
                           .l1_bandwidth = p[P_L1_BW_SCALE].f,
                           .l1_size = p[P_L1_SIZE_SCALE].f,
                           .l2_bandwidth = p[P_L2_BW_SCALE].f,
                           .l2_size = p[P_L2_SIZE_SCALE].f,
                           .dram_bandwidth = p[P_DRAM_BW_SCALE].f};
}

static sky_delta_options options_of(const sky_value *p)
{
    return (sky_delta_options){.reuse = (sky_delta_reuse)choice(reuses, p[P_REUSE].s),
                               .ctas_per_sm = (double)p[P_CTAS_PER_SM].i,
                               .efficiency = p[P_EFFICIENCY].f};
}

/* A point with all that it needs. */
typedef struct point {
    network *w;
    sky_gpu gpu; /* scaled */
    sky_delta_options options;
    int64_t batch;
    double cost;
    size_t first, end;   /* of w's layers */
    bool layer_is_alone; /* counted once, however many there are of its shape */
} point;

static sky_err pick_layer(const char *name, point *x, sky_error *e)
{
    const network *w = x->w;
    x->first = sky_delta_find(w->net, name, w->convs, w->n);
    x->end = x->first + 1;
    x->layer_is_alone = true;
    if (x->first < w->n)
        return SKY_OK;
    const char *names[SKY_LAYERS_MAX];
    for (size_t i = 0; i < w->n; i++)
        names[i] = w->net->layers[w->convs[i].layer].name;
    const char *near = sky_nearest(name, names, w->n);
    return sky_fail(e, SKY_EINVAL, "layer: %s has no convolution '%.100s'%s%s%s", w->net->name,
                    name, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

/* Fails for a tile that no SM has room for. */
static sky_err check_room(const point *x, sky_error *e)
{
    for (size_t k = x->first; k < x->end; k++) {
        const sky_delta_tile *t = &x->w->layers[k].tile;
        if (sky_delta_occupancy(t, &x->gpu) < 1)
            return sky_fail(e, SKY_EINVAL,
                            "a CTA of %dx%dx%d takes %.0f registers, %.1f KiB of shared memory and "
                            "%d threads; an SM of %s has %.0f, %.1f KiB and %.0f",
                            t->blk_m, t->blk_n, t->blk_k, sky_delta_cta_registers(t),
                            sky_delta_cta_smem_bytes(t) / 1024, t->threads, x->gpu.name,
                            x->gpu.registers_per_sm, x->gpu.smem_kib_per_sm, x->gpu.threads_per_sm);
    }
    return SKY_OK;
}

static sky_err make_point(memory *m, sky_job_ctx *ctx, const sky_value *p, point *x, sky_error *e)
{
    const sky_gpu *g = NULL;
    sky_err err = load_gpu(m, ctx, p, &g, e);
    if (err == SKY_OK)
        err = load_network(m, ctx, p, &x->w, e);
    if (err != SKY_OK)
        return err;
    const sky_gpu_scale scale = scale_of(p);
    x->gpu = sky_gpu_scaled(g, &scale);
    x->cost = sky_gpu_cost(&scale);
    x->options = options_of(p);
    x->batch = p[P_BATCH].i;
    x->first = 0;
    x->end = x->w->n;
    x->layer_is_alone = false;
    if (p[P_LAYER].s[0])
        err = pick_layer(p[P_LAYER].s, x, e);
    return err == SKY_OK ? check_room(x, e) : err;
}

static sky_delta_result evaluate(const point *x, size_t k)
{
    layer *l = &x->w->layers[k];
    sky_delta_result r;
    sky_delta_conv_batch(&l->conv, x->batch);
    sky_delta_layer(&l->conv, &l->tile, &l->geometry, &x->gpu, &x->options, &r);
    return r;
}

static void put(sky_column *out, size_t i, const sky_delta_total *t, double cost)
{
    out[M_COST].f[i] = cost;
    out[M_TIME_S].f[i] = t->time_s;
    out[M_BOTTLENECK].s[i] = sky_delta_bound_name(t->bound);
    out[M_L1_BYTES].f[i] = t->l1_bytes;
    out[M_L2_BYTES].f[i] = t->l2_bytes;
    out[M_DRAM_BYTES].f[i] = t->dram_read_bytes + t->dram_write_bytes;
    out[M_DRAM_READ_BYTES].f[i] = t->dram_read_bytes;
    out[M_DRAM_WRITE_BYTES].f[i] = t->dram_write_bytes;
    out[M_MACS].f[i] = t->macs;
    out[M_TFLOPS].f[i] = t->time_s > 0 ? 2 * t->macs / t->time_s * 1e-12 : 0;
    for (int b = 0; b < SKY_DELTA_BOUNDS; b++)
        out[M_COMPUTE_TIME + b].f[i] = t->bound_time_s[b];
}

static sky_err run_batch(sky_job_ctx *ctx, size_t n, const uint64_t *seeds, const sky_column *in,
                         sky_column *out, sky_error *e)
{
    (void)seeds;
    memory m = {0};
    for (size_t i = 0; i < n; i++) {
        sky_value p[N_PARAMS];
        for (size_t k = 0; k < N_PARAMS; k++)
            p[k] = sky_column_get(&in[k], i);
        sky_delta_total total = {0};
        sky_error why = {0};
        point x = {0};
        const sky_err err = make_point(&m, ctx, p, &x, &why);
        if (err == SKY_ENOMEM)
            return sky_fail(e, err, "%s", why.text);
        if (err != SKY_OK) {
            ctx->fail_row(ctx, i, why.text); /* a file that is not there fails its row alone */
            continue;
        }
        for (size_t k = x.first; k < x.end; k++) {
            const sky_delta_result r = evaluate(&x, k);
            sky_delta_add(&total, &r, x.layer_is_alone ? 1 : x.w->layers[k].conv.count);
        }
        put(out, i, &total, x.cost);
    }
    return SKY_OK;
}

/* --- details --- */

static void put_line(sky_buf *csv, const char *name, const sky_delta_conv *c,
                     const sky_delta_tile *t, const sky_delta_result *r)
{
    sky_buf_csv(csv, name);
    sky_buf_printf(csv,
                   ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
                   ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%dx%dx%d",
                   c->count, c->groups, c->channels_in, c->height, c->width, c->channels_out,
                   c->kernel_h, c->kernel_w, c->stride_h, t->blk_m, t->blk_n, t->blk_k);
    const double numbers[] = {r->ctas,
                              r->ctas_per_sm,
                              r->macs,
                              r->l1_bytes,
                              r->l2_bytes,
                              r->dram_read_bytes,
                              r->dram_write_bytes,
                              r->time_s};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        sky_buf_putc(csv, ',');
        sky_buf_f64(csv, numbers[i]);
    }
    sky_buf_printf(csv, ",%s", sky_delta_bound_name(r->bound));
    for (int b = 0; b < SKY_DELTA_BOUNDS; b++) {
        sky_buf_putc(csv, ',');
        sky_buf_f64(csv, r->bound_s[b]);
    }
    sky_buf_putc(csv, '\n');
}

static sky_err details(sky_job_ctx *ctx, const sky_value *p, sky_buf *csv, sky_error *e)
{
    memory m = {0};
    point x = {0};
    const sky_err err = make_point(&m, ctx, p, &x, e);
    if (err != SKY_OK)
        return err;
    sky_buf_puts(csv, "layer,count,groups,channels_in,height,width,channels_out,kernel_h,kernel_w,"
                      "stride,tile,ctas,ctas_per_sm,macs,l1_bytes,l2_bytes,dram_read_bytes,"
                      "dram_write_bytes,time_s,bottleneck,compute_s,shared_memory_s,l1_s,l2_s,"
                      "dram_s,latency_s\n");
    for (size_t k = x.first; k < x.end; k++) {
        const layer *l = &x.w->layers[k];
        const sky_delta_result r = evaluate(&x, k);
        put_line(csv, x.w->net->layers[l->conv.layer].name, &l->conv, &l->tile, &r);
    }
    return sky_buf_ok(csv) ? SKY_OK : sky_fail(e, SKY_ENOMEM, "delta: out of memory");
}

const sky_job sky__job_delta = {
    .abi = SKY_JOB_ABI,
    .d = {.name = "delta",
          .version = "2",
          .summary = "Memory traffic, time and bottleneck of a network's convolutions on a GPU",
          .source = "Lym et al.: DeLTA, ISPASS 2019 (arXiv 1904.01691)",
          .params = params,
          .n_params = N_PARAMS,
          .metrics = metrics,
          .n_metrics = N_METRICS},
    .validate = validate,
    .check_inputs = check_inputs,
    .run_batch = run_batch,
    .details = details,
};

/* Job `he_network`: a whole network on encrypted images, layer by layer, each from fresh ciphertexts (a
 * client, or a bootstrap, refreshes between layers). Costs by counting and a cost model that is calibrated
 * where the job runs; any layer can be run for real. What each number means: docs/jobs/he_network.md. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "hw/network.h"
#include "jobs/he/he_job.h"
#include "jobs/he/he_layer.h"
#include "jobs/netfile.h"

enum {
    P_NETWORK,
    P_LOG_N,
    P_PRIMES,
    P_SPECIAL_PRIMES,
    P_PACKING,
    P_HOISTING,
    P_HOISTED_COST,
    P_PRUNE,
    P_KEEP,
    P_EVALUATE,
    P_REAL_LAYERS,
    P_CACHE_MIB,
    P_WEIGHT_SEED,
    N_PARAMS,
};
enum {
    M_ROTATIONS,
    M_ROTATIONS_FULL,
    M_ROTATIONS_HOISTED,
    M_ROTATIONS_UNPRUNED,
    M_PRODUCTS,
    M_CIPHERTEXTS,
    M_GALOIS_KEYS,
    M_KEY_BYTES,
    M_MEMORY_BYTES,
    M_LAYERS,
    M_ENERGY_KEPT,
    M_SECURITY_BITS,
    M_LATENCY_MODEL,
    M_LATENCY_UNPRUNED,
    M_REAL_LAYERS,
    M_LATENCY,
    M_MODEL_OVER_REAL,
    M_ERROR_MAX,
    N_METRICS,
};
enum { COUNT, MODEL, REAL };
static const char *const evaluations[] = {
    [COUNT] = "count", [MODEL] = "model", [REAL] = "real", NULL};

/* The packings of convolutions, and the cheapest of them for each layer. */
enum { BEST = SKY_HE_HALEVI_SHOUP };
static const char *const packings[] = {"siso",      "input_rotation", "output_rotation",
                                       "add_first", "hybrid",         "multiplexed",
                                       "toeplitz",  "best",           NULL};
_Static_assert(SKY_HE_TOEPLITZ + 1 == BEST, "names in the order of sky_he_packing");

static const sky_param params[N_PARAMS] = {
    [P_NETWORK] =
        SKY__TEXT("network", "resnet20", NULL, "a built-in network, or a file: .onnx, .csv"),
    [P_LOG_N] = SKY__INTEGER("log_n", "", 14, SKY_HE_LOG2_N_MIN, SKY_HE_LOG2_N_MAX,
                             "ring degree 2^log_n; a ciphertext has half as many slots"),
    [P_PRIMES] =
        SKY__INTEGER("primes", "", 3, 2, SKY_HE_DATA_MAX, "data primes of each layer's input"),
    [P_SPECIAL_PRIMES] = SKY__INTEGER("special_primes", "", 1, 1, SKY_HE_SPECIAL_MAX,
                                      "also data primes in a digit of key switching"),
    [P_PACKING] = SKY__TEXT("packing", "best", packings,
                            "of convolutions; best: the fewest rotations for each layer"),
    [P_HOISTING] =
        SKY__TEXT("hoisting", "double", sky_he_hoisting_names, "what rotations of one input share"),
    [P_HOISTED_COST] = SKY__REAL("hoisted_cost", "", 1, 0.001, 1,
                                 "of a hoisted rotation, a full one being 1: for choices"),
    [P_PRUNE] = SKY__TEXT("prune", "none", sky_he_group_names, "weights that are pruned together"),
    [P_KEEP] = SKY__REAL("keep", "", 1, 0, 1, "part of the rotations of those groups that is kept"),
    [P_EVALUATE] = SKY__TEXT("evaluate", "model", evaluations,
                             "count: no times; model: from single operations; real: encrypted"),
    [P_REAL_LAYERS] =
        SKY__TEXT("real_layers", "all", NULL, "with evaluate=real: all, or names between commas"),
    [P_CACHE_MIB] = SKY__INTEGER("cache_mib", "MiB", 0, 0, 1 << 20,
                                 "weights of a layer encoded beforehand, at most"),
    [P_WEIGHT_SEED] =
        SKY__INTEGER("weight_seed", "", 1, 0, 1e9, "of the synthetic weights (He normal)"),
};

#define EXACT(NAME, UNIT, GOAL, DOC)    HE_METRIC(NAME, SKY_INT, UNIT, GOAL, SKY_EXACT, DOC)
#define MEASURED(NAME, UNIT, GOAL, DOC) HE_METRIC(NAME, SKY_REAL, UNIT, GOAL, SKY_MEASURED, DOC)

static const sky_metric metrics[N_METRICS] = {
    [M_ROTATIONS] = EXACT("rotations", "", SKY_MIN, "full and hoisted, of all layers"),
    [M_ROTATIONS_FULL] = EXACT("rotations_full", "", SKY_MIN, "with a key switch of their own"),
    [M_ROTATIONS_HOISTED] =
        EXACT("rotations_hoisted", "", SKY_MIN, "that share a decomposition with others"),
    [M_ROTATIONS_UNPRUNED] =
        EXACT("rotations_unpruned", "", SKY_NO_GOAL, "of the same packings with all weights"),
    [M_PRODUCTS] = EXACT("products", "", SKY_MIN, "of a ciphertext and a plaintext"),
    [M_CIPHERTEXTS] = EXACT("ciphertexts", "", SKY_MIN, "into and out of all layers"),
    [M_GALOIS_KEYS] = EXACT("galois_keys", "", SKY_MIN, "distinct rotations of the whole network"),
    [M_KEY_BYTES] = EXACT("key_bytes", "B", SKY_MIN, "of them, each at the level of its first use"),
    [M_MEMORY_BYTES] = EXACT("memory_bytes", "B", SKY_MIN, "of the layer that needs the most"),
    [M_LAYERS] = EXACT("layers", "", SKY_NO_GOAL, "convolutions and fully connected"),
    [M_ENERGY_KEPT] = HE_METRIC("energy_kept", SKY_REAL, "", SKY_MAX, SKY_TOLERANCE,
                                "mean over layers of the part of squares that pruning left"),
    [M_SECURITY_BITS] = EXACT("security_bits", "bits", SKY_MAX, "192 or 128"),
    [M_LATENCY_MODEL] =
        MEASURED("latency_model_s", "s", SKY_MIN, "counts times measured single operations"),
    [M_LATENCY_UNPRUNED] =
        MEASURED("latency_unpruned_s", "s", SKY_NO_GOAL, "the model's, with all weights"),
    [M_REAL_LAYERS] = EXACT("layers_run", "", SKY_NO_GOAL, "that ran encrypted"),
    [M_LATENCY] =
        MEASURED("latency_s", "s", SKY_MIN, "of the layers that ran, one thread's CPU time"),
    [M_MODEL_OVER_REAL] = MEASURED("model_over_real", "", SKY_NO_GOAL,
                                   "the model's latency of those, over latency_s"),
    [M_ERROR_MAX] = MEASURED("error_max", "", SKY_MIN, "largest of those layers"),
};

/* --- the network's layers --- */

typedef struct network_layer {
    const char *name;
    sky_he_conv_shape shape;
    bool dense;
    int32_t gap; /* of its input, in a network that stays interleaved */
} network_layer;

/* Layer i as a convolution; false if it multiplies nothing. */
static bool layer_of(const sky_network *net, int32_t i, network_layer *out)
{
    const sky_layer *l = &net->layers[i];
    if (l->kind != SKY_LAYER_CONV && l->kind != SKY_LAYER_LINEAR)
        return false;
    const sky_shape in = net->layers[l->input[0]].out;
    *out = (network_layer){.name = l->name, .gap = 1};
    if (l->kind == SKY_LAYER_LINEAR) {
        out->dense = true;
        out->shape = sky_he_conv_square(in.c * in.h * in.w, l->out.c, 1, 1, 1, 0);
        return true;
    }
    out->shape = (sky_he_conv_shape){
        .c_in = in.c, .c_out = l->out.c, .h = in.h, .w = in.w, .window = l->window};
    const int32_t edge = net->layers[0].out.h;
    if (edge % in.h == 0)
        out->gap = edge / in.h;
    return true;
}

static sky_he_packing packing_of(const sky_value *p, const network_layer *l)
{
    if (l->dense)
        return SKY_HE_HALEVI_SHOUP;
    return (sky_he_packing)he_choice(packings, p[P_PACKING].s);
}

static sky_he_layer_options options_of(const sky_value *p, const network_layer *l, int32_t index)
{
    const sky_he_packing packing = packing_of(p, l);
    const bool gaps = packing == SKY_HE_MULTIPLEXED || packing == SKY_HE_TOEPLITZ;
    return (sky_he_layer_options){
        .conv = {.packing = packing,
                 .slots = 1 << (p[P_LOG_N].i - 1),
                 .hoisted_cost = p[P_HOISTED_COST].f,
                 .gap = gaps ? l->gap : 1},
        .group = (sky_he_group)he_choice(sky_he_group_names, p[P_PRUNE].s),
        .kept = p[P_KEEP].f,
        .weight_seed = sky_hash_u64((uint64_t)p[P_WEIGHT_SEED].i, (uint64_t)index)};
}

static double rotation_cost(const sky_he_conv_counts *c, double hoisted_cost)
{
    double cost = 0;
    for (int k = 0; k <= SKY_HE_DEPTH_MAX; k++)
        cost += (double)c->rotations_full[k] + hoisted_cost * (double)c->rotations_hoisted[k];
    return cost;
}

static sky_err plan_for(sky_he_conv_plan **out, const sky_he_conv_shape *s,
                        const sky_he_conv_options *conv, sky_he_group group, sky_error *e)
{
    sky_he_conv_plan *plan = NULL;
    sky_err err = sky_he_conv_plan_create(&plan, s, conv, e);
    if (err == SKY_OK && group != SKY_HE_GROUP_NONE)
        err = sky_he_prune_check(plan, group, e);
    if (err == SKY_OK)
        *out = plan;
    else
        sky_he_conv_plan_free(plan);
    return err;
}

/* The packing with the fewest rotations of those that can do the layer and have such groups, unpruned. */
static sky_err choose(const sky_he_conv_shape *s, sky_he_layer_options *o, int32_t gap,
                      sky_error *e)
{
    static const sky_he_packing candidates[] = {SKY_HE_HYBRID, SKY_HE_TOEPLITZ, SKY_HE_MULTIPLEXED};
    double best = INFINITY;
    sky_he_conv_options chosen = o->conv;
    for (size_t k = 0; k < sizeof candidates / sizeof *candidates; k++) {
        sky_he_conv_options conv = o->conv;
        conv.packing = candidates[k];
        conv.gap = candidates[k] == SKY_HE_HYBRID ? 1 : gap;
        sky_he_conv_plan *plan;
        sky_he_conv_counts c;
        sky_error why = {0};
        if (plan_for(&plan, s, &conv, o->group, &why) != SKY_OK) {
            if (best == INFINITY && e)
                *e = why;
            continue;
        }
        sky_err err = sky_he_conv_count(plan, &c, e);
        sky_he_conv_plan_free(plan);
        if (err != SKY_OK)
            return err;
        if (rotation_cost(&c, o->conv.hoisted_cost) < best) {
            best = rotation_cost(&c, o->conv.hoisted_cost);
            chosen = conv;
        }
    }
    o->conv = chosen;
    return best < INFINITY ? SKY_OK : SKY_EINVAL;
}

static sky_err check_layer(const sky_network *net, int32_t i, sky_error *e)
{
    const sky_layer *l = &net->layers[i];
    if (l->kind == SKY_LAYER_CONV && l->groups > 1)
        return sky_fail(e, SKY_EINVAL,
                        "network '%s', layer '%s': convolutions with groups (%d) are not supported",
                        net->name, l->name, l->groups);
    if (l->kind == SKY_LAYER_MATMUL)
        return sky_fail(e, SKY_EINVAL,
                        "network '%s', layer '%s': products of two activations are not supported",
                        net->name, l->name);
    return SKY_OK;
}

static sky_he_params params_of(const sky_value *p)
{
    return (sky_he_params){.log2_n = (uint32_t)p[P_LOG_N].i,
                           .n_data = (uint32_t)p[P_PRIMES].i,
                           .n_special = (uint32_t)p[P_SPECIAL_PRIMES].i,
                           .digit_primes = (uint32_t)p[P_SPECIAL_PRIMES].i};
}

static bool runs_for_real(const sky_value *p, const char *name)
{
    if (he_choice(evaluations, p[P_EVALUATE].s) != REAL)
        return false;
    if (strcmp(p[P_REAL_LAYERS].s, "all") == 0)
        return true;
    const size_t len = strlen(name);
    for (const char *at = p[P_REAL_LAYERS].s; (at = strstr(at, name)); at += len) {
        const bool begins = at == p[P_REAL_LAYERS].s || at[-1] == ',';
        if (begins && (at[len] == '\0' || at[len] == ','))
            return true;
    }
    return false;
}

static sky_err check_real_layers(const sky_value *p, const sky_network *net, sky_error *e)
{
    if (he_choice(evaluations, p[P_EVALUATE].s) != REAL)
        return SKY_OK;
    network_layer l;
    for (int32_t i = 0; i < net->n_layers; i++) {
        if (layer_of(net, i, &l) && runs_for_real(p, l.name))
            return SKY_OK;
    }
    return sky_fail(e, SKY_EINVAL, "real_layers is '%.200s', and network '%s' has no such layer",
                    p[P_REAL_LAYERS].s, net->name);
}

/* What only the network itself tells. */
static sky_err check_network(const sky_value *p, const sky_network *net, sky_error *e)
{
    sky_err err = check_real_layers(p, net, e);
    for (int32_t i = 0; err == SKY_OK && i < net->n_layers; i++)
        err = check_layer(net, i, e);
    return err;
}

static sky_err validate(const sky_value *p, sky_error *e)
{
    const sky_he_params he = params_of(p);
    const int depth = he_choice(packings, p[P_PACKING].s) == SKY_HE_MULTIPLEXED ? 2 : 1;
    const sky_network *net = NULL;
    sky_err err = sky_job_network_check(p[P_NETWORK].s, &net, e);
    if (err == SKY_OK)
        err = sky_he_layer_check_params(&he, depth, e);
    return err == SKY_OK && net ? check_network(p, net, e) : err; /* a file: check_inputs() */
}

static sky_err check_inputs(sky_job_ctx *ctx, const sky_descriptor *d, const sky_value *p,
                            sky_error *e)
{
    (void)d;
    const sky_network *net = NULL;
    const sky_err err = sky_job_inputs(p[P_NETWORK].s, NULL, ctx->workdir, &net, e);
    return err == SKY_OK ? check_network(p, net, e) : err;
}

/* --- one point --- */

typedef struct totals {
    sky_he_conv_counts counts, before; /* sums; steps and peaks are in the fields below */
    int64_t layers, layers_run;
    uint64_t memory_bytes;
    double energy_kept, model_s, unpruned_s, real_s, model_of_real_s, error_max;
    uint8_t
        *step; /* [slots] 0: no layer needs it, else the rescales before its first use, plus 1 */
} totals;

static void add_counts(sky_he_conv_counts *sum, const sky_he_conv_counts *c)
{
    for (int k = 0; k <= SKY_HE_DEPTH_MAX; k++) {
        sum->rotations_full[k] += c->rotations_full[k];
        sum->rotations_hoisted[k] += c->rotations_hoisted[k];
        sum->products[k] += c->products[k];
    }
    sum->ciphertexts_in += c->ciphertexts_in;
    sum->ciphertexts_out += c->ciphertexts_out;
}

static sky_err add_steps(totals *t, const sky_he_conv_plan *plan, sky_error *e)
{
    int32_t *steps = malloc((size_t)plan->slots * sizeof *steps);
    uint8_t *after = malloc((size_t)plan->slots);
    const int32_t n = steps && after ? sky_he_conv_steps(plan, steps, after) : -1;
    for (int32_t k = 0; k < n; k++) {
        uint8_t *step = &t->step[steps[k]];
        if (*step == 0 || *step > after[k] + 1)
            *step = (uint8_t)(after[k] + 1);
    }
    free(steps);
    free(after);
    return n >= 0 ? SKY_OK : sky_fail(e, SKY_ENOMEM, "he_network: out of memory");
}

typedef struct layer_times {
    double model_s, unpruned_s, real_s, error_max; /* NaN: not evaluated */
} layer_times;

static sky_err time_layer(const sky_value *p, const sky_he_layer *l, bool real, uint64_t seed,
                          layer_times *out, sky_error *e)
{
    const sky_he_params he = params_of(p);
    const sky_he_conv_ckks_options run = {
        .hoisting = (sky_he_hoisting)he_choice(sky_he_hoisting_names, p[P_HOISTING].s),
        .cache_bytes = (uint64_t)p[P_CACHE_MIB].i << 20};
    /* One calibration for all layers: many keys and ciphertexts. */
    const sky_he_cost_options o = {
        .hoisting = run.hoisting, .depth = SKY_HE_DEPTH_MAX, .keeps_factors = run.cache_bytes > 0};
    const sky_he_cost_model *cost;
    const sky_he_ctx *ctx;
    sky_err err = sky_he_shared_cost(&cost, &he, &o, e);
    if (err == SKY_OK)
        err = sky_he_shared_context(&ctx, &he, e);
    if (err != SKY_OK)
        return err;
    const uint64_t each = sky_he_pt_bytes(ctx, he.n_data, run.hoisting == SKY_HE_HOISTING_DOUBLE);
    const int64_t cached = (int64_t)(run.cache_bytes / each);
    *out = (layer_times){.model_s = sky_he_cost_predict(cost, &l->counts, cached).total_s,
                         .unpruned_s = sky_he_cost_predict(cost, &l->before, cached).total_s,
                         .real_s = NAN,
                         .error_max = NAN};
    sky_he_layer_run r;
    if (!real)
        return SKY_OK;
    err = sky_he_layer_run_real(&r, l, ctx, &run, seed, e);
    if (err == SKY_OK) {
        out->real_s = r.times.total_s;
        out->error_max = r.error_max;
    }
    return err;
}

static sky_err add_layer(totals *t, const sky_value *p, const sky_he_layer *l, layer_times x,
                         sky_error *e)
{
    const sky_he_params he = params_of(p);
    const uint64_t memory = sky_he_layer_memory_bytes(&l->counts, &he);
    add_counts(&t->counts, &l->counts);
    add_counts(&t->before, &l->before);
    t->layers++;
    t->energy_kept += l->energy_kept;
    if (memory > t->memory_bytes)
        t->memory_bytes = memory;
    t->model_s += x.model_s;
    t->unpruned_s += x.unpruned_s;
    if (!isnan(x.real_s)) {
        t->layers_run++;
        t->real_s += x.real_s;
        t->model_of_real_s += x.model_s;
        t->error_max = fmax(t->error_max, x.error_max);
    }
    return add_steps(t, l->plan, e);
}

static int64_t sum(const int64_t *at)
{
    int64_t n = 0;
    for (int k = 0; k <= SKY_HE_DEPTH_MAX; k++)
        n += at[k];
    return n;
}

/* The last layer that was made, and what it was made of: networks repeat themselves. */
typedef struct memo {
    bool has;
    sky_he_conv_shape shape;
    int32_t gap;
    sky_he_layer layer;
} memo;

static sky_err make_layer(memo *m, const sky_value *p, const network_layer *n, int32_t index,
                          sky_error *e)
{
    sky_he_layer_options o = options_of(p, n, index);
    const bool real = runs_for_real(p, n->name);
    const bool prunes = o.group != SKY_HE_GROUP_NONE && o.kept < 1;
    if (m->has && !prunes && !real && m->gap == n->gap &&
        memcmp(&m->shape, &n->shape, sizeof n->shape) == 0)
        return SKY_OK;
    if (m->has)
        sky_he_layer_free(&m->layer);
    m->has = false;
    const bool free_choice = !n->dense && he_choice(packings, p[P_PACKING].s) == BEST;
    sky_err err = free_choice ? choose(&n->shape, &o, n->gap, e) : SKY_OK;
    if (err == SKY_OK && n->dense &&
        (o.group == SKY_HE_GROUP_POSITIONAL || o.group == SKY_HE_GROUP_BOTH))
        o.group = SKY_HE_GROUP_NONE; /* a classifier has no taps */
    if (err == SKY_OK)
        err = sky_he_layer_make(&m->layer, &n->shape, &o, real, e);
    m->has = err == SKY_OK;
    m->shape = n->shape;
    m->gap = n->gap;
    return err;
}

/* Does something with each layer; lines, if given, gets a line for each. */
static sky_err walk(sky_job_ctx *ctx, const sky_value *p, totals *t, sky_buf *lines, sky_error *e)
{
    const sky_network *net;
    sky_err err = sky_job_network(p[P_NETWORK].s, ctx->workdir, &net, e);
    if (err == SKY_OK)
        err = check_network(p, net, e);
    memo m = {0};
    const bool timed = he_choice(evaluations, p[P_EVALUATE].s) != COUNT;
    for (int32_t i = 0; err == SKY_OK && i < net->n_layers; i++) {
        network_layer n;
        if (!layer_of(net, i, &n))
            continue;
        if (ctx->stopping(ctx)) {
            err = SKY_ECANCELLED;
            break;
        }
        layer_times x = {NAN, NAN, NAN, NAN};
        err = make_layer(&m, p, &n, i, e);
        if (err == SKY_OK && timed)
            err = time_layer(p, &m.layer, runs_for_real(p, n.name), ctx->seed, &x, e);
        if (err == SKY_OK)
            err = add_layer(t, p, &m.layer, x, e);
        if (err != SKY_OK) {
            sky_fail_prefix(e, "layer '%s'", n.name);
            break;
        }
        if (!lines)
            continue;
        const sky_he_conv_counts *c = &m.layer.counts;
        sky_buf_csv(lines, n.name);
        sky_buf_printf(lines,
                       ",%d,%d,%d,%d,%d,%d,%s,%d,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
                       ",%d,%d,%d,",
                       n.shape.c_in, n.shape.c_out, n.shape.h, n.shape.w, n.shape.window.kernel_h,
                       n.shape.window.stride_h, sky_he_packing_name(m.layer.plan->packing),
                       m.layer.plan->split, sky_he_rotations(&m.layer.before), sky_he_rotations(c),
                       sum(c->rotations_hoisted), sum(c->products), c->ciphertexts_in,
                       c->ciphertexts_out, c->steps);
        const double values[] = {x.model_s, x.real_s, x.error_max};
        for (int k = 0; k < 3; k++) {
            if (!isnan(values[k]))
                sky_buf_f64(lines, values[k]);
            sky_buf_putc(lines, k < 2 ? ',' : '\n');
        }
    }
    if (m.has)
        sky_he_layer_free(&m.layer);
    return err;
}

static void put_times(const totals *t, const sky_value *p, sky_value *m)
{
    if (he_choice(evaluations, p[P_EVALUATE].s) == COUNT)
        return;
    m[M_LATENCY_MODEL] = sky_real(t->model_s);
    m[M_LATENCY_UNPRUNED] = sky_real(t->unpruned_s);
    if (t->layers_run == 0)
        return;
    m[M_LATENCY] = sky_real(t->real_s);
    m[M_MODEL_OVER_REAL] = sky_real(t->model_of_real_s / t->real_s);
    m[M_ERROR_MAX] = sky_real(t->error_max);
}

static sky_err put(const totals *t, const sky_value *p, sky_value *m, sky_error *e)
{
    const sky_he_params he = params_of(p);
    const sky_he_ctx *ctx;
    sky_err err = sky_he_shared_context(&ctx, &he, e);
    if (err != SKY_OK)
        return err;
    sky_he_conv_counts keys = {0};
    for (int32_t s = 0; s < 1 << (p[P_LOG_N].i - 1); s++) {
        if (t->step[s] > 0) {
            keys.steps++;
            keys.steps_at[t->step[s] - 1]++;
        }
    }
    const bool hoists = he_choice(sky_he_hoisting_names, p[P_HOISTING].s) != SKY_HE_HOISTING_NONE;
    const int64_t hoisted = hoists ? sum(t->counts.rotations_hoisted) : 0;
    m[M_ROTATIONS] = sky_int(sky_he_rotations(&t->counts));
    m[M_ROTATIONS_FULL] = sky_int(sky_he_rotations(&t->counts) - hoisted);
    m[M_ROTATIONS_HOISTED] = sky_int(hoisted);
    m[M_ROTATIONS_UNPRUNED] = sky_int(sky_he_rotations(&t->before));
    m[M_PRODUCTS] = sky_int(sum(t->counts.products));
    m[M_CIPHERTEXTS] = sky_int(t->counts.ciphertexts_in + t->counts.ciphertexts_out);
    m[M_GALOIS_KEYS] = sky_int(keys.steps);
    m[M_KEY_BYTES] = sky_int((int64_t)sky_he_layer_key_bytes(&keys, &he));
    m[M_MEMORY_BYTES] = sky_int((int64_t)t->memory_bytes);
    m[M_LAYERS] = sky_int(t->layers);
    m[M_ENERGY_KEPT] = sky_real(t->layers > 0 ? t->energy_kept / (double)t->layers : 1);
    m[M_SECURITY_BITS] = sky_int(sky_he_ctx_info(ctx).security_bits);
    m[M_REAL_LAYERS] = sky_int(t->layers_run);
    put_times(t, p, m);
    return SKY_OK;
}

static sky_err evaluate(sky_job_ctx *ctx, const sky_value *p, sky_value *m, sky_buf *lines,
                        sky_error *e)
{
    totals t = {.step = calloc((size_t)1 << (p[P_LOG_N].i - 1), 1)};
    if (!t.step)
        return sky_fail(e, SKY_ENOMEM, "he_network: out of memory");
    sky_err err = walk(ctx, p, &t, lines, e);
    if (err == SKY_OK && m)
        err = put(&t, p, m, e);
    free(t.step);
    return err;
}

static sky_err run(sky_job_ctx *ctx, const sky_value *p, sky_value *m, sky_error *e)
{
    return evaluate(ctx, p, m, NULL, e);
}

static sky_err details(sky_job_ctx *ctx, const sky_value *p, sky_buf *csv, sky_error *e)
{
    sky_buf_puts(csv, "layer,channels_in,channels_out,height,width,kernel,stride,packing,split,"
                      "rotations_unpruned,rotations,rotations_hoisted,products,ciphertexts_in,"
                      "ciphertexts_out,galois_keys,latency_model_s,latency_s,error_max\n");
    sky_err err = evaluate(ctx, p, NULL, csv, e);
    if (err == SKY_OK && !sky_buf_ok(csv))
        err = sky_fail(e, SKY_ENOMEM, "he_network: out of memory");
    return err;
}

static uint64_t bytes_needed(const sky_value *p)
{
    enum { BASE = 512 << 20 };
    return he_choice(evaluations, p[P_EVALUATE].s) == REAL
               ? (UINT64_C(3) << 30) + ((uint64_t)p[P_CACHE_MIB].i << 20)
               : BASE;
}

const sky_job sky__job_he_network = {
    .abi = SKY_JOB_ABI,
    .d = {.name = "he_network",
          .version = "1",
          .summary =
              "A whole network on encrypted images: packings, pruning, modelled and real time",
          .source = "Jeon, Erez, Orshansky: Artemis, arXiv 2310.01664 (2023)",
          .params = params,
          .n_params = N_PARAMS,
          .metrics = metrics,
          .n_metrics = N_METRICS},
    .validate = validate,
    .check_inputs = check_inputs,
    .bytes_needed = bytes_needed,
    .run = run,
    .details = details,
};

/* Job `he_network`: a whole network on encrypted images, layer by layer, each from fresh ciphertexts (a
 * client, or a bootstrap, refreshes between layers). Costs by counting and a cost model that is calibrated
 * where the job runs; any layer can be run for real. What each number means: docs/jobs/he_network.md. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "hw/network.h"
#include "jobs/he/he_job.h"
#include "jobs/netfile.h"

enum {
    P_NETWORK,
    P_PACKING,
    P_REAL_LAYERS,
    P_SHARED, /* he_job.h */
    N_PARAMS = P_SHARED + HE_PARAMS,
};
enum {
    M_SHARED, /* he_job.h */
    M_CIPHERTEXTS = M_SHARED + HE_METRICS,
    M_LAYERS,
    M_LAYERS_RUN,
    M_LAYERS_COMPOSED,
    M_MODEL_OVER_REAL,
    M_MODEL_WORST,
    N_METRICS,
};

/* The packings of convolutions, and the cheapest of them for each layer. */
enum { BEST = SKY_HE_HALEVI_SHOUP };
static const char *const packings[] = {"siso",      "input_rotation", "output_rotation",
                                       "add_first", "hybrid",         "multiplexed",
                                       "toeplitz",  "best",           NULL};
_Static_assert(SKY_HE_TOEPLITZ + 1 == BEST, "names in the order of sky_he_packing");

static const sky_param params[N_PARAMS] = {
    [P_NETWORK] =
        SKY__TEXT("network", "resnet20", NULL, "a built-in network, or a file: .onnx, .csv"),
    [P_PACKING] = SKY__TEXT("packing", "best", packings,
                            "of convolutions; best: the fewest rotations for each layer"),
    [P_REAL_LAYERS] =
        SKY__TEXT("real_layers", "all", NULL, "with evaluate=real: all, or names between commas"),
    HE_PARAM_BLOCK(P_SHARED, 14, 3, 1),
};

static const sky_metric metrics[N_METRICS] = {
    HE_METRIC_BLOCK(M_SHARED),
    [M_CIPHERTEXTS] = HE_EXACT("ciphertexts", "", SKY_MIN, "into and out of all layers"),
    [M_LAYERS] = HE_EXACT("layers", "", SKY_NO_GOAL, "convolutions and fully connected"),
    [M_LAYERS_RUN] = HE_EXACT("layers_run", "", SKY_NO_GOAL, "that ran encrypted"),
    [M_LAYERS_COMPOSED] = HE_EXACT("layers_composed", "", SKY_NO_GOAL,
                                   "whose steps are composed of powers of two, to fit memory_mib"),
    [M_MODEL_OVER_REAL] = HE_MEASURED("model_over_real", "", SKY_NO_GOAL,
                                      "the model's latency of those that ran, over latency_s"),
    [M_MODEL_WORST] = HE_MEASURED("model_worst_error", "", SKY_NO_GOAL,
                                  "largest |model / measured - 1| of a layer that ran"),
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
    sky_he_layer_options o = he_settings_of(p + P_SHARED).layer;
    o.conv.packing = packing_of(p, l);
    const bool gaps = o.conv.packing == SKY_HE_MULTIPLEXED || o.conv.packing == SKY_HE_TOEPLITZ;
    o.conv.gap = gaps ? l->gap : 1;
    o.weight_seed = sky_hash_u64(o.weight_seed, (uint64_t)index);
    return o;
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
        const bool too_deep = (uint32_t)plan->depth >= o->params.n_data;
        sky_err err = sky_he_conv_count(plan, &c, e);
        sky_he_conv_plan_free(plan);
        if (err != SKY_OK)
            return err;
        if (too_deep)
            continue;
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

static bool runs_for_real(const sky_value *p, const char *name)
{
    if (he_settings_of(p + P_SHARED).evaluation != HE_REAL)
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
    if (he_settings_of(p + P_SHARED).evaluation != HE_REAL)
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
    const sky_he_params he = he_settings_of(p + P_SHARED).params;
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
    int64_t layers, layers_run, layers_composed;
    uint64_t memory_bytes;
    double energy_kept, model_s, unpruned_s, real_s, model_of_real_s, model_worst, error_max;
    /* [slots] 0: no layer rotates by it, else the rescales before its first use, plus 1 */
    uint8_t *rotation;
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
        uint8_t *first = &t->rotation[steps[k]];
        if (*first == 0 || *first > after[k] + 1)
            *first = (uint8_t)(after[k] + 1);
    }
    free(steps);
    free(after);
    return n >= 0 ? SKY_OK : sky_fail(e, SKY_ENOMEM, "he_network: out of memory");
}

static sky_err add_layer(totals *t, const he_settings *s, const sky_he_layer *l, const he_times *x,
                         sky_error *e)
{
    const uint64_t memory = sky_he_layer_memory_bytes(&l->counts, &s->params);
    add_counts(&t->counts, &l->counts);
    add_counts(&t->before, &l->before);
    t->layers++;
    t->layers_composed += l->plan->composes;
    t->energy_kept += l->energy_kept;
    if (memory > t->memory_bytes)
        t->memory_bytes = memory;
    t->model_s += x->model_s;
    t->unpruned_s += x->unpruned_s;
    if (!isnan(x->real_s)) {
        t->layers_run++;
        t->real_s += x->real_s;
        t->model_of_real_s += x->model_s;
        t->model_worst = fmax(t->model_worst, fabs(x->model_s / x->real_s - 1));
        t->error_max = fmax(t->error_max, x->error_max);
    }
    return add_steps(t, l->plan, e);
}

/* A layer of the network on its way through: made, run, modelled. */
typedef struct step {
    network_layer of;
    sky_he_layer own; /* zeroed if the one before does for it: networks repeat themselves */
    const sky_he_layer *layer;
    he_times times;
} step;

/* Whether what `last` is made of does for the next layer, too. */
static bool repeats(const sky_value *p, const step *last, const network_layer *n)
{
    const sky_he_layer_options o = he_settings_of(p + P_SHARED).layer;
    const bool prunes = o.group != SKY_HE_GROUP_NONE && o.kept < 1;
    return last && !prunes && !runs_for_real(p, n->name) && last->of.gap == n->gap &&
           memcmp(&last->of.shape, &n->shape, sizeof n->shape) == 0;
}

static sky_err make_layer(step *t, const sky_value *p, int32_t index, sky_error *e)
{
    const network_layer *n = &t->of;
    sky_he_layer_options o = options_of(p, n, index);
    const bool free_choice = !n->dense && he_choice(packings, p[P_PACKING].s) == BEST;
    sky_err err = free_choice ? choose(&n->shape, &o, n->gap, e) : SKY_OK;
    if (err == SKY_OK && n->dense &&
        (o.group == SKY_HE_GROUP_POSITIONAL || o.group == SKY_HE_GROUP_BOTH))
        o.group = SKY_HE_GROUP_NONE; /* a classifier has no taps */
    if (err == SKY_OK)
        err = sky_he_layer_make(&t->own, &n->shape, &o, runs_for_real(p, n->name), e);
    t->layer = &t->own;
    return err;
}

/* A line of details. */
static void print_layer(sky_buf *csv, const step *t)
{
    const network_layer *n = &t->of;
    const sky_he_layer *l = t->layer;
    const sky_he_conv_counts *c = &l->counts;
    sky_buf_csv(csv, n->name);
    sky_buf_printf(csv,
                   ",%d,%d,%d,%d,%d,%d,%s,%d,%d,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
                   ",%d,%d,%d,",
                   n->shape.c_in, n->shape.c_out, n->shape.h, n->shape.w, n->shape.window.kernel_h,
                   n->shape.window.stride_h, sky_he_packing_name(l->plan->packing), l->plan->split,
                   l->plan->composes, sky_he_rotations(&l->before), sky_he_rotations(c),
                   he_sum(c->rotations_hoisted), he_sum(c->products), c->ciphertexts_in,
                   c->ciphertexts_out, c->steps);
    const double values[] = {t->times.model_s, t->times.real_s, t->times.error_max};
    for (int k = 0; k < 3; k++) {
        if (!isnan(values[k]))
            sky_buf_f64(csv, values[k]);
        sky_buf_putc(csv, k < 2 ? ',' : '\n');
    }
}

/* Makes the layer and, if it is to, runs it. last: the one before, or NULL. */
static sky_err begin_step(step *t, const step *last, sky_job_ctx *ctx, const sky_value *p,
                          int32_t index, sky_error *e)
{
    t->times = he_no_times;
    if (repeats(p, last, &t->of)) {
        t->layer = last->layer;
        return SKY_OK;
    }
    const he_settings s = he_settings_of(p + P_SHARED);
    sky_err err = make_layer(t, p, index, e);
    if (err == SKY_OK && runs_for_real(p, t->of.name))
        err = he_measure_layer(&t->times, &s, &t->own, ctx->seed, e);
    if (err == SKY_OK)
        sky_he_layer_drop_weights(&t->own);
    return err;
}

/* csv, if given, gets a line. */
static sky_err end_step(step *t, totals *sum, const he_settings *s, sky_buf *csv, sky_error *e)
{
    sky_err err = s->evaluation == HE_COUNT ? SKY_OK : he_model_layer(&t->times, s, t->layer, e);
    if (err == SKY_OK)
        err = add_layer(sum, s, t->layer, &t->times, e);
    if (err == SKY_OK && csv)
        print_layer(csv, t);
    return err;
}

/* All layers are run before the first is modelled: what the model is calibrated by is measured between them. */
static sky_err walk(step *steps, const sky_network *net, sky_job_ctx *ctx, const sky_value *p,
                    totals *sum, sky_buf *csv, sky_error *e)
{
    const he_settings s = he_settings_of(p + P_SHARED);
    sky_err err = SKY_OK;
    int32_t n = 0;
    sky_he_shared_cost_begin();
    for (int32_t i = 0; err == SKY_OK && i < net->n_layers; i++) {
        step *t = &steps[n];
        if (!layer_of(net, i, &t->of))
            continue;
        if (ctx->stopping(ctx))
            return SKY_ECANCELLED;
        err = begin_step(t, n > 0 ? t - 1 : NULL, ctx, p, i, e);
        if (err != SKY_OK)
            sky_fail_prefix(e, "layer '%s'", t->of.name);
        n++;
    }
    for (int32_t k = 0; err == SKY_OK && k < n; k++) {
        err = end_step(&steps[k], sum, &s, csv, e);
        if (err != SKY_OK)
            sky_fail_prefix(e, "layer '%s'", steps[k].of.name);
    }
    return err;
}

static void put_times(const totals *t, const he_settings *s, sky_value *m)
{
    if (s->evaluation == HE_COUNT)
        return;
    m[M_SHARED + HE_M_LATENCY_MODEL] = sky_real(t->model_s);
    m[M_SHARED + HE_M_LATENCY_UNPRUNED] = sky_real(t->unpruned_s);
    if (t->layers_run == 0)
        return;
    m[M_SHARED + HE_M_LATENCY] = sky_real(t->real_s);
    m[M_SHARED + HE_M_ERROR_MAX] = sky_real(t->error_max);
    m[M_MODEL_OVER_REAL] = sky_real(t->model_of_real_s / t->real_s);
    m[M_MODEL_WORST] = sky_real(t->model_worst);
}

static sky_err put(const totals *t, const sky_value *p, sky_value *m, sky_error *e)
{
    const he_settings s = he_settings_of(p + P_SHARED);
    const sky_he_ctx *ctx;
    sky_err err = sky_he_shared_context(&ctx, &s.params, e);
    if (err != SKY_OK)
        return err;
    sky_he_conv_counts keys = {0};
    for (int32_t r = 0; r < s.layer.conv.slots; r++) {
        if (t->rotation[r] > 0)
            keys.steps_at[t->rotation[r] - 1]++;
    }
    he_put_counts(&s, &t->counts, &t->before, &keys, t->memory_bytes, m + M_SHARED);
    m[M_SHARED + HE_M_ENERGY_KEPT] =
        sky_real(t->layers > 0 ? t->energy_kept / (double)t->layers : 1);
    m[M_SHARED + HE_M_SECURITY_BITS] = sky_int(sky_he_ctx_info(ctx).security_bits);
    m[M_CIPHERTEXTS] = sky_int(t->counts.ciphertexts_in + t->counts.ciphertexts_out);
    m[M_LAYERS] = sky_int(t->layers);
    m[M_LAYERS_RUN] = sky_int(t->layers_run);
    m[M_LAYERS_COMPOSED] = sky_int(t->layers_composed);
    put_times(t, &s, m);
    return SKY_OK;
}

static sky_err evaluate(sky_job_ctx *ctx, const sky_value *p, sky_value *m, sky_buf *lines,
                        sky_error *e)
{
    const sky_network *net;
    sky_err err = sky_job_network(p[P_NETWORK].s, ctx->workdir, &net, e);
    if (err == SKY_OK)
        err = check_network(p, net, e);
    if (err != SKY_OK)
        return err;
    totals t = {.rotation = calloc((size_t)he_settings_of(p + P_SHARED).layer.conv.slots, 1)};
    step *steps = calloc((size_t)net->n_layers, sizeof *steps);
    err = t.rotation && steps ? walk(steps, net, ctx, p, &t, lines, e)
                              : sky_fail(e, SKY_ENOMEM, "he_network: out of memory");
    if (err == SKY_OK && m)
        err = put(&t, p, m, e);
    for (int32_t k = 0; steps && k < net->n_layers; k++)
        sky_he_layer_free(&steps[k].own);
    free(steps);
    free(t.rotation);
    return err;
}

static sky_err run(sky_job_ctx *ctx, const sky_value *p, sky_value *m, sky_error *e)
{
    return evaluate(ctx, p, m, NULL, e);
}

static sky_err details(sky_job_ctx *ctx, const sky_value *p, sky_buf *csv, sky_error *e)
{
    sky_buf_puts(csv,
                 "layer,channels_in,channels_out,height,width,kernel,stride,packing,split,"
                 "composed,rotations_unpruned,rotations,rotations_hoisted,products,ciphertexts_in,"
                 "ciphertexts_out,galois_keys,latency_model_s,latency_s,error_max\n");
    sky_err err = evaluate(ctx, p, NULL, csv, e);
    if (err == SKY_OK && !sky_buf_ok(csv))
        err = sky_fail(e, SKY_ENOMEM, "he_network: out of memory");
    return err;
}

static uint64_t bytes_needed(const sky_value *p)
{
    enum { LAYERS = 256 << 20 }; /* plans and weights */
    const he_settings s = he_settings_of(p + P_SHARED);
    return he_bytes_needed(&s, LAYERS + (s.evaluation == HE_REAL ? s.layer.memory_bytes_max : 0));
}

const sky_job sky__job_he_network = {
    .abi = SKY_JOB_ABI,
    .d = {.name = "he_network",
          .version = "3",
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

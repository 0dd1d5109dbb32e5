/* Job `he_conv`: one convolution layer on encrypted images (jobs/he/he_conv.h): what its packing costs, what
 * pruning saves, how long it takes and how exact it is. What each number means: docs/jobs/he_conv.md. */
#include <inttypes.h>
#include <math.h>

#include "jobs/he/he_job.h"
#include "jobs/he/he_layer.h"

enum {
    P_CHANNELS_IN,
    P_CHANNELS_OUT,
    P_SIZE,
    P_KERNEL,
    P_STRIDE,
    P_PADDING,
    P_LOG_N,
    P_PRIMES,
    P_FIRST_BITS,
    P_SCALE_BITS,
    P_SPECIAL_PRIMES,
    P_PACKING,
    P_SPLIT,
    P_GAP,
    P_HOISTING,
    P_HOISTED_COST,
    P_PRUNE,
    P_KEEP,
    P_EVALUATE,
    P_CACHE_MIB,
    P_WEIGHT_SEED,
    P_INSECURE,
    N_PARAMS,
};
enum {
    M_ROTATIONS,
    M_ROTATIONS_FULL,
    M_ROTATIONS_HOISTED,
    M_ROTATIONS_UNPRUNED,
    M_PRODUCTS,
    M_ADDITIONS,
    M_CIPHERTEXTS_IN,
    M_CIPHERTEXTS_OUT,
    M_GALOIS_KEYS,
    M_KEY_BYTES,
    M_MEMORY_BYTES,
    M_DEPTH,
    M_SPLIT_USED,
    M_WEIGHTS_KEPT,
    M_ENERGY_KEPT,
    M_LOG2_QP,
    M_SECURITY_BITS,
    M_LATENCY_MODEL,
    M_LATENCY_UNPRUNED,
    M_ROTATION_SHARE,
    M_LATENCY,
    M_ENCODE,
    M_ERROR_MAX,
    M_PRECISION_BITS,
    N_METRICS,
};
enum { COUNT, MODEL, REAL };
static const char *const evaluations[] = {
    [COUNT] = "count", [MODEL] = "model", [REAL] = "real", NULL};

static const sky_param params[N_PARAMS] = {
    [P_CHANNELS_IN] = SKY__INTEGER("channels_in", "", 16, 1, SKY_HE_CHANNELS_MAX, "of the input"),
    [P_CHANNELS_OUT] =
        SKY__INTEGER("channels_out", "", 16, 1, SKY_HE_CHANNELS_MAX, "of the output"),
    [P_SIZE] = SKY__INTEGER("size", "pixels", 32, 1, 256, "edge of the input image"),
    [P_KERNEL] = SKY__INTEGER("kernel", "", 3, 1, 31, "edge of the kernel"),
    [P_STRIDE] = SKY__INTEGER("stride", "", 1, 1, 16, "along both edges"),
    [P_PADDING] = SKY__INTEGER("padding", "", -1, -1, 31, "on each side; -1: (kernel - 1) / 2"),
    [P_LOG_N] = SKY__INTEGER("log_n", "", 13, SKY_HE_LOG2_N_MIN, SKY_HE_LOG2_N_MAX,
                             "ring degree 2^log_n; a ciphertext has half as many slots"),
    [P_PRIMES] = SKY__INTEGER("primes", "", 2, 1, SKY_HE_DATA_MAX,
                              "data primes; one more than the depth at least"),
    [P_FIRST_BITS] = SKY__INTEGER("first_bits", "bits", 50, SKY_HE_PRIME_BITS_MIN,
                                  SKY_HE_PRIME_BITS_MAX, "of the first data prime"),
    [P_SCALE_BITS] =
        SKY__INTEGER("scale_bits", "bits", 40, SKY_HE_PRIME_BITS_MIN, SKY_HE_PRIME_BITS_MAX,
                     "of the other data primes, and of the scale"),
    [P_SPECIAL_PRIMES] = SKY__INTEGER("special_primes", "", 1, 1, SKY_HE_SPECIAL_MAX,
                                      "of 50 bits; also data primes in a digit of key switching"),
    [P_PACKING] =
        SKY__TEXT("packing", "hybrid", sky_he_packing_names, "where pixels go, and what moves"),
    [P_SPLIT] =
        SKY__INTEGER("split", "", 0, 0, SKY_HE_SLOTS_MAX,
                     "baby steps of hybrid, toeplitz, halevi_shoup; 0: the cheapest power of two"),
    [P_GAP] = SKY__INTEGER("gap", "", 1, 1, 64, "of the input of multiplexed and toeplitz"),
    [P_HOISTING] =
        SKY__TEXT("hoisting", "double", sky_he_hoisting_names, "what rotations of one input share"),
    [P_HOISTED_COST] =
        SKY__REAL("hoisted_cost", "", 1, 0.001, 1,
                  "of a hoisted rotation, a full one being 1: for split and pruning"),
    [P_PRUNE] = SKY__TEXT("prune", "none", sky_he_group_names, "weights that are pruned together"),
    [P_KEEP] = SKY__REAL("keep", "", 1, 0, 1, "part of the rotations of those groups that is kept"),
    [P_EVALUATE] = SKY__TEXT("evaluate", "model", evaluations,
                             "count: no times; model: from single operations; real: encrypted"),
    [P_CACHE_MIB] = SKY__INTEGER("cache_mib", "MiB", 0, 0, 1 << 20,
                                 "weights encoded beforehand, at most; others as they are needed"),
    [P_WEIGHT_SEED] =
        SKY__INTEGER("weight_seed", "", 1, 0, 1e9, "of the synthetic weights (He normal)"),
    [P_INSECURE] = SKY__FLAG("insecure", false, "allow less than 128 bits, for tests"),
};

#define EXACT(NAME, UNIT, GOAL, DOC)    HE_METRIC(NAME, SKY_INT, UNIT, GOAL, SKY_EXACT, DOC)
#define MEASURED(NAME, UNIT, GOAL, DOC) HE_METRIC(NAME, SKY_REAL, UNIT, GOAL, SKY_MEASURED, DOC)

static const sky_metric metrics[N_METRICS] = {
    [M_ROTATIONS] = EXACT("rotations", "", SKY_MIN, "full and hoisted"),
    [M_ROTATIONS_FULL] = EXACT("rotations_full", "", SKY_MIN, "with a key switch of their own"),
    [M_ROTATIONS_HOISTED] =
        EXACT("rotations_hoisted", "", SKY_MIN, "that share a decomposition with others"),
    [M_ROTATIONS_UNPRUNED] =
        EXACT("rotations_unpruned", "", SKY_NO_GOAL, "of the same packing with all weights"),
    [M_PRODUCTS] = EXACT("products", "", SKY_MIN, "of a ciphertext and a plaintext"),
    [M_ADDITIONS] = EXACT("additions", "", SKY_MIN, "of ciphertexts"),
    [M_CIPHERTEXTS_IN] = EXACT("ciphertexts_in", "", SKY_MIN, "that hold the input"),
    [M_CIPHERTEXTS_OUT] = EXACT("ciphertexts_out", "", SKY_MIN, "that hold the output"),
    [M_GALOIS_KEYS] = EXACT("galois_keys", "", SKY_MIN, "distinct rotations"),
    [M_KEY_BYTES] = EXACT("key_bytes", "B", SKY_MIN, "of them, each at the level of its use"),
    [M_MEMORY_BYTES] = EXACT("memory_bytes", "B", SKY_MIN, "keys, ciphertexts and workspace"),
    [M_DEPTH] = EXACT("depth", "", SKY_MIN, "levels that the layer takes"),
    [M_SPLIT_USED] = EXACT("split_used", "", SKY_NO_GOAL, "baby steps"),
    [M_WEIGHTS_KEPT] = EXACT("weights_kept", "", SKY_MAX, "not pruned"),
    [M_ENERGY_KEPT] = HE_METRIC("energy_kept", SKY_REAL, "", SKY_MAX, SKY_TOLERANCE,
                                "part of the weights' squares that pruning left"),
    [M_LOG2_QP] = EXACT("log2_qp", "bits", SKY_NO_GOAL, "of the whole modulus, special primes too"),
    [M_SECURITY_BITS] = EXACT("security_bits", "bits", SKY_MAX, "192, 128, or 0 for less"),
    [M_LATENCY_MODEL] =
        MEASURED("latency_model_s", "s", SKY_MIN, "counts times measured single operations"),
    [M_LATENCY_UNPRUNED] =
        MEASURED("latency_unpruned_s", "s", SKY_NO_GOAL, "the model's, with all weights"),
    [M_ROTATION_SHARE] =
        MEASURED("rotation_share", "", SKY_NO_GOAL, "part of the model's latency in rotations"),
    [M_LATENCY] =
        MEASURED("latency_s", "s", SKY_MIN, "of the encrypted layer, one thread's CPU time"),
    [M_ENCODE] = MEASURED("encode_s", "s", SKY_MIN, "of latency_s: encoding weights on the way"),
    [M_ERROR_MAX] = MEASURED("error_max", "", SKY_MIN, "largest difference from the plain result"),
    [M_PRECISION_BITS] = MEASURED("precision_bits", "bits", SKY_MAX, "-log2(error_max)"),
};

static sky_he_conv_shape shape_of(const sky_value *p)
{
    return sky_he_conv_square((int32_t)p[P_CHANNELS_IN].i, (int32_t)p[P_CHANNELS_OUT].i,
                              (int32_t)p[P_SIZE].i, (int32_t)p[P_KERNEL].i, (int32_t)p[P_STRIDE].i,
                              (int32_t)p[P_PADDING].i);
}

static sky_he_params params_of(const sky_value *p)
{
    return (sky_he_params){.log2_n = (uint32_t)p[P_LOG_N].i,
                           .n_data = (uint32_t)p[P_PRIMES].i,
                           .n_special = (uint32_t)p[P_SPECIAL_PRIMES].i,
                           .digit_primes = (uint32_t)p[P_SPECIAL_PRIMES].i,
                           .first_bits = (uint32_t)p[P_FIRST_BITS].i,
                           .scale_bits = (uint32_t)p[P_SCALE_BITS].i,
                           .insecure = p[P_INSECURE].i};
}

static sky_he_layer_options options_of(const sky_value *p)
{
    return (sky_he_layer_options){
        .conv = {.packing = (sky_he_packing)he_choice(sky_he_packing_names, p[P_PACKING].s),
                 .slots = 1 << (p[P_LOG_N].i - 1),
                 .split = (int32_t)p[P_SPLIT].i,
                 .hoisted_cost = p[P_HOISTED_COST].f,
                 .gap = (int32_t)p[P_GAP].i},
        .group = (sky_he_group)he_choice(sky_he_group_names, p[P_PRUNE].s),
        .kept = p[P_KEEP].f,
        .weight_seed = (uint64_t)p[P_WEIGHT_SEED].i};
}

static sky_err validate(const sky_value *p, sky_error *e)
{
    const sky_he_params he = params_of(p);
    const sky_he_conv_shape shape = shape_of(p);
    const sky_he_layer_options o = options_of(p);
    sky_he_conv_plan *plan;
    sky_err err = sky_he_conv_plan_create(&plan, &shape, &o.conv, e);
    if (err != SKY_OK)
        return err;
    err = sky_he_layer_check_params(&he, plan->depth, e);
    if (err == SKY_OK && o.group != SKY_HE_GROUP_NONE)
        err = sky_he_prune_check(plan, o.group, e);
    sky_he_conv_plan_free(plan);
    return err;
}

static uint64_t bytes_needed(const sky_value *p)
{
    enum { BASE = 64 << 20, CALIBRATION = 400 << 20 };
    const sky_he_params he = params_of(p);
    const sky_he_conv_shape shape = shape_of(p);
    const sky_he_layer_options o = options_of(p);
    const uint64_t weights = 16 * (uint64_t)sky_he_conv_weights(&shape);
    if (he_choice(evaluations, p[P_EVALUATE].s) == COUNT)
        return BASE + weights;
    sky_he_conv_plan *plan;
    sky_he_conv_counts c = {0};
    if (sky_he_conv_plan_create(&plan, &shape, &o.conv, NULL) == SKY_OK) {
        if (sky_he_conv_count(plan, &c, NULL) != SKY_OK)
            c = (sky_he_conv_counts){0};
        sky_he_conv_plan_free(plan);
    }
    return BASE + CALIBRATION + weights + sky_he_layer_memory_bytes(&c, &he) +
           ((uint64_t)p[P_CACHE_MIB].i << 20);
}

/* --- one point --- */

static int64_t sum(const int64_t *at)
{
    int64_t n = 0;
    for (int k = 0; k <= SKY_HE_DEPTH_MAX; k++)
        n += at[k];
    return n;
}

static void put_counts(const sky_value *p, const sky_he_layer *l, sky_value *m)
{
    const sky_he_conv_counts *c = &l->counts;
    const sky_he_params he = params_of(p);
    const bool hoists = he_choice(sky_he_hoisting_names, p[P_HOISTING].s) != SKY_HE_HOISTING_NONE;
    const int64_t hoisted = hoists ? sum(c->rotations_hoisted) : 0;
    m[M_ROTATIONS] = sky_int(sky_he_rotations(c));
    m[M_ROTATIONS_FULL] = sky_int(sky_he_rotations(c) - hoisted);
    m[M_ROTATIONS_HOISTED] = sky_int(hoisted);
    m[M_ROTATIONS_UNPRUNED] = sky_int(sky_he_rotations(&l->before));
    m[M_PRODUCTS] = sky_int(sum(c->products));
    m[M_ADDITIONS] = sky_int(sum(c->products) - sum(c->sums) + sum(c->additions));
    m[M_CIPHERTEXTS_IN] = sky_int(c->ciphertexts_in);
    m[M_CIPHERTEXTS_OUT] = sky_int(c->ciphertexts_out);
    m[M_GALOIS_KEYS] = sky_int(c->steps);
    m[M_KEY_BYTES] = sky_int((int64_t)sky_he_layer_key_bytes(c, &he));
    m[M_MEMORY_BYTES] = sky_int((int64_t)sky_he_layer_memory_bytes(c, &he));
    m[M_DEPTH] = sky_int(l->plan->depth);
    m[M_SPLIT_USED] = sky_int(l->plan->split);
    m[M_WEIGHTS_KEPT] = sky_int(l->weights_kept);
    m[M_ENERGY_KEPT] = sky_real(l->energy_kept);
}

static sky_err put_security(const sky_value *p, sky_value *m, sky_error *e)
{
    const sky_he_params he = params_of(p);
    const sky_he_ctx *ctx;
    sky_err err = sky_he_shared_context(&ctx, &he, e);
    if (err != SKY_OK)
        return err;
    const sky_he_info info = sky_he_ctx_info(ctx);
    m[M_LOG2_QP] = sky_int((int64_t)ceil(info.log2_qp - 1e-6));
    m[M_SECURITY_BITS] = sky_int(info.security_bits);
    return SKY_OK;
}

static sky_err put_model(const sky_value *p, const sky_he_layer *l, sky_value *m, sky_error *e)
{
    const sky_he_params he = params_of(p);
    const sky_he_cost_options o = {
        .hoisting = (sky_he_hoisting)he_choice(sky_he_hoisting_names, p[P_HOISTING].s),
        .depth = l->plan->depth,
        .steps = l->counts.steps,
        .ciphertexts = l->counts.registers_peak,
        .keeps_factors = p[P_CACHE_MIB].i > 0};
    const sky_he_cost_model *cost;
    const sky_he_ctx *ctx;
    sky_err err = sky_he_shared_cost(&cost, &he, &o, e);
    if (err == SKY_OK)
        err = sky_he_shared_context(&ctx, &he, e);
    if (err != SKY_OK)
        return err;
    const uint64_t each = sky_he_pt_bytes(ctx, he.n_data, o.hoisting == SKY_HE_HOISTING_DOUBLE);
    const int64_t cached = (int64_t)(((uint64_t)p[P_CACHE_MIB].i << 20) / each);
    const sky_he_cost_prediction after = sky_he_cost_predict(cost, &l->counts, cached);
    const sky_he_cost_prediction before = sky_he_cost_predict(cost, &l->before, cached);
    m[M_LATENCY_MODEL] = sky_real(after.total_s);
    m[M_LATENCY_UNPRUNED] = sky_real(before.total_s);
    m[M_ROTATION_SHARE] = sky_real(after.total_s > 0 ? after.rotations_s / after.total_s : 0);
    return SKY_OK;
}

static sky_err put_real(sky_job_ctx *job, const sky_value *p, const sky_he_layer *l, sky_value *m,
                        sky_error *e)
{
    const sky_he_params he = params_of(p);
    const sky_he_conv_ckks_options o = {
        .hoisting = (sky_he_hoisting)he_choice(sky_he_hoisting_names, p[P_HOISTING].s),
        .cache_bytes = (uint64_t)p[P_CACHE_MIB].i << 20};
    const sky_he_ctx *ctx;
    sky_he_layer_run r;
    sky_err err = sky_he_shared_context(&ctx, &he, e);
    if (err == SKY_OK)
        err = sky_he_layer_run_real(&r, l, ctx, &o, job->seed, e);
    if (err != SKY_OK)
        return err;
    m[M_LATENCY] = sky_real(r.times.total_s);
    m[M_ENCODE] = sky_real(r.times.encode_s);
    m[M_ERROR_MAX] = sky_real(r.error_max);
    m[M_PRECISION_BITS] = sky_real(-log2(r.error_max));
    return SKY_OK;
}

static sky_err run(sky_job_ctx *ctx, const sky_value *p, sky_value *m, sky_error *e)
{
    const int evaluation = he_choice(evaluations, p[P_EVALUATE].s);
    const sky_he_conv_shape shape = shape_of(p);
    const sky_he_layer_options o = options_of(p);
    sky_he_layer l = {0};
    sky_err err = sky_he_layer_make(&l, &shape, &o, evaluation == REAL, e);
    if (err == SKY_OK) {
        put_counts(p, &l, m);
        err = put_security(p, m, e);
    }
    if (err == SKY_OK && evaluation != COUNT)
        err = put_model(p, &l, m, e);
    if (err == SKY_OK && evaluation == REAL)
        err = put_real(ctx, p, &l, m, e);
    sky_he_layer_free(&l);
    return err;
}

const sky_job sky__job_he_conv = {
    .abi = SKY_JOB_ABI,
    .d = {.name = "he_conv",
          .version = "1",
          .summary = "A convolution layer on encrypted images: packings, pruning, time and error",
          .source = "Jeon, Erez, Orshansky: Artemis, arXiv 2310.01664 (2023)",
          .params = params,
          .n_params = N_PARAMS,
          .metrics = metrics,
          .n_metrics = N_METRICS},
    .validate = validate,
    .bytes_needed = bytes_needed,
    .run = run,
};

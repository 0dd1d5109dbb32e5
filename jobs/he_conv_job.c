/* Job `he_conv`: one convolution layer on encrypted images (jobs/he/he_conv.h): what its packing costs, what
 * pruning saves, how long it takes and how exact it is. What each number means: docs/jobs/he_conv.md. */
#include <inttypes.h>
#include <math.h>

#include "jobs/he/he_job.h"

enum {
    P_CHANNELS_IN,
    P_CHANNELS_OUT,
    P_SIZE,
    P_KERNEL,
    P_STRIDE,
    P_PADDING,
    P_PACKING,
    P_SPLIT,
    P_GAP,
    P_FIRST_BITS,
    P_SCALE_BITS,
    P_INSECURE,
    P_SHARED, /* he_job.h */
    N_PARAMS = P_SHARED + HE_PARAMS,
};
enum {
    M_SHARED, /* he_job.h */
    M_ADDITIONS = M_SHARED + HE_METRICS,
    M_CIPHERTEXTS_IN,
    M_CIPHERTEXTS_OUT,
    M_DEPTH,
    M_SPLIT_USED,
    M_COMPOSED,
    M_WEIGHTS_KEPT,
    M_LOG2_QP,
    M_ROTATION_SHARE,
    M_ENCODE,
    M_PRECISION_BITS,
    N_METRICS,
};

static const sky_param params[N_PARAMS] = {
    [P_CHANNELS_IN] = SKY__INTEGER("channels_in", "", 16, 1, SKY_HE_CHANNELS_MAX, "of the input"),
    [P_CHANNELS_OUT] =
        SKY__INTEGER("channels_out", "", 16, 1, SKY_HE_CHANNELS_MAX, "of the output"),
    [P_SIZE] = SKY__INTEGER("size", "pixels", 32, 1, 256, "edge of the input image"),
    [P_KERNEL] = SKY__INTEGER("kernel", "", 3, 1, 31, "edge of the kernel"),
    [P_STRIDE] = SKY__INTEGER("stride", "", 1, 1, 16, "along both edges"),
    [P_PADDING] = SKY__INTEGER("padding", "", -1, -1, 31, "on each side; -1: (kernel - 1) / 2"),
    [P_PACKING] =
        SKY__TEXT("packing", "hybrid", sky_he_packing_names, "where pixels go, and what moves"),
    [P_SPLIT] =
        SKY__INTEGER("split", "", 0, 0, SKY_HE_SLOTS_MAX,
                     "baby steps of hybrid, toeplitz, halevi_shoup; 0: the cheapest power of two"),
    [P_GAP] = SKY__INTEGER("gap", "", 1, 1, 64, "of the input of multiplexed and toeplitz"),
    [P_FIRST_BITS] = SKY__INTEGER("first_bits", "bits", 50, SKY_HE_PRIME_BITS_MIN,
                                  SKY_HE_PRIME_BITS_MAX, "of the first data prime"),
    [P_SCALE_BITS] =
        SKY__INTEGER("scale_bits", "bits", 40, SKY_HE_PRIME_BITS_MIN, SKY_HE_PRIME_BITS_MAX,
                     "of the other data primes, and of the scale"),
    [P_INSECURE] = SKY__FLAG("insecure", false, "allow less than 128 bits, for tests"),
    HE_PARAM_BLOCK(P_SHARED, 13, 2, 5),
};

static const sky_metric metrics[N_METRICS] = {
    HE_METRIC_BLOCK(M_SHARED),
    [M_ADDITIONS] = HE_EXACT("additions", "", SKY_MIN, "of ciphertexts"),
    [M_CIPHERTEXTS_IN] = HE_EXACT("ciphertexts_in", "", SKY_MIN, "that hold the input"),
    [M_CIPHERTEXTS_OUT] = HE_EXACT("ciphertexts_out", "", SKY_MIN, "that hold the output"),
    [M_DEPTH] = HE_EXACT("depth", "", SKY_MIN, "levels that the layer takes"),
    [M_SPLIT_USED] = HE_EXACT("split_used", "", SKY_NO_GOAL, "baby steps"),
    [M_COMPOSED] = HE_EXACT("composed", "", SKY_NO_GOAL,
                            "1: steps are composed of powers of two, to fit memory_mib"),
    [M_WEIGHTS_KEPT] = HE_EXACT("weights_kept", "", SKY_MAX, "not pruned"),
    [M_LOG2_QP] =
        HE_EXACT("log2_qp", "bits", SKY_NO_GOAL, "of the whole modulus, special primes too"),
    [M_ROTATION_SHARE] =
        HE_MEASURED("rotation_share", "", SKY_NO_GOAL, "part of the model's latency in rotations"),
    [M_ENCODE] = HE_MEASURED("encode_s", "s", SKY_MIN, "of latency_s: encoding weights on the way"),
    [M_PRECISION_BITS] = HE_MEASURED("precision_bits", "bits", SKY_MAX, "-log2(error_max)"),
};

static sky_he_conv_shape shape_of(const sky_value *p)
{
    return sky_he_conv_square((int32_t)p[P_CHANNELS_IN].i, (int32_t)p[P_CHANNELS_OUT].i,
                              (int32_t)p[P_SIZE].i, (int32_t)p[P_KERNEL].i, (int32_t)p[P_STRIDE].i,
                              (int32_t)p[P_PADDING].i);
}

static he_settings settings_of(const sky_value *p)
{
    he_settings s = he_settings_of(p + P_SHARED);
    s.params.first_bits = (uint32_t)p[P_FIRST_BITS].i;
    s.params.scale_bits = (uint32_t)p[P_SCALE_BITS].i;
    s.params.insecure = p[P_INSECURE].i;
    s.layer.params = s.params;
    s.layer.conv.packing = (sky_he_packing)he_choice(sky_he_packing_names, p[P_PACKING].s);
    s.layer.conv.split = (int32_t)p[P_SPLIT].i;
    s.layer.conv.gap = (int32_t)p[P_GAP].i;
    return s;
}

static sky_err validate(const sky_value *p, sky_error *e)
{
    const he_settings s = settings_of(p);
    const sky_he_conv_shape shape = shape_of(p);
    sky_he_conv_plan *plan;
    sky_err err = sky_he_conv_plan_create(&plan, &shape, &s.layer.conv, e);
    if (err != SKY_OK)
        return err;
    err = sky_he_layer_check_params(&s.params, plan->depth, e);
    if (err == SKY_OK && s.layer.group != SKY_HE_GROUP_NONE)
        err = sky_he_prune_check(plan, s.layer.group, e);
    sky_he_conv_plan_free(plan);
    return err;
}

static uint64_t bytes_needed(const sky_value *p)
{
    const he_settings s = settings_of(p);
    const sky_he_conv_shape shape = shape_of(p);
    const uint64_t weights = 16 * (uint64_t)sky_he_conv_weights(&shape);
    sky_he_layer_options whole = s.layer;
    whole.group = SKY_HE_GROUP_NONE;
    sky_he_layer l = {0};
    uint64_t layer = s.layer.memory_bytes_max; /* a layer that does not fit says so when it runs */
    if (s.evaluation != HE_REAL) {
        layer = 0;
    } else if (sky_he_layer_make(&l, &shape, &whole, false, NULL) == SKY_OK) {
        layer = sky_he_layer_memory_bytes(&l.counts, &s.params);
        sky_he_layer_free(&l);
    }
    return he_bytes_needed(&s, weights + layer);
}

/* --- one point --- */

static void put_layer(const he_settings *s, const sky_he_layer *l, sky_value *m)
{
    const sky_he_conv_counts *c = &l->counts;
    he_put_counts(s, c, &l->before, c, sky_he_layer_memory_bytes(c, &s->params), m + M_SHARED);
    m[M_SHARED + HE_M_ENERGY_KEPT] = sky_real(l->energy_kept);
    m[M_ADDITIONS] = sky_int(he_sum(c->products) - he_sum(c->sums) + he_sum(c->additions));
    m[M_CIPHERTEXTS_IN] = sky_int(c->ciphertexts_in);
    m[M_CIPHERTEXTS_OUT] = sky_int(c->ciphertexts_out);
    m[M_DEPTH] = sky_int(l->plan->depth);
    m[M_SPLIT_USED] = sky_int(l->plan->split);
    m[M_COMPOSED] = sky_int(l->plan->composes);
    m[M_WEIGHTS_KEPT] = sky_int(l->weights_kept);
}

static sky_err put_security(const he_settings *s, sky_value *m, sky_error *e)
{
    const sky_he_ctx *ctx;
    sky_err err = sky_he_shared_context(&ctx, &s->params, e);
    if (err != SKY_OK)
        return err;
    const sky_he_info info = sky_he_ctx_info(ctx);
    m[M_LOG2_QP] = sky_int((int64_t)ceil(info.log2_qp - 1e-6));
    m[M_SHARED + HE_M_SECURITY_BITS] = sky_int(info.security_bits);
    return SKY_OK;
}

static void put_times(const he_times *t, sky_value *m)
{
    m[M_SHARED + HE_M_LATENCY_MODEL] = sky_real(t->model_s);
    m[M_SHARED + HE_M_LATENCY_UNPRUNED] = sky_real(t->unpruned_s);
    m[M_ROTATION_SHARE] = sky_real(t->rotation_share);
    if (isnan(t->real_s))
        return;
    m[M_SHARED + HE_M_LATENCY] = sky_real(t->real_s);
    m[M_SHARED + HE_M_ERROR_MAX] = sky_real(t->error_max);
    m[M_ENCODE] = sky_real(t->encode_s);
    m[M_PRECISION_BITS] = sky_real(-log2(t->error_max));
}

static sky_err run(sky_job_ctx *ctx, const sky_value *p, sky_value *m, sky_error *e)
{
    const he_settings s = settings_of(p);
    const sky_he_conv_shape shape = shape_of(p);
    const bool real = s.evaluation == HE_REAL;
    sky_he_layer l = {0};
    he_times t = he_no_times;
    sky_err err = sky_he_layer_make(&l, &shape, &s.layer, real, e);
    if (err != SKY_OK)
        return err;
    put_layer(&s, &l, m);
    err = put_security(&s, m, e);
    sky_he_shared_cost_begin();
    if (err == SKY_OK && real)
        err = he_measure_layer(&t, &s, &l, ctx->seed, e);
    if (err == SKY_OK && s.evaluation != HE_COUNT)
        err = he_model_layer(&t, &s, &l, e);
    if (err == SKY_OK && s.evaluation != HE_COUNT)
        put_times(&t, m);
    sky_he_layer_free(&l);
    return err;
}

const sky_job sky__job_he_conv = {
    .abi = SKY_JOB_ABI,
    .d = {.name = "he_conv",
          .version = "3",
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

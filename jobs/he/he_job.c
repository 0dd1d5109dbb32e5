/* See he_job.h. */
#include "jobs/he/he_job.h"

#include <math.h>

const char *const he_evaluations[] = {
    [HE_COUNT] = "count", [HE_MODEL] = "model", [HE_REAL] = "real", NULL};

const he_times he_no_times = {NAN, NAN, NAN, NAN, NAN, NAN};

he_settings he_settings_of(const sky_value *p)
{
    he_settings s = {
        .evaluation = he_choice(he_evaluations, p[HE_P_EVALUATE].s),
        .runs = (int)p[HE_P_RUNS].i,
        .params = {.log2_n = (uint32_t)p[HE_P_LOG_N].i,
                   .n_data = (uint32_t)p[HE_P_PRIMES].i,
                   .n_special = (uint32_t)p[HE_P_SPECIAL_PRIMES].i,
                   .digit_primes = (uint32_t)p[HE_P_SPECIAL_PRIMES].i},
        .hoisting = (sky_he_hoisting)he_choice(sky_he_hoisting_names, p[HE_P_HOISTING].s),
        .cache_bytes = (uint64_t)p[HE_P_CACHE_MIB].i << 20,
        .layer = {
            .conv = {.slots = 1 << (p[HE_P_LOG_N].i - 1), .hoisted_cost = p[HE_P_HOISTED_COST].f},
            .group = (sky_he_group)he_choice(sky_he_group_names, p[HE_P_PRUNE].s),
            .kept = p[HE_P_KEEP].f,
            .weight_seed = (uint64_t)p[HE_P_WEIGHT_SEED].i,
            .memory_bytes_max = (uint64_t)p[HE_P_MEMORY_MIB].i << 20}};
    s.layer.params = s.params;
    return s;
}

int64_t he_sum(const int64_t *at)
{
    int64_t n = 0;
    for (int k = 0; k <= SKY_HE_DEPTH_MAX; k++)
        n += at[k];
    return n;
}

void he_put_counts(const he_settings *s, const sky_he_conv_counts *sum,
                   const sky_he_conv_counts *before, const sky_he_conv_counts *keys,
                   uint64_t memory_bytes, sky_value *m)
{
    const bool hoists = s->hoisting != SKY_HE_HOISTING_NONE;
    const int64_t hoisted = hoists ? he_sum(sum->rotations_hoisted) : 0;
    m[HE_M_ROTATIONS] = sky_int(sky_he_rotations(sum));
    m[HE_M_ROTATIONS_FULL] = sky_int(sky_he_rotations(sum) - hoisted);
    m[HE_M_ROTATIONS_HOISTED] = sky_int(hoisted);
    m[HE_M_ROTATIONS_UNPRUNED] = sky_int(sky_he_rotations(before));
    m[HE_M_PRODUCTS] = sky_int(he_sum(sum->products));
    int64_t n = 0;
    for (int k = 0; k <= SKY_HE_DEPTH_MAX; k++)
        n += keys->steps_at[k];
    m[HE_M_GALOIS_KEYS] = sky_int(n);
    m[HE_M_KEY_BYTES] = sky_int((int64_t)sky_he_layer_key_bytes(keys, &s->params));
    m[HE_M_MEMORY_BYTES] = sky_int((int64_t)memory_bytes);
}

uint64_t he_bytes_needed(const he_settings *s, uint64_t layer_bytes)
{
    enum { BASE = 64 << 20 };
    if (s->evaluation == HE_COUNT)
        return BASE + layer_bytes;
    const uint64_t kept = s->evaluation == HE_REAL ? s->cache_bytes : 0;
    return BASE + layer_bytes + kept + sky_he_calibration_bytes(&s->params);
}

/* All depths, so that one calibration serves every layer of these parameters. */
static sky_he_cost_options cost_options(const he_settings *s)
{
    return (sky_he_cost_options){.hoisting = s->hoisting, .depth = SKY_HE_DEPTH_MAX};
}

/* What is measured between the runs of a layer. */
typedef struct watched {
    const he_settings *s;
    sky_he_cost_options cost;
} watched;

static sky_err watch(void *user, int k, sky_error *e)
{
    (void)k;
    const watched *w = user;
    return sky_he_shared_cost_watch(&w->s->params, &w->cost, e);
}

sky_err he_measure_layer(he_times *t, const he_settings *s, const sky_he_layer *l,
                         uint64_t image_seed, sky_error *e)
{
    const sky_he_conv_ckks_options o = {.hoisting = s->hoisting, .cache_bytes = s->cache_bytes};
    double run_s[HE_RUNS_MAX];
    watched w = {.s = s, .cost = cost_options(s)};
    sky_he_layer_run r = {.run_s = run_s, .between = watch, .user = &w};
    const sky_he_ctx *ctx;
    sky_err err = sky_he_shared_context(&ctx, &s->params, e);
    if (err == SKY_OK)
        err = sky_he_layer_run_real(&r, l, ctx, &o, image_seed, s->runs, e);
    if (err != SKY_OK)
        return err;
    t->real_s = sky_he_middle_mean(run_s, (uint32_t)s->runs);
    /* The fastest run's share. */
    t->encode_s = t->real_s * r.times.part_s[SKY_HE_PART_ENCODE] / r.times.total_s;
    t->error_max = r.error_max;
    return SKY_OK;
}

sky_err he_model_layer(he_times *t, const he_settings *s, const sky_he_layer *l, sky_error *e)
{
    const sky_he_cost_options o = cost_options(s);
    const sky_he_cost_model *cost;
    sky_he_layer_times p;
    sky_err err = sky_he_shared_cost(&cost, &s->params, &o, e);
    if (err == SKY_OK)
        err = sky_he_layer_predict(&p, l, cost, s->cache_bytes, e);
    if (err != SKY_OK)
        return err;
    const double *part_s = p.pruned.part_s;
    const double rotations_s =
        part_s[SKY_HE_PART_HOIST] + part_s[SKY_HE_PART_HOISTED] + part_s[SKY_HE_PART_FULL];
    t->model_s = p.pruned.total_s;
    t->unpruned_s = p.whole.total_s;
    t->rotation_share = t->model_s > 0 ? rotations_s / t->model_s : 0;
    return SKY_OK;
}

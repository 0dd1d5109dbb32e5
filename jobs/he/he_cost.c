/* Times of single operations, and sums of them. See he_cost.h. */
#include "jobs/he/he_cost.h"

#include <assert.h>
#include <stdlib.h>

enum {
    WORKING_SET = 64 << 20, /* bytes: twice the last-level cache of a usual server's core complex */
    BATCHES = 9,
    MEASURE_US = 30000, /* of each operation, all batches */
};

typedef struct bench {
    const sky_he_ctx *ctx;
    sky_he_cost_options o;
    uint32_t level;
    bool extended;
    sky_he_secret *secret;
    sky_he_public *key;
    sky_he_keys *keys;
    sky_he_eval *ev;
    sky_he_hoist *hoist;
    sky_he_ct **ct;   /* [n_ct] at `level`, not extended */
    sky_he_ct **wide; /* [n_ct] extended, for double hoisting */
    sky_he_pt **pt;   /* [n_pt] */
    sky_he_ct *out, *sum;
    sky_he_conv_plan *plan;
    double *weights, *slots;
    int32_t n_ct, n_pt, n_keys;
    int32_t next; /* turns through keys, ciphertexts and factors */
    int32_t dot;  /* products of one dot */
} bench;

#define TRY(call)                                                                                  \
    do {                                                                                           \
        sky_err err_ = (call);                                                                     \
        if (err_ != SKY_OK)                                                                        \
            return err_;                                                                           \
    } while (0)

/* --- the operations, each once --- */

static int32_t step_of(bench *b)
{
    b->next++;
    return 1 + b->next % b->n_keys;
}

static sky_he_ct *ct_of(bench *b)
{
    return b->ct[++b->next % b->n_ct];
}

static sky_err do_hoist(bench *b, sky_error *e)
{
    return sky_he_hoist_set(b->ev, b->hoist, ct_of(b), e);
}

static sky_err do_hoisted(bench *b, sky_error *e)
{
    const int32_t step = step_of(b);
    sky_he_ct *ct = b->ct[b->next % b->n_ct];
    if (b->extended)
        return sky_he_rotate_lazy(b->ev, b->wide[b->next % b->n_ct], b->hoist, step, e);
    if (b->o.hoisting == SKY_HE_HOISTING_NONE)
        return sky_he_rotate(b->ev, b->out, ct, step, e);
    return sky_he_rotate_hoisted(b->ev, ct, b->hoist, step, e);
}

static sky_err do_full(bench *b, sky_error *e)
{
    const int32_t step = step_of(b);
    return sky_he_rotate(b->ev, b->out, b->ct[b->next % b->n_ct], step, e);
}

static sky_err do_giant(bench *b, sky_error *e)
{
    const int32_t step = step_of(b);
    return sky_he_rotate_fold(b->ev, b->sum, b->wide[b->next % b->n_ct], step, e);
}

static sky_err do_dot(bench *b, sky_error *e)
{
    const sky_he_ct *a[SKY_HE_DOT_MAX];
    const sky_he_pt *f[SKY_HE_DOT_MAX];
    for (int32_t k = 0; k < b->dot; k++) {
        b->next++;
        a[k] = b->extended ? b->wide[b->next % b->n_ct] : b->ct[b->next % b->n_ct];
        f[k] = b->pt[b->next % b->n_pt];
    }
    return sky_he_dot_plain(b->ev, b->sum, a, f, (size_t)b->dot, e);
}

static sky_err do_add(bench *b, sky_error *e)
{
    sky_he_ct *x = ct_of(b);
    return sky_he_add(b->ev, x, x, b->ct[(b->next + 1) % b->n_ct], e);
}

static sky_err do_add_product(bench *b, sky_error *e)
{
    if (!b->extended)
        return do_add(b, e);
    sky_he_ct *x = b->wide[++b->next % b->n_ct];
    return sky_he_add(b->ev, x, x, b->wide[(b->next + 1) % b->n_ct], e);
}

static sky_err do_rescale(bench *b, sky_error *e)
{
    return b->extended ? sky_he_mod_down_rescale(b->ev, b->out, b->sum, e)
                       : sky_he_rescale(b->ev, b->out, b->sum, e);
}

static sky_err do_raise(bench *b, sky_error *e)
{
    return sky_he_mod_up(b->ev, b->wide[b->next % b->n_ct], ct_of(b), e);
}

static sky_err encode_one(bench *b, sky_he_pt *out, sky_error *e)
{
    b->next++;
    const int64_t id = b->next % sky_he_conv_factors(b->plan);
    const sky_he_factor f = {
        .plan = b->plan,
        .id = id,
        .term = {.diagonal = (int32_t)(id / b->plan->n_taps % b->plan->n_diagonals),
                 .tap = (int32_t)(id % b->plan->n_taps)}};
    sky_he_factor_values(&f, b->weights, b->slots);
    return sky_he_encode(
        b->ev, out, b->slots, NULL, (size_t)b->plan->slots,
        (sky_he_encode_options){
            .level = b->level,
            .scale = b->level > 1 ? (double)sky_he_ctx_prime(b->ctx, b->level - 1) : 0,
            .extended = b->extended},
        e);
}

/* As a program does it: the encoder and the products take turns in the caches. */
static sky_err do_encoded_dot(bench *b, sky_error *e)
{
    for (int32_t k = 0; k < b->dot; k++)
        TRY(encode_one(b, b->pt[b->next % b->n_pt], e));
    return do_dot(b, e);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Seconds of one operation: the median of some batches, which together turn through every key. */
static sky_err measure(bench *b, sky_err (*op)(bench *, sky_error *), double *out, sky_error *e)
{
    double each[BATCHES];
    TRY(op(b, e)); /* first touches */
    for (int batch = 0; batch < BATCHES; batch++) {
        int64_t n = 0;
        const double start = sky_he_cpu_seconds();
        double now;
        do {
            TRY(op(b, e));
            n++;
            now = sky_he_cpu_seconds();
        } while ((now - start) * 1e6 * BATCHES < b->o.measure_us || n * BATCHES < b->n_keys);
        each[batch] = (now - start) / (double)n;
    }
    qsort(each, BATCHES, sizeof *each, by_size);
    *out = each[BATCHES / 2];
    return SKY_OK;
}

/* --- what they work on --- */

static void bench_free(bench *b)
{
    for (int32_t k = 0; b->ct && k < b->n_ct; k++)
        sky_he_ct_free(b->ct[k]);
    for (int32_t k = 0; b->wide && k < b->n_ct; k++)
        sky_he_ct_free(b->wide[k]);
    for (int32_t k = 0; b->pt && k < b->n_pt; k++)
        sky_he_pt_free(b->pt[k]);
    sky_he_ct_free(b->out);
    sky_he_ct_free(b->sum);
    sky_he_hoist_free(b->hoist);
    sky_he_eval_free(b->ev);
    sky_he_keys_free(b->keys);
    sky_he_public_free(b->key);
    sky_he_secret_free(b->secret);
    sky_he_conv_plan_free(b->plan);
    free(b->ct);
    free(b->wide);
    free(b->pt);
    free(b->weights);
    free(b->slots);
}

static int32_t fit(int32_t wanted, size_t each, int32_t least)
{
    int32_t most = (int32_t)(WORKING_SET / each) + 1;
    if (most < least)
        most = least;
    if (wanted <= 0 || wanted > most)
        return most;
    return wanted < least ? least : wanted;
}

static sky_err make_plan(bench *b, sky_error *e)
{
    const sky_he_conv_shape s = sky_he_conv_square(8, 8, 4, 3, 1, -1);
    const sky_he_conv_options o = {.packing = SKY_HE_ADD_FIRST,
                                   .slots = (int32_t)sky_he_ctx_info(b->ctx).slots};
    TRY(sky_he_conv_plan_create(&b->plan, &s, &o, e));
    const int64_t n = sky_he_conv_weights(&s);
    b->weights = calloc((size_t)n, sizeof *b->weights);
    b->slots = calloc((size_t)b->plan->slots, sizeof *b->slots);
    if (!b->weights || !b->slots)
        return sky_fail(e, SKY_ENOMEM, "he: out of memory");
    for (int64_t k = 0; k < n; k++)
        b->weights[k] = 0.01 * (double)(k % 17 - 8);
    return SKY_OK;
}

static sky_err make_keys(bench *b, sky_error *e)
{
    b->n_keys = fit(b->o.steps, sky_he_key_bytes(b->ctx, b->level), 1);
    if (b->n_keys >= b->plan->slots)
        b->n_keys = b->plan->slots - 1;
    int32_t *steps = malloc((size_t)b->n_keys * sizeof *steps);
    if (!steps)
        return sky_fail(e, SKY_ENOMEM, "he: out of memory");
    for (int32_t k = 0; k < b->n_keys; k++)
        steps[k] = k + 1;
    const sky_he_keys_options o = {.level = b->level, .steps = steps, .n_steps = (size_t)b->n_keys};
    sky_err err = sky_he_secret_new(&b->secret, b->ctx, e);
    if (err == SKY_OK)
        err = sky_he_public_new(&b->key, b->secret, e);
    if (err == SKY_OK)
        err = sky_he_keys_new(&b->keys, b->secret, &o, e);
    free(steps);
    return err;
}

static sky_err make_ciphertexts(bench *b, sky_error *e)
{
    const uint32_t top = sky_he_ctx_info(b->ctx).params.n_data;
    sky_he_pt *plain = NULL;
    sky_err err = sky_he_pt_new(&plain, b->ctx, (sky_he_shape){.level = top}, e);
    if (err == SKY_OK)
        err = sky_he_encode(b->ev, plain, b->slots, NULL, (size_t)b->plan->slots,
                            (sky_he_encode_options){.level = b->level}, e);
    for (int32_t k = 0; k < b->n_ct && err == SKY_OK; k++) {
        err = sky_he_ct_new(&b->ct[k], b->ctx, (sky_he_shape){.level = b->level}, e);
        if (err == SKY_OK)
            err = sky_he_encrypt(b->ev, b->ct[k], plain, b->key, e);
        if (err == SKY_OK && b->extended)
            err = sky_he_ct_new(&b->wide[k], b->ctx,
                                (sky_he_shape){.level = b->level, .extended = true}, e);
        if (err == SKY_OK && b->extended)
            err = sky_he_mod_up(b->ev, b->wide[k], b->ct[k], e);
    }
    sky_he_pt_free(plain);
    return err;
}

static sky_err bench_open(bench *b, sky_error *e)
{
    const sky_he_shape shape = {.level = b->level, .extended = b->extended};
    TRY(make_plan(b, e));
    TRY(make_keys(b, e));
    b->n_ct = fit(b->o.ciphertexts, sky_he_ct_bytes(b->ctx, b->level, b->extended), 2);
    b->n_pt = b->o.keeps_factors
                  ? fit(0, sky_he_pt_bytes(b->ctx, b->level, b->extended), SKY_HE_DOT_MAX)
                  : SKY_HE_DOT_MAX;
    b->ct = calloc((size_t)b->n_ct, sizeof(sky_he_ct *));
    b->wide = calloc((size_t)b->n_ct, sizeof(sky_he_ct *));
    b->pt = calloc((size_t)b->n_pt, sizeof(sky_he_pt *));
    if (!b->ct || !b->wide || !b->pt)
        return sky_fail(e, SKY_ENOMEM, "he: out of memory");
    TRY(sky_he_eval_new(&b->ev, b->ctx, e));
    sky_he_eval_set_keys(b->ev, b->keys);
    TRY(sky_he_hoist_new(&b->hoist, b->ctx, b->level, e));
    TRY(sky_he_ct_new(&b->out, b->ctx, shape, e));
    TRY(sky_he_ct_new(&b->sum, b->ctx, shape, e));
    for (int32_t k = 0; k < b->n_pt; k++) {
        TRY(sky_he_pt_new(&b->pt[k], b->ctx, shape, e));
        TRY(encode_one(b, b->pt[k], e));
    }
    return make_ciphertexts(b, e);
}

/* A product at the last level could not be rescaled, so no program has one. */
static sky_err measure_products(bench *b, sky_he_cost_model *m, int32_t k, sky_error *e)
{
    double short_s, long_s, encoded_s;
    b->dot = 1;
    TRY(measure(b, do_dot, &short_s, e));
    b->dot = SKY_HE_DOT_MAX;
    TRY(measure(b, do_dot, &long_s, e));
    TRY(measure(b, do_encoded_dot, &encoded_s, e));
    m->encode_s[k] = encoded_s > long_s ? (encoded_s - long_s) / SKY_HE_DOT_MAX : 0;
    m->product_s[k] = (long_s - short_s) / (SKY_HE_DOT_MAX - 1);
    if (m->product_s[k] > short_s)
        m->product_s[k] = short_s;
    m->dot_s[k] = short_s - m->product_s[k];
    TRY(measure(b, do_rescale, &m->rescale_s[k], e));
    return measure(b, do_add_product, &m->add_product_s[k], e);
}

static sky_err measure_all(bench *b, sky_he_cost_model *m, int32_t k, sky_error *e)
{
    TRY(measure(b, do_full, &m->full_s[k], e));
    TRY(measure(b, do_add, &m->add_s[k], e));
    if (b->extended) {
        TRY(sky_he_copy(b->ev, b->sum, b->wide[0], e));
        TRY(measure(b, do_giant, &m->giant_s, e));
    }
    if (b->level > 1)
        TRY(measure_products(b, m, k, e));
    TRY(measure(b, do_hoist, &m->hoist_s[k], e));
    if (b->extended)
        TRY(measure(b, do_raise, &m->raise_s, e));
    return measure(b, do_hoisted, &m->hoisted_s[k], e); /* last: it overwrites ciphertexts */
}

sky_err sky_he_cost_calibrate(sky_he_cost_model *out, const sky_he_ctx *ctx,
                              const sky_he_cost_options *o, sky_error *e)
{
    assert(out && ctx && o && o->depth >= 0 && o->depth <= SKY_HE_DEPTH_MAX);
    const uint32_t top = sky_he_ctx_info(ctx).params.n_data;
    sky_he_cost_model m = {.hoisting = o->hoisting, .keeps_factors = o->keeps_factors};
    sky_err err = SKY_OK;
    for (int32_t k = 0; k <= o->depth && (uint32_t)k < top && err == SKY_OK; k++) {
        bench b = {.ctx = ctx, .o = *o, .level = top - (uint32_t)k};
        if (b.o.measure_us == 0)
            b.o.measure_us = MEASURE_US;
        b.extended = k == 0 && o->hoisting == SKY_HE_HOISTING_DOUBLE;
        err = bench_open(&b, e);
        if (err == SKY_OK)
            err = measure_all(&b, &m, k, e);
        bench_free(&b);
    }
    if (err == SKY_OK)
        *out = m;
    return err;
}

sky_he_cost_prediction sky_he_cost_predict(const sky_he_cost_model *m, const sky_he_conv_counts *c,
                                           int64_t cached)
{
    sky_he_cost_prediction p = {0};
    int64_t encoded = -cached;
    const bool twice = m->hoisting == SKY_HE_HOISTING_DOUBLE;
    if (m->hoisting != SKY_HE_HOISTING_NONE)
        p.rotations_s += (double)c->hoists * m->hoist_s[0];
    if (twice)
        p.rest_s += (double)c->ciphertexts_in * m->raise_s;
    for (int k = 0; k <= SKY_HE_DEPTH_MAX; k++) {
        const double full_s = twice && k == 0 ? m->giant_s : m->full_s[k];
        p.rotations_s += (double)c->rotations_full[k] * full_s +
                         (double)c->rotations_hoisted[k] * m->hoisted_s[k];
        p.products_s += (double)c->products[k] * m->product_s[k] +
                        (double)c->dots[k] * m->dot_s[k] +
                        (double)(c->dots[k] - c->sums[k]) * m->add_product_s[k];
        p.rest_s +=
            (double)c->additions[k] * m->add_s[k] + (double)c->rescales[k] * m->rescale_s[k];
        encoded += c->products[k];
        const int64_t here = encoded < c->products[k] ? encoded : c->products[k];
        p.encode_s += here > 0 ? (double)here * m->encode_s[k] : 0;
    }
    p.total_s = p.rotations_s + p.products_s + p.encode_s + p.rest_s;
    return p;
}

/* A context with keys and vectors, for the tests of jobs/he. */
#ifndef SKY_TESTS_HE_HE_WORLD_H
#define SKY_TESTS_HE_HE_WORLD_H

#include "he_check.h"

/* A context with keys, and vectors in and out. */
typedef struct world {
    sky_he_ctx *ctx;
    sky_he_secret *secret;
    sky_he_public *key;
    sky_he_keys *keys; /* NULL until world_keys() */
    sky_he_eval *ev;
    uint32_t slots;
    double *re, *im, *got_re, *got_im;
} world;

/* kernels: NULL for those that the parameters name. */
static inline world world_with(sky_he_params params, const he_kernels *kernels, uint64_t seed)
{
    world w = {0};
    MUST(he_ctx_new_with(&w.ctx, &params, kernels, e));
    MUST(he_ctx_seed(w.ctx, seed));
    MUST(sky_he_secret_new(&w.secret, w.ctx, e));
    MUST(sky_he_public_new(&w.key, w.secret, e));
    MUST(sky_he_eval_new(&w.ev, w.ctx, e));
    w.slots = sky_he_ctx_info(w.ctx).slots;
    w.re = he_alloc((size_t)4 * w.slots, sizeof(double));
    w.im = w.re + w.slots;
    w.got_re = w.im + w.slots;
    w.got_im = w.got_re + w.slots;
    return w;
}

static inline world world_new(sky_he_params params, uint64_t seed)
{
    return world_with(params, NULL, seed);
}

/* All kinds of keys, for these steps. */
static inline void world_keys(world *w, uint32_t level, const int32_t *steps, size_t n)
{
    sky_he_keys_options o = {
        .level = level, .steps = steps, .n_steps = n, .conjugate = true, .relinearise = true};
    sky_he_keys_free(w->keys);
    MUST(sky_he_keys_new(&w->keys, w->secret, &o, e));
    sky_he_eval_set_keys(w->ev, w->keys);
}

static inline void world_free(world *w)
{
    free(w->re);
    sky_he_eval_free(w->ev);
    sky_he_keys_free(w->keys);
    sky_he_public_free(w->key);
    sky_he_secret_free(w->secret);
    sky_he_ctx_free(w->ctx);
}

static inline void fill(world *w, sky_rng *rng)
{
    for (uint32_t j = 0; j < w->slots; j++) {
        w->re[j] = 2 * sky_rng_f64(rng) - 1;
        w->im[j] = 2 * sky_rng_f64(rng) - 1;
    }
}

static inline sky_he_ct *new_ct(world *w, sky_he_shape shape)
{
    sky_he_ct *ct = NULL;
    MUST(sky_he_ct_new(&ct, w->ctx, shape, e));
    return ct;
}

static inline sky_he_pt *new_pt(world *w, sky_he_shape shape)
{
    sky_he_pt *pt = NULL;
    MUST(sky_he_pt_new(&pt, w->ctx, shape, e));
    return pt;
}

/* w->re + i w->im encrypted. */
static inline sky_he_ct *encrypted(world *w, uint32_t level)
{
    sky_he_pt *pt = new_pt(w, (sky_he_shape){.level = level});
    sky_he_ct *ct = new_ct(w, (sky_he_shape){.level = level});
    MUST(sky_he_encode(w->ev, pt, w->re, w->im, w->slots, (sky_he_encode_options){.level = level},
                       e));
    MUST(sky_he_encrypt(w->ev, ct, pt, w->key, e));
    sky_he_pt_free(pt);
    return ct;
}

static inline void decrypted(world *w, const sky_he_ct *ct)
{
    sky_he_pt *pt = new_pt(w, (sky_he_shape){0});
    MUST(sky_he_decrypt(w->ev, pt, ct, w->secret, e));
    MUST(sky_he_decode(w->ev, w->got_re, w->got_im, w->slots, pt, e));
    sky_he_pt_free(pt);
}

/* The largest absolute error, over all slots, of what was decrypted; slot j was slot j + step. */
static inline double worst(const world *w, int32_t step, uint32_t *where)
{
    double most = 0;
    for (uint32_t j = 0; j < w->slots; j++) {
        uint32_t from = (j + (uint32_t)step) % w->slots;
        double error = hypot(w->got_re[j] - w->re[from], w->got_im[j] - w->im[from]);
        if (error > most || isnan(error)) {
            most = error;
            *where = j;
        }
    }
    return most;
}

/* The bound on the worst slot when coefficients have the deviation std (docs/he.md): errors of slots
 * are Laplace-like with scale s = sqrt(N) std / scale; their maximum is about s ln(N/2) / 2. Four
 * times that leaves a chance of about (2/N)^3 that a correct run fails. */
static inline double bound(const world *w, double std)
{
    sky_he_info info = sky_he_ctx_info(w->ctx);
    return sqrt(info.n) * std / info.scale * 2 * log(info.slots);
}

static inline double round_std(uint32_t n)
{
    return sqrt((1 + 2.0 * n / 3) / 12);
}

/* Key switching at a level: the noise of each digit's product, divided by P, and the rounding. */
static inline double switch_std(const sky_he_ctx *ctx, uint32_t level)
{
    double log2_p = ctx->info.log2_qp - ctx->info.log2_q, variance = 0;
    for (uint32_t first = 0; first < level; first += ctx->alpha) {
        uint32_t end = first + ctx->alpha < level ? first + ctx->alpha : level;
        double ratio = exp2(ctx->log2_q[end] - ctx->log2_q[first] - log2_p);
        variance += ctx->n / 12.0 * 3.2 * 3.2 * ratio * ratio;
    }
    return sqrt(variance) + round_std(ctx->n);
}

static const sky_he_params he_small = {.log2_n = 10, .n_data = 4, .insecure = true};
static const sky_he_params he_wide = {
    .log2_n = 10, .n_data = 7, .n_special = 3, .digit_primes = 3, .insecure = true};

#endif

/* The scheme: errors over all slots, operations against the plain ones, faults before any work. */
#include "he_check.h"

/* A context with keys, and vectors in and out. */
typedef struct world {
    sky_he_ctx *ctx;
    sky_he_secret *secret;
    sky_he_public *key;
    sky_he_eval *ev;
    uint32_t slots;
    double *re, *im, *got_re, *got_im;
} world;

static world world_new(sky_he_params params, uint64_t seed)
{
    world w = {0};
    MUST(sky_he_ctx_new(&w.ctx, &params, e));
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

static void world_free(world *w)
{
    free(w->re);
    sky_he_eval_free(w->ev);
    sky_he_public_free(w->key);
    sky_he_secret_free(w->secret);
    sky_he_ctx_free(w->ctx);
}

static void fill(world *w, sky_rng *rng)
{
    for (uint32_t j = 0; j < w->slots; j++) {
        w->re[j] = 2 * sky_rng_f64(rng) - 1;
        w->im[j] = 2 * sky_rng_f64(rng) - 1;
    }
}

static sky_he_ct *new_ct(world *w, sky_he_shape shape)
{
    sky_he_ct *ct = NULL;
    MUST(sky_he_ct_new(&ct, w->ctx, shape, e));
    return ct;
}

static sky_he_pt *new_pt(world *w, sky_he_shape shape)
{
    sky_he_pt *pt = NULL;
    MUST(sky_he_pt_new(&pt, w->ctx, shape, e));
    return pt;
}

/* w->re + i w->im encrypted. */
static sky_he_ct *encrypted(world *w, uint32_t level)
{
    sky_he_pt *pt = new_pt(w, (sky_he_shape){.level = level});
    sky_he_ct *ct = new_ct(w, (sky_he_shape){.level = level});
    MUST(sky_he_encode(w->ev, pt, w->re, w->im, w->slots, (sky_he_encode_options){.level = level},
                       e));
    MUST(sky_he_encrypt(w->ev, ct, pt, w->key, e));
    sky_he_pt_free(pt);
    return ct;
}

static void decrypted(world *w, const sky_he_ct *ct)
{
    sky_he_pt *pt = new_pt(w, (sky_he_shape){0});
    MUST(sky_he_decrypt(w->ev, pt, ct, w->secret, e));
    MUST(sky_he_decode(w->ev, w->got_re, w->got_im, w->slots, pt, e));
    sky_he_pt_free(pt);
}

/* The largest absolute error, over all slots, of what was decrypted; slot j was slot j + step. */
static double worst(const world *w, int32_t step, uint32_t *where)
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
 * are Laplace-like with scale s = sqrt(N) std / scale; their maximum is about s ln(N/2) / 2. Twice
 * that leaves a chance below 2/N that a correct run fails. */
static double bound(const world *w, double std)
{
    sky_he_info info = sky_he_ctx_info(w->ctx);
    return sqrt(info.n) * std / info.scale * log(info.slots);
}

static double round_std(uint32_t n)
{
    return sqrt((1 + 2.0 * n / 3) / 12);
}

static const sky_he_params small = {.log2_n = 10, .n_data = 4, .insecure = true};
static const sky_he_params wide = {
    .log2_n = 10, .n_data = 7, .n_special = 3, .digit_primes = 3, .insecure = true};

static void test_fresh(sky_rng *rng, sky_he_params params)
{
    world w = world_new(params, sky_rng_u64(rng));
    uint32_t where = 0, n = sky_he_ctx_info(w.ctx).n;
    fill(&w, rng);
    sky_he_pt *pt = new_pt(&w, (sky_he_shape){0});
    MUST(sky_he_encode(w.ev, pt, w.re, w.im, w.slots, (sky_he_encode_options){0}, e));
    MUST(sky_he_decode(w.ev, w.got_re, w.got_im, w.slots, pt, e));
    double error = worst(&w, 0, &where);
    CHECK(error < bound(&w, sqrt(1.0 / 12)), "encoding: %g at slot %u", error, where);
    sky_he_ct *ct = encrypted(&w, 0);
    decrypted(&w, ct);
    error = worst(&w, 0, &where);
    CHECK(error < bound(&w, round_std(n)), "fresh: %g at slot %u, bound %g", error, where,
          bound(&w, round_std(n)));
    CHECK(error > bound(&w, round_std(n)) / 100, "fresh: %g is no encryption", error);
    sky_he_ct_free(ct);
    sky_he_pt_free(pt);
    world_free(&w);
}

int main(void)
{
    sky_rng rng = test_rng("he_ckks_test");
    test_fresh(&rng, small);
    test_fresh(&rng, wide);
    {
        world w = world_new(small, 1);
        uint32_t where = 0;
        fill(&w, &rng);
        sky_he_keys *keys;
        int32_t steps[] = {1, 5, -3};
        MUST(sky_he_keys_new(
            &keys, w.secret,
            &(sky_he_keys_options){.steps = steps, .n_steps = 3, .relinearise = true}, e));
        sky_he_eval_set_keys(w.ev, keys);
        sky_he_ct *a = encrypted(&w, 0);
        MUST(sky_he_rotate(w.ev, a, a, 5, e));
        decrypted(&w, a);
        double err = worst(&w, 5, &where);
        printf("rotate 5: %g at %u; bound %g\n", err, where, bound(&w, round_std(1024)));
    }
    return he_report("he_ckks_test");
}

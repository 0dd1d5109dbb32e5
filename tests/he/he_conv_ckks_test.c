/* Packings on ciphertexts: what is decrypted is the plain convolution, for every packing, hoisting and random
 * masks; the evaluator did as many operations as were counted. */
#include <criterion/criterion.h>
#include <string.h>

#include "jobs/he/he_conv_ckks.h"
#include "jobs/he/he_cost.h"
#include "tests/he/conv_case.h"

static sky_he_ctx *context(uint32_t log2_n, uint32_t primes)
{
    sky_he_ctx *ctx = NULL;
    sky_error e = {0};
    const sky_he_params p = {.log2_n = log2_n, .n_data = primes, .insecure = true};
    cr_assert_eq(sky_he_ctx_new(&ctx, &p, &e), SKY_OK, "%s", e.text);
    return ctx;
}

typedef struct layer_case {
    sky_he_conv_shape shape;
    sky_he_conv_plan *plan;
    double *x, *w, *want, *got;
    int64_t n_y;
} layer_case;

static layer_case case_of(sky_rng *r, sky_he_conv_shape s, sky_he_conv_options o, double kept)
{
    layer_case c = {.shape = s};
    const int64_t n = sky_he_conv_weights(&s);
    c.n_y = (int64_t)s.c_out * sky_he_conv_out_h(&s) * sky_he_conv_out_w(&s);
    c.x = random_values(r, (int64_t)s.c_in * s.h * s.w);
    c.w = random_values(r, n);
    c.want = random_values(r, c.n_y);
    c.got = random_values(r, c.n_y);
    cr_assert_gt(n, 0);
    uint8_t *keep = calloc((size_t)n, 1);
    for (int64_t k = 0; k < n; k++) {
        keep[k] = sky_rng_f64(r) < kept;
        c.w[k] *= keep[k];
    }
    o.keep = keep;
    sky_error e = {0};
    cr_assert_eq(sky_he_conv_plan_create(&c.plan, &s, &o, &e), SKY_OK, "%s", e.text);
    sky_he_conv_reference(&s, c.x, c.w, c.want);
    free(keep);
    return c;
}

static void case_free(layer_case *c)
{
    sky_he_conv_plan_free(c->plan);
    free(c->x);
    free(c->w);
    free(c->want);
    free(c->got);
}

static uint64_t sum(const int64_t *at)
{
    return (uint64_t)(at[0] + at[1] + at[2]);
}

/* What the evaluator says that it did, against what the counting back end says. */
static void check_counts(const layer_case *c, const sky_he_conv_session *s,
                         sky_he_hoisting hoisting)
{
    sky_he_conv_counts want;
    cr_assert_eq(sky_he_conv_count(c->plan, &want, NULL), SKY_OK);
    const sky_he_counts got = sky_he_conv_session_counts(s);
    cr_assert_eq(got.rotations + got.rotations_hoisted + got.rotations_lazy,
                 (uint64_t)sky_he_rotations(&want));
    cr_assert_eq(got.plain_products, sum(want.products));
    cr_assert_eq(got.rescales, sum(want.rescales));
    if (hoisting != SKY_HE_HOISTING_NONE) {
        cr_assert_eq(got.rotations, sum(want.rotations_full));
        cr_assert_eq(got.hoists, (uint64_t)want.hoists);
    }
    cr_assert_eq(got.rotations_lazy,
                 hoisting == SKY_HE_HOISTING_DOUBLE ? sum(want.rotations_hoisted) : 0);
}

static void check(layer_case *c, const sky_he_ctx *ctx, sky_he_conv_ckks_options o, double bound)
{
    sky_error e = {0};
    sky_he_conv_session *s = NULL;
    cr_assert_eq(sky_he_conv_session_new(&s, ctx, c->plan, c->w, &o, &e), SKY_OK, "%s", e.text);
    for (int turn = 0; turn < 2; turn++) { /* a session serves many images */
        cr_assert_eq(sky_he_conv_session_run(s, c->x, c->got, NULL, &e), SKY_OK, "%s", e.text);
        const double d = distance(c->got, c->want, c->n_y);
        cr_assert_lt(d, bound, "%s, split %d, hoisting %s, gap %d: error %g",
                     sky_he_packing_name(c->plan->packing), c->plan->split,
                     sky_he_hoisting_names[o.hoisting], c->plan->in.gap_h, d);
        check_counts(c, s, o.hoisting);
    }
    sky_he_conv_session_free(s);
}

/* The error of a sum of a few hundred products with 40-bit scales and N = 2^10 is far below this; a wrong
 * slot is off by a tenth. */
#define BOUND 1e-4

Test(he_conv_ckks, random_layers_of_every_packing)
{
    sky_rng r = test_rng("ckks_layers");
    sky_he_ctx *ctx = context(10, 3);
    for (int round = 0; round < 48; round++) {
        const sky_he_packing packing = (sky_he_packing)(round % SKY_HE_PACKINGS);
        sky_he_conv_options o = {.packing = packing, .slots = 512};
        sky_he_conv_shape s;
        sky_he_conv_plan *plan = NULL;
        do { /* layers that fit */
            s = random_layer(&r, packing);
            if (packing == SKY_HE_MULTIPLEXED || packing == SKY_HE_TOEPLITZ)
                o.gap = between(&r, 1, 2);
        } while (sky_he_conv_plan_create(&plan, &s, &o, NULL) != SKY_OK);
        if (packing == SKY_HE_HYBRID || packing == SKY_HE_TOEPLITZ)
            o.split = between(&r, 0, plan->n_diagonals < 32 ? plan->n_diagonals : 32);
        sky_he_conv_plan_free(plan);
        const double kept[] = {1, 0.9, 0.1, 0};
        layer_case c = case_of(&r, s, o, kept[between(&r, 0, 3)]);
        const sky_he_hoisting hoisting = (sky_he_hoisting)(round / SKY_HE_PACKINGS % 3);
        check(&c, ctx, (sky_he_conv_ckks_options){.hoisting = hoisting}, BOUND);
        case_free(&c);
    }
    sky_he_ctx_free(ctx);
}

/* Kept factors change nothing but the time, whatever the limit. */
Test(he_conv_ckks, cached_factors)
{
    sky_rng r = test_rng("cached_factors");
    sky_he_ctx *ctx = context(10, 3);
    for (int packing = SKY_HE_HYBRID; packing <= SKY_HE_MULTIPLEXED; packing++) {
        layer_case c =
            case_of(&r, sky_he_conv_square(4, 6, 8, 3, 1, -1),
                    (sky_he_conv_options){.packing = (sky_he_packing)packing, .slots = 512}, 1);
        for (int mib = 0; mib <= 2; mib++) {
            const sky_he_conv_ckks_options o = {.hoisting = SKY_HE_HOISTING_DOUBLE,
                                                .cache_bytes = (uint64_t)mib << 20};
            check(&c, ctx, o, BOUND);
        }
        case_free(&c);
    }
    sky_he_ctx_free(ctx);
}

Test(he_conv_ckks, keys_are_those_of_the_plan)
{
    sky_rng r = test_rng("keys");
    sky_he_ctx *ctx = context(10, 3);
    layer_case c = case_of(&r, sky_he_conv_square(8, 8, 8, 3, 1, -1),
                           (sky_he_conv_options){.packing = SKY_HE_MULTIPLEXED, .slots = 512}, 1);
    sky_he_conv_counts n;
    cr_assert_eq(sky_he_conv_count(c.plan, &n, NULL), SKY_OK);
    cr_assert_eq(n.steps_at[0] + n.steps_at[1] + n.steps_at[2], n.steps);
    sky_he_conv_session *s;
    cr_assert_eq(
        sky_he_conv_session_new(&s, ctx, c.plan, c.w, &(sky_he_conv_ckks_options){0}, NULL),
        SKY_OK);
    uint64_t want = 0;
    for (uint32_t k = 0; k <= 2; k++)
        want += (uint64_t)n.steps_at[k] * sky_he_key_bytes(ctx, 3 - k);
    cr_assert_eq(sky_he_conv_session_key_bytes(s), want, "%lu, not %lu",
                 (unsigned long)sky_he_conv_session_key_bytes(s), (unsigned long)want);
    sky_he_conv_session_free(s);
    case_free(&c);
    sky_he_ctx_free(ctx);
}

Test(he_conv_ckks, too_few_primes_or_other_slots)
{
    sky_rng r = test_rng("too_few");
    sky_he_ctx *ctx = context(10, 2);
    layer_case c = case_of(&r, sky_he_conv_square(4, 4, 8, 3, 1, -1),
                           (sky_he_conv_options){.packing = SKY_HE_MULTIPLEXED, .slots = 512}, 1);
    sky_he_conv_session *s = NULL;
    sky_error e = {0};
    cr_assert_eq(sky_he_conv_session_new(&s, ctx, c.plan, c.w, &(sky_he_conv_ckks_options){0}, &e),
                 SKY_ELIMIT);
    cr_assert(strstr(e.text, "level exhausted"), "%s", e.text);
    case_free(&c);
    c = case_of(&r, sky_he_conv_square(4, 4, 8, 3, 1, -1),
                (sky_he_conv_options){.packing = SKY_HE_HYBRID, .slots = 1024}, 1);
    cr_assert_eq(sky_he_conv_session_new(&s, ctx, c.plan, c.w, &(sky_he_conv_ckks_options){0}, &e),
                 SKY_EINVAL);
    cr_assert(strstr(e.text, "512"), "%s", e.text);
    case_free(&c);
    sky_he_ctx_free(ctx);
}

/* Not how fast: that every operation of a program has a time, and that they add up. */
Test(he_conv_ckks, cost_model_has_every_operation)
{
    sky_he_ctx *ctx = context(10, 3);
    for (int h = 0; h < SKY_HE_HOISTINGS; h++) {
        sky_he_cost_model m;
        sky_error e = {0};
        const sky_he_cost_options o = {.hoisting = (sky_he_hoisting)h,
                                       .depth = 1,
                                       .steps = 4,
                                       .ciphertexts = 4,
                                       .measure_us = 1000};
        cr_assert_eq(sky_he_cost_calibrate(&m, ctx, &o, &e), SKY_OK, "%s", e.text);
        for (int k = 0; k < 2; k++) {
            cr_assert_gt(m.full_s[k], 0);
            cr_assert_gt(m.hoisted_s[k], 0);
            cr_assert_gt(m.product_s[k], 0);
            cr_assert_gt(m.add_s[k], 0);
            cr_assert_gt(m.rescale_s[k], 0);
            cr_assert_gt(m.encode_s[k], 0);
        }
        cr_assert(h != SKY_HE_HOISTING_DOUBLE || (m.giant_s > 0 && m.raise_s > 0));
        sky_he_conv_counts c = {.products = {100, 10}, .rotations_hoisted = {8}};
        const sky_he_cost_prediction none = sky_he_cost_predict(&m, &c, 0);
        const sky_he_cost_prediction some = sky_he_cost_predict(&m, &c, 60);
        const sky_he_cost_prediction all = sky_he_cost_predict(&m, &c, 1000);
        cr_assert_float_eq(none.encode_s, 100 * m.encode_s[0] + 10 * m.encode_s[1], 1e-9);
        cr_assert_float_eq(some.encode_s, 40 * m.encode_s[0] + 10 * m.encode_s[1], 1e-9);
        cr_assert_eq(all.encode_s, 0);
        cr_assert_float_eq(none.total_s - none.encode_s, all.total_s, 1e-12);
    }
    sky_he_ctx_free(ctx);
}

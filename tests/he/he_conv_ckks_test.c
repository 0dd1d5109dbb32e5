/* Packings on ciphertexts: what is decrypted is the plain convolution, for every packing, hoisting and random
 * masks; the evaluator did as many operations as were counted. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "jobs/he/he_conv_ckks.h"
#include "jobs/he/he_layer.h"
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
        o.composes = round % 2;
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

/* --- the cost model --- */

/* Not how fast: that every operation of a program has a time. */
Test(he_conv_ckks, calibration_has_every_operation)
{
    sky_he_ctx *ctx = context(10, 3);
    for (int h = 0; h < SKY_HE_HOISTINGS; h++) {
        sky_he_cost_model m;
        sky_error e = {0};
        const sky_he_cost_options o = {
            .hoisting = (sky_he_hoisting)h, .depth = 1, .measure_us = 50, .far_bytes = 1 << 20};
        cr_assert_eq(sky_he_cost_calibrate(&m, ctx, &o, &e), SKY_OK, "%s", e.text);
        const bool twice = h == SKY_HE_HOISTING_DOUBLE;
        const sky_he_cost_level *l[] = {twice ? &m.wide : &m.at[0], &m.at[1]};
        for (int k = 0; k < 2; k++) {
            cr_assert_gt(l[k]->full_s, 0);
            cr_assert_gt(l[k]->add_s, 0);
            cr_assert_gt(l[k]->rescale_s, 0);
            cr_assert_gt(l[k]->encode_s, 0);
            for (int i = 0; i < SKY_HE_COST_DOTS; i++)
                cr_assert_gt(l[k]->dot_s[i], 0);
        }
        cr_assert(m.hoisted_s > 0 && m.hoist_s > 0 && m.copy_s > 0 && m.mask_s > 0);
        cr_assert(!twice || (m.giant_s > 0 && m.raise_s > 0 && m.zero_s > 0));
        cr_assert(m.near_term.term_s > 0 && m.far_term.term_s > 0 && m.copy_term_s > 0);
        cr_assert(m.fresh_s >= 0 && m.fresh_alone_s >= 0 && m.crowd_s >= 0);
        for (int k = 0; k < SKY_HE_OPERANDS; k++) {
            const sky_he_cost_curve *c = &m.beyond[k];
            cr_assert(c->op_bytes > 0 && c->distance[0] > 0);
            for (int i = 1; i < SKY_HE_COST_POINTS; i++)
                cr_assert(c->op_s[i] > 0 && c->distance[i] >= c->distance[i - 1]);
        }
    }
    sky_he_ctx_free(ctx);
}

/* As many passes as one likes: the memory of a pass is used again. */
Test(he_conv_ckks, passes_go_on)
{
    sky_he_ctx *ctx = context(10, 3);
    sky_he_cost_bench *b;
    sky_error e = {0};
    const sky_he_cost_options o = {.measure_us = 50, .far_bytes = 1 << 20};
    cr_assert_eq(sky_he_cost_bench_new(&b, ctx, &o, &e), SKY_OK, "%s", e.text);
    for (uint32_t pass = 1; pass <= SKY_HE_COST_PASSES + 3; pass++) {
        cr_assert_eq(sky_he_cost_bench_pass(b, pass, &e), SKY_OK, "%s", e.text);
        cr_assert_eq(sky_he_cost_bench_passes(b), pass);
        const sky_he_cost_model *m = sky_he_cost_bench_model(b);
        cr_assert(m->hoisted_s > 0 && m->at[0].full_s > 0 && m->copy_term_s > 0);
    }
    sky_he_cost_bench_free(b);
    sky_he_ctx_free(ctx);
}

Test(he_conv_ckks, middle_mean_leaves_out_a_tenth_on_either_side)
{
    double one[] = {3}, four[] = {9, 1, 2, 4}, ten[] = {100, 3, 1, 2, 5, -50, 4, 4, 1, 4};
    cr_assert_eq(sky_he_middle_mean(one, 1), 3);
    cr_assert_eq(sky_he_middle_mean(four, 4), 4);
    cr_assert_eq(sky_he_middle_mean(ten, 10), 24. / 8);
}

typedef struct turns {
    int seen, fails_at;
} turns;

static sky_err count_turn(void *user, int k, sky_error *e)
{
    turns *t = user;
    cr_assert_eq(k, t->seen);
    t->seen++;
    return k == t->fails_at ? sky_fail(e, SKY_EIO, "turn %d", k) : SKY_OK;
}

/* Before each run and after the last; an error of it ends the runs and is theirs. */
Test(he_conv_ckks, runs_take_turns_with_the_caller)
{
    sky_he_ctx *ctx = context(10, 3);
    const sky_he_conv_shape shape = sky_he_conv_square(2, 2, 8, 3, 1, -1);
    const sky_he_layer_options o = {
        .conv = {.packing = SKY_HE_ADD_FIRST, .slots = 512}, .weight_seed = 1, .kept = 1};
    sky_he_layer l;
    sky_error e = {0};
    cr_assert_eq(sky_he_layer_make(&l, &shape, &o, true, &e), SKY_OK, "%s", e.text);
    for (int fails_at = -1; fails_at <= 3; fails_at++) {
        double run_s[3] = {0};
        turns t = {.fails_at = fails_at};
        sky_he_layer_run r = {.run_s = run_s, .between = count_turn, .user = &t};
        const sky_err err =
            sky_he_layer_run_real(&r, &l, ctx, &(sky_he_conv_ckks_options){0}, 1, 3, &e);
        cr_assert_eq(err, fails_at < 0 ? SKY_OK : SKY_EIO);
        cr_assert_eq(t.seen, fails_at < 0 ? 4 : fails_at + 1);
        for (int k = 0; k < 3; k++)
            cr_assert_eq(run_s[k] > 0, fails_at < 0 || k < fails_at);
    }
    sky_he_layer_free(&l);
    sky_he_ctx_free(ctx);
}

/* A model with a time for each operation that nothing else has, and no caches. */
static sky_he_cost_model made_up(sky_he_hoisting hoisting)
{
    sky_he_cost_model m = {.hoisting = hoisting,
                           .hoist_s = 3,
                           .hoisted_s = 5,
                           .raise_s = 7,
                           .giant_s = 11,
                           .mask_s = 100,
                           .hoist_bytes = 64};
    for (int k = 0; k <= SKY_HE_DEPTH_MAX; k++) {
        m.at[k] = (sky_he_cost_level){.full_s = 13,
                                      .encode_s = 17,
                                      .rescale_s = 0,
                                      .add_s = 0,
                                      .ct_bytes = 256,
                                      .pt_bytes = 128,
                                      .key_bytes = 1024};
        for (int i = 0; i < SKY_HE_COST_DOTS; i++)
            m.at[k].dot_s[i] = 1 << i;
    }
    m.wide = m.at[0];
    m.near_term.term_s = m.copy_term_s = 17 + 2;
    for (int k = 0; k < SKY_HE_OPERANDS; k++) {
        m.beyond[k].op_bytes = 1;
        for (int i = 0; i < SKY_HE_COST_POINTS; i++)
            m.beyond[k].distance[i] = 1 << i;
    }
    return m;
}

/* Without caches a prediction is the counts times the times, for every packing, hoisting and mask. */
Test(he_conv_ckks, predictions_are_counts_times_times)
{
    sky_rng r = test_rng("predictions");
    for (int round = 0; round < 96; round++) {
        const sky_he_packing packing = (sky_he_packing)(round % SKY_HE_PACKINGS);
        const sky_he_hoisting hoisting = (sky_he_hoisting)(round / SKY_HE_PACKINGS % 3);
        const sky_he_conv_shape s = random_layer(&r, packing);
        const double kept[] = {1, 0.5, 0.1, 0};
        sky_he_conv_options o = {
            .packing = packing, .slots = 4096, .composes = sky_rng_below(&r, 2) == 1};
        layer_case c = case_of(&r, s, o, kept[between(&r, 0, 3)]);
        sky_he_conv_counts n;
        cr_assert_eq(sky_he_conv_count(c.plan, &n, NULL), SKY_OK);
        sky_he_cost_model m = made_up(hoisting);
        sky_he_cost_prediction p;
        cr_assert_eq(sky_he_cost_predict(&p, &m, c.plan, 0, NULL), SKY_OK);
        const bool hoists = hoisting != SKY_HE_HOISTING_NONE;
        const bool twice = hoisting == SKY_HE_HOISTING_DOUBLE;
        const double *part_s = p.part_s;
        cr_assert_float_eq(part_s[SKY_HE_PART_HOIST], hoists ? 3.0 * (double)n.hoists : 0, 1e-6);
        cr_assert_float_eq(part_s[SKY_HE_PART_HOISTED], 5.0 * (double)sum(n.rotations_hoisted),
                           1e-6);
        cr_assert_float_eq(part_s[SKY_HE_PART_PRODUCTS], (double)sum(n.products), 1e-6);
        const double masks = c.plan->selects ? (double)n.products[1] : 0;
        cr_assert_float_eq(part_s[SKY_HE_PART_ENCODE],
                           19 * ((double)sum(n.products) - masks) + 100 * masks, 1e-6);
        if (!twice)
            cr_assert_float_eq(part_s[SKY_HE_PART_FULL], 13.0 * (double)sum(n.rotations_full),
                               1e-6);
        /* Everything kept: nothing is encoded. */
        cr_assert_eq(sky_he_cost_predict(&p, &m, c.plan, UINT64_MAX, NULL), SKY_OK);
        cr_assert_eq(p.part_s[SKY_HE_PART_ENCODE], 0);
        /* Keys from memory: each use takes its bytes longer. */
        for (int i = 1; i < SKY_HE_COST_POINTS; i++)
            m.beyond[SKY_HE_OPERAND_KEY].op_s[i] = 1;
        sky_he_cost_prediction far;
        cr_assert_eq(sky_he_cost_predict(&far, &m, c.plan, UINT64_MAX, NULL), SKY_OK);
        cr_assert_float_eq(far.total_s - p.total_s, 1024.0 * (double)sky_he_rotations(&n), 1e-3,
                           "%g", far.total_s - p.total_s);
        case_free(&c);
    }
}

/* Half of a factor's bytes past the caches, in the middle between two measured distances. */
Test(he_conv_ckks, curves_are_linear_in_the_logarithm)
{
    const sky_he_cost_curve c = {
        .op_bytes = 10, .distance = {4, 16, 64, 256, 1024}, .op_s = {1, 2, 1.5, 5, 9}};
    cr_assert_eq(sky_he_cost_beyond(&c, 3, 10), 0);
    cr_assert_float_eq(sky_he_cost_beyond(&c, 8, 10), 0.5, 1e-12);
    cr_assert_float_eq(sky_he_cost_beyond(&c, 16, 20), 2, 1e-12);
    cr_assert_float_eq(sky_he_cost_beyond(&c, 64, 10), 1,
                       1e-12); /* never shorter than a nearer one */
    cr_assert_float_eq(sky_he_cost_beyond(&c, 512, 10), 6, 1e-12);
    cr_assert_float_eq(sky_he_cost_beyond(&c, 1e9, 10), 8, 1e-12);
    sky_he_cost_level l = {.dot_s = {1, 3, 5, 9}};
    cr_assert_float_eq(sky_he_cost_dot(&l, 1), 1, 1e-12);
    cr_assert_float_eq(sky_he_cost_dot(&l, 2), 3, 1e-12);
    cr_assert_float_eq(sky_he_cost_dot(&l, 3), 4, 1e-12);
    cr_assert_float_eq(sky_he_cost_dot(&l, 8), 9, 1e-12);
    cr_assert_float_eq(sky_he_cost_dot(&l, 6), 7, 1e-12);
}

/* A quarter of the far layer's weights, each in the middle between near and far. */
Test(he_conv_ckks, terms_take_longer_with_many_far_weights)
{
    sky_rng r = test_rng("terms");
    layer_case c = case_of(&r, sky_he_conv_square(32, 32, 4, 3, 1, -1),
                           (sky_he_conv_options){.packing = SKY_HE_ADD_FIRST, .slots = 512}, 1);
    const double bytes = 8 * 32 * 32 * 9;
    sky_he_cost_model m = {.near_term = {.term_s = 3, .per_factor = 1, .bytes = bytes / 4},
                           .far_term = {.term_s = 19, .per_factor = 128, .bytes = 4 * bytes}};
    cr_assert_float_eq(sky_he_cost_term(&m, c.plan), 3 + 16 * 0.25 * 0.5, 1e-12);
    m.near_term.bytes = bytes;
    cr_assert_eq(sky_he_cost_term(&m, c.plan), 3);
    m.near_term.bytes = 1;
    m.far_term.bytes = bytes / 2; /* no farther than far */
    cr_assert_float_eq(sky_he_cost_term(&m, c.plan), 3 + 16 * 0.25, 1e-12);
    case_free(&c);
}

/* Where ciphertexts and factors both come from far, runs of products take longer, by the part that both do. */
Test(he_conv_ckks, far_ciphertexts_and_far_factors_crowd)
{
    sky_rng r = test_rng("crowd");
    layer_case c = case_of(&r, sky_he_conv_square(16, 16, 4, 3, 1, -1),
                           (sky_he_conv_options){.packing = SKY_HE_HYBRID, .slots = 256}, 1);
    sky_he_conv_counts n;
    cr_assert_eq(sky_he_conv_count(c.plan, &n, NULL), SKY_OK);
    const double most = (double)sum(n.products) / SKY_HE_DOT_MAX;
    sky_he_cost_model m = made_up(SKY_HE_HOISTING_SINGLE);
    m.beyond[SKY_HE_OPERAND_SOURCE].op_bytes = 2 * SKY_HE_DOT_MAX * 256; /* far by half */
    m.beyond[SKY_HE_OPERAND_FACTOR].op_bytes = SKY_HE_DOT_MAX * 128;
    static const sky_he_operand far[] = {SKY_HE_OPERAND_SOURCE, SKY_HE_OPERAND_FACTOR};
    for (int k = 0; k < 3; k++) { /* neither is far, one is, both are */
        sky_he_cost_prediction alone, crowded;
        for (int i = 1; k > 0 && i < SKY_HE_COST_POINTS; i++)
            m.beyond[far[k - 1]].op_s[i] = 3;
        m.crowd_s = 0;
        cr_assert_eq(sky_he_cost_predict(&alone, &m, c.plan, UINT64_MAX, NULL), SKY_OK);
        m.crowd_s = 0.5;
        cr_assert_eq(sky_he_cost_predict(&crowded, &m, c.plan, UINT64_MAX, NULL), SKY_OK);
        const double more = crowded.total_s - alone.total_s;
        if (k < 2)
            cr_assert_eq(more, 0);
        else
            cr_assert(more > 0.125 * most && more < 0.25 * most + 1e-9, "%g of %g", more, most);
    }
    case_free(&c);
}

/* Factors that are encoded as needed take longer in their products, by the length of the run. */
Test(he_conv_ckks, fresh_factors_cost)
{
    sky_rng r = test_rng("fresh");
    layer_case c = case_of(&r, sky_he_conv_square(16, 16, 4, 3, 1, -1),
                           (sky_he_conv_options){.packing = SKY_HE_HYBRID, .slots = 256}, 1);
    sky_he_conv_counts n;
    cr_assert_eq(sky_he_conv_count(c.plan, &n, NULL), SKY_OK);
    const double products = (double)sum(n.products);
    sky_he_cost_model m = made_up(SKY_HE_HOISTING_SINGLE);
    sky_he_cost_prediction p;
    m.fresh_alone_s = m.fresh_s = 0.25;
    cr_assert_eq(sky_he_cost_predict(&p, &m, c.plan, 0, NULL), SKY_OK);
    cr_assert_float_eq(p.part_s[SKY_HE_PART_PRODUCTS], 1.25 * products, 1e-6);
    cr_assert_eq(sky_he_cost_predict(&p, &m, c.plan, UINT64_MAX, NULL), SKY_OK);
    cr_assert_float_eq(p.part_s[SKY_HE_PART_PRODUCTS], products, 1e-6);
    m.fresh_s = 0.5; /* some runs here are longer than one, and none is longer than the longest */
    cr_assert_eq(sky_he_cost_predict(&p, &m, c.plan, 0, NULL), SKY_OK);
    const double each = p.part_s[SKY_HE_PART_PRODUCTS] / products;
    cr_assert(each > 1.25 && each <= 1.5, "%g", each);
    case_free(&c);
}

/* The least of each operation: never more than a whole run, and more runs never make it more. */
Test(he_conv_ckks, floors)
{
    sky_rng r = test_rng("floors");
    sky_he_ctx *ctx = context(10, 3);
    layer_case c = case_of(&r, sky_he_conv_square(4, 6, 8, 3, 1, -1),
                           (sky_he_conv_options){.packing = SKY_HE_HYBRID, .slots = 512}, 1);
    sky_he_conv_session *s;
    const sky_he_conv_ckks_options o = {.hoisting = SKY_HE_HOISTING_DOUBLE, .floors = true};
    cr_assert_eq(sky_he_conv_session_new(&s, ctx, c.plan, c.w, &o, NULL), SKY_OK);
    cr_assert_eq(sky_he_conv_session_floor(s).total_s, 0);
    double before = INFINITY;
    for (int k = 0; k < 3; k++) {
        sky_he_conv_times t;
        cr_assert_eq(sky_he_conv_session_run(s, c.x, c.got, &t, NULL), SKY_OK);
        const sky_he_conv_times floor = sky_he_conv_session_floor(s);
        double parts = 0;
        for (int i = 0; i < SKY_HE_PARTS; i++) {
            parts += floor.part_s[i];
            cr_assert_leq(floor.part_s[i], t.part_s[i] + 1e-12);
        }
        cr_assert_float_eq(parts, floor.total_s, 1e-9);
        cr_assert(floor.total_s > 0 && floor.total_s <= t.total_s && floor.total_s <= before);
        before = floor.total_s;
    }
    sky_he_conv_session_free(s);
    case_free(&c);
    sky_he_ctx_free(ctx);
}

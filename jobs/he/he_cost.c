/* Times of single operations. See he_cost.h. */
#include "jobs/he/he_cost.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum {
    MEASURE_US = 3000, /* of each operation in a pass */
    /* Layers whose factors have few weights each and all in the near caches, and many from far. */
    NEAR_EDGE = 16,
    NEAR_CHANNELS = 64,
    FAR_EDGE = 4,
    FAR_CHANNELS = 512,
};

/* Rings of operands that operations take turns through: the larger the ring, the longer ago was each used. A ring
 * begins elsewhere in each pass: where memory is slow for a while, that is not every pass's. */
typedef struct bench bench;
typedef sky_err (*operation)(bench *b, sky_error *e);

struct bench {
    const sky_he_ctx *ctx;
    sky_he_cost_options o;
    uint32_t level;
    bool extended;
    sky_he_secret *secret;
    sky_he_public *public_key;
    sky_he_keys *keys;
    sky_he_eval *ev;
    sky_he_hoist *hoist;
    sky_he_ct **ct; /* [room_ct] at `level`, of the form that products have here */
    sky_he_pt **pt; /* [room_pt] */
    sky_he_ct *in;  /* not extended */
    sky_he_ct *out; /* of the products' form */
    sky_he_ct *sum;
    sky_he_ct *low; /* a rescaled one */
    sky_he_conv_plan *plan;
    double *weights, *slots;
    int32_t room_ct, room_pt, room_keys;
    int32_t ring_ct, ring_pt, ring_keys; /* how many of them are in use */
    int32_t base, next;                  /* where these begin; the operand's turn */
    int32_t dot;                         /* products of one dot */
    operation before; /* not timed: what leaves the near caches as a program does, or NULL */
    /* [room_took] what the last passes measured, in its order; pass p in column p mod the columns */
    double (*took)[SKY_HE_COST_PASSES_MAX];
    int32_t n_took, room_took;
    uint32_t pass, n_last; /* the number of this one; how many count, with it */
};

#define TRY(call)                                                                                  \
    do {                                                                                           \
        sky_err err_ = (call);                                                                     \
        if (err_ != SKY_OK)                                                                        \
            return err_;                                                                           \
    } while (0)

/* --- the operations, each once --- */

static int32_t step_of(bench *b)
{
    return 1 + (b->base + ++b->next % b->ring_keys) % b->room_keys;
}

static sky_he_ct *ct_of(const bench *b)
{
    return b->ct[(b->base + b->next % b->ring_ct) % b->room_ct];
}

static sky_he_pt *pt_of(const bench *b)
{
    return b->pt[(b->base + b->next % b->ring_pt) % b->room_pt];
}

static sky_err do_hoist(bench *b, sky_error *e)
{
    return sky_he_hoist_set(b->ev, b->hoist, b->in, e);
}

static sky_err do_full(bench *b, sky_error *e)
{
    return sky_he_rotate(b->ev, b->sum, b->in, step_of(b), e);
}

static sky_err do_hoisted(bench *b, sky_error *e)
{
    if (b->o.hoisting == SKY_HE_HOISTING_NONE)
        return do_full(b, e);
    return b->extended ? sky_he_rotate_lazy(b->ev, b->out, b->hoist, step_of(b), e)
                       : sky_he_rotate_hoisted(b->ev, b->out, b->hoist, step_of(b), e);
}

static sky_err do_giant(bench *b, sky_error *e)
{
    return sky_he_rotate_fold(b->ev, ct_of(b), b->out, step_of(b), e);
}

static sky_err do_zero(bench *b, sky_error *e)
{
    return sky_he_sub(b->ev, b->sum, b->out, b->out, e);
}

static sky_err do_copy(bench *b, sky_error *e)
{
    return sky_he_copy(b->ev, b->sum, b->in, e);
}

static sky_err do_dot(bench *b, sky_error *e)
{
    const sky_he_ct *a[SKY_HE_DOT_MAX];
    const sky_he_pt *f[SKY_HE_DOT_MAX];
    for (int32_t k = 0; k < b->dot; k++) {
        b->next++;
        a[k] = ct_of(b);
        f[k] = pt_of(b);
    }
    return sky_he_dot_plain(b->ev, b->sum, a, f, (size_t)b->dot, e);
}

static sky_err do_add(bench *b, sky_error *e)
{
    b->next++;
    sky_he_ct *x = ct_of(b);
    return sky_he_add(b->ev, x, x, b->out, e);
}

static sky_err do_rescale(bench *b, sky_error *e)
{
    return b->extended ? sky_he_mod_down_rescale(b->ev, b->low, b->sum, e)
                       : sky_he_rescale(b->ev, b->low, b->sum, e);
}

static sky_err do_raise(bench *b, sky_error *e)
{
    return sky_he_mod_up(b->ev, b->sum, b->in, e);
}

static sky_err transform(bench *b, sky_he_pt *out, sky_error *e)
{
    const sky_he_encode_options o = {
        .level = b->level,
        .scale = b->level > 1 ? (double)sky_he_ctx_prime(b->ctx, b->level - 1) : 0,
        .extended = b->extended};
    return sky_he_encode(b->ev, out, b->slots, NULL, (size_t)b->plan->slots, o, e);
}

static sky_err do_transform(bench *b, sky_error *e)
{
    b->next++;
    return transform(b, pt_of(b), e);
}

static void fill_slots(bench *b)
{
    const sky_he_conv_plan *p = b->plan;
    const int64_t id = b->next % ((int64_t)p->n_rows * p->n_in * p->n_diagonals * p->n_taps);
    const sky_he_factor f = {.plan = p,
                             .id = id,
                             .term = {.diagonal = (int32_t)(id / p->n_taps % p->n_diagonals),
                                      .tap = (int32_t)(id % p->n_taps)}};
    sky_he_factor_values(&f, b->weights, b->slots);
}

/* As a program does it: the weights and the encoder take turns in the caches. */
static sky_err do_encode(bench *b, sky_error *e)
{
    fill_slots(b);
    return do_transform(b, e);
}

static sky_err do_encode_mask(bench *b, sky_error *e)
{
    const sky_he_factor f = {
        .plan = b->plan, .select = true, .out = b->next % b->plan->shape.c_out};
    sky_he_factor_values(&f, b->weights, b->slots);
    return do_transform(b, e);
}

static sky_err do_transforms(bench *b, sky_error *e)
{
    for (int32_t k = 0; k < b->dot; k++)
        TRY(do_transform(b, e));
    return SKY_OK;
}

static sky_err timed(bench *b, operation op, double *total_s, sky_error *e)
{
    if (b->before)
        TRY(b->before(b, e));
    const double start = sky_he_cpu_seconds();
    TRY(op(b, e));
    *total_s += sky_he_cpu_seconds() - start;
    return SKY_OK;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double sky_he_middle_mean(double *x, uint32_t n)
{
    assert(x && n > 0);
    qsort(x, n, sizeof *x, by_value);
    const uint32_t cut = n / 10;
    double sum = 0;
    for (uint32_t k = cut; k < n - cut; k++)
        sum += x[k];
    return sum / (n - 2 * cut);
}

/* Notes what this pass measured, and takes it together with what the last passes measured here. */
static sky_err middle(bench *b, double took, double *out, sky_error *e)
{
    if (b->n_took == b->room_took) {
        const int32_t room = b->room_took > 0 ? 2 * b->room_took : 64;
        double(*row)[SKY_HE_COST_PASSES_MAX] = realloc(b->took, (size_t)room * sizeof *row);
        if (!row)
            return sky_fail(e, SKY_ENOMEM, "he: out of memory");
        b->took = row;
        b->room_took = room;
    }
    double *row = b->took[b->n_took++];
    row[b->pass % SKY_HE_COST_PASSES_MAX] = took;
    double last[SKY_HE_COST_PASSES_MAX];
    for (uint32_t k = 0; k < b->n_last; k++)
        last[k] = row[(b->pass - k) % SKY_HE_COST_PASSES_MAX];
    *out = sky_he_middle_mean(last, b->n_last);
    return SKY_OK;
}

/* Seconds of one operation, measured through the whole ring. */
static sky_err measure(bench *b, operation op, int32_t ring, double *out, sky_error *e)
{
    double total_s = 0;
    for (int32_t k = 0; k < ring && k < SKY_HE_DOT_MAX; k++)
        TRY(timed(b, op, &total_s, e)); /* first touches */
    int32_t n = 0;
    total_s = 0;
    do {
        TRY(timed(b, op, &total_s, e));
        n++;
    } while (total_s * 1e6 < b->o.measure_us || n < ring);
    return middle(b, total_s / n, out, e);
}

/* The same after products, where a program does it there. */
static sky_err measure_after(bench *b, operation op, double *out, sky_error *e)
{
    b->dot = b->ring_ct = b->ring_pt = SKY_HE_DOT_MAX;
    b->before = do_dot;
    sky_err err = measure(b, op, 1, out, e);
    b->before = NULL;
    b->ring_ct = 1;
    return err;
}

/* --- what they work on --- */

static void bench_free(bench *b)
{
    for (int32_t k = 0; b->ct && k < b->room_ct; k++)
        sky_he_ct_free(b->ct[k]);
    for (int32_t k = 0; b->pt && k < b->room_pt; k++)
        sky_he_pt_free(b->pt[k]);
    sky_he_ct_free(b->in);
    sky_he_ct_free(b->out);
    sky_he_ct_free(b->sum);
    sky_he_ct_free(b->low);
    sky_he_hoist_free(b->hoist);
    sky_he_eval_free(b->ev);
    sky_he_keys_free(b->keys);
    sky_he_public_free(b->public_key);
    sky_he_secret_free(b->secret);
    sky_he_conv_plan_free(b->plan);
    free(b->ct);
    free(b->pt);
    free(b->weights);
    free(b->slots);
    free(b->took);
}

/* A layer of the packing that fills a ciphertext, for the values of its factors. */
static sky_err set_plan(bench *b, sky_he_packing packing, int32_t edge, int32_t most_channels,
                        sky_error *e)
{
    const int32_t slots = (int32_t)sky_he_ctx_info(b->ctx).slots;
    while (edge * edge * 4 > slots)
        edge /= 2;
    const int32_t fit = slots / (edge * edge);
    const int32_t channels = fit < most_channels ? fit : most_channels;
    const sky_he_conv_shape s = sky_he_conv_square(channels, channels, edge, 3, 1, -1);
    const sky_he_conv_options o = {.packing = packing, .slots = slots};
    sky_he_conv_plan *plan;
    TRY(sky_he_conv_plan_create(&plan, &s, &o, e));
    sky_he_conv_plan_free(b->plan);
    b->plan = plan;
    free(b->weights);
    const int64_t n = sky_he_conv_weights(&s);
    b->weights = calloc((size_t)n, sizeof *b->weights);
    if (!b->weights)
        return sky_fail(e, SKY_ENOMEM, "he: out of memory");
    for (int64_t k = 0; k < n; k++)
        b->weights[k] = 0.01 * (double)(k % 17 - 8);
    return SKY_OK;
}

static int32_t ring_of(uint64_t bytes, size_t each, int32_t most)
{
    const uint64_t n = bytes / each;
    return n < 1 ? 1 : n > (uint64_t)most ? most : (int32_t)n;
}

static sky_err make_keys(bench *b, uint64_t far_bytes, sky_error *e)
{
    const int32_t slots = (int32_t)sky_he_ctx_info(b->ctx).slots;
    b->room_keys = ring_of(far_bytes, sky_he_key_bytes(b->ctx, b->level), slots - 1);
    int32_t *steps = malloc((size_t)b->room_keys * sizeof *steps);
    if (!steps)
        return sky_fail(e, SKY_ENOMEM, "he: out of memory");
    for (int32_t k = 0; k < b->room_keys; k++)
        steps[k] = k + 1;
    const sky_he_keys_options o = {
        .level = b->level, .steps = steps, .n_steps = (size_t)b->room_keys};
    sky_err err = sky_he_secret_new(&b->secret, b->ctx, e);
    if (err == SKY_OK)
        err = sky_he_public_new(&b->public_key, b->secret, e);
    if (err == SKY_OK)
        err = sky_he_keys_new(&b->keys, b->secret, &o, e);
    free(steps);
    return err;
}

static sky_err make_inputs(bench *b, sky_error *e)
{
    const sky_he_shape full = {.level = b->level, .extended = b->extended};
    const sky_he_shape plain = {.level = b->level};
    for (int32_t k = 0; k < b->room_pt; k++) {
        TRY(sky_he_pt_new(&b->pt[k], b->ctx, full, e));
        TRY(transform(b, b->pt[k], e));
    }
    sky_he_pt *message = NULL;
    sky_err err = sky_he_pt_new(&message, b->ctx,
                                (sky_he_shape){.level = sky_he_ctx_info(b->ctx).params.n_data}, e);
    if (err == SKY_OK)
        err = sky_he_encode(b->ev, message, b->slots, NULL, (size_t)b->plan->slots,
                            (sky_he_encode_options){.level = b->level}, e);
    if (err == SKY_OK)
        err = sky_he_ct_new(&b->in, b->ctx, plain, e);
    if (err == SKY_OK)
        err = sky_he_encrypt(b->ev, b->in, message, b->public_key, e);
    sky_he_pt_free(message);
    TRY(err);
    TRY(sky_he_ct_new(&b->out, b->ctx, full, e));
    TRY(sky_he_ct_new(&b->sum, b->ctx, full, e));
    TRY(sky_he_ct_new(&b->low, b->ctx, full, e));
    TRY(b->extended ? sky_he_mod_up(b->ev, b->out, b->in, e)
                    : sky_he_copy(b->ev, b->out, b->in, e));
    for (int32_t k = 0; k < b->room_ct; k++) {
        TRY(sky_he_ct_new(&b->ct[k], b->ctx, full, e));
        TRY(sky_he_copy(b->ev, b->ct[k], b->out, e));
    }
    return SKY_OK;
}

static sky_err bench_open(bench *b, uint64_t far_bytes, sky_error *e)
{
    enum { ROOM_MAX = 1 << 16 };
    TRY(sky_he_eval_new(&b->ev, b->ctx, e));
    TRY(sky_he_hoist_new(&b->hoist, b->ctx, b->level, e));
    TRY(make_keys(b, far_bytes, e));
    sky_he_eval_set_keys(b->ev, b->keys);
    b->room_ct = ring_of(far_bytes, sky_he_ct_bytes(b->ctx, b->level, b->extended), ROOM_MAX);
    b->room_pt = ring_of(SKY_HE_COST_FACTORS_FAR * far_bytes,
                         sky_he_pt_bytes(b->ctx, b->level, b->extended), ROOM_MAX);
    if (b->room_ct < SKY_HE_DOT_MAX)
        b->room_ct = SKY_HE_DOT_MAX;
    if (b->room_pt < SKY_HE_DOT_MAX)
        b->room_pt = SKY_HE_DOT_MAX;
    b->ct = calloc((size_t)b->room_ct, sizeof(sky_he_ct *));
    b->pt = calloc((size_t)b->room_pt, sizeof(sky_he_pt *));
    b->slots = calloc(sky_he_ctx_info(b->ctx).slots, sizeof *b->slots);
    if (!b->ct || !b->pt || !b->slots)
        return sky_fail(e, SKY_ENOMEM, "he: out of memory");
    b->ring_ct = b->ring_pt = b->ring_keys = 1;
    b->dot = 1;
    TRY(set_plan(b, SKY_HE_ADD_FIRST, NEAR_EDGE, NEAR_CHANNELS, e));
    fill_slots(b);
    TRY(make_inputs(b, e));
    return do_hoist(b, e);
}

/* --- what is measured --- */

/* A product at the last level could not be rescaled, so no program has one. */
static sky_err measure_products(bench *b, sky_he_cost_level *l, sky_error *e)
{
    for (int k = 0; k < SKY_HE_COST_DOTS; k++) { /* each of a run has its own place in the caches */
        b->dot = b->ring_ct = b->ring_pt = 1 << k;
        TRY(measure(b, do_dot, 1, &l->dot_s[k], e));
    }
    b->ring_ct = 1;
    TRY(measure(b, do_add, 1, &l->add_s, e));
    TRY(measure_after(b, do_rescale, &l->rescale_s, e));
    b->ring_pt = SKY_HE_DOT_MAX; /* a dot's factors are encoded before it */
    return measure(b, do_transform, 1, &l->encode_s, e);
}

static sky_err measure_level(bench *b, sky_he_cost_level *l, sky_error *e)
{
    l->ct_bytes = sky_he_ct_bytes(b->ctx, b->level, b->extended);
    l->pt_bytes = sky_he_pt_bytes(b->ctx, b->level, b->extended);
    l->key_bytes = sky_he_key_bytes(b->ctx, b->level);
    TRY(measure(b, do_full, 1, &l->full_s, e));
    b->ring_ct = 1;
    if (b->level > 1)
        return measure_products(b, l, e);
    return measure(b, do_add, 1, &l->add_s, e);
}

/* All packings but `multiplexed` have the same code for their slots. */
static sky_err measure_term(bench *b, int32_t edge, int32_t channels, sky_he_cost_weights *w,
                            sky_error *e)
{
    TRY(set_plan(b, SKY_HE_ADD_FIRST, edge, channels, e));
    *w = sky_he_cost_weights_of(b->plan);
    return measure(b, do_encode, 1, &w->term_s, e);
}

static sky_err measure_factors(bench *b, sky_he_cost_model *m, sky_error *e)
{
    b->ring_pt = SKY_HE_DOT_MAX;
    TRY(measure_term(b, NEAR_EDGE, NEAR_CHANNELS, &m->near_term, e));
    TRY(measure_term(b, FAR_EDGE, FAR_CHANNELS, &m->far_term, e));
    TRY(set_plan(b, SKY_HE_MULTIPLEXED, NEAR_EDGE, NEAR_CHANNELS, e));
    TRY(measure(b, do_encode, 1, &m->copy_term_s, e));
    return measure(b, do_encode_mask, 1, &m->mask_s, e);
}

/* A run of products whose factors were encoded one after another just before. */
static sky_err measure_fresh(bench *b, int32_t run, double cached_s, double *out, sky_error *e)
{
    b->dot = b->ring_ct = b->ring_pt = run;
    b->before = do_transforms;
    double dot_s;
    TRY(measure(b, do_dot, 1, &dot_s, e));
    b->before = NULL;
    b->dot = b->ring_ct = 1;
    *out = fmax(dot_s - cached_s, 0) / run;
    return SKY_OK;
}

/* The operation for rings of one operand from small to far. `other`: bytes that it touches beside that. */
static sky_err measure_curve(bench *b, operation op, int32_t *ring, int32_t room, size_t each,
                             size_t other, sky_he_cost_curve *c, sky_error *e)
{
    const int32_t per_op = op == do_dot ? b->dot : 1;
    const uint64_t far_bytes = (uint64_t)room * each;
    c->op_bytes = (double)per_op * (double)each;
    for (int k = 0; k < SKY_HE_COST_POINTS; k++) {
        /* 1/27, 1/9, 1/3 and all of it, and one alone before these */
        const double part = k == 0 ? 0 : pow(3, k - (SKY_HE_COST_POINTS - 1));
        *ring = ring_of((uint64_t)(part * (double)far_bytes), each, room);
        if (*ring < per_op)
            *ring = per_op;
        c->distance[k] = *ring * ((double)each + (double)other / per_op);
        TRY(measure(b, op, *ring / per_op, &c->op_s[k], e));
    }
    *ring = per_op;
    return SKY_OK;
}

/* Of rings of products whose ciphertexts and factors are both far. The curves of each alone are measured before. */
static sky_err measure_crowd(bench *b, sky_he_cost_model *m, sky_error *e)
{
    const sky_he_cost_curve *source = &m->beyond[SKY_HE_OPERAND_SOURCE];
    const sky_he_cost_curve *factor = &m->beyond[SKY_HE_OPERAND_FACTOR];
    double both_s;
    b->dot = SKY_HE_DOT_MAX;
    b->ring_ct = b->room_ct;
    b->ring_pt = b->room_pt;
    TRY(measure(b, do_dot, b->room_pt / b->dot, &both_s, e));
    b->ring_ct = b->ring_pt = b->dot = 1;
    const int last = SKY_HE_COST_POINTS - 1;
    const double alone_s = source->op_s[last] + factor->op_s[last] - factor->op_s[0];
    m->crowd_s = fmax(both_s - alone_s, 0);
    return SKY_OK;
}

static sky_err measure_curves(bench *b, sky_he_cost_model *m, sky_error *e)
{
    const sky_he_cost_level *l = b->extended ? &m->wide : &m->at[0];
    b->ring_keys = 1;
    TRY(measure_curve(b, do_hoisted, &b->ring_keys, b->room_keys, m->at[0].key_bytes, l->ct_bytes,
                      &m->beyond[SKY_HE_OPERAND_KEY], e));
    b->dot = b->ring_ct = b->ring_pt = SKY_HE_DOT_MAX;
    const size_t sum = l->ct_bytes;
    TRY(measure_curve(b, do_dot, &b->ring_ct, b->room_ct, l->ct_bytes,
                      SKY_HE_DOT_MAX * l->pt_bytes + sum, &m->beyond[SKY_HE_OPERAND_SOURCE], e));
    TRY(measure_curve(b, do_dot, &b->ring_pt, b->room_pt, l->pt_bytes,
                      SKY_HE_DOT_MAX * l->ct_bytes + sum, &m->beyond[SKY_HE_OPERAND_FACTOR], e));
    TRY(measure_crowd(b, m, e));
    b->dot = b->ring_ct = 1;
    TRY(measure_curve(b, do_dot, &b->ring_pt, b->room_pt, l->pt_bytes, 2 * l->ct_bytes,
                      &m->beyond[SKY_HE_OPERAND_LONE_FACTOR], e));
    return measure_curve(b, do_add, &b->ring_ct, b->room_ct, l->ct_bytes, l->ct_bytes,
                         &m->beyond[SKY_HE_OPERAND_SUM], e);
}

/* The inputs' level, in the form that products have there. */
static sky_err measure_inputs(bench *b, sky_he_cost_model *m, sky_error *e)
{
    sky_he_cost_level *l = b->extended ? &m->wide : &m->at[0];
    TRY(measure_level(b, l, e));
    b->dot = b->ring_ct = b->ring_pt = SKY_HE_DOT_MAX;
    m->at[0].ct_bytes = sky_he_ct_bytes(b->ctx, b->level, false);
    m->at[0].pt_bytes = sky_he_pt_bytes(b->ctx, b->level, false);
    m->at[0].key_bytes = l->key_bytes;
    m->wide.ct_bytes = l->ct_bytes;
    m->wide.pt_bytes = l->pt_bytes;
    m->hoist_bytes = sky_he_hoist_bytes(b->ctx, b->level);
    b->ring_keys = 1;
    TRY(measure(b, do_hoisted, 1, &m->hoisted_s, e));
    TRY(measure_after(b, do_hoist, &m->hoist_s, e));
    TRY(measure_after(b, do_full, &m->at[0].full_s, e));
    if (b->extended) {
        TRY(measure_after(b, do_zero, &m->zero_s, e));
        TRY(measure_after(b, do_giant, &m->giant_s, e));
        TRY(measure_after(b, do_raise, &m->raise_s, e));
    }
    TRY(measure_curves(b, m, e));
    TRY(measure(b, do_copy, 1, &m->copy_s, e));
    TRY(measure_fresh(b, 1, l->dot_s[0], &m->fresh_alone_s, e));
    TRY(measure_fresh(b, SKY_HE_DOT_MAX, l->dot_s[SKY_HE_COST_DOTS - 1], &m->fresh_s, e));
    return measure_factors(b, m, e);
}

struct sky_he_cost_bench {
    bench level[SKY_HE_DEPTH_MAX + 1]; /* [k]: after k rescales */
    int32_t n_levels;
    uint32_t passes;
    sky_he_cost_model model;
};

void sky_he_cost_bench_free(sky_he_cost_bench *b)
{
    for (int32_t k = 0; b && k < b->n_levels; k++)
        bench_free(&b->level[k]);
    free(b);
}

sky_err sky_he_cost_bench_new(sky_he_cost_bench **out, const sky_he_ctx *ctx,
                              const sky_he_cost_options *o, sky_error *e)
{
    assert(out && ctx && o && o->depth >= 0 && o->depth <= SKY_HE_DEPTH_MAX);
    const uint32_t top = sky_he_ctx_info(ctx).params.n_data;
    const uint64_t far_bytes = o->far_bytes > 0 ? o->far_bytes : SKY_HE_COST_FAR_BYTES;
    sky_he_cost_bench *b = calloc(1, sizeof *b);
    if (!b)
        return sky_fail(e, SKY_ENOMEM, "he: out of memory");
    b->model.hoisting = o->hoisting;
    sky_err err = SKY_OK;
    for (uint32_t k = 0; k <= (uint32_t)o->depth && k < top && err == SKY_OK; k++) {
        bench *l = &b->level[b->n_levels++];
        *l = (bench){.ctx = ctx, .o = *o, .level = top - k};
        if (o->measure_us == 0)
            l->o.measure_us = MEASURE_US;
        l->extended = k == 0 && o->hoisting == SKY_HE_HOISTING_DOUBLE;
        err = bench_open(l, k == 0 ? far_bytes : 1, e);
    }
    if (err == SKY_OK)
        *out = b;
    else
        sky_he_cost_bench_free(b);
    return err;
}

sky_err sky_he_cost_bench_pass(sky_he_cost_bench *b, uint32_t last, sky_error *e)
{
    assert(b && last > 0 && last <= SKY_HE_COST_PASSES_MAX);
    for (int32_t k = 0; k < b->n_levels; k++) {
        bench *l = &b->level[k];
        l->pass = b->passes;
        l->base = (int32_t)b->passes * SKY_HE_DOT_MAX;
        l->n_last = last <= b->passes ? last : b->passes + 1;
        l->n_took = 0;
        TRY(k == 0 ? measure_inputs(l, &b->model, e) : measure_level(l, &b->model.at[k], e));
    }
    b->passes++;
    return SKY_OK;
}

uint32_t sky_he_cost_bench_passes(const sky_he_cost_bench *b)
{
    return b->passes;
}

const sky_he_cost_model *sky_he_cost_bench_model(const sky_he_cost_bench *b)
{
    assert(b && b->passes > 0);
    return &b->model;
}

sky_err sky_he_cost_calibrate(sky_he_cost_model *out, const sky_he_ctx *ctx,
                              const sky_he_cost_options *o, sky_error *e)
{
    sky_he_cost_bench *b;
    sky_err err = sky_he_cost_bench_new(&b, ctx, o, e);
    if (err != SKY_OK)
        return err;
    while (err == SKY_OK && b->passes < SKY_HE_COST_PASSES)
        err = sky_he_cost_bench_pass(b, SKY_HE_COST_PASSES, e);
    if (err == SKY_OK)
        *out = b->model;
    sky_he_cost_bench_free(b);
    return err;
}

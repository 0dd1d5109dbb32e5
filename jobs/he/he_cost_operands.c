/* See he_cost_internal.h. */
#include "jobs/he/he_cost_internal.h"

#include <assert.h>
#include <stdlib.h>

/* --- the operations, each once --- */

static int32_t step_of(sky__he_operands *w)
{
    return 1 + (w->base + ++w->next % w->ring_keys) % w->room_keys;
}

static sky_he_ct *ct_of(const sky__he_operands *w)
{
    return w->ct[(w->base + w->next % w->ring_ct) % w->room_ct];
}

static sky_he_pt *pt_of(const sky__he_operands *w)
{
    return w->pt[(w->base + w->next % w->ring_pt) % w->room_pt];
}

static sky_err do_hoist(sky__he_operands *w, sky_error *e)
{
    return sky_he_hoist_set(w->ev, w->hoist, w->in, e);
}

static sky_err do_full(sky__he_operands *w, sky_error *e)
{
    return sky_he_rotate(w->ev, w->sum, w->in, step_of(w), e);
}

static sky_err do_hoisted(sky__he_operands *w, sky_error *e)
{
    if (w->hoisting == SKY_HE_HOISTING_NONE)
        return do_full(w, e);
    return w->extended ? sky_he_rotate_lazy(w->ev, w->out, w->hoist, step_of(w), e)
                       : sky_he_rotate_hoisted(w->ev, w->out, w->hoist, step_of(w), e);
}

static sky_err do_giant(sky__he_operands *w, sky_error *e)
{
    return sky_he_rotate_fold(w->ev, ct_of(w), w->out, step_of(w), e);
}

static sky_err do_zero(sky__he_operands *w, sky_error *e)
{
    return sky_he_sub(w->ev, w->sum, w->out, w->out, e);
}

static sky_err do_copy(sky__he_operands *w, sky_error *e)
{
    return sky_he_copy(w->ev, w->sum, w->in, e);
}

static sky_err do_dot(sky__he_operands *w, sky_error *e)
{
    const sky_he_ct *a[SKY_HE_DOT_MAX];
    const sky_he_pt *f[SKY_HE_DOT_MAX];
    for (int32_t k = 0; k < w->dot; k++) {
        w->next++;
        a[k] = ct_of(w);
        f[k] = pt_of(w);
    }
    return sky_he_dot_plain(w->ev, w->sum, a, f, (size_t)w->dot, e);
}

static sky_err do_add(sky__he_operands *w, sky_error *e)
{
    w->next++;
    sky_he_ct *x = ct_of(w);
    return sky_he_add(w->ev, x, x, w->out, e);
}

static sky_err do_rescale(sky__he_operands *w, sky_error *e)
{
    return w->extended ? sky_he_mod_down_rescale(w->ev, w->low, w->sum, e)
                       : sky_he_rescale(w->ev, w->low, w->sum, e);
}

static sky_err do_raise(sky__he_operands *w, sky_error *e)
{
    return sky_he_mod_up(w->ev, w->sum, w->in, e);
}

static sky_err transform(sky__he_operands *w, sky_he_pt *out, sky_error *e)
{
    const sky_he_encode_options o = {
        .level = w->level,
        .scale = w->level > 1 ? (double)sky_he_ctx_prime(w->ctx, w->level - 1) : 0,
        .extended = w->extended};
    return sky_he_encode(w->ev, out, w->slots, NULL, (size_t)w->plan->slots, o, e);
}

static sky_err do_transform(sky__he_operands *w, sky_error *e)
{
    w->next++;
    return transform(w, pt_of(w), e);
}

static void fill_slots(sky__he_operands *w)
{
    const sky_he_conv_plan *p = w->plan;
    const int64_t id = w->next % ((int64_t)p->n_rows * p->n_in * p->n_diagonals * p->n_taps);
    const sky_he_factor f = {.plan = p,
                             .id = id,
                             .term = {.diagonal = (int32_t)(id / p->n_taps % p->n_diagonals),
                                      .tap = (int32_t)(id % p->n_taps)}};
    sky_he_factor_values(&f, w->weights, w->slots);
}

/* As a program does it: the weights and the encoder take turns in the caches. */
static sky_err do_encode(sky__he_operands *w, sky_error *e)
{
    fill_slots(w);
    return do_transform(w, e);
}

static sky_err do_encode_mask(sky__he_operands *w, sky_error *e)
{
    const sky_he_factor f = {
        .plan = w->plan, .select = true, .out = w->next % w->plan->shape.c_out};
    sky_he_factor_values(&f, w->weights, w->slots);
    return do_transform(w, e);
}

static sky_err do_transforms(sky__he_operands *w, sky_error *e)
{
    for (int32_t k = 0; k < w->dot; k++)
        TRY(do_transform(w, e));
    return SKY_OK;
}

sky_err sky__he_operate(sky__he_operands *w, sky__he_op op, sky_error *e)
{
    static sky_err (*const operations[])(sky__he_operands *, sky_error *) = {
        [SKY__HE_OP_HOIST] = do_hoist,
        [SKY__HE_OP_FULL] = do_full,
        [SKY__HE_OP_HOISTED] = do_hoisted,
        [SKY__HE_OP_GIANT] = do_giant,
        [SKY__HE_OP_ZERO] = do_zero,
        [SKY__HE_OP_COPY] = do_copy,
        [SKY__HE_OP_DOT] = do_dot,
        [SKY__HE_OP_ADD] = do_add,
        [SKY__HE_OP_RESCALE] = do_rescale,
        [SKY__HE_OP_RAISE] = do_raise,
        [SKY__HE_OP_TRANSFORM] = do_transform,
        [SKY__HE_OP_TRANSFORMS] = do_transforms,
        [SKY__HE_OP_ENCODE] = do_encode,
        [SKY__HE_OP_ENCODE_MASK] = do_encode_mask,
    };
    return operations[op] ? operations[op](w, e) : SKY_OK;
}

/* --- what they work on --- */

void sky__he_operands_free(sky__he_operands *w)
{
    for (int32_t k = 0; w->ct && k < w->room_ct; k++)
        sky_he_ct_free(w->ct[k]);
    for (int32_t k = 0; w->pt && k < w->room_pt; k++)
        sky_he_pt_free(w->pt[k]);
    sky_he_ct_free(w->in);
    sky_he_ct_free(w->out);
    sky_he_ct_free(w->sum);
    sky_he_ct_free(w->low);
    sky_he_hoist_free(w->hoist);
    sky_he_eval_free(w->ev);
    sky_he_keys_free(w->keys);
    sky_he_public_free(w->public_key);
    sky_he_secret_free(w->secret);
    sky_he_conv_plan_free(w->plan);
    free(w->ct);
    free(w->pt);
    free(w->weights);
    free(w->slots);
}

sky_err sky__he_operands_plan(sky__he_operands *w, sky_he_packing packing, int32_t edge,
                              int32_t most_channels, sky_error *e)
{
    const int32_t slots = (int32_t)sky_he_ctx_info(w->ctx).slots;
    while (edge * edge * 4 > slots)
        edge /= 2;
    const int32_t fit = slots / (edge * edge);
    const int32_t channels = fit < most_channels ? fit : most_channels;
    const sky_he_conv_shape s = sky_he_conv_square(channels, channels, edge, 3, 1, -1);
    const sky_he_conv_options o = {.packing = packing, .slots = slots};
    sky_he_conv_plan *plan;
    TRY(sky_he_conv_plan_create(&plan, &s, &o, e));
    sky_he_conv_plan_free(w->plan);
    w->plan = plan;
    free(w->weights);
    const int64_t n = sky_he_conv_weights(&s);
    w->weights = calloc((size_t)n, sizeof *w->weights);
    if (!w->weights)
        return sky_fail(e, SKY_ENOMEM, "he: out of memory");
    for (int64_t k = 0; k < n; k++)
        w->weights[k] = 0.01 * (double)(k % 17 - 8);
    return SKY_OK;
}

int32_t sky__he_ring_of(uint64_t bytes, size_t each, int32_t most)
{
    const uint64_t n = bytes / each;
    return n < 1 ? 1 : n > (uint64_t)most ? most : (int32_t)n;
}

static sky_err make_keys(sky__he_operands *w, uint64_t far_bytes, sky_error *e)
{
    const int32_t slots = (int32_t)sky_he_ctx_info(w->ctx).slots;
    w->room_keys = sky__he_ring_of(far_bytes, sky_he_key_bytes(w->ctx, w->level), slots - 1);
    int32_t *steps = malloc((size_t)w->room_keys * sizeof *steps);
    if (!steps)
        return sky_fail(e, SKY_ENOMEM, "he: out of memory");
    for (int32_t k = 0; k < w->room_keys; k++)
        steps[k] = k + 1;
    const sky_he_keys_options o = {
        .level = w->level, .steps = steps, .n_steps = (size_t)w->room_keys};
    sky_err err = sky_he_secret_new(&w->secret, w->ctx, e);
    if (err == SKY_OK)
        err = sky_he_public_new(&w->public_key, w->secret, e);
    if (err == SKY_OK)
        err = sky_he_keys_new(&w->keys, w->secret, &o, e);
    free(steps);
    return err;
}

static sky_err make_inputs(sky__he_operands *w, sky_error *e)
{
    const sky_he_shape full = {.level = w->level, .extended = w->extended};
    const sky_he_shape plain = {.level = w->level};
    for (int32_t k = 0; k < w->room_pt; k++) {
        TRY(sky_he_pt_new(&w->pt[k], w->ctx, full, e));
        TRY(transform(w, w->pt[k], e));
    }
    sky_he_pt *message = NULL;
    sky_err err = sky_he_pt_new(&message, w->ctx,
                                (sky_he_shape){.level = sky_he_ctx_info(w->ctx).params.n_data}, e);
    if (err == SKY_OK)
        err = sky_he_encode(w->ev, message, w->slots, NULL, (size_t)w->plan->slots,
                            (sky_he_encode_options){.level = w->level}, e);
    if (err == SKY_OK)
        err = sky_he_ct_new(&w->in, w->ctx, plain, e);
    if (err == SKY_OK)
        err = sky_he_encrypt(w->ev, w->in, message, w->public_key, e);
    sky_he_pt_free(message);
    TRY(err);
    TRY(sky_he_ct_new(&w->out, w->ctx, full, e));
    TRY(sky_he_ct_new(&w->sum, w->ctx, full, e));
    TRY(sky_he_ct_new(&w->low, w->ctx, full, e));
    TRY(w->extended ? sky_he_mod_up(w->ev, w->out, w->in, e)
                    : sky_he_copy(w->ev, w->out, w->in, e));
    for (int32_t k = 0; k < w->room_ct; k++) {
        TRY(sky_he_ct_new(&w->ct[k], w->ctx, full, e));
        TRY(sky_he_copy(w->ev, w->ct[k], w->out, e));
    }
    return SKY_OK;
}

sky_err sky__he_operands_new(sky__he_operands *w, uint64_t far_bytes, sky_error *e)
{
    enum { ROOM_MAX = 1 << 11 }; /* small ones by the thousand take seconds to make */
    TRY(sky_he_eval_new(&w->ev, w->ctx, e));
    TRY(sky_he_hoist_new(&w->hoist, w->ctx, w->level, e));
    TRY(make_keys(w, far_bytes, e));
    sky_he_eval_set_keys(w->ev, w->keys);
    w->room_ct =
        sky__he_ring_of(far_bytes, sky_he_ct_bytes(w->ctx, w->level, w->extended), ROOM_MAX);
    w->room_pt = sky__he_ring_of(SKY_HE_COST_FACTORS_FAR * far_bytes,
                                 sky_he_pt_bytes(w->ctx, w->level, w->extended), ROOM_MAX);
    if (w->room_ct < SKY_HE_DOT_MAX)
        w->room_ct = SKY_HE_DOT_MAX;
    if (w->room_pt < SKY_HE_DOT_MAX)
        w->room_pt = SKY_HE_DOT_MAX;
    w->ct = calloc((size_t)w->room_ct, sizeof(sky_he_ct *));
    w->pt = calloc((size_t)w->room_pt, sizeof(sky_he_pt *));
    w->slots = calloc(sky_he_ctx_info(w->ctx).slots, sizeof *w->slots);
    if (!w->ct || !w->pt || !w->slots)
        return sky_fail(e, SKY_ENOMEM, "he: out of memory");
    w->ring_ct = w->ring_pt = w->ring_keys = 1;
    w->dot = 1;
    TRY(sky__he_operands_plan(w, SKY_HE_ADD_FIRST, SKY__HE_NEAR_EDGE, SKY__HE_NEAR_CHANNELS, e));
    fill_slots(w);
    TRY(make_inputs(w, e));
    return do_hoist(w, e);
}

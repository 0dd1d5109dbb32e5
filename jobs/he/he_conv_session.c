/* Sessions: keys, room and kept factors for the programs of one plan. See he_conv_ckks.h. */
#include <assert.h>
#include <stdlib.h>

#include "jobs/he/he_conv_ckks_internal.h"

static sky_err no_memory(sky_error *e)
{
    return sky_fail(e, SKY_ENOMEM, "he: out of memory");
}

void sky_he_conv_session_free(session *s)
{
    if (!s)
        return;
    for (int32_t k = 0; s->reg && s->raised && k < s->registers; k++) {
        sky_he_ct_free(s->reg[k].ct);
        sky_he_ct_free(s->raised[k]);
    }
    for (int32_t k = 0; k < s->n_spare; k++)
        sky_he_ct_free(s->spare[k]);
    for (int64_t k = 0; s->cache && k < sky_he_conv_factors(s->plan); k++)
        sky_he_pt_free(s->cache[k]);
    for (int k = 0; k < SKY_HE_DOT_MAX; k++)
        sky_he_pt_free(s->encoded[k]);
    for (int k = 0; k <= SKY_HE_DEPTH_MAX; k++)
        sky_he_keys_free(s->keys[k]);
    sky_he_hoist_free(s->hoist);
    sky_he_eval_free(s->ev);
    sky_he_public_free(s->public_key);
    sky_he_secret_free(s->secret);
    free(s->reg);
    free(s->raised);
    free(s->spare);
    free(s->cache);
    free(s->keys_of);
    free(s->slots);
    free(s->floor);
    free(s);
}

static sky_err make_keys(session *s, sky_error *e)
{
    const sky_he_conv_plan *p = s->plan;
    int32_t *steps = malloc((size_t)p->slots * sizeof *steps);
    int32_t *chosen = malloc((size_t)p->slots * sizeof *chosen);
    uint8_t *after = malloc((size_t)p->slots);
    sky_err err = steps && chosen && after ? SKY_OK : no_memory(e);
    const int32_t n = err == SKY_OK ? sky_he_conv_steps(p, steps, after) : 0;
    if (n < 0)
        err = no_memory(e);
    for (uint32_t k = 0; k <= SKY_HE_DEPTH_MAX && err == SKY_OK; k++) {
        size_t m = 0;
        for (int32_t i = 0; i < n; i++) {
            if (after[i] != k)
                continue;
            s->keys_of[steps[i]] = (uint8_t)k;
            chosen[m++] = steps[i];
        }
        const sky_he_keys_options o = {.level = s->level - k, .steps = chosen, .n_steps = m};
        if (m > 0)
            err = sky_he_keys_new(&s->keys[k], s->secret, &o, e);
    }
    free(steps);
    free(chosen);
    free(after);
    return err;
}

static sky_err make_room(session *s, sky_error *e)
{
    const sky_he_conv_plan *p = s->plan;
    s->registers = sky_he_conv_registers(p);
    s->cap_spare = 2 * s->registers + 1;
    s->reg = calloc((size_t)s->registers, sizeof *s->reg);
    s->raised = calloc((size_t)s->registers, sizeof *s->raised);
    s->spare = calloc((size_t)s->cap_spare, sizeof *s->spare);
    s->keys_of = calloc((size_t)p->slots, 1);
    s->slots = calloc((size_t)p->slots, sizeof *s->slots);
    if (!s->reg || !s->raised || !s->spare || !s->keys_of || !s->slots)
        return no_memory(e);
    const sky_he_shape shape = {.level = s->level, .extended = sky__he_is_double(s)};
    for (int k = 0; k < SKY_HE_DOT_MAX; k++)
        TRY(sky_he_pt_new(&s->encoded[k], s->ctx, shape, e));
    TRY(sky_he_secret_new(&s->secret, s->ctx, e));
    TRY(sky_he_public_new(&s->public_key, s->secret, e));
    TRY(sky_he_eval_new(&s->ev, s->ctx, e));
    return sky_he_hoist_new(&s->hoist, s->ctx, s->level, e);
}

/* Every ciphertext that a run holds at once, now: the first run then meets memory that is there already, and
 * what does not fit is an error before any work. */
static sky_err make_ciphertexts(session *s, sky_error *e)
{
    sky_he_conv_counts c;
    TRY(sky_he_conv_count(s->plan, &c, e));
    /* Raised inputs, and a sum on its way into another, are registers of nobody. */
    const int32_t n = c.registers_peak + 1 + (sky__he_is_double(s) ? c.ciphertexts_in : 0);
    for (int32_t k = 0; k < n; k++) {
        sky_he_ct *ct;
        TRY(sky_he_ct_new(&ct, s->ctx,
                          (sky_he_shape){.level = s->level, .extended = sky__he_is_double(s)}, e));
        sky__he_session_give(s, &ct);
    }
    return SKY_OK;
}

/* Encodes factors ahead, in the order of their numbers, while there is room. */
static sky_err fill_cache(session *s, sky_error *e)
{
    const sky_he_conv_plan *p = s->plan;
    const size_t each = sky_he_pt_bytes(s->ctx, s->level, sky__he_is_double(s));
    if (s->o.cache_bytes < each)
        return SKY_OK;
    s->cache = calloc((size_t)sky_he_conv_factors(p), sizeof *s->cache);
    if (!s->cache)
        return no_memory(e);
    const int64_t most = (int64_t)(s->o.cache_bytes / each);
    const sky_he_shape shape = {.level = s->level, .extended = sky__he_is_double(s)};
    sky_he_factor f = {.plan = p};
    for (; f.id < sky_he_conv_factors(p) && s->n_cached < most; f.id++) {
        const int64_t terms = sky_he_conv_factors(p) - (p->selects ? p->shape.c_out : 0);
        f.select = f.id >= terms;
        f.out = (int32_t)(f.select ? f.id - terms : 0);
        if (f.select ? !p->kept_out[f.out] : !p->present[f.id])
            continue;
        f.term.tap = (int32_t)(f.id % p->n_taps);
        f.term.diagonal = (int32_t)(f.id / p->n_taps % p->n_diagonals);
        f.term.in = (int32_t)(f.id / p->n_taps / p->n_diagonals % p->n_in);
        f.term.row = (int32_t)(f.id / p->n_taps / p->n_diagonals / p->n_in);
        TRY(sky_he_pt_new(&s->cache[f.id], s->ctx, shape, e));
        TRY(sky__he_session_encode(s, s->cache[f.id], &f, e));
        s->n_cached++;
    }
    return SKY_OK;
}

sky_err sky_he_conv_session_new(session **out, const sky_he_ctx *ctx, const sky_he_conv_plan *plan,
                                const double *weights, const sky_he_conv_ckks_options *o,
                                sky_error *e)
{
    assert(out && ctx && plan && weights && o);
    const sky_he_info info = sky_he_ctx_info(ctx);
    if ((uint32_t)plan->slots != info.slots)
        return sky_fail(e, SKY_EINVAL, "the plan is for %d slots, the parameters have %u",
                        plan->slots, info.slots);
    if (info.params.n_data <= (uint32_t)plan->depth)
        return sky_fail(
            e, SKY_ELIMIT,
            "level exhausted: packing %s multiplies %d times in a row and needs %d data "
            "primes; there are %u",
            sky_he_packing_name(plan->packing), plan->depth, plan->depth + 1, info.params.n_data);
    session *s = calloc(1, sizeof *s);
    if (!s)
        return no_memory(e);
    *s = (session){.ctx = ctx, .plan = plan, .weights = weights, .o = *o};
    s->level = info.params.n_data;
    sky_err err = make_room(s, e);
    if (err == SKY_OK)
        err = make_keys(s, e);
    if (err == SKY_OK)
        err = make_ciphertexts(s, e);
    if (err == SKY_OK)
        err = fill_cache(s, e);
    if (err == SKY_OK) {
        *out = s;
        s = NULL;
    }
    sky_he_conv_session_free(s);
    return err;
}

uint64_t sky_he_conv_session_key_bytes(const session *s)
{
    uint64_t bytes = 0;
    for (int k = 0; k <= SKY_HE_DEPTH_MAX; k++)
        bytes += s->keys[k] ? sky_he_keys_bytes(s->keys[k]) : 0;
    return bytes;
}

int64_t sky_he_conv_session_cached(const session *s)
{
    return s->n_cached;
}

sky_he_counts sky_he_conv_session_counts(const session *s)
{
    return sky_he_eval_counts(s->ev);
}

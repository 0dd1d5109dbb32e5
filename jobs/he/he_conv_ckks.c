/* The CKKS back end of convolution programs. See he_conv_ckks.h.
 *
 * Products into one sum are collected and done by one sky_he_dot_plain(). With double hoisting, rotated
 * inputs and sums of products are extended ciphertexts; a giant step is then sky_he_rotate_fold() into its
 * row: rotate() only notes it, add() does it. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "jobs/he/he_conv_ckks_internal.h"

const char *const sky_he_hoisting_names[SKY_HE_HOISTINGS + 1] = {
    [SKY_HE_HOISTING_NONE] = "none",
    [SKY_HE_HOISTING_SINGLE] = "single",
    [SKY_HE_HOISTING_DOUBLE] = "double",
};

const char *const sky_he_part_names[SKY_HE_PARTS + 1] = {
    [SKY_HE_PART_HOIST] = "hoist",   [SKY_HE_PART_HOISTED] = "hoisted",
    [SKY_HE_PART_FULL] = "full",     [SKY_HE_PART_PRODUCTS] = "products",
    [SKY_HE_PART_ENCODE] = "encode", [SKY_HE_PART_REST] = "rest",
};

double sky_he_cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static sky_err no_memory(sky_error *e)
{
    return sky_fail(e, SKY_ENOMEM, "he: out of memory");
}

/* --- the stopwatch --- */

static sky_err remember(session *s, sky_he_part part, double took, sky_error *e)
{
    if (s->op == s->cap_floors) {
        const size_t cap = s->cap_floors > 0 ? 2 * s->cap_floors : 1024;
        op_floor *floor = realloc(s->floor, cap * sizeof *floor);
        if (!floor)
            return no_memory(e);
        s->floor = floor;
        s->cap_floors = cap;
    }
    op_floor *f = &s->floor[s->op++];
    if (s->op > s->n_floors) {
        *f = (op_floor){took, part};
        s->n_floors = s->op;
    } else if (took < f->s) {
        f->s = took;
    }
    return SKY_OK;
}

static void start(session *s)
{
    s->since = sky_he_cpu_seconds();
}

/* Ends an operation whose result is err, and hands that on. */
static sky_err stop(session *s, sky_he_part part, sky_err err, sky_error *e)
{
    const double took = sky_he_cpu_seconds() - s->since;
    s->part_s[part] += took;
    if (err == SKY_OK && s->o.floors)
        err = remember(s, part, took, e);
    return err;
}

sky_he_conv_times sky_he_conv_session_floor(const session *s)
{
    sky_he_conv_times t = {0};
    for (size_t k = 0; k < s->n_floors; k++) {
        t.part_s[s->floor[k].part] += s->floor[k].s;
        t.total_s += s->floor[k].s;
    }
    return t;
}

/* --- ciphertexts --- */

static sky_err take(session *s, sky_he_ct **out, sky_error *e)
{
    if (s->n_spare > 0) {
        *out = s->spare[--s->n_spare];
        return SKY_OK;
    }
    return sky_he_ct_new(out, s->ctx,
                         (sky_he_shape){.level = s->level, .extended = sky__he_is_double(s)}, e);
}

void sky__he_session_give(session *s, sky_he_ct **ct)
{
    if (!*ct)
        return;
    if (s->n_spare < s->cap_spare)
        s->spare[s->n_spare++] = *ct;
    else
        sky_he_ct_free(*ct);
    *ct = NULL;
}

static bool is_extended(const sky_he_ct *ct)
{
    return sky_he_ct_state(ct).extended;
}

/* --- factors --- */

static bool wants_extended(const session *s, const sky_he_factor *f)
{
    return sky__he_is_double(s) && !f->select;
}

sky_err sky__he_session_encode(session *s, sky_he_pt *out, const sky_he_factor *f, sky_error *e)
{
    const uint32_t level = s->level - (f->select ? 1 : 0);
    sky_he_factor_values(f, s->weights, s->slots);
    const sky_he_encode_options o = {.level = level,
                                     .scale = (double)sky_he_ctx_prime(s->ctx, level - 1),
                                     .extended = wants_extended(s, f)};
    return sky_he_encode(s->ev, out, s->slots, NULL, (size_t)s->plan->slots, o, e);
}

static sky_err factor(session *s, const sky_he_factor *f, const sky_he_pt **out, sky_error *e)
{
    if (s->cache && s->cache[f->id]) {
        *out = s->cache[f->id];
        return SKY_OK;
    }
    start(s);
    *out = s->encoded[s->n_pending];
    return stop(s, SKY_HE_PART_ENCODE, sky__he_session_encode(s, s->encoded[s->n_pending], f, e),
                e);
}

/* --- the operations --- */

static sky_err flush(session *s, sky_error *e)
{
    if (s->n_pending == 0)
        return SKY_OK;
    sky_he_ct *sum = NULL;
    TRY(take(s, &sum, e));
    start(s);
    sky_err err = sky_he_dot_plain(s->ev, sum, s->source, s->factor, (size_t)s->n_pending, e);
    s->n_pending = 0;
    sky_he_ct **acc = &s->reg[s->acc].ct;
    if (err == SKY_OK && !*acc) {
        *acc = sum;
        sum = NULL;
    } else if (err == SKY_OK) {
        err = sky_he_add(s->ev, *acc, *acc, sum, e);
    }
    sky__he_session_give(s, &sum);
    return stop(s, SKY_HE_PART_PRODUCTS, err, e);
}

static sky_err hoist(void *self, int32_t src, sky_error *e)
{
    session *s = self;
    TRY(flush(s, e));
    if (s->o.hoisting == SKY_HE_HOISTING_NONE)
        return SKY_OK;
    start(s);
    return stop(s, SKY_HE_PART_HOIST, sky_he_hoist_set(s->ev, s->hoist, s->reg[src].ct, e), e);
}

static sky_err unhoist(void *self, int32_t src, sky_error *e)
{
    session *s = self;
    TRY(flush(s, e));
    sky__he_session_give(s, &s->raised[src]);
    return SKY_OK;
}

static sky_err rotate(void *self, int32_t dst, int32_t src, int32_t step, sky_he_rotation kind,
                      sky_error *e)
{
    session *s = self;
    TRY(flush(s, e));
    sky_he_eval_set_keys(s->ev, s->keys[s->keys_of[step]]);
    ct_register *to = &s->reg[dst], *from = &s->reg[src];
    assert(!to->ct && from->ct && from->fold_step == 0);
    if (kind == SKY_HE_ROTATE_FULL && is_extended(from->ct)) {
        *to = (ct_register){from->ct, step}; /* a giant step: src is dropped next */
        from->ct = NULL;
        return SKY_OK;
    }
    TRY(take(s, &to->ct, e));
    start(s);
    sky_err err;
    if (kind == SKY_HE_ROTATE_FULL || s->o.hoisting == SKY_HE_HOISTING_NONE)
        err = sky_he_rotate(s->ev, to->ct, from->ct, step, e);
    else if (sky__he_is_double(s))
        err = sky_he_rotate_lazy(s->ev, to->ct, s->hoist, step, e);
    else
        err = sky_he_rotate_hoisted(s->ev, to->ct, s->hoist, step, e);
    return stop(s, kind == SKY_HE_ROTATE_FULL ? SKY_HE_PART_FULL : SKY_HE_PART_HOISTED, err, e);
}

/* An input itself as one of the factors of extended products. */
static sky_err raise_input(session *s, int32_t q, const sky_he_ct **out, sky_error *e)
{
    if (!s->raised[q]) {
        TRY(take(s, &s->raised[q], e));
        start(s);
        TRY(stop(s, SKY_HE_PART_REST, sky_he_mod_up(s->ev, s->raised[q], s->reg[q].ct, e), e));
    }
    *out = s->raised[q];
    return SKY_OK;
}

static sky_err multiply_add(void *self, int32_t acc, int32_t src, const sky_he_factor *f,
                            sky_error *e)
{
    session *s = self;
    if (s->n_pending == SKY_HE_DOT_MAX || (s->n_pending > 0 && s->acc != acc))
        TRY(flush(s, e));
    s->acc = acc;
    const sky_he_ct *ct = s->reg[src].ct;
    assert(ct);
    if (wants_extended(s, f) && !is_extended(ct))
        TRY(raise_input(s, src, &ct, e));
    TRY(factor(s, f, &s->factor[s->n_pending], e));
    s->source[s->n_pending++] = ct;
    return SKY_OK;
}

static sky_err fold(session *s, ct_register *acc, ct_register *from, sky_error *e)
{
    sky_err err = SKY_OK;
    const bool is_first = !acc->ct;
    if (is_first)
        TRY(take(s, &acc->ct, e));
    start(s);
    if (is_first) /* nothing there yet: a zero of the same form */
        err = sky_he_sub(s->ev, acc->ct, from->ct, from->ct, e);
    sky_he_eval_set_keys(s->ev, s->keys[s->keys_of[from->fold_step]]);
    if (err == SKY_OK)
        err = sky_he_rotate_fold(s->ev, acc->ct, from->ct, from->fold_step, e);
    return stop(s, SKY_HE_PART_FULL, err, e);
}

static sky_err add(void *self, int32_t acc, int32_t src, sky_error *e)
{
    session *s = self;
    TRY(flush(s, e));
    ct_register *to = &s->reg[acc], *from = &s->reg[src];
    assert(from->ct && to->fold_step == 0);
    if (from->fold_step != 0) {
        TRY(fold(s, to, from, e));
        from->fold_step = 0;
    } else if (!to->ct) {
        to->ct = from->ct;
        from->ct = NULL;
    } else {
        start(s);
        TRY(stop(s, SKY_HE_PART_REST, sky_he_add(s->ev, to->ct, to->ct, from->ct, e), e));
    }
    sky__he_session_give(s, &from->ct);
    return SKY_OK;
}

static sky_err copy(void *self, int32_t dst, int32_t src, sky_error *e)
{
    session *s = self;
    TRY(flush(s, e));
    TRY(take(s, &s->reg[dst].ct, e));
    start(s);
    return stop(s, SKY_HE_PART_REST, sky_he_copy(s->ev, s->reg[dst].ct, s->reg[src].ct, e), e);
}

static sky_err rescale(void *self, int32_t reg, sky_error *e)
{
    session *s = self;
    TRY(flush(s, e));
    sky_he_ct *ct = s->reg[reg].ct;
    start(s);
    const sky_err err = is_extended(ct) ? sky_he_mod_down_rescale(s->ev, ct, ct, e)
                                        : sky_he_rescale(s->ev, ct, ct, e);
    return stop(s, SKY_HE_PART_REST, err, e);
}

static sky_err drop(void *self, int32_t reg, sky_error *e)
{
    session *s = self;
    TRY(flush(s, e));
    sky__he_session_give(s, &s->reg[reg].ct);
    sky__he_session_give(s, &s->raised[reg]);
    return SKY_OK;
}

/* --- a run --- */

static sky_err encrypt(session *s, const double *x, sky_error *e)
{
    const sky_he_conv_plan *p = s->plan;
    for (int32_t q = 0; q < p->n_in; q++) {
        sky_he_layout_pack(&p->in, x, q, s->slots);
        TRY(sky_he_encode(s->ev, s->encoded[0], s->slots, NULL, (size_t)p->slots,
                          (sky_he_encode_options){.level = s->level}, e));
        TRY(take(s, &s->reg[q].ct, e));
        TRY(sky_he_encrypt(s->ev, s->reg[q].ct, s->encoded[0], s->public_key, e));
    }
    return SKY_OK;
}

static sky_err decrypt(session *s, double *y, sky_error *e)
{
    const sky_he_layout *out = &s->plan->out;
    memset(y, 0, (size_t)((int64_t)out->c * out->h * out->w) * sizeof *y);
    for (int32_t p = 0; p < out->ciphertexts; p++) {
        const sky_he_ct *ct = s->reg[s->plan->n_in + p].ct;
        if (!ct)
            continue; /* all of its weights were pruned */
        TRY(sky_he_decrypt(s->ev, s->encoded[0], ct, s->secret, e));
        TRY(sky_he_decode(s->ev, s->slots, NULL, (size_t)s->plan->slots, s->encoded[0], e));
        sky_he_layout_unpack(out, s->slots, p, y);
    }
    return SKY_OK;
}

static sky_err play(session *s, sky_error *e)
{
    const sky_he_ops ops = {.self = s,
                            .hoist = hoist,
                            .unhoist = unhoist,
                            .rotate = rotate,
                            .multiply_add = multiply_add,
                            .add = add,
                            .copy = copy,
                            .rescale = rescale,
                            .drop = drop};
    TRY(sky_he_conv_run(s->plan, &ops, e));
    return flush(s, e);
}

sky_err sky_he_conv_session_run(session *s, const double *x, double *y, sky_he_conv_times *times,
                                sky_error *e)
{
    assert(s && x && y);
    sky_he_conv_times t = {0};
    double began = sky_he_cpu_seconds();
    sky_err err = encrypt(s, x, e);
    t.encrypt_s = sky_he_cpu_seconds() - began;
    s->n_pending = 0;
    s->op = 0;
    memset(s->part_s, 0, sizeof s->part_s);
    sky_he_eval_reset_counts(s->ev);
    if (err == SKY_OK) {
        began = sky_he_cpu_seconds();
        err = play(s, e);
        t.total_s = sky_he_cpu_seconds() - began;
        memcpy(t.part_s, s->part_s, sizeof t.part_s);
    }
    if (err == SKY_OK) {
        began = sky_he_cpu_seconds();
        err = decrypt(s, y, e);
        t.decrypt_s = sky_he_cpu_seconds() - began;
    }
    for (int32_t k = 0; k < s->registers; k++) {
        sky__he_session_give(s, &s->reg[k].ct);
        s->reg[k].fold_step = 0;
        sky__he_session_give(s, &s->raised[k]);
    }
    if (err == SKY_OK && times)
        *times = t;
    return err;
}

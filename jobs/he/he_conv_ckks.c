/* The CKKS back end of convolution programs. See he_conv_ckks.h.
 *
 * Products into one sum are collected and done by one sky_he_dot_plain(). With double hoisting, rotated
 * inputs and sums of products are extended ciphertexts; a giant step is then sky_he_rotate_fold() into its
 * row: rotate() only notes it, add() does it. */
#include "jobs/he/he_conv_ckks.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *const sky_he_hoisting_names[SKY_HE_HOISTINGS + 1] = {
    [SKY_HE_HOISTING_NONE] = "none",
    [SKY_HE_HOISTING_SINGLE] = "single",
    [SKY_HE_HOISTING_DOUBLE] = "double",
};

typedef struct ct_register {
    sky_he_ct *ct; /* NULL: empty */
    int32_t
        fold_step; /* not 0: an extended ciphertext that is still to be rotated, when it is added */
} ct_register;

struct sky_he_conv_session {
    const sky_he_ctx *ctx;
    const sky_he_conv_plan *plan;
    const double *weights;
    sky_he_conv_ckks_options o;
    uint32_t level; /* of the inputs */

    sky_he_secret *secret;
    sky_he_public *public_key;
    sky_he_keys *keys[SKY_HE_DEPTH_MAX + 1]; /* of rotations first needed after k rescales */
    uint8_t *keys_of;                        /* [slots] which of them has a step */
    sky_he_eval *ev;
    sky_he_hoist *hoist;

    ct_register *reg;
    int32_t registers;
    sky_he_ct **raised; /* [n_in] inputs in extended form */
    sky_he_ct **spare;  /* ciphertexts that nobody uses now */
    int32_t n_spare, cap_spare;

    sky_he_pt **cache; /* [factors] or NULL */
    int64_t n_cached;
    double *slots;
    double encode_s;

    /* products that wait to be added to reg[acc] */
    int32_t acc, n_pending;
    const sky_he_ct *source[SKY_HE_DOT_MAX];
    const sky_he_pt *factor[SKY_HE_DOT_MAX];
    sky_he_pt *encoded[SKY_HE_DOT_MAX]; /* room for factors that are not kept */
};

typedef sky_he_conv_session session;

#define TRY(call)                                                                                  \
    do {                                                                                           \
        sky_err err_ = (call);                                                                     \
        if (err_ != SKY_OK)                                                                        \
            return err_;                                                                           \
    } while (0)

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

/* --- ciphertexts --- */

static bool is_double(const session *s)
{
    return s->o.hoisting == SKY_HE_HOISTING_DOUBLE;
}

static sky_err take(session *s, sky_he_ct **out, sky_error *e)
{
    if (s->n_spare > 0) {
        *out = s->spare[--s->n_spare];
        return SKY_OK;
    }
    return sky_he_ct_new(out, s->ctx, (sky_he_shape){.level = s->level, .extended = is_double(s)},
                         e);
}

static void give(session *s, sky_he_ct **ct)
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
    return is_double(s) && !f->select;
}

static sky_err encode(session *s, sky_he_pt *out, const sky_he_factor *f, sky_error *e)
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
    const double start = sky_he_cpu_seconds();
    sky_err err = encode(s, s->encoded[s->n_pending], f, e);
    s->encode_s += sky_he_cpu_seconds() - start;
    *out = s->encoded[s->n_pending];
    return err;
}

/* --- the operations --- */

static sky_err flush(session *s, sky_error *e)
{
    if (s->n_pending == 0)
        return SKY_OK;
    sky_he_ct *sum = NULL;
    TRY(take(s, &sum, e));
    sky_err err = sky_he_dot_plain(s->ev, sum, s->source, s->factor, (size_t)s->n_pending, e);
    s->n_pending = 0;
    sky_he_ct **acc = &s->reg[s->acc].ct;
    if (err == SKY_OK && !*acc) {
        *acc = sum;
        return SKY_OK;
    }
    if (err == SKY_OK)
        err = sky_he_add(s->ev, *acc, *acc, sum, e);
    give(s, &sum);
    return err;
}

static sky_err hoist(void *self, int32_t src, sky_error *e)
{
    session *s = self;
    TRY(flush(s, e));
    if (s->o.hoisting == SKY_HE_HOISTING_NONE)
        return SKY_OK;
    return sky_he_hoist_set(s->ev, s->hoist, s->reg[src].ct, e);
}

static sky_err unhoist(void *self, int32_t src, sky_error *e)
{
    session *s = self;
    TRY(flush(s, e));
    give(s, &s->raised[src]);
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
    if (kind == SKY_HE_ROTATE_FULL || s->o.hoisting == SKY_HE_HOISTING_NONE)
        return sky_he_rotate(s->ev, to->ct, from->ct, step, e);
    return is_double(s) ? sky_he_rotate_lazy(s->ev, to->ct, s->hoist, step, e)
                        : sky_he_rotate_hoisted(s->ev, to->ct, s->hoist, step, e);
}

/* An input itself as one of the factors of extended products. */
static sky_err raise_input(session *s, int32_t q, const sky_he_ct **out, sky_error *e)
{
    assert(q < s->plan->n_in);
    if (!s->raised[q]) {
        TRY(take(s, &s->raised[q], e));
        TRY(sky_he_mod_up(s->ev, s->raised[q], s->reg[q].ct, e));
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
    if (!acc->ct) { /* nothing there yet: a zero of the same form */
        TRY(take(s, &acc->ct, e));
        TRY(sky_he_sub(s->ev, acc->ct, from->ct, from->ct, e));
    }
    sky_he_eval_set_keys(s->ev, s->keys[s->keys_of[from->fold_step]]);
    return sky_he_rotate_fold(s->ev, acc->ct, from->ct, from->fold_step, e);
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
        TRY(sky_he_add(s->ev, to->ct, to->ct, from->ct, e));
    }
    give(s, &from->ct);
    return SKY_OK;
}

static sky_err copy(void *self, int32_t dst, int32_t src, sky_error *e)
{
    session *s = self;
    TRY(flush(s, e));
    TRY(take(s, &s->reg[dst].ct, e));
    return sky_he_copy(s->ev, s->reg[dst].ct, s->reg[src].ct, e);
}

static sky_err rescale(void *self, int32_t reg, sky_error *e)
{
    session *s = self;
    TRY(flush(s, e));
    sky_he_ct *ct = s->reg[reg].ct;
    return is_extended(ct) ? sky_he_mod_down_rescale(s->ev, ct, ct, e)
                           : sky_he_rescale(s->ev, ct, ct, e);
}

static sky_err drop(void *self, int32_t reg, sky_error *e)
{
    session *s = self;
    TRY(flush(s, e));
    give(s, &s->reg[reg].ct);
    return SKY_OK;
}

/* --- a session --- */

void sky_he_conv_session_free(session *s)
{
    if (!s)
        return;
    for (int32_t k = 0; s->reg && k < s->registers; k++)
        sky_he_ct_free(s->reg[k].ct);
    for (int32_t k = 0; s->raised && k < s->plan->n_in; k++)
        sky_he_ct_free(s->raised[k]);
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
    s->cap_spare = s->registers + p->n_in;
    s->reg = calloc((size_t)s->registers, sizeof *s->reg);
    s->raised = calloc((size_t)p->n_in, sizeof *s->raised);
    s->spare = calloc((size_t)s->cap_spare, sizeof *s->spare);
    s->keys_of = calloc((size_t)p->slots, 1);
    s->slots = calloc((size_t)p->slots, sizeof *s->slots);
    if (!s->reg || !s->raised || !s->spare || !s->keys_of || !s->slots)
        return no_memory(e);
    const sky_he_shape shape = {.level = s->level, .extended = is_double(s)};
    for (int k = 0; k < SKY_HE_DOT_MAX; k++)
        TRY(sky_he_pt_new(&s->encoded[k], s->ctx, shape, e));
    TRY(sky_he_secret_new(&s->secret, s->ctx, e));
    TRY(sky_he_public_new(&s->public_key, s->secret, e));
    TRY(sky_he_eval_new(&s->ev, s->ctx, e));
    return sky_he_hoist_new(&s->hoist, s->ctx, s->level, e);
}

/* Encodes factors ahead, in the order of their numbers, while there is room. */
static sky_err fill_cache(session *s, sky_error *e)
{
    const sky_he_conv_plan *p = s->plan;
    const size_t each = sky_he_pt_bytes(s->ctx, s->level, is_double(s));
    if (s->o.cache_bytes < each)
        return SKY_OK;
    s->cache = calloc((size_t)sky_he_conv_factors(p), sizeof *s->cache);
    if (!s->cache)
        return no_memory(e);
    const int64_t most = (int64_t)(s->o.cache_bytes / each);
    const sky_he_shape shape = {.level = s->level, .extended = is_double(s)};
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
        TRY(encode(s, s->cache[f.id], &f, e));
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
    double start = sky_he_cpu_seconds();
    sky_err err = encrypt(s, x, e);
    t.encrypt_s = sky_he_cpu_seconds() - start;
    s->n_pending = 0;
    s->encode_s = 0;
    sky_he_eval_reset_counts(s->ev);
    if (err == SKY_OK) {
        start = sky_he_cpu_seconds();
        err = play(s, e);
        t.total_s = sky_he_cpu_seconds() - start;
        t.encode_s = s->encode_s;
    }
    if (err == SKY_OK) {
        start = sky_he_cpu_seconds();
        err = decrypt(s, y, e);
        t.decrypt_s = sky_he_cpu_seconds() - start;
    }
    for (int32_t k = 0; k < s->registers; k++) {
        give(s, &s->reg[k].ct);
        s->reg[k].fold_step = 0;
    }
    for (int32_t q = 0; q < s->plan->n_in; q++)
        give(s, &s->raised[q]);
    if (err == SKY_OK && times)
        *times = t;
    return err;
}

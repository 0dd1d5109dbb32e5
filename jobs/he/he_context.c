/* Contexts: every constant that depends on the parameters only. Also plaintexts, ciphertexts and
 * evaluators, which are memory of sizes that the context knows. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "jobs/he/he_internal.h"

/* ---- Bases ---- */

static sky_err basis_init(he_basis *b, const sky_he_ctx *ctx, const uint32_t *primes,
                          uint32_t count)
{
    assert(count <= HE_CONVERT_MAX);
    b->count = count;
    b->to = he_alloc(ctx->total, sizeof *b->to);
    b->d_inv = he_alloc(ctx->total, sizeof *b->d_inv);
    if (!b->to || !b->d_inv)
        return SKY_ENOMEM;
    memcpy(b->prime, primes, count * sizeof *primes);
    for (uint32_t t = 0; t < ctx->total; t++) { /* modulo every prime; t may be in the basis */
        const he_modulus *m = he_mod(ctx, t);
        he_convert *c = &b->to[t];
        uint64_t d = 1, hat[HE_CONVERT_MAX];
        for (uint32_t i = 0; i < count; i++)
            d = he_mul(d, ctx->q[primes[i]] % m->q, m);
        c->count = count;
        c->d = count == 1 ? ctx->q[primes[0]] : 0;
        for (uint32_t i = 0; i < count; i++) {
            hat[i] = 1;
            for (uint32_t j = 0; j < count; j++)
                hat[i] = j == i ? hat[i] : he_mul(hat[i], ctx->q[primes[j]] % m->q, m);
            c->hat[i] = he_factor_of(hat[i], m->q);
            c->d_inv[i] = 1.0 / (double)ctx->q[primes[i]];
            if (primes[i] == t)
                b->hat_inv[i] = he_factor_of(he_inverse(hat[i], m), m->q);
        }
        c->minus_d = he_factor_of(d ? m->q - d : 0, m->q);
        if (d)
            b->d_inv[t] = he_factor_of(he_inverse(d, m), m->q);
    }
    return SKY_OK;
}

static void basis_fini(he_basis *b)
{
    free(b->to);
    free(b->d_inv);
}

static sky_err bases_init(sky_he_ctx *ctx)
{
    uint32_t primes[HE_CONVERT_MAX], k = ctx->n_special;
    sky_err err = SKY_OK;
    for (uint32_t i = 0; i < k; i++)
        primes[1 + i] = ctx->n_data + i;
    err = basis_init(&ctx->special, ctx, primes + 1, k);
    for (uint32_t i = 0; i < ctx->n_data && !err; i++) {
        primes[0] = i;
        err = basis_init(&ctx->last[i], ctx, primes, 1);
        if (!err)
            err = basis_init(&ctx->merged[i], ctx, primes, 1 + k);
    }
    for (uint32_t i = 0; i < ctx->n_data && !err; i++) {
        uint32_t first = i / ctx->alpha * ctx->alpha, count = i - first + 1;
        for (uint32_t j = 0; j < count; j++)
            primes[j] = first + j;
        err = basis_init(&ctx->digit[i], ctx, primes, count);
    }
    return err;
}

/* P >= every digit, on the numbers themselves: their logarithms, with room for rounding. Equality
 * cannot be, the primes being distinct. */
static sky_err check_special(const sky_he_ctx *ctx, sky_error *e)
{
    long double p = 0;
    for (uint32_t i = 0; i < ctx->n_special; i++)
        p += log2l((long double)ctx->q[ctx->n_data + i]);
    for (uint32_t first = 0; first < ctx->n_data; first += ctx->alpha) {
        long double digit = 0;
        for (uint32_t i = first; i < ctx->n_data && i < first + ctx->alpha; i++)
            digit += log2l((long double)ctx->q[i]);
        if (digit > p)
            return he_fail(
                e, SKY_HE_SPECIAL,
                "the special primes' product is 2^%.3Lf, a digit's 2^%.3Lf: noise would grow "
                "with their quotient; give longer special primes",
                p, digit);
    }
    return SKY_OK;
}

static sky_err tables_init(sky_he_ctx *ctx)
{
    for (uint32_t i = 0; i < ctx->total; i++) {
        he_table *t = &ctx->tables[i];
        t->m = he_modulus_of(ctx->q[i]);
        t->log2_n = ctx->log2_n;
        sky_err err = ctx->k->table_init(t, he_primitive_root(ctx->q[i], ctx->log2_n));
        if (err)
            return err;
    }
    for (uint32_t i = 0; i < ctx->n_data; i++) {
        const he_modulus *m = he_mod(ctx, i);
        uint64_t p = 1;
        for (uint32_t j = ctx->n_data; j < ctx->total; j++)
            p = he_mul(p, ctx->q[j] % m->q, m);
        ctx->p_mod[i] = he_factor_of(p, m->q);
        ctx->log2_q[i + 1] = ctx->log2_q[i] + log2((double)ctx->q[i]);
    }
    return SKY_OK;
}

static void info_fill(sky_he_ctx *ctx, const sky_he_params *p)
{
    sky_he_info *info = &ctx->info;
    info->params = *p;
    info->n = ctx->n;
    info->slots = ctx->n / 2;
    info->digits = he_digits(ctx, ctx->n_data);
    info->log2_q = ctx->log2_q[ctx->n_data];
    info->log2_qp = info->log2_q;
    for (uint32_t i = ctx->n_data; i < ctx->total; i++)
        info->log2_qp += log2((double)ctx->q[i]);
    /* Primes just above 2^b count as b bits and a little; the tables are in whole bits. */
    info->security_bits = he_security_bits(ctx->log2_n, info->log2_qp - 1e-3);
    info->insecure = info->security_bits == 0;
    info->scale = ldexp(1, (int)p->scale_bits);
}

sky_err he_ctx_new_with(sky_he_ctx **out, const sky_he_params *params, const he_kernels *kernels,
                        sky_error *e)
{
    sky_he_params p = *params;
    sky_err err = he_params_check(&p, e);
    if (err)
        return err;
    p.path = he_path_resolve(p.path);
    sky_he_ctx *ctx = calloc(1, sizeof *ctx);
    if (!ctx)
        return sky_fail(e, SKY_ENOMEM, "out of memory for a context");
    ctx->log2_n = p.log2_n;
    ctx->n = 1u << p.log2_n;
    ctx->n_data = p.n_data;
    ctx->n_special = p.n_special;
    ctx->total = p.n_data + p.n_special;
    ctx->alpha = p.digit_primes;
    ctx->k = kernels ? kernels : he_kernels_for(p.path);
    ctx->q = calloc(ctx->total, sizeof *ctx->q);
    ctx->tables = calloc(ctx->total, sizeof *ctx->tables);
    ctx->p_mod = calloc(ctx->n_data, sizeof *ctx->p_mod);
    ctx->log2_q = calloc(ctx->n_data + 1, sizeof *ctx->log2_q);
    ctx->digit = calloc(ctx->n_data, sizeof *ctx->digit);
    ctx->last = calloc(ctx->n_data, sizeof *ctx->last);
    ctx->merged = calloc(ctx->n_data, sizeof *ctx->merged);
    ctx->fft_re = calloc(ctx->n / 2, sizeof(double));
    ctx->fft_im = calloc(ctx->n / 2, sizeof(double));
    if (!ctx->q || !ctx->tables || !ctx->p_mod || !ctx->log2_q || !ctx->digit || !ctx->last ||
        !ctx->merged || !ctx->fft_re || !ctx->fft_im) {
        err = sky_fail(e, SKY_ENOMEM, "out of memory for a context");
        goto done;
    }
    if ((err = he_pick_primes(ctx->q, &p, e)) || (err = check_special(ctx, e)))
        goto done;
    if ((err = tables_init(ctx)) || (err = bases_init(ctx))) {
        sky_fail(e, err, "out of memory for a context's tables");
        goto done;
    }
    he_fft_tables(ctx->fft_re, ctx->fft_im, ctx->n / 2);
    ctx->fingerprint = he_fingerprint(ctx->q, &p);
    info_fill(ctx, &p);
    if (ctx->info.insecure && !p.insecure) {
        err = he_fail(e, SKY_HE_INSECURE, "N = 2^%u with moduli of %.1f bits; expected at most %u",
                      ctx->log2_n, ctx->info.log2_qp, sky_he_log2_qp_max(ctx->log2_n));
        goto done;
    }
    *out = ctx;
    ctx = NULL;
done:
    sky_he_ctx_free(ctx);
    return err;
}

sky_err sky_he_ctx_new(sky_he_ctx **out, const sky_he_params *params, sky_error *e)
{
    return he_ctx_new_with(out, params, NULL, e);
}

void sky_he_ctx_free(sky_he_ctx *ctx)
{
    if (!ctx)
        return;
    for (uint32_t i = 0; i < ctx->total && ctx->tables; i++) {
        free(ctx->tables[i].forward);
        free(ctx->tables[i].inverse);
    }
    he_basis *const lists[] = {ctx->digit, ctx->last, ctx->merged};
    for (int l = 0; l < 3; l++) {
        for (uint32_t i = 0; i < ctx->n_data && lists[l]; i++)
            basis_fini(&lists[l][i]);
        free(lists[l]);
    }
    basis_fini(&ctx->special);
    free(ctx->q);
    free(ctx->tables);
    free(ctx->p_mod);
    free(ctx->log2_q);
    free(ctx->fft_re);
    free(ctx->fft_im);
    free(ctx->seeded);
    free(ctx);
}

sky_he_info sky_he_ctx_info(const sky_he_ctx *ctx)
{
    return ctx->info;
}

uint64_t sky_he_ctx_prime(const sky_he_ctx *ctx, uint32_t i)
{
    assert(i < ctx->total);
    return ctx->q[i];
}

sky_err he_ctx_seed(sky_he_ctx *ctx, uint64_t seed)
{
    free(ctx->seeded);
    ctx->seeded = calloc(1, sizeof *ctx->seeded);
    if (!ctx->seeded)
        return SKY_ENOMEM;
    ctx->seeded->seed = seed;
    return SKY_OK;
}

void he_random_for(he_random *r, const sky_he_ctx *ctx)
{
    if (!ctx->seeded) {
        he_random_system(r);
        return;
    }
    uint8_t seed[HE_SEED_BYTES] = {0};
    memcpy(seed, &ctx->seeded->seed, sizeof ctx->seeded->seed);
    he_random_seeded(r, seed, atomic_fetch_add(&ctx->seeded->streams, 1));
}

/* ---- Checks ---- */

sky_err he_check_ctx(const sky_he_ctx *a, const sky_he_ctx *b, sky_error *e)
{
    return a == b ? SKY_OK
                  : he_fail(e, SKY_HE_CONTEXT, "two arguments belong to different contexts");
}

sky_err he_check_scale(const sky_he_ctx *ctx, double scale, uint32_t level, sky_error *e)
{
    if (isfinite(scale) && scale >= 1 && log2(scale) < ctx->log2_q[level] - 1)
        return SKY_OK;
    return he_fail(
        e, SKY_HE_SCALE,
        "scale 2^%.2f does not fit half of the modulus 2^%.2f at level %u; rescale first, or "
        "use a smaller scale",
        log2(scale), ctx->log2_q[level], level);
}

sky_err he_check_room(const sky_he_ct *out, sky_he_state want, const sky_he_ctx *ctx, sky_error *e)
{
    sky_err err = he_check_ctx(out->ctx, ctx, e);
    if (err)
        return err;
    uint32_t limbs = he_limbs(ctx, want.level, want.extended);
    if (limbs <= out->limbs_max && want.parts <= out->parts_max)
        return SKY_OK;
    return he_fail(
        e, SKY_HE_CAPACITY,
        "the output has room for %u parts of %u residue polynomials, the result has %u of %u",
        out->parts_max, out->limbs_max, want.parts, limbs);
}

/* ---- Plaintexts and ciphertexts ---- */

static sky_err check_shape(const sky_he_ctx *ctx, sky_he_shape *shape, sky_error *e)
{
    shape->level = shape->level ? shape->level : ctx->n_data;
    if (shape->level > ctx->n_data)
        return he_fail(e, SKY_HE_LEVELS, "level %u, expected 1 to %u", shape->level, ctx->n_data);
    return SKY_OK;
}

sky_err sky_he_pt_new(sky_he_pt **out, const sky_he_ctx *ctx, sky_he_shape shape, sky_error *e)
{
    sky_err err = check_shape(ctx, &shape, e);
    if (err)
        return err;
    sky_he_pt *pt = calloc(1, sizeof *pt);
    uint32_t limbs = he_limbs(ctx, shape.level, shape.extended);
    uint64_t *x = he_alloc((size_t)limbs * ctx->n, sizeof *x);
    if (!pt || !x) {
        free(pt);
        free(x);
        return sky_fail(e, SKY_ENOMEM, "out of memory for a plaintext of %zu bytes",
                        sky_he_pt_bytes(ctx, shape.level, shape.extended));
    }
    *pt = (sky_he_pt){.ctx = ctx, .is = {.parts = 1}, .limbs_max = limbs, .x = x};
    *out = pt;
    return SKY_OK;
}

void sky_he_pt_free(sky_he_pt *pt)
{
    if (!pt)
        return;
    explicit_bzero(pt->x, (size_t)pt->limbs_max * pt->ctx->n * sizeof *pt->x);
    free(pt->x);
    free(pt);
}

sky_err sky_he_ct_new(sky_he_ct **out, const sky_he_ctx *ctx, sky_he_shape shape, sky_error *e)
{
    sky_err err = check_shape(ctx, &shape, e);
    if (err)
        return err;
    sky_he_ct *ct = calloc(1, sizeof *ct);
    if (!ct)
        return sky_fail(e, SKY_ENOMEM, "out of memory for a ciphertext");
    ct->ctx = ctx;
    ct->limbs_max = he_limbs(ctx, shape.level, shape.extended);
    ct->parts_max = shape.three_parts ? 3 : 2;
    for (uint32_t i = 0; i < ct->parts_max; i++) {
        ct->part[i] = he_alloc((size_t)ct->limbs_max * ctx->n, sizeof(uint64_t));
        if (!ct->part[i]) {
            sky_he_ct_free(ct);
            return sky_fail(e, SKY_ENOMEM, "out of memory for a ciphertext of %zu bytes",
                            sky_he_ct_bytes(ctx, shape.level, shape.extended));
        }
    }
    *out = ct;
    return SKY_OK;
}

void sky_he_ct_free(sky_he_ct *ct)
{
    if (!ct)
        return;
    for (int i = 0; i < 3; i++)
        free(ct->part[i]);
    free(ct);
}

sky_he_state sky_he_pt_state(const sky_he_pt *pt)
{
    return pt->is;
}

sky_he_state sky_he_ct_state(const sky_he_ct *ct)
{
    return ct->is;
}

size_t sky_he_pt_bytes(const sky_he_ctx *ctx, uint32_t level, bool extended)
{
    return (size_t)he_limbs(ctx, level, extended) * ctx->n * sizeof(uint64_t);
}

size_t sky_he_ct_bytes(const sky_he_ctx *ctx, uint32_t level, bool extended)
{
    return 2 * sky_he_pt_bytes(ctx, level, extended);
}

/* ---- Evaluators ---- */

static size_t eval_words(const sky_he_ctx *ctx)
{
    return (size_t)ctx->n * (2 * ctx->n_data + he_digits(ctx, ctx->n_data) + 2 * ctx->total +
                             1 /* spare */ + 1 /* small */ + 1 /* re, im */);
}

size_t sky_he_eval_bytes(const sky_he_ctx *ctx)
{
    return eval_words(ctx) * sizeof(uint64_t);
}

sky_err sky_he_eval_new(sky_he_eval **out, const sky_he_ctx *ctx, sky_error *e)
{
    size_t n = ctx->n;
    sky_he_eval *ev = calloc(1, sizeof *ev);
    if (ev)
        ev->coefficients = he_alloc(eval_words(ctx), sizeof(uint64_t));
    if (!ev || !ev->coefficients) {
        free(ev);
        return sky_fail(e, SKY_ENOMEM, "out of memory for an evaluator of %zu bytes",
                        sky_he_eval_bytes(ctx));
    }
    ev->ctx = ctx;
    ev->digits = ev->coefficients + n * ctx->n_data;
    ev->acc[0] = ev->digits + n * he_digits(ctx, ctx->n_data);
    ev->acc[1] = ev->acc[0] + n * ctx->total;
    ev->folded = ev->acc[1] + n * ctx->total;
    ev->spare = ev->folded + n * ctx->n_data;
    ev->small = (int64_t *)(ev->spare + n);
    ev->re = (double *)(ev->small + n);
    ev->im = ev->re + n / 2;
    *out = ev;
    return SKY_OK;
}

void sky_he_eval_free(sky_he_eval *ev)
{
    if (!ev)
        return;
    explicit_bzero(ev->coefficients, sky_he_eval_bytes(ev->ctx)); /* plaintexts passed through */
    free(ev->coefficients);
    free(ev);
}

void sky_he_eval_set_keys(sky_he_eval *ev, const sky_he_keys *keys)
{
    ev->keys = keys;
}

sky_he_counts sky_he_eval_counts(const sky_he_eval *ev)
{
    return ev->counts;
}

void sky_he_eval_reset_counts(sky_he_eval *ev)
{
    ev->counts = (sky_he_counts){0};
}

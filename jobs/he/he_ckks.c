/* Encryption, decryption and the arithmetic that needs no key. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/he/he_internal.h"

static size_t limb_bytes(const sky_he_ctx *ctx)
{
    return (size_t)ctx->n * sizeof(uint64_t);
}

static void add_limbs(const sky_he_ctx *ctx, uint64_t *out, const uint64_t *x, const uint64_t *y,
                      sky_he_state s)
{
    for (uint32_t r = 0; r < he_limbs(ctx, s.level, s.extended); r++)
        ctx->k->add(he_limb(ctx, out, r), he_climb(ctx, x, r), he_climb(ctx, y, r), ctx->n,
                    he_mod(ctx, he_prime_at(ctx, s.level, r)));
}

static sky_err check_full(const sky_he_ct *a, const sky_he_eval *ev, sky_error *e)
{
    sky_err err = he_check_ctx(a->ctx, ev->ctx, e);
    if (!err && !a->is.level)
        return he_fail(e, SKY_HE_FORM, "the ciphertext is empty");
    return err;
}

static sky_err check_pair(sky_he_state a, sky_he_state b, sky_error *e)
{
    if (a.level != b.level)
        return he_fail(e, SKY_HE_LEVELS, "operands have levels %u and %u", a.level, b.level);
    if (a.extended != b.extended)
        return he_fail(e, SKY_HE_FORM, "one operand is extended, the other is not");
    return SKY_OK;
}

sky_err he_check_sum(sky_he_state a, sky_he_state b, sky_error *e)
{
    sky_err err = check_pair(a, b, e);
    if (!err && fabs(a.scale / b.scale - 1) > 0x1p-40)
        return he_fail(e, SKY_HE_SCALES, "operands have scales 2^%.9f and 2^%.9f", log2(a.scale),
                       log2(b.scale));
    return err;
}

/* ---- Encryption ---- */

/* u b + e0 and u a + e1 modulo QP, divided by P: the noise left is that of the rounding (docs/he.md). */
static void encrypt_zero(sky_he_eval *ev, sky_he_ct *out, const sky_he_public *key, uint32_t level,
                         he_random *random)
{
    const sky_he_ctx *ctx = ev->ctx;
    uint64_t *u = ev->folded, *noise = ev->spare;
    int64_t *mask = ev->small, *errors = (int64_t *)ev->coefficients; /* two: digits follow */
    he_sample_ternary(random, mask, ctx->n);
    he_sample_noise(random, errors, ctx->n);
    he_sample_noise(random, errors + ctx->n, ctx->n);
    for (uint32_t r = 0; r < he_limbs(ctx, level, true); r++) {
        uint32_t i = he_prime_at(ctx, level, r);
        he_small_limb(u, ctx, mask, i);
        for (int part = 0; part < 2; part++) {
            const uint64_t *k = he_climb(ctx, part ? key->a : key->b, i), *v = u;
            uint64_t *to = he_limb(ctx, ev->acc[part], r);
            he_small_limb(noise, ctx, errors + (size_t)part * ctx->n, i);
            ctx->k->dot(to, &k, &v, 1, ctx->n, he_mod(ctx, i));
            ctx->k->add(to, to, noise, ctx->n, he_mod(ctx, i));
        }
        ev->counts.ntts += 3;
    }
    for (int part = 0; part < 2; part++)
        he_divide(ev, out->part[part], ev->acc[part], he_limb(ctx, ev->acc[part], level),
                  &ctx->special, level);
    explicit_bzero(u, limb_bytes(ctx));
    explicit_bzero(noise, limb_bytes(ctx));
    explicit_bzero(mask, limb_bytes(ctx));
    explicit_bzero(errors, 2 * limb_bytes(ctx));
}

static sky_err check_encrypt(const sky_he_eval *ev, const sky_he_ct *out, const sky_he_pt *pt,
                             const sky_he_ctx *key_ctx, sky_he_state *want, sky_error *e)
{
    sky_err err;
    if ((err = he_check_ctx(pt->ctx, ev->ctx, e)) || (err = he_check_ctx(key_ctx, ev->ctx, e)))
        return err;
    if (!pt->is.level || pt->is.extended)
        return he_fail(e, SKY_HE_FORM, "the plaintext is %s", pt->is.level ? "extended" : "empty");
    *want = pt->is;
    want->parts = 2;
    return he_check_room(out, *want, ev->ctx, e);
}

/* The message added to an encryption of zero, unless the randomness failed. */
static sky_err add_message(sky_he_ct *out, const sky_he_pt *pt, sky_he_state want,
                           he_random *random, sky_error *e)
{
    bool failed = random->failed;
    he_random_wipe(random);
    if (failed) {
        out->is.level = 0;
        return he_fail(e, SKY_HE_RANDOM, "getrandom() failed during an encryption");
    }
    add_limbs(out->ctx, out->part[0], out->part[0], pt->x, want);
    out->is = want;
    return SKY_OK;
}

sky_err sky_he_encrypt(sky_he_eval *ev, sky_he_ct *out, const sky_he_pt *pt,
                       const sky_he_public *key, sky_error *e)
{
    sky_he_state want;
    sky_err err = check_encrypt(ev, out, pt, key->ctx, &want, e);
    if (err)
        return err;
    he_random random;
    he_random_for(&random, ev->ctx);
    encrypt_zero(ev, out, key, want.level, &random);
    return add_message(out, pt, want, &random, e);
}

sky_err sky_he_encrypt_symmetric(sky_he_eval *ev, sky_he_ct *out, const sky_he_pt *pt,
                                 const sky_he_secret *secret, sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    sky_he_state want;
    sky_err err = check_encrypt(ev, out, pt, secret->ctx, &want, e);
    if (err)
        return err;
    uint8_t seed[HE_SEED_BYTES];
    he_random random;
    he_random_for(&random, ctx);
    he_random_bytes(&random, seed, sizeof seed);
    he_sample_noise(&random, ev->small, ctx->n);
    for (uint32_t i = 0; i < want.level; i++) {
        uint64_t *a = he_limb(ctx, out->part[1], i);
        he_small_limb(ev->spare, ctx, ev->small, i);
        he_expand_a(a, ctx, seed, 0, i);
        he_sample_b(he_limb(ctx, out->part[0], i), a, he_climb(ctx, secret->s, i), ev->spare, ctx,
                    i);
    }
    ev->counts.ntts += want.level;
    explicit_bzero(ev->small, limb_bytes(ctx));
    explicit_bzero(ev->spare, limb_bytes(ctx));
    return add_message(out, pt, want, &random, e);
}

sky_err sky_he_decrypt(sky_he_eval *ev, sky_he_pt *out, const sky_he_ct *ct,
                       const sky_he_secret *secret, sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    sky_err err;
    if ((err = check_full(ct, ev, e)) || (err = he_check_ctx(out->ctx, ctx, e)) ||
        (err = he_check_ctx(secret->ctx, ctx, e)))
        return err;
    if (ct->is.extended)
        return he_fail(e, SKY_HE_FORM, "the ciphertext is extended; divide by P first");
    if (ct->is.level > out->limbs_max)
        return he_fail(e, SKY_HE_CAPACITY,
                       "the plaintext has room for %u residue polynomials, not %u", out->limbs_max,
                       ct->is.level);
    for (uint32_t r = 0; r < ct->is.level; r++) { /* Horner in s */
        const uint64_t *s = he_climb(ctx, secret->s, r);
        uint64_t *sum = ev->spare, *to = he_limb(ctx, out->x, r);
        const uint64_t *product = sum;
        memcpy(sum, he_climb(ctx, ct->part[ct->is.parts - 1], r), limb_bytes(ctx));
        for (uint32_t p = ct->is.parts - 1; p-- > 0;) {
            ctx->k->dot(to, &product, &s, 1, ctx->n, he_mod(ctx, r));
            ctx->k->add(sum, to, he_climb(ctx, ct->part[p], r), ctx->n, he_mod(ctx, r));
        }
        memcpy(to, sum, limb_bytes(ctx));
    }
    out->is = ct->is;
    out->is.parts = 1;
    return SKY_OK;
}

/* ---- Sums ---- */

typedef void (*limb_op)(uint64_t *out, const uint64_t *x, const uint64_t *y, size_t n,
                        const he_modulus *m);

/* Parts that only one operand has: copied, or negated when subtracted. */
static void lone_part(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, uint32_t part,
                      bool negate)
{
    const sky_he_ctx *ctx = ev->ctx;
    memset(ev->spare, 0, limb_bytes(ctx));
    for (uint32_t r = 0; r < he_limbs(ctx, a->is.level, a->is.extended); r++) {
        const he_modulus *m = he_mod(ctx, he_prime_at(ctx, a->is.level, r));
        const uint64_t *x = he_climb(ctx, a->part[part], r);
        uint64_t *to = he_limb(ctx, out->part[part], r);
        if (negate)
            ctx->k->sub(to, ev->spare, x, ctx->n, m);
        else
            memmove(to, x, limb_bytes(ctx));
    }
}

static sky_err combine(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, const sky_he_ct *b,
                       bool subtract, sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    sky_he_state want = a->is;
    want.parts = a->is.parts > b->is.parts ? a->is.parts : b->is.parts;
    sky_err err;
    if ((err = check_full(a, ev, e)) || (err = check_full(b, ev, e)) ||
        (err = he_check_sum(a->is, b->is, e)) || (err = he_check_room(out, want, ctx, e)))
        return err;
    limb_op op = subtract ? ctx->k->sub : ctx->k->add;
    for (uint32_t part = 0; part < want.parts; part++) {
        if (part >= a->is.parts) {
            lone_part(ev, out, b, part, subtract);
        } else if (part >= b->is.parts) {
            lone_part(ev, out, a, part, false);
        } else {
            for (uint32_t r = 0; r < he_limbs(ctx, want.level, want.extended); r++)
                op(he_limb(ctx, out->part[part], r), he_climb(ctx, a->part[part], r),
                   he_climb(ctx, b->part[part], r), ctx->n,
                   he_mod(ctx, he_prime_at(ctx, want.level, r)));
        }
    }
    out->is = want;
    ev->counts.additions++;
    return SKY_OK;
}

sky_err sky_he_add(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, const sky_he_ct *b,
                   sky_error *e)
{
    return combine(ev, out, a, b, false, e);
}

sky_err sky_he_sub(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, const sky_he_ct *b,
                   sky_error *e)
{
    return combine(ev, out, a, b, true, e);
}

sky_err sky_he_neg(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, sky_error *e)
{
    sky_err err;
    if ((err = check_full(a, ev, e)) || (err = he_check_room(out, a->is, ev->ctx, e)))
        return err;
    for (uint32_t part = 0; part < a->is.parts; part++)
        lone_part(ev, out, a, part, true);
    out->is = a->is;
    return SKY_OK;
}

sky_err sky_he_copy(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, sky_error *e)
{
    sky_err err;
    if ((err = check_full(a, ev, e)) || (err = he_check_room(out, a->is, ev->ctx, e)))
        return err;
    for (uint32_t part = 0; part < a->is.parts; part++)
        lone_part(ev, out, a, part, false);
    out->is = a->is;
    return SKY_OK;
}

sky_err sky_he_drop(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, uint32_t level,
                    sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    sky_he_state want = a->is;
    want.level = level;
    sky_err err;
    if ((err = check_full(a, ev, e)))
        return err;
    if (a->is.extended)
        return he_fail(e, SKY_HE_FORM, "the ciphertext is extended; divide by P first");
    if (level < 1 || level > a->is.level)
        return he_fail(e, SKY_HE_LEVEL, "cannot drop from level %u to %u", a->is.level, level);
    if ((err = he_check_scale(ctx, a->is.scale, level, e)) ||
        (err = he_check_room(out, want, ctx, e)))
        return err;
    for (uint32_t part = 0; part < want.parts; part++)
        memmove(out->part[part], a->part[part], level * limb_bytes(ctx));
    out->is = want;
    return SKY_OK;
}

/* An extended ciphertext stands for P times its message, and so must the plaintext; that is P times a
 * plaintext modulo QP, zero modulo the special primes. */
static void add_plain_extended(sky_he_eval *ev, uint64_t *out, const uint64_t *a,
                               const sky_he_pt *b)
{
    const sky_he_ctx *ctx = ev->ctx;
    for (uint32_t r = 0; r < b->is.level; r++) {
        ctx->k->scale(ev->spare, he_climb(ctx, b->x, r), ctx->p_mod[r], ctx->n, he_mod(ctx, r));
        ctx->k->add(he_limb(ctx, out, r), he_climb(ctx, a, r), ev->spare, ctx->n, he_mod(ctx, r));
    }
}

sky_err sky_he_add_plain(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, const sky_he_pt *b,
                         sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    sky_err err;
    if ((err = check_full(a, ev, e)) || (err = he_check_ctx(b->ctx, ctx, e)) ||
        (err = he_check_sum(a->is, b->is, e)) || (err = he_check_room(out, a->is, ctx, e)))
        return err;
    for (uint32_t part = a->is.extended ? 0 : 1; part < a->is.parts; part++)
        lone_part(ev, out, a, part, false);
    if (a->is.extended)
        add_plain_extended(ev, out->part[0], a->part[0], b);
    else
        add_limbs(ctx, out->part[0], a->part[0], b->x, a->is);
    out->is = a->is;
    ev->counts.additions++;
    return SKY_OK;
}

/* ---- Products ---- */

/* The product of two scales at the level and form of a, checked. An extended one has the room of Q too:
 * the factor P is in its message already. */
static sky_err product_scale(const sky_he_ctx *ctx, sky_he_state a, sky_he_state b, double *scale,
                             sky_error *e)
{
    sky_err err = check_pair(a, b, e);
    *scale = a.scale * b.scale;
    return err ? err : he_check_scale(ctx, *scale, a.level, e);
}

sky_err sky_he_mul_plain(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, const sky_he_pt *b,
                         sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    sky_he_state want = a->is;
    sky_err err;
    if ((err = check_full(a, ev, e)) || (err = he_check_ctx(b->ctx, ctx, e)) ||
        (err = product_scale(ctx, a->is, b->is, &want.scale, e)) ||
        (err = he_check_room(out, want, ctx, e)))
        return err;
    for (uint32_t part = 0; part < want.parts; part++) {
        for (uint32_t r = 0; r < he_limbs(ctx, want.level, want.extended); r++) {
            const uint64_t *x = he_climb(ctx, a->part[part], r), *y = he_climb(ctx, b->x, r);
            ctx->k->dot(he_limb(ctx, out->part[part], r), &x, &y, 1, ctx->n,
                        he_mod(ctx, he_prime_at(ctx, want.level, r)));
        }
    }
    out->is = want;
    ev->counts.plain_products++;
    return SKY_OK;
}

enum { DOT_MAX = 64 }; /* terms per pass, so that their pointers fit the stack */

static sky_err check_dot(sky_he_eval *ev, const sky_he_ct *out, const sky_he_ct *const *a,
                         const sky_he_pt *const *b, size_t n, sky_he_state *want, sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    sky_err err = SKY_OK;
    for (size_t i = 0; i < n && !err; i++) {
        sky_he_state s = a[i]->is;
        assert(out != a[i]);
        if ((err = check_full(a[i], ev, e)) || (err = he_check_ctx(b[i]->ctx, ctx, e)) ||
            (err = product_scale(ctx, a[i]->is, b[i]->is, &s.scale, e)))
            return err;
        if (s.parts != 2)
            return he_fail(e, SKY_HE_FORM, "term %zu has three parts; relinearise first", i);
        if (i == 0)
            *want = s;
        else
            err = he_check_sum(*want, s, e);
    }
    return err ? err : he_check_room(out, *want, ctx, e);
}

/* One limb of one part, in passes of DOT_MAX terms. */
static void dot_limb(sky_he_eval *ev, uint64_t *to, const sky_he_ct *const *a,
                     const sky_he_pt *const *b, size_t n, uint32_t part, uint32_t r,
                     const he_modulus *m)
{
    const sky_he_ctx *ctx = ev->ctx;
    for (size_t from = 0; from < n; from += DOT_MAX) {
        const uint64_t *x[DOT_MAX], *y[DOT_MAX];
        size_t terms = n - from < DOT_MAX ? n - from : DOT_MAX;
        for (size_t i = 0; i < terms; i++) {
            x[i] = he_climb(ctx, a[from + i]->part[part], r);
            y[i] = he_climb(ctx, b[from + i]->x, r);
        }
        ctx->k->dot(from ? ev->spare : to, x, y, terms, ctx->n, m);
        if (from)
            ctx->k->add(to, to, ev->spare, ctx->n, m);
    }
}

sky_err sky_he_dot_plain(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *const *a,
                         const sky_he_pt *const *b, size_t n, sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    sky_he_state want = {0};
    assert(n > 0);
    sky_err err = check_dot(ev, out, a, b, n, &want, e);
    if (err)
        return err;
    for (uint32_t part = 0; part < 2; part++) {
        for (uint32_t r = 0; r < he_limbs(ctx, want.level, want.extended); r++)
            dot_limb(ev, he_limb(ctx, out->part[part], r), a, b, n, part, r,
                     he_mod(ctx, he_prime_at(ctx, want.level, r)));
    }
    out->is = want;
    ev->counts.plain_products += n;
    ev->counts.additions += n - 1;
    return SKY_OK;
}

sky_err sky_he_mul(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, const sky_he_ct *b,
                   sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    sky_he_state want = a->is;
    want.parts = 3;
    assert(out != a && out != b);
    sky_err err;
    if ((err = check_full(a, ev, e)) || (err = check_full(b, ev, e)) ||
        (err = product_scale(ctx, a->is, b->is, &want.scale, e)))
        return err;
    if (a->is.extended || a->is.parts != 2 || b->is.parts != 2)
        return he_fail(e, SKY_HE_FORM, "factors must have two parts and not be extended");
    if ((err = he_check_room(out, want, ctx, e)))
        return err;
    for (uint32_t r = 0; r < want.level; r++) {
        const uint64_t *x[2] = {he_climb(ctx, a->part[0], r), he_climb(ctx, a->part[1], r)};
        const uint64_t *y[2] = {he_climb(ctx, b->part[1], r), he_climb(ctx, b->part[0], r)};
        ctx->k->dot(he_limb(ctx, out->part[0], r), &x[0], &y[1], 1, ctx->n, he_mod(ctx, r));
        ctx->k->dot(he_limb(ctx, out->part[1], r), x, y, 2, ctx->n, he_mod(ctx, r));
        ctx->k->dot(he_limb(ctx, out->part[2], r), &x[1], &y[0], 1, ctx->n, he_mod(ctx, r));
    }
    out->is = want;
    ev->counts.products++;
    return SKY_OK;
}

/* ---- Divisions ---- */

/* Divides every part by the product D of `basis`, the last limbs. */
static void divide_parts(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, const he_basis *basis,
                         sky_he_state want)
{
    for (uint32_t part = 0; part < want.parts; part++)
        he_divide(ev, out->part[part], a->part[part], ev->acc[0], basis, want.level);
    out->is = want;
}

static sky_err check_rescale(const sky_he_ctx *ctx, const sky_he_ct *a, sky_he_state *want,
                             sky_error *e)
{
    if (a->is.level < 2)
        return he_fail(e, SKY_HE_LEVEL, "one prime is left: nothing to divide by");
    want->level--;
    want->scale /= (double)ctx->q[want->level];
    return he_check_scale(ctx, want->scale, want->level, e);
}

sky_err sky_he_rescale(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    sky_he_state want = a->is;
    sky_err err = check_full(a, ev, e);
    if (err)
        return err;
    if (a->is.extended)
        return he_fail(e, SKY_HE_FORM, "the ciphertext is extended; use mod_down_rescale");
    if ((err = check_rescale(ctx, a, &want, e)) || (err = he_check_room(out, want, ctx, e)))
        return err;
    divide_parts(ev, out, a, &ctx->last[want.level], want);
    ev->counts.rescales++;
    return SKY_OK;
}

static sky_err check_extended(const sky_he_ct *a, const sky_he_eval *ev, sky_error *e)
{
    sky_err err = check_full(a, ev, e);
    if (!err && !a->is.extended)
        return he_fail(e, SKY_HE_FORM, "the ciphertext is not extended");
    return err;
}

sky_err sky_he_mod_down(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, sky_error *e)
{
    sky_he_state want = a->is;
    want.extended = false;
    sky_err err;
    if ((err = check_extended(a, ev, e)) || (err = he_check_room(out, want, ev->ctx, e)))
        return err;
    divide_parts(ev, out, a, &ev->ctx->special, want);
    ev->counts.mod_downs++;
    return SKY_OK;
}

sky_err sky_he_mod_down_rescale(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, sky_error *e)
{
    sky_he_state want = a->is;
    want.extended = false;
    sky_err err;
    if ((err = check_extended(a, ev, e)) || (err = check_rescale(ev->ctx, a, &want, e)) ||
        (err = he_check_room(out, want, ev->ctx, e)))
        return err;
    divide_parts(ev, out, a, &ev->ctx->merged[want.level], want);
    ev->counts.mod_downs++;
    ev->counts.rescales++;
    return SKY_OK;
}

sky_err sky_he_mod_up(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    sky_he_state want = a->is;
    want.extended = true;
    sky_err err = check_full(a, ev, e);
    if (err)
        return err;
    if (a->is.extended)
        return he_fail(e, SKY_HE_FORM, "the ciphertext is extended already");
    if ((err = he_check_room(out, want, ctx, e)))
        return err;
    for (uint32_t part = 0; part < want.parts; part++) {
        for (uint32_t r = 0; r < want.level; r++)
            ctx->k->scale(he_limb(ctx, out->part[part], r), he_climb(ctx, a->part[part], r),
                          ctx->p_mod[r], ctx->n, he_mod(ctx, r));
        memset(he_limb(ctx, out->part[part], want.level), 0, ctx->n_special * limb_bytes(ctx));
    }
    out->is = want;
    return SKY_OK;
}

/* Residues between sets of primes: division with rounding (ModDown, rescale, both at once), and the
 * digits of a key switch (ModUp). Everything that is raised is centred first: digits in [0, q) have
 * the mean q/2, an all-ones polynomial, whose value peaks at the slot next to 1 (docs/he.md). */
#include <string.h>

#include "jobs/he/he_internal.h"

/* Coefficients of one limb, times a factor unless it is 1. */
static void to_coefficients(sky_he_eval *ev, uint64_t *out, const uint64_t *x, uint32_t prime,
                            he_factor f)
{
    const sky_he_ctx *ctx = ev->ctx;
    if (out != x)
        memcpy(out, x, (size_t)ctx->n * sizeof *x);
    ctx->k->inverse(out, &ctx->tables[prime]);
    ev->counts.ntts++;
    if (f.w != 1)
        ctx->k->scale(out, out, f, ctx->n, he_mod(ctx, prime));
}

void he_divide_begin(sky_he_eval *ev, he_division *d, const uint64_t *last, uint64_t *scratch,
                     const he_basis *basis)
{
    d->basis = basis;
    for (uint32_t i = 0; i < basis->count; i++) {
        uint64_t *limb = he_limb(ev->ctx, scratch, i);
        to_coefficients(ev, limb, he_climb(ev->ctx, last, i), basis->prime[i], basis->hat_inv[i]);
        d->from[i] = limb;
    }
}

void he_divide_limb(sky_he_eval *ev, uint64_t *out, const uint64_t *x, const he_division *d,
                    uint32_t r, he_ahead *ahead)
{
    const sky_he_ctx *ctx = ev->ctx;
    const he_modulus *m = he_mod(ctx, r);
    uint64_t *rest = ev->spare; /* (x - [x]_D) / D */
    ctx->k->raise(rest, d->from, &d->basis->to[r], &ctx->tables[r], ahead);
    ev->counts.ntts++;
    ctx->k->sub_scale(out, x, rest, d->basis->d_inv[r], ctx->n, m);
}

void he_divide(sky_he_eval *ev, uint64_t *out, const uint64_t *x, uint64_t *scratch,
               const he_basis *basis, uint32_t keep)
{
    he_division d;
    he_ahead nothing = {NULL, NULL};
    he_divide_begin(ev, &d, he_climb(ev->ctx, x, keep), scratch, basis);
    for (uint32_t r = 0; r < keep; r++)
        he_divide_limb(ev, he_limb(ev->ctx, out, r), he_climb(ev->ctx, x, r), &d, r, &nothing);
}

/* The digit that holds data prime i, cut at the level. */
static const he_basis *digit_of(const sky_he_ctx *ctx, uint32_t level, uint32_t i)
{
    uint32_t last = i / ctx->alpha * ctx->alpha + ctx->alpha - 1;
    return &ctx->digit[last < level ? last : level - 1];
}

void he_decompose(sky_he_eval *ev, uint64_t *out, const uint64_t *x, uint32_t level)
{
    const sky_he_ctx *ctx = ev->ctx;
    for (uint32_t i = 0; i < level; i++) {
        const he_basis *b = digit_of(ctx, level, i);
        to_coefficients(ev, he_limb(ctx, out, i), he_climb(ctx, x, i), i,
                        b->hat_inv[i % ctx->alpha]);
    }
}

void he_raise(sky_he_eval *ev, uint64_t *to, const uint64_t *coefficients, uint32_t level,
              uint32_t r, he_ahead *ahead)
{
    const sky_he_ctx *ctx = ev->ctx;
    uint32_t prime = he_prime_at(ctx, level, r);
    for (uint32_t d = 0; d < he_digits(ctx, level); d++) {
        uint64_t *limb = he_limb(ctx, to, d);
        if (r < level && r / ctx->alpha == d)
            continue;
        const he_basis *b = digit_of(ctx, level, d * ctx->alpha);
        const uint64_t *from[HE_CONVERT_MAX];
        for (uint32_t i = 0; i < b->count; i++)
            from[i] = he_climb(ctx, coefficients, b->prime[i]);
        ctx->k->raise(limb, from, &b->to[prime], &ctx->tables[prime], ahead);
        ev->counts.ntts++;
    }
}

/* Hybrid key switching: relinearisation and rotations, plain, hoisted and double hoisted.
 *
 * A rotation by g of (c0, c1), which decrypts under s, is taken in this order: switch c1 to the image
 * of s under g^-1, add c0, and only then permute. The digits are multiplied as they are, and two sums
 * are permuted instead of all digits (docs/he.md). */
#include <stdlib.h>
#include <string.h>

#include "jobs/he/he_internal.h"

/* ---- Sums of products with a key ---- */

/* A key switch in progress. It goes prime by prime, so that a prime's digits and roots stay in the cache,
 * and asks memory for the next part of the key during the transforms before it is used. */
typedef struct switching {
    const he_key *key;
    uint32_t level;
    const uint64_t *x;       /* level limbs: what is switched, or NULL and ... */
    const sky_he_hoist *h;   /* ... its digits, with P times the first part to be added */
    he_ahead ahead;          /* in the key */
    he_division division[2]; /* of the two sums by P */
} switching;

/* From now on memory is asked for the key's part for limb r. Where the key is for a higher level there are
 * gaps in it, and nothing is asked for. */
static void look_ahead(const sky_he_eval *ev, switching *s, uint32_t r)
{
    const sky_he_keys *set = ev->keys;
    size_t words = (size_t)2 * ev->ctx->n * set->digits;
    s->ahead = (he_ahead){NULL, NULL};
    if (set->level == s->level && r < he_limbs(ev->ctx, s->level, true)) {
        const uint64_t *from = s->key->words + r * words;
        s->ahead = (he_ahead){(const char *)from, (const char *)(from + words)};
    }
}

/* acc = (sum of digits b_d, sum of digits a_d) modulo the prime of limb r; x: digits, N words each.
 * own: the digit that holds limb r's prime, which is not in x; NULL if it is. */
static void mac_limb(sky_he_eval *ev, const switching *s, const uint64_t *x, const uint64_t *own,
                     uint32_t r)
{
    const sky_he_ctx *ctx = ev->ctx;
    const sky_he_keys *set = ev->keys;
    uint32_t prime = he_prime_at(ctx, s->level, r);
    uint32_t in_key = r < s->level ? r : set->level + r - s->level;
    const uint64_t *digit[SKY_HE_DATA_MAX];
    uint32_t digits = he_digits(ctx, s->level);
    for (uint32_t d = 0; d < digits; d++)
        digit[d] = own && r / ctx->alpha == d ? own : he_climb(ctx, x, d);
    const uint64_t *words = s->key->words + (size_t)in_key * 2 * ctx->n * set->digits;
    ctx->k->mac(he_limb(ctx, ev->acc[0], r), he_limb(ctx, ev->acc[1], r), digit, words, digits,
                set->digits, ctx->n, he_mod(ctx, prime));
}

/* P times what is switched, modulo the prime of limb r, to ev->acc. */
static void sum_limb(sky_he_eval *ev, switching *s, uint32_t r)
{
    const sky_he_ctx *ctx = ev->ctx;
    if (s->h) {
        mac_limb(ev, s, s->h->digits + (size_t)r * he_digits(ctx, s->level) * ctx->n, NULL, r);
        if (r < s->level)
            ctx->k->add(he_limb(ctx, ev->acc[0], r), he_limb(ctx, ev->acc[0], r),
                        he_climb(ctx, s->h->c0, r), ctx->n, he_mod(ctx, r));
    } else {
        he_raise(ev, ev->digits, ev->coefficients, s->level, r, &s->ahead);
        mac_limb(ev, s, ev->digits, r < s->level ? he_climb(ctx, s->x, r) : NULL, r);
    }
    look_ahead(ev, s, r + 1);
}

/* For sums that stay modulo QP: then sum_limb() for every limb, in order. */
static switching switch_extended(sky_he_eval *ev, const he_key *key, const uint64_t *x,
                                 const sky_he_hoist *h, uint32_t level)
{
    switching s = {.key = key, .level = level, .x = x, .h = h};
    if (x)
        he_decompose(ev, ev->coefficients, x, level);
    look_ahead(ev, &s, 0);
    return s;
}

/* For sums divided by P: the special primes first; then divided_limb() for limbs 0 ... level - 1. */
static switching switch_divided(sky_he_eval *ev, const he_key *key, const uint64_t *x,
                                const sky_he_hoist *h, uint32_t level)
{
    switching s = switch_extended(ev, key, x, h, level);
    look_ahead(ev, &s, level);
    for (uint32_t r = level; r < he_limbs(ev->ctx, level, true); r++)
        sum_limb(ev, &s, r);
    look_ahead(ev, &s, 0);
    for (int part = 0; part < 2; part++) {
        uint64_t *last = he_limb(ev->ctx, ev->acc[part], level);
        he_divide_begin(ev, &s.division[part], last, last, &ev->ctx->special);
    }
    ev->counts.mod_downs++;
    return s;
}

static void divided_limb(sky_he_eval *ev, switching *s, uint32_t r)
{
    sum_limb(ev, s, r);
    if (r + 1 == s->level) /* the special primes are behind */
        s->ahead = (he_ahead){NULL, NULL};
    for (int part = 0; part < 2; part++) {
        uint64_t *sum = he_limb(ev->ctx, ev->acc[part], r);
        he_divide_limb(ev, sum, sum, &s->division[part], r, &s->ahead);
    }
}

/* ---- Checks ---- */

static sky_err check_two(const sky_he_eval *ev, const sky_he_ct *a, bool extended, sky_error *e)
{
    sky_err err = he_check_ctx(a->ctx, ev->ctx, e);
    if (err)
        return err;
    if (!a->is.level || a->is.parts != 2)
        return he_fail(e, SKY_HE_FORM, "the ciphertext %s",
                       a->is.level ? "has three parts; relinearise first" : "is empty");
    if (a->is.extended != extended)
        return he_fail(e, SKY_HE_FORM, "the ciphertext is %sextended", extended ? "not " : "");
    return SKY_OK;
}

static sky_err check_key(const sky_he_eval *ev, const he_key *key, uint32_t level, sky_error *e)
{
    (void)key;
    if (ev->keys->level >= level)
        return SKY_OK;
    return he_fail(e, SKY_HE_KEY_LEVEL, "keys are for level %u, the ciphertext has level %u",
                   ev->keys->level, level);
}

/* The key of an element other than 1. */
static sky_err find_key(const sky_he_eval *ev, uint32_t g, const char *what, int32_t step,
                        uint32_t level, const he_key **key, sky_error *e)
{
    if (ev->keys && he_check_ctx(ev->keys->ctx, ev->ctx, e))
        return SKY_ECONFLICT;
    *key = ev->keys ? he_keys_find(ev->keys, g) : NULL;
    if (!*key)
        return he_fail(e, SKY_HE_GALOIS, "%s %d is not among the %zu keys given", what, step,
                       ev->keys ? ev->keys->count : 0);
    return check_key(ev, *key, level, e);
}

/* ---- Relinearisation ---- */

sky_err sky_he_relinearise(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    sky_he_state want = a->is;
    want.parts = 2;
    sky_err err;
    if (a->is.parts == 2)
        return sky_he_copy(ev, out, a, e);
    if ((err = he_check_ctx(a->ctx, ctx, e)) || (err = he_check_room(out, want, ctx, e)))
        return err;
    if (!a->is.level || a->is.extended)
        return he_fail(e, SKY_HE_FORM, "the ciphertext is %s", a->is.level ? "extended" : "empty");
    if (ev->keys && (err = he_check_ctx(ev->keys->ctx, ctx, e)))
        return err;
    const he_key *key = ev->keys ? he_keys_find(ev->keys, 0) : NULL;
    if (!key)
        return he_fail(e, SKY_HE_RELIN, "the evaluator's keys have none");
    if ((err = check_key(ev, key, want.level, e)))
        return err;
    switching s = switch_divided(ev, key, a->part[2], NULL, want.level);
    for (uint32_t r = 0; r < want.level; r++) {
        divided_limb(ev, &s, r);
        for (uint32_t part = 0; part < 2; part++)
            ctx->k->add(he_limb(ctx, out->part[part], r), he_climb(ctx, a->part[part], r),
                        he_climb(ctx, ev->acc[part], r), ctx->n, he_mod(ctx, r));
    }
    out->is = want;
    ev->counts.relinearisations++;
    return SKY_OK;
}

/* ---- Rotations ---- */

/* Limb r of out = that of acc, permuted. */
static void permute_limb(sky_he_eval *ev, sky_he_ct *out, const he_key *key, uint32_t r)
{
    for (uint32_t part = 0; part < 2; part++)
        ev->ctx->k->permute(he_limb(ev->ctx, out->part[part], r),
                            he_climb(ev->ctx, ev->acc[part], r), key->map, ev->ctx->n);
}

static void automorphism(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, const he_key *key)
{
    const sky_he_ctx *ctx = ev->ctx;
    switching s = switch_divided(ev, key, a->part[1], NULL, a->is.level);
    for (uint32_t r = 0; r < a->is.level; r++) {
        divided_limb(ev, &s, r);
        uint64_t *sum = he_limb(ctx, ev->acc[0], r);
        ctx->k->add(sum, sum, he_climb(ctx, a->part[0], r), ctx->n, he_mod(ctx, r));
        permute_limb(ev, out, key, r); /* out may be a: its limb r is not needed any more */
    }
    out->is = a->is;
    ev->counts.rotations++;
}

sky_err sky_he_rotate(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, int32_t step,
                      sky_error *e)
{
    const he_key *key;
    uint32_t g = he_galois_of_step(ev->ctx, step);
    sky_err err;
    if ((err = check_two(ev, a, false, e)) || (err = he_check_room(out, a->is, ev->ctx, e)))
        return err;
    if (g == 1)
        return sky_he_copy(ev, out, a, e);
    if ((err = find_key(ev, g, "rotation by", step, a->is.level, &key, e)))
        return err;
    automorphism(ev, out, a, key);
    return SKY_OK;
}

sky_err sky_he_conjugate(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, sky_error *e)
{
    const he_key *key;
    sky_err err;
    if ((err = check_two(ev, a, false, e)) || (err = he_check_room(out, a->is, ev->ctx, e)) ||
        (err = find_key(ev, 2 * ev->ctx->n - 1, "conjugation, element", -1, a->is.level, &key, e)))
        return err;
    automorphism(ev, out, a, key);
    return SKY_OK;
}

/* ---- Hoisting ---- */

static size_t hoist_words(const sky_he_ctx *ctx, uint32_t level)
{
    return (size_t)ctx->n * (level + he_limbs(ctx, level, true) * he_digits(ctx, level));
}

size_t sky_he_hoist_bytes(const sky_he_ctx *ctx, uint32_t level)
{
    return hoist_words(ctx, level) * sizeof(uint64_t);
}

sky_err sky_he_hoist_new(sky_he_hoist **out, const sky_he_ctx *ctx, uint32_t level, sky_error *e)
{
    level = level ? level : ctx->n_data;
    if (level > ctx->n_data)
        return he_fail(e, SKY_HE_LEVELS, "level %u, expected 1 to %u", level, ctx->n_data);
    sky_he_hoist *h = calloc(1, sizeof *h);
    uint64_t *memory = he_alloc(hoist_words(ctx, level), sizeof *memory);
    if (!h || !memory) {
        free(h);
        free(memory);
        return sky_fail(e, SKY_ENOMEM, "out of memory for %zu bytes of digits",
                        sky_he_hoist_bytes(ctx, level));
    }
    h->ctx = ctx;
    h->level_max = level;
    h->c0 = memory;
    h->digits = memory + (size_t)level * ctx->n;
    *out = h;
    return SKY_OK;
}

void sky_he_hoist_free(sky_he_hoist *h)
{
    if (!h)
        return;
    free(h->c0);
    free(h);
}

sky_err sky_he_hoist_set(sky_he_eval *ev, sky_he_hoist *h, const sky_he_ct *a, sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    sky_err err;
    if ((err = check_two(ev, a, false, e)) || (err = he_check_ctx(h->ctx, ctx, e)))
        return err;
    if (a->is.level > h->level_max)
        return he_fail(e, SKY_HE_CAPACITY,
                       "room for digits of level %u, the ciphertext has level %u", h->level_max,
                       a->is.level);
    uint32_t level = a->is.level, digits = he_digits(ctx, level);
    he_ahead nothing = {NULL, NULL};
    he_decompose(ev, ev->coefficients, a->part[1], level);
    for (uint32_t r = 0; r < he_limbs(ctx, level, true); r++) {
        uint64_t *to = h->digits + (size_t)r * digits * ctx->n;
        he_raise(ev, to, ev->coefficients, level, r, &nothing);
        if (r < level) {
            memcpy(he_limb(ctx, to, r / ctx->alpha), he_climb(ctx, a->part[1], r),
                   (size_t)ctx->n * sizeof *to);
            ctx->k->scale(he_limb(ctx, h->c0, r), he_climb(ctx, a->part[0], r), ctx->p_mod[r],
                          ctx->n, he_mod(ctx, r));
        }
    }
    h->is = a->is;
    ev->counts.hoists++;
    return SKY_OK;
}

/* Step 0: the digit of limb r's own prime is that limb of c1. */
static void unrotated(sky_he_eval *ev, sky_he_ct *out, const sky_he_hoist *h, sky_he_state want)
{
    const sky_he_ctx *ctx = ev->ctx;
    uint32_t digits = he_digits(ctx, want.level);
    for (uint32_t r = 0; r < want.level; r++) {
        const he_modulus *m = he_mod(ctx, r);
        const uint64_t *c1 = h->digits + ((size_t)r * digits + r / ctx->alpha) * ctx->n;
        he_factor p_inv = ctx->special.d_inv[r], one = he_factor_of(1, m->q);
        ctx->k->scale(he_limb(ctx, out->part[0], r), he_climb(ctx, h->c0, r),
                      want.extended ? one : p_inv, ctx->n, m);
        ctx->k->scale(he_limb(ctx, out->part[1], r), c1, want.extended ? ctx->p_mod[r] : one,
                      ctx->n, m);
    }
    for (uint32_t part = 0; part < 2 && want.extended; part++)
        memset(he_limb(ctx, out->part[part], want.level), 0,
               (size_t)ctx->n_special * ctx->n * sizeof(uint64_t));
    out->is = want;
}

static sky_err hoisted(sky_he_eval *ev, sky_he_ct *out, const sky_he_hoist *h, int32_t step,
                       bool lazy, sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    sky_he_state want = h->is;
    want.extended = lazy;
    uint32_t g = he_galois_of_step(ctx, step);
    const he_key *key = NULL;
    sky_err err = he_check_ctx(h->ctx, ctx, e);
    if (err)
        return err;
    if (!want.level)
        return he_fail(e, SKY_HE_FORM, "no ciphertext was decomposed yet");
    if ((err = he_check_room(out, want, ctx, e)))
        return err;
    if (g != 1 && (err = find_key(ev, g, "rotation by", step, want.level, &key, e)))
        return err;
    if (g == 1) {
        unrotated(ev, out, h, want);
        return SKY_OK;
    }
    switching s = lazy ? switch_extended(ev, key, NULL, h, want.level)
                       : switch_divided(ev, key, NULL, h, want.level);
    for (uint32_t r = 0; r < he_limbs(ctx, want.level, lazy); r++) {
        if (lazy)
            sum_limb(ev, &s, r);
        else
            divided_limb(ev, &s, r);
        permute_limb(ev, out, key, r); /* at once, while it is in the cache */
    }
    out->is = want;
    *(lazy ? &ev->counts.rotations_lazy : &ev->counts.rotations_hoisted) += 1;
    return SKY_OK;
}

sky_err sky_he_rotate_hoisted(sky_he_eval *ev, sky_he_ct *out, const sky_he_hoist *h, int32_t step,
                              sky_error *e)
{
    return hoisted(ev, out, h, step, false, e);
}

sky_err sky_he_rotate_lazy(sky_he_eval *ev, sky_he_ct *out, const sky_he_hoist *h, int32_t step,
                           sky_error *e)
{
    return hoisted(ev, out, h, step, true, e);
}

/* ---- Giant steps, summed before the division ---- */

sky_err sky_he_rotate_fold(sky_he_eval *ev, sky_he_ct *acc, const sky_he_ct *a, int32_t step,
                           sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    uint32_t g = he_galois_of_step(ctx, step);
    const he_key *key;
    sky_err err;
    assert(acc != a);
    if ((err = check_two(ev, a, true, e)))
        return err;
    if (g == 1)
        return sky_he_add(ev, acc, acc, a, e);
    if ((err = find_key(ev, g, "rotation by", step, a->is.level, &key, e)) ||
        (err = he_check_sum(acc->is, a->is, e)))
        return err;
    uint32_t level = a->is.level, limbs = he_limbs(ctx, level, true);
    uint64_t *c1 = ev->folded;
    he_divide(ev, c1, a->part[1], ev->acc[1], &ctx->special, level);
    switching s = switch_extended(ev, key, c1, NULL, level);
    for (uint32_t r = 0; r < limbs; r++) {
        sum_limb(ev, &s, r);
        const he_modulus *m = he_mod(ctx, he_prime_at(ctx, level, r));
        ctx->k->add(he_limb(ctx, ev->acc[0], r), he_limb(ctx, ev->acc[0], r),
                    he_climb(ctx, a->part[0], r), ctx->n, m);
        for (int part = 0; part < 2; part++) {
            uint64_t *to = he_limb(ctx, acc->part[part], r);
            ctx->k->permute(ev->spare, he_climb(ctx, ev->acc[part], r), key->map, ctx->n);
            ctx->k->add(to, to, ev->spare, ctx->n, m);
        }
    }
    ev->counts.rotations++;
    ev->counts.additions++;
    return SKY_OK;
}

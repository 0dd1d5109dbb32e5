/* Vectors of complex numbers to plaintexts and back: the canonical embedding, at the N/2 roots
 * zeta_j = zeta^(5^j), zeta = exp(i pi / N).
 *
 * zeta_j^(N/2) = i for all j, since 5^j = 1 mod 4, so a real polynomial of degree below N is evaluated
 * there as the complex one of degree below n = N/2 with coefficients c_k + i c_(k+n). That one splits
 * by even and odd coefficients, A(z^2) + z B(z^2): the points' squares are the points of the problem of
 * half the size, and point j + n/2 is minus point j. Hence an FFT with twiddles exp(2 pi i 5^j / 4h). */
#include <math.h>
#include <string.h>

#include "jobs/he/he_internal.h"

void he_fft_tables(double *re, double *im, uint32_t n)
{
    re[0] = 1, im[0] = 0;
    for (uint32_t half = 1; half < n; half *= 2) {
        uint32_t order = 8 * half, power = 1; /* length 2 half: the points have order 8 half */
        for (uint32_t j = 0; j < half; j++) {
            double angle = 2 * M_PI * power / order;
            re[half + j] = cos(angle);
            im[half + j] = sin(angle);
            power = power * 5 % order;
        }
    }
}

static void reverse_order(double *re, double *im, uint32_t n)
{
    for (uint32_t i = 1, j = 0; i < n; i++) { /* j = i with its bits reversed */
        uint32_t bit = n >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            double t = re[i];
            re[i] = re[j], re[j] = t;
            t = im[i];
            im[i] = im[j], im[j] = t;
        }
    }
}

void he_fft_decode(double *re, double *im, uint32_t n, const double *wr, const double *wi)
{
    reverse_order(re, im, n);
    for (uint32_t half = 1; half < n; half *= 2) {
        for (uint32_t b = 0; b < n; b += 2 * half) {
            double *restrict ar = re + b, *restrict ai = im + b;
            double *restrict br = ar + half, *restrict bi = ai + half;
            for (uint32_t j = 0; j < half; j++) {
                double tr = br[j] * wr[half + j] - bi[j] * wi[half + j];
                double ti = br[j] * wi[half + j] + bi[j] * wr[half + j];
                br[j] = ar[j] - tr, bi[j] = ai[j] - ti;
                ar[j] += tr, ai[j] += ti;
            }
        }
    }
}

/* The inverse, times n. */
void he_fft_encode(double *re, double *im, uint32_t n, const double *wr, const double *wi)
{
    for (uint32_t half = n / 2; half >= 1; half /= 2) {
        for (uint32_t b = 0; b < n; b += 2 * half) {
            double *restrict ar = re + b, *restrict ai = im + b;
            double *restrict br = ar + half, *restrict bi = ai + half;
            for (uint32_t j = 0; j < half; j++) {
                double tr = ar[j] - br[j], ti = ai[j] - bi[j];
                ar[j] += br[j], ai[j] += bi[j];
                br[j] = tr * wr[half + j] + ti * wi[half + j];
                bi[j] = ti * wr[half + j] - tr * wi[half + j];
            }
        }
    }
    reverse_order(re, im, n);
}

/* ---- Encode ---- */

/* Largest absolute coefficient that the direct way takes: it fits an int64 with room for rounding. */
static const double DIRECT_MAX = 0x1p61;

/* Coefficients beyond 2^61, as they come with a large scale: mantissa times a power of two. */
static void reduce_large(uint64_t *out, const double *c, size_t n, const he_modulus *m)
{
    for (size_t i = 0; i < n; i++) {
        int exponent;
        int64_t mantissa = (int64_t)ldexp(frexp(c[i], &exponent), 53);
        int up = exponent > 53 ? exponent - 53 : 0;
        if (exponent < 53)
            mantissa = (int64_t)rint(c[i]);
        out[i] = he_mul(he_reduce_signed(mantissa, m), he_pow(2, (uint64_t)up, m), m);
    }
}

static sky_err check_encode(const sky_he_eval *ev, const sky_he_pt *out, size_t count,
                            sky_he_encode_options *o, sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    sky_err err = he_check_ctx(out->ctx, ctx, e);
    if (err)
        return err;
    o->level = o->level ? o->level : ctx->n_data;
    o->scale = o->scale != 0 ? o->scale : ctx->info.scale;
    if (o->level > ctx->n_data)
        return he_fail(e, SKY_HE_LEVELS, "level %u, expected 1 to %u", o->level, ctx->n_data);
    if (count != ctx->info.slots)
        return he_fail(e, SKY_HE_SLOTS, "%zu values, expected N/2 = %u", count, ctx->info.slots);
    if (he_limbs(ctx, o->level, o->extended) > out->limbs_max)
        return he_fail(e, SKY_HE_CAPACITY,
                       "the plaintext has room for %u residue polynomials, not %u", out->limbs_max,
                       he_limbs(ctx, o->level, o->extended));
    return he_check_scale(ctx, o->scale, o->level, e);
}

/* The scaled, unrounded coefficients: the first half in ev->re, the second in ev->im. The largest of
 * them in absolute value goes to *top. */
static sky_err embed(sky_he_eval *ev, const double *re, const double *im, double scale, double *top,
                     sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    uint32_t n = ctx->n / 2;
    for (uint32_t j = 0; j < n; j++) {
        ev->re[j] = re[j];
        ev->im[j] = im ? im[j] : 0;
        if (!isfinite(ev->re[j]) || !isfinite(ev->im[j]))
            return he_fail(e, SKY_HE_VALUE, "slot %u is %g + %g i", j, ev->re[j], ev->im[j]);
    }
    he_fft_encode(ev->re, ev->im, n, ctx->fft_re, ctx->fft_im);
    double factor = scale / n, most = 0;
    for (uint32_t j = 0; j < n; j++) {
        ev->re[j] *= factor;
        ev->im[j] *= factor;
        most = fmax(most, fmax(fabs(ev->re[j]), fabs(ev->im[j])));
    }
    *top = most;
    return SKY_OK;
}

sky_err sky_he_encode(sky_he_eval *ev, sky_he_pt *out, const double *re, const double *im,
                      size_t count, sky_he_encode_options options, sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    uint32_t n = ctx->n / 2;
    double top = 0;
    sky_err err = check_encode(ev, out, count, &options, e);
    if (!err)
        err = embed(ev, re, im, options.scale, &top, e);
    if (err)
        return err;
    if (!isfinite(top) || log2(top) >= ctx->log2_q[options.level] - 1)
        return he_fail(e, SKY_HE_SCALE,
                       "a coefficient of 2^%.2f reaches half of the modulus 2^%.2f at level %u",
                       log2(top), ctx->log2_q[options.level], options.level);
    bool direct = top < DIRECT_MAX;
    for (uint32_t j = 0; j < n && direct; j++) {
        ev->small[j] = llrint(ev->re[j]);
        ev->small[j + n] = llrint(ev->im[j]);
    }
    for (uint32_t r = 0; r < he_limbs(ctx, options.level, options.extended); r++) {
        uint32_t prime = he_prime_at(ctx, options.level, r);
        uint64_t *limb = he_limb(ctx, out->x, r);
        if (direct) {
            ctx->k->reduce_signed(limb, ev->small, ctx->n, he_mod(ctx, prime));
        } else {
            reduce_large(limb, ev->re, n, he_mod(ctx, prime));
            reduce_large(limb + n, ev->im, n, he_mod(ctx, prime));
        }
        ctx->k->forward(limb, &ctx->tables[prime]);
        ev->counts.ntts++;
    }
    out->is = (sky_he_state){options.level, 1, options.extended, options.scale};
    return SKY_OK;
}

/* ---- Decode ---- */

/* Mixed-radix digits, centred: c = d_0 + d_1 q_0 + d_2 q_0 q_1 + ..., |d_i| <= q_i / 2 (Garner). A
 * coefficient that is small beside the modulus has only its first digits, and no cancellation: the
 * sum in doubles is as exact as they are. x: coefficients of `level` limbs, overwritten. */
static void compose(const sky_he_ctx *ctx, double *out, uint64_t *x, uint32_t level)
{
    size_t n = ctx->n;
    for (uint32_t i = 1; i < level; i++) {
        const he_modulus *m = he_mod(ctx, i);
        uint64_t *xi = he_limb(ctx, x, i);
        for (uint32_t j = 0; j < i; j++) {
            const uint64_t *xj = he_climb(ctx, x, j);
            uint64_t qj = ctx->q[j];
            he_factor inv = he_factor_of(he_inverse(qj % m->q, m), m->q);
            for (size_t k = 0; k < n; k++) {
                uint64_t digit = he_reduce_signed(he_centre(xj[k], qj), m);
                xi[k] = he_mul_factor(he_sub(xi[k], digit, m->q), inv, m->q);
            }
        }
    }
    for (size_t k = 0; k < n; k++) {
        double c = 0;
        for (uint32_t i = level; i-- > 0;)
            c = c * (double)ctx->q[i] + (double)he_centre(he_climb(ctx, x, i)[k], ctx->q[i]);
        out[k] = c;
    }
}

sky_err sky_he_decode(sky_he_eval *ev, double *re, double *im, size_t count, const sky_he_pt *pt,
                      sky_error *e)
{
    const sky_he_ctx *ctx = ev->ctx;
    uint32_t n = ctx->n / 2;
    sky_err err = he_check_ctx(pt->ctx, ctx, e);
    if (err)
        return err;
    if (count != n)
        return he_fail(e, SKY_HE_SLOTS, "room for %zu values, expected N/2 = %u", count, n);
    if (!pt->is.level || pt->is.extended)
        return he_fail(e, SKY_HE_FORM, "the plaintext is %s", pt->is.level ? "extended" : "empty");
    uint64_t *x = ev->acc[0];
    memcpy(x, pt->x, (size_t)pt->is.level * ctx->n * sizeof *x);
    for (uint32_t r = 0; r < pt->is.level; r++) {
        ctx->k->inverse(he_limb(ctx, x, r), &ctx->tables[r]);
        ev->counts.ntts++;
    }
    compose(ctx, ev->re, x, pt->is.level); /* re and im are neighbours: N doubles */
    for (uint32_t j = 0; j < ctx->n; j++)
        ev->re[j] /= pt->is.scale;
    he_fft_decode(ev->re, ev->im, n, ctx->fft_re, ctx->fft_im);
    memcpy(re, ev->re, n * sizeof *re);
    if (im)
        memcpy(im, ev->im, n * sizeof *im);
    return SKY_OK;
}

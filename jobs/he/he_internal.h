/* What the files of jobs/he and their tests share. */
#ifndef SKY_JOBS_HE_HE_INTERNAL_H
#define SKY_JOBS_HE_HE_INTERNAL_H

#include <assert.h>
#include <stdatomic.h>

#include "jobs/he/he.h"
#include "jobs/he/he_kernels.h"
#include "jobs/he/he_random.h"

/* Fails with a named fault: its words, a colon, and the details. */
sky_err he_fail(sky_error *e, sky_he_fault fault, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A set of primes with product D, whose residues are converted to other primes. */
typedef struct he_basis {
    uint32_t count;
    uint32_t prime[HE_CONVERT_MAX];    /* indices */
    he_factor hat_inv[HE_CONVERT_MAX]; /* (D/d_i)^-1 mod d_i */
    he_convert *to;                    /* by index of the other prime */
    he_factor *d_inv;                  /* D^-1 modulo the other prime */
} he_basis;

enum { HE_STEPS_MAX = 1 << 16 }; /* Galois keys in one set: all slots of the largest ring, twice */

struct he_test_seed {
    uint64_t seed;
    _Atomic uint64_t streams; /* generators given out so far */
};

struct sky_he_ctx {
    sky_he_info info;
    uint32_t log2_n, n, n_data, n_special, total, alpha;
    const he_kernels *k;
    uint64_t *q;      /* total: data primes, then special primes */
    he_table *tables; /* total */
    he_factor *p_mod; /* n_data: P mod q_i */
    he_basis *digit;  /* by the last prime of a digit: what a digit cut at that prime converts */
    he_basis special; /* the special primes: ModDown */
    he_basis *last;   /* by level - 1: the last data prime: rescale */
    he_basis *merged; /* by level - 1: the last data prime and the special primes: both at once */
    double *log2_q;   /* n_data + 1: of the product of the first i data primes */
    double *fft_re, *fft_im; /* N/2 twiddles of the encoder: stage of length 2 h at h ... 2 h - 1 */
    uint64_t fingerprint;    /* he_fingerprint() */
    struct he_test_seed *seeded; /* NULL outside tests */
};

struct sky_he_pt {
    const sky_he_ctx *ctx;
    sky_he_state is;
    uint32_t limbs_max;
    uint64_t *x; /* limb i at x + i N: data primes, then special primes if extended */
};

struct sky_he_ct {
    const sky_he_ctx *ctx;
    sky_he_state is;
    uint32_t limbs_max, parts_max;
    uint64_t *part[3];
};

struct sky_he_secret {
    const sky_he_ctx *ctx;
    int8_t *coefficients; /* n: -1, 0, 1 */
    uint64_t *s;          /* total limbs, evaluation form */
};

struct sky_he_public { /* b + a s = small error modulo QP */
    const sky_he_ctx *ctx;
    uint8_t seed[HE_SEED_BYTES]; /* of a */
    uint64_t *b, *a;             /* total limbs */
};

/* From a secret s' to s, or, for a Galois element g != 1, from s to its image under g^-1: then a
 * rotation multiplies the digits as they are, and permutes only the two sums. Element 0 stands for
 * relinearisation (s' = s^2). */
typedef struct he_key {
    uint32_t galois;
    uint8_t seed[HE_SEED_BYTES]; /* of a */
    uint64_t *words;             /* limb r at words + r * 2 N digits; see he_kernels.h, mac */
    uint32_t *map;               /* N/8, permutation of X -> X^galois */
} he_key;

struct sky_he_keys {
    const sky_he_ctx *ctx;
    uint32_t level, digits;
    size_t count, galois_count; /* galois_count first, sorted by element; then relinearisation */
    he_key *key;
};

struct sky_he_eval {
    const sky_he_ctx *ctx;
    const sky_he_keys *keys;
    sky_he_counts counts;
    uint64_t *coefficients; /* n_data limbs: what is decomposed */
    uint64_t *digits;       /* digits limbs: one prime's digits */
    uint64_t *acc[2];       /* total limbs each */
    uint64_t *folded;       /* n_data limbs: a part divided before it is switched */
    uint64_t *spare;        /* one limb */
    double *re, *im;        /* N/2 each: the encoder's */
    int64_t *small;         /* N */
};

struct sky_he_hoist {
    const sky_he_ctx *ctx;
    sky_he_state is; /* of the ciphertext; level 0: nothing yet */
    uint32_t level_max;
    uint64_t *c0;     /* P times the first part: level limbs */
    uint64_t *digits; /* digit d of limb r at (r * digits + d) N */
};

static inline uint32_t he_digits(const sky_he_ctx *ctx, uint32_t level)
{
    return (level + ctx->alpha - 1) / ctx->alpha;
}

static inline uint32_t he_limbs(const sky_he_ctx *ctx, uint32_t level, bool extended)
{
    return level + (extended ? ctx->n_special : 0);
}

/* The prime of limb r at a level: special primes follow the data primes in use. */
static inline uint32_t he_prime_at(const sky_he_ctx *ctx, uint32_t level, uint32_t r)
{
    return r < level ? r : ctx->n_data + r - level;
}

static inline const he_modulus *he_mod(const sky_he_ctx *ctx, uint32_t prime)
{
    return &ctx->tables[prime].m;
}

static inline uint64_t *he_limb(const sky_he_ctx *ctx, uint64_t *x, uint32_t r)
{
    return x + (size_t)r * ctx->n;
}

static inline const uint64_t *he_climb(const sky_he_ctx *ctx, const uint64_t *x, uint32_t r)
{
    return x + (size_t)r * ctx->n;
}

/* he_params.c */
sky_err he_params_check(sky_he_params *params, sky_error *e); /* fills defaults */
sky_err he_pick_primes(uint64_t *q, const sky_he_params *params, sky_error *e);
/* Of N, the primes (data, then special), k and alpha, the fields filled in: marks bytes. */
uint64_t he_fingerprint(const uint64_t *q, const sky_he_params *params);
uint64_t he_primitive_root(uint64_t q, uint32_t log2_n); /* of order 2N, the smallest */
uint32_t he_security_bits(uint32_t log2_n, double log2_qp);

/* he_context.c. The kernels can be given, for tests. */
sky_err he_ctx_new_with(sky_he_ctx **out, const sky_he_params *params, const he_kernels *kernels,
                        sky_error *e);
/* Tests only: all randomness from now on comes from this seed. */
sky_err he_ctx_seed(sky_he_ctx *ctx, uint64_t seed);
void he_random_for(he_random *r, const sky_he_ctx *ctx);

/* he_rns.c: between sets of primes */

/* x (level data limbs, or extended) in evaluation form, divided by D of the basis with rounding, where
 * the basis is the last basis->count limbs; the `keep` limbs before are written to out (may be x).
 * scratch: basis->count limbs, which may be those limbs of x. */
void he_divide(sky_he_eval *ev, uint64_t *out, const uint64_t *x, uint64_t *scratch,
               const he_basis *basis, uint32_t keep);
/* The same limb by limb, so that each can be used while it is in the cache. begin takes the last limbs
 * of x, and keeps scratch (may be the same) until the end; limb takes limb r of x and gives limb r of the
 * quotient (may be the same), r < keep. ahead: memory that is needed next. */
typedef struct he_division {
    const he_basis *basis;
    const uint64_t *from[HE_CONVERT_MAX];
} he_division;
void he_divide_begin(sky_he_eval *ev, he_division *d, const uint64_t *last, uint64_t *scratch,
                     const he_basis *basis);
void he_divide_limb(sky_he_eval *ev, uint64_t *out, const uint64_t *x, const he_division *d,
                    uint32_t r, he_ahead *ahead);
/* Coefficients of the limbs of x, times hat_inv of their digits, ready for he_raise(). */
void he_decompose(sky_he_eval *ev, uint64_t *out, const uint64_t *x, uint32_t level);
/* All digits modulo the prime of limb r, evaluation form, digit d at to + d N: but for the digit that
 * holds that prime, which there is what was decomposed itself, and is left out. */
void he_raise(sky_he_eval *ev, uint64_t *to, const uint64_t *coefficients, uint32_t level,
              uint32_t r, he_ahead *ahead);

/* he_galois.c */
uint32_t he_galois_of_step(const sky_he_ctx *ctx, int32_t step); /* 5^step mod 2N; 1 for step 0 */
uint32_t he_galois_inverse(const sky_he_ctx *ctx, uint32_t g);
void he_galois_map(uint32_t *map, uint32_t g, uint32_t log2_n); /* N/8 entries for permute() */

/* he_keys.c */
const he_key *he_keys_find(const sky_he_keys *keys, uint32_t galois);
/* The public randomness of a key from its seed: digit d, limb of prime i. */
void he_expand_a(uint64_t *a, const sky_he_ctx *ctx, const uint8_t seed[HE_SEED_BYTES], uint32_t d,
                 uint32_t i);
/* One limb of an RLWE sample: b = noise - a s modulo prime i, all in evaluation form. b may be a. */
void he_sample_b(uint64_t *b, const uint64_t *a, const uint64_t *s, const uint64_t *noise,
                 const sky_he_ctx *ctx, uint32_t i);
sky_err he_keys_alloc(sky_he_keys **out, const sky_he_ctx *ctx, uint32_t level, size_t count);
sky_err he_key_alloc(he_key *key, const sky_he_keys *set, uint32_t galois);
void he_key_store(he_key *key, const sky_he_keys *set, uint32_t r, uint32_t d, const uint64_t *x,
                  uint32_t half); /* half 0: b, 1: a */
void he_key_load(uint64_t *x, const he_key *key, const sky_he_keys *set, uint32_t r, uint32_t d);
/* The noise of keys, for the test of an exact key switch: standard deviation 0 or 3.2. */
sky_err he_keys_new_noise(sky_he_keys **out, const sky_he_secret *secret,
                          const sky_he_keys_options *options, bool noiseless, sky_error *e);
sky_err he_secret_alloc(sky_he_secret **out, const sky_he_ctx *ctx);
void he_secret_fill(sky_he_secret *secret); /* s from the coefficients */
/* Small signed coefficients to evaluation form modulo prime i. */
void he_small_limb(uint64_t *out, const sky_he_ctx *ctx, const int64_t *small, uint32_t i);

/* he_encode.c: the special FFT, in place; re, im have n values, a power of two. */
void he_fft_tables(double *re, double *im, uint32_t n);
void he_fft_decode(double *re, double *im, uint32_t n, const double *wr, const double *wi);
void he_fft_encode(double *re, double *im, uint32_t n, const double *wr, const double *wi);

/* Checks shared by operations. */
sky_err he_check_room(const sky_he_ct *out, sky_he_state want, const sky_he_ctx *ctx, sky_error *e);
sky_err he_check_ctx(const sky_he_ctx *a, const sky_he_ctx *b, sky_error *e);
sky_err he_check_sum(sky_he_state a, sky_he_state b, sky_error *e);
sky_err he_check_scale(const sky_he_ctx *ctx, double scale, uint32_t level, sky_error *e);

#endif

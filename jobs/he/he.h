/* RNS-CKKS: approximate arithmetic on encrypted vectors of real or complex numbers.
 *
 * Scheme: Cheon, Kim, Kim, Song, "Homomorphic encryption for arithmetic of approximate numbers"
 * (ASIACRYPT 2017), in residue numbers (Cheon, Han, Kim, Kim, Song, SAC 2018), with hybrid key
 * switching (Han, Ki, CT-RSA 2020) and double hoisting (Bossuat, Mouchet, Troncoso-Pastoriza, Hubaux,
 * EUROCRYPT 2021). docs/he.md has the equations, the noise and the parameters.
 *
 * Words: N ring degree; N/2 slots; L data primes, k special primes (all below 2^50, and 1 modulo 2N).
 * The *level* of a plaintext, ciphertext or key is the number of data primes that it still has, 1 to
 * L. Every product multiplies scales; a rescale divides the scale by the last prime and takes one
 * level. Ciphertexts are kept in evaluation (NTT) form. An *extended* one has the k special primes
 * too and stands for P times its message: that is what double hoisting adds up before one division.
 *
 * Threads: contexts and keys are immutable after they are made, and may be shared. One sky_he_eval
 * (workspace and counters) belongs to one thread. Operations allocate nothing.
 * Every output may be one of the inputs unless a function says otherwise. On an error the outputs
 * are unchanged: everything is checked before any work. Only an encryption that finds no randomness leaves
 * its output empty.
 *
 * Module: layer 1, may use base. */
#ifndef SKY_JOBS_HE_HE_H
#define SKY_JOBS_HE_HE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* The errors of this module by name: the text of a sky_error begins with the words here, and its code
 * is the one here. sky_he_fault_of() reads it back. */
#define SKY_HE_FAULT_MAP(X)                                                                        \
    X(INSECURE, PERM, "insecure parameters")                                                       \
    X(PARAMS, INVAL, "parameters out of range")                                                    \
    X(SPECIAL, INVAL, "special prime too small")                                                   \
    X(PRIMES, NOTFOUND, "not enough primes")                                                       \
    X(SCALE, LIMIT, "scale overflow")                                                              \
    X(SCALES, INVAL, "scales differ")                                                              \
    X(LEVEL, LIMIT, "level exhausted")                                                             \
    X(LEVELS, INVAL, "levels differ")                                                              \
    X(SLOTS, INVAL, "wrong slot count")                                                            \
    X(VALUE, INVAL, "value is not finite")                                                         \
    X(GALOIS, NOTFOUND, "missing Galois key")                                                      \
    X(RELIN, NOTFOUND, "missing relinearisation key")                                              \
    X(KEY_LEVEL, LIMIT, "key made for a lower level")                                              \
    X(FORM, INVAL, "wrong form")                                                                   \
    X(CAPACITY, FULL, "output too small")                                                          \
    X(CONTEXT, CONFLICT, "made for other parameters")                                              \
    X(PATH, INVAL, "instructions missing")                                                         \
    X(RANDOM, IO, "no randomness from the system")

typedef enum sky_he_fault {
    SKY_HE_NONE = 0,
#define SKY_HE_FAULT_ENUM(name, code, text) SKY_HE_##name,
    SKY_HE_FAULT_MAP(SKY_HE_FAULT_ENUM)
#undef SKY_HE_FAULT_ENUM
} sky_he_fault;

/* The fault whose words e->text begins with, or SKY_HE_NONE. */
sky_he_fault sky_he_fault_of(const sky_error *e);
const char *sky_he_fault_text(sky_he_fault fault);

/* Which instructions the kernels use. All give the same bits. */
typedef enum sky_he_path {
    SKY_HE_AUTO = 0, /* the fastest that the processor has */
    SKY_HE_PORTABLE,
    SKY_HE_AVX2, /* with FMA */
    SKY_HE_IFMA, /* AVX-512 F, DQ, VL and IFMA */
} sky_he_path;
const char *sky_he_path_name(sky_he_path path);
bool sky_he_path_available(sky_he_path path);

/* ---- Parameters and context ---- */

enum {
    SKY_HE_LOG2_N_MIN = 6, /* for tests (insecure); secure ones begin at 2^10 */
    SKY_HE_LOG2_N_MAX = 16,
    SKY_HE_DATA_MAX = 40, /* more than any secure chain at 2^16 uses with 40-bit primes */
    SKY_HE_SPECIAL_MAX = 8,
    SKY_HE_PRIME_BITS_MAX =
        50, /* AVX-512 IFMA multiplies 52 bits, lazily reduced values take two */
    SKY_HE_PRIME_BITS_MIN = 20,
};

/* Zero-initialise; a zero field means its default. */
typedef struct sky_he_params {
    uint32_t log2_n;       /* required */
    uint32_t n_data;       /* L, required */
    uint32_t n_special;    /* k; 0 = 1 */
    uint32_t digit_primes; /* alpha, data primes per key-switching digit; 0 = n_special */
    uint32_t first_bits;   /* of q_0; 0 = 50 */
    uint32_t scale_bits;   /* of q_1 ...; 0 = 40. Messages usually have the scale 2^scale_bits. */
    uint32_t special_bits; /* 0 = 50 */
    bool insecure;         /* allow less than 128 bits: only for tests, marks every result */
    sky_he_path path;
} sky_he_params;

typedef struct sky_he_ctx sky_he_ctx;

/* Checks the parameters (128-bit security, special primes at least as large as every digit), picks
 * the primes and fills the tables. Free with sky_he_ctx_free() after everything made from it.
 * SKY_HE_INSECURE, _PARAMS, _SPECIAL, _PRIMES, _PATH; SKY_ENOMEM. */
sky_err sky_he_ctx_new(sky_he_ctx **out, const sky_he_params *params, sky_error *e);
void sky_he_ctx_free(sky_he_ctx *ctx);

typedef struct sky_he_info {
    sky_he_params params;   /* with the defaults filled in; path is the one in use */
    uint32_t n;             /* N */
    uint32_t slots;         /* N/2 */
    uint32_t digits;        /* dnum at the top level */
    uint32_t security_bits; /* 192 or 128 by the tables of sky_he_log2_qp_max(); 0: below 128 */
    bool insecure;          /* security_bits is 0: the result must be marked */
    double log2_q, log2_qp; /* of the moduli without and with the special primes */
    double scale;           /* 2^scale_bits */
} sky_he_info;
sky_he_info sky_he_ctx_info(const sky_he_ctx *ctx);
/* q_0 ... q_{L-1}, then p_0 ... p_{k-1}. i < L + k. */
uint64_t sky_he_ctx_prime(const sky_he_ctx *ctx, uint32_t i);
/* The largest log2(QP) that has 128 bits of security for this degree against classical attacks, with a
 * uniform ternary secret and noise of deviation 3.2: the tighter of the Homomorphic Encryption Standard
 * (HomomorphicEncryption.org, 2018, Table 1) and of Bossuat et al., "Security guidelines for implementing
 * homomorphic encryption" (ePrint 2024/463, Table 5.2). 0 if none is known. he_params.c, docs/he.md. */
uint32_t sky_he_log2_qp_max(uint32_t log2_n);

/* Bytes of memory, so that a job can be budgeted before it starts. level 1 ... L. */
size_t sky_he_pt_bytes(const sky_he_ctx *ctx, uint32_t level, bool extended);
size_t sky_he_ct_bytes(const sky_he_ctx *ctx, uint32_t level, bool extended);
size_t sky_he_key_bytes(const sky_he_ctx *ctx, uint32_t level); /* one Galois or relin. key */
size_t sky_he_hoist_bytes(const sky_he_ctx *ctx, uint32_t level);
size_t sky_he_eval_bytes(const sky_he_ctx *ctx);

/* ---- Plaintexts and ciphertexts ---- */

typedef struct sky_he_pt sky_he_pt;
typedef struct sky_he_ct sky_he_ct;

/* Room for up to `level` data primes and, if extended, the special primes. Contents are undefined
 * until an operation writes them. Free with the _free of the same kind, which accepts NULL. */
typedef struct sky_he_shape {
    uint32_t level; /* 0 = L */
    bool extended;
    bool three_parts; /* ciphertext: room for a product before relinearisation */
} sky_he_shape;
sky_err sky_he_pt_new(sky_he_pt **out, const sky_he_ctx *ctx, sky_he_shape shape, sky_error *e);
sky_err sky_he_ct_new(sky_he_ct **out, const sky_he_ctx *ctx, sky_he_shape shape, sky_error *e);
void sky_he_pt_free(sky_he_pt *pt); /* wipes: a plaintext may be secret */
void sky_he_ct_free(sky_he_ct *ct);

/* What it holds now. */
typedef struct sky_he_state {
    uint32_t level;
    uint32_t parts; /* 2 or 3; 1 for a plaintext */
    bool extended;
    double scale; /* exact: the product and quotient of what made it */
} sky_he_state;
sky_he_state sky_he_pt_state(const sky_he_pt *pt);
sky_he_state sky_he_ct_state(const sky_he_ct *ct);

/* ---- Keys ---- */

typedef struct sky_he_secret sky_he_secret; /* ternary, uniform; wiped when freed */
typedef struct sky_he_public sky_he_public;
typedef struct sky_he_keys
    sky_he_keys; /* switching keys: relinearisation, rotations, conjugation */

/* Randomness is the system's (getrandom). SKY_HE_RANDOM, SKY_ENOMEM. */
sky_err sky_he_secret_new(sky_he_secret **out, const sky_he_ctx *ctx, sky_error *e);
sky_err sky_he_public_new(sky_he_public **out, const sky_he_secret *secret, sky_error *e);
void sky_he_secret_free(sky_he_secret *secret);
void sky_he_public_free(sky_he_public *key);

/* Which switching keys, and for operations up to which level: a key for level l has
 * 2 ceil(l/alpha) (l + k) N residues, so keys for the level in use are much smaller. */
typedef struct sky_he_keys_options {
    uint32_t level; /* 0 = L */
    const int32_t
        *steps; /* rotations: to the left by steps[i] slots; modulo N/2; 0 and repeats cost
                             nothing. Borrowed until the call returns. */
    size_t n_steps;
    bool conjugate;
    bool relinearise;
} sky_he_keys_options;
sky_err sky_he_keys_new(sky_he_keys **out, const sky_he_secret *secret,
                        const sky_he_keys_options *options, sky_error *e);
void sky_he_keys_free(sky_he_keys *keys);
size_t sky_he_keys_count(const sky_he_keys *keys);
size_t sky_he_keys_bytes(const sky_he_keys *keys); /* in memory; `a` is expanded from its seed */
bool sky_he_keys_have_step(const sky_he_keys *keys, int32_t step);

/* ---- One thread's evaluator ---- */

typedef struct sky_he_eval sky_he_eval;

/* ctx is borrowed and must live longer; so must the keys that are given later. */
sky_err sky_he_eval_new(sky_he_eval **out, const sky_he_ctx *ctx, sky_error *e);
void sky_he_eval_free(sky_he_eval *ev);
void sky_he_eval_set_keys(sky_he_eval *ev, const sky_he_keys *keys); /* NULL: none */

/* What was done since the evaluator was made, or since reset. */
typedef struct sky_he_counts {
    uint64_t rotations;         /* full: rotate and conjugate, rotate_fold */
    uint64_t rotations_hoisted; /* with their own division */
    uint64_t rotations_lazy;    /* double hoisted: left extended */
    uint64_t hoists;            /* decompositions shared by hoisted rotations */
    uint64_t plain_products;
    uint64_t products;
    uint64_t relinearisations;
    uint64_t mod_downs; /* divisions of an extended ciphertext by P (also those inside rotations) */
    uint64_t rescales;
    uint64_t additions;
    uint64_t ntts; /* transforms of one residue polynomial, both directions */
} sky_he_counts;
sky_he_counts sky_he_eval_counts(const sky_he_eval *ev);
void sky_he_eval_reset_counts(sky_he_eval *ev);

/* ---- Encoding: slot j is the value at zeta^(5^j), zeta = exp(i pi / N) ---- */

typedef struct sky_he_encode_options {
    uint32_t level; /* 0 = L */
    double scale;   /* 0 = 2^scale_bits */
    bool extended;  /* modulo QP, for products with extended ciphertexts */
} sky_he_encode_options;
/* re and im (may be NULL: zero) have `count` values, which must be N/2.
 * SKY_HE_SLOTS, _VALUE, _SCALE (a coefficient reaches half of the modulus), _CAPACITY, _PARAMS. */
sky_err sky_he_encode(sky_he_eval *ev, sky_he_pt *out, const double *re, const double *im,
                      size_t count, sky_he_encode_options options, sky_error *e);
/* im may be NULL. A plaintext that is not extended. */
sky_err sky_he_decode(sky_he_eval *ev, double *re, double *im, size_t count, const sky_he_pt *pt,
                      sky_error *e);

/* ---- Encryption ---- */

/* With the public key: of zero modulo QP, divided by P, so that the noise is that of one rounding. */
sky_err sky_he_encrypt(sky_he_eval *ev, sky_he_ct *out, const sky_he_pt *pt,
                       const sky_he_public *key, sky_error *e);
/* With the secret itself, for who has it: c0 = m + e - a s, c1 = a, a uniform. Its noise, e alone, is
 * sqrt(N / 184) times smaller: 9.4 times at N = 2^14. The plaintext is not extended.
 * SKY_HE_FORM, _CAPACITY, _CONTEXT, _RANDOM. */
sky_err sky_he_encrypt_symmetric(sky_he_eval *ev, sky_he_ct *out, const sky_he_pt *pt,
                                 const sky_he_secret *secret, sky_error *e);
/* Two or three parts, not extended. Decrypted values reveal the noise: do not give them to whoever
 * chose the ciphertexts (Li, Micciancio, EUROCRYPT 2021). */
sky_err sky_he_decrypt(sky_he_eval *ev, sky_he_pt *out, const sky_he_ct *ct,
                       const sky_he_secret *secret, sky_error *e);

/* ---- Arithmetic ----
 * Operands of one operation have the same level and are both extended or both not (SKY_HE_LEVELS,
 * _FORM); sums also the same scale, to a relative 2^-40 (SKY_HE_SCALES). A product's scale must stay
 * below half of its modulus (SKY_HE_SCALE). */

sky_err sky_he_add(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, const sky_he_ct *b,
                   sky_error *e);
sky_err sky_he_sub(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, const sky_he_ct *b,
                   sky_error *e);
sky_err sky_he_neg(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, sky_error *e);
sky_err sky_he_add_plain(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, const sky_he_pt *b,
                         sky_error *e);
sky_err sky_he_mul_plain(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, const sky_he_pt *b,
                         sky_error *e);
/* out = sum of a[i] * b[i], i < n, with one reduction at the end; out must not be one of a. All have
 * two parts, one level, one form, and the same product of scales. Counts n plain products and n - 1
 * additions. n >= 1. */
sky_err sky_he_dot_plain(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *const *a,
                         const sky_he_pt *const *b, size_t n, sky_error *e);
/* out = a b, three parts; not extended; out must not be a or b. */
sky_err sky_he_mul(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, const sky_he_ct *b,
                   sky_error *e);
/* Three parts to two. Two parts are copied. */
sky_err sky_he_relinearise(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, sky_error *e);
/* Divides message and scale by the last prime, rounded; not extended. SKY_HE_LEVEL at level 1. */
sky_err sky_he_rescale(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, sky_error *e);
/* Forgets primes down to `level`, without dividing: message and scale stay. */
sky_err sky_he_drop(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, uint32_t level,
                    sky_error *e);
sky_err sky_he_copy(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, sky_error *e);

/* ---- Rotations: slot j of the result is slot j + step of the input (modulo N/2) ----
 * Two parts. Step 0 needs no key and counts as no rotation. SKY_HE_GALOIS, SKY_HE_KEY_LEVEL. */

sky_err sky_he_rotate(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, int32_t step,
                      sky_error *e);
sky_err sky_he_conjugate(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, sky_error *e);

/* One ciphertext decomposed, for many rotations of it. */
typedef struct sky_he_hoist sky_he_hoist;
sky_err sky_he_hoist_new(sky_he_hoist **out, const sky_he_ctx *ctx, uint32_t level, sky_error *e);
void sky_he_hoist_free(sky_he_hoist *h);
/* Decomposes a (two parts, not extended). Copies what it needs of a. */
sky_err sky_he_hoist_set(sky_he_eval *ev, sky_he_hoist *h, const sky_he_ct *a, sky_error *e);
sky_err sky_he_rotate_hoisted(sky_he_eval *ev, sky_he_ct *out, const sky_he_hoist *h, int32_t step,
                              sky_error *e);
/* The same without the division by P: out is extended. */
sky_err sky_he_rotate_lazy(sky_he_eval *ev, sky_he_ct *out, const sky_he_hoist *h, int32_t step,
                           sky_error *e);
/* acc += rotation of a by step; acc and a are extended and distinct. Divides only the second part of
 * a by P, so that a sum of many rotations is divided once, at its end (giant steps). Counts one
 * rotation. */
sky_err sky_he_rotate_fold(sky_he_eval *ev, sky_he_ct *acc, const sky_he_ct *a, int32_t step,
                           sky_error *e);
/* Out of and into the extended form: divide by P with rounding; multiply by P (exact). */
sky_err sky_he_mod_down(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, sky_error *e);
sky_err sky_he_mod_up(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, sky_error *e);
/* Divides by P and the last prime at once: one rounding and fewer transforms than mod_down and
 * rescale. SKY_HE_LEVEL at level 1. Counts one mod_down and one rescale. */
sky_err sky_he_mod_down_rescale(sky_he_eval *ev, sky_he_ct *out, const sky_he_ct *a, sky_error *e);

/* ---- Bytes (docs/he.md has the layout) ----
 * write appends to a buffer (SKY_ENOMEM; SKY_EINVAL for an empty plaintext or ciphertext). read checks
 * everything: SKY_EFORMAT, SKY_EVERSION, SKY_ELIMIT (longer than it can be), SKY_HE_CONTEXT (other
 * primes), SKY_HE_SCALE. Keys store the seed of `a`. Whoever reads frees. */

/* From parameters that were read a context can be made that reads the rest. They are checked as by
 * sky_he_ctx_new(); out->insecure is as it was written, and a reader that does not want such parameters
 * sets it to false: then sky_he_ctx_new() refuses them if they need it. */
sky_err sky_he_params_write(const sky_he_ctx *ctx, sky_buf *out);
sky_err sky_he_params_read(sky_he_params *out, const void *bytes, size_t len, sky_error *e);
sky_err sky_he_pt_write(const sky_he_pt *pt, sky_buf *out);
sky_err sky_he_pt_read(sky_he_pt **out, const sky_he_ctx *ctx, const void *bytes, size_t len,
                       sky_error *e);
sky_err sky_he_ct_write(const sky_he_ct *ct, sky_buf *out);
sky_err sky_he_ct_read(sky_he_ct **out, const sky_he_ctx *ctx, const void *bytes, size_t len,
                       sky_error *e);
sky_err sky_he_public_write(const sky_he_public *key, sky_buf *out);
sky_err sky_he_public_read(sky_he_public **out, const sky_he_ctx *ctx, const void *bytes,
                           size_t len, sky_error *e);
sky_err sky_he_keys_write(const sky_he_keys *keys, sky_buf *out);
sky_err sky_he_keys_read(sky_he_keys **out, const sky_he_ctx *ctx, const void *bytes, size_t len,
                         sky_error *e);
/* The secret itself, in the clear: for a client's own disk. The buffer is the caller's to wipe. */
sky_err sky_he_secret_write(const sky_he_secret *secret, sky_buf *out);
sky_err sky_he_secret_read(sky_he_secret **out, const sky_he_ctx *ctx, const void *bytes,
                           size_t len, sky_error *e);

#endif

/* Parameters: ranges, security, primes. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "jobs/he/he_internal.h"

/* ---- Named faults ---- */

static const char *const fault_texts[] = {"",
#define FAULT_TEXT(name, code, text) text,
                                          SKY_HE_FAULT_MAP(FAULT_TEXT)
#undef FAULT_TEXT
};
static const sky_err fault_codes[] = {SKY_OK,
#define FAULT_CODE(name, code, text) SKY_E##code,
                                      SKY_HE_FAULT_MAP(FAULT_CODE)
#undef FAULT_CODE
};
enum { FAULTS = sizeof fault_codes / sizeof *fault_codes };

sky_err he_fail(sky_error *e, sky_he_fault fault, const char *fmt, ...)
{
    char text[SKY_ERROR_TEXT_MAX / 2];
    va_list ap;
    va_start(ap, fmt);
    if (vsnprintf(text, sizeof text, fmt, ap) < 0)
        text[0] = 0;
    va_end(ap);
    return sky_fail(e, fault_codes[fault], "%s: %s", fault_texts[fault], text);
}

const char *sky_he_fault_text(sky_he_fault fault)
{
    return (unsigned)fault < FAULTS ? fault_texts[fault] : "";
}

sky_he_fault sky_he_fault_of(const sky_error *e)
{
    for (int f = 1; f < FAULTS; f++) {
        size_t len = strlen(fault_texts[f]);
        if (e->code == fault_codes[f] && strncmp(e->text, fault_texts[f], len) == 0 &&
            e->text[len] == ':')
            return (sky_he_fault)f;
    }
    return SKY_HE_NONE;
}

/* ---- Security ---- */

/* Largest log2(QP) for a uniform ternary secret, noise of deviation 3.2 (8 / sqrt(2 pi)) and classical
 * attacks; 0: not tabulated, so not offered. The smaller of the two counts.
 * hes: Albrecht et al., "Homomorphic Encryption Standard" v1.1 (HomomorphicEncryption.org, 21 November
 *   2018), Table 1, distribution (-1, 1), as SEAL 4.1 (native/src/seal/util/hestdparms.h) and OpenFHE
 *   1.5 (src/core/lib/lattice/stdlatticeparms.cpp) have it. It ends at 2^15; 2^16 is OpenFHE's.
 * g24: Bossuat et al., "Security guidelines for implementing homomorphic encryption" (IACR
 *   Communications in Cryptology 1(4), 2025, doi 10.62056/anxra69p1; ePrint 2024/463), Table 5.2, uniform
 *   ternary. Where the authors' script (github.com/gong-cr/FHE-Security-Guidelines) was published with a
 *   result one bit apart, the smaller. For 192 bits it begins at 2^11. */
typedef struct limits {
    uint32_t hes, g24;
} limits;
static const struct {
    uint32_t log2_n;
    limits bits128, bits192;
} security[] = {
    {10, {27, 26}, {19, 0}},          {11, {54, 53}, {37, 36}},     {12, {109, 106}, {75, 73}},
    {13, {218, 214}, {152, 147}},     {14, {438, 430}, {305, 297}}, {15, {881, 868}, {611, 597}},
    {16, {1747, 1747}, {1199, 1199}},
};

static uint32_t tighter(limits l)
{
    return l.hes < l.g24 ? l.hes : l.g24;
}

/* bits: 128 or 192. */
static uint32_t log2_qp_max(uint32_t log2_n, uint32_t bits)
{
    for (size_t i = 0; i < sizeof security / sizeof *security; i++) {
        if (security[i].log2_n == log2_n)
            return tighter(bits == 192 ? security[i].bits192 : security[i].bits128);
    }
    return 0;
}

uint32_t sky_he_log2_qp_max(uint32_t log2_n)
{
    return log2_qp_max(log2_n, 128);
}

uint32_t he_security_bits(uint32_t log2_n, double log2_qp)
{
    if (log2_qp <= log2_qp_max(log2_n, 192))
        return 192;
    return log2_qp <= log2_qp_max(log2_n, 128) ? 128 : 0;
}

/* ---- Ranges ---- */

static sky_err in_range(const char *name, uint32_t x, uint32_t low, uint32_t high, sky_error *e)
{
    if (x >= low && x <= high)
        return SKY_OK;
    return he_fail(e, SKY_HE_PARAMS, "%s is %u, expected %u to %u", name, x, low, high);
}

/* Before any prime is looked for: the special primes together are at least as long as the longest
 * digit. he_context.c compares the numbers themselves. */
static sky_err check_lengths(const sky_he_params *p, sky_error *e)
{
    uint32_t scale_primes = p->digit_primes < p->n_data ? p->digit_primes : p->n_data;
    uint32_t with_first = p->first_bits + (scale_primes - 1) * p->scale_bits;
    uint32_t without = p->n_data > p->digit_primes ? scale_primes * p->scale_bits : 0;
    uint32_t digit = with_first > without ? with_first : without;
    uint32_t special = p->n_special * p->special_bits;
    if (special < digit)
        return he_fail(
            e, SKY_HE_SPECIAL,
            "%u special prime%s of %u bits, but a key-switching digit of %u data primes has "
            "up to %u bits: noise would be multiplied by 2^%u; give more or longer special "
            "primes, or fewer primes per digit",
            p->n_special, p->n_special > 1 ? "s" : "", p->special_bits, scale_primes, digit,
            digit - special);
    uint32_t total = p->first_bits + (p->n_data - 1) * p->scale_bits + special;
    uint32_t limit = sky_he_log2_qp_max(p->log2_n);
    if (total > limit && !p->insecure)
        return he_fail(
            e, SKY_HE_INSECURE,
            "N = 2^%u with moduli of %u bits, special primes included; 128-bit security "
            "allows %u bits (docs/he.md); give a larger N, fewer primes, or insecure for a "
            "test",
            p->log2_n, total, limit);
    return SKY_OK;
}

sky_err he_params_check(sky_he_params *p, sky_error *e)
{
    p->n_special = p->n_special ? p->n_special : 1;
    p->digit_primes = p->digit_primes ? p->digit_primes : p->n_special;
    p->first_bits = p->first_bits ? p->first_bits : 50;
    p->scale_bits = p->scale_bits ? p->scale_bits : 40;
    p->special_bits = p->special_bits ? p->special_bits : 50;
    uint32_t bits_min = SKY_HE_PRIME_BITS_MIN, bits_max = SKY_HE_PRIME_BITS_MAX;
    sky_err err;
    if ((err = in_range("log2_n", p->log2_n, SKY_HE_LOG2_N_MIN, SKY_HE_LOG2_N_MAX, e)) ||
        (err = in_range("n_data", p->n_data, 1, SKY_HE_DATA_MAX, e)) ||
        (err = in_range("n_special", p->n_special, 1, SKY_HE_SPECIAL_MAX, e)) ||
        (err = in_range("digit_primes", p->digit_primes, 1, SKY_HE_SPECIAL_MAX, e)) ||
        (err = in_range("first_bits", p->first_bits, bits_min, bits_max, e)) ||
        (err = in_range("scale_bits", p->scale_bits, bits_min, bits_max, e)) ||
        (err = in_range("special_bits", p->special_bits, bits_min, bits_max, e)))
        return err;
    if ((unsigned)p->path > SKY_HE_IFMA)
        return he_fail(e, SKY_HE_PATH, "unknown path %d", (int)p->path);
    if (!sky_he_path_available(p->path))
        return he_fail(e, SKY_HE_PATH, "this processor lacks %s", sky_he_path_name(p->path));
    return check_lengths(p, e);
}

/* ---- Primes ---- */

/* Deterministic Miller-Rabin: these bases suffice below 3.3 10^24 (Sorenson, Webster, 2015). */
static bool is_prime(uint64_t q)
{
    static const uint64_t bases[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41};
    he_modulus m = he_modulus_of(q);
    uint32_t twos = (uint32_t)__builtin_ctzll(q - 1);
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        if (q % bases[i] == 0)
            return q == bases[i];
        uint64_t x = he_pow(bases[i], (q - 1) >> twos, &m);
        bool passes = x == 1 || x == q - 1;
        for (uint32_t k = 1; k < twos && !passes; k++) {
            x = he_mul(x, x, &m);
            passes = x == q - 1;
        }
        if (!passes)
            return false;
    }
    return true;
}

/* The next prime 1 mod 2N from `from` (exclusive) upwards or downwards, within [low, high); or 0. */
static uint64_t next_prime(uint64_t from, bool up, uint64_t step, uint64_t low, uint64_t high)
{
    for (uint64_t q = up ? from + step : from - step; q >= low && q < high;
         q = up ? q + step : q - step) {
        if (is_prime(q))
            return q;
        if (!up && q < step)
            break;
    }
    return 0;
}

/* Primes of `bits` bits downwards from 2^bits that are not in q yet. */
static sky_err pick_down(uint64_t *q, uint32_t *count, uint32_t want, uint32_t bits, uint64_t step,
                         uint64_t *next, sky_error *e)
{
    for (uint32_t i = 0; i < want; i++) {
        *next = next_prime(*next, false, step, (uint64_t)1 << (bits - 1), (uint64_t)1 << bits);
        if (!*next)
            return he_fail(e, SKY_HE_PRIMES, "no more primes of %u bits that are 1 modulo %llu",
                           bits, (unsigned long long)step);
        q[(*count)++] = *next;
    }
    return SKY_OK;
}

static bool taken(const uint64_t *q, uint32_t count, uint64_t x)
{
    for (uint32_t i = 0; i < count; i++) {
        if (q[i] == x)
            return true;
    }
    return false;
}

/* Special primes first and largest, then q_0, so that P is not smaller than q_0; the primes that
 * rescale divides by lie alternately above and below 2^scale_bits, nearest first, so that the scale
 * stays close. */
sky_err he_pick_primes(uint64_t *q, const sky_he_params *p, sky_error *e)
{
    uint64_t step = (uint64_t)2 << p->log2_n, near = (uint64_t)1 << p->scale_bits;
    uint64_t picked[SKY_HE_DATA_MAX + SKY_HE_SPECIAL_MAX];
    uint32_t count = 0, k = p->n_special;
    uint64_t next = ((uint64_t)1 << p->special_bits) + 1;
    sky_err err = pick_down(picked, &count, k, p->special_bits, step, &next, e);
    if (err)
        return err;
    if (p->first_bits != p->special_bits)
        next = ((uint64_t)1 << p->first_bits) + 1;
    if ((err = pick_down(picked, &count, 1, p->first_bits, step, &next, e)))
        return err;
    uint64_t above = near + 1, below = near + 1, top = (uint64_t)1 << SKY_HE_PRIME_BITS_MAX;
    bool up = p->scale_bits < SKY_HE_PRIME_BITS_MAX;
    while (count < k + p->n_data) {
        uint64_t *from = up ? &above : &below;
        *from = next_prime(*from, up, step, near / 2, up ? near * 2 < top ? near * 2 : top : near);
        if (!*from)
            return he_fail(e, SKY_HE_PRIMES,
                           "fewer than %u primes of about %u bits are 1 modulo %llu", p->n_data,
                           p->scale_bits, (unsigned long long)step);
        if (taken(picked, count, *from))
            continue;
        picked[count++] = *from;
        up = !up && p->scale_bits < SKY_HE_PRIME_BITS_MAX;
    }
    memcpy(q, picked + k, p->n_data * sizeof *q);
    memcpy(q + p->n_data, picked, k * sizeof *q);
    return SKY_OK;
}

uint64_t he_fingerprint(const uint64_t *q, const sky_he_params *p)
{
    uint64_t hash = sky_hash_u64(0x534b4845, (uint64_t)1 << p->log2_n);
    for (uint32_t i = 0; i < p->n_data + p->n_special; i++)
        hash = sky_hash_u64(hash, q[i]);
    return sky_hash_u64(hash, p->n_special * 256 + p->digit_primes);
}

uint64_t he_primitive_root(uint64_t q, uint32_t log2_n)
{
    he_modulus m = he_modulus_of(q);
    uint64_t order = (uint64_t)2 << log2_n, root = 0;
    for (uint64_t x = 2; !root; x++) { /* half of all x do */
        uint64_t y = he_pow(x, (q - 1) / order, &m);
        if (he_pow(y, order / 2, &m) == q - 1)
            root = y;
    }
    uint64_t square = he_mul(root, root, &m), smallest = root;
    for (uint64_t i = 0, y = root; i < order / 2; i++) { /* all primitive roots: the odd powers */
        smallest = y < smallest ? y : smallest;
        y = he_mul(y, square, &m);
    }
    return smallest;
}

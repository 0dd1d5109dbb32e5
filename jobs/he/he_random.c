#include "jobs/he/he_random.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/random.h>

static uint32_t rotl(uint32_t x, int by)
{
    return x << by | x >> (32 - by);
}

static void quarter_round(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *a += *b, *d = rotl(*d ^ *a, 16);
    *c += *d, *b = rotl(*b ^ *c, 12);
    *a += *b, *d = rotl(*d ^ *a, 8);
    *c += *d, *b = rotl(*b ^ *c, 7);
}

/* RFC 8439, section 2.3, with a 64-bit block counter and a 64-bit stream number (Bernstein's form). */
void he_chacha20_block(uint8_t out[64], const uint32_t key[8], uint64_t block, uint64_t stream)
{
    uint32_t x[16] = {0x61707865,       0x3320646e,
                      0x79622d32,       0x6b206574,
                      key[0],           key[1],
                      key[2],           key[3],
                      key[4],           key[5],
                      key[6],           key[7],
                      (uint32_t)block,  (uint32_t)(block >> 32),
                      (uint32_t)stream, (uint32_t)(stream >> 32)};
    uint32_t y[16];
    memcpy(y, x, sizeof y);
    for (int i = 0; i < 10; i++) {
        for (int c = 0; c < 4; c++)
            quarter_round(&y[c], &y[c + 4], &y[c + 8], &y[c + 12]);
        for (int c = 0; c < 4; c++)
            quarter_round(&y[c], &y[4 + (c + 1) % 4], &y[8 + (c + 2) % 4], &y[12 + (c + 3) % 4]);
    }
    for (int i = 0; i < 16; i++) {
        uint32_t w = x[i] + y[i];
        for (int b = 0; b < 4; b++)
            out[4 * i + b] = (uint8_t)(w >> 8 * b);
    }
    explicit_bzero(y, sizeof y);
    explicit_bzero(x, sizeof x);
}

void he_random_system(he_random *r)
{
    memset(r, 0, sizeof *r);
    r->used = sizeof r->buffer;
}

void he_random_seeded(he_random *r, const uint8_t seed[HE_SEED_BYTES], uint64_t stream)
{
    he_random_system(r);
    r->seeded = true;
    r->stream = stream;
    for (int i = 0; i < 8; i++)
        r->key[i] = (uint32_t)seed[4 * i] | (uint32_t)seed[4 * i + 1] << 8 |
                    (uint32_t)seed[4 * i + 2] << 16 | (uint32_t)seed[4 * i + 3] << 24;
}

static void refill(he_random *r)
{
    if (r->seeded) {
        for (size_t at = 0; at < sizeof r->buffer; at += 64)
            he_chacha20_block(r->buffer + at, r->key, r->block++, r->stream);
    } else {
        for (size_t at = 0; at < sizeof r->buffer;) {
            ssize_t got = getrandom(r->buffer + at, sizeof r->buffer - at, 0);
            if (got < 0 && errno != EINTR) {
                r->failed = true;
                return;
            }
            at += got > 0 ? (size_t)got : 0;
        }
    }
    r->used = 0;
}

void he_random_bytes(he_random *r, void *out, size_t len)
{
    uint8_t *to = out;
    while (len) {
        if (r->used == sizeof r->buffer)
            refill(r);
        if (r->failed) {
            memset(to, 0, len);
            return;
        }
        size_t left = sizeof r->buffer - r->used, n = left < len ? left : len;
        memcpy(to, r->buffer + r->used, n);
        r->used += n;
        to += n;
        len -= n;
    }
}

void he_random_wipe(he_random *r)
{
    explicit_bzero(r, sizeof *r);
}

static uint64_t next_u64(he_random *r)
{
    uint8_t b[8];
    uint64_t x = 0;
    he_random_bytes(r, b, sizeof b);
    for (int i = 0; i < 8; i++) /* little-endian: the same polynomial on every machine */
        x |= (uint64_t)b[i] << 8 * i;
    return x;
}

/* Rejects what lies past the largest multiple of q, so that all residues are equally likely. */
void he_sample_uniform(he_random *r, uint64_t *out, size_t n, const he_modulus *m)
{
    uint64_t end = m->barrett64 * m->q;
    for (size_t i = 0; i < n; i++) {
        uint64_t x = next_u64(r);
        while (x >= end && !r->failed)
            x = next_u64(r);
        out[i] = he_reduce64(x, m);
    }
}

void he_sample_ternary(he_random *r, int64_t *out, size_t n)
{
    uint8_t b[256];
    for (size_t i = 0; i < n;) {
        he_random_bytes(r, b, sizeof b);
        for (size_t k = 0; k < sizeof b && i < n; k++) {
            if (b[k] != 255) /* 255 = 3 * 85 */
                out[i++] = b[k] % 3 - 1;
        }
    }
    explicit_bzero(b, sizeof b);
}

/* Cumulative table: |x| is the number of thresholds that a uniform 63-bit number reaches. All are
 * compared, whatever the outcome, so that time does not depend on it; the 64th bit is the sign. */
void he_sample_noise(he_random *r, int64_t *out, size_t n)
{
    const double sigma = 3.2;
    uint64_t threshold[HE_NOISE_MAX];
    double weight[HE_NOISE_MAX], total = 0, sum = 0;
    for (int x = 0; x < HE_NOISE_MAX; x++) {
        weight[x] = exp(-0.5 * x * x / (sigma * sigma)) * (x ? 2 : 1);
        total += weight[x];
    }
    for (int x = 0; x < HE_NOISE_MAX; x++) {
        sum += weight[x];
        threshold[x] = x + 1 < HE_NOISE_MAX ? (uint64_t)(sum / total * 0x1p63) : UINT64_MAX;
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t u = next_u64(r);
        int64_t x = 0, sign = (int64_t)(u >> 63);
        u &= UINT64_MAX >> 1;
        for (int k = 0; k < HE_NOISE_MAX; k++)
            x += u >= threshold[k];
        out[i] = (x ^ -sign) + sign;
    }
}

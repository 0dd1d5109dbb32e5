#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/hash.h"
#include "tests/base/property.h"

Test(hash, known_answers_of_xxh64)
{
    static const struct {
        const char *text;
        uint64_t hash;
    } cases[] = {
        {"", 0xef46db3751d8e999u},
        {"a", 0xd24ec4f1a98c6e5bu},
        {"abc", 0x44bc2cf5ad770999u},
        {"Nobody inspects the spammish repetition", 0xfbcea83c8a378bf1u},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert(eq(u64, sky_hash_bytes(0, cases[i].text, strlen(cases[i].text)), cases[i].hash));
}

Test(hash, length_seed_and_every_byte_matter)
{
    unsigned char bytes[100] = {0};
    for (size_t len = 0; len < sizeof bytes; len++) {
        uint64_t h = sky_hash_bytes(1, bytes, len);
        cr_assert(ne(u64, h, sky_hash_bytes(2, bytes, len)));
        cr_assert(ne(u64, h, sky_hash_bytes(1, bytes, len + 1)));
        for (size_t at = 0; at < len; at++) {
            bytes[at] = 1;
            cr_assert(ne(u64, h, sky_hash_bytes(1, bytes, len)));
            bytes[at] = 0;
        }
    }
}

Test(hash, one_bit_moves_half_of_the_output)
{
    sky_rng r = test_rng("avalanche");
    for (int bit = 0; bit < 128; bit++) {
        int changed = 0;
        enum { TRIES = 200 };
        for (int i = 0; i < TRIES; i++) {
            uint64_t seed = sky_rng_u64(&r), x = sky_rng_u64(&r);
            uint64_t flip = (uint64_t)1 << (bit & 63);
            uint64_t other = bit < 64 ? sky_hash_u64(seed ^ flip, x) : sky_hash_u64(seed, x ^ flip);
            changed += __builtin_popcountll(sky_hash_u64(seed, x) ^ other);
        }
        double mean = (double)changed / TRIES; /* 32, standard error 0.28 */
        cr_assert(gt(dbl, mean, 30.0), "bit %d", bit);
        cr_assert(lt(dbl, mean, 34.0), "bit %d", bit);
    }
}

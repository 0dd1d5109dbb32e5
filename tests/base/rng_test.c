#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <string.h>

#include "tests/base/property.h"

Test(rng, known_answers_of_random123)
{
    /* kat_vectors of Random123 1.14, "philox4x32 10". */
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t out[4];
        sky_philox(cases[i].counter, cases[i].key, out);
        cr_assert(zero(int, memcmp(out, cases[i].out, sizeof out)));
    }
}

Test(rng, streams_are_what_the_header_says)
{
    sky_rng r;
    sky_rng_init(&r, 0, 0);
    cr_assert(eq(u32, sky_rng_u32(&r), 0x6627e8d5));
    cr_assert(eq(u64, sky_rng_u64(&r), 0xbc57ac4ce169c58du));
    cr_assert(eq(u32, sky_rng_u32(&r), 0x9b00dbd8));
    const uint32_t counter[4] = {1, 0, 0, 0}, key[2] = {0, 0};
    uint32_t next[4];
    sky_philox(counter, key, next);
    cr_assert(eq(u32, sky_rng_u32(&r), next[0]));
    sky_rng a, b;
    sky_rng_init(&a, 5, 1);
    sky_rng_init(&b, 5, 2);
    cr_assert(ne(u64, sky_rng_u64(&a), sky_rng_u64(&b)));
}

Test(rng, the_same_bits_on_every_machine)
{
    /* Golden: computed once; a difference here breaks every stored sweep with random search. */
    sky_rng r;
    sky_rng_init(&r, 42, 7);
    uint64_t h = 0;
    for (int i = 0; i < 10000; i++) {
        double x[2] = {sky_rng_normal(&r)};
        x[1] = sky_rng_f64(&r); /* the order within an initialiser is not defined */
        h = sky_hash_bytes(h, x, sizeof x);
        h = sky_hash_u64(h, sky_rng_below(&r, 1000003));
        h = sky_hash_u64(h, sky_permute(3, 1000003, (uint64_t)i));
    }
    cr_assert(eq(u64, h, 0xf4559a798e87ebc1u));
}

Test(rng, uniform_numbers_are_uniform)
{
    sky_rng r = test_rng("uniform");
    enum { N = 200000, BINS = 20 };
    int counts[BINS] = {0};
    for (int i = 0; i < N; i++) {
        double x = sky_rng_f64(&r);
        cr_assert(ge(dbl, x, 0.0));
        cr_assert(lt(dbl, x, 1.0));
        counts[(int)(x * BINS)]++;
    }
    for (int i = 0; i < BINS; i++) /* six standard deviations: 6 sqrt(10000) */
        cr_assert(lt(int, abs(counts[i] - N / BINS), 600));
}

Test(rng, below_is_in_range_and_unbiased)
{
    sky_rng r = test_rng("below");
    for (int i = 0; i < 1000; i++) {
        cr_assert(eq(u64, sky_rng_below(&r, 1), 0));
        uint64_t n = sky_rng_u64(&r) | 1;
        cr_assert(lt(u64, sky_rng_below(&r, n), n));
    }
    /* With n = 3 * 2^62 a plain remainder would give the low third twice as often. */
    int low = 0;
    for (int i = 0; i < 30000; i++)
        low += sky_rng_below(&r, (uint64_t)3 << 62) < (uint64_t)1 << 62;
    cr_assert(lt(int, abs(low - 10000), 600));
}

Test(rng, normal_numbers_have_their_moments_and_tails)
{
    sky_rng r = test_rng("normal");
    enum { N = 400000 };
    double sum = 0, square = 0, fourth = 0;
    int beyond_2 = 0;
    for (int i = 0; i < N; i++) {
        double x = sky_rng_normal(&r);
        cr_assert(lt(dbl, fabs(x), 9.0));
        sum += x;
        square += x * x;
        fourth += x * x * x * x;
        beyond_2 += fabs(x) > 2;
    }
    cr_assert(epsilon_eq(dbl, sum / N, 0.0, 6 / sqrt(N)));
    cr_assert(epsilon_eq(dbl, square / N, 1.0, 6 * sqrt(2.0 / N)));
    cr_assert(epsilon_eq(dbl, fourth / N, 3.0, 6 * sqrt(96.0 / N)));
    cr_assert(epsilon_eq(dbl, (double)beyond_2 / N, 0.0455003, 0.002));
}

Test(rng, normal_numbers_agree_with_the_library_functions)
{
    sky_rng r = test_rng("box_muller"), again = r;
    for (int i = 0; i < 100000; i++) {
        double u = 1 - sky_rng_f64(&again), turn = sky_rng_f64(&again);
        double expected = sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * turn);
        cr_assert(epsilon_eq(dbl, sky_rng_normal(&r), expected, 1e-14));
    }
}

Test(rng, permutation_is_a_bijection)
{
    for (uint64_t n = 1; n <= 300; n++) {
        for (uint64_t seed = 0; seed < 5; seed++) {
            bool seen[300] = {0};
            for (uint64_t i = 0; i < n; i++) {
                uint64_t x = sky_permute(seed, n, i);
                cr_assert(lt(u64, x, n));
                cr_assert(not(seen[x]));
                seen[x] = true;
                cr_assert(eq(u64, sky_permute_inverse(seed, n, x), i));
            }
        }
    }
}

Test(rng, permutation_of_huge_sets_has_its_inverse)
{
    sky_rng r = test_rng("permute");
    for (int i = 0; i < 20000; i++) {
        uint64_t n = (sky_rng_u64(&r) >> sky_rng_below(&r, 60)) + 1;
        n = n == 0 ? UINT64_MAX : n;
        if (i % 50 == 0)
            n = UINT64_MAX;
        uint64_t seed = sky_rng_u64(&r), x = sky_rng_below(&r, n);
        uint64_t y = sky_permute(seed, n, x);
        cr_assert(lt(u64, y, n));
        cr_assert(eq(u64, sky_permute_inverse(seed, n, y), x));
    }
}

Test(rng, permutation_spreads_every_prefix)
{
    /* The first 1% of positions must fall into every tenth about equally: a partial sweep is a
     * sample of the whole. */
    const uint64_t n = 10000000;
    for (uint64_t seed = 0; seed < 3; seed++) {
        int counts[10] = {0};
        for (uint64_t i = 0; i < 100000; i++)
            counts[sky_permute(seed, n, i) * 10 / n]++;
        for (int i = 0; i < 10; i++)
            cr_assert(lt(int, abs(counts[i] - 10000), 600));
    }
}

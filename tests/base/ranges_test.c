#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/ranges.h"
#include "tests/base/property.h"

enum { SIDE = 200 };

typedef struct bitmap {
    bool bits[SIDE];
} bitmap;

/* The representation itself, then every number. */
static void check_same(const sky_ranges *s, const bitmap *m)
{
    uint64_t count = 0;
    for (size_t i = 0; i < s->n; i++) {
        cr_assert(lt(u64, s->r[i].begin, s->r[i].end));
        if (i > 0)
            cr_assert(lt(u64, s->r[i - 1].end, s->r[i].begin), "neighbours are merged");
    }
    for (uint64_t x = 0; x < SIDE; x++) {
        cr_assert(eq(int, sky_ranges_has(s, x), m->bits[x]), "%d", (int)x);
        if (m->bits[x])
            cr_assert(eq(u64, sky_ranges_at(s, count), x));
        count += m->bits[x];
    }
    cr_assert(eq(u64, s->count, count));
}

static uint64_t count_bits(const bitmap *m, uint64_t begin, uint64_t end)
{
    uint64_t count = 0;
    for (uint64_t x = begin; x < end; x++)
        count += m->bits[x];
    return count;
}

static void random_span(sky_rng *r, uint64_t *begin, uint64_t *end)
{
    uint64_t a = sky_rng_below(r, SIDE + 1), b = sky_rng_below(r, 4) ? a + sky_rng_below(r, 12) : a;
    b = b > SIDE ? SIDE : b;
    if (sky_rng_below(r, 20) == 0)
        b = a + sky_rng_below(r, SIDE + 1 - a);
    *begin = a;
    *end = b;
}

static void random_set(sky_rng *r, sky_ranges *s, bitmap *m)
{
    *s = (sky_ranges){0};
    *m = (bitmap){0};
    for (uint64_t n = sky_rng_below(r, 40); n; n--) {
        uint64_t begin, end;
        random_span(r, &begin, &end);
        cr_assert(ne(u64, sky_ranges_add(s, begin, end), UINT64_MAX));
        memset(m->bits + begin, 1, end - begin);
    }
}

Test(ranges, add_and_remove_follow_a_bitmap)
{
    sky_rng r = test_rng("ranges");
    for (int round = 0; round < 50; round++) {
        sky_ranges s = {0};
        bitmap m = {0};
        for (int step = 0; step < 100; step++) {
            uint64_t begin, end;
            random_span(&r, &begin, &end);
            uint64_t there = count_bits(&m, begin, end);
            cr_assert(eq(u64, sky_ranges_count_in(&s, begin, end), there));
            cr_assert(eq(int, sky_ranges_overlaps(&s, begin, end), there > 0));
            if (sky_rng_below(&r, 2)) {
                cr_assert(eq(u64, sky_ranges_add(&s, begin, end), end - begin - there));
                memset(m.bits + begin, 1, end - begin);
            } else {
                cr_assert(eq(u64, sky_ranges_remove(&s, begin, end), there));
                memset(m.bits + begin, 0, end - begin);
            }
            check_same(&s, &m);
        }
        sky_ranges_free(&s);
    }
}

Test(ranges, set_operations_follow_a_bitmap)
{
    sky_rng r = test_rng("set_operations");
    for (int round = 0; round < 2000; round++) {
        sky_ranges a, b, out = {0}, copy = {0};
        bitmap ma, mb, expected;
        random_set(&r, &a, &ma);
        random_set(&r, &b, &mb);
        cr_assert(sky_ranges_copy(&copy, &a));
        check_same(&copy, &ma);
        cr_assert(sky_ranges_intersect(&out, &a, &b));
        for (int x = 0; x < SIDE; x++)
            expected.bits[x] = ma.bits[x] && mb.bits[x];
        check_same(&out, &expected);
        cr_assert(sky_ranges_add_all(&copy, &b));
        for (int x = 0; x < SIDE; x++)
            expected.bits[x] = ma.bits[x] || mb.bits[x];
        check_same(&copy, &expected);
        cr_assert(sky_ranges_remove_all(&a, &b));
        for (int x = 0; x < SIDE; x++)
            expected.bits[x] = ma.bits[x] && !mb.bits[x];
        check_same(&a, &expected);
        sky_ranges_free(&a);
        sky_ranges_free(&b);
        sky_ranges_free(&out);
        sky_ranges_free(&copy);
    }
}

Test(ranges, take_moves_the_smallest)
{
    sky_rng r = test_rng("take");
    for (int round = 0; round < 500; round++) {
        sky_ranges s, out = {0};
        bitmap m, taken = {0};
        random_set(&r, &s, &m);
        while (s.count) {
            uint64_t max = sky_rng_below(&r, 30), left = s.count;
            uint64_t expected = max < left ? max : left;
            cr_assert(eq(u64, sky_ranges_take(&s, max, &out), expected));
            for (uint64_t x = 0, n = expected; n; x++) {
                if (m.bits[x]) {
                    m.bits[x] = false;
                    taken.bits[x] = true;
                    n--;
                }
            }
            check_same(&s, &m);
            check_same(&out, &taken);
        }
        cr_assert(eq(u64, sky_ranges_take(&s, 5, &out), 0));
        sky_ranges_free(&s);
        sky_ranges_free(&out);
    }
}

Test(ranges, the_ends_of_the_number_line)
{
    sky_ranges s = {0};
    const uint64_t top = UINT64_MAX;
    cr_assert(eq(u64, sky_ranges_add(&s, top - 5, top), 5));
    cr_assert(eq(u64, sky_ranges_add(&s, 0, 5), 5));
    cr_assert(eq(u64, sky_ranges_add(&s, 5, 6), 1));
    cr_assert(eq(sz, s.n, 2));
    cr_assert(sky_ranges_has(&s, top - 1));
    cr_assert(not(sky_ranges_has(&s, top)));
    cr_assert(eq(u64, sky_ranges_add(&s, 6, top - 5), top - 11));
    cr_assert(eq(sz, s.n, 1));
    cr_assert(eq(u64, s.count, top));
    cr_assert(eq(u64, sky_ranges_remove(&s, 1, 2), 1));
    cr_assert(eq(u64, sky_ranges_at(&s, s.count - 1), top - 1));
    sky_ranges_free(&s);
}

Test(ranges, empty_spans_and_sets)
{
    sky_ranges s = {0}, none = {0};
    cr_assert(eq(u64, sky_ranges_add(&s, 7, 7), 0));
    cr_assert(eq(u64, sky_ranges_remove(&s, 0, 100), 0));
    cr_assert(not(sky_ranges_has(&s, 0)));
    cr_assert(not(sky_ranges_overlaps(&s, 0, 100)));
    cr_assert(sky_ranges_copy(&s, &none));
    sky_ranges_add(&s, 3, 9);
    cr_assert(not(sky_ranges_overlaps(&s, 5, 5)), "an empty span overlaps nothing");
    cr_assert(sky_ranges_add_all(&s, &s));
    cr_assert(eq(u64, s.count, 6));
    cr_assert(sky_ranges_remove_all(&s, &s));
    cr_assert(eq(u64, s.count, 0));
    sky_ranges_clear(&s);
    sky_ranges_free(&s);
    sky_ranges_free(&s);
}

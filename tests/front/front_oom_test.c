/* Fails each allocation in turn (the linker routes those of this program here), and checks what the
 * headers promise: an error, nothing changed, nothing leaked (under a sanitizer), and all well on
 * the next try. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/ranges.h"
#include "tests/failing_alloc.h"
#include "tests/front/points.h"

/* Inserts all points, failing an allocation at random; the result must be the front nonetheless. */
static void grow_with_failures(sky_rng *r, size_t n, size_t k)
{
    sky_goal goals[SKY_OBJECTIVES_MAX];
    random_goals(r, k, goals);
    double *values = random_points(r, sky_rng_below(r, 2) ? NEAR : GRID, n, k);
    sky_front *f = NULL;
    until_failure = 0;
    cr_assert(sky_front_new(k, goals) == NULL);
    until_failure = -1;
    f = sky_front_new(k, goals);
    size_t n_failed = 0;
    for (size_t i = 0; i < n; i++) {
        size_t size = sky_front_size(f);
        sky_front_change change;
        until_failure = (long)sky_rng_below(r, 6);
        sky_err err = sky_front_insert(f, i, values + i * k, &change);
        until_failure = -1;
        if (err != SKY_OK) {
            n_failed++;
            cr_assert(eq(int, err, SKY_ENOMEM));
            cr_assert(eq(sz, sky_front_size(f), size), "unchanged");
            cr_assert(eq(int, sky_front_insert(f, i, values + i * k, &change), SKY_OK));
        }
    }
    sky_front_view view = {.n = 12345};
    until_failure = 0;
    cr_assert(eq(int, sky_front_look(f, &view), SKY_ENOMEM));
    until_failure = -1;
    cr_assert(eq(sz, view.n, 12345), "untouched");
    cr_assert(eq(int, sky_front_look(f, &view), SKY_OK));
    size_t expected = 0;
    for (size_t i = 0; i < n; i++)
        expected += brute_on_front(values, n, k, goals, i);
    cr_assert(eq(sz, view.n, expected));
    for (size_t i = 0; i < view.n; i++)
        cr_assert(brute_on_front(values, n, k, goals, view.ids[i]));
    cr_assert(gt(sz, n_failed, 0));
    sky_front_free(f);
    free(values);
}

Test(front_oom, a_growing_front_survives)
{
    sky_rng r = test_rng("front_oom");
    for (int round = 0; round < 3; round++)
        for (size_t k = 1; k <= 5; k++)
            grow_with_failures(&r, 1500, k);
}

Test(front_oom, batch_and_volume_say_so)
{
    sky_rng r = test_rng("batch_oom");
    enum { N = 600 };
    for (size_t k = 1; k <= 5; k++) {
        sky_goal goals[SKY_OBJECTIVES_MAX];
        random_goals(&r, k, goals);
        double *values = random_points(&r, NEAR, N, k), reference[SKY_OBJECTIVES_MAX], volume = 5;
        const double *columns[SKY_OBJECTIVES_MAX];
        for (size_t j = 0; j < k; j++) {
            columns[j] = values + j * N; /* any N values will do */
            reference[j] = goals[j] == SKY_MIN ? 1 : 0;
        }
        uint8_t on_front[N];
        bool done = false;
        for (long at = 0; !done; at++) {
            until_failure = at;
            sky_err err = sky_front_batch(columns, N, k, goals, on_front, NULL, NULL);
            done = until_failure >= 0; /* fewer allocations than that */
            until_failure = -1;
            cr_assert(eq(int, err, done ? SKY_OK : SKY_ENOMEM));
        }
        done = false;
        for (long at = 0; !done; at++) {
            until_failure = at;
            sky_err err = sky_hypervolume(values, k > 4 ? 20 : 100, k, goals, reference, &volume);
            done = until_failure >= 0;
            until_failure = -1;
            cr_assert(eq(int, err, done ? SKY_OK : SKY_ENOMEM));
            if (!done)
                cr_assert(eq(dbl, volume, 5), "untouched");
        }
        free(values);
    }
}

Test(front_oom, ranges_stay_as_they_were)
{
    sky_rng r = test_rng("ranges_oom");
    sky_ranges s = {0};
    for (int i = 0; i < 3000; i++) {
        uint64_t begin = sky_rng_below(&r, 100000), end = begin + sky_rng_below(&r, 5);
        uint64_t count = s.count;
        size_t n = s.n;
        until_failure = 0;
        uint64_t changed =
            i % 3 ? sky_ranges_add(&s, begin, end) : sky_ranges_remove(&s, begin, end);
        until_failure = -1;
        if (changed == UINT64_MAX) {
            cr_assert(eq(u64, s.count, count));
            cr_assert(eq(sz, s.n, n));
            cr_assert(ne(u64, sky_ranges_add(&s, begin, end), UINT64_MAX));
        }
    }
    sky_ranges_free(&s);
}

Test(front_oom, a_buffer_remembers)
{
    sky_buf b = {0};
    until_failure = 0;
    sky_buf_puts(&b, "lost");
    until_failure = -1;
    sky_buf_puts(&b, "also lost");
    cr_assert(not(sky_buf_ok(&b)));
    cr_assert(eq(sz, b.len, 0));
    cr_assert(sky_buf_detach(&b) == NULL);
}

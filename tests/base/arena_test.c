#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "tests/base/property.h"

Test(arena, memory_is_zeroed_aligned_and_apart)
{
    sky_rng r = test_rng("arena");
    sky_arena a = {0};
    enum { N = 2000 };
    static unsigned char *blocks[N];
    static size_t sizes[N];
    for (int round = 0; round < 3; round++) {
        size_t total = 0;
        for (int i = 0; i < N; i++) {
            size_t align = (size_t)1 << sky_rng_below(&r, 7);
            sizes[i] = (size_t)sky_rng_below(&r, i % 100 ? 200 : 20000);
            blocks[i] = sky_arena_alloc(&a, sizes[i], 1, align);
            cr_assert(blocks[i] != NULL);
            cr_assert(eq(uptr, (uintptr_t)blocks[i] % align, 0));
            for (size_t at = 0; at < sizes[i]; at++)
                cr_assert(eq(u8, blocks[i][at], 0), "also after a reset");
            memset(blocks[i], i & 0xff, sizes[i]);
            total += sizes[i];
        }
        cr_assert(eq(sz, a.used_bytes, total));
        for (int i = 0; i < N; i++)
            for (size_t at = 0; at < sizes[i]; at++)
                cr_assert(eq(u8, blocks[i][at], i & 0xff), "no overlap");
        sky_arena_reset(&a);
        cr_assert(eq(sz, a.used_bytes, 0));
    }
    sky_arena_free(&a);
    cr_assert(a.head == NULL);
    sky_arena_free(&a); /* twice is harmless */
    sky_arena_reset(&a);
}

Test(arena, text)
{
    sky_arena a = {0};
    cr_assert(eq(str, sky_arena_strdup(&a, "front"), "front"));
    cr_assert(eq(str, sky_arena_strdup(&a, ""), ""));
    cr_assert(eq(str, sky_arena_strndup(&a, "frontier", 5), "front"));
    cr_assert(eq(str, sky_arena_printf(&a, "%s-%d", "a", 7), "a-7"));
    char *padded = sky_arena_printf(&a, "%5000d", 1);
    cr_assert(eq(sz, strlen(padded), 5000));
    sky_arena_free(&a);
}

Test(arena, impossible_sizes_are_refused)
{
    sky_arena a = {0};
    cr_assert(sky_arena_alloc(&a, SIZE_MAX, 8, 8) == NULL);
    cr_assert(sky_arena_alloc(&a, SIZE_MAX / 2, 1, 8) == NULL);
    cr_assert(sky_arena_alloc(&a, 1, SIZE_MAX - 4, 8) == NULL);
    cr_assert(sky_arena_strndup(&a, "x", SIZE_MAX) == NULL);
    cr_assert(eq(sz, a.used_bytes, 0));
    int *numbers = sky_new(&a, int, 4);
    cr_assert(numbers != NULL, "usable after a refusal");
    sky_arena_free(&a);
}

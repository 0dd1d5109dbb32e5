/* Sorting row numbers by columns of doubles.
 *
 * Comparison sorts of 10^6 doubles spend their time in mispredicted branches. Here a column is
 * scaled to 32-bit integers by a monotone map, these are sorted with a least-significant-digit
 * radix sort (three passes over 8-byte items), and the few runs that the map did not tell apart are
 * sorted again: among themselves, and by their bit patterns, so that a skewed column narrows by
 * 2^32 (small runs: 2^16) per level whatever its distribution is. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "front/front_internal.h"

typedef struct item {
    uint32_t key;
    uint32_t row;
} item;

enum { INSERTION_MAX = 24, SMALL_MAX = 4096, DIGIT_BITS_MAX = 11, PASSES_MAX = 3 };

/* The bit pattern of a double as an integer of the same order; equal values have equal ones. */
static uint64_t ordered_bits(double x)
{
    uint64_t bits;
    x += 0.0; /* a negative zero becomes a positive one */
    memcpy(&bits, &x, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static bool comes_before(const sky__column *columns, size_t k, uint32_t a, uint32_t b)
{
    for (size_t j = 0; j < k; j++) {
        double x = sky__at(&columns[j], a), y = sky__at(&columns[j], b);
        if (x != y)
            return x < y;
    }
    return false;
}

static void insertion_sort(const sky__column *columns, size_t k, item *a, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        item moving = a[i];
        size_t j = i;
        for (; j > 0 && comes_before(columns, k, moving.row, a[j - 1].row); j--)
            a[j] = a[j - 1];
        a[j] = moving;
    }
}

/* Sets keys of key_bits bits. False if all values are equal. */
static bool set_keys(const sky__column *c, item *a, size_t n, int key_bits, bool by_bits)
{
    double low = sky__at(c, a[0].row), high = low;
    for (size_t i = 1; i < n; i++) {
        double x = sky__at(c, a[i].row);
        low = x < low ? x : low;
        high = x > high ? x : high;
    }
    if (low == high)
        return false;
    /* A little below the largest key: the product may round up. */
    double scale = ldexp(1.0 - 0x1p-10, key_bits) / (high - low);
    if (!by_bits && isfinite(high - low) && isfinite(scale)) {
        for (size_t i = 0; i < n; i++)
            a[i].key = (uint32_t)((sky__at(c, a[i].row) - low) * scale);
        return true;
    }
    uint64_t base = ordered_bits(low);
    uint64_t span = ordered_bits(high) - base;
    int shift = 64 - __builtin_clzll(span) - key_bits;
    shift = shift > 0 ? shift : 0;
    for (size_t i = 0; i < n; i++)
        a[i].key = (uint32_t)((ordered_bits(sky__at(c, a[i].row)) - base) >> shift);
    return true;
}

/* Sorts a by key; tmp has room for n too. The result is in a. */
static void radix_sort(item *a, item *tmp, size_t n, int digit_bits, int passes)
{
    uint32_t counts[PASSES_MAX][1 << DIGIT_BITS_MAX];
    uint32_t mask = ((uint32_t)1 << digit_bits) - 1;
    for (int p = 0; p < passes; p++)
        memset(counts[p], 0, (mask + 1) * sizeof counts[p][0]);
    for (size_t i = 0; i < n; i++)
        for (int p = 0; p < passes; p++)
            counts[p][a[i].key >> (p * digit_bits) & mask]++;
    item *from = a, *to = tmp;
    for (int p = 0; p < passes; p++) {
        int shift = p * digit_bits;
        if (counts[p][from[0].key >> shift & mask] == n)
            continue; /* all alike in this digit */
        uint32_t sum = 0;
        for (uint32_t d = 0; d <= mask; d++) {
            uint32_t count = counts[p][d];
            counts[p][d] = sum;
            sum += count;
        }
        for (size_t i = 0; i < n; i++)
            to[counts[p][from[i].key >> shift & mask]++] = from[i];
        item *swap = from;
        from = to;
        to = swap;
    }
    if (from != a)
        memcpy(a, from, n * sizeof *a);
}

/* Equal values have equal keys, so a run of equal keys is all that the next columns can order. */
static void sort_items(const sky__column *columns, size_t k, item *a, item *tmp, size_t n,
                       bool by_bits)
{
    if (n <= INSERTION_MAX) {
        insertion_sort(columns, k, a, n);
        return;
    }
    bool small = n <= SMALL_MAX;
    int digit_bits = small ? 8 : DIGIT_BITS_MAX, passes = small ? 2 : PASSES_MAX;
    if (!set_keys(&columns[0], a, n, small ? 16 : 32, by_bits)) {
        if (k > 1)
            sort_items(columns + 1, k - 1, a, tmp, n, false);
        return;
    }
    radix_sort(a, tmp, n, digit_bits, passes);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && a[end].key == a[i].key; end++)
            continue;
        /* The depth is bounded: each level by bits fixes at least 16 of 64. */
        if (end - i > 1)
            sort_items(columns, k, a + i, tmp + i, end - i, true);
    }
}

bool sky__order_rows(const sky__column *columns, size_t k, uint32_t *rows, size_t n)
{
    assert(n <= UINT32_MAX && k >= 1);
    if (n < 2)
        return true;
    item *a = malloc(2 * n * sizeof *a); /* and as much again for the radix sort */
    if (!a)
        return false;
    for (size_t i = 0; i < n; i++)
        a[i].row = rows[i];
    sort_items(columns, k, a, a + n, n, false);
    for (size_t i = 0; i < n; i++)
        rows[i] = a[i].row;
    free(a);
    return true;
}

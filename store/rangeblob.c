#include "store/store_internal.h"

#include <stdlib.h>
#include <string.h>

bool sky__spans_add(sky__spans *s, uint64_t begin, uint64_t end)
{
    if (begin >= end)
        return true;
    if (s->n == 0)
        s->sorted = true;
    if (s->n > 0 && s->r[s->n - 1].end == begin) {
        s->r[s->n - 1].end = end;
        return true;
    }
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        sky_range *grown = realloc(s->r, cap * sizeof *grown);
        if (!grown)
            return false;
        s->r = grown;
        s->cap = cap;
    }
    if (s->n > 0 && begin < s->r[s->n - 1].end)
        s->sorted = false;
    s->r[s->n++] = (sky_range){begin, end};
    return true;
}

bool sky__spans_add_set(sky__spans *s, const sky_ranges *set)
{
    for (size_t i = 0; i < set->n; i++) {
        if (!sky__spans_add(s, set->r[i].begin, set->r[i].end))
            return false;
    }
    return true;
}

static int by_begin(const void *a, const void *b)
{
    const sky_range *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

/* Bottom-up merging of the runs that are there already: the list is a few sorted batches in a row, and
 * qsort() would neither see that nor tell when it is out of memory. */
static bool merge_runs(sky__spans *s)
{
    sky_range *from = s->r, *to = malloc(s->n * sizeof *to);
    if (!to)
        return false;
    sky_range *const spare = to;
    for (;;) {
        size_t runs = 0;
        for (size_t i = 0; i < s->n; runs++) {
            size_t mid = i + 1;
            while (mid < s->n && by_begin(&from[mid - 1], &from[mid]) <= 0)
                mid++;
            size_t end = mid + (mid < s->n);
            while (end < s->n && by_begin(&from[end - 1], &from[end]) <= 0)
                end++;
            size_t a = i, b = mid;
            for (size_t k = i; k < end; k++)
                to[k] = b >= end || (a < mid && by_begin(&from[a], &from[b]) <= 0) ? from[a++]
                                                                                   : from[b++];
            i = end;
        }
        sky_range *swap = from;
        from = to;
        to = swap;
        if (runs <= 1)
            break;
    }
    if (from != s->r)
        memcpy(s->r, from, s->n * sizeof *from);
    free(spare);
    return true;
}

bool sky__spans_normalize(sky__spans *s)
{
    if (s->n == 0 || s->sorted)
        return true; /* sorted means disjoint and not adjacent too: see sky__spans_add() */
    if (!merge_runs(s))
        return false;
    size_t out = 0;
    for (size_t i = 1; i < s->n; i++) {
        if (s->r[i].begin > s->r[out].end)
            s->r[++out] = s->r[i];
        else if (s->r[i].end > s->r[out].end)
            s->r[out].end = s->r[i].end;
    }
    s->n = out + 1;
    s->sorted = true;
    return true;
}

uint64_t sky__spans_count(const sky__spans *s)
{
    uint64_t count = 0;
    for (size_t i = 0; i < s->n; i++)
        count += s->r[i].end - s->r[i].begin;
    return count;
}

void sky__spans_clear(sky__spans *s)
{
    s->n = 0;
    s->sorted = true;
}

void sky__spans_free(sky__spans *s)
{
    free(s->r);
    *s = (sky__spans){0};
}

bool sky__spans_detach(sky__spans *s, sky_ranges *out)
{
    if (!sky__spans_normalize(s))
        return false;
    *out = (sky_ranges){.r = s->r, .n = s->n, .cap = s->cap, .count = sky__spans_count(s)};
    *s = (sky__spans){0};
    return true;
}

bool sky__spans_equal(const sky__spans *a, const sky__spans *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->r, b->r, a->n * sizeof *a->r) == 0);
}

static void put_varint(sky_buf *b, uint64_t x)
{
    uint8_t bytes[10];
    size_t n = 0;
    for (; x >= 0x80; x >>= 7)
        bytes[n++] = (uint8_t)(x | 0x80);
    bytes[n++] = (uint8_t)x;
    sky_buf_add(b, bytes, n);
}

bool sky__spans_encode(const sky__spans *s, sky_buf *out)
{
    uint64_t end = 0;
    for (size_t i = 0; i < s->n; i++) {
        put_varint(out, s->r[i].begin - end);
        put_varint(out, s->r[i].end - s->r[i].begin - 1);
        end = s->r[i].end;
    }
    return sky_buf_ok(out);
}

static bool get_varint(const uint8_t **at, const uint8_t *end, uint64_t *out)
{
    uint64_t x = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        if (shift == 63 && byte > 1)
            return false;
        x |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *out = x;
            return true;
        }
    }
    return false;
}

sky_err sky__spans_decode(sky__spans *out, const void *blob, size_t len)
{
    const uint8_t *at = blob, *end = at + len;
    uint64_t last = 0;
    while (len > 0 && at < end) {
        uint64_t gap, less_one;
        if (!get_varint(&at, end, &gap) || !get_varint(&at, end, &less_one))
            return SKY_EFORMAT;
        if (gap > INT64_MAX - last || less_one >= INT64_MAX - last - gap)
            return SKY_EFORMAT; /* numbers are positive and fit in an SQLite integer */
        uint64_t begin = last + gap;
        last = begin + less_one + 1;
        if (!sky__spans_add(out, begin, last))
            return SKY_ENOMEM;
    }
    return SKY_OK;
}

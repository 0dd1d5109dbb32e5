#include "base/ranges.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void sky_ranges_free(sky_ranges *s)
{
    free(s->r);
    *s = (sky_ranges){0};
}

void sky_ranges_clear(sky_ranges *s)
{
    s->n = 0;
    s->count = 0;
}

static bool reserve(sky_ranges *s, size_t n)
{
    if (n <= s->cap)
        return true;
    size_t cap = s->cap < 8 ? 8 : s->cap;
    while (cap < n)
        cap *= 2;
    sky_range *r = realloc(s->r, cap * sizeof *r);
    if (!r)
        return false;
    s->r = r;
    s->cap = cap;
    return true;
}

/* The first range whose end is above x: the one that holds x, if any does. */
static size_t find_end_above(const sky_ranges *s, uint64_t x)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->r[mid].end > x)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

/* The first range that begins at x or above, looked for from range `low` on. */
static size_t find_begin_from(const sky_ranges *s, size_t low, uint64_t x)
{
    size_t high = s->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->r[mid].begin >= x)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

/* Replaces ranges [first, last) by n new ones; room must have been reserved. */
static void splice(sky_ranges *s, size_t first, size_t last, const sky_range *with, size_t n)
{
    assert(s->n - (last - first) + n <= s->cap);
    if (s->n > last)
        memmove(s->r + first + n, s->r + last, (s->n - last) * sizeof *s->r);
    if (n)
        memcpy(s->r + first, with, n * sizeof *s->r);
    s->n = s->n - (last - first) + n;
}

static uint64_t overlap(const sky_range *r, uint64_t begin, uint64_t end)
{
    uint64_t low = r->begin > begin ? r->begin : begin;
    uint64_t high = r->end < end ? r->end : end;
    return low < high ? high - low : 0;
}

uint64_t sky_ranges_add(sky_ranges *s, uint64_t begin, uint64_t end)
{
    assert(begin <= end);
    if (begin == end)
        return 0;
    if (!reserve(s, s->n + 1))
        return UINT64_MAX;
    /* Neighbours that only touch are merged too: hence the end of the first at begin itself, and
     * the beginning of the last at end itself. */
    size_t first = begin ? find_end_above(s, begin - 1) : 0;
    size_t last = end < UINT64_MAX ? find_begin_from(s, first, end + 1) : s->n;
    uint64_t present = 0;
    sky_range merged = {begin, end};
    for (size_t i = first; i < last; i++)
        present += overlap(&s->r[i], begin, end);
    if (first < last) {
        merged.begin = s->r[first].begin < begin ? s->r[first].begin : begin;
        merged.end = s->r[last - 1].end > end ? s->r[last - 1].end : end;
    }
    splice(s, first, last, &merged, 1);
    uint64_t added = end - begin - present;
    s->count += added;
    return added;
}

uint64_t sky_ranges_remove(sky_ranges *s, uint64_t begin, uint64_t end)
{
    assert(begin <= end);
    if (begin == end)
        return 0;
    size_t first = find_end_above(s, begin);
    size_t last = find_begin_from(s, first, end);
    if (first == last)
        return 0;
    if (!reserve(s, s->n + 1)) /* a hole in the middle of a range makes two of it */
        return UINT64_MAX;
    uint64_t removed = 0;
    for (size_t i = first; i < last; i++)
        removed += overlap(&s->r[i], begin, end);
    sky_range rest[2];
    size_t n_rest = 0;
    if (s->r[first].begin < begin)
        rest[n_rest++] = (sky_range){s->r[first].begin, begin};
    if (s->r[last - 1].end > end)
        rest[n_rest++] = (sky_range){end, s->r[last - 1].end};
    splice(s, first, last, rest, n_rest);
    s->count -= removed;
    return removed;
}

bool sky_ranges_has(const sky_ranges *s, uint64_t x)
{
    size_t i = find_end_above(s, x);
    return i < s->n && s->r[i].begin <= x;
}

bool sky_ranges_overlaps(const sky_ranges *s, uint64_t begin, uint64_t end)
{
    assert(begin <= end);
    size_t i = find_end_above(s, begin);
    return begin < end && i < s->n && s->r[i].begin < end;
}

uint64_t sky_ranges_count_in(const sky_ranges *s, uint64_t begin, uint64_t end)
{
    assert(begin <= end);
    uint64_t count = 0;
    for (size_t i = find_end_above(s, begin); i < s->n && s->r[i].begin < end; i++)
        count += overlap(&s->r[i], begin, end);
    return count;
}

/* Appends a range whose begin is not below any range of out; merges it if it touches the last. */
static bool append(sky_ranges *out, uint64_t begin, uint64_t end)
{
    if (begin >= end)
        return true;
    if (out->n && out->r[out->n - 1].end >= begin) {
        sky_range *last = &out->r[out->n - 1];
        if (end > last->end) {
            out->count += end - last->end;
            last->end = end;
        }
        return true;
    }
    if (!reserve(out, out->n + 1))
        return false;
    out->r[out->n++] = (sky_range){begin, end};
    out->count += end - begin;
    return true;
}

/* A few ranges are added one by one, many by one merge of both lists: O(n + m) instead of O(n m).
 */
enum { FEW_RANGES = 4 };

bool sky_ranges_add_all(sky_ranges *s, const sky_ranges *other)
{
    if (s == other)
        return true;
    if (other->n <= FEW_RANGES) {
        for (size_t i = 0; i < other->n; i++)
            if (sky_ranges_add(s, other->r[i].begin, other->r[i].end) == UINT64_MAX)
                return false;
        return true;
    }
    sky_ranges sum = {0};
    if (!reserve(&sum, s->n + other->n))
        return false;
    for (size_t i = 0, j = 0; i < s->n || j < other->n;) {
        bool mine = j == other->n || (i < s->n && s->r[i].begin <= other->r[j].begin);
        const sky_range *r = mine ? &s->r[i++] : &other->r[j++];
        append(&sum, r->begin, r->end); /* cannot fail: reserved */
    }
    sky_ranges_free(s);
    *s = sum;
    return true;
}

bool sky_ranges_remove_all(sky_ranges *s, const sky_ranges *other)
{
    if (s == other) {
        sky_ranges_clear(s);
        return true;
    }
    if (other->n <= FEW_RANGES) {
        for (size_t i = 0; i < other->n; i++)
            if (sky_ranges_remove(s, other->r[i].begin, other->r[i].end) == UINT64_MAX)
                return false;
        return true;
    }
    sky_ranges rest = {0};
    if (!reserve(&rest, s->n + other->n))
        return false;
    size_t j = 0;
    for (size_t i = 0; i < s->n; i++) {
        uint64_t at = s->r[i].begin, end = s->r[i].end;
        while (j < other->n && other->r[j].end <= at)
            j++;
        for (size_t k = j; k < other->n && other->r[k].begin < end; k++) {
            append(&rest, at, other->r[k].begin); /* cannot fail: reserved */
            at = other->r[k].end;
            j = k; /* a hole may reach into the next range too */
        }
        append(&rest, at, end);
    }
    sky_ranges_free(s);
    *s = rest;
    return true;
}

bool sky_ranges_intersect(sky_ranges *out, const sky_ranges *a, const sky_ranges *b)
{
    assert(out != a && out != b);
    sky_ranges_clear(out);
    for (size_t i = 0, j = 0; i < a->n && j < b->n;) {
        const sky_range *x = &a->r[i], *y = &b->r[j];
        uint64_t begin = x->begin > y->begin ? x->begin : y->begin;
        uint64_t end = x->end < y->end ? x->end : y->end;
        if (!append(out, begin, end))
            return false;
        if (x->end < y->end)
            i++;
        else
            j++;
    }
    return true;
}

bool sky_ranges_copy(sky_ranges *out, const sky_ranges *s)
{
    if (out == s)
        return true;
    if (!reserve(out, s->n))
        return false;
    if (s->n)
        memcpy(out->r, s->r, s->n * sizeof *s->r);
    out->n = s->n;
    out->count = s->count;
    return true;
}

uint64_t sky_ranges_take(sky_ranges *s, uint64_t max, sky_ranges *out)
{
    assert(s != out);
    uint64_t taken = 0;
    size_t whole = 0; /* ranges of s that went completely */
    for (; whole < s->n && taken + (s->r[whole].end - s->r[whole].begin) <= max; whole++)
        taken += s->r[whole].end - s->r[whole].begin;
    bool part = whole < s->n && taken < max;
    if (!reserve(out, out->n + whole + part))
        return UINT64_MAX;
    for (size_t i = 0; i < whole; i++) {
        assert(out->n == 0 || out->r[out->n - 1].end <= s->r[i].begin);
        append(out, s->r[i].begin, s->r[i].end); /* cannot fail: reserved */
    }
    if (part) {
        uint64_t more = max - taken;
        assert(out->n == 0 || out->r[out->n - 1].end <= s->r[whole].begin);
        append(out, s->r[whole].begin, s->r[whole].begin + more);
        s->r[whole].begin += more;
        taken += more;
    }
    splice(s, 0, whole, NULL, 0);
    s->count -= taken;
    return taken;
}

uint64_t sky_ranges_at(const sky_ranges *s, uint64_t k)
{
    assert(k < s->count);
    size_t i = 0;
    for (; k >= s->r[i].end - s->r[i].begin; i++)
        k -= s->r[i].end - s->r[i].begin;
    return s->r[i].begin + k;
}

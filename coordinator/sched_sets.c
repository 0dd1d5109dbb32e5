/* Sets of positions, and the table of positions that failed. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "coordinator/sched_internal.h"

sky_ranges sky__set_view(const sky_range_list *l)
{
    sky_ranges v = {.n = l->n, .cap = l->n, .count = sky_range_list_count(l)};
    memcpy(&v.r, &l->r, sizeof v.r); /* casts const away: callers keep the result const */
    return v;
}

/* The ranges of s that reach into [begin, end). Their ends may lie outside. */
static sky_range_list window(const sky_ranges *s, uint64_t begin, uint64_t end)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->r[mid].end > begin)
            high = mid;
        else
            low = mid + 1;
    }
    size_t first = low;
    high = s->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->r[mid].begin >= end)
            high = mid;
        else
            low = mid + 1;
    }
    return (sky_range_list){.r = s->r + first, .n = low - first};
}

/* A look at a small part of a large set: what is done next costs what that part costs. */
static sky_ranges window_of(const sky_ranges *s, const sky_ranges *x)
{
    if (x->n == 0 || s->n == 0)
        return (sky_ranges){0};
    sky_range_list l = window(s, x->r[0].begin, x->r[x->n - 1].end);
    sky_ranges v = {.n = l.n, .cap = l.n};
    memcpy(&v.r, &l.r, sizeof v.r);
    return v;
}

bool sky__set_subtract(sky_ranges *x, const sky_ranges *set)
{
    sky_ranges part = window_of(set, x);
    return part.n == 0 || sky_ranges_remove_all(x, &part);
}

bool sky__set_extract(sky_ranges *from, const sky_ranges *x, sky_ranges *out)
{
    sky_ranges part = window_of(from, x), common = {0};
    if (part.n == 0)
        return true;
    bool ok = sky_ranges_intersect(&common, &part, x) && sky_ranges_add_all(out, &common) &&
              sky_ranges_remove_all(from, &common);
    sky_ranges_free(&common);
    return ok;
}

bool sky__set_clip(sky_ranges *x, uint64_t end)
{
    return x->n == 0 || x->r[x->n - 1].end <= end ||
           sky_ranges_remove(x, end, UINT64_MAX) != UINT64_MAX;
}

/* --- Attempts --- */

static size_t home(const sky__attempts *t, uint64_t position)
{
    return (size_t)sky_hash_u64(0, position) & (t->cap - 1);
}

static size_t probe(const sky__attempts *t, uint64_t position)
{
    size_t i = home(t, position);
    while (t->slots[i].used && t->slots[i].position != position)
        i = (i + 1) & (t->cap - 1);
    return i;
}

sky__attempt *sky__attempt_find(const sky__attempts *t, uint64_t position)
{
    if (t->n == 0)
        return NULL;
    sky__attempt *a = &t->slots[probe(t, position)];
    return a->used ? a : NULL;
}

static bool resize(sky__attempts *t, size_t cap)
{
    sky__attempts bigger = {.slots = calloc(cap, sizeof *t->slots), .n = t->n, .cap = cap};
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < t->cap; i++) {
        if (t->slots[i].used)
            bigger.slots[probe(&bigger, t->slots[i].position)] = t->slots[i];
    }
    free(t->slots);
    *t = bigger;
    return true;
}

sky__attempt *sky__attempt_get(sky__attempts *t, uint64_t position)
{
    if (t->n + 1 > t->cap - t->cap / 4 && !resize(t, t->cap ? t->cap * 2 : 16))
        return NULL;
    sky__attempt *a = &t->slots[probe(t, position)];
    if (!a->used) {
        *a = (sky__attempt){.position = position, .used = 1};
        t->n++;
    }
    return a;
}

void sky__attempt_drop(sky__attempts *t, uint64_t position)
{
    if (t->n == 0)
        return;
    size_t hole = probe(t, position);
    if (!t->slots[hole].used)
        return;
    t->n--;
    /* Closes the gap: whoever was pushed past it moves back, so that probing still finds them. */
    for (size_t i = (hole + 1) & (t->cap - 1); t->slots[i].used; i = (i + 1) & (t->cap - 1)) {
        size_t wants = home(t, t->slots[i].position);
        if (((i - wants) & (t->cap - 1)) >= ((i - hole) & (t->cap - 1))) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    }
    t->slots[hole].used = 0;
}

void sky__attempts_drop_in(sky__attempts *t, const sky_ranges *positions)
{
    if (t->n == 0 || positions->count == 0)
        return;
    if (positions->count <= t->cap) {
        for (size_t i = 0; i < positions->n; i++) {
            for (uint64_t p = positions->r[i].begin; p < positions->r[i].end; p++)
                sky__attempt_drop(t, p);
        }
        return;
    }
    for (size_t i = 0; i < t->cap;) {
        uint64_t p = t->slots[i].position;
        if (t->slots[i].used && sky_ranges_has(positions, p))
            sky__attempt_drop(t, p); /* another may move here: look again */
        else
            i++;
    }
}

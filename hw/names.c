#include "hw/names.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/hash.h"

enum { FIRST_CAP = 64 };

static int32_t *slot_of(const sky__names *t, const char *s, size_t len)
{
    const uint32_t mask = (uint32_t)t->n_slots - 1;
    uint32_t i = (uint32_t)sky_hash_bytes(0, s, len) & mask;
    for (;; i = (i + 1) & mask) { /* ends: at most half of the slots are taken */
        int32_t *slot = &t->slot[i];
        if (*slot == 0)
            return slot;
        const char *name = t->name[*slot - 1];
        if (strncmp(name, s, len) == 0 && name[len] == 0)
            return slot;
    }
}

static bool grow(sky__names *t)
{
    const int32_t cap = t->cap ? 2 * t->cap : FIRST_CAP;
    const char **name = sky_new(t->arena, const char *, (size_t)cap);
    int32_t *slot = sky_new(t->arena, int32_t, 2 * (size_t)cap);
    if (!name || !slot)
        return false;
    if (t->n > 0)
        memcpy(name, t->name, (size_t)t->n * sizeof *name);
    t->name = name;
    t->slot = slot;
    t->cap = cap;
    t->n_slots = 2 * cap;
    for (int32_t i = 0; i < t->n; i++)
        *slot_of(t, name[i], strlen(name[i])) = i + 1;
    return true;
}

int32_t sky__names_find(const sky__names *t, const char *s, size_t len)
{
    return t->n ? *slot_of(t, s, len) - 1 : -1;
}

int32_t sky__names_add(sky__names *t, const char *s, size_t len)
{
    assert(t->arena && t->n < INT32_MAX / 4);
    if (t->n == t->cap && !grow(t))
        return -1;
    int32_t *slot = slot_of(t, s, len);
    if (*slot == 0) {
        char *copy = sky_arena_strndup(t->arena, s, len);
        if (!copy)
            return -1;
        t->name[t->n++] = copy;
        *slot = t->n;
    }
    return *slot - 1;
}

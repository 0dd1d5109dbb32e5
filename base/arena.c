#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sky_arena_block {
    sky_arena_block *next; /* older and, but for oversized requests, smaller */
    size_t cap;
    size_t used;
    _Alignas(max_align_t) unsigned char bytes[];
};

enum { BLOCK_BYTES_MIN = 4096, BLOCK_BYTES_GROWTH_MAX = 1 << 24 };

/* Offset in the block at which size bytes fit with that alignment; SIZE_MAX if they do not. */
static size_t place(const sky_arena_block *block, size_t size, size_t align)
{
    size_t pad = (size_t)(-(uintptr_t)(block->bytes + block->used)) & (align - 1);
    size_t room = block->cap - block->used;
    if (pad > room || size > room - pad)
        return SIZE_MAX;
    return block->used + pad;
}

static sky_arena_block *add_block(sky_arena *a, size_t bytes_min)
{
    size_t cap = a->head ? a->head->cap : BLOCK_BYTES_MIN / 2;
    cap = cap < BLOCK_BYTES_GROWTH_MAX ? cap * 2 : cap;
    cap = cap < bytes_min ? bytes_min : cap;
    if (cap > SIZE_MAX - sizeof(sky_arena_block))
        return NULL;
    sky_arena_block *block = malloc(sizeof *block + cap);
    if (!block)
        return NULL;
    block->cap = cap;
    block->used = 0;
    block->next = a->head;
    a->head = block;
    return block;
}

void *sky_arena_alloc(sky_arena *a, size_t count, size_t size, size_t align)
{
    assert(size > 0);
    assert(align > 0 && (align & (align - 1)) == 0);
    if (count > (SIZE_MAX / 2 - align) / size)
        return NULL;
    size_t bytes = count * size;
    size_t at = a->head ? place(a->head, bytes, align) : SIZE_MAX;
    if (at == SIZE_MAX) {
        if (!add_block(a, bytes + align))
            return NULL;
        at = place(a->head, bytes, align);
        assert(at != SIZE_MAX);
    }
    a->head->used = at + bytes;
    a->used_bytes += bytes;
    return memset(a->head->bytes + at, 0, bytes);
}

char *sky_arena_strndup(sky_arena *a, const char *text, size_t len)
{
    if (len == SIZE_MAX)
        return NULL;
    char *copy = sky_arena_alloc(a, len + 1, 1, 1);
    if (copy)
        memcpy(copy, text, len);
    return copy;
}

char *sky_arena_strdup(sky_arena *a, const char *text)
{
    return sky_arena_strndup(a, text, strlen(text));
}

char *sky_arena_printf(sky_arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0)
        return NULL;
    char *text = sky_arena_alloc(a, (size_t)len + 1, 1, 1);
    if (!text)
        return NULL;
    va_start(ap, fmt);
    vsnprintf(text, (size_t)len + 1, fmt, ap);
    va_end(ap);
    return text;
}

void sky_arena_reset(sky_arena *a)
{
    sky_arena_block *largest = a->head;
    for (sky_arena_block *block = a->head; block; block = block->next)
        if (block->cap > largest->cap)
            largest = block;
    for (sky_arena_block *block = a->head, *next; block; block = next) {
        next = block->next;
        if (block != largest)
            free(block);
    }
    if (largest) {
        largest->next = NULL;
        largest->used = 0;
    }
    a->head = largest;
    a->used_bytes = 0;
}

void sky_arena_free(sky_arena *a)
{
    for (sky_arena_block *block = a->head, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    *a = (sky_arena){0};
}

/* An arena: many small allocations with one lifetime, freed together.
 *
 * Blocks grow by doubling. Allocation returns zeroed memory, NULL when out of memory. */
#ifndef SKY_BASE_ARENA_H
#define SKY_BASE_ARENA_H

#include <stddef.h>

typedef struct sky_arena_block sky_arena_block;

typedef struct sky_arena {
    sky_arena_block *head; /* newest block; NULL while empty. Zero-initialise the struct. */
    size_t used_bytes;     /* handed out so far, for budgets */
} sky_arena;

void *sky_arena_alloc(sky_arena *a, size_t count, size_t size, size_t align);
#define sky_new(a, T, n) ((T *)sky_arena_alloc((a), (n), sizeof(T), _Alignof(T)))
char *sky_arena_strdup(sky_arena *a, const char *text);
char *sky_arena_strndup(sky_arena *a, const char *text, size_t len);
char *sky_arena_printf(sky_arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sky_arena_reset(sky_arena *a); /* forgets everything, keeps the largest block */
void sky_arena_free(sky_arena *a);  /* frees everything, leaves *a zeroed */

#endif

/* A set of names, numbered in the order of adding: a hash table, since files may bring thousands and a
 * search through a list would let a hostile one cost minutes. Only for hw/'s own readers. */
#ifndef SKY_HW_NAMES_H
#define SKY_HW_NAMES_H

#include <stdint.h>

#include "base/arena.h"

/* Zero-initialise but for arena, which everything lives in. */
typedef struct sky__names {
    sky_arena *arena;
    const char **name; /* name[0] to name[n - 1] */
    int32_t n, cap;
    int32_t *slot; /* index + 1; 0: free */
    int32_t n_slots;
} sky__names;

/* The number of a name, -1 if it was not added. */
int32_t sky__names_find(const sky__names *t, const char *s, size_t len);
/* The number of a name, which is copied if it is new; -1 when out of memory. */
int32_t sky__names_add(sky__names *t, const char *s, size_t len);

#endif

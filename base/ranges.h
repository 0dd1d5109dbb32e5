/* A set of 64-bit numbers kept as sorted, disjoint, non-adjacent half-open ranges.
 *
 * The scheduler's unit of account: 10^7 positions of a grid are one range. All operations are
 * O(log n) to find and O(n) to shift in the worst case, n being the number of ranges. */
#ifndef SKY_BASE_RANGES_H
#define SKY_BASE_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sky_range {
    uint64_t begin, end; /* [begin, end), begin < end */
} sky_range;

typedef struct sky_ranges {
    sky_range *r;
    size_t n, cap;
    uint64_t count; /* how many numbers are in the set */
} sky_ranges;       /* zero-initialise */

void sky_ranges_free(sky_ranges *s);
void sky_ranges_clear(sky_ranges *s);
/* Adds [begin, end). Returns how many numbers were new, or UINT64_MAX when out of memory
 * (s unchanged). */
uint64_t sky_ranges_add(sky_ranges *s, uint64_t begin, uint64_t end);
/* Removes [begin, end). Returns how many were there, or UINT64_MAX when out of memory
 * (s unchanged). */
uint64_t sky_ranges_remove(sky_ranges *s, uint64_t begin, uint64_t end);
bool sky_ranges_has(const sky_ranges *s, uint64_t x);
bool sky_ranges_overlaps(const sky_ranges *s, uint64_t begin, uint64_t end);
uint64_t sky_ranges_count_in(const sky_ranges *s, uint64_t begin, uint64_t end);
/* Set operations with a whole set; false when out of memory (*s may then hold a part). */
bool sky_ranges_add_all(sky_ranges *s, const sky_ranges *other);
bool sky_ranges_remove_all(sky_ranges *s, const sky_ranges *other);
/* out is neither a nor b. */
bool sky_ranges_intersect(sky_ranges *out, const sky_ranges *a, const sky_ranges *b);
bool sky_ranges_copy(sky_ranges *out, const sky_ranges *s);
/* Moves up to max numbers from the front of s to the end of out (numbers above all in out).
 * Returns how many, UINT64_MAX when out of memory. */
uint64_t sky_ranges_take(sky_ranges *s, uint64_t max, sky_ranges *out);
/* The k-th smallest number (k < s->count). */
uint64_t sky_ranges_at(const sky_ranges *s, uint64_t k);

#endif

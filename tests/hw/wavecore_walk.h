/* The oracle of hw/wavecore_traffic.c and of its footprints: plays a schedule on a buffer of the machine's
 * size, sub-batch by sub-batch, operation by operation, forward and backward. It knows at any time which
 * tensors the buffer holds and which DRAM holds, reads what is missing, writes what it must drop though
 * somebody still needs it, and asserts that nothing is read before it exists and that the buffer never
 * overflows. From the model it takes the operations with their inputs and sizes, and the schedule. */
#ifndef SKY_TESTS_HW_WAVECORE_WALK_H
#define SKY_TESTS_HW_WAVECORE_WALK_H

#include "hw/wavecore.h"

typedef struct wavecore_walk_result {
    sky_wavecore_bytes bytes;
    int64_t norm_bytes;
    int64_t peak_bytes; /* most that the buffer held */
    int64_t *unit_peak; /* by unit, elements of one sample; n_units places, the caller's */
    bool *unit_holds;   /* likewise: a live unit that ends in a concatenation */
} wavecore_walk_result;

void wavecore_walk(const sky_wavecore_net *w, const sky_wavecore_machine *m,
                   const sky_wavecore_schedule *s, wavecore_walk_result *out);

#endif

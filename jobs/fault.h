/* What the job `fault` will do for a seed: tests compute the expected end of every trial with it. */
#ifndef SKY_JOBS_FAULT_H
#define SKY_JOBS_FAULT_H

#include <stdint.h>

typedef enum sky_fault {
    SKY_FAULT_NONE,
    SKY_FAULT_CRASH,
    SKY_FAULT_HANG,
    SKY_FAULT_LEAK,
    SKY_FAULT_FAIL,
} sky_fault;

/* chances: of crash, hang, leak, fail, each in [0, 1]; the first that hits wins. */
sky_fault sky__fault_of(uint64_t seed, const double chances[4]);

#endif

/* Time. Code that decides anything by time takes it as an argument; only main loops call these. */
#ifndef SKY_BASE_CLOCK_H
#define SKY_BASE_CLOCK_H

#include <stdint.h>

#define SKY_NS_PER_MS 1000000LL
#define SKY_NS_PER_S  1000000000LL

int64_t sky_clock_ns(void); /* monotonic */
int64_t sky_wall_ms(void);  /* since 1970-01-01 UTC, for records a person reads */
int64_t sky_cpu_ns(void);   /* CPU time of this process */

#endif

#include "base/clock.h"

#include <assert.h>
#include <time.h>

static int64_t read_ns(clockid_t clock)
{
    struct timespec t;
    int rc = clock_gettime(clock, &t);
    assert(rc == 0);
    (void)rc;
    return (int64_t)t.tv_sec * SKY_NS_PER_S + t.tv_nsec;
}

int64_t sky_clock_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t sky_wall_ms(void)
{
    return read_ns(CLOCK_REALTIME) / SKY_NS_PER_MS;
}

int64_t sky_cpu_ns(void)
{
    return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

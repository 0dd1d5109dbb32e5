/* How long one matrix product on a systolic array takes to evaluate, one JSON object per line: the job
 * `gemm` through run_batch(), as an executor calls it. */
#include <stdio.h>

#include "base/rng.h"
#include "bench/timed_batch.h"

enum { ROWS = 100000 };

static void bench(const char *dataflow, const char *timing)
{
    static const char *const sizes[] = {"m", "n", "k", "rows", "cols"};
    timed_batch b;
    sky_rng rng;
    sky_rng_init(&rng, 1, 0);
    timed_batch_open(&b, "gemm", ROWS);
    for (size_t p = 0; p < 5; p++)
        for (size_t i = 0; i < ROWS; i++)
            timed_batch_param(&b, sizes[p])->i[i] =
                1 + (int64_t)sky_rng_below(&rng, p < 3 ? 4096 : 256);
    for (size_t i = 0; i < ROWS; i++) {
        timed_batch_param(&b, "dataflow")->s[i] = dataflow;
        timed_batch_param(&b, "timing")->s[i] = timing;
    }
    printf(
        "{\"bench\": \"gemm\", \"dataflow\": \"%s\", \"timing\": \"%s\", \"us_per_point\": %.4f, "
        "\"scale_sim\": \"1.2 to 55.6 s a layer (its exposed timing, measured on a like "
        "machine)\"}\n",
        dataflow, timing, timed_batch_us(&b));
    timed_batch_close(&b);
}

int main(void)
{
    static const char *const dataflows[] = {"ws", "os", "is"}, *const timings[] = {"overlapped",
                                                                                   "exposed"};
    for (int t = 0; t < 2; t++) {
        for (int d = 0; d < 3; d++)
            bench(dataflows[d], timings[t]);
    }
    return 0;
}

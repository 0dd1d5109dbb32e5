/* How long job `wavecore` takes a point, one JSON object per line: through run_batch(), as an executor calls
 * it. Rows differ in the buffer's size, which changes every schedule, or in the width, for which
 * the network is prepared anew. */
#include <stdio.h>
#include <string.h>

#include "bench/timed_batch.h"

enum { ROWS = 1000 };

static void bench(const char *network, const char *variant, const char *vary)
{
    timed_batch b;
    timed_batch_open(&b, "wavecore", ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        timed_batch_param(&b, "network")->s[i] = network;
        timed_batch_param(&b, "variant")->s[i] = variant;
        if (strcmp(vary, "buffer") == 0)
            timed_batch_param(&b, "buffer_mib")->f[i] = 5 + 35 * (double)i / ROWS;
        else
            timed_batch_param(&b, "width_kept")->f[i] = 0.3 + 0.7 * (double)i / ROWS;
    }
    const double us = timed_batch_us(&b);
    printf("{\"bench\": \"wavecore\", \"network\": \"%s\", \"variant\": \"%s\", \"vary\": \"%s\", "
           "\"cpu_us_per_point\": %.2f, \"target_us\": 50, \"ok\": %s}\n",
           network, variant, vary, us, us < 50 ? "true" : "false");
    timed_batch_close(&b);
}

int main(void)
{
    static const char *const networks[] = {"alexnet", "resnet50", "inception_v4", "resnet152"};
    static const char *const variants[] = {"Baseline", "MBS1", "MBS2"};
    for (size_t n = 0; n < 4; n++)
        for (size_t v = 0; v < 3; v++) {
            bench(networks[n], variants[v], "buffer");
            bench(networks[n], variants[v], "width");
        }
    return 0;
}

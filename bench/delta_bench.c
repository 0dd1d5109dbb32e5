/* How long job `delta` takes a point, one JSON object per line: through run_batch(), as an
 * executor calls it; rows differ in the GPU's bandwidth, in the batch, or in the tile, for each
 * of which the layers' geometry is computed anew. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/timed_batch.h"
#include "hw/delta.h"

enum { ROWS = 2000 };

/* Convolutions, each counted; equal ones are evaluated once. */
static int64_t layers_of(const char *network)
{
    const sky_network *net = sky_network_find(network);
    sky_delta_conv *convs = calloc((size_t)net->n_layers, sizeof *convs);
    if (!convs)
        exit(1);
    const size_t n = sky_delta_convs(net, false, 1, convs);
    int64_t layers = 0;
    for (size_t i = 0; i < n; i++)
        layers += convs[i].count;
    free(convs);
    return layers;
}

static void bench(const char *network, const char *reuse, const char *vary)
{
    timed_batch b;
    timed_batch_open(&b, "delta", ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        timed_batch_param(&b, "network")->s[i] = network;
        timed_batch_param(&b, "reuse")->s[i] = reuse;
        if (strcmp(vary, "gpu") == 0)
            timed_batch_param(&b, "l2_bw_scale")->f[i] = 0.5 + (double)i / ROWS;
        else if (strcmp(vary, "batch") == 0)
            timed_batch_param(&b, "batch")->i[i] = 1 + (int64_t)(i * 37 % 512);
        else {
            timed_batch_param(&b, "blk_m")->i[i] = 32 * (1 + (int64_t)i % 8);
            timed_batch_param(&b, "blk_n")->i[i] = 32;
            timed_batch_param(&b, "blk_k")->i[i] =
                1 + (int64_t)i % 40; /* what an SM has room for */
        }
    }
    const double us = timed_batch_us(&b);
    const int64_t layers = layers_of(network);
    printf("{\"bench\": \"delta\", \"network\": \"%s\", \"reuse\": \"%s\", \"vary\": \"%s\", "
           "\"us_per_point\": %.2f, \"target_us\": 50, \"ok\": %s, \"layers\": %" PRId64
           ", \"us_per_layer\": %.3f, "
           "\"maestro\": \"0.7 ms a layer (measured on a like machine)\", "
           "\"scale_sim\": \"1.2 to 55.6 s a layer of ResNet-50 at batch 1 (likewise)\"}\n",
           network, reuse, vary, us, us < 50 ? "true" : "false", layers, us / (double)layers);
    timed_batch_close(&b);
}

int main(void)
{
    static const char *const networks[] = {"alexnet", "vgg16", "googlenet", "resnet152"};
    static const char *const reuses[] = {"loop", "cache"};
    static const char *const varied[] = {"gpu", "batch", "tile"};
    for (size_t n = 0; n < 4; n++)
        for (size_t r = 0; r < 2; r++)
            for (size_t v = 0; v < 3; v++)
                bench(networks[n], reuses[r], varied[v]);
    return 0;
}

/* How long the hardware models take, one JSON object per line: the jobs themselves, through run_batch(),
 * as an executor calls them. What other tools publish stands beside it, as text with its source. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/timed_batch.h"
#include "hw/network.h"

enum { ROWS = 2000, BEST_ROWS = 20 };

/* only: one organisation, or NULL for all. */
static void bench_flexsa(const char *network, const char *only)
{
    static const char *const organisations[] = {"1G1C", "1G4C", "4G4C", "1G1F", "4G1F"};
    const sky_network *net = sky_network_find(network);
    sky_conv_shape *convs = calloc((size_t)net->n_layers, sizeof *convs);
    if (!convs)
        exit(1);
    int32_t layers = sky_network_convs(net, NULL, false, convs);
    free(convs);
    for (size_t o = 0; o < sizeof organisations / sizeof *organisations; o++) {
        if (only && strcmp(only, organisations[o]) != 0)
            continue;
        timed_batch b;
        timed_batch_open(&b, "flexsa", ROWS);
        for (size_t i = 0; i < ROWS; i++) { /* no two neighbours share a width */
            timed_batch_param(&b, "network")->s[i] = network;
            timed_batch_param(&b, "organisation")->s[i] = organisations[o];
            timed_batch_param(&b, "width_kept")->f[i] = 0.3 + 0.7 * (double)i / ROWS;
        }
        double us = timed_batch_us(&b);
        printf("{\"bench\": \"flexsa\", \"network\": \"%s\", \"organisation\": \"%s\", "
               "\"us_per_point\": %.2f, \"target_us\": 20, \"layers\": %d, \"gemms_per_layer\": 3, "
               "\"us_per_layer\": %.3f, "
               "\"maestro\": \"0.7 ms a layer: 66 layers in 0.04 to 0.05 s with its start "
               "(measured on a "
               "like machine, forward only)\", "
               "\"scale_sim\": \"1.2 to 55.6 s a layer of ResNet-50 at batch 1 (likewise)\"}\n",
               network, organisations[o], us, layers, us / layers);
        timed_batch_close(&b);
    }
}

/* Rows of one kind: what differs from one to the next. */
static void bench_kind(const char *kind, const char *tiling, double pruned, bool same_width,
                       size_t rows)
{
    timed_batch b;
    timed_batch_open(&b, "flexsa", rows);
    for (size_t i = 0; i < rows; i++) {
        timed_batch_param(&b, "tiling")->s[i] = tiling;
        timed_batch_param(&b, "pruned")->f[i] = pruned;
        timed_batch_param(&b, "gbuf_mib")->f[i] = 1 + (double)i / (double)rows;
        if (pruned > 0)
            timed_batch_param(&b, "trace_seed")->i[i] = (int64_t)i;
        else
            timed_batch_param(&b, "width_kept")->f[i] =
                same_width ? 0.6 : 0.3 + 0.7 * (double)i / (double)rows;
    }
    printf("{\"bench\": \"flexsa\", \"network\": \"resnet50\", \"organisation\": \"1G1F\", "
           "\"rows\": \"%s\", \"us_per_point\": %.2f}\n",
           kind, timed_batch_us(&b));
    timed_batch_close(&b);
}

/* flexsa_bench [ORGANISATION]: the whole, or the networks on one organisation alone. */
int main(int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : NULL;
    bench_flexsa("resnet50", only);
    bench_flexsa("inception_v4", only);
    if (only)
        return 0;
    bench_kind("buffer sizes, the same arrays and layers", "heuristic", 0, true, ROWS);
    bench_kind("made-up traces of nine stages, a new one each", "heuristic", 0.33, false, ROWS);
    bench_kind("tiling best, a new width each", "best", 0, false, BEST_ROWS);
    return 0;
}

/* How long the hardware models take, one JSON object per line: the jobs themselves, through run_batch(),
 * as an executor calls them. What other tools publish stands beside it, as text with its source. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hw/network.h"
#include "jobs/registry.h"

enum { ROWS = 2000, BEST_ROWS = 20, RUNS = 7, COLUMNS_MAX = 64 };

typedef struct batch {
    const sky_job *job;
    sky_column in[COLUMNS_MAX], out[COLUMNS_MAX];
} batch;

static sky_column column(sky_type type)
{
    sky_column c = {.type = type, .absent = calloc(ROWS, 1)};
    c.i = calloc(ROWS, sizeof *c.i);
    if (!c.i || !c.absent) {
        fputs("flexsa_bench: out of memory\n", stderr);
        exit(1);
    }
    return c;
}

static void open_batch(batch *b, const char *name)
{
    b->job = sky_job_find(name);
    for (size_t p = 0; p < b->job->d.n_params; p++) {
        b->in[p] = column(b->job->d.params[p].type);
        for (size_t i = 0; i < ROWS; i++)
            sky_column_set(&b->in[p], i, &b->job->d.params[p].def);
    }
    for (size_t m = 0; m < b->job->d.n_metrics; m++)
        b->out[m] = column(b->job->d.metrics[m].type);
}

static sky_column *param(batch *b, const char *name)
{
    size_t p = 0;
    while (strcmp(b->job->d.params[p].name, name) != 0)
        p++;
    return &b->in[p];
}

/* Time of this process alone: other programs on the machine count little. */
static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The best of some runs: on a shared machine the others measure the neighbours. */
static double us_per_point(batch *b, size_t rows)
{
    sky_arena scratch = {0};
    sky_job_ctx ctx;
    sky_job_ctx_init(&ctx, &scratch);
    double best = 0;
    for (int run = 0; run < RUNS; run++) {
        sky_error e = {0};
        int64_t begin = cpu_ns();
        if (b->job->run_batch(&ctx, rows, NULL, b->in, b->out, &e) != SKY_OK) {
            fprintf(stderr, "flexsa_bench: %s\n", e.text);
            exit(1);
        }
        double us = (double)(cpu_ns() - begin) / 1e3 / (double)rows;
        if (run == 0 || us < best)
            best = us;
        sky_arena_reset(&scratch);
    }
    sky_arena_free(&scratch);
    return best;
}

static void bench_flexsa(const char *network)
{
    static const char *const organisations[] = {"1G1C", "1G4C", "4G4C", "1G1F", "4G1F"};
    const sky_network *net = sky_network_find(network);
    sky_conv_shape *convs = calloc((size_t)net->n_layers, sizeof *convs);
    if (!convs)
        exit(1);
    int32_t layers = sky_network_convs(net, NULL, false, convs);
    free(convs);
    for (size_t o = 0; o < sizeof organisations / sizeof *organisations; o++) {
        batch b;
        open_batch(&b, "flexsa");
        for (size_t i = 0; i < ROWS; i++) { /* no two neighbours share a width */
            param(&b, "network")->s[i] = network;
            param(&b, "organisation")->s[i] = organisations[o];
            param(&b, "width_kept")->f[i] = 0.3 + 0.7 * (double)i / ROWS;
        }
        double us = us_per_point(&b, ROWS);
        printf("{\"bench\": \"flexsa\", \"network\": \"%s\", \"organisation\": \"%s\", "
               "\"us_per_point\": %.2f, \"target_us\": 20, \"layers\": %d, \"gemms_per_layer\": 3, "
               "\"us_per_layer\": %.3f, "
               "\"maestro\": \"0.7 ms a layer: 66 layers in 0.04 to 0.05 s with its start "
               "(measured on a "
               "like machine, forward only)\", "
               "\"scale_sim\": \"1.2 to 55.6 s a layer of ResNet-50 at batch 1 (likewise)\"}\n",
               network, organisations[o], us, layers, us / layers);
    }
}

/* Rows of one kind: what differs from one to the next. */
static void bench_kind(const char *kind, const char *tiling, double pruned, bool same_width,
                       size_t rows)
{
    batch b;
    open_batch(&b, "flexsa");
    for (size_t i = 0; i < rows; i++) {
        param(&b, "tiling")->s[i] = tiling;
        param(&b, "pruned")->f[i] = pruned;
        param(&b, "gbuf_mib")->f[i] = 1 + (double)i / (double)rows;
        if (pruned > 0)
            param(&b, "trace_seed")->i[i] = (int64_t)i;
        else
            param(&b, "width_kept")->f[i] = same_width ? 0.6 : 0.3 + 0.7 * (double)i / (double)rows;
    }
    printf("{\"bench\": \"flexsa\", \"network\": \"resnet50\", \"organisation\": \"1G1F\", "
           "\"rows\": \"%s\", \"us_per_point\": %.2f}\n",
           kind, us_per_point(&b, rows));
}

int main(void)
{
    bench_flexsa("resnet50");
    bench_flexsa("inception_v4");
    bench_kind("buffer sizes, the same arrays and layers", "heuristic", 0, true, ROWS);
    bench_kind("made-up traces of nine stages, a new one each", "heuristic", 0.33, false, ROWS);
    bench_kind("tiling best, a new width each", "best", 0, false, BEST_ROWS);
    return 0;
}

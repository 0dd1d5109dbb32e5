/* How long job `delta` takes a point, one JSON object per line: through run_batch(), as an
 * executor calls it; rows differ in the GPU's bandwidth, in the batch, or in the tile, for each
 * of which the layers' geometry is computed anew. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hw/delta.h"
#include "jobs/registry.h"

enum { ROWS = 2000, RUNS = 7, COLUMNS_MAX = 64 };

typedef struct batch {
    const sky_job *job;
    sky_column in[COLUMNS_MAX], out[COLUMNS_MAX];
} batch;

static sky_column column(sky_type type)
{
    sky_column c = {.type = type, .absent = calloc(ROWS, 1)};
    c.i = calloc(ROWS, sizeof *c.i);
    if (!c.i || !c.absent) {
        fputs("delta_bench: out of memory\n", stderr);
        exit(1);
    }
    return c;
}

static void open_batch(batch *b)
{
    b->job = sky_job_find("delta");
    for (size_t p = 0; p < b->job->d.n_params; p++) {
        b->in[p] = column(b->job->d.params[p].type);
        for (size_t i = 0; i < ROWS; i++)
            sky_column_set(&b->in[p], i, &b->job->d.params[p].def);
    }
    for (size_t m = 0; m < b->job->d.n_metrics; m++)
        b->out[m] = column(b->job->d.metrics[m].type);
}

static void close_batch(batch *b)
{
    for (size_t p = 0; p < b->job->d.n_params; p++)
        free(b->in[p].i), free(b->in[p].absent);
    for (size_t m = 0; m < b->job->d.n_metrics; m++)
        free(b->out[m].i), free(b->out[m].absent);
}

static sky_column *param(batch *b, const char *name)
{
    size_t p = 0;
    while (strcmp(b->job->d.params[p].name, name) != 0)
        p++;
    return &b->in[p];
}

/* Of this thread: on a shared machine the wall clock measures the neighbours. */
static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

/* The best of some runs. */
static double us_per_point(batch *b)
{
    sky_arena scratch = {0};
    sky_job_ctx ctx;
    sky_job_ctx_init(&ctx, &scratch);
    double best = 0;
    for (int run = 0; run < RUNS; run++) {
        sky_error e = {0};
        const double begin = cpu_us();
        if (b->job->run_batch(&ctx, ROWS, NULL, b->in, b->out, &e) != SKY_OK) {
            fprintf(stderr, "delta_bench: %s\n", e.text);
            exit(1);
        }
        const double us = (cpu_us() - begin) / ROWS;
        if (run == 0 || us < best)
            best = us;
        sky_arena_reset(&scratch);
    }
    sky_arena_free(&scratch);
    return best;
}

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
    batch b;
    open_batch(&b);
    for (size_t i = 0; i < ROWS; i++) {
        param(&b, "network")->s[i] = network;
        param(&b, "reuse")->s[i] = reuse;
        if (strcmp(vary, "gpu") == 0)
            param(&b, "l2_bw_scale")->f[i] = 0.5 + (double)i / ROWS;
        else if (strcmp(vary, "batch") == 0)
            param(&b, "batch")->i[i] = 1 + (int64_t)(i * 37 % 512);
        else {
            param(&b, "blk_m")->i[i] = 32 * (1 + (int64_t)i % 8);
            param(&b, "blk_n")->i[i] = 32;
            param(&b, "blk_k")->i[i] = 1 + (int64_t)i % 64;
        }
    }
    const double us = us_per_point(&b);
    const int64_t layers = layers_of(network);
    printf("{\"bench\": \"delta\", \"network\": \"%s\", \"reuse\": \"%s\", \"vary\": \"%s\", "
           "\"us_per_point\": %.2f, \"target_us\": 50, \"ok\": %s, \"layers\": %" PRId64
           ", \"us_per_layer\": %.3f, "
           "\"maestro\": \"0.7 ms a layer (measured on a like machine)\", "
           "\"scale_sim\": \"1.2 to 55.6 s a layer of ResNet-50 at batch 1 (likewise)\"}\n",
           network, reuse, vary, us, us < 50 ? "true" : "false", layers, us / (double)layers);
    close_batch(&b);
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

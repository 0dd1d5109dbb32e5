/* What encrypted layers take of memory, beside what sky_he_layer_memory_bytes() foresees: the layers of ResNet-18
 * with the most keys and with the most ciphertexts, each in a process of its own, with all their ciphertexts and
 * keys, run once.
 *
 *     he_memory [log_n] [primes] [limit in MiB]
 *
 * A JSON object for each: foreseen and peak resident bytes. Needs a few minutes, most of them for encoding. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jobs/he/he_layer.h"

typedef struct layer_row {
    int32_t c_in, c_out, edge;
    sky_he_packing packing;
} layer_row;

static const layer_row rows[] = {
    {64, 64, 32, SKY_HE_ADD_FIRST},  {64, 64, 32, SKY_HE_TOEPLITZ},
    {512, 512, 4, SKY_HE_HYBRID},    {512, 512, 4, SKY_HE_INPUT_ROTATION},
    {512, 512, 4, SKY_HE_ADD_FIRST},
};

static sky_err make(sky_he_layer *l, const layer_row *row, const sky_he_params *params,
                    uint64_t limit, sky_error *e)
{
    const sky_he_conv_shape shape = sky_he_conv_square(row->c_in, row->c_out, row->edge, 3, 1, -1);
    const sky_he_layer_options o = {
        .conv = {.packing = row->packing, .slots = 1 << (params->log2_n - 1)},
        .kept = 1,
        .weight_seed = 1,
        .memory_bytes_max = limit,
        .params = *params};
    return sky_he_layer_make(l, &shape, &o, true, e);
}

/* In a process of its own. */
static int run(const sky_he_layer *l, const sky_he_params *params)
{
    const sky_he_conv_ckks_options o = {.hoisting = SKY_HE_HOISTING_DOUBLE};
    const sky_he_ctx *ctx;
    sky_he_layer_run r = {0};
    sky_error e = {0};
    sky_err err = sky_he_shared_context(&ctx, params, &e);
    if (err == SKY_OK)
        err = sky_he_layer_run_real(&r, l, ctx, &o, 1, 1, &e);
    if (err != SKY_OK)
        fprintf(stderr, "he_memory: %s\n", e.text);
    return err != SKY_OK;
}

static int bench(const layer_row *row, const sky_he_params *params, uint64_t limit)
{
    sky_he_layer l;
    sky_error e = {0};
    if (make(&l, row, params, limit, &e) != SKY_OK) {
        fprintf(stderr, "he_memory: %s\n", e.text);
        return 1;
    }
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0)
        _exit(run(&l, params));
    struct rusage use;
    int status = 1;
    if (child < 0 || wait4(child, &status, 0, &use) != child || status != 0) {
        sky_he_layer_free(&l);
        return 1;
    }
    const uint64_t foreseen = sky_he_layer_memory_bytes(&l.counts, params);
    const uint64_t peak = (uint64_t)use.ru_maxrss * 1024;
    printf(
        "{\"bench\": \"he_memory\", \"log_n\": %u, \"primes\": %u, \"layer\": \"%d to %d, %dx%d\", "
        "\"packing\": \"%s\", \"composed\": %s, \"keys\": %d, \"foreseen_bytes\": %" PRIu64
        ", \"peak_bytes\": %" PRIu64 ", \"peak_over_foreseen\": %.3f}\n",
        params->log2_n, params->n_data, row->c_in, row->c_out, row->edge, row->edge,
        sky_he_packing_name(row->packing), l.plan->composes ? "true" : "false", l.counts.steps,
        foreseen, peak, (double)peak / (double)foreseen);
    sky_he_layer_free(&l);
    return 0;
}

int main(int argc, char **argv)
{
    const sky_he_params params = {.log2_n = argc > 1 ? (uint32_t)atoi(argv[1]) : 14,
                                  .n_data = argc > 2 ? (uint32_t)atoi(argv[2]) : 2};
    const uint64_t limit = (uint64_t)(argc > 3 ? atoi(argv[3]) : 4096) << 20;
    int failed = 0;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        failed |= bench(&rows[k], &params, limit);
    return failed;
}

/* How well the cost model of jobs/he/he_cost.h predicts encrypted layers, and what hoisting brings.
 *
 * The model is calibrated on single operations only; no layer has anything to do with it. Calibration and
 * encrypted run take turns, a few times, and the median ratio of their times counts (the smallest and largest
 * are printed: on a machine that others use they spread). Times are processor time of one thread.
 *
 *     he_conv_bench [log_n] [runs] [none | single | double]
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/he/he_layer.h"

typedef struct layer_row {
    int32_t c_in, c_out, edge, kernel, stride, gap;
    sky_he_packing packing;
} layer_row;

static const layer_row rows[] = {
    {512, 10, 1, 1, 1, 0, SKY_HE_HALEVI_SHOUP}, {64, 64, 8, 3, 1, 0, SKY_HE_OUTPUT_ROTATION},
    {16, 16, 32, 3, 1, 0, SKY_HE_TOEPLITZ},     {32, 32, 16, 3, 1, 0, SKY_HE_INPUT_ROTATION},
    {3, 64, 32, 3, 1, 0, SKY_HE_HYBRID},        {32, 64, 16, 3, 2, 2, SKY_HE_MULTIPLEXED},
    {64, 128, 32, 1, 2, 0, SKY_HE_HYBRID},      {16, 16, 16, 3, 1, 0, SKY_HE_SISO},
    {512, 512, 4, 3, 1, 0, SKY_HE_HYBRID},      {64, 64, 32, 3, 1, 0, SKY_HE_ADD_FIRST},
    {128, 128, 16, 3, 1, 2, SKY_HE_TOEPLITZ},
};

static int fail(const sky_error *e)
{
    fprintf(stderr, "he_conv_bench: %s\n", e->text);
    return 1;
}

enum { RUNS_MAX = 99 };

typedef struct setting {
    sky_he_params params;
    sky_he_hoisting hoisting;
    uint64_t cache_bytes;
    int runs;
} setting;

typedef struct turn {
    sky_he_layer_run run;
    sky_he_cost_prediction model;
    double ratio; /* model over measured */
} turn;

static int by_ratio(const void *a, const void *b)
{
    const double x = ((const turn *)a)->ratio, y = ((const turn *)b)->ratio;
    return (x > y) - (x < y);
}

/* Calibrates and runs, one after the other, so that both meet the same neighbours. */
static sky_err take_turn(const sky_he_layer *l, const setting *s, turn *out, sky_error *e)
{
    const sky_he_conv_ckks_options run = {.hoisting = s->hoisting, .cache_bytes = s->cache_bytes};
    const sky_he_cost_options o = {.hoisting = s->hoisting,
                                   .depth = l->plan->depth,
                                   .steps = l->counts.steps,
                                   .ciphertexts = l->counts.registers_peak,
                                   .keeps_factors = s->cache_bytes > 0};
    const sky_he_ctx *ctx;
    sky_he_cost_model cost;
    sky_err err = sky_he_shared_context(&ctx, &s->params, e);
    if (err == SKY_OK)
        err = sky_he_cost_calibrate(&cost, ctx, &o, e);
    if (err == SKY_OK)
        err = sky_he_layer_run_real(&out->run, l, ctx, &run, 1, e);
    if (err == SKY_OK) {
        out->model = sky_he_cost_predict(&cost, &l->counts, out->run.cached);
        out->ratio = out->model.total_s / out->run.times.total_s;
    }
    return err;
}

static void print(const layer_row *row, const setting *s, const sky_he_layer *l, const turn *t)
{
    const turn *m = &t[s->runs / 2];
    printf("{\"bench\": \"he_conv\", \"layer\": \"%d to %d, %dx%d, kernel %d, stride %d\", "
           "\"packing\": \"%s\", \"hoisting\": \"%s\", \"encoded_before\": %" PRId64
           ", \"rotations\": %" PRId64 ", \"products\": %" PRId64
           ", \"measured_s\": %.4f, \"measured_encode_s\": %.4f, \"model_s\": %.4f, "
           "\"model_rotations_s\": %.4f, \"model_products_s\": %.4f, \"model_encode_s\": %.4f, "
           "\"ratio_min\": %.3f, \"ratio\": %.3f, \"ratio_max\": %.3f, \"error_max\": %.2e}\n",
           row->c_in, row->c_out, row->edge, row->edge, row->kernel, row->stride,
           sky_he_packing_name(row->packing), sky_he_hoisting_names[s->hoisting], m->run.cached,
           sky_he_rotations(&l->counts), l->counts.products[0] + l->counts.products[1],
           m->run.times.total_s, m->run.times.encode_s, m->model.total_s, m->model.rotations_s,
           m->model.products_s, m->model.encode_s, t[0].ratio, m->ratio, t[s->runs - 1].ratio,
           m->run.error_max);
    fflush(stdout);
}

static sky_err bench_layer(const layer_row *row, const setting *s, double *ratio, sky_error *e)
{
    const sky_he_conv_shape shape =
        sky_he_conv_square(row->c_in, row->c_out, row->edge, row->kernel, row->stride, -1);
    const sky_he_layer_options o = {.conv = {.packing = row->packing,
                                             .slots = 1 << (s->params.log2_n - 1),
                                             .gap = row->gap,
                                             .hoisted_cost = 0.4},
                                    .weight_seed = 1,
                                    .kept = 1};
    sky_he_layer l;
    turn t[RUNS_MAX] = {{.ratio = 0}};
    sky_err err = sky_he_layer_make(&l, &shape, &o, true, e);
    if (err != SKY_OK)
        return err;
    for (int k = 0; k < s->runs && err == SKY_OK; k++)
        err = take_turn(&l, s, &t[k], e);
    if (err == SKY_OK) {
        qsort(t, (size_t)s->runs, sizeof *t, by_ratio);
        *ratio = t[s->runs / 2].ratio;
        print(row, s, &l, t);
    }
    sky_he_layer_free(&l);
    return err;
}

int main(int argc, char **argv)
{
    setting s = {.params = {.log2_n = argc > 1 ? (uint32_t)atoi(argv[1]) : 14, .n_data = 3},
                 .runs = argc > 2 ? atoi(argv[2]) : 3};
    if (s.runs < 1 || s.runs > RUNS_MAX) {
        fprintf(stderr, "he_conv_bench: runs must be 1 to %d\n", RUNS_MAX);
        return 1;
    }
    sky_error e = {0};
    double worst = 0;
    for (int h = 0; h < SKY_HE_HOISTINGS; h++) {
        s.hoisting = (sky_he_hoisting)h;
        if (argc > 3 && strcmp(argv[3], sky_he_hoisting_names[h]) != 0)
            continue;
        for (int cached = 0; cached < 2; cached++) {
            s.cache_bytes = cached ? (uint64_t)1 << 30 : 0;
            for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
                double ratio;
                if (bench_layer(&rows[k], &s, &ratio, &e) != SKY_OK)
                    return fail(&e);
                worst = fmax(worst, fabs(ratio - 1));
            }
        }
    }
    printf("{\"bench\": \"he_conv\", \"log_n\": %u, \"worst_error\": %.3f}\n", s.params.log2_n,
           worst);
    return 0;
}

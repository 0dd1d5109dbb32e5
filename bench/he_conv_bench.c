/* How well the cost model of jobs/he/he_cost.h predicts encrypted layers.
 *
 * The model is calibrated on single operations only. Runs of a layer and passes of the calibration take turns, a pass
 * first and last, and the same means of both are compared: so both meet the same neighbours on a machine with other
 * work, and a slow second of it weighs little in both. The first run after a pass is not counted, since the pass has
 * filled the caches; the model is of a layer that ran before. Times are processor time of one thread.
 *
 *     he_conv_bench [--log-n 13,14,15] [--primes 3] [--hoisting none,single,double] [--packing NAME,...]
 *                   [--encoded before,needed] [--rounds 1] [--passes 15] [--parts]
 *
 * A JSON object for each point, then one for each setting and one for all: how many are within 15 %, the worst error
 * and the geometric mean of predicted over measured. --rounds is the number of runs that count between two passes.
 * --parts adds where the time goes, predicted and measured (there the least of each operation over the runs), and the
 * model of the last layer: microseconds of single operations, and [MiB since its last use, microseconds] of operands. */
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
    {512, 10, 1, 1, 1, 0, SKY_HE_HALEVI_SHOUP},
    {256, 100, 1, 1, 1, 0, SKY_HE_HALEVI_SHOUP},
    {4, 8, 16, 3, 1, 0, SKY_HE_SISO},
    {8, 8, 32, 3, 1, 0, SKY_HE_SISO},
    {32, 32, 16, 3, 1, 0, SKY_HE_INPUT_ROTATION},
    {64, 64, 4, 3, 1, 0, SKY_HE_INPUT_ROTATION},
    {64, 64, 8, 3, 1, 0, SKY_HE_OUTPUT_ROTATION},
    {32, 64, 16, 3, 2, 0, SKY_HE_OUTPUT_ROTATION},
    {64, 64, 8, 3, 1, 0, SKY_HE_ADD_FIRST},
    {48, 64, 16, 3, 1, 0, SKY_HE_ADD_FIRST},
    {3, 64, 32, 3, 1, 0, SKY_HE_HYBRID},
    {64, 128, 16, 1, 2, 0, SKY_HE_HYBRID},
    {96, 96, 8, 3, 1, 0, SKY_HE_HYBRID},
    {16, 16, 32, 3, 1, 0, SKY_HE_TOEPLITZ},
    {32, 32, 16, 3, 1, 2, SKY_HE_TOEPLITZ},
    {16, 16, 32, 3, 1, 0, SKY_HE_MULTIPLEXED},
    {32, 64, 16, 3, 2, 2, SKY_HE_MULTIPLEXED},
};
enum {
    N_ROWS = sizeof rows / sizeof *rows,
    N_POINTS = 2 * N_ROWS,
    ROUNDS_MAX = 99,
};

typedef struct options {
    const char *log_n, *hoisting, *encoded, *packing;
    uint32_t primes;
    int rounds, passes;
    bool parts;
} options;

typedef struct point {
    const layer_row *row;
    sky_he_layer layer;
    uint64_t cache_bytes;
    double measured_s;
    sky_he_layer_run run;
    sky_he_cost_prediction model;
} point;

/* What is measured between a layer's runs. */
typedef struct turn {
    sky_he_cost_bench *cost;
    int group;       /* runs between two passes */
    uint32_t passes; /* so far */
} turn;

/* What is said of many points. */
typedef struct summary {
    double worst, log_sum;
    int n, close;
} summary;

/* --- measuring --- */

/* Whether a list of words between commas has the word. */
static bool has(const char *list, const char *word)
{
    const size_t len = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += len) {
        if ((at == list || at[-1] == ',') && (at[len] == '\0' || at[len] == ','))
            return true;
    }
    return false;
}

static sky_err take_turn(void *user, int k, sky_error *e)
{
    turn *t = user;
    if (k % t->group != 0)
        return SKY_OK;
    return sky_he_cost_bench_pass(t->cost, ++t->passes, e);
}

/* The runs that count: the first after each pass does not, for it finds other data in the caches. */
static int drop_cold(double *run_s, int runs, int group)
{
    int n = 0;
    for (int k = 0; k < runs; k++) {
        if (k % group != 0)
            run_s[n++] = run_s[k];
    }
    return n;
}

static sky_err measure(point *p, sky_he_cost_bench *cost, const sky_he_ctx *ctx,
                       sky_he_hoisting hoisting, const options *o, sky_error *e)
{
    const sky_he_conv_ckks_options ckks = {
        .hoisting = hoisting, .cache_bytes = p->cache_bytes, .floors = true};
    static double run_s[SKY_HE_COST_PASSES_MAX * (ROUNDS_MAX + 1)];
    turn t = {.cost = cost, .group = o->rounds + 1};
    const int runs = t.group * (o->passes - 1);
    p->run = (sky_he_layer_run){.run_s = run_s, .between = take_turn, .user = &t};
    sky_err err = sky_he_layer_run_real(&p->run, &p->layer, ctx, &ckks, 1, runs, e);
    if (err != SKY_OK)
        return err;
    p->measured_s = sky_he_middle_mean(run_s, (uint32_t)drop_cold(run_s, runs, t.group));
    return sky_he_cost_predict(&p->model, sky_he_cost_bench_model(cost), p->layer.plan,
                               p->cache_bytes, e);
}

/* The points that fit these parameters; others are left out. */
static int make_points(point *points, const options *o, uint32_t log_n)
{
    int n = 0;
    for (int k = 0; k < N_ROWS; k++) {
        const layer_row *row = &rows[k];
        if (!has(o->packing, sky_he_packing_name(row->packing)))
            continue;
        const sky_he_conv_shape shape =
            sky_he_conv_square(row->c_in, row->c_out, row->edge, row->kernel, row->stride, -1);
        const sky_he_layer_options l = {.conv = {.packing = row->packing,
                                                 .slots = 1 << (log_n - 1),
                                                 .gap = row->gap,
                                                 .hoisted_cost = 0.4},
                                        .weight_seed = 1,
                                        .kept = 1};
        for (int before = 0; before < 2; before++) {
            if (!has(o->encoded, before ? "before" : "needed"))
                continue;
            point p = {.row = row, .cache_bytes = before ? UINT64_C(2) << 30 : 0};
            if (sky_he_layer_make(&p.layer, &shape, &l, true, NULL) == SKY_OK)
                points[n++] = p;
        }
    }
    return n;
}

/* --- printing --- */

static void count_in(summary *s, double ratio)
{
    s->worst = fmax(s->worst, fabs(ratio - 1));
    s->close += fabs(ratio - 1) <= 0.15;
    s->log_sum += log(ratio);
    s->n++;
}

static void print_summary(const char *of, const summary *s)
{
    if (s->n == 0)
        return;
    printf("{\"bench\": \"he_conv\", \"of\": \"%s\", \"points\": %d, \"within_15_percent\": %d, "
           "\"worst_error\": %.3f, \"geometric_mean\": %.3f}\n",
           of, s->n, s->close, s->worst, exp(s->log_sum / s->n));
    fflush(stdout);
}

static void print_parts(const point *p)
{
    for (int k = 0; k < SKY_HE_PARTS; k++)
        printf(", \"%s_s\": [%.4f, %.4f]", sky_he_part_names[k], p->model.part_s[k],
               p->run.floor.part_s[k]);
}

static void print_point(const point *p, const options *o, const char *setting)
{
    printf(
        "{\"bench\": \"he_conv\", %s, \"layer\": \"%d to %d, %dx%d, kernel %d, stride %d\", "
        "\"packing\": \"%s\", \"encoded_before\": %" PRId64 ", \"rotations\": %" PRId64
        ", \"products\": %" PRId64 ", \"measured_s\": %.4f, \"least_s\": %.4f, \"model_s\": %.4f, "
        "\"ratio\": %.3f, \"error_max\": %.1e",
        setting, p->row->c_in, p->row->c_out, p->row->edge, p->row->edge, p->row->kernel,
        p->row->stride, sky_he_packing_name(p->row->packing), p->run.cached,
        sky_he_rotations(&p->layer.counts),
        p->layer.counts.products[0] + p->layer.counts.products[1], p->measured_s,
        p->run.times.total_s, p->model.total_s, p->model.total_s / p->measured_s, p->run.error_max);
    if (o->parts)
        print_parts(p);
    printf("}\n");
    fflush(stdout);
}

static void print_model(const char *setting, const sky_he_cost_model *m)
{
    const sky_he_cost_level *top = m->hoisting == SKY_HE_HOISTING_DOUBLE ? &m->wide : &m->at[0];
    printf("{\"bench\": \"he_cost\", %s, \"unit\": \"us\", \"hoist\": %.1f, \"hoisted\": %.1f, "
           "\"full\": %.1f, \"giant\": %.1f, \"encode\": %.1f, \"rescale\": %.1f, \"add\": %.1f",
           setting, 1e6 * m->hoist_s, 1e6 * m->hoisted_s, 1e6 * m->at[0].full_s, 1e6 * m->giant_s,
           1e6 * top->encode_s, 1e6 * top->rescale_s, 1e6 * top->add_s);
    printf(", \"dot\": [");
    for (int k = 0; k < SKY_HE_COST_DOTS; k++)
        printf("%s%.1f", k ? ", " : "", 1e6 * top->dot_s[k]);
    printf("], \"fresh\": [%.1f, %.1f], \"crowd\": %.1f, \"factor\": [%.1f, %.1f, %.1f, %.1f",
           1e6 * m->fresh_alone_s, 1e6 * m->fresh_s, 1e6 * m->crowd_s, 1e6 * m->near_term.term_s,
           1e6 * m->far_term.term_s, 1e6 * m->copy_term_s, 1e6 * m->mask_s);
    static const char *const operands[SKY_HE_OPERANDS] = {"key", "source", "factor_of_many",
                                                          "factor_alone", "sum"};
    for (int k = 0; k < SKY_HE_OPERANDS; k++) {
        printf("], \"%s\": [", operands[k]);
        for (int i = 0; i < SKY_HE_COST_POINTS; i++)
            printf("%s[%.1f, %.1f]", i ? ", " : "", m->beyond[k].distance[i] / (1 << 20),
                   1e6 * m->beyond[k].op_s[i]);
    }
    printf("]}\n");
}

/* --- one setting --- */

static sky_err bench_setting(const options *o, uint32_t log_n, sky_he_hoisting hoisting,
                             summary *all, sky_error *e)
{
    const sky_he_params params = {.log2_n = log_n, .n_data = o->primes};
    const sky_he_ctx *ctx;
    sky_err err = sky_he_shared_context(&ctx, &params, e);
    if (err != SKY_OK)
        return err;
    const sky_he_cost_options cost_options = {.hoisting = hoisting, .depth = SKY_HE_DEPTH_MAX};
    sky_he_cost_bench *cost;
    err = sky_he_cost_bench_new(&cost, ctx, &cost_options, e);
    if (err != SKY_OK)
        return err;
    static point points[N_POINTS];
    char setting[96];
    snprintf(setting, sizeof setting, "\"log_n\": %u, \"primes\": %u, \"hoisting\": \"%s\"", log_n,
             o->primes, sky_he_hoisting_names[hoisting]);
    summary here = {0};
    const int n = make_points(points, o, log_n);
    for (int k = 0; k < n && err == SKY_OK; k++) {
        err = measure(&points[k], cost, ctx, hoisting, o, e);
        if (err != SKY_OK)
            break;
        print_point(&points[k], o, setting);
        count_in(&here, points[k].model.total_s / points[k].measured_s);
        count_in(all, points[k].model.total_s / points[k].measured_s);
    }
    if (err == SKY_OK && n > 0 && o->parts)
        print_model(setting, sky_he_cost_bench_model(cost));
    for (int k = 0; k < n; k++)
        sky_he_layer_free(&points[k].layer);
    sky_he_cost_bench_free(cost);
    snprintf(setting, sizeof setting, "log_n %u, %u primes, hoisting %s", log_n, o->primes,
             sky_he_hoisting_names[hoisting]);
    if (err == SKY_OK)
        print_summary(setting, &here);
    return err;
}

static int usage(void)
{
    fprintf(stderr, "usage: he_conv_bench [--log-n 13,14,15] [--primes 3] "
                    "[--hoisting none,single,double] [--packing NAME,...] "
                    "[--encoded before,needed] [--rounds 1] [--passes 15] [--parts]\n");
    return 2;
}

static bool parse(options *o, int argc, char **argv)
{
    for (int k = 1; k < argc; k++) {
        const char *value = k + 1 < argc ? argv[k + 1] : NULL;
        if (strcmp(argv[k], "--parts") == 0) {
            o->parts = true;
            continue;
        }
        if (!value)
            return false;
        k++;
        if (strcmp(argv[k - 1], "--log-n") == 0)
            o->log_n = value;
        else if (strcmp(argv[k - 1], "--hoisting") == 0)
            o->hoisting = value;
        else if (strcmp(argv[k - 1], "--encoded") == 0)
            o->encoded = value;
        else if (strcmp(argv[k - 1], "--packing") == 0)
            o->packing = value;
        else if (strcmp(argv[k - 1], "--primes") == 0)
            o->primes = (uint32_t)atoi(value);
        else if (strcmp(argv[k - 1], "--rounds") == 0)
            o->rounds = atoi(value);
        else if (strcmp(argv[k - 1], "--passes") == 0)
            o->passes = atoi(value);
        else
            return false;
    }
    return o->rounds >= 1 && o->rounds <= ROUNDS_MAX && o->passes >= 2 &&
           o->passes <= SKY_HE_COST_PASSES_MAX;
}

int main(int argc, char **argv)
{
    options o = {.log_n = "13,14,15",
                 .hoisting = "none,single,double",
                 .encoded = "before,needed",
                 .packing = "siso,input_rotation,output_rotation,add_first,hybrid,multiplexed,"
                            "toeplitz,halevi_shoup",
                 .primes = 3,
                 .rounds = 1,
                 .passes = 15};
    if (!parse(&o, argc, argv))
        return usage();
    sky_error e = {0};
    summary all = {0};
    for (uint32_t log_n = SKY_HE_LOG2_N_MIN; log_n <= SKY_HE_LOG2_N_MAX; log_n++) {
        char word[8];
        snprintf(word, sizeof word, "%u", log_n);
        for (int h = 0; h < SKY_HE_HOISTINGS && has(o.log_n, word); h++) {
            if (has(o.hoisting, sky_he_hoisting_names[h]) &&
                bench_setting(&o, log_n, (sky_he_hoisting)h, &all, &e) != SKY_OK) {
                fprintf(stderr, "he_conv_bench: %s\n", e.text);
                return 1;
            }
        }
    }
    print_summary("all", &all);
    return 0;
}

/* How exact the homomorphic encryption is, one JSON object per operation.
 *
 *     he_precision [--n 14] [--levels 7] [--special 1] [--runs 200] [--seed 1]
 * --primes [--n ...] only prints the moduli, so that another library can be given the same ones.
 *
 * Each run has its own secret, keys, noise and vector (slots on the unit circle). The error of a slot is
 * the absolute value of the complex difference, in units of the message; printed are quantiles, over
 * the runs, of the worst slot of a run, and the median of the median slot. The noise comes from the seed,
 * so that a line is reproduced by its arguments. docs/he.md compares them with SEAL's. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/text.h"
#include "jobs/he/he_internal.h"

enum { RUNS_MAX = 10000, TURNS = 16 };

#define OPERATIONS(X)                                                                              \
    X(ENCODE, "encode_decode")                                                                     \
    X(FRESH, "encrypt_public_key")                                                                 \
    X(SYMMETRIC, "encrypt_secret_key")                                                             \
    X(PLAIN, "multiply_plain_rescale")                                                             \
    X(PRODUCT, "multiply_relinearise_rescale")                                                     \
    X(SQUARES, "square_to_level_1")                                                                \
    X(ROTATE, "rotate")                                                                            \
    X(ROTATE_MANY, "rotate_16_times")

enum {
#define NAME_OF(name, text) name,
    OPERATIONS(NAME_OF)
#undef NAME_OF
        COUNT
};
static const char *const names[] = {
#define TEXT_OF(name, text) text,
    OPERATIONS(TEXT_OF)
#undef TEXT_OF
};

typedef struct vec {
    double *re, *im;
} vec;

typedef struct bench {
    sky_he_ctx *ctx;
    sky_he_info info;
    sky_he_eval *ev;
    sky_he_secret *secret; /* of the run, as are the keys */
    sky_he_public *public;
    sky_he_keys *keys;
    sky_he_pt *pt, *factor, *out_pt;
    sky_he_ct *a, *b, *three, *out;
    vec x, y, want, got;
    double *error;
    sky_rng rng;
    int runs;
    double *worst[COUNT], *median[COUNT]; /* by run */
} bench;

#define MUST(call)                                                                                 \
    do {                                                                                           \
        sky_error error = {0}, *e = &error;                                                        \
        if (call) {                                                                                \
            fprintf(stderr, "he_precision: %s: %s\n", #call, e->text);                             \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Compares b->got with b->want, slot by slot. */
static void record(bench *b, int what, int run)
{
    uint32_t n = b->info.slots;
    for (uint32_t j = 0; j < n; j++)
        b->error[j] = hypot(b->got.re[j] - b->want.re[j], b->got.im[j] - b->want.im[j]);
    qsort(b->error, n, sizeof *b->error, ascending);
    b->worst[what][run] = b->error[n - 1];
    b->median[what][run] = b->error[n / 2];
}

static void decrypt(bench *b, const sky_he_ct *ct, int what, int run)
{
    MUST(sky_he_decrypt(b->ev, b->out_pt, ct, b->secret, e));
    MUST(sky_he_decode(b->ev, b->got.re, b->got.im, b->info.slots, b->out_pt, e));
    record(b, what, run);
}

static void fill(bench *b, vec v)
{
    for (uint32_t j = 0; j < b->info.slots; j++) {
        double angle = 2 * M_PI * sky_rng_f64(&b->rng);
        v.re[j] = cos(angle);
        v.im[j] = sin(angle);
    }
}

/* want = x y, on the unit circle again. */
static void multiply(bench *b, vec x, vec y)
{
    for (uint32_t j = 0; j < b->info.slots; j++) {
        double re = x.re[j] * y.re[j] - x.im[j] * y.im[j];
        b->want.im[j] = x.re[j] * y.im[j] + x.im[j] * y.re[j];
        b->want.re[j] = re;
    }
}

static void turn(bench *b, vec x, uint32_t by)
{
    for (uint32_t j = 0; j < b->info.slots; j++) {
        b->want.re[j] = x.re[(j + by) % b->info.slots];
        b->want.im[j] = x.im[(j + by) % b->info.slots];
    }
}

static void products(bench *b, int run)
{
    multiply(b, b->x, b->y);
    MUST(sky_he_mul_plain(b->ev, b->out, b->a, b->factor, e));
    MUST(sky_he_rescale(b->ev, b->out, b->out, e));
    decrypt(b, b->out, PLAIN, run);
    MUST(sky_he_mul(b->ev, b->three, b->a, b->b, e));
    MUST(sky_he_relinearise(b->ev, b->out, b->three, e));
    MUST(sky_he_rescale(b->ev, b->out, b->out, e));
    decrypt(b, b->out, PRODUCT, run);
    MUST(sky_he_copy(b->ev, b->out, b->a, e));
    turn(b, b->x, 0);
    while (sky_he_ct_state(b->out).level > 1) {
        multiply(b, b->want, b->want);
        MUST(sky_he_mul(b->ev, b->three, b->out, b->out, e));
        MUST(sky_he_relinearise(b->ev, b->out, b->three, e));
        MUST(sky_he_rescale(b->ev, b->out, b->out, e));
    }
    decrypt(b, b->out, SQUARES, run);
}

static void one_run(bench *b, int run)
{
    static const int32_t step = 1;
    sky_he_encode_options o = {0};
    MUST(sky_he_secret_new(&b->secret, b->ctx, e));
    MUST(sky_he_public_new(&b->public, b->secret, e));
    MUST(sky_he_keys_new(&b->keys, b->secret,
                         &(sky_he_keys_options){.steps = &step, .n_steps = 1, .relinearise = true},
                         e));
    sky_he_eval_set_keys(b->ev, b->keys);
    fill(b, b->x);
    fill(b, b->y);
    MUST(sky_he_encode(b->ev, b->pt, b->x.re, b->x.im, b->info.slots, o, e));
    MUST(sky_he_encode(b->ev, b->factor, b->y.re, b->y.im, b->info.slots, o, e));
    turn(b, b->x, 0);
    MUST(sky_he_decode(b->ev, b->got.re, b->got.im, b->info.slots, b->pt, e));
    record(b, ENCODE, run);
    MUST(sky_he_encrypt(b->ev, b->a, b->pt, b->public, e));
    MUST(sky_he_encrypt(b->ev, b->b, b->factor, b->public, e));
    decrypt(b, b->a, FRESH, run);
    MUST(sky_he_encrypt_symmetric(b->ev, b->out, b->pt, b->secret, e));
    decrypt(b, b->out, SYMMETRIC, run);
    products(b, run);
    turn(b, b->x, 1);
    MUST(sky_he_rotate(b->ev, b->out, b->a, step, e));
    decrypt(b, b->out, ROTATE, run);
    for (int i = 1; i < TURNS; i++)
        MUST(sky_he_rotate(b->ev, b->out, b->out, step, e));
    turn(b, b->x, TURNS);
    decrypt(b, b->out, ROTATE_MANY, run);
    sky_he_keys_free(b->keys);
    sky_he_public_free(b->public);
    sky_he_secret_free(b->secret);
}

static double quantile(const double *sorted, int n, double p)
{
    double at = p * (n - 1);
    int low = (int)at;
    double next = sorted[low + 1 < n ? low + 1 : low];
    return sorted[low] + (at - low) * (next - sorted[low]);
}

static void print(const bench *b, int what, uint64_t seed)
{
    double *w = b->worst[what], *m = b->median[what];
    qsort(w, (size_t)b->runs, sizeof *w, ascending);
    qsort(m, (size_t)b->runs, sizeof *m, ascending);
    printf("{\"bench\": \"he_precision\", \"what\": \"%s\", \"log2_n\": %u, \"data_primes\": %u, "
           "\"special_primes\": %u, \"seed\": %" PRIu64
           ", \"runs\": %d, \"worst_slot_p10\": %.4g, \"worst_slot_median\": %.4g, "
           "\"worst_slot_p90\": %.4g, \"worst_slot_most\": %.4g, \"median_slot\": %.4g}\n",
           names[what], b->info.params.log2_n, b->info.params.n_data, b->info.params.n_special,
           seed, b->runs, quantile(w, b->runs, 0.1), quantile(w, b->runs, 0.5),
           quantile(w, b->runs, 0.9), w[b->runs - 1], quantile(m, b->runs, 0.5));
}

static vec new_vec(const bench *b)
{
    vec v = {he_alloc((size_t)2 * b->info.slots, sizeof *v.re), NULL};
    if (!v.re)
        exit(1);
    v.im = v.re + b->info.slots;
    return v;
}

static void set_up(bench *b, const sky_he_params *params, uint64_t seed)
{
    MUST(sky_he_ctx_new(&b->ctx, params, e));
    MUST(he_ctx_seed(b->ctx, seed));
    sky_rng_init(&b->rng, seed, 1);
    b->info = sky_he_ctx_info(b->ctx);
    MUST(sky_he_eval_new(&b->ev, b->ctx, e));
    sky_he_pt **const pts[] = {&b->pt, &b->factor, &b->out_pt};
    sky_he_ct **const cts[] = {&b->a, &b->b, &b->out, &b->three};
    for (int i = 0; i < 3; i++)
        MUST(sky_he_pt_new(pts[i], b->ctx, (sky_he_shape){0}, e));
    for (int i = 0; i < 4; i++)
        MUST(sky_he_ct_new(cts[i], b->ctx, (sky_he_shape){.three_parts = i == 3}, e));
    vec *const vecs[] = {&b->x, &b->y, &b->want, &b->got};
    for (int i = 0; i < 4; i++)
        *vecs[i] = new_vec(b);
    b->error = calloc(b->info.slots, sizeof *b->error);
    for (int i = 0; i < COUNT; i++) {
        b->worst[i] = calloc((size_t)b->runs, sizeof(double));
        b->median[i] = calloc((size_t)b->runs, sizeof(double));
        if (!b->error || !b->worst[i] || !b->median[i])
            exit(1);
    }
}

static void tear_down(bench *b)
{
    sky_he_pt *pts[] = {b->pt, b->factor, b->out_pt};
    sky_he_ct *cts[] = {b->a, b->b, b->out, b->three};
    vec vecs[] = {b->x, b->y, b->want, b->got};
    for (int i = 0; i < 3; i++)
        sky_he_pt_free(pts[i]);
    for (int i = 0; i < 4; i++) {
        sky_he_ct_free(cts[i]);
        free(vecs[i].re);
    }
    for (int i = 0; i < COUNT; i++) {
        free(b->worst[i]);
        free(b->median[i]);
    }
    free(b->error);
    sky_he_eval_free(b->ev);
    sky_he_ctx_free(b->ctx);
}

static void usage(void)
{
    fputs("usage: he_precision [--primes] [--n 10..16] [--levels 2..40] [--special 1..8] "
          "[--runs 1..10000] [--seed N]\n",
          stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    uint64_t n = 14, levels = 7, special = 1, runs = 200, seed = 1;
    struct {
        const char *name;
        uint64_t *to, low, high;
    } options[] = {{"--n", &n, SKY_HE_LOG2_N_MIN, SKY_HE_LOG2_N_MAX},
                   {"--levels", &levels, 2, SKY_HE_DATA_MAX},
                   {"--special", &special, 1, SKY_HE_SPECIAL_MAX},
                   {"--runs", &runs, 1, RUNS_MAX},
                   {"--seed", &seed, 0, UINT64_MAX}};
    bool primes = argc > 1 && !strcmp(argv[1], "--primes");
    for (int i = 1 + primes; i < argc; i += 2) {
        size_t k = 0, count = sizeof options / sizeof *options;
        while (k < count && strcmp(argv[i], options[k].name) != 0)
            k++;
        if (k == count || i + 1 == argc || sky_parse_u64(argv[i + 1], options[k].to) ||
            *options[k].to < options[k].low || *options[k].to > options[k].high)
            usage();
    }
    bench b = {.runs = (int)runs};
    set_up(&b,
           &(sky_he_params){
               .log2_n = (uint32_t)n, .n_data = (uint32_t)levels, .n_special = (uint32_t)special},
           seed);
    for (uint32_t i = 0; primes && i < b.ctx->total; i++)
        printf("%" PRIu64 "\n", sky_he_ctx_prime(b.ctx, i));
    for (int run = 0; run < b.runs && !primes; run++)
        one_run(&b, run);
    for (int what = 0; what < COUNT && !primes; what++)
        print(&b, what, seed);
    tear_down(&b);
    return 0;
}

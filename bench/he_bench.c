/* How fast the homomorphic encryption is, one JSON object per figure.
 *
 *     he_bench [--n 13,14,15] [--path portable,avx2,avx512ifma] [--keys-mib 192] [--runs 7]
 *
 * Times are of one thread's processor time, the smallest of several runs. Each figure stands beside a
 * floor measured in the same run: for a transform, its butterflies alone, on data that stay in the
 * first-level cache; for a key switch, its transforms at the speed just measured and
 * one reading of its key at the speed of memory. Rotations use a different key each time, more of them
 * than a last-level cache holds. `peer` figures are of SEAL 4.4.3, OpenFHE 1.5.1 and HEXL on an AMD
 * EPYC (Zen 4), gcc 12: docs/he.md. */
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "jobs/he/he_internal.h"

typedef struct settings {
    bool n[SKY_HE_LOG2_N_MAX + 1], path[4];
    size_t keys_mib;
    int runs;
} settings;

typedef struct bench {
    sky_he_ctx *ctx;
    sky_he_info info;
    sky_he_secret *secret;
    sky_he_public *public;
    sky_he_keys *keys;
    sky_he_eval *ev;
    sky_he_hoist *hoist;
    sky_he_pt *pt, *pt_ext;
    sky_he_ct *a, *b, *out, *three, *ext, *ext2;
    int32_t *steps;
    size_t n_steps, at;
    double *values;
    double ntt_us, stream_us_per_mib;
    uint64_t *limb;
    int runs;
} bench;

static void die(const sky_error *e, const char *what)
{
    fprintf(stderr, "he_bench: %s: %s\n", what, e->text);
    exit(1);
}

#define MUST(call)                                                                                 \
    do {                                                                                           \
        sky_error error = {0}, *e = &error;                                                        \
        if (call)                                                                                  \
            die(e, #call);                                                                         \
    } while (0)

static double thread_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

typedef void (*work)(bench *b);

/* The smallest mean of runs, each long enough for the clock. */
static double measure(bench *b, work f)
{
    double begin = thread_us(), best = INFINITY;
    f(b); /* touches the memory; also sizes the runs */
    double once = thread_us() - begin;
    int times = once > 5000 ? 1 : (int)(5000 / (once + 0.1)) + 1;
    for (int run = 0; run < b->runs; run++) {
        begin = thread_us();
        for (int i = 0; i < times; i++)
            f(b);
        best = fmin(best, (thread_us() - begin) / times);
    }
    return best;
}

/* What others take, in microseconds; 0: not measured. */
typedef struct peers {
    double seal, openfhe, hexl;
} peers;

static void print(const bench *b, const char *what, double us, double floor_us, peers p)
{
    sky_he_params q = b->info.params;
    printf("{\"bench\": \"he\", \"what\": \"%s\", \"path\": \"%s\", \"log2_n\": %u, "
           "\"data_primes\": %u, "
           "\"special_primes\": %u, \"digits\": %u, \"us\": %.2f",
           what, b->ctx->k->name, q.log2_n, q.n_data, q.n_special, b->info.digits, us);
    if (floor_us > 0)
        printf(", \"floor_us\": %.2f, \"over_floor\": %.2f", floor_us, us / floor_us);
    if (p.seal > 0)
        printf(", \"peer_seal_us\": %.1f, \"faster_than_seal\": %.2f", p.seal, p.seal / us);
    if (p.openfhe > 0)
        printf(", \"peer_openfhe_us\": %.1f, \"faster_than_openfhe\": %.2f", p.openfhe,
               p.openfhe / us);
    if (p.hexl > 0)
        printf(", \"peer_hexl_us\": %.1f, \"faster_than_hexl\": %.2f", p.hexl, p.hexl / us);
    puts("}");
    fflush(stdout);
}

/* ---- Transforms ---- */

static he_table *current;

static void run_forward(bench *b)
{
    b->ctx->k->forward(b->limb, current);
}

static void run_stages(bench *b)
{
    for (int i = 0; i < 64; i++)
        b->ctx->k->four_stages(b->limb, current);
}

static void run_inverse(bench *b)
{
    b->ctx->k->inverse(b->limb, current);
}

static void bench_transforms(bench *b)
{
    uint32_t log2_n = b->info.params.log2_n;
    peers forward = {.seal = log2_n == 13   ? 79.6
                             : log2_n == 14 ? 170.8
                             : log2_n == 15 ? 364.4
                                            : 0,
                     .hexl = log2_n == 14   ? 35.6
                             : log2_n == 15 ? 76.1
                                            : 0};
    peers back = {.seal = log2_n == 13 ? 90.7 : log2_n == 14 ? 195 : log2_n == 15 ? 417 : 0};
    for (int wide = 0; wide < 2; wide++) { /* a 40-bit prime, then the 50-bit q_0 */
        uint32_t prime = wide ? 0 : 1;
        uint64_t q = b->ctx->q[prime];
        he_table tiny = {.m = he_modulus_of(q), .log2_n = 10};
        if (b->ctx->k->table_init(&tiny, he_primitive_root(q, 10)))
            exit(1);
        current = &tiny;
        double floor_us =
            measure(b, run_stages) / (64 * 4 * 512) * ldexp(1, (int)log2_n - 1) * log2_n;
        memset(b->limb, 0, b->info.n * sizeof *b->limb);
        current = &b->ctx->tables[prime];
        double us = measure(b, run_forward);
        if (!wide)
            b->ntt_us = us;
        print(b, wide ? "ntt_forward_50_bits" : "ntt_forward_40_bits", us, floor_us, forward);
        print(b, wide ? "ntt_inverse_50_bits" : "ntt_inverse_40_bits", measure(b, run_inverse),
              floor_us, back);
        free(tiny.forward);
        free(tiny.inverse);
    }
}

/* ---- Memory ---- */

enum { STREAM_MIB = 256 };
static uint64_t *stream;
static volatile uint64_t stream_sink;

static void run_stream(bench *b)
{
    (void)b;
    uint64_t sum[8] = {0};
    for (size_t i = 0; i < (size_t)STREAM_MIB << 17; i += 8) {
        for (size_t k = 0; k < 8; k++)
            sum[k] += stream[i + k];
    }
    stream_sink = sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
}

/* ---- Operations ---- */

static int32_t next_step(bench *b)
{
    b->at = (b->at + 1) % b->n_steps;
    return b->steps[b->at];
}

static void run_encode(bench *b)
{
    MUST(
        sky_he_encode(b->ev, b->pt, b->values, NULL, b->info.slots, (sky_he_encode_options){0}, e));
}

static void run_encrypt(bench *b)
{
    MUST(sky_he_encrypt(b->ev, b->out, b->pt, b->public, e));
}

static void run_mul_plain(bench *b)
{
    MUST(sky_he_mul_plain(b->ev, b->out, b->a, b->pt, e));
}

static void run_rotate(bench *b)
{
    MUST(sky_he_rotate(b->ev, b->out, b->a, next_step(b), e));
}

static void run_hoist(bench *b)
{
    MUST(sky_he_hoist_set(b->ev, b->hoist, b->a, e));
}

static void run_hoisted(bench *b)
{
    MUST(sky_he_rotate_hoisted(b->ev, b->out, b->hoist, next_step(b), e));
}

static void run_lazy(bench *b)
{
    MUST(sky_he_rotate_lazy(b->ev, b->ext, b->hoist, next_step(b), e));
}

static void run_fold(bench *b)
{
    MUST(sky_he_rotate_fold(b->ev, b->ext2, b->ext, next_step(b), e));
}

static void run_mod_down(bench *b)
{
    MUST(sky_he_mod_down(b->ev, b->out, b->ext, e));
}

static void run_mul(bench *b)
{
    MUST(sky_he_mul(b->ev, b->three, b->a, b->b, e));
    MUST(sky_he_relinearise(b->ev, b->out, b->three, e));
}

static void run_rescale(bench *b)
{
    MUST(sky_he_rescale(b->ev, b->out, b->a, e));
}

/* Peers were measured for these parameters only: 3 data primes at 2^13, 7 at 2^14 and 2^15, each with
 * one special prime, and 17 with 3 at 2^15. */
enum { PEER_SETS = 4 };
static const uint32_t peer_sets[PEER_SETS][3] = {{13, 3, 1}, {14, 7, 1}, {15, 7, 1}, {15, 17, 3}};

static peers peers_of(const bench *b, const double seal[PEER_SETS], const double openfhe[PEER_SETS])
{
    const sky_he_params *p = &b->info.params;
    for (int i = 0; i < PEER_SETS; i++) {
        const uint32_t *set = peer_sets[i];
        if (p->log2_n == set[0] && p->n_data == set[1] && p->n_special == set[2])
            return (peers){.seal = seal[i], .openfhe = openfhe[i]};
    }
    return (peers){0};
}

static void bench_operations(bench *b)
{
    static const double none[PEER_SETS] = {0};
    static const double encode[] = {574, 2108, 3731, 0}, mul_plain[] = {143, 667, 1345, 0};
    static const double rotate[] = {2591, 19846, 41313, 0}, mul[] = {2923, 21097, 44321, 0};
    static const double rescale[] = {625, 3106, 6887, 0};
    static const double o_rotate[] = {0, 29704, 70311, 169605}, o_mul[] = {0, 30691, 77243, 187584};
    static const double o_hoist[] = {0, 19602, 44671, 106677};
    static const double o_hoisted[] = {0, 11743, 28340, 70682};
    static const double o_lazy[] = {0, 6513, 17737, 39913}, o_down[] = {0, 5639, 14979, 39566};
    double l = b->info.params.n_data, k = b->info.params.n_special, digits = b->info.digits;
    double key = (double)sky_he_key_bytes(b->ctx, 0 + b->info.params.n_data) / 1048576 *
                 b->stream_us_per_mib;
    double t = b->ntt_us;
    print(b, "encode", measure(b, run_encode), l * t, peers_of(b, encode, none));
    print(b, "encrypt", measure(b, run_encrypt), 0, (peers){0});
    print(b, "multiply_plain", measure(b, run_mul_plain), 0, peers_of(b, mul_plain, none));
    print(b, "rotate", measure(b, run_rotate), (digits + 2) * (l + k) * t + key,
          peers_of(b, rotate, o_rotate));
    print(b, "hoist", measure(b, run_hoist), digits * (l + k) * t, peers_of(b, none, o_hoist));
    print(b, "rotate_hoisted", measure(b, run_hoisted), 2 * (l + k) * t + key,
          peers_of(b, none, o_hoisted));
    print(b, "rotate_double_hoisted", measure(b, run_lazy), key, peers_of(b, none, o_lazy));
    MUST(sky_he_copy(b->ev, b->ext2, b->ext, e));
    print(b, "rotate_fold", measure(b, run_fold), (digits + 1) * (l + k) * t + key, (peers){0});
    print(b, "mod_down", measure(b, run_mod_down), 2 * (l + k) * t, peers_of(b, none, o_down));
    print(b, "multiply_relinearise", measure(b, run_mul), (digits + 2) * (l + k) * t,
          peers_of(b, mul, o_mul));
    print(b, "rescale", measure(b, run_rescale), 2 * l * t, peers_of(b, rescale, none));
}

/* ---- Two threads, each with its own evaluator, rotating its own ciphertexts ---- */

typedef struct runner {
    bench *b;
    sky_he_eval *ev;
    sky_he_ct *out;
    int rounds;
    double cpu_us;
} runner;

static void *rotate_many(void *arg)
{
    runner *r = arg;
    double begin = thread_us();
    for (int i = 0; i < r->rounds; i++)
        MUST(sky_he_rotate(r->ev, r->out, r->b->a, r->b->steps[(size_t)i % r->b->n_steps], e));
    r->cpu_us = thread_us() - begin;
    return NULL;
}

static double wall_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Twice: by the wall clock, which needs two free processors, and by processor time, which only shows
 * what the threads take from each other's caches and memory. */
static void bench_threads(bench *b)
{
    runner r[2];
    double wall[2] = {INFINITY, INFINITY}, cpu[2] = {INFINITY, INFINITY};
    for (int i = 0; i < 2; i++) {
        r[i] = (runner){.b = b, .rounds = 20};
        MUST(sky_he_eval_new(&r[i].ev, b->ctx, e));
        sky_he_eval_set_keys(r[i].ev, b->keys);
        MUST(sky_he_ct_new(&r[i].out, b->ctx, (sky_he_shape){0}, e));
    }
    for (int run = 0; run < b->runs; run++) {
        for (int threads = 1; threads <= 2; threads++) {
            pthread_t id[2];
            double begin = wall_us(), sum = 0;
            for (int i = 0; i < threads; i++)
                pthread_create(&id[i], NULL, rotate_many, &r[i]);
            for (int i = 0; i < threads; i++) {
                pthread_join(id[i], NULL);
                sum += r[i].cpu_us / (threads * r[i].rounds);
            }
            wall[threads - 1] =
                fmin(wall[threads - 1], (wall_us() - begin) / (threads * r[0].rounds));
            cpu[threads - 1] = fmin(cpu[threads - 1], sum);
        }
    }
    printf(
        "{\"bench\": \"he\", \"what\": \"two_threads\", \"path\": \"%s\", \"log2_n\": %u, "
        "\"rotation_us_one_thread\": %.1f, \"rotation_us_two_threads\": %.1f, \"speedup\": %.2f, "
        "\"speedup_by_processor_time\": %.2f}\n",
        b->ctx->k->name, b->info.params.log2_n, wall[0], wall[1], wall[0] / wall[1],
        2 * cpu[0] / cpu[1]);
    for (int i = 0; i < 2; i++) {
        sky_he_eval_free(r[i].ev);
        sky_he_ct_free(r[i].out);
    }
}

/* ---- One set of parameters ---- */

static void set_up(bench *b, sky_he_params params, const settings *s)
{
    b->runs = s->runs;
    MUST(sky_he_ctx_new(&b->ctx, &params, e));
    b->info = sky_he_ctx_info(b->ctx);
    MUST(sky_he_secret_new(&b->secret, b->ctx, e));
    MUST(sky_he_public_new(&b->public, b->secret, e));
    b->n_steps = (s->keys_mib << 20) / sky_he_key_bytes(b->ctx, params.n_data) + 1;
    b->n_steps = b->n_steps < b->info.slots ? b->n_steps : b->info.slots - 1;
    b->steps = calloc(b->n_steps, sizeof *b->steps);
    b->values = calloc(b->info.slots, sizeof *b->values);
    b->limb = he_alloc(b->info.n, sizeof *b->limb);
    if (!b->steps || !b->values || !b->limb)
        exit(1);
    for (size_t i = 0; i < b->n_steps; i++)
        b->steps[i] = (int32_t)i + 1;
    for (uint32_t j = 0; j < b->info.slots; j++)
        b->values[j] = sin(j);
    MUST(sky_he_keys_new(
        &b->keys, b->secret,
        &(sky_he_keys_options){.steps = b->steps, .n_steps = b->n_steps, .relinearise = true}, e));
    MUST(sky_he_eval_new(&b->ev, b->ctx, e));
    sky_he_eval_set_keys(b->ev, b->keys);
    MUST(sky_he_hoist_new(&b->hoist, b->ctx, 0, e));
    MUST(sky_he_pt_new(&b->pt, b->ctx, (sky_he_shape){0}, e));
    sky_he_ct **const cts[] = {&b->a, &b->b, &b->out};
    for (int i = 0; i < 3; i++)
        MUST(sky_he_ct_new(cts[i], b->ctx, (sky_he_shape){0}, e));
    MUST(sky_he_ct_new(&b->three, b->ctx, (sky_he_shape){.three_parts = true}, e));
    MUST(sky_he_ct_new(&b->ext, b->ctx, (sky_he_shape){.extended = true}, e));
    MUST(sky_he_ct_new(&b->ext2, b->ctx, (sky_he_shape){.extended = true}, e));
    run_encode(b);
    MUST(sky_he_encrypt(b->ev, b->a, b->pt, b->public, e));
    MUST(sky_he_encrypt(b->ev, b->b, b->pt, b->public, e));
}

static void tear_down(bench *b)
{
    sky_he_ct *cts[] = {b->a, b->b, b->out, b->three, b->ext, b->ext2};
    for (int i = 0; i < 6; i++)
        sky_he_ct_free(cts[i]);
    sky_he_pt_free(b->pt);
    sky_he_hoist_free(b->hoist);
    sky_he_eval_free(b->ev);
    sky_he_keys_free(b->keys);
    sky_he_public_free(b->public);
    sky_he_secret_free(b->secret);
    sky_he_ctx_free(b->ctx);
    free(b->steps);
    free(b->values);
    free(b->limb);
}

static void run_all(const settings *s, sky_he_params params, double stream_us_per_mib)
{
    bench b = {.stream_us_per_mib = stream_us_per_mib};
    set_up(&b, params, s);
    bench_transforms(&b);
    bench_operations(&b);
    bench_threads(&b);
    tear_down(&b);
}

/* ---- Command line ---- */

static void parse_list(char *text, settings *s, bool paths)
{
    for (char *save, *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        uint64_t n = 0;
        bool known = false;
        for (int p = SKY_HE_PORTABLE; paths && p <= SKY_HE_IFMA; p++) {
            if (!strcmp(word, sky_he_path_name((sky_he_path)p)))
                s->path[p] = known = true;
        }
        if (!paths && !sky_parse_u64(word, &n) && n >= 13 && n <= SKY_HE_LOG2_N_MAX)
            s->n[n] = known = true;
        if (!known) {
            fprintf(stderr, "he_bench: '%s': expected %s\n", word,
                    paths ? "portable, avx2 or avx512ifma" : "13 to 16");
            exit(2);
        }
    }
}

static settings parse(int argc, char **argv)
{
    settings s = {.keys_mib = 192, .runs = 7};
    char n[] = "13,14,15", paths[] = "portable,avx2,avx512ifma";
    bool n_given = false, paths_given = false;
    for (int i = 1; i < argc; i += 2) {
        uint64_t number = 0;
        if (i + 1 < argc && !strcmp(argv[i], "--n")) {
            parse_list(argv[i + 1], &s, false);
            n_given = true;
        } else if (i + 1 < argc && !strcmp(argv[i], "--path")) {
            parse_list(argv[i + 1], &s, true);
            paths_given = true;
        } else if (i + 1 < argc && !strcmp(argv[i], "--keys-mib") &&
                   !sky_parse_u64(argv[i + 1], &number) && number < 65536) {
            s.keys_mib = number;
        } else if (i + 1 < argc && !strcmp(argv[i], "--runs") &&
                   !sky_parse_u64(argv[i + 1], &number) && number > 0 && number < 1000) {
            s.runs = (int)number;
        } else {
            fputs("usage: he_bench [--n 13,14,15] [--path portable,avx2,avx512ifma] [--keys-mib N] "
                  "[--runs N]\n",
                  stderr);
            exit(2);
        }
    }
    if (!n_given)
        parse_list(n, &s, false);
    if (!paths_given)
        parse_list(paths, &s, true);
    return s;
}

int main(int argc, char **argv)
{
    settings s = parse(argc, argv);
    bench b = {.runs = s.runs};
    stream = he_alloc((size_t)STREAM_MIB << 17, sizeof *stream);
    if (!stream)
        return 1;
    double us_per_mib = measure(&b, run_stream) / STREAM_MIB;
    free(stream);
    printf("{\"bench\": \"he\", \"what\": \"memory\", \"read_gb_per_s\": %.2f}\n",
           1048.576 / us_per_mib);
    for (uint32_t n = 13; n <= SKY_HE_LOG2_N_MAX; n++) {
        for (int p = SKY_HE_IFMA; s.n[n] && p >= SKY_HE_PORTABLE; p--) {
            if (!s.path[p] || !sky_he_path_available((sky_he_path)p))
                continue;
            sky_he_params params = {.log2_n = n, .n_data = n == 13 ? 3 : 7, .path = (sky_he_path)p};
            run_all(&s, params, us_per_mib);
            if (n == 15) {
                params.n_data = 17;
                params.n_special = params.digit_primes = 3;
                run_all(&s, params, us_per_mib);
            }
        }
    }
    return 0;
}

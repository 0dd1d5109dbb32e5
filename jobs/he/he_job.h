/* What the jobs he_conv and he_network share: parameters and metrics with the same meaning, and the times of a
 * layer. Only for these two. */
#ifndef SKY_JOBS_HE_JOB_H
#define SKY_JOBS_HE_JOB_H

#include <string.h>

#include "jobs/he/he_layer.h"
#include "jobs/job_params.h"
#include "jobs/jobs_internal.h"

#define HE_METRIC(NAME, TYPE, UNIT, GOAL, CLASS, DOC)                                              \
    {                                                                                              \
        .name = (NAME), .type = (TYPE), .unit = (UNIT), .doc = (DOC), .goal = (GOAL),              \
        .cls = (CLASS)                                                                             \
    }
#define HE_EXACT(NAME, UNIT, GOAL, DOC)    HE_METRIC(NAME, SKY_INT, UNIT, GOAL, SKY_EXACT, DOC)
#define HE_MEASURED(NAME, UNIT, GOAL, DOC) HE_METRIC(NAME, SKY_REAL, UNIT, GOAL, SKY_MEASURED, DOC)

enum { HE_COUNT, HE_MODEL, HE_REAL };
enum { HE_RUNS_MAX = 100 };
extern const char *const he_evaluations[];

/* Shared parameters, in a block of a job's list that begins at its own number BASE. */
enum {
    HE_P_LOG_N,
    HE_P_PRIMES,
    HE_P_SPECIAL_PRIMES,
    HE_P_HOISTING,
    HE_P_HOISTED_COST,
    HE_P_PRUNE,
    HE_P_KEEP,
    HE_P_EVALUATE,
    HE_P_RUNS,
    HE_P_CACHE_MIB,
    HE_P_MEMORY_MIB,
    HE_P_WEIGHT_SEED,
    HE_PARAMS,
};
/* clang-format off */
#define HE_PARAM_BLOCK(BASE, LOG_N, PRIMES, RUNS) \
    [(BASE) + HE_P_LOG_N] = SKY__INTEGER("log_n", "", LOG_N, SKY_HE_LOG2_N_MIN, SKY_HE_LOG2_N_MAX, \
        "ring degree 2^log_n; a ciphertext has half as many slots"), \
    [(BASE) + HE_P_PRIMES] = SKY__INTEGER("primes", "", PRIMES, 1, SKY_HE_DATA_MAX, \
        "data primes of an input; one more than the depth at least"), \
    [(BASE) + HE_P_SPECIAL_PRIMES] = SKY__INTEGER("special_primes", "", 1, 1, SKY_HE_SPECIAL_MAX, \
        "of 50 bits; also data primes in a digit of key switching"), \
    [(BASE) + HE_P_HOISTING] = SKY__TEXT("hoisting", "double", sky_he_hoisting_names, \
        "what rotations of one input share"), \
    [(BASE) + HE_P_HOISTED_COST] = SKY__REAL("hoisted_cost", "", 1, 0.001, 1, \
        "of a hoisted rotation, a full one being 1: for choices"), \
    [(BASE) + HE_P_PRUNE] = SKY__TEXT("prune", "none", sky_he_group_names, \
        "weights that are pruned together"), \
    [(BASE) + HE_P_KEEP] = SKY__REAL("keep", "", 1, 0, 1, \
        "part of the rotations of those groups that is kept"), \
    [(BASE) + HE_P_EVALUATE] = SKY__TEXT("evaluate", "model", he_evaluations, \
        "count: no times; model: from single operations; real: encrypted"), \
    [(BASE) + HE_P_RUNS] = SKY__INTEGER("runs", "", RUNS, 1, HE_RUNS_MAX, \
        "encrypted runs of a layer, whose mean is its latency (real)"), \
    [(BASE) + HE_P_CACHE_MIB] = SKY__INTEGER("cache_mib", "MiB", 0, 0, 1 << 20, \
        "weights of a layer encoded beforehand, at most; others as they are needed"), \
    [(BASE) + HE_P_MEMORY_MIB] = SKY__INTEGER("memory_mib", "MiB", 4096, 1, 1 << 20, \
        "keys, ciphertexts and workspace; steps are composed where they would take more"), \
    [(BASE) + HE_P_WEIGHT_SEED] = SKY__INTEGER("weight_seed", "", 1, 0, 1e9, \
        "of the synthetic weights (He normal)")
/* clang-format on */

/* Those parameters, read; slots, hoisted_cost and params of `layer` are set, its packing is the job's. */
typedef struct he_settings {
    int evaluation, runs;
    sky_he_params params;
    sky_he_hoisting hoisting;
    uint64_t cache_bytes;
    sky_he_layer_options layer;
} he_settings;

/* p: the first of the block. */
he_settings he_settings_of(const sky_value *p);

/* Shared metrics, likewise. */
enum {
    HE_M_ROTATIONS,
    HE_M_ROTATIONS_FULL,
    HE_M_ROTATIONS_HOISTED,
    HE_M_ROTATIONS_UNPRUNED,
    HE_M_PRODUCTS,
    HE_M_GALOIS_KEYS,
    HE_M_KEY_BYTES,
    HE_M_MEMORY_BYTES,
    HE_M_ENERGY_KEPT,
    HE_M_SECURITY_BITS,
    HE_M_LATENCY_MODEL,
    HE_M_LATENCY_UNPRUNED,
    HE_M_LATENCY,
    HE_M_ERROR_MAX,
    HE_METRICS,
};
/* clang-format off */
#define HE_METRIC_BLOCK(BASE) \
    [(BASE) + HE_M_ROTATIONS] = HE_EXACT("rotations", "", SKY_MIN, "full and hoisted"), \
    [(BASE) + HE_M_ROTATIONS_FULL] = HE_EXACT("rotations_full", "", SKY_MIN, \
        "with a key switch of their own"), \
    [(BASE) + HE_M_ROTATIONS_HOISTED] = HE_EXACT("rotations_hoisted", "", SKY_MIN, \
        "that share a decomposition with others"), \
    [(BASE) + HE_M_ROTATIONS_UNPRUNED] = HE_EXACT("rotations_unpruned", "", SKY_NO_GOAL, \
        "of the same packing with all weights"), \
    [(BASE) + HE_M_PRODUCTS] = HE_EXACT("products", "", SKY_MIN, \
        "of a ciphertext and a plaintext"), \
    [(BASE) + HE_M_GALOIS_KEYS] = HE_EXACT("galois_keys", "", SKY_MIN, "distinct rotations"), \
    [(BASE) + HE_M_KEY_BYTES] = HE_EXACT("key_bytes", "B", SKY_MIN, \
        "of them, each at the level of its first use"), \
    [(BASE) + HE_M_MEMORY_BYTES] = HE_EXACT("memory_bytes", "B", SKY_MIN, \
        "keys, ciphertexts and workspace, of the layer that needs the most"), \
    [(BASE) + HE_M_ENERGY_KEPT] = HE_METRIC("energy_kept", SKY_REAL, "", SKY_MAX, SKY_TOLERANCE, \
        "part of the weights' squares that pruning left; of a network the mean of its layers"), \
    [(BASE) + HE_M_SECURITY_BITS] = HE_EXACT("security_bits", "bits", SKY_MAX, \
        "192, 128, or 0 for less"), \
    [(BASE) + HE_M_LATENCY_MODEL] = HE_MEASURED("latency_model_s", "s", SKY_MIN, \
        "sum over the program's operations, each measured on its own"), \
    [(BASE) + HE_M_LATENCY_UNPRUNED] = HE_MEASURED("latency_unpruned_s", "s", SKY_NO_GOAL, \
        "the model's, with all weights"), \
    [(BASE) + HE_M_LATENCY] = HE_MEASURED("latency_s", "s", SKY_MIN, \
        "of what ran encrypted, mean of the runs, one thread's CPU time"), \
    [(BASE) + HE_M_ERROR_MAX] = HE_MEASURED("error_max", "", SKY_MIN, \
        "largest difference from the plain result")
/* clang-format on */

/* Rotations, products and memory of one or more layers into the block that begins at m. keys: steps_at alone
 * is looked at. */
void he_put_counts(const he_settings *s, const sky_he_conv_counts *sum,
                   const sky_he_conv_counts *before, const sky_he_conv_counts *keys,
                   uint64_t memory_bytes, sky_value *m);

/* An upper bound of the memory that an evaluation takes beside layer_bytes: calibrating, and keeping factors. */
uint64_t he_bytes_needed(const he_settings *s, uint64_t layer_bytes);

/* Seconds; NaN: not evaluated. */
typedef struct he_times {
    double model_s, unpruned_s, rotation_share, real_s, encode_s, error_max;
} he_times;
extern const he_times he_no_times;

/* Encrypted: the last three. Before and after it the cost model's operations may be measured, so layers are measured
 * first and modelled then. */
sky_err he_measure_layer(he_times *t, const he_settings *s, const sky_he_layer *l,
                         uint64_t image_seed, sky_error *e);
/* By the cost model: the first three. */
sky_err he_model_layer(he_times *t, const he_settings *s, const sky_he_layer *l, sky_error *e);

int64_t he_sum(const int64_t *at); /* [SKY_HE_DEPTH_MAX + 1] */

static inline int he_choice(const char *const *list, const char *text)
{
    int i = 0;
    while (list[i + 1] && strcmp(list[i], text) != 0)
        i++;
    return i;
}

#endif

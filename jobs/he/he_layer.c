/* See he_layer.h. */
#include "jobs/he/he_layer.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

static sky_err no_memory(sky_error *e)
{
    return sky_fail(e, SKY_ENOMEM, "he: out of memory");
}

/* --- making --- */

void sky_he_layer_drop_weights(sky_he_layer *l)
{
    free(l->weights);
    l->weights = NULL;
}

void sky_he_layer_free(sky_he_layer *l)
{
    sky_he_conv_plan_free(l->plan);
    sky_he_conv_plan_free(l->whole);
    sky_he_layer_drop_weights(l);
    *l = (sky_he_layer){0};
}

static void apply(sky_he_layer *l, const uint8_t *keep, int64_t n)
{
    double all = 0, left = 0;
    l->weights_kept = 0;
    for (int64_t k = 0; k < n; k++) {
        const double square = l->weights[k] * l->weights[k];
        all += square;
        if (keep[k]) {
            left += square;
            l->weights_kept++;
        } else {
            l->weights[k] = 0;
        }
    }
    l->energy_kept = all > 0 ? left / all : 1;
}

/* The plan again, without what was pruned, at the split of the unpruned one: the groups are its groups. */
static sky_err plan_again(sky_he_layer *l, const sky_he_layer_options *o, const uint8_t *keep,
                          sky_error *e)
{
    const sky_he_packing packing = o->conv.packing;
    sky_he_conv_options again = o->conv;
    const bool free_split =
        packing == SKY_HE_HYBRID || packing == SKY_HE_TOEPLITZ || packing == SKY_HE_HALEVI_SHOUP;
    again.split = free_split ? l->plan->split : 0;
    again.keep = keep;
    sky_he_conv_plan *plan;
    sky_err err = sky_he_conv_plan_create(&plan, &l->plan->shape, &again, e);
    if (err != SKY_OK)
        return err;
    l->whole = l->plan;
    l->plan = plan;
    return SKY_OK;
}

static sky_err prune(sky_he_layer *l, const sky_he_layer_options *o, sky_error *e)
{
    const int64_t n = sky_he_conv_weights(&l->plan->shape);
    sky_he_prune_problem p = {0};
    uint8_t *pruned = NULL, *keep = NULL;
    sky_err err = sky_he_prune_groups(&p, l->plan, o->group, l->weights, o->conv.hoisted_cost, e);
    if (err == SKY_OK) {
        pruned = malloc((size_t)p.n + 1);
        keep = malloc((size_t)n + 1);
        if (!pruned || !keep)
            err = no_memory(e);
    }
    if (err == SKY_OK)
        err = sky_he_prune_greedy(&p, (1 - o->kept) * p.saved_all, pruned);
    if (err == SKY_OK) {
        sky_he_prune_mask(l->plan, o->group, pruned, keep);
        apply(l, keep, n);
        err = plan_again(l, o, keep, e);
    }
    free(pruned);
    free(keep);
    sky_he_prune_free(&p);
    return err;
}

static sky_err make(sky_he_layer *out, const sky_he_conv_shape *shape,
                    const sky_he_layer_options *o, bool with_weights, sky_error *e)
{
    sky_he_layer l = {.energy_kept = 1};
    sky_he_conv_options conv = o->conv;
    conv.keep = NULL;
    const bool prunes = o->group != SKY_HE_GROUP_NONE && o->kept < 1;
    sky_err err = sky_he_conv_plan_create(&l.plan, shape, &conv, e);
    if (err == SKY_OK) {
        l.weights_kept = sky_he_conv_weights(shape);
        err = sky_he_conv_count(l.plan, &l.before, e);
    }
    if (err == SKY_OK && (prunes || with_weights)) {
        l.weights = malloc((size_t)sky_he_conv_weights(shape) * sizeof *l.weights);
        if (!l.weights)
            err = no_memory(e);
        else
            sky_he_weights_he_normal(shape, o->weight_seed, l.weights);
    }
    if (err == SKY_OK && prunes)
        err = prune(&l, o, e);
    if (err == SKY_OK && prunes)
        err = sky_he_conv_count(l.plan, &l.counts, e);
    else
        l.counts = l.before;
    if (err == SKY_OK) {
        *out = l;
        return SKY_OK;
    }
    sky_he_layer_free(&l);
    return err;
}

sky_err sky_he_layer_make(sky_he_layer *out, const sky_he_conv_shape *shape,
                          const sky_he_layer_options *o, bool with_weights, sky_error *e)
{
    assert(out && shape && o);
    sky_he_layer l;
    sky_err err = make(&l, shape, o, with_weights, e);
    if (err != SKY_OK || o->memory_bytes_max == 0 ||
        sky_he_layer_memory_bytes(&l.counts, &o->params) <= o->memory_bytes_max) {
        *out = err == SKY_OK ? l : *out;
        return err;
    }
    sky_he_layer_free(&l);
    sky_he_layer_options fewer_keys = *o;
    fewer_keys.conv.composes = true;
    err = make(&l, shape, &fewer_keys, with_weights, e);
    if (err != SKY_OK)
        return err;
    const uint64_t bytes = sky_he_layer_memory_bytes(&l.counts, &o->params);
    if (bytes <= o->memory_bytes_max) {
        *out = l;
        return SKY_OK;
    }
    err = sky_fail(e, SKY_ELIMIT,
                   "memory: packing %s needs %.0f MiB (%d keys: %.0f MiB; %d ciphertexts), with "
                   "steps composed of powers of two, and memory_mib allows %.0f: raise it, or take "
                   "fewer primes, a smaller log_n or another packing",
                   sky_he_packing_name(o->conv.packing), (double)bytes / (1 << 20), l.counts.steps,
                   (double)sky_he_layer_key_bytes(&l.counts, &o->params) / (1 << 20),
                   l.counts.registers_peak, (double)o->memory_bytes_max / (1 << 20));
    sky_he_layer_free(&l);
    return err;
}

/* --- bytes --- */

static uint32_t or_default(uint32_t x, uint32_t def)
{
    return x > 0 ? x : def;
}

static uint64_t key_bytes(const sky_he_params *p, uint32_t level)
{
    const uint32_t special = or_default(p->n_special, 1);
    const uint32_t alpha = or_default(p->digit_primes, special);
    const uint64_t digits = (level + alpha - 1) / alpha;
    return (2 * digits * (level + special) * sizeof(uint64_t)) << p->log2_n;
}

uint64_t sky_he_layer_key_bytes(const sky_he_conv_counts *c, const sky_he_params *p)
{
    uint64_t bytes = 0;
    for (uint32_t k = 0; k <= SKY_HE_DEPTH_MAX && k < p->n_data; k++)
        bytes += (uint64_t)c->steps_at[k] * key_bytes(p, p->n_data - k);
    return bytes;
}

uint64_t sky_he_layer_memory_bytes(const sky_he_conv_counts *c, const sky_he_params *p)
{
    const uint64_t limb = sizeof(uint64_t) << p->log2_n;
    const uint32_t wide = p->n_data + or_default(p->n_special, 1);
    /* Inputs in both forms, what the program keeps, sums on their way, factors on their way, digits. */
    const uint64_t ciphertexts = (uint64_t)c->registers_peak + (uint64_t)c->ciphertexts_in + 4;
    const uint64_t alpha = or_default(p->digit_primes, or_default(p->n_special, 1));
    const uint64_t digits = (p->n_data + alpha - 1) / alpha;
    return sky_he_layer_key_bytes(c, p) +
           (ciphertexts * 2 + SKY_HE_DOT_MAX + 2 * digits + 16) * wide * limb;
}

uint64_t sky_he_calibration_bytes(const sky_he_params *p)
{
    const uint64_t limb = sizeof(uint64_t) << p->log2_n;
    const uint64_t special = or_default(p->n_special, 1);
    const uint64_t alpha = or_default(p->digit_primes, (uint32_t)special);
    /* Keys, ciphertexts, factors. */
    uint64_t bytes = (2 + SKY_HE_COST_FACTORS_FAR) * (uint64_t)SKY_HE_COST_FAR_BYTES;
    for (uint32_t k = 0; k <= SKY_HE_DEPTH_MAX && k < p->n_data; k++) {
        const uint64_t level = p->n_data - k;
        const uint64_t digits = (level + alpha - 1) / alpha;
        /* One key at least; ciphertexts and factors of the longest run; digits, hoisted and on their way. */
        bytes += key_bytes(p, (uint32_t)level);
        bytes += (3 * SKY_HE_DOT_MAX + 8 + 2 * digits) * (level + special) * limb;
    }
    return bytes;
}

/* --- parameters --- */

sky_err sky_he_layer_check_params(const sky_he_params *p, int32_t depth, sky_error *e)
{
    if (p->n_data <= (uint32_t)depth)
        return sky_fail(
            e, SKY_ELIMIT,
            "level exhausted: the packing multiplies %d times in a row and needs at least %d "
            "primes; primes is %u",
            depth, depth + 1, p->n_data);
    const uint32_t bits = or_default(p->first_bits, 50) +
                          (p->n_data - 1) * or_default(p->scale_bits, 40) +
                          or_default(p->n_special, 1) * or_default(p->special_bits, 50);
    const uint32_t most = sky_he_log2_qp_max(p->log2_n);
    if (!p->insecure && bits > most)
        return sky_fail(
            e, SKY_EPERM,
            "insecure parameters: %u primes make a modulus of %u bits, and log_n %u has 128 "
            "bits of security up to %u: take fewer primes or a larger log_n",
            p->n_data, bits, p->log2_n, most);
    return SKY_OK;
}

/* --- what points share --- */

static struct {
    sky_he_params params;
    sky_he_ctx *ctx;
    sky_he_cost_options cost_options;
    sky_he_cost_model cost;
    bool has_cost;            /* of enough passes */
    sky_he_cost_bench *bench; /* open from the first real run on */
    uint32_t passes_before;   /* these runs */
    double pass_end_s, pass_took_s;
} shared; /* of this process: an executor evaluates one point at a time */

static bool same_params(const sky_he_params *a, const sky_he_params *b)
{
    return a->log2_n == b->log2_n && a->n_data == b->n_data && a->n_special == b->n_special &&
           a->digit_primes == b->digit_primes && a->first_bits == b->first_bits &&
           a->scale_bits == b->scale_bits && a->special_bits == b->special_bits &&
           a->insecure == b->insecure && a->path == b->path;
}

static bool same_cost(const sky_he_cost_options *a, const sky_he_cost_options *b)
{
    return a->hoisting == b->hoisting && a->depth == b->depth && a->measure_us == b->measure_us &&
           a->far_bytes == b->far_bytes;
}

static void forget_cost(void)
{
    sky_he_cost_bench_free(shared.bench);
    shared.bench = NULL;
    shared.passes_before = 0;
    shared.has_cost = false;
}

sky_err sky_he_shared_context(const sky_he_ctx **out, const sky_he_params *p, sky_error *e)
{
    if (!shared.ctx || !same_params(&shared.params, p)) {
        forget_cost();
        sky_he_ctx_free(shared.ctx);
        shared.ctx = NULL;
        sky_err err = sky_he_ctx_new(&shared.ctx, p, e);
        if (err != SKY_OK)
            return err;
        shared.params = *p;
    }
    *out = shared.ctx;
    return SKY_OK;
}

static sky_err use_cost(const sky_he_params *p, const sky_he_cost_options *o, sky_error *e)
{
    const sky_he_ctx *ctx;
    sky_err err = sky_he_shared_context(&ctx, p, e);
    if (err == SKY_OK && !same_cost(&shared.cost_options, o)) {
        forget_cost();
        shared.cost_options = *o;
    }
    return err;
}

static sky_err open_bench(sky_error *e)
{
    shared.has_cost = false;
    return sky_he_cost_bench_new(&shared.bench, shared.ctx, &shared.cost_options, e);
}

static sky_err pass(sky_error *e)
{
    const double start = sky_he_cpu_seconds();
    const uint32_t now = sky_he_cost_bench_passes(shared.bench) - shared.passes_before + 1;
    const uint32_t last = now < SKY_HE_COST_PASSES       ? SKY_HE_COST_PASSES
                          : now < SKY_HE_COST_PASSES_MAX ? now
                                                         : SKY_HE_COST_PASSES_MAX;
    sky_err err = sky_he_cost_bench_pass(shared.bench, last, e);
    if (err != SKY_OK) {
        forget_cost();
        return err;
    }
    shared.pass_end_s = sky_he_cpu_seconds();
    shared.pass_took_s = shared.pass_end_s - start;
    shared.has_cost = sky_he_cost_bench_passes(shared.bench) >= SKY_HE_COST_PASSES;
    shared.cost = *sky_he_cost_bench_model(shared.bench);
    return SKY_OK;
}

sky_err sky_he_shared_cost(const sky_he_cost_model **out, const sky_he_params *p,
                           const sky_he_cost_options *o, sky_error *e)
{
    sky_err err = use_cost(p, o, e);
    const bool watched = shared.bench != NULL;
    if (err == SKY_OK && !watched && !shared.has_cost)
        err = open_bench(e);
    while (err == SKY_OK && !shared.has_cost)
        err = pass(e);
    if (!watched) {
        sky_he_cost_bench_free(shared.bench);
        shared.bench = NULL;
    }
    if (err == SKY_OK)
        *out = &shared.cost;
    return err;
}

void sky_he_shared_cost_begin(void)
{
    shared.passes_before = shared.bench ? sky_he_cost_bench_passes(shared.bench) : 0;
}

sky_err sky_he_shared_cost_watch(const sky_he_params *p, const sky_he_cost_options *o, sky_error *e)
{
    /* As many passes at once that those after the first run are still the minority. */
    enum { AT_FIRST = (SKY_HE_COST_PASSES + 1) / 2, PAUSE = 4 /* in the time of a pass */ };
    sky_err err = use_cost(p, o, e);
    if (err == SKY_OK && !shared.bench)
        err = open_bench(e);
    while (err == SKY_OK && sky_he_cost_bench_passes(shared.bench) < AT_FIRST)
        err = pass(e);
    if (err == SKY_OK && sky_he_cpu_seconds() - shared.pass_end_s >= PAUSE * shared.pass_took_s)
        err = pass(e);
    return err;
}

sky_err sky_he_layer_predict(sky_he_layer_times *out, const sky_he_layer *l,
                             const sky_he_cost_model *m, uint64_t cache_bytes, sky_error *e)
{
    assert(out && l && m);
    sky_he_layer_times t;
    sky_err err = sky_he_cost_predict(&t.pruned, m, l->plan, cache_bytes, e);
    t.whole = t.pruned;
    if (err == SKY_OK && l->whole)
        err = sky_he_cost_predict(&t.whole, m, l->whole, cache_bytes, e);
    if (err == SKY_OK)
        *out = t;
    return err;
}

/* --- a real run --- */

typedef struct image {
    double *x, *y, *want;
    int64_t n_x, n_y;
} image;

static void image_free(image *i)
{
    free(i->x);
    free(i->y);
    free(i->want);
}

static sky_err image_make(image *i, const sky_he_layer *l, uint64_t seed, sky_error *e)
{
    const sky_he_conv_shape *shape = &l->plan->shape;
    i->n_x = (int64_t)shape->c_in * shape->h * shape->w;
    i->n_y = (int64_t)l->plan->out.c * l->plan->out.h * l->plan->out.w;
    i->x = malloc((size_t)i->n_x * sizeof *i->x);
    i->y = malloc((size_t)i->n_y * sizeof *i->y);
    i->want = malloc((size_t)i->n_y * sizeof *i->want);
    if (!i->x || !i->y || !i->want)
        return no_memory(e);
    sky_rng rng;
    sky_rng_init(&rng, seed, 1);
    for (int64_t k = 0; k < i->n_x; k++)
        i->x[k] = 2 * sky_rng_f64(&rng) - 1;
    sky_he_conv_reference(shape, i->x, l->weights, i->want);
    return SKY_OK;
}

static sky_err run_and_compare(sky_he_layer_run *r, int k, sky_he_conv_session *s, image *i,
                               sky_error *e)
{
    sky_he_conv_times t;
    sky_err err = sky_he_conv_session_run(s, i->x, i->y, &t, e);
    if (err != SKY_OK)
        return err;
    if (r->run_s)
        r->run_s[k] = t.total_s;
    if (k == 0 || t.total_s < r->times.total_s)
        r->times = t;
    for (int64_t at = 0; at < i->n_y; at++) {
        r->error_max = fmax(r->error_max, fabs(i->y[at] - i->want[at]));
        r->value_max = fmax(r->value_max, fabs(i->want[at]));
    }
    return SKY_OK;
}

sky_err sky_he_layer_run_real(sky_he_layer_run *out, const sky_he_layer *l, const sky_he_ctx *ctx,
                              const sky_he_conv_ckks_options *o, uint64_t image_seed, int runs,
                              sky_error *e)
{
    assert(out && l && l->weights && ctx && o && runs > 0);
    sky_he_conv_session *s;
    sky_err err = sky_he_conv_session_new(&s, ctx, l->plan, l->weights, o, e);
    if (err != SKY_OK)
        return err;
    sky_he_layer_run r = {.run_s = out->run_s,
                          .between = out->between,
                          .user = out->user,
                          .cached = sky_he_conv_session_cached(s)};
    image i = {0};
    err = image_make(&i, l, image_seed, e);
    for (int k = 0; k < runs && err == SKY_OK; k++) {
        if (r.between)
            err = r.between(r.user, k, e);
        if (err == SKY_OK)
            err = run_and_compare(&r, k, s, &i, e);
    }
    if (err == SKY_OK && r.between)
        err = r.between(r.user, runs, e);
    r.floor = sky_he_conv_session_floor(s);
    image_free(&i);
    sky_he_conv_session_free(s);
    if (err == SKY_OK)
        *out = r;
    return err;
}

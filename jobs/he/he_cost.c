/* Times of single operations. See he_cost.h. */
#include "jobs/he/he_cost.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "jobs/he/he_cost_internal.h"

enum {
    MEASURE_US = 3000, /* of each operation in a pass */
    WARM_UP = 4,       /* the second time on the same operands is slower than the fourth */
};

/* One level. */
typedef struct bench {
    sky__he_operands on;
    int32_t measure_us;
    sky__he_op before; /* not timed: what leaves the near caches as a program does */
    /* [room_took] what the last passes measured, in its order; pass p in column p mod the columns */
    double (*took)[SKY_HE_COST_PASSES_MAX];
    int32_t n_took, room_took;
    uint32_t pass, n_last; /* the number of this one; how many count, with it */
} bench;

static sky_err timed(bench *b, sky__he_op op, double *total_s, sky_error *e)
{
    TRY(sky__he_operate(&b->on, b->before, e));
    const double start = sky_he_cpu_seconds();
    TRY(sky__he_operate(&b->on, op, e));
    *total_s += sky_he_cpu_seconds() - start;
    return SKY_OK;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double sky_he_middle_mean(double *x, uint32_t n)
{
    assert(x && n > 0);
    qsort(x, n, sizeof *x, by_value);
    const uint32_t cut = n / 10;
    double sum = 0;
    for (uint32_t k = cut; k < n - cut; k++)
        sum += x[k];
    return sum / (n - 2 * cut);
}

/* Notes what this pass measured, and takes it together with what the last passes measured here. */
static sky_err middle(bench *b, double took, double *out, sky_error *e)
{
    if (b->n_took == b->room_took) {
        const int32_t room = b->room_took > 0 ? 2 * b->room_took : 64;
        double(*row)[SKY_HE_COST_PASSES_MAX] = realloc(b->took, (size_t)room * sizeof *row);
        if (!row)
            return sky_fail(e, SKY_ENOMEM, "he: out of memory");
        b->took = row;
        b->room_took = room;
    }
    double *row = b->took[b->n_took++];
    row[b->pass % SKY_HE_COST_PASSES_MAX] = took;
    double last[SKY_HE_COST_PASSES_MAX];
    for (uint32_t k = 0; k < b->n_last; k++)
        last[k] = row[(b->pass - k) % SKY_HE_COST_PASSES_MAX];
    *out = sky_he_middle_mean(last, b->n_last);
    return SKY_OK;
}

/* Seconds of one operation, measured through the whole ring. */
static sky_err measure(bench *b, sky__he_op op, int32_t ring, double *out, sky_error *e)
{
    double total_s = 0;
    for (int32_t k = 0; k < WARM_UP; k++)
        TRY(timed(b, op, &total_s, e));
    int32_t n = 0;
    total_s = 0;
    do {
        TRY(timed(b, op, &total_s, e));
        n++;
    } while (total_s * 1e6 < b->measure_us || n < ring);
    return middle(b, total_s / n, out, e);
}

/* The same after products, where a program does it there. */
static sky_err measure_after(bench *b, sky__he_op op, double *out, sky_error *e)
{
    b->on.dot = b->on.ring_ct = b->on.ring_pt = SKY_HE_DOT_MAX;
    b->before = SKY__HE_OP_DOT;
    sky_err err = measure(b, op, 1, out, e);
    b->before = SKY__HE_OP_NONE;
    b->on.ring_ct = 1;
    return err;
}

/* --- what is measured --- */

/* A product at the last level could not be rescaled, so no program has one. */
static sky_err measure_products(bench *b, sky_he_cost_level *l, sky_error *e)
{
    for (int k = 0; k < SKY_HE_COST_DOTS; k++) { /* each of a run has its own place in the caches */
        b->on.dot = b->on.ring_ct = b->on.ring_pt = 1 << k;
        TRY(measure(b, SKY__HE_OP_DOT, 1, &l->dot_s[k], e));
    }
    b->on.ring_ct = 1;
    TRY(measure(b, SKY__HE_OP_ADD, 1, &l->add_s, e));
    TRY(measure_after(b, SKY__HE_OP_RESCALE, &l->rescale_s, e));
    b->on.ring_pt = SKY_HE_DOT_MAX; /* a dot's factors are encoded before it */
    return measure(b, SKY__HE_OP_TRANSFORM, 1, &l->encode_s, e);
}

static sky_err measure_level(bench *b, sky_he_cost_level *l, sky_error *e)
{
    l->ct_bytes = sky_he_ct_bytes(b->on.ctx, b->on.level, b->on.extended);
    l->pt_bytes = sky_he_pt_bytes(b->on.ctx, b->on.level, b->on.extended);
    l->key_bytes = sky_he_key_bytes(b->on.ctx, b->on.level);
    TRY(measure(b, SKY__HE_OP_FULL, 1, &l->full_s, e));
    b->on.ring_ct = 1;
    if (b->on.level > 1)
        return measure_products(b, l, e);
    return measure(b, SKY__HE_OP_ADD, 1, &l->add_s, e);
}

/* All packings but `multiplexed` have the same code for their slots. */
static sky_err measure_term(bench *b, int32_t edge, int32_t channels, sky_he_cost_weights *w,
                            sky_error *e)
{
    TRY(sky__he_operands_plan(&b->on, SKY_HE_ADD_FIRST, edge, channels, e));
    *w = sky_he_cost_weights_of(b->on.plan);
    return measure(b, SKY__HE_OP_ENCODE, 1, &w->term_s, e);
}

static sky_err measure_factors(bench *b, sky_he_cost_model *m, sky_error *e)
{
    b->on.ring_pt = SKY_HE_DOT_MAX;
    TRY(measure_term(b, SKY__HE_NEAR_EDGE, SKY__HE_NEAR_CHANNELS, &m->near_term, e));
    TRY(measure_term(b, SKY__HE_FAR_EDGE, SKY__HE_FAR_CHANNELS, &m->far_term, e));
    TRY(sky__he_operands_plan(&b->on, SKY_HE_MULTIPLEXED, SKY__HE_NEAR_EDGE, SKY__HE_NEAR_CHANNELS,
                              e));
    TRY(measure(b, SKY__HE_OP_ENCODE, 1, &m->copy_term_s, e));
    return measure(b, SKY__HE_OP_ENCODE_MASK, 1, &m->mask_s, e);
}

/* A run of products whose factors were encoded one after another just before. */
static sky_err measure_fresh(bench *b, int32_t run, double cached_s, double *out, sky_error *e)
{
    b->on.dot = b->on.ring_ct = b->on.ring_pt = run;
    b->before = SKY__HE_OP_TRANSFORMS;
    double dot_s;
    TRY(measure(b, SKY__HE_OP_DOT, 1, &dot_s, e));
    b->before = SKY__HE_OP_NONE;
    b->on.dot = b->on.ring_ct = 1;
    *out = fmax(dot_s - cached_s, 0) / run;
    return SKY_OK;
}

/* The operation for rings of one operand from small to far. `other`: bytes that it touches beside that. */
static sky_err measure_curve(bench *b, sky__he_op op, int32_t *ring, int32_t room, size_t each,
                             size_t other, sky_he_cost_curve *c, sky_error *e)
{
    const int32_t per_op = op == SKY__HE_OP_DOT ? b->on.dot : 1;
    const uint64_t far_bytes = (uint64_t)room * each;
    c->op_bytes = (double)per_op * (double)each;
    for (int k = 0; k < SKY_HE_COST_POINTS; k++) {
        /* 1/27, 1/9, 1/3 and all of it, and one alone before these */
        const double part = k == 0 ? 0 : pow(3, k - (SKY_HE_COST_POINTS - 1));
        *ring = sky__he_ring_of((uint64_t)(part * (double)far_bytes), each, room);
        if (*ring < per_op)
            *ring = per_op;
        c->distance[k] = *ring * ((double)each + (double)other / per_op);
        TRY(measure(b, op, *ring / per_op, &c->op_s[k], e));
    }
    *ring = per_op;
    return SKY_OK;
}

/* Of rings of products whose ciphertexts and factors are both far. The curves of each alone are measured before. */
static sky_err measure_crowd(bench *b, sky_he_cost_model *m, sky_error *e)
{
    const sky_he_cost_curve *source = &m->beyond[SKY_HE_OPERAND_SOURCE];
    const sky_he_cost_curve *factor = &m->beyond[SKY_HE_OPERAND_FACTOR];
    double both_s;
    b->on.dot = SKY_HE_DOT_MAX;
    b->on.ring_ct = b->on.room_ct;
    b->on.ring_pt = b->on.room_pt;
    TRY(measure(b, SKY__HE_OP_DOT, b->on.room_pt / b->on.dot, &both_s, e));
    b->on.ring_ct = b->on.ring_pt = b->on.dot = 1;
    const int last = SKY_HE_COST_POINTS - 1;
    const double alone_s = source->op_s[last] + factor->op_s[last] - factor->op_s[0];
    m->crowd_s = fmax(both_s - alone_s, 0);
    return SKY_OK;
}

static sky_err measure_curves(bench *b, sky_he_cost_model *m, sky_error *e)
{
    const sky_he_cost_level *l = b->on.extended ? &m->wide : &m->at[0];
    b->on.ring_keys = 1;
    TRY(measure_curve(b, SKY__HE_OP_HOISTED, &b->on.ring_keys, b->on.room_keys, m->at[0].key_bytes,
                      l->ct_bytes, &m->beyond[SKY_HE_OPERAND_KEY], e));
    b->on.dot = b->on.ring_ct = b->on.ring_pt = SKY_HE_DOT_MAX;
    const size_t sum = l->ct_bytes;
    TRY(measure_curve(b, SKY__HE_OP_DOT, &b->on.ring_ct, b->on.room_ct, l->ct_bytes,
                      SKY_HE_DOT_MAX * l->pt_bytes + sum, &m->beyond[SKY_HE_OPERAND_SOURCE], e));
    TRY(measure_curve(b, SKY__HE_OP_DOT, &b->on.ring_pt, b->on.room_pt, l->pt_bytes,
                      SKY_HE_DOT_MAX * l->ct_bytes + sum, &m->beyond[SKY_HE_OPERAND_FACTOR], e));
    TRY(measure_crowd(b, m, e));
    b->on.dot = b->on.ring_ct = 1;
    TRY(measure_curve(b, SKY__HE_OP_DOT, &b->on.ring_pt, b->on.room_pt, l->pt_bytes,
                      2 * l->ct_bytes, &m->beyond[SKY_HE_OPERAND_LONE_FACTOR], e));
    return measure_curve(b, SKY__HE_OP_ADD, &b->on.ring_ct, b->on.room_ct, l->ct_bytes, l->ct_bytes,
                         &m->beyond[SKY_HE_OPERAND_SUM], e);
}

/* The inputs' level, in the form that products have there. */
static sky_err measure_inputs(bench *b, sky_he_cost_model *m, sky_error *e)
{
    sky_he_cost_level *l = b->on.extended ? &m->wide : &m->at[0];
    TRY(measure_level(b, l, e));
    b->on.dot = b->on.ring_ct = b->on.ring_pt = SKY_HE_DOT_MAX;
    m->at[0].ct_bytes = sky_he_ct_bytes(b->on.ctx, b->on.level, false);
    m->at[0].pt_bytes = sky_he_pt_bytes(b->on.ctx, b->on.level, false);
    m->at[0].key_bytes = l->key_bytes;
    m->wide.ct_bytes = l->ct_bytes;
    m->wide.pt_bytes = l->pt_bytes;
    m->hoist_bytes = sky_he_hoist_bytes(b->on.ctx, b->on.level);
    b->on.ring_keys = 1;
    TRY(measure(b, SKY__HE_OP_HOISTED, 1, &m->hoisted_s, e));
    TRY(measure_after(b, SKY__HE_OP_HOIST, &m->hoist_s, e));
    TRY(measure_after(b, SKY__HE_OP_FULL, &m->at[0].full_s, e));
    if (b->on.extended) {
        TRY(measure_after(b, SKY__HE_OP_ZERO, &m->zero_s, e));
        TRY(measure_after(b, SKY__HE_OP_GIANT, &m->giant_s, e));
        TRY(measure_after(b, SKY__HE_OP_RAISE, &m->raise_s, e));
    }
    TRY(measure_curves(b, m, e));
    TRY(measure(b, SKY__HE_OP_COPY, 1, &m->copy_s, e));
    TRY(measure_fresh(b, 1, l->dot_s[0], &m->fresh_alone_s, e));
    TRY(measure_fresh(b, SKY_HE_DOT_MAX, l->dot_s[SKY_HE_COST_DOTS - 1], &m->fresh_s, e));
    return measure_factors(b, m, e);
}

struct sky_he_cost_bench {
    bench level[SKY_HE_DEPTH_MAX + 1]; /* [k]: after k rescales */
    int32_t n_levels;
    uint32_t passes;
    sky_he_cost_model model;
};

static void bench_free(bench *b)
{
    sky__he_operands_free(&b->on);
    free(b->took);
}

void sky_he_cost_bench_free(sky_he_cost_bench *b)
{
    for (int32_t k = 0; b && k < b->n_levels; k++)
        bench_free(&b->level[k]);
    free(b);
}

sky_err sky_he_cost_bench_new(sky_he_cost_bench **out, const sky_he_ctx *ctx,
                              const sky_he_cost_options *o, sky_error *e)
{
    assert(out && ctx && o && o->depth >= 0 && o->depth <= SKY_HE_DEPTH_MAX);
    const uint32_t top = sky_he_ctx_info(ctx).params.n_data;
    const uint64_t far_bytes = o->far_bytes > 0 ? o->far_bytes : SKY_HE_COST_FAR_BYTES;
    sky_he_cost_bench *b = calloc(1, sizeof *b);
    if (!b)
        return sky_fail(e, SKY_ENOMEM, "he: out of memory");
    b->model.hoisting = o->hoisting;
    sky_err err = SKY_OK;
    for (uint32_t k = 0; k <= (uint32_t)o->depth && k < top && err == SKY_OK; k++) {
        bench *l = &b->level[b->n_levels++];
        *l = (bench){.on = {.ctx = ctx, .hoisting = o->hoisting, .level = top - k},
                     .measure_us = o->measure_us > 0 ? o->measure_us : MEASURE_US};
        l->on.extended = k == 0 && o->hoisting == SKY_HE_HOISTING_DOUBLE;
        err = sky__he_operands_new(&l->on, k == 0 ? far_bytes : 1, e);
    }
    if (err == SKY_OK)
        *out = b;
    else
        sky_he_cost_bench_free(b);
    return err;
}

sky_err sky_he_cost_bench_pass(sky_he_cost_bench *b, uint32_t last, sky_error *e)
{
    assert(b && last > 0 && last <= SKY_HE_COST_PASSES_MAX);
    for (int32_t k = 0; k < b->n_levels; k++) {
        bench *l = &b->level[k];
        l->pass = b->passes;
        l->on.base = (int32_t)b->passes * SKY_HE_DOT_MAX;
        l->n_last = last <= b->passes ? last : b->passes + 1;
        l->n_took = 0;
        TRY(k == 0 ? measure_inputs(l, &b->model, e) : measure_level(l, &b->model.at[k], e));
    }
    b->passes++;
    return SKY_OK;
}

uint32_t sky_he_cost_bench_passes(const sky_he_cost_bench *b)
{
    return b->passes;
}

const sky_he_cost_model *sky_he_cost_bench_model(const sky_he_cost_bench *b)
{
    assert(b && b->passes > 0);
    return &b->model;
}

sky_err sky_he_cost_calibrate(sky_he_cost_model *out, const sky_he_ctx *ctx,
                              const sky_he_cost_options *o, sky_error *e)
{
    sky_he_cost_bench *b;
    sky_err err = sky_he_cost_bench_new(&b, ctx, o, e);
    if (err != SKY_OK)
        return err;
    while (err == SKY_OK && b->passes < SKY_HE_COST_PASSES)
        err = sky_he_cost_bench_pass(b, SKY_HE_COST_PASSES, e);
    if (err == SKY_OK)
        *out = b->model;
    sky_he_cost_bench_free(b);
    return err;
}

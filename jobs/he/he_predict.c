/* The back end that predicts: it plays a program as he_conv_ckks.c does, buffer by buffer, and adds up times
 * (he_cost.h) instead of computing. What an operand costs beyond a cached one depends on the bytes that were
 * touched since its last use.
 *
 * Whatever he_conv_ckks.c does in its operations has to be done here: spare ciphertexts are a stack, products
 * wait to be a dot, raised inputs, giant steps that are done when they are added. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/he/he_cost.h"

enum { NONE = -1 };

typedef struct slot_register {
    int32_t buffer; /* NONE: empty */
    int32_t fold_step;
    int8_t rescaled;
    bool extended;
} slot_register;

typedef struct player {
    const sky_he_cost_model *m;
    const sky_he_conv_plan *plan;
    bool twice;
    double clock; /* bytes touched so far */
    double part_s[SKY_HE_PARTS];

    slot_register *reg; /* [registers] */
    int32_t *raised;    /* [registers] */
    double *touched;    /* [buffers] the clock when it was last used */
    int32_t *spare;     /* [buffers] a stack */
    int32_t n_spare, n_buffers;
    double *key_touched; /* [slots] */
    double hoist_touched;
    double *kept; /* [factors below kept_end] NULL: none is kept */
    int64_t kept_end;

    int32_t acc, n_pending;
    int32_t source[SKY_HE_DOT_MAX];
    double factor_touched[SKY_HE_DOT_MAX];
    bool fresh[SKY_HE_DOT_MAX]; /* the factor was encoded just now */
    double term_s;              /* of this plan's weights */
} player;

/* --- what operations take --- */

/* Point k beyond the first; noise must not make a longer way shorter. */
static double beyond(const sky_he_cost_curve *c, int k)
{
    double s = 0;
    for (; k > 0; k--)
        s = fmax(s, c->op_s[k] - c->op_s[0]);
    return s;
}

double sky_he_cost_dot(const sky_he_cost_level *l, int32_t n)
{
    assert(n >= 1 && n <= SKY_HE_DOT_MAX);
    int k = 0;
    while (2 << k < n)
        k++;
    if (n == 1)
        return l->dot_s[0];
    const double at = (double)(n - (1 << k)) / (1 << k);
    return l->dot_s[k] + at * (l->dot_s[k + 1] - l->dot_s[k]);
}

sky_he_cost_weights sky_he_cost_weights_of(const sky_he_conv_plan *p)
{
    return (sky_he_cost_weights){.per_factor = fmin(p->out.channels, p->shape.c_out),
                                 .bytes = (double)sky_he_conv_weights(&p->shape) * sizeof(double)};
}

double sky_he_cost_term(const sky_he_cost_model *m, const sky_he_conv_plan *plan)
{
    const sky_he_cost_weights *near = &m->near_term, *far = &m->far_term;
    const sky_he_cost_weights w = sky_he_cost_weights_of(plan);
    if (far->bytes <= near->bytes || w.bytes <= near->bytes)
        return near->term_s;
    const double at = fmin(log2(w.bytes / near->bytes) / log2(far->bytes / near->bytes), 1);
    const double weight_s = fmax(far->term_s - near->term_s, 0) / far->per_factor;
    return near->term_s + at * weight_s * w.per_factor;
}

double sky_he_cost_beyond(const sky_he_cost_curve *c, double distance, size_t bytes)
{
    int k = 0;
    while (k < SKY_HE_COST_POINTS && c->distance[k] < distance)
        k++;
    if (k == 0)
        return 0;
    double s = beyond(c, k - 1);
    if (k < SKY_HE_COST_POINTS) { /* linear in the logarithm: caches double */
        const double at =
            log2(distance / c->distance[k - 1]) / log2(c->distance[k] / c->distance[k - 1]);
        s += at * (beyond(c, k) - s);
    }
    return s * (double)bytes / c->op_bytes;
}

/* --- time and place --- */

static void spend(player *p, sky_he_part part, double s)
{
    p->part_s[part] += s;
}

/* Uses an operand: what it takes beyond a cached one. */
static double use(player *p, sky_he_operand kind, double *touched, size_t bytes)
{
    const double s = sky_he_cost_beyond(&p->m->beyond[kind], p->clock - *touched, bytes);
    p->clock += (double)bytes;
    *touched = p->clock;
    return s;
}

static const sky_he_cost_level *level_of(const player *p, const slot_register *r)
{
    return r->extended ? &p->m->wide : &p->m->at[r->rescaled];
}

static double use_ct(player *p, sky_he_operand kind, int32_t buffer, size_t bytes)
{
    return use(p, kind, &p->touched[buffer], bytes);
}

static double use_key(player *p, int32_t step, int8_t rescaled)
{
    return use(p, SKY_HE_OPERAND_KEY, &p->key_touched[step], p->m->at[rescaled].key_bytes);
}

static int32_t take(player *p)
{
    return p->n_spare > 0 ? p->spare[--p->n_spare] : p->n_buffers++;
}

static void give(player *p, int32_t *buffer)
{
    if (*buffer != NONE)
        p->spare[p->n_spare++] = *buffer;
    *buffer = NONE;
}

static double use_factor(player *p, int32_t k, const sky_he_cost_level *l)
{
    const sky_he_operand kind =
        p->n_pending == 1 ? SKY_HE_OPERAND_LONE_FACTOR : SKY_HE_OPERAND_FACTOR;
    return use(p, kind, &p->factor_touched[k], l->pt_bytes);
}

/* What products take since factor k was encoded just before, by how many were. */
static double fresh(const player *p, int32_t k, const sky_he_cost_level *l)
{
    if (!p->fresh[k])
        return 0;
    const sky_he_cost_level *top = p->twice ? &p->m->wide : &p->m->at[0];
    const double at = (double)(p->n_pending - 1) / (SKY_HE_DOT_MAX - 1);
    const double fresh_s = p->m->fresh_alone_s + at * (p->m->fresh_s - p->m->fresh_alone_s);
    return fresh_s * (double)l->pt_bytes / (double)top->pt_bytes;
}

/* What a run of n products takes since its ciphertexts and its factors share the way from memory, by the part of it that
 * both come from there. */
static double crowd(const player *p, int32_t n, double sources_s, double factors_s)
{
    const sky_he_cost_curve *of_source = &p->m->beyond[SKY_HE_OPERAND_SOURCE];
    const sky_he_cost_curve *of_factor = &p->m->beyond[SKY_HE_OPERAND_FACTOR];
    const double source_s = beyond(of_source, SKY_HE_COST_POINTS - 1);
    const double factor_s = beyond(of_factor, SKY_HE_COST_POINTS - 1);
    if (n == 1 || source_s <= 0 || factor_s <= 0)
        return 0;
    return p->m->crowd_s * fmin(sources_s / source_s, factors_s / factor_s);
}

/* --- the operations --- */

static void flush(player *p)
{
    if (p->n_pending == 0)
        return;
    slot_register *acc = &p->reg[p->acc];
    const sky_he_cost_level *l = level_of(p, acc);
    int32_t sum = take(p);
    double s = sky_he_cost_dot(l, p->n_pending), sources_s = 0, factors_s = 0;
    for (int32_t k = 0; k < p->n_pending; k++) {
        sources_s += use_ct(p, SKY_HE_OPERAND_SOURCE, p->source[k], l->ct_bytes);
        factors_s += use_factor(p, k, l);
        s += fresh(p, k, l);
    }
    s += sources_s + factors_s + crowd(p, p->n_pending, sources_s, factors_s);
    s += use_ct(p, SKY_HE_OPERAND_SUM, sum, l->ct_bytes);
    p->n_pending = 0;
    if (acc->buffer == NONE) {
        acc->buffer = sum;
        sum = NONE;
    } else {
        s += l->add_s + use_ct(p, SKY_HE_OPERAND_SUM, acc->buffer, l->ct_bytes);
    }
    give(p, &sum);
    spend(p, SKY_HE_PART_PRODUCTS, s);
}

static sky_err hoist(void *self, int32_t src, sky_error *e)
{
    (void)e;
    player *p = self;
    flush(p);
    if (p->m->hoisting == SKY_HE_HOISTING_NONE)
        return SKY_OK;
    const double s = use_ct(p, SKY_HE_OPERAND_SOURCE, p->reg[src].buffer, p->m->at[0].ct_bytes) +
                     use(p, SKY_HE_OPERAND_SUM, &p->hoist_touched, p->m->hoist_bytes);
    spend(p, SKY_HE_PART_HOIST, p->m->hoist_s + s);
    return SKY_OK;
}

static sky_err unhoist(void *self, int32_t src, sky_error *e)
{
    (void)e;
    player *p = self;
    flush(p);
    give(p, &p->raised[src]);
    return SKY_OK;
}

static sky_err rotate(void *self, int32_t dst, int32_t src, int32_t step, sky_he_rotation kind,
                      sky_error *e)
{
    (void)e;
    player *p = self;
    flush(p);
    slot_register *to = &p->reg[dst], *from = &p->reg[src];
    if (kind == SKY_HE_ROTATE_FULL && from->extended) {
        *to = *from; /* a giant step: done when it is added */
        to->fold_step = step;
        from->buffer = NONE;
        return SKY_OK;
    }
    const bool shares = kind == SKY_HE_ROTATE_HOISTED && p->m->hoisting != SKY_HE_HOISTING_NONE;
    *to = (slot_register){
        .buffer = take(p), .rescaled = from->rescaled, .extended = shares && p->twice};
    /* hoisted_s is of rotations one after another, full_s of one between products. */
    double s = kind == SKY_HE_ROTATE_HOISTED ? p->m->hoisted_s : p->m->at[from->rescaled].full_s;
    s += use_key(p, step, from->rescaled);
    s += shares ? use(p, SKY_HE_OPERAND_SOURCE, &p->hoist_touched, p->m->hoist_bytes)
                : use_ct(p, SKY_HE_OPERAND_SOURCE, from->buffer, level_of(p, from)->ct_bytes);
    s += use_ct(p, SKY_HE_OPERAND_SUM, to->buffer, level_of(p, to)->ct_bytes);
    spend(p, kind == SKY_HE_ROTATE_FULL ? SKY_HE_PART_FULL : SKY_HE_PART_HOISTED, s);
    return SKY_OK;
}

static int32_t raise_input(player *p, int32_t q)
{
    if (p->raised[q] == NONE) {
        p->raised[q] = take(p);
        const double s = use_ct(p, SKY_HE_OPERAND_SOURCE, p->reg[q].buffer, p->m->at[0].ct_bytes) +
                         use_ct(p, SKY_HE_OPERAND_SUM, p->raised[q], p->m->wide.ct_bytes);
        spend(p, SKY_HE_PART_REST, p->m->raise_s + s);
    }
    return p->raised[q];
}

static void take_factor(player *p, const sky_he_factor *f, const sky_he_cost_level *l)
{
    double *touched = &p->factor_touched[p->n_pending];
    p->fresh[p->n_pending] = f->id >= p->kept_end;
    if (f->id < p->kept_end) {
        *touched = p->kept[f->id];
        p->kept[f->id] = p->clock;
        return;
    }
    const sky_he_cost_level *top = p->twice ? &p->m->wide : &p->m->at[0];
    const double factor_s = f->select ? p->m->mask_s : p->term_s;
    spend(p, SKY_HE_PART_ENCODE, l->encode_s + fmax(factor_s - top->encode_s, 0));
    *touched = p->clock;
}

static sky_err multiply_add(void *self, int32_t acc, int32_t src, const sky_he_factor *f,
                            sky_error *e)
{
    (void)e;
    player *p = self;
    if (p->n_pending == SKY_HE_DOT_MAX || (p->n_pending > 0 && p->acc != acc))
        flush(p);
    p->acc = acc;
    const slot_register *from = &p->reg[src];
    const bool extended = p->twice && !f->select;
    slot_register *to = &p->reg[acc];
    if (to->buffer == NONE)
        *to = (slot_register){.buffer = NONE, .rescaled = from->rescaled, .extended = extended};
    p->source[p->n_pending] = extended && !from->extended ? raise_input(p, src) : from->buffer;
    take_factor(p, f, level_of(p, to));
    p->n_pending++;
    return SKY_OK;
}

static void fold(player *p, slot_register *acc, slot_register *from)
{
    const size_t bytes = p->m->wide.ct_bytes;
    double s = p->m->giant_s + use_key(p, from->fold_step, from->rescaled) +
               use_ct(p, SKY_HE_OPERAND_SOURCE, from->buffer, bytes);
    if (acc->buffer == NONE) {
        *acc = (slot_register){.buffer = take(p), .rescaled = from->rescaled, .extended = true};
        s += p->m->zero_s;
    }
    s += use_ct(p, SKY_HE_OPERAND_SUM, acc->buffer, bytes);
    spend(p, SKY_HE_PART_FULL, s);
}

static sky_err add(void *self, int32_t acc, int32_t src, sky_error *e)
{
    (void)e;
    player *p = self;
    flush(p);
    slot_register *to = &p->reg[acc], *from = &p->reg[src];
    if (from->fold_step != 0) {
        fold(p, to, from);
        from->fold_step = 0;
    } else if (to->buffer == NONE) {
        *to = *from;
        from->buffer = NONE;
    } else {
        const sky_he_cost_level *l = level_of(p, to);
        const double s = use_ct(p, SKY_HE_OPERAND_SOURCE, from->buffer, l->ct_bytes) +
                         use_ct(p, SKY_HE_OPERAND_SUM, to->buffer, l->ct_bytes);
        spend(p, SKY_HE_PART_REST, l->add_s + s);
    }
    give(p, &from->buffer);
    return SKY_OK;
}

static sky_err copy(void *self, int32_t dst, int32_t src, sky_error *e)
{
    (void)e;
    player *p = self;
    flush(p);
    slot_register *to = &p->reg[dst];
    const slot_register *from = &p->reg[src];
    *to = *from;
    to->buffer = take(p);
    const size_t bytes = level_of(p, from)->ct_bytes;
    spend(p, SKY_HE_PART_REST,
          p->m->copy_s + use_ct(p, SKY_HE_OPERAND_SOURCE, from->buffer, bytes) +
              use_ct(p, SKY_HE_OPERAND_SUM, to->buffer, bytes));
    return SKY_OK;
}

static sky_err rescale(void *self, int32_t reg, sky_error *e)
{
    (void)e;
    player *p = self;
    flush(p);
    slot_register *r = &p->reg[reg];
    const sky_he_cost_level *l = level_of(p, r);
    spend(p, SKY_HE_PART_REST,
          l->rescale_s + use_ct(p, SKY_HE_OPERAND_SUM, r->buffer, l->ct_bytes));
    r->extended = false;
    r->rescaled++;
    return SKY_OK;
}

static sky_err drop(void *self, int32_t reg, sky_error *e)
{
    (void)e;
    player *p = self;
    flush(p);
    give(p, &p->reg[reg].buffer);
    give(p, &p->raised[reg]);
    return SKY_OK;
}

/* --- a run --- */

static sky_err play_once(player *p, int32_t registers, sky_error *e)
{
    const sky_he_ops ops = {.self = p,
                            .hoist = hoist,
                            .unhoist = unhoist,
                            .rotate = rotate,
                            .multiply_add = multiply_add,
                            .add = add,
                            .copy = copy,
                            .rescale = rescale,
                            .drop = drop};
    memset(p->part_s, 0, sizeof p->part_s);
    for (int32_t q = 0; q < p->plan->n_in; q++) { /* encrypted just now */
        p->reg[q].buffer = take(p);
        use_ct(p, SKY_HE_OPERAND_SUM, p->reg[q].buffer, p->m->at[0].ct_bytes);
    }
    sky_err err = sky_he_conv_run(p->plan, &ops, e);
    flush(p);
    for (int32_t k = 0; k < registers; k++) {
        give(p, &p->reg[k].buffer);
        p->reg[k] = (slot_register){.buffer = NONE};
        give(p, &p->raised[k]);
    }
    return err;
}

/* Factors are kept in the order of their numbers: those below an end. */
static sky_err keep_factors(player *p, uint64_t cache_bytes, sky_error *e)
{
    const size_t each = p->m->wide.pt_bytes;
    const int64_t all = sky_he_conv_factors(p->plan);
    int64_t left = cache_bytes / each < (uint64_t)all ? (int64_t)(cache_bytes / each) : all;
    const int64_t terms = all - (p->plan->selects ? p->plan->shape.c_out : 0);
    for (; p->kept_end < all && left > 0; p->kept_end++)
        left -= p->kept_end < terms ? p->plan->present[p->kept_end]
                                    : p->plan->kept_out[p->kept_end - terms];
    p->kept = p->kept_end > 0 ? calloc((size_t)p->kept_end, sizeof *p->kept) : NULL;
    return p->kept_end > 0 && !p->kept ? sky_fail(e, SKY_ENOMEM, "he: out of memory") : SKY_OK;
}

static sky_err player_open(player *p, int32_t registers, uint64_t cache_bytes, sky_error *e)
{
    const size_t buffers = 2 * (size_t)registers + 1;
    p->reg = malloc((size_t)registers * sizeof *p->reg);
    p->raised = malloc((size_t)registers * sizeof *p->raised);
    p->touched = calloc(buffers, sizeof *p->touched);
    p->spare = malloc(buffers * sizeof *p->spare);
    p->key_touched = calloc((size_t)p->plan->slots, sizeof *p->key_touched);
    if (!p->reg || !p->raised || !p->touched || !p->spare || !p->key_touched)
        return sky_fail(e, SKY_ENOMEM, "he: out of memory");
    for (int32_t k = 0; k < registers; k++) {
        p->reg[k] = (slot_register){.buffer = NONE};
        p->raised[k] = NONE;
    }
    return keep_factors(p, cache_bytes, e);
}

sky_err sky_he_cost_predict(sky_he_cost_prediction *out, const sky_he_cost_model *m,
                            const sky_he_conv_plan *plan, uint64_t cache_bytes, sky_error *e)
{
    assert(out && m && plan);
    const int32_t registers = sky_he_conv_registers(plan);
    player p = {.m = m, .plan = plan, .twice = m->hoisting == SKY_HE_HOISTING_DOUBLE};
    p.term_s = plan->selects ? m->copy_term_s : sky_he_cost_term(m, plan);
    sky_err err = player_open(&p, registers, cache_bytes, e);
    if (err == SKY_OK)
        err = play_once(&p, registers, e); /* leaves the caches as a second run finds them */
    if (err == SKY_OK)
        err = play_once(&p, registers, e);
    if (err == SKY_OK) {
        *out = (sky_he_cost_prediction){0};
        for (int k = 0; k < SKY_HE_PARTS; k++) {
            out->part_s[k] = p.part_s[k];
            out->total_s += p.part_s[k];
        }
    }
    free(p.reg);
    free(p.raised);
    free(p.touched);
    free(p.spare);
    free(p.key_touched);
    free(p.kept);
    return err;
}

/* The back end that counts, and tracks nothing but which registers are full and how often they were
 * rescaled. See he_conv.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/he/he_conv_internal.h"

enum { EMPTY = -1 };

typedef struct counter {
    sky_he_conv_counts c;
    int8_t *rescaled; /* [registers] EMPTY or how often */
    int8_t *sums;     /* [registers] 1: a sum of products that is not rescaled yet */
    int8_t *step;     /* [slots] EMPTY or the rescales when it was first needed */
    int32_t alive;
    int32_t dot, dot_length; /* the sum that the last products went into, and how many */
} counter;

static void end_dot(counter *t)
{
    t->dot_length = 0;
}

static void fill(counter *t, int32_t reg, int8_t rescaled)
{
    assert(t->rescaled[reg] == EMPTY);
    t->rescaled[reg] = rescaled;
    t->alive++;
    if (t->alive > t->c.registers_peak)
        t->c.registers_peak = t->alive;
}

static void empty(counter *t, int32_t reg)
{
    assert(t->rescaled[reg] != EMPTY);
    t->rescaled[reg] = EMPTY;
    t->sums[reg] = 0;
    t->alive--;
}

static sky_err hoist(void *self, int32_t src, sky_error *e)
{
    (void)src;
    (void)e;
    end_dot(self);
    ((counter *)self)->c.hoists++;
    return SKY_OK;
}

static sky_err unhoist(void *self, int32_t src, sky_error *e)
{
    (void)self;
    (void)src;
    (void)e;
    return SKY_OK;
}

static sky_err rotate(void *self, int32_t dst, int32_t src, int32_t step, sky_he_rotation kind,
                      sky_error *e)
{
    (void)e;
    counter *t = self;
    end_dot(t);
    const int8_t at = t->rescaled[src];
    assert(at != EMPTY && step > 0);
    if (kind == SKY_HE_ROTATE_HOISTED)
        t->c.rotations_hoisted[at]++;
    else
        t->c.rotations_full[at]++;
    if (t->step[step] == EMPTY || t->step[step] > at)
        t->step[step] = at;
    fill(t, dst, at);
    t->sums[dst] = t->sums[src];
    return SKY_OK;
}

static sky_err multiply_add(void *self, int32_t acc, int32_t src, const sky_he_factor *f,
                            sky_error *e)
{
    (void)f;
    (void)e;
    counter *t = self;
    const int8_t at = t->rescaled[src];
    assert(at != EMPTY);
    t->c.products[at]++;
    if (t->dot_length == 0 || t->dot_length == SKY_HE_DOT_MAX || t->dot != acc) {
        t->c.dots[at]++;
        t->dot = acc;
        t->dot_length = 0;
    }
    t->dot_length++;
    if (t->rescaled[acc] == EMPTY) {
        fill(t, acc, at);
        t->c.sums[at]++;
        t->sums[acc] = 1;
    }
    assert(t->rescaled[acc] == at && t->sums[acc]);
    return SKY_OK;
}

static sky_err add(void *self, int32_t acc, int32_t src, sky_error *e)
{
    (void)e;
    counter *t = self;
    end_dot(t);
    const int8_t at = t->rescaled[src];
    assert(at != EMPTY && acc != src);
    const int8_t is_sum = t->sums[src];
    empty(t, src);
    if (t->rescaled[acc] == EMPTY) {
        fill(t, acc, at);
        t->sums[acc] = is_sum;
    } else {
        assert(t->rescaled[acc] == at && t->sums[acc] == is_sum);
        t->c.additions[at]++;
    }
    return SKY_OK;
}

static sky_err copy(void *self, int32_t dst, int32_t src, sky_error *e)
{
    (void)e;
    counter *t = self;
    end_dot(t);
    fill(t, dst, t->rescaled[src]);
    t->sums[dst] = t->sums[src];
    return SKY_OK;
}

static sky_err rescale(void *self, int32_t reg, sky_error *e)
{
    (void)e;
    counter *t = self;
    end_dot(t);
    assert(t->rescaled[reg] != EMPTY && t->rescaled[reg] < SKY_HE_DEPTH_MAX && t->sums[reg]);
    t->c.rescales[t->rescaled[reg]]++;
    t->rescaled[reg]++;
    t->sums[reg] = 0;
    if (t->rescaled[reg] > t->c.depth)
        t->c.depth++;
    return SKY_OK;
}

static sky_err drop(void *self, int32_t reg, sky_error *e)
{
    (void)e;
    end_dot(self);
    empty(self, reg);
    return SKY_OK;
}

static sky_err play(const sky_he_conv_plan *plan, counter *t, sky_error *e)
{
    const size_t registers = (size_t)sky_he_conv_registers(plan);
    t->rescaled = malloc(registers);
    t->sums = calloc(registers, 1);
    t->step = malloc((size_t)plan->slots);
    if (!t->rescaled || !t->sums || !t->step)
        return sky_fail(e, SKY_ENOMEM, "he: out of memory");
    memset(t->rescaled, EMPTY, registers);
    memset(t->step, EMPTY, (size_t)plan->slots);
    for (int32_t q = 0; q < plan->n_in; q++)
        fill(t, q, 0);
    const sky_he_ops ops = {.self = t,
                            .hoist = hoist,
                            .unhoist = unhoist,
                            .rotate = rotate,
                            .multiply_add = multiply_add,
                            .add = add,
                            .copy = copy,
                            .rescale = rescale,
                            .drop = drop};
    sky_err err = sky_he_conv_run(plan, &ops, e);
    for (size_t reg = 0; reg < registers && err == SKY_OK; reg++) { /* nothing forgotten */
        const size_t kept = (size_t)plan->n_in + (size_t)plan->out.ciphertexts;
        assert(reg < kept || t->rescaled[reg] == EMPTY);
        assert(!t->sums[reg]);
        (void)kept;
    }
    return err;
}

static void counter_free(counter *t)
{
    free(t->rescaled);
    free(t->sums);
    free(t->step);
}

sky_err sky_he_conv_count(const sky_he_conv_plan *plan, sky_he_conv_counts *out, sky_error *e)
{
    counter t = {0};
    sky_err err = play(plan, &t, e);
    if (err == SKY_OK) {
        t.c.ciphertexts_in = plan->n_in;
        t.c.ciphertexts_out = plan->out.ciphertexts;
        for (int32_t s = 0; s < plan->slots; s++) {
            if (t.step[s] != EMPTY) {
                t.c.steps++;
                t.c.steps_at[t.step[s]]++;
            }
        }
        *out = t.c;
    }
    counter_free(&t);
    return err;
}

int64_t sky_he_rotations(const sky_he_conv_counts *c)
{
    int64_t n = 0;
    for (int k = 0; k <= SKY_HE_DEPTH_MAX; k++)
        n += c->rotations_full[k] + c->rotations_hoisted[k];
    return n;
}

int32_t sky_he_conv_steps(const sky_he_conv_plan *plan, int32_t *steps, uint8_t *after)
{
    counter t = {0};
    int32_t n = -1;
    if (play(plan, &t, NULL) == SKY_OK) {
        n = 0;
        for (int32_t s = 0; s < plan->slots; s++) {
            if (t.step[s] == EMPTY)
                continue;
            steps[n] = s;
            if (after)
                after[n] = (uint8_t)t.step[s];
            n++;
        }
    }
    counter_free(&t);
    return n;
}

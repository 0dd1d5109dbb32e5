/* The back end that computes on vectors of plain slots: an oracle of layouts, factors, steps and program
 * without any cryptography. See he_conv.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/he/he_conv_internal.h"

typedef struct slots_machine {
    int32_t n;
    const double *weights;
    double *factor;
    double **reg;
    int32_t *hoisted; /* [registers] 1: hoist() was called */
    int32_t registers;
} slots_machine;

static sky_err no_memory(sky_error *e)
{
    return sky_fail(e, SKY_ENOMEM, "he: out of memory");
}

static sky_err hoist(void *self, int32_t src, sky_error *e)
{
    (void)e;
    ((slots_machine *)self)->hoisted[src] = 1;
    return SKY_OK;
}

static sky_err unhoist(void *self, int32_t src, sky_error *e)
{
    (void)e;
    ((slots_machine *)self)->hoisted[src] = 0;
    return SKY_OK;
}

static sky_err rotate(void *self, int32_t dst, int32_t src, int32_t step, sky_he_rotation kind,
                      sky_error *e)
{
    slots_machine *m = self;
    assert(m->reg[src] && !m->reg[dst] && dst != src);
    assert(kind == SKY_HE_ROTATE_FULL || m->hoisted[src]);
    (void)kind;
    double *to = malloc((size_t)m->n * sizeof *to);
    if (!to)
        return no_memory(e);
    const size_t head = (size_t)(m->n - step);
    memcpy(to, m->reg[src] + step, head * sizeof *to);
    memcpy(to + head, m->reg[src], (size_t)step * sizeof *to);
    m->reg[dst] = to;
    return SKY_OK;
}

static sky_err multiply_add(void *self, int32_t acc, int32_t src, const sky_he_factor *f,
                            sky_error *e)
{
    slots_machine *m = self;
    if (!m->reg[acc])
        m->reg[acc] = calloc((size_t)m->n, sizeof **m->reg);
    if (!m->reg[acc])
        return no_memory(e);
    sky_he_factor_values(f, m->weights, m->factor);
    for (int32_t r = 0; r < m->n; r++)
        m->reg[acc][r] += m->reg[src][r] * m->factor[r];
    return SKY_OK;
}

static sky_err add(void *self, int32_t acc, int32_t src, sky_error *e)
{
    (void)e;
    slots_machine *m = self;
    assert(m->reg[src] && acc != src);
    if (!m->reg[acc]) {
        m->reg[acc] = m->reg[src];
        m->reg[src] = NULL;
        return SKY_OK;
    }
    for (int32_t r = 0; r < m->n; r++)
        m->reg[acc][r] += m->reg[src][r];
    free(m->reg[src]);
    m->reg[src] = NULL;
    return SKY_OK;
}

static sky_err copy(void *self, int32_t dst, int32_t src, sky_error *e)
{
    slots_machine *m = self;
    assert(m->reg[src] && !m->reg[dst]);
    m->reg[dst] = malloc((size_t)m->n * sizeof **m->reg);
    if (!m->reg[dst])
        return no_memory(e);
    memcpy(m->reg[dst], m->reg[src], (size_t)m->n * sizeof **m->reg);
    return SKY_OK;
}

static sky_err rescale(void *self, int32_t reg, sky_error *e)
{
    (void)self;
    (void)reg;
    (void)e;
    return SKY_OK;
}

static sky_err drop(void *self, int32_t reg, sky_error *e)
{
    (void)e;
    slots_machine *m = self;
    free(m->reg[reg]);
    m->reg[reg] = NULL;
    return SKY_OK;
}

static sky_err simulate(slots_machine *m, const sky_he_conv_plan *plan, const double *x, double *y,
                        sky_error *e)
{
    for (int32_t q = 0; q < plan->n_in; q++) {
        m->reg[q] = malloc((size_t)m->n * sizeof **m->reg);
        if (!m->reg[q])
            return no_memory(e);
        sky_he_layout_pack(&plan->in, x, q, m->reg[q]);
    }
    const sky_he_ops ops = {.self = m,
                            .hoist = hoist,
                            .unhoist = unhoist,
                            .rotate = rotate,
                            .multiply_add = multiply_add,
                            .add = add,
                            .copy = copy,
                            .rescale = rescale,
                            .drop = drop};
    sky_err err = sky_he_conv_run(plan, &ops, e);
    if (err != SKY_OK)
        return err;
    const int64_t values = (int64_t)plan->out.c * plan->out.h * plan->out.w;
    memset(y, 0, (size_t)values * sizeof *y);
    for (int32_t p = 0; p < plan->out.ciphertexts; p++) {
        if (m->reg[plan->n_in + p]) /* else all of its weights were pruned */
            sky_he_layout_unpack(&plan->out, m->reg[plan->n_in + p], p, y);
    }
    return SKY_OK;
}

sky_err sky_he_conv_simulate(const sky_he_conv_plan *plan, const double *x, const double *weights,
                             double *y, sky_error *e)
{
    assert(plan && x && weights && y);
    slots_machine m = {
        .n = plan->slots, .weights = weights, .registers = sky_he_conv_registers(plan)};
    m.factor = malloc((size_t)m.n * sizeof *m.factor);
    m.reg = calloc((size_t)m.registers, sizeof *m.reg);
    m.hoisted = calloc((size_t)m.registers, sizeof *m.hoisted);
    sky_err err = m.factor && m.reg && m.hoisted ? simulate(&m, plan, x, y, e) : no_memory(e);
    for (int32_t k = 0; m.reg && k < m.registers; k++)
        free(m.reg[k]);
    free(m.reg);
    free(m.hoisted);
    free(m.factor);
    return err;
}

/* What repeats in a network: deep ones are mostly the same block again, and what it costs needs to be counted
 * once for each run of equal ones. */
#include <string.h>

#include "hw/wavecore_internal.h"

static bool same_products(const sky_conv_shape *a, const sky_conv_shape *b)
{
    return a->c == b->c && a->k == b->k && a->h == b->h && a->w == b->w && a->p == b->p &&
           a->q == b->q && a->r == b->r && a->s == b->s && a->groups == b->groups &&
           a->no_dgrad == b->no_dgrad && a->per_sample == b->per_sample;
}

static void find_shapes(sky_wavecore_net *w)
{
    enum { SLOTS = 256 };
    int32_t slot[SLOTS];
    memset(slot, -1, sizeof slot);
    for (int32_t i = 0; i < w->n_convs; i++) {
        const sky_conv_shape *s = &w->convs[i];
        const uint32_t hash = (uint32_t)s->c * 0x9E3779B1u ^ (uint32_t)s->k * 0x85EBCA77u ^
                              (uint32_t)(s->p * 31 + s->h * 7 + s->r * 3 + s->s) * 0xC2B2AE3Du;
        int32_t *at = &slot[hash >> 24];
        if (*at >= 0 && same_products(&w->convs[*at], s)) {
            w->work->shape[i] = *at;
            continue;
        }
        w->work->shape[i] = *at = i;
        w->work->memo[i].batch = 0;
    }
}

/* Tensors of two units, or read by them, at the same distance from the units' first operations. */
static bool same_tensor(const sky_wavecore_net *w, int32_t a, int32_t b, int32_t distance)
{
    const sky_wavecore_tensor *x = &w->tensors[a], *y = &w->tensors[b];
    if (b - a != distance || x->producer < 0 || y->producer - x->producer != distance ||
        x->size != y->size || x->n_uses != y->n_uses || x->stored != y->stored ||
        x->grad != y->grad || y->first_use - x->first_use != distance ||
        y->last_use - x->last_use != distance)
        return false;
    /* Its first reader may be in the next unit: whether that fits decides how the tensor gets there. */
    return w->ops[x->first_use].footprint == w->ops[y->first_use].footprint;
}

static bool same_op(const sky_wavecore_net *w, int32_t a, int32_t b, int32_t distance)
{
    const sky_wavecore_op *x = &w->ops[a], *y = &w->ops[b];
    if (x->kind != y->kind || x->n_inputs != y->n_inputs || x->in != y->in || x->out != y->out ||
        x->params != y->params || x->mask != y->mask || x->index_bits != y->index_bits ||
        x->vector_fwd != y->vector_fwd || x->vector_bwd != y->vector_bwd ||
        x->footprint != y->footprint || x->grad != y->grad || x->input_grad != y->input_grad)
        return false;
    if ((x->conv < 0) != (y->conv < 0) ||
        (x->conv >= 0 && w->work->shape[x->conv] != w->work->shape[y->conv]))
        return false;
    for (int32_t i = 0; i < x->n_inputs; i++)
        if (!same_tensor(w, w->inputs[x->first_input + i], w->inputs[y->first_input + i], distance))
            return false;
    return same_tensor(w, a, b, distance);
}

static bool same_unit(const sky_wavecore_net *w, int32_t a, int32_t b)
{
    const sky_wavecore_unit *x = &w->units[a], *y = &w->units[b];
    if (x->n_ops != y->n_ops || x->live_footprint != y->live_footprint)
        return false;
    for (int32_t i = 0; i < x->n_ops; i++)
        if (!same_op(w, x->first_op + i, y->first_op + i, y->first_op - x->first_op))
            return false;
    return true;
}

void sky__wavecore_find_repeats(sky_wavecore_net *w)
{
    find_shapes(w);
    for (int32_t u = 1; u < w->n_units; u++)
        w->units[u].repeats = same_unit(w, u - 1, u);
}

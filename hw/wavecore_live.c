/* What a unit holds at once if its branches share what they read and make: each tensor from where it is made
 * until its last reader (the paper's equations for residual blocks). In a block that ends in a
 * concatenation, input and output are there throughout (its equations for Inception's blocks). Activations and
 * additions work in place. The backward pass is the mirror image, with gradients for tensors. */
#include <string.h>

#include "hw/wavecore_internal.h"

/* Storage of the tensors of one unit: tensors that share one have one root, which is live from an operation to
 * another. */
typedef struct lives {
    sky_wavecore_net *w;
    int32_t *root, *from, *to; /* by tensor */
    int64_t *change;           /* of what is live, by operation of the unit */
    int32_t first, last;       /* operations */
    bool holds;                /* a concatenation ends it: input and output are there throughout */
} lives;

static void begin_life(lives *x, int32_t t, int32_t from, int32_t to)
{
    x->root[t] = t;
    x->from[t] = from;
    x->to[t] = to;
}

/* The input whose storage the output takes over, or -1: one that is read for the last time. */
static int32_t taken_over(const lives *x, int32_t o)
{
    const sky_wavecore_op *op = &x->w->ops[o];
    int32_t best = -1;
    if (op->kind != SKY_WAVECORE_ACTIVATION && op->kind != SKY_WAVECORE_ADD)
        return -1;
    for (int32_t i = 0; i < op->n_inputs; i++) {
        const int32_t t = x->w->inputs[op->first_input + i];
        const sky_wavecore_tensor *in = &x->w->tensors[t];
        const bool held = x->holds && in->producer < x->first;
        if (in->last_use == o && in->size == op->out && !held &&
            (best < 0 || in->producer > x->w->tensors[best].producer))
            best = t;
    }
    return best;
}

static void add_lives(lives *x, int32_t o)
{
    const sky_wavecore_net *w = x->w;
    const sky_wavecore_op *op = &w->ops[o];
    for (int32_t i = 0; i < op->n_inputs; i++) {
        const int32_t t = w->inputs[op->first_input + i];
        const sky_wavecore_tensor *in = &w->tensors[t];
        if (in->producer >= x->first || in->first_use != o)
            continue;
        const bool source = in->producer < 0;
        begin_life(x, t, source && !x->holds ? o : x->first, x->holds ? x->last : in->last_use);
    }
    const sky_wavecore_tensor *out = &w->tensors[o];
    const bool inside = out->last_use >= 0 && out->last_use <= x->last;
    const bool leaves = out->last_use > x->last;
    const int32_t to = inside ? out->last_use : leaves ? x->last : o;
    begin_life(x, o, leaves && x->holds ? x->first : o, to);
    const int32_t over = taken_over(x, o);
    if (over < 0)
        return;
    const int32_t root = x->root[over];
    x->root[o] = root;
    x->from[root] = x->from[o] < x->from[root] ? x->from[o] : x->from[root];
    x->to[root] = to > x->to[root] ? to : x->to[root];
}

static void count_lives(lives *x, int32_t t)
{
    if (x->root[t] != t)
        return;
    x->change[x->from[t] - x->first] += x->w->tensors[t].size;
    x->change[x->to[t] + 1 - x->first] -= x->w->tensors[t].size;
}

/* A norm's backward pass has its input beside the gradients, whose own input's takes the place of its
 * output's: unless others have begun it already, or it has a place reserved. */
static int64_t norm_needs(const lives *x, const sky_wavecore_op *op, int32_t o)
{
    int64_t more = 0;
    for (int32_t i = 0; i < op->n_inputs; i++) {
        const sky_wavecore_tensor *in = &x->w->tensors[x->w->inputs[op->first_input + i]];
        const bool held = x->holds && in->producer < x->first;
        more += held || (in->grad && in->last_use != o) ? in->size : 0;
    }
    return more;
}

int64_t sky__wavecore_live_footprint(sky_wavecore_net *w, const sky_wavecore_unit *u, bool holds)
{
    const int32_t cap = w->work->layers_cap;
    lives x = {.w = w,
               .root = w->work->storage,
               .from = w->work->storage + cap,
               .to = w->work->storage + 2 * (ptrdiff_t)cap,
               .change = w->work->change,
               .first = u->first_op,
               .last = u->first_op + u->n_ops - 1,
               .holds = holds};
    memset(x.change, 0, ((size_t)u->n_ops + 1) * sizeof *x.change);
    for (int32_t o = x.first; o <= x.last; o++)
        add_lives(&x, o);
    for (int32_t o = x.first; o <= x.last; o++) {
        const sky_wavecore_op *op = &w->ops[o];
        for (int32_t i = 0; i < op->n_inputs; i++) {
            const int32_t t = w->inputs[op->first_input + i];
            if (w->tensors[t].producer < x.first && w->tensors[t].first_use == o)
                count_lives(&x, t);
        }
        count_lives(&x, o);
    }
    int64_t live = 0, most = 0;
    for (int32_t o = x.first; o <= x.last; o++) {
        const sky_wavecore_op *op = &w->ops[o];
        live += x.change[o - x.first];
        const int64_t more = op->kind == SKY_WAVECORE_NORM ? norm_needs(&x, op, o) : 0;
        if (live + more > most)
            most = live + more;
    }
    return most;
}

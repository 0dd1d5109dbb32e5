/* What an operation moves between DRAM and chip for one sample, in elements.
 *
 * A tensor goes on chip from its producer to a reader
 *  - inside a unit whose branches share (MBS2): always; from one such unit to the next in a group: too;
 *  - else, if the reader is the next operation, both are in one group, and the reader's operands fit.
 * Its gradient comes back the same way, so both passes follow from the same edges. What is not on chip is
 * written once and read by each reader; in a unit that shares, only by its first reader. The reader of an
 * operand that does not fit the buffer may need it several times: a norm's, in norm_passes; a convolution's
 * gradient, for both backward products.
 *
 * Gradients of a tensor that several operations read are summed by them, in the order of the backward pass:
 * each but the first reads what is there, and all write. An addition, or a copy, adds nothing: the gradient of
 * its output is that of its inputs, in the same place, so that it moves only where it changes from DRAM
 * to the buffer or back, or where it meets another one. */
#include "hw/wavecore_internal.h"

const char *sky_wavecore_cause_name(sky_wavecore_cause c)
{
    static const char *const names[SKY_WAVECORE_CAUSES] = {
        "activation_read_bytes", "activation_write_bytes", "stored_read_bytes",
        "gradient_read_bytes",   "gradient_write_bytes",   "mask_write_bytes",
        "mask_read_bytes",       "weight_forward_bytes",   "weight_backward_bytes",
        "dw_read_bytes",         "dw_write_bytes",         "update_bytes"};
    return names[c];
}

int64_t sky_wavecore_total(const sky_wavecore_bytes *b)
{
    int64_t sum = 0;
    for (int i = 0; i < SKY_WAVECORE_CAUSES; i++)
        sum += b->of[i];
    return sum;
}

/* An operation and where it is. */
typedef struct site {
    const sky_wavecore_net *w;
    const sky__wavecore_place *p; /* of `op`'s unit */
    int32_t op;
} site;

/* Whether tensor t stays on chip from its producer to its first reader. Either of both is the site's. */
static inline bool stays(const site *s, const sky_wavecore_tensor *t)
{
    const sky__wavecore_place *p = s->p;
    if (p->none || t->producer < 0 || t->n_uses == 0)
        return false;
    const sky_wavecore_op *from = &s->w->ops[t->producer], *to = &s->w->ops[t->first_use];
    const bool next = t->first_use == t->producer + 1;
    if (from->unit == to->unit)
        return p->live || (next && to->footprint <= p->room);
    const bool is_reader = s->op >= t->first_use;
    if (is_reader ? p->begins : p->ends)
        return false;
    const bool from_lives = is_reader ? p->live_before : p->live;
    const bool to_lives = is_reader ? p->live : p->live_after;
    return (from_lives && to_lives) || (next && (to_lives || to->footprint <= p->room));
}

/* Whether all readers of the site's output find it on chip. */
static inline bool all_find(const site *s, const sky_wavecore_tensor *t)
{
    if (!stays(s, t))
        return false;
    const sky_wavecore_op *from = &s->w->ops[t->producer], *to = &s->w->ops[t->first_use];
    const bool live = from->unit == to->unit ? s->p->live : s->p->live_after;
    return live || t->n_uses == 1;
}

static inline bool is_pass_through(const sky_wavecore_op *op)
{
    return op->kind == SKY_WAVECORE_ADD || op->kind == SKY_WAVECORE_COPY;
}

/* How often an operation reads an operand that is in DRAM. */
static inline int64_t passes(const sky_wavecore_op *op, const sky__wavecore_place *p)
{
    return op->kind == SKY_WAVECORE_NORM && !sky__wavecore_fits(op, p) ? p->norm_passes : 1;
}

static void count_forward(const site *s, sky__wavecore_counts *c)
{
    const sky_wavecore_net *w = s->w;
    const sky_wavecore_op *op = &w->ops[s->op];
    for (int32_t i = 0; i < op->n_inputs; i++) {
        const sky_wavecore_tensor *t = &w->tensors[w->inputs[op->first_input + i]];
        const bool first = t->first_use == s->op;
        if (s->p->live ? !first || stays(s, t) : first && stays(s, t))
            continue;
        c->of[SKY_WAVECORE_ACT_READ] += t->size * passes(op, s->p);
    }
    const sky_wavecore_tensor *out = &w->tensors[s->op];
    if (out->stored || !all_find(s, out))
        c->of[SKY_WAVECORE_ACT_WRITE] += out->size;
}

/* Of an addition or copy in a unit that does not share: what its output's gradient costs on its way to the
 * inputs' gradients. */
static void count_pass_through(const site *s, bool on_chip, sky__wavecore_counts *c)
{
    const sky_wavecore_net *w = s->w;
    const sky_wavecore_op *op = &w->ops[s->op];
    bool reads = op->params > 0, writes = false; /* a learned summand has a gradient too */
    for (int32_t i = 0; i < op->n_inputs; i++) {
        const sky_wavecore_tensor *t = &w->tensors[w->inputs[op->first_input + i]];
        if (!t->grad)
            continue;
        const bool hands_on = t->first_use == s->op && stays(s, t);
        const bool begins = t->last_use == s->op;
        if (hands_on)
            reads = true;
        if (begins && t->size == op->out) { /* the output's gradient, as it is */
            writes |= !hands_on;
            continue;
        }
        reads = true;
        c->of[SKY_WAVECORE_GRAD_READ] += begins ? 0 : t->size;
        c->of[SKY_WAVECORE_GRAD_WRITE] += hands_on ? 0 : t->size;
    }
    if (reads && !on_chip)
        c->of[SKY_WAVECORE_GRAD_READ] += op->out;
    if (writes && on_chip)
        c->of[SKY_WAVECORE_GRAD_WRITE] += op->out;
}

static void count_backward(const site *s, sky__wavecore_counts *c)
{
    const sky_wavecore_net *w = s->w;
    const sky_wavecore_op *op = &w->ops[s->op];
    if (!op->grad)
        return;
    const bool fits = sky__wavecore_fits(op, s->p);
    const bool keeps = op->kind == SKY_WAVECORE_CONV || op->kind == SKY_WAVECORE_MATMUL ||
                       op->kind == SKY_WAVECORE_NORM;
    if (keeps)
        c->of[SKY_WAVECORE_STORED_READ] += op->in * passes(op, s->p);
    const bool on_chip = stays(s, &w->tensors[s->op]);
    if (!s->p->live && is_pass_through(op)) {
        count_pass_through(s, on_chip, c);
        return;
    }
    if (!on_chip) {
        int64_t times = passes(op, s->p);
        if (!fits && op->input_grad && op->conv >= 0)
            times = 2;
        c->of[SKY_WAVECORE_GRAD_READ] += op->out * times;
    }
    for (int32_t i = 0; i < op->n_inputs; i++) {
        const sky_wavecore_tensor *t = &w->tensors[w->inputs[op->first_input + i]];
        if (!t->grad)
            continue;
        const bool first = t->first_use == s->op;
        if (!s->p->live && t->last_use != s->op)
            c->of[SKY_WAVECORE_GRAD_READ] += t->size;
        if (first ? !stays(s, t) : !s->p->live)
            c->of[SKY_WAVECORE_GRAD_WRITE] += t->size;
    }
}

void sky__wavecore_count(const sky_wavecore_net *w, int32_t op, const sky__wavecore_place *p,
                         sky__wavecore_counts *out)
{
    *out = (sky__wavecore_counts){{0}};
    const site s = {w, p, op};
    count_forward(&s, out);
    count_backward(&s, out);
}

sky__wavecore_place sky__wavecore_place_of(const sky_wavecore_net *w, const sky_wavecore_machine *m,
                                           const bool *live, int32_t unit)
{
    const int64_t samples = m->variant == SKY_WAVECORE_IL ? m->batch : 1;
    return (sky__wavecore_place){.live = live[unit],
                                 .live_before = unit > 0 && live[unit - 1],
                                 .live_after = unit + 1 < w->n_units && live[unit + 1],
                                 .none = m->variant <= SKY_WAVECORE_ARCHOPT,
                                 .room = m->buffer_bytes / (SKY_WAVECORE_WORD_BYTES * samples),
                                 .norm_passes = m->norm_passes};
}

sky__wavecore_place sky__wavecore_place_in(const sky_wavecore_net *w, const sky_wavecore_machine *m,
                                           const sky_wavecore_schedule *s, int32_t unit)
{
    const sky_wavecore_group *g = &s->groups[s->group_of[unit]];
    sky__wavecore_place p = sky__wavecore_place_of(w, m, s->live, unit);
    p.begins = unit == g->first_unit;
    p.ends = unit == g->first_unit + g->n_units - 1;
    return p;
}

void sky__wavecore_op_bytes(const sky_wavecore_net *w, const sky_wavecore_machine *m,
                            const sky__wavecore_place *p, int64_t iterations, int32_t op,
                            sky_wavecore_bytes *b)
{
    const sky_wavecore_op *o = &w->ops[op];
    sky__wavecore_counts c;
    sky__wavecore_count(w, op, p, &c);
    for (int i = 0; i <= SKY_WAVECORE_GRAD_WRITE; i++)
        b->of[i] = c.of[i] * m->batch * SKY_WAVECORE_WORD_BYTES;
    const int64_t mask = (o->mask * m->mask_bits + o->index_bits + 7) / 8 * m->batch;
    const int64_t weights = o->params * SKY_WAVECORE_WORD_BYTES;
    b->of[SKY_WAVECORE_MASK_WRITE] = b->of[SKY_WAVECORE_MASK_READ] = mask;
    b->of[SKY_WAVECORE_WEIGHT_FWD] = weights * iterations;
    b->of[SKY_WAVECORE_WEIGHT_BWD] = o->input_grad ? weights * iterations : 0;
    b->of[SKY_WAVECORE_DW_READ] = o->params * m->dw_bytes * (iterations - 1);
    b->of[SKY_WAVECORE_DW_WRITE] = o->params * m->dw_bytes * iterations;
    b->of[SKY_WAVECORE_UPDATE_BYTES] = o->params * m->update_bytes;
}

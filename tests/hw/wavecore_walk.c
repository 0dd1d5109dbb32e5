#include "wavecore_walk.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* One tensor, or the gradient of one, of the present sub-batch. */
typedef struct item {
    bool on_chip, in_dram;
    bool free;    /* on chip in space that is reserved already, or that it shares */
    int32_t left; /* forward: readers to come; backward: contributions to come */
} item;

typedef struct walk {
    const sky_wavecore_net *w;
    const sky_wavecore_machine *m;
    const sky_wavecore_schedule *s;
    wavecore_walk_result *out;
    int32_t *readers;      /* of each tensor: how many operations read it */
    int32_t *reader_unit;  /* their unit; -1: none */
    int32_t *first, *last; /* of them */
    bool *holds;           /* of each unit: input and output have their space throughout */
    bool *needed;          /* of each tensor: by the backward pass */
    item *act, *grad;
    int64_t samples, held; /* of this sub-batch; elements of one sample in the buffer */
    const sky_wavecore_group *group;
    bool backward;
} walk;

/* --- the graph, counted anew --- */

static int32_t input(const walk *x, int32_t o, int32_t i)
{
    return x->w->inputs[x->w->ops[o].first_input + i];
}

static int64_t size(const walk *x, int32_t t)
{
    return x->w->tensors[t].size;
}

static bool is_source(const walk *x, int32_t t)
{
    return t >= x->w->n_ops;
}

static int32_t unit_of(const walk *x, int32_t o)
{
    return x->w->ops[o].unit;
}

static bool keeps_input(const sky_wavecore_op *op)
{
    return op->kind == SKY_WAVECORE_CONV || op->kind == SKY_WAVECORE_NORM ||
           (op->kind == SKY_WAVECORE_MATMUL && op->grad);
}

static void count_readers(walk *x)
{
    for (int32_t t = 0; t < x->w->n_tensors; t++)
        x->reader_unit[t] = x->first[t] = x->last[t] = -1;
    for (int32_t o = 0; o < x->w->n_ops; o++) {
        for (int32_t i = 0; i < x->w->ops[o].n_inputs; i++) {
            const int32_t t = input(x, o, i);
            cr_assert(is_source(x, t) || t < o, "operation %d reads what comes later", o);
            cr_assert(x->readers[t] == 0 || x->reader_unit[t] == unit_of(x, o),
                      "readers of tensor %d in several units", t);
            if (!is_source(x, t))
                cr_assert(unit_of(x, o) - unit_of(x, t) <= 1 && unit_of(x, o) >= unit_of(x, t));
            x->reader_unit[t] = unit_of(x, o);
            x->first[t] = x->readers[t]++ == 0 ? o : x->first[t];
            x->last[t] = o;
            x->needed[t] |= keeps_input(&x->w->ops[o]);
        }
    }
}

static bool is_in_place(const sky_wavecore_op *op)
{
    return op->kind == SKY_WAVECORE_ACTIVATION || op->kind == SKY_WAVECORE_ADD ||
           op->kind == SKY_WAVECORE_COPY;
}

/* --- where it stands --- */

static bool lives(const walk *x, int32_t o)
{
    return x->s->live[unit_of(x, o)];
}

static bool in_group(const walk *x, int32_t o)
{
    return o >= 0 && o < x->w->n_ops && unit_of(x, o) >= x->group->first_unit &&
           unit_of(x, o) < x->group->first_unit + x->group->n_units;
}

/* All operands fit the buffer at once. */
static bool fits(const walk *x, int32_t o)
{
    const sky_wavecore_op *op = &x->w->ops[o];
    if (x->m->variant <= SKY_WAVECORE_ARCHOPT)
        return false;
    if (lives(x, o))
        return true;
    int64_t elements = 0;
    for (int32_t i = 0; i < op->n_inputs; i++)
        elements += size(x, input(x, o, i));
    if (!is_in_place(op))
        elements += size(x, o);
    else if (op->kind != SKY_WAVECORE_COPY || elements < size(x, o))
        elements = size(x, o);
    return elements * x->group->sub_batch * SKY_WAVECORE_WORD_BYTES <= x->m->buffer_bytes;
}

static void move(walk *x, int32_t o, sky_wavecore_cause cause, int64_t elements)
{
    const int64_t bytes = elements * x->samples * SKY_WAVECORE_WORD_BYTES;
    x->out->bytes.of[cause] += bytes;
    if (x->w->ops[o].kind == SKY_WAVECORE_NORM)
        x->out->norm_bytes += bytes;
}

/* --- the buffer --- */

static void hold(walk *x, int32_t o, int64_t elements)
{
    x->held += elements;
    const int64_t bytes = x->held * x->samples * SKY_WAVECORE_WORD_BYTES;
    cr_assert(bytes <= x->m->buffer_bytes, "operation %d: %lld bytes in a buffer of %lld", o,
              (long long)bytes, (long long)x->m->buffer_bytes);
    if (bytes > x->out->peak_bytes)
        x->out->peak_bytes = bytes;
    if (x->held > x->out->unit_peak[unit_of(x, o)])
        x->out->unit_peak[unit_of(x, o)] = x->held;
}

static void place(walk *x, int32_t o, item *of, int32_t t, bool shares)
{
    cr_assert(!of[t].on_chip);
    of[t].on_chip = true;
    of[t].free = shares;
    if (!shares)
        hold(x, o, size(x, t));
}

static void drop(walk *x, item *of, int32_t t)
{
    cr_assert(of[t].on_chip);
    if (!of[t].free)
        x->held -= size(x, t);
    of[t].on_chip = of[t].free = false;
}

/* --- units that hold their input and output throughout --- */

/* The unit's last layer is the first one, from its first operation on, that all later ones depend on alone. */
static bool ends_in_concat(const walk *x, int32_t unit)
{
    const sky_network *net = x->w->network;
    int32_t l = x->w->ops[x->w->units[unit].first_op].layer;
    for (;; l++) {
        bool is_cut = net->layers[l].kind != SKY_LAYER_TENSOR;
        for (int32_t i = l + 1; i < net->n_layers && is_cut; i++)
            for (int32_t j = 0; j < net->layers[i].n_inputs; j++) {
                const int32_t from = net->layers[i].input[j];
                is_cut &= from >= l || net->layers[from].kind == SKY_LAYER_TENSOR;
            }
        if (is_cut)
            return net->layers[l].kind == SKY_LAYER_CONCAT;
    }
}

static bool leaves(const walk *x, int32_t t)
{
    return !is_source(x, t) && x->readers[t] > 0 && x->reader_unit[t] != unit_of(x, t);
}

static bool enters(const walk *x, int32_t t, int32_t unit)
{
    return x->reader_unit[t] == unit && (is_source(x, t) || unit_of(x, t) != unit);
}

/* The input whose space the output of an operation in a live unit takes: read for the last time, as large. */
static int32_t replaced(const walk *x, int32_t o, bool holds)
{
    const sky_wavecore_op *op = &x->w->ops[o];
    int32_t best = -1, best_at = -2;
    if (op->kind != SKY_WAVECORE_ACTIVATION && op->kind != SKY_WAVECORE_ADD)
        return -1;
    for (int32_t i = 0; i < op->n_inputs; i++) {
        const int32_t t = input(x, o, i), at = is_source(x, t) ? -1 : t;
        if (x->last[t] == o && size(x, t) == size(x, o) && at > best_at &&
            !(holds && enters(x, t, unit_of(x, o))))
            best = t, best_at = at;
    }
    return best;
}

/* Whether a tensor lies in space that is reserved for what enters or leaves its unit. */
static bool is_reserved(const walk *x, int32_t t, int32_t unit, bool holds)
{
    if (!holds)
        return false;
    if (enters(x, t, unit))
        return true;
    for (;;) {
        if (leaves(x, t))
            return true;
        if (x->readers[t] == 0 || replaced(x, x->last[t], holds) != t)
            return false;
        t = x->last[t];
    }
}

static int64_t reserve(walk *x, int32_t unit, int32_t o)
{
    int64_t sum = 0;
    for (int32_t t = 0; t < x->w->n_tensors; t++) {
        const bool out = leaves(x, t) && unit_of(x, t) == unit, in = enters(x, t, unit);
        item *of = x->backward ? x->grad : x->act;
        if (!in && !out)
            continue;
        if (of[t].on_chip &&
            !of[t].free) { /* came from the neighbour: its space becomes the reserved */
            of[t].free = true;
            x->held -= size(x, t);
        }
        sum += size(x, t);
    }
    hold(x, o, sum);
    return sum;
}

/* After the last operation of a unit: what stays has space of its own again. */
static void release(walk *x, int64_t reserved)
{
    item *of = x->backward ? x->grad : x->act;
    x->held -= reserved;
    for (int32_t t = 0; t < x->w->n_tensors; t++)
        if (of[t].on_chip && of[t].free)
            of[t].free = false, x->held += size(x, t);
}

/* --- forward --- */

/* A tensor that must go although it is not read everywhere: DRAM gets it, unless it has it. */
static void spill(walk *x, int32_t t)
{
    if ((x->act[t].left > 0 || x->readers[t] == 0) && !x->act[t].in_dram) {
        move(x, t, SKY_WAVECORE_ACT_WRITE, size(x, t));
        x->act[t].in_dram = true;
    }
}

static bool reads(const walk *x, int32_t o, int32_t t)
{
    for (int32_t i = 0; i < x->w->ops[o].n_inputs; i++)
        if (input(x, o, i) == t)
            return true;
    return false;
}

/* Whether the buffer keeps tensor t when operation o is done. */
static bool is_kept(const walk *x, int32_t o, int32_t t, bool holds)
{
    const bool unit_ends = o + 1 == x->w->n_ops || unit_of(x, o + 1) != unit_of(x, o);
    if (x->m->variant <= SKY_WAVECORE_ARCHOPT)
        return false;
    if (!unit_ends && lives(x, o))
        return x->act[t].left > 0 || (holds && enters(x, t, unit_of(x, o)));
    if (x->act[t].left == 0 || !in_group(x, o + 1))
        return false;
    if (unit_ends && lives(x, o) && lives(x, o + 1))
        return true;
    return t == o && reads(x, o + 1, t) && fits(x, o + 1);
}

static void forward_inputs(walk *x, int32_t o, bool holds)
{
    const sky_wavecore_op *op = &x->w->ops[o];
    for (int32_t i = 0; i < op->n_inputs; i++) {
        const int32_t t = input(x, o, i);
        x->act[t].left--;
        if (x->act[t].on_chip)
            continue;
        cr_assert(x->act[t].in_dram, "operation %d reads tensor %d, which is nowhere", o, t);
        const bool again = op->kind == SKY_WAVECORE_NORM && !fits(x, o);
        move(x, o, SKY_WAVECORE_ACT_READ, size(x, t) * (again ? x->m->norm_passes : 1));
        if (fits(x, o) && (lives(x, o) || !is_in_place(op)))
            place(x, o, x->act, t, is_reserved(x, t, unit_of(x, o), holds));
    }
}

static void forward_op(walk *x, int32_t o, bool holds)
{
    const sky_wavecore_op *op = &x->w->ops[o];
    x->act[o] = (item){.left = x->readers[o]};
    forward_inputs(x, o, holds);
    if (lives(x, o)) {
        const int32_t over = replaced(x, o, holds);
        const bool shares = over >= 0 && x->act[over].free;
        if (over >= 0)
            drop(x, x->act, over);
        place(x, o, x->act, o, shares || is_reserved(x, o, unit_of(x, o), holds));
    } else {
        for (int32_t i = 0; i < op->n_inputs && is_in_place(op); i++)
            if (x->act[input(x, o, i)].on_chip) {
                if (!is_source(x, input(x, o, i)))
                    spill(x, input(x, o, i));
                drop(x, x->act, input(x, o, i));
            }
        if (fits(x, o) || is_kept(x, o, o, false))
            place(x, o, x->act, o, false);
    }
    if (x->needed[o]) {
        move(x, o, SKY_WAVECORE_ACT_WRITE, size(x, o));
        x->act[o].in_dram = true;
    }
    for (int32_t t = 0; t < x->w->n_tensors; t++) {
        if (t == o ? is_kept(x, o, t, holds) : !x->act[t].on_chip || is_kept(x, o, t, holds))
            continue;
        if (!is_source(x, t))
            spill(x, t);
        if (x->act[t].on_chip)
            drop(x, x->act, t);
    }
}

/* --- backward --- */

static int64_t passes(const walk *x, int32_t o)
{
    return x->w->ops[o].kind == SKY_WAVECORE_NORM && !fits(x, o) ? x->m->norm_passes : 1;
}

/* Whether the buffer keeps the gradient of tensor t, as far as it is, when operation o is done backward. */
static bool keeps_gradient(const walk *x, int32_t o, int32_t t)
{
    if (x->m->variant <= SKY_WAVECORE_ARCHOPT || !fits(x, o))
        return false;
    const bool inside = !is_source(x, t) && unit_of(x, t) == unit_of(x, o);
    if (lives(x, o) && (inside || x->grad[t].left > 0))
        return true;
    if (is_source(x, t) || !in_group(x, t) || x->grad[t].left > 0)
        return false;
    if (!inside && lives(x, o) && lives(x, t))
        return true;
    return t == o - 1;
}

static void write_gradient(walk *x, int32_t o, int32_t t)
{
    move(x, o, SKY_WAVECORE_GRAD_WRITE, size(x, t));
    x->grad[t].in_dram = true;
}

/* An addition or copy outside of live units: its output's gradient is its inputs', in the same place. */
static void backward_pass_through(walk *x, int32_t o)
{
    const sky_wavecore_op *op = &x->w->ops[o];
    bool here = x->grad[o].on_chip, there = x->grad[o].in_dram;
    if (x->grad[o].on_chip)
        drop(x, x->grad, o);
    for (int32_t i = -1; i < op->n_inputs; i++) {
        const int32_t t = i < 0 ? o : input(x, o, i);
        if (i < 0 ? op->params == 0 : !x->w->tensors[t].grad)
            continue;
        const bool same = i >= 0 && !x->grad[t].in_dram && size(x, t) == size(x, o);
        if (i >= 0)
            x->grad[t].left--;
        const bool kept = i >= 0 && keeps_gradient(x, o, t);
        if (!here && (!same || kept)) {
            cr_assert(there);
            move(x, o, SKY_WAVECORE_GRAD_READ, size(x, o));
            here = true;
        }
        if (i < 0)
            continue;
        if (!same && x->grad[t].in_dram)
            move(x, o, SKY_WAVECORE_GRAD_READ, size(x, t));
        if (kept) {
            x->grad[t].in_dram = false;
            place(x, o, x->grad, t, false);
        } else if (!same) {
            write_gradient(x, o, t);
        } else {
            if (!there)
                write_gradient(x, o, t);
            there = x->grad[t].in_dram = true;
        }
    }
}

static void backward_inputs(walk *x, int32_t o, bool holds)
{
    const sky_wavecore_op *op = &x->w->ops[o];
    bool absorbed = false,
         in_reserve = false; /* the output's gradient gave its space to the inputs' */
    for (int32_t i = 0; i < op->n_inputs; i++) {
        const int32_t t = input(x, o, i);
        if (!x->w->tensors[t].grad)
            continue;
        if (x->grad[t].in_dram && !x->grad[t].on_chip) /* begun by others */
            move(x, o, SKY_WAVECORE_GRAD_READ, size(x, t));
        x->grad[t].left--;
        const bool kept = keeps_gradient(x, o, t);
        if (fits(x, o) && !x->grad[t].on_chip) {
            const bool takes = !absorbed && x->grad[o].on_chip &&
                               (op->kind == SKY_WAVECORE_NORM || t == replaced(x, o, holds) ||
                                (!lives(x, o) && is_in_place(op)));
            bool shares = is_reserved(x, t, unit_of(x, o), holds);
            if (takes) { /* the space of the output's gradient */
                in_reserve = x->grad[o].free;
                drop(x, x->grad, o);
                absorbed = true;
            }
            if (takes || op->kind == SKY_WAVECORE_NORM) /* a norm's: all parts of its input */
                shares |= in_reserve;
            if (kept || !is_in_place(op))
                place(x, o, x->grad, t, shares);
        }
        x->grad[t].in_dram = false; /* what others had begun is out of date */
        if (!kept)
            write_gradient(x, o, t);
    }
    for (int32_t i = 0; i < op->n_inputs; i++) /* all were needed at once */
        if (x->grad[input(x, o, i)].on_chip && !keeps_gradient(x, o, input(x, o, i)))
            drop(x, x->grad, input(x, o, i));
}

static void backward_op(walk *x, int32_t o, bool holds)
{
    const sky_wavecore_op *op = &x->w->ops[o];
    if (!op->grad)
        return;
    int64_t stored = 0;
    for (int32_t i = 0; i < op->n_inputs && keeps_input(op); i++) {
        const int32_t t = input(x, o, i);
        cr_assert(x->act[t].in_dram, "operation %d: its input is not in DRAM", o);
        move(x, o, SKY_WAVECORE_STORED_READ, size(x, t) * passes(x, o));
        stored += size(x, t);
    }
    if (x->readers[o] == 0)
        x->grad[o].in_dram = true; /* from the loss */
    if (!lives(x, o) && (op->kind == SKY_WAVECORE_ADD || op->kind == SKY_WAVECORE_COPY)) {
        backward_pass_through(x, o);
        return;
    }
    if (!x->grad[o].on_chip) {
        cr_assert(x->grad[o].in_dram, "operation %d: no gradient of its output", o);
        const bool twice = (op->kind == SKY_WAVECORE_CONV || op->kind == SKY_WAVECORE_MATMUL) &&
                           op->input_grad && !fits(x, o);
        move(x, o, SKY_WAVECORE_GRAD_READ, size(x, o) * (twice ? 2 : passes(x, o)));
        if (fits(x, o))
            place(x, o, x->grad, o, is_reserved(x, o, unit_of(x, o), holds));
    }
    const bool resident = op->kind == SKY_WAVECORE_NORM && fits(x, o);
    if (resident)
        hold(x, o, stored);
    backward_inputs(x, o, holds);
    if (resident)
        x->held -= stored;
    if (x->grad[o].on_chip)
        drop(x, x->grad, o);
}

/* --- the step --- */

static void weights(walk *x, int32_t o, int32_t iteration)
{
    const int64_t params = x->w->ops[o].params;
    sky_wavecore_bytes *b = &x->out->bytes;
    if (!x->backward) {
        b->of[SKY_WAVECORE_WEIGHT_FWD] += params * SKY_WAVECORE_WORD_BYTES;
        return;
    }
    for (int32_t i = 0; i < x->w->ops[o].n_inputs; i++) {
        if (x->w->tensors[input(x, o, i)].grad) {
            b->of[SKY_WAVECORE_WEIGHT_BWD] += params * SKY_WAVECORE_WORD_BYTES;
            break;
        }
    }
    if (iteration > 0)
        b->of[SKY_WAVECORE_DW_READ] += params * x->m->dw_bytes;
    b->of[SKY_WAVECORE_DW_WRITE] += params * x->m->dw_bytes;
}

static void masks(walk *x, int32_t o)
{
    const sky_wavecore_op *op = &x->w->ops[o];
    const int64_t bits = op->mask * x->m->mask_bits + op->index_bits;
    const sky_wavecore_cause c = x->backward ? SKY_WAVECORE_MASK_READ : SKY_WAVECORE_MASK_WRITE;
    x->out->bytes.of[c] += (bits + 7) / 8 * x->samples;
}

static void iterate(walk *x, int32_t iteration)
{
    const sky_wavecore_net *w = x->w;
    const int32_t first = w->units[x->group->first_unit].first_op;
    const sky_wavecore_unit *end = &w->units[x->group->first_unit + x->group->n_units - 1];
    const int32_t n = end->first_op + end->n_ops - first;
    int64_t reserved = 0;
    bool holds = false;
    cr_assert_eq(x->held, 0);
    for (int32_t i = 0; i < n; i++) {
        const int32_t o = x->backward ? first + n - 1 - i : first + i;
        const sky_wavecore_unit *u = &w->units[unit_of(x, o)];
        const int32_t last_op = u->first_op + u->n_ops - 1;
        if (o == (x->backward ? last_op : u->first_op)) {
            holds = x->holds[unit_of(x, o)];
            reserved = holds ? reserve(x, unit_of(x, o), o) : 0;
        }
        if (x->backward)
            backward_op(x, o, holds);
        else
            forward_op(x, o, holds);
        weights(x, o, iteration);
        masks(x, o);
        if (holds && o == (x->backward ? u->first_op : last_op))
            release(x, reserved);
    }
    cr_assert_eq(x->held, 0, "%lld elements are left in the buffer", (long long)x->held);
}

/* All iterations of a group. What one leaves in DRAM is there for the samples of the others too, so that
 * the last one's flags serve all. */
static void walk_group(walk *x, int32_t g)
{
    x->group = &x->s->groups[g];
    int32_t left = x->m->batch, iterations = 0;
    item *act = malloc((size_t)x->w->n_tensors * sizeof *act);
    item *grad = malloc((size_t)x->w->n_tensors * sizeof *grad);
    memcpy(act, x->act, (size_t)x->w->n_tensors * sizeof *act);
    memcpy(grad, x->grad, (size_t)x->w->n_tensors * sizeof *grad);
    for (; left > 0; left -= (int32_t)x->samples, iterations++) {
        memcpy(x->act, act, (size_t)x->w->n_tensors * sizeof *act);
        memcpy(x->grad, grad, (size_t)x->w->n_tensors * sizeof *grad);
        x->samples = left < x->group->sub_batch ? left : x->group->sub_batch;
        iterate(x, iterations);
    }
    free(act);
    free(grad);
    cr_assert_eq(iterations, x->group->iterations);
}

void wavecore_walk(const sky_wavecore_net *w, const sky_wavecore_machine *m,
                   const sky_wavecore_schedule *s, wavecore_walk_result *out)
{
    const size_t n = (size_t)w->n_tensors;
    int32_t *table = calloc(4 * n, sizeof *table);
    walk x = {.w = w,
              .m = m,
              .s = s,
              .out = out,
              .readers = table,
              .reader_unit = table + n,
              .first = table + 2 * n,
              .last = table + 3 * n,
              .holds = out->unit_holds,
              .needed = calloc(n, sizeof(bool)),
              .act = calloc(n, sizeof(item)),
              .grad = calloc(n, sizeof(item))};
    cr_assert(table && x.holds && x.needed && x.act && x.grad);
    *out = (wavecore_walk_result){.unit_peak = out->unit_peak, .unit_holds = out->unit_holds};
    memset(out->unit_peak, 0, (size_t)w->n_units * sizeof *out->unit_peak);
    count_readers(&x);
    for (int32_t u = 0; u < w->n_units; u++)
        x.holds[u] = s->live[u] && ends_in_concat(&x, u);
    for (int32_t t = 0; t < w->n_tensors; t++) {
        x.act[t] = (item){.in_dram = is_source(&x, t), .left = x.readers[t]};
        x.grad[t].left = x.readers[t];
    }
    for (int32_t g = 0; g < s->n_groups; g++)
        walk_group(&x, g);
    x.backward = true;
    for (int32_t g = s->n_groups - 1; g >= 0; g--)
        walk_group(&x, g);
    for (int32_t o = 0; o < w->n_ops; o++)
        out->bytes.of[SKY_WAVECORE_UPDATE_BYTES] += w->ops[o].params * m->update_bytes;
    free(table);
    free(x.needed);
    free(x.act);
    free(x.grad);
}

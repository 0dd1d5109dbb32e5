/* From a network's layers to what is scheduled: operations in order, the tensors between them, units.
 *
 * Concatenations vanish: an input that only the concatenation reads is made in its place, so whoever reads
 * the concatenation reads its parts. Other inputs are copied into it. Learned tensors become parameters of
 * who reads them. In a unit, branches follow each other: each is finished before the next one begins. */
#include <assert.h>
#include <string.h>

#include "hw/network_internal.h"
#include "hw/wavecore_internal.h"

typedef struct builder {
    sky_wavecore_net *w;
    struct sky__wavecore_work *k;
    const sky_network *net;
    const int32_t *channels;
    sky_arena *arena;
    sky_error *e;
    int32_t n_layer_units;
    bool fuse;
} builder;

static const sky_layer *layer(const builder *b, int32_t i)
{
    return &b->net->layers[i];
}

static int64_t size_of(const builder *b, int32_t i)
{
    const sky_layer *l = layer(b, i);
    return (b->channels ? b->channels[i] : (int64_t)l->out.c) * l->out.h * l->out.w;
}

/* --- memory --- */

/* Most operations and tensors that the network can become. */
static int32_t most_ops(const sky_network *net)
{
    int32_t n = 0;
    for (int32_t i = 0; i < net->n_layers; i++)
        n += 1 + (net->layers[i].kind == SKY_LAYER_CONCAT ? net->layers[i].n_inputs : 0);
    return n;
}

static bool make_room(sky_wavecore_net *w, const sky_network *net, sky_arena *a)
{
    if (!w->work)
        w->work = sky_new(a, struct sky__wavecore_work, 1);
    struct sky__wavecore_work *k = w->work;
    const int32_t ops = most_ops(net);
    if (!k)
        return false;
    if (ops <= k->layers_cap)
        return true;
    k->layers_cap = 0;
    const size_t n = (size_t)ops;
    w->ops = sky_new(a, sky_wavecore_op, n);
    w->tensors = sky_new(a, sky_wavecore_tensor, n);
    w->units = sky_new(a, sky_wavecore_unit, n);
    w->convs = sky_new(a, sky_conv_shape, n);
    k->unit_cost = sky_new(a, sky__wavecore_unit_cost, n);
    k->best = sky_new(a, sky__wavecore_best, n + 1);
    k->greedy = sky_new(a, sky_wavecore_group, n);
    k->optimal = sky_new(a, sky_wavecore_group, n);
    k->live = sky_new(a, bool, n);
    k->done = sky_new(a, bool, n);
    k->memo = sky_new(a, sky__wavecore_memo, n);
    int32_t **const tables[] = {&k->group_of,    &k->shape, &k->unit_of_layer,
                                &k->op_of_layer, &k->users, &k->stack};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (!(*tables[i] = sky_new(a, int32_t, n)))
            return false;
    }
    k->storage = sky_new(a, int32_t, 3 * n);
    k->change = sky_new(a, int64_t, n + 1);
    if (!w->ops || !w->tensors || !w->units || !w->convs || !k->unit_cost || !k->best ||
        !k->greedy || !k->optimal || !k->live || !k->done || !k->memo || !k->storage || !k->change)
        return false;
    k->layers_cap = ops;
    return true;
}

static sky_err no_memory(sky_error *e)
{
    return sky_fail(e, SKY_ENOMEM, "wavecore: out of memory");
}

static sky_err add_input(builder *b, sky_wavecore_op *op, int32_t tensor)
{
    sky_wavecore_net *w = b->w;
    for (int32_t i = op->first_input; i < w->n_inputs; i++) {
        if (w->inputs[i] == tensor)
            return SKY_OK; /* x + x reads x once */
    }
    if (w->n_inputs == SKY_WAVECORE_EDGES_MAX)
        return sky_fail(b->e, SKY_ELIMIT,
                        "layer %d ('%s'): up to here, more than %d inputs of layers, counting "
                        "each part of a concatenation",
                        op->layer, layer(b, op->layer)->name ? layer(b, op->layer)->name : "",
                        SKY_WAVECORE_EDGES_MAX);
    if (w->n_inputs == b->k->edges_cap) {
        const int32_t cap = b->k->edges_cap ? 2 * b->k->edges_cap : 1024;
        int32_t *inputs = sky_new(b->arena, int32_t, (size_t)cap);
        if (!inputs)
            return no_memory(b->e);
        if (w->n_inputs > 0)
            memcpy(inputs, w->inputs, (size_t)w->n_inputs * sizeof *inputs);
        w->inputs = inputs;
        b->k->edges_cap = cap;
    }
    w->inputs[w->n_inputs++] = tensor;
    op->n_inputs++;
    op->in += w->tensors[tensor].size;
    return SKY_OK;
}

/* --- units of layers --- */

static void count_users(builder *b)
{
    memset(b->k->users, 0, (size_t)b->net->n_layers * sizeof *b->k->users);
    for (int32_t i = 0; i < b->net->n_layers; i++) {
        const sky_layer *l = layer(b, i);
        for (int32_t j = 0; j < l->n_inputs; j++)
            b->k->users[l->input[j]]++;
    }
}

/* A layer ends a unit if no other one before it is read after it. */
static void cut_units(builder *b)
{
    int32_t *last = b->k->stack; /* reader of each layer */
    for (int32_t i = 0; i < b->net->n_layers; i++) {
        const sky_layer *l = layer(b, i);
        last[i] = i;
        for (int32_t j = 0; j < l->n_inputs; j++)
            last[l->input[j]] = i;
    }
    int32_t unit = 0, farthest = 0;
    for (int32_t i = 0; i < b->net->n_layers; i++) {
        b->k->unit_of_layer[i] = unit;
        if (farthest <= i && layer(b, i)->kind != SKY_LAYER_TENSOR)
            unit++;
        if (layer(b, i)->kind != SKY_LAYER_TENSOR && last[i] > farthest)
            farthest = last[i];
    }
    b->n_layer_units = unit + 1;
}

/* --- operations --- */

static bool follows(const builder *b, int32_t i)
{
    const int32_t from = layer(b, i)->input[0];
    return from == i - 1 || b->k->unit_of_layer[from] == b->k->unit_of_layer[i];
}

/* Another shape of what nobody else reads is the same tensor; else it is a copy. (The readers of one tensor
 * must be in one unit.) */
static bool is_alias(const builder *b, int32_t i)
{
    const sky_layer *l = layer(b, i);
    return l->kind == SKY_LAYER_RESHAPE && b->k->users[l->input[0]] == 1 && follows(b, i);
}

/* Made in the place where the concatenation needs it. */
static bool is_in_place(const builder *b, int32_t concat, int32_t input)
{
    for (int32_t i = input;; i = layer(b, i)->input[0]) {
        if (layer(b, i)->kind == SKY_LAYER_TENSOR)
            return true;
        if (b->k->users[i] != 1 || b->k->unit_of_layer[i] != b->k->unit_of_layer[concat])
            return false;
        if (!is_alias(b, i))
            return true;
    }
}

static bool is_fused(const builder *b, int32_t i)
{
    const sky_layer *l = layer(b, i);
    if (!b->fuse || l->kind != SKY_LAYER_ACTIVATION || b->k->users[l->input[0]] != 1)
        return false;
    if (!follows(b, i)) /* else its readers could be two units away */
        return false;
    const sky_layer_kind kind = layer(b, l->input[0])->kind;
    return kind == SKY_LAYER_CONV || kind == SKY_LAYER_LINEAR || kind == SKY_LAYER_MATMUL ||
           kind == SKY_LAYER_NORM || kind == SKY_LAYER_ADD;
}

/* The tensors that a reader of the layer reads. Concatenations nest: the stack holds what is left to
 * expand, layers, or copies as -1 - operation. Whatever is in place has one reader, so it fits. */
static sky_err add_layer(builder *b, sky_wavecore_op *op, int32_t from)
{
    int32_t *stack = b->k->storage, top = 0;
    sky_err err = SKY_OK;
    stack[top++] = from;
    while (top > 0 && err == SKY_OK) {
        const int32_t i = stack[--top];
        if (i < 0) {
            err = add_input(b, op, -1 - i);
            continue;
        }
        const sky_layer *l = layer(b, i);
        if (l->kind == SKY_LAYER_TENSOR) {
            op->params += size_of(b, i);
            continue;
        }
        if (is_alias(b, i)) {
            stack[top++] = l->input[0];
            continue;
        }
        if (l->kind != SKY_LAYER_CONCAT) {
            err = add_input(b, op, b->k->op_of_layer[i]);
            continue;
        }
        int32_t copy = b->k->op_of_layer[i]; /* the first; the others follow it */
        for (int32_t j = 0; j < l->n_inputs; j++)
            copy += !is_in_place(b, i, l->input[j]);
        for (int32_t j = l->n_inputs - 1; j >= 0; j--)
            stack[top++] = is_in_place(b, i, l->input[j]) ? l->input[j] : -1 - --copy;
        assert(top <= b->k->layers_cap);
    }
    return err;
}

static int64_t ceil_log2(int64_t x)
{
    int64_t bits = 0;
    while ((INT64_C(1) << bits) < x)
        bits++;
    return bits;
}

/* What depends on the kind alone; false if the kind is none that the model knows. */
static bool set_kind(builder *b, sky_wavecore_op *op, const sky_layer *l)
{
    const int64_t area = (int64_t)l->window.kernel_h * l->window.kernel_w;
    switch (l->kind) {
    case SKY_LAYER_CONV:
    case SKY_LAYER_LINEAR:
        op->kind = SKY_WAVECORE_CONV;
        return true;
    case SKY_LAYER_MATMUL:
        op->kind = SKY_WAVECORE_MATMUL;
        return true;
    case SKY_LAYER_NORM:
        op->kind = SKY_WAVECORE_NORM;
        op->vector_fwd = op->vector_bwd = op->out;
        op->params = 2 * (b->channels ? b->channels[op->layer] : (int64_t)l->out.c);
        return true;
    case SKY_LAYER_ACTIVATION:
        op->kind = SKY_WAVECORE_ACTIVATION;
        op->vector_fwd = op->vector_bwd = op->mask = op->out;
        return true;
    case SKY_LAYER_POOL:
        op->kind = SKY_WAVECORE_POOL;
        op->vector_fwd = op->out * area;
        op->vector_bwd = op->in;
        /* One window over all of the input is an average: nothing to remember. */
        op->index_bits = l->out.h == 1 && l->out.w == 1 ? 0 : op->out * ceil_log2(area);
        return true;
    case SKY_LAYER_ADD:
        op->kind = SKY_WAVECORE_ADD;
        op->vector_fwd = op->out * (l->n_inputs > 1 ? l->n_inputs - 1 : 1);
        return true;
    case SKY_LAYER_SLICE:
    case SKY_LAYER_RESHAPE:
        op->kind = SKY_WAVECORE_COPY;
        op->vector_fwd = op->out;
        return true;
    default:
        return false;
    }
}

static void set_conv(sky_wavecore_net *w, sky_wavecore_op *op, int32_t conv, const sky_layer *l)
{
    const sky_conv_shape *s = &w->convs[conv];
    op->conv = conv;
    w->macs += (int64_t)s->groups * s->k * s->c * s->r * s->s * s->p * s->q;
    if (op->kind == SKY_WAVECORE_CONV)
        op->params += (int64_t)s->groups * s->k * s->c * s->r * s->s +
                      (l->bias ? (int64_t)s->groups * s->k : 0);
}

static sky_wavecore_op *new_op(builder *b, int32_t i, int64_t out)
{
    sky_wavecore_op *op = &b->w->ops[b->w->n_ops];
    *op = (sky_wavecore_op){.layer = i,
                            .kind = SKY_WAVECORE_COPY,
                            .unit = b->k->unit_of_layer[i],
                            .first_input = b->w->n_inputs,
                            .conv = -1,
                            .out = out};
    b->w->tensors[b->w->n_ops] = (sky_wavecore_tensor){
        .size = out, .producer = b->w->n_ops, .first_use = -1, .last_use = -1};
    b->w->n_ops++;
    return op;
}

static sky_err add_copies(builder *b, int32_t i)
{
    const sky_layer *l = layer(b, i);
    b->k->op_of_layer[i] = b->w->n_ops;
    for (int32_t j = 0; j < l->n_inputs; j++) {
        if (is_in_place(b, i, l->input[j]))
            continue;
        sky_wavecore_op *op = new_op(b, i, size_of(b, l->input[j]));
        op->vector_fwd = op->footprint = op->out;
        sky_err err = add_layer(b, op, l->input[j]);
        if (err != SKY_OK)
            return err;
    }
    return SKY_OK;
}

static sky_err add_op(builder *b, int32_t i, const int32_t *conv_of_layer)
{
    const sky_layer *l = layer(b, i);
    sky_wavecore_net *w = b->w;
    if (l->kind == SKY_LAYER_INPUT || l->kind == SKY_LAYER_TENSOR || is_alias(b, i))
        return SKY_OK; /* has no operation */
    if (l->kind == SKY_LAYER_CONCAT)
        return add_copies(b, i);
    if (is_fused(b, i)) {
        b->k->op_of_layer[i] = b->k->op_of_layer[l->input[0]];
        w->ops[b->k->op_of_layer[i]].mask += size_of(b, i);
        return SKY_OK;
    }
    b->k->op_of_layer[i] = w->n_ops;
    sky_wavecore_op *op = new_op(b, i, size_of(b, i));
    for (int32_t j = 0; j < l->n_inputs; j++) {
        sky_err err = add_layer(b, op, l->input[j]);
        if (err != SKY_OK)
            return err;
    }
    const int64_t learned = op->params; /* tensors that it reads */
    if (!set_kind(b, op, l))
        return sky_fail(b->e, SKY_EINVAL,
                        "layer %d ('%s'): WaveCore's model has no embeddings; it schedules "
                        "convolutions, linear layers, products, norms, activations, poolings, "
                        "additions, concatenations and slices",
                        i, l->name ? l->name : "");
    if (op->kind == SKY_WAVECORE_NORM)
        op->params += learned;
    if (conv_of_layer[i] >= 0)
        set_conv(w, op, conv_of_layer[i], l);
    const bool in_place = op->kind == SKY_WAVECORE_ACTIVATION || op->kind == SKY_WAVECORE_ADD ||
                          op->kind == SKY_WAVECORE_COPY;
    op->footprint = !in_place                                           ? op->in + op->out
                    : op->kind == SKY_WAVECORE_COPY && op->in > op->out ? op->in
                                                                        : op->out;
    return SKY_OK;
}

/* The layer after all that it needs, each branch to its end before the next. */
static sky_err add_with_inputs(builder *b, int32_t sink, const int32_t *conv_of_layer,
                               int32_t *next)
{
    int32_t *stack = b->k->stack, top = 0;
    if (b->k->done[sink])
        return SKY_OK;
    stack[top++] = sink;
    while (top > 0) {
        const int32_t i = stack[top - 1];
        const sky_layer *l = layer(b, i);
        if (next[i] < l->n_inputs) {
            const int32_t from = l->input[next[i]++];
            if (!b->k->done[from])
                stack[top++] = from;
            continue;
        }
        top--;
        if (b->k->done[i])
            continue;
        b->k->done[i] = true;
        sky_err err = add_op(b, i, conv_of_layer);
        if (err != SKY_OK)
            return err;
    }
    return SKY_OK;
}

/* Sources have the tensors behind those of the operations. */
static void add_sources(builder *b)
{
    sky_wavecore_net *w = b->w;
    int32_t n_ops = 0;
    for (int32_t i = 0; i < b->net->n_layers; i++) {
        const sky_layer *l = layer(b, i);
        if (l->kind == SKY_LAYER_CONCAT) {
            for (int32_t j = 0; j < l->n_inputs; j++)
                n_ops += !is_in_place(b, i, l->input[j]);
        } else if (l->kind != SKY_LAYER_INPUT && l->kind != SKY_LAYER_TENSOR && !is_alias(b, i) &&
                   !is_fused(b, i)) {
            n_ops++;
        }
    }
    w->n_tensors = n_ops;
    for (int32_t i = 0; i < b->net->n_layers; i++) {
        if (layer(b, i)->kind != SKY_LAYER_INPUT)
            continue;
        b->k->op_of_layer[i] = w->n_tensors;
        w->tensors[w->n_tensors++] = (sky_wavecore_tensor){.size = size_of(b, i),
                                                           .producer = -1,
                                                           .first_use = -1,
                                                           .last_use = -1,
                                                           .grad = !layer(b, i)->fixed};
    }
}

static sky_err add_ops(builder *b, const sky_conv_shape *convs)
{
    sky_wavecore_net *w = b->w;
    int32_t *conv_of_layer = b->k->storage + b->k->layers_cap,
            *next = conv_of_layer + b->k->layers_cap;
    for (int32_t i = 0; i < b->net->n_layers; i++) {
        conv_of_layer[i] = -1;
        next[i] = 0;
        b->k->done[i] = false;
        if (sky__multiplies(layer(b, i))) {
            assert(convs[w->n_convs].layer == i);
            w->convs[w->n_convs] = convs[w->n_convs];
            conv_of_layer[i] = w->n_convs++;
        }
    }
    add_sources(b);
    sky_err err = SKY_OK;
    for (int32_t first = 0, end; first < b->net->n_layers && err == SKY_OK; first = end) {
        end = first;
        while (end < b->net->n_layers && b->k->unit_of_layer[end] == b->k->unit_of_layer[first])
            end++;
        for (int32_t i = first; i < end - 1 && err == SKY_OK; i++) { /* outputs besides the last */
            if (b->k->users[i] == 0)
                err = add_with_inputs(b, i, conv_of_layer, next);
        }
        if (err == SKY_OK)
            err = add_with_inputs(b, end - 1, conv_of_layer, next);
    }
    return err;
}

/* --- uses and gradients --- */

static bool keeps_input(const sky_wavecore_op *op)
{
    return op->grad && (op->kind == SKY_WAVECORE_CONV || op->kind == SKY_WAVECORE_MATMUL ||
                        op->kind == SKY_WAVECORE_NORM);
}

static void set_uses(sky_wavecore_net *w)
{
    for (int32_t o = 0; o < w->n_ops; o++) {
        sky_wavecore_op *op = &w->ops[o];
        for (int32_t i = 0; i < op->n_inputs; i++) {
            sky_wavecore_tensor *t = &w->tensors[w->inputs[op->first_input + i]];
            if (t->n_uses++ == 0)
                t->first_use = o;
            t->last_use = o;
            op->input_grad |= t->grad;
        }
        op->grad = op->input_grad || op->params > 0;
        w->tensors[o].grad = op->grad;
        if (!op->grad)
            op->mask = op->index_bits = op->vector_bwd = 0;
        for (int32_t i = 0; i < op->n_inputs; i++)
            w->tensors[w->inputs[op->first_input + i]].stored |= keeps_input(op);
    }
    w->stored = w->params = 0;
    for (int32_t t = 0; t < w->n_tensors; t++)
        w->stored += w->tensors[t].stored ? w->tensors[t].size : 0;
    for (int32_t o = 0; o < w->n_ops; o++)
        w->params += w->ops[o].params;
}

/* --- units of operations --- */

/* Numbers the units without gaps; a lone norm or activation joins the unit before it. */
static void set_units(sky_wavecore_net *w)
{
    w->n_units = 0;
    for (int32_t first = 0, end; first < w->n_ops; first = end) {
        end = first + 1;
        while (end < w->n_ops && w->ops[end].unit == w->ops[first].unit)
            end++;
        const sky_wavecore_kind kind = w->ops[first].kind;
        const bool joins = end == first + 1 && w->n_units > 0 &&
                           (kind == SKY_WAVECORE_NORM || kind == SKY_WAVECORE_ACTIVATION) &&
                           w->tensors[w->inputs[w->ops[first].first_input]].producer >= 0;
        if (joins)
            w->units[w->n_units - 1].n_ops++;
        else
            w->units[w->n_units++] = (sky_wavecore_unit){.first_op = first, .n_ops = end - first};
    }
    for (int32_t u = 0; u < w->n_units; u++) {
        sky_wavecore_unit *unit = &w->units[u];
        for (int32_t o = unit->first_op; o < unit->first_op + unit->n_ops; o++) {
            const sky_wavecore_op *op = &w->ops[o];
            w->ops[o].unit = u;
            unit->params += op->params;
            unit->input_params += op->input_grad ? op->params : 0;
            if (op->footprint > unit->footprint)
                unit->footprint = op->footprint;
        }
    }
}

static bool ends_in_concat(const builder *b, const sky_wavecore_unit *u)
{
    const sky_wavecore_net *w = b->w;
    const int32_t unit = b->k->unit_of_layer[w->ops[u->first_op].layer];
    int32_t i = w->ops[u->first_op].layer; /* its last layer */
    while (i + 1 < b->net->n_layers && b->k->unit_of_layer[i + 1] == unit)
        i++;
    return layer(b, i)->kind == SKY_LAYER_CONCAT;
}

/* --- all of it --- */

/* Largest counts, times everything that multiplies them, stay far below 2^63. */
static sky_err check_size(const sky_wavecore_net *w, sky_error *e)
{
    double elements = 0;
    for (int32_t o = 0; o < w->n_ops; o++)
        elements += (double)w->ops[o].in + (double)w->ops[o].out + (double)w->ops[o].vector_fwd;
    const double most = (double)(INT64_C(1) << 40);
    if (elements > most || (double)w->params > most)
        return sky_fail(e, SKY_ELIMIT,
                        "network '%s': its layers read and write %.3g values a sample, with %.3g "
                        "weights; at most %.3g each can be counted",
                        w->network->name, elements, (double)w->params, most);
    if (w->macs == 0)
        return sky_fail(e, SKY_EINVAL,
                        "network '%s': no convolution, linear layer or product to schedule",
                        w->network->name);
    return SKY_OK;
}

sky_err sky_wavecore_prepare(sky_wavecore_net *w, const sky_network *net, const int32_t *channels,
                             const sky_conv_shape *convs, bool fuse, sky_arena *arena, sky_error *e)
{
    if (!make_room(w, net, arena))
        return no_memory(e);
    builder b = {.w = w,
                 .k = w->work,
                 .net = net,
                 .channels = channels,
                 .arena = arena,
                 .e = e,
                 .fuse = fuse};
    w->network = net;
    w->n_ops = w->n_tensors = w->n_units = w->n_inputs = w->n_convs = 0;
    w->macs = 0;
    count_users(&b);
    cut_units(&b);
    sky_err err = add_ops(&b, convs);
    if (err != SKY_OK) {
        sky_fail_prefix(e, "network '%s'", net->name);
        return err;
    }
    set_uses(w);
    err = check_size(w, e);
    if (err != SKY_OK)
        return err;
    set_units(w);
    for (int32_t u = 0; u < w->n_units; u++)
        w->units[u].live_footprint =
            sky__wavecore_live_footprint(w, &w->units[u], ends_in_concat(&b, &w->units[u]));
    sky__wavecore_find_repeats(w);
    return SKY_OK;
}

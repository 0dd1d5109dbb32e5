/* Sub-batches and groups. A unit's footprint says how many samples of it fit the buffer, hence how many
 * iterations it needs; a group needs as many as its worst unit. Fewer groups save the activations between
 * them, more groups save weights: per iteration, each is read in both passes and its gradient written, and
 * read but for the first time (4 I - 1 times the weights; 3 I - 1 where no gradient goes on). */
#include <assert.h>

#include "hw/wavecore_internal.h"

static int64_t count(const sky_wavecore_net *w, int32_t op, const sky__wavecore_place *p)
{
    sky__wavecore_counts c;
    int64_t sum = 0;
    sky__wavecore_count(w, op, p, &c);
    for (int i = 0; i <= SKY_WAVECORE_GRAD_WRITE; i++)
        sum += c.of[i];
    return sum;
}

/* Whether the operation's traffic depends on its unit's being the first or last of a group. */
static bool touches(const sky_wavecore_net *w, const sky_wavecore_unit *u, int32_t o)
{
    const sky_wavecore_op *op = &w->ops[o];
    if (w->tensors[o].last_use >= u->first_op + u->n_ops)
        return true;
    for (int32_t i = 0; i < op->n_inputs; i++) {
        const int32_t producer = w->tensors[w->inputs[op->first_input + i]].producer;
        if (producer >= 0 && producer < u->first_op)
            return true;
    }
    return false;
}

/* Whether all that is counted of a unit was counted for the one before. */
static bool repeats(const sky_wavecore_net *w, const bool *live, int32_t unit)
{
    const bool after = unit + 1 < w->n_units && live[unit + 1];
    return unit >= 2 && w->units[unit].repeats && live[unit] == live[unit - 1] &&
           live[unit - 1] == live[unit - 2] && live[unit] == after;
}

static void count_unit(const sky_wavecore_net *w, const sky_wavecore_machine *m, const bool *live,
                       int32_t unit)
{
    const sky_wavecore_unit *u = &w->units[unit];
    sky__wavecore_unit_cost *c = &w->work->unit_cost[unit];
    int64_t elements[2][2] = {{0}}, inside = 0;
    sky__wavecore_place p[2][2];
    for (int i = 0; i < 4; i++) {
        p[i / 2][i % 2] = i == 0 ? sky__wavecore_place_of(w, m, live, unit) : p[0][0];
        p[i / 2][i % 2].begins = i / 2;
        p[i / 2][i % 2].ends = i % 2;
    }
    for (int32_t o = u->first_op; o < u->first_op + u->n_ops; o++) {
        if (p[0][0].none || !touches(w, u, o)) {
            inside += count(w, o, &p[0][0]);
            continue;
        }
        for (int i = 0; i < 4; i++)
            elements[i / 2][i % 2] += count(w, o, &p[i / 2][i % 2]);
    }
    for (int i = 0; i < 4; i++)
        c->bytes[i / 2][i % 2] =
            (inside + elements[i / 2][i % 2]) * m->batch * SKY_WAVECORE_WORD_BYTES;
    c->per_iteration = u->params * (SKY_WAVECORE_WORD_BYTES + 2 * (int64_t)m->dw_bytes) +
                       u->input_params * SKY_WAVECORE_WORD_BYTES;
}

static int32_t iterations_of(const sky_wavecore_net *w, const sky_wavecore_machine *m, bool live,
                             int32_t unit)
{
    const sky_wavecore_unit *u = &w->units[unit];
    const int64_t room = m->buffer_bytes / SKY_WAVECORE_WORD_BYTES;
    int64_t samples = room / (live ? u->live_footprint : u->footprint);
    samples = samples < 1 ? 1 : samples > m->batch ? m->batch : samples;
    return (int32_t)sky__ceil_div(m->batch, samples);
}

/* A run of units as one group; iterations: the most that any needs. */
static int64_t group_bytes(const sky__wavecore_unit_cost *c, int32_t first, int32_t last,
                           int32_t iterations)
{
    const int64_t weights =
        c[last].per_iteration_before + c[last].per_iteration - c[first].per_iteration_before;
    if (first == last)
        return c[first].bytes[1][1] + weights * iterations;
    return c[first].bytes[1][0] + c[last].before - c[first + 1].before + c[last].bytes[0][1] +
           weights * iterations;
}

static int64_t bytes_of(const sky__wavecore_unit_cost *c, const sky_wavecore_group *g)
{
    return group_bytes(c, g->first_unit, g->first_unit + g->n_units - 1, g->iterations);
}

static sky_wavecore_group join(sky_wavecore_group a, sky_wavecore_group b)
{
    a.n_units += b.n_units;
    a.iterations = a.iterations > b.iterations ? a.iterations : b.iterations;
    return a;
}

/* From runs of units that need equally many iterations, joins the two neighbours that save most, as long as
 * any do (the paper's). */
static int32_t group_greedily(const sky_wavecore_net *w, sky_wavecore_group *groups)
{
    const sky__wavecore_unit_cost *c = w->work->unit_cost;
    int32_t n = 0;
    for (int32_t u = 0; u < w->n_units; u++) {
        if (n > 0 && groups[n - 1].iterations == c[u].iterations)
            groups[n - 1].n_units++;
        else
            groups[n++] =
                (sky_wavecore_group){.first_unit = u, .n_units = 1, .iterations = c[u].iterations};
    }
    for (;;) {
        int64_t most = 0;
        int32_t at = -1;
        for (int32_t i = 0; i + 1 < n; i++) {
            const sky_wavecore_group both = join(groups[i], groups[i + 1]);
            const int64_t saved =
                bytes_of(c, &groups[i]) + bytes_of(c, &groups[i + 1]) - bytes_of(c, &both);
            if (saved > most) {
                most = saved;
                at = i;
            }
        }
        if (at < 0)
            return n;
        groups[at] = join(groups[at], groups[at + 1]);
        for (int32_t i = at + 1; i + 1 < n; i++)
            groups[i] = groups[i + 1];
        n--;
    }
}

/* best[u]: the fewest bytes of the units before u, and where the last of their groups begins. Of equal ways,
 * the one with the shortest last group. */
static int32_t group_optimally(const sky_wavecore_net *w, sky_wavecore_group *groups)
{
    const sky__wavecore_unit_cost *c = w->work->unit_cost;
    sky__wavecore_best *best = w->work->best;
    best[0].bytes = 0;
    for (int32_t end = 1; end <= w->n_units; end++) {
        int32_t iterations = 0;
        for (int32_t from = end - 1; from >= 0; from--) {
            if (c[from].iterations > iterations)
                iterations = c[from].iterations;
            const int64_t bytes = best[from].bytes + group_bytes(c, from, end - 1, iterations);
            if (from == end - 1 || bytes < best[end].bytes)
                best[end] = (sky__wavecore_best){bytes, from};
        }
    }
    int32_t n = 0;
    for (int32_t end = w->n_units; end > 0; end = best[end].from)
        n++;
    int32_t at = n;
    for (int32_t end = w->n_units; end > 0; end = best[end].from) {
        const int32_t from = best[end].from;
        groups[--at] = (sky_wavecore_group){.first_unit = from, .n_units = end - from};
        for (int32_t u = from; u < end; u++)
            if (c[u].iterations > groups[at].iterations)
                groups[at].iterations = c[u].iterations;
    }
    return n;
}

static int64_t sum_bytes(const sky__wavecore_unit_cost *c, const sky_wavecore_group *groups,
                         int32_t n)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < n; i++)
        sum += bytes_of(c, &groups[i]);
    return sum;
}

/* What does not depend on the groups. */
static int64_t fixed_bytes(const sky_wavecore_net *w, const sky_wavecore_machine *m)
{
    int64_t sum = w->params * (m->update_bytes - m->dw_bytes);
    for (int32_t o = 0; o < w->n_ops; o++) {
        const sky_wavecore_op *op = &w->ops[o];
        sum += 2 * ((op->mask * m->mask_bits + op->index_bits + 7) / 8) * m->batch;
    }
    return sum;
}

sky_wavecore_schedule sky_wavecore_plan(const sky_wavecore_net *w, const sky_wavecore_machine *m)
{
    assert(m->batch >= 1 && m->batch <= SKY_WAVECORE_BATCH_MAX && m->buffer_bytes > 0);
    struct sky__wavecore_work *k = w->work;
    const bool serial = m->variant >= SKY_WAVECORE_MBS_FS;
    const int64_t room = m->buffer_bytes / SKY_WAVECORE_WORD_BYTES;
    for (int32_t u = 0; u < w->n_units; u++)
        k->live[u] = m->variant == SKY_WAVECORE_MBS2 && w->units[u].live_footprint <= room;
    int32_t most = 1;
    for (int32_t u = 0; u < w->n_units; u++) {
        sky__wavecore_unit_cost *c = &k->unit_cost[u];
        if (repeats(w, k->live, u))
            *c = c[-1];
        else
            count_unit(w, m, k->live, u);
        c->iterations = serial ? iterations_of(w, m, k->live[u], u) : 1;
        c->before = u == 0 ? 0 : c[-1].before + c[-1].bytes[0][0];
        c->per_iteration_before = u == 0 ? 0 : c[-1].per_iteration_before + c[-1].per_iteration;
        most = c->iterations > most ? c->iterations : most;
    }
    int32_t n_greedy = 1, n_optimal = 1;
    if (m->variant >= SKY_WAVECORE_MBS1) {
        n_greedy = group_greedily(w, k->greedy);
        n_optimal = group_optimally(w, k->optimal);
    } else {
        k->greedy[0] = (sky_wavecore_group){.n_units = w->n_units, .iterations = most};
        k->optimal[0] = k->greedy[0];
    }
    const int64_t fixed = fixed_bytes(w, m);
    sky_wavecore_group *groups = m->optimal ? k->optimal : k->greedy;
    sky_wavecore_schedule s = {.groups = groups,
                               .group_of = k->group_of,
                               .live = k->live,
                               .n_groups = m->optimal ? n_optimal : n_greedy,
                               .greedy_bytes = fixed + sum_bytes(k->unit_cost, k->greedy, n_greedy),
                               .optimal_bytes =
                                   fixed + sum_bytes(k->unit_cost, k->optimal, n_optimal)};
    for (int32_t g = 0; g < s.n_groups; g++) {
        groups[g].sub_batch = (int32_t)sky__ceil_div(m->batch, groups[g].iterations);
        for (int32_t u = 0; u < groups[g].n_units; u++)
            k->group_of[groups[g].first_unit + u] = g;
    }
    return s;
}

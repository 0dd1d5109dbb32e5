/* Executors: they evaluate a batch at a time, report parts, crash and hang. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum { BATCH_MAX = 16 };

void sim_exec_reset(sim_slot *s)
{
    sky_ranges_free(&s->left);
    sky_ranges_free(&s->ok);
    sky_ranges_free(&s->holes);
    *s = (sim_slot){0};
}

static double cost_ns(const sim_sweep *w, uint64_t position)
{
    return w->cost_ns * (0.5 + (double)(position * 7919 % 1000) / 1000);
}

/* --- Batches --- */

/* Chooses what is evaluated next, and when it ends: well, or with the executor. */
static void begin_batch(sim *m, sim_node *n, uint32_t index)
{
    sim_slot *s = &n->slots[index];
    const sim_sweep *w = sim_find(m, s->sweep);
    uint64_t max = s->isolate ? 1 : 1 + sim_below(m, BATCH_MAX);
    const sky_range *first = &s->left.r[0];
    s->begin = first->begin;
    s->end = first->end - first->begin < max ? first->end : first->begin + max;
    double ns = 0;
    sim_event e = {.kind = SIM_STEP, .node = n->number, .slot = index, .generation = s->generation};
    for (uint64_t p = s->begin; p < s->end; p++) {
        sim_trait t = sim_trait_of(m, w, p);
        ns += cost_ns(w, p);
        if (t != SIM_CRASHES && t != SIM_HANGS)
            continue;
        e.kind = SIM_DEATH;
        e.death = t == SIM_CRASHES ? SKY_DEATH_CRASH : SKY_DEATH_TIMEOUT;
        if (t == SIM_HANGS)
            ns += (double)s->timeout_ns;
        m->sweeps[w->id - 1].real[p]++;
        break;
    }
    int64_t start = m->now_ns > s->ready_ns ? m->now_ns : s->ready_ns;
    s->began_ns = start;
    s->busy_ns += (uint64_t)ns;
    sim_at(m, start + (int64_t)ns + 1000, e);
    sky_agent_running(n->agent, index, s->begin, 0);
}

static void evaluate(sim *m, sim_slot *s)
{
    sim_sweep *w = sim_find(m, s->sweep);
    for (uint64_t p = s->begin; p < s->end; p++) {
        sim_trait t = sim_trait_of(m, w, p);
        bool fails = t == SIM_FAILS || (t == SIM_FLAKY && sim_chance(m, 0.6));
        if (fails) {
            assert(s->n_failed < 64);
            s->failed[s->n_failed++] = p;
            w->real[p]++;
        } else {
            sky_ranges_add(t == SIM_HOLE ? &s->holes : &s->ok, p, p + 1);
        }
    }
    sky_ranges_remove(&s->left, s->begin, s->end);
    s->begin = s->end = 0;
}

/* --- Reports --- */

static sky_range_list copy(sky_arena *arena, const sky_ranges *r)
{
    sky_range *list = sky_new(arena, sky_range, r->n + 1);
    assert(list);
    if (r->n)
        memcpy(list, r->r, r->n * sizeof *list);
    return (sky_range_list){.r = list, .n = r->n};
}

static void fill_metrics(sim *m, const sim_slot *s, sky_arena *arena, sky_msg_result *r)
{
    const sim_sweep *w = sim_find(m, s->sweep);
    sky_column *column = sky_new(arena, sky_column, 1);
    double *y = sky_new(arena, double, s->ok.count + 1);
    assert(column && y);
    size_t row = 0;
    for (size_t i = 0; i < s->ok.n; i++) {
        for (uint64_t p = s->ok.r[i].begin; p < s->ok.r[i].end; p++)
            y[row++] = sim_value(m, w, p);
    }
    *column = (sky_column){.type = SKY_REAL, .f = y};
    r->metrics = column;
    r->n_metrics = 1;
}

static void report(sim *m, sim_node *n, uint32_t index, bool drained)
{
    sim_slot *s = &n->slots[index];
    sky_arena arena = {0};
    sky_msg_result r = {.lease = s->lease, .sweep = s->sweep, .busy_ns = s->busy_ns};
    r.ok = copy(&arena, &s->ok);
    r.holes = copy(&arena, &s->holes);
    if (drained) {
        r.returned = copy(&arena, &s->left);
        sky_ranges_clear(&s->left);
    }
    sky_failed_attempt *failed = sky_new(&arena, sky_failed_attempt, s->n_failed + 1);
    assert(failed);
    for (size_t i = 0; i < s->n_failed; i++)
        failed[i] = (sky_failed_attempt){
            .position = s->failed[i], .kind = SKY_FAILURE_ERROR, .reason = "it fails", .log = ""};
    r.failed = failed;
    r.n_failed = s->n_failed;
    if (s->ok.count)
        fill_metrics(m, s, &arena, &r);
    r.last = s->left.count == 0;
    s->has_lease = !r.last;
    sky_ranges_clear(&s->ok);
    sky_ranges_clear(&s->holes);
    s->n_failed = 0;
    s->busy_ns = 0;
    sky_agent_outcome(n->agent, m->now_ns, index, &r, &arena);
    sky_arena_free(&arena);
}

void sim_exec_step(sim *m, const sim_event *e)
{
    sim_node *n = &m->nodes[e->node];
    sim_slot *s = &n->slots[e->slot];
    if (!n->up || !s->alive || s->generation != e->generation || !s->has_lease)
        return;
    evaluate(m, s);
    bool drained = s->draining && s->left.count;
    bool more = s->left.count && !drained;
    uint32_t generation = s->generation;
    if (!more || s->n_failed > 32 || sim_chance(m, 0.2))
        report(m, n, e->slot, drained);
    if (more && s->alive && s->generation == generation && s->has_lease)
        begin_batch(m, n, e->slot);
    sim_node_drain(m, n);
}

/* --- Life and death --- */

void sim_exec_start(sim *m, sim_node *n, const sky_agent_action *a)
{
    sim_slot *s = &n->slots[a->slot];
    sim_exec_reset(s);
    s->alive = true;
    s->generation = ++n->generation;
    s->timeout_ns = a->timeout_ns;
    s->ready_ns = m->now_ns + 20 * SIM_MS;
    if (!sim_calm(m) && sim_chance(m, m->set.start_fails))
        sim_exec_kill(m, n, a->slot, SKY_DEATH_START, 5 * SIM_MS);
}

void sim_exec_run(sim *m, sim_node *n, const sky_agent_action *a)
{
    sim_slot *s = &n->slots[a->slot];
    const sky_msg_lease *l = &a->msg->lease;
    assert(s->alive && !s->has_lease);
    s->has_lease = true;
    s->lease = l->lease;
    s->sweep = l->sweep;
    s->isolate = l->isolate;
    sky_ranges_clear(&s->left);
    for (size_t i = 0; i < l->positions.n; i++)
        sky_ranges_add(&s->left, l->positions.r[i].begin, l->positions.r[i].end);
    assert(s->left.count > 0);
    begin_batch(m, n, a->slot);
}

void sim_exec_kill(sim *m, sim_node *n, uint32_t slot, sky_death why, int64_t after_ns)
{
    if (!n->slots[slot].alive)
        return;
    sim_at(m, m->now_ns + after_ns,
           (sim_event){.kind = SIM_DEATH,
                       .node = n->number,
                       .slot = slot,
                       .generation = n->slots[slot].generation,
                       .death = why});
}

void sim_exec_death(sim *m, const sim_event *e)
{
    sim_node *n = &m->nodes[e->node];
    sim_slot *s = &n->slots[e->slot];
    if (!n->up || !s->alive || s->generation != e->generation)
        return;
    const sky_agent_died d = {
        .kind = e->death, .begin = s->has_lease ? s->begin : 0, .end = s->has_lease ? s->end : 0};
    sim_trace(m, "node %u: executor %u dies (%d) at [%llu, %llu)", n->number, e->slot, e->death,
              (unsigned long long)d.begin, (unsigned long long)d.end);
    uint32_t generation = ++n->generation;
    sim_exec_reset(s);
    s->generation = generation;
    sky_agent_died_event(n->agent, m->now_ns, e->slot, &d);
    sim_node_drain(m, n);
}

/* The queue of events, and what must be true at the end. */
#include "sim.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 3000000, CHECK_EVERY = 64 };
#define BYTES_MAX ((size_t)8 << 20) /* of a scheduler of that size */

/* --- Queue --- */

static bool earlier(const sim_event *a, const sim_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void swap(sim_event *a, sim_event *b)
{
    sim_event t = *a;
    *a = *b;
    *b = t;
}

void sim_at(sim *m, int64_t at_ns, sim_event e)
{
    if (m->n_events == m->cap_events) {
        m->cap_events = m->cap_events ? 2 * m->cap_events : 256;
        m->events = realloc(m->events, m->cap_events * sizeof *m->events);
        assert(m->events);
    }
    e.at_ns = at_ns > m->now_ns ? at_ns : m->now_ns;
    e.order = m->order++;
    size_t i = m->n_events++;
    m->events[i] = e;
    for (; i > 0 && earlier(&m->events[i], &m->events[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&m->events[i], &m->events[(i - 1) / 2]);
}

static sim_event take(sim *m)
{
    sim_event first = m->events[0];
    m->events[0] = m->events[--m->n_events];
    for (size_t i = 0;;) {
        size_t least = i, left = 2 * i + 1, right = left + 1;
        if (left < m->n_events && earlier(&m->events[left], &m->events[least]))
            least = left;
        if (right < m->n_events && earlier(&m->events[right], &m->events[least]))
            least = right;
        if (least == i)
            return first;
        swap(&m->events[i], &m->events[least]);
        i = least;
    }
}

/* --- Chance and reports --- */

double sim_real(sim *m)
{
    return sky_rng_f64(&m->rng);
}

uint64_t sim_below(sim *m, uint64_t n)
{
    return sky_rng_below(&m->rng, n);
}

bool sim_chance(sim *m, double p)
{
    return p > 0 && sky_rng_f64(&m->rng) < p;
}

bool sim_calm(const sim *m)
{
    return m->now_ns >= m->set.faults_until_ns;
}

void sim_trace(sim *m, const char *fmt, ...)
{
    if (!m->trace)
        return;
    printf("%10.4f ", (double)m->now_ns / 1e9);
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

void sim_wrong(sim *m, const char *fmt, ...)
{
    if (m->failed)
        return; /* the first one is the cause */
    m->failed = true;
    printf("seed %llu, at %.4f s: ", (unsigned long long)m->seed, (double)m->now_ns / 1e9);
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

/* --- Running --- */

/* A stopped coordinator gets nothing; what comes to it waits. */
static bool is_deferred(sim *m, const sim_event *e)
{
    if (e->kind != SIM_TO_COORD && e->kind != SIM_COORD_TICK && e->kind != SIM_COMMIT &&
        e->kind != SIM_NURSE)
        return false;
    return m->coord_up && m->now_ns < m->coord_stopped_until_ns;
}

static void dispatch(sim *m, sim_event *e)
{
    sim_node *n = &m->nodes[e->node];
    switch (e->kind) {
    case SIM_TO_COORD:
        sim_coord_message(m, e);
        break;
    case SIM_TO_NODE:
        sim_node_message(m, e);
        break;
    case SIM_AGENT_TICK:
        if (n->up && e->generation == n->tick_generation)
            sim_node_tick(m, n);
        break;
    case SIM_COORD_TICK:
        if (m->coord_up && e->generation == m->coord_generation)
            sim_coord_tick(m);
        break;
    case SIM_COMMIT:
        if (m->coord_up && e->generation == m->coord_generation)
            sim_coord_commit(m);
        break;
    case SIM_STEP:
        sim_exec_step(m, e);
        break;
    case SIM_DEATH:
        sim_exec_death(m, e);
        break;
    case SIM_NODE_UP:
        if (!n->up)
            sim_node_start(m, n);
        break;
    case SIM_LINK_UP:
        if (n->up && !n->linked && e->generation == n->link_generation)
            sim_node_link_up(m, n);
        break;
    case SIM_LINK_KNOWN:
        if (n->up && !n->linked && e->generation == n->link_generation) {
            sky_agent_disconnected(n->agent, m->now_ns);
            sim_node_drain(m, n);
        }
        break;
    case SIM_COORD_UP:
        if (!m->coord_up)
            sim_coord_start(m);
        break;
    case SIM_FAULT:
        sim_fault(m);
        break;
    case SIM_NURSE:
        sim_coord_nurse(m);
        break;
    }
}

static void check_now(sim *m)
{
    if (!m->coord_up)
        return;
    sky_sched_check(m->sched);
    const size_t bytes = sky_sched_bytes(m->sched);
    m->bytes_max = bytes > m->bytes_max ? bytes : m->bytes_max;
    if (bytes > BYTES_MAX)
        sim_wrong(m, "the scheduler holds %zu bytes", bytes);
}

static bool agents_idle(const sim *m)
{
    for (uint32_t i = 0; i < m->set.n_nodes; i++) {
        if (!m->nodes[i].up)
            return false;
        sky_agent_stats st = sky_agent_get_stats(m->nodes[i].agent);
        if (st.leases_held || st.results_unacked)
            return false;
    }
    return true;
}

/* How long the rest may take once all is well: the work itself, several times over, and the waiting
 * times of everything that was lost. */
static int64_t deadline(const sim *m)
{
    double work_ns = 0;
    uint32_t cpus = 0;
    for (uint32_t i = 0; i < m->set.n_nodes; i++)
        cpus += m->nodes[i].cpus;
    for (uint32_t i = 0; i < m->set.n_sweeps; i++) {
        const sim_sweep *w = &m->sweeps[i];
        work_ns += w->cost_ns * (double)w->room * w->cpus;
        for (uint64_t p = 0; p < w->room; p++) {
            sim_trait t = sim_trait_of(m, w, p);
            if (t == SIM_CRASHES || t == SIM_HANGS) /* each attempt also costs an executor */
                work_ns += (double)(w->attempts + 8) * 2.5e9 * w->cpus;
        }
    }
    return m->set.faults_until_ns + 240 * SIM_S + (int64_t)(6 * work_ns / cpus);
}

static void run_events(sim *m)
{
    int64_t end_ns = deadline(m);
    bool finished = false;
    while (!m->failed && m->n_events) {
        sim_event e = take(m);
        m->now_ns = e.at_ns;
        if (is_deferred(m, &e)) {
            sim_at(m, m->coord_stopped_until_ns, e);
            continue;
        }
        dispatch(m, &e);
        free(e.bytes);
        if (++m->steps % CHECK_EVERY == 0)
            check_now(m);
        if (m->now_ns > end_ns || m->steps > STEPS_MAX) {
            sim_wrong(m, "not finished in time: no progress?");
            break;
        }
        if (sim_calm(m) && m->coord_up && sim_all_settled(m) && agents_idle(m)) {
            finished = true;
            break;
        }
    }
    if (!m->failed && !finished)
        sim_wrong(m, "nothing happens any more");
    check_now(m);
    if (!m->failed)
        sim_store_check_end(m);
}

static void start(sim *m)
{
    sim_coord_start(m);
    for (uint32_t i = 0; i < m->set.n_nodes; i++)
        sim_at(m, (int64_t)sim_below(m, 200 * SIM_MS), (sim_event){.kind = SIM_NODE_UP, .node = i});
    sim_at(m, m->set.fault_every_ns, (sim_event){.kind = SIM_FAULT});
    sim_at(m, m->set.faults_until_ns, (sim_event){.kind = SIM_NURSE});
}

bool sim_run(uint64_t seed, bool trace, bool large)
{
    sim *m = calloc(1, sizeof *m);
    assert(m);
    m->seed = seed;
    m->trace = trace;
    sky_rng_init(&m->rng, seed, 1);
    sim_choose(m, large);
    bool ok = sim_store_init(m);
    assert(ok);
    start(m);
    run_events(m);
    if (trace)
        printf("seed %llu: %.1f s, %llu events, %llu rows, %llu copies, %zu bytes at most\n",
               (unsigned long long)seed, (double)m->now_ns / 1e9, (unsigned long long)m->steps,
               (unsigned long long)m->rows, (unsigned long long)m->duplicates, m->bytes_max);
    ok = !m->failed;
    for (uint32_t i = 0; i < m->set.n_nodes; i++) {
        if (m->nodes[i].up)
            sim_node_stop(m, &m->nodes[i]);
    }
    sky_sched_free(m->sched);
    for (size_t i = 0; i < m->n_events; i++)
        free(m->events[i].bytes);
    free(m->events);
    sim_store_free(m);
    sky_arena_free(&m->arena);
    sky_buf_free(&m->out);
    free(m);
    return ok;
}

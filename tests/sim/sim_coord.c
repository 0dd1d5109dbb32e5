/* The coordinator around the scheduler: what coordinator/coordinator.c does, on the simulated
 * store. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define TICK_NS (250 * SIM_MS)

static sky_sched_sweep describe(const sim_sweep *w)
{
    return (sky_sched_sweep){.id = w->id,
                             .revision = w->revision,
                             .plan = sim_plan_text[w->plan],
                             .job = "model",
                             .job_version = "1",
                             .positions = w->positions,
                             .attempts = w->attempts,
                             .failures = w->failures,
                             .cpus = w->cpus,
                             .gpus = w->gpus,
                             .priority = w->priority,
                             .state = w->live_state};
}

/* --- Life --- */

static void load(sim *m, sim_sweep *w)
{
    sky_ranges done = {0}, bad = {0};
    uint64_t rows = 0;
    for (uint64_t p = 0; p < w->positions; p++) {
        int place = w->kept[p].place;
        if (place == SIM_ROW || place == SIM_WAS_HOLE)
            sky_ranges_add(&done, p, p + 1);
        if (place == SIM_BAD)
            sky_ranges_add(&bad, p, p + 1);
        rows += place == SIM_ROW;
    }
    w->revision = m->epoch << 10;
    sky_sched_sweep d = describe(w);
    d.recovered = m->epoch > 1;
    d.done = &done;
    d.quarantined = &bad;
    d.recorded = rows;
    sky_err err = sky_sched_sweep_set(m->sched, m->now_ns, &d);
    assert(!err);
    for (uint64_t p = 0; p < w->positions; p++) {
        if (w->kept[p].place == SIM_OPEN && w->kept[p].attempts)
            err = sky_sched_sweep_charged(m->sched, w->id, p, w->kept[p].attempts);
        assert(!err);
    }
    sky_ranges_free(&done);
    sky_ranges_free(&bad);
}

void sim_coord_start(sim *m)
{
    sky_sched_options o = {.store_uuid = m->uuid,
                           .epoch = ++m->epoch,
                           .seed = m->seed,
                           .adopt_wait_ms = (uint32_t)sim_below(m, 3) * 700};
    sky_err err = sky_sched_new(&m->sched, &o, m->now_ns);
    assert(!err);
    m->coord_up = true;
    m->coord_generation++;
    m->commit_planned = false;
    sim_trace(m, "coordinator starts, epoch %u", m->epoch);
    for (uint32_t i = 0; i < m->set.n_sweeps; i++) {
        if (m->sweeps[i].kept_state != SKY_SWEEP_CANCELLED)
            load(m, &m->sweeps[i]);
    }
    sim_coord_drain(m);
    sim_at(m, m->now_ns + TICK_NS,
           (sim_event){.kind = SIM_COORD_TICK, .generation = m->coord_generation});
    for (uint32_t i = 0; i < m->set.n_nodes; i++) { /* they were waiting for it */
        sim_node *n = &m->nodes[i];
        if (n->up && !n->linked)
            sim_at(m, m->now_ns + (int64_t)sim_below(m, 300 * SIM_MS),
                   (sim_event){.kind = SIM_LINK_UP, .node = i, .generation = n->link_generation});
    }
}

void sim_coord_crash(sim *m, bool commits)
{
    sim_trace(m, "coordinator crashes, %s", commits ? "just after a commit" : "nothing committed");
    if (commits)
        sim_store_commit(m);
    else
        sim_store_rollback(m);
    sky_sched_free(m->sched);
    m->sched = NULL;
    m->coord_up = false;
    for (uint32_t i = 0; i < m->set.n_nodes; i++) {
        if (m->nodes[i].up && m->nodes[i].linked && m->set.fifo)
            sim_node_cut(m, &m->nodes[i], -1);
    }
    sim_at(m, m->now_ns + (int64_t)sim_below(m, 8 * SIM_S), (sim_event){.kind = SIM_COORD_UP});
}

/* --- Actions --- */

static void plan_commit(sim *m)
{
    if (m->commit_planned)
        return;
    m->commit_planned = true;
    sim_at(m, m->now_ns + (int64_t)sim_below(m, 12 * SIM_MS),
           (sim_event){.kind = SIM_COMMIT, .generation = m->coord_generation});
}

void sim_coord_drain(sim *m)
{
    sky_action a;
    while (sky_sched_next(m->sched, &a)) {
        switch (a.type) {
        case SKY_ACTION_SEND:
            sim_net_to_node(m, &a.send.to, &a.send.msg);
            break;
        case SKY_ACTION_RECORD:
            sim_store_record(m, &a.record);
            break;
        case SKY_ACTION_FAIL:
            sim_trace(m, "charge: sweep %lld position %llu, attempt %u%s: %s",
                      (long long)a.fail.sweep, (unsigned long long)a.fail.position, a.fail.attempts,
                      a.fail.quarantined ? ", the last" : "", a.fail.reason);
            sim_store_fail(m, &a.fail);
            break;
        case SKY_ACTION_SWEEP_STATE:
            sim_trace(m, "sweep %lld is %d: %s", (long long)a.state.sweep, a.state.state,
                      a.state.reason);
            sim_store_state(m, a.state.sweep, a.state.state);
            m->state_changes++;
            break;
        case SKY_ACTION_NOTE:
            sim_trace(m, "note: %s", a.note.text);
            break;
        }
    }
    sky_sched_stats st = sky_sched_get_stats(m->sched);
    if (m->n_changes || m->state_changes || st.results_waiting)
        plan_commit(m);
}

void sim_coord_commit(sim *m)
{
    m->commit_planned = false;
    m->state_changes = 0;
    if (!sim_calm(m) && sim_chance(m, m->set.commit_fails)) {
        sim_trace(m, "a commit fails");
        if (sim_chance(m, m->set.commit_unknown)) { /* and nobody knows how it ended */
            sim_coord_crash(m, sim_chance(m, 0.5));
            return;
        }
        sim_store_rollback(m);
        sky_err err = sky_sched_rolled_back(m->sched, m->now_ns);
        assert(!err);
    } else {
        sim_store_commit(m);
        sky_err err = sky_sched_committed(m->sched, m->now_ns);
        assert(!err);
    }
    sim_coord_drain(m);
}

/* --- Events --- */

void sim_coord_message(sim *m, const sim_event *e)
{
    if (!m->coord_up)
        return;
    sky_msg msg;
    sky_error why = {0};
    sky_arena_reset(&m->arena);
    if (sky_msg_decode(&msg, e->bytes, e->len, &m->arena, &why)) {
        sim_wrong(m, "the coordinator cannot read a message: %s", why.text);
        return;
    }
    if (msg.type == SKY_MSG_RESULT)
        sim_trace(m,
                  "node %u: RESULT %llu of lease %llx, sweep %lld: ok %llu failed %zu returned "
                  "%llu suspect %llu%s",
                  e->node, (unsigned long long)msg.result.seq, (unsigned long long)msg.result.lease,
                  (long long)msg.result.sweep,
                  (unsigned long long)sky_range_list_count(&msg.result.ok), msg.result.n_failed,
                  (unsigned long long)sky_range_list_count(&msg.result.returned),
                  (unsigned long long)sky_range_list_count(&msg.result.suspect),
                  msg.result.last ? ", last" : "");
    else if (msg.type != SKY_MSG_HEARTBEAT)
        sim_trace(m, "node %u: %s", e->node, sky_msg_type_name(msg.type));
    sky_err err = sky_sched_message(m->sched, m->now_ns, &e->session, &msg);
    assert(!err);
    sim_coord_drain(m);
}

void sim_coord_tick(sim *m)
{
    sky_err err = sky_sched_tick(m->sched, m->now_ns);
    assert(!err);
    sim_coord_drain(m);
    sim_at(m, m->now_ns + TICK_NS,
           (sim_event){.kind = SIM_COORD_TICK, .generation = m->coord_generation});
}

/* --- What people do --- */

/* For a change that a person waits for: what came before and the change itself are made durable. */
static void commit_now(sim *m)
{
    sim_store_commit(m);
    sky_err err = sky_sched_committed(m->sched, m->now_ns);
    assert(!err);
    sim_coord_drain(m);
}

static void retry(sim *m, sim_sweep *w)
{
    if (w->live_state == SKY_SWEEP_CANCELLED)
        return;
    commit_now(m);
    sky_ranges back = {0};
    sim_store_retry(m, w, &back);
    sim_trace(m, "retry: sweep %lld, %llu positions", (long long)w->id,
              (unsigned long long)back.count);
    sky_err err = sky_sched_sweep_retry(m->sched, m->now_ns, w->id, &back);
    assert(!err);
    sky_ranges_free(&back);
    sim_coord_drain(m);
    commit_now(m);
}

static void grow(sim *m, sim_sweep *w)
{
    if (w->live_state == SKY_SWEEP_CANCELLED)
        return;
    commit_now(m);
    w->positions = w->room;
    w->revision++;
    sky_sched_sweep d = describe(w);
    d.state = SKY_SWEEP_RUNNING;
    sim_trace(m, "sweep %lld is submitted again, with %llu positions", (long long)w->id,
              (unsigned long long)w->room);
    w->live_state = SKY_SWEEP_RUNNING;
    sky_err err = sky_sched_sweep_set(m->sched, m->now_ns, &d);
    assert(!err);
    sim_coord_drain(m);
    commit_now(m);
}

static void set_state(sim *m, sim_sweep *w, sky_sweep_state state)
{
    sky_err err = sky_sched_sweep_state(m->sched, m->now_ns, w->id, state, "by hand");
    assert(!err);
}

void sim_coord_command(sim *m)
{
    sim_sweep *w = &m->sweeps[sim_below(m, m->set.n_sweeps)];
    bool over = w->live_state == SKY_SWEEP_DONE || w->live_state == SKY_SWEEP_CANCELLED;
    switch (sim_below(m, 12)) {
    case 0:
    case 1:
    case 2:
        if (!over)
            set_state(m, w, SKY_SWEEP_PAUSED);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        if (!over)
            set_state(m, w, SKY_SWEEP_RUNNING);
        break;
    case 7:
        if (!over && w->id > 1) {
            w->cancelled = true;
            set_state(m, w, SKY_SWEEP_CANCELLED);
        }
        break;
    case 8:
        retry(m, w);
        break;
    case 9:
        grow(m, w);
        break;
    default:
        if (w->live_state != SKY_SWEEP_CANCELLED) {
            w->priority = (int32_t)sim_below(m, 3) - 1;
            sky_err err = sky_sched_sweep_priority(m->sched, w->id, w->priority);
            assert(!err);
        }
        break;
    }
    sim_coord_drain(m);
}

/* In the end somebody resumes what paused, by itself or by hand. */
void sim_coord_nurse(sim *m)
{
    sim_at(m, m->now_ns + 2 * SIM_S, (sim_event){.kind = SIM_NURSE});
    for (uint32_t i = 0; m->coord_up && i < m->set.n_sweeps; i++) {
        if (m->sweeps[i].live_state == SKY_SWEEP_PAUSED)
            set_state(m, &m->sweeps[i], SKY_SWEEP_RUNNING);
    }
    if (m->coord_up)
        sim_coord_drain(m);
}

/* Worker processes and the network between them and the coordinator. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

/* --- Network --- */

static int64_t delay(sim *m)
{
    int64_t ns = 20000 + (int64_t)sim_below(m, 2 * SIM_MS);
    if (!sim_calm(m) && sim_chance(m, m->set.slow))
        ns += (int64_t)sim_below(m, 15 * SIM_S);
    return ns;
}

/* Puts a message under way, perhaps twice or never. last: of this direction, in FIFO order. */
static void transmit(sim *m, sim_event e, const sky_msg *msg, int64_t *last)
{
    sky_buf_reset(&m->out);
    sky_err err = sky_msg_encode(msg, &m->out);
    assert(!err);
    int copies = 1;
    if (!sim_calm(m)) {
        copies -= sim_chance(m, m->set.drop);
        copies += sim_chance(m, m->set.duplicate);
    }
    for (int i = 0; i < copies; i++) {
        int64_t at = m->now_ns + delay(m);
        if (m->set.fifo && at < *last)
            at = *last;
        *last = at > *last ? at : *last;
        e.bytes = malloc(m->out.len);
        assert(e.bytes);
        memcpy(e.bytes, m->out.data, m->out.len);
        e.len = m->out.len;
        sim_at(m, at, e);
    }
}

static sim_node *find_node(sim *m, const sky_session *session)
{
    for (uint32_t i = 0; i < m->set.n_nodes; i++) {
        if (m->nodes[i].up && sky_session_equal(&m->nodes[i].session, session))
            return &m->nodes[i];
    }
    return NULL;
}

void sim_net_to_node(sim *m, const sky_session *to, const sky_msg *msg)
{
    sim_node *n = find_node(m, to);
    if (!n || !n->linked) {
        sim_trace(m, "%s to a worker that is gone", sky_msg_type_name(msg->type));
        if (sim_chance(m, 0.7)) {
            sky_err err = sky_sched_peer_gone(m->sched, m->now_ns, to);
            assert(!err);
        }
        return;
    }
    if (msg->type == SKY_MSG_LEASE)
        sim_trace(m, "to node %u: LEASE %llx of sweep %lld: %llu positions from %llu%s", n->number,
                  (unsigned long long)msg->lease.lease, (long long)msg->lease.sweep,
                  (unsigned long long)sky_range_list_count(&msg->lease.positions),
                  (unsigned long long)msg->lease.positions.r[0].begin,
                  msg->lease.isolate ? ", isolated" : "");
    else
        sim_trace(m, "to node %u: %s", n->number, sky_msg_type_name(msg->type));
    transmit(m,
             (sim_event){.kind = SIM_TO_NODE,
                         .node = n->number,
                         .generation = n->link_generation,
                         .session = n->session},
             msg, &n->down_last_ns);
}

static void to_coord(sim *m, sim_node *n, const sky_msg *msg)
{
    if (!n->linked)
        return;
    transmit(m,
             (sim_event){.kind = SIM_TO_COORD,
                         .node = n->number,
                         .generation = n->link_generation,
                         .session = n->session},
             msg, &n->up_last_ns);
}

/* The connection is lost, and what was under way with it. for_ns < 0: until it is reconnected. */
void sim_node_cut(sim *m, sim_node *n, int64_t for_ns)
{
    sim_trace(m, "node %u is cut off", n->number);
    n->linked = false;
    n->link_generation++;
    sim_event e = {.node = n->number, .generation = n->link_generation};
    e.kind = SIM_LINK_KNOWN;
    if (m->set.fifo || sim_chance(m, 0.5))
        sim_at(m, m->now_ns + (int64_t)sim_below(m, SIM_S), e);
    e.kind = SIM_LINK_UP;
    if (for_ns >= 0)
        sim_at(m, m->now_ns + for_ns, e);
}

void sim_node_link_up(sim *m, sim_node *n)
{
    if (!m->coord_up && m->set.fifo)
        return; /* nobody listens; the coordinator's start connects it */
    sim_trace(m, "node %u is connected", n->number);
    n->linked = true;
    n->up_last_ns = n->down_last_ns = 0;
    sky_agent_connected(n->agent, m->now_ns);
    sim_node_drain(m, n);
}

/* --- Life --- */

void sim_node_start(sim *m, sim_node *n)
{
    const sky_job_version jobs[] = {{"model", "1"}};
    n->incarnation = ++m->incarnations;
    memset(n->session.b, 0, sizeof n->session.b);
    memcpy(n->session.b, &n->incarnation, sizeof n->incarnation);
    n->session.b[15] = 1;
    const sky_agent_options o = {.session = n->session,
                                 .host = "node",
                                 .pid = n->incarnation,
                                 .program_version = "1",
                                 .cpus = n->cpus,
                                 .gpus = n->gpus,
                                 .jobs = jobs,
                                 .n_jobs = 1,
                                 .environment = "{}"};
    sky_err err = sky_agent_new(&n->agent, &o);
    assert(!err);
    assert(sky_agent_slots(n->agent) <= SIM_SLOTS_MAX);
    n->up = true;
    n->linked = false;
    n->link_generation++;
    n->tick_ns = INT64_MAX;
    sim_trace(m, "node %u starts as worker %u: cpus %u gpus %u", n->number, n->incarnation, n->cpus,
              n->gpus);
    sim_node_link_up(m, n);
    sim_node_drain(m, n);
}

void sim_node_stop(sim *m, sim_node *n)
{
    sky_agent_free(n->agent);
    n->agent = NULL;
    n->up = n->linked = false;
    n->link_generation++;
    for (uint32_t i = 0; i < SIM_SLOTS_MAX; i++)
        sim_exec_reset(&n->slots[i]);
    (void)m;
}

/* --- Messages and time --- */

void sim_node_message(sim *m, const sim_event *e)
{
    sim_node *n = &m->nodes[e->node];
    if (!n->up || !sky_session_equal(&n->session, &e->session))
        return;
    if (!n->linked || (m->set.fifo && e->generation != n->link_generation))
        return; /* lost with its connection */
    sky_msg msg;
    sky_error why = {0};
    sky_arena_reset(&m->arena);
    if (sky_msg_decode(&msg, e->bytes, e->len, &m->arena, &why)) {
        sim_wrong(m, "a worker cannot read a message: %s", why.text);
        return;
    }
    sky_agent_message(n->agent, m->now_ns, &msg);
    sim_node_drain(m, n);
}

void sim_node_tick(sim *m, sim_node *n)
{
    n->tick_ns = INT64_MAX;
    sky_agent_tick(n->agent, m->now_ns);
    sim_node_drain(m, n);
}

static void plan_tick(sim *m, sim_node *n)
{
    int64_t wake = sky_agent_wake_ns(n->agent);
    wake = wake > m->now_ns ? wake : m->now_ns + 1;
    if (wake >= n->tick_ns)
        return;
    n->tick_ns = wake;
    sim_at(
        m, wake,
        (sim_event){.kind = SIM_AGENT_TICK, .node = n->number, .generation = ++n->tick_generation});
}

void sim_node_drain(sim *m, sim_node *n)
{
    sky_agent_action a;
    while (n->up && sky_agent_next(n->agent, &a)) {
        switch (a.kind) {
        case SKY_AGENT_SEND:
            to_coord(m, n, a.msg);
            break;
        case SKY_AGENT_START:
            sim_exec_start(m, n, &a);
            break;
        case SKY_AGENT_RUN:
            sim_exec_run(m, n, &a);
            break;
        case SKY_AGENT_DRAIN:
            n->slots[a.slot].draining = true;
            break;
        case SKY_AGENT_KILL:
            sim_exec_kill(m, n, a.slot, SKY_DEATH_ASKED, SIM_MS);
            break;
        case SKY_AGENT_RECORDED:
            sim_store_check_ack(m, &a.msg->result);
            break;
        case SKY_AGENT_EXIT:
            sim_trace(m, "node %u exits: %s", n->number, a.reason);
            sim_node_stop(m, n);
            sim_at(m, m->now_ns + 100 * SIM_MS + (int64_t)sim_below(m, 2 * SIM_S),
                   (sim_event){.kind = SIM_NODE_UP, .node = n->number});
            return;
        }
    }
    if (n->up)
        plan_tick(m, n);
}

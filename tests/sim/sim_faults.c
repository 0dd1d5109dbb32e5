/* What goes wrong, until it is time for calm. */
#include "sim.h"

static void kill_an_executor(sim *m)
{
    sim_node *n = &m->nodes[sim_below(m, m->set.n_nodes)];
    for (uint32_t i = 0; n->up && i < SIM_SLOTS_MAX; i++) {
        if (n->slots[i].alive && sim_chance(m, 0.5)) {
            sim_exec_kill(m, n, i, SKY_DEATH_OUTSIDE, 0);
            return;
        }
    }
}

static void crash_a_node(sim *m)
{
    sim_node *n = &m->nodes[sim_below(m, m->set.n_nodes)];
    if (!n->up)
        return;
    if (sim_chance(m, 0.2)) { /* or asks it to go */
        sim_trace(m, "node %u is stopped", n->number);
        sky_agent_stop(n->agent, m->now_ns, sim_chance(m, 0.5));
        sim_node_drain(m, n);
        return;
    }
    sim_trace(m, "node %u crashes", n->number);
    sim_node_stop(m, n);
    sim_at(m, m->now_ns + (int64_t)sim_below(m, 10 * SIM_S),
           (sim_event){.kind = SIM_NODE_UP, .node = n->number});
}

static void cut_links(sim *m)
{
    bool all = sim_chance(m, 0.1);
    uint64_t which = sim_below(m, m->set.n_nodes);
    for (uint32_t i = 0; i < m->set.n_nodes; i++) {
        sim_node *n = &m->nodes[i];
        if ((all || i == which) && n->up && n->linked)
            sim_node_cut(m, n, (int64_t)sim_below(m, sim_chance(m, 0.5) ? SIM_S : 20 * SIM_S));
    }
}

void sim_fault(sim *m)
{
    if (sim_calm(m))
        return;
    sim_at(m, m->now_ns + (int64_t)(sim_real(m) * 2 * (double)m->set.fault_every_ns) + 1,
           (sim_event){.kind = SIM_FAULT});
    if (sim_chance(m, m->set.exec_kill))
        kill_an_executor(m);
    if (sim_chance(m, m->set.node_crash))
        crash_a_node(m);
    if (sim_chance(m, m->set.link_cut))
        cut_links(m);
    if (!m->coord_up || m->now_ns < m->coord_stopped_until_ns)
        return;
    if (sim_chance(m, m->set.command))
        sim_coord_command(m);
    if (sim_chance(m, m->set.coord_stop)) {
        m->coord_stopped_until_ns = m->now_ns + (int64_t)sim_below(m, 12 * SIM_S);
        sim_trace(m, "coordinator stands still");
    } else if (sim_chance(m, m->set.coord_crash)) {
        sim_coord_crash(m, sim_chance(m, 0.5));
    }
}

/* A simulated cluster: the real scheduler, the real agents and the real codec under a fake clock,
 * with a network, executors and a store that are made of arrays and fail as a seed says.
 *
 * One seed is one history, the same on every machine. sim.c: the queue of events and the end of a
 * run. sim_setup.c: what a seed stands for. sim_store.c: the store, which keeps only what was
 * committed, and checks all that is put into it. sim_coord.c: the coordinator around the scheduler.
 * sim_node.c: workers and the network. sim_exec.c: executors. sim_faults.c: what goes wrong. */
#ifndef SKY_TESTS_SIM_SIM_H
#define SKY_TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/ranges.h"
#include "base/rng.h"
#include "coordinator/sched.h"
#include "wire/msg.h"
#include "worker/agent.h"

enum { SIM_SWEEPS_MAX = 4, SIM_NODES_MAX = 50, SIM_SLOTS_MAX = 40, SIM_PLANS = 3 };

#define SIM_MS SKY_NS_PER_MS
#define SIM_S  SKY_NS_PER_S

typedef enum sim_event_kind {
    SIM_TO_COORD,
    SIM_TO_NODE,
    SIM_AGENT_TICK,
    SIM_COORD_TICK,
    SIM_COMMIT,
    SIM_STEP,  /* an executor has evaluated its batch */
    SIM_DEATH, /* an executor is gone */
    SIM_NODE_UP,
    SIM_LINK_UP,
    SIM_LINK_KNOWN, /* the agent notices that its connection is gone */
    SIM_COORD_UP,
    SIM_FAULT,
    SIM_NURSE, /* somebody who resumes what paused */
} sim_event_kind;

typedef struct sim_event {
    int64_t at_ns;
    uint64_t order; /* of equal times, the one made first */
    sim_event_kind kind;
    uint32_t node, slot, generation;
    sky_death death;
    char *bytes; /* a message; owned */
    size_t len;
    sky_session session;
} sim_event;

typedef enum sim_trait {
    SIM_GOOD,
    SIM_HOLE,
    SIM_FAILS, /* an error each time */
    SIM_FLAKY, /* an error now and then */
    SIM_CRASHES,
    SIM_HANGS,
} sim_trait;

typedef enum sim_place { SIM_OPEN, SIM_ROW, SIM_WAS_HOLE, SIM_BAD } sim_place;

typedef struct sim_cell { /* of one position in the store */
    uint8_t place;
    uint8_t attempts;
} sim_cell;

typedef struct sim_sweep {
    int64_t id;
    uint32_t plan; /* which of the plans' texts: resources differ */
    uint32_t revision, cpus, gpus;
    uint64_t positions, room;
    uint32_t attempts;
    uint64_t failures;
    int32_t priority;
    double cost_ns;
    bool cancelled;
    sky_sweep_state live_state, kept_state;
    sim_cell *live, *kept; /* with and without what is not committed */
    uint32_t *real;        /* evaluations of each position that failed */
} sim_sweep;

typedef struct sim_change {
    uint32_t sweep;
    uint64_t position;
} sim_change;

typedef struct sim_slot {
    bool alive, has_lease, draining, hung;
    uint32_t generation;
    int64_t sweep, timeout_ns, ready_ns, began_ns;
    uint64_t lease;
    bool isolate;
    sky_ranges left;
    uint64_t begin, end; /* the batch that is being evaluated */
    sky_ranges ok, holes;
    uint64_t failed[64];
    size_t n_failed;
    uint64_t busy_ns;
} sim_slot;

typedef struct sim_node {
    bool up, linked;
    sky_agent *agent;
    sky_session session;
    uint32_t number, incarnation, link_generation;
    uint32_t cpus, gpus;
    uint32_t tick_generation;
    int64_t tick_ns;
    int64_t up_last_ns, down_last_ns; /* FIFO: no message passes another */
    uint32_t generation;              /* of its slots, never reused */
    sim_slot slots[SIM_SLOTS_MAX];
} sim_node;

/* What a seed decides. Chances are per event of their kind. */
typedef struct sim_setting {
    uint32_t n_nodes, n_sweeps;
    bool fifo; /* a network like TCP: what is lost is lost with the connection */
    double drop, duplicate, slow;
    double node_crash, coord_crash, coord_stop, link_cut, exec_kill, command, start_fails;
    double commit_fails, commit_unknown;
    double trait[6];
    int64_t faults_until_ns;
    int64_t fault_every_ns;
} sim_setting;

typedef struct sim {
    uint64_t seed;
    bool trace;
    sky_rng rng;
    sim_setting set;
    int64_t now_ns;
    uint64_t order, steps;
    sim_event *events; /* a heap */
    size_t n_events, cap_events;

    sim_sweep sweeps[SIM_SWEEPS_MAX];
    sim_change *changes; /* not committed */
    size_t n_changes, cap_changes;
    uint32_t state_changes;

    sky_sched *sched;
    bool coord_up;
    uint32_t epoch, coord_generation;
    int64_t coord_stopped_until_ns;
    bool commit_planned;
    char uuid[40];

    sim_node nodes[SIM_NODES_MAX];
    uint32_t incarnations;
    sky_arena arena;
    sky_buf out;
    bool failed;
    size_t bytes_max;
    uint64_t rows, duplicates, acks;
} sim;

extern const char *sim_plan_text[SIM_PLANS]; /* cpus 1; cpus 2; cpus 1 and gpus 1 */
bool sim_make_plans(void);

/* sim.c */
void sim_at(sim *m, int64_t at_ns, sim_event e); /* takes e.bytes */
double sim_real(sim *m);                         /* in [0, 1) */
uint64_t sim_below(sim *m, uint64_t n);
bool sim_chance(sim *m, double p);
void sim_trace(sim *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_wrong(sim *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool sim_calm(const sim *m); /* no more faults */
/* Runs one seed; true if nothing was wrong. */
bool sim_run(uint64_t seed, bool trace, bool large);

/* sim_setup.c */
void sim_choose(sim *m, bool large);

/* sim_store.c */
bool sim_store_init(sim *m);
void sim_store_free(sim *m);
sim_sweep *sim_find(sim *m, int64_t id);
sim_trait sim_trait_of(const sim *m, const sim_sweep *w, uint64_t position);
double sim_value(const sim *m, const sim_sweep *w, uint64_t position);
void sim_store_record(sim *m, const sky_action_record *a);
void sim_store_fail(sim *m, const sky_action_fail *a);
void sim_store_state(sim *m, int64_t sweep, sky_sweep_state state);
void sim_store_commit(sim *m);
void sim_store_rollback(sim *m);
void sim_store_retry(sim *m, sim_sweep *w, sky_ranges *out);
/* A worker was told that this result is durable: is it? */
void sim_store_check_ack(sim *m, const sky_msg_result *r);
bool sim_all_settled(const sim *m);
void sim_store_check_end(sim *m);

/* sim_coord.c */
void sim_coord_start(sim *m);
void sim_coord_crash(sim *m, bool commits);
void sim_coord_message(sim *m, const sim_event *e);
void sim_coord_tick(sim *m);
void sim_coord_commit(sim *m);
void sim_coord_drain(sim *m);
void sim_coord_command(sim *m);
void sim_coord_nurse(sim *m);

/* sim_node.c */
void sim_node_start(sim *m, sim_node *n);
void sim_node_stop(sim *m, sim_node *n);
void sim_node_message(sim *m, const sim_event *e);
void sim_node_tick(sim *m, sim_node *n);
void sim_node_drain(sim *m, sim_node *n);
void sim_node_cut(sim *m, sim_node *n, int64_t for_ns);
void sim_node_link_up(sim *m, sim_node *n);
void sim_net_to_node(sim *m, const sky_session *to, const sky_msg *msg);

/* sim_exec.c */
void sim_exec_start(sim *m, sim_node *n, const sky_agent_action *a);
void sim_exec_run(sim *m, sim_node *n, const sky_agent_action *a);
void sim_exec_kill(sim *m, sim_node *n, uint32_t slot, sky_death why, int64_t after_ns);
void sim_exec_step(sim *m, const sim_event *e);
void sim_exec_death(sim *m, const sim_event *e);
void sim_exec_reset(sim_slot *s);

/* sim_faults.c */
void sim_fault(sim *m);

#endif

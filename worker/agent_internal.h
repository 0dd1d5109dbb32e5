/* The agent's state: only for the agent and its tests.
 *
 * agent.c: life, messages, time. agent_actions.c: the queue of what is to be done.
 * agent_slots.c: leases and executors. agent_results.c: what is kept until it is acknowledged. */
#ifndef SKY_WORKER_AGENT_INTERNAL_H
#define SKY_WORKER_AGENT_INTERNAL_H

#include "base/ranges.h"
#include "sweeps/plan.h"
#include "worker/agent.h"

enum {
    SKY__SEEN_MAX = 1024,        /* finished or revoked leases remembered against late copies */
    SKY__START_FAILURES_MAX = 8, /* in a row, before the worker gives up */
    SKY__IDLE_DEATHS_MAX = 2,    /* deaths with nothing running, before a position is charged */
    SKY__WAKE_MS_MAX = 1000,     /* housekeeping at least this often */
    SKY__RETRY_MS = 20,          /* until a full queue is tried again */
};

typedef struct sky__plan {
    int64_t sweep;
    uint32_t revision;
    char *text;
    sky_resources resources;
    sky_limits limits;
    uint32_t leases; /* held ones that need it */
    uint64_t used;   /* a counter: the smallest is forgotten first */
} sky__plan;

/* A lease that this worker holds. In the list of the queue while slot < 0. */
typedef struct sky__held {
    uint64_t id;
    int64_t sweep;
    bool isolate;
    int32_t slot;
    uint32_t idle_deaths; /* executors lost since its last result, with nothing known to run */
    sky_ranges left;      /* not yet in a result */
    struct sky__held *prev, *next;
} sky__held;

typedef enum sky__slot_state {
    SKY__EMPTY,
    SKY__IDLE,
    SKY__RUNNING,
    SKY__DYING, /* a KILL went out; its death is awaited */
} sky__slot_state;

typedef struct sky__slot {
    sky__slot_state state;
    uint32_t generation; /* of its executor: actions for an earlier one are stale */
    bool start_pending;  /* the START is still in the queue */
    bool corrupt;        /* killed because it sent nonsense */
    int64_t sweep;
    uint32_t revision;
    uint64_t gpus;         /* owned from START until death */
    uint32_t cpus;         /* reserved while it has a lease, or until death */
    uint64_t memory_bytes; /* likewise */
    sky__held *lease;      /* RUNNING, or DYING as corrupt */
    uint64_t trials;       /* reported since START */
    int64_t since_ns;      /* idle, or running its lease */
    bool noted;
    uint64_t noted_position;
    uint32_t noted_elapsed_ms;
} sky__slot;

typedef struct sky__kept {
    sky_msg msg;
    sky_arena arena; /* holds what msg points to */
    uint64_t bytes;
    int64_t sent_ns; /* -1: not since the last HELLO */
    uint32_t sends;
    bool recorded; /* acknowledged; freed when its RECORDED action is over */
} sky__kept;

/* What to send is made when the action is taken, so that it is never out of date. */
typedef enum sky__todo_kind {
    SKY__TODO_HELLO = 1,
    SKY__TODO_HEARTBEAT,
    SKY__TODO_BYE,
    SKY__TODO_RESULT,
    SKY__TODO_START,
    SKY__TODO_RUN,
    SKY__TODO_DRAIN,
    SKY__TODO_KILL,
    SKY__TODO_RECORDED,
    SKY__TODO_EXIT,
} sky__todo_kind;

typedef struct sky__todo {
    sky__todo_kind kind;
    uint32_t slot, generation;
    sky_kill_why why;
    uint64_t id; /* of a lease (RUN) or a result (its seq) */
    sky__kept *recorded;
} sky__todo;

struct sky_agent {
    sky_agent_options o; /* strings in perm */
    sky_arena perm;
    sky_arena scratch; /* of the action handed out last */
    sky__kept *handed; /* likewise: a RECORDED result */

    bool connected, welcomed, stopping, stop_now, exited, out_of_memory;
    char *store_uuid; /* NULL before the first WELCOME */
    uint32_t heartbeat_ms;
    int64_t now_ns;                                    /* latest time seen */
    int64_t hello_ns, heartbeat_ns, stop_ns, start_ns; /* when next; stop_ns -1: not yet known */
    int64_t retry_ns; /* when to send what the queue had no room for; -1: nothing */
    int exit_code;
    char exit_reason[256];

    sky__plan *plans[SKY_AGENT_PLANS_MAX];
    size_t n_plans;
    uint64_t plan_uses;

    sky__slot *slots;
    uint32_t n_slots;
    uint32_t cpus_free;
    uint64_t memory_free;
    uint32_t start_failures;

    sky__held *first, *last; /* the queue, oldest first */
    sky__held **held;        /* all leases, in no order */
    size_t n_held, n_running;
    uint64_t seen[SKY__SEEN_MAX];
    size_t seen_next;

    sky__kept **kept; /* kept[i] has seq kept_first + i; NULL: acknowledged */
    size_t n_kept, cap_kept;
    uint64_t kept_first; /* seqs count from 1 */
    uint64_t unacked, unacked_bytes;
    uint64_t trials_ok, trials_failed;

    sky__todo *todo; /* ring */
    size_t todo_head, n_todo, cap_todo;
};

static inline int64_t sky__ms(uint32_t ms)
{
    return (int64_t)ms * 1000000;
}

/* agent.c */
void sky__agent_oom(sky_agent *a); /* the worker ends: its executors and its results go with it */
void sky__agent_settle(
    sky_agent *a); /* after each input: starts what can start, ends what is to end */
void sky__agent_exit(sky_agent *a, int code, const char *reason);
sky__plan *sky__agent_plan(sky_agent *a, int64_t sweep);

/* agent_actions.c */
void sky__agent_push(sky_agent *a, sky__todo t);

/* agent_slots.c */
void sky__agent_take(sky_agent *a, const sky_msg_lease *l);
void sky__agent_revoke(sky_agent *a, uint64_t lease);
void sky__agent_start_leases(sky_agent *a);
void sky__agent_end_idle(sky_agent *a, bool all);
void sky__agent_drop_all(sky_agent *a); /* leases, without a word, and executors */
void sky__agent_return_queued(sky_agent *a);
void sky__agent_drain(sky_agent *a);
void sky__agent_stop_running(sky_agent *a);
bool sky__agent_slots_empty(const sky_agent *a);

/* agent_results.c */
/* Keeps a result and sends it if a coordinator listens. Takes over *arena. */
void sky__agent_keep(sky_agent *a, const sky_msg_result *r, sky_arena *arena);
sky__kept *sky__agent_kept(const sky_agent *a, uint64_t seq);
void sky__agent_ack(sky_agent *a, uint64_t seq);
void sky__agent_send_kept(sky_agent *a, bool all);
void sky__agent_drop_kept(sky_agent *a);
void sky__kept_free(sky__kept *k);

#endif

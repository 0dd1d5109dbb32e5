/* The agent: what a worker process decides, as a pure state machine.
 *
 * It does no I/O and reads no clock: messages of the coordinator and events of the executors go in, with
 * the time; actions come out of a queue. worker/worker.c carries them out on a real machine, a simulated
 * cluster does so under a fake clock. The same inputs give the same actions.
 *
 * Promises:
 *   - Every position of a lease that was taken is accounted for exactly once (wire/msg.h), unless the
 *     lease is revoked or belongs to another store.
 *   - A result is kept, and sent again after a reconnect, until it is acknowledged.
 *   - Memory is bounded: no new lease starts while too many bytes are unacknowledged, and more leases
 *     than SKY_AGENT_LEASES_MAX go straight back.
 *
 * Between a HELLO and its WELCOME the agent takes no leases (the coordinator counts what the HELLO lists)
 * and sends no results (they might be of another store). A HELLO is repeated until a WELCOME comes; a
 * coordinator that gets one assumes that the worker knows no plan. */
#ifndef SKY_WORKER_AGENT_H
#define SKY_WORKER_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "wire/msg.h"

typedef struct sky_agent sky_agent;

enum {
    SKY_AGENT_LEASES_MAX = 4096, /* held at once, far above any prefetch */
    SKY_AGENT_GPUS_MAX = 64,     /* a set of GPUs is a 64-bit mask */
    SKY_AGENT_CPUS_MAX = 4096,
    SKY_AGENT_PLANS_MAX = 256, /* remembered; a forgotten one is asked for by a new HELLO */
};

/* Zero-initialise; a zero field means its default. Strings and lists are copied. */
typedef struct sky_agent_options {
    sky_session session;
    const char *host;
    uint32_t pid;
    const char *program_version;
    uint32_t cpus;         /* capacity; 0 = 1 */
    uint32_t gpus;         /* how many; numbered from 0 */
    uint64_t memory_bytes; /* capacity; 0 = do not count */
    const sky_job_version *jobs;
    size_t n_jobs;
    bool open_plugins;
    const char *environment;    /* JSON */
    uint32_t heartbeat_ms;      /* until a WELCOME says otherwise; 0 = 1000 */
    uint64_t unacked_bytes_max; /* 0 = 256 MiB */
    uint32_t resend_ms;         /* an unacknowledged result is sent again; doubles; 0 = 10000 */
    uint32_t idle_ms;           /* an executor without work is ended; 0 = 30000 */
    uint32_t stop_ms;           /* how long a stop waits for acknowledgements; 0 = 5000 */
} sky_agent_options;

/* Makes an agent. It starts unconnected. SKY_ENOMEM, SKY_EINVAL (capacities above the limits). */
sky_err sky_agent_new(sky_agent **out, const sky_agent_options *o);
void sky_agent_free(sky_agent *a); /* NULL is fine */

/* --- Inputs. Each may add actions; pointers in them are valid as said at sky_agent_next(). --- */

void sky_agent_connected(sky_agent *a, int64_t now_ns);
void sky_agent_disconnected(sky_agent *a, int64_t now_ns);
/* A message of the coordinator; others than the seven kinds it sends are ignored. Borrowed until return. */
void sky_agent_message(sky_agent *a, int64_t now_ns, const sky_msg *m);
/* Time passes: heartbeats, repeats, idle executors. Call it at sky_agent_wake_ns() or earlier. */
void sky_agent_tick(sky_agent *a, int64_t now_ns);
int64_t sky_agent_wake_ns(const sky_agent *a);
/* The worker is to end, by a person's wish: as a STOP message. */
void sky_agent_stop(sky_agent *a, int64_t now_ns, bool now);

/* An executor reports a part of its lease: seq 0; last when it is done with the lease. The result and
 * all it points to live in *arena, which the agent takes over (*arena is left zeroed). A part that does
 * not fit the lease shows that the executor's memory is corrupt: it is killed and counts as crashed. */
void sky_agent_outcome(sky_agent *a, int64_t now_ns, uint32_t slot, const sky_msg_result *part,
                       sky_arena *arena);

/* What the executor of a slot evaluates at this moment, for heartbeats. Optional. */
void sky_agent_running(sky_agent *a, uint32_t slot, uint64_t position, uint32_t elapsed_ms);

typedef enum sky_death {
    SKY_DEATH_CRASH,   /* a signal of its own doing, or it exited: the running trial is charged */
    SKY_DEATH_OUTSIDE, /* a signal from outside: nobody is charged */
    SKY_DEATH_TIMEOUT, /* killed for its wall-time limit */
    SKY_DEATH_MEMORY,  /* killed for its memory, by the worker or by the kernel */
    SKY_DEATH_ASKED,   /* killed because of a KILL action */
    SKY_DEATH_START,   /* could not be started */
} sky_death;

typedef struct sky_agent_died {
    sky_death kind;
    uint64_t begin,
        end; /* positions [begin, end) of its lease were being evaluated; equal: none or unknown */
    const char *reason; /* one line: "signal 11 (Segmentation fault)"; NULL: a text of the kind's */
    const char *log;    /* end of standard error; NULL: none */
} sky_agent_died;

/* The executor of a slot is gone; everything it had reported was passed to sky_agent_outcome() before.
 * The slot is free for a new START. Must come exactly once for each START. Borrowed until return. */
void sky_agent_died_event(sky_agent *a, int64_t now_ns, uint32_t slot, const sky_agent_died *d);

/* A SEND of the result `seq` was not possible for now (the queue is full): it is tried again shortly. */
void sky_agent_unsent(sky_agent *a, uint64_t seq);

/* --- Actions --- */

typedef enum sky_agent_action_kind {
    SKY_AGENT_SEND = 1, /* send msg to the coordinator. If it gets lost, it is repeated in time */
    SKY_AGENT_START, /* start an executor in slot, for plan, with cpus and gpus. RUN may follow at once */
    SKY_AGENT_RUN,   /* give lease to the executor of slot, which is idle */
    SKY_AGENT_DRAIN, /* the executor of slot finishes the trial it is at and returns the rest */
    SKY_AGENT_KILL,  /* end the executor of slot and its process group; a death follows */
    SKY_AGENT_RECORDED, /* msg, a RESULT, is durable: its checkpoints may go. A simulation ignores it */
    SKY_AGENT_EXIT,     /* the worker ends with exit code; no action follows */
} sky_agent_action_kind;

typedef enum sky_kill_why {
    SKY_KILL_IDLE,    /* it is not needed: nothing runs */
    SKY_KILL_REVOKED, /* its lease was revoked, or is of another store */
    SKY_KILL_STOP,    /* the worker stops at once */
    SKY_KILL_CORRUPT, /* it sent nonsense */
} sky_kill_why;

typedef struct sky_agent_action {
    sky_agent_action_kind kind;
    uint32_t slot;          /* START, RUN, DRAIN, KILL: below sky_agent_slots() */
    const sky_msg *msg;     /* SEND, RECORDED; START: a SKY_MSG_PLAN; RUN: a SKY_MSG_LEASE */
    const char *store_uuid; /* START, RECORDED: of the store that the sweep is in */
    uint32_t cpus;          /* START */
    uint64_t gpus;          /* START: bit g = GPU number g */
    int64_t timeout_ns;     /* START: the plan's limits, for the watcher; 0 = none */
    uint64_t memory_bytes;  /* START: likewise */
    sky_kill_why why;       /* KILL */
    int exit_code;          /* EXIT */
    const char *reason;     /* EXIT: for a person */
} sky_agent_action;

/* Takes the next action. Its pointers are valid until the next call of any function of this agent. False
 * when there is none. */
bool sky_agent_next(sky_agent *a, sky_agent_action *out);

/* --- For displays and tests --- */

uint32_t sky_agent_slots(const sky_agent *a); /* slots are numbered from 0; more than run at once */

typedef struct sky_agent_stats {
    uint64_t leases_held, leases_running, results_unacked, unacked_bytes;
    uint64_t trials_ok, trials_failed; /* reported since the start */
    bool connected, welcomed, stopping, exited;
} sky_agent_stats;
sky_agent_stats sky_agent_get_stats(const sky_agent *a);

#endif

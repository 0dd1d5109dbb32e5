/* The scheduler: which worker does what, as a pure state machine.
 *
 * Messages, time and the outcome of commits go in; actions come out of a queue. It does no I/O,
 * reads no clock and draws no random number that does not come from its seed: the same inputs give
 * the same actions. coordinator/coordinator.c carries the actions out, tests/sim/ does so under a
 * fake clock.
 *
 * It counts in sets of positions (base/ranges.h), so a sweep of 10^15 costs what its holes, leases
 * and failures cost. Every position of a sweep is, at any moment, either settled (recorded,
 * rejected by `where`, quarantined) or in exactly one place: waiting, waiting for a retry, in a
 * group of suspects, or left in one lease.
 *
 * Any function that returns sky_err may return SKY_ENOMEM; the scheduler is then good for nothing
 * but sky_sched_free(). */
#ifndef SKY_COORDINATOR_SCHED_H
#define SKY_COORDINATOR_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/ranges.h"
#include "store/store.h"
#include "wire/msg.h"

typedef struct sky_sched sky_sched;

enum {
    SKY_SCHED_WORKERS_MAX = 1 << 16, /* known at once, lost ones included */
    SKY_SCHED_SWEEPS_MAX = 1 << 12,
    SKY_SCHED_LOST_MAX = 4096, /* lost workers remembered, so that their return is recognised */
    SKY_SCHED_LOSSES_MAX = 50, /* a position that ran on that many lost workers is quarantined */
    SKY_SCHED_FIRST_FAILURES = 100,   /* a sweep pauses when its first so many trials all fail */
    SKY_SCHED_RETRIES_WAITING = 1024, /* retries go last, unless more than this many wait */
    SKY_SCHED_SEQ_GAPS_MAX = 4096,    /* of one session; more is nonsense */
};

/* Zero-initialise; a zero field means its default. */
typedef struct sky_sched_options {
    const char *store_uuid;     /* required; copied */
    uint32_t epoch;             /* the high half of lease numbers */
    uint64_t seed;              /* where lease numbers begin */
    uint32_t heartbeat_ms;      /* 0 = 1000 */
    uint32_t worker_timeout_ms; /* 0 = 5 heartbeats */
    uint32_t lease_target_ms;   /* 0 = 100 */
    uint32_t adopt_wait_ms;     /* how long recovered sweeps wait for returning workers; 0 = not */
} sky_sched_options;

sky_err sky_sched_new(sky_sched **out, const sky_sched_options *o, int64_t now_ns);
void sky_sched_free(sky_sched *s); /* NULL is fine */

/* ---- Sweeps ---- */

typedef struct sky_sched_sweep {
    int64_t id;
    uint32_t revision; /* of the plan; a larger one makes workers get the plan again */
    const char *plan;  /* canonical text; borrowed until the sweep is set again or freed */
    const char *job, *job_version; /* copied */
    bool plugin; /* workers that take plug-ins may run it without listing the job */
    uint64_t positions;
    uint32_t attempts; /* before quarantine; 0 = 1 */
    uint64_t failures; /* quarantined trials after which it pauses; 0 = never */
    uint32_t cpus;     /* 0 = 1 */
    uint32_t gpus;
    uint64_t memory_bytes;
    int32_t priority; /* higher first */
    sky_sweep_state state;
    const char *reason; /* copied; NULL: "" */
    bool recovered;     /* workers may still hold leases of it: see adopt_wait_ms */
    /* Of a new sweep: what the store says is settled; copied. NULL: nothing. */
    const sky_ranges *done, *quarantined;
    uint64_t recorded; /* rows among done */
} sky_sched_sweep;

/* Adds a sweep, or changes one: positions may grow or shrink, done and quarantined are ignored
 * then. SKY_ELIMIT: too many sweeps. */
sky_err sky_sched_sweep_set(sky_sched *s, int64_t now_ns, const sky_sched_sweep *sweep);
/* Attempts that the store says were charged to an open position of a new sweep. */
sky_err sky_sched_sweep_charged(sky_sched *s, int64_t sweep, uint64_t position, uint32_t attempts);
/* Running leases of a paused sweep end in peace; those of a cancelled one are revoked. The change
 * is announced by a SWEEP_STATE action unless there is none. SKY_ENOTFOUND. */
sky_err sky_sched_sweep_state(sky_sched *s, int64_t now_ns, int64_t sweep, sky_sweep_state state,
                              const char *reason);
sky_err sky_sched_sweep_priority(sky_sched *s, int64_t sweep, int32_t priority);
/* Quarantined positions are open again, with all their attempts; a complete sweep runs again. */
sky_err sky_sched_sweep_retry(sky_sched *s, int64_t now_ns, int64_t sweep,
                              const sky_ranges *positions);
/* Forgets a sweep; its leases are revoked, later results of it are acknowledged and dropped. */
void sky_sched_sweep_remove(sky_sched *s, int64_t now_ns, int64_t sweep);

/* ---- Events ---- */

/* A message of the peer whose routing id is that session. Others than HELLO, RESULT, HEARTBEAT and
 * BYE are ignored. Actions may point into m: drain them before it goes away. */
sky_err sky_sched_message(sky_sched *s, int64_t now_ns, const sky_session *session,
                          const sky_msg *m);
/* A message could not be delivered: the peer is not there, or does not read. */
sky_err sky_sched_peer_gone(sky_sched *s, int64_t now_ns, const sky_session *session);
/* Everything given out as RECORD, FAIL and SWEEP_STATE is durable: acknowledges. */
sky_err sky_sched_committed(sky_sched *s, int64_t now_ns);
/* Nothing given out since the last commit was kept: takes it back and asks the workers again. */
sky_err sky_sched_rolled_back(sky_sched *s, int64_t now_ns);
/* Time passes. Call it at least four times per heartbeat: a longer gap shows that the coordinator
 * itself stood still, and nobody is lost until a full timeout later. */
sky_err sky_sched_tick(sky_sched *s, int64_t now_ns);
/* The caller did not read messages for a while (back-pressure): the same grace. */
void sky_sched_gap(sky_sched *s, int64_t now_ns);
/* The worker's results of that sweep are wrong (another build under the same version): no more
 * leases of it for this session. */
void sky_sched_exclude(sky_sched *s, const sky_session *session, int64_t sweep);
/* A number that comes with every RECORD and FAIL of this worker; 0 at first. */
void sky_sched_set_env(sky_sched *s, const sky_session *session, int64_t env);
sky_err sky_sched_stop_workers(sky_sched *s, bool now);

/* ---- Actions ---- */

typedef enum sky_action_type {
    SKY_ACTION_SEND,
    SKY_ACTION_RECORD,
    SKY_ACTION_FAIL,
    SKY_ACTION_SWEEP_STATE,
    SKY_ACTION_NOTE,
} sky_action_type;

typedef struct sky_action_record {
    int64_t sweep;
    int64_t env;
    const sky_msg_result *result;
    const sky_ranges *positions; /* what it settles: new rows and new holes */
    const sky_ranges *skip; /* rows not to be stored: their trials were quarantined before, or are
                                      past the sweep's end. NULL: none */
    uint64_t n_holes;       /* of positions */
} sky_action_record;

typedef struct sky_action_fail {
    int64_t sweep;
    int64_t env;
    uint64_t position;
    uint32_t attempts; /* charged so far, this one included */
    bool quarantined;
    sky_failure_kind kind;
    const char *reason, *log; /* log may be NULL */
} sky_action_fail;

typedef struct sky_action {
    sky_action_type type;
    union {
        struct {
            sky_session to;
            sky_msg msg;
        } send;
        sky_action_record record;
        sky_action_fail fail;
        struct {
            int64_t sweep;
            sky_sweep_state state;
            const char *reason;
        } state;
        struct {
            sky_log_level level;
            const char *text;
        } note;
    };
} sky_action;

/* Takes the next action; what it points to is valid until the next call of any function but this.
 * False when there is none. */
bool sky_sched_next(sky_sched *s, sky_action *out);

/* ---- For displays, back-pressure and tests ---- */

typedef struct sky_sched_sweep_info {
    sky_sweep_state state;
    const char *reason; /* valid until the sweep changes */
    int32_t priority;
    uint64_t positions;
    uint64_t recorded, holes, failed; /* durably */
    uint64_t uncommitted;             /* settled, but not yet durably */
    uint64_t leased, retrying;
    uint32_t workers, leases;
    double cost_ns; /* measured, per position; 0: unknown */
    double busy_s;
} sky_sched_sweep_info;
sky_err sky_sched_get_sweep(const sky_sched *s, int64_t sweep, sky_sched_sweep_info *out);
/* Why a running sweep has no lease out ("no worker offers job gemm 2"), into buf; "" if nothing. */
const char *sky_sched_waiting(const sky_sched *s, int64_t sweep, char *buf, size_t len);

typedef struct sky_sched_worker_info {
    sky_session session;
    const char *host, *program_version;
    uint32_t pid, cpus, gpus, leases, running;
    uint64_t memory_bytes, settled;
    int64_t heard_ns; /* when it last said something */
    bool lost;
} sky_sched_worker_info;
/* Connected workers first, then lost ones. fn must not call the scheduler. */
void sky_sched_each_worker(const sky_sched *s,
                           void (*fn)(void *arg, const sky_sched_worker_info *w), void *arg);

typedef struct sky_sched_stats {
    size_t workers, lost, leases, sweeps;
    uint64_t uncommitted;     /* positions settled since the last commit */
    uint64_t results_waiting; /* results to be acknowledged by the next commit */
} sky_sched_stats;
sky_sched_stats sky_sched_get_stats(const sky_sched *s); /* cheap: asked after each message */
/* Roughly, of memory held; looks at every worker, lease and sweep. */
size_t sky_sched_bytes(const sky_sched *s);

/* Aborts if the state contradicts itself. Slow; for tests. */
void sky_sched_check(const sky_sched *s);

#endif

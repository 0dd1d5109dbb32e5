/* The scheduler's state: only for coordinator/sched*.c and its tests.
 *
 * sched.c: life, messages, time, commits, the action queue. sched_sweep.c: sweeps and their states.
 * sched_worker.c: workers coming, going and coming back. sched_lease.c: who gets what, and how
 * much. sched_result.c: what became of leases. sched_sets.c: sets of positions and counts of
 * attempts. sched_info.c: displays and self-checks. */
#ifndef SKY_COORDINATOR_SCHED_INTERNAL_H
#define SKY_COORDINATOR_SCHED_INTERNAL_H

#include "base/arena.h"
#include "coordinator/sched.h"

enum {
    SKY__GROWTH_MAX = 8,      /* a lease is at most so many times the largest that came back */
    SKY__ISOLATED_MAX = 1024, /* positions of one lease of suspects */
    SKY__RETRIES_PER_LEASE_MAX = 64,
    SKY__RUNNING_MAX = 4096,    /* trials that one heartbeat may name */
    SKY__RETURNS_SHIFT_MAX = 7, /* back-off after leases that came back untried: 50 ms to 6.4 s */
};
#define SKY__MS             INT64_C(1000000)
#define SKY__LONG_NS        INT64_C(1000000000)  /* a lease that long needs none queued */
#define SKY__SAME_WORKER_NS INT64_C(1000000000)  /* how long a retry waits for another worker */
#define SKY__RETRY_DUE_NS   INT64_C(10000000000) /* a retry waits no longer than that for others */
#define SKY__STARVED_NS     INT64_C(30000000000) /* without a lease: a worker is reserved */
#define SKY__TAIL_LEASE_NS                                                                         \
    INT64_C(2000000) /* shrinking leases below that costs more than it gains */

typedef struct sky__worker sky__worker;
typedef struct sky__lease sky__lease;
typedef struct sky__sweep sky__sweep;

/* What is known of one position that failed or was lost; dropped when it is settled. */
typedef struct sky__attempt {
    uint64_t position;
    uint32_t attempts;
    uint32_t losses; /* times a worker was lost while it ran; kept in memory only */
    uint32_t worker; /* serial of the one that failed it last; 0: unknown */
    uint32_t used;   /* slot in use */
    int64_t same_ns; /* from when that worker may have it again */
} sky__attempt;

typedef struct sky__attempts { /* open addressing, linear probing */
    sky__attempt *slots;
    size_t n, cap; /* cap is 0 or a power of two */
} sky__attempts;

struct sky__sweep {
    int64_t id;
    uint32_t revision;
    uint32_t generation; /* grows with every change: invalidates what workers cache about it */
    const char *plan;
    char *job, *job_version;
    uint64_t job_hash;
    bool plugin, recovered;
    uint64_t positions;
    uint32_t attempts_max;
    uint64_t failures_max;
    uint32_t cpus, gpus;
    uint64_t memory_bytes;
    int32_t priority;
    sky_sweep_state state;
    char reason[256];
    bool announced; /* its state changed, and no commit has made that durable yet */

    /* Every open position is in one of todo, retry, groups or one lease's left. */
    sky_ranges todo, retry;
    sky_ranges *groups; /* suspects: a FIFO of sets */
    size_t n_groups, cap_groups, group_head;
    uint64_t group_count; /* positions in groups */
    sky_ranges done;      /* recorded, or holes; those in pending not yet durably so */
    sky_ranges bad;       /* quarantined */
    sky_ranges pending;   /* the part of done that the next commit makes durable */
    uint64_t recorded, holes, pending_recorded, pending_holes, pending_bad;
    sky__attempts attempts;

    uint32_t n_leases;
    uint64_t size_proven; /* of the largest lease that was evaluated whole */
    double cost_ns;       /* per position; 0: unknown */
    double vt;            /* cpu-nanoseconds that it had, for fair shares */
    double busy_ns;
    uint64_t stamp;     /* of the pick that has tried it */
    int64_t retry_ns;   /* since when retries wait */
    int64_t starved_ns; /* since when it is ready and has no lease; 0: it is not */
    sky__worker *reserved;

    uint64_t first_failures; /* distinct trials that failed before any was recorded */
    uint64_t bad_base;       /* quarantined when it was resumed last */
};

struct sky__lease {
    uint64_t id;
    sky__worker *worker;
    sky__sweep *sweep;
    sky__lease *hash_next;
    sky__lease *prev, *next; /* of its worker */
    sky_ranges left;
    uint64_t given;
    double est_ns;       /* for all that was given */
    uint32_t cpus, gpus; /* what it holds of its worker */
    uint64_t memory_bytes;
    int64_t sent_ns;
    int64_t orphan_ns; /* when its rest goes back, because the worker no longer has it; 0: it has */
    bool is_long, listed, isolate, clean;
};

/* What a worker and a sweep have to do with each other. */
typedef struct sky__pair {
    int64_t sweep;
    uint32_t generation; /* of the sweep, when `able` was worked out */
    uint32_t revision;   /* of the plan that was sent */
    bool sent, able, excluded;
    uint32_t leases, slots;
    uint32_t returns; /* leases in a row that came back untried */
    int64_t idle_ns;  /* none before that */
    double cost_ns;
} sky__pair;

/* A result to be acknowledged by the next commit. */
typedef struct sky__ack {
    uint64_t seq;
    bool fresh; /* that commit makes it durable; otherwise an earlier one did, and this is a copy */
} sky__ack;

struct sky__worker {
    sky_session session;
    uint32_t serial; /* never 0, never reused */
    bool lost, bye, gone;
    char *host, *program_version;
    uint32_t pid, cpus, gpus;
    uint64_t memory_bytes;
    uint64_t *jobs; /* hashes of name and version */
    size_t n_jobs;
    bool open_plugins;
    int64_t env;
    int64_t heard_ns, who_ns, ack_ns;
    uint32_t odd; /* heartbeats in a row that contradict what is known here */

    sky__worker *hash_next;
    sky__worker *prev, *next;               /* live: by heard_ns; lost: by when */
    sky__worker *hungry_prev, *hungry_next; /* may take another lease */
    bool hungry;
    sky__lease *leases;
    uint32_t n_leases, n_long;
    uint64_t out_cpus, out_gpus, out_memory, long_cpus;
    sky__pair *pairs;
    size_t n_pairs, cap_pairs;
    sky_running_trial *running;
    size_t n_running, cap_running;
    sky_ranges seen; /* sequence numbers of results that were taken */
    sky__ack *acks;
    size_t n_acks, cap_acks;
    sky__worker *ack_next; /* in the list of those with acks */
    bool ack_listed;
    uint64_t settled;
};

/* An uncommitted charge, to be taken back after a rollback. */
typedef struct sky__charge {
    int64_t sweep;
    uint64_t position;
    uint32_t attempts; /* before it */
    bool final;
} sky__charge;

typedef struct sky__list {
    sky__worker *first, *last;
    size_t n;
} sky__list;

struct sky_sched {
    char *store_uuid;
    uint32_t epoch, heartbeat_ms, lease_number, exact_from;
    int64_t heartbeat_ns, timeout_ns, target_ns, adopt_until_ns;
    bool out_of_memory;

    int64_t now_ns, tick_ns, grace_until_ns;
    sky__sweep **sweeps; /* by id */
    size_t n_sweeps, cap_sweeps;
    uint64_t stamp;
    uint32_t generation;

    sky__worker **worker_buckets;
    size_t worker_mask;
    sky__list live, lost;
    sky__worker *hungry_first, *hungry_last;
    size_t n_gone, n_orphans;
    uint32_t serial;
    uint64_t live_cpus, live_gpus;
    sky__worker *ack_first;
    bool fill_all; /* there may be work for anybody who is hungry */

    sky__lease **lease_buckets;
    size_t lease_mask, n_leases;
    sky__lease *free_leases; /* by next */
    size_t n_free_leases;

    sky__charge *charges;
    size_t n_charges, cap_charges;
    uint64_t uncommitted, results_waiting;

    sky_action *actions;
    size_t n_actions, cap_actions, action_head;
    sky_arena arena; /* what actions point to */
};

/* sched.c */
void sky__sched_begin(sky_sched *s, int64_t now_ns); /* of every public function */
sky_err sky__sched_end(sky_sched *s);                /* of every event: gives out work */
sky_action *sky__sched_push(sky_sched *s, sky_action_type type);
void sky__sched_send(sky_sched *s, const sky_session *to, const sky_msg *m);
void sky__sched_note(sky_sched *s, sky_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool sky__sched_grow(void **array, size_t *cap, size_t need, size_t size);
sky_range_list sky__sched_copy_list(sky_sched *s, const sky_ranges *r); /* into the arena */

/* sched_sets.c */
sky_ranges sky__set_view(const sky_range_list *l); /* borrows; not to be written */
/* Removes from x what is in set; moves from `from` to out what is in x. False: out of memory. */
bool sky__set_subtract(sky_ranges *x, const sky_ranges *set);
bool sky__set_extract(sky_ranges *from, const sky_ranges *x, sky_ranges *out);
bool sky__set_clip(sky_ranges *x, uint64_t end); /* drops what is at end or above */
sky__attempt *sky__attempt_find(const sky__attempts *t, uint64_t position);
sky__attempt *sky__attempt_get(sky__attempts *t, uint64_t position); /* NULL when out of memory */
void sky__attempt_drop(sky__attempts *t, uint64_t position);
void sky__attempts_drop_in(sky__attempts *t, const sky_ranges *positions);

/* sched_sweep.c */
sky__sweep *sky__sweep_find(const sky_sched *s, int64_t id);
void sky__sweep_free(sky__sweep *w);
/* Puts the open part of positions back into the queue. */
void sky__sweep_put_back(sky_sched *s, sky__sweep *w, const sky_ranges *positions);
/* The same for positions that were settled, or did not exist: a lease may still hold a copy of
 * them. */
void sky__sweep_reopen(sky_sched *s, sky__sweep *w, const sky_ranges *positions);
/* Takes positions that are settled elsewhere out of the queues. */
void sky__sweep_unqueue(sky_sched *s, sky__sweep *w, const sky_ranges *positions);
/* Puts an open position among the retries. False when out of memory. */
bool sky__sweep_add_retry(const sky_sched *s, sky__sweep *w, uint64_t position);
bool sky__sweep_settled(const sky__sweep *w, uint64_t position);
bool sky__sweep_ready(const sky_sched *s, const sky__sweep *w);
bool sky__sweep_add_group(sky_sched *s, sky__sweep *w, sky_ranges *group); /* takes the set */
void sky__sweep_set_state(sky_sched *s, sky__sweep *w, sky_sweep_state state, const char *reason);
void sky__sweep_announce(sky_sched *s, sky__sweep *w);
void sky__sweep_maybe_done(sky_sched *s, sky__sweep *w);
void sky__sweep_maybe_pause(sky_sched *s, sky__sweep *w, const char *last_reason);
void sky__sweep_revoke(sky_sched *s, sky__sweep *w);

/* sched_worker.c */
sky__worker *sky__worker_find(const sky_sched *s, const sky_session *session);
void sky__worker_free(sky__worker *w);
void sky__worker_heard(sky_sched *s, sky__worker *w);
void sky__worker_lost(sky_sched *s, sky__worker *w, const char *why);
void sky__worker_who(sky_sched *s, sky__worker *w);
void sky__worker_hello(sky_sched *s, const sky_session *session, const sky_msg_hello *h);
void sky__worker_heartbeat(sky_sched *s, sky__worker *w, const sky_msg_heartbeat *h);
void sky__worker_bye(sky_sched *s, sky__worker *w, const char *reason);
void sky__worker_expire(sky_sched *s);
void sky__hungry_add(sky_sched *s, sky__worker *w);
void sky__hungry_remove(sky_sched *s, sky__worker *w);

/* sched_lease.c */
sky__lease *sky__lease_find(const sky_sched *s, uint64_t id);
/* A lease with nothing left yet, or NULL when out of memory. */
sky__lease *sky__lease_new(sky_sched *s, sky__worker *w, sky__sweep *sweep, uint64_t id);
/* Ends a lease; what is left of it goes back to the queue. */
void sky__lease_end(sky_sched *s, sky__lease *l);
void sky__lease_orphan(sky_sched *s, sky__lease *l);
sky__pair *sky__pair_get(sky_sched *s, sky__worker *w, const sky__sweep *sweep);
void sky__fill_worker(sky_sched *s, sky__worker *w);
void sky__sched_fill(sky_sched *s);

/* sched_result.c */
void sky__result(sky_sched *s, sky__worker *w, const sky_msg_result *r);
/* Charges one attempt, or (LOST) none, to an open position that was taken out of where it was. */
void sky__charge_position(sky_sched *s, sky__sweep *sweep, sky__worker *w,
                          const sky_failed_attempt *f, bool charge, bool requeue);

#endif

/* The coordinator: scheduler, hub, store and plans on one event loop.
 *
 * `skyline run` opens one on a private socket and submits directly; `skyline coordinator` opens one
 * on TCP and clients submit by request. It owns no thread and no process: the owner runs the loop.
 * Callbacks come from the loop only, never from inside a call of these functions. */
#ifndef SKY_COORDINATOR_COORDINATOR_H
#define SKY_COORDINATOR_COORDINATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"
#include "sweeps/plan.h"
#include "wire/keys.h"
#include "wire/msg.h"

typedef struct sky_coordinator sky_coordinator;

/* Zero-initialise; a zero field means its default. */
typedef struct sky_coordinator_options {
    uv_loop_t *loop;         /* required; borrowed for the coordinator's life */
    sky_store *store;        /* required; opened as writer, borrowed for the coordinator's life */
    const char *endpoint;    /* required; tcp://host:port or ipc://path in a private folder */
    const sky_keyring *keys; /* required for tcp; borrowed for the coordinator's life */
    uint32_t heartbeat_ms;   /* of a worker; 0 = 1000 */
    uint32_t worker_timeout_ms; /* silence after which a worker is lost; 0 = 5 heartbeats */
    uint32_t lease_target_ms;   /* 0 = 100 */
    /* After a start, how long the sweeps found in the store wait for workers to come back with the
     * leases they hold, before those positions go to others. 0 (right for `run`): no wait. */
    uint32_t adopt_wait_ms;
    uint32_t commit_ms; /* results wait at most this long for their commit; 0 = 10 */
    bool idle_sweeps;   /* leave the running sweeps of the store alone until they are submitted
                                   or resumed: `run` works on its own sweep only */

    /* A sweep changed its state; reason is "" or says why. May be NULL. */
    void (*on_sweep)(void *arg, int64_t sweep, sky_sweep_state state, const char *reason);
    /* Something became durable; at most once per commit. May be NULL. */
    void (*on_progress)(void *arg);
    /* The store failed (a full disk): nothing since the last commit is acknowledged or kept,
     * nothing more is recorded, and the owner should close. Called once. Required. */
    void (*on_error)(void *arg, const sky_error *e);
    /* A client with the right asked the coordinator to stop; the owner closes it. NULL: refused. */
    void (*on_shutdown)(void *arg);
    void *arg;
} sky_coordinator_options;

/* Takes up every running and paused sweep of the store, then binds. Errors of the store and of
 * sky_hub_open(); on error *out is untouched. */
sky_err sky_coordinator_open(sky_coordinator **out, const sky_coordinator_options *o, sky_error *e);
const char *sky_coordinator_endpoint(const sky_coordinator *c); /* with the real port */
/* Commits what arrived, optionally tells all workers to stop, and frees everything after the loop
 * has run its close callbacks. The store stays open. Returns the error of that last commit. NULL is
 * fine. */
sky_err sky_coordinator_close(sky_coordinator *c, bool stop_workers, sky_error *e);
/* Tells all workers to stop: with now = false, after what they run. */
void sky_coordinator_stop_workers(sky_coordinator *c, bool now);

/* ---- Commands, for the owner and (through the same functions) for clients ---- */

typedef enum sky_submitted {
    SKY_SUBMITTED_NEW,
    SKY_SUBMITTED_RESUMED, /* the name was there with this identity: it goes on where it stopped */
} sky_submitted;

/* Takes the plan, also on error. A name that is bound to another identity or another version of its
 * job: SKY_ECONFLICT, with the difference and the advice to choose another name. Limits,
 * objectives, constraints, derived metrics, repeats, priority and resources take effect at once. A
 * paused or cancelled sweep runs again; a complete one whose repeats did not grow stays done. */
sky_err sky_coordinator_submit(sky_coordinator *c, sky_plan *plan, int64_t *sweep,
                               sky_submitted *how, sky_error *e);
/* SKY_ENOTFOUND (with near names); SKY_EINVAL where the state does not allow it. */
sky_err sky_coordinator_pause(sky_coordinator *c, const char *sweep, const char *reason,
                              sky_error *e);
sky_err sky_coordinator_resume(sky_coordinator *c, const char *sweep, sky_error *e);
sky_err sky_coordinator_cancel(sky_coordinator *c, const char *sweep, sky_error *e);
sky_err sky_coordinator_priority(sky_coordinator *c, const char *sweep, int32_t priority,
                                 sky_error *e);
/* Puts the quarantined trials of a sweep back (kind: sky_failure_kind, or -1 for all); *n (may be
 * NULL) counts them. */
sky_err sky_coordinator_retry(sky_coordinator *c, const char *sweep, int kind, uint64_t *n,
                              sky_error *e);

/* Answers one request as a client with that role would get it; the reply's texts live in the arena.
 * For other front ends (the dashboard). */
void sky_coordinator_request(sky_coordinator *c, const sky_msg_request *request, sky_role role,
                             sky_arena *arena, sky_msg_reply *reply);

/* ---- Status ---- */

typedef struct sky_sweep_status {
    int64_t id;
    const char *name, *job, *job_version;
    sky_sweep_state state;
    const char *reason; /* why it is paused, or what a running one waits for; "" if nothing */
    int32_t priority;
    uint64_t points, positions;
    uint64_t recorded; /* rows, durable */
    uint64_t holes;    /* rejected by `where` */
    uint64_t failed;   /* quarantined */
    uint64_t leased;   /* given out now */
    uint64_t retrying; /* failed before, waiting for another attempt */
    uint32_t workers;  /* that hold leases of it */
    double rate;       /* settled positions per second, over the last seconds */
    double eta_s;      /* negative: unknown */
    double busy_s;     /* executor time that this coordinator has seen for it */
} sky_sweep_status;

typedef struct sky_worker_status {
    char session[2 * SKY_SESSION_BYTES + 1]; /* hex digits */
    const char *host;
    uint32_t pid;
    const char *program_version;
    uint32_t cpus, gpus;
    uint64_t memory_bytes;
    uint32_t leases, running; /* leases held; trials that its last heartbeat said were running */
    uint64_t settled;         /* positions that it has settled in this coordinator's life */
    int64_t heard_ms_ago;
    bool lost; /* silent for too long; its leases went back to the queue */
} sky_worker_status;

typedef struct sky_coordinator_info {
    const char *endpoint, *store_path, *store_uuid;
    uint32_t epoch;
    double uptime_s, cpu_s;
    uint64_t committed; /* rows since the start */
    uint64_t commits;
    uint64_t uncommitted;           /* rows waiting for their commit */
    uint64_t duplicates, differing; /* late copies; those of them with other exact metrics */
    uint64_t messages, rejected;    /* received; of them malformed or refused */
    const sky_sweep_status *sweeps; /* oldest first; only the named one if a name was given */
    size_t n_sweeps;
    const sky_worker_status *workers; /* connected first, then lost ones */
    size_t n_workers, n_lost;         /* lost ones are among the workers */
} sky_coordinator_info;

/* sweep: a name, or "" or NULL for all. All of it lives in the arena. SKY_ENOTFOUND, SKY_ENOMEM. */
sky_err sky_coordinator_status(sky_coordinator *c, const char *sweep, sky_arena *arena,
                               sky_coordinator_info *out, sky_error *e);
/* The same of one sweep by id, cheap enough for a progress bar; names live until the next call. */
sky_err sky_coordinator_sweep(sky_coordinator *c, int64_t sweep, sky_sweep_status *out);
/* As JSON: docs/wire.md lists the keys. */
void sky_coordinator_info_json(const sky_coordinator_info *info, sky_buf *b);

#endif

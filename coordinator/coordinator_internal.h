/* The coordinator's state: only for the files of coordinator/ and their tests.
 *
 * coordinator.c: life, the loop, carrying out the scheduler's actions, commits. recording.c:
 * results, from the wire to the store. recover.c: sweeps, from the store or a plan to the
 * scheduler. serve.c: commands and requests. report.c: status. */
#ifndef SKY_COORDINATOR_COORDINATOR_INTERNAL_H
#define SKY_COORDINATOR_COORDINATOR_INTERNAL_H

#include "coordinator/coordinator.h"
#include "coordinator/sched.h"
#include "wire/link.h"

enum {
    SKY__COMMIT_ROWS_MAX = 200000, /* of one transaction: more waits longer than it saves */
    SKY__RATE_SAMPLES = 20,
    SKY__LINGER_MS = 500,
};

/* A sweep as the coordinator knows it; the scheduler has it only while it may run. */
typedef struct sky__known {
    int64_t id;
    char *name, *job, *job_version, *reason;
    sky_sweep_state state;
    int32_t priority;
    uint64_t points, positions;
    uint64_t recorded, holes, failed; /* while it is not in the scheduler */
    double busy_s;                    /* before this coordinator started */
    uint32_t revision;
    sky_plan *plan; /* NULL: not loaded; then it is not in the scheduler */
    bool scheduled;
    bool warned; /* of results that differ */

    struct {
        int64_t at_ns;
        uint64_t settled;
    } samples[SKY__RATE_SAMPLES];
    size_t n_samples, next_sample;
} sky__known;

typedef struct sky__event {
    int64_t sweep;
    sky_sweep_state state;
    char *reason;
} sky__event;

/* The rows of the result that is being handled, decoded once to check them and to store them. */
typedef struct sky__rows {
    const sky_msg_result *result;
    size_t n;
    const uint64_t *trials;
    const sky_column *params;
} sky__rows;

struct sky_coordinator {
    sky_coordinator_options o;
    char *store_path;
    uint32_t epoch;
    sky_sched *sched;
    sky_hub *hub;
    uv_timer_t tick, commit, deliver;
    int open_handles;
    bool closing, timer_armed, shutdown_asked, progressed;
    sky_error failure; /* of the store; code SKY_OK while all is well */
    bool failure_told;

    sky__known *known; /* oldest first */
    size_t n_known, cap_known;
    sky__event *events; /* to be told to the owner */
    size_t n_events, cap_events;

    sky_arena arena; /* of the message that is being handled */
    sky__rows rows;
    sky_buf out; /* the message that is being sent */
    sky_session excluded_by;

    int64_t start_ns, start_cpu_ns, uncommitted_ns;
    uint64_t uncommitted_rows;
    uint64_t committed, commits, duplicates, differing, messages, rejected;
};

/* coordinator.c */
int64_t sky__coord_now(void);
void sky__coord_drain(sky_coordinator *c); /* carries out what the scheduler decided */
/* Makes everything so far durable and acknowledges it. */
sky_err sky__coord_commit(sky_coordinator *c, sky_error *e);
/* The store failed, or memory ran out: no more is recorded; the owner is told from the loop. */
void sky__coord_broken(sky_coordinator *c, const sky_error *e);
void sky__coord_broken_memory(sky_coordinator *c);
void sky__coord_deliver_soon(sky_coordinator *c);

/* recording.c */
/* Checks the rows of a result and decodes their parameters. Rows that are not to be believed become
 * positions that were not tried, rows with a NaN failed attempts. False when out of memory. */
bool sky__coord_check_result(sky_coordinator *c, const sky_session *session, sky_msg_result *r);
sky_err sky__coord_record(sky_coordinator *c, const sky_action_record *a, sky_error *e);
sky_err sky__coord_fail(sky_coordinator *c, const sky_action_fail *a, sky_error *e);

/* recover.c */
sky_err sky__coord_recover(sky_coordinator *c, sky_error *e);
sky__known *sky__known_by_id(sky_coordinator *c, int64_t id);
/* SKY_ENOTFOUND names near ones. */
sky_err sky__known_by_name(sky_coordinator *c, const char *name, sky__known **out, sky_error *e);
/* Loads its plan and gives it to the scheduler, in the state that it has. */
sky_err sky__coord_schedule(sky_coordinator *c, sky__known *k, bool recovered, sky_error *e);
void sky__known_free(sky__known *k);

/* report.c */
void sky__coord_sample_rates(sky_coordinator *c, int64_t now_ns);

/* serve.c */
void sky__coord_serve(sky_coordinator *c, const sky_peer *peer, sky_role role,
                      const sky_msg_request *q);

#endif
